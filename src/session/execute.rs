//! The verbs, in text order.

use std::cell::OnceCell;

use super::checkpoint::Checkpoint;
use super::snapshot::Store;
use super::{Event, Host, Outcome, PlannedFit, Session, Sink, expectations};
use crate::report::results;
use crate::report::save;
use crate::report::value::Value;
use crate::text::ast::{Expr, ExprKind, Statement, StatementKind, Text};
use crate::text::{Code, Diagnostic, format_expression, suggest};

/// Whether a path can be saved to, by its ending.
pub(super) fn check_path(path: &Text) -> Option<Diagnostic> {
    if save::Format::of(&path.value).is_some() {
        return None;
    }
    Some(
        Diagnostic::new(Code::MBA409, format!("cannot tell the format of `{}`", path.value))
            .at(path.span, "unknown ending")
            .help(format!("end it in {}", save::Format::endings())),
    )
}

/// A run of the verbs of a program: where it reads and writes, whom it tells, and what has come of it.
pub(super) struct Run<'a> {
    pub host: &'a dyn Host,
    pub sink: &'a mut dyn Sink,
    /// What is kept of it, so that it can go on later.
    pub checkpoint: Option<Checkpoint<'a>>,
    pub outcome: Outcome,
    /// Whether it was asked to end, and what is left out has been told.
    ended: bool,
    /// Pictures drawn so far that were given no path.
    pictures: usize,
}

impl Session {
    /// Runs the verbs of the main program in text order and tells `sink` what happens.
    ///
    /// A verb that fails is reported; those that do not depend on it still run.
    pub fn run(&mut self, host: &dyn Host, sink: &mut dyn Sink) -> Outcome {
        self.run_chosen(&|_| true, &OnceCell::new(), host, sink)
    }

    /// As [`Session::run`], for the statements at the positions that are chosen. The snapshots are read when a
    /// test is first met.
    pub(super) fn run_chosen(
        &mut self,
        chosen: &dyn Fn(usize) -> bool,
        snapshots: &OnceCell<Store>,
        host: &dyn Host,
        sink: &mut dyn Sink,
    ) -> Outcome {
        let outcome = Outcome::default();
        let mut run = Run { host, sink, checkpoint: None, outcome, ended: false, pictures: 0 };
        match Checkpoint::open(self, host) {
            Ok(checkpoint) => run.checkpoint = checkpoint,
            Err(diagnostic) => {
                self.tell(diagnostic, &mut run);
                return run.outcome;
            }
        }
        let statements: Vec<_> = self.main().to_vec();
        let main = self.units.first().map(|u| u.source);
        // fits of earlier inputs at a prompt have been done, and each that is met joins them
        let (planned, done) = std::mem::take(&mut self.planned)
            .into_iter()
            .partition::<Vec<_>, _>(|p: &PlannedFit| Some(p.span.source) == main);
        self.planned = done;
        let mut planned = planned.into_iter();
        for (position, statement) in statements.iter().enumerate() {
            let fit = match &statement.kind {
                StatementKind::Fit(_) => planned.next(),
                StatementKind::Load { name, .. } if self.loads_fit(&name.name) => planned.next(),
                _ => None,
            };
            self.planned.extend(fit.clone());
            if chosen(position) {
                self.verb((position, statement), fit.as_ref(), snapshots, &mut run);
            }
            self.tell_all(self.notices.take(), &mut run);
        }
        if let Some(own) = &mut run.checkpoint {
            own.write();
        }
        self.complain(&mut run);
        run.outcome
    }

    /// Runs a verb, with the plan of the fit that it makes or loads.
    fn verb(
        &mut self,
        (position, statement): (usize, &Statement),
        fit: Option<&PlannedFit>,
        snapshots: &OnceCell<Store>,
        run: &mut Run,
    ) {
        use StatementKind::{Balance, Estimate, Fit, Load, Plot, Save, Show, Test};
        let long = takes_long(statement);
        if long && self.ended(position, run) {
            return;
        }
        match (&statement.kind, fit) {
            (Fit(_), Some(fit)) => self.run_fit(fit, run),
            (Load { path, .. }, Some(fit)) => self.run_load(path, fit, run),
            (Load { path, name }, None) => self.run_load_other(path, name, statement.span, run),
            (Balance(_), _) => {
                if let Some(balance) = self.balances.iter().find(|b| b.span == statement.span).cloned() {
                    self.run_balance(&balance, run);
                }
            }
            (Estimate(estimate), _) => self.run_estimate(estimate, statement.span, run),
            (Show(list), _) => list.iter().for_each(|expr| self.show(expr, run)),
            (Save { value, path }, _) if !self.depends_on_failure(value) => {
                let saved = self.save(value, path, run.host).map(|()| path.value.clone());
                self.saved_to(saved, run);
            }
            (Plot { values, path }, _) if !values.iter().any(|e| self.depends_on_failure(e)) => {
                let drawn = self.plot(values, path.as_ref(), statement.span, &mut run.pictures, run.host);
                self.saved_to(drawn, run);
            }
            (Test(test), _) => {
                let stored = snapshots.get_or_init(|| Store::load(self, run.host));
                let result = expectations::run(self, test, stored, run.host, run.sink);
                if !result.failures.is_empty() {
                    run.outcome.fail();
                }
                run.sink.event(Event::Test(&result), &self.sources);
            }
            _ => {}
        }
        if long {
            self.complain(run);
        }
    }

    /// Shows the value of an expression.
    fn show(&self, expr: &Expr, run: &mut Run) {
        if self.depends_on_failure(expr) {
            return;
        }
        match results::evaluate(expr, self) {
            Ok(value) => {
                let label = format_expression(self.sources.slice(expr.span));
                run.sink.event(Event::Show(&label, &value), &self.sources);
            }
            Err(diagnostic) => self.tell(diagnostic, run),
        }
    }

    /// Tells of a file that was written, or why it was not.
    fn saved_to(&self, saved: Result<String, Diagnostic>, run: &mut Run) {
        match saved {
            Ok(path) => run.sink.event(Event::Saved(&path), &self.sources),
            Err(diagnostic) => self.tell(diagnostic, run),
        }
    }

    /// What is said of a program none of whose statements does anything when it is run.
    pub fn idle(&self) -> Option<Diagnostic> {
        let declares = |kind: &StatementKind| {
            use StatementKind::{Data, Mode, Model, Param, Use};
            matches!(kind, Mode(_) | Param(_) | Data(_) | Use(_) | Model(_))
        };
        if !self.main().iter().all(|s| declares(&s.kind)) {
            return None;
        }
        let message = match self.main() {
            [] => "the program is empty: there is nothing to run",
            _ => "the program only declares: there is nothing to run",
        };
        let report = Diagnostic::new(Code::MBA539, message);
        self.level(report.help("add what is to be done, such as a `fit` and a `show`, or use `mba check`"))
    }

    /// Whether the run was asked to end before a statement that takes long; what is left out is told once.
    fn ended(&self, position: usize, run: &mut Run) -> bool {
        if !run.ended && self.options.stop.asked() {
            run.ended = true;
            let left = self.main().get(position..).unwrap_or_default();
            let kept = run.checkpoint.as_ref().map(Checkpoint::path);
            self.tell(not_begun(left, kept), run);
        }
        run.ended
    }

    /// Tells when a checkpoint could not be written.
    fn complain(&self, run: &mut Run) {
        if let Some(diagnostic) = run.checkpoint.as_mut().and_then(Checkpoint::complaint) {
            self.tell(diagnostic, run);
        }
    }

    pub(super) fn tell(&self, diagnostic: Diagnostic, run: &mut Run) {
        if let Some(diagnostic) = self.level(diagnostic) {
            run.outcome.count(&diagnostic);
            run.sink.event(Event::Diagnostic(&diagnostic), &self.sources);
        }
    }

    pub(super) fn tell_all(&self, list: Vec<Diagnostic>, run: &mut Run) {
        list.into_iter().for_each(|diagnostic| self.tell(diagnostic, run));
    }

    /// Whether an expression needs a fit or data that already failed and was reported.
    pub(super) fn depends_on_failure(&self, expr: &Expr) -> bool {
        names_of(expr).into_iter().any(|name| {
            let fit_failed = self.planned.iter().any(|p| p.name == name)
                && !self.results.contains_key(&name)
                && !self.joint_results.contains_key(&name);
            let data_failed = self.tensors.borrow().get(&name).is_some_and(Result::is_err);
            let sweep_failed = self.main().iter().any(|s| match &s.kind {
                StatementKind::Sweep(sweep) => {
                    sweep.name.as_ref().is_some_and(|n| n.name == name)
                        && self.depends_on_failure(&sweep.model)
                }
                _ => false,
            });
            let balance_failed =
                self.balances.iter().any(|b| b.name == name) && !self.balanced_results.contains_key(&name);
            let estimate_failed = crate::report::results::Environment::estimate_names(self).contains(&name)
                && !self.estimates.contains_key(&name);
            fit_failed || sweep_failed || balance_failed || data_failed || estimate_failed
        })
    }

    fn save(&self, expr: &Expr, path: &Text, host: &dyn Host) -> Result<(), Diagnostic> {
        let format = save::Format::of(&path.value)
            .ok_or_else(|| check_path(path).unwrap_or_else(|| Diagnostic::new(Code::MBA901, "no format")))?;
        let encoded = match (format, &expr.kind) {
            (save::Format::Npz, ExprKind::Name(name)) => match self.encode_whole(name) {
                Some(encoded) => encoded,
                None => {
                    return Err(
                        Diagnostic::new(Code::MBA901, "a fit that is not there").at(expr.span, "here")
                    );
                }
            },
            _ => save::encode(&results::evaluate(expr, self)? as &Value, format),
        };
        let bytes = encoded.map_err(|reason| {
            Diagnostic::new(Code::MBA409, format!("this cannot be saved to `{}`", path.value))
                .at(expr.span, reason)
                .at(path.span, "to this format")
                .help(format!("save it to a file that ends in {}", save::Format::endings()))
        })?;
        host.write(&path.value, &bytes).map_err(|error| {
            Diagnostic::new(Code::MBA430, format!("`{}` cannot be written", path.value))
                .at(path.span, "named here")
                .note(error.to_string())
                .note("what was there before is unchanged")
                .help("paths that are written are relative to the current directory")
        })
    }
}

/// Every name an expression mentions, also those that fields and calls hang on.
pub(super) fn names_of(expr: &Expr) -> Vec<String> {
    let mut found = Vec::new();
    crate::model::elaborate::names_in(expr, &mut found);
    found.into_iter().map(|(name, _)| name).collect()
}

/// Whether a statement computes something that can take long, and is not begun once a run was asked to end.
fn takes_long(statement: &Statement) -> bool {
    use StatementKind::{Balance, Estimate, Fit};
    matches!(statement.kind, Fit(_) | Balance(_) | Estimate(_))
}

/// What is left out because the run was asked to end before it: fits, balances and estimates.
fn not_begun(left: &[Statement], kept: Option<&str>) -> Diagnostic {
    let long = || left.iter().filter(|s| takes_long(s));
    let names: Vec<String> = long().flat_map(super::extend::declared).map(|(_, name)| name).collect();
    let verb = if names.len() == 1 { "was" } else { "were" };
    let done = if long().all(|s| matches!(s.kind, StatementKind::Fit(_))) { "fitted" } else { "computed" };
    let message = format!("{} {verb} not {done}", suggest::list(&names));
    let mut diagnostic = Diagnostic::new(Code::MBA530, message).help(match kept {
        Some(path) => format!("go on with `--resume {path}`"),
        None => "what was computed before stands; run the program again for the rest".into(),
    });
    if let Some(first) = long().next() {
        diagnostic = diagnostic.at(first.span, "the run was asked to end before this");
    }
    diagnostic
}
