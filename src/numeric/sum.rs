//! Sums that do not lose small terms.

/// A sum with its rounding error beside it (Neumaier 1974, doi:10.1002/zamm.19740540106).
#[derive(Debug, Clone, Copy, Default)]
pub struct Compensated {
    sum: f64,
    error: f64,
}

impl Compensated {
    /// Adds a term.
    pub fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        // an infinite sum has no rounding error, and computing one would make it NaN
        if sum.is_finite() {
            let (large, small) =
                if self.sum.abs() >= term.abs() { (self.sum, term) } else { (term, self.sum) };
            self.error += (large - sum) + small;
        }
        self.sum = sum;
    }

    /// Adds what another sum has found.
    pub fn join(&mut self, other: Self) {
        self.add(other.sum);
        self.error += other.error;
    }

    /// The sum so far; infinite when it is too large for double precision.
    pub fn value(self) -> f64 {
        // an error that was found beside an infinite sum may be no number
        if self.sum.is_finite() { self.sum + self.error } else { self.sum }
    }
}

/// A sum with the errors it is known to have made.
impl From<(f64, f64)> for Compensated {
    fn from((sum, error): (f64, f64)) -> Self {
        Self { sum, error }
    }
}

impl FromIterator<f64> for Compensated {
    fn from_iter<I: IntoIterator<Item = f64>>(terms: I) -> Self {
        let mut sum = Self::default();
        for term in terms {
            sum.add(term);
        }
        sum
    }
}

/// Sum of products `Σ a b`, where 0 times anything is 0.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let terms = a.iter().zip(b).map(|(a, b)| if *a == 0.0 { 0.0 } else { a * b });
    terms.collect::<Compensated>().value()
}

/// −Σ p ln p in nats, where 0 ln 0 = 0.
pub fn entropy(p: &[f64]) -> f64 {
    -p.iter().map(|p| p_ln_p(*p)).collect::<Compensated>().value()
}

/// p ln p, where 0 ln 0 = 0.
pub fn p_ln_p(p: f64) -> f64 {
    if p > 0.0 { p * p.ln() } else { 0.0 }
}

/// Plain sum in eight lanes, which is fast and loses less than one lane would.
#[inline]
pub fn sum(values: &[f64]) -> f64 {
    if values.len() < 64 { lanes(values) } else { long_sum(values) }
}

super::vector::vectorised! {
    /// [`sum`], for slices that are worth the best vector unit.
    long_sum(values: &'a [f64]) -> f64 { lanes(values) }
}

/// [`sum`], always inlined into the loop around it.
#[inline(always)]
pub(crate) fn lanes(values: &[f64]) -> f64 {
    if values.len() < 8 {
        return values.iter().fold(0.0, |s, v| s + v);
    }
    let mut lanes = [0.0; 8];
    let (blocks, rest) = values.as_chunks::<8>();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += value;
        }
    }
    let pairs = [lanes[0] + lanes[4], lanes[1] + lanes[5], lanes[2] + lanes[6], lanes[3] + lanes[7]];
    let tail = rest.iter().fold(0.0, |s, v| s + v);
    (pairs[0] + pairs[2]) + (pairs[1] + pairs[3]) + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_survive_large_ones() {
        let sum: Compensated = [1e16, 1.0, -1e16, 1.0].into_iter().collect();
        assert_eq!(sum.value(), 2.0);
        let sum: Compensated = [1.0, f64::INFINITY].into_iter().collect();
        assert_eq!(sum.value(), f64::INFINITY);
    }
}
