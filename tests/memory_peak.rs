//! The memory a fit takes, measured, beside the peak its plan predicts.

mod arrays;
mod engine;
mod program_support;

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
    let schedule = compile(model, &profile, &Options { memory, ..Options::default() }).expect("just inside");
    assert_eq!(schedule, free);
    keeps(name, model, tensor, &schedule);
    // with less, it is refused, or goes by a schedule that keeps to what there is
    let memory = memory - 1024;
    match compile(model, &profile, &Options { memory, ..Options::default() }) {
        Ok(other) => {
            assert!(other.peak <= memory as f64, "{name}: {} of {memory}", other.peak);
            keeps(&format!("{name}, in less"), model, tensor, &other);
        }
        Err(found) => assert_eq!(found[0].code, mba::text::Code::MBA501, "{name}"),
    }
}

/// Fits by a schedule, and measures.
fn keeps(name: &str, model: &EnergyModel, tensor: &mba::data::Tensor, schedule: &mba::plan::Schedule) {
    let profile = Profile::of(tensor);
    let memory = schedule.peak.ceil() as u64;
    let before = MEMORY.current_usage() as f64;
    MEMORY.reset_peak_usage();
    let fit = execute(schedule, model, tensor, &Control::default(), &mut Silent).expect("a fit");
    let taken = MEMORY.peak_usage() as f64 - before + profile.resident_bytes();
    println!("{name}: {taken:.0} taken of {memory}");
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

/// Reads coordinates of bytes with values of single precision: the values become doubles when what tells the
/// cells apart has been given back, so that reading takes what the tensor takes and the files.
fn reading_keeps() {
    const ROWS: usize = 400_000;
    let digits = |k: usize| (0..6).map(move |m| ((k * 7919 % 1_000_000) / 10usize.pow(m) % 10) as u8);
    let cells: Vec<u8> = (0..ROWS).flat_map(digits).collect();
    let cells = ndarray::Array::from_shape_vec((ROWS, 6), cells).expect("a shape");
    let values = ndarray::Array::from_vec((0..ROWS).map(|k| 1.0 + (k % 7) as f32).collect::<Vec<f32>>());
    let mut files = program_support::Files::default();
    files.there.insert("c.npy".into(), arrays::npy(&cells));
    files.there.insert("v.npy".into(), arrays::npy(&values));
    let modes: String = (0..6).map(|m| format!("mode m{m}: 10\n")).collect();
    let text = format!(
        "{modes}data x[m0, m1, m2, m3, m4, m5] from coords \"c.npy\" values \"v.npy\"\nshow x.total\n"
    );
    drop((cells, values));
    let before = MEMORY.current_usage() as f64;
    MEMORY.reset_peak_usage();
    program_support::healthy(&text, &files);
    let taken = MEMORY.peak_usage() as f64 - before;
    let rows = ROWS as f64;
    // six bytes and eight a cell, and the files, which are in memory here
    let (tensor, stored) = (14.0 * rows, 10.0 * rows);
    println!("reading: {taken:.0} taken, {:.0} needed", tensor + stored);
    assert!(taken <= tensor + stored + 2.0 * SMALL, "{taken} {tensor} {stored}");
}

// one test, because the allocator counts for the whole process
#[test]
fn fits_just_inside_the_budget_stay_inside() {
    reading_keeps();
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
