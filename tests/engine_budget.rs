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
    assert!(at(free.peak as u64 - 1).is_err());
}
