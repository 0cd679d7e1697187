//! What formatting keeps, whatever the program: its parse, its tokens, its comments; and itself.

use mba::text::{Highlight, SourceId, TokenKind, format, format_expression, highlight, parse, tokenize};
use proptest::prelude::*;

/// The syntax tree without its spans, which formatting moves.
fn tree(text: &str) -> String {
    let (program, diagnostics) = parse(SourceId::default(), text);
    assert!(diagnostics.is_empty(), "{text}\n{diagnostics:#?}");
    let shown = format!("{:?}", program.statements);
    let mut out = String::new();
    for (index, piece) in shown.split("Span { ").enumerate() {
        let rest = if index == 0 { piece } else { piece.split_once(" }").map_or("", |(_, rest)| rest) };
        out.push_str(rest);
    }
    out
}

fn matter(text: &str) -> Vec<&str> {
    let tokens = tokenize(text).into_iter().filter(|t| t.matters());
    tokens.map(|t| &text[t.start..t.end]).collect()
}

fn comments(text: &str) -> Vec<String> {
    let (program, _) = parse(SourceId::default(), text);
    program.comments.iter().map(|c| format!("{} {}", c.doc, c.text.trim())).collect()
}

fn check_laws(text: &str) -> Result<(), TestCaseError> {
    let once = format(text).map_err(|d| TestCaseError::fail(format!("{text}\n{d:#?}")))?;
    prop_assert_eq!(format(&once), Ok(once.clone()), "formatting again changes\n{}", text);
    prop_assert_eq!(tree(&once), tree(text), "the parse changes:\n{}\n{}", text, once);
    prop_assert_eq!(matter(&once), matter(text));
    prop_assert_eq!(comments(&once), comments(text));
    prop_assert!(
        once.is_empty() || (once.ends_with('\n') && !once.ends_with("\n\n") && !once.starts_with('\n'))
    );
    prop_assert!(!once.contains("\n\n\n") && !once.contains('\r') && !once.lines().any(|l| l.ends_with(' ')));
    Ok(())
}

fn pick(options: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(options).prop_map(String::from)
}

/// White space where it changes nothing.
fn gap() -> impl Strategy<Value = String> + Clone {
    pick(&["", "", " ", "  ", "\t"])
}

/// White space that must separate.
fn blank() -> impl Strategy<Value = String> + Clone {
    pick(&[" ", " ", "   ", "\t", " \u{FEFF}"])
}

/// White space inside round and square brackets.
fn wide_gap() -> impl Strategy<Value = String> + Clone {
    pick(&["", "", " ", "\n", "\r\n  ", "\n\n\n", " # é inside )\n", "\n#own\n"])
}

fn name() -> impl Strategy<Value = String> + Clone {
    pick(&[
        "a",
        "b",
        "hair",
        "count",
        "to",
        "over",
        "with_",
        "by",
        "température",
        "within",
        "from",
        "seed",
        "error",
    ])
}

fn expression() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        name(),
        pick(&["1", "2.5", "1e-9", "10%", "\"t # \\\" é\"", "true", "nan", "missing", "3_000", "f.df"]),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let infix = pick(&["+", "-", "*", "/", "^", "..", "==", "<=", "~=", "!=", "<"]);
        let word = pick(&["and", "or", "mod", "in"]);
        prop_oneof![
            (inner.clone(), gap(), infix, gap(), inner.clone())
                .prop_map(|(a, g, op, h, b)| format!("{a} {g}{op}{h} {b}")),
            (inner.clone(), gap(), pick(&["+", "-", "*", "=="]), gap(), inner.clone())
                .prop_map(|(a, g, op, h, b)| format!("({a}){g}{op}{h}({b})")),
            (inner.clone(), blank(), word, blank(), inner.clone())
                .prop_map(|(a, g, op, h, b)| format!("{a}{g}{op}{h}{b}")),
            (pick(&["-", "+", "- ", "not ", "not\t", "--"]), inner.clone())
                .prop_map(|(op, a)| format!("{op}{a}")),
            (wide_gap(), inner.clone(), wide_gap()).prop_map(|(g, a, h)| format!("({g}{a}{h})")),
            (wide_gap(), prop::collection::vec(inner.clone(), 1..3), wide_gap(), pick(&["", ",", " ,"]))
                .prop_map(|(g, a, h, end)| format!("[{g}{}{end}{h}]", a.join(" ,"))),
            (wide_gap(), prop::collection::vec(inner.clone(), 1..3))
                .prop_map(|(g, a)| format!("{{{g}{}}}", a.join(","))),
            (name(), wide_gap(), name(), gap(), inner.clone())
                .prop_map(|(f, g, n, h, a)| format!("{f}({g}{n}{h}:{a})")),
            (name(), inner.clone(), name(), inner.clone())
                .prop_map(|(f, a, n, b)| format!("{f}.g({a}|{n}:{b})[{n}:1].df")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("(if {a}{{{b}}}else {{ {c} }})")),
            (inner.clone(), name(), inner.clone()).prop_map(|(a, n, b)| format!("({a} with({n}={b}))")),
            (name(), inner).prop_map(|(a, b)| format!("({a} at ({b}))")),
        ]
    })
    .boxed()
}

fn end() -> impl Strategy<Value = String> + Clone {
    pick(&[
        "\n",
        "\n",
        "\r\n",
        "\n\n",
        "\n \n\t\n\n",
        " # why\n",
        "#why \"\n",
        "\n## doc\n##doc\n",
        " ;",
        "\n  # own\n",
    ])
}

fn block(head: BoxedStrategy<String>, item: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let items = prop::collection::vec((gap(), item.clone(), end()), 0..4);
    let many = (head.clone(), end(), items).prop_map(|(head, e, items)| {
        let items: String = items.into_iter().map(|(g, i, e)| format!("{g}{i}{e}")).collect();
        format!("{head}{{{e}{items}}}")
    });
    let one = (head, gap(), item).prop_map(|(head, g, item)| format!("{head}{g}{{{g}{item}{g}}}"));
    prop_oneof![one, many].boxed()
}

fn model_item() -> BoxedStrategy<String> {
    let interaction = pick(&["[a b]", "[ a  b[1,2] ]", "[a\nb]", "[s[0]s[1]]"]);
    let flat = prop_oneof![
        (interaction.clone(), gap(), interaction.clone(), gap())
            .prop_map(|(a, g, b, h)| format!("{a}{g}{b}{h}body(2)")),
        (interaction.clone(), gap(), expression()).prop_map(|(i, g, e)| format!("{i}{g}={g}{e}")),
        (interaction.clone(), expression()).prop_map(|(i, e)| format!("{i} = learn J *{e}")),
        (interaction.clone(), expression()).prop_map(|(i, e)| format!("{i}where {e}")),
        (pick(&["temperature", "forbid", "mix", "algebra"]), expression())
            .prop_map(|(w, e)| format!("{w} {e}")),
        (interaction.clone(), interaction).prop_map(|(a, b)| format!("tie {a}~{b}")),
        pick(&[
            "body(2)over(a,b)",
            "temperature(2)",
            "prior 5%toward body(1)",
            "without [a b],[b c]",
            "cyclic(3) [a]"
        ]),
        pick(&[
            "latent r:10",
            "mode s [2,3]:{ -1,+1 } ordered",
            "smooth [a b] along a strength 1.0",
            "given a = 1,b[2]=3"
        ]),
    ];
    let nested = flat.prop_recursive(2, 8, 2, |inner| {
        block(expression().prop_map(|e| format!("for (i,j) in {e} ")).boxed(), inner)
    });
    nested.boxed()
}

fn statement() -> BoxedStrategy<String> {
    let test_item = prop_oneof![
        (expression(), expression()).prop_map(|(a, b)| format!("expect ({a})~={b} within 1e-3")),
        expression().prop_map(|e| format!("expect {e}")),
        expression().prop_map(|e| format!("snapshot {e} as \"x\" within 1 except 2")),
        pick(&[
            "expect error MBA001 in \"mode \\\"\"",
            "expect a~=b",
            "expect(a)==1",
            "expect long.name ~=1.5 within 2"
        ]),
    ];
    let option = prop_oneof![
        expression().prop_map(|e| format!("tolerance {e}")),
        pick(&[
            "hold_out 10%seed 1",
            "anneal 2->1 over 5",
            "by [1]",
            "by a [1]",
            "by a[1]",
            "mask from \"x\"",
            "to -1"
        ]),
    ];
    prop_oneof![
        pick(&[
            "mode a:3,b : {x,\"y z\"} ordered",
            "mode s [2 ,3]: {-1,+1}",
            "use ising",
            "use\"x.mba\"",
            "mode a"
        ]),
        (name(), expression()).prop_map(|(n, e)| format!("param {n}={e}")),
        (wide_gap(), expression()).prop_map(|(g, e)| format!("data x [{g}a as B,b{g}] = {e}")),
        expression().prop_map(|e| format!("data y[a] from \"f\"count count missing where {e}")),
        pick(&[
            "data z[a] from coords \"c\" values\"v\" observed from \"m\" [a]",
            "data q[a]from\"f\"sum sum drop na"
        ]),
        prop::collection::vec(expression(), 1..3).prop_map(|e| format!("show {}", e.join(" ,"))),
        (expression(), gap()).prop_map(|(e, g)| format!("save ({e}){g}to{g}\"f.npy\"")),
        expression().prop_map(|e| format!("plot ({e}) to \"f.svg\"")),
        expression().prop_map(|e| format!("sweep m over temperature in ({e}) by 0.5 as c")),
        pick(&[
            "fit m to x",
            "fit long(2) to y,z weight 2 by em as w",
            "fit to to to",
            "balance k to margins(a,b)as c"
        ]),
        block(
            pick(&["model m", "model pairwise ", "model cp (r,k=2) over(a,b)", "model o over a,s[1]"])
                .boxed(),
            model_item()
        ),
        block(pick(&["test \"t\"", "test \"u\" "]).boxed(), test_item.boxed()),
        block(
            pick(&["fit m to x ", "fit pairwise to x as y", "balance (k) to f(a) "]).boxed(),
            option.boxed()
        ),
    ]
    .boxed()
}

fn program() -> impl Strategy<Value = String> {
    let line = (gap(), statement(), end()).prop_map(|(g, s, e)| format!("{g}{s}{e}"));
    (pick(&["", "\u{FEFF}", "\n\n", "#!first\n"]), prop::collection::vec(line, 0..6))
        .prop_map(|(start, lines)| start + &lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn formatting_keeps_the_program(text in program()) {
        check_laws(&text)?;
    }

    #[test]
    fn an_expression_is_canonical_on_one_line(text in expression()) {
        let once = format_expression(&text);
        prop_assert_eq!(format_expression(&once), once.as_str());
        prop_assert!(!once.contains('\n') || text.contains("\\n"));
        let statement = |e: &str| tree(&format!("show ({e})"));
        prop_assert_eq!(statement(&once), statement(&text));
    }

    #[test]
    fn any_text_is_covered_by_its_tokens(text in any_text()) {
        let tokens = tokenize(&text);
        let mut at = 0;
        for token in &tokens {
            prop_assert!(token.start == at && token.end > at);
            prop_assert!(text.is_char_boundary(token.end));
            at = token.end;
        }
        prop_assert_eq!(at, text.len());
        prop_assert_eq!(highlight(&text).len(), tokens.len());
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in any_text()) {
        let (program, diagnostics) = parse(SourceId::default(), &text);
        for span in diagnostics.iter().flat_map(|d| &d.labels).map(|l| l.span)
            .chain(program.statements.iter().map(|s| s.span)) {
            prop_assert!(span.start <= span.end && text.get(span.start..span.end).is_some(), "{span:?}");
        }
        match format(&text) {
            Ok(_) => check_laws(&text)?,
            Err(refused) => prop_assert_eq!(refused, diagnostics),
        }
        let _ = format_expression(&text);
    }
}

/// Text of the right material in any order, cut anywhere.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        pick(&[
            "(", ")", "[", "]", "{", "}", "\n", "\r\n", "\"", "\\", "#", ";", ",", "\0", "\u{FEFF}", "é",
            "−", "\u{A0}"
        ]),
        pick(&[
            "mode ",
            "model m ",
            "for i in ",
            "fit m to x ",
            "test \"t\" {\n",
            "show ",
            "if ",
            "else ",
            "\nexpect ",
            "..",
            "-"
        ]),
        "\\PC{0,3}",
        expression(),
    ];
    let soup = prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat());
    let cut =
        (program(), any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(text, a, b)| {
            let chars: Vec<char> = text.chars().collect();
            let (a, b) = (a.index(chars.len() + 1), b.index(chars.len() + 1));
            chars[..a.min(b)].iter().chain(&chars[a.max(b)..]).collect()
        });
    prop_oneof![soup, cut]
}

#[test]
fn the_corpus_obeys_the_laws() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/format");
    for entry in std::fs::read_dir(folder).expect("corpus") {
        let text = std::fs::read_to_string(entry.expect("entry").path()).expect("text");
        check_laws(&text).expect("a law");
    }
}

#[test]
fn a_comment_of_ten_megabytes_is_only_a_comment() {
    let text = format!("mode a # {}\nmode b\n", "x#\"(".repeat(2_500_000));
    let (program, diagnostics) = parse(SourceId::default(), &text);
    assert_eq!((program.statements.len(), program.comments.len(), diagnostics.len()), (2, 1, 0));
    let tokens = tokenize(&text);
    assert_eq!(tokens.iter().filter(|t| t.kind == TokenKind::Comment).count(), 1);
    assert_eq!(highlight(&text).iter().filter(|(_, h)| *h == Highlight::Keyword).count(), 2);
}
