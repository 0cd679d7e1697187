//! What weights on the cells of the margins prove.
//!
//! Every tensor with the margins t gives Σ_c λ_c(x_c) the mean Σ_c ⟨λ_c, t_c⟩. Take λ with mean zero. If the sum
//! is negative in every cell that can be positive, no tensor has these margins (Farkas 1902). If it is nowhere
//! positive, every one of them is zero where it is negative. Where nothing has the margins, the potentials leave
//! along such weights (Csiszár 1975 and the theorem of the alternative); where some cells have to be zero,
//! the direction of Newton's step comes near to them.

use super::feasible::{Infeasible, SAME};
use super::newton::CERTIFIED;
use super::scaling::Solver;
use crate::model::table::cell_at;
use crate::numeric::sum::dot;
use crate::run::kernel::combine;

/// Largest relative change by the Newton step from which a cell may be on its way to zero.
const DYING: f64 = -0.5;

/// What a cell may hold at most, relative to the cells of the margins that it is in, to be proven zero.
const NOTHING: f64 = 1e-9;

/// A Newton step at a converged point that still changes a logarithm by so much runs to the boundary.
const RUNAWAY: f64 = 0.1;

/// Part of the greatest contribution to the mean from which a cell of a margin is named.
const NAMED: f64 = 0.1;

/// Weights on the cells of the margins, their sum in the scratch of a solver.
struct Weights {
    tables: Vec<Vec<f64>>,
    /// The largest sum of a cell that can be positive.
    most: f64,
    /// How far the mean may be off for margins that agree to rounding only.
    doubt: f64,
    /// What the sums may lose to rounding.
    rounding: f64,
}

impl Solver<'_> {
    /// Weights less their mean, table by table; cells without mass weigh nothing.
    fn weigh(&mut self, mut tables: Vec<Vec<f64>>) -> Weights {
        let (mut doubt, mut rounding) = (0.0, 0.0);
        for (table, target) in tables.iter_mut().zip(&self.targets) {
            table.iter_mut().zip(target).filter(|(_, t)| **t <= 0.0).for_each(|(l, _)| *l = 0.0);
            // twice, for what rounding has left of the first
            for _ in 0..2 {
                let mean = dot(table, target);
                table.iter_mut().zip(target).filter(|(_, t)| **t > 0.0).for_each(|(l, _)| *l -= mean);
            }
            let size = table.iter().fold(0.0, |m: f64, l| m.max(l.abs()));
            let peak = target.iter().copied().fold(0.0, f64::max);
            doubt += 2.0 * SAME * target.len() as f64 * peak * size;
            rounding += 8.0 * f64::EPSILON * size;
        }
        self.spread(&tables.concat());
        let cells = self.scratch.iter().zip(&self.log_kernel).filter(|(_, k)| **k > f64::NEG_INFINITY);
        let most = cells.map(|(e, _)| *e).fold(f64::NEG_INFINITY, f64::max);
        Weights { tables, most, doubt, rounding }
    }

    /// Looks for a proof that nothing has the margins: in the potentials, and in their change since `before`.
    pub(super) fn witness(&mut self, before: &[Vec<f64>]) -> Result<(), Infeasible> {
        let change = |(now, before): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
            now.iter().zip(before).map(|(n, b)| n - b).collect()
        };
        let changes: Vec<Vec<f64>> = self.potentials.iter().zip(before).map(change).collect();
        for tables in [changes, self.potentials.clone()] {
            if !tables.iter().flatten().all(|l| l.is_finite()) {
                continue;
            }
            let found = self.weigh(tables);
            if found.most.is_finite() && found.doubt.is_finite() && found.most < -found.doubt - found.rounding
            {
                return Err(self.explain(found.tables));
            }
        }
        Ok(())
    }

    /// The proof in numbers that can be read: no weight is negative, and no cell has more than 1.
    fn explain(&mut self, mut tables: Vec<Vec<f64>>) -> Infeasible {
        for (table, target) in tables.iter_mut().zip(&self.targets) {
            let positive = || target.iter().map(|t| *t > 0.0);
            let least = table
                .iter()
                .zip(positive())
                .filter(|(_, p)| *p)
                .map(|(l, _)| *l)
                .fold(f64::INFINITY, f64::min);
            table.iter_mut().zip(positive()).filter(|(_, p)| *p).for_each(|(l, _)| *l -= least);
        }
        self.spread(&tables.concat());
        let cells = self.scratch.iter().zip(&self.log_kernel).filter(|(_, k)| **k > f64::NEG_INFINITY);
        let most = cells.map(|(e, _)| *e).fold(0.0, f64::max);
        let unit = if most > 0.0 { most } else { 1.0 };
        let asked = tables.iter().zip(&self.targets).map(|(l, t)| dot(l, t)).sum::<f64>() / unit;
        let share = |c: usize, i: usize| tables[c][i] * self.targets[c][i];
        let greatest = (0..tables.len())
            .flat_map(|c| (0..tables[c].len()).map(move |i| (c, i)))
            .map(|(c, i)| share(c, i))
            .fold(0.0, f64::max);
        let mut named = Vec::new();
        for (c, margin) in self.problem.margins.iter().enumerate() {
            let mut cells: Vec<usize> = (0..tables[c].len())
                .filter(|i| share(c, *i) > 0.0 && share(c, *i) >= NAMED * greatest)
                .collect();
            cells.sort_by(|i, j| share(c, *j).total_cmp(&share(c, *i)));
            let sizes = self.problem.sizes(&margin.scope);
            if !cells.is_empty() {
                named.push((c, cells.into_iter().map(|i| cell_at(&sizes, i)).collect()));
            }
        }
        let zeros = self.log_kernel.contains(&f64::NEG_INFINITY);
        Infeasible::Weights { cells: named, asked, most: most / unit, zeros }
    }

    /// Cells that no tensor with these margins has anything in, as far as Newton's direction proves it.
    ///
    /// The direction d takes them by −1 or more and leaves the others alone but for what is left to solve. The
    /// part of it that is nothing in the others altogether is what remains when H without the dying cells has
    /// nothing more to say about it.
    pub(super) fn forced(&mut self) -> Vec<usize> {
        let residual = self.residual();
        let (mut d, _) = self.direction(&residual, CERTIFIED, 0.0);
        self.spread(&d);
        let dying: Vec<usize> = (0..self.values.len())
            .filter(|i| self.log_kernel[*i] > f64::NEG_INFINITY && self.scratch[*i] <= DYING)
            .collect();
        if dying.is_empty() {
            return dying;
        }
        for flat in &dying {
            self.values[*flat] = 0.0;
        }
        for _ in 0..2 {
            let moved = self.product(&d);
            let (still, _) = self.direction(&moved, CERTIFIED, 0.0);
            d.iter_mut().zip(still).for_each(|(d, s)| *d -= s);
        }
        self.refresh();
        let mut rest = d.as_slice();
        let mut tables = Vec::with_capacity(self.targets.len());
        for target in &self.targets {
            let (table, others) = rest.split_at(target.len());
            tables.push(table.to_vec());
            rest = others;
        }
        let found = self.weigh(tables);
        let above = found.most.max(0.0) + found.rounding;
        // the smallest cell of a margin that each cell is in
        let mut smallest = vec![f64::INFINITY; self.values.len()];
        for (projection, target) in self.projections.iter().zip(&self.targets) {
            combine(projection, &mut smallest, target, f64::min);
        }
        let sums = &self.scratch;
        dying.into_iter().filter(|i| sums[*i] < 0.0 && above <= -sums[*i] * NOTHING * smallest[*i]).collect()
    }

    /// Whether a Newton step at the end still changes logarithms: the optimum has cells at zero that nothing
    /// has proven.
    pub(super) fn runs_away(&mut self) -> bool {
        let residual = self.residual();
        let (d, _) = self.direction(&residual, 1e-3, 0.0);
        self.spread(&d);
        let cells = self.scratch.iter().zip(&self.log_kernel).filter(|(_, k)| **k > f64::NEG_INFINITY);
        cells.map(|(e, _)| e.abs()).fold(0.0, f64::max) > RUNAWAY
    }
}
