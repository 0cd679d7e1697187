//! Newton steps on the dual, and the certificate that the last one gives.

use super::scaling::Solver;
use crate::numeric::sum::{dot, sum};
use crate::run::certificate::factor;
use crate::run::conjugate::Equations;
use crate::run::fit::{Certificate, Status};
use crate::run::kernel::marginalise;

/// Most products for one Newton step, per cell of the margins.
const PRODUCTS: usize = 4;

/// Relative residual of the last system, from which the certificate is made.
pub(super) const CERTIFIED: f64 = 1e-8;

/// What sums over margins lose to rounding, relatively.
const ROUNDED: f64 = 64.0 * f64::EPSILON;

/// What is added to the second derivatives, relative to their diagonal, where a step without it leads nowhere:
/// parts of the tensor that next to nothing joins move against each other by any amount.
const DAMPING: [f64; 3] = [0.0, 1e-6, 1e-3];

impl Solver<'_> {
    /// The matrix of second derivatives times a direction: (H d)_c = marginal c of B Σ d.
    pub(super) fn product(&mut self, direction: &[f64]) -> Vec<f64> {
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
    pub(super) fn residual(&self) -> Vec<f64> {
        let missed = |c: usize| self.targets[c].iter().zip(self.marginal(c)).map(|(t, b)| t - b);
        (0..self.targets.len()).flat_map(missed).collect()
    }

    /// d of (H + damping · t) d = r, preconditioned by the margins t, to a relative residual, and whether it
    /// got so far, or to rounding.
    pub(super) fn direction(&mut self, residual: &[f64], accuracy: f64, damping: f64) -> (Vec<f64>, bool) {
        let targets = self.targets.concat();
        let inverse: Vec<f64> = targets.iter().map(|t| if *t > 0.0 { 1.0 / t } else { 0.0 }).collect();
        let equations = Equations {
            right: residual,
            inverse: &inverse,
            accuracy,
            // what is left of the right-hand side below this is rounding, which need not have a solution
            floor: ROUNDED * ROUNDED * self.targets.len() as f64,
            worthless: 0.0,
            met: 0.0,
            most: PRODUCTS * residual.len() + 20,
        };
        let solution = equations.solve_until(|direction| {
            if self.stop.asked() {
                return None;
            }
            let mut image = self.product(direction);
            if damping > 0.0 {
                image.iter_mut().zip(direction).zip(&targets).for_each(|((h, d), t)| *h += damping * t * d);
            }
            Some((image, 0.0))
        });
        let enough = (accuracy * accuracy * equations.size(residual)).max(equations.floor);
        let solved = equations.size(&solution.left) <= enough;
        (solution.d, solved)
    }

    /// One Newton step on the dual Σ⟨λ, t⟩ − Σ B, damped where it has to be; none when rounding is all
    /// that is left.
    pub(super) fn newton(&mut self) -> Option<f64> {
        for (place, damping) in DAMPING.into_iter().enumerate().skip(self.caution) {
            if let Some(gap) = self.damped(damping) {
                self.caution = place.saturating_sub(1);
                return Some(gap);
            }
        }
        self.caution = 0;
        None
    }

    /// A step with this damping, halved until the dual rises.
    fn damped(&mut self, damping: f64) -> Option<f64> {
        let residual = self.residual();
        let gap = self.gap();
        let (d, _) = self.direction(&residual, gap.min(0.1), damping);
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

    /// The bound of Newton's direction: B (1 + Σ d) has the margins, so it is at most so far away.
    pub(super) fn certificate(&mut self, status: Status, runaway: bool) -> Certificate {
        let marginal_gap = self.gap();
        let mut certificate = Certificate { marginal_gap, ..Certificate::default() };
        if runaway {
            certificate.reason = Some("the optimum lies on the boundary".into());
            return certificate;
        }
        if status == Status::Interrupted {
            certificate.reason = Some("the balance was interrupted".into());
            return certificate;
        }
        if status == Status::Stopped && marginal_gap > 0.1 {
            certificate.reason = Some("the margins are still far from those asked for".into());
            return certificate;
        }
        let residual = self.residual();
        let (d, solved) = self.direction(&residual, CERTIFIED, 0.0);
        if !solved {
            certificate.reason = Some("the equations of the last step could not be solved".into());
            return certificate;
        }
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
