//! Names inside a model: what an expression in it can see.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::Elaboration;
use crate::model::constant::{Constant, Names};
use crate::model::declarations::unknown;
use crate::model::lattice;
use crate::model::mode::Levels;
use crate::model::scope::Scope;
use crate::text::ast::{Expr, ExprKind, InteractionTerm, ModelItem, ModelItemKind};
use crate::text::{Code, Diagnostic, Span, suggest};

pub(super) fn not_a_mode(found: &Constant, span: Span) -> Diagnostic {
    let help = match found {
        Constant::Family { .. } => "name one member, such as `s[0]`, or go through it with `for`",
        _ => "an interaction lists modes",
    };
    Diagnostic::new(Code::MBA223, format!("{} is not a mode", found.kind())).at(span, "not a mode").help(help)
}

/// The cell at which an expression is being evaluated.
pub(super) struct CellLevels {
    pub(super) scope: Scope,
    /// The modes in the order in which they were written.
    pub(super) written: Vec<usize>,
    pub(super) levels: RefCell<Vec<usize>>,
    pub(super) used: Cell<bool>,
}

/// Names inside a model: bindings, modes (as levels of the current cell, or as themselves), params.
pub(super) struct Context<'w, 'a> {
    pub(super) work: &'w Elaboration<'a>,
    pub(super) cell: Option<&'w CellLevels>,
}

impl Context<'_, '_> {
    /// A list at a cell: modes in it are their levels, and a table written out in lists is a table.
    fn levels_of(&self, items: &[Constant], span: Span) -> Result<Constant, Diagnostic> {
        let list = Constant::List(items.to_vec());
        if let Some(table) = crate::model::numbers::Numbers::of(&list).filter(|t| t.shape.len() > 1) {
            return Ok(Constant::Table(Arc::new(table)));
        }
        let one = |item: &Constant| match item {
            Constant::Mode(m) => self.level(*m, span),
            other => Ok(other.clone()),
        };
        items.iter().map(one).collect::<Result<_, _>>().map(Constant::List)
    }

    fn level(&self, mode: usize, span: Span) -> Result<Constant, Diagnostic> {
        let Some(cell) = self.cell else { return Ok(Constant::Mode(mode)) };
        let m = &self.work.modes[mode];
        let Some(axis) = cell.scope.position(mode) else {
            return Err(Diagnostic::new(
                Code::MBA224,
                format!("mode `{}` is not in this interaction", m.name),
            )
            .at(span, "used here")
            .help("a potential may use the modes in its own brackets, params and numbers"));
        };
        cell.used.set(true);
        let level = cell.levels.borrow()[axis];
        Ok(m.number(level).map_or_else(|| Constant::Text(m.label(level).into_owned()), Constant::Number))
    }
}

impl Names for Context<'_, '_> {
    fn lookup(&self, name: &str, span: Span) -> Option<Result<Constant, Diagnostic>> {
        if let Some((_, bound)) = self.work.bindings.iter().rev().find(|(n, _)| n == name) {
            return Some(match bound {
                Constant::Mode(m) => self.level(*m, span),
                Constant::List(items) if self.cell.is_some() => self.levels_of(items, span),
                other => Ok(other.clone()),
            });
        }
        if let Some(mode) = self.work.index.get(name) {
            return Some(self.level(*mode, span));
        }
        if let Some((members, sizes)) = self.work.families.get(name) {
            return Some(Ok(Constant::Family { members: members.clone(), sizes: sizes.clone() }));
        }
        match (self.work.declarations.param(name), self.cell) {
            (Some(Ok(Constant::List(items))), Some(_)) => Some(self.levels_of(&items, span)),
            (found, _) => found,
        }
    }

    fn known(&self) -> Vec<String> {
        let work = self.work;
        let bound = work.bindings.iter().map(|(n, _)| n);
        let modes = work.index.keys().chain(work.families.keys());
        bound.chain(modes).chain(work.declarations.params.keys()).cloned().collect()
    }

    fn call(
        &self,
        name: &str,
        arguments: &[(Option<String>, Constant)],
        span: Span,
    ) -> Option<Result<Constant, Diagnostic>> {
        lattice::call(name, arguments, span)
    }

    fn table(&self, path: &str) -> Option<Result<Arc<crate::model::numbers::Numbers>, Diagnostic>> {
        self.work.declarations.tables.get(path).cloned()
    }

    fn entry(&self, table: &Arc<crate::model::numbers::Numbers>, span: Span) -> Result<Constant, Diagnostic> {
        let Some(cell) = self.cell else { return Ok(Constant::Table(Arc::clone(table))) };
        let shape: Vec<usize> = cell.written.iter().map(|m| self.work.modes[*m].size()).collect();
        if shape != table.shape {
            let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
            let names: Vec<&str> = cell.written.iter().map(|m| self.work.modes[*m].name.as_str()).collect();
            return Err(Diagnostic::new(
                Code::MBA331,
                format!("`[{}]` has the shape {}", names.join(" "), sizes.join(" × ")),
            )
            .at(span, format!("`{}` has the shape {}", table.path, table.sizes()))
            .help("a table of energies has one entry for each cell; an entry is taken as in `J[0, 1]`"));
        }
        let levels = cell.levels.borrow();
        let level = |m: &usize| cell.scope.position(*m).map_or(0, |axis| levels[axis]);
        let at = cell.written.iter().zip(&shape).fold(0, |k, (m, n)| k * n + level(m));
        Ok(Constant::Number(table.values[at]))
    }

    fn index(
        &self,
        base: &Constant,
        indices: &[Constant],
        span: Span,
    ) -> Option<Result<Constant, Diagnostic>> {
        match self.work.member(base, indices, span) {
            Ok(Constant::Mode(m)) => Some(self.level(m, span)),
            other => Some(other),
        }
    }

    fn unknown(&self, name: &str, span: Span) -> Result<Constant, Diagnostic> {
        // a bare word may be a level of one of the modes at hand
        if let Some(cell) = self.cell {
            let is_level = |m: usize| match &self.work.modes[m].levels {
                Levels::Counted(_) => false,
                _ => (0..self.work.modes[m].size()).any(|i| self.work.modes[m].label(i) == name),
            };
            if cell.scope.iter().any(is_level) {
                return Ok(Constant::Text(name.to_string()));
            }
        }
        let mut known = self.known();
        let mut declare = format!("declare it: `param {name} = …`");
        if let Some(cell) = self.cell {
            let own: Vec<_> = cell.scope.iter().map(|m| self.work.modes[m].clone()).collect();
            known.extend(crate::model::predicate::labels(&own));
            if name == crate::model::predicate::VALUE {
                declare = "a model knows levels only: `missing where` of the data may ask for values".into();
            }
        }
        let near = suggest::nearest(name, known.iter().map(String::as_str));
        Err(unknown("name", name, span, near, declare))
    }
}

/// The names of modes and families that the items of a model mention; those that a loop gives stand for others.
pub(super) fn mentioned_modes(items: &[ModelItem], names: &mut Vec<String>) {
    let mut term = |t: &InteractionTerm| names.extend(t.modes.iter().map(|m| m.name.name.clone()));
    for item in items {
        match &item.kind {
            ModelItemKind::Interaction(t)
            | ModelItemKind::Switched { interaction: t, .. }
            | ModelItemKind::Fixed { interaction: t, .. }
            | ModelItemKind::Learned { interaction: t, .. }
            | ModelItemKind::Smooth { interaction: t, .. } => term(t),
            ModelItemKind::Tie(a, b) => {
                term(a);
                term(b);
            }
            _ => {}
        }
    }
    for item in items {
        match &item.kind {
            ModelItemKind::Family { call, over } => {
                names.extend(over.iter().flatten().map(|m| m.name.name.clone()));
                let mut inside = Vec::new();
                call.arguments.iter().for_each(|a| names_in(&a.value, &mut inside));
                names.extend(inside.into_iter().map(|(n, _)| n));
            }
            ModelItemKind::Forbid(condition) => {
                let mut inside = Vec::new();
                names_in(condition, &mut inside);
                names.extend(inside.into_iter().map(|(n, _)| n));
            }
            ModelItemKind::Given(list) => names.extend(list.iter().map(|(m, _)| m.name.name.clone())),
            ModelItemKind::For { names: own, over, items } => {
                let mut inside = Vec::new();
                names_in(over, &mut inside);
                names.extend(inside.into_iter().map(|(n, _)| n));
                let mut repeated = Vec::new();
                mentioned_modes(items, &mut repeated);
                names.extend(repeated.into_iter().filter(|n| own.iter().all(|o| o.name != *n)));
            }
            _ => {}
        }
    }
}

/// Every bare name in an expression.
pub fn names_in(expr: &Expr, names: &mut Vec<(String, Span)>) {
    expr.each(&mut |e| {
        if let ExprKind::Name(name) = &e.kind {
            names.push((name.clone(), e.span));
        }
    });
}
