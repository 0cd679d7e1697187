//! From a syntax tree to energy models. Knows nothing of files or solvers.

pub mod constant;
pub mod declarations;
mod disorder;
pub mod elaborate;
pub mod energy;
pub mod family;
mod lattice;
pub mod lint;
pub mod mode;
pub mod numbers;
mod parametrise;
pub mod predicate;
pub mod regular;
pub mod scope;
pub mod support;
pub mod table;

pub use declarations::Declarations;
pub use elaborate::elaborate;
pub use energy::{Algebra, EnergyModel, Forbidden, Interaction, Potential};
pub use mode::{Level, Levels, Mode, Order};
pub use regular::{Prior, Regular, Smooth, Strength, Tie};
pub use scope::Scope;
pub use support::Support;
pub use table::Table;

use crate::text::{Code, Diagnostic, Span};

/// What the language has and this version cannot do yet: said, never skipped.
pub fn unsupported(what: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA390, format!("{what}: not supported by this version"))
        .at(span, "understood, but it cannot be computed yet")
        .help("leave it out, or wait for a version that has it")
}
