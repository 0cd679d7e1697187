//! `body(m)`: every interaction of m modes.

use super::{Family, FamilyCall, MAX_INTERACTIONS};
use crate::model::Scope;
use crate::text::{Code, Diagnostic};

pub(super) const FAMILY: Family = Family {
    name: "body",
    usage: "body(m)",
    about: "every interaction of m modes (many-body approximation of order m)",
    expand,
};

fn expand(call: &FamilyCall<'_>) -> Result<Vec<Scope>, Diagnostic> {
    let m = call.order(0)?;
    let n = call.modes.len();
    if m == 0 {
        return Ok(Vec::new());
    }
    let count = (0..m).fold(1f64, |c, i| c * (n - i) as f64 / (i + 1) as f64);
    if count > MAX_INTERACTIONS as f64 {
        return Err(Diagnostic::new(
            Code::MBA303,
            format!("`body({m})` over {n} modes is {count:.0} interactions"),
        )
        .at(call.span, "too many to write down")
        .help("name fewer modes with `over`, or the interactions that matter"));
    }
    // combinations in lexicographic order of position
    let mut scopes = Vec::with_capacity(count as usize);
    let mut chosen: Vec<usize> = (0..m).collect();
    loop {
        scopes.push(chosen.iter().map(|i| call.modes[*i]).collect());
        let Some(last) = (0..m).rev().find(|k| chosen[*k] < n - m + k) else { return Ok(scopes) };
        chosen[last] += 1;
        for k in last + 1..m {
            chosen[k] = chosen[k - 1] + 1;
        }
    }
}
