//! The cheapest schedule within the memory budget, where the cheapest of all is beyond it.

use super::cost;
use super::draft::{Atom, Clique, Draft};
use super::order::several;
use super::passes::factor::{Cover, cover, factored, held, singly};
use super::passes::{choose, finish, lower};
use super::schedule::Schedule;

/// Atoms that are looked at, those that take most memory first.
const ATOMS: usize = 8;

/// Junction trees that are looked at in each of them.
const TREES: usize = 64;

/// Operations of a sweep that nobody would wait for: what takes more is refused, however little memory it needs.
const LONG: f64 = 1e12;

/// One way to go through an atom.
struct Form {
    cliques: Vec<Clique>,
    /// Bytes of the atom by itself.
    memory: f64,
}

/// The cheapest schedule that is found within `budget` bytes, given the cheapest of all; none when none is.
///
/// Every atom may go by any of the orders of elimination that the search looks at, and by each in tables, in
/// factors with views that are shared, or in factors with a view for each generator. What an atom may take
/// is lowered until all of them fit together, and each takes the cheapest form within it. With one
/// atom that iterates this is the cheapest of all forms that fit. The same arguments give the
/// same schedule on every machine. Prices 3 · 64 forms of each of at most 8 atoms, and compiles those by themselves that
/// hold less in their tables than any that is cheaper.
pub fn within(cheapest: &Schedule, budget: f64) -> Option<Schedule> {
    let draft = &cheapest.draft;
    let profile = cheapest.profile.as_ref();
    let mut open: Vec<(usize, f64)> = draft
        .atoms
        .iter()
        .enumerate()
        .filter(|(_, a)| !a.closed)
        .map(|(k, a)| (k, held(draft, &a.cliques)))
        .collect();
    open.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.cmp(b)));
    open.truncate(ATOMS);
    let forms: Vec<(usize, Vec<Form>)> =
        open.into_iter().map(|(k, _)| (k, forms(draft, k, cheapest, budget))).collect();
    let mut bounds: Vec<f64> = forms.iter().flat_map(|(_, own)| own).map(|f| f.memory).collect();
    bounds.sort_by(|a, b| b.total_cmp(a));
    bounds.dedup();
    let mut before = Vec::new();
    for bound in bounds {
        // the cheapest within the bound, or else the smallest
        let pick = |own: &[Form]| own.iter().position(|f| f.memory <= bound).or(own.len().checked_sub(1));
        let picked: Vec<Option<usize>> = forms.iter().map(|(_, own)| pick(own)).collect();
        if picked == before {
            continue;
        }
        let mut other = draft.clone();
        for ((k, own), at) in forms.iter().zip(&picked) {
            if let Some(form) = at.and_then(|at| own.get(at)) {
                other.atoms[*k].cliques = form.cliques.clone();
            }
        }
        finish(&mut other);
        let schedule = lower(&other, &cheapest.model, profile, cheapest.solver);
        if schedule.peak <= budget {
            return Some(schedule);
        }
        before = picked;
    }
    None
}

/// The forms of an atom, cheapest first, each smaller than those before it.
fn forms(draft: &Draft, k: usize, like: &Schedule, budget: f64) -> Vec<Form> {
    let Some(atom) = draft.atoms.get(k) else { return Vec::new() };
    let bare = Draft { atoms: Vec::new(), from_data: Vec::new(), derived: Vec::new(), ..draft.clone() };
    let mut trees: Vec<Vec<Clique>> = vec![plain(&atom.cliques)];
    for order in several(&draft.sizes, choose::scopes(draft, atom), draft.effort) {
        let tree = choose::tree(draft, atom, &order);
        if trees.len() < TREES && !trees.iter().any(|t| alike(t, &tree)) {
            trees.push(tree);
        }
    }
    let mut ways: Vec<(Vec<Clique>, f64, f64)> = Vec::new();
    for cliques in trees {
        let atom = Atom { cliques, ..atom.clone() };
        let covers: [Cover; 2] = [cover, singly];
        let views = covers.into_iter().filter(|_| atom.iterates()).filter_map(|c| factored(draft, &atom, c));
        let tables = (atom.cliques.clone(), cost::sweep_operations(draft, &atom.cliques));
        for (cliques, price) in views.chain([tables]) {
            let held = held(draft, &cliques);
            // what is written down for sure
            if 8.0 * held <= budget && price <= LONG {
                ways.push((cliques, price, held));
            }
        }
    }
    ways.sort_by(|(_, a, x), (_, b, y)| a.total_cmp(b).then(x.total_cmp(y)));
    let ways = falling(ways, |(_, _, held)| *held).into_iter().map(|(cliques, _, _)| {
        let memory = alone(&bare, Atom { cliques: cliques.clone(), ..atom.clone() }, like);
        Form { cliques, memory }
    });
    falling(ways.collect(), |f: &Form| f.memory)
}

/// Those that are smaller than all before them.
fn falling<T>(all: Vec<T>, size: impl Fn(&T) -> f64) -> Vec<T> {
    let mut least = f64::INFINITY;
    let mut smaller = all;
    smaller.retain(|x| {
        let falls = size(x) < least;
        least = least.min(size(x));
        falls
    });
    smaller
}

/// The peak of one atom by itself, in bytes.
fn alone(bare: &Draft, atom: Atom, like: &Schedule) -> f64 {
    let mut single = Draft { atoms: vec![Atom { parent: None, ..atom }], ..bare.clone() };
    finish(&mut single);
    lower(&single, &like.model, like.profile.as_ref(), like.solver).peak
}

/// A tree in tables.
fn plain(cliques: &[Clique]) -> Vec<Clique> {
    cliques.iter().map(|c| Clique { views: Vec::new(), ..c.clone() }).collect()
}

/// Whether two trees have the same cliques and separators.
fn alike(a: &[Clique], b: &[Clique]) -> bool {
    let parts = |tree: &[Clique]| {
        let mut all: Vec<_> = tree.iter().map(|c| (c.node.scope.clone(), c.node.separator.clone())).collect();
        all.sort();
        all
    };
    a.len() == b.len() && parts(a) == parts(b)
}
