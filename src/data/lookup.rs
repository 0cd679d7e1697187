//! From the text of a field to a level, and from all fields of a column to levels.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexSet;

use crate::model::{Level, Levels, Mode};

/// Why a field is not a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// Empty, or `NA` where no level is called so.
    Empty,
    /// Not among the levels.
    Unknown,
    /// Bins take numbers.
    NotNumber,
    /// A number that no bin holds.
    OutsideBins,
    /// Not UTF-8.
    Encoding,
}

const UNSEEN: u32 = u32::MAX;

/// Finds the levels of one mode. Texts that were found once are found again without being read again.
pub(crate) struct Lookup<'m> {
    mode: &'m Mode,
    /// Levels of texts of one byte, which are most of the texts in tables of codes.
    short: [u32; 256],
    known: HashMap<Box<[u8]>, u32>,
    na_is_level: bool,
}

impl<'m> Lookup<'m> {
    pub fn new(mode: &'m Mode) -> Self {
        Self { mode, short: [UNSEEN; 256], known: HashMap::new(), na_is_level: na_is_level(&mode.levels) }
    }

    /// The position of the level that `field` names; blanks around it do not count.
    #[inline]
    pub fn find(&mut self, field: &[u8]) -> Result<u32, Miss> {
        let field = field.trim_ascii();
        if let [byte] = field {
            // every `u8` is a place in the table
            let Some(slot) = self.short.get_mut(usize::from(*byte)) else { return Err(Miss::Unknown) };
            if *slot == UNSEEN {
                *slot = resolve(self.mode, field)?;
            }
            return Ok(*slot);
        }
        if is_missing(field, self.na_is_level) {
            return Err(Miss::Empty);
        }
        match &self.mode.levels {
            // numbers can be as many as there are rows: reading one is cheaper than remembering it
            Levels::Binned(_) => resolve(self.mode, field),
            Levels::Counted(n) => match whole(field) {
                Some(i) if i < *n as u64 => u32::try_from(i).map_err(|_| Miss::Unknown),
                _ => resolve(self.mode, field),
            },
            Levels::Listed(_) => {
                if let Some(i) = self.known.get(field) {
                    return Ok(*i);
                }
                let i = resolve(self.mode, field)?;
                self.known.insert(field.into(), i);
                Ok(i)
            }
        }
    }
}

fn resolve(mode: &Mode, field: &[u8]) -> Result<u32, Miss> {
    let text = std::str::from_utf8(field).map_err(|_| Miss::Encoding)?;
    if let Levels::Binned(edges) = &mode.levels {
        let x: f64 = text.parse().map_err(|_| Miss::NotNumber)?;
        let bin = bin(edges, x).ok_or(if x.is_nan() { Miss::NotNumber } else { Miss::OutsideBins })?;
        return u32::try_from(bin).map_err(|_| Miss::Unknown);
    }
    let found = mode.find(&Level::Name(text.to_owned())).ok_or(Miss::Unknown)?;
    u32::try_from(found).map_err(|_| Miss::Unknown)
}

/// The bin that holds `x`: closed on the left, the last one on both sides.
pub(crate) fn bin(edges: &[f64], x: f64) -> Option<usize> {
    let last = edges.len().checked_sub(1)?;
    let below = edges.partition_point(|e| *e <= x);
    if below == last + 1 && edges.last() == Some(&x) {
        return last.checked_sub(1);
    }
    below.checked_sub(1).filter(|i| *i < last)
}

/// Whether `NA` is a declared level, and so not a missing value.
pub(crate) fn na_is_level(levels: &Levels) -> bool {
    matches!(levels, Levels::Listed(levels) if levels.contains(&Level::Name("NA".into())))
}

/// Whether a trimmed field stands for a missing value.
#[inline]
pub(crate) fn is_missing(field: &[u8], na_is_level: bool) -> bool {
    field.is_empty() || (field == b"NA" && !na_is_level)
}

/// A whole number of few enough digits to be exact.
#[inline]
pub(crate) fn whole(field: &[u8]) -> Option<u64> {
    if field.is_empty() || field.len() > 15 {
        return None;
    }
    field.iter().try_fold(0u64, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
}

/// A number as it is written in text.
#[inline]
pub(crate) fn number(field: &[u8]) -> Option<f64> {
    if let Some(n) = whole(field) {
        return Some(n as f64);
    }
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The distinct texts of a column whose levels come from the data.
pub(crate) struct Distinct {
    short: [bool; 256],
    seen: HashSet<Box<[u8]>>,
    order: Vec<String>,
}

impl Distinct {
    pub fn new() -> Self {
        Self { short: [false; 256], seen: HashSet::new(), order: Vec::new() }
    }

    /// Notes a trimmed field that is not missing.
    #[inline]
    pub fn add(&mut self, field: &[u8]) -> Result<(), Miss> {
        if let [byte] = field {
            match self.short.get_mut(usize::from(*byte)) {
                Some(seen) if !*seen => *seen = true,
                _ => return Ok(()),
            }
        } else if self.seen.contains(field) {
            return Ok(());
        }
        let text = std::str::from_utf8(field).map_err(|_| Miss::Encoding)?;
        if field.len() > 1 {
            self.seen.insert(field.into());
        }
        self.order.push(text.to_owned());
        Ok(())
    }

    /// Number of different texts.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Levels in order of appearance; in numeric order when all are numbers.
    pub fn levels(self) -> Levels {
        let numbers: Option<Vec<f64>> = self.order.iter().map(|t| level_number(t)).collect();
        let levels: IndexSet<Level> = match numbers {
            Some(mut numbers) => {
                numbers.sort_by(f64::total_cmp);
                numbers.into_iter().map(Level::Number).collect()
            }
            None => self.order.into_iter().map(Level::Name).collect(),
        };
        Levels::Listed(Arc::new(levels))
    }
}

/// The number that a level is, if it is one.
///
/// Whole numbers from 2⁵³ on are identifiers: taken as numbers, different ones would become the same level.
/// Words such as `inf` and `nan` are names.
fn level_number(text: &str) -> Option<f64> {
    let starts_like_one = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    let x: f64 = text.parse().ok().filter(|_| starts_like_one)?;
    (x.is_finite() && x.abs() < 9_007_199_254_740_992.0).then_some(x)
}

/// The levels of a mode that two tensors bring levels to: those of the first, then what the second adds.
///
/// Numbers are kept in numeric order. Levels that are not lists stay as they are in the first tensor.
pub fn unite(first: &Levels, second: &Levels) -> Levels {
    let (Levels::Listed(a), Levels::Listed(b)) = (first, second) else { return first.clone() };
    let mut levels: IndexSet<Level> = a.iter().chain(b.iter()).cloned().collect();
    let number = |level: &Level| match level {
        Level::Number(x) => Some(*x),
        Level::Name(_) => None,
    };
    if levels.iter().all(|l| number(l).is_some()) {
        levels.sort_by(|x, y| number(x).unwrap_or(0.0).total_cmp(&number(y).unwrap_or(0.0)));
        return Levels::Listed(Arc::new(levels));
    }
    // a number in one table and the same text in the other are one level, and a list has one kind of level
    let names = levels.iter().map(|l| Level::Name(l.label().into_owned())).collect();
    Levels::Listed(Arc::new(names))
}
