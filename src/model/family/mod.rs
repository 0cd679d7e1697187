//! Families: functions from modes to sets of interactions. One file and one line here each.

mod body;
mod chain;
mod cyclic;
mod grid;
mod star;

use super::constant::Constant;
use super::scope::Scope;
use crate::text::{Code, Diagnostic, Span};

/// A call of a family: its arguments and the modes it is over.
pub struct FamilyCall<'a> {
    /// The arguments, in order.
    pub arguments: &'a [Constant],
    /// The modes it ranges over, in order.
    pub modes: &'a [usize],
    /// The whole call.
    pub span: Span,
    /// The family's name.
    pub name: &'a str,
}

/// A family of the language.
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Its parameters, as they are documented.
    pub usage: &'static str,
    /// One line on what it is.
    pub about: &'static str,
    expand: fn(&FamilyCall<'_>) -> Result<Vec<Scope>, Diagnostic>,
}

/// Every family.
pub const FAMILIES: &[Family] = &[body::FAMILY, chain::FAMILY, cyclic::FAMILY, grid::FAMILY, star::FAMILY];

/// More interactions than this are a mistake rather than a model.
pub const MAX_INTERACTIONS: usize = 1_000_000;

impl Family {
    /// The family of this name.
    pub fn find(name: &str) -> Option<&'static Family> {
        FAMILIES.iter().find(|f| f.name == name)
    }

    /// The interactions of a call, in a fixed order.
    pub fn expand(&self, call: &FamilyCall<'_>) -> Result<Vec<Scope>, Diagnostic> {
        (self.expand)(call)
    }
}

impl FamilyCall<'_> {
    /// The only argument, a whole number between `least` and the number of modes.
    fn order(&self, least: usize) -> Result<usize, Diagnostic> {
        let wrong = |message: String, label: String| {
            let usage = Family::find(self.name).map_or("", |f| f.usage);
            Err(Diagnostic::new(Code::MBA303, message).at(self.span, label).help(format!("write `{usage}`")))
        };
        let [argument] = self.arguments else {
            return wrong(
                format!("`{}` takes one argument, not {}", self.name, self.arguments.len()),
                "here".into(),
            );
        };
        match argument {
            Constant::Number(m) if *m == m.trunc() && *m >= least as f64 && *m <= self.modes.len() as f64 => {
                Ok(*m as usize)
            }
            Constant::Number(m) => wrong(
                format!("`{}({})` over {} modes", self.name, super::mode::number_label(*m), self.modes.len()),
                format!("a whole number from {least} to {} is needed", self.modes.len()),
            ),
            other => wrong(format!("`{}` takes a number, not {}", self.name, other.kind()), "here".into()),
        }
    }
}
