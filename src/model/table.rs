//! Dense tables of numbers over a scope.

use super::scope::Scope;

/// A table over the modes of `scope`, row-major in scope order (last mode fastest).
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The modes, one axis each.
    pub scope: Scope,
    /// Number of levels along each axis.
    pub shape: Vec<usize>,
    /// `shape.product()` numbers.
    pub values: Vec<f64>,
}

impl Table {
    /// A table with one value everywhere.
    pub fn filled(scope: Scope, shape: Vec<usize>, value: f64) -> Self {
        let cells = shape.iter().product();
        Self { scope, shape, values: vec![value; cells] }
    }

    /// The value at a cell of the table, one level per axis.
    pub fn at(&self, cell: &[usize]) -> f64 {
        let index = cell.iter().zip(&self.shape).fold(0, |k, (i, n)| k * n + i);
        self.values[index]
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> Vec<usize> {
        strides(&self.shape)
    }

    /// The size and the stride of the axis of each of `modes`, in this order.
    pub fn axes(&self, modes: &[usize]) -> Vec<(usize, usize)> {
        let own = self.strides();
        let axis = |m: &usize| self.scope.position(*m).map(|axis| (self.shape[axis], own[axis]));
        modes.iter().filter_map(axis).collect()
    }

    /// The values with the axes in the order of `modes`, which names all of the scope.
    pub fn in_order(&self, modes: &[usize]) -> Vec<f64> {
        offsets(&self.axes(modes)).map(|at| self.values[at]).collect()
    }

    /// The table after mode `m` has become mode `to[m]`, its axes in the new order.
    #[must_use]
    pub fn renamed(&self, to: &[usize]) -> Table {
        let scope: Scope = self.scope.iter().map(|m| to[m]).collect();
        let own = self.strides();
        let axes: Vec<(usize, usize)> = scope
            .iter()
            .filter_map(|new| self.scope.iter().position(|old| to[old] == new))
            .map(|axis| (self.shape[axis], own[axis]))
            .collect();
        let values = offsets(&axes).map(|at| self.values[at]).collect();
        Table { scope, shape: axes.iter().map(|(n, _)| *n).collect(), values }
    }
}

/// The offset of every cell in row-major order, from the size and the stride of each axis.
pub fn offsets(axes: &[(usize, usize)]) -> impl Iterator<Item = usize> {
    let cells: usize = axes.iter().map(|(n, _)| n).product();
    (0..cells).map(|flat| {
        let (mut rest, mut at) = (flat, 0);
        for (size, stride) in axes.iter().rev() {
            at += rest % size * stride;
            rest /= size;
        }
        at
    })
}

/// The levels of a cell from its place in row-major order. Every size is positive.
pub fn cell_at(shape: &[usize], mut place: usize) -> Vec<usize> {
    let mut cell = vec![0; shape.len()];
    for (level, size) in cell.iter_mut().zip(shape).rev() {
        *level = place % size;
        place /= size;
    }
    cell
}

/// Row-major strides, in elements, of an array of this shape.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}
