//! From characters to a syntax tree. Knows nothing of what a program means.

pub mod ast;
pub mod codes;
pub mod cursor;
pub mod diagnostic;
pub mod format;
pub mod grammar;
pub mod input;
pub mod parse;
mod scan;
pub mod span;
pub mod suggest;
mod syntax_errors;
pub mod tokens;
mod walk;

pub use codes::Code;
pub use cursor::Cursor;
pub use diagnostic::{Diagnostic, Fix, Label, Severity};
pub use format::{format, format_expression};
pub use input::{parse_input, unfinished};
pub use parse::{parse, parse_expression};
pub use span::{Source, SourceId, Sources, Span};
pub use tokens::{Highlight, Token, TokenKind, highlight, tokenize};
