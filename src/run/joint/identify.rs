//! What the observed cells of all tensors determine together.

use num_bigint::BigUint;

use super::design::Joined;
use super::{Domain, Problem};
use crate::model::Scope;
use crate::plan::joint::{Layout, dimension, loose};
use crate::run::control::Stop;
use crate::run::masked::Knowledge;
use crate::run::masked::identify::{Limit, Listed, Span, limits};
use crate::run::masked::regular::marked;
use crate::run::masked::rows::{Rows, smooth};
use crate::run::masked::truth::Truth;

/// Settles which missing cells are determined, and the dimension of the model on the observed ones.
pub(super) fn settle(
    problem: &Problem,
    rows: &Joined,
    domains: &mut [Domain],
    masked: bool,
) -> Result<BigUint, String> {
    let regular = &problem.model.regular;
    let leans = problem.parts.iter().any(|p| p.pseudo.is_some());
    if leans || !regular.smooth.is_empty() {
        if masked && !(leans && covered(rows, domains)) {
            unsettled(looser(problem, rows, domains), domains);
        }
        let what = if leans { "a prior" } else { "smoothness" };
        return Err(format!("a fit with {what} has no number of parameters"));
    }
    let impossible = problem.parts.iter().any(|p| !p.model.support.is_empty());
    if !masked && !impossible && regular.ties.is_empty() {
        let modes: Vec<Vec<usize>> = problem.parts.iter().map(|p| p.modes.clone()).collect();
        return dimension(problem.model, problem.layout, &modes);
    }
    let every = masked.then(|| problem.rows(problem.layout, true));
    let span = span(rows, every.as_ref(), problem.layout, (&[], 0), &problem.stop);
    if let (Ok(span), Some(every)) = (&span, &every) {
        determine(span, every, domains);
    }
    let rank = span.map(|span| BigUint::from(span.rank));
    unsettled(rank.clone().map(|_| ()), domains);
    rank
}

/// Whether every possible cell has data or pseudo-data of its own; then all of them are determined.
fn covered(rows: &Joined, domains: &mut [Domain]) -> bool {
    let possible = |d: &Domain| d.possible.to_vec().iter().filter(|p| **p).count();
    let all = domains.iter().zip(&rows.groups).all(|(d, rows)| rows.len() == possible(d));
    if all {
        domains.iter_mut().for_each(|d| d.determined = Truth::always(d.observed.len()));
    }
    all
}

/// Notes why it is not known which cells are determined.
fn unsettled(found: Result<(), String>, domains: &mut [Domain]) {
    if let Err(reason) = found {
        domains.iter_mut().for_each(|d| d.unsettled = Some(reason.clone()));
    }
}

/// The same where tables are smooth, or lean on others. What is left free by a table that is smooth along one mode, and
/// tied to no other, takes the place of that table; else the smoothness of tables are rows of their own.
fn looser(problem: &Problem, rows: &Joined, domains: &mut [Domain]) -> Result<(), String> {
    let regular = &problem.model.regular;
    let along = |s: &Scope| regular.smooth.iter().filter(|r| r.scope == *s).count();
    let alone = regular.ties.is_empty() && regular.smooth.iter().all(|s| along(&s.scope) == 1);
    if !alone && !regular.smooth.is_empty() {
        let every = problem.rows(problem.layout, true);
        determine(&with_smoothness(problem, rows, &every)?, &every, domains);
        return Ok(());
    }
    let modes: Vec<Vec<usize>> = problem.parts.iter().map(|p| p.modes.clone()).collect();
    let layout = loose(problem.model, problem.layout, &modes);
    let every = problem.rows(&layout, true);
    let span = span(&problem.rows(&layout, false), Some(&every), &layout, (&[], 0), &problem.stop)?;
    determine(&span, &every, domains);
    Ok(())
}

/// The space of rows and of the smoothness of tables, for questions about `every` one.
fn with_smoothness(problem: &Problem, rows: &Joined, every: &Joined) -> Result<Span, String> {
    let (smooth, columns) = smooth(problem.model, &problem.layout.tables);
    span(rows, Some(every), problem.layout, (&smooth, columns), &problem.stop)
}

/// The space of rows and of `more` that have so many columns, for questions about `every` one.
fn span(
    rows: &Joined,
    every: Option<&Joined>,
    layout: &Layout,
    (more, columns): (&[Vec<usize>], usize),
    stop: &Stop,
) -> Result<Span, String> {
    let own = numbered(rows);
    let seen = |r: usize| if r < rows.len() { own(r) } else { more[r - rows.len()].clone() };
    let seen = Listed { count: rows.len() + more.len(), of: &seen };
    let columns = columns.max(layout.tables.parameters);
    let Some(every) = every else {
        return Span::of(seen, columns, Listed { count: 0, of: &|_| Vec::new() }, stop);
    };
    Span::of(seen, columns, Listed { count: every.len(), of: &numbered(every) }, stop)
}

/// The columns of rows that are numbered through all tensors.
fn numbered(rows: &Joined) -> impl Fn(usize) -> Vec<usize> + Sync {
    let place = through(rows.groups.iter().map(Rows::len));
    move |r: usize| {
        let (t, r) = place(r);
        rows.groups[t].columns_of(r)
    }
}

/// From a place in several lists one after the other to the list and the place in it.
pub(super) fn through(lengths: impl Iterator<Item = usize>) -> impl Fn(usize) -> (usize, usize) + Sync {
    let sum = |end: &mut usize, length: usize| {
        *end += length;
        Some(*end)
    };
    let ends: Vec<usize> = lengths.scan(0, sum).collect();
    move |r: usize| {
        let t = ends.partition_point(|end| *end <= r);
        (t, r - if t == 0 { 0 } else { ends[t - 1] })
    }
}

fn determine(span: &Span, every: &Joined, domains: &mut [Domain]) {
    for (domain, rows) in domains.iter_mut().zip(&every.groups) {
        let mut determined = domain.determined.to_vec();
        for (r, k) in rows.cells.iter().enumerate() {
            if domain.at(*k) != Knowledge::Observed {
                determined[*k] = span.holds(&rows.columns_of(r));
            }
        }
        domain.determined = determined.into();
    }
}

/// Zeros can send a missing cell to infinity, or leave it anywhere: settles which have a limit ([`limits`]). Rows with a
/// parameter that is `gone` vanish, and those of the others that go `down`.
pub(super) fn at_boundary(
    problem: &Problem,
    (down, gone): (Option<&[bool]>, &[bool]),
    domains: &mut [Domain],
) {
    let whole = problem.rows(problem.layout, false);
    let mut rest = down.into_iter().flatten();
    let mut vanishes =
        |row: &[u32]| row.iter().any(|p| gone[*p as usize]) || rest.next().is_some_and(|down| *down);
    let (mut stay, mut vanish) = (whole.clone(), whole.clone());
    for ((all, stay), vanish) in whole.groups.iter().zip(&mut stay.groups).zip(&mut vanish.groups) {
        let out: Vec<bool> = all.places.chunks(all.tables.max(1)).map(&mut vanishes).collect();
        let (mut first, mut second) = (out.iter(), out.iter());
        stay.retain(|_| first.next() == Some(&false));
        vanish.retain(|_| second.next() == Some(&true));
    }
    let every = problem.rows(problem.layout, true);
    let mut asked: Vec<(usize, usize)> = Vec::new();
    for (t, ((all, own), domain)) in every.groups.iter().zip(&whole.groups).zip(&mut *domains).enumerate() {
        domain.widen(&Scope::all(domain.sizes.len()));
        let seen = marked(&own.cells, domain.determined.len());
        let open = |r: &usize| !seen[all.cells[*r]] && domain.at(all.cells[*r]) == Knowledge::Missing;
        asked.extend((0..all.len()).filter(open).map(|r| (t, r)));
    }
    if asked.is_empty() {
        return;
    }
    let (smooth, columns) = smooth(problem.model, &problem.layout.tables);
    let (of_stay, of_vanish) = (numbered(&stay), numbered(&vanish));
    let stays = |r: usize| if r < stay.len() { of_stay(r) } else { smooth[r - stay.len()].clone() };
    let found = limits(
        Listed { count: stay.len() + smooth.len(), of: &stays },
        Listed { count: vanish.len(), of: &of_vanish },
        columns.max(problem.layout.tables.parameters),
        Listed { count: asked.len(), of: &|k| every.groups[asked[k].0].columns_of(asked[k].1) },
        &problem.stop,
    );
    let found = found.unwrap_or_else(|reason| {
        domains.iter_mut().for_each(|d| d.unsettled = Some(reason.clone()));
        vec![Limit::None; asked.len()]
    });
    let mut determined: Vec<Vec<bool>> = domains.iter().map(|d| d.determined.to_vec()).collect();
    for ((t, r), limit) in asked.into_iter().zip(found) {
        determined[t][every.groups[t].cells[r]] = limit != Limit::None;
    }
    domains.iter_mut().zip(determined).for_each(|(domain, own)| domain.determined = own.into());
}
