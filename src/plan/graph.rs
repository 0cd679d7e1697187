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

/// What greedy elimination minimises at each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greed {
    /// Number of edges added, then the size of the clique.
    Fill,
    /// The size of the clique, then the number of edges added.
    Weight,
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

    /// Greedy elimination; ties go to the smallest mode. O(n² + Σ fill · degree).
    pub fn eliminate(&self, greed: Greed, sizes: &[usize]) -> Elimination {
        let mut around = self.neighbours.clone();
        let mut score: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
        let rate = |around: &BTreeMap<usize, BTreeSet<usize>>, v: usize| {
            let Some(near) = around.get(&v) else { return (0.0, 0.0) };
            let mut fill = 0.0;
            for a in near {
                let of_a = around.get(a);
                let missing = near.range(a + 1..).filter(|b| of_a.is_none_or(|s| !s.contains(b)));
                fill += missing.count() as f64;
            }
            let size = |m: usize| sizes.get(m).copied().unwrap_or(1) as f64;
            let weight = near.iter().fold(size(v), |w, u| w * size(*u));
            match greed {
                Greed::Fill => (fill, weight),
                Greed::Weight => (weight, fill),
            }
        };
        for v in around.keys() {
            score.insert(*v, rate(&around, *v));
        }
        let mut steps = Vec::new();
        while let Some(v) = score
            .iter()
            .min_by(|(a, x), (b, y)| x.0.total_cmp(&y.0).then(x.1.total_cmp(&y.1)).then(a.cmp(b)))
            .map(|(v, _)| *v)
        {
            let near = around.remove(&v).unwrap_or_default();
            score.remove(&v);
            let mut stale = near.clone();
            for a in &near {
                let Some(of_a) = around.get_mut(a) else { continue };
                of_a.remove(&v);
                let added: Vec<usize> =
                    near.iter().copied().filter(|b| b != a && !of_a.contains(b)).collect();
                of_a.extend(&added);
                if !added.is_empty() {
                    // an edge added at `a` may close a gap in any neighbourhood that holds `a`
                    stale.extend(of_a.iter().copied());
                }
            }
            for u in stale {
                if let Some(s) = score.get_mut(&u) {
                    *s = rate(&around, u);
                }
            }
            steps.push((v, near));
        }
        Elimination { steps }
    }
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
    /// The vertices in the order in which they are eliminated.
    pub fn order(&self) -> impl Iterator<Item = usize> + '_ {
        self.steps.iter().map(|(v, _)| *v)
    }

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
            [graph.minimal_triangulation().clique_tree(), graph.eliminate(Greed::Fill, &[2; 4]).clique_tree()]
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
