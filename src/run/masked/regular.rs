//! Fits of models whose tables are smooth, shared, or lean on a simpler model.

use std::sync::Arc;

use super::face::Face;
use super::newton::{Penalty, gone, minimise, vanishing};
use super::rows::{Rows, Tables, base};
use super::truth::Truth;
use super::{Domain, Knowledge, identify};
use crate::data::{Element, Storage, Tensor};
use crate::model::table::cell_at;
use crate::model::{EnergyModel, Interaction, Potential, Scope, Table};
use crate::numeric::sum::Compensated;
use crate::plan::schedule::Instruction;
use crate::plan::{Options, Schedule};
use crate::run::control::{Control, Observer, Stop};
use crate::run::distribution::Distribution;
use crate::run::fit::{self, Certificate, Counters, Fit, Status, ZeroMarginals};
use crate::text::{Code, Diagnostic, Span};

/// Pseudo-data: what a simpler model says of every cell, and how much that counts.
#[derive(Debug, Clone)]
pub struct Pseudo {
    /// Values on the data's own scale, row-major; nan where that model says nothing.
    pub values: Vec<f64>,
    /// How many observations one of them is worth.
    pub exposure: f64,
}

impl Pseudo {
    /// Values that are worth a share of the observed total together.
    pub fn worth(share: f64, tensor: &Tensor, values: Vec<f64>) -> Self {
        let mass: Compensated = values.iter().copied().filter(|x| x.is_finite()).collect();
        Self { exposure: share * tensor.total / mass.value(), values }
    }
}

/// Fits a model with statements of [`crate::model::Regular`]: minimises the generalised KL over the observed cells, plus
/// that to the pseudo-data times their exposure, plus the penalties. O(cells × tables) a pass.
///
/// # Errors
/// As [`crate::run::execute`].
pub fn execute(
    schedule: &Schedule,
    model: &EnergyModel,
    tensor: &Tensor,
    pseudo: Option<&Pseudo>,
    control: &Control,
    observer: &mut dyn Observer,
) -> Result<Fit, Vec<Diagnostic>> {
    super::contradiction(model, tensor)?;
    let tables = Tables::of(model);
    let sizes: Vec<usize> = model.modes.iter().map(|m| m.size()).collect();
    let data = values(tensor, &sizes);
    let mut domain = Domain::new(model, tensor.mask.as_ref())?;
    let observed: Vec<bool> = domain
        .cells()
        .ok_or_else(|| vec![Diagnostic::new(Code::MBA562, "the cells are too many to be listed")])?
        .into_iter()
        .map(|k| k == Knowledge::Observed)
        .collect();
    let possible = base(model);
    let exposure = |k: usize| f64::from(u8::from(observed[k]));
    let lean = |k: usize| pseudo.filter(|p| p.values[k].is_finite()).map(|p| (p.exposure, p.values[k]));
    let weight: Vec<f64> =
        (0..data.len()).map(|k| possible[k] * (exposure(k) + lean(k).map_or(0.0, |(e, _)| e))).collect();
    let target: Vec<f64> =
        (0..data.len()).map(|k| exposure(k) * data[k] + lean(k).map_or(0.0, |(e, m)| e * m)).collect();
    let mut rows = Rows::new(model, &tables, &target, &weight);
    let stop = observer.stop().unwrap_or_default();
    settle(&mut domain, model, &tables, &rows, pseudo.is_some(), &stop);
    let all = rows.len();

    let penalties = Penalty::all(model, &tables);
    let gone = gone(&tables, &rows, &penalties);
    rows.retain(|row| row.iter().all(|p| !gone[*p as usize]));
    if rows.target.iter().all(|t| *t <= 0.0) {
        let message = format!("`{}` has no mass to fit `{}` to", tensor.name, model.name);
        return Err(vec![Diagnostic::new(Code::MBA502, message).help("check which cells are observed")]);
    }
    let zero_marginals = zeros(&tables, &gone);

    let found = minimise(&tables, &rows, &penalties, control, observer);
    let potential = |p: usize| if gone[p] { f64::NEG_INFINITY } else { found.parameters[p] };
    let potentials: Vec<Table> = tables
        .blocks
        .iter()
        .map(|b| Table {
            scope: b.scope.clone(),
            shape: b.shape.clone(),
            values: b.place.iter().map(|p| potential(*p as usize)).collect(),
        })
        .collect();
    let distribution = distribution(model, potentials)?;
    let mass = distribution.log_mass.iter().sum::<f64>().exp();

    let fitted = rows.spread(&found.parameters);
    let seen = rows.cells.iter().zip(&fitted).filter(|(k, _)| observed[**k]);
    let Measured { kl, data_entropy, total } = measure(seen.map(|(k, l)| (data[*k], l.exp() * possible[*k])));
    let design = (&tables, &rows, penalties.as_slice());
    let down = match found.interrupted {
        true => Ok(None),
        false => vanishing(design, (&found.parameters, found.gap), control, &stop),
    };
    let down = down.unwrap_or_else(|reason| {
        domain.give_up(reason);
        None
    });
    let boundary = !zero_marginals.is_empty() || down.is_some();
    let (optimality_gap, reason) = match found.bound {
        Ok(bound) => (Some(bound / total), None),
        Err(_) if down.is_some() && !found.stopped => {
            (None, Some("the optimum lies on the boundary, where the bound does not apply".into()))
        }
        Err(reason) => (None, Some(reason)),
    };
    if tensor.mask.is_some() && (rows.len() < all || down.is_some()) {
        face(&weight, &rows, down.as_deref()).settle(&mut domain, (model, &tables), &stop);
    }
    let interrupted = found.interrupted || domain.cut_short();
    let status = Status::ended(interrupted, found.stopped, boundary, Status::Converged);
    let passes = found.passes as f64;
    let cells = rows.len() as f64;
    let planned = schedule.steps.iter().find_map(|s| match &s.instruction {
        Instruction::Newton(work) => Some(work.cells),
        _ => None,
    });
    let planned = planned.unwrap_or(cells);
    let read = schedule.profile.as_ref().map_or(0.0, |p| p.bytes());
    Ok(Fit {
        model: Arc::new(model.clone()),
        schedule: Arc::new(schedule.clone()),
        distribution,
        status,
        iterations: found.steps,
        certificate: Certificate { marginal_gap: found.gap, optimality_gap, reason },
        total,
        mass,
        kl,
        data_entropy,
        counters: Counters {
            operations: passes * cells * (tables.blocks.len() as f64 + 1.0),
            bytes: read + passes * cells * (4.0 * tables.blocks.len() as f64 + 16.0),
            // which cells are observed was not known to the plan
            predicted: schedule.work(passes * cells / planned.max(1.0)),
            peak: schedule.peak,
        },
        learned: None,
        zero_marginals,
        domain: Some(Arc::new(domain)),
    })
}

/// The face of a fit to cells with `weight`, of which those in `rows` have no parameter that is gone and some may go
/// `down`.
fn face(weight: &[f64], rows: &Rows, down: Option<&[bool]>) -> Face {
    let mut stay = vec![false; weight.len()];
    for (r, k) in rows.cells.iter().enumerate() {
        stay[*k] = down.is_none_or(|down| !down[r]);
    }
    let vanish = weight.iter().zip(&stay).map(|(w, stay)| *w > 0.0 && !stay).collect();
    Face { stay, vanish, hidden: down.is_some(), rough: false }
}

/// Every value of a tensor, row-major.
pub(in crate::run) fn values(tensor: &Tensor, sizes: &[usize]) -> Vec<f64> {
    let cells: usize = sizes.iter().product();
    let mut out = vec![0.0; cells];
    match &*tensor.storage {
        Storage::Sparse(sparse) => {
            for (row, x) in sparse.values.iter().enumerate() {
                let at = sizes.iter().zip(&sparse.coordinates);
                out[at.fold(0, |k, (n, c)| k * n + c.at(row))] = *x;
            }
        }
        Storage::Dense(dense) => crate::with_values!(&dense.values, numbers => {
            let mut cell = vec![0; sizes.len()];
            for slot in &mut out {
                let at: usize = cell.iter().zip(&dense.strides).map(|(i, s)| i * s).sum();
                *slot = numbers[at].to_f64();
                for axis in (0..cell.len()).rev() {
                    cell[axis] += 1;
                    if cell[axis] < sizes[axis] {
                        break;
                    }
                    cell[axis] = 0;
                }
            }
        }),
    }
    out
}

/// How far observed values are from fitted ones, and what they are by themselves.
pub(in crate::run) struct Measured {
    /// Σ x ln(x / q) − x + q, in nats per unit mass.
    pub kl: f64,
    /// −Σ p ln p of the observed values as probabilities, in nats.
    pub data_entropy: f64,
    /// Σ x.
    pub total: f64,
}

/// Measures pairs of observed and fitted values.
pub(in crate::run) fn measure(pairs: impl Iterator<Item = (f64, f64)>) -> Measured {
    let (mut divergence, mut entropy, mut total) =
        (Compensated::default(), Compensated::default(), Compensated::default());
    for (x, q) in pairs {
        divergence.add(q - x);
        total.add(x);
        if x > 0.0 {
            divergence.add(x * (x / q).ln());
            entropy.add(-x * x.ln());
        }
    }
    let total = total.value();
    // the terms add up to no less than zero, and to about one in size
    let kl = fit::divergence(divergence.value() / total, 1.0, total);
    Measured { kl, data_entropy: entropy.value() / total + total.ln(), total }
}

/// What the observed cells and the statements of the model determine together.
fn settle(domain: &mut Domain, model: &EnergyModel, tables: &Tables, rows: &Rows, pseudo: bool, stop: &Stop) {
    let sizes: Vec<usize> = model.modes.iter().map(|m| m.size()).collect();
    let all = Scope::all(sizes.len());
    let total: usize = sizes.iter().product();
    if !model.regular.ties.is_empty() {
        match determined((model, tables), &rows.columns(), stop) {
            Ok((determined, rank)) => {
                domain.widen(&all);
                domain.determined = determined.into();
                domain.rank = Ok(rank.into());
                domain.unsettled = None;
            }
            Err(reason) => domain.unsettled = Some(reason),
        }
    } else if pseudo || !model.regular.smooth.is_empty() {
        let class = left_free(model, tables);
        let found = if pseudo {
            domain.widen(&all);
            identify::identify(&class, &sizes, &all, &marked(&rows.cells, total), stop)
        } else {
            identify::identify(&class, &sizes, &domain.modes, &domain.observed, stop)
        };
        match found {
            Ok(found) => {
                let all = || Truth::always(domain.possible.len());
                domain.determined = found.determined.map_or_else(all, Truth::from);
                domain.unsettled = None;
            }
            Err(reason) => domain.unsettled = Some(reason),
        }
    }
    if pseudo || !model.regular.smooth.is_empty() {
        domain.rank = Err("a fit with a prior or with smoothness has no number of parameters".into());
    }
}

/// What smoothness leaves free, as generators over the modes: a table that is smooth along a mode is a function of
/// that mode and one of all others, and one that is smooth along several is a function of each of these and one of what
/// is left. Not for tables that are tied.
pub(super) fn left_free(model: &EnergyModel, tables: &Tables) -> Vec<Scope> {
    let mut class = Vec::new();
    for block in &tables.blocks {
        let along: Scope =
            model.regular.smooth.iter().filter(|s| s.scope == block.scope).map(|s| s.along).collect();
        class.push(block.scope.difference(&along));
        if block.scope.len() > 1 {
            class.extend(along.iter().map(|m| Scope::from([m])));
        }
    }
    class
}

/// One truth value for each of so many cells: whether it is in a list.
pub(in crate::run) fn marked(cells: &[usize], total: usize) -> Vec<bool> {
    let mut marked = vec![false; total];
    cells.iter().for_each(|k| marked[*k] = true);
    marked
}

/// Which cells these rows and the smoothness of tables determine, row-major, and the rank of both.
fn determined(
    (model, tables): (&EnergyModel, &Tables),
    rows: &[Vec<usize>],
    stop: &Stop,
) -> Result<(Vec<bool>, usize), String> {
    let (smooth, columns) = super::rows::smooth(model, tables);
    let seen: Vec<Vec<usize>> = rows.iter().cloned().chain(smooth).collect();
    identify::by_rows(&seen, columns, &every(model, tables).columns(), stop)
}

/// A row for every cell.
pub(super) fn every(model: &EnergyModel, tables: &Tables) -> Rows {
    let total: usize = model.modes.iter().map(|m| m.size()).product();
    Rows::new(model, tables, &vec![0.0; total], &vec![1.0; total])
}

/// The cells of each table whose parameters are gone.
pub(in crate::run) fn zeros(tables: &Tables, gone: &[bool]) -> Vec<ZeroMarginals> {
    let mut found = Vec::new();
    for block in &tables.blocks {
        let places = || (0..block.place.len()).filter(|k| gone[block.place[*k] as usize]);
        let count = places().count();
        if count == 0 {
            continue;
        }
        let cells = places().take(ZeroMarginals::LISTED).map(|k| cell_at(&block.shape, k)).collect();
        found.push(ZeroMarginals { scope: block.scope.clone(), count, cells });
    }
    found
}

/// The distribution with these potentials beside the fixed ones.
pub(in crate::run) fn distribution(
    model: &EnergyModel,
    potentials: Vec<Table>,
) -> Result<Distribution, Vec<Diagnostic>> {
    let fixed = model.interactions.iter().filter(|i| !matches!(i.potential, Potential::Free));
    let tables = potentials.iter().map(|t| {
        let energies = t.values.iter().map(|l| -l * model.temperature).collect();
        let table = Table { scope: t.scope.clone(), shape: t.shape.clone(), values: energies };
        let scope = t.scope.clone();
        Interaction { scope, potential: Potential::Fixed(Arc::new(table)), span: Span::default() }
    });
    let known = EnergyModel {
        interactions: fixed.cloned().chain(tables).collect(),
        regular: crate::model::Regular::default(),
        ..model.clone()
    };
    let wide = Distribution::from_fixed(&known, &Options { memory: u64::MAX, ..Options::default() })?;
    let energies = model.interactions.iter().filter_map(|i| match &i.potential {
        Potential::Fixed(table) => Some(Arc::clone(table)),
        _ => None,
    });
    Ok(Distribution { potentials, energies: energies.collect(), ..wide })
}
