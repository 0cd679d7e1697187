//! Whether some numbers are all different, without sorting them: chunks of them are dealt out into parts
//! by a hash, wherever they come from, and each part is then put into a small table.

use rayon::prelude::*;

/// Numbers of a part, about: a table of them fits the nearest cache.
const PART: usize = 2048;

/// Most parts, so that as many places are written to at a time.
const PARTS: usize = 1 << 14;

/// Numbers of a chunk for each part, so that what is read of a chunk at a time is some lines of memory.
const RUN: usize = 16;

/// Fewest numbers of a chunk.
const CHUNK: usize = 1 << 13;

/// Parts a thread takes at a time.
const SHARE: usize = 16;

/// An odd number whose multiples are spread evenly (Knuth, TAOCP 3, §6.4): the golden ratio times 2⁶⁴.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// How numbers are dealt out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dealing {
    parts: usize,
    shift: u32,
}

impl Dealing {
    /// For so many numbers.
    pub fn of(numbers: usize) -> Self {
        let parts = (numbers / PART).next_power_of_two().clamp(1, PARTS);
        Self { parts, shift: u64::BITS - parts.trailing_zeros() }
    }

    /// Numbers that are dealt out at a time; the last chunk is shorter.
    pub fn chunk(&self) -> usize {
        (RUN * self.parts).max(CHUNK)
    }

    /// Writes the hashes of a chunk in the order of their parts, and says where each part begins and the
    /// last ends. O(numbers + parts) time.
    pub fn deal(&self, chunk: &[u64], hashes: &mut [u64]) -> Box<[u32]> {
        let mut ends = vec![0u32; self.parts + 1].into_boxed_slice();
        for number in chunk {
            ends[self.part(number.wrapping_mul(SPREAD)) + 1] += 1;
        }
        for part in 1..ends.len() {
            ends[part] += ends[part - 1];
        }
        let mut next = ends.clone();
        for number in chunk {
            // a multiplication by an odd number is one-to-one, so hashes differ as the numbers do
            let hash = number.wrapping_mul(SPREAD);
            let place = &mut next[self.part(hash)];
            hashes[*place as usize] = hash;
            *place += 1;
        }
        ends
    }

    /// Whether no hash occurs twice in chunks that were dealt out. O(numbers) time, a small table of room.
    pub fn distinct(&self, dealt: &[(&[u64], &[u32])]) -> bool {
        (0..self.parts)
            .into_par_iter()
            .with_min_len(SHARE)
            .map_init(Vec::new, |table, part| {
                let own = |ends: &[u32]| ends[part] as usize..ends[part + 1] as usize;
                let count = dealt.iter().map(|(_, ends)| own(ends).len()).sum();
                different(dealt.iter().flat_map(|(hashes, ends)| &hashes[own(ends)]), count, table)
            })
            .all(|different| different)
    }

    fn part(&self, hash: u64) -> usize {
        hash.checked_shr(self.shift).unwrap_or(0) as usize
    }
}

/// Whether so many hashes are all different.
fn different<'a>(hashes: impl Iterator<Item = &'a u64>, count: usize, table: &mut Vec<u64>) -> bool {
    let slots = (2 * count).next_power_of_two().max(2);
    table.clear();
    table.resize(slots, 0);
    let mut zeros = 0;
    for hash in hashes {
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
    zeros <= 1
}

#[cfg(test)]
mod tests {
    use super::Dealing;

    fn distinct(numbers: &[u64]) -> bool {
        let dealing = Dealing::of(numbers.len());
        let dealt: Vec<_> = numbers
            .chunks(dealing.chunk())
            .map(|chunk| {
                let mut hashes = vec![0; chunk.len()];
                let ends = dealing.deal(chunk, &mut hashes);
                (hashes, ends)
            })
            .collect();
        dealing.distinct(&dealt.iter().map(|(hashes, ends)| (&hashes[..], &ends[..])).collect::<Vec<_>>())
    }

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
