//! What the place where text will be read can show.

use std::borrow::Cow;

/// What may be used in text for people. Found out once, at the edge of the program, and passed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether to emphasise with terminal colours and weights.
    pub colour: bool,
    /// How many columns a line may have.
    pub width: usize,
    /// Whether characters outside ASCII may be added to the user's own.
    pub unicode: bool,
}

impl Default for Style {
    /// No colour, 100 columns, Unicode: what a file gets.
    fn default() -> Self {
        Self { colour: false, width: 100, unicode: true }
    }
}

impl Style {
    /// What stands for a value that is not defined.
    pub(crate) fn null(self) -> &'static str {
        if self.unicode { "–" } else { "-" }
    }

    /// What stands for something left out.
    pub(crate) fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// The sign between the sizes of an array.
    pub(crate) fn times(self) -> &'static str {
        if self.unicode { "×" } else { "x" }
    }

    /// `text` in bold, when there is colour.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint(anstyle::Style::new().bold(), text)
    }

    /// `text` in this terminal style, when there is colour.
    pub(crate) fn paint(self, style: anstyle::Style, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// Text on one line that cannot steer a terminal: control characters and those that reverse the direction of writing
/// are shown as escapes.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unprintable(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a character moves the cursor, breaks the line or reverses the text around it.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
