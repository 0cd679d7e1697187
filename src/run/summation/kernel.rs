//! The two operations of a sum: the product of two tables, and a mode summed out of one.
//!
//! A table holds, for each cell, `degree × lanes` numbers: the lanes are temperatures and vary fastest. A
//! cell of the result is computed from the cells it draws on, so that parts of the result are independent.

use super::arithmetic::Arithmetic;
use super::in_parts;
use crate::plan::summation::Slot;

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

    /// Number of levels of one of its modes.
    pub fn levels(&self, mode: usize) -> Option<usize> {
        self.size(mode)
    }

    /// The weight at a cell given by a level for every mode, `mode` at `level`; one lane.
    pub fn weight(&self, cell: &[u32], mode: usize, level: usize) -> f64 {
        let level_of = |m: usize| if m == mode { level } else { cell[m] as usize };
        let at = self.axes.iter().zip(&self.shape).fold(0, |k, (m, n)| k * n + level_of(*m));
        self.planes[0].get(at).copied().unwrap_or(0.0)
    }

    fn size(&self, mode: usize) -> Option<usize> {
        self.axes.iter().position(|m| *m == mode).map(|axis| self.shape[axis])
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
pub fn product<A: Arithmetic>(a: &Held, b: &Held, slot: &Slot, lanes: usize) -> Option<Held> {
    Some(combine::<A>(a, Some(b), None, &[], slot, lanes))
}

/// `mode` summed out of `a`, or of the product of `a` and `b`. When a total is carried, `moves` says how
/// far each level of the mode moves it.
pub fn sum_out<A: Arithmetic>(
    a: &Held,
    b: Option<&Held>,
    mode: usize,
    moves: &[usize],
    slot: &Slot,
    lanes: usize,
) -> Held {
    combine::<A>(a, b, Some(mode), moves, slot, lanes)
}

fn combine<A: Arithmetic>(
    a: &Held,
    b: Option<&Held>,
    mode: Option<usize>,
    moves: &[usize],
    slot: &Slot,
    lanes: usize,
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
    let mut planes: Vec<Vec<f64>> = a.planes.iter().map(|_| vec![0.0; cells * block]).collect();
    planes[0].fill(A::ZERO);

    // the slowest axes make the parts
    let mut parts = 1;
    let mut outer = 0;
    while parts < PARTS && outer < loops.len() {
        parts *= loops[outer].extent;
        outer += 1;
    }
    let (slow, fast) = loops.split_at(outer);
    let start = |part: usize| {
        let (mut rest, mut from_a, mut from_b) = (part, 0, 0);
        for l in slow.iter().rev() {
            from_a += rest % l.extent * l.a;
            from_b += rest % l.extent * l.b;
            rest /= l.extent;
        }
        (from_a, from_b)
    };
    if a.degree * b.degree > 1 || !moves.is_empty() {
        let still = vec![0; levels];
        let moves = if moves.is_empty() { &still } else { moves };
        let shape = Degrees { a: a.degree, b: b.degree, lanes };
        in_parts(&mut planes[0], parts, |part, out| {
            let (from_a, from_b) = start(part);
            totals::<A>(fast, inner, moves, shape, out, &a.planes[0][from_a..], &b.planes[0][from_b..]);
        });
    } else {
        let mut loops: Vec<Loop> = fast.to_vec();
        loops.push(Loop { extent: lanes, out: 1, a: 1, b: 1 });
        let loops = merged(&loops);
        if let [weights, means, variances] = planes.as_mut_slice() {
            moments_in_parts::<A>(&loops, inner, parts, [weights, means, variances], a, b, &start);
        } else {
            in_parts(&mut planes[0], parts, |part, out| {
                let (from_a, from_b) = start(part);
                let run = Weights::<A> {
                    loops: &loops,
                    inner,
                    out,
                    a: &a.planes[0][from_a..],
                    b: &b.planes[0][from_b..],
                    of: std::marker::PhantomData,
                };
                pulp::Arch::new().dispatch(run);
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

/// Visits every run of the last loop: where it starts in the result and in both sources.
#[inline(always)]
fn runs(loops: &[Loop], mut visit: impl FnMut(usize, usize, usize, Loop)) {
    let Some((last, outer)) = loops.split_last() else { return };
    let mut index = vec![0usize; outer.len()];
    let (mut o, mut a, mut b) = (0, 0, 0);
    loop {
        visit(o, a, b, *last);
        let mut axis = outer.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            let l = &outer[axis];
            index[axis] += 1;
            if index[axis] < l.extent {
                o += l.out;
                a += l.a;
                b += l.b;
                break;
            }
            index[axis] = 0;
            o -= l.out * (l.extent - 1);
            a -= l.a * (l.extent - 1);
            b -= l.b * (l.extent - 1);
        }
    }
}

struct Weights<'a, A> {
    loops: &'a [Loop],
    inner: Inner,
    out: &'a mut [f64],
    a: &'a [f64],
    b: &'a [f64],
    of: std::marker::PhantomData<A>,
}

impl<A: Arithmetic> pulp::WithSimd for Weights<'_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { loops, inner, out, a, b, .. } = self;
        runs(loops, |o, from_a, from_b, l| {
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
        });
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
    start: &(impl Fn(usize) -> (usize, usize) + Sync),
) {
    use rayon::prelude::*;
    let length = (weights.len() / parts.max(1)).max(1);
    let large = weights.len() >= 1 << 15;
    let chunks = weights.chunks_mut(length).zip(means.chunks_mut(length)).zip(variances.chunks_mut(length));
    let work = |(part, ((w, m), v)): (usize, ((&mut [f64], &mut [f64]), &mut [f64]))| {
        let (from_a, from_b) = start(part);
        pulp::Arch::new().dispatch(Moments::<A> {
            loops,
            inner,
            out: [w, m, v],
            a: [0, 1, 2].map(|k| &a.planes[k][from_a..]),
            b: [0, 1, 2].map(|k| &b.planes[k][from_b..]),
            of: std::marker::PhantomData,
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
    of: std::marker::PhantomData<A>,
}

impl<A: Arithmetic> pulp::WithSimd for Moments<'_, A> {
    type Output = ();

    /// Mixtures are united pairwise by the law of total variance (Chan, Golub and LeVeque 1983,
    /// doi:10.1080/00031305.1983.10483115), so that nothing large is subtracted from something large.
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { loops, inner, out: [ow, om, ov], a: [aw, am, av], b: [bw, bm, bv], .. } = self;
        runs(loops, |o, from_a, from_b, l| {
            for level in 0..inner.levels {
                let (from_a, from_b) = (from_a + level * inner.a, from_b + level * inner.b);
                let mut one = |o: usize, i: usize, j: usize| {
                    let w = A::times(aw[i], bw[j]);
                    let (m, v) = (am[i] + bm[j], av[i] + bv[j]);
                    let all = A::plus(ow[o], w);
                    let p = A::share(w, all);
                    let off = m - om[o];
                    ov[o] += p * (v - ov[o] + (1.0 - p) * off * off);
                    om[o] += p * off;
                    ow[o] = all;
                };
                match (l.out, l.a, l.b) {
                    (1, 1, 1) => (0..l.extent).for_each(|k| one(o + k, from_a + k, from_b + k)),
                    _ => (0..l.extent).for_each(|k| one(o + k * l.out, from_a + k * l.a, from_b + k * l.b)),
                }
            }
        });
    }
}

/// Degrees of the two sources, and the number of lanes.
#[derive(Debug, Clone, Copy)]
struct Degrees {
    a: usize,
    b: usize,
    lanes: usize,
}

/// Sums polynomials in the total: coefficients are convolved, and each level shifts them.
fn totals<A: Arithmetic>(
    loops: &[Loop],
    inner: Inner,
    moves: &[usize],
    degrees: Degrees,
    out: &mut [f64],
    a: &[f64],
    b: &[f64],
) {
    // a run of one cell at a time: its block of coefficients is the inner loop
    let mut cells = loops.to_vec();
    cells.push(Loop { extent: 1, out: 0, a: 0, b: 0 });
    pulp::Arch::new().dispatch(Totals::<A> {
        loops: &cells,
        inner,
        moves,
        degrees,
        out,
        a,
        b,
        of: std::marker::PhantomData,
    });
}

struct Totals<'a, A> {
    loops: &'a [Loop],
    inner: Inner,
    moves: &'a [usize],
    degrees: Degrees,
    out: &'a mut [f64],
    a: &'a [f64],
    b: &'a [f64],
    of: std::marker::PhantomData<A>,
}

impl<A: Arithmetic> pulp::WithSimd for Totals<'_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { loops, inner, moves, degrees, out, a, b, .. } = self;
        let lanes = degrees.lanes;
        runs(loops, |o, from_a, from_b, _| {
            for level in 0..inner.levels {
                let (from_a, from_b) = (from_a + level * inner.a, from_b + level * inner.b);
                let shift = moves.get(level).copied().unwrap_or(0);
                for d in 0..degrees.b {
                    let y = &b[from_b + d * lanes..from_b + (d + 1) * lanes];
                    let x = &a[from_a..from_a + degrees.a * lanes];
                    let to = o + (d + shift) * lanes;
                    let onto = &mut out[to..to + degrees.a * lanes];
                    if lanes == 1 {
                        let y = y[0];
                        for (o, x) in onto.iter_mut().zip(x) {
                            *o = A::plus(*o, A::times(*x, y));
                        }
                    } else {
                        for (onto, x) in onto.chunks_exact_mut(lanes).zip(x.chunks_exact(lanes)) {
                            for ((o, x), y) in onto.iter_mut().zip(x).zip(y) {
                                *o = A::plus(*o, A::times(*x, *y));
                            }
                        }
                    }
                }
            }
        });
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
