//! Sums of products of factors as matrix products, slice by slice: the table of all modes is never
//! written. Deterministic: the slices depend on the shapes alone and fall on rows of their own.

use rayon::prelude::*;

use super::batch::{self, Batch};
use super::kernel::{Combine, combine_one, plus, put, times};
use super::multiply::{multiply, pack, stride};
use super::projection::Projection;
use crate::model::Scope;
use crate::model::table::strides;
use crate::plan::cost::{PARTS, SLICE};
use crate::plan::schedule::{Buffer, Product, Side};

/// Multiply–adds from which a product is worth more than one thread.
const LARGE: usize = crate::plan::cost::PRODUCT as usize;

/// How a product is taken, worked out once.
pub(super) struct Plan {
    /// Level by level, where that is possible: the others are not needed then.
    batch: Option<Batch>,
    slices: Vec<Slice>,
    /// Factors of the left matrix.
    left: Vec<Turn>,
    /// Factors of the right matrix, and the ways from its cells to theirs.
    right: Vec<(usize, Projection)>,
    columns: usize,
    over: usize,
    /// Whether it is worth more than one thread.
    large: bool,
}

/// A factor of the left matrix, turned so that what is summed over comes first.
struct Turn {
    factor: usize,
    cells: usize,
    /// From the turned table to the factor.
    way: Projection,
    /// Where the cells of each value of the summed index begin.
    at: Vec<usize>,
}

/// Some rows.
struct Slice {
    rows: usize,
    /// For each left factor, where the rows begin in it, and the way from rows to its cells.
    left: Vec<(usize, Projection)>,
    /// Factors, where the slice begins in them, and the ways from its cells to theirs.
    inside: Vec<(usize, usize, Projection)>,
}

/// Room for the matrices, kept from call to call.
#[derive(Default)]
pub(super) struct Room {
    batch: batch::Room,
    matrix: Vec<f64>,
    /// The right matrix and its changes, packed.
    right: [Vec<f64>; 2],
    /// Left factors and their changes, turned.
    turned: Vec<[Vec<f64>; 2]>,
    /// Left matrices and their changes, for each slice.
    parts: Vec<[Vec<f64>; 2]>,
}

impl Room {
    /// So many pairs of vectors, kept from call to call.
    pub fn parts(&mut self, count: usize) -> &mut [[Vec<f64>; 2]] {
        if self.parts.len() < count {
            self.parts.resize_with(count, Default::default);
        }
        self.parts.get_mut(..count).unwrap_or_default()
    }
}

impl Plan {
    pub fn new(product: &Product, buffers: &[Buffer]) -> Self {
        let shape = &product.shape;
        let size = |m: usize| product.cells(&Scope::from([m]), buffers) as usize;
        let sizes = |scope: &Scope| scope.iter().map(|m| (m, size(m))).collect::<Vec<_>>();
        let count = |axes: &[(usize, usize)]| axes.iter().map(|(_, n)| *n).product::<usize>();
        let (rows, columns, over) = (sizes(&shape.rows), sizes(&shape.columns), sizes(&shape.over));
        let scope = |f: usize| &buffers[product.factors[f].0].scope;
        let step = |f: usize, m: usize| {
            let buffer = &buffers[product.factors[f].0];
            buffer.scope.position(m).map_or(0, |p| strides(&buffer.shape)[p])
        };
        let way = |f: usize, axes: &mut dyn Iterator<Item = (usize, usize)>| {
            Projection::strided(axes.map(|(m, n)| (n, step(f, m))))
        };
        let on = |side: Side| -> Vec<usize> {
            (0..product.factors.len()).filter(|f| shape.side(scope(*f)) == Some(side)).collect()
        };
        let (left, right, inside) = (on(Side::Left), on(Side::Right), on(Side::Inside));
        // the modes of a left factor, what is summed over first, and the steps between them when turned
        let turned = |f: usize| -> Vec<(usize, usize, usize)> {
            let own: Vec<(usize, usize)> =
                over.iter().chain(&rows).filter(|(m, _)| scope(f).contains(*m)).copied().collect();
            let steps = strides(&own.iter().map(|(_, n)| *n).collect::<Vec<_>>());
            own.into_iter().zip(steps).map(|((m, n), s)| (m, n, s)).collect()
        };
        let turns: Vec<Vec<(usize, usize, usize)>> = left.iter().map(|f| turned(*f)).collect();
        let turned_step =
            |k: usize, m: usize| turns[k].iter().find(|(own, _, _)| *own == m).map_or(0, |(_, _, s)| *s);
        let all = count(&rows);
        let (first, below) = rows.split_first().map_or((None, &[][..]), |(f, b)| (Some(*f), b));
        let extent = first.map_or(1, |(_, n)| n);
        let each = count(below) * count(&over);
        // as many rows as fit a slice, but enough slices for every thread there may be
        let most = (SLICE as usize / each.max(1)).clamp(1, extent.div_ceil(PARTS as usize).max(1));
        let cut = |start: usize| {
            let end = (start + most).min(extent);
            let own = || first.map(|(m, _)| (m, end - start)).into_iter().chain(below.iter().copied());
            let begins = |step: usize| first.map_or(0, |_| start * step);
            let first_mode = first.map_or(usize::MAX, |(m, _)| m);
            let left = (0..left.len()).map(|k| {
                let way = Projection::strided(own().map(|(m, n)| (n, turned_step(k, m))));
                (begins(turned_step(k, first_mode)), way)
            });
            let inside = inside.iter().map(|f| {
                let way = way(*f, &mut own().chain(columns.iter().copied()));
                (*f, begins(step(*f, first_mode)), way)
            });
            Slice { rows: (end - start) * count(below), left: left.collect(), inside: inside.collect() }
        };
        let turn = |(k, f): (usize, &usize)| {
            let mut at = Vec::with_capacity(count(&over));
            let places = Projection::strided(over.iter().map(|(m, n)| (*n, turned_step(k, *m))));
            let (length, between) = places.inner();
            places.runs(|_, onto| at.extend((0..length).map(|i| onto + i * between)));
            Turn {
                factor: *f,
                cells: turns[k].iter().map(|(_, n, _)| n).product(),
                way: way(*f, &mut turns[k].iter().map(|(m, n, _)| (*m, *n))),
                at,
            }
        };
        Self {
            batch: Batch::new(product, buffers, LARGE),
            slices: (0..extent).step_by(most).map(cut).collect(),
            left: left.iter().enumerate().map(turn).collect(),
            right: right.iter().map(|f| (*f, way(*f, &mut columns.iter().chain(&over).copied()))).collect(),
            columns: count(&columns),
            over: count(&over),
            large: all * count(&columns) * count(&over) >= LARGE,
        }
    }

    /// `onto ← Σ Π factors`.
    pub fn run(&self, factors: &[&[f64]], onto: &mut [f64], room: &mut Room) {
        if let Some(batch) = &self.batch {
            return batch.run(factors, None, onto, &mut [], &mut room.batch);
        }
        self.prepare(factors, None, room);
        let Room { right: [right, _], turned, parts, .. } = room;
        let work = |slice: &Slice, onto: &mut [f64], room: &mut [Vec<f64>; 2]| {
            self.left(slice, turned, room, false);
            multiply(&room[0], right, onto, self.columns, self.over, false);
            for (f, at, way) in &slice.inside {
                combine_one(way, onto, &factors[*f][*at..], times);
            }
        };
        if !self.large {
            let mut rest = onto;
            for (slice, room) in self.slices.iter().zip(parts) {
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
        cut.into_par_iter().zip(parts).for_each(|((slice, own), room)| work(slice, own, room));
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
        if let Some(batch) = &self.batch {
            return batch.run(factors, Some(directions), onto, changes, &mut room.batch);
        }
        self.prepare(factors, Some(directions), room);
        let Room { right: [right, right_changes], turned, parts, .. } = room;
        let work = |slice: &Slice, onto: &mut [f64], changes: &mut [f64], room: &mut [Vec<f64>; 2]| {
            self.left(slice, turned, room, true);
            let [left, left_changes] = room;
            multiply(left, right, onto, self.columns, self.over, false);
            multiply(left_changes, right, changes, self.columns, self.over, false);
            multiply(left, right_changes, changes, self.columns, self.over, true);
            changes.iter_mut().zip(onto.iter()).for_each(|(c, o)| *c = if *o > 0.0 { *c / o } else { 0.0 });
            for (f, at, way) in &slice.inside {
                combine_one(way, onto, &factors[*f][*at..], times);
                combine_one(way, changes, &directions[*f][*at..], plus);
            }
        };
        let (mut rest, mut rest_changes) = (onto, changes);
        let mut cut = Vec::with_capacity(if self.large { self.slices.len() } else { 0 });
        for (slice, room) in self.slices.iter().zip(parts) {
            let (own, tail) = rest.split_at_mut(slice.rows * self.columns);
            let (own_changes, tail_changes) = rest_changes.split_at_mut(slice.rows * self.columns);
            (rest, rest_changes) = (tail, tail_changes);
            if self.large {
                cut.push((slice, own, own_changes, room));
            } else {
                work(slice, own, own_changes, room);
            }
        }
        if self.large {
            cut.into_par_iter().for_each(|(slice, own, changes, room)| work(slice, own, changes, room));
        }
    }

    /// The right matrix, packed, and the left factors, turned; also their changes.
    fn prepare(&self, factors: &[&[f64]], directions: Option<&[&[f64]]>, room: &mut Room) {
        let Room { matrix, right: [right, right_changes], turned, parts, .. } = room;
        if parts.len() < self.slices.len() {
            parts.resize_with(self.slices.len(), Default::default);
        }
        if turned.len() < self.left.len() {
            turned.resize_with(self.left.len(), Default::default);
        }
        matrix.resize(self.columns * self.over, 0.0);
        fill(matrix, self.right.iter().map(|(f, way)| (way, factors[*f])), |l, s| l * s, 1.0);
        pack(matrix, self.over, right);
        for (turn, [own, changes]) in self.left.iter().zip(turned) {
            own.resize(turn.cells, 0.0);
            combine_one(&turn.way, own, factors[turn.factor], put);
            if let Some(directions) = directions {
                changes.resize(turn.cells, 0.0);
                combine_one(&turn.way, changes, directions[turn.factor], put);
            }
        }
        if let Some(directions) = directions {
            // relative changes add up, and the matrix they are relative to is multiplied in
            fill(matrix, self.right.iter().map(|(f, way)| (way, directions[*f])), |l, s| l + s, 0.0);
            for (f, way) in &self.right {
                combine_one(way, matrix, factors[*f], times);
            }
            pack(matrix, self.over, right_changes);
        }
    }

    /// The left matrix of a slice, a row for each value of the summed index; also its changes.
    fn left(&self, slice: &Slice, turned: &[[Vec<f64>; 2]], room: &mut [Vec<f64>; 2], changes: bool) {
        let step = stride(slice.rows);
        let [left, left_changes] = room;
        left.resize(step * self.over, 0.0);
        if changes {
            left_changes.resize(step * self.over, 0.0);
        }
        pulp::Arch::new().dispatch(Fill { plan: self, slice, turned, left, left_changes, step, changes });
    }
}

struct Fill<'a> {
    plan: &'a Plan,
    slice: &'a Slice,
    turned: &'a [[Vec<f64>; 2]],
    left: &'a mut [f64],
    left_changes: &'a mut [f64],
    step: usize,
    changes: bool,
}

impl pulp::WithSimd for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        let Self { plan, slice, turned, left, left_changes, step, changes } = self;
        for (o, row) in left.chunks_exact_mut(step).enumerate() {
            let row = &mut row[..slice.rows];
            let own = || plan.left.iter().zip(&slice.left).zip(turned);
            if plan.left.is_empty() {
                row.fill(1.0);
            }
            for (k, ((turn, (from, projection)), [factor, _])) in own().enumerate() {
                let small = &factor[turn.at[o] + from..];
                match k {
                    0 => Combine { projection, large: &mut *row, small, f: put }.with_simd(simd),
                    _ => Combine { projection, large: &mut *row, small, f: times }.with_simd(simd),
                }
            }
            if !changes {
                continue;
            }
            let change = &mut left_changes[o * step..o * step + slice.rows];
            change.fill(0.0);
            for ((turn, (from, projection)), [_, direction]) in own() {
                let small = &direction[turn.at[o] + from..];
                Combine { projection, large: &mut *change, small, f: plus }.with_simd(simd);
            }
            change.iter_mut().zip(row).for_each(|(c, l)| *c *= *l);
        }
    }
}

/// Factors, each spread over the cells of a matrix and put together; `none` where there are none.
fn fill<'a>(
    matrix: &mut [f64],
    mut factors: impl Iterator<Item = (&'a Projection, &'a [f64])>,
    together: impl Fn(f64, f64) -> f64 + Copy,
    none: f64,
) {
    match factors.next() {
        None => matrix.fill(none),
        Some((way, factor)) => combine_one(way, matrix, factor, put),
    }
    for (way, factor) in factors {
        combine_one(way, matrix, factor, together);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::schedule::{BufferId, Role, Shape};

    /// Four modes in pairs; the last buffer is the result, over `rows` and `columns`.
    fn plans(rows: &[usize], columns: &[usize], over: &[usize]) -> (Plan, Plan, Vec<Buffer>) {
        let sizes = [9usize, 10, 8, 11];
        let buffer = |scope: Scope| {
            let shape: Vec<usize> = scope.iter().map(|m| sizes[m]).collect();
            let cells = shape.iter().product::<usize>() as f64;
            Buffer { role: Role::Factor, scope, shape, cells }
        };
        let scopes = [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]].map(Scope::from);
        let kept: Scope = rows.iter().chain(columns).copied().collect();
        let mut buffers: Vec<Buffer> = scopes.into_iter().map(buffer).collect();
        let factors: Vec<BufferId> = (0..buffers.len()).map(BufferId).collect();
        let onto = BufferId(buffers.len());
        buffers.push(buffer(kept));
        let scope = |modes: &[usize]| modes.iter().copied().collect::<Scope>();
        let shape = Shape { rows: scope(rows), columns: scope(columns), over: scope(over), streamed: false };
        let product = Product { onto, factors, shape, filter: None };
        let by_level = Plan::new(&product, &buffers);
        let by_slice = Plan { batch: None, ..Plan::new(&product, &buffers) };
        (by_level, by_slice, buffers)
    }

    #[test]
    fn level_by_level_and_slice_by_slice_agree() {
        for (rows, columns, over) in [(&[0, 1][..], &[2][..], &[3][..]), (&[2], &[3], &[0, 1])] {
            let (by_level, by_slice, buffers) = plans(rows, columns, over);
            assert!(by_level.batch.is_some());
            let table = |k: usize, b: &Buffer, low: f64| -> Vec<f64> {
                let cell = |i: usize| low + ((i * 7 + k * 5) % 13) as f64 / 13.0;
                (0..b.cells as usize).map(cell).collect()
            };
            let (onto, inputs) = buffers.split_last().expect("the result");
            let factors: Vec<Vec<f64>> = inputs.iter().enumerate().map(|(k, b)| table(k, b, 0.1)).collect();
            let ways: Vec<Vec<f64>> = inputs.iter().enumerate().map(|(k, b)| table(k + 3, b, -0.5)).collect();
            let factors: Vec<&[f64]> = factors.iter().map(Vec::as_slice).collect();
            let ways: Vec<&[f64]> = ways.iter().map(Vec::as_slice).collect();
            let results = [by_level, by_slice].map(|plan| {
                let mut room = Room::default();
                let cells = onto.cells as usize;
                let (mut run, mut again, mut changes) =
                    (vec![7.0; cells], vec![7.0; cells], vec![7.0; cells]);
                plan.run(&factors, &mut run, &mut room);
                plan.differentiate(&factors, &ways, &mut again, &mut changes, &mut room);
                assert_eq!(run, again);
                [run, changes]
            });
            for (a, b) in results[0].iter().flatten().zip(results[1].iter().flatten()) {
                assert!((a - b).abs() <= 1e-13 * (1.0 + b.abs()), "{a} {b}");
            }
        }
    }
}
