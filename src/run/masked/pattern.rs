//! Products of a mask with vectors, for matrices of rank one.
//!
//! The truth values of eight neighbouring columns are a byte, and a table of the 256 sums it can let through is
//! cheaper than to go through them for every row (Arlazarov, Dinic, Kronrod and Faradžev 1970). Four such tables
//! lie in the nearest cache while all rows pass.

use crate::numeric::vector::vectorised;

/// Columns whose truth values are a byte, and the sums these can let through.
const EIGHT: usize = 8;
const SUMS: usize = 1 << EIGHT;

/// Columns whose truth values are a word.
const WORD: usize = 32;

/// Which cells of a matrix are observed.
pub struct Pattern<'a> {
    /// Row-major.
    pub observed: &'a [bool],
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Words over the columns of each row, and over the rows of each column. Those of the same columns, or rows,
    /// lie side by side.
    by_columns: Vec<u32>,
    by_rows: Vec<u32>,
}

impl<'a> Pattern<'a> {
    /// The mask of a matrix of so many columns. O(cells).
    pub fn new(observed: &'a [bool], rows: usize, columns: usize) -> Self {
        let mut by_columns = vec![0; columns.div_ceil(WORD) * rows];
        let mut by_rows = vec![0; rows.div_ceil(WORD) * columns];
        for (i, row) in observed.chunks_exact(columns.max(1)).enumerate() {
            for (g, cells) in row.chunks(WORD).enumerate() {
                by_columns[g * rows + i] = word(cells);
            }
            mark(&mut by_rows[i / WORD * columns..][..columns], row, (i % WORD) as u32);
        }
        Self { observed, rows, columns, by_columns, by_rows }
    }

    /// Additions of a product with a vector, and bytes read.
    pub fn work(&self) -> f64 {
        self.observed.len() as f64 / EIGHT as f64
    }

    /// The truth values of a row.
    pub fn row(&self, row: usize) -> &[bool] {
        &self.observed[row * self.columns..(row + 1) * self.columns]
    }

    /// W v, over the columns.
    pub fn across(&self, v: &[f64], out: &mut [f64]) {
        times(&self.by_columns, v, out);
    }

    /// Wᵀ u, over the rows.
    pub fn down(&self, u: &[f64], out: &mut [f64]) {
        times(&self.by_rows, u, out);
    }
}

/// Up to 32 truth values, the first in the lowest bit.
fn word(cells: &[bool]) -> u32 {
    let (eights, rest) = bytemuck::cast_slice::<bool, u8>(cells).as_chunks::<EIGHT>();
    // the product moves the lowest bit of every byte into the highest byte
    let gather = |b: &[u8; EIGHT]| (u64::from_le_bytes(*b).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32;
    let word = eights.iter().enumerate().fold(0, |w, (k, b)| w | gather(b) << (EIGHT * k));
    let from = EIGHT * eights.len();
    rest.iter().enumerate().fold(word, |w, (k, b)| w | u32::from(*b) << (from + k))
}

vectorised! {
    /// Sets one bit of each word where a cell is true.
    mark(words: &'a mut [u32], cells: &'a [bool], bit: u32) -> () {
        words.iter_mut().zip(cells).for_each(|(w, c)| *w |= u32::from(*c) << bit);
    }
}

vectorised! {
    /// The product of a matrix of truth values, a word for every row and then for the columns after them, with `v`.
    times(words: &'a [u32], v: &'a [f64], out: &'a mut [f64]) -> () {
        out.fill(0.0);
        let mut tables = [[0.0; SUMS]; WORD / EIGHT];
        for (words, v) in words.chunks_exact(out.len().max(1)).zip(v.chunks(WORD)) {
            let mut numbers = [0.0; WORD];
            numbers.iter_mut().zip(v).for_each(|(n, v)| *n = *v);
            for (table, numbers) in tables.iter_mut().zip(numbers.as_chunks::<EIGHT>().0) {
                sums(table, numbers);
            }
            let [first, second, third, fourth] = &tables;
            for (out, word) in out.iter_mut().zip(words) {
                let [a, b, c, d] = word.to_le_bytes().map(usize::from);
                *out += (first[a] + second[b]) + (third[c] + fourth[d]);
            }
        }
    }
}

/// The sum of every subset of eight numbers: with each number the table doubles.
#[inline(always)]
fn sums(table: &mut [f64; SUMS], numbers: &[f64; EIGHT]) {
    table[0] = 0.0;
    for (k, number) in numbers.iter().enumerate() {
        let (without, with) = table.split_at_mut(1 << k);
        with.iter_mut().zip(without).for_each(|(with, without)| *with = *without + number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_sums_over_what_is_let_through() {
        for (rows, columns) in [(1, 1), (7, 45), (9, 70), (33, 64), (64, 31), (100, 8)] {
            let observed: Vec<bool> = (0..rows * columns).map(|k| (k * k + k / 3) % 5 != 1).collect();
            let pattern = Pattern::new(&observed, rows, columns);
            let v: Vec<f64> = (0..columns).map(|j| 0.5 + (j % 7) as f64).collect();
            let u: Vec<f64> = (0..rows).map(|i| 1.0 + (i % 3) as f64).collect();
            let seen = |i: usize, j: usize| f64::from(u8::from(observed[i * columns + j]));
            let wide: Vec<f64> =
                (0..rows).map(|i| (0..columns).map(|j| seen(i, j) * v[j]).sum::<f64>()).collect();
            let deep: Vec<f64> =
                (0..columns).map(|j| (0..rows).map(|i| seen(i, j) * u[i]).sum::<f64>()).collect();
            let (mut across, mut down) = (vec![1.0; rows], vec![1.0; columns]);
            pattern.across(&v, &mut across);
            pattern.down(&u, &mut down);
            assert_eq!((across, down), (wide, deep), "halves add exactly: {rows} × {columns}");
        }
    }
}
