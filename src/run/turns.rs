//! When a loop leaves off sweeping and tries Newton's method.

use super::conjugate::slowest;
use super::machine::Machine;
use super::newton::Allowance;
use super::state::{Misfit, Resumable, State, whole};
use crate::plan::cost::extrapolation;
use crate::plan::method::Solver;

/// Sweeps before the first Newton step that was asked for by name.
const WARM: usize = 3;

/// Sweeps that are always made before the compiler's own choice is reconsidered.
const PATIENCE: usize = 150;

/// Sweeps still to come from which acceleration is worth its work, per work of a sweep.
const WORTH: f64 = 15.0;

/// Differences an extrapolation works on, as a rule.
const DIFFERENCES: f64 = 5.0;

/// The turns sweeps and Newton's method take in one loop. Both lower the same objective from the same
/// potentials, so that neither loses what the other has gained. Where the compiler chooses, a turn of
/// Newton may take as many operations as all that went before it, which bounds what a wrong choice
/// costs by a factor of two. Counted work decides, never time.
#[derive(Clone)]
pub(super) struct Turns {
    solver: Solver,
    most: usize,
    tolerance: f64,
    /// Operations and sweeps of the machine when the loop began.
    began: (f64, usize),
    /// Sweeps of the machine when the next turn may begin, and how long the one after waits.
    next: usize,
    wait: usize,
    /// The gap at the last time of asking.
    before: f64,
    /// The gap of the last sweep.
    last: f64,
    /// Sweeps still to come from which acceleration is worth its work.
    worth: f64,
}

impl Turns {
    /// For a loop over generators that have so many cells together.
    pub fn new(machine: &Machine, tolerance: f64, cells: usize) -> Self {
        let extra =
            machine.units.extrapolation.operations + extrapolation(cells as f64, DIFFERENCES).operations;
        let sweep = machine.units.sweep.operations.max(1.0);
        let solver = if machine.control.acceleration { machine.schedule.solver } else { Solver::Ipf };
        let wait = if solver == Solver::Newton { WARM } else { PATIENCE };
        Self {
            solver,
            most: machine.control.max_sweeps,
            tolerance,
            began: (machine.counters.operations, machine.sweeps),
            next: machine.sweeps + wait,
            wait,
            before: f64::INFINITY,
            last: f64::INFINITY,
            worth: WORTH * (1.0 + extra / sweep),
        }
    }

    /// Whether sweeps may be accelerated.
    pub fn accelerated(&self) -> bool {
        self.solver == Solver::Auto
    }

    /// After a sweep that met this gap: whether, at the rate of the last two, enough sweeps are still to
    /// come for acceleration to earn what it costs.
    pub fn slow(&mut self, gap: f64) -> bool {
        let rate = self.last.ln() - gap.ln();
        self.last = gap;
        rate.is_nan() || rate * self.worth < gap.ln() - self.tolerance.ln()
    }

    /// About the smallest eigenvalue of the preconditioned Fisher information that is met by plain sweeps, of which the
    /// last ended at this gap.
    pub fn flattest(&self, gap: f64) -> f64 {
        slowest(self.last, gap)
    }

    /// Sweeps and products this loop has made.
    pub fn made(&self, machine: &Machine) -> usize {
        machine.sweeps - self.began.1
    }

    /// Sweeps and products this loop may still make.
    pub fn left(&self, machine: &Machine) -> usize {
        self.most.saturating_sub(self.made(machine))
    }

    /// After a sweep that met this gap: what Newton's method may use, if it is its turn.
    pub fn newton(&mut self, machine: &Machine, gap: f64) -> Option<Allowance> {
        let left = self.left(machine);
        if machine.sweeps < self.next || left == 0 || self.solver == Solver::Ipf {
            return None;
        }
        let spent = machine.counters.operations - self.began.0;
        let operations = if self.solver == Solver::Newton {
            f64::INFINITY
        } else {
            // at the rate since the last time of asking, will it be done by the next?
            let rate = self.before.ln() - gap.ln();
            let missing = gap.ln() - self.tolerance.ln();
            self.before = gap;
            if rate >= missing {
                self.next = machine.sweeps + self.wait;
                return None;
            }
            spent
        };
        Some(Allowance { operations, products: left, tolerance: self.tolerance })
    }

    /// After a turn of Newton's method that did not end the loop.
    pub fn sweep_again(&mut self, machine: &Machine) {
        self.wait *= 2;
        self.next = machine.sweeps + self.wait;
        self.before = f64::INFINITY;
    }
}

impl Resumable for Turns {
    fn save(&self, state: &mut State) {
        let (operations, sweeps) = self.began;
        state.put(
            "turns",
            vec![operations, sweeps as f64, self.next as f64, self.wait as f64, self.before, self.last],
        );
    }

    fn restore(&mut self, state: &mut State) -> Result<(), Misfit> {
        let own = state.take_exactly("turns", 6)?;
        self.began = (own[0], whole(own[1])?);
        (self.next, self.wait) = (whole(own[2])?, whole(own[3])?);
        (self.before, self.last) = (own[4], own[5]);
        Ok(())
    }
}
