//! Where in a text a place is, for completion: what surrounds the word that ends there.

use super::tokens::{Highlight, Marked, Place, TokenKind, keywords_at, mark, statement_words};

/// The surroundings of a place in a text, however unfinished the text is.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor<'t> {
    /// Where the word begins that ends at the place; the place itself when there is none.
    pub start: usize,
    /// That word, or what has been written of it. In a string, all of it since the quote.
    pub word: &'t str,
    /// The text of the comment the place is in, without the word.
    pub comment: Option<&'t str>,
    /// Whether the place is inside a string.
    pub string: bool,
    /// Whether a statement, an item of a block or an option begins here.
    pub first: bool,
    /// The keyword of the statement at the outermost level; empty if there is none.
    pub statement: &'t str,
    /// The block the place is directly in.
    pub block: Block,
    /// The keyword the innermost statement or item began with; empty if none.
    pub head: &'static str,
    /// The last keyword before the place in the innermost bracket or block.
    pub clause: &'t str,
    /// The token before the word, white space aside; empty at the beginning of a text.
    pub previous: &'t str,
    /// The innermost bracket that is open inside the block, and what touches it from the left.
    pub bracket: Option<(char, &'t str)>,
    /// What stands before the dot that touches the word: `f` in `f.kl`.
    pub base: Option<&'t str>,
    /// The name whose value or level is written here: `hair` in `hair: Bl` and in `hair == Bl`.
    pub of: Option<&'t str>,
    /// The keywords that may stand here, from the table of keywords.
    pub keywords: Vec<&'static str>,
}

/// What kind of braces a place is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// None.
    File,
    /// Those of a model or of a `for`.
    Model,
    /// Those of a test.
    Test,
    /// Those of a fit, a balance or an estimate.
    Options,
}

impl<'t> Cursor<'t> {
    /// The surroundings of the place `at` in `text`; what follows it is not looked at.
    ///
    /// Cost: linear in `at`.
    pub fn new(text: &'t str, at: usize) -> Cursor<'t> {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &text[..at];
        if let Some(quote) = open_string(before) {
            return Cursor::at(text, quote, quote + 1, at, true);
        }
        let letter = |c: char| c.is_alphanumeric() || c == '_';
        let start = before.trim_end_matches(letter).len();
        Cursor::at(text, start, start, at, false)
    }

    /// `probe` is where the word or its opening quote begins, `start` where what is replaced begins.
    fn at(text: &'t str, probe: usize, start: usize, at: usize, string: bool) -> Cursor<'t> {
        // a name stands in for the word, so that half a keyword is not taken for one
        let probed = format!("{}x", &text[..probe]);
        let marks = mark(&probed);
        let (Some(here), rest) = (marks.last(), marks.len().saturating_sub(1)) else {
            // a text of one letter has a token
            return Cursor::nowhere(text, start, at);
        };
        let earlier = &marks[..rest];
        let slice = |m: &Marked<'_>| text.get(m.token.start..m.token.end).unwrap_or("");
        if matches!(here.token.kind, TokenKind::Comment | TokenKind::DocComment) {
            let comment = text.get(here.token.start..start).unwrap_or("").trim_start_matches('#');
            return Cursor { comment: Some(comment), ..Cursor::nowhere(text, start, at) };
        }
        let matter: Vec<&Marked<'_>> = earlier.iter().filter(|m| m.token.matters()).collect();
        let mut open: Vec<(usize, Block)> = Vec::new();
        for (index, m) in matter.iter().enumerate() {
            match m.text {
                "(" | "[" => open.push((index, Block::File)),
                "{" => open.push((index, block_of(m, &matter[..index]))),
                ")" | "]" | "}" => {
                    open.pop();
                }
                _ => {}
            }
        }
        let innermost = open.last();
        let block = open.iter().rev().map(|o| o.1).find(|b| *b != Block::File).unwrap_or(Block::File);
        let bracket = innermost.and_then(|(index, block)| {
            let m = matter[*index];
            let callee = operand_before(text, &matter, *index);
            (*block == Block::File).then(|| (m.text.chars().next().unwrap_or(' '), callee))
        });
        let from = innermost.map_or(0, |(index, _)| index + 1);
        let clause = matter[from..]
            .iter()
            .rev()
            .take_while(|m| m.text != ";")
            .find(|m| m.highlight == Highlight::Keyword && m.depth == here.depth)
            .filter(|m| !separated(text, m.token.end, start, bracket.is_some()))
            .map_or("", |m| slice(m));
        let statement = matter
            .iter()
            .rev()
            .find(|m| m.place == Place::File && m.depth == 0 && m.first)
            .filter(|m| !separated(text, m.token.end, start, !open.is_empty()))
            .filter(|m| m.highlight == Highlight::Keyword)
            .map_or("", |m| slice(m));
        let previous = matter.last().filter(|m| !separated(text, m.token.end, start, bracket.is_some()));
        let dotted = matter.last().filter(|m| m.text == "." && m.token.end == start);
        let of = match matter.as_slice() {
            [.., name, sign]
                if matches!(sign.text, ":" | "==" | "!=") && name.token.kind == TokenKind::Word =>
            {
                Some(slice(name))
            }
            _ => None,
        };
        Cursor {
            start,
            word: text.get(start..at).unwrap_or(""),
            comment: None,
            string,
            first: here.first,
            statement,
            block,
            head: here.head,
            clause,
            previous: previous.map_or("", |m| slice(m)),
            bracket,
            base: dotted.map(|_| operand_before(text, &matter, matter.len() - 1)),
            of,
            keywords: if here.first {
                statement_words(here.place)
            } else {
                keywords_at(here.place, here.head)
            },
        }
    }

    fn nowhere(text: &'t str, start: usize, at: usize) -> Cursor<'t> {
        Cursor {
            start,
            word: text.get(start..at).unwrap_or(""),
            comment: None,
            string: false,
            first: false,
            statement: "",
            block: Block::File,
            head: "",
            clause: "",
            previous: "",
            bracket: None,
            base: None,
            of: None,
            keywords: Vec::new(),
        }
    }
}

/// Whether a line or statement ends between two places.
fn separated(text: &str, from: usize, to: usize, inside: bool) -> bool {
    !inside && text.get(from..to).is_some_and(|between| between.contains(['\n', ';']))
}

/// The quote of a string that is open at the end of a text.
fn open_string(before: &str) -> Option<usize> {
    let tokens = super::tokens::tokenize(before);
    let line = before.rfind('\n').map_or(0, |i| i + 1);
    tokens
        .iter()
        .find(|t| t.start >= line && t.kind == TokenKind::Unknown && t.text(before).starts_with('"'))
        .map(|t| t.start)
}

/// What a brace opens.
fn block_of(brace: &Marked<'_>, before: &[&Marked<'_>]) -> Block {
    let Some(first) = before.iter().rev().find(|m| m.first && m.depth == brace.depth) else {
        return Block::File;
    };
    match (brace.block, first.text) {
        (true, "model" | "for") => Block::Model,
        (true, "test") => Block::Test,
        (true, "fit" | "balance" | "estimate") => Block::Options,
        _ => Block::File,
    }
}

/// The operand that touches a token from the left: names, dots, and whole brackets.
fn operand_before<'t>(text: &'t str, matter: &[&Marked<'_>], index: usize) -> &'t str {
    let Some(end) = matter.get(index).map(|m| m.token.start) else { return "" };
    let mut start = end;
    let mut depth = 0usize;
    for m in matter[..index].iter().rev() {
        if depth == 0 && m.token.end != start {
            break;
        }
        match m.text {
            ")" | "]" => depth += 1,
            "(" | "[" if depth == 0 => break,
            "(" | "[" => depth -= 1,
            "." => {}
            _ if depth > 0 || m.token.kind == TokenKind::Word => {}
            _ => break,
        }
        start = m.token.start;
    }
    text.get(start..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The surroundings of the bar.
    fn cursor(text: &'static str) -> Cursor<'static> {
        let at = text.find('¦').unwrap();
        Cursor::new(&text[..at], at)
    }

    #[test]
    fn words_begin_where_they_begin() {
        let here = cursor("show pair¦");
        assert_eq!((here.start, here.word, here.statement, here.clause), (5, "pair", "show", "show"));
        assert!(cursor("mo¦").first);
        assert!(cursor("mode a: 2; mo¦").first);
        assert!(cursor("mode a: 2\n¦").first);
        assert!(!cursor("mode ¦").first);
        assert!(cursor("¦").keywords.contains(&"mode"));
    }

    #[test]
    fn brackets_know_what_they_belong_to() {
        assert_eq!(cursor("show f.marginal(ha¦").bracket, Some(('(', "f.marginal")));
        assert_eq!(cursor("data x[a, ¦").bracket, Some(('[', "x")));
        assert_eq!(cursor("model m { [a ¦").bracket, Some(('[', "")));
        assert_eq!(cursor("model m { [a ¦").block, Block::Model);
        assert_eq!(cursor("model m { [a] ¦").bracket, None);
        assert_eq!(cursor("f.fitted[a: 1].¦").base, Some("f.fitted[a: 1]"));
        assert_eq!(cursor("show compare(f, g).b¦").base, Some("compare(f, g)"));
        assert_eq!(cursor("show 1 + f.¦").base, Some("f"));
    }

    #[test]
    fn clauses_and_levels() {
        assert_eq!(cursor("fit m to ¦").clause, "to");
        assert_eq!(cursor("fit m to x b¦").keywords, ["to", "weight", "by", "as"]);
        assert_eq!(cursor("show f.probability(hair: Bl¦").of, Some("hair"));
        assert_eq!(cursor("model m { [a] = if a == ¦").of, Some("a"));
        assert_eq!(cursor("fit m to x { tol¦").block, Block::Options);
        assert!(cursor("fit m to x { tol¦").first);
        assert_eq!(cursor("test \"t\" { exp¦").block, Block::Test);
        assert_eq!(cursor("model m {\n  for a in s { ¦").block, Block::Model);
    }

    #[test]
    fn strings_and_comments() {
        let here = cursor("data x[a] from \"dir/fi¦");
        assert!(here.string);
        assert_eq!((here.word, here.clause, here.statement), ("dir/fi", "from", "data"));
        assert_eq!(cursor("model m { [a] } # allow MBA3¦").comment, Some(" allow "));
        assert!(!cursor("show \"a\" ¦").string);
    }
}
