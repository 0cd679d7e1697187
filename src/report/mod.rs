//! From results to tables, text and files of numbers.

pub mod value;

pub use value::{Array, Rows, Value};
