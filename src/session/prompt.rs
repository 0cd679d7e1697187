//! A session that is fed piece by piece. Knows no terminal: text goes in, events come out.
//!
//! Every input is tried on a clone of the last good state, which takes its place only when nothing went
//! wrong. Cloning is cheap: texts, syntax trees, data and fits are shared.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::extend::{self, Kind};
use super::load::{self, Unit};
use super::saved::Loaded;
use super::{Event, Host, Options, Outcome, Session, Sink};
use crate::report::results::{self, LAST, Object};
use crate::report::value::Value;
use crate::run::Observer;
use crate::text::ast::{ExprKind, Program, Statement, StatementKind};
use crate::text::{
    Code, Diagnostic, SourceId, Sources, Span, format_expression, input, parse, parse_expression,
    parse_input, tokenize,
};

/// Where a text at the prompt comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Typed: expressions are shown and forgotten, paths start from the current folder.
    Typed,
    /// A file that was loaded: a program, whose verbs run.
    File,
    /// A file or module that another text uses.
    Used,
}

/// A text that is part of the state.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The text, without what was replaced since.
    pub unit: Unit,
    /// All that was in it.
    pub written: Arc<Program>,
    pub role: Role,
}

/// The state of a prompt.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    pub(super) session: Session,
    /// Every text, in the order it was taken; what was replaced is no longer in them.
    pub(super) entries: Vec<Entry>,
    /// Fits of declarations that were replaced since, and the name that was.
    pub(super) stale: IndexMap<String, String>,
    told: Vec<Diagnostic>,
    inputs: usize,
}

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fed {
    /// What went wrong, as an exit status counts it.
    pub outcome: Outcome,
    /// Whether the state is the one after the input; otherwise it is the one before.
    pub taken: bool,
}

/// Diagnostics and the texts they point into.
#[derive(Debug, Clone)]
pub struct Refused {
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts.
    pub sources: Sources,
}

impl Prompt {
    /// A prompt at which nothing has been declared.
    pub fn new(options: Options) -> Prompt {
        Prompt { session: Session::with(options), ..Prompt::default() }
    }

    /// What is declared and fitted.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The options of the session.
    pub fn options(&self) -> &Options {
        &self.session.options
    }

    /// Changes the options for what comes.
    pub fn options_mut(&mut self) -> &mut Options {
        // sums know how much memory they may use
        self.session.ensembles.borrow_mut().clear();
        &mut self.session.options
    }

    /// The fits whose declarations were replaced since, each with the name that was.
    pub fn stale(&self) -> impl Iterator<Item = (&str, &str)> {
        self.stale.iter().map(|(fit, name)| (fit.as_str(), name.as_str()))
    }

    /// The paths of the files that were loaded, in order.
    pub fn files(&self) -> Vec<String> {
        let files = self.entries.iter().filter(|e| e.role == Role::File);
        files.map(|e| e.unit.path.clone()).collect()
    }

    /// Takes what was typed: statements, and expressions to show. A second declaration of a name replaces
    /// the first. Whatever goes wrong leaves everything as it was, except that a fit that stopped or was
    /// interrupted keeps what it has.
    pub fn feed(&mut self, text: &str, host: &dyn Host, sink: &mut dyn Sink) -> Fed {
        self.inputs += 1;
        let name = format!("input {}", self.inputs);
        self.take(text, Role::Typed, (&name, ""), host, sink)
    }

    /// Takes a program and runs it. What it declares replaces what has the same name; a program that was
    /// loaded from the same path before is forgotten first. One that does not check changes nothing.
    pub fn load(&mut self, path: &str, text: &str, host: &dyn Host, sink: &mut dyn Sink) -> Fed {
        let mut next = self.clone();
        next.drop_file(path);
        let fed = next.take(text, Role::File, (path, path), host, sink);
        if fed.taken {
            *self = next;
        }
        fed
    }

    /// Forgets everything but the options.
    pub fn reset(&mut self) {
        *self = Prompt { inputs: self.inputs, ..Prompt::new(self.session.options.clone()) };
    }

    /// Forgets a loaded program and what files it used, so that they are read again, and the headers and
    /// cells of all data.
    fn drop_file(&mut self, path: &str) {
        let session = &mut self.session;
        let known = self.entries.iter().any(|e| e.role == Role::File && e.unit.path == path);
        if !known {
            return;
        }
        let gone = |e: &Entry| match e.role {
            Role::File => e.unit.path == path,
            Role::Used => !e.unit.path.is_empty(),
            Role::Typed => false,
        };
        let sources: HashSet<SourceId> =
            self.entries.iter().filter(|e| gone(e)).map(|e| e.unit.source).collect();
        let of = |e: &Entry| e.unit.program.statements.clone();
        let statements: Vec<Statement> = self.entries.iter().filter(|e| gone(e)).flat_map(of).collect();
        self.entries.retain(|e| !gone(e));
        session.planned.retain(|p| !sources.contains(&p.span.source));
        session.balances.retain(|b| !sources.contains(&b.span.source));
        let names: HashSet<String> = statements.iter().flat_map(extend::declared).map(|(_, n)| n).collect();
        session.estimates.retain(|name, _| !names.contains(name));
        session.sweeps.retain(|name, _| !names.contains(name));
        session.saved.retain(|name, _| !names.contains(name));
        session.without_the_failed();
        session.ensembles.borrow_mut().clear();
        session.bound.clear();
        session.tensors.borrow_mut().clear();
    }

    fn take(
        &mut self,
        text: &str,
        role: Role,
        place: (&str, &str),
        host: &dyn Host,
        sink: &mut dyn Sink,
    ) -> Fed {
        let mut next = self.clone();
        let mut outcome = Outcome::default();
        let diagnostics = next.enter(text, role, place, host);
        for diagnostic in &diagnostics {
            outcome.count(diagnostic);
            sink.event(Event::Diagnostic(diagnostic), &next.session.sources);
        }
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Fed { outcome, taken: false };
        }
        next.told.extend(diagnostics);
        let mut judge = Judge { sink, failed: false, shown: None };
        let ran = next.session.run(host, &mut judge);
        let (failed, shown) = (judge.failed, judge.shown);
        let outcome = outcome.and(ran);
        if failed && role == Role::Typed {
            return Fed { outcome, taken: false };
        }
        next.settle_down(role, shown);
        *self = next;
        Fed { outcome, taken: true }
    }

    /// Reads a text and checks it against what is there; nothing runs.
    fn enter(&mut self, text: &str, role: Role, place: (&str, &str), host: &dyn Host) -> Vec<Diagnostic> {
        let session = &mut self.session;
        // data that could not be read are tried again
        session.tensors.borrow_mut().retain(|_, tensor| tensor.is_ok());
        let earlier: Vec<Unit> = self.entries.iter().map(|e| e.unit.clone()).collect();
        let reader = if role == Role::Typed { parse_input } else { parse };
        let (units, mut diagnostics) =
            load::load_beside(&earlier, place, text, reader, &mut session.sources, host);
        if role == Role::Typed {
            input::advise(text, &mut diagnostics);
        }
        let statements = |units: &[Unit]| -> Vec<Statement> {
            units.iter().flat_map(|u| u.program.statements.clone()).collect()
        };
        let new = statements(&units);
        let names: IndexSet<(Kind, String)> = new.iter().flat_map(extend::declared).collect();
        let old: HashSet<(Kind, String)> = statements(&earlier).iter().flat_map(extend::declared).collect();
        let mut changed: HashSet<String> = names
            .iter()
            .filter(|n| old.contains(*n) && matches!(n.0, Kind::Axis | Kind::Data | Kind::Model))
            .map(|(_, name)| name.clone())
            .collect();
        if role == Role::Typed {
            // what is typed once more counts for more than what the command line set
            session.options.settings.retain(|(name, _)| !changed.contains(name));
        }
        let repeated: HashSet<String> = units.first().map_or_else(HashSet::new, |main| {
            main.program.statements.iter().filter_map(|s| action(session, s)).collect()
        });
        for entry in &mut self.entries {
            extend::forget(&mut entry.unit.program, &names);
            let again = |s: &Statement| action(session, s).is_some_and(|action| repeated.contains(&action));
            if entry.unit.program.statements.iter().any(again) {
                Arc::make_mut(&mut entry.unit.program).statements.retain(|s| !again(s));
            }
        }
        session.planned.retain(|p| !names.contains(&(Kind::Result, p.name.clone())));
        session.balances.retain(|b| !names.contains(&(Kind::Result, b.name.clone())));
        session.sweeps.retain(|name, _| !names.contains(&(Kind::Result, name.clone())));
        session.saved.retain(|name, _| !names.contains(&(Kind::Result, name.clone())));
        session.units = units.clone();
        session.units.extend(self.entries.iter().map(|e| e.unit.clone()));
        let dropped = session.bound.is_empty() && !session.declarations.tensors.is_empty();
        if new.iter().any(extend::declares) || dropped {
            session.rebuild(units.len(), &mut changed, host, &mut diagnostics);
            if role == Role::Typed || session.declarations.params.is_empty() {
                // a param that the command line sets may be declared later
                diagnostics.retain(|d| d.code != Code::MBA104);
            }
        }
        session.open_saved(host);
        session.check_verbs(&mut diagnostics);
        let main = units.first().map(|u| u.source);
        diagnostics.extend(self.left_behind(&changed, main, &new));
        for (position, unit) in units.into_iter().enumerate() {
            let role = if position == 0 { role } else { Role::Used };
            self.entries.push(Entry { written: unit.program.clone(), unit, role });
        }
        let mut settled = self.session.settle(diagnostics);
        // of an input that is refused nothing becomes old
        let refused = settled.iter().any(Diagnostic::is_error);
        let old_news = |d: &Diagnostic| self.told.contains(d) || (refused && d.code == Code::MBA610);
        settled.retain(|d| d.is_error() || !old_news(d));
        for diagnostic in settled.iter_mut().filter(|d| d.is_error()) {
            let elsewhere = diagnostic.span().is_some_and(|span| Some(span.source) != main);
            if elsewhere && role == Role::Typed && !changed.is_empty() {
                diagnostic.notes.push(
                    "this was declared by an earlier input; what must change together is declared in one \
                     input, separated by `;`"
                        .into(),
                );
            }
        }
        settled
    }

    /// Notes which fits are of declarations that have just been replaced.
    fn left_behind(
        &mut self,
        changed: &HashSet<String>,
        main: Option<SourceId>,
        new: &[Statement],
    ) -> Vec<Diagnostic> {
        if changed.is_empty() {
            return Vec::new();
        }
        let session = &self.session;
        let mut roots: Vec<&String> = changed.iter().collect();
        roots.sort();
        let one = |root: &&String| session.dependents(&HashSet::from([(*root).clone()]));
        let reach: Vec<(&String, HashSet<String>)> = roots.into_iter().map(|r| (r, one(&r))).collect();
        let mut found: IndexMap<String, Vec<String>> = IndexMap::new();
        for unit in session.units.iter().filter(|u| Some(u.source) != main) {
            for statement in &unit.program.statements {
                let words = session.words(statement);
                let results =
                    extend::declared(statement).into_iter().filter(|(kind, _)| *kind == Kind::Result);
                for (_, result) in results.filter(|(_, name)| session.is_result(name)) {
                    let hit = reach.iter().find(|(_, names)| words.iter().any(|w| names.contains(w)));
                    if let Some((root, _)) = hit {
                        found.entry((*root).clone()).or_default().push(result);
                    }
                }
            }
        }
        let mut diagnostics = Vec::new();
        for (name, fits) in found {
            let declares = |s: &&Statement| extend::declared(s).iter().any(|(_, n)| changed.contains(n));
            let span = new.iter().find(declares).map_or_else(Span::default, |s| s.span);
            let list = crate::text::suggest::list(&fits);
            let fitted =
                fits.iter().all(|f| session.results.contains_key(f) || session.joint_results.contains_key(f));
            let (noun, again) = if fitted { ("fit", "fitted") } else { ("result", "asked for") };
            let (what, belong, keep) = match fits.len() {
                1 => (
                    format!("the {noun}"),
                    "belongs",
                    if fitted { "it keeps its results" } else { "it stays" },
                ),
                _ => (
                    format!("the {noun}s"),
                    "belong",
                    if fitted { "they keep their results" } else { "they stay" },
                ),
            };
            diagnostics.push(
                Diagnostic::new(Code::MBA610, format!("{what} {list} {belong} to an earlier `{name}`"))
                    .at(span, "declared again")
                    .help(format!("{keep} until {again} again")),
            );
            for fit in fits {
                self.stale.insert(fit, name.clone());
            }
        }
        diagnostics
    }

    /// After a run: what `_` stands for, and what need not be kept.
    fn settle_down(&mut self, role: Role, shown: Option<Value>) {
        let session = &mut self.session;
        let main = session.units.first().map(|u| u.source);
        let statements: Vec<Statement> = session.main().to_vec();
        for statement in &statements {
            for (kind, name) in extend::declared(statement) {
                if kind == Kind::Result {
                    self.stale.shift_remove(&name);
                    session.only_the_latest(&name, statement);
                }
            }
        }
        session.without_the_failed();
        let last = statements.iter().rev().find_map(|statement| match &statement.kind {
            StatementKind::Fit(_)
            | StatementKind::Load { .. }
            | StatementKind::Balance(_)
            | StatementKind::Sweep(_)
            | StatementKind::Estimate(_) => {
                let names = extend::declared(statement);
                names.first().map(|(_, name)| session.result_named(name))
            }
            StatementKind::Show(list) => Some(match list.last().map(|e| &e.kind) {
                Some(ExprKind::Name(name)) if name == LAST => session.last.clone(),
                Some(ExprKind::Name(name)) if session.is_result(name) => session.result_named(name),
                Some(ExprKind::Name(name)) if session.bound.contains_key(name) => {
                    session.read_tensor(name).ok().map(Object::Tensor)
                }
                _ => shown.clone().map(Object::Value),
            }),
            _ => None,
        });
        if let Some(Some(last)) = last {
            session.last = Some(last);
        }
        if role == Role::Typed
            && let Some(entry) = self.entries.iter_mut().find(|e| Some(e.unit.source) == main)
        {
            let sources = &session.sources;
            let program = Arc::make_mut(&mut entry.unit.program);
            program.statements.retain(|s| !is_bare(sources, s));
        }
        self.entries.retain(|e| e.role != Role::Typed || !e.unit.program.statements.is_empty());
    }

    /// The session as it would be after a text, which is checked and not run.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn would_be(&self, text: &str, host: &dyn Host) -> Result<Session, Refused> {
        let mut next = self.clone();
        let diagnostics = next.enter(text, Role::Typed, ("input", ""), host);
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Err(Refused { diagnostics, sources: next.session.sources });
        }
        Ok(next.session)
    }

    /// What an expression stands for, and the expression as it is laid out. Nothing changes, except that
    /// data may be read.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn evaluate(&self, text: &str) -> Result<(Object, String), Refused> {
        let mut session = self.session.clone();
        let source = session.sources.add("input", text);
        let refused = |diagnostics: Vec<Diagnostic>, session: &Session| Refused {
            diagnostics,
            sources: session.sources.clone(),
        };
        let expr = parse_expression(source, text).map_err(|list| refused(list, &session))?;
        let mut diagnostics = Vec::new();
        results::check(&expr, &session, &mut diagnostics);
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Err(refused(diagnostics, &session));
        }
        match results::object(&expr, &session) {
            Ok(object) => Ok((object, format_expression(session.sources.slice(expr.span)))),
            Err(diagnostic) => Err(refused(vec![diagnostic], &session)),
        }
    }
}

/// Whether a statement is an expression without `show`.
pub(super) fn is_bare(sources: &Sources, statement: &Statement) -> bool {
    let text = sources.slice(statement.span);
    let first = tokenize(text).first().is_some_and(|t| t.text(text) == "show");
    matches!(statement.kind, StatementKind::Show(_)) && !first
}

/// A verb that only does something, as text; the same again takes the place of the first.
fn action(session: &Session, statement: &Statement) -> Option<String> {
    use StatementKind::{Plot, Save, Show};
    let acts = matches!(statement.kind, Show(_) | Save { .. } | Plot { .. });
    let text = session.sources.slice(statement.span);
    acts.then(|| crate::text::format(text).unwrap_or_else(|_| text.to_string()))
}

impl Session {
    /// Whether a fit, a balanced tensor, an estimate or a sweep has this name.
    pub(super) fn is_result(&self, name: &str) -> bool {
        self.results.contains_key(name)
            || self.joint_results.contains_key(name)
            || self.sweeps.contains_key(name)
            || self.balanced_results.contains_key(name)
            || self.estimates.contains_key(name)
    }

    /// The fit, balanced tensor, estimate or sweep of this name.
    fn result_named(&self, name: &str) -> Option<Object> {
        let fit = || self.results.get(name).map(|r| Object::Fit(Box::new(r.clone())));
        let joint = || self.joint_results.get(name).map(|r| Object::Joint(Box::new(r.clone())));
        let balanced = || self.balanced_results.get(name).map(|r| Object::Balanced(Box::new(r.clone())));
        let estimate = || self.estimates.get(name).map(|r| Object::Estimate(Box::new(r.clone())));
        let curve = || self.sweeps.get(name).map(|c| Object::Curve(Box::new(c.clone())));
        fit().or_else(joint).or_else(balanced).or_else(estimate).or_else(curve)
    }

    /// Drops results of other kinds that have the name of a new one.
    fn only_the_latest(&mut self, name: &str, statement: &Statement) {
        let loaded = match &statement.kind {
            StatementKind::Load { name, .. } => self.loaded_kind(&name.name),
            _ => None,
        };
        let of_fit = matches!(statement.kind, StatementKind::Fit(_)) || loaded == Some(Loaded::Fit);
        let of_balance =
            matches!(statement.kind, StatementKind::Balance(_)) || loaded == Some(Loaded::Balance);
        let of_estimate =
            matches!(statement.kind, StatementKind::Estimate(_)) || loaded == Some(Loaded::Estimate);
        let joint = self.planned.iter().any(|p| p.name == name && p.joint.is_some());
        if !of_fit || joint {
            self.results.shift_remove(name);
        }
        if !of_fit || !joint {
            self.joint_results.shift_remove(name);
        }
        if !of_balance {
            self.balanced_results.shift_remove(name);
        }
        if !of_estimate {
            self.estimates.shift_remove(name);
        }
    }

    /// Drops what was planned and failed, and results of what is no longer planned.
    fn without_the_failed(&mut self) {
        let (fits, balanced) = (&self.results, &self.balanced_results);
        let joint = &self.joint_results;
        self.planned.retain(|p| fits.contains_key(&p.name) || joint.contains_key(&p.name));
        self.balances.retain(|b| balanced.contains_key(&b.name));
        let (planned, balances) = (&self.planned, &self.balances);
        self.results.retain(|name, _| planned.iter().any(|p| &p.name == name));
        self.joint_results.retain(|name, _| planned.iter().any(|p| &p.name == name));
        self.balanced_results.retain(|name, _| balances.iter().any(|b| &b.name == name));
    }
}

impl Outcome {
    /// What went wrong in either.
    #[must_use]
    pub fn and(self, other: Outcome) -> Outcome {
        Outcome {
            program: self.program || other.program,
            outcome: self.outcome || other.outcome,
            defect: self.defect || other.defect,
        }
    }
}

/// Passes events on, and finds out whether a run may be kept.
struct Judge<'a> {
    sink: &'a mut dyn Sink,
    failed: bool,
    shown: Option<Value>,
}

impl Sink for Judge<'_> {
    fn event(&mut self, event: Event<'_>, sources: &Sources) {
        match &event {
            // a fit that ended early keeps what it has
            Event::Diagnostic(d) => {
                self.failed |= d.is_error() && !matches!(d.code, Code::MBA510 | Code::MBA511);
            }
            Event::Test(test) => self.failed |= !test.failures.is_empty(),
            Event::Show(_, value) => self.shown = Some((*value).clone()),
            Event::Fit(..)
            | Event::Joint(..)
            | Event::Loaded(..)
            | Event::LoadedJoint(..)
            | Event::Resumed(..)
            | Event::Saved(_) => {}
        }
        self.sink.event(event, sources);
    }

    fn observer(&mut self, fit: &str, tolerance: f64) -> Box<dyn Observer + '_> {
        self.sink.observer(fit, tolerance)
    }
}
