//! Probabilities of the fitted distribution.

use super::arguments::scope_of;
use super::{FitResult, Given};
use crate::model::Table;
use crate::model::table::offsets;
use crate::report::value::{Array, Value};
use crate::text::{Code, Diagnostic};

fn table(result: &FitResult, modes: &[usize], given: &Given<'_>) -> Result<Table, Diagnostic> {
    result
        .fit
        .distribution
        .marginal(&scope_of(modes))
        .map_err(|diagnostic| diagnostic.or_at(given.span, "asked for here"))
}

/// A table with its axes in the order of `modes`.
fn array(result: &FitResult, table: &Table, modes: &[usize]) -> Value {
    let values = table.in_order(modes);
    let modes = modes.iter().map(|m| result.fit.model.modes[*m].clone()).collect();
    Value::Array(Array { modes, values: values.into() })
}

/// P over some modes, in the order given.
pub fn marginal(result: &FitResult, given: &Given<'_>) -> Result<Value, Diagnostic> {
    if !given.condition.is_empty() {
        return Err(given.wrong("a marginal has no condition; use `conditional`"));
    }
    let modes = given.modes(given.arguments, result)?;
    Ok(array(result, &table(result, &modes, given)?, &modes))
}

/// P of some modes given levels of others (`| b: x`), or given each level of others (`| b`).
pub fn conditional(result: &FitResult, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let modes = given.modes(given.arguments, result)?;
    let (fixed, open): (Vec<_>, Vec<_>) = given.condition.iter().cloned().partition(|a| a.name.is_some());
    let fixed = given.levels(&fixed, result)?;
    let open = given.modes(&open, result)?;
    if modes.is_empty() || given.condition.is_empty() {
        return Err(given.wrong("modes before the bar and conditions after it are expected"));
    }
    let all: Vec<usize> = modes.iter().chain(&open).copied().chain(fixed.iter().map(|(m, _)| *m)).collect();
    if scope_of(&all).len() != all.len() {
        return Err(given.wrong("a mode is on both sides of the bar"));
    }
    let joint = table(result, &all, given)?;
    let strides = joint.strides();
    let base: usize = fixed
        .iter()
        .filter_map(|(m, level)| joint.scope.position(*m).map(|axis| level * strides[axis]))
        .sum();
    let kept: Vec<usize> = modes.iter().chain(&open).copied().collect();
    let axes = joint.axes(&kept);
    let given_cells: usize = axes[modes.len()..].iter().map(|(n, _)| n).product();
    let mut values: Vec<f64> = offsets(&axes).map(|at| joint.values[base + at]).collect();
    if !normalise_columns(&mut values, given_cells) && given_cells == 1 {
        return Ok(Value::Null("the condition has probability 0".into()));
    }
    let modes = kept.iter().map(|m| result.fit.model.modes[*m].clone()).collect();
    Ok(Value::Array(Array { modes, values: values.into() }))
}

/// Makes each column add up to 1; NaN where a condition cannot occur. Whether all could.
pub fn normalise_columns(values: &mut [f64], columns: usize) -> bool {
    let mut possible = true;
    for column in 0..columns {
        let mass: f64 = values.iter().skip(column).step_by(columns).sum();
        possible &= mass != 0.0;
        for x in values.iter_mut().skip(column).step_by(columns) {
            *x = if mass == 0.0 { f64::NAN } else { *x / mass };
        }
    }
    possible
}

/// The probability that the named modes have the named levels.
pub fn probability(result: &FitResult, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let mut levels = given.levels(given.arguments, result)?;
    if !given.condition.is_empty() {
        return Err(given.wrong("a probability has no condition; use `conditional`"));
    }
    levels.sort_unstable();
    if levels.windows(2).any(|w| w[0].0 == w[1].0) {
        return Err(given.wrong("a mode is named twice"));
    }
    let modes: Vec<usize> = levels.iter().map(|(m, _)| *m).collect();
    let cell: Vec<usize> = levels.iter().map(|(_, level)| *level).collect();
    Ok(Value::Number(table(result, &modes, given)?.at(&cell)))
}

/// I(A; B) = H(A) + H(B) − H(A, B) in nats; A and B are modes or groups of modes.
pub fn mutual_information(result: &FitResult, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let [a, b] = given.arguments else { return Err(given.wrong("two modes are expected")) };
    let (mut left, mut right) = (Vec::new(), Vec::new());
    given.group(&a.value, result, &mut left)?;
    given.group(&b.value, result, &mut right)?;
    let both: Vec<usize> = left.iter().chain(&right).copied().collect();
    if scope_of(&both).len() != both.len() {
        return Err(Diagnostic::new(Code::MBA105, "a mode is on both sides")
            .at(given.span, "here")
            .help("name different modes"));
    }
    let entropy =
        |modes: &[usize]| table(result, modes, given).map(|t| crate::numeric::sum::entropy(&t.values));
    Ok(Value::Number((entropy(&left)? + entropy(&right)? - entropy(&both)?).max(0.0)))
}
