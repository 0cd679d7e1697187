//! The files that `table("…")` names, read before params and models are evaluated.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Host, Unit};
use crate::data;
use crate::model::declarations::Tables;
use crate::model::numbers::Numbers;
use crate::text::ast::{
    Argument, DataSource, Expr, ExprKind, ModelItem, ModelItemKind, Statement, StatementKind,
};
use crate::text::{Code, Diagnostic, Span};

/// Reads every file once. What is wrong is reported where the table is used.
pub(super) fn tables(units: &[Unit], host: &dyn Host) -> Tables {
    let mut tables = Tables::new();
    let mut places: HashMap<String, String> = HashMap::new();
    for unit in units {
        let mut named = Vec::new();
        unit.program.statements.iter().for_each(|s| statement(s, &mut named));
        for (path, span) in named {
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
pub(super) fn named(of: &Statement) -> Vec<(String, Span)> {
    let mut named = Vec::new();
    statement(of, &mut named);
    named
}

fn statement(statement: &Statement, named: &mut Vec<(String, Span)>) {
    match &statement.kind {
        StatementKind::Param(list) => list.iter().for_each(|p| expression(&p.value, named)),
        StatementKind::Model(model) => {
            model
                .params
                .iter()
                .flatten()
                .filter_map(|p| p.default.as_ref())
                .for_each(|e| expression(e, named));
            model.items.iter().for_each(|i| item(i, named));
        }
        StatementKind::Fit(fit) => arguments(&fit.model.arguments, named),
        StatementKind::Data(data) => {
            if let DataSource::Value(expr) = &data.source {
                expression(expr, named);
            }
        }
        StatementKind::Show(list) => list.iter().for_each(|e| expression(e, named)),
        StatementKind::Plot { values, .. } => values.iter().for_each(|e| expression(e, named)),
        StatementKind::Save { value, .. } => expression(value, named),
        StatementKind::Sweep(sweep) => expression(&sweep.model, named),
        StatementKind::Test(test) => {
            for line in &test.items {
                match &line.kind {
                    crate::text::ast::TestItemKind::Expect { condition, .. } => expression(condition, named),
                    crate::text::ast::TestItemKind::Snapshot { value, .. } => expression(value, named),
                    crate::text::ast::TestItemKind::ExpectError { .. } => {}
                }
            }
        }
        _ => {}
    }
}

fn item(item: &ModelItem, named: &mut Vec<(String, Span)>) {
    match &item.kind {
        ModelItemKind::Fixed { energy, .. } => expression(energy, named),
        ModelItemKind::Learned { statistic, .. } => statistic.iter().for_each(|e| expression(e, named)),
        ModelItemKind::Family { call, .. } => arguments(&call.arguments, named),
        ModelItemKind::Temperature(e) | ModelItemKind::Forbid(e) => expression(e, named),
        ModelItemKind::Given(list) => list.iter().for_each(|(_, e)| expression(e, named)),
        ModelItemKind::For { over, items, .. } => {
            expression(over, named);
            items.iter().for_each(|i| self::item(i, named));
        }
        _ => {}
    }
}

fn arguments(list: &[Argument], named: &mut Vec<(String, Span)>) {
    list.iter().for_each(|a| expression(&a.value, named));
}

fn expression(expr: &Expr, named: &mut Vec<(String, Span)>) {
    match &expr.kind {
        ExprKind::Call { callee, arguments: list, condition } => {
            if let (ExprKind::Name(name), [Argument { value, .. }]) = (&callee.kind, list.as_slice())
                && let ExprKind::Text(path) = &value.kind
                && name == "table"
            {
                named.push((path.clone(), value.span));
            }
            expression(callee, named);
            arguments(list, named);
            arguments(condition, named);
        }
        ExprKind::Unary(_, a) | ExprKind::Field(a, _) => expression(a, named),
        ExprKind::Binary(_, a, b) | ExprKind::At(a, b) => {
            expression(a, named);
            expression(b, named);
        }
        ExprKind::If(a, b, c) => [a, b, c].into_iter().for_each(|e| expression(e, named)),
        ExprKind::Index(base, list) => {
            expression(base, named);
            arguments(list, named);
        }
        ExprKind::With(base, settings) => {
            expression(base, named);
            settings.iter().for_each(|(_, e)| expression(e, named));
        }
        ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Set(items) => {
            items.iter().for_each(|e| expression(e, named));
        }
        _ => {}
    }
}
