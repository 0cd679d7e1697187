//! A session that grows: what new declarations replace, and what has to be done again because of it.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::{Host, Session, bind, ensembles, tables};
use crate::model::Mode;
use crate::model::declarations::Declarations;
use crate::text::ast::{Balance, Program, Statement, StatementKind};
use crate::text::{Diagnostic, TokenKind, tokenize};

/// The sets of names of the language: modes and params share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Axis,
    Data,
    Model,
    /// Fits, balanced tensors, estimates and sweeps.
    Result,
    Test,
}

/// What a statement declares; verbs that declare nothing give nothing.
pub(super) fn declared(statement: &Statement) -> Vec<(Kind, String)> {
    match &statement.kind {
        StatementKind::Mode(list) => list.iter().map(|m| (Kind::Axis, m.name.name.clone())).collect(),
        StatementKind::Param(list) => list.iter().map(|p| (Kind::Axis, p.name.name.clone())).collect(),
        StatementKind::Data(data) => vec![(Kind::Data, data.name.name.clone())],
        StatementKind::Model(model) => vec![(Kind::Model, model.name.name.clone())],
        StatementKind::Fit(fit) => {
            vec![(Kind::Result, fit.name.as_ref().unwrap_or(&fit.model.name).name.clone())]
        }
        StatementKind::Balance(Balance { name, .. }) => {
            name.iter().map(|n| (Kind::Result, n.name.clone())).collect()
        }
        StatementKind::Estimate(estimate) => {
            estimate.name.iter().map(|n| (Kind::Result, n.name.clone())).collect()
        }
        StatementKind::Load { name, .. } => vec![(Kind::Result, name.name.clone())],
        StatementKind::Sweep(sweep) => {
            ensembles::sweep_name(sweep).into_iter().map(|n| (Kind::Result, n.name)).collect()
        }
        StatementKind::Test(test) => vec![(Kind::Test, test.name.value.clone())],
        _ => Vec::new(),
    }
}

/// Whether a statement changes what is known before anything runs.
pub(super) fn declares(statement: &Statement) -> bool {
    use StatementKind::{Data, Mode, Model, Param, Use};
    matches!(&statement.kind, Mode(_) | Param(_) | Data(_) | Model(_) | Use(_))
}

/// Takes out of a program whatever declares one of these names.
pub(super) fn forget(program: &mut Arc<Program>, names: &IndexSet<(Kind, String)>) {
    let hit = |statement: &Statement| declared(statement).iter().any(|d| names.contains(d));
    if !program.statements.iter().any(hit) {
        return;
    }
    let gone = |name: &str| names.contains(&(Kind::Axis, name.to_string()));
    Arc::make_mut(program).statements.retain_mut(|statement| match &mut statement.kind {
        StatementKind::Mode(list) => {
            list.retain(|m| !gone(&m.name.name));
            !list.is_empty()
        }
        StatementKind::Param(list) => {
            list.retain(|p| !gone(&p.name.name));
            !list.is_empty()
        }
        _ => !hit(statement),
    });
}

impl Session {
    /// Reads the declarations of all units again, of which the first `new` are new, and those headers that
    /// may have changed.
    ///
    /// `changed` are names that mean something else than before; those of modes whose levels have become
    /// others are added. Tensors that do not depend on them are not read again.
    pub(super) fn rebuild(
        &mut self,
        new: usize,
        changed: &mut HashSet<String>,
        host: &dyn Host,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let settings = self.settings(diagnostics);
        // lists are in the order of declaration
        let (later, earlier) = self.units.split_at(new.min(self.units.len()));
        let programs = earlier.iter().chain(later).map(|u| &*u.program);
        let files = tables::tables(&self.units, host);
        let (declarations, found) = Declarations::collect_with(programs, &settings, files);
        diagnostics.extend(found);
        self.declarations = Arc::new(declarations);
        self.settings = settings;
        let dependents = self.dependents(changed);
        let mut kept = std::mem::take(&mut self.bound);
        kept.retain(|name, _| !dependents.contains(name));
        let (bound, known, found) = bind::bind(&self.declarations, &self.paths(), &kept, host);
        diagnostics.extend(found);
        let other = |(name, mode): &(&String, &Mode)| known.get(*name).is_none_or(|now| now != *mode);
        let base = |name: &str| name.split('[').next().unwrap_or(name).to_string();
        changed.extend(self.known.iter().filter(other).map(|(name, _)| base(name)));
        self.tensors.borrow_mut().retain(|name, tensor| {
            let same = |m: &Mode| known.get(&m.name) == Some(m);
            kept.contains_key(name) && tensor.as_ref().is_ok_and(|t| t.modes.iter().all(same))
        });
        self.bound = bound;
        self.known = Arc::new(known);
        self.forget_sums(&self.dependents(changed));
        self.check_models(diagnostics);
        self.check_samples(diagnostics);
    }

    /// These names, and every declared name whose meaning depends on one of them.
    ///
    /// The words of a declaration stand for what it depends on, so that a few names too many may be found.
    pub(super) fn dependents(&self, changed: &HashSet<String>) -> HashSet<String> {
        let mut uses: IndexMap<String, HashSet<String>> = IndexMap::new();
        for statement in self.units.iter().flat_map(|u| &u.program.statements).filter(|s| declares(s)) {
            let words = self.words(statement);
            for (_, name) in declared(statement) {
                uses.entry(name).or_default().extend(words.iter().cloned());
            }
        }
        let mut found = changed.clone();
        loop {
            let more: Vec<String> = uses
                .iter()
                .filter(|(name, words)| !found.contains(*name) && words.iter().any(|w| found.contains(w)))
                .map(|(name, _)| name.clone())
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    /// The words of a statement.
    pub(super) fn words(&self, statement: &Statement) -> HashSet<String> {
        let text = self.sources.slice(statement.span);
        let words = tokenize(text).into_iter().filter(|t| t.kind == TokenKind::Word);
        words.map(|t| t.text(text).to_string()).collect()
    }
}
