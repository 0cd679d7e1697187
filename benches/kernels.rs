//! The loops that fits are made of, one by one: `cargo bench`.

use divan::{Bencher, black_box, counter::BytesCount};
use mba::model::{EnergyModel, Interaction, Mode, Potential, Scope, Table};
use mba::numeric::vector::ln_all;
use mba::numeric::weigh::weigh;
use mba::run::kernel::{marginalise, scale};
use mba::run::landscape::Landscape;
use mba::run::masked::pattern::Pattern;
use mba::run::monte_carlo::{Kernel, Scan, streams};
use mba::run::multiply::{multiply, pack, stride};
use mba::run::projection::Projection;
use mba::text::Span;

fn main() {
    divan::main();
}

/// A table over three modes of 60 levels.
const SHAPE: [usize; 3] = [60; 3];

fn table() -> Vec<f64> {
    (0..SHAPE.iter().product()).map(|i: usize| 1.0 + (i % 17) as f64).collect()
}

fn bytes(values: &[f64]) -> BytesCount {
    BytesCount::of_slice(values)
}

/// Which modes are kept: the last is summed out, the first, or the middle one.
const KEPT: [[usize; 2]; 3] = [[0, 1], [1, 2], [0, 2]];

fn projection(kept: [usize; 2]) -> Projection {
    Projection::between(&Scope::all(3), &SHAPE, &Scope::from(kept))
}

#[divan::bench(args = KEPT)]
fn sum_to_two_modes(bencher: Bencher, kept: [usize; 2]) {
    let (from, way) = (table(), projection(kept));
    let mut onto = vec![0.0; 3600];
    bencher.counter(bytes(&from)).bench_local(|| marginalise(&way, black_box(&from), &mut onto));
}

#[divan::bench(args = KEPT)]
fn multiply_by_two_modes(bencher: Bencher, kept: [usize; 2]) {
    let (mut large, way) = (table(), projection(kept));
    let small = vec![1.0; 3600];
    bencher.counter(bytes(&large.clone())).bench_local(|| scale(&way, black_box(&mut large), &small));
}

#[divan::bench]
fn entropy(bencher: Bencher) {
    let from = table();
    bencher.counter(bytes(&from)).bench_local(|| weigh(black_box(&from)));
}

/// Both products of a mask with vectors.
#[divan::bench]
fn mask_with_vectors(bencher: Bencher) {
    let (rows, columns) = (500usize, 400usize);
    let observed: Vec<bool> =
        (0..rows * columns).map(|k: usize| !(k * k / 7 + k).is_multiple_of(5)).collect();
    let pattern = Pattern::new(&observed, rows, columns);
    let (mut v, mut u) = (vec![0.5; columns], vec![0.0; rows]);
    bencher.counter(BytesCount::of_slice(&observed)).bench_local(|| {
        pattern.across(black_box(&v), &mut u);
        pattern.down(black_box(&u), &mut v);
        v.iter_mut().for_each(|v| *v = 1.0 / *v);
    });
}

/// A matrix product as sweeps take it: a square of so many levels. Items are multiplications with an addition each.
#[divan::bench(args = [20, 40, 60, 128])]
fn matrix_product(bencher: Bencher, levels: usize) {
    let left = vec![0.5; stride(levels) * levels];
    let (mut right, mut onto) = (Vec::new(), vec![0.0; levels * levels]);
    pack(&vec![0.25; levels * levels], levels, &mut right);
    bencher.counter(divan::counter::ItemsCount::new(levels.pow(3))).bench_local(|| {
        multiply(black_box(&left), &right, &mut onto, levels, levels, false);
    });
}

/// A sweep of the heat bath over a periodic square of 64 × 64 spins.
#[divan::bench]
fn gibbs_sweep(bencher: Bencher) {
    let side = 64;
    let neighbours = (0..side * side).flat_map(|i| {
        let (row, column) = (i / side, i % side);
        [(i, row * side + (column + 1) % side), (i, (row + 1) % side * side + column)]
    });
    let interactions = neighbours.map(|(a, b)| {
        let scope = Scope::from([a, b]);
        let table = Table { scope: scope.clone(), shape: vec![2, 2], values: vec![-1.0, 1.0, 1.0, -1.0] };
        Interaction { scope, potential: Potential::Fixed(table.into()), span: Span::default() }
    });
    let model = EnergyModel {
        modes: (0..side * side).map(|i| Mode::counted(format!("s{i}"), 2)).collect(),
        interactions: interactions.collect(),
        ..EnergyModel::empty()
    };
    let landscape = Landscape::new(&model).expect("energies");
    let kernel = Kernel::gibbs(&landscape, &Scan::Line);
    let mut rng = streams(1, 1).remove(0);
    let mut cell = vec![0; side * side];
    bencher.counter(divan::counter::ItemsCount::new(side * side)).bench_local(|| {
        kernel.run(black_box(&landscape), 0.4, &mut cell, &mut rng, 1, |_| {});
    });
}

#[divan::bench]
fn logarithms(bencher: Bencher) {
    let mut values = vec![1.0; 4096];
    bencher.counter(bytes(&values)).bench_local(|| {
        values.fill(3.5);
        ln_all(black_box(&mut values));
    });
}

#[divan::bench]
fn logarithms_of_the_standard_library(bencher: Bencher) {
    let mut values = vec![1.0; 4096];
    bencher.counter(bytes(&values)).bench_local(|| {
        values.fill(3.5);
        black_box(&mut values).iter_mut().for_each(|v| *v = v.ln());
    });
}
