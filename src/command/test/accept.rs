//! Which snapshots are to be kept: all, those that are new, or those that a person says yes to.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use super::outcome::{Case, File, Mode, Suite};
use crate::command::host;
use crate::command::output::Output;
use crate::report::table;
use crate::report::value::{Rows, Value};
use crate::session::snapshot::{Comparison, Difference, Key, Seen, State, path_of, signed};
use crate::session::testing::Kind;
use crate::text::{Code, Diagnostic};

/// Rows of a review that are shown before the others are counted.
const MOST_ROWS: usize = 40;

/// Settles every open snapshot of a suite, writes the files, and takes back the failures that are settled by it.
pub fn settle(suite: &mut Suite, output: &mut Output) {
    let mode = suite.mode;
    let open: usize = suite.files.iter().map(|f| open(f).len()).sum();
    let mut desk = Review { all: false, stop: false, done: 0, open, input: io::stdin().lock() };
    for file in &mut suite.files {
        if file.store.is_foreign() {
            continue;
        }
        let before = file.store.clone();
        for item in self::open(file) {
            let yes = match (mode, &item) {
                (Mode::Accept, _) => true,
                (Mode::AcceptNew, Item::Taken { case, seen }) => {
                    file.cases[*case].seen[*seen].state == State::New
                }
                (Mode::Review, item) => desk.ask(file, item, output),
                _ => false,
            };
            if yes {
                keep(file, &item);
            }
        }
        if mode == Mode::Accept && file.store.damage().is_some() {
            file.store.repair();
            file.failures.retain(|f| f.code != Code::MBA605);
        }
        // what cannot be read would be lost
        if file.store != before && file.store.damage().is_some() {
            file.store = before;
            file.written = 0;
            continue;
        }
        if file.store != before {
            write(file);
        }
    }
}

/// A snapshot about which something is to be decided.
enum Item {
    /// One that a test takes, by the positions of the test and of the snapshot in it.
    Taken { case: usize, seen: usize },
    /// One that no test takes.
    Unreferenced(Key),
}

fn open(file: &File) -> Vec<Item> {
    let mut items = Vec::new();
    for (c, case) in file.cases.iter().enumerate().filter(|(_, case)| trusted(case)) {
        for (s, seen) in case.seen.iter().enumerate() {
            if seen.state != State::Same {
                items.push(Item::Taken { case: c, seen: s });
            }
        }
    }
    items.extend(file.unreferenced.iter().cloned().map(Item::Unreferenced));
    items
}

/// Whether the numbers of a test are worth keeping: those of a fit that did not end are not.
fn trusted(case: &Case) -> bool {
    let bad = [Kind::NotConverged, Kind::CertificateFailed, Kind::TimeLimit, Kind::Defect];
    !case.failures.iter().any(|f| bad.contains(&Kind::of(f)))
}

fn keep(file: &mut File, item: &Item) {
    match item {
        Item::Unreferenced(key) => {
            file.store.remove(key);
            file.unreferenced.retain(|k| k != key);
        }
        Item::Taken { case, seen } => {
            let case = &mut file.cases[*case];
            let seen = &mut case.seen[*seen];
            file.store.accept(seen);
            seen.state = State::Same;
            let span = seen.span;
            let settled = |f: &Diagnostic| {
                matches!(f.code, Code::MBA604 | Code::MBA605 | Code::MBA624) && f.span() == Some(span)
            };
            case.failures.retain(|f| !settled(f));
        }
    }
    file.written += 1;
}

fn write(file: &mut File) {
    let name = path_of(&file.path);
    let path = Path::new(&name);
    let written = if file.store.is_empty() {
        if path.exists() { std::fs::remove_file(path) } else { Ok(()) }
    } else {
        host::write(path, file.store.render().as_bytes())
    };
    if let Err(error) = written {
        file.written = 0;
        file.failures.push(
            Diagnostic::new(Code::MBA430, format!("`{name}` cannot be written"))
                .note(error.to_string())
                .note("what was there before is unchanged")
                .help("see that the folder can be written to, and accept again"),
        );
    }
}

/// The conversation of `--review`.
struct Review {
    all: bool,
    stop: bool,
    done: usize,
    open: usize,
    input: io::StdinLock<'static>,
}

impl Review {
    fn ask(&mut self, file: &File, item: &Item, output: &mut Output) -> bool {
        if self.stop {
            return false;
        }
        self.done += 1;
        output.print(&format!("{} of {}  {}", self.done, self.open, shown(file, item, output)));
        if self.all {
            output.print("kept\n\n");
            return true;
        }
        let question = match item {
            Item::Unreferenced(_) => "remove it? yes, no, all of the rest, or quit [y/n/a/q] ",
            Item::Taken { .. } => "keep what there is now? yes, no, all of the rest, or quit [y/n/a/q] ",
        };
        loop {
            output.print(question);
            output.flush();
            let mut line = String::new();
            let read = self.input.read_line(&mut line);
            if !io::stdin().is_terminal() {
                // what a person types ends its line; what is piped does not show
                output.print(&format!("{}\n", line.trim()));
            }
            match (read, line.trim().to_ascii_lowercase().as_str()) {
                (Ok(0) | Err(_), _) | (_, "q" | "quit") => {
                    self.stop = true;
                    output.print("the rest stays as it is\n\n");
                    return false;
                }
                (_, "y" | "yes") => {
                    output.print("\n");
                    return true;
                }
                (_, "n" | "no") => {
                    output.print("\n");
                    return false;
                }
                (_, "a" | "all") => {
                    self.all = true;
                    output.print("\n");
                    return true;
                }
                _ => output.print("answer y, n, a or q\n"),
            }
            let _ = io::stdout().flush();
        }
    }
}

/// What a question is about: where, and old beside new.
fn shown(file: &File, item: &Item, output: &Output) -> String {
    let path = path_of(&file.path);
    let place = |key: &Key| match file.store.line_of(key) {
        Some(line) => format!("  kept in {path}:{line}\n"),
        None => format!("  will be kept in {path}\n"),
    };
    match item {
        Item::Unreferenced(key) => {
            format!(
                "{}: no test takes snapshot `{}` of test \"{}\"\n{}",
                file.path,
                key.label,
                key.test,
                place(key)
            )
        }
        Item::Taken { case, seen } => {
            let seen = &file.cases[*case].seen[*seen];
            let (line, column) = file.sources.position(seen.span.source, seen.span.start);
            let what = match &seen.state {
                State::New => "is new",
                State::Damaged(_) => "cannot be read",
                _ => "has moved",
            };
            let head = format!(
                "{}:{line}:{column}: snapshot `{}` of test \"{}\" {what}\n{}",
                file.path,
                seen.key.label,
                seen.key.test,
                place(&seen.key)
            );
            let body = match &seen.state {
                State::Moved(comparison) => changes(seen, comparison, output),
                State::Damaged(why) => format!("  {why}\n{}", fresh(seen, file, output)),
                _ => fresh(seen, file, output),
            };
            format!("{head}\n{body}\n")
        }
    }
}

fn rows(columns: &[&str], rows: Vec<Vec<String>>, output: &Output) -> String {
    let more = rows.len().saturating_sub(MOST_ROWS);
    let rows = rows.into_iter().take(MOST_ROWS).map(|r| r.into_iter().map(Value::Text).collect()).collect();
    let columns = columns.iter().map(|c| (*c).to_string()).collect();
    let notes = if more > 0 { vec![format!("and {more} more")] } else { Vec::new() };
    table::rows(&Rows { columns, rows, notes }, output.style())
}

/// What would be written, each line as far as it goes.
fn fresh(seen: &Seen, file: &File, output: &Output) -> String {
    let text = file.store.preview(seen);
    let width = output.style().width.saturating_sub(2).max(20);
    let mut out = String::new();
    for line in text.lines().take(MOST_ROWS) {
        let cut: String = line.chars().take(width).collect();
        let more = if cut.len() < line.len() { "…" } else { "" };
        out.push_str(&format!("  {cut}{more}\n"));
    }
    let more = text.lines().count().saturating_sub(MOST_ROWS);
    if more > 0 {
        out.push_str(&format!("  and {more} more lines\n"));
    }
    out
}

/// Old beside new: texts by their changed lines, everything else as a table.
fn changes(seen: &Seen, comparison: &Comparison, output: &Output) -> String {
    let is_text = |d: &&Difference| matches!(&d.new, Some(serde_json::Value::String(t)) if t.contains('\n'));
    let (texts, others): (Vec<&Difference>, Vec<&Difference>) =
        comparison.differences.iter().partition(is_text);
    let mut out = String::new();
    if !others.is_empty() {
        let table = others.iter().map(|d| {
            let change = d.change().filter(|_| d.numeric).map_or_else(String::new, signed);
            vec![d.place(), d.old_in_words(), d.new_in_words(), change]
        });
        out.push_str(&rows(&["what", "old", "new", "difference"], table.collect(), output));
    }
    for text in texts {
        let get =
            |v: &Option<serde_json::Value>| v.as_ref().and_then(|v| v.as_str()).unwrap_or("").to_string();
        let (old, new) = (get(&text.old), get(&text.new));
        out.push_str(&format!("{}\n", text.place()));
        let diff = similar::TextDiff::from_lines(&old, &new);
        out.push_str(&diff.unified_diff().context_radius(2).to_string());
    }
    if comparison.numbers > 0 {
        out.push_str(&format!(
            "{} of {} numbers differ by more than {}\n",
            comparison.outside, comparison.numbers, seen.tolerance
        ));
    }
    out
}
