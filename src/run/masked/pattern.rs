//! Products of a mask with vectors, for matrices of rank one.

use crate::plan::cost;
use crate::run::sum::lanes;
use crate::run::vector::kept;

/// Rows that are looked at together, so that a sum over columns is read and written once for all of them.
const ROWS: usize = 4;

/// Cells of a row that are looked at together.
const WIDE: usize = 16;

/// A sum that is this much smaller than what it was subtracted from is added up again.
const CANCELLED: f64 = 1e-3;

/// Which cells of a matrix are observed.
pub struct Pattern<'a> {
    /// Row-major.
    pub observed: &'a [bool],
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Where few cells are observed, or few are not, those.
    lists: Option<Lists>,
}

/// A list of columns for each row: its unknown ones or its observed ones.
struct Lists {
    /// Where the list of each row begins; one more at the end.
    start: Vec<usize>,
    columns: Vec<u32>,
    /// Whether the list has the unknown ones.
    unknown: Vec<bool>,
}

impl<'a> Pattern<'a> {
    /// The mask of a matrix of so many columns. Where the shorter lists of all rows are so short that they are
    /// faster ([`cost::LISTED`]), they are made. O(cells).
    pub fn new(observed: &'a [bool], rows: usize, columns: usize) -> Self {
        let shorter = |row: &[bool]| {
            let seen = row.iter().filter(|o| **o).count();
            seen.min(columns - seen)
        };
        let most = observed.len() as f64 / cost::LISTED;
        let mut listed = 0.0;
        let few = observed.chunks_exact(columns.max(1)).all(|row| {
            listed += shorter(row) as f64;
            listed <= most
        });
        Self { observed, rows, columns, lists: few.then(|| Lists::new(observed, columns)) }
    }

    /// Operations of a product with a vector.
    pub fn read(&self) -> f64 {
        self.lists.as_ref().map_or(self.observed.len(), |l| l.columns.len()) as f64
    }

    /// Bytes read by a product with a vector, where two of them share a pass.
    pub fn bytes(&self) -> f64 {
        match &self.lists {
            Some(lists) => 12.0 * lists.columns.len() as f64,
            None => 0.5 * self.observed.len() as f64,
        }
    }

    /// The truth values of a row.
    pub fn row(&self, row: usize) -> &[bool] {
        &self.observed[row * self.columns..(row + 1) * self.columns]
    }

    /// One pass over the mask W: for each row i in turn the sum (W v)_i is handed to `row`, which gives u_i, and
    /// `down ← Wᵀ u`.
    pub fn pass(&self, v: &[f64], mut row: impl FnMut(usize, f64) -> f64, down: &mut [f64]) {
        let Some(lists) = &self.lists else {
            down.fill(0.0);
            return pulp::Arch::new().dispatch(Pass { pattern: self, v, row, down });
        };
        let (all, size): (f64, f64) = (v.iter().sum(), v.iter().map(|x| x.abs()).sum());
        let (mut every, mut bulk) = (0.0, 0.0);
        down.fill(0.0);
        let mut given = vec![0.0; self.rows];
        for (i, given) in given.iter_mut().enumerate() {
            let own = lists.of(i);
            let listed: f64 = own.iter().map(|j| v[*j as usize]).sum();
            let mut sum = if lists.unknown[i] { all - listed } else { listed };
            if lists.unknown[i] && sum.abs() < CANCELLED * size && !own.is_empty() {
                sum = self.row(i).iter().zip(v).filter(|(o, _)| **o).map(|(_, x)| x).sum();
            }
            let u = row(i, sum);
            *given = u;
            bulk += u.abs();
            if lists.unknown[i] {
                every += u;
                own.iter().for_each(|j| down[*j as usize] -= u);
            } else {
                own.iter().for_each(|j| down[*j as usize] += u);
            }
        }
        for (j, slot) in down.iter_mut().enumerate() {
            *slot += every;
            if slot.abs() < CANCELLED * bulk {
                let column = self.observed.iter().skip(j).step_by(self.columns);
                *slot = column.zip(&given).filter(|(o, _)| **o).map(|(_, x)| x).sum();
            }
        }
    }

    /// W v.
    pub fn across(&self, v: &[f64], out: &mut [f64]) {
        let mut down = vec![0.0; self.columns];
        let row = |i: usize, sum: f64| {
            out[i] = sum;
            0.0
        };
        self.pass(v, row, &mut down);
    }
}

impl Lists {
    fn new(observed: &[bool], columns: usize) -> Self {
        let (mut start, mut list) = (vec![0], Vec::new());
        let mut unknown = Vec::new();
        for row in observed.chunks_exact(columns.max(1)) {
            let seen = row.iter().filter(|o| **o).count();
            let listed = 2 * seen < columns;
            unknown.push(!listed);
            list.extend((0u32..).zip(row).filter(|(_, o)| **o == listed).map(|(j, _)| j));
            start.push(list.len());
        }
        Self { start, columns: list, unknown }
    }

    fn of(&self, row: usize) -> &[u32] {
        &self.columns[self.start[row]..self.start[row + 1]]
    }
}

struct Pass<'a, F> {
    pattern: &'a Pattern<'a>,
    v: &'a [f64],
    row: F,
    down: &'a mut [f64],
}

impl<F: FnMut(usize, f64) -> f64> pulp::WithSimd for Pass<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { pattern, v, mut row, down } = self;
        let columns = pattern.columns.max(1);
        let mut given = [0.0; ROWS];
        let none = vec![false; columns];
        for (k, group) in pattern.observed.chunks(ROWS * columns).enumerate() {
            let mut rows: [&[bool]; ROWS] = [&none; ROWS];
            for (r, own) in group.chunks_exact(columns).enumerate() {
                rows[r] = own;
                given[r] = row(k * ROWS + r, across(own, v));
            }
            down_four(rows, given, down);
        }
    }
}

/// The sum of what a row lets through. Two loops, over whole chunks and over the rest, are what the compiler
/// makes vectors of; sums of several rows side by side are not.
#[inline(always)]
fn across(row: &[bool], v: &[f64]) -> f64 {
    let ((seen, seen_rest), (numbers, rest)) = (row.as_chunks::<WIDE>(), v.as_chunks::<WIDE>());
    let mut sums = [0.0; WIDE];
    for (seen, x) in seen.iter().zip(numbers) {
        for i in 0..WIDE {
            sums[i] += kept(seen[i], x[i]);
        }
    }
    let tail: f64 = seen_rest.iter().zip(rest).map(|(seen, x)| kept(*seen, *x)).sum();
    lanes(&sums) + tail
}

/// Adds a number of each of four rows where they let it through.
#[inline(always)]
fn down_four([a, b, c, d]: [&[bool]; ROWS], [w, x, y, z]: [f64; ROWS], onto: &mut [f64]) {
    let n = onto.len();
    let (a, b, c, d) = (&a[..n], &b[..n], &c[..n], &d[..n]);
    for j in 0..n {
        onto[j] += (kept(a[j], w) + kept(b[j], x)) + (kept(c[j], y) + kept(d[j], z));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_truth_values_say_the_same() {
        for (rows, columns, one_in, hidden) in [(7, 45, 2, true), (9, 70, 19, true), (6, 64, 31, false)] {
            let cell = |k: usize| (k * k + k / 3).is_multiple_of(one_in);
            let observed: Vec<bool> = (0..rows * columns).map(|k| cell(k) != hidden).collect();
            let mut pattern = Pattern::new(&observed, rows, columns);
            assert_eq!(pattern.lists.is_some(), one_in > 16);
            let v: Vec<f64> = (0..columns).map(|j| 0.5 + (j % 7) as f64).collect();
            let u: Vec<f64> = (0..rows).map(|i| 1.0 + (i % 3) as f64).collect();
            let seen = |i: usize, j: usize| f64::from(u8::from(observed[i * columns + j]));
            let wide: Vec<f64> =
                (0..rows).map(|i| (0..columns).map(|j| seen(i, j) * v[j]).sum::<f64>()).collect();
            let deep: Vec<f64> =
                (0..columns).map(|j| (0..rows).map(|i| seen(i, j) * u[i]).sum::<f64>()).collect();
            for lists in [None, Some(Lists::new(&observed, columns))] {
                pattern.lists = lists;
                let (mut sums, mut down) = (vec![0.0; rows], vec![1.0; columns]);
                let row = |i: usize, sum: f64| {
                    sums[i] = sum;
                    u[i]
                };
                pattern.pass(&v, row, &mut down);
                assert_eq!((&sums, &down), (&wide, &deep), "halves add exactly");
            }
        }
    }
}
