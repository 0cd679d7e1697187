//! What the observed cells of all tensors determine together, without a list of their rows.
//!
//! A tensor whose observed cells determine all of its cells by themselves spans what all of its cells do, and of those
//! the cells suffice that are at the first level of every mode outside one table: every row of a table is a signed sum
//! of theirs. The same is true of modes that a mask does not look at. What is left to eliminate are the other
//! tensors, of which observed cells count by their places, and rows are made when they are asked for.

use std::collections::BTreeSet;

use num_bigint::BigUint;

use super::Domain;
use super::identify::through;
use crate::data::mask::LISTED;
use crate::model::Scope;
use crate::model::table::{offsets, strides};
use crate::plan::rows::Tables;
use crate::run::control::Stop;
use crate::run::masked::Knowledge;
use crate::run::masked::identify::{Listed, Span, identify};
use crate::run::masked::truth::Truth;
use crate::run::projection::Projection;
use crate::run::support::each_cell;

/// The parameters of the cells of a tensor, the level among them.
pub(super) struct Cells<'a> {
    own: &'a Tables,
    /// For each table and each of its modes: the stride among all cells, the number of levels, and the stride in the table.
    steps: Vec<Vec<(usize, usize, usize)>>,
}

impl<'a> Cells<'a> {
    /// Of a tensor with so many levels of each mode.
    pub fn new(own: &'a Tables, sizes: &[usize]) -> Self {
        let all = strides(sizes);
        let of = |scope: &Scope, shape: &[usize]| -> Vec<(usize, usize, usize)> {
            scope.iter().zip(strides(shape)).map(|(m, step)| (all[m], sizes[m], step)).collect()
        };
        Self { own, steps: own.blocks.iter().map(|b| of(&b.scope, &b.shape)).collect() }
    }

    /// Those of one cell, by its place among all, row-major. O(modes of the tables).
    pub fn parameters(&self, cell: usize) -> impl Iterator<Item = usize> {
        self.own.blocks.iter().zip(&self.steps).map(move |(block, steps)| {
            let at: usize = steps.iter().map(|(stride, n, step)| cell / stride % n * step).sum();
            block.place[at] as usize
        })
    }
}

/// Places of cells, row-major, that span the same as all that are observed. For each set S of modes that are not masked and
/// lie in one table, the signed sum of the rows with and without levels other than the first there depends on what tables
/// with S have of the masked modes alone: one observed place for each combination of those is enough.
fn spanning(own: &Tables, sizes: &[usize], masked: &Scope, observed: &[bool]) -> Result<Vec<u32>, String> {
    let too_many = || "the observed cells are too many to be listed".to_string();
    let cells = sizes.iter().try_fold(1usize, |k, n| k.checked_mul(*n));
    if cells.is_none_or(|n| u32::try_from(n).is_err()) {
        return Err(too_many());
    }
    let steps = strides(sizes);
    let axes = |s: &Scope| -> Vec<(usize, usize)> { s.iter().map(|m| (sizes[m], steps[m])).collect() };
    let shape = |s: &Scope| -> Vec<usize> { s.iter().map(|m| sizes[m]).collect() };
    let mut sets = BTreeSet::from([Scope::empty()]);
    for block in &own.blocks {
        let free: Vec<usize> = block.scope.difference(masked).iter().collect();
        if free.len() > 16 {
            return Err("the model has too many interactions for the analysis of its mask".into());
        }
        let chosen = |bits: usize| free.iter().enumerate().filter(move |(i, _)| bits >> i & 1 == 1);
        sets.extend((0..1usize << free.len()).map(|bits| chosen(bits).map(|(_, m)| *m).collect::<Scope>()));
    }
    let at: Vec<usize> = offsets(&axes(masked)).collect();
    let mut places = Vec::new();
    for set in sets {
        let with = own.blocks.iter().filter(|b| set.is_subset(&b.scope));
        let told = with.fold(Scope::empty(), |all, b| all.union(&b.scope.intersection(masked)));
        let onto = Projection::between(masked, &shape(masked), &told);
        let mut taken = vec![false; shape(&told).iter().product()];
        let mut chosen = Vec::new();
        each_cell(&onto, |k, combination| {
            if observed[k] && !std::mem::replace(&mut taken[combination], true) {
                chosen.push(at[k]);
            }
        });
        let after: Vec<(usize, usize)> = axes(&set).into_iter().map(|(n, step)| (n - 1, step)).collect();
        let second: usize = after.iter().map(|(_, step)| step).sum();
        let levels: Vec<usize> = offsets(&after).map(|at| at + second).collect();
        if chosen.len().saturating_mul(levels.len()).saturating_add(places.len()) > LISTED {
            return Err(too_many());
        }
        // places of a tensor of fewer cells than 2³²
        places.extend(chosen.iter().flat_map(|at| levels.iter().map(move |level| (at + level) as u32)));
    }
    Ok(places)
}

/// Settles which missing cells of each tensor are determined, and the dimension of the model on the observed ones; none
/// where that is the same as if all cells were observed. `bare` are the tensors without their masks, `modes` theirs by
/// position in the model. O(cells that masks look at), and what is left open by each tensor itself by elimination.
///
/// # Errors
/// Why it is not known: too many cells, or too many steps of the elimination, or it was asked to stop.
pub(super) fn settle(
    domains: &mut [Domain],
    (bare, modes): (&[Domain], &[&[usize]]),
    (own, columns): (&[Tables], usize),
    stop: &Stop,
) -> Result<Option<BigUint>, String> {
    for (domain, own) in domains.iter_mut().zip(own) {
        let class: Vec<Scope> = own.blocks.iter().map(|b| b.scope.clone()).collect();
        let alone = match domain.observed.contains(&false) {
            true => identify(&class, &domain.sizes, &domain.modes, &domain.observed, stop)?.determined,
            false => None,
        };
        let alone = alone.filter(|d| d.contains(&false));
        domain.determined = alone.map_or_else(|| Truth::always(domain.observed.len()), Truth::from);
    }
    let whole = |d: &Domain| d.determined.is_always();
    if domains.iter().all(whole) {
        return Ok(None);
    }
    let gaps: Vec<bool> = domains.iter().map(Domain::gaps).collect();
    // what determines all possible cells spans what they do
    let spans = |t: usize| if gaps[t] { &domains[t] } else { &bare[t] };
    // in no other mode do the levels differ in what is known
    let told = (0..domains.len()).filter(|t| !whole(&domains[*t]));
    let told: Scope = told.flat_map(|t| spans(t).modes.iter().map(move |m| modes[t][m])).collect();
    let mut places = Vec::new();
    for (t, own) in own.iter().enumerate() {
        let Domain { sizes, modes, observed, .. } = spans(t);
        places.push(match whole(&domains[t]) {
            true => spanning(own, sizes, &Scope::empty(), &[true])?,
            false => spanning(own, sizes, modes, observed)?,
        });
    }
    let mut open = Vec::new();
    for ((domain, modes), gaps) in domains.iter_mut().zip(modes).zip(&gaps) {
        let told = (0..modes.len()).filter(|m| told.contains(modes[*m])).collect();
        open.push(if *gaps { unknown(domain, &told)? } else { Vec::new() });
    }
    let sizes: Vec<Vec<usize>> = domains.iter().map(|d| d.sizes.clone()).collect();
    let cells: Vec<Cells> = own.iter().zip(&sizes).map(|(own, sizes)| Cells::new(own, sizes)).collect();
    let first: Vec<Vec<u32>> = open.iter().map(|open| open.iter().map(|(_, cell)| *cell).collect()).collect();
    let (seen, asked) = (rows(&cells, &places), rows(&cells, &first));
    let count = |places: &[Vec<u32>]| places.iter().map(Vec::len).sum::<usize>();
    let seen = Listed { count: count(&places), of: &seen };
    let span = Span::of(seen, columns, Listed { count: count(&first), of: &asked }, stop)?;
    for ((domain, open), cells) in
        domains.iter_mut().zip(open).zip(&cells).filter(|((_, o), _)| !o.is_empty())
    {
        let mut determined = domain.determined.to_vec();
        for (place, cell) in open {
            let row: Vec<usize> = cells.parameters(cell as usize).collect();
            determined[place] = span.holds(&row);
        }
        domain.determined = determined.into();
    }
    Ok(Some(span.rank.into()))
}

/// Places that a tensor does not determine itself, each with the first cell there. It says from now on what it says of
/// all these modes, its own among them.
fn unknown(domain: &mut Domain, modes: &Scope) -> Result<Vec<(usize, u32)>, String> {
    let cells = |modes: &Scope| modes.iter().try_fold(1usize, |k, m| k.checked_mul(domain.sizes[m]));
    let all = cells(&Scope::all(domain.sizes.len()));
    if cells(modes).is_none_or(|n| n > LISTED) || all.is_none_or(|n| u32::try_from(n).is_err()) {
        return Err("the cells are too many to be listed".into());
    }
    domain.widen(modes);
    let steps = strides(&domain.sizes);
    let axes: Vec<(usize, usize)> = modes.iter().map(|m| (domain.sizes[m], steps[m])).collect();
    let open = |k: &usize| domain.at(*k) == Knowledge::Undetermined;
    // places of a tensor of fewer cells than 2³²
    Ok((0..).zip(offsets(&axes)).filter(|(k, _)| open(k)).map(|(k, cell)| (k, cell as u32)).collect())
}

/// The parameters of cells that are numbered through all tensors.
fn rows<'a>(cells: &'a [Cells], places: &'a [Vec<u32>]) -> impl Fn(usize) -> Vec<usize> + Sync + 'a {
    let place = through(places.iter().map(Vec::len));
    move |r: usize| {
        let (t, r) = place(r);
        cells[t].parameters(places[t][r] as usize).collect()
    }
}
