//! Chooses a junction tree for each atom, by predicted cost.

use crate::model::Scope;

use super::super::draft::{Atom, Clique, Draft};
use super::super::graph::{Graph, Node, rooted_at};
use super::super::order::{Order, search};

/// Sums modes out in the cheapest order that is found ([`search`]). A closed form needs no choice: its
/// generator is the one clique. The tree hangs from a clique that holds the separator towards the
/// parent atom.
pub fn choose(draft: &mut Draft) {
    let mut atoms = std::mem::take(&mut draft.atoms);
    for atom in &mut atoms {
        let found = search(&draft.sizes, scopes(draft, atom), draft.effort);
        atom.cliques = tree(draft, atom, &found);
    }
    draft.atoms = atoms;
}

/// What has to be inside some clique of an atom.
pub fn scopes<'a>(draft: &'a Draft, atom: &'a Atom) -> Vec<&'a Scope> {
    let fixed = atom.fixed.iter().filter_map(|k| draft.fixed_scope(*k));
    atom.generators.iter().chain(fixed).collect()
}

/// The junction tree of an order of elimination.
pub fn tree(draft: &Draft, atom: &Atom, order: &Order) -> Vec<Clique> {
    let nodes = Graph::of(&atom.modes, scopes(draft, atom)).eliminate_in(&order.modes).clique_tree();
    let root = match &atom.parent {
        Some((_, s)) => nodes.iter().position(|n| s.is_subset(&n.scope)).unwrap_or(0),
        None => 0,
    };
    assign(draft, atom, rooted_at(&nodes, root))
}

/// Every generator and every fixed potential goes to the smallest clique that holds it.
fn assign(draft: &Draft, atom: &Atom, nodes: Vec<Node>) -> Vec<Clique> {
    let mut cliques: Vec<Clique> = nodes
        .into_iter()
        .map(|node| Clique { node, generators: Vec::new(), fixed: Vec::new(), views: Vec::new() })
        .collect();
    let smallest = |cliques: &[Clique], scope: &Scope| {
        let holds = cliques.iter().enumerate().filter(|(_, c)| scope.is_subset(&c.node.scope));
        let size = |c: &Clique| draft.cells(&c.node.scope);
        holds.min_by(|(_, a), (_, b)| size(a).total_cmp(&size(b))).map(|(i, _)| i)
    };
    for (g, scope) in atom.generators.iter().enumerate() {
        if let Some(c) = smallest(&cliques, scope) {
            cliques[c].generators.push(g);
        }
    }
    for k in &atom.fixed {
        if let Some(c) = draft.fixed_scope(*k).and_then(|s| smallest(&cliques, s)) {
            cliques[c].fixed.push(*k);
        }
    }
    cliques
}
