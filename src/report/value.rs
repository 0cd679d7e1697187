//! What a result expression evaluates to, before it is shown in any format.

use std::sync::Arc;

use num_bigint::BigUint;

use crate::model::Mode;

/// A result.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Not defined here, and why.
    Null(String),
    /// A truth value.
    Truth(bool),
    /// An exact count of any size.
    Count(BigUint),
    /// A number, perhaps infinite.
    Number(f64),
    /// A word or a path.
    Text(String),
    /// Named parts, such as a certificate.
    Record(Vec<(String, Value)>),
    /// Rows under column names.
    Table(Rows),
    /// Numbers over named modes.
    Array(Array),
    /// Several values in order.
    List(Vec<Value>),
}

impl Value {
    /// What is said below its tables: how many rows they lack, for one.
    pub fn notes(&self) -> Vec<&str> {
        match self {
            Value::Table(table) => {
                let inner = table.rows.iter().flatten().flat_map(Value::notes);
                table.notes.iter().map(String::as_str).chain(inner).collect()
            }
            Value::Record(parts) => parts.iter().flat_map(|(_, v)| v.notes()).collect(),
            Value::List(values) => values.iter().flat_map(Value::notes).collect(),
            _ => Vec::new(),
        }
    }
}

/// A table of results: columns with names, rows of values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    /// Column names.
    pub columns: Vec<String>,
    /// Each row has one value per column.
    pub rows: Vec<Vec<Value>>,
    /// Sentences to print below.
    pub notes: Vec<String>,
}

/// A dense array over modes, row-major in the order of `modes`.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// One mode per axis; their level names head rows and columns.
    pub modes: Vec<Mode>,
    /// The product of the modes' sizes many numbers; NaN where undefined.
    pub values: Arc<[f64]>,
}
