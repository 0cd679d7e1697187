//! Atoms whose loops run side by side. Each runs on a machine of its own with the tables it touches, and
//! hands them back; sums are put together in the order of the atoms, so that the bits are those of one
//! loop after the other.

use std::ops::Range;

use rayon::prelude::*;

use super::control::{Flow, Observer, Stop, Sweep};
use super::machine::Machine;
use crate::plan::partition::touched;
use crate::plan::schedule::BufferId;
use crate::text::Diagnostic;

/// What was told of the sweeps of one atom, to be told on in their order.
struct Heard {
    stop: Option<Stop>,
    sweeps: Vec<Sweep>,
}

impl Observer for Heard {
    fn sweep(&mut self, sweep: &Sweep) -> Flow {
        self.sweeps.push(*sweep);
        if self.stop.as_ref().is_some_and(Stop::asked) { Flow::Interrupt } else { Flow::Continue }
    }

    fn keeps(&self) -> bool {
        false
    }
}

/// An atom on its way.
struct Aside<'a> {
    machine: Machine<'a>,
    heard: Heard,
    /// Tables of which it has a copy, because another atom reads them too.
    copies: Vec<BufferId>,
    /// Tables it touches.
    touched: Vec<BufferId>,
}

impl<'a> Machine<'a> {
    /// Whether the step at this position is done, alone or side by side with others: if it begins a group,
    /// the whole group runs now. Whoever keeps states between sweeps gets one atom after the other.
    ///
    /// # Errors
    /// Those of the first atom that has one.
    pub fn side_by_side(&mut self, at: usize, observer: &mut dyn Observer) -> Result<bool, Vec<Diagnostic>> {
        if self.ran.iter().any(|r| r.contains(&at)) {
            return Ok(true);
        }
        let alone = self.aside || self.interrupted || self.resumed.is_some() || !self.energies.is_empty();
        let groups = &self.schedule.groups;
        let group = groups.iter().find(|g| g.first().is_some_and(|r| r.start == at));
        let Some(group) = group.filter(|_| !alone && !observer.keeps()) else { return Ok(false) };
        let stop = observer.stop();
        let mut atoms: Vec<Aside<'a>> = Vec::with_capacity(group.len());
        for (k, range) in group.iter().enumerate() {
            let later = group.get(k + 1..).unwrap_or_default();
            let mut aside = self.aside(range, later, stop.clone());
            aside.machine.atom = self.atom + k;
            atoms.push(aside);
        }
        let ended: Vec<Result<(), Vec<Diagnostic>>> =
            atoms.par_iter_mut().map(|a| a.machine.run(&mut a.heard)).collect();
        let together: f64 = atoms.iter().map(|a| a.machine.counters.peak).sum();
        self.counters.peak = self.counters.peak.max(self.live as f64 + together);
        for (aside, ended) in atoms.into_iter().zip(ended) {
            self.take_back(aside, observer);
            ended?;
        }
        self.ran.extend(group.iter().cloned());
        Ok(true)
    }

    /// A machine for the steps of one atom, with their tables. Those that a later atom of the group reads too
    /// are copied.
    fn aside(&mut self, range: &Range<usize>, later: &[Range<usize>], stop: Option<Stop>) -> Aside<'a> {
        let schedule = self.schedule;
        let of = |r: &Range<usize>| -> Vec<BufferId> {
            schedule.steps.get(r.clone()).unwrap_or_default().iter().flat_map(touched).collect()
        };
        let mut own = of(range);
        own.sort_unstable();
        own.dedup();
        let others: Vec<BufferId> = later.iter().flat_map(of).collect();
        let mut machine = Machine::new(schedule, self.model, self.tensor, &self.control);
        (machine.at, machine.until, machine.aside) = (range.start, range.end, true);
        (machine.total, machine.negative_entropy) = (self.total, self.negative_entropy);
        machine.live = 0;
        let mut copies = Vec::new();
        for id in &own {
            if others.contains(id) {
                machine.tables[id.0] = self.tables[id.0].clone();
                copies.push(*id);
            } else {
                self.live -= 8 * self.tables[id.0].len();
                machine.tables[id.0] = std::mem::take(&mut self.tables[id.0]);
            }
            machine.live += 8 * machine.tables[id.0].len();
            machine.scale_of[id.0] = self.scale_of[id.0];
        }
        Aside { machine, heard: Heard { stop, sweeps: Vec::new() }, copies, touched: own }
    }

    /// What an atom has found, and what was told on its way.
    fn take_back(&mut self, aside: Aside<'a>, observer: &mut dyn Observer) {
        let Aside { mut machine, heard, copies, touched } = aside;
        for id in copies {
            machine.live -= 8 * std::mem::take(&mut machine.tables[id.0]).len();
        }
        self.live += machine.live;
        for (id, table) in machine.tables.iter_mut().enumerate().filter(|(_, t)| !t.is_empty()) {
            self.tables[id] = std::mem::take(table);
            self.scale_of[id] = machine.scale_of[id];
        }
        for id in touched {
            self.scale_of[id.0] = machine.scale_of[id.0];
        }
        self.log_mass.iter_mut().zip(&machine.log_mass).for_each(|(all, own)| *all += own);
        for (onto, plans) in machine.products {
            self.products.entry(onto).or_default().extend(plans);
        }
        let before = self.sweeps;
        self.sweeps += machine.sweeps;
        self.atom += 1;
        self.stopped |= machine.stopped;
        self.flattest = self.flattest.min(machine.flattest);
        self.interrupted |= machine.interrupted;
        self.gap = machine.gap;
        self.factored_gap = self.factored_gap.max(machine.factored_gap);
        self.counters.operations += machine.counters.operations;
        self.counters.bytes += machine.counters.bytes;
        let predicted = machine.counters.predicted;
        self.predict(predicted);
        for sweep in heard.sweeps {
            let told = Sweep { number: before + sweep.number, ..sweep };
            let asked = observer.sweep(&told) == Flow::Interrupt;
            // it is done already; what is left to do is not begun
            self.interrupted |= asked && self.atom < self.loops();
        }
    }
}
