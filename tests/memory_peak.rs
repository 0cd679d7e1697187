//! The memory a fit takes, measured, beside the peak its plan predicts.

mod engine;

use engine::*;
use mba::model::EnergyModel;
use mba::plan::{Options, Profile, compile};
use mba::run::{Control, Silent, execute};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Room for the schedule itself, projections and other small things.
const SMALL: f64 = (1 << 20) as f64;

/// Fits with the smallest budget that the plan allows, and measures.
fn measure(name: &str, model: &EnergyModel, tensor: &mba::data::Tensor) {
    let profile = Profile::of(tensor);
    let free = compile(model, &profile, &Options::default()).expect("a plan");
    let memory = free.peak.ceil() as u64;
    assert!(compile(model, &profile, &Options { memory: memory - 1024, ..Options::default() }).is_err());
    let schedule = compile(model, &profile, &Options { memory, ..Options::default() }).expect("just inside");
    let before = MEMORY.current_usage() as f64;
    MEMORY.reset_peak_usage();
    let fit = execute(&schedule, model, tensor, &Control::default(), &mut Silent).expect("a fit");
    let taken = MEMORY.peak_usage() as f64 - before + profile.resident_bytes();
    let told = format!("{name}: {taken:.0} taken, {memory} predicted, {:.0} counted", fit.counters.peak);
    assert!(taken <= 1.1 * memory as f64 + SMALL, "{told}");
    assert!(taken + SMALL >= 0.5 * memory as f64, "{told}");
}

/// Cells with one count each.
fn scattered(shape: &[usize], coordinates: Vec<Vec<u32>>) -> mba::data::Tensor {
    let count = coordinates.first().map_or(0, Vec::len);
    let sparse = mba::data::Sparse::new(shape.to_vec(), coordinates, vec![1.0; count]);
    mba::data::Tensor {
        mask: None,
        name: "x".into(),
        modes: modes(shape),
        storage: std::sync::Arc::new(mba::data::Storage::Sparse(sparse)),
        total: count as f64,
        counts: false,
    }
}

// one test, because the allocator counts for the whole process
#[test]
fn fits_just_inside_the_budget_stay_inside() {
    let mut stream = Stream(3);
    // a ring of twelve with its diameters: tables over five modes
    let shape = [9; 12];
    let mut values = vec![Vec::new(); 12];
    for _ in 0..3000 {
        values.iter_mut().for_each(|v: &mut Vec<u32>| v.push(stream.below(9) as u32));
    }
    let x = scattered(&shape, values);
    let wheel: Vec<Vec<usize>> =
        (0..12).map(|i| vec![i, (i + 1) % 12]).chain((0..6).map(|i| vec![i, i + 6])).collect();
    measure("wheel", &model(&shape, &refs(&wheel)), &x);
    // a loop of large modes, which stays a product of factors, beside a small one in tables
    let shape = [60, 60, 60, 9, 9, 9];
    let places = shape.map(|n| (0..20_000).map(|_| stream.below(n) as u32).collect());
    let pairs: [&[usize]; 6] = [&[0, 1], &[1, 2], &[0, 2], &[3, 4], &[4, 5], &[3, 5]];
    measure("two loops", &model(&shape, &pairs), &scattered(&shape, places.to_vec()));
    // tables over three modes of four, written down
    let shape = [24; 4];
    let dense: Vec<f64> = (0..shape.iter().product::<usize>()).map(|_| 0.1 + stream.unit()).collect();
    let x = tensor(&shape, &dense);
    measure("all pairs", &model(&shape, &refs(&body(4, 2))), &x);
    measure("all triples", &model(&shape, &refs(&body(4, 3))), &x);
    measure("ring", &model(&shape, &[&[0, 1], &[1, 2], &[2, 3], &[0, 3]]), &x);
    measure("chain", &model(&shape, &[&[0, 1], &[1, 2], &[2, 3]]), &x);
}
