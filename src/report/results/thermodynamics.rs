//! The fit as a Boltzmann distribution P = exp(−E/T)/Z, in the gauge E(⊥) = 0 (Sugiyama, Nakahara & Tsuda 2016).

use super::FitResult;
use crate::report::value::{Rows, Value};

fn defined(x: f64, why: &str) -> Value {
    if x.is_finite() { Value::Number(x) } else { Value::Null(why.into()) }
}

const NO_BASELINE: &str = "the cell of all first levels has probability 0, so that energies have no origin";

/// Why energies are not defined: at an optimum on the boundary that no zero marginal explains, some
/// parameters grow without end and the fit has stopped them somewhere.
fn undetermined(result: &FitResult) -> Option<String> {
    super::statistics::hidden_boundary(result)
        .then(|| "the optimum lies on the boundary: some parameters are infinite".into())
}

/// −log p(⊥) in nats.
pub fn log_z(result: &FitResult) -> Value {
    if let Some(reason) = undetermined(result) {
        return Value::Null(reason);
    }
    defined(result.fit.distribution.log_z(), NO_BASELINE)
}

/// −T log Z.
pub fn free_energy(result: &FitResult) -> Value {
    if let Some(reason) = undetermined(result) {
        return Value::Null(reason);
    }
    defined(-result.fit.model.temperature * result.fit.distribution.log_z(), NO_BASELINE)
}

/// ⟨E⟩ = T (entropy − log Z).
pub fn energy(result: &FitResult) -> Value {
    if let Some(reason) = undetermined(result) {
        return Value::Null(reason);
    }
    let distribution = &result.fit.distribution;
    defined(result.fit.model.temperature * (distribution.entropy() - distribution.log_z()), NO_BASELINE)
}

/// −Σ q log q in nats.
pub fn entropy(result: &FitResult) -> Value {
    Value::Number(result.fit.distribution.entropy())
}

/// Rows of parameters beyond this are cut, and a note says so.
pub(super) const MAX_ROWS: usize = 100_000;

fn parameters(result: &FitResult, name: &str, list: Vec<crate::run::Coordinate>) -> Value {
    if let Some(reason) = undetermined(result) {
        return Value::Null(reason);
    }
    if result.fit.learned.is_some() {
        return Value::Null("the parameters of this model are its `coefficients`".into());
    }
    let modes = &result.fit.model.modes;
    let mut rows =
        Rows { columns: vec!["interaction".into(), "levels".into(), name.into()], ..Rows::default() };
    for coordinate in list {
        if rows.rows.len() == MAX_ROWS {
            rows.notes.push(format!("only the first {MAX_ROWS} are listed"));
            break;
        }
        let levels: Vec<String> = coordinate
            .modes
            .iter()
            .zip(&coordinate.levels)
            .map(|(m, level)| modes[m].label(*level).into_owned())
            .collect();
        rows.rows.push(vec![
            Value::Text(result.fit.model.bracket(&coordinate.modes)),
            Value::List(levels.into_iter().map(Value::Text).collect()),
            Value::Number(coordinate.value),
        ]);
    }
    Value::Table(rows)
}

/// Natural parameters: mixed first differences of log q.
pub fn theta(result: &FitResult) -> Value {
    parameters(result, "theta", result.fit.distribution.theta())
}

/// Expectation parameters: upper cumulative sums of q.
pub fn eta(result: &FitResult) -> Value {
    parameters(result, "eta", result.fit.distribution.eta())
}
