//! Parallel tempering: replicas at a ladder of temperatures that trade places (Swendsen and Wang 1986,
//! doi:10.1103/PhysRevLett.57.2607; Geyer 1991; Hukushima and Nemoto 1996, doi:10.1143/JPSJ.65.1604).

use super::kernel::Kernel;
use super::{Stream, unit};
use crate::run::landscape::Landscape;

/// The inverse temperatures of the replicas, the target first.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    /// β of each replica, falling.
    pub betas: Vec<f64>,
}

impl Ladder {
    /// `replicas` temperatures in equal ratios from `coldest` to `hottest`.
    pub fn geometric(coldest: f64, hottest: f64, replicas: usize) -> Self {
        let steps = replicas.saturating_sub(1).max(1) as f64;
        let beta = |k: usize| 1.0 / (coldest * (hottest / coldest).powf(k as f64 / steps));
        Self { betas: (0..replicas.max(1)).map(beta).collect() }
    }

    /// One move of all replicas: a sweep of each, then trades between neighbours, of even pairs and odd pairs by
    /// turns. Trades leave the joint distribution as it is. Returns how many were tried and made.
    pub fn sweep(
        &self,
        landscape: &Landscape,
        kernel: &Kernel,
        cells: &mut [Vec<usize>],
        rng: &mut Stream,
        turn: usize,
    ) -> (usize, usize) {
        for (cell, beta) in cells.iter_mut().zip(&self.betas) {
            kernel.run(landscape, *beta, cell, rng, 1, |_| {});
        }
        let energies: Vec<f64> = cells.iter().map(|c| landscape.energy(c)).collect();
        let (mut tried, mut made) = (0, 0);
        let mut lower = turn % 2;
        while lower + 1 < cells.len() {
            let gain = (self.betas[lower] - self.betas[lower + 1]) * (energies[lower] - energies[lower + 1]);
            tried += 1;
            if unit(rng) < gain.exp() {
                cells.swap(lower, lower + 1);
                made += 1;
            }
            lower += 2;
        }
        (tried, made)
    }
}
