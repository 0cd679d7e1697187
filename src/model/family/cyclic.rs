//! `cyclic(m)`: each m neighbouring modes, in a circle.

use super::{Family, FamilyCall};
use crate::model::Scope;
use crate::text::Diagnostic;

pub(super) const FAMILY: Family = Family {
    name: "cyclic",
    usage: "cyclic(m)",
    about: "each m neighbouring modes in a circle; `cyclic(2)` is a ring of pairs",
    expand,
};

fn expand(call: &FamilyCall<'_>) -> Result<Vec<Scope>, Diagnostic> {
    let m = call.order(1)?;
    let n = call.modes.len();
    let mut scopes: Vec<Scope> = Vec::with_capacity(n);
    for start in 0..n {
        let scope: Scope = (start..start + m).map(|i| call.modes[i % n]).collect();
        // in a short circle several windows are the same set
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(scopes)
}
