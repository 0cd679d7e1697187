//! From characters to a syntax tree. Knows nothing of what a program means.

pub mod ast;
pub mod codes;
pub mod diagnostic;
pub mod grammar;
pub mod parse;
pub mod span;
pub mod suggest;
mod syntax_errors;

pub use codes::Code;
pub use diagnostic::{Diagnostic, Fix, Label, Severity};
pub use parse::{parse, parse_expression};
pub use span::{Source, SourceId, Sources, Span};
