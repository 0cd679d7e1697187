//! Sums of products of factors as matrix products, slice by slice: the table of all modes is never
//! written. Deterministic: the slices depend on the shapes alone and fall on rows of their own.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::kernel::combine_one;
use super::projection::Projection;
use crate::model::Scope;
use crate::model::table::strides;
use crate::plan::cost::{PARTS, SLICE};
use crate::plan::schedule::{Buffer, Product, Side};

/// Multiply–adds from which a product is worth more than one thread.
const LARGE: usize = 1 << 20;

/// How a product is taken, worked out once.
pub(super) struct Plan {
    slices: Vec<Slice>,
    /// Factors of the right matrix, and the ways from its cells to theirs.
    right: Vec<(usize, Projection)>,
    columns: usize,
    over: usize,
    /// Whether it is worth more than one thread.
    large: bool,
}

/// Some rows.
struct Slice {
    rows: usize,
    /// Factors, where the rows begin in them, and the ways from the slice's cells to theirs.
    left: Vec<(usize, usize, Projection)>,
    inside: Vec<(usize, usize, Projection)>,
}

/// Room for the matrices, kept from call to call.
#[derive(Default)]
pub(super) struct Room {
    right: Vec<f64>,
    right_changes: Vec<f64>,
    parts: Vec<[Vec<f64>; 2]>,
}

impl Plan {
    pub fn new(product: &Product, buffers: &[Buffer]) -> Self {
        let shape = &product.shape;
        let size = |m: usize| product.cells(&Scope::from([m]), buffers) as usize;
        let sizes = |scope: &Scope| scope.iter().map(|m| (m, size(m))).collect::<Vec<_>>();
        let count = |axes: &[(usize, usize)]| axes.iter().map(|(_, n)| *n).product::<usize>();
        let (rows, columns, over) = (sizes(&shape.rows), sizes(&shape.columns), sizes(&shape.over));
        let step = |f: usize, m: usize| {
            let buffer = &buffers[product.factors[f].0];
            buffer.scope.position(m).map_or(0, |p| strides(&buffer.shape)[p])
        };
        let way = |f: usize, axes: &mut dyn Iterator<Item = (usize, usize)>| {
            Projection::strided(axes.map(|(m, n)| (n, step(f, m))))
        };
        let on = |side: Side| -> Vec<usize> {
            let scope = |f: usize| &buffers[product.factors[f].0].scope;
            (0..product.factors.len()).filter(|f| shape.side(scope(*f)) == Some(side)).collect()
        };
        let (left, right, inside) = (on(Side::Left), on(Side::Right), on(Side::Inside));
        let all = count(&rows);
        let (first, below) = rows.split_first().map_or((None, &[][..]), |(f, b)| (Some(*f), b));
        let extent = first.map_or(1, |(_, n)| n);
        let each = count(below) * count(&over);
        // as many rows as fit a slice, but enough slices for every thread there may be
        let most = (SLICE as usize / each.max(1)).clamp(1, extent.div_ceil(PARTS as usize).max(1));
        let cut = |start: usize| {
            let end = (start + most).min(extent);
            let own = || first.map(|(m, _)| (m, end - start)).into_iter().chain(below.iter().copied());
            let from = |f: usize| first.map_or(0, |(m, _)| start * step(f, m));
            let sided = |who: &[usize], rest: &[(usize, usize)]| {
                let one = |f: &usize| (*f, from(*f), way(*f, &mut own().chain(rest.iter().copied())));
                who.iter().map(one).collect()
            };
            Slice {
                rows: (end - start) * count(below),
                left: sided(&left, &over),
                inside: sided(&inside, &columns),
            }
        };
        Self {
            slices: (0..extent).step_by(most).map(cut).collect(),
            right: right.iter().map(|f| (*f, way(*f, &mut columns.iter().chain(&over).copied()))).collect(),
            columns: count(&columns),
            over: count(&over),
            large: all * count(&columns) * count(&over) >= LARGE,
        }
    }

    /// `onto ← Σ Π factors`.
    pub fn run(&self, factors: &[&[f64]], onto: &mut [f64], room: &mut Room) {
        self.prepare(factors, room);
        room.parts.resize_with(self.slices.len().max(room.parts.len()), Default::default);
        let right = room.right.as_slice();
        let work = |slice: &Slice, onto: &mut [f64], room: &mut [Vec<f64>; 2]| {
            let left = &mut room[0];
            left.resize(slice.rows * self.over, 0.0);
            fill(left, slice.left.iter().map(|(f, at, way)| (way, &factors[*f][*at..])));
            multiply(left, right, onto, self.over, 0.0);
            for (f, at, way) in &slice.inside {
                combine_one(way, onto, &factors[*f][*at..], |l, s| l * s);
            }
        };
        if !self.large {
            let mut rest = onto;
            for (slice, room) in self.slices.iter().zip(&mut room.parts) {
                let (own, tail) = rest.split_at_mut(slice.rows * self.columns);
                work(slice, own, room);
                rest = tail;
            }
            return;
        }
        let mut cut = Vec::with_capacity(self.slices.len());
        let mut rest = onto;
        for slice in &self.slices {
            let (own, tail) = rest.split_at_mut(slice.rows * self.columns);
            cut.push((slice, own));
            rest = tail;
        }
        cut.into_par_iter().zip(&mut room.parts).for_each(|((slice, own), room)| work(slice, own, room));
    }

    /// As [`Plan::run`], and in `changes` the relative change of each cell of `onto` when every factor
    /// changes by `directions`, relative to itself.
    pub fn differentiate(
        &self,
        factors: &[&[f64]],
        directions: &[&[f64]],
        onto: &mut [f64],
        changes: &mut [f64],
        room: &mut Room,
    ) {
        self.prepare(factors, room);
        let mut right_changes = std::mem::take(&mut room.right_changes);
        right_changes.clear();
        right_changes.resize(self.columns * self.over, 0.0);
        for (f, way) in &self.right {
            combine_one(way, &mut right_changes, directions[*f], |l, s| l + s);
        }
        right_changes.iter_mut().zip(&room.right).for_each(|(c, r)| *c *= r);
        let right = room.right.as_slice();
        let mut rest = changes;
        let mut taken = Vec::with_capacity(self.slices.len());
        for slice in &self.slices {
            let (own, tail) = rest.split_at_mut(slice.rows * self.columns);
            taken.push(own);
            rest = tail;
        }
        let mut cut = Vec::with_capacity(self.slices.len());
        let mut rest = onto;
        for (slice, changes) in self.slices.iter().zip(taken) {
            let (own, tail) = rest.split_at_mut(slice.rows * self.columns);
            cut.push((slice, own, changes));
            rest = tail;
        }
        let work = |(slice, onto, changes): (&Slice, &mut [f64], &mut [f64]), room: &mut [Vec<f64>; 2]| {
            let [left, left_changes] = room;
            left.resize(slice.rows * self.over, 0.0);
            fill(left, slice.left.iter().map(|(f, at, way)| (way, &factors[*f][*at..])));
            left_changes.clear();
            left_changes.resize(left.len(), 0.0);
            for (f, at, way) in &slice.left {
                combine_one(way, left_changes, &directions[*f][*at..], |l, s| l + s);
            }
            left_changes.iter_mut().zip(left.iter()).for_each(|(c, l)| *c *= l);
            multiply(left, right, onto, self.over, 0.0);
            multiply(left_changes, right, changes, self.over, 0.0);
            multiply(left, &right_changes, changes, self.over, 1.0);
            changes.iter_mut().zip(onto.iter()).for_each(|(c, o)| *c = if *o > 0.0 { *c / o } else { 0.0 });
            for (f, at, way) in &slice.inside {
                combine_one(way, onto, &factors[*f][*at..], |l, s| l * s);
                combine_one(way, changes, &directions[*f][*at..], |l, s| l + s);
            }
        };
        room.parts.resize_with(self.slices.len().max(room.parts.len()), Default::default);
        if self.large {
            cut.into_par_iter().zip(&mut room.parts).for_each(|(job, room)| work(job, room));
        } else {
            cut.into_iter().zip(&mut room.parts).for_each(|(job, room)| work(job, room));
        }
        room.right_changes = right_changes;
    }

    fn prepare(&self, factors: &[&[f64]], room: &mut Room) {
        room.right.resize(self.columns * self.over, 0.0);
        fill(&mut room.right, self.right.iter().map(|(f, way)| (way, factors[*f])));
    }
}

/// The product of factors, each spread over the cells of a matrix.
fn fill<'a>(matrix: &mut [f64], mut factors: impl Iterator<Item = (&'a Projection, &'a [f64])>) {
    match factors.next() {
        None => matrix.fill(1.0),
        Some((way, factor)) => combine_one(way, matrix, factor, |_, s| s),
    }
    for (way, factor) in factors {
        combine_one(way, matrix, factor, |l, s| l * s);
    }
}

/// `onto ← left · rightᵀ + keep · onto`, both with `over` columns.
fn multiply(left: &[f64], right: &[f64], onto: &mut [f64], over: usize, keep: f64) {
    let (rows, columns) = (left.len() / over.max(1), right.len() / over.max(1));
    let (left, right) =
        (ArrayView2::from_shape((rows, over), left), ArrayView2::from_shape((columns, over), right));
    if let (Ok(l), Ok(r), Ok(mut o)) = (left, right, ArrayViewMut2::from_shape((rows, columns), onto)) {
        general_mat_mul(1.0, &l, &r.t(), keep, &mut o);
    }
}
