//! Balancing: the tensor closest to a given one among those with given marginals.
//!
//! argmin_B KL(B ‖ K) over non-negative B whose marginals are given: the information projection of a
//! kernel K (Csiszár 1975, doi:10.1214/aop/1176996454). For matrices it is matrix scaling (Sinkhorn
//! 1964), for K = exp(−C/ε) entropic transport (Cuturi 2013), for tensors tensor balancing (Sugiyama,
//! Nakahara, Tsuda 2017, arXiv:1702.08142). The optimum is K · exp(Σ λ_c) on the cells that any tensor
//! with these marginals can use.
//!
//! 1. `feasible` cuts the cells that must be zero, and says why nothing fits when nothing does.
//! 2. `solve` makes scaling sweeps, then Newton steps where sweeps crawl, on kernels that grow steeper.
//! 3. `proof` finds weights that show that nothing fits, or which cells must be zero, where `feasible` cannot.

mod feasible;
mod newton;
mod proof;
mod scaling;
mod solve;

pub use feasible::Infeasible;

use super::control::{Control, Observer};
use super::fit::{Certificate, Status};
use crate::model::Scope;

/// A marginal that the result must have.
#[derive(Debug, Clone, PartialEq)]
pub struct Margin {
    /// The modes it is over, by their place in the kernel.
    pub scope: Scope,
    /// Its cells, row-major in the order of the scope, on any scale that all margins share.
    pub target: Vec<f64>,
}

/// What is asked: a kernel and the marginals.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// Levels of each mode.
    pub shape: Vec<usize>,
    /// ln K, row-major; −∞ where the kernel is zero, up to a constant.
    pub log_kernel: Vec<f64>,
    /// At least one; all have the same total.
    pub margins: Vec<Margin>,
}

/// The closest tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Balanced {
    /// Its cells as probabilities, row-major.
    pub values: Vec<f64>,
    /// λ_c of each margin, in nats: B ∝ K · exp(Σ λ_c) on the cells that can be used. Levels without
    /// mass have 0. Only sums over a cell are determined, not the tables one by one.
    pub potentials: Vec<Vec<f64>>,
    /// KL(B ‖ K) of the normalised tensors, in nats.
    pub kl: f64,
    /// How it ended.
    pub status: Status,
    /// Scaling sweeps and Newton steps.
    pub iterations: usize,
    /// Products of the matrix of second derivatives with a vector.
    pub products: usize,
    /// The gap between marginals, and a bound in nats on KL(B ‖ K) over the least there is.
    pub certificate: Certificate,
    /// Cells where the kernel is positive and the result is proven to be zero.
    pub cut: usize,
}

/// The tensor closest to the kernel with the margins asked for.
///
/// Time: O(cells × margins) per sweep and per product, and a maximum flow where two margins meet zeros
/// of the kernel. Memory: three numbers per cell, and one more while cells are cut. Errors: [`Infeasible`], with what shows it.
pub fn balance(
    problem: &Problem,
    control: &Control,
    observer: &mut dyn Observer,
) -> Result<Balanced, Infeasible> {
    let support = feasible::support(problem)?;
    solve::solve(problem, support, control, observer)
}
