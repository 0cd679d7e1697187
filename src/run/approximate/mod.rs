//! Approximations of a model with known energies, for when its exact sum is out of reach. Each is taken by
//! name only, and says what its `log_z` is.
//!
//! | file | what |
//! |---|---|
//! | `mean_field.rs` | the best product of distributions of single modes: a lower bound of ln Z |
//! | `tap.rs` | the same with the reaction of each mode on itself, to second order in pairs |
//! | `bethe.rs` | loopy belief propagation: exact on trees |

mod bethe;
mod mean_field;
mod tap;

use super::landscape::Landscape;
use crate::model::Table;
use crate::numeric::gap::worst;

/// How an approximation is to be sought.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// It ends when no probability moves by more.
    pub tolerance: f64,
    /// Most sweeps from each start.
    pub max_sweeps: usize,
    /// How much of the old stays in each update, from 0 to below 1.
    pub damping: f64,
    /// Seed of the starts.
    pub seed: u64,
    /// Number of starts.
    pub restarts: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tolerance: 1e-10, max_sweeps: 10_000, damping: 0.0, seed: 0, restarts: 4 }
    }
}

/// What an approximation found.
#[derive(Debug, Clone, PartialEq)]
pub struct Approximation {
    /// ln Z, or what stands for it.
    pub log_z: f64,
    /// ⟨E⟩ under the approximation.
    pub energy: f64,
    /// Entropy in nats, as the approximation defines it.
    pub entropy: f64,
    /// The distribution of each mode.
    pub marginals: Vec<Vec<f64>>,
    /// Distributions over the modes of each term, where the approximation has them.
    pub beliefs: Vec<Table>,
    /// Sweeps of the start that was kept.
    pub sweeps: usize,
    /// The largest change of a probability in its last sweep.
    pub residual: f64,
    /// Whether that is within the tolerance.
    pub converged: bool,
}

/// An approximation that a program can name.
pub struct Method {
    /// The word after `by`.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// What its `log_z` is.
    pub meaning: &'static str,
    /// How much it damps unless it is told.
    pub damping: f64,
    /// Runs it; an error is why it does not apply.
    pub run: fn(&Landscape, &Settings) -> Result<Approximation, String>,
}

/// Every approximation.
pub const APPROXIMATIONS: &[Method] = &[
    Method {
        name: "mean_field",
        about: "the closest product of distributions of single modes",
        meaning: "log_z is a lower bound",
        damping: 0.0,
        run: mean_field::run,
    },
    Method {
        name: "tap",
        about: "mean field with the reaction of each mode on itself (Thouless, Anderson and Palmer)",
        meaning: "log_z is exact to second order in 1/T, and no bound",
        damping: 0.5,
        run: tap::run,
    },
    Method {
        name: "bethe",
        about: "loopy belief propagation",
        meaning: "log_z is exact without loops, and no bound otherwise",
        damping: 0.5,
        run: bethe::run,
    },
];

/// A start near the uniform distribution that breaks its symmetry.
fn start(landscape: &Landscape, seed: u64, restart: usize) -> Vec<Vec<f64>> {
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_add(restart as u64));
    (0..landscape.modes.len())
        .map(|m| {
            let logs = (0..landscape.size(m)).map(|_| super::monte_carlo::unit(&mut rng) - 0.5);
            normalised(&logs.collect::<Vec<f64>>())
        })
        .collect()
}

/// exp of logarithms, scaled to one.
fn normalised(logs: &[f64]) -> Vec<f64> {
    let most = logs.iter().fold(f64::NEG_INFINITY, |m, l| m.max(*l));
    let weights: Vec<f64> = logs.iter().map(|l| (l - most).exp()).collect();
    let mass: f64 = weights.iter().sum();
    weights.iter().map(|w| w / mass).collect()
}

/// Moves a distribution towards a new one, in logarithms; the largest change of a probability.
fn damped(old: &mut Vec<f64>, new: &[f64], damping: f64) -> f64 {
    let moved = if damping == 0.0 {
        new.to_vec()
    } else {
        let logs = old.iter().zip(new).map(|(o, n)| damping * o.ln() + (1.0 - damping) * n.ln());
        normalised(&logs.collect::<Vec<f64>>())
    };
    let change = worst(old.iter().zip(&moved).map(|(o, n)| (o - n).abs()));
    *old = moved;
    change
}

/// Several starts; the one with the largest ln Z among those that converged, else among all.
fn best(
    landscape: &Landscape,
    settings: &Settings,
    mut one: impl FnMut(Vec<Vec<f64>>) -> Approximation,
) -> Option<Approximation> {
    let mut kept: Option<Approximation> = None;
    for restart in 0..settings.restarts.max(1) {
        let found = one(start(landscape, settings.seed, restart));
        let better = kept.as_ref().is_none_or(|k| (found.converged, found.log_z) > (k.converged, k.log_z));
        if better {
            kept = Some(found);
        }
    }
    kept
}
