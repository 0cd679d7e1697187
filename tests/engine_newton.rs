//! Newton's method in marginal space, and when the compiler's own choice turns to it.

mod engine;

use engine::*;
use mba::model::{EnergyModel, Interaction};
use mba::plan::method::{METHODS, Solver};
use mba::plan::{Options, Profile, compile};
use mba::run::{Control, Fit, Silent, Status, execute};

fn fit_by(solver: Solver, model: &EnergyModel, values: &[f64], control: Control) -> Fit {
    let shape: Vec<usize> = model.modes.iter().map(|m| m.size()).collect();
    let tensor = tensor(&shape, values);
    let options = Options { solver, ..Options::default() };
    let schedule = compile(model, &Profile::of(&tensor), &options).expect("a plan");
    execute(&schedule, model, &tensor, &control, &mut Silent).expect("a fit")
}

fn by(solver: Solver, model: &EnergyModel, values: &[f64]) -> Fit {
    fit_by(solver, model, values, Control { tolerance: 1e-11, ..Control::default() })
}

/// exp of a normal number with this standard deviation.
fn lognormal(stream: &mut Stream, deviation: f64) -> f64 {
    let (u, v) = (stream.unit().max(1e-300), stream.unit());
    (deviation * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()).exp()
}

/// Which arm of a balance goes down, for every pair of weights and distances from 1 to 5; `smooth` is
/// added to every cell.
fn balance_scale(smooth: f64) -> (Vec<usize>, Vec<f64>) {
    let mut values = vec![smooth; 1875];
    for c in 0..625 {
        let i = unravel(c, &[5; 4]);
        let (left, right) = ((i[0] + 1) * (i[1] + 1), (i[2] + 1) * (i[3] + 1));
        values[3 * c + 1 + usize::from(left < right) - usize::from(left > right)] += 1.0;
    }
    (vec![5, 5, 5, 5, 3], values)
}

#[test]
fn every_method_ends_at_the_same_optimum() {
    let mut stream = Stream(31);
    let classes: [&[&[usize]]; 5] = [
        &[&[0, 1], &[1, 2], &[0, 2]],
        &[&[0, 1], &[1, 2], &[2, 3], &[0, 3]],
        &[&[0, 1, 2], &[1, 2, 3], &[0, 3]],
        // two triangles that share a mode: two loops, joined
        &[&[0, 1], &[1, 2], &[0, 2], &[2, 3], &[3, 4], &[2, 4]],
        // a factored atom
        &[&[0, 1], &[0, 2], &[0, 3], &[1, 2], &[1, 3], &[2, 3]],
    ];
    for (k, scopes) in classes.iter().enumerate() {
        let modes = scopes.iter().flat_map(|s| s.iter()).max().map_or(0, |m| m + 1);
        let shape: Vec<usize> = (0..modes).map(|_| if k == 4 { 9 } else { 2 + stream.below(3) }).collect();
        for zeros in [false, true] {
            let cell = |s: &mut Stream| if zeros && s.below(8) == 0 { 0.0 } else { lognormal(s, 1.5) };
            let values: Vec<f64> = (0..shape.iter().product::<usize>()).map(|_| cell(&mut stream)).collect();
            let model = model(&shape, scopes);
            let want = by(Solver::Ipf, &model, &values);
            for method in METHODS.iter().filter(|m| m.solver != Solver::PseudoLikelihood) {
                let found = by(method.solver, &model, &values);
                assert!((found.kl - want.kl).abs() < 1e-10, "{} {scopes:?} {zeros}", method.name);
                assert!(matches!(found.status, Status::Converged | Status::Boundary), "{:?}", found.status);
                for scope in *scopes {
                    let scope = scope.iter().copied().collect();
                    let (a, b) = (want.distribution.marginal(&scope), found.distribution.marginal(&scope));
                    let (a, b) = (a.expect("a marginal").values, b.expect("a marginal").values);
                    assert!(worst(&a, &b) < 1e-10, "{} {scopes:?}", method.name);
                }
            }
        }
    }
}

#[test]
fn newton_reaches_what_rounding_allows() {
    // the equations are singular, and right-hand sides of this size are part rounding
    let mut stream = Stream(5);
    for decades in [1.0, 2.0, 3.0, 4.0] {
        for _ in 0..25 {
            let shape = [2 + stream.below(3), 2 + stream.below(2), 2 + stream.below(3)];
            let cells = shape.iter().product();
            let values: Vec<f64> =
                (0..cells).map(|_| 10f64.powf((decades + 1.0) * stream.unit() - decades)).collect();
            let model = model(&shape, &[&[0, 1], &[1, 2], &[0, 2]]);
            let control = Control { tolerance: 1e-12, ..Control::default() };
            let found = fit_by(Solver::Newton, &model, &values, control);
            assert!(matches!(found.status, Status::Converged | Status::ClosedForm), "{values:?}");
            assert!(found.iterations < 250, "{} for {values:?}", found.iterations);
        }
    }
}

#[test]
fn known_energies_and_forbidden_cells_stay_as_they_are() {
    let shape = [3, 4, 3];
    let mut stream = Stream(8);
    let mut model = model(&shape, &[&[0, 1], &[1, 2], &[0, 2]]);
    // a cell that cannot occur has infinite energy
    let energy = |i: &[usize]| if i == [1, 2, 0] { f64::INFINITY } else { 0.3 * (i[0] * i[1] + i[2]) as f64 };
    let known: Interaction = fixed(&shape, &[0, 1, 2], energy);
    model.interactions.push(known);
    let values: Vec<f64> = (0..36)
        .map(|c| if unravel(c, &shape) == [1, 2, 0] { 0.0 } else { lognormal(&mut stream, 1.0) })
        .collect();
    let want = by(Solver::Ipf, &model, &values);
    let found = by(Solver::Newton, &model, &values);
    assert!((found.kl - want.kl).abs() < 1e-10, "{} {}", found.kl, want.kl);
    assert_eq!(found.status, Status::Converged);
}

#[test]
fn no_step_raises_the_divergence() {
    let mut stream = Stream(77);
    let shape = [4, 5, 3, 4];
    let values: Vec<f64> = (0..240).map(|_| lognormal(&mut stream, 2.5)).collect();
    let scopes = body(4, 3);
    let model = model(&shape, &refs(&scopes));
    let after = |solver: Solver, most: usize| {
        let fit = fit_by(solver, &model, &values, Control { max_sweeps: most, ..Control::default() });
        assert!(fit.iterations <= most);
        fit.kl
    };
    for solver in [Solver::Ipf, Solver::Auto] {
        let found: Vec<f64> = (1..40).step_by(2).map(|most| after(solver, most)).collect();
        assert!(found.is_sorted_by(|a, b| *b <= a + 1e-13), "{solver:?} {found:?}");
    }
    // an allowance that ends in the middle of a solution gives another direction, but never one upwards
    let warm = after(Solver::Newton, 3);
    let found: Vec<f64> = (4..60).step_by(5).map(|most| after(Solver::Newton, most)).collect();
    assert!(found.iter().all(|kl| *kl <= warm), "{warm} {found:?}");
}

#[test]
fn the_smoothed_balance_scale_takes_hundreds_of_products_and_not_thousands_of_sweeps() {
    // Balance Scale with 0.001 in every cell, all terms of three modes: 8,000 plain sweeps
    let (shape, values) = balance_scale(1e-3);
    let scopes = body(5, 3);
    let model = model(&shape, &refs(&scopes));
    let newton = fit_by(Solver::Newton, &model, &values, Control::default());
    let chosen = fit_by(Solver::Auto, &model, &values, Control::default());
    assert!((newton.kl - 0.097_141_464_624_6).abs() < 1e-12, "{}", newton.kl);
    assert!((chosen.kl - newton.kl).abs() < 1e-12);
    assert!(newton.iterations < 900, "{}", newton.iterations);
    assert!(chosen.iterations < 600, "{}", chosen.iterations);
    for fit in [newton, chosen] {
        assert_eq!(fit.status, Status::Converged);
        assert!(fit.certificate.optimality_gap.is_some_and(|g| g < 1e-13), "{:?}", fit.certificate);
    }
}

#[test]
fn the_bound_holds_all_along_an_ill_conditioned_fit() {
    // where the smallest eigenvalue of the Fisher information is hardest to guess
    let (shape, values) = balance_scale(1e-3);
    let model = model(&shape, &refs(&body(5, 3)));
    let best = fit_by(Solver::Newton, &model, &values, Control { tolerance: 1e-11, ..Control::default() });
    let mut bounded = 0;
    for sweeps in [30, 100, 300, 1000, 2000, 4000] {
        let control = Control { max_sweeps: sweeps, ..Control::default() };
        let stopped = fit_by(Solver::Ipf, &model, &values, control);
        assert_eq!(stopped.status, Status::Stopped);
        let gap = stopped.kl - best.kl;
        if let Some(bound) = stopped.certificate.optimality_gap {
            bounded += 1;
            assert!(gap <= bound + 1e-15, "{sweeps}: {gap:e} above {bound:e}");
            assert!(bound <= 10.0 * gap, "{sweeps}: {bound:e} is far above {gap:e}");
        }
    }
    assert!(bounded >= 3, "{bounded} bounds");
}

#[test]
fn an_optimum_on_the_boundary_is_reached_and_said_to_be_one() {
    // positive marginals, and no positive table fits them (Haberman 1974)
    let values = [0.0, 3.0, 2.0, 5.0, 4.0, 1.0, 2.0, 0.0];
    let model = model(&[2; 3], &refs(&body(3, 2)));
    let fit = fit_by(Solver::Newton, &model, &values, Control::default());
    assert_eq!(fit.status, Status::Boundary);
    assert!(fit.certificate.marginal_gap <= 1e-9 && fit.kl < 1e-9, "{fit:?}");
}

#[test]
fn what_runs_out_says_stopped() {
    let (shape, values) = balance_scale(0.0);
    let model = model(&shape, &refs(&body(5, 3)));
    let control = Control { max_sweeps: 60, ..Control::default() };
    for method in METHODS.iter().filter(|m| m.solver != Solver::PseudoLikelihood) {
        let fit = fit_by(method.solver, &model, &values, control);
        assert_eq!((fit.status, fit.iterations), (Status::Stopped, 60), "{}", method.name);
        assert!(fit.kl > 0.0898);
    }
}

#[test]
fn the_choice_of_the_compiler_is_never_much_more_work_than_plain_sweeps() {
    let mut stream = Stream(5);
    for k in 0..12 {
        let shape = [3, 4, 3, 5];
        let deviation = 0.5 + 0.25 * f64::from(k);
        let values: Vec<f64> = (0..180).map(|_| lognormal(&mut stream, deviation)).collect();
        let model = model(&shape, &refs(&body(4, 2 + k as usize % 2)));
        let plain = fit_by(Solver::Ipf, &model, &values, Control::default());
        let chosen = fit_by(Solver::Auto, &model, &values, Control::default());
        let (a, b) = (chosen.counters.operations, plain.counters.operations);
        assert!(a <= 1.25 * b, "{a} beside {b} at {deviation}");
    }
}
