//! Scaling sweeps, and Newton steps where they crawl.

use super::feasible::{Infeasible, Support};
use super::{Balanced, Problem};
use crate::model::table::cell_at;
use crate::numeric::gap::{relative_gap, worst};
use crate::numeric::sum::{Compensated, dot, sum};
use crate::run::certificate::factor;
use crate::run::conjugate::Equations;
use crate::run::control::{Control, Flow, Observer, Sweep};
use crate::run::fit::{Certificate, Status};
use crate::run::kernel::{combine, map, marginalise, maximise, plus, scale};
use crate::run::projection::Projection;

/// Sweeps after which the exponentials are taken anew, so that rounding does not add up.
const REFRESH: usize = 32;

/// Log scaling of a cell after which they are taken anew, so that nothing underflows for good.
const REACH: f64 = 200.0;

/// Sweeps before their rate is believed.
const WARM: usize = 8;

/// Sweeps still to come from which Newton steps are cheaper.
const LONG: f64 = 30.0;

/// Most products for one Newton step, per cell of the margins.
const PRODUCTS: usize = 4;

/// A Newton step at a converged point that still changes a logarithm by so much runs to the boundary.
const RUNAWAY: f64 = 0.1;

/// Relative residual of the last system, from which the certificate is made.
const CERTIFIED: f64 = 1e-8;

/// What sums over margins lose to rounding, relatively.
const ROUNDED: f64 = 64.0 * f64::EPSILON;

/// Newton steps that may fail before sweeps are left to themselves.
const FAILURES: usize = 3;

struct Solver<'p> {
    /// ln K of the support, Σ K = 1.
    log_kernel: Vec<f64>,
    targets: Vec<Vec<f64>>,
    projections: Vec<Projection>,
    /// λ_c.
    potentials: Vec<Vec<f64>>,
    /// K exp(Σ λ_c).
    values: Vec<f64>,
    /// One number per cell.
    scratch: Vec<f64>,
    /// Largest change of each logarithm since the exponentials were taken.
    drift: f64,
    products: usize,
    problem: &'p Problem,
}

pub(super) fn solve(
    problem: &Problem,
    support: Support,
    control: &Control,
    observer: &mut dyn Observer,
) -> Result<Balanced, Infeasible> {
    let Support { mut log_kernel, targets, cut, complete } = support;
    normalise(&mut log_kernel);
    let cells = log_kernel.len();
    let mut solver = Solver {
        projections: problem.margins.iter().map(|m| problem.projection(&m.scope)).collect(),
        potentials: targets.iter().map(|t| vec![0.0; t.len()]).collect(),
        values: vec![0.0; cells],
        scratch: vec![0.0; cells],
        drift: 0.0,
        products: 0,
        log_kernel,
        targets,
        problem,
    };
    let (status, iterations) = solver.iterate(control, complete, observer)?;
    let runaway = matches!(status, Status::Converged) && !complete && solver.runs_away();
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
        iterations,
        products: solver.products,
        certificate,
        cut,
    })
}

/// Adds a constant so that Σ exp = 1.
fn normalise(logs: &mut [f64]) {
    let z = log_sum(logs);
    logs.iter_mut().for_each(|l| *l -= z);
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
    /// B_c.
    fn marginal(&self, c: usize) -> Vec<f64> {
        let mut onto = vec![0.0; self.potentials[c].len()];
        marginalise(&self.projections[c], &self.values, &mut onto);
        onto
    }

    /// Takes the exponentials anew.
    fn refresh(&mut self) {
        self.values.copy_from_slice(&self.log_kernel);
        for (projection, potential) in self.projections.iter().zip(&self.potentials) {
            combine(projection, &mut self.values, potential, plus);
        }
        map(&mut self.values, f64::exp);
        self.drift = 0.0;
    }

    /// One exact update of a margin in logarithms, which no spread of the kernel can defeat.
    fn update_in_logs(&mut self, c: usize) {
        self.scratch.copy_from_slice(&self.log_kernel);
        for (projection, potential) in self.projections.iter().zip(&self.potentials) {
            combine(projection, &mut self.scratch, potential, plus);
        }
        let cells = self.potentials[c].len();
        let (mut most, mut mass) = (vec![0.0; cells], vec![0.0; cells]);
        maximise(&self.projections[c], &self.scratch, &mut most);
        combine(&self.projections[c], &mut self.scratch, &most, |v, m| {
            if m == f64::NEG_INFINITY { 0.0 } else { (v - m).exp() }
        });
        marginalise(&self.projections[c], &self.scratch, &mut mass);
        for (((l, t), m), s) in self.potentials[c].iter_mut().zip(&self.targets[c]).zip(&most).zip(&mass) {
            if *t > 0.0 && *m > f64::NEG_INFINITY {
                *l += t.ln() - m - s.ln();
            }
        }
    }

    /// One sweep: every margin is met in turn. The gap is the largest that was found on the way.
    fn sweep(&mut self, number: usize) -> f64 {
        if number.is_multiple_of(REFRESH) || self.drift > REACH {
            self.refresh();
        }
        let mut gap = 0.0f64;
        for c in 0..self.targets.len() {
            let found = self.marginal(c);
            gap = gap.max(relative_gap(&found, &self.targets[c]));
            if found.iter().zip(&self.targets[c]).any(|(b, t)| *t > 0.0 && !(*b > 1e-290 && *b < 1e290)) {
                self.update_in_logs(c);
                self.refresh();
                continue;
            }
            let factors: Vec<f64> =
                found.iter().zip(&self.targets[c]).map(|(b, t)| if *t > 0.0 { t / b } else { 1.0 }).collect();
            let mut change = 0.0f64;
            for (l, f) in self.potentials[c].iter_mut().zip(&factors) {
                let ln = f.ln();
                *l += ln;
                change = change.max(ln.abs());
            }
            self.drift += change;
            scale(&self.projections[c], &mut self.values, &factors);
        }
        gap
    }

    fn gap(&self) -> f64 {
        worst((0..self.targets.len()).map(|c| relative_gap(&self.marginal(c), &self.targets[c])))
    }

    fn iterate(
        &mut self,
        control: &Control,
        complete: bool,
        observer: &mut dyn Observer,
    ) -> Result<(Status, usize), Infeasible> {
        for c in 0..self.targets.len() {
            self.update_in_logs(c);
        }
        self.refresh();
        let mut gaps: Vec<f64> = Vec::new();
        let mut newton = false;
        let mut failures = 0;
        for number in 1..=control.max_sweeps {
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
            if gap <= control.tolerance && self.gap() <= control.tolerance {
                return Ok((Status::Converged, number));
            }
            if !complete && (newton || number.is_multiple_of(16)) {
                self.witness()?;
            }
            newton = failures < FAILURES && (newton || crawls(&gaps, control.tolerance));
            let told = Sweep::alone(number, gap, control);
            if observer.sweep(&told) == Flow::Interrupt {
                return Ok((Status::Interrupted, number));
            }
        }
        Ok((Status::Stopped, control.max_sweeps))
    }

    /// Σ_c d_c(x_c) at every cell of the support, 0 elsewhere, into the scratch.
    fn spread(&mut self, direction: &[f64]) {
        self.scratch.fill(0.0);
        let mut rest = direction;
        for (projection, target) in self.projections.iter().zip(&self.targets) {
            let (table, others) = rest.split_at(target.len());
            combine(projection, &mut self.scratch, table, plus);
            rest = others;
        }
    }

    /// The matrix of second derivatives times a direction: (H d)_c = marginal c of B Σ d.
    fn product(&mut self, direction: &[f64]) -> Vec<f64> {
        self.products += 1;
        self.spread(direction);
        self.scratch.iter_mut().zip(&self.values).for_each(|(e, b)| *e *= b);
        let mut out = vec![0.0; direction.len()];
        let mut rest = out.as_mut_slice();
        for (projection, target) in self.projections.iter().zip(&self.targets) {
            let (onto, others) = rest.split_at_mut(target.len());
            marginalise(projection, &self.scratch, onto);
            rest = others;
        }
        out
    }

    /// What the margins miss, one after the other.
    fn residual(&self) -> Vec<f64> {
        let missed = |c: usize| self.targets[c].iter().zip(self.marginal(c)).map(|(t, b)| t - b);
        (0..self.targets.len()).flat_map(missed).collect()
    }

    /// d of H d = r, preconditioned by the margins, to a relative residual.
    fn direction(&mut self, residual: &[f64], accuracy: f64) -> Vec<f64> {
        let inverse: Vec<f64> =
            self.targets.iter().flatten().map(|t| if *t > 0.0 { 1.0 / t } else { 0.0 }).collect();
        let equations = Equations {
            right: residual,
            inverse: &inverse,
            accuracy,
            // what is left of the right-hand side below this is rounding, which need not have a solution
            floor: ROUNDED * ROUNDED * self.targets.len() as f64,
            worthless: 0.0,
            most: PRODUCTS * residual.len() + 20,
        };
        equations.solve(|direction| (self.product(direction), 0.0)).d
    }

    /// One Newton step on the dual Σ⟨λ, t⟩ − Σ B, halved until it rises; none when rounding is all
    /// that is left.
    fn newton(&mut self) -> Option<f64> {
        let residual = self.residual();
        let gap = self.gap();
        let d = self.direction(&residual, gap.min(0.1));
        let slope = dot(&residual, &d);
        let linear = dot(&self.targets.concat(), &d);
        let before = self.potentials.clone();
        let mass = sum(&self.values);
        let mut step = 1.0;
        for _ in 0..40 {
            add(&mut self.potentials, step, &d);
            self.refresh();
            let gain = step * linear - (sum(&self.values) - mass);
            let next = self.gap();
            let rises = gain >= 1e-4 * step * slope;
            if next.is_finite() && (rises || next < 0.5 * gap) {
                return Some(next);
            }
            self.potentials.clone_from(&before);
            step *= 0.5;
        }
        self.refresh();
        None
    }

    /// Whether a Newton step at the end still changes logarithms: the optimum has cells at zero that no
    /// cut has found.
    fn runs_away(&mut self) -> bool {
        let residual = self.residual();
        let d = self.direction(&residual, 1e-3);
        self.spread(&d);
        let cells = self.scratch.iter().zip(&self.log_kernel).filter(|(_, k)| **k > f64::NEG_INFINITY);
        cells.map(|(e, _)| e.abs()).fold(0.0, f64::max) > RUNAWAY
    }

    /// Weights that prove the margins impossible: ⟨λ, t⟩ is the mean of Σ λ_c under every tensor with
    /// these margins, and a mean cannot be above the largest value on the support.
    fn witness(&mut self) -> Result<(), Infeasible> {
        self.spread(&self.potentials.concat());
        let cells = self.scratch.iter().zip(&self.log_kernel).filter(|(_, k)| **k > f64::NEG_INFINITY);
        let most = cells.map(|(e, _)| *e).fold(f64::NEG_INFINITY, f64::max);
        let asked: f64 = self.targets.iter().zip(&self.potentials).map(|(t, l)| dot(t, l)).sum();
        let size: f64 = self
            .targets
            .iter()
            .zip(&self.potentials)
            .map(|(t, l)| t.iter().zip(l).map(|(t, l)| t * l.abs()).sum::<f64>())
            .sum();
        if asked <= most + 1e-9 * size.max(1.0) {
            return Ok(());
        }
        let mut best = (0, 0, f64::NEG_INFINITY);
        for (c, table) in self.potentials.iter().enumerate() {
            for (i, l) in table.iter().enumerate() {
                if *l > best.2 {
                    best = (c, i, *l);
                }
            }
        }
        let scope =
            self.problem.margins.get(best.0).map(|m| self.problem.sizes(&m.scope)).unwrap_or_default();
        Err(Infeasible::Weights { margin: best.0, cell: cell_at(&scope, best.1), asked, most })
    }

    /// The bound of Newton's direction: B (1 + Σ d) has the margins, so it is at most so far away.
    fn certificate(&mut self, status: Status, runaway: bool) -> Certificate {
        let marginal_gap = self.gap();
        let mut certificate = Certificate { marginal_gap, ..Certificate::default() };
        if runaway {
            certificate.reason = Some("the optimum lies on the boundary".into());
            return certificate;
        }
        if matches!(status, Status::Stopped | Status::Interrupted) && marginal_gap > 0.1 {
            certificate.reason = Some("the margins are still far from those asked for".into());
            return certificate;
        }
        let residual = self.residual();
        let d = self.direction(&residual, CERTIFIED);
        let decrement = dot(&residual, &d);
        self.spread(&d);
        let cells = self.scratch.iter().zip(&self.log_kernel).filter(|(_, k)| **k > f64::NEG_INFINITY);
        let least = cells.map(|(e, _)| *e).fold(0.0, f64::min);
        if least < -1.0 {
            certificate.reason = Some("Newton's direction leaves the positive tensors".into());
            return certificate;
        }
        // what the sums over a cell's logarithms lose to rounding
        let rounding: f64 = self
            .targets
            .iter()
            .zip(&self.potentials)
            .map(|(t, l)| t.iter().zip(l).map(|(t, l)| t * l.abs()).sum::<f64>())
            .sum();
        certificate.optimality_gap =
            Some(factor(least) * decrement.max(0.0) + 4.0 * f64::EPSILON * (1.0 + rounding));
        certificate
    }
}

/// Adds a part of a direction to the tables it goes through.
fn add(to: &mut [Vec<f64>], step: f64, direction: &[f64]) {
    to.iter_mut().flatten().zip(direction).for_each(|(t, d)| *t += step * d);
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
