//! Arrays as `.npy` files in memory.
#![allow(dead_code)] // each test binary uses its own part

use ndarray::{Array, ArrayD, Dimension};
use ndarray_npy::{WritableElement, WriteNpyExt};

/// The bytes of a file of this array.
pub fn npy<T: WritableElement, D: Dimension>(array: &Array<T, D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    array.write_npy(&mut bytes).unwrap();
    bytes
}

/// The same of doubles in row-major order.
pub fn npy_of(shape: &[usize], values: &[f64]) -> Vec<u8> {
    npy(&ArrayD::from_shape_vec(shape, values.to_vec()).unwrap())
}
