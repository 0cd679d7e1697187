//! What is known of a tensor before its cells are read.

use std::sync::Arc;

use super::format::Pending;
use crate::model::{Levels, Mode, Order};

/// Everything the first phase finds out: enough to check a program and to plan a fit.
#[derive(Debug, Clone)]
pub struct Header {
    /// The format, as `mba info` names it.
    pub format: &'static str,
    /// One entry per mode of the data statement, in its order.
    pub axes: Vec<BoundAxis>,
    /// Every column of a table; empty for other formats.
    pub columns: Vec<Column>,
    /// The number type in the file; none for text.
    pub element: Option<ElementType>,
    /// The order of cells in the file; none when the file is not a dense array.
    pub layout: Option<Layout>,
    /// Rows of a table or list of cells.
    pub rows: Option<Amount>,
    /// What a planner needs.
    pub profile: Profile,
    /// Observations worth showing, one sentence fragment each.
    pub notes: Vec<String>,
    pub(crate) pending: Arc<dyn Pending>,
}

impl Header {
    /// The modes as far as this one tensor determines them.
    pub fn modes(&self) -> Vec<Mode> {
        self.axes.iter().map(BoundAxis::to_mode).collect()
    }
}

/// A mode bound to an axis or a column.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundAxis {
    /// The mode.
    pub mode: String,
    /// The levels: as declared, or as found.
    pub levels: Levels,
    /// How they relate.
    pub order: Order,
    /// Whether the levels were found in the data.
    pub from_data: bool,
    /// What in the file the mode is bound to.
    pub binding: Binding,
}

impl BoundAxis {
    /// The mode as far as this tensor determines it.
    pub fn to_mode(&self) -> Mode {
        Mode { name: self.mode.clone(), levels: self.levels.clone(), order: self.order }
    }
}

/// How a mode came to be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// By its place in the list of modes, counted from 0.
    Position(usize),
    /// To a column, given as an index into [`Header::columns`].
    Column {
        /// Which column.
        column: usize,
        /// Whether the names agree only up to upper and lower case.
        ignoring_case: bool,
    },
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name in the first line.
    pub name: String,
    /// What it is used for.
    pub role: Role,
}

/// What a column is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The levels of the mode with this index in [`Header::axes`].
    Axis(usize),
    /// Values that must be whole numbers.
    Count,
    /// Values.
    Sum,
    /// Not used.
    Unused,
}

/// The order of the cells of a dense array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The last axis varies fastest (C order).
    LastFastest,
    /// The first axis varies fastest (Fortran order).
    FirstFastest,
}

/// A number that is known, or known not to be larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// This many.
    Exactly(usize),
    /// Not more than this many.
    AtMost(usize),
}

impl Amount {
    /// The largest possible number.
    pub fn bound(self) -> usize {
        match self {
            Amount::Exactly(n) | Amount::AtMost(n) => n,
        }
    }
}

/// What a planner needs to know before a cell is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Whether every cell is stored, or only those that are not zero.
    pub dense: bool,
    /// Cells that are stored.
    pub stored: Amount,
    /// Bytes of one stored value in memory, without its coordinates.
    pub value_bytes: usize,
    /// Bytes the tensor takes in memory at most; 0 when it stays in the mapped file.
    pub bytes: usize,
    /// Whether the values stay in the mapped file.
    pub mapped: bool,
}

impl Profile {
    pub(crate) fn sparse(stored: Amount, modes: usize) -> Self {
        let bytes = stored.bound().saturating_mul(modes.saturating_mul(4).saturating_add(8));
        Self { dense: false, stored, value_bytes: 8, bytes, mapped: false }
    }

    pub(crate) fn dense(cells: usize, value_bytes: usize, mapped: bool) -> Self {
        let bytes = if mapped { 0 } else { cells.saturating_mul(value_bytes) };
        Self { dense: true, stored: Amount::Exactly(cells), value_bytes, bytes, mapped }
    }
}

/// The number type of an array in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the number types
pub enum ElementType {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
}

impl ElementType {
    /// The name users of arrays know it by.
    pub fn name(self) -> &'static str {
        match self {
            ElementType::Bool => "bool",
            ElementType::I8 => "int8",
            ElementType::I16 => "int16",
            ElementType::I32 => "int32",
            ElementType::I64 => "int64",
            ElementType::U8 => "uint8",
            ElementType::U16 => "uint16",
            ElementType::U32 => "uint32",
            ElementType::U64 => "uint64",
            ElementType::F16 => "float16",
            ElementType::F32 => "float32",
            ElementType::F64 => "float64",
        }
    }

    /// Bytes of one number in the file.
    pub fn bytes(self) -> usize {
        match self {
            ElementType::Bool | ElementType::I8 | ElementType::U8 => 1,
            ElementType::I16 | ElementType::U16 | ElementType::F16 => 2,
            ElementType::I32 | ElementType::U32 | ElementType::F32 => 4,
            ElementType::I64 | ElementType::U64 | ElementType::F64 => 8,
        }
    }

    /// Whether it holds whole numbers only.
    pub fn is_whole(self) -> bool {
        !matches!(self, ElementType::Bool | ElementType::F16 | ElementType::F32 | ElementType::F64)
    }
}
