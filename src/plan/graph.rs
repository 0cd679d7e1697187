//! Undirected graphs: triangulation, elimination and clique trees.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Scope;

/// The 2-section of a hypergraph: two modes are adjacent when some scope holds both.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    neighbours: BTreeMap<usize, BTreeSet<usize>>,
}

/// A node of a clique tree. Parents come before their children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The modes of the clique.
    pub scope: Scope,
    /// The node towards the root; none at the root.
    pub parent: Option<usize>,
    /// The modes shared with the parent.
    pub separator: Scope,
}

/// An order of elimination together with the neighbours each vertex had when its turn came.
#[derive(Debug, Clone, Default)]
pub struct Elimination {
    steps: Vec<(usize, BTreeSet<usize>)>,
}

impl Graph {
    /// The 2-section of `scopes` on the vertices `modes`.
    pub fn of<'a>(modes: &Scope, scopes: impl IntoIterator<Item = &'a Scope>) -> Self {
        let mut neighbours: BTreeMap<usize, BTreeSet<usize>> =
            modes.iter().map(|m| (m, BTreeSet::new())).collect();
        for scope in scopes {
            for a in scope.iter() {
                let of_a = neighbours.entry(a).or_default();
                of_a.extend(scope.iter().filter(|b| *b != a));
            }
        }
        Self { neighbours }
    }

    /// Connected components, each by its modes, in the order of their smallest mode.
    pub fn components(&self) -> Vec<Scope> {
        let mut seen = BTreeSet::new();
        let mut components = Vec::new();
        for start in self.neighbours.keys().copied() {
            if !seen.insert(start) {
                continue;
            }
            let mut reached = vec![start];
            let mut next = 0;
            while let Some(v) = reached.get(next).copied() {
                next += 1;
                for u in self.around(v) {
                    if seen.insert(u) {
                        reached.push(u);
                    }
                }
            }
            components.push(reached.into_iter().collect());
        }
        components
    }

    fn around(&self, v: usize) -> impl Iterator<Item = usize> + '_ {
        self.neighbours.get(&v).into_iter().flatten().copied()
    }

    /// A minimal triangulation by MCS-M (Berry, Blair, Heggernes and Peyton 2004,
    /// doi:10.1007/s00453-004-1084-3), O(n m). Ties go to the smallest mode.
    pub fn minimal_triangulation(&self) -> Elimination {
        let mut weight: BTreeMap<usize, usize> = self.neighbours.keys().map(|v| (*v, 0)).collect();
        let mut steps = Vec::new();
        let mut higher: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        while let Some((v, _)) =
            weight.iter().map(|(v, w)| (*v, *w)).max_by_key(|(v, w)| (*w, std::cmp::Reverse(*v)))
        {
            weight.remove(&v);
            let mut reached = BTreeSet::from([v]);
            let mut bucket: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            let mut raised = Vec::new();
            for u in self.around(v) {
                if let Some(w) = weight.get(&u) {
                    reached.insert(u);
                    raised.push(u);
                    bucket.entry(*w).or_default().push(u);
                }
            }
            // a vertex is raised when a path of strictly lighter vertices leads to it
            while let Some((level, x)) = pop_lightest(&mut bucket) {
                for y in self.around(x) {
                    let Some(w) = weight.get(&y).copied() else { continue };
                    if !reached.insert(y) {
                        continue;
                    }
                    if w > level {
                        raised.push(y);
                    }
                    bucket.entry(w.max(level)).or_default().push(y);
                }
            }
            for u in raised {
                if let Some(w) = weight.get_mut(&u) {
                    *w += 1;
                }
                higher.entry(u).or_default().insert(v);
            }
            steps.push((v, higher.remove(&v).unwrap_or_default()));
        }
        steps.reverse();
        Elimination { steps }
    }

    /// Elimination in a given order; modes it leaves out come last. O(Σ degree²).
    pub fn eliminate_in(&self, order: &[usize]) -> Elimination {
        let mut around: BTreeMap<usize, Vec<usize>> =
            self.neighbours.iter().map(|(v, near)| (*v, near.iter().copied().collect())).collect();
        let mut steps = Vec::with_capacity(around.len());
        for v in order.iter().chain(self.neighbours.keys()) {
            let Some(near) = around.remove(v) else { continue };
            for a in &near {
                if let Some(of_a) = around.get_mut(a) {
                    *of_a = merged(of_a, &near, [*a, *v]);
                }
            }
            steps.push((*v, near.into_iter().collect()));
        }
        Elimination { steps }
    }
}

/// What is in either of two sorted lists, without two of them.
fn merged(a: &[usize], b: &[usize], without: [usize; 2]) -> Vec<usize> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    while let Some(x) = match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if x <= y => a.next(),
        (Some(_), None) => a.next(),
        _ => b.next(),
    } {
        if out.last() != Some(&x) && !without.contains(&x) {
            out.push(x);
        }
    }
    out
}

fn pop_lightest(bucket: &mut BTreeMap<usize, Vec<usize>>) -> Option<(usize, usize)> {
    loop {
        let mut lightest = bucket.first_entry()?;
        if let Some(x) = lightest.get_mut().pop() {
            return Some((*lightest.key(), x));
        }
        lightest.remove();
    }
}

impl Elimination {
    /// The clique tree of the triangulated graph (Blair and Peyton 1993): maximal cliques only,
    /// parents before children, one root per connected component.
    pub fn clique_tree(&self) -> Vec<Node> {
        let turn: BTreeMap<usize, usize> = self.steps.iter().enumerate().map(|(i, (v, _))| (*v, i)).collect();
        let mut nodes: Vec<Node> = Vec::new();
        let mut home: BTreeMap<usize, usize> = BTreeMap::new();
        for (v, near) in self.steps.iter().rev() {
            let first = near.iter().min_by_key(|u| turn.get(u));
            let parent = first.and_then(|u| home.get(u)).copied();
            let separator: Scope = near.iter().copied().collect();
            let grown = separator.union(&Scope::from([*v]));
            let place = match parent.and_then(|p| nodes.get_mut(p).map(|n| (p, n))) {
                Some((p, node)) if node.scope == separator => {
                    node.scope = grown;
                    p
                }
                _ => {
                    nodes.push(Node { scope: grown, parent, separator });
                    nodes.len() - 1
                }
            };
            home.insert(*v, place);
        }
        nodes
    }
}

/// The same tree hung from another node; parents come before children again.
pub fn rooted_at(nodes: &[Node], root: usize) -> Vec<Node> {
    let mut links: Vec<Vec<(usize, &Scope)>> = vec![Vec::new(); nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        if let Some(p) = node.parent {
            links[i].push((p, &node.separator));
            links[p].push((i, &node.separator));
        }
    }
    let mut order = vec![(root, None, Scope::empty())];
    let mut place = vec![usize::MAX; nodes.len()];
    let mut next = 0;
    let mut out = Vec::with_capacity(nodes.len());
    while let Some((i, parent, separator)) = order.get(next).cloned() {
        place[i] = next;
        out.push(Node { scope: nodes[i].scope.clone(), parent, separator });
        for (j, s) in &links[i] {
            if place[*j] == usize::MAX {
                order.push((*j, Some(next), (*s).clone()));
            }
        }
        next += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_of_four_gets_one_chord() {
        let pairs = [[0, 1], [1, 2], [2, 3], [0, 3]].map(Scope::from);
        let graph = Graph::of(&Scope::all(4), &pairs);
        for tree in
            [graph.minimal_triangulation().clique_tree(), graph.eliminate_in(&[0, 1, 2, 3]).clique_tree()]
        {
            assert_eq!(tree.len(), 2);
            assert!(tree.iter().all(|n| n.scope.len() == 3));
            assert_eq!(tree[1].separator.len(), 2);
        }
    }

    #[test]
    fn a_chain_gains_nothing_and_can_be_hung_from_any_clique() {
        let pairs: Vec<Scope> = (0..5).map(|i| Scope::from([i, i + 1])).collect();
        let tree = Graph::of(&Scope::all(6), &pairs).minimal_triangulation().clique_tree();
        assert_eq!(tree.len(), 5);
        for root in 0..5 {
            let hung = rooted_at(&tree, root);
            assert_eq!(hung[0].scope, tree[root].scope);
            for (i, node) in hung.iter().enumerate().skip(1) {
                let parent = node.parent.expect("one root");
                assert!(parent < i);
                assert_eq!(hung[parent].scope.intersection(&node.scope), node.separator);
            }
        }
    }
}
