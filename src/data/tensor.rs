//! Tensors as they were read: dense in their own number type, or sparse coordinates.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use num_bigint::BigUint;

use super::indices::Indices;
use super::mask::Mask;
use super::summary::Summary;
use crate::model::table::strides;
use crate::model::{Mode, Scope};

/// Numbers in memory or in a mapped file. Cheap to clone.
#[derive(Clone)]
pub struct Buffer<T: 'static>(Held<T>);

#[derive(Clone)]
enum Held<T: 'static> {
    Lent(Arc<dyn AsRef<[T]> + Send + Sync>),
    Masked(Arc<Masked<T>>),
}

/// Numbers some of which count as zero. They are copied when somebody asks for all of them.
struct Masked<T: 'static> {
    numbers: Buffer<T>,
    observed: Arc<[bool]>,
    copy: OnceLock<Vec<T>>,
}

impl<T> Buffer<T> {
    /// Shares anything that lends out a slice: a vector, or a mapped file.
    pub fn new(owner: impl AsRef<[T]> + Send + Sync + 'static) -> Self {
        Self(Held::Lent(Arc::new(owner)))
    }
}

impl<T: Copy + Default + Send + Sync> Buffer<T> {
    /// The same numbers with zeros where they are not observed; `observed` is as long as they are.
    pub fn masked(numbers: Buffer<T>, observed: Arc<[bool]>) -> Self {
        Self(Held::Masked(Arc::new(Masked { numbers, observed, copy: OnceLock::new() })))
    }
}

impl<T: Copy + Default> Buffer<T> {
    /// The numbers under a mask, of which those count that it lets through.
    pub fn through(&self) -> Option<(&[T], &[bool])> {
        match &self.0 {
            Held::Lent(_) => None,
            Held::Masked(own) => Some((&*own.numbers, &own.observed)),
        }
    }
}

impl<T: Copy + Default + PartialEq> PartialEq for Buffer<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Copy + Default> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match &self.0 {
            Held::Lent(owner) => (**owner).as_ref(),
            Held::Masked(own) => own.copy.get_or_init(|| {
                let numbers = own.numbers.iter().zip(own.observed.iter());
                numbers.map(|(x, seen)| if *seen { *x } else { T::default() }).collect()
            }),
        }
    }
}

impl<T: Copy + Default> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.len(), std::any::type_name::<T>())
    }
}

/// The numbers of a dense tensor, in the type of the file.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the number types
pub enum Values {
    Bool(Buffer<bool>),
    I8(Buffer<i8>),
    I16(Buffer<i16>),
    I32(Buffer<i32>),
    I64(Buffer<i64>),
    U8(Buffer<u8>),
    U16(Buffer<u16>),
    U32(Buffer<u32>),
    U64(Buffer<u64>),
    F32(Buffer<f32>),
    F64(Buffer<f64>),
}

/// Runs `$body` with `$x` bound to the buffer of whichever number type the values have.
#[macro_export]
macro_rules! with_values {
    ($values:expr, $x:ident => $body:expr) => {
        match $values {
            $crate::data::tensor::Values::Bool($x) => $body,
            $crate::data::tensor::Values::I8($x) => $body,
            $crate::data::tensor::Values::I16($x) => $body,
            $crate::data::tensor::Values::I32($x) => $body,
            $crate::data::tensor::Values::I64($x) => $body,
            $crate::data::tensor::Values::U8($x) => $body,
            $crate::data::tensor::Values::U16($x) => $body,
            $crate::data::tensor::Values::U32($x) => $body,
            $crate::data::tensor::Values::U64($x) => $body,
            $crate::data::tensor::Values::F32($x) => $body,
            $crate::data::tensor::Values::F64($x) => $body,
        }
    };
}

/// A number type a tensor can be stored in.
pub trait Element: Copy + Send + Sync + 'static {
    /// The number in double precision.
    fn to_f64(self) -> f64;

    /// The number as an index; `u32::MAX`, which no mode reaches, when it is none.
    fn index(self) -> u32;

    /// The whole number it is, without its fraction, exactly for every whole number type.
    fn whole(self) -> i128;

    /// The numbers as they are, when they are doubles already.
    fn doubles(_: &[Self]) -> Option<&[f64]> {
        None
    }
}

macro_rules! elements {
    ($($t:ty)*) => { $(impl Element for $t {
        #[inline]
        fn to_f64(self) -> f64 { self as f64 }
        #[inline]
        fn index(self) -> u32 { u32::try_from(self).unwrap_or(u32::MAX) }
        #[inline]
        fn whole(self) -> i128 { i128::from(self) }
    })* };
}
elements!(i8 i16 i32 i64 u8 u16 u32 u64);

/// A fraction is an index when it is a whole number.
#[inline]
fn whole_index(x: f64) -> u32 {
    if x >= 0.0 && x < f64::from(u32::MAX) && x == x.trunc() { x as u32 } else { u32::MAX }
}

impl Element for f32 {
    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    fn index(self) -> u32 {
        whole_index(f64::from(self))
    }

    #[inline]
    fn whole(self) -> i128 {
        self as i128
    }
}

impl Element for f64 {
    #[inline]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline]
    fn index(self) -> u32 {
        whole_index(self)
    }

    #[inline]
    fn whole(self) -> i128 {
        self as i128
    }

    fn doubles(values: &[Self]) -> Option<&[f64]> {
        Some(values)
    }
}

impl Element for bool {
    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }

    #[inline]
    fn index(self) -> u32 {
        u32::from(self)
    }

    #[inline]
    fn whole(self) -> i128 {
        i128::from(self)
    }
}

/// A dense tensor. Element `(i_1, …, i_D)` is at `Σ i_d · strides[d]`.
#[derive(Debug, Clone)]
pub struct Dense {
    /// Levels along each mode, in the order of [`Tensor::modes`].
    pub shape: Vec<usize>,
    /// Distance between neighbours along each mode, in elements.
    pub strides: Vec<usize>,
    /// The numbers.
    pub values: Values,
    /// What was found while they were read, when somebody looked on.
    pub found: Option<Arc<Found>>,
}

/// Sums over dense numbers.
#[derive(Debug, Clone)]
pub struct Found {
    /// Their sum.
    pub total: f64,
    /// Σ x ln x.
    pub x_ln_x: f64,
    /// Marginals, each over some of the axes, row-major and not normalised.
    pub marginals: Vec<(Scope, Vec<f64>)>,
    /// How many observed numbers are zero, where some are not observed.
    pub zeros: Option<usize>,
}

/// Somebody who needs sums over dense numbers and takes them while the numbers are checked, so that these
/// are fetched from memory once.
pub trait Onlooker {
    /// The sums, with the total and whether all numbers are counts; none when some number is negative or not
    /// finite, or when nothing is to be gained.
    fn look(&self, dense: &Dense) -> Option<(Found, Summary)>;
}

impl Dense {
    /// Numbers of which nothing else is known.
    pub fn new(shape: Vec<usize>, strides: Vec<usize>, values: Values) -> Self {
        Self { shape, strides, values, found: None }
    }

    /// With the last index running fastest.
    pub fn row_major(shape: Vec<usize>, values: Vec<f64>) -> Self {
        let strides = strides(&shape);
        Self::new(shape, strides, Values::F64(Buffer::new(values)))
    }
}

/// Coordinates with values. Cells are distinct, in the order of the data or, where the data name some cell
/// more than once, in lexicographic order; absent cells are zero.
#[derive(Debug, Clone)]
pub struct Sparse {
    /// Levels along each mode, in the order of [`Tensor::modes`].
    pub shape: Vec<usize>,
    /// For each mode the index of every cell, as many as `values`.
    pub coordinates: Vec<Indices>,
    /// The value of each cell.
    pub values: Buffer<f64>,
}

impl Sparse {
    /// From one column of indices per mode, each as long as `values` and below the size of its mode.
    pub fn new(shape: Vec<usize>, columns: Vec<Vec<u32>>, values: Vec<f64>) -> Self {
        let coordinates = shape.iter().zip(columns).map(|(n, own)| Indices::new(*n, own)).collect();
        Self { shape, coordinates, values: Buffer::new(values) }
    }

    /// Bytes one cell takes: an index along each mode, and its value.
    pub fn cell_bytes(shape: &[usize]) -> usize {
        shape.iter().map(|n| Indices::width(*n)).sum::<usize>() + size_of::<f64>()
    }
}

/// How a tensor is stored.
#[derive(Debug, Clone)]
pub enum Storage {
    /// Every cell.
    Dense(Dense),
    /// The cells that are not zero.
    Sparse(Sparse),
}

/// A non-negative, finite tensor bound to modes.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// The user's name.
    pub name: String,
    /// One mode per axis.
    pub modes: Vec<Mode>,
    /// The cells.
    pub storage: Arc<Storage>,
    /// The sum of all cells.
    pub total: f64,
    /// Whether every cell is a whole number, so that count statistics apply.
    pub counts: bool,
    /// Which cells are observed, when some are not; those hold 0 and mean nothing.
    pub mask: Option<Arc<Mask>>,
}

impl Tensor {
    /// Number of cells, exactly.
    pub fn cells(&self) -> BigUint {
        self.modes.iter().map(|m| BigUint::from(m.size())).product()
    }

    /// Calls `visit` with the levels and the value of every cell that is observed and not zero, in a fixed order.
    pub fn each_cell(&self, mut visit: impl FnMut(&[usize], f64)) {
        match &*self.storage {
            Storage::Sparse(sparse) => {
                let mut cell = vec![0; sparse.shape.len()];
                for (row, x) in sparse.values.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                    for (level, column) in cell.iter_mut().zip(&sparse.coordinates) {
                        *level = column.at(row);
                    }
                    visit(&cell, *x);
                }
            }
            Storage::Dense(dense) => crate::with_values!(&dense.values, values => {
                let mut cell = vec![0; dense.shape.len()];
                let cells: usize = dense.shape.iter().product();
                for _ in 0..cells {
                    let at: usize = cell.iter().zip(&dense.strides).map(|(i, s)| i * s).sum();
                    let x = values[at].to_f64();
                    if x != 0.0 {
                        visit(&cell, x);
                    }
                    for axis in (0..cell.len()).rev() {
                        cell[axis] += 1;
                        if cell[axis] < dense.shape[axis] {
                            break;
                        }
                        cell[axis] = 0;
                    }
                }
            }),
        }
    }

    /// Number of stored cells: all of a dense tensor, the non-zero ones of a sparse one.
    pub fn stored(&self) -> usize {
        match &*self.storage {
            Storage::Dense(dense) => dense.shape.iter().product(),
            Storage::Sparse(sparse) => sparse.values.len(),
        }
    }
}
