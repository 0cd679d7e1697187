//! Runs an exact sum: weights over all cells, with what is carried beside them. The same bits for any
//! number of threads, since each cell of a table is computed by one of them in a fixed order.

mod arithmetic;
mod draw;
mod kernel;
mod least;

pub use draw::draw;
pub use least::{Least, least};

use rayon::prelude::*;

use super::sum::Compensated;
use crate::model::{Scope, Table};
use crate::plan::summation::{Carry, Step, Summation};
use arithmetic::{Linear, Logarithmic};
use kernel::Held;

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

/// Sums `terms` at `temperatures` by a plan made for them. `steps` says how far the total moves with each
/// level of each mode; it is read only when a total is carried.
pub fn execute(plan: &Summation, terms: &[Term], temperatures: &[f64], steps: &[Vec<usize>]) -> Sums {
    let mut sums = Sums::default();
    for batch in temperatures.chunks(plan.lanes.max(1)) {
        let found = if plan.logarithms {
            pass::<Logarithmic>(plan, terms, batch, steps)
        } else {
            pass::<Linear>(plan, terms, batch, steps)
        };
        sums.log_z.extend(found.log_z);
        sums.mean.extend(found.mean);
        sums.variance.extend(found.variance);
        sums.totals.extend(found.totals);
        sums.kept.extend(found.kept);
        sums.log_weights.extend(found.log_weights);
    }
    sums
}

fn pass<A: arithmetic::Arithmetic>(
    plan: &Summation,
    terms: &[Term],
    temperatures: &[f64],
    steps: &[Vec<usize>],
) -> Sums {
    let lanes = temperatures.len();
    let moments = plan.carry == Carry::Moments;
    let mut tables: Vec<Option<Held>> = Vec::with_capacity(plan.slots.len());
    for (term, slot) in terms.iter().zip(&plan.slots) {
        tables.push(Some(weights::<A>(term, &slot.axes, temperatures, moments)));
    }
    for step in &plan.steps {
        let made = match *step {
            Step::Product(a, b) => match (tables[a].take(), tables[b].take()) {
                (Some(a), Some(b)) => kernel::product::<A>(&a, &b, &plan.slots[tables.len()], lanes),
                _ => None,
            },
            Step::SumOut { mode, from, with } => {
                let large = tables[from].take();
                let small = with.and_then(|k| tables[k].take());
                let still: Vec<usize> = Vec::new();
                let moves = if plan.carry == Carry::Total { &steps[mode] } else { &still };
                large.map(|l| {
                    kernel::sum_out::<A>(&l, small.as_ref(), mode, moves, &plan.slots[tables.len()], lanes)
                })
            }
        };
        tables.push(made);
    }
    let Some(held) = plan.result().and_then(|k| tables[k].take()) else { return Sums::default() };
    read::<A>(&held, plan, lanes)
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
    let place = |flat: usize| {
        let (mut rest, mut at) = (flat, 0);
        for (size, stride) in loops.iter().rev() {
            at += rest % size * stride;
            rest /= size;
        }
        at
    };
    // the least energy weighs 1, so that no weight overflows
    let least = term.energy.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let least = if least.is_finite() { least } else { 0.0 };
    let mut planes = vec![Vec::with_capacity(cells * lanes)];
    if moments {
        planes.push(Vec::with_capacity(cells * lanes));
        planes.push(vec![0.0; cells * lanes]);
    }
    for flat in 0..cells {
        let at = place(flat);
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

/// Runs `work` on parts of `out`, which has `parts` equal parts, in parallel when it is worth it.
fn in_parts(out: &mut [f64], parts: usize, work: impl Fn(usize, &mut [f64]) + Sync) {
    let length = out.len() / parts.max(1);
    if length == 0 {
        return;
    }
    if out.len() < 1 << 15 {
        out.chunks_mut(length).enumerate().for_each(|(k, part)| work(k, part));
    } else {
        out.par_chunks_mut(length).enumerate().for_each(|(k, part)| work(k, part));
    }
}
