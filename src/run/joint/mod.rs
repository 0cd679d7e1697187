//! Fits to several tensors with shared tables.
//!
//! Tensor t has the model ln Q_t = κ_t + Σ λ_c over the tables c whose modes it has, and what is minimised is
//! Σ_t w_t Σ_Ω x ln(x / Q_t) − x + Q_t over the observed cells of each. That is convex. Since every tensor has a
//! level κ_t of its own, a weight w is the same as data multiplied by w, and every total is matched. Pseudo-data of
//! a prior are added to those of each tensor, over all of its cells.
//! Non-negative multiple matrix factorisation is the case of rank one (Ghalamkari and Sugiyama 2022, arXiv
//! 2110.12595).

mod closed;
mod contracted;
mod design;
mod determined;
mod identify;
mod observed;

use std::sync::Arc;

use num_bigint::BigUint;

use self::design::Joined;
use super::control::{Control, Observer, Stop};
use super::fit::{Certificate, Counters, Fit, Status, ZeroMarginals};
use super::masked::newton::{Design, Penalty, gone, minimise_from, vanishing};
use super::masked::regular::{Measured, Pseudo, distribution, measure, values, zeros};
use super::masked::rows::{Rows, base};
use super::masked::{Domain, Knowledge, contradiction};
use super::sum::Compensated;
use crate::data::{TOTALS, Tensor};
use crate::model::{EnergyModel, Scope, Table};
use crate::plan::Schedule;
use crate::plan::joint::Layout;
use crate::plan::method::Solver;
use crate::plan::rows::Tables;
use crate::text::{Code, Diagnostic};

/// A tensor of a joint fit.
#[derive(Debug, Clone)]
pub struct Part {
    /// The data.
    pub tensor: Arc<Tensor>,
    /// The model as it sees it.
    pub model: Arc<EnergyModel>,
    /// Its modes by position in the whole model.
    pub modes: Vec<usize>,
    /// What multiplies its divergence.
    pub weight: f64,
    /// What a simpler model says of its cells, on its own scale.
    pub pseudo: Option<Arc<Pseudo>>,
}

impl Part {
    /// What the pseudo-data count for at a cell, and their value there.
    fn lean(&self, k: usize) -> Option<(f64, f64)> {
        let pseudo = self.pseudo.as_ref()?;
        pseudo.values.get(k).filter(|x| x.is_finite()).map(|x| (pseudo.exposure, *x))
    }
}

/// What a joint fit returns.
#[derive(Debug, Clone)]
pub struct Joint {
    /// The model over the modes of all tensors.
    pub model: Arc<EnergyModel>,
    /// The program that was run.
    pub schedule: Arc<Schedule>,
    /// Σ w D over the tensors, in nats on the scale of the data.
    pub divergence: f64,
    /// Σ w S: the observed totals.
    pub total: f64,
    /// Observed cells of all tensors.
    pub observed: BigUint,
    /// The dimension of the model on them, the level of each tensor included, or why it is not known.
    pub rank: Result<BigUint, String>,
    /// How it ended.
    pub solution: Solution,
    /// The status.
    pub status: Status,
    /// How far it is from the optimum; the bound is in nats per unit of `total`.
    pub certificate: Certificate,
    /// Cells of tables without mass in any tensor.
    pub zero_marginals: Vec<ZeroMarginals>,
    /// The work that was done.
    pub counters: Counters,
    /// The fit of each tensor.
    pub parts: Vec<Arc<Fit>>,
    /// What each of them leaned to.
    pub pseudo: Vec<Option<Arc<Pseudo>>>,
}

/// The numbers a joint fit ends with; the rest follows from them and the data.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// λ of every table, −∞ where there is no mass, then the level of every tensor, of its data times its weight.
    pub parameters: Vec<f64>,
    /// The largest marginal gap of a table, relative to its largest cell.
    pub gap: f64,
    /// A bound on what is left to gain, in nats on the scale of the weighted data, or why there is none.
    pub bound: Result<f64, String>,
    /// Sweeps and Newton steps.
    pub iterations: usize,
    /// Whether it ended before its tolerance.
    pub stopped: bool,
    /// Whether the observer asked to end.
    pub interrupted: bool,
    /// Passes over the cells.
    pub passes: usize,
}

impl Solution {
    /// Whether it is that of the fit, rather than where one stopped.
    pub fn done(&self) -> bool {
        !self.stopped && !self.interrupted
    }

    /// What it proves, for data of this total with their weights: the bound is per unit of that.
    fn certificate(&self, total: f64) -> Certificate {
        Certificate {
            marginal_gap: self.gap,
            optimality_gap: self.bound.as_ref().ok().map(|b| b / total),
            reason: self.bound.as_ref().err().cloned(),
        }
    }
}

/// Everything a solution is read against.
struct Problem<'a> {
    model: &'a EnergyModel,
    layout: &'a Layout,
    parts: &'a [Part],
    /// The data of each tensor times its weight, row-major.
    data: Vec<Vec<f64>>,
    /// Which cells are observed.
    domains: Vec<Domain>,
    /// exp(−E/T) of the fixed potentials, 0 where a cell is impossible.
    possible: Vec<Vec<f64>>,
    observed: Vec<Vec<bool>>,
    /// Whether to end early.
    stop: Stop,
}

/// Where a joint fit begins.
#[derive(Debug, Clone)]
pub enum Start {
    /// From tables of one.
    Afresh,
    /// Where an earlier run of the same fit ended.
    From(Solution),
    /// At these numbers, which are the result.
    At(Solution),
}

/// Fits a model to several tensors, or says what follows from the numbers that such a fit has ended with.
///
/// # Errors
/// As [`crate::run::execute`], of each tensor.
pub fn execute(
    (schedule, layout): (&Arc<Schedule>, &Layout),
    model: &Arc<EnergyModel>,
    parts: &[Part],
    control: &Control,
    observer: &mut dyn Observer,
    start: Start,
) -> Result<Joint, Vec<Diagnostic>> {
    for part in parts {
        contradiction(&part.model, &part.tensor)?;
        if part.tensor.total <= 0.0 {
            let message = format!("`{}` has no mass to fit `{}` to", part.tensor.name, model.name);
            return Err(vec![Diagnostic::new(Code::MBA502, message).help("check which cells are observed")]);
        }
    }
    let weighted: f64 = parts.iter().map(|p| p.weight * p.tensor.total).sum();
    let outside = |mass: f64| !TOTALS.contains(&mass);
    let wrong = parts.iter().find(|p| outside(p.weight * p.tensor.total)).or(parts.first());
    if let Some(part) = wrong.filter(|p| outside(p.weight * p.tensor.total) || outside(weighted)) {
        let (name, weight, total) = (&part.tensor.name, part.weight, part.tensor.total);
        let message = format!("`{name}` has a total of {total:e}, and {weight:e} times that is out of range");
        return Err(vec![Diagnostic::new(Code::MBA414, message).help("give the tensors other weights")]);
    }
    if let Some(work) = schedule.together().filter(|t| t.closed || !t.contracted.is_empty()) {
        return match work.closed {
            true => closed::execute(schedule, layout, model, parts),
            false => contracted::execute((schedule, work), layout, model, parts, (control, observer), start),
        };
    }
    let problem = Problem::new(model, layout, parts, observer.stop().unwrap_or_default())?;
    let mut rows = problem.rows(layout, false);
    let mut domains = problem.domains.clone();
    let masked = parts.iter().any(|p| p.tensor.mask.is_some());
    let rank = identify::settle(&problem, &rows, &mut domains, masked);

    let tables = &layout.tables;
    let penalties = Penalty::all(model, tables);
    let gone = gone(tables, &rows, &penalties);
    let all = rows.len();
    for group in &mut rows.groups {
        group.retain(|row| row.iter().all(|p| !gone[*p as usize]));
    }
    let begun = match start {
        Start::At(solution) => Ok(solution),
        Start::From(solution) => Err(Some(solution)),
        Start::Afresh => Err(None),
    };
    let what = (tables, &rows, penalties.as_slice());
    let mut solution = match begun {
        Ok(solution) => solution,
        Err(begun) => solve(model, what, (schedule.solver, begun), control, observer),
    };
    let down = match solution.interrupted {
        true => None,
        false => {
            let ended = (finite(&solution.parameters), solution.gap);
            let found = vanishing(what, (&ended.0, ended.1), control, &problem.stop);
            found.unwrap_or_else(|reason| {
                domains.iter_mut().for_each(|d| d.give_up(reason.clone()));
                None
            })
        }
    };
    for (p, gone) in solution.parameters.iter_mut().zip(&gone) {
        if *gone {
            *p = f64::NEG_INFINITY;
        }
    }
    if masked && (rows.len() < all || down.is_some()) {
        identify::at_boundary(&problem, (down.as_deref(), &gone), &mut domains);
    }
    let zero_marginals = zeros(tables, &gone);
    let boundary = !zero_marginals.is_empty() || down.is_some();
    let interrupted = solution.interrupted || domains.iter().any(Domain::cut_short);
    let status = Status::ended(interrupted, solution.stopped, boundary, Status::Converged);
    let total: f64 = parts.iter().map(|p| p.weight * p.tensor.total).sum();
    let mut certificate = solution.certificate(total);
    if down.is_some() && !solution.stopped && certificate.reason.is_some() {
        certificate.reason = Some("the optimum lies on the boundary, where the bound does not apply".into());
    }
    let passes = solution.passes as f64;
    let planned = schedule.together().map_or(0.0, |t| t.parts.iter().map(|p| p.cells).sum::<f64>()).max(1.0);
    let counters = Counters {
        operations: passes * rows.work(),
        bytes: passes
            * rows.groups.iter().map(|g| g.len() as f64 * (4.0 * g.tables as f64 + 16.0)).sum::<f64>(),
        // which cells are observed was not known to the plan
        predicted: schedule.work(passes * rows.groups.iter().map(|g| g.len() as f64).sum::<f64>() / planned),
        peak: schedule.peak,
    };
    let observed = problem.observed.iter().map(|o| o.iter().filter(|o| **o).count()).sum::<usize>();
    let mut joint = Joint {
        model: Arc::clone(model),
        schedule: Arc::clone(schedule),
        divergence: 0.0,
        total,
        observed: observed.into(),
        rank,
        solution,
        status,
        certificate,
        zero_marginals,
        counters,
        parts: Vec::new(),
        pseudo: parts.iter().map(|p| p.pseudo.clone()).collect(),
    };
    let mut divergence = Compensated::default();
    for (t, mut domain) in domains.into_iter().enumerate() {
        let part = &parts[t];
        let own = &layout.own[t];
        let fitted = rows.groups[t].spread(&joint.solution.parameters);
        let of = |k: usize, l: f64| (problem.data[t][k], l.exp() * problem.possible[t][k]);
        let seen = rows.groups[t].cells.iter().zip(fitted).filter(|(k, _)| problem.observed[t][**k]);
        let pairs = seen.map(|(k, l)| of(*k, l));
        let Measured { kl, data_entropy, .. } =
            measure(pairs.map(|(x, q)| (x / part.weight, q / part.weight)));
        divergence.add(part.weight * kl * part.tensor.total);
        domain.rank = Err("its tables are shared with other tensors".into());
        let whole = part.tensor.mask.is_none() && part.model.support.is_empty();
        let zero = zeros(own, &gone);
        let fit = fit_of(&joint, part, own, (kl, data_entropy), zero, (!whole).then(|| Arc::new(domain)))?;
        joint.parts.push(Arc::new(fit));
    }
    joint.divergence = divergence.value();
    Ok(joint)
}

impl<'a> Problem<'a> {
    fn new(
        model: &'a EnergyModel,
        layout: &'a Layout,
        parts: &'a [Part],
        stop: Stop,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut own = Self {
            model,
            layout,
            parts,
            data: Vec::new(),
            domains: Vec::new(),
            possible: Vec::new(),
            observed: Vec::new(),
            stop,
        };
        for part in parts {
            let sizes: Vec<usize> = part.model.modes.iter().map(|m| m.size()).collect();
            let mut data = values(&part.tensor, &sizes);
            data.iter_mut().for_each(|x| *x *= part.weight);
            let mut domain = Domain::new(&part.model, part.tensor.mask.as_ref())?;
            domain.widen(&Scope::all(sizes.len()));
            own.observed.push(domain.cells().map_or_else(Vec::new, |cells| {
                cells.into_iter().map(|k| k == Knowledge::Observed).collect()
            }));
            if own.observed.last().is_none_or(|o| o.len() != data.len()) {
                let message = format!("the cells of `{}` are too many to be listed", part.tensor.name);
                return Err(vec![Diagnostic::new(Code::MBA562, message).help("merge levels")]);
            }
            own.possible.push(base(&part.model));
            own.data.push(data);
            own.domains.push(domain);
        }
        Ok(own)
    }

    /// A row for every cell that is observed or has pseudo-data, or for every possible one.
    fn rows(&self, layout: &Layout, every: bool) -> Joined {
        let group = |t: usize| {
            let part = &self.parts[t];
            let cells = || self.possible[t].iter().zip(&self.observed[t]).enumerate();
            let lean = |k: usize| part.lean(k).map_or(0.0, |(exposure, _)| exposure);
            let seen = |o: bool| f64::from(u8::from(o || every));
            let weight: Vec<f64> = cells().map(|(k, (p, o))| p * (seen(*o) + lean(k))).collect();
            let pseudo = |k: usize| part.lean(k).map_or(0.0, |(exposure, x)| part.weight * exposure * x);
            let target: Vec<f64> = self.data[t].iter().enumerate().map(|(k, x)| x + pseudo(k)).collect();
            Rows::new(&part.model, &layout.own[t], &target, &weight)
        };
        Joined { groups: (0..self.parts.len()).map(group).collect() }
    }
}

/// 0 where a logarithm is −∞: such a parameter takes part in nothing.
fn finite(parameters: &[f64]) -> Vec<f64> {
    parameters.iter().map(|p| if p.is_finite() { *p } else { 0.0 }).collect()
}

/// From tables of one, or from where an earlier run ended.
fn solve(
    model: &EnergyModel,
    (tables, rows, penalties): (&Tables, &Joined, &[Penalty]),
    (solver, begun): (Solver, Option<Solution>),
    control: &Control,
    observer: &mut dyn Observer,
) -> Solution {
    let target = rows.targets(tables.parameters);
    let mut scale = vec![f64::MIN_POSITIVE; tables.parameters];
    for block in &tables.blocks {
        let most = block.place.iter().map(|p| target[*p as usize]).fold(f64::MIN_POSITIVE, f64::max);
        block.place.iter().for_each(|p| scale[*p as usize] = most);
    }
    let (before, spent) = begun.as_ref().map_or((0, 0), |b| (b.iterations, b.passes));
    let mut parameters = match begun {
        Some(begun) => finite(&begun.parameters),
        None => {
            // tables of one, and levels that match the totals
            let mut parameters = vec![0.0; tables.parameters];
            let weight: Vec<f64> = rows.groups.iter().map(|g| g.weight.iter().sum()).collect();
            let levels = tables.blocks.iter().filter(|b| b.scope.is_empty()).flat_map(|b| &b.place);
            for (level, weight) in levels.zip(weight) {
                let level = *level as usize;
                parameters[level] = (target[level] / weight).ln();
            }
            parameters
        }
    };
    let (mut sweeps, mut interrupted) = (0, false);
    if model.regular.smooth.is_empty() && model.regular.ties.is_empty() {
        let from = (parameters, before);
        let swept = design::sweep(tables, rows, solver, from, (&target, &scale), control, observer);
        (parameters, sweeps, interrupted) = (swept.parameters, swept.sweeps, swept.interrupted);
    }
    let made = before + sweeps;
    let ended = interrupted || solver == Solver::Ipf;
    let rest = Control { max_sweeps: if ended { made } else { control.max_sweeps }, ..*control };
    let found = minimise_from((tables, rows, penalties), (parameters, &scale, made), &rest, observer);
    Solution {
        parameters: found.parameters,
        gap: found.gap,
        bound: found.bound,
        iterations: found.steps,
        stopped: found.stopped && !interrupted,
        interrupted: interrupted && found.stopped || found.interrupted,
        passes: spent + found.passes + 2 * sweeps,
    }
}

/// The fit of one tensor.
fn fit_of(
    joint: &Joint,
    part: &Part,
    own: &Tables,
    (kl, data_entropy): (f64, f64),
    zero_marginals: Vec<ZeroMarginals>,
    domain: Option<Arc<Domain>>,
) -> Result<Fit, Vec<Diagnostic>> {
    let parameters = &joint.solution.parameters;
    let of = |p: &u32| parameters[*p as usize];
    let level: f64 = own.blocks.iter().filter(|b| b.scope.is_empty()).flat_map(|b| &b.place).map(of).sum();
    let potentials: Vec<Table> = own
        .blocks
        .iter()
        .filter(|b| !b.scope.is_empty())
        .map(|b| Table {
            scope: b.scope.clone(),
            shape: b.shape.clone(),
            values: b.place.iter().map(of).collect(),
        })
        .collect();
    let distribution = distribution(&part.model, potentials)?;
    let log_mass = distribution.log_mass.iter().sum::<f64>();
    Ok(Fit {
        model: Arc::clone(&part.model),
        schedule: Arc::clone(&joint.schedule),
        status: joint.status,
        iterations: joint.solution.iterations,
        certificate: joint.certificate.clone(),
        total: part.tensor.total,
        mass: (level + log_mass).exp() / part.weight,
        kl,
        data_entropy,
        counters: joint.counters,
        learned: None,
        zero_marginals,
        domain,
        distribution,
    })
}
