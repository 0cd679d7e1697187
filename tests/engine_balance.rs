//! Balancing: published values, identities, and what cannot be balanced.

use mba::model::Scope;
use mba::run::balance::{Balanced, Infeasible, Margin, Problem, balance};
use mba::run::{Control, Silent, Status};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

fn scope(modes: &[usize]) -> Scope {
    modes.iter().copied().collect()
}

fn problem(shape: &[usize], kernel: &[f64], margins: &[(&[usize], Vec<f64>)]) -> Problem {
    Problem {
        shape: shape.to_vec(),
        log_kernel: kernel.iter().map(|k| k.ln()).collect(),
        margins: margins
            .iter()
            .map(|(modes, target)| Margin { scope: scope(modes), target: target.clone() })
            .collect(),
    }
}

fn solve(problem: &Problem) -> Result<Balanced, Infeasible> {
    balance(problem, &Control { tolerance: 1e-12, ..Control::default() }, &mut Silent)
}

/// The largest difference between a marginal of the result and what was asked, relative to the total.
fn missed(problem: &Problem, values: &[f64]) -> f64 {
    let mut worst = 0.0f64;
    for margin in &problem.margins {
        let total: f64 = margin.target.iter().sum();
        let mut found = vec![0.0; margin.target.len()];
        for (flat, value) in values.iter().enumerate() {
            let (mut rest, mut cell) = (flat, vec![0; problem.shape.len()]);
            for axis in (0..cell.len()).rev() {
                cell[axis] = rest % problem.shape[axis];
                rest /= problem.shape[axis];
            }
            let at = margin.scope.iter().fold(0, |k, m| k * problem.shape[m] + cell[m]);
            found[at] += value;
        }
        for (f, t) in found.iter().zip(&margin.target) {
            worst = worst.max((f - t / total).abs());
        }
    }
    worst
}

fn uniform(n: usize) -> Vec<f64> {
    vec![1.0 / n as f64; n]
}

#[test]
fn the_deterministic_matrix_is_balanced_as_published() {
    let x = |i: usize, j: usize| 1.0 + ((3 * i + 5 * j) % 11) as f64 + 0.1 * (((i + 1) * (j + 1)) % 4) as f64;
    let kernel: Vec<f64> = (0..16).map(|k| x(k / 4, k % 4)).collect();
    let p = problem(&[4, 4], &kernel, &[(&[0], uniform(4)), (&[1], uniform(4))]);
    let b = solve(&p).expect("feasible");
    assert_eq!(b.status, Status::Converged);
    assert!((b.values[0] - 0.013_679_703_194_156_47).abs() < 1e-12, "{}", b.values[0]);
    assert!((b.values[6] - 0.025_774_548_724_805_717).abs() < 1e-12);
    assert!((b.kl - 0.012_028_592_690_342_621).abs() < 1e-12, "{}", b.kl);
    assert!(b.certificate.optimality_gap.expect("a bound") < 1e-12);
}

#[test]
fn a_triangle_of_ones_has_only_its_diagonal_left() {
    // the H20 of the tensor balancing literature: no positive scaling exists
    let n = 20;
    let kernel: Vec<f64> = (0..n * n).map(|k| if k % n >= k / n { 1.0 } else { 0.0 }).collect();
    let p = problem(&[n, n], &kernel, &[(&[0], uniform(n)), (&[1], uniform(n))]);
    let b = solve(&p).expect("feasible");
    assert_eq!(b.status, Status::Boundary);
    assert_eq!(b.cut, n * (n - 1) / 2);
    for (k, value) in b.values.iter().enumerate() {
        let want = if k / n == k % n { 0.05 } else { 0.0 };
        assert!((value - want).abs() < 1e-14);
    }
    // KL of the uniform diagonal to the uniform triangle: ln(210) − ln(20)
    assert!((b.kl - (210.0f64 / 20.0).ln()).abs() < 1e-12, "{}", b.kl);
    assert!(b.iterations < 5);
}

#[test]
fn a_hessenberg_matrix_takes_a_few_newton_steps() {
    let n = 40;
    let kernel: Vec<f64> = (0..n * n).map(|k| if k % n + 1 >= k / n { 1.0 } else { 0.0 }).collect();
    let p = problem(&[n, n], &kernel, &[(&[0], uniform(n)), (&[1], uniform(n))]);
    let b = solve(&p).expect("feasible");
    assert_eq!(b.status, Status::Converged);
    assert_eq!(b.cut, 0);
    assert!(missed(&p, &b.values) < 1e-13);
    assert!(b.iterations < 60, "{}", b.iterations);
}

#[test]
fn every_optimum_is_the_kernel_times_potentials_and_no_closer_one_is_found() {
    let mut random = StdRng::seed_from_u64(3);
    for round in 0..20 {
        let shape = [2 + round % 3, 3, 2 + round % 2];
        let cells: usize = shape.iter().product();
        let kernel: Vec<f64> = (0..cells).map(|_| random.random_range(0.01..1.0f64)).collect();
        // marginals of another tensor are feasible
        let other: Vec<f64> = (0..cells).map(|_| random.random_range(0.1..1.0f64)).collect();
        let sum = |keep: &dyn Fn(usize, usize, usize) -> usize, n: usize| {
            let mut onto = vec![0.0; n];
            for (k, v) in other.iter().enumerate() {
                let (i, j, l) = (k / (shape[1] * shape[2]), k / shape[2] % shape[1], k % shape[2]);
                onto[keep(i, j, l)] += v;
            }
            onto
        };
        let margins: Vec<(&[usize], Vec<f64>)> = match round % 3 {
            0 => vec![
                (&[0], sum(&|i, _, _| i, shape[0])),
                (&[1], sum(&|_, j, _| j, shape[1])),
                (&[2], sum(&|_, _, l| l, shape[2])),
            ],
            1 => vec![
                (&[0, 1], sum(&|i, j, _| i * shape[1] + j, shape[0] * shape[1])),
                (&[1, 2], sum(&|_, j, l| j * shape[2] + l, shape[1] * shape[2])),
            ],
            _ => vec![
                (&[0, 1], sum(&|i, j, _| i * shape[1] + j, shape[0] * shape[1])),
                (&[1, 2], sum(&|_, j, l| j * shape[2] + l, shape[1] * shape[2])),
                (&[0, 2], sum(&|i, _, l| i * shape[2] + l, shape[0] * shape[2])),
            ],
        };
        let p = problem(&shape, &kernel, &margins);
        let b = solve(&p).expect("feasible");
        assert_eq!(b.status, Status::Converged);
        assert!(missed(&p, &b.values) < 1e-11);
        // Pythagoras: KL(O ‖ K) = KL(O ‖ B) + KL(B ‖ K) for every O with the margins
        let normal = |v: &[f64]| {
            let s: f64 = v.iter().sum();
            v.iter().map(|x| x / s).collect::<Vec<_>>()
        };
        let kl = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
        let (o, k) = (normal(&other), normal(&kernel));
        assert!((kl(&o, &k) - kl(&o, &b.values) - kl(&b.values, &k)).abs() < 1e-9);
        assert!((kl(&b.values, &k) - b.kl).abs() < 1e-11);
    }
}

#[test]
fn transport_at_a_small_temperature_is_stable() {
    let n = 30;
    let cost = |i: usize, j: usize| ((i as f64 - j as f64) / n as f64).powi(2);
    let rows: Vec<f64> = (0..n).map(|i| 1.0 + (i % 7) as f64).collect();
    let columns: Vec<f64> = (0..n).map(|j| 1.0 + ((3 * j + 1) % 7) as f64).collect();
    let scale: f64 = rows.iter().sum::<f64>() / columns.iter().sum::<f64>();
    let columns: Vec<f64> = columns.iter().map(|c| c * scale).collect();
    for epsilon in [1e-1, 1e-2, 1e-3] {
        let p = Problem {
            shape: vec![n, n],
            log_kernel: (0..n * n).map(|k| -cost(k / n, k % n) / epsilon).collect(),
            margins: vec![
                Margin { scope: scope(&[0]), target: rows.clone() },
                Margin { scope: scope(&[1]), target: columns.clone() },
            ],
        };
        let b = solve(&p).expect("feasible");
        assert_eq!(b.status, Status::Converged, "{epsilon}");
        assert!(missed(&p, &b.values) < 1e-11, "{epsilon}");
        assert!(b.iterations < 300, "{epsilon}: {}", b.iterations);
    }
}

#[test]
fn what_cannot_be_balanced_is_explained() {
    // two rows can only use one column
    let p = problem(
        &[3, 3],
        &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0],
        &[(&[0], vec![3.0, 2.0, 4.0]), (&[1], vec![4.0, 3.0, 2.0])],
    );
    match solve(&p).expect_err("infeasible") {
        Infeasible::Room { margin: 0, cells, asked, other: 1, reached, held } => {
            assert_eq!(cells, [[0], [1]]);
            assert_eq!(reached, [[0]]);
            assert!((asked - 5.0).abs() < 1e-12 && (held - 4.0).abs() < 1e-12);
        }
        other => panic!("{other:?}"),
    }
    let p = problem(&[2, 2], &[1.0; 4], &[(&[0], vec![1.0, 1.0]), (&[1], vec![1.0, 2.0])]);
    assert!(matches!(solve(&p), Err(Infeasible::Totals { margins: [0, 1], .. })));
    let p = problem(
        &[2, 2, 2],
        &[1.0; 8],
        &[(&[0, 1], vec![1.0, 1.0, 1.0, 1.0]), (&[1, 2], vec![2.0, 1.0, 0.5, 0.5])],
    );
    assert!(matches!(solve(&p), Err(Infeasible::Overlap { .. })));
    let p = problem(&[2, 2], &[1.0; 4], &[(&[0], vec![0.0, 0.0])]);
    assert!(matches!(solve(&p), Err(Infeasible::Empty { margin: 0 })));
    // a row without a cell
    let p = problem(&[2, 2], &[1.0, 1.0, 0.0, 0.0], &[(&[0], vec![1.0, 1.0])]);
    assert!(matches!(solve(&p), Err(Infeasible::Room { .. })));
    // three margins: all mass of i = 0 would have to lie at j = 0 and k = 0, which hold too little
    let mut kernel = vec![1.0; 8];
    kernel[1..4].fill(0.0);
    let p = problem(
        &[2, 2, 2],
        &kernel,
        &[(&[0], vec![0.8, 0.2]), (&[1], vec![0.5, 0.5]), (&[2], vec![0.5, 0.5])],
    );
    assert!(matches!(solve(&p), Err(Infeasible::Weights { .. })));
}

#[test]
fn a_zero_in_a_margin_is_a_zero_in_the_result() {
    let p = problem(&[2, 3], &[1.0; 6], &[(&[0], vec![1.0, 2.0]), (&[1], vec![0.0, 1.0, 2.0])]);
    let b = solve(&p).expect("feasible");
    assert_eq!(b.status, Status::Boundary);
    assert_eq!(b.values[0], 0.0);
    assert!((b.values[5] - 4.0 / 9.0).abs() < 1e-12);
}

#[test]
fn a_tensor_whose_optimum_is_on_the_boundary_is_said_to_be() {
    // slices of a tensor with zeros that force another cell to zero
    let mut kernel = vec![1.0; 8];
    kernel[1..4].fill(0.0);
    let half = || vec![0.5, 0.5];
    let p = problem(&[2, 2, 2], &kernel, &[(&[0], half()), (&[1], half()), (&[2], half())]);
    let b = balance(&p, &Control { tolerance: 1e-9, ..Control::default() }, &mut Silent).expect("feasible");
    assert_eq!(b.status, Status::Boundary);
    assert!((b.values[0] - 0.5).abs() < 1e-6 && (b.values[7] - 0.5).abs() < 1e-6);
}

#[test]
fn a_row_of_next_to_nothing_can_use_its_cells() {
    for least in [1e-11, 1e-13] {
        let margins =
            [(&[0][..], vec![least, 1.0]), (&[1][..], vec![least / 2.0, 1.0 - least / 2.0 + least])];
        let b = solve(&problem(&[2, 2], &[1.0, 1.0, 0.0, 1.0], &margins)).expect("feasible");
        assert!((b.values[0] / (least / 2.0) - 1.0).abs() < 1e-3, "{:?}", b.values);
        assert!((b.values[0] + b.values[1]) / least > 0.4, "{:?}", b.values);
    }
}
