//! Fits to several tensors: the closed form of three matrices, published values, optimality conditions checked by hand,
//! identities, and what a program is told when a joint fit makes no sense.

mod program_support;

use mba::session::Session;
use program_support::{Files, Recorder, run};

#[track_caller]
fn healthy(text: &str) -> (Session, Recorder) {
    program_support::healthy(text, &Files::default())
}

/// The deterministic tensor of the goldens.
fn det(shape: &[usize]) -> Vec<f64> {
    let weights = [3, 5, 7, 2, 4];
    let cells: usize = shape.iter().product();
    (0..cells)
        .map(|k| {
            let index = levels(shape, k);
            let sum: usize = index.iter().zip(weights).map(|(i, w)| i * w).sum();
            let product: usize = index.iter().map(|i| i + 1).product();
            1.0 + (sum % 11) as f64 + 0.1 * (product % 4) as f64
        })
        .collect()
}

fn levels(shape: &[usize], mut k: usize) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, n) in index.iter_mut().zip(shape).rev() {
        *i = k % n;
        k /= n;
    }
    index
}

/// A literal of numbers; what is not a number is missing.
fn literal(shape: &[usize], values: &[f64]) -> String {
    match shape {
        [] if values[0].is_nan() => "missing".into(),
        [] => format!("{:?}", values[0]),
        [n, rest @ ..] => {
            let parts: Vec<String> = values.chunks(values.len() / n).map(|c| literal(rest, c)).collect();
            format!("[{}]", parts.join(", "))
        }
    }
}

/// A tensor of a joint fit, for the arithmetic of these tests.
#[derive(Clone)]
struct Given {
    name: &'static str,
    /// Positions of its modes in the list of all.
    modes: Vec<usize>,
    values: Vec<f64>,
    weight: f64,
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn declarations(sizes: &[usize], tensors: &[Given]) -> String {
    let mut text = String::new();
    for (name, n) in NAMES.iter().zip(sizes) {
        text.push_str(&format!("mode {name}: {n}\n"));
    }
    for t in tensors {
        let shape: Vec<usize> = t.modes.iter().map(|m| sizes[*m]).collect();
        let axes: Vec<&str> = t.modes.iter().map(|m| NAMES[*m]).collect();
        text.push_str(&format!("data {}[{}] = {}\n", t.name, axes.join(", "), literal(&shape, &t.values)));
    }
    text
}

fn targets(tensors: &[Given]) -> String {
    let one =
        |t: &Given| if t.weight == 1.0 { t.name.into() } else { format!("{} weight {:?}", t.name, t.weight) };
    tensors.iter().map(one).collect::<Vec<String>>().join(", ")
}

/// Fits by plain proportional fitting, table by table, and hands back every cell of every tensor.
fn by_hand(sizes: &[usize], tensors: &[Given], class: &[&[usize]], sweeps: usize) -> Vec<Vec<f64>> {
    let cell = |t: &Given, k: usize| {
        let shape: Vec<usize> = t.modes.iter().map(|m| sizes[*m]).collect();
        levels(&shape, k)
    };
    let place = |t: &Given, c: &[usize], k: usize| -> usize {
        let own = cell(t, k);
        c.iter().fold(0, |at, m| at * sizes[*m] + own[t.modes.iter().position(|o| o == m).unwrap()])
    };
    let mut q: Vec<Vec<f64>> = tensors.iter().map(|t| vec![1.0; t.values.len()]).collect();
    for _ in 0..sweeps {
        for (t, q) in tensors.iter().zip(&mut q) {
            let seen = |k: &usize| !t.values[*k].is_nan();
            let (x, m): (f64, f64) =
                (0..q.len()).filter(seen).fold((0.0, 0.0), |(x, m), k| (x + t.values[k], m + q[k]));
            q.iter_mut().for_each(|q| *q *= x / m);
        }
        for c in class {
            let cells: usize = c.iter().map(|m| sizes[*m]).product();
            let (mut target, mut found) = (vec![0.0; cells], vec![0.0; cells]);
            let sees = |t: &Given| c.iter().all(|m| t.modes.contains(m));
            for (t, q) in tensors.iter().zip(&q).filter(|(t, _)| sees(t)) {
                for k in (0..q.len()).filter(|k| !t.values[*k].is_nan()) {
                    target[place(t, c, k)] += t.weight * t.values[k];
                    found[place(t, c, k)] += t.weight * q[k];
                }
            }
            for (t, q) in tensors.iter().zip(&mut q).filter(|(t, _)| sees(t)) {
                for (k, q) in q.iter_mut().enumerate() {
                    let at = place(t, c, k);
                    if found[at] > 0.0 {
                        *q *= target[at] / found[at];
                    }
                }
            }
        }
    }
    q
}

fn divergence(x: &[f64], q: &[f64]) -> f64 {
    x.iter()
        .zip(q)
        .filter(|(x, _)| !x.is_nan())
        .map(|(x, q)| if *x > 0.0 { x * (x / q).ln() - x + q } else { *q })
        .sum()
}

#[track_caller]
fn close(found: &[f64], wanted: &[f64], within: f64) {
    assert_eq!(found.len(), wanted.len());
    for (k, (f, w)) in found.iter().zip(wanted).enumerate() {
        assert!((f - w).abs() <= within * w.abs().max(1.0), "at {k}: {f} and not {w}");
    }
}

/// Every cell of a tensor as the fit `m` has it.
fn fitted(record: &Recorder, name: &str) -> Vec<f64> {
    record.numbers(&format!("m.of({name}).fitted"))
}

fn three_matrices(alpha: f64, beta: f64) -> (Vec<usize>, Vec<Given>) {
    let sizes = vec![5, 6, 3, 4];
    let given = |name, modes: &[usize], weight| {
        let shape: Vec<usize> = modes.iter().map(|m| sizes[*m]).collect();
        Given { name, modes: modes.to_vec(), values: det(&shape), weight }
    };
    let tensors = vec![given("x", &[0, 1], 1.0), given("y", &[2, 1], alpha), given("z", &[0, 3], beta)];
    (sizes, tensors)
}

/// The closed form of Ghalamkari and Sugiyama 2022 (arXiv 2110.12595), with general weights.
fn nmmf(tensors: &[Given], sizes: &[usize]) -> [Vec<f64>; 3] {
    let (x, y, z) = (&tensors[0], &tensors[1], &tensors[2]);
    let (alpha, beta) = (y.weight, z.weight);
    let sum = |v: &[f64]| v.iter().sum::<f64>();
    let rows = |t: &Given, n: usize| -> Vec<f64> { t.values.chunks(n).map(sum).collect() };
    let columns = |t: &Given, n: usize| -> Vec<f64> {
        (0..n).map(|j| t.values.iter().skip(j).step_by(n).sum()).collect()
    };
    let s = sum(&x.values).sqrt();
    let both = |a: Vec<f64>, b: Vec<f64>, w: f64, other: f64| -> Vec<f64> {
        let scale = s / (s * s + w * other);
        a.iter().zip(b).map(|(a, b)| scale * (a + w * b)).collect()
    };
    let w = both(rows(x, sizes[1]), rows(z, sizes[3]), beta, sum(&z.values));
    let h = both(columns(x, sizes[1]), columns(y, sizes[1]), alpha, sum(&y.values));
    let a: Vec<f64> = rows(y, sizes[1]).iter().map(|v| v / s).collect();
    let b: Vec<f64> = columns(z, sizes[3]).iter().map(|v| v / s).collect();
    let outer = |p: &[f64], q: &[f64]| p.iter().flat_map(|p| q.iter().map(move |q| p * q)).collect();
    [outer(&w, &h), outer(&a, &h), outer(&w, &b)]
}

#[test]
fn three_matrices_of_rank_one_have_the_published_closed_form() {
    for (alpha, beta) in [(1.0, 1.0), (0.5, 2.0), (3.25, 0.125)] {
        let (sizes, tensors) = three_matrices(alpha, beta);
        let wanted = nmmf(&tensors, &sizes);
        let text = declarations(&sizes, &tensors);
        let all = targets(&tensors);
        // the formula, and the same by sweeps over all cells: an energy of nothing is no formula
        for (model, status) in [("body(1)", "closed_form"), ("body(1); [a b] = 0 * a", "converged")] {
            let text = format!(
                "{text}model one {{ {model} }}\nfit one to {all} as m {{ tolerance 1e-13 }}\n\
                 show m.of(x).fitted, m.of(y).fitted, m.of(z).fitted, m.divergence, m.df, m.parameters\n"
            );
            let (_, record) = healthy(&text);
            assert_eq!(record.fits[0].1, status);
            for (name, wanted) in ["x", "y", "z"].iter().zip(&wanted) {
                close(&fitted(&record, name), wanted, 1e-12);
            }
            let total: f64 =
                tensors.iter().zip(&wanted).map(|(t, w)| t.weight * divergence(&t.values, w)).sum();
            close(&[record.number("m.divergence")], &[total], 1e-12);
            assert_eq!(record.number("m.parameters"), 4.0 + 5.0 + 2.0 + 3.0);
            assert_eq!(record.number("m.df"), 30.0 + 18.0 + 20.0 - 3.0 - 14.0);
        }
    }
}

/// A mask that is a grid is the same as three matrices and nothing in the fourth corner.
#[test]
fn a_grid_of_missing_cells_is_three_matrices() {
    let all = det(&[5, 6]);
    let m = &all;
    let (rows, columns) = ([1, 2, 4], [0, 2, 3, 5]);
    let (hidden_rows, hidden_columns) = ([0, 3], [1, 4]);
    let pick = |rows: &[usize], columns: &[usize]| -> Vec<f64> {
        rows.iter().flat_map(|i| columns.iter().map(move |j| m[i * 6 + j])).collect()
    };
    let sizes = [3, 4, 2, 2];
    let tensors = [
        Given { name: "x", modes: vec![0, 1], values: pick(&rows, &columns), weight: 1.0 },
        Given { name: "y", modes: vec![2, 1], values: pick(&hidden_rows, &columns), weight: 1.0 },
        Given { name: "z", modes: vec![0, 3], values: pick(&rows, &hidden_columns), weight: 1.0 },
    ];
    let text = format!(
        "{}model one {{ body(1) }}\nfit one to x, y, z as m\nshow m.divergence\n",
        declarations(&sizes, &tensors)
    );
    let (_, record) = healthy(&text);
    assert!((record.number("m.divergence") - 24.3326129617).abs() < 5e-11);
}

fn mixed(sizes: &[usize], holes: bool) -> Vec<Given> {
    let given = |name, modes: &[usize], weight, shift: f64| {
        let shape: Vec<usize> = modes.iter().map(|m| sizes[*m]).collect();
        let mut values = det(&shape);
        values.iter_mut().enumerate().for_each(|(k, v)| *v += shift * ((k * k) % 7) as f64);
        if holes {
            (0..values.len()).filter(|k| (k * 7 + 3) % 5 == 0).for_each(|k| values[k] = f64::NAN);
        }
        Given { name, modes: modes.to_vec(), values, weight }
    };
    vec![given("x", &[0, 1, 2], 1.0, 0.5), given("y", &[3, 1, 0], 0.5, 1.0), given("z", &[2, 4], 3.0, 0.25)]
}

/// Tables of pairs that two tensors share, in other orders of modes, with and without missing cells.
#[test]
fn the_optimum_is_that_of_plain_proportional_fitting() {
    let sizes = [3, 4, 3, 2, 3];
    let class: [&[usize]; 6] = [&[0, 1], &[1, 2], &[0, 2], &[1, 3], &[2], &[4]];
    for holes in [false, true] {
        let tensors = mixed(&sizes, holes);
        let wanted = by_hand(&sizes, &tensors, &class, 4000);
        let text = format!(
            "{}model pairs {{ [a b] [b c] [a c] [b d] [c] [e] }}\nfit pairs to {} as m {{ tolerance 1e-13 }}\n\
             show m.of(x).fitted, m.of(y).fitted, m.of(z).fitted, m.divergence, m.certificate.optimality_gap\n",
            declarations(&sizes, &tensors),
            targets(&tensors)
        );
        let (_, record) = healthy(&text);
        let mut total = 0.0;
        for (t, wanted) in tensors.iter().zip(&wanted) {
            close(&fitted(&record, t.name), wanted, 1e-9);
            total += t.weight * divergence(&t.values, wanted);
        }
        close(&[record.number("m.divergence")], &[total], 1e-10);
        assert!(record.number("m.certificate.optimality_gap") < 1e-12);
    }
}

/// Sweeps alone are plain proportional fitting, and take longer than a few of them with Newton steps.
#[test]
fn every_method_ends_at_the_same_optimum() {
    let sizes = [3, 4, 3, 2, 3];
    let tensors = mixed(&sizes, true);
    let text = format!(
        "{}model pairs {{ [a b] [b c] [a c] [b d] [c] [e] }}\n\
         fit pairs to {of} as m {{ tolerance 1e-12 }}\n\
         fit pairs to {of} by ipf as swept {{ tolerance 1e-12 }}\n\
         fit pairs to {of} by newton as stepped {{ tolerance 1e-12 }}\n\
         fit pairs to {of} by ipf as short {{ tolerance 1e-12; max_sweeps 7 }}\n\
         show m.of(x).fitted, swept.of(x).fitted, stepped.of(x).fitted, short.of(x).fitted\n\
         show m.iterations, swept.iterations, stepped.iterations, short.iterations, short.status\n\
         show swept.certificate.optimality_gap, short.certificate.optimality_gap\n",
        declarations(&sizes, &tensors),
        of = targets(&tensors)
    );
    let (_, diagnostics, record) = run(&text, &Files::default());
    let all = |name: &str| record.numbers(&format!("{name}.of(x).fitted"));
    let made = |name: &str| record.number(&format!("{name}.iterations"));
    close(&all("swept"), &all("m"), 1e-9);
    close(&all("stepped"), &all("m"), 1e-9);
    // those that contract count products, several for each Newton step
    assert!(made("swept") > 90.0 && made("m") < 90.0 && made("stepped") < 90.0, "{}", made("m"));
    assert!(record.number("swept.certificate.optimality_gap") < 1e-12);
    // seven sweeps as by hand, and a bound although they were not enough
    let class: [&[usize]; 6] = [&[0, 1], &[1, 2], &[0, 2], &[1, 3], &[2], &[4]];
    assert_eq!((made("short"), record.value("short.status").as_str()), (7.0, Some("stopped")));
    let gap = record.number("short.certificate.optimality_gap");
    assert!(gap > 0.0 && gap < 0.01, "{gap}");
    assert!(all("short").iter().zip(all("m")).any(|(s, m)| (s - m).abs() > 1e-6));
    let wanted = by_hand(&sizes, &tensors, &class, 4000);
    close(&all("swept"), &wanted[0], 1e-9);
    assert!(diagnostics.iter().all(|d| !d.is_error()));
}

#[test]
fn the_bound_of_a_fit_that_stopped_holds() {
    let sizes = [3, 4, 3, 2, 3];
    let tensors = mixed(&sizes, true);
    let text = |options: &str| {
        format!(
            "{}model pairs {{ [a b] [b c] [a c] [b d] [c] [e] }}\nfit pairs to {} as m {{ {options} }}\n\
             show m.kl, m.certificate.optimality_gap, m.certificate.marginal_gap\n",
            declarations(&sizes, &tensors),
            targets(&tensors)
        )
    };
    let (_, best) = healthy(&text("tolerance 1e-13"));
    let (_, _, early) = run(&text("max_sweeps 2"), &Files::default());
    let (gap, bound) =
        (early.number("m.kl") - best.number("m.kl"), early.number("m.certificate.optimality_gap"));
    assert_eq!(early.fits[0].1, "stopped");
    assert!(early.number("m.certificate.marginal_gap") > 1e-6, "the fit has not stopped early");
    assert!(gap > 0.0 && gap <= bound && bound < 10.0 * gap, "{gap} and a bound of {bound}");
}

/// Models of all kinds without holes: their marginals are contracted, and no cell is listed.
#[test]
fn whole_tensors_end_at_the_optimum_of_plain_proportional_fitting() {
    let sizes = [3, 4, 1, 2, 3];
    // with tables inside others, components that are independent, modes in no table, a tensor with no table
    let classes: [(&str, Vec<&[usize]>); 6] = [
        ("[a b] [b c] [a c] [b d]", vec![&[0, 1], &[1, 2], &[0, 2], &[1, 3]]),
        ("[a b d] [b e] [a]", vec![&[0, 1, 3], &[1, 4], &[0]]),
        ("[a b] [b d] [a d] [d]", vec![&[0, 1], &[1, 3], &[0, 3], &[3]]),
        ("[a] [b d] [b e] [d e]", vec![&[0], &[1, 3], &[1, 4], &[3, 4]]),
        ("[b d e] [a e] [a b]", vec![&[1, 3, 4], &[0, 4], &[0, 1]]),
        ("[a e] [a]", vec![&[0, 4], &[0]]),
    ];
    for (text, class) in classes {
        let given = |name, modes: &[usize], weight: f64, shift: usize| {
            let shape: Vec<usize> = modes.iter().map(|m| sizes[*m]).collect();
            let values =
                det(&shape).into_iter().enumerate().map(|(k, x)| x * (1 + (k * 7 + shift) % 5) as f64);
            Given { name, modes: modes.to_vec(), values: values.collect(), weight }
        };
        let tensors =
            [given("x", &[0, 1, 2, 3], 1.0, 0), given("y", &[1, 3, 4], 0.25, 2), given("z", &[4, 0], 3.0, 1)];
        let seen: Vec<&[usize]> = class
            .into_iter()
            .filter(|c| tensors.iter().any(|t| c.iter().all(|m| t.modes.contains(m))))
            .collect();
        let names = text.split_inclusive(']').filter(|w| {
            let own: Vec<usize> =
                w.chars().filter_map(|c| NAMES.iter().position(|n| n.starts_with(c))).collect();
            seen.contains(&own.as_slice())
        });
        let text = format!(
            "{}model m {{ {} }}\nfit m to {} {{ tolerance 1e-13 }}\n\
             show m.of(x).fitted, m.of(y).fitted, m.of(z).fitted, m.divergence, m.certificate.optimality_gap\n",
            declarations(&sizes, &tensors),
            names.collect::<String>(),
            targets(&tensors)
        );
        let (session, record) = healthy(&text);
        let work = session.planned.first().and_then(|f| f.schedule.clone()).expect("a plan");
        assert_eq!(work.together().expect("a joint fit").contracted.len(), 3, "{text}");
        let wanted = by_hand(&sizes, &tensors, &seen, 4000);
        let mut total = 0.0;
        for (t, wanted) in tensors.iter().zip(&wanted) {
            close(&fitted(&record, t.name), wanted, 1e-8);
            total += t.weight * divergence(&t.values, wanted);
        }
        close(&[record.number("m.divergence")], &[total], 1e-10);
        assert!(record.number("m.certificate.optimality_gap") < 1e-12);
    }
}

/// Zeros, energies and a looser end: the same optimum as over a list of cells, and a bound that holds.
#[test]
fn whole_tensors_are_fitted_as_over_a_list_of_cells() {
    let sizes = [3, 4, 3, 2, 3];
    let mut tensors = mixed(&sizes, false);
    for t in &mut tensors {
        t.values.iter_mut().step_by(11).for_each(|x| *x = 0.0);
    }
    let text = |how: &str| {
        format!(
            "{}model pairs {{ [a b] [b c] [a c] [b d] [c] [e]\n[a c] = if a == 1 {{ 2 }} else {{ -1 }} }}\n\
             fit pairs to {} {how}\n\
             show m.of(x).fitted, m.of(y).fitted, m.of(z).fitted, m.divergence, m.total\n\
             show m.certificate.optimality_gap, m.df\n",
            declarations(&sizes, &tensors),
            targets(&tensors)
        )
    };
    let (_, listed) = healthy(&text("by ipf as m { tolerance 1e-13 }"));
    let (_, whole) = healthy(&text("as m { tolerance 1e-13 }"));
    for name in ["x", "y", "z"] {
        close(&fitted(&whole, name), &fitted(&listed, name), 1e-8);
    }
    close(&[whole.number("m.divergence")], &[listed.number("m.divergence")], 1e-10);
    assert_eq!(whole.number("m.df"), listed.number("m.df"));
    let (_, _, early) = run(&text("as m { max_sweeps 4 }"), &Files::default());
    assert_eq!(early.fits[0].1, "stopped");
    let gap = (early.number("m.divergence") - whole.number("m.divergence")) / whole.number("m.total");
    let bound = early.number("m.certificate.optimality_gap");
    assert!(gap > 1e-9 && gap <= bound && bound < 10.0 * gap, "{gap} and a bound of {bound}");
}

/// Unknown and impossible cells, energies and zeros: contracted, the fit ends where it does over a list of cells, with the
/// same cells open and the same degrees of freedom, and no more memory than the plan says.
#[test]
fn tensors_with_holes_are_fitted_as_over_a_list_of_cells() {
    let sizes = [3, 4, 3, 2, 3];
    for (step, said) in [
        (7, ""),
        (3, "forbid a == 0 and b == 2; forbid b == 1 and d == 0"),
        (2, "[a c] = if a == 1 { 2 } else { -1 }"),
        (2, "forbid a == b"),
    ] {
        let mut tensors = mixed(&sizes, false);
        for (k, t) in tensors.iter_mut().enumerate() {
            let shape: Vec<usize> = t.modes.iter().map(|m| sizes[*m]).collect();
            let wrong = |k: usize| {
                let own = levels(&shape, k);
                let at = |m: usize| t.modes.iter().position(|o| *o == m).map(|i| own[i]);
                said.contains("b == 2")
                    && (at(0) == Some(0) && at(1) == Some(2) || at(1) == Some(1) && at(3) == Some(0))
                    || said.contains("a == b") && at(0).is_some() && at(0) == at(1)
            };
            let keep: Vec<bool> = (0..t.values.len()).map(|k| !wrong(k)).collect();
            for (i, (x, keep)) in t.values.iter_mut().zip(keep).enumerate() {
                let hidden = (i * i + k) % step == 1;
                if hidden || !keep {
                    *x = if hidden { f64::NAN } else { 0.0 };
                }
            }
        }
        let mut text = declarations(&sizes, &tensors);
        text.push_str(&format!("model pairs {{ [a b]; [b c]; [a c]; [b d]; [c]; [e]; {said} }}\n"));
        let of = targets(&tensors);
        text.push_str(&format!("fit pairs to {of} as m {{ tolerance 1e-12 }}\n"));
        text.push_str(&format!("fit pairs to {of} by ipf as l {{ tolerance 1e-11; max_sweeps 4000 }}\n"));
        for name in ["m", "l"] {
            let parts: Vec<String> =
                tensors.iter().map(|t| format!("{name}.of({}).fitted", t.name)).collect();
            text.push_str(&format!(
                "show {name}.status, {name}.divergence, {name}.df, {}\n",
                parts.join(", ")
            ));
        }
        let (session, diagnostics, r) = run(&text, &Files::default());
        assert!(!diagnostics.iter().any(|d| d.is_error()), "{said}: {diagnostics:?}");
        let plan = |k: usize| session.planned[k].schedule.clone().expect("a plan").tree();
        assert!(
            plan(0).contains("Newton steps on marginals") && plan(1).contains("sweeps over"),
            "{}",
            plan(0)
        );
        assert!(plan(0).contains("on the observed cells of"), "{}", plan(0));
        for what in ["status", "df"] {
            assert_eq!(r.value(&format!("m.{what}")), r.value(&format!("l.{what}")), "{what}: {step} {said}");
        }
        close(&[r.number("m.divergence")], &[r.number("l.divergence")], 1e-7);
        for t in &tensors {
            let of = |name: &str| format!("{name}.of({}).fitted", t.name);
            let open = |name: &str| r.value(&of(name)).to_string().matches("null").count();
            assert_eq!(open("m"), open("l"), "{step} {said} {}", t.name);
            let known = |name: &str| -> Vec<f64> {
                r.numbers(&of(name)).into_iter().filter(|x| !x.is_nan()).collect()
            };
            close(&known("m"), &known("l"), 1e-7);
        }
    }
}

/// A slab of a tensor of 331 776 cells is unknown: neither its cells nor the others are listed, and what it leaves open another
/// tensor settles.
#[test]
fn a_mask_over_few_modes_lists_no_cell() {
    let mut files = Files::default();
    let row = |k: usize| format!("{},{},{},{},{}\n", k % 23, k * 7 % 24, k * 11 % 24, k * 13 % 24, 1 + k % 5);
    let x: String = (0..600).map(row).collect();
    files.there.insert("x.csv".into(), format!("a,b,c,d,value\n{x}").into_bytes());
    let y: String = (0..24).map(|k| format!("{k},{}\n", 2 + k % 7)).collect();
    files.there.insert("y.csv".into(), format!("a,value\n{y}").into_bytes());
    let text = "mode a: 24, b: 24, c: 24, d: 24\n\
        data x[a, b, c, d] from \"x.csv\" missing where a == 23\ndata y[a] from \"y.csv\"\n\
        model m { [a]; [b c]; [c d] }\nfit m to x, y weight 2\n\
        show m.status, m.certificate.marginal_gap, m.parameters\n";
    let (session, _, record) = run(text, &files);
    assert!(record.number("m.certificate.marginal_gap") <= 1e-9);
    assert_eq!(record.number("m.parameters"), 23.0 + 3.0 * 23.0 + 2.0 * 23.0 * 23.0);
    assert!(!record.codes.contains(&"MBA563"), "{}", record.text);
    let plan = session.planned[0].schedule.clone().expect("a plan");
    assert!(plan.peak < 2e6, "{}", plan.peak);
}

/// Four modes of a hundred levels have 10⁸ cells, of which three hundred have data.
#[test]
fn no_cell_without_data_is_looked_at() {
    let mut text = String::from("mode a: 100, b: 100, c: 100, d: 100\n");
    let rows = |count: usize, modes: &[&str], step: usize| {
        let row = |k: usize| {
            let at: Vec<String> =
                (0..modes.len()).map(|m| ((k * (7 + 12 * m) * step) % 100).to_string()).collect();
            format!("{},{}\n", at.join(","), 1 + k % 5)
        };
        format!("{},value\n{}", modes.join(","), (0..count).map(row).collect::<String>())
    };
    let mut files = Files::default();
    files.there.insert("x.csv".into(), rows(300, &["a", "b", "c", "d"], 11).into_bytes());
    files.there.insert("y.csv".into(), rows(200, &["a", "c"], 13).into_bytes());
    text.push_str(
        "data x[a, b, c, d] from \"x.csv\"\ndata y[a, c] from \"y.csv\"\n\
         model m { [a b] [b c] [a c] [d] }\nfit m to x, y weight 2\n\
         show m.certificate.marginal_gap, m.certificate.optimality_gap\n",
    );
    let (session, record) = program_support::healthy(&text, &files);
    assert!(record.number("m.certificate.marginal_gap") <= 1e-9);
    let plan = session.planned[0].schedule.clone().expect("a plan");
    assert!(plan.peak < 2e7, "{}", plan.peak);
}

/// Energies that are all but impossible are taken up by a table, as in a fit to one tensor.
#[test]
fn tables_take_up_energies_of_hundreds_of_decades() {
    let text = |energy: f64| {
        format!(
            "mode a: 2, b: 2, c: 2\ndata x[a, b, c] = [[[1, 2], [3, 4]], [[2, 1], [5, 6]]]\n\
             data y[a, b] = [[1, 2], [3, 4]]\n\
             model m {{ [a b] = if a == 1 {{ {energy} }} else {{ -{energy} }}\n[a] [b] [a c] }}\n\
             fit m to x, y\nshow m.divergence, m.of(x).fitted, m.of(y).fitted\n"
        )
    };
    let (_, mild) = healthy(&text(1.0));
    for energy in [300.0, 690.0, 2000.0] {
        let (_, r) = healthy(&text(energy));
        close(&[r.number("m.divergence")], &[mild.number("m.divergence")], 1e-9);
        for name in ["x", "y"] {
            close(&fitted(&r, name), &fitted(&mild, name), 1e-7);
        }
    }
}

#[test]
fn weights_that_leave_no_doubles_are_refused() {
    let head = "mode a: 2, b: 2\ndata x[a, b] = [[1e200, 2], [3, 4]]\ndata y[a] = [1, 2]\n";
    for class in ["[a] [b]", "[a b]"] {
        for weights in ["x weight 1e200, y", "x, y weight 1e-305"] {
            let text = format!("{head}model m {{ {class} [a] }}  # allow MBA321\nfit m to {weights}\n");
            let (_, _, r) = run(&text, &Files::default());
            assert!(r.codes.contains(&"MBA414"), "{weights}: {}", r.text);
        }
    }
}

#[test]
fn a_weight_is_the_same_as_data_multiplied_by_it() {
    let sizes = [3, 4, 3, 2, 3];
    let tensors = mixed(&sizes, true);
    let mut scaled = tensors.clone();
    for t in &mut scaled {
        t.values.iter_mut().for_each(|x| *x *= t.weight);
        t.weight = 1.0;
    }
    let fit = |tensors: &[Given]| {
        let text = format!(
            "{}model pairs {{ [a b] [b c] [a c] [b d] [e] }}\nfit pairs to {} as m {{ tolerance 1e-13 }}\n\
             show m.of(x).fitted, m.of(y).fitted, m.of(z).fitted, m.kl\n",
            declarations(&sizes, tensors),
            targets(tensors)
        );
        healthy(&text).1
    };
    let (a, b) = (fit(&tensors), fit(&scaled));
    for t in &tensors {
        let wanted: Vec<f64> = fitted(&b, t.name).iter().map(|q| q / t.weight).collect();
        close(&fitted(&a, t.name), &wanted, 1e-10);
    }
    close(&[a.number("m.kl")], &[b.number("m.kl")], 1e-11);
}

#[test]
fn the_order_of_tensors_and_of_modes_does_not_matter() {
    let sizes = [3, 4, 3, 2, 3];
    let tensors = mixed(&sizes, true);
    let fit = |order: [usize; 3], model: &str| {
        let list: Vec<Given> = order.iter().map(|t| tensors[*t].clone()).collect();
        let text = format!(
            "{}model pairs {{ {model} }}\nfit pairs to {} as m {{ tolerance 1e-13 }}\n\
             show m.of(x).fitted, m.of(y).fitted, m.of(z).fitted, m.kl, m.parameters, m.df\n",
            declarations(&sizes, &list),
            targets(&list)
        );
        healthy(&text).1
    };
    let a = fit([0, 1, 2], "[a b] [b c] [a c] [b d] [e]");
    for order in [[1, 0, 2], [2, 1, 0]] {
        let b = fit(order, "[e] [d b] [c a] [c b] [b a]");
        for t in &tensors {
            close(&fitted(&b, t.name), &fitted(&a, t.name), 1e-10);
        }
        for what in ["m.parameters", "m.df"] {
            assert_eq!(a.number(what), b.number(what));
        }
    }
}

/// Nothing shared: each tensor is fitted as if alone, and a warning says so.
#[test]
fn tensors_that_share_nothing_are_fitted_alone() {
    let text = "mode a: 3, b: 2, c: 2, d: 3\n\
        data x[a, b] = [[1, 2], [3, 5], [missing, 1]]\ndata y[c, d] = [[2, 7, 1], [8, 2, missing]]\n\
        model one { body(1) }\nfit one to x, y weight 3 as m { tolerance 1e-12 }\n\
        fit one to x as alone_x\nfit one to y as alone_y\n\
        show m.of(x).fitted, m.of(y).fitted, alone_x.fitted, alone_y.fitted, m.divergence, m.df\n\
        show alone_x.divergence, alone_y.divergence, alone_x.df, alone_y.df, m.of(x).kl, alone_x.kl\n";
    let (_, diagnostics, record) = run(text, &Files::default());
    let codes: Vec<&str> = diagnostics.iter().map(|d| d.code.name()).collect();
    assert_eq!(codes, ["MBA378", "MBA378"]);
    for name in ["x", "y"] {
        close(&fitted(&record, name), &record.numbers(&format!("alone_{name}.fitted")), 1e-9);
    }
    let both = record.number("alone_x.divergence") + 3.0 * record.number("alone_y.divergence");
    close(&[record.number("m.divergence")], &[both], 1e-10);
    close(&[record.number("m.of(x).kl")], &[record.number("alone_x.kl")], 1e-10);
    assert_eq!(record.number("m.df"), record.number("alone_x.df") + record.number("alone_y.df"));
}

/// What one tensor leaves undetermined another one determines.
#[test]
fn tensors_determine_cells_for_each_other() {
    let text = "mode a: 3, b: 2, c: 2\n\
        data x[a, b] = [[1, 2], [3, 5], [missing, missing]]\ndata y[a, c] = [[2, 7], [8, 2], [4, 3]]\n\
        model one { body(1) }\nfit one to x, y as m\nshow m.of(x).completed, m.of(x).fitted, m.df, m.parameters\n";
    let (_, record) = healthy(text);
    assert!(!record.codes.contains(&"MBA563"), "{:?}", record.codes);
    let x = fitted(&record, "x");
    // the level a: 2 is 7/26 of y, and what x has of the other two is 11
    let share = |i: usize| x[2 * i] + x[2 * i + 1];
    assert!((share(0) + share(1) - 11.0).abs() < 1e-7);
    assert!((share(2) / 11.0 - 7.0 / 19.0).abs() < 1e-8, "{x:?}");
    assert_eq!(record.numbers("m.of(x).completed")[..4], [1.0, 2.0, 3.0, 5.0]);
    // 4 + 6 cells, two levels, and a, b, c
    assert_eq!((record.number("m.parameters"), record.number("m.df")), (4.0, 4.0));

    let alone = text.replace("fit one to x, y as m", "fit one to x as m").replace("m.of(x)", "m");
    let (_, record) = healthy(&alone);
    assert!(record.codes.contains(&"MBA563"));
}

/// A tie makes one table of two tensors' own modes.
#[test]
fn tables_of_different_tensors_can_be_tied() {
    let text = "mode a: 3, b: 3, c: 2\n\
        data x[a] = [1, 2, 6]\ndata y[b, c] = [[2, 7], [8, 2], [4, 3]]\n\
        model one { body(1); tie [a] ~ [b] }\nfit one to x, y weight 2 as m { tolerance 1e-12 }\n\
        show m.of(x).fitted, m.of(y).fitted, m.parameters\n";
    let (_, record) = healthy(text);
    let share: Vec<f64> = [19.0, 22.0, 20.0].iter().map(|v| v / 61.0).collect();
    close(&fitted(&record, "x"), &share.iter().map(|p| 9.0 * p).collect::<Vec<_>>(), 1e-10);
    let y: Vec<f64> = share.iter().flat_map(|p| [14.0 * p, 12.0 * p]).collect();
    close(&fitted(&record, "y"), &y, 1e-10);
    assert_eq!(record.number("m.parameters"), 3.0);
}

/// Smoothness and impossible cells count in the tensors that have their modes.
#[test]
fn smoothness_and_impossible_cells_are_those_of_their_tensor() {
    let head = "mode a: 5 ordered, b: 4, c: 2, d: 2\n\
        data x[a, b] = [[1, 2, 3, 1], [2, missing, 4, 1], [5, 2, 1, 0], [missing, 2, 2, 1], [1, 1, 4, 7]]\n\
        data y[c, d] = [[2, 7], [8, 2]]\n\
        model smoothed { [a b] [c] [d]; smooth [a b] along a strength 2 }  # allow MBA322\n\
        model partial { body(1); forbid a == 2 and b == 3 }\n";
    let text = format!(
        "{head}fit smoothed to x, y as m\nfit partial to x, y as p\n\
         show m.of(x).fitted, p.of(x).fitted, m.df\n"
    );
    let (_, _, together) = run(&text, &Files::default());
    let own = head
        .replace("data y[c, d] = [[2, 7], [8, 2]]\n", "")
        .replace(" [c] [d]", "")
        .replace(", c: 2, d: 2", "");
    let text = format!("{own}fit smoothed to x as m\nfit partial to x as p\nshow m.fitted, p.fitted\n");
    let (_, _, alone) = run(&text, &Files::default());
    close(&together.numbers("m.of(x).fitted"), &alone.numbers("m.fitted"), 1e-7);
    close(&together.numbers("p.of(x).fitted"), &alone.numbers("p.fitted"), 1e-9);
    assert!(together.value("m.df").is_null());
}

/// Rounding of the objective says nothing of a step that is smaller.
#[test]
fn a_tighter_tolerance_is_met_as_closely() {
    let text = |tolerance: &str| {
        format!(
            "mode a: 3, b: 2, c: 2, d: 4\n\
             data x[d, b] = [[missing, 8], [0, 5], [4, 5], [5, 6]]\n\
             data y[d, a] = [[10.5, 1.25, 1.25], [0.625, 1.5, 5], [missing, 6.25, 7.875], [4.25, 5.5, missing]]\n\
             data z[a, c] = [[missing, 34], [11.5, 18.25], [missing, 31.625]]\n\
             model m {{ [a d]; [b]; [c]; forbid d == 1 and b == 0; prior 5% toward body(1) }}\n\
             fit m to x weight 0.5, y weight 0.5, z weight 0.01 as j {{ tolerance {tolerance} }}\n\
             show j.certificate.marginal_gap, j.iterations\n"
        )
    };
    for tolerance in ["1e-9", "1e-11", "1e-12", "1e-13"] {
        let (_, _, record) = run(&text(tolerance), &Files::default());
        let (gap, steps) = (record.number("j.certificate.marginal_gap"), record.number("j.iterations"));
        assert!(gap < 1e-12 && steps < 100.0, "{tolerance}: {gap:e} after {steps}");
    }
}

/// A tensor beside another that shares nothing with it ends as it does alone: with this status, and with these cells open.
fn beside(head: &str, model: &str, tolerance: &str) -> [(&'static str, Vec<bool>, bool); 2] {
    let other = "mode e: 2, f: 2\ndata y[e, f] = [[1, 2], [3, 5]]\n";
    let text = |also: &str, to: &str| {
        format!(
            "{other}{head}model m {{ {also}{model} }}  # allow MBA322\nfit m to {to} as m {{ tolerance {tolerance} }}  # allow MBA378\n"
        )
    };
    let of = |text: String, shown: &str| {
        let (_, diagnostics, r) = run(&format!("{text}show {shown}\n"), &Files::default());
        assert!(!diagnostics.iter().any(mba::text::Diagnostic::is_error), "{model}: {diagnostics:?}");
        let cells = r.value(shown).as_array().expect("rows of cells");
        let cells = cells.iter().flat_map(|row| row.as_array().expect("cells"));
        (r.fits[0].1, cells.map(serde_json::Value::is_null).collect(), r.codes.contains(&"MBA513"))
    };
    [of(text("", "x"), "m.fitted"), of(text("[e]; [f]; ", "x, y"), "m.of(x).fitted")]
}

/// Zeros that send cells to infinity are recognised with and without smoothness and ties, and what only looks like it
/// is not taken for it.
#[test]
fn the_boundary_is_where_it_is_alone() {
    let two = |x: &str| format!("mode a: 2 ordered, b: 2 ordered\ndata x[a, b] = {x}\n");
    let three = |x: &str| format!("mode a: 3 ordered, b: 3 ordered\ndata x[a, b] = {x}\n");
    let open = two("[[0, 2], [3, missing]]");
    let level = three("[[missing, 0, 5], [0, 0, 0], [missing, missing, missing]]");
    let positive = three("[[1, 2, 300], [4, missing, 0.001], [5, 1e-6, 2]]");
    let zeros = three("[[0, 27, 27], [12, 0, 0], [13, 0, 0]]");
    let holes = three("[[missing, 19, 0], [12, missing, 0], [missing, 0, 6]]");
    let explained = three("[[0, 5, 7], [0, 6, 9], [0, missing, missing]]");
    for (head, model, status, cells) in [
        (&open, "[a]; [b]", "boundary", 1),
        (&explained, "[a]; [b]", "boundary", 2),
        (&open, "[a b]; smooth [a b] along a strength 1", "boundary", 1),
        (&open, "[a]; [b]; tie [a] ~ [b]", "boundary", 1),
        (&two("[[0, 3], [5, 7]]"), "[a b]; tie [a b] ~ [b a]", "boundary", 0),
        (&level, "[a]; [b]; tie [a] ~ [b]", "boundary", 2),
        (&positive, "[a b]; smooth [a b] along a strength 1e-6", "converged", 0),
        (&positive, "[a b]; tie [a b] ~ [b a]", "converged", 0),
        (&positive, "[a]; [b]; tie [a] ~ [b]; smooth [a] along a strength 10", "converged", 0),
        (&zeros, "[a b]; smooth [a b] along a strength 1e-6", "converged", 0),
        (&holes, "[a b]; tie [a b] ~ [b a]; smooth [a b] along a strength 1e-6", "converged", 0),
    ] {
        for tolerance in ["1e-9", "1e-11"] {
            let [alone, joint] = beside(head, model, tolerance);
            assert_eq!(alone, joint, "{model}, {tolerance}");
            assert_eq!(joint.0, status, "{model}, {tolerance}");
            let count = joint.1.iter().filter(|open| **open).count();
            assert!(status == "converged" || count == cells, "{model}, {tolerance}: {count}");
        }
    }
}

/// Cells on their way to infinity are none at a loose tolerance either, with few cells and without a list of them.
#[test]
fn loose_tolerances_leave_the_same_cells_open() {
    for model in ["[a]; [b]", "[a]; [b]; tie [a] ~ [b]"] {
        for tolerance in [1e-3, 1e-5, 1e-7, 1e-12] {
            let text = format!(
                "mode a: 2, b: 2, c: 3\ndata x[a, b] = [[0, 2], [3, missing]]\ndata y[c] = [1, 2, 3]\n\
                 model m {{ {model}; [c] }}\nfit m to x, y as j {{ tolerance {tolerance} }}  # allow MBA378\n\
                 show j.of(x).completed\n"
            );
            let (_, _, record) = run(&text, &Files::default());
            let found = record.value("j.of(x).completed").to_string();
            assert_eq!(found.matches("null").count(), 1, "{model} {tolerance}: {found}");
        }
    }
}

/// A tie carries what smoothness says of one tensor to another, and neither is enough alone.
#[test]
fn ties_and_smoothness_determine_cells_of_other_tensors_together() {
    let head = "mode a: 3, b: 3 cyclic, c: 3\n\
        data x[c] = [missing, missing, 3]\ndata y[b] = [missing, missing, 2]\ndata z[a] = [5, missing, missing]\n";
    let (tie, smooth) = ("tie [a] ~ [b]", "smooth [b] along b strength 1");
    let open = |said: &str| {
        let text = format!(
            "{head}model m {{ [a]; [b]; {said} }}\nfit m to x, y weight 2, z as m  # allow MBA378\n\
             show m.of(y).fitted, m.of(z).fitted\n"
        );
        let (_, _, r) = run(&text, &Files::default());
        ["y", "z"].map(|t| r.value(&format!("m.of({t}).fitted")).to_string().matches("null").count())
    };
    assert_eq!(open(&format!("{tie}; {smooth}")), [0, 0]);
    assert_eq!(open(tie), [2, 2]);
    assert_eq!(open(smooth), [0, 2]);
}

/// What smoothness leaves open in one table is not what another table of the same modes settles.
#[test]
fn smoothness_of_one_table_determines_nothing_of_another() {
    let text = "mode a: 2 ordered, c: 3\n\
        data x[a, c] = [[30, 40, 50], [32, 38, 35]]\ndata y[c] = [missing, 5, 2]\n\
        model m { [a c]; [c]; smooth [a c] along a strength 0.3 }  # allow MBA322\n\
        model plain { [a c]; [c] }\nfit m to x, y as j\nfit plain to x, y as k\n\
        show j.of(y).fitted, k.of(y).fitted, j.of(x).fitted\n";
    let (_, _, record) = run(text, &Files::default());
    for name in ["j", "k"] {
        let found = record.value(&format!("{name}.of(y).fitted")).to_string();
        assert_eq!(found.matches("null").count(), 1, "{name}: {found}");
    }
    assert!(!record.value("j.of(x).fitted").to_string().contains("null"));

    // a tensor that sees no table tells nothing of one that is smooth
    let text = "mode a: 3, b: 2 ordered\n\
        data x[b, a] = [[1, 2, missing], [3, 1, missing]]\ndata y[a] = [12, 12, 8]\n\
        model m { [a b]; smooth [a b] along b strength 0.3 }  # allow MBA322\n\
        fit m to x as alone\nfit m to x, y as j\nshow alone.fitted, j.of(x).fitted\n";
    let (_, _, record) = run(text, &Files::default());
    for name in ["alone.fitted", "j.of(x).fitted"] {
        let found = record.value(name).to_string();
        assert_eq!(found.matches("null").count(), 2, "{name}: {found}");
    }
}

#[test]
fn what_is_held_out_is_measured_tensor_by_tensor() {
    let (sizes, tensors) = three_matrices(0.5, 2.0);
    let text = format!(
        "{}model one {{ body(1) }}\nfit one to {} as m {{ hold_out 20% seed 3 }}\n\
         fit one to {} as w {{ hold_out where c == 1 }}\n\
         show m.held_out.cells, m.held_out.tensors.cells, m.of(x).held_out.rmse, m.held_out.tensors.rmse\n\
         show w.held_out.cells, w.held_out.tensors.tensor, m.held_out.rmse, m.held_out.unidentified\n\
         show w.held_out.unidentified, w.held_out.tensors.unidentified, m.held_out.tensors.unidentified\n",
        declarations(&sizes, &tensors),
        targets(&tensors),
        targets(&tensors)
    );
    let (_, record) = healthy(&text);
    assert_eq!(record.numbers("m.held_out.tensors.cells"), [6.0, 4.0, 4.0]);
    assert_eq!(record.number("m.held_out.cells"), 14.0);
    let rmse = record.numbers("m.held_out.tensors.rmse");
    assert_eq!(record.number("m.of(x).held_out.rmse"), rmse[0]);
    let all = (6.0 * rmse[0].powi(2) + 4.0 * rmse[1].powi(2) + 4.0 * rmse[2].powi(2)) / 14.0;
    close(&[record.number("m.held_out.rmse")], &[all.sqrt()], 1e-12);
    assert_eq!(record.number("w.held_out.cells"), 6.0);
    assert_eq!(record.value("w.held_out.tensors.tensor").to_string(), "[\"y\"]");
    // no other cell has this level of `c`
    assert_eq!(record.number("w.held_out.unidentified"), 6.0);
    assert_eq!(record.numbers("w.held_out.tensors.unidentified"), [6.0]);
    assert_eq!(record.numbers("m.held_out.tensors.unidentified"), [0.0, 0.0, 0.0]);
}

/// Zeros in the data: the optimum is on the boundary, and a zero of one tensor is not one where another has data.
#[test]
fn a_zero_of_one_tensor_is_filled_by_another() {
    let text = |y: &str| {
        format!(
            "mode a: 3, b: 2, c: 2\ndata x[a, b] = [[1, 2], [3, 5], [0, 0]]\ndata y[a, c] = {y}\n\
             model one {{ body(1) }}\nfit one to x, y as m\nshow m.of(x).fitted, m.status\n"
        )
    };
    let (_, record) = healthy(&text("[[2, 7], [8, 2], [4, 3]]"));
    assert_eq!(record.fits[0].1, "closed_form");
    assert!(fitted(&record, "x")[4] > 0.0);
    let (_, record) = healthy(&text("[[2, 7], [8, 2], [0, 0]]"));
    assert_eq!(record.fits[0].1, "boundary");
    assert!(record.codes.contains(&"MBA512"));
    assert_eq!(fitted(&record, "x")[4..], [0.0, 0.0]);
}

/// The optimality conditions of a fit to data and to what a fit of one table per mode makes of each tensor: sums over
/// what is observed and over all cells together agree table by table, and tensor by tensor.
#[test]
fn a_prior_adds_what_a_simpler_model_makes_of_each_tensor() {
    let sizes = [3, 4, 3, 2, 3];
    let class: [&[usize]; 6] = [&[0, 1], &[1, 2], &[0, 2], &[1, 3], &[2], &[4]];
    for (holes, strength, share) in [(false, "20%", 0.2), (true, "20%", 0.2), (true, "30", f64::NAN)] {
        let tensors = mixed(&sizes, holes);
        let text = format!(
            "{}model one {{ body(1) }}\n\
             model pairs {{ [a b] [b c] [a c] [b d] [c] [e]; prior {strength} toward one }}\n\
             fit pairs to {} as m {{ tolerance 1e-13 }}\n\
             fit one to x as alone_x {{ tolerance 1e-13 }}\nfit one to y as alone_y {{ tolerance 1e-13 }}\n\
             fit one to z as alone_z {{ tolerance 1e-13 }}\n\
             show m.of(x).fitted, m.of(y).fitted, m.of(z).fitted, alone_x.fitted, alone_y.fitted, alone_z.fitted\n\
             show m.certificate.optimality_gap, m.df, m.status, m.divergence\n",
            declarations(&sizes, &tensors),
            targets(&tensors)
        );
        let (_, record) = healthy(&text);
        assert!(record.number("m.certificate.optimality_gap") < 1e-12);
        assert!(record.value("m.df").is_null(), "a prior is worth no number of parameters");
        let mut wanted: Vec<Vec<f64>> =
            class.iter().map(|c| vec![0.0; c.iter().map(|m| sizes[*m]).product()]).collect();
        let mut found = wanted.clone();
        let mut total = 0.0;
        for t in &tensors {
            let (q, simple) = (fitted(&record, t.name), record.numbers(&format!("alone_{}.fitted", t.name)));
            let seen: f64 = t.values.iter().filter(|x| !x.is_nan()).sum();
            let mass = if share.is_nan() { 30.0 } else { share * seen };
            let exposure = mass / simple.iter().sum::<f64>();
            let shape: Vec<usize> = t.modes.iter().map(|m| sizes[*m]).collect();
            let (mut all_wanted, mut all_found) = (0.0, 0.0);
            for k in 0..q.len() {
                let x = t.values[k];
                let (data, own) = if x.is_nan() { (0.0, 0.0) } else { (x, 1.0) };
                let (w, f) = (data + exposure * simple[k], (own + exposure) * q[k]);
                all_wanted += w;
                all_found += f;
                let index = levels(&shape, k);
                for (c, (wanted, found)) in class.iter().zip(wanted.iter_mut().zip(&mut found)) {
                    let places: Option<Vec<usize>> =
                        c.iter().map(|m| t.modes.iter().position(|o| o == m)).collect();
                    let Some(places) = places else { continue };
                    let at = c.iter().zip(places).fold(0, |at, (m, p)| at * sizes[*m] + index[p]);
                    wanted[at] += t.weight * w;
                    found[at] += t.weight * f;
                }
            }
            close(&[all_found], &[all_wanted], 1e-9);
            total += t.weight * divergence(&t.values, &q);
        }
        for (found, wanted) in found.iter().zip(&wanted) {
            close(found, wanted, 1e-9);
        }
        // what is shown is the distance to the data, without the pseudo-data
        close(&[record.number("m.divergence")], &[total], 1e-10);
    }
}

/// Tensors that share nothing lean by themselves, each to the part of the simpler model it sees.
#[test]
fn tensors_that_share_nothing_lean_alone() {
    let head = "mode a: 3, b: 2, c: 2, d: 3\n\
        data x[a, b] = [[1, 2], [3, 5], [missing, 1]]\ndata y[c, d] = [[2, 7, 1], [8, 2, missing]]\n";
    for strength in ["2", "10%", "auto"] {
        let text = format!(
            "{head}model simple {{ [a] [b] [c] }}\nmodel of_x {{ [a] [b] }}\nmodel of_y {{ [c] }}\n\
             model m {{ [a b] [c d]; prior {strength} toward simple }}\n\
             model mx {{ [a b]; prior {strength} toward of_x }}\nmodel my {{ [c d]; prior {strength} toward of_y }}\n\
             fit m to x, y weight 3 as m {{ tolerance 1e-12 }}\nfit mx to x as alone_x {{ tolerance 1e-12 }}\n\
             fit my to y as alone_y {{ tolerance 1e-12 }}\n\
             show m.of(x).fitted, m.of(y).fitted, alone_x.fitted, alone_y.fitted\n"
        );
        let (_, diagnostics, record) = run(&text, &Files::default());
        assert!(!diagnostics.iter().any(|d| d.is_error()), "{diagnostics:?}");
        if strength == "auto" {
            // one share for both, chosen on cells of both
            assert_eq!(record.codes.iter().filter(|code| **code == "MBA575").count(), 3);
            continue;
        }
        for name in ["x", "y"] {
            close(&fitted(&record, name), &record.numbers(&format!("alone_{name}.fitted")), 1e-9);
        }
    }
}

/// What `auto` says it chose is what it fitted with, and more tensors choose together.
#[test]
fn a_strength_that_is_found_can_be_written_down() {
    let sizes = [3, 4, 3, 2, 3];
    let tensors = mixed(&sizes, true);
    let text = |strength: &str| {
        format!(
            "{}model one {{ body(1) }}\n\
             model pairs {{ [a b] [b c] [a c] [b d] [c] [e]; prior {strength} toward one }}\n\
             fit pairs to {} as m {{ tolerance 1e-12 }}\nshow m.of(x).fitted, m.kl\n",
            declarations(&sizes, &tensors),
            targets(&tensors)
        )
    };
    let (_, _, record) = run(&text("auto"), &Files::default());
    let (_, rest) = record.text.split_once("leans to `one` by ").expect("a note");
    let rest = rest.split_whitespace().next().expect("by how much");
    let (_, written) = healthy(&text(rest));
    close(&fitted(&record, "x"), &fitted(&written, "x"), 1e-9);
    close(&[record.number("m.kl")], &[written.number("m.kl")], 1e-9);
}

/// Joint fits of the same data side by side, with the likelihood-ratio test between them; a saturated one has a divergence
/// of zero, and nothing below.
#[test]
fn joint_fits_are_compared() {
    let text = "mode a: 3, b: 2, c: 2\ndata x[a, b] = [[1, 2], [3, 5], [4, 1]]\ndata y[a, c] = [[2, 7], [8, 2], [4, 3]]\n\
        model one { body(1) }\nmodel two { [a b] [a c] }\nfit one to x, y as m\nfit two to x, y as n\n\
        show compare(m, n).df, compare(m, n).deviance, m.deviance, m.aic, compare(m, n).aic, n.kl, plan(m)\n\
        show compare(n, m).tests\n";
    let (_, diagnostics, record) = run(text, &Files::default());
    assert!(!diagnostics.iter().any(|d| d.is_error()));
    assert_eq!(record.numbers("compare(m, n).df"), [6.0, 0.0]);
    let deviance = record.number("m.deviance");
    close(&record.numbers("compare(m, n).deviance"), &[deviance, 0.0], 1e-12);
    assert_eq!(record.numbers("compare(m, n).aic")[0], record.number("m.aic"));
    assert!(!record.number("n.kl").is_sign_negative());
    let tests = record.value("compare(n, m).tests").to_string();
    assert!(tests.contains("\"m\"") && tests.contains("\"df\":6"), "{tests}");
    assert!(record.value("plan(m)").to_string().contains("closed form"));
    let (_, _, other) =
        run(&format!("{text}fit one to x as alone\nshow compare(m, alone)\n"), &Files::default());
    assert!(other.codes.contains(&"MBA105"), "fits of different data");
}

#[test]
fn mistakes_have_names() {
    let head = "mode a: 3, b: 2, c: 2\ndata x[a, b] = [[1, 2], [3, 5], [4, 1]]\ndata y[a, c] = [[2, 7], [8, 2], [4, 3]]\n\
        model one { body(1) }\nmodel two { [a b] [a c] [b c] }\nmodel three { [a b c] }\nmodel over_x over a, b { body(1) }\n\
        model circle { body(1); prior 5% toward circle }\nmodel leaning { body(1); prior 5% toward body(1) }\n";
    let codes = |text: &str| -> Vec<&'static str> {
        let (_, diagnostics, _) = run(&format!("{head}{text}\n"), &Files::default());
        diagnostics.iter().filter(|d| d.is_error()).map(|d| d.code.name()).collect()
    };
    for (text, wanted) in [
        ("fit one to x, y weight 0 as m", "MBA376"),
        ("fit one to x, y weight -1 as m", "MBA376"),
        ("fit one to x, y weight nan as m", "MBA376"),
        ("fit one to x, y weight 1 / 0 as m", "MBA376"),
        ("fit one to x weight 0 as m", "MBA376"),
        ("fit one to x, x as m", "MBA377"),
        ("fit two to x, y as m", "MBA375"),
        ("fit over_x to x, y as m", "MBA225"),
        ("fit circle to x, y as m", "MBA374"),
        ("fit one to x, y by a1gm as m", "MBA520"),
        ("fit one to x, y by pseudo_likelihood as m", "MBA520"),
        ("fit leaning to x, y by ipf as m", "MBA520"),
        ("fit one to x, y by newtn as m", "MBA102"),
        ("fit one to x, z as m", "MBA101"),
        ("fit one to x, y as m { hold_out where b == 1 and c == 1 }", "MBA458"),
        ("fit one to x, y as m { hold_out from \"m.npy\" }", "MBA458"),
        ("fit one to x, y as m { hold_out from \"m.npy\"[b, c] }", "MBA458"),
        ("fit one to x, y as m\nshow m.fitted", "MBA455"),
        ("fit one to x, y as m\nshow m.marginal(a)", "MBA455"),
        ("fit one to x, y as m\nshow m.of(z).fitted", "MBA101"),
        ("fit one to x, y as m\nshow m.of(x).marginal(c)", "MBA101"),
        ("fit one to x, y as m\nshow m.of()", "MBA105"),
        ("fit one to x, y as m\nshow compare(m.of(x))", "MBA106"),
        ("fit one to x, y as m\nshow interactions(m)", "MBA106"),
        ("fit one to x, y as m\nshow interactions(m.of(x))", "MBA106"),
        ("fit one to x, y as m\nsave m to \"m.npy\"", "MBA409"),
    ] {
        assert_eq!(codes(text), [wanted], "{text}");
    }
    for (model, said) in [
        ("model m { [a] [a b] = learn J * a * b }", ["learned coefficient `J`", "table `[a b]`"]),
        (
            "model m { latent r: 2; [a r] [b r] [c] }",
            ["latent modes, `[r]` of `m`", "leave their interactions out"],
        ),
    ] {
        let (_, found, _) = run(&format!("{head}{model}\nfit m to x, y\n"), &Files::default());
        let found: Vec<_> = found.iter().filter(|d| d.is_error()).collect();
        assert_eq!(found.iter().map(|d| d.code.name()).collect::<Vec<_>>(), ["MBA390"], "{model}: {found:?}");
        let help = found[0].help.as_deref().unwrap_or_default();
        assert!(found[0].message.contains(said[0]) && help.contains(said[1]), "{found:?}");
    }
    let found = codes("fit three to x, y as m");
    assert_eq!(found, ["MBA375"]);
}

#[test]
fn levels_from_the_data_have_to_agree() {
    let mut files = Files::default();
    files.there.insert("x.csv".into(), b"a,b,n\nred,u,3\nblue,u,4\nred,v,1\nblue,v,2\n".to_vec());
    files.there.insert("y.csv".into(), b"a,c,n\nred,s,3\nblue,s,4\ngreen,t,1\n".to_vec());
    let text = |mode: &str| {
        format!(
            "mode {mode}, b, c\ndata x[a, b] from \"x.csv\" count n\ndata y[a, c] from \"y.csv\" count n\n\
             model one {{ body(1) }}\nfit one to x, y as m\nshow m.of(x).fitted\n"
        )
    };
    let (_, diagnostics, _) = run(&text("a"), &files);
    let found: Vec<_> = diagnostics.iter().filter(|d| d.is_error()).collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code.name(), "MBA379");
    assert!(found[0].message.contains("`x` and `y`") && found[0].notes[0].contains("`green` is in `y`"));
    let (_, diagnostics, record) = run(&text("a: {red, blue, green}"), &files);
    assert!(!diagnostics.iter().any(|d| d.is_error()), "{diagnostics:?}");
    assert_eq!(record.numbers("m.of(x).fitted").len(), 6);
}
