//! The words and signs of a text, and what each of them is: for the formatter and for highlighting.
//!
//! Unlike the parser this stage takes any text, however wrong or unfinished: every byte belongs to
//! exactly one token. Which words are keywords, and where, is decided by the one table in this file.

use pest::Parser;

use super::grammar::{MbaParser, Rule};

/// What a token looks like, without its surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A name or a keyword.
    Word,
    /// A number.
    Number,
    /// A number with its percent sign.
    Percent,
    /// A string, quotes included.
    String,
    /// `#` to the end of the line.
    Comment,
    /// `##` to the end of the line.
    DocComment,
    /// A bracket, a sign or a separator.
    Operator,
    /// A character that has no meaning where it stands.
    Unknown,
    /// Spaces, tabs, carriage returns and byte order marks.
    Blank,
    /// One line feed.
    Newline,
}

/// A piece of a text: `text[start..end]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it looks like.
    pub kind: TokenKind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Token {
    /// The piece of `text` this token covers; empty if it is a token of another text.
    pub fn text<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or("")
    }

    /// Whether it is neither white space nor a comment.
    pub fn matters(&self) -> bool {
        use TokenKind::{Blank, Comment, DocComment, Newline};
        !matches!(self.kind, Blank | Newline | Comment | DocComment)
    }
}

/// What a token is where it stands, for highlighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Highlight {
    /// A word with a fixed meaning here.
    Keyword,
    /// `true`, `false`, `nan`, `missing` as a value.
    Literal,
    /// A name the user chose or the library gives.
    Name,
    /// The name of an option of a fit.
    Option,
    /// A number or a percentage.
    Number,
    /// A string.
    String,
    /// A comment.
    Comment,
    /// A doc comment.
    DocComment,
    /// A sign that computes, compares or binds.
    Operator,
    /// A bracket or a separator.
    Punctuation,
    /// No part of the language.
    Unknown,
    /// White space.
    Blank,
}

/// Where a word can be a keyword: the word that begins a statement or item, and the words that can
/// follow in it. A word listed first is a keyword only at the beginning.
const KEYWORDS: &[(Place, &str, &[&str])] = &[
    (Place::File, "mode", &["ordered", "cyclic"]),
    (Place::File, "param", &[]),
    (
        Place::File,
        "data",
        &[
            "from", "coords", "values", "count", "sum", "format", "key", "drop", "missing", "observed",
            "where", "as",
        ],
    ),
    (Place::File, "use", &[]),
    (Place::File, "model", &["over"]),
    (Place::File, "fit", &["to", "weight", "by", "as"]),
    (Place::File, "load", &["as"]),
    (Place::File, "balance", &["to", "by", "as"]),
    (Place::File, "sweep", &["over", "in", "by", "as"]),
    (Place::File, "estimate", &["with", "by", "as"]),
    (Place::File, "show", &[]),
    (Place::File, "save", &["to"]),
    (Place::File, "plot", &["to"]),
    (Place::File, "test", &[]),
    (Place::Model, "without", &[]),
    (Place::Model, "latent", &["ordered", "cyclic"]),
    (Place::Model, "temperature", &[]),
    (Place::Model, "algebra", &[]),
    (Place::Model, "forbid", &[]),
    (Place::Model, "given", &[]),
    (Place::Model, "tie", &[]),
    (Place::Model, "prior", &["toward"]),
    (Place::Model, "smooth", &["along", "strength"]),
    (Place::Model, "mix", &[]),
    (Place::Model, "for", &["in"]),
    (Place::Model, "mode", &["ordered", "cyclic"]),
    // an interaction or a family begins with no keyword
    (Place::Model, "", &["over", "where"]),
    (Place::Test, "expect", &["error", "within", "in"]),
    (Place::Test, "snapshot", &["as", "within", "except"]),
    (Place::Options, "", &["from", "where", "over"]),
];

/// Words that are keywords after any operand, in any expression.
const AFTER_OPERAND: &[&str] = &["with", "at", "in"];

/// Reserved words besides those that begin a statement.
const RESERVED: &[&str] = &["and", "or", "not", "mod", "if", "else", "learn"];

/// Reserved words that are values.
const LITERALS: &[&str] = &["true", "false", "nan", "missing"];

/// Every word that is a keyword somewhere, each once, in alphabetical order.
pub fn keywords() -> Vec<&'static str> {
    let mut words: Vec<&str> = KEYWORDS
        .iter()
        .flat_map(|(_, head, clauses)| clauses.iter().copied().chain([*head]))
        .chain(AFTER_OPERAND.iter().copied())
        .chain(RESERVED.iter().copied())
        .chain(LITERALS.iter().copied())
        .filter(|word| !word.is_empty())
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// The tokens of any text, in order and without gaps.
///
/// Cost: linear in the length of the text.
pub fn tokenize(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let bytes = text.as_bytes();
    let (mut done, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = super::scan::string_end(bytes, at).unwrap_or(at + 1),
            b'#' => {
                // comments are cut out here: the grammar would read them one character at a time
                tokenize_piece(text, done, at, &mut tokens);
                let end = super::scan::line_end(bytes, at);
                let doc = bytes.get(at + 1) == Some(&b'#');
                let kind = if doc { TokenKind::DocComment } else { TokenKind::Comment };
                tokens.push(Token { kind, start: at, end });
                (done, at) = (end, end);
            }
            _ => at += 1,
        }
    }
    tokenize_piece(text, done, text.len(), &mut tokens);
    tokens
}

/// Appends the tokens of `text[start..end]`, which holds no comment.
fn tokenize_piece(text: &str, start: usize, end: usize, tokens: &mut Vec<Token>) {
    let mut push = |kind, start, end| {
        if start < end {
            tokens.push(Token { kind, start, end });
        }
    };
    let mut done = start;
    let piece = text.get(start..end).unwrap_or("");
    if piece == "\n" {
        push(TokenKind::Newline, start, end);
        done = end;
    } else if !piece.is_empty() {
        let pairs = MbaParser::parse(Rule::tokens, piece).into_iter().flatten();
        for pair in pairs.flat_map(|pair| pair.into_inner()) {
            let span = pair.as_span();
            let kind = match pair.as_rule() {
                Rule::word => TokenKind::Word,
                Rule::number => TokenKind::Number,
                Rule::percent => TokenKind::Percent,
                Rule::string => TokenKind::String,
                Rule::comment => TokenKind::Comment,
                Rule::doc_comment => TokenKind::DocComment,
                Rule::operator => TokenKind::Operator,
                Rule::newline => TokenKind::Newline,
                Rule::blank => TokenKind::Blank,
                Rule::EOI => continue,
                // a byte order mark is white space wherever it stands
                _ if pair.as_str() == "\u{FEFF}" => TokenKind::Blank,
                _ => TokenKind::Unknown,
            };
            // the mark at the beginning is matched without a token of its own
            push(TokenKind::Blank, done, start + span.start());
            push(kind, start + span.start(), start + span.end());
            done = start + span.end();
        }
    }
    push(TokenKind::Blank, done, end);
}

/// The tokens of any text, each with what it is where it stands.
///
/// Cost: linear in the length of the text.
pub fn highlight(text: &str) -> Vec<(Token, Highlight)> {
    mark(text).into_iter().map(|m| (m.token, m.highlight)).collect()
}

/// What surrounds a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Between statements.
    File,
    /// In the braces of a model or a `for`.
    Model,
    /// In the braces of a test.
    Test,
    /// In the braces of a fit, a balance or an estimate.
    Options,
    /// In any other bracket.
    Inside,
}

/// A token in its surroundings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marked<'t> {
    pub token: Token,
    pub text: &'t str,
    pub highlight: Highlight,
    /// For `-` and `+`: a sign, not an operation.
    pub unary: bool,
    /// For `{` and `}`: a block or a branch, not a set.
    pub block: bool,
    /// Where it stands; for brackets, what stands around them.
    pub place: Place,
    /// The keyword its statement or item began with; empty if none.
    pub head: &'static str,
    /// Whether it begins a statement or item.
    pub first: bool,
    /// In a model, before anything that makes an interaction more than a free table.
    pub free_terms: bool,
    /// Brackets open around it.
    pub depth: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Operand,
    Word(&'static str),
    Other,
}

struct Frame {
    place: Place,
    block: bool,
    head: &'static str,
    first: bool,
    free_terms: bool,
}

impl Frame {
    fn new(place: Place, block: bool) -> Self {
        Self { place, block, head: "", first: true, free_terms: true }
    }

    fn next_item(&mut self) {
        *self = Self::new(self.place, self.block);
    }
}

/// Every token of a text with its surroundings.
pub(super) fn mark(text: &str) -> Vec<Marked<'_>> {
    let tokens = tokenize(text);
    let mut marked = Vec::with_capacity(tokens.len());
    let mut frames = vec![Frame::new(Place::File, true)];
    let mut before = Before::Nothing;
    for (index, token) in tokens.iter().enumerate() {
        let depth = frames.len() - 1;
        // the frame of the file is never popped
        let Some(frame) = frames.last_mut() else { break };
        let piece = token.text(text);
        let mut m = Marked {
            token: *token,
            text: piece,
            highlight: Highlight::Blank,
            unary: false,
            block: false,
            place: frame.place,
            head: frame.head,
            first: frame.first && token.matters(),
            free_terms: frame.free_terms && frame.place == Place::Model,
            depth,
        };
        match token.kind {
            TokenKind::Blank => {}
            TokenKind::Comment => m.highlight = Highlight::Comment,
            TokenKind::DocComment => m.highlight = Highlight::DocComment,
            TokenKind::Newline => {
                if frame.place != Place::Inside {
                    frame.next_item();
                    before = Before::Nothing;
                }
            }
            TokenKind::Word => {
                let next = tokens.get(index + 1).map_or("", |t| t.text(text));
                let after_blank = tokens.get(index + 1..).unwrap_or_default();
                let after_blank =
                    after_blank.iter().find(|t| t.kind != TokenKind::Blank).map_or("", |t| t.text(text));
                (m.highlight, before) = word(piece, frame, before, next, after_blank);
                m.head = frame.head;
                m.free_terms = frame.free_terms && frame.place == Place::Model;
                frame.first = false;
            }
            TokenKind::Number | TokenKind::Percent | TokenKind::String => {
                let string = token.kind == TokenKind::String;
                m.highlight = if string { Highlight::String } else { Highlight::Number };
                before = Before::Operand;
                frame.first = false;
            }
            TokenKind::Unknown => {
                m.highlight = Highlight::Unknown;
                before = Before::Other;
                frame.first = false;
            }
            TokenKind::Operator => {
                let punctuation = "()[]{},;:.".contains(piece) && piece != "..";
                m.highlight = if punctuation { Highlight::Punctuation } else { Highlight::Operator };
                m.unary = matches!(piece, "-" | "+") && before != Before::Operand;
                frame.first = false;
                match piece {
                    "(" | "[" => {
                        let head = frame.head;
                        frames.push(Frame { head, first: false, ..Frame::new(Place::Inside, false) });
                    }
                    "{" => {
                        let after = before == Before::Operand || before == Before::Word("else");
                        let place = match (frame.place, frame.head) {
                            _ if !after => Place::Inside,
                            (Place::File, "model") | (Place::Model, "for") => Place::Model,
                            (Place::File, "test") => Place::Test,
                            (Place::File, "fit" | "balance" | "estimate") => Place::Options,
                            _ => Place::Inside,
                        };
                        m.block = after;
                        frames.push(Frame::new(place, after));
                    }
                    ")" | "]" | "}" if depth > 0 => {
                        let closed = frames.pop();
                        m.block = closed.is_some_and(|f| f.block);
                        m.depth = frames.len() - 1;
                        if let Some(frame) = frames.last() {
                            (m.place, m.head, m.first) = (frame.place, frame.head, false);
                            m.free_terms = frame.free_terms && frame.place == Place::Model;
                        }
                    }
                    ";" if frame.place != Place::Inside => frame.next_item(),
                    "," if frame.place == Place::Options => frame.next_item(),
                    "=" => frame.free_terms = false,
                    _ => {}
                }
                before = match piece {
                    ")" | "]" | "}" => Before::Operand,
                    "." => Before::Word("."),
                    ";" => Before::Nothing,
                    _ => Before::Other,
                };
            }
        }
        marked.push(m);
    }
    marked
}

/// What a word is, given what stands before and after it.
fn word(word: &str, frame: &mut Frame, before: Before, next: &str, after_blank: &str) -> (Highlight, Before) {
    let name = (Highlight::Name, Before::Operand);
    if before == Before::Word(".") {
        return name;
    }
    if let Some(literal) = find(LITERALS, word) {
        let masks = literal == "missing" && frame.head == "data" && matches!(after_blank, "from" | "where");
        return if masks {
            (Highlight::Keyword, Before::Word(literal))
        } else {
            (Highlight::Literal, Before::Operand)
        };
    }
    if let Some(reserved) = find(RESERVED, word) {
        return (Highlight::Keyword, Before::Word(reserved));
    }
    let heads = |place: Place| {
        KEYWORDS.iter().filter(move |(p, ..)| *p == place).map(|(_, head, _)| *head).find(|h| *h == word)
    };
    if let Some(statement) = heads(Place::File) {
        if frame.first {
            (frame.head, frame.free_terms) = (statement, false);
        }
        return (Highlight::Keyword, Before::Word(statement));
    }
    // what touches a bracket is called, and what stands before a colon is an argument's name
    let called = next == "(" || after_blank == ":";
    if frame.first {
        if frame.place == Place::Options {
            return (Highlight::Option, Before::Other);
        }
        let called = called && frame.place == Place::Model;
        if let Some(head) = heads(frame.place).filter(|_| !called) {
            (frame.head, frame.free_terms) = (head, false);
            return (Highlight::Keyword, Before::Word(head));
        }
        return name;
    }
    let clauses = |(place, head, words): &(Place, &'static str, &'static [&'static str])| {
        let here = *place == frame.place || (frame.place == Place::Inside && word == "as" && *head == "data");
        if here && *head == frame.head { find(words, word) } else { None }
    };
    let placed = match before {
        Before::Operand => true,
        Before::Word("missing" | "observed") => matches!(word, "from" | "where"),
        Before::Word("expect") => word == "error" && after_blank.starts_with(|c: char| c.is_alphabetic()),
        Before::Word("from") => word == "coords",
        _ => false,
    };
    if placed && (!called || matches!(word, "over" | "with" | "in")) {
        if let Some(clause) = KEYWORDS.iter().find_map(clauses) {
            frame.free_terms &= clause != "where";
            return (Highlight::Keyword, Before::Word(clause));
        }
        if let Some(clause) = find(AFTER_OPERAND, word).filter(|_| before == Before::Operand) {
            return (Highlight::Keyword, Before::Word(clause));
        }
    }
    name
}

/// The words that can begin a statement or an item.
pub(super) fn statement_words(place: Place) -> Vec<&'static str> {
    KEYWORDS.iter().filter(|(p, head, _)| *p == place && !head.is_empty()).map(|(_, head, _)| *head).collect()
}

/// The words that can follow in a statement or item that began with `head`.
pub(super) fn keywords_at(place: Place, head: &str) -> Vec<&'static str> {
    KEYWORDS
        .iter()
        .filter(|(p, h, _)| *p == place && *h == head)
        .flat_map(|(_, _, clauses)| clauses.iter().copied())
        .collect()
}

/// Whether a word can only be a keyword, so that a bracket after it is neither call nor index.
pub(super) fn never_a_name(word: &str) -> bool {
    let statement = KEYWORDS.iter().any(|(place, head, _)| *place == Place::File && *head == word);
    statement || RESERVED.contains(&word)
}

fn find(words: &[&'static str], word: &str) -> Option<&'static str> {
    words.iter().copied().find(|w| *w == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(String, Highlight)> {
        let all = highlight(text).into_iter();
        all.filter(|(t, _)| t.kind == TokenKind::Word).map(|(t, h)| (t.text(text).to_string(), h)).collect()
    }

    fn keywords_of(text: &str) -> Vec<String> {
        words(text).into_iter().filter(|(_, h)| *h == Highlight::Keyword).map(|(w, _)| w).collect()
    }

    #[test]
    fn tokens_cover_the_text() {
        for text in ["", "\u{FEFF}mode a # b\r\n\tshow \"é\" ..", "\"open", "1.5e", "3abc \u{FEFF}\0"] {
            let tokens = tokenize(text);
            let again: String = tokens.iter().map(|t| t.text(text)).collect();
            assert_eq!(again, text);
            assert!(tokens.windows(2).all(|w| w[0].end == w[1].start), "{tokens:?}");
        }
    }

    #[test]
    fn a_keyword_is_one_only_where_it_is_expected() {
        assert_eq!(keywords_of("fit to to count"), ["fit", "to"]);
        assert_eq!(keywords_of("show count, sum, to.by"), ["show"]);
        assert_eq!(
            keywords_of("data x[a as B] from \"f\" count count missing where a == 1"),
            ["data", "as", "from", "count", "missing", "where"]
        );
        assert_eq!(
            keywords_of("model m { temperature(2) over (a)\n temperature 2 }"),
            ["model", "over", "temperature"]
        );
        assert_eq!(
            keywords_of("test \"t\" { expect error MBA001 in \"x\"; expect error == 1 within 2 }"),
            ["test", "expect", "error", "in", "expect", "within"]
        );
        for text in ["fit m to x { seed 1 }", "balance K to x { seed 1 }", "estimate m by gibbs { seed 1 }"] {
            assert_eq!(words(text).last(), Some(&("seed".into(), Highlight::Option)), "{text}");
        }
    }

    #[test]
    fn keywords_are_listed_once() {
        let all = keywords();
        assert!(all.windows(2).all(|w| w[0] < w[1]));
        assert!(all.contains(&"without") && all.contains(&"with") && all.contains(&"nan"));
    }
}
