//! Fits through masks of every kind, however their cells are summed, against sweeps over all cells that are
//! written down here.

mod arrays;
mod program_support;

use arrays::npy_of;
use mba::model::Scope;
use mba::plan::cost::{Arithmetic, Filtered};
use program_support::{Files, healthy, run};

/// Numbers between 0 and 1 that look random.
fn noise(k: usize) -> f64 {
    let mut z = (k as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 11) as f64 / (1u64 << 53) as f64
}

fn levels(mut k: usize, sizes: &[usize]) -> Vec<usize> {
    let mut out = vec![0; sizes.len()];
    for (level, n) in out.iter_mut().zip(sizes).rev() {
        *level = k % n;
        k /= n;
    }
    out
}

/// Proportional fitting over every observed cell: the fitted values there, of the same total as the data.
fn sweeps(x: &[f64], seen: &[bool], sizes: &[usize], generators: &[&[usize]]) -> Vec<f64> {
    let places: Vec<Vec<usize>> = generators
        .iter()
        .map(|g| {
            let place = |k| g.iter().fold(0, |at, m| at * sizes[*m] + levels(k, sizes)[*m]);
            (0..x.len()).map(place).collect()
        })
        .collect();
    let mut q: Vec<f64> = seen.iter().map(|s| f64::from(u8::from(*s))).collect();
    for _ in 0..3000 {
        let mut gap = 0.0f64;
        for (g, place) in generators.iter().zip(&places) {
            let cells = g.iter().map(|m| sizes[*m]).product();
            let (mut want, mut have) = (vec![0.0; cells], vec![0.0; cells]);
            for k in (0..x.len()).filter(|k| seen[*k]) {
                want[place[k]] += x[k];
                have[place[k]] += q[k];
            }
            gap = want.iter().zip(&have).fold(gap, |g, (w, h)| g.max((w - h).abs() / w.max(1e-300)));
            (0..x.len()).filter(|k| seen[*k]).for_each(|k| q[k] *= want[place[k]] / have[place[k]]);
        }
        if gap < 1e-14 {
            break;
        }
    }
    q
}

const PAIRS: &[&[usize]] = &[&[0, 1], &[1, 2], &[0, 2]];
const SINGLES: &[&[usize]] = &[&[0], &[1], &[2]];

#[test]
fn every_arithmetic_finds_the_same_fit() {
    let sizes = [16usize, 16, 40];
    let cells: usize = sizes.iter().product();
    let x: Vec<f64> = (0..cells).map(|k| 0.2 + 3.0 * noise(k).powi(3)).collect();
    // share of cells observed, generators, and what the compiler is to choose for each of their views
    let cases: [(f64, &[&[usize]], &str, Arithmetic); 4] = [
        (0.985, PAIRS, "[a b] [b c] [a c]", Arithmetic::Missing),
        (0.6, PAIRS, "[a b] [b c] [a c]", Arithmetic::Every),
        (0.5, SINGLES, "body(1)", Arithmetic::Every),
        (0.06, SINGLES, "body(1)", Arithmetic::Observed),
    ];
    for (share, generators, model, how) in cases {
        let seen: Vec<bool> = (0..cells).map(|k| noise(k + cells) < share).collect();
        let count = seen.iter().filter(|s| **s).count() as f64;
        let size = |s: &Scope| s.iter().map(|m| sizes[m] as f64).product::<f64>();
        let scopes: Vec<Scope> = generators.iter().map(|g| g.iter().copied().collect()).collect();
        let all = Scope::all(3);
        let view = Filtered::of(&size, &all, &Scope::from([0, 1]), &scopes).expect("a view");
        assert_eq!(view.choose(count), how, "{share} {model}");

        let mut files = Files::default();
        files.there.insert("x.npy".into(), npy_of(&sizes, &x));
        let marks: Vec<f64> = seen.iter().map(|s| f64::from(u8::from(*s))).collect();
        files.there.insert("seen.npy".into(), npy_of(&sizes, &marks));
        let (_, r) = healthy(
            &format!(
                "mode a: 16\nmode b: 16\nmode c: 40\ndata x[a, b, c] from \"x.npy\" observed from \"seen.npy\"\n\
                 model m {{ {model} }}\nfit m to x {{ tolerance 1e-12 }}\n\
                 show m.reconstruction, m.certificate.optimality_gap\n"
            ),
            &files,
        );
        let (found, want) = (r.numbers("m.reconstruction"), sweeps(&x, &seen, &sizes, generators));
        for k in (0..cells).filter(|k| seen[*k]) {
            let wrong = (found[k] - want[k]).abs() / want[k];
            assert!(wrong < 1e-10, "{share} {model} cell {k}: {} {}", found[k], want[k]);
        }
        assert!(r.number("m.certificate.optimality_gap") < 1e-12, "{share} {model}");
    }
}

#[test]
fn masks_over_fewer_modes_are_factors_and_nothing_is_listed() {
    // a ring whose mask is a slab, a block and a staircase, each over modes of its own
    let sizes = [12usize, 10, 14, 16];
    let cells: usize = sizes.iter().product();
    let ring: &[&[usize]] = &[&[0, 1], &[1, 2], &[2, 3], &[0, 3]];
    let x: Vec<f64> = (0..cells).map(|k| 0.1 + noise(k)).collect();
    let seen: Vec<bool> = (0..cells)
        .map(|k| {
            let l = levels(k, &sizes);
            l[0] != 3 && !(l[1] > 6 && l[2] < 5) && l[2] + l[3] < 24
        })
        .collect();
    let mut files = Files::default();
    files.there.insert("x.npy".into(), npy_of(&sizes, &x));
    let (_, r) = healthy(
        "mode a: 12\nmode b: 10\nmode c: 14\nmode d: 16\n\
         data x[a, b, c, d] from \"x.npy\" missing where a == 3 or (b > 6 and c < 5) or c + d >= 24\n\
         model m { [a b] [b c] [c d] [a d] }\nfit m to x { tolerance 1e-12 }\n\
         show m.reconstruction, m.certificate.optimality_gap\n",
        &files,
    );
    let (found, want) = (r.numbers("m.reconstruction"), sweeps(&x, &seen, &sizes, ring));
    for k in (0..cells).filter(|k| seen[*k]) {
        assert!((found[k] - want[k]).abs() < 1e-10 * want[k], "cell {k}: {} {}", found[k], want[k]);
    }
    assert!(r.number("m.certificate.optimality_gap") < 1e-12);
}

/// A model with zeros in the data: how it ends, the places of cells that come back as missing, and what it says.
fn at_zeros(head: &str, model: &str, tolerance: &str) -> (&'static str, Vec<usize>, Vec<&'static str>) {
    let text =
        format!("{head}model m {{ {model} }}\nfit m to x {{ tolerance {tolerance} }}\nshow m.fitted\n");
    let (_, diagnostics, r) = run(&text, &Files::default());
    assert!(!diagnostics.iter().any(mba::text::Diagnostic::is_error), "{model}: {diagnostics:?}");
    let array = |value: &serde_json::Value| value.as_array().expect("a table is rows of cells").clone();
    let rows = array(r.value("m.fitted"));
    let rows = rows.iter().flat_map(array);
    let open = rows.enumerate().filter(|(_, x)| x.is_null()).map(|(k, _)| k).collect();
    let mut codes = r.codes.clone();
    codes.retain(|c| ["MBA512", "MBA513", "MBA563"].contains(c));
    codes.sort_unstable();
    (r.fits[0].1, open, codes)
}

#[test]
fn tables_that_are_smooth_or_tied_end_on_the_boundary_as_others_do() {
    let head = "mode a: 2 ordered, b: 2 ordered\ndata x[a, b] = [[0, 2], [3, missing]]\n";
    let once = "[a b] smooth [a b] along a strength 1";
    let twice = &format!("{once}; smooth [a b] along b strength 1");
    for model in ["[a] [b]", once, twice, "[a] [b] tie [a] ~ [b]"] {
        for tolerance in ["1e-9", "1e-10", "1e-11"] {
            let found = at_zeros(head, model, tolerance);
            assert_eq!(found, ("boundary", vec![3], vec!["MBA513", "MBA563"]), "{model}, {tolerance}");
        }
    }
    // all cells are known, and one of them tends to zero
    let head = "mode a: 2 ordered, b: 2 ordered\ndata x[a, b] = [[0, 3], [5, 7]]\n";
    let found = at_zeros(head, "[a b] tie [a b] ~ [b a]", "1e-9");
    assert_eq!(found, ("boundary", vec![], vec!["MBA512"]));
    // a whole level is zero, and with it nothing tells the two others apart
    let head = "mode a: 3, b: 3\ndata x[a, b] = [[missing, 0, 5], [0, 0, 0], [missing, missing, missing]]\n";
    let found = at_zeros(head, "[a] [b] tie [a] ~ [b]", "1e-9");
    assert_eq!(found, ("boundary", vec![0, 8], vec!["MBA512", "MBA563"]));
}

#[test]
fn what_smoothness_keeps_from_zero_is_not_on_the_boundary() {
    let head = |x: &str| format!("mode a: 3 ordered, b: 3 ordered\ndata x[a, b] = {x}\n");
    let positive = "[[1, 2, 300], [4, missing, 0.001], [5, 1e-6, 2]]";
    let zeros = "[[0, 27, 27], [12, 0, 0], [13, 0, 0]]";
    let holes = "[[missing, 19, 0], [12, missing, 0], [missing, 0, 6]]";
    for (x, model) in [
        (positive, "[a b] smooth [a b] along a strength 1e-6"),
        (positive, "[a b] tie [a b] ~ [b a]"),
        (positive, "[a] [b] tie [a] ~ [b]; smooth [a] along a strength 10"),
        // there are directions that leave the data alone, but each of them takes some cell up
        (zeros, "[a b] smooth [a b] along a strength 1e-6"),
        (holes, "[a b] tie [a b] ~ [b a]; smooth [a b] along a strength 1e-6"),
    ] {
        for tolerance in ["1e-9", "1e-10", "1e-11"] {
            let (status, open, codes) = at_zeros(&head(x), model, tolerance);
            assert_eq!((status, codes.contains(&"MBA513")), ("converged", false), "{model}, {open:?}");
        }
    }
}

/// Tied tables that are smooth as well: their smoothness tells of cells that the tie alone leaves open.
#[test]
fn ties_and_smoothness_determine_cells_together() {
    let head = "mode a: 2 ordered, b: 2 ordered\ndata x[a, b] = [[14, 10], [missing, missing]]\n";
    let (tie, smooth) = ("tie [a b] ~ [b a]", "smooth [a b] along b strength 10");
    let text = format!(
        "{head}model m {{ [a b] {tie}; {smooth} }}\nmodel t {{ [a b] {tie} }}\nmodel s {{ [a b] {smooth} }}\n\
         fit m to x\nfit t to x\nfit s to x\nshow m.fitted, t.fitted, s.fitted\n"
    );
    let (_, _, r) = run(&text, &Files::default());
    let found = r.numbers("m.fitted");
    for (f, w) in found.iter().zip([14.0, 10.0, 10.0, 100.0 / 14.0]) {
        assert!((f - w).abs() < 1e-6 * w, "{found:?}");
    }
    assert_eq!(found.len(), 4);
    // 14 and 10 give the rest only together
    for (name, open) in [("t.fitted", 1), ("s.fitted", 2)] {
        assert_eq!(r.value(name).to_string().matches("null").count(), open, "{}", r.text);
    }
    // a table that is smooth along two of its modes is a sum of its modes, whichever comes first
    for (first, second) in [("a", "b"), ("b", "a")] {
        let text = format!(
            "mode a: 2 ordered, b: 2 ordered, c: 2\n\
             data x[a, b, c] = [[[1, 2], [3, 4]], [[missing, 5], [2, missing]]]\n\
             model m {{ [a b c] smooth [a b c] along {first} strength 1; smooth [a b c] along {second} strength 1 }}\n\
             fit m to x\nshow m.fitted\n"
        );
        let (_, _, r) = run(&text, &Files::default());
        assert!(!r.value("m.fitted").to_string().contains("null"), "{}", r.text);
    }
}

/// Where few cells of a smooth table are observed, many of them zero, directions that smoothness leaves free are all but
/// flat beside it. Steps that do not solve for them are hundreds.
#[test]
fn smooth_tables_of_which_little_is_seen_take_few_steps() {
    let n = 60;
    let count =
        |k: usize| [0.368, 0.736, 0.920, 0.981].iter().filter(|c| noise(k + n * n) >= **c).count() as f64;
    let cell = |k: usize| if noise(k) < 0.08 { count(k) } else { f64::NAN };
    let mut files = Files::default();
    files.there.insert("x.npy".into(), npy_of(&[n, n], &(0..n * n).map(cell).collect::<Vec<f64>>()));
    let once = "smooth [a b] along a strength";
    for (order, smooth) in [
        ("ordered", format!("{once} 100")),
        ("ordered", format!("{once} 1000; smooth [a b] along b strength 1000")),
        ("cyclic", format!("{once} 1000; smooth [a b] along b strength 10")),
    ] {
        let text = format!(
            "mode a: {n} {order}, b: {n} ordered\ndata x[a, b] from \"x.npy\" missing where nan\n\
             model m {{ [a b] {smooth} }}\nfit m to x {{ tolerance 1e-8 }}\n\
             show m.iterations, m.status, m.certificate.marginal_gap\n"
        );
        let (_, _, r) = run(&text, &files);
        assert_eq!(r.value("m.status"), "boundary", "{smooth}: {}", r.text);
        assert!(r.number("m.iterations") <= 25.0, "{smooth}: {}", r.text);
        assert!(r.number("m.certificate.marginal_gap") <= 1e-8, "{smooth}: {}", r.text);
    }
}

/// However strong smoothness is beside the data, neighbours differ by numbers that are as precise.
#[test]
fn smoothness_of_any_strength_ends_at_the_optimum() {
    let sizes = [20, 12, 8];
    let cells: usize = sizes.iter().product();
    let cell = |k: usize| if noise(k) < 0.5 { f64::NAN } else { 1e-5 * (0.1 + noise(k + cells)) };
    let mut files = Files::default();
    files.there.insert("x.npy".into(), npy_of(&sizes, &(0..cells).map(cell).collect::<Vec<f64>>()));
    let head =
        "mode a: 20 ordered, b: 12 ordered, c: 8 cyclic\ndata x[a, b, c] from \"x.npy\" missing where nan\n";
    for strength in ["1", "1e6", "1e7", "1e10"] {
        for (tables, smooth) in [
            ("[a b] [b c] [a c]", [("[a b]", "a"), ("[b c]", "b"), ("[a c]", "c")]),
            ("[a b c]", [("[a b c]", "a"), ("[a b c]", "b"), ("[a b c]", "c")]),
            ("[a b] [b c]", [("[a b]", "a"), ("[a b]", "b"), ("[b c]", "c")]),
        ] {
            let smooth: String = smooth
                .iter()
                .map(|(table, m)| format!("; smooth {table} along {m} strength {strength}"))
                .collect();
            let text = format!(
                "{head}model m {{ {tables}{smooth} }}\nfit m to x\n\
                 show m.iterations, m.status, m.certificate.optimality_gap\n"
            );
            let (_, _, r) = run(&text, &files);
            assert_eq!(r.value("m.status"), "converged", "{smooth}: {}", r.text);
            assert!(r.number("m.iterations") <= 25.0, "{smooth}: {}", r.text);
            assert!(r.number("m.certificate.optimality_gap") <= 1e-9, "{smooth}: {}", r.text);
        }
    }
}

/// A joint fit to more cells than are listed at the boundary holds nothing for zero that another zero explains.
#[test]
fn many_cells_that_another_zero_explains_are_open() {
    let sizes = [40, 40, 2700];
    let cells: usize = sizes.iter().product();
    // nothing at hour 0, and nothing else is known of station 39
    let cell = |k: usize| if (k / 2700).is_multiple_of(40) { 0.0 } else { 1.0 + noise(k) };
    let mut files = Files::default();
    files.there.insert("x.npy".into(), npy_of(&sizes, &(0..cells).map(cell).collect::<Vec<f64>>()));
    let text = "mode station: 40, hour: 40, k: 2700, e: 2\n\
                data x[station, hour, k] from \"x.npy\" missing where station == 39 and hour > 0\n\
                data y[e] = [1, 2]\n\
                model m { [station]; [hour]; [k]; [e] }\nfit m to x, y as j  # allow MBA378\n";
    let (_, _, r) = run(text, &files);
    assert!(r.text.contains("105300 missing cells are not determined"), "{}", r.text);
}
