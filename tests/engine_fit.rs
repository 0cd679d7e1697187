//! Fits against published values and against proportional fitting on the full tensor.

mod engine;

use engine::*;
use mba::model::Scope;
use mba::plan::{cells, degrees_of_freedom, parameters};
use mba::run::{Control, Status};
use num_bigint::BigUint;

#[test]
fn published_divergences_of_three_modes() {
    let shape = [3, 4, 5];
    let x = det(&shape);
    assert!((x.iter().sum::<f64>() - 369.6).abs() < 1e-10);
    let cases: [(&[&[usize]], f64, Status); 5] = [
        (&[&[0], &[1], &[2]], 0.14417499592258032, Status::ClosedForm),
        (&[&[0, 1], &[1, 2], &[0, 2]], 0.10810036020851166, Status::Converged),
        (&[&[0, 1], &[1, 2]], 0.12036839975232838, Status::ClosedForm),
        (&[&[0, 1], &[2]], 0.1360059926313043, Status::ClosedForm),
        (&[&[0, 1], &[0, 2]], 0.12356414085116108, Status::ClosedForm),
    ];
    for (scopes, want, status) in cases {
        let model = model(&shape, scopes);
        for tensor in [tensor(&shape, &x), sparse(&shape, &x)] {
            let fit = fit(&model, &tensor);
            assert!((fit.kl - want).abs() < 1e-12, "{scopes:?}: {} for {want}", fit.kl);
            assert_eq!(fit.status, status);
            assert!(fit.certificate.marginal_gap < 1e-12, "{:?}", fit.certificate);
            assert_eq!(fit.iterations == 0, status == Status::ClosedForm);
        }
    }
}

#[test]
fn published_divergences_and_parameters_of_four_modes() {
    let shape = [3, 4, 3, 4];
    let x = det(&shape);
    let cases = [
        (vec![vec![0, 1], vec![1, 2], vec![2, 3], vec![0, 3]], 0.146982153663493, 34u32),
        (body(4, 1), 0.1511824701955613, 10),
        (body(4, 2), 0.1420426979038143, 47),
        (body(4, 3), 0.09152102254006511, 107),
    ];
    for (scopes, want, count) in cases {
        let model = model(&shape, &refs(&scopes));
        let fit = fit(&model, &tensor(&shape, &x));
        assert!((fit.kl - want).abs() < 1e-11, "{scopes:?}: {}", fit.kl);
        assert_eq!(parameters(&model), BigUint::from(count));
    }
    // `[0 1 2] [0 3]` implies every pair within the first three
    let hierarchical = model(&shape, &[&[0, 1, 2], &[0, 3]]);
    assert_eq!(parameters(&hierarchical), BigUint::from(44u32));
    let kl = fit(&hierarchical, &tensor(&shape, &x)).kl;
    assert!((kl - 0.13387683393780847).abs() < 1e-11, "{kl}");
}

#[test]
fn random_hypergraphs_agree_with_the_full_tensor() {
    let mut s = Stream(11);
    for round in 0..150 {
        let d = 1 + s.below(5);
        let shape: Vec<usize> = (0..d).map(|_| 1 + s.below(4)).collect();
        let scopes: Vec<Vec<usize>> =
            (0..s.below(6)).map(|_| (0..d).filter(|_| s.below(2) == 0).collect()).collect();
        let zeros = round % 3 == 0;
        let x: Vec<f64> = (0..shape.iter().product())
            .map(|_| if zeros && s.below(4) == 0 { 0.0 } else { 0.2 + s.unit() })
            .collect();
        if x.iter().sum::<f64>() == 0.0 {
            continue;
        }
        let model = model(&shape, &refs(&scopes));
        let want = naive(&shape, &x, &refs(&scopes), &vec![1.0; x.len()], 20_000);
        for tensor in [tensor(&shape, &x), sparse(&shape, &x)] {
            let fit = fit_with(&model, &tensor, Control { tolerance: 1e-12, ..Control::default() });
            let q = fit.distribution.dense(1 << 20).expect("small").values;
            assert!((q.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let gap = worst(&q, &want);
            assert!(gap < 1e-8, "{shape:?} {scopes:?}: {gap} {:?} after {}", fit.status, fit.iterations);
            assert!((fit.kl - kl(&x, &q)).abs() < 1e-12, "{} {}", fit.kl, kl(&x, &q));
            assert!(
                fit.status == Status::Stopped || fit.certificate.marginal_gap <= 1e-12,
                "{:?}",
                fit.certificate
            );
            assert!(fit.counters.peak <= fit.schedule.peak, "{} {}", fit.counters.peak, fit.schedule.peak);
            for scope in &scopes {
                let total: f64 = x.iter().sum();
                let p: Vec<f64> = marginal(&shape, &x, scope).iter().map(|v| v / total).collect();
                assert!(worst(&marginal(&shape, &q, scope), &p) < 1e-11);
                let own = fit.distribution.marginal(&scope.iter().copied().collect()).expect("small");
                assert!(worst(&own.values, &p) < 1e-11);
            }
            let every: Scope = (0..d).filter(|_| s.below(2) == 0).collect();
            let own = fit.distribution.marginal(&every).expect("small");
            assert!(worst(&own.values, &marginal(&shape, &q, every.modes())) < 1e-13);
            // KL(P ‖ Q*) = H(Q*) − H(P)
            let entropies = fit.distribution.entropy() - fit.data_entropy;
            assert!((entropies - fit.kl).abs() < 1e-8, "{entropies} {}", fit.kl);
        }
        let total = cells(&model);
        assert_eq!(degrees_of_freedom(&model) + parameters(&model) + BigUint::from(1u32), total);
    }
}

#[test]
fn no_interaction_is_uniform() {
    let shape = [2, 3];
    let fit = fit(&model(&shape, &[]), &tensor(&shape, &det(&shape)));
    assert_eq!(fit.status, Status::ClosedForm);
    assert!(worst(&fit.distribution.dense(9).expect("small").values, &[1.0 / 6.0; 6]) < 1e-16);
}

#[test]
fn two_iterated_atoms_joined_by_a_closed_one() {
    let shape = [2, 3, 2, 3, 2, 2];
    let scopes: [&[usize]; 7] = [&[0, 1], &[1, 2], &[0, 2], &[2, 3], &[3, 4], &[4, 5], &[3, 5]];
    let x = det_mixed(&shape);
    for (zeros, tolerance) in [(false, 1e-13), (true, 1e-13), (false, 1e-6)] {
        let x: Vec<f64> =
            x.iter().enumerate().map(|(k, v)| if zeros && k % 3 == 0 { 0.0 } else { *v }).collect();
        let model = model(&shape, &scopes);
        let fit = fit_with(&model, &tensor(&shape, &x), Control { tolerance, ..Control::default() });
        assert_eq!(fit.schedule.draft.atoms.iter().filter(|a| a.iterates()).count(), 2);
        let want = naive(&shape, &x, &scopes, &vec![1.0; x.len()], 20_000);
        let q = fit.distribution.dense(1 << 20).expect("small").values;
        assert!((q.iter().sum::<f64>() - 1.0).abs() < 1e-13);
        assert!(worst(&q, &want) < 10.0 * tolerance.max(1e-12));
        assert!((fit.kl - kl(&x, &q)).abs() < 1e-12);
        assert!(fit.certificate.marginal_gap <= tolerance, "{:?}", fit.certificate);
        assert!(fit.certificate.optimality_gap.is_some_and(|g| fit.kl - kl(&x, &want) <= g + 1e-15));
    }
}

fn det_mixed(shape: &[usize]) -> Vec<f64> {
    let mut s = Stream(77);
    (0..shape.iter().product()).map(|_| (1.5 * s.unit()).exp()).collect()
}

#[test]
fn published_divergences_of_the_balance_scale() {
    // 5⁴ weights and distances on two arms, and to which side the scale tips
    let shape = [5, 5, 5, 5, 3];
    let mut x = vec![0.0; 1875];
    for c in 0..625 {
        let i = unravel(c, &[5; 4]);
        let (left, right) = ((i[0] + 1) * (i[1] + 1), (i[2] + 1) * (i[3] + 1));
        x[c * 3 + usize::from(left == right) + 2 * usize::from(left < right)] = 1.0;
    }
    let star: Vec<Vec<usize>> = (0..4).map(|d| vec![d, 4]).collect();
    let cases =
        [(body(5, 1), 0.9136485598712408), (star, 0.5383667099257454), (body(5, 2), 0.3170791406429452)];
    for (scopes, want) in cases {
        let model = model(&shape, &refs(&scopes));
        let fit = fit_with(&model, &sparse(&shape, &x), Control::default());
        assert!((fit.kl - want).abs() < 1e-10, "{scopes:?}: {}", fit.kl);
    }
}

#[test]
fn data_where_a_fixed_potential_leaves_nothing_are_an_error() {
    let shape = [2, 3];
    let mut m = model(&shape, &[&[0], &[1]]);
    m.interactions.push(fixed(&shape, &[0, 1], |i| if i[0] == 1 { f64::INFINITY } else { 0.0 }));
    let x = tensor(&shape, &det(&shape));
    let control = Control::default();
    let refused = mba::run::execute(&plan(&m, &x), &m, &x, &control, &mut mba::run::Silent);
    assert_eq!(refused.expect_err("infinite divergence")[0].code, mba::text::Code::MBA503);
    // without data in those cells it is a structural zero
    let x = tensor(&shape, &[1.0, 2.0, 3.0, 0.0, 0.0, 0.0]);
    let q = fit(&m, &x).distribution.dense(6).expect("small").values;
    assert!(worst(&q, &[1.0 / 6.0, 2.0 / 6.0, 0.5, 0.0, 0.0, 0.0]) < 1e-15);
}
