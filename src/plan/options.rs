//! What the compiler is told besides the model.

use super::method::Solver;
use crate::model::Scope;

/// The shape of the data, known from their header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Stored cells: all of a dense tensor, the non-zero ones of a sparse one.
    pub stored: usize,
    /// Whether the cells are coordinates with values.
    pub sparse: bool,
    /// Bytes of one stored cell, coordinates included.
    pub element_bytes: usize,
    /// Whether the cells stay in a mapped file and take no memory.
    pub mapped: bool,
    /// The modes of each factor of the mask, when some cells are missing.
    pub masks: Vec<Scope>,
}

impl Profile {
    /// The profile of a tensor that is in memory.
    pub fn of(tensor: &crate::data::Tensor) -> Self {
        let (sparse, element_bytes) = match &*tensor.storage {
            crate::data::Storage::Dense(dense) => (false, element_bytes(&dense.values)),
            crate::data::Storage::Sparse(s) => (true, crate::data::Sparse::cell_bytes(&s.shape)),
        };
        Self { stored: tensor.stored(), sparse, element_bytes, mapped: false, masks: masks(tensor) }
    }

    /// Bytes the data take in memory.
    pub fn resident_bytes(&self) -> f64 {
        if self.mapped { 0.0 } else { self.stored as f64 * self.element_bytes as f64 }
    }

    /// Bytes read by one pass over the data.
    pub fn bytes(&self) -> f64 {
        self.stored as f64 * self.element_bytes as f64
    }
}

fn masks(tensor: &crate::data::Tensor) -> Vec<Scope> {
    tensor.mask.iter().flat_map(|m| &m.factors).map(|f| f.scope.clone()).collect()
}

fn element_bytes(values: &crate::data::Values) -> usize {
    fn width<T>(_: &[T]) -> usize {
        size_of::<T>()
    }
    crate::with_values!(values, x => width(x))
}

/// What bounds a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The memory budget in bytes. It changes the choice of a schedule only where the cheapest one is beyond it.
    pub memory: u64,
    /// What the loops do.
    pub solver: Solver,
}

impl Default for Options {
    /// Four gibibytes, and the compiler chooses.
    fn default() -> Self {
        Self { memory: 4 << 30, solver: Solver::Auto }
    }
}
