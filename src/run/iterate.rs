//! Iterative proportional fitting on a junction tree, accelerated when it is slow.

use super::anderson::Anderson;
use super::control::{Flow, Observer};
use super::machine::Machine;
use super::newton::{self, Ended as Descent};
use super::state::{Misfit, Resumable, State, whole};
use super::turns::Turns;
use crate::plan::schedule::{Factored, Instruction, Iteration};
use crate::text::Diagnostic;

/// Plain sweeps before acceleration starts: most problems are done by then.
const PLAIN: usize = 10;

/// Sweeps until the gap, measured on beliefs rebuilt from the potentials, is within the tolerance
/// (Jiroušek and Přeučil 1995). Every sweep lowers the divergence. The gap met along a sweep is free
/// but belongs to no single distribution, so it only decides when to look closely.
pub(super) fn iterate(
    machine: &mut Machine,
    iteration: &Iteration,
    observer: &mut dyn Observer,
) -> Result<(), Vec<Diagnostic>> {
    // where atoms are joined, the errors of several add up
    let joined = machine.schedule.draft.atoms.len() > 1;
    let tolerance = machine.control.tolerance * if joined { 0.25 } else { 1.0 };
    let history = crate::plan::cost::HISTORY as usize;
    let cells: usize = iteration.pairs.iter().map(|m| machine.tables[m.statistic.0].len()).sum();
    let mut turns = Turns::new(machine, tolerance, cells);
    let mut kept = machine.resumed.take();
    let mut in_factors = iteration.factored.is_some();
    if let Some(state) = &mut kept {
        in_factors = Place::restore(state).map_err(|m| machine.misfit(m))?.factors;
        turns.restore(state).map_err(|m| machine.misfit(m))?;
    }
    if let Some(factored) = iteration.factored.as_ref().filter(|_| in_factors) {
        match factors(machine, iteration, factored, tolerance, &mut turns, observer, kept.take())? {
            Ended::Done => return Ok(()),
            Ended::Uneven => {}
        }
        // from here on in logarithms, which bear any spread
        machine.check(iteration)?;
    }
    let mut anderson: Option<Anderson> = None;
    let (mut sweep, mut pending) = (0, None);
    if let Some(mut state) = kept {
        pending = Place::restore(&mut state).map_err(|m| machine.misfit(m))?.pending;
        (sweep, anderson) = restore(machine, iteration, &mut state, false)?;
    }
    while turns.left(machine) > 0 && !machine.interrupted {
        let gap = match pending.take() {
            Some(gap) => gap,
            None => {
                sweep += 1;
                if let Some(anderson) = &mut anderson {
                    anderson.start(machine);
                }
                let mut gap = 0.0f64;
                for step in &iteration.sweep {
                    match &step.instruction {
                        Instruction::Scale(m) => gap = gap.max(machine.scale(*m)),
                        _ => machine.step(step)?,
                    }
                }
                machine.sweeps += 1;
                machine.predict(machine.units.sweep);
                if machine.infeasible.is_some() {
                    return Ok(());
                }
                machine.interrupted =
                    observer.sweep(&machine.told(turns.made(machine), gap, tolerance)) == Flow::Interrupt;
                if gap <= tolerance {
                    machine.check(iteration)?;
                    if machine.gap <= tolerance {
                        measured(machine, iteration);
                        machine.converged();
                        return Ok(());
                    }
                }
                gap
            }
        };
        let slow = turns.slow(gap);
        let asked = turns.clone();
        if let Some(allowance) = turns.newton(machine, gap) {
            anderson = None;
            // what a descent that is cut short leaves is on no path, so that this is the place to go on from
            let place = Place { sweep, factors: false, fresh: false, pending: Some(gap) };
            place.offer(machine, &asked, None, observer);
            if newton::descend(machine, iteration, false, allowance, observer)? == Descent::Matched {
                measured(machine, iteration);
                machine.converged();
                return Ok(());
            }
            turns.sweep_again(machine);
            if machine.interrupted {
                break;
            }
        } else if turns.accelerated()
            && sweep >= PLAIN
            && turns.left(machine) > 0
            && (slow || anderson.is_some())
        {
            match &mut anderson {
                None => {
                    machine.note(history * cells);
                    anderson = Some(Anderson::new(machine, iteration, false));
                }
                Some(anderson) => anderson.extrapolate(machine, iteration)?,
            }
        }
        let place = Place { sweep, factors: false, fresh: false, pending: None };
        place.offer(machine, &turns, anderson.as_ref(), observer);
    }
    // ended before its tolerance, but not before its beliefs agree with its potentials
    machine.stopped |= !machine.interrupted;
    machine.check(iteration)?;
    measured(machine, iteration);
    Ok(())
}

/// The gap of an atom that was to stay in factors and is not measured with the others.
fn measured(machine: &mut Machine, iteration: &Iteration) {
    if iteration.factored.is_some() {
        machine.factored_gap = machine.factored_gap.max(machine.gap);
    }
}

/// Where a loop stands between two sweeps.
struct Place {
    /// Sweeps made.
    sweep: usize,
    /// Whether they are over factors.
    factors: bool,
    /// Whether the first view of the next sweep has been taken.
    fresh: bool,
    /// The gap the last sweep met, when Newton's method comes next.
    pending: Option<f64>,
}

impl Place {
    /// Lets the observer keep the state. After the last sweep there is nothing to go on with, and what is
    /// learned of coefficients is not part of a state.
    fn offer(
        &self,
        machine: &Machine,
        turns: &Turns,
        anderson: Option<&Anderson>,
        observer: &mut dyn Observer,
    ) {
        let left = turns.left(machine);
        if left == 0 || machine.learned.is_some() || !machine.energies.is_empty() {
            return;
        }
        observer.between(machine.interrupted || left == 1 || self.pending.is_some(), &|| {
            let mut state = State::default();
            machine.save(&mut state);
            turns.save(&mut state);
            let flags = [self.factors, self.fresh, anderson.is_some(), self.pending.is_some()];
            let flags = flags.map(|b| f64::from(u8::from(b)));
            state.put("loop", [&[self.sweep as f64], &flags[..], &[self.pending.unwrap_or(0.0)]].concat());
            if let Some(anderson) = anderson {
                anderson.save(&mut state);
            }
            state
        });
    }

    /// What was offered; it stays in the state.
    fn restore(state: &mut State) -> Result<Self, Misfit> {
        let own = state.take_exactly("loop", 6)?;
        let place = Self {
            sweep: whole(own[0])?,
            factors: own[1] != 0.0,
            fresh: own[2] != 0.0,
            pending: (own[4] != 0.0).then_some(own[5]),
        };
        state.put("loop", own);
        Ok(place)
    }
}

/// The sweeps made and the acceleration, as they were kept.
fn restore<'a>(
    machine: &mut Machine,
    iteration: &'a Iteration,
    state: &mut State,
    factors: bool,
) -> Result<(usize, Option<Anderson<'a>>), Vec<Diagnostic>> {
    let own = state.take_exactly("loop", 6).map_err(|m| machine.misfit(m))?;
    let sweep = whole(own[0]).map_err(|m| machine.misfit(m))?;
    if own[3] == 0.0 {
        return Ok((sweep, None));
    }
    let mut anderson = Anderson::new(machine, iteration, factors);
    anderson.restore(state).map_err(|m| machine.misfit(m))?;
    Ok((sweep, Some(anderson)))
}

/// How the sweeps over factors ended.
enum Ended {
    /// Potentials and marginals are in place.
    Done,
    /// Some factor has spread too far; the potentials are in place.
    Uneven,
}

/// The same sweeps where the cliques stay products of factors.
fn factors(
    machine: &mut Machine,
    iteration: &Iteration,
    factored: &Factored,
    tolerance: f64,
    turns: &mut Turns,
    observer: &mut dyn Observer,
    kept: Option<State>,
) -> Result<Ended, Vec<Diagnostic>> {
    let pairs = &iteration.pairs;
    let history = crate::plan::cost::HISTORY as usize;
    let cells: usize = pairs.iter().map(|m| machine.tables[m.statistic.0].len()).sum();
    let (first, later) = factored.sweep.split_at(1);
    let mut anderson: Option<Anderson> = None;
    let (mut fresh, mut pending) = (false, None);
    let mut sweep = 0;
    if let Some(mut state) = kept {
        let place = Place::restore(&mut state).map_err(|m| machine.misfit(m))?;
        (fresh, pending) = (place.fresh, place.pending);
        (sweep, anderson) = restore(machine, iteration, &mut state, true)?;
    } else {
        machine.open_factors(factored, pairs);
        machine.walk(&factored.inward)?;
    }
    let mut found = f64::INFINITY;
    while turns.left(machine) > 0 && !machine.interrupted && !machine.uneven {
        let gap = match pending.take() {
            Some(gap) => gap,
            None => {
                sweep += 1;
                if let Some(anderson) = &mut anderson {
                    anderson.start(machine);
                }
                // an extrapolation has taken the first view already
                if !std::mem::take(&mut fresh) {
                    machine.walk(first)?;
                }
                let gap = machine.walk(later)?;
                machine.sweeps += 1;
                machine.predict(machine.units.sweep);
                machine.interrupted =
                    observer.sweep(&machine.told(turns.made(machine), gap, tolerance)) == Flow::Interrupt;
                if machine.uneven {
                    break;
                }
                if gap <= tolerance {
                    found = machine.check_factors(factored, pairs)?;
                    if found <= tolerance {
                        break;
                    }
                    // the check leaves the messages as a sweep does
                }
                gap
            }
        };
        let slow = turns.slow(gap);
        let asked = turns.clone();
        if let Some(allowance) = turns.newton(machine, gap) {
            anderson = None;
            let place = Place { sweep, factors: true, fresh: false, pending: Some(gap) };
            place.offer(machine, &asked, None, observer);
            let ended = newton::descend(machine, iteration, true, allowance, observer)?;
            turns.sweep_again(machine);
            if ended == Descent::Matched {
                found = machine.check_factors(factored, pairs)?;
                break;
            }
            if machine.interrupted {
                break;
            }
        } else if turns.accelerated()
            && sweep >= PLAIN
            && turns.left(machine) > 0
            && (slow || anderson.is_some())
        {
            match &mut anderson {
                None => {
                    machine.note(history * cells);
                    anderson = Some(Anderson::new(machine, iteration, true));
                }
                Some(anderson) => {
                    anderson.extrapolate(machine, iteration)?;
                    fresh = true;
                }
            }
        }
        let place = Place { sweep, factors: true, fresh, pending: None };
        place.offer(machine, turns, anderson.as_ref(), observer);
    }
    if machine.uneven {
        for (f, m) in factored.factors.iter().zip(pairs) {
            machine.take_potential(*f, m.potential);
        }
        return Ok(Ended::Uneven);
    }
    if found > tolerance {
        machine.stopped |= !machine.interrupted;
        found = machine.check_factors(factored, pairs)?;
    } else {
        machine.converged();
    }
    for (f, m) in factored.factors.iter().zip(pairs) {
        machine.take_potential(*f, m.potential);
    }
    // in a component with tables it is measured on them
    if factored.loose {
        machine.factored_gap = machine.factored_gap.max(found);
        if let Some(view) = first.first().and_then(|s| s.instruction.writes().first().copied()) {
            machine.walk(&factored.inward)?;
            machine.walk(first)?;
            let component = machine.schedule.places.iter().find(|p| p.atom == iteration.atom);
            if let Some(component) = component.map(|p| p.component) {
                machine.log_mass[component] += machine.mass_of(view).ln();
            }
        }
    }
    Ok(Ended::Done)
}
