//! Which cells of some modes take part.

use std::sync::{Arc, OnceLock};

use super::scope::Scope;
use super::table::Table;

/// Truth values over the modes of `scope`, row-major.
#[derive(Debug, Clone)]
pub struct Support {
    /// The modes, one axis each.
    pub scope: Scope,
    /// Number of levels along each axis.
    pub shape: Vec<usize>,
    /// Whether a cell takes part; empty while that is not known.
    pub allowed: Arc<[bool]>,
    energies: OnceLock<Arc<Table>>,
}

impl PartialEq for Support {
    fn eq(&self, other: &Self) -> bool {
        self.scope == other.scope && self.shape == other.shape && self.allowed == other.allowed
    }
}

impl Support {
    /// From truth values, or from none while they are not known.
    pub fn new(scope: Scope, shape: Vec<usize>, allowed: impl Into<Arc<[bool]>>) -> Self {
        Self { scope, shape, allowed: allowed.into(), energies: OnceLock::new() }
    }

    /// The cells where a table is zero.
    pub fn of_zeros(table: &Table) -> Self {
        let allowed: Vec<bool> = table.values.iter().map(|v| *v == 0.0).collect();
        Self::new(table.scope.clone(), table.shape.clone(), allowed)
    }

    /// 0 at the cells that take part, +∞ at others: eight bytes a cell, made when first asked for.
    pub fn energies(&self) -> &Arc<Table> {
        self.energies.get_or_init(|| {
            let values = self.allowed.iter().map(|a| if *a { 0.0 } else { f64::INFINITY }).collect();
            Arc::new(Table { scope: self.scope.clone(), shape: self.shape.clone(), values })
        })
    }

    /// The same after mode `m` has become mode `to[m]`.
    #[must_use]
    pub fn renamed(&self, to: &[usize]) -> Self {
        Self::of_zeros(&self.energies().renamed(to))
    }
}
