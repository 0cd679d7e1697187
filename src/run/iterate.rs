//! Iterative proportional fitting on a junction tree, accelerated when it is slow.

use super::anderson::Anderson;
use super::control::{Flow, Observer};
use super::machine::Machine;
use super::newton::{self, Ended as Descent};
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
    let mut turns = Turns::new(machine, tolerance);
    let history = crate::plan::cost::HISTORY as usize;
    let cells: usize = iteration.pairs.iter().map(|m| machine.tables[m.statistic.0].len()).sum();
    if let Some(factored) = &iteration.factored {
        match factors(machine, iteration, factored, tolerance, &mut turns, observer)? {
            Ended::Done => return Ok(()),
            Ended::Uneven => {}
        }
        // from here on in logarithms, which bear any spread
        for step in &iteration.check {
            machine.step(step)?;
        }
    }
    let mut anderson: Option<Anderson> = None;
    let mut sweep = 0;
    while turns.left(machine) > 0 && !machine.interrupted {
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
        if machine.infeasible.is_some() {
            return Ok(());
        }
        machine.interrupted = observer.sweep(&machine.told(sweep, gap, tolerance)) == Flow::Interrupt;
        if gap <= tolerance {
            for step in &iteration.check {
                machine.step(step)?;
            }
            if machine.gap <= tolerance {
                return Ok(());
            }
        }
        if let Some(allowance) = turns.newton(machine, gap) {
            anderson = None;
            if newton::descend(machine, iteration, false, allowance, observer)? == Descent::Matched {
                return Ok(());
            }
            turns.sweep_again(machine);
        } else if turns.accelerated() && sweep >= PLAIN && turns.left(machine) > 0 {
            match &mut anderson {
                None => {
                    machine.note(history * cells);
                    anderson = Some(Anderson::new(machine, iteration, false));
                }
                Some(anderson) => anderson.extrapolate(machine, iteration)?,
            }
        }
    }
    // ended before its tolerance, but not before its beliefs agree with its potentials
    machine.stopped |= !machine.interrupted;
    for step in &iteration.check {
        machine.step(step)?;
    }
    Ok(())
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
) -> Result<Ended, Vec<Diagnostic>> {
    let pairs = &iteration.pairs;
    let history = crate::plan::cost::HISTORY as usize;
    let cells: usize = pairs.iter().map(|m| machine.tables[m.statistic.0].len()).sum();
    let (first, later) = factored.sweep.split_at(1);
    machine.open_factors(factored, pairs);
    machine.walk(&factored.inward)?;
    let mut anderson: Option<Anderson> = None;
    let mut fresh = false;
    let mut sweep = 0;
    let mut found = f64::INFINITY;
    while turns.left(machine) > 0 && !machine.interrupted && !machine.uneven {
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
        if let Some(allowance) = turns.newton(machine, gap) {
            anderson = None;
            let ended = newton::descend(machine, iteration, true, allowance, observer)?;
            turns.sweep_again(machine);
            if ended == Descent::Matched {
                found = machine.check_factors(factored, pairs)?;
                break;
            }
        } else if turns.accelerated() && sweep >= PLAIN && turns.left(machine) > 0 {
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
