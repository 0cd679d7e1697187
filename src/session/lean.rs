//! `prior … toward M`: a simpler model that is fitted first, and counts as data.

use std::sync::Arc;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::{PlannedFit, Session, hold_out, told};
use crate::data::Tensor;
use crate::data::mask::{self, Factor};
use crate::model::declarations::ModelEntry;
use crate::model::family::Family;
use crate::model::{EnergyModel, Mode, Scope, Strength, elaborate};
use crate::plan::{self, joint};
use crate::report::{number, saved};
use crate::run::control::{Control, Observer};
use crate::run::joint::Joint;
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

/// The tolerance of models that are leaned to, unless a smaller one is asked for.
const LEANED: f64 = 1e-9;

/// What all fits on the way share.
#[derive(Clone, Copy)]
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
    /// How the fits on the way to a fit are made.
    pub(super) fn work<'a>(&'a self, planned: &'a PlannedFit) -> Work<'a> {
        let (memory, seed) = (self.options.memory, planned.seed);
        Work { control: &planned.control, memory, seed, stop: &self.options.stop }
    }

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

    /// The same for a tensor with these modes, by position, which has a part of the model.
    pub fn seen_by(&self, modes: &[usize]) -> Lean {
        let prior = self.prior.as_ref().map(|prior| Box::new(prior.seen_by(modes)));
        Lean { model: joint::alone(&self.model, modes), prior, ..self.clone() }
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
        let share = match self.share(tensor)? {
            Some(share) => share,
            None => {
                let inner = Inner::of(tensor, 0, self.span, work)?;
                let (values, _) = self.values(&inner.rest, work)?;
                let found = best_share(work, |share| {
                    let pseudo = Pseudo::worth(share, &inner.rest, values.clone());
                    let fit = finish(model, &inner.rest, &pseudo, work, &mut work.observer())?;
                    Ok(inner.loss(&fit))
                })?;
                notes.push(self.chosen(model, found));
                found.share
            }
        };
        let (values, stopped) = self.values(tensor, work)?;
        let pseudo = Pseudo::worth(share, tensor, values);
        let mut fit = finish(model, tensor, &pseudo, work, observer)?;
        if !stopped.is_empty() && fit.status != Status::Interrupted {
            // it is the optimum of something else
            fit.status = Status::Stopped;
        }
        notes.extend(stopped);
        Ok(Leaned { fit, notes })
    }

    /// The share of a tensor's observed total that its pseudo-data are worth; none where it has to be found.
    ///
    /// # Errors
    /// MBA373 where the sum of both would be that of the pseudo-data, to the last digit of a double.
    fn share(&self, tensor: &Tensor) -> Result<Option<f64>, Vec<Diagnostic>> {
        let share = match self.strength {
            Strength::Share(share) => share,
            Strength::Mass(mass) => mass / tensor.total,
            Strength::Auto => return Ok(None),
        };
        // data that are all zero are refused for that
        if share * f64::EPSILON < 1.0 || tensor.total <= 0.0 {
            return Ok(Some(share));
        }
        let message = format!("a prior of {share:.0e} times the data leaves nothing of `{}`", tensor.name);
        Err(vec![
            Diagnostic::new(Code::MBA373, message)
                .at(
                    self.span,
                    format!("beside it, the total of {} is less than rounding", number::number(tensor.total)),
                )
                .help(format!("lower the strength, or fit `{}` itself", self.model.name)),
        ])
    }

    /// The note on what `auto` has chosen, or on what it takes where it was asked to end before it had.
    fn chosen(&self, model: &EnergyModel, Choice { share, tried }: Choice) -> Diagnostic {
        let label = model.regular.prior.as_ref().map_or(self.model.name.as_str(), |p| p.label.as_str());
        let percent = crate::model::mode::number_label((share * 1e4).round() / 100.0);
        let all = SHARES.len();
        let why = match tried {
            0 => format!("the search was cut short before any of {all} shares was tried: it is the weakest"),
            1 => format!("the search was cut short after the first of {all} shares"),
            k if k < all => format!(
                "the search was cut short after {k} of {all} shares: of these, it predicted best what was held out"
            ),
            _ => format!("of {all} shares, it predicted best what was held out"),
        };
        let end = SHARES.first() == Some(&share) || SHARES.last() == Some(&share);
        let help = if tried < all {
            format!("give it more time, or choose the strength: `prior 5% toward {label}`")
        } else if end {
            "it is the end of what was tried: ask whether the prior helps, with `hold_out`".to_string()
        } else {
            format!("write `prior {percent}% toward {label}` to keep it")
        };
        Diagnostic::new(Code::MBA575, format!("`{}` leans to `{label}` by {percent}%", model.name))
            .at(self.span, why)
            .help(help)
    }

    /// What the simpler model says of every cell, nan where it does not know; and which fits stopped on the way to
    /// it. What they had then is leaned to, as where one is interrupted.
    fn values(&self, tensor: &Tensor, work: &Work) -> Result<(Vec<f64>, Vec<Diagnostic>), Vec<Diagnostic>> {
        // what pseudo-data are off by is in no certificate of the fit that leans to them
        let control = Control { tolerance: work.control.tolerance.min(LEANED), ..*work.control };
        let exact = Work { control: &control, ..*work };
        let mut observer = work.observer();
        let (fit, mut stopped) = match &self.prior {
            Some(prior) => {
                let leaned = prior.fit(&self.model, tensor, &exact, &mut observer)?;
                (leaned.fit, leaned.notes.into_iter().filter(|d| d.code == Code::MBA510).collect())
            }
            None => {
                let schedule = compile(&self.model, tensor, work)?;
                (run::execute(&schedule, &self.model, tensor, exact.control, &mut observer)?, Vec::new())
            }
        };
        let gap = fit.certificate.marginal_gap;
        // what only it leans to may have stopped, or it may have reached what was asked for
        if fit.status == Status::Stopped && gap > work.control.tolerance {
            stopped.push(
                Diagnostic::new(Code::MBA510, format!("`{}` stopped before its tolerance", self.model.name))
                    .at(self.span, format!("leaned to here: marginal gap {gap:.1e}"))
                    .note("what leans to it leans to its last sweep, and is not the optimum")
                    .help(match told::is_at_rest(gap, fit.iterations, work.control) {
                        true => told::AT_REST,
                        false => {
                            "allow more with `{ max_sweeps … }` after the fit, or accept a larger `tolerance`"
                        }
                    }),
            );
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
        run::vanishing(&fit, tensor, exact.control, work.stop).iter().for_each(|k| values[*k] = 0.0);
        if let Some(known) = fit.domain.as_ref().and_then(|d| d.cells()) {
            let open = values.iter_mut().zip(known).filter(|(_, k)| *k == Knowledge::Undetermined);
            open.for_each(|(x, _)| *x = f64::NAN);
        }
        Ok((values, stopped))
    }
}

/// Whether a model that is leaned to stopped before its tolerance, by what is worth saying of a prior.
pub fn stopped(notes: &[Diagnostic]) -> bool {
    notes.iter().any(|note| note.code == Code::MBA510)
}

/// A tensor in a joint fit, what multiplies its divergence, and what it leans to.
pub struct Leaning<'a> {
    /// The prior as it sees it.
    pub prior: &'a Lean,
    /// The data.
    pub tensor: Arc<Tensor>,
    /// What multiplies its divergence.
    pub weight: f64,
}

/// A joint fit to tensors and their pseudo-data.
pub type Trial<'a> =
    dyn FnMut(&[Arc<Tensor>], Vec<Pseudo>, &mut dyn Observer) -> Result<Joint, Vec<Diagnostic>> + 'a;

/// What a simpler model makes of each of several tensors, and what is worth saying of that. Where it has to be
/// found how much it counts, `fit` is asked for joint fits to fewer cells with such pseudo-data.
///
/// # Errors
/// As for any fit, of each of these models.
pub fn together(
    model: &EnergyModel,
    all: &[Leaning],
    work: &Work,
    fit: &mut Trial<'_>,
) -> Result<(Vec<Pseudo>, Vec<Diagnostic>), Vec<Diagnostic>> {
    let shares: Vec<Option<f64>> =
        all.iter().map(|own| own.prior.share(&own.tensor)).collect::<Result<_, _>>()?;
    let (shares, note) = match shares.into_iter().collect::<Option<Vec<f64>>>() {
        Some(shares) => (shares, None),
        None => {
            let inner = |(t, own): (usize, &Leaning)| Inner::of(&own.tensor, t, own.prior.span, work);
            let inner: Vec<Inner> = all.iter().enumerate().map(inner).collect::<Result<_, _>>()?;
            let rest: Vec<Arc<Tensor>> = inner.iter().map(|i| Arc::clone(&i.rest)).collect();
            let values = |(own, rest): (&Leaning, &Arc<Tensor>)| Ok(own.prior.values(rest, work)?.0);
            let values: Vec<Vec<f64>> =
                all.iter().zip(&rest).map(values).collect::<Result<_, Vec<Diagnostic>>>()?;
            let found = best_share(work, |share| {
                let worth = |(v, rest): (&Vec<f64>, &Arc<Tensor>)| Pseudo::worth(share, rest, v.clone());
                let pseudo = values.iter().zip(&rest).map(worth).collect();
                let joint = fit(&rest, pseudo, &mut work.observer())?;
                let each = all.iter().zip(&inner).zip(&joint.parts);
                Ok(each.map(|((own, inner), fit)| own.weight * inner.loss(fit)).sum())
            })?;
            (vec![found.share; all.len()], all.first().map(|own| own.prior.chosen(model, found)))
        }
    };
    let (mut pseudo, mut notes) = (Vec::new(), Vec::from_iter(note));
    for (own, share) in all.iter().zip(shares) {
        let (values, stopped) = own.prior.values(&own.tensor, work)?;
        pseudo.push(Pseudo::worth(share, &own.tensor, values));
        notes.extend(stopped);
    }
    Ok((pseudo, notes))
}

/// A tenth of the observed cells, drawn from a seed, and the others.
struct Inner {
    rest: Arc<Tensor>,
    sizes: Vec<usize>,
    /// The cells that are held out, and their values.
    held: Vec<(usize, f64)>,
}

impl Inner {
    /// For the tensor at this place in a fit; each has a stream of its own.
    fn of(tensor: &Tensor, place: usize, span: Span, work: &Work) -> Result<Inner, Vec<Diagnostic>> {
        let sizes: Vec<usize> = tensor.modes.iter().map(Mode::size).collect();
        let all = Scope::all(sizes.len());
        let seen = hold_out::observed(tensor)
            .ok_or_else(|| vec![hold_out::too_many(tensor, span, "write the strength of the prior")])?;
        let mut stream = Xoshiro256PlusPlus::seed_from_u64(work.seed ^ 0x7072_696f_7200);
        (0..place).for_each(|_| stream.jump());
        let kept: Vec<bool> = seen
            .iter()
            .map(|s| {
                let u = (stream.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                !s || u >= INNER
            })
            .collect();
        let mut values = vec![0.0; sizes.iter().product()];
        tensor.each_cell(|cell, x| {
            values[cell.iter().zip(&sizes).fold(0, |k, (i, n)| k * n + i)] = x;
        });
        let held = (0..kept.len()).filter(|k| seen[*k] && !kept[*k]).map(|k| (k, values[k])).collect();
        let factor = Factor::new(all, sizes.clone(), kept, span);
        let rest = Arc::new(mask::hide(tensor, vec![factor], span)?);
        Ok(Inner { rest, sizes, held })
    }

    /// The generalised divergence of the cells that are held out from what a fit to the others predicts.
    fn loss(&self, fit: &Fit) -> f64 {
        let mut loss = crate::numeric::sum::Compensated::default();
        let mut cell = vec![0; self.sizes.len()];
        for (k, x) in &self.held {
            let mut left = *k;
            for (level, n) in cell.iter_mut().zip(&self.sizes).rev() {
                *level = left % n;
                left /= n;
            }
            // a cell that only a prior could determine counts against none of the shares
            if fit.domain.as_ref().is_some_and(|d| d.of(&cell) == Knowledge::Undetermined) {
                continue;
            }
            let m = fit.distribution.log_probability(&cell).exp() * fit.mass;
            loss.add(if *x > 0.0 { x * (x / m).ln() - x + m } else { m });
        }
        loss.value()
    }
}

/// The share that `auto` takes.
#[derive(Debug, Clone, Copy)]
struct Choice {
    share: f64,
    /// How many shares were tried to the end.
    tried: usize,
}

/// The share whose fit predicts best, of those that were tried until the search was asked to end.
fn best_share(
    work: &Work,
    mut loss: impl FnMut(f64) -> Result<f64, Vec<Diagnostic>>,
) -> Result<Choice, Vec<Diagnostic>> {
    let (mut least, mut choice) = (f64::INFINITY, Choice { share: SHARES[0], tried: 0 });
    for share in SHARES {
        // what comes of it is interrupted in its turn
        if work.stop.asked() {
            break;
        }
        let loss = loss(share)?;
        // a fit that was interrupted says nothing of its share
        if work.stop.asked() {
            break;
        }
        choice.tried += 1;
        if loss < least {
            (least, choice.share) = (loss, share);
        }
    }
    Ok(choice)
}

fn compile(
    model: &EnergyModel,
    tensor: &Tensor,
    work: &Work,
) -> Result<Arc<plan::Schedule>, Vec<Diagnostic>> {
    let options = plan::Options { memory: work.memory, ..plan::Options::default() };
    plan::compile(model, &plan::Profile::of(tensor), &options).map(Arc::new)
}

/// Fits a model to data and to pseudo-data.
fn finish(
    model: &EnergyModel,
    tensor: &Tensor,
    pseudo: &Pseudo,
    work: &Work,
    observer: &mut dyn Observer,
) -> Result<Fit, Vec<Diagnostic>> {
    let schedule = compile(model, tensor, work)?;
    regular::execute(&schedule, model, tensor, Some(pseudo), work.control, observer)
}
