//! What is said about programs that do not parse.

use std::fmt::Write;

use mba::text::{Code, SourceId, Sources, parse};

/// The diagnostics of a text, a block each, places as `line:column`.
fn report(text: &str) -> String {
    let mut sources = Sources::default();
    let id = sources.add("corpus.mba", text);
    let (_, diagnostics) = parse(id, text);
    let mut out = String::new();
    for d in &diagnostics {
        let place = |byte: usize| {
            let (line, column) = sources.position(id, byte);
            format!("{line}:{column}")
        };
        let start = d.span().map_or(String::new(), |s| place(s.start));
        let _ = writeln!(out, "{start} {} {}", d.code, d.message);
        for label in &d.labels {
            let shown: String = sources.slice(label.span).chars().take(40).collect();
            let _ = writeln!(out, "    {} {shown:?} {}", place(label.span.start), label.message);
        }
        for note in &d.notes {
            let _ = writeln!(out, "    note: {note}");
        }
        if let Some(help) = &d.help {
            let _ = writeln!(out, "    help: {help}");
        }
        if let Some(fix) = &d.fix {
            let _ = writeln!(out, "    fix: {}", fix.message);
        }
    }
    out
}

fn corpus() -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/syntax");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("corpus").map(|e| e.expect("entry").path()).collect();
    files.sort();
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(&path).expect("text"))
    };
    files.into_iter().map(read).collect()
}

#[test]
fn corpus_is_explained_as_recorded() {
    for (name, text) in corpus() {
        insta::with_settings!({ description => text.chars().take(2000).collect::<String>() }, {
            insta::assert_snapshot!(name, report(&text));
        });
    }
}

#[test]
fn every_syntax_code_is_in_the_corpus() {
    let reports: String = corpus().iter().map(|(_, text)| report(text)).collect();
    for code in Code::ALL.iter().filter(|c| c.name().starts_with("MBA00")) {
        assert!(reports.contains(code.name()), "{code}");
    }
}

#[test]
fn mistakes_do_not_hide_one_another() {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/corpus/syntax/four_mistakes.mba"
    ));
    let text = text.expect("corpus");
    let (program, diagnostics) = parse(SourceId::default(), &text);
    let lines: Vec<usize> = diagnostics
        .iter()
        .filter_map(|d| d.span())
        .map(|s| text[..s.start].matches('\n').count() + 1)
        .collect();
    assert_eq!(lines, [2, 4, 5, 8]);
    assert_eq!(program.statements.len(), 3);
}

#[test]
fn no_depth_and_no_length_exhausts_anything() {
    let many = |s: &str| s.repeat(if s.trim().len() <= 4 && !s.contains('\n') { 100_000 } else { 1_000 });
    let texts = [
        many("("),
        format!("show {}", many("(")),
        format!("show {}1{}", many("("), many(")")),
        format!("show {}1", many("-")),
        format!("show {}1", many("not ")),
        format!("show {}1", many("if ")),
        format!("show {}", many("if a {1} else ")),
        format!("show a{}", many(".b")),
        format!("show a{}", "()".repeat(2_000)),
        format!("show a{}", "[1]".repeat(2_000)),
        format!("show a{}", many(" with (b = 1)")),
        format!("show a{}", " at b".repeat(2_000)),
        format!("show 1{}", " + 1".repeat(2_000)),
        format!("show 1{}", " ^ 1".repeat(2_000)),
        format!("show {}", many("{")),
        format!("model m {{ {}", many("for i in x {\n")),
        format!("model m {{\n{}", many("[a b\n")),
        format!("model m {{\n{}}}", many("[a b\n")),
        many("model m {\n"),
        many("show (\n"),
        many("show \"\n"),
        many("\"\\q("),
        many("}"),
        many("\n"),
        many("mode a\n"),
        many("mode\n"),
        many("; "),
        many("#\n"),
        many("##\n"),
        format!("mode a{}", many(" ")),
        (0..90).map(|_| "(".to_string() + &"1 + ".repeat(900)).collect::<String>(),
        format!("show {}1{}", ("(".to_string() + &"1 + ".repeat(900)).repeat(90), ")".repeat(90)),
        format!("model m {{ {} {} }}", "for i in x {\n".repeat(95), "}".repeat(95)),
        format!("show {}1{}", "(".repeat(95), ")".repeat(95)),
        format!("show {}", "((".repeat(40)),
    ];
    for text in texts {
        let _ = parse(SourceId::default(), &text);
        let _ = mba::text::highlight(&text);
        let _ = mba::text::format_expression(&text);
    }
}

/// Every construct that nests, nested deep and broken in every way, is still read in time that grows
/// with its length: were anything read twice at each depth, this test would not end.
#[test]
fn nesting_is_read_once_at_every_depth() {
    const OPENINGS: &[(&str, &str)] = &[
        ("f(", ")"),
        ("a[", "]"),
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("f(x: ", ")"),
        ("f(a[1]: ", ")"),
        ("f(a[", "]: 1)"),
        ("f(a[", "] 1)"),
        ("f(1 | ", ")"),
        ("if a { ", " } else { 1 }"),
        ("if ", " { 1 } else { 2 }"),
        ("if a { 1 } else { ", "}"),
        ("x with (a = ", ")"),
        ("x at (", ")"),
        ("- ", ""),
        ("not ", ""),
        ("(1, ", ")"),
    ];
    const AROUND: &[(&str, &str)] = &[
        ("show ", ""),
        ("mode a: ", ""),
        ("data x[a] from \"f\" missing where ", ""),
        ("model m { [a[", "]] }"),
        ("model m { [a b] = ", " }"),
        ("model m { forbid ", " }"),
        ("fit m(", ") to x as f"),
        ("test \"t\" { expect ", " }"),
    ];
    const INSIDE: &[&str] = &["1", "1 $", ")"];
    const DEPTH: usize = 24;
    for (before, after) in AROUND {
        for (open, close) in OPENINGS {
            for inside in INSIDE {
                let text = format!("{before}{}{inside}{}{after}\n", open.repeat(DEPTH), close.repeat(DEPTH));
                let (_, diagnostics) = parse(Default::default(), &text);
                assert!(*inside != "1 $" || !diagnostics.is_empty(), "{text}");
            }
        }
    }
    let loops = format!("model m {{ {} [a b] x = {} }}", "for i in 1..2 { ".repeat(DEPTH), "}".repeat(DEPTH));
    assert!(!parse(Default::default(), &loops).1.is_empty());
}

#[test]
fn items_on_one_line_can_be_taken_apart() {
    let text = "model m { [a b] forbid a == b prior 5% toward body(1) }\nfit m to x show m.kl\n";
    let (_, diagnostics) = parse(SourceId::default(), text);
    assert_eq!(diagnostics.len(), 2);
    let mut apart = text.to_string();
    for d in diagnostics.iter().rev() {
        for (span, new) in &d.fix.as_ref().expect("a fix").edits {
            apart.replace_range(span.start..span.end, new);
        }
    }
    assert_eq!(apart, "model m { [a b] forbid a == b; prior 5% toward body(1) }\nfit m to x; show m.kl\n");
    assert!(parse(SourceId::default(), &apart).1.is_empty());
}
