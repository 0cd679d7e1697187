//! Orders the updates of a sweep so that messages are shared.

use super::super::draft::{Clique, Draft, Move};

/// A walk around the tree (Jiroušek and Přeučil 1995, doi:10.1016/0167-9473(93)E0055-9): a clique is
/// updated when the walk first reaches it, and every edge is crossed twice, so that a sweep takes
/// 2(n−1) messages however many generators there are. The clique the walk stands on is always exact.
pub fn order(draft: &mut Draft) {
    for atom in &mut draft.atoms {
        atom.sweep = if atom.iterates() { walk(&atom.cliques) } else { Vec::new() };
    }
}

fn walk(cliques: &[Clique]) -> Vec<Move> {
    let mut children = vec![Vec::new(); cliques.len()];
    for (i, clique) in cliques.iter().enumerate() {
        if let Some(p) = clique.node.parent {
            children[p].push(i);
        }
    }
    let mut moves = vec![Move::Update(0)];
    let mut path = vec![(0, 0)];
    while let Some((here, visited)) = path.last_mut() {
        let (from, next) = (*here, children[*here].get(*visited).copied());
        *visited += 1;
        if let Some(to) = next {
            moves.push(Move::Message { from, to, edge: to });
            moves.push(Move::Update(to));
            path.push((to, 0));
        } else {
            path.pop();
            if let Some((to, _)) = path.last() {
                moves.push(Move::Message { from, to: *to, edge: from });
            }
        }
    }
    moves
}
