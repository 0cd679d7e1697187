//! From a value to the bytes of a file.

use ndarray::ArrayD;
use ndarray_npy::WriteNpyExt;

use super::json;
use super::number;
use super::value::{Array, Rows, Value};

/// A format results are saved in; one line each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A NumPy array, 64-bit floats in C order.
    Npy,
    /// An archive of NumPy arrays: a whole fit, which `load` reads. Written by [`super::saved`].
    Npz,
    /// Comma-separated values: a table, or one row per cell.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// JSON with every digit.
    Json,
}

const FORMATS: &[(&str, Format)] = &[
    ("npy", Format::Npy),
    ("npz", Format::Npz),
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("json", Format::Json),
];

impl Format {
    /// The format of a path, by its ending.
    pub fn of(path: &str) -> Option<Format> {
        let (_, ending) = path.rsplit_once('.')?;
        FORMATS.iter().find(|(e, _)| e.eq_ignore_ascii_case(ending)).map(|(_, f)| *f)
    }

    /// The endings, for messages.
    pub fn endings() -> String {
        let endings: Vec<String> = FORMATS.iter().map(|(e, _)| format!("`.{e}`")).collect();
        endings.join(", ")
    }
}

/// The bytes of a value in a format, or why it has none.
pub fn encode(value: &Value, format: Format) -> Result<Vec<u8>, String> {
    if let Value::Null(reason) = value {
        return Err(format!("it is not defined: {reason}"));
    }
    match format {
        Format::Json => {
            let mut bytes = serde_json::to_vec_pretty(&json::Exact(value)).map_err(|e| e.to_string())?;
            bytes.push(b'\n');
            Ok(bytes)
        }
        Format::Npy => match value {
            Value::Array(array) => {
                npy(array.modes.iter().map(crate::model::Mode::size).collect(), array.values.to_vec())
            }
            Value::Number(x) => npy(Vec::new(), vec![*x]),
            _ => Err("only arrays and numbers are saved as `.npy`".into()),
        },
        Format::Npz => Err("only a whole fit is saved as `.npz`".into()),
        Format::Csv => separated(value, b','),
        Format::Tsv => separated(value, b'\t'),
    }
}

fn npy(shape: Vec<usize>, values: Vec<f64>) -> Result<Vec<u8>, String> {
    let array = ArrayD::from_shape_vec(shape, values).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    array.write_npy(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

fn separated(value: &Value, delimiter: u8) -> Result<Vec<u8>, String> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    let mut write = |row: &[String]| writer.write_record(row).map_err(|e| e.to_string());
    match value {
        Value::Table(rows) => {
            let flat = flat_columns(rows);
            write(&flat.iter().map(|c| rows.columns[*c].clone()).collect::<Vec<_>>())?;
            for row in &rows.rows {
                write(&flat.iter().map(|c| row.get(*c).map_or_else(String::new, field)).collect::<Vec<_>>())?;
            }
        }
        Value::Array(array) => {
            let names = array.modes.iter().map(|m| m.name.clone());
            write(&names.chain(["value".to_string()]).collect::<Vec<_>>())?;
            each_cell(array, |levels, x| {
                let labels = levels.iter().zip(&array.modes).map(|(i, m)| m.label(*i).into_owned());
                write(&labels.chain([number::digits(x)]).collect::<Vec<_>>())
            })?;
        }
        _ => return Err("only tables and arrays are saved as rows".into()),
    }
    writer.into_inner().map_err(|e| e.to_string())
}

/// The columns whose cells are not tables themselves.
fn flat_columns(rows: &Rows) -> Vec<usize> {
    let nested = |c: &usize| rows.rows.iter().any(|r| matches!(r.get(*c), Some(Value::Table(_))));
    (0..rows.columns.len()).filter(|c| !nested(c)).collect()
}

fn field(value: &Value) -> String {
    match value {
        Value::Null(_) => String::new(),
        Value::Truth(t) => t.to_string(),
        Value::Count(n) => n.to_string(),
        Value::Number(x) => number::digits(*x),
        Value::Text(t) => t.clone(),
        other => json::value(other).to_string(),
    }
}

fn each_cell(
    array: &Array,
    mut visit: impl FnMut(&[usize], f64) -> Result<(), String>,
) -> Result<(), String> {
    let mut cell = vec![0; array.modes.len()];
    for x in array.values.iter() {
        visit(&cell, *x)?;
        for axis in (0..cell.len()).rev() {
            cell[axis] += 1;
            if cell[axis] < array.modes[axis].size() {
                break;
            }
            cell[axis] = 0;
        }
    }
    Ok(())
}
