//! How many cells masks hide, without writing them out over all modes.

use num_bigint::BigUint;
use num_traits::Zero;

use super::mask::{Factor, Mask, of_predicate};
use super::request::{Literal, MaskClause, Request, Source};
use crate::model::{Mode, Scope};
use crate::text::Span;

/// Most cells of a condition that are looked at before data are read.
const AHEAD: usize = 1 << 22;

/// One part of what a data statement says of unknown cells: a cell is observed when no part hides it.
#[derive(Debug, Clone)]
pub struct Part {
    /// What hides the cells.
    pub source: Hiding,
    /// The modes it is over, by position.
    pub scope: Scope,
    /// How many cells of the tensor it hides; none where that is seen when the data are read.
    pub missing: Option<BigUint>,
    /// The table of a condition on levels.
    factor: Option<Factor>,
}

/// What hides cells.
#[derive(Debug, Clone)]
pub enum Hiding {
    /// A condition, and whether it says which cells are missing or which are observed.
    Where(Span, Meaning),
    /// A file of truth values, and the name of the array in it when one is given.
    File(String, Option<String>, Meaning),
    /// `missing` in a literal.
    Literal,
}

/// What is true of the cells that a part names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// They are missing.
    Missing,
    /// They are observed, and all others missing.
    Observed,
}

impl Meaning {
    fn of(missing: bool) -> Self {
        if missing { Meaning::Missing } else { Meaning::Observed }
    }

    /// The word that a data statement has for it.
    pub fn word(self) -> &'static str {
        match self {
            Meaning::Missing => "missing",
            Meaning::Observed => "observed",
        }
    }
}

/// The parts of the mask of a request whose modes have these levels, before a cell is read.
pub fn parts(request: &Request, modes: &[Mode]) -> Vec<Part> {
    let sizes: Vec<usize> = modes.iter().map(Mode::size).collect();
    let all = Scope::all(modes.len());
    let mut parts = Vec::new();
    for clause in &request.masks {
        match clause {
            MaskClause::File { file, missing, .. } => parts.push(Part {
                source: Hiding::File(
                    file.path.clone(),
                    file.key.as_ref().map(|(k, _)| k.clone()),
                    Meaning::of(*missing),
                ),
                scope: file.axes.iter().copied().collect(),
                missing: None,
                factor: None,
            }),
            MaskClause::Where { factors, .. } => parts.extend(factors.iter().map(|p| {
                let source = Hiding::Where(p.span(), Meaning::of(!p.holds()));
                if p.of_value {
                    return Part { source, scope: all.clone(), missing: None, factor: None };
                }
                let cells = p.scope.iter().try_fold(1usize, |k, m| k.checked_mul(*sizes.get(m)?));
                let small = cells.is_some_and(|n| n <= AHEAD);
                let factor = small.then(|| of_predicate(p, modes).ok()).flatten();
                let missing = factor.as_ref().and_then(|f| missing(std::slice::from_ref(f), &sizes));
                Part { source, scope: p.scope.clone(), missing, factor }
            })),
        }
    }
    if let Source::Literal(literal) = &request.source {
        let count = unknown(literal);
        if count > 0 {
            let missing = Some(BigUint::from(count));
            parts.push(Part { source: Hiding::Literal, scope: all, missing, factor: None });
        }
    }
    parts
}

/// How many cells all parts hide together; none where that is seen when the data are read.
pub fn together(parts: &[Part], modes: &[Mode]) -> Option<BigUint> {
    let sizes: Vec<usize> = modes.iter().map(Mode::size).collect();
    if let [only] = parts {
        return only.missing.clone();
    }
    let factors: Vec<Factor> = parts.iter().map(|p| p.factor.clone()).collect::<Option<_>>()?;
    missing(&factors, &sizes)
}

/// How many cells a mask hides; none where factors that share modes look at too many cells together.
pub fn missing_of(mask: &Mask, sizes: &[usize]) -> Option<BigUint> {
    missing(&mask.factors, sizes)
}

/// Factors that share no mode are counted apart: a cell is observed where each lets it through.
fn missing(factors: &[Factor], sizes: &[usize]) -> Option<BigUint> {
    let mut groups: Vec<(Scope, Vec<Factor>)> = Vec::new();
    for factor in factors {
        let mut group = (factor.scope.clone(), vec![factor.clone()]);
        let (touched, apart): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|(scope, _)| !scope.intersection(&group.0).is_empty());
        for (scope, list) in touched {
            group.0 = group.0.union(&scope);
            group.1.extend(list);
        }
        groups = apart;
        groups.push(group);
    }
    let mut observed = BigUint::from(1u32);
    let mut seen = Scope::empty();
    for (scope, factors) in groups {
        let table = Mask { factors }.over(&scope, sizes)?;
        observed *= table.iter().filter(|o| **o).count();
        seen = seen.union(&scope);
    }
    let rest = (0..sizes.len()).filter(|m| !seen.contains(*m));
    observed *= rest.map(|m| BigUint::from(sizes[m])).product::<BigUint>();
    let cells: BigUint = sizes.iter().map(|n| BigUint::from(*n)).product();
    Some(if cells > observed { cells - observed } else { BigUint::zero() })
}

/// How many cells a literal calls missing.
fn unknown(literal: &Literal) -> usize {
    match literal {
        Literal::Missing(_) => 1,
        Literal::Number(..) => 0,
        Literal::List(items, _) => items.iter().map(unknown).sum(),
    }
}
