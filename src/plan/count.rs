//! Exact counts: cells, parameters and degrees of freedom, whole numbers of any size.

use std::collections::BTreeMap;

use num_bigint::{BigInt, BigUint};
use num_traits::{One, Zero};

use crate::model::{EnergyModel, Scope};

use super::hypergraph::{is_acyclic, maximal};
use super::passes::PASSES;

/// Number of cells of the tensor a model describes.
pub fn cells(model: &EnergyModel) -> BigUint {
    model.cells(&Scope::all(model.modes.len()))
}

/// Number of free parameters: one for each learned coefficient, and Σ over the non-empty sets c in the downward closure of the free generators
/// of Π_{d∈c} (I_d − 1).
///
/// Components and atoms are counted one by one, Σ_A − Σ_S over the separators between them, which
/// is all there is to do for an acyclic class. An atom that is not acyclic is counted by adding its
/// generators one at a time: what generator g adds is what it has beyond its intersections with the
/// earlier ones. That recursion works on intersections, never on subsets, and is remembered; it
/// takes O(n²) steps for generators whose intersections nest or are small, such as `body(m)`.
pub fn parameters(model: &EnergyModel) -> BigUint {
    let sizes: Vec<usize> = model.modes.iter().map(|m| m.size()).collect();
    parameters_of(&model.free_scopes(), &sizes) + model.coefficients().len()
}

/// [`parameters`] of a generating class.
pub fn parameters_of(generators: &[Scope], sizes: &[usize]) -> BigUint {
    let mut counter = Counter { sizes, known: BTreeMap::new() };
    // the structure passes only; fixed potentials hold no parameters
    let mut draft = super::draft::Draft {
        sizes: sizes.to_vec(),
        names: Vec::new(),
        generators: generators.to_vec(),
        fixed: Vec::new(),
        learned: Vec::new(),
        masks: Vec::new(),
        supports: Vec::new(),
        data: false,
        effort: 0,
        atoms: Vec::new(),
        from_data: Vec::new(),
        derived: Vec::new(),
    };
    for pass in PASSES.iter().take_while(|p| p.name != "close") {
        (pass.run)(&mut draft);
    }
    let mut total = BigInt::zero();
    for atom in &draft.atoms {
        total += counter.closure(&atom.generators);
        if let Some((_, separator)) = &atom.parent {
            total -= counter.closure(std::slice::from_ref(separator));
        }
    }
    total.to_biguint().unwrap_or_default()
}

/// Cells − 1 − parameters: what the data could still say against the model.
pub fn degrees_of_freedom(model: &EnergyModel) -> BigUint {
    let spent = parameters(model) + BigUint::one();
    let cells = cells(model);
    if spent > cells { BigUint::zero() } else { cells - spent }
}

struct Counter<'a> {
    sizes: &'a [usize],
    known: BTreeMap<Vec<Scope>, BigInt>,
}

impl Counter<'_> {
    /// Σ over the non-empty sets of the closure of Π (I_d − 1).
    fn closure(&mut self, class: &[Scope]) -> BigInt {
        let mut class = maximal(class);
        class.retain(|s| !s.is_empty());
        class.sort();
        if let [single] = class.as_slice() {
            let size = |m: usize| BigInt::from(self.sizes.get(m).copied().unwrap_or(1));
            return single.iter().map(size).product::<BigInt>() - 1;
        }
        if class.is_empty() {
            return BigInt::zero();
        }
        if class.iter().all(|s| s.len() <= 2) && !is_acyclic(&class) {
            return self.pairs(&class);
        }
        if let Some(known) = self.known.get(&class) {
            return known.clone();
        }
        let mut total = BigInt::zero();
        for (i, scope) in class.iter().enumerate() {
            let shared: Vec<Scope> = class[..i].iter().map(|s| s.intersection(scope)).collect();
            total += self.closure(std::slice::from_ref(scope)) - self.closure(&shared);
        }
        self.known.insert(class, total.clone());
        total
    }

    /// The closure of edges and vertices is themselves.
    fn pairs(&self, class: &[Scope]) -> BigInt {
        let size = |m: usize| BigInt::from(self.sizes.get(m).copied().unwrap_or(1)) - 1;
        let modes: Scope = class.iter().flat_map(Scope::iter).collect();
        let edges = class.iter().filter(|s| s.len() == 2);
        let edges: BigInt = edges.map(|s| s.iter().map(size).product::<BigInt>()).sum();
        modes.iter().map(size).sum::<BigInt>() + edges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brute(class: &[Scope], sizes: &[usize]) -> BigUint {
        let n = sizes.len();
        let mut total = BigUint::zero();
        for bits in 1u32..1 << n {
            let set: Scope = (0..n).filter(|m| bits >> m & 1 == 1).collect();
            if class.iter().any(|g| set.is_subset(g)) {
                total += set.iter().map(|m| BigUint::from(sizes[m] - 1)).product::<BigUint>();
            }
        }
        total
    }

    #[test]
    fn counts_agree_with_enumeration() {
        let sizes = [3, 4, 2, 5, 1, 3];
        let mut state = 7u64;
        for _ in 0..300 {
            let mut class = Vec::new();
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            for g in 0..(state >> 33) % 6 {
                let bits = state >> (20 + 6 * g);
                class.push((0..6).filter(|m| bits >> m & 1 == 1).collect::<Scope>());
            }
            assert_eq!(parameters_of(&class, &sizes), brute(&class, &sizes), "{class:?}");
        }
    }

    #[test]
    fn thirty_modes_in_one_generator_are_counted_at_once() {
        let sizes = [2; 30];
        assert_eq!(parameters_of(&[Scope::all(30)], &sizes), BigUint::from((1u64 << 30) - 1));
        let overlapping: Vec<Scope> = (0..30).map(|m| Scope::all(30).without(m)).take(3).collect();
        // three sets that miss one mode each: all subsets but those that hold all three modes
        assert_eq!(parameters_of(&overlapping, &sizes), BigUint::from((1u64 << 30) - (1 << 27) - 1));
    }
}
