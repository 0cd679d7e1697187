//! What is said of masks, of the cells they hide and of the options that hide them: errors level by level, counts
//! known before a cell is read, and mistakes named by their cause.

mod arrays;
mod program_support;

use program_support::{Files, Recorder, healthy, run};
use serde_json::Value as Json;

/// What a program makes, right or wrong.
fn told(text: &str) -> Recorder {
    let (session, diagnostics, mut record) = run(text, &Files::default());
    for diagnostic in &diagnostics {
        record.codes.push(diagnostic.code.name());
        record.text.push_str(&program_support::rendered(diagnostic, &session.sources));
    }
    record
}

fn close(found: &[f64], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    assert!(found.iter().zip(wanted).all(|(f, w)| (f - w).abs() <= 1e-9 * w.abs()), "{what}: {found:?}");
}

/// A model that has nothing but a level still has that: its total is that of the data and the pseudo-data.
#[test]
fn a_prior_of_a_model_without_tables_keeps_the_total() {
    let head = "mode i: 2, j: 2\ndata W[i, j] = [[500, 200], [300, 400]]\n\
                data V[i, j] = [[500, 200], [300, missing]]\n";
    let energy = "[i j] = if i == j { -1 } else { 0 }";
    let text = format!(
        "{head}model flat {{ prior 5% toward body(1) }}\nmodel plain {{ [i j] = 0 }}\n\
         model known {{ {energy}\nprior 5% toward body(1) }}\nmodel alone {{ {energy} }}\n\
         fit flat to W\nfit plain to W\nfit known to W\nfit alone to W\nfit flat to V as holed\n\
         show flat.fitted, flat.kl, plain.kl, flat.certificate.optimality_gap, flat.entropy, flat.theta\n\
         show known.fitted, known.kl, alone.kl, alone.fitted, holed.completed, holed.fitted\n\
         show plan(flat)\n"
    );
    let (_, r) = healthy(&text, &Files::default());
    assert!(r.text.contains("4 cells: a level\n"), "{}", r.text);
    close(&r.numbers("flat.fitted"), &[350.0; 4], "every cell alike");
    close(&[r.number("flat.kl")], &[r.number("plain.kl")], "as without a prior");
    close(&[r.number("flat.entropy")], &[4f64.ln()], "uniform");
    assert!((0.0..1e-12).contains(&r.number("flat.certificate.optimality_gap")));
    let e = std::f64::consts::E;
    let wanted = [e, 1.0, 1.0, e].map(|w| 1400.0 * w / (2.0 * e + 2.0));
    close(&r.numbers("known.fitted"), &wanted, "the energies");
    close(&r.numbers("alone.fitted"), &wanted, "the energies without a prior");
    close(&[r.number("known.kl")], &[r.number("alone.kl")], "as without a prior");
    // three cells of the data and four of pseudo-data that are worth 5 % of 1000, of 1120 that the margins make
    let q = 1050.0 / (3.0 + 4.0 * 50.0 / 1120.0);
    close(&r.numbers("holed.fitted"), &[q; 4], "a cell that is missing");
    close(&r.numbers("holed.completed"), &[500.0, 200.0, 300.0, q], "a cell that is missing");
}

/// Modes that several clauses are over are said once where a plan is shown, in fits to one tensor and to several.
#[test]
fn a_plan_names_the_modes_of_masks_once() {
    let text = "mode i: 3, j: 4, k: 2\n\
                data W[i, j, k] = sample(e, 90, seed: 1)\n\
                model e { [i j k] = 0 }\n";
    let masked = "data X[i, j, k] from \"x.npy\" missing where i == 0 and j == 1 missing where j == 2 and k == 1 \
                  missing where i == 1 and j == 0 missing where i == 2 and j == 3\n";
    let fits = "model m { body(2) }\nfit m to X\nfit m to X, W as both\n";
    let cells: Vec<f64> = (0..24).map(|x| 1.0 + f64::from(x * x % 7)).collect();
    let mut files = Files::default();
    files.there.insert("x.npy".into(), arrays::npy_of(&[3, 4, 2], &cells));
    let (session, _) = healthy(&format!("{text}{masked}{fits}"), &files);
    for planned in &session.planned {
        let plan = planned.schedule.clone().expect("a plan").tree();
        assert!(plan.contains("on the observed cells of [i j] [j k]\n"), "{plan}");
    }
}

/// More sweeps are offered where they ran out, and not where rounding ended the fit.
#[test]
fn the_way_on_from_a_fit_that_stopped_is_one_that_helps() {
    let x = "mode i: 3, j: 3, k: 3\n\
             data X[i, j, k] = [[[10, 3, 2], [4, 12, 3], [2, 5, 20]], [[1, 3, 2], [4, 2, 3], [2, missing, 20]], \
             [[10, 3, 2], [4, 12, 3], [2, 5, 7]]]\n\
             data Y[i, j] = [[10, 3, 2], [4, 12, 3], [2, 5, 20]]\n\
             model m { body(2) }\nmodel s { body(2) prior 5% toward body(1) }\n";
    let ran_out = "help: allow more with `{ max_sweeps … }`";
    let rounding = "help: accept a larger `tolerance`: rounding keeps it from coming closer";
    for (fit, help, other) in [
        ("fit m to X { max_sweeps 2 }", ran_out, rounding),
        ("fit m to X { tolerance 1e-17 }", rounding, ran_out),
        ("fit s to X { max_sweeps 1 }", ran_out, rounding),
        ("fit s to X { tolerance 1e-17 }", rounding, ran_out),
        ("fit m to X, Y { max_sweeps 2 }", ran_out, rounding),
        ("fit m to X, Y { tolerance 1e-17 }", rounding, ran_out),
    ] {
        let record = told(&format!("{x}{fit}\n"));
        assert!(record.codes.contains(&"MBA510"), "{fit}: {}", record.text);
        assert!(record.text.contains(help) && !record.text.contains(other), "{fit}: {}", record.text);
    }
}

/// A strength beside which nothing is left of the data is none, however it is written.
#[test]
fn a_prior_is_finite_and_leaves_something_of_the_data() {
    let told_of = |strength: &str, to: &str| {
        let text = format!(
            "mode i: 2, j: 2\ndata X[i, j] = [[5, 2], [3, 4]]\ndata Y[i, j] = [[1, 2], [3, 4]]\n\
             model flat {{ body(1) }}\nmodel m {{ [i j] prior {strength} toward flat }}\nfit m to {to} as m\n"
        );
        told(&text)
    };
    let infinite = told_of("inf", "X");
    assert!(infinite.text.contains("the strength of a prior is finite"), "{}", infinite.text);
    for strength in ["0", "-1", "nan", "-inf"] {
        let record = told_of(strength, "X");
        assert!(record.text.contains("the strength of a prior is positive"), "{}", record.text);
    }
    for (strength, times) in [("1e300", "7e298"), ("1e17", "7e15"), ("1e20%", "1e18")] {
        for to in ["X", "X, Y"] {
            let record = told_of(strength, to);
            assert_eq!(record.codes, ["MBA373"], "{strength} {to}: {}", record.text);
            let wanted = format!("a prior of {times} times the data leaves nothing of `X`");
            assert!(record.text.contains(&wanted), "{strength} {to}: {}", record.text);
        }
    }
    for (strength, to) in [("1e16", "X"), ("1e12", "X, Y"), ("1e10%", "X")] {
        let record = told_of(strength, to);
        assert_eq!(record.fits.iter().map(|f| f.1).collect::<Vec<_>>(), ["converged"], "{}", record.text);
    }
}

#[test]
fn a_condition_that_compares_with_what_is_no_number_is_told_what_to_write() {
    for (condition, help) in [
        ("value > missing", "`missing` is a cell of a literal"),
        ("missing <= value", "`missing` is a cell of a literal"),
        ("value == missing", "`missing` is a cell of a literal"),
        ("value != missing", "`missing` is a cell of a literal"),
        ("missing", "`missing` is a cell of a literal"),
        ("i > [1, 2]", "write `in`"),
        ("(value == 5) > 2", "join several with `and` or `or`"),
        ("j > 2", "levels that are names cannot be used as numbers"),
    ] {
        let text = format!(
            "mode i: 2, j: {{low, high}}\ndata X[i, j] = [[5, 2], [3, 4]] missing where {condition}\n\
             model m {{ body(1) }}\nfit m to X\n"
        );
        let record = told(&text);
        assert_eq!(record.codes, ["MBA106"], "{condition}: {}", record.text);
        let said = record.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(help), "{condition}: {}", record.text);
    }
}

/// Over one mode there is nothing to take a mean over, and two levels are one pair of neighbours in any order.
#[test]
fn smoothness_of_one_mode_and_of_two_levels() {
    let fitted = |order: &str, data: &str, levels: usize| {
        let text = format!(
            "mode i: {levels} {order}\ndata X[i] = {data}\nmodel m {{ [i] smooth [i] along i strength 3 }}\n\
             fit m to X {{ tolerance 1e-13 }}\nshow m.fitted\n"
        );
        healthy(&text, &Files::default()).1.numbers("m.fitted")
    };
    let q = fitted("ordered", "[9, 2]", 2);
    // Σ q − x ln q + s/2 (ln q₁ − ln q₀)² is flat at the optimum
    let pull = 3.0 * (q[1] / q[0]).ln();
    assert!((q[0] - 9.0 - pull).abs() < 1e-9 && (q[1] - 2.0 + pull).abs() < 1e-9, "{q:?}");
    assert!(pull < -0.5, "{q:?}");
    close(&fitted("cyclic", "[9, 2]", 2), &q, "one pair");
    let (line, ring) = (fitted("ordered", "[9, 2, 4]", 3), fitted("cyclic", "[9, 2, 4]", 3));
    assert!((line[2] - ring[2]).abs() > 0.1, "{line:?} {ring:?}");
}

#[test]
fn an_option_that_is_given_twice_is_refused() {
    let head = "mode i: 2, j: 2\ndata W[i, j] = [[5, 2], [3, 4]]\ndata r[i] = [1, 1]\nmodel m { body(1) }\n\
                model e { mode s: {-1, 1}, t: {-1, 1}; [s t] = s * t }\n";
    for (line, name) in [
        ("fit m to W { hold_out where i == 0 and j == 0, hold_out where i == 1 and j == 1 }", "hold_out"),
        ("fit m to W { hold_out 20% seed 1; tolerance 1e-9; hold_out 30% }", "hold_out"),
        ("fit m to W { tolerance 1e-9, tolerance 1e-6 }", "tolerance"),
        ("fit m to W, r { max_sweeps 10, max_sweeps 20 }", "max_sweeps"),
        ("balance W to margins(r) as b { tolerance 1e-9, tolerance 1e-8 }", "tolerance"),
        ("estimate e by gibbs as g { sweeps 200, seed 1, sweeps 300 }", "sweeps"),
    ] {
        let r = told(&format!("{head}{line}\n"));
        assert_eq!(r.codes, ["MBA105"], "{line}: {}", r.text);
        for part in [&format!("`{name}` is given twice"), "first given here", "given again"] {
            assert!(r.text.contains(part), "{line}: {}", r.text);
        }
        assert_eq!(r.text.contains("by `or`"), line.contains("== 0 and"), "{}", r.text);
    }
    // what the help says
    let line = "fit m to W { hold_out where (i == 0 and j == 0) or (i == 1 and j == 1) }  # allow MBA563\n";
    let (_, r) = healthy(&format!("{head}{line}show m.held_out.cells\n"), &Files::default());
    assert_eq!(r.number("m.held_out.cells"), 2.0);
}

/// By hand: of three rows the second is half the first where it is seen, so that the hidden 3 is taken for a 1,
/// and nothing is known of the third.
#[test]
fn errors_are_told_for_every_level_that_has_hidden_cells() {
    let head = "mode a: 3, b: 3\ndata x[a, b] = [[4, 2, 6], [2, 3, 3], [7, 7, 7]]\nmodel m { body(1) }\n";
    let fit = |hidden: &str| {
        let text =
            format!("{head}fit m to x {{ hold_out where {hidden} }}  # allow MBA563\nshow m.held_out\n");
        healthy(&text, &Files::default()).1.value("m.held_out").clone()
    };
    let rows = |found: &Json| -> Vec<(String, Vec<Option<f64>>)> {
        let row = |r: &Json| {
            let parts = ["cells", "unidentified", "rmse", "mape", "mae", "kl"];
            assert_eq!(r.as_object().map(|o| o.len()), Some(parts.len() + 2));
            let text = |part: &str| r[part].as_str().expect("a name");
            let name = format!("{}: {}", text("mode"), text("level"));
            (name, parts.map(|p| r[p].as_f64()).to_vec())
        };
        found["levels"].as_array().expect("rows").iter().map(row).collect()
    };
    let found = fit("a == 2 or (a == 1 and b == 1)");
    let kl = 3f64.ln() - 2.0 / 3.0;
    let errors = [2.0, 2.0 / 3.0, 2.0, kl].map(Some);
    let wanted: [(&str, f64, f64, [Option<f64>; 4]); 5] = [
        ("a: 1", 1.0, 0.0, errors),
        ("a: 2", 3.0, 3.0, [None; 4]),
        ("b: 0", 1.0, 1.0, [None; 4]),
        ("b: 1", 2.0, 1.0, errors),
        ("b: 2", 1.0, 1.0, [None; 4]),
    ];
    let levels = rows(&found);
    assert_eq!(levels.len(), wanted.len(), "{levels:?}");
    for ((name, found), (level, cells, open, errors)) in levels.iter().zip(&wanted) {
        assert_eq!(name, level);
        assert_eq!((found[0], found[1]), (Some(*cells), Some(*open)), "{name}");
        for (f, w) in found[2..].iter().zip(errors) {
            assert_eq!(f.is_some(), w.is_some(), "{name}");
            assert!((f.unwrap_or(0.0) - w.unwrap_or(0.0)).abs() < 1e-8, "{name}: {f:?} for {w:?}");
        }
    }
    let (cells, open) = (found["cells"].as_f64(), found["unidentified"].as_f64());
    assert_eq!((cells, open), (Some(4.0), Some(3.0)));
    // where nothing is identified, the levels are told all the same
    let names: Vec<String> = rows(&fit("a == 2")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a: 2", "b: 0", "b: 1", "b: 2"]);
}

/// Counts by hand, of parts that share modes and of parts that do not.
#[test]
fn the_number_of_missing_cells_is_known() {
    let head = "mode a: 3, b: 4, c: 5\n";
    let data = |clauses: &str| {
        let rows = ["[[1, 2, 3, 4, 5], [2, 3, 4, 5, 6], [3, 4, 5, 6, 7], [4, 5, 6, 7, 8]]"; 3];
        format!("{head}data x[a, b, c] = [{}] {clauses}\nshow x.missing\n", rows.join(", "))
    };
    for (clauses, count, ahead) in [
        ("", 0u32, Some(0u32)),
        ("missing where a == 1", 20, Some(20)),
        ("missing where a == 1 or b == 2", 60 - 2 * 3 * 5, Some(30)),
        ("missing where a == 1 or c > 2", 60 - 2 * 4 * 3, Some(36)),
        // over [a c], and then over b: only a = 0 has three of its levels of c hidden
        ("missing where (a == 0 and c > 1) or b == 2", 60 - 3 * 12, Some(24)),
        // overlapping parts
        ("missing where (a == 0 and c > 1) or a == 0 or c == 4", 60 - 2 * 4 * 4, Some(28)),
        ("observed where a == 1 and b == 2", 55, Some(55)),
        ("missing where value > 5", 3 * (1 + 2 + 3), None),
        ("missing where value > 5 missing where b == 3", 3 * (1 + 2 + 5), None),
    ] {
        let (session, r) = healthy(&data(clauses), &Files::default());
        assert_eq!(r.number("x.missing"), f64::from(count), "{clauses}");
        assert_eq!(
            session.missing("x"),
            ahead.filter(|n| *n > 0 || clauses.is_empty()).map(Into::into),
            "{clauses}"
        );
    }
    let (session, r) = healthy(
        "mode i: 2, j: 2\ndata x[i, j] = [[1, missing], [missing, 4]]\nshow x.missing\n",
        &Files::default(),
    );
    assert_eq!((r.number("x.missing"), session.missing("x")), (2.0, Some(2u32.into())));
}

/// A whole level that is missing among other cells is named before any of them.
#[test]
fn levels_that_were_never_seen_come_first() {
    let text = "mode a: 4, b: 4, c: 4\n\
        model draw { [a b c] = 0 }\nmodel two { body(2) }\n\
        data y[a, b, c] = sample(draw, 5000, seed: 1)\nfit two to y { hold_out where c == 2 or (a == 0 and b == 0) }\n";
    let r = told(text);
    assert_eq!(r.codes, ["MBA563"], "{}", r.text);
    assert!(r.text.contains("nothing is observed of `c: 2`; 3 more cells elsewhere"), "{}", r.text);
    // where no level is wholly unseen, a cell stands for the others
    let r = told(&text.replace("c == 2 or ", ""));
    assert!(r.text.contains("among them `a: 0`, `b: 0`"), "{}", r.text);
}

#[test]
fn zeros_that_are_observed_are_told_from_all_cells() {
    let text = |x: &str| format!("mode i: 2, j: 2\ndata X[i, j] = {x}\nmodel m {{ [i] }}\nfit m to X\n");
    for x in ["[[0, 2], [3, 0]] missing where i != j", "[[0, missing], [missing, 0]]"] {
        let r = told(&text(x));
        assert!(r.codes.contains(&"MBA413"), "{}", r.text);
        assert!(r.text.contains("every observed cell of `X` is zero"), "{}", r.text);
        assert!(!r.text.contains("holds nothing but zeros"), "{}", r.text);
    }
    let r = told(&text("[[0, 0], [0, 0]]"));
    assert!(r.text.contains("every cell of `X` is zero"), "{}", r.text);
}

#[test]
fn a_level_that_something_else_tells_of_is_no_cause_for_a_warning() {
    let head = "mode a: 3 ordered, b: 3\nmode d: 2\n\
        data x[a, b] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]] missing where a == 1\n\
        data y[a, d] = [[1, 2], [3, 4], [5, 6]]\n\
        data z[a, b] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]\n\
        model flat { [b] }\nmodel plain { body(1) }\n";
    for (rest, warned) in [
        ("fit plain to x", true),
        ("model m { [a] [b] prior 5% toward flat }\nfit m to x", false),
        ("model m { [a] [b] smooth [a] along a strength 2 }\nfit m to x", false),
        ("fit plain to x, y as both", false),
        ("show x.total", true),
    ] {
        let r = told(&format!("{head}{rest}\n"));
        assert_eq!(r.codes.contains(&"MBA452"), warned, "{rest}: {}", r.text);
    }
    // a later fit that has no such help says so itself
    let r = told(&format!("{head}fit plain to x, y as both\nfit plain to x\n"));
    assert!(r.codes == ["MBA563"] && r.text.contains("nothing is observed of `a: 1`"), "{}", r.text);
    // a prior that knows as little does not hide it
    let r = told(&format!("{head}model m {{ [a b] prior 5% toward plain }}\nfit m to x\n"));
    assert!(r.codes.contains(&"MBA563") && r.text.contains("nothing is observed of `a: 1`"), "{}", r.text);
}

#[test]
fn a_mask_that_is_too_large_is_called_one() {
    let r = told(
        "mode a: 1000, b: 1000, c: 1000, d: 1000\nmodel m { body(1) }\nmodel draw { [a] = 0\n[b] = 0\n[c] = 0\n[d] = 0 }\n\
         data x[a, b, c, d] = sample(draw, 10, seed: 1)\n\
         fit m to x { hold_out where a < 100 and b > 300 and c < 10 and d == 4 }\n",
    );
    assert_eq!(r.codes, ["MBA501"], "{}", r.text);
    assert!(r.text.contains("leave out the mask of the data over `[a b c d]`"), "{}", r.text);
    assert!(!r.text.contains("leave out `[a b c d]`") && !r.text.contains("makes it grow"), "{}", r.text);
}

#[test]
fn conditions_that_leave_no_cell_say_so() {
    let head = "mode a: {lo, hi}, b: 2\ndata x[a, b] = [[1, 2], [3, 4]]\n";
    for conditions in ["forbid a == lo or a != lo", "forbid a == lo\nforbid a == hi", "forbid b >= 0"] {
        let r = told(&format!("{head}model m {{ body(1)\n{conditions} }}\nfit m to x\n"));
        assert_eq!(r.codes, ["MBA560"], "{}", r.text);
        assert!(r.text.contains("`m` forbids every cell of `x`"), "{}", r.text);
    }
    let r = told(&format!("{head}model m {{ body(1)\nforbid a == lo and b == 1 }}\nfit m to x\n"));
    assert!(r.text.contains("forbids `a: lo`, `b: 1`, where `x` has data"), "{}", r.text);
}
