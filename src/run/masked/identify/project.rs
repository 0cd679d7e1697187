//! Vectors of the null space in doubles.
//!
//! A random vector is projected onto the null space by conjugate gradients on the least squares of its image
//! (Hestenes and Stiefel 1952, doi:10.6028/jres.049.044). Every step is a combination of rows, so that the part in
//! the null space is never touched: whatever the steps have not yet taken away can only make a row look as if it
//! were outside the space of rows, and that is noticed, because such a row turns up inside it in the elimination that
//! follows.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::{CUT_SHORT, Listed};
use crate::run::control::Stop;

/// Vectors that are projected at once.
const LANES: usize = 4;

/// One number of each of them.
type Lanes = [f64; LANES];

/// Numbers that are summed in one go; fixed, so that sums do not depend on the number of threads.
const BLOCK: usize = 1 << 12;

/// Most steps, and most entries of rows in all of them.
const STEPS: usize = 4000;
const ENTRIES: usize = 1 << 30;

/// Most times the steps begin again from what they found, with the rounding of the times before taken away.
const ROUNDS: usize = 4;

/// Most rows and columns together: the vectors then take about as much room as the largest dense elimination.
const MOST: usize = 1 << 21;

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
    /// From a column to its place among those of the design.
    place: Vec<u32>,
    /// The vectors, with the scale of the column.
    z: Vec<Lanes>,
    /// Scales of the columns.
    scale: Vec<f64>,
    /// Steps that were taken.
    pub steps: usize,
}

impl Projected {
    /// Projects onto the null space of `rows`; none when that is too large, or takes too many steps.
    ///
    /// # Errors
    /// When it was asked to stop.
    pub fn onto_null(rows: Listed, columns: usize, stop: &Stop) -> Result<Option<Projected>, String> {
        let Some(design) = Design::of(rows, columns) else { return Ok(None) };
        let Some((z, steps)) = design.project(stop)? else { return Ok(None) };
        let Design { place, scale, .. } = design;
        Ok(Some(Projected { place, z, scale, steps }))
    }

    /// Where a row lies.
    pub fn side(&self, row: &[usize]) -> Side {
        let (mut sums, mut size) = ([0.0; LANES], 0.0);
        for c in row {
            let c = self.place[*c];
            if c == NONE {
                return Side::Elsewhere;
            }
            let (z, scale) = (&self.z[c as usize], self.scale[c as usize]);
            sums.iter_mut().zip(z).for_each(|(s, z)| *s += scale * z);
            size += scale * scale;
        }
        judged(&sums, size.sqrt())
    }

    /// All bits of the vectors.
    #[cfg(test)]
    pub fn bits(&self) -> Vec<[u64; LANES]> {
        self.z.iter().map(|z| z.map(f64::to_bits)).collect()
    }

    /// Whether the vectors fade away along the columns: where one step follows from another by a factor, what is far
    /// from the largest looks like rounding.
    pub fn fades(&self) -> bool {
        self.z.iter().any(|z| judged(z, 1.0) == Side::Unclear)
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

/// The place of a column that no row has.
const NONE: u32 = u32::MAX;

/// Rows by their columns and columns by their rows, every column scaled to the same length.
struct Design {
    place: Vec<u32>,
    by_row: Lists,
    by_column: Lists,
    scale: Vec<f64>,
}

impl Design {
    fn of(rows: Listed, columns: usize) -> Option<Design> {
        if rows.count > MOST {
            return None;
        }
        let mut place = vec![NONE; columns];
        let (mut by_row, mut found) = (Lists::default(), 0u32);
        for r in 0..rows.count {
            for c in (rows.of)(r) {
                if place[c] == NONE {
                    place[c] = found;
                    found += 1;
                }
                by_row.items.push(place[c]);
            }
            by_row.ends.push(u32::try_from(by_row.items.len()).ok()?);
        }
        let by_column = by_row.turned(found as usize);
        let scale: Vec<f64> =
            (0..by_column.len()).map(|c| 1.0 / (by_column.of(c).len() as f64).sqrt()).collect();
        (rows.count + scale.len() <= MOST).then_some(Design { place, by_row, by_column, scale })
    }

    /// What the rows make of vectors.
    fn image(&self, z: &[Lanes]) -> Vec<Lanes> {
        let one = |r: usize| {
            let mut sums = [0.0; LANES];
            for c in self.by_row.of(r) {
                let scale = self.scale[*c as usize];
                sums.iter_mut().zip(&z[*c as usize]).for_each(|(s, z)| *s += scale * z);
            }
            sums
        };
        (0..self.by_row.len()).into_par_iter().with_min_len(BLOCK).map(one).collect()
    }

    /// The combinations of rows with these factors.
    fn back(&self, y: &[Lanes]) -> Vec<Lanes> {
        let one = |c: usize| {
            let mut sums = [0.0; LANES];
            for r in self.by_column.of(c) {
                sums.iter_mut().zip(&y[*r as usize]).for_each(|(s, y)| *s += y);
            }
            sums.map(|s| s * self.scale[c])
        };
        (0..self.by_column.len()).into_par_iter().with_min_len(BLOCK).map(one).collect()
    }

    /// Random vectors without their part in the space of rows, and the steps that took.
    fn project(&self, stop: &Stop) -> Result<Option<(Vec<Lanes>, usize)>, String> {
        let mut stream = Xoshiro256PlusPlus::seed_from_u64(0x6d62_6120_6e75_6c6c);
        let mut draw = || (stream.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
        let mut z: Vec<Lanes> = (0..self.scale.len()).map(|_| [0.0; LANES].map(|_| draw())).collect();
        let mut left = self.image(&z);
        let most = squares(&left).map(|s| s * LEFT * LEFT);
        let (mut steps, enough) = (0, STEPS.min(ENTRIES / self.by_row.items.len().max(1)));
        for _ in 0..ROUNDS {
            let mut along = self.back(&left);
            let mut slope = squares(&along);
            let mut direction = along.clone();
            while steps < enough {
                if stop.asked() {
                    return Err(CUT_SHORT.into());
                }
                let image = self.image(&direction);
                let length = divided(slope, squares(&image));
                add(&mut z, length.map(|l| -l), &direction);
                add(&mut left, length.map(|l| -l), &image);
                steps += 1;
                // a tenth of what is asked for, so that rounding leaves room
                if squares(&left).iter().zip(&most).all(|(l, most)| *l <= 0.01 * most) {
                    break;
                }
                along = self.back(&left);
                let next = squares(&along);
                let share = divided(next, slope);
                slope = next;
                direction.par_iter_mut().zip(&along).with_min_len(BLOCK).for_each(|(d, a)| {
                    d.iter_mut().zip(a).zip(&share).for_each(|((d, a), s)| *d = a + s * *d);
                });
            }
            left = self.image(&z);
            if squares(&left).iter().zip(&most).all(|(l, most)| l <= most) {
                return Ok(Some((z, steps)));
            }
        }
        Ok(None)
    }
}

/// Lists of numbers one after another.
#[derive(Default)]
struct Lists {
    items: Vec<u32>,
    ends: Vec<u32>,
}

impl Lists {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn of(&self, k: usize) -> &[u32] {
        let start = if k == 0 { 0 } else { self.ends[k - 1] };
        &self.items[start as usize..self.ends[k] as usize]
    }

    /// For every number below `numbers`, the lists that have it.
    fn turned(&self, numbers: usize) -> Lists {
        let mut ends = vec![0u32; numbers];
        self.items.iter().for_each(|n| ends[*n as usize] += 1);
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        let mut items = vec![0; self.items.len()];
        for k in 0..self.len() {
            for n in self.of(k) {
                let at = &mut ends[*n as usize];
                items[*at as usize] = u32::try_from(k).unwrap_or(NONE);
                *at += 1;
            }
        }
        Lists { items, ends }
    }
}

/// The sum of squares of each vector.
fn squares(a: &[Lanes]) -> Lanes {
    let block = |a: &[Lanes]| {
        let mut sums = [0.0; LANES];
        a.iter().for_each(|a| sums.iter_mut().zip(a).for_each(|(s, a)| *s += a * a));
        sums
    };
    let parts: Vec<Lanes> = a.par_chunks(BLOCK).map(block).collect();
    let mut total = [0.0; LANES];
    parts.iter().for_each(|p| total.iter_mut().zip(p).for_each(|(t, p)| *t += p));
    total
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
