//! What a mask leaves undetermined.
//!
//! ln Q(x) = Σ_g λ_g(x_g) is a row F_x of a matrix of zeros and ones times the potentials. The observed
//! cells fix the potentials up to the null space of their rows, so a cell is determined if and only if
//! its own row lies in the row space of the observed ones. This asks only which cells are observed, not
//! what their values are. It is decided in three steps, each exact:
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

use std::collections::BTreeMap;

use num_bigint::BigUint;
use num_traits::{One, Zero};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

use super::bits::Bits;
use crate::model::Scope;
use crate::model::table::{offsets, strides};
use crate::plan::count::parameters_of;
use crate::plan::hypergraph::maximal;
use crate::run::control::Stop;
use crate::run::modular::inverse;

/// 2³¹ − 1.
const PRIME: u64 = (1 << 31) - 1;

/// Most columns that are eliminated densely.
const DENSE: usize = 6000;

/// Most columns in all.
const COLUMNS: usize = 1 << 21;

/// Cubes that are tried for a cell, in each round.
const CUBES: usize = 64;

/// Why it is not known what a mask determines when the search was cut short.
const CUT_SHORT: &str = "the search for what the mask determines was cut short";

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

/// As [`identify`], for rows given as lists of columns: which of `every` lie in the space of `seen`, and the
/// rank of those.
///
/// # Errors
/// Why it is not known.
pub fn by_rows(
    seen: &[Vec<usize>],
    columns: usize,
    every: &[Vec<usize>],
    stop: &Stop,
) -> Result<(Vec<bool>, usize), String> {
    let mut echelon = Echelon::new(columns, stop);
    for row in seen {
        echelon.insert(row)?;
    }
    echelon.pack()?;
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(0x6d62_6120_6d61_736b);
    let vectors = [echelon.null(&mut stream), echelon.null(&mut stream)];
    let inside = every.par_iter().map(|r| vectors.iter().all(|v| vanishes(v, r))).collect();
    Ok((inside, echelon.rank()))
}

/// The space that rows of zeros and ones span, rows being given as lists of columns.
pub struct Span {
    /// Two random vectors that every row sends to zero.
    vectors: [Vec<u32>; 2],
    /// Its dimension.
    pub rank: usize,
}

impl Span {
    /// The space of `rows` rows over so many columns. Only rows that are not in the space of those before are
    /// eliminated; O(rows) for each round besides.
    ///
    /// # Errors
    /// Why it is not known: the elimination would be too large.
    pub fn of(
        rows: usize,
        row: impl Fn(usize) -> Vec<usize> + Sync,
        columns: usize,
        stop: &Stop,
    ) -> Result<Span, String> {
        if columns > COLUMNS {
            return Err(format!("the mask is not analysed for more than {COLUMNS} parameters"));
        }
        let mut echelon = Echelon::new(columns, stop);
        // rows that bring a column nobody has seen need no test
        let mut seen = vec![false; columns];
        for r in (0..rows).map(&row) {
            if r.iter().any(|c| !seen[*c]) {
                r.iter().for_each(|c| seen[*c] = true);
                echelon.insert(&r)?;
            }
        }
        let mut stream = Xoshiro256PlusPlus::seed_from_u64(0x6d62_6120_6d61_736b);
        let vectors = loop {
            echelon.pack()?;
            let vectors = [echelon.null(&mut stream), echelon.null(&mut stream)];
            let outside = |r: &usize| vectors.iter().any(|v| !vanishes(v, &row(*r)));
            let wrong: Vec<usize> = (0..rows).into_par_iter().filter(outside).collect();
            if wrong.is_empty() {
                break vectors;
            }
            // spread over all of them, so that most of a batch is independent
            let step = wrong.len().div_ceil(512);
            for r in wrong.iter().step_by(step) {
                echelon.insert(&row(*r))?;
            }
        };
        Ok(Span { vectors, rank: echelon.rank() })
    }

    /// Whether a row lies in the space.
    pub fn holds(&self, row: &[usize]) -> bool {
        self.vectors.iter().all(|v| vanishes(v, row))
    }
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
        let mut columns = 0;
        let mut indices = Vec::new();
        // the smallest table comes last: what is left after the others is eliminated densely
        let mut order: Vec<&Scope> = self.generators.iter().collect();
        order.sort_by_key(|g| std::cmp::Reverse(self.index(g).1));
        for generator in order {
            let (at, cells) = self.index(generator);
            indices.push((at, columns));
            columns += cells;
        }
        let row = |k: usize| -> Vec<usize> { indices.iter().map(|(at, start)| start + at(k)).collect() };
        let observed: Vec<usize> = self.rows().collect();
        let span = Span::of(observed.len(), |r| row(observed[r]), columns, stop)?;
        let determined =
            known.par_iter().enumerate().map(|(k, known)| *known || span.holds(&row(k))).collect();
        Ok(Found { determined: Some(determined), rank: span.rank })
    }

    /// [`Class::cubes`] with rows along the longest axis, so that there are few of them.
    fn by_longest(&self, stop: &Stop) -> Result<Option<Vec<bool>>, String> {
        let mut order: Vec<usize> = (0..self.shape.len()).collect();
        let longest = order.iter().rposition(|a| self.shape.get(*a) == self.shape.iter().max());
        let Some(longest) = longest.filter(|a| a + 1 < order.len()) else { return self.cubes(stop) };
        order.remove(longest);
        order.push(longest);
        let steps = strides(self.shape);
        let axes: Vec<(usize, usize)> = order.iter().map(|a| (self.shape[*a], steps[*a])).collect();
        let places: Vec<usize> = offsets(&axes).collect();
        let place = |a: usize| order.iter().position(|b| a == *b);
        let turned = Class {
            shape: &axes.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
            observed: &places.iter().map(|at| self.observed[*at]).collect::<Vec<_>>(),
            generators: self.generators.iter().map(|g| g.iter().filter_map(place).collect()).collect(),
        };
        let Some(found) = turned.cubes(stop)? else { return Ok(None) };
        let mut known = vec![false; found.len()];
        places.into_iter().zip(found).for_each(|(at, found)| known[at] = found);
        Ok(Some(known))
    }

    /// Cells that follow from observed ones by completing cubes, round after round; none when all do. Sound,
    /// and for masks that leave enough cells complete. A whole row of the last axis is completed at a time:
    /// what is known in all other rows of a cube over the other axes follows in this one, if the last axis is no
    /// part of the set or if one of these cells is known here. O(cubes tried × words of a row).
    fn cubes(&self, stop: &Stop) -> Result<Option<Vec<bool>>, String> {
        let last = self.shape.len().saturating_sub(1);
        let mut known = Bits::of(self.observed, self.shape.last().copied().unwrap_or(1));
        let sets = self.nonfaces();
        let steps = strides(&self.shape[..last]);
        let sides: Vec<(Vec<(usize, usize)>, bool)> = sets
            .iter()
            .map(|set| {
                let outer = set.iter().filter(|a| **a != last).map(|a| (self.shape[*a], steps[*a]));
                (outer.collect(), set.contains(&last))
            })
            .collect();
        let full = known.full();
        let mut waiting: Vec<usize> = (0..known.rows()).filter(|r| *known.row(*r) != *full).collect();
        let (mut corner, mut shifts) = (full.clone(), Vec::new());
        let mut changed = !sides.is_empty();
        while changed && !waiting.is_empty() {
            changed = false;
            waiting.retain(|row| {
                if stop.asked() {
                    return true;
                }
                let mut stream = Stream(*row as u64);
                for _ in 0..CUBES {
                    for (outer, along) in &sides {
                        shifts.clear();
                        shifts.extend(outer.iter().map(|(n, step)| {
                            let here = row / step % n;
                            let other = (here + 1 + stream.below(n - 1)) % n;
                            (other as isize - here as isize) * *step as isize
                        }));
                        corner.copy_from_slice(&full);
                        for bits in 1..1usize << shifts.len() {
                            let moved = shifts.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1);
                            let at = row.wrapping_add_signed(moved.map(|(_, s)| s).sum());
                            corner.iter_mut().zip(known.row(at)).for_each(|(c, k)| *c &= k);
                        }
                        let own = known.row_mut(*row);
                        let follows = !along || corner.iter().zip(&*own).any(|(c, k)| c & k != 0);
                        if follows && corner.iter().zip(&*own).any(|(c, k)| c & !k != 0) {
                            own.iter_mut().zip(&corner).for_each(|(k, c)| *k |= c);
                            changed = true;
                        }
                    }
                    if *known.row(*row) == *full {
                        return false;
                    }
                }
                true
            });
            if stop.asked() {
                return Err(CUT_SHORT.into());
            }
        }
        Ok((!waiting.is_empty()).then(|| known.cells()))
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

fn vanishes(v: &[u32], row: &[usize]) -> bool {
    row.iter().map(|c| u64::from(v[*c])).sum::<u64>().is_multiple_of(PRIME)
}

/// Rows in echelon form modulo [`PRIME`]: sparse by their first column as long as they are short, and dense
/// over the columns that are left.
struct Echelon<'a> {
    columns: usize,
    stop: &'a Stop,
    sparse: BTreeMap<usize, Vec<(usize, u32)>>,
    /// Rows that have become long, waiting to be made dense.
    long: Vec<Vec<(usize, u32)>>,
    /// The columns of dense rows.
    core: Vec<usize>,
    place: Vec<usize>,
    dense: Vec<(usize, Vec<u32>)>,
}

/// Entries beyond which a row counts as long.
const LONG: usize = 64;

impl<'a> Echelon<'a> {
    fn new(columns: usize, stop: &'a Stop) -> Self {
        Self {
            columns,
            stop,
            sparse: BTreeMap::new(),
            long: Vec::new(),
            core: Vec::new(),
            place: vec![usize::MAX; columns],
            dense: Vec::new(),
        }
    }

    fn rank(&self) -> usize {
        self.sparse.len() + self.dense.len()
    }

    fn insert(&mut self, row: &[usize]) -> Result<(), String> {
        let mut row: Vec<(usize, u32)> = row.iter().map(|c| (*c, 1)).collect();
        row.sort_unstable();
        // tables that are tied share columns, and a cell may see one of them twice
        row.dedup_by(|more, kept| {
            let same = more.0 == kept.0;
            kept.1 += u32::from(same) * more.1;
            same
        });
        if self.stop.asked() {
            return Err(CUT_SHORT.into());
        }
        while let Some((lead, value)) = row.first().copied() {
            let Some(pivot) = self.sparse.get(&lead) else {
                if row.len() > LONG || self.place[lead] != usize::MAX {
                    self.long.push(row);
                } else {
                    let inverse = inverse(u64::from(value), PRIME);
                    row.iter_mut().for_each(|(_, v)| *v = narrow(times(u64::from(*v), inverse)));
                    self.sparse.insert(lead, row);
                }
                return Ok(());
            };
            row = minus(&row, pivot, u64::from(value));
        }
        Ok(())
    }

    /// Reduces the long rows among each other over the columns that no sparse row leads.
    fn pack(&mut self) -> Result<(), String> {
        // a column that a sparse row leads after all is cleared from the long rows first
        let mut waiting = std::mem::take(&mut self.long);
        waiting.par_iter_mut().for_each(|row| {
            let mut from = 0;
            while let Some((c, v)) = row.get(from).copied() {
                match self.sparse.get(&c) {
                    Some(pivot) => {
                        let rest = minus(&row[from..], pivot, u64::from(v));
                        row.truncate(from);
                        row.extend(rest);
                    }
                    None => from += 1,
                }
            }
        });
        for row in &waiting {
            for (c, _) in row {
                if self.place[*c] == usize::MAX {
                    self.place[*c] = self.core.len();
                    self.core.push(*c);
                }
            }
        }
        if self.core.len() > DENSE {
            return Err(format!(
                "the mask ties more than {DENSE} parameters together, which is more than is eliminated"
            ));
        }
        let width = self.core.len();
        self.dense.iter_mut().for_each(|(_, r)| r.resize(width, 0));
        let mut fresh: Vec<Vec<u32>> = waiting
            .iter()
            .map(|row| {
                let mut dense = vec![0u32; width];
                row.iter().for_each(|(c, v)| dense[self.place[*c]] = *v);
                dense
            })
            .collect();
        fresh.par_iter_mut().for_each(|row| self.dense.iter().for_each(|(lead, r)| clear(row, *lead, r)));
        while let Some(mut row) = fresh.pop() {
            if self.stop.asked() {
                return Err(CUT_SHORT.into());
            }
            let Some(lead) = row.iter().position(|v| *v != 0) else { continue };
            let inverse = inverse(u64::from(row[lead]), PRIME);
            row.iter_mut().for_each(|v| *v = narrow(times(u64::from(*v), inverse)));
            fresh.par_iter_mut().for_each(|other| clear(other, lead, &row));
            self.dense.push((lead, row));
        }
        Ok(())
    }

    /// A random vector that every row sends to zero.
    fn null(&self, stream: &mut Xoshiro256PlusPlus) -> Vec<u32> {
        let mut v: Vec<u32> = (0..self.columns).map(|_| narrow(stream.next_u64() % PRIME)).collect();
        // a dense row has nothing at the leads of those before it
        for (lead, row) in self.dense.iter().rev() {
            let sum: u64 = row
                .iter()
                .zip(&self.core)
                .enumerate()
                .filter(|(i, (r, _))| i != lead && **r != 0)
                .map(|(_, (r, c))| times(u64::from(*r), u64::from(v[*c])))
                .sum();
            v[self.core[*lead]] = narrow((PRIME - sum % PRIME) % PRIME);
        }
        for (lead, row) in self.sparse.iter().rev() {
            let sum: u64 = row.iter().skip(1).map(|(c, r)| times(u64::from(*r), u64::from(v[*c]))).sum();
            v[*lead] = narrow((PRIME - sum % PRIME) % PRIME);
        }
        v
    }
}

/// `row − factor · pivot`, where the pivot has a one where the row leads.
fn minus(row: &[(usize, u32)], pivot: &[(usize, u32)], factor: u64) -> Vec<(usize, u32)> {
    let back = PRIME - factor;
    let mut out = Vec::with_capacity(row.len() + pivot.len());
    let (mut i, mut j) = (0, 0);
    while i < row.len() || j < pivot.len() {
        let (c, d) = (row.get(i).map_or(usize::MAX, |r| r.0), pivot.get(j).map_or(usize::MAX, |p| p.0));
        let mut value = 0;
        if c <= d {
            value += u64::from(row[i].1);
            i += 1;
        }
        if d <= c {
            value += times(u64::from(pivot[j].1), back);
            j += 1;
        }
        if value % PRIME != 0 {
            out.push((c.min(d), narrow(value % PRIME)));
        }
    }
    out
}

/// Makes `row` zero at `lead` with a row that has a one there.
fn clear(row: &mut [u32], lead: usize, pivot: &[u32]) {
    let factor = u64::from(row[lead]);
    if factor == 0 {
        return;
    }
    let back = PRIME - factor;
    for (r, p) in row.iter_mut().zip(pivot) {
        // below 2⁶²: folded twice it is below 2³¹ + 1
        let x = u64::from(*r) + back * u64::from(*p);
        let x = (x & PRIME) + (x >> 31);
        let x = (x & PRIME) + (x >> 31);
        *r = if x >= PRIME { (x - PRIME) as u32 } else { x as u32 };
    }
}

fn times(a: u64, b: u64) -> u64 {
    a * b % PRIME
}

fn narrow(x: u64) -> u32 {
    u32::try_from(x).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rank of all rows, and which cells lie in their space, by plain elimination over fractions kept
    /// as numbers modulo another prime.
    fn brute(generators: &[Scope], sizes: &[usize], observed: &[bool]) -> (Vec<bool>, usize) {
        const P: u64 = 1_000_003;
        let inverse = |a: u64| {
            let (mut base, mut e, mut out) = (a % P, P - 2, 1);
            while e > 0 {
                if e & 1 == 1 {
                    out = out * base % P;
                }
                base = base * base % P;
                e >>= 1;
            }
            out
        };
        let all = strides(sizes);
        let row = |k: usize| {
            let mut out = Vec::new();
            for g in generators {
                let shape: Vec<usize> = g.iter().map(|a| sizes[a]).collect();
                let at = g.iter().fold(0, |at, a| at * sizes[a] + k / all[a] % sizes[a]);
                let mut part = vec![0u64; shape.iter().product()];
                part[at] = 1;
                out.extend(part);
            }
            out
        };
        let mut basis: Vec<(usize, Vec<u64>)> = Vec::new();
        let reduce = |basis: &[(usize, Vec<u64>)], mut r: Vec<u64>| {
            for (lead, b) in basis {
                let f = r[*lead];
                r.iter_mut().zip(b).for_each(|(r, b)| *r = (*r + (P - f) * b) % P);
            }
            r
        };
        for k in (0..observed.len()).filter(|k| observed[*k]) {
            let mut r = reduce(&basis, row(k));
            if let Some(lead) = r.iter().position(|v| *v != 0) {
                let i = inverse(r[lead]);
                r.iter_mut().for_each(|v| *v = *v * i % P);
                basis.push((lead, r));
            }
        }
        let inside = (0..observed.len()).map(|k| reduce(&basis, row(k)).iter().all(|v| *v == 0)).collect();
        (inside, basis.len())
    }

    #[test]
    fn agrees_with_elimination_of_every_row() {
        agrees([4, 3, 5]);
        // the longest axis is not the last
        agrees([3, 5, 4]);
    }

    fn agrees(sizes: [usize; 3]) {
        let mut stream = Xoshiro256PlusPlus::seed_from_u64(7);
        let classes: [&[&[usize]]; 6] = [
            &[&[0], &[1], &[2]],
            &[&[0, 1], &[2]],
            &[&[0, 1], &[1, 2]],
            &[&[0, 1], &[1, 2], &[0, 2]],
            &[&[0, 2], &[1]],
            &[&[0, 1, 2]],
        ];
        let masks: [&[usize]; 4] = [&[0, 1, 2], &[0, 2], &[1], &[0, 1]];
        for class in classes {
            let generators: Vec<Scope> = class.iter().map(|g| g.iter().copied().collect()).collect();
            for modes in masks {
                let masked: Scope = modes.iter().copied().collect();
                let shape: Vec<usize> = modes.iter().map(|m| sizes[*m]).collect();
                for density in [0.2, 0.4, 0.6, 0.9] {
                    let draw = |s: &mut Xoshiro256PlusPlus| (s.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                    let own: Vec<bool> =
                        (0..shape.iter().product()).map(|_| draw(&mut stream) < density).collect();
                    let all = strides(&sizes);
                    let place =
                        |k: usize| modes.iter().fold(0, |at, m| at * sizes[*m] + k / all[*m] % sizes[*m]);
                    let observed: Vec<bool> = (0..60).map(|k| own[place(k)]).collect();
                    let (inside, rank) = brute(&generators, &sizes, &observed);
                    let found =
                        identify(&generators, &sizes, &masked, &own, &Stop::default()).expect("small");
                    let determined = found.determined.unwrap_or_else(|| vec![true; own.len()]);
                    let cells: Vec<bool> = (0..60).map(|k| determined[place(k)]).collect();
                    assert_eq!(cells, inside, "{class:?} masked over {modes:?} at {density}");
                    assert_eq!(
                        found.rank,
                        BigUint::from(rank),
                        "{class:?} masked over {modes:?} at {density}"
                    );
                }
            }
        }
    }
}
