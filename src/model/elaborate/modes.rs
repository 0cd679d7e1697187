//! Which modes a model spans, and which mode a name in it means.

use super::Elaboration;
use super::names::{Context, mentioned_modes, names_in, not_a_mode};
use crate::model::constant::{self, Constant};
use crate::model::declarations::{ModelEntry, mode_entry, unknown};
use crate::model::mode::Mode;
use crate::model::scope::Scope;
use crate::text::ast::{Call, InteractionTerm, ModeDeclaration, ModeRef, ModelItem, ModelItemKind};
use crate::text::{Code, Diagnostic, Span, suggest};

impl Elaboration<'_> {
    pub(super) fn choose_modes(&mut self, entry: &ModelEntry, call: Option<&Call>, span: Option<&[String]>) {
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
    pub(super) fn add_locals(&mut self, items: &[ModelItem]) {
        for item in items {
            if let ModelItemKind::Mode(list) | ModelItemKind::Latent(list) = &item.kind {
                let latent = matches!(item.kind, ModelItemKind::Latent(_));
                list.iter().for_each(|declared| self.add_local(declared, latent));
            }
        }
    }

    pub(super) fn add_mode(&mut self, mode: Mode) -> usize {
        let position = self.modes.len();
        self.index.insert(mode.name.clone(), position);
        self.modes.push(mode);
        position
    }

    /// Adds a mode of the tensor by its full name; a member of a family brings the family along.
    pub(super) fn add_known(&mut self, name: &str) {
        let mode = self.known.get(name).cloned().unwrap_or_else(|| Mode::counted(name, 1));
        let position = self.add_mode(mode);
        if let Some((family, _)) = name.split_once('[')
            && let Some(entry) = self.declarations.modes.get(family)
        {
            let sizes = entry.sizes.clone();
            self.families.entry(family.to_string()).or_insert_with(|| (Vec::new(), sizes)).0.push(position);
        }
    }

    pub(super) fn add_declared(&mut self, name: &str, span: Span) -> Result<(), Diagnostic> {
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

    pub(super) fn add_local(&mut self, declaration: &ModeDeclaration, latent: bool) {
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
    pub(super) fn mode_list(&mut self, references: &[ModeRef]) -> Option<Vec<usize>> {
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

    pub(super) fn resolve(&self, reference: &ModeRef) -> Result<Constant, Diagnostic> {
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
    pub(super) fn name(&self, name: &str, span: Span) -> Result<Constant, Diagnostic> {
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

    pub(super) fn member(
        &self,
        base: &Constant,
        indices: &[Constant],
        span: Span,
    ) -> Result<Constant, Diagnostic> {
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
                    format!("index {} is outside 0 … {}", crate::model::mode::number_label(x), size - 1),
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

    pub(super) fn scope(&mut self, term: &InteractionTerm) -> Option<Scope> {
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
    pub(super) fn written(&self, term: &InteractionTerm) -> Vec<usize> {
        let found = |reference| match self.resolve(reference) {
            Ok(Constant::List(items)) => items,
            Ok(other) => vec![other],
            Err(_) => Vec::new(),
        };
        let mode = |c: Constant| if let Constant::Mode(m) = c { Some(m) } else { None };
        term.modes.iter().flat_map(found).filter_map(mode).collect()
    }
}
