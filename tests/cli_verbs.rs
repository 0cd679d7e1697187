//! The verbs, their options, their output in each form, their exit status.

mod cli_support;

use cli_support::*;
use serde_json::{Value as Json, json};

const PROGRAM: &str = "mode a: 2, b: {x, y}
data t[a, b] = [[1, 2], [3, 4]]
model m { [a] [b] }
fit m to t
";

fn keys(object: &Json) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_object_has_the_shape_of_the_protocol() {
    let room = Room::new();
    let program = format!(
        "{PROGRAM}show m.fitted, m.kl, m.df, compare(m), m.certificate, m.status, m.p_value, 1 > 2, 1 / 0, m.sample(3)
save m.fitted to \"out.npy\"
mode idle: 2
show m.marginal( a )
test \"fails\" {{ expect m.kl == 0 }}
test \"passes\" {{ expect m.df == 1 }}
"
    );
    let ran = room.run(&program, &["--format", "jsonl"]).ends_with(1);
    assert!(ran.err.is_empty(), "{}", ran.err);
    let objects = ran.objects();
    for object in &objects {
        match keys(object).as_slice() {
            ["diagnostic"] => {
                let wanted = ["code", "severity", "message", "file", "line", "column", "help"];
                assert_eq!(keys(&object["diagnostic"])[..7], wanted);
                assert_eq!(object["diagnostic"]["code"], "MBA120");
                assert_eq!(object["diagnostic"]["severity"], "warning");
                assert_eq!(object["diagnostic"]["file"], "t.mba");
                assert_eq!(object["diagnostic"]["line"], 7);
                assert_eq!(object["diagnostic"]["column"], 6);
            }
            ["fit", rest @ ..] => {
                assert_eq!(rest, ["status", "iterations", "kl", "certificate", "seconds"]);
                assert_eq!(keys(&object["certificate"]), ["marginal_gap", "optimality_gap"]);
                assert!(object["seconds"].is_number());
            }
            ["show", rest @ ..] => assert_eq!(rest, ["value"]),
            ["test", rest @ ..] => {
                assert_eq!(rest[..2], ["status", "failures"]);
                let failed = object["test"] == "fails";
                assert_eq!(object["status"], if failed { "failed" } else { "passed" });
                assert_eq!(object["failures"].as_array().unwrap().len(), usize::from(failed));
            }
            ["saved"] => assert_eq!(object["saved"], "out.npy"),
            other => panic!("an object of unknown shape: {other:?}"),
        }
    }
    let fitted = shown(&objects, "m.fitted");
    assert_eq!(fitted, &json!([[1.2, 1.7999999999999998], [2.8, 4.2]]), "arrays are nested lists");
    assert_eq!(shown(&objects, "m.df"), 1);
    assert_eq!(shown(&objects, "1 / 0"), &Json::Null, "what is not finite is null");
    assert_eq!(shown(&objects, "1 > 2"), false);
    assert_eq!(shown(&objects, "m.status"), "closed_form");
    assert_eq!(
        keys(&shown(&objects, "compare(m)")[0])[..],
        ["model", "parameters", "kl", "deviance", "df", "p_value", "aic", "bic", "tests"]
    );
    assert!(shown(&objects, "m.marginal(a)").is_array(), "expressions are shown as `fmt` prints them");
    // all digits come back
    let x = number(&objects, "m.kl");
    assert!(ran.out.contains(&format!("\"value\":{x:?}")), "{x:?}");
    // `json` is the same objects in one array
    let array: Json =
        serde_json::from_str(&room.run(&program, &["--format", "json"]).ends_with(1).out).unwrap();
    let strip = |o: &Json| timeless(&o.to_string());
    let one: Vec<String> = array.as_array().unwrap().iter().map(strip).collect();
    let other: Vec<String> = objects.iter().map(strip).collect();
    assert_eq!(one, other);
}

#[test]
fn columns_count_characters() {
    let room = Room::new();
    let objects = room.objects("mode α: 2\ndata δδ[α, γ] = [1, 2]\n", &[]);
    let found = diagnostics(&objects);
    assert_eq!((&found[0]["line"], &found[0]["column"]), (&json!(2), &json!(12)), "{found:#?}");
}

#[test]
fn params_are_set_from_outside() {
    let room = Room::new();
    let program = "param L = 2, k = L + 1\nmode a: L\nmodel m { [a] = k * a }\ndata x[a] = sample(m, 100, seed: 3)\nmodel f { [a] }\nfit f to x\nshow L, k, f.df, f.cells\n";
    let plain = room.objects(program, &[]);
    assert_eq!((number(&plain, "L"), number(&plain, "k")), (2.0, 3.0));
    let set = room.objects(program, &["--set", "L=5", "--set", "k = L * 2"]);
    assert_eq!((number(&set, "L"), number(&set, "k"), shown(&set, "f.cells")), (5.0, 10.0, &json!(5)));
    room.run(program, &["--set", "M=5"]).ends_with(3).says(&["MBA104", "`L`"]);
    room.run(program, &["--set", "L"]).ends_with(2);
    let wrong = room.run(program, &["--set", "L=abc"]).ends_with(3).says(&["`abc`"]);
    assert!(wrong.err.contains("1 error"), "one report: {}", wrong.err);
}

#[test]
fn colour_is_for_terminals_or_on_request() {
    let room = Room::new();
    room.file("t.mba", format!("{PROGRAM}mode idle: 2\nshow compare(m, m)\n"));
    let plain = room.mba(&["run", "t.mba"]).ends_with(0);
    assert!(!plain.out.contains('\x1b') && !plain.err.contains('\x1b'));
    let colour = room.mba(&["run", "t.mba", "--color", "always"]).ends_with(0);
    assert!(colour.out.contains('\x1b') && colour.err.contains('\x1b'));
    let none = Ran::of(room.command(&["run", "t.mba"]).env("NO_COLOR", "1")).ends_with(0);
    assert_eq!((none.out, none.err), (plain.out, plain.err));
    let jsonl = room.mba(&["run", "t.mba", "--color", "always", "--format", "jsonl"]).ends_with(0);
    assert!(!jsonl.out.contains('\x1b'));
}

#[test]
fn programs_and_data_from_standard_input() {
    let room = Room::new();
    let program = format!("{PROGRAM}show m.kl");
    let from_file = room.run(&program, &["--format", "jsonl"]).ends_with(0);
    let piped = Ran::of(room.command(&["run", "-", "--format", "jsonl"]).write_stdin(program)).ends_with(0);
    assert_eq!(timeless(&from_file.out), timeless(&piped.out));
    room.file(
        "d.mba",
        "mode a, b\ndata t[a, b] from \"-\" count n\nmodel m { [a] [b] }\nfit m to t\nshow m.kl, m.df\n",
    );
    let csv = "a,b,n\n0,x,1\n0,y,2\n1,x,3\n1,y,4\n";
    let data = Ran::of(room.command(&["run", "d.mba", "--format", "jsonl"]).write_stdin(csv));
    let objects = data.ends_with(0).objects();
    assert!((number(&objects, "m.kl") - number(&from_file.objects(), "m.kl")).abs() < 1e-15);
    Ran::of(room.command(&["run", "d.mba"]).write_stdin("")).ends_with(3).says(&["MBA403"]);
}

#[test]
fn what_is_saved_comes_back_and_is_never_half_written() {
    let room = Room::new();
    let saves = "save m.fitted to \"f.npy\"\nsave m.fitted to \"f.csv\"\nsave m.fitted to \"f.json\"\nsave compare(m) to \"c.json\"\n";
    let ran = room.run(&format!("{PROGRAM}{saves}"), &[]).ends_with(0);
    assert!(ran.out.contains("saved f.npy"));
    let array: ndarray::Array2<f64> = ndarray_npy::read_npy(room.path().join("f.npy")).unwrap();
    let json: Json = serde_json::from_str(&room.read("f.json")).unwrap();
    for (i, row) in array.rows().into_iter().enumerate() {
        for (j, x) in row.iter().enumerate() {
            assert!((x - [[1.2, 1.8], [2.8, 4.2]][i][j]).abs() < 1e-12);
            assert_eq!(json[i][j].as_f64(), Some(*x));
        }
    }
    assert!(serde_json::from_str::<Json>(&room.read("c.json")).unwrap()[0]["kl"].is_number());
    // a saved table is data again
    let head = room.read("f.csv").lines().next().unwrap().to_string();
    let value = head.split(',').next_back().unwrap();
    let again = room.objects(
        &format!("mode a: 2, b: {{x, y}}\ndata t[a, b] from \"f.csv\" sum {value}\nmodel m {{ [a] [b] }}\nfit m to t\nshow m.kl"),
        &[],
    );
    assert!(number(&again, "m.kl").abs() < 1e-14);
    // nothing but the files asked for is left behind
    let mut names: Vec<String> = std::fs::read_dir(room.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["c.json", "f.csv", "f.json", "f.npy", "t.mba"]);
    // where nothing can be written, what was there stays
    let old = room.read("f.json");
    std::fs::create_dir(room.path().join("folder.json")).unwrap();
    for path in ["absent/f.json", "folder.json", "f.json/below.json"] {
        let ran = room
            .run(&format!("{PROGRAM}save m.fitted to \"{path}\"\nshow m.df"), &[])
            .ends_with(1)
            .says(&["MBA430"]);
        assert!(ran.out.contains("m.df = 1"), "the rest still runs: {}", ran.out);
        assert!(!ran.err.contains(".mba-"), "no name that changes from run to run: {}", ran.err);
    }
    assert_eq!(room.read("f.json"), old);
    room.run(&format!("{PROGRAM}save m.fitted to \"f.pdf\""), &[]).ends_with(3).says(&["MBA409"]);
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_read_only_keeps_its_files() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    room.file("locked/f.json", "old");
    let locked = room.path().join("locked");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    let bound = std::fs::write(locked.join("probe"), "").is_err();
    let ran = room.run(&format!("{PROGRAM}save m.fitted to \"locked/f.json\""), &[]);
    if bound {
        ran.ends_with(1).says(&["MBA430"]);
        assert_eq!(room.read("locked/f.json"), "old");
    } else {
        // the superuser writes everywhere
        ran.ends_with(0);
    }
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let room = Room::new();
    let mut program = PROGRAM.to_string();
    for i in 0..3000 {
        program.push_str(&format!("show m.fitted, {i}\n"));
    }
    room.file("t.mba", program);
    for format in ["text", "jsonl", "json"] {
        let script = format!("set -o pipefail; \"$0\" run t.mba --format {format} | head -1 > /dev/null");
        let mut command = assert_cmd::Command::new("bash");
        let binary = assert_cmd::cargo::cargo_bin("mba");
        command.current_dir(room.path()).args(["-c", &script]).arg(binary);
        let ran = Ran::of(&mut command).ends_with(0);
        assert!(ran.err.is_empty(), "{format}: {}", ran.err);
    }
}

#[test]
fn usage() {
    let room = Room::new();
    room.file("t.mba", PROGRAM);
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["run"],
        &["run", "t.mba", "--threads", "0"],
        &["run", "t.mba", "--threads", "many"],
        &["run", "t.mba", "--memory", "lots"],
        &["run", "t.mba", "--seed", "-1"],
        &["run", "t.mba", "--format", "xml"],
        &["run", "t.mba", "extra"],
        &["run", "t.mba", "--nonsense"],
        &["explain", "MBA999"],
        &["plan", "t.mba", "--fit", "nobody"],
    ] {
        let ran = room.mba(arguments).ends_with(2);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{arguments:?}: {ran:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"], &["explain"]] {
        let ran = room.mba(arguments).ends_with(0);
        assert!(!ran.out.is_empty() && ran.err.is_empty(), "{arguments:?}: {ran:?}");
    }
    for verb in ["run", "check", "plan", "info", "fmt"] {
        room.mba(&[verb, "absent.mba"]).ends_with(3).says(&["absent.mba"]);
        room.mba(&[verb, "t.mba"]).ends_with(0);
    }
    room.file("bytes.mba", b"mode a: \xff\xfe\n").mba(&["run", "bytes.mba"]).ends_with(3).says(&["UTF-8"]);
}

#[test]
fn check_and_plan_and_info_read_no_cell() {
    let room = Room::new();
    room.array("x.npy", &[2, 2], &[f64::NAN; 4]);
    room.file("t.mba", "mode a: 2, b as_is\n");
    room.mba(&["check", "t.mba"]).ends_with(3);
    room.file(
        "t.mba",
        "mode a: 2, b: 2\ndata x[a, b] from \"x.npy\"\nmodel m { [a] [b] }\nfit m to x\nshow m.kl\n",
    );
    let ran = room.mba(&["check", "t.mba"]).ends_with(0);
    assert_eq!(ran.out, "t.mba: nothing wrong; 1 fit planned\n");
    room.mba(&["plan", "t.mba"]).ends_with(0);
    let info = room.mba(&["info", "t.mba"]).ends_with(0);
    for word in ["modes", "x", "2 × 2", "[a] [b]", "closed form"] {
        assert!(info.out.contains(word), "{word}: {}", info.out);
    }
    let object: Json =
        serde_json::from_str(&room.mba(&["info", "t.mba", "--format", "json"]).ends_with(0).out)
            .expect("JSON");
    assert_eq!(object["modes"][0]["mode"], "a");
    // a column that is bound by a match of another case is shown
    room.file("x.csv", "Hair,EYE,n\nx,y,1\n");
    room.file("c.mba", "mode hair, eye\ndata x[hair, eye] from \"x.csv\" count n\n");
    let info = room.mba(&["info", "c.mba"]).ends_with(0);
    assert!(info.out.contains("Hair") && info.out.contains("EYE"), "{}", info.out);
}

#[test]
fn fmt_keeps_meaning_and_settles() {
    let room = Room::new();
    let untidy =
        "mode a:2,b : {x,y}   # modes\ndata t[a,b]=[[1,2],[3,4]]\nmodel m{[a] [b]}\nfit m to t\nshow m.kl\n";
    room.file("t.mba", untidy);
    let before = timeless(&room.mba(&["run", "t.mba", "--format", "jsonl"]).ends_with(0).out);
    room.mba(&["fmt", "--check", "t.mba"]).ends_with(1);
    assert_eq!(room.read("t.mba"), untidy, "--check changes nothing");
    room.mba(&["fmt", "t.mba"]).ends_with(0);
    let tidy = room.read("t.mba");
    assert!(tidy != untidy && tidy.contains("# modes"));
    room.mba(&["fmt", "--check", "t.mba"]).ends_with(0);
    assert_eq!(timeless(&room.mba(&["run", "t.mba", "--format", "jsonl"]).ends_with(0).out), before);
    let piped = Ran::of(room.command(&["fmt", "-"]).write_stdin(untidy)).ends_with(0);
    assert_eq!(piped.out, tidy);
    // folders, and what cannot be read
    room.file("deep/er/u.mba", untidy).file("deep/broken.mba", "mode a: (\n").file("deep/other.txt", "x");
    room.mba(&["fmt", "deep"]).ends_with(3).says(&["broken.mba", "MBA002"]);
    assert_eq!(room.read("deep/er/u.mba"), tidy);
    assert_eq!(room.read("deep/broken.mba"), "mode a: (\n");
}

#[test]
fn fixes_are_applied() {
    let room = Room::new();
    let program = "mode hair: 2, eye: 2\ndata x[hair, eye] = [[1, 2], [3, 4]]\nmodel m { [hair, eye] }\nfit m to x\nshow m.devience\n";
    room.file("t.mba", program);
    room.mba(&["check", "t.mba"]).ends_with(3).says(&["--fix"]);
    room.mba(&["check", "--fix", "t.mba"]);
    let fixed = room.read("t.mba");
    assert!(fixed.contains("[hair eye]") && fixed.contains("m.deviance"), "{fixed}");
    room.mba(&["check", "t.mba"]).ends_with(0);
}

#[test]
fn explain_and_new() {
    let room = Room::new();
    let list = room.mba(&["explain"]).ends_with(0).out;
    for code in mba::text::Code::ALL {
        assert!(list.contains(code.name()));
    }
    for code in mba::text::Code::ALL.iter().step_by(9) {
        let page = room.mba(&["explain", &code.name().to_lowercase()]).ends_with(0).out;
        assert!(page.contains(code.name()), "{page}");
    }
    room.mba(&["new", "town"]).ends_with(0);
    room.mba(&["new", "town"]).ends_with(2).says(&["exists already"]);
    let ran = room.mba(&["run", "town/model.mba", "--format", "jsonl"]).ends_with(0);
    assert!(ran.objects().iter().any(|o| o["status"] == "passed"), "{}", ran.out);
    room.mba(&["fmt", "--check", "town"]).ends_with(0);
    let ran = room.mba(&["check", "town/model.mba", "--deny", "warnings"]).ends_with(0);
    assert!(ran.err.is_empty(), "{}", ran.err);
}

/// `mba run` compares snapshots that exist and writes none.
#[test]
fn snapshots_are_compared_and_never_written() {
    let room = Room::new();
    let program = format!("{PROGRAM}test \"t\" {{ snapshot m.kl }}\n");
    let ran = room.run(&program, &[]).ends_with(0);
    assert!(ran.out.contains("1 snapshot does not exist yet"), "{}", ran.out);
    assert!(!room.path().join("t.mba.snap").exists());
    let kl = number(&room.objects(&format!("{PROGRAM}show m.kl"), &[]), "m.kl");
    room.file("t.mba.snap", format!("mba snapshots 1\n\n=== \"t\" / \"m.kl\"\nvalue = {kl}\n"));
    let ran = room.run(&program, &[]).ends_with(0);
    assert!(!ran.out.contains("not exist"), "{}", ran.out);
    room.file("t.mba.snap", "mba snapshots 1\n\n=== \"t\" / \"m.kl\"\nvalue = 0.5\n");
    room.run(&program, &[]).ends_with(1).says(&["MBA604"]);
    room.file("t.mba.snap", "what is this\n");
    room.run(&program, &[]).ends_with(1).says(&["MBA605"]);
}

#[test]
fn a_column_of_records_and_its_library() {
    let room = Room::new();
    // each module of the library can be used alone
    for module in std::fs::read_dir(package().join("stdlib")).unwrap() {
        let path = module.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        room.run(&format!("use {name}\n"), &[]).ends_with(0);
        room.mba(&["check", path.to_str().unwrap()]).ends_with(0);
    }
    room.run("use nothing\n", &[]).ends_with(3).says(&["MBA108"]);
    room.file("other.mba", "mode a: 2\nmodel shared { [a] }\n");
    room.run("use \"other.mba\"\ndata x[a] = [1, 2]\nfit shared to x\nshow shared.df\n", &[]).ends_with(0);
    room.file("other.mba", "use \"t.mba\"\n");
    room.run("use \"other.mba\"\n", &[]).ends_with(3).says(&["MBA107"]);
}

/// Which cells are missing is told part by part before a cell is read, where it follows from the levels.
#[test]
fn info_and_plan_tell_of_masks() {
    let room = Room::new();
    room.array("x.npy", &[3, 4, 5], &[1.0; 60]).array("hide.npy", &[3, 4], &[0.0; 12]);
    let head = "mode a: 3, b: 4, c: 5\nmodel m { body(2) }\nmodel s { body(1) prior 5% toward body(1) }\n\
         data x[a, b, c] from \"x.npy\" missing where a == 1 and b > 1 or c == 2\n\
         data y[a, b, c] from \"x.npy\" missing from \"hide.npy\"[a, b]\n\
         data z[a, b, c] from \"x.npy\" observed where value > 0\n";
    room.file("t.mba", format!("{head}fit m to x\nfit m to y as n\nfit m to z as k\nfit s to x\nfit s to x, y as both\nfit m to x, y as pair\n"));
    let info: Json = serde_json::from_str(&room.mba(&["info", "t.mba", "--format", "json"]).ends_with(0).out)
        .expect("JSON");
    let unknown = "seen when the data are read";
    let row = |data: &str, mask: &str, over: &str, missing: Json| json!({ "data": data, "mask": mask, "over": over, "missing cells": missing });
    assert_eq!(
        info["masks"],
        json!([
            row("x", "missing where a == 1 and b > 1", "[a b]", json!(10)),
            row("x", "missing where c == 2", "[c]", json!(12)),
            row("x", "together", "", json!(20)),
            row("y", "missing from \"hide.npy\"", "[a b]", json!(unknown)),
            row("z", "observed where value > 0", "[a b c]", json!(unknown)),
        ])
    );
    let df: Vec<&Json> = info["fits"].as_array().expect("a list").iter().map(|f| &f["df"]).collect();
    assert_eq!(
        df,
        ["seen in the fit", "seen in the fit", "seen in the fit", "none", "none", "seen in the fit"]
    );
    let plan = room.mba(&["plan", "t.mba", "--fit", "m"]).ends_with(0);
    assert!(plan.out.starts_with("fit m to x, 20 cells of x missing\n"), "{}", plan.out);
    let plan = room.mba(&["plan", "t.mba", "--format", "json"]).ends_with(0);
    let plan: Json = serde_json::from_str(&plan.out).expect("JSON");
    assert_eq!((&plan[0]["missing"], plan[1].get("missing")), (&json!({ "x": 20 }), None));
}

/// A list that is cut says so in every form.
#[test]
fn a_table_that_lacks_rows_says_so() {
    let room = Room::new();
    room.file(
        "t.mba",
        "mode a: 400, b: 400\nmodel one { [a] = 0 }\ndata x[a, b] = sample(one, 1000, seed: 1)\nmodel m { [a b] }\n\
         fit m to x { hold_out where a > 10 + 0 * b }  # allow MBA563\nshow m.undetermined, x.cells\n",
    );
    for format in ["jsonl", "json"] {
        let ran = room.mba(&["run", "t.mba", "--format", format]).ends_with(0);
        let all: Vec<Json> = match format {
            "json" => serde_json::from_str(&ran.out).expect("a list"),
            _ => ran.out.lines().map(|l| serde_json::from_str(l).expect("an object")).collect(),
        };
        let shown = |label: &str| all.iter().find(|o| o["show"] == label).expect("a result");
        let rows = shown("m.undetermined")["value"].as_array().expect("rows").len();
        assert!(rows > 0 && rows < 389 * 400, "{rows}");
        assert_eq!(shown("m.undetermined")["notes"], json!([format!("{} more", 389 * 400 - rows)]));
        assert_eq!(keys(shown("x.cells")), ["show", "value"]);
    }
}
