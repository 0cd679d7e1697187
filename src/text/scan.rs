//! A first look at a text, before the grammar: strings, comments and brackets.
//!
//! The grammar recovers from mistakes by trying again, which is only affordable while brackets pair
//! up. So whatever is unbalanced is found here, in one pass, reported, and cut out together with the
//! item it stands in. Comments and long blanks are cut out too; every cut leaves one space, and
//! [`Scan::original`] leads back to places in the user's text.

use super::codes::Code;
use super::diagnostic::Diagnostic;
use super::span::{SourceId, Span};
use super::syntax_errors::STATEMENTS;

/// Brackets and conditionals nested deeper than this are refused, so that no later recursion can
/// exhaust the stack.
pub(super) const MAX_DEPTH: usize = 100;

/// Blanks longer than this are cut down to one, so that the grammar need not walk over them.
const LONG_BLANK: usize = 32;

/// The end of the string that begins with the quote at `start`, if it is closed and its escapes are
/// known.
pub(super) fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    string(bytes, start).ok()
}

enum BadString {
    Open,
    /// At the backslash.
    Escape(usize),
}

fn string(bytes: &[u8], start: usize) -> Result<usize, BadString> {
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            None | Some(b'\n') => return Err(BadString::Open),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'n' | b't') => at += 2,
                Some(b'u') => at = unicode_escape(bytes, at).ok_or(BadString::Escape(at))?,
                None | Some(b'\n') => return Err(BadString::Open),
                Some(_) => return Err(BadString::Escape(at)),
            },
            Some(_) => at += 1,
        }
    }
}

/// The end of the `\u{…}` at `start`, if it is written so.
fn unicode_escape(bytes: &[u8], start: usize) -> Option<usize> {
    let digits = bytes.get(start + 3..).unwrap_or_default();
    let count = digits.iter().take(6).take_while(|b| b.is_ascii_hexdigit()).count();
    let braces = bytes.get(start + 2) == Some(&b'{') && digits.get(count) == Some(&b'}');
    (braces && count > 0).then_some(start + 3 + count + 1)
}

/// The line feed at or after `start`, or the end of the text.
pub(super) fn line_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    rest.iter().position(|b| *b == b'\n').map_or(bytes.len(), |i| start + i)
}

/// What the first look found.
pub(super) struct Scan {
    /// What is left for the grammar.
    pub text: String,
    /// Comments, in order, without trailing white space.
    pub comments: Vec<(usize, usize)>,
    /// What is wrong with strings and brackets.
    pub diagnostics: Vec<Diagnostic>,
    /// For each cut the place in `text` where its space stands, and what it replaces.
    cuts: Vec<(usize, usize, usize)>,
}

impl Scan {
    /// The place in the original of a byte of [`Scan::text`].
    fn byte(&self, at: usize) -> usize {
        let after = self.cuts.partition_point(|(space, ..)| *space < at);
        match after.checked_sub(1).and_then(|i| self.cuts.get(i)) {
            Some((space, _, end)) => end + (at - space - 1),
            None => at,
        }
    }

    /// The place in the original of `start..end` of [`Scan::text`].
    pub fn original(&self, start: usize, end: usize) -> (usize, usize) {
        let from = self.byte(start);
        // the end belongs to the last byte inside, not to a cut that follows
        let to = if end > start { self.byte(end - 1) + 1 } else { from };
        (from, to)
    }
}

/// Looks at a text for the first time. Cost: linear.
pub(super) fn scan(source: SourceId, text: &str) -> Scan {
    let mut scanner = Scanner::new(source, text, false);
    scanner.run();
    if !scanner.diagnostics.is_empty() {
        // a word that begins a statement may stand inside brackets, if rarely; that it ends what is
        // open is believed only once something is known to be wrong
        scanner = Scanner::new(source, text, true);
        scanner.run();
    }
    let Scanner { mut cuts, comments, mut diagnostics, .. } = scanner;
    diagnostics.sort_by_key(|d| d.span().map(|s| s.start));
    cuts.extend(comments.iter().copied());
    cuts.sort_unstable();
    let mut left = String::with_capacity(text.len());
    let mut made: Vec<(usize, usize, usize)> = Vec::new();
    let mut done = 0;
    for (start, end) in cuts {
        if start < done {
            // overlaps the cut before
            if let Some(last) = made.last_mut().filter(|_| end > done) {
                last.2 = end;
                done = end;
            }
            continue;
        }
        left.push_str(text.get(done..start).unwrap_or(""));
        made.push((left.len(), start, end));
        left.push(' ');
        done = end;
    }
    left.push_str(text.get(done..).unwrap_or(""));
    Scan { text: left, comments, diagnostics, cuts: made }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    None,
    Model,
    Test,
    Fit,
    For,
    Other,
}

/// The file, or an open bracket.
struct Level {
    sign: char,
    at: usize,
    /// Whether newlines end items here: the file and the braces of models, tests, `for` and fits.
    block: bool,
    model: bool,
    /// First byte of the item being read, and what it began with.
    item: Option<usize>,
    head: Head,
    /// Whether the item cannot be left to the grammar.
    bad: bool,
    /// `if`s that may be nested in one another.
    ifs: usize,
    /// The first newline at which this bracket was the innermost.
    newline: Option<usize>,
}

impl Level {
    fn new(sign: char, at: usize, block: bool, model: bool) -> Self {
        let (item, head, bad, ifs, newline) = (None, Head::None, false, 0, None);
        Self { sign, at, block, model, item, head, bad, ifs, newline }
    }
}

struct Scanner<'t> {
    source: SourceId,
    text: &'t str,
    recover: bool,
    levels: Vec<Level>,
    /// Brackets opened beyond [`MAX_DEPTH`] and not followed one by one.
    beyond: usize,
    ifs: usize,
    comments: Vec<(usize, usize)>,
    cuts: Vec<(usize, usize)>,
    diagnostics: Vec<Diagnostic>,
}

impl<'t> Scanner<'t> {
    fn new(source: SourceId, text: &'t str, recover: bool) -> Self {
        Self {
            source,
            text,
            recover,
            levels: vec![Level::new(' ', 0, true, false)],
            beyond: 0,
            ifs: 0,
            comments: Vec::new(),
            cuts: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }

    fn run(&mut self) {
        let text = self.text;
        let bytes = text.as_bytes();
        let mut at = 0;
        let mut operand = false;
        let mut line_begins = true;
        while let Some(byte) = bytes.get(at).copied() {
            let start = at;
            match byte {
                b'\n' => {
                    at += 1;
                    line_begins = true;
                    if let Some(level) = self.levels.last_mut() {
                        level.newline.get_or_insert(start);
                        if level.block && self.beyond == 0 {
                            self.end_item(start);
                            operand = false;
                        }
                    }
                    continue;
                }
                b' ' | b'\t' | b'\r' => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    let blank = |b: &&u8| matches!(b, b' ' | b'\t' | b'\r');
                    at += rest.iter().take_while(blank).count().max(1);
                    if at - start > LONG_BLANK {
                        self.cuts.push((start, at));
                    }
                    continue;
                }
                0xEF if text.get(at..).is_some_and(|t| t.starts_with('\u{FEFF}')) => {
                    at += '\u{FEFF}'.len_utf8();
                    continue;
                }
                b'#' => {
                    at = line_end(bytes, at);
                    let body = text.get(start..at).unwrap_or("").trim_end();
                    self.comments.push((start, start + body.len()));
                    continue;
                }
                b'"' => {
                    self.begin_item(start, "");
                    operand = true;
                    at = match string(bytes, at) {
                        Ok(end) => end,
                        Err(why) => self.bad_string(start, why),
                    };
                }
                b'(' | b'[' | b'{' => {
                    at += 1;
                    self.begin_item(start, "");
                    self.open(char::from(byte), start, operand);
                    operand = false;
                }
                b')' | b']' | b'}' => {
                    at += 1;
                    self.close(char::from(byte), start);
                    operand = true;
                }
                b';' | b',' => {
                    at += 1;
                    operand = false;
                    if let Some(level) = self.levels.last_mut().filter(|_| self.beyond == 0) {
                        if level.block && byte == b';' {
                            self.end_item(start);
                        } else if !level.block {
                            self.ifs -= level.ifs;
                            level.ifs = 0;
                        }
                    }
                }
                _ if byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80 => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    let part = |b: &&u8| **b == b'_' || b.is_ascii_alphanumeric() || **b >= 0x80;
                    at += rest.iter().take_while(part).count().max(1);
                    let word = text.get(start..at).unwrap_or("");
                    if self.recover && line_begins && STATEMENTS.contains(&word) {
                        self.statement_begins(word, start);
                    }
                    self.begin_item(start, word);
                    operand = !matches!(word, "in" | "and" | "or" | "not" | "mod" | "if" | "with" | "at");
                    if word == "if" {
                        self.conditional(start, at);
                    }
                }
                _ => {
                    at += 1;
                    self.begin_item(start, "");
                    operand = false;
                }
            }
            line_begins = false;
        }
        self.unwind(0, text.len());
        self.end_item(text.len());
    }

    fn begin_item(&mut self, at: usize, word: &str) {
        if let Some(level) = self.levels.last_mut().filter(|l| l.block && l.item.is_none()) {
            level.item = Some(at);
            let file = level.sign == ' ';
            level.head = match word {
                "model" if file => Head::Model,
                "test" if file => Head::Test,
                "fit" | "balance" if file => Head::Fit,
                "for" if level.model => Head::For,
                _ => Head::Other,
            };
        }
    }

    /// Ends the item of the innermost level, which is a block.
    fn end_item(&mut self, at: usize) {
        let Some(level) = self.levels.last_mut() else { return };
        if let Some(item) = level.item.filter(|_| level.bad) {
            self.cuts.push((item, at));
        }
        self.ifs -= level.ifs;
        (level.item, level.head, level.bad, level.ifs) = (None, Head::None, false, 0);
    }

    /// Keeps the item being read from the grammar.
    fn spoil(&mut self) {
        if let Some(level) = self.levels.iter_mut().rev().find(|l| l.block) {
            level.bad = true;
        }
    }

    fn open(&mut self, sign: char, at: usize, after_operand: bool) {
        if self.levels.len() + self.ifs > MAX_DEPTH || self.beyond > 0 {
            if self.beyond == 0 {
                self.too_deep(at, at + 1);
            }
            self.beyond += 1;
            return;
        }
        let head = self.levels.last().filter(|l| l.block && after_operand).map_or(Head::None, |l| l.head);
        let block = sign == '{' && matches!(head, Head::Model | Head::Test | Head::Fit | Head::For);
        let model = block && matches!(head, Head::Model | Head::For);
        self.levels.push(Level::new(sign, at, block, model));
    }

    fn conditional(&mut self, start: usize, end: usize) {
        if self.beyond > 0 {
            return;
        }
        if self.levels.len() + self.ifs > MAX_DEPTH {
            self.too_deep(start, end);
        } else if let Some(level) = self.levels.last_mut() {
            level.ifs += 1;
            self.ifs += 1;
        }
    }

    fn too_deep(&mut self, start: usize, end: usize) {
        let block = self.levels.iter().rev().find(|l| l.block);
        if block.is_none_or(|b| !b.bad) {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA004, "this is nested too deeply")
                    .at(self.span(start, end), format!("more than {MAX_DEPTH} levels deep"))
                    .help("split the expression, or name its parts with `param`"),
            );
        }
        self.spoil();
    }

    fn close(&mut self, sign: char, at: usize) {
        if self.beyond > 0 {
            self.beyond -= 1;
            return;
        }
        let wanted = match sign {
            ')' => '(',
            ']' => '[',
            _ => '{',
        };
        let mut partner = None;
        for (index, level) in self.levels.iter().enumerate().skip(1).rev() {
            if level.sign == wanted {
                partner = Some(index);
                break;
            }
            if level.block {
                break;
            }
        }
        match (partner, self.levels.last()) {
            (Some(index), _) => {
                self.unwind_to(index, at, Some(sign));
                if self.levels.last().is_some_and(|l| l.block) {
                    self.end_item(at);
                }
                if let Some(closed) = self.levels.pop() {
                    self.ifs -= closed.ifs;
                }
            }
            (None, Some(top)) if !top.block => {
                let opened = self.span(top.at, top.at + 1);
                let mismatch = Diagnostic::new(Code::MBA002, format!("`{}` is closed by `{sign}`", top.sign))
                    .at(self.span(at, at + 1), "this closes")
                    .at(opened, "what was opened here")
                    .help("brackets close in the reverse order of opening");
                self.ifs -= top.ifs;
                self.diagnostics.push(mismatch);
                self.levels.pop();
                self.spoil();
            }
            _ => {
                self.diagnostics.push(
                    Diagnostic::new(Code::MBA002, format!("`{sign}` closes nothing"))
                        .at(self.span(at, at + 1), "nothing is open here")
                        .help("remove it, or open it earlier"),
                );
                self.cuts.push((at, at + 1));
            }
        }
    }

    /// A word that begins a statement stands at the beginning of a line: nothing can be open.
    fn statement_begins(&mut self, word: &str, at: usize) {
        let inner = self.levels.iter().rposition(|l| l.model).filter(|_| word == "mode");
        self.unwind(inner.unwrap_or(0), at);
    }

    /// Gives up every bracket above `keep` and the item they stand in.
    fn unwind(&mut self, keep: usize, at: usize) {
        self.beyond = 0;
        if self.levels.len() > keep + 1 {
            self.unwind_to(keep, at, None);
            self.end_item(at);
        }
    }

    /// Reports the brackets above `keep` as never closed and gives up the items they stand in.
    fn unwind_to(&mut self, keep: usize, at: usize, closed_by: Option<char>) {
        let unclosed = self.levels.len().saturating_sub(keep + 1);
        if unclosed == 0 {
            return;
        }
        let mut line_end = None;
        let mut reports = Vec::new();
        for index in keep + 1..self.levels.len() {
            let around = index.checked_sub(1).and_then(|i| self.levels.get(i));
            let Some(level) = self.levels.get(index) else { break };
            self.ifs -= level.ifs;
            line_end = level.newline;
            // of several brackets in one item, the first is enough
            if around.is_none_or(|a| a.bad || !(a.block || index == keep + 1)) {
                continue;
            }
            let close = match level.sign {
                '(' => ')',
                '[' => ']',
                _ => '}',
            };
            let mut report = Diagnostic::new(Code::MBA002, format!("`{}` is never closed", level.sign))
                .at(self.span(level.at, level.at + 1), "opened here")
                .help(format!("add the missing `{close}`"));
            if let Some(other) = closed_by {
                report = report.at(self.span(at, at + 1), format!("still open at this `{other}`"));
            }
            reports.push(report);
        }
        self.diagnostics.append(&mut reports);
        self.levels.truncate(keep + 1);
        // a bracket left open on one line of a block costs that line, not those after it
        let continues = |end: usize| {
            let before = self.text.get(..end).unwrap_or("").trim_end_matches([' ', '\t', '\r']);
            before.ends_with([',', '(', '[', '{', '+', '-', '*', '/', '='])
        };
        let kept_block = self.levels.last_mut().filter(|l| l.block);
        match (kept_block, line_end) {
            (Some(block), Some(end)) if unclosed == 1 && closed_by.is_some() && !continues(end) => {
                if let Some(item) = block.item.take() {
                    self.cuts.push((item, end));
                }
            }
            _ => self.spoil(),
        }
    }

    /// Reports a string that is not one, and returns where to read on.
    fn bad_string(&mut self, start: usize, why: BadString) -> usize {
        let end = line_end(self.text.as_bytes(), start);
        let report = match why {
            BadString::Open => Diagnostic::new(Code::MBA002, "this string is never closed")
                .at(self.span(start, start + 1), "opened here")
                .help("close it with `\"` on the same line"),
            BadString::Escape(at) => {
                let rest = self.text.get(at..end).unwrap_or("");
                let shown: String = rest.chars().take(2).collect();
                Diagnostic::new(Code::MBA001, format!("unknown escape `{shown}` in a string"))
                    .at(self.span(at, at + shown.len()), "no such escape")
                    .help("the escapes are `\\\"`, `\\\\`, `\\n`, `\\t` and `\\u{…}` with up to six hexadecimal digits")
            }
        };
        self.diagnostics.push(report);
        self.spoil();
        // what was opened on this line would have been closed in what the string swallowed
        let line = self.text.get(..start).and_then(|t| t.rfind('\n')).map_or(0, |i| i + 1);
        while self.levels.last().is_some_and(|l| !l.block && l.at >= line) {
            if let Some(level) = self.levels.pop() {
                self.ifs -= level.ifs;
            }
        }
        let swallowed = self.text.get(start..end).unwrap_or("").trim_end();
        if swallowed.len() > 1 && swallowed.ends_with('{') && self.levels.last().is_some_and(|l| l.block) {
            self.open('{', start + swallowed.len() - 1, true);
        }
        if swallowed.ends_with('}')
            && self.levels.len() > 1
            && self.levels.last().is_some_and(|l| l.at >= line)
        {
            // a block of one line
            self.end_item(end);
            self.levels.pop();
            self.spoil();
        }
        end
    }
}
