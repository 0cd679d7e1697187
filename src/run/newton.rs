//! Newton's method in marginal space: conjugate gradients on the tables of the generators themselves,
//! preconditioned by the fitted marginals. It takes few steps where sweeps are slow, because one step
//! moves all generators together.

use super::certificate::Operator;
use super::conjugate::Equations;
use super::control::{Flow, Observer};
use super::machine::Machine;
use super::sum::{dot, sum};
use super::vector::{ln, ln_all};
use crate::plan::cost::gradients;
use crate::plan::schedule::{BufferId, Iteration};
use crate::text::Diagnostic;

/// Largest change of a log potential in one step.
const REACH: f64 = 50.0;

/// Part of the decrease a straight line promises that a step has to keep (Armijo 1966).
const KEPT: f64 = 1e-4;

/// Times a step is halved before it is given up.
const HALVINGS: usize = 12;

/// How a descent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The marginals match.
    Matched,
    /// The allowance is used up.
    Spent,
    /// No step lowers the objective any more.
    Stuck,
}

/// What a descent may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    /// Operations, as the machine counts them.
    pub operations: f64,
    /// Products with the Fisher information.
    pub products: usize,
    /// The gap it is to reach.
    pub tolerance: f64,
}

/// The objective f(λ) = ln Z − Σ⟨P, λ⟩ at some potentials.
#[derive(Debug, Clone, Copy)]
struct Point {
    value: f64,
    /// What rounding may have added to the value.
    noise: f64,
    gap: f64,
}

/// Lowers the objective from the potentials as they stand, and leaves them, the beliefs or messages and
/// the gap in agreement. Never raises it: a step that does not lower it is halved, and given up
/// in the end. Every product counts as a sweep, and costs about as much.
///
/// The direction d solves G d = P − Q, with G the Fisher information, to the relative precision
/// min(0.1, √‖r‖) (Dembo, Eisenstat and Steihaug 1982, doi:10.1137/0719025). In these redundant
/// coordinates G is singular, but the equations have solutions, and conjugate gradients find one.
pub(super) fn descend(
    machine: &mut Machine,
    iteration: &Iteration,
    in_factors: bool,
    allowance: Allowance,
    observer: &mut dyn Observer,
) -> Result<Ended, Vec<Diagnostic>> {
    let target: Vec<f64> =
        iteration.pairs.iter().flat_map(|m| machine.tables[m.statistic.0].iter().copied()).collect();
    machine.note(crate::plan::cost::newton(iteration, &machine.schedule.buffers) as usize);
    let until = machine.counters.operations + allowance.operations;
    let mut logs = stack(machine, iteration, in_factors);
    let Some(mut here) = place(machine, iteration, in_factors, &logs)? else { return Ok(Ended::Stuck) };
    let mut made = 0;
    loop {
        if here.gap <= allowance.tolerance {
            return Ok(Ended::Matched);
        }
        if machine.interrupted || made >= allowance.products || machine.counters.operations >= until {
            return Ok(Ended::Spent);
        }
        let mut operator = Operator::of_atom(machine, iteration, in_factors);
        let fitted = operator.marginals(machine);
        let right: Vec<f64> = target.iter().zip(&fitted).map(|(p, q)| p - q).collect();
        let inverse: Vec<f64> = fitted.iter().map(|q| if *q > 0.0 { 1.0 / q } else { 0.0 }).collect();
        let mut equations = Equations {
            right: &right,
            inverse: &inverse,
            accuracy: 0.1,
            // below this a residual is rounding, part of it where G is singular: to go on would only spread it
            floor: (32.0 * f64::EPSILON).powi(2) * iteration.pairs.len() as f64,
            worthless: 0.0,
            most: allowance.products,
        };
        equations.accuracy = equations.size(&right).sqrt().sqrt().min(0.1);
        let found = equations.solve_until(|direction| {
            if machine.interrupted || made >= allowance.products || machine.counters.operations >= until {
                return None;
            }
            let product = operator.apply(machine, direction);
            made += 1;
            machine.sweeps += 1;
            machine.predict(machine.units.product);
            machine.worked(gradients(direction.len() as f64));
            let own = machine.control.max_sweeps.saturating_sub(allowance.products - made);
            let told = machine.told(own, here.gap, allowance.tolerance);
            machine.interrupted = observer.sweep(&told) == Flow::Interrupt;
            Some(product)
        });
        drop(operator);
        match search(machine, iteration, in_factors, &mut logs, here, &right, &found.d)? {
            Some(point) => here = point,
            None => return Ok(Ended::Stuck),
        }
    }
}

/// The longest of the steps d, d/2, d/4, … that lowers the objective; the potentials as they were where
/// none does.
fn search(
    machine: &mut Machine,
    iteration: &Iteration,
    in_factors: bool,
    logs: &mut Vec<f64>,
    here: Point,
    right: &[f64],
    step: &[f64],
) -> Result<Option<Point>, Vec<Diagnostic>> {
    let slope = dot(right, step);
    let longest = step.iter().fold(0.0f64, |m, d| m.max(d.abs()));
    if slope > 0.0 && longest.is_finite() {
        let mut length = (REACH / longest).min(1.0);
        for _ in 0..=HALVINGS {
            let trial: Vec<f64> = logs.iter().zip(step).map(|(l, d)| l + length * d).collect();
            if let Some(point) = place(machine, iteration, in_factors, &trial)? {
                let noise = here.noise.max(point.noise);
                let lower = point.value <= here.value - KEPT * length * slope;
                // what is left to gain may be less than rounding; then the gap decides
                let fine = length * slope <= noise && point.value <= here.value + noise;
                if lower && KEPT * length * slope > noise || (lower || fine) && point.gap < here.gap {
                    *logs = trial;
                    return Ok(Some(point));
                }
            }
            length *= 0.5;
        }
    }
    place(machine, iteration, in_factors, logs)?;
    Ok(None)
}

/// The log potentials of all generators in one vector; 0 where they are −∞.
fn stack(machine: &Machine, iteration: &Iteration, in_factors: bool) -> Vec<f64> {
    let mut out = Vec::new();
    match iteration.factored.as_ref().filter(|_| in_factors) {
        None => {
            let cells = iteration.pairs.iter().flat_map(|m| &machine.tables[m.potential.0]);
            out.extend(cells.map(|l| if l.is_finite() { *l } else { 0.0 }));
        }
        Some(factored) => {
            for f in &factored.factors {
                let (at, unit) = (out.len(), machine.scale_of[f.0]);
                out.extend_from_slice(&machine.tables[f.0]);
                ln_all(&mut out[at..]);
                out[at..].iter_mut().for_each(|l| *l = if l.is_finite() { *l + unit } else { 0.0 });
            }
        }
    }
    out
}

/// Moves to the given potentials; none where factors would spread too far, or nothing has mass.
fn place(
    machine: &mut Machine,
    iteration: &Iteration,
    in_factors: bool,
    logs: &[f64],
) -> Result<Option<Point>, Vec<Diagnostic>> {
    let mut rest = logs;
    let (log_mass, gap) = match iteration.factored.as_ref().filter(|_| in_factors) {
        None => {
            for m in &iteration.pairs {
                let own = &mut machine.tables[m.potential.0];
                let (here, tail) = rest.split_at(own.len());
                own.iter_mut().zip(here).filter(|(l, _)| l.is_finite()).for_each(|(l, new)| *l = *new);
                rest = tail;
            }
            machine.check(iteration)?;
            let component = machine.schedule.places.iter().find(|p| p.belief == iteration.root);
            (component.map_or(0.0, |p| machine.log_mass[p.component]), machine.gap)
        }
        Some(factored) => {
            for f in &factored.factors {
                let (own, tail) = rest.split_at(machine.tables[f.0].len());
                machine.set_factor(*f, own);
                rest = tail;
            }
            if std::mem::take(&mut machine.uneven) {
                return Ok(None);
            }
            let gap = machine.check_factors(factored, &iteration.pairs)?;
            (view(iteration).map_or(0.0, |v| machine.scale_of[v.0] + ln(sum(&machine.tables[v.0]))), gap)
        }
    };
    let mut rest = logs;
    let (mut value, mut noise) = (log_mass, log_mass.abs());
    for m in &iteration.pairs {
        let target = &machine.tables[m.statistic.0];
        let (own, tail) = rest.split_at(target.len());
        let term = dot(target, own);
        value -= term;
        noise += term.abs();
        rest = tail;
    }
    let noise = 16.0 * f64::EPSILON * noise;
    Ok((value.is_finite() && gap.is_finite()).then_some(Point { value, noise, gap }))
}

/// The view a factored sweep starts with.
fn view(iteration: &Iteration) -> Option<BufferId> {
    let first = iteration.factored.as_ref()?.sweep.first()?;
    first.instruction.writes().first().copied()
}
