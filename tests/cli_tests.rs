//! `mba test` as a person and a machine use it: kinds of failures, snapshots, reports.

mod cli_support;

use std::collections::BTreeMap;
use std::path::Path;

use cli_support::*;
use serde_json::Value as Json;

const GOOD: &str = "mode a: 2, b: 2
data x[a, b] = [[1, 2], [3, 4]]
model m { [a] [b] }
fit m to x
test \"good\" { expect m.df == 1; snapshot m.kl }
";

/// A fit that never reaches its tolerance.
const ENDLESS: &str = "mode a: 3, b: 3, c: 3
data x[a, b, c] = [[[1, 2, 3], [4, 5, 7], [1, 2, 9]], [[1, 2, 3], [4, 5, 7], [7, 2, 9]], [[1, 2, 3], [4, 1, 7], [1, 2, 9]]]
model m { body(2) }
model n { body(1) }
fit m to x as endless { tolerance 1e-300, max_sweeps 1000000000000 }
fit n to x
test \"never ends\" { expect endless.df == 8 }
test \"ends\" { expect n.df == 20 }
test \"inside\" { expect error MBA510 in \"mode a: 2, b: 2, c: 2\\ndata x[a, b, c] = [[[1, 2], [3, 4]], [[5, 6], [7, 9]]]\\nmodel m { body(2) }\\nfit m to x { tolerance 1e-300, max_sweeps 1000000000000 }\" }
";

fn examples() -> Room {
    let room = Room::new();
    copy(&package().join("examples"), room.path());
    room
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Every file below a folder with its bytes and its time of change.
fn tree(folder: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else if path.is_file() {
            let changed = std::fs::metadata(&path).unwrap().modified().unwrap();
            found.insert(path.to_string_lossy().into_owned(), (std::fs::read(&path).unwrap(), changed));
        }
    }
    found
}

fn answering(room: &Room, arguments: &[&str], answers: &str) -> Ran {
    Ran::of(room.command(arguments).write_stdin(answers))
}

/// The object of `--format json`, and how the command ended.
fn json(room: &Room, arguments: &[&str]) -> (Json, i32) {
    let ran = room.mba(&[&["test", "--format", "json"], arguments].concat());
    (serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}\n{}\n{}", ran.out, ran.err)), ran.status)
}

/// Tests by name, with the kinds of their failures.
fn kinds(report: &Json) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for file in report["files"].as_array().unwrap() {
        let own: Vec<String> =
            file["failures"].as_array().unwrap().iter().map(|f| f["kind"].as_str().unwrap().into()).collect();
        if !own.is_empty() {
            found.insert(file["file"].as_str().unwrap().into(), own);
        }
        for test in file["tests"].as_array().unwrap() {
            let list = test["kinds"].as_array().unwrap().iter().map(|k| k.as_str().unwrap().into()).collect();
            found.insert(test["test"].as_str().unwrap().into(), list);
        }
    }
    found
}

#[test]
fn the_examples_pass_and_agree_with_their_snapshots() {
    let room = examples();
    let before = tree(room.path());
    let ran = room.mba(&["test", "--check"]).ends_with(0);
    assert!(ran.out.contains("agree"), "{}", ran.out);
    assert!(!ran.out.contains("new"), "{}", ran.out);
    assert_eq!(before, tree(room.path()), "nothing is written");
    // in CI that is the default
    let ran = Ran::of(room.command(&["test"]).env("CI", "true")).ends_with(0);
    std::fs::remove_file(room.path().join("hair_eye.mba.snap")).unwrap();
    assert!(!ran.out.contains("FAILED"));
    Ran::of(room.command(&["test"]).env("CI", "true")).ends_with(1);
    Ran::of(room.command(&["test"]).env("CI", "false")).ends_with(0);
    room.mba(&["test"]).ends_with(0);
}

#[test]
fn the_report_is_the_same_for_any_number_of_threads_and_jobs() {
    let room = examples();
    room.file("wrong.mba", format!("{GOOD}test \"bad\" {{ expect m.df == 2 }}\n"));
    room.file("broken.mba", "test \"t\" { expect 1 == }\n");
    let without_time = |text: &str| {
        let lines = text.lines().filter(|l| !l.contains("\"seconds\""));
        lines.map(|l| l.split(" time=\"").next().unwrap().to_string()).collect::<Vec<_>>()
    };
    for format in ["human", "json", "junit"] {
        let with = |threads: &str, jobs: &str| {
            let ran =
                room.mba(&["test", "--format", format, "--threads", threads, "--jobs", jobs]).ends_with(3);
            (without_time(&ran.out), ran.err)
        };
        let one = with("1", "1");
        assert_eq!(one, with("2", "1"), "{format}");
        assert_eq!(one, with("2", "2"), "{format}");
        assert_eq!(one, with("1", "7"), "{format}");
    }
    // and so are the files that are written
    let written = |threads: &str| {
        let room = examples();
        std::fs::remove_file(room.path().join("hair_eye.mba.snap")).unwrap();
        room.mba(&["test", "--accept-new", "--threads", threads]).ends_with(0);
        room.read("hair_eye.mba.snap")
    };
    assert_eq!(written("1"), written("2"));
}

#[test]
fn one_changed_number_fails_readably_and_is_green_after_review() {
    let room = examples();
    // the counts of the classical tests would move as well: only the snapshot is looked at
    let program = room.read("hair_eye.mba").replace("    expect ", "    # expect ");
    room.file("hair_eye.mba", &program);
    let data = room.read("data/hair_eye_color.csv");
    let changed = data.replacen("\"Black\",\"Brown\",\"Male\",32", "\"Black\",\"Brown\",\"Male\",33", 1);
    assert_ne!(data, changed);
    room.file("data/hair_eye_color.csv", &changed);
    let ran = room.mba(&["test", "--check", "hair_eye.mba"]).ends_with(1);
    for words in [
        "moved value",
        "interaction [eye hair] moved at eye Brown, hair Black: 68 → 69 (+1)",
        "interaction [eye sex] moved at eye Brown, sex Male: 98 → 99 (+1)",
        "interaction [hair sex] moved at hair Black, sex Male: 56 → 57 (+1)",
        "total: 592 → 593 (+1)",
        "mba test --review",
    ] {
        assert!(ran.out.contains(words), "`{words}` is not in\n{}", ran.out);
    }
    let before = room.read("hair_eye.mba.snap");
    // no answer and a no change nothing
    for answers in ["", "n\n", "what\n"] {
        let ran = answering(&room, &["test", "--review", "hair_eye.mba"], answers).ends_with(1);
        assert!(ran.out.contains("1 of 1  hair_eye.mba:29:14"), "{}", ran.out);
        assert!(ran.out.contains("kept in hair_eye.mba.snap:3"), "{}", ran.out);
        assert_eq!(room.read("hair_eye.mba.snap"), before);
    }
    answering(&room, &["test", "--review", "hair_eye.mba"], "y\n").ends_with(0);
    room.mba(&["test", "--check", "hair_eye.mba"]).ends_with(0);
    let after = room.read("hair_eye.mba.snap");
    assert!(after.contains("total = 593.0\n"), "{after}");
    // what did not move stays as it was written
    let kept = |text: &str| {
        text.lines()
            .filter(|l| l.starts_with("mode ") || l.contains("[eye hair] at eye Blue"))
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(&before), kept(&after));
}

#[test]
fn an_interaction_that_does_not_move_is_not_named() {
    let room = Room::new();
    let program = |cells: &str| {
        format!(
            "mode a: 2, b: 2, c: 2\ndata x[a, b, c] = {cells}\nmodel m {{ [a b] [b c] }}\nfit m to x\ntest \"t\" {{ snapshot m }}\n"
        )
    };
    room.file("t.mba", program("[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]"));
    room.mba(&["test", "--accept-new"]).ends_with(0);
    // one from (0, 0, 0) to (1, 0, 0): the sums over b and c stay
    room.file("t.mba", program("[[[0, 2], [3, 4]], [[6, 6], [7, 8]]]"));
    let ran = room.mba(&["test"]).ends_with(1);
    assert!(
        ran.out.contains("interaction [a b] moved in 2 cells, most at a 0, b 0: 3 → 2 (-1)"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("[b c]"), "{}", ran.out);
}

#[test]
fn every_kind_of_result_has_snapshots() {
    let room = Room::new();
    let program = "param J = 1.0\n\
        mode s[2, 2]: {-1, +1}\n\
        model m over s { for (a, b) in neighbours(s, periodic: true) { [a b] = -J * a * b } }\n\
        sweep m over temperature in 1.0 .. 2.0 by 0.5 as melt\n\
        estimate m by bethe as e\n\
        estimate m by gibbs as g { sweeps 300 }\n\
        mode a: 2, b: 2\n\
        data x[a, b] = [[3, 4], [5, 6]]\n\
        data r[a] = [1, 2]\n\
        data c[b] = [2, 1]\n\
        balance x to margins(r, c) as B\n\
        test \"all\" {\n\
            snapshot melt\n\
            snapshot e\n\
            snapshot g within 1e-9 + 1%\n\
            snapshot m\n\
            snapshot g.marginal(s[0, 0])\n\
            snapshot B\n\
        }\n";
    room.file("t.mba", program);
    room.mba(&["test", "--accept-new"]).ends_with(0);
    let kept = room.read("t.mba.snap");
    for line in [
        "log_z = ",
        "energy.mean = ",
        "energy.error = ",
        "row 1 = [",
        "balanced at a 0 = [",
        "marginal [b] = ",
    ] {
        assert!(kept.contains(&format!("\n{line}")), "no `{line}` in\n{kept}");
    }
    // how it was found is nobody's business
    assert!(!kept.contains("\nsweeps") && !kept.contains("\nresidual"), "{kept}");
    for threads in ["1", "2"] {
        room.mba(&["test", "--check", "--threads", threads]).ends_with(0);
    }
    room.file("t.mba", program.replace("J = 1.0", "J = 1.1").replace("[5, 6]", "[5, 7]"));
    let ran = room.mba(&["test", "--check"]).ends_with(1);
    for words in [
        "`melt` has moved",
        "`e` has moved",
        "note: energy.mean: ",
        "`m` has moved",
        "`B` has moved",
        "row 1 moved",
    ] {
        assert!(ran.out.contains(words), "no `{words}` in\n{}", ran.out);
    }
    assert_eq!(room.read("t.mba.snap"), kept);
}

#[test]
fn kinds_of_failures_are_kept_apart() {
    let room = Room::new();
    room.file("good.mba", GOOD);
    room.mba(&["test", "--accept-new"]).ends_with(0);
    room.file("good.mba.snap", room.read("good.mba.snap").replace("0.0040", "0.0050"));
    room.file(
        "kinds.mba",
        "mode a: 3, b: 3, c: 3
data x[a, b, c] = [[[1, 2, 3], [4, 5, 7], [1, 2, 9]], [[1, 2, 3], [4, 5, 7], [7, 2, 9]], [[1, 2, 3], [4, 1, 7], [1, 2, 9]]]
mode u: 2
data y[u] = [1, -1]
model m { body(2) }
model n { body(1) }
model o { [u] }
fit m to x as stopped { max_sweeps 2 }
fit n to x as doubtful { tolerance 1e-300 }
fit n to x as fine
fit o to y as bad
test \"expectation\" { expect fine.df == 21 }
test \"convergence\" { expect stopped.df == 8 }
test \"certificate\" { expect doubtful.df == 20 }
test \"data\" { expect bad.df == 0 }
test \"diagnostic\" { expect error MBA201 in \"mode a: 2\\ndata x[a] = [1, 2, 3]\" }
test \"another diagnostic\" { expect error MBA201 in \"mode a: 2\\ndata x[a] = [1, 2]\" }
test \"passes\" { expect fine.df == 20 }
",
    );
    room.file("broken.mba", "mode a: 2\ntest \"t\" { expect nothing.df == 1 }\n");
    let (report, status) = json(&room, &[]);
    assert_eq!(status, 3);
    let kinds = kinds(&report);
    for (test, expected) in [
        ("good", "moved value"),
        ("expectation", "broken expectation"),
        ("convergence", "not converged"),
        ("certificate", "certificate failed"),
        ("data", "not computed"),
        ("another diagnostic", "broken expectation"),
        ("broken.mba", "does not check"),
    ] {
        assert_eq!(kinds[test], [expected], "{test}");
    }
    for test in ["diagnostic", "passes"] {
        assert!(kinds[test].is_empty(), "{test}");
    }
    assert_eq!(report["kinds"]["broken expectation"], 2);
    assert_eq!((&report["passed"], &report["failed"], &report["not_run"]), (&2.into(), &6.into(), &1.into()));
    // the reason is told with the first test that needs it
    let out = room.mba(&["test", "--filter", "data"]).ends_with(1).out;
    assert!(out.contains("MBA410") && out.contains("not computed"), "{out}");
}

#[test]
fn exit_statuses() {
    let room = Room::new();
    room.mba(&["test"]).ends_with(4).says(&["no programs"]);
    room.file("part.mba", "model pairs() { body(2) }\n");
    room.mba(&["test"]).ends_with(4).says(&["no program here has a test"]);
    room.file("good.mba", GOOD);
    room.mba(&["test"]).ends_with(0);
    room.mba(&["test", "--filter", "nosuch"]).ends_with(4);
    room.mba(&["test", "--filter", "nosuch", "--filter", "good.mba: go"]).ends_with(0);
    room.mba(&["test", "--list", "--filter", "nosuch"]).ends_with(4);
    room.mba(&["test", "--check"]).ends_with(1);
    room.mba(&["test", "nosuch"]).ends_with(3).says(&["nosuch"]);
    for wrong in [
        &["test", "--check", "--accept"][..],
        &["test", "--time-limit", "soon"],
        &["test", "--jobs", "0"],
        &["test", "--review", "--format", "json"],
    ] {
        room.mba(wrong).ends_with(2);
    }
}

#[test]
fn tests_are_listed_and_filtered() {
    let room = Room::new();
    room.file("b/two.mba", GOOD.replace("\"good\"", "\"second\""));
    room.file("a.mba", format!("{GOOD}test \"more\" {{ expect m.df == 1 }}\n"));
    room.file(".hidden/c.mba", GOOD);
    assert_eq!(
        room.mba(&["test", "--list"]).ends_with(0).out,
        "a.mba: good\na.mba: more\nb/two.mba: second\n"
    );
    assert_eq!(
        room.mba(&["test", "--list", "b", "a.mba"]).ends_with(0).out,
        "b/two.mba: second\na.mba: good\na.mba: more\n"
    );
    let ran = room.mba(&["test", "--filter", "more"]).ends_with(0);
    assert!(
        ran.out.contains("more") && !ran.out.contains("good") && !ran.out.contains("second"),
        "{}",
        ran.out
    );
    let list: Json = serde_json::from_str(&room.mba(&["test", "--list", "--format", "json"]).out).unwrap();
    assert_eq!(list[2]["test"], "second");
}

#[test]
fn each_mishap_is_a_failure_of_that_test_only() {
    let room = Room::new();
    room.file("good.mba", GOOD);
    room.mba(&["test", "--accept-new"]).ends_with(0);
    room.file("endless.mba", ENDLESS);
    room.file("twice.mba", GOOD.replace("fit m", "model m { [a] }\nfit m"));
    room.file(
        "missing.mba",
        format!("{GOOD}mode c\ndata y[c] from \"nosuch.csv\"\nmodel w {{ [c] }}\nfit w to y\ntest \"needs a file\" {{ expect w.df == 0 }}\n")
            .replace("\"good\"", "\"needs none\""),
    );
    room.file("bytes.mba", b"test \"\xff\xfe\" {}\n");
    room.file(
        "damaged.mba",
        format!("{GOOD}test \"other\" {{ snapshot m.df }}\n").replace("\"good\"", "\"hurt\""),
    );
    room.mba(&["test", "--accept-new", "damaged.mba"]).ends_with(0);
    let whole = room.read("damaged.mba.snap");
    room.file("damaged.mba.snap", whole.replace("value = 0.004", "value is 0.004"));
    let before = tree(room.path());
    let (report, status) = json(&room, &["--time-limit", "1s"]);
    assert_eq!(status, 3);
    assert_eq!(before, tree(room.path()));
    let kinds = kinds(&report);
    for (test, expected) in [
        ("never ends", "time limit"),
        ("inside", "time limit"),
        ("twice.mba", "does not check"),
        ("missing.mba", "does not check"),
        ("bytes.mba", "does not check"),
        ("hurt", "damaged snapshot"),
    ] {
        assert_eq!(kinds[test], [expected], "{test}: {report:#}");
    }
    for test in ["good", "ends", "needs none", "other"] {
        assert!(kinds[test].is_empty(), "{test}");
    }
    assert_eq!(report["not_run"], 2);
    // the damaged entry can be written anew, the other stays as it is
    room.mba(&["test", "--accept", "damaged.mba"]).ends_with(0);
    assert_eq!(room.read("damaged.mba.snap"), whole);
    // no snapshot of a fit that did not end is kept
    let program = ENDLESS.replace("expect endless.df == 8", "snapshot endless").replace("1000000000000", "3");
    room.file("endless.mba", program);
    room.mba(&["test", "--accept", "endless.mba"]).ends_with(1);
    assert!(!room.path().join("endless.mba.snap").exists());
}

/// A program that waits for data that never come cannot be asked to end.
#[cfg(unix)]
#[test]
fn a_test_that_does_not_listen_is_given_up() {
    let room = Room::new();
    let made = std::process::Command::new("mkfifo").arg(room.path().join("pipe.csv")).status();
    assert!(made.unwrap().success());
    room.file("good.mba", GOOD);
    room.file("pipe.mba", "mode a\ndata x[a] from \"pipe.csv\"\nmodel m { [a] }\nfit m to x\ntest \"hangs\" { expect m.df == 0 }\n");
    // levels are declared, so that the pipe is read by the test and not before it
    room.file(
        "late.mba",
        "mode a: 2, b: 2\ndata y[b] = [1, 2]\nmodel n { [b] }\nfit n to y\ntest \"before\" { expect n.df == 0 }\ntest \"after\" { expect n.df == 0 }\n",
    );
    for jobs in ["1", "3"] {
        let (report, status) = json(&room, &["--time-limit", "300ms", "--jobs", jobs]);
        assert_eq!(status, 1);
        let kinds = kinds(&report);
        assert_eq!(kinds["pipe.mba"], ["time limit"]);
        assert!(kinds["good"].is_empty() && kinds["before"].is_empty() && kinds["after"].is_empty());
        assert_eq!(report["not_run"], 1);
    }
}

/// A worker that was given up and comes back takes nothing away from the others.
#[cfg(unix)]
#[test]
fn who_was_given_up_does_not_come_back() {
    let room = Room::new();
    for name in ["1", "2"] {
        let pipe = room.path().join(format!("{name}.csv"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        room.file(
            &format!("{name}.mba"),
            format!("mode a\ndata x[a] from \"{name}.csv\"\nmodel m {{ [a] }}\nfit m to x\ntest \"hangs\" {{ expect m.df == 0 }}\n"),
        );
    }
    room.file("good.mba", GOOD);
    let first = room.path().join("1.csv");
    // the first pipe gets its data while the second one is waited for
    let writer = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(3200));
        std::fs::write(first, "a\nx\ny\n")
    });
    let (report, _) = json(&room, &["--time-limit", "100ms", "--jobs", "1"]);
    writer.join().unwrap().unwrap();
    let kinds = kinds(&report);
    assert_eq!((&kinds["1.mba"], &kinds["2.mba"]), (&vec!["time limit".into()], &vec!["time limit".into()]));
    assert!(kinds["good"].is_empty());
}

#[test]
fn snapshots_are_written_removed_and_never_lost() {
    let room = Room::new();
    room.file("t.mba", GOOD);
    let ran = room.mba(&["test"]).ends_with(0);
    assert!(ran.out.contains("1 new snapshot") && ran.out.contains("--accept-new"), "{}", ran.out);
    assert!(!room.path().join("t.mba.snap").exists());
    room.mba(&["test", "--accept-new"]).ends_with(0);
    let first = room.read("t.mba.snap");
    assert_eq!(first, "mba snapshots 1\n\n=== \"good\" / \"m.kl\"\nvalue = 0.00402174323048\n");
    // what agrees is not written again, down to comments and digits
    let by_hand = first.replace("value = 0.00402174323048", "# by hand\nvalue = 0.00402174");
    room.file("t.mba.snap", &by_hand);
    room.file("t.mba", format!("{GOOD}test \"more\" {{ snapshot m.df }}\n"));
    room.mba(&["test", "--accept"]).ends_with(0);
    let both = room.read("t.mba.snap");
    assert_eq!(both, format!("{by_hand}\n=== \"more\" / \"m.df\"\nvalue = 1\n"));
    // --accept-new leaves what has moved
    room.file("t.mba.snap", both.replace("value = 1\n", "value = 2\n"));
    room.mba(&["test", "--accept-new"]).ends_with(1);
    assert!(room.read("t.mba.snap").contains("value = 2\n"));
    room.mba(&["test", "--accept"]).ends_with(0);
    assert_eq!(room.read("t.mba.snap"), both);
    // a renamed test: new under one name, taken by nobody under the other
    room.file("t.mba", GOOD.replace("\"good\"", "\"renamed\""));
    let ran = room.mba(&["test", "--check"]).ends_with(1);
    for words in ["missing snapshot", "unreferenced snapshot", "t.mba.snap:3", "MBA624", "MBA625"] {
        assert!(ran.out.contains(words), "`{words}` is not in\n{}", ran.out);
    }
    room.mba(&["test"]).ends_with(0);
    // yes to the new one, no to the removal of the first, yes to that of the second
    answering(&room, &["test", "--review"], "y\nn\ny\n").ends_with(0);
    let text = room.read("t.mba.snap");
    assert!(
        text.contains("\"renamed\"") && text.contains("\"good\"") && !text.contains("\"more\""),
        "{text}"
    );
    answering(&room, &["test", "--review"], "a\n").ends_with(0);
    assert!(!room.read("t.mba.snap").contains("\"good\""));
    // the last snapshot takes the file with it
    room.file("t.mba", GOOD.replace("snapshot m.kl", ""));
    room.mba(&["test", "--accept"]).ends_with(0);
    assert!(!room.path().join("t.mba.snap").exists());
    // a program that is gone leaves its snapshots to nobody
    room.file("gone.mba.snap", &first);
    room.mba(&["test"]).ends_with(0);
    room.mba(&["test", "--check"]).ends_with(1);
    room.mba(&["test", "--filter", "good"]).ends_with(0);
}

#[test]
fn a_file_that_is_not_ours_is_never_written_over() {
    let room = Room::new();
    room.file("t.mba", GOOD);
    for text in ["notes of mine\n", "mba snapshots 9\n\nwhatever\n"] {
        room.file("t.mba.snap", text);
        let ran = room.mba(&["test", "--accept"]).ends_with(1);
        assert!(ran.out.contains("MBA605"), "{}", ran.out);
        assert_eq!(room.read("t.mba.snap"), text);
    }
    // the mark of a merge damages its entry; the rest can be kept anew
    room.file("t.mba.snap", "mba snapshots 1\n\n<<<<<<< ours\n=== \"good\" / \"m.kl\"\nvalue = 0.5\n");
    let ran = room.mba(&["test"]).ends_with(1);
    assert!(ran.out.contains("merge"), "{}", ran.out);
    room.mba(&["test", "--accept"]).ends_with(0);
    room.mba(&["test", "--check"]).ends_with(0);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_to_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    room.file("locked/t.mba", GOOD);
    let folder = room.path().join("locked");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(folder.join("probe"), "").is_ok() {
        eprintln!("skipped: this user may write anywhere");
        std::fs::remove_file(folder.join("probe")).unwrap();
    } else {
        let ran = room.mba(&["test", "--accept-new"]).ends_with(1);
        assert!(ran.out.contains("MBA430"), "{}", ran.out);
    }
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn tests_write_nothing() {
    let room = Room::new();
    let inner = GOOD.lines().take(4).collect::<Vec<_>>().join("\\n");
    room.file(
        "t.mba",
        format!(
            "{GOOD}save m.fitted to \"out.npy\"\ntest \"inner\" {{ expect error MBA430 in \"{inner}\\nsave m.fitted to \\\"nosuch/x.npy\\\"\" }}\n\
             test \"writes\" {{ expect error MBA430 in \"{inner}\\nsave m.fitted to \\\"x.npy\\\"\" }}\n"
        ),
    );
    let ran = room.mba(&["test"]).ends_with(1);
    assert!(ran.out.contains("passed  inner") && ran.out.contains("FAILED  writes"), "{}", ran.out);
    assert_eq!(tree(room.path()).len(), 1);
}

#[test]
fn reports_are_read_by_somebody_elses_parser() {
    let room = Room::new();
    room.file("good.mba", GOOD);
    room.file("bad.mba", format!("{GOOD}test \"<&> \\u{{7}} \\\"quoted\\\"\" {{ expect m.df == 2 }}\n"));
    room.file("broken.mba", "test \"skipped\" { expect nothing.df == 1 }\n");
    room.file("endless.mba", ENDLESS);
    let ran = room.mba(&["test", "--format", "junit", "--time-limit", "1s"]).ends_with(3);
    let report = junit_parser::from_reader(std::io::Cursor::new(ran.out.as_bytes())).unwrap();
    assert_eq!(report.suites.len(), 4);
    let cases: Vec<_> = report.suites.iter().flat_map(|s| &s.cases).collect();
    assert_eq!(report.tests as usize, cases.len());
    let status =
        |name: &str| &cases.iter().find(|c| c.name.contains(name)).unwrap_or_else(|| panic!("{name}")).status;
    assert!(status("good").is_success());
    assert!(status("<&>").is_failure());
    assert!(status("never ends").is_error());
    assert!(status("(program)").is_error());
    assert!(status("skipped").is_skipped());
    assert!(
        ran.out.contains("MBA601") && ran.out.contains("MBA621") && ran.out.contains("MBA101"),
        "{}",
        ran.out
    );
}

#[test]
fn run_still_runs_tests_and_compares() {
    let room = examples();
    room.mba(&["run", "hair_eye.mba"]).ends_with(0);
    let text = room.read("hair_eye.mba.snap").replace("kl = 0.0057", "kl = 0.0058");
    room.file("hair_eye.mba.snap", text);
    room.mba(&["run", "hair_eye.mba"]).ends_with(1).says(&["MBA604", "kl: 0.0058"]);
}

/// A test runs what it looks at and what that looks at: the fit below a sweep, and the proposal of a chain.
#[test]
fn tests_run_what_their_results_are_made_of() {
    let room = Room::new();
    room.file(
        "deep.mba",
        "mode s[3]: {-1, +1}\n\
         model magnet { for (a, b) in neighbours(s) { [a b] = -0.5 * a * b } }\n\
         data spins[s] = sample(magnet, 400, seed: 1)\n\
         model pairs { for (a, b) in neighbours(s) { [a b] } }\n\
         fit pairs to spins as f\n\
         sweep f over temperature in 1 .. 2 by 0.5 as melt\n\
         fit pairs to spins as unused { max_sweeps 1 }\n\
         test \"of a sweep\" { snapshot melt.energy }\n",
    );
    room.mba(&["test", "--accept-new", "deep.mba"]).ends_with(0);
    let kept = room.read("deep.mba.snap");
    assert!(kept.contains("row 3") && !kept.contains("row 1 = [1.0]\n"), "{kept}");
    room.mba(&["test", "--check", "deep.mba"]).ends_with(0);
}
