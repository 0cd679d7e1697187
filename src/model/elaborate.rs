//! From what a model says to an [`EnergyModel`]: families expanded, templates applied, loops
//! unrolled, names turned into modes.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use indexmap::IndexMap;

use super::constant::{self, Constant, Names};
use super::declarations::{Declarations, ModelEntry, mode_entry, unknown};
use super::energy::{Algebra, EnergyModel, Forbidden, Interaction, Potential};
use super::family::{FAMILIES, Family, FamilyCall, MAX_INTERACTIONS};
use super::lattice;
use super::mode::{Levels, Mode, Order};
use super::regular::{Prior, Regular, Smooth, Strength, Tie};
use super::scope::Scope;
use super::table::Table;
use crate::text::ast::{
    Argument, Call, Expr, ExprKind, InteractionTerm, ModeDeclaration, ModeRef, ModelItem, ModelItemKind,
};
use crate::text::{Code, Diagnostic, Label, Span, suggest};

/// Templates inside templates deeper than this are taken to be endless.
const MAX_TEMPLATES: usize = 64;
/// Loops may go round this many times in all.
const MAX_TURNS: usize = 1_000_000;
/// A table of fixed energies may have at most this many cells.
const MAX_FIXED_CELLS: usize = 50_000_000;

/// Modes with their levels, as far as they are known: a global mode that still waits for its data
/// stands in with one level, which is enough to check names.
pub type KnownModes = IndexMap<String, Mode>;

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
    // ------------------------------------------------------------ modes

    fn choose_modes(&mut self, entry: &ModelEntry, call: Option<&Call>, span: Option<&[String]>) {
        let declaration = &entry.declaration;
        let template = entry.is_template();
        match (&declaration.over, span) {
            // the `over` of a template names its own modes, in the order of those it is applied to
            (Some(over), Some(span)) if template => {
                span.iter().for_each(|name| self.add_known(name));
                self.bind_formal(
                    &declaration.name.name,
                    over,
                    &(0..span.len()).collect::<Vec<_>>(),
                    declaration.name.span,
                );
            }
            (Some(over), None) if template => {
                for formal in over {
                    self.add_mode(Mode::counted(formal.name.name.clone(), 2));
                }
            }
            (Some(over), _) => {
                for reference in over {
                    if let Err(diagnostic) = self.add_declared(&reference.name.name, reference.span) {
                        self.diagnostics.push(diagnostic);
                    }
                }
            }
            (None, Some(span)) => span.iter().for_each(|name| self.add_known(name)),
            (None, None) => {
                let mut mentioned = Vec::new();
                mentioned_modes(&declaration.items, &mut mentioned);
                let formal = |name: &str| declaration.params.iter().flatten().any(|p| p.name.name == name);
                mentioned.retain(|name| !formal(name));
                // a template spans the modes that it is given
                let mut given = Vec::new();
                call.iter().flat_map(|c| &c.arguments).for_each(|a| names_in(&a.value, &mut given));
                mentioned.extend(given.into_iter().map(|(n, _)| n));
                for name in self.declarations.modes.keys() {
                    if mentioned.contains(name) {
                        let _ = self.add_declared(name, declaration.name.span);
                    }
                }
            }
        }
    }

    /// Modes declared among the items come after those from outside.
    fn add_locals(&mut self, items: &[ModelItem]) {
        for item in items {
            if let ModelItemKind::Mode(list) | ModelItemKind::Latent(list) = &item.kind {
                let latent = matches!(item.kind, ModelItemKind::Latent(_));
                list.iter().for_each(|declared| self.add_local(declared, latent));
            }
        }
    }

    fn add_mode(&mut self, mode: Mode) -> usize {
        let position = self.modes.len();
        self.index.insert(mode.name.clone(), position);
        self.modes.push(mode);
        position
    }

    /// Adds a mode of the tensor by its full name; a member of a family brings the family along.
    fn add_known(&mut self, name: &str) {
        let mode = self.known.get(name).cloned().unwrap_or_else(|| Mode::counted(name, 1));
        let position = self.add_mode(mode);
        if let Some((family, _)) = name.split_once('[')
            && let Some(entry) = self.declarations.modes.get(family)
        {
            let sizes = entry.sizes.clone();
            self.families.entry(family.to_string()).or_insert_with(|| (Vec::new(), sizes)).0.push(position);
        }
    }

    fn add_declared(&mut self, name: &str, span: Span) -> Result<(), Diagnostic> {
        let entry = self.declarations.mode(name, span)?;
        for member in entry.members() {
            if self.index.contains_key(&member) {
                return Err(Diagnostic::new(Code::MBA103, format!("mode `{name}` is listed twice"))
                    .at(span, "listed again")
                    .help("list each mode once"));
            }
            self.add_known(&member);
        }
        Ok(())
    }

    fn add_local(&mut self, declaration: &ModeDeclaration, latent: bool) {
        let name = &declaration.name;
        if !self.local.insert(name.name.clone()) {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA103, format!("mode `{}` is declared twice", name.name))
                    .at(name.span, "declared again")
                    .help("rename one of them"),
            );
            return;
        }
        let entry = match mode_entry(declaration, &Context { work: self, cell: None }) {
            Ok(entry) => entry,
            Err(diagnostic) => return self.diagnostics.push(diagnostic),
        };
        let Some(levels) = entry.levels.clone() else {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA221, format!("mode `{}` has no levels", name.name))
                    .at(name.span, "a mode inside a model needs its levels here")
                    .help(format!("write `mode {}: 2`, or list the levels in braces", name.name)),
            );
            return;
        };
        let mut members = Vec::new();
        for member in entry.members() {
            let mode = Mode { name: member, levels: levels.clone(), order: entry.order };
            // a mode of the data under this name is this mode
            match self.index.get(&mode.name) {
                Some(position) if self.modes[*position].size() == mode.size() && !latent => {
                    members.push(*position);
                }
                Some(position) => {
                    let found = self.modes[*position].size();
                    self.diagnostics.push(
                        Diagnostic::new(
                            Code::MBA225,
                            format!("`{}` has {found} levels in the data", mode.name),
                        )
                        .at(name.span, format!("{} levels here", mode.size()))
                        .help("declare the same levels in both places, or rename one of the modes"),
                    );
                    return;
                }
                None => members.push(self.add_mode(mode)),
            }
        }
        if latent {
            self.latent.extend(&members);
        }
        if !entry.sizes.is_empty() {
            self.families.insert(name.name.clone(), (members, entry.sizes));
        }
    }

    /// The modes of a list, families spread out.
    fn mode_list(&mut self, references: &[ModeRef]) -> Option<Vec<usize>> {
        let mut modes = Vec::new();
        let mut complete = true;
        for reference in references {
            match self.resolve(reference) {
                Ok(Constant::Mode(m)) => modes.push(m),
                Ok(Constant::Family { members, .. }) => modes.extend(members),
                Ok(Constant::List(items)) => modes.extend(items.iter().filter_map(|i| match i {
                    Constant::Mode(m) => Some(*m),
                    _ => None,
                })),
                Ok(other) => {
                    complete = false;
                    self.diagnostics.push(not_a_mode(&other, reference.span));
                }
                Err(diagnostic) => {
                    complete = false;
                    self.diagnostics.push(diagnostic);
                }
            }
        }
        complete.then_some(modes)
    }

    fn resolve(&self, reference: &ModeRef) -> Result<Constant, Diagnostic> {
        let base = self.name(&reference.name.name, reference.name.span)?;
        if reference.index.is_empty() {
            return Ok(base);
        }
        let context = Context { work: self, cell: None };
        let indices =
            reference.index.iter().map(|e| constant::evaluate(e, &context)).collect::<Result<Vec<_>, _>>()?;
        self.member(&base, &indices, reference.span)
    }

    /// What a name stands for where a mode is expected.
    fn name(&self, name: &str, span: Span) -> Result<Constant, Diagnostic> {
        if let Some((_, bound)) = self.bindings.iter().rev().find(|(n, _)| n == name) {
            return Ok(bound.clone());
        }
        if let Some(position) = self.index.get(name) {
            return Ok(Constant::Mode(*position));
        }
        if let Some((members, sizes)) = self.families.get(name) {
            return Ok(Constant::Family { members: members.clone(), sizes: sizes.clone() });
        }
        if let Some(entry) = self.declarations.modes.get(name) {
            let names: Vec<&str> = self.modes.iter().map(|m| m.name.as_str()).collect();
            return Err(Diagnostic::new(Code::MBA224, format!("mode `{name}` is not in this model"))
                .at(span, format!("the model spans {}", suggest::list(&names)))
                .at(entry.span, "declared here")
                .help("a model spans the modes of the tensor it is fitted to, or those after `over`"));
        }
        let candidates = self.index.keys().chain(self.families.keys()).map(String::as_str);
        let bound = self.bindings.iter().map(|(n, _)| n.as_str());
        let near = suggest::nearest(name, candidates.chain(bound));
        Err(unknown("mode", name, span, near, format!("declare it: `mode {name}`")))
    }

    fn member(&self, base: &Constant, indices: &[Constant], span: Span) -> Result<Constant, Diagnostic> {
        let Constant::Family { members, sizes } = base else {
            return Err(Diagnostic::new(Code::MBA223, format!("{} has no members", base.kind()))
                .at(span, "only a family of modes can be indexed")
                .help("declare a family as `mode s[4, 4]: {-1, +1}`"));
        };
        if indices.len() != sizes.len() {
            return Err(Diagnostic::new(
                Code::MBA223,
                format!("{} indices for a family of {} dimensions", indices.len(), sizes.len()),
            )
            .at(span, "here")
            .help("give one index for each dimension"));
        }
        let mut flat = 0;
        for (index, size) in indices.iter().zip(sizes) {
            let x = constant::number_of(index, span)?;
            if x != x.trunc() || x < 0.0 || x >= *size as f64 {
                return Err(Diagnostic::new(
                    Code::MBA223,
                    format!("index {} is outside 0 … {}", super::mode::number_label(x), size - 1),
                )
                .at(span, format!("the family has size {size} along this dimension"))
                .help("indices start at 0; for a periodic lattice use `mod`, or `neighbours(s, periodic: true)`"));
            }
            flat = flat * size + x as usize;
        }
        members.get(flat).copied().map(Constant::Mode).ok_or_else(|| {
            Diagnostic::new(Code::MBA224, "this member of the family is not in this model")
                .at(span, "not among the modes of the tensor")
                .help("bind the whole family to the tensor")
        })
    }

    fn scope(&mut self, term: &InteractionTerm) -> Option<Scope> {
        let mut modes = Vec::new();
        let mut groups = false;
        for reference in &term.modes {
            match self.resolve(reference) {
                Ok(Constant::Mode(m)) if modes.contains(&m) => self.diagnostics.push(
                    Diagnostic::new(
                        Code::MBA302,
                        format!("mode `{}` is in this interaction twice", self.modes[m].name),
                    )
                    .at(reference.span, "again")
                    .help("name each mode once"),
                ),
                Ok(Constant::Mode(m)) => modes.push(m),
                // a loop variable may stand for several modes
                Ok(Constant::List(items)) if items.iter().all(|i| matches!(i, Constant::Mode(_))) => {
                    groups = true;
                    modes.extend(items.iter().filter_map(|i| match i {
                        Constant::Mode(m) => Some(*m),
                        _ => None,
                    }));
                }
                Ok(other) => self.diagnostics.push(not_a_mode(&other, reference.span)),
                Err(diagnostic) => self.diagnostics.push(diagnostic),
            }
        }
        (groups || modes.len() == term.modes.len()).then(|| modes.into_iter().collect())
    }

    /// The modes of an interaction in the order in which they were written.
    fn written(&self, term: &InteractionTerm) -> Vec<usize> {
        let found = |reference| match self.resolve(reference) {
            Ok(Constant::List(items)) => items,
            Ok(other) => vec![other],
            Err(_) => Vec::new(),
        };
        let mode = |c: Constant| if let Constant::Mode(m) = c { Some(m) } else { None };
        term.modes.iter().flat_map(found).filter_map(mode).collect()
    }

    // ------------------------------------------------------------ items

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

    /// The full name of a coefficient: with an index there is one for each value the index takes, modes by
    /// their names.
    fn coefficient(&self, written: &ModeRef) -> Result<String, Diagnostic> {
        let context = Context { work: self, cell: None };
        let mut parts = Vec::with_capacity(written.index.len());
        for index in &written.index {
            parts.push(match constant::evaluate(index, &context)? {
                Constant::Mode(m) => self.modes[m].name.clone(),
                Constant::Text(text) => text,
                other => super::mode::number_label(constant::number_of(&other, index.span)?),
            });
        }
        let name = &written.name.name;
        Ok(if parts.is_empty() { name.clone() } else { format!("{name}[{}]", parts.join(", ")) })
    }

    fn unsupported(&mut self, what: &str, span: Span) {
        self.diagnostics.push(super::unsupported(what, span));
    }

    fn family(&mut self, call: &Call, over: Option<&[ModeRef]>, span: Span, current: &[usize]) {
        let modes = match over {
            Some(list) => match self.mode_list(list) {
                Some(modes) => modes,
                None => return,
            },
            None => current.to_vec(),
        };
        let name = &call.name.name;
        if let Some(family) = Family::find(name) {
            let arguments: Result<Vec<Constant>, Diagnostic> = call
                .arguments
                .iter()
                .map(|a| constant::evaluate(&a.value, &Context { work: self, cell: None }))
                .collect();
            let settled = self.settled || over.is_some();
            let expanded = arguments.and_then(|arguments| {
                let call = FamilyCall { arguments: &arguments, modes: &modes, span: call.span, name };
                match family.expand(&call) {
                    // what does not fit the modes mentioned here may fit those of the data
                    Err(_) if !settled => Ok(Vec::new()),
                    expanded => expanded,
                }
            });
            match expanded {
                Ok(scopes) => self.interactions.extend(scopes.into_iter().map(|scope| Interaction {
                    scope,
                    potential: Potential::Free,
                    span,
                })),
                Err(diagnostic) => self.diagnostics.push(diagnostic),
            }
            return;
        }
        let Some(entry) = self.declarations.models.get(name) else {
            let templates = self.declarations.models.iter().filter(|(_, m)| m.is_template());
            let candidates = FAMILIES.iter().map(|f| f.name).chain(templates.map(|(n, _)| n.as_str()));
            let near = suggest::nearest(name, candidates);
            let declare = format!(
                "use one of the families {}, or declare `model {name}(…)`",
                suggest::list(&FAMILIES.iter().map(|f| f.name).collect::<Vec<_>>())
            );
            self.diagnostics.push(unknown("family", name, call.name.span, near, declare));
            return;
        };
        self.apply_template(&entry.clone(), call, &modes);
    }

    fn apply_template(&mut self, entry: &ModelEntry, call: &Call, modes: &[usize]) {
        let declaration = entry.declaration.clone();
        let name = &declaration.name.name;
        if self.depth >= MAX_TEMPLATES {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA304, format!("template `{name}` never ends"))
                    .at(call.span, format!("applied more than {MAX_TEMPLATES} levels deep"))
                    .help("a template cannot contain itself"),
            );
            return;
        }
        let declared: Vec<(&str, Option<&Expr>)> =
            declaration.params.iter().flatten().map(|p| (p.name.name.as_str(), p.default.as_ref())).collect();
        let bound = match self.bind(name, &declared, &call.arguments, call.span) {
            Ok(bound) => bound,
            Err(diagnostic) => return self.diagnostics.push(diagnostic),
        };
        let mark = self.bindings.len();
        let errors = self.diagnostics.len();
        // a template sees its own parameters and not the loop variables of its caller
        let outer = std::mem::replace(&mut self.bindings, bound);
        if let Some(over) = &declaration.over {
            self.bind_formal(name, over, modes, call.span);
        }
        if self.diagnostics.len() == errors {
            self.add_locals(&declaration.items);
            self.depth += 1;
            self.items(&declaration.items, modes);
            self.depth -= 1;
        }
        self.bindings = outer;
        self.bindings.truncate(mark);
        for diagnostic in self.diagnostics.iter_mut().skip(errors) {
            // once for each place, also when a template contains itself
            if diagnostic.labels.iter().all(|l| l.span != call.span) {
                diagnostic
                    .labels
                    .push(Label { span: call.span, message: format!("in this use of `{name}`") });
            }
        }
    }

    fn bind_formal(&mut self, name: &str, over: &[ModeRef], modes: &[usize], span: Span) {
        if over.len() != modes.len() {
            self.diagnostics.push(
                Diagnostic::new(
                    Code::MBA304,
                    format!("`{name}` is over {} modes, not {}", over.len(), modes.len()),
                )
                .at(span, "applied here")
                .at(over.first().map_or(span, |r| r.span), "its modes")
                .help("name as many modes with `over (…)`"),
            );
            return;
        }
        for (formal, mode) in over.iter().zip(modes) {
            self.bindings.push((formal.name.name.clone(), Constant::Mode(*mode)));
        }
    }

    /// Matches arguments with parameters, by position or by name.
    fn bind(
        &self,
        name: &str,
        params: &[(&str, Option<&Expr>)],
        arguments: &[Argument],
        span: Span,
    ) -> Result<Vec<(String, Constant)>, Diagnostic> {
        let usage = || {
            let list: Vec<&str> = params.iter().map(|(n, _)| *n).collect();
            format!("write `{name}({})`", list.join(", "))
        };
        let mut values: Vec<Option<Constant>> = vec![None; params.len()];
        let context = Context { work: self, cell: None };
        for (position, argument) in arguments.iter().enumerate() {
            let slot = match &argument.name {
                None => (position < params.len()).then_some(position),
                Some(given) => params.iter().position(|(n, _)| *n == given.name),
            };
            let Some(slot) = slot else {
                let message = match &argument.name {
                    Some(given) => format!("`{name}` has no parameter `{}`", given.name),
                    None => format!("`{name}` takes {} arguments, not {}", params.len(), arguments.len()),
                };
                return Err(Diagnostic::new(Code::MBA105, message)
                    .at(argument.value.span, "this one")
                    .help(usage()));
            };
            values[slot] = Some(constant::evaluate(&argument.value, &context)?);
        }
        let mut bound = Vec::new();
        for ((param, default), value) in params.iter().zip(values) {
            let value = match (value, default) {
                (Some(value), _) => value,
                (None, Some(default)) => constant::evaluate(default, &context)?,
                (None, None) => {
                    return Err(Diagnostic::new(Code::MBA105, format!("`{name}` needs `{param}`"))
                        .at(span, format!("`{param}` is not given"))
                        .help(usage()));
                }
            };
            bound.push((param.to_string(), value));
        }
        Ok(bound)
    }

    fn repeat(
        &mut self,
        names: &[crate::text::ast::Ident],
        over: &Expr,
        items: &[ModelItem],
        current: &[usize],
    ) {
        let list = match constant::evaluate(over, &Context { work: self, cell: None }) {
            Ok(Constant::List(list)) => list,
            Ok(Constant::Family { members, .. }) => members.into_iter().map(Constant::Mode).collect(),
            Ok(other) => {
                self.diagnostics.push(
                    Diagnostic::new(Code::MBA106, format!("cannot go through {}", other.kind()))
                        .at(over.span, "not a list")
                        .help("write a range `1 .. 4`, a list, a family, or `neighbours(s)`"),
                );
                return;
            }
            Err(diagnostic) => return self.diagnostics.push(diagnostic),
        };
        let mark = self.bindings.len();
        for element in list {
            match (names, element) {
                ([one], element) => self.bindings.push((one.name.clone(), element)),
                (several, Constant::List(parts)) if parts.len() == several.len() => {
                    self.bindings.extend(several.iter().map(|n| n.name.clone()).zip(parts));
                }
                (several, _) => {
                    self.diagnostics.push(
                        Diagnostic::new(Code::MBA106, format!("{} names for each element", several.len()))
                            .at(over.span, "its elements do not have as many parts")
                            .help("name one variable, or go through pairs such as `neighbours(s)`"),
                    );
                    return;
                }
            }
            self.turns += 1;
            if self.turns > MAX_TURNS {
                self.diagnostics.push(
                    Diagnostic::new(Code::MBA303, format!("more than {MAX_TURNS} turns of loops"))
                        .at(over.span, "while going through this")
                        .help("use smaller loops"),
                );
                return;
            }
            let errors = self.diagnostics.iter().filter(|d| d.is_error()).count();
            self.loops += 1;
            self.items(items, current);
            self.loops -= 1;
            self.bindings.truncate(mark);
            // the same mistake once, not once for each turn of the loop
            if self.diagnostics.iter().filter(|d| d.is_error()).count() > errors {
                return;
            }
        }
    }

    fn algebra_of(&self, expr: &Expr) -> Result<Algebra, Diagnostic> {
        let wrong = || {
            Diagnostic::new(Code::MBA306, "unknown algebra")
                .at(expr.span, "not an algebra")
                .help("write `ordinary`, `tsallis(q)` or `kaniadakis(k)`")
        };
        match &expr.kind {
            ExprKind::Name(name) if name == "ordinary" => Ok(Algebra::Ordinary),
            ExprKind::Call { callee, arguments, .. } => {
                let (ExprKind::Name(name), [argument]) = (&callee.kind, arguments.as_slice()) else {
                    return Err(wrong());
                };
                let x = constant::number(&argument.value, &Context { work: self, cell: None })?;
                match name.as_str() {
                    "tsallis" => Ok(Algebra::Tsallis(x)),
                    "kaniadakis" => Ok(Algebra::Kaniadakis(x)),
                    _ => Err(wrong()),
                }
            }
            _ => Err(wrong()),
        }
    }

    fn tie(&mut self, a: &InteractionTerm, b: &InteractionTerm, span: Span) {
        if self.scope(a).is_none() || self.scope(b).is_none() {
            return;
        }
        let (Some(left), Some(right)) = (self.mode_list(&a.modes), self.mode_list(&b.modes)) else { return };
        let sizes = |list: &[usize]| list.iter().map(|m| self.modes[*m].size()).collect::<Vec<_>>();
        if sizes(&left) != sizes(&right) {
            let shape = |list: &[usize]| {
                let sizes: Vec<String> = sizes(list).iter().map(usize::to_string).collect();
                sizes.join(" × ")
            };
            self.diagnostics.push(
                Diagnostic::new(Code::MBA372, "tables of different shapes cannot be one")
                    .at(a.span, shape(&left))
                    .at(b.span, shape(&right))
                    .help("tie interactions whose modes have the same numbers of levels, in the same order"),
            );
            return;
        }
        self.regular.ties.push(Tie { left, right, span });
    }

    fn prior(&mut self, strength: &Expr, toward: Option<&Call>, span: Span) {
        let wrong = |what: String, at: Span| {
            Diagnostic::new(Code::MBA373, what)
                .at(at, "here")
                .help("write `prior 5% toward M`, `prior 100 toward M` or `prior auto toward M`")
        };
        let Some(toward) = toward else {
            self.diagnostics.push(wrong("a prior needs a model to lean to".into(), span));
            return;
        };
        if let Err(diagnostic) = self.declarations.model(&toward.name.name, toward.name.span) {
            self.diagnostics.push(diagnostic);
            return;
        }
        if self.regular.prior.is_some() {
            self.diagnostics.push(wrong("a model has one prior".into(), span));
            return;
        }
        let strength = match &strength.kind {
            ExprKind::Name(name) if name == "auto" => Ok(Strength::Auto),
            ExprKind::Percent(x) => Ok(Strength::Share(*x)),
            _ => constant::number(strength, &Context { work: self, cell: None }).map(Strength::Mass),
        };
        match strength {
            Ok(Strength::Mass(x) | Strength::Share(x)) if !(x > 0.0 && x.is_finite()) => {
                self.diagnostics.push(wrong("the strength of a prior is positive".into(), span));
            }
            Ok(strength) => {
                self.regular.prior = Some(Prior { strength, toward: toward.clone(), span });
            }
            Err(diagnostic) => self.diagnostics.push(diagnostic),
        }
    }

    fn smooth(&mut self, interaction: &InteractionTerm, along: &ModeRef, strength: &Expr, span: Span) {
        let Some(scope) = self.scope(interaction) else { return };
        let mode = match self.resolve(along) {
            Ok(Constant::Mode(mode)) => mode,
            Ok(other) => return self.diagnostics.push(not_a_mode(&other, along.span)),
            Err(diagnostic) => return self.diagnostics.push(diagnostic),
        };
        let name = self.modes[mode].name.clone();
        if !scope.contains(mode) {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA371, format!("mode `{name}` is not in this interaction"))
                    .at(along.span, "smooth along this")
                    .at(interaction.span, "does not have it")
                    .help("name one of the modes in the brackets"),
            );
            return;
        }
        if self.modes[mode].order == Order::Nominal {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA371, format!("the levels of `{name}` have no neighbours"))
                    .at(along.span, "in no particular order")
                    .help(format!("declare it `ordered` or `cyclic`: `mode {name}: … ordered`")),
            );
            return;
        }
        match constant::number(strength, &Context { work: self, cell: None }) {
            Ok(s) if s > 0.0 && s.is_finite() => {
                self.regular.smooth.push(Smooth { scope, along: mode, strength: s, span });
            }
            Ok(_) => self.diagnostics.push(
                Diagnostic::new(Code::MBA371, "the strength of a smoothness is a positive number")
                    .at(strength.span, "here")
                    .help("it multiplies half the sum of squared differences of neighbours"),
            ),
            Err(diagnostic) => self.diagnostics.push(diagnostic),
        }
    }

    /// `given a = x`: the other levels of the mode cannot occur.
    fn given(&mut self, reference: &ModeRef, expr: &Expr) {
        let mode = match self.resolve(reference) {
            Ok(Constant::Mode(mode)) => mode,
            Ok(other) => return self.diagnostics.push(not_a_mode(&other, reference.span)),
            Err(diagnostic) => return self.diagnostics.push(diagnostic),
        };
        let level = match &expr.kind {
            // a word is a level before it is a param
            ExprKind::Name(name)
                if self.modes[mode].find(&super::mode::Level::Name(name.clone())).is_some() =>
            {
                Ok(Constant::Text(name.clone()))
            }
            _ => constant::evaluate(expr, &Context { work: self, cell: None }),
        };
        let found = match level {
            Ok(Constant::Number(x)) => self.modes[mode].find(&super::mode::Level::Number(x)),
            Ok(Constant::Text(t)) => self.modes[mode].find(&super::mode::Level::Name(t)),
            Ok(_) => None,
            Err(diagnostic) => return self.diagnostics.push(diagnostic),
        };
        let Some(level) = found else {
            let name = &self.modes[mode].name;
            self.diagnostics.push(
                Diagnostic::new(Code::MBA101, format!("`{name}` has no such level"))
                    .at(expr.span, "not one of its levels")
                    .help("levels are given by name or number, as in `given spin = +1`"),
            );
            return;
        };
        let size = self.modes[mode].size();
        let scope = Scope::from([mode]);
        let values = (0..size).map(|k| f64::from(u8::from(k != level))).collect();
        let cells = Arc::new(Table { scope: scope.clone(), shape: vec![size], values });
        self.support.push(Forbidden { scope, cells, span: reference.span });
    }

    /// What holds when one of several conditions does is forbidden one by one, each over its own modes.
    fn forbid(&mut self, condition: &Expr, span: Span) {
        if let ExprKind::Binary(crate::text::ast::Binary::Or, a, b) = &condition.kind {
            self.forbid(a, span);
            self.forbid(b, span);
            return;
        }
        let mut names = Vec::new();
        names_in(condition, &mut names);
        let modes = names.iter().filter_map(|(n, at)| match self.name(n, *at) {
            Ok(Constant::Mode(m)) => Some(m),
            _ => None,
        });
        let scope: Scope = modes.collect();
        if let Some(table) = self.tabulate(&scope, scope.modes(), condition, "condition") {
            self.support.push(Forbidden { scope, cells: Arc::new(table), span });
        }
    }

    /// The values of an expression at each cell of a scope; truth counts as 1 and 0.
    fn tabulate(&mut self, scope: &Scope, written: &[usize], expr: &Expr, what: &str) -> Option<Table> {
        let shape: Vec<usize> = scope.iter().map(|m| self.modes[m].size()).collect();
        let cells = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).unwrap_or(usize::MAX);
        if cells > MAX_FIXED_CELLS {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA307, format!("an {what} over {cells} cells"))
                    .at(expr.span, format!("at most {MAX_FIXED_CELLS} cells"))
                    .help("split it into interactions of fewer modes"),
            );
            return None;
        }
        let cell = CellLevels {
            scope: scope.clone(),
            written: written.to_vec(),
            levels: RefCell::new(vec![0; shape.len()]),
            used: Cell::new(false),
        };
        let mut values = Vec::with_capacity(cells);
        for _ in 0..cells {
            let context = Context { work: self, cell: Some(&cell) };
            let value = match constant::evaluate(expr, &context) {
                Ok(Constant::Truth(t)) if what == "condition" => Ok(f64::from(u8::from(t))),
                Ok(other) if what == "condition" => constant::truth_of(&other, expr.span).map(|_| 0.0),
                Ok(other) => match super::numbers::Numbers::of(&other) {
                    // a table written out where it is used
                    Some(table) => context
                        .entry(&Arc::new(table), expr.span)
                        .and_then(|entry| constant::number_of(&entry, expr.span)),
                    None => constant::number_of(&other, expr.span),
                },
                Err(diagnostic) => Err(diagnostic),
            };
            let value = value
                .and_then(|x| if x.is_finite() { Ok(x) } else { Err(self.bad_energy(x, what, &cell, expr)) });
            match value {
                Ok(x) => values.push(x),
                Err(diagnostic) => {
                    self.diagnostics.push(diagnostic);
                    return None;
                }
            }
            let mut levels = cell.levels.borrow_mut();
            for axis in (0..shape.len()).rev() {
                levels[axis] += 1;
                if levels[axis] < shape[axis] {
                    break;
                }
                levels[axis] = 0;
            }
        }
        Some(Table { scope: scope.clone(), shape, values })
    }

    fn bad_energy(&self, x: f64, what: &str, cell: &CellLevels, expr: &Expr) -> Diagnostic {
        let levels = cell.levels.borrow();
        let place: Vec<String> = cell
            .scope
            .iter()
            .zip(levels.iter())
            .map(|(m, level)| format!("{} = {}", self.modes[m].name, self.modes[m].label(*level)))
            .collect();
        let shown = if x.is_nan() { "not a number".to_string() } else { format!("{x}") };
        Diagnostic::new(Code::MBA307, format!("the {what} is {shown} at {}", place.join(", ")))
            .at(expr.span, "must be finite at every cell")
            .help("give every cell a finite energy")
    }

    /// `without`: the interaction goes, its subsets stay.
    fn apply_removals(&mut self) {
        // the largest first, so that what it implies can go as well
        let mut removals = std::mem::take(&mut self.removed);
        removals.sort_by_key(|(scope, _)| std::cmp::Reverse(scope.len()));
        for (removed, span) in removals {
            let free = |i: &Interaction| matches!(i.potential, Potential::Free);
            let implied = self
                .interactions
                .iter()
                .find(|i| free(i) && i.scope != removed && removed.is_subset(&i.scope));
            let name = |scope: &Scope| {
                let names: Vec<&str> = scope.iter().map(|m| self.modes[m].name.as_str()).collect();
                format!("[{}]", names.join(" "))
            };
            if let Some(larger) = implied {
                let diagnostic = Diagnostic::new(
                    Code::MBA301,
                    format!("`{}` cannot be removed: `{}` implies it", name(&removed), name(&larger.scope)),
                )
                .at(span, "removed here")
                .at(larger.span, "implied by this")
                .help(format!("remove `{}` as well", name(&larger.scope)));
                self.diagnostics.push(diagnostic);
                continue;
            }
            let at: Vec<usize> = (0..self.interactions.len())
                .filter(|i| free(&self.interactions[*i]) && self.interactions[*i].scope == removed)
                .collect();
            let Some(first) = at.first() else {
                if !self.settled {
                    continue;
                }
                let diagnostic =
                    Diagnostic::new(Code::MBA301, format!("`{}` is not in the model", name(&removed)))
                        .at(span, "nothing to remove")
                        .help("remove what a family or an interaction put there");
                self.diagnostics.push(diagnostic);
                continue;
            };
            let source = self.interactions[*first].span;
            self.interactions.retain(|i| !(matches!(i.potential, Potential::Free) && i.scope == removed));
            if removed.len() > 1 {
                for mode in removed.iter() {
                    let scope = removed.without(mode);
                    let covered = self
                        .interactions
                        .iter()
                        .any(|i| matches!(i.potential, Potential::Free) && scope.is_subset(&i.scope));
                    if !covered {
                        self.interactions.push(Interaction {
                            scope,
                            potential: Potential::Free,
                            span: source,
                        });
                    }
                }
            }
        }
    }

    fn lint_redundant(&mut self) {
        for (position, (scope, span)) in self.explicit.iter().enumerate() {
            let larger = self.explicit.iter().enumerate().find(|(other, (larger, _))| {
                *other != position && scope.is_subset(larger) && (scope != larger || *other < position)
            });
            if let Some((_, (_, implied_by))) = larger {
                self.diagnostics.push(
                    Diagnostic::new(Code::MBA321, "this interaction is already implied")
                        .at(*span, "adds nothing")
                        .at(*implied_by, "implied by this one")
                        .help("an interaction implies all its subsets: remove the smaller one")
                        .replace(*span, "", "remove it"),
                );
            }
        }
    }
}

fn not_a_mode(found: &Constant, span: Span) -> Diagnostic {
    let help = match found {
        Constant::Family { .. } => "name one member, such as `s[0]`, or go through it with `for`",
        _ => "an interaction lists modes",
    };
    Diagnostic::new(Code::MBA223, format!("{} is not a mode", found.kind())).at(span, "not a mode").help(help)
}

/// The cell at which an expression is being evaluated.
struct CellLevels {
    scope: Scope,
    /// The modes in the order in which they were written.
    written: Vec<usize>,
    levels: RefCell<Vec<usize>>,
    used: Cell<bool>,
}

/// Names inside a model: bindings, modes (as levels of the current cell, or as themselves), params.
struct Context<'w, 'a> {
    work: &'w Elaboration<'a>,
    cell: Option<&'w CellLevels>,
}

impl Context<'_, '_> {
    /// A list at a cell: modes in it are their levels, and a table written out in lists is a table.
    fn levels_of(&self, items: &[Constant], span: Span) -> Result<Constant, Diagnostic> {
        let list = Constant::List(items.to_vec());
        if let Some(table) = super::numbers::Numbers::of(&list).filter(|t| t.shape.len() > 1) {
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

    fn table(&self, path: &str) -> Option<Result<Arc<super::numbers::Numbers>, Diagnostic>> {
        self.work.declarations.tables.get(path).cloned()
    }

    fn entry(&self, table: &Arc<super::numbers::Numbers>, span: Span) -> Result<Constant, Diagnostic> {
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
        let known = self.known();
        let near = suggest::nearest(name, known.iter().map(String::as_str));
        Err(unknown("name", name, span, near, format!("declare it: `param {name} = …`")))
    }
}

/// The names of modes and families that the items of a model mention; those that a loop gives stand for others.
fn mentioned_modes(items: &[ModelItem], names: &mut Vec<String>) {
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
    match &expr.kind {
        ExprKind::Name(name) => names.push((name.clone(), expr.span)),
        ExprKind::Unary(_, a) | ExprKind::Field(a, _) => names_in(a, names),
        ExprKind::Binary(_, a, b) | ExprKind::At(a, b) => {
            names_in(a, names);
            names_in(b, names);
        }
        ExprKind::If(a, b, c) => [a, b, c].into_iter().for_each(|e| names_in(e, names)),
        ExprKind::Call { arguments, condition, .. } => {
            arguments.iter().chain(condition).for_each(|a| names_in(&a.value, names));
        }
        ExprKind::Index(base, arguments) => {
            names_in(base, names);
            arguments.iter().for_each(|a| names_in(&a.value, names));
        }
        ExprKind::With(base, settings) => {
            names_in(base, names);
            settings.iter().for_each(|(_, e)| names_in(e, names));
        }
        ExprKind::List(items) | ExprKind::Set(items) | ExprKind::Tuple(items) => {
            items.iter().for_each(|e| names_in(e, names));
        }
        _ => {}
    }
}
