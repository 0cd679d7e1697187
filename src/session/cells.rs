//! The cells of tensors: read or drawn once, when they are first asked for.

use std::sync::Arc;

use super::bind::{Bound, Origin, Sampling};
use super::{PlannedFit, Session};
use crate::data::{self, Storage, Tensor};
use crate::model::EnergyModel;
use crate::run;
use crate::text::{Code, Diagnostic};

impl Session {
    /// The cells of a tensor, read once.
    pub(super) fn read_tensor(&self, name: &str) -> Result<Arc<Tensor>, Vec<Diagnostic>> {
        self.read_tensor_before(name, None)
    }

    pub(super) fn read_tensor_before(
        &self,
        name: &str,
        onlooker: Option<&dyn data::Onlooker>,
    ) -> Result<Arc<Tensor>, Vec<Diagnostic>> {
        if let Some(known) = self.tensors.borrow().get(name) {
            return known.clone();
        }
        let read = match self.bound.get(name) {
            Some(bound) => self.read_bound(name, bound, onlooker),
            None => Err(Vec::new()),
        };
        self.tensors.borrow_mut().insert(name.to_string(), read.clone());
        read
    }

    fn read_bound(
        &self,
        name: &str,
        bound: &Bound,
        onlooker: Option<&dyn data::Onlooker>,
    ) -> Result<Arc<Tensor>, Vec<Diagnostic>> {
        match &bound.origin {
            Origin::Stored(request, header) => {
                let modes: Vec<_> = bound.modes.iter().filter_map(|m| self.known.get(m).cloned()).collect();
                let loaded = match onlooker {
                    Some(onlooker) => data::read_before(request, header, &modes, onlooker)?,
                    None => data::read(request, header, &modes)?,
                };
                let notices = loaded
                    .notes
                    .into_iter()
                    .map(|note| Diagnostic::new(Code::MBA424, note).at(request.span, "read here"));
                self.notices.borrow_mut().extend(notices);
                self.notices.borrow_mut().extend(self.never_observed(&loaded.tensor, &bound.modes));
                self.notices.borrow_mut().extend(hides_nothing(&loaded.tensor));
                Ok(Arc::new(loaded.tensor))
            }
            Origin::Sampled(sampling) => self.draw(name, bound, sampling).map(Arc::new),
        }
    }

    fn draw(&self, name: &str, bound: &Bound, sampling: &Sampling) -> Result<Tensor, Vec<Diagnostic>> {
        let model = self.sampled_model(sampling, bound)?;
        let options = crate::plan::Options { memory: self.options.memory, ..Default::default() };
        let seed = sampling.seed.unwrap_or(self.options.seed);
        let (count, span, limits) = (sampling.count, sampling.span, &self.limits());
        let drawn = if model.support.is_empty() {
            let draws = run::Draws { count, seed, row: 0, name: &model.name, span, limits };
            run::Distribution::from_fixed(&model, &options)?.sample_within(&draws)
        } else {
            run::Ensemble::new(Arc::new(model.clone()), limits.clone(), span)
                .and_then(|e| e.sample(count, seed, 0))
        };
        let sample = drawn.map_err(|d| vec![*d])?;
        let mut modes = model.modes;
        for (mode, bound_name) in modes.iter_mut().zip(&bound.modes) {
            mode.name.clone_from(bound_name);
        }
        Ok(Tensor {
            name: name.to_string(),
            modes,
            total: sampling.count as f64,
            counts: true,
            mask: None,
            storage: Arc::new(Storage::Sparse(sample)),
        })
    }

    /// Whether the fit that has a tensor read hears of the levels of a mode from elsewhere: from a prior, from neighbouring
    /// levels by smoothness, or from another tensor. Where that is not enough the fit itself says so, and so do
    /// fits that come later (MBA563).
    fn learns_elsewhere(&self, tensor: &str, mode: &str) -> bool {
        let position = |model: &EnergyModel| model.modes.iter().position(|m| m.name == mode);
        let elsewhere = |planned: &PlannedFit| {
            let smooth = &planned.model.regular.smooth;
            let other = planned.joint.iter().flat_map(|j| &j.names).any(|name| {
                name != tensor && self.bound.get(name).is_some_and(|b| b.modes.iter().any(|m| m == mode))
            });
            planned.model.regular.prior.is_some()
                || position(&planned.model).is_some_and(|m| smooth.iter().any(|s| s.along == m))
                || other
        };
        let of_tensor = |planned: &&PlannedFit| match &planned.joint {
            Some(joint) => joint.names.iter().any(|name| name == tensor),
            None => planned.tensor == tensor,
        };
        let mut fits = self.planned.iter().filter(of_tensor).peekable();
        fits.peek().is_some() && fits.all(elsewhere)
    }

    /// Levels of data that no observed cell has, and that nothing else tells of.
    fn never_observed(&self, tensor: &Tensor, modes: &[String]) -> Option<Diagnostic> {
        let mask = tensor.mask.as_ref()?;
        let sizes: Vec<usize> = tensor.modes.iter().map(crate::model::Mode::size).collect();
        let mut found = data::mask::never_observed(mask, &sizes);
        found.retain(|(m, _)| !self.learns_elsewhere(&tensor.name, &modes[*m]));
        unseen_levels(tensor, mask, &found)
    }
}

/// The report on levels that no observed cell has.
fn unseen_levels(tensor: &Tensor, mask: &data::Mask, found: &[(usize, usize)]) -> Option<Diagnostic> {
    const SHOWN: usize = 8;
    let name = |(m, level): &(usize, usize)| {
        format!("`{}: {}`", tensor.modes[*m].name, tensor.modes[*m].label(*level))
    };
    let shown: Vec<String> = found.iter().take(SHOWN).map(name).collect();
    let rest = if found.len() > SHOWN { format!(" and {} more", found.len() - SHOWN) } else { String::new() };
    let span = mask.factors.first()?.span;
    let are = if found.len() == 1 { "is" } else { "are" };
    (!found.is_empty()).then(|| {
        Diagnostic::new(
            Code::MBA452,
            format!("{}{rest} {are} never observed in `{}`", shown.join(", "), tensor.name),
        )
        .at(span, "hides every cell there")
        .help("nothing is known of these levels; check the mask, or leave their mode out of the tables")
    })
}

/// Parts of a mask that hide nothing whatever the values are: mistaken levels, as a rule.
fn hides_nothing(tensor: &Tensor) -> Vec<Diagnostic> {
    let factors = tensor.mask.iter().flat_map(|m| &m.factors);
    let some = factors.filter(|f| f.scope.len() < tensor.modes.len());
    let idle = some.filter(|f| !f.observed.contains(&false));
    idle.map(|f| {
        Diagnostic::new(Code::MBA460, format!("no cell of `{}` is hidden by this", tensor.name))
            .at(f.span, "every cell is observed by it")
            .help("check the levels it names, or remove it")
    })
    .collect()
}
