//! When a loop leaves off sweeping and tries Newton's method.

use super::machine::Machine;
use super::newton::Allowance;
use crate::plan::method::Solver;

/// Sweeps before the first Newton step that was asked for by name.
const WARM: usize = 3;

/// Sweeps that are always made before the compiler's own choice is reconsidered.
const PATIENCE: usize = 150;

/// The turns sweeps and Newton's method take in one loop. Both lower the same objective from the same
/// potentials, so that neither loses what the other has gained. Where the compiler chooses, a turn of
/// Newton may take as many operations as all that went before it, which bounds what a wrong choice
/// costs by a factor of two. Counted work decides, never time.
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
}

impl Turns {
    pub fn new(machine: &Machine, tolerance: f64) -> Self {
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
        }
    }

    /// Whether sweeps may be accelerated.
    pub fn accelerated(&self) -> bool {
        self.solver == Solver::Auto
    }

    /// Sweeps and products this loop may still make.
    pub fn left(&self, machine: &Machine) -> usize {
        self.most.saturating_sub(machine.sweeps - self.began.1)
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
