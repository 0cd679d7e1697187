//! Snapshots keep what a program means: they do not see how it is written, and they see every change of meaning.

mod program_support;

use mba::session::snapshot::{Comparison, Seen, State, Store};
use mba::session::{Event, Options, Session, Sink};
use mba::text::Sources;
use program_support::*;
use proptest::prelude::*;

const DATA: &str = "a,b,c,n\nx,u,0,3\ny,u,0,5\nx,v,0,2\ny,v,0,9\nx,u,1,4\ny,u,1,1\nx,v,1,7\ny,v,1,6\n";

const PROGRAM: &str = "param half = 0.5
mode a, b, c
data t[a, b, c] from \"t.csv\" count n
model m { temperature 2; [a b] [b c] [a c] = if a == x and c == 1 { half } else { 0 } }
fit m to t
test \"t\" { snapshot m }
";

struct Taken(Vec<Seen>, Vec<String>);

impl Sink for Taken {
    fn event(&mut self, event: Event<'_>, sources: &Sources) {
        if let Event::Test(test) = event {
            self.0.extend(test.seen.iter().cloned());
            self.1.extend(test.failures.iter().map(|f| rendered(f, sources)));
        }
    }
    fn observer(&mut self, _: &str, _: f64) -> Box<dyn mba::run::Observer + '_> {
        Box::new(mba::run::Silent)
    }
}

/// Every snapshot that a program takes, with the files there are.
fn taken(program: &str, files: &Files) -> (Vec<Seen>, Vec<String>) {
    let (mut session, found) = Session::load("t.mba", program, Options::default(), files);
    let errors: Vec<_> =
        found.iter().filter(|d| d.is_error()).map(|d| rendered(d, &session.sources)).collect();
    assert!(errors.is_empty(), "{}\n{program}", errors.join("\n"));
    let mut sink = Taken(Vec::new(), Vec::new());
    session.run(files, &mut sink);
    (sink.0, sink.1)
}

fn files(data: &str) -> Files {
    let mut files = Files::default();
    files.there.insert("t.csv".into(), data.into());
    files
}

/// Keeps what a program takes, and says how another one compares with it.
fn against(first: (&str, &str), second: (&str, &str)) -> Result<(), Comparison> {
    let mut store = Store::default();
    for seen in taken(first.0, &files(first.1)).0 {
        store.accept(&seen);
    }
    let mut files = files(second.1);
    files.there.insert("t.mba.snap".into(), store.render().into());
    let (seen, failures) = taken(second.0, &files);
    match seen.into_iter().map(|s| s.state).find(|s| *s != State::Same) {
        None => {
            assert!(failures.is_empty(), "{failures:?}");
            Ok(())
        }
        Some(State::Moved(comparison)) => Err(comparison),
        Some(other) => panic!("{other:?}"),
    }
}

#[track_caller]
fn same(second: &str) {
    let differences = against((PROGRAM, DATA), (second, DATA)).map_err(|c| c.notes());
    assert_eq!(differences, Ok(()), "{second}");
}

#[track_caller]
fn differs(second: &str, data: &str, what: &str) {
    let comparison = against((PROGRAM, DATA), (second, data)).expect_err(second);
    let notes = comparison.notes().join("\n");
    assert!(notes.contains(what), "`{what}` is not in\n{notes}");
}

#[test]
fn how_a_program_is_written_does_not_show() {
    same(PROGRAM);
    same(&PROGRAM.replace(' ', "   ").replace('\n', "\n\n  # a comment\n").replace("[a   b]", "[a b]"));
    // order of declarations, of modes, of interactions, of modes in an interaction
    let lines: Vec<&str> = PROGRAM.lines().collect();
    same(&[lines[3], lines[2], lines[1], lines[0], lines[4], lines[5]].join("\n"));
    same(&PROGRAM.replace("mode a, b, c", "mode c, b, a").replace("t[a, b, c]", "t[c, a, b]"));
    same(&PROGRAM.replace("[a b] [b c] [a c] =", "[c b] [b a]; [c a] ="));
    // what is implied, what is a family, what is a template, what is a param
    same(&PROGRAM.replace("[a b] [b c]", "[a b] [b] [b c]"));
    same(&PROGRAM.replace("[a b] [b c]", "star(b)"));
    same(
        &PROGRAM
            .replace("model m", "model pairs() over p, q { [p q] }\nmodel m")
            .replace("[a b]", "pairs() over (a, b)"),
    );
    same(&PROGRAM.replace("half", "one_half"));
    same(&PROGRAM.replace("{ half }", "{ 1 / 2 }"));
    // an energy in two parts
    same(&PROGRAM.replace(
        "{ half } else { 0 } }",
        "{ half / 2 } else { 0 }; [a c] = if a == x and c == 1 { half / 2 } else { 0 } }",
    ));
    // levels that are declared as they are found, in another order
    same(&PROGRAM.replace("mode a, b, c", "mode a: {y, x}, b: {v, u}, c: {0, 1}"));
    // the order of the rows
    let mut rows: Vec<&str> = DATA.lines().collect();
    rows[1..].reverse();
    assert_eq!(against((PROGRAM, DATA), (PROGRAM, &rows.join("\n"))).map_err(|c| c.notes()), Ok(()));
    // the name of the data
    same(&PROGRAM.replace("data t", "data other").replace("to t", "to other"));
}

#[test]
fn what_a_program_means_shows() {
    differs(&PROGRAM.replace("temperature 2", "temperature 2.1"), DATA, "temperature: 2 → 2.1");
    differs(&PROGRAM.replace("half = 0.5", "half = 0.6"), DATA, "energy 1");
    differs(&PROGRAM.replace("[a b] [b c]", "[a b] [c]"), DATA, "free is now without [b c], with [c]");
    differs(&PROGRAM.replace("[a b] [b c]", "[a b] [b c] [a c]"), DATA, "iterative");
    differs(&PROGRAM.replace("mode a, b, c", "mode a: {x, y, z}\nmode b, c"), DATA, "mode a is now with z");
    differs(&PROGRAM.replace("mode a, b, c", "mode a, b\nmode c ordered"), DATA, "mode c ordered is new");
    differs(
        PROGRAM,
        &DATA.replace("x,v,1,7", "x,v,1,8"),
        "interaction [b c] moved at b v, c 1: 13 → 14 (+1)",
    );
}

#[test]
fn any_value_can_be_kept() {
    let values = "snapshot t
        snapshot m.fitted
        snapshot m.marginal(b)
        snapshot m.kl
        snapshot m.df
        snapshot m.status
        snapshot m.certificate
        snapshot m.theta
        snapshot compare(m)
        snapshot interactions(m)
        snapshot plan(m)
        snapshot [m.kl, m.df] as \"two \\\"things\\\" = 1 / 2\"
        snapshot m.kl < 1
        snapshot m.p_value as \"p\" within 1e-9 + 1%";
    let program = PROGRAM.replace("snapshot m }", &format!("{values} }}"));
    assert_eq!(against((&program, DATA), (&program, DATA)).map_err(|c| c.notes()), Ok(()));
    let (seen, _) = taken(&program, &files(DATA));
    assert_eq!(seen.len(), 14);
    // the axes of an array are in the order of their names
    let turned = program.replace("t[a, b, c]", "t[c, b, a]").replace("snapshot m.theta", "");
    let turned = turned.replace("snapshot interactions(m)", "").replace("snapshot plan(m)", "");
    assert_eq!(against((&program, DATA), (&turned, DATA)).map_err(|c| c.notes()), Ok(()));
}

#[test]
fn a_balanced_tensor_is_kept_by_its_margins_and_cells() {
    let program = |kernel: &str, order: &str| {
        format!(
            "mode a: 2, b: 3
data k[{order}] = {kernel}
data r[a] = [3, 3]
data c[b] = [1, 2, 3]
balance k to margins(r, c) as B
test \"t\" {{ expect B.status == \"converged\"; snapshot B }}
"
        )
    };
    let first = program("[[1, 2, 3], [4, 5, 7]]", "a, b");
    let turned = program("[[1, 4], [2, 5], [3, 7]]", "b, a").replace("margins(r, c)", "margins(c, r)");
    assert_eq!(against((&first, ""), (&turned, "")).map_err(|c| c.notes()), Ok(()));
    // a scaled row is scaled back: the balanced tensor is the same, but not its distance from the kernel
    let scaled = program("[[2, 4, 6], [4, 5, 7]]", "a, b");
    let notes = against((&first, ""), (&scaled, "")).unwrap_err().notes();
    assert!(notes.iter().all(|n| n.starts_with("kl: ")), "{notes:?}");
    let other = first.replace("r[a] = [3, 3]", "r[a] = [2, 4]");
    let notes = against((&first, ""), (&other, "")).unwrap_err().notes();
    assert!(notes.iter().any(|n| n.starts_with("marginal [a] moved in 2 cells")), "{notes:?}");
}

#[test]
fn tolerances_are_absolute_and_relative_and_have_exceptions() {
    let with = |clause: &str| PROGRAM.replace("snapshot m }", &format!("snapshot m.fitted {clause} }}"));
    let moved = DATA.replace("x,v,1,7", "x,v,1,8");
    let agrees = |clause: &str| {
        let program = with(clause);
        against((&program, DATA), (&program, &moved)).is_ok()
    };
    assert!(!agrees(""));
    assert!(agrees("within 2"));
    assert!(!agrees("within 1e-3 + 1%"));
    assert!(agrees("within 0.5 + 20%"));
    assert!(agrees("within 20% + 0.5"));
    assert!(agrees("within 1e-3 except 8"));
    assert!(!agrees("within 1e-3 except 1"));
    assert!(agrees("except 100%"));
    for wrong in ["except 1.5", "except -1", "within 0 - 1"] {
        let (seen, failures) = taken(&with(wrong), &files(DATA));
        assert!(seen.is_empty() && failures.len() == 1 && failures[0].contains("MBA105"), "{failures:?}");
    }
}

/// 120 modes and 100 interactions: the file stays readable, and one changed interaction is named.
#[test]
fn a_large_model_is_kept_in_short() {
    let program = |more: &str| {
        format!(
            "mode s[20, 6]: {{-1, +1}}
model truth {{ for (a, b) in neighbours(s) {{ [a b] = -0.2 * a * b }} }}
model pairs {{ for j in 0..19 {{ for i in 0..4 {{ [s[j, i] s[j, i + 1]] }} }}; {more} }}
data x[s] = sample(truth, 500, seed: 1)
fit pairs to x
test \"t\" {{ snapshot pairs }}
"
        )
    };
    let mut store = Store::default();
    let (seen, failures) = taken(&program(""), &Files::default());
    assert!(failures.is_empty(), "{failures:?}");
    seen.iter().for_each(|s| store.accept(s));
    let text = store.render();
    assert!(text.len() < 16_000, "{} bytes\n{text}", text.len());
    assert!(text.contains("\"count\":100"), "{text}");
    let comparison = against((&program(""), ""), (&program("[s[0, 0] s[1, 0]]"), "")).unwrap_err();
    assert!(comparison.notes().iter().any(|n| n.starts_with("free: ")), "{:?}", comparison.notes());
    // another sample moves the marginals, each told by its interaction
    let other = program("").replace("seed: 1", "seed: 2");
    let comparison = against((&program(""), ""), (&other, "")).unwrap_err();
    let notes = comparison.notes();
    assert!(notes.iter().any(|n| n.starts_with("interaction [s[")), "{notes:?}");
}

#[test]
fn a_large_array_is_kept_in_short_and_any_cell_shows() {
    let cells: Vec<String> = (0..3000).map(|i| format!("{}", 1 + i * 7 % 11)).collect();
    let program = |cells: &[String]| {
        format!("mode a: 3000\ndata x[a] = [{}]\ntest \"t\" {{ snapshot x }}\n", cells.join(", "))
    };
    let first = program(&cells);
    let (seen, _) = taken(&first, &Files::default());
    let mut store = Store::default();
    seen.iter().for_each(|s| store.accept(s));
    let text = store.render();
    assert!(text.contains("value shape = [3000]") && text.contains("value digest"), "{text}");
    assert!(text.lines().count() < 40, "{text}");
    for cell in [0, 1777, 2999] {
        let mut changed = cells.clone();
        changed[cell] = "100".into();
        let comparison = against((&first, ""), (&program(&changed), "")).unwrap_err();
        assert!(comparison.notes().iter().any(|n| n.starts_with("value digest")), "{:?}", comparison.notes());
    }
    // two cells that change places leave the sum and the norm, and show all the same
    let mut changed = cells.clone();
    changed.swap(5, 6);
    assert!(against((&first, ""), (&program(&changed), "")).is_err());
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("mba snapshots 1".to_string()),
            Just("=== \"t\" / \"m\"".to_string()),
            Just("=== \"t\" / \"n\"".to_string()),
            Just("kl = 1.0".to_string()),
            Just("text =".to_string()),
            Just("  | line".to_string()),
            Just("# note".to_string()),
            Just(String::new()),
            "[ -~]{0,20}",
            "\\PC{0,8}",
        ],
        0..12,
    )
    .prop_map(|lines| lines.join("\n"))
}

proptest! {
    /// Nonsense is never a panic, and what is written is read again as it is.
    #[test]
    fn any_text_is_read(text in text()) {
        let store = Store::parse(&text);
        for key in store.keys() {
            let _ = store.find(key);
        }
        if store.damage().is_none() && !store.is_foreign() {
            let again = Store::parse(&store.render());
            prop_assert_eq!(again.render(), store.render());
            prop_assert!(again.keys().eq(store.keys()));
        }
    }
}
