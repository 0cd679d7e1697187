//! What is typed at a prompt: statements, and expressions without a `show` before them.

use std::ops::Range;

use super::ast::{Expr, Program, Statement, StatementKind};
use super::codes::Code;
use super::diagnostic::Diagnostic;
use super::parse::{parse, parse_expression};
use super::span::SourceId;
use super::tokens::{Highlight, Place, TokenKind, mark, tokenize};

/// Whether a text ends before what it began: inside a bracket, or after a doc comment.
///
/// A bracket that closes another kind, or nothing, is a mistake and not a beginning. Cost: linear.
pub fn unfinished(text: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut last = None;
    for token in tokenize(text) {
        let piece = token.text(text);
        match piece {
            "(" => open.push(")"),
            "[" => open.push("]"),
            "{" => open.push("}"),
            ")" | "]" | "}" if open.pop() != Some(piece) => return false,
            _ => {}
        }
        if token.kind != TokenKind::Blank && token.kind != TokenKind::Newline {
            last = Some(token.kind);
        }
    }
    !open.is_empty() || last == Some(TokenKind::DocComment)
}

/// Parses what is typed at a prompt: a program in which a statement can also be expressions
/// separated by commas, which are then shown.
///
/// Cost: linear in the length of the text, and once more for each bare expression.
pub fn parse_input(source: SourceId, text: &str) -> (Program, Vec<Diagnostic>) {
    let mut program_text = text.to_string();
    let mut bare = Vec::new();
    let mut diagnostics = Vec::new();
    for piece in pieces(text) {
        match expressions(source, text, &piece) {
            Ok(list) => {
                blank(&mut program_text, &piece);
                bare.push(list);
            }
            // what looks like a statement is explained as one
            Err(_) if begins_like_a_statement(&text[piece.clone()]) => {}
            Err(list) => {
                blank(&mut program_text, &piece);
                diagnostics.extend(list);
            }
        }
    }
    let (mut program, found) = parse(source, &program_text);
    diagnostics.extend(found);
    diagnostics.sort_by_key(|d| d.span().map(|s| s.start));
    for list in bare {
        let (Some(first), Some(last)) = (list.first(), list.last()) else { continue };
        let span = first.span.to(last.span);
        program.statements.push(Statement { kind: StatementKind::Show(list), span, docs: Vec::new() });
    }
    program.statements.sort_by_key(|s| s.span.start);
    (program, diagnostics)
}

/// The stretches of a text that begin with no keyword of a statement.
fn pieces(text: &str) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for m in mark(text) {
        if !m.token.matters() {
            continue;
        }
        if m.place == Place::File && m.depth == 0 {
            if m.first {
                let statement = m.highlight == Highlight::Keyword && !m.head.is_empty();
                open = !statement && m.text != ";";
                if open {
                    pieces.push(m.token.start..m.token.end);
                }
            } else if m.text == ";" {
                open = false;
            }
        }
        if open && let Some(piece) = pieces.last_mut() {
            piece.end = m.token.end;
        }
    }
    pieces
}

/// The expressions of a piece, separated by commas outside brackets.
fn expressions(source: SourceId, text: &str, piece: &Range<usize>) -> Result<Vec<Expr>, Vec<Diagnostic>> {
    let mut starts = vec![piece.start];
    let mut depth = 0usize;
    for token in tokenize(&text[piece.clone()]) {
        match token.text(&text[piece.clone()]) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            "," if depth == 0 => starts.push(piece.start + token.end),
            _ => {}
        }
    }
    let mut list = Vec::new();
    for (position, start) in starts.iter().enumerate() {
        let end = starts.get(position + 1).map_or(piece.end, |next| next - 1);
        // all the rest is blank, so that places are those of the whole text
        let mut alone = text.to_string();
        blank(&mut alone, &(0..*start));
        blank(&mut alone, &(end..text.len()));
        list.push(parse_expression(source, &alone)?);
    }
    Ok(list)
}

/// Puts spaces in the place of a part of a text; every other byte stays where it is.
fn blank(text: &mut String, part: &Range<usize>) {
    text.replace_range(part.clone(), &" ".repeat(part.len()));
}

/// A word and then something that no operator joins to it, as in `modle m`.
fn begins_like_a_statement(piece: &str) -> bool {
    let tokens = tokenize(piece);
    let mut matter = tokens.iter().filter(|t| t.matters());
    let (Some(first), Some(second)) = (matter.next(), matter.next()) else { return false };
    let joins = ["and", "or", "mod", "in", "with", "at"].contains(&second.text(piece));
    first.kind == TokenKind::Word
        && !joins
        && matches!(second.kind, TokenKind::Word | TokenKind::String | TokenKind::Number)
        && !["if", "not"].contains(&first.text(piece))
}

/// A name set equal to something, outside every statement, which is what other languages declare with.
pub fn looks_like_assignment(text: &str) -> Option<(&str, &str)> {
    let tokens = tokenize(text);
    let mut matter = tokens.iter().filter(|t| t.matters());
    let (name, sign, value) = (matter.next()?, matter.next()?, matter.next()?);
    let is = name.kind == TokenKind::Word && sign.text(text) == "=";
    is.then(|| (name.text(text), text[value.start..].trim_end()))
}

/// Adds to the mistakes of an input what a newcomer may have meant.
pub fn advise(text: &str, diagnostics: &mut [Diagnostic]) {
    let Some((name, value)) = looks_like_assignment(text) else { return };
    if let Some(first) = diagnostics.iter_mut().find(|d| matches!(d.code, Code::MBA001 | Code::MBA006)) {
        first.help = Some(format!("a constant is declared as `param {name} = {value}`"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Sources;

    fn read(text: &str) -> (Vec<String>, Vec<Code>) {
        let mut sources = Sources::default();
        let source = sources.add("input", text);
        let (program, diagnostics) = parse_input(source, text);
        let of = |s: &Statement| sources.slice(s.span).to_string();
        (program.statements.iter().map(of).collect(), diagnostics.iter().map(|d| d.code).collect())
    }

    #[test]
    fn an_open_bracket_goes_on() {
        for text in
            ["model m {", "show f.marginal(a,", "mode a: {x,\n y", "## what it is", "model m { [a b]\n"]
        {
            assert!(unfinished(text), "{text}");
        }
        for text in
            ["", "fit m to x", "model m { [a] }", "show )", "show [)", "\"{\"", "f # {", "## a\nmode b"]
        {
            assert!(!unfinished(text), "{text}");
        }
    }

    #[test]
    fn expressions_stand_among_statements() {
        assert_eq!(read("m.kl"), (vec!["m.kl".into()], vec![]));
        assert_eq!(read("fit m to x; m.kl, m.df\nmode a: 2").0, ["fit m to x", "m.kl, m.df", "mode a: 2"]);
        assert_eq!(read("f.conditional(a | b: x)[c: 1], 2 ^ 3").0.len(), 1);
        assert_eq!(read("if 1 < 2 { 3 } else { 4 }").0.len(), 1);
        assert_eq!(read("(1 +\n 2)").0, ["(1 +\n 2)"]);
        assert_eq!(read("# nothing").0.len(), 0);
        assert_eq!(read("-1; not true; [1, 2]").0.len(), 3);
    }

    #[test]
    fn mistakes_are_explained_as_what_they_look_like() {
        assert_eq!(read("modle m { }").1, [Code::MBA006]);
        assert_eq!(read("1 +").1, [Code::MBA001]);
        assert_eq!(read("m.+kl").1, [Code::MBA001]);
        assert_eq!(read("fit m too x").1, [Code::MBA001]);
        assert_eq!(read("m.kl +; mode a: 2"), (vec!["mode a: 2".into()], vec![Code::MBA001]));
        assert_eq!(looks_like_assignment("L = 5"), Some(("L", "5")));
        assert_eq!(looks_like_assignment("L == 5"), None);
    }
}
