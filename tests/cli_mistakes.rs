//! What can be wrong with a program or its files, as a person meets it.

mod cli_support;

use cli_support::*;
use serde_json::Value as Json;

fn at(diagnostic: &Json) -> (&str, u64) {
    (diagnostic["code"].as_str().unwrap(), diagnostic["line"].as_u64().unwrap())
}

#[test]
fn four_mistakes_are_four_diagnostics_on_their_lines() {
    let room = Room::new();
    let program = "mode hair: 2, eye: 2
data x[hair, eye] = [[1, 2], [3, 4]]
model m { [har eye] }
model k { [hair] [eye] }
fit k too x
fit k to x
show k.devience
show k.marginal(heir)
test \"t\" { expect k.df == }
";
    let ran = room.run(program, &["--format", "jsonl"]).ends_with(3);
    let objects = ran.objects();
    let found: Vec<(&str, u64)> = diagnostics(&objects).into_iter().map(at).collect();
    let wanted = [("MBA101", 3), ("MBA001", 5), ("MBA102", 7), ("MBA101", 8), ("MBA001", 9)];
    assert_eq!(found, wanted, "{objects:#?}");
    // the same places for people
    let ran = room.run(program, &[]).ends_with(3).says(&["t.mba:3:12", "t.mba:5:7", "t.mba:7:8", "5 errors"]);
    assert!(ran.out.is_empty(), "nothing is fitted: {}", ran.out);
}

#[test]
fn a_misspelt_mode_suggests_the_right_one() {
    let room = Room::new();
    let program =
        "mode hair: 2, eye: 2\ndata x[hair, eye] = [[1, 2], [3, 4]]\nmodel m { [hari eye] }\nfit m to x\n";
    let objects = room.objects(program, &[]);
    let found = diagnostics(&objects);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0]["help"].as_str().unwrap().contains("`hair`"), "{found:#?}");
    room.mba(&["run", "t.mba"]).ends_with(3).says(&["did you mean `hair`?"]);
    // and is put right on request
    room.mba(&["check", "t.mba", "--fix"]).ends_with(0);
    assert_eq!(room.read("t.mba"), program.replace("hari", "hair"));
    room.mba(&["run", "t.mba"]).ends_with(0);
}

#[test]
fn a_shape_mismatch_points_at_the_declaration_and_at_the_file() {
    let room = Room::new();
    room.array("x.npy", &[2, 3], &det(&[2, 3]));
    let program = "mode a: 2\nmode b: 4\n\ndata x[a, b] from \"x.npy\"\nmodel m { [a] [b] }\nfit m to x\n";
    let objects = room.run(program, &["--format", "jsonl"]).ends_with(3).objects();
    let found = diagnostics(&objects);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["code"], "MBA201");
    let mut lines: Vec<u64> =
        found[0]["labels"].as_array().unwrap().iter().map(|l| l["line"].as_u64().unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, [2, 4]);
    room.run(program, &[]).ends_with(3).says(&["declared with 4 levels", "2 × 3", "x.npy"]);
    let turned = program.replace("x[a, b]", "x[a, b, a2]").replace("mode a: 2", "mode a: 2, a2: 2");
    room.run(&turned, &[]).ends_with(3).says(&["MBA202"]);
}

#[test]
fn a_bad_cell_is_named_by_its_levels() {
    let room = Room::new();
    let program = "mode sex: {Male, Female}, hair: {Black, Red, Blond}\ndata x[sex, hair] from \"x.npy\"\nmodel m { [sex] [hair] }\nfit m to x\nshow m.kl\n";
    for (bad, word) in [(-1.0, "negative"), (f64::NAN, "not a number"), (f64::INFINITY, "infinite")] {
        room.array("x.npy", &[2, 3], &[1.0, 2.0, 3.0, 4.0, bad, 6.0]);
        let ran = room.run(program, &[]).ends_with(1).says(&["MBA410", "`sex: Female`, `hair: Red`", word]);
        assert!(ran.out.is_empty(), "{}", ran.out);
    }
    room.file("x.csv", "sex,hair,n\nMale,Red,1\nFemale,Black,-2\n");
    let program = program.replace("\"x.npy\"", "\"x.csv\" count n");
    room.run(&program, &[]).ends_with(1).says(&["MBA410", "line 3", "Female"]);
}

#[test]
fn files_that_cannot_be_data() {
    let room = Room::new();
    room.array("whole.npy", &[2, 3], &det(&[2, 3])).array("zeros.npy", &[2, 3], &[0.0; 6]);
    let whole = std::fs::read(room.path().join("whole.npy")).unwrap();
    room.file("cut.npy", &whole[..whole.len() - 5]).file("head.npy", &whole[..20]);
    let mut archive =
        ndarray_npy::NpzWriter::new_compressed(std::fs::File::create(room.path().join("whole.npz")).unwrap());
    archive.add_array("x", &ndarray::Array2::<f64>::ones((2, 3))).unwrap();
    archive.finish().unwrap();
    let whole = std::fs::read(room.path().join("whole.npz")).unwrap();
    room.file("cut.npz", &whole[..whole.len() / 2]);
    let mut dented = whole.clone();
    dented[whole.len() / 3] ^= 0x55;
    room.file("dented.npz", &dented);
    std::fs::create_dir(room.path().join("folder.npy")).unwrap();
    for ending in ["npy", "npz", "csv", "tsv", "tns"] {
        room.file(&format!("empty.{ending}"), "");
    }
    room.file("header.csv", "a,b,n\n")
        .file("ragged.csv", "a,b,n\n0,1,3\n1,2\n")
        .file("long.csv", "a,b,n\n0,1,3,4\n")
        .file("words.csv", "a,b,n\n0,1,three\n")
        .file("quote.csv", "a,b,n\n\"0,1,3\n")
        .file("latin.csv", b"a,b,n\n0,\xe9,3\n")
        .file("level.csv", "a,b,n\n0,7,3\n")
        .file("gap.csv", "a,b,n\n0,,3\n")
        .file("columns.csv", "a,y,n\n0,1,3\n")
        .file("noise.tns", "1 2 3\n1 nine 2\n")
        .file("far.tns", "9 9 3\n");
    let clause = |file: &str| if file.ends_with("csv") { " count n" } else { "" };
    for (file, status, code) in [
        ("empty.npy", 3, "MBA403"),
        ("empty.npz", 3, "MBA403"),
        ("empty.csv", 3, "MBA403"),
        ("empty.tns", 3, "MBA403"),
        ("folder.npy", 3, "MBA401"),
        ("absent.npy", 3, "MBA401"),
        ("cut.npy", 3, "MBA404"),
        ("head.npy", 3, "MBA404"),
        ("cut.npz", 3, "MBA404"),
        ("zeros.npy", 1, "MBA413"),
        ("header.csv", 3, "MBA403"),
        ("ragged.csv", 3, "MBA407"),
        ("long.csv", 3, "MBA407"),
        ("words.csv", 1, "MBA411"),
        ("latin.csv", 3, "MBA408"),
        ("level.csv", 1, "MBA421"),
        ("gap.csv", 1, "MBA420"),
        ("columns.csv", 3, "MBA204"),
        ("noise.tns", 1, "MBA423"),
        ("far.tns", 1, "MBA423"),
    ] {
        let program = format!(
            "mode a: 2, b: 3\ndata x[a, b] from \"{file}\"{}\nmodel m {{ [a] [b] }}\nfit m to x\nshow m.kl\n",
            clause(file)
        );
        let ran = room.run(&program, &[]);
        assert!(ran.err.contains(code) && ran.err.contains(file), "{file}: {code}\n{}", ran.err);
        assert_eq!(ran.status, status, "{file}\n{}", ran.err);
        assert!(ran.err.contains("t.mba:2:"), "{file}: {}", ran.err);
        assert_eq!(ran.err.matches("error[").count(), 1, "{file}: one report\n{}", ran.err);
    }
    // nothing in a damaged file makes it fall over
    for file in ["dented.npz", "quote.csv"] {
        let program = format!(
            "mode a: 2, b: 3\ndata x[a, b] from \"{file}\"{}\nmodel m {{ [a] [b] }}\nfit m to x\n",
            clause(file)
        );
        let ran = room.run(&program, &[]);
        assert!([0, 1, 3].contains(&ran.status), "{file}: {ran:?}");
    }
}

#[test]
fn unusual_and_right() {
    let room = Room::new();
    let plain = "mode a: {x, y}\nmode b: 3\ndata t[a, b] = [[1, 2, 3], [4, 5, 6]]\nmodel m { [a] [b] }\nfit m to t\nshow m.kl, m.fitted\n";
    let want = timeless(&room.run(plain, &["--format", "jsonl"]).ends_with(0).out);
    let long = format!("# {}\n{plain}", "é ".repeat(5_000_000));
    for (what, program) in [
        ("CRLF", plain.replace('\n', "\r\n")),
        ("a mark at the start", format!("\u{feff}{plain}")),
        ("semicolons", plain.replace('\n', " ; ")),
        ("no last line end", plain.trim_end().to_string()),
        ("a very long comment", long),
        ("tabs", plain.replace(' ', "\t")),
        ("blank lines", plain.replace('\n', "\n\n \t\n")),
    ] {
        let ran = room.run(&program, &["--format", "jsonl"]);
        assert_eq!((ran.status, timeless(&ran.out)), (0, want.clone()), "{what}: {}", ran.err);
    }
    // names of the field, levels that are no identifiers, modes of one level
    let objects = room.objects(
        "mode α: 2, β_ij: {\"ψ 1\", ω}, één: 1, 色: {赤}\nparam λ = 2\ndata δ[α, β_ij, één, 色] = [[[[1]], [[2]]], [[[3]], [[4]]]]\n\
         model ising_σ { body(2) }\nfit ising_σ to δ as φ\nshow φ.probability(α: 1, β_ij: \"ψ 1\", 色: 赤) * λ, φ.df",
        &[],
    );
    assert!(
        (number(&objects, "φ.probability(α: 1, β_ij: \"ψ 1\", 色: 赤) * λ") - 0.6).abs() < 1e-12,
        "{objects:?}"
    );
    assert_eq!(shown(&objects, "φ.df"), 0);
    // CRLF and a mark in data as well
    room.file("x.csv", "\u{feff}a,b,n\r\nx,0,1\r\nx,1,2\r\nx,2,3\r\ny,0,4\r\ny,1,5\r\ny,2,6\r\n");
    let from_file = plain.replace("= [[1, 2, 3], [4, 5, 6]]", "from \"x.csv\" count n");
    assert_eq!(timeless(&room.run(&from_file, &["--format", "jsonl"]).ends_with(0).out), want);
    // one level everywhere
    room.run(
        "mode a: 1, b: 1\ndata x[a, b] = [[5]]\nmodel m { body(2) }\nfit m to x\nshow m.kl, m.df, m.theta",
        &["--allow", "MBA322"],
    )
    .ends_with(0);
    // nothing at all
    for program in ["", "\n\n", "# only\n", "## doc\n", ";;;"] {
        let ran = room.run(program, &["--allow", "MBA539"]).ends_with(0);
        assert!(ran.out.is_empty() && ran.err.is_empty(), "{program:?}: {ran:?}");
    }
}

#[test]
fn what_does_not_fit_the_memory_is_refused_at_once() {
    let room = Room::new();
    // the header promises 10⁹ cells; were they read, the file would be found damaged
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000, 1000, 1000), }\n";
    npy.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    npy.extend(header.as_bytes());
    room.file("x.npy", &npy);
    let file = std::fs::OpenOptions::new().write(true).open(room.path().join("x.npy")).unwrap();
    file.set_len(npy.len() as u64 + 8_000_000_000).unwrap(); // sparse on disk
    let program = "mode a: 1000, b: 1000, c: 1000\ndata x[a, b, c] from \"x.npy\"\nmodel pairs { [a] [b c] }\nmodel big { [a b c] }\nfit big to x\n";
    room.file("t.mba", program);
    let ran = room.mba(&["run", "t.mba", "--memory", "1GiB"]).ends_with(3).says(&["MBA501", "[a b c]"]);
    assert!(ran.out.is_empty());
    room.mba(&["check", "t.mba", "--memory", "1GiB"]).ends_with(3).says(&["[a b c]"]);
    // the budget only refuses: what fits is not changed by it
    let small =
        "mode a: 2, b: 2\ndata y[a, b] = [[1, 2], [3, 4]]\nmodel m { [a] [b] }\nfit m to y\nshow m.fitted\n";
    let roomy = timeless(&room.run(small, &["--format", "jsonl"]).out);
    assert_eq!(
        timeless(&room.run(small, &["--format", "jsonl", "--memory", "100k"]).ends_with(0).out),
        roomy
    );
    room.run(small, &["--memory", "1"]).ends_with(3).says(&["MBA501"]);
}

#[test]
fn a_fit_that_stops_says_so_and_ends_with_1() {
    let room = Room::new();
    room.array("x.npy", &[3, 4, 5], &det(&[3, 4, 5]));
    let program = "mode a: 3, b: 4, c: 5\ndata x[a, b, c] from \"x.npy\"\nmodel m { body(2) }\nfit m to x { max_sweeps 1 }\nshow m.status\ntest \"t\" { expect m.df == 24 }\n";
    let ran = room.run(program, &[]).ends_with(1).says(&["MBA510", "MBA603"]);
    assert!(ran.out.contains("STOPPED") && ran.out.contains("FAILED"), "{}", ran.out);
    let objects = room.objects(program, &[]);
    assert!(objects.iter().any(|o| o["fit"] == "m" && o["status"] == "stopped"));
    assert!(objects.iter().any(|o| o["test"] == "t" && o["status"] == "failed"));
    // what helps is what is offered, by the fit and by the test
    let help = |program: &str| {
        let objects = room.objects(program, &[]);
        let diagnostics = objects.iter().filter_map(|o| o["diagnostic"]["help"].as_str());
        let failures = objects
            .iter()
            .filter(|o| o["test"] == "t")
            .flat_map(|o| o["failures"].as_array().into_iter().flatten().filter_map(|f| f["help"].as_str()));
        diagnostics.chain(failures).map(String::from).collect::<Vec<_>>()
    };
    let (more, rounding) = ("allow more", "rounding keeps it from coming closer");
    let found = help(program);
    assert!(found.len() == 2 && found.iter().all(|h| h.contains(more)), "{found:?}");
    let found = help(&program.replace("max_sweeps 1", "tolerance 1e-18"));
    assert!(found.len() == 2 && found.iter().all(|h| h.contains(rounding)), "{found:?}");
}

#[test]
fn levels_of_diagnostics() {
    let room = Room::new();
    let program = "mode a: 2, b: 2, idle\ndata x[a, b] = [[1, 2], [3, 4]]\nmodel m { [a b]\n    temperature 2 }\nfit m to x\n";
    room.run(program, &[]).ends_with(0).says(&["MBA120", "MBA322", "MBA323", "3 warnings"]);
    let quiet =
        room.run(program, &["--allow", "MBA120", "--allow", "MBA322", "--allow", "mba323"]).ends_with(0);
    assert!(quiet.err.is_empty(), "{}", quiet.err);
    room.run(program, &["--deny", "MBA120"]).ends_with(3).says(&["error[MBA120]"]);
    room.run(program, &["--deny", "warnings"]).ends_with(3).says(&["3 errors"]);
    let line = program.replace("{ [a b]", "{ [a b] # allow MBA322");
    let ran = room.run(&line, &[]).ends_with(0);
    assert!(!ran.err.contains("MBA322"), "{}", ran.err);
    room.run(program, &["--allow", "MBA999"]).ends_with(2);
}

#[test]
fn what_is_understood_and_cannot_be_done_yet_is_said() {
    let room = Room::new();
    let data = "mode a: 2, b: 2, c: 2\ndata x[a, b, c] = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]\n";
    for more in [
        "model m { latent r: 2\nstar(r) }\nfit m to x",
        "model m { [a] [b] [c]\nalgebra tsallis(0.5) }\nfit m to x",
        "model m { [a] [b] [c] }\nfit m to x by ltr",
        "model m { mix cp(3) + cp(4) }\nfit m to x",
        "sweep m over temperature in 1 .. 2 by 1",
    ] {
        room.array("y.npy", &[2], &[1.0, 2.0]);
        let ran = room.run(&format!("{data}{more}\n"), &[]);
        let said = ["MBA390", "MBA590", "MBA101"].iter().any(|c| ran.err.contains(c));
        assert!(ran.status == 3 && said, "{more}\n{ran:?}");
    }
}

#[test]
fn a_plan_for_machines_tells_its_diagnostics_to_machines() {
    let room = Room::new();
    room.file("t.mba", "mode a: 2, b: 2\ndata x[a, b] = [[1, 2], [3, 4]]\nmodel m { body(7) }\nfit m to x\n");
    for format in ["jsonl", "json"] {
        let [run, plan] =
            ["run", "plan"].map(|verb| room.mba(&[verb, "t.mba", "--format", format]).ends_with(3));
        assert!(run.out.contains("MBA303") && run.err.is_empty(), "{run:?}");
        assert_eq!((plan.out, plan.err), (run.out, run.err), "{format}");
    }
    // a warning stands before the plans
    room.file("t.mba", "mode a: 2, b: 2\ndata x[a, b] = [[1, 2], [3, 4]]\nmodel m { [a b] }\nfit m to x\n");
    let objects = room.mba(&["plan", "t.mba", "--format", "jsonl"]).ends_with(0).objects();
    assert_eq!(objects[0]["diagnostic"]["code"], "MBA322", "{objects:?}");
    assert_eq!((&objects[1]["fit"], objects.len()), (&Json::from("m"), 2), "{objects:?}");
    let tree = room.mba(&["plan", "t.mba"]).ends_with(0).says(&["MBA322"]);
    assert!(!tree.out.contains("MBA322"), "{tree:?}");
}

#[test]
fn a_program_that_asks_for_nothing_is_told_so() {
    let room = Room::new();
    for (program, words) in
        [("", "is empty"), ("# nothing\n\n", "is empty"), ("param p = 2\n", "only declares")]
    {
        let ran = room.run(program, &[]).ends_with(0).says(&["note[MBA539]", words]);
        assert!(ran.out.is_empty(), "{ran:?}");
        let objects = room.run(program, &["--format", "jsonl"]).ends_with(0).objects();
        assert_eq!(objects[0]["diagnostic"]["code"], "MBA539", "{objects:?}");
        let allowed = room.run(program, &["--allow", "MBA539"]).ends_with(0);
        assert!(!allowed.err.contains("MBA539"), "{allowed:?}");
        room.run(program, &["--deny", "MBA539"]).ends_with(1);
    }
    assert!(!room.run("show 1 + 1\n", &[]).ends_with(0).err.contains("MBA539"));
}

#[test]
fn weights_far_from_one_are_written_with_a_power_of_ten() {
    let room = Room::new();
    let program = |weight: &str| {
        format!(
            "mode a: 2, b: 2\ndata x[a, b] = [[1, 2], [3, 4]]\ndata y[a, b] = [[1, 2], [3, 5]]\n\
             model m {{ body(1) }}\nfit m to x, y weight {weight}\n"
        )
    };
    for (weight, shown) in
        [("1e300", "1e300"), ("1e-9", "1e-9"), ("2.5", "2.5"), ("1e20", "100000000000000000000")]
    {
        let ran = room.run(&program(weight), &[]).ends_with(0);
        assert!(ran.out.contains(&format!("y weight {shown}:")), "{ran:?}");
        let plan = room.mba(&["plan", "t.mba"]).ends_with(0);
        assert!(plan.out.contains(&format!(", weight {shown}:")), "{plan:?}");
    }
}

#[test]
fn data_that_vanish_beside_the_total_are_not_called_absent() {
    let room = Room::new();
    let program = |a: &str, b: &str| {
        format!(
            "mode a: 3; mode b: 2\ndata x[a, b] = [[1e200, 2e200], [{a}, {b}], [1e199, 1]]\n\
             model m {{ body(1) }}\nfit m to x\n"
        )
    };
    let there = room.run(&program("1e-150", "3e-150"), &[]).ends_with(0);
    there.says(&[
        "MBA512",
        "in `[a]` at a = 1 add up to 4e-150, of a total of 3.1e200",
        "1e-308 of the total",
    ]);
    room.run(&program("0", "0"), &[]).ends_with(0).says(&["MBA512", "no data in `[a]` at a = 1"]);
    let held = room.run(&program("1e-90", "3e-90"), &[]).ends_with(0);
    assert!(!held.err.contains("MBA512"), "{held:?}");
}
