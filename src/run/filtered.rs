//! Sums of products of factors over the cells that a mask lets through. Row after row of the mask, by the truth
//! value of every cell; or over all cells as if none were missing, less a list of those that are; or over a list
//! of those that are observed: whatever is fastest for this mask ([`cost::Filtered::choose`]). The table of the
//! clique is never written. Deterministic: the parts depend on the shapes alone and fall on cells of their own.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::contract::Room;
use super::kernel::{combine, plus, put, times};
use super::projection::Projection;
use super::stream::Way;
use super::vector::{kept, vectorised};
use crate::model::Scope;
use crate::model::table::strides;
use crate::plan::cost::{self, Arithmetic};
use crate::plan::schedule::{Buffer, Product, Side};

/// Cells of a clique from which it is worth more than one thread.
const LARGE: usize = crate::plan::cost::FILTERED as usize;

/// Parts a large clique is cut into, whatever the number of threads.
const PARTS: usize = cost::PARTS as usize;

/// Cells of a row that are looked at together. Rows are filled up to whole ones.
const WIDE: usize = 8;

/// Cells of the longest row whose sums stay in registers.
const STRIP: usize = 8 * WIDE;

/// Groups, factors and axes that need no memory of their own.
const FEW: usize = 16;

/// More axes of two levels or more than a table of [`crate::data::mask::LISTED`] cells can have.
const AXES: usize = 32;

/// A sum that is this much smaller than what a part of it was subtracted from is added up again.
const CANCELLED: f64 = 1e-3;

/// The truth values of a mask in rows of one of its axes, each filled up with `false`.
#[derive(Debug, Clone)]
pub(super) struct Truths {
    cells: Arc<[bool]>,
    /// Cells of a row, and how far rows lie apart.
    row: usize,
    padded: usize,
    /// How many are true.
    count: usize,
}

impl Truths {
    /// Of a row-major table with these sizes, in rows of one axis: the others keep their order.
    pub fn new(cells: &[bool], sizes: &[usize], axis: usize) -> Self {
        let row = sizes.get(axis).copied().unwrap_or(1).max(1);
        let below = sizes.iter().skip(axis + 1).product::<usize>().max(1);
        let padded = row.next_multiple_of(WIDE);
        let count = cells.chunks(248).map(|c| usize::from(c.iter().fold(0u8, |n, o| n + u8::from(*o)))).sum();
        let mut own = vec![false; cells.len() / row * padded];
        // cells are read in their order, and a row is written wherever they lie
        for (block, onto) in cells.chunks_exact(row * below).zip(own.chunks_exact_mut(padded * below)) {
            if below == 1 {
                onto[..row].copy_from_slice(block);
                continue;
            }
            for (i, line) in block.chunks_exact(below).enumerate() {
                onto.iter_mut().skip(i).step_by(padded).zip(line).for_each(|(o, c)| *o = *c);
            }
        }
        Self { cells: own.into(), row, padded, count }
    }
}

/// How a product is summed over the cells of a mask, worked out once.
pub(super) struct Filtered {
    truths: Truths,
    how: Arithmetic,
    /// Operations and bytes of one sum.
    pub price: (f64, f64),
    groups: Vec<Group>,
    /// How many groups have the axis of the rows.
    along: usize,
    /// The other axes: kept ones and summed ones.
    kept: Vec<Axis>,
    summed: Vec<Axis>,
    /// How far apart the cells of a row lie in the result; 0 when they are summed.
    apart: usize,
    inside: Vec<(usize, Projection)>,
    /// Place in the result, then in the table of each group, of every cell that is listed.
    list: Vec<u32>,
    /// The product of those factors as if no cell were missing.
    whole: Option<(Vec<usize>, Box<Way>)>,
}

/// Factors that are put together in one table.
struct Group {
    /// The ways from the table to them.
    factors: Vec<(usize, Projection)>,
    cells: usize,
    /// Whether it has the axis of the rows, which is its last.
    along: bool,
}

/// An axis of the mask: how far a step along it goes in the mask, in the result and in each group.
struct Axis {
    size: usize,
    mask: usize,
    onto: usize,
    groups: Vec<usize>,
}

impl Filtered {
    /// The axis along which the mask of a product is looked at ([`cost::row`]).
    pub fn axis(product: &Product) -> Option<usize> {
        let filter = product.filter.as_ref()?;
        let axis = |m: usize| filter.scope.position(m);
        let size = |m| axis(m).and_then(|a| filter.sizes.get(a)).copied().unwrap_or(1) as f64;
        cost::row(size, &filter.scope, &product.shape.rows).and_then(axis)
    }

    /// None when the product has no filter. The truth values lie in rows of [`Filtered::axis`].
    pub fn new(product: &Product, buffers: &[Buffer], truths: &Truths) -> Option<Self> {
        Self::by(None, product, buffers, truths)
    }

    /// As [`Filtered::new`], by an arithmetic that is named.
    fn by(how: Option<Arithmetic>, product: &Product, buffers: &[Buffer], truths: &Truths) -> Option<Self> {
        let filter = product.filter.as_ref()?;
        let mut outer: Vec<usize> = filter.scope.iter().collect();
        let end = outer.remove(Self::axis(product)?);
        let outer = outer.as_slice();
        let size = |m: usize| product.cells(&Scope::from([m]), buffers) as usize;
        let cells = |s: &Scope| product.cells(s, buffers);
        let scope = |f: usize| &buffers[product.factors[f].0].scope;
        let scopes: Vec<Scope> = (0..product.factors.len()).map(|f| scope(f).clone()).collect();
        let price = cost::Filtered::of(&cells, &filter.scope, &product.shape.rows, &scopes)?;
        let step = |f: usize, m: usize| {
            let buffer = &buffers[product.factors[f].0];
            buffer.scope.position(m).map_or(0, |p| strides(&buffer.shape)[p])
        };
        let mut groups = Vec::new();
        let mut group_steps: Vec<Vec<usize>> = Vec::new();
        for own in &price.groups {
            let all = own.iter().fold(Scope::empty(), |s, f| s.union(scope(*f)));
            let along = all.contains(end);
            let axes: Vec<usize> = all.iter().filter(|m| *m != end).chain(along.then_some(end)).collect();
            let sizes: Vec<usize> = axes.iter().map(|m| size(*m)).collect();
            let own_steps = strides(&sizes);
            let of = |m: &usize| axes.iter().position(|a| a == m).map_or(0, |p| own_steps[p]);
            group_steps.push(outer.iter().map(of).collect());
            let way = |f: &usize| Projection::strided(axes.iter().map(|m| (size(*m), step(*f, *m))));
            groups.push(Group {
                factors: own.iter().map(|f| (*f, way(f))).collect(),
                cells: sizes.iter().product(),
                along,
            });
        }
        let rows = &product.shape.rows;
        let kept_sizes: Vec<usize> = rows.iter().map(size).collect();
        let onto = strides(&kept_sizes);
        let outer_sizes: Vec<usize> = outer.iter().map(|m| size(*m)).collect();
        let mask: Vec<usize> = strides(&outer_sizes).iter().map(|s| s * truths.padded).collect();
        let axis = |(k, m): (usize, &usize)| Axis {
            size: outer_sizes[k],
            mask: mask[k],
            onto: rows.position(*m).map_or(0, |p| onto[p]),
            groups: group_steps.iter().map(|s| s[k]).collect(),
        };
        let many = outer.iter().enumerate().filter(|(k, _)| outer_sizes[*k] > 1);
        let (kept, summed): (Vec<_>, Vec<_>) = many.partition(|(_, m)| rows.contains(**m));

        let side = |f: &usize| product.shape.side(scope(*f)) == Some(Side::Inside);
        let way = |f: usize| Projection::strided(rows.iter().zip(&kept_sizes).map(|(m, n)| (*n, step(f, m))));
        let through: Vec<usize> = price.groups.iter().flatten().copied().collect();
        let how = how.unwrap_or_else(|| price.choose(truths.count as f64));
        // more factors than there is room for
        let how = if through.len() > FEW { Arithmetic::Every } else { how };
        let (operations, bytes, _) = price.price(how, truths.count as f64);
        let mut made = Self {
            how,
            price: (operations, bytes),
            along: groups.iter().filter(|g| g.along).count(),
            groups,
            kept: kept.into_iter().map(axis).collect(),
            summed: summed.into_iter().map(axis).collect(),
            apart: rows.position(end).map_or(0, |p| onto[p]),
            inside: (0..product.factors.len()).filter(side).map(|f| (f, way(f))).collect(),
            list: Vec::new(),
            whole: None,
            truths: truths.clone(),
        };
        if made.how != Arithmetic::Every {
            made.enlist();
        }
        if made.how == Arithmetic::Missing {
            let factors = through.iter().map(|f| product.factors[*f]).collect();
            let shape = price.whole().clone();
            let whole = Product { onto: product.onto, factors, shape, filter: None };
            made.whole = Some((through, Box::new(Way::new(&whole, buffers, None))));
        }
        Some(made)
    }

    /// Whether rows are added up in registers: one table at most changes along them and one does not, and they are
    /// short and kept.
    fn by_strips(&self) -> bool {
        self.how == Arithmetic::Every
            && self.along <= 1
            && self.groups.len() - self.along <= 1
            && self.apart > 0
            && self.truths.padded <= STRIP
            && !self.summed.is_empty()
    }

    /// Writes the list.
    fn enlist(&mut self) {
        let wanted = self.how == Arithmetic::Observed;
        let mut list = Vec::new();
        let axes: Vec<&Axis> = self.kept.iter().chain(&self.summed).collect();
        let rows: usize = axes.iter().map(|a| a.size).product();
        let mut at = vec![0; self.groups.len() + 2];
        for row in 0..rows {
            place(row, &axes, &mut at);
            for i in 0..self.truths.row {
                if self.truths.cells[at[0] + i] == wanted {
                    list.push(at[1] + i * self.apart);
                    let along = |g: &Group| if g.along { i } else { 0 };
                    list.extend(self.groups.iter().zip(&at[2..]).map(|(g, at)| at + along(g)));
                }
            }
        }
        self.list = list.into_iter().map(|k| u32::try_from(k).unwrap_or(u32::MAX)).collect();
    }

    /// `onto ← Σ Π factors`.
    pub fn run(&self, factors: &[&[f64]], onto: &mut [f64], room: &mut Room) {
        self.sums(factors, None, onto, &mut [], room);
        for (f, way) in &self.inside {
            combine(way, onto, factors[*f], times);
        }
    }

    /// As [`Filtered::run`], and in `changes` the relative change of each cell of `onto` when every factor
    /// changes by `directions`, relative to itself.
    pub fn differentiate(
        &self,
        factors: &[&[f64]],
        directions: &[&[f64]],
        onto: &mut [f64],
        changes: &mut [f64],
        room: &mut Room,
    ) {
        self.sums(factors, Some(directions), onto, changes, room);
        changes.iter_mut().zip(&*onto).for_each(|(c, o)| *c = if *o > 0.0 { *c / o } else { 0.0 });
        for (f, way) in &self.inside {
            combine(way, onto, factors[*f], times);
            combine(way, changes, directions[*f], plus);
        }
    }

    /// The sums, and their changes, which are not relative yet.
    fn sums(
        &self,
        factors: &[&[f64]],
        directions: Option<&[&[f64]]>,
        onto: &mut [f64],
        changes: &mut [f64],
        room: &mut Room,
    ) {
        if let Some((through, whole)) = &self.whole {
            let (mut few, mut few_ways): ([&[f64]; FEW], [&[f64]; FEW]) = ([&[]; FEW], [&[]; FEW]);
            let own = picked(through, factors, &mut few);
            match directions {
                None => whole.run(own, onto, room),
                Some(directions) => {
                    let ways = picked(through, directions, &mut few_ways);
                    whole.differentiate(own, ways, onto, changes, room);
                    changes.iter_mut().zip(&*onto).for_each(|(c, o)| *c *= o);
                }
            }
        } else {
            onto.fill(0.0);
            changes.fill(0.0);
        }
        let large = self.truths.cells.len() >= LARGE;
        let first = self.kept.first().map_or(1, |a| a.size);
        let parts = if large && self.how == Arithmetic::Every { PARTS.min(first) } else { 1 };
        let pairs = room.parts(self.groups.len() + 2 * parts + 1);
        let (tables, own) = pairs.split_at_mut(self.groups.len());
        // with one table along the rows what it changes by is multiplied in beforehand
        let multiplied = self.how == Arithmetic::Every && self.along == 1;
        for (group, table) in self.groups.iter().zip(&mut *tables) {
            group.fill(factors, directions, table, multiplied && group.along || self.by_strips());
        }
        let tables = &*tables;
        if self.how != Arithmetic::Every {
            let [before, _] = &mut own[0];
            before.clear();
            before.extend_from_slice(onto);
            self.listed(tables, directions.is_some(), before, onto, changes);
            return;
        }
        let part = |range: Range<usize>, onto: &mut [f64], changes: &mut [f64], own: &mut [[Vec<f64>; 2]]| {
            let (row, of_row) = own.split_at_mut(1);
            let rows = Rows {
                filtered: self,
                tables,
                changing: directions.is_some(),
                range,
                onto,
                changes,
                row: &mut row[0],
                sums: &mut of_row[0],
            };
            pulp::Arch::new().dispatch(rows);
        };
        if parts == 1 {
            return part(0..first, onto, changes, own);
        }
        let each = onto.len() / first;
        let mut work = Vec::with_capacity(parts);
        let (mut rest, mut rest_changes) = (onto, changes);
        for (k, own) in own.chunks_exact_mut(2).take(parts).enumerate() {
            let range = k * first / parts..(k + 1) * first / parts;
            let (here, tail) = rest.split_at_mut(range.len() * each);
            let changed = if directions.is_some() { range.len() * each } else { 0 };
            let (here_changes, tail_changes) = rest_changes.split_at_mut(changed);
            work.push((range, here, here_changes, own));
            (rest, rest_changes) = (tail, tail_changes);
        }
        work.into_par_iter().for_each(|(range, onto, changes, own)| part(range, onto, changes, own));
    }

    /// Adds or takes away what is listed. `before` is the sum over all cells.
    fn listed(
        &self,
        tables: &[[Vec<f64>; 2]],
        changing: bool,
        before: &[f64],
        onto: &mut [f64],
        changes: &mut [f64],
    ) {
        let sign = if self.how == Arithmetic::Missing { -1.0 } else { 1.0 };
        for entry in self.list.chunks_exact(tables.len() + 1) {
            let Some((to, places)) = entry.split_first() else { continue };
            let mut value = sign;
            for (table, at) in tables.iter().zip(places) {
                value *= table[0][*at as usize];
            }
            onto[*to as usize] += value;
            if changing {
                let change: f64 = tables.iter().zip(places).map(|(t, at)| t[1][*at as usize]).sum();
                changes[*to as usize] += value * change;
            }
        }
        if self.how != Arithmetic::Missing {
            return;
        }
        for (k, whole) in before.iter().enumerate() {
            if onto[k].abs() < CANCELLED * whole {
                let (sum, change) = self.one(k, tables, changing);
                onto[k] = sum;
                if changing {
                    changes[k] = change;
                }
            }
        }
    }

    /// One cell of the result by itself.
    fn one(&self, cell: usize, tables: &[[Vec<f64>; 2]], changing: bool) -> (f64, f64) {
        let (length, apart) = (self.truths.row, self.apart.max(1));
        let (row, along) = match self.apart {
            0 => (cell, 0),
            _ => (cell / (apart * length) * apart + cell % apart, cell / apart % length),
        };
        let kept: Vec<&Axis> = self.kept.iter().collect();
        let summed: Vec<&Axis> = self.summed.iter().collect();
        let (mut base, mut at) = (vec![0; tables.len() + 2], vec![0; tables.len() + 2]);
        place(row, &kept, &mut base);
        let range = if self.apart > 0 { along..along + 1 } else { 0..length };
        let (mut sum, mut change) = (0.0, 0.0);
        for k in 0..summed.iter().map(|a| a.size).product() {
            place(k, &summed, &mut at);
            for i in range.clone().filter(|i| self.truths.cells[base[0] + at[0] + i]) {
                let (mut value, mut relative) = (1.0, 0.0);
                for (g, (group, table)) in self.groups.iter().zip(tables).enumerate() {
                    let from = base[g + 2] + at[g + 2] + if group.along { i } else { 0 };
                    value *= table[0][from];
                    if changing {
                        relative += table[1][from];
                    }
                }
                sum += value;
                change += value * relative;
            }
        }
        (sum, change)
    }
}

/// Some of the factors; there are no more than the room holds.
fn picked<'a, 'b>(through: &[usize], all: &[&'a [f64]], room: &'b mut [&'a [f64]; FEW]) -> &'b [&'a [f64]] {
    room.iter_mut().zip(through).for_each(|(r, f)| *r = all[*f]);
    &room[..through.len().min(FEW)]
}

/// Where the `k`-th combination of levels lies in the mask, in the result and in each group.
fn place(mut k: usize, axes: &[&Axis], at: &mut [usize]) {
    at.fill(0);
    for axis in axes.iter().rev() {
        let level = k % axis.size;
        k /= axis.size;
        at[0] += level * axis.mask;
        at[1] += level * axis.onto;
        at[2..].iter_mut().zip(&axis.groups).for_each(|(a, step)| *a += level * step);
    }
}

impl Group {
    /// The product of its factors, and the sum of their directions, times the product if `multiplied`. A row that is
    /// filled up to whole vectors may reach beyond the last cell.
    fn fill(
        &self,
        factors: &[&[f64]],
        directions: Option<&[&[f64]]>,
        [own, changes]: &mut [Vec<f64>; 2],
        multiplied: bool,
    ) {
        own.resize(self.cells + WIDE, 0.0);
        for (k, (f, way)) in self.factors.iter().enumerate() {
            match k {
                0 => combine(way, &mut own[..self.cells], factors[*f], put),
                _ => combine(way, &mut own[..self.cells], factors[*f], times),
            }
        }
        let Some(directions) = directions else { return };
        changes.resize(self.cells + WIDE, 0.0);
        for (k, (f, way)) in self.factors.iter().enumerate() {
            match k {
                0 => combine(way, &mut changes[..self.cells], directions[*f], put),
                _ => combine(way, &mut changes[..self.cells], directions[*f], plus),
            }
        }
        if multiplied {
            changes.iter_mut().zip(own).for_each(|(c, o)| *c *= *o);
        }
    }
}

/// A range of levels of the first kept axis, row after row.
struct Rows<'a> {
    filtered: &'a Filtered,
    tables: &'a [[Vec<f64>; 2]],
    changing: bool,
    range: Range<usize>,
    onto: &'a mut [f64],
    changes: &'a mut [f64],
    /// Room for a product of several tables along the row, and its changes.
    row: &'a mut [Vec<f64>; 2],
    /// Room for the sums of a row that is kept, and their changes.
    sums: &'a mut [Vec<f64>; 2],
}

impl pulp::WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        if self.changing { self.all::<true>() } else { self.all::<false>() }
    }
}

/// Levels and places of a walk over some axes.
struct Walk<'a> {
    axes: &'a [Axis],
    levels: [usize; AXES],
}

impl Walk<'_> {
    /// Moves on; false after the last.
    #[inline(always)]
    fn next(&mut self, mask: &mut usize, onto: &mut usize, groups: &mut [usize]) -> bool {
        for (axis, level) in self.axes.iter().zip(&mut self.levels).rev() {
            *level += 1;
            *mask += axis.mask;
            *onto += axis.onto;
            groups.iter_mut().zip(&axis.groups).for_each(|(g, s)| *g += s);
            if *level < axis.size {
                return true;
            }
            *mask -= axis.size * axis.mask;
            *onto -= axis.size * axis.onto;
            groups.iter_mut().zip(&axis.groups).for_each(|(g, s)| *g -= axis.size * s);
            *level = 0;
        }
        false
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn all<const CHANGES: bool>(self) {
        let Self { filtered, tables, range, onto, changes, row, sums, .. } = self;
        let (truths, count) = (&filtered.truths, filtered.groups.len());
        let padded = truths.padded;
        let [product, product_changes] = row;
        let [sums, sums_changes] = sums;
        for buffer in [&mut *product, product_changes, sums, sums_changes] {
            buffer.clear();
            buffer.resize(padded, 0.0);
        }
        if filtered.along == 0 {
            product[..truths.row].fill(1.0);
        }
        let only = filtered.groups.iter().position(|g| g.along).filter(|_| filtered.along == 1);
        let beside = filtered.groups.iter().position(|g| !g.along);
        let mut few = [0; FEW];
        let mut many = if count > FEW { vec![0; count] } else { Vec::new() };
        let places = if count > FEW { many.as_mut_slice() } else { &mut few[..count] };
        let first = filtered.kept.first();
        let mut mask = first.map_or(0, |a| range.start * a.mask);
        let (mut to, base) = first.map_or((0, 0), |a| (range.start * a.onto, range.start * a.onto));
        if let Some(axis) = first {
            places.iter_mut().zip(&axis.groups).for_each(|(p, s)| *p = range.start * s);
        }
        let mut outer = Walk { axes: &filtered.kept, levels: [0; AXES] };
        outer.levels[0] = range.start;
        let keeps = filtered.apart > 0;
        let rows = onto.len() / if keeps { truths.row } else { 1 };
        for _ in 0..rows {
            let (mut sum, mut change) = ([0.0; WIDE], [0.0; WIDE]);
            if keeps {
                sums.fill(0.0);
                if CHANGES {
                    sums_changes.fill(0.0);
                }
            }
            let strips = filtered.summed.split_last().filter(|_| filtered.by_strips());
            let axes = strips.map_or(filtered.summed.as_slice(), |(_, axes)| axes);
            let mut inner = Walk { axes, levels: [0; AXES] };
            loop {
                if let Some((last, _)) = strips {
                    // its cells from here on and how far rows lie apart, or one row for all
                    let of = |group: Option<usize>, which: usize| {
                        group.map(|g| (&tables[g][which][places[g]..], last.groups[g]))
                    };
                    let take = |sums: &mut [f64], along: usize, times: usize| {
                        let (cells, step) = of(only, along).unwrap_or((product, 0));
                        let (times, by) = of(beside, times).unwrap_or((&[1.0], 0));
                        add_strip(
                            sums,
                            &truths.cells[mask..],
                            cells,
                            times,
                            last.size,
                            [last.mask, step, by],
                        );
                    };
                    take(sums, 0, 0);
                    if CHANGES && only.is_some() {
                        take(sums_changes, 1, 0);
                    }
                    if CHANGES && beside.is_some() {
                        take(sums_changes, 0, 1);
                    }
                    if !inner.next(&mut mask, &mut to, places) {
                        break;
                    }
                    continue;
                }
                let (mut scalar, mut relative) = (1.0, 0.0);
                for ((group, table), at) in filtered.groups.iter().zip(tables).zip(&*places) {
                    if !group.along {
                        scalar *= table[0][*at];
                        if CHANGES {
                            relative += table[1][*at];
                        }
                    }
                }
                if filtered.along > 1 {
                    let mut fresh = true;
                    for ((group, table), at) in filtered.groups.iter().zip(tables).zip(&*places) {
                        if !group.along {
                            continue;
                        }
                        let own = &table[0][*at..*at + padded];
                        let moved: &[f64] = if CHANGES { &table[1][*at..*at + padded] } else { &[] };
                        if fresh {
                            product.copy_from_slice(own);
                            if CHANGES {
                                product_changes.copy_from_slice(moved);
                            }
                        } else {
                            product.iter_mut().zip(own).for_each(|(p, x)| *p *= x);
                            if CHANGES {
                                product_changes.iter_mut().zip(moved).for_each(|(p, x)| *p += x);
                            }
                        }
                        fresh = false;
                    }
                    if CHANGES {
                        product_changes.iter_mut().zip(&*product).for_each(|(c, p)| *c *= p);
                    }
                }
                let (along, moved): (&[f64], &[f64]) = match only {
                    Some(g) if CHANGES => {
                        let range = places[g]..places[g] + padded;
                        (&tables[g][0][range.clone()], &tables[g][1][range])
                    }
                    Some(g) => (&tables[g][0][places[g]..places[g] + padded], &[]),
                    None => (product, product_changes),
                };
                let seen = &truths.cells[mask..mask + padded];
                if keeps {
                    add(sums, seen, along, scalar);
                    if CHANGES {
                        add_both(sums_changes, seen, [along, moved], [scalar * relative, scalar]);
                    }
                } else {
                    let own = select(seen, along);
                    for i in 0..WIDE {
                        sum[i] = own[i].mul_add(scalar, sum[i]);
                    }
                    if CHANGES {
                        let moved = select(seen, moved);
                        for i in 0..WIDE {
                            change[i] = own[i].mul_add(relative, moved[i]).mul_add(scalar, change[i]);
                        }
                    }
                }
                if !inner.next(&mut mask, &mut to, places) {
                    break;
                }
            }
            let here = to - base;
            if keeps {
                let cells = onto[here..].iter_mut().step_by(filtered.apart);
                cells.zip(&sums[..truths.row]).for_each(|(o, s)| *o = *s);
                if CHANGES {
                    let cells = changes[here..].iter_mut().step_by(filtered.apart);
                    cells.zip(&sums_changes[..truths.row]).for_each(|(o, s)| *o = *s);
                }
            } else {
                onto[here] = total(&sum);
                if CHANGES {
                    changes[here] = total(&change);
                }
            }
            outer.next(&mut mask, &mut to, places);
        }
    }
}

vectorised! {
    /// Adds `count` rows of cells that are seen, each times a number, to the sums of a row, which stay in
    /// registers. `steps` says how far apart the rows of the mask, those of the cells and the numbers lie.
    add_strip(
        sums: &'a mut [f64],
        seen: &'a [bool],
        cells: &'a [f64],
        times: &'a [f64],
        count: usize,
        steps: [usize; 3]
    ) -> () {
        match sums.len() / WIDE {
            1 => strip::<1>(sums, seen, cells, times, count, steps),
            2 => strip::<2>(sums, seen, cells, times, count, steps),
            3 => strip::<3>(sums, seen, cells, times, count, steps),
            4 => strip::<4>(sums, seen, cells, times, count, steps),
            5 => strip::<5>(sums, seen, cells, times, count, steps),
            6 => strip::<6>(sums, seen, cells, times, count, steps),
            7 => strip::<7>(sums, seen, cells, times, count, steps),
            _ => strip::<8>(sums, seen, cells, times, count, steps),
        }
    }
}

/// [`add_strip`] of so many vectors.
#[inline(always)]
fn strip<const W: usize>(
    sums: &mut [f64],
    seen: &[bool],
    cells: &[f64],
    times: &[f64],
    count: usize,
    steps: [usize; 3],
) {
    let (onto, _) = sums.as_chunks_mut::<WIDE>();
    let mut own = [[0.0; WIDE]; W];
    own.iter_mut().zip(&*onto).for_each(|(own, o)| *own = *o);
    for k in 0..count {
        let (seen, _) = seen[k * steps[0]..][..W * WIDE].as_chunks::<WIDE>();
        let (cells, _) = cells[k * steps[1]..][..W * WIDE].as_chunks::<WIDE>();
        let times = times[k * steps[2]];
        for w in 0..W {
            for i in 0..WIDE {
                own[w][i] = kept(seen[w][i], cells[w][i]).mul_add(times, own[w][i]);
            }
        }
    }
    onto.iter_mut().zip(own).for_each(|(o, own)| *o = own);
}

/// Adds multiples of the cells that are seen. A function of its own, so that the compiler knows that the slices
/// do not overlap and makes vectors of it.
#[inline(always)]
fn add(onto: &mut [f64], seen: &[bool], cells: &[f64], times: f64) {
    for ((o, s), x) in onto.iter_mut().zip(seen).zip(cells) {
        *o = kept(*s, *x).mul_add(times, *o);
    }
}

/// The same of two rows of cells.
#[inline(always)]
fn add_both(onto: &mut [f64], seen: &[bool], [cells, others]: [&[f64]; 2], [times, of_others]: [f64; 2]) {
    for (((o, s), x), y) in onto.iter_mut().zip(seen).zip(cells).zip(others) {
        *o += kept(*s, x.mul_add(times, y * of_others));
    }
}

/// Sums of the cells that are seen, side by side.
#[inline(always)]
fn select(seen: &[bool], cells: &[f64]) -> [f64; WIDE] {
    let ((seen, _), (cells, _)) = (seen.as_chunks::<WIDE>(), cells.as_chunks::<WIDE>());
    let mut sums = [0.0; WIDE];
    for (seen, x) in seen.iter().zip(cells) {
        for i in 0..WIDE {
            sums[i] += kept(seen[i], x[i]);
        }
    }
    sums
}

/// Two by two.
#[inline(always)]
fn total(sums: &[f64; WIDE]) -> f64 {
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::schedule::{Filter, Shape};
    use crate::run::product_cases::{Case, slices};

    #[test]
    fn every_arithmetic_sums_the_cells_of_the_mask() {
        let cases: [(&[usize], &[usize], &[&[usize]]); 7] = [
            // a ring, from both sides
            (&[5, 6, 7, 9], &[0, 1, 2], &[&[0, 1], &[1, 2], &[2, 3], &[0, 3]]),
            (&[5, 6, 7, 9], &[0, 2, 3], &[&[0, 1], &[1, 2], &[2, 3], &[0, 3]]),
            (&[5, 9, 7, 3], &[0, 1, 2], &[&[0, 1], &[1, 2], &[2, 3], &[0, 3]]),
            // all pairs, whose factors are more than one table
            (&[6, 11, 10], &[0, 1], &[&[0, 1], &[0, 2], &[1, 2]]),
            (&[6, 11, 10], &[1, 2], &[&[0, 1], &[0, 2], &[1, 2]]),
            // one mode that is kept, and more than one thread
            (&[3, 8, 5], &[0], &[&[0], &[1], &[2]]),
            (&[9, 40, 31, 30], &[0, 1, 3], &[&[0, 1], &[1, 2], &[2, 3], &[0, 3]]),
        ];
        for (sizes, onto, factors) in cases {
            let all = Scope::all(sizes.len());
            for share in [0, 10, 50, 97] {
                let cells: usize = sizes.iter().product();
                // a slab is never observed, and its sums are zero whatever they are taken from
                let first = cells / sizes[0];
                let seen: Vec<bool> =
                    (0..cells).map(|k| k >= first && (k * k / 3 + k) % 101 < share).collect();
                let case = Case::new(sizes, onto, factors, |k| seen[k]);
                let filter = Filter { interaction: 0, scope: all.clone(), sizes: sizes.to_vec() };
                let shape = Shape::filtered(&all, case.scopes().0).unwrap();
                let product = case.product(shape, Some(filter));
                let (own, ways) = (slices(&case.own), slices(&case.directions));
                let (want, change) = (&case.want, &case.change);
                let truths = Truths::new(&seen, sizes, Filtered::axis(&product).unwrap());
                for how in [Arithmetic::Every, Arithmetic::Missing, Arithmetic::Observed] {
                    let way = Filtered::by(Some(how), &product, &case.buffers, &truths).unwrap();
                    let mut room = Room::default();
                    let mut got = vec![1.0; want.len()];
                    way.run(&own, &mut got, &mut room);
                    let (mut again, mut changes) = (vec![1.0; want.len()], vec![1.0; want.len()]);
                    way.differentiate(&own, &ways, &mut again, &mut changes, &mut room);
                    for i in 0..want.len() {
                        let name = format!("{sizes:?} onto {onto:?} {share} % {how:?} cell {i}");
                        let off = (got[i] - want[i]).abs();
                        assert!(off <= 1e-12 * want[i], "{name}: {} {}", got[i], want[i]);
                        assert!((got[i] - again[i]).abs() <= 1e-13 * want[i], "{name}");
                        let relative = if want[i] > 0.0 { change[i] / want[i] } else { 0.0 };
                        let wrong = if want[i] > 0.0 { (changes[i] - relative).abs() } else { 0.0 };
                        assert!(wrong <= 1e-11, "{name}: {} {relative}", changes[i]);
                    }
                }
            }
        }
    }
}
