//! Tensors whose tables are free: the marginals of each on its observed cells are contracted from the tables it sees, and
//! no cell is listed.
//!
//! With the level of each tensor where its total is matched, what is left to minimise is
//! f(λ) = Σ_t s_t ln Z_t(λ) − ⟨P, λ⟩, where s_t = w_t S_t / Σ w S is the share of a tensor and P_c = Σ_t s_t P_t,c over
//! the tensors that see table c. Its gradient is Σ_t s_t Q_t,c − P_c and its second derivative Σ_t s_t G_t, with the
//! Fisher information G_t of each. Newton's method in marginal space ([`crate::run::newton`]) needs no more. Memory and
//! work are those of the fits one by one.

use std::ops::Range;
use std::sync::Arc;

use super::observed::{Observed, restricted};
use super::{Domain, Joint, Part, Solution, Start, finite, fit_of, zeros};
use crate::model::{EnergyModel, Table};
use crate::numeric::sum::{Compensated, dot};
use crate::plan::Schedule;
use crate::plan::cost::{Unit, Units, gradients};
use crate::plan::joint::Layout;
use crate::plan::rows::{Block, Tables};
use crate::plan::schedule::{BufferId, Instruction, Iteration, Step, Together};
use crate::run::boundary::{still, vanishes};
use crate::run::certificate::{Operator, factor};
use crate::run::conjugate::Equations;
use crate::run::control::{Control, Flow, Observer, Sweep};
use crate::run::execute::distribution;
use crate::run::fit::{Counters, Fit, Status};
use crate::run::iterate::RESCUES;
use crate::run::kernel::{combine, marginalise, plus};
use crate::run::machine::Machine;
use crate::run::masked::Knowledge;
use crate::run::newton::{Ended, Objective, Point, minimise, settle};
use crate::run::projection::Projection;
use crate::text::Diagnostic;

/// Most products with the Fisher information for one step, or for the bound.
const MOST: usize = 1000;

/// Relative residual at which the equations of the bound count as solved.
const SOLVED: f64 = 1e-9;

/// Newton's method on the marginals of all tensors, or what follows from where it has ended.
pub(super) fn execute(
    (schedule, work): (&Arc<Schedule>, &Together),
    layout: &Layout,
    model: &Arc<EnergyModel>,
    parts: &[Part],
    (control, observer): (&Control, &mut dyn Observer),
    start: Start,
) -> Result<Joint, Vec<Diagnostic>> {
    let mut seen = Observed::of(parts)?;
    let rank = seen.settle(layout, parts, work, &observer.stop().unwrap_or_default());
    let mut members = Vec::new();
    let models: Vec<EnergyModel> = parts.iter().map(restricted).collect();
    let all = parts.iter().zip(&models).zip(work.contracted.iter().zip(&layout.own));
    for ((part, model), (schedule, own)) in all {
        members.push(Member::open((schedule, model), part, own, control)?);
    }
    let total: f64 = members.iter().map(Member::weight).sum();
    for member in &mut members {
        member.share = member.weight() / total;
    }
    let mut target = vec![0.0; layout.tables.parameters];
    for member in &members {
        member.gather(&member.data, member.share, &mut target);
    }
    let tables = &layout.tables;
    let gone = seen.without_mass(layout, &target);
    for member in &mut members {
        member.restrict(&gone);
    }
    let mut problem = Problem {
        members,
        target,
        scale: Vec::new(),
        control,
        observer,
        before: 0,
        made: 0,
        interrupted: false,
    };
    problem.scale = problem.scales(tables);
    let (solution, vanishing) = match start {
        Start::At(solution) => {
            problem.place(&finite(&solution.parameters))?;
            let (_, vanishing) = problem.prove(&solution.parameters);
            (solution, vanishing)
        }
        Start::From(solution) => problem.solve(Some(solution), (tables, &gone), total)?,
        Start::Afresh => problem.solve(None, (tables, &gone), total)?,
    };
    let Problem { mut members, .. } = problem;
    let mut counters = Counters { peak: schedule.peak, ..Counters::default() };
    for member in &mut members {
        member.finish()?;
        let Counters { operations, bytes, predicted, .. } = member.machine.counters;
        counters.operations += operations;
        counters.bytes += bytes;
        counters.predicted = counters.predicted.plus(predicted.operations, predicted.bytes);
    }
    let zero_marginals = zeros(tables, &gone);
    let mut boundary = vanishing || !zero_marginals.is_empty();
    if seen.masked {
        boundary |= seen.at_boundary((model, layout), parts, (&solution, &gone), boundary, control)?;
    }
    let interrupted = solution.interrupted || seen.domains.iter().any(Domain::cut_short);
    let status = Status::ended(interrupted, solution.stopped, boundary, Status::Converged);
    let certificate = solution.certificate(total);
    let observed = seen.domains.iter().map(|d| d.count(Knowledge::Observed)).sum();
    let mut joint = Joint {
        model: Arc::clone(model),
        schedule: Arc::clone(schedule),
        divergence: 0.0,
        total,
        observed,
        rank,
        solution,
        status,
        certificate,
        zero_marginals,
        counters,
        parts: Vec::new(),
        pseudo: vec![None; parts.len()],
    };
    let mut divergence = Compensated::default();
    let all = members.into_iter().zip(parts).zip(layout.own.iter().zip(seen.domains));
    for ((member, part), (own, mut domain)) in all {
        let Machine { kl, negative_entropy, total: mass, .. } = member.machine;
        divergence.add(part.weight * kl * mass);
        let zero_marginals = zeros(own, &gone);
        let fit = match part.tensor.mask.is_some() || !part.model.support.is_empty() {
            true => {
                domain.rank = Err("its tables are shared with other tensors".into());
                fit_of(&joint, part, own, (kl, -negative_entropy), zero_marginals, Some(Arc::new(domain)))?
            }
            false => Fit {
                model: Arc::clone(&part.model),
                schedule: Arc::clone(&joint.schedule),
                status: joint.status,
                iterations: joint.solution.iterations,
                certificate: joint.certificate.clone(),
                total: mass,
                mass,
                kl,
                data_entropy: -negative_entropy,
                counters: joint.counters,
                learned: None,
                zero_marginals,
                domain: None,
                distribution: distribution(member.machine),
            },
        };
        joint.parts.push(Arc::new(fit));
    }
    joint.divergence = divergence.value();
    Ok(joint)
}

/// A table as a component of a tensor has it.
struct Seen<'a> {
    /// Where the generator that holds it stands among all of the component.
    at: Range<usize>,
    /// How the generator falls onto it, when it is larger.
    way: Option<Projection>,
    /// Its parameters.
    block: &'a Block,
}

impl Seen<'_> {
    /// Adds its parameters to the generators.
    fn spread(&self, parameters: &[f64], stacked: &mut [f64]) {
        let own: Vec<f64> = self.block.place.iter().map(|p| parameters[*p as usize]).collect();
        let onto = &mut stacked[self.at.clone()];
        match &self.way {
            None => onto.iter_mut().zip(own).for_each(|(s, l)| *s += l),
            Some(way) => combine(way, onto, &own, plus),
        }
    }

    /// Adds a multiple of what the generators have to its parameters.
    fn gather(&self, stacked: &[f64], times: f64, onto: &mut [f64]) {
        let from = &stacked[self.at.clone()];
        let add = |onto: &mut [f64], own: &[f64]| {
            self.block.place.iter().zip(own).for_each(|(p, x)| onto[*p as usize] += times * x);
        };
        match &self.way {
            None => add(onto, from),
            Some(way) => {
                let mut own = vec![0.0; self.block.place.len()];
                marginalise(way, from, &mut own);
                add(onto, &own);
            }
        }
    }
}

/// An independent component of a tensor's model.
struct Component<'a> {
    iteration: &'a Iteration,
    operator: Operator<'a>,
    tables: Vec<Seen<'a>>,
    cells: usize,
}

impl<'a> Component<'a> {
    fn of(machine: &mut Machine<'a>, iteration: &'a Iteration, own: &'a Tables) -> Self {
        let buffers = &machine.schedule.buffers;
        let (mut tables, mut cells) = (Vec::new(), 0);
        let mut taken = vec![false; own.blocks.len()];
        for m in &iteration.pairs {
            let generator = &buffers[m.statistic.0];
            let size: usize = generator.shape.iter().product();
            for (block, taken) in own.blocks.iter().zip(&mut taken) {
                if *taken || block.scope.is_empty() || !block.scope.is_subset(&generator.scope) {
                    continue;
                }
                *taken = true;
                let smaller = block.scope != generator.scope;
                let way = || Projection::between(&generator.scope, &generator.shape, &block.scope);
                tables.push(Seen { at: cells..cells + size, way: smaller.then(way), block });
            }
            cells += size;
        }
        let operator = Operator::of_atom(machine, iteration, iteration.factored.is_some());
        Self { iteration, operator, tables, cells }
    }

    fn in_factors(&self) -> bool {
        matches!(self.operator, Operator::Factors(..))
    }

    /// The sum of the parameters of all tables, cell by cell of each generator.
    fn spread(&self, parameters: &[f64]) -> Vec<f64> {
        let mut stacked = vec![0.0; self.cells];
        self.tables.iter().for_each(|t| t.spread(parameters, &mut stacked));
        stacked
    }
}

/// A tensor of the fit.
struct Member<'a> {
    machine: Machine<'a>,
    components: Vec<Component<'a>>,
    /// The data's marginals on the generators of each component.
    data: Vec<Vec<f64>>,
    /// What multiplies its divergence.
    factor: f64,
    /// Its part of the weight of all tensors.
    share: f64,
    own: &'a Tables,
}

impl<'a> Member<'a> {
    /// Takes the statistics, and opens every component at tables of one.
    fn open(
        (schedule, model): (&'a Schedule, &'a EnergyModel),
        part: &'a Part,
        own: &'a Tables,
        control: &Control,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut machine = Machine::new(schedule, model, Some(&part.tensor), control);
        let mut components = Vec::new();
        for step in &schedule.steps {
            match &step.instruction {
                Instruction::Loop(iteration) => {
                    if let Some(factored) = &iteration.factored {
                        machine.open_factors(factored, &iteration.pairs);
                    }
                    components.push(Component::of(&mut machine, iteration, own));
                }
                // these are about the marginals of this tensor alone, or come last
                Instruction::Certify { .. } | Instruction::Gap { .. } | Instruction::Divergence { .. } => {}
                _ => run(&mut machine, step)?,
            }
        }
        let of = |c: &Component| {
            c.iteration.pairs.iter().flat_map(|m| machine.tables[m.statistic.0].iter().copied()).collect()
        };
        let data = components.iter().map(of).collect();
        Ok(Self { machine, components, data, factor: part.weight, share: 0.0, own })
    }

    /// Its part of the entropy of the data.
    fn entropy(&self) -> f64 {
        self.share * self.machine.negative_entropy.abs()
    }

    /// The logarithm of what exp Σ λ is multiplied by, so that its total is matched.
    fn level(&self) -> f64 {
        self.weight().ln() - self.machine.log_mass.iter().sum::<f64>()
    }

    /// The smallest sum of these parameters in a cell of its support.
    fn smallest(&mut self, parameters: &[f64]) -> f64 {
        let machine = &self.machine;
        self.components.iter_mut().map(|c| c.operator.smallest(machine, &c.spread(parameters))).sum()
    }

    /// Tables whose sum over the cells is that of these parameters.
    fn tables(&self, parameters: &[f64]) -> Vec<Table> {
        let mut found = Vec::new();
        for component in &self.components {
            let stacked = component.spread(parameters);
            let mut rest = stacked.as_slice();
            for m in &component.iteration.pairs {
                let buffer = &self.machine.schedule.buffers[m.statistic.0];
                let (own, tail) = rest.split_at(buffer.shape.iter().product());
                rest = tail;
                let (scope, shape) = (buffer.scope.clone(), buffer.shape.clone());
                found.push(Table { scope, shape, values: own.to_vec() });
            }
        }
        found
    }

    /// What its divergence, per unit mass, is multiplied by.
    fn weight(&self) -> f64 {
        self.factor * self.machine.total
    }

    /// Adds a multiple of what the generators of its components have to the parameters.
    fn gather(&self, stacked: &[Vec<f64>], times: f64, onto: &mut [f64]) {
        for (component, stacked) in self.components.iter().zip(stacked) {
            component.tables.iter().for_each(|t| t.gather(stacked, times, onto));
        }
    }

    /// Leaves out the cells that no tensor has mass for, and keeps those where another one has.
    fn restrict(&mut self, gone: &[bool]) {
        let lost: Vec<f64> = gone.iter().map(|g| f64::from(u8::from(*g))).collect();
        for component in &self.components {
            let lost = component.spread(&lost);
            let mut rest = lost.as_slice();
            let tables = &mut self.machine.tables;
            let mut fill = |id: BufferId, lost: &[f64], one: f64, none: f64| {
                tables[id.0].iter_mut().zip(lost).for_each(|(t, l)| *t = if *l > 0.0 { none } else { one });
            };
            for (k, m) in component.iteration.pairs.iter().enumerate() {
                let cells = self.machine.schedule.buffers[m.statistic.0].shape.iter().product();
                let (own, tail) = rest.split_at(cells);
                rest = tail;
                fill(m.potential, own, 0.0, f64::NEG_INFINITY);
                if let Some(factored) = &component.iteration.factored {
                    fill(factored.factors[k], own, 1.0, 0.0);
                }
            }
        }
    }

    /// Moves to these parameters: ln Z of its tables there; none where factors would spread too far, for which
    /// it goes on with tables from then on.
    fn place(&mut self, parameters: &[f64]) -> Result<f64, Vec<Diagnostic>> {
        let mut log_mass = 0.0;
        for component in &mut self.components {
            let logs = component.spread(parameters);
            let found = match settle(&mut self.machine, component.iteration, component.in_factors(), &logs)? {
                Some(found) => Some(found),
                None => {
                    component.operator = Operator::of_atom(&mut self.machine, component.iteration, false);
                    settle(&mut self.machine, component.iteration, false, &logs)?
                }
            };
            let own = found.map_or(f64::NAN, |(mass, _)| mass);
            let place = self.machine.schedule.places.iter().find(|p| p.atom == component.iteration.atom);
            if let Some(place) = place {
                self.machine.log_mass[place.component] = own;
            }
            log_mass += own;
        }
        Ok(log_mass)
    }

    /// What is left to do when the parameters are found: potentials and the divergence.
    fn finish(&mut self) -> Result<(), Vec<Diagnostic>> {
        for component in &self.components {
            let iteration = component.iteration;
            let Some(factored) = iteration.factored.as_ref().filter(|_| component.in_factors()) else {
                continue;
            };
            for (f, m) in factored.factors.iter().zip(&iteration.pairs) {
                self.machine.take_potential(*f, m.potential);
            }
        }
        let last = self.machine.schedule.steps.iter();
        last.filter(|s| matches!(s.instruction, Instruction::Divergence { .. }))
            .try_for_each(|step| run(&mut self.machine, step))
    }
}

/// A step that is no loop.
fn run(machine: &mut Machine, step: &Step) -> Result<(), Vec<Diagnostic>> {
    machine.predict(Unit { operations: step.operations, bytes: step.bytes });
    machine.step(step)
}

/// The fit as a convex problem. Numbers are per unit of the weight of all tensors.
struct Problem<'a, 'o> {
    members: Vec<Member<'a>>,
    /// What every table is matched to.
    target: Vec<f64>,
    /// The largest of a parameter's table, which gaps are relative to.
    scale: Vec<f64>,
    control: &'o Control,
    observer: &'o mut dyn Observer,
    /// Products that an earlier run has made, and those of this one.
    before: usize,
    made: usize,
    interrupted: bool,
}

impl Objective for Problem<'_, '_> {
    fn place(&mut self, logs: &[f64]) -> Result<Option<Point>, Vec<Diagnostic>> {
        let (mut value, mut size) = (0.0, 0.0);
        for member in &mut self.members {
            let term = member.share * member.place(logs)?;
            value += term;
            size += term.abs();
        }
        for (t, l) in self.target.iter().zip(logs) {
            value -= t * l;
            size += (t * l).abs();
        }
        if value.is_nan() {
            return Ok(None);
        }
        let gap = self.gap();
        Ok(Point::new(value, size, gap))
    }

    fn marginals(&mut self) -> Vec<f64> {
        let mut out = vec![0.0; self.target.len()];
        for member in &mut self.members {
            let machine = &mut member.machine;
            let fitted: Vec<Vec<f64>> =
                member.components.iter().map(|c| c.operator.marginals(machine)).collect();
            member.gather(&fitted, member.share, &mut out);
        }
        out
    }

    fn product(&mut self, v: &[f64], gap: f64) -> Option<(Vec<f64>, f64)> {
        if self.spent() {
            return None;
        }
        self.made += 1;
        let told = Sweep::alone(self.before + self.made, gap, self.control);
        self.interrupted = self.observer.sweep(&told) == Flow::Interrupt;
        Some((self.curvature(v).0, 0.0))
    }

    fn spent(&self) -> bool {
        self.interrupted || self.before + self.made >= self.control.max_sweeps
    }

    fn met(&mut self, _: f64) {}
}

impl Problem<'_, '_> {
    /// The largest cell of the table of each parameter.
    fn scales(&self, tables: &Tables) -> Vec<f64> {
        let mut scale = vec![f64::MIN_POSITIVE; self.target.len()];
        for block in tables.blocks.iter().filter(|b| !b.scope.is_empty()) {
            let most = block.place.iter().map(|p| self.target[*p as usize]).fold(f64::MIN_POSITIVE, f64::max);
            block.place.iter().for_each(|p| scale[*p as usize] = most);
        }
        scale
    }

    /// Σ_t s_t G_t v, and the mean of Σ v under the model of each tensor.
    fn curvature(&mut self, v: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut out = vec![0.0; v.len()];
        let mut means = Vec::new();
        for member in &mut self.members {
            let machine = &mut member.machine;
            let (mut images, mut mean) = (Vec::new(), 0.0);
            for component in &mut member.components {
                let along = component.spread(v);
                machine.predict(Units::of(component.iteration, &machine.schedule.buffers).product);
                machine.worked(gradients(along.len() as f64));
                let (image, own) = component.operator.apply(machine, &along);
                mean += own;
                images.push(image);
            }
            member.gather(&images, member.share, &mut out);
            means.push(mean);
        }
        (out, means)
    }

    /// Moves tables towards cells with data that the model gives less than a double can hold, one table at a time and
    /// each time by as much as doubles reach: Newton's method does not see them.
    fn bring_back(&mut self, tables: &Tables, parameters: &mut [f64]) -> Result<(), Vec<Diagnostic>> {
        for _ in 0..RESCUES {
            self.place(parameters)?;
            let fitted = self.marginals();
            let lost = |p: &u32| fitted[*p as usize] == 0.0 && self.target[*p as usize] > 0.0;
            let Some(block) = tables.blocks.iter().find(|b| b.place.iter().any(lost)) else { break };
            for p in block.place.iter().filter(|p| lost(p)) {
                let at = *p as usize;
                parameters[at] += (self.target[at].max(f64::MIN_POSITIVE) / f64::MIN_POSITIVE).ln().max(1.0);
            }
        }
        Ok(())
    }

    /// From tables of one, or from where an earlier run has ended; also whether cells are on their way to zero.
    fn solve(
        &mut self,
        begun: Option<Solution>,
        (tables, gone): (&Tables, &[bool]),
        total: f64,
    ) -> Result<(Solution, bool), Vec<Diagnostic>> {
        self.before = begun.as_ref().map_or(0, |b| b.iterations);
        let spent = begun.as_ref().map_or(0, |b| b.passes);
        let mut parameters = begun.map_or_else(|| vec![0.0; self.target.len()], |b| finite(&b.parameters));
        let target = self.target.clone();
        self.bring_back(tables, &mut parameters)?;
        let ended = minimise(self, &target, &mut parameters, (self.control.tolerance, MOST))?;
        let gap = self.gap();
        let (bound, vanishing) = self.prove(&parameters);
        for (parameter, gone) in parameters.iter_mut().zip(gone) {
            if *gone {
                *parameter = f64::NEG_INFINITY;
            }
        }
        for member in &self.members {
            // its total is matched
            let level = member.own.blocks.last().and_then(|b| b.place.first());
            if let Some(level) = level {
                parameters[*level as usize] = member.level();
            }
        }
        let matched = ended == Ended::Matched;
        let solution = Solution {
            parameters,
            gap,
            bound: bound.map(|b| b * total),
            iterations: self.before + self.made,
            stopped: !matched,
            interrupted: self.interrupted && !matched,
            passes: spent + self.made,
        };
        Ok((solution, vanishing))
    }

    /// A bound on what is left to gain, as for one tensor ([`crate::run::certificate`]): where d solves the Newton
    /// equations, Q_t (1 + Σ d − ⟨Σ d⟩) have together the marginals of the data. Also whether cells are on their way to
    /// zero.
    fn prove(&mut self, parameters: &[f64]) -> (Result<f64, String>, bool) {
        if self.interrupted {
            return (Err("the fit was interrupted".into()), false);
        }
        let fitted = self.marginals();
        let right: Vec<f64> = self.target.iter().zip(&fitted).map(|(p, q)| p - q).collect();
        let inverse: Vec<f64> = fitted.iter().map(|q| if *q > 0.0 { 1.0 / q } else { 0.0 }).collect();
        let resolution = f64::EPSILON * (1.0 + self.members.iter().map(Member::entropy).sum::<f64>());
        let reach = self.reach(parameters);
        let equations = Equations {
            right: &right,
            inverse: &inverse,
            accuracy: SOLVED,
            floor: (32.0 * f64::EPSILON).powi(2) * self.target.iter().sum::<f64>(),
            // a fit that is taken up where it had ended has met nothing, and is to find the same
            worthless: 0.0,
            met: 0.0,
            most: MOST,
        };
        let found = equations.solve(|v| (self.curvature(v).0, 0.0));
        let (image, means) = self.curvature(&found.d);
        let mut smallest = 0.0f64;
        for (member, mean) in self.members.iter_mut().zip(means) {
            smallest = smallest.min(member.smallest(&found.d) - mean);
        }
        let stays = |m: &Member| m.machine.tensor.is_some_and(|x| still(x, &m.tables(&found.d)));
        let vanishing = vanishes(smallest) && self.members.iter().all(stays);
        if smallest < -1.0 {
            let reason = match vanishing {
                true => "the optimum lies on the boundary, where the bound does not apply",
                false => "the fit is too far from the optimum for a bound",
            };
            return (Err(reason.into()), vanishing);
        }
        let left = right.iter().zip(&image).map(|(r, i)| (r - i).abs()).sum::<f64>();
        let missed = reach.max(1.0) * left;
        (Ok(factor(smallest) * dot(&found.d, &image).max(0.0) + missed + resolution), vanishing)
    }

    /// The largest marginal gap, relative to the largest cell of a table.
    fn gap(&mut self) -> f64 {
        let fitted = self.marginals();
        let gaps = fitted.iter().zip(&self.target).zip(&self.scale).map(|((q, p), s)| (q - p).abs() / s);
        gaps.fold(0.0, f64::max)
    }

    /// How far the parameters of tables lie apart.
    fn reach(&self, parameters: &[f64]) -> f64 {
        let tables = parameters.iter().zip(&self.target).filter(|(_, t)| **t > 0.0);
        let ends = tables.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (x, _)| (l.min(*x), h.max(*x)));
        (ends.1 - ends.0).max(0.0)
    }
}
