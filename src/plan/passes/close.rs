//! Marks the atoms whose optimum is a formula.

use super::super::draft::Draft;
use super::super::hypergraph::is_acyclic;

/// An acyclic generating class has the optimum Π P_C / Π P_S (Lauritzen 1996, §4.4). Acyclicity is
/// that of the hypergraph: `[a b] [b c] [a c]` has a chordal graph and no closed form. After
/// separation an acyclic atom is a single generator, since every separator of an acyclic class lies
/// inside one. A fixed potential is a base measure other than uniform, for which the formula is wrong.
pub fn close(draft: &mut Draft) {
    for atom in &mut draft.atoms {
        let single = atom.generators.len() <= 1 && is_acyclic(&atom.generators);
        let bare = atom.generators.is_empty();
        atom.closed = bare || (single && atom.fixed.is_empty());
    }
}
