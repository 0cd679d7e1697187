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

/// Two levels each, uniform, with this correlation.
fn correlated(r: f64) -> Vec<f64> {
    vec![0.25 * (1.0 + r), 0.25 * (1.0 - r), 0.25 * (1.0 - r), 0.25 * (1.0 + r)]
}

/// Signs of which two pairs agree with correlation r and the third disagrees with it. Every triple of signs has
/// ab + bc − ac ≤ 1, so that 3r ≤ 1, and for 3r = 1 all have ab + bc − ac = 1.
fn frustrated(r: f64, kernel: &[f64; 8]) -> Problem {
    let margins: [(&[usize], Vec<f64>); 3] =
        [(&[0, 1], correlated(r)), (&[1, 2], correlated(r)), (&[0, 2], correlated(-r))];
    problem(&[2, 2, 2], kernel, &margins)
}

#[test]
fn pairs_that_agree_two_by_two_and_not_all_together_are_impossible() {
    let kernels =
        [[1.0; 8], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], [1.0, 1e-9, 1.0, 1e9, 1.0, 1e-40, 1.0, 1.0]];
    for kernel in &kernels {
        for r in [0.8, 0.5, 0.34, 0.3334] {
            match solve(&frustrated(r, kernel)).expect_err("infeasible") {
                Infeasible::Weights { cells, asked, most, zeros } => {
                    let diagonal = vec![vec![0, 0], vec![1, 1]];
                    let other = vec![vec![0, 1], vec![1, 0]];
                    assert!(asked > most && !zeros, "{r}");
                    let sorted = |c: &[Vec<usize>]| {
                        let mut c = c.to_vec();
                        c.sort();
                        c
                    };
                    let cells: Vec<_> = cells.iter().map(|(c, l)| (*c, sorted(l))).collect();
                    assert_eq!(cells, [(0, diagonal.clone()), (1, diagonal), (2, other)], "{r}");
                }
                other => panic!("{other:?}"),
            }
        }
        for r in [0.0, 0.3, 0.333, -0.8] {
            let p = frustrated(r, kernel);
            let b = solve(&p).expect("feasible");
            assert_eq!(b.status, Status::Converged, "{r}");
            assert!(missed(&p, &b.values) < 1e-11, "{r}");
        }
    }
}

#[test]
fn cells_without_room_between_margins_on_a_cycle_are_zero() {
    // 3r = 1: the cells (0, 1, 0) and (1, 0, 1), in which ab + bc − ac = −3, cannot be positive
    for kernel in
        [[1.0; 8], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], [1.0, 1.0, 1e-30, 1.0, 1.0, 2.0, 1.0, 1.0]]
    {
        let p = frustrated(1.0 / 3.0, &kernel);
        let b = solve(&p).expect("feasible");
        assert_eq!((b.status, b.cut), (Status::Boundary, 2));
        assert_eq!((b.values[2], b.values[5]), (0.0, 0.0));
        assert!(missed(&p, &b.values) < 1e-11);
        // a tensor on the six cells that are left: the others are determined by the margins
        for flat in [0, 1, 3, 4, 6, 7] {
            assert!((b.values[flat] - 1.0 / 6.0).abs() < 1e-11, "{:?}", b.values);
        }
    }
    // the five slices of the tensor balancing literature, of which the first is triangular: it can only
    // use its diagonal, and each other one cannot use it
    let n = 5;
    let kernel: Vec<f64> =
        (0..n * n * n).map(|k| if k >= n * n || k % n >= k / n { 1.0 } else { 0.0 }).collect();
    let pair = || vec![0.04; n * n];
    let p = problem(&[n, n, n], &kernel, &[(&[0, 1], pair()), (&[1, 2], pair()), (&[0, 2], pair())]);
    let b = solve(&p).expect("feasible");
    assert_eq!((b.status, b.cut), (Status::Boundary, 30));
    assert!(missed(&p, &b.values) < 1e-11);
    for (flat, value) in b.values.iter().enumerate() {
        let (i, diagonal) = (flat / (n * n), flat / n % n == flat % n);
        let want = if (i == 0) == diagonal { 0.04 / if i == 0 { 1.0 } else { 4.0 } } else { 0.0 };
        assert!((value - want).abs() < 1e-11 && (want > 0.0 || *value == 0.0), "{flat}: {value}");
    }
    assert!(b.certificate.optimality_gap.expect("a bound") < 1e-9);
}

#[test]
fn zeros_of_margins_that_leave_nothing_are_named() {
    // all mass on the diagonals of two pairs, and none of it there in the third
    let p = frustrated(1.0, &[1.0; 8]);
    match solve(&p).expect_err("infeasible") {
        Infeasible::Blocked { margin: 0, cell, asked, by } => {
            assert_eq!((cell, by), (vec![0, 0], vec![1, 2]));
            assert!((asked - 0.5).abs() < 1e-12);
        }
        other => panic!("{other:?}"),
    }
}

/// Σ B C / ε over the least cost that weak duality allows with these potentials, in units of ε.
fn above_the_least_cost(p: &Problem, b: &Balanced) -> f64 {
    let columns = p.shape[1];
    let slack = |k: usize| -p.log_kernel[k] - b.potentials[0][k / columns] - b.potentials[1][k % columns];
    let least = (0..b.values.len()).map(slack).fold(f64::INFINITY, f64::min);
    b.values.iter().enumerate().map(|(k, v)| v * (slack(k) - least)).sum()
}

#[test]
fn transport_at_any_temperature_ends() {
    let mut random = StdRng::seed_from_u64(2);
    for (rows, columns) in [(10, 10), (30, 40)] {
        let costs: [Vec<f64>; 3] = [
            (0..rows * columns).map(|_| random.random_range(0.0..1.0)).collect(),
            (0..rows * columns)
                .map(|k| ((k / columns) as f64 / rows as f64 - (k % columns) as f64 / columns as f64).powi(2))
                .collect(),
            (0..rows * columns)
                .map(|k| ((k / columns) as f64 / rows as f64 - (k % columns) as f64 / columns as f64).abs())
                .collect(),
        ];
        let mut weights = |n: usize| -> Vec<f64> {
            let w: Vec<f64> = (0..n).map(|_| random.random_range(0.1..1.1)).collect();
            let total: f64 = w.iter().sum();
            w.into_iter().map(|w| w / total).collect()
        };
        let margins = [(uniform(rows), uniform(columns)), (weights(rows), weights(columns))];
        for (which, cost) in costs.iter().enumerate() {
            for (r, c) in &margins {
                for epsilon in [1e-1, 1e-2, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6] {
                    let p = Problem {
                        shape: vec![rows, columns],
                        log_kernel: cost.iter().map(|c| -c / epsilon).collect(),
                        margins: vec![
                            Margin { scope: scope(&[0]), target: r.clone() },
                            Margin { scope: scope(&[1]), target: c.clone() },
                        ],
                    };
                    let b = balance(&p, &Control::default(), &mut Silent).expect("feasible");
                    let place = format!("{rows} × {columns}, cost {which}, {epsilon:e}");
                    assert_eq!(b.status, Status::Converged, "{place}");
                    assert!(missed(&p, &b.values) < 1e-9, "{place}");
                    // the entropy of the plan is all that it may cost more than the cheapest one
                    let most = ((rows * columns) as f64).ln() + 1e-6 / epsilon * 1e-2;
                    assert!(above_the_least_cost(&p, &b) <= most, "{place}");
                }
            }
        }
    }
}

#[test]
fn a_cold_plan_is_the_cheapest_assignment() {
    let n = 7;
    let mut random = StdRng::seed_from_u64(8);
    let cost: Vec<f64> = (0..n * n).map(|_| random.random_range(0.0..1.0)).collect();
    // the cheapest way to fill the rows from `row` on with the columns that are left
    fn cheapest(cost: &[f64], n: usize, row: usize, used: usize) -> f64 {
        if row == n {
            return 0.0;
        }
        let free = (0..n).filter(|j| used & (1 << j) == 0);
        free.map(|j| cost[row * n + j] + cheapest(cost, n, row + 1, used | (1 << j)))
            .fold(f64::INFINITY, f64::min)
    }
    let want = cheapest(&cost, n, 0, 0) / n as f64;
    for epsilon in [1e-4, 1e-6, 1e-9] {
        let mut p = problem(&[n, n], &vec![1.0; n * n], &[(&[0], uniform(n)), (&[1], uniform(n))]);
        p.log_kernel = cost.iter().map(|c| -c / epsilon).collect();
        let b = balance(&p, &Control::default(), &mut Silent).expect("feasible");
        assert_eq!(b.status, Status::Converged);
        let found: f64 = b.values.iter().zip(&cost).map(|(b, c)| b * c).sum();
        assert!((found - want).abs() < 1e-9, "{epsilon:e}: {found} {want}");
    }
}

#[test]
fn a_wish_to_stop_is_heard_between_the_products_of_a_newton_step() {
    use mba::run::{Flow, Observer, Stop, Sweep};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Asking(Stop);
    impl Observer for Asking {
        fn sweep(&mut self, _: &Sweep) -> Flow {
            if self.0.asked() { Flow::Interrupt } else { Flow::Continue }
        }
        fn stop(&self) -> Option<Stop> {
            Some(self.0.clone())
        }
    }
    let n = 40;
    let mut p = problem(&[n, n], &vec![1.0; n * n], &[(&[0], uniform(n)), (&[1], uniform(n))]);
    p.log_kernel = (0..n * n).map(|k| -((k * 7919 % 1009) as f64) / 1.009).collect();
    let whole = balance(&p, &Control::default(), &mut Silent).expect("feasible");
    assert!(whole.products > 200, "{}", whole.products);
    for most in [10, 60, 150] {
        let times = Arc::new(AtomicUsize::new(0));
        let stop = Stop::default().or_when(move || times.fetch_add(1, Ordering::Relaxed) >= most);
        let cut = balance(&p, &Control::default(), &mut Asking(stop)).expect("feasible");
        assert_eq!(cut.status, Status::Interrupted);
        assert!(cut.products <= most, "{} products before {most} times of asking", cut.products);
        assert_eq!(cut.certificate.optimality_gap, None);
    }
}

#[test]
fn an_interrupted_balance_is_of_the_kernel_that_was_asked_for() {
    use mba::run::{Flow, Observer, Sweep};
    struct After(usize);
    impl Observer for After {
        fn sweep(&mut self, sweep: &Sweep) -> Flow {
            if sweep.number >= self.0 { Flow::Interrupt } else { Flow::Continue }
        }
    }
    let p = Problem {
        shape: vec![6, 6],
        log_kernel: (0..36).map(|k| -f64::from(k * k % 17) / 1e-2).collect(),
        margins: vec![
            Margin { scope: scope(&[0]), target: vec![1.0, 2.0, 3.0, 3.0, 2.0, 1.0] },
            Margin { scope: scope(&[1]), target: vec![2.0; 6] },
        ],
    };
    for sweeps in [1, 3, 6, 12] {
        let b = balance(&p, &Control::default(), &mut After(sweeps)).expect("feasible");
        assert_eq!(b.status, Status::Interrupted);
        // ln B − ln K is a sum of potentials of rows and columns, up to a constant
        let left: Vec<f64> = (0..36)
            .filter(|k| b.values[*k] > 0.0)
            .map(|k| b.values[k].ln() - p.log_kernel[k] - b.potentials[0][k / 6] - b.potentials[1][k % 6])
            .collect();
        assert!(left.len() > 18, "{sweeps}: {left:?}");
        assert!(left.iter().all(|l| (l - left[0]).abs() < 1e-9), "{sweeps}: {left:?}");
    }
}
