//! Truth values of a table, a bit each: whole rows of its last axis are looked at a word at a time.

/// A table of truth values whose rows begin with a word of their own.
#[derive(Debug, Clone)]
pub struct Bits {
    /// Cells of a row.
    length: usize,
    /// Words of a row.
    words: usize,
    bits: Vec<u64>,
}

impl Bits {
    /// Of a row-major table with rows of `length` cells. O(cells).
    pub fn of(cells: &[bool], length: usize) -> Self {
        let length = length.max(1);
        let words = length.div_ceil(64);
        let mut bits = Vec::with_capacity(cells.len() / length * words);
        for row in cells.chunks_exact(length) {
            for part in row.chunks(64) {
                let bytes: &[u8] = bytemuck::cast_slice(part);
                let (eights, rest) = bytes.as_chunks::<8>();
                // the product moves the lowest bit of every byte into the highest byte
                let gather = |b: &[u8; 8]| u64::from_le_bytes(*b).wrapping_mul(0x0102_0408_1020_4080) >> 56;
                let mut word = eights.iter().enumerate().fold(0, |w, (i, b)| w | gather(b) << (8 * i));
                let from = 8 * eights.len();
                word |= rest.iter().enumerate().fold(0, |w, (i, b)| w | u64::from(*b) << (from + i));
                bits.push(word);
            }
        }
        Self { length, words, bits }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.bits.len() / self.words
    }

    /// Words of a row.
    pub fn words(&self) -> usize {
        self.words
    }

    /// The words of a row.
    pub fn row(&self, row: usize) -> &[u64] {
        &self.bits[row * self.words..(row + 1) * self.words]
    }

    /// As [`Bits::row`].
    pub fn row_mut(&mut self, row: usize) -> &mut [u64] {
        &mut self.bits[row * self.words..(row + 1) * self.words]
    }

    /// How many cells are true. O(words).
    pub fn count(&self) -> usize {
        self.bits.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// A row of which every cell is true.
    pub fn full(&self) -> Vec<u64> {
        let mut row = vec![u64::MAX; self.words];
        if let (Some(last), over) = (row.last_mut(), self.length % 64)
            && over > 0
        {
            *last = (1 << over) - 1;
        }
        row
    }

    /// A truth value for each cell, row-major.
    pub fn cells(&self) -> Vec<bool> {
        let cell = |row: &[u64], i: usize| row[i / 64] >> (i % 64) & 1 == 1;
        let rows = self.bits.chunks_exact(self.words);
        rows.flat_map(|row| (0..self.length).map(move |i| cell(row, i))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        for length in [1usize, 7, 8, 30, 63, 64, 65, 130] {
            let cells: Vec<bool> = (0..3 * length).map(|i| i * i % 7 < 3).collect();
            let bits = Bits::of(&cells, length);
            assert_eq!((bits.rows(), bits.cells()), (3, cells), "{length}");
            assert_eq!(Bits::of(&vec![true; length], length).row(0), bits.full(), "{length}");
        }
    }
}
