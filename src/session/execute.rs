//! The verbs, in text order.

use std::cell::OnceCell;
use std::sync::Arc;

use super::bind::{Bound, Origin, Sampling};
use super::checkpoint::{Begin, Checkpoint};
use super::snapshot::Store;
use super::{Event, Host, Outcome, PlannedFit, Session, Sink, expectations, lean};
use crate::data::{self, Storage, Tensor};
use crate::model::constant;
use crate::model::declarations::Declarations;
use crate::plan::method;
use crate::report::results::{self, FitResult};
use crate::report::save;
use crate::report::value::Value;
use crate::run::{self, Control, Observer, Status, Stoppable};
use crate::text::ast::{Expr, ExprKind, Fit, FitOption, OptionValue, Statement, StatementKind, Text};
use crate::text::{Code, Diagnostic, Span, format_expression, suggest};

/// The options of a fit: name, and what it is for.
const OPTIONS: &[(&str, &str)] = &[
    ("tolerance", "the marginal gap at which a fit ends"),
    ("max_sweeps", "the most sweeps it may make"),
    ("seed", "the seed of what is random"),
    ("hold_out", "cells to keep from the fit and to measure it by"),
];

/// Options of the language that belong to methods this version does not have.
const LATER: &[&str] = &["restarts", "anneal"];

/// The names of the options of a fit.
pub(super) fn option_names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(name, _)| *name)
}

/// What the options and clauses of a fit say, and what is wrong with them.
pub(super) fn control(fit: &Fit, seed: &mut u64, declarations: &Declarations) -> (Control, Vec<Diagnostic>) {
    let mut control = Control::default();
    let mut diagnostics = Vec::new();
    if let Some(method) = &fit.method {
        match method.name.as_str() {
            "blocks" | "ltr" => {
                diagnostics.push(crate::model::unsupported(&format!("`by {}`", method.name), method.span));
            }
            name => diagnostics.extend(method::find(name, method.span).err()),
        }
    }
    diagnostics.extend(repeated(&fit.options));
    for option in &fit.options {
        if let Err(diagnostic) = apply(option, (&mut control, seed), declarations) {
            diagnostics.push(diagnostic);
        }
    }
    (control, diagnostics)
}

/// A report for each option that is written again: only one of the two could count.
pub(super) fn repeated(options: &[FitOption]) -> Vec<Diagnostic> {
    let again = options.iter().enumerate().filter_map(|(k, option)| {
        let name = &option.name.name;
        let first = options[..k].iter().find(|o| o.name.name == *name)?;
        let condition = |o: &FitOption| matches!(o.values.as_slice(), [OptionValue::Where(_)]);
        let help = match condition(option) && condition(first) {
            true => "join the conditions by `or`: `hold_out where a == 0 or b == 1`",
            false => "keep one of them",
        };
        let report = Diagnostic::new(Code::MBA105, format!("the option `{name}` is given twice"));
        Some(report.at(option.span, "given again").at(first.span, "first given here").help(help))
    });
    again.collect()
}

pub(super) fn apply(
    option: &FitOption,
    (control, seed): (&mut Control, &mut u64),
    declarations: &Declarations,
) -> Result<(), Diagnostic> {
    let name = option.name.name.as_str();
    if LATER.contains(&name) {
        return Err(crate::model::unsupported(&format!("`{name}`"), option.span));
    }
    if !OPTIONS.iter().any(|(n, _)| *n == name) {
        let report = Diagnostic::new(Code::MBA102, format!("a fit has no option `{name}`"));
        let names = OPTIONS.iter().map(|(n, _)| *n).chain(LATER.iter().copied());
        return Err(suggest::instead(report, (name, option.name.span), names, ("option", ""), || {
            let list: Vec<String> = OPTIONS.iter().map(|(n, about)| format!("`{n}` ({about})")).collect();
            format!("the options are {}", list.join(", "))
        }));
    }
    // it needs the data, and is read where they are known
    if name == "hold_out" {
        return Ok(());
    }
    let [OptionValue::Value(value)] = option.values.as_slice() else {
        return Err(Diagnostic::new(Code::MBA105, format!("`{name}` takes one number"))
            .at(option.span, "here")
            .help(format!("write `{name} 1e-9`")));
    };
    match name {
        "tolerance" => {
            let x = constant::number(value, &declarations.names())?;
            if !(x > 0.0 && x < 1.0) {
                return Err(Diagnostic::new(Code::MBA105, format!("a tolerance of {x}"))
                    .at(value.span, "must lie between 0 and 1")
                    .help("it is relative to the largest cell of each marginal; the default is 1e-9"));
            }
            control.tolerance = x;
        }
        "max_sweeps" => control.max_sweeps = constant::whole(value, 1, &declarations.names())?,
        _ => *seed = constant::whole(value, 0, &declarations.names())? as u64,
    }
    Ok(())
}

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
        let mut outcome = Outcome::default();
        let mut checkpoint = match Checkpoint::open(self, host) {
            Ok(checkpoint) => checkpoint,
            Err(diagnostic) => {
                self.tell(diagnostic, sink, &mut outcome);
                return outcome;
            }
        };
        let statements: Vec<_> = self.main().to_vec();
        let main = self.units.first().map(|u| u.source);
        // fits of earlier inputs at a prompt have been done
        let (planned, mut done): (Vec<_>, Vec<_>) = std::mem::take(&mut self.planned)
            .into_iter()
            .partition(|p: &PlannedFit| Some(p.span.source) == main);
        let mut planned = planned.into_iter();
        let mut ended = false;
        self.planned = done.clone();
        let mut pictures = 0;
        for (position, statement) in statements.iter().enumerate() {
            let chosen = chosen(position);
            match &statement.kind {
                StatementKind::Fit(_) => {
                    if let Some(fit) = planned.next() {
                        done.push(fit.clone());
                        self.planned = done.clone();
                        if !chosen {
                            continue;
                        }
                        if !self.ended(&mut ended, position, &checkpoint, sink, &mut outcome) {
                            self.run_fit(&fit, host, sink, &mut outcome, &mut checkpoint);
                            self.complain(&mut checkpoint, sink, &mut outcome);
                        }
                    }
                }
                StatementKind::Load { path, name } if self.loads_fit(&name.name) => {
                    if let Some(fit) = planned.next() {
                        done.push(fit.clone());
                        self.planned = done.clone();
                        if chosen {
                            self.run_load(path, &fit, sink, &mut outcome);
                        }
                    }
                }
                _ if !chosen => {}
                StatementKind::Load { path, name } => {
                    self.run_load_other(path, name, statement.span, sink, &mut outcome);
                }
                StatementKind::Balance(_) | StatementKind::Estimate(_)
                    if self.ended(&mut ended, position, &checkpoint, sink, &mut outcome) => {}
                StatementKind::Balance(_) => {
                    if let Some(balance) = self.balances.iter().find(|b| b.span == statement.span).cloned() {
                        self.run_balance(&balance, host, sink, &mut outcome, &mut checkpoint);
                        self.complain(&mut checkpoint, sink, &mut outcome);
                    }
                }
                StatementKind::Show(list) => {
                    for expr in list {
                        if self.depends_on_failure(expr) {
                            continue;
                        }
                        match results::evaluate(expr, self) {
                            Ok(value) => {
                                let label = format_expression(self.sources.slice(expr.span));
                                sink.event(Event::Show(&label, &value), &self.sources);
                            }
                            Err(diagnostic) => self.tell(diagnostic, sink, &mut outcome),
                        }
                    }
                }
                StatementKind::Estimate(estimate) => {
                    self.run_estimate(estimate, statement.span, host, sink, &mut outcome, &mut checkpoint);
                    self.complain(&mut checkpoint, sink, &mut outcome);
                }
                StatementKind::Save { value, path } => {
                    if self.depends_on_failure(value) {
                        continue;
                    }
                    match self.save(value, path, host) {
                        Ok(()) => sink.event(Event::Saved(&path.value), &self.sources),
                        Err(diagnostic) => self.tell(diagnostic, sink, &mut outcome),
                    }
                }
                StatementKind::Plot { values, path } => {
                    if values.iter().any(|e| self.depends_on_failure(e)) {
                        continue;
                    }
                    match self.plot(values, path.as_ref(), statement.span, &mut pictures, host) {
                        Ok(path) => sink.event(Event::Saved(&path), &self.sources),
                        Err(diagnostic) => self.tell(diagnostic, sink, &mut outcome),
                    }
                }
                StatementKind::Test(test) => {
                    let stored = snapshots.get_or_init(|| Store::load(self, host));
                    let result = expectations::run(self, test, stored, host, sink);
                    if !result.failures.is_empty() {
                        outcome.fail();
                    }
                    sink.event(Event::Test(&result), &self.sources);
                }
                _ => {}
            }
            for notice in self.notices.take() {
                self.tell(notice, sink, &mut outcome);
            }
        }
        self.planned = done;
        if let Some(own) = &mut checkpoint {
            own.write();
        }
        self.complain(&mut checkpoint, sink, &mut outcome);
        outcome
    }

    /// Whether the run was asked to end before a statement that takes long; what is left out is told once.
    fn ended(
        &self,
        ended: &mut bool,
        position: usize,
        checkpoint: &Option<Checkpoint>,
        sink: &mut dyn Sink,
        outcome: &mut Outcome,
    ) -> bool {
        if !*ended && self.options.stop.asked() {
            *ended = true;
            let left = self.main().get(position..).unwrap_or_default();
            let kept = checkpoint.as_ref().map(Checkpoint::path);
            self.tell(not_begun(left, kept), sink, outcome);
        }
        *ended
    }

    /// Tells when a checkpoint could not be written.
    fn complain(&self, checkpoint: &mut Option<Checkpoint>, sink: &mut dyn Sink, outcome: &mut Outcome) {
        if let Some(diagnostic) = checkpoint.as_mut().and_then(Checkpoint::complaint) {
            self.tell(diagnostic, sink, outcome);
        }
    }

    pub(super) fn tell(&self, diagnostic: Diagnostic, sink: &mut dyn Sink, outcome: &mut Outcome) {
        if let Some(diagnostic) = self.level(diagnostic) {
            outcome.count(&diagnostic);
            sink.event(Event::Diagnostic(&diagnostic), &self.sources);
        }
    }

    fn run_fit(
        &mut self,
        planned: &PlannedFit,
        host: &dyn Host,
        sink: &mut dyn Sink,
        outcome: &mut Outcome,
        checkpoint: &mut Option<Checkpoint>,
    ) {
        let Some(schedule) = planned.schedule.clone() else { return };
        if let Some(joint) = planned.joint.clone() {
            return self.run_joint((planned, &joint), host, sink, outcome, checkpoint);
        }
        let mut started = host.seconds();
        let known = self.tensors.borrow().contains_key(&planned.tensor);
        // a fit to all cells takes its sums while they are read
        let reduction = planned.hold_out.is_none().then(|| run::Reduction::of(&schedule)).flatten();
        let onlooker = reduction.as_ref().map(|r| r as &dyn data::Onlooker);
        let tensor = match self.read_tensor_before(&planned.tensor, onlooker) {
            Ok(tensor) => tensor,
            Err(list) => {
                // what is wrong with the data is said once, at the first fit that needs them
                if !known {
                    list.into_iter().for_each(|d| self.tell(d, sink, outcome));
                }
                return;
            }
        };
        let mut held_out = None;
        let tensor = match &planned.hold_out {
            None => tensor,
            Some(hold_out) => match hold_out.apply(&tensor, planned.seed, host) {
                Ok((rest, held)) => {
                    held_out = Some(held);
                    rest
                }
                Err(list) => {
                    list.into_iter().for_each(|d| self.tell(d, sink, outcome));
                    return;
                }
            },
        };
        let begin = match checkpoint.as_mut().map(|c| c.begin(planned, &tensor)) {
            None => Begin::Afresh,
            Some(Ok(begin)) => begin,
            Some(Err(diagnostic)) => return self.tell(diagnostic, sink, outcome),
        };
        let (mut state, mut fit) = (None, None);
        match begin {
            Begin::Afresh => {}
            Begin::Done(done, seconds) => {
                sink.event(Event::Resumed(&planned.name, done.iterations, true), &self.sources);
                started = host.seconds() - seconds;
                fit = Some(Ok(done));
            }
            Begin::From(kept, sweeps, seconds) => {
                sink.event(Event::Resumed(&planned.name, sweeps, false), &self.sources);
                started -= seconds;
                state = Some(kept);
            }
        }
        let mut notes = Vec::new();
        let fit = fit.unwrap_or_else(|| {
            let inner = sink.observer(&planned.name, planned.control.tolerance);
            let mut observer = Stoppable { inner, stop: self.options.stop.clone() };
            let execute = |observer: &mut dyn Observer| match (state, &planned.prior) {
                (_, Some(prior)) => {
                    let leaned = prior.fit(&planned.model, &tensor, &self.work(planned), observer)?;
                    notes = leaned.notes;
                    Ok(leaned.fit)
                }
                (None, None) => run::execute(&schedule, &planned.model, &tensor, &planned.control, observer),
                (Some(s), None) => {
                    run::resume(&schedule, &planned.model, &tensor, &planned.control, observer, s)
                }
            };
            let Some(checkpoint) = checkpoint else { return execute(&mut observer).map(Arc::new) };
            let spent = host.seconds() - started;
            let mut keeper = checkpoint.keeper(planned, &tensor, observer, spent).map_err(|d| vec![d])?;
            let fit = Arc::new(execute(&mut keeper)?);
            if !matches!(fit.status, Status::Stopped | Status::Interrupted) {
                keeper.done(&fit, host.seconds() - started);
            }
            Ok(fit)
        });
        let fit = match fit {
            Ok(fit) => fit,
            Err(list) => {
                for diagnostic in list {
                    self.tell(diagnostic.or_at(planned.span, "in this fit"), sink, outcome);
                }
                return;
            }
        };
        let result = FitResult {
            name: planned.name.clone(),
            fit,
            tensor,
            joint: None,
            held_out,
            control: planned.control,
            memory: self.options.memory,
            seconds: host.seconds() - started,
            span: planned.span,
        };
        sink.event(Event::Fit(&result, result.seconds), &self.sources);
        let kept = checkpoint.as_ref().map(Checkpoint::path);
        let mut told = after(&result, kept);
        // a fit that is where it was to be stopped because of what it leans to, and that is told
        if lean::stopped(&notes) && result.fit.certificate.marginal_gap <= result.control.tolerance {
            told.retain(|d| d.code != Code::MBA510);
        }
        for diagnostic in notes.into_iter().chain(told) {
            self.tell(diagnostic, sink, outcome);
        }
        if matches!(result.fit.status, Status::Stopped | Status::Interrupted) {
            outcome.fail();
        }
        self.results.insert(planned.name.clone(), result);
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

    /// The cells of a tensor, read once.
    pub(super) fn read_tensor(&self, name: &str) -> Result<Arc<Tensor>, Vec<Diagnostic>> {
        self.read_tensor_before(name, None)
    }

    fn read_tensor_before(
        &self,
        name: &str,
        onlooker: Option<&dyn data::Onlooker>,
    ) -> Result<Arc<Tensor>, Vec<Diagnostic>> {
        if let Some(known) = self.tensors.borrow().get(name) {
            return known.clone();
        }
        let read = match self.bound.get(name) {
            Some(bound) => self.read_bound(name, bound, onlooker),
            None => Err(Vec::new()),
        };
        self.tensors.borrow_mut().insert(name.to_string(), read.clone());
        read
    }

    fn read_bound(
        &self,
        name: &str,
        bound: &Bound,
        onlooker: Option<&dyn data::Onlooker>,
    ) -> Result<Arc<Tensor>, Vec<Diagnostic>> {
        match &bound.origin {
            Origin::Stored(request, header) => {
                let modes: Vec<_> = bound.modes.iter().filter_map(|m| self.known.get(m).cloned()).collect();
                let loaded = match onlooker {
                    Some(onlooker) => data::read_before(request, header, &modes, onlooker)?,
                    None => data::read(request, header, &modes)?,
                };
                let notices = loaded
                    .notes
                    .into_iter()
                    .map(|note| Diagnostic::new(Code::MBA424, note).at(request.span, "read here"));
                self.notices.borrow_mut().extend(notices);
                self.notices.borrow_mut().extend(self.never_observed(&loaded.tensor, &bound.modes));
                self.notices.borrow_mut().extend(hides_nothing(&loaded.tensor));
                Ok(Arc::new(loaded.tensor))
            }
            Origin::Sampled(sampling) => self.draw(name, bound, sampling).map(Arc::new),
        }
    }

    fn draw(&self, name: &str, bound: &Bound, sampling: &Sampling) -> Result<Tensor, Vec<Diagnostic>> {
        let model = self.sampled_model(sampling, bound)?;
        let options = crate::plan::Options { memory: self.options.memory, ..Default::default() };
        let seed = sampling.seed.unwrap_or(self.options.seed);
        let (count, span, limits) = (sampling.count, sampling.span, &self.limits());
        let drawn = if model.support.is_empty() {
            let draws = run::Draws { count, seed, row: 0, name: &model.name, span, limits };
            run::Distribution::from_fixed(&model, &options)?.sample_within(&draws)
        } else {
            run::Ensemble::new(Arc::new(model.clone()), limits.clone(), span)
                .and_then(|e| e.sample(count, seed, 0))
        };
        let sample = drawn.map_err(|d| vec![*d])?;
        let mut modes = model.modes;
        for (mode, bound_name) in modes.iter_mut().zip(&bound.modes) {
            mode.name.clone_from(bound_name);
        }
        Ok(Tensor {
            name: name.to_string(),
            modes,
            total: sampling.count as f64,
            counts: true,
            mask: None,
            storage: Arc::new(Storage::Sparse(sample)),
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

impl Session {
    /// Whether the fit that has a tensor read hears of the levels of a mode from elsewhere: from a prior, from neighbouring
    /// levels by smoothness, or from another tensor. Where that is not enough the fit itself says so, and so do
    /// fits that come later (MBA563).
    fn learns_elsewhere(&self, tensor: &str, mode: &str) -> bool {
        let position = |model: &crate::model::EnergyModel| model.modes.iter().position(|m| m.name == mode);
        let elsewhere = |planned: &PlannedFit| {
            let smooth = &planned.model.regular.smooth;
            let other = planned.joint.iter().flat_map(|j| &j.names).any(|name| {
                name != tensor && self.bound.get(name).is_some_and(|b| b.modes.iter().any(|m| m == mode))
            });
            planned.model.regular.prior.is_some()
                || position(&planned.model).is_some_and(|m| smooth.iter().any(|s| s.along == m))
                || other
        };
        let of_tensor = |planned: &&PlannedFit| match &planned.joint {
            Some(joint) => joint.names.iter().any(|name| name == tensor),
            None => planned.tensor == tensor,
        };
        let mut fits = self.planned.iter().filter(of_tensor).peekable();
        fits.peek().is_some() && fits.all(elsewhere)
    }

    /// Levels of data that no observed cell has, and that nothing else tells of.
    fn never_observed(&self, tensor: &Tensor, modes: &[String]) -> Option<Diagnostic> {
        let mask = tensor.mask.as_ref()?;
        let sizes: Vec<usize> = tensor.modes.iter().map(crate::model::Mode::size).collect();
        let mut found = data::mask::never_observed(mask, &sizes);
        found.retain(|(m, _)| !self.learns_elsewhere(&tensor.name, &modes[*m]));
        unseen_levels(tensor, mask, &found)
    }
}

/// The report on levels that no observed cell has.
fn unseen_levels(tensor: &Tensor, mask: &data::Mask, found: &[(usize, usize)]) -> Option<Diagnostic> {
    const SHOWN: usize = 8;
    let name = |(m, level): &(usize, usize)| {
        format!("`{}: {}`", tensor.modes[*m].name, tensor.modes[*m].label(*level))
    };
    let shown: Vec<String> = found.iter().take(SHOWN).map(name).collect();
    let rest = if found.len() > SHOWN { format!(" and {} more", found.len() - SHOWN) } else { String::new() };
    let span = mask.factors.first()?.span;
    let are = if found.len() == 1 { "is" } else { "are" };
    (!found.is_empty()).then(|| {
        Diagnostic::new(
            Code::MBA452,
            format!("{}{rest} {are} never observed in `{}`", shown.join(", "), tensor.name),
        )
        .at(span, "hides every cell there")
        .help("nothing is known of these levels; check the mask, or leave their mode out of the tables")
    })
}

/// Parts of a mask that hide nothing whatever the values are: mistaken levels, as a rule.
fn hides_nothing(tensor: &Tensor) -> Vec<Diagnostic> {
    let factors = tensor.mask.iter().flat_map(|m| &m.factors);
    let some = factors.filter(|f| f.scope.len() < tensor.modes.len());
    let idle = some.filter(|f| !f.observed.contains(&false));
    idle.map(|f| {
        Diagnostic::new(Code::MBA460, format!("no cell of `{}` is hidden by this", tensor.name))
            .at(f.span, "every cell is observed by it")
            .help("check the levels it names, or remove it")
    })
    .collect()
}

/// What is left out because the run was asked to end before it: fits, balances and estimates.
fn not_begun(left: &[Statement], kept: Option<&str>) -> Diagnostic {
    use StatementKind::{Balance, Estimate, Fit};
    let long = || left.iter().filter(|s| matches!(s.kind, Fit(_) | Balance(_) | Estimate(_)));
    let names: Vec<String> = long().flat_map(super::extend::declared).map(|(_, name)| name).collect();
    let verb = if names.len() == 1 { "was" } else { "were" };
    let done = if long().all(|s| matches!(s.kind, Fit(_))) { "fitted" } else { "computed" };
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

/// A number of sweeps in words.
pub fn sweeps(n: usize) -> String {
    if n == 1 { "1 sweep".into() } else { format!("{n} sweeps") }
}

/// Coefficients of which there are too many, by the names the user gave them.
fn undetermined(result: &FitResult, learned: &run::learned::Learned) -> Option<Diagnostic> {
    let set = learned.dependencies.first()?;
    let mut names: Vec<String> = set
        .iter()
        .map(|name| match name.split_once(']') {
            Some((modes, _)) if name.starts_with('[') => format!("{modes}]"),
            _ => name.clone(),
        })
        .collect();
    names.dedup();
    let shown: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
    let message = match shown.as_slice() {
        [one] => format!("`{one}` is not determined: its statistic is the same in every cell"),
        _ => format!("{} are not determined: their statistics are linearly dependent", suggest::list(&shown)),
    };
    let mut diagnostic = Diagnostic::new(Code::MBA551, message)
        .at(result.span, format!("any data leave {} of them open", learned.dependencies.len()))
        .note("the fitted distribution is right, and `parameters` and `df` count what is determined")
        .help("leave one of them out, or give it a number");
    if learned.dependencies.len() > 1 {
        diagnostic = diagnostic.note(format!("{} more such sets", learned.dependencies.len() - 1));
    }
    Some(diagnostic)
}

/// What is worth saying once a fit has ended.
pub(super) fn after(result: &FitResult, kept: Option<&str>) -> Vec<Diagnostic> {
    let fit = &result.fit;
    let ended_as = (fit.status, fit.certificate.marginal_gap, fit.iterations);
    let mut diagnostics: Vec<Diagnostic> =
        ended(&result.name, result.span, ended_as, kept).into_iter().collect();
    let gap = fit.certificate.marginal_gap;
    if fit.schedule.rank_one().is_some_and(|work| work.published) && gap > result.control.tolerance {
        diagnostics.push(
            Diagnostic::new(
                Code::MBA565,
                format!("`{}` by a1gm is not the optimum for this mask", result.name),
            )
            .at(result.span, format!("marginal gap {gap:.1e}"))
            .help("leave `by a1gm` out, unless it is what you compare with"),
        );
    }
    diagnostics.extend(open_cells(result));
    if let Some(learned) = &fit.learned {
        diagnostics.extend(undetermined(result, learned));
    }
    if results::hidden_boundary(result) {
        diagnostics.push(
            Diagnostic::new(Code::MBA513, format!("the optimum of `{}` lies on the boundary", result.name))
                .at(
                    result.span,
                    match fit.learned.iter().flat_map(|l| &l.coefficients).find(|c| c.value.is_infinite()) {
                        Some(c) => format!("some coefficients grow without end, such as `{}`", c.name),
                        None => "no marginal is zero, yet some fitted cells tend to zero".into(),
                    },
                )
                .note("some parameters are infinite; the fitted values are right within the tolerance")
                .help("`df`, `p_value` and `kl` are those of the model as written; a smaller model may be enough"),
        );
    }
    diagnostics.extend(zero_cells((&result.name, result.span), &fit.model, &fit.zero_marginals));
    diagnostics
}

/// A fit that ended before its tolerance, with the gap it had reached and after so many sweeps.
pub(super) fn ended(
    name: &str,
    span: Span,
    (status, gap, iterations): (Status, f64, usize),
    kept: Option<&str>,
) -> Option<Diagnostic> {
    let reached = || format!("marginal gap {gap:.1e} after {}", sweeps(iterations));
    match status {
        Status::Stopped => Some(
            Diagnostic::new(Code::MBA510, format!("`{name}` stopped before its tolerance"))
                .at(span, reached())
                .help(match kept {
                    Some(path) => {
                        format!("allow more with `{{ max_sweeps … }}` and go on with `--resume {path}`")
                    }
                    None => "allow more with `{ max_sweeps … }`, or accept a larger `tolerance`".into(),
                }),
        ),
        Status::Interrupted => {
            Some(Diagnostic::new(Code::MBA511, format!("`{name}` was interrupted")).at(span, reached()).help(
                match kept {
                    Some(path) => {
                        format!("its results are those of the last sweep; go on with `--resume {path}`")
                    }
                    None => "its results are those of the last sweep".into(),
                },
            ))
        }
        _ => None,
    }
}

/// Missing cells that the observed ones do not determine.
pub(super) fn open_cells(result: &FitResult) -> Option<Diagnostic> {
    let fit = &result.fit;
    let domain = fit.domain.as_ref().filter(|d| d.gaps())?;
    let (count, places) = domain.undetermined(1);
    let modes = &fit.model.modes;
    let named = |m: usize, l: usize| format!("`{}: {}`", modes[m].name, modes[m].label(l));
    let place = || -> Vec<String> {
        let place = places.first().into_iter().flatten();
        domain.modes.iter().zip(place).map(|(m, l)| named(m, *l)).collect()
    };
    let more = |n: usize| if n == 0 { String::new() } else { format!(" and {n} more") };
    let label = match domain.unseen_levels() {
        // levels that were never seen say more than one of their cells
        (levels, rest) if !levels.is_empty() => {
            let shown: Vec<String> = levels.iter().take(8).map(|(m, l)| named(*m, *l)).collect();
            let others = match rest {
                0 => String::new(),
                n => format!("; {n} more cells elsewhere"),
            };
            format!("nothing is observed of {}{}{others}", shown.join(", "), more(levels.len() - shown.len()))
        }
        _ => format!("among them {}{}", place().join(", "), more(count - 1)),
    };
    let cells = domain.count(crate::run::masked::Knowledge::Undetermined);
    let one = cells == num_bigint::BigUint::from(1u32);
    let cells = if one { "1 missing cell is".into() } else { format!("{cells} missing cells are") };
    let mut report =
        Diagnostic::new(Code::MBA563, format!("{cells} not determined by what `{}` observes", result.name))
            .at(result.span, label)
            .help("they come back as missing; see `undetermined`, use a smaller model, or add a `prior`");
    if let Some(why) = &domain.unsettled {
        report = report.note(format!("not settled: {why}"));
    }
    Some(report)
}

/// Cells of interactions without data.
pub(super) fn zero_cells(
    (name, span): (&str, Span),
    model: &crate::model::EnergyModel,
    zeros: &[run::ZeroMarginals],
) -> Option<Diagnostic> {
    let zero = zeros.first()?;
    let levels: Vec<String> = zero
        .cells
        .first()
        .map(|cell| {
            let named = zero.scope.iter().zip(cell);
            named
                .map(|(m, level)| format!("{} = {}", model.modes[m].name, model.modes[m].label(*level)))
                .collect()
        })
        .unwrap_or_default();
    let count: usize = zeros.iter().map(|z| z.count).sum();
    let cells =
        if count == 1 { "a marginal cell is".to_string() } else { format!("{count} marginal cells are") };
    Some(
        Diagnostic::new(
            Code::MBA512,
            format!("{cells} zero: the optimum of `{}` lies on the boundary", name),
        )
        .at(span, format!("no data in `{}` at {}", model.bracket(&zero.scope), levels.join(", ")))
        .note("some parameters are infinite; the fitted values are right")
        .help("see `zero_marginals`, and `df_adjusted` for degrees of freedom that discount them"),
    )
}
