//! The state of a prompt, without a terminal: what an input changes, and what it does not.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};

use mba::data::Content;
use mba::report::results::Object;
use mba::report::{Value, json};
use mba::run::{Flow, Observer, Silent, Status, Sweep};
use mba::session::prompt::Fed;
use mba::session::{Event, Host, Options, Prompt, Session, Sink, complete, topics};
use mba::text::{Code, Sources};

/// Files in memory, and how often each was opened.
#[derive(Default)]
struct Desk {
    files: RefCell<BTreeMap<String, String>>,
    opened: RefCell<BTreeMap<String, usize>>,
}

impl Desk {
    fn file(&self, name: &str, text: &str) {
        self.files.borrow_mut().insert(name.into(), text.into());
    }
}

impl Host for Desk {
    fn open(&self, path: &str) -> Result<Content> {
        *self.opened.borrow_mut().entry(path.into()).or_default() += 1;
        self.read_text(path).map(|text| Content::owned(text.into_bytes()))
    }
    fn read_text(&self, path: &str) -> Result<String> {
        self.files.borrow().get(path).cloned().ok_or(Error::from(ErrorKind::NotFound))
    }
    fn beside(&self, from: &str, written: &str) -> String {
        from.rsplit_once('/').map_or(written.into(), |(folder, _)| format!("{folder}/{written}"))
    }
    fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.file(path, &String::from_utf8_lossy(bytes));
        Ok(())
    }
    fn seconds(&self) -> f64 {
        0.0
    }
    fn list(&self, folder: &str) -> Vec<String> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let inside = |name: &String| {
            let rest = name.strip_prefix(&prefix)?;
            Some(rest.split_once('/').map_or(rest.to_string(), |(folder, _)| format!("{folder}/")))
        };
        let mut found: Vec<String> = self.files.borrow().keys().filter_map(inside).collect();
        found.dedup();
        found
    }
}

/// What was told, a line each; interrupts fits when asked to.
#[derive(Default)]
struct Heard {
    lines: Vec<String>,
    interrupt: bool,
}

struct Stop;

impl Observer for Stop {
    fn sweep(&mut self, _: &Sweep) -> Flow {
        Flow::Interrupt
    }
}

impl Sink for Heard {
    fn event(&mut self, event: Event<'_>, _: &Sources) {
        self.lines.push(match event {
            Event::Diagnostic(d) => d.code.to_string(),
            Event::Fit(result, _) => format!("fit {} {}", result.name, result.fit.status.word()),
            Event::Joint(result, _) => format!("fit {} {}", result.name, result.joint.status.word()),
            Event::Show(label, value) => format!("{label} = {}", json::value(value)),
            Event::Loaded(result, path) => format!("loaded {} from {path}", result.name),
            Event::LoadedJoint(result, path) => format!("loaded {} from {path}", result.name),
            Event::Resumed(name, sweeps, _) => format!("resumed {name} at {sweeps}"),
            Event::Saved(path) => format!("saved {path}"),
            Event::Test(test) if test.failures.is_empty() => format!("{} passed", test.name),
            Event::Test(test) => format!("{} failed", test.name),
        });
    }
    fn observer(&mut self, _: &str, _: f64) -> Box<dyn Observer + '_> {
        if self.interrupt { Box::new(Stop) } else { Box::new(Silent) }
    }
}

/// A prompt with its surroundings.
struct Seat {
    prompt: Prompt,
    desk: Desk,
}

const TABLE: &str = "hair,eye,n\ndark,brown,60\ndark,blue,20\nfair,brown,15\nfair,blue,45\n";

impl Seat {
    fn new() -> Seat {
        let desk = Desk::default();
        desk.file("people.csv", TABLE);
        Seat { prompt: Prompt::new(Options::default()), desk }
    }

    /// A prompt with data and two fits.
    fn with_fits() -> Seat {
        let mut seat = Seat::new();
        seat.ok("mode hair, eye\ndata people[hair, eye] from \"people.csv\" count n");
        seat.ok("model apart { [hair] [eye] }; model joint { [hair eye] } # allow MBA322");
        seat.ok("fit apart to people; fit joint to people");
        seat
    }

    fn feed(&mut self, text: &str) -> (Vec<String>, Fed) {
        let mut heard = Heard::default();
        let fed = self.prompt.feed(text, &self.desk, &mut heard);
        (heard.lines, fed)
    }

    #[track_caller]
    fn ok(&mut self, text: &str) -> Vec<String> {
        let (lines, fed) = self.feed(text);
        assert!(fed.taken && fed.outcome.is_ok(), "{text}: {lines:?}");
        lines
    }

    #[track_caller]
    fn wrong(&mut self, text: &str, codes: &[&str]) {
        let (lines, fed) = self.feed(text);
        assert!(!fed.taken, "{text}: {lines:?}");
        assert!(!fed.outcome.is_ok(), "{text}");
        assert_eq!(lines, codes, "{text}");
    }

    fn load(&mut self, path: &str) -> (Vec<String>, Fed) {
        let text = self.desk.read_text(path).unwrap();
        let mut heard = Heard::default();
        let fed = self.prompt.load(path, &text, &self.desk, &mut heard);
        (heard.lines, fed)
    }

    fn number(&mut self, expression: &str) -> f64 {
        match self.prompt.evaluate(expression).unwrap().0 {
            Object::Value(Value::Number(x)) => x,
            Object::Value(Value::Count(n)) => n.to_string().parse().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn program(&self, path: &str) -> String {
        self.prompt.program(path, &|from, written| self.desk.beside(from, written), &self.desk).text
    }

    fn complete(&self, text: &str) -> Vec<String> {
        complete::complete(self.prompt.session(), text, text.len(), &self.desk).candidates
    }
}

/// Everything one can ask about a prompt.
fn state(seat: &Seat) -> String {
    let session = seat.prompt.session();
    let fits: Vec<_> = session.planned.iter().map(|p| &p.name).collect();
    let models: Vec<_> = session.declarations.models.keys().collect();
    let params: Vec<_> = session.declarations.params.iter().map(|(n, p)| (n, p.value.to_string())).collect();
    let known: Vec<_> = session.known.iter().map(|(n, m)| (n, m.size())).collect();
    let bound: Vec<_> = session.bound.keys().collect();
    let last = seat.prompt.evaluate("_").map(|(o, _)| format!("{o:?}").len()).unwrap_or(0);
    format!("{fits:?} {models:?} {params:?} {known:?} {bound:?} {last} {}", seat.program("p.mba"))
}

#[test]
fn expressions_are_shown_and_statements_are_taken() {
    let mut seat = Seat::with_fits();
    assert_eq!(seat.ok("joint.df"), ["joint.df = 0"]);
    assert_eq!(seat.ok("1 + 2; joint.df, apart.df"), ["1 + 2 = 3.0", "joint.df = 0", "apart.df = 1"]);
    assert_eq!(seat.ok("fit apart to people as again\nagain.df").last().unwrap(), "again.df = 1");
    assert_eq!(seat.ok(""), Vec::<String>::new());
    assert_eq!(seat.ok("test \"t\" { expect apart.df == 1 }"), ["t passed"]);
}

#[test]
fn the_last_result_has_a_name() {
    let mut seat = Seat::with_fits();
    assert_eq!(seat.ok("_.df"), ["_.df = 0"], "the last fit");
    assert_eq!(seat.ok("_ + 1"), ["_ + 1 = 1.0"]);
    assert_eq!(seat.ok("_ + 1"), ["_ + 1 = 2.0"]);
    seat.ok("apart");
    assert_eq!(seat.ok("_.df"), ["_.df = 1"], "a fit that was shown");
    seat.ok("people");
    assert_eq!(seat.ok("_.total"), ["_.total = 140.0"], "data that were shown");
    seat.ok("apart");
    assert!(seat.ok("compare(_, joint).bic")[0].starts_with("compare(_, joint).bic = ["));
    seat.wrong("nothing", &["MBA101"]);
    assert!(seat.ok("_")[0].starts_with("_ = ["), "what is wrong is no result");
    let mut empty = Seat::new();
    empty.wrong("_", &["MBA101"]);
}

#[test]
fn a_failed_input_changes_nothing() {
    let mut seat = Seat::with_fits();
    seat.ok("param J = 2");
    seat.ok("apart.df");
    seat.desk.file("bad.csv", "hair,eye,n\ndark,brown,-1\n");
    let before = state(&seat);
    let failures: &[(&str, &[&str])] = &[
        ("modle m { }", &["MBA006"]),
        ("model m {", &["MBA002"]),
        ("mode hair: 3; fit nothing to people", &["MBA101"]),
        ("mode hair: 3; people", &["MBA421"]),
        ("param J = 3; apart.nothing", &["MBA102"]),
        ("model apart { [hair eye] }; joint.kx", &["MBA102"]),
        ("data bad[hair, eye] from \"nowhere.csv\"", &["MBA401"]),
        ("data bad[hair, eye] from \"bad.csv\" count n\nfit apart to bad as worse", &["MBA410"]),
        ("fit joint to people as other; other.fitted[hair: dark] + 1", &["fit other closed_form", "MBA106"]),
        ("use nothing", &["MBA108"]),
        ("save joint.kl to \"x.npy\"; save joint to \"y.npy\"", &["MBA409"]),
        ("param K = 1; J(2)", &["MBA102"]),
    ];
    for (text, codes) in failures {
        let (lines, fed) = seat.feed(text);
        assert!(!fed.taken && !fed.outcome.is_ok(), "{text}: {lines:?}");
        for code in *codes {
            assert!(lines.iter().any(|l| l == code), "{text}: {lines:?}");
        }
        assert_eq!(state(&seat), before, "{text}");
    }
    let (lines, fed) = seat.feed("param K = 1; test \"t\" { expect apart.df == 2 }");
    assert_eq!((lines, fed.taken), (vec!["t failed".to_string()], false));
    assert_eq!(state(&seat), before);
    assert_eq!(seat.ok("apart.df"), ["apart.df = 1"]);
}

#[test]
fn a_second_declaration_replaces_the_first() {
    let mut seat = Seat::with_fits();
    seat.ok("param J = 2, K = J + 1");
    seat.ok("param J = 5");
    assert_eq!(seat.ok("K"), ["K = 6.0"]);
    assert_eq!(seat.ok("fit apart to people { tolerance 1e-3 }"), ["fit apart closed_form"]);
    assert_eq!(seat.prompt.session().planned.len(), 2);
    // what a fit was made of is gone, its results are not
    let (lines, fed) = seat.feed("model apart { [hair eye] } # allow MBA322");
    assert!(fed.taken);
    assert_eq!(lines, ["MBA610"]);
    assert_eq!(seat.ok("apart.df"), ["apart.df = 1"]);
    assert_eq!(seat.prompt.stale().collect::<Vec<_>>(), [("apart", "apart")]);
    seat.ok("fit apart to people");
    assert_eq!(seat.ok("apart.df"), ["apart.df = 0"]);
    assert_eq!(seat.prompt.stale().count(), 0);
    // modes and params share their names
    seat.ok("mode K: 3");
    assert!(!seat.prompt.session().declarations.params.contains_key("K"));
}

#[test]
fn what_belongs_together_is_replaced_together() {
    let mut seat = Seat::new();
    seat.ok("mode a: 2, b: 3\ndata x[a] = [1, 2]");
    seat.wrong("mode a: 3", &["MBA201"]);
    seat.ok("mode a: 3; data x[a] = [1, 2, 3]");
    assert_eq!(seat.ok("x.total"), ["x.total = 6.0"]);
    let program = seat.program("p.mba");
    assert!(program.starts_with("mode b: 3\n"), "{program}");
    seat.ok("data y[b] = [1, 2, 3]");
    assert_eq!(seat.ok("y.total"), ["y.total = 6.0"]);
}

#[test]
fn a_warning_is_told_once() {
    let mut seat = Seat::new();
    seat.ok("mode a: 2, b: 2; data x[a, b] = [[1, 2], [3, 4]]");
    assert_eq!(seat.ok("model m { [a b] [a] }"), ["MBA322", "MBA321"]);
    assert_eq!(seat.ok("model k { [a] [b] }"), Vec::<String>::new());
    assert_eq!(seat.ok("fit m to x"), ["fit m closed_form"]);
    assert_eq!(seat.ok("mode unused: 2"), Vec::<String>::new(), "it will be used later");
}

#[test]
fn an_interrupted_fit_keeps_what_it_has() {
    let mut seat = Seat::new();
    seat.ok("mode a: 3, b: 3, c: 3\nmodel m { body(2) }");
    seat.ok(
        "data x[a, b, c] = [[[1, 2, 9], [3, 4, 2], [5, 6, 1]], [[7, 8, 1], [9, 1, 1], [2, 3, 8]], [[4, 5, 3], [6, 7, 1], [8, 9, 2]]]",
    );
    let mut heard = Heard { interrupt: true, ..Heard::default() };
    let fed = seat.prompt.feed("fit m to x; m.status", &seat.desk, &mut heard);
    assert_eq!(heard.lines, ["fit m interrupted", "MBA511", "m.status = \"interrupted\""]);
    assert!(fed.taken);
    assert_eq!(fed.outcome.status(), 1);
    assert_eq!(seat.ok("m.iterations"), ["m.iterations = 1"]);
    seat.ok("fit m to x");
    assert_eq!(seat.ok("m.status"), ["m.status = \"converged\""]);
    let (_, fed) = seat.feed("fit m to x as early { max_sweeps 1 }");
    assert!(fed.taken, "a fit that stopped is kept, too");
    assert_eq!(seat.ok("early.status"), ["early.status = \"stopped\""]);
}

#[test]
fn data_are_read_once_and_shared_by_clones() {
    let mut seat = Seat::with_fits();
    let before = seat.desk.opened.borrow()["people.csv"];
    for input in ["param J = 1", "model other { [hair] }", "fit other to people", "mode z: 2", "people.total"]
    {
        seat.ok(input);
    }
    assert_eq!(seat.desk.opened.borrow()["people.csv"], before);
    let fit = |prompt: &Prompt| match prompt.evaluate("joint").unwrap().0 {
        Object::Fit(fit) => fit,
        other => panic!("{other:?}"),
    };
    let clone = seat.prompt.clone();
    assert!(std::sync::Arc::ptr_eq(&fit(&clone).tensor, &fit(&seat.prompt).tensor));
    assert!(std::sync::Arc::ptr_eq(&fit(&clone).fit, &fit(&seat.prompt).fit));
}

#[test]
fn levels_that_change_are_noticed() {
    let mut seat = Seat::with_fits();
    let (lines, fed) = seat.feed("data more[hair] from \"more.csv\"");
    assert!(!fed.taken, "{lines:?}");
    seat.desk.file("more.csv", "hair\nred\ndark\n");
    // another level of hair makes another table of people
    assert_eq!(seat.feed("data more[hair] from \"more.csv\"").0, ["MBA610"]);
    assert_eq!(seat.ok("people.cells"), ["people.cells = 6"]);
    assert_eq!(seat.ok("joint.cells"), ["joint.cells = 4"]);
    let (_, fed) = seat.feed("fit joint to people");
    assert!(fed.taken);
    assert_eq!(seat.ok("joint.cells"), ["joint.cells = 6"]);
}

/// Runs a program by itself and gives what it said.
fn run(program: &str, desk: &Desk) -> Vec<String> {
    let (mut session, found) = Session::load("p.mba", program, Options::default(), desk);
    assert!(found.iter().all(|d| !d.is_error()), "{program}\n{found:?}");
    let mut heard = Heard::default();
    assert!(session.run(desk, &mut heard).is_ok(), "{program}\n{:?}", heard.lines);
    heard.lines
}

#[test]
fn what_was_declared_is_a_program_that_runs() {
    let mut seat = Seat::with_fits();
    seat.ok("## how strong\nparam J = 2, K = 3   # for later");
    seat.ok("joint.kl");
    seat.ok("show joint.df");
    seat.ok("show joint.df");
    seat.ok("test \"t\" { expect apart.df == 1 }");
    seat.ok("param K = 4");
    let program = seat.program("p.mba");
    let wanted = "\
mode hair, eye
data people[hair, eye] from \"people.csv\" count n
model apart { [hair] [eye] }
model joint { [hair eye] }  # allow MBA322
fit apart to people
fit joint to people
## how strong
param J = 2  # for later
show joint.df
test \"t\" { expect apart.df == 1 }
param K = 4
";
    assert_eq!(program, wanted);
    assert_eq!(
        run(&program, &seat.desk),
        ["fit apart closed_form", "fit joint closed_form", "joint.df = 0", "t passed"]
    );
}

#[test]
fn what_would_mean_something_else_is_saved_as_a_comment() {
    let mut seat = Seat::with_fits();
    seat.ok("show compare(apart, joint)");
    seat.feed("model apart { [hair] }");
    let written = seat.prompt.program("p.mba", &|_, p| p.to_string(), &seat.desk);
    assert_eq!(written.left_out, 2);
    assert!(written.text.contains("# of an earlier `apart`:\n# fit apart to people\n"), "{}", written.text);
    assert!(written.text.contains("# show compare(apart, joint)\n"), "{}", written.text);
    assert_eq!(run(&written.text, &seat.desk), ["fit joint closed_form", "MBA324"].map(String::from)[..1]);
}

#[test]
fn modules_and_files_stay_outside_unless_something_in_them_was_replaced() {
    let mut seat = Seat::new();
    seat.desk.file("lib/shared.mba", "mode a: 2, b: 2\nmodel m { [a] [b] }\nparam P = 1\nshow P\n");
    seat.desk.file(
        "lib/main.mba",
        "# the main one\nuse \"shared.mba\"\ndata x[a, b] = [[1, 2], [3, 5]]\nfit m to x\n",
    );
    let (lines, fed) = seat.load("lib/main.mba");
    assert!(fed.taken);
    assert_eq!(lines, ["fit m closed_form"]);
    seat.ok("use ising");
    let program = seat.program("all.mba");
    assert!(program.contains("use \"lib/shared.mba\"") && program.contains("use ising"), "{program}");
    assert!(program.starts_with("# the main one\n"), "{program}");
    assert!(!program.contains("mode a"), "{program}");
    seat.ok("param P = 2");
    let program = seat.program("all.mba");
    assert!(!program.contains("shared.mba"), "{program}");
    assert!(program.contains("mode a: 2, b: 2") && program.contains("param P = 2"), "{program}");
    assert!(!program.contains("show P") && !program.contains("param P = 1"), "{program}");
    assert_eq!(run(&program, &seat.desk), ["fit m closed_form"]);
}

#[test]
fn a_program_is_loaded_and_loaded_again() {
    let mut seat = Seat::new();
    seat.desk.file(
        "m.mba",
        "mode a: 2\ndata x[a] from \"x.csv\" count n\nmodel m { [a] }\nfit m to x\nshow x.total\n",
    );
    seat.desk.file("x.csv", "a,n\n0,3\n1,4\n");
    assert_eq!(seat.load("m.mba").0, ["fit m closed_form", "x.total = 7.0"]);
    assert_eq!(seat.prompt.files(), ["m.mba"]);
    seat.ok("fit m to x as mine");
    // the data and the program change
    seat.desk.file("x.csv", "a,n\n0,3\n1,5\n");
    seat.desk.file("m.mba", "mode a: 2\ndata x[a] from \"x.csv\" count n\nmodel m { [a] }\nshow x.total\n");
    let (lines, fed) = seat.load("m.mba");
    assert!(fed.taken, "{lines:?}");
    assert!(lines.contains(&"x.total = 8.0".to_string()), "{lines:?}");
    seat.wrong("m.df", &["MBA330"]);
    assert_eq!(seat.ok("mine.total"), ["mine.total = 7.0"]);
    // one that is wrong changes nothing
    let before = state(&seat);
    seat.desk.file("m.mba", "mode a: 2\nfit nothing to x\n");
    let (_, fed) = seat.load("m.mba");
    assert!(!fed.taken);
    assert_eq!(state(&seat), before);
    seat.prompt.reset();
    seat.wrong("mine.df", &["MBA101"]);
    assert_eq!(seat.program("p.mba").trim(), "");
}

#[test]
fn a_program_with_a_test_that_fails_is_loaded_all_the_same() {
    let mut seat = Seat::new();
    seat.desk.file("m.mba", "mode a: 2\ndata x[a] = [1, 2]\ntest \"t\" { expect x.total == 4 }\n");
    let (lines, fed) = seat.load("m.mba");
    assert_eq!(lines, ["t failed"]);
    assert!(fed.taken && fed.outcome.status() == 1);
    assert_eq!(seat.number("x.total"), 3.0);
}

#[test]
fn settings_of_the_command_hold_until_something_is_typed() {
    let desk = Desk::default();
    let settings = vec![("L".to_string(), "12".to_string())];
    let mut seat = Seat { prompt: Prompt::new(Options { settings, ..Options::default() }), desk };
    seat.ok("1 + 1");
    seat.ok("param K = 2");
    seat.ok("param L = 3");
    assert_eq!(seat.ok("L"), ["L = 12.0"]);
    assert!(seat.program("p.mba").contains("param L = 12"));
    seat.ok("param L = 4");
    assert_eq!(seat.ok("L"), ["L = 4.0"]);
}

#[test]
fn inputs_can_be_tried() {
    let seat = Seat::with_fits();
    let session = seat.prompt.would_be("fit apart to people as other", &seat.desk).unwrap();
    assert_eq!(session.planned.last().unwrap().name, "other");
    assert!(seat.prompt.session().planned.iter().all(|p| p.name != "other"));
    let refused = seat.prompt.would_be("fit other to people", &seat.desk).unwrap_err();
    assert_eq!(refused.diagnostics[0].code, Code::MBA101);
    assert!(seat.prompt.evaluate("joint.").is_err());
    assert!(
        matches!(seat.prompt.evaluate("joint").unwrap().0, Object::Fit(f) if f.fit.status == Status::ClosedForm)
    );
}

#[test]
fn completion_knows_the_position() {
    let mut seat = Seat::with_fits();
    seat.ok("param J = 2");
    seat.ok("use ising");
    let all = |text: &str, wanted: &[&str]| {
        let found = seat.complete(text);
        for name in wanted {
            assert!(found.contains(&name.to_string()), "`{text}`: no `{name}` in {found:?}");
        }
        found
    };
    let only = |text: &str, wanted: &[&str]| assert_eq!(seat.complete(text), wanted, "`{text}`");
    // statements, and expressions that are shown
    all("", &["mode", "fit", "show", "apart", "compare", "J"]);
    only("mo", &["mode", "model"]);
    // where each clause leads
    only("fit ap", &["apart"]);
    only("fit apart ", &["to"]);
    only("fit apart to ", &["people"]);
    only("fit apart to people ", &["as", "by", "weight"]);
    all("fit apart to people by ", &["auto", "ipf", "newton"]);
    only("estimate apart by mean_field as e { damp", &["damping"]);
    only("sweep apart over temper", &["temperature"]);
    only("fit apart to people as ", &[]);
    only("fit apart to people { to", &["tolerance"]);
    only("mode a: 3 o", &["ordered"]);
    only("use is", &["ising"]);
    // data
    all("data x[", &["hair", "eye"]);
    only("data x[hair] fr", &["from"]);
    only("data x[hair] from \"peo", &["people.csv"]);
    all("data x[hair] from \"people.csv\" ", &["count", "missing"]);
    all("data x[hair] from \"people.csv\" format ", &["csv", "npy"]);
    only("save joint.kl t", &["to"]);
    // models
    all("model m { ", &["body", "chain", "without", "ising"]);
    only("model m { [ha", &["hair"]);
    only("model m over ha", &["hair"]);
    all("model m { [hair] = ", &["J", "exp", "hair"]);
    only("model m { [hair] = if hair == ", &["dark", "fair"]);
    // results
    only("joint.marg", &["marginal"]);
    only("show joint.certificate.", &["marginal_gap", "optimality_gap"]);
    only("people.", &["cells", "missing", "stored", "total"]);
    all("show ", &["apart", "joint", "people", "compare"]);
    all("compare(", &["apart", "joint"]);
    only("show joint.marginal(h", &["hair"]);
    only("show joint.probability(hair: ", &["dark", "fair"]);
    only("joint.fitted[eye: b", &["blue", "brown"]);
    // codes
    all("test \"t\" { expect error MBA1", &["MBA101"]);
    only("model m { [hair] } # allow MBA32", &["MBA321", "MBA322", "MBA323", "MBA324", "MBA325", "MBA326"]);
    // nothing where a new name stands
    only("model ", &[]);
    only("mode ", &[]);
    only("show \"hair", &[]);
}

#[test]
fn models_of_the_session_are_topics() {
    let mut seat = Seat::with_fits();
    seat.ok("## nothing to do with each other\nmodel alone { [hair] }");
    let topic = topics::find("alone", Some(seat.prompt.session())).unwrap();
    assert!(topic.text.contains("nothing to do with each other") && topic.text.contains("[hair]"));
}
