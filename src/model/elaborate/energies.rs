//! Tables of energies and statistics, evaluated cell by cell.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::names::{CellLevels, Context};
use super::{Elaboration, MAX_FIXED_CELLS};
use crate::model::constant::{self, Constant, Names};
use crate::model::scope::Scope;
use crate::model::table::Table;
use crate::text::ast::{Expr, ModeRef};
use crate::text::{Code, Diagnostic};

impl Elaboration<'_> {
    /// The values of an expression at each cell of a scope; truth counts as 1 and 0.
    pub(super) fn tabulate(
        &mut self,
        scope: &Scope,
        written: &[usize],
        expr: &Expr,
        what: &str,
    ) -> Option<Table> {
        let shape: Vec<usize> = scope.iter().map(|m| self.modes[m].size()).collect();
        let cells = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).unwrap_or(usize::MAX);
        if cells > MAX_FIXED_CELLS {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA307, format!("this {what} is over {cells} cells"))
                    .at(expr.span, format!("at most {MAX_FIXED_CELLS} cells"))
                    .help("split it into interactions of fewer modes"),
            );
            return None;
        }
        let cell = CellLevels {
            scope: scope.clone(),
            written: written.to_vec(),
            levels: RefCell::new(vec![0; shape.len()]),
            used: Cell::new(false),
        };
        let mut values = Vec::with_capacity(cells);
        for _ in 0..cells {
            let context = Context { work: self, cell: Some(&cell) };
            let value = match constant::evaluate(expr, &context) {
                Ok(Constant::Truth(t)) if what == "condition" => Ok(f64::from(u8::from(t))),
                Ok(other) if what == "condition" => constant::truth_of(&other, expr.span).map(|_| 0.0),
                Ok(other) => match crate::model::numbers::Numbers::of(&other) {
                    // a table written out where it is used
                    Some(table) => context
                        .entry(&Arc::new(table), expr.span)
                        .and_then(|entry| constant::number_of(&entry, expr.span)),
                    None => constant::number_of(&other, expr.span),
                },
                Err(diagnostic) => Err(diagnostic),
            };
            let value = value
                .and_then(|x| if x.is_finite() { Ok(x) } else { Err(self.bad_energy(x, what, &cell, expr)) });
            match value {
                Ok(x) => values.push(x),
                Err(diagnostic) => {
                    self.diagnostics.push(diagnostic);
                    return None;
                }
            }
            let mut levels = cell.levels.borrow_mut();
            for axis in (0..shape.len()).rev() {
                levels[axis] += 1;
                if levels[axis] < shape[axis] {
                    break;
                }
                levels[axis] = 0;
            }
        }
        Some(Table { scope: scope.clone(), shape, values })
    }

    pub(super) fn bad_energy(&self, x: f64, what: &str, cell: &CellLevels, expr: &Expr) -> Diagnostic {
        let levels = cell.levels.borrow();
        let place: Vec<String> = cell
            .scope
            .iter()
            .zip(levels.iter())
            .map(|(m, level)| format!("{} = {}", self.modes[m].name, self.modes[m].label(*level)))
            .collect();
        let shown = if x.is_nan() { "not a number".to_string() } else { format!("{x}") };
        Diagnostic::new(Code::MBA307, format!("the {what} is {shown} at {}", place.join(", ")))
            .at(expr.span, "must be finite at every cell")
            .help("give every cell a finite energy")
    }

    /// The full name of a coefficient: with an index there is one for each value the index takes, modes by
    /// their names.
    pub(super) fn coefficient(&self, written: &ModeRef) -> Result<String, Diagnostic> {
        let context = Context { work: self, cell: None };
        let mut parts = Vec::with_capacity(written.index.len());
        for index in &written.index {
            parts.push(match constant::evaluate(index, &context)? {
                Constant::Mode(m) => self.modes[m].name.clone(),
                Constant::Text(text) => text,
                other => crate::model::mode::number_label(constant::number_of(&other, index.span)?),
            });
        }
        let name = &written.name.name;
        Ok(if parts.is_empty() { name.clone() } else { format!("{name}[{}]", parts.join(", ")) })
    }
}
