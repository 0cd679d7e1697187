//! Runs an exact sum: weights over all cells, with what is carried beside them. The same bits for any
//! number of threads, since each cell of a table is computed by one of them in a fixed order.

mod arithmetic;
mod draw;
mod kernel;
mod least;

pub use draw::{Wanted, draw};
pub use least::{Least, least};

use rayon::prelude::*;

use super::sum::Compensated;
use crate::model::table::offsets;
use crate::model::{Scope, Table};
use crate::plan::summation::{Carry, Step, Summation};
use crate::run::control::Stop;
use arithmetic::{Linear, Logarithmic};
use kernel::{Held, Room};

/// A term of the energy, or of the quantity whose moments are wanted, over some modes.
#[derive(Debug, Clone)]
pub struct Term {
    /// The modes.
    pub scope: Scope,
    /// Number of levels of each, in the order of the scope.
    pub shape: Vec<usize>,
    /// Energies, row-major; +∞ where a cell cannot occur. None adds nothing to the energy.
    pub energy: Option<Vec<f64>>,
    /// What the term adds to the quantity. None adds nothing.
    pub value: Option<Vec<f64>>,
}

impl Term {
    /// A term that adds an energy.
    pub fn energy(table: &Table) -> Self {
        Self {
            scope: table.scope.clone(),
            shape: table.shape.clone(),
            energy: Some(table.values.clone()),
            value: None,
        }
    }

    /// Whether it stays as it is when the levels of all its modes are reversed.
    pub fn mirrored(&self) -> bool {
        let same = |list: &Vec<f64>| list.iter().zip(list.iter().rev()).all(|(a, b)| a == b);
        self.energy.iter().chain(&self.value).all(same)
    }

    /// The term over its other modes, where some modes have one level.
    pub fn at(&self, level: impl Fn(usize) -> Option<usize>) -> Self {
        if self.scope.iter().all(|m| level(m).is_none()) {
            return self.clone();
        }
        let strides = crate::model::table::strides(&self.shape);
        let mut base = 0;
        let mut loops = Vec::new();
        for ((mode, size), stride) in self.scope.iter().zip(&self.shape).zip(&strides) {
            match level(mode) {
                Some(level) => base += level * stride,
                None => loops.push((*size, *stride)),
            }
        }
        let places: Vec<usize> = offsets(&loops).map(|at| base + at).collect();
        let cut = |values: &Vec<f64>| places.iter().map(|at| values[*at]).collect();
        Self {
            scope: self.scope.iter().filter(|m| level(*m).is_none()).collect(),
            shape: loops.iter().map(|(n, _)| *n).collect(),
            energy: self.energy.as_ref().map(cut),
            value: self.value.as_ref().map(cut),
        }
    }

    /// The difference between the largest and the least finite energy.
    pub fn range(&self) -> f64 {
        let finite = || self.energy.iter().flatten().copied().filter(|e| e.is_finite());
        let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), e| (l.min(e), h.max(e)));
        (high - low).max(0.0)
    }
}

/// What a sum finds, one entry for each temperature.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sums {
    /// ln Σ exp(−E/T).
    pub log_z: Vec<f64>,
    /// Mean of the quantity; empty unless moments were carried.
    pub mean: Vec<f64>,
    /// Its variance.
    pub variance: Vec<f64>,
    /// Probability of each total, from the least; empty unless a total was carried.
    pub totals: Vec<Vec<f64>>,
    /// Probability of each cell of the modes that are kept, row-major in the order of their positions.
    pub kept: Vec<Vec<f64>>,
    /// ln of the weight of each of these cells.
    pub log_weights: Vec<Vec<f64>>,
}

/// An exact sum that is to be found.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// What was planned for these terms.
    pub plan: &'a Summation,
    /// What is summed.
    pub terms: &'a [Term],
    /// Temperatures, each with a result of its own.
    pub temperatures: &'a [f64],
    /// How far the total moves with each level of each mode; read only when a total is carried.
    pub steps: &'a [Vec<usize>],
    /// Whether to end early.
    pub stop: &'a Stop,
}

impl Problem<'_> {
    /// Runs the plan at every temperature. None when it is asked to stop before.
    pub fn solve(&self) -> Option<Sums> {
        let plan = self.plan;
        let mut sums = Sums::default();
        for batch in self.temperatures.chunks(plan.lanes.max(1)) {
            let mut found = Problem { temperatures: batch, ..*self }.parts(0..plan.slicing.parts())?;
            if plan.slicing.mirrored.is_some() {
                found.mirror();
            }
            sums.log_z.extend(found.log_z);
            sums.mean.extend(found.mean);
            sums.variance.extend(found.variance);
            sums.totals.extend(found.totals);
            sums.kept.extend(found.kept);
            sums.log_weights.extend(found.log_weights);
        }
        Some(sums)
    }

    /// Parts of the sum, united in pairs, so that the order of additions is fixed.
    fn parts(&self, range: std::ops::Range<usize>) -> Option<Sums> {
        if range.len() > 1 {
            let middle = range.start + range.len() / 2;
            let (left, right) =
                rayon::join(|| self.parts(range.start..middle), || self.parts(middle..range.end));
            let mut all = left?;
            all.unite(&right?);
            return Some(all);
        }
        let Self { plan, terms, steps, .. } = *self;
        let run = if plan.logarithms { Problem::pass::<Logarithmic> } else { Problem::pass::<Linear> };
        if plan.slicing.modes.is_empty() {
            return run(self);
        }
        let (levels, times) = plan.slicing.part(range.start);
        let level = |mode: usize| levels.iter().find(|(m, _)| *m == mode).map(|(_, l)| *l);
        let own: Vec<Term> = terms.iter().map(|t| t.at(level)).collect();
        let mut sums = run(&Problem { terms: &own, ..*self })?;
        sums.log_z.iter_mut().chain(sums.log_weights.iter_mut().flatten()).for_each(|l| *l += times.ln());
        if plan.carry == Carry::Total {
            let shift: usize = levels.iter().map(|(mode, level)| steps[*mode][*level]).sum();
            let most: usize = steps.iter().filter_map(|s| s.iter().max()).sum();
            for list in &mut sums.totals {
                let mut moved = vec![0.0; most + 1];
                moved[shift..].iter_mut().zip(list.iter()).for_each(|(to, p)| *to = *p);
                *list = moved;
            }
        }
        Some(sums)
    }

    /// One elimination for all temperatures.
    fn pass<A: arithmetic::Arithmetic>(&self) -> Option<Sums> {
        let Self { plan, terms, temperatures, steps, stop } = *self;
        let lanes = temperatures.len();
        let moments = plan.carry == Carry::Moments;
        let mut tables: Vec<Option<Held>> = Vec::with_capacity(plan.slots.len());
        for (term, slot) in terms.iter().zip(&plan.slots) {
            tables.push(Some(weights::<A>(term, &slot.axes, temperatures, moments)));
        }
        let mut room = Room::new(stop);
        let still: Vec<usize> = Vec::new();
        for step in &plan.steps {
            let (first, second) = step.sources();
            let (a, b) = (tables[first].take(), second.and_then(|k| tables[k].take()));
            let slot = &plan.slots[tables.len()];
            let made = match (step, &a, &b) {
                (Step::Product(..), Some(a), Some(b)) => {
                    Some(kernel::product::<A>(a, b, slot, lanes, &mut room))
                }
                (Step::SumOut { mode, .. }, Some(a), b) => {
                    let moves = if plan.carry == Carry::Total { &steps[*mode] } else { &still };
                    Some(kernel::sum_out::<A>((a, b.as_ref()), *mode, moves, slot, lanes, &mut room))
                }
                _ => None,
            };
            if stop.asked() {
                return None;
            }
            room.give(a);
            room.give(b);
            tables.push(made);
        }
        let held = plan.result().and_then(|k| tables[k].take());
        Some(held.map_or_else(Sums::default, |held| read::<A>(&held, plan, lanes)))
    }
}

/// ln(eᵃ + eᵇ).
fn log_plus(a: f64, b: f64) -> f64 {
    <Logarithmic as arithmetic::Arithmetic>::plus(a, b)
}

impl Sums {
    /// The sum over the cells of both.
    fn unite(&mut self, other: &Self) {
        for lane in 0..self.log_z.len() {
            let all = log_plus(self.log_z[lane], other.log_z[lane]);
            let share = |l: f64| if l == f64::NEG_INFINITY { 0.0 } else { (l - all).exp() };
            let (p, q) = (share(self.log_z[lane]), share(other.log_z[lane]));
            self.log_z[lane] = all;
            if let (Some(mean), Some(theirs)) = (self.mean.get_mut(lane), other.mean.get(lane)) {
                // Chan, Golub and LeVeque 1983, as within the parts
                let off = theirs - *mean;
                let variance = &mut self.variance[lane];
                *variance = p * *variance + q * other.variance[lane] + p * q * off * off;
                *mean += q * off;
            }
            let mix = |own: &mut Vec<Vec<f64>>, theirs: &[Vec<f64>]| {
                if let (Some(own), Some(theirs)) = (own.get_mut(lane), theirs.get(lane)) {
                    own.iter_mut().zip(theirs).for_each(|(a, b)| *a = p * *a + q * b);
                }
            };
            mix(&mut self.totals, &other.totals);
            mix(&mut self.kept, &other.kept);
        }
        let logs = self.log_weights.iter_mut().flatten().zip(other.log_weights.iter().flatten());
        logs.for_each(|(a, b)| *a = log_plus(*a, *b));
    }

    /// Half of the sum and half of its mirror image: the levels of all modes reversed, and so the order of the
    /// cells and the sign of a total.
    fn mirror(&mut self) {
        for list in self.totals.iter_mut().chain(&mut self.kept) {
            let image: Vec<f64> = list.iter().rev().copied().collect();
            list.iter_mut().zip(image).for_each(|(a, b)| *a = 0.5 * (*a + b));
        }
        for list in &mut self.log_weights {
            let image: Vec<f64> = list.iter().rev().copied().collect();
            list.iter_mut().zip(image).for_each(|(a, b)| *a = log_plus(*a, b) - std::f64::consts::LN_2);
        }
    }
}

/// The weights of a term at each temperature, its axes in the order of the plan.
fn weights<A: arithmetic::Arithmetic>(
    term: &Term,
    axes: &[usize],
    temperatures: &[f64],
    moments: bool,
) -> Held {
    let lanes = temperatures.len();
    let own = crate::model::table::strides(&term.shape);
    let loops: Vec<(usize, usize)> = axes
        .iter()
        .filter_map(|m| term.scope.position(*m))
        .map(|axis| (term.shape[axis], own[axis]))
        .collect();
    let cells: usize = loops.iter().map(|(n, _)| n).product();
    // the least energy weighs 1, so that no weight overflows
    let least = term.energy.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let least = if least.is_finite() { least } else { 0.0 };
    let mut planes = vec![Vec::with_capacity(cells * lanes)];
    if moments {
        planes.push(Vec::with_capacity(cells * lanes));
        planes.push(vec![0.0; cells * lanes]);
    }
    for at in offsets(&loops) {
        for t in temperatures {
            planes[0].push(A::of_log(term.energy.as_ref().map_or(0.0, |e| -(e[at] - least) / t)));
        }
        if moments {
            let value = term.value.as_ref().map_or(0.0, |v| v[at]);
            planes[1].extend(std::iter::repeat_n(value, lanes));
        }
    }
    let drift = term.range() / temperatures.iter().copied().fold(f64::INFINITY, f64::min);
    Held {
        axes: axes.to_vec(),
        shape: loops.iter().map(|(n, _)| *n).collect(),
        degree: 1,
        planes,
        scale: temperatures.iter().map(|t| -least / t).collect(),
        drift,
    }
}

/// Reads the result off the last table.
fn read<A: arithmetic::Arithmetic>(held: &Held, plan: &Summation, lanes: usize) -> Sums {
    let mut sums = Sums::default();
    let per_lane = |lane: usize, plane: usize| -> Vec<f64> {
        held.planes[plane].iter().skip(lane).step_by(lanes).copied().collect()
    };
    for lane in 0..lanes {
        let logs: Vec<f64> = per_lane(lane, 0).into_iter().map(A::log).collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let finite = if most.is_finite() { most } else { 0.0 };
        let weights: Vec<f64> = logs.iter().map(|l| (l - finite).exp()).collect();
        let mass = weights.iter().copied().collect::<Compensated>().value();
        sums.log_z.push(finite + mass.ln() + held.scale[lane]);
        let shares: Vec<f64> = weights.iter().map(|w| if mass > 0.0 { w / mass } else { 0.0 }).collect();
        match plan.carry {
            Carry::Moments => {
                let (means, variances) = (per_lane(lane, 1), per_lane(lane, 2));
                let mean = super::sum::dot(&shares, &means);
                let within = super::sum::dot(&shares, &variances);
                let between: Vec<f64> = means.iter().map(|m| (m - mean).powi(2)).collect();
                sums.mean.push(mean);
                sums.variance.push(within + super::sum::dot(&shares, &between));
            }
            Carry::Total => sums.totals.push(shares),
            Carry::Weights | Carry::Least | Carry::Draws => {
                sums.log_weights.push(logs.iter().map(|l| l + held.scale[lane]).collect());
                sums.kept.push(shares);
            }
        }
    }
    sums
}

/// Tables of fewer numbers are computed by one thread.
const WORTH_SHARING: usize = 1 << 17;

/// Runs `work` on parts of `out`, which has `parts` equal parts, in parallel when it is worth it.
fn in_parts(out: &mut [f64], parts: usize, work: impl Fn(usize, &mut [f64]) + Sync) {
    let length = out.len() / parts.max(1);
    if length == 0 {
        return;
    }
    if out.len() < WORTH_SHARING {
        out.chunks_mut(length).enumerate().for_each(|(k, part)| work(k, part));
    } else {
        out.par_chunks_mut(length).enumerate().for_each(|(k, part)| work(k, part));
    }
}
