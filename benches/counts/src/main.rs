//! One piece of work, so that its instructions can be counted: `counts NAME`, or `counts` for the names.
//! `counts run PROGRAM …` is the command itself.

use mba::model::Scope;
use mba::run::kernel::{marginalise, scale};
use mba::run::projection::Projection;
use mba::run::vector::{exp_all, ln_all, sum_x_ln_x};
use std::hint::black_box;
use std::process::ExitCode;

/// What can be counted. The first does nothing; its count is taken from the others.
const WORK: [(&str, fn()); 7] = [
    ("nothing", || ()),
    ("sum_last_mode", || sum_to([0, 1])),
    ("sum_first_mode", || sum_to([1, 2])),
    ("multiply_by_two_modes", multiply),
    ("entropy", || drop(black_box(sum_x_ln_x(&numbers(200_000))))),
    ("logarithms", || ln_all(black_box(&mut numbers(200_000)))),
    ("exponentials", || exp_all(black_box(&mut numbers(200_000)))),
];

fn main() -> ExitCode {
    let word = std::env::args().nth(1);
    if word.as_deref() == Some("run") {
        return mba::command::main();
    }
    // the thread that waits for others would count too
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    if let Err(error) = pool.build_global() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    match word.as_deref() {
        None => WORK.iter().for_each(|(name, _)| println!("{name}")),
        Some("--level") => {
            let level = format!("{:?}", pulp::Arch::new());
            println!("{}", level.split(['(', ' ', '{']).next().unwrap_or("unknown"));
        }
        Some(name) => match WORK.iter().find(|(own, _)| *own == name) {
            Some((_, work)) => work(),
            None => {
                eprintln!("no work is called {name}");
                return ExitCode::FAILURE;
            }
        },
    }
    ExitCode::SUCCESS
}

/// The same numbers on every machine, between 0 and 1.
fn numbers(count: usize) -> Vec<f64> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(|_| next()).collect()
}

fn projection(kept: [usize; 2]) -> Projection {
    Projection::between(&Scope::all(3), &[60; 3], &Scope::from(kept))
}

fn sum_to(kept: [usize; 2]) {
    let mut onto = vec![0.0; 3600];
    marginalise(&projection(kept), black_box(&numbers(216_000)), &mut onto);
    black_box(onto);
}

fn multiply() {
    let mut large = numbers(216_000);
    scale(&projection([0, 2]), black_box(&mut large), &numbers(3600));
}
