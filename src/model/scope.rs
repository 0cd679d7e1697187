//! Sets of modes.

use std::fmt;

/// A set of modes, by their position in a model, kept sorted.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Scope(Vec<usize>);

impl Scope {
    /// The empty set.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The set `{0, …, n−1}`.
    pub fn all(n: usize) -> Self {
        Self((0..n).collect())
    }

    /// The modes in increasing order.
    pub fn modes(&self) -> &[usize] {
        &self.0
    }

    /// The modes in increasing order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator + '_ {
        self.0.iter().copied()
    }

    /// Number of modes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `mode` is in the set.
    pub fn contains(&self, mode: usize) -> bool {
        self.0.binary_search(&mode).is_ok()
    }

    /// The position of `mode` within the set, which is its axis in a [`super::Table`].
    pub fn position(&self, mode: usize) -> Option<usize> {
        self.0.binary_search(&mode).ok()
    }

    /// Whether every mode of `self` is in `other`.
    pub fn is_subset(&self, other: &Scope) -> bool {
        self.0.iter().all(|m| other.contains(*m))
    }

    /// Modes of either.
    #[must_use]
    pub fn union(&self, other: &Scope) -> Scope {
        self.iter().chain(other.iter()).collect()
    }

    /// Modes of both.
    #[must_use]
    pub fn intersection(&self, other: &Scope) -> Scope {
        Scope(self.0.iter().copied().filter(|m| other.contains(*m)).collect())
    }

    /// Modes of `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Scope) -> Scope {
        Scope(self.0.iter().copied().filter(|m| !other.contains(*m)).collect())
    }

    /// The set without one mode.
    #[must_use]
    pub fn without(&self, mode: usize) -> Scope {
        Scope(self.0.iter().copied().filter(|m| *m != mode).collect())
    }
}

impl FromIterator<usize> for Scope {
    fn from_iter<I: IntoIterator<Item = usize>>(modes: I) -> Self {
        let mut modes: Vec<usize> = modes.into_iter().collect();
        modes.sort_unstable();
        modes.dedup();
        Self(modes)
    }
}

impl<const N: usize> From<[usize; N]> for Scope {
    fn from(modes: [usize; N]) -> Self {
        modes.into_iter().collect()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.0).finish()
    }
}
