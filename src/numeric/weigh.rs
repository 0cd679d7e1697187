//! What a pass over numbers finds out at once: their sum, Σ x ln x and the least of them.

use std::f64::consts::{LN_2, SQRT_2};

use super::sum::Compensated;
use super::vector::{ATANH, LANES, vectorised};

/// What some numbers weigh together.
#[derive(Debug, Clone, Copy)]
pub struct Weight {
    /// Their sum; not finite when one of them is not.
    pub total: Compensated,
    /// Σ x ln x in nats, with 0 ln 0 = 0, when all of them are finite and none is negative. A subnormal
    /// number takes a logarithm that is wrong by less than 37.
    pub x_ln_x: f64,
    /// The least of them and of 0.
    pub least: f64,
}

/// Numbers in one of the widest vectors; two vectors share a division.
const WIDTH: usize = LANES / 2;

/// Numbers that are read from two places at a time, half a strip apart, so that while one waits for its
/// memory page the other goes on.
const STRIP: usize = 4096;

/// Vectors from each place whose sums are plain before they join the rest with their rounding error.
const RUN: usize = 32;

vectorised! {
    /// Sum, entropy and least of some numbers, in lanes. One walk.
    weigh(values: &'a [f64]) -> Weight {
        let mut all = Sums::default();
        let mut lost = Sums::default();
        for strip in values.chunks(STRIP) {
            let half = strip.len() / LANES * WIDTH;
            let (left, right) = strip.split_at(half);
            let (right, rest) = right.split_at(half);
            let (left, right) = (left.as_chunks::<WIDTH>().0, right.as_chunks::<WIDTH>().0);
            for (left, right) in left.chunks(RUN).zip(right.chunks(RUN)) {
                let mut run = Sums { least: all.least, ..Sums::default() };
                for (x, y) in left.iter().zip(right) {
                    run.add(x, y);
                }
                all.join(&run, &mut lost);
            }
            if !rest.is_empty() {
                let mut last = [0.0; LANES];
                last.iter_mut().zip(rest).for_each(|(l, x)| *l = *x);
                let (ends, _) = last.as_chunks::<WIDTH>();
                let mut run = Sums { least: all.least, ..Sums::default() };
                run.add(&ends[0], &ends[1]);
                all.join(&run, &mut lost);
            }
        }
        let [all_x, powers, rests] = [
            total(&all.totals, &lost.totals),
            total(&all.powers, &lost.powers),
            total(&all.rests, &lost.rests),
        ];
        Weight {
            total: all_x,
            x_ln_x: LN_2.mul_add(powers.value() + 0.5 * all_x.value(), rests.value()),
            least: all.least.iter().fold(0.0, |least: f64, x| least.min(*x)),
        }
    }
}

/// Σ x, Σ x k and Σ x ln(m/√2) for x = 2ᵏ m with m from 1 to 2, and the least x, lane by lane.
#[derive(Default)]
struct Sums {
    totals: [f64; LANES],
    powers: [f64; LANES],
    rests: [f64; LANES],
    least: [f64; LANES],
}

impl Sums {
    /// ln(m/√2) = s P(s²) with s = (m − √2)/(m + √2), which is within 0.1716 of zero. Zero counts as 2⁻¹⁰²³,
    /// times zero.
    #[inline(always)]
    fn add(&mut self, x: &[f64; WIDTH], y: &[f64; WIDTH]) {
        for i in 0..WIDTH {
            let (x, y, j) = (x[i], y[i], i + WIDTH);
            let ((k, m), (l, n)) = (power_and_rest(x), power_and_rest(y));
            let (below, beside) = (m + SQRT_2, n + SQRT_2);
            // a division takes as long as a dozen products
            let both = 1.0 / (below * beside);
            let (s, t) = ((m - SQRT_2) * (beside * both), (n - SQRT_2) * (below * both));
            self.rests[i] = (x * s).mul_add(twice_atanh_over(s), self.rests[i]);
            self.rests[j] = (y * t).mul_add(twice_atanh_over(t), self.rests[j]);
            self.powers[i] = x.mul_add(k, self.powers[i]);
            self.powers[j] = y.mul_add(l, self.powers[j]);
            self.totals[i] += x;
            self.totals[j] += y;
            // a plain comparison is one instruction, the least of two numbers that may be NaN is not
            self.least[i] = if x < self.least[i] { x } else { self.least[i] };
            self.least[j] = if y < self.least[j] { y } else { self.least[j] };
        }
    }

    /// Adds what a run has found; what the sums lose by that is kept.
    #[inline(always)]
    fn join(&mut self, run: &Self, lost: &mut Self) {
        join(&mut self.totals, &run.totals, &mut lost.totals);
        join(&mut self.powers, &run.powers, &mut lost.powers);
        join(&mut self.rests, &run.rests, &mut lost.rests);
        self.least = run.least;
    }
}

/// Adds to sums, and to what they lose by that (Knuth, TAOCP 2, §4.2.2).
#[inline(always)]
fn join(sums: &mut [f64; LANES], more: &[f64; LANES], lost: &mut [f64; LANES]) {
    for ((sum, x), lost) in sums.iter_mut().zip(more).zip(lost) {
        let new = *sum + x;
        let back = new - *sum;
        *lost += (*sum - (new - back)) + (x - back);
        *sum = new;
    }
}

/// Lanes and what they lost as one sum.
fn total(sums: &[f64; LANES], lost: &[f64; LANES]) -> Compensated {
    let mut total = Compensated::default();
    sums.iter().zip(lost).for_each(|(sum, lost)| total.join(Compensated::from((*sum, *lost))));
    total
}

/// k and m of x = 2ᵏ m, with m from 1 to 2.
#[inline(always)]
fn power_and_rest(x: f64) -> (f64, f64) {
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const FRACTION: u64 = 0x000f_ffff_ffff_ffff;
    let bits = x.to_bits();
    // a small whole number in the low bits of 2⁵² is itself
    let k = f64::from_bits(0x4330_0000_0000_0000 | (bits >> 52)) - (4_503_599_627_370_496.0 + 1023.0);
    (k, f64::from_bits((bits & FRACTION) | ONE))
}

/// 2 atanh(s)/s for |s| < 0.1716.
#[inline(always)]
fn twice_atanh_over(s: f64) -> f64 {
    let z = s * s;
    let high = z.mul_add(z.mul_add(z.mul_add(ATANH[6], ATANH[5]), ATANH[4]), ATANH[3]);
    z.mul_add(z.mul_add(z.mul_add(z.mul_add(high, ATANH[2]), ATANH[1]), ATANH[0]), 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::sum::p_ln_p;

    #[test]
    fn weights_of_every_length_and_size() {
        let mut state = 1u64;
        for n in [0usize, 1, 7, 8, 15, 16, 17, 511, 512, 513, 4095, 4096, 4097, 10_000] {
            for scale in [1e-300, 1e-3, 1.0, 1e15, 1e290] {
                let mut draw = || {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 40) as f64 / 8192.0 * scale
                };
                let x: Vec<f64> = (0..n).map(|i| if i % 5 == 0 { 0.0 } else { draw() }).collect();
                let exactly = |f: fn(f64) -> f64| x.iter().map(|x| f(*x)).collect::<Compensated>().value();
                let weight = weigh(&x);
                let near = |got: f64, want: f64, terms: f64| {
                    assert!((got - want).abs() <= 1e-15 * terms, "{n} of {scale:e}: {got:e} for {want:e}");
                };
                near(weight.total.value(), exactly(|x| x), exactly(|x| x));
                // every logarithm is put together from terms of its own size and some below one
                near(weight.x_ln_x, exactly(p_ln_p), exactly(|x| p_ln_p(x).abs() + x));
                assert_eq!(weight.least, 0.0);
            }
        }
    }

    #[test]
    fn sums_of_equal_numbers_keep_their_digits() {
        let weight = weigh(&[0.1; 1_000_000]);
        assert!((weight.total.value() - 100_000.0).abs() <= 1e-10, "{:e}", weight.total.value() - 1e5);
        assert!((weight.x_ln_x - 100_000.0 * 0.1f64.ln()).abs() <= 3e-10);
        // ln 1 is a difference of halves of ln 2
        assert!(weigh(&[1.0; 5000]).x_ln_x.abs() <= 5000.0 * 4e-16);
    }

    #[test]
    fn what_is_not_an_amount_shows() {
        for place in [0, 7, 8, 1000, 2047, 2048, 4096, 4999] {
            let with = |wrong: f64| {
                let mut x = vec![1.0; 5000];
                x[place] = wrong;
                weigh(&x)
            };
            for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert!(!with(wrong).total.value().is_finite(), "{wrong} at {place}");
            }
            for wrong in [-1.0, -f64::MIN_POSITIVE, -5e-324] {
                assert_eq!(with(wrong).least, wrong, "at {place}");
            }
            assert_eq!(with(-0.0).least, 0.0);
        }
        let small = [5e-324, 1e-310];
        assert!((weigh(&small).x_ln_x - small.iter().map(|x| p_ln_p(*x)).sum::<f64>()).abs() <= 37e-310);
    }
}
