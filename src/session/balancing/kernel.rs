//! The kernel of a balance: arithmetic over tensors, cell by cell, in logarithms where that is exact.

use std::sync::Arc;

use crate::data::Tensor;
use crate::model::constant::{self, Constant};
use crate::model::table::strides;
use crate::report::results::Environment;
use crate::text::ast::{Binary, Expr, ExprKind, Unary};
use crate::text::{Code, Diagnostic, Span};

/// The modes of a kernel, in the order of the tensors in it, and their sizes.
pub struct Shape {
    /// Names.
    pub modes: Vec<String>,
    /// Levels of each.
    pub sizes: Vec<usize>,
}

impl Shape {
    fn cells(&self) -> usize {
        self.sizes.iter().product()
    }
}

/// A number, or one for every cell.
enum Field {
    One(f64),
    All(Vec<f64>),
}

impl Field {
    fn map(self, f: impl Fn(f64) -> f64) -> Field {
        match self {
            Field::One(x) => Field::One(f(x)),
            Field::All(mut values) => {
                values.iter_mut().for_each(|x| *x = f(*x));
                Field::All(values)
            }
        }
    }

    fn with(self, other: Field, f: impl Fn(f64, f64) -> f64) -> Field {
        match (self, other) {
            (Field::One(x), b) => b.map(|y| f(x, y)),
            (a, Field::One(y)) => a.map(|x| f(x, y)),
            (Field::All(mut a), Field::All(b)) => {
                a.iter_mut().zip(b).for_each(|(x, y)| *x = f(*x, y));
                Field::All(a)
            }
        }
    }
}

/// Names of the tensors in an expression, in the order they stand, each once.
pub fn tensors(expr: &Expr, environment: &dyn Environment) -> Vec<(String, Span)> {
    let mut names = Vec::new();
    crate::model::elaborate::names_in(expr, &mut names);
    let known = environment.tensor_names();
    let mut found: Vec<(String, Span)> = Vec::new();
    for (name, span) in names {
        if known.contains(&name) && !found.iter().any(|(n, _)| *n == name) {
            found.push((name, span));
        }
    }
    found
}

/// ln K of every cell, row-major over the shape; −∞ where K is zero.
///
/// Logarithms are taken of factors, and `exp(e)` is never taken, so that `exp(-C / eps)` may be as small
/// as one likes. Errors: a cell that is negative or not a number, named by its place.
pub fn log_kernel(
    expr: &Expr,
    shape: &Shape,
    environment: &dyn Environment,
) -> Result<Vec<f64>, (Diagnostic, Option<usize>)> {
    match logs(expr, shape, environment)? {
        Field::All(values) => match values.iter().position(|x| x.is_nan() || *x == f64::INFINITY) {
            Some(at) => Err((bad(expr.span, "not finite"), Some(at))),
            None => Ok(values),
        },
        Field::One(x) => Ok(vec![x; shape.cells()]),
    }
}

type Found<T> = Result<T, (Diagnostic, Option<usize>)>;

fn logs(expr: &Expr, shape: &Shape, environment: &dyn Environment) -> Found<Field> {
    match &expr.kind {
        ExprKind::Call { callee, arguments, .. } if is_exp(callee) => match arguments.as_slice() {
            [only] => values(&only.value, shape, environment),
            _ => values(expr, shape, environment).map(|f| f.map(f64::ln)),
        },
        ExprKind::Binary(Binary::Multiply, a, b) => {
            Ok(logs(a, shape, environment)?.with(logs(b, shape, environment)?, |x, y| x + y))
        }
        ExprKind::Binary(Binary::Divide, a, b) => {
            // 0 / y is 0 for every y > 0
            Ok(logs(a, shape, environment)?.with(logs(b, shape, environment)?, |x, y| x - y))
        }
        _ => {
            let field = values(expr, shape, environment)?;
            let wrong = |x: &f64| x.is_nan() || *x < 0.0;
            match &field {
                Field::One(x) if wrong(x) => return Err((bad(expr.span, "negative"), None)),
                Field::All(values) => {
                    if let Some(at) = values.iter().position(wrong) {
                        return Err((bad(expr.span, "negative or not a number"), Some(at)));
                    }
                }
                Field::One(_) => {}
            }
            Ok(field.map(f64::ln))
        }
    }
}

fn is_exp(callee: &Expr) -> bool {
    matches!(&callee.kind, ExprKind::Name(name) if name == "exp")
}

fn bad(span: Span, what: &str) -> Diagnostic {
    Diagnostic::new(Code::MBA581, format!("the kernel of a balance is {what}"))
        .at(span, "this")
        .help("a kernel is a tensor that is zero or positive, such as `exp(-cost / eps)`")
}

fn values(expr: &Expr, shape: &Shape, environment: &dyn Environment) -> Found<Field> {
    let plain = |d: Diagnostic| (d, None);
    Ok(match &expr.kind {
        ExprKind::Number(x) | ExprKind::Percent(x) => Field::One(*x),
        ExprKind::Name(name) => {
            if environment.tensor_names().contains(name) {
                let tensor = environment.tensor(name, expr.span).map_err(plain)?;
                Field::All(spread(&tensor, shape))
            } else if let Some(Constant::Number(x)) = environment.param(name) {
                Field::One(x)
            } else if let Some(x) = constant::builtin(name) {
                Field::One(x)
            } else {
                return Err(plain(no_meaning(expr.span)));
            }
        }
        ExprKind::Unary(Unary::Negate, a) => values(a, shape, environment)?.map(|x| -x),
        ExprKind::Unary(Unary::Plus, a) => values(a, shape, environment)?,
        ExprKind::Binary(op, a, b) => {
            let f: fn(f64, f64) -> f64 = match op {
                Binary::Add => |x, y| x + y,
                Binary::Subtract => |x, y| x - y,
                Binary::Multiply => |x, y| x * y,
                Binary::Divide => |x, y| x / y,
                Binary::Power => f64::powf,
                Binary::Remainder => f64::rem_euclid,
                Binary::Below => |x, y| f64::from(u8::from(x < y)),
                Binary::Above => |x, y| f64::from(u8::from(x > y)),
                Binary::AtMost => |x, y| f64::from(u8::from(x <= y)),
                Binary::AtLeast => |x, y| f64::from(u8::from(x >= y)),
                Binary::Equal => |x, y| f64::from(u8::from(x == y)),
                Binary::Unequal => |x, y| f64::from(u8::from(x != y)),
                _ => return Err(plain(no_meaning(expr.span))),
            };
            values(a, shape, environment)?.with(values(b, shape, environment)?, f)
        }
        ExprKind::Call { callee, arguments, .. } => {
            let ExprKind::Name(name) = &callee.kind else { return Err(plain(no_meaning(callee.span))) };
            let mut fields = Vec::with_capacity(arguments.len());
            for argument in arguments {
                fields.push(values(&argument.value, shape, environment)?);
            }
            apply(name, fields, shape, expr.span).map_err(plain)?
        }
        _ => return Err(plain(no_meaning(expr.span))),
    })
}

/// A function of numbers at every cell.
fn apply(name: &str, fields: Vec<Field>, shape: &Shape, span: Span) -> Result<Field, Diagnostic> {
    let call =
        |numbers: &[f64]| constant::function(name, numbers, span).unwrap_or_else(|| Err(no_meaning(span)));
    let at = |i: usize| -> Vec<f64> {
        let number = |f: &Field| match f {
            Field::One(x) => *x,
            Field::All(values) => values.get(i).copied().unwrap_or(f64::NAN),
        };
        fields.iter().map(number).collect()
    };
    if fields.iter().all(|f| matches!(f, Field::One(_))) {
        return call(&at(0)).map(Field::One);
    }
    (0..shape.cells()).map(|i| call(&at(i))).collect::<Result<Vec<f64>, _>>().map(Field::All)
}

fn no_meaning(span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA106, "this has no value at every cell")
        .at(span, "in the kernel of a balance")
        .help("a kernel is made of tensors, numbers, params and functions of numbers")
}

/// The cells of a tensor over the modes of the kernel; a mode that it lacks does not change it.
fn spread(tensor: &Arc<Tensor>, shape: &Shape) -> Vec<f64> {
    let own: Vec<usize> = tensor.modes.iter().map(crate::model::Mode::size).collect();
    let mut table = vec![0.0; own.iter().product()];
    tensor.each_cell(|cell, x| {
        table[cell.iter().zip(&own).fold(0, |k, (i, n)| k * n + i)] = x;
    });
    let steps: Vec<usize> = shape
        .modes
        .iter()
        .map(|name| {
            let axis = tensor.modes.iter().position(|m| m.name == *name);
            axis.and_then(|a| strides(&own).get(a).copied()).unwrap_or(0)
        })
        .collect();
    let projection = crate::run::projection::Projection::strided(shape.sizes.iter().copied().zip(steps));
    let mut all = vec![0.0; shape.cells()];
    crate::run::kernel::combine(&projection, &mut all, &table, crate::run::kernel::put);
    all
}
