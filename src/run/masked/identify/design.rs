//! Products with rows of zeros and ones, for several vectors at once.

use rayon::prelude::*;

use super::Listed;

/// Vectors that are multiplied at once.
pub(super) const LANES: usize = 4;

/// One number of each of them.
pub(super) type Lanes = [f64; LANES];

/// Numbers that are summed in one go; fixed, so that sums do not depend on the number of threads.
pub(super) const BLOCK: usize = 1 << 12;

/// Rows whose images are kept at once.
const ROWS: usize = 1 << 15;

/// Rows by their columns: four bytes for each row, and for each of its columns.
pub(super) struct Design {
    /// The columns of all rows, one row after another.
    items: Vec<u32>,
    /// Where each row ends.
    ends: Vec<u32>,
    /// How many times each column is listed.
    counts: Vec<u32>,
    /// Where each place of a row has its columns, when these are parted by place: the place and its first column.
    parted: Option<Vec<(usize, usize)>>,
}

impl Design {
    /// Lists rows; none when they have more entries than can be numbered.
    pub fn of(rows: Listed, columns: usize) -> Option<Design> {
        let (mut items, mut ends) = (Vec::new(), Vec::with_capacity(rows.count));
        let mut counts = vec![0u32; columns];
        for r in 0..rows.count {
            let row = (rows.of)(r);
            if r == 0 {
                items.reserve_exact(rows.count.checked_mul(row.len())?);
            }
            for c in row {
                counts[c] += 1;
                items.push(u32::try_from(c).ok()?);
            }
            ends.push(u32::try_from(items.len()).ok()?);
        }
        let mut design = Design { items, ends, counts, parted: None };
        design.parted = design.parted();
        Some(design)
    }

    /// How many times each column is listed.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// The entries of all rows together.
    pub fn entries(&self) -> usize {
        self.items.len()
    }

    /// Sets `out` to Aᵀ A z for the matrix A of the rows; returns the sum of squares of A z, for each vector.
    /// O(entries).
    pub fn normal(&self, z: &[Lanes], out: &mut [Lanes]) -> Lanes {
        out.fill([0.0; LANES]);
        let mut total = [0.0; LANES];
        let mut image = vec![[0.0; LANES]; ROWS.min(self.ends.len())];
        for start in (0..self.ends.len()).step_by(ROWS) {
            let rows = start..(start + ROWS).min(self.ends.len());
            let image = &mut image[..rows.len()];
            let parts: Vec<Lanes> = image
                .par_chunks_mut(BLOCK)
                .enumerate()
                .map(|(b, image)| self.image(start + b * BLOCK, z, image))
                .collect();
            parts.iter().for_each(|p| total.iter_mut().zip(p).for_each(|(t, p)| *t += p));
            self.back(start, image, out);
        }
        total
    }

    fn row(&self, r: usize) -> &[u32] {
        let start = if r == 0 { 0 } else { self.ends[r - 1] };
        &self.items[start as usize..self.ends[r] as usize]
    }

    /// What some rows make of vectors, and the sums of squares of that.
    fn image(&self, start: usize, z: &[Lanes], image: &mut [Lanes]) -> Lanes {
        let mut squares = [0.0; LANES];
        for (r, image) in image.iter_mut().enumerate() {
            let mut sums = [0.0; LANES];
            for c in self.row(start + r) {
                sums.iter_mut().zip(&z[*c as usize]).for_each(|(s, z)| *s += z);
            }
            squares.iter_mut().zip(&sums).for_each(|(q, s)| *q += s * s);
            *image = sums;
        }
        squares
    }

    /// Adds combinations of some rows. Places of rows whose columns are apart go side by side.
    fn back(&self, start: usize, image: &[Lanes], out: &mut [Lanes]) {
        let plus = |out: &mut Lanes, y: &Lanes| out.iter_mut().zip(y).for_each(|(o, y)| *o += y);
        let Some(parted) = &self.parted else {
            for (r, y) in image.iter().enumerate() {
                self.row(start + r).iter().for_each(|c| plus(&mut out[*c as usize], y));
            }
            return;
        };
        let mut slices = Vec::with_capacity(parted.len());
        let mut rest = out;
        for (place, first) in parted.iter().rev() {
            let (before, own) = rest.split_at_mut(*first);
            slices.push((*place, *first, own));
            rest = before;
        }
        slices.into_par_iter().for_each(|(place, first, own)| {
            let width = parted.len();
            let items = &self.items[start * width..(start + image.len()) * width];
            for (row, y) in items.chunks_exact(width).zip(image) {
                plus(&mut own[row[place] as usize - first], y);
            }
        });
    }

    /// The places of rows in the order of their columns, with the first column of each, when all rows have as many
    /// and no two places have columns between each other.
    fn parted(&self) -> Option<Vec<(usize, usize)>> {
        let width = *self.ends.first()? as usize;
        if width == 0 || (0..self.ends.len()).any(|r| self.row(r).len() != width) {
            return None;
        }
        let mut ranges = vec![(u32::MAX, 0u32); width];
        for row in self.items.chunks_exact(width) {
            for ((low, high), c) in ranges.iter_mut().zip(row) {
                (*low, *high) = ((*low).min(*c), (*high).max(*c));
            }
        }
        let mut places: Vec<usize> = (0..width).collect();
        places.sort_by_key(|p| ranges[*p]);
        let apart = places.windows(2).all(|w| ranges[w[0]].1 < ranges[w[1]].0);
        apart.then(|| places.into_iter().map(|p| (p, ranges[p].0 as usize)).collect())
    }
}
