//! Learned coefficients, as the user named them.

use num_bigint::BigUint;
use num_traits::Zero;

use super::{FitResult, Given};
use crate::report::value::{Rows, Value};
use crate::run::Fit;
use crate::run::learned::{Coefficient, Finding};
use crate::text::ast::{Expr, ExprKind};
use crate::text::{Code, Diagnostic, suggest};

/// How many parameters were found to be free: fewer than were written where some are not determined.
///
/// # Errors
/// Why the dimension of the model on the observed cells is not known.
pub fn free(fit: &Fit) -> Result<BigUint, String> {
    match (&fit.learned, &fit.domain) {
        (Some(learned), _) => Ok(learned.rank.into()),
        (None, Some(domain)) => {
            domain.rank.clone().map(|rank| if rank.is_zero() { rank } else { rank - 1u32 })
        }
        (None, None) => Ok(crate::plan::parameters(&fit.model)),
    }
}

/// What is known of a fit of which no distribution is computed.
const CONDITIONAL: &[&str] = &[
    "coefficients",
    "coefficient",
    "pseudo_likelihood",
    "parameters",
    "df",
    "total",
    "cells",
    "iterations",
    "status",
    "certificate",
    "cost",
    "zero_marginals",
];

/// Null, with the reason, for what a fit by pseudo-likelihood does not compute.
pub fn out_of_reach(result: &FitResult, name: &str) -> Option<Value> {
    let conditional = result.fit.learned.as_ref().is_some_and(|l| l.pseudo_likelihood.is_some());
    (conditional && !CONDITIONAL.contains(&name))
        .then(|| Value::Null("a fit by pseudo-likelihood computes no sum over all cells".into()))
}

/// Σ_x P(x) Σ_i ln Q(x_i | the others), in nats per unit mass.
pub fn pseudo_likelihood(result: &FitResult) -> Value {
    match result.fit.learned.as_ref().and_then(|l| l.pseudo_likelihood) {
        Some(value) => Value::Number(value),
        None => Value::Null("the fit is not by pseudo-likelihood".into()),
    }
}

fn value(result: &FitResult, coefficient: &Coefficient) -> Value {
    match coefficient.finding {
        Finding::Found => Value::Number(coefficient.value),
        Finding::Infinite => Value::Number(coefficient.value),
        Finding::Undetermined => {
            let sets = result.fit.learned.iter().flat_map(|l| &l.dependencies);
            let others: Vec<String> = sets
                .filter(|set| set.contains(&coefficient.name))
                .flatten()
                .filter(|name| **name != coefficient.name)
                .map(|name| {
                    name.split_once(']')
                        .filter(|_| name.starts_with('['))
                        .map_or(name.clone(), |(b, _)| format!("{b}]"))
                })
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect();
            Value::Null(if others.is_empty() {
                "its statistic is the same in every cell".into()
            } else {
                format!("not determined beside {}", suggest::list(&others))
            })
        }
    }
}

fn error(result: &FitResult, coefficient: &Coefficient) -> Value {
    if !result.tensor.counts {
        return Value::Null("the data are not counts".into());
    }
    match coefficient.spread {
        Some(spread) => Value::Number(spread / result.fit.total.sqrt()),
        None => {
            let why = result.fit.learned.as_ref().and_then(|l| l.no_errors.clone());
            Value::Null(why.unwrap_or_else(|| "not determined".into()))
        }
    }
}

/// One row per coefficient: its value, and for counts its standard error and their quotient.
pub fn coefficients(result: &FitResult) -> Value {
    let Some(learned) = &result.fit.learned else {
        return Value::Null("the model has no learned coefficients; see `theta`".into());
    };
    let columns = ["coefficient", "value", "standard_error", "z"].map(String::from).to_vec();
    let row = |c: &Coefficient| {
        let (value, error) = (value(result, c), error(result, c));
        let z = match (&value, &error) {
            (Value::Number(v), Value::Number(e)) => Value::Number(v / e),
            (_, Value::Null(reason)) | (Value::Null(reason), _) => Value::Null(reason.clone()),
            _ => Value::Null("not defined".into()),
        };
        vec![Value::Text(c.name.clone()), value, error, z]
    };
    let rows = learned.coefficients.iter().filter(|c| c.named()).map(row).collect();
    Value::Table(Rows { columns, rows, notes: Vec::new() })
}

/// The value of one coefficient, named as it was learned: `J`, `J[0, 1]`, `J[s[0], s[1]]`.
pub fn coefficient(result: &FitResult, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let Some(learned) = &result.fit.learned else {
        return Err(given.wrong(format!("`{}` has no learned coefficients", result.fit.model.name)));
    };
    let [argument] = given.arguments else {
        return Err(given.wrong("one coefficient is expected"));
    };
    let name = spelled(&argument.value, given)?;
    match learned.coefficients.iter().find(|c| c.named() && c.name == name) {
        Some(found) => Ok(value(result, found)),
        None => {
            let names = || learned.coefficients.iter().filter(|c| c.named()).map(|c| c.name.as_str());
            let near = suggest::nearest(&name, names());
            let shown: Vec<&str> = names().take(12).collect();
            let help = format!("the coefficients are {}", suggest::list(&shown));
            Err(crate::model::declarations::unknown("coefficient", &name, argument.value.span, near, help))
        }
    }
}

/// The name an expression spells, its numbers computed.
fn spelled(expr: &Expr, given: &Given<'_>) -> Result<String, Diagnostic> {
    match &expr.kind {
        ExprKind::Name(name) => Ok(name.clone()),
        ExprKind::Index(base, indices) => {
            let base = spelled(base, given)?;
            let part = |e: &Expr| match &e.kind {
                ExprKind::Name(name) if given.environment.param(name).is_none() => Ok(name.clone()),
                ExprKind::Text(text) => Ok(text.clone()),
                ExprKind::Index(..) => spelled(e, given),
                _ => {
                    let value = super::evaluate(e, given.environment)?;
                    super::number(&value, e.span).map(crate::model::mode::number_label)
                }
            };
            let parts = indices.iter().map(|a| part(&a.value)).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("{base}[{}]", parts.join(", ")))
        }
        _ => Err(Diagnostic::new(Code::MBA105, "the name of a coefficient is expected")
            .at(expr.span, "here")
            .help(format!("write `{}`", given.usage))),
    }
}
