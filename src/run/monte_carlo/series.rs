//! What a series of correlated numbers says about their mean.

/// A mean with what is known of its error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
    /// Integrated autocorrelation time in sweeps, 1 for independent draws.
    pub autocorrelation_time: f64,
    /// As many independent draws would say as much.
    pub effective_samples: f64,
    /// Whether the series is long enough, at 50 autocorrelation times, for the error to be trusted.
    pub reliable: bool,
}

/// Series of at least this many autocorrelation times give errors that can be trusted.
const LONG: f64 = 50.0;

/// τ = 1 + 2 Σ ρ(t), summed up to the smallest window of five τ (Madras and Sokal 1988, doi:10.1007/BF01022990).
/// Autocovariances are about the mean of all series, so that series that disagree count as correlated.
/// O(length × window).
pub fn autocorrelation_time(series: &[Vec<f64>]) -> f64 {
    let count: usize = series.iter().map(Vec::len).sum();
    let mean = series.iter().flatten().sum::<f64>() / count as f64;
    let covariance = |lag: usize| {
        let (mut sum, mut pairs) = (0.0, 0usize);
        for s in series.iter().filter(|s| s.len() > lag) {
            sum += s.iter().zip(&s[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
            pairs += s.len() - lag;
        }
        sum / pairs.max(1) as f64
    };
    let variance = covariance(0);
    let scale = series.iter().flatten().fold(0.0f64, |m, x| m.max(x.abs()));
    // numbers that do not vary, but for rounding
    if variance <= (4.0 * f64::EPSILON * scale).powi(2) {
        return 1.0;
    }
    let longest = series.iter().map(Vec::len).max().unwrap_or(0);
    let mut tau = 1.0;
    for lag in 1..longest / 2 {
        tau += 2.0 * covariance(lag) / variance;
        if lag as f64 >= 5.0 * tau {
            break;
        }
    }
    // anticorrelated draws are better than independent ones, within reason
    tau.max(0.1)
}

/// The mean of several series of one quantity.
pub fn estimate(series: &[Vec<f64>]) -> Estimate {
    let count: usize = series.iter().map(Vec::len).sum();
    let n = count as f64;
    let mean = series.iter().flatten().sum::<f64>() / n;
    let variance = series.iter().flatten().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let tau = autocorrelation_time(series);
    let shortest = series.iter().map(Vec::len).min().unwrap_or(0) as f64;
    Estimate {
        mean,
        error: (variance * tau / n).sqrt(),
        autocorrelation_time: tau,
        effective_samples: n / tau,
        reliable: shortest >= LONG * tau,
    }
}

/// (Σ w)²/Σ w² of weights that are given by their logarithms (Kong 1992): as many equal weights would say as much.
pub fn effective(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (one, two) = logs.iter().fold((0.0, 0.0), |(a, b), log| {
        let weight = (log - most).exp();
        (a + weight, b + weight * weight)
    });
    one * one / two
}

/// Sums over some samples in a row.
#[derive(Debug, Clone)]
pub struct Block {
    /// How many samples.
    pub samples: f64,
    /// One sum for each quantity.
    pub sums: Vec<f64>,
}

/// A function of means with its error by leaving out one block at a time (Quenouille 1956; Tukey 1958). The value
/// is that of all samples; blocks should be about as long as each other.
pub fn jackknife(blocks: &[Block], f: impl Fn(&[f64]) -> f64) -> (f64, f64) {
    let n = blocks.len() as f64;
    let width = blocks.first().map_or(0, |b| b.sums.len());
    let samples: f64 = blocks.iter().map(|b| b.samples).sum();
    let total: Vec<f64> = (0..width).map(|k| blocks.iter().map(|b| b.sums[k]).sum()).collect();
    let all: Vec<f64> = total.iter().map(|t| t / samples).collect();
    let value = f(&all);
    if blocks.len() < 2 {
        return (value, f64::NAN);
    }
    let without = blocks.iter().map(|b| {
        let means: Vec<f64> =
            total.iter().zip(&b.sums).map(|(t, x)| (t - x) / (samples - b.samples)).collect();
        f(&means)
    });
    let parts: Vec<f64> = without.collect();
    let centre = parts.iter().sum::<f64>() / n;
    let spread: f64 = parts.iter().map(|p| (p - centre).powi(2)).sum();
    (value, ((n - 1.0) / n * spread).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::monte_carlo::{streams, unit};

    #[test]
    fn an_autoregression_has_the_time_it_must_have() {
        // x' = a x + noise has τ = (1 + a)/(1 − a)
        for (a, want) in [(0.0, 1.0), (0.5, 3.0), (0.9, 19.0)] {
            let series: Vec<Vec<f64>> = streams(3, 4)
                .into_iter()
                .map(|mut rng| {
                    let mut x = 0.0;
                    (0..50_000)
                        .map(|_| {
                            x = a * x + (unit(&mut rng) - 0.5);
                            x
                        })
                        .collect()
                })
                .collect();
            let found = estimate(&series);
            assert!((found.autocorrelation_time / want - 1.0).abs() < 0.1, "{a}: {found:?}");
            assert!(found.mean.abs() < 4.0 * found.error && found.reliable);
        }
        assert_eq!(autocorrelation_time(&[vec![2.0; 100]]), 1.0);
    }

    #[test]
    fn the_jackknife_of_a_mean_is_its_standard_error() {
        let blocks: Vec<Block> =
            (0..10).map(|k| Block { samples: 5.0, sums: vec![5.0 * f64::from(k * k % 7)] }).collect();
        let (mean, error) = jackknife(&blocks, |m| m[0]);
        let spread: f64 = blocks.iter().map(|b| (b.sums[0] / 5.0 - mean).powi(2)).sum();
        assert!((error - (spread / 90.0).sqrt()).abs() < 1e-14);
    }

    #[test]
    fn a_shorter_block_counts_for_what_it_has() {
        let blocks = [(3.0, 6.0), (2.0, 10.0), (3.0, 0.0)];
        let blocks = blocks.map(|(samples, sum)| Block { samples, sums: vec![sum] });
        assert_eq!(jackknife(&blocks, |m| m[0]).0, 2.0);
    }
}
