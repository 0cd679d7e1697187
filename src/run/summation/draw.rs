//! Independent draws from a model with known energies: the sum is run once with all its tables kept, and
//! the modes are drawn in the opposite order, each given those drawn before it.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;

use super::arithmetic::{Arithmetic, Linear, Logarithmic};
use super::kernel::{self, Held, Room};
use super::{Term, weights};
use crate::data::Sparse;
use crate::plan::summation::{Step, Summation};
use crate::run::sample::{Room as Allowed, Undrawn, counted};

/// What a mode is drawn from.
struct Source {
    mode: usize,
    levels: usize,
    from: Held,
    with: Option<Held>,
}

/// What is to be drawn.
pub struct Wanted<'a> {
    /// The temperature.
    pub temperature: f64,
    /// What is added to the level of each mode.
    pub given: &'a [usize],
    /// Number of levels of each mode.
    pub shape: Vec<usize>,
    /// Number of draws.
    pub count: usize,
    /// Seed.
    pub seed: u64,
    /// What drawing may take, the sum included.
    pub room: Allowed<'a>,
}

/// Independent draws at one temperature, counted: distinct cells in lexicographic order. A mode in no term keeps
/// level 0 plus what `given` adds. Nothing when it is asked to stop before,
/// or takes too much. O(count · modes) after one sum.
pub fn draw(plan: &Summation, terms: &[Term], wanted: Wanted<'_>) -> Result<Sparse, Undrawn> {
    let run = if plan.logarithms { drawn::<Logarithmic> } else { drawn::<Linear> };
    run(plan, terms, wanted)
}

fn drawn<A: Arithmetic>(plan: &Summation, terms: &[Term], wanted: Wanted<'_>) -> Result<Sparse, Undrawn> {
    let Wanted { temperature, given, shape, count, seed, room: allowed } = wanted;
    let stop = allowed.stop;
    let mut tables: Vec<Option<Held>> = terms
        .iter()
        .zip(&plan.slots)
        .map(|(term, slot)| Some(weights::<A>(term, &slot.axes, &[temperature], false)))
        .collect();
    let mut sources = Vec::new();
    // every table is kept, so that none leaves room
    let mut room = Room::new(stop);
    for step in &plan.steps {
        let (first, second) = step.sources();
        let (from, with) = (tables[first].take(), second.and_then(|k| tables[k].take()));
        let slot = &plan.slots[tables.len()];
        let made = match (step, from, with) {
            (Step::Product(..), Some(a), Some(b)) => Some(kernel::product::<A>(&a, &b, slot, 1, &mut room)),
            (Step::SumOut { mode, .. }, Some(from), with) => {
                let made = kernel::sum_out::<A>((&from, with.as_ref()), *mode, &[], slot, 1, &mut room);
                let levels = from.size(*mode).or_else(|| with.as_ref()?.size(*mode)).unwrap_or(1);
                sources.push(Source { mode: *mode, levels, from, with });
                Some(made)
            }
            _ => None,
        };
        if stop.asked() {
            return Err(Undrawn::Interrupted);
        }
        tables.push(made);
    }
    let draw = |rng: &mut Xoshiro256PlusPlus, cell: &mut [u32]| {
        for source in sources.iter().rev() {
            let weight = |level: usize| {
                let own = source.from.weight(cell, source.mode, level);
                let other = source.with.as_ref().map_or(0.0, |w| A::log(w.weight(cell, source.mode, level)));
                A::log(own) + other
            };
            let most = (0..source.levels).map(weight).fold(f64::NEG_INFINITY, f64::max);
            let mass: f64 = (0..source.levels).map(|l| (weight(l) - most).exp()).sum();
            // 53 random bits: [0, 1)
            let mut u = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * mass;
            let mut chosen = 0;
            for level in 0..source.levels {
                let w = (weight(level) - most).exp();
                if w > 0.0 {
                    chosen = level;
                    if u < w {
                        break;
                    }
                    u -= w;
                }
            }
            cell[source.mode] = chosen as u32;
        }
        for (slot, level) in cell.iter_mut().zip(given) {
            *slot += *level as u32;
        }
    };
    counted(count, seed, shape, &allowed, draw)
}
