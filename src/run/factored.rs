//! Proportional fitting where the model stays a product of factors. A table of these holds its values
//! divided by a common scale, whose logarithm stands beside it, so that long products neither
//! overflow nor vanish.

use std::sync::Arc;

use super::filtered::{Filtered, Truths};
use super::kernel::{map, marginalise, scale, times_each, total};
use super::machine::Machine;
use super::stream::Way;
use super::sum::sum;
use super::vector::{LANES, exp, largest, ln, ln_all, vectorised};
use crate::model::Potential;
use crate::numeric::gap::relative_gap;
use crate::plan::cost::Units;
use crate::plan::schedule::{BufferId, Factored, Instruction, Iteration, Match, Product, Role, Step};
use crate::text::Diagnostic;

/// A factor whose smallest positive value is below this, beside a largest of one, is too uneven: a
/// product of four such values is still a double.
const EVEN: f64 = 1e-75;

impl Machine<'_> {
    /// Factors of one on the support of the data.
    pub fn open_factors(&mut self, factored: &Factored, pairs: &[Match]) {
        for (f, m) in factored.factors.iter().zip(pairs) {
            self.allocate(*f);
            let (from, onto) = self.two(m.statistic, *f);
            onto.iter_mut().zip(from).for_each(|(o, p)| *o = if *p > 0.0 { 1.0 } else { 0.0 });
            self.scale_of[f.0] = 0.0;
        }
        self.uneven = false;
        for (interaction, id) in &factored.weights {
            self.weigh(*interaction, *id);
        }
    }

    /// exp(−E/T) of a fixed potential, divided by the largest.
    fn weigh(&mut self, interaction: usize, weight: BufferId) {
        self.allocate(weight);
        let Some(energy) = self.energy(interaction) else { return };
        let temperature = self.model.temperature;
        let own = &mut self.tables[weight.0];
        own.iter_mut().zip(&energy.values).for_each(|(w, e)| *w = -e / temperature);
        let most = own.iter().fold(f64::NEG_INFINITY, |m, l| m.max(*l));
        if !most.is_finite() {
            self.uneven = true;
            return;
        }
        map(own, |l| exp(l - most));
        let least = own.iter().filter(|w| **w > 0.0).fold(1.0f64, |m, w| m.min(*w));
        // what is not quite impossible must not become so
        let lost = own.iter().zip(&energy.values).any(|(w, e)| *w == 0.0 && *e < f64::INFINITY);
        self.uneven |= lost || least < EVEN || own.iter().any(|w| w.is_nan());
        self.scale_of[weight.0] = most;
    }

    /// The truth values of a mask or a condition; made once.
    fn truths(&mut self, product: &Product) -> Option<Truths> {
        let filter = product.filter.as_ref()?;
        let axis = Filtered::axis(product)?;
        if let Some(known) = self.truths.get(&(filter.interaction, axis)) {
            return Some(known.clone());
        }
        let potential = &self.model.interactions.get(filter.interaction)?.potential;
        let Potential::Support(support) = potential else { return None };
        let made = Truths::new(&support.allowed, &filter.sizes, axis);
        self.truths.insert((filter.interaction, axis), made.clone());
        Some(made)
    }

    /// Steps of a factored program; the largest gap met on the way.
    pub fn walk(&mut self, steps: &[Step]) -> Result<f64, Vec<Diagnostic>> {
        let mut gap = 0.0f64;
        for (i, step) in steps.iter().enumerate() {
            match &step.instruction {
                Instruction::Rescale(m, factor) => {
                    let next = steps.get(i + 1).map(|s| &s.instruction);
                    let again = matches!(next, Some(Instruction::Rescale(n, _)) if n.belief == m.belief);
                    gap = gap.max(self.rescale(*m, *factor, again));
                }
                _ => self.step(step)?,
            }
        }
        Ok(gap)
    }

    /// How a product is taken; worked out once.
    pub fn product_plan(&mut self, product: &Product) -> Arc<Way> {
        let known = self.products.entry(product.onto).or_default();
        if let Some((_, plan)) = known.iter().find(|(f, _)| *f == product.factors) {
            return Arc::clone(plan);
        }
        let truths = self.truths(product);
        let plan = Arc::new(Way::new(product, &self.schedule.buffers, truths.as_ref()));
        let known = self.products.entry(product.onto).or_default();
        known.push((product.factors.clone(), Arc::clone(&plan)));
        plan
    }

    /// What the work of a loop costs, as [`Machine::priced`] has it.
    pub fn units_of(&mut self, iteration: &Iteration) -> Units {
        let factored = iteration.factored.as_ref().filter(|f| f.filtered());
        match factored.map(|f| self.priced(f)) {
            Some(factored) => {
                let known = Iteration { factored: Some(factored), ..iteration.clone() };
                Units::of(&known, &self.schedule.buffers)
            }
            None => Units::of(iteration, &self.schedule.buffers),
        }
    }

    /// A program with its prices, those of sums through a mask or a condition by the arithmetic that suits the
    /// cells that are let through: the plan does not know them, and has the most that it may take.
    pub fn priced(&mut self, factored: &Factored) -> Factored {
        let mut known = factored.clone();
        for step in known.inward.iter_mut().chain(&mut known.sweep).chain(&mut known.check) {
            let Instruction::Product(product) = &step.instruction else { continue };
            if product.filter.is_some()
                && let Some((operations, bytes)) = self.product_plan(product).price()
            {
                (step.operations, step.bytes) = (operations, bytes);
            }
        }
        known
    }

    /// `onto ← Σ Π factors`, of largest value one when it is a message.
    pub fn product(&mut self, product: &Product, operations: f64, bytes: f64) {
        let plan = self.product_plan(product);
        let mut onto = std::mem::take(&mut self.tables[product.onto.0]);
        let mut room = std::mem::take(&mut self.room);
        // the factors of a clique are few
        let mut few: [&[f64]; 16] = [&[]; 16];
        if let Some(few) = few.get_mut(..product.factors.len()) {
            few.iter_mut().zip(&product.factors).for_each(|(s, f)| *s = &self.tables[f.0]);
            plan.run(few, &mut onto, &mut room);
        } else {
            let many: Vec<&[f64]> = product.factors.iter().map(|f| self.tables[f.0].as_slice()).collect();
            plan.run(&many, &mut onto, &mut room);
        }
        let mut log = product.factors.iter().map(|f| self.scale_of[f.0]).sum::<f64>();
        if self.schedule.buffers[product.onto.0].role == Role::Incoming {
            let largest = largest(&onto);
            if largest > 0.0 {
                onto.iter_mut().for_each(|v| *v /= largest);
                log += ln(largest);
            }
        }
        self.scale_of[product.onto.0] = log;
        self.tables[product.onto.0] = onto;
        self.room = room;
        let (operations, bytes) = plan.price().unwrap_or((operations, bytes));
        self.counters.operations += operations;
        self.counters.bytes += bytes;
    }

    /// Matches one generator on a view; `again` when the view is used once more. Returns the gap before.
    fn rescale(&mut self, m: Match, factor: BufferId, again: bool) -> f64 {
        let projection = self.projection(m.belief, m.statistic);
        let mut fitted = std::mem::take(&mut self.scratch);
        fitted.resize(self.tables[m.statistic.0].len(), 0.0);
        marginalise(&projection, &self.tables[m.belief.0], &mut fitted);
        let unit = self.scale_of[m.belief.0];
        let mass = unit.exp();
        let (target, own) = self.two(m.statistic, factor);
        let found = change_cells(&mut fitted, target, own, mass);
        let Changed { gap, largest, lost, most, least } = found;
        own.iter_mut().for_each(|f| *f /= most);
        self.scale_of[factor.0] += ln(most) - unit;
        self.scale_of[m.belief.0] = 0.0;
        self.uneven |= lost || !most.is_finite() || least < EVEN * most;
        if again {
            scale(&projection, &mut self.tables[m.belief.0], &fitted);
            self.count(m.belief, 1.0, 16.0);
        }
        self.scratch = fitted;
        self.count(m.belief, 1.0, 8.0);
        self.count(m.statistic, 6.0, 56.0);
        if largest > 0.0 { gap / largest } else { 0.0 }
    }

    /// The mass of the model, as a view that is fresh has it.
    pub fn mass_of(&self, view: BufferId) -> f64 {
        self.scale_of[view.0].exp() * total(&self.tables[view.0])
    }

    /// Runs the check and keeps the gap of the normalised marginals.
    pub fn check_factors(&mut self, factored: &Factored, pairs: &[Match]) -> Result<f64, Vec<Diagnostic>> {
        self.walk(&factored.check)?;
        self.predict(self.units.check);
        let mut worst = 0.0f64;
        for (m, id) in pairs.iter().zip(&factored.marginals) {
            let mass = sum(&self.tables[id.0]);
            let (target, own) = self.two(m.statistic, *id);
            own.iter_mut().for_each(|q| *q /= mass);
            worst = worst.max(relative_gap(own, target));
        }
        Ok(worst)
    }

    /// Logarithms of a factor, −∞ off the support, as its potential.
    pub fn take_potential(&mut self, factor: BufferId, potential: BufferId) {
        self.allocate(potential);
        let unit = self.scale_of[factor.0];
        let (from, onto) = self.two(factor, potential);
        onto.copy_from_slice(from);
        ln_all(onto);
        onto.iter_mut().for_each(|l| *l += unit);
    }

    /// A factor from the logarithms of its positive cells.
    pub fn set_factor(&mut self, factor: BufferId, logs: &[f64]) {
        let own = &mut self.tables[factor.0];
        let (least, most) = reach(own, logs);
        set_cells(own, logs, most);
        self.scale_of[factor.0] = most;
        self.uneven |= least - most < EVEN.ln();
    }
}

vectorised! {
    /// The smallest and the largest logarithm of the positive cells of a factor: ∞ and −∞ for none.
    reach(own: &'a [f64], logs: &'a [f64]) -> (f64, f64) {
        let (mut least, mut most) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        let mut cell = |i: usize, f: f64, l: f64| {
            least[i] = if (f > 0.0) & (l < least[i]) { l } else { least[i] };
            most[i] = if (f > 0.0) & (l > most[i]) { l } else { most[i] };
        };
        let (f, f_rest) = own.as_chunks::<LANES>();
        let (l, l_rest) = logs.as_chunks::<LANES>();
        for (f, l) in f.iter().zip(l) {
            for i in 0..LANES {
                cell(i, f[i], l[i]);
            }
        }
        f_rest.iter().zip(l_rest).for_each(|(f, l)| cell(0, *f, *l));
        (
            least.iter().fold(f64::INFINITY, |m, l| m.min(*l)),
            most.iter().fold(f64::NEG_INFINITY, |m, l| m.max(*l)),
        )
    }
}

vectorised! {
    /// exp(log − most) where a factor is positive.
    set_cells(own: &'a mut [f64], logs: &'a [f64], most: f64) -> () {
        for (f, l) in own.iter_mut().zip(logs) {
            let value = exp(l - most);
            let value = if value > f64::MIN_POSITIVE { value } else { f64::MIN_POSITIVE };
            *f = if *f > 0.0 { value } else { 0.0 };
        }
    }
}

/// What matching one generator found.
#[derive(Clone, Copy)]
pub(super) struct Changed {
    /// Largest difference of the marginals.
    gap: f64,
    /// Largest cell of the data's.
    largest: f64,
    /// Whether some cell has mass in the data and none in the model.
    lost: bool,
    /// Largest and smallest positive cell of the factor.
    most: f64,
    least: f64,
}

vectorised! {
    /// `q ← p/q` and `f ← f p/q`, cell by cell, with 0/0 = 0.
    change_cells(fitted: &'a mut [f64], target: &'a [f64], own: &'a mut [f64], mass: f64) -> Changed {
        let (mut gap, mut largest, mut lost) = ([0.0; LANES], [0.0; LANES], [false; LANES]);
        let (mut most, mut least) = ([0.0; LANES], [f64::INFINITY; LANES]);
        let mut cell = |i: usize, q: &mut f64, p: f64, f: &mut f64| {
            let off = (*q * mass - p).abs();
            gap[i] = if off > gap[i] { off } else { gap[i] };
            largest[i] = if p > largest[i] { p } else { largest[i] };
            lost[i] |= (p > 0.0) & (*q == 0.0);
            let r = if p == 0.0 { 0.0 } else { p / *q };
            let changed = *f * r;
            most[i] = if changed > most[i] { changed } else { most[i] };
            least[i] = if (changed > 0.0) & (changed < least[i]) { changed } else { least[i] };
            *f = changed;
            *q = r;
        };
        let (q, q_rest) = fitted.as_chunks_mut::<LANES>();
        let (p, p_rest) = target.as_chunks::<LANES>();
        let (f, f_rest) = own.as_chunks_mut::<LANES>();
        for ((q, p), f) in q.iter_mut().zip(p).zip(f) {
            for i in 0..LANES {
                cell(i, &mut q[i], p[i], &mut f[i]);
            }
        }
        for ((q, p), f) in q_rest.iter_mut().zip(p_rest).zip(f_rest) {
            cell(0, q, *p, f);
        }
        Changed {
            gap: gap.iter().fold(0.0f64, |m, v| m.max(*v)),
            largest: largest.iter().fold(0.0f64, |m, v| m.max(*v)),
            lost: lost.iter().any(|l| *l),
            most: most.iter().fold(0.0f64, |m, v| m.max(*v)),
            least: least.iter().fold(f64::INFINITY, |m, v| m.min(*v)),
        }
    }
}

/// The Fisher information of a factored atom, as a map: every step of its check, differentiated.
pub(super) struct Tangent<'a> {
    pub(super) factored: &'a Factored,
    /// By how much each table changes: relative to itself, but of views altogether.
    directions: Vec<Vec<f64>>,
}

impl<'a> Tangent<'a> {
    pub fn new(machine: &Machine, factored: &'a Factored) -> Self {
        let mut directions = vec![Vec::new(); machine.tables.len()];
        // what is fixed does not change
        for (_, id) in &factored.weights {
            directions[id.0] = vec![0.0; machine.tables[id.0].len()];
        }
        Self { factored, directions }
    }

    /// The model's marginals, as the last check left them.
    pub fn marginals(&self, machine: &Machine) -> Vec<f64> {
        self.factored.marginals.iter().flat_map(|id| machine.tables[id.0].iter().copied()).collect()
    }

    /// Covariances of every generator's indicators with Σ v under the model; also ⟨Σ v⟩.
    pub fn apply(&mut self, machine: &mut Machine, v: &[f64]) -> (Vec<f64>, f64) {
        let mut rest = v;
        for f in &self.factored.factors {
            let (own, tail) = rest.split_at(machine.tables[f.0].len());
            self.directions[f.0].clear();
            self.directions[f.0].extend_from_slice(own);
            rest = tail;
        }
        for step in &self.factored.check {
            match &step.instruction {
                Instruction::Product(p) => self.product(machine, p, step),
                Instruction::Derive { from, to } => self.derive(machine, *from, *to),
                _ => {}
            }
        }
        let mut out = Vec::with_capacity(v.len());
        let mut mean = 0.0;
        for (i, id) in self.factored.marginals.iter().enumerate() {
            let (own, change) = (&machine.tables[id.0], &self.directions[id.0]);
            if i == 0 {
                mean = super::sum::dot(own, change);
            }
            out.extend(own.iter().zip(change).map(|(q, c)| q * (c - mean)));
        }
        (out, mean)
    }

    fn product(&mut self, machine: &mut Machine, product: &Product, step: &Step) {
        let plan = machine.product_plan(product);
        let mut onto = std::mem::take(&mut machine.tables[product.onto.0]);
        let mut changes = std::mem::take(&mut self.directions[product.onto.0]);
        changes.resize(onto.len(), 0.0);
        let mut room = std::mem::take(&mut machine.room);
        let factors: Vec<&[f64]> = product.factors.iter().map(|f| machine.tables[f.0].as_slice()).collect();
        let ways: Vec<&[f64]> = product.factors.iter().map(|f| self.directions[f.0].as_slice()).collect();
        plan.differentiate(&factors, &ways, &mut onto, &mut changes, &mut room);
        if machine.schedule.buffers[product.onto.0].role == Role::Incoming {
            let largest = largest(&onto);
            onto.iter_mut().for_each(|v| *v /= largest);
        } else {
            // of a view only sums are asked for
            times_each(&mut changes, &onto);
        }
        machine.tables[product.onto.0] = onto;
        self.directions[product.onto.0] = changes;
        machine.room = room;
        let (operations, bytes) = plan.price().unwrap_or((step.operations, step.bytes));
        machine.counters.operations += 3.0 * operations;
        machine.counters.bytes += 3.0 * bytes;
    }

    /// The expectation of a view's changes given the cells of a smaller table.
    fn derive(&mut self, machine: &mut Machine, from: BufferId, to: BufferId) {
        let way = machine.projection(from, to);
        let cells = machine.tables[to.0].len();
        let mut mass = std::mem::take(&mut machine.scratch);
        mass.resize(cells, 0.0);
        marginalise(&way, &machine.tables[from.0], &mut mass);
        let mut onto = std::mem::take(&mut self.directions[to.0]);
        onto.resize(cells, 0.0);
        marginalise(&way, &self.directions[from.0], &mut onto);
        onto.iter_mut().zip(&mass).for_each(|(o, m)| *o = if *m > 0.0 { *o / m } else { 0.0 });
        self.directions[to.0] = onto;
        machine.scratch = mass;
    }

    /// A bound from below on Σ d over the support.
    pub fn smallest(&self, machine: &Machine, d: &[f64]) -> f64 {
        let mut rest = d;
        let mut total = 0.0;
        for f in &self.factored.factors {
            let factor = &machine.tables[f.0];
            let (own, tail) = rest.split_at(factor.len());
            let alive = own.iter().zip(factor).filter(|(_, f)| **f > 0.0);
            total += alive.fold(f64::INFINITY, |m, (d, _)| m.min(*d));
            rest = tail;
        }
        total
    }
}
