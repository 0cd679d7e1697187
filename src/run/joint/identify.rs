//! What the observed cells of all tensors determine together.

use num_bigint::BigUint;

use super::design::Joined;
use super::{Domain, Problem};
use crate::plan::joint::{Layout, dimension, loose};
use crate::run::control::Stop;
use crate::run::masked::Knowledge;
use crate::run::masked::identify::{Listed, Span};
use crate::run::masked::rows::Rows;
use crate::run::masked::truth::Truth;

/// Settles which missing cells are determined, and the dimension of the model on the observed ones.
pub(super) fn settle(
    problem: &Problem,
    rows: &Joined,
    domains: &mut [Domain],
    masked: bool,
) -> Result<BigUint, String> {
    let regular = &problem.model.regular;
    if problem.parts.iter().any(|p| p.pseudo.is_some()) {
        if masked && !covered(rows, domains) {
            unsettled(looser(problem, domains), domains);
        }
        return Err("a fit with a prior has no number of parameters".into());
    }
    if !regular.smooth.is_empty() {
        if masked {
            unsettled(looser(problem, domains), domains);
        }
        return Err("a fit with smoothness has no number of parameters".into());
    }
    let impossible = problem.parts.iter().any(|p| !p.model.support.is_empty());
    if !masked && !impossible && regular.ties.is_empty() {
        let modes: Vec<Vec<usize>> = problem.parts.iter().map(|p| p.modes.clone()).collect();
        return dimension(problem.model, problem.layout, &modes);
    }
    let every = masked.then(|| problem.rows(problem.layout, true));
    let span = span(rows, every.as_ref(), problem.layout, &problem.stop);
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

/// The same where tables are smooth, or lean on others.
fn looser(problem: &Problem, domains: &mut [Domain]) -> Result<(), String> {
    let modes: Vec<Vec<usize>> = problem.parts.iter().map(|p| p.modes.clone()).collect();
    let layout = loose(problem.model, problem.layout, &modes);
    let every = problem.rows(&layout, true);
    let span = span(&problem.rows(&layout, false), Some(&every), &layout, &problem.stop)?;
    determine(&span, &every, domains);
    Ok(())
}

/// The space of rows, for questions about `every` one.
fn span(rows: &Joined, every: Option<&Joined>, layout: &Layout, stop: &Stop) -> Result<Span, String> {
    let seen = numbered(rows);
    let seen = Listed { count: rows.len(), of: &seen };
    let columns = layout.tables.parameters;
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

/// Zeros can send a missing cell to infinity, or leave it anywhere: where some observed cells tend to zero, only
/// what the others determine counts, and cells that are zero with a whole marginal.
pub(super) fn at_boundary(
    problem: &Problem,
    rows: &Joined,
    parameters: &[f64],
    gone: &[bool],
    domains: &mut [Domain],
) {
    let mut kept = rows.clone();
    let mut fewer = false;
    for (t, group) in kept.groups.iter_mut().enumerate() {
        let count = problem.observed[t].iter().filter(|o| **o).count();
        fewer |= group.len() < count;
        let total = problem.parts[t].tensor.total * problem.parts[t].weight;
        let fitted = group.spread(parameters);
        // a probability that only rounding and the tolerance keep above zero
        let least = (1e-7 / count.max(1) as f64 * total).ln();
        let pass: Vec<bool> =
            fitted.iter().zip(&group.cells).map(|(l, k)| l + problem.possible[t][*k].ln() > least).collect();
        fewer |= pass.contains(&false);
        let mut next = pass.into_iter();
        group.retain(|_| next.next().unwrap_or(true));
    }
    if !fewer {
        return;
    }
    let every = problem.rows(problem.layout, true);
    let span = span(&kept, Some(&every), problem.layout, &problem.stop);
    unsettled(span.as_ref().map(|_| ()).map_err(String::clone), domains);
    for (domain, rows) in domains.iter_mut().zip(&every.groups) {
        let mut determined = domain.determined.to_vec();
        for (r, k) in rows.cells.iter().enumerate() {
            let own = columns(rows, r);
            let zero = || own.iter().any(|p| gone[*p]);
            let held = span.as_ref().is_ok_and(|span| span.holds(&own));
            determined[*k] = determined[*k] && (held || zero());
        }
        domain.determined = determined.into();
    }
}
