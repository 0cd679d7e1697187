//! Anderson acceleration of iterative proportional fitting (Walker and Ni 2011,
//! doi:10.1137/10078356X), safeguarded so that the objective never rises.

use std::collections::VecDeque;

use super::kernel::scale;
use super::machine::Machine;
use super::state::{Misfit, Resumable, State};
use super::sum::{Compensated, sum};
use super::vector::ln_all;
use crate::plan::cost::extrapolation;
use crate::plan::schedule::{BufferId, Iteration, Match};
use crate::text::Diagnostic;

/// Differences that are kept.
const DEPTH: usize = 5;

/// Relative ridge of the least-squares problem.
const RIDGE: f64 = 1e-10;

/// Largest change of a log potential that can be taken back without overflow.
const REACH: f64 = 200.0;

/// The fixed-point map is one full sweep on the stacked log potentials y; F(y) = ΣQ − Σ⟨P, y⟩ is what a
/// sweep lowers. Cells without mass in the data are left out. Work per sweep: O(depth² · cells of
/// the generators), plus one scaling of each clique and one pass of messages inwards.
pub(super) struct Anderson<'a> {
    /// P of every cell, the weights of the least-squares problem.
    weights: Vec<f64>,
    pairs: &'a [Match],
    /// The factors, where there are no tables to scale.
    factors: Option<&'a [BufferId]>,
    start: Vec<f64>,
    last: Option<(Vec<f64>, Vec<f64>)>,
    residuals: VecDeque<Vec<f64>>,
    images: VecDeque<Vec<f64>>,
}

impl<'a> Anderson<'a> {
    /// With no history, of the factors of an iteration or of its tables.
    pub fn new(machine: &Machine, iteration: &'a Iteration, factors: bool) -> Self {
        let pairs = iteration.pairs.as_slice();
        let weights = pairs.iter().flat_map(|m| machine.tables[m.statistic.0].iter().copied()).collect();
        let own = iteration.factored.as_ref().filter(|_| factors);
        Self {
            weights,
            pairs,
            factors: own.map(|f| f.factors.as_slice()),
            start: Vec::new(),
            last: None,
            residuals: VecDeque::new(),
            images: VecDeque::new(),
        }
    }

    /// Remembers the potentials a sweep starts from.
    pub fn start(&mut self, machine: &Machine) {
        let mut start = std::mem::take(&mut self.start);
        self.stack(machine, &mut start);
        self.start = start;
    }

    /// The log potentials of all generators in one vector; 0 where they are −∞.
    fn stack(&self, machine: &Machine, out: &mut Vec<f64>) {
        out.clear();
        match self.factors {
            None => {
                let cells = self.pairs.iter().flat_map(|m| &machine.tables[m.potential.0]);
                out.extend(cells.map(|l| if l.is_finite() { *l } else { 0.0 }));
            }
            Some(factors) => {
                for f in factors {
                    let (at, unit) = (out.len(), machine.scale_of[f.0]);
                    out.extend_from_slice(&machine.tables[f.0]);
                    ln_all(&mut out[at..]);
                    out[at..].iter_mut().for_each(|l| *l = if l.is_finite() { *l + unit } else { 0.0 });
                }
            }
        }
    }

    /// Moves from `image` by `step`, or back to it, and brings the root up to date; the mass there.
    fn place(
        &self,
        machine: &mut Machine,
        iteration: &Iteration,
        image: &[f64],
        step: &[f64],
        back: bool,
    ) -> Result<f64, Vec<Diagnostic>> {
        machine.predict(machine.units.extrapolation);
        machine.worked(extrapolation(image.len() as f64, self.residuals.len() as f64));
        let (Some(factors), Some(factored)) = (self.factors, &iteration.factored) else {
            apply(machine, self.pairs, step, if back { -1.0 } else { 1.0 });
            for message in &iteration.inward {
                machine.step(message)?;
            }
            return Ok(sum(&machine.tables[iteration.root.0]));
        };
        let logs: Vec<f64> =
            if back { image.to_vec() } else { image.iter().zip(step).map(|(l, d)| l + d).collect() };
        let mut rest = logs.as_slice();
        for f in factors {
            let (own, tail) = rest.split_at(machine.tables[f.0].len());
            machine.set_factor(*f, own);
            rest = tail;
        }
        machine.walk(&factored.inward)?;
        let first = factored.sweep.get(..1).unwrap_or_default();
        machine.walk(first)?;
        let view = first.first().and_then(|s| s.instruction.writes().first().copied());
        Ok(view.map_or(1.0, |v| machine.mass_of(v)))
    }

    /// Moves the potentials ahead, if that does not raise the objective.
    pub fn extrapolate(
        &mut self,
        machine: &mut Machine,
        iteration: &Iteration,
    ) -> Result<(), Vec<Diagnostic>> {
        let mut image = Vec::new();
        self.stack(machine, &mut image);
        let residual: Vec<f64> = image.iter().zip(&self.start).map(|(g, y)| g - y).collect();
        if let Some((image_before, residual_before)) = self.last.take() {
            if self.residuals.len() == DEPTH {
                self.residuals.pop_front();
                self.images.pop_front();
            }
            self.residuals.push_back(difference(&residual, &residual_before));
            self.images.push_back(difference(&image, &image_before));
        }
        let step = self.step(&residual);
        let step = step.filter(|step| step.iter().all(|d| d.abs() <= REACH));
        let Some(step) = step else {
            // a first step has nothing to go by; one that reaches too far is not taken
            if self.factors.is_some() {
                self.place(machine, iteration, &image, &[], true)?;
            }
            if self.residuals.is_empty() {
                self.last = Some((image, residual));
            } else {
                self.forget();
            }
            return Ok(());
        };
        let mass = self.place(machine, iteration, &image, &step, false)?;
        let linear: Compensated = self.weights.iter().zip(&step).map(|(p, d)| p * d).collect();
        // F rises by (mass − 1) − ⟨P, step⟩: a sweep leaves a mass of one
        if mass.is_finite() && mass - 1.0 <= linear.value() {
            self.last = Some((image, residual));
            return Ok(());
        }
        self.place(machine, iteration, &image, &step, true)?;
        self.forget();
        Ok(())
    }

    /// −Σ γ_j ΔG_j, where γ brings Σ γ_j ΔF_j nearest to the residual in the metric P.
    fn step(&self, residual: &[f64]) -> Option<Vec<f64>> {
        let depth = self.residuals.len();
        if depth == 0 {
            return None;
        }
        let inner = |a: &[f64], b: &[f64]| -> f64 {
            self.weights.iter().zip(a).zip(b).map(|((w, a), b)| w * a * b).sum()
        };
        let row = |a: &Vec<f64>| -> Vec<f64> {
            let gram = self.residuals.iter().map(|b| inner(a, b));
            gram.chain([inner(a, residual)]).collect()
        };
        let mut matrix: Vec<Vec<f64>> = self.residuals.iter().map(row).collect();
        let trace: f64 = (0..depth).map(|i| matrix[i][i]).sum();
        for (i, row) in matrix.iter_mut().enumerate() {
            row[i] += RIDGE * trace / depth as f64;
        }
        let gamma = solve(matrix)?;
        let mut step = vec![0.0; residual.len()];
        for (image, g) in self.images.iter().zip(gamma) {
            step.iter_mut().zip(image).for_each(|(s, d)| *s -= g * d);
        }
        Some(step)
    }

    fn forget(&mut self) {
        self.residuals.clear();
        self.images.clear();
        self.last = None;
    }
}

impl Resumable for Anderson<'_> {
    fn save(&self, state: &mut State) {
        if let Some((image, residual)) = &self.last {
            state.put("anderson.image", image.clone());
            state.put("anderson.residual", residual.clone());
        }
        for (k, (residual, image)) in self.residuals.iter().zip(&self.images).enumerate() {
            state.put(format!("anderson.residuals.{k}"), residual.clone());
            state.put(format!("anderson.images.{k}"), image.clone());
        }
    }

    fn restore(&mut self, state: &mut State) -> Result<(), Misfit> {
        let cells = self.weights.len();
        self.forget();
        if let Ok(image) = state.take_exactly("anderson.image", cells) {
            self.last = Some((image, state.take_exactly("anderson.residual", cells)?));
        }
        for k in 0..DEPTH {
            let Ok(residual) = state.take(&format!("anderson.residuals.{k}")) else { break };
            if residual.len() != cells {
                return Err(Misfit("the history of the acceleration is of another size".into()));
            }
            self.residuals.push_back(residual);
            self.images.push_back(state.take_exactly(&format!("anderson.images.{k}"), cells)?);
        }
        Ok(())
    }
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Adds `sign · step` to the potentials and scales the beliefs to match.
fn apply(machine: &mut Machine, pairs: &[Match], step: &[f64], sign: f64) {
    let mut rest = step;
    for m in pairs {
        let cells = machine.tables[m.potential.0].len();
        let (own, tail) = rest.split_at(cells);
        rest = tail;
        let factors: Vec<f64> = own.iter().map(|d| (sign * d).exp()).collect();
        for (l, d) in machine.tables[m.potential.0].iter_mut().zip(own) {
            *l += sign * d;
        }
        let projection = machine.projection(m.belief, m.statistic);
        scale(&projection, &mut machine.tables[m.belief.0], &factors);
        machine.count(m.belief, 1.0, 16.0);
    }
}

/// Gaussian elimination with partial pivoting on an augmented matrix of a few rows.
fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let n = rows.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|a, b| rows[*a][k].abs().total_cmp(&rows[*b][k].abs()))?;
        rows.swap(k, pivot);
        let head = rows[k].clone();
        if head[k] == 0.0 || !head[k].is_finite() {
            return None;
        }
        for row in rows.iter_mut().skip(k + 1) {
            let factor = row[k] / head[k];
            row.iter_mut().zip(&head).skip(k).for_each(|(r, h)| *r -= factor * h);
        }
    }
    let mut x = vec![0.0; n];
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| rows[k][j] * x[j]).sum();
        x[k] = (rows[k][n] - known) / rows[k][k];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}
