//! Values as lines, each with the rule by which it is compared.

use serde_json::Value as Json;
use xxhash_rust::xxh3::xxh3_64;

use super::array;
use crate::report::value::{Array, Rows, Value};

/// A list of more names than this is kept by its length, its beginning and a digest.
const LONGEST_LIST: usize = 64;

/// Names of a long list that are written out.
const FIRST: usize = 8;

/// One line of an entry: a name, a value, and how the two are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// Its value: a number, a word, or a list of them.
    pub value: Json,
    /// How it is compared.
    pub rule: Rule,
    /// What the members of a list are, for reports; empty when they need no names.
    pub cells: Vec<String>,
    /// Whether it tells of an interaction.
    pub about: About,
}

/// How a line is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// As it is written.
    Exact,
    /// Numbers with a point within the tolerance; whole numbers and words exactly.
    Close,
    /// As `Close`, on a scale of which the absolute tolerance counts for one unit.
    Scaled(f64),
    /// A sum, within `absolute · cells + relative · size`.
    Sum {
        /// How many numbers were added, or what stands for that.
        cells: f64,
        /// The sum of their sizes, or what stands for that.
        size: f64,
    },
    /// Not at all: kept for the reader.
    Note,
}

/// Whether a line tells of an interaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// It does not.
    Other,
    /// Of this one.
    Interaction(String),
    /// Each member of the list tells of another one.
    Interactions,
}

impl Line {
    /// A line that is compared as it is written.
    pub fn exact(name: impl Into<String>, value: impl Into<Json>) -> Self {
        Self::new(name, value.into(), Rule::Exact)
    }

    /// A number, compared within the tolerance.
    pub fn number(name: impl Into<String>, x: f64) -> Self {
        Self::new(name, number(x), Rule::Close)
    }

    /// The same line on the scale of a total: the absolute tolerance is for shares of it.
    #[must_use]
    pub fn scaled(self, total: f64) -> Self {
        let unit = total.max(1.0);
        let rule = match self.rule {
            Rule::Close => Rule::Scaled(unit),
            Rule::Sum { cells, size } => Rule::Sum { cells: cells * unit, size },
            other => other,
        };
        Self { rule, ..self }
    }

    /// A line under a rule.
    pub fn new(name: impl Into<String>, value: Json, rule: Rule) -> Self {
        Self { name: name.into(), value, rule, cells: Vec::new(), about: About::Other }
    }
}

/// Any value as lines.
pub(super) fn of_value(value: &Value, whole: bool) -> Vec<Line> {
    match value {
        Value::Array(array) => of_array("value", array, whole),
        Value::Table(rows) => of_rows(rows),
        Value::Record(parts) => of_parts("", parts),
        // a text of several lines is kept line by line
        Value::Text(text) if text.contains('\n') => {
            let lines: String = text.trim_end().lines().map(|l| format!("{}\n", l.trim_end())).collect();
            vec![Line::exact("text", lines)]
        }
        other => vec![Line::new("value", json(other), Rule::Close)],
    }
}

/// The parts of a record, those of records inside it by both names: `energy.error`.
fn of_parts(prefix: &str, parts: &[(String, Value)]) -> Vec<Line> {
    let line = |(name, part): &(String, Value)| match part {
        Value::Record(inner) => of_parts(&format!("{prefix}{name}."), inner),
        other => vec![Line::new(format!("{prefix}{name}"), json(other), Rule::Close)],
    };
    parts.iter().flat_map(line).collect()
}

fn of_array(name: &str, array: &Array, whole: bool) -> Vec<Line> {
    let mut lines = super::model::modes(&array.modes);
    lines.extend(array::lines(name, &array.modes, &array.values, whole));
    lines
}

fn of_rows(rows: &Rows) -> Vec<Line> {
    let columns: Vec<Json> = rows.columns.iter().map(|c| c.as_str().into()).collect();
    let mut lines = vec![Line::exact("columns", columns)];
    lines.extend(rows.rows.iter().enumerate().map(|(i, row)| Line {
        cells: rows.columns.clone(),
        ..Line::new(format!("row {}", i + 1), row.iter().map(json).collect(), Rule::Close)
    }));
    lines
}

/// A value as JSON in which a number that is no count has a point, and one that is not finite is a word.
fn json(value: &Value) -> Json {
    match value {
        Value::Number(x) => number(*x),
        Value::Record(parts) => parts.iter().map(|(name, part)| (name.clone(), json(part))).collect(),
        Value::Table(rows) => rows.rows.iter().map(|r| r.iter().map(json).collect::<Json>()).collect(),
        Value::Array(array) => array.values.iter().map(|x| number(*x)).collect(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Null(_) | Value::Truth(_) | Value::Count(_) | Value::Text(_) => {
            crate::report::json::value(value)
        }
    }
}

/// A number that keeps its point, or the word for one that is not finite.
pub(super) fn number(x: f64) -> Json {
    // −0 and 0 are one number
    serde_json::Number::from_f64(x + 0.0).map_or_else(|| Json::from(x.to_string()), Json::Number)
}

/// A list of names; a long one by its length, its beginning and a digest of the whole.
pub(super) fn list(names: Vec<Json>) -> Json {
    if names.len() <= LONGEST_LIST {
        return Json::Array(names);
    }
    let count = names.len();
    let digest = digest(Json::from(names.clone()).to_string().as_bytes());
    let first: Vec<Json> = names.into_iter().take(FIRST).collect();
    serde_json::json!({ "count": count, "first": first, "digest": digest })
}

/// A digest: XXH3, 64 bits, as sixteen digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

/// A name or a level inside the name of a line: in quotes unless it is a plain word.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
    if !text.is_empty() && text.chars().all(plain) { text.to_string() } else { Json::from(text).to_string() }
}
