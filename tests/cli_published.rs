//! Published numbers, through programs, files and the command.

mod cli_support;

use cli_support::*;
use serde_json::Value as Json;

#[test]
fn every_example_runs_and_its_tests_pass() {
    let room = Room::new();
    let examples = package().join("examples");
    let mut programs: Vec<_> = std::fs::read_dir(&examples)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "mba"))
        .collect();
    programs.sort();
    assert!(programs.len() >= 3);
    for program in programs {
        let path = program.to_str().unwrap();
        let ran = room.mba(&["run", path, "--format", "jsonl"]).ends_with(0);
        let tests: Vec<Json> = ran.objects().into_iter().filter(|o| o["test"].is_string()).collect();
        assert!(!tests.is_empty(), "{path} tests nothing");
        assert!(tests.iter().all(|t| t["status"] == "passed"), "{path}: {tests:?}");
        room.mba(&["fmt", "--check", path]).ends_with(0);
    }
}

#[test]
fn deviances_of_the_classical_tables() {
    let room = Room::new();
    let data = package().join("examples/data");
    let data = data.to_str().unwrap();
    let program = format!(
        "mode Hair, Eye, Sex, Class, Age, Survived, Admit, Gender, Dept
         data hair[Hair, Eye, Sex] from \"{data}/hair_eye_color.csv\" count Freq
         data ship[Class, Sex, Age, Survived] from \"{data}/titanic.csv\" count Freq
         data ucb[Admit, Gender, Dept] from \"{data}/ucb_admissions.csv\" count Freq
         model mutual {{ body(1) }}
         model jointly {{ [Hair Eye] [Sex] }}
         model pairs {{ body(2) }}
         model aboard {{ [Class Sex Age] [Class Survived] [Sex Survived] [Age Survived] }}
         model by_dept {{ [Admit Dept] [Gender Dept] }}
         fit mutual to hair
         fit jointly to hair
         fit pairs to hair as hair_pairs
         fit pairs to ship as ship_pairs
         fit aboard to ship
         fit by_dept to ucb
         fit pairs to ucb as ucb_pairs
         show mutual.deviance, mutual.df, jointly.deviance, jointly.df, hair_pairs.deviance, hair_pairs.df
         show ship_pairs.deviance, ship_pairs.df, aboard.deviance, aboard.df, aboard.df_adjusted
         show by_dept.deviance, by_dept.df, ucb_pairs.deviance, ucb_pairs.df"
    );
    let objects = room.objects(&program, &[]);
    // R, loglin and summary(table): the printed digits
    for (fit, deviance, digits, df) in [
        ("mutual", 166.3001, 4, 24),
        ("jointly", 19.85656, 5, 15),
        ("hair_pairs", 6.76125, 5, 9),
        ("ship_pairs", 116.588, 3, 13),
        ("aboard", 112.5666, 4, 10),
        ("by_dept", 21.73551, 5, 6),
        ("ucb_pairs", 20.20428, 5, 5),
    ] {
        let x = number(&objects, &format!("{fit}.deviance"));
        assert!((x - deviance).abs() <= 0.51 * 10f64.powi(-digits), "{fit}: {x} for {deviance}");
        assert_eq!(shown(&objects, &format!("{fit}.df")), df, "{fit}");
    }
    assert_ne!(shown(&objects, "aboard.df_adjusted"), 10);
}

#[test]
fn goldens() {
    let path = package().join("../shared/goldens/goldens.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("NOT TESTED: there are no goldens at {}", path.display());
        return;
    };
    let goldens: Json = serde_json::from_str(&text).unwrap();
    let want = |name: &str| goldens[name].as_f64().unwrap_or_else(|| panic!("no golden {name}"));
    let room = Room::new();
    room.array("x.npy", &[3, 4, 5], &det(&[3, 4, 5])).array("y.npy", &[3, 4, 3, 4], &det(&[3, 4, 3, 4]));
    let objects = room.objects(
        "mode a: 3, b: 4, c: 5, d: 3, e: 4
         data x[a, b, c] from \"x.npy\"
         data y[a, b, d, e] from \"y.npy\"
         model one { body(1) }
         model two { body(2) }
         model three { body(3) }
         model circle { cyclic(2) }
         model line { [a b] [b c] }
         model apart { [a b] [c] }
         model hub { [a b] [a c] }
         model mixed { [a b d] [a e] }
         fit one to x as x1
         fit two to x as x2
         fit line to x
         fit apart to x
         fit hub to x
         fit circle to y
         fit one to y as y1
         fit two to y as y2
         fit three to y as y3
         fit mixed to y
         show x.total, x1.kl, x2.kl, line.kl, apart.kl, hub.kl, circle.kl, y1.kl, y2.kl, y3.kl, mixed.kl
         show x1.fitted[a: 0, b: 0, c: 0] / x.total, x1.fitted[a: 2, b: 1, c: 2] / x.total
         show x2.fitted[a: 0, b: 0, c: 0] / x.total, x2.fitted[a: 2, b: 1, c: 2] / x.total
         show x[a: 0, b: 0, c: 0], x[a: 2, b: 1, c: 2]
         show circle.parameters, y1.parameters, y2.parameters, y3.parameters, mixed.parameters",
        &[],
    );
    let mut cases: Vec<(&str, f64)> = vec![("x.total", want("X345_sum"))];
    for (label, name) in [
        ("x1.kl", "MBA_1body_KL"),
        ("x2.kl", "MBA_2body_KL"),
        ("line.kl", "MBA_chain01_12_KL"),
        ("apart.kl", "MBA_01_2_KL"),
        ("hub.kl", "MBA_01_02_KL"),
        ("circle.kl", "MBA4_cyc_KL"),
        ("y1.kl", "MBA4_1_KL"),
        ("y2.kl", "MBA4_2_KL"),
        ("y3.kl", "MBA4_3_KL"),
        ("mixed.kl", "MBA4_READMEexample_12_14_123_KL"),
    ] {
        cases.push((label, want(name)));
    }
    for (name, labels) in [
        (
            "MBA_1body_Q000_Q212",
            ["x1.fitted[a: 0, b: 0, c: 0] / x.total", "x1.fitted[a: 2, b: 1, c: 2] / x.total"],
        ),
        (
            "MBA_2body_Q000_Q212",
            ["x2.fitted[a: 0, b: 0, c: 0] / x.total", "x2.fitted[a: 2, b: 1, c: 2] / x.total"],
        ),
        ("X345_000_212", ["x[a: 0, b: 0, c: 0]", "x[a: 2, b: 1, c: 2]"]),
    ] {
        for (i, label) in labels.into_iter().enumerate() {
            cases.push((label, goldens[name][i].as_f64().unwrap()));
        }
    }
    for (label, want) in cases {
        let x = number(&objects, label);
        assert!((x - want).abs() <= 1e-10, "{label} is {x}, not {want}");
    }
    for (label, name) in [
        ("circle.parameters", "MBA4_cyc_nparams"),
        ("y1.parameters", "MBA4_1_nparams"),
        ("y2.parameters", "MBA4_2_nparams"),
        ("y3.parameters", "MBA4_3_nparams"),
        ("mixed.parameters", "MBA4_READMEexample_12_14_123_nparams"),
    ] {
        assert_eq!(shown(&objects, label), &goldens[name], "{label}");
    }
}

/// θ and η in cumulative coordinates: first level, E(⊥) = 0.
#[test]
fn parameters_of_the_saturated_model_rebuild_the_data() {
    let room = Room::new();
    room.array("x.npy", &[3, 4, 5], &det(&[3, 4, 5]));
    let objects = room.objects(
        "mode a: 3, b: 4, c: 5
         data x[a, b, c] from \"x.npy\"
         model all { [a b c] }
         fit all to x
         show all.log_z, all.kl, all.theta, all.eta, all.df",
        &[],
    );
    let x = det(&[3, 4, 5]);
    let total: f64 = x.iter().sum();
    assert!((number(&objects, "all.log_z") + (x[0] / total).ln()).abs() < 1e-12);
    assert!(number(&objects, "all.kl").abs() < 1e-14);
    assert_eq!(shown(&objects, "all.df"), 0);
    // Σ of every θ at or below a cell is log q(cell) − log q(⊥)
    let theta = shown(&objects, "all.theta").as_array().unwrap();
    let cell = [1usize, 2, 3];
    let names = ["a", "b", "c"];
    let sum: f64 = theta
        .iter()
        .filter(|row| {
            let scope = row["interaction"].as_str().unwrap().trim_matches(['[', ']']);
            let levels = row["levels"].as_array().unwrap();
            scope.split(' ').zip(levels).all(|(mode, level)| {
                let axis = names.iter().position(|n| *n == mode).unwrap();
                level.as_str().unwrap().parse::<usize>().unwrap() <= cell[axis]
            })
        })
        .map(|row| row["theta"].as_f64().unwrap())
        .sum();
    let flat = (cell[0] * 4 + cell[1]) * 5 + cell[2];
    assert!((sum - (x[flat] / x[0]).ln()).abs() < 1e-12, "{sum}");
    // published: θ(1, 2, 3) and η(1, 1, 1), counted from 0
    let at = |list: &str, levels: &str| {
        let rows = shown(&objects, &format!("all.{list}")).as_array().unwrap();
        let row = rows
            .iter()
            .find(|r| {
                r["interaction"] == "[a b c]"
                    && r["levels"] == serde_json::json!(levels.split(", ").collect::<Vec<_>>())
            })
            .unwrap();
        row[list].as_f64().unwrap()
    };
    assert!((at("theta", "1, 2, 3") + 4.991792206294775).abs() < 1e-10);
    assert!((at("eta", "1, 1, 1") - 0.3906926406926407).abs() < 1e-10);
    assert!((number(&objects, "all.log_z") - 5.817111159963204).abs() < 1e-10);
    assert_eq!(theta.len(), 59);
}

#[test]
fn what_needs_no_iteration_and_what_does() {
    let room = Room::new();
    room.array("x.npy", &[2, 3, 2, 3, 2, 2], &det(&[2, 3, 2, 3, 2, 2]));
    let program = "mode a: 2, b: 3, c: 2, r: 3, s: 2, t: 2
         data x[a, b, c, r, s, t] from \"x.npy\"
         model line { chain(2) }
         model hub { star(r) }
         model tucker { [r s t] [a r] [b s] [c t] }
         model train { [a r] [r b s] [s c t] }
         model triangle { [a b] [b c] [a c] [r] [s] [t] }
         model circle { cyclic(2) }
         fit line to x
         fit hub to x
         fit tucker to x
         fit train to x
         fit triangle to x
         fit circle to x";
    room.file("t.mba", program);
    for fit in ["line", "hub", "tucker", "train"] {
        let ran = room.mba(&["plan", "t.mba", "--fit", fit]).ends_with(0);
        assert!(ran.out.contains("no iteration needed") && ran.out.contains("closed form"), "{}", ran.out);
    }
    for fit in ["triangle", "circle"] {
        let ran = room.mba(&["plan", "t.mba", "--fit", fit]).ends_with(0);
        assert!(ran.out.contains("iterates") && !ran.out.contains("no iteration"), "{}", ran.out);
    }
    // and running it agrees with the plan
    for fit in room.objects(program, &[]).iter().filter(|o| o["fit"].is_string()) {
        let iterates = ["triangle", "circle"].contains(&fit["fit"].as_str().unwrap());
        assert_eq!(fit["iterations"].as_u64().unwrap() > 0, iterates, "{fit}");
        assert_eq!(fit["status"] == "closed_form", !iterates, "{fit}");
        assert!(fit["certificate"]["marginal_gap"].as_f64().unwrap() < 1e-9, "{fit}");
    }
}

#[test]
fn every_form_of_a_plan_comes_without_reading_data() {
    let room = Room::new();
    // the header is right, the cells are not numbers that can be fitted
    room.array("x.npy", &[3, 4, 5], &[f64::NAN; 60]);
    room.file(
        "t.mba",
        "mode a: 3, b: 4, c: 5\ndata x[a, b, c] from \"x.npy\"\nmodel m { body(2) }\nfit m to x\n",
    );
    let tree = room.mba(&["plan", "t.mba"]).ends_with(0);
    assert!(tree.out.contains("operations") && tree.out.contains("peak"), "{}", tree.out);
    let json: Json =
        serde_json::from_str(&room.mba(&["plan", "t.mba", "--format", "json"]).ends_with(0).out).unwrap();
    assert_eq!(json[0]["fit"], "m");
    let dot = room.mba(&["plan", "t.mba", "--format", "dot"]).ends_with(0).out;
    assert!(dot.starts_with("graph") && dot.trim_end().ends_with('}'), "{dot}");
    room.mba(&["run", "t.mba"]).ends_with(1).says(&["MBA410", "`a: 0`, `b: 0`, `c: 0`"]);
}
