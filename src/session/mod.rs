//! A program from its text to its results: owns every stage, and is cheap to clone.
//!
//! ```text
//! load ─▶ declarations ─▶ headers, levels ─▶ models ─▶ schedules     all checked before a cell is read
//!                                                        └─▶ run: the verbs in text order, told to a [`Sink`]
//! ```

mod balancing;
mod bind;
mod cells;
mod check;
mod checkpoint;
pub mod complete;
mod ensembles;
mod estimate;
mod execute;
mod expectations;
mod extend;
mod fit_options;
mod fitting;
mod hold_out;
mod joint;
mod lean;
mod levels;
pub mod library;
mod load;
mod masks;
mod pictures;
mod program;
pub mod prompt;
mod saved;
pub mod snapshot;
mod tables;
pub mod testing;
mod told;
pub mod topics;

pub use balancing::PlannedBalance;
pub use bind::{Bound, Origin};
pub use checkpoint::Keeping;
pub use ensembles::Forward;
pub use estimate::{Estimated, estimators, options as estimate_options};
pub use joint::{PlannedJoint, PlannedMember};
pub use load::Unit;
pub use masks::MaskPart;
pub use prompt::Prompt;
pub use told::sweeps;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use num_bigint::BigUint;

use crate::data::{Content, Tensor};
use crate::model::declarations::{Declarations, Setting};
use crate::model::elaborate::KnownModes;
use crate::model::{EnergyModel, Mode, Scope};
use crate::plan::{self, Schedule};
use crate::report::results::{
    BalanceResult, Curve, Environment, EstimateResult, FitResult, JointResult, LAST, Object,
};
use crate::report::value::Value;
use crate::run::Ensemble;
use crate::run::{Limits, Observer, Patience, Stop};
use crate::text::ast::{Call, Ident};
use crate::text::ast::{Statement, StatementKind};
use crate::text::codes::Blame;
use crate::text::{Code, Diagnostic, Sources, Span, parse_expression};

/// What a program needs from the outside. The rest of the library knows no files and no clocks.
pub trait Host {
    /// The content of a file, or of standard input for `-`.
    fn open(&self, path: &str) -> std::io::Result<Content>;
    /// A whole file as UTF-8.
    fn read_text(&self, path: &str) -> std::io::Result<String>;
    /// The path of `written`, as it is written in the file `from`.
    fn beside(&self, from: &str, written: &str) -> String;
    /// Writes a file so that it is either the old one or the new one, never a part.
    fn write(&self, path: &str, bytes: &[u8]) -> std::io::Result<()>;
    /// Seconds since some moment.
    fn seconds(&self) -> f64;
    /// The names in a folder, those of folders with a slash at the end; for completion.
    fn list(&self, folder: &str) -> Vec<String> {
        let _ = folder;
        Vec::new()
    }
}

/// How a program is to be read and run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Values for params, as text: `("L", "12")`.
    pub settings: Vec<(String, String)>,
    /// Memory budget in bytes. It only refuses.
    pub memory: u64,
    /// The seed of everything random that names none.
    pub seed: u64,
    /// Codes by what they are to be: off, a warning, an error.
    pub levels: HashMap<Code, Level>,
    /// Whether every warning is an error.
    pub deny_warnings: bool,
    /// How to ask a run to end: the fit that runs ends at its next sweep, the others do not begin.
    pub stop: Stop,
    /// Whether and where the run is kept, so that it can go on later.
    pub keeping: Keeping,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Vec::new(),
            memory: plan::Options::default().memory,
            seed: 0,
            levels: HashMap::new(),
            deny_warnings: false,
            stop: Stop::default(),
            keeping: Keeping::default(),
        }
    }
}

/// What a code is made to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Not reported.
    Allow,
    /// Reported as a warning.
    Warn,
    /// Reported as an error.
    Deny,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TestOutcome {
    /// The name in quotes.
    pub name: String,
    /// What went wrong; empty when it passed.
    pub failures: Vec<Diagnostic>,
    /// Snapshots named in the test that do not exist yet.
    pub new_snapshots: usize,
    /// Snapshots of the test that could be taken, in the order of the text.
    pub seen: Vec<snapshot::Seen>,
    /// Whether a fit that it looks at was interrupted.
    pub interrupted: bool,
}

/// Something that happened while a program ran.
#[derive(Debug)]
pub enum Event<'a> {
    /// A diagnostic, its level already settled.
    Diagnostic(&'a Diagnostic),
    /// A fit has ended.
    Fit(&'a FitResult, f64),
    /// A fit to several tensors has ended.
    Joint(&'a JointResult, f64),
    /// A saved fit was loaded, from this path.
    Loaded(&'a FitResult, &'a str),
    /// A saved fit to several tensors was loaded, from this path.
    LoadedJoint(&'a JointResult, &'a str),
    /// A fit goes on, or is taken, from a checkpoint: its name, the sweeps made, whether it is done.
    Resumed(&'a str, usize, bool),
    /// A value to show, under its expression.
    Show(&'a str, &'a Value),
    /// A file was written.
    Saved(&'a str),
    /// A test has ended.
    Test(&'a TestOutcome),
}

/// Hears what happens.
pub trait Sink {
    /// Called for each event, in order.
    fn event(&mut self, event: Event<'_>, sources: &Sources);
    /// Called around each fit, for progress and interruption.
    fn observer(&mut self, fit: &str, tolerance: f64) -> Box<dyn Observer + '_>;
}

/// What an exit status is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    program: bool,
    outcome: bool,
    defect: bool,
}

impl Outcome {
    /// Counts a diagnostic.
    pub fn count(&mut self, diagnostic: &Diagnostic) {
        if diagnostic.is_error() {
            match diagnostic.code.blame() {
                Blame::Program => self.program = true,
                Blame::Outcome => self.outcome = true,
                Blame::Defect => self.defect = true,
            }
        }
    }

    /// Something wrong with a program or a file.
    pub fn of_program() -> Self {
        Self { program: true, ..Self::default() }
    }

    /// Counts a fit that stopped or a test that failed.
    pub fn fail(&mut self) {
        self.outcome = true;
    }

    /// Whether nothing went wrong.
    pub fn is_ok(self) -> bool {
        self == Self::default()
    }

    /// The exit status: 70 for a defect, 3 for the program, 1 for an outcome, 0.
    pub fn status(self) -> u8 {
        match self {
            Outcome { defect: true, .. } => 70,
            Outcome { program: true, .. } => 3,
            Outcome { outcome: true, .. } => 1,
            _ => 0,
        }
    }
}

/// A fit statement, planned; or a fit that is loaded, which has no data and no schedule.
#[derive(Debug, Clone)]
pub struct PlannedFit {
    /// The name of the result.
    pub name: String,
    /// The data.
    pub tensor: String,
    /// The model over the modes of the data.
    pub model: Arc<EnergyModel>,
    /// The schedule; none when there was no plan to be had.
    pub schedule: Option<Arc<Schedule>>,
    /// The model that its prior leans to.
    pub prior: Option<Arc<lean::Lean>>,
    /// What is planned when it is a fit to several tensors; then `tensor` names them all, with their weights.
    pub joint: Option<Arc<joint::PlannedJoint>>,
    /// Cells that are kept from it.
    pub hold_out: Option<Arc<hold_out::HoldOut>>,
    /// Tolerance, sweeps, acceleration.
    pub control: crate::run::Control,
    /// The seed of what is random in it: that of the run where it names none.
    pub seed: u64,
    /// The statement.
    pub span: Span,
}

impl PlannedFit {
    /// Whether something in it is predicted to be large enough for several threads to share. What is not predicted
    /// may be.
    pub fn shares(&self) -> bool {
        self.joint.is_some() || self.schedule.as_ref().is_none_or(|s| s.shares())
    }

    /// Parameters and degrees of freedom were every cell observed; none for a joint fit where they are not counted.
    pub fn size(&self) -> Option<(BigUint, BigUint)> {
        let Some(work) = self.schedule.as_ref().and_then(|s| s.together()) else {
            return Some((plan::parameters(&self.model), plan::degrees_of_freedom(&self.model)));
        };
        let rank = work.dimension.clone()?;
        let cells: BigUint = work.parts.iter().map(|p| self.model.cells(&p.modes)).sum();
        let df = if cells > rank { &cells - &rank } else { BigUint::default() };
        Some((rank - BigUint::from(work.parts.len()), df))
    }

    /// The free tables that it fits, none inside another unless that counts.
    pub fn tables(&self) -> Vec<Scope> {
        let Some(work) = self.schedule.as_ref().and_then(|s| s.together()) else {
            return plan::hypergraph::maximal(&self.model.free_scopes());
        };
        let mut tables: Vec<Scope> = Vec::new();
        for table in work.parts.iter().flat_map(|p| &p.tables) {
            if !tables.contains(table) {
                tables.push(table.clone());
            }
        }
        tables
    }
}

/// A program and everything known of it.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Every text read.
    pub sources: Sources,
    /// The texts in the order they were read, the main one first.
    pub units: Vec<Unit>,
    /// What they declare.
    pub declarations: Arc<Declarations>,
    /// Tensors, their headers read.
    pub bound: IndexMap<String, Bound>,
    /// Modes whose levels are known.
    pub known: Arc<KnownModes>,
    /// Fits, in text order.
    pub planned: Vec<PlannedFit>,
    /// Sweeps, in text order.
    pub sweeps: IndexMap<String, Curve>,
    /// Values given for params from outside.
    settings: Vec<Setting>,
    /// Models that were asked for as distributions, by what was asked.
    ensembles: RefCell<HashMap<String, Ensemble>>,
    options: Options,
    /// How long exact sums go on.
    patience: Patience,
    /// Fits that were saved, by the name they are loaded under.
    saved: IndexMap<String, saved::Saved>,
    results: IndexMap<String, FitResult>,
    joint_results: IndexMap<String, JointResult>,
    /// Balance statements, in text order.
    balances: Vec<PlannedBalance>,
    balanced_results: IndexMap<String, BalanceResult>,
    estimates: IndexMap<String, EstimateResult>,
    tensors: RefCell<IndexMap<String, Result<Arc<Tensor>, Vec<Diagnostic>>>>,
    /// What was noticed while reading and has not been told yet.
    notices: RefCell<Vec<Diagnostic>>,
    /// What `_` stands for at a prompt.
    last: Option<Object>,
}

impl Session {
    /// One in which nothing is declared.
    fn with(options: Options) -> Session {
        Session { patience: Patience::new(options.stop.clone()), options, ..Session::default() }
    }

    /// What exact sums may take.
    fn limits(&self) -> Limits {
        Limits { memory: self.options.memory, patience: self.patience.clone() }
    }

    /// Reads a program and checks everything that can be known before a cell is read.
    ///
    /// The diagnostics are complete and in text order, with lint levels applied; the session is
    /// usable as far as the program is right.
    pub fn load(path: &str, text: &str, options: Options, host: &dyn Host) -> (Session, Vec<Diagnostic>) {
        let mut session = Session::with(options);
        let mut diagnostics = Vec::new();
        let settings = session.settings(&mut diagnostics);
        let (units, syntax) = load::load(path, text, &mut session.sources, host);
        diagnostics.extend(syntax);
        session.units = units;
        let tables = tables::tables(&session.units, host);
        let (declarations, found) =
            Declarations::collect_with(session.units.iter().map(|u| &*u.program), &settings, tables);
        diagnostics.extend(found);
        session.declarations = Arc::new(declarations);
        session.settings = settings;
        let paths = session.paths();
        let (bound, known, found) = bind::bind(&session.declarations, &paths, &IndexMap::new(), host);
        diagnostics.extend(found);
        session.bound = bound;
        session.known = Arc::new(known);
        session.open_saved(host);
        session.check(&mut diagnostics);
        let diagnostics = session.settle(diagnostics);
        (session, diagnostics)
    }

    /// For each tensor the file that declares it, which relative paths start from.
    fn paths(&self) -> HashMap<String, String> {
        let mut paths = HashMap::new();
        for unit in &self.units {
            for statement in &unit.program.statements {
                if let StatementKind::Data(data) = &statement.kind {
                    paths.entry(data.name.name.clone()).or_insert_with(|| unit.path.clone());
                }
            }
        }
        paths
    }

    /// The main program.
    fn main(&self) -> &[Statement] {
        self.units.first().map_or(&[], |u| &u.program.statements)
    }

    fn settings(&mut self, diagnostics: &mut Vec<Diagnostic>) -> Vec<Setting> {
        let mut settings = Vec::new();
        for (name, value) in &self.options.settings {
            let source = self.sources.add(format!("--set {name}"), value.as_str());
            match parse_expression(source, value) {
                Ok(expr) => settings.push((name.clone(), expr)),
                Err(list) => diagnostics.extend(list),
            }
        }
        settings
    }
}

impl Environment for Session {
    fn fit(&self, name: &str) -> Option<FitResult> {
        match &self.last {
            Some(Object::Fit(fit)) if name == LAST => Some((**fit).clone()),
            _ => self.results.get(name).cloned(),
        }
    }
    fn joint(&self, name: &str) -> Option<JointResult> {
        self.joint_results.get(name).cloned()
    }
    fn tensors_of(&self, joint: &str) -> Option<Vec<String>> {
        let planned = self.planned.iter().find(|p| p.name == joint)?;
        planned.joint.as_ref().map(|joint| joint.names.clone())
    }
    fn modes_of_tensor(&self, tensor: &str) -> Option<Vec<Mode>> {
        self.bound.get(tensor)?.modes.iter().map(|m| self.known.get(m).cloned()).collect()
    }
    fn balanced(&self, name: &str) -> Option<BalanceResult> {
        self.balanced_results.get(name).cloned()
    }
    fn balance_names(&self) -> Vec<String> {
        self.balances.iter().map(|b| b.name.clone()).collect()
    }
    fn fit_names(&self) -> Vec<String> {
        self.planned.iter().map(|p| p.name.clone()).collect()
    }
    fn tensor(&self, name: &str, span: Span) -> Result<Arc<Tensor>, Diagnostic> {
        self.declarations.tensor(name, span)?;
        self.read_tensor(name).map_err(|mut list| {
            list.pop().unwrap_or_else(|| {
                Diagnostic::new(Code::MBA505, format!("`{name}` could not be read")).at(span, "needed here")
            })
        })
    }
    fn tensor_names(&self) -> Vec<String> {
        self.declarations.tensors.keys().cloned().collect()
    }
    fn param(&self, name: &str) -> Option<crate::model::constant::Constant> {
        self.declarations.params.get(name).map(|p| p.value.clone())
    }
    fn param_names(&self) -> Vec<String> {
        self.declarations.params.keys().cloned().collect()
    }
    fn modes_of(&self, fit: &str) -> Option<Vec<Mode>> {
        let planned = self.planned.iter().find(|p| p.name == fit)?;
        (!planned.model.modes.is_empty()).then(|| planned.model.modes.clone())
    }
    fn seed(&self) -> u64 {
        self.options.seed
    }
    fn last(&self) -> Option<Object> {
        self.last.clone()
    }
    fn model_names(&self) -> Vec<String> {
        self.declarations.models.keys().cloned().collect()
    }
    fn ensemble(&self, model: &Call, settings: &[(Ident, f64)]) -> Result<Ensemble, Diagnostic> {
        self.ensemble_of(model, settings)
    }
    fn curve(&self, name: &str) -> Option<Curve> {
        self.curve_by_name(name)
    }
    fn curve_names(&self) -> Vec<String> {
        self.sweeps.keys().cloned().collect()
    }
    fn limits(&self) -> Limits {
        self.limits()
    }
    fn stop(&self) -> Stop {
        self.options.stop.clone()
    }
    fn estimate(&self, name: &str) -> Option<EstimateResult> {
        self.estimates.get(name).cloned()
    }
    fn estimate_names(&self) -> Vec<String> {
        let of = |s: &Statement| match &s.kind {
            StatementKind::Estimate(e) => e.name.as_ref().map(|n| n.name.clone()),
            _ => None,
        };
        let made = self.main().iter().filter_map(of).chain(self.estimates.keys().cloned());
        made.chain(self.loaded_estimates().cloned()).collect()
    }
}
