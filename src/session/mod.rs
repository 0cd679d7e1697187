//! A program from its text to its results: owns every stage, and is cheap to clone.
//!
//! ```text
//! load ─▶ declarations ─▶ headers, levels ─▶ models ─▶ schedules     all checked before a cell is read
//!                                                        └─▶ run: the verbs in text order, told to a [`Sink`]
//! ```

mod bind;
mod execute;
mod expectations;
pub mod library;
mod load;
pub mod snapshot;

pub use bind::{Bound, Origin};
pub use load::Unit;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::data::{Content, Tensor};
use crate::model::declarations::{Declarations, Setting};
use crate::model::elaborate::KnownModes;
use crate::model::{EnergyModel, elaborate, lint};
use crate::plan::{self, Schedule};
use crate::report::results::{self, Environment, FitResult};
use crate::report::value::Value;
use crate::run::Observer;
use crate::text::ast::{Comment, Fit, Statement, StatementKind, TestItemKind};
use crate::text::codes::Blame;
use crate::text::{Code, Diagnostic, Severity, Sources, Span, parse_expression, suggest};

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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settings: Vec::new(),
            memory: plan::Options::default().memory,
            seed: 0,
            levels: HashMap::new(),
            deny_warnings: false,
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
#[derive(Debug, Clone, PartialEq)]
pub struct TestOutcome {
    /// The name in quotes.
    pub name: String,
    /// What went wrong; empty when it passed.
    pub failures: Vec<Diagnostic>,
    /// Snapshots named in the test that do not exist yet.
    pub new_snapshots: usize,
}

/// Something that happened while a program ran.
#[derive(Debug)]
pub enum Event<'a> {
    /// A diagnostic, its level already settled.
    Diagnostic(&'a Diagnostic),
    /// A fit has ended.
    Fit(&'a FitResult, f64),
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

/// A fit statement, planned.
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
    /// Tolerance, sweeps, acceleration.
    pub control: crate::run::Control,
    /// The statement.
    pub span: Span,
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
    options: Options,
    results: IndexMap<String, FitResult>,
    tensors: RefCell<IndexMap<String, Result<Arc<Tensor>, Vec<Diagnostic>>>>,
}

impl Session {
    /// Reads a program and checks everything that can be known before a cell is read.
    ///
    /// The diagnostics are complete and in text order, with lint levels applied; the session is
    /// usable as far as the program is right.
    pub fn load(path: &str, text: &str, options: Options, host: &dyn Host) -> (Session, Vec<Diagnostic>) {
        let mut session = Session { options, ..Session::default() };
        let mut diagnostics = Vec::new();
        let settings = session.settings(&mut diagnostics);
        let (units, syntax) = load::load(path, text, &mut session.sources, host);
        diagnostics.extend(syntax);
        session.units = units;
        let (declarations, found) =
            Declarations::collect(session.units.iter().map(|u| &*u.program), &settings);
        diagnostics.extend(found);
        session.declarations = Arc::new(declarations);
        let mut paths = HashMap::new();
        for unit in &session.units {
            for statement in &unit.program.statements {
                if let StatementKind::Data(data) = &statement.kind {
                    paths.entry(data.name.name.clone()).or_insert_with(|| unit.path.clone());
                }
            }
        }
        let (bound, known, found) = bind::bind(&session.declarations, &paths, host);
        diagnostics.extend(found);
        session.bound = bound;
        session.known = Arc::new(known);
        session.check(&mut diagnostics);
        let diagnostics = session.settle(diagnostics);
        (session, diagnostics)
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

    // ------------------------------------------------------------ before anything runs

    fn check(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        self.check_models(diagnostics);
        let mut names: IndexMap<String, Span> = IndexMap::new();
        let statements: Vec<Statement> = self.main().to_vec();
        for statement in &statements {
            match &statement.kind {
                StatementKind::Fit(fit) => self.check_fit(fit, statement.span, &mut names, diagnostics),
                StatementKind::Show(list) => {
                    list.iter().for_each(|e| results::check(e, self, diagnostics));
                }
                StatementKind::Save { value, path } => {
                    results::check(value, self, diagnostics);
                    diagnostics.extend(execute::check_path(path));
                }
                StatementKind::Plot { values, .. } => {
                    values.iter().for_each(|e| results::check(e, self, diagnostics));
                    diagnostics.push(
                        Diagnostic::new(Code::MBA391, "plots are not drawn by this version")
                            .at(statement.span, "skipped")
                            .help("`show` prints the numbers; everything else runs"),
                    );
                }
                StatementKind::Test(test) => {
                    for item in &test.items {
                        match &item.kind {
                            TestItemKind::Expect { condition, within } => {
                                expectations::check(condition, within.as_ref(), self, diagnostics);
                            }
                            TestItemKind::Snapshot { value, .. } => results::check(value, self, diagnostics),
                            TestItemKind::ExpectError { code, .. } => {
                                diagnostics.extend(expectations::code(code).err());
                            }
                        }
                    }
                }
                StatementKind::Balance(_) => {
                    diagnostics.push(crate::model::unsupported("`balance`", statement.span));
                }
                StatementKind::Sweep(_) => {
                    diagnostics.push(crate::model::unsupported("`sweep`", statement.span));
                }
                StatementKind::Mode(_)
                | StatementKind::Param(_)
                | StatementKind::Data(_)
                | StatementKind::Use(_)
                | StatementKind::Model(_) => {}
            }
        }
        self.check_samples(diagnostics);
        self.lint_unused_modes(diagnostics);
    }

    /// Models that nothing is fitted to are elaborated all the same, for the mistakes in them.
    fn check_models(&self, diagnostics: &mut Vec<Diagnostic>) {
        let fitted: Vec<&str> = self
            .main()
            .iter()
            .filter_map(|s| match &s.kind {
                StatementKind::Fit(fit) => Some(fit.model.name.name.as_str()),
                _ => None,
            })
            .collect();
        for (name, entry) in &self.declarations.models {
            if entry.is_template() {
                diagnostics.extend(self.check_template(entry));
            } else if !fitted.contains(&name.as_str()) {
                let span = self.any_span(entry);
                let (model, found) = elaborate(&self.declarations, &self.known, entry, None, span.as_deref());
                diagnostics.extend(found);
                // what a model lacks can only be said once its modes are known
                let settled = span.is_some() || elaborate::spans_its_own(entry);
                if let (Some(model), true) = (model, settled) {
                    diagnostics.extend(lint::lint(&model, &entry.declaration));
                }
            }
        }
    }

    /// The modes to check an unused model over: those of the only tensor, when there is one.
    fn any_span(&self, entry: &crate::model::declarations::ModelEntry) -> Option<Vec<String>> {
        if elaborate::spans_its_own(entry) {
            return None;
        }
        match self.bound.values().collect::<Vec<_>>().as_slice() {
            [only] => Some(only.modes.clone()),
            _ => None,
        }
    }

    /// A template is checked for the names that no argument can bring in.
    fn check_template(&self, entry: &crate::model::declarations::ModelEntry) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        let params: Vec<&str> =
            entry.declaration.params.iter().flatten().map(|p| p.name.name.as_str()).collect();
        for (position, name) in params.iter().enumerate() {
            if params[..position].contains(name)
                && let Some(param) = entry.declaration.params.iter().flatten().nth(position)
            {
                diagnostics.push(
                    Diagnostic::new(Code::MBA103, format!("parameter `{name}` is declared twice"))
                        .at(param.name.span, "declared again")
                        .help("rename one of them"),
                );
            }
        }
        for item in &entry.declaration.items {
            if let crate::text::ast::ModelItemKind::Family { call, .. } = &item.kind {
                let name = &call.name.name;
                let family = crate::model::family::Family::find(name).is_some();
                if !family && !self.declarations.models.contains_key(name) {
                    let names = crate::model::family::FAMILIES.iter().map(|f| f.name);
                    let near = suggest::nearest(
                        name,
                        names.chain(self.declarations.models.keys().map(String::as_str)),
                    );
                    let help = format!("declare it: `model {name}(…)`");
                    diagnostics.push(crate::model::declarations::unknown(
                        "family",
                        name,
                        call.name.span,
                        near,
                        help,
                    ));
                }
            }
        }
        diagnostics
    }

    fn check_fit(
        &mut self,
        fit: &Fit,
        span: Span,
        names: &mut IndexMap<String, Span>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let name = fit.name.as_ref().unwrap_or(&fit.model.name);
        if let Some(first) = names.get(&name.name) {
            diagnostics.push(
                Diagnostic::new(Code::MBA103, format!("there are two fits called `{}`", name.name))
                    .at(name.span, "the second one")
                    .at(*first, "the first one")
                    .help(format!("name it: `fit {} to … as other`", fit.model.name.name)),
            );
            return;
        }
        names.insert(name.name.clone(), name.span);
        let (control, options) = execute::control(fit, &self.declarations);
        diagnostics.extend(options);
        let mut planned = PlannedFit {
            name: name.name.clone(),
            tensor: String::new(),
            model: Arc::new(EnergyModel {
                name: String::new(),
                modes: Vec::new(),
                latent: Default::default(),
                interactions: Vec::new(),
                support: Vec::new(),
                temperature: 1.0,
                algebra: Default::default(),
            }),
            schedule: None,
            control,
            span,
        };
        let entry = self.declarations.model(&fit.model.name.name, fit.model.name.span).cloned();
        let target = fit.targets.first().map(|(ident, _)| ident.clone());
        let mut tensor = None;
        if let Some(target) = &target {
            match self.declarations.tensor(&target.name, target.span) {
                Ok(_) => tensor = self.bound.get(&target.name).cloned(),
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
            planned.tensor = target.name.clone();
        }
        match (entry, tensor) {
            (Err(diagnostic), _) => diagnostics.push(diagnostic),
            (Ok(entry), Some(tensor)) => {
                let (model, found) =
                    elaborate(&self.declarations, &self.known, &entry, Some(&fit.model), Some(&tensor.modes));
                diagnostics.extend(found);
                if let Some(model) = model {
                    let extra: Vec<&str> = tensor
                        .modes
                        .iter()
                        .filter(|m| !model.modes.iter().any(|own| &own.name == *m))
                        .map(String::as_str)
                        .collect();
                    let lacking: Vec<&str> = model
                        .modes
                        .iter()
                        .enumerate()
                        .filter(|(i, m)| !model.latent.contains(*i) && !tensor.modes.contains(&m.name))
                        .map(|(_, m)| m.name.as_str())
                        .collect();
                    if !extra.is_empty() || !lacking.is_empty() {
                        diagnostics.push(different_modes(fit, &planned.tensor, &extra, &lacking, span));
                    } else {
                        diagnostics.extend(lint::lint(&model, &entry.declaration));
                        let model = in_order_of(model, &tensor.modes);
                        planned.schedule = self.plan(&model, &tensor, span, diagnostics);
                        planned.model = Arc::new(model);
                    }
                }
            }
            // the names in the model can be wrong even when the data cannot be had
            (Ok(entry), None) => {
                let declared = target.and_then(|t| self.declarations.tensors.get(&t.name));
                let members = |name: &String| match self.declarations.modes.get(name) {
                    Some(mode) => mode.members(),
                    None => vec![name.clone()],
                };
                let modes: Option<Vec<String>> =
                    declared.map(|d| d.declaration.axes.iter().flat_map(|a| members(&a.mode.name)).collect());
                let (_, found) =
                    elaborate(&self.declarations, &self.known, &entry, Some(&fit.model), modes.as_deref());
                diagnostics.extend(found);
            }
        }
        self.planned.push(planned);
    }

    fn plan(
        &self,
        model: &EnergyModel,
        tensor: &Bound,
        span: Span,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Arc<Schedule>> {
        let profile = match &tensor.origin {
            Origin::Stored(_, header) => {
                let profile = header.profile;
                let coordinates = if profile.dense { 0 } else { 4 * tensor.modes.len() };
                plan::Profile {
                    stored: profile.stored.bound(),
                    sparse: !profile.dense,
                    element_bytes: profile.value_bytes + coordinates,
                    mapped: profile.mapped,
                    masked: false,
                }
            }
            Origin::Sampled(sampling) => plan::Profile {
                stored: sampling.count,
                sparse: true,
                element_bytes: 8 + 4 * tensor.modes.len(),
                mapped: false,
                masked: false,
            },
        };
        match plan::compile(model, &profile, &plan::Options { memory: self.options.memory }) {
            Ok(schedule) => Some(Arc::new(schedule)),
            Err(list) => {
                diagnostics.extend(
                    list.into_iter().map(|d| if d.labels.is_empty() { d.at(span, "in this fit") } else { d }),
                );
                None
            }
        }
    }

    fn check_samples(&self, diagnostics: &mut Vec<Diagnostic>) {
        for (name, bound) in &self.bound {
            if let Origin::Sampled(sampling) = &bound.origin
                && let Err(list) = self.sampled_model(sampling, bound)
            {
                let _ = name;
                diagnostics.extend(list);
            }
        }
    }

    /// The model a sample is drawn from, its modes in the order of the tensor's.
    fn sampled_model(
        &self,
        sampling: &bind::Sampling,
        bound: &Bound,
    ) -> Result<EnergyModel, Vec<Diagnostic>> {
        let entry = self
            .declarations
            .model(&sampling.model.name.name, sampling.model.name.span)
            .map_err(|d| vec![d])?;
        let (model, found) =
            elaborate(&self.declarations, &self.known, entry, Some(&sampling.model), Some(&bound.modes));
        let errors: Vec<Diagnostic> = found.into_iter().filter(Diagnostic::is_error).collect();
        let Some(model) = model else { return Err(errors) };
        if let Some(free) =
            model.interactions.iter().find(|i| matches!(i.potential, crate::model::Potential::Free))
        {
            return Err(vec![
                Diagnostic::new(
                    Code::MBA308,
                    format!("`{}` cannot be sampled: it has free tables", model.name),
                )
                .at(sampling.span, "sampled here")
                .at(free.span, "known only after a fit")
                .help("give its interactions energies, as in `[a b] = …`; a fit is sampled as `f.sample(n)`"),
            ]);
        }
        if model.modes.len() != bound.modes.len() {
            let names: Vec<&str> = model.modes.iter().map(|m| m.name.as_str()).collect();
            return Err(vec![
                Diagnostic::new(Code::MBA225, format!("`{}` has other modes than the data", model.name))
                    .at(sampling.span, format!("the model spans {}", suggest::list(&names)))
                    .help("list the modes of the model in the data statement"),
            ]);
        }
        plan::compile_fixed(&model, &plan::Options { memory: self.options.memory }).map(|_| model)
    }

    fn lint_unused_modes(&self, diagnostics: &mut Vec<Diagnostic>) {
        // a mode may be unused only because what uses it is wrong
        if diagnostics.iter().any(Diagnostic::is_error) {
            return;
        }
        let main = self.units.first().map(|u| u.source);
        for (name, entry) in &self.declarations.modes {
            if Some(entry.span.source) != main {
                continue;
            }
            let in_data = self
                .declarations
                .tensors
                .values()
                .any(|t| t.declaration.axes.iter().any(|a| &a.mode.name == name));
            let in_model = self
                .declarations
                .models
                .values()
                .any(|m| m.declaration.over.iter().flatten().any(|r| &r.name.name == name));
            if !in_data
                && !in_model
                && (self.declarations.tensors.is_empty() && !self.declarations.models.is_empty())
            {
                continue;
            }
            if !in_data && !in_model {
                diagnostics.push(
                    Diagnostic::new(Code::MBA120, format!("mode `{name}` is not used"))
                        .at(entry.span, "in no data")
                        .help("bind it to data, or remove it"),
                );
            }
        }
    }

    // ------------------------------------------------------------ lint levels

    /// Applies the levels of the run and of the lines to a list of diagnostics; sorts and unites it.
    pub fn settle(&self, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let mut settled: Vec<Diagnostic> = Vec::new();
        for diagnostic in diagnostics {
            if let Some(diagnostic) = self.level(diagnostic)
                && !settled.contains(&diagnostic)
            {
                settled.push(diagnostic);
            }
        }
        settled.sort_by_key(|d| d.span().map(|s| (s.source, s.start, s.end)));
        settled
    }

    /// A diagnostic at its level; none when it is allowed.
    pub fn level(&self, mut diagnostic: Diagnostic) -> Option<Diagnostic> {
        if diagnostic.code.severity() == Severity::Error {
            return Some(diagnostic);
        }
        let line = diagnostic.span().and_then(|s| self.line_level(s, diagnostic.code));
        let level = line.or_else(|| self.options.levels.get(&diagnostic.code).copied());
        match level {
            Some(Level::Allow) => return None,
            Some(Level::Deny) => diagnostic.severity = Severity::Error,
            Some(Level::Warn) => diagnostic.severity = Severity::Warning,
            None if self.options.deny_warnings && diagnostic.severity == Severity::Warning => {
                diagnostic.severity = Severity::Error;
            }
            None => {}
        }
        Some(diagnostic)
    }

    /// What a comment on the same line, or alone on the line above, says of a code.
    fn line_level(&self, span: Span, code: Code) -> Option<Level> {
        let unit = self.units.iter().find(|u| u.source == span.source)?;
        let (line, _) = self.sources.position(span.source, span.start);
        unit.program.comments.iter().filter(|c| !c.doc).find_map(|comment| {
            let (level, codes) = allowance(comment)?;
            let (at, _) = self.sources.position(span.source, comment.span.start);
            let alone = self.sources.get(span.source).is_some_and(|s| {
                let start = s.text[..comment.span.start].rfind('\n').map_or(0, |i| i + 1);
                s.text[start..comment.span.start].trim().is_empty()
            });
            (codes.contains(&code) && (at == line || (alone && at + 1 == line))).then_some(level)
        })
    }
}

/// `# allow MBA321` or `# deny MBA321, MBA322`.
fn allowance(comment: &Comment) -> Option<(Level, Vec<Code>)> {
    let mut words = comment.text.split([' ', ',', '\t']).filter(|w| !w.is_empty());
    let level = match words.next()? {
        "allow" => Level::Allow,
        "warn" => Level::Warn,
        "deny" => Level::Deny,
        _ => return None,
    };
    let codes: Vec<Code> = words.map_while(|w| w.parse().ok()).collect();
    (!codes.is_empty()).then_some((level, codes))
}

fn different_modes(fit: &Fit, tensor: &str, extra: &[&str], lacking: &[&str], span: Span) -> Diagnostic {
    let model = &fit.model.name.name;
    let mut parts = Vec::new();
    if !extra.is_empty() {
        parts.push(format!("`{tensor}` also has {}", suggest::list(extra)));
    }
    if !lacking.is_empty() {
        parts.push(format!("`{tensor}` has no {}", suggest::list(lacking)));
    }
    Diagnostic::new(Code::MBA225, format!("`{model}` and `{tensor}` have different modes"))
        .at(fit.targets.first().map_or(span, |(i, _)| i.span), parts.join("; "))
        .help(format!(
            "change the modes after `over` in `{model}`, or leave them out to span those of the data"
        ))
}

/// The model with its visible modes in the order of the tensor's.
fn in_order_of(model: EnergyModel, modes: &[String]) -> EnergyModel {
    use crate::model::{Forbidden, Interaction, Potential, Scope};
    let same = model.modes.iter().map(|m| &m.name).take(modes.len()).eq(modes);
    if same {
        return model;
    }
    let position = |name: &str| modes.iter().position(|m| m == name);
    let mut next = modes.len();
    let to: Vec<usize> = model
        .modes
        .iter()
        .map(|m| {
            position(&m.name).unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    let scope = |s: &Scope| -> Scope { s.iter().map(|m| to[m]).collect() };
    let table = |t: &crate::model::Table| -> Arc<crate::model::Table> { Arc::new(renamed(t, &to)) };
    let mut ordered = model.modes.clone();
    for (mode, place) in model.modes.iter().zip(&to) {
        ordered[*place] = mode.clone();
    }
    EnergyModel {
        latent: scope(&model.latent),
        interactions: model
            .interactions
            .iter()
            .map(|i| Interaction {
                scope: scope(&i.scope),
                potential: match &i.potential {
                    Potential::Free => Potential::Free,
                    Potential::Fixed(t) => Potential::Fixed(table(t)),
                    Potential::Learned { coefficient, statistic } => {
                        Potential::Learned { coefficient: coefficient.clone(), statistic: table(statistic) }
                    }
                },
                span: i.span,
            })
            .collect(),
        support: model
            .support
            .iter()
            .map(|f| Forbidden { scope: scope(&f.scope), cells: table(&f.cells), span: f.span })
            .collect(),
        modes: ordered,
        ..model
    }
}

/// A table after its modes have been given other positions.
fn renamed(table: &crate::model::Table, to: &[usize]) -> crate::model::Table {
    let scope: crate::model::Scope = table.scope.iter().map(|m| to[m]).collect();
    let own = table.strides();
    let axes: Vec<(usize, usize)> = scope
        .iter()
        .filter_map(|new| table.scope.iter().position(|old| to[old] == new))
        .map(|axis| (table.shape[axis], own[axis]))
        .collect();
    let values = (0..table.values.len())
        .map(|flat| {
            let (mut rest, mut at) = (flat, 0);
            for (size, stride) in axes.iter().rev() {
                at += rest % size * stride;
                rest /= size;
            }
            table.values[at]
        })
        .collect();
    crate::model::Table { scope, shape: axes.iter().map(|(n, _)| *n).collect(), values }
}

impl Environment for Session {
    fn fit(&self, name: &str) -> Option<FitResult> {
        self.results.get(name).cloned()
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
    fn modes_of(&self, fit: &str) -> Option<Vec<String>> {
        let planned = self.planned.iter().find(|p| p.name == fit)?;
        (!planned.model.modes.is_empty())
            .then(|| planned.model.modes.iter().map(|m| m.name.clone()).collect())
    }
    fn seed(&self) -> u64 {
        self.options.seed
    }
}
