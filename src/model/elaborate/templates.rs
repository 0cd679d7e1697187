//! What stands for many items: families, templates with their arguments, loops.

use super::names::Context;
use super::{Elaboration, MAX_TEMPLATES, MAX_TURNS};
use crate::model::constant::{self, Constant};
use crate::model::declarations::{ModelEntry, unknown};
use crate::model::energy::{Interaction, Potential};
use crate::model::family::{FAMILIES, Family, FamilyCall};
use crate::text::ast::{Argument, Call, Expr, ModeRef, ModelItem};
use crate::text::{Code, Diagnostic, Label, Span, suggest};

impl Elaboration<'_> {
    pub(super) fn family(&mut self, call: &Call, over: Option<&[ModeRef]>, span: Span, current: &[usize]) {
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

    pub(super) fn apply_template(&mut self, entry: &ModelEntry, call: &Call, modes: &[usize]) {
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

    pub(super) fn bind_formal(&mut self, name: &str, over: &[ModeRef], modes: &[usize], span: Span) {
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
    pub(super) fn bind(
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

    pub(super) fn repeat(
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
}
