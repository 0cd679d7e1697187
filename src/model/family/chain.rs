//! `chain(m)`: each m neighbouring modes, in a line.

use super::{Family, FamilyCall};
use crate::model::Scope;
use crate::text::Diagnostic;

pub(super) const FAMILY: Family = Family {
    name: "chain",
    usage: "chain(m)",
    about: "each m neighbouring modes in a line; `chain(m)` is a Markov chain of order m − 1",
    expand,
};

fn expand(call: &FamilyCall<'_>) -> Result<Vec<Scope>, Diagnostic> {
    let m = call.order(1)?;
    Ok(call.modes.windows(m).map(|w| w.iter().copied().collect()).collect())
}
