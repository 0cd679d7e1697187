//! What `without` takes away, and interactions that others imply.

use super::Elaboration;
use crate::model::energy::{Interaction, Potential};
use crate::model::scope::Scope;
use crate::text::{Code, Diagnostic};

impl Elaboration<'_> {
    /// `without`: the interaction goes, its subsets stay.
    pub(super) fn apply_removals(&mut self) {
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

    pub(super) fn lint_redundant(&mut self) {
        // a table that is tied does not imply its subsets, which are not tied
        let sides = self.regular.ties.iter().flat_map(|t| [&t.left, &t.right]);
        let tied: Vec<Scope> = sides.map(|side| side.iter().copied().collect()).collect();
        for (position, (scope, span)) in self.explicit.iter().enumerate() {
            let larger = self.explicit.iter().enumerate().find(|(other, (larger, _))| {
                *other != position
                    && scope.is_subset(larger)
                    && (scope != larger || *other < position)
                    && (scope == larger || !tied.contains(larger))
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
