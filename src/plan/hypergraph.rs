//! Generating classes: sets of scopes, none inside another.

use crate::model::Scope;

/// The maximal scopes, in their first order of appearance. O(n²) subset tests.
pub fn maximal(scopes: &[Scope]) -> Vec<Scope> {
    let mut kept: Vec<Scope> = Vec::new();
    for scope in scopes {
        if kept.iter().any(|k| scope.is_subset(k)) {
            continue;
        }
        kept.retain(|k| !k.is_subset(scope));
        kept.push(scope.clone());
    }
    kept
}

/// Whether the hypergraph is acyclic, by the reduction of Graham, Yu and Özsoyoğlu (Beeri,
/// Fagin, Maier and Yannakakis 1983, doi:10.1145/2402.322389): repeatedly drop modes that stand in
/// one scope only and scopes inside others, until nothing is left or nothing moves.
pub fn is_acyclic(scopes: &[Scope]) -> bool {
    let mut scopes = maximal(scopes);
    loop {
        let before: usize = scopes.iter().map(|s| s.len() + 1).sum();
        let count = |m: usize| scopes.iter().filter(|s| s.contains(m)).count();
        let shrunk: Vec<Scope> =
            scopes.iter().map(|s| s.iter().filter(|m| count(*m) > 1).collect()).collect();
        scopes = maximal(&shrunk);
        scopes.retain(|s| !s.is_empty());
        if scopes.is_empty() {
            return true;
        }
        if scopes.iter().map(|s| s.len() + 1).sum::<usize>() == before {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(scopes: &[&[usize]]) -> Vec<Scope> {
        scopes.iter().map(|s| s.iter().copied().collect()).collect()
    }

    #[test]
    fn chains_stars_tucker_and_trains_are_acyclic() {
        assert!(is_acyclic(&class(&[&[0, 1], &[1, 2], &[2, 3]])));
        assert!(is_acyclic(&class(&[&[0, 3], &[1, 3], &[2, 3]])));
        assert!(is_acyclic(&class(&[&[3, 4, 5], &[0, 3], &[1, 4], &[2, 5]])));
        assert!(is_acyclic(&class(&[&[0, 3], &[3, 1, 4], &[4, 2]])));
        assert!(is_acyclic(&class(&[&[0, 1, 2], &[0, 1], &[1, 2], &[0, 2]])));
        assert!(is_acyclic(&[]));
    }

    #[test]
    fn the_triangle_has_a_chordal_graph_and_is_cyclic() {
        assert!(!is_acyclic(&class(&[&[0, 1], &[1, 2], &[0, 2]])));
        assert!(!is_acyclic(&class(&[&[0, 1], &[1, 2], &[2, 3], &[0, 3]])));
        assert!(!is_acyclic(&class(&[&[0, 1, 2], &[1, 2, 3], &[0, 3]])));
    }

    #[test]
    fn only_maximal_scopes_are_kept() {
        let class = class(&[&[1], &[0, 1], &[0, 1], &[2]]);
        assert_eq!(maximal(&class), vec![Scope::from([0, 1]), Scope::from([2])]);
    }
}
