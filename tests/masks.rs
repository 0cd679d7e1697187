//! Missing cells, impossible cells and completion: published values, identities, brute force, and what a
//! program is told when a mask makes no sense.

mod arrays;
mod program_support;

use arrays::{npy, npy_of};
use mba::report::results::Environment;
use mba::run::Stop;
use mba::session::{Options, Session};
use ndarray::ArrayD;
use ndarray_npy::NpzWriter;
use program_support::{Files, Recorder, brute_force, run};
use std::io::Cursor;

/// Runs a program that must be right; a line that ends in a comma goes on.
#[track_caller]
fn healthy(text: &str, files: &Files) -> (Session, Recorder) {
    let mut joined = String::new();
    for line in text.lines() {
        joined.push_str(line.trim());
        joined.push_str(if line.trim_end().ends_with(',') { " " } else { "\n" });
    }
    program_support::healthy(&joined, files)
}

/// The deterministic tensor of the goldens.
fn det(shape: &[usize]) -> Vec<f64> {
    let weights = [3, 5, 7, 2, 4];
    let cells: usize = shape.iter().product();
    (0..cells)
        .map(|mut k| {
            let mut index = vec![0; shape.len()];
            for (i, n) in index.iter_mut().zip(shape).rev() {
                *i = k % n;
                k /= n;
            }
            let sum: usize = index.iter().zip(weights).map(|(i, w)| i * w).sum();
            let product: usize = index.iter().map(|i| i + 1).product();
            1.0 + (sum % 11) as f64 + 0.1 * (product % 4) as f64
        })
        .collect()
}

fn files(list: &[(&str, &[usize], Vec<f64>)]) -> Files {
    let mut files = Files::default();
    for (name, shape, values) in list {
        files.there.insert((*name).to_string(), npy_of(shape, values));
    }
    files
}

/// Which cells of a 3 × 4 × 5 tensor the goldens observe.
fn seen() -> Vec<bool> {
    (0..60).map(|k| (k / 20 + 2 * (k / 5 % 4) + 3 * (k % 5)) % 5 != 0).collect()
}

fn golden_files() -> Files {
    let x = det(&[3, 4, 5]);
    let seen = seen();
    let nan = x.iter().zip(&seen).map(|(x, s)| if *s { *x } else { f64::NAN }).collect();
    let marks = |missing: bool| seen.iter().map(|s| f64::from(u8::from(*s != missing))).collect();
    files(&[
        ("x.npy", &[3, 4, 5], x),
        ("nan.npy", &[3, 4, 5], nan),
        ("seen.npy", &[3, 4, 5], marks(false)),
        ("missing.npy", &[3, 4, 5], marks(true)),
    ])
}

/// Arrays of truth values in one archive.
fn archive(list: &[(&str, &[usize], Vec<bool>)], compressed: bool) -> Vec<u8> {
    let bytes = Cursor::new(Vec::new());
    let mut writer = if compressed { NpzWriter::new_compressed(bytes) } else { NpzWriter::new(bytes) };
    for (name, shape, marks) in list {
        writer
            .add_array(*name, &ArrayD::from_shape_vec(*shape, marks.clone()).expect("as many marks as cells"))
            .expect("an array");
    }
    writer.finish().expect("an archive").into_inner()
}

const MODES: &str = "mode a: 3, b: 4, c: 5\n";

fn close(found: f64, wanted: f64, tolerance: f64, what: &str) {
    assert!((found - wanted).abs() <= tolerance, "{what}: {found} for {wanted}");
}

#[test]
fn a_mask_in_an_archive_is_the_same_mask() {
    let (observed, lost): (Vec<bool>, Vec<bool>) = seen().iter().map(|s| (*s, !*s)).unzip();
    let slab: Vec<bool> = (0..12).map(|k| k / 3 == 1 && k % 3 == 2).collect();
    let all: &[usize] = &[3, 4, 5];
    for compressed in [false, true] {
        let mut files = golden_files();
        let mut add = |name: &str, list: &[(&str, &[usize], Vec<bool>)]| {
            files.there.insert(name.into(), archive(list, compressed));
        };
        add("one.npz", &[("w", all, observed.clone())]);
        add("slab.npz", &[("slab", &[4, 3], slab.clone())]);
        add("both.npz", &[("lost", all, lost.clone()), ("slab", &[4, 3], slab.clone())]);
        let ask = |clause: &str, option: &str| {
            let source = format!(
                "{MODES}data x[a, b, c] from \"x.npy\" {clause}
                 model m {{ body(1) }}
                 fit m to x {{ {option} }}
                 show x.missing, m.divergence, m.df"
            );
            let (_, r) = healthy(&source, &files);
            (r.number("x.missing"), r.number("m.divergence"), r.number("m.df"))
        };
        let total = |clause: &str| ask(clause, "");
        let wanted = total("observed from \"seen.npy\"");
        for clause in [
            "observed from \"one.npz\"",
            "observed from \"one.npz\" key w",
            "observed from \"one.npz\"[a, b, c] key \"w.npy\"",
            "missing from \"both.npz\" key lost",
        ] {
            assert_eq!(total(clause), wanted, "{clause}");
        }
        let wanted = total("missing where b == 1 and a == 2");
        for clause in ["missing from \"slab.npz\"[b, a]", "missing from \"both.npz\"[b, a] key slab"] {
            assert_eq!(total(clause), wanted, "{clause}");
        }
        let wanted = ask("", "hold_out where b == 1 and a == 2");
        for option in ["hold_out from \"slab.npz\"[b, a]", "hold_out from \"both.npz\"[b, a] key slab"] {
            assert_eq!(ask("", option), wanted, "{option}");
        }
    }
}

#[test]
fn what_a_mask_file_cannot_be() {
    let all: &[usize] = &[3, 4, 5];
    let marks: Vec<bool> = seen();
    let mut files = golden_files();
    let two = archive(&[("lost", all, marks.clone()), ("slab", &[4, 3], vec![true; 12])], true);
    files.there.insert("cut.npz".into(), two[..60].to_vec());
    files.there.insert("two.npz".into(), two);
    files.there.insert("table.csv".into(), b"a,b,c\n0,0,0\n".to_vec());
    for (mask, code, message) in [
        ("\"two.npz\"", "MBA406", "`two.npz` holds 2 arrays"),
        ("\"two.npz\" key last", "MBA406", "`two.npz` holds no array `last`"),
        (
            "\"two.npz\" key slab",
            "MBA450",
            "the mask `slab` in `two.npz` is not over the modes `[a: 3, b: 4, c: 5]`",
        ),
        ("\"cut.npz\"", "MBA404", "`cut.npz` is not an archive that can be read"),
        ("\"table.csv\"", "MBA404", "the mask `table.csv` is not a NumPy array"),
        ("\"seen.npy\" key w", "MBA409", "the mask `seen.npy` holds no arrays to choose from"),
    ] {
        let data = format!("{MODES}data x[a, b, c] from \"x.npy\"");
        let (_, found, _) = run(&format!("{data} observed from {mask}\n"), &files);
        let found: Vec<_> = found.iter().map(|d| (d.code.name(), d.message.as_str())).collect();
        assert_eq!(found, [(code, message)], "observed from {mask}");
        let held = format!("{data}\nmodel m {{ body(1) }}\nfit m to x {{ hold_out from {mask} }}\n");
        assert_eq!(run(&held, &files).2.codes, [code], "hold_out from {mask}");
    }
}

/// The key of the data, written after a mask, is one of the mask.
#[test]
fn a_key_belongs_to_the_file_before_it() {
    let all: &[usize] = &[3, 4, 5];
    let mut files = golden_files();
    let two = archive(&[("flow", all, vec![true; 60]), ("rest", all, vec![true; 60])], false);
    files.there.insert("two.npz".into(), two);
    let data = format!("{MODES}data x[a, b, c] from \"two.npz\"");
    let (_, found, _) = run(&format!("{data} key flow observed from \"seen.npy\"\n"), &files);
    assert!(found.is_empty(), "{found:?}");
    let (session, found, _) = run(&format!("{data} observed from \"seen.npy\" key flow\n"), &files);
    let [found] = found.as_slice() else { panic!("{found:?}") };
    let text = program_support::rendered(found, &session.sources);
    assert_eq!(found.code.name(), "MBA406");
    assert!(text.contains("`flow` is looked for in the mask before it"), "{text}");
    assert!(text.contains("help: write the `key` of the data before the mask"), "{text}");
    // data that are found without one say nothing of it
    let (_, found, _) =
        run(&format!("{MODES}data x[a, b, c] from \"x.npy\" observed from \"two.npz\" key flow\n"), &files);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn published_values_however_the_mask_is_written() {
    for clause in [
        "\"nan.npy\" missing where nan",
        "\"nan.npy\" observed where not nan",
        "\"x.npy\" observed from \"seen.npy\"",
        "\"x.npy\" missing from \"missing.npy\"[a, b, c]",
        "\"x.npy\" missing where (a + 2 * b + 3 * c) mod 5 == 0",
        "\"nan.npy\" missing where value == nan or (a == 0 and b == 0 and c == 0)",
    ] {
        let (_, r) = healthy(
            &format!(
                "{MODES}data x[a, b, c] from {clause}
                 model one {{ body(1) }}
                 model two {{ body(2) }}
                 fit one to x {{ tolerance 1e-13 }}
                 fit two to x {{ tolerance 1e-13 }}
                 show one.divergence, two.divergence, two.completed, one.completed, two.df, two.parameters"
            ),
            &golden_files(),
        );
        close(r.number("one.divergence"), 40.152685558524, 1e-9, clause);
        close(r.number("two.divergence"), 27.297236520897208, 1e-9, clause);
        let seen = seen();
        let first = |label: &str| -> Vec<f64> {
            r.numbers(label).into_iter().zip(&seen).filter(|(_, s)| !**s).map(|(x, _)| x).take(3).collect()
        };
        for (found, wanted) in first("two.completed")
            .into_iter()
            .zip([4.197642826224653, 2.6759696289038644, 17.308372526840888])
            .chain(first("one.completed").into_iter().zip([
                8.01852691132175,
                5.917267119321105,
                7.076737861157626,
            ]))
        {
            close(found, wanted, 1e-9 * wanted, clause);
        }
        // 48 observed cells, and the dimension of the two-body model on them
        assert_eq!((r.number("two.df"), r.number("two.parameters")), (12.0, 35.0), "{clause}");
    }
}

#[test]
fn the_observed_cells_stay_and_the_marginals_match_on_them() {
    let (_, r) = healthy(
        &format!(
            "{MODES}data x[a, b, c] from \"x.npy\" observed from \"seen.npy\"
             model two {{ body(2) }}
             fit two to x {{ tolerance 1e-12 }}
             show two.completed, two.reconstruction, two.residuals, two.certificate.optimality_gap, two.kl, two.total"
        ),
        &golden_files(),
    );
    let (x, seen) = (det(&[3, 4, 5]), seen());
    let completed = r.numbers("two.completed");
    let fitted = r.numbers("two.reconstruction");
    for k in 0..60 {
        if seen[k] {
            assert_eq!(completed[k], x[k]);
        } else {
            assert_eq!(completed[k], fitted[k]);
        }
    }
    let sums = |v: &[f64], key: &dyn Fn(usize) -> usize, n: usize| {
        let mut sums = vec![0.0; n];
        (0..60).filter(|k| seen[*k]).for_each(|k| sums[key(k)] += v[k]);
        sums
    };
    let keys: [(&dyn Fn(usize) -> usize, usize); 3] =
        [(&|k| k / 5, 12), (&|k| k / 20 * 5 + k % 5, 15), (&|k| k / 5 % 4 * 5 + k % 5, 20)];
    for (key, n) in keys {
        for (a, b) in sums(&x, key, n).iter().zip(sums(&fitted, key, n)) {
            close(b, *a, 1e-9, "a marginal over observed cells");
        }
    }
    assert!(r.number("two.certificate.optimality_gap") < 1e-14);
    let total: f64 = x.iter().zip(&seen).filter(|(_, s)| **s).map(|(x, _)| x).sum();
    close(r.number("two.total"), total, 1e-9, "the observed total");
    close(r.number("two.kl") * total, 27.297236520897208, 1e-9, "kl × total");
}

#[test]
fn the_answer_does_not_depend_on_where_it_starts() {
    // a fixed potential inside the span of the free tables moves the start and not the optimum
    let program = |start: &str| {
        format!(
            "{MODES}data x[a, b, c] from \"x.npy\" observed from \"seen.npy\"
             model two {{ body(2)\n{start} }}
             fit two to x {{ tolerance 1e-13 }}
             show two.completed, two.divergence"
        )
    };
    let files = golden_files();
    let (_, plain) = healthy(&program(""), &files);
    for start in ["[a b] = 3 * a * b", "[b c] = 2 * b - 4 * c * c\n[a] = 5 * a"] {
        let (_, moved) = healthy(&program(start), &files);
        close(moved.number("two.divergence"), plain.number("two.divergence"), 1e-9, start);
        for (a, b) in plain.numbers("two.completed").iter().zip(moved.numbers("two.completed")) {
            close(b, *a, 1e-8 * a, start);
        }
    }
}

#[test]
fn masks_over_some_modes_are_those_over_all() {
    // the same cells, once as two small factors and once cell by cell
    let x = det(&[3, 4, 5]);
    let hidden = |k: usize| (k / 20 == 1 && k / 5 % 4 == 2) || k % 5 == 3 && k / 20 == 0;
    let marks: Vec<f64> = (0..60).map(|k| f64::from(u8::from(hidden(k)))).collect();
    let slab: Vec<f64> = (0..12).map(|k| f64::from(u8::from(k % 4 == 2 && k / 4 == 1))).collect();
    let turned: Vec<f64> = (0..12).map(|k| slab[k % 3 * 4 + k / 3]).collect();
    let files = files(&[
        ("x.npy", &[3, 4, 5], x),
        ("all.npy", &[3, 4, 5], marks),
        ("slab.npy", &[3, 4], slab),
        ("turned.npy", &[4, 3], turned),
    ]);
    let mut found: Vec<Recorder> = Vec::new();
    for clause in [
        "missing from \"all.npy\"",
        "missing where a == 1 and b == 2 or c == 3 and a == 0",
        "missing from \"slab.npy\"[a, b] missing where c == 3 and a == 0",
        "missing from \"turned.npy\"[b, a] missing where c == 3 and a == 0",
    ] {
        let (_, r) = healthy(
            &format!(
                "{MODES}data x[a, b, c] from \"x.npy\" {clause}
                 model line {{ [a b] [b c] }}
                 model one {{ body(1) }}
                 model two {{ body(2) }}
                 fit line to x {{ tolerance 1e-12 }}
                 fit one to x {{ tolerance 1e-12 }}
                 fit two to x {{ tolerance 1e-12 }}
                 show line.divergence, one.divergence, two.divergence, line.reconstruction, one.completed,
                     two.completed, line.df, one.df, two.df"
            ),
            &files,
        );
        found.push(r);
    }
    for other in &found[1..] {
        for label in ["line.divergence", "one.divergence", "two.divergence", "line.df", "one.df", "two.df"] {
            close(other.number(label), found[0].number(label), 1e-9, label);
        }
        for label in ["line.reconstruction", "one.completed", "two.completed"] {
            for (a, b) in found[0].numbers(label).iter().zip(other.numbers(label)) {
                assert!(a.is_nan() && b.is_nan() || (a - b).abs() < 1e-8, "{label}: {a} {b}");
            }
        }
    }
    // [a b] has no observed cell at a: 1, b: 2
    assert_eq!(found[0].numbers("line.reconstruction").iter().filter(|x| x.is_nan()).count(), 5);
    assert_eq!(found[0].numbers("one.completed").iter().filter(|x| x.is_nan()).count(), 0);
    assert!(found[0].codes.contains(&"MBA563"));
}

#[test]
fn cells_that_nothing_determines_come_back_as_missing() {
    let (_, r) = healthy(
        "mode a: 3, b: 3
         data x[a, b] = [[1, 2, missing], [3, 4, missing], [missing, missing, 5]]
         model apart { body(1) }
         fit apart to x
         show apart.completed, apart.undetermined, apart.entropy, apart.df, apart.divergence",
        &Files::default(),
    );
    let nan: Vec<bool> = r.numbers("apart.completed").iter().map(|x| x.is_nan()).collect();
    assert_eq!(nan, [false, false, true, false, false, true, true, true, false]);
    assert_eq!(r.value("apart.undetermined").as_array().unwrap().len(), 4);
    assert!(r.value("apart.entropy").is_null());
    // five cells; a matrix of two by two apart, and one cell that is free
    assert_eq!(r.number("apart.df"), 1.0);
    assert!(r.codes.contains(&"MBA563"), "{}", r.text);
}

#[test]
fn zeros_can_send_a_missing_cell_to_infinity() {
    // no finite value of the last cell makes the first one zero
    let (_, r) = healthy(
        "mode a: 2, b: 2
         data x[a, b] = [[0, 2], [3, missing]]
         model apart { body(1) }
         fit apart to x
         show apart.completed, apart.status",
        &Files::default(),
    );
    assert!(r.numbers("apart.completed")[3].is_nan(), "{}", r.text);
}

#[test]
fn what_another_zero_explains_leaves_a_cell_open() {
    // that nobody came to the harbour at night says nothing of the harbour: nobody came anywhere at night
    let (_, r) = healthy(
        "mode station: {centre, park, harbour}, hour: {night, morning, noon}, day: 2
         data x[station, hour] = [[0, 5, 7], [0, 6, 9], [0, missing, missing]]
         data y[station, hour, day] = [[[0, 1], [5, 2], [7, 3]], [[0, 4], [6, 5], [9, 6]],
             [[0, 0], [missing, 3], [missing, 4]]] 
         model apart { body(1) }
         model lean { [station hour]; prior 20% toward apart }
         fit apart to x
         fit apart to x by ipf as slowly
         fit lean to x
         fit apart to y as all
         show apart.completed, apart.undetermined, slowly.completed, lean.completed, all.completed",
        &Files::default(),
    );
    for name in ["apart", "slowly", "lean"] {
        let cells = r.numbers(&format!("{name}.completed"));
        assert_eq!((cells[0], cells[3], cells[6]), (0.0, 0.0, 0.0), "{name}: {cells:?}");
        assert!(cells[7].is_nan() && cells[8].is_nan(), "{name}: {cells:?}");
    }
    assert!(r.numbers("all.completed").iter().all(|x| x.is_finite()), "{}", r.text);

    // three of the five have limits of every size, the last one has the limit 0
    let (_, r) = healthy(
        "mode a: 2, b: 2, c: 2
         data x[a, b, c] = [[[1, missing], [missing, 0]], [[0, 0], [missing, missing]]]
         model apart { body(1) }
         fit apart to x
         show apart.completed",
        &Files::default(),
    );
    let open: Vec<bool> = r.numbers("apart.completed").iter().map(|x| x.is_nan()).collect();
    assert_eq!(open, [false, true, true, false, false, false, true, false], "{}", r.text);
}

#[test]
fn cells_that_vanish_with_others_are_known_to() {
    // both margins of the first are zero; that of the second says that it vanishes with the cell beside it
    let (_, r) = healthy(
        "mode a: 3, b: 3, i: 2, j: 3
         data x[a, b] = [[missing, 0, 0], [0, 1, 2], [0, 3, 4]]
         data y[i, j] = [[missing, 0, 1], [2, 1, missing]]
         model apart { body(1) }
         fit apart to x
         fit apart to y as other
         show apart.completed, other.completed",
        &Files::default(),
    );
    assert_eq!(r.numbers("apart.completed")[0], 0.0, "{}", r.text);
    let other = r.numbers("other.completed");
    assert!(other[0] < 1e-8 && other[5].is_nan(), "{}", r.text);
}

#[test]
fn which_cells_have_a_limit_does_not_depend_on_the_tolerance() {
    for (tolerance, by) in
        [(1e-3, ""), (1e-5, ""), (1e-7, ""), (1e-12, ""), (1e-3, "by ipf"), (1e-6, "by ipf")]
    {
        let program = format!(
            "mode a: 2, b: 2, c: 3
             data x[a, b] = [[1, missing], [0, 2]]
             data y[a, b, c] = [[[1, 2, 3], [missing, missing, missing]], [[0, 1e-4, 1], [2, 4, 8]]]
             model apart {{ body(1) }}
             fit apart to x {by} as one {{ tolerance {tolerance} }}
             fit apart to y {by} as two {{ tolerance {tolerance} }}
             show one.completed, two.completed"
        );
        // the second cell is left, by proportional fitting, long before its limit
        let (_, r) = healthy(&program, &Files::default());
        assert!(r.numbers("one.completed")[1].is_nan(), "{tolerance} {by}: {}", r.text);
        let all = r.numbers("two.completed");
        assert!(all.iter().all(|x| x.is_finite()), "{tolerance} {by}: {}", r.text);
    }
}

#[test]
fn what_leans_to_a_model_on_the_boundary_leans_to_its_limit() {
    // what tends to zero there is zero, and what tends to infinity says nothing
    let (_, r) = healthy(
        "mode a: 2, b: 2
         data x[a, b] = [[1, missing], [0, 2]]
         model plain { body(1) }
         model full { [a b]; prior 50% toward plain }
         model same { body(1); prior 50% toward plain }
         fit full to x
         fit same to x
         show full.fitted, same.fitted, same.completed",
        &Files::default(),
    );
    let full = r.numbers("full.fitted");
    assert!(full[1].is_nan() && full[2] == 0.0, "{}", r.text);
    close(full[3], 2.0, 1e-9, "with data and pseudo-data that agree");
    let same = r.numbers("same.completed");
    assert!(same[1].is_nan(), "{}", r.text);
    assert!(r.numbers("same.fitted")[2] < 1e-8, "{}", r.text);
}

#[test]
fn a_bound_does_not_forget_that_pseudo_data_are_fitted() {
    // at a loose tolerance the model that is leaned to is fitted as closely as ever, so that the bound stays one
    let program = |tolerance: f64| {
        format!(
            "mode a: 3, b: 3, c: 3
             data x[a, b, c] = [[[3, 1, 4], [1, 5, 9], [2, 6, 5]], [[3, 5, 8], [9, 7, 9], [3, 2, 3]],
                 [[8, 4, 6], [2, 6, 4], [3, 3, 8]]]
             model pairs {{ body(2) }}
             model full {{ [a b c]; prior 400 toward pairs }}
             fit full to x {{ tolerance {tolerance} }}
             show full.kl"
        )
    };
    let found = |tolerance: f64| {
        let (session, _) = healthy(&program(tolerance), &Files::default());
        session.fit("full").expect("a fit").fit
    };
    let (exact, loose) = (found(1e-13), found(1e-2));
    let bound = loose.certificate.optimality_gap.expect("a bound");
    let away = (loose.kl - exact.kl).abs();
    assert!(away <= bound + 1e-9, "{away} {bound}");
}

/// The table of mobility between five classes that is in every book on square tables.
const MOBILITY: &str = "mode father: 5, son: 5
data x[father, son] = [
    [50, 45, 8, 18, 8], [28, 174, 84, 154, 55], [11, 78, 110, 223, 96], [14, 150, 185, 714, 447],
    [3, 42, 72, 320, 411]]
";

#[test]
fn quasi_independence_is_that_of_loglin_and_glm() {
    // R 4.2.2:
    // > x <- matrix(c(50,45,8,18,8, 28,174,84,154,55, 11,78,110,223,96, 14,150,185,714,447,
    // +               3,42,72,320,411), 5, byrow=TRUE)
    // > off <- 1 - diag(5)
    // > fit <- loglin(x*off, list(1,2), start=off, fit=TRUE, eps=1e-12, iter=10000, print=FALSE)
    // > fit$lrt; fit$pearson; fit$fit[1,2]; fit$fit[5,4]
    // 235.78179906204  318.736546378862  9.54853458442851  277.354972853864
    // > d <- data.frame(n=as.vector(x), r=factor(row(x)), c=factor(col(x)))
    // > g <- glm(n ~ r + c, poisson, d, subset=row(x)!=col(x)); deviance(g); df.residual(g)
    // 235.78179906204  11
    let (_, r) = healthy(
        &format!(
            "{MOBILITY}
             data off[father, son] = [
                 [0, 45, 8, 18, 8], [28, 0, 84, 154, 55], [11, 78, 0, 223, 96], [14, 150, 185, 0, 447],
                 [3, 42, 72, 320, 0]]
             data y[father, son] = [
                 [50, 45, 8, 18, 8], [28, 174, 84, 154, 55], [11, 78, 110, 223, 96], [14, 150, 185, 714, 447],
                 [3, 42, 72, 320, 411]] missing where father == son
             model quasi {{ body(1) forbid father == son }}
             model apart {{ body(1) }}
             fit quasi to off {{ tolerance 1e-13 }}
             fit apart to y as unknown {{ tolerance 1e-13 }}
             show quasi.deviance, quasi.pearson, quasi.df, quasi.fitted, unknown.deviance, unknown.df,
                 unknown.completed, quasi.certificate.optimality_gap, unknown.pearson"
        ),
        &Files::default(),
    );
    close(r.number("quasi.deviance"), 235.78179906204, 1e-9, "G²");
    close(r.number("quasi.pearson"), 318.736546378862, 1e-8, "X²");
    assert_eq!(r.number("quasi.df"), 11.0);
    let fitted = r.numbers("quasi.fitted");
    close(fitted[1], 9.54853458442851, 1e-9, "the first row");
    close(fitted[23], 277.354972853864, 1e-8, "the last row");
    assert!((0..5).all(|i| fitted[6 * i] == 0.0), "impossible cells are zero");
    // the same fit of what is observed, with another meaning of the rest
    close(r.number("unknown.deviance"), 235.78179906204, 1e-9, "G²");
    close(r.number("unknown.pearson"), 318.736546378862, 1e-8, "X²");
    assert_eq!(r.number("unknown.df"), 11.0);
    let completed = r.numbers("unknown.completed");
    close(completed[1], 45.0, 0.0, "an observed cell");
    assert!((0..5).all(|i| completed[6 * i] > 0.0), "missing cells are predicted");
    assert!(r.number("quasi.certificate.optimality_gap") < 1e-12);
}

#[test]
fn quasi_symmetry_and_symmetry_are_those_of_glm() {
    // R 4.2.2, with x and d as above:
    // > s <- factor(paste(pmin(row(x),col(x)), pmax(row(x),col(x))))
    // > q <- glm(n ~ r + c + s, poisson, d, control=glm.control(epsilon=1e-12, maxit=50))
    // > deviance(q); df.residual(q); fitted(q)[c(2,6,20)]
    // 4.66407133641589  6  30.7702404113745 42.2297595886255 325.997367822393
    // > y <- glm(n ~ s, poisson, d); deviance(y); df.residual(y)
    // 37.4636996841004  10
    let (_, r) = healthy(
        &format!(
            "{MOBILITY}
             model quasi {{ [father] [son] [father son] tie [father son] ~ [son father] }}
             model symmetric {{ [father son] tie [father son] ~ [son father] }}
             fit quasi to x {{ tolerance 1e-12 }}
             fit symmetric to x {{ tolerance 1e-12 }}
             show quasi.deviance, quasi.df, quasi.fitted, symmetric.deviance, symmetric.df,
                 quasi.certificate.optimality_gap"
        ),
        &Files::default(),
    );
    close(r.number("quasi.deviance"), 4.66407133641589, 1e-9, "G²");
    assert_eq!(r.number("quasi.df"), 6.0);
    let fitted = r.numbers("quasi.fitted");
    close(fitted[5], 30.7702404113745, 1e-8, "second row, first column");
    close(fitted[1], 42.2297595886255, 1e-8, "first row, second column");
    close(r.number("symmetric.deviance"), 37.4636996841004, 1e-9, "G²");
    assert_eq!(r.number("symmetric.df"), 10.0);
    assert!(r.number("quasi.certificate.optimality_gap") < 1e-11);
}

#[test]
fn an_impossible_cell_is_a_cell_that_was_never_summed() {
    // proportional fitting from a start that is zero there
    let shape = [3, 4, 5];
    let x: Vec<f64> = det(&shape);
    let allowed = |k: usize| !(k / 20 + k / 5 % 4).is_multiple_of(3);
    let zeroed: Vec<f64> = (0..60).map(|k| if allowed(k) { x[k] } else { 0.0 }).collect();
    let (_, r) = healthy(
        &format!(
            "{MODES}data x[a, b, c] from \"z.npy\"
             model two {{ [a c] [b c] forbid (a + b) mod 3 == 0 }}
             model both {{ [a c] [b c] forbid a == 0 and b == 0 or a == 0 and b == 3 or a == 1 and b == 2
                 forbid a == 2 and b == 1 }}
             fit two to x {{ tolerance 1e-12 }}
             fit both to x {{ tolerance 1e-12 }}
             show two.fitted, both.fitted, two.df, both.df, two.probability(a: 0, b: 0)"
        ),
        &files(&[("z.npy", &shape, zeroed.clone())]),
    );
    let mut q = vec![0.0; 60];
    (0..60).filter(|k| allowed(*k)).for_each(|k| q[k] = 1.0);
    for _ in 0..2000 {
        for key in [&(|k: usize| k / 20 * 5 + k % 5) as &dyn Fn(usize) -> usize, &|k| k / 5 % 4 * 5 + k % 5] {
            let (mut want, mut have) = (vec![0.0; 20], vec![0.0; 20]);
            (0..60).for_each(|k| {
                want[key(k)] += zeroed[k];
                have[key(k)] += q[k];
            });
            (0..60).filter(|k| have[key(*k)] > 0.0).for_each(|k| q[k] *= want[key(k)] / have[key(k)]);
        }
    }
    for label in ["two.fitted", "both.fitted"] {
        for (a, b) in r.numbers(label).iter().zip(&q) {
            close(*a, *b, 1e-8, label);
        }
    }
    assert_eq!(r.number("two.df"), r.number("both.df"));
    assert_eq!(r.number("two.probability(a: 0, b: 0)"), 0.0);
    // without the condition the same program fits the whole table
    let whole = brute_force(&shape, &x, &[vec![0, 2], vec![1, 2]]);
    assert!(whole[0] > 0.0);
}

#[test]
fn held_out_cells_are_left_out_of_the_fit_and_measured() {
    let program = |option: &str| {
        format!(
            "{MODES}data x[a, b, c] from \"x.npy\"
             data y[a, b, c] from \"x.npy\" missing where a == 1 and c == 2
             model two {{ body(2) }}
             fit two to x as held {{ tolerance 1e-12, {option} }}
             fit two to y as masked {{ tolerance 1e-12 }}
             show held.held_out.rmse, held.held_out.mae, held.held_out.mape, held.held_out.kl,
                 held.held_out.cells, held.held_out.unidentified, held.divergence, masked.divergence,
                 masked.reconstruction, held.held_out.levels, held.completed"
        )
    };
    let files = files(&[
        ("x.npy", &[3, 4, 5], det(&[3, 4, 5])),
        ("m.npy", &[3, 4, 5], (0..60).map(|k| f64::from(u8::from(k / 20 == 1 && k % 5 == 2))).collect()),
    ]);
    let x = det(&[3, 4, 5]);
    for option in ["hold_out where a == 1 and c == 2", "hold_out from \"m.npy\""] {
        let (_, r) = healthy(&program(option), &files);
        // [a c] has nothing there: no model of pairs can say what it is
        assert_eq!(r.number("held.held_out.unidentified"), 4.0, "{option}");
        assert!(r.value("held.held_out.rmse").is_null());
        close(r.number("held.divergence"), r.number("masked.divergence"), 1e-10, option);
    }
    let (_, r) = healthy(&program("hold_out where a == 1 and b > 1 and c == 2"), &files);
    assert_eq!((r.number("held.held_out.cells"), r.number("held.held_out.unidentified")), (2.0, 0.0));
    let (_, again) = healthy(
        &format!(
            "{MODES}data x[a, b, c] from \"x.npy\" missing where a == 1 and b > 1 and c == 2
             model two {{ body(2) }}
             fit two to x {{ tolerance 1e-12 }}
             show two.reconstruction"
        ),
        &files,
    );
    let m = again.numbers("two.reconstruction");
    let cells = [32, 37];
    let n = cells.len() as f64;
    let mean = |f: &dyn Fn(f64, f64) -> f64| cells.iter().map(|k| f(x[*k], m[*k])).sum::<f64>() / n;
    close(r.number("held.held_out.rmse"), mean(&|x, m| (x - m) * (x - m)).sqrt(), 1e-9, "rmse");
    close(r.number("held.held_out.mae"), mean(&|x, m| (x - m).abs()), 1e-9, "mae");
    close(r.number("held.held_out.mape"), mean(&|x, m| (x - m).abs() / x), 1e-9, "mape");
    let mass: f64 = cells.iter().map(|k| x[*k]).sum();
    let kl = n * mean(&|x, m| x * (x / m).ln() - x + m) / mass;
    close(r.number("held.held_out.kl"), kl, 1e-9, "kl");
    assert_eq!(r.numbers("held.completed"), x, "held-out cells are known");
}

#[test]
fn a_seed_holds_out_the_same_cells_and_their_number_is_exact() {
    let program = |option: &str| {
        format!(
            "{MODES}data x[a, b, c] from \"x.npy\"
             model one {{ body(1) }}
             fit one to x {{ {option} }}
             show one.held_out.rmse, one.held_out.cells"
        )
    };
    let files = files(&[("x.npy", &[3, 4, 5], det(&[3, 4, 5]))]);
    let rmse = |option: &str| {
        let (_, r) = healthy(&program(option), &files);
        assert_eq!(r.number("one.held_out.cells"), 12.0);
        r.number("one.held_out.rmse")
    };
    assert_eq!(rmse("hold_out 20% seed 1"), rmse("hold_out 20% seed 1"));
    assert_ne!(rmse("hold_out 20% seed 1"), rmse("hold_out 20% seed 2"));
}

#[test]
fn a_prior_pulls_towards_its_model_and_ends_in_it() {
    let program = |prior: &str| {
        format!(
            "{MODES}data x[a, b, c] from \"x.npy\" missing where a == 1 and c == 2
             model one {{ body(1) }}
             model two {{ body(2)\n{prior} }}
             fit one to x {{ tolerance 1e-12 }}
             fit two to x {{ tolerance 1e-10 }}
             show one.reconstruction, two.reconstruction, two.certificate.optimality_gap"
        )
    };
    let files = files(&[("x.npy", &[3, 4, 5], det(&[3, 4, 5]))]);
    let distance = |r: &Recorder| -> f64 {
        let (a, b) = (r.numbers("one.reconstruction"), r.numbers("two.reconstruction"));
        a.iter().zip(&b).map(|(a, b)| (a - b).abs()).filter(|d| d.is_finite()).fold(0.0, f64::max)
    };
    let (_, none) = healthy(&program(""), &files);
    assert!(none.numbers("two.reconstruction").iter().any(|x| x.is_nan()));
    let mut last = f64::INFINITY;
    for prior in ["prior 1% toward one", "prior 100% toward one", "prior 1e6 toward one"] {
        let (_, r) = healthy(&program(prior), &files);
        assert!(r.numbers("two.reconstruction").iter().all(|x| x.is_finite()), "every cell is determined");
        assert!(r.number("two.certificate.optimality_gap") < 1e-10, "{}", r.text);
        assert!(distance(&r) < last, "{prior}");
        last = distance(&r);
    }
    assert!(last < 1e-2);
}

#[test]
fn a_cell_that_only_a_prior_tells_about_is_as_near_as_the_others() {
    // a table of both modes leaves nothing to fit: an unknown cell is what the prior says, however little it weighs
    for (data, strength) in [
        ("[[100000, 2, 3], [4, 50000, missing], [7, missing, 1]]", "0.1%"),
        ("[[100000, 2, 3], [4, 50000, missing], [7, missing, 1]]", "0.001%"),
        ("[[1, 2, 4], [3, 6, missing], [5, missing, 20]]", "1e-5%"),
    ] {
        let (_, r) = healthy(
            &format!(
                "mode a: 3, b: 3
                 data x[a, b] = {data}
                 model apart {{ body(1) }}
                 model m {{ [a b] prior {strength} toward body(1) }}
                 fit apart to x {{ tolerance 1e-13 }}
                 fit m to x
                 show m.fitted[a: 1, b: 2] / apart.fitted[a: 1, b: 2]"
            ),
            &Files::default(),
        );
        close(r.number("m.fitted[a: 1, b: 2] / apart.fitted[a: 1, b: 2]"), 1.0, 1e-8, strength);
    }
}

#[test]
fn a_prior_that_covers_every_cell_leaves_none_out_of_the_errors() {
    let program = |prior: &str| {
        format!(
            "{MODES}data x[a, b, c] from \"x.npy\"
             model order(m) {{ body(m) }}
             model two {{ body(2)\n{prior} }}
             fit two to x {{ hold_out where a == 1 and c == 2 or b == 3 and c == 4 }}
             show two.held_out.cells, two.held_out.unidentified, two.held_out.rmse, two.reconstruction"
        )
    };
    let files = files(&[("x.npy", &[3, 4, 5], det(&[3, 4, 5]))]);
    let (_, none) = healthy(&program(""), &files);
    assert_eq!((none.number("two.held_out.cells"), none.number("two.held_out.unidentified")), (7.0, 7.0));
    assert!(none.value("two.held_out.rmse").is_null());
    let (_, first) = healthy(&program("prior 5% toward body(1)"), &files);
    assert_eq!((first.number("two.held_out.cells"), first.number("two.held_out.unidentified")), (7.0, 0.0));
    assert!(first.number("two.held_out.rmse") > 0.0);
    // a family, and a template of it with an argument, are one model
    let (_, same) = healthy(&program("prior 5% toward order(m: 1)"), &files);
    assert_eq!(first.numbers("two.reconstruction"), same.numbers("two.reconstruction"));
    // a prior that knows as little covers nothing
    let (_, little) = healthy(&program("prior 5% toward chain(3)"), &files);
    assert_eq!(little.number("two.held_out.unidentified"), 7.0);
}

#[test]
fn a_strength_that_was_chosen_is_told_and_is_one_that_can_be_written() {
    let program = |prior: &str| {
        format!(
            "{MODES}data x[a, b, c] from \"x.npy\" missing where a == 1 and c == 2
             model two {{ body(2); {prior} }}
             fit two to x
             show two.reconstruction"
        )
    };
    let files = files(&[("x.npy", &[3, 4, 5], det(&[3, 4, 5]))]);
    let (_, chosen) = healthy(&program("prior auto toward body(1)"), &files);
    assert!(chosen.codes.contains(&"MBA575"), "{}", chosen.text);
    let told = chosen.text.split("leans to `body(1)` by ").nth(1).and_then(|t| t.split('%').next()).unwrap();
    let (_, written) = healthy(&program(&format!("prior {told}% toward body(1)")), &files);
    assert!(!written.codes.contains(&"MBA575"));
    for (a, b) in chosen.numbers("two.reconstruction").iter().zip(written.numbers("two.reconstruction")) {
        close(*a, b, 1e-9 * b, told);
    }
}

/// What it had is leaned to, as where it is interrupted; the fit is not said to have come to its end.
#[test]
fn a_fit_that_leans_to_one_that_stopped_is_told_as_stopped() {
    let program = |to: &str, option: &str| {
        format!(
            "{MODES}data x[a, b, c] from \"x.npy\" missing where a == 1 and c == 2
             data y[b, c] = [[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9], [3, 2, 3, 8, 4]]
             model ring {{ [a b] [b c] [a c] }}
             model all {{ [a b c]; prior 5% toward ring }}
             model more {{ [a b c]; prior 5% toward all }}
             fit all to {to} as all {{ {option} }}
             fit more to {to} as more {{ {option} }}
             show all.cost, all.status, more.status"
        )
    };
    let files = files(&[("x.npy", &[3, 4, 5], det(&[3, 4, 5]))]);
    for to in ["x", "x, y"] {
        let (_, _, r) = run(&program(to, "tolerance 1e-12, max_sweeps 2"), &files);
        assert!(r.text.contains("`ring` stopped before its tolerance"), "{}", r.text);
        assert_eq!(r.fits.len(), 2, "{}", r.text);
        // each is told of once, also of a prior that has a prior
        let told = |name: &str| r.text.matches(&format!("`{name}` stopped before its tolerance")).count();
        assert_eq!(told("ring"), 2, "{}", r.text);
        for name in ["all", "more"] {
            assert_eq!(r.value(&format!("{name}.status")), "stopped", "{}", r.text);
        }
        assert_eq!(r.shown.len(), 3, "{}", r.text);
        healthy(&program(to, "tolerance 1e-9"), &files);
    }
}

#[test]
fn a_wish_to_stop_is_heard_by_the_models_that_are_leaned_to() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let text = format!(
        "{MODES}data x[a, b, c] from \"x.npy\" missing where a == 1 and c == 2
         model ring {{ [a b] [b c] [a c] }}
         model all {{ [a b c]; prior 5% toward ring }}
         fit all to x {{ tolerance 1e-12 }}
         show all.iterations"
    );
    let files = files(&[("x.npy", &[3, 4, 5], det(&[3, 4, 5]))]);
    let after = |asks: usize| {
        let asked = AtomicUsize::new(0);
        let stop = Stop::default().or_when(move || asked.fetch_add(1, Ordering::Relaxed) >= asks);
        let (mut session, _) = Session::load("t.mba", &text, Options { stop, ..Options::default() }, &files);
        let mut r = Recorder::default();
        session.run(&files, &mut r);
        r
    };
    let (whole, early) = (after(usize::MAX), after(3));
    assert!(!whole.codes.contains(&"MBA511"), "{}", whole.text);
    assert!(early.codes.contains(&"MBA511"), "{}", early.text);
    // the wish was made while `ring` was fitted, so that one sweep of the other is the last
    assert_eq!(early.number("all.iterations"), 1.0);
}

/// A search for the strength that is cut short says how far it came, and claims no comparison that was not made.
#[test]
fn a_strength_that_was_not_searched_for_to_the_end_says_so() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let files = files(&[("x.npy", &[3, 4, 5], det(&[3, 4, 5]))]);
    let y = "y[b, c] = [[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9], [3, 2, 3, 8, 4]]";
    for to in ["x", "x, y"] {
        let text = format!(
            "{MODES}data x[a, b, c] from \"x.npy\" missing where a == 1 and c == 2\ndata {y}
             model two {{ [a b] [b c] [a c]; prior auto toward body(1) }}
             fit two to {to} as two {{ tolerance 1e-12 }}"
        );
        let asks_of = |most: usize| {
            let asked = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&asked);
            let stop = Stop::default().or_when(move || counter.fetch_add(1, Ordering::Relaxed) >= most);
            let (mut session, _) =
                Session::load("t.mba", &text, Options { stop, ..Options::default() }, &files);
            let mut r = Recorder::default();
            session.run(&files, &mut r);
            (asked.load(Ordering::Relaxed), r)
        };
        let (all, whole) = asks_of(usize::MAX);
        assert!(whole.text.contains("of 9 shares, it predicted best"), "{}", whole.text);
        assert!(!whole.text.contains("cut short"), "{}", whole.text);
        let told: Vec<String> = (0..48).map(|k| asks_of(1 + all * k / 48).1.text).collect();
        let says = |words: &str| told.iter().filter(|t| t.contains(words)).count();
        assert!(says("cut short before any of 9 shares") > 0, "{to}: {}", told[1]);
        assert!(says("cut short after 5 of 9 shares: of these,") > 0, "{to}: {}", told[24]);
        for text in &told {
            // a search that was cut short is followed by a fit that was
            let cut = text.contains("the search was cut short");
            let chosen = text.contains("of 9 shares, it predicted best");
            assert!(!cut || text.contains("MBA511") && !chosen, "{text}");
            assert!(!cut || !text.contains("to keep it"), "{text}");
        }
    }
}

/// What a sparse mask determines can take longer to find than the fit.
#[test]
fn a_wish_to_stop_is_heard_while_the_mask_is_analysed() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let shape = [12, 12, 12];
    let observed: Vec<bool> = (0..1728u64).map(|k| (k * 7919 + k * k * 31) % 100 < 14).collect();
    let mut files = files(&[("x.npy", &shape, det(&shape))]);
    let seen = ndarray::ArrayD::from_shape_vec(shape.to_vec(), observed).expect("a cube");
    files.there.insert("seen.npy".into(), npy(&seen));
    let text = "mode a: 12, b: 12, c: 12\ndata x[a, b, c] from \"x.npy\" observed from \"seen.npy\"[a, b, c]\n\
                model pairs { body(2) }\nfit pairs to x\n";
    let asks_of = |most: usize| {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let stop = Stop::default().or_when(move || counter.fetch_add(1, Ordering::Relaxed) >= most);
        let (mut session, _) = Session::load("t.mba", text, Options { stop, ..Options::default() }, &files);
        let mut r = Recorder::default();
        session.run(&files, &mut r);
        (asked.load(Ordering::Relaxed), r)
    };
    let ((whole, _), (early, r)) = (asks_of(usize::MAX), asks_of(2));
    assert!(r.codes.contains(&"MBA511"), "{}", r.text);
    assert!(early < whole / 2 && whole > 50, "{early} of {whole}");
}

/// Whatever the fit is at when the wish is made, it is told as interrupted, or as if there had been none.
#[test]
fn a_fit_whose_mask_was_not_settled_was_interrupted() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let shape = [7, 7, 7];
    let observed: Vec<bool> = (0..343u64).map(|k| (k * 7919 + k * k * 31) % 100 < 30).collect();
    // zeros, so that what the others determine is asked for again
    let x = (0..343u64).map(|k| if k * k % 5 == 1 { 0.0 } else { (1 + k * 13 % 11) as f64 }).collect();
    let mut files = files(&[("x.npy", &shape, x)]);
    let seen = ndarray::ArrayD::from_shape_vec(shape.to_vec(), observed).expect("a cube");
    files.there.insert("seen.npy".into(), npy(&seen));
    let y = "data y[a, b] = [[3, 1, 4, 1, 5, 9, 2], [9, 2, 6, 5, 3, 5, 8], [5, 8, 9, 7, 9, 3, 2],
        [3, 8, 4, 6, 2, 6, 4], [3, 3, 8, 3, 2, 7, 9], [5, 0, 2, 8, 8, 4, 1], [9, 7, 1, 6, 9, 3, 9]]";
    for (model, to) in [
        ("body(2)", "x"),
        ("body(2); smooth [a b] along a strength 3", "x"),
        ("body(2); smooth [a b] along a strength 3; smooth [a b] along b strength 2; tie [a c] ~ [b c]", "x"),
        ("body(2); prior 1% toward body(1)", "x"),
        ("body(2); tie [a c] ~ [b c]", "x"),
        ("[a b] [b c] [a c]", "x, y"),
    ] {
        let text = format!(
            "mode a: 7 ordered; mode b: 7 ordered; mode c: 7
             data x[a, b, c] from \"x.npy\" observed from \"seen.npy\"[a, b, c]
             {}
             model m {{ {model} }}
             fit m to {to}",
            y.replace('\n', "")
        );
        let asks_of = |most: usize| {
            let asked = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&asked);
            let stop = Stop::default().or_when(move || counter.fetch_add(1, Ordering::Relaxed) >= most);
            let (mut session, found) =
                Session::load("t.mba", &text, Options { stop, ..Options::default() }, &files);
            assert!(!found.iter().any(|d| d.is_error()), "{found:?}");
            let mut r = Recorder::default();
            session.run(&files, &mut r);
            (asked.load(Ordering::Relaxed), r)
        };
        let (all, whole) = asks_of(usize::MAX);
        assert!(!whole.text.contains("cut short") && !whole.codes.contains(&"MBA511"), "{}", whole.text);
        let early = (0..24).map(|k| 1 + all * k / 24);
        let late = (1..24).filter_map(|k| all.checked_sub(k));
        for most in early.chain(late) {
            let (_, r) = asks_of(most);
            let heard = r.codes.contains(&"MBA511") || r.codes.contains(&"MBA530");
            assert!(!r.codes.contains(&"MBA510"), "{model}, after {most} of {all}: {}", r.text);
            assert!(heard || !r.text.contains("cut short"), "{model}, after {most} of {all}: {}", r.text);
            assert!(heard || r.text == whole.text, "{model}, after {most} of {all}: {}", r.text);
        }
    }
}

#[test]
fn a_family_to_lean_to_has_the_impossible_cells_of_the_model() {
    let program = |prior: &str| {
        format!(
            "mode a: 3, b: 3, c: 2
             data x[a, b, c] = [[[0, 0], [3, 9], [2, 4]], [[5, 1], [0, 0], [6, 2]], [[7, 3], [8, 5], [0, 0]]]
             model apart {{ body(1) forbid a == b }}
             model two {{ body(2) forbid a == b\n{prior} }}
             fit two to x {{ tolerance 1e-12 }}
             show two.fitted"
        )
    };
    let (_, family) = healthy(&program("prior 50% toward body(1)"), &Files::default());
    let (_, model) = healthy(&program("prior 50% toward apart"), &Files::default());
    assert_eq!(family.numbers("two.fitted"), model.numbers("two.fitted"));
    assert_eq!(family.numbers("two.fitted")[0], 0.0);
}

#[test]
fn unknown_values_of_tables_are_those_of_arrays() {
    let mut files = Files::default();
    let table = "a,b,n\n0,0,4\n0,1,NA\n1,0,3\n1,1,\n2,0,5\n2,1,6\n";
    files.there.insert("na.csv".into(), table.into());
    files.there.insert("nan.csv".into(), table.replace("NA", "nan").replace(",\n", ",NaN\n").into());
    files.there.insert("minus.csv".into(), table.replace("NA", "-1").replace(",\n", ",-9\n").into());
    files.there.insert("nan.tns".into(), "1 1 4\n1 2 nan\n2 1 3\n2 2 nan\n3 1 5\n3 2 6\n".into());
    let places = ndarray::arr2(&[[0u8, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]]);
    files.there.insert("c.npy".into(), npy(&places));
    files.there.insert("v.npy".into(), npy_of(&[6], &[4.0, -1.0, 3.0, f64::INFINITY, 5.0, 6.0]));
    for (source, clause) in [
        ("from \"na.csv\" count n", "missing where nan"),
        ("from \"nan.csv\" sum n", "observed where not nan"),
        ("from \"minus.csv\" count n", "missing where value < 0"),
        ("from \"na.csv\" count n", "missing where b == 1 and a < 2"),
        ("from \"nan.tns\"", "missing where nan"),
        ("from coords \"c.npy\" values \"v.npy\"", "missing where value < 0 or value == inf"),
        ("= [[4, nan], [3, missing], [5, 6]]", "missing where nan"),
    ] {
        let (_, r) = healthy(
            &format!(
                "mode a: 3, b: 2
                 data x[a, b] {source} {clause}
                 model apart {{ body(1) }}
                 fit apart to x {{ tolerance 1e-13 }}
                 show apart.completed, apart.df, apart.total, apart.log_likelihood"
            ),
            &files,
        );
        for (found, wanted) in r.numbers("apart.completed").into_iter().zip([4.0, 4.8, 3.0, 3.6, 5.0, 6.0]) {
            close(found, wanted, 1e-12, &format!("{source} {clause}"));
        }
        assert_eq!((r.number("apart.df"), r.number("apart.total")), (0.0, 18.0), "{source} {clause}");
        assert!(r.number("apart.log_likelihood").is_finite(), "what is hidden is no reason not to be counts");
    }
    // levels that the file brings are also those of cells whose value is not known
    for (source, clause) in [
        ("from \"na.csv\" count n", "missing where nan"),
        ("from \"nan.csv\" sum n", "missing where nan"),
        ("from \"na.csv\" sum n", "missing where b == 1 and a < 2"),
    ] {
        let (_, r) = healthy(
            &format!(
                "mode a, b
                 data x[a, b] {source} {clause}
                 model apart {{ body(1) }}
                 fit apart to x {{ tolerance 1e-13 }}
                 show apart.completed"
            ),
            &files,
        );
        for (found, wanted) in r.numbers("apart.completed").into_iter().zip([4.0, 4.8, 3.0, 3.6, 5.0, 6.0]) {
            close(found, wanted, 1e-12, &format!("{source} {clause}"));
        }
    }
    for (source, clause, code, words) in [
        (
            "from \"na.csv\" count n",
            "missing where a == 0 and b == 1",
            "MBA453",
            "`a: 1`, `b: 1` of `x` has no value",
        ),
        ("from \"nan.tns\"", "missing where a == 2", "MBA453", "`nan.tns` holds nan there"),
        ("from \"minus.csv\" count n", "missing where nan", "MBA410", "missing where value < 0"),
        (
            "from coords \"c.npy\" values \"v.npy\"",
            "missing where value < 0",
            "MBA410",
            "missing where value == inf",
        ),
        ("from \"na.csv\" count n", "", "MBA420", "missing where nan"),
        ("from \"nan.csv\" count n", "", "MBA410", "missing where nan"),
    ] {
        let text =
            format!("mode a: 3, b: 2\ndata x[a, b] {source} {clause}\nmodel m {{ body(1) }}\nfit m to x");
        let (_, _, r) = run(&text, &files);
        assert!(r.codes.contains(&code) && r.text.contains(words), "{source} {clause}: {}", r.text);
    }
}

#[test]
fn an_array_of_held_out_cells_may_be_over_some_modes() {
    let marks: Vec<f64> = (0..15).map(|k| f64::from(u8::from(k % 5 == 2 && k / 5 == 1))).collect();
    let turned: Vec<f64> = (0..15).map(|k| f64::from(u8::from(k / 3 == 2 && k % 3 == 1))).collect();
    let files = files(&[
        ("x.npy", &[3, 4, 5], det(&[3, 4, 5])),
        ("ac.npy", &[3, 5], marks),
        ("ca.npy", &[5, 3], turned),
    ]);
    let program = |option: &str| {
        format!(
            "{MODES}data x[a, b, c] from \"x.npy\"
             model one {{ body(1) }}
             fit one to x {{ tolerance 1e-13, {option} }}
             show one.held_out.rmse, one.held_out.cells"
        )
    };
    let (_, wanted) = healthy(&program("hold_out where a == 1 and c == 2"), &files);
    for option in ["hold_out from \"ac.npy\"[a, c]", "hold_out from \"ca.npy\"[c, a]"] {
        let (_, r) = healthy(&program(option), &files);
        close(r.number("one.held_out.rmse"), wanted.number("one.held_out.rmse"), 1e-12, option);
        assert_eq!(r.number("one.held_out.cells"), 4.0);
    }
    for (option, code, words) in [
        ("hold_out from \"ac.npy\"", "MBA450", "`[a, c]`"),
        ("hold_out from \"ac.npy\"[c, a]", "MBA450", "`[a, c]`"),
        ("hold_out from \"ac.npy\"[a, z]", "MBA101", "`z`"),
        ("hold_out from \"ac.npy\"[a, a]", "MBA103", "twice"),
    ] {
        let (session, found, r) = run(&program(option), &files);
        let said: String = found.iter().map(|d| program_support::rendered(d, &session.sources)).collect();
        let codes: Vec<&str> = found.iter().map(|d| d.code.name()).chain(r.codes.iter().copied()).collect();
        assert!(
            codes.contains(&code) && format!("{said}{}", r.text).contains(words),
            "{option}: {codes:?} {said}"
        );
    }
}

#[test]
fn a_prior_is_more_data() {
    // pseudo-data on a complete tensor: the fit to the sum of both
    let x = det(&[3, 4]);
    let files = files(&[("x.npy", &[3, 4], x.clone())]);
    let (_, r) = healthy(
        "mode a: 3, b: 4
         data x[a, b] from \"x.npy\"
         model one { body(1) }
         model leaning { [a b] prior 25% toward one }
         fit one to x { tolerance 1e-12 }
         fit leaning to x { tolerance 1e-12 }
         show one.fitted, leaning.fitted",
        &files,
    );
    let (one, leaning) = (r.numbers("one.fitted"), r.numbers("leaning.fitted"));
    for k in 0..12 {
        close(leaning[k], (x[k] + 0.25 * one[k]) / 1.25, 1e-8, "the mean, weighted by exposure");
    }
}

#[test]
fn smoothness_leaves_the_subsets_alone_and_ends_in_them() {
    let x = det(&[4, 5]);
    let files = files(&[("x.npy", &[4, 5], x)]);
    let program = |strength: &str| {
        format!(
            "mode a: 4 ordered, b: 5
             data x[a, b] from \"x.npy\"
             model one {{ body(1) }}
             model smooth {{ [a b] smooth [a b] along a strength {strength} }}
             fit one to x {{ tolerance 1e-12 }}
             fit smooth to x as s {{ tolerance 1e-11 }}
             show one.fitted, s.fitted, s.divergence, s.certificate.optimality_gap"
        )
    };
    let mut last = 0.0;
    for strength in ["0.001", "1", "100", "1e7"] {
        let (_, r) = healthy(&program(strength), &files);
        assert!(r.number("s.divergence") > last, "{strength}");
        last = r.number("s.divergence");
        assert!(r.number("s.certificate.optimality_gap") < 1e-10, "{}", r.text);
        if strength == "1e7" {
            // what is left is independence
            for (a, b) in r.numbers("one.fitted").iter().zip(r.numbers("s.fitted")) {
                close(b, *a, 1e-3, "one");
            }
        }
        // a constant, and tables over one mode, are free: their marginals match
        let fitted = r.numbers("s.fitted");
        let x = det(&[4, 5]);
        for i in 0..4 {
            let row = |v: &[f64]| v[5 * i..5 * i + 5].iter().sum::<f64>();
            close(row(&fitted), row(&x), 1e-7, "a row");
        }
        for j in 0..5 {
            let column = |v: &[f64]| (0..4).map(|i| v[5 * i + j]).sum::<f64>();
            close(column(&fitted), column(&x), 1e-7, "a column");
        }
    }
}

/// Where the penalty is far above the data, rounding of what it adds must not hide where the optimum is.
#[test]
fn smoothness_is_as_precise_as_the_data_are_small() {
    let text = |scale: f64, strength: f64| {
        let cell = |k: usize| if k == 6 { "missing".into() } else { format!("{}", det(&[5, 4])[k] * scale) };
        let row = |i: usize| (0..4).map(|j| cell(4 * i + j)).collect::<Vec<String>>().join(", ");
        let rows: Vec<String> = (0..5).map(|i| format!("[{}]", row(i))).collect();
        format!(
            "mode a: 5 ordered; mode b: 4 cyclic; mode c: 2
             data x[a, b] = [{}]
             data y[a, c] = [[{scale}, {scale}], [{scale}, 0], [{scale}, {scale}], [0, {scale}], [{scale}, {scale}]]
             model m {{ [a b]; smooth [a b] along a strength {strength}; smooth [a b] along b strength {strength} }}
             model n {{ [a b]; [c]; smooth [a b] along a strength {strength} }}
             fit m to x\nfit n to x, y as j
             show m.fitted, m.kl, m.status, m.certificate.optimality_gap, m.certificate.marginal_gap,
                j.of(x).fitted, j.status, j.certificate.optimality_gap",
            rows.join(", ")
        )
    };
    for strength in [1e-3, 1.0, 1e3, 1e5, 1e6, 1e8] {
        let mut first: Option<(Vec<f64>, Vec<f64>)> = None;
        for scale in [1.0, 1e-8, 1e-5, 1e-3, 1e4, 1e8] {
            let (_, r) = healthy(&text(scale, strength * scale), &Files::default());
            let case = format!("strength {strength:e}, scale {scale:e}: {}", r.text);
            for name in ["m", "j"] {
                assert_eq!(r.value(&format!("{name}.status")), "converged", "{case}");
                assert!(r.number(&format!("{name}.certificate.optimality_gap")) < 1e-8, "{case}");
            }
            assert!(r.number("m.certificate.marginal_gap") <= 1e-9, "{case}");
            let on = |label: &str| r.numbers(label).iter().map(|x| x / scale).collect::<Vec<f64>>();
            let found = (on("m.fitted"), on("j.of(x).fitted"));
            let (m, j) = first.get_or_insert(found.clone());
            for (own, other) in found.0.iter().zip(m.iter()).chain(found.1.iter().zip(j.iter())) {
                close(*own, *other, 1e-7, &case);
            }
        }
    }
}

#[test]
fn smoothness_bridges_what_was_not_observed() {
    let (_, r) = healthy(
        "mode day: 6 ordered, place: 2
         data x[day, place] = [[10, 30], [12, 30], [missing, 30], [missing, 30], [18, 30], [20, 30]]
         model bridge { [day place] smooth [day place] along day strength 1000 }
         fit bridge to x { tolerance 1e-10 }
         show bridge.completed, bridge.status",
        &Files::default(),
    );
    let x = r.numbers("bridge.completed");
    assert!(12.0 < x[4] && x[4] < x[6] && x[6] < 18.0, "{x:?}");
}

#[test]
fn a_mode_that_is_known_is_not_called_uniform() {
    let data = "mode a: 3, b: 2\ndata x[a, b] = [[1, 0], [2, 0], [5, 0]]\n";
    for (statement, warned) in
        [("given b = 0", false), ("forbid b == 1", false), ("forbid a == 2 and b == 1", true)]
    {
        let (_, found, r) =
            run(&format!("{data}model m {{ [a]; {statement} }}\nfit m to x"), &Files::default());
        assert!(!found.iter().any(|d| d.is_error()) && !r.text.contains("error"), "{statement}: {}", r.text);
        let codes: Vec<&str> = found.iter().map(|d| d.code.name()).chain(r.codes.iter().copied()).collect();
        assert_eq!(codes.contains(&"MBA324"), warned, "{statement}: {codes:?}");
    }
}

#[test]
fn masks_that_make_no_sense_are_named() {
    let x = det(&[3, 4]);
    let mut hole = x.clone();
    hole[5] = f64::NAN;
    let files = files(&[
        ("x.npy", &[3, 4], x.clone()),
        ("hole.npy", &[3, 4], hole),
        ("turned.npy", &[4, 3], vec![0.0; 12]),
        ("grey.npy", &[3, 4], x),
        ("none.npy", &[3, 4], vec![0.0; 12]),
        ("all.npy", &[3, 4], vec![1.0; 12]),
    ]);
    for (clause, code, words) in [
        ("\"x.npy\" missing from \"turned.npy\"", "MBA450", "`[b, a]`"),
        ("\"x.npy\" missing from \"turned.npy\"[a, c]", "MBA101", "c"),
        ("\"x.npy\" missing from \"all.npy\"", "MBA451", "no cell of `x` is observed"),
        ("\"x.npy\" missing where a >= 0", "MBA451", "no cell of `x` is observed"),
        ("\"x.npy\" missing where a == 1", "MBA452", "`a: 1` is never observed"),
        ("\"hole.npy\" missing from \"none.npy\"", "MBA453", "`a: 1`, `b: 1`"),
        ("\"hole.npy\"", "MBA410", "not a number"),
        ("\"x.npy\" missing from \"grey.npy\"", "MBA454", "neither true nor false"),
        ("\"x.npy\" missing where day == 1", "MBA101", "day"),
        ("\"x.npy\" missing where value", "MBA106", "compare it"),
        ("\"x.npy\" missing where a == 9", "MBA460", "hidden by this"),
        ("\"x.npy\" missing where b == 7 or a == 0 and b == 0", "MBA460", "hidden by this"),
        ("\"x.npy\" missing from \"absent.npy\"", "MBA401", "absent.npy"),
    ] {
        let (session, found, r) = run(
            &format!("mode a: 3, b: 4\ndata x[a, b] from {clause}\nmodel m {{ body(1) }}\nfit m to x"),
            &files,
        );
        let said: String = found.iter().map(|d| program_support::rendered(d, &session.sources)).collect();
        let text = format!("{said}{}", r.text);
        let codes: Vec<&str> = found.iter().map(|d| d.code.name()).chain(r.codes.iter().copied()).collect();
        assert!(codes.contains(&code), "{clause}: {codes:?}\n{text}");
        assert!(text.contains(words), "{clause}: {text}");
    }
    let (_, _, r) = run(
        "mode a: 3, b: 4\ndata x[a, b] from \"x.npy\"\nmodel m { body(1) forbid a == 1 and b == 2 }\nfit m to x",
        &files,
    );
    assert!(r.codes.contains(&"MBA560") && r.text.contains("`a: 1`, `b: 2`"), "{}", r.text);
    for (forbidden, code, words) in [
        ("true", "MBA560", "`m` forbids every cell of `x`"),
        ("a >= 0", "MBA560", "`m` forbids every cell of `x`"),
        ("a == 9", "MBA460", "forbids no cell"),
        ("value == 0", "MBA101", "`missing where` of the data"),
    ] {
        let text = format!(
            "mode a: 3, b: 4\ndata x[a, b] from \"x.npy\"\nmodel m {{ body(1); forbid {forbidden} }}\nfit m to x"
        );
        let (session, found, r) = run(&text, &files);
        let said: String = found.iter().map(|d| program_support::rendered(d, &session.sources)).collect();
        let codes: Vec<&str> = found.iter().map(|d| d.code.name()).chain(r.codes.iter().copied()).collect();
        assert!(
            codes.contains(&code) && format!("{said}{}", r.text).contains(words),
            "{forbidden}: {codes:?} {said}"
        );
    }
}

#[test]
fn a_mistyped_level_suggests_one() {
    let text = "mode hair: {Black, Red}, sex: {Male, Female}
         data x[hair, sex] = [[1, 2], [3, 4]] missing where hair == Blak and sex == Male
         model m { body(1); forbid hair == Rde and sex == Male }
         fit m to x";
    let (session, found, r) = run(text, &Files::default());
    let said: String = found.iter().map(|d| program_support::rendered(d, &session.sources)).collect();
    assert!(format!("{said}{}", r.text).contains("did you mean `Red`?"), "{said}{}", r.text);
    let (session, found, r) = run(&text.replace("Rde", "Red"), &Files::default());
    let said: String = found.iter().map(|d| program_support::rendered(d, &session.sources)).collect();
    assert!(format!("{said}{}", r.text).contains("did you mean `Black`?"), "{said}{}", r.text);
}

#[test]
fn what_was_not_held_out_has_no_errors_and_says_why() {
    let (_, r) = healthy(
        "mode a: 2, b: 2
         data x[a, b] = [[1, 2], [3, 4]]
         model m { body(1) }
         fit m to x
         show m.held_out.rmse
         fit m to x as held { hold_out where a == 1 }  # allow MBA563
         show held.held_out.kl",
        &Files::default(),
    );
    assert!(r.value("m.held_out.rmse").is_null() && r.text.contains("nothing was held out"), "{}", r.text);
    assert!(
        r.value("held.held_out.kl").is_null() && r.text.contains("no cell that is determined"),
        "{}",
        r.text
    );
}

/// det(5, 6) without the cells for which `hidden` holds.
fn matrix(hidden: impl Fn(usize, usize) -> bool) -> Files {
    let values = det(&[5, 6]);
    let cell = |k: usize| if hidden(k / 6, k % 6) { f64::NAN } else { values[k] };
    files(&[("m.npy", &[5, 6], (0..30).map(cell).collect())])
}

const MATRIX: &str = "mode a: 5, b: 6
    data x[a, b] from \"m.npy\" missing where nan
    model apart { body(1) }
    ";

#[test]
fn rank_one_matrices_with_missing_cells_have_published_values() {
    let block = matrix(|i, j| [0, 3].contains(&i) && [1, 4].contains(&j));
    let (_, r) = healthy(
        &format!(
            "{MATRIX}fit apart to x
             fit apart to x by a1gm as published
             fit apart to x by newton as swept {{ tolerance 1e-13 }}
             show apart.divergence, published.divergence, swept.divergence, apart.status, published.status, apart.iterations,
             apart.certificate.marginal_gap, apart.certificate.optimality_gap, apart.completed, swept.completed, apart.df"
        ),
        &block,
    );
    close(r.number("apart.divergence"), 24.3326129617, 1e-9, "a block");
    close(r.number("published.divergence"), 24.3326129617, 1e-9, "a block by a1gm");
    close(r.number("swept.divergence"), 24.3326129617, 1e-9, "a block by sweeps");
    assert_eq!(
        (r.value("apart.status").as_str().unwrap_or_default(), r.number("apart.iterations")),
        ("closed_form", 0.0)
    );
    assert!(r.number("apart.certificate.marginal_gap") < 1e-14);
    assert!(r.number("apart.certificate.optimality_gap") < 1e-14);
    for (own, other) in r.numbers("apart.completed").into_iter().zip(r.numbers("swept.completed")) {
        close(own, other, 1e-10, "cells");
    }
    assert_eq!(r.number("apart.df"), 16.0);

    let scattered = matrix(|i, j| [(0, 1), (3, 4), (2, 4)].contains(&(i, j)));
    let (_, _, r) = run(
        &format!(
            "{MATRIX}fit apart to x {{ tolerance 1e-13 }}
             fit apart to x by a1gm as published
             fit apart to x by newton as swept {{ tolerance 1e-13 }}
             show apart.divergence, published.divergence, apart.status, published.status, published.certificate.optimality_gap, apart.completed, swept.completed
             test \"what is asked for by name can be looked at\" {{ expect published.divergence ~= 31.7185522329 }}
             show apart.certificate.optimality_gap"
        ),
        &scattered,
    );
    close(r.number("apart.divergence"), 24.4452232581, 1e-9, "three cells");
    close(r.number("published.divergence"), 31.7185522329, 1e-9, "three cells by a1gm");
    assert_eq!(r.value("apart.status").as_str().unwrap_or_default(), "converged");
    assert_eq!(r.value("published.status").as_str().unwrap_or_default(), "approximate");
    assert!(r.codes.contains(&"MBA565"), "{:?}", r.codes);
    assert!(!r.codes.iter().any(|c| c.starts_with("MBA6")), "{:?}", r.codes);
    assert!(r.number("apart.certificate.optimality_gap") < 1e-12);
    for (own, other) in r.numbers("apart.completed").into_iter().zip(r.numbers("swept.completed")) {
        close(own, other, 1e-9, "cells");
    }
}

#[test]
fn staircases_are_a_formula_and_every_other_mask_comes_to_the_optimum() {
    let masks: [(&str, fn(usize, usize) -> bool); 5] = [
        ("closed_form", |i, j| i + j > 6),
        ("closed_form", |i, j| (i == 1 && j > 1) || (i == 4 && j != 0) || (i == 2 && j == 5)),
        ("converged", |i, j| (i + 2 * j) % 3 == 0),
        ("converged", |i, j| (i + 2 * j) % 5 != 0 && i + j != 4 && i != 2),
        ("converged", |i, j| (3 * i + 5 * j) % 7 < 3),
    ];
    for (k, (status, hidden)) in masks.into_iter().enumerate() {
        let (_, _, r) = run(
            &format!(
                "{MATRIX}fit apart to x {{ tolerance 1e-13 }}
                fit apart to x by newton as swept {{ tolerance 1e-13 }}
                show apart.divergence, swept.divergence, apart.status, apart.completed, swept.completed, apart.df, swept.df, apart.certificate.optimality_gap"
            ),
            &matrix(hidden),
        );
        assert_eq!(r.value("apart.status").as_str().unwrap_or_default(), status, "mask {k}");
        close(r.number("apart.divergence"), r.number("swept.divergence"), 1e-10, "both");
        assert_eq!(r.number("apart.df"), r.number("swept.df"));
        assert!(r.number("apart.certificate.optimality_gap") < 1e-12);
        for (own, other) in r.numbers("apart.completed").into_iter().zip(r.numbers("swept.completed")) {
            assert!(
                own == other
                    || (own.is_nan() && other.is_nan())
                    || (own - other).abs() < 1e-9 * own.abs().max(1.0),
                "mask {k}: {own} for {other}"
            );
        }
    }
}

#[test]
fn an_automatic_prior_is_one_of_those_that_can_be_written() {
    let shares = ["0.01%", "0.03%", "0.1%", "0.3%", "1%", "3%", "10%", "30%", "100%"];
    let mut text = format!(
        "{MODES}data x[a, b, c] from \"x.npy\" observed from \"seen.npy\"
        model apart {{ body(1) }}
        model auto {{ body(2) prior auto toward apart }}
        fit auto to x {{ tolerance 1e-11, hold_out where a == 2 and b == 3 }}
        show auto.reconstruction, auto.held_out.unidentified
        "
    );
    for (k, share) in shares.iter().enumerate() {
        text.push_str(&format!(
            "model lean{k} {{ body(2) prior {share} toward apart }}
            fit lean{k} to x {{ tolerance 1e-11, hold_out where a == 2 and b == 3 }}
            show lean{k}.reconstruction
            "
        ));
    }
    let (_, r) = healthy(&text, &golden_files());
    let auto = r.numbers("auto.reconstruction");
    let same = |k: usize| {
        let other = r.numbers(&format!("lean{k}.reconstruction"));
        auto.iter().zip(&other).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs())
    };
    assert_eq!((0..shares.len()).filter(|k| same(*k)).count(), 1);
    assert_eq!(r.number("auto.held_out.unidentified"), 0.0);
}

#[test]
fn no_divergence_is_negative_however_large_or_small_the_data() {
    for scale in [1e300, 1e-300, 3e250, 7e-200] {
        let seen = (0..240).map(|k| f64::from(u8::from(k % 17 != 3))).collect();
        let list: [(&str, &[usize], Vec<f64>); 2] =
            [("x.npy", &[6, 40], vec![scale; 240]), ("seen.npy", &[6, 40], seen)];
        let (_, r) = healthy(
            "mode a: 6\nmode b: 40\ndata x[a, b] from \"x.npy\"\n\
             data y[a, b] from \"x.npy\" observed from \"seen.npy\"\n\
             model apart { [a] [b] }\nmodel whole { [a b] }\n\
             fit apart to x as one\nfit whole to x as all\nfit apart to y as hidden\n\
             show one.kl, all.kl, hidden.kl\n",
            &files(&list),
        );
        for name in ["one.kl", "all.kl", "hidden.kl"] {
            // Σ p ln p is a difference of two numbers near 700
            assert!((0.0..2e-12).contains(&r.number(name)), "{name} of {scale:e}: {:e}", r.number(name));
        }
    }
}

/// Tables that are all tied to each other: a cell of the diagonal sees one parameter twice.
#[test]
fn tables_that_are_all_tied_are_one() {
    let head = "mode i: 2 ordered, j: 2 ordered\ndata x[i, j] = [[5, 1], [2, 3]]\ndata z[i, j] = [[5, 1], [missing, 3]]\n";
    let text = format!(
        "{head}model s {{ [i] [j]; tie [i] ~ [j] }}\nmodel t {{ [i] [j]; tie [i] ~ [j]; prior 5% toward body(1) }}\n\
         fit s to x\nfit s to z as u\nfit t to x as v\nshow s.fitted, s.parameters, u.completed\n"
    );
    let (_, record) = healthy(&text, &Files::default());
    // the mean of both marginals, squared
    let q = [13.0 / 22.0, 9.0 / 22.0];
    let want: Vec<f64> = (0..4).map(|k| 11.0 * q[k / 2] * q[k % 2]).collect();
    let found = record.numbers("s.fitted");
    assert!(found.iter().zip(&want).all(|(f, w)| (f - w).abs() < 1e-9), "{found:?}");
    assert_eq!(record.number("s.parameters"), 1.0);
    // A (1, y, y²) for what is observed, with A = 9/(1 + y + y²) and, from its mean exponent 7/9, 11y² + 2y = 7
    let y = (-2.0 + 312f64.sqrt()) / 22.0;
    let filled = record.numbers("u.completed");
    assert!((filled[2] - 9.0 * y / (1.0 + y + y * y)).abs() < 1e-9, "{filled:?}");
}

/// `seed -1` is read as a difference, which is not what it looks like.
#[test]
fn a_seed_of_what_is_held_out_has_no_sign() {
    let files = files(&[("x.npy", &[3, 4, 5], det(&[3, 4, 5]))]);
    let data = format!("{MODES}data x[a, b, c] from \"x.npy\"\nmodel m {{ body(1) }}\n");
    for seed in ["-1", "- 1", "+1"] {
        let text = format!("{data}fit m to x {{ hold_out 50% seed {seed} }}\n");
        let (_, found) = Session::load("t.mba", &text, Options::default(), &files);
        let found: Vec<_> = found.iter().filter(|d| d.is_error()).collect();
        assert!(matches!(found.as_slice(), [d] if d.code.name() == "MBA105"), "{found:?}");
        let told = format!("{found:?}");
        assert!(told.contains("has a sign") && told.contains("a whole number from 0 up"), "{told}");
    }
    healthy(&format!("{data}fit m to x {{ hold_out 50% seed 1 }}\n"), &files);
}
