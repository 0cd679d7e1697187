//! When a fit whose marginals match is on its way to the boundary.
//!
//! The Newton step leads from Q to R = Q (1 + d − ⟨d⟩), which has the marginals of the data. On a face of the marginal
//! polytope every tensor with these marginals that is nowhere negative is zero outside the face, so that R is zero or
//! negative somewhere there: some relative change is −1 or less. At any other optimum R is Q. Before a fit has
//! come near, changes of −1 say nothing yet; what tells is that d then moves cells with data too, while the direction in
//! which potentials leave for a face is the same in all of them.

use crate::data::Tensor;
use crate::model::Table;

use super::distribution::value_at;

/// Relative change of a cell from which it counts as on its way to zero.
const VANISHING: f64 = -1.0 + 1e-3;

/// By how much the relative changes of cells with data may differ.
const STILL: f64 = 0.05;

/// Whether the direction that is the sum of these tables takes cells to zero and leaves those with data alone;
/// `smallest` is the smallest relative change along it. One pass over the data where it takes any cell to zero.
pub(super) fn leaves(tensor: Option<&Tensor>, direction: &[Table], smallest: f64) -> bool {
    vanishes(smallest) && tensor.is_some_and(|tensor| still(tensor, direction))
}

/// Whether a relative change takes a cell to zero.
pub(super) fn vanishes(change: f64) -> bool {
    change <= VANISHING
}

/// Whether the direction that is the sum of these tables leaves the cells with data alone, but for what they have in common.
/// One pass over the data.
pub(super) fn still(tensor: &Tensor, direction: &[Table]) -> bool {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    tensor.each_cell(|cell, _| {
        let change: f64 = direction.iter().map(|t| value_at(t, cell)).sum();
        (low, high) = (low.min(change), high.max(change));
    });
    high - low <= STILL
}
