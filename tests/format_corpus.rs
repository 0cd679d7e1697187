//! The layout of whole programs, and what formatting must never change.

use mba::text::{SourceId, format, format_expression, parse};

fn corpus(folder: &str) -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
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
fn corpus_is_laid_out_as_recorded() {
    for (name, text) in corpus("format") {
        let once = match format(&text) {
            Ok(once) => once,
            Err(diagnostics) => panic!("{name}: {diagnostics:#?}"),
        };
        assert_eq!(format(&once).as_deref(), Ok(once.as_str()), "{name} is not stable");
        insta::assert_snapshot!(name, once);
    }
}

#[test]
fn a_text_that_does_not_parse_is_refused_with_its_diagnostics() {
    let text = "mode a\nfrobnicate b\n";
    let (_, expected) = parse(SourceId::default(), text);
    assert_eq!(format(text), Err(expected));
}

#[test]
fn white_space_at_the_ends_goes() {
    assert_eq!(format("").as_deref(), Ok(""));
    assert_eq!(format(" \r\n\n").as_deref(), Ok(""));
    assert_eq!(format("\u{FEFF}\n\n  mode a  ").as_deref(), Ok("mode a\n"));
    assert_eq!(format("#x").as_deref(), Ok("# x\n"));
}

#[test]
fn a_bracket_that_touches_goes_on_touching() {
    let text = "model m {\n    [a] = h * a [b]\n}\n";
    assert!(format(text).is_err(), "a potential ends its line");
    for line in ["show a[b], f(x)[1].y", "fit m to x { hold_out a [1] }", "fit m to x { hold_out a[1] }"] {
        assert_eq!(format(line), Ok(format!("{line}\n")));
    }
}

#[test]
fn expressions_come_out_on_one_line() {
    let cases = [
        ("f ", "f"),
        ("a+b*-c", "a + b * -c"),
        ("compare(a,\n  b, # why\n  c,\n)", "compare(a, b, c)"),
        ("f.conditional( a|b :1 )", "f.conditional(a | b: 1)"),
        ("3 .. 5", "3..5"),
        ("1.0..4", "1.0 .. 4"),
        ("lo..hi", "lo .. hi"),
        ("a-3..5", "a - 3 .. 5"),
        ("m with(L=4)", "m with (L = 4)"),
        ("{ -1,+1 }", "{-1, +1}"),
        ("if a{1}else{2}", "if a { 1 } else { 2 }"),
        ("((", "(("),
        ("", ""),
    ];
    for (text, expected) in cases {
        assert_eq!(format_expression(text), expected);
        assert_eq!(format_expression(expected), expected);
    }
}
