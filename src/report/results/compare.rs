//! Fits side by side.

use super::divergence::{deviance_of, kl};
use super::statistics::{aic, bic, df, df_of, p_value, parameters, tail};
use super::{FitResult, Function};
use crate::model::Scope;
use crate::report::value::{Rows, Value};
use crate::text::{Code, Diagnostic, Span};

/// One row per fit; each row carries the likelihood-ratio tests against the fits nested in it.
pub fn compare(fits: &[FitResult], span: Span) -> Result<Value, Diagnostic> {
    let usage = super::FUNCTIONS.iter().find(|f| f.name == "compare").map_or("", |f: &Function| f.usage);
    let Some(first) = fits.first() else {
        return Err(Diagnostic::new(Code::MBA105, "nothing to compare")
            .at(span, "here")
            .help(format!("name the fits: `{usage}`")));
    };
    if let Some(other) = fits.iter().find(|f| f.tensor.name != first.tensor.name) {
        return Err(Diagnostic::new(
            Code::MBA105,
            format!("`{}` and `{}` are fits of different data", first.name, other.name),
        )
        .at(span, format!("`{}` and `{}`", first.tensor.name, other.tensor.name))
        .help("compare fits of the same data"));
    }
    let columns = ["model", "parameters", "kl", "deviance", "df", "p_value", "aic", "bic", "tests"]
        .map(String::from)
        .to_vec();
    let rows = fits
        .iter()
        .map(|fit| {
            vec![
                Value::Text(fit.name.clone()),
                parameters(fit),
                kl(fit),
                Value::Number(deviance_of(fit)),
                df(fit),
                p_value(fit),
                aic(fit),
                bic(fit),
                tests(fit, fits),
            ]
        })
        .collect();
    Ok(Value::Table(Rows { columns, rows, notes: Vec::new() }))
}

/// Whether the model of `small` is contained in the model of `large`.
fn is_nested(small: &FitResult, large: &FitResult) -> bool {
    let (a, b): (Vec<Scope>, Vec<Scope>) = (small.fit.model.free_scopes(), large.fit.model.free_scopes());
    let contained =
        |inner: &[Scope], outer: &[Scope]| inner.iter().all(|s| outer.iter().any(|l| s.is_subset(l)));
    let only_free = |f: &FitResult| f.fit.model.interactions.len() == f.fit.model.free_scopes().len();
    only_free(small) && only_free(large) && contained(&a, &b) && !contained(&b, &a)
}

fn tests(fit: &FitResult, fits: &[FitResult]) -> Value {
    let columns = ["against", "deviance", "df", "p_value"].map(String::from).to_vec();
    let rows = fits
        .iter()
        .filter(|small| is_nested(small, fit))
        .map(|small| {
            let deviance = (deviance_of(small) - deviance_of(fit)).max(0.0);
            let df = match (df_of(&small.fit), df_of(&fit.fit)) {
                (Ok(small), Ok(large)) if small >= large => small - large,
                (Err(reason), _) | (_, Err(reason)) => {
                    return vec![
                        Value::Text(small.name.clone()),
                        Value::Number(deviance),
                        Value::Null(reason.clone()),
                        Value::Null(reason),
                    ];
                }
                _ => num_bigint::BigUint::default(),
            };
            let p = if fit.tensor.counts {
                tail(deviance, &df)
            } else {
                Value::Null("the data are not counts".into())
            };
            vec![Value::Text(small.name.clone()), Value::Number(deviance), Value::Count(df), p]
        })
        .collect();
    Value::Table(Rows { columns, rows, notes: Vec::new() })
}
