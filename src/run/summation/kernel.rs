//! The two operations of a sum: the product of two tables, and a mode summed out of one.
//!
//! A table holds, for each cell, `degree × lanes` numbers: the lanes are temperatures and vary fastest. A
//! cell of the result is computed from the cells it draws on, so that parts of the result are independent.

use std::marker::PhantomData;

use super::arithmetic::Arithmetic;
use super::{WORTH_SHARING, in_parts};
use crate::plan::summation::Slot;
use crate::run::control::Stop;

/// A table in the course of a sum.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its modes; the first varies slowest.
    pub axes: Vec<usize>,
    /// Their sizes.
    pub shape: Vec<usize>,
    /// Number of totals distinguished at each cell.
    pub degree: usize,
    /// Weights, and means and variances when moments are carried.
    pub planes: Vec<Vec<f64>>,
    /// ln of what the weights of each lane are multiplied with.
    pub scale: Vec<f64>,
    /// How far, as a logarithm, the largest weight may be from 1.
    pub drift: f64,
}

/// Weights are scaled back when they may have drifted by this much.
const MOST_DRIFT: f64 = 100.0;
/// Parts a large result is cut into, at least, when its shape allows.
const PARTS: usize = 16;

impl Held {
    /// Strides in elements, by mode; 0 for a mode the table does not have.
    fn stride(&self, mode: usize, lanes: usize) -> usize {
        let Some(axis) = self.axes.iter().position(|m| *m == mode) else { return 0 };
        self.shape[axis + 1..].iter().product::<usize>() * self.degree * lanes
    }

    /// The weight at a cell given by a level for every mode, `mode` at `level`; one lane.
    pub fn weight(&self, cell: &[u32], mode: usize, level: usize) -> f64 {
        let level_of = |m: usize| if m == mode { level } else { cell[m] as usize };
        let at = self.axes.iter().zip(&self.shape).fold(0, |k, (m, n)| k * n + level_of(*m));
        self.planes[0].get(at).copied().unwrap_or(0.0)
    }

    /// Number of levels of one of its modes.
    pub fn size(&self, mode: usize) -> Option<usize> {
        self.axes.iter().position(|m| *m == mode).map(|axis| self.shape[axis])
    }
}

/// What the steps of a sum share: room that tables have left behind, as much as one table at most, and the
/// wish to stop.
#[derive(Debug)]
pub struct Room<'p> {
    spare: Vec<Vec<f64>>,
    stop: &'p Stop,
}

impl<'p> Room<'p> {
    /// None to begin with.
    pub fn new(stop: &'p Stop) -> Self {
        Self { spare: Vec::new(), stop }
    }

    /// `n` numbers, all `value`.
    fn take(&mut self, n: usize, value: f64) -> Vec<f64> {
        let fits = |k: &usize| self.spare[*k].capacity() >= n;
        let best = (0..self.spare.len()).filter(fits).min_by_key(|k| (self.spare[*k].capacity(), *k));
        let mut room = best.map_or_else(Vec::new, |k| self.spare.swap_remove(k));
        room.clear();
        room.resize(n, value);
        room
    }

    /// Takes back what a table was held in.
    pub fn give(&mut self, held: Option<Held>) {
        let Some(held) = held else { return };
        let planes = held.planes.len();
        self.spare.extend(held.planes);
        self.spare.sort_by_key(|room| std::cmp::Reverse(room.capacity()));
        self.spare.truncate(planes);
    }
}

/// One loop over an axis of the result, with the strides of the result and its two sources.
#[derive(Debug, Clone, Copy)]
struct Loop {
    extent: usize,
    out: usize,
    a: usize,
    b: usize,
}

/// A mode that is summed out: its number of levels and its strides in the sources.
#[derive(Debug, Clone, Copy)]
struct Inner {
    levels: usize,
    a: usize,
    b: usize,
}

/// The product of two tables.
pub fn product<A: Arithmetic>(a: &Held, b: &Held, slot: &Slot, lanes: usize, room: &mut Room) -> Held {
    combine::<A>((a, Some(b)), None, &[], slot, lanes, room)
}

/// `mode` summed out of `a`, or of the product of `a` and `b`. When a total is carried, `moves` says how
/// far each level of the mode moves it.
pub fn sum_out<A: Arithmetic>(
    sources: (&Held, Option<&Held>),
    mode: usize,
    moves: &[usize],
    slot: &Slot,
    lanes: usize,
    room: &mut Room,
) -> Held {
    combine::<A>(sources, Some(mode), moves, slot, lanes, room)
}

fn combine<A: Arithmetic>(
    (a, b): (&Held, Option<&Held>),
    mode: Option<usize>,
    moves: &[usize],
    slot: &Slot,
    lanes: usize,
    room: &mut Room,
) -> Held {
    let one = Held {
        axes: Vec::new(),
        shape: Vec::new(),
        degree: 1,
        planes: std::iter::once(vec![A::of_log(0.0); lanes])
            .chain(std::iter::repeat_n(vec![0.0; lanes], a.planes.len() - 1))
            .collect(),
        scale: vec![0.0; lanes],
        drift: 0.0,
    };
    let b = b.unwrap_or(&one);
    let levels = mode.and_then(|m| a.size(m).or_else(|| b.size(m))).unwrap_or(1);
    let inner = Inner {
        levels,
        a: mode.map_or(0, |m| a.stride(m, lanes)),
        b: mode.map_or(0, |m| b.stride(m, lanes)),
    };
    let shape: Vec<usize> =
        slot.axes.iter().map(|m| a.size(*m).or_else(|| b.size(*m)).unwrap_or(1)).collect();
    let block = slot.degree * lanes;
    let own = crate::model::table::strides(&shape);
    let loops: Vec<Loop> = slot
        .axes
        .iter()
        .zip(shape.iter().zip(&own))
        .map(|(m, (extent, stride))| Loop {
            extent: *extent,
            out: stride * block,
            a: a.stride(*m, lanes),
            b: b.stride(*m, lanes),
        })
        .collect();
    let cells: usize = shape.iter().product();
    let zero = |plane: usize| if plane == 0 { A::ZERO } else { 0.0 };
    let mut planes: Vec<Vec<f64>> = (0..a.planes.len()).map(|k| room.take(cells * block, zero(k))).collect();

    // the slowest axes make the parts
    let mut parts = 1;
    let mut outer = 0;
    while parts < PARTS && outer < loops.len() {
        parts *= loops[outer].extent;
        outer += 1;
    }
    let (slow, fast) = loops.split_at(outer);
    let stop = room.stop;
    // nothing once it is asked to stop: the table is of no use then
    let start = |part: usize| {
        if stop.asked() {
            return None;
        }
        let (mut rest, mut from_a, mut from_b) = (part, 0, 0);
        for l in slow.iter().rev() {
            from_a += rest % l.extent * l.a;
            from_b += rest % l.extent * l.b;
            rest /= l.extent;
        }
        Some((from_a, from_b))
    };
    if a.degree * b.degree > 1 || !moves.is_empty() {
        let still = vec![0; levels];
        let moves = if moves.is_empty() { &still } else { moves };
        let degrees = Degrees { a: a.degree, b: b.degree, lanes };
        // a run of one cell at a time: its block of coefficients is the inner loop
        let mut cells = fast.to_vec();
        cells.push(Loop { extent: 1, out: 0, a: 0, b: 0 });
        in_parts(&mut planes[0], parts, |part, out| {
            let Some((from_a, from_b)) = start(part) else { return };
            let (a, b) = (&a.planes[0][from_a..], &b.planes[0][from_b..]);
            let part = Part { loops: &cells, inner, out, a, b };
            pulp::Arch::new().dispatch(Totals::<A> { part, moves, degrees, of: PhantomData });
        });
    } else {
        let mut loops: Vec<Loop> = fast.to_vec();
        loops.push(Loop { extent: lanes, out: 1, a: 1, b: 1 });
        let loops = merged(&loops);
        if let [weights, means, variances] = planes.as_mut_slice() {
            moments_in_parts::<A>(&loops, inner, parts, [weights, means, variances], a, b, &start);
        } else {
            in_parts(&mut planes[0], parts, |part, out| {
                let Some((from_a, from_b)) = start(part) else { return };
                let (a, b) = (&a.planes[0][from_a..], &b.planes[0][from_b..]);
                let part = Part { loops: &loops, inner, out, a, b };
                pulp::Arch::new().dispatch(Weights::<A>(part, PhantomData));
            });
        }
    }
    let scale = a.scale.iter().zip(&b.scale).map(|(a, b)| a + b).collect();
    let drift = a.drift + b.drift + (levels as f64).ln();
    let mut held = Held { axes: slot.axes.clone(), shape, degree: slot.degree, planes, scale, drift };
    if A::SCALED && held.drift > MOST_DRIFT {
        rescale(&mut held, lanes);
    }
    held
}

/// Neighbouring loops become one where all strides allow; the longest of the innermost two goes last.
fn merged(loops: &[Loop]) -> Vec<Loop> {
    let mut out: Vec<Loop> = Vec::new();
    for l in loops.iter().filter(|l| l.extent > 1) {
        match out.last_mut() {
            Some(last)
                if last.out == l.out * l.extent && last.a == l.a * l.extent && last.b == l.b * l.extent =>
            {
                *last = Loop { extent: last.extent * l.extent, ..*l };
            }
            _ => out.push(*l),
        }
    }
    // a run along the longest loop costs least; the order of the loops changes no result
    if let Some(longest) = (0..out.len()).max_by_key(|k| (out[*k].extent, *k))
        && out.last().is_some_and(|l| l.extent < 16)
    {
        let l = out.remove(longest);
        out.push(l);
    }
    if out.is_empty() {
        out.push(Loop { extent: 1, out: 0, a: 0, b: 0 });
    }
    out
}

/// Every run of the last loop: where it starts in the result and in both sources. A loop of its own and not a
/// closure, since closures are not compiled for the vector unit at hand.
struct Runs<'a> {
    outer: &'a [Loop],
    index: Vec<usize>,
    next: Option<(usize, usize, usize)>,
}

impl<'a> Runs<'a> {
    /// The runs, and the loop that each of them is.
    #[inline(always)]
    fn new(loops: &'a [Loop]) -> (Self, Loop) {
        let one = Loop { extent: 1, out: 0, a: 0, b: 0 };
        let (last, outer) = loops.split_last().map_or((one, &[][..]), |(last, outer)| (*last, outer));
        (Self { outer, index: vec![0; outer.len()], next: Some((0, 0, 0)) }, last)
    }

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, usize, usize)> {
        let here = self.next?;
        let (mut o, mut a, mut b) = here;
        self.next = None;
        for (l, index) in self.outer.iter().zip(&mut self.index).rev() {
            *index += 1;
            if *index < l.extent {
                self.next = Some((o + l.out, a + l.a, b + l.b));
                break;
            }
            *index = 0;
            o -= l.out * (l.extent - 1);
            a -= l.a * (l.extent - 1);
            b -= l.b * (l.extent - 1);
        }
        Some(here)
    }
}

/// One part of a table, and what it is computed from.
struct Part<'a> {
    loops: &'a [Loop],
    inner: Inner,
    out: &'a mut [f64],
    a: &'a [f64],
    b: &'a [f64],
}

struct Weights<'a, A>(Part<'a>, PhantomData<A>);

impl<A: Arithmetic> pulp::WithSimd for Weights<'_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Part { loops, inner, out, a, b } = self.0;
        let (mut runs, l) = Runs::new(loops);
        while let Some((o, from_a, from_b)) = runs.next() {
            for level in 0..inner.levels {
                let (from_a, from_b) = (from_a + level * inner.a, from_b + level * inner.b);
                match (l.out, l.a, l.b) {
                    (1, 1, 1) => {
                        let (x, y) = (&a[from_a..from_a + l.extent], &b[from_b..from_b + l.extent]);
                        for ((o, x), y) in out[o..o + l.extent].iter_mut().zip(x).zip(y) {
                            *o = A::plus(*o, A::times(*x, *y));
                        }
                    }
                    (1, 1, 0) => {
                        let (x, y) = (&a[from_a..from_a + l.extent], b[from_b]);
                        for (o, x) in out[o..o + l.extent].iter_mut().zip(x) {
                            *o = A::plus(*o, A::times(*x, y));
                        }
                    }
                    (2, 1, 0) => {
                        let (x, y) = (&a[from_a..from_a + l.extent], b[from_b]);
                        for (o, x) in out[o..].chunks_mut(2).zip(x) {
                            o[0] = A::plus(o[0], A::times(*x, y));
                        }
                    }
                    _ => {
                        for k in 0..l.extent {
                            let term = A::times(a[from_a + k * l.a], b[from_b + k * l.b]);
                            let slot = &mut out[o + k * l.out];
                            *slot = A::plus(*slot, term);
                        }
                    }
                }
            }
        }
    }
}

/// The parts of three tables at once.
fn moments_in_parts<A: Arithmetic>(
    loops: &[Loop],
    inner: Inner,
    parts: usize,
    [weights, means, variances]: [&mut Vec<f64>; 3],
    a: &Held,
    b: &Held,
    start: &(impl Fn(usize) -> Option<(usize, usize)> + Sync),
) {
    use rayon::prelude::*;
    let length = (weights.len() / parts.max(1)).max(1);
    let large = weights.len() >= WORTH_SHARING;
    let chunks = weights.chunks_mut(length).zip(means.chunks_mut(length)).zip(variances.chunks_mut(length));
    let work = |(part, ((w, m), v)): (usize, ((&mut [f64], &mut [f64]), &mut [f64]))| {
        let Some((from_a, from_b)) = start(part) else { return };
        pulp::Arch::new().dispatch(Moments::<A> {
            loops,
            inner,
            out: [w, m, v],
            a: [0, 1, 2].map(|k| &a.planes[k][from_a..]),
            b: [0, 1, 2].map(|k| &b.planes[k][from_b..]),
            of: PhantomData,
        });
    };
    if large {
        let list: Vec<_> = chunks.enumerate().collect();
        list.into_par_iter().for_each(work);
    } else {
        chunks.enumerate().for_each(work);
    }
}

struct Moments<'a, A> {
    loops: &'a [Loop],
    inner: Inner,
    out: [&'a mut [f64]; 3],
    a: [&'a [f64]; 3],
    b: [&'a [f64]; 3],
    of: PhantomData<A>,
}

impl<A: Arithmetic> pulp::WithSimd for Moments<'_, A> {
    type Output = ();

    /// Mixtures are united pairwise by the law of total variance (Chan, Golub and LeVeque 1983,
    /// doi:10.1080/00031305.1983.10483115), so that nothing large is subtracted from something large.
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { loops, inner, out: [ow, om, ov], a: [aw, am, av], b: [bw, bm, bv], .. } = self;
        let (mut runs, l) = Runs::new(loops);
        while let Some((o, from_a, from_b)) = runs.next() {
            for level in 0..inner.levels {
                let (from_a, from_b) = (from_a + level * inner.a, from_b + level * inner.b);
                match (l.out, l.a, l.b) {
                    (1, 1, 1) => {
                        for k in 0..l.extent {
                            mix::<A>([ow, om, ov], o + k, [aw, am, av], from_a + k, [bw, bm, bv], from_b + k);
                        }
                    }
                    _ => {
                        for k in 0..l.extent {
                            let (o, i, j) = (o + k * l.out, from_a + k * l.a, from_b + k * l.b);
                            mix::<A>([ow, om, ov], o, [aw, am, av], i, [bw, bm, bv], j);
                        }
                    }
                }
            }
        }
    }
}

/// Adds the product of two cells to a cell.
#[inline(always)]
fn mix<A: Arithmetic>(
    [ow, om, ov]: [&mut [f64]; 3],
    o: usize,
    [aw, am, av]: [&[f64]; 3],
    i: usize,
    [bw, bm, bv]: [&[f64]; 3],
    j: usize,
) {
    let w = A::times(aw[i], bw[j]);
    let (m, v) = (am[i] + bm[j], av[i] + bv[j]);
    let all = A::plus(ow[o], w);
    let p = A::share(w, all);
    let off = m - om[o];
    ov[o] += p * (v - ov[o] + (1.0 - p) * off * off);
    om[o] += p * off;
    ow[o] = all;
}

/// Degrees of the two sources, and the number of lanes.
#[derive(Debug, Clone, Copy)]
struct Degrees {
    a: usize,
    b: usize,
    lanes: usize,
}

/// Sums polynomials in the total: coefficients are convolved, and each level shifts them.
struct Totals<'a, A> {
    part: Part<'a>,
    moves: &'a [usize],
    degrees: Degrees,
    of: PhantomData<A>,
}

impl<A: Arithmetic> pulp::WithSimd for Totals<'_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        match self.degrees.lanes {
            1 => self.with_lanes::<1>(),
            4 => self.with_lanes::<4>(),
            _ => self.any_lanes(),
        }
    }
}

impl<A: Arithmetic> Totals<'_, A> {
    /// The numbers of lanes that large sums have, known when this is compiled.
    #[inline(always)]
    fn with_lanes<const L: usize>(self) {
        // most modes have two levels and most factors no total: each number of the result is then written once
        if let (2, &[0, shift], 1) = (self.part.inner.levels, self.moves, self.degrees.b)
            && shift <= self.degrees.a
        {
            return self.two_levels::<L>(shift);
        }
        let Self { part: Part { loops, inner, out, a, b }, moves, degrees, .. } = self;
        let (mut runs, _) = Runs::new(loops);
        while let Some((o, from_a, from_b)) = runs.next() {
            for level in 0..inner.levels {
                let (from_a, from_b) = (from_a + level * inner.a, from_b + level * inner.b);
                let shift = moves.get(level).copied().unwrap_or(0);
                let (x, _) = a[from_a..from_a + degrees.a * L].as_chunks::<L>();
                for d in 0..degrees.b {
                    let Some(y) = b[from_b + d * L..].first_chunk::<L>() else { return };
                    let to = o + (d + shift) * L;
                    let (onto, _) = out[to..to + degrees.a * L].as_chunks_mut::<L>();
                    for (o, x) in onto.iter_mut().zip(x) {
                        for ((o, x), y) in o.iter_mut().zip(x).zip(y) {
                            *o = A::plus(*o, A::times(*x, *y));
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn two_levels<const L: usize>(self, shift: usize) {
        let Self { part: Part { loops, inner, out, a, b }, degrees, .. } = self;
        let (mut runs, _) = Runs::new(loops);
        while let Some((o, from_a, from_b)) = runs.next() {
            let (x, _) = a[from_a..from_a + degrees.a * L].as_chunks::<L>();
            let (u, _) = a[from_a + inner.a..from_a + inner.a + degrees.a * L].as_chunks::<L>();
            let Some(y) = b[from_b..].first_chunk::<L>() else { return };
            let Some(v) = b[from_b + inner.b..].first_chunk::<L>() else { return };
            let (out, _) = out[o..o + (degrees.a + shift) * L].as_chunks_mut::<L>();
            let (low, rest) = out.split_at_mut(shift);
            let (both, high) = rest.split_at_mut(degrees.a - shift);
            let (first, x) = x.split_at(shift);
            let (u, last) = u.split_at(degrees.a - shift);
            scaled::<A, L>(low, first, y);
            for ((o, x), u) in both.iter_mut().zip(x).zip(u) {
                for (((o, x), y), (u, v)) in o.iter_mut().zip(x).zip(y).zip(u.iter().zip(v)) {
                    *o = A::plus(A::times(*x, *y), A::times(*u, *v));
                }
            }
            scaled::<A, L>(high, last, v);
        }
    }

    #[inline(always)]
    fn any_lanes(self) {
        let Self { part: Part { loops, inner, out, a, b }, moves, degrees, .. } = self;
        let lanes = degrees.lanes;
        let (mut runs, _) = Runs::new(loops);
        while let Some((o, from_a, from_b)) = runs.next() {
            for level in 0..inner.levels {
                let (from_a, from_b) = (from_a + level * inner.a, from_b + level * inner.b);
                let shift = moves.get(level).copied().unwrap_or(0);
                for d in 0..degrees.b {
                    let y = &b[from_b + d * lanes..from_b + (d + 1) * lanes];
                    let x = &a[from_a..from_a + degrees.a * lanes];
                    let to = o + (d + shift) * lanes;
                    let onto = &mut out[to..to + degrees.a * lanes];
                    for (onto, x) in onto.chunks_exact_mut(lanes).zip(x.chunks_exact(lanes)) {
                        for ((o, x), y) in onto.iter_mut().zip(x).zip(y) {
                            *o = A::plus(*o, A::times(*x, *y));
                        }
                    }
                }
            }
        }
    }
}

/// Coefficients times a weight.
#[inline(always)]
fn scaled<A: Arithmetic, const L: usize>(onto: &mut [[f64; L]], x: &[[f64; L]], y: &[f64; L]) {
    for (o, x) in onto.iter_mut().zip(x) {
        for ((o, x), y) in o.iter_mut().zip(x).zip(y) {
            *o = A::times(*x, *y);
        }
    }
}

/// Brings the largest weight of each lane back to 1.
fn rescale(held: &mut Held, lanes: usize) {
    let mut most = vec![0.0f64; lanes];
    for cell in held.planes[0].chunks_exact(lanes) {
        most.iter_mut().zip(cell).for_each(|(m, w)| *m = m.max(*w));
    }
    let usable = |m: f64| m > 0.0 && m.is_finite();
    let by: Vec<f64> = most.iter().map(|m| if usable(*m) { 1.0 / m } else { 1.0 }).collect();
    for cell in held.planes[0].chunks_exact_mut(lanes) {
        cell.iter_mut().zip(&by).for_each(|(w, by)| *w *= by);
    }
    for (scale, m) in held.scale.iter_mut().zip(&most) {
        if usable(*m) {
            *scale += m.ln();
        }
    }
    held.drift = 0.0;
}
