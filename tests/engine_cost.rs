//! What a plan predicts beside what a run counts, for the shapes of models that the benchmarks have.

mod arrays;
mod engine;
mod program_support;

use std::sync::Arc;

use engine::*;
use mba::data::{Sparse, Storage, Tensor};
use mba::model::{EnergyModel, Interaction, Potential, Scope};
use mba::plan::method::Solver;
use mba::plan::{Options, Profile, Schedule, compile};
use mba::run::{Control, Fit, Silent, Status, execute};
use mba::text::Span;

/// exp of couplings between all pairs of modes, with noise.
fn coupled(shape: &[usize], strength: f64, seed: u64) -> Vec<f64> {
    let mut stream = Stream(seed);
    let pairs = body(shape.len(), 2);
    let mut normal = || {
        let (u, v) = (stream.unit().max(1e-300), stream.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    };
    let tables: Vec<Vec<f64>> =
        pairs.iter().map(|p| (0..shape[p[0]] * shape[p[1]]).map(|_| strength * normal()).collect()).collect();
    (0..shape.iter().product())
        .map(|c| {
            let i = unravel(c, shape);
            let energy = pairs.iter().zip(&tables).map(|(p, t)| t[i[p[0]] * shape[p[1]] + i[p[1]]]);
            (energy.sum::<f64>() + normal()).exp()
        })
        .collect()
}

/// Distinct coordinates, where neighbours along a line of modes and some others depend on each other.
fn scattered(shape: &[usize], count: usize) -> Tensor {
    let mut stream = Stream(17);
    let mut rows: Vec<Vec<u32>> = (0..count)
        .map(|_| {
            let mut at = stream.unit();
            let place = |n: &usize| {
                at = (0.7 * at + 0.3 * stream.unit()).min(0.999);
                (at * *n as f64) as u32
            };
            shape.iter().map(place).collect()
        })
        .collect();
    rows.sort();
    rows.dedup();
    let coordinates = (0..shape.len()).map(|m| rows.iter().map(|r| r[m]).collect()).collect();
    let values: Vec<f64> = rows.iter().map(|_| 0.5 + stream.unit()).collect();
    let total = values.iter().sum();
    let storage = Arc::new(Storage::Sparse(Sparse::new(shape.to_vec(), coordinates, values)));
    Tensor { name: "x".into(), modes: modes(shape), storage, total, counts: false, mask: None }
}

fn agree(name: &str, fit: &Fit) {
    let within = |predicted: f64, counted: f64| (0.5..=2.0).contains(&(counted / predicted));
    let (c, peak) = (&fit.counters, fit.schedule.peak);
    let told = format!(
        "{name}, {} sweeps: operations {:.0} of {:.0}, bytes {:.0} of {:.0}, peak {:.0} of {peak:.0}",
        fit.iterations, c.operations, c.predicted.operations, c.bytes, c.predicted.bytes, c.peak
    );
    println!("{told}");
    assert!(within(c.predicted.operations, c.operations), "{told}");
    assert!(within(c.predicted.bytes, c.bytes), "{told}");
    assert!(within(peak, c.peak) && c.peak <= peak, "{told}");
}

/// Fits through a mask that lets about this share of the cells through, and compares what is shown of its cost.
fn agree_through_a_mask(shape: &[usize], scopes: &[Vec<usize>], share: f64) {
    let cells: usize = shape.iter().product();
    let mut stream = Stream(29);
    let x: Vec<f64> = (0..cells).map(|_| (1.5 * stream.unit()).exp()).collect();
    let seen: Vec<f64> = (0..cells).map(|_| f64::from(u8::from(stream.unit() < share))).collect();
    let mut files = program_support::Files::default();
    files.there.insert("x.npy".into(), arrays::npy_of(shape, &x));
    files.there.insert("seen.npy".into(), arrays::npy_of(shape, &seen));
    let names: Vec<String> = (0..shape.len()).map(|m| format!("m{m}")).collect();
    let modes: String = names.iter().zip(shape).map(|(m, n)| format!("mode {m}: {n}\n")).collect();
    let bracket =
        |s: &Vec<usize>| format!("[{}]", s.iter().map(|m| names[*m].as_str()).collect::<Vec<_>>().join(" "));
    let model: Vec<String> = scopes.iter().map(bracket).collect();
    let text = format!(
        "{modes}data x[{}] from \"x.npy\" observed from \"seen.npy\"\nmodel m {{ {} }}\nfit m to x\nshow m.cost\n",
        names.join(", "),
        model.join(" ")
    );
    let (_, _, told) = program_support::run(&text, &files);
    let cost = told.value("m.cost");
    println!("{share} {model:?} {cost}");
    let rows = cost.as_array().expect("a table");
    assert_eq!(rows.len(), 3, "{cost}");
    for row in rows {
        let number = |side: &str| row[side].as_f64().expect("a number");
        let ratio = number("counted") / number("predicted");
        assert!((0.5..=2.0).contains(&ratio), "{share} {model:?} {cost}");
    }
}

#[test]
fn they_agree_through_masks_however_many_cells_are_observed() {
    // the plan has the most that a sum through a mask may take; a run knows the mask
    for share in [0.99, 0.6, 0.06] {
        for scopes in [chain(4), ring(4), body(4, 2)] {
            agree_through_a_mask(&[9, 8, 9, 8], &scopes, share);
        }
        agree_through_a_mask(&[60, 50], &body(2, 1), share);
    }
}

fn chain(n: usize) -> Vec<Vec<usize>> {
    (1..n).map(|i| vec![i - 1, i]).collect()
}

fn ring(n: usize) -> Vec<Vec<usize>> {
    (0..n).map(|i| vec![i, (i + 1) % n]).collect()
}

#[test]
fn predicted_and_counted_work_agree_within_a_factor_of_two() {
    let four = [8; 4];
    let dense: [(&str, &[usize], Vec<Vec<usize>>); 7] = [
        ("ring", &four, ring(4)),
        ("chain", &four, chain(4)),
        ("all pairs", &four, body(4, 2)),
        ("all triples", &four, body(4, 3)),
        ("triangle", &[9, 8, 7], ring(3)),
        ("ring of six", &[5; 6], ring(6)),
        ("rank one", &[30, 30, 30], body(3, 1)),
    ];
    for (name, shape, scopes) in &dense {
        let x = tensor(shape, &coupled(shape, 1.5, 3));
        let model = model(shape, &refs(scopes));
        for solver in [Solver::Auto, Solver::Ipf, Solver::Newton] {
            let options = Options { solver, ..Options::default() };
            let schedule = compile(&model, &Profile::of(&x), &options).expect("a plan");
            let fit = execute(&schedule, &model, &x, &Control::default(), &mut Silent).expect("a fit");
            agree(&format!("{name} {solver:?}"), &fit);
        }
    }
}

#[test]
fn they_agree_for_sparse_chains_with_loops_too() {
    let shape: Vec<usize> = (0..10).map(|i| 8 + 3 * i).collect();
    let mut scopes = chain(10);
    scopes.extend([vec![0, 2], vec![4, 7], vec![7, 9]]);
    let x = scattered(&shape, 20_000);
    let m = model(&shape, &refs(&scopes));
    let fit = fit_with(&m, &x, Control::default());
    assert_ne!(fit.status, Status::Stopped);
    agree("sparse chain", &fit);
}

#[test]
fn a_ring_of_twenty_modes_of_a_hundred_levels_is_a_small_problem() {
    // 10⁴⁰ cells, of which 20 000 have data
    let shape = [100; 20];
    let x = scattered(&shape, 20_000);
    let m = model(&shape, &refs(&ring(20)));
    let fit = fit_with(&m, &x, Control::default());
    assert!(matches!(fit.status, Status::Converged | Status::Boundary), "{:?}", fit.status);
    assert!(fit.certificate.marginal_gap <= 1e-9);
    assert!(fit.schedule.peak < 512e6, "{}", fit.schedule.peak);
    let pair = fit.distribution.marginal(&Scope::from([7, 8])).expect("a marginal").values;
    assert!((pair.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    agree("ring of twenty", &fit);
}

#[test]
fn one_class_has_one_schedule_whichever_way_it_was_written() {
    let planned = |scopes: &[&[usize]]| -> Schedule {
        let free = |s: &&[usize]| Interaction {
            scope: s.iter().copied().collect(),
            potential: Potential::Free,
            span: Span::default(),
        };
        let m = EnergyModel { interactions: scopes.iter().map(free).collect(), ..model(&[40; 3], &[]) };
        compile(&m, &Profile::of(&tensor(&[1; 3], &[1.0])), &Options::default()).expect("a plan")
    };
    let cyclic = planned(&[&[0, 1], &[1, 2], &[0, 2]]);
    let pairs = planned(&[&[0, 1], &[0, 2], &[1, 2]]);
    let other = planned(&[&[1, 2], &[0], &[0, 2], &[0, 1]]);
    assert_eq!(cyclic.steps, pairs.steps);
    assert_eq!(cyclic.steps, other.steps);
}
