//! Scaling sweeps, and the state that they and Newton steps share.

use crate::numeric::gap::{relative_gap, worst};
use crate::run::balance::Problem;
use crate::run::control::Stop;
use crate::run::kernel::{combine, map, marginalise, maximise, plus, scale};
use crate::run::projection::Projection;

/// Sweeps after which the exponentials are taken anew, so that rounding does not add up.
const REFRESH: usize = 32;

/// Log scaling of a cell after which they are taken anew, so that nothing underflows for good.
const REACH: f64 = 200.0;

/// A kernel, its potentials, and the tensor that they make.
pub(super) struct Solver<'p> {
    /// ln K of the support, Σ K = 1.
    pub log_kernel: Vec<f64>,
    pub targets: Vec<Vec<f64>>,
    pub projections: Vec<Projection>,
    /// λ_c.
    pub potentials: Vec<Vec<f64>>,
    /// K exp(Σ λ_c).
    pub values: Vec<f64>,
    /// One number per cell.
    pub scratch: Vec<f64>,
    /// Largest change of each logarithm since the exponentials were taken.
    pub drift: f64,
    pub products: usize,
    /// Asked before every product: a Newton step can take thousands.
    pub stop: Stop,
    /// How much damping the last Newton step took, by its place in the list.
    pub caution: usize,
    pub problem: &'p Problem,
}

impl Solver<'_> {
    /// B_c.
    pub(super) fn marginal(&self, c: usize) -> Vec<f64> {
        let mut onto = vec![0.0; self.potentials[c].len()];
        marginalise(&self.projections[c], &self.values, &mut onto);
        onto
    }

    /// Takes the exponentials anew.
    pub(super) fn refresh(&mut self) {
        self.values.copy_from_slice(&self.log_kernel);
        for (projection, potential) in self.projections.iter().zip(&self.potentials) {
            combine(projection, &mut self.values, potential, plus);
        }
        map(&mut self.values, f64::exp);
        self.drift = 0.0;
    }

    /// One exact update of a margin in logarithms, which no spread of the kernel can defeat.
    pub(super) fn update_in_logs(&mut self, c: usize) {
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
    pub(super) fn sweep(&mut self, number: usize) -> f64 {
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

    pub(super) fn gap(&self) -> f64 {
        worst((0..self.targets.len()).map(|c| relative_gap(&self.marginal(c), &self.targets[c])))
    }

    /// Σ_c d_c(x_c) at every cell of the support, 0 elsewhere, into the scratch.
    pub(super) fn spread(&mut self, direction: &[f64]) {
        self.scratch.fill(0.0);
        let mut rest = direction;
        for (projection, target) in self.projections.iter().zip(&self.targets) {
            let (table, others) = rest.split_at(target.len());
            combine(projection, &mut self.scratch, table, plus);
            rest = others;
        }
    }
}
