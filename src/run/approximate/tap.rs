//! The equations of Thouless, Anderson and Palmer (1977, doi:10.1080/14786437708235992), as the second order of the expansion
//! of Plefka (1982, doi:10.1088/0305-4470/15/6/035), for modes of any number of levels.
//!
//! ln Z ≈ Σ H(q_i) − ⟨E⟩/T + Σ_pairs V_ij/(2T²), where V_ij is the variance of what a pair's energy has beyond the sum of
//! a function of either mode, under the product of q_i and q_j.

use super::mean_field::{field, mean};
use super::{Approximation, Settings, best, damped, normalised};
use crate::numeric::sum::entropy;
use crate::run::landscape::{Landscape, Term};

/// Damped iteration of the stationarity conditions.
pub fn run(landscape: &Landscape, settings: &Settings) -> Result<Approximation, String> {
    if let Some(term) = landscape.terms.iter().find(|t| t.modes.len() > 2) {
        let names: Vec<&str> = term.modes.iter().map(|m| landscape.modes[*m].name.as_str()).collect();
        return Err(format!(
            "its expansion is in pairs, and `[{}]` has more than two modes",
            names.join(" ")
        ));
    }
    best(landscape, settings, |start| iterate(landscape, settings, start))
        .ok_or_else(|| "there are no starts".into())
}

fn iterate(landscape: &Landscape, settings: &Settings, mut q: Vec<Vec<f64>>) -> Approximation {
    let t = landscape.temperature;
    let (mut sweeps, mut residual) = (0, f64::INFINITY);
    while residual > settings.tolerance && sweeps < settings.max_sweeps && !landscape.ends() {
        residual = 0.0;
        for mode in 0..q.len() {
            let mut logs: Vec<f64> = field(landscape, &q, mode).iter().map(|e| -e / t).collect();
            for (k, _) in landscape.around(mode) {
                let slope = slope(&landscape.terms[*k], &q, mode);
                logs.iter_mut().zip(slope).for_each(|(l, s)| *l += s / (2.0 * t * t));
            }
            let new = normalised(&logs);
            residual = f64::max(residual, damped(&mut q[mode], &new, settings.damping));
        }
        sweeps += 1;
    }
    let mean_energy: f64 = landscape.terms.iter().map(|term| mean(term, &q)).sum();
    let spread: f64 = landscape.terms.iter().map(|term| spread(term, &q)).sum();
    let own: f64 = q.iter().map(|q| entropy(q)).sum();
    // ⟨E⟩ = −∂ ln Z/∂(1/T) and the entropy with it, at q held still
    let energy = mean_energy - spread / t;
    let log_z = own - mean_energy / t + spread / (2.0 * t * t);
    Approximation {
        log_z,
        energy,
        entropy: log_z + energy / t,
        marginals: q,
        beliefs: Vec::new(),
        sweeps,
        residual,
        converged: residual <= settings.tolerance,
    }
}

/// A pair's energy E(a, b) with its means over either mode and both: rows, columns, all.
fn means(term: &Term, q: &[Vec<f64>]) -> Option<(Vec<f64>, Vec<f64>, f64)> {
    let [a, b] = term.modes.as_slice() else { return None };
    let (mut rows, mut columns) = (vec![0.0; q[*a].len()], vec![0.0; q[*b].len()]);
    term.cells(|at, levels| {
        let e = term.table.values[at];
        rows[levels[0]] += q[*b][levels[1]] * e;
        columns[levels[1]] += q[*a][levels[0]] * e;
    });
    let all = rows.iter().zip(&q[*a]).map(|(r, p)| r * p).sum();
    Some((rows, columns, all))
}

/// V of a pair; 0 for a term of one mode.
fn spread(term: &Term, q: &[Vec<f64>]) -> f64 {
    let Some((rows, columns, all)) = means(term, q) else { return 0.0 };
    let mut sum = 0.0;
    term.cells(|at, l| {
        let rest = term.table.values[at] - rows[l[0]] - columns[l[1]] + all;
        sum += q[term.modes[0]][l[0]] * q[term.modes[1]][l[1]] * rest * rest;
    });
    sum
}

/// ∂V/∂q(level) of one mode of a pair, up to a constant.
fn slope(term: &Term, q: &[Vec<f64>], mode: usize) -> Vec<f64> {
    let mut out = vec![0.0; q[mode].len()];
    let Some((rows, columns, all)) = means(term, q) else { return out };
    let first = term.modes[0] == mode;
    term.cells(|at, l| {
        let e = term.table.values[at];
        let (own, other, mean) = if first {
            (l[0], q[term.modes[1]][l[1]], columns[l[1]])
        } else {
            (l[1], q[term.modes[0]][l[0]], rows[l[0]])
        };
        out[own] += other * (e * e - 2.0 * mean * e);
    });
    let given = if first { &rows } else { &columns };
    out.iter_mut().zip(given).for_each(|(o, g)| *o += 2.0 * all * g - g * g);
    out
}
