//! From what a model says to an [`EnergyModel`]: families expanded, templates applied, loops
//! unrolled, names turned into modes.

mod energies;
mod modes;
mod names;
mod removals;
mod statements;
mod templates;

use std::sync::Arc;

use indexmap::IndexMap;

use self::names::Context;
pub use self::names::names_in;
use super::constant::{self, Constant};
use super::declarations::{Declarations, ModelEntry};
use super::energy::{Algebra, EnergyModel, Forbidden, Interaction, Potential};
use super::family::MAX_INTERACTIONS;
use super::mode::{Levels, Mode};
use super::regular::Regular;
use super::scope::Scope;
use crate::text::ast::{Argument, Call, Expr, ExprKind, ModelItem, ModelItemKind};
use crate::text::{Code, Diagnostic, Label, Span};

/// Templates inside templates deeper than this are taken to be endless.
const MAX_TEMPLATES: usize = 64;
/// Loops may go round this many times in all.
const MAX_TURNS: usize = 1_000_000;
/// A table of fixed energies may have at most this many cells.
const MAX_FIXED_CELLS: usize = 50_000_000;

/// Modes with their levels, as far as they are known: a global mode that still waits for its data
/// stands in with one level, which is enough to check names.
pub type KnownModes = IndexMap<String, Mode>;

/// The modes of a program: with the levels that they are declared with, or `otherwise` with those that are known.
pub fn known_modes(declarations: &Declarations, otherwise: impl Fn(&str) -> Option<Levels>) -> KnownModes {
    let members =
        declarations.modes.values().flat_map(|entry| entry.members().into_iter().map(move |m| (m, entry)));
    let known = members.filter_map(|(name, entry)| {
        let levels = entry.levels.clone().or_else(|| otherwise(&name))?;
        Some((name.clone(), Mode { name, levels, order: entry.order }))
    });
    known.collect()
}

/// Elaborates a model over `span` (the modes of the tensor it is fitted to, in that order), or over
/// the modes that it names itself when there is no tensor.
///
/// `arguments` are those of a template. Every mistake found is returned; the model is absent when
/// there is an error.
pub fn elaborate(
    declarations: &Declarations,
    known: &KnownModes,
    entry: &ModelEntry,
    call: Option<&Call>,
    span: Option<&[String]>,
) -> (Option<EnergyModel>, Vec<Diagnostic>) {
    let mut work = Elaboration {
        declarations,
        known,
        modes: Vec::new(),
        index: IndexMap::new(),
        families: IndexMap::new(),
        local: Default::default(),
        bindings: Vec::new(),
        interactions: Vec::new(),
        explicit: Vec::new(),
        removed: Vec::new(),
        support: Vec::new(),
        regular: Regular::default(),
        latent: Vec::new(),
        temperature: None,
        algebra: Algebra::Ordinary,
        depth: 0,
        loops: 0,
        turns: 0,
        settled: span.is_some() || spans_its_own(entry),
        diagnostics: Vec::new(),
    };
    let declaration = &entry.declaration;
    work.choose_modes(entry, call, span);
    if work.diagnostics.iter().any(Diagnostic::is_error) {
        // without its modes every name in it would be reported as well
        return (None, work.diagnostics);
    }
    if let Some(params) = &declaration.params {
        let none: &[Argument] = &[];
        let (arguments, at) = call.map_or((none, declaration.name.span), |c| (&c.arguments, c.span));
        let declared: Vec<(&str, Option<&Expr>)> =
            params.iter().map(|p| (p.name.name.as_str(), p.default.as_ref())).collect();
        match work.bind(&declaration.name.name, &declared, arguments, at) {
            Ok(bound) => work.bindings.extend(bound),
            Err(diagnostic) => {
                work.diagnostics.push(diagnostic);
                return (None, work.diagnostics);
            }
        }
    } else if let Some(call) = call
        && !call.arguments.is_empty()
    {
        let name = &declaration.name.name;
        work.diagnostics.push(
            Diagnostic::new(Code::MBA105, format!("model `{name}` takes no arguments"))
                .at(call.span, "called with arguments")
                .at(declaration.name.span, "declared without parameters")
                .help(format!("write `{name}`, or declare `model {name}(…)`")),
        );
    }
    let before = work.diagnostics.len();
    work.add_locals(&declaration.items);
    let all: Vec<usize> = (0..work.modes.len()).collect();
    work.items(&declaration.items, &all);
    if let (Some(_), Some(call)) = (&declaration.params, call) {
        for diagnostic in work.diagnostics.iter_mut().skip(before) {
            let message = format!("in this use of `{}`", declaration.name.name);
            diagnostic.labels.push(Label { span: call.span, message });
        }
    }
    work.apply_removals();
    work.lint_redundant();
    let model = EnergyModel {
        name: declaration.name.name.clone(),
        latent: work.latent.iter().copied().collect(),
        modes: work.modes,
        interactions: work.interactions,
        support: work.support,
        regular: work.regular,
        temperature: work.temperature.unwrap_or(1.0),
        algebra: work.algebra,
    };
    let failed = work.diagnostics.iter().any(Diagnostic::is_error);
    ((!failed).then_some(model), work.diagnostics)
}

/// Whether a model says itself which modes it spans.
pub fn spans_its_own(entry: &ModelEntry) -> bool {
    let declares = |i: &ModelItem| matches!(i.kind, ModelItemKind::Mode(_));
    entry.declaration.over.is_some() || entry.declaration.items.iter().any(declares)
}

struct Elaboration<'a> {
    declarations: &'a Declarations,
    known: &'a KnownModes,
    modes: Vec<Mode>,
    /// Mode name to position.
    index: IndexMap<String, usize>,
    /// Family name to members and sizes.
    families: IndexMap<String, (Vec<usize>, Vec<usize>)>,
    /// Names of modes declared among the items.
    local: std::collections::HashSet<String>,
    /// Loop variables and template parameters, innermost last.
    bindings: Vec<(String, Constant)>,
    interactions: Vec<Interaction>,
    /// Interactions written out one by one, for the lint on redundant ones.
    explicit: Vec<(Scope, Span)>,
    removed: Vec<(Scope, Span)>,
    support: Vec<Forbidden>,
    regular: Regular,
    latent: Vec<usize>,
    temperature: Option<f64>,
    algebra: Algebra,
    /// Templates the items stand in.
    depth: usize,
    /// Loops the items stand in.
    loops: usize,
    /// Turns of loops so far.
    turns: usize,
    /// Whether the modes are those the model will be fitted over, and not only those it mentions.
    settled: bool,
    diagnostics: Vec<Diagnostic>,
}

impl Elaboration<'_> {
    fn items(&mut self, items: &[ModelItem], current: &[usize]) {
        for item in items {
            if self.interactions.len() > MAX_INTERACTIONS {
                self.diagnostics.push(
                    Diagnostic::new(Code::MBA303, "more than a million interactions")
                        .at(item.span, "while expanding this")
                        .help("use smaller families or loops"),
                );
                return;
            }
            self.item(item, current);
        }
    }

    fn item(&mut self, item: &ModelItem, current: &[usize]) {
        match &item.kind {
            ModelItemKind::Interaction(term) => {
                if let Some(scope) = self.scope(term) {
                    // what a loop repeats is not written twice
                    if self.depth == 0 && self.loops == 0 {
                        self.explicit.push((scope.clone(), term.span));
                    }
                    self.interactions.push(Interaction {
                        scope,
                        potential: Potential::Free,
                        span: term.span,
                    });
                }
            }
            ModelItemKind::Family { call, over } => self.family(call, over.as_deref(), item.span, current),
            ModelItemKind::Without(terms) => {
                for term in terms {
                    if let Some(scope) = self.scope(term) {
                        self.removed.push((scope, term.span));
                    }
                }
            }
            ModelItemKind::Fixed { interaction, energy } => {
                if let Some(scope) = self.scope(interaction)
                    && let Some(table) = self.tabulate(&scope, &self.written(interaction), energy, "energy")
                {
                    let potential = Potential::Fixed(Arc::new(table));
                    self.interactions.push(Interaction { scope, potential, span: item.span });
                }
            }
            ModelItemKind::Learned { interaction, coefficient, statistic } => {
                let one = Expr { kind: ExprKind::Number(1.0), span: item.span };
                if let Some(scope) = self.scope(interaction)
                    && let Some(table) = self.tabulate(
                        &scope,
                        &self.written(interaction),
                        statistic.as_ref().unwrap_or(&one),
                        "statistic",
                    )
                {
                    match self.coefficient(coefficient) {
                        Ok(coefficient) => {
                            let potential = Potential::Learned { coefficient, statistic: Arc::new(table) };
                            self.interactions.push(Interaction { scope, potential, span: item.span });
                        }
                        Err(diagnostic) => self.diagnostics.push(diagnostic),
                    }
                }
            }
            ModelItemKind::For { names, over, items } => self.repeat(names, over, items, current),
            // declared before the items are read
            ModelItemKind::Mode(_) | ModelItemKind::Latent(_) => {}
            ModelItemKind::Temperature(expr) => {
                match constant::number(expr, &Context { work: self, cell: None }) {
                    Ok(t) if t > 0.0 && t.is_finite() => self.temperature = Some(t),
                    Ok(t) => self.diagnostics.push(
                        Diagnostic::new(
                            Code::MBA305,
                            format!("temperature is {}", super::mode::number_label(t)),
                        )
                        .at(expr.span, "must be positive and finite")
                        .help("write a positive number; units are those of the energy"),
                    ),
                    Err(diagnostic) => self.diagnostics.push(diagnostic),
                }
            }
            ModelItemKind::Algebra(expr) => match self.algebra_of(expr) {
                Ok(algebra) => self.algebra = algebra,
                Err(diagnostic) => self.diagnostics.push(diagnostic),
            },
            ModelItemKind::Forbid(condition) => self.forbid(condition, item.span),
            ModelItemKind::Switched { interaction, .. } => {
                self.scope(interaction);
                self.unsupported("a free table switched off cell by cell (`where`)", item.span);
            }
            ModelItemKind::Given(list) => list.iter().for_each(|(mode, level)| self.given(mode, level)),
            ModelItemKind::Tie(a, b) => self.tie(a, b, item.span),
            ModelItemKind::Prior { strength, toward } => {
                self.prior(strength, toward.as_ref(), item.span);
            }
            ModelItemKind::Smooth { interaction, along, strength } => {
                self.smooth(interaction, along, strength, item.span);
            }
            ModelItemKind::Mix(_) => self.unsupported("mixtures (`mix`)", item.span),
        }
    }

    fn unsupported(&mut self, what: &str, span: Span) {
        self.diagnostics.push(super::unsupported(what, span));
    }
}
