//! Weights as numbers, or as their logarithms.

/// How weights are held.
pub trait Arithmetic: Copy + Send + Sync + 'static {
    /// The weight 0.
    const ZERO: f64;
    /// Whether weights drift and are scaled back.
    const SCALED: bool;
    /// A weight from its logarithm.
    fn of_log(log: f64) -> f64;
    /// The logarithm of a weight.
    fn log(weight: f64) -> f64;
    /// Product of weights.
    fn times(a: f64, b: f64) -> f64;
    /// Sum of weights.
    fn plus(a: f64, b: f64) -> f64;
    /// a/b with 0/0 = 0, as a plain number.
    fn share(a: f64, b: f64) -> f64;
}

/// Weights as they are.
#[derive(Debug, Clone, Copy)]
pub struct Linear;

impl Arithmetic for Linear {
    const ZERO: f64 = 0.0;
    const SCALED: bool = true;
    #[inline(always)]
    fn of_log(log: f64) -> f64 {
        log.exp()
    }
    #[inline(always)]
    fn log(weight: f64) -> f64 {
        weight.ln()
    }
    #[inline(always)]
    fn times(a: f64, b: f64) -> f64 {
        a * b
    }
    #[inline(always)]
    fn plus(a: f64, b: f64) -> f64 {
        a + b
    }
    #[inline(always)]
    fn share(a: f64, b: f64) -> f64 {
        if b > 0.0 { a / b } else { 0.0 }
    }
}

/// Logarithms of weights, where their range could exceed that of numbers.
#[derive(Debug, Clone, Copy)]
pub struct Logarithmic;

impl Arithmetic for Logarithmic {
    const ZERO: f64 = f64::NEG_INFINITY;
    const SCALED: bool = false;
    #[inline(always)]
    fn of_log(log: f64) -> f64 {
        log
    }
    #[inline(always)]
    fn log(weight: f64) -> f64 {
        weight
    }
    #[inline(always)]
    fn times(a: f64, b: f64) -> f64 {
        a + b
    }
    #[inline(always)]
    fn plus(a: f64, b: f64) -> f64 {
        let (high, low) = if a >= b { (a, b) } else { (b, a) };
        if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
    }
    #[inline(always)]
    fn share(a: f64, b: f64) -> f64 {
        if b == f64::NEG_INFINITY { 0.0 } else { (a - b).exp() }
    }
}
