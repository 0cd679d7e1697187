//! Expressions that are known before any data: params, sizes, energies, conditions on levels.

use std::fmt;
use std::sync::Arc;

use super::numbers::Numbers;
use crate::text::ast::{Argument, Binary, Expr, ExprKind, Unary};
use crate::text::{Code, Diagnostic, Span, suggest};

/// What a constant expression can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// A number.
    Number(f64),
    /// A truth value.
    Truth(bool),
    /// A string, or the name of a level.
    Text(String),
    /// A mode, by its position in the model being elaborated.
    Mode(usize),
    /// A family of modes with the sizes it was declared with.
    Family {
        /// The members in row-major order.
        members: Vec<usize>,
        /// The sizes.
        sizes: Vec<usize>,
    },
    /// An ordered collection: a list, set, tuple or range.
    List(Vec<Constant>),
    /// A table of numbers from a file.
    Table(Arc<Numbers>),
    /// `missing` in a literal.
    Missing,
}

impl Constant {
    /// What kind of thing it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Constant::Number(_) => "a number",
            Constant::Truth(_) => "a truth value",
            Constant::Text(_) => "a name",
            Constant::Mode(_) => "a mode",
            Constant::Family { .. } => "a family of modes",
            Constant::List(_) => "a list",
            Constant::Table(_) => "a table of numbers",
            Constant::Missing => "missing",
        }
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::Number(x) => f.write_str(&super::mode::number_label(*x)),
            Constant::Truth(t) => write!(f, "{t}"),
            Constant::Text(t) => f.write_str(t),
            other => f.write_str(other.kind()),
        }
    }
}

/// Where names get their meaning.
pub trait Names {
    /// What a name stands for.
    fn lookup(&self, name: &str, span: Span) -> Option<Result<Constant, Diagnostic>>;
    /// Every name that could have been meant, for suggestions.
    fn known(&self) -> Vec<String>;
    /// A function that only this place knows, such as `neighbours`.
    fn call(
        &self,
        _name: &str,
        _arguments: &[(Option<String>, Constant)],
        _span: Span,
    ) -> Option<Result<Constant, Diagnostic>> {
        None
    }
    /// The table of numbers in a file, by its path as written.
    fn table(&self, _path: &str) -> Option<Result<Arc<Numbers>, Diagnostic>> {
        None
    }
    /// What a table of numbers means where a number is expected: its entry at the cell at hand.
    fn entry(&self, table: &Arc<Numbers>, _span: Span) -> Result<Constant, Diagnostic> {
        Ok(Constant::Table(Arc::clone(table)))
    }
    /// A member of a family of modes.
    fn index(
        &self,
        _base: &Constant,
        _indices: &[Constant],
        _span: Span,
    ) -> Option<Result<Constant, Diagnostic>> {
        None
    }
    /// What an unknown bare name means; an error unless the place gives it a meaning.
    fn unknown(&self, name: &str, span: Span) -> Result<Constant, Diagnostic> {
        let known = self.known();
        let mut diagnostic = Diagnostic::new(Code::MBA101, format!("nothing here is called `{name}`"));
        diagnostic = match suggest::nearest(name, known.iter().map(String::as_str)) {
            Some(near) => diagnostic
                .at(span, format!("did you mean `{near}`?"))
                .help(format!("write `{near}`, or declare `{name}`"))
                .replace(span, near, format!("write `{near}`")),
            None => diagnostic.at(span, "unknown name").help(format!("declare it: `param {name} = …`")),
        };
        Err(diagnostic)
    }
}

/// A range may not list more values than this.
const MAX_RANGE: f64 = 1e7;

/// Functions of numbers: name, number of arguments (0 for one or more), meaning.
const FUNCTIONS: &[(&str, usize, fn(&[f64]) -> f64)] = &[
    ("abs", 1, |x| x[0].abs()),
    ("ceil", 1, |x| x[0].ceil()),
    ("cos", 1, |x| x[0].cos()),
    ("cosh", 1, |x| x[0].cosh()),
    ("exp", 1, |x| x[0].exp()),
    ("floor", 1, |x| x[0].floor()),
    ("ln", 1, |x| x[0].ln()),
    ("log2", 1, |x| x[0].log2()),
    ("log10", 1, |x| x[0].log10()),
    ("max", 0, |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
    ("min", 0, |x| x.iter().copied().fold(f64::INFINITY, f64::min)),
    ("round", 1, |x| x[0].round()),
    ("sign", 1, |x| if x[0] == 0.0 { 0.0 } else { x[0].signum() }),
    ("sin", 1, |x| x[0].sin()),
    ("sinh", 1, |x| x[0].sinh()),
    ("sqrt", 1, |x| x[0].sqrt()),
    ("tan", 1, |x| x[0].tan()),
    ("tanh", 1, |x| x[0].tanh()),
];

/// The value of a constant that needs no declaration.
pub fn builtin(name: &str) -> Option<f64> {
    match name {
        "pi" => Some(std::f64::consts::PI),
        "inf" => Some(f64::INFINITY),
        _ => None,
    }
}

/// Names of the functions of numbers.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, ..)| *name)
}

/// Applies a function of numbers; `None` when there is no such function.
pub fn function(name: &str, arguments: &[f64], span: Span) -> Option<Result<f64, Diagnostic>> {
    let (_, arity, apply) = FUNCTIONS.iter().find(|(n, ..)| *n == name)?;
    let fits = if *arity == 0 { !arguments.is_empty() } else { arguments.len() == *arity };
    Some(if fits {
        Ok(apply(arguments))
    } else {
        let wanted = match arity {
            0 => "one argument or more".to_string(),
            1 => "one argument".to_string(),
            n => format!("{n} arguments"),
        };
        Err(Diagnostic::new(Code::MBA105, format!("`{name}` takes {wanted}, not {}", arguments.len()))
            .at(span, "called here")
            .help(format!("give `{name}` {wanted}")))
    })
}

/// Evaluates a constant expression.
pub fn evaluate(expr: &Expr, names: &dyn Names) -> Result<Constant, Diagnostic> {
    match (&expr.kind, whole_value(expr, names)?) {
        (ExprKind::Name(_) | ExprKind::Call { .. }, Constant::Table(table)) => names.entry(&table, expr.span),
        (_, value) => Ok(value),
    }
}

/// As [`evaluate`], but a table of numbers stays whole.
fn whole_value(expr: &Expr, names: &dyn Names) -> Result<Constant, Diagnostic> {
    Ok(match &expr.kind {
        ExprKind::Number(x) | ExprKind::Percent(x) => Constant::Number(*x),
        ExprKind::Truth(t) => Constant::Truth(*t),
        ExprKind::Text(t) => Constant::Text(t.clone()),
        ExprKind::Nan => Constant::Number(f64::NAN),
        ExprKind::Missing => Constant::Missing,
        ExprKind::Name(name) => match names.lookup(name, expr.span) {
            Some(found) => found?,
            None => match builtin(name) {
                Some(x) => Constant::Number(x),
                None => names.unknown(name, expr.span)?,
            },
        },
        ExprKind::Unary(op, operand) => {
            let value = evaluate(operand, names)?;
            match op {
                Unary::Negate => Constant::Number(-number_of(&value, operand.span)?),
                Unary::Plus => Constant::Number(number_of(&value, operand.span)?),
                Unary::Not => Constant::Truth(!truth_of(&value, operand.span)?),
            }
        }
        ExprKind::Binary(op, left, right) => binary(*op, left, right, names)?,
        ExprKind::If(condition, then, otherwise) => {
            let holds = truth_of(&evaluate(condition, names)?, condition.span)?;
            evaluate(if holds { then } else { otherwise }, names)?
        }
        ExprKind::List(items) | ExprKind::Set(items) | ExprKind::Tuple(items) => {
            Constant::List(items.iter().map(|e| evaluate(e, names)).collect::<Result<_, _>>()?)
        }
        ExprKind::Call { callee, arguments, condition } if condition.is_empty() => {
            let ExprKind::Name(name) = &callee.kind else { return Err(not_constant(expr)) };
            call(name, arguments, expr.span, callee.span, names)?
        }
        ExprKind::Index(base, indices) => {
            let base = whole_value(base, names)?;
            let values: Vec<Constant> =
                indices.iter().map(|a| evaluate(&a.value, names)).collect::<Result<_, _>>()?;
            if let Some(table) = Numbers::of(&base) {
                return table.at(&values, expr.span).map(Constant::Number);
            }
            match names.index(&base, &values, expr.span) {
                Some(found) => found?,
                None => return Err(not_constant(expr)),
            }
        }
        ExprKind::Call { .. } | ExprKind::Field(..) | ExprKind::With(..) | ExprKind::At(..) => {
            return Err(not_constant(expr));
        }
    })
}

/// Evaluates an expression that must be a number.
pub fn number(expr: &Expr, names: &dyn Names) -> Result<f64, Diagnostic> {
    number_of(&evaluate(expr, names)?, expr.span)
}

/// Evaluates an expression that must be a whole number of at least `least`.
pub fn whole(expr: &Expr, least: usize, names: &dyn Names) -> Result<usize, Diagnostic> {
    let x = number(expr, names)?;
    if x == x.trunc() && x >= least as f64 && x <= 9e15 {
        return Ok(x as usize);
    }
    let (wrong, help) = if x != x.trunc() || !x.is_finite() {
        ("is not a whole number", "write it without a fraction".to_string())
    } else if x < least as f64 {
        ("is too small", format!("write {least} or more"))
    } else {
        ("is too large", "choose a smaller number".to_string())
    };
    Err(Diagnostic::new(Code::MBA106, format!("`{}` {wrong}", super::mode::number_label(x)))
        .at(expr.span, format!("a whole number from {least} up is needed"))
        .help(help))
}

/// A truth value, or why not.
pub fn truth_of(value: &Constant, span: Span) -> Result<bool, Diagnostic> {
    match value {
        Constant::Truth(t) => Ok(*t),
        other => Err(mismatch("a truth value", other, span)),
    }
}

/// A number, or why not.
pub fn number_of(value: &Constant, span: Span) -> Result<f64, Diagnostic> {
    match value {
        Constant::Number(x) => Ok(*x),
        other => Err(mismatch("a number", other, span)),
    }
}

fn mismatch(wanted: &str, found: &Constant, span: Span) -> Diagnostic {
    let shown = match found {
        Constant::Text(t) => format!("`{t}`"),
        other => other.kind().to_string(),
    };
    let help = match (wanted, found) {
        (_, Constant::Missing) => {
            "`missing` is a cell of a literal, and compares with nothing: write a number, or `nan` for a value that is none"
        }
        ("a truth value", _) => "compare it, as in `day == 3` or `day in 3..5`",
        ("a list", _) => "write a range or a set, as in `day in 3..5` or `hair in {Black, Red}`",
        (_, Constant::List(_)) => "to ask whether it is one of several, write `in`, as in `day in 3..5`",
        (_, Constant::Truth(_)) => {
            "a comparison is true or false, and no number: join several with `and` or `or`"
        }
        _ => "levels that are names cannot be used as numbers; declare numeric levels such as `{-1, +1}`",
    };
    Diagnostic::new(Code::MBA106, format!("expected {wanted}, found {shown}"))
        .at(span, format!("this is {}", found.kind()))
        .help(help)
}

fn not_constant(expr: &Expr) -> Diagnostic {
    Diagnostic::new(Code::MBA106, "this is not known before the data are read")
        .at(expr.span, "not a constant")
        .help("results of fits belong in `show`, `save` and `test`")
}

fn call(
    name: &str,
    arguments: &[Argument],
    span: Span,
    at: Span,
    names: &dyn Names,
) -> Result<Constant, Diagnostic> {
    if name == "table" {
        let [Argument { name: None, value: Expr { kind: ExprKind::Text(path), .. } }] = arguments else {
            return Err(Diagnostic::new(Code::MBA105, "`table` takes the path of a file in quotes")
                .at(span, "called here")
                .help("write `table(\"J.npy\")`"));
        };
        return match names.table(path) {
            Some(table) => table.map(Constant::Table),
            None => Err(Diagnostic::new(Code::MBA335, format!("`{path}` cannot be read here"))
                .at(span, "in a place that reads no files")
                .help("name it in a param or in a model")),
        };
    }
    // a function of modes takes a whole table, a function of numbers its entry
    let of_numbers = FUNCTIONS.iter().any(|(n, ..)| *n == name);
    let value = |e: &Expr| if of_numbers { evaluate(e, names) } else { whole_value(e, names) };
    let values: Vec<(Option<String>, Constant)> = arguments
        .iter()
        .map(|a| Ok((a.name.as_ref().map(|n| n.name.clone()), value(&a.value)?)))
        .collect::<Result<_, Diagnostic>>()?;
    if let Some(found) = names.call(name, &values, span) {
        return found;
    }
    if FUNCTIONS.iter().any(|(n, ..)| *n == name) {
        let numbers: Vec<f64> = values
            .iter()
            .zip(arguments)
            .map(|((_, v), a)| number_of(v, a.value.span))
            .collect::<Result<_, _>>()?;
        if let Some(result) = function(name, &numbers, span) {
            return result.map(Constant::Number);
        }
    }
    let mut diagnostic = Diagnostic::new(Code::MBA102, format!("no function is called `{name}`"));
    diagnostic = match suggest::nearest(name, function_names()) {
        Some(near) => {
            diagnostic.at(at, format!("did you mean `{near}`?")).replace(at, near, format!("write `{near}`"))
        }
        None => diagnostic.at(at, "unknown function").help(format!(
            "the functions of numbers are {}",
            suggest::list(&function_names().collect::<Vec<_>>())
        )),
    };
    Err(diagnostic)
}

fn binary(op: Binary, left: &Expr, right: &Expr, names: &dyn Names) -> Result<Constant, Diagnostic> {
    let a = evaluate(left, names)?;
    // the right side of `and` and `or` is looked at only where it matters
    match op {
        Binary::And if !truth_of(&a, left.span)? => return Ok(Constant::Truth(false)),
        Binary::Or if truth_of(&a, left.span)? => return Ok(Constant::Truth(true)),
        _ => {}
    }
    let b = evaluate(right, names)?;
    // a value is never `missing`: what is written was meant to be another question
    let comparable = || match (&a, &b) {
        (Constant::Missing, _) => Err(mismatch("a value", &a, left.span)),
        (_, Constant::Missing) => Err(mismatch("a value", &b, right.span)),
        _ => Ok(()),
    };
    let numbers = || Ok::<_, Diagnostic>((number_of(&a, left.span)?, number_of(&b, right.span)?));
    Ok(match op {
        Binary::And | Binary::Or => Constant::Truth(truth_of(&b, right.span)?),
        Binary::Add => numbers().map(|(x, y)| Constant::Number(x + y))?,
        Binary::Subtract => numbers().map(|(x, y)| Constant::Number(x - y))?,
        Binary::Multiply => numbers().map(|(x, y)| Constant::Number(x * y))?,
        Binary::Divide => numbers().map(|(x, y)| Constant::Number(x / y))?,
        Binary::Remainder => numbers().map(|(x, y)| Constant::Number(x.rem_euclid(y)))?,
        Binary::Power => numbers().map(|(x, y)| Constant::Number(x.powf(y)))?,
        Binary::Below => numbers().map(|(x, y)| Constant::Truth(x < y))?,
        Binary::Above => numbers().map(|(x, y)| Constant::Truth(x > y))?,
        Binary::AtMost => numbers().map(|(x, y)| Constant::Truth(x <= y))?,
        Binary::AtLeast => numbers().map(|(x, y)| Constant::Truth(x >= y))?,
        Binary::Equal => comparable().map(|()| Constant::Truth(same(&a, &b)))?,
        Binary::Unequal => comparable().map(|()| Constant::Truth(!same(&a, &b)))?,
        Binary::Approximately => {
            return Err(Diagnostic::new(Code::MBA106, "`~=` belongs to tests")
                .at(left.span.to(right.span), "not a constant")
                .help("compare with `==`, or with a difference and `<`"));
        }
        Binary::In => match &b {
            Constant::List(items) => Constant::Truth(items.iter().any(|i| same(&a, i))),
            other => return Err(mismatch("a list", other, right.span)),
        },
        Binary::Range => {
            let (low, high) = numbers()?;
            let whole = low == low.trunc() && high == high.trunc();
            if !whole || high - low > MAX_RANGE {
                return Err(Diagnostic::new(Code::MBA106, "a range runs between whole numbers")
                    .at(left.span.to(right.span), format!("at most {MAX_RANGE} values"))
                    .help("both ends are included, as in `0 .. 3`"));
            }
            let count = (high - low + 1.0).max(0.0) as usize;
            Constant::List((0..count).map(|i| Constant::Number(low + i as f64)).collect())
        }
    })
}

/// Equality as the language means it: a number equals a level whose name reads as that number.
fn same(a: &Constant, b: &Constant) -> bool {
    match (a, b) {
        (Constant::Text(t), Constant::Number(x)) | (Constant::Number(x), Constant::Text(t)) => {
            t.trim().parse::<f64>().is_ok_and(|y| y == *x)
        }
        _ => a == b,
    }
}
