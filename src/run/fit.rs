//! What a fit returns.

use std::sync::Arc;

use super::distribution::Distribution;
use super::learned::Learned;
use super::masked::Domain;
use crate::model::{EnergyModel, Scope};
use crate::plan::Schedule;
use crate::plan::cost::Unit;

/// How a fit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The optimum is a formula, and this is it.
    ClosedForm,
    /// The marginal gap is within the tolerance.
    Converged,
    /// The optimum lies on the boundary: some parameters are infinite, the fitted values are right.
    Boundary,
    /// The sweeps ran out.
    Stopped,
    /// The observer asked to end.
    Interrupted,
    /// A published approximation that was asked for by name, where it is not the optimum.
    Approximate,
}

impl Status {
    /// How iterations ended that were asked to end, ran out or found the optimum on the boundary; `otherwise` when
    /// none of these.
    pub(super) fn ended(interrupted: bool, stopped: bool, boundary: bool, otherwise: Self) -> Self {
        if interrupted {
            Status::Interrupted
        } else if stopped {
            Status::Stopped
        } else if boundary {
            Status::Boundary
        } else {
            otherwise
        }
    }

    /// The word used in every output format.
    pub fn word(self) -> &'static str {
        match self {
            Status::ClosedForm => "closed_form",
            Status::Converged => "converged",
            Status::Boundary => "boundary",
            Status::Stopped => "stopped",
            Status::Interrupted => "interrupted",
            Status::Approximate => "approximate",
        }
    }
}

/// A divergence from terms that add up to `size` in absolute value, from data of this total: 0 where it is negative by no
/// more than rounding; anything larger would be a defect worth seeing. The entropy of the data is a difference of two
/// numbers of the size of ln total, and rounded as those are.
pub(super) fn divergence(kl: f64, size: f64, total: f64) -> f64 {
    let size = size + if total > 0.0 { total.ln().abs() } else { 0.0 };
    if kl < 0.0 && -kl <= 64.0 * f64::EPSILON * size { 0.0 } else { kl }
}

/// How far the fit is from the optimum.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Certificate {
    /// max over generators of max |Q_c − P_c| / max P_c, measured on the distribution that is returned.
    pub marginal_gap: f64,
    /// A bound from above on what is still to be gained, in nats per unit mass.
    pub optimality_gap: Option<f64>,
    /// Why there is no bound.
    pub reason: Option<String>,
}

/// Work done, counted while it was done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counters {
    /// Arithmetic operations, with the weight for exponentials and logarithms that plans use.
    pub operations: f64,
    /// Bytes read and written by kernels.
    pub bytes: f64,
    /// What the schedule says that this work costs: its price for each step, times how often it was done.
    pub predicted: Unit,
    /// Most bytes of data, tables and scratch alive at once.
    pub peak: f64,
}

/// Cells of a generator that have no mass in the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZeroMarginals {
    /// The generator.
    pub scope: Scope,
    /// How many of its cells are zero.
    pub count: usize,
    /// The first of them, at most [`ZeroMarginals::LISTED`], by level.
    pub cells: Vec<Vec<usize>>,
}

impl ZeroMarginals {
    /// Most cells that are listed.
    pub const LISTED: usize = 16;
}

/// The m-projection of the data onto a model: argmin_Q KL(P ‖ Q).
#[derive(Debug, Clone)]
pub struct Fit {
    /// The model that was fitted.
    pub model: Arc<EnergyModel>,
    /// The program that was run.
    pub schedule: Arc<Schedule>,
    /// The fitted distribution.
    pub distribution: Distribution,
    /// How it ended.
    pub status: Status,
    /// Sweeps over all atoms; 0 for a closed form.
    pub iterations: usize,
    /// How far from the optimum.
    pub certificate: Certificate,
    /// The sum of the data.
    pub total: f64,
    /// KL(P ‖ Q) in nats per unit mass.
    pub kl: f64,
    /// Entropy of the data in nats per unit mass.
    pub data_entropy: f64,
    /// Sum of the fitted tensor over all possible cells: the total, unless some are missing.
    pub mass: f64,
    /// Which cells are observed, possible and determined, when not all are.
    pub domain: Option<Arc<Domain>>,
    /// Work done; what was predicted is in the schedule.
    pub counters: Counters,
    /// Generators with cells that have no mass in the data.
    pub zero_marginals: Vec<ZeroMarginals>,
    /// The coefficients, when the model has learned ones.
    pub learned: Option<Arc<Learned>>,
}

impl Fit {
    /// Operations the schedule predicts for the sweeps, extrapolations and products that were made.
    pub fn predicted_operations(&self) -> f64 {
        self.counters.predicted.operations
    }

    /// Bytes the schedule predicts for the sweeps, extrapolations and products that were made.
    pub fn predicted_bytes(&self) -> f64 {
        self.counters.predicted.bytes
    }
}
