//! Rows that have a column to themselves.

use super::Listed;
use super::echelon::{PRIME, entries, narrow, times};
use crate::run::modular::inverse;

/// Beyond so many rows for each column, hardly a column is in one row only, and none is looked for.
const CROWDED: usize = 16;

/// Rows taken away one after another, each with a column that none of those left has. Such a row is independent
/// of those left, and its column can be chosen so that the row vanishes: neither rank nor null space needs any
/// elimination here.
pub(super) struct Peeled {
    /// Rows with their own column, in the order in which they were taken away.
    taken: Vec<(usize, usize)>,
    /// The rows that are left, where some were taken away.
    left: Option<Vec<usize>>,
}

impl Peeled {
    /// Takes rows away as long as one has a column to itself. O(entries).
    pub fn of(rows: Listed, columns: usize) -> Self {
        let mut taken = Vec::new();
        if rows.count > CROWDED.saturating_mul(columns) {
            return Self { taken, left: None };
        }
        // of a column that is in one row, the numbers of its rows leave that of this row
        let (mut count, mut number) = (vec![0usize; columns], vec![0usize; columns]);
        for r in 0..rows.count {
            for (c, _) in entries((rows.of)(r).into_iter()) {
                count[c] += 1;
                number[c] ^= r;
            }
        }
        let mut alone: Vec<usize> = (0..columns).filter(|c| count[*c] == 1).collect();
        let mut gone = vec![false; rows.count];
        while let Some(own) = alone.pop() {
            if count[own] != 1 {
                continue;
            }
            let r = number[own];
            gone[r] = true;
            taken.push((r, own));
            for (c, _) in entries((rows.of)(r).into_iter()) {
                count[c] -= 1;
                number[c] ^= r;
                if count[c] == 1 {
                    alone.push(c);
                }
            }
        }
        let left = (!taken.is_empty()).then(|| (0..rows.count).filter(|r| !gone[*r]).collect());
        Self { taken, left }
    }

    /// How many rows were taken away.
    pub fn rank(&self) -> usize {
        self.taken.len()
    }

    /// How many rows are left of so many.
    pub fn count(&self, rows: usize) -> usize {
        self.left.as_ref().map_or(rows, Vec::len)
    }

    /// The number of one of the rows that are left.
    pub fn number(&self, r: usize) -> usize {
        self.left.as_ref().map_or(r, |left| left[r])
    }

    /// Makes a vector that the rows left send to zero one that all do.
    pub fn complete(&self, rows: Listed, v: &mut [u32]) {
        // a row that was taken away has no column that one before it had to itself
        for (r, own) in self.taken.iter().rev() {
            let (mut sum, mut factor) = (0, 1);
            for (c, n) in entries((rows.of)(*r).into_iter()) {
                match c == *own {
                    true => factor = u64::from(n),
                    false => sum += times(u64::from(n), u64::from(v[c])),
                }
            }
            let value = (PRIME - sum % PRIME) % PRIME;
            let back = if factor == 1 { 1 } else { inverse(factor, PRIME) };
            v[*own] = narrow(times(value, back));
        }
    }
}
