//! From characters to a syntax tree. Knows nothing of what a program means.

pub mod codes;
pub mod diagnostic;
pub mod span;

pub use codes::Code;
pub use diagnostic::{Diagnostic, Fix, Label, Severity};
pub use span::{Source, SourceId, Sources, Span};
