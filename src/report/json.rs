//! Results as JSON, with every digit.
//!
//! Numbers are written with as many digits as it takes to read the same number back, and counts exactly, however large.
//! Tables are lists of objects, arrays are nested lists, and what is undefined or not finite is `null`.

use num_bigint::BigUint;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::value::{Array, Rows, Value};

/// A result as a tree of JSON. For a large array, serialising [`Exact`] into a writer needs no tree.
pub fn value(value: &Value) -> serde_json::Value {
    serde_json::to_value(Exact(value)).unwrap_or(serde_json::Value::Null)
}

/// A result that serialises as JSON with every digit.
#[derive(Debug, Clone, Copy)]
pub struct Exact<'a>(pub &'a Value);

impl Serialize for Exact<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null(_) => to.serialize_unit(),
            Value::Truth(truth) => to.serialize_bool(*truth),
            Value::Count(count) => serialize_count(count, to),
            Value::Number(x) => Finite(*x).serialize(to),
            Value::Text(text) => to.serialize_str(text),
            Value::Record(parts) => {
                let mut map = to.serialize_map(Some(parts.len()))?;
                for (name, part) in parts {
                    map.serialize_entry(name, &Exact(part))?;
                }
                map.end()
            }
            Value::Table(rows) => to.collect_seq(rows.rows.iter().map(|row| Row { table: rows, row })),
            Value::Array(array) => {
                let sizes: Vec<usize> = array.modes.iter().map(|mode| mode.size()).collect();
                Nested { array, sizes: &sizes, start: 0 }.serialize(to)
            }
            Value::List(values) => to.collect_seq(values.iter().map(Exact)),
        }
    }
}

fn serialize_count<S: Serializer>(count: &BigUint, to: S) -> Result<S::Ok, S::Error> {
    match count.to_string().parse::<serde_json::Number>() {
        Ok(number) => number.serialize(to),
        Err(_) => to.serialize_unit(),
    }
}

/// A number, or `null`: JSON has no word for the others.
struct Finite(f64);

impl Serialize for Finite {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() { to.serialize_f64(self.0) } else { to.serialize_unit() }
    }
}

struct Row<'a> {
    table: &'a Rows,
    row: &'a [Value],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.table.columns.len()))?;
        let missing = Value::Null(String::new());
        for (i, column) in self.table.columns.iter().enumerate() {
            map.serialize_entry(column, &Exact(self.row.get(i).unwrap_or(&missing)))?;
        }
        map.end()
    }
}

/// The part of an array whose first cell is at `start` and that still has the modes of these sizes.
struct Nested<'a> {
    array: &'a Array,
    sizes: &'a [usize],
    start: usize,
}

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Some((size, rest)) = self.sizes.split_first() else {
            return Finite(self.array.values.get(self.start).copied().unwrap_or(f64::NAN)).serialize(to);
        };
        let stride = rest.iter().fold(1usize, |product, size| product.saturating_mul(*size));
        let mut list = to.serialize_seq(Some(*size))?;
        for i in 0..*size {
            let start = self.start.saturating_add(i.saturating_mul(stride));
            list.serialize_element(&Nested { array: self.array, sizes: rest, start })?;
        }
        list.end()
    }
}
