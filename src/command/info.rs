//! `mba info`.

use clap::Args;
use num_bigint::BigUint;

use super::host::FileHost;
use super::options::{Format, Reading};
use super::output::report;
use crate::data::{Amount, Binding, Header, Layout, Role};
use crate::model::{Levels, Order};
use crate::plan::summation::{Carry, Summation};
use crate::report::number;
use crate::report::{self, Rows, Style, Value};
use crate::session::{Origin, Outcome, Session};

/// Arguments of `mba info`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Says what a program declares.
pub fn run(arguments: &Arguments) -> u8 {
    let (path, text) = match arguments.reading.program() {
        Ok(program) => program,
        Err(status) => return status,
    };
    let host = FileHost::new();
    let (session, diagnostics) = Session::load(&path, &text, arguments.reading.session(), &host);
    report(&diagnostics, &session.sources, arguments.reading.complaints());
    let mut output = arguments.reading.output();
    if arguments.format == Format::Text {
        output.print(&text_of(&session, output.style()));
    } else {
        let parts =
            sections(&session).into_iter().map(|(title, rows)| (title.to_string(), Value::Table(rows)));
        let object = report::json::value(&Value::Record(parts.collect()));
        let text = match arguments.format {
            Format::Jsonl => object.to_string(),
            _ => serde_json::to_string_pretty(&object).unwrap_or_default(),
        };
        output.print(&text);
        output.print("\n");
    }
    let mut outcome = Outcome::default();
    diagnostics.iter().for_each(|d| outcome.count(d));
    outcome.status()
}

/// What a session knows, as tables for people.
pub fn text_of(session: &Session, style: Style) -> String {
    let mut out = String::new();
    for (title, rows) in sections(session).into_iter().filter(|(_, rows)| !rows.rows.is_empty()) {
        out.push_str(&report::show(title, &Value::Table(rows), style));
        out.push('\n');
    }
    out
}

fn sections(session: &Session) -> [(&'static str, Rows); 9] {
    [
        ("params", params(session)),
        ("modes", modes(session)),
        ("data", data(session)),
        ("columns", columns(session)),
        ("masks", masks(session)),
        ("fits", fits(session)),
        ("models with known energies", forward(session)),
        ("sweeps", sweeps(session)),
        ("estimates", estimates(session)),
    ]
}

fn table(columns: &[&str], rows: Vec<Vec<Value>>) -> Rows {
    Rows { columns: columns.iter().map(ToString::to_string).collect(), rows, notes: Vec::new() }
}

fn text(s: impl Into<String>) -> Value {
    Value::Text(s.into())
}

fn params(session: &Session) -> Rows {
    let rows = session.declarations.params.iter();
    table(&["param", "value"], rows.map(|(name, p)| vec![text(name), text(p.value.to_string())]).collect())
}

fn modes(session: &Session) -> Rows {
    let rows = session.known.iter().map(|(name, mode)| {
        let shown: Vec<String> = (0..mode.size().min(8)).map(|i| mode.label(i).into_owned()).collect();
        let more = if mode.size() > shown.len() { ", …" } else { "" };
        let base = name.split('[').next().unwrap_or(name);
        let declared = session.declarations.modes.get(base).is_some_and(|m| m.levels.is_some());
        let kind = match (&mode.levels, mode.order) {
            (Levels::Binned(_), _) => "bins",
            (_, Order::Cyclic) => "cyclic",
            (_, Order::Ordered) => "ordered",
            (_, Order::Nominal) => "",
        };
        vec![
            text(name),
            Value::Count(mode.size().into()),
            text(format!("{}{more}", shown.join(", "))),
            text(kind),
            text(if declared { "declared" } else { "found in the data" }),
        ]
    });
    table(&["mode", "size", "levels", "kind", "from"], rows.collect())
}

fn data(session: &Session) -> Rows {
    let rows = session.bound.iter().map(|(name, bound)| {
        let sizes: Vec<String> = bound
            .modes
            .iter()
            .map(|m| session.known.get(m).map_or("?".into(), |m| m.size().to_string()))
            .collect();
        let cells: num_bigint::BigUint = bound
            .modes
            .iter()
            .map(|m| num_bigint::BigUint::from(session.known.get(m).map_or(0, crate::model::Mode::size)))
            .product();
        let (format, element, stored, notes) = match &bound.origin {
            Origin::Stored(_, header) => (
                header.format.to_string(),
                element(header),
                amount(header.profile.stored),
                header.notes.join("; "),
            ),
            Origin::Sampled(sampling) => {
                ("sample".into(), String::new(), format!("≤ {}", sampling.count), String::new())
            }
        };
        vec![
            text(name),
            text(format),
            text(sizes.join(" × ")),
            Value::Count(cells),
            text(stored),
            text(element),
            text(notes),
        ]
    });
    table(&["data", "format", "shape", "cells", "stored", "numbers", "notes"], rows.collect())
}

fn element(header: &Header) -> String {
    let name = header.element.map_or("", |e| e.name());
    match header.layout {
        Some(Layout::FirstFastest) => format!("{name}, Fortran order"),
        _ => name.to_string(),
    }
}

fn amount(amount: Amount) -> String {
    match amount {
        Amount::Exactly(n) => n.to_string(),
        Amount::AtMost(n) => format!("≤ {n}"),
    }
}

fn columns(session: &Session) -> Rows {
    let mut rows = Vec::new();
    for (name, bound) in &session.bound {
        let Origin::Stored(_, header) = &bound.origin else { continue };
        for (position, column) in header.columns.iter().enumerate() {
            let used = match column.role {
                Role::Axis(axis) => header.axes.get(axis).map_or(String::new(), |axis| {
                    let case = matches!(axis.binding, Binding::Column { column, ignoring_case: true } if column == position);
                    format!("mode {}{}", axis.mode, if case { " (matched ignoring case)" } else { "" })
                }),
                Role::Count => "counts".into(),
                Role::Sum => "values".into(),
                Role::Unused => "not used".into(),
            };
            rows.push(vec![text(name), text(&column.name), text(used)]);
        }
    }
    table(&["data", "column", "used as"], rows)
}

/// What is said of the cells that are missing, part by part, and how many all parts hide together.
fn masks(session: &Session) -> Rows {
    let mut rows = Vec::new();
    let count = |missing: Option<BigUint>| missing.map_or_else(|| text(WHEN_READ), Value::Count);
    for name in session.bound.keys() {
        let parts = session.masks(name);
        let several = parts.len() > 1;
        for part in parts {
            rows.push(vec![text(name), text(part.what), text(part.over), count(part.missing)]);
        }
        if several {
            rows.push(vec![text(name), text("together"), text(""), count(session.missing(name))]);
        }
    }
    table(&["data", "mask", "over", "missing cells"], rows)
}

/// Stands for a number that depends on the cells.
const WHEN_READ: &str = "seen when the data are read";

fn fits(session: &Session) -> Rows {
    let rows = session.planned.iter().filter(|p| p.schedule.is_some()).map(|planned| {
        let maximal = planned.tables();
        let size = planned.size();
        let size = |of: fn((BigUint, BigUint)) -> BigUint| match size.clone() {
            Some(both) => Value::Count(of(both)),
            None => text("not counted"),
        };
        let shown: Vec<String> = maximal.iter().take(12).map(|s| planned.model.bracket(s)).collect();
        let more = if maximal.len() > shown.len() { " …" } else { "" };
        let schedule = planned.schedule.as_ref();
        vec![
            text(&planned.name),
            text(format!("{}{more}", shown.join(" "))),
            size(|(parameters, _)| parameters),
            if planned.model.regular.prior.is_some() || !planned.model.regular.smooth.is_empty() {
                text("none")
            } else if session.is_masked(planned) {
                text("seen in the fit")
            } else {
                size(|(_, df)| df)
            },
            text(if schedule.is_some_and(|s| s.iterates()) { "sweeps" } else { "closed form" }),
            text(schedule.map_or(String::new(), |s| number::bytes(s.peak))),
        ]
    });
    table(&["fit", "interactions", "parameters", "df", "found by", "memory"], rows.collect())
}

const SUM: [&str; 4] = ["width", "largest table", "operations", "memory"];

/// The cells of a row that say what a sum costs.
fn cost(sum: Option<&Summation>) -> Vec<Value> {
    let Some(sum) = sum else {
        return vec![text("out of reach"), text(""), text(""), text("")];
    };
    let cells = if sum.largest < 1e15 { Value::Count((sum.largest as u64).into()) } else { text("") };
    vec![
        Value::Count(sum.width.into()),
        cells,
        text(number::operations(sum.operations)),
        text(number::bytes(sum.peak)),
    ]
}

fn forward(session: &Session) -> Rows {
    let rows = session.forward().into_iter().map(|forward| {
        let mut row = vec![
            text(forward.expression),
            Value::Count(forward.model.modes.len().into()),
            Value::Count(forward.model.interactions.len().into()),
            Value::Number(forward.model.temperature),
        ];
        row.extend(cost(forward.sum.as_ref()));
        row
    });
    table(&[&["model", "modes", "terms", "temperature"][..], &SUM].concat(), rows.collect())
}

fn sweeps(session: &Session) -> Rows {
    let rows = session.sweeps.values().map(|curve| {
        let ends = curve.points.first().zip(curve.points.last());
        let (low, high) = ends.map_or((f64::NAN, f64::NAN), |(a, b)| (*a, *b));
        let none = crate::model::Scope::empty();
        let sum = curve.ensembles.last().and_then(|e| e.plan(Carry::Moments, &none).ok());
        let mut row = vec![
            text(&curve.name),
            text(&curve.model),
            text(&curve.over),
            Value::Number(low),
            Value::Number(high),
            Value::Count(curve.points.len().into()),
        ];
        row.extend(if curve.fitted {
            vec![text("after the fit"), text(""), text(""), text("")]
        } else {
            cost(sum.as_ref())
        });
        row
    });
    table(&[&["sweep", "model", "over", "from", "to", "points"][..], &SUM].concat(), rows.collect())
}

fn estimates(session: &Session) -> Rows {
    let rows = session.estimates_made().into_iter().map(|e| {
        vec![
            text(e.name),
            text(e.model),
            Value::Count(e.modes.into()),
            Value::Number(e.temperature),
            text(e.method),
            text(e.effort),
        ]
    });
    table(&["estimate", "model", "modes", "temperature", "method", "options"], rows.collect())
}
