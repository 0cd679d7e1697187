//! One file per format. Each turns bytes into a [`super::Header`] and, later, into a tensor.

pub(super) mod coordinates;
pub(super) mod literal;
pub(super) mod npy;
pub(super) mod npz;
pub mod numbers;
pub(super) mod table;
pub(super) mod tns;
