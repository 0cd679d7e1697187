//! Missing cells where the optimum lies on the boundary: zeros can send them to infinity, or leave them anywhere.

use super::identify::{self, Limit, Listed, limits};
use super::newton::{minimise, near_zero, vanishing};
use super::regular::{every, left_free, marked, values};
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

/// Most cells of a tensor that are listed to find out.
const LISTED: usize = 1 << 24;

/// The cells with a row, row-major: those whose fitted values stay positive, and those that tend to zero.
#[derive(Debug, Clone, Default)]
pub struct Face {
    /// Positive in the limit.
    pub stay: Vec<usize>,
    /// Zero in the limit.
    pub vanish: Vec<usize>,
    /// Whether some of these tend to zero though no marginal of theirs is zero.
    pub hidden: bool,
}

impl Face {
    /// The face that a fit to the observed cells comes near, which fits `mass` to all cells of its distribution and ended
    /// with a marginal gap. None where no cell vanishes, and where cells are too many to be listed. O(cells × tables), and
    /// as much for every Newton step where cells are near zero that are so by no marginal.
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
        let Some(known) = cells.filter(|n| *n <= LISTED).and_then(|_| domain.cells()) else {
            return Ok(None);
        };
        let data = values(tensor, &domain.sizes);
        let logs = logarithms(fitted, &domain.sizes);
        let observed = (0..known.len()).filter(|k| known[*k] == Knowledge::Observed);
        let (vanish, stay) = observed.partition(|k| data[*k] <= 0.0 && logs[*k] == f64::NEG_INFINITY);
        let mut face = Face { stay, vanish, hidden: false };
        // as `vanishing` asks, before rows are made for it
        let scopes: Vec<(&Scope, usize)> = tables.blocks.iter().map(|b| (&b.scope, b.place.len())).collect();
        let shares = statistic::gather(tensor, &scopes).map_or_else(Vec::new, |found| found.tables);
        let largest = shares.iter().flatten().fold(0.0f64, |m, p| m.max(*p)) * tensor.total;
        let least = near_zero(gap.max(control.tolerance), largest).ln() - level(fitted, mass);
        let weight = base(model);
        if face.stay.iter().any(|k| data[*k] <= 0.0 && logs[*k] + weight[*k].ln() < least) {
            face.look_closer((model, tables), (&data, weight), (fitted, mass, gap), control, stop)?;
        }
        Ok((!face.vanish.is_empty()).then_some(face))
    }

    /// Takes from the cells that stay those that leave for zero though no marginal of theirs is zero.
    fn look_closer(
        &mut self,
        (model, tables): (&EnergyModel, &Tables),
        (data, mut weight): (&[f64], Vec<f64>),
        (fitted, mass, gap): (&Distribution, f64, f64),
        control: &Control,
        stop: &Stop,
    ) -> Result<(), String> {
        let stays = marked(&self.stay, weight.len());
        weight.iter_mut().zip(stays).filter(|(_, stays)| !stays).for_each(|(w, _)| *w = 0.0);
        let rows = Rows::new(model, tables, data, &weight);
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
            let of = |wanted: bool| {
                let cells = rows.cells.iter().zip(&down).filter(move |(_, down)| **down == wanted);
                cells.map(|(k, _)| *k)
            };
            self.vanish.extend(of(true));
            self.stay = of(false).collect();
        }
        Ok(())
    }

    /// Settles which missing cells have a limit on this face, and for which it is zero. Cells with a row have one.
    pub fn settle(&self, domain: &mut Domain, (model, tables): (&EnergyModel, &Tables), stop: &Stop) {
        domain.widen(&Scope::all(domain.sizes.len()));
        let cells = domain.possible.len();
        let mut asked: Vec<bool> = (0..cells).map(|k| domain.at(k) == Knowledge::Missing).collect();
        self.stay.iter().chain(&self.vanish).for_each(|k| asked[*k] = false);
        if asked.contains(&true)
            && let Err(reason) = self.ask(&mut asked, domain, (model, tables), stop)
        {
            domain.unsettled = Some(reason);
        }
        domain.vanishing.extend(&self.vanish);
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
            let stay = marked(&self.stay, asked.len());
            let class = left_free(model, tables);
            let found = identify::identify(&class, &domain.sizes, &domain.modes, &stay, stop)?.determined;
            match found {
                Some(found) => asked.iter_mut().zip(found).for_each(|(a, f)| *a &= !f),
                None => asked.fill(false),
            }
        }
        let open: Vec<usize> = (0..asked.len()).filter(|k| asked[*k]).collect();
        if open.is_empty() {
            return Ok(());
        }
        let (smooth, columns) = smooth(model, tables);
        let every = every(model, tables);
        let stay = |r: usize| match r.checked_sub(self.stay.len()) {
            None => every.columns_of(self.stay[r]),
            Some(r) => smooth[r].clone(),
        };
        let found = limits(
            Listed { count: self.stay.len() + smooth.len(), of: &stay },
            Listed { count: self.vanish.len(), of: &|r| every.columns_of(self.vanish[r]) },
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
    face.ok().flatten().map_or_else(Vec::new, |face| face.vanish)
}

/// What is added to the sum of the potentials where `mass` is fitted.
fn level(fitted: &Distribution, mass: f64) -> f64 {
    mass.ln() - fitted.log_mass.iter().sum::<f64>()
}

/// The sum of the potentials of every cell, row-major. O(cells × tables).
fn logarithms(fitted: &Distribution, sizes: &[usize]) -> Vec<f64> {
    let all = Scope::all(sizes.len());
    let mut logs = vec![0.0; sizes.iter().product()];
    for table in &fitted.potentials {
        combine(&Projection::between(&all, sizes, &table.scope), &mut logs, &table.values, plus);
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
