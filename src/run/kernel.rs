//! The few loops everything is made of: sum a table to a smaller one, and combine a small table into a
//! large one. O(cells of the large table), no allocation for small tables, parallel over fixed blocks
//! for large ones, so that the bits do not depend on the number of threads.

use rayon::prelude::*;

use super::projection::Projection;
use super::sum::{lanes, sum};
use super::vector::vectorised;

/// Cells from which a kernel is worth more than one thread.
const LARGE: usize = crate::plan::cost::SHARED as usize;

/// Blocks a large table is cut into, whatever the number of threads.
const PARTS: usize = 8;

/// `onto ← Σ from` over the axes that are summed out.
pub fn marginalise(projection: &Projection, from: &[f64], onto: &mut [f64]) {
    onto.fill(0.0);
    if from.len() < LARGE {
        return accumulate(projection, from, onto);
    }
    let parts = projection.split(PARTS);
    if projection.outermost_stride() == 0 {
        // each part sums to the same cells: private sums, added in order, which have to be worth more
        if from.len() < 2 * LARGE || onto.len() * PARTS > from.len() {
            return accumulate(projection, from, onto);
        }
        let partial: Vec<Vec<f64>> = parts
            .par_iter()
            .map(|(part, start, _)| {
                let mut own = vec![0.0; onto.len()];
                accumulate(part, &from[*start..], &mut own);
                own
            })
            .collect();
        for own in partial {
            onto.iter_mut().zip(own).for_each(|(o, p)| *o += p);
        }
    } else {
        // the outermost axis is kept, so that the parts fall onto ranges of their own
        let mut rest = onto;
        let mut work = Vec::with_capacity(parts.len());
        let mut taken = 0;
        for (k, (part, start, base)) in parts.iter().enumerate() {
            let end = parts.get(k + 1).map_or(taken + rest.len(), |(_, _, next)| *next);
            debug_assert_eq!(taken, *base);
            let (own, tail) = rest.split_at_mut(end - taken);
            work.push((part, *start, own));
            rest = tail;
            taken = end;
        }
        work.into_par_iter().for_each(|(part, start, own)| accumulate(part, &from[start..], own));
    }
}

vectorised! {
    /// `onto ← onto + Σ from`, one thread.
    accumulate(projection: &'a Projection, from: &'a [f64], onto: &'a mut [f64]) -> () {
        let (length, stride) = projection.inner();
        let rows = projection.repeated();
        match stride {
            0 => projection.runs(|i, o| onto[o] += lanes(&from[i..i + length])),
            1 if rows > 1 => projection.groups(|i, o| {
                add_rows(&from[i..i + rows * length], length, &mut onto[o..o + length]);
            }),
            1 => projection.runs(|i, o| {
                onto[o..o + length].iter_mut().zip(&from[i..i + length]).for_each(|(o, f)| *o += f);
            }),
            _ => projection.runs(|i, o| {
                let cells = onto[o..].iter_mut().step_by(stride);
                cells.zip(&from[i..i + length]).for_each(|(o, f)| *o += f);
            }),
        }
    }
}

/// Columns of rows that are added up in registers.
const ABREAST: usize = 32;

/// Adds rows to one, in their order. What they are added to is read and written once.
#[inline(always)]
fn add_rows(rows: &[f64], length: usize, onto: &mut [f64]) {
    let (whole, rest) = onto.as_chunks_mut::<ABREAST>();
    for (k, onto) in whole.iter_mut().enumerate() {
        let mut sums = *onto;
        for row in rows.chunks_exact(length) {
            if let Some(cells) = row[k * ABREAST..].first_chunk::<ABREAST>() {
                sums.iter_mut().zip(cells).for_each(|(s, x)| *s += x);
            }
        }
        *onto = sums;
    }
    let start = length - rest.len();
    for row in rows.chunks_exact(length) {
        rest.iter_mut().zip(&row[start..]).for_each(|(o, x)| *o += x);
    }
}

/// Their sum.
pub fn total(values: &[f64]) -> f64 {
    if values.len() < LARGE {
        return sum(values);
    }
    let parts: Vec<f64> = values.par_chunks(values.len().div_ceil(PARTS)).map(sum).collect();
    sum(&parts)
}

/// Largest value of each cell that is summed out; −∞ for none.
pub fn maximise(projection: &Projection, from: &[f64], onto: &mut [f64]) {
    onto.fill(f64::NEG_INFINITY);
    let (length, stride) = projection.inner();
    projection.runs(|i, o| {
        if stride == 0 {
            onto[o] = from[i..i + length].iter().fold(onto[o], |m, f| m.max(*f));
        } else {
            let cells = onto[o..].iter_mut().step_by(stride);
            cells.zip(&from[i..i + length]).for_each(|(o, f)| *o = o.max(*f));
        }
    });
}

/// `large[i] ← f(large[i], small[projection(i)])`.
pub fn combine(
    projection: &Projection,
    large: &mut [f64],
    small: &[f64],
    f: impl Fn(f64, f64) -> f64 + Copy + Send + Sync,
) {
    if large.len() < LARGE {
        return combine_one(projection, large, small, f);
    }
    let parts = projection.split(PARTS);
    let mut work = Vec::with_capacity(parts.len());
    let mut rest = large;
    let mut taken = 0;
    for (k, (part, _, base)) in parts.iter().enumerate() {
        let end = parts.get(k + 1).map_or(taken + rest.len(), |(_, next, _)| *next);
        let (own, tail) = rest.split_at_mut(end - taken);
        work.push((part, own, *base));
        rest = tail;
        taken = end;
    }
    work.into_par_iter().for_each(|(part, own, base)| combine_one(part, own, &small[base..], f));
}

/// As [`combine`], one thread.
pub(super) fn combine_one(
    projection: &Projection,
    large: &mut [f64],
    small: &[f64],
    f: impl Fn(f64, f64) -> f64,
) {
    pulp::Arch::new().dispatch(Combine { projection, large, small, f });
}

/// [`combine_one`], for use inside another vectorised loop.
pub(super) struct Combine<'a, F> {
    pub projection: &'a Projection,
    pub large: &'a mut [f64],
    pub small: &'a [f64],
    pub f: F,
}

impl<F: Fn(f64, f64) -> f64> pulp::WithSimd for Combine<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { projection, large, small, f } = self;
        let (length, stride) = projection.inner();
        match stride {
            0 => projection.runs(|i, o| {
                let s = small[o];
                large[i..i + length].iter_mut().for_each(|l| *l = f(*l, s));
            }),
            1 => projection.runs(|i, o| {
                let cells = &small[o..o + length];
                large[i..i + length].iter_mut().zip(cells).for_each(|(l, s)| *l = f(*l, *s));
            }),
            _ => projection.runs(|i, o| {
                let cells = small[o..].iter().step_by(stride);
                large[i..i + length].iter_mut().zip(cells).for_each(|(l, s)| *l = f(*l, *s));
            }),
        }
    }
}

/// `values[i] ← f(values[i])`.
pub fn map(values: &mut [f64], f: impl Fn(f64) -> f64 + Copy + Send + Sync) {
    if values.len() < LARGE {
        pulp::Arch::new().dispatch(Map { values, f });
    } else {
        values.par_chunks_mut(LARGE / 4).for_each(|values| pulp::Arch::new().dispatch(Map { values, f }));
    }
}

/// `values[i] ← values[i] · by[i]`.
pub fn times_each(values: &mut [f64], by: &[f64]) {
    if values.len() < LARGE {
        return times_each_one(values, by);
    }
    let part = values.len().div_ceil(PARTS);
    values.par_chunks_mut(part).zip(by.par_chunks(part)).for_each(|(values, by)| times_each_one(values, by));
}

vectorised! {
    /// [`times_each`], one thread.
    times_each_one(values: &'a mut [f64], by: &'a [f64]) -> () {
        values.iter_mut().zip(by).for_each(|(v, b)| *v *= b);
    }
}

struct Map<'a, F> {
    values: &'a mut [f64],
    f: F,
}

impl<F: Fn(f64) -> f64> pulp::WithSimd for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        self.values.iter_mut().for_each(|v| *v = (self.f)(*v));
    }
}

/// What [`combine`] makes of two values: by name, so that each way is compiled once, whoever asks for it.
#[inline(always)]
pub fn times(l: f64, s: f64) -> f64 {
    l * s
}

/// The sum, for [`combine`].
#[inline(always)]
pub fn plus(l: f64, s: f64) -> f64 {
    l + s
}

/// The difference, for [`combine`].
#[inline(always)]
pub fn minus(l: f64, s: f64) -> f64 {
    l - s
}

/// The second alone, for [`combine`].
#[inline(always)]
pub fn put(_: f64, s: f64) -> f64 {
    s
}

/// `large ← large · small`.
pub fn scale(projection: &Projection, large: &mut [f64], small: &[f64]) {
    combine(projection, large, small, times);
}

/// a/b with 0/0 = 0, and ∞ where there is something over nothing.
#[inline]
pub fn ratio(a: f64, b: f64) -> f64 {
    if a == 0.0 { 0.0 } else { a / b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Scope;

    #[test]
    fn every_subset_of_axes_sums_as_the_definition_says() {
        let shape = [3usize, 1, 4, 2, 5];
        let from: Vec<f64> = (0..120).map(|i| f64::from(i * i % 37)).collect();
        let all = Scope::all(5);
        for bits in 0..32usize {
            let onto: Scope = (0..5).filter(|m| bits >> m & 1 == 1).collect();
            let projection = Projection::between(&all, &shape, &onto);
            let cells: usize = onto.iter().map(|m| shape[m]).product();
            let mut want = vec![0.0; cells];
            let mut place = Vec::new();
            for (i, value) in from.iter().enumerate() {
                let mut rest = i;
                let mut index = [0; 5];
                for axis in (0..5).rev() {
                    index[axis] = rest % shape[axis];
                    rest /= shape[axis];
                }
                let o = onto.iter().fold(0, |k, m| k * shape[m] + index[m]);
                want[o] += value;
                place.push(o);
            }
            let mut got = vec![1.0; cells];
            marginalise(&projection, &from, &mut got);
            assert_eq!(got, want);
            let mut scaled = from.clone();
            combine(&projection, &mut scaled, &want, minus);
            for (i, o) in place.iter().enumerate() {
                assert_eq!(scaled[i], from[i] - want[*o]);
            }
        }
    }

    #[test]
    fn large_tables_are_cut_without_a_seam() {
        let shape = [7usize, 41, 23, 43];
        let cells: usize = shape.iter().product();
        let from: Vec<f64> = (0..cells).map(|i| (i % 101) as f64).collect();
        for bits in 0..16usize {
            let onto: Scope = (0..4).filter(|m| bits >> m & 1 == 1).collect();
            let projection = Projection::between(&Scope::all(4), &shape, &onto);
            let small: usize = onto.iter().map(|m| shape[m]).product();
            let (mut whole, mut cut) = (vec![0.0; small], vec![0.0; small]);
            accumulate(&projection, &from, &mut whole);
            marginalise(&projection, &from, &mut cut);
            assert_eq!(whole, cut, "whole numbers add exactly");
            let (mut one, mut many) = (from.clone(), from.clone());
            combine_one(&projection, &mut one, &whole, plus);
            scale(&projection, &mut many, &vec![2.0; small]);
            combine(&projection, &mut many, &whole, |l, s| l / 2.0 + s);
            assert_eq!(one, many);
        }
    }
}
