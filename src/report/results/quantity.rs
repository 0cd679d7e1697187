//! Expressions in the levels of modes, as sums of tables over few modes each.

use std::cell::RefCell;

use super::arguments::{Given, Params, Spans};
use crate::model::constant::{self, Constant, Names};
use crate::model::{Scope, Table};
use crate::numeric::sum;
use crate::run::Ensemble;
use crate::text::ast::{Binary, Expr, ExprKind, Unary};
use crate::text::{Code, Diagnostic, Span};

type Found<T> = Result<T, Box<Diagnostic>>;

/// A quantity: the sum of its tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity(Vec<Table>);

/// A part of an expression that is no sum may look at so many cells.
const MOST_CELLS: usize = 1 << 20;

impl Quantity {
    /// Its mean at the first temperature.
    ///
    /// # Errors
    /// MBA540, MBA541.
    pub fn mean(&self, ensemble: &Ensemble) -> Found<f64> {
        Ok(ensemble.moments(&self.0)?.0.first().copied().unwrap_or(f64::NAN))
    }

    /// Its variance at the first temperature.
    ///
    /// # Errors
    /// MBA540, MBA541.
    pub fn variance(&self, ensemble: &Ensemble) -> Found<f64> {
        Ok(ensemble.moments(&self.0)?.1.first().copied().unwrap_or(f64::NAN))
    }

    /// ⟨AB⟩ − ⟨A⟩⟨B⟩ at the first temperature: from the joint distribution where both look at few modes,
    /// else from the variances of sum and difference.
    ///
    /// # Errors
    /// MBA540, MBA541.
    pub fn covariance(&self, other: &Self, ensemble: &Ensemble) -> Found<f64> {
        if let ([a], [b]) = (self.0.as_slice(), other.0.as_slice()) {
            let both = a.scope.union(&b.scope);
            let cells: f64 = both.iter().map(|m| ensemble.modes()[m].size() as f64).product();
            if cells <= MOST_CELLS as f64 {
                let joint = ensemble.marginal(&both)?;
                return Ok(joint.first().map_or(f64::NAN, |p| {
                    let (x, y) = (onto(a, p), onto(b, p));
                    let (mx, my) = (sum::dot(&p.values, &x), sum::dot(&p.values, &y));
                    let products: Vec<f64> = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).collect();
                    sum::dot(&p.values, &products)
                }));
            }
        }
        let (sum, difference) = (self.plus(other, 1.0), self.plus(other, -1.0));
        Ok((sum.variance(ensemble)? - difference.variance(ensemble)?) / 4.0)
    }

    fn plus(&self, other: &Self, sign: f64) -> Self {
        let mut tables = self.0.clone();
        tables.extend(other.0.clone());
        tables[self.0.len()..].iter_mut().for_each(|t| t.values.iter_mut().for_each(|v| *v *= sign));
        Self(tables)
    }
}

/// The values of a table at each cell of a larger one.
fn onto(small: &Table, large: &Table) -> Vec<f64> {
    let mut values = vec![0.0; large.values.len()];
    let projection = crate::run::projection::Projection::between(&large.scope, &large.shape, &small.scope);
    crate::run::kernel::combine(&projection, &mut values, &small.values, crate::run::kernel::put);
    values
}

/// Reads an expression: sums, differences, multiples by constants and `sum(family)` are taken apart, and
/// what remains becomes a table over the modes it names.
///
/// # Errors
/// Unknown names, and MBA504 when a part looks at too many cells at once.
pub fn quantity(expr: &Expr, ensemble: &Ensemble, given: &Given<'_>) -> Result<Quantity, Diagnostic> {
    let reader = Reader { ensemble, given, cell: RefCell::default() };
    let mut tables = Vec::new();
    reader.add(expr, 1.0, &mut tables)?;
    Ok(Quantity(tables))
}

struct Reader<'a> {
    ensemble: &'a Ensemble,
    given: &'a Given<'a>,
    cell: RefCell<Vec<(usize, usize)>>,
}

impl Reader<'_> {
    fn add(&self, expr: &Expr, factor: f64, tables: &mut Vec<Table>) -> Result<(), Diagnostic> {
        match &expr.kind {
            ExprKind::Unary(Unary::Negate, a) => self.add(a, -factor, tables),
            ExprKind::Binary(Binary::Add, a, b) => {
                self.add(a, factor, tables)?;
                self.add(b, factor, tables)
            }
            ExprKind::Binary(Binary::Subtract, a, b) => {
                self.add(a, factor, tables)?;
                self.add(b, -factor, tables)
            }
            ExprKind::Binary(Binary::Multiply, a, b) if self.modes(a)?.is_empty() => {
                self.add(b, factor * constant::number(a, self)?, tables)
            }
            ExprKind::Binary(Binary::Multiply, a, b) if self.modes(b)?.is_empty() => {
                self.add(a, factor * constant::number(b, self)?, tables)
            }
            ExprKind::Binary(Binary::Divide, a, b) if self.modes(b)?.is_empty() => {
                self.add(a, factor / constant::number(b, self)?, tables)
            }
            ExprKind::Call { callee, arguments, .. } if matches!(&callee.kind, ExprKind::Name(n) if n == "sum") =>
            {
                let [one] = arguments.as_slice() else {
                    return Err(self.given.wrong("`sum` takes one family"));
                };
                let mut members = Vec::new();
                self.given.group(&one.value, self.ensemble, &mut members)?;
                for mode in members {
                    let size = self.ensemble.modes()[mode].size();
                    let values = (0..size).map(|k| self.number(mode, k, one.value.span));
                    let values: Vec<f64> = values.collect::<Result<_, _>>()?;
                    let values = values.into_iter().map(|v| factor * v).collect();
                    tables.push(Table { scope: Scope::from([mode]), shape: vec![size], values });
                }
                Ok(())
            }
            _ => {
                tables.push(self.table(expr, factor)?);
                Ok(())
            }
        }
    }

    fn number(&self, mode: usize, level: usize, span: Span) -> Result<f64, Diagnostic> {
        let mode = &self.ensemble.modes()[mode];
        mode.number(level).ok_or_else(|| {
            Diagnostic::new(Code::MBA106, format!("the levels of `{}` are names", mode.name))
                .at(span, "used as a number")
                .help("declare numeric levels such as `{-1, +1}`, or compare with a level, as in `a == red`")
        })
    }

    fn table(&self, expr: &Expr, factor: f64) -> Result<Table, Diagnostic> {
        let scope = self.modes(expr)?;
        let shape: Vec<usize> = scope.iter().map(|m| self.ensemble.modes()[m].size()).collect();
        let cells = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).filter(|n| *n <= MOST_CELLS);
        let Some(cells) = cells else {
            return Err(Diagnostic::new(Code::MBA504, "this looks at too many cells at once")
                .at(expr.span, format!("{} modes", scope.len()))
                .help("write it as a sum of parts over fewer modes, as in `sum(s)`"));
        };
        let mut values = Vec::with_capacity(cells);
        for flat in 0..cells {
            let mut rest = flat;
            let mut cell: Vec<(usize, usize)> = Vec::new();
            for (axis, mode) in scope.iter().enumerate().rev() {
                cell.push((mode, rest % shape[axis]));
                rest /= shape[axis];
            }
            *self.cell.borrow_mut() = cell;
            let value = match constant::evaluate(expr, self)? {
                Constant::Truth(t) => f64::from(u8::from(t)),
                other => constant::number_of(&other, expr.span)?,
            };
            if !value.is_finite() {
                return Err(Diagnostic::new(Code::MBA307, "this is not finite at some cell")
                    .at(expr.span, format!("it is {value}"))
                    .help("a mean is taken over finite values"));
            }
            values.push(factor * value);
        }
        self.cell.borrow_mut().clear();
        Ok(Table { scope, shape, values })
    }

    /// The modes an expression names.
    fn modes(&self, expr: &Expr) -> Result<Scope, Diagnostic> {
        let mut modes = Vec::new();
        self.collect(expr, &mut modes)?;
        Ok(modes.into_iter().collect())
    }

    fn collect(&self, expr: &Expr, modes: &mut Vec<usize>) -> Result<(), Diagnostic> {
        match &expr.kind {
            ExprKind::Name(name) => {
                if let Some(mode) = self.ensemble.modes().iter().position(|m| m.name == *name) {
                    modes.push(mode);
                }
                Ok(())
            }
            ExprKind::Index(..) => {
                modes.push(self.given.mode(expr, self.ensemble)?);
                Ok(())
            }
            ExprKind::Unary(_, a) => self.collect(a, modes),
            ExprKind::Binary(_, a, b) => {
                self.collect(a, modes)?;
                self.collect(b, modes)
            }
            ExprKind::If(a, b, c) => [a, b, c].into_iter().try_for_each(|e| self.collect(e, modes)),
            ExprKind::Call { callee, arguments, .. } => {
                if matches!(&callee.kind, ExprKind::Name(n) if n == "sum") {
                    return arguments
                        .iter()
                        .try_for_each(|a| self.given.group(&a.value, self.ensemble, modes));
                }
                arguments.iter().try_for_each(|a| self.collect(&a.value, modes))
            }
            ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Set(items) => {
                items.iter().try_for_each(|e| self.collect(e, modes))
            }
            _ => Ok(()),
        }
    }

    fn level(&self, mode: usize) -> Option<Constant> {
        let (_, level) = *self.cell.borrow().iter().find(|(m, _)| *m == mode)?;
        let mode = &self.ensemble.modes()[mode];
        Some(
            mode.number(level)
                .map_or_else(|| Constant::Text(mode.label(level).into_owned()), Constant::Number),
        )
    }
}

impl Names for Reader<'_> {
    fn lookup(&self, name: &str, span: Span) -> Option<Result<Constant, Diagnostic>> {
        if let Some(mode) = self.ensemble.modes().iter().position(|m| m.name == *name) {
            return self.level(mode).map(Ok);
        }
        let family = |m: &crate::model::Mode| m.name.split_once('[').is_some_and(|(f, _)| f == name);
        if self.ensemble.modes().iter().any(family) {
            // the name travels to where the index is
            return Some(Ok(Constant::Text(name.to_string())));
        }
        Params(self.given.environment).lookup(name, span)
    }

    fn known(&self) -> Vec<String> {
        let modes = self.ensemble.modes().iter().map(|m| m.name.clone());
        modes.chain(self.given.environment.param_names()).collect()
    }

    fn call(
        &self,
        name: &str,
        arguments: &[(Option<String>, Constant)],
        _span: Span,
    ) -> Option<Result<Constant, Diagnostic>> {
        // inside a product or a function: all members are looked at together
        let [(None, Constant::Text(family))] = arguments else { return None };
        if name != "sum" {
            return None;
        }
        let modes = self.ensemble.modes();
        let member = |m: usize| modes[m].name.split_once('[').is_some_and(|(f, _)| f == family);
        let levels = (0..modes.len()).filter(|m| member(*m)).map(|m| match self.level(m) {
            Some(Constant::Number(x)) => x,
            _ => f64::NAN,
        });
        Some(Ok(Constant::Number(levels.sum())))
    }

    fn index(
        &self,
        base: &Constant,
        indices: &[Constant],
        _span: Span,
    ) -> Option<Result<Constant, Diagnostic>> {
        let Constant::Text(family) = base else { return None };
        let labels: Vec<String> = indices.iter().map(ToString::to_string).collect();
        let name = format!("{family}[{}]", labels.join(", "));
        let mode = self.ensemble.modes().iter().position(|m| m.name == name)?;
        self.level(mode).map(Ok)
    }

    fn unknown(&self, name: &str, span: Span) -> Result<Constant, Diagnostic> {
        // a bare word may be a level of one of the modes at hand
        let modes = self.ensemble.modes();
        let has = |(m, _): &(usize, usize)| modes[*m].find(&crate::model::Level::Name(name.into())).is_some();
        if self.cell.borrow().iter().any(has) {
            return Ok(Constant::Text(name.to_string()));
        }
        let near = crate::text::suggest::nearest(name, modes.iter().map(|m| m.name.as_str()));
        let help = "name modes of the model, params and levels".to_string();
        Err(crate::model::declarations::unknown("name", name, span, near, help))
    }
}
