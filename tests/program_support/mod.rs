//! Programs through every stage without the command: a host of files in memory, a recorder of events.
#![allow(dead_code)] // each test binary uses its own part

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use mba::data::Content;
use mba::report::{Style, Value, diagnostics, json, show};
use mba::run::{Observer, Silent, Status};
use mba::session::{Event, Host, Options, Session, Sink};
use mba::text::{Diagnostic, Sources};
use serde_json::Value as Json;

/// Files in memory; what is written is kept.
#[derive(Default)]
pub struct Files {
    pub there: BTreeMap<String, Vec<u8>>,
    pub written: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Files {
    /// Every file of a folder, by name.
    pub fn of(folder: &Path) -> Self {
        let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
        let there = entries
            .filter(|p| p.is_file())
            .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&p).unwrap()))
            .collect();
        Self { there, ..Self::default() }
    }
}

impl Host for Files {
    fn open(&self, path: &str) -> io::Result<Content> {
        self.there
            .get(path)
            .map(|bytes| Content::owned(bytes.clone()))
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
    fn read_text(&self, path: &str) -> io::Result<String> {
        let bytes = self.there.get(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        String::from_utf8(bytes.clone()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    }
    fn beside(&self, _: &str, written: &str) -> String {
        written.to_string()
    }
    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.written.lock().unwrap().insert(path.to_string(), bytes.to_vec());
        Ok(())
    }
    fn seconds(&self) -> f64 {
        0.0
    }
}

/// What happened in a run: for people, and as values.
#[derive(Default)]
pub struct Recorder {
    pub text: String,
    pub shown: Vec<(String, Json)>,
    pub fits: Vec<(String, &'static str, f64)>,
    pub tests: Vec<(String, Vec<&'static str>)>,
    pub codes: Vec<&'static str>,
}

impl Sink for Recorder {
    fn event(&mut self, event: Event<'_>, sources: &Sources) {
        match event {
            Event::Diagnostic(d) => {
                self.codes.push(d.code.name());
                self.text.push_str(&rendered(d, sources));
            }
            Event::Fit(result, _) => {
                let kl = result.fit.kl;
                // the last digits of a fit that is exact are those of rounding
                let kl_shown = if kl.abs() < 1e-13 { "0".into() } else { format!("{kl:.9}") };
                self.text.push_str(&format!(
                    "fit {} to {}: {}, kl {kl_shown}\n",
                    result.name,
                    result.tensor.name,
                    result.fit.status.word()
                ));
                let approximate = result.fit.schedule.rank_one().is_some_and(|work| work.published);
                assert!(
                    approximate
                        || matches!(result.fit.status, Status::Stopped | Status::Interrupted)
                        || result.fit.certificate.marginal_gap <= result.control.tolerance,
                    "{}: {:?}",
                    result.name,
                    result.fit.certificate
                );
                self.fits.push((result.name.clone(), result.fit.status.word(), kl));
            }
            Event::Joint(result, _) => {
                let (name, status) = (result.name.clone(), result.joint.status);
                let data = &result.data;
                self.text.push_str(&format!(
                    "fit {name} to {data}: {}, kl {:.9}\n",
                    status.word(),
                    result.kl()
                ));
                let gap = result.joint.certificate.marginal_gap;
                let early = matches!(status, Status::Stopped | Status::Interrupted);
                assert!(early || gap <= result.control.tolerance, "{name}: {:?}", result.joint.certificate);
                self.fits.push((name, status.word(), result.kl()));
            }
            Event::Show(label, value) => {
                self.text.push_str(&show(label, &quiet(value), Style::default()));
                self.text.push('\n');
                self.shown.push((label.to_string(), json::value(value)));
            }
            Event::Loaded(result, path) => {
                self.text.push_str(&format!(
                    "load {} from {path}: {}\n",
                    result.name,
                    result.fit.status.word()
                ));
            }
            Event::LoadedJoint(result, path) => {
                let word = result.joint.status.word();
                self.text.push_str(&format!("load {} from {path}: {word}\n", result.name));
            }
            Event::Resumed(fit, sweeps, _) => self.text.push_str(&format!("{fit} goes on after {sweeps}\n")),
            Event::Saved(path) => self.text.push_str(&format!("saved {path}\n")),
            Event::Test(test) => {
                let word = if test.failures.is_empty() { "passed" } else { "FAILED" };
                self.text.push_str(&format!("test \"{}\" {word}\n", test.name));
                test.failures.iter().for_each(|d| self.text.push_str(&rendered(d, sources)));
                let codes = test.failures.iter().map(|d| d.code.name()).collect();
                self.tests.push((test.name.clone(), codes));
            }
        }
    }
    fn observer(&mut self, _: &str, _: f64) -> Box<dyn Observer + '_> {
        Box::new(Silent)
    }
}

pub fn rendered(diagnostic: &Diagnostic, sources: &Sources) -> String {
    format!("{}\n", diagnostics::report(diagnostic, sources, Style::default()))
}

/// Numbers that are rounding alone become zero, so that a record is the same everywhere.
fn quiet(value: &Value) -> Value {
    let number = |x: f64| if x.abs() < 1e-12 { 0.0 } else { x };
    match value {
        Value::Number(x) => Value::Number(number(*x)),
        Value::Array(array) => {
            let mut array = array.clone();
            let values: Vec<f64> = array.values.iter().map(|x| number(*x)).collect();
            array.values = values.into();
            Value::Array(array)
        }
        Value::Table(rows) => {
            let mut rows = rows.clone();
            rows.rows.iter_mut().flatten().for_each(|v| *v = quiet(v));
            Value::Table(rows)
        }
        Value::List(items) => Value::List(items.iter().map(quiet).collect()),
        Value::Record(parts) => Value::Record(parts.iter().map(|(k, v)| (k.clone(), quiet(v))).collect()),
        other => other.clone(),
    }
}

/// Loads and runs; the session, what checking said, and what happened.
pub fn run(text: &str, files: &Files) -> (Session, Vec<Diagnostic>, Recorder) {
    let (mut session, found) = Session::load("t.mba", text, Options::default(), files);
    let mut recorder = Recorder::default();
    if !found.iter().any(Diagnostic::is_error) {
        session.run(files, &mut recorder);
    }
    (session, found, recorder)
}

/// As [`run`], for programs that must be right.
#[track_caller]
pub fn healthy(text: &str, files: &Files) -> (Session, Recorder) {
    let (session, found, recorder) = run(text, files);
    let errors: Vec<String> =
        found.iter().filter(|d| d.is_error()).map(|d| rendered(d, &session.sources)).collect();
    assert!(errors.is_empty(), "{}\n{text}", errors.join("\n"));
    (session, recorder)
}

impl Recorder {
    #[track_caller]
    pub fn value(&self, label: &str) -> &Json {
        &self.shown.iter().find(|(l, _)| l == label).unwrap_or_else(|| panic!("no {label}: {}", self.text)).1
    }
    #[track_caller]
    pub fn numbers(&self, label: &str) -> Vec<f64> {
        let mut found = Vec::new();
        flatten(self.value(label), &mut found);
        found
    }
    #[track_caller]
    pub fn number(&self, label: &str) -> f64 {
        self.value(label).as_f64().unwrap_or_else(|| panic!("{label} is {}", self.value(label)))
    }
}

fn flatten(value: &Json, found: &mut Vec<f64>) {
    match value {
        Json::Array(items) => items.iter().for_each(|i| flatten(i, found)),
        other => found.push(other.as_f64().unwrap_or(f64::NAN)),
    }
}

/// Proportional fitting on the full table, until the marginals agree.
pub fn brute_force(shape: &[usize], data: &[f64], scopes: &[Vec<usize>]) -> Vec<f64> {
    let total: f64 = data.iter().sum();
    let cells = data.len();
    let mut q = vec![total / cells as f64; cells];
    let level = |flat: usize, axis: usize| {
        let stride: usize = shape[axis + 1..].iter().product();
        flat / stride % shape[axis]
    };
    let key = |flat: usize, scope: &[usize]| scope.iter().fold(0, |k, a| k * shape[*a] + level(flat, *a));
    let sums = |table: &[f64], scope: &[usize]| {
        let mut sums = vec![0.0; scope.iter().map(|a| shape[*a]).product()];
        table.iter().enumerate().for_each(|(i, x)| sums[key(i, scope)] += x);
        sums
    };
    for _ in 0..20_000 {
        let mut gap = 0.0_f64;
        for scope in scopes {
            let (want, have) = (sums(data, scope), sums(&q, scope));
            for (i, x) in q.iter_mut().enumerate() {
                let k = key(i, scope);
                gap = gap.max((want[k] - have[k]).abs() / total);
                *x = if have[k] > 0.0 { *x * want[k] / have[k] } else { 0.0 };
            }
        }
        if gap < 1e-13 {
            break;
        }
    }
    q
}
