//! The space that rows span.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use rayon::prelude::*;

use super::echelon::{Echelon, product, vanishes};
use super::lead::Leads;
use super::peel::Peeled;
use super::project::{Projected, Side};
use super::{CUT_SHORT, MANY};
use crate::numeric::share;
use crate::run::control::Stop;

/// Most columns in all.
const COLUMNS: usize = 1 << 21;

/// Entries that are eliminated before a projection is tried.
const SHORT: u64 = 1 << 29;

/// Entries that are eliminated to confirm a projection.
const CONFIRMED: u64 = 1 << 29;

/// Rows of zeros and ones, by number, each a list of its columns.
#[derive(Clone, Copy)]
pub struct Listed<'a> {
    /// How many there are.
    pub count: usize,
    /// The columns of a row.
    pub of: &'a (dyn Fn(usize) -> Vec<usize> + Sync),
}

/// Which of `every` row lie in the space of `seen`, and the rank of those.
///
/// # Errors
/// Why it is not known.
pub fn by_rows(
    seen: &[Vec<usize>],
    columns: usize,
    every: &[Vec<usize>],
    stop: &Stop,
) -> Result<(Vec<bool>, usize), String> {
    let every_row = Listed { count: every.len(), of: &|r| every[r].clone() };
    let seen = Listed { count: seen.len(), of: &|r| seen[r].clone() };
    let span = Span::within(Some(SHORT), seen, columns, every_row, stop)?;
    Ok((every.par_iter().map(|r| span.holds(r)).collect(), span.rank))
}

/// The space that rows of zeros and ones span.
pub struct Span {
    /// Two random vectors that every row sends to zero.
    vectors: [Vec<u32>; 2],
    /// Its dimension.
    pub rank: usize,
    /// What it took to find it.
    pub effort: Effort,
}

/// What it took to find a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Entries that were eliminated, those of sparse rows counted several times.
    pub eliminated: u64,
    /// Steps of the projection that found the space; none when it was found by elimination alone.
    pub steps: Option<usize>,
}

impl Span {
    /// The space of `seen` over so many columns, for questions about the rows of `every`. Rows with a column to
    /// themselves are set aside; of the others only those that are not in the space of those before are
    /// eliminated, O(rows) for each round besides. Where that takes long, it is left off for a projection.
    ///
    /// # Errors
    /// Why it is not known: the elimination would be too large, or it was asked to stop.
    pub fn of(seen: Listed, columns: usize, every: Listed, stop: &Stop) -> Result<Span, String> {
        if columns > COLUMNS {
            return Err(format!("the mask is not analysed for more than {COLUMNS} parameters"));
        }
        Self::within(Some(SHORT), seen, columns, every, stop)
    }

    /// The same, with a projection after so much elimination, or without one.
    pub(super) fn within(
        short: Option<u64>,
        seen: Listed,
        columns: usize,
        every: Listed,
        stop: &Stop,
    ) -> Result<Span, String> {
        let peeled = Peeled::of(seen, columns);
        let left = |r: usize| (seen.of)(peeled.number(r));
        let left = Listed { count: peeled.count(seen.count), of: &left };
        let leads = || Leads::by_setting_aside(left, columns, stop);
        // what has been eliminated is given back before the projection, which is likely to take its place
        let mut found = None;
        if let Some(short) = short.filter(|_| every.count > 0) {
            found = eliminate(left, leads()?, stop, &|done, ahead| done.saturating_add(ahead) >= short)?;
            if found.is_none() {
                found = project(left, columns, every, stop)?;
            }
        }
        let mut span = match found {
            Some(span) => span,
            None => eliminate(left, leads()?, stop, &|_, _| false)?.ok_or(CUT_SHORT)?,
        };
        span.vectors.iter_mut().for_each(|v| peeled.complete(seen, v));
        span.rank += peeled.rank();
        Ok(span)
    }

    /// What is left of a row beyond the space: the same for two rows if and only if their difference lies in it.
    pub fn residue(&self, row: &[usize]) -> [u32; 2] {
        [0, 1].map(|v| product(&self.vectors[v], row))
    }

    /// Whether a row lies in the space.
    pub fn holds(&self, row: &[usize]) -> bool {
        self.vectors.iter().all(|v| vanishes(v, row))
    }
}

/// The space of rows by elimination, beginning with those that lead; none when `leave`, told of the work done and of what may lie
/// ahead, says to leave off.
fn eliminate(
    rows: Listed,
    leads: Leads,
    stop: &Stop,
    leave: &dyn Fn(u64, u64) -> bool,
) -> Result<Option<Span>, String> {
    let columns = leads.label.len();
    let mut echelon = Echelon::new(columns, stop);
    let Leads { label, rows: first } = leads;
    for r in first {
        echelon.insert((rows.of)(r).iter().map(|c| label[*c]))?;
    }
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(0x6d62_6120_6d61_736b);
    loop {
        let ahead = echelon.clear().unwrap_or(u64::MAX);
        if leave(echelon.work(), ahead) {
            return Ok(None);
        }
        echelon.pack()?;
        let vectors = [(); 2].map(|()| {
            let v = echelon.null(&mut stream);
            label.iter().map(|l| v[*l]).collect::<Vec<_>>()
        });
        let outside = |r: usize| {
            let row = (rows.of)(r);
            vectors.iter().any(|v| !vanishes(v, &row))
        };
        let outside = share::pieces(rows.count >= MANY, rows.count, outside);
        let wrong: Vec<usize> = (0..rows.count).filter(|r| outside[*r]).collect();
        if wrong.is_empty() {
            let effort = Effort { eliminated: echelon.work(), steps: None };
            return Ok(Some(Span { vectors, rank: echelon.rank(), effort }));
        }
        // most of the rank that is missing is found row by row, each of them as long as there are columns
        let missing = wrong.len().min(columns - echelon.rank()) as u64;
        if leave(echelon.work(), missing * columns as u64) {
            return Ok(None);
        }
        // spread over all of them, so that most of a batch is independent
        let step = wrong.len().div_ceil(512);
        for r in wrong.iter().step_by(step) {
            echelon.insert((rows.of)(*r).iter().map(|c| label[*c]))?;
            if leave(echelon.work(), 0) {
                return Ok(None);
            }
        }
    }
}

/// The space of rows, by that of all rows of `every` that seem to lie in it. Among so many there are almost always
/// enough that bring a column of their own, so that this is found without elimination. None when the projection
/// is not clear, or proves to be wrong.
fn project(rows: Listed, columns: usize, every: Listed, stop: &Stop) -> Result<Option<Span>, String> {
    let Some(projected) = Projected::onto_null(rows, columns, stop)? else { return Ok(None) };
    let sides: Vec<Side> = (0..every.count).into_par_iter().map(|r| projected.side(&(every.of)(r))).collect();
    if sides.contains(&Side::Unclear) || projected.fades() {
        return Ok(None);
    }
    // rows that are not inside count as empty
    let of = |r: usize| match sides.get(r) {
        Some(Side::Inside) => (every.of)(r),
        Some(_) => Vec::new(),
        None => (rows.of)(r - every.count),
    };
    let wider = Listed { count: every.count + rows.count, of: &of };
    let Some(mut span) =
        eliminate(wider, Leads::in_order(wider, columns), stop, &|done, _| done > CONFIRMED)?
    else {
        return Ok(None);
    };
    span.effort.steps = Some(projected.steps);
    // a row of the space cannot be outside the space of more rows
    let outside = |r: usize| sides[r] == Side::Outside && span.holds(&(every.of)(r));
    let wrong = (0..every.count).into_par_iter().any(outside);
    Ok((!wrong).then_some(span))
}
