//! How the cells of a table fall onto the cells of a smaller one.

use crate::model::Scope;
use crate::model::table::strides;

/// Outer axes whose index is kept on the stack.
const FEW: usize = 12;

/// A map from row-major cells to positions in another table: cell `(i_1, …, i_k)` goes to
/// `Σ i_d · stride_d`, and an axis that is summed out has stride 0. Axes that are neighbours on both
/// sides are merged, so that the inner loops are as long as the shapes allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// Extents and strides of the outer axes, outermost first.
    outer: Vec<(usize, usize)>,
    /// Extent and stride of the last but one axis.
    middle: (usize, usize),
    /// Extent and stride of the innermost axis.
    inner: (usize, usize),
}

impl Projection {
    /// From a row-major table over `from` onto one over `onto`; modes of `onto` that are not in `from`
    /// would have nothing to run over and must not occur.
    pub fn between(from: &Scope, shape: &[usize], onto: &Scope) -> Self {
        let axes = onto.iter().filter_map(|m| from.position(m)).collect::<Vec<_>>();
        let sizes: Vec<usize> = axes.iter().filter_map(|a| shape.get(*a)).copied().collect();
        let mut stride = vec![0; shape.len()];
        for (axis, s) in axes.iter().zip(strides(&sizes)) {
            stride[*axis] = s;
        }
        Self::strided(shape.iter().copied().zip(stride))
    }

    /// From extents and strides, outermost axis first.
    pub fn strided(axes: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (extent, stride) in axes {
            if extent == 1 {
                continue;
            }
            match merged.last_mut() {
                Some(last) if last.1 == stride * extent => *last = (last.0 * extent, stride),
                _ => merged.push((extent, stride)),
            }
        }
        let inner = merged.pop().unwrap_or((1, 0));
        let middle = merged.pop().unwrap_or((1, 0));
        Self { outer: merged, middle, inner }
    }

    /// Extent and stride of the innermost axis.
    pub fn inner(&self) -> (usize, usize) {
        self.inner
    }

    /// Whether all of so many cells fall one after the other.
    pub fn in_order(&self, cells: usize) -> bool {
        self.inner == (cells, 1) || cells == 1
    }

    /// How many neighbouring runs of the innermost axis fall onto the same cells.
    pub fn repeated(&self) -> usize {
        if self.middle.1 == 0 { self.middle.0 } else { 1 }
    }

    /// Visits every run of the innermost axis: where it starts, and where its first cell falls.
    #[inline(always)]
    pub fn runs(&self, mut visit: impl FnMut(usize, usize)) {
        let (length, _) = self.inner;
        let (count, step) = self.middle;
        self.groups(|from, onto| (0..count).for_each(|k| visit(from + k * length, onto + k * step)));
    }

    /// Visits the runs of the innermost axis in groups, as the axis outside it has them: where the first of a group
    /// starts, and where its first cell falls.
    #[inline(always)]
    pub fn groups(&self, mut visit: impl FnMut(usize, usize)) {
        let (length, _) = self.inner;
        let (count, _) = self.middle;
        // a table of many modes that do not merge is rare, and only its index needs the heap
        let (mut few, mut many) = ([0; FEW], Vec::new());
        let index = match few.get_mut(..self.outer.len()) {
            Some(few) => few,
            None => {
                many.resize(self.outer.len(), 0);
                many.as_mut_slice()
            }
        };
        let (mut from, mut base) = (0, 0);
        if count == 0 || length == 0 || self.outer.iter().any(|(n, _)| *n == 0) {
            return;
        }
        loop {
            visit(from, base);
            from += count * length;
            let mut axis = self.outer.len();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                let (extent, stride) = self.outer[axis];
                index[axis] += 1;
                base += stride;
                if index[axis] < extent {
                    break;
                }
                index[axis] = 0;
                base -= stride * extent;
            }
        }
    }

    /// Cuts the outermost axis into at most `parts` ranges: a projection for each, with the first
    /// cell and the first position of the range. The cuts depend on the shape alone.
    pub fn split(&self, parts: usize) -> Vec<(Projection, usize, usize)> {
        let mut axes = self.outer.clone();
        axes.push(self.middle);
        axes.push(self.inner);
        axes.retain(|(n, _)| *n != 1);
        let Some((extent, stride)) = axes.first().copied() else { return vec![(self.clone(), 0, 0)] };
        let below: usize = axes.iter().skip(1).map(|(n, _)| *n).product();
        let parts = parts.clamp(1, extent.max(1));
        (0..parts)
            .map(|k| {
                let (start, end) = (k * extent / parts, (k + 1) * extent / parts);
                let own = std::iter::once((end - start, stride)).chain(axes.iter().skip(1).copied());
                (Self::strided(own), start * below, start * stride)
            })
            .collect()
    }

    /// The stride of the outermost axis; 0 when it is summed out.
    pub fn outermost_stride(&self) -> usize {
        let axes = self.outer.iter().chain([&self.middle, &self.inner]);
        axes.into_iter().find(|(n, _)| *n != 1).map_or(0, |(_, s)| *s)
    }
}
