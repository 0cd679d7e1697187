//! `star(hub)`: the hub with each of the other modes.

use super::{Family, FamilyCall};
use crate::model::Scope;
use crate::model::constant::Constant;
use crate::text::{Code, Diagnostic};

pub(super) const FAMILY: Family = Family {
    name: "star",
    usage: "star(hub)",
    about: "the mode `hub` with each other mode (naive Bayes)",
    expand,
};

fn expand(call: &FamilyCall<'_>) -> Result<Vec<Scope>, Diagnostic> {
    let [Constant::Mode(hub)] = call.arguments else {
        return Err(Diagnostic::new(Code::MBA303, "`star` takes one argument, a mode")
            .at(call.span, "here")
            .help("name the mode in the middle: `star(class)`"));
    };
    let others = call.modes.iter().filter(|m| *m != hub);
    let scopes: Vec<Scope> = others.map(|m| Scope::from([*hub, *m])).collect();
    Ok(if scopes.is_empty() { vec![Scope::from([*hub])] } else { scopes })
}
