//! Expressions over results: checked before anything runs, evaluated after.

use std::sync::Arc;

use super::arguments::{Given, Params, find_level};
use super::balanced::{BALANCE_FIELDS, BalanceResult, MEAN, balance_summary, mean, no_such_result, shared};
use super::coefficients::out_of_reach;
use super::ensemble::{self, OBSERVABLES, QUESTIONS, TRANSFORMS, WHOLES};
use super::estimates::{self, EstimateResult};
use super::{Curve, FIELDS, FUNCTIONS, FitResult, METHODS, completion, summary};
use crate::data::Tensor;
use crate::model::constant::{self, Constant};
use crate::model::declarations::unknown;
use crate::model::{Mode, Scope};
use crate::plan::summation::Carry;
use crate::report::value::{Array, Rows, Value};
use crate::run::Ensemble;
use crate::text::ast::{Argument, Binary, Call, Expr, ExprKind, Ident, Unary};
use crate::text::{Code, Diagnostic, Span, suggest};

/// Where the names in an expression get their meaning.
pub trait Environment {
    /// The fit of this name.
    fn fit(&self, name: &str) -> Option<FitResult>;
    /// The balanced tensor of this name.
    fn balanced(&self, name: &str) -> Option<BalanceResult>;
    /// The names of all balanced tensors that are there, or will be.
    fn balance_names(&self) -> Vec<String>;
    /// The names of all fits that are there, or will be.
    fn fit_names(&self) -> Vec<String>;
    /// The tensor of this name, read when it is first needed.
    fn tensor(&self, name: &str, span: Span) -> Result<Arc<Tensor>, Diagnostic>;
    /// The names of all tensors.
    fn tensor_names(&self) -> Vec<String>;
    /// The value of a param.
    fn param(&self, name: &str) -> Option<Constant>;
    /// The names of all params.
    fn param_names(&self) -> Vec<String>;
    /// The modes a fit is over, when they are known.
    fn modes_of(&self, fit: &str) -> Option<Vec<Mode>>;
    /// The seed of everything random that names none.
    fn seed(&self) -> u64;
    /// What `_` stands for; nothing in a file.
    fn last(&self) -> Option<Object> {
        None
    }
    /// The estimate of this name, once it has run.
    fn estimate(&self, _name: &str) -> Option<EstimateResult> {
        None
    }
    /// The names of all estimates that are there, or will be.
    fn estimate_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// The names of all models.
    fn model_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// A model, or a template with its arguments, as a distribution of its own, with params set.
    fn ensemble(&self, model: &Call, _settings: &[(Ident, f64)]) -> Result<Ensemble, Diagnostic> {
        Err(crate::model::unsupported("models in results", model.span))
    }
    /// The sweep of this name, once it has run.
    fn curve(&self, _name: &str) -> Option<Curve> {
        None
    }
    /// The names of all sweeps that are there, or will be.
    fn curve_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// The memory budget in bytes.
    fn memory(&self) -> u64 {
        crate::plan::Options::default().memory
    }
}

/// The name of the last result at a prompt.
pub const LAST: &str = "_";

/// What an expression can stand for on the way to a value.
#[derive(Debug, Clone)]
pub enum Object {
    /// A value.
    Value(Value),
    /// A fit, whose results can be asked for.
    Fit(Box<FitResult>),
    /// A balanced tensor.
    Balanced(Box<BalanceResult>),
    /// Data.
    Tensor(Arc<Tensor>),
    /// An estimate.
    Estimate(Box<EstimateResult>),
    /// A model with known energies.
    Ensemble(Box<Ensemble>),
    /// A sweep.
    Curve(Box<Curve>),
}

/// The value of an expression.
pub fn evaluate(expr: &Expr, environment: &dyn Environment) -> Result<Value, Diagnostic> {
    object(expr, environment)?.value(expr)
}

/// A dense tensor of at most this many cells is shown cell by cell.
const MAX_SHOWN: usize = 1 << 20;

impl Object {
    /// A value to show: the summary of a fit, the cells of data.
    ///
    /// Data too large to show are an error.
    pub fn value(self, expr: &Expr) -> Result<Value, Diagnostic> {
        match self {
            Object::Value(value) => Ok(value),
            Object::Fit(fit) => Ok(summary(&fit)),
            Object::Ensemble(ensemble) => ensemble::summary(&ensemble),
            Object::Curve(curve) => curve.table(),
            Object::Balanced(balanced) => Ok(balance_summary(&balanced)),
            Object::Estimate(estimate) => Ok(estimates::summary(&estimate)),
            Object::Tensor(tensor) => match cells(&tensor) {
                Some(array) => Ok(Value::Array(array)),
                None => Err(Diagnostic::new(Code::MBA504, format!("`{}` is too large to show", tensor.name))
                    .at(expr.span, format!("{} cells", tensor.cells()))
                    .help("show its `total`, or a marginal of a fit")),
            },
        }
    }
}

/// Every cell of a tensor, when there are not too many.
fn cells(tensor: &Tensor) -> Option<Array> {
    let sizes: Vec<usize> = tensor.modes.iter().map(Mode::size).collect();
    let count = sizes.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).filter(|n| *n <= MAX_SHOWN)?;
    let mut values = vec![0.0; count];
    super::statistics::for_each_cell(tensor, |cell, x| {
        values[cell.iter().zip(&sizes).fold(0, |k, (i, n)| k * n + i)] = x;
    });
    if let Some(seen) = tensor.mask.as_ref().and_then(|m| m.over(&Scope::all(sizes.len()), &sizes)) {
        values.iter_mut().zip(seen).filter(|(_, seen)| !seen).for_each(|(x, _)| *x = f64::NAN);
    }
    Some(Array { modes: tensor.modes.clone(), values: values.into() })
}

/// What an expression stands for, before a fit or data are made a value to show.
pub fn object(expr: &Expr, environment: &dyn Environment) -> Result<Object, Diagnostic> {
    let value = match &expr.kind {
        ExprKind::Number(x) | ExprKind::Percent(x) => Value::Number(*x),
        ExprKind::Text(t) => Value::Text(t.clone()),
        ExprKind::Truth(t) => Value::Truth(*t),
        ExprKind::Nan => Value::Number(f64::NAN),
        ExprKind::Missing => Value::Null("missing".into()),
        ExprKind::Name(name) => return named(name, expr.span, environment),
        ExprKind::Unary(op, operand) => unary(*op, &evaluate(operand, environment)?, operand.span)?,
        ExprKind::Binary(op, left, right) => {
            binary(*op, (left, evaluate(left, environment)?), (right, evaluate(right, environment)?))?
        }
        ExprKind::If(condition, then, otherwise) => {
            let holds = truth(&evaluate(condition, environment)?, condition.span)?;
            return object(if holds { then } else { otherwise }, environment);
        }
        ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Set(items) => {
            Value::List(items.iter().map(|e| evaluate(e, environment)).collect::<Result<_, _>>()?)
        }
        ExprKind::Field(base, name) => match object(base, environment)? {
            Object::Fit(fit) => match FIELDS.iter().find(|f| f.name == name.name) {
                Some(field) => beyond(&fit, field.name).unwrap_or_else(|| (field.read)(&fit)),
                None if of_ensembles(&name.name) => {
                    ensemble_field(&thermal(&fit, name.span)?, &name.name, name.span)?
                }
                None => return Err(unknown_result(&name.name, name.span)),
            },
            Object::Ensemble(ensemble) => ensemble_field(&ensemble, &name.name, name.span)?,
            Object::Curve(curve) => match curve.observable(&name.name) {
                Some(values) => curve.column(&name.name, values?),
                None => return Err(unknown_observable(&name.name, name.span, "a sweep")),
            },
            Object::Balanced(balanced) => match BALANCE_FIELDS.iter().find(|f| f.name == name.name) {
                Some(field) => (field.read)(&balanced),
                None => return Err(no_such_result(&name.name, name.span)),
            },
            Object::Estimate(estimate) => estimates::field(&estimate, &name.name, name.span)?,
            Object::Tensor(tensor) => tensor_field(&tensor, &name.name, name.span)?,
            Object::Value(Value::Record(parts)) => part(&parts, &name.name, name.span)?,
            Object::Value(Value::Table(rows)) => column(&rows, &name.name, name.span)?,
            Object::Value(_) => {
                return Err(Diagnostic::new(Code::MBA102, format!("this has no `{}`", name.name))
                    .at(name.span, "not a fit")
                    .help("results are asked of fits, as in `f.kl`"));
            }
        },
        ExprKind::Call { callee, arguments, condition } => {
            return call(callee, arguments, condition, expr.span, environment);
        }
        ExprKind::Index(base, arguments) => {
            index(evaluate(base, environment)?, arguments, expr.span, environment)?
        }
        ExprKind::With(base, settings) => {
            let (base, mut all) = model_with(base, settings);
            let fit = match &base.kind {
                ExprKind::Name(name) => environment.fit(name),
                _ => None,
            };
            if let (Some(fit), [(name, value)]) = (&fit, all.as_slice())
                && name.name == "temperature"
            {
                let t = temperature(value, environment)?;
                return Ok(Object::Ensemble(Box::new(thermal(fit, expr.span)?.at(vec![t]))));
            }
            let call = called(base).filter(|_| fit.is_none()).ok_or_else(|| not_a_model(base.span))?;
            let values = all
                .drain(..)
                .map(|(name, value)| Ok((name.clone(), constant::number(value, &Params(environment))?)))
                .collect::<Result<Vec<_>, Diagnostic>>()?;
            return environment.ensemble(&call, &values).map(|e| Object::Ensemble(Box::new(e)));
        }
        ExprKind::At(base, t) => {
            let t = temperature(t, environment)?;
            let ensemble = match object(base, environment)? {
                Object::Fit(fit) => thermal(&fit, expr.span)?,
                Object::Ensemble(ensemble) => *ensemble,
                _ => return Err(not_a_model(base.span)),
            };
            return Ok(Object::Ensemble(Box::new(ensemble.at(vec![t]))));
        }
    };
    Ok(Object::Value(value))
}

/// Null, with the reason, for what cannot be had of a fit: sums over all cells that were never taken, or
/// that need cells which the observed ones do not determine.
fn beyond(fit: &FitResult, name: &str) -> Option<Value> {
    let open = || completion::WHOLE.contains(&name).then(|| completion::gaps(fit)).flatten();
    out_of_reach(fit, name).or_else(|| open().map(Value::Null))
}

/// The model with known energies, or the fit at any temperature, that an expression stands for.
///
/// # Errors
/// What is wrong with the expression or the model; MBA106 when it is something else.
pub fn evaluate_ensemble(expr: &Expr, environment: &dyn Environment) -> Result<Ensemble, Diagnostic> {
    match object(expr, environment)? {
        Object::Ensemble(ensemble) => Ok(*ensemble),
        Object::Fit(fit) => thermal(&fit, expr.span),
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
pub fn thermal(fit: &FitResult, span: Span) -> Result<Ensemble, Diagnostic> {
    Ensemble::of_distribution(&fit.fit.model, &fit.fit.distribution, fit.memory, span).map_err(|d| *d)
}

/// A temperature after `at` or in `with`.
fn temperature(expr: &Expr, environment: &dyn Environment) -> Result<f64, Diagnostic> {
    let t = constant::number(expr, &Params(environment))?;
    if t > 0.0 && t.is_finite() {
        return Ok(t);
    }
    Err(Diagnostic::new(Code::MBA305, format!("temperature is {}", crate::model::mode::number_label(t)))
        .at(expr.span, "must be positive and finite")
        .help("write a positive number; `most_probable` is the limit T → 0"))
}

/// The model at the bottom of `with`, and all that is set, the innermost first.
fn model_with<'e>(base: &'e Expr, settings: &'e [(Ident, Expr)]) -> (&'e Expr, Vec<(&'e Ident, &'e Expr)>) {
    let (bottom, mut all) = match &base.kind {
        ExprKind::With(base, inner) => model_with(base, inner),
        _ => (base, Vec::new()),
    };
    all.extend(settings.iter().map(|(name, value)| (name, value)));
    (bottom, all)
}

/// A model, or a template with its arguments.
fn called(expr: &Expr) -> Option<Call> {
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

fn not_a_model(span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA106, "this is no model")
        .at(span, "neither a model with known energies nor a fit")
        .help("write `(M with (L = 4)).log_z` or `(M at 2.0).energy`")
}

/// Whether models with known energies have a result of this name, without arguments.
fn of_ensembles(name: &str) -> bool {
    OBSERVABLES.iter().any(|o| o.name == name) || WHOLES.iter().any(|w| w.name == name)
}

fn ensemble_field(ensemble: &Ensemble, name: &str, span: Span) -> Result<Value, Diagnostic> {
    if let Some(observable) = OBSERVABLES.iter().find(|o| o.name == name) {
        let list = (observable.read)(ensemble).map_err(|d| *d)?;
        return Ok(list.into_iter().next().unwrap_or_else(|| Value::Null("no temperature".into())));
    }
    if let Some(whole) = WHOLES.iter().find(|w| w.name == name) {
        return (whole.read)(ensemble).map_err(|d| *d);
    }
    Err(unknown_observable(name, span, "a model with known energies"))
}

fn unknown_observable(name: &str, span: Span, of: &str) -> Diagnostic {
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
    let names = || OBSERVABLES.iter().map(|o| o.name).chain(WHOLES.iter().map(|w| w.name));
    match suggest::nearest(name, names().chain(QUESTIONS.iter().map(|q| q.name))) {
        Some(near) => diagnostic
            .at(span, format!("did you mean `{near}`?"))
            .help(format!("write `{near}`"))
            .replace(span, near, format!("write `{near}`")),
        None => {
            let names: Vec<&str> = names().collect();
            diagnostic.at(span, "unknown result").help(format!("the results are {}", suggest::list(&names)))
        }
    }
}

fn named(name: &str, span: Span, environment: &dyn Environment) -> Result<Object, Diagnostic> {
    if name == LAST
        && let Some(last) = environment.last()
    {
        return Ok(last);
    }
    if let Some(fit) = environment.fit(name) {
        return Ok(Object::Fit(Box::new(fit)));
    }
    if let Some(balanced) = environment.balanced(name) {
        return Ok(Object::Balanced(Box::new(balanced)));
    }
    if let Some(estimate) = environment.estimate(name) {
        return Ok(Object::Estimate(Box::new(estimate)));
    }
    if environment.tensor_names().iter().any(|t| t == name) {
        return environment.tensor(name, span).map(Object::Tensor);
    }
    if let Some(param) = environment.param(name) {
        return Ok(Object::Value(of_constant(param)));
    }
    if let Some(curve) = environment.curve(name) {
        return Ok(Object::Curve(Box::new(curve)));
    }
    if environment.model_names().iter().any(|m| m == name) {
        let call = Call { name: Ident { name: name.to_string(), span }, arguments: Vec::new(), span };
        return environment.ensemble(&call, &[]).map(|e| Object::Ensemble(Box::new(e)));
    }
    match constant::builtin(name) {
        Some(x) => Ok(Object::Value(Value::Number(x))),
        None => Err(unknown_name(name, span, environment)),
    }
}

fn unknown_name(name: &str, span: Span, environment: &dyn Environment) -> Diagnostic {
    let mut names = environment.fit_names();
    names.extend(environment.estimate_names());
    names.extend(environment.tensor_names());
    names.extend(environment.param_names());
    names.extend(environment.curve_names());
    names.extend(environment.model_names());
    let near = suggest::nearest(name, names.iter().map(String::as_str));
    let fits = environment.fit_names();
    let help = if fits.is_empty() {
        "fit a model first: `fit M to X`".to_string()
    } else {
        format!("name one of the fits {}", suggest::list(&fits))
    };
    let mut diagnostic = unknown("fit", name, span, near, help);
    // another fit has other results: that is for the user to say
    diagnostic.fix = None;
    diagnostic
}

fn of_constant(constant: Constant) -> Value {
    match constant {
        Constant::Number(x) => Value::Number(x),
        Constant::Truth(t) => Value::Truth(t),
        Constant::Text(t) => Value::Text(t),
        Constant::List(items) => Value::List(items.into_iter().map(of_constant).collect()),
        other => Value::Null(other.kind().into()),
    }
}

/// The names of the results of data.
pub fn tensor_fields() -> impl Iterator<Item = &'static str> {
    TENSOR_FIELDS.iter().map(|(name, _)| *name)
}

/// Results of a tensor: name, meaning, computation.
const TENSOR_FIELDS: &[(&str, fn(&Tensor) -> Value)] = &[
    ("total", |t| Value::Number(t.total)),
    ("cells", |t| Value::Count(t.cells())),
    ("stored", |t| Value::Count(t.stored().into())),
];

fn tensor_field(tensor: &Tensor, name: &str, span: Span) -> Result<Value, Diagnostic> {
    match TENSOR_FIELDS.iter().find(|(n, _)| *n == name) {
        Some((_, read)) => Ok(read(tensor)),
        None => Err(unknown_tensor_field(name, span)),
    }
}

fn unknown_tensor_field(name: &str, span: Span) -> Diagnostic {
    let names: Vec<&str> = TENSOR_FIELDS.iter().map(|(n, _)| *n).collect();
    let diagnostic = Diagnostic::new(Code::MBA102, format!("data have no `{name}`"));
    match suggest::nearest(name, names.iter().copied()) {
        Some(near) => diagnostic.at(span, format!("did you mean `{near}`?")).replace(
            span,
            near,
            format!("write `{near}`"),
        ),
        None => diagnostic
            .at(span, "unknown")
            .help(format!("data have {}; other results are asked of fits", suggest::list(&names))),
    }
}

/// Results of the language that this version does not compute.
const LATER: &[&str] = &["time"];

fn unknown_result(name: &str, span: Span) -> Diagnostic {
    if LATER.contains(&name) {
        return crate::model::unsupported(&format!("`{name}`"), span);
    }
    let diagnostic = Diagnostic::new(Code::MBA102, format!("a fit has no result `{name}`"));
    if let Some(method) = METHODS.iter().find(|m| m.name == name) {
        return diagnostic.at(span, "needs arguments").help(format!("write `{}`", method.usage));
    }
    let names = FIELDS.iter().map(|f| f.name).chain(METHODS.iter().map(|m| m.name));
    match suggest::nearest(name, names) {
        Some(near) => diagnostic
            .at(span, format!("did you mean `{near}`?"))
            .help(format!("write `{near}`"))
            .replace(span, near, format!("write `{near}`")),
        None => {
            let names: Vec<&str> = FIELDS.iter().map(|f| f.name).collect();
            diagnostic.at(span, "unknown result").help(format!("the results are {}", suggest::list(&names)))
        }
    }
}

fn part(parts: &[(String, Value)], name: &str, span: Span) -> Result<Value, Diagnostic> {
    if let Some((_, value)) = parts.iter().find(|(n, _)| n == name) {
        return Ok(value.clone());
    }
    let names: Vec<&str> = parts.iter().map(|(n, _)| n.as_str()).collect();
    let near = suggest::nearest(name, names.iter().copied());
    Err(unknown("part", name, span, near, format!("its parts are {}", suggest::list(&names))))
}

fn column(rows: &Rows, name: &str, span: Span) -> Result<Value, Diagnostic> {
    if let Some(at) = rows.columns.iter().position(|c| c == name) {
        return Ok(Value::List(rows.rows.iter().filter_map(|r| r.get(at).cloned()).collect()));
    }
    let near = suggest::nearest(name, rows.columns.iter().map(String::as_str));
    Err(unknown("column", name, span, near, format!("the columns are {}", suggest::list(&rows.columns))))
}

fn call(
    callee: &Expr,
    arguments: &[Argument],
    condition: &[Argument],
    span: Span,
    environment: &dyn Environment,
) -> Result<Object, Diagnostic> {
    match &callee.kind {
        ExprKind::Field(base, name) => {
            let fit = match object(base, environment)? {
                Object::Fit(fit) => fit,
                Object::Estimate(estimate) => {
                    return estimates::method(&estimate, name, arguments, span).map(Object::Value);
                }
                Object::Ensemble(ensemble) => {
                    return ask(&ensemble, name, arguments, condition, span, environment);
                }
                Object::Curve(curve) => {
                    let mut values = Vec::new();
                    for ensemble in curve.each() {
                        values.push(match ask(&ensemble, name, arguments, condition, span, environment)? {
                            Object::Value(value) => value,
                            _ => return Err(unknown_observable(&name.name, name.span, "a sweep")),
                        });
                    }
                    return Ok(Object::Value(curve.column(&name.name, values)));
                }
                Object::Balanced(balanced) => {
                    let given = |usage| Given { arguments, condition, span, usage, environment };
                    return match shared(&name.name) {
                        Some(method) => (method.call)(&balanced.fit, &given(method.usage)),
                        None if name.name == "mean" => mean(&balanced, &given(MEAN)),
                        None => Err(no_such_result(&name.name, name.span)),
                    }
                    .map(Object::Value);
                }
                _ => {
                    return Err(Diagnostic::new(Code::MBA102, format!("this has no `{}`", name.name))
                        .at(name.span, "not a fit")
                        .help("results are asked of fits, as in `f.kl`"));
                }
            };
            let found = METHODS.iter().find(|m| m.name == name.name);
            let conditioned = name.name == "mutual_information" && !condition.is_empty();
            let Some(method) = found.filter(|_| !conditioned) else {
                if FIELDS.iter().any(|f| f.name == name.name) {
                    return Err(takes_none(&name.name, span));
                }
                if asked_of_ensembles(&name.name) {
                    return ask(&thermal(&fit, span)?, name, arguments, condition, span, environment);
                }
                return Err(unknown_result(&name.name, name.span));
            };
            if let Some(null) = beyond(&fit, method.name) {
                return Ok(Object::Value(null));
            }
            let given = Given { arguments, condition, span, usage: method.usage, environment };
            (method.call)(&fit, &given).map(Object::Value)
        }
        ExprKind::Name(name) if name == "kl" => {
            let [p, q] = arguments else { return Err(kl_usage(span)) };
            let side = |e: &Expr| match object(e, environment)? {
                Object::Fit(fit) => thermal(&fit, e.span),
                Object::Ensemble(ensemble) => Ok(*ensemble),
                _ => Err(kl_usage(e.span)),
            };
            ensemble::kl(&side(&p.value)?, &side(&q.value)?, span).map(Object::Value)
        }
        ExprKind::Name(name) => {
            if environment.model_names().contains(name) {
                let call = Call {
                    name: Ident { name: name.clone(), span: callee.span },
                    arguments: arguments.to_vec(),
                    span,
                };
                return environment.ensemble(&call, &[]).map(|e| Object::Ensemble(Box::new(e)));
            }
            if let Some(function) = FUNCTIONS.iter().find(|f| f.name == *name) {
                let mut fits = Vec::new();
                for argument in arguments {
                    match object(&argument.value, environment)? {
                        Object::Fit(fit) => fits.push(*fit),
                        _ => return Err(not_a_fit(name, function.usage, argument.value.span)),
                    }
                }
                if let Some(fit) = fits.iter().find(|f| out_of_reach(f, name).is_some()) {
                    return Err(Diagnostic::new(
                        Code::MBA105,
                        format!("`{}` was fitted by pseudo-likelihood", fit.name),
                    )
                    .at(span, "its divergence and its distribution are not computed")
                    .help("name fits whose sums are exact"));
                }
                return (function.call)(&fits, span).map(Object::Value);
            }
            let mut numbers = Vec::new();
            for argument in arguments {
                let value = evaluate(&argument.value, environment)?;
                numbers.push(number(&value, argument.value.span)?);
            }
            match constant::function(name, &numbers, span) {
                Some(result) => result.map(|x| Object::Value(Value::Number(x))),
                None => Err(unknown_function(name, callee.span)),
            }
        }
        _ => Err(unknown_function("this", callee.span)),
    }
}

fn kl_usage(span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA105, "`kl` takes two models or fits").at(span, "here").help("write `kl(p, q)`")
}

/// Whether models with known energies have a result of this name, with arguments.
fn asked_of_ensembles(name: &str) -> bool {
    QUESTIONS.iter().any(|q| q.name == name) || TRANSFORMS.iter().any(|(n, ..)| *n == name)
}

/// A result with arguments of a model with known energies.
fn ask(
    ensemble: &Ensemble,
    name: &Ident,
    arguments: &[Argument],
    condition: &[Argument],
    span: Span,
    environment: &dyn Environment,
) -> Result<Object, Diagnostic> {
    if let Some(question) = QUESTIONS.iter().find(|q| q.name == name.name) {
        let given = Given { arguments, condition, span, usage: question.usage, environment };
        return (question.call)(ensemble, &given).map(Object::Value);
    }
    if let Some((_, usage, _)) = TRANSFORMS.iter().find(|(n, ..)| *n == name.name) {
        let given = Given { arguments, condition, span, usage, environment };
        return ensemble::transform(ensemble, &name.name, &given).map(|e| Object::Ensemble(Box::new(e)));
    }
    if of_ensembles(&name.name) {
        return Err(takes_none(&name.name, span));
    }
    Err(unknown_observable(&name.name, name.span, "a model with known energies"))
}

fn takes_none(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA105, format!("`{name}` takes no arguments"))
        .at(span, "called here")
        .help(format!("write `.{name}`"))
}

fn not_a_fit(name: &str, usage: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA106, format!("`{name}` takes fits"))
        .at(span, "not a fit")
        .help(format!("write `{usage}`"))
}

fn unknown_function(name: &str, span: Span) -> Diagnostic {
    if name == "sample" {
        return Diagnostic::new(Code::MBA102, "`sample` belongs to data statements")
            .at(span, "not a result")
            .help("write `data x[a, b] = sample(model, n, seed: 1)`, or `f.sample(n)` for a fit");
    }
    let names = FUNCTIONS.iter().map(|f| f.name).chain(constant::function_names()).chain(["kl"]);
    let diagnostic = Diagnostic::new(Code::MBA102, format!("no function is called `{name}`"));
    match suggest::nearest(name, names) {
        Some(near) => diagnostic.at(span, format!("did you mean `{near}`?")).replace(
            span,
            near,
            format!("write `{near}`"),
        ),
        None => {
            let usages: Vec<&str> = FUNCTIONS.iter().map(|f| f.usage).collect();
            diagnostic
                .at(span, "unknown function")
                .help(format!("the functions of fits are {}", suggest::list(&usages)))
        }
    }
}

/// `array[mode: level, …]`: the slice at some levels.
fn index(
    base: Value,
    arguments: &[Argument],
    span: Span,
    environment: &dyn Environment,
) -> Result<Value, Diagnostic> {
    let array = match base {
        Value::Array(array) => array,
        Value::Null(reason) => return Ok(Value::Null(reason)),
        _ => {
            return Err(Diagnostic::new(Code::MBA106, "this cannot be indexed")
                .at(span, "not an array")
                .help("an array is sliced as in `f.fitted[hair: Black]`"));
        }
    };
    let mut chosen: Vec<Option<usize>> = vec![None; array.modes.len()];
    for argument in arguments {
        let Some(name) = &argument.name else {
            return Err(Diagnostic::new(Code::MBA105, "an index names its mode")
                .at(argument.value.span, "of which mode?")
                .help("write `[mode: level]`"));
        };
        let Some(axis) = array.modes.iter().position(|m| m.name == name.name) else {
            let near = suggest::nearest(&name.name, array.modes.iter().map(|m| m.name.as_str()));
            return Err(unknown("mode", &name.name, name.span, near, "name a mode of the array".into()));
        };
        chosen[axis] = Some(find_level(&argument.value, &array.modes[axis], environment)?);
    }
    let sizes: Vec<usize> = array.modes.iter().map(Mode::size).collect();
    let kept: Vec<usize> = (0..sizes.len()).filter(|a| chosen[*a].is_none()).collect();
    let count: usize = kept.iter().map(|a| sizes[*a]).product();
    let strides = crate::model::table::strides(&sizes);
    let offset: usize = chosen.iter().zip(&strides).filter_map(|(c, s)| c.map(|level| level * s)).sum();
    let mut values = Vec::with_capacity(count);
    for flat in 0..count {
        let (mut rest, mut at) = (flat, offset);
        for axis in kept.iter().rev() {
            at += rest % sizes[*axis] * strides[*axis];
            rest /= sizes[*axis];
        }
        values.push(array.values[at]);
    }
    if kept.is_empty() {
        return Ok(Value::Number(values[0]));
    }
    let modes = kept.iter().map(|a| array.modes[*a].clone()).collect();
    Ok(Value::Array(Array { modes, values: values.into() }))
}

// ---------------------------------------------------------------- operators

/// A number, however it is held.
pub fn number(value: &Value, span: Span) -> Result<f64, Diagnostic> {
    use num_traits::ToPrimitive;
    match value {
        Value::Number(x) => Ok(*x),
        Value::Count(n) => Ok(n.to_f64().unwrap_or(f64::INFINITY)),
        Value::Null(reason) => Err(Diagnostic::new(Code::MBA601, "this has no value")
            .at(span, reason.clone())
            .help("leave it out, or ask for a result that is defined here")),
        other => Err(Diagnostic::new(Code::MBA106, format!("expected a number, found {}", kind(other)))
            .at(span, format!("this is {}", kind(other)))
            .help("take a part of it that is a number")),
    }
}

/// What a value is, in two words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null(_) => "nothing",
        Value::Truth(_) => "a truth value",
        Value::Count(_) | Value::Number(_) => "a number",
        Value::Text(_) => "a word",
        Value::Record(_) => "a record",
        Value::Table(_) => "a table",
        Value::Array(_) => "an array",
        Value::List(_) => "a list",
    }
}

fn truth(value: &Value, span: Span) -> Result<bool, Diagnostic> {
    match value {
        Value::Truth(t) => Ok(*t),
        other => Err(Diagnostic::new(Code::MBA106, format!("expected a truth value, found {}", kind(other)))
            .at(span, format!("this is {}", kind(other)))
            .help("compare it with something")),
    }
}

fn unary(op: Unary, value: &Value, span: Span) -> Result<Value, Diagnostic> {
    Ok(match op {
        Unary::Negate => Value::Number(-number(value, span)?),
        Unary::Plus => Value::Number(number(value, span)?),
        Unary::Not => Value::Truth(!truth(value, span)?),
    })
}

fn binary(op: Binary, (left, a): (&Expr, Value), (right, b): (&Expr, Value)) -> Result<Value, Diagnostic> {
    let both = || Ok::<_, Diagnostic>((number(&a, left.span)?, number(&b, right.span)?));
    let arithmetic = |f: fn(f64, f64) -> f64| both().map(|(x, y)| Value::Number(f(x, y)));
    let comparison = |f: fn(&f64, &f64) -> bool| both().map(|(x, y)| Value::Truth(f(&x, &y)));
    match op {
        Binary::And => Ok(Value::Truth(truth(&a, left.span)? && truth(&b, right.span)?)),
        Binary::Or => Ok(Value::Truth(truth(&a, left.span)? || truth(&b, right.span)?)),
        Binary::Add => arithmetic(|x, y| x + y),
        Binary::Subtract => arithmetic(|x, y| x - y),
        Binary::Multiply => arithmetic(|x, y| x * y),
        Binary::Divide => arithmetic(|x, y| x / y),
        Binary::Remainder => arithmetic(f64::rem_euclid),
        Binary::Power => arithmetic(f64::powf),
        Binary::Below => comparison(f64::lt),
        Binary::Above => comparison(f64::gt),
        Binary::AtMost => comparison(f64::le),
        Binary::AtLeast => comparison(f64::ge),
        Binary::Equal => Ok(Value::Truth(equal(&a, &b))),
        Binary::Unequal => Ok(Value::Truth(!equal(&a, &b))),
        Binary::In => match &b {
            Value::List(items) => Ok(Value::Truth(items.iter().any(|i| equal(&a, i)))),
            other => Err(Diagnostic::new(Code::MBA106, format!("expected a list, found {}", kind(other)))
                .at(right.span, "not a list")
                .help("write the list as `[1, 2]`")),
        },
        Binary::Approximately => Err(Diagnostic::new(Code::MBA106, "`~=` belongs to `expect`")
            .at(left.span.to(right.span), "not in a test")
            .help("compare with `==` or `<`")),
        Binary::Range => Err(Diagnostic::new(Code::MBA106, "a range is not a result")
            .at(left.span.to(right.span), "here")
            .help("ranges belong to declarations")),
    }
}

/// Equality of values; numbers and exact counts compare as numbers.
pub fn equal(a: &Value, b: &Value) -> bool {
    use num_traits::ToPrimitive;
    match (a, b) {
        (Value::Count(n), Value::Number(x)) | (Value::Number(x), Value::Count(n)) => n.to_f64() == Some(*x),
        _ => a == b,
    }
}

// ---------------------------------------------------------------- before anything runs

/// Checks the names in an expression, as far as they are known before anything runs.
pub fn check(expr: &Expr, environment: &dyn Environment, diagnostics: &mut Vec<Diagnostic>) {
    match &expr.kind {
        ExprKind::Name(name) => {
            let fits = environment.fit_names();
            if !fits.contains(name)
                && !environment.tensor_names().contains(name)
                && !environment.curve_names().contains(name)
                && environment.param(name).is_none()
                && environment.model_names().contains(name)
            {
                check_ensemble(expr, None, environment, diagnostics);
                return;
            }
            let known = fits.contains(name)
                || (name == LAST && environment.last().is_some())
                || environment.curve_names().contains(name)
                || environment.balance_names().contains(name)
                || environment.estimate_names().contains(name)
                || environment.tensor_names().contains(name)
                || environment.param(name).is_some()
                || constant::builtin(name).is_some();
            if !known {
                diagnostics.push(unknown_name(name, expr.span, environment));
            }
        }
        ExprKind::Field(base, field) if is_ensemble(base, environment) => {
            let carry = match field.name.as_str() {
                "magnetization" | "susceptibility" | "total" => Carry::Total,
                "most_probable" => Carry::Least,
                "log_z" | "free_energy" => Carry::Weights,
                _ => Carry::Moments,
            };
            let errors = diagnostics.len();
            check_ensemble(base, Some(carry), environment, diagnostics);
            if diagnostics.len() == errors && !of_ensembles(&field.name) {
                diagnostics.push(unknown_observable(&field.name, field.span, "a model with known energies"));
            }
        }
        ExprKind::Field(base, field) => {
            check(base, environment, diagnostics);
            if let ExprKind::Name(name) = &base.kind {
                if environment.curve_names().contains(name) {
                    if !OBSERVABLES.iter().any(|o| o.name == field.name) {
                        diagnostics.push(unknown_observable(&field.name, field.span, "a sweep"));
                    }
                } else if environment.fit_names().contains(name) {
                    if !FIELDS.iter().any(|f| f.name == field.name) && !of_ensembles(&field.name) {
                        diagnostics.push(unknown_result(&field.name, field.span));
                    }
                } else if environment.balance_names().contains(name) {
                    if !BALANCE_FIELDS.iter().any(|f| f.name == field.name) {
                        diagnostics.push(no_such_result(&field.name, field.span));
                    }
                } else if environment.estimate_names().contains(name) {
                    diagnostics.extend(estimates::known(&field.name, field.span).err());
                } else if environment.tensor_names().contains(name)
                    && !TENSOR_FIELDS.iter().any(|(n, _)| *n == field.name)
                {
                    diagnostics.push(unknown_tensor_field(&field.name, field.span));
                }
            }
        }
        ExprKind::Call { callee, arguments, condition } => {
            check_call(callee, arguments, condition, expr.span, environment, diagnostics);
        }
        ExprKind::Index(base, arguments) => {
            check(base, environment, diagnostics);
            // an array over all modes of a fit is sliced at their levels
            if let ExprKind::Field(fit, field) = &base.kind
                && let ExprKind::Name(fit) = &fit.kind
                && ["fitted", "reconstruction", "residuals"].contains(&field.name.as_str())
            {
                check_modes(arguments, fit, environment, diagnostics);
            }
        }
        ExprKind::Unary(_, operand) => check(operand, environment, diagnostics),
        ExprKind::Binary(_, a, b) => {
            check(a, environment, diagnostics);
            check(b, environment, diagnostics);
        }
        ExprKind::If(a, b, c) => [a, b, c].into_iter().for_each(|e| check(e, environment, diagnostics)),
        ExprKind::With(base, settings) => {
            let (bottom, _) = model_with(base, settings);
            let fitted = matches!(&bottom.kind, ExprKind::Name(n) if environment.fit_names().contains(n));
            if fitted {
                let (_, all) = model_with(base, settings);
                match all.as_slice() {
                    [(name, value)] if name.name == "temperature" => {
                        diagnostics.extend(temperature(value, environment).err());
                    }
                    _ => diagnostics.push(not_a_model(bottom.span)),
                }
            } else {
                check_ensemble(expr, None, environment, diagnostics);
            }
        }
        ExprKind::At(base, t) => {
            diagnostics.extend(temperature(t, environment).err());
            check(base, environment, diagnostics);
            // `m.energy at 2` reads as the number at 2
            if matches!(base.kind, ExprKind::Field(..)) {
                diagnostics.push(not_a_model(base.span));
            }
        }
        ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Set(items) => {
            items.iter().for_each(|e| check(e, environment, diagnostics));
        }
        ExprKind::Number(_)
        | ExprKind::Percent(_)
        | ExprKind::Text(_)
        | ExprKind::Truth(_)
        | ExprKind::Nan
        | ExprKind::Missing => {}
    }
}

/// Whether an expression is a model with known energies, by its form.
fn is_ensemble(expr: &Expr, environment: &dyn Environment) -> bool {
    match &expr.kind {
        ExprKind::Name(name) => {
            environment.model_names().contains(name)
                && !environment.fit_names().contains(name)
                && !environment.tensor_names().contains(name)
                && !environment.curve_names().contains(name)
                && environment.param(name).is_none()
        }
        ExprKind::Call { callee, .. } => match &callee.kind {
            ExprKind::Name(name) => environment.model_names().contains(name),
            ExprKind::Field(base, name) => {
                TRANSFORMS.iter().any(|(n, ..)| *n == name.name) && is_ensemble(base, environment)
            }
            _ => false,
        },
        ExprKind::With(base, settings) => {
            let (bottom, _) = model_with(base, settings);
            is_ensemble(bottom, environment)
        }
        ExprKind::At(base, _) => is_ensemble(base, environment),
        _ => false,
    }
}

/// Checks that a model has a distribution of its own, and that a sum over its cells is within reach. What is
/// asked of a transformed model is only checked as far as the model itself.
fn check_ensemble(
    expr: &Expr,
    carry: Option<Carry>,
    environment: &dyn Environment,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if let ExprKind::Call { callee, arguments, condition } = &expr.kind
        && let ExprKind::Field(base, name) = &callee.kind
    {
        let errors = diagnostics.len();
        check_ensemble(base, None, environment, diagnostics);
        if diagnostics.len() == errors
            && let Ok(Object::Ensemble(ensemble)) = object(base, environment)
            && let Err(diagnostic) =
                ask(&ensemble, name, arguments, condition, expr.span, environment).map(|_| ())
        {
            diagnostics.push(diagnostic);
        }
        return;
    }
    match object(expr, environment) {
        Ok(Object::Ensemble(ensemble)) => {
            if let Some(carry) = carry {
                let planned = ensemble.plan(carry, &crate::model::Scope::empty());
                diagnostics.extend(planned.err().map(|d| *d));
            }
        }
        Ok(_) => {}
        Err(diagnostic) => {
            if !diagnostics.contains(&diagnostic) {
                diagnostics.push(diagnostic);
            }
        }
    }
}

/// Checks that arguments name modes of a fit, before a colon or bare, and levels of those modes.
fn check_modes(
    arguments: &[Argument],
    fit: &str,
    environment: &dyn Environment,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(modes) = environment.modes_of(fit) else { return };
    let labels: Vec<&str> = modes.iter().map(|m| m.name.as_str()).collect();
    for argument in arguments {
        let mut names = Vec::new();
        match &argument.name {
            Some(name) => names.push((name.name.clone(), name.span)),
            None => crate::model::elaborate::names_in(&argument.value, &mut names),
        }
        for (name, span) in names {
            let is_family = labels.iter().any(|m| m.split('[').next() == Some(&name));
            if let Some(mode) = modes.iter().find(|m| m.name == name) {
                if argument.name.is_some() {
                    diagnostics.extend(find_level(&argument.value, mode, environment).err());
                }
            } else if !is_family {
                let near = suggest::nearest(&name, labels.iter().copied());
                let help = format!("the modes of `{fit}` are {}", suggest::list(&labels));
                diagnostics.push(unknown("mode", &name, span, near, help));
            }
        }
    }
}

fn check_call(
    callee: &Expr,
    arguments: &[Argument],
    condition: &[Argument],
    span: Span,
    environment: &dyn Environment,
    diagnostics: &mut Vec<Diagnostic>,
) {
    match &callee.kind {
        ExprKind::Field(base, method) if is_ensemble(base, environment) => {
            let errors = diagnostics.len();
            check_ensemble(base, None, environment, diagnostics);
            let usage = QUESTIONS.iter().find(|q| q.name == method.name).map(|q| q.usage);
            let transforms = TRANSFORMS.iter().any(|(n, ..)| *n == method.name);
            match usage {
                _ if diagnostics.len() > errors => {}
                None if transforms => {}
                None if of_ensembles(&method.name) => diagnostics.push(takes_none(&method.name, span)),
                None => diagnostics.push(unknown_observable(
                    &method.name,
                    method.span,
                    "a model with known energies",
                )),
                Some(usage) => {
                    if let Ok(Object::Ensemble(ensemble)) = object(base, environment) {
                        let given = Given { arguments, condition, span, usage, environment };
                        let named = ["mean", "variance", "covariance", "correlation", "sample"];
                        if !named.contains(&method.name.as_str()) {
                            for argument in arguments.iter().chain(condition) {
                                let list = std::slice::from_ref(argument);
                                diagnostics.extend(match argument.name {
                                    Some(_) => given.levels(list, &*ensemble).err(),
                                    None => given.modes(list, &*ensemble).err(),
                                });
                            }
                        }
                    }
                }
            }
        }
        ExprKind::Field(base, method) => {
            check(base, environment, diagnostics);
            if let ExprKind::Name(curve) = &base.kind
                && environment.curve_names().contains(curve)
                && !environment.fit_names().contains(curve)
            {
                if !QUESTIONS.iter().any(|q| q.name == method.name) {
                    diagnostics.push(unknown_observable(&method.name, method.span, "a sweep"));
                }
                return;
            }
            let ExprKind::Name(fit) = &base.kind else { return };
            if environment.balance_names().contains(fit)
                && shared(&method.name).is_none()
                && method.name != "mean"
            {
                diagnostics.push(no_such_result(&method.name, method.span));
            }
            if !environment.fit_names().contains(fit) {
                return;
            }
            let Some(found) = METHODS.iter().find(|m| m.name == method.name) else {
                if asked_of_ensembles(&method.name) {
                    return;
                }
                diagnostics.push(if FIELDS.iter().any(|f| f.name == method.name) {
                    takes_none(&method.name, span)
                } else {
                    unknown_result(&method.name, method.span)
                });
                return;
            };
            // the methods of probabilities name modes, either before a colon or bare
            let about_modes =
                ["marginal", "conditional", "probability", "mutual_information"].contains(&found.name);
            if about_modes {
                check_modes(arguments, fit, environment, diagnostics);
                check_modes(condition, fit, environment, diagnostics);
            }
            if found.name == "mutual_information" && arguments.len() != 2 {
                diagnostics.push(
                    Diagnostic::new(Code::MBA105, "two modes are expected")
                        .at(span, "here")
                        .help(format!("write `{}`", found.usage)),
                );
            }
        }
        ExprKind::Name(name) if name == "kl" => {
            if arguments.len() != 2 {
                diagnostics.push(kl_usage(span));
            }
            arguments.iter().for_each(|a| check(&a.value, environment, diagnostics));
        }
        ExprKind::Name(name) if environment.model_names().contains(name) => {
            let whole = Expr {
                kind: ExprKind::Call {
                    callee: Box::new(callee.clone()),
                    arguments: arguments.to_vec(),
                    condition: condition.to_vec(),
                },
                span,
            };
            check_ensemble(&whole, None, environment, diagnostics);
        }
        ExprKind::Name(name) => {
            let function = FUNCTIONS.iter().find(|f| f.name == *name);
            if function.is_none() && !constant::function_names().any(|f| f == name) {
                diagnostics.push(unknown_function(name, callee.span));
            }
            for argument in arguments {
                let errors = diagnostics.len();
                check(&argument.value, environment, diagnostics);
                if let (Some(function), ExprKind::Name(fit)) = (function, &argument.value.kind)
                    && diagnostics.len() == errors
                    && fit != LAST
                    && !environment.fit_names().contains(fit)
                {
                    diagnostics.push(not_a_fit(name, function.usage, argument.value.span));
                }
            }
        }
        _ => diagnostics.push(unknown_function("this", callee.span)),
    }
}
