//! θ and η of the free tables: cumulative coordinates on the lattice of cells.

use std::collections::BTreeMap;

use super::distribution::Distribution;
use super::kernel::marginalise;
use super::projection::Projection;
use crate::model::{Scope, Table};

/// One coordinate of a lattice point: the levels of `modes`, none the first; all others are first.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinate {
    /// The modes that are away from their first level.
    pub modes: Scope,
    /// Their levels, each at least 1.
    pub levels: Vec<usize>,
    /// The value.
    pub value: f64,
}

impl Distribution {
    /// Natural parameters: ln q(x) = Σ_{s ≤ x} θ(s) − ln Z − fixed energies over T, with θ(⊥) = 0, over the
    /// downward closure of the generators (Sugiyama, Nakahara and Tsuda 2016). They are mixed first
    /// differences of the log potentials, so they depend on which level is first. NaN or infinite where the
    /// data leave them undetermined. O(cells of the generators · modes).
    pub fn theta(&self) -> Vec<Coordinate> {
        let mut found = Found::default();
        for potential in &self.potentials {
            let mut table = potential.clone();
            along_axes(&mut table, |row, step, n| {
                for i in (1..n).rev() {
                    row[i * step] -= row[(i - 1) * step];
                }
            });
            found.take(&table, true);
        }
        found.list()
    }

    /// Expectations: η(s) = Σ_{x ≥ s} q(x) over the same points, from the fitted marginals.
    pub fn eta(&self) -> Vec<Coordinate> {
        let mut found = Found::default();
        for potential in &self.potentials {
            let holds = |c: &&super::distribution::Clique| potential.scope.is_subset(c.belief.scope());
            let Some(clique) = self.cliques.iter().find(holds) else { continue };
            let belief = &clique.belief;
            let mut table = Table { values: vec![0.0; potential.values.len()], ..potential.clone() };
            let projection = Projection::between(&belief.scope, &belief.shape, &table.scope);
            marginalise(&projection, &belief.values, &mut table.values);
            along_axes(&mut table, |row, step, n| {
                for i in (1..n).rev() {
                    row[(i - 1) * step] += row[i * step];
                }
            });
            found.take(&table, false);
        }
        found.list()
    }
}

/// Runs `change(row, stride, length)` on every line of the table along every axis.
fn along_axes(table: &mut Table, change: impl Fn(&mut [f64], usize, usize)) {
    let strides = table.strides();
    for (stride, n) in strides.iter().zip(&table.shape) {
        for block in table.values.chunks_mut((stride * n).max(1)) {
            for offset in 0..*stride {
                change(&mut block[offset..], *stride, *n);
            }
        }
    }
}

#[derive(Default)]
struct Found(BTreeMap<(usize, Scope, Vec<usize>), f64>);

impl Found {
    fn take(&mut self, table: &Table, add: bool) {
        for (k, value) in table.values.iter().enumerate() {
            let mut rest = k;
            let mut levels = Vec::new();
            let mut modes = Vec::new();
            for (mode, n) in table.scope.iter().zip(&table.shape).rev() {
                if rest % n > 0 {
                    modes.push(mode);
                    levels.push(rest % n);
                }
                rest /= n;
            }
            if modes.is_empty() {
                continue;
            }
            levels.reverse();
            let scope: Scope = modes.into_iter().collect();
            let slot = self.0.entry((scope.len(), scope, levels)).or_insert(0.0);
            *slot = if add { *slot + value } else { *value };
        }
    }

    /// By number of modes, then modes, then levels.
    fn list(self) -> Vec<Coordinate> {
        let coordinate = |((_, modes, levels), value)| Coordinate { modes, levels, value };
        self.0.into_iter().map(coordinate).collect()
    }
}
