//! Anderson acceleration of iterative proportional fitting (Walker and Ni 2011,
//! doi:10.1137/10078356X), safeguarded so that the objective never rises.

use std::collections::VecDeque;

use super::kernel::scale;
use super::machine::Machine;
use super::state::{Misfit, Resumable, State};
use super::sum::sum;
use super::vector::{add_scaled, add_to_finite, exp_all, ln_all, plain_dot, subtract_from, weighted_dot};
use crate::plan::cost::extrapolation;
use crate::plan::schedule::{BufferId, Instruction, Iteration, Match};
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
    /// Inner products of the residuals' differences.
    gram: [[f64; DEPTH]; DEPTH],
    /// Vectors that are not in use, so that a sweep takes no memory.
    spare: Vec<Vec<f64>>,
}

impl<'a> Anderson<'a> {
    /// With no history, of the factors of an iteration or of its tables.
    pub fn new(machine: &Machine, iteration: &'a Iteration, factors: bool) -> Self {
        let pairs = iteration.pairs.as_slice();
        let weights: Vec<f64> =
            pairs.iter().flat_map(|m| machine.tables[m.statistic.0].iter().copied()).collect();
        // differences of images and residuals, the latest of both, those before, the step
        let spare = (0..2 * DEPTH + 5).map(|_| Vec::with_capacity(weights.len())).collect();
        let own = iteration.factored.as_ref().filter(|_| factors);
        Self {
            weights,
            pairs,
            factors: own.map(|f| f.factors.as_slice()),
            start: Vec::new(),
            last: None,
            residuals: VecDeque::with_capacity(DEPTH + 1),
            images: VecDeque::with_capacity(DEPTH + 1),
            gram: [[0.0; DEPTH]; DEPTH],
            spare,
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
                    add_to_finite(&mut out[at..], unit);
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
        let mut logs = std::mem::take(&mut machine.scratch);
        logs.clear();
        logs.extend_from_slice(image);
        if !back {
            add_scaled(&mut logs, 1.0, step);
        }
        let mut rest = logs.as_slice();
        for f in factors {
            let (own, tail) = rest.split_at(machine.tables[f.0].len());
            machine.set_factor(*f, own);
            rest = tail;
        }
        machine.scratch = logs;
        machine.walk(&factored.inward)?;
        let first = factored.sweep.get(..1).unwrap_or_default();
        machine.walk(first)?;
        let view = first.first().and_then(|s| match &s.instruction {
            Instruction::Product(product) => Some(product.onto),
            _ => None,
        });
        Ok(view.map_or(1.0, |v| machine.mass_of(v)))
    }

    /// Moves the potentials ahead, if that does not raise the objective.
    pub fn extrapolate(
        &mut self,
        machine: &mut Machine,
        iteration: &Iteration,
    ) -> Result<(), Vec<Diagnostic>> {
        let mut image = self.blank();
        self.stack(machine, &mut image);
        let mut residual = self.blank();
        difference(&image, &self.start, &mut residual);
        if let Some((image_before, residual_before)) = self.last.take() {
            self.remember(&image, image_before, &residual, residual_before);
        }
        let mut step = self.blank();
        let found = self.step(&residual, &mut step) && step.iter().all(|d| d.abs() <= REACH);
        if !found {
            // a first step has nothing to go by; one that reaches too far is not taken
            if self.factors.is_some() {
                self.place(machine, iteration, &image, &[], true)?;
            }
            if self.residuals.is_empty() {
                self.last = Some((image, residual));
            } else {
                self.forget();
                self.spare.extend([image, residual]);
            }
            self.spare.push(step);
            return Ok(());
        }
        let mass = self.place(machine, iteration, &image, &step, false)?;
        let linear = plain_dot(&self.weights, &step);
        // F rises by (mass − 1) − ⟨P, step⟩: a sweep leaves a mass of one
        if mass.is_finite() && mass - 1.0 <= linear {
            self.last = Some((image, residual));
        } else {
            self.place(machine, iteration, &image, &step, true)?;
            self.forget();
            self.spare.extend([image, residual]);
        }
        self.spare.push(step);
        Ok(())
    }

    /// About the smallest eigenvalue of the preconditioned Fisher information that the latest moves have met: by how much
    /// residuals changed beside the potentials, which is twice as much in a direction that sweeps are slow in. None where
    /// nothing is remembered.
    pub fn flattest(&self) -> Option<f64> {
        let moved = self.images.iter().map(|g| weighted_dot(&self.weights, g, g));
        let quotients = moved.enumerate().map(|(k, moved)| self.gram[k][k] / moved);
        let least = quotients.reduce(f64::min)?;
        Some(if least > 0.0 { 0.5 * least.sqrt() } else { 0.0 })
    }

    /// A vector that nobody uses.
    fn blank(&mut self) -> Vec<f64> {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps the latest differences of images and of residuals.
    fn remember(
        &mut self,
        image: &[f64],
        mut image_before: Vec<f64>,
        residual: &[f64],
        mut residual_before: Vec<f64>,
    ) {
        if self.residuals.len() == DEPTH {
            self.spare.extend(self.residuals.pop_front());
            self.spare.extend(self.images.pop_front());
            self.gram.rotate_left(1);
            self.gram.iter_mut().for_each(|row| row.rotate_left(1));
        }
        subtract_from(&mut image_before, image);
        subtract_from(&mut residual_before, residual);
        self.residuals.push_back(residual_before);
        self.images.push_back(image_before);
        let last = self.residuals.len() - 1;
        for (k, other) in self.residuals.iter().enumerate() {
            let inner = weighted_dot(&self.weights, other, &self.residuals[last]);
            self.gram[k][last] = inner;
            self.gram[last][k] = inner;
        }
    }

    /// −Σ γ_j ΔG_j, where γ brings Σ γ_j ΔF_j nearest to the residual in the metric P; false when there is none.
    fn step(&self, residual: &[f64], step: &mut Vec<f64>) -> bool {
        let depth = self.residuals.len();
        if depth == 0 {
            return false;
        }
        let trace: f64 = (0..depth).map(|i| self.gram[i][i]).sum();
        let mut rows = [[0.0; DEPTH + 1]; DEPTH];
        for (i, (row, own)) in rows.iter_mut().zip(&self.residuals).enumerate() {
            row[..depth].copy_from_slice(&self.gram[i][..depth]);
            row[i] += RIDGE * trace / depth as f64;
            row[depth] = weighted_dot(&self.weights, own, residual);
        }
        let Some(gamma) = solve(&mut rows[..depth]) else { return false };
        step.clear();
        step.resize(residual.len(), 0.0);
        for (image, g) in self.images.iter().zip(gamma) {
            add_scaled(step, -g, image);
        }
        true
    }

    fn forget(&mut self) {
        self.spare.extend(self.residuals.drain(..));
        self.spare.extend(self.images.drain(..));
        if let Some((image, residual)) = self.last.take() {
            self.spare.extend([image, residual]);
        }
    }
}

impl Resumable for Anderson<'_> {
    fn save(&self, state: &mut State) {
        if let Some((image, residual)) = &self.last {
            state.put("anderson.image", image.clone());
            state.put("anderson.residual", residual.clone());
        }
        state.put("anderson.gram", self.gram.concat());
        for (k, (residual, image)) in self.residuals.iter().zip(&self.images).enumerate() {
            state.put(format!("anderson.residuals.{k}"), residual.clone());
            state.put(format!("anderson.images.{k}"), image.clone());
        }
    }

    fn restore(&mut self, state: &mut State) -> Result<(), Misfit> {
        let cells = self.weights.len();
        self.forget();
        let gram = state.take_exactly("anderson.gram", DEPTH * DEPTH)?;
        for (row, kept) in self.gram.iter_mut().zip(gram.chunks(DEPTH)) {
            row.copy_from_slice(kept);
        }
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

fn difference(a: &[f64], b: &[f64], out: &mut Vec<f64>) {
    out.clear();
    out.extend_from_slice(b);
    subtract_from(out, a);
}

/// Adds `sign · step` to the potentials and scales the beliefs to match.
fn apply(machine: &mut Machine, pairs: &[Match], step: &[f64], sign: f64) {
    let mut rest = step;
    for m in pairs {
        let cells = machine.tables[m.potential.0].len();
        let (own, tail) = rest.split_at(cells);
        rest = tail;
        let mut factors = std::mem::take(&mut machine.scratch);
        factors.clear();
        factors.extend(own.iter().map(|d| sign * d));
        exp_all(&mut factors);
        for (l, d) in machine.tables[m.potential.0].iter_mut().zip(own) {
            *l += sign * d;
        }
        let projection = machine.projection(m.belief, m.statistic);
        scale(&projection, &mut machine.tables[m.belief.0], &factors);
        machine.scratch = factors;
        machine.count(m.belief, 1.0, 16.0);
    }
}

/// Gaussian elimination with partial pivoting on a few rows, each with its right-hand side behind it.
fn solve(rows: &mut [[f64; DEPTH + 1]]) -> Option<[f64; DEPTH]> {
    let n = rows.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|a, b| rows[*a][k].abs().total_cmp(&rows[*b][k].abs()))?;
        rows.swap(k, pivot);
        let head = rows[k];
        if head[k] == 0.0 || !head[k].is_finite() {
            return None;
        }
        for row in rows.iter_mut().skip(k + 1) {
            let factor = row[k] / head[k];
            row.iter_mut().zip(&head).take(n + 1).skip(k).for_each(|(r, h)| *r -= factor * h);
        }
    }
    let mut x = [0.0; DEPTH];
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| rows[k][j] * x[j]).sum();
        x[k] = (rows[k][n] - known) / rows[k][k];
    }
    x.iter().all(|v| v.is_finite()).then_some(x)
}
