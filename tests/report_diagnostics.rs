//! Diagnostics as text and as objects.

use insta::assert_snapshot;
use mba::report::{Style, diagnostics};
use mba::text::codes::Code;
use mba::text::diagnostic::{Diagnostic, Severity};
use mba::text::span::{SourceId, Sources, Span};
use proptest::prelude::*;

const PLAIN: Style = Style { colour: false, width: 80, unicode: true };

const PROGRAM: &str = "mode hair, eye, sex\n\ndata people[hari, eye, sex] from \"hair_eye.csv\"\nmodel pairwise {\n    \
                       [hair eye]\n    [hair sex\n}\nfit pairwise to people\n";

fn program() -> (Sources, SourceId) {
    let mut sources = Sources::default();
    let id = sources.add("models/hair_eye.mba", PROGRAM);
    (sources, id)
}

/// The span of the `n`th occurrence of a word.
fn find(id: SourceId, text: &str, word: &str, n: usize) -> Span {
    let (start, _) = text.match_indices(word).nth(n).unwrap();
    Span::new(id, start, start + word.len())
}

fn several() -> (Sources, Vec<Diagnostic>) {
    let (sources, id) = program();
    let hari = find(id, PROGRAM, "hari", 0);
    let all = vec![
        Diagnostic::new(Code::MBA001, "no mode is called `hari`")
            .at(hari, "not declared")
            .at(find(id, PROGRAM, "hair", 0), "a mode with a similar name")
            .note("the modes are `hair`, `eye` and `sex`")
            .replace(hari, "hair", "replace `hari` by `hair`"),
        Diagnostic::new(Code::MBA002, "`[` is never closed")
            .at(find(id, PROGRAM, "[hair sex\n", 0), "")
            .help("close it with `]`"),
        Diagnostic::new(Code::MBA401, "cannot read `hair_eye.csv`").note("no such file or directory").help(
            "paths that are read are relative to the file that names them, which is `models/hair_eye.mba`",
        ),
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::new(Code::MBA501, "the model `pairwise` spans all of this").at(
                Span { end: PROGRAM.rfind('}').unwrap() + 1, ..find(id, PROGRAM, "model pairwise", 0) },
                "this block",
            )
        },
    ];
    (sources, all)
}

#[test]
fn reports() {
    let (sources, all) = several();
    assert_snapshot!(diagnostics::render(&all, &sources, PLAIN));
}

#[test]
fn reports_in_ascii() {
    let (sources, all) = several();
    let shown = diagnostics::render(&all, &sources, Style { unicode: false, ..PLAIN });
    assert!(shown.is_ascii());
    assert_snapshot!(shown);
}

#[test]
fn reports_in_colour() {
    let (sources, all) = several();
    assert_snapshot!(diagnostics::render(&all[..1], &sources, Style { colour: true, ..PLAIN }));
}

#[test]
fn objects() {
    let (sources, all) = several();
    let objects: Vec<_> = all.iter().map(|diagnostic| diagnostics::json(diagnostic, &sources)).collect();
    assert_snapshot!(serde_json::to_string_pretty(&objects).unwrap());
}

#[test]
fn summaries() {
    let (_, all) = several();
    assert_eq!(diagnostics::summary(&all), "3 errors, 1 warning");
    assert_eq!(diagnostics::summary(&all[..1]), "1 error");
    assert_eq!(diagnostics::summary([]), "");
    assert_eq!(diagnostics::render([], &Sources::default(), PLAIN), "");
}

#[test]
fn several_sources() {
    let mut sources = Sources::default();
    let std = sources.add("std/ising.mba", "## é\n\n\nmodel ising(L) { }\n");
    let user = sources.add("magnet.mba", "use ising\nmodel ising { }\n");
    let all = [Diagnostic::new(Code::MBA001, "`ising` is declared twice")
        .at(Span::new(user, 16, 21), "here")
        .at(Span::new(std, 14, 19), "and here, in the standard library")
        .at(Span::new(user, 0, 9), "because of this import")];
    assert_snapshot!(diagnostics::render(&all, &sources, PLAIN));
}

#[test]
fn the_end_of_the_text_and_of_a_line() {
    let mut sources = Sources::default();
    let id = sources.add("-", "mode a\r\nmode b:");
    let empty = sources.add("empty.mba", "");
    let all = [
        Diagnostic::new(Code::MBA001, "expected a size").at(Span::new(id, 15, 15), "here"),
        Diagnostic::new(Code::MBA001, "expected `:`").at(Span::new(id, 6, 8), "here"),
        Diagnostic::new(Code::MBA001, "nothing to run").at(Span::new(empty, 0, 0), "the file is empty"),
    ];
    assert_snapshot!(diagnostics::render(&all, &sources, PLAIN));
}

#[test]
fn what_would_steer_the_terminal_is_made_visible() {
    let mut sources = Sources::default();
    let id = sources.add("a\u{1b}]0;title.mba", "mode\ta\u{1b}[31m \u{202e}b\u{2028}c\u{b}d\nmode e");
    let all = [Diagnostic::new(Code::MBA001, "unknown \u{1b}[2Jname")
        .at(Span::new(id, 5, 6), "x\ny")
        .at(Span::new(id, 24, 28), "still the second line")];
    let shown = diagnostics::render(&all, &sources, PLAIN);
    assert!(!shown.contains(['\u{1b}', '\u{1}', '\u{202e}', '\u{2028}', '\u{b}']));
    assert_snapshot!(shown);
}

#[test]
fn a_long_line_is_cut_around_what_is_said_about_it() {
    let mut text = "é1, ".repeat(2_500_000);
    let at = text.len() / 2;
    text.insert_str(at, "\"oops\"");
    text.push_str("end");
    text.insert_str(0, "mode a\n");
    let mut sources = Sources::default();
    let id = sources.add("big.mba", text.as_str());
    let end = text.len();
    let all = [
        Diagnostic::new(Code::MBA001, "expected a number")
            .at(Span::new(id, at + 7, at + 13), "text")
            .at(Span::new(id, end - 3, end), "the list ends here"),
        Diagnostic::new(Code::MBA001, "all of it").at(Span::new(id, 7, end), "all"),
    ];
    let shown = diagnostics::render(&all, &sources, PLAIN);
    let objects = diagnostics::json(&all[0], &sources);
    assert_eq!(objects["diagnostic"]["line"], 2);
    assert_eq!(objects["diagnostic"]["column"], 5_000_001);
    assert_snapshot!(shown);
}

#[test]
fn a_place_deep_in_a_long_file() {
    let text = format!("{}fit x to y\n", "mode a: 3\n".repeat(12_344));
    let mut sources = Sources::default();
    let id = sources.add("long.mba", text.as_str());
    let end = text.len() - 1;
    let all = [Diagnostic::new(Code::MBA001, "no data set is called `y`")
        .at(Span::new(id, end - 1, end), "unknown")
        .at(Span::new(id, 5, 6), "far above")];
    assert_snapshot!(diagnostics::render(&all, &sources, PLAIN));
}

#[test]
fn places_that_do_not_exist() {
    let (sources, id) = program();
    let all = [
        Diagnostic::new(Code::MBA901, "strange")
            .at(Span::new(SourceId(7), 3, 5), "in no source")
            .at(Span::new(id, 999_999, usize::MAX), "past the end"),
        Diagnostic::new(Code::MBA901, "stranger").at(Span::new(SourceId(7), 3, 5), "in no source"),
        Diagnostic::new(Code::MBA901, "backwards").at(Span::new(id, 12, 3), "from right to left"),
    ];
    assert_snapshot!(diagnostics::render(&all, &sources, PLAIN));
    assert_eq!(diagnostics::json(&all[1], &sources)["diagnostic"]["line"], serde_json::Value::Null);
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z \\[\\]{}\t]{0,8}",
        "\\PC{0,6}",
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\u{2028}".to_owned()),
        Just("\u{85}\u{b}\u{c}\r".to_owned()),
        Just("e\u{301}👩‍👩‍👧漢".to_owned()),
        Just("ü".repeat(300)),
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_span_of_any_text_can_be_shown(
        first in text(),
        second in text(),
        spans in proptest::collection::vec((0u32..3, 0usize..200, 0usize..200, text()), 0..7),
        far in proptest::collection::vec((0u32..2, 0usize..3000, 0usize..3000), 0..3),
        message in text(),
        colour: bool,
        unicode: bool,
        width in 0usize..120,
    ) {
        let mut sources = Sources::default();
        sources.add(message.as_str(), first.as_str());
        sources.add("second", second.as_str());
        let mut diagnostic = Diagnostic::new(Code::MBA001, message.as_str()).note(second.as_str()).help(message.as_str());
        for (source, start, end, said) in spans {
            diagnostic = diagnostic.at(Span::new(SourceId(source), start, end), said);
        }
        for (source, start, end) in far {
            diagnostic = diagnostic.at(Span::new(SourceId(source), start, end), "far");
        }
        let shown = diagnostics::render([&diagnostic], &sources, Style { colour, unicode, width });
        prop_assert!(shown.ends_with("1 error\n"));
        let marked = shown.contains(char::from(1));
        prop_assert!(!marked);
        let object = diagnostics::json(&diagnostic, &sources);
        if let Some(span) = diagnostic.span().filter(|span| sources.get(span.source).is_some()) {
            let (line, column) = sources.position(span.source, span.start);
            prop_assert_eq!(&object["diagnostic"]["line"], line);
            prop_assert_eq!(&object["diagnostic"]["column"], column);
            if !colour {
                let place = format!(":{line}:{column} ");
                prop_assert!(shown.contains(&place), "{} not in\n{}", place, shown);
            }
        }
    }
}
