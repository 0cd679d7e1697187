//! Sums of products of factors that no matrix product can take, such as all triples of four modes: the
//! cells of the clique are made and added up block by block in the nearest cache, and its table is never
//! written. One multiplication for each cell and factor, one addition for each cell. Deterministic: blocks
//! depend on the shapes alone and fall on cells of their own.

use rayon::prelude::*;

use super::contract::{Plan, Room};
use super::filtered::{Filtered, Truths};
use super::kernel::{Combine, accumulate, combine, plus, put, times};
use super::projection::Projection;
use crate::model::Scope;
use crate::model::table::strides;
use crate::plan::cost::{BLOCK_CELLS, PARTS};
use crate::plan::schedule::{Buffer, Product, Side};

/// Cells of a clique from which it is worth more than one thread.
const LARGE: usize = crate::plan::cost::BLOCKWISE as usize;

/// How a product of factors is summed.
pub(super) enum Way {
    /// As products of matrices.
    Matrices(Plan),
    /// Cell by cell.
    Cells(Stream),
    /// Over the cells that a mask lets through.
    Filtered(Filtered),
}

impl Way {
    /// What the plan says; `truths` are those of the product's filter, if it has one.
    pub fn new(product: &Product, buffers: &[Buffer], truths: Option<&Truths>) -> Self {
        if let Some(filtered) = truths.and_then(|t| Filtered::new(product, buffers, t)) {
            Self::Filtered(filtered)
        } else if product.shape.streamed {
            Self::Cells(Stream::new(product, buffers))
        } else {
            Self::Matrices(Plan::new(product, buffers))
        }
    }

    /// `onto ← Σ Π factors`.
    pub fn run(&self, factors: &[&[f64]], onto: &mut [f64], room: &mut Room) {
        match self {
            Self::Matrices(plan) => plan.run(factors, onto, room),
            Self::Cells(stream) => stream.run(factors, onto, room),
            Self::Filtered(filtered) => filtered.run(factors, onto, room),
        }
    }

    /// Operations and bytes, where they depend on the data.
    pub fn price(&self) -> Option<(f64, f64)> {
        match self {
            Self::Filtered(filtered) => Some(filtered.price),
            _ => None,
        }
    }

    /// As [`Way::run`], and in `changes` the relative change of each cell of `onto` when every factor
    /// changes by `directions`, relative to itself.
    pub fn differentiate(
        &self,
        factors: &[&[f64]],
        directions: &[&[f64]],
        onto: &mut [f64],
        changes: &mut [f64],
        room: &mut Room,
    ) {
        match self {
            Self::Matrices(plan) => plan.differentiate(factors, directions, onto, changes, room),
            Self::Cells(stream) => stream.differentiate(factors, directions, onto, changes, room),
            Self::Filtered(filtered) => filtered.differentiate(factors, directions, onto, changes, room),
        }
    }
}

/// Blocks of a clique. A block has one level of each of the first kept modes and all levels of the others;
/// where that is still too much, one level of the first modes that are summed out too.
pub(super) struct Stream {
    /// Extents of the kept modes that are fixed in a block, outermost first.
    fixed: Vec<usize>,
    /// Extents of the summed modes that are fixed in a block.
    again: Vec<usize>,
    through: Vec<Through>,
    /// Factors over kept modes alone, and the ways from the result to them.
    inside: Vec<(usize, Projection)>,
    /// Cells of a block, and of the result that it is summed to.
    cells: usize,
    own: usize,
    /// From a block to its part of the result.
    sum: Projection,
    large: bool,
}

/// A factor that is summed over.
struct Through {
    factor: usize,
    /// How far the levels of the fixed modes lie apart in it.
    fixed: Vec<usize>,
    again: Vec<usize>,
    /// From a block to its cells.
    way: Projection,
}

impl Stream {
    fn new(product: &Product, buffers: &[Buffer]) -> Self {
        let size = |m: usize| product.cells(&Scope::from([m]), buffers) as usize;
        let (kept, over): (Vec<usize>, Vec<usize>) =
            (product.shape.rows.iter().collect(), product.shape.over.iter().collect());
        let count = |modes: &[usize]| modes.iter().map(|m| size(*m)).product::<usize>();
        let most = BLOCK_CELLS as usize;
        let all = count(&kept).saturating_mul(count(&over));
        let few = |n: &usize| count(&kept[*n..]).saturating_mul(count(&over)) <= most;
        let first = (0..kept.len()).find(few).unwrap_or(kept.len());
        let (fixed, rest) = kept.split_at(first);
        let few = |n: &usize| count(rest).saturating_mul(count(&over[*n..])) <= most;
        let first = (0..over.len()).find(few).unwrap_or(over.len());
        let (again, summed) = over.split_at(first);
        let mut block: Vec<usize> = rest.iter().chain(summed).copied().collect();
        block.sort_unstable();
        let sizes = |modes: &[usize]| modes.iter().map(|m| size(*m)).collect::<Vec<_>>();
        let part = strides(&sizes(rest));
        let onto = |m: &usize| rest.iter().position(|r| r == m).map_or(0, |p| part[p]);
        let step = |f: usize, m: usize| {
            let buffer = &buffers[product.factors[f].0];
            buffer.scope.position(m).map_or(0, |p| strides(&buffer.shape)[p])
        };
        let on = |side: Side| {
            let scope = |f: usize| &buffers[product.factors[f].0].scope;
            (0..product.factors.len()).filter(move |f| product.shape.side(scope(*f)) == Some(side))
        };
        let through = on(Side::Left).map(|factor| Through {
            factor,
            fixed: fixed.iter().map(|m| step(factor, *m)).collect(),
            again: again.iter().map(|m| step(factor, *m)).collect(),
            way: Projection::strided(block.iter().map(|m| (size(*m), step(factor, *m)))),
        });
        let whole = |f: usize| Projection::strided(kept.iter().map(|m| (size(*m), step(f, *m))));
        Self {
            fixed: sizes(fixed),
            again: sizes(again),
            through: through.collect(),
            inside: on(Side::Inside).map(|f| (f, whole(f))).collect(),
            cells: count(&block),
            own: count(rest),
            sum: Projection::strided(block.iter().map(|m| (size(*m), onto(m)))),
            large: all >= LARGE,
        }
    }

    /// Blocks for each part, and in all.
    fn blocks(&self) -> (usize, usize) {
        let all: usize = self.fixed.iter().product();
        let parts = if self.large { PARTS as usize } else { 1 };
        (all.div_ceil(parts).max(1), all)
    }

    fn run(&self, factors: &[&[f64]], onto: &mut [f64], room: &mut Room) {
        let (each, all) = self.blocks();
        let parts = room.parts(all.div_ceil(each));
        let work = |k: usize, onto: &mut [f64], [cells, _]: &mut [Vec<f64>; 2]| {
            cells.resize(self.cells, 0.0);
            onto.fill(0.0);
            for (b, own) in onto.chunks_exact_mut(self.own).enumerate() {
                for again in 0..self.again.iter().product() {
                    self.make(k * each + b, again, factors, cells, None);
                    accumulate(&self.sum, cells, own);
                }
            }
        };
        if self.large {
            let own = onto.par_chunks_mut(each * self.own).zip(parts).enumerate();
            own.for_each(|(k, (onto, room))| work(k, onto, room));
        } else if let Some(room) = parts.first_mut() {
            work(0, onto, room);
        }
        for (f, way) in &self.inside {
            combine(way, onto, factors[*f], times);
        }
    }

    fn differentiate(
        &self,
        factors: &[&[f64]],
        directions: &[&[f64]],
        onto: &mut [f64],
        changes: &mut [f64],
        room: &mut Room,
    ) {
        let (each, all) = self.blocks();
        let parts = room.parts(all.div_ceil(each));
        let work = |k: usize, onto: &mut [f64], out: &mut [f64], [cells, changed]: &mut [Vec<f64>; 2]| {
            cells.resize(self.cells, 0.0);
            changed.resize(self.cells, 0.0);
            onto.fill(0.0);
            out.fill(0.0);
            let owns = onto.chunks_exact_mut(self.own).zip(out.chunks_exact_mut(self.own));
            for (b, (own, out)) in owns.enumerate() {
                for again in 0..self.again.iter().product() {
                    self.make(k * each + b, again, factors, cells, Some((directions, &mut *changed)));
                    accumulate(&self.sum, cells, own);
                    accumulate(&self.sum, changed, out);
                }
                out.iter_mut().zip(own).for_each(|(c, o)| *c = if *o > 0.0 { *c / *o } else { 0.0 });
            }
        };
        if self.large {
            let size = each * self.own;
            let own = onto.par_chunks_mut(size).zip(changes.par_chunks_mut(size)).zip(parts).enumerate();
            own.for_each(|(k, ((onto, changes), room))| work(k, onto, changes, room));
        } else if let Some(room) = parts.first_mut() {
            work(0, onto, changes, room);
        }
        for (f, way) in &self.inside {
            combine(way, onto, factors[*f], times);
            combine(way, changes, directions[*f], plus);
        }
    }

    /// The cells of one block; also what they change by.
    fn make(
        &self,
        block: usize,
        again: usize,
        factors: &[&[f64]],
        cells: &mut [f64],
        changes: Option<(&[&[f64]], &mut Vec<f64>)>,
    ) {
        pulp::Arch::new().dispatch(Make { stream: self, block, again, factors, cells, changes });
    }
}

struct Make<'a> {
    stream: &'a Stream,
    block: usize,
    again: usize,
    factors: &'a [&'a [f64]],
    cells: &'a mut [f64],
    changes: Option<(&'a [&'a [f64]], &'a mut Vec<f64>)>,
}

impl pulp::WithSimd for Make<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        let Self { stream, block, again, factors, cells, changes } = self;
        let begins =
            |t: &Through| distance(block, &stream.fixed, &t.fixed) + distance(again, &stream.again, &t.again);
        for (k, t) in stream.through.iter().enumerate() {
            let (projection, small) = (&t.way, &factors[t.factor][begins(t)..]);
            match k {
                0 => Combine { projection, large: &mut *cells, small, f: put }.with_simd(simd),
                _ => Combine { projection, large: &mut *cells, small, f: times }.with_simd(simd),
            }
        }
        let Some((directions, changed)) = changes else { return };
        changed.fill(0.0);
        for t in &stream.through {
            let (projection, small) = (&t.way, &directions[t.factor][begins(t)..]);
            Combine { projection, large: &mut *changed, small, f: plus }.with_simd(simd);
        }
        changed.iter_mut().zip(cells).for_each(|(c, l)| *c *= *l);
    }
}

/// Where the `k`-th combination of levels lies, for these extents and distances.
fn distance(mut k: usize, extents: &[usize], steps: &[usize]) -> usize {
    let mut at = 0;
    for (n, step) in extents.iter().zip(steps).rev() {
        at += k % n * step;
        k /= n;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::schedule::Shape;
    use crate::run::product_cases::{Case, slices};

    #[test]
    fn blocks_add_up_to_the_sum_over_all_cells() {
        let cases: [(&[usize], &[usize], &[&[usize]]); 4] = [
            // all triples of four modes, with the factor that is not summed over
            (&[5, 6, 7, 4], &[0, 1, 2], &[&[0, 1, 3], &[0, 2, 3], &[1, 2, 3], &[0, 1, 2]]),
            (&[70, 40, 9, 11], &[1, 2, 3], &[&[0, 1, 2], &[0, 1, 3], &[0, 2, 3], &[2, 3]]),
            // a sum over more cells than a block has
            (&[3, 4, 120, 110], &[0, 1], &[&[0, 1, 2], &[0, 1, 3], &[2], &[1]]),
            (&[2, 90, 3, 91], &[0, 2], &[&[0, 1, 2], &[0, 2, 3], &[1, 3]]),
        ];
        for (sizes, onto, factors) in cases {
            let case = Case::new(sizes, onto, factors, |_| true);
            let (kept, scopes) = case.scopes();
            let shape = Shape::of(&Scope::all(sizes.len()), kept, &scopes).unwrap();
            assert!(shape.streamed, "{factors:?}");
            let way = Way::new(&case.product(shape, None), &case.buffers, None);
            let (own, ways) = (slices(&case.own), slices(&case.directions));
            let (want, change) = (&case.want, &case.change);
            let mut room = Room::default();
            let mut got = vec![0.0; want.len()];
            way.run(&own, &mut got, &mut room);
            let (mut again, mut changes) = (vec![1.0; want.len()], vec![1.0; want.len()]);
            way.differentiate(&own, &ways, &mut again, &mut changes, &mut room);
            assert_eq!(got, again);
            for i in 0..want.len() {
                assert!((got[i] - want[i]).abs() <= 1e-13 * want[i], "{factors:?} {i}");
                assert!((changes[i] - change[i] / want[i]).abs() <= 1e-12, "{factors:?} {i}");
            }
        }
    }
}
