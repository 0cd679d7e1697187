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
    assert_eq!(parameters(&hierarchical), BigUint::from(3u32 * 4 * 3 - 1 + 3 * 3));
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
