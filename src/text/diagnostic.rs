//! Diagnostics as data. They are rendered in one place, [`crate::report::diagnostics`].

use super::codes::Code;
use super::span::Span;

/// How serious a diagnostic is, after lint levels have been applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong; something is worth knowing.
    Note,
    /// Suspicious, but the program has a meaning. Never changes the exit code.
    Warning,
    /// The program, its data or a fit is wrong.
    Error,
}

impl Severity {
    /// The word used in every output format.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// A place in the text and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What, in lower case and without a full stop; may be empty.
    pub message: String,
}

/// A change of the text that a tool can make without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What the change does, as a sentence fragment: "replace `hari` by `hair`".
    pub message: String,
    /// Replacements, which do not overlap.
    pub edits: Vec<(Span, String)>,
}

/// One cause, one report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code.
    pub code: Code,
    /// Starts as the code's own severity.
    pub severity: Severity,
    /// Lower case, no full stop, the user's names in backticks.
    pub message: String,
    /// The first label is the primary one. Empty when there is no place in the text.
    pub labels: Vec<Label>,
    /// Why, one sentence fragment each.
    pub notes: Vec<String>,
    /// The way out.
    pub help: Option<String>,
    /// The way out, ready to apply.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// A diagnostic with the code's own severity and no place yet.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: None,
            fix: None,
        }
    }

    /// Adds a place; the first one added is the primary one.
    #[must_use]
    pub fn at(mut self, span: Span, message: impl Into<String>) -> Self {
        self.labels.push(Label { span, message: message.into() });
        self
    }

    /// Adds a place, unless there is one already.
    #[must_use]
    pub fn or_at(self, span: Span, message: impl Into<String>) -> Self {
        if self.labels.is_empty() { self.at(span, message) } else { self }
    }

    /// Adds a reason.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Sets the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets a fix that replaces one span.
    #[must_use]
    pub fn replace(mut self, span: Span, text: impl Into<String>, message: impl Into<String>) -> Self {
        self.fix = Some(Fix { message: message.into(), edits: vec![(span, text.into())] });
        self
    }

    /// The primary place.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|l| l.span)
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
