//! From bytes to tensors. Formats are pure functions of bytes; files are opened elsewhere.

pub mod tensor;

pub use tensor::{Buffer, Dense, Element, Sparse, Storage, Tensor, Values};
