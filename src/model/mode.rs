//! Modes and their levels.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use indexmap::IndexSet;

/// One value a mode can take.
#[derive(Debug, Clone)]
pub enum Level {
    /// A level known by its name.
    Name(String),
    /// A numeric level, which potentials can compute with.
    Number(f64),
}

impl Level {
    /// The level as it is shown.
    pub fn label(&self) -> Cow<'_, str> {
        match self {
            Level::Name(name) => Cow::Borrowed(name),
            Level::Number(x) => Cow::Owned(number_label(*x)),
        }
    }

    fn key(&self) -> (u8, u64, &str) {
        match self {
            Level::Name(name) => (0, 0, name),
            // +0.0 turns −0 into 0, so that the two are one level
            Level::Number(x) => (1, (x + 0.0).to_bits(), ""),
        }
    }
}

impl PartialEq for Level {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Level {}
impl Hash for Level {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// A number as a level is labelled: whole numbers without a decimal point, and with a power of ten what would be
/// mostly zeros.
pub fn number_label(x: f64) -> String {
    match x.abs() {
        size if size < 1e15 && x == x.trunc() => format!("{}", x as i64),
        1e-6..1e21 => format!("{x}"),
        _ => format!("{x:e}"),
    }
}

/// How the levels of a mode relate to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// In no particular order.
    #[default]
    Nominal,
    /// In a line: neighbours are alike.
    Ordered,
    /// In a circle: the last level is next to the first.
    Cyclic,
}

/// The levels of a mode, all known. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub enum Levels {
    /// The numbers 0, …, n−1.
    Counted(usize),
    /// Named or numeric levels in a fixed order.
    Listed(Arc<IndexSet<Level>>),
    /// Intervals between increasing edges, closed on the left; the last one on both sides.
    Binned(Arc<[f64]>),
}

/// A named axis with levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Mode {
    /// The user's name.
    pub name: String,
    /// The levels.
    pub levels: Levels,
    /// How they relate.
    pub order: Order,
}

impl Mode {
    /// A mode of the levels 0, …, n−1.
    pub fn counted(name: impl Into<String>, size: usize) -> Self {
        Self { name: name.into(), levels: Levels::Counted(size), order: Order::Nominal }
    }

    /// Number of levels.
    pub fn size(&self) -> usize {
        match &self.levels {
            Levels::Counted(n) => *n,
            Levels::Listed(levels) => levels.len(),
            Levels::Binned(edges) => edges.len().saturating_sub(1),
        }
    }

    /// The name of level `i`, which must be below `size()`.
    pub fn label(&self, i: usize) -> Cow<'_, str> {
        match &self.levels {
            Levels::Counted(_) => Cow::Owned(i.to_string()),
            Levels::Listed(levels) => levels.get_index(i).map_or(Cow::Borrowed("?"), Level::label),
            Levels::Binned(edges) => {
                let close = if i + 2 == edges.len() { ']' } else { ')' };
                let edge = |j: usize| edges.get(j).map_or(String::new(), |e| number_label(*e));
                Cow::Owned(format!("[{}, {}{close}", edge(i), edge(i + 1)))
            }
        }
    }

    /// The numeric value of level `i`, when it has one.
    pub fn number(&self, i: usize) -> Option<f64> {
        match &self.levels {
            Levels::Counted(n) => (i < *n).then_some(i as f64),
            Levels::Listed(levels) => match levels.get_index(i) {
                Some(Level::Number(x)) => Some(*x),
                _ => None,
            },
            Levels::Binned(_) => None,
        }
    }

    /// The position of a level. A number and a name that reads as that number are the same level.
    pub fn find(&self, level: &Level) -> Option<usize> {
        match &self.levels {
            Levels::Counted(n) => {
                let x = match level {
                    Level::Number(x) => *x,
                    Level::Name(name) => name.trim().parse().ok()?,
                };
                (x >= 0.0 && x == x.trunc() && x < *n as f64).then_some(x as usize)
            }
            Levels::Listed(levels) => levels.get_index_of(level).or_else(|| match level {
                Level::Name(name) => {
                    let x = name.trim().parse().ok()?;
                    levels.get_index_of(&Level::Number(x))
                }
                Level::Number(_) => levels.get_index_of(&Level::Name(level.label().into_owned())),
            }),
            Levels::Binned(_) => {
                let label = level.label();
                (0..self.size()).find(|i| self.label(*i) == label)
            }
        }
    }
}
