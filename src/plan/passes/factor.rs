//! Keeps cliques as products of factors where that is cheaper than their tables.

use crate::model::Scope;

use super::super::cost;
use super::super::draft::{Atom, Clique, Draft, View};
use super::super::graph::{Node, rooted_at};
use super::super::schedule::Shape;

/// Cells of the largest clique below which tables are cheap enough.
const SMALL: f64 = 4096.0;

/// A clique of generators much smaller than itself need not be a table: what its generators and its
/// neighbours ask of it are sums of products, taken as matrix products over slices where the factors
/// allow, and otherwise cell by cell, a block at a time. Four modes in pairs take 3 n⁴ multiply–adds a sweep
/// and n³ memory, a triangle n³ and n², all triples of four modes 16 n⁴ operations in the nearest cache and
/// n³ memory. An atom is factored when the sweep is predicted to be cheaper, or hardly dearer in far less memory.
pub fn factor(draft: &mut Draft) {
    let mut atoms = std::mem::take(&mut draft.atoms);
    for atom in &mut atoms {
        let largest = atom.cliques.iter().map(|c| draft.cells(&c.node.scope)).fold(0.0, f64::max);
        if !atom.iterates() || largest < SMALL {
            continue;
        }
        let Some((cliques, operations)) = factored(draft, atom, cover) else { continue };
        let tables = cost::sweep_operations(draft, &atom.cliques);
        let small = || MUCH * held(draft, &cliques) <= held(draft, &atom.cliques);
        if operations < tables || operations <= ALIKE * tables && small() {
            atom.cliques = cliques;
        }
    }
    draft.atoms = atoms;
}

/// Operations of a sweep that are as good as the same, as a ratio.
const ALIKE: f64 = 1.05;

/// How many times smaller far less memory is.
const MUCH: f64 = 4.0;

/// Cells of the tables of a junction tree: views and messages, or else whole cliques.
pub fn held(draft: &Draft, cliques: &[Clique]) -> f64 {
    let messages = cliques.iter().map(|c| draft.cells(&c.node.separator)).sum::<f64>();
    if cliques.iter().all(|c| c.views.is_empty()) {
        return messages + cliques.iter().map(|c| draft.cells(&c.node.scope)).sum::<f64>();
    }
    2.0 * messages + cliques.iter().flat_map(|c| &c.views).map(|v| draft.cells(&v.scope)).sum::<f64>()
}

/// A way to put the generators of a clique on views.
pub type Cover = fn(&Atom, &Clique) -> Vec<View>;

/// The junction tree of an atom with views of every clique, and the operations of a sweep.
pub fn factored(draft: &Draft, atom: &Atom, cover: Cover) -> Option<(Vec<Clique>, f64)> {
    let mut atom = atom.clone();
    hang(&mut atom)?;
    let (views, operations) = views(draft, &atom, cover)?;
    for (clique, views) in atom.cliques.iter_mut().zip(views) {
        clique.views = views;
    }
    Some((atom.cliques, operations))
}

/// A sweep starts with a view of the root: the tree is hung from the first clique that has generators and holds
/// what the atom shares with its parent.
fn hang(atom: &mut Atom) -> Option<()> {
    let shared = atom.parent.as_ref().map(|(_, s)| s);
    let holds = |c: &Clique| shared.is_none_or(|s| s.is_subset(&c.node.scope));
    let root = atom.cliques.iter().position(|c| !c.generators.is_empty() && holds(c))?;
    if root > 0 {
        let nodes: Vec<Node> = atom.cliques.iter().map(|c| c.node.clone()).collect();
        let mut cliques = Vec::with_capacity(nodes.len());
        for node in rooted_at(&nodes, root) {
            // no clique is inside another
            let own = atom.cliques.iter().find(|c| c.node.scope == node.scope)?;
            cliques.push(Clique { node, ..own.clone() });
        }
        atom.cliques = cliques;
    }
    Some(())
}

/// The views of every clique, and the operations of a sweep.
fn views(draft: &Draft, atom: &Atom, cover: Cover) -> Option<(Vec<Vec<View>>, f64)> {
    let mut total = 0.0;
    let mut all = Vec::with_capacity(atom.cliques.len());
    for (c, clique) in atom.cliques.iter().enumerate() {
        let factors = factors(draft, atom, c);
        let scopes: Vec<Scope> = factors.iter().map(|(_, s)| s.clone()).collect();
        let filtered = filter(draft, clique).is_some();
        let price = |onto: &Scope| {
            if filtered {
                let price = cost::Filtered::of(&|s| draft.cells(s), &clique.node.scope, onto, &scopes)?;
                return Some(price.operations(cost::Arithmetic::Every, 0.0) / cost::EVERY);
            }
            let shape = Shape::of(&clique.node.scope, onto, &scopes)?;
            let (operations, _, _) = cost::product(&|s| draft.cells(s), &shape, &scopes);
            let faster = match shape.streamed {
                false => cost::MATRIX,
                true if draft.cells(&clique.node.scope) >= cost::FAR => cost::STREAM,
                true => 1.0,
            };
            Some(operations / faster)
        };
        let views = cover(atom, clique);
        for view in &views {
            total += price(&view.scope)?;
            let pairs = view.generators.len() as f64;
            total += 2.0 * pairs * draft.cells(&view.scope);
        }
        for (from, scope) in &factors {
            if matches!(from, Source::Message(_)) {
                total += price(scope)?;
            }
        }
        all.push(views);
    }
    Some((all, total))
}

/// Where a factor of a clique comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A generator, by position in the atom.
    Generator(usize),
    /// A neighbouring clique, by position in the atom.
    Message(usize),
    /// A fixed potential, by position in the model's interactions.
    Fixed(usize),
}

/// The fixed potential that says of each cell of a clique whether it counts: it is never a factor of doubles.
pub fn filter(draft: &Draft, clique: &Clique) -> Option<usize> {
    let whole = |k: &&usize| draft.fixed_scope(**k) == Some(&clique.node.scope);
    clique.fixed.iter().filter(whole).find(|k| draft.supports.contains(k)).copied()
}

/// What a clique is the product of, besides its [`filter`].
pub fn factors(draft: &Draft, atom: &Atom, c: usize) -> Vec<(Source, Scope)> {
    let Some(clique) = atom.cliques.get(c) else { return Vec::new() };
    let own = clique.generators.iter();
    let own = own.filter_map(|g| atom.generators.get(*g).map(|s| (Source::Generator(*g), s.clone())));
    let above = clique.node.parent.map(|p| (Source::Message(p), clique.node.separator.clone()));
    let below = atom.cliques.iter().enumerate().filter(|(_, k)| k.node.parent == Some(c));
    let below = below.map(|(i, k)| (Source::Message(i), k.node.separator.clone()));
    let filter = filter(draft, clique);
    let fixed = clique.fixed.iter().filter(|k| filter != Some(**k));
    let fixed = fixed.filter_map(|k| draft.fixed_scope(*k).map(|s| (Source::Fixed(*k), s.clone())));
    own.chain(above).chain(below).chain(fixed).collect()
}

/// A view for every generator: the smallest views, and the most work.
pub fn singly(atom: &Atom, clique: &Clique) -> Vec<View> {
    let view = |g: &usize| Some(View { scope: atom.generators.get(*g)?.clone(), generators: vec![*g] });
    clique.generators.iter().filter_map(view).collect()
}

/// Views that hold every generator once: each leaves out the one mode whose absence leaves most of the
/// generators that are still to be placed (the last mode on a tie), and is as small as its generators allow.
pub fn cover(atom: &Atom, clique: &Clique) -> Vec<View> {
    let mut waiting = clique.generators.clone();
    let mut views = Vec::new();
    let scope_of = |g: usize| atom.generators.get(g).cloned().unwrap_or_else(Scope::empty);
    while !waiting.is_empty() {
        let placed = |m: usize| waiting.iter().filter(|g| !scope_of(**g).contains(m)).count();
        let Some(out) = clique.node.scope.iter().max_by_key(|m| placed(*m)) else { break };
        let (mut here, later): (Vec<usize>, Vec<usize>) =
            waiting.iter().partition(|g| !scope_of(**g).contains(out));
        if here.is_empty() {
            // a generator that is the clique itself
            here = later;
            waiting = Vec::new();
        } else {
            waiting = later;
        }
        let scope = here.iter().fold(Scope::empty(), |s, g| s.union(&scope_of(*g)));
        views.push(View { scope, generators: here });
    }
    views
}
