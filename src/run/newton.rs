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
pub(super) struct Point {
    value: f64,
    /// What rounding may have added to the value.
    noise: f64,
    gap: f64,
}

impl Point {
    /// From the sum of some terms and that of their sizes; none where it is no number.
    pub fn new(value: f64, size: f64, gap: f64) -> Option<Self> {
        let noise = 16.0 * f64::EPSILON * size;
        (value.is_finite() && gap.is_finite()).then_some(Self { value, noise, gap })
    }
}

/// A convex objective of log potentials that is a sum of ln Z less ⟨P, λ⟩: of one atom, or of several tensors.
pub(super) trait Objective {
    /// Moves to these log potentials; none where factors would spread too far, or nothing has mass.
    fn place(&mut self, logs: &[f64]) -> Result<Option<Point>, Vec<Diagnostic>>;

    /// The marginals of the model there, in the order of the potentials.
    fn marginals(&mut self) -> Vec<f64>;

    /// G v for the Fisher information G there, and another linear function of v; nothing when it is to end. The gap is
    /// that of the last point.
    fn product(&mut self, v: &[f64], gap: f64) -> Option<(Vec<f64>, f64)>;

    /// Whether it is to end.
    fn spent(&self) -> bool;

    /// Hears of the smallest eigenvalue of the preconditioned G that a step has met.
    fn met(&mut self, smallest: f64);
}

/// Lowers the objective from these log potentials, and leaves them and the place of the objective in agreement. Never
/// raises it: a step that does not lower it is halved, and given up in the end. Takes at most so many products a step.
///
/// The direction d solves G d = P − Q, with G the Fisher information, to the relative precision
/// min(0.1, √‖r‖) (Dembo, Eisenstat and Steihaug 1982, doi:10.1137/0719025). In these redundant
/// coordinates G is singular, but the equations have solutions, and conjugate gradients find one.
pub(super) fn minimise(
    problem: &mut impl Objective,
    target: &[f64],
    logs: &mut Vec<f64>,
    (tolerance, most): (f64, usize),
) -> Result<Ended, Vec<Diagnostic>> {
    let Some(mut here) = problem.place(logs)? else { return Ok(Ended::Stuck) };
    let mass: f64 = target.iter().sum();
    loop {
        if here.gap <= tolerance {
            return Ok(Ended::Matched);
        }
        if problem.spent() {
            return Ok(Ended::Spent);
        }
        let fitted = problem.marginals();
        let right: Vec<f64> = target.iter().zip(&fitted).map(|(p, q)| p - q).collect();
        let inverse: Vec<f64> = fitted.iter().map(|q| if *q > 0.0 { 1.0 / q } else { 0.0 }).collect();
        let mut equations = Equations {
            right: &right,
            inverse: &inverse,
            accuracy: 0.1,
            // below this a residual is rounding, part of it where G is singular: to go on would only spread it
            floor: (32.0 * f64::EPSILON).powi(2) * mass,
            worthless: 0.0,
            met: 0.0,
            most,
        };
        equations.accuracy = equations.size(&right).sqrt().sqrt().min(0.1);
        let found = equations.solve_until(|direction| problem.product(direction, here.gap));
        problem.met(found.smallest);
        match search(problem, logs, here, &right, &found.d)? {
            Some(point) => here = point,
            None => return Ok(Ended::Stuck),
        }
    }
}

/// The longest of the steps d, d/2, d/4, … that lowers the objective; the potentials as they were where
/// none does.
fn search(
    problem: &mut impl Objective,
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
            if let Some(point) = problem.place(&trial)? {
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
    problem.place(logs)?;
    Ok(None)
}

/// Lowers the objective of one atom from the potentials as they stand, and leaves them, the beliefs or messages and
/// the gap in agreement. Every product counts as a sweep, and costs about as much. Also the smallest eigenvalue of the
/// preconditioned Fisher information that it met.
pub(super) fn descend(
    machine: &mut Machine,
    iteration: &Iteration,
    in_factors: bool,
    allowance: Allowance,
    observer: &mut dyn Observer,
) -> Result<(Ended, f64), Vec<Diagnostic>> {
    let target: Vec<f64> =
        iteration.pairs.iter().flat_map(|m| machine.tables[m.statistic.0].iter().copied()).collect();
    machine.note(crate::plan::cost::newton(iteration, &machine.schedule.buffers) as usize);
    let until = machine.counters.operations + allowance.operations;
    let mut logs = stack(machine, iteration, in_factors);
    let operator = Operator::of_atom(machine, iteration, in_factors);
    let (made, flattest) = (0, f64::INFINITY);
    let mut atom =
        Atom { machine, iteration, in_factors, operator, allowance, until, made, flattest, observer };
    let ended = minimise(&mut atom, &target, &mut logs, (allowance.tolerance, allowance.products))?;
    Ok((ended, atom.flattest))
}

/// An atom by itself.
struct Atom<'r, 'a> {
    machine: &'r mut Machine<'a>,
    iteration: &'r Iteration,
    in_factors: bool,
    operator: Operator<'r>,
    allowance: Allowance,
    /// Operations at which it ends.
    until: f64,
    /// Products made.
    made: usize,
    /// The smallest eigenvalue that was met.
    flattest: f64,
    observer: &'r mut dyn Observer,
}

impl Objective for Atom<'_, '_> {
    fn place(&mut self, logs: &[f64]) -> Result<Option<Point>, Vec<Diagnostic>> {
        let Some((log_mass, gap)) = settle(self.machine, self.iteration, self.in_factors, logs)? else {
            return Ok(None);
        };
        let mut rest = logs;
        let (mut value, mut noise) = (log_mass, log_mass.abs());
        for m in &self.iteration.pairs {
            let target = &self.machine.tables[m.statistic.0];
            let (own, tail) = rest.split_at(target.len());
            let term = dot(target, own);
            value -= term;
            noise += term.abs();
            rest = tail;
        }
        Ok(Point::new(value, noise, gap))
    }

    fn marginals(&mut self) -> Vec<f64> {
        self.operator.marginals(self.machine)
    }

    fn product(&mut self, v: &[f64], gap: f64) -> Option<(Vec<f64>, f64)> {
        if self.spent() {
            return None;
        }
        let machine = &mut *self.machine;
        let product = self.operator.apply(machine, v);
        self.made += 1;
        machine.sweeps += 1;
        machine.predict(machine.units.product);
        machine.worked(gradients(v.len() as f64));
        let own = machine.control.max_sweeps.saturating_sub(self.allowance.products - self.made);
        let told = machine.told(own, gap, self.allowance.tolerance);
        machine.interrupted = self.observer.sweep(&told) == Flow::Interrupt;
        Some(product)
    }

    fn spent(&self) -> bool {
        self.machine.interrupted
            || self.made >= self.allowance.products
            || self.machine.counters.operations >= self.until
    }

    fn met(&mut self, smallest: f64) {
        self.flattest = self.flattest.min(smallest);
    }
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

/// Moves an atom to the given potentials: ln Z and the gap there. None where factors would spread too far.
pub(super) fn settle(
    machine: &mut Machine,
    iteration: &Iteration,
    in_factors: bool,
    logs: &[f64],
) -> Result<Option<(f64, f64)>, Vec<Diagnostic>> {
    let mut rest = logs;
    match iteration.factored.as_ref().filter(|_| in_factors) {
        None => {
            for m in &iteration.pairs {
                let own = &mut machine.tables[m.potential.0];
                let (here, tail) = rest.split_at(own.len());
                own.iter_mut().zip(here).filter(|(l, _)| l.is_finite()).for_each(|(l, new)| *l = *new);
                rest = tail;
            }
            machine.check(iteration)?;
            let component = machine.schedule.places.iter().find(|p| p.belief == iteration.root);
            Ok(Some((component.map_or(0.0, |p| machine.log_mass[p.component]), machine.gap)))
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
            let mass = |v: BufferId| machine.scale_of[v.0] + ln(sum(&machine.tables[v.0]));
            Ok(Some((view(iteration).map_or(0.0, mass), gap)))
        }
    }
}

/// The view a factored sweep starts with.
fn view(iteration: &Iteration) -> Option<BufferId> {
    let first = iteration.factored.as_ref()?.sweep.first()?;
    first.instruction.writes().first().copied()
}
