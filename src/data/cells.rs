//! Collecting cells in any order into a sparse tensor: where some fall on one place, sort by place and add.

use rayon::prelude::*;

use super::indices::Indices;
use crate::numeric::share;
use crate::numeric::sum::Compensated;

/// How the indices of a cell are packed into one number, so that numbers sort as cells do.
#[derive(Debug, Clone)]
pub(crate) struct Packing {
    /// Levels of each mode.
    sizes: Vec<usize>,
    /// Bits below the index of each mode.
    shifts: Vec<u32>,
    /// Bits of the index of each mode.
    pub widths: Vec<u32>,
    /// Bits of all of them.
    pub bits: u32,
}

impl Packing {
    pub fn new(sizes: &[usize]) -> Self {
        let widths: Vec<u32> =
            sizes.iter().map(|n| usize::BITS - n.saturating_sub(1).leading_zeros()).collect();
        let mut shifts = vec![0; sizes.len()];
        let mut bits: u32 = 0;
        for (shift, width) in shifts.iter_mut().zip(&widths).rev() {
            *shift = bits;
            bits = bits.saturating_add(*width);
        }
        Self { sizes: sizes.to_vec(), shifts, widths, bits }
    }
}

/// Indices from which it is worth sharing the work of unpacking them.
const SHARED: usize = 1 << 19;

/// A number wide enough for the packed indices of a cell.
trait Key: Copy + Ord + Send + Sync {
    fn pack(index: &[u32], packing: &Packing) -> Self;
    fn unpack(self, shift: u32, width: u32) -> u32;
}

macro_rules! keys {
    ($($t:ty)*) => { $(impl Key for $t {
        #[inline]
        fn pack(index: &[u32], packing: &Packing) -> Self {
            index.iter().zip(&packing.widths).fold(0, |key, (i, width)| {
                // a mode of one level takes no bits, and its index is 0
                key.checked_shl(*width).unwrap_or(0) | <$t>::from(*i)
            })
        }
        #[inline]
        fn unpack(self, shift: u32, width: u32) -> u32 {
            let mask = ((1u64 << width.min(32)) - 1) as u32;
            self.checked_shr(shift).unwrap_or(0) as u32 & mask
        }
    })* };
}
keys!(u64 u128);

enum Keys {
    Small(Vec<u64>),
    Large(Vec<u128>),
    /// Too many modes to pack: the indices of one cell after another.
    Rows(Vec<u32>),
}

/// Cells in the order in which they are found.
pub(crate) struct Cells {
    packing: Packing,
    keys: Keys,
    /// Empty as long as every cell counts for one.
    values: Vec<f64>,
    weighted: bool,
}

/// Distinct cells without zeros: as they came where no cell came twice, in lexicographic order otherwise.
pub(crate) struct Merged {
    pub coordinates: Vec<Indices>,
    pub values: Vec<f64>,
}

impl Cells {
    /// No cells yet. With `weighted` every cell brings a value, otherwise each counts for one.
    pub fn new(sizes: &[usize], weighted: bool, capacity: usize) -> Self {
        let packing = Packing::new(sizes);
        let keys = match packing.bits {
            0..=64 => Keys::Small(Vec::with_capacity(capacity)),
            65..=128 => Keys::Large(Vec::with_capacity(capacity)),
            _ => Keys::Rows(Vec::with_capacity(capacity.saturating_mul(sizes.len()))),
        };
        let values = Vec::with_capacity(if weighted { capacity } else { 0 });
        Self { packing, keys, values, weighted }
    }

    /// Adds `value` to the cell at `index`, which must lie within the sizes.
    #[inline]
    pub fn push(&mut self, index: &[u32], value: f64) {
        match &mut self.keys {
            Keys::Small(keys) => keys.push(u64::pack(index, &self.packing)),
            Keys::Large(keys) => keys.push(u128::pack(index, &self.packing)),
            Keys::Rows(rows) => rows.extend_from_slice(index),
        }
        if self.weighted {
            self.values.push(value);
        }
    }

    /// Sorts and adds. Values of one cell are added in the order in which they came.
    pub fn merge(self) -> Merged {
        match self.keys {
            Keys::Small(keys) => merge_keys(keys, self.values, self.weighted, &self.packing),
            Keys::Large(keys) => merge_keys(keys, self.values, self.weighted, &self.packing),
            Keys::Rows(rows) => merge_rows(&rows, &self.values, self.weighted, &self.packing.sizes),
        }
    }
}

fn merge_keys<K: Key>(mut keys: Vec<K>, mut values: Vec<f64>, weighted: bool, packing: &Packing) -> Merged {
    if !weighted {
        keys.par_sort_unstable();
        let mut distinct: Vec<K> = Vec::new();
        for key in keys {
            if distinct.last() == Some(&key) {
                if let Some(count) = values.last_mut() {
                    *count += 1.0;
                }
            } else {
                distinct.push(key);
                values.push(1.0);
            }
        }
        return Merged { coordinates: unpack(&distinct, packing), values };
    }
    let strictly_sorted = keys.windows(2).all(|w| matches!(w, [a, b] if a < b));
    if strictly_sorted {
        if values.contains(&0.0) {
            let mut kept = values.iter().map(|v| *v != 0.0);
            keys.retain(|_| kept.next().unwrap_or(false));
            values.retain(|v| *v != 0.0);
        }
        return Merged { coordinates: unpack(&keys, packing), values };
    }
    // the place in the file makes equal keys different, so that an unstable sort has one outcome
    let mut order: Vec<(K, usize)> = keys.into_iter().zip(0..).collect();
    order.par_sort_unstable();
    // most lists of cells name a cell once, so the room they take is known
    let mut distinct = Vec::with_capacity(order.len());
    let mut sums = Vec::with_capacity(order.len());
    let mut entries = order.into_iter().peekable();
    while let Some((key, at)) = entries.next() {
        let mut sum = Compensated::default();
        sum.add(values.get(at).copied().unwrap_or(0.0));
        while let Some((_, at)) = entries.next_if(|(k, _)| *k == key) {
            sum.add(values.get(at).copied().unwrap_or(0.0));
        }
        if sum.value() != 0.0 {
            distinct.push(key);
            sums.push(sum.value());
        }
    }
    Merged { coordinates: unpack(&distinct, packing), values: sums }
}

fn unpack<K: Key>(keys: &[K], packing: &Packing) -> Vec<Indices> {
    share::pieces(keys.len() * packing.sizes.len() >= SHARED, packing.sizes.len(), |mode| {
        let (shift, width) = (packing.shifts[mode], packing.widths[mode]);
        Indices::new(packing.sizes[mode], keys.iter().map(|k| k.unpack(shift, width)))
    })
}

fn merge_rows(rows: &[u32], values: &[f64], weighted: bool, sizes: &[usize]) -> Merged {
    let modes = sizes.len();
    let row = |i: usize| rows.get(i * modes..(i + 1) * modes).unwrap_or_default();
    let n = rows.len() / modes.max(1);
    let mut order: Vec<usize> = (0..n).collect();
    order.par_sort_unstable_by(|a, b| row(*a).cmp(row(*b)).then(a.cmp(b)));
    let mut cells = Vec::new();
    let mut sums = Vec::new();
    let value = |i: usize| if weighted { values.get(i).copied().unwrap_or(0.0) } else { 1.0 };
    let mut entries = order.into_iter().peekable();
    while let Some(first) = entries.next() {
        let mut sum = Compensated::default();
        sum.add(value(first));
        while let Some(same) = entries.next_if(|i| row(*i) == row(first)) {
            sum.add(value(same));
        }
        if sum.value() != 0.0 {
            cells.push(first);
            sums.push(sum.value());
        }
    }
    let levels = |(mode, n): (usize, &usize)| {
        Indices::new(*n, cells.iter().map(|i| row(*i).get(mode).copied().unwrap_or(0)))
    };
    Merged { coordinates: sizes.iter().enumerate().map(levels).collect(), values: sums }
}
