//! Loops compiled for every vector unit and chosen at run time. A fused operation is written as one, so
//! that the bits are the same on all of them.

/// Defines a function whose body is compiled once per vector unit. What the body calls must be inlined
/// into it, or it is compiled for the oldest unit.
macro_rules! vectorised {
    ($(#[$meta:meta])* $name:ident($($arg:ident: $ty:ty),*) -> $result:ty $body:block) => {
        $(#[$meta])*
        pub fn $name<'a>($($arg: $ty),*) -> $result {
            struct Call<'a> {
                $($arg: $ty,)*
                of: std::marker::PhantomData<&'a ()>,
            }
            impl<'a> pulp::WithSimd for Call<'a> {
                type Output = $result;
                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> $result {
                    let Self { $($arg,)* of: _ } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Call { $($arg,)* of: std::marker::PhantomData })
        }
    };
}
pub(crate) use vectorised;

use super::sum::lanes;

/// Sums that are kept side by side: two of the widest vectors, so that what takes long in one hides behind the
/// other.
pub(crate) const LANES: usize = 16;

/// The number where `seen`, and 0 elsewhere, without a branch, so that loops over it use vectors.
#[inline(always)]
pub(crate) fn kept(seen: bool, x: f64) -> f64 {
    f64::from_bits(x.to_bits() & u64::from(seen).wrapping_neg())
}

/// The natural logarithm, without branches, so that loops over it use vectors. Within two units in the
/// last place for every positive number; −∞ at 0, NaN below.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    // a subnormal number is scaled by 2⁵⁴
    let tiny = x < f64::MIN_POSITIVE;
    let scaled = if tiny { x * 18_014_398_509_481_984.0 } else { x };
    let found = normal_ln(scaled, if tiny { 1023.0 + 54.0 } else { 1023.0 });
    let found = if x == 0.0 { f64::NEG_INFINITY } else { found };
    let found = if x < 0.0 { f64::NAN } else { found };
    // infinity and NaN are their own logarithms
    if x < f64::INFINITY { found } else { x }
}

/// ln(x) + (1023 − bias) ln 2 of a positive normal number.
///
/// x = 2ᵏ m with m near 1, and ln m = 2s + s R(s²) with s = (m − 1)/(m + 1).
#[inline(always)]
fn normal_ln(x: f64, bias: f64) -> f64 {
    let (k, m) = power_and_rest(x, bias);
    ln_of(k, (m - 1.0) / (m + 1.0))
}

/// k and m of x = 2ᵏ m, with m from √½ to √2.
#[inline(always)]
fn power_and_rest(x: f64, bias: f64) -> (f64, f64) {
    // the bits of 1 and of √½, whose difference moves the cut between powers of two to √2
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const HALF_ROOT: u64 = 0x3fe6_a09e_0000_0000;
    let bits = x.to_bits().wrapping_add(ONE - HALF_ROOT);
    // a small whole number in the low bits of 2⁵² is itself
    let k = f64::from_bits(0x4330_0000_0000_0000 | (bits >> 52)) - (4_503_599_627_370_496.0 + bias);
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add(HALF_ROOT));
    (k, m)
}

/// The coefficients of R, those of the C library of FreeBSD (`e_log.c`, Sun Microsystems 1993).
#[allow(clippy::excessive_precision)] // as published
pub(super) const ATANH: [f64; 7] = [
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
];

/// k ln 2 + 2s + s R(s²).
#[inline(always)]
#[allow(clippy::excessive_precision)] // as published
fn ln_of(k: f64, s: f64) -> f64 {
    const LN2_HIGH: f64 = 6.93147180369123816490e-01;
    const LN2_LOW: f64 = 1.90821492927058770002e-10;
    let z = s * s;
    let w = z * z;
    let even = w.mul_add(w.mul_add(ATANH[5], ATANH[3]), ATANH[1]);
    let odd = w.mul_add(w.mul_add(w.mul_add(ATANH[6], ATANH[4]), ATANH[2]), ATANH[0]);
    let r = w.mul_add(even, z * odd);
    k.mul_add(LN2_HIGH, s.mul_add(r, k.mul_add(LN2_LOW, s + s)))
}

vectorised! {
    /// `values[i] ← ln values[i]`.
    ln_all(values: &'a mut [f64]) -> () {
        values.iter_mut().for_each(|x| *x = ln(*x));
    }
}

/// The exponential, without branches, so that loops over it use vectors. Within two units in the last place
/// where it is a normal number; 0 below −745.2, ∞ above 709.8.
///
/// eˣ = 2ⁿ eʳ with |r| ≤ ½ ln 2, and the Taylor polynomial of degree 13 there (what is left out is below 4e-18).
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    // 1.5 · 2⁵²: adding it rounds to a whole number, which then stands in the low bits
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let clamped = if x < -746.0 { -746.0 } else { x };
    let clamped = if clamped > 710.0 { 710.0 } else { clamped };
    let shifted = clamped.mul_add(std::f64::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, clamped));
    let s = r * r;
    let t = s * s;
    let low = r.mul_add(1.0 / 6.0, 0.5);
    let middle = s.mul_add(r.mul_add(1.0 / 5040.0, 1.0 / 720.0), r.mul_add(1.0 / 120.0, 1.0 / 24.0));
    let high = s.mul_add(
        r.mul_add(1.0 / 39_916_800.0, 1.0 / 3_628_800.0),
        r.mul_add(1.0 / 362_880.0, 1.0 / 40_320.0),
    );
    let top = r.mul_add(1.0 / 6_227_020_800.0, 1.0 / 479_001_600.0);
    let tail = t.mul_add(t.mul_add(top, high), middle);
    let p = s.mul_add(s.mul_add(tail, low), r) + 1.0;
    // 2ⁿ in two factors, so that neither leaves the range of normal numbers
    let whole = (shifted.to_bits() as i64) << 32 >> 32;
    let half = whole >> 1;
    let power = |k: i64| f64::from_bits(((k + 1023) as u64) << 52);
    let found = p * power(half) * power(whole - half);
    if x.is_nan() { x } else { found }
}

vectorised! {
    /// `values[i] ← exp values[i]`.
    exp_all(values: &'a mut [f64]) -> () {
        values.iter_mut().for_each(|x| *x = exp(*x));
    }
}

vectorised! {
    /// Σ w a b, in lanes.
    weighted_dot(weights: &'a [f64], a: &'a [f64], b: &'a [f64]) -> f64 {
        let mut sums = [0.0; LANES];
        let (weights, w) = weights.as_chunks::<LANES>();
        let (a, x) = a.as_chunks::<LANES>();
        let (b, y) = b.as_chunks::<LANES>();
        for ((w, a), b) in weights.iter().zip(a).zip(b) {
            for i in 0..LANES {
                sums[i] = (w[i] * a[i]).mul_add(b[i], sums[i]);
            }
        }
        lanes(&sums) + w.iter().zip(x).zip(y).fold(0.0, |s, ((w, a), b)| s + w * a * b)
    }
}

vectorised! {
    /// Σ a b, in lanes.
    plain_dot(a: &'a [f64], b: &'a [f64]) -> f64 {
        let mut sums = [0.0; LANES];
        let (a, x) = a.as_chunks::<LANES>();
        let (b, y) = b.as_chunks::<LANES>();
        for (a, b) in a.iter().zip(b) {
            for i in 0..LANES {
                sums[i] = a[i].mul_add(b[i], sums[i]);
            }
        }
        lanes(&sums) + x.iter().zip(y).fold(0.0, |s, (a, b)| s + a * b)
    }
}

vectorised! {
    /// `onto ← onto + by · other`.
    add_scaled(onto: &'a mut [f64], by: f64, other: &'a [f64]) -> () {
        onto.iter_mut().zip(other).for_each(|(o, x)| *o += by * x);
    }
}

vectorised! {
    /// `values[i] ← values[i] + by` where that is finite, 0 elsewhere.
    add_to_finite(values: &'a mut [f64], by: f64) -> () {
        values.iter_mut().for_each(|x| {
            let sum = *x + by;
            *x = if sum.abs() < f64::INFINITY { sum } else { 0.0 };
        });
    }
}

vectorised! {
    /// `onto ← other − onto`.
    subtract_from(onto: &'a mut [f64], other: &'a [f64]) -> () {
        onto.iter_mut().zip(other).for_each(|(o, x)| *o = x - *o);
    }
}

vectorised! {
    /// The largest of some numbers that are not negative; 0 for none.
    largest(values: &'a [f64]) -> f64 {
        let mut most = [0.0; LANES];
        let (chunks, rest) = values.as_chunks::<LANES>();
        for chunk in chunks {
            for i in 0..LANES {
                most[i] = if chunk[i] > most[i] { chunk[i] } else { most[i] };
            }
        }
        most.iter().chain(rest).fold(0.0f64, |m, v| m.max(*v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units in the last place of `want`.
    fn ulps(got: f64, want: f64) -> f64 {
        (got - want).abs() / (want.next_up() - want).abs().max(f64::MIN_POSITIVE)
    }

    #[test]
    fn the_logarithm_is_within_two_units_everywhere() {
        let mut state = 1u64;
        for k in 0..400_000u64 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // every exponent, and many numbers near one
            let x = if k % 2 == 0 {
                f64::from_bits((state >> 1) % f64::INFINITY.to_bits())
            } else {
                0.5 + (state >> 11) as f64 / (1u64 << 53) as f64
            };
            assert!(ulps(ln(x), x.ln()) <= 2.0, "{x:e}: {} for {}", ln(x), x.ln());
        }
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert_eq!(ln(f64::INFINITY), f64::INFINITY);
        assert!(ln(-1.0).is_nan() && ln(f64::NAN).is_nan());
        assert!(ulps(ln(5e-324), 5e-324f64.ln()) <= 2.0);
    }

    #[test]
    fn the_exponential_is_within_two_units_everywhere() {
        let mut state = 1u64;
        for k in 0..400_000u64 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let unit = (state >> 11) as f64 / (1u64 << 53) as f64;
            let x = if k % 2 == 0 { 1418.0 * unit - 708.5 } else { 2.0 * unit - 1.0 };
            assert!(ulps(exp(x), x.exp()) <= 2.0, "{x}: {} for {}", exp(x), x.exp());
        }
        // below the normal numbers the spacing is that of the smallest
        for x in [-708.5f64, -720.0, -740.0, -745.1, -746.0, -1e9] {
            assert!((exp(x) - x.exp()).abs() <= 5e-324, "{x}: {:e} for {:e}", exp(x), x.exp());
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(710.0), f64::INFINITY);
        assert_eq!(exp(f64::INFINITY), f64::INFINITY);
        assert!(exp(709.7).is_finite() && exp(f64::NAN).is_nan());
        let mut many = vec![-1.5; 37];
        exp_all(&mut many);
        assert!(many.iter().all(|e| *e == exp(-1.5)));
    }

    #[test]
    fn lanes_find_what_one_by_one_would() {
        for n in [0usize, 1, 15, 16, 17, 100] {
            let x: Vec<f64> = (0..n).map(|i| ((i * 37) % 101) as f64).collect();
            assert_eq!(largest(&x), x.iter().copied().fold(0.0, f64::max));
            let want: f64 = x.iter().enumerate().map(|(i, x)| x * i as f64).sum();
            let places: Vec<f64> = (0..n).map(|i| i as f64).collect();
            assert_eq!(weighted_dot(&vec![1.0; n], &x, &places), want);
            assert_eq!(plain_dot(&x, &places), want);
            let mut onto = places.clone();
            subtract_from(&mut onto, &x);
            add_scaled(&mut onto, 2.0, &places);
            assert!(onto.iter().zip(&x).zip(&places).all(|((o, x), p)| *o == x + p));
        }
    }
}
