//! Tests one by one, for a runner: each runs the fits it needs that have not run, and then itself.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::snapshot::{self, Key, Store};
use super::{Host, Session, Sink, execute};
use crate::text::ast::{Statement, StatementKind, Test, TestItemKind};
use crate::text::codes::Blame;
use crate::text::{Code, Diagnostic, Span};

/// Why a test failed. The kinds are kept apart in every output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The program is wrong, so that none of its tests can run.
    DoesNotCheck,
    /// A fit or data that are needed could not be had.
    NotComputed,
    /// It took longer than it may.
    TimeLimit,
    /// A fit ended before its tolerance.
    NotConverged,
    /// A fit claims more than its certificate shows.
    CertificateFailed,
    /// A number, or something exact, is not what its snapshot says.
    MovedValue,
    /// An expectation does not hold.
    BrokenExpectation,
    /// A snapshot is taken that does not exist, where none may be missing.
    MissingSnapshot,
    /// A snapshot exists that no test takes.
    UnreferencedSnapshot,
    /// The snapshot file cannot be read.
    DamagedSnapshot,
    /// A defect of `mba`.
    Defect,
}

impl Kind {
    /// The kind of a failure.
    pub fn of(failure: &Diagnostic) -> Kind {
        match failure.code {
            Code::MBA601 => Kind::BrokenExpectation,
            Code::MBA602 => Kind::NotComputed,
            Code::MBA603 | Code::MBA510 => Kind::NotConverged,
            Code::MBA604 => Kind::MovedValue,
            Code::MBA605 => Kind::DamagedSnapshot,
            Code::MBA620 => Kind::CertificateFailed,
            Code::MBA621 => Kind::TimeLimit,
            Code::MBA624 => Kind::MissingSnapshot,
            Code::MBA625 => Kind::UnreferencedSnapshot,
            code if code.blame() == Blame::Defect => Kind::Defect,
            code if code.blame() == Blame::Program => Kind::DoesNotCheck,
            _ => Kind::NotComputed,
        }
    }

    /// The words used in every output format.
    pub fn words(self) -> &'static str {
        match self {
            Kind::DoesNotCheck => "does not check",
            Kind::NotComputed => "not computed",
            Kind::TimeLimit => "time limit",
            Kind::NotConverged => "not converged",
            Kind::CertificateFailed => "certificate failed",
            Kind::MovedValue => "moved value",
            Kind::BrokenExpectation => "broken expectation",
            Kind::MissingSnapshot => "missing snapshot",
            Kind::UnreferencedSnapshot => "unreferenced snapshot",
            Kind::DamagedSnapshot => "damaged snapshot",
            Kind::Defect => "defect",
        }
    }
}

/// A test of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The name in quotes.
    pub name: String,
    /// The name in the text.
    pub span: Span,
    /// The statement, counted from 0 in the main program.
    pub position: usize,
    /// The snapshots it takes.
    pub keys: Vec<Key>,
}

impl Session {
    /// The tests of the main program, in text order.
    pub fn tests(&self) -> Vec<Listed> {
        let tests =
            self.main().iter().enumerate().filter_map(|(position, statement)| match &statement.kind {
                StatementKind::Test(test) => Some((position, test)),
                _ => None,
            });
        tests
            .map(|(position, test)| Listed {
                name: test.name.value.clone(),
                span: test.name.span,
                position,
                keys: keys(self, test).into_iter().map(|(key, _)| key).collect(),
            })
            .collect()
    }
}

/// A program whose tests are run one by one. Fits are shared between them.
#[derive(Debug)]
pub struct Tests {
    session: Session,
    snapshots: OnceCell<Store>,
    /// Positions of the fits that have run, well or not.
    begun: HashSet<usize>,
}

impl Tests {
    /// The tests of a program that checks.
    pub fn new(session: Session) -> Self {
        Self { session, snapshots: OnceCell::new(), begun: HashSet::new() }
    }

    /// The program.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs the fits that the test at this position needs, as far as no test before it did, and then the test.
    /// The sink hears of the fits, and of the test at last.
    pub fn run(&mut self, position: usize, host: &dyn Host, sink: &mut dyn Sink) {
        let needed = self.needed(position);
        let begun = &self.begun;
        let chosen = |p: usize| p == position || (needed.contains(&p) && !begun.contains(&p));
        self.session.run_chosen(&chosen, &self.snapshots, host, sink);
        // what was not begun because the time was over has another chance in another test
        let asked = self.session.options.stop.asked();
        let has_result = |p: &usize| {
            let name = self.session.main().get(*p).and_then(result_of);
            name.is_some_and(|n| self.session.is_result(n))
        };
        self.begun.extend(needed.into_iter().filter(|p| !asked || has_result(p)));
    }

    /// The statements that bring the results a test looks at, and those that these look at.
    fn needed(&self, position: usize) -> HashSet<usize> {
        let statements = self.session.main();
        let results: HashMap<&str, usize> =
            statements.iter().enumerate().filter_map(|(p, s)| Some((result_of(s)?, p))).collect();
        let mut found = HashSet::new();
        let mut open = vec![position];
        while let Some(at) = open.pop() {
            let Some(statement) = statements.get(at) else { continue };
            let names = statement.expressions().into_iter().flat_map(execute::names_of);
            let of = names.filter_map(|name| results.get(name.as_str()).copied());
            open.extend(of.filter(|p| *p != at && found.insert(*p)));
        }
        found
    }
}

impl Session {
    /// The positions of the tests that can run although the program has these errors: none of them stands in anything
    /// that the test needs, by name and through any number of names.
    pub fn untouched(&self, errors: &[Diagnostic]) -> HashSet<usize> {
        let statements = self.main();
        let main = self.units.first().map(|u| u.source);
        let mut wrong = HashSet::new();
        for error in errors {
            let place = error.span().filter(|s| Some(s.source) == main).and_then(|span| {
                statements.iter().position(|s| s.span.start <= span.start && span.end <= s.span.end)
            });
            match place.map(|p| (p, &statements[p].kind)) {
                // fits are counted by their statements, and modules bring any names
                None | Some((_, StatementKind::Use(_))) => return HashSet::new(),
                Some((_, StatementKind::Fit(_))) if error.code == Code::MBA103 => return HashSet::new(),
                Some((p, _)) => wrong.insert(p),
            };
        }
        let words: Vec<HashSet<&str>> = statements
            .iter()
            .map(|s| {
                let text = self.sources.slice(s.span);
                text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).collect()
            })
            .collect();
        let tests = self.tests().into_iter().map(|t| t.position);
        tests.filter(|t| wrong.is_disjoint(&closure(*t, statements, &words))).collect()
    }
}

/// The statements that one needs: those that declare a word in it, and so on. Data are needed by the modes whose
/// levels they bring.
fn closure(start: usize, statements: &[Statement], words: &[HashSet<&str>]) -> HashSet<usize> {
    let mut found = HashSet::from([start]);
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        for (p, statement) in statements
            .iter()
            .enumerate()
            .filter(|(p, _)| !matches!(statements[*p].kind, StatementKind::Test(_)))
        {
            let declared = declared_by(statement).iter().any(|name| words[at].contains(name));
            let brings = matches!(statement.kind, StatementKind::Data(_))
                && levels_from_data(&statements[at]).iter().any(|mode| words[p].contains(mode));
            if (declared || brings) && found.insert(p) {
                open.push(p);
            }
        }
    }
    found
}

/// The names that a statement declares.
fn declared_by(statement: &Statement) -> Vec<&str> {
    match &statement.kind {
        StatementKind::Mode(list) => list.iter().map(|m| m.name.name.as_str()).collect(),
        StatementKind::Param(list) => list.iter().map(|p| p.name.name.as_str()).collect(),
        StatementKind::Data(data) => vec![&data.name.name],
        StatementKind::Model(model) => vec![&model.name.name],
        _ => result_of(statement).into_iter().collect(),
    }
}

/// The modes of a statement whose levels come from the data.
fn levels_from_data(statement: &Statement) -> Vec<&str> {
    match &statement.kind {
        StatementKind::Mode(list) => {
            list.iter().filter(|m| m.levels.is_none()).map(|m| m.name.name.as_str()).collect()
        }
        _ => Vec::new(),
    }
}

/// The name of the result that a statement brings.
fn result_of(statement: &Statement) -> Option<&str> {
    match &statement.kind {
        StatementKind::Fit(fit) => Some(&fit.name.as_ref().unwrap_or(&fit.model.name).name),
        StatementKind::Balance(balance) => balance.name.as_ref().map(|n| n.name.as_str()),
        StatementKind::Estimate(estimate) => estimate.name.as_ref().map(|n| n.name.as_str()),
        StatementKind::Load { name, .. } => Some(&name.name),
        StatementKind::Sweep(sweep) => sweep.name.as_ref().map(|n| n.name.as_str()),
        _ => None,
    }
}

/// The snapshots of a test, with their places.
fn keys(session: &Session, test: &Test) -> Vec<(Key, Span)> {
    let items = test.items.iter().filter_map(|item| match &item.kind {
        TestItemKind::Snapshot { value, label, .. } => {
            let span = label.as_ref().map_or(value.span, |l| l.span);
            Some((snapshot::key(session, test, value, label.as_ref()), span))
        }
        _ => None,
    });
    items.collect()
}

/// Tests are told apart by name, and snapshots of a test by label.
pub(super) fn check_names(session: &Session, diagnostics: &mut Vec<Diagnostic>) {
    let mut tests: HashMap<&str, Span> = HashMap::new();
    for statement in session.main() {
        let StatementKind::Test(test) = &statement.kind else { continue };
        if let Some(first) = tests.insert(&test.name.value, test.name.span) {
            diagnostics.push(
                Diagnostic::new(Code::MBA622, format!("there are two tests called `{}`", test.name.value))
                    .at(test.name.span, "the second one")
                    .at(first, "the first one")
                    .help("give each test a name of its own: snapshots are found by it"),
            );
            continue;
        }
        let mut labels: HashMap<Key, Span> = HashMap::new();
        for (key, span) in keys(session, test) {
            if let Some(first) = labels.insert(key.clone(), span) {
                diagnostics.push(
                    Diagnostic::new(
                        Code::MBA623,
                        format!("two snapshots of this test are called `{}`", key.label),
                    )
                    .at(span, "the second one")
                    .at(first, "the first one")
                    .help("give one of them a label: `snapshot … as \"another name\"`"),
                );
            }
        }
    }
}

/// Snapshots that are kept and that no test of the program takes.
pub fn unreferenced(store: &Store, tests: &[Listed]) -> Vec<Key> {
    let taken: HashSet<&Key> = tests.iter().flat_map(|t| &t.keys).collect();
    store.keys().filter(|key| !taken.contains(key)).cloned().collect()
}

/// A session is handed from thread to thread.
const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Session>();
    is_send::<Arc<Store>>();
};
