//! Work that threads may share. The first work that is handed out brings the other threads into being, which takes
//! longer than a small fit does and makes every allocation after it dearer: what is not worth sharing is done by
//! the thread that asks, and a run that never has anything to share stays alone. Pieces are the same either way,
//! and so are the results.

use rayon::prelude::*;

/// Cells of one pass over data from which it is worth sharing: about a millisecond.
pub const PASS: usize = 1 << 20;

/// Cells given by coordinates from which reading, sorting and counting them is worth sharing.
pub const LIST: usize = 1 << 14;

/// What becomes of each of so many pieces, in their order.
pub fn pieces<R: Send>(shared: bool, count: usize, work: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    if shared && count > 1 {
        (0..count).into_par_iter().map(work).collect()
    } else {
        (0..count).map(work).collect()
    }
}

/// Does something to each chunk of so many values, of which the last may be shorter; the number is the chunk's.
pub fn chunks<T: Send>(
    shared: bool,
    values: &mut [T],
    length: usize,
    work: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    let length = length.max(1);
    if shared && values.len() > length {
        values.par_chunks_mut(length).enumerate().for_each(|(k, chunk)| work(k, chunk));
    } else {
        values.chunks_mut(length).enumerate().for_each(|(k, chunk)| work(k, chunk));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_chunks_are_the_same_for_one_thread_and_for_many() {
        for shared in [false, true] {
            assert_eq!(pieces(shared, 5, |k| k * k), [0, 1, 4, 9, 16]);
            assert!(pieces(shared, 0, |k| k).is_empty());
            let mut values = [1; 7];
            chunks(shared, &mut values, 3, |k, chunk| chunk.iter_mut().for_each(|x| *x += k));
            assert_eq!(values, [1, 1, 1, 2, 2, 2, 3]);
        }
    }
}
