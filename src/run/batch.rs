//! Products of factors as many small matrix products, one for each level of a mode, between two matrices that
//! do not change: what else depends on that level is a diagonal between them, or comes in after the sum.
//! No matrix larger than two modes is written.

use rayon::prelude::*;

use super::kernel::{combine_one, plus, put, times, times_each_one};
use super::multiply::{multiply, pack, scale_packed, stride};
use super::projection::Projection;
use super::vector::vectorised;
use crate::model::Scope;
use crate::model::table::strides;
use crate::plan::cost::PARTS;
use crate::plan::schedule::{Buffer, Product, Side};

/// Fewest rows of the small products where the level is one of the result, and fewest terms of their sums
/// where the level is summed out: below, the work around them is more than they are.
const WORTH: usize = 8;

/// How a product is taken level by level, worked out once.
pub(super) struct Batch {
    levels: usize,
    /// Whether the levels are summed out; they are the outermost rows of the result otherwise.
    summed: bool,
    rows: usize,
    columns: usize,
    over: usize,
    /// Factors of the left and of the right matrix, by summed index and row, and by column and summed index.
    left: Vec<(usize, Projection)>,
    right: Vec<(usize, Projection)>,
    /// Factors of the level and the summed index, and how far one level is from the next in them.
    diagonal: Vec<(usize, usize, Projection)>,
    /// Factors that come in after the sum: those of rows, those of columns, and those of both.
    after: [Vec<After>; 3],
    /// Factors of rows and columns for all levels together.
    last: Vec<(usize, Projection)>,
    /// Whether it is worth more than one thread.
    large: bool,
}

/// A factor that comes in after the sum, of each level.
struct After {
    factor: usize,
    /// How far one level is from the next in it.
    step: usize,
    /// From what it depends on, of rows, columns or cells.
    own: Projection,
    /// From all cells.
    cells: Projection,
}

/// Room for the matrices, kept from call to call.
#[derive(Default)]
pub(super) struct Room {
    matrix: Vec<f64>,
    left: [Vec<f64>; 2],
    right: [Vec<f64>; 2],
    parts: Vec<Part>,
}

/// Room of one part of the levels.
#[derive(Default)]
struct Part {
    diagonal: [Vec<f64>; 2],
    beside: [Vec<f64>; 3],
    right: [Vec<f64>; 2],
    cells: [Vec<f64>; 2],
    sums: [Vec<f64>; 2],
}

impl Batch {
    /// None where no mode divides the product so.
    pub fn new(product: &Product, buffers: &[Buffer], large: usize) -> Option<Self> {
        let shape = &product.shape;
        let first_row = shape.rows.iter().next().filter(|_| shape.rows.len() > 1);
        let summed = shape.over.iter().filter(|_| shape.over.len() > 1);
        let mut modes = first_row.into_iter().map(|m| (m, false)).chain(summed.map(|m| (m, true)));
        modes.find_map(|(mode, summed)| Self::by(mode, summed, product, buffers, large))
    }

    fn by(mode: usize, summed: bool, product: &Product, buffers: &[Buffer], large: usize) -> Option<Self> {
        let shape = &product.shape;
        let size = |m: usize| product.cells(&Scope::from([m]), buffers) as usize;
        let sizes = |s: &Scope| s.iter().filter(|m| *m != mode).map(|m| (m, size(m))).collect::<Vec<_>>();
        let count = |axes: &[(usize, usize)]| axes.iter().map(|(_, n)| *n).product::<usize>();
        let (rows, columns, over) = (sizes(&shape.rows), sizes(&shape.columns), sizes(&shape.over));
        let worth = if summed { count(&over) } else { count(&rows) };
        if worth < WORTH {
            return None;
        }
        let step = |f: usize, m: usize| {
            let buffer = &buffers[product.factors[f].0];
            buffer.scope.position(m).map_or(0, |p| strides(&buffer.shape)[p])
        };
        let way = |f: usize, axes: [&[(usize, usize)]; 2]| {
            Projection::strided(axes.concat().into_iter().map(|(m, n)| (n, step(f, m))))
        };
        let mut found = Self {
            levels: size(mode),
            summed,
            rows: count(&rows),
            columns: count(&columns),
            over: count(&over),
            left: Vec::new(),
            right: Vec::new(),
            diagonal: Vec::new(),
            after: Default::default(),
            last: Vec::new(),
            large: size(mode) * count(&rows) * count(&columns) * count(&over) >= large,
        };
        for (f, id) in product.factors.iter().enumerate() {
            let scope = &buffers[id.0].scope;
            let touches = |axes: &[(usize, usize)]| axes.iter().any(|(m, _)| scope.contains(*m));
            let cells = || way(f, [&rows, &columns]);
            let after = || {
                let (place, own) = match (touches(&rows), touches(&columns)) {
                    (_, false) => (0, way(f, [&rows, &[]])),
                    (false, true) => (1, way(f, [&columns, &[]])),
                    (true, true) => (2, cells()),
                };
                (place, After { factor: f, step: step(f, mode), own, cells: cells() })
            };
            let mut put_after = |(place, own): (usize, After)| found.after[place].push(own);
            match (shape.side(scope)?, scope.contains(mode)) {
                (Side::Left, false) => found.left.push((f, way(f, [&over, &rows]))),
                (Side::Right, false) => found.right.push((f, way(f, [&columns, &over]))),
                (Side::Inside, false) if summed => found.last.push((f, cells())),
                (Side::Inside, _) => put_after(after()),
                (_, true) if !touches(&rows) && !touches(&columns) => {
                    found.diagonal.push((f, step(f, mode), way(f, [&over, &[]])));
                }
                (_, true) if !touches(&over) => put_after(after()),
                _ => return None,
            }
        }
        Some(found)
    }

    /// `onto ← Σ Π factors`; with directions also, in `changes`, the relative change of each cell when every
    /// factor changes by them, relative to itself.
    pub fn run(
        &self,
        factors: &[&[f64]],
        directions: Option<&[&[f64]]>,
        onto: &mut [f64],
        changes: &mut [f64],
        room: &mut Room,
    ) {
        self.prepare(factors, directions, room);
        let Room { left, right, parts, .. } = room;
        let cells = self.rows * self.columns;
        let (left, right) = (&*left, &*right);
        let work =
            |levels: std::ops::Range<usize>, onto: &mut [f64], changes: &mut [f64], part: &mut Part| {
                for (k, level) in levels.enumerate() {
                    if self.summed {
                        let [mut own, mut own_changes] = std::mem::take(&mut part.cells);
                        let cells = [own.as_mut_slice(), own_changes.as_mut_slice()];
                        self.level(level, factors, directions, [left, right], cells, part);
                        add(&mut part.sums[0], &own, k == 0);
                        if directions.is_some() {
                            times_each_one(&mut own_changes, &own);
                            add(&mut part.sums[1], &own_changes, k == 0);
                        }
                        part.cells = [own, own_changes];
                    } else {
                        let place = k * cells..(k + 1) * cells;
                        let own_changes = changes.get_mut(place.clone()).unwrap_or_default();
                        let cells = [&mut onto[place], own_changes];
                        self.level(level, factors, directions, [left, right], cells, part);
                    }
                }
            };
        let count = parts.len();
        let range = |k: usize| k * self.levels / count..(k + 1) * self.levels / count;
        let each = |k: usize| if self.summed { 0 } else { range(k).len() * cells };
        let mut cut = Vec::with_capacity(if self.large { count } else { 0 });
        let (mut rest, mut rest_changes) = (&mut *onto, &mut *changes);
        for (k, part) in parts.iter_mut().enumerate() {
            let (own, tail) = rest.split_at_mut(each(k));
            let (own_changes, tail_changes) =
                rest_changes.split_at_mut(if directions.is_some() { each(k) } else { 0 });
            (rest, rest_changes) = (tail, tail_changes);
            if self.large {
                cut.push((range(k), own, own_changes, part));
            } else {
                work(range(k), own, own_changes, part);
            }
        }
        if self.large {
            cut.into_par_iter().for_each(|(levels, own, changes, part)| work(levels, own, changes, part));
        }
        if self.summed {
            for (k, part) in parts.iter().enumerate() {
                add(onto, &part.sums[0], k == 0);
                if directions.is_some() {
                    add(changes, &part.sums[1], k == 0);
                }
            }
            if directions.is_some() {
                over(changes, onto);
            }
        }
        for (f, way) in &self.last {
            combine_one(way, onto, factors[*f], times);
            if let Some(directions) = directions {
                combine_one(way, changes, directions[*f], plus);
            }
        }
    }

    /// One level: its cells, and with directions their relative changes.
    fn level(
        &self,
        level: usize,
        factors: &[&[f64]],
        directions: Option<&[&[f64]]>,
        [left, right]: [&[Vec<f64>; 2]; 2],
        [cells, changes]: [&mut [f64]; 2],
        part: &mut Part,
    ) {
        let Part { diagonal: [own, change], right: [scaled, scaled_change], beside: rooms, .. } = part;
        let sizes = [self.rows, self.columns, self.rows * self.columns];
        let mut beside: [&[f64]; 3] = [&[]; 3];
        for (((beside, room), after), size) in beside.iter_mut().zip(rooms).zip(&self.after).zip(sizes) {
            *beside = product(after, level, factors, size, room);
        }
        let multiply = |left: &[f64], right: &[f64], onto: &mut [f64], add: bool| {
            multiply(left, right, onto, self.columns, self.over, add);
        };
        own.fill(1.0);
        for (f, step, way) in &self.diagonal {
            combine_one(way, own, &factors[*f][level * step..], times);
        }
        scale_packed(&right[0], own, None, scaled);
        multiply(&left[0], scaled, cells, false);
        if let Some(directions) = directions {
            change.fill(0.0);
            for (f, step, way) in &self.diagonal {
                combine_one(way, change, &directions[*f][level * step..], plus);
            }
            times_each_one(change, own);
            scale_packed(&right[1], own, Some((&right[0], change)), scaled_change);
            multiply(&left[1], scaled, changes, false);
            multiply(&left[0], scaled_change, changes, true);
            over(changes, cells);
            for After { factor, step, cells, .. } in self.after.iter().flatten() {
                combine_one(cells, changes, &directions[*factor][level * step..], plus);
            }
        }
        if self.after.iter().any(|after| !after.is_empty()) {
            times_beside(cells, beside, self.columns);
        }
    }

    /// The matrices that do not change from level to level, and their changes; room for each part.
    fn prepare(&self, factors: &[&[f64]], directions: Option<&[&[f64]]>, room: &mut Room) {
        let Room { matrix, left, right, parts } = room;
        let step = stride(self.rows);
        let cells = self.rows * self.columns;
        let changes = usize::from(directions.is_some());
        for (k, left) in left.iter_mut().enumerate().take(1 + changes) {
            matrix.resize(self.over * self.rows, 0.0);
            fill(matrix, &self.left, factors, directions.filter(|_| k == 1));
            left.resize(step * self.over, 0.0);
            for (row, own) in left.chunks_exact_mut(step).zip(matrix.chunks_exact(self.rows)) {
                row[..self.rows].copy_from_slice(own);
            }
        }
        for (k, right) in right.iter_mut().enumerate().take(1 + changes) {
            matrix.resize(self.over * self.columns, 0.0);
            fill(matrix, &self.right, factors, directions.filter(|_| k == 1));
            pack(matrix, self.over, right);
        }
        parts.resize_with((PARTS as usize).min(self.levels), Part::default);
        for part in parts {
            for k in 0..=changes {
                part.diagonal[k].resize(self.over, 0.0);
                part.right[k].resize(right[0].len(), 0.0);
                part.cells[k].resize(if self.summed { cells } else { 0 }, 0.0);
                part.sums[k].resize(if self.summed { cells } else { 0 }, 0.0);
            }
        }
    }
}

/// The product of factors of one level, of so many numbers: where it is one factor as it lies in memory, that.
fn product<'a>(
    after: &[After],
    level: usize,
    factors: &[&'a [f64]],
    size: usize,
    room: &'a mut Vec<f64>,
) -> &'a [f64] {
    let at = |own: &After| &factors[own.factor][level * own.step..];
    match after {
        [] => &[],
        [only] if only.own.in_order(size) => &at(only)[..size],
        _ => {
            room.clear();
            room.resize(size, 1.0);
            after.iter().for_each(|own| combine_one(&own.own, room, at(own), times));
            room
        }
    }
}

/// The product of some factors over the cells of a matrix, or with directions its change.
fn fill(matrix: &mut [f64], own: &[(usize, Projection)], factors: &[&[f64]], directions: Option<&[&[f64]]>) {
    let none = if directions.is_some() { 0.0 } else { 1.0 };
    match own {
        [] => matrix.fill(none),
        [(f, way), others @ ..] => {
            let source = directions.unwrap_or(factors);
            combine_one(way, matrix, source[*f], put);
            for (f, way) in others {
                match directions {
                    None => combine_one(way, matrix, factors[*f], times),
                    Some(directions) => combine_one(way, matrix, directions[*f], plus),
                }
            }
        }
    }
    if directions.is_some() {
        // relative changes add up, and the matrix they are relative to is multiplied in
        own.iter().for_each(|(f, way)| combine_one(way, matrix, factors[*f], times));
    }
}

vectorised! {
    /// Each cell of a matrix times the number of its row, that of its column and its own, where there are such.
    times_beside(cells: &'a mut [f64], beside: [&'a [f64]; 3], columns: usize) -> () {
        let [by_rows, by_columns, each] = beside;
        let each = each.chunks_exact(columns).map(Some).chain(std::iter::repeat(None));
        for ((i, row), own) in cells.chunks_exact_mut(columns).enumerate().zip(each) {
            let x = by_rows.get(i).copied().unwrap_or(1.0);
            match (by_columns, own) {
                ([], None) => row.iter_mut().for_each(|cell| *cell *= x),
                ([], Some(own)) => row.iter_mut().zip(own).for_each(|(cell, z)| *cell *= x * z),
                (y, None) => row.iter_mut().zip(y).for_each(|(cell, y)| *cell *= x * y),
                (y, Some(own)) => {
                    row.iter_mut().zip(y).zip(own).for_each(|((cell, y), z)| *cell *= x * y * z);
                }
            }
        }
    }
}

vectorised! {
    /// `onto ← onto + cells`, or `onto ← cells` at first.
    add(onto: &'a mut [f64], cells: &'a [f64], first: bool) -> () {
        if first {
            onto.copy_from_slice(cells);
        } else {
            onto.iter_mut().zip(cells).for_each(|(o, c)| *o += c);
        }
    }
}

vectorised! {
    /// `changes ← changes / cells`, and 0 where there is nothing to be relative to.
    over(changes: &'a mut [f64], cells: &'a [f64]) -> () {
        changes.iter_mut().zip(cells).for_each(|(c, o)| *c = if *o > 0.0 { *c / o } else { 0.0 });
    }
}
