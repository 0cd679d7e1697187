//! Whether some numbers are all different, without sorting them.

use rayon::prelude::*;

/// Numbers of a part, about: a table of them fits the nearest cache.
const PART: usize = 2048;

/// Most parts, so that as many places are written to at a time.
const PARTS: usize = 1 << 14;

/// Runs of numbers that are dealt out at the same time.
const RUNS: usize = 8;

/// Numbers from which more than one thread is worth it.
const LARGE: usize = 1 << 18;

/// An odd number whose multiples are spread evenly (Knuth, TAOCP 3, §6.4): the golden ratio times 2⁶⁴.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Whether no number occurs twice. The numbers are dealt out by the top bits of a hash, and each part is
/// put into a small table. O(n) time, n numbers of room.
pub(crate) fn distinct(numbers: &[u64]) -> bool {
    let parts = (numbers.len() / PART).next_power_of_two().clamp(1, PARTS);
    let shift = u64::BITS - parts.trailing_zeros();
    let part_of = |hash: u64| hash.checked_shr(shift).unwrap_or(0) as usize;
    // one multiplication by an odd number is one-to-one, so hashes differ as the numbers do
    let deal = |run: &[u64]| -> Dealt {
        let mut ends = vec![0usize; parts + 1];
        for number in run {
            if let Some(count) = ends.get_mut(part_of(number.wrapping_mul(SPREAD)) + 1) {
                *count += 1;
            }
        }
        for part in 1..ends.len() {
            ends[part] += ends[part - 1];
        }
        let mut next = ends.clone();
        let mut hashes = vec![0u64; run.len()];
        for number in run {
            let hash = number.wrapping_mul(SPREAD);
            let place = &mut next[part_of(hash)];
            hashes[*place] = hash;
            *place += 1;
        }
        Dealt { hashes, ends }
    };
    let different = |dealt: &[Dealt], part: usize, table: &mut Vec<u64>| -> bool {
        let own = |d: &Dealt| d.ends[part]..d.ends[part + 1];
        let count: usize = dealt.iter().map(|d| own(d).len()).sum();
        let slots = (2 * count).next_power_of_two().max(2);
        table.clear();
        table.resize(slots, 0);
        let mut zeros = 0;
        for d in dealt {
            for hash in &d.hashes[own(d)] {
                // an empty slot is 0; one part at most has a number whose hash is 0
                if *hash == 0 {
                    zeros += 1;
                    continue;
                }
                // what the top bits tell apart has to reach the others: low bits may all be zero
                let mixed = (*hash ^ *hash >> 29).wrapping_mul(SPREAD);
                let mut at = (mixed >> 32) as usize & (slots - 1);
                while table[at] != 0 {
                    if table[at] == *hash {
                        return false;
                    }
                    at = (at + 1) & (slots - 1);
                }
                table[at] = *hash;
            }
        }
        zeros <= 1
    };
    if numbers.len() < LARGE {
        let dealt = [deal(numbers)];
        let mut table = Vec::new();
        return (0..parts).all(|part| different(&dealt, part, &mut table));
    }
    let dealt: Vec<Dealt> = numbers.par_chunks(numbers.len().div_ceil(RUNS)).map(deal).collect();
    let parts = (0..parts).into_par_iter().with_min_len(16);
    parts.map_init(Vec::new, |table, part| different(&dealt, part, table)).all(|different| different)
}

/// Hashes in the order of their parts, and where each part begins and ends.
struct Dealt {
    hashes: Vec<u64>,
    ends: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::distinct;

    #[test]
    fn one_repetition_is_found_wherever_it_is() {
        for n in [1usize, 2, 7, 2048, 5000, 100_000, 300_000] {
            let mut numbers: Vec<u64> = (0..n as u64).map(|i| i * i + 3 * i).collect();
            assert!(distinct(&numbers), "{n}");
            if n < 2 {
                continue;
            }
            for (from, to) in [(0, n - 1), (n / 2, n / 3), (n - 1, 0)] {
                if from == to {
                    continue;
                }
                let kept = numbers[to];
                numbers[to] = numbers[from];
                assert!(!distinct(&numbers), "{n}: {from} and {to}");
                numbers[to] = kept;
            }
        }
        let high: Vec<u64> = (0..200_000u64).map(|i| i << 44).collect();
        assert!(distinct(&high));
        assert!(distinct(&[]));
        assert!(!distinct(&[u64::MAX, 0, u64::MAX]));
    }
}
