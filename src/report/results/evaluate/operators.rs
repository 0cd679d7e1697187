//! Arithmetic, comparisons and logic of values.

use crate::report::value::Value;
use crate::text::ast::{Binary, Expr, Unary};
use crate::text::{Code, Diagnostic, Span};

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

pub(super) fn truth(value: &Value, span: Span) -> Result<bool, Diagnostic> {
    match value {
        Value::Truth(t) => Ok(*t),
        other => Err(Diagnostic::new(Code::MBA106, format!("expected a truth value, found {}", kind(other)))
            .at(span, format!("this is {}", kind(other)))
            .help("compare it with something")),
    }
}

pub(super) fn unary(op: Unary, value: &Value, span: Span) -> Result<Value, Diagnostic> {
    Ok(match op {
        Unary::Negate => Value::Number(-number(value, span)?),
        Unary::Plus => Value::Number(number(value, span)?),
        Unary::Not => Value::Truth(!truth(value, span)?),
    })
}

pub(super) fn binary(
    op: Binary,
    (left, a): (&Expr, Value),
    (right, b): (&Expr, Value),
) -> Result<Value, Diagnostic> {
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
