//! Names and fields in expressions: what they stand for, and what is said when they stand for nothing.

use super::models::LATER;
use super::{Environment, LAST, Object};
use crate::data::Tensor;
use crate::model::Mode;
use crate::model::constant;
use crate::model::constant::Constant;
use crate::model::declarations::unknown;
use crate::report::results::{FIELDS, METHODS};
use crate::report::value::{Rows, Value};
use crate::text::ast::{Call, Ident};
use crate::text::{Code, Diagnostic, Span, suggest};

pub(super) fn named(name: &str, span: Span, environment: &dyn Environment) -> Result<Object, Diagnostic> {
    if name == LAST
        && let Some(last) = environment.last()
    {
        return Ok(last);
    }
    if let Some(fit) = environment.fit(name) {
        return Ok(Object::Fit(Box::new(fit)));
    }
    if let Some(joint) = environment.joint(name) {
        return Ok(Object::Joint(Box::new(joint)));
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

pub(super) fn unknown_name(name: &str, span: Span, environment: &dyn Environment) -> Diagnostic {
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

pub(super) fn of_constant(constant: Constant) -> Value {
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
pub(super) const TENSOR_FIELDS: &[(&str, fn(&Tensor) -> Value)] = &[
    ("total", |t| Value::Number(t.total)),
    ("cells", |t| Value::Count(t.cells())),
    ("stored", |t| Value::Count(t.stored().into())),
    ("missing", missing),
];

/// How many cells are unknown.
fn missing(tensor: &Tensor) -> Value {
    let Some(mask) = &tensor.mask else { return Value::Count(0u32.into()) };
    let sizes: Vec<usize> = tensor.modes.iter().map(Mode::size).collect();
    match crate::data::hidden::missing_of(mask, &sizes) {
        Some(count) => Value::Count(count),
        None => Value::Null("the masks look at too many cells together".into()),
    }
}

pub(super) fn tensor_field(tensor: &Tensor, name: &str, span: Span) -> Result<Value, Diagnostic> {
    match TENSOR_FIELDS.iter().find(|(n, _)| *n == name) {
        Some((_, read)) => Ok(read(tensor)),
        None => Err(unknown_tensor_field(name, span)),
    }
}

pub(super) fn unknown_tensor_field(name: &str, span: Span) -> Diagnostic {
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

pub(super) fn unknown_result(name: &str, span: Span) -> Diagnostic {
    if LATER.contains(&name) {
        return crate::model::unsupported(&format!("`{name}`"), span);
    }
    let diagnostic = Diagnostic::new(Code::MBA102, format!("a fit has no result `{name}`"));
    if let Some(method) = METHODS.iter().find(|m| m.name == name) {
        return diagnostic.at(span, "needs arguments").help(format!("write `{}`", method.usage));
    }
    suggest::result(diagnostic, (name, span), FIELDS.iter().map(|f| f.name), METHODS.iter().map(|m| m.name))
}

pub(super) fn part(parts: &[(String, Value)], name: &str, span: Span) -> Result<Value, Diagnostic> {
    if let Some((_, value)) = parts.iter().find(|(n, _)| n == name) {
        return Ok(value.clone());
    }
    let names: Vec<&str> = parts.iter().map(|(n, _)| n.as_str()).collect();
    let near = suggest::nearest(name, names.iter().copied());
    Err(unknown("part", name, span, near, format!("its parts are {}", suggest::list(&names))))
}

pub(super) fn column(rows: &Rows, name: &str, span: Span) -> Result<Value, Diagnostic> {
    if let Some(at) = rows.columns.iter().position(|c| c == name) {
        return Ok(Value::List(rows.rows.iter().filter_map(|r| r.get(at).cloned()).collect()));
    }
    let near = suggest::nearest(name, rows.columns.iter().map(String::as_str));
    Err(unknown("column", name, span, near, format!("the columns are {}", suggest::list(&rows.columns))))
}
