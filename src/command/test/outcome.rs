//! What came of each test.

use std::collections::BTreeMap;
use std::time::Duration;

use super::desk::Desk;
use crate::session::snapshot::{Key, Seen, State, Store, path_of};
use crate::session::testing::{self, Kind, Listed};
use crate::text::{Code, Diagnostic, Sources};

/// What is done about snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Compare, write nothing; what is new is counted.
    Compare,
    /// Compare, write nothing; what is new or taken by no test fails.
    Check,
    /// Ask about each.
    Review,
    /// Keep all as they are now.
    Accept,
    /// Keep what is new.
    AcceptNew,
}

impl Mode {
    /// Whether snapshot files may be written.
    pub fn writes(self) -> bool {
        matches!(self, Mode::Review | Mode::Accept | Mode::AcceptNew)
    }
}

/// A test that has ended.
#[derive(Debug)]
pub struct Case {
    /// The name in quotes.
    pub name: String,
    /// What went wrong; empty when it passed.
    pub failures: Vec<Diagnostic>,
    /// What was said about the fits that it was the first to need.
    pub causes: Vec<Diagnostic>,
    /// The snapshots it took.
    pub seen: Vec<Seen>,
    /// How long it took.
    pub seconds: f64,
}

impl Case {
    /// A test that failed for one reason, before it could be run to its end.
    pub fn failed(listed: &Listed, why: Diagnostic, took: Duration) -> Self {
        Self {
            name: listed.name.clone(),
            failures: vec![why],
            causes: Vec::new(),
            seen: Vec::new(),
            seconds: took.as_secs_f64(),
        }
    }

    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// Why it failed, each kind once, in the order of the failures.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = Vec::new();
        for kind in self.failures.iter().map(Kind::of) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        // what could not be had has a reason, which is another kind
        if kinds.len() > 1 {
            kinds.retain(|k| *k != Kind::NotComputed);
        }
        kinds
    }
}

/// A program whose tests have ended.
#[derive(Debug)]
pub struct File {
    /// Its path.
    pub path: String,
    /// Every text that diagnostics point into.
    pub sources: Sources,
    /// The tests that were selected, in text order.
    pub cases: Vec<Case>,
    /// What is wrong with the program or its snapshot file, apart from single tests.
    pub failures: Vec<Diagnostic>,
    /// Tests that did not run because of that.
    pub not_run: Vec<String>,
    /// Its snapshots.
    pub store: Store,
    /// Snapshots that no test takes.
    pub unreferenced: Vec<Key>,
    /// What was done about snapshots: changes written to the file.
    pub written: usize,
    /// Every test, selected or not, with the snapshots it takes.
    pub listed: Vec<Listed>,
    /// Whether the program is right.
    pub checks: bool,
}

impl File {
    /// A file of which nothing is known yet.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_string(),
            sources: Sources::default(),
            cases: Vec::new(),
            failures: Vec::new(),
            not_run: Vec::new(),
            store: Store::default(),
            unreferenced: Vec::new(),
            written: 0,
            listed: Vec::new(),
            checks: false,
        }
    }

    /// Whether there is anything to say about it.
    pub fn is_idle(&self) -> bool {
        self.cases.is_empty() && self.failures.is_empty() && self.not_run.is_empty()
    }

    /// What is wrong with the whole of it, each kind once.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.failures.iter().map(Kind::of).collect();
        kinds.dedup();
        kinds.truncate(if self.checks { usize::MAX } else { 1 });
        kinds
    }
}

/// Adds the failures that depend on what is done about snapshots. `partly` says that some tests were left out.
pub fn judge(file: &mut File, mode: Mode, partly: bool) {
    if file.is_idle() || (!file.checks && file.cases.is_empty()) {
        return;
    }
    file.store = Store::read(&path_of(&file.path), &Desk::new());
    // of a program that is wrong it is not known which snapshots its tests take
    if !partly && file.checks {
        file.unreferenced = testing::unreferenced(&file.store, &file.listed);
    }
    if mode == Mode::Check {
        for case in &mut file.cases {
            let missing = case.seen.iter().filter(|s| s.state == State::New);
            let missing: Vec<Diagnostic> = missing
                .map(|seen| {
                    Diagnostic::new(Code::MBA624, format!("there is no snapshot `{}` yet", seen.key.label))
                        .at(seen.span, "nothing to compare with")
                        .help("`mba test --accept-new` writes it; commit the file beside the program")
                })
                .collect();
            case.failures.extend(missing);
        }
        let path = path_of(&file.path);
        file.failures.extend(file.unreferenced.iter().map(|key| unreferenced(key, &path, &file.store)));
    }
    // a file that cannot be read is told by the tests that need it; when none does, it is told here
    let told = file.cases.iter().any(|c| c.failures.iter().any(|f| f.code == Code::MBA605));
    if let (Some(why), false) = (file.store.damage(), told) {
        let path = path_of(&file.path);
        let damaged = Diagnostic::new(Code::MBA605, format!("`{path}` cannot be read as snapshots"));
        file.failures.push(
            damaged.note(why.to_string()).help("restore the file, or correct it with `mba test --accept`"),
        );
    }
}

fn unreferenced(key: &Key, path: &str, store: &Store) -> Diagnostic {
    let message = format!("no test takes the snapshot `{}` of the test `{}`", key.label, key.test);
    let line = store.line_of(key).map_or_else(String::new, |l| format!(":{l}"));
    Diagnostic::new(Code::MBA625, message)
        .note(format!("it stands in {path}{line}"))
        .help("`mba test --review` or `--accept` removes it; or give the test its old name")
}

/// A snapshot file without a program.
pub fn orphan(path: &str, mode: Mode) -> File {
    let program = path.strip_suffix(&path_of("")).unwrap_or(path);
    let mut file = File::new(program);
    file.checks = true;
    file.store = Store::read(path, &Desk::new());
    file.unreferenced = file.store.keys().cloned().collect();
    if mode == Mode::Check {
        file.failures.push(
            Diagnostic::new(Code::MBA625, format!("the program of `{path}` is gone"))
                .help("remove the file, or restore the program"),
        );
    }
    file
}

/// Every program, and what is counted over all of them.
#[derive(Debug)]
pub struct Suite {
    /// What is done about snapshots.
    pub mode: Mode,
    /// The programs that have something to say, in the order they were found.
    pub files: Vec<File>,
}

/// Snapshots by what became of them.
#[derive(Debug, Default, Clone, Copy)]
#[allow(missing_docs)]
pub struct Snapshots {
    pub same: usize,
    pub new: usize,
    pub moved: usize,
    pub damaged: usize,
    pub unreferenced: usize,
    pub written: usize,
}

impl Suite {
    /// Nothing yet.
    pub fn new(mode: Mode) -> Self {
        Self { mode, files: Vec::new() }
    }

    /// Adds a program, unless it has nothing to say.
    pub fn add(&mut self, file: File) {
        if !file.is_idle() {
            self.files.push(file);
        }
    }

    /// Whether there was nothing to run.
    pub fn is_empty(&self) -> bool {
        self.files.iter().all(|f| f.is_idle() && f.unreferenced.is_empty())
    }

    /// Tests that ran, and those that passed.
    pub fn ran(&self) -> (usize, usize) {
        let cases = || self.files.iter().flat_map(|f| &f.cases);
        (cases().count(), cases().filter(|c| c.passed()).count())
    }

    /// Tests that did not run since their program is wrong.
    pub fn not_run(&self) -> usize {
        self.files.iter().map(|f| f.not_run.len()).sum()
    }

    /// Failures by kind: tests, and programs as a whole.
    pub fn kinds(&self) -> BTreeMap<Kind, usize> {
        let mut kinds = BTreeMap::new();
        for file in &self.files {
            let all = file.cases.iter().flat_map(Case::kinds).chain(file.kinds());
            all.for_each(|kind| *kinds.entry(kind).or_default() += 1);
        }
        kinds
    }

    /// Snapshots by what became of them.
    pub fn snapshots(&self) -> Snapshots {
        let mut counted = Snapshots::default();
        for file in &self.files {
            for seen in file.cases.iter().flat_map(|c| &c.seen) {
                match seen.state {
                    State::Same => counted.same += 1,
                    State::New => counted.new += 1,
                    State::Moved(_) => counted.moved += 1,
                    State::Damaged(_) => counted.damaged += 1,
                }
            }
            counted.unreferenced += file.unreferenced.len();
            counted.written += file.written;
        }
        counted
    }

    /// The exit status: 70 for a defect, 3 for a program that is wrong, 1 for any other failure, 0.
    pub fn status(&self) -> u8 {
        let mut status = 0;
        for file in &self.files {
            for failure in &file.failures {
                status = status.max(match Kind::of(failure) {
                    Kind::Defect => 70,
                    Kind::DoesNotCheck => 3,
                    _ => 1,
                });
            }
            for failure in file.cases.iter().flat_map(|c| &c.failures) {
                status = status.max(if Kind::of(failure) == Kind::Defect { 70 } else { 1 });
            }
        }
        status
    }
}
