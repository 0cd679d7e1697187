//! What the compiler finds, before any data.

mod engine;

use engine::*;
use mba::model::Scope;
use mba::plan::hypergraph::is_acyclic;
use mba::plan::schedule::Instruction;
use mba::plan::{Options, PASSES, Profile, Schedule, compile, trace};

fn profile() -> Profile {
    Profile { stored: 1000, sparse: false, element_bytes: 8, mapped: false, masks: Vec::new() }
}

fn planned(shape: &[usize], scopes: &[&[usize]]) -> Schedule {
    compile(&model(shape, scopes), &profile(), &Options::default()).expect("a plan")
}

#[test]
fn chains_stars_tucker_and_trains_need_no_iteration_and_the_plan_says_so() {
    let classes: [&[&[usize]]; 5] = [
        &[&[0, 1], &[1, 2], &[2, 3], &[3, 4], &[4, 5]],
        &[&[0, 5], &[1, 5], &[2, 5], &[3, 5], &[4, 5]],
        &[&[3, 4, 5], &[0, 3], &[1, 4], &[2, 5]],
        &[&[0, 3], &[3, 1, 4], &[4, 2]],
        &[&[0, 1, 2], &[0, 1], &[1, 2], &[0, 2]],
    ];
    for scopes in classes {
        let schedule = planned(&[3; 6], scopes);
        assert!(!schedule.iterates());
        assert!(schedule.tree().contains("no iteration needed"), "{}", schedule.tree());
        assert!(schedule.steps.iter().all(|s| !matches!(s.instruction, Instruction::Loop(_))));
    }
    let triangle = planned(&[3; 3], &[&[0, 1], &[1, 2], &[0, 2]]);
    assert!(triangle.iterates() && triangle.tree().contains("iterates"));
}

#[test]
fn only_what_is_cyclic_iterates() {
    // a triangle, a tail, and a triangle that hangs on the tail
    let scopes: [&[usize]; 8] = [&[0, 1], &[1, 2], &[0, 2], &[2, 3], &[3, 4], &[4, 5], &[5, 6], &[4, 6]];
    let schedule = planned(&[3; 7], &scopes);
    let iterated: Vec<&Scope> =
        schedule.draft.atoms.iter().filter(|a| a.iterates()).map(|a| &a.modes).collect();
    assert_eq!(iterated, [&Scope::from([0, 1, 2]), &Scope::from([4, 5, 6])]);
    assert_eq!(schedule.draft.atoms.iter().filter(|a| a.closed).count(), 2);
}

#[test]
fn a_separator_outside_every_generator_does_not_separate() {
    // {1, 2, 3} is complete in the 2-section of its pairs, but nothing fixes its marginal
    let scopes: [&[usize]; 9] =
        [&[1, 2], &[2, 3], &[1, 3], &[0, 1], &[0, 2], &[0, 3], &[1, 4], &[2, 4], &[3, 4]];
    assert_eq!(planned(&[2; 5], &scopes).draft.atoms.len(), 1);
    // with a generator on it, it does
    let mut with = scopes.to_vec();
    with.push(&[1, 2, 3]);
    assert_eq!(planned(&[2; 5], &with).draft.atoms.len(), 2);
}

#[test]
fn closed_is_acyclic_for_every_class_on_four_modes() {
    let sets: Vec<Vec<usize>> = (1..16).map(|b| (0..4).filter(|d| b >> d & 1 == 1).collect()).collect();
    for choice in 0u32..1 << 15 {
        let class: Vec<&[usize]> = sets
            .iter()
            .enumerate()
            .filter(|(k, _)| choice >> k & 1 == 1)
            .map(|(_, s)| s.as_slice())
            .collect();
        // every third class is enough, and prime to the pattern of bits
        if choice % 13 != 0 {
            continue;
        }
        let schedule = planned(&[2; 4], &class);
        let scopes: Vec<Scope> = class.iter().map(|s| s.iter().copied().collect()).collect();
        assert_eq!(!schedule.iterates(), is_acyclic(&scopes), "{class:?}");
    }
}

#[test]
fn a_ring_costs_its_triangles_and_not_its_cells() {
    let n = 12;
    let ring: Vec<Vec<usize>> = (0..n).map(|d| vec![d, (d + 1) % n]).collect();
    let schedule = planned(&vec![20; n], &refs(&ring));
    let largest = schedule.buffers.iter().map(|b| b.cells).fold(0.0, f64::max);
    assert_eq!(largest, 8000.0);
    assert!(schedule.sweep_operations() < 1e6);
}

#[test]
fn every_pass_can_be_printed_and_every_step_names_its_pass() {
    let model = model(&[3, 4, 5], &[&[0, 1], &[1, 2], &[0, 2], &[0]]);
    let states = trace(&model, true);
    assert_eq!(states.len(), PASSES.len() + 1);
    assert!(states[0].1.to_string().contains("[m0]\n"));
    assert!(!states[1].1.to_string().contains("[m0]"));
    let schedule = compile(&model, &profile(), &Options::default()).expect("a plan");
    for step in &schedule.steps {
        assert!(PASSES.iter().any(|p| p.name == step.pass), "{}", step.pass);
    }
    let json = schedule.json();
    assert_eq!(json["iterates"], true);
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(schedule.steps.len()));
    assert!(schedule.dot().starts_with("graph \"m\" {"));
}

#[test]
fn a_plan_reads_like_this() {
    let model = model(&[3, 4, 5, 6], &[&[0, 1], &[1, 2], &[0, 2], &[2, 3]]);
    let schedule = compile(&model, &profile(), &Options::default()).expect("a plan");
    insta::assert_snapshot!(schedule.tree(), @r"
    m: iterates
    ├─ one pass over 1000 stored cells → [m0 m1] [m0 m2] [m1 m2] [m2 m3]
    │  [m2] ← [m0 m2]
    ├─ closed form: product of marginals over separators
    │  [m2 m3] 30 cells / [m2]
    ├─ iterates: [m0 m1] [m0 m2] [m1 m2]
    │  clique [m0 m1 m2] 60 cells
    │  per sweep: 1300 operations, 6.1 KiB moved
    ├─ once: 26120 operations, 44.7 KiB moved
    └─ peak: 17.4 KiB
    ");
}
