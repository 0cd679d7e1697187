//! Naive mean field: the product Π q_i(x_i) closest to P in KL(Π q ‖ P). By Gibbs' inequality
//! ln Z ≥ Σ H(q_i) − ⟨E⟩/T, with equality only when the modes are independent (Peierls 1938; Bogolyubov 1958).

use super::{Approximation, Settings, best, damped, normalised};
use crate::numeric::sum::entropy;
use crate::run::landscape::{Landscape, Term};

/// Coordinate ascent on the bound from several starts, of which the one with the best bound is kept. A
/// sweep is O(cells of all terms × their modes).
pub fn run(landscape: &Landscape, settings: &Settings) -> Result<Approximation, String> {
    best(landscape, settings, |start| ascend(landscape, settings, start))
        .ok_or_else(|| "there are no starts".into())
}

fn ascend(landscape: &Landscape, settings: &Settings, mut q: Vec<Vec<f64>>) -> Approximation {
    let (mut sweeps, mut residual) = (0, f64::INFINITY);
    while residual > settings.tolerance && sweeps < settings.max_sweeps && !landscape.ends() {
        residual = 0.0;
        for mode in 0..q.len() {
            let field = field(landscape, &q, mode);
            let logs: Vec<f64> = field.iter().map(|e| -e / landscape.temperature).collect();
            let new = normalised(&logs);
            residual = f64::max(residual, damped(&mut q[mode], &new, settings.damping));
        }
        sweeps += 1;
    }
    let energy: f64 = landscape.terms.iter().map(|t| mean(t, &q)).sum();
    let entropy: f64 = q.iter().map(|q| entropy(q)).sum();
    Approximation {
        log_z: entropy - energy / landscape.temperature,
        energy,
        entropy,
        marginals: q,
        beliefs: Vec::new(),
        sweeps,
        residual,
        converged: residual <= settings.tolerance,
    }
}

/// ⟨E | x_mode⟩ of the terms of a mode, under a product.
pub(super) fn field(landscape: &Landscape, q: &[Vec<f64>], mode: usize) -> Vec<f64> {
    let mut out = vec![0.0; landscape.size(mode)];
    for (k, _) in landscape.around(mode) {
        let term = &landscape.terms[*k];
        term.cells(|at, levels| {
            let (mut weight, mut own) = (1.0, 0);
            for (m, level) in term.modes.iter().zip(levels) {
                if *m == mode {
                    own = *level;
                } else {
                    weight *= q[*m][*level];
                }
            }
            out[own] += weight * term.table.values[at];
        });
    }
    out
}

/// ⟨term⟩ under a product.
pub(super) fn mean(term: &Term, q: &[Vec<f64>]) -> f64 {
    let mut sum = 0.0;
    term.cells(|at, levels| {
        let weight: f64 = term.modes.iter().zip(levels).map(|(m, l)| q[*m][*l]).product();
        sum += weight * term.table.values[at];
    });
    sum
}
