//! Independent draws from a model with known energies: the sum is run once with all its tables kept, and
//! the modes are drawn in the opposite order, each given those drawn before it.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;

use super::arithmetic::{Arithmetic, Linear, Logarithmic};
use super::kernel::{self, Held};
use super::{Term, weights};
use crate::data::Sparse;
use crate::plan::summation::{Step, Summation};

/// What a mode is drawn from.
struct Source {
    mode: usize,
    levels: usize,
    from: Held,
    with: Option<Held>,
}

/// `n` independent draws at one temperature, counted: distinct cells in lexicographic order. `shape` is that
/// of the cells; a mode in no term keeps level 0 plus what `given` adds. O(n · modes) after one sum.
pub fn draw(
    plan: &Summation,
    terms: &[Term],
    temperature: f64,
    given: &[usize],
    shape: Vec<usize>,
    (n, seed): (usize, u64),
) -> Sparse {
    if plan.logarithms {
        drawn::<Logarithmic>(plan, terms, temperature, given, shape, (n, seed))
    } else {
        drawn::<Linear>(plan, terms, temperature, given, shape, (n, seed))
    }
}

fn drawn<A: Arithmetic>(
    plan: &Summation,
    terms: &[Term],
    temperature: f64,
    given: &[usize],
    shape: Vec<usize>,
    (n, seed): (usize, u64),
) -> Sparse {
    let mut tables: Vec<Option<Held>> = terms
        .iter()
        .zip(&plan.slots)
        .map(|(term, slot)| Some(weights::<A>(term, &slot.axes, &[temperature], false)))
        .collect();
    let mut sources = Vec::new();
    for step in &plan.steps {
        let made = match *step {
            Step::Product(a, b) => match (tables[a].take(), tables[b].take()) {
                (Some(a), Some(b)) => kernel::product::<A>(&a, &b, &plan.slots[tables.len()], 1),
                _ => None,
            },
            Step::SumOut { mode, from, with } => {
                let from = tables[from].take();
                let with = with.and_then(|k| tables[k].take());
                from.map(|from| {
                    let slot = &plan.slots[tables.len()];
                    let made = kernel::sum_out::<A>(&from, with.as_ref(), mode, &[], slot, 1);
                    let levels = from.levels(mode).or_else(|| with.as_ref()?.levels(mode)).unwrap_or(1);
                    sources.push(Source { mode, levels, from, with });
                    made
                })
            }
        };
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
    super::super::sample::counted(n, seed, shape, draw)
}
