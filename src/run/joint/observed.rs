//! Which cells of each tensor are observed, for a fit that lists none of them.

use std::sync::Arc;

use num_bigint::BigUint;

use super::determined::{Cells, settle};
use super::{Domain, Part, Problem, Solution, finite};
use crate::data::mask::LISTED;
use crate::model::{EnergyModel, Potential, Scope, Table};
use crate::plan::joint::Layout;
use crate::plan::rows::Tables;
use crate::plan::schedule::Together;
use crate::run::control::{Control, Stop};
use crate::run::execute::has_zeros;
use crate::run::masked::newton::vanishing;
use crate::text::Diagnostic;

/// Most cells of all tensors that are listed to find out which vanish.
const FEW: usize = 1 << 22;

/// Largest share of its tensor, times the number of observed cells, of a cell that only rounding and the tolerance keep
/// above zero.
const ROUNDED: f64 = 1e-7;

/// The tensors of a fit with their masks.
pub(super) struct Observed {
    /// What is known of the cells of each.
    pub domains: Vec<Domain>,
    /// The same without their masks.
    bare: Vec<Domain>,
    /// Whether some cell of some tensor is missing.
    pub masked: bool,
    stop: Stop,
}

impl Observed {
    /// O(cells that masks and conditions look at).
    ///
    /// # Errors
    /// As [`Domain::new`].
    pub fn of(parts: &[Part]) -> Result<Self, Vec<Diagnostic>> {
        let (mut domains, mut bare) = (Vec::new(), Vec::new());
        for part in parts {
            let mask = part.tensor.mask.as_ref();
            domains.push(Domain::new(&part.model, mask)?);
            bare.push(Domain::new(&part.model, None)?);
        }
        let masked = parts.iter().any(|p| p.tensor.mask.is_some());
        Ok(Self { domains, bare, masked, stop: Stop::default() })
    }

    /// Settles what is determined, and the dimension of the model on the observed cells.
    pub fn settle(
        &mut self,
        layout: &Layout,
        parts: &[Part],
        work: &Together,
        stop: &Stop,
    ) -> Result<BigUint, String> {
        self.stop = stop.clone();
        let own = (layout.own.as_slice(), layout.tables.parameters);
        let modes: Vec<&[usize]> = parts.iter().map(|p| p.modes.as_slice()).collect();
        let found = settle(&mut self.domains, (&self.bare, &modes), own, stop);
        if let Err(reason) = &found {
            unsettled(&mut self.domains, reason);
        }
        let many = || "the model has too many interactions for its parameters to be counted".into();
        found?.or_else(|| work.dimension.clone()).ok_or_else(many)
    }

    /// Parameters of tables, and not of levels, without mass in any tensor although some observed cell has them.
    pub fn without_mass(&self, layout: &Layout, target: &[f64]) -> Vec<bool> {
        let mut gone = vec![false; target.len()];
        for (domain, own) in self.domains.iter().zip(&layout.own) {
            for block in own.blocks.iter().filter(|b| !b.scope.is_empty()) {
                let empty = |p: &u32| target[*p as usize] <= 0.0;
                if !block.place.iter().any(empty) {
                    continue;
                }
                let unseen = domain.unseen(&block.scope);
                for (p, _) in block.place.iter().zip(unseen).filter(|(p, unseen)| empty(p) && !unseen) {
                    gone[*p as usize] = true;
                }
            }
        }
        gone
    }

    /// Zeros can send a missing cell to infinity, or leave it anywhere: settles which have a limit. `boundary` says whether
    /// some cells are known to vanish; the answer, whether some are now. Few cells are listed when some are near zero.
    /// Of many only those count as determined that others determine which are well above zero. O(cells of tensors with zeros × tables).
    ///
    /// # Errors
    /// As of any fit.
    pub fn at_boundary(
        &mut self,
        (model, layout): (&EnergyModel, &Layout),
        parts: &[Part],
        (solution, gone): (&Solution, &[bool]),
        boundary: bool,
        control: &Control,
    ) -> Result<bool, Vec<Diagnostic>> {
        let sizes = self.domains.iter().map(|d| {
            let cells = d.sizes.iter().try_fold(1usize, |k, n| k.checked_mul(*n));
            (d.modes.len() == d.sizes.len(), cells.unwrap_or(usize::MAX))
        });
        let (whole, cells) =
            sizes.fold((false, 0usize), |(w, n), (whole, cells)| (w || whole, n.saturating_add(cells)));
        let zeros = || parts.iter().zip(&self.domains).any(|(part, d)| has_zeros(&part.tensor, d));
        if !(whole || boundary) || solution.interrupted || !zeros() {
            return Ok(boundary);
        }
        if cells > FEW {
            self.roughly((layout, parts), &solution.parameters, boundary);
            return Ok(boundary);
        }
        let problem = Problem::new(model, layout, parts, self.stop.clone())?;
        let mut rows = problem.rows(layout, false);
        for group in &mut rows.groups {
            group.retain(|row| row.iter().all(|p| !gone[*p as usize]));
        }
        let parameters = finite(&solution.parameters);
        let ended = (parameters.as_slice(), solution.gap);
        match vanishing((&layout.tables, &rows, &[]), ended, control, &self.stop) {
            Ok(down) => {
                if gone.contains(&true) || down.is_some() {
                    super::identify::at_boundary(&problem, (down.as_deref(), gone), &mut self.domains);
                }
                Ok(boundary || down.is_some())
            }
            Err(reason) => {
                self.domains.iter_mut().for_each(|d| d.give_up(reason.clone()));
                Ok(boundary)
            }
        }
    }

    /// As [`Observed::at_boundary`], of many cells.
    fn roughly(&mut self, (layout, parts): (&Layout, &[Part]), parameters: &[f64], boundary: bool) {
        let mut kept = self.domains.clone();
        let mut fewer = false;
        for (((part, own), domain), bare) in parts.iter().zip(&layout.own).zip(&mut kept).zip(&mut self.bare)
        {
            if !has_zeros(&part.tensor, domain) {
                continue;
            }
            let cells = domain.sizes.iter().try_fold(1usize, |k, n| k.checked_mul(*n));
            match cells.filter(|n| *n <= LISTED) {
                Some(_) => fewer |= keep(domain, (part, own), parameters),
                // nothing of it is taken for granted
                None if boundary => {
                    domain.observed = vec![false; domain.observed.len()].into();
                    fewer = true;
                }
                None => continue,
            }
            // its cells do not span what all do
            *bare = domain.clone();
        }
        if !fewer {
            return;
        }
        let own = (layout.own.as_slice(), layout.tables.parameters);
        let modes: Vec<&[usize]> = parts.iter().map(|p| p.modes.as_slice()).collect();
        if let Err(reason) = settle(&mut kept, (&self.bare, &modes), own, &self.stop) {
            return unsettled(&mut self.domains, &reason);
        }
        let all = self.domains.iter_mut().zip(kept).zip(parts);
        for ((domain, kept), _) in all.filter(|(_, part)| part.tensor.mask.is_some()) {
            combine(domain, kept);
        }
    }
}

/// The model of a tensor on its observed cells: masks and conditions are potentials.
pub(super) fn restricted(part: &Part) -> EnergyModel {
    let factors = part.tensor.mask.iter().flat_map(|m| &m.factors);
    part.model.on_support(factors.map(|f| (Arc::new(f.support()), f.span)))
}

/// Keeps what stays above zero of the observed cells; whether they are fewer.
fn keep(domain: &mut Domain, (part, own): (&Part, &Tables), parameters: &[f64]) -> bool {
    domain.widen(&Scope::all(domain.sizes.len()));
    let count = domain.observed.iter().filter(|o| **o).count().max(1);
    let least = (ROUNDED / count as f64 * part.tensor.total * part.weight).ln();
    let cells = Cells::new(own, &domain.sizes);
    let fixed: Vec<&Table> = part
        .model
        .interactions
        .iter()
        .filter_map(|i| match &i.potential {
            Potential::Fixed(table) => Some(&**table),
            _ => None,
        })
        .collect();
    let stays = |k: usize| {
        let levels = || crate::model::table::cell_at(&domain.sizes, k);
        let energy: f64 = match fixed.is_empty() {
            true => 0.0,
            false => fixed.iter().map(|t| crate::run::distribution::value_at(t, &levels())).sum(),
        };
        let log: f64 = cells.parameters(k).map(|p| parameters[p]).sum();
        log - energy / part.model.temperature > least
    };
    let kept: Vec<bool> = domain.observed.iter().enumerate().map(|(k, o)| *o && stays(k)).collect();
    let fewer = kept != *domain.observed;
    domain.observed = kept.into();
    fewer
}

/// Leaves what was determined only where it is by what is kept.
fn combine(domain: &mut Domain, mut kept: Domain) {
    if kept.determined.is_always() {
        return;
    }
    let modes = domain.modes.union(&kept.modes);
    domain.widen(&modes);
    kept.widen(&modes);
    let both = domain.determined.to_vec().into_iter().zip(kept.determined.to_vec());
    domain.determined = both.map(|(d, kept)| d && kept).collect();
}

/// Notes why it is not known which cells are determined.
fn unsettled(domains: &mut [Domain], reason: &str) {
    domains.iter_mut().filter(|d| d.gaps()).for_each(|d| d.unsettled = Some(reason.into()));
}
