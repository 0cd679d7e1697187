//! Pictures of values: what is drawn, before it is drawn in a format.
//!
//! | value | picture |
//! |---|---|
//! | a table of numbers, as of a sweep | one line for each column over the first |
//! | a table of names and numbers, as of `interactions(f)` | bars |
//! | an array over one mode, a list | bars, or a line over many levels |
//! | an array over two modes | a field of colours |

mod svg;

use super::value::{Array, Rows, Value};
use crate::model::Mode;

/// One picture: panels under each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The panels, from above.
    pub panels: Vec<Panel>,
}

/// One pair of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What is shown.
    pub title: String,
    /// What is shown along the horizontal axis, with its unit.
    pub across: String,
    /// What is shown along the vertical axis, with its unit.
    pub up: String,
    /// The marks.
    pub content: Content,
}

/// What is drawn between the axes.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A line through points, and places along it that have a name.
    Line {
        /// The points; a line is broken where one is not finite.
        points: Vec<(f64, f64)>,
        /// Places on the horizontal axis.
        marks: Vec<(f64, String)>,
    },
    /// A bar for each name.
    Bars(Vec<(String, f64)>),
    /// A colour for each cell, row-major.
    Field {
        /// Names of the rows.
        rows: Vec<String>,
        /// Names of the columns.
        columns: Vec<String>,
        /// The values; NaN where undefined.
        values: Vec<f64>,
    },
}

/// More bars than this become a line.
const MOST_BARS: usize = 40;
/// A field has at most this many rows or columns.
const MOST_CELLS: usize = 1000;

/// The endings of the formats pictures are drawn in.
pub const ENDINGS: &[&str] = &["svg"];

/// Whether a path ends like a picture that can be drawn.
pub fn drawable(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, e)| ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(e)))
}

impl Figure {
    /// The panels of one value; `marks` are places on the horizontal axis of a sweep.
    ///
    /// # Errors
    /// A sentence on why there is nothing to draw.
    pub fn panels(title: &str, value: &Value, marks: &[(f64, String)]) -> Result<Vec<Panel>, String> {
        match value {
            Value::Table(rows) => table(title, rows, marks),
            Value::Array(array) => array_panel(title, array).map(|p| vec![p]),
            Value::List(items) => {
                let points: Option<Vec<f64>> = items.iter().map(number).collect();
                let points = points.ok_or("a list is drawn when all of it are numbers")?;
                if points.is_empty() {
                    return Err("the list is empty".into());
                }
                let points = points.into_iter().enumerate().map(|(k, y)| (k as f64, y)).collect();
                Ok(vec![Panel {
                    title: title.into(),
                    across: "position".into(),
                    up: String::new(),
                    content: Content::Line { points, marks: Vec::new() },
                }])
            }
            Value::Record(parts) => {
                let bars: Vec<(String, f64)> =
                    parts.iter().filter_map(|(n, v)| number(v).map(|x| (n.clone(), x))).collect();
                if bars.is_empty() {
                    return Err("none of its parts is a number".into());
                }
                Ok(vec![Panel {
                    title: title.into(),
                    across: String::new(),
                    up: String::new(),
                    content: Content::Bars(bars),
                }])
            }
            Value::Null(reason) => Err(format!("it is not defined: {reason}")),
            Value::Number(_) | Value::Count(_) | Value::Truth(_) | Value::Text(_) => {
                Err("a single value is no picture; `show` prints it".into())
            }
        }
    }

    /// The picture as SVG.
    ///
    /// # Errors
    /// A sentence when it cannot be drawn, which no value brings about.
    pub fn svg(&self) -> Result<String, String> {
        svg::draw(self)
    }
}

fn number(value: &Value) -> Option<f64> {
    use num_traits::ToPrimitive;
    match value {
        Value::Number(x) => Some(*x),
        Value::Count(n) => n.to_f64(),
        // a gap in a line
        Value::Null(_) => Some(f64::NAN),
        _ => None,
    }
}

fn table(title: &str, rows: &Rows, marks: &[(f64, String)]) -> Result<Vec<Panel>, String> {
    if rows.rows.is_empty() {
        return Err("the table is empty".into());
    }
    let column = |k: usize| -> Option<Vec<f64>> {
        rows.rows.iter().map(|r| r.get(k).and_then(number)).collect::<Option<Vec<f64>>>()
    };
    let Some(across) = column(0) else { return bars(title, rows) };
    let mut panels = Vec::new();
    for k in 1..rows.columns.len() {
        let Some(up) = column(k) else { continue };
        if up.iter().all(|y| !y.is_finite()) {
            continue;
        }
        let name = &rows.columns[k];
        panels.push(Panel {
            title: if rows.columns.len() > 2 { name.replace('_', " ") } else { title.into() },
            across: with_unit(&rows.columns[0]),
            up: with_unit(name),
            content: Content::Line {
                points: across.iter().copied().zip(up).collect(),
                marks: marks.to_vec(),
            },
        });
    }
    if panels.is_empty() { Err("no column of the table is numbers".into()) } else { Ok(panels) }
}

/// Names in the first column, and the first column of numbers.
fn bars(title: &str, rows: &Rows) -> Result<Vec<Panel>, String> {
    let numeric = (1..rows.columns.len()).find(|k| {
        rows.rows
            .iter()
            .all(|r| matches!(r.get(*k), Some(Value::Number(_) | Value::Count(_) | Value::Null(_))))
    });
    let Some(k) = numeric else { return Err("no column of the table is numbers".into()) };
    let name = |v: &Value| match v {
        Value::Text(t) => t.clone(),
        Value::List(items) => items
            .iter()
            .map(|i| if let Value::Text(t) = i { t.as_str() } else { "?" })
            .collect::<Vec<_>>()
            .join(" "),
        _ => "?".into(),
    };
    let bars = rows.rows.iter().take(MOST_CELLS);
    let bars = bars.filter_map(|r| Some((name(r.first()?), number(r.get(k)?)?))).collect();
    Ok(vec![Panel {
        title: title.into(),
        across: rows.columns[0].replace('_', " "),
        up: with_unit(&rows.columns[k]),
        content: Content::Bars(bars),
    }])
}

fn array_panel(title: &str, array: &Array) -> Result<Panel, String> {
    let labels = |mode: &Mode| (0..mode.size()).map(|k| mode.label(k).into_owned()).collect::<Vec<_>>();
    match array.modes.as_slice() {
        [mode] => {
            let numbers: Option<Vec<f64>> = (0..mode.size()).map(|k| mode.number(k)).collect();
            let content = match numbers {
                Some(x) if mode.size() > MOST_BARS => Content::Line {
                    points: x.into_iter().zip(array.values.iter().copied()).collect(),
                    marks: Vec::new(),
                },
                _ if mode.size() > MOST_CELLS => {
                    return Err(format!("{} bars are too many; take a slice", mode.size()));
                }
                _ => Content::Bars(labels(mode).into_iter().zip(array.values.iter().copied()).collect()),
            };
            Ok(Panel { title: title.into(), across: mode.name.clone(), up: String::new(), content })
        }
        [rows, columns] => {
            if rows.size() > MOST_CELLS || columns.size() > MOST_CELLS {
                return Err(
                    "an array of more than 1000 rows or columns is too fine to draw; take a slice".into()
                );
            }
            Ok(Panel {
                title: title.into(),
                across: columns.name.clone(),
                up: rows.name.clone(),
                content: Content::Field {
                    rows: labels(rows),
                    columns: labels(columns),
                    values: array.values.to_vec(),
                },
            })
        }
        modes => Err(format!(
            "an array over {} modes has no picture; fix levels as in `[mode: level]` until one or two are left",
            modes.len()
        )),
    }
}

/// Units of what the columns of results are called. Energies have the unit in which the program writes them.
const UNITS: &[(&str, &str)] = &[
    ("temperature", "units of energy"),
    ("log_z", "nats"),
    ("free_energy", "units of energy"),
    ("energy", "units of energy"),
    ("entropy", "nats"),
    ("heat_capacity", "nats"),
    ("magnetization", "per mode"),
    ("susceptibility", "per mode and unit of energy"),
    ("mutual_information", "nats"),
    ("o_information", "nats"),
    ("kl", "nats"),
    ("kl_lost", "nats"),
];

fn with_unit(name: &str) -> String {
    let words = name.replace('_', " ");
    match UNITS.iter().find(|(n, _)| *n == name) {
        Some((_, unit)) => format!("{words} ({unit})"),
        None => words,
    }
}
