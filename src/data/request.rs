//! What a data statement asks for, after names have been resolved.

use super::format::Format;
use crate::model::predicate::Predicate;
use crate::model::{Levels, Order};
use crate::text::Span;

/// A data statement.
#[derive(Debug, Clone)]
pub struct Request {
    /// The name the tensor is given.
    pub name: String,
    /// The name in the text.
    pub span: Span,
    /// The modes in the order they are listed.
    pub axes: Vec<Axis>,
    /// Where the cells come from.
    pub source: Source,
    /// The format, when the statement names one; otherwise it is found out.
    pub format: Option<Format>,
    /// The array of an archive, when the statement names one.
    pub key: Option<(String, Span)>,
    /// What the rows of a table stand for.
    pub counting: Counting,
    /// Which cells have a value that is not known.
    pub masks: Vec<MaskClause>,
    /// Whether rows with an empty or `NA` field are left out instead of being an error.
    pub drop_na: bool,
}

impl Request {
    /// Whether values that are not allowed may turn out to be unknown: which cells are is seen once all are read.
    pub fn may_hide(&self) -> bool {
        !self.masks.is_empty()
    }

    /// Whether some cells may be unknown.
    pub fn hides(&self) -> bool {
        let literal = matches!(&self.source, Source::Literal(l) if super::mask::has_missing(l));
        self.may_hide() || literal
    }
}

/// One mode of a data statement.
#[derive(Debug, Clone)]
pub struct Axis {
    /// The mode.
    pub mode: String,
    /// The mode in the data statement.
    pub span: Span,
    /// The column it is bound to, when the statement says so: `hair as "Hair"`.
    pub column: Option<(String, Span)>,
    /// The levels, as far as they were declared.
    pub declared: Declared,
    /// How the levels relate.
    pub order: Order,
    /// The declaration of the mode.
    pub declared_at: Option<Span>,
}

/// The levels of a mode before data are read.
#[derive(Debug, Clone, PartialEq)]
pub enum Declared {
    /// Declared by a size, a list or bins.
    Known(Levels),
    /// Taken from the data.
    FromData,
}

/// Where the cells of a tensor come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file, or standard input when the path is `-`.
    File {
        /// As it is written.
        path: String,
        /// Where it is written.
        span: Span,
    },
    /// Two arrays: positions, one row per stored cell, counted from 0; and the values there.
    Coordinates {
        /// The array of positions, `n × D` whole numbers.
        coords: (String, Span),
        /// The array of `n` values.
        values: (String, Span),
    },
    /// Written in the program.
    Literal(Literal),
}

impl Source {
    /// Where the source is named or written.
    pub fn span(&self) -> Span {
        match self {
            Source::File { span, .. } => *span,
            Source::Coordinates { coords, values } => coords.1.to(values.1),
            Source::Literal(literal) => literal.span(),
        }
    }
}

/// A tensor written in the program.
#[derive(Debug, Clone)]
pub enum Literal {
    /// One cell.
    Number(f64, Span),
    /// One cell whose value is unknown.
    Missing(Span),
    /// The slices along the next mode.
    List(Vec<Literal>, Span),
}

impl Literal {
    /// Where it is written.
    pub fn span(&self) -> Span {
        match self {
            Literal::Number(_, span) | Literal::Missing(span) | Literal::List(_, span) => *span,
        }
    }
}

/// What a data statement says of unknown cells.
#[derive(Debug, Clone)]
pub enum MaskClause {
    /// `missing where …` or `observed where …`.
    Where {
        /// A cell is observed when it passes all of them.
        factors: Vec<Predicate>,
        /// The clause.
        span: Span,
    },
    /// `missing from "m.npy"[a, b]` or `observed from …`.
    File {
        /// The array.
        file: MaskFile,
        /// Whether true means missing.
        missing: bool,
        /// The clause.
        span: Span,
    },
}

/// An array of truth values over some of the modes of data.
#[derive(Debug, Clone)]
pub struct MaskFile {
    /// The file, as it is written.
    pub path: String,
    /// The path in the text.
    pub at: Span,
    /// Which array of an archive, when the program says so.
    pub key: Option<(String, Span)>,
    /// The modes of its axes, by position among those of the data.
    pub axes: Vec<usize>,
}

impl MaskClause {
    /// Where it is written.
    pub fn span(&self) -> Span {
        match self {
            MaskClause::Where { span, .. } | MaskClause::File { span, .. } => *span,
        }
    }
}

/// What the rows of a table stand for.
#[derive(Debug, Clone, PartialEq)]
pub enum Counting {
    /// One row per record in a table; nothing to say about other formats.
    Default,
    /// One row per cell; the column holds whole numbers that add up.
    Count(String, Span),
    /// One row per cell; the column holds numbers that add up.
    Sum(String, Span),
}
