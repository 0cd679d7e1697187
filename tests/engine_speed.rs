//! Times of a few fits, for a person to read: `cargo test --release --test engine_speed -- --ignored --nocapture`.

mod engine;

use std::time::Instant;

use engine::*;
use mba::plan::Options;
use mba::run::{Control, Distribution};

#[test]
#[ignore = "measures, and proves nothing"]
fn times() {
    let show = |name: &str, shape: &[usize], scopes: &[Vec<usize>], x: &[f64]| {
        let (model, tensor) = (model(shape, &refs(scopes)), tensor(shape, x));
        let begin = Instant::now();
        let schedule = plan(&model, &tensor);
        let planned = begin.elapsed();
        let begin = Instant::now();
        let fit = mba::run::execute(&schedule, &model, &tensor, &Control::default(), &mut mba::run::Silent);
        let took = begin.elapsed();
        let fit = fit.expect("a fit");
        println!(
            "{name}: plan {planned:.2?}, fit {took:.2?}, {:?} after {}, gap {:.1e}, bound {:?} {:?}; operations {:.2e} for {:.2e}, peak {:.2e} for {:.2e}",
            fit.status,
            fit.iterations,
            fit.certificate.marginal_gap,
            fit.certificate.optimality_gap,
            fit.certificate.reason,
            fit.counters.operations,
            fit.predicted_operations(),
            fit.counters.peak,
            schedule.peak,
        );
    };
    let mut s = Stream(1);
    let mut uniform = |n: usize| -> Vec<f64> { (0..n).map(|_| s.unit()).collect() };
    show("10^4 pairs", &[10; 4], &body(4, 2), &uniform(10_000));
    show("8^4 triples", &[8; 4], &body(4, 3), &uniform(4096));
    show("200^3 pairs", &[200; 3], &body(3, 2), &uniform(8_000_000));
    show("200^3 chain", &[200; 3], &[vec![0, 1], vec![1, 2]], &uniform(8_000_000));
    show(
        "2^22 ring",
        &[2; 22],
        &(0..22).map(|d| vec![d, (d + 1) % 22]).collect::<Vec<_>>(),
        &uniform(1 << 22),
    );
    let hard: Vec<f64> = uniform(4096)
        .iter()
        .zip(uniform(4096))
        .map(|(u, v)| (3.0 * (-2.0 * u.max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * v).cos()).exp())
        .collect();
    show("8^4 triples, lognormal(3)", &[8; 4], &body(4, 3), &hard);
    let mut balance = vec![1e-3; 5 * 5 * 5 * 5 * 3];
    for c in 0..625 {
        let i = unravel(c, &[5; 4]);
        let (l, r) = ((i[0] + 1) * (i[1] + 1), (i[2] + 1) * (i[3] + 1));
        balance[c * 3
            + if l > r {
                0
            } else if l == r {
                1
            } else {
                2
            }] += 1.0;
    }
    show("balance scale, triples, 1e-3", &[5, 5, 5, 5, 3], &body(5, 3), &balance);
    let exact: Vec<f64> = balance.iter().map(|v| v.floor()).collect();
    show("balance scale, pairs", &[5, 5, 5, 5, 3], &body(5, 2), &exact);
    show("balance scale, triples", &[5, 5, 5, 5, 3], &body(5, 3), &exact);
    let n = 10;
    let shape = vec![2; n * n];
    let mut m = model(&shape, &[]);
    for r in 0..n {
        for c in 0..n {
            for other in [r * n + (c + 1) % n, (r + 1) % n * n + c] {
                m.interactions
                    .push(fixed(&shape, &[r * n + c, other], |i| if i[0] == i[1] { -1.0 } else { 1.0 }));
            }
        }
    }
    let begin = Instant::now();
    let schedule = mba::plan::compile_fixed(&m, &Options::default());
    println!(
        "ising 10x10 periodic: plan {:.2?} {:?}",
        begin.elapsed(),
        schedule.map(|s| s.peak).map_err(|e| e[0].message.clone())
    );
    let mut m = model(&vec![2; 400], &[]);
    for d in 0..399 {
        m.interactions.push(fixed(&[2; 400], &[d, d + 1], |i| if i[0] == i[1] { -1.0 } else { 1.0 }));
    }
    let begin = Instant::now();
    let q = Distribution::from_fixed(&m, &Options::default()).expect("a chain");
    println!("chain of 400 spins: {:.2?} ln Z {}", begin.elapsed(), q.log_z());
}
