//! Loopy belief propagation (Pearl 1988), whose fixed points are those of the Bethe free energy (Yedidia, Freeman and Weiss
//! 2005, doi:10.1109/TIT.2005.850085).

use super::{Approximation, Settings, best, damped, normalised};
use crate::model::Table;
use crate::numeric::sum::entropy;
use crate::run::landscape::Landscape;

/// Messages from terms to modes, one term after another, damped in logarithms. A sweep is O(cells of all
/// terms × their modes²).
pub fn run(landscape: &Landscape, settings: &Settings) -> Result<Approximation, String> {
    best(landscape, settings, |start| propagate(landscape, settings, &start))
        .ok_or_else(|| "there are no starts".into())
}

fn propagate(landscape: &Landscape, settings: &Settings, start: &[Vec<f64>]) -> Approximation {
    let t = landscape.temperature;
    let terms = &landscape.terms;
    let weights: Vec<Vec<f64>> = terms
        .iter()
        .map(|term| {
            let least = term.table.values.iter().fold(f64::INFINITY, |m, e| m.min(*e));
            term.table.values.iter().map(|e| (-(e - least) / t).exp()).collect()
        })
        .collect();
    // messages from each term to each of its modes; the start breaks symmetries, but only a little
    let mut messages: Vec<Vec<Vec<f64>>> =
        terms.iter().map(|term| term.modes.iter().map(|m| start[*m].clone()).collect()).collect();
    let (mut sweeps, mut residual) = (0, f64::INFINITY);
    while residual > settings.tolerance && sweeps < settings.max_sweeps && !landscape.ends() {
        residual = 0.0;
        for (k, term) in terms.iter().enumerate() {
            let heard: Vec<Vec<f64>> =
                term.modes.iter().map(|m| gather(landscape, &messages, *m, Some(k))).collect();
            for (axis, mode) in term.modes.iter().enumerate() {
                let mut out = vec![0.0; landscape.size(*mode)];
                term.cells(|at, levels| {
                    let others = levels.iter().zip(&heard).enumerate().filter(|(a, _)| *a != axis);
                    let weight: f64 = others.map(|(_, (l, h))| h[*l]).product();
                    out[levels[axis]] += weight * weights[k][at];
                });
                let mass: f64 = out.iter().sum();
                // what has underflowed keeps a trace, so that its logarithm stays finite
                out.iter_mut().for_each(|o| *o = (*o / mass).max(f64::MIN_POSITIVE));
                residual = f64::max(residual, damped(&mut messages[k][axis], &out, settings.damping));
            }
        }
        sweeps += 1;
        if terms.is_empty() {
            break;
        }
    }
    let marginals: Vec<Vec<f64>> =
        (0..landscape.modes.len()).map(|m| gather(landscape, &messages, m, None)).collect();
    let (mut energy, mut own_entropy) = (0.0, 0.0);
    let mut beliefs = Vec::with_capacity(terms.len());
    for (k, term) in terms.iter().enumerate() {
        let heard: Vec<Vec<f64>> =
            term.modes.iter().map(|m| gather(landscape, &messages, *m, Some(k))).collect();
        let mut values = weights[k].clone();
        term.cells(|at, levels| values[at] *= levels.iter().zip(&heard).map(|(l, h)| h[*l]).product::<f64>());
        let mass: f64 = values.iter().sum();
        values.iter_mut().for_each(|v| *v /= mass);
        energy += values.iter().zip(&term.table.values).map(|(b, e)| b * e).sum::<f64>();
        own_entropy += entropy(&values);
        beliefs.push(Table { values, scope: term.table.scope.clone(), shape: term.table.shape.clone() });
    }
    for (mode, q) in marginals.iter().enumerate() {
        own_entropy += (1.0 - landscape.around(mode).len() as f64) * entropy(q);
    }
    let residual = if terms.is_empty() { 0.0 } else { residual };
    Approximation {
        log_z: own_entropy - energy / t,
        energy,
        entropy: own_entropy,
        marginals,
        beliefs,
        sweeps,
        residual,
        converged: residual <= settings.tolerance,
    }
}

/// The product of what a mode hears, but for one term.
fn gather(
    landscape: &Landscape,
    messages: &[Vec<Vec<f64>>],
    mode: usize,
    without: Option<usize>,
) -> Vec<f64> {
    let mut logs = vec![0.0; landscape.size(mode)];
    for (k, _) in landscape.around(mode).iter().filter(|(k, _)| Some(*k) != without) {
        let Some(axis) = landscape.terms[*k].modes.iter().position(|m| *m == mode) else { continue };
        logs.iter_mut().zip(&messages[*k][axis]).for_each(|(l, m)| *l += m.ln());
    }
    normalised(&logs)
}
