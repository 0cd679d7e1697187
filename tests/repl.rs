//! The prompt as a person uses it: on a pseudo-terminal, on a dumb one, and through a pipe.
//!
//! Nothing here waits for a time: each step waits for what the one before it printed.

mod cli_support;

use std::path::Path;
use std::process::Command;

use cli_support::*;
use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};

/// How long an answer may take on a machine that does much else.
const PATIENCE_MS: u64 = 120_000;

/// A table whose fit in pairs has no end when the tolerance is out of reach.
const TABLE: &str = "\
mode a: 3, b: 3, c: 3
data x[a, b, c] = [[[1, 2, 9], [3, 4, 2], [5, 6, 1]], [[7, 8, 1], [9, 1, 1], [2, 3, 8]], [[4, 5, 3], [6, 7, 1], [8, 9, 2]]]
model m { body(2) }
";

struct Terminal(PtySession);

impl Terminal {
    fn of_kind(kind: &str, room: &Path, arguments: &[&str]) -> Terminal {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("mba"));
        command.arg("repl").args(arguments).current_dir(room);
        command.env("TERM", kind).env("NO_COLOR", "1").env("HOME", room).env_remove("MBA_HISTORY");
        command.env("XDG_STATE_HOME", room.join("state"));
        let options = Options::new().timeout_ms(Some(PATIENCE_MS)).strip_ansi_escape_codes(true);
        let mut terminal = Terminal(spawn_with_options(command, options).unwrap());
        terminal.sees("mba> ");
        terminal
    }

    fn new(room: &Path, arguments: &[&str]) -> Terminal {
        Terminal::of_kind("xterm", room, arguments)
    }

    /// Waits until this is on the screen; gives what came before it.
    #[track_caller]
    fn sees(&mut self, text: &str) -> String {
        match self.0.exp_string(text) {
            Ok(before) => before,
            Err(error) => panic!("`{text}` is not seen: {error}"),
        }
    }

    /// Presses keys.
    fn keys(&mut self, keys: &str) -> &mut Terminal {
        self.0.send(keys).unwrap();
        self.0.flush().unwrap();
        self
    }

    /// Types a line and waits for an answer and the next prompt.
    #[track_caller]
    fn line(&mut self, line: &str, answer: &str) -> &mut Terminal {
        self.keys(line).keys("\r").sees(answer);
        self.sees("mba> ");
        self
    }

    fn control(&mut self, letter: char) -> &mut Terminal {
        self.0.send_control(letter).unwrap();
        self
    }

    #[track_caller]
    fn ends(mut self) {
        self.0.exp_eof().unwrap();
    }
}

#[test]
fn entry_of_several_lines_mistakes_and_recovery() {
    let room = Room::new();
    let mut t = Terminal::new(room.path(), &[]);
    t.line("mode a: 2, b: 2; 1", "1 = 1");
    // an open bracket goes on
    t.keys("data x[a, b] = [\r").keys("[1, 2],\r").keys("[3, 5]\r").line("]; x.total", "x.total = 11");
    t.keys("model m {\r").keys("[a] [b]\r").line("}; fit m to x", "fit m to x: closed form");
    // a mistake is shown where it is, and everything else is as it was
    t.line("fit m too x", "MBA001");
    t.line("modle k { [a] }", "did you mean `model`?");
    t.line("m.kx", "did you mean `kl`?");
    t.line(":explain", "MBA102");
    t.line("m.df", "m.df = 1");
    t.line("_ + 1", "_ + 1 = 2");
    t.line(":pln", "did you mean `:plan`?");
    // who wants out of an open bracket gets out
    t.keys("model k {\r\r").line("", "MBA002");
    t.line("m.df + 5", "m.df + 5 = 6");
    t.keys(":quit\r");
    t.ends();
}

#[test]
fn completion() {
    let room = Room::new();
    room.file("people.csv", "hair,eye,n\ndark,brown,60\ndark,blue,20\nfair,brown,15\nfair,blue,45\n");
    let mut t = Terminal::new(room.path(), &["--no-history"]);
    t.keys("mode hair, eye; data people[hair, eye] from \"peo\t").sees("people.csv");
    t.line("\" count n; people.total", "people.total = 140");
    t.line("model apart { bo\t(1) }; fit apart to people", "closed form");
    // a result by a part of its name
    t.keys("apart.parame\t").line("", "apart.parameters = 2");
    // what there is to choose from
    t.keys("apart.marginal(ha\t, ey\t)[hair: \t").sees("dark");
    t.sees("fair");
    t.keys("da\t").line("]", "brown");
    t.keys(":expl\t MBA30\t").sees("MBA301");
    t.line("1", "MBA301: interaction cannot be removed");
    t.control('d');
    t.ends();
    assert!(!room.path().join("state").exists(), "a history was kept");
}

#[test]
fn the_history_outlives_the_run() {
    let room = Room::new();
    let mut t = Terminal::new(room.path(), &[]);
    t.keys("model m {\r").line("}; 7 * 6", "7 * 6 = 42");
    t.line("40 + 2", "40 + 2 = 42");
    t.control('d');
    t.ends();
    let kept = room.read("state/mba/history");
    assert!(kept.contains("40 + 2") && kept.contains("model m {"), "{kept}");
    let up = "\u{1b}[A";
    let mut t = Terminal::new(room.path(), &[]);
    t.keys(up).sees("40 + 2");
    t.line("", "40 + 2 = 42");
    t.control('d');
    t.ends();
    // in a place of one's own
    let mut t = Terminal::new(room.path(), &["--history", "mine/inputs"]);
    t.line("1 + 1", "1 + 1 = 2");
    t.control('d');
    t.ends();
    assert!(room.read("mine/inputs").contains("1 + 1"));
}

#[test]
fn control_c_ends_a_fit_and_keeps_what_it_has() {
    let room = Room::new();
    room.file("t.mba", TABLE);
    let mut t = Terminal::new(room.path(), &["-i", "t.mba"]);
    // what is shown first says that the fit has begun, or is about to
    t.keys("x.total; fit m to x { tolerance 1e-300, max_sweeps 1000000000 }\r").sees("x.total = ");
    t.control('c').sees("INTERRUPTED after");
    t.sees("MBA511");
    t.sees("mba> ");
    t.line("m.status", "m.status = interrupted");
    t.line("fit m to x", "converged in");
    t.line("m.status", "m.status = converged");
    t.control('d');
    t.ends();
}

#[test]
fn control_c_at_the_prompt_clears_the_line() {
    let room = Room::new();
    for kind in ["xterm", "dumb"] {
        let mut t = Terminal::of_kind(kind, room.path(), &["--no-history"]);
        t.line("1", "1 = 1");
        t.keys("modle nonsense");
        // a dumb terminal drops the line by itself, shows no new prompt, and here does not echo
        if kind == "xterm" {
            t.sees("nonsense");
        }
        t.control('c');
        if kind == "xterm" {
            t.sees("mba> ");
        }
        let between = t.keys("1 + 1\r").sees("1 + 1 = 2");
        assert!(!between.contains("MBA"), "{between}");
        t.keys(":q\r");
        t.ends();
    }
}

#[test]
fn a_dumb_terminal_gets_plain_prompts() {
    let room = Room::new();
    room.file("t.mba", TABLE);
    let mut t = Terminal::of_kind("dumb", room.path(), &["-i", "t.mba"]);
    t.keys("fit m\r").sees("MBA001");
    t.keys("model k {\r").keys("[a] }\r").keys("fit m to x\r").sees("converged in");
    t.keys("m.df\r").sees("m.df = 8");
    t.control('d');
    t.ends();
}

#[test]
fn control_c_ends_reading_sums_and_estimates_and_the_session_goes_on() {
    let room = Room::new();
    room.file("long.csv", format!("a,b,n\n{}", "0,1,1\n".repeat(2_000_000)));
    let mut t = Terminal::new(room.path(), &["--no-history"]);
    t.line("mode a: 2, b: 2; data x[a, b] from \"long.csv\" count n; 1", "1 = 1");
    // what is shown first says that reading has begun, or is about to
    t.keys("40 + 2; x.total\r").sees("40 + 2 = 42");
    t.control('c').sees("MBA538");
    t.sees("mba> ");
    t.line("model m over a, b { [a b] = a * b }; m.log_z", "m.log_z = ");
    let wide = "model w { mode s[22, 22]: {-1, +1}; for (p, q) in neighbours(s) { [p q] = -p * q } }";
    t.line(&format!("{wide}; 40 + 4"), "40 + 4 = 44");
    t.keys("40 + 5; w.energy\r").sees("40 + 5 = 45");
    t.control('c').sees("MBA542");
    t.sees("mba> ");
    t.keys("40 + 3; estimate m by gibbs as g { sweeps 100000000; chains 1 }\r").sees("40 + 3 = 43");
    t.control('c').sees("MBA537");
    t.sees("mba> ");
    t.line("g.energy", "MBA101");
    t.line("estimate m by gibbs as g { sweeps 200 }; g.method", "g.method = ");
    t.control('d');
    t.ends();
}

// -------------------------------------------------------------------- through a pipe

fn piped(room: &Room, input: &str, arguments: &[&str]) -> Ran {
    let mut command = room.command(&[&["repl"], arguments].concat());
    Ran::of(command.write_stdin(input))
}

#[test]
fn a_pipe_has_no_prompts_and_a_status() {
    let room = Room::new();
    room.file("t.mba", TABLE);
    let ran = piped(&room, "1 + 1\nmodel m {\n\n\n[a] [b] [c] }\n_\n", &["-i", "t.mba"]).ends_with(0);
    assert_eq!(ran.out, "1 + 1 = 2\n_ = 2\n");
    assert_eq!(ran.err, "");
    let with = |input: &str| piped(&room, &format!("{TABLE}{input}"), &[]);
    assert_eq!(with("absent.df\nx.total\n").ends_with(3).says(&["MBA101"]).out, "x.total = 118\n");
    with("fit m to x { max_sweeps 1 }").ends_with(1).says(&["MBA510"]);
    with("test \"t\" { expect x.total == 1 }\nx.total").ends_with(1);
    with(":nothing\n1").ends_with(2).says(&["there is no command `:nothing`"]);
    with(":quit\nm.kx").ends_with(0);
    with("model k {").ends_with(3).says(&["MBA002"]);
    piped(&room, "", &[]).ends_with(0);
    piped(&room, "1", &["-i", "nowhere.mba"]).ends_with(3).says(&["nowhere.mba"]);
    piped(&room, "L", &["--set", "L=3"]).ends_with(3);
    let mut command = room.command(&["repl"]);
    Ran::of(command.write_stdin(&b"1\n\xff\n2\n"[..])).ends_with(2).says(&["UTF-8"]);
}

#[test]
fn a_pipe_can_be_asked_for_objects_and_for_echoes() {
    let room = Room::new();
    let input = format!("{TABLE}fit m to x\n_.df\nm.kx\n");
    let ran = piped(&room, &input, &["--format", "jsonl"]).ends_with(3);
    let objects = ran.objects();
    assert_eq!(objects[0]["status"], "converged");
    assert_eq!(*shown(&objects, "_.df"), 8);
    assert_eq!(diagnostics(&objects)[0]["code"], "MBA102");
    let ran = piped(&room, "(1 +\n1)\n", &["--echo"]).ends_with(0);
    assert_eq!(ran.out, "mba> (1 +\n  .. 1)\n(1 + 1) = 2\n");
}

#[test]
fn what_was_saved_runs() {
    let room = Room::new();
    room.file("in/t.mba", TABLE).file("in/x.csv", "a,n\n0,3\n1,4\n2,5\n");
    let input = "\
fit m to x
data y[a] from \"in/x.csv\" count n   # counted by hand
model one { [a] }
show m.df
param L = 3
:set L=4
test \"t\" { expect y.total == 12 and L == 4 }
m.kl
:save out/all
:save out/all.mba
:save! out/all.mba
";
    std::fs::create_dir(room.path().join("out")).unwrap();
    let ran = piped(&room, input, &["-i", "in/t.mba"]).ends_with(2).says(&["is there already"]);
    assert_eq!(ran.out.matches("saved out/all.mba").count(), 2);
    let program = room.read("out/all.mba");
    assert!(program.contains("from \"../in/x.csv\" count n  # counted by hand"), "{program}");
    let again = room.mba(&["run", "out/all.mba"]).ends_with(0);
    assert!(again.out.contains("m.df = 8") && again.out.contains("test \"t\" passed"), "{}", again.out);
    room.mba(&["fmt", "--check", "out/all.mba"]).ends_with(0);
}

/// A lattice, and a sweep of it.
const LATTICE: &str = "\
param J = 1.0
mode s[2, 2]: {-1, +1}
model m over s { for (a, b) in neighbours(s, periodic: true) { [a b] = -J * a * b } }
sweep m over temperature in 1.0 .. 2.0 by 0.5 as melt
";

#[test]
fn sums_and_sweeps_follow_what_is_declared() {
    let room = Room::new();
    let shown = |input: &str, what: &str| {
        let ran = piped(&room, &format!("{LATTICE}{input}{what}\n"), &["--format", "jsonl"]).ends_with(0);
        let last = ran.objects().into_iter().rfind(|o| o["show"] == what);
        last.unwrap_or_else(|| panic!("`{what}` is not shown: {}", ran.out))["value"].clone()
    };
    // a param that is declared again, or set, is the one that counts
    let (weak, strong) = (shown("", "m.log_z"), shown("param J = 2.0\n", "m.log_z"));
    assert_ne!(weak, strong);
    assert_eq!(shown("m.log_z\nparam J = 2.0\n", "m.log_z"), strong);
    assert_eq!(shown("m.log_z\n:set J=2.0\n", "m.log_z"), strong);
    assert_eq!(shown("m.log_z\nparam K = 1\n", "m.log_z"), weak);
    // a sweep stays as it was until it is asked for again
    let old = shown("", "melt.log_z");
    assert_eq!(shown("param J = 2.0\n", "melt.log_z"), old);
    let again = "sweep m over temperature in 1.0 .. 2.0 by 0.5 as melt\n";
    assert_ne!(shown(&format!("param J = 2.0\n{again}"), "melt.log_z"), old);
    assert_eq!(
        shown("sweep m over J in 1.0 .. 3.0 by 0.5 as melt\n", "melt.log_z").as_array().unwrap().len(),
        5
    );
    assert_eq!(
        shown("sweep m over J in 1.0 .. 3.0 by 0.5 as other\n", "_.log_z").as_array().unwrap().len(),
        5
    );
    let ran = piped(&room, &format!("{LATTICE}param J = 2.0\n:save kept.mba\n"), &[]).ends_with(0);
    assert!(ran.err.contains("MBA610") && ran.err.contains("`melt`"), "{}", ran.err);
    assert!(room.read("kept.mba").contains("# of an earlier `J`:\n# sweep m"), "{}", room.read("kept.mba"));
    // one name is one result
    let two = "sweep m over J in 1.0 .. 2.0 by 0.5 as melt; estimate m by bethe as melt\n";
    piped(&room, &format!("{LATTICE}{two}"), &[]).ends_with(3).says(&["MBA103"]);
    let fit = "mode d: 2; data y[d] = [3, 4]; model n { [d] }; fit n to y as melt\n";
    let ran = piped(&room, &format!("{LATTICE}{fit}melt.df\n"), &[]).ends_with(0);
    assert!(ran.out.contains("melt.df = 0"), "{}", ran.out);
}

#[test]
fn results_are_kept_and_loaded_at_the_prompt() {
    let room = Room::new();
    room.file("e.csv", "1,2\n3,4\n");
    let input = "\
mode a: 2, b: 2
data x[a, b] = [[3, 4], [5, 6]]; data r[a] = [1, 2]; data c[b] = [2, 1]
model k { [a] [b] }
model t { [a b] = table(\"e.csv\") }
fit k to x
balance x to margins(r, c) as B
estimate t by bethe as e
save k to \"k.npz\"; save B to \"B.npz\"; save e to \"e.npz\"
load \"k.npz\" as old
_.kl - k.kl
load \"B.npz\" as other
_.kl - B.kl
load \"e.npz\" as third
_.log_z - e.log_z
load \"nowhere.npz\" as old
old.df
load \"B.npz\" as old
old.kl - B.kl
:plan other
";
    std::fs::create_dir(room.path().join("out")).unwrap();
    let ran = piped(&room, &format!("{input}:save out/all.mba\n"), &[]).ends_with(3);
    for shown in [
        "_.kl - k.kl = 0\n",
        "_.kl - B.kl = 0\n",
        "_.log_z - e.log_z = 0\n",
        "old.df = 1\n",
        "old.kl - B.kl = 0\n",
    ] {
        assert!(ran.out.contains(shown), "no `{shown}` in\n{}\n{}", ran.out, ran.err);
    }
    ran.says(&["nowhere.npz", "`other` has no schedule"]);
    // files are named as the program has to name them
    let program = room.read("out/all.mba");
    assert!(
        program.contains("table(\"../e.csv\")") && program.contains("load \"../B.npz\" as old"),
        "{program}"
    );
    room.mba(&["run", "out/all.mba"]).ends_with(0);
}

#[test]
fn everything_that_can_be_asked_for_is_explained() {
    let room = Room::new();
    let input = format!("{LATTICE}estimate m by bethe as e\n");
    for (topic, words) in [
        ("e", &["estimate m by bethe as e", "e.magnetization", "`estimates`"][..]),
        ("melt", &["sweep m over temperature", "melt.heat_capacity"]),
        ("gibbs", &["each mode drawn in turn"]),
        ("newton", &["conjugate gradients"]),
        ("damping", &["old value"]),
        ("heat_capacity", &["e.heat_capacity", "m.heat_capacity"]),
        ("cut", &["B.cut"]),
        ("most_probable", &["most"]),
    ] {
        let ran = piped(&room, &format!("{input}:doc {topic}\n"), &[]).ends_with(0);
        for word in words {
            assert!(ran.out.contains(word), ":doc {topic}: no `{word}` in\n{}", ran.out);
        }
    }
}

#[test]
fn every_command_answers() {
    let room = Room::new();
    room.file("t.mba", format!("{TABLE}fit m to x\n"));
    let asks: &[(&str, &[&str])] = &[
        (":help", &[":plan", "Ctrl-C"]),
        (":?", &[":quit"]),
        (":help plan", &["schedule"]),
        (":help :plan", &["predicted cost"]),
        (":doc", &["chapters", "results of a fit", "kl"]),
        (":doc fits", &["marginal gap"]),
        (":doc m", &["body(2)"]),
        (":d kl", &["nats"]),
        (":explain MBA301", &["MBA301"]),
        (":info", &["modes", "fits", "sweeps"]),
        (":model", &["m"]),
        (":model m", &["model m { body(2) }", "[a b] [a c] [b c]", "df"]),
        (":type m", &["m: a fit to `x` over a 3 × b 3 × c 3 = 27"]),
        (":type m.kl", &["m.kl: a number"]),
        (":type m.theta", &["table"]),
        (":type compare(m)", &["with the columns model"]),
        (":shape", &["x: a 3 × b 3 × c 3 = 27"]),
        (":shape m.marginal(a, c)", &["a 3 × c 3 = 9"]),
        (":plan", &["fit m to x", "peak"]),
        (":plan m to x", &["peak"]),
        (":plan fit m to x as other", &["fit other to x"]),
        (":time m.df", &["m.df = 8", "s\n"]),
        (":set", &["seed = 0", "memory = 4 GiB"]),
        (":load t.mba", &["converged"]),
        (":reload", &["converged"]),
        (":reset", &[]),
    ];
    for (ask, answers) in asks {
        let ran = piped(&room, &format!("{ask}\n"), &["-i", "t.mba"]).ends_with(0);
        for answer in *answers {
            assert!(ran.out.contains(answer), "{ask}: no `{answer}` in\n{}", ran.out);
        }
    }
    let wrong: &[(&str, &str)] = &[
        (":plan k", "there is no fit `k`"),
        (":model k", "there is no model `k`"),
        (":shape m.kl", "no shape"),
        (":type", ":type f.marginal"),
        (":doc devience", "did you mean `deviance`?"),
        (":explain MBA999", "there is no code"),
        (":load", "which file?"),
        (":set x", "NAME=VALUE"),
        (":set K=1", "param K = 1"),
        (":set memory=lots", "number of bytes"),
        (":save x.txt", ".mba"),
        (":quit now", "takes nothing"),
        (":re", "`:reload` and `:reset`"),
    ];
    for (ask, answer) in wrong {
        piped(&room, &format!("{ask}\n"), &["-i", "t.mba"]).ends_with(2).says(&[answer]);
    }
    piped(&room, ":set memory=1\nfit m to x as n\n", &["-i", "t.mba"]).ends_with(3).says(&["MBA501"]);
}

#[test]
fn documentation_is_looked_up() {
    let room = Room::new();
    let doc = |words: &[&str]| room.mba(&[&["doc"], words].concat());
    assert!(doc(&[]).ends_with(0).out.contains("modules of the standard library"));
    assert!(doc(&["fit"]).ends_with(0).out.starts_with("Fits\n"));
    assert!(doc(&["templates", "and", "modules"]).ends_with(0).out.contains("use name"));
    assert!(doc(&["ising"]).ends_with(0).out.contains("two-level spins"));
    assert!(doc(&["chain"]).ends_with(0).out.contains("neighbouring modes"));
    assert!(doc(&["MBA301"]).ends_with(0).out.contains("What to do"));
    doc(&["devience"]).ends_with(2).says(&["did you mean `deviance`?"]);
    doc(&["xyzzy"]).ends_with(2).says(&["`mba doc` lists"]);
}
