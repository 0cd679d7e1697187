//! Laws that hold for any program: of the modes, the scale, the names, the redundant; and that nothing panics.

mod program_support;

use mba::session::{Options, Session};
use program_support::*;
use proptest::prelude::*;

/// Counts over three modes, and which pairs of them interact.
#[derive(Debug, Clone)]
struct Case {
    shape: [usize; 3],
    cells: Vec<u32>,
    pairs: [bool; 3],
}

fn cases() -> impl Strategy<Value = Case> {
    [1usize..4, 1..4, 1..4].prop_flat_map(|shape| {
        let size: usize = shape.iter().product();
        // few zeros, and never nothing but zeros
        let cells = prop::collection::vec(prop_oneof![1 => Just(0u32), 6 => 1u32..60], size)
            .prop_filter("mass", |cells| cells.iter().any(|x| *x > 0));
        (Just(shape), cells, any::<[bool; 3]>()).prop_map(|(shape, cells, pairs)| Case {
            shape,
            cells,
            pairs,
        })
    })
}

const NAMES: [&str; 3] = ["a", "b", "c"];
const PAIRS: [[usize; 2]; 3] = [[0, 1], [1, 2], [0, 2]];

impl Case {
    fn interactions(&self) -> String {
        let pairs = PAIRS.iter().zip(self.pairs).filter(|(_, on)| *on);
        let pairs: Vec<String> = pairs.map(|([i, j], _)| format!("[{} {}]", NAMES[*i], NAMES[*j])).collect();
        format!("[a] [b] [c] {}", pairs.join(" "))
    }

    fn modes(&self) -> String {
        let list: Vec<String> = NAMES.iter().zip(self.shape).map(|(n, k)| format!("{n}: {k}")).collect();
        format!("mode {}", list.join(", "))
    }

    /// The literal with its axes in this order.
    fn literal(&self, order: [usize; 3], scale: &str) -> String {
        let [p, q, r] = order;
        let at = |cell: [usize; 3]| self.cells[(cell[0] * self.shape[1] + cell[1]) * self.shape[2] + cell[2]];
        let list = |items: Vec<String>| format!("[{}]", items.join(", "));
        list(
            (0..self.shape[p])
                .map(|i| {
                    list(
                        (0..self.shape[q])
                            .map(|j| {
                                list(
                                    (0..self.shape[r])
                                        .map(|k| {
                                            let mut cell = [0; 3];
                                            (cell[p], cell[q], cell[r]) = (i, j, k);
                                            format!("{}{scale}", at(cell))
                                        })
                                        .collect(),
                                )
                            })
                            .collect(),
                    )
                })
                .collect(),
        )
    }

    fn program(&self, order: [usize; 3], scale: &str, more: &str) -> String {
        let axes: Vec<&str> = order.iter().map(|i| NAMES[*i]).collect();
        format!(
            "{}\ndata x[{}] = {}\nmodel m {{ {} {more} }}\nfit m to x\n\
             show m.kl, m.total, m.df, m.parameters, m.marginal(a, b, c), m.entropy, m.status\n",
            self.modes(),
            axes.join(", "),
            self.literal(order, scale),
            self.interactions()
        )
    }
}

#[track_caller]
fn close(a: &[f64], b: &[f64], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (x, y) in a.iter().zip(b) {
        assert!((x - y).abs() <= 1e-7 * (1.0 + x.abs()), "{what}: {x} for {y}");
    }
}

fn results(program: &str) -> Recorder {
    healthy(program, &Files::default()).1
}

#[track_caller]
fn agree(a: &Recorder, b: &Recorder, what: &str) {
    close(&a.numbers("m.kl"), &b.numbers("m.kl"), what);
    close(&a.numbers("m.marginal(a, b, c)"), &b.numbers("m.marginal(a, b, c)"), what);
    close(&a.numbers("m.entropy"), &b.numbers("m.entropy"), what);
    assert_eq!(a.value("m.df"), b.value("m.df"), "{what}");
    assert_eq!(a.value("m.parameters"), b.value("m.parameters"), "{what}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fit_is_the_optimum_and_does_not_depend_on_how_it_is_written(case in cases()) {
        let plain = results(&case.program([0, 1, 2], "", ""));
        // proportional fitting on the full table
        let mut scopes: Vec<Vec<usize>> = vec![vec![0], vec![1], vec![2]];
        scopes.extend(PAIRS.iter().zip(case.pairs).filter(|(_, on)| *on).map(|(p, _)| p.to_vec()));
        let data: Vec<f64> = case.cells.iter().map(|x| f64::from(*x)).collect();
        let total: f64 = data.iter().sum();
        let want: Vec<f64> = brute_force(&case.shape, &data, &scopes).iter().map(|x| x / total).collect();
        for (q, w) in plain.numbers("m.marginal(a, b, c)").iter().zip(&want) {
            prop_assert!((q - w).abs() < 1e-6, "{} for {} in {:?}", q, w, case);
        }
        // the axes in another order
        for order in [[2, 1, 0], [1, 2, 0]] {
            agree(&plain, &results(&case.program(order, "", "")), "modes permuted");
        }
        // another unit
        for scale in ["e6", "e-3"] {
            let scaled = results(&case.program([0, 1, 2], scale, ""));
            agree(&plain, &scaled, "scaled");
            let factor: f64 = format!("1{scale}").parse().unwrap();
            close(&[plain.number("m.total") * factor / total], &[scaled.number("m.total") / total], "total");
        }
        // an interaction that is implied
        for more in ["[b]", "[a]", "chain(1)", "body(1)"] {
            let redundant = case.program([0, 1, 2], "", more);
            agree(&plain, &results(&redundant), more);
        }
    }

    #[test]
    fn names_of_levels_mean_nothing(case in cases(), names in prop::collection::hash_set("[a-zα-ω][a-z0-9_]{0,6}", 9)) {
        let names: Vec<&String> = names.iter().collect();
        let plain = results(&case.program([0, 1, 2], "", ""));
        let mut next = 0;
        let renamed: Vec<String> = NAMES.iter().zip(case.shape).map(|(mode, n)| {
            let levels: Vec<String> = (0..n).map(|_| { next += 1; format!("\"{}\"", names[next - 1]) }).collect();
            format!("{mode}: {{{}}}", levels.join(", "))
        }).collect();
        let program = case.program([0, 1, 2], "", "").replace(&case.modes(), &format!("mode {}", renamed.join(", ")));
        agree(&plain, &results(&program), "levels renamed");
    }

    /// A table of records is the same data as its cells, whatever the order of its rows.
    #[test]
    fn records_are_cells_counted(case in cases(), turn in 0usize..50) {
        let mut rows = Vec::new();
        for (flat, n) in case.cells.iter().enumerate() {
            let (i, j, k) = (flat / (case.shape[1] * case.shape[2]), flat / case.shape[2] % case.shape[1], flat % case.shape[2]);
            rows.extend((0..*n).map(|_| format!("{k},{i},{j}\n")));
        }
        let turn = turn % rows.len();
        rows.rotate_left(turn);
        let mut files = Files::default();
        files.there.insert("r.csv".into(), format!("c,a,b\n{}", rows.concat()).into_bytes());
        let plain = results(&case.program([0, 1, 2], "", ""));
        let program = case.program([0, 1, 2], "", "").replace(&format!("= {}", case.literal([0, 1, 2], "")), "from \"r.csv\"");
        agree(&plain, &healthy(&program, &files).1, "records");
    }
}

/// Pieces of the language, some of them wrong.
const TOKENS: &[&str] = &[
    "mode",
    "a",
    "b",
    "c",
    "x",
    "m",
    "f",
    ":",
    "2",
    "3",
    ",",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "data",
    "=",
    "from",
    "\"f.csv\"",
    "count",
    "n",
    "model",
    "body(2)",
    "chain(2)",
    "fit",
    "to",
    "as",
    "show",
    "m.kl",
    "x.total",
    ".",
    "..",
    "->",
    "~=",
    "==",
    "+",
    "-",
    "*",
    "/",
    "^",
    "mod",
    "not",
    "and",
    "1e308",
    "5%",
    "nan",
    "missing",
    "learn",
    "latent",
    "forbid",
    "for",
    "in",
    "neighbours(s)",
    "over",
    "without",
    "temperature",
    "test",
    "\"t\"",
    "expect",
    "within",
    "snapshot",
    "use",
    "ising",
    "param",
    "#",
    "##",
    ";",
    "\n",
    "\n",
    "\n",
    "\"",
    "if",
    "else",
    "true",
    "compare(m)",
    "interactions(m)",
    "s[2, 2]",
    "save",
    "load",
    "plot",
    "sweep",
    "balance",
    "error",
    "MBA101",
    "bins(0, 1)",
    "ordered",
    "cyclic",
    "λ",
    "\u{feff}",
    "\r",
    "\t",
    "'",
    "@",
    "🦀",
    "0",
    "-1",
    "|",
    "with",
    "at",
    "sample(m, 3)",
];

/// Statements that are each right alone and seldom together.
const STATEMENTS: &[&str] = &[
    "mode a: 2",
    "mode b: {x, y}",
    "mode c",
    "mode s[2, 2]: {-1, +1}",
    "mode a: 3",
    "mode k: bins(0, 1, 2)",
    "param L = 2",
    "param L = M, M = L",
    "param T = 1 / 0",
    "data x[a, b] = [[1, 2], [3, 4]]",
    "data x[a] = [1, 0]",
    "data y[c] from \"f.csv\"",
    "data z[a, b] from \"f.csv\" count n",
    "data w[s] = sample(ising, 20)",
    "data e[a] = [0, 0]",
    "data v[b] = [1, -1]",
    "data u[a] = [1e308, 1e308]",
    "model m { body(1) }",
    "model m { body(2) }",
    "model k { [a b] }",
    "model k over a, b { chain(2) without [a] }",
    "model e { }",
    "model ising { for (p, q) in neighbours(s) { [p q] = -p * q } }",
    "model t(r) { body(r) }",
    "model i { [a] = 1e300 * 1e300 }",
    "model g { grid(s) }",
    "model h { [a] = L * a }",
    "fit m to x",
    "fit k to x as f",
    "fit t(1) to x as g",
    "fit t(L) to y",
    "fit e to x",
    "fit g to w",
    "fit m to z",
    "fit m to v",
    "fit m to e",
    "fit m to u",
    "fit h to x",
    "fit m to x as x { max_sweeps 1 }",
    "show m, x, f",
    "show m.kl, m.theta, m.fitted, m.eta",
    "show compare(m, f), interactions(m)",
    "show f.conditional(a | b: x), f.marginal(b), f.mutual_information(a, b)",
    "show m.sample(3), m.log_likelihood(y)",
    "show m.fitted[a: 0], x[a: 1], L, T",
    "show m.df_adjusted, m.pearson, m.residuals, m.p_value, m.cost, m.bic",
    "save m.fitted to \"o.npy\"",
    "save compare(m) to \"o.csv\"",
    "plot m.fitted",
    "test \"t\" { expect m.kl ~= 0; expect f.df == 1; snapshot m; expect error MBA101 in \"fit q to r\" }",
    "use ising",
    "use loglinear",
    "use \"f.csv\"",
];

fn survives(text: &str) {
    let mut files = Files::default();
    files.there.insert("f.csv".into(), b"a,b,c,n\n0,x,1,2\n1,y,0,3\n0,y,1,1\n".to_vec());
    let (mut session, found) = Session::load("t.mba", text, Options::default(), &files);
    for diagnostic in &found {
        // every place is one in a text, and can be shown
        let _ = rendered(diagnostic, &session.sources);
        assert!(!diagnostic.message.ends_with('.'), "{}", diagnostic.message);
    }
    if !found.iter().any(mba::text::Diagnostic::is_error) {
        let mut recorder = Recorder::default();
        session.run(&files, &mut recorder);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_soup_of_tokens_is_read(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..40)) {
        survives(&tokens.join(" "));
        survives(&tokens.concat());
    }

    #[test]
    fn a_heap_of_statements_is_run(statements in prop::collection::vec(prop::sample::select(STATEMENTS), 1..14)) {
        survives(&statements.join("\n"));
    }

    #[test]
    fn any_text_is_read(text in "\\PC{0,60}") {
        survives(&text);
        survives(&format!("model m {{ {text} }}"));
        survives(&format!("show {text}"));
    }

    /// A program with a piece cut out or repeated.
    #[test]
    fn a_damaged_program_is_read(start in 0usize..600, len in 0usize..60, paste in 0usize..600) {
        let whole = include_str!("corpus/programs/run/params.mba");
        let chars: Vec<char> = whole.chars().collect();
        let start = start.min(chars.len());
        let end = (start + len).min(chars.len());
        let cut: String = chars[..start].iter().chain(&chars[end..]).collect();
        survives(&cut);
        let mut more = chars.clone();
        let paste = paste.min(chars.len());
        more.splice(paste..paste, chars[start..end].iter().copied());
        survives(&more.iter().collect::<String>());
    }
}

/// Modes whose levels come from several tables: numbers in numeric order, one kind of level, each once.
#[test]
fn levels_of_several_tables_are_put_in_order() {
    let mut files = Files::default();
    let mut levels = |first: &str, second: &str| {
        files.there.insert("x.csv".into(), format!("m\n{first}\n").into_bytes());
        files.there.insert("y.csv".into(), format!("m\n{second}\n").into_bytes());
        let text = "mode m\ndata x[m] from \"x.csv\"\ndata y[m] from \"y.csv\"\nmodel one { [m] }  # allow MBA322\n\
                    fit one to x as f\nshow f.fitted\n";
        let (_, record) = healthy(text, &files);
        let line = record.text.lines().find(|line| line.starts_with("m ")).expect("the levels");
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(levels("1\n3", "2"), "1 2 3");
    assert_eq!(levels("2\n10", "1\n2"), "1 2 10");
    assert_eq!(levels("1\n3", "1\nx"), "1 3 x");
}

#[test]
fn every_statement_reads_the_tables_it_names() {
    let mut files = Files::default();
    files.there.insert("J.txt".into(), b"0 0.5\n0.5 0\n".to_vec());
    let head = "mode s[2]: {-1, +1}\nmodel g(J = table(\"J.txt\")) { for i in 0 .. 1 { [s[i]] = -J[0, 1] * s[i] } }\n";
    let (_, diagnostics, _) =
        run(&format!("{head}estimate g(table(\"J.txt\")) by mean_field as e\nshow e.log_z\n"), &files);
    assert!(diagnostics.iter().all(|d| d.code.name() != "MBA335"), "{diagnostics:?}");
}

#[test]
fn a_fit_can_name_the_seed_of_what_it_holds_out() {
    let head = "mode a: 4, b: 5\n\
        data x[a, b] = [[1, 2, 3, 4, 5], [2, 3, 4, 5, 6], [7, 1, 2, 3, 1], [1, 1, 4, 2, 8]]\nmodel m { body(1) }\n";
    let text = "fit m to x as a { hold_out 20%; seed 5 }\nfit m to x as b { hold_out 20% seed 5 }\n\
                fit m to x as c { hold_out 20% seed 5; seed 9 }\nfit m to x as d { hold_out 20%; seed 6 }\n\
                show a.held_out.kl, b.held_out.kl, c.held_out.kl, d.held_out.kl\n";
    let (_, _, record) = run(&format!("{head}{text}"), &Files::default());
    let kl = |name: &str| record.number(&format!("{name}.held_out.kl"));
    assert_eq!((kl("a"), kl("b")), (kl("b"), kl("c")));
    assert_ne!(kl("a"), kl("d"));
}

/// Cells that are all but impossible make the likelihood all but flat in some direction, which gradients see late.
#[test]
fn bounds_hold_near_a_boundary() {
    // the data, the model, the options of the fit, and the divergence of the optimum
    let cases = [
        // solved with 60 digits on the one free direction
        ("[[[2, 1e-12], [1e-12, 1e-12]], [[1e-12, 7], [3, 1e-12]]]", "{ tolerance 1e-10 }", 7.00712963e-12),
        // the data are a limit of the model
        ("[[[0, 3], [5, 2]], [[4, 1], [6, 0]]]", "{ tolerance 1e-12 }", 0.0),
        ("[[[0, 3], [5, 2]], [[4, 1], [6, 0]]]", "", 0.0),
        ("[[[0, 3], [5, 2]], [[4, 1], [6, 0]]]", "by newton", 0.0),
    ];
    let mut proved = 0;
    for (data, options, best) in cases {
        let (by, braces) = if options.starts_with("by") { (options, "") } else { ("", options) };
        let text = format!(
            "mode a: 2, b: 2, c: 2\ndata x[a, b, c] = {data}\nmodel m {{ body(2) }}\nfit m to x {by} as f {braces}\n\
             show f.kl, f.certificate.optimality_gap\n"
        );
        let (_, _, record) = run(&text, &Files::default());
        let (kl, bound) = (record.number("f.kl"), record.value("f.certificate.optimality_gap").as_f64());
        assert!(bound.is_none_or(|b| kl - b <= best * (1.0 + 1e-6)), "{data}: {kl:e} within {bound:?}");
        proved += usize::from(bound.is_some());
    }
    for (rows, data) in [
        (3, "[[0, 1, missing], [0, 3, 0], [1, missing, 0]]"),
        (2, "[[1, 0, missing], [missing, 1, missing]]"),
    ] {
        let text = format!(
            "mode a: {rows}, b: 3\ndata x[a, b] = {data}\nmodel m {{ body(1) }}\nfit m to x {{ tolerance 1e-10 }}\n\
             show m.kl, m.certificate.optimality_gap\n"
        );
        let (_, _, record) = run(&text, &Files::default());
        let bound = record.value("m.certificate.optimality_gap").as_f64();
        // these data are a limit of rank one
        assert!(bound.is_none_or(|b| record.number("m.kl") <= b), "{data}: {bound:?}");
        proved += usize::from(bound.is_some());
    }
    assert!(proved >= 4, "only {proved} have a bound");
}
