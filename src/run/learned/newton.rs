//! Newton's method on the moments, its certificate, and its ways to end.

use super::cholesky::Factor;
use super::information::{covariance, moments, product, smallest};
use super::statistics::Statistics;
use super::{Ending, told};
use crate::numeric::gap::worst;
use crate::numeric::sum::{Compensated, dot};
use crate::plan::cost::DENSE;
use crate::plan::schedule::Learning;
use crate::run::boundary::leaves;
use crate::run::certificate::factor as relative;
use crate::run::conjugate::Equations;
use crate::run::control::{Flow, Observer};
use crate::run::machine::Machine;
use crate::text::Diagnostic;

/// A statistic of which less than this part of its variance is left unexplained by others depends on them.
pub(super) const DEPENDENT: f64 = 1e-10;

/// The same once the fit is on its way, where only rounding makes statistics dependent.
pub(super) const ROUNDING: f64 = 1e-14;

/// λ² below which another step cannot be told from rounding.
pub(super) const POLISHED: f64 = 1e-24;

/// Most steps after the tolerance is met, which cost little and square the error.
pub(super) const POLISH: usize = 4;

/// Most halvings of a step.
const HALVINGS: usize = 50;

/// Finds φ where the moments of the model are those of the data: Newton's method with exact covariances,
/// safeguarded by halving the step until the objective falls as Armijo (1966, doi:10.2140/pjm.1966.16.1) asks.
/// Beyond [`DENSE`] coefficients the equations of each step are solved by conjugate gradients on products
/// with the covariance. Costs one calibration of the tree for each trial, and one covariance for each step.
pub fn learn(
    machine: &mut Machine,
    learning: &Learning,
    observer: &mut dyn Observer,
) -> Result<(), Vec<Diagnostic>> {
    let statistics = Statistics::new(machine, learning);
    let n = statistics.len();
    let dense = n as f64 <= DENSE;
    let mut natural = vec![0.0; n];
    let mut value = calibrate(machine, learning, &statistics, &natural)?;
    let mut independent: Option<Vec<usize>> = None;
    let mut dependencies: Vec<Vec<usize>> = Vec::new();
    let floor: Vec<f64> = statistics.scales.iter().map(|s| 1e-14 * s * s).collect();
    let mut rounded = false;
    let mut polish = 0;
    let mut before = f64::INFINITY;
    let (direction, last, decrement) = loop {
        let (fitted, information) = if dense {
            covariance(machine, &statistics)
        } else {
            (moments(machine, &statistics), Vec::new())
        };
        let right: Vec<f64> = statistics.targets.iter().zip(&fitted).map(|(p, q)| p - q).collect();
        let mismatch =
            right.iter().zip(&statistics.scales).map(|(r, s)| if *s > 0.0 { r.abs() / s } else { 0.0 });
        let gap = worst(mismatch);
        machine.gap = gap;
        let (direction, last) = if dense {
            let among = independent.clone().unwrap_or_else(|| (0..n).collect());
            // what has become certain counts for less and less, but it is not nothing
            let zeros = vec![0.0; n];
            let (floor, tolerance) =
                if independent.is_none() { (&floor, DEPENDENT) } else { (&zeros, ROUNDING) };
            let factor = Factor::new(&information, n, &among, floor, tolerance);
            let direction = factor.solve(&right);
            if independent.is_none() {
                dependencies = factor.dependencies(&information, n);
                independent = Some(factor.order.clone());
            } else {
                rounded |= !factor.dropped.is_empty();
            }
            (direction, Some(factor))
        } else {
            (conjugate(machine, &statistics, &right), None)
        };
        let decrement = dot(&right, &direction);
        let done = gap <= machine.control.tolerance;
        if done && (decrement <= POLISHED || polish >= POLISH || gap > 0.5 * before) {
            break (direction, last, decrement);
        }
        if machine.sweeps >= machine.control.max_sweeps {
            machine.stopped = !done;
            break (direction, last, decrement);
        }
        polish += usize::from(done);
        before = gap;
        machine.sweeps += 1;
        if observer.sweep(&told(machine, gap, Some(value))) == Flow::Interrupt {
            machine.interrupted = true;
            break (direction, last, decrement);
        }
        match step(machine, learning, &statistics, (&mut natural, &mut value), (&direction, decrement))? {
            true => {}
            false => {
                // the objective cannot be lowered any more: rounding is all there is
                machine.stopped = !done;
                break (direction, last, decrement);
            }
        }
    };
    certify(machine, &statistics, &direction, decrement);
    if !dense && machine.certificate.optimality_gap.take().is_some() {
        // the equations were solved approximately, and what is missing is not bounded
        machine.certificate.reason = Some(format!("there are more than {DENSE} coefficients"));
    }
    machine.vanishing |= rounded;
    let drifting = machine.vanishing;
    if rounded && machine.certificate.optimality_gap.take().is_some() {
        machine.certificate.reason =
            Some("the optimum lies on the boundary, where the bound does not apply".into());
    }
    let temperature = machine.model.temperature;
    let failed = machine.stopped || machine.interrupted;
    let no_errors = if failed {
        Some("the fit has not ended".to_string())
    } else if drifting {
        Some("the optimum lies on the boundary".into())
    } else if !dense {
        Some(format!("there are more than {DENSE} coefficients"))
    } else {
        None
    };
    let inverse = last.map(|factor| factor.inverse_diagonal(n));
    let ending = Ending {
        names: &learning.coefficients,
        natural: &natural,
        direction: &direction,
        dependencies: &dependencies,
        temperature,
        drifting: drifting && !failed,
        no_errors,
    };
    machine.learned = Some(ending.learned(|k| inverse.as_ref().map(|v| temperature * v[k].sqrt())));
    Ok(())
}

/// ln Z(φ) − φ·⟨F⟩, with the tree calibrated at φ.
fn calibrate(
    machine: &mut Machine,
    learning: &Learning,
    statistics: &Statistics,
    natural: &[f64],
) -> Result<f64, Vec<Diagnostic>> {
    statistics.set(machine, natural);
    for step in &learning.steps {
        machine.step(step)?;
    }
    let log_z: f64 = machine.log_mass.iter().copied().collect::<Compensated>().value();
    Ok(log_z - dot(natural, &statistics.targets))
}

/// Goes along a direction; false when no step lowers the objective, in which case nothing has moved.
fn step(
    machine: &mut Machine,
    learning: &Learning,
    statistics: &Statistics,
    (natural, value): (&mut Vec<f64>, &mut f64),
    (direction, decrement): (&[f64], f64),
) -> Result<bool, Vec<Diagnostic>> {
    let mut length = 1.0;
    for _ in 0..HALVINGS {
        let trial: Vec<f64> = natural.iter().zip(direction).map(|(p, d)| p + length * d).collect();
        let found = calibrate(machine, learning, statistics, &trial);
        // so near the optimum that the objective no longer tells
        let near = decrement < 1e-10 && length == 1.0;
        if let Ok(found) = found
            && (found <= *value - 1e-4 * length * decrement || near)
            && found.is_finite()
        {
            (*natural, *value) = (trial, found);
            return Ok(true);
        }
        length *= 0.5;
    }
    calibrate(machine, learning, statistics, natural)?;
    Ok(false)
}

/// Solves the Newton equations by conjugate gradients, scaled by the size of each statistic.
fn conjugate(machine: &Machine, statistics: &Statistics, right: &[f64]) -> Vec<f64> {
    let inverse: Vec<f64> =
        statistics.scales.iter().map(|s| if *s > 0.0 { 1.0 / (s * s) } else { 0.0 }).collect();
    // below this a residual is rounding
    let floor = (8.0 * f64::EPSILON).powi(2) * right.len() as f64;
    let equations =
        Equations { right, inverse: &inverse, accuracy: 1e-8, floor, worthless: 0.0, met: 0.0, most: 500 };
    equations.solve(|direction| (product(machine, statistics, direction), 0.0)).d
}

/// The bound on what is left: R = Q (1 + d·(F − ⟨F⟩)) has the moments of the data, and where it is not negative
/// KL(P‖Q) − KL(P‖Q*) = KL(Q*‖Q) ≤ KL(R‖Q) ≤ c(m) λ².
fn certify(machine: &mut Machine, statistics: &Statistics, direction: &[f64], decrement: f64) {
    machine.certificate.marginal_gap = machine.gap;
    let resolution = f64::EPSILON * (1.0 + machine.negative_entropy.abs());
    let fitted = moments(machine, statistics);
    let change = smallest(machine, statistics, direction) - dot(direction, &fitted);
    machine.vanishing = leaves(machine.tensor, &statistics.along(direction), change);
    if change < -1.0 {
        machine.certificate.reason =
            Some(match machine.vanishing && !machine.stopped && !machine.interrupted {
                true => "the optimum lies on the boundary, where the bound does not apply".into(),
                false => "the fit is too far from the optimum for a bound".into(),
            });
        return;
    }
    machine.certificate.optimality_gap = Some(relative(change) * decrement.max(0.0) + resolution);
}
