//! Learned coefficients: the inverse problem against the forward one, against brute force, and where it has no answer.

mod engine;

use std::sync::Arc;

use engine::*;
use mba::data::{Storage, Tensor};
use mba::model::{EnergyModel, Interaction, Mode, Potential, Table};
use mba::plan::method::Solver;
use mba::plan::{Options, Profile, compile, parameters};
use mba::run::learned::Finding;
use mba::run::{Control, Distribution, Fit, Silent, Status, execute};

/// A term `coefficient × statistic` over a scope of modes with `shape` levels.
fn term(
    shape: &[usize],
    scope: &[usize],
    coefficient: &str,
    statistic: impl Fn(&[usize]) -> f64,
) -> Interaction {
    let fixed = fixed(shape, scope, statistic);
    let Potential::Fixed(table) = fixed.potential else { unreachable!() };
    Interaction {
        potential: Potential::Learned { coefficient: coefficient.into(), statistic: table },
        ..fixed
    }
}

fn spin(level: usize) -> f64 {
    2.0 * level as f64 - 1.0
}

/// Every pair and every field of `n` spins, each with a coefficient of its own.
fn boltzmann(n: usize) -> EnergyModel {
    let shape = vec![2; n];
    let mut model = model(&shape, &[]);
    for a in 0..n {
        for b in a + 1..n {
            let name = format!("J[{a}, {b}]");
            model.interactions.push(term(&shape, &[a, b], &name, |x| spin(x[0]) * spin(x[1])));
        }
    }
    for a in 0..n {
        model.interactions.push(term(&shape, &[a], &format!("h[{a}]"), |x| spin(x[0])));
    }
    model
}

/// The model with numbers in place of its coefficients.
fn with(model: &EnergyModel, values: &[f64]) -> EnergyModel {
    let names: Vec<String> = model.coefficients().into_iter().map(String::from).collect();
    let mut model = model.clone();
    for interaction in &mut model.interactions {
        if let Potential::Learned { coefficient, statistic } = &interaction.potential {
            let k = names.iter().position(|n| n == coefficient).expect("a coefficient");
            let values_ = statistic.values.iter().map(|v| v * values[k]).collect();
            let table = Table { values: values_, ..Table::clone(statistic) };
            interaction.potential = Potential::Fixed(Arc::new(table));
        }
    }
    model
}

fn forward(model: &EnergyModel, values: &[f64]) -> Distribution {
    Distribution::from_fixed(&with(model, values), &Options::default()).expect("a distribution")
}

fn drawn(distribution: &Distribution, n: usize, seed: u64) -> Tensor {
    Tensor {
        mask: None,
        name: "x".into(),
        modes: distribution.modes.clone(),
        total: n as f64,
        counts: true,
        storage: Arc::new(Storage::Sparse(distribution.sample(n, seed))),
    }
}

fn values(fit: &Fit) -> Vec<f64> {
    fit.learned.as_ref().expect("coefficients").coefficients.iter().map(|c| c.value).collect()
}

fn conditionally(model: &EnergyModel, tensor: &Tensor) -> Fit {
    let options = Options { solver: Solver::PseudoLikelihood, ..Options::default() };
    let schedule = compile(model, &Profile::of(tensor), &options).expect("a schedule");
    execute(&schedule, model, tensor, &Control::default(), &mut Silent).expect("a fit")
}

fn random(n: usize, size: f64, seed: u64) -> Vec<f64> {
    let mut s = Stream(seed);
    (0..n).map(|_| size * (2.0 * s.unit() - 1.0)).collect()
}

#[test]
fn sixteen_spins_are_found_again_from_their_moments_and_from_a_sample() {
    let n = 16;
    let model = boltzmann(n);
    let count = n * (n + 1) / 2;
    let truth = random(count, 0.25, 5);
    let distribution = forward(&model, &truth);

    let exact = distribution.dense(1 << 16).expect("65536 cells").values;
    let data = tensor(&vec![2; n], &exact);
    let found = fit_with(&model, &data, Control::default());
    assert_eq!(found.status, Status::Converged);
    let error = worst(&values(&found), &truth);
    assert!(error < 1e-8, "{error:e}");
    assert!(found.kl < 1e-13 && found.certificate.optimality_gap.expect("a bound") < 1e-14);

    let records = 10_000;
    let sample = drawn(&distribution, records, 11);
    let found = fit_with(&model, &sample, Control::default());
    assert_eq!(found.status, Status::Converged);
    let learned = found.learned.as_ref().expect("coefficients");
    let scores: Vec<f64> = learned
        .coefficients
        .iter()
        .zip(&truth)
        .map(|(c, t)| (c.value - t) / (c.spread.expect("an error") / (records as f64).sqrt()))
        .collect();
    let largest = scores.iter().fold(0.0f64, |m, z| m.max(z.abs()));
    assert!(largest < 4.5, "{largest}");
    // the 99.9 % interval of χ² with 136 degrees of freedom
    let interval = 87.8..=195.8;
    let squares: f64 = scores.iter().map(|z| z * z).sum();
    assert!(interval.contains(&squares), "{squares}");
    // Wilks: twice the difference of log likelihoods has the same distribution
    let log_likelihood = |q: &Distribution| -> f64 {
        let Storage::Sparse(sparse) = &*sample.storage else { unreachable!() };
        (0..sparse.values.len())
            .map(|row| {
                let cell: Vec<usize> = sparse.coordinates.iter().map(|c| c.at(row)).collect();
                sparse.values[row] * q.log_probability(&cell)
            })
            .sum()
    };
    let wilks = 2.0 * (log_likelihood(&found.distribution) - log_likelihood(&distribution));
    assert!(interval.contains(&wilks), "{wilks}");
}

/// The pseudo-likelihood of a sample is another estimate, with larger errors that are stated as they are.
#[test]
fn pseudo_likelihood_knows_its_errors() {
    let model = boltzmann(8);
    let truth = random(36, 0.4, 6);
    let records = 4_000;
    let sample = drawn(&forward(&model, &truth), records, 12);
    let found = fit_with(&model, &sample, Control::default());
    let learned = found.learned.as_ref().expect("coefficients");
    let other = conditionally(&model, &sample);
    assert_eq!(other.status, Status::Converged);
    let bound = other.certificate.optimality_gap.expect("a bound");
    assert!(bound < 1e-12, "{bound}");
    let other = other.learned.as_ref().expect("coefficients");
    for ((c, t), exact) in other.coefficients.iter().zip(&truth).zip(&learned.coefficients) {
        let (spread, best) = (c.spread.expect("an error"), exact.spread.expect("an error"));
        assert!(((c.value - t) / (spread / (records as f64).sqrt())).abs() < 4.5, "{}", c.name);
        // the sandwich is itself estimated, so that it may fall a little short of the optimum
        assert!(spread > 0.9 * best && spread < 2.0 * best, "{}: {spread} {best}", c.name);
    }
}

/// A ring with levels of several sizes, shared coefficients, a fixed energy and a temperature.
fn ring() -> (EnergyModel, Vec<f64>) {
    let shape = [3, 2, 4, 3, 2];
    let mut model = model(&shape, &[]);
    for d in 0..5 {
        let pair = [d, (d + 1) % 5];
        model.interactions.push(term(&shape, &pair, "J", |x| x[0] as f64 * x[1] as f64 / 3.0));
        model.interactions.push(term(&shape, &[d], ["u", "v"][d % 2], |x| (x[0] as f64 - 1.0).powi(2)));
    }
    model.interactions.push(term(&shape, &[1, 3], "far", |x| f64::from(u8::from(x[0] == x[1]))));
    model.interactions.push(fixed(&shape, &[0, 2], |x| 0.3 * x[0] as f64 - 0.2 * (x[1] as f64)));
    model.temperature = 1.7;
    (model, vec![0.8, -0.5, 0.3, 1.1])
}

#[test]
fn shared_coefficients_over_a_loop_are_found_at_any_temperature() {
    let (model, truth) = ring();
    let distribution = forward(&model, &truth);
    let exact = distribution.dense(1 << 10).expect("144 cells");
    let fit = fit_with(&model, &tensor(&exact.shape, &exact.values), Control::default());
    assert_eq!(fit.status, Status::Converged);
    let names: Vec<&str> =
        fit.learned.as_ref().expect("learned").coefficients.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["J", "u", "v", "far"]);
    assert!(worst(&values(&fit), &truth) < 1e-10, "{:?}", values(&fit));
    // pseudo-likelihood of exact probabilities has the same answer: it is consistent
    let other = conditionally(&model, &tensor(&exact.shape, &exact.values));
    assert!(worst(&values(&other), &truth) < 1e-8, "{:?}", values(&other));
}

/// Standard errors, moments and bound against the full tensor.
#[test]
fn errors_are_those_of_the_covariance_and_the_bound_holds() {
    let (model, truth) = ring();
    let shape: Vec<usize> = model.modes.iter().map(Mode::size).collect();
    let cells: usize = shape.iter().product();
    let x: Vec<f64> = random(cells, 0.5, 3).iter().map(|u| 0.6 + u).collect();
    let data = tensor(&shape, &x);
    let best = fit_with(&model, &data, Control::default());
    let q = best.distribution.dense(1 << 10).expect("144 cells").values;
    // statistics, cell by cell
    let names: Vec<&str> = model.coefficients().into_iter().collect();
    let statistics: Vec<Vec<f64>> = (0..cells)
        .map(|k| {
            let cell = unravel(k, &shape);
            let mut row = vec![0.0; names.len()];
            for i in &model.interactions {
                if let Potential::Learned { coefficient, statistic } = &i.potential {
                    let own: Vec<usize> = i.scope.iter().map(|m| cell[m]).collect();
                    let k = names.iter().position(|n| n == coefficient).expect("known");
                    row[k] += statistic.at(&own);
                }
            }
            row
        })
        .collect();
    let n = names.len();
    let mean = |p: &[f64], k: usize| -> f64 { p.iter().zip(&statistics).map(|(p, s)| p * s[k]).sum() };
    let total: f64 = x.iter().sum();
    let p: Vec<f64> = x.iter().map(|x| x / total).collect();
    for k in 0..n {
        assert!((mean(&p, k) - mean(&q, k)).abs() < 1e-12);
    }
    // G times the inverse that the errors are the diagonal of
    let g: Vec<Vec<f64>> = (0..n)
        .map(|a| {
            let entry = |b: usize| {
                let both: f64 = q.iter().zip(&statistics).map(|(q, s)| q * s[a] * s[b]).sum();
                both - mean(&q, a) * mean(&q, b)
            };
            (0..n).map(entry).collect()
        })
        .collect();
    let inverse = inverse(&g);
    for (k, c) in best.learned.as_ref().expect("learned").coefficients.iter().enumerate() {
        let want = model.temperature * inverse[k][k].sqrt();
        assert!((c.spread.expect("an error") / want - 1.0).abs() < 1e-9, "{}", c.name);
    }
    // stopped on the way, the bound is above what is left
    let mut bounds = 0;
    for most in 1..6 {
        let control = Control { max_sweeps: most, ..Control::default() };
        let stopped = fit_with(&model, &data, control);
        let left = stopped.kl - best.kl;
        assert!(left > -1e-13);
        if let Some(bound) = stopped.certificate.optimality_gap {
            assert!(left <= bound, "{left} {bound}");
            bounds += 1;
        }
    }
    assert!(bounds >= 2);
    assert!((best.kl - kl(&x, &q)).abs() < 1e-12);
    assert!(kl(&x, &forward(&model, &truth).dense(1 << 10).expect("small").values) > best.kl);
}

fn inverse(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = matrix.len();
    let mut a: Vec<Vec<f64>> = matrix.to_vec();
    let mut out: Vec<Vec<f64>> =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for k in 0..n {
        let pivot = a[k][k];
        for j in 0..n {
            a[k][j] /= pivot;
            out[k][j] /= pivot;
        }
        for i in (0..n).filter(|i| *i != k) {
            let factor = a[i][k];
            for j in 0..n {
                a[i][j] -= factor * a[k][j];
                out[i][j] -= factor * out[k][j];
            }
        }
    }
    out
}

#[test]
fn free_tables_beside_coefficients_are_fitted_with_them() {
    let shape = [3, 2, 3];
    let x = det(&shape);
    // every pair free is the same as one pair free and the others in coefficients, one for each cell
    let pairs = model(&shape, &[&[0, 1], &[1, 2], &[0, 2]]);
    let mut mixed = model(&shape, &[&[0, 1], &[1, 2]]);
    for i in 1..3 {
        for j in 1..3 {
            let name = format!("K[{i}, {j}]");
            let here = move |x: &[usize]| f64::from(u8::from(x == [i, j]));
            mixed.interactions.push(term(&shape, &[0, 2], &name, here));
        }
    }
    assert_eq!(parameters(&mixed), parameters(&pairs));
    let (a, b) = (fit(&pairs, &tensor(&shape, &x)), fit(&mixed, &tensor(&shape, &x)));
    assert!((a.kl - b.kl).abs() < 1e-12, "{} {}", a.kl, b.kl);
    let dense = |f: &Fit| f.distribution.dense(64).expect("small").values;
    assert!(worst(&dense(&a), &dense(&b)) < 1e-10);
    let learned = b.learned.as_ref().expect("learned");
    assert_eq!(learned.coefficients.iter().filter(|c| c.named()).count(), 4);
    assert_eq!(learned.rank, 13);
}

#[test]
fn a_boundary_and_infinite_coefficients_go_together() {
    let shape = [2, 2, 2];
    let mut spins = model(&shape, &[]);
    for (k, pair) in [[0, 1], [1, 2], [0, 2]].iter().enumerate() {
        spins.interactions.push(term(&shape, pair, &format!("J{k}"), |x| spin(x[0]) * spin(x[1])));
        spins.interactions.push(term(&shape, &[k], &format!("h{k}"), |x| spin(x[0])));
    }
    let mut stream = Stream(12);
    let mut boundaries = 0;
    for round in 0..60 {
        let zeros = if round % 3 == 0 { 0 } else { 3 };
        let cell = |s: &mut Stream| if s.below(8) < zeros { 0.0 } else { 10f64.powi(s.below(7) as i32 - 3) };
        let values: Vec<f64> = (0..8).map(|_| cell(&mut stream)).collect();
        if values.iter().all(|x| *x == 0.0) {
            continue;
        }
        for tolerance in [1e-3, 1e-9] {
            let control = Control { tolerance, ..Control::default() };
            let found = fit_with(&spins, &tensor(&shape, &values), control);
            let learned = found.learned.as_ref().expect("learned");
            let infinite = learned.coefficients.iter().any(|c| c.finding == Finding::Infinite);
            assert_eq!(found.status == Status::Boundary, infinite, "{tolerance} {values:?} {learned:?}");
            assert!(zeros > 0 || !infinite, "{tolerance} {values:?}");
            boundaries += usize::from(infinite);
        }
    }
    assert!(boundaries > 20, "{boundaries}");
}

#[test]
fn what_no_data_determine_is_named_and_what_grows_without_end_too() {
    let shape = [2, 2];
    let x = [30.0, 10.0, 12.0, 48.0];
    let mut twice = model(&shape, &[]);
    twice.interactions.push(term(&shape, &[0, 1], "J", |x| spin(x[0]) * spin(x[1])));
    twice.interactions.push(term(&shape, &[0, 1], "K", |x| 3.0 - spin(x[0]) * spin(x[1])));
    twice.interactions.push(term(&shape, &[0], "h", |x| spin(x[0])));
    let found = fit(&twice, &tensor(&shape, &x));
    let learned = found.learned.as_ref().expect("learned");
    assert_eq!(learned.dependencies, [vec!["J".to_string(), "K".to_string()]]);
    let findings: Vec<Finding> = learned.coefficients.iter().map(|c| c.finding).collect();
    assert_eq!(findings, [Finding::Undetermined, Finding::Undetermined, Finding::Found]);
    assert_eq!((found.status, learned.rank), (Status::Converged, 2));

    // both spins always agree
    let mut coupled = model(&shape, &[]);
    coupled.interactions.push(term(&shape, &[0, 1], "J", |x| spin(x[0]) * spin(x[1])));
    coupled.interactions.push(term(&shape, &[0], "h", |x| spin(x[0])));
    let agreeing = tensor(&shape, &[30.0, 0.0, 0.0, 48.0]);
    for found in [fit_with(&coupled, &agreeing, Control::default()), conditionally(&coupled, &agreeing)] {
        assert_eq!(found.status, Status::Boundary, "{:?}", found.certificate);
        assert!(found.certificate.marginal_gap <= 1e-9 && found.certificate.optimality_gap.is_none());
        let learned = found.learned.as_ref().expect("learned");
        assert_eq!(learned.coefficients[0].finding, Finding::Infinite);
        assert_eq!(learned.coefficients[0].value, f64::NEG_INFINITY);
        assert!(learned.coefficients.iter().all(|c| c.spread.is_none()));
    }
    let found = fit_with(&coupled, &agreeing, Control::default());
    assert!(found.kl < 1e-8, "{}", found.kl);
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (model, truth) = ring();
    let sample = drawn(&forward(&model, &truth), 5_000, 3);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            (values(&fit_with(&model, &sample, Control::default())), values(&conditionally(&model, &sample)))
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_plan_refuses_what_it_cannot_take() {
    let x = tensor(&[60, 60], &vec![1.0; 3600]);
    let mut large = model(&[60, 60], &[&[0, 1]]);
    large.interactions.push(term(&[60, 60], &[0], "slope", |x| x[0] as f64));
    let refused = compile(&large, &Profile::of(&x), &Options::default()).expect_err("too many");
    assert_eq!(refused[0].code.name(), "MBA350");
}
