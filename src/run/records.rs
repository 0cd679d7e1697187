//! The cells of a tensor that have mass, one after another.

use crate::data::{Element, Storage, Tensor};

/// Cells in rows of as many levels as there are modes, with their values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Records {
    /// Number of modes.
    pub width: usize,
    /// Levels, row after row.
    pub levels: Vec<u32>,
    /// The value of each cell.
    pub weights: Vec<f64>,
}

impl Records {
    /// Every cell of a tensor that is not zero, in lexicographic order for dense tensors and in the order of
    /// storage for sparse ones. O(stored cells).
    pub fn of(tensor: &Tensor) -> Self {
        match &*tensor.storage {
            Storage::Sparse(sparse) => {
                let width = sparse.shape.len();
                let mut records = Self { width, ..Self::default() };
                for (row, x) in sparse.values.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                    records.levels.extend(sparse.coordinates.iter().map(|column| column.at(row) as u32));
                    records.weights.push(*x);
                }
                records
            }
            Storage::Dense(dense) => {
                let mut records = Self { width: dense.shape.len(), ..Self::default() };
                crate::with_values!(&dense.values, values => {
                    let mut cell = vec![0usize; dense.shape.len()];
                    let cells: usize = dense.shape.iter().product();
                    for _ in 0..cells {
                        let at: usize = cell.iter().zip(&dense.strides).map(|(i, s)| i * s).sum();
                        let x = values[at].to_f64();
                        if x != 0.0 {
                            // the levels of a mode fit 32 bits by construction
                            records.levels.extend(cell.iter().map(|i| *i as u32));
                            records.weights.push(x);
                        }
                        for axis in (0..cell.len()).rev() {
                            cell[axis] += 1;
                            if cell[axis] < dense.shape[axis] {
                                break;
                            }
                            cell[axis] = 0;
                        }
                    }
                });
                records
            }
        }
    }

    /// The levels of one cell.
    pub fn cell(&self, row: usize) -> &[u32] {
        &self.levels[row * self.width..(row + 1) * self.width]
    }
}
