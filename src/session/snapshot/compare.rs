//! An entry and what there is now: what differs, and by how much.

use std::fmt;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::lines::{About, Line, Rule};
use crate::report::number::{digits, number};

/// What a snapshot allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Every number may differ by this …
    pub absolute: f64,
    /// … and this times its old size.
    pub relative: f64,
    /// So many numbers, or this share of them, may differ by more.
    pub except: f64,
    /// Whether `except` is a share.
    pub share: bool,
}

impl Tolerance {
    /// How many of `n` numbers may lie outside.
    fn allowed(&self, n: usize) -> usize {
        let most = if self.share { self.except * n as f64 } else { self.except };
        (most + 1e-9).floor() as usize
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.absolute, self.relative) {
            (a, 0.0) => write!(f, "{}", number(a)),
            (0.0, r) => write!(f, "{}%", number(100.0 * r)),
            (a, r) => write!(f, "{} + {}%", number(a), number(100.0 * r)),
        }
    }
}

/// Something that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The line.
    pub line: String,
    /// The member of the line, when it is a list with names.
    pub cell: Option<String>,
    /// What is kept; none when the line is new.
    pub old: Option<Json>,
    /// What there is; none when the line is gone.
    pub new: Option<Json>,
    /// The interaction it tells of.
    pub interaction: Option<String>,
    /// Whether both are numbers that are compared within the tolerance.
    pub numeric: bool,
    /// What they may differ by then.
    pub allowed: Option<f64>,
}

impl Difference {
    /// New minus old, when both are numbers.
    pub fn change(&self) -> Option<f64> {
        Some(self.new.as_ref()?.as_f64()? - self.old.as_ref()?.as_f64()?)
    }

    /// What is kept, for people.
    pub fn old_in_words(&self) -> String {
        self.old.as_ref().map_or_else(|| "nothing".into(), |value| brief(value, self.allowed))
    }

    /// What there is, for people.
    pub fn new_in_words(&self) -> String {
        self.new.as_ref().map_or_else(|| "nothing".into(), |value| brief(value, self.allowed))
    }

    /// What it is called: the line, and the cell in it.
    pub fn place(&self) -> String {
        match &self.cell {
            None => self.line.clone(),
            Some(cell) if self.line.contains(" at ") => format!("{}, {cell}", self.line),
            Some(cell) => format!("{} at {cell}", self.line),
        }
    }
}

/// How an entry compares.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Whether it agrees, exceptions counted.
    pub agrees: bool,
    /// Numbers that were compared within the tolerance.
    pub numbers: usize,
    /// How many of them lie outside.
    pub outside: usize,
    /// How many things differ that are compared exactly.
    pub exact: usize,
    /// All that differs, in the order of the lines.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// What has moved in sentences: what is exact, then each interaction, largest first, then other numbers, then arrays.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.differences.iter().filter(|d| !d.numeric).map(sentence).collect();
        let mut interactions: IndexMap<&str, Vec<&Difference>> = IndexMap::new();
        let mut arrays: IndexMap<&str, Vec<&Difference>> = IndexMap::new();
        for difference in self.differences.iter().filter(|d| d.numeric) {
            match (&difference.interaction, difference.line.split_once(" at ")) {
                (Some(interaction), _) => interactions.entry(interaction).or_default().push(difference),
                (None, Some((array, _))) => arrays.entry(array).or_default().push(difference),
                (None, None) if difference.cell.is_some() => {
                    arrays.entry(&difference.line).or_default().push(difference);
                }
                (None, None) => notes.push(sentence(difference)),
            }
        }
        let most = |list: &[&Difference]| list.iter().fold(0.0f64, |m, d| m.max(absolute_change(d)));
        let mut interactions: Vec<_> = interactions.into_iter().collect();
        // in single precision, so that those that moved by the same amount stay in the order of their names
        interactions.sort_by(|a, b| (most(&b.1) as f32).total_cmp(&(most(&a.1) as f32)));
        // which interaction has moved is what a reader looks for
        let exact = self.exact.min(notes.len());
        let told = interactions
            .iter()
            .map(|(name, list)| told(&format!("interaction {name}"), &format!("marginal {name}"), list));
        notes.splice(exact..exact, told);
        notes.extend(arrays.iter().map(|(name, list)| told_of_array(name, list)));
        notes
    }
}

fn told_of_array(name: &str, list: &[&Difference]) -> String {
    told(name, name, list)
}

/// What has moved of many cells: how many, and the one that moved most.
fn told(what: &str, line: &str, list: &[&Difference]) -> String {
    // of several that moved as much the first one is told
    let worst = list
        .iter()
        .copied()
        .reduce(|m, d| if absolute_change(d) as f32 > absolute_change(m) as f32 { d } else { m });
    let Some(worst) = worst else { return format!("{what} moved") };
    let place = worst.place();
    let at = place.strip_prefix(line).and_then(|p| p.strip_prefix(" at ")).map(|p| format!(" at {p}"));
    let count = if list.len() == 1 { String::new() } else { format!(" in {} cells, most", list.len()) };
    format!("{what} moved{count}{}: {}", at.unwrap_or_default(), from_to(worst))
}

fn absolute_change(difference: &Difference) -> f64 {
    difference.change().map_or(f64::INFINITY, f64::abs)
}

fn sentence(difference: &Difference) -> String {
    let place = difference.place();
    match (&difference.old, &difference.new) {
        (None, Some(new)) => format!("{place} is new: {}", brief(new, None)),
        (Some(_), None) => format!("{place} is gone"),
        (Some(Json::Array(old)), Some(Json::Array(new))) if !difference.numeric => {
            let missing = |a: &[Json], b: &[Json]| -> Vec<String> {
                a.iter().filter(|x| !b.contains(x)).map(word).collect()
            };
            let (gone, added) = (missing(old, new), missing(new, old));
            let mut parts = Vec::new();
            if !gone.is_empty() {
                parts.push(format!("without {}", short(&gone)));
            }
            if !added.is_empty() {
                parts.push(format!("with {}", short(&added)));
            }
            if parts.is_empty() {
                parts.push("in another order".into());
            }
            format!("{place} is now {}", parts.join(", "))
        }
        (Some(Json::String(old)), Some(Json::String(new))) if old.contains('\n') || new.contains('\n') => {
            let diff = similar::TextDiff::from_lines(old, new);
            let changed = diff.iter_all_changes().filter(|c| c.tag() != similar::ChangeTag::Equal);
            let lines: Vec<String> =
                changed.take(8).map(|c| format!("{}{}", c.tag(), c.value().trim_end())).collect();
            format!("{place} changed\n{}", lines.join("\n"))
        }
        _ => format!("{place}: {}", from_to(difference)),
    }
}

fn short(words: &[String]) -> String {
    let shown = words.iter().take(6).cloned().collect::<Vec<_>>().join(" ");
    if words.len() > 6 { format!("{shown} and {} more", words.len() - 6) } else { shown }
}

/// `old → new (+change)`.
fn from_to(difference: &Difference) -> String {
    let change = difference.change().filter(|c| *c != 0.0);
    let change = change.map_or_else(String::new, |c| format!(" ({})", signed(c)));
    format!("{} → {}{change}", difference.old_in_words(), difference.new_in_words())
}

/// A difference with its sign.
pub fn signed(x: f64) -> String {
    let text = number(x);
    if x > 0.0 { format!("+{text}") } else { text }
}

/// A value for people, cut when it is long. A number that may differ by `allowed` is rounded as
/// far as that goes.
fn brief(value: &Json, allowed: Option<f64>) -> String {
    let text = match value {
        Json::Number(n) if !is_whole(n) => match (n.as_f64(), allowed) {
            (Some(x), Some(allowed)) => to_tolerance(x, allowed),
            _ => word(value),
        },
        other => word(other),
    };
    if text.chars().count() > 60 { format!("{}…", text.chars().take(60).collect::<String>()) } else { text }
}

/// A value for people.
fn word(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        // twelve digits are more than any tolerance asks for
        Json::Number(n) if !is_whole(n) => n.as_f64().map_or_else(|| n.to_string(), rounded),
        Json::Null => "undefined".into(),
        other => other.to_string(),
    }
}

/// A number to a tenth of the power of ten at or below what it may differ by, so that numbers that differ by more
/// never look the same.
fn to_tolerance(x: f64, allowed: f64) -> String {
    let decimals = 1.0 - allowed.log10().floor();
    digits(match decimals {
        // tens and hundreds are not rounded away
        d if d <= 0.0 => x.round(),
        d if d < 16.0 => format!("{x:.*}", d as usize).parse().unwrap_or(x),
        _ => x,
    })
}

fn rounded(x: f64) -> String {
    let text = format!("{x:.11e}");
    text.parse::<f64>().map_or(text, digits)
}

/// Compares what is kept with what there is.
pub(super) fn compare(old: &IndexMap<String, Json>, new: &[Line], tolerance: &Tolerance) -> Comparison {
    let mut comparison =
        Comparison { agrees: false, numbers: 0, outside: 0, exact: 0, differences: Vec::new() };
    let blank = |line: &str| Difference {
        line: line.to_string(),
        cell: None,
        old: None,
        new: None,
        interaction: None,
        numeric: false,
        allowed: None,
    };
    for line in new.iter().filter(|l| l.rule != Rule::Note) {
        match old.get(&line.name) {
            None => {
                comparison.differences.push(Difference { new: Some(line.value.clone()), ..blank(&line.name) })
            }
            Some(before) => {
                let mut found = Vec::new();
                let mut walk = Walk { line, tolerance, numbers: 0, found: &mut found };
                walk.both(before, &line.value, None);
                comparison.numbers += walk.numbers;
                comparison.differences.extend(found);
            }
        }
    }
    for (name, before) in old {
        let known = new.iter().any(|l| &l.name == name);
        // digests of numbers come and go with the last digits
        if !known && !name.ends_with(" digest") {
            comparison.differences.push(Difference { old: Some(before.clone()), ..blank(name) });
        }
    }
    comparison.outside = comparison.differences.iter().filter(|d| d.numeric).count();
    comparison.exact = comparison.differences.len() - comparison.outside;
    comparison.agrees = comparison.exact == 0 && comparison.outside <= tolerance.allowed(comparison.numbers);
    comparison
}

struct Walk<'a> {
    line: &'a Line,
    tolerance: &'a Tolerance,
    numbers: usize,
    found: &'a mut Vec<Difference>,
}

impl Walk<'_> {
    fn both(&mut self, old: &Json, new: &Json, member: Option<usize>) {
        match (old, new) {
            (Json::Number(a), Json::Number(b)) if self.line.rule != Rule::Exact && !is_whole(b) => {
                self.numbers += 1;
                if !agrees(a, b, self.line.rule, self.tolerance) {
                    self.differ(old, new, member, Some(allowed(a, self.line.rule, self.tolerance)));
                }
            }
            (Json::Array(a), Json::Array(b)) if self.line.rule != Rule::Exact && a.len() == b.len() => {
                for (i, (x, y)) in a.iter().zip(b).enumerate() {
                    self.both(x, y, member.or(Some(i)));
                }
            }
            (Json::Object(a), Json::Object(b)) if self.line.rule != Rule::Exact && a.keys().eq(b.keys()) => {
                a.values().zip(b.values()).for_each(|(x, y)| self.both(x, y, member));
            }
            _ if old == new => {}
            _ => self.differ(old, new, member, None),
        }
    }

    fn differ(&mut self, old: &Json, new: &Json, member: Option<usize>, allowed: Option<f64>) {
        let name = member.and_then(|i| self.line.cells.get(i).cloned());
        let interaction = match &self.line.about {
            About::Other => None,
            About::Interaction(name) => Some(name.clone()),
            About::Interactions => name.clone(),
        };
        let cell = name.or_else(|| member.map(|i| format!("position {}", i + 1)));
        self.found.push(Difference {
            line: self.line.name.clone(),
            cell,
            old: Some(old.clone()),
            new: Some(new.clone()),
            interaction,
            numeric: allowed.is_some(),
            allowed,
        });
    }
}

/// A count: written without a point, and compared exactly.
fn is_whole(n: &serde_json::Number) -> bool {
    !n.to_string().contains(['.', 'e', 'E'])
}

fn agrees(old: &serde_json::Number, new: &serde_json::Number, rule: Rule, tolerance: &Tolerance) -> bool {
    let (Some(x), Some(y)) = (old.as_f64(), new.as_f64()) else { return old == new };
    x == y || (x - y).abs() <= allowed(old, rule, tolerance)
}

/// What a number that is kept may differ by.
fn allowed(old: &serde_json::Number, rule: Rule, tolerance: &Tolerance) -> f64 {
    let x = old.as_f64().unwrap_or(0.0).abs();
    match rule {
        Rule::Sum { cells, size } => tolerance.absolute * cells + tolerance.relative * size,
        Rule::Scaled(unit) => tolerance.absolute * unit + tolerance.relative * x,
        _ => tolerance.absolute + tolerance.relative * x,
    }
}

/// What to keep after a change was accepted: old numbers that agree stay as they are.
pub(super) fn merged(old: &Json, new: &Json, rule: Rule, tolerance: &Tolerance) -> Json {
    match (old, new) {
        (Json::Number(a), Json::Number(b))
            if rule != Rule::Exact && !is_whole(b) && agrees(a, b, rule, tolerance) =>
        {
            old.clone()
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).map(|(x, y)| merged(x, y, rule, tolerance)).collect()
        }
        (Json::Object(a), Json::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().zip(b.values()).map(|((k, x), y)| (k.clone(), merged(x, y, rule, tolerance))).collect()
        }
        _ => tidied(new, rule, tolerance),
    }
}

/// A value as it is written: numbers in twelve digits where the tolerance leaves room for that, so that a file does not
/// show the rounding errors of one machine.
pub(super) fn tidied(value: &Json, rule: Rule, tolerance: &Tolerance) -> Json {
    match value {
        Json::Number(n) if rule != Rule::Exact && !is_whole(n) => {
            let Some(x) = n.as_f64() else { return value.clone() };
            let near = format!("{x:.11e}").parse().unwrap_or(x);
            if tolerance.absolute + tolerance.relative * x.abs() < 1e3 * (x - near).abs() {
                return value.clone();
            }
            super::lines::number(near)
        }
        Json::Array(list) => list.iter().map(|x| tidied(x, rule, tolerance)).collect(),
        Json::Object(map) => map.iter().map(|(k, x)| (k.clone(), tidied(x, rule, tolerance))).collect(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIGHT: Tolerance = Tolerance { absolute: 1e-6, relative: 1e-3, except: 0.0, share: false };

    fn one(old: &str, new: &str, tolerance: Tolerance) -> Comparison {
        let read = |t: &str| serde_json::from_str::<Json>(t).unwrap();
        let old = IndexMap::from([("x".to_string(), read(old))]);
        compare(&old, &[Line::new("x", read(new), Rule::Close)], &tolerance)
    }

    #[test]
    fn numbers_agree_within_absolute_plus_relative_of_the_old() {
        assert!(one("1.0", "1.001", TIGHT).agrees);
        assert!(one("1.0", "1.0010009", TIGHT).agrees);
        assert!(!one("1.0", "1.0010011", TIGHT).agrees);
        assert!(one("0.0", "0.0000009", TIGHT).agrees);
        assert!(!one("0.0", "0.0000011", TIGHT).agrees);
        // the tolerance grows with the old value, not with the new one
        assert!(!one("0.0", "1000.0", TIGHT).agrees);
    }

    #[test]
    fn numbers_are_shown_to_the_tolerance_in_play() {
        let told = |old: &str, new: &str, absolute: f64| {
            one(old, new, Tolerance { absolute, relative: 0.0, ..TIGHT }).notes().join("; ")
        };
        assert_eq!(told("68.0", "68.9999999944", 1e-5), "x: 68 → 69 (+1)");
        assert_eq!(told("0.1", "0.30000000000000004", 1e-7), "x: 0.1 → 0.3 (+0.2)");
        assert_eq!(told("32.792440606759", "33.646451932427", 1e-4), "x: 32.79244 → 33.64645 (+0.8540113)");
        // what differs looks different, however little it is
        assert_eq!(told("1.0", "1.0000011", 1e-6), "x: 1 → 1.0000011 (+1.1e-6)");
        assert_eq!(told("1.0", "1.0000000000000002", 0.0), "x: 1 → 1.0000000000000002 (+2.220446e-16)");
        // a rough tolerance leaves the whole numbers
        assert_eq!(told("1234567.25", "2234567.5", 1e5), "x: 1234567 → 2234568 (+1000000)");
    }

    #[test]
    fn counts_words_and_shapes_are_exact() {
        assert!(one("9", "9", TIGHT).agrees);
        assert!(!one("9000000", "9000001", TIGHT).agrees);
        assert!(!one("\"converged\"", "\"stopped\"", TIGHT).agrees);
        assert!(!one("[1.0, 2.0]", "[1.0, 2.0, 3.0]", TIGHT).agrees);
        assert!(!one("1.0", "\"inf\"", TIGHT).agrees);
        assert!(!one("null", "1.0", TIGHT).agrees);
    }

    #[test]
    fn some_numbers_may_differ_when_asked_for() {
        let of = |except: f64, share| Tolerance { except, share, ..TIGHT };
        let (old, new) = ("[1.0, 2.0, 3.0, 4.0]", "[1.0, 2.5, 3.0, 4.5]");
        assert!(!one(old, new, of(1.0, false)).agrees);
        assert!(one(old, new, of(2.0, false)).agrees);
        assert!(one(old, new, of(0.5, true)).agrees);
        assert!(!one(old, new, of(0.49, true)).agrees);
        // what is exact is never an exception
        assert!(!one("[1, 2]", "[1, 3]", of(2.0, false)).agrees);
    }

    #[test]
    fn numbers_that_agree_are_kept_as_they_were() {
        let read = |t: &str| serde_json::from_str::<Json>(t).unwrap();
        let (old, new) = (read("[1.0, 2.0, \"a\", 5]"), read("[1.0000001, 2.5, \"b\", 6]"));
        assert_eq!(merged(&old, &new, Rule::Close, &TIGHT).to_string(), "[1.0,2.5,\"b\",6]");
    }

    #[test]
    fn numbers_are_written_in_twelve_digits_where_the_tolerance_allows() {
        let x = Json::from(20.000000000000014);
        assert_eq!(tidied(&x, Rule::Close, &TIGHT).to_string(), "20.0");
        assert_eq!(tidied(&Json::from(1.0 / 3.0), Rule::Close, &TIGHT).to_string(), "0.333333333333");
        let exact = Tolerance { absolute: 0.0, relative: 0.0, ..TIGHT };
        assert_eq!(tidied(&x, Rule::Close, &exact), x);
        assert_eq!(
            tidied(&Json::from(12345678901234567_u64), Rule::Close, &TIGHT).to_string(),
            "12345678901234567"
        );
    }
}
