//! `prior … toward M`: a simpler model that is fitted first, and counts as data.

use std::sync::Arc;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::Session;
use crate::data::Tensor;
use crate::data::mask::{self, Factor, Mask};
use crate::model::declarations::ModelEntry;
use crate::model::family::Family;
use crate::model::{EnergyModel, Mode, Scope, Strength, elaborate};
use crate::plan;
use crate::report::saved;
use crate::run::control::{Control, Observer};
use crate::run::masked::Knowledge;
use crate::run::masked::regular::{self, Pseudo};
use crate::run::{self, Fit, Silent, Status, Stop, Stoppable};
use crate::text::ast::{Call, ModelDeclaration, ModelItem, ModelItemKind};
use crate::text::{Code, Diagnostic, Span};

/// A model that a prior leans to.
#[derive(Debug, Clone)]
pub struct Lean {
    model: EnergyModel,
    strength: Strength,
    /// What its own prior leans to.
    prior: Option<Box<Lean>>,
    span: Span,
}

/// What all fits on the way share.
pub struct Work<'a> {
    /// How fits are to be made.
    pub control: &'a Control,
    /// The memory budget in bytes.
    pub memory: u64,
    /// The seed of the cells that `auto` holds out.
    pub seed: u64,
    /// Who may ask all of them to stop.
    pub stop: &'a Stop,
}

/// A fit with a prior.
#[derive(Debug)]
pub struct Leaned {
    /// The fit.
    pub fit: Fit,
    /// What is worth saying of the prior.
    pub notes: Vec<Diagnostic>,
}

impl Work<'_> {
    /// Who hears of the fits on the way: nobody but whoever asks them to stop.
    fn observer(&self) -> Stoppable<'static> {
        Stoppable { inner: Box::new(Silent), stop: self.stop.clone() }
    }
}

/// Shares of the observed total that `auto` tries, from weak to strong.
const SHARES: [f64; 9] = [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0];

/// Share of the observed cells that `auto` holds out.
const INNER: f64 = 0.1;

impl Session {
    /// The model that the prior of `model` leans to, over these modes.
    pub(super) fn lean(
        &self,
        model: &EnergyModel,
        modes: &[String],
    ) -> Result<Option<Lean>, Vec<Diagnostic>> {
        self.lean_of(model, modes, &mut vec![model.name.clone()])
    }

    fn lean_of(
        &self,
        model: &EnergyModel,
        modes: &[String],
        names: &mut Vec<String>,
    ) -> Result<Option<Lean>, Vec<Diagnostic>> {
        let Some(prior) = &model.regular.prior else { return Ok(None) };
        let name = &prior.toward.name;
        if names.contains(&name.name) {
            names.push(name.name.clone());
            return Err(vec![
                Diagnostic::new(Code::MBA374, format!("the prior of `{}` leads back to itself", name.name))
                    .at(prior.span, names.join(" → "))
                    .help("lean to a model that does not lean back"),
            ]);
        }
        names.push(name.name.clone());
        let own = self.declarations.models.get(&name.name);
        let of_family = own.is_none() && Family::find(&name.name).is_some();
        let (found, diagnostics) = if of_family {
            let entry = alone(&prior.toward);
            elaborate(&self.declarations, &self.known, &entry, None, Some(modes))
        } else {
            let entry = self.declarations.model(&name.name, name.span).map_err(|d| vec![d])?;
            elaborate(&self.declarations, &self.known, entry, Some(&prior.toward), Some(modes))
        };
        let errors: Vec<Diagnostic> = diagnostics.into_iter().filter(Diagnostic::is_error).collect();
        let Some(found) = found.filter(|_| errors.is_empty()) else { return Err(errors) };
        if found.modes.len() != modes.len() {
            return Err(vec![
                Diagnostic::new(Code::MBA225, format!("`{}` has other modes than the data", name.name))
                    .at(name.span, "leaned to here")
                    .help("leave its `over` out"),
            ]);
        }
        let mut found = found.in_order_of(modes);
        if of_family {
            // it says nothing of cells, and knows those of the model that leans to it
            found.support.clone_from(&model.support);
        }
        let own = self.lean_of(&found, modes, names)?.map(Box::new);
        Ok(Some(Lean { model: found, strength: prior.strength, prior: own, span: prior.span }))
    }
}

/// A model that consists of a family.
fn alone(call: &Call) -> ModelEntry {
    let kind = ModelItemKind::Family { call: call.clone(), over: None };
    let items = vec![ModelItem { kind, span: call.span }];
    let declaration = ModelDeclaration { name: call.name.clone(), params: None, over: None, items };
    ModelEntry { declaration: Arc::new(declaration), span: call.span, docs: Vec::new() }
}

impl Lean {
    /// A digest of the models it leans to and of how much.
    ///
    /// # Errors
    /// As [`saved::digest_of_model`].
    pub fn digest(&self) -> Result<String, String> {
        let own = saved::digest_of_model(&self.model)?;
        let more = self.prior.as_ref().map_or(Ok(String::new()), |p| p.digest())?;
        Ok(format!("{own} {:?} {more}", self.strength))
    }

    /// Fits `model` with its prior; the models it leans to are fitted first.
    ///
    /// # Errors
    /// As for any fit, of each of these models.
    pub fn fit(
        &self,
        model: &EnergyModel,
        tensor: &Tensor,
        work: &Work,
        observer: &mut dyn Observer,
    ) -> Result<Leaned, Vec<Diagnostic>> {
        let mut notes = Vec::new();
        let share = match self.strength {
            Strength::Share(share) => share,
            Strength::Mass(mass) => mass / tensor.total,
            Strength::Auto => {
                let share = self.choose(model, tensor, work)?;
                notes.push(self.chosen(model, share));
                share
            }
        };
        let values = self.values(tensor, work)?;
        let fit = finish(model, tensor, &values, share, work, observer)?;
        Ok(Leaned { fit, notes })
    }

    /// The note on what `auto` has chosen.
    fn chosen(&self, model: &EnergyModel, share: f64) -> Diagnostic {
        let label = model.regular.prior.as_ref().map_or(self.model.name.as_str(), |p| p.label.as_str());
        let percent = crate::model::mode::number_label((share * 1e4).round() / 100.0);
        let note =
            Diagnostic::new(Code::MBA575, format!("`{}` leans to `{label}` by {percent}%", model.name))
                .at(self.span, format!("of {} shares, it predicted best what was held out", SHARES.len()));
        let end = SHARES.first() == Some(&share) || SHARES.last() == Some(&share);
        note.help(if end {
            "it is the end of what was tried: ask whether the prior helps, with `hold_out`".to_string()
        } else {
            format!("write `prior {percent}% toward {label}` to keep it")
        })
    }

    /// What the simpler model says of every cell; nan where it does not know.
    fn values(&self, tensor: &Tensor, work: &Work) -> Result<Vec<f64>, Vec<Diagnostic>> {
        let mut observer = work.observer();
        let fit = match &self.prior {
            Some(prior) => prior.fit(&self.model, tensor, work, &mut observer)?.fit,
            None => {
                let schedule = compile(&self.model, tensor, work)?;
                run::execute(&schedule, &self.model, tensor, work.control, &mut observer)?
            }
        };
        if fit.status == Status::Stopped {
            return Err(vec![
                Diagnostic::new(Code::MBA510, format!("`{}` stopped before its tolerance", self.model.name))
                    .at(
                        self.span,
                        format!("leaned to here: marginal gap {:.1e}", fit.certificate.marginal_gap),
                    )
                    .help("allow more with `{ max_sweeps … }` after the fit, or accept a larger `tolerance`"),
            ]);
        }
        let limit = usize::try_from(work.memory / 8).unwrap_or(usize::MAX);
        let Some(table) = fit.distribution.dense(limit) else {
            return Err(vec![
                Diagnostic::new(
                    Code::MBA504,
                    "the pseudo-data of a prior are more than the memory budget holds",
                )
                .at(self.span, "one for every cell")
                .help("merge levels, or allow more with `--memory`"),
            ]);
        };
        let mut values = table.values;
        values.iter_mut().for_each(|q| *q *= fit.mass);
        if let Some(known) = fit.domain.as_ref().and_then(|d| d.cells()) {
            let open = values.iter_mut().zip(known).filter(|(_, k)| *k == Knowledge::Undetermined);
            open.for_each(|(x, _)| *x = f64::NAN);
        }
        Ok(values)
    }

    /// The share whose fit to nine tenths of the observed cells predicts the others best.
    fn choose(&self, model: &EnergyModel, tensor: &Tensor, work: &Work) -> Result<f64, Vec<Diagnostic>> {
        let sizes: Vec<usize> = tensor.modes.iter().map(Mode::size).collect();
        let all = Scope::all(sizes.len());
        let none = Mask { factors: Vec::new() };
        let seen = tensor.mask.as_deref().unwrap_or(&none).over(&all, &sizes).unwrap_or_else(|| Arc::new([]));
        let mut stream = Xoshiro256PlusPlus::seed_from_u64(work.seed ^ 0x7072_696f_7200);
        let kept: Vec<bool> = seen
            .iter()
            .map(|s| {
                let u = (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                !s || u >= INNER
            })
            .collect();
        let places: Vec<usize> = (0..kept.len()).filter(|k| seen[*k] && !kept[*k]).collect();
        let factor = Factor::new(all, sizes.clone(), kept, self.span);
        let rest = mask::hide(tensor, vec![factor], self.span)?;
        let values = self.values(&rest, work)?;
        let truth = {
            let mut out = vec![0.0; sizes.iter().product()];
            crate::report::results::for_each_cell(tensor, |cell, x| {
                out[cell.iter().zip(&sizes).fold(0, |k, (i, n)| k * n + i)] = x;
            });
            out
        };
        let mut best = (f64::INFINITY, SHARES[0]);
        for share in SHARES {
            // what comes of it is interrupted in its turn
            if work.stop.asked() {
                break;
            }
            let fit = finish(model, &rest, &values, share, work, &mut work.observer())?;
            let mut loss = crate::run::sum::Compensated::default();
            let mut cell = vec![0; sizes.len()];
            for k in &places {
                let mut left = *k;
                for (level, n) in cell.iter_mut().zip(&sizes).rev() {
                    *level = left % n;
                    left /= n;
                }
                // a cell that only a prior could determine counts against none of the shares
                if fit.domain.as_ref().is_some_and(|d| d.of(&cell) == Knowledge::Undetermined) {
                    continue;
                }
                let (x, m) = (truth[*k], fit.distribution.log_probability(&cell).exp() * fit.mass);
                loss.add(if x > 0.0 { x * (x / m).ln() - x + m } else { m });
            }
            if loss.value() < best.0 {
                best = (loss.value(), share);
            }
        }
        Ok(best.1)
    }
}

fn compile(
    model: &EnergyModel,
    tensor: &Tensor,
    work: &Work,
) -> Result<Arc<plan::Schedule>, Vec<Diagnostic>> {
    let options = plan::Options { memory: work.memory, ..plan::Options::default() };
    plan::compile(model, &plan::Profile::of(tensor), &options).map(Arc::new)
}

/// Fits a model to data and to pseudo-data that are worth a share of the observed total.
fn finish(
    model: &EnergyModel,
    tensor: &Tensor,
    values: &[f64],
    share: f64,
    work: &Work,
    observer: &mut dyn Observer,
) -> Result<Fit, Vec<Diagnostic>> {
    let schedule = compile(model, tensor, work)?;
    let mass: crate::run::sum::Compensated = values.iter().copied().filter(|x| x.is_finite()).collect();
    let exposure = share * tensor.total / mass.value();
    let pseudo = Pseudo { values: values.to_vec(), exposure };
    regular::execute(&schedule, model, tensor, Some(&pseudo), work.control, observer)
}
