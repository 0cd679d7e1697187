//! A model as a list of cells, each the sum of one parameter per table.
//!
//! Where tables are smooth, shared or pulled towards another model, the optimum is no longer a matter of
//! marginals alone, and junction trees do not help. Every cell that takes part is a row: its target, its
//! exposure, and the place of its parameter in every table.

use std::ops::Range;

use rayon::prelude::*;

use crate::model::table::strides;
use crate::model::{EnergyModel, Scope};
pub use crate::plan::rows::Tables;

/// Rows that are summed in one go; fixed, so that sums do not depend on the number of threads.
const BLOCK: usize = 1 << 15;

/// The cells that take part in a fit.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Parameters of a row, one per table: `tables` of them for each row.
    pub places: Vec<u32>,
    /// Number of tables.
    pub tables: usize,
    /// Place of each row among all cells, row-major.
    pub cells: Vec<usize>,
    /// What each row has, pseudo-data included.
    pub target: Vec<f64>,
    /// What multiplies the model there: exposure times exp(−E/T) of the fixed potentials.
    pub weight: Vec<f64>,
}

impl Rows {
    /// Rows for the cells whose `weight` is positive. `target` and `weight` have one number for every cell
    /// of the tensor, row-major.
    pub fn new(model: &EnergyModel, tables: &Tables, target: &[f64], weight: &[f64]) -> Rows {
        let sizes: Vec<usize> = model.modes.iter().map(|m| m.size()).collect();
        let all = strides(&sizes);
        let steps: Vec<Vec<(usize, usize, usize)>> = tables
            .blocks
            .iter()
            .map(|b| {
                let own = strides(&b.shape);
                b.scope.iter().zip(own).map(|(m, step)| (all[m], sizes[m], step)).collect()
            })
            .collect();
        let cells: Vec<usize> = (0..weight.len()).filter(|k| weight[*k] > 0.0).collect();
        let place = |k: usize, b: usize| {
            let at: usize = steps[b].iter().map(|(stride, n, step)| k / stride % n * step).sum();
            tables.blocks[b].place[at]
        };
        let width = tables.blocks.len();
        let mut places = vec![0u32; cells.len() * width];
        places.par_chunks_mut(width.max(1)).zip(&cells).for_each(|(row, k)| {
            row.iter_mut().enumerate().for_each(|(b, slot)| *slot = place(*k, b));
        });
        Rows {
            places,
            tables: width,
            target: cells.iter().map(|k| target[*k]).collect(),
            weight: cells.iter().map(|k| weight[*k]).collect(),
            cells,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The parameters of a row.
    pub fn row(&self, r: usize) -> &[u32] {
        &self.places[r * self.tables..(r + 1) * self.tables]
    }

    /// The sum of the parameters of every row.
    pub fn spread(&self, parameters: &[f64]) -> Vec<f64> {
        let sum = |row: &[u32]| row.iter().map(|p| parameters[*p as usize]).sum();
        match self.tables {
            // a length that is known is not counted down in every row
            2 => self.by_row::<2>(|row| sum(row)),
            3 => self.by_row::<3>(|row| sum(row)),
            4 => self.by_row::<4>(|row| sum(row)),
            _ => (0..self.len()).into_par_iter().with_min_len(BLOCK / 4).map(|r| sum(self.row(r))).collect(),
        }
    }

    fn by_row<const N: usize>(&self, number: impl Fn(&[u32; N]) -> f64 + Send + Sync) -> Vec<f64> {
        let (rows, _) = self.places.as_chunks::<N>();
        rows.par_iter().with_min_len(BLOCK / 4).map(number).collect()
    }

    /// For every parameter, the sum of `values` over its rows.
    pub fn gather(&self, parameters: usize, values: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
        let blocks = self.len().div_ceil(BLOCK).max(1);
        let parts: Vec<Vec<f64>> = (0..blocks)
            .into_par_iter()
            .map(|b| {
                let mut sums = vec![0.0; parameters];
                let rows = b * BLOCK..((b + 1) * BLOCK).min(self.len());
                match self.tables {
                    2 => self.add_rows::<2>(rows, &values, &mut sums),
                    3 => self.add_rows::<3>(rows, &values, &mut sums),
                    4 => self.add_rows::<4>(rows, &values, &mut sums),
                    _ => rows.for_each(|r| {
                        let x = values(r);
                        self.row(r).iter().for_each(|p| sums[*p as usize] += x);
                    }),
                }
                sums
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut total = parts.next().unwrap_or_default();
        for part in parts {
            total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
        }
        total
    }

    fn add_rows<const N: usize>(&self, rows: Range<usize>, values: impl Fn(usize) -> f64, sums: &mut [f64]) {
        let (places, _) = self.places.as_chunks::<N>();
        for (r, row) in rows.clone().zip(&places[rows]) {
            let x = values(r);
            row.iter().for_each(|p| sums[*p as usize] += x);
        }
    }

    /// Keeps the rows that pass.
    pub fn retain(&mut self, mut pass: impl FnMut(&[u32]) -> bool) {
        let kept: Vec<usize> = (0..self.len()).filter(|r| pass(self.row(*r))).collect();
        if kept.len() == self.len() {
            return;
        }
        self.places = kept.iter().flat_map(|r| self.row(*r).to_vec()).collect();
        self.cells = kept.iter().map(|r| self.cells[*r]).collect();
        self.target = kept.iter().map(|r| self.target[*r]).collect();
        self.weight = kept.iter().map(|r| self.weight[*r]).collect();
    }

    /// A row as a list of columns.
    pub fn columns_of(&self, r: usize) -> Vec<usize> {
        self.row(r).iter().map(|p| *p as usize).collect()
    }

    /// The rows as lists of columns, for the rank of the design.
    pub fn columns(&self) -> Vec<Vec<usize>> {
        (0..self.len()).map(|r| self.columns_of(r)).collect()
    }
}

/// Rows that say which tables are not rough, and the number of columns with those that they add: a table that is smooth
/// along a mode is a function of that mode and one of all others, whose columns come after those of the parameters.
/// Their signs are turned, so that parameter and functions add up to zero.
pub fn smooth(model: &EnergyModel, tables: &Tables) -> (Vec<Vec<usize>>, usize) {
    let (mut rows, mut columns) = (Vec::new(), tables.parameters);
    for smooth in &model.regular.smooth {
        let Some(block) = tables.block(&smooth.scope).map(|b| &tables.blocks[b]) else { continue };
        let Some(axis) = smooth.scope.position(smooth.along) else { continue };
        let (n, step) = (block.shape[axis], strides(&block.shape)[axis]);
        // what a table of one mode has in common is all that is free of it
        let own = if block.shape.len() > 1 { n } else { 0 };
        let others = columns + own;
        for (k, place) in block.place.iter().enumerate() {
            let (level, rest) = (k / step % n, k / (step * n) * step + k % step);
            let mut row = vec![*place as usize, others + rest];
            if own > 0 {
                row.push(columns + level);
            }
            rows.push(row);
        }
        columns = others + block.place.len() / n.max(1);
    }
    (rows, columns)
}

/// exp(−E/T) of the fixed potentials of every cell, row-major, 0 where a cell is impossible.
pub fn base(model: &EnergyModel) -> Vec<f64> {
    let grounded = model.on_support([]);
    let sizes: Vec<usize> = model.modes.iter().map(|m| m.size()).collect();
    let all = Scope::all(sizes.len());
    let mut energy = vec![0.0; sizes.iter().product()];
    for interaction in &grounded.interactions {
        let Some(table) = interaction.potential.energies() else { continue };
        let onto = crate::run::projection::Projection::between(&all, &sizes, &table.scope);
        crate::run::kernel::combine(&onto, &mut energy, &table.values, crate::run::kernel::plus);
    }
    energy.iter_mut().for_each(|e| *e = (-*e / model.temperature).exp());
    energy
}
