//! Splits the model into independent components.

use crate::model::Scope;

use super::super::draft::{Atom, Draft};
use super::super::graph::Graph;

/// Modes that no chain of interactions connects are independent: the optimum is a product.
/// A mode in no interaction at all is a component without a generator, and uniform.
pub fn split(draft: &mut Draft) {
    let scopes = draft.generators.iter().chain(draft.fixed.iter().map(|(_, s)| s));
    let graph = Graph::of(&Scope::all(draft.sizes.len()), scopes);
    draft.atoms = graph
        .components()
        .into_iter()
        .map(|modes| {
            let generators = draft.generators.iter().filter(|g| g.is_subset(&modes));
            let fixed = draft.fixed.iter().filter(|(_, s)| !s.is_empty() && s.is_subset(&modes));
            Atom::new(modes.clone(), generators.cloned().collect(), fixed.map(|(k, _)| *k).collect())
        })
        .collect();
    // a fixed potential over no modes is a constant; it belongs to the first component
    if let Some(first) = draft.atoms.first_mut() {
        first.fixed.extend(draft.fixed.iter().filter(|(_, s)| s.is_empty()).map(|(k, _)| *k));
    }
}
