//! Vectors of the null space in doubles.
//!
//! A random vector is projected onto the null space by conjugate gradients on the normal equations of its image
//! (Hestenes and Stiefel 1952, doi:10.6028/jres.049.044), with the number of rows that have a column as
//! preconditioner. Every step is a combination of rows, so that the part in
//! the null space is never touched: whatever the steps have not yet taken away can only make a row look as if it
//! were outside the space of rows, and that is noticed, because such a row turns up inside it in the elimination that
//! follows.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::design::{BLOCK, Design, LANES, Lanes};
use super::{CUT_SHORT, Listed};
use crate::run::control::Stop;

/// Most steps, and most entries of rows in all of them: about a minute of one core.
const STEPS: usize = 4000;
const ENTRIES: usize = 1 << 33;

/// Most times the steps begin again from what they found, with the rounding of the times before taken away.
const ROUNDS: usize = 6;

/// Size of what the rows make of a vector in the null space, beside what they made of the random one.
const LEFT: f64 = 1e-13;

/// Up to here the image of a vector is rounding, and from there on it is none, beside the size of its parts.
const ROUNDING: f64 = 1e-9;
const CLEAR: f64 = 1e-5;

/// Where a row lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// It has a column that no row of the design has.
    Elsewhere,
    /// All vectors vanish there.
    Inside,
    /// Some vector is far from zero there.
    Outside,
    /// Neither.
    Unclear,
}

/// Random vectors in the null space of a design.
pub(super) struct Projected {
    /// The vectors: one number of each for every column.
    vectors: Vec<Lanes>,
    /// The size that such a number may have by itself, 0 for a column that no row has.
    sizes: Vec<f64>,
    /// Steps that were taken.
    pub steps: usize,
}

impl Projected {
    /// Projects onto the null space of `rows`; none when that takes too many steps. Beside the rows it holds four
    /// times the vectors: `4 · 8 · LANES` bytes a column.
    ///
    /// # Errors
    /// When it was asked to stop.
    pub fn onto_null(rows: Listed, columns: usize, stop: &Stop) -> Result<Option<Projected>, String> {
        let Some(design) = Design::of(rows, columns) else { return Ok(None) };
        let sizes: Vec<f64> = design.counts().iter().map(|n| size(*n)).collect();
        let Some((vectors, steps)) = project(&design, &sizes, stop)? else { return Ok(None) };
        Ok(Some(Projected { vectors, sizes, steps }))
    }

    /// Where a row lies.
    pub fn side(&self, row: &[usize]) -> Side {
        let (mut sums, mut squares) = ([0.0; LANES], 0.0);
        for c in row {
            let size = self.sizes[*c];
            if size == 0.0 {
                return Side::Elsewhere;
            }
            sums.iter_mut().zip(&self.vectors[*c]).for_each(|(s, z)| *s += z);
            squares += size * size;
        }
        judged(&sums, squares.sqrt())
    }

    /// All bits of the vectors.
    #[cfg(test)]
    pub fn bits(&self) -> Vec<[u64; LANES]> {
        self.vectors.iter().map(|z| z.map(f64::to_bits)).collect()
    }

    /// Whether the vectors fade away along the columns: where one step follows from another by a factor, what is far
    /// from the largest looks like rounding.
    pub fn fades(&self) -> bool {
        let both = self.vectors.iter().zip(&self.sizes);
        both.filter(|(_, size)| **size > 0.0).any(|(z, size)| judged(z, *size) == Side::Unclear)
    }
}

/// What numbers of this size say.
fn judged(numbers: &Lanes, size: f64) -> Side {
    let largest = numbers.iter().fold(0.0f64, |m, s| m.max(s.abs()));
    if largest <= ROUNDING * size {
        Side::Inside
    } else if largest >= CLEAR * size {
        Side::Outside
    } else {
        Side::Unclear
    }
}

/// The scale that gives a column in so many rows the length one.
fn size(rows: u32) -> f64 {
    if rows == 0 { 0.0 } else { 1.0 / f64::from(rows).sqrt() }
}

/// Random vectors without their part in the space of rows, and the steps that took. The gradients are those of the
/// vectors themselves, and steps go along the gradients times `sizes` squared.
fn project(design: &Design, sizes: &[f64], stop: &Stop) -> Result<Option<(Vec<Lanes>, usize)>, String> {
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(0x6d62_6120_6e75_6c6c);
    let mut draw = || (stream.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
    let mut z: Vec<Lanes> = sizes.iter().map(|size| [0.0; LANES].map(|_| size * draw())).collect();
    let mut gradient = vec![[0.0; LANES]; z.len()];
    let left = design.normal(&z, &mut gradient);
    let most = left.map(|s| s * LEFT * LEFT);
    // gradients as small as the image may be, and a tenth of that, so that rounding leaves room
    let mut goal = slopes(&gradient, sizes).map(|s| 0.01 * s * LEFT * LEFT);
    let mut image = vec![[0.0; LANES]; z.len()];
    let (mut steps, enough) = (0, STEPS.min(ENTRIES / design.entries().max(1)));
    for _ in 0..ROUNDS {
        let mut slope = slopes(&gradient, sizes);
        let mut direction = gradient.clone();
        along(&mut direction, [0.0; LANES], &gradient, sizes);
        while steps < enough && slope.iter().zip(&goal).any(|(s, goal)| s > goal) {
            if stop.asked() {
                return Err(CUT_SHORT.into());
            }
            let back = divided(slope, design.normal(&direction, &mut image)).map(|l| -l);
            add(&mut z, back, &direction);
            add(&mut gradient, back, &image);
            steps += 1;
            let next = slopes(&gradient, sizes);
            along(&mut direction, divided(next, slope), &gradient, sizes);
            slope = next;
        }
        drop(direction);
        let left = design.normal(&z, &mut gradient);
        if left.iter().zip(&most).all(|(l, most)| l <= most) {
            return Ok(Some((z, steps)));
        }
        goal = goal.map(|g| 0.01 * g);
    }
    Ok(None)
}

/// The squares of gradients in the metric of the preconditioner, of each vector.
fn slopes(gradient: &[Lanes], sizes: &[f64]) -> Lanes {
    let block = |(gradient, sizes): (&[Lanes], &[f64])| {
        let mut sums = [0.0; LANES];
        for (g, size) in gradient.iter().zip(sizes) {
            sums.iter_mut().zip(g).for_each(|(s, g)| *s += (g * size) * (g * size));
        }
        sums
    };
    let parts: Vec<Lanes> = gradient.par_chunks(BLOCK).zip(sizes.par_chunks(BLOCK)).map(block).collect();
    let mut total = [0.0; LANES];
    parts.iter().for_each(|p| total.iter_mut().zip(p).for_each(|(t, p)| *t += p));
    total
}

/// The next direction: the gradient times the preconditioner and a share of the last one.
fn along(direction: &mut [Lanes], share: Lanes, gradient: &[Lanes], sizes: &[f64]) {
    let next = |((d, g), size): ((&mut Lanes, &Lanes), &f64)| {
        let scale = size * size;
        d.iter_mut().zip(g).zip(&share).for_each(|((d, g), s)| *d = scale * g + s * *d);
    };
    direction.par_iter_mut().zip(gradient).zip(sizes).with_min_len(BLOCK).for_each(next);
}

/// Quotients, 0 where there is nothing left to divide by.
fn divided(a: Lanes, b: Lanes) -> Lanes {
    let mut out = [0.0; LANES];
    out.iter_mut().zip(a.iter().zip(&b)).for_each(|(o, (a, b))| *o = if *b > 0.0 { a / b } else { 0.0 });
    out
}

/// Adds a multiple of each vector.
fn add(onto: &mut [Lanes], factor: Lanes, a: &[Lanes]) {
    onto.par_iter_mut().zip(a).with_min_len(BLOCK).for_each(|(o, a)| {
        o.iter_mut().zip(a).zip(&factor).for_each(|((o, a), f)| *o += f * a);
    });
}
