//! Iterative proportional fitting on a junction tree, accelerated when it is slow.

use super::anderson::Anderson;
use super::control::{Flow, Observer};
use super::machine::Machine;
use super::state::{Misfit, Resumable, State, whole};
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
    let mut kept = machine.resumed.take();
    let in_factors = match &mut kept {
        Some(state) => Place::restore(state).map_err(|m| machine.misfit(m))?.factors,
        None => iteration.factored.is_some(),
    };
    let mut made = 0;
    if let Some(factored) = iteration.factored.as_ref().filter(|_| in_factors) {
        made = match factors(machine, iteration, factored, tolerance, observer, kept.take())? {
            Ended::Done => return Ok(()),
            Ended::Uneven(made) => made,
        };
        // from here on in logarithms, which bear any spread
        for step in &iteration.check {
            machine.step(step)?;
        }
    }
    let mut anderson: Option<Anderson> = None;
    if let Some(mut state) = kept {
        (made, anderson) = restore(machine, iteration, &mut state, false)?;
    }
    for sweep in made + 1..=machine.control.max_sweeps {
        if machine.interrupted {
            break;
        }
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
        if machine.infeasible.is_some() {
            return Ok(());
        }
        machine.interrupted = observer.sweep(&machine.told(sweep, gap, tolerance)) == Flow::Interrupt;
        if gap <= tolerance {
            for step in &iteration.check {
                machine.step(step)?;
            }
            if machine.gap <= tolerance {
                machine.converged();
                return Ok(());
            }
        }
        if machine.control.acceleration && sweep >= PLAIN && sweep < machine.control.max_sweeps {
            match &mut anderson {
                None => {
                    machine.note(history * cells);
                    anderson = Some(Anderson::new(machine, iteration, false));
                }
                Some(anderson) => anderson.extrapolate(machine, iteration)?,
            }
        }
        let place = Place { sweep, factors: false, fresh: false };
        place.offer(machine, anderson.as_ref(), observer);
    }
    // ended before its tolerance, but not before its beliefs agree with its potentials
    machine.stopped |= !machine.interrupted;
    for step in &iteration.check {
        machine.step(step)?;
    }
    Ok(())
}

/// Where a loop stands between two sweeps.
struct Place {
    /// Sweeps made.
    sweep: usize,
    /// Whether they are over factors.
    factors: bool,
    /// Whether the first view of the next sweep has been taken.
    fresh: bool,
}

impl Place {
    /// Lets the observer keep the state. After the last sweep there is nothing to go on with.
    fn offer(&self, machine: &Machine, anderson: Option<&Anderson>, observer: &mut dyn Observer) {
        let most = machine.control.max_sweeps;
        if self.sweep < most {
            observer.between(machine.interrupted || self.sweep + 1 == most, &|| {
                let mut state = State::default();
                machine.save(&mut state);
                let flags = [self.factors, self.fresh, anderson.is_some()].map(|b| f64::from(u8::from(b)));
                state.put("loop", [&[self.sweep as f64], &flags[..]].concat());
                if let Some(anderson) = anderson {
                    anderson.save(&mut state);
                }
                state
            });
        }
    }

    /// What was offered; it stays in the state.
    fn restore(state: &mut State) -> Result<Self, Misfit> {
        let own = state.take_exactly("loop", 4)?;
        let place = Self { sweep: whole(own[0])?, factors: own[1] != 0.0, fresh: own[2] != 0.0 };
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
    let own = state.take_exactly("loop", 4).map_err(|m| machine.misfit(m))?;
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
    /// After so many sweeps some factor has spread too far; the potentials are in place.
    Uneven(usize),
}

/// The same sweeps where the cliques stay products of factors.
fn factors(
    machine: &mut Machine,
    iteration: &Iteration,
    factored: &Factored,
    tolerance: f64,
    observer: &mut dyn Observer,
    kept: Option<State>,
) -> Result<Ended, Vec<Diagnostic>> {
    let pairs = &iteration.pairs;
    let history = crate::plan::cost::HISTORY as usize;
    let cells: usize = pairs.iter().map(|m| machine.tables[m.statistic.0].len()).sum();
    let (first, later) = factored.sweep.split_at(1);
    let mut anderson: Option<Anderson> = None;
    let mut fresh = false;
    let mut sweep = 0;
    if let Some(mut state) = kept {
        fresh = Place::restore(&mut state).map_err(|m| machine.misfit(m))?.fresh;
        (sweep, anderson) = restore(machine, iteration, &mut state, true)?;
    } else {
        machine.open_factors(factored, pairs);
        machine.walk(&factored.inward)?;
    }
    let mut found = f64::INFINITY;
    while sweep < machine.control.max_sweeps && !machine.interrupted && !machine.uneven {
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
        machine.interrupted = observer.sweep(&machine.told(sweep, gap, tolerance)) == Flow::Interrupt;
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
        if machine.control.acceleration && sweep >= PLAIN && sweep < machine.control.max_sweeps {
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
        let place = Place { sweep, factors: true, fresh };
        place.offer(machine, anderson.as_ref(), observer);
    }
    if machine.uneven {
        for (f, m) in factored.factors.iter().zip(pairs) {
            machine.take_potential(*f, m.potential);
        }
        return Ok(Ended::Uneven(sweep));
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
    // an atom that is joined to others is measured with them
    if factored.alone {
        machine.factored_gap = machine.factored_gap.max(found);
        if let Some(view) = first.first().and_then(|s| s.instruction.writes().first().copied()) {
            machine.walk(&factored.inward)?;
            machine.walk(first)?;
            let component = machine.schedule.places.iter().find(|p| p.atom == iteration.atom);
            if let Some(component) = component.map(|p| p.component) {
                machine.log_mass[component] = machine.mass_of(view).ln();
            }
        }
    }
    Ok(Ended::Done)
}
