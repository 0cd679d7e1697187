//! From results to tables, text and files of numbers.
//!
//! Everything here is pure: values and diagnostics go in, text comes out. What the output device can show is passed
//! in as a [`Style`].
//!
//! | module | from | to |
//! |---|---|---|
//! | [`diagnostics`] | diagnostics and their sources | reports for people; objects for programs |
//! | [`text`] | any [`Value`] | text for people |
//! | [`table`] | [`Rows`], [`Array`] | aligned columns |
//! | [`number`] | one number, or a column of them | digits worth reading |
//! | [`json`] | any [`Value`] | JSON with every digit |
//! | [`results`] | a fit and an expression | a [`Value`] |
//! | [`highlight`] | a program's text | the same with colours |
//! | [`markdown`] | documentation | text for people |
//! | [`save`] | a [`Value`] | the bytes of a file |
//! | [`saved`], [`kept`] | a whole fit, balanced tensor or estimate | an archive of arrays, and back |
//! | [`archive`] | arrays and metadata | `.npz`, and back |

pub mod archive;
pub mod diagnostics;
mod grid;
pub mod highlight;
pub mod json;
pub mod kept;
pub mod markdown;
pub mod number;
pub mod plot;
pub mod results;
pub mod save;
pub mod saved;
pub mod style;
pub mod table;
pub mod text;
pub mod value;

pub use style::Style;
pub use text::show;
pub use value::{Array, Rows, Value};
