//! A schedule as text, as JSON and as a graph.

mod dot;
pub(crate) mod human;
mod json;
mod tree;
