//! The same bytes for any number of threads and in every run; large tables of records.

mod cli_support;

use cli_support::*;

const PROGRAM: &str = "mode a: 6, b: 5, c: 7, d: 4
     data x[a, b, c, d] from \"x.npy\"
     model two { body(2) }
     model circle { cyclic(3) }
     fit two to x
     fit circle to x
     show compare(two, circle), interactions(two), two.theta, circle.fitted
     show two.sample(50), circle.conditional(a | b, c: 2), two.mutual_information(a, b)
     save two.fitted to \"two.npy\"
     test \"holds\" { expect two.kl >= circle.kl }";

#[test]
fn one_two_and_seven_threads_print_the_same_bytes() {
    let room = Room::new();
    room.array("x.npy", &[6, 5, 7, 4], &det(&[6, 5, 7, 4]));
    for format in ["text", "json", "jsonl"] {
        let one = room.run(PROGRAM, &["--threads", "1", "--format", format]).ends_with(0);
        let saved = std::fs::read(room.path().join("two.npy")).unwrap();
        for threads in ["1", "2", "7"] {
            let ran = room.run(PROGRAM, &["--threads", threads, "--format", format]).ends_with(0);
            assert_eq!(timeless(&one.out), timeless(&ran.out), "{threads} threads, {format}");
            assert_eq!(one.err, ran.err);
            assert_eq!(saved, std::fs::read(room.path().join("two.npy")).unwrap());
        }
    }
}

#[test]
fn the_seed_settles_what_is_random() {
    let room = Room::new();
    room.array("x.npy", &[2, 3], &det(&[2, 3]));
    let program =
        "mode a: 2, b: 3\ndata x[a, b] from \"x.npy\"\nmodel m { [a] [b] }\nfit m to x\nshow m.sample(1000)";
    let with = |seed: &str| timeless(&room.run(program, &["--seed", seed]).ends_with(0).out);
    assert_eq!(with("1"), with("1"));
    assert_ne!(with("1"), with("2"));
    let named = program.replace("1000", "1000, seed: 5");
    let with = |seed: &str| timeless(&room.run(&named, &["--seed", seed]).ends_with(0).out);
    assert_eq!(with("1"), with("2"));
}

/// A Markov chain over 30 two-level columns, 100 000 records.
fn records() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as u32 % 100
    };
    let mut text = (0..30).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",").into_bytes();
    for _ in 0..100_000 {
        let mut level = u8::from(draw() < 50);
        for i in 0..30 {
            text.push(if i == 0 { b'\n' } else { b',' });
            text.push(b'0' + level);
            level ^= u8::from(draw() < 30);
        }
    }
    text.push(b'\n');
    text
}

#[test]
fn a_table_of_a_billion_cells_is_fitted_through_its_records() {
    let room = Room::new();
    room.file("r.csv", records());
    let names: Vec<String> = (0..30).map(|i| format!("c{i}")).collect();
    let program = format!(
        "mode {}\ndata r[{}] from \"r.csv\"\nmodel m {{ chain(2) [c0 c2] [c10 c13] [c20 c22] }}\nmodel near {{ [c0 c1] [c0 c2] [c1 c2] [c10 c13] }}\n\
         fit m to r\n\
         show m.cells, m.marginal(c10, c13), m.marginal(c11, c12), r.total, r.stored\nshow m.cost\nshow m.certificate.marginal_gap",
        names.iter().map(|n| format!("{n}: 2")).collect::<Vec<_>>().join(", "),
        names.join(", "),
    );
    let objects = room.objects(&program, &["--allow", "MBA324"]);
    assert_eq!(shown(&objects, "m.cells"), 1u64 << 30);
    assert_eq!(shown(&objects, "r.total"), 100_000.0);
    // the fitted marginals of generators are those of the records
    let text = String::from_utf8(records()).unwrap();
    for (a, b) in [(10, 13), (11, 12)] {
        let mut counts = [[0.0; 2]; 2];
        for line in text.lines().skip(1) {
            let level = |i: usize| usize::from(line.as_bytes()[2 * i] - b'0');
            counts[level(a)][level(b)] += 1e-5;
        }
        let fitted = shown(&objects, &format!("m.marginal(c{a}, c{b})"));
        for i in 0..2 {
            for j in 0..2 {
                let q = fitted[i][j].as_f64().unwrap();
                assert!((q - counts[i][j]).abs() < 1e-9, "c{a}, c{b}: {fitted} for {counts:?}");
            }
        }
    }
    assert!(number(&objects, "m.certificate.marginal_gap") <= 1e-9);
    let peak = shown(&objects, "m.cost")
        .as_array()
        .and_then(|rows| rows.iter().find(|r| r["quantity"] == "peak bytes"))
        .unwrap_or_else(|| panic!("no peak in {objects:?}"));
    for side in ["predicted", "counted"] {
        assert!(peak[side].as_f64().unwrap() < 64e6, "{peak}");
    }
    // a budget of 64 MB is enough
    room.mba(&["plan", "t.mba", "--memory", "64M"]).ends_with(0);
}

#[test]
fn cells_and_degrees_of_freedom_beyond_2_to_the_128_are_exact() {
    let room = Room::new();
    let names: Vec<String> = (0..140).map(|i| format!("c{i}")).collect();
    let mut csv = names.join(",");
    for row in 0..5u32 {
        csv.push('\n');
        let levels: Vec<String> = (0..140u32).map(|i| ((i * row + i / 3 + row) % 2).to_string()).collect();
        csv.push_str(&levels.join(","));
    }
    room.file("r.csv", csv);
    let program = format!(
        "mode {}\ndata r[{}] from \"r.csv\"\nmodel m {{ body(1) }}\nmodel k {{ chain(2) }}\nfit m to r\nfit k to r\nshow m.cells, r.cells, m.df, k.df, m.parameters, k.parameters",
        names.iter().map(|n| format!("{n}: 2")).collect::<Vec<_>>().join(", "),
        names.join(", "),
    );
    let ran = room.run(&program, &["--allow", "MBA512"]).ends_with(0);
    let cells: num_bigint::BigUint = num_bigint::BigUint::from(1u32) << 140u32;
    for (label, value) in [
        ("m.cells", cells.clone()),
        ("r.cells", cells.clone()),
        ("m.df", cells.clone() - 141u32),
        ("k.df", cells - 1u32 - 140u32 - 139u32),
    ] {
        assert!(ran.out.contains(&format!("{label} = {value}\n")), "{label} = {value}\n{}", ran.out);
    }
    assert!(ran.out.contains("k.parameters = 279\n"));
    let exact = room.run(&program, &["--format", "jsonl"]).ends_with(0);
    assert!(exact.out.contains("\"value\":1393796574908163946345982392040522594123776"), "{}", exact.out);
}
