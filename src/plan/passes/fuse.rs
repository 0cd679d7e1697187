//! Takes every statistic from one pass over the data.

use crate::model::Scope;

use super::super::draft::Draft;
use super::super::hypergraph::maximal;

/// Only maximal statistics are summed from the data; each smaller one is summed from the smallest
/// table that contains it. Fixed potentials need the marginal on their scope for the divergence.
pub fn fuse(draft: &mut Draft) {
    if !draft.data {
        return;
    }
    let mut needed: Vec<Scope> = Vec::new();
    for atom in &draft.atoms {
        needed.extend(atom.generators.iter().cloned());
        needed.extend(atom.parent.iter().map(|(_, s)| s.clone()));
        // the data are zero where a mask is
        let fixed = atom.fixed.iter().filter(|k| !draft.masks.contains(k));
        needed.extend(fixed.filter_map(|k| draft.fixed_scope(*k)).cloned());
    }
    draft.from_data = maximal(&needed);
    // larger ones first, so that what a table is derived from exists already
    let mut small: Vec<Scope> = Vec::new();
    for scope in needed {
        if !draft.from_data.contains(&scope) && !small.contains(&scope) {
            small.push(scope);
        }
    }
    small.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
    let mut known = draft.from_data.clone();
    draft.derived.clear();
    for scope in small {
        let holds = known.iter().filter(|k| scope.is_subset(k));
        let source = holds.min_by(|a, b| draft.cells(a).total_cmp(&draft.cells(b))).cloned();
        if let Some(source) = source {
            draft.derived.push((source, scope.clone()));
            known.push(scope);
        }
    }
}
