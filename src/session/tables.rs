//! The files that `table("…")` names, read before params and models are evaluated.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Host, Unit};
use crate::data;
use crate::model::declarations::Tables;
use crate::model::numbers::Numbers;
use crate::text::ast::{Argument, ExprKind, Statement};
use crate::text::{Code, Diagnostic, Span};

/// Reads every file once. What is wrong is reported where the table is used.
pub(super) fn tables(units: &[Unit], host: &dyn Host) -> Tables {
    let mut tables = Tables::new();
    let mut places: HashMap<String, String> = HashMap::new();
    for unit in units {
        for (path, span) in unit.program.statements.iter().flat_map(named) {
            let place = host.beside(&unit.path, &path);
            match places.get(&path) {
                Some(other) if *other == place => continue,
                Some(_) => {
                    let clash = Diagnostic::new(Code::MBA335, format!("`{path}` means two files here"))
                        .at(span, "also named in a file of another folder")
                        .help("rename one of the two files");
                    tables.insert(path, Err(clash));
                    continue;
                }
                None => {}
            }
            places.insert(path.clone(), place.clone());
            let read = match host.open(&place) {
                Ok(content) => data::numbers(&content),
                Err(error) => Err(error.to_string()),
            };
            let table = match read {
                Ok((shape, values)) => Ok(Arc::new(Numbers { path: path.clone(), shape, values })),
                Err(why) => Err(Diagnostic::new(Code::MBA335, format!("`{path}` holds no table of numbers"))
                    .at(span, "named here")
                    .note(why)
                    .help("a table is a `.npy` array, or text with one row of numbers a line; paths are relative to the file that names them")),
            };
            tables.insert(path, table);
        }
    }
    tables
}

/// The files that a statement names as tables, and where.
pub(super) fn named(statement: &Statement) -> Vec<(String, Span)> {
    let mut named = Vec::new();
    for expr in statement.expressions() {
        expr.each(&mut |e| {
            if let ExprKind::Call { callee, arguments, .. } = &e.kind
                && let (ExprKind::Name(name), [Argument { value, .. }]) = (&callee.kind, arguments.as_slice())
                && let ExprKind::Text(path) = &value.kind
                && name == "table"
            {
                named.push((path.clone(), value.span));
            }
        });
    }
    named
}
