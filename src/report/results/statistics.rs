//! Statistics of counts, as log-linear analysis defines them (Bishop, Fienberg & Holland 1975).

use num_bigint::BigUint;
use num_traits::{ToPrimitive, Zero};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::divergence::deviance_of;
use super::{FitResult, Given};
use crate::plan;
use crate::report::value::Value;
use crate::run::Fit;
use crate::run::masked::Knowledge;
use crate::text::Diagnostic;

/// cells − 1 − parameters, exactly.
pub fn df(result: &FitResult) -> Value {
    df_of(&result.fit).map_or_else(Value::Null, Value::Count)
}

/// cells − 1 − parameters, exactly; with missing or forbidden cells, of the others.
///
/// # Errors
/// Why the number of parameters is not known.
pub fn df_of(fit: &Fit) -> Result<BigUint, String> {
    let cells = match &fit.domain {
        Some(domain) => domain.count(Knowledge::Observed),
        None if fit.learned.is_none() => return Ok(plan::degrees_of_freedom(&fit.model)),
        None => plan::cells(&fit.model),
    };
    let spent = super::coefficients::free(fit)? + 1u32;
    Ok(if cells > spent { cells - spent } else { BigUint::zero() })
}

/// Free parameters, exactly; with missing or forbidden cells, those that the others determine.
pub fn parameters(result: &FitResult) -> Value {
    super::coefficients::free(&result.fit).map_or_else(Value::Null, Value::Count)
}

/// Cells, exactly.
pub fn cells(result: &FitResult) -> Value {
    Value::Count(plan::cells(&result.fit.model))
}

/// Whether the optimum lies on the boundary without a zero marginal to show for it (Haberman 1974).
pub fn hidden_boundary(result: &FitResult) -> bool {
    result.fit.status == crate::run::Status::Boundary && result.fit.zero_marginals.is_empty()
}

/// Cells of the support minus the dimension of the model on it.
pub fn df_adjusted(result: &FitResult) -> Value {
    match df_adjusted_of(result) {
        Ok(df) => Value::Count(df),
        Err(reason) => Value::Null(reason),
    }
}

/// Cells of the support minus the dimension of the model on it.
pub fn df_adjusted_of(result: &FitResult) -> Result<BigUint, String> {
    if hidden_boundary(result) {
        return Err(
            "the optimum lies on the boundary though no marginal is zero: its support is not known".into()
        );
    }
    if result.fit.zero_marginals.is_empty() {
        return df_of(&result.fit);
    }
    if result.tensor.mask.is_some() {
        return Err("it is not computed for data with missing cells and zero marginals".into());
    }
    let dimension = result.fit.dimension()?;
    let cells = result.fit.support_cells();
    Ok(if cells > dimension { cells - dimension } else { BigUint::zero() })
}

/// The upper tail of χ² with `df` degrees of freedom at `statistic`.
pub fn tail(statistic: f64, df: &BigUint) -> Value {
    if df.is_zero() {
        return Value::Null("there are no degrees of freedom".into());
    }
    match df.to_f64().map(ChiSquared::new) {
        Some(Ok(chi)) if statistic.is_finite() => Value::Number(chi.sf(statistic.max(0.0)).clamp(0.0, 1.0)),
        _ => Value::Null("not defined for these numbers".into()),
    }
}

fn counts(result: &FitResult, value: impl FnOnce() -> Value) -> Value {
    if result.tensor.counts { value() } else { Value::Null("the data are not counts".into()) }
}

/// Chance of a deviance at least as large under the model, by χ² with `df`.
pub fn p_value(result: &FitResult) -> Value {
    counts(result, || match df_of(&result.fit) {
        Ok(df) => tail(deviance_of(result), &df),
        Err(reason) => Value::Null(reason),
    })
}

/// The same with `df_adjusted`.
pub fn p_value_adjusted(result: &FitResult) -> Value {
    counts(result, || match df_adjusted_of(result) {
        Ok(df) => tail(deviance_of(result), &df),
        Err(reason) => Value::Null(reason),
    })
}

/// Pearson's X² = Σ (x − m)² / m. Cells where x = 0 contribute m, and Σ m is the total, so that only
/// the cells with data are visited: X² = Σ x² / m − total.
pub fn pearson(result: &FitResult) -> Value {
    counts(result, || {
        let fit = &result.fit;
        let mut sum = crate::numeric::sum::Compensated::default();
        result.tensor.each_cell(|cell, x| {
            let m = fit.distribution.log_probability(cell).exp() * fit.mass;
            // x (x − m) / m summed over cells with data is X² without the cells that have none
            sum.add(x * (x - m) / m);
        });
        Value::Number(sum.value().max(0.0))
    })
}

/// Σ x log q = −total × (entropy of the data + KL).
pub fn log_likelihood_of_fit(result: &FitResult) -> f64 {
    -result.fit.total * (result.fit.data_entropy + result.fit.kl)
}

/// Σ x log q of the counts that were fitted.
pub fn log_likelihood(result: &FitResult) -> Value {
    counts(result, || Value::Number(log_likelihood_of_fit(result)))
}

/// −2ℓ + 2 parameters.
pub fn aic(result: &FitResult) -> Value {
    counts(result, || information_criterion(result, 2.0))
}

/// −2ℓ + parameters × ln(total).
pub fn bic(result: &FitResult) -> Value {
    counts(result, || information_criterion(result, result.fit.total.ln()))
}

fn information_criterion(result: &FitResult, price: f64) -> Value {
    let parameters = match super::coefficients::free(&result.fit) {
        Ok(parameters) => parameters.to_f64().unwrap_or(f64::INFINITY),
        Err(reason) => return Value::Null(reason),
    };
    Value::Number(-2.0 * log_likelihood_of_fit(result) + price * parameters)
}

/// Σ y log q of other data over the same modes; −∞ when they have mass where the model has none.
pub fn log_likelihood_of(result: &FitResult, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let [argument] = given.arguments else {
        return Err(given.wrong("one argument is expected: the name of data"));
    };
    let tensor = given.tensor(&argument.value)?;
    if !tensor.counts {
        return Ok(Value::Null(format!("`{}` are not counts", tensor.name)));
    }
    let modes = &result.fit.model.modes;
    // axes are matched by the names of their modes, whatever their order
    let axes: Option<Vec<usize>> = modes
        .iter()
        .map(|m| tensor.modes.iter().position(|t| t.name == m.name && t.size() == m.size()))
        .collect();
    let axes = axes.filter(|a| a.len() == tensor.modes.len()).ok_or_else(|| {
        let names = |modes: &[crate::model::Mode]| {
            let names: Vec<String> = modes.iter().map(|m| format!("{}: {}", m.name, m.size())).collect();
            names.join(", ")
        };
        given.wrong(format!(
            "`{}` is over ({}), the fit over ({})",
            tensor.name,
            names(&tensor.modes),
            names(modes)
        ))
    })?;
    let mut sum = crate::numeric::sum::Compensated::default();
    let mut impossible = false;
    let mut cell = vec![0; modes.len()];
    tensor.each_cell(|levels, y| {
        for (slot, axis) in cell.iter_mut().zip(&axes) {
            *slot = levels[*axis];
        }
        let log = result.fit.distribution.log_probability(&cell);
        if log == f64::NEG_INFINITY {
            impossible = true;
        } else {
            sum.add(y * log);
        }
    });
    Ok(Value::Number(if impossible { f64::NEG_INFINITY } else { sum.value() }))
}
