//! Models beyond the memory budget: refused with the way out.

mod engine;

use engine::*;
use mba::plan::{Options, Profile, compile};
use mba::text::{Code, Diagnostic};

fn profile() -> Profile {
    Profile { stored: 1000, sparse: true, element_bytes: 56, mapped: false, masks: Vec::new() }
}

fn refused(shape: &[usize], scopes: &[&[usize]], memory: u64) -> Diagnostic {
    let options = Options { memory, ..Options::default() };
    let mut found = compile(&model(shape, scopes), &profile(), &options).map(|_| ()).expect_err("too large");
    assert_eq!((found.len(), found[0].code), (1, Code::MBA501));
    found.remove(0)
}

fn help(diagnostic: &Diagnostic) -> &str {
    diagnostic.help.as_deref().unwrap_or_default()
}

/// A ring of twelve modes and all its diameters.
fn wheel() -> Vec<Vec<usize>> {
    (0..12).map(|i| vec![i, (i + 1) % 12]).chain((0..6).map(|i| vec![i, i + 6])).collect()
}

#[test]
fn one_interaction_too_many_is_named_with_what_is_needed_without_it() {
    // a chain of twelve, and a triangle of wide modes at its end
    let mut shape = vec![10; 12];
    shape[..3].fill(900);
    let chain: Vec<Vec<usize>> = (0..11).map(|i| vec![i, i + 1]).chain([vec![0, 2]]).collect();
    let found = refused(&shape, &refs(&chain), 1 << 28);
    assert!(help(&found).contains("leave out `[m"), "{found:?}");
    assert!(help(&found).contains("(it then needs 43.6 MiB)"), "{found:?}");
    assert!(help(&found).contains("merge the 900 levels of `m"), "{found:?}");
    assert!(help(&found).contains("--memory 365MiB"), "{found:?}");
    // what is proposed is true
    let smaller = model(&shape, &refs(&chain[..11]));
    assert!(compile(&smaller, &profile(), &Options { memory: 1 << 30, ..Options::default() }).is_ok());
}

#[test]
fn several_interactions_or_fewer_levels_are_proposed_where_one_is_not_enough() {
    let free = compile(&model(&[16; 12], &refs(&wheel())), &profile(), &Options::default()).expect("a plan");
    let found = refused(&[16; 12], &refs(&wheel()), free.peak as u64 / 16);
    let text = help(&found);
    assert!(text.contains("leave out `[m") && text.contains(" and `[m"), "{found:?}");
    let all = body(12, 2);
    let found = refused(&[12; 12], &refs(&all), 4 << 30);
    assert!(help(&found).contains("until none has more than 5"), "{found:?}");
    assert!(compile(&model(&[5; 12], &refs(&all)), &profile(), &Options::default()).is_ok());
    // 10⁴⁰ cells in one generator: no memory would do
    let every: Vec<usize> = (0..40).collect();
    let found = refused(&[10; 40], &[&every], 4 << 30);
    assert!(found.help.is_some());
}

#[test]
fn the_budget_refuses_at_the_predicted_peak_and_not_before() {
    let model = model(&[9; 12], &refs(&wheel()));
    let free = compile(&model, &profile(), &Options::default()).expect("a plan");
    let at = |memory: u64| compile(&model, &profile(), &Options { memory, ..Options::default() });
    assert_eq!(at(free.peak.ceil() as u64).expect("it fits"), free);
    // below, another schedule within the budget is taken, as long as one is found
    let (mut memory, mut ways) = (free.peak as u64 - 1, 0);
    while let Ok(other) = at(memory) {
        assert!(other.peak <= memory as f64, "{} of {memory}", other.peak);
        assert_eq!(at(memory).expect("the same again"), other);
        assert_eq!(at(other.peak.ceil() as u64).expect("it fits"), other);
        (memory, ways) = (other.peak as u64 - 1, ways + 1);
    }
    assert!(ways < 64 && memory > 8 * 9u64.pow(4), "{ways} {memory}");
    assert_eq!(refused(&[9; 12], &refs(&wheel()), memory).code, Code::MBA501);
}

/// Ten modes in nineteen pairs, whose largest clique holds no pair that is not in a smaller one too.
fn ten_modes() -> Vec<Vec<usize>> {
    [1, 2, 8, 9, 12, 14, 15, 23, 29, 34, 36, 45, 46, 47, 48, 56, 67, 78, 89]
        .iter()
        .map(|p| vec![p / 10, p % 10])
        .collect()
}

#[test]
fn a_model_does_not_need_more_memory_for_an_interaction_less() {
    let found = |shape: &[usize], scopes: &[Vec<usize>]| {
        compile(&model(shape, &refs(scopes)), &profile(), &Options::default()).expect("a plan")
    };
    let (smaller, larger) = (ten_modes(), [ten_modes(), vec![vec![3, 5]]].concat());
    let (few, many) = (found(&[50; 10], &smaller), found(&[50; 10], &larger));
    assert!(few.peak < 100e6 && few.peak < many.peak, "{} {}", few.peak, many.peak);
    // a level more is hardly more memory
    let less = found(&[49; 10], &smaller);
    assert!(few.peak < 1.2 * less.peak, "{} {}", few.peak, less.peak);
    // a ring of twelve with five of its diameters, and with all of them
    let open: Vec<Vec<usize>> = wheel().into_iter().filter(|s| s != &[0, 6]).collect();
    let (few, many) = (found(&[30; 12], &open), found(&[30; 12], &wheel()));
    assert!(few.peak < many.peak, "{} {}", few.peak, many.peak);
}

#[test]
fn where_the_cheapest_schedule_is_too_large_another_one_is_found() {
    let pairs = [1, 9, 12, 13, 16, 17, 18, 23, 26, 29, 34, 45, 56, 58, 67, 69, 78, 89];
    let pairs: Vec<Vec<usize>> = pairs.iter().map(|p| vec![p / 10, p % 10]).collect();
    let model = model(&[30; 10], &refs(&pairs));
    let free = compile(&model, &profile(), &Options::default()).expect("a plan");
    let memory = (0.7 * free.peak) as u64;
    let other = compile(&model, &profile(), &Options { memory, ..Options::default() }).expect("a plan");
    assert!(other.peak <= memory as f64, "{} of {memory}", other.peak);
    // for half as much work again
    let (few, many) = (free.sweep_operations(), other.sweep_operations());
    assert!(few < many && many < 2.0 * few, "{few} {many}");
}

#[test]
fn one_interaction_is_proposed_wherever_one_is_enough_and_the_most_levels_that_fit() {
    let free = compile(&model(&[30; 12], &refs(&wheel())), &profile(), &Options::default()).expect("a plan");
    let mut tight = free.peak as u64;
    // the least that is not refused
    while let Ok(other) = compile(
        &model(&[30; 12], &refs(&wheel())),
        &profile(),
        &Options { memory: tight, ..Options::default() },
    ) {
        tight = other.peak as u64 - 1;
    }
    let found = refused(&[30; 12], &refs(&wheel()), tight);
    assert!(!help(&found).contains(" and `["), "{found:?}");
    assert!(help(&found).contains("merge the 30 levels"), "{found:?}");
    // a byte short: the two sizes do not read the same
    let told: Vec<&str> = found.message.split(" of memory, and the budget is ").collect();
    assert!(!told[0].ends_with(told[1]), "{}", found.message);
}
