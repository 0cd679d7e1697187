//! Fits with unknown and impossible cells.
//!
//! The fit is that of the observed cells alone: Q on them is the m-projection among distributions that are
//! zero elsewhere, and minimises Σ_Ω x ln(x/Q) − x + Q, which is convex (Darroch and Ratcliff 1972; the
//! completion of Ghalamkari, Sugiyama and Kawahara 2023, arXiv 2209.15338, solves the same problem by
//! imputation). The potentials it ends with then say what the model makes of the cells that were not
//! observed, as far as the observed ones determine them.

pub mod bits;
pub mod condition;
pub mod face;
pub mod identify;
pub mod newton;
pub mod pattern;
pub mod rank_one;
pub mod regular;
pub mod rows;
pub mod truth;

use std::sync::Arc;

use num_bigint::BigUint;

use super::control::Stop;
use super::distribution::Distribution;
use super::fit::ZeroMarginals;
use super::projection::Projection;
use crate::data::Mask;
use crate::model::mode::number_label;
use crate::model::table::cell_at;
use crate::model::{EnergyModel, Interaction, Potential, Scope, Support, Table};
use crate::plan::Options;
use crate::text::{Code, Diagnostic, Span};
use identify::{Identified, identify};
use truth::{BLOCK, Truth};

/// What a fit with unknown or impossible cells knows besides the fit.
#[derive(Debug, Clone)]
pub struct Domain {
    /// The modes that masks and conditions look at.
    pub modes: Scope,
    /// One truth value per cell of those modes: whether it can occur.
    pub possible: Truth,
    /// Whether it can occur and is observed.
    pub observed: Arc<[bool]>,
    /// Whether the observed cells determine it.
    pub determined: Truth,
    /// Cells whose fitted values tend to zero on the boundary of the model, though the numbers are not zero yet.
    pub vanishing: Vec<usize>,
    /// Why what is determined and its dimension are not known, and nothing that was not observed counts as determined.
    pub unsettled: Option<String>,
    /// The dimension of the model on the observed cells, or why there is none to be had.
    pub rank: Result<BigUint, String>,
    /// Number of levels of each mode of the model.
    pub sizes: Vec<usize>,
}

/// What is known of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// It has a value.
    Observed,
    /// It cannot occur.
    Impossible,
    /// It has none, and the fit gives it one.
    Missing,
    /// It has none, and the observed cells do not determine it.
    Undetermined,
}

impl Domain {
    /// Lists which cells are possible and observed. What the observed ones determine is not settled yet.
    ///
    /// # Errors
    /// MBA502 when no cell is left, MBA562 when masks look at more modes than can be listed.
    pub fn new(model: &EnergyModel, mask: Option<&Arc<Mask>>) -> Result<Self, Vec<Diagnostic>> {
        let sizes: Vec<usize> = model.modes.iter().map(|m| m.size()).collect();
        let base = model.on_support([]);
        let forbidden: Vec<&Support> = base.interactions.iter().filter_map(support).collect();
        let mut modes = mask.map_or_else(Scope::empty, |m| m.scope());
        for condition in &forbidden {
            modes = modes.union(&condition.scope);
        }
        let too_many = || {
            vec![
                Diagnostic::new(
                    Code::MBA562,
                    format!("the masks and conditions of `{}` look at too many cells together", model.name),
                )
                .note(format!("over `{}`", model.bracket(&modes)))
                .help("use conditions and masks over fewer modes"),
            ]
        };
        let full = Mask { factors: Vec::new() };
        let mut observed = mask.map_or(&full, |m| m).over(&modes, &sizes).ok_or_else(too_many)?;
        let mut possible = Truth::always(observed.len());
        if !forbidden.is_empty() {
            let shape: Vec<usize> = modes.iter().map(|m| sizes[m]).collect();
            let mut own = vec![true; observed.len()];
            for condition in &forbidden {
                let onto = Projection::between(&modes, &shape, &condition.scope);
                super::support::each_cell(&onto, |k, at| own[k] &= condition.allowed[at]);
            }
            observed = observed.iter().zip(&own).map(|(o, p)| o & p).collect();
            possible = own.into();
        }
        if !observed.contains(&true) {
            let message = format!("no observed cell is possible in `{}`", model.name);
            let mut report = Diagnostic::new(Code::MBA502, message);
            if let Some(first) = model.support.first() {
                report = report.at(first.span, "forbids what is observed");
            }
            return Err(vec![report.help("forbid fewer cells")]);
        }
        let determined = Truth::from(Arc::clone(&observed));
        let rank = Err("it has not been looked for".into());
        Ok(Self {
            modes,
            possible,
            observed,
            determined,
            vanishing: Vec::new(),
            unsettled: None,
            rank,
            sizes,
        })
    }

    /// Settles what the observed cells determine of a class of tables, and its dimension on them.
    pub fn settle(&mut self, class: &[Scope], stop: &Stop) {
        match identify(class, &self.sizes, &self.modes, &self.observed, stop) {
            Ok(Identified { determined, rank }) => {
                self.determined = determined.map_or_else(|| Truth::always(self.observed.len()), Truth::from);
                self.rank = Ok(rank);
            }
            Err(reason) => {
                self.rank = Err(reason.clone());
                self.unsettled = Some(reason);
            }
        }
    }

    /// Says the same over more modes.
    pub(in crate::run) fn widen(&mut self, modes: &Scope) {
        let shape = |s: &Scope| -> Vec<usize> { s.iter().map(|m| self.sizes[m]).collect() };
        let onto = Projection::between(modes, &shape(modes), &self.modes);
        let cells: usize = shape(modes).iter().product();
        let wide = |own: &[bool]| -> Vec<bool> {
            let mut out = vec![false; cells];
            super::support::each_cell(&onto, |k, at| out[k] = own[at]);
            out
        };
        self.possible = wide(&self.possible.to_vec()).into();
        self.observed = wide(&self.observed).into();
        self.determined = wide(&self.determined.to_vec()).into();
        self.modes = modes.clone();
    }

    fn place(&self, cell: &[usize]) -> usize {
        self.modes.iter().fold(0, |k, m| k * self.sizes[m] + cell.get(m).copied().unwrap_or(0))
    }

    /// What is known of a cell, given by a level for every mode.
    pub fn of(&self, cell: &[usize]) -> Knowledge {
        self.at(self.place(cell))
    }

    /// What is known of the cells at one place of the masked modes.
    pub fn at(&self, k: usize) -> Knowledge {
        match (self.possible.get(k), self.observed.get(k).copied(), self.determined.get(k)) {
            (Some(false), ..) => Knowledge::Impossible,
            (_, Some(true), _) => Knowledge::Observed,
            (.., Some(true)) => Knowledge::Missing,
            _ => Knowledge::Undetermined,
        }
    }

    /// One entry per cell of the tensor, row-major, in the order of the modes; none beyond what is listed.
    pub fn cells(&self) -> Option<Vec<Knowledge>> {
        let all = Scope::all(self.sizes.len());
        let cells = self.sizes.iter().try_fold(1usize, |k, n| k.checked_mul(*n))?;
        if cells > crate::data::mask::LISTED {
            return None;
        }
        let onto = Projection::between(&all, &self.sizes, &self.modes);
        let mut out = vec![Knowledge::Observed; cells];
        super::support::each_cell(&onto, |k, at| out[k] = self.at(at));
        Some(out)
    }

    /// How many cells there are of a kind.
    pub fn count(&self, kind: Knowledge) -> BigUint {
        let here = self.places(kind);
        let outside = (0..self.sizes.len()).filter(|m| !self.modes.contains(*m));
        outside.map(|m| BigUint::from(self.sizes[m])).product::<BigUint>() * BigUint::from(here)
    }

    /// How many places of the masked modes have cells of a kind. O(places), in blocks whose counts fit a byte.
    fn places(&self, kind: Knowledge) -> usize {
        let one = |(b, observed): (usize, &[bool])| {
            let range = b * BLOCK..b * BLOCK + observed.len();
            let both = self.possible.block(range.clone()).iter().zip(observed);
            let cells = both.zip(self.determined.block(range));
            let count = cells.fold(0u8, |n, ((p, o), d)| {
                n + u8::from(match kind {
                    Knowledge::Impossible => !p,
                    Knowledge::Observed => p & o,
                    Knowledge::Missing => p & !o & d,
                    Knowledge::Undetermined => p & !o & !d,
                })
            });
            usize::from(count)
        };
        self.observed.chunks(BLOCK).enumerate().map(one).sum()
    }

    /// Whether some possible cell is not determined.
    pub fn gaps(&self) -> bool {
        !self.determined.is_always() && self.places(Knowledge::Undetermined) > 0
    }

    /// The cells of a generator that no observed cell has: there its potential is not known.
    pub(in crate::run) fn unseen(&self, generator: &Scope) -> Vec<bool> {
        let shared = generator.intersection(&self.modes);
        let shape = |s: &Scope| -> Vec<usize> { s.iter().map(|m| self.sizes[m]).collect() };
        let onto = Projection::between(&self.modes, &shape(&self.modes), &shared);
        let mut seen = vec![false; shape(&shared).iter().product()];
        let (row, step) = onto.inner();
        onto.runs(|k, at| {
            let cells = &self.observed[k..k + row];
            match step {
                0 => seen[at] = seen[at] || cells.contains(&true),
                1 => seen[at..at + row].iter_mut().zip(cells).for_each(|(s, o)| *s |= o),
                _ => seen[at..].iter_mut().step_by(step).zip(cells).for_each(|(s, o)| *s |= o),
            }
        });
        if !seen.contains(&false) {
            return vec![false; shape(generator).iter().product()];
        }
        let onto = Projection::between(generator, &shape(generator), &shared);
        let mut out = vec![false; shape(generator).iter().product()];
        super::support::each_cell(&onto, |k, at| out[k] = !seen[at]);
        out
    }

    /// Zero marginals that are zero in the data, and not for want of a cell that was looked at.
    pub(super) fn seen_zeros(&self, found: &[(Scope, Vec<usize>, Vec<f64>)]) -> Vec<ZeroMarginals> {
        let mut zeros = Vec::new();
        for (scope, shape, values) in found {
            if !values.contains(&0.0) {
                continue;
            }
            let unseen = self.unseen(scope);
            let places: Vec<usize> = (0..values.len()).filter(|k| values[*k] == 0.0 && !unseen[*k]).collect();
            if places.is_empty() {
                continue;
            }
            zeros.push(ZeroMarginals {
                scope: scope.clone(),
                count: places.len(),
                cells: places.iter().take(ZeroMarginals::LISTED).map(|k| cell_at(shape, *k)).collect(),
            });
        }
        zeros
    }

    /// The first places of the masked modes that are not determined, as levels.
    pub fn undetermined(&self, most: usize) -> (usize, Vec<Vec<usize>>) {
        let all: Vec<usize> =
            (0..self.possible.len()).filter(|k| self.at(*k) == Knowledge::Undetermined).collect();
        let shape: Vec<usize> = self.modes.iter().map(|m| self.sizes[m]).collect();
        (all.len(), all.iter().take(most).map(|k| cell_at(&shape, *k)).collect())
    }

    /// Levels none of whose cells is observed, and some of whose cells are not determined, as pairs of positions: mode
    /// and level; and how many places of the masked modes that are not determined have none of these levels.
    pub fn unseen_levels(&self) -> (Vec<(usize, usize)>, usize) {
        let shape: Vec<usize> = self.modes.iter().map(|m| self.sizes[m]).collect();
        let none: Vec<Vec<bool>> = shape.iter().map(|n| vec![false; *n]).collect();
        let (mut seen, mut open) = (none.clone(), none);
        self.each_place(&shape, |kind, cell| {
            let marks = match kind {
                Knowledge::Observed => &mut seen,
                Knowledge::Undetermined => &mut open,
                _ => return,
            };
            marks.iter_mut().zip(cell).for_each(|(marks, level)| marks[*level] = true);
        });
        let unseen = |(axis, level): (usize, usize)| open[axis][level] && !seen[axis][level];
        let levels = self.modes.iter().enumerate().flat_map(|(axis, m)| {
            (0..shape[axis]).filter(move |level| unseen((axis, *level))).map(move |level| (m, level))
        });
        let levels: Vec<(usize, usize)> = levels.collect();
        let mut rest = 0;
        if !levels.is_empty() {
            self.each_place(&shape, |kind, cell| {
                let elsewhere = || !cell.iter().copied().enumerate().any(unseen);
                rest += usize::from(kind == Knowledge::Undetermined && elsewhere());
            });
        }
        (levels, rest)
    }

    /// What is known of every place of the masked modes, with its levels.
    fn each_place(&self, shape: &[usize], mut visit: impl FnMut(Knowledge, &[usize])) {
        let mut cell = vec![0; shape.len()];
        for k in 0..self.observed.len() {
            visit(self.at(k), &cell);
            for (level, n) in cell.iter_mut().zip(shape).rev() {
                *level += 1;
                if *level < *n {
                    break;
                }
                *level = 0;
            }
        }
    }

    /// Nothing that was not observed counts as determined, for this reason.
    pub(in crate::run) fn give_up(&mut self, reason: String) {
        self.determined = Truth::from(Arc::clone(&self.observed));
        self.unsettled = Some(reason);
    }

    /// Whether somebody who wished to stop is why it is not known what the observed cells determine.
    pub(in crate::run) fn cut_short(&self) -> bool {
        self.unsettled.as_deref() == Some(identify::CUT_SHORT)
    }
}

fn support(interaction: &Interaction) -> Option<&Support> {
    match &interaction.potential {
        Potential::Support(support) => Some(support),
        _ => None,
    }
}

/// The report on conditions that leave no cell together.
fn forbids_all(model: &EnergyModel, tensor: &crate::data::Tensor) -> Option<Diagnostic> {
    let sizes: Vec<usize> = model.modes.iter().map(|m| m.size()).collect();
    let factors: Vec<crate::data::mask::Factor> = model
        .support
        .iter()
        .map(|f| {
            let allowed: Vec<bool> = f.cells.values.iter().map(|f| *f == 0.0).collect();
            crate::data::mask::Factor::new(f.scope.clone(), f.cells.shape.clone(), allowed, f.span)
        })
        .collect();
    let all = Mask { factors };
    if all.over(&all.scope(), &sizes)?.contains(&true) {
        return None;
    }
    let message = format!("`{}` forbids every cell of `{}`", model.name, tensor.name);
    let mut report = Diagnostic::new(Code::MBA560, message);
    let mut spans: Vec<Span> = all.factors.iter().map(|f| f.span).collect();
    spans.dedup();
    let why = if spans.len() == 1 { "holds whatever the levels are" } else { "no cell escapes all of these" };
    for span in spans {
        report = report.at(span, why);
    }
    Some(report.help("forbid only what cannot occur: some cell has to be left"))
}

/// Refuses data with mass where the model has none.
///
/// # Errors
/// MBA560, naming the first such cell.
pub fn contradiction(model: &EnergyModel, tensor: &crate::data::Tensor) -> Result<(), Vec<Diagnostic>> {
    for forbidden in &model.support {
        let cells = forbidden.cells.values.len();
        let Some(found) = super::statistic::gather(tensor, &[(&forbidden.scope, cells)]) else { continue };
        let Some(masses) = found.tables.first() else { continue };
        let both = || masses.iter().zip(&forbidden.cells.values).enumerate();
        let wrong = |(_, (p, f)): &(usize, (&f64, &f64))| **p > 0.0 && **f != 0.0;
        let Some((first, (mass, _))) = both().find(wrong) else { continue };
        let more = both().filter(wrong).count() - 1;
        let levels: Vec<String> = forbidden
            .scope
            .iter()
            .zip(cell_at(&forbidden.cells.shape, first))
            .map(|(m, level)| format!("`{}: {}`", model.modes[m].name, model.modes[m].label(level)))
            .collect();
        if let Some(report) = forbids_all(model, tensor) {
            return Err(vec![report]);
        }
        let mut report = Diagnostic::new(
            Code::MBA560,
            format!("`{}` forbids {}, where `{}` has data", model.name, levels.join(", "), tensor.name),
        )
        .at(forbidden.span, format!("the data add up to {} there", number_label(mass * found.total)));
        if more > 0 {
            let s = if more == 1 { "one more cell".into() } else { format!("{more} more cells") };
            report = report.note(format!("{s} of `{}` as well", model.bracket(&forbidden.scope)));
        }
        return Err(vec![
            report
                .help("forbid only what cannot occur, or mark those cells as `missing` if they are mistakes"),
        ]);
    }
    Ok(())
}

/// The distribution over all possible cells with the potentials of one over the observed cells, and by how
/// much the mass of those has to be multiplied to be that of all.
///
/// Where a potential is not determined it is taken as 0: such cells have a number in the distribution that
/// means nothing, and [`Domain`] says which they are.
pub(super) fn extend(
    model: &EnergyModel,
    restricted: &Distribution,
    domain: &Domain,
) -> Result<(Distribution, f64), Vec<Diagnostic>> {
    let mut potentials = restricted.potentials.clone();
    for table in &mut potentials {
        let unseen = domain.unseen(&table.scope);
        for (l, unseen) in table.values.iter_mut().zip(unseen) {
            if unseen {
                *l = 0.0;
            }
        }
    }
    let fixed = model.interactions.iter().filter(|i| !matches!(i.potential, Potential::Free));
    let tables = potentials.iter().map(|t| {
        let energies = t.values.iter().map(|l| -l * model.temperature).collect();
        let table = Table { scope: t.scope.clone(), shape: t.shape.clone(), values: energies };
        let scope = t.scope.clone();
        Interaction { scope, potential: Potential::Fixed(Arc::new(table)), span: Span::default() }
    });
    let known = EnergyModel { interactions: fixed.cloned().chain(tables).collect(), ..model.clone() };
    let wide = Distribution::from_fixed(&known, &Options { memory: u64::MAX, ..Options::default() })?;
    let energies = model.interactions.iter().filter_map(|i| match &i.potential {
        Potential::Fixed(table) => Some(Arc::clone(table)),
        _ => None,
    });
    let energies = energies.collect();
    let log = |d: &Distribution| d.log_mass.iter().sum::<f64>();
    let growth = (log(&wide) - log(restricted)).exp();
    Ok((Distribution { potentials, energies, ..wide }, growth))
}
