//! Results with a value for every cell.

use super::{FitResult, Given};
use crate::model::Mode;
use crate::report::value::{Array, Rows, Value};
use crate::run::Limits;
use crate::run::masked::Knowledge;
use crate::run::sample::Draws;
use crate::text::Diagnostic;

fn dense(result: &FitResult) -> Result<Vec<f64>, Value> {
    let cells = crate::plan::cells(&result.fit.model);
    let limit = usize::try_from(result.memory / 8).unwrap_or(usize::MAX);
    let table = result.fit.distribution.dense(limit).ok_or_else(|| {
        Value::Null(format!("{cells} cells are more than the memory budget holds; ask for a marginal"))
    })?;
    Ok(table.values)
}

/// The expected value of every cell, on the data's own scale.
pub fn fitted(result: &FitResult) -> Value {
    match dense(result) {
        Ok(values) => {
            let mut values: Vec<f64> = values.into_iter().map(|q| q * result.fit.mass).collect();
            if let Some(known) = super::completion::knowledge(result) {
                let open = values.iter_mut().zip(known).filter(|(_, k)| *k == Knowledge::Undetermined);
                open.for_each(|(m, _)| *m = f64::NAN);
            }
            Value::Array(Array { modes: result.fit.model.modes.clone(), values: values.into() })
        }
        Err(null) => null,
    }
}

/// (x − m) / √m; 0 where both are 0.
pub fn residuals(result: &FitResult) -> Value {
    if !result.tensor.counts {
        return Value::Null("the data are not counts".into());
    }
    let expected = match dense(result) {
        Ok(values) => values,
        Err(null) => return null,
    };
    let total = result.fit.mass;
    let mut residuals: Vec<f64> = expected.iter().map(|q| -(q * total).sqrt()).collect();
    let sizes: Vec<usize> = result.fit.model.modes.iter().map(Mode::size).collect();
    result.tensor.each_cell(|cell, x| {
        let at = cell.iter().zip(&sizes).fold(0, |k, (i, n)| k * n + i);
        let m = expected[at] * total;
        residuals[at] = if m > 0.0 { (x - m) / m.sqrt() } else { f64::INFINITY };
    });
    let mut values = residuals.into_iter().map(|r| r + 0.0).collect::<Vec<_>>();
    if let Some(known) = super::completion::knowledge(result) {
        let others = values.iter_mut().zip(known).filter(|(_, k)| *k != Knowledge::Observed);
        others.for_each(|(r, _)| *r = f64::NAN);
    }
    Value::Array(Array { modes: result.fit.model.modes.clone(), values: values.into() })
}

/// Records drawn from the fitted distribution, one row per distinct record.
pub fn sample(result: &FitResult, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let (count, seed) = given.draws()?;
    let modes = &result.fit.model.modes;
    let limits = &Limits { memory: result.memory, ..given.environment.limits() };
    let draws = Draws { count, seed, row: record(modes), name: &result.name, span: given.span, limits };
    let sample = result.fit.distribution.sample_within(&draws).map_err(|d| *d)?;
    Ok(records(&sample, modes))
}

/// Bytes of one row of [`records`].
pub fn record(modes: &[Mode]) -> u64 {
    // a name is a string of its own
    const NAME: usize = 32;
    let named = modes.iter().filter(|m| m.number(0).is_none()).count();
    (size_of::<Vec<Value>>() + (modes.len() + 1) * size_of::<Value>() + named * NAME) as u64
}

/// Counted records as a table, one row per distinct record.
pub fn records(sample: &crate::data::Sparse, modes: &[Mode]) -> Value {
    let columns = modes.iter().map(|m| m.name.clone()).chain(["count".to_string()]).collect();
    let mut rows = Rows { columns, ..Rows::default() };
    for (row, x) in sample.values.iter().enumerate() {
        let levels = sample.coordinates.iter().zip(modes);
        let mut cells: Vec<Value> = levels
            .map(|(column, mode)| {
                let level = column.at(row);
                mode.number(level).map_or_else(|| Value::Text(mode.label(level).into_owned()), Value::Number)
            })
            .collect();
        cells.push(Value::Number(*x));
        rows.rows.push(cells);
    }
    Value::Table(rows)
}
