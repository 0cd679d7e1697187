//! Missing cells where the optimum lies on the boundary: zeros can send them to infinity, or leave them anywhere.

use super::identify::{self, Limit, Listed, limits};
use super::newton::{minimise, near_zero, vanishing};
use super::regular::{every, left_free, values};
use super::rows::{Rows, Tables, base, smooth};
use super::{Domain, Knowledge};
use crate::data::Tensor;
use crate::model::{EnergyModel, Scope};
use crate::run::control::{Control, Silent, Stop, Stoppable};
use crate::run::distribution::Distribution;
use crate::run::fit::Fit;
use crate::run::kernel::{combine, plus};
use crate::run::projection::Projection;
use crate::run::statistic;

/// Most cells of a tensor of which numbers are listed to find out.
const FEW: usize = 1 << 22;

/// Share of its mass, times the number of cells, of a cell that is well above zero.
const ROUNDED: f64 = 1e-7;

/// What becomes of the cells with a row, row-major.
#[derive(Debug, Clone, Default)]
pub struct Face {
    /// Their fitted values stay positive.
    pub stay: Vec<bool>,
    /// They tend to zero.
    pub vanish: Vec<bool>,
    /// Whether some of these tend to zero though no marginal of theirs is zero.
    pub hidden: bool,
    /// Whether there are so many that those near zero are taken to vanish.
    pub rough: bool,
}

impl Face {
    /// The face that a fit to the observed cells comes near, which fits `mass` to all cells of its distribution and ended
    /// with a marginal gap. None where no cell vanishes. O(cells × tables), and as much for every Newton step where
    /// cells are near zero that are so by no marginal.
    ///
    /// # Errors
    /// When it was asked to stop.
    pub fn of(
        domain: &Domain,
        (model, tables): (&EnergyModel, &Tables),
        tensor: &Tensor,
        (fitted, mass, gap): (&Distribution, f64, f64),
        control: &Control,
        stop: &Stop,
    ) -> Result<Option<Face>, String> {
        let cells = domain.sizes.iter().try_fold(1usize, |k, n| k.checked_mul(*n));
        if cells.is_none_or(|n| n > FEW) {
            return Ok(Self::roughly(domain, fitted));
        }
        let Some(known) = domain.cells() else { return Ok(None) };
        let empty = empty(tensor, &domain.sizes);
        let logs = logarithms(fitted, &domain.sizes);
        let gone = |k: usize| empty[k] && logs[k] == f64::NEG_INFINITY;
        let observed = |k: &usize| known[*k] == Knowledge::Observed;
        let mark = |wanted: bool| (0..known.len()).map(|k| observed(&k) && gone(k) == wanted).collect();
        let mut face = Face { stay: mark(false), vanish: mark(true), ..Face::default() };
        // as `vanishing` asks, before rows are made for it
        let scopes: Vec<(&Scope, usize)> = tables.blocks.iter().map(|b| (&b.scope, b.place.len())).collect();
        let shares = statistic::gather(tensor, &scopes).map_or_else(Vec::new, |found| found.tables);
        let largest = shares.iter().flatten().fold(0.0f64, |m, p| m.max(*p)) * tensor.total;
        let least = near_zero(gap.max(control.tolerance), largest).ln() - level(fitted, mass);
        if (0..known.len()).any(|k| face.stay[k] && empty[k] && logs[k] < least) {
            face.look_closer((model, tables), tensor, (fitted, mass, gap), control, stop)?;
        }
        Ok(face.vanish.contains(&true).then_some(face))
    }

    /// The same of many cells: those near zero are taken to vanish. None where masks do not look at all modes.
    fn roughly(domain: &Domain, fitted: &Distribution) -> Option<Face> {
        if domain.modes.len() < domain.sizes.len() {
            return None;
        }
        let count = domain.observed.iter().filter(|o| **o).count().max(1);
        let least = (ROUNDED / count as f64).ln();
        let (mut stay, mut vanish) = (domain.observed.to_vec(), vec![false; domain.observed.len()]);
        let mut cell = vec![0; domain.sizes.len()];
        for k in (0..stay.len()).filter(|k| domain.observed[*k]) {
            let mut rest = k;
            for (level, n) in cell.iter_mut().zip(&domain.sizes).rev() {
                *level = rest % n;
                rest /= n;
            }
            stay[k] = fitted.log_probability(&cell) > least;
            vanish[k] = !stay[k];
        }
        let some = vanish.contains(&true);
        some.then_some(Face { stay, vanish, hidden: false, rough: true })
    }

    /// Takes from the cells that stay those that leave for zero though no marginal of theirs is zero.
    fn look_closer(
        &mut self,
        (model, tables): (&EnergyModel, &Tables),
        tensor: &Tensor,
        (fitted, mass, gap): (&Distribution, f64, f64),
        control: &Control,
        stop: &Stop,
    ) -> Result<(), String> {
        let mut weight = base(model);
        weight.iter_mut().zip(&self.stay).filter(|(_, stays)| !**stays).for_each(|(w, _)| *w = 0.0);
        let sizes: Vec<usize> = model.modes.iter().map(|m| m.size()).collect();
        let rows = Rows::new(model, tables, &values(tensor, &sizes), &weight);
        let (parameters, gap) = match parameters(tables, fitted, mass) {
            Some(parameters) => (parameters, gap),
            None => {
                let mut observer = Stoppable { inner: Box::new(Silent), stop: stop.clone() };
                let found = minimise(tables, &rows, &[], control, &mut observer);
                (found.parameters, found.gap)
            }
        };
        if let Some(down) = vanishing((tables, &rows, &[]), (&parameters, gap), control, stop)? {
            self.hidden = true;
            for (k, down) in rows.cells.iter().zip(down) {
                (self.stay[*k], self.vanish[*k]) = (!down, down);
            }
        }
        Ok(())
    }

    /// Settles which missing cells have a limit on this face, and for which it is zero. Cells with a row have one.
    pub fn settle(&self, domain: &mut Domain, (model, tables): (&EnergyModel, &Tables), stop: &Stop) {
        domain.widen(&Scope::all(domain.sizes.len()));
        let cells = domain.possible.len();
        let mut asked: Vec<bool> = (0..cells).map(|k| domain.at(k) == Knowledge::Missing).collect();
        asked.iter_mut().zip(self.stay.iter().zip(&self.vanish)).for_each(|(a, (s, v))| *a &= !s && !v);
        if asked.contains(&true)
            && let Err(reason) = self.ask(&mut asked, domain, (model, tables), stop)
        {
            domain.unsettled = Some(reason);
        }
        if !self.rough {
            domain.vanishing.extend(listed(&self.vanish));
        }
        if asked.contains(&true) {
            let both = domain.determined.to_vec().into_iter().zip(asked);
            domain.determined = both.map(|(d, open)| d && !open).collect();
        }
    }

    /// Leaves only those marked that have no limit.
    fn ask(
        &self,
        asked: &mut [bool],
        domain: &mut Domain,
        (model, tables): (&EnergyModel, &Tables),
        stop: &Stop,
    ) -> Result<(), String> {
        if model.regular.ties.is_empty() {
            // most are determined by cells that stay, which is quicker to find
            let class = left_free(model, tables);
            let (sizes, modes) = (&domain.sizes, &domain.modes);
            let found = identify::identify(&class, sizes, modes, &self.stay, stop)?.determined;
            match found {
                Some(found) => asked.iter_mut().zip(found).for_each(|(a, f)| *a &= !f),
                None => asked.fill(false),
            }
        }
        let open: Vec<usize> = listed(asked).collect();
        if open.is_empty() || self.rough {
            return Ok(());
        }
        let (smooth, columns) = smooth(model, tables);
        let every = every(model, tables);
        let (own, vanish): (Vec<usize>, Vec<usize>) =
            (listed(&self.stay).collect(), listed(&self.vanish).collect());
        let stay = |r: usize| match r.checked_sub(own.len()) {
            None => every.columns_of(own[r]),
            Some(r) => smooth[r].clone(),
        };
        let found = limits(
            Listed { count: own.len() + smooth.len(), of: &stay },
            Listed { count: vanish.len(), of: &|r| every.columns_of(vanish[r]) },
            columns,
            Listed { count: open.len(), of: &|r| every.columns_of(open[r]) },
            stop,
        )?;
        for (k, limit) in open.into_iter().zip(found) {
            asked[k] = limit == Limit::None;
            if limit == Limit::Zero {
                domain.vanishing.push(k);
            }
        }
        Ok(())
    }
}

/// Cells whose fitted values tend to zero though the numbers are not, row-major; those of a fit with smoothness, ties or a
/// prior only where cells are missing. Cost as [`Face::of`].
pub fn of_fit(fit: &Fit, tensor: &Tensor, control: &Control, stop: &Stop) -> Vec<usize> {
    let known = fit.domain.as_deref();
    if let Some(domain) = known.filter(|d| !d.vanishing.is_empty()) {
        return domain.vanishing.clone();
    }
    let regular = &fit.model.regular;
    if !regular.smooth.is_empty() || !regular.ties.is_empty() || regular.prior.is_some() {
        return Vec::new();
    }
    let all = || Domain::new(&fit.model, tensor.mask.as_ref()).ok();
    let Some(domain) = known.cloned().or_else(all) else { return Vec::new() };
    let tables = Tables::of(&fit.model);
    let found = (&fit.distribution, fit.mass, fit.certificate.marginal_gap);
    let face = Face::of(&domain, (&fit.model, &tables), tensor, found, control, stop);
    let face = face.ok().flatten().filter(|face| !face.rough);
    face.map_or_else(Vec::new, |face| listed(&face.vanish).collect())
}

/// The places that are marked.
fn listed(marks: &[bool]) -> impl Iterator<Item = usize> {
    marks.iter().enumerate().filter(|(_, marked)| **marked).map(|(k, _)| k)
}

/// What is added to the sum of the potentials where `mass` is fitted.
fn level(fitted: &Distribution, mass: f64) -> f64 {
    mass.ln() - fitted.log_mass.iter().sum::<f64>()
}

/// Which cells have no data, row-major.
fn empty(tensor: &Tensor, sizes: &[usize]) -> Vec<bool> {
    let mut empty = vec![true; sizes.iter().product()];
    tensor.each_cell(|cell, x| empty[cell.iter().zip(sizes).fold(0, |k, (i, n)| k * n + i)] &= x <= 0.0);
    empty
}

/// The sum of all potentials of every cell, those with fixed energies as well, row-major. O(cells × tables).
fn logarithms(fitted: &Distribution, sizes: &[usize]) -> Vec<f64> {
    let all = Scope::all(sizes.len());
    let mut logs = vec![0.0; sizes.iter().product()];
    for table in &fitted.potentials {
        combine(&Projection::between(&all, sizes, &table.scope), &mut logs, &table.values, plus);
    }
    for table in &fitted.energies {
        let own: Vec<f64> = table.values.iter().map(|e| -e / fitted.temperature).collect();
        combine(&Projection::between(&all, sizes, &table.scope), &mut logs, &own, plus);
    }
    logs
}

/// The potentials of a distribution that fits `mass`, as parameters; none when it has other tables.
fn parameters(tables: &Tables, fitted: &Distribution, mass: f64) -> Option<Vec<f64>> {
    if fitted.potentials.len() != tables.blocks.len() {
        return None;
    }
    let mut out = vec![0.0; tables.parameters];
    let level = level(fitted, mass);
    for (b, block) in tables.blocks.iter().enumerate() {
        let table = fitted.potentials.iter().find(|t| t.scope == block.scope && t.shape == block.shape)?;
        let level = if b == 0 { level } else { 0.0 };
        for (place, value) in block.place.iter().zip(&table.values) {
            // what is gone is in no row that stays
            out[*place as usize] = if value.is_finite() { value + level } else { 0.0 };
        }
    }
    Some(out)
}
