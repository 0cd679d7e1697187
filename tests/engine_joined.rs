//! Atoms that stay products of factors and are put together on what they share.

mod engine;

use engine::*;
use mba::data::Tensor;
use mba::model::EnergyModel;
use mba::model::Scope;
use mba::run::{Control, Fit, Status};

const SHAPE: [usize; 6] = [17, 16, 17, 16, 17, 3];

/// Two triangles at a mode, and an edge that hangs from the second.
const SCOPES: [&[usize]; 7] = [&[0, 1], &[1, 2], &[0, 2], &[2, 3], &[3, 4], &[2, 4], &[4, 5]];

fn records(zeros: bool) -> Tensor {
    let mut stream = Stream(3);
    let mut coordinates = vec![Vec::new(); SHAPE.len()];
    let mut values = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40_000 {
        let mut cell = [0usize; 6];
        cell[0] = stream.below(17);
        for m in 1..6 {
            let lean = if stream.unit() < 0.7 { cell[m - 1] } else { stream.below(SHAPE[m]) };
            cell[m] = lean.min(SHAPE[m] - 1);
        }
        // a corner of one marginal without mass
        if zeros && cell[2] < 3 && cell[3] > 12 {
            continue;
        }
        if seen.insert(cell) {
            for (column, i) in coordinates.iter_mut().zip(cell) {
                column.push(i as u32);
            }
            values.push(0.1 + stream.unit());
        }
    }
    let total = values.iter().sum();
    let storage = mba::data::Sparse::new(SHAPE.to_vec(), coordinates, values);
    Tensor {
        mask: None,
        name: "x".into(),
        modes: modes(&SHAPE),
        storage: std::sync::Arc::new(mba::data::Storage::Sparse(storage)),
        total,
        counts: false,
    }
}

/// A model of the same distributions, with an energy in each triangle that the free tables make up for. It is
/// too uneven for products of factors, so that both go on in tables.
fn in_tables() -> EnergyModel {
    let mut tables = model(&SHAPE, &SCOPES);
    for mode in [0, 3] {
        tables.interactions.push(fixed(&SHAPE, &[mode], |k| if k[0] == 0 { 200.0 } else { 0.0 }));
    }
    tables
}

#[test]
fn factors_and_tables_are_joined_to_the_same_distribution() {
    for zeros in [false, true] {
        let data = records(zeros);
        let control = || Control { tolerance: 1e-11, ..Control::default() };
        let factors = fit_with(&model(&SHAPE, &SCOPES), &data, control());
        let tables = fit_with(&in_tables(), &data, control());
        let unites = |fit: &Fit| fit.schedule.steps.iter().any(|s| s.instruction.word() == "unite");
        assert!(unites(&factors));
        assert!(factors.distribution.cliques.iter().any(|c| !c.belief.factors().is_empty()));
        assert!(tables.distribution.cliques.iter().all(|c| c.belief.factors().is_empty()));
        assert_eq!(factors.status, tables.status);
        assert_eq!(factors.status == Status::Boundary, zeros);
        assert!((factors.kl - tables.kl).abs() < 1e-11, "{} {}", factors.kl, tables.kl);
        assert!(factors.certificate.marginal_gap <= 4e-11, "{:?}", factors.certificate);
        assert!(factors.certificate.optimality_gap.is_some_and(|g| g < 1e-9), "{:?}", factors.certificate);
        // neighbours agree on what they share, and every marginal is that of the tables
        let (f, t) = (&factors.distribution, &tables.distribution);
        for scope in [&[0usize, 1][..], &[2], &[2, 4], &[3, 4], &[4, 5], &[0, 3], &[1, 5], &[0, 2, 4]] {
            let scope: Scope = scope.iter().copied().collect();
            let (a, b) = (f.marginal(&scope).expect("small"), t.marginal(&scope).expect("small"));
            assert!(worst(&a.values, &b.values) < 1e-10, "{scope:?}");
            assert!((a.values.iter().sum::<f64>() - 1.0).abs() < 1e-13);
        }
        assert!((f.entropy() - t.entropy()).abs() < 1e-9, "{} {}", f.entropy(), t.entropy());
        // cells by potentials and by beliefs
        let mut stream = Stream(9);
        for _ in 0..200 {
            let cell: Vec<usize> = SHAPE.iter().map(|n| stream.below(*n)).collect();
            let (a, b) = (f.log_probability(&cell), t.log_probability(&cell));
            assert!(a == b || (a - b).abs() < 1e-6 * (1.0 + b.abs()), "{cell:?}: {a} {b}");
        }
        assert_eq!(factors.zero_marginals, tables.zero_marginals);
    }
}

#[test]
fn an_interrupted_join_still_is_a_distribution() {
    let data = records(false);
    let model = model(&SHAPE, &SCOPES);
    let fit = fit_with(&model, &data, Control { tolerance: 0.0, max_sweeps: 2, ..Control::default() });
    assert_eq!(fit.status, Status::Stopped);
    let whole = fit.distribution.marginal(&Scope::from([0, 5])).expect("small");
    assert!((whole.values.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}
