//! The interpreter of schedules: tables, and one method per instruction.

use std::collections::HashMap;
use std::sync::Arc;

use super::contract::Room;
use super::control::{Control, Observer, Sweep};
use super::fit::{Certificate, Counters};
use super::kernel::{combine, map, marginalise, maximise, plus, ratio, scale};
use super::learned::Learned;
use super::projection::Projection;
use super::state::{Misfit, Resumable, State, whole};
use super::statistic::gather;
use super::stream::Way;
use super::sum::{dot, sum};
use super::vector::{exp, ln, ln_all};
use super::{certificate, iterate, learned};
use crate::data::Tensor;
use crate::model::{EnergyModel, Potential, Table};
use crate::numeric::gap::relative_gap;
use crate::plan::cost::{TRANSCENDENTAL, Unit, Units};
use crate::plan::schedule::{BufferId, Instruction, Iteration, Match, Schedule, Step};
use crate::text::{Code, Diagnostic};

/// What a run has computed so far.
pub(super) struct Machine<'a> {
    pub schedule: &'a Schedule,
    pub model: &'a EnergyModel,
    pub tensor: Option<&'a Tensor>,
    pub control: Control,
    /// The tables that are alive; the others are empty.
    pub tables: Vec<Vec<f64>>,
    projections: HashMap<(BufferId, BufferId), Arc<Projection>>,
    pub scratch: Vec<f64>,
    /// The logarithm of what the values of a factor, a message or a view are divided by.
    pub scale_of: Vec<f64>,
    pub products: HashMap<BufferId, Vec<(Vec<BufferId>, Arc<Way>)>>,
    pub room: Room,
    /// Whether some factor has spread too far for products of it.
    pub uneven: bool,
    /// The gap of atoms that stayed products of factors.
    pub factored_gap: f64,
    /// ln of the mass of exp(Σ λ − Σ E/T) of each component.
    pub log_mass: Vec<f64>,
    pub sweeps: usize,
    /// Which loop runs, from 1.
    pub atom: usize,
    pub stopped: bool,
    pub interrupted: bool,
    pub gap: f64,
    pub negative_entropy: f64,
    pub total: f64,
    pub kl: f64,
    pub certificate: Certificate,
    /// About the smallest eigenvalue of the preconditioned Fisher information that the loops have met, 0 where one has
    /// met none ([`super::conjugate`]).
    pub flattest: f64,
    /// Whether cells are on their way to zero although the marginals match ([`super::boundary`]).
    pub vanishing: bool,
    pub counters: Counters,
    /// What the work of the loop that runs is predicted to cost.
    pub units: Units,
    pub live: usize,
    /// The energies of learned potentials at the coefficients of now, by position in the model's interactions.
    pub energies: HashMap<usize, Arc<Table>>,
    /// What was learned of the coefficients.
    pub learned: Option<Learned>,
    /// The step that runs, and the one before which it ends.
    pub at: usize,
    pub until: usize,
    /// Whether it runs one atom beside others.
    pub aside: bool,
    /// Steps that ran side by side with others, before their turn.
    pub ran: Vec<std::ops::Range<usize>>,
    /// What the loop that goes on has kept of itself, until it starts.
    pub resumed: Option<State>,
    /// Truth values of masks and conditions, by position in the model's interactions and the axis of their rows.
    pub truths: HashMap<(usize, usize), super::filtered::Truths>,
    /// A generator with mass in the data where the beliefs of the last sweep have none.
    pub lost: Option<BufferId>,
    /// One where the model has none.
    pub infeasible: Option<BufferId>,
}

impl<'a> Machine<'a> {
    pub fn new(
        schedule: &'a Schedule,
        model: &'a EnergyModel,
        tensor: Option<&'a Tensor>,
        control: &Control,
    ) -> Self {
        let components = schedule.places.iter().map(|p| p.component + 1).max().unwrap_or(0);
        let resident = schedule.profile.as_ref().map_or(0.0, |p| p.resident_bytes());
        Self {
            schedule,
            model,
            tensor,
            control: *control,
            tables: vec![Vec::new(); schedule.buffers.len()],
            projections: HashMap::new(),
            scratch: Vec::new(),
            scale_of: vec![0.0; schedule.buffers.len()],
            products: HashMap::new(),
            room: Room::default(),
            uneven: false,
            factored_gap: 0.0,
            log_mass: vec![0.0; components],
            sweeps: 0,
            atom: 0,
            stopped: false,
            interrupted: false,
            gap: 0.0,
            negative_entropy: 0.0,
            total: 0.0,
            kl: 0.0,
            certificate: Certificate::default(),
            flattest: f64::INFINITY,
            vanishing: false,
            counters: Counters::default(),
            units: Units::default(),
            live: resident as usize,
            energies: HashMap::new(),
            learned: None,
            at: 0,
            until: schedule.steps.len(),
            aside: false,
            ran: Vec::new(),
            resumed: None,
            truths: HashMap::new(),
            lost: None,
            infeasible: None,
        }
    }

    /// Runs every step of the schedule, or those that are left.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<(), Vec<Diagnostic>> {
        let schedule = self.schedule;
        for (at, step) in schedule.steps.iter().enumerate().take(self.until).skip(self.at) {
            if self.side_by_side(at, observer)? {
                continue;
            }
            self.at = at;
            let before = self.sweeps;
            match &step.instruction {
                Instruction::Loop(iteration) => {
                    self.atom += 1;
                    self.units = self.units_of(iteration);
                    iterate::iterate(self, iteration, observer)?;
                }
                Instruction::Learn(learning) => learned::learn(self, learning, observer)?,
                Instruction::LearnConditionally { coefficients } => {
                    learned::learn_conditionally(self, coefficients, observer)?;
                }
                _ => self.step(step)?,
            }
            // loops and certificates say themselves what they do, and how often
            let times = match &step.instruction {
                Instruction::Loop(_) | Instruction::Certify { .. } => 0,
                Instruction::Learn(_) => self.sweeps - before,
                _ => 1,
            };
            let price = match &step.instruction {
                Instruction::Unite(unite) => self.price_of_uniting(unite),
                _ => Unit { operations: step.operations, bytes: step.bytes },
            };
            self.predict(price.times(times as f64));
            for id in &step.frees {
                self.live -= 8 * std::mem::take(&mut self.tables[id.0]).len();
            }
            if let Some(id) = self.infeasible {
                return Err(vec![self.no_mass(id)]);
            }
        }
        Ok(())
    }

    /// One instruction other than a loop.
    pub fn step(&mut self, step: &Step) -> Result<(), Vec<Diagnostic>> {
        match &step.instruction {
            // the steps of a sweep do not take memory once it is there, not even for a list of tables
            Instruction::Product(product) => self.allocate(product.onto),
            Instruction::Scale(_) | Instruction::Message { .. } => {}
            other => {
                for id in other.writes() {
                    self.allocate(id);
                }
            }
        }
        self.note(step.scratch as usize);
        match &step.instruction {
            Instruction::Reduce { tables } => self.reduce(tables)?,
            Instruction::Derive { from, to } => self.sum_to(*from, *to),
            Instruction::Divide { statistic, separator, potential } => {
                self.divide(*statistic, *separator, *potential);
            }
            Instruction::Open { statistic, potential } => {
                let (from, onto) = self.two(*statistic, *potential);
                let open = |p: f64| if p > 0.0 { 0.0 } else { f64::NEG_INFINITY };
                onto.iter_mut().zip(from).for_each(|(o, p)| *o = open(*p));
                self.count(*statistic, 1.0, 16.0);
            }
            Instruction::Join { potential, separator } => self.join(*potential, *separator),
            Instruction::Contract { belief, potentials, fixed } => {
                self.contract(*belief, potentials, fixed);
            }
            Instruction::Collect { child, parent, separator } => self.collect(*child, *parent, *separator),
            Instruction::Normalise { belief, component } => self.normalise(*belief, *component)?,
            Instruction::Distribute { parent, child, separator } => {
                self.sum_to(*parent, *separator);
                self.multiply(*child, *separator);
            }
            Instruction::Scale(m) => {
                let _ = self.scale(*m);
            }
            Instruction::Product(product) => self.product(product, step.operations, step.bytes),
            Instruction::Message { from, to, separator } => self.message(*from, *to, *separator),
            Instruction::Unite(unite) => self.unite(unite)?,
            Instruction::Gap { pairs } => self.gap = self.measure(pairs).max(self.factored_gap),
            Instruction::Adopt { statistic, belief } => {
                let (from, onto) = self.two(*statistic, *belief);
                onto.copy_from_slice(from);
                self.count(*belief, 0.0, 16.0);
            }
            Instruction::Divergence { pairs, fixed } => self.divergence(pairs, fixed),
            Instruction::Certify { pairs, factored, .. } => certificate::certify(self, pairs, factored),
            // `run` does those that need the observer, `walk` rescales, since it knows whether a view is used again,
            // and what is no matter of tables is done by `masked` and `joint`
            Instruction::Loop(_)
            | Instruction::Learn(_)
            | Instruction::LearnConditionally { .. }
            | Instruction::Rescale(..)
            | Instruction::Newton(_)
            | Instruction::RankOne(_)
            | Instruction::Together(_)
            | Instruction::Load
            | Instruction::Emit => {}
        }
        Ok(())
    }

    /// Marginals afresh from the potentials of a loop.
    pub fn check(&mut self, iteration: &Iteration) -> Result<(), Vec<Diagnostic>> {
        self.predict(self.units.check);
        iteration.check.iter().try_for_each(|step| self.step(step))
    }

    /// A state that does not belong here.
    pub fn misfit(&self, Misfit(reason): Misfit) -> Vec<Diagnostic> {
        let message = format!("the kept state is not one of `{}`", self.model.name);
        vec![Diagnostic::new(Code::MBA532, message).note(reason).help("fit it from the start")]
    }

    /// An atom is within its tolerance. Where it is the last one or on its own, asking to end has cut nothing
    /// short.
    pub fn converged(&mut self) {
        if self.aside || self.atom == self.loops() {
            self.interrupted = false;
        }
    }

    pub fn loops(&self) -> usize {
        self.schedule.steps.iter().filter(|s| matches!(s.instruction, Instruction::Loop(_))).count()
    }

    /// What an observer is told of a sweep that has just been counted.
    pub fn told(&self, own: usize, gap: f64, tolerance: f64) -> Sweep {
        let most = self.control.max_sweeps;
        let (number, atom) = (self.sweeps, self.atom);
        Sweep { number, own, atom, atoms: self.loops(), gap, tolerance, most, objective: None }
    }

    /// Makes room for a table.
    pub fn allocate(&mut self, id: BufferId) {
        let cells: usize = self.schedule.buffers[id.0].shape.iter().product();
        let table = &mut self.tables[id.0];
        if table.len() != cells {
            self.live += 8 * cells;
            *table = vec![0.0; cells];
        }
        self.note(0);
    }

    /// Records the memory in use, with `scratch` cells beside the tables.
    pub fn note(&mut self, scratch: usize) {
        self.counters.peak = self.counters.peak.max((self.live + 8 * scratch) as f64);
    }

    /// Adds to what the schedule says the work costs.
    pub fn predict(&mut self, unit: Unit) {
        let Unit { operations, bytes } = unit;
        self.counters.predicted = self.counters.predicted.plus(operations, bytes);
    }

    /// Counts work on vectors.
    pub fn worked(&mut self, unit: Unit) {
        self.counters.operations += unit.operations;
        self.counters.bytes += unit.bytes;
    }

    /// Counts work per cell of a table.
    pub fn count(&mut self, id: BufferId, operations: f64, bytes: f64) {
        let cells = self.tables[id.0].len() as f64;
        self.counters.operations += operations * cells;
        self.counters.bytes += bytes * cells;
    }

    /// The map from a table to a smaller one; made once.
    pub fn projection(&mut self, large: BufferId, small: BufferId) -> Arc<Projection> {
        let buffers = &self.schedule.buffers;
        let make = || {
            let (l, s) = (&buffers[large.0], &buffers[small.0]);
            Arc::new(Projection::between(&l.scope, &l.shape, &s.scope))
        };
        Arc::clone(self.projections.entry((large, small)).or_insert_with(make))
    }

    /// One table to read and another to write.
    pub fn two(&mut self, read: BufferId, write: BufferId) -> (&[f64], &mut [f64]) {
        // a schedule never reads and writes one table through two operands
        match self.tables.get_disjoint_mut([read.0, write.0]) {
            Ok([r, w]) => (r, w),
            Err(_) => (&[], &mut []),
        }
    }

    /// Sums a table to a smaller one.
    pub fn sum_to(&mut self, from: BufferId, to: BufferId) {
        let projection = self.projection(from, to);
        let (source, onto) = self.two(from, to);
        marginalise(&projection, source, onto);
        self.count(from, 1.0, 8.0);
    }

    fn multiply(&mut self, large: BufferId, small: BufferId) {
        let projection = self.projection(large, small);
        let (factor, onto) = self.two(small, large);
        scale(&projection, onto, factor);
        self.count(large, 1.0, 16.0);
    }

    fn reduce(&mut self, tables: &[BufferId]) -> Result<(), Vec<Diagnostic>> {
        let Some(tensor) = self.tensor else { return Ok(()) };
        let buffers = &self.schedule.buffers;
        let scopes: Vec<_> =
            tables.iter().map(|id| (&buffers[id.0].scope, self.tables[id.0].len())).collect();
        let Some(found) = gather(tensor, &scopes) else {
            let message = format!("`{}` has no mass to fit `{}` to", tensor.name, self.model.name);
            return Err(vec![
                Diagnostic::new(Code::MBA502, message).help("check which column holds the values"),
            ]);
        };
        for (id, table) in tables.iter().zip(found.tables) {
            self.tables[id.0] = table;
            self.count(*id, 0.0, 16.0);
        }
        self.total = found.total;
        self.negative_entropy = found.negative_entropy;
        let width = self.schedule.profile.as_ref().map_or(8.0, |p| p.element_bytes as f64);
        self.counters.operations += found.read as f64 * (tables.len() as f64 + TRANSCENDENTAL);
        self.counters.bytes += found.read as f64 * width;
        Ok(())
    }

    fn divide(&mut self, statistic: BufferId, separator: Option<BufferId>, potential: BufferId) {
        let (from, onto) = self.two(statistic, potential);
        onto.copy_from_slice(from);
        ln_all(onto);
        self.count(statistic, TRANSCENDENTAL, 16.0);
        if let Some(separator) = separator {
            self.join(potential, separator);
        }
    }

    /// λ − ln P_S where both are finite; a cell outside the support stays outside.
    fn join(&mut self, potential: BufferId, separator: BufferId) {
        let projection = self.projection(potential, separator);
        let (from, onto) = self.two(separator, potential);
        combine(&projection, onto, from, |l, p| if p > 0.0 { l - ln(p) } else { f64::NEG_INFINITY });
        self.count(potential, 2.0, 24.0);
    }

    fn contract(&mut self, belief: BufferId, potentials: &[BufferId], fixed: &[usize]) {
        self.tables[belief.0].fill(0.0);
        for potential in potentials {
            let projection = self.projection(belief, *potential);
            let (from, onto) = self.two(*potential, belief);
            combine(&projection, onto, from, plus);
            self.count(belief, 1.0, 16.0);
        }
        for k in fixed {
            let Some(energy) = self.energy(*k) else { continue };
            let buffer = &self.schedule.buffers[belief.0];
            let projection = Projection::between(&buffer.scope, &buffer.shape, &energy.scope);
            let temperature = self.model.temperature;
            combine(&projection, &mut self.tables[belief.0], &energy.values, move |l, e| l - e / temperature);
            self.count(belief, 1.0, 16.0);
        }
    }

    /// The table of a fixed potential, or of a learned one at the coefficients of now.
    pub fn energy(&self, interaction: usize) -> Option<Arc<Table>> {
        match &self.model.interactions.get(interaction)?.potential {
            Potential::Learned { .. } => self.energies.get(&interaction).cloned(),
            potential => potential.energies().cloned(),
        }
    }

    fn collect(&mut self, child: BufferId, parent: BufferId, separator: BufferId) {
        let down = self.projection(child, separator);
        let mut message = std::mem::take(&mut self.tables[separator.0]);
        let mut mass = std::mem::take(&mut self.scratch);
        mass.resize(message.len(), 0.0);
        let own = &mut self.tables[child.0];
        maximise(&down, own, &mut message);
        combine(&down, own, &message, shifted_exp);
        marginalise(&down, own, &mut mass);
        combine(&down, own, &mass, ratio);
        for (m, z) in message.iter_mut().zip(&mass) {
            *m = if *m == f64::NEG_INFINITY { *m } else { *m + z.ln() };
        }
        let up = self.projection(parent, separator);
        combine(&up, &mut self.tables[parent.0], &message, plus);
        self.tables[separator.0] = message;
        self.scratch = mass;
        self.count(child, TRANSCENDENTAL + 4.0, 48.0);
        self.count(parent, 1.0, 16.0);
    }

    fn normalise(&mut self, belief: BufferId, component: usize) -> Result<(), Vec<Diagnostic>> {
        let own = &mut self.tables[belief.0];
        let largest = own.iter().fold(f64::NEG_INFINITY, |m, l| m.max(*l));
        if !largest.is_finite() {
            return Err(vec![self.no_mass(belief)]);
        }
        map(own, |l| exp(l - largest));
        let mass = sum(own);
        // an energy that is no number, or infinitely low, ends here
        if !(mass.is_finite() && mass > 0.0) {
            return Err(vec![self.no_mass(belief)]);
        }
        map(own, |b| b / mass);
        self.log_mass[component] = largest + mass.ln();
        self.count(belief, TRANSCENDENTAL + 3.0, 40.0);
        Ok(())
    }

    /// One generator: match its marginal. Returns the gap before, relative to the largest cell.
    pub fn scale(&mut self, m: Match) -> f64 {
        let projection = self.projection(m.belief, m.statistic);
        let mut fitted = std::mem::take(&mut self.scratch);
        fitted.resize(self.tables[m.statistic.0].len(), 0.0);
        marginalise(&projection, &self.tables[m.belief.0], &mut fitted);
        let (target, potential) = self.two(m.statistic, m.potential);
        let (mut gap, mut largest, mut lost) = (0.0f64, 0.0f64, false);
        for ((q, p), l) in fitted.iter_mut().zip(target).zip(potential) {
            gap = gap.max((*q - p).abs());
            largest = largest.max(*p);
            if *p > 0.0 && *q == 0.0 {
                // too small for a double, if it has mass at all: towards the data, by less than it takes
                lost = true;
                *l += ln(p.max(f64::MIN_POSITIVE) / f64::MIN_POSITIVE).max(1.0);
                *q = 1.0;
                continue;
            }
            let r = ratio(*p, *q);
            // a cell outside the support keeps −∞; adding ln 0 again would say the same
            if r > 0.0 {
                *l += ln(r);
            }
            *q = r;
        }
        if lost {
            self.lost = Some(m.statistic);
        }
        scale(&projection, &mut self.tables[m.belief.0], &fitted);
        self.scratch = fitted;
        self.count(m.belief, 2.0, 24.0);
        self.count(m.statistic, TRANSCENDENTAL + 4.0, 40.0);
        if largest > 0.0 { gap / largest } else { 0.0 }
    }

    /// A neighbour learns the new marginal on what the two share.
    pub fn message(&mut self, from: BufferId, to: BufferId, separator: BufferId) {
        let out = self.projection(from, separator);
        let mut fresh = std::mem::take(&mut self.scratch);
        fresh.resize(self.tables[separator.0].len(), 0.0);
        marginalise(&out, &self.tables[from.0], &mut fresh);
        for (new, old) in fresh.iter_mut().zip(&mut self.tables[separator.0]) {
            let kept = *new;
            // nothing over nothing is nothing; a cell that had no mass cannot gain any
            *new = if *old == 0.0 { 0.0 } else { kept / *old };
            *old = kept;
        }
        let into = self.projection(to, separator);
        scale(&into, &mut self.tables[to.0], &fresh);
        self.scratch = fresh;
        self.count(from, 1.0, 8.0);
        self.count(to, 1.0, 16.0);
    }

    /// Largest relative gap over generators, from calibrated beliefs.
    pub fn measure(&mut self, pairs: &[Match]) -> f64 {
        let mut worst = 0.0f64;
        for m in pairs {
            let projection = self.projection(m.belief, m.statistic);
            let mut fitted = std::mem::take(&mut self.scratch);
            fitted.resize(self.tables[m.statistic.0].len(), 0.0);
            marginalise(&projection, &self.tables[m.belief.0], &mut fitted);
            let target = &self.tables[m.statistic.0];
            worst = worst.max(relative_gap(&fitted, target));
            self.scratch = fitted;
            self.count(m.belief, 1.0, 8.0);
        }
        worst
    }

    /// KL(P ‖ Q) = Σ p ln p − Σ_g ⟨P_g, λ_g⟩ + Σ_f ⟨P_f, E_f⟩/T + ln Z.
    fn divergence(&mut self, pairs: &[Match], fixed: &[(usize, BufferId)]) {
        let mut terms = super::sum::Compensated::default();
        let mut size = self.negative_entropy.abs();
        let mut add = |term: f64, size: &mut f64| {
            *size += term.abs();
            terms.add(term);
        };
        add(self.negative_entropy, &mut size);
        for m in pairs {
            add(-dot(&self.tables[m.statistic.0], &self.tables[m.potential.0]), &mut size);
        }
        // where the data have mass, the support has no energy
        let energies = fixed.iter().filter(|(k, _)| {
            !matches!(self.model.interactions.get(*k).map(|i| &i.potential), Some(Potential::Support(_)))
        });
        for (k, id) in energies {
            if let Some(energy) = self.energy(*k) {
                add(dot(&self.tables[id.0], &energy.values) / self.model.temperature, &mut size);
            }
        }
        for mass in &self.log_mass {
            add(*mass, &mut size);
        }
        self.kl = super::fit::divergence(terms.value(), size, self.total);
    }

    pub fn no_mass(&self, id: BufferId) -> Diagnostic {
        let scope = &self.schedule.buffers[id.0].scope;
        let name = &self.model.name;
        let message =
            format!("the data have mass over `{}` where `{name}` has none", self.model.bracket(scope));
        let fixed =
            self.model.interactions.iter().find(|i| {
                matches!(i.potential, Potential::Fixed(_)) && !i.scope.intersection(scope).is_empty()
            });
        let mut diagnostic = Diagnostic::new(Code::MBA503, message)
            .help("make the fixed potentials finite there, or leave those cells out of the data");
        if let Some(interaction) = fixed {
            diagnostic = diagnostic.at(interaction.span, "this energy is infinite or too large");
        }
        diagnostic
    }
}

impl Machine<'_> {
    /// Takes up where a kept state ends.
    ///
    /// # Errors
    /// MBA532 when the state is not one of this schedule.
    pub fn go_on(&mut self, state: Option<State>) -> Result<(), Vec<Diagnostic>> {
        if let Some(mut state) = state {
            self.restore(&mut state).map_err(|m| self.misfit(m))?;
            self.resumed = Some(state);
        }
        Ok(())
    }
}

/// The numbers beside the tables, in the order they are kept.
const NUMBERS: usize = 18;

impl Resumable for Machine<'_> {
    fn save(&self, state: &mut State) {
        let flag = |b: bool| f64::from(u8::from(b));
        let numbers: [f64; NUMBERS] = [
            self.at as f64,
            self.atom as f64,
            self.sweeps as f64,
            flag(self.uneven),
            flag(self.stopped),
            self.control.max_sweeps as f64,
            self.factored_gap,
            self.gap,
            self.negative_entropy,
            self.total,
            self.kl,
            self.counters.operations,
            self.counters.bytes,
            self.counters.peak,
            self.live as f64,
            self.counters.predicted.operations,
            self.counters.predicted.bytes,
            self.flattest,
        ];
        state.put("numbers", numbers.to_vec());
        state.put("scale_of", self.scale_of.clone());
        state.put("log_mass", self.log_mass.clone());
        for (k, table) in self.tables.iter().enumerate().filter(|(_, t)| !t.is_empty()) {
            state.put(format!("table.{k}"), table.clone());
        }
    }

    fn restore(&mut self, state: &mut State) -> Result<(), Misfit> {
        let n = state.take_exactly("numbers", NUMBERS)?;
        (self.at, self.sweeps) = (whole(n[0])?, whole(n[2])?);
        let step = self.schedule.steps.get(self.at).map(|s| &s.instruction);
        if !matches!(step, Some(Instruction::Loop(_))) {
            return Err(Misfit("no sweeps are made where it stopped".into()));
        }
        // the loop counts itself when it starts
        self.atom = whole(n[1])?.saturating_sub(1);
        (self.uneven, self.stopped) = (n[3] != 0.0, n[4] != 0.0);
        if self.stopped && n[5] != self.control.max_sweeps as f64 {
            return Err(Misfit(format!("an atom stopped after {} sweeps, its limit", n[5])));
        }
        [self.factored_gap, self.gap, self.negative_entropy, self.total, self.kl] =
            [n[6], n[7], n[8], n[9], n[10]];
        self.counters = Counters {
            operations: n[11],
            bytes: n[12],
            predicted: Unit { operations: n[15], bytes: n[16] },
            peak: n[13],
        };
        self.live = whole(n[14])?;
        self.flattest = n[17];
        self.scale_of = state.take_exactly("scale_of", self.scale_of.len())?;
        self.log_mass = state.take_exactly("log_mass", self.log_mass.len())?;
        for (k, table) in state.take_all("table.") {
            let k: usize = k.parse().map_err(|_| Misfit(format!("there is no table {k}")))?;
            let cells = self.schedule.buffers.get(k).map(|b| b.shape.iter().product::<usize>());
            if cells != Some(table.len()) {
                return Err(Misfit(format!("table {k} is of another size")));
            }
            self.tables[k] = table;
        }
        Ok(())
    }
}

/// exp(l − m), and 0 where everything is −∞.
#[inline(always)]
fn shifted_exp(l: f64, m: f64) -> f64 {
    if m == f64::NEG_INFINITY { 0.0 } else { exp(l - m) }
}
