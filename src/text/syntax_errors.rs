//! What is wrong with a piece of text that does not parse, in words a user would use.

use pest::error::{Error, ErrorVariant, InputLocation};

use super::codes::Code;
use super::diagnostic::Diagnostic;
use super::grammar::Rule;
use super::span::{SourceId, Span};
use super::suggest;

/// The words a statement can begin with.
pub(super) const STATEMENTS: &[&str] = &[
    "mode", "param", "data", "use", "model", "fit", "load", "balance", "sweep", "estimate", "show", "save",
    "plot", "test",
];

/// The words an item of a model can begin with, besides `[` and the name of a family.
const ITEMS: &[&str] = &[
    "without",
    "latent",
    "temperature",
    "algebra",
    "forbid",
    "given",
    "tie",
    "prior",
    "smooth",
    "mix",
    "for",
    "mode",
];

/// The words a line of a test can begin with.
const TEST_LINES: &[&str] = &["expect", "snapshot"];

const OTHER_RESERVED: &[&str] =
    &["and", "or", "not", "mod", "if", "else", "true", "false", "nan", "missing", "learn"];

/// Explains why `text[start..end]`, parsed by itself, was refused with `error`.
pub(super) fn explain(
    source: SourceId,
    text: &str,
    start: usize,
    end: usize,
    rule: Rule,
    error: &Error<Rule>,
) -> Diagnostic {
    let matter = text.get(start..end).unwrap_or("");
    if let Some(diagnostic) = lexical(source, matter, start) {
        return diagnostic;
    }
    let (expected, position) = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => (positives.as_slice(), error.location.clone()),
        ErrorVariant::CustomError { .. } => {
            return Diagnostic::new(Code::MBA004, "this is nested too deeply")
                .at(Span::new(source, start, end), "here")
                .help("split it, or name its parts with `param`");
        }
    };
    let position = match position {
        InputLocation::Pos(p) | InputLocation::Span((p, _)) => p.min(matter.len()),
    };
    let blank = |c: char| c == ' ' || c == '\t' || c == '\r';
    let position = position + matter[position..].len() - matter[position..].trim_start_matches(blank).len();
    let found = token_at(&matter[position..]);
    let span = Span::new(source, start + position, start + position + found.len());
    // an empty place is shown as the end of what stands before it
    let shown = if matches!(found, "" | "\n") {
        let before = matter.get(..position).unwrap_or("").trim_end();
        let last = before.chars().next_back().map_or(0, char::len_utf8);
        Span::new(source, start + before.len() - last, start + before.len())
    } else {
        span
    };

    if let Some(diagnostic) = unknown_beginning(rule, matter, position, Span::new(source, start, start)) {
        return diagnostic;
    }
    if expected.contains(&Rule::name) && is_reserved(found) {
        return Diagnostic::new(Code::MBA007, format!("`{found}` is a reserved word"))
            .at(span, "cannot be a name")
            .help(format!("choose another name, such as `{found}_`"));
    }
    if let Some(diagnostic) = decimal_point(source, matter, start, position) {
        return diagnostic;
    }
    if let Some(diagnostic) = two_on_a_line(rule, matter, position, span, expected) {
        return diagnostic;
    }
    let mut wanted: Vec<&str> = expected.iter().filter_map(|r| describe(*r)).collect();
    wanted.dedup();
    let mut seen = std::collections::BTreeSet::new();
    wanted.retain(|w| seen.insert(*w));
    let found_text = match found {
        "" | "\n" => "end of the line".to_string(),
        "}" => "`}`".to_string(),
        other => format!("`{other}`"),
    };
    let label = match wanted.as_slice() {
        [] => "not expected here".to_string(),
        [one] => format!("expected {one}"),
        [most @ .., last] if wanted.len() <= 6 => format!("expected {} or {last}", most.join(", ")),
        _ => "not expected here".to_string(),
    };
    let mut diagnostic = Diagnostic::new(Code::MBA001, format!("unexpected {found_text}")).at(shown, label);
    diagnostic.help = hint(matter, position, found, expected);
    diagnostic
}

/// Something that parses alone but not where it stands: two statements on one line, or an open brace.
pub(super) fn unfinished(span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA001, "this does not end where it should")
        .at(span, "followed by something on the same line")
        .help("put what follows on a line of its own, or separate the two by `;`")
}

/// Characters of no meaning, which are best explained one by one.
fn lexical(source: SourceId, matter: &str, start: usize) -> Option<Diagnostic> {
    let mut in_string = false;
    let mut escaped = false;
    for (at, c) in matter.char_indices() {
        if in_string {
            in_string = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
            continue;
        }
        let here = |len: usize| Span::new(source, start + at, start + at + len);
        let follows = |sign: &str| matter.get(at..).is_some_and(|rest| rest.starts_with(sign));
        match c {
            '"' => in_string = true,
            '\'' | '`' | '“' | '”' | '‘' | '’' => {
                return Some(
                    Diagnostic::new(Code::MBA001, format!("`{c}` does not quote a string"))
                        .at(here(c.len_utf8()), "not a quotation mark of the language")
                        .help("strings are written with `\"`"),
                );
            }
            '&' if follows("&&") => {
                return Some(
                    Diagnostic::new(Code::MBA001, "unexpected `&&`").at(here(2), "write `and`").replace(
                        here(2),
                        "and",
                        "write `and`",
                    ),
                );
            }
            '|' if follows("||") => {
                return Some(
                    Diagnostic::new(Code::MBA001, "unexpected `||`").at(here(2), "write `or`").replace(
                        here(2),
                        "or",
                        "write `or`",
                    ),
                );
            }
            '\u{A0}' | '\u{2007}' | '\u{202F}' | '\u{200B}' => {
                return Some(
                    Diagnostic::new(Code::MBA001, format!("invisible character U+{:04X}", u32::from(c)))
                        .at(here(c.len_utf8()), "not an ordinary space")
                        .replace(here(c.len_utf8()), " ", "write an ordinary space"),
                );
            }
            '−' | '–' => {
                return Some(
                    Diagnostic::new(Code::MBA001, format!("`{c}` is not the minus sign"))
                        .at(here(c.len_utf8()), "a dash")
                        .replace(here(c.len_utf8()), "-", "write `-`"),
                );
            }
            _ => {}
        }
    }
    None
}

/// Explains a decimal point without a digit on one of its sides.
fn decimal_point(source: SourceId, matter: &str, start: usize, position: usize) -> Option<Diagnostic> {
    let (before, after) = matter.split_at_checked(position)?;
    let digits_before = |text: &str| text.len() - text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let point = |from: usize, to: usize, label: &str, number: String| {
        let span = Span::new(source, start + from, start + to);
        Some(
            Diagnostic::new(Code::MBA001, "a decimal point has digits on both sides")
                .at(span, label)
                .help(format!("write `{number}`"))
                .replace(span, number.clone(), format!("write `{number}`")),
        )
    };
    let ending = match (before.strip_suffix('.'), after.strip_prefix('.')) {
        (Some(number), _) => Some((number, position)),
        (None, Some(rest)) if !rest.starts_with('.') => Some((before, position + 1)),
        _ => None,
    };
    if let Some((number, end)) = ending {
        let count = digits_before(number);
        let digits = number.get(number.len() - count..).unwrap_or("");
        // `x1.` is a field without a name
        let whole = !number.trim_end_matches(digits).ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if count > 0 && whole {
            return point(end - 1 - count, end, "this number ends in a point", format!("{digits}.0"));
        }
    }
    let fraction = after.strip_prefix('.')?;
    let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let digits = fraction.get(..count).filter(|d| !d.is_empty())?;
    point(position, position + 1 + count, "this number begins with a point", format!("0.{digits}"))
}

/// Explains a second statement, item or line of a test behind a first that could have ended there.
fn two_on_a_line(
    rule: Rule,
    matter: &str,
    position: usize,
    span: Span,
    expected: &[Rule],
) -> Option<Diagnostic> {
    let (what, words) = lines_of(rule)?;
    let found = token_at(matter.get(position..)?);
    if !expected.contains(&Rule::EOI) || !words.contains(&found) {
        return None;
    }
    let before = matter.get(..position)?.trim_end();
    let end = span.start - (position - before.len());
    let separate = format!("write `;` before `{found}`");
    Some(
        Diagnostic::new(Code::MBA001, format!("unexpected `{found}`"))
            .at(span, format!("begins another {what}"))
            .help(format!("{separate}, or put it on a line of its own"))
            .replace(Span::new(span.source, end, end), ";", separate),
    )
}

/// What stands on lines of its own where a rule reads one of them, and the words it begins with.
fn lines_of(rule: Rule) -> Option<(&'static str, &'static [&'static str])> {
    match rule {
        Rule::only_statement => Some(("statement", STATEMENTS)),
        Rule::only_model_line => Some(("item of a model", ITEMS)),
        Rule::only_test_line => Some(("line of a test", TEST_LINES)),
        _ => None,
    }
}

/// Explains a statement, item or line whose first word begins none.
fn unknown_beginning(rule: Rule, matter: &str, position: usize, start: Span) -> Option<Diagnostic> {
    let (what, words) = lines_of(rule)?;
    let found = token_at(matter);
    let rest = matter.get(found.len()..).unwrap_or("");
    // a name that touches a bracket is a family, and what is wrong is further on
    let family = rule == Rule::only_model_line && rest.starts_with('(');
    let wordly = found.starts_with(|c: char| c.is_alphabetic() || c == '_');
    // in a model the grammar takes any word for the name of a family, and stops after it
    let stopped =
        position == 0 || rest.trim_start_matches([' ', '\t', '\r']).len() == matter.len() - position;
    if !wordly || family || !stopped || words.contains(&found) {
        return None;
    }
    let span = Span::new(start.source, start.start, start.start + found.len());
    let diagnostic = Diagnostic::new(Code::MBA006, format!("no {what} begins with `{found}`"));
    let elsewhere =
        [("a test", TEST_LINES), ("a model", ITEMS)].into_iter().find(|(_, w)| w.contains(&found));
    if let Some((place, _)) = elsewhere {
        return Some(
            diagnostic
                .at(span, format!("stands in {place}"))
                .help(format!("move it into {place}, or check that no `}}` closes {place} too early")),
        );
    }
    Some(match suggest::nearest(found, words.iter().copied()) {
        Some(word) => diagnostic
            .at(span, format!("did you mean `{word}`?"))
            .help(format!("write `{word}`"))
            .replace(span, word, format!("write `{word}`")),
        None => diagnostic
            .at(span, format!("not a {what}"))
            .help(format!("a {what} begins with {}", suggest::list(words).replace(" and ", " or "))),
    })
}

fn is_reserved(word: &str) -> bool {
    STATEMENTS.contains(&word) || OTHER_RESERVED.contains(&word)
}

/// The word, number, string or sign at the start of `rest`.
fn token_at(rest: &str) -> &str {
    let Some(first) = rest.chars().next() else { return "" };
    let wordly = |c: char| c.is_alphanumeric() || c == '_';
    let len = if wordly(first) {
        rest.find(|c: char| !wordly(c)).unwrap_or(rest.len())
    } else if first == '"' {
        rest[1..].find('"').map_or(rest.len(), |i| i + 2)
    } else {
        ["->", "~=", "==", "!=", "<=", ">=", ".."]
            .iter()
            .find(|s| rest.starts_with(**s))
            .map_or(first.len_utf8(), |s| s.len())
    };
    &rest[..len]
}

fn hint(matter: &str, position: usize, found: &str, expected: &[Rule]) -> Option<String> {
    let before = matter[..position].trim_end();
    if found == "=" && expected.contains(&Rule::equal) {
        return Some("a comparison is written `==`".into());
    }
    if found == "=" && before.ends_with('=') {
        return Some("a value is given by a single `=`".into());
    }
    if found == "{" && before.is_empty() {
        return Some("an opening `{` stays on the line of what it belongs to".into());
    }
    if expected.contains(&Rule::EOI)
        && ["==", "~=", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "^"].contains(&found)
        && before.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "at" || w == "with")
    {
        return Some(
            "`at` and `with` come last in an expression: put them in brackets, as in `(m at 2)`".into(),
        );
    }
    if found == "(" && before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Some("an argument list touches the name it belongs to: `f(x)`".into());
    }
    let first = token_at(before);
    if found == "[" && expected.contains(&Rule::EOI) && ITEMS.contains(&first) {
        return Some(format!("`{first}` ends its line: put the interaction before it, or behind a `;`"));
    }
    if found == "[" && before.contains('=') {
        return Some("a potential ends its line: put the next interaction on a line of its own".into());
    }
    if before.starts_with("mode ") && (found == "{" || found.starts_with(|c: char| c.is_ascii_digit())) {
        return Some("levels follow a colon, as in `mode a: 2`".into());
    }
    if expected.contains(&Rule::arguments) && before == token_at(matter) {
        return Some(
            "modes that interact stand in brackets, `[a b]`; a family takes arguments, `body(2)`".into(),
        );
    }
    if found == "%" {
        return Some("a percent sign touches its number; the remainder is `mod`".into());
    }
    if matches!(found, "" | "\n") {
        return Some("a newline ends a statement, except inside `( )` and `[ ]`".into());
    }
    None
}

/// A rule as a user would name it; `None` for what is never worth mentioning.
fn describe(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::name | Rule::mode_reference => "a name",
        Rule::word => "a word",
        Rule::expression | Rule::postfix | Rule::primary => "an expression",
        Rule::string => "a string",
        Rule::number => "a number",
        Rule::set => "levels in braces",
        Rule::model_block | Rule::test_block => "`{`",
        Rule::axes => "modes in brackets, as in `[a, b]`",
        Rule::interaction => "an interaction, as in `[a b]`",
        Rule::family_call => "a call, as in `f(x)`",
        Rule::kw_to => "`to`",
        Rule::kw_from => "`from`",
        Rule::kw_in => "`in`",
        Rule::kw_by => "`by`",
        Rule::kw_over => "`over`",
        Rule::kw_values => "`values`",
        Rule::kw_along => "`along`",
        Rule::kw_strength => "`strength`",
        Rule::kw_toward => "`toward`",
        Rule::kw_else => "`else`",
        Rule::kw_where => "`where`",
        Rule::EOI => "the end of the statement",
        Rule::family_sizes | Rule::level_order | Rule::template_params => return None,
        Rule::data_source => "`from`",
        Rule::template_param => "a parameter",
        Rule::param_declaration => "`name = value`",
        Rule::assignment => "`name = value`",
        _ => return None,
    })
}
