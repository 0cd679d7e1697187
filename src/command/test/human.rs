//! The report for people.

use anstyle::{AnsiColor, Style as Paint};

use super::outcome::{Case, File, Mode, Suite};
use crate::command::output::Output;
use crate::report::diagnostics;
use crate::session::snapshot::State;
use crate::session::testing::Kind;
use crate::text::Diagnostic;

/// The tests of a program, failures below their test.
pub fn file(file: &File, output: &mut Output) {
    if file.is_idle() {
        return;
    }
    let style = output.style();
    let painted =
        |colour: AnsiColor, word: &str| style.paint(Paint::new().fg_color(Some(colour.into())), word);
    let (good, bad) = (painted(AnsiColor::Green, "passed"), painted(AnsiColor::Red, "FAILED"));
    let mut out = format!("{}\n", style.bold(&file.path));
    if !file.failures.is_empty() {
        let what = if file.checks { "snapshots" } else { "the program" };
        let rest = match file.not_run.len() {
            0 => String::new(),
            1 => "; its test did not run".into(),
            n => format!("; its {n} tests did not run"),
        };
        out.push_str(&format!("  {bad}  {what}: {}{rest}\n", words(&file.kinds())));
        out.push_str(&reports(&file.failures, file, output));
    }
    for case in &file.cases {
        let name = case.name.replace('\n', " ");
        if case.passed() {
            out.push_str(&format!("  {good}  {name}{}\n", remarks(case)));
        } else {
            out.push_str(&format!("  {bad}  {name}: {}\n", words(&case.kinds())));
            out.push_str(&reports(case.causes.iter().chain(&case.failures), file, output));
        }
    }
    output.print(&out);
    output.flush();
}

fn words(kinds: &[Kind]) -> String {
    kinds.iter().map(|k| k.words()).collect::<Vec<_>>().join(", ")
}

fn remarks(case: &Case) -> String {
    match case.seen.iter().filter(|s| s.state == State::New).count() {
        0 => String::new(),
        1 => " (1 new snapshot)".into(),
        n => format!(" ({n} new snapshots)"),
    }
}

/// Reports with a blank line around each.
fn reports<'a>(list: impl IntoIterator<Item = &'a Diagnostic>, file: &File, output: &Output) -> String {
    let mut out = String::from("\n");
    for diagnostic in list {
        out.push_str(&diagnostics::report(diagnostic, &file.sources, output.style()));
        out.push('\n');
    }
    out
}

fn counted(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// What came of everything, and what to do next.
pub fn summary(suite: &Suite, output: &mut Output) {
    let (ran, passed) = suite.ran();
    let not_run = suite.not_run();
    // reports end with a blank line
    let gap = suite.files.iter().rfind(|f| !f.is_idle()).is_some_and(|f| match f.cases.last() {
        Some(case) => case.passed(),
        None => f.failures.is_empty(),
    });
    let mut out = format!(
        "{}{} in {}: {passed} passed",
        if gap { "\n" } else { "" },
        counted(ran + not_run, "test", "tests"),
        counted(suite.files.iter().filter(|f| !f.is_idle()).count(), "program", "programs")
    );
    if ran > passed {
        out.push_str(&format!(", {} failed", ran - passed));
    }
    if not_run > 0 {
        out.push_str(&format!(", {not_run} not run"));
    }
    let kinds = suite.kinds();
    if !kinds.is_empty() {
        let list: Vec<String> = kinds.iter().map(|(kind, n)| format!("{} {n}", kind.words())).collect();
        out.push_str(&format!(" ({})", list.join(", ")));
    }
    out.push('\n');
    let s = suite.snapshots();
    let parts = [
        (s.same, "agree", "agrees"),
        (s.moved, "have moved", "has moved"),
        (s.new, "are new", "is new"),
        (s.damaged, "cannot be read", "cannot be read"),
        (s.unreferenced, "are taken by no test", "is taken by no test"),
    ];
    let list: Vec<String> = parts
        .iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, many, one)| format!("{n} {}", if *n == 1 { one } else { many }))
        .collect();
    if !list.is_empty() || s.written > 0 {
        out.push_str(&format!(
            "snapshots: {}",
            if list.is_empty() { "none left".into() } else { list.join(", ") }
        ));
        if s.written > 0 {
            out.push_str(&format!("; {} written", counted(s.written, "change", "changes")));
        }
        out.push('\n');
    }
    let open = match suite.mode {
        Mode::Compare | Mode::Check | Mode::AcceptNew => s.moved + s.unreferenced,
        Mode::Review | Mode::Accept => 0,
    };
    if open > 0 {
        out.push_str("`mba test --review` goes through what is open, one by one\n");
    } else if s.new > 0 && !suite.mode.writes() {
        out.push_str("`mba test --accept-new` keeps what is new\n");
    }
    output.print(&out);
}
