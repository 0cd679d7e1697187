//! Truth values of cells, which take no memory where all are true.

use std::ops::Range;
use std::sync::Arc;

/// Cells of a block, at most, that [`Truth::block`] is asked for.
pub(super) const BLOCK: usize = 248;

/// One truth value for each of some cells.
#[derive(Debug, Clone)]
pub struct Truth {
    cells: usize,
    /// None where all are true.
    values: Option<Arc<[bool]>>,
}

impl Truth {
    /// True for so many cells.
    pub fn always(cells: usize) -> Self {
        Self { cells, values: None }
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.cells
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.cells == 0
    }

    /// Whether it is true for all cells because nothing else was ever said.
    pub fn is_always(&self) -> bool {
        self.values.is_none()
    }

    /// That of one cell; none beyond the last.
    pub fn get(&self, cell: usize) -> Option<bool> {
        match &self.values {
            None => (cell < self.cells).then_some(true),
            Some(values) => values.get(cell).copied(),
        }
    }

    /// Those of up to [`BLOCK`] cells.
    pub(super) fn block(&self, range: Range<usize>) -> &[bool] {
        static TRUE: [bool; BLOCK] = [true; BLOCK];
        match &self.values {
            None => &TRUE[..range.len()],
            Some(values) => &values[range],
        }
    }

    /// All of them.
    pub fn to_vec(&self) -> Vec<bool> {
        self.values.as_ref().map_or_else(|| vec![true; self.cells], |values| values.to_vec())
    }
}

impl From<Arc<[bool]>> for Truth {
    fn from(values: Arc<[bool]>) -> Self {
        Self { cells: values.len(), values: Some(values) }
    }
}

impl From<Vec<bool>> for Truth {
    fn from(values: Vec<bool>) -> Self {
        Arc::<[bool]>::from(values).into()
    }
}

impl FromIterator<bool> for Truth {
    fn from_iter<I: IntoIterator<Item = bool>>(values: I) -> Self {
        values.into_iter().collect::<Vec<bool>>().into()
    }
}
