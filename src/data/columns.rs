//! Coordinates in rows to one column per mode, in blocks that stay in the cache.

use rayon::prelude::*;

use super::cells::Packing;
use super::distinct::distinct;
use super::indices::{Indices, Part};
use super::tensor::Element;

/// Rows a thread takes at a time.
const SHARE: usize = 1 << 13;

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
/// none otherwise. O(coordinates), and eight bytes of room per row beside the columns and what
/// [`distinct`] takes.
pub(crate) fn columns<T: Element>(all: &[T], rows: Rows, sizes: &[usize]) -> Option<Vec<Indices>> {
    let packing = Packing::new(sizes);
    let exact = packing.bits <= u64::BITS;
    let mut columns: Vec<Indices> = sizes.iter().map(|n| Indices::zeros(*n, rows.count)).collect();
    let mut prints = vec![0u64; rows.count];
    let mut shares: Vec<Vec<Part>> = Vec::new();
    shares.resize_with(rows.count.div_ceil(SHARE), Vec::new);
    for column in &mut columns {
        for (share, part) in shares.iter_mut().zip(column.parts(SHARE)) {
            share.push(part);
        }
    }
    let allowed = shares
        .into_par_iter()
        .zip(prints.par_chunks_mut(SHARE))
        .enumerate()
        .map(|(k, (mut share, prints))| {
            let mut allowed = true;
            let mut block = [0u32; BLOCK];
            for start in (0..prints.len()).step_by(BLOCK) {
                let end = (start + BLOCK).min(prints.len());
                let prints = &mut prints[start..end];
                for (mode, (column, size)) in share.iter_mut().zip(sizes).enumerate() {
                    let width = packing.widths[mode];
                    let first = (k * SHARE + start) * rows.row_step + mode * rows.mode_step;
                    let cells = all.get(first..).unwrap_or_default().iter().step_by(rows.row_step);
                    let indices = &mut block[..end - start];
                    indices.iter_mut().zip(cells).for_each(|(i, x)| *i = x.index());
                    column.write(start, indices);
                    let most = indices.iter().fold(0, |most, i| most.max(*i));
                    let both = prints.iter_mut().zip(&*indices);
                    if mode == 0 {
                        // written before it is read: memory that is fresh is handed out once
                        both.for_each(|(print, i)| {
                            let i = u64::from(*i);
                            *print = if exact { i } else { i.wrapping_mul(MIX).rotate_left(29) };
                        });
                    } else if exact {
                        both.for_each(|(print, i)| {
                            *print = print.checked_shl(width).unwrap_or(0) | u64::from(*i)
                        });
                    } else {
                        both.for_each(|(print, i)| {
                            *print = (*print ^ u64::from(*i)).wrapping_mul(MIX).rotate_left(29);
                        });
                    }
                    allowed &= (most as usize) < *size;
                }
            }
            allowed
        })
        .reduce(|| true, |a, b| a & b);
    // packed indices tell cells apart; fingerprints that are the same may be of different cells
    let ascending = || exact && prints.windows(2).all(|w| matches!(w, [a, b] if a < b));
    (allowed && (ascending() || distinct(&prints))).then_some(columns)
}
