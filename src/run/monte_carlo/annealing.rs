//! Annealed importance sampling (Neal 2001, doi:10.1023/A:1008923215028): ln Z from the work along a path of
//! temperatures, by Jarzynski's equality (1997, doi:10.1103/PhysRevLett.78.2690).
//!
//! From an exact draw at β = 0, each step raises β at a fixed cell, which costs the work (β' − β) E, and then
//! moves the cell by a sweep at the new β. Over runs, ⟨exp(−W)⟩ = Z(1/T)/Z(0) exactly, and ⟨W⟩ is at least
//! −ln of that: the second law. The way back from exact draws at 1/T bounds ln Z from the other side.

use rayon::prelude::*;

use super::kernel::Kernel;
use super::series::effective;
use super::{Stream, anywhere, streams};
use crate::run::distribution::Distribution;
use crate::run::landscape::Landscape;

/// A path from β = 0 to β = 1/T.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// β before and after each step, from 0 upwards.
    pub betas: Vec<f64>,
}

impl Path {
    /// `steps` equal steps.
    pub fn straight(temperature: f64, steps: usize) -> Self {
        let n = steps.max(1) as f64;
        Self { betas: (0..=steps.max(1)).map(|k| k as f64 / n / temperature).collect() }
    }
}

/// The work of many runs, in nats.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// The work of each run.
    pub work: Vec<f64>,
    /// ln Z at β = 0: the logarithm of the number of cells.
    pub log_cells: f64,
    /// Whether the runs went from 1/T back to 0.
    pub back: bool,
}

impl Work {
    /// ln ⟨exp(−W)⟩, minus the change of free energy over T along the path.
    fn log_mean(&self) -> f64 {
        let least = self.work.iter().fold(f64::INFINITY, |m, w| m.min(*w));
        let sum: f64 = self.work.iter().map(|w| (least - w).exp()).sum();
        (sum / self.work.len() as f64).ln() - least
    }

    /// ln Z(1/T) by Jarzynski's equality, and its standard error to first order.
    pub fn log_z(&self) -> (f64, f64) {
        let log = self.log_mean();
        let n = self.work.len() as f64;
        let weights: Vec<f64> = self.work.iter().map(|w| (-w - log).exp()).collect();
        let variance: f64 = weights.iter().map(|w| (w - 1.0).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        (self.log_cells + if self.back { -log } else { log }, (variance / n).sqrt())
    }

    /// ⟨W⟩ and its standard error.
    pub fn mean(&self) -> (f64, f64) {
        let n = self.work.len() as f64;
        let mean = self.work.iter().sum::<f64>() / n;
        let variance = self.work.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        (mean, (variance / n).sqrt())
    }

    /// What the mean work alone says of ln Z, by the second law: a lower bound in expectation forwards, an
    /// upper bound on the way back; with its standard error.
    pub fn bound(&self) -> (f64, f64) {
        let (mean, error) = self.mean();
        (self.log_cells + if self.back { mean } else { -mean }, error)
    }

    /// (Σ w)²/Σ w² of the weights exp(−W) (Kong 1992): as many equal weights would say as much.
    pub fn effective_samples(&self) -> f64 {
        let logs: Vec<f64> = self.work.iter().map(|w| -w).collect();
        effective(&logs)
    }
}

/// Runs from uniform cells up the path; O(runs × steps × sweep). None when it was asked to end.
pub fn anneal(landscape: &Landscape, kernel: &Kernel, path: &Path, runs: usize, seed: u64) -> Option<Work> {
    let work = each(runs, seed, |rng| {
        let mut cell = anywhere(rng, landscape);
        let mut work = 0.0;
        for step in path.betas.windows(2) {
            work += (step[1] - step[0]) * landscape.energy(&cell);
            kernel.run(landscape, step[1], &mut cell, rng, 1, |_| {});
        }
        work
    });
    (!landscape.was_cut()).then(|| Work { work, log_cells: log_cells(landscape), back: false })
}

/// Runs from exact draws at the end of the path down to β = 0: at each step a sweep at the higher β, then the
/// work of lowering it, which is the forward run in reverse when the kernel's sweeps are turned round too. None when it was asked
/// to end.
pub fn anneal_back(
    landscape: &Landscape,
    order: &[usize],
    exact: &Distribution,
    path: &Path,
    runs: usize,
    seed: u64,
) -> Option<Work> {
    // the reverse of a sweep through modes in an order is the sweep in the opposite order
    let kernel = Kernel::Gibbs { order: order.iter().rev().copied().collect() };
    let drawer = exact.drawer();
    let work = each(runs, seed, |rng| {
        let mut cell = drawer.draw(rng);
        let mut work = 0.0;
        for step in path.betas.windows(2).rev() {
            kernel.run(landscape, step[1], &mut cell, rng, 1, |_| {});
            work -= (step[1] - step[0]) * landscape.energy(&cell);
        }
        work
    });
    (!landscape.was_cut()).then(|| Work { work, log_cells: log_cells(landscape), back: true })
}

fn log_cells(landscape: &Landscape) -> f64 {
    landscape.modes.iter().map(|m| (m.size() as f64).ln()).sum()
}

/// One stream for each run, in order whatever the threads.
fn each(runs: usize, seed: u64, one: impl Fn(&mut Stream) -> f64 + Sync) -> Vec<f64> {
    streams(seed, runs).into_par_iter().map(|mut rng| one(&mut rng)).collect()
}
