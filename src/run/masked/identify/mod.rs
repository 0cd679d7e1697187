//! What a mask leaves undetermined.
//!
//! ln Q(x) = Σ_g λ_g(x_g) is a row F_x of a matrix of zeros and ones times the potentials. The observed
//! cells fix the potentials up to the null space of their rows, so a cell is determined if and only if
//! its own row lies in the row space of the observed ones. This asks only which cells are observed, not
//! what their values are. It is decided in three steps:
//!
//! 1. Modes that no mask and no condition looks at are fully crossed with the others. Splitting every
//!    table into its parts over them shows that a cell is determined if and only if it is in each of the
//!    smaller classes {g ∩ M : g ⊇ S}, S running over sets of those modes: only the masked modes M are
//!    ever listed.
//! 2. Two generators or fewer: connected components of a bipartite graph.
//! 3. More: a cell follows from others that complete a cube, the signed sum over a set of modes that is in
//!    no generator. What no cube reaches is settled by elimination modulo the prime 2³¹ − 1, with two
//!    random vectors of the null space; a cell is determined when both vanish there. Arithmetic modulo a
//!    prime errs only if the prime divides a minor of the matrix, and the vectors with odds of 2⁻⁶².
//!
//! Observed cells that are scattered fill the elimination in. Where it takes long, random vectors are projected
//! onto the null space in doubles, which tells what is determined as far as rounding allows, and the elimination is
//! that of all cells that seem to be: far more than the observed ones, so many that hardly anything is left to
//! eliminate. It proves that what lies outside is not determined, and finds the rank. That what lies inside is
//! determined rests on the doubles: a vector of the null space that some such cell sees would have to be missed by all of
//! the random ones, or be a billion times smaller there than elsewhere with nothing in between.

mod cubes;
mod design;
mod echelon;
mod face;
mod lead;
mod peel;
mod project;
mod span;
mod sparse;

use std::collections::BTreeMap;

use num_bigint::BigUint;
use num_traits::{One, Zero};

pub use face::{Limit, limits};
pub use span::{Listed, Span, by_rows};

use super::bits::Bits;
use crate::model::Scope;
use crate::model::table::{offsets, strides};
use crate::numeric::share;
use crate::plan::count::parameters_of;
use crate::plan::hypergraph::maximal;
use crate::run::control::Stop;

/// Why it is not known what a mask determines when the search was cut short.
pub(super) const CUT_SHORT: &str = "the search for what the mask determines was cut short";

/// Rows from which asking where each of them lies is worth sharing.
const MANY: usize = 1 << 14;

/// Sets of crossed modes that are looked at.
const SETS: usize = 1 << 16;

/// What the observed cells determine.
#[derive(Debug, Clone)]
pub struct Identified {
    /// One truth value per cell of the masked modes: whether the cells there are determined. None when all
    /// are.
    pub determined: Option<Vec<bool>>,
    /// The rank of the observed rows: the dimension of the model on the observed cells.
    pub rank: BigUint,
}

/// Looks at the class of `generators` over modes of `sizes`, of which `observed` says, row-major over
/// `masked`, where cells are observed (or possible).
///
/// # Errors
/// Why it is not known: the elimination would be too large, or it was asked to stop.
pub fn identify(
    generators: &[Scope],
    sizes: &[usize],
    masked: &Scope,
    observed: &[bool],
    stop: &Stop,
) -> Result<Identified, String> {
    let generators = maximal(generators);
    let mut classes: BTreeMap<Vec<Scope>, BigUint> = BTreeMap::new();
    for crossed in crossed_sets(&generators, masked)? {
        let own = generators.iter().filter(|g| crossed.is_subset(g)).map(|g| g.intersection(masked));
        let class = maximal(&own.collect::<Vec<_>>());
        let copies: BigUint =
            crossed.iter().map(|m| BigUint::from(sizes.get(m).map_or(0, |n| n - 1))).product();
        *classes.entry(class).or_insert_with(BigUint::zero) += copies;
    }
    let shape: Vec<usize> = masked.iter().filter_map(|m| sizes.get(m).copied()).collect();
    let mut determined: Option<Vec<bool>> = None;
    let mut rank = BigUint::zero();
    for (class, copies) in classes {
        let axes: Vec<Scope> =
            class.iter().map(|g| g.iter().filter_map(|m| masked.position(m)).collect()).collect();
        let found = Class { shape: &shape, observed, generators: axes }.settle(stop)?;
        determined = match (determined, found.determined) {
            (Some(mut all), Some(more)) => {
                all.iter_mut().zip(more).for_each(|(d, f)| *d &= f);
                Some(all)
            }
            (all, more) => all.or(more),
        };
        rank += copies * BigUint::from(found.rank);
    }
    Ok(Identified { determined, rank })
}

/// Sets of modes outside `masked` that lie in some generator, the empty one included.
fn crossed_sets(generators: &[Scope], masked: &Scope) -> Result<Vec<Scope>, String> {
    let mut sets = std::collections::BTreeSet::from([Scope::empty()]);
    for generator in generators {
        let free: Vec<usize> = generator.difference(masked).iter().collect();
        if free.len() > 16 || sets.len() > SETS {
            return Err("the model has too many interactions for the analysis of its mask".into());
        }
        for bits in 0..1usize << free.len() {
            sets.insert(
                free.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, m)| *m).collect(),
            );
        }
    }
    Ok(sets.into_iter().collect())
}

struct Found {
    /// None when all are.
    determined: Option<Vec<bool>>,
    rank: usize,
}

/// A generating class over the axes of a table of observed cells.
struct Class<'a> {
    shape: &'a [usize],
    observed: &'a [bool],
    generators: Vec<Scope>,
}

impl Class<'_> {
    fn settle(&self, stop: &Stop) -> Result<Found, String> {
        let any = self.observed.contains(&true);
        match self.generators.as_slice() {
            [] => {
                let determined = (!any).then(|| vec![false; self.observed.len()]);
                Ok(Found { determined, rank: usize::from(any) })
            }
            [only] => {
                let (at, cells) = self.index(only);
                let mut seen = vec![false; cells];
                self.rows().for_each(|k| seen[at(k)] = true);
                let rank = seen.iter().filter(|s| **s).count();
                let determined = (0..self.observed.len()).map(|k| seen[at(k)]).collect();
                Ok(Found { determined: (rank < cells).then_some(determined), rank })
            }
            [a, b] => Ok(self.connected(a, b).unwrap_or_else(|| self.components(a, b))),
            _ => self.general(stop),
        }
    }

    fn rows(&self) -> impl Iterator<Item = usize> {
        self.observed.iter().enumerate().filter(|(_, o)| **o).map(|(k, _)| k)
    }

    /// From the place of a cell to its place in the table of a generator, and the size of that.
    fn index(&self, generator: &Scope) -> (impl Fn(usize) -> usize + Sync + use<>, usize) {
        let all = strides(self.shape);
        let sizes: Vec<usize> = generator.iter().map(|a| self.shape[a]).collect();
        let own = strides(&sizes);
        let parts: Vec<(usize, usize, usize)> =
            generator.iter().zip(&sizes).zip(&own).map(|((a, n), s)| (all[a], *n, *s)).collect();
        let cells = sizes.iter().product();
        (move |k: usize| parts.iter().map(|(stride, n, own)| k / stride % n * own).sum(), cells)
    }

    /// Two generators that part the axes in the order of the cells, where everything is one component: rows
    /// that share a column with what has been reached, again and again.
    fn connected(&self, a: &Scope, b: &Scope) -> Option<Found> {
        let (rows, columns) = if a.contains(0) { (a, b) } else { (b, a) };
        if !(rows.iter().eq(0..rows.len()) && columns.iter().eq(rows.len()..self.shape.len())) {
            return None;
        }
        let bits = Bits::of(self.observed, self.shape[rows.len()..].iter().product());
        let mut reached = bits.row(0).to_vec();
        let mut waiting: Vec<usize> = (1..bits.rows()).collect();
        loop {
            let before = waiting.len();
            waiting.retain(|r| {
                let row = bits.row(*r);
                let apart = row.iter().zip(&reached).all(|(r, s)| r & s == 0);
                if !apart {
                    reached.iter_mut().zip(row).for_each(|(s, r)| *s |= r);
                }
                apart
            });
            if waiting.is_empty() {
                let columns: usize = self.shape[rows.len()..].iter().product();
                let rank = bits.rows() + columns - 1;
                return (reached == bits.full()).then_some(Found { determined: None, rank });
            }
            if waiting.len() == before {
                return None;
            }
        }
    }

    /// Two generators: observed cells are the edges of a bipartite graph between their cells, and what lies
    /// in one component is known from any cell of it.
    fn components(&self, a: &Scope, b: &Scope) -> Found {
        let ((left, n), (right, m)) = (self.index(a), self.index(b));
        let mut parent: Vec<usize> = (0..n + m).collect();
        let mut touched = vec![false; n + m];
        let mut joined = 0;
        for k in self.rows() {
            let (i, j) = (left(k), n + right(k));
            (touched[i], touched[j]) = (true, true);
            let (i, j) = (root(&mut parent, i), root(&mut parent, j));
            if i != j {
                parent[i] = j;
                joined += 1;
            }
            if joined + 1 == n + m {
                // one component of everything
                return Found { determined: None, rank: joined };
            }
        }
        let determined = (0..self.observed.len())
            .map(|k| {
                let (i, j) = (left(k), n + right(k));
                touched[i] && touched[j] && root(&mut parent, i) == root(&mut parent, j)
            })
            .collect();
        // a forest has one edge for each time two components became one
        Found { determined: Some(determined), rank: joined }
    }

    fn general(&self, stop: &Stop) -> Result<Found, String> {
        let Some(known) = self.by_longest(stop)? else {
            let full = parameters_of(&self.generators, self.shape) + BigUint::one();
            let rank = usize::try_from(full).map_err(|_| "the model is too large".to_string())?;
            return Ok(Found { determined: None, rank });
        };
        let (row, columns) = self.columns();
        let observed: Vec<u32> = self.rows().filter_map(|k| u32::try_from(k).ok()).collect();
        let seen = Listed { count: observed.len(), of: &|r| row(observed[r] as usize) };
        let span = Span::of(seen, columns, Listed { count: known.len(), of: &row }, stop)?;
        let of = |k: usize| known[k] || span.holds(&row(k));
        let determined = share::pieces(known.len() >= MANY, known.len(), of);
        Ok(Found { determined: Some(determined), rank: span.rank })
    }

    /// From the place of a cell to its columns, one for each generator, and how many columns there are.
    fn columns(&self) -> (impl Fn(usize) -> Vec<usize> + Sync + use<>, usize) {
        // the smallest table comes last: what is left after the others is eliminated densely
        let mut order: Vec<(&Scope, usize)> = self.generators.iter().map(|g| (g, self.index(g).1)).collect();
        order.sort_by_key(|(_, cells)| std::cmp::Reverse(*cells));
        let (mut starts, mut columns) = (Vec::new(), 0);
        let mut steps = vec![Vec::new(); self.shape.len()];
        for (generator, cells) in order {
            starts.push(columns);
            columns += cells;
            let sizes: Vec<usize> = generator.iter().map(|a| self.shape[a]).collect();
            steps.iter_mut().for_each(|own| own.push(0));
            for (a, step) in generator.iter().zip(strides(&sizes)) {
                steps[a].pop();
                steps[a].push(step);
            }
        }
        // from the last axis to the first, each level being looked at once
        let axes: Vec<(usize, Vec<usize>)> = self.shape.iter().copied().zip(steps).rev().collect();
        let row = move |mut k: usize| {
            let mut row = starts.clone();
            for (n, steps) in &axes {
                let level = k % n;
                k /= n;
                row.iter_mut().zip(steps).for_each(|(at, step)| *at += level * step);
            }
            row
        };
        (row, columns)
    }

    /// [`cubes::complete`] with rows along the longest axis, so that there are few of them.
    fn by_longest(&self, stop: &Stop) -> Result<Option<Vec<bool>>, String> {
        let mut order: Vec<usize> = (0..self.shape.len()).collect();
        let longest = order.iter().rposition(|a| self.shape.get(*a) == self.shape.iter().max());
        let Some(longest) = longest.filter(|a| a + 1 < order.len()) else {
            return cubes::complete(self.shape, self.observed, &self.nonfaces(), stop);
        };
        order.remove(longest);
        order.push(longest);
        let steps = strides(self.shape);
        let axes: Vec<(usize, usize)> = order.iter().map(|a| (self.shape[*a], steps[*a])).collect();
        let place = |a: usize| order.iter().position(|b| a == *b);
        let turned = Class {
            shape: &axes.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
            observed: &offsets(&axes).map(|at| self.observed[at]).collect::<Vec<_>>(),
            generators: self.generators.iter().map(|g| g.iter().filter_map(place).collect()).collect(),
        };
        let found = cubes::complete(turned.shape, turned.observed, &turned.nonfaces(), stop)?;
        let Some(found) = found else { return Ok(None) };
        let mut known = vec![false; found.len()];
        offsets(&axes).zip(found).for_each(|(at, found)| known[at] = found);
        Ok(Some(known))
    }

    /// The smallest sets of axes that lie in no generator, of at most six axes with two levels or more.
    fn nonfaces(&self) -> Vec<Vec<usize>> {
        let axes: Vec<usize> = (0..self.shape.len()).filter(|a| self.shape[*a] > 1).collect();
        let mut found: Vec<Vec<usize>> = Vec::new();
        let mut layer: Vec<Vec<usize>> = vec![Vec::new()];
        for _ in 0..6 {
            let mut next = Vec::new();
            for set in &layer {
                for a in axes.iter().filter(|a| set.last().is_none_or(|l| *l < **a)) {
                    let mut larger = set.clone();
                    larger.push(*a);
                    if found.iter().any(|f| f.iter().all(|x| larger.contains(x))) {
                        continue;
                    }
                    let scope: Scope = larger.iter().copied().collect();
                    let face = self.generators.iter().any(|g| scope.is_subset(g));
                    if face { next.push(larger) } else { found.push(larger) }
                }
            }
            layer = next;
            if layer.len() > 4096 {
                break;
            }
        }
        found
    }
}

/// Numbers that look random (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195).
struct Stream(u64);

impl Stream {
    /// A number below `n`, which is small.
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = (z ^ (z >> 31)) >> 32;
        ((z * n as u64) >> 32) as usize
    }
}

fn root(parent: &mut [usize], mut i: usize) -> usize {
    while parent[i] != i {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    i
}

#[cfg(test)]
mod tests;
