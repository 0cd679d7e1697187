//! Cliques whose cells are made and added up block by block, mixtures of ways in one plan, and atoms side by side.

mod engine;

use std::sync::Arc;

use engine::*;
use mba::data::{Sparse, Storage, Tensor};
use mba::model::EnergyModel;
use mba::plan::schedule::{Instruction, Schedule};
use mba::run::{Control, Flow, Observer, Silent, Status, Stop, Stoppable, Sweep, execute};

/// All triples of four modes: a clique of 143 640 cells.
const SHAPE: [usize; 4] = [19, 20, 18, 21];

fn values(shape: &[usize], seed: u64) -> Vec<f64> {
    let mut stream = Stream(seed);
    (0..shape.iter().product()).map(|_| (2.0 * stream.unit()).exp()).collect()
}

/// Cells of no order with amounts between a half and three halves.
fn scattered(shape: &[usize], count: usize, seed: u64) -> Tensor {
    let mut stream = Stream(seed);
    let mut rows: Vec<Vec<u32>> =
        (0..count).map(|_| shape.iter().map(|n| stream.below(*n) as u32).collect()).collect();
    rows.sort();
    rows.dedup();
    let coordinates = (0..shape.len()).map(|m| rows.iter().map(|r| r[m]).collect()).collect();
    let values: Vec<f64> = rows.iter().map(|_| 0.5 + stream.unit()).collect();
    let total = values.iter().sum();
    let storage = Arc::new(Storage::Sparse(Sparse { shape: shape.to_vec(), coordinates, values }));
    Tensor { name: "x".into(), modes: modes(shape), storage, total, counts: false, mask: None }
}

/// A model of the same distributions, whose fixed energy its free tables make up for. It is too uneven for
/// products of factors, so that tables are used after all.
fn with_tables(model: &EnergyModel, shape: &[usize]) -> EnergyModel {
    let mut model = model.clone();
    model.interactions.push(fixed(shape, &[0], |k| if k[0] == 0 { 200.0 } else { 0.0 }));
    model
}

/// How many products of a sweep are taken cell by cell, and how many as matrices.
fn ways(schedule: &Schedule) -> (usize, usize) {
    let mut found = (0, 0);
    for step in &schedule.steps {
        let Instruction::Loop(iteration) = &step.instruction else { continue };
        for step in iteration.factored.iter().flat_map(|f| &f.sweep) {
            match &step.instruction {
                Instruction::Product(p) if p.shape.streamed => found.0 += 1,
                Instruction::Product(_) => found.1 += 1,
                _ => {}
            }
        }
    }
    found
}

#[test]
fn all_triples_of_four_modes_are_never_a_table() {
    let factored = model(&SHAPE, &refs(&body(4, 3)));
    let tables = with_tables(&factored, &SHAPE);
    for zeros in [false, true] {
        let mut x = values(&SHAPE, 3);
        if zeros {
            x.iter_mut().enumerate().filter(|(c, _)| c / 21 % 7 == 2).for_each(|(_, v)| *v = 0.0);
        }
        let x = tensor(&SHAPE, &x);
        let (a, b) = (fit_with(&factored, &x, Control::default()), fit_with(&tables, &x, Control::default()));
        assert_eq!(ways(&a.schedule), (4, 0));
        assert!(b.distribution.cliques.iter().all(|c| c.belief.factors().is_empty()));
        assert!((a.kl - b.kl).abs() < 1e-11, "{} {}", a.kl, b.kl);
        assert_eq!(a.status, if zeros { Status::Boundary } else { Status::Converged });
        assert!(a.certificate.marginal_gap <= 1e-9, "{:?}", a.certificate);
        assert!(a.certificate.optimality_gap.is_some_and(|g| g < 1e-12), "{:?}", a.certificate);
        let of = |f: &mba::run::Fit| f.distribution.dense(1 << 20).expect("small").values;
        assert!(worst(&of(&a), &of(&b)) < 1e-10);
        // n³ beside the data and the history of the acceleration, where tables are n⁴
        assert!(a.counters.peak <= a.schedule.peak && a.counters.peak < b.counters.peak);
        let ratio = a.counters.operations / a.counters.predicted.operations;
        assert!((0.5..2.0).contains(&ratio), "{ratio}");
        let ratio = a.counters.bytes / a.counters.predicted.bytes;
        assert!((0.5..2.0).contains(&ratio), "{ratio}");
    }
}

#[test]
fn each_atom_has_its_own_way() {
    // a closed form, a triangle as matrices, triples cell by cell, a small loop in tables
    let shape = [20, 19, 18, 21, 18, 19, 3, 4, 2];
    let mut scopes = vec![vec![0, 1, 2], vec![0, 1, 3], vec![0, 2, 3], vec![1, 2, 3]];
    scopes.extend([vec![3, 4], vec![4, 5], vec![3, 5], vec![5, 6], vec![6, 7], vec![7, 8], vec![6, 8]]);
    let m = model(&shape, &refs(&scopes));
    let x = scattered(&shape, 40_000, 11);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| fit_with(&m, &x, Control::default()))
    };
    let fit = run(1);
    let (streamed, matrices) = ways(&fit.schedule);
    assert!(streamed == 4 && matrices > 0, "{streamed} {matrices}");
    assert!(fit.schedule.draft.atoms.iter().any(|a| a.iterates() && !a.factored()));
    assert!(fit.schedule.draft.atoms.iter().any(|a| a.closed));
    assert!(fit.certificate.marginal_gap <= 1e-9, "{:?}", fit.certificate);
    for scope in &scopes {
        let scope: mba::model::Scope = scope.iter().copied().collect();
        let got = fit.distribution.marginal(&scope).expect("a marginal").values;
        assert!((got.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    let again = run(3);
    assert_eq!(fit.kl.to_bits(), again.kl.to_bits());
    assert_eq!((fit.iterations, fit.certificate), (again.iterations, again.certificate));
}

/// Told of every sweep; keeps states when it is asked to.
#[derive(Default)]
struct Watch {
    told: Vec<Sweep>,
    keeps: bool,
}

impl Observer for Watch {
    fn sweep(&mut self, sweep: &Sweep) -> Flow {
        self.told.push(*sweep);
        Flow::Continue
    }

    fn keeps(&self) -> bool {
        self.keeps
    }
}

/// Twelve triangles in a row, each sharing a mode with the next, and two apart.
fn triangles() -> (Vec<usize>, Vec<Vec<usize>>) {
    let shape: Vec<usize> = (0..31).map(|m| 2 + m % 3).collect();
    let triangle = |a: usize| [vec![a, a + 1], vec![a + 1, a + 2], vec![a, a + 2]];
    let row = (0..12).flat_map(|k| triangle(2 * k));
    (shape, row.chain(triangle(25)).chain(triangle(28)).collect())
}

#[test]
fn atoms_side_by_side_give_the_bits_of_one_after_the_other() {
    let (shape, scopes) = triangles();
    let m = model(&shape, &refs(&scopes));
    let x = scattered(&shape, 3000, 5);
    let schedule = plan(&m, &x);
    assert_eq!(schedule.groups.iter().map(Vec::len).collect::<Vec<_>>(), [8, 6]);
    assert!(schedule.tree().contains("side by side: 8 of the atoms that iterate"), "{}", schedule.tree());
    let run = |threads: usize, keeps: bool| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let mut watch = Watch { keeps, ..Watch::default() };
        pool.install(|| {
            let fit = execute(&schedule, &m, &x, &Control::default(), &mut watch);
            (fit.expect("a fit"), watch.told)
        })
    };
    let (one, told) = run(1, true);
    assert!(one.certificate.marginal_gap <= 1e-9);
    for (threads, keeps) in [(1, false), (2, false), (5, false), (3, true)] {
        let (fit, heard) = run(threads, keeps);
        assert_eq!(heard, told, "{threads} threads");
        assert_eq!(fit.kl.to_bits(), one.kl.to_bits());
        assert_eq!((fit.status, fit.iterations), (one.status, one.iterations));
        assert_eq!(fit.certificate, one.certificate);
        assert_eq!(fit.distribution, one.distribution);
        let (own, other) = (&fit.counters, &one.counters);
        assert_eq!(
            (own.operations, own.bytes, own.predicted),
            (other.operations, other.bytes, other.predicted)
        );
        assert!(own.peak <= fit.schedule.peak && own.peak >= 0.5 * fit.schedule.peak);
    }
    // numbers go on from atom to atom
    assert!(told.iter().enumerate().all(|(k, s)| s.number == k + 1 && s.atoms == 14));
    assert!(told.is_sorted_by_key(|s| s.atom));
}

#[test]
fn a_wish_to_stop_reaches_atoms_side_by_side() {
    let (shape, scopes) = triangles();
    let m = model(&shape, &refs(&scopes));
    let x = scattered(&shape, 3000, 5);
    let stop = Stop::default();
    stop.ask();
    let mut observer = Stoppable { inner: Box::new(Silent), stop };
    let control = Control { tolerance: 1e-15, ..Control::default() };
    let fit = execute(&plan(&m, &x), &m, &x, &control, &mut observer).expect("a fit");
    assert_eq!(fit.status, Status::Interrupted);
    // one sweep of each of the eight that had begun
    assert_eq!(fit.iterations, 8);
    assert!(fit.kl.is_finite());
}
