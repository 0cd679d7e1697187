//! The matrix product under every product of factors. A tile of the result stays in registers while the
//! summed index runs; every cell is one chain of fused operations in the order of that index, so that the
//! bits are the same on every processor that has fused operations, whatever the width of its vectors.

use pulp::Simd;

/// Vectors of columns a tile holds.
const WIDE: usize = 2;

/// Rows of a tile where there are 32 registers of eight doubles, and where there are 16 of four or fewer.
const TALL: usize = 12;
const LOW: usize = 6;

/// Rows of a tile for what is left: for more than four of them, and for up to four.
const HALF: usize = 8;
const REST: usize = 4;

/// Cells between two rows of a left matrix, for as many columns as `rows`: whole lines of the cache, and an
/// odd number of them, so that a column does not fall on a few places of the cache.
pub fn stride(rows: usize) -> usize {
    (rows.div_ceil(8) | 1) * 8
}

/// Packs a right matrix of `columns` × `over` cells into panels of as many columns as a tile holds. The
/// columns that fill the last panel are zero.
pub fn pack(matrix: &[f64], over: usize, onto: &mut Vec<f64>) {
    pulp::Arch::new().dispatch(Pack { matrix, over, onto });
}

struct Pack<'a> {
    matrix: &'a [f64],
    over: usize,
    onto: &'a mut Vec<f64>,
}

impl pulp::WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { matrix, over, onto } = self;
        let wide = WIDE * S::F64_LANES;
        let columns = matrix.len() / over.max(1);
        onto.resize(columns.div_ceil(wide) * wide * over, 0.0);
        for (panel, own) in onto.chunks_exact_mut(over.max(1) * wide).zip(matrix.chunks(over.max(1) * wide)) {
            if own.len() < panel.len() {
                panel.fill(0.0);
            }
            for (lane, column) in own.chunks_exact(over.max(1)).enumerate() {
                panel[lane..].iter_mut().step_by(wide).zip(column).for_each(|(p, x)| *p = *x);
            }
        }
    }
}

/// A packed right matrix with each row of its summed index multiplied by a number; with `also` another one, of the
/// same shape and with numbers of its own, is added.
pub(super) fn scale_packed(packed: &[f64], by: &[f64], also: Option<(&[f64], &[f64])>, onto: &mut Vec<f64>) {
    onto.resize(packed.len(), 0.0);
    pulp::Arch::new().dispatch(ScalePacked { packed, by, also, onto });
}

struct ScalePacked<'a> {
    packed: &'a [f64],
    by: &'a [f64],
    also: Option<(&'a [f64], &'a [f64])>,
    onto: &'a mut [f64],
}

impl pulp::WithSimd for ScalePacked<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { packed, by, also, onto } = self;
        let (packed, _) = S::as_simd_f64s(packed);
        let (onto, _) = S::as_mut_simd_f64s(onto);
        let (packed, _) = packed.as_chunks::<WIDE>();
        let (onto, _) = onto.as_chunks_mut::<WIDE>();
        let panels = onto.chunks_exact_mut(by.len().max(1)).zip(packed.chunks_exact(by.len().max(1)));
        match also {
            None => {
                for (onto, packed) in panels {
                    for ((o, p), x) in onto.iter_mut().zip(packed).zip(by) {
                        let x = simd.splat_f64s(*x);
                        (0..WIDE).for_each(|w| o[w] = simd.mul_f64s(p[w], x));
                    }
                }
            }
            Some((other, of_other)) => {
                let (other, _) = S::as_simd_f64s(other);
                let (other, _) = other.as_chunks::<WIDE>();
                for ((onto, packed), other) in panels.zip(other.chunks_exact(by.len().max(1))) {
                    let numbers = by.iter().zip(of_other);
                    for (((o, p), q), (x, y)) in onto.iter_mut().zip(packed).zip(other).zip(numbers) {
                        let (x, y) = (simd.splat_f64s(*x), simd.splat_f64s(*y));
                        (0..WIDE).for_each(|w| o[w] = simd.mul_add_e_f64s(q[w], y, simd.mul_f64s(p[w], x)));
                    }
                }
            }
        }
    }
}

/// `onto ← leftᵀ · right`, or `onto ← onto + leftᵀ · right` with `add`. The left matrix has a row of
/// [`stride`] cells for each value of the summed index, the right one is [`pack`]ed, and the result is row-major
/// with `columns` cells a row. 2 · rows · columns · over operations.
pub fn multiply(left: &[f64], right: &[f64], onto: &mut [f64], columns: usize, over: usize, add: bool) {
    if columns > 0 && over > 0 {
        pulp::Arch::new().dispatch(Multiply { left, right, onto, columns, over, add });
    }
}

struct Multiply<'a> {
    left: &'a [f64],
    right: &'a [f64],
    onto: &'a mut [f64],
    columns: usize,
    over: usize,
    add: bool,
}

impl pulp::WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let rows = self.onto.len() / self.columns;
        if S::F64_LANES >= 8 {
            let done = self.stripes::<S, TALL>(simd, 0, (rows + REST - 1) / TALL);
            let done = self.stripes::<S, HALF>(simd, done, usize::from(rows > done + REST));
            self.stripes::<S, REST>(simd, done, rows.saturating_sub(done).div_ceil(REST));
        } else {
            let done = self.stripes::<S, LOW>(simd, 0, rows / LOW);
            self.stripes::<S, REST>(simd, done, (rows - done).div_ceil(REST));
        }
    }
}

impl Multiply<'_> {
    /// `count` times `R` rows from `row`; the row after them.
    #[inline(always)]
    fn stripes<S: Simd, const R: usize>(&mut self, simd: S, row: usize, count: usize) -> usize {
        let Self { left, right, onto, columns, over, add } = self;
        let (lanes, columns, over) = (S::F64_LANES, *columns, *over);
        let wide = WIDE * lanes;
        let stride = stride(onto.len() / columns);
        let stripes = onto.get_mut(row * columns..).unwrap_or_default().chunks_mut(R * columns);
        for (k, out) in stripes.take(count).enumerate() {
            // cells beyond the last row are read and their sums dropped
            let Some(left) = left.get(row + k * R..) else { continue };
            for (panel, right) in right.chunks_exact(over * wide).enumerate() {
                let (right, _) = S::as_simd_f64s(right);
                let (right, _) = right.as_chunks::<WIDE>();
                let from = panel * wide;
                let steps = left.chunks(stride).filter_map(|l| l.first_chunk::<R>()).zip(right);
                let sums = if columns - from > lanes {
                    tile::<S, R, WIDE>(simd, steps)
                } else {
                    tile::<S, R, 1>(simd, steps)
                };
                // whole loops over constants, so that the tile never needs an address
                let mut rows = out.chunks_exact_mut(columns);
                for sums in sums {
                    let Some(row) = rows.next() else { break };
                    let mut cells = row[from..].chunks_mut(lanes);
                    for sum in sums {
                        let Some(cells) = cells.next() else { break };
                        match S::as_mut_simd_f64s(cells) {
                            // a part of a vector is a call on some processors, a whole one an instruction
                            ([whole], _) => *whole = if *add { simd.add_f64s(*whole, sum) } else { sum },
                            _ if *add => {
                                let kept = simd.partial_load_f64s(cells);
                                simd.partial_store_f64s(cells, simd.add_f64s(kept, sum));
                            }
                            _ => simd.partial_store_f64s(cells, sum),
                        }
                    }
                }
            }
        }
        row + count * R
    }
}

/// The sums of one tile, of which `W` vectors a row are wanted.
#[inline(always)]
fn tile<'a, S: Simd, const R: usize, const W: usize>(
    simd: S,
    steps: impl Iterator<Item = (&'a [f64; R], &'a [S::f64s; WIDE])>,
) -> [[S::f64s; WIDE]; R]
where
    S::f64s: 'a,
{
    let mut sums = [[simd.splat_f64s(0.0); WIDE]; R];
    for (x, b) in steps {
        for r in 0..R {
            let x = simd.splat_f64s(x[r]);
            for w in 0..W {
                sums[r][w] = simd.mul_add_e_f64s(x, b[w], sums[r][w]);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_multiplied_as_the_definition_says() {
        for rows in [1usize, 3, 4, 5, 8, 9, 11, 12, 13, 17, 20, 30, 47] {
            for columns in [1usize, 2, 7, 8, 9, 15, 16, 17, 33] {
                for over in [1usize, 2, 5, 31] {
                    // whole numbers add exactly
                    let left = |o: usize, r: usize| ((o * 7 + r * 3) % 11) as f64 - 4.0;
                    let right = |c: usize, o: usize| ((c * 5 + o) % 13) as f64 - 6.0;
                    let step = stride(rows);
                    assert!(step >= rows.next_multiple_of(REST) && (step / 8) % 2 == 1);
                    let mut a = vec![f64::NAN; step * over];
                    (0..over).for_each(|o| (0..rows).for_each(|r| a[o * step + r] = left(o, r)));
                    let b: Vec<f64> = (0..columns * over).map(|i| right(i / over, i % over)).collect();
                    let mut packed = vec![3.0; 5];
                    pack(&b, over, &mut packed);
                    let mut onto = vec![9.0; rows * columns];
                    multiply(&a, &packed, &mut onto, columns, over, false);
                    let want: Vec<f64> = (0..rows * columns)
                        .map(|i| (0..over).map(|o| left(o, i / columns) * right(i % columns, o)).sum())
                        .collect();
                    assert_eq!(onto, want, "{rows} × {columns} over {over}");
                    multiply(&a, &packed, &mut onto, columns, over, true);
                    assert!(onto.iter().zip(&want).all(|(o, w)| *o == 2.0 * w));
                }
            }
        }
    }
}
