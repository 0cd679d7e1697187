//! Models in expressions: what `with` and `at` make of them, and what they can be asked.

use super::{Environment, Object, object};
use crate::model::constant;
use crate::report::results::FitResult;
use crate::report::results::arguments::Params;
use crate::report::results::ensemble::{OBSERVABLES, QUESTIONS, WHOLES};
use crate::report::value::Value;
use crate::run::{Ensemble, Limits};
use crate::text::ast::{Call, Expr, ExprKind, Ident};
use crate::text::{Code, Diagnostic, Span, suggest};

/// The model with known energies, or the fit at any temperature, that an expression stands for.
///
/// # Errors
/// What is wrong with the expression or the model; MBA106 when it is something else.
pub fn evaluate_ensemble(expr: &Expr, environment: &dyn Environment) -> Result<Ensemble, Diagnostic> {
    match object(expr, environment)? {
        Object::Ensemble(ensemble) => Ok(*ensemble),
        Object::Fit(fit) => thermal(&fit, environment.limits(), expr.span),
        _ => Err(not_a_model(expr.span)),
    }
}

/// The model, or template with arguments, that an expression names, and the params set in it.
///
/// # Errors
/// MBA106 when the expression is no model.
pub fn unwrap_model(
    expr: &Expr,
    environment: &dyn Environment,
) -> Result<(Call, Vec<(Ident, f64)>), Diagnostic> {
    let (bottom, all) = match &expr.kind {
        ExprKind::With(base, settings) => model_with(base, settings),
        _ => (expr, Vec::new()),
    };
    let call = called(bottom).ok_or_else(|| not_a_model(bottom.span))?;
    if !environment.model_names().contains(&call.name.name) {
        return Err(not_a_model(bottom.span));
    }
    let set =
        |(name, value): (&Ident, &Expr)| Ok((name.clone(), constant::number(value, &Params(environment))?));
    Ok((call, all.into_iter().map(set).collect::<Result<_, Diagnostic>>()?))
}

/// A fit as a distribution at any temperature.
///
/// # Errors
/// Those of [`Ensemble::of_distribution`].
pub fn thermal(fit: &FitResult, limits: Limits, span: Span) -> Result<Ensemble, Diagnostic> {
    Ensemble::of_distribution(&fit.fit.model, &fit.fit.distribution, limits, span).map_err(|d| *d)
}

/// A temperature after `at` or in `with`.
pub(super) fn temperature(expr: &Expr, environment: &dyn Environment) -> Result<f64, Diagnostic> {
    let t = constant::number(expr, &Params(environment))?;
    if t > 0.0 && t.is_finite() {
        return Ok(t);
    }
    Err(Diagnostic::new(Code::MBA305, format!("temperature is {}", crate::model::mode::number_label(t)))
        .at(expr.span, "must be positive and finite")
        .help("write a positive number; `most_probable` is the limit T → 0"))
}

/// The model at the bottom of `with`, and all that is set, the innermost first.
pub(super) fn model_with<'e>(
    base: &'e Expr,
    settings: &'e [(Ident, Expr)],
) -> (&'e Expr, Vec<(&'e Ident, &'e Expr)>) {
    let (bottom, mut all) = match &base.kind {
        ExprKind::With(base, inner) => model_with(base, inner),
        _ => (base, Vec::new()),
    };
    all.extend(settings.iter().map(|(name, value)| (name, value)));
    (bottom, all)
}

/// A model, or a template with its arguments.
pub(super) fn called(expr: &Expr) -> Option<Call> {
    match &expr.kind {
        ExprKind::Name(name) => Some(Call {
            name: Ident { name: name.clone(), span: expr.span },
            arguments: Vec::new(),
            span: expr.span,
        }),
        ExprKind::Call { callee, arguments, condition } if condition.is_empty() => match &callee.kind {
            ExprKind::Name(name) => Some(Call {
                name: Ident { name: name.clone(), span: callee.span },
                arguments: arguments.clone(),
                span: expr.span,
            }),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn not_a_model(span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA106, "this is no model")
        .at(span, "neither a model with known energies nor a fit")
        .help("write `(M with (L = 4)).log_z` or `(M at 2.0).energy`")
}

/// Whether models with known energies have a result of this name, without arguments.
pub(super) fn of_ensembles(name: &str) -> bool {
    OBSERVABLES.iter().any(|o| o.name == name) || WHOLES.iter().any(|w| w.name == name)
}

pub(super) fn ensemble_field(ensemble: &Ensemble, name: &str, span: Span) -> Result<Value, Diagnostic> {
    if let Some(observable) = OBSERVABLES.iter().find(|o| o.name == name) {
        let list = (observable.read)(ensemble).map_err(|d| *d)?;
        return Ok(list.into_iter().next().unwrap_or_else(|| Value::Null("no temperature".into())));
    }
    if let Some(whole) = WHOLES.iter().find(|w| w.name == name) {
        return (whole.read)(ensemble).map_err(|d| *d);
    }
    Err(unknown_observable(name, span, "a model with known energies"))
}

/// Results of the language that this version does not compute.
pub(super) const LATER: &[&str] = &["time"];

pub(super) fn unknown_observable(name: &str, span: Span, of: &str) -> Diagnostic {
    if LATER.contains(&name) {
        return crate::model::unsupported(&format!("`{name}`"), span);
    }
    let diagnostic = Diagnostic::new(Code::MBA102, format!("{of} has no result `{name}`"));
    if let Some(question) = QUESTIONS.iter().find(|m| m.name == name) {
        return diagnostic.at(span, "needs arguments").help(format!("write `{}`", question.usage));
    }
    if of == "a sweep" && WHOLES.iter().any(|w| w.name == name) {
        let help = format!("ask the model at one point, as in `(m at 2).{name}`");
        return diagnostic.at(span, "not one number for each point").help(help);
    }
    let names = OBSERVABLES.iter().map(|o| o.name).chain(WHOLES.iter().map(|w| w.name));
    suggest::result(diagnostic, (name, span), names, QUESTIONS.iter().map(|q| q.name))
}
