//! Elimination modulo a prime.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use rayon::prelude::*;

use super::CUT_SHORT;
use super::sparse::Sparse;
use crate::run::control::Stop;
use crate::run::modular::inverse;

/// 2³¹ − 1.
pub(super) const PRIME: u64 = (1 << 31) - 1;

/// Most entries that are eliminated densely, four bytes each, and twice the most entries of the rows that wait for it,
/// eight bytes each: 128 MiB for either.
const DENSE: usize = 1 << 25;

/// Rows that are cleared before it is asked whether there is room for them.
const CLEARED: usize = 64;

/// Entries of dense rows that are eliminated while one of a sparse row is.
const SPARSE: u64 = 8;

/// Columns of a row with the number of times each is listed: tables that are tied share columns, and a cell may
/// see one of them twice.
pub(super) fn entries(row: impl Iterator<Item = usize>) -> Vec<(usize, u32)> {
    let mut row: Vec<(usize, u32)> = row.map(|c| (c, 1)).collect();
    row.sort_unstable();
    row.dedup_by(|more, kept| {
        let same = more.0 == kept.0;
        kept.1 += u32::from(same) * more.1;
        same
    });
    row
}

/// The product of a vector with a row.
pub(super) fn product(v: &[u32], row: &[usize]) -> u32 {
    (row.iter().map(|c| u64::from(v[*c])).sum::<u64>() % PRIME) as u32
}

/// Whether a vector is zero on a row.
pub(super) fn vanishes(v: &[u32], row: &[usize]) -> bool {
    product(v, row) == 0
}

/// Rows in echelon form modulo [`PRIME`]: sparse by their first column as long as they are short, and dense
/// over the columns that are left.
pub(super) struct Echelon<'a> {
    columns: usize,
    stop: &'a Stop,
    sparse: Sparse,
    /// Rows that have become long, waiting to be made dense.
    long: Vec<Vec<(u32, u32)>>,
    /// Entries of those that have been cleared.
    waiting: usize,
    /// The columns of dense rows.
    core: Vec<usize>,
    place: Vec<usize>,
    dense: Vec<(usize, Vec<u32>)>,
    /// Entries that were looked at so far, those of sparse rows counted [`SPARSE`] times.
    work: u64,
}

/// Entries beyond which a row counts as long.
const LONG: usize = 64;

impl<'a> Echelon<'a> {
    /// No rows yet, over so many columns.
    pub fn new(columns: usize, stop: &'a Stop) -> Self {
        Self {
            columns,
            stop,
            sparse: Sparse::new(columns),
            long: Vec::new(),
            waiting: 0,
            core: Vec::new(),
            place: vec![usize::MAX; columns],
            dense: Vec::new(),
            work: 0,
        }
    }

    /// How many rows are independent.
    pub fn rank(&self) -> usize {
        self.sparse.len() + self.dense.len()
    }

    /// Adds a row, given by its columns.
    ///
    /// # Errors
    /// When it was asked to stop.
    pub fn insert(&mut self, row: impl Iterator<Item = usize>) -> Result<(), String> {
        let mut row = entries(row);
        if self.stop.asked() {
            return Err(CUT_SHORT.into());
        }
        while let Some((lead, value)) = row.first().copied() {
            if row.len() > LONG {
                self.wait(&row);
                return Ok(());
            }
            let Some(pivot) = self.sparse.get(lead) else {
                if self.place[lead] != usize::MAX {
                    self.wait(&row);
                } else {
                    let inverse = inverse(u64::from(value), PRIME);
                    row.iter_mut().for_each(|(_, v)| *v = narrow(times(u64::from(*v), inverse)));
                    self.sparse.insert(lead, &row);
                }
                return Ok(());
            };
            self.work += SPARSE * (row.len() + pivot.len()) as u64;
            row = minus(&row, pivot, u64::from(value));
        }
        Ok(())
    }

    /// Clears the long rows of the columns that sparse rows lead. Says how much work there will be when the long rows
    /// are packed; none when they have more entries than can be.
    pub fn clear(&mut self) -> Option<u64> {
        let mut long = std::mem::take(&mut self.long);
        let (sparse, columns, count) = (&self.sparse, self.columns, self.dense.len() + long.len());
        let mut room = true;
        for rows in long.chunks_mut(CLEARED) {
            let looked: u64 = rows
                .par_iter_mut()
                .map_init(|| vec![0u32; columns], |wide, row| cleared(row, sparse, wide))
                .sum();
            self.work += SPARSE * looked;
            for (c, _) in rows.iter().flatten() {
                let place = &mut self.place[*c as usize];
                if *place == usize::MAX {
                    *place = self.core.len();
                    self.core.push(*c as usize);
                }
            }
            self.waiting += rows.iter().map(Vec::len).sum::<usize>();
            room = room_for(count, self.core.len(), self.waiting);
            if !room {
                break;
            }
        }
        self.long = long;
        if !room {
            return None;
        }
        let (long, dense, width) = (self.long.len() as u64, self.dense.len() as u64, self.core.len() as u64);
        Some(long * (dense + long) * width)
    }

    /// Lets a row wait to be made dense.
    fn wait(&mut self, row: &[(usize, u32)]) {
        self.long.push(row.iter().map(|(c, v)| (narrow(*c as u64), *v)).collect());
    }

    /// Whether there is room for all rows that are not sparse.
    fn room(&self) -> bool {
        room_for(self.dense.len() + self.long.len(), self.core.len(), self.waiting)
    }

    /// Entries that were looked at so far.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// Reduces the long rows, cleared before, among each other over the columns that no sparse row leads.
    ///
    /// # Errors
    /// When these are too many, or it was asked to stop.
    pub fn pack(&mut self) -> Result<(), String> {
        if !self.room() {
            let (rows, columns) = (self.dense.len() + self.long.len(), self.core.len());
            return Err(format!(
                "the mask ties parameters together in {rows} rows of {columns}, which is more than is eliminated"
            ));
        }
        let width = self.core.len();
        let waiting = std::mem::take(&mut self.long);
        self.waiting = 0;
        self.dense.iter_mut().for_each(|(_, r)| r.resize(width, 0));
        let mut fresh: Vec<Vec<u32>> = waiting
            .into_iter()
            .map(|row| {
                let mut dense = vec![0u32; width];
                row.iter().for_each(|(c, v)| dense[self.place[*c as usize]] = *v);
                dense
            })
            .collect();
        fresh.par_iter_mut().for_each(|row| self.dense.iter().for_each(|(lead, r)| clear(row, *lead, r)));
        while let Some(mut row) = fresh.pop() {
            if self.stop.asked() {
                return Err(CUT_SHORT.into());
            }
            let Some(lead) = row.iter().position(|v| *v != 0) else { continue };
            let inverse = inverse(u64::from(row[lead]), PRIME);
            row.iter_mut().for_each(|v| *v = narrow(times(u64::from(*v), inverse)));
            self.work += ((fresh.len() + self.dense.len()) * width) as u64;
            fresh.par_iter_mut().for_each(|other| clear(other, lead, &row));
            self.dense.push((lead, row));
        }
        Ok(())
    }

    /// A random vector that every row sends to zero.
    pub fn null(&self, stream: &mut Xoshiro256PlusPlus) -> Vec<u32> {
        let mut v: Vec<u32> = (0..self.columns).map(|_| narrow(stream.next_u64() % PRIME)).collect();
        // a dense row has nothing at the leads of those before it
        for (lead, row) in self.dense.iter().rev() {
            let sum: u64 = row
                .iter()
                .zip(&self.core)
                .enumerate()
                .filter(|(i, (r, _))| i != lead && **r != 0)
                .map(|(_, (r, c))| times(u64::from(*r), u64::from(v[*c])))
                .sum();
            v[self.core[*lead]] = narrow((PRIME - sum % PRIME) % PRIME);
        }
        for (lead, row) in (0..self.columns).rev().filter_map(|c| Some((c, self.sparse.get(c)?))) {
            let sum: u64 =
                row.iter().skip(1).map(|(c, r)| times(u64::from(*r), u64::from(v[*c as usize]))).sum();
            v[lead] = narrow((PRIME - sum % PRIME) % PRIME);
        }
        v
    }
}

/// Whether so many rows may be dense over so many columns, and so many entries wait for it.
fn room_for(rows: usize, columns: usize, waiting: usize) -> bool {
    rows.saturating_mul(columns) <= DENSE && waiting <= DENSE / 2
}

/// Clears a row of the columns that sparse rows lead, in a row of zeros over all columns; the entries looked at.
fn cleared(row: &mut Vec<(u32, u32)>, sparse: &Sparse, wide: &mut [u32]) -> u64 {
    let Some(first) = row.first().map(|(c, _)| *c as usize) else { return 0 };
    row.drain(..).for_each(|(c, v)| wide[c as usize] = v);
    let mut looked = (wide.len() - first) as u64 / SPARSE;
    for lead in first..wide.len() {
        if wide[lead] == 0 {
            continue;
        }
        let Some(pivot) = sparse.get(lead) else { continue };
        let back = PRIME - u64::from(wide[lead]);
        looked += pivot.len() as u64;
        for (c, v) in pivot {
            let slot = &mut wide[*c as usize];
            *slot = narrow((u64::from(*slot) + times(u64::from(*v), back)) % PRIME);
        }
    }
    let kept = (first..wide.len()).filter(|c| wide[*c] != 0);
    *row = kept.map(|c| (narrow(c as u64), wide[c])).collect();
    row.iter().for_each(|(c, _)| wide[*c as usize] = 0);
    looked
}

/// `row − factor · pivot`, where the pivot has a one where the row leads.
fn minus(row: &[(usize, u32)], pivot: &[(u32, u32)], factor: u64) -> Vec<(usize, u32)> {
    let back = PRIME - factor;
    let mut out = Vec::with_capacity(row.len() + pivot.len());
    let (mut i, mut j) = (0, 0);
    while i < row.len() || j < pivot.len() {
        let c = row.get(i).map_or(usize::MAX, |r| r.0);
        let d = pivot.get(j).map_or(usize::MAX, |p| p.0 as usize);
        let mut value = 0;
        if c <= d {
            value += u64::from(row[i].1);
            i += 1;
        }
        if d <= c {
            value += times(u64::from(pivot[j].1), back);
            j += 1;
        }
        if value % PRIME != 0 {
            out.push((c.min(d), narrow(value % PRIME)));
        }
    }
    out
}

/// Makes `row` zero at `lead` with a row that has a one there.
fn clear(row: &mut [u32], lead: usize, pivot: &[u32]) {
    let factor = u64::from(row[lead]);
    if factor == 0 {
        return;
    }
    let back = PRIME - factor;
    for (r, p) in row.iter_mut().zip(pivot) {
        // below 2⁶²: folded twice it is below 2³¹ + 1
        let x = u64::from(*r) + back * u64::from(*p);
        let x = (x & PRIME) + (x >> 31);
        let x = (x & PRIME) + (x >> 31);
        *r = if x >= PRIME { (x - PRIME) as u32 } else { x as u32 };
    }
}

/// a b modulo [`PRIME`].
pub(super) fn times(a: u64, b: u64) -> u64 {
    a * b % PRIME
}

/// A number below 2³².
pub(super) fn narrow(x: u64) -> u32 {
    u32::try_from(x).unwrap_or(0)
}
