//! Sweeps, and Newton steps where they crawl, on kernels that grow steeper until they are the one asked for.

use super::feasible::{Infeasible, Support};
use super::scaling::Solver;
use super::{Balanced, Problem};
use crate::numeric::sum::{Compensated, dot, sum};
use crate::run::control::{Control, Flow, Observer, Sweep};
use crate::run::fit::Status;
use crate::run::kernel::map;

/// Sweeps before their rate is believed.
const WARM: usize = 8;

/// Sweeps still to come from which Newton steps are cheaper.
const LONG: f64 = 30.0;

/// Newton steps that may fail before sweeps are left to themselves.
const FAILURES: usize = 3;

/// Largest spread of ln K with which sweeps and steps begin.
const GENTLE: f64 = 20.0;

/// By how much ln K grows at a time; a power of two, so that it ends where it was.
const STEEPER: f64 = 4.0;

/// The gap at which a kernel on the way has done its part.
const LOOSE: f64 = 1e-2;

/// The gap at which cells that have to be zero are told from others.
const SHARP: f64 = 1e-9;

/// Sweeps between two looks for a proof that nothing has the margins.
const DOUBT: usize = 64;

/// Times that cells which have to be zero are looked for.
const ROUNDS: usize = 8;

/// Who watches, and how many sweeps and steps were taken.
struct Course<'a> {
    control: &'a Control,
    observer: &'a mut dyn Observer,
    spent: usize,
    /// Whether a scaling is known to exist.
    complete: bool,
}

pub(super) fn solve(
    problem: &Problem,
    support: Support,
    control: &Control,
    observer: &mut dyn Observer,
) -> Result<Balanced, Infeasible> {
    let Support { log_kernel, targets, mut cut, complete } = support;
    let cells = log_kernel.len();
    let mut solver = Solver {
        projections: problem.margins.iter().map(|m| problem.projection(&m.scope)).collect(),
        potentials: targets.iter().map(|t| vec![0.0; t.len()]).collect(),
        values: vec![0.0; cells],
        scratch: vec![0.0; cells],
        drift: 0.0,
        products: 0,
        stop: observer.stop().unwrap_or_default(),
        caution: 0,
        log_kernel,
        targets,
        problem,
    };
    let mut course = Course { control, observer, spent: 0, complete };
    let mut status = Status::Converged;
    if !complete {
        let found = solver.explore(&mut course)?;
        status = found.0;
        cut += found.1;
    }
    if status != Status::Interrupted {
        status = solver.anneal(&mut course)?;
    }
    let mut runaway = false;
    if status == Status::Converged && !course.complete {
        cut += solver.leave(course.control.tolerance, &mut course);
        runaway = solver.runs_away();
    }
    let status = match status {
        Status::Converged if cut > 0 || runaway => Status::Boundary,
        other => other,
    };
    let certificate = solver.certificate(status, runaway);
    let mass = sum(&solver.values);
    let energy: Compensated =
        solver.potentials.iter().enumerate().map(|(c, l)| dot(&solver.marginal(c), l)).collect();
    map(&mut solver.values, move |v| v / mass);
    // the kernel before the cut has the mass that the cut took from it as well
    let removed = removed(&problem.log_kernel, &solver.log_kernel);
    Ok(Balanced {
        values: solver.values,
        potentials: solver.potentials,
        kl: energy.value() / mass - mass.ln() - removed,
        status,
        iterations: course.spent,
        products: solver.products,
        certificate,
        cut,
    })
}

/// Those that are not −∞.
fn finite(logs: &[f64]) -> impl Iterator<Item = f64> + '_ {
    logs.iter().copied().filter(|l| *l > f64::NEG_INFINITY)
}

/// ln Σ exp, −∞ for nothing.
fn log_sum(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + logs.iter().map(|l| (l - most).exp()).collect::<Compensated>().value().ln()
}

/// ln of the part of the kernel's mass that is on the support.
fn removed(whole: &[f64], support: &[f64]) -> f64 {
    let left: Vec<f64> = whole
        .iter()
        .zip(support)
        .map(|(k, s)| if *s == f64::NEG_INFINITY { f64::NEG_INFINITY } else { *k })
        .collect();
    log_sum(&left) - log_sum(whole)
}

impl Solver<'_> {
    /// Solves for the flat kernel, K = 1 on the support: whether anything has the margins, and which cells have to
    /// be zero, depends on the support alone, and shows best where no cell is small for other reasons. How it
    /// ended, and the cells that were cut. Where none is left in doubt, a scaling is known to exist.
    fn explore(&mut self, course: &mut Course) -> Result<(Status, usize), Infeasible> {
        map(&mut self.log_kernel, |k| if k > f64::NEG_INFINITY { 0.0 } else { k });
        self.normalise();
        let tolerance = course.control.tolerance.min(SHARP);
        let status = self.approach(tolerance, course.control.max_sweeps / 2, course)?;
        let mut cut = 0;
        if status == Status::Converged {
            cut = self.leave(tolerance, course);
            course.complete = !self.runs_away();
        }
        for (own, kernel) in self.log_kernel.iter_mut().zip(&self.problem.log_kernel) {
            if *own > f64::NEG_INFINITY {
                *own = *kernel;
            }
        }
        if status == Status::Interrupted {
            self.normalise();
            self.begin();
        }
        Ok((status, cut))
    }

    /// Solves for K^β with β from small to 1. Each solution, with its potentials stretched as the kernel is,
    /// is near the next one, which it need not be to the kernel that was asked for: where ln K is far from
    /// flat, sweeps from nothing take as long as it is steep.
    fn anneal(&mut self, course: &mut Course) -> Result<Status, Infeasible> {
        let most = finite(&self.log_kernel).fold(f64::NEG_INFINITY, f64::max);
        map(&mut self.log_kernel, move |k| k - most);
        let spread = -finite(&self.log_kernel).fold(0.0, f64::min);
        let mut steps = 0;
        let mut steepness = 1.0;
        while spread * steepness > GENTLE {
            steepness /= STEEPER;
            steps += 1;
        }
        map(&mut self.log_kernel, move |k| k * steepness);
        let loose = LOOSE.max(course.control.tolerance);
        let mut status = Status::Converged;
        for left in (1..=steps).rev() {
            if status != Status::Interrupted {
                let share = (course.control.max_sweeps - course.spent) / (left + 1);
                status = self.approach(loose, share, course)?;
            }
            map(&mut self.log_kernel, |k| k * STEEPER);
            self.potentials.iter_mut().flatten().for_each(|l| *l *= STEEPER);
        }
        // probabilities: B ∝ K exp(Σ λ) with Σ K = 1
        self.normalise();
        if status == Status::Interrupted {
            self.begin();
            return Ok(status);
        }
        self.approach(course.control.tolerance, course.control.max_sweeps - course.spent, course)
    }

    /// Adds a constant to ln K so that Σ K = 1, and takes it from a potential.
    fn normalise(&mut self) {
        let z = log_sum(&self.log_kernel);
        map(&mut self.log_kernel, move |k| k - z);
        if let (Some(potential), Some(target)) = (self.potentials.first_mut(), self.targets.first()) {
            potential.iter_mut().zip(target).filter(|(_, t)| **t > 0.0).for_each(|(l, _)| *l += z);
        }
    }

    /// A sweep in logarithms, from any potentials.
    fn begin(&mut self) {
        for c in 0..self.targets.len() {
            self.update_in_logs(c);
        }
        self.refresh();
    }

    /// Sweeps, and Newton steps once they crawl, until the margins are met.
    fn approach(&mut self, tolerance: f64, most: usize, course: &mut Course) -> Result<Status, Infeasible> {
        self.begin();
        self.caution = 0;
        let mut before = self.potentials.clone();
        let mut gaps: Vec<f64> = Vec::new();
        let mut newton = false;
        let mut failures = 0;
        for number in 1..=most {
            course.spent += 1;
            let gap = if newton {
                match self.newton() {
                    Some(gap) => gap,
                    None => {
                        failures += 1;
                        self.sweep(number)
                    }
                }
            } else {
                self.sweep(number)
            };
            gaps.push(gap);
            if gap <= tolerance && self.gap() <= tolerance {
                return Ok(Status::Converged);
            }
            if !course.complete && (newton || number.is_power_of_two() || number.is_multiple_of(DOUBT)) {
                self.witness(&before)?;
                if number.is_power_of_two() {
                    before.clone_from(&self.potentials);
                }
            }
            newton = failures < FAILURES && (newton || crawls(&gaps, tolerance));
            let told = Sweep::alone(course.spent, gap, course.control);
            if course.observer.sweep(&told) == Flow::Interrupt {
                return Ok(Status::Interrupted);
            }
        }
        Ok(Status::Stopped)
    }

    /// Cuts the cells that are proven to be zero, and goes on without them: how many there are.
    fn leave(&mut self, tolerance: f64, course: &mut Course) -> usize {
        let mut cut = 0;
        for _ in 0..ROUNDS {
            let forced = self.forced();
            if forced.is_empty() {
                break;
            }
            let (kernel, potentials) = (self.log_kernel.clone(), self.potentials.clone());
            for flat in &forced {
                self.log_kernel[*flat] = f64::NEG_INFINITY;
            }
            self.normalise();
            let left = course.control.max_sweeps - course.spent;
            if !matches!(self.approach(tolerance, left, course), Ok(Status::Converged)) {
                // there is something that has the margins, and it was found before
                (self.log_kernel, self.potentials) = (kernel, potentials);
                self.refresh();
                break;
            }
            cut += forced.len();
        }
        cut
    }
}

/// Whether at the rate of the last sweeps many more are needed.
fn crawls(gaps: &[f64], tolerance: f64) -> bool {
    let (Some(last), Some(earlier)) = (gaps.last(), gaps.len().checked_sub(WARM).and_then(|i| gaps.get(i)))
    else {
        return false;
    };
    let rate = (last / earlier).powf(1.0 / (WARM - 1) as f64);
    rate.is_nan() || rate >= 1.0 || (tolerance / last).ln() / rate.ln() > LONG
}
