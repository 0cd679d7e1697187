//! Separates components into atoms at separators inside a generator.

use crate::model::Scope;

use super::super::draft::{Atom, Draft};
use super::super::graph::Graph;
use super::super::hypergraph::maximal;

/// Where a separator S lies inside a free generator, the optimum factors: Q = Q_A Q_B / P_S, because
/// Q_S = P_S on both sides. A separator that is only complete in the 2-section will not do: nothing
/// in the model fixes its marginal. A minimal triangulation has all candidates among the separators
/// of its clique tree (Leimer 1993, doi:10.1016/0012-365X(93)90510-Z).
pub fn separate(draft: &mut Draft) {
    let mut separated = Vec::new();
    for component in std::mem::take(&mut draft.atoms) {
        separate_one(draft, component, &mut separated);
    }
    draft.atoms = separated;
}

fn separate_one(draft: &Draft, component: Atom, out: &mut Vec<Atom>) {
    let fixed_scopes: Vec<(usize, &Scope)> =
        component.fixed.iter().filter_map(|k| draft.fixed_scope(*k).map(|s| (*k, s))).collect();
    let scopes = component.generators.iter().chain(fixed_scopes.iter().map(|(_, s)| *s));
    let tree = Graph::of(&component.modes, scopes).minimal_triangulation().clique_tree();

    let base = out.len();
    let mut home: Vec<usize> = Vec::with_capacity(tree.len());
    for node in &tree {
        let above = node.parent.and_then(|p| home.get(p)).copied();
        let splits = component.generators.iter().any(|g| node.separator.is_subset(g));
        match above {
            Some(atom) if !splits => {
                let merged = out[atom].modes.union(&node.scope);
                out[atom].modes = merged;
                home.push(atom);
            }
            _ => {
                let mut atom = Atom::new(node.scope.clone(), Vec::new(), Vec::new());
                atom.parent = above.map(|a| (a, node.separator.clone()));
                home.push(out.len());
                out.push(atom);
            }
        }
    }

    let edges: Vec<(usize, usize, Scope)> = out[base..]
        .iter()
        .enumerate()
        .filter_map(|(i, a)| a.parent.clone().map(|(p, s)| (base + i, p, s)))
        .collect();
    for (i, atom) in out.iter_mut().enumerate().skip(base) {
        let own = component.generators.iter().filter(|g| g.is_subset(&atom.modes)).cloned();
        let shared = edges.iter().filter(|(a, p, _)| *a == i || *p == i).map(|(_, _, s)| s.clone());
        atom.generators = maximal(&own.chain(shared).collect::<Vec<_>>());
    }
    for (k, scope) in fixed_scopes {
        if let Some(atom) = out[base..].iter_mut().find(|a| scope.is_subset(&a.modes)) {
            atom.fixed.push(k);
        }
    }
}
