//! Monte Carlo for models with known energies: taken by name only, seeded, with error bars that count
//! autocorrelation. Chains have streams of their own, so that results do not depend on the threads.
//!
//! | file | what |
//! |---|---|
//! | `kernel.rs` | moves that leave P as it is: Gibbs, checkerboard, independence Metropolis–Hastings |
//! | `tempering.rs` | replicas at several temperatures that trade places |
//! | `series.rs` | means, autocorrelation times and errors of what a chain saw |
//! | `chains.rs` | several chains, run and summed up |
//! | `annealing.rs` | ln Z from the work along a path of temperatures |

mod annealing;
mod chains;
mod kernel;
mod series;
mod tempering;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

pub use annealing::{Path, Work, anneal, anneal_back};
pub use chains::{Coverage, Observed, Simulation, simulate};
pub use kernel::{Kernel, Moves, Scan};
pub use series::{Estimate, autocorrelation_time, estimate};
pub use tempering::Ladder;

/// How a simulation is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Sweeps of each chain that are kept.
    pub sweeps: usize,
    /// Sweeps before, which are not.
    pub burn_in: usize,
    /// Number of chains.
    pub chains: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sweeps: 10_000, burn_in: 1_000, chains: 4, seed: 0 }
    }
}

/// A stream of random numbers.
pub type Stream = Xoshiro256PlusPlus;

/// `n` streams that never meet: each starts 2¹²⁸ numbers after the last.
pub fn streams(seed: u64, n: usize) -> Vec<Stream> {
    let mut next = Stream::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let own = next.clone();
            next.jump();
            own
        })
        .collect()
}

/// 53 random bits as a number in [0, 1).
pub fn unit(rng: &mut Stream) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// An index with probability proportional to exp(−β energies); `energies` is overwritten.
fn draw(rng: &mut Stream, beta: f64, energies: &mut [f64]) -> usize {
    let least = energies.iter().fold(f64::INFINITY, |m, e| m.min(*e));
    let mut mass = 0.0;
    for e in energies.iter_mut() {
        mass += (-beta * (*e - least)).exp();
        *e = mass;
    }
    let u = unit(rng) * mass;
    // rounding may carry u to the mass itself
    energies.iter().position(|sum| u < *sum).unwrap_or(energies.len().saturating_sub(1))
}

/// A cell drawn uniformly.
fn anywhere(rng: &mut Stream, landscape: &super::landscape::Landscape) -> Vec<usize> {
    (0..landscape.modes.len()).map(|m| (unit(rng) * landscape.size(m) as f64) as usize).collect()
}
