//! `balance K to margins(r, c) as B`: checked before a cell is read, then solved.

mod explain;
mod kernel;

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::json;

use super::check::claim;
use super::execute::Run;
use super::{Event, Session, fit_options, told};
use crate::data::{Dense, Storage, Tensor};
use crate::model::{EnergyModel, Mode, Scope, Table};
use crate::plan;
use crate::report::archive::exact;
use crate::report::kept::{self, Other};
use crate::report::results::{self, BalanceResult, FitResult};
use crate::run::balance::{Balanced, Margin, Problem, balance};
use crate::run::{Control, Counters, Distribution, Fit, Status, Stoppable};
use crate::text::ast::{Balance, Expr, ExprKind, FitOption};
use crate::text::{Code, Diagnostic, Span, suggest};

/// Numbers that are held per cell: the kernel, the result, and what a sweep and a step work on.
const PER_CELL: u64 = 5;

/// The options of a balance.
const OPTIONS: [&str; 2] = ["tolerance", "max_sweeps"];

/// A balance statement, checked.
#[derive(Debug, Clone)]
pub struct PlannedBalance {
    /// The name of the result.
    pub name: String,
    /// The kernel as it is written.
    pub kernel: Expr,
    /// Names of the tensors whose cells are the margins, and where they stand.
    pub margins: Vec<(String, Span)>,
    /// Modes of the kernel.
    pub modes: Vec<String>,
    /// Tolerance and sweeps.
    pub control: Control,
    /// The statement.
    pub span: Span,
}

impl Session {
    /// Checks a balance statement: names, modes, options, memory.
    pub(super) fn check_balance(
        &mut self,
        statement: &Balance,
        span: Span,
        names: &mut IndexMap<String, Span>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let errors = diagnostics.len();
        let Some(name) = &statement.name else {
            diagnostics.push(
                Diagnostic::new(Code::MBA105, "a balance has no name")
                    .at(span, "what is the result called?")
                    .help("name it: `balance … to margins(…) as B`"),
            );
            return;
        };
        if let Err(twice) = claim(names, name, "give one of them another name") {
            diagnostics.push(twice);
            return;
        }
        let mut control = Control::default();
        if let Some(method) = statement.method.as_ref().filter(|m| m.name != "auto") {
            diagnostics.push(
                Diagnostic::new(Code::MBA102, format!("a balance has no method `{}`", method.name))
                    .at(method.span, "unknown method")
                    .help("leave it out: sweeps and Newton steps are chosen as needed")
                    .replace(method.span, "auto", "write `auto`"),
            );
        }
        diagnostics.extend(fit_options::repeated(&statement.options));
        for option in &statement.options {
            if !OPTIONS.contains(&option.name.name.as_str()) {
                diagnostics.push(no_option(option));
                continue;
            }
            diagnostics.extend(fit_options::apply(option, (&mut control, &mut 0), &self.declarations).err());
        }
        let margins = self.check_margins(statement, diagnostics);
        results::check(&statement.kernel, self, diagnostics);
        let kernels = kernel::tensors(&statement.kernel, self);
        if kernels.is_empty() && diagnostics.len() == errors {
            diagnostics.push(
                Diagnostic::new(Code::MBA106, "the kernel of a balance has no tensor in it")
                    .at(statement.kernel.span, "over which modes?")
                    .help("write a tensor, or `exp(-cost / eps)` for a tensor `cost`"),
            );
        }
        let mut modes: Vec<String> = Vec::new();
        for (tensor, _) in &kernels {
            for mode in self.bound.get(tensor).map(|b| b.modes.as_slice()).unwrap_or_default() {
                if !modes.contains(mode) {
                    modes.push(mode.clone());
                }
            }
        }
        for (tensor, place) in &margins {
            let own = self.bound.get(tensor).map(|b| b.modes.as_slice()).unwrap_or_default();
            let extra: Vec<&str> = own.iter().filter(|m| !modes.contains(m)).map(String::as_str).collect();
            if !extra.is_empty() && !modes.is_empty() {
                diagnostics.push(
                    Diagnostic::new(
                        Code::MBA225,
                        format!("the margin `{tensor}` has modes that the kernel lacks"),
                    )
                    .at(*place, format!("the kernel has no {}", suggest::list(&extra)))
                    .help(format!("the modes of the kernel are {}", suggest::list(&modes))),
                );
            }
        }
        let cells = modes
            .iter()
            .map(|m| self.known.get(m).map_or(1, |m| m.size() as u64))
            .try_fold(1u64, u64::checked_mul);
        let bytes = cells.and_then(|c| c.checked_mul(8 * PER_CELL));
        if bytes.is_none_or(|b| b > self.options.memory) {
            diagnostics.push(
                Diagnostic::new(Code::MBA501, format!("`{}` needs more memory than it may use", name.name))
                    .at(
                        statement.kernel.span,
                        format!("{PER_CELL} numbers for every cell over {}", suggest::list(&modes)),
                    )
                    .help("allow more with `--memory`, or balance a marginal of the kernel"),
            );
        }
        // the name is known even when the statement is wrong, so that nothing else is reported for it
        self.balances.push(PlannedBalance {
            name: name.name.clone(),
            kernel: statement.kernel.clone(),
            margins: if diagnostics.len() == errors { margins } else { Vec::new() },
            modes,
            control,
            span,
        });
    }

    fn check_margins(&self, statement: &Balance, diagnostics: &mut Vec<Diagnostic>) -> Vec<(String, Span)> {
        let call = &statement.margins;
        if call.name.name != "margins" {
            diagnostics.push(
                Diagnostic::new(Code::MBA102, format!("a tensor cannot be balanced to `{}`", call.name.name))
                    .at(call.name.span, "unknown target")
                    .help("write `margins(r, c)`")
                    .replace(call.name.span, "margins", "write `margins`"),
            );
        }
        if call.arguments.is_empty() {
            diagnostics.push(
                Diagnostic::new(Code::MBA105, "there are no margins")
                    .at(call.span, "here")
                    .help("name the tensors whose cells are the margins: `margins(r, c)`"),
            );
        }
        let mut margins = Vec::new();
        for argument in &call.arguments {
            let ExprKind::Name(tensor) = &argument.value.kind else {
                diagnostics.push(
                    Diagnostic::new(Code::MBA106, "a margin is a tensor")
                        .at(argument.value.span, "not the name of a tensor")
                        .help("declare it: `data r[a] = …`"),
                );
                continue;
            };
            match self.declarations.tensor(tensor, argument.value.span) {
                Ok(_) => margins.push((tensor.clone(), argument.value.span)),
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
        }
        margins
    }

    /// Balances, and tells what came of it.
    pub(super) fn run_balance(&mut self, planned: &PlannedBalance, run: &mut Run) {
        if planned.margins.is_empty() {
            return;
        }
        match self.balanced(planned, run) {
            Ok(result) => {
                run.sink.event(Event::Fit(&result.fit, result.fit.seconds), &self.sources);
                self.tell_all(after(&result), run);
                if matches!(result.balanced.status, Status::Stopped | Status::Interrupted) {
                    run.outcome.fail();
                }
                self.balanced_results.insert(planned.name.clone(), result);
            }
            Err(list) => self.tell_all(list, run),
        }
    }

    fn balanced(&self, planned: &PlannedBalance, run: &mut Run) -> Result<BalanceResult, Vec<Diagnostic>> {
        let started = run.host.seconds();
        for (name, _) in kernel::tensors(&planned.kernel, self) {
            if self.read_tensor(&name)?.mask.is_some() {
                return Err(vec![crate::model::unsupported(
                    "balancing data with missing cells",
                    planned.span,
                )]);
            }
        }
        let modes: Vec<Mode> = planned.modes.iter().filter_map(|m| self.known.get(m).cloned()).collect();
        let shape =
            kernel::Shape { modes: planned.modes.clone(), sizes: modes.iter().map(Mode::size).collect() };
        let log_kernel = kernel::log_kernel(&planned.kernel, &shape, self).map_err(|(diagnostic, at)| {
            vec![match at {
                Some(at) => diagnostic.note(format!("at {}", place(&modes, &shape.sizes, at))),
                None => diagnostic,
            }]
        })?;
        let mut margins = Vec::new();
        for (name, span) in &planned.margins {
            let tensor = self.read_tensor(name)?;
            if tensor.mask.is_some() {
                return Err(vec![crate::model::unsupported(
                    "balancing data with missing cells",
                    planned.span,
                )]);
            }
            let places = results::places(&tensor, &modes).ok_or_else(|| {
                vec![
                    Diagnostic::new(Code::MBA225, format!("`{name}` has other modes"))
                        .at(*span, "this margin"),
                ]
            })?;
            let scope: Scope = places.iter().copied().collect();
            let sizes: Vec<usize> = scope.iter().filter_map(|m| shape.sizes.get(m)).copied().collect();
            let mut target = vec![0.0; sizes.iter().product()];
            let mut cell = vec![0; sizes.len()];
            tensor.each_cell(|levels, x| {
                for (level, place) in levels.iter().zip(&places) {
                    if let Some(slot) = scope.position(*place).and_then(|axis| cell.get_mut(axis)) {
                        *slot = *level;
                    }
                }
                target[cell.iter().zip(&sizes).fold(0, |k, (i, n)| k * n + i)] = x;
            });
            margins.push(Margin { scope, target });
        }
        let total = margins.first().map_or(0.0, |m| m.target.iter().sum());
        let scopes: Vec<Scope> = margins.iter().map(|m| m.scope.clone()).collect();
        let problem = Problem { shape: shape.sizes.clone(), log_kernel, margins };
        let key = run.checkpoint.is_some().then(|| digest(&problem, planned));
        if let (Some(checkpoint), Some(key)) = (&run.checkpoint, &key) {
            let known = checkpoint.other(&planned.name, key, planned.span).map_err(|d| vec![d])?;
            if let Some((Other::Balance(solved), seconds)) = known.filter(|(o, _)| kept::belongs(o, &modes)) {
                run.sink.event(Event::Resumed(&planned.name, solved.iterations, true), &self.sources);
                let mut result = self.result(planned, modes, solved, scopes, total)?;
                result.fit.seconds = seconds;
                return Ok(result);
            }
        }
        let solved = {
            let inner = run.sink.observer(&planned.name, planned.control.tolerance);
            let mut observer = Stoppable { inner, stop: self.options.stop.clone() };
            balance(&problem, &planned.control, &mut observer)
        };
        let solved = Arc::new(solved.map_err(|why| vec![explain::explain(&why, planned, &modes, &scopes)])?);
        let seconds = run.host.seconds() - started;
        let done = !matches!(solved.status, Status::Stopped | Status::Interrupted);
        if let (Some(checkpoint), Some(key), true) = (&mut run.checkpoint, key, done) {
            checkpoint.other_done(&planned.name, key, Other::Balance(Arc::clone(&solved)), seconds);
        }
        let mut result = self.result(planned, modes, solved, scopes, total)?;
        result.fit.seconds = seconds;
        Ok(result)
    }

    /// The result of a balance, from its solution.
    pub(super) fn result(
        &self,
        planned: &PlannedBalance,
        modes: Vec<Mode>,
        solved: Arc<Balanced>,
        margins: Vec<Scope>,
        total: f64,
    ) -> Result<BalanceResult, Vec<Diagnostic>> {
        let sizes: Vec<usize> = modes.iter().map(Mode::size).collect();
        let all = Scope::all(modes.len());
        let table = Table { scope: all, shape: sizes.clone(), values: solved.values.clone() };
        let names: Vec<&str> = planned.margins.iter().map(|(n, _)| n.as_str()).collect();
        let cells: Vec<f64> = solved.values.iter().map(|b| b * total).collect();
        let tensor = Tensor {
            name: format!("margins({})", names.join(", ")),
            modes: modes.clone(),
            storage: Arc::new(Storage::Dense(Dense::row_major(sizes, cells))),
            total,
            counts: false,
            mask: None,
        };
        let model = EnergyModel { name: planned.name.clone(), modes: modes.clone(), ..EnergyModel::empty() };
        let schedule = plan::compile_fixed(
            &model,
            &plan::Options { memory: self.options.memory, ..Default::default() },
        )?;
        let distribution = Distribution::of_table(modes, table);
        let fit = Fit {
            model: Arc::new(model),
            schedule: Arc::new(schedule),
            status: solved.status,
            iterations: solved.iterations,
            certificate: solved.certificate.clone(),
            total,
            kl: solved.kl,
            data_entropy: distribution.entropy(),
            distribution,
            counters: Counters::default(),
            zero_marginals: Vec::new(),
            mass: total,
            domain: None,
            learned: None,
        };
        let fit = FitResult {
            name: planned.name.clone(),
            fit: Arc::new(fit),
            tensor: Arc::new(tensor),
            joint: None,
            held_out: None,
            control: planned.control,
            memory: self.options.memory,
            seconds: 0.0,
            span: planned.span,
        };
        Ok(BalanceResult { fit, balanced: solved, margins })
    }
}

/// The report on an option that only fits have, or nothing has.
fn no_option(option: &FitOption) -> Diagnostic {
    let (name, at) = (&option.name.name, option.name.span);
    let report = Diagnostic::new(Code::MBA102, format!("a balance has no option `{name}`"));
    suggest::instead(report, (name, at), OPTIONS, ("option", ""), || {
        format!("the options are {}", suggest::list(&OPTIONS))
    })
}

/// A digest of all that a balance is computed from.
fn digest(problem: &Problem, planned: &PlannedBalance) -> String {
    let Problem { shape, log_kernel, margins } = problem;
    let Control { tolerance, max_sweeps, acceleration } = planned.control;
    let scopes: Vec<Vec<usize>> = margins.iter().map(|m| m.scope.iter().collect()).collect();
    let what = json!({
        "shape": shape,
        "margins": scopes,
        "tolerance": exact(tolerance),
        "max_sweeps": max_sweeps,
        "acceleration": acceleration,
    });
    kept::digest(
        &what,
        [log_kernel.as_slice()].into_iter().chain(margins.iter().map(|m| m.target.as_slice())),
    )
}

/// What is worth saying once a balance has ended.
fn after(result: &BalanceResult) -> Vec<Diagnostic> {
    if result.balanced.status != Status::Boundary {
        return told::after(&result.fit, None);
    }
    let found =
        Diagnostic::new(Code::MBA513, format!("the optimum of `{}` lies on the boundary", result.fit.name));
    let cells = match result.balanced.cut {
        0 => "some cells where the kernel is positive tend to zero".to_string(),
        1 => "1 cell where the kernel is positive has to be zero".to_string(),
        n => format!("{n} cells where the kernel is positive have to be zero"),
    };
    vec![
        found
            .at(result.fit.span, cells)
            .note("no scaling of the whole kernel has these margins; the result does, and is the closest that does")
            .help("if every cell should stay positive, change the margins"),
    ]
}

/// A cell by the names of its levels.
fn place(modes: &[Mode], sizes: &[usize], mut flat: usize) -> String {
    let mut parts = Vec::with_capacity(sizes.len());
    for (mode, size) in modes.iter().zip(sizes).rev() {
        parts.push(format!("{} = {}", mode.name, mode.label(flat % size)));
        flat /= size;
    }
    parts.reverse();
    parts.join(", ")
}
