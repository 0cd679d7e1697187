//! Arithmetic modulo a prime, in which ranks are found exactly.

/// The inverse of `a`, not a multiple of `prime`, by Fermat's little theorem: a^(p − 2). `prime` is below 2⁶³.
/// Costs two products for each of its bits.
pub(super) fn inverse(a: u64, prime: u64) -> u64 {
    let (mut base, mut exponent, mut result) = (a % prime, prime - 2, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, base, prime);
        }
        base = times(base, base, prime);
        exponent >>= 1;
    }
    result
}

/// a b modulo `prime`.
pub(super) fn times(a: u64, b: u64, prime: u64) -> u64 {
    let product = u128::from(a) * u128::from(b) % u128::from(prime);
    // the remainder is below the prime
    u64::try_from(product).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_times_its_number_is_one() {
        for prime in [7, 1_000_003, (1 << 31) - 1, (1 << 61) - 1] {
            for a in [1, 2, 3, 5, prime / 2, prime - 2, prime - 1, prime + 1] {
                assert_eq!(times(a % prime, inverse(a, prime), prime), 1, "{a} modulo {prime}");
            }
        }
    }
}
