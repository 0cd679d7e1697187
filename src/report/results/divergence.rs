//! How far the fitted distribution is from the data.

use super::FitResult;
use crate::report::value::Value;

/// KL(P ‖ Q) in nats per unit mass.
pub fn kl(result: &FitResult) -> Value {
    Value::Number(result.fit.kl)
}

/// KL on the data's own scale.
pub fn divergence(result: &FitResult) -> Value {
    Value::Number(result.fit.kl * result.fit.total)
}

/// Twice the divergence; the likelihood-ratio statistic G² when the data are counts.
pub fn deviance(result: &FitResult) -> Value {
    Value::Number(deviance_of(result))
}

/// Twice the divergence.
pub fn deviance_of(result: &FitResult) -> f64 {
    2.0 * result.fit.kl * result.fit.total
}

/// The sum of the data.
pub fn total(result: &FitResult) -> Value {
    Value::Number(result.fit.total)
}
