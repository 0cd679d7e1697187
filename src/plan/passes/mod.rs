//! The passes, one file each, in the order they run.

pub mod choose;
mod close;
pub mod factor;
mod fuse;
mod lower;
mod order;
mod reduce;
mod separate;
mod split;

use super::draft::Draft;

pub use lower::{conditional, lower};

/// A named step from one draft to the next.
pub struct Pass {
    /// What it is called, in plans and in the documentation.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// The pass itself.
    pub run: fn(&mut Draft),
}

/// Every pass, in order. The last step, from the draft to instructions, is [`lower`].
pub const PASSES: &[Pass] = &[
    Pass { name: "reduce", about: "drop generators contained in others", run: reduce::reduce },
    Pass { name: "split", about: "split into independent components", run: split::split },
    Pass {
        name: "separate",
        about: "split components at separators inside a generator",
        run: separate::separate,
    },
    Pass { name: "close", about: "find the atoms whose optimum is a formula", run: close::close },
    Pass {
        name: "choose",
        about: "choose a junction tree for each atom by predicted cost",
        run: choose::choose,
    },
    Pass {
        name: "factor",
        about: "keep cliques as products of factors where that is cheaper",
        run: factor::factor,
    },
    Pass { name: "order", about: "walk the tree so that messages are shared", run: order::order },
    Pass { name: "fuse", about: "take every statistic from one pass over the data", run: fuse::fuse },
];

/// The passes that come after the choice of cliques.
pub fn finish(draft: &mut Draft) {
    for pass in PASSES.iter().skip_while(|pass| pass.name != "order") {
        (pass.run)(draft);
    }
}

/// Every pass but those that cut components apart: where some tables are shared with other tensors, the marginal on a
/// separator is not that of the data, and neither is a formula.
pub fn undivided(draft: &mut Draft) {
    for pass in PASSES.iter().filter(|pass| !matches!(pass.name, "separate" | "close")) {
        (pass.run)(draft);
    }
}
