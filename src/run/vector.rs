//! Loops compiled for every vector unit and chosen at run time. They use no fused operations, so that
//! the bits are the same on all of them.

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

/// Values that are worked on at a time, in a buffer that stays in the nearest cache.
const STRIP: usize = 512;

/// The natural logarithm, without branches, so that loops over it use vectors. Within one unit in the
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
/// x = 2ᵏ m with m near 1, and ln m = f − (f²/2 − s (f²/2 + R(s²))) with f = m − 1, s = f/(2 + f); the
/// polynomial R is that of the C library of FreeBSD (`e_log.c`, Sun Microsystems 1993).
#[inline(always)]
#[allow(clippy::excessive_precision)] // as published
fn normal_ln(x: f64, bias: f64) -> f64 {
    const LN2_HIGH: f64 = 6.93147180369123816490e-01;
    const LN2_LOW: f64 = 1.90821492927058770002e-10;
    const L: [f64; 7] = [
        6.666666666666735130e-01,
        3.999999999940941908e-01,
        2.857142874366239149e-01,
        2.222219843214978396e-01,
        1.818357216161805012e-01,
        1.531383769920937332e-01,
        1.479819860511658591e-01,
    ];
    // the bits of 1 and of √½, whose difference moves the cut between powers of two to √2
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const HALF_ROOT: u64 = 0x3fe6_a09e_0000_0000;
    let bits = x.to_bits().wrapping_add(ONE - HALF_ROOT);
    // a small whole number in the low bits of 2⁵² is itself
    let k = f64::from_bits(0x4330_0000_0000_0000 | (bits >> 52)) - (4_503_599_627_370_496.0 + bias);
    let m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add(HALF_ROOT));
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even = w * (L[1] + w * (L[3] + w * L[5]));
    let odd = z * (L[0] + w * (L[2] + w * (L[4] + w * L[6])));
    let half = 0.5 * f * f;
    s * (half + (even + odd)) + k * LN2_LOW - half + f + k * LN2_HIGH
}

vectorised! {
    /// `values[i] ← ln values[i]`.
    ln_all(values: &'a mut [f64]) -> () {
        values.iter_mut().for_each(|x| *x = ln(*x));
    }
}

vectorised! {
    /// Σ x ln x of finite numbers that are not negative, with 0 ln 0 = 0, in lanes. A subnormal number takes
    /// the logarithm of the smallest normal one, which is wrong by less than 37 times itself.
    sum_x_ln_x(values: &'a [f64]) -> f64 {
        let mut strip = [0.0; STRIP];
        let mut total = 0.0;
        for part in values.chunks(STRIP) {
            let out = &mut strip[..part.len()];
            for (o, x) in out.iter_mut().zip(part) {
                *o = *x * normal_ln(x.max(f64::MIN_POSITIVE), 1023.0);
            }
            total += lanes(out);
        }
        total
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
    fn sums_of_every_length() {
        for n in [0usize, 1, 7, 8, 511, 512, 513, 2000] {
            let mut x: Vec<f64> = (0..n).map(|i| (i % 7) as f64 * 0.3).collect();
            let want: f64 = x.iter().map(|x| super::super::sum::p_ln_p(*x)).sum();
            assert!((sum_x_ln_x(&x) - want).abs() <= 1e-12 * (1.0 + want.abs()));
            let logs: Vec<f64> = x.iter().map(|x| ln(*x)).collect();
            ln_all(&mut x);
            assert_eq!(x, logs);
        }
    }
}
