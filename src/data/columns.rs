//! Coordinates in rows to one column per mode, in blocks that stay in the cache.

use rayon::prelude::*;

use super::cells::Packing;
use super::distinct::Dealing;
use super::indices::{Indices, Part};
use super::tensor::Element;

/// Rows that are walked once for each mode: their coordinates fit the nearest cache.
const BLOCK: usize = 256;

/// An odd number that mixes indices into a fingerprint (the golden ratio times 2⁶⁴).
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// How an array of coordinates lies in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows {
    /// Number of rows.
    pub count: usize,
    /// Distance between the coordinates of one mode in neighbouring rows.
    pub row_step: usize,
    /// Distance between the coordinates of one row for neighbouring modes.
    pub mode_step: usize,
}

/// One column per mode, when every coordinate is below the size of its mode and no cell occurs twice;
/// none otherwise. O(coordinates), and eight bytes of room per row beside the columns.
pub(crate) fn columns<T: Element>(all: &[T], rows: Rows, sizes: &[usize]) -> Option<Vec<Indices>> {
    let packing = Packing::new(sizes);
    // packed indices tell cells apart; fingerprints that are the same may be of different cells
    let exact = packing.bits <= u64::BITS;
    let dealing = Dealing::of(rows.count);
    let share = dealing.chunk();
    let mut columns: Vec<Indices> = sizes.iter().map(|n| Indices::zeros(*n, rows.count)).collect();
    let mut shares: Vec<Vec<Part>> = Vec::new();
    shares.resize_with(rows.count.div_ceil(share), Vec::new);
    for column in &mut columns {
        for (share, part) in shares.iter_mut().zip(column.parts(share)) {
            share.push(part);
        }
    }
    let mut prints = vec![0u64; rows.count];
    let chunks: Option<Vec<Chunk>> = shares
        .into_par_iter()
        .zip(prints.par_chunks_mut(share))
        .enumerate()
        .map_init(Vec::new, |room, (k, (mut columns, prints))| {
            room.resize(prints.len(), 0u64);
            let mut allowed = true;
            for (n, block) in room.chunks_mut(BLOCK).enumerate() {
                for (mode, (column, size)) in columns.iter_mut().zip(sizes).enumerate() {
                    let first = (k * share + n * BLOCK) * rows.row_step + mode * rows.mode_step;
                    let mut indices = [0u32; BLOCK];
                    let indices = &mut indices[..block.len()];
                    let cells = all.get(first..).unwrap_or_default().iter().step_by(rows.row_step);
                    indices.iter_mut().zip(cells).for_each(|(i, x)| *i = x.index());
                    column.write(n * BLOCK, indices);
                    let most = indices.iter().fold(0, |most, i| most.max(*i));
                    allowed &= (most as usize) < *size;
                    let width = exact.then_some(packing.widths[mode]);
                    take_in(block, indices, width, mode == 0);
                }
            }
            allowed.then(|| Chunk::of(room, prints, exact, &dealing))
        })
        .collect();
    let mut chunks = chunks?;
    let ascending = chunks.iter().all(|c| c.ends.is_none())
        && chunks.windows(2).all(|c| matches!(c, [a, b] if a.last < b.first));
    if ascending {
        return Some(columns);
    }
    for (chunk, prints) in chunks.iter_mut().zip(prints.chunks_mut(share)) {
        if chunk.ends.is_none() {
            let own = prints.to_vec();
            chunk.ends = Some(dealing.deal(&own, prints));
        }
    }
    let dealt: Vec<(&[u64], &[u32])> =
        prints.chunks(share).zip(chunks.iter().flat_map(|c| c.ends.as_deref())).collect();
    dealing.distinct(&dealt).then_some(columns)
}

/// Takes the indices along one more mode into the fingerprints of their rows: of `width` bits where
/// all of them fit, mixed otherwise.
fn take_in(prints: &mut [u64], indices: &[u32], width: Option<u32>, first: bool) {
    let both = prints.iter_mut().zip(indices.iter().map(|i| u64::from(*i)));
    match (width, first) {
        (Some(_), true) => both.for_each(|(print, i)| *print = i),
        (Some(width), false) => {
            both.for_each(|(print, i)| *print = print.checked_shl(width).unwrap_or(0) | i)
        }
        (None, true) => both.for_each(|(print, i)| *print = mixed(i)),
        (None, false) => both.for_each(|(print, i)| *print = mixed(*print ^ i)),
    }
}

fn mixed(print: u64) -> u64 {
    print.wrapping_mul(MIX).rotate_left(29)
}

/// Fingerprints of some rows in a row.
struct Chunk {
    first: u64,
    last: u64,
    /// Where their parts end, once they are dealt out; they are left alone while they only grow.
    ends: Option<Box<[u32]>>,
}

impl Chunk {
    /// Puts fingerprints down at their place.
    fn of(prints: &[u64], onto: &mut [u64], exact: bool, dealing: &Dealing) -> Self {
        let ascending = exact && prints.is_sorted_by(|a, b| a < b);
        let ends = if ascending {
            onto.copy_from_slice(prints);
            None
        } else {
            Some(dealing.deal(prints, onto))
        };
        let end = |print: Option<&u64>| print.copied().unwrap_or(0);
        Self { first: end(prints.first()), last: end(prints.last()), ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [usize; 2] = [300, 200];

    fn of(cells: &[u32]) -> Option<Vec<Indices>> {
        let all: Vec<i32> = cells.iter().flat_map(|c| [c / 200, c % 200]).map(|i| i as i32).collect();
        columns(&all, Rows { count: cells.len(), row_step: 2, mode_step: 1 }, &SIZES)
    }

    #[test]
    fn rows_of_any_order_are_columns_unless_a_cell_comes_again() {
        let growing: Vec<u32> = (0..20_000).map(|k| 3 * k).collect();
        // chunks that grow, but not one after the other, and chunks that do not grow beside some that do
        let turned: Vec<u32> = growing.iter().copied().skip(8192).chain((0..8192).map(|k| 3 * k)).collect();
        let mut mixed = growing.clone();
        mixed[9000..9500].reverse();
        for cells in [&growing, &turned, &mixed] {
            let columns = of(cells).expect("they are all different");
            let own = |k: usize| (columns[0].at(k) * 200 + columns[1].at(k)) as u32;
            assert!(cells.iter().enumerate().all(|(k, c)| own(k) == *c));
            for (from, to) in [(0, 1), (0, 19_999), (8191, 8192), (9200, 17_000)] {
                let mut again = cells.clone();
                again[to] = again[from];
                assert_eq!(of(&again), None, "{from} at {to}");
            }
        }
        let chunk: Vec<u32> = growing[..8192].to_vec();
        assert_eq!(of(&[chunk.clone(), chunk].concat()), None);
    }

    #[test]
    fn an_index_beyond_its_mode_is_left_to_who_can_name_it() {
        let mut all: Vec<i32> = (0..600).flat_map(|k| [k / 2, k % 2]).collect();
        let rows = Rows { count: 600, row_step: 2, mode_step: 1 };
        assert!(columns(&all, rows, &[300, 2]).is_some());
        assert_eq!(columns(&all, rows, &[299, 2]), None);
        all[77] = -1;
        assert_eq!(columns(&all, rows, &[300, 2]), None);
    }
}
