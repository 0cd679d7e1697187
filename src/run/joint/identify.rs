//! What the observed cells of all tensors determine together.

use num_bigint::BigUint;

use super::design::Joined;
use super::{Domain, Problem};
use crate::model::Scope;
use crate::plan::joint::{Layout, dimension, loose};
use crate::run::control::Stop;
use crate::run::masked::Knowledge;
use crate::run::masked::identify::{Listed, Span};
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
    let ends: Vec<usize> = rows
        .groups
        .iter()
        .scan(0, |end, g| {
            *end += g.len();
            Some(*end)
        })
        .collect();
    move |r: usize| {
        let t = ends.partition_point(|end| *end <= r);
        let start = if t == 0 { 0 } else { ends[t - 1] };
        columns(&rows.groups[t], r - start)
    }
}

fn columns(rows: &Rows, r: usize) -> Vec<usize> {
    rows.places[r * rows.tables..(r + 1) * rows.tables].iter().map(|p| *p as usize).collect()
}

fn determine(span: &Span, every: &Joined, domains: &mut [Domain]) {
    for (domain, rows) in domains.iter_mut().zip(&every.groups) {
        let mut determined = domain.determined.to_vec();
        for (r, k) in rows.cells.iter().enumerate() {
            if domain.at(*k) != Knowledge::Observed {
                determined[*k] = span.holds(&columns(rows, r));
            }
        }
        domain.determined = determined.into();
    }
}

/// Zeros can send a missing cell to infinity, or leave it anywhere: what the rows determine that do not go `down` counts,
/// cells that have a row themselves, and cells that are zero with a whole marginal.
pub(super) fn at_boundary(
    problem: &Problem,
    rows: &Joined,
    down: Option<&[bool]>,
    gone: &[bool],
    domains: &mut [Domain],
) {
    let every = problem.rows(problem.layout, true);
    let mut sure: Vec<Vec<bool>> = Vec::new();
    for ((all, own), domain) in every.groups.iter().zip(&rows.groups).zip(&*domains) {
        let mut cells = vec![false; domain.determined.len()];
        for (r, k) in all.cells.iter().enumerate() {
            cells[*k] = columns(all, r).iter().any(|p| gone[*p]);
        }
        own.cells.iter().for_each(|k| cells[*k] = true);
        sure.push(cells);
    }
    let open = |(domain, sure): (&Domain, &Vec<bool>)| {
        (0..sure.len()).any(|k| !sure[k] && domain.at(k) == Knowledge::Missing)
    };
    if !domains.iter().zip(&sure).any(|(d, s)| open((d, s))) {
        return;
    }
    let mut kept = rows.clone();
    if let Some(down) = down {
        let mut next = down.iter();
        kept.groups.iter_mut().for_each(|group| group.retain(|_| next.next().is_none_or(|down| !down)));
    }
    let span = with_smoothness(problem, &kept, &every);
    for ((domain, rows), sure) in domains.iter_mut().zip(&every.groups).zip(sure) {
        let mut determined = domain.determined.to_vec();
        for (r, k) in rows.cells.iter().enumerate() {
            let holds = || span.as_ref().is_ok_and(|span| span.holds(&columns(rows, r)));
            determined[*k] = determined[*k] && (sure[*k] || holds());
        }
        domain.determined = determined.into();
        if let Err(reason) = &span {
            domain.unsettled = Some(reason.clone());
        }
    }
}
