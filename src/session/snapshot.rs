//! Snapshots: what a test saw, in a text file beside the program, compared within a tolerance.
//!
//! A file holds entries
//!
//! ```text
//! === the name of the test / the label
//! model = "[eye hair] [eye sex]"
//! kl = 0.005710514
//! ```
//!
//! Lines whose value is a number (or a list of numbers) are compared within the tolerance, all others
//! exactly. What is kept of a fit does not depend on how it was computed.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::{Host, Session};
use crate::report::json;
use crate::report::results::{self, FitResult};
use crate::report::value::Value;
use crate::text::ast::{Expr, ExprKind, Test, Text};
use crate::text::{Code, Diagnostic, format_expression};

/// Numbers agree within this, relative, plus the same absolute, when the test names no tolerance.
const TOLERANCE: f64 = 1e-7;
/// An array of more cells than this is kept as a summary.
const MAX_KEPT: usize = 256;

/// The lines of one entry.
pub type Entry = IndexMap<String, Json>;

/// The entries of the snapshot file of a program.
#[derive(Debug, Clone, Default)]
pub struct Store {
    entries: IndexMap<String, Entry>,
    damaged: Option<String>,
}

/// The snapshot file of a program.
pub fn path_of(program: &str) -> String {
    format!("{program}.snap")
}

impl Store {
    /// The snapshots of a session's main program; none when there is no file.
    pub fn load(session: &Session, host: &dyn Host) -> Store {
        let path = session.units.first().map_or("", |u| u.path.as_str());
        match host.read_text(&path_of(path)) {
            Ok(text) => Store::parse(&text),
            Err(_) => Store::default(),
        }
    }

    /// Reads the text of a snapshot file; what is wrong with it is reported by the tests that need it.
    pub fn parse(text: &str) -> Store {
        let mut store = Store::default();
        let mut open: Option<String> = None;
        for (line, content) in text.lines().enumerate() {
            let content = content.trim_end();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            if let Some(key) = content.strip_prefix("=== ") {
                store.entries.insert(key.to_string(), Entry::new());
                open = Some(key.to_string());
                continue;
            }
            let parsed =
                content.split_once(" = ").and_then(|(k, v)| Some((k, serde_json::from_str(v).ok()?)));
            match (parsed, open.as_ref().and_then(|k| store.entries.get_mut(k))) {
                (Some((key, value)), Some(entry)) => {
                    entry.insert(key.to_string(), value);
                }
                _ => {
                    store.damaged = Some(format!("line {} cannot be read", line + 1));
                    return store;
                }
            }
        }
        store
    }

    /// The text of a snapshot file.
    pub fn render(&self) -> String {
        let mut text = String::from("# snapshots of the tests in the program beside this file\n");
        for (key, entry) in &self.entries {
            text.push_str(&format!("\n=== {key}\n"));
            for (name, value) in entry {
                text.push_str(&format!("{name} = {value}\n"));
            }
        }
        text
    }

    /// Adds or replaces an entry.
    pub fn insert(&mut self, key: String, entry: Entry) {
        self.entries.insert(key, entry);
    }
}

/// The key of a snapshot: test and label.
pub fn key(session: &Session, test: &Test, value: &Expr, label: Option<&Text>) -> String {
    let label = match label {
        Some(label) => label.value.clone(),
        None => format_expression(session.sources.slice(value.span)),
    };
    format!("{} / {label}", test.name.value)
}

/// What is kept of a value.
pub fn entry(session: &Session, expr: &Expr) -> Result<Entry, Diagnostic> {
    if let ExprKind::Name(name) = &expr.kind
        && let Some(result) = session.results.get(name)
    {
        return Ok(of_fit(result));
    }
    let value = results::evaluate(expr, session)?;
    let mut entry = Entry::new();
    match &value {
        Value::Array(array) if array.values.len() > MAX_KEPT => of_array(&mut entry, "value", &array.values),
        _ => {
            entry.insert("value".into(), json::value(&value));
        }
    }
    Ok(entry)
}

fn of_fit(result: &FitResult) -> Entry {
    let fit = &result.fit;
    let mut entry = Entry::new();
    let modes: Vec<String> = fit.model.modes.iter().map(|m| format!("{}: {}", m.name, m.size())).collect();
    entry.insert("modes".into(), modes.join(", ").into());
    let maximal = crate::plan::hypergraph::maximal(&fit.model.free_scopes());
    let mut interactions: Vec<String> = maximal
        .iter()
        .map(|scope| {
            let mut names: Vec<&str> = scope.iter().map(|m| fit.model.modes[m].name.as_str()).collect();
            names.sort_unstable();
            format!("[{}]", names.join(" "))
        })
        .collect();
    interactions.sort_unstable();
    entry.insert("interactions".into(), interactions.join(" ").into());
    entry.insert("status".into(), fit.status.word().into());
    entry.insert("parameters".into(), crate::plan::parameters(&fit.model).to_string().into());
    entry.insert("df".into(), crate::plan::degrees_of_freedom(&fit.model).to_string().into());
    entry.insert("total".into(), json::value(&Value::Number(fit.total)));
    if let Some(learned) = &fit.learned {
        for c in learned.coefficients.iter().filter(|c| c.named() && c.spread.is_some()) {
            entry.insert(format!("coefficient {}", c.name), json::value(&Value::Number(c.value)));
        }
        if learned.pseudo_likelihood.is_some() {
            return entry;
        }
    }
    entry.insert("kl".into(), json::value(&Value::Number(fit.kl)));
    entry.insert("entropy".into(), json::value(&Value::Number(fit.distribution.entropy())));
    if let Some(table) = fit.distribution.dense(1 << 16) {
        let fitted: Vec<f64> = table.values.iter().map(|q| q * fit.total).collect();
        of_array(&mut entry, "fitted", &fitted);
    }
    entry
}

/// A short array whole; a long one by sums that any change shows in, and by every n-th cell.
fn of_array(entry: &mut Entry, name: &str, values: &[f64]) {
    let list = |values: Vec<f64>| json::value(&Value::List(values.into_iter().map(Value::Number).collect()));
    if values.len() <= MAX_KEPT {
        entry.insert(name.into(), list(values.to_vec()));
        return;
    }
    entry.insert(format!("{name}.cells"), values.len().to_string().into());
    entry.insert(format!("{name}.sum"), json::value(&Value::Number(values.iter().sum())));
    entry.insert(
        format!("{name}.sum_of_squares"),
        json::value(&Value::Number(values.iter().map(|x| x * x).sum())),
    );
    let step = values.len().div_ceil(MAX_KEPT / 4);
    entry.insert(format!("{name}.every_{step}th"), list(values.iter().copied().step_by(step).collect()));
}

/// Compares a value with its snapshot: true when it agrees, false when there is none yet.
pub(super) fn compare(
    session: &Session,
    test: &Test,
    value: &Expr,
    label: Option<&Text>,
    within: Option<&Expr>,
    store: &Store,
) -> Result<bool, Diagnostic> {
    let key = key(session, test, value, label);
    let now = entry(session, value)?;
    let path = session.units.first().map_or_else(String::new, |u| path_of(&u.path));
    if let Some(damage) = &store.damaged {
        return Err(Diagnostic::new(Code::MBA605, format!("`{path}` is not a snapshot file"))
            .at(value.span, damage.clone())
            .help("restore it, or remove it"));
    }
    let Some(old) = store.entries.get(&key) else { return Ok(false) };
    let (absolute, relative) = match within {
        Some(_) => super::expectations::tolerance(within, session)?,
        None => (TOLERANCE, TOLERANCE),
    };
    let mut moved = Vec::new();
    for (name, new) in &now {
        match old.get(name) {
            None => moved.push(format!("`{name}` is new")),
            Some(before) if !agrees(before, new, absolute, relative) => {
                moved.push(format!("`{name}` was {}, is {}", brief(before), brief(new)));
            }
            Some(_) => {}
        }
    }
    moved.extend(old.keys().filter(|k| !now.contains_key(*k)).map(|k| format!("`{k}` is gone")));
    if moved.is_empty() {
        return Ok(true);
    }
    let mut diagnostic = Diagnostic::new(Code::MBA604, format!("snapshot `{key}` has moved"))
        .at(value.span, moved[0].clone())
        .help("if the change is meant, replace the entry in the snapshot file");
    for line in &moved[1..] {
        diagnostic = diagnostic.note(line.clone());
    }
    Err(diagnostic)
}

fn brief(value: &Json) -> String {
    let text = value.to_string();
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

fn agrees(old: &Json, new: &Json, absolute: f64, relative: f64) -> bool {
    match (old, new) {
        (Json::Number(a), Json::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(x), Some(y)) => a == b || (x - y).abs() <= absolute + relative * x.abs(),
            _ => a == b,
        },
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| agrees(x, y, absolute, relative))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(k, x)| b.get(k).is_some_and(|y| agrees(x, y, absolute, relative)))
        }
        _ => old == new,
    }
}
