//! The one layout of a program.
//!
//! Only white space changes, and the space after the `#` of a comment: every token stays, lines are
//! neither merged nor split, and formatting twice is formatting once.

use super::diagnostic::Diagnostic;
use super::span::SourceId;
use super::tokens::{Highlight, Marked, Place, TokenKind, mark};

const INDENT: usize = 4;
/// Spaces between code and the comment after it, at least.
const BEFORE_COMMENT: usize = 2;

/// The text in its canonical layout, or what is wrong with it if it does not parse.
///
/// Indentation follows the brackets; runs of one-line models, fits and expectations are aligned, and
/// so are the comments after code. Cost: linear in the length of the text.
pub fn format(text: &str) -> Result<String, Vec<Diagnostic>> {
    let (_, diagnostics) = super::parse(SourceId::default(), text);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    Ok(layout(text))
}

/// An expression on one line, as [`format()`] would print it, comments left out.
///
/// Takes any text; what is not an expression comes back with its tokens spaced by the same rules.
pub fn format_expression(text: &str) -> String {
    let marked = mark(text);
    let mut kept: Vec<Marked> = Vec::with_capacity(marked.len());
    let mut newline = false;
    for m in marked {
        if m.token.kind == TokenKind::Newline {
            newline = true;
        }
        if !m.token.matters() {
            continue;
        }
        // a comma that only served to end a line
        if newline && matches!(m.text, ")" | "]" | "}") && kept.last().is_some_and(|l| l.text == ",") {
            kept.pop();
        }
        kept.push(m);
        newline = false;
    }
    let mut out = String::with_capacity(text.len());
    code(&kept, &mut out, &mut Vec::new());
    out
}

/// What a run of lines can be aligned by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Anchor {
    ModelBrace,
    FitTo,
    ExpectApproximately,
    ExpectWithin,
}

/// In the order in which they stand on a line, so that each is settled before the next.
const ANCHORS: [Anchor; 4] =
    [Anchor::ModelBrace, Anchor::FitTo, Anchor::ExpectApproximately, Anchor::ExpectWithin];

struct Line {
    blank_before: bool,
    indent: usize,
    code: String,
    comment: Option<String>,
    /// Byte offsets in `code`, in order.
    anchors: Vec<(Anchor, usize)>,
}

impl Line {
    fn anchor(&self, wanted: Anchor) -> Option<usize> {
        self.anchors.iter().find(|(a, _)| *a == wanted).map(|(_, at)| *at)
    }

    fn width(&self) -> usize {
        self.indent * INDENT + self.code.chars().count()
    }
}

/// Where a bracket was opened, for the indentation of what it holds.
struct Open {
    /// Indentation of the line it stands on.
    outside: usize,
    inside: usize,
}

fn layout(text: &str) -> String {
    let mut lines = lines(text);
    for anchor in ANCHORS {
        align(&mut lines, anchor);
    }
    let comments = comment_columns(&lines);
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for (line, column) in lines.iter().zip(comments) {
        if line.blank_before {
            out.push('\n');
        }
        spaces(&mut out, line.indent * INDENT);
        out.push_str(&line.code);
        if let Some(comment) = &line.comment {
            if !line.code.is_empty() {
                spaces(&mut out, column.saturating_sub(line.width()));
            }
            out.push_str(comment);
        }
        out.push('\n');
    }
    out
}

/// The lines that are not blank, indented and spaced but not aligned.
fn lines(text: &str) -> Vec<Line> {
    let marked = mark(text);
    let mut lines: Vec<Line> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let (mut blank, mut opened) = (false, true);
    let ends = |m: &Marked| m.token.kind == TokenKind::Newline;
    for tokens in marked.split(ends) {
        let kept: Vec<Marked> = tokens.iter().filter(|m| m.token.matters()).copied().collect();
        let comment =
            tokens.iter().find(|m| matches!(m.highlight, Highlight::Comment | Highlight::DocComment));
        let comment = comment.map(|m| tidy_comment(m.text));
        if kept.is_empty() && comment.is_none() {
            blank = true;
            continue;
        }
        let leading = kept.iter().take_while(|m| closes(m)).count();
        let mut indent = open.last().map_or(0, |o| o.inside);
        for _ in 0..leading {
            indent = open.pop().map_or(0, |o| o.outside);
        }
        let before = open.len();
        for m in kept.iter().skip(leading) {
            if matches!(m.text, "(" | "[" | "{") {
                // several brackets opened on one line indent only once
                let first = open.len() <= before;
                let inside = if first { indent + 1 } else { open.last().map_or(indent + 1, |o| o.inside) };
                open.push(Open { outside: indent, inside });
            } else if closes(m) {
                open.pop();
            }
        }
        let mut line = Line {
            blank_before: blank && !opened && leading == 0,
            indent,
            code: String::new(),
            comment,
            anchors: Vec::new(),
        };
        code(&kept, &mut line.code, &mut line.anchors);
        if !whole_item(&kept) {
            line.anchors.clear();
        }
        opened = kept.last().is_some_and(|m| matches!(m.text, "(" | "[" | "{"));
        blank = false;
        lines.push(line);
    }
    lines
}

fn closes(m: &Marked) -> bool {
    matches!(m.text, ")" | "]" | "}")
}

/// Whether the tokens of a line are one statement or item from beginning to end.
fn whole_item(kept: &[Marked]) -> bool {
    let (Some(first), Some(last)) = (kept.first(), kept.last()) else { return false };
    first.first
        && first.place != Place::Inside
        && first.depth == last.depth
        && !matches!(last.text, "(" | "[" | "{")
        && kept.iter().all(|m| m.depth > first.depth || (m.depth == first.depth && m.text != ";"))
}

/// Appends the tokens of one line with their spaces, and notes what can be aligned.
fn code(kept: &[Marked], out: &mut String, anchors: &mut Vec<(Anchor, usize)>) {
    let start = kept.first().map_or(0, |m| m.depth);
    for (index, m) in kept.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| kept.get(i));
        if before.is_some_and(|before| spaced(kept, index, before, m)) {
            out.push(' ');
        }
        if m.depth == start {
            let keyword = m.highlight == Highlight::Keyword;
            let anchor = match (m.head, m.text) {
                ("model", "{") if m.block => Some(Anchor::ModelBrace),
                ("fit", "to") if keyword => Some(Anchor::FitTo),
                ("expect", "~=") => Some(Anchor::ExpectApproximately),
                ("expect", "within") if keyword => Some(Anchor::ExpectWithin),
                _ => None,
            };
            if let Some(anchor) = anchor.filter(|anchor| anchors.iter().all(|(a, _)| a != anchor)) {
                anchors.push((anchor, out.len()));
            }
        }
        out.push_str(m.text);
    }
}

/// Whether a space stands between two neighbours on a line.
fn spaced(kept: &[Marked], index: usize, before: &Marked, m: &Marked) -> bool {
    use Highlight::{Keyword, Name};
    let touching = before.token.end == m.token.start;
    match (before.text, m.text) {
        (_, "," | ";" | ":") | ("(" | "[", _) | (_, ")" | "]") => false,
        (".", _) | (_, ".") => false,
        ("{", "}") => false,
        ("{", _) => before.block,
        (_, "}") => m.block,
        ("-" | "+", _) if before.unary => false,
        ("..", _) => !tight_range(kept, index.saturating_sub(1)),
        (_, "..") => !tight_range(kept, index),
        (_, "[") if m.free_terms && before.text != ":" => true,
        (_, "[") if m.head == "data" && m.place == Place::File && before.highlight == Highlight::String => {
            false
        }
        (_, "[") if before.highlight == Name && declares(kept, index, m) => false,
        (_, "(") if before.highlight == Name && m.head == "model" && m.place == Place::File && index == 2 => {
            false
        }
        // what touches is called or indexed; a reserved word can be neither
        (_, "(" | "[") if touching && before.highlight == Keyword => {
            super::tokens::never_a_name(before.text)
                || (before.first && before.place == Place::Test)
                || (before.first && m.text == "[")
                || list_follows(kept, index, before)
        }
        (_, "(" | "[") if touching => {
            matches!(before.highlight, Highlight::Operator | Highlight::Option)
                || matches!(before.text, "," | ":" | ";")
        }
        _ => true,
    }
}

/// Whether the `[` at `index` belongs to a name being declared by `mode`, `latent` or `data`.
fn declares(kept: &[Marked], index: usize, m: &Marked) -> bool {
    let first = index.checked_sub(2).and_then(|i| kept.get(i));
    matches!(m.head, "mode" | "latent" | "data")
        && m.place != Place::Inside
        && first.is_some_and(|f| f.text == m.head && f.highlight == Highlight::Keyword)
}

/// Whether the bracket at `index` can only hold the modes of an `over` or the values of a `with`.
fn list_follows(kept: &[Marked], index: usize, before: &Marked) -> bool {
    let inside = kept.get(index + 1..).unwrap_or_default();
    let modes = || {
        let list = inside.iter().take_while(|m| m.text != ")");
        list.clone().count() > 0 && list.clone().all(|m| m.highlight == Highlight::Name || m.text == ",")
    };
    match before.text {
        "over" => modes(),
        "with" => inside.get(1).is_some_and(|m| m.text == "="),
        _ => false,
    }
}

/// Whether both ends of the range whose `..` is at `index` are integers and nothing else.
fn tight_range(kept: &[Marked], index: usize) -> bool {
    let at = |i: Option<usize>| i.and_then(|i| kept.get(i));
    let integer = |m: Option<&Marked>| {
        m.is_some_and(|m| m.token.kind == TokenKind::Number && m.text.bytes().all(|b| b.is_ascii_digit()))
    };
    let computes = |m: Option<&Marked>| {
        m.is_some_and(|m| matches!(m.text, "+" | "-" | "*" | "/" | "^" | "mod" | "." | ".."))
    };
    integer(at(index.checked_sub(1)))
        && integer(at(index.checked_add(1)))
        && !computes(at(index.checked_sub(2)))
        && !computes(at(index.checked_add(2)))
}

/// The comment without trailing white space, its text set off from the `#`.
fn tidy_comment(comment: &str) -> String {
    let comment = comment.trim_end();
    let sign = if comment.starts_with("##") { "##" } else { "#" };
    let body = comment.strip_prefix(sign).unwrap_or("");
    let space = if body.starts_with(char::is_alphanumeric) { " " } else { "" };
    format!("{sign}{space}{body}")
}

/// Brings one anchor to the same column in every run of neighbouring lines that have it.
fn align(lines: &mut [Line], anchor: Anchor) {
    let mut rest = lines;
    while !rest.is_empty() {
        let mut length = 0;
        for line in rest.iter() {
            if line.anchor(anchor).is_none() || (length > 0 && line.blank_before) {
                break;
            }
            length += 1;
        }
        let (run, others) = std::mem::take(&mut rest).split_at_mut(length.max(1));
        rest = others;
        if length < 2 {
            continue;
        }
        let width = |line: &Line, at: usize| line.code.get(..at).map_or(0, |c| c.chars().count());
        let widest = run.iter().filter_map(|l| Some(width(l, l.anchor(anchor)?))).max().unwrap_or(0);
        for line in run {
            let Some(at) = line.anchor(anchor) else { continue };
            let padding = widest.saturating_sub(width(line, at));
            if line.code.is_char_boundary(at) {
                line.code.insert_str(at, &" ".repeat(padding));
            }
            for (_, later) in line.anchors.iter_mut().filter(|(_, a)| *a >= at) {
                *later += padding;
            }
        }
    }
}

/// The column of the comment of each line, the same within a run of lines that have one after code.
fn comment_columns(lines: &[Line]) -> Vec<usize> {
    let mut columns = vec![0; lines.len()];
    let has = |line: &Line| line.comment.is_some() && !line.code.is_empty();
    let mut start = 0;
    while start < lines.len() {
        let run = lines.iter().skip(start).enumerate();
        let length = run.take_while(|(i, l)| has(l) && (*i == 0 || !l.blank_before)).count().max(1);
        let widest = lines.iter().skip(start).take(length).map(Line::width).max().unwrap_or(0);
        columns.iter_mut().skip(start).take(length).for_each(|c| *c = widest + BEFORE_COMMENT);
        start += length;
    }
    columns
}

fn spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}
