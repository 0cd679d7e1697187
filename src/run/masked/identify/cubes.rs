//! Cells that follow from others by completing cubes.
//!
//! The signed sum of ln Q over the corners of a cube over a set of axes is zero when the set is in no generator, so that the
//! last corner follows from the others. Whole rows of the last axis are completed at a time: what is known in all
//! other rows of a cube over the other axes follows in this one, if the last axis is no part of the set or if one of
//! these cells is known here.

use super::{CUT_SHORT, Stream};
use crate::model::table::strides;
use crate::run::control::Stop;
use crate::run::masked::bits::Bits;

/// Cubes that are tried for a row, in each round.
const CUBES: usize = 64;

/// As long as most cells are unknown, cubes are given up when a round knows no more than one in so many cells more:
/// few cubes of cells that are scattered so far apart have a single corner left.
const SPREADS: usize = 128;

/// Rows that are tried before it is asked again whether to stop.
const PATIENT: usize = 16;

/// A set of axes that lies in no generator.
struct Set {
    /// Those before the last: levels, and how many rows apart they lie.
    outer: Vec<(usize, usize)>,
    /// Whether the last one is in it.
    along: bool,
}

/// The cells of this shape that are `observed` or follow from those by cubes over `sets` of axes, round after round; none
/// when all do. Sound, and complete for masks that leave enough cells. O(cubes tried × words of a row).
///
/// # Errors
/// When it was asked to stop.
pub fn complete(
    shape: &[usize],
    observed: &[bool],
    sets: &[Vec<usize>],
    stop: &Stop,
) -> Result<Option<Vec<bool>>, String> {
    let last = shape.len().saturating_sub(1);
    let steps = strides(&shape[..last]);
    let set = |axes: &Vec<usize>| Set {
        outer: axes.iter().filter(|a| **a != last).map(|a| (shape[*a], steps[*a])).collect(),
        along: axes.contains(&last),
    };
    let known = Bits::of(observed, shape.last().copied().unwrap_or(1));
    let full = known.full();
    let mut waiting: Vec<usize> = (0..known.rows()).filter(|r| *known.row(*r) != *full).collect();
    let mut count = known.count();
    let mut sets: Vec<Set> = sets.iter().map(set).collect();
    // cubes with few corners come first
    sets.sort_by_key(|set| set.outer.len());
    let mut search =
        Search { changed: !sets.is_empty(), sets, corner: full.clone(), shifts: Vec::new(), known, full };
    while std::mem::replace(&mut search.changed, false) && !waiting.is_empty() {
        let mut rest = Vec::new();
        for rows in waiting.chunks(PATIENT) {
            if stop.asked() {
                return Err(CUT_SHORT.into());
            }
            rest.extend(rows.iter().filter(|row| !search.fill(**row)));
        }
        waiting = rest;
        let before = std::mem::replace(&mut count, search.known.count());
        if count < observed.len() / 2 && count - before < before / SPREADS {
            break;
        }
    }
    Ok((!waiting.is_empty()).then(|| search.known.cells()))
}

struct Search {
    sets: Vec<Set>,
    known: Bits,
    /// A row of which all is known.
    full: Vec<u64>,
    /// Room for what the other rows of a cube have in common, and for how far they lie.
    corner: Vec<u64>,
    shifts: Vec<isize>,
    /// Whether a cell has become known.
    changed: bool,
}

impl Search {
    /// Tries cubes until all of a row is known; whether it is.
    fn fill(&mut self, row: usize) -> bool {
        let mut stream = Stream(row as u64);
        for cube in 0..CUBES {
            for set in 0..self.sets.len() {
                if self.follow(row, set, cube == 0, &mut stream) && *self.known.row(row) == *self.full {
                    return true;
                }
            }
        }
        false
    }

    /// Completes a row by one cube: with first levels where that is wished for, since rows of first levels come first and
    /// most others follow from them at once, and else with levels that are drawn. Whether more is known now.
    fn follow(&mut self, row: usize, set: usize, first: bool, stream: &mut Stream) -> bool {
        let Set { outer, along } = &self.sets[set];
        self.shifts.clear();
        self.shifts.extend(outer.iter().map(|(n, step)| {
            let here = row / step % n;
            let other = match first && here > 0 {
                true => 0,
                false => (here + 1 + stream.below(n - 1)) % n,
            };
            (other as isize - here as isize) * *step as isize
        }));
        self.corner.clone_from(&self.full);
        for corner in 1..1usize << self.shifts.len() {
            let mut at = row;
            for (i, shift) in self.shifts.iter().enumerate() {
                at = at.wrapping_add_signed(if corner >> i & 1 == 1 { *shift } else { 0 });
            }
            each(&mut self.corner, self.known.row(at), |c, k| *c &= k);
        }
        let (mut shared, mut more) = (0, 0);
        each(&mut self.corner, self.known.row(row), |c, k| {
            shared |= *c & k;
            more |= *c & !k;
        });
        let follows = more != 0 && (shared != 0 || !along);
        if follows {
            each(self.known.row_mut(row), &self.corner, |k, c| *k |= c);
            self.changed = true;
        }
        follows
    }
}

/// Both of two rows, word by word; most rows are one.
#[inline]
fn each(own: &mut [u64], others: &[u64], mut act: impl FnMut(&mut u64, u64)) {
    match (own, others) {
        ([own], [other]) => act(own, *other),
        (own, others) => own.iter_mut().zip(others).for_each(|(own, other)| act(own, *other)),
    }
}
