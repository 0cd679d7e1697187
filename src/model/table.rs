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
        let values = (0..self.values.len())
            .map(|flat| {
                let (mut rest, mut at) = (flat, 0);
                for (size, stride) in axes.iter().rev() {
                    at += rest % size * stride;
                    rest /= size;
                }
                self.values[at]
            })
            .collect();
        Table { scope, shape: axes.iter().map(|(n, _)| *n).collect(), values }
    }
}

/// Row-major strides, in elements, of an array of this shape.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}
