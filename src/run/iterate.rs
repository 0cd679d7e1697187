//! Iterative proportional fitting on a junction tree, accelerated when it is slow.

use super::anderson::Anderson;
use super::control::{Flow, Observer};
use super::machine::Machine;
use crate::plan::schedule::{Instruction, Iteration};
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
    let mut anderson: Option<Anderson> = None;
    for sweep in 1..=machine.control.max_sweeps {
        if machine.interrupted {
            break;
        }
        if let Some(anderson) = &mut anderson {
            anderson.start(machine, &iteration.pairs);
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
        machine.interrupted = observer.sweep(machine.sweeps, gap) == Flow::Interrupt;
        if gap <= tolerance {
            for step in &iteration.check {
                machine.step(step)?;
            }
            if machine.gap <= tolerance {
                return Ok(());
            }
        }
        if machine.control.acceleration && sweep >= PLAIN && sweep < machine.control.max_sweeps {
            match &mut anderson {
                None => {
                    machine.note(history * cells);
                    anderson = Some(Anderson::new(machine, &iteration.pairs));
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
