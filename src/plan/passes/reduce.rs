//! Drops generators contained in others.

use super::super::draft::Draft;
use super::super::hypergraph::maximal;

/// A free table implies every table over fewer of its modes, so contained generators add nothing. The rest
/// are sorted, so that one class has one schedule, whichever way it was written.
pub fn reduce(draft: &mut Draft) {
    draft.generators.retain(|g| !g.is_empty());
    draft.generators = maximal(&draft.generators);
    draft.generators.sort();
}
