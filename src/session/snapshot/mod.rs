//! Snapshots: what a test saw, in a text file beside the program, compared within a tolerance.
//!
//! `model.mba.snap` stands beside `model.mba` and holds an entry for each snapshot of each test:
//!
//! ```text
//! mba snapshots 1
//!
//! === "the name of the test" / "the label"
//! free = ["[eye hair]","[eye sex]"]
//! status = "closed_form"
//! df = 18
//! kl = 0.13232931042351497
//! marginal [eye sex] at eye Blue = [114.0,101.0]
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `lines.rs` | a value as lines, each with the rule by which it is compared |
//! | `array.rs` | an array as lines: whole when it is small, by summary, probes and digest when it is large |
//! | `model.rs` | the canonical form of a model |
//! | `fit.rs` | what is kept of a fit: nothing that depends on how it was computed |
//! | `compare.rs` | an entry and what there is now: what differs, and by how much |
//! | `store.rs` | the file |
//!
//! Names are sorted wherever their order means nothing, so that neither the layout of a program nor the order of
//! its declarations, of its modes or of their levels shows. What is exact is compared exactly, numbers within
//! `absolute + relative · |old|`; an entry that agrees is never rewritten, nor is any number of an entry that agrees.

mod array;
mod compare;
mod fit;
mod lines;
mod model;
mod store;

pub use compare::{Comparison, Difference, Tolerance, signed};
pub use lines::{About, Line, Rule};
pub use store::{Key, Store, Stored, path_of};

use super::Session;
use crate::report::results;
use crate::text::ast::{Expr, ExprKind, Test, Text};
use crate::text::{Code, Diagnostic, Span, format_expression};

/// Numbers agree within this, relative, plus the same absolute, when the test names no tolerance.
const TOLERANCE: f64 = 1e-7;

/// Notes of a report on a snapshot that has moved; the others are counted.
const MOST_NOTES: usize = 12;

/// A snapshot of a test, as it was met.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its test and label.
    pub key: Key,
    /// The value in the program.
    pub span: Span,
    /// What there is now.
    pub lines: Vec<Line>,
    /// The tolerance the test names.
    pub tolerance: Tolerance,
    /// How it compares to what is kept.
    pub state: State,
}

/// How a snapshot compares to what is kept.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// It agrees.
    Same,
    /// Nothing is kept yet.
    New,
    /// It differs.
    Moved(Comparison),
    /// What is kept cannot be read, and why.
    Damaged(String),
}

/// The key of a snapshot: the name of its test, and its label or else its expression.
pub fn key(session: &Session, test: &Test, value: &Expr, label: Option<&Text>) -> Key {
    let label = match label {
        Some(label) => label.value.clone(),
        None => format_expression(session.sources.slice(value.span)),
    };
    Key { test: test.name.value.clone(), label }
}

/// What is kept of a value. `whole` asks for every cell of an array that has a reasonable size.
pub fn lines_of(expr: &Expr, session: &Session, whole: bool) -> Result<Vec<Line>, Diagnostic> {
    if let ExprKind::Name(name) = &expr.kind
        && let Some(result) = session.results.get(name)
    {
        return Ok(fit::lines(result, whole));
    }
    if let ExprKind::Name(name) = &expr.kind
        && let Some(result) = session.joint_results.get(name)
    {
        return Ok(fit::lines_of_joint(result, whole));
    }
    if let ExprKind::Name(name) = &expr.kind
        && let Some(result) = session.balanced_results.get(name)
    {
        return Ok(fit::lines_of_balance(result, whole));
    }
    let lines = lines::of_value(&results::evaluate(expr, session)?, whole);
    if let ExprKind::Name(name) = &expr.kind
        && session.estimates.contains_key(name)
    {
        // how far its sweeps went is not what it means
        return Ok(lines
            .into_iter()
            .filter(|l| !["sweeps", "residual"].contains(&l.name.as_str()))
            .collect());
    }
    Ok(lines)
}

/// The tolerance of a snapshot statement.
pub(super) fn tolerance(
    session: &Session,
    within: Option<&Expr>,
    except: Option<&Expr>,
) -> Result<Tolerance, Diagnostic> {
    let (absolute, relative) = match within {
        Some(_) => super::expectations::tolerance(within, session)?,
        None => (TOLERANCE, TOLERANCE),
    };
    let mut tolerance = Tolerance { absolute, relative, except: 0.0, share: false };
    if let Some(expr) = except {
        let x = results::number(&results::evaluate(expr, session)?, expr.span)?;
        tolerance.share = matches!(expr.kind, ExprKind::Percent(_));
        if !(x >= 0.0 && x.is_finite() && (tolerance.share || x.fract() == 0.0)) {
            return Err(Diagnostic::new(Code::MBA105, "a number of exceptions is whole, or a percentage")
                .at(expr.span, "here")
                .help("write `except 3` or `except 1%`"));
        }
        tolerance.except = x;
    }
    Ok(tolerance)
}

/// Compares a value with what is kept of it; a failure comes with what was seen all the same.
pub(super) fn compare(
    session: &Session,
    key: Key,
    value: &Expr,
    tolerance: Tolerance,
    store: &Store,
) -> Result<(Seen, Option<Diagnostic>), Diagnostic> {
    let lines = lines_of(value, session, tolerance.except > 0.0)?;
    let path = session.units.first().map_or_else(String::new, |u| path_of(&u.path));
    let damaged = |why: &str| {
        Diagnostic::new(Code::MBA605, format!("`{path}` cannot be read as snapshots"))
            .at(value.span, "the snapshot to compare with")
            .note(why.to_string())
            .help("restore the file, or write this snapshot anew with `mba test --review`")
    };
    let (state, failure) = match store.find(&key) {
        Ok(None) => (State::New, None),
        Err(why) => (State::Damaged(why.clone()), Some(damaged(&why))),
        Ok(Some(old)) => {
            let comparison = compare::compare(&old.lines, &lines, &tolerance);
            if comparison.agrees {
                (State::Same, None)
            } else {
                let failure = moved(&key, value.span, &comparison, &tolerance);
                (State::Moved(comparison), Some(failure))
            }
        }
    };
    Ok((Seen { key, span: value.span, lines, tolerance, state }, failure))
}

/// The report on a snapshot that has moved: what is exact first, then the interactions, then other numbers.
fn moved(key: &Key, span: Span, comparison: &Comparison, tolerance: &Tolerance) -> Diagnostic {
    let label = match (comparison.outside, comparison.exact) {
        (0, _) => "it is no longer the same".to_string(),
        (outside, _) => {
            format!("{outside} of {} numbers differ by more than {tolerance}", comparison.numbers)
        }
    };
    let mut diagnostic =
        Diagnostic::new(Code::MBA604, format!("snapshot `{}` has moved", key.label)).at(span, label);
    let notes = comparison.notes();
    for note in notes.iter().take(MOST_NOTES) {
        diagnostic = diagnostic.note(note.clone());
    }
    if notes.len() > MOST_NOTES {
        diagnostic = diagnostic.note(format!("and {} more", notes.len() - MOST_NOTES));
    }
    diagnostic.help("if the change is meant, accept it with `mba test --review`")
}
