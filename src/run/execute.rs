//! Runs a schedule and hands back what it found.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::control::{Control, Observer, Silent};
use super::distribution::{Belief, Clique, Distribution};
use super::fit::{Fit, Status, ZeroMarginals};
use super::machine::Machine;
use super::masked::face::Face;
use super::masked::{self, Domain};
use super::state::State;
use crate::data::Tensor;
use crate::model::table::cell_at;
use crate::model::{EnergyModel, Potential, Scope, Support, Table};
use crate::plan::rows::Tables;
use crate::plan::schedule::{BufferId, Instruction, Joint};
use crate::plan::{Options, Schedule, compile_fixed};
use crate::text::{Code, Diagnostic};

/// Fits `model` to `tensor` by the program `schedule`, which must have been compiled for this model.
///
/// # Errors
/// MBA502 when the data have no mass, MBA503 when they have mass where fixed potentials leave none, and
/// MBA505 when the tensor's axes are not the model's modes.
pub fn execute(
    schedule: &Schedule,
    model: &EnergyModel,
    tensor: &Tensor,
    control: &Control,
    observer: &mut dyn Observer,
) -> Result<Fit, Vec<Diagnostic>> {
    run(schedule, model, tensor, control, observer, None)
}

/// Goes on from a state that an observer of [`execute`] has kept: the same bits as if it had never stopped.
///
/// # Errors
/// As [`execute`]; MBA532 when the state is not one of this schedule.
pub fn resume(
    schedule: &Schedule,
    model: &EnergyModel,
    tensor: &Tensor,
    control: &Control,
    observer: &mut dyn Observer,
    state: State,
) -> Result<Fit, Vec<Diagnostic>> {
    run(schedule, model, tensor, control, observer, Some(state))
}

fn run(
    schedule: &Schedule,
    model: &EnergyModel,
    tensor: &Tensor,
    control: &Control,
    observer: &mut dyn Observer,
    state: Option<State>,
) -> Result<Fit, Vec<Diagnostic>> {
    fits_together(schedule, model, Some(tensor))?;
    if !model.regular.is_empty() {
        return masked::regular::execute(schedule, model, tensor, None, control, observer);
    }
    if let Some(work) = schedule.rank_one() {
        let found = match state {
            None => masked::rank_one::execute(schedule, work, model, tensor, control, observer)?,
            Some(_) => None,
        };
        return match found {
            Some(fit) => Ok(fit),
            None => run(&work.otherwise, model, tensor, control, observer, state),
        };
    }
    let parametrised = model.parametrised()?;
    if tensor.mask.is_some() || !model.support.is_empty() {
        return restricted(schedule, model, &parametrised, tensor, control, observer, state);
    }
    let mut machine = Machine::new(schedule, &parametrised, Some(tensor), control);
    machine.go_on(state)?;
    machine.run(observer)?;
    let zero_marginals = zero_marginals(&machine);
    let status = status(&machine, !zero_marginals.is_empty());
    Ok(Fit {
        mass: machine.total,
        domain: None,
        model: Arc::new(model.clone()),
        schedule: Arc::new(schedule.clone()),
        status,
        iterations: machine.sweeps,
        certificate: machine.certificate.clone(),
        total: machine.total,
        kl: machine.kl,
        data_entropy: -machine.negative_entropy,
        counters: machine.counters,
        zero_marginals,
        learned: machine.learned.take().map(Arc::new),
        distribution: distribution(machine),
    })
}

/// The same where some cells are unknown or impossible: a fit on the others, and what follows for the rest.
fn restricted(
    schedule: &Schedule,
    model: &EnergyModel,
    parametrised: &EnergyModel,
    tensor: &Tensor,
    control: &Control,
    observer: &mut dyn Observer,
    state: Option<State>,
) -> Result<Fit, Vec<Diagnostic>> {
    masked::contradiction(model, tensor)?;
    let mut domain = Domain::new(model, tensor.mask.as_ref())?;
    let stop = observer.stop().unwrap_or_default();
    domain.settle(&model.free_scopes(), &stop);
    let masks = tensor.mask.iter().flat_map(|m| &m.factors).map(|f| (Arc::new(f.support()), f.span));
    let base = parametrised.on_support(masks);
    let mut machine = Machine::new(schedule, &base, Some(tensor), control);
    machine.go_on(state)?;
    machine.run(observer)?;
    let mut statistics: Vec<(Scope, Vec<usize>, Vec<f64>)> = Vec::new();
    for m in &machine.schedule.matches {
        let buffer = &machine.schedule.buffers[m.statistic.0];
        // a separator is a generator of both its atoms
        if statistics.iter().all(|(scope, ..)| *scope != buffer.scope) {
            let values = machine.tables[m.statistic.0].clone();
            statistics.push((buffer.scope.clone(), buffer.shape.clone(), values));
        }
    }
    let zero_marginals = domain.seen_zeros(&statistics);
    let ended = status(&machine, !zero_marginals.is_empty());
    let (iterations, certificate) = (machine.sweeps, machine.certificate.clone());
    let (total, kl, data_entropy) = (machine.total, machine.kl, -machine.negative_entropy);
    let counters = machine.counters;
    let learned = machine.learned.take().map(Arc::new);
    let restricted = distribution(machine);
    let mut status = ended;
    let listed = domain.modes.len() == domain.sizes.len() || ended == Status::Boundary;
    if tensor.mask.is_some() && learned.is_none() && listed && has_zeros(tensor, &domain) {
        let tables = Tables::of(model);
        let found = (&restricted, total, certificate.marginal_gap);
        match Face::of(&domain, (model, &tables), tensor, found, control, &stop) {
            Ok(Some(face)) => {
                face.settle(&mut domain, (model, &tables), &stop);
                if face.hidden && status == Status::Converged {
                    status = Status::Boundary;
                }
            }
            Ok(None) => {}
            Err(reason) => domain.give_up(reason),
        }
    }
    if domain.cut_short() {
        status = Status::Interrupted;
    }
    let (distribution, growth) =
        if tensor.mask.is_some() { masked::extend(model, &restricted, &domain)? } else { (restricted, 1.0) };
    Ok(Fit {
        model: Arc::new(model.clone()),
        schedule: Arc::new(schedule.clone()),
        status,
        iterations,
        certificate,
        total,
        mass: total * growth,
        kl,
        data_entropy,
        counters,
        zero_marginals,
        distribution,
        learned,
        domain: Some(Arc::new(domain)),
    })
}

/// Whether some observed cell is zero.
pub(super) fn has_zeros(tensor: &Tensor, domain: &Domain) -> bool {
    use crate::data::{Element, Storage, Values};
    let positive = match &*tensor.storage {
        Storage::Sparse(sparse) => sparse.values.iter().filter(|x| **x > 0.0).count(),
        Storage::Dense(dense) => match &dense.values {
            // through the mask, which needs no copy
            Values::F64(own) if let Some((x, seen)) = own.through() => {
                x.iter().zip(seen).filter(|(x, seen)| **seen && **x > 0.0).count()
            }
            values => crate::with_values!(values, x => x.iter().filter(|x| x.to_f64() > 0.0).count()),
        },
    };
    domain.count(masked::Knowledge::Observed) > positive.into()
}

impl Distribution {
    /// The distribution of a model that has no free tables: exp(−E/T)/Z, by one pass up and down its tree.
    ///
    /// # Errors
    /// As [`compile_fixed`]; MBA503 when every cell has infinite energy.
    pub fn from_fixed(model: &EnergyModel, options: &Options) -> Result<Self, Vec<Diagnostic>> {
        let schedule = compile_fixed(model, options)?;
        fits_together(&schedule, model, None)?;
        let base = model.on_support([]);
        let mut machine = Machine::new(&schedule, &base, None, &Control::default());
        machine.run(&mut Silent)?;
        Ok(distribution(machine))
    }
}

fn fits_together(
    schedule: &Schedule,
    model: &EnergyModel,
    tensor: Option<&Tensor>,
) -> Result<(), Vec<Diagnostic>> {
    let sizes: Vec<usize> = model.modes.iter().map(|m| m.size()).collect();
    let same = schedule.draft.sizes == sizes && schedule.profile.is_some() == tensor.is_some();
    let bound = tensor.is_none_or(|t| match &*t.storage {
        crate::data::Storage::Dense(d) => d.shape == sizes,
        crate::data::Storage::Sparse(s) => s.shape == sizes && s.coordinates.len() == sizes.len(),
    });
    if same && bound {
        return Ok(());
    }
    let data = tensor.map_or("no data", |t| t.name.as_str());
    let message = format!("`{data}` does not have the modes `{}` was planned for", model.name);
    Err(vec![Diagnostic::new(Code::MBA505, message)])
}

fn status(machine: &Machine, zeros: bool) -> Status {
    let otherwise = if machine.schedule.iterates() { Status::Converged } else { Status::ClosedForm };
    Status::ended(machine.interrupted, machine.stopped, zeros || machine.vanishing, otherwise)
}

fn zero_marginals(machine: &Machine) -> Vec<ZeroMarginals> {
    let mut found: Vec<ZeroMarginals> = Vec::new();
    for m in &machine.schedule.matches {
        let buffer = &machine.schedule.buffers[m.statistic.0];
        let values = &machine.tables[m.statistic.0];
        let zeros = || values.iter().enumerate().filter(|(_, p)| **p == 0.0).map(|(k, _)| k);
        let count = zeros().count();
        // a separator is a generator of both its atoms
        if count == 0 || found.iter().any(|z| z.scope == buffer.scope) {
            continue;
        }
        let cells = zeros().take(ZeroMarginals::LISTED).map(|k| cell_at(&buffer.shape, k)).collect();
        found.push(ZeroMarginals { scope: buffer.scope.clone(), count, cells });
    }
    found
}

/// What the tables of a machine say, once everything has run.
pub(super) fn distribution(mut machine: Machine) -> Distribution {
    let schedule = machine.schedule;
    let blank = |id: BufferId| {
        let buffer = &schedule.buffers[id.0];
        Table { scope: buffer.scope.clone(), shape: buffer.shape.clone(), values: Vec::new() }
    };
    // an atom that stayed a product of factors has no tables yet
    let mut products: BTreeMap<BufferId, (Vec<Table>, Vec<Arc<Support>>)> = BTreeMap::new();
    let mut shared: BTreeMap<BufferId, Vec<f64>> = BTreeMap::new();
    // an atom that hangs from another was divided by what the two share
    let united: Vec<&Joint> = schedule
        .steps
        .iter()
        .filter_map(|s| match &s.instruction {
            Instruction::Unite(unite) => Some(&unite.joints),
            _ => None,
        })
        .flatten()
        .collect();
    for step in &schedule.steps {
        let Instruction::Loop(iteration) = &step.instruction else { continue };
        let Some(factored) = &iteration.factored else { continue };
        if !machine.tables[iteration.root.0].is_empty() {
            continue;
        }
        let first = schedule.places.iter().position(|p| p.atom == iteration.atom).unwrap_or(0);
        for (place, heard) in &factored.heard {
            let belief = schedule.places[*place].belief;
            let clique = schedule.draft.atoms[iteration.atom].cliques.get(place - first);
            let fixed = clique.map_or(&[][..], |c| &c.fixed);
            let condition = |k: &usize| match &machine.model.interactions.get(*k)?.potential {
                Potential::Support(support) => Some(Arc::clone(support)),
                _ => None,
            };
            let conditions = fixed.iter().filter_map(condition).collect();
            let known = fixed.iter().filter(|k| condition(k).is_none()).filter_map(|k| machine.energy(*k));
            let known: Vec<Table> = known
                .map(|energy| {
                    let values = energy.values.iter().map(|e| -e / machine.model.temperature).collect();
                    Table { scope: energy.scope.clone(), shape: energy.shape.clone(), values }
                })
                .collect();
            let own = iteration
                .pairs
                .iter()
                .filter(|m| m.belief == belief)
                .map(|m| Table { values: machine.tables[m.potential.0].clone(), ..blank(m.potential) });
            let messages = heard.iter().map(|id| {
                let logs = machine.tables[id.0].iter().map(|v| v.ln() + machine.scale_of[id.0]);
                Table { values: logs.collect(), ..blank(*id) }
            });
            let above = united.iter().filter(|j| j.factor.is_some() && j.holder.belief == belief);
            let above = above.filter_map(|j| j.shared).map(|(separator, _)| Table {
                values: machine.tables[separator.0].iter().map(|s| s.ln()).collect(),
                ..blank(separator)
            });
            let factors = own.chain(messages).chain(above).chain(known).collect();
            products.insert(belief, (factors, conditions));
        }
        for (up, down, separator) in &factored.between {
            let both = machine.tables[up.0].iter().zip(&machine.tables[down.0]).map(|(u, d)| u * d);
            let values: Vec<f64> = both.collect();
            let mass = super::sum::sum(&values);
            shared.insert(*separator, values.into_iter().map(|v| v / mass).collect());
        }
    }
    let mut table = |id: BufferId| {
        let own = shared.remove(&id).unwrap_or_else(|| std::mem::take(&mut machine.tables[id.0]));
        Table { values: own, ..blank(id) }
    };
    let cliques: Vec<Clique> = schedule
        .places
        .iter()
        .map(|place| Clique {
            belief: match products.remove(&place.belief) {
                Some((factors, conditions)) => {
                    let Table { scope, shape, .. } = blank(place.belief);
                    Belief::product(scope, shape, factors, conditions)
                }
                None => Belief::table(table(place.belief)),
            },
            parent: place.parent.map(|(p, s)| (p, table(s))),
            component: place.component,
        })
        .collect();
    let potentials = schedule.matches.iter().map(|m| table(m.potential)).collect();
    let support = |k: &usize| {
        matches!(machine.model.interactions.get(*k).map(|i| &i.potential), Some(Potential::Support(_)))
    };
    let known = (0..machine.model.interactions.len()).filter(|k| !support(k));
    let energies = known.filter_map(|k| machine.energy(k));
    let energies: Vec<Arc<Table>> = energies.collect();
    Distribution {
        modes: machine.model.modes.clone(),
        cliques,
        potentials,
        energies,
        temperature: machine.model.temperature,
        log_mass: machine.log_mass,
    }
}
