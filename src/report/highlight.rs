//! Programs in colour: what each word and sign is comes from the token table of the formatter.

use anstyle::{AnsiColor, Effects};

use super::style::Style;
use crate::text::{self, Highlight};

/// The look of each kind of token; the others are left as they are.
fn look(highlight: Highlight) -> Option<anstyle::Style> {
    let colour = |c: AnsiColor| Some(anstyle::Style::new().fg_color(Some(c.into())));
    match highlight {
        Highlight::Keyword => Some(anstyle::Style::new().fg_color(Some(AnsiColor::Magenta.into()))),
        Highlight::Literal | Highlight::Number => colour(AnsiColor::Cyan),
        Highlight::Option => colour(AnsiColor::Blue),
        Highlight::String => colour(AnsiColor::Green),
        Highlight::Comment | Highlight::DocComment => {
            Some(anstyle::Style::new().effects(Effects::DIMMED | Effects::ITALIC))
        }
        Highlight::Unknown => colour(AnsiColor::Red),
        Highlight::Name | Highlight::Operator | Highlight::Punctuation | Highlight::Blank => None,
    }
}

/// A program's text, finished or not, with colours if there are any. Its width stays the same.
///
/// Cost: linear in the length of the text.
pub fn program(program: &str, style: Style) -> String {
    if !style.colour {
        return program.to_owned();
    }
    let mut out = String::with_capacity(2 * program.len());
    for (token, highlight) in text::highlight(program) {
        let piece = token.text(program);
        match look(highlight) {
            Some(look) => out.push_str(&style.paint(look, piece)),
            None => out.push_str(piece),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_all_that_is_added() {
        let text = "mode a: 3 # three\nfit m to x { seed 1 }\nshow \"a\", ¤";
        let plain = Style::default();
        assert_eq!(program(text, plain), text);
        let coloured = program(text, Style { colour: true, ..plain });
        assert!(coloured.contains("\u{1b}["));
        let mut rest = coloured.as_str();
        let mut without = String::new();
        while let Some(at) = rest.find('\u{1b}') {
            without.push_str(&rest[..at]);
            rest = rest[at..].split_once('m').map_or("", |(_, after)| after);
        }
        assert_eq!(without + rest, text);
    }
}
