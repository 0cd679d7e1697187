//! Conditions on cells: what they look at, and how they come apart.
//!
//! A condition on observed or allowed cells is a product of factors. `missing where day in 3..5 or lane == 1`
//! leaves the cells for which the first condition fails *and* the second one: two factors, one over
//! `[day]` and one over `[lane]`, and no table over both is ever needed.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use super::constant::{self, Constant, Names};
use super::mode::{Levels, Mode};
use super::scope::Scope;
use crate::text::ast::{Binary, Expr, ExprKind, Unary};
use crate::text::{Code, Diagnostic, Span, suggest};

/// The name of a cell's value in a condition.
pub const VALUE: &str = "value";

/// One factor of a condition.
#[derive(Debug, Clone)]
pub struct Predicate {
    /// What is asked of a cell.
    expr: Expr,
    /// What the answer has to be.
    holds: bool,
    /// The modes it looks at.
    pub scope: Scope,
    /// Whether it looks at the value of the cell.
    pub of_value: bool,
    params: Arc<Params>,
}

struct Params(Vec<(String, Result<Constant, Diagnostic>)>);

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(n, _)| n)).finish()
    }
}

/// The factors of a condition that must come out as `holds`; `modes` are names by position, families
/// spread out. Names that are neither modes nor known otherwise are levels, and looked up cell by cell.
///
/// # Errors
/// What cannot be evaluated whatever the cell, such as an index that is not a number.
pub fn factors(
    condition: &Expr,
    holds: bool,
    modes: &[&str],
    names: &dyn Names,
) -> Result<Vec<Predicate>, Diagnostic> {
    let known = names.known();
    let value = |n: String| names.lookup(&n, condition.span).map(|v| (n, v));
    let params = Arc::new(Params(known.into_iter().filter_map(value).collect()));
    let mut parts = Vec::new();
    split(&truths(condition), holds, &mut parts);
    let predicate = |(expr, holds): (Expr, bool)| {
        let mut seen = Seen::default();
        seen.look(&expr, modes, names)?;
        let Seen { scope, of_value } = seen;
        let scope = scope.into_iter().collect();
        Ok(Predicate { expr, holds, scope, of_value, params: Arc::clone(&params) })
    };
    parts.into_iter().map(predicate).collect()
}

/// `nan` where a truth value is expected asks whether the value is one.
fn truths(expr: &Expr) -> Expr {
    let again = |e: &Expr| Box::new(truths(e));
    let is_nan = |span: Span| {
        let value = || Box::new(Expr { kind: ExprKind::Name(VALUE.into()), span });
        ExprKind::Binary(Binary::Unequal, value(), value())
    };
    let of_value = |e: &Expr| matches!(&e.kind, ExprKind::Name(n) if n == VALUE);
    let kind = match &expr.kind {
        ExprKind::Nan => is_nan(expr.span),
        ExprKind::Binary(Binary::Equal, a, b)
            if (of_value(a) && b.kind == ExprKind::Nan) || (of_value(b) && a.kind == ExprKind::Nan) =>
        {
            is_nan(expr.span)
        }
        ExprKind::Unary(Unary::Not, a) => ExprKind::Unary(Unary::Not, again(a)),
        ExprKind::Binary(op @ (Binary::And | Binary::Or), a, b) => ExprKind::Binary(*op, again(a), again(b)),
        // brackets
        ExprKind::Tuple(items) if items.len() == 1 => return truths(&items[0]),
        other => other.clone(),
    };
    Expr { kind, span: expr.span }
}

fn split(expr: &Expr, holds: bool, parts: &mut Vec<(Expr, bool)>) {
    match (&expr.kind, holds) {
        (ExprKind::Unary(Unary::Not, a), _) => split(a, !holds, parts),
        (ExprKind::Binary(Binary::And, a, b), true) | (ExprKind::Binary(Binary::Or, a, b), false) => {
            split(a, holds, parts);
            split(b, holds, parts);
        }
        _ => parts.push((expr.clone(), holds)),
    }
}

#[derive(Default)]
struct Seen {
    scope: Vec<usize>,
    of_value: bool,
}

impl Seen {
    fn look(&mut self, expr: &Expr, modes: &[&str], names: &dyn Names) -> Result<(), Diagnostic> {
        if let ExprKind::Index(base, indices) = &expr.kind
            && let ExprKind::Name(family) = &base.kind
        {
            let numbers = indices.iter().map(|i| constant::number(&i.value, names));
            let numbers: Vec<String> =
                numbers.map(|n| n.map(super::mode::number_label)).collect::<Result<_, _>>()?;
            let member = format!("{family}[{}]", numbers.join(", "));
            return match modes.iter().position(|m| **m == member) {
                Some(mode) => {
                    self.scope.push(mode);
                    Ok(())
                }
                None => Err(Diagnostic::new(Code::MBA224, format!("there is no mode `{member}` here"))
                    .at(expr.span, "used here")
                    .help("name a mode of these data")),
            };
        }
        match &expr.kind {
            ExprKind::Name(name) if name == VALUE => self.of_value = true,
            ExprKind::Name(name) => self.scope.extend(modes.iter().position(|m| m == name)),
            ExprKind::Unary(_, a) => self.look(a, modes, names)?,
            ExprKind::Binary(_, a, b) => {
                self.look(a, modes, names)?;
                self.look(b, modes, names)?;
            }
            ExprKind::If(a, b, c) => {
                for e in [a, b, c] {
                    self.look(e, modes, names)?;
                }
            }
            ExprKind::Call { arguments, .. } => {
                for argument in arguments {
                    self.look(&argument.value, modes, names)?;
                }
            }
            ExprKind::List(items) | ExprKind::Set(items) | ExprKind::Tuple(items) => {
                for item in items {
                    self.look(item, modes, names)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Predicate {
    /// Where it is written.
    pub fn span(&self) -> Span {
        self.expr.span
    }

    /// Whether a cell passes where the condition holds, or else where it fails.
    pub fn holds(&self) -> bool {
        self.holds
    }

    /// A test of values alone, when the modes do not matter and the value is compared with numbers:
    /// the usual conditions, without walking an expression for every cell.
    pub fn of_values(&self) -> Option<impl Fn(f64) -> bool + Sync + Send + use<>> {
        let test = self.scope.is_empty().then(|| self.test(&self.expr)).flatten()?;
        let holds = self.holds;
        Some(move |x: f64| test.passes(x) == holds)
    }

    fn test(&self, expr: &Expr) -> Option<Test> {
        let of_value = |e: &Expr| matches!(&e.kind, ExprKind::Name(n) if n == VALUE);
        let number = |e: &Expr| constant::number(e, &Outside(&self.params)).ok();
        let test = match &expr.kind {
            ExprKind::Unary(Unary::Not, a) => Test::Not(Box::new(self.test(a)?)),
            ExprKind::Binary(Binary::And, a, b) => {
                Test::And(Box::new(self.test(a)?), Box::new(self.test(b)?))
            }
            ExprKind::Binary(Binary::Or, a, b) => {
                let not = |t| Box::new(Test::Not(Box::new(t)));
                Test::Not(Box::new(Test::And(not(self.test(a)?), not(self.test(b)?))))
            }
            ExprKind::Binary(Binary::Unequal, a, b) if of_value(a) && of_value(b) => Test::Nan,
            ExprKind::Binary(op, a, b) if of_value(a) => Test::Compare(*op, number(b)?),
            ExprKind::Binary(op, a, b) if of_value(b) => {
                let mirrored = match op {
                    Binary::Below => Binary::Above,
                    Binary::Above => Binary::Below,
                    Binary::AtMost => Binary::AtLeast,
                    Binary::AtLeast => Binary::AtMost,
                    other => *other,
                };
                Test::Compare(mirrored, number(a)?)
            }
            _ => return None,
        };
        test.usable()
    }

    /// Whether a cell passes; `cell` has a level for every mode of `modes`.
    ///
    /// # Errors
    /// Names that mean nothing, and comparisons of things that cannot be compared.
    pub fn passes(&self, modes: &[Mode], cell: &[usize], value: f64) -> Result<bool, Diagnostic> {
        let names = CellNames {
            modes,
            params: &self.params,
            cell: RefCell::new(cell),
            value: Cell::new(value),
            scope: &self.scope,
        };
        let found = constant::evaluate(&self.expr, &names)?;
        Ok(constant::truth_of(&found, self.expr.span)? == self.holds)
    }
}

#[derive(Debug)]
enum Test {
    Nan,
    Compare(Binary, f64),
    Not(Box<Test>),
    And(Box<Test>, Box<Test>),
}

impl Test {
    fn usable(self) -> Option<Self> {
        let compares = |op: &Binary| {
            matches!(
                op,
                Binary::Below
                    | Binary::Above
                    | Binary::AtMost
                    | Binary::AtLeast
                    | Binary::Equal
                    | Binary::Unequal
            )
        };
        match &self {
            Test::Compare(op, _) if !compares(op) => None,
            _ => Some(self),
        }
    }

    fn passes(&self, x: f64) -> bool {
        match self {
            Test::Nan => x.is_nan(),
            Test::Not(test) => !test.passes(x),
            Test::And(a, b) => a.passes(x) && b.passes(x),
            Test::Compare(op, y) => match op {
                Binary::Below => x < *y,
                Binary::Above => x > *y,
                Binary::AtMost => x <= *y,
                Binary::AtLeast => x >= *y,
                Binary::Equal => x == *y,
                _ => x != *y,
            },
        }
    }
}

/// The params that were known where a condition was written.
struct Outside<'a>(&'a Params);

impl Names for Outside<'_> {
    fn lookup(&self, name: &str, _: Span) -> Option<Result<Constant, Diagnostic>> {
        self.0.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }
    fn known(&self) -> Vec<String> {
        self.0.0.iter().map(|(n, _)| n.clone()).collect()
    }
}

/// The names of levels that could have been meant, of modes with few.
pub(super) fn labels(modes: &[Mode]) -> Vec<String> {
    const MOST: usize = 1000;
    let named = modes.iter().filter(|m| !matches!(m.levels, Levels::Counted(_)) && m.size() <= MOST);
    named.flat_map(|m| (0..m.size()).map(|i| m.label(i).into_owned())).collect()
}

struct CellNames<'a> {
    modes: &'a [Mode],
    params: &'a Params,
    cell: RefCell<&'a [usize]>,
    value: Cell<f64>,
    scope: &'a Scope,
}

impl CellNames<'_> {
    fn level(&self, mode: usize) -> Option<Constant> {
        let level = *self.cell.borrow().get(mode)?;
        let m = self.modes.get(mode)?;
        Some(m.number(level).map_or_else(|| Constant::Text(m.label(level).into_owned()), Constant::Number))
    }
}

impl Names for CellNames<'_> {
    fn lookup(&self, name: &str, span: Span) -> Option<Result<Constant, Diagnostic>> {
        if name == VALUE {
            return Some(Ok(Constant::Number(self.value.get())));
        }
        if let Some(mode) = self.modes.iter().position(|m| m.name == name) {
            return self.level(mode).map(Ok);
        }
        let params = Outside(self.params);
        if let Some(found) = params.lookup(name, span) {
            return Some(found);
        }
        // a family is indexed; its name alone is nothing that could be compared
        let family = format!("{name}[");
        self.modes
            .iter()
            .any(|m| m.name.starts_with(&family))
            .then(|| Ok(Constant::Family { members: Vec::new(), sizes: Vec::new() }))
    }

    fn known(&self) -> Vec<String> {
        let modes = self.modes.iter().map(|m| m.name.clone());
        modes.chain(Outside(self.params).known()).chain([VALUE.to_string()]).collect()
    }

    fn index(&self, _: &Constant, _: &[Constant], span: Span) -> Option<Result<Constant, Diagnostic>> {
        // members were found when the scope was: an index names one mode of it
        let member = |m: usize| self.modes.get(m).is_some_and(|m| m.name.contains('['));
        match self.scope.iter().filter(|m| member(*m)).collect::<Vec<_>>().as_slice() {
            [only] => self.level(*only).map(Ok),
            _ => Some(Err(super::unsupported("a condition on several members of a family", span))),
        }
    }

    fn unknown(&self, name: &str, span: Span) -> Result<Constant, Diagnostic> {
        let is_level = |m: &Mode| match &m.levels {
            Levels::Counted(_) => false,
            _ => (0..m.size()).any(|i| m.label(i) == name),
        };
        if self.modes.iter().any(is_level) {
            return Ok(Constant::Text(name.to_string()));
        }
        let known = self.known().into_iter().chain(labels(self.modes));
        let known: Vec<String> = known.collect();
        let near = suggest::nearest(name, known.iter().map(String::as_str));
        let declare = "name a mode of these data, one of their levels, a param or `value`".to_string();
        Err(super::declarations::unknown("name", name, span, near, declare))
    }
}
