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

/// Times that cells with data are brought back which the model gives less than a double can hold, each time by as much
/// as doubles reach.
pub(super) const RESCUES: usize = 64;

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
    let cells: usize = iteration.pairs.iter().map(|m| machine.tables[m.statistic.0].len()).sum();
    let turns = Turns::new(machine, tolerance, cells);
    let mut rounds = Rounds { iteration, over: Over::Tables, tolerance, cells, turns };
    let mut kept = machine.resumed.take();
    let mut in_factors = iteration.factored.is_some();
    if let Some(state) = &mut kept {
        in_factors = Place::restore(state).map_err(|m| machine.misfit(m))?.factors;
        rounds.turns.restore(state).map_err(|m| machine.misfit(m))?;
    }
    if let Some(factored) = iteration.factored.as_ref().filter(|_| in_factors) {
        rounds.over = Over::Factors(factored);
        let ended = rounds.run(machine, observer, kept.take())?;
        for (f, m) in factored.factors.iter().zip(&iteration.pairs) {
            machine.take_potential(*f, m.potential);
        }
        if let Ended::At(gap) = ended {
            return loose(machine, iteration, factored, gap);
        }
        // from here on in logarithms, which bear any spread
        machine.check(iteration)?;
        rounds.over = Over::Tables;
    }
    rounds.run(machine, observer, kept)?;
    // the gap of an atom that was to stay in factors is not measured with the others
    if iteration.factored.is_some() && machine.infeasible.is_none() {
        machine.factored_gap = machine.factored_gap.max(machine.gap);
    }
    Ok(())
}

/// The gap and the mass of an atom that stayed in factors, where it is alone in its component; in a
/// component with tables they are measured on those.
fn loose(
    machine: &mut Machine,
    iteration: &Iteration,
    factored: &Factored,
    gap: f64,
) -> Result<(), Vec<Diagnostic>> {
    if !factored.loose {
        return Ok(());
    }
    machine.factored_gap = machine.factored_gap.max(gap);
    let first = factored.sweep.get(..1).unwrap_or_default();
    if let Some(view) = first.first().and_then(|s| s.instruction.writes().first().copied()) {
        machine.walk(&factored.inward)?;
        machine.walk(first)?;
        let component = machine.schedule.places.iter().find(|p| p.atom == iteration.atom);
        if let Some(component) = component.map(|p| p.component) {
            machine.log_mass[component] += machine.mass_of(view).ln();
        }
    }
    Ok(())
}

/// What the sweeps work on.
#[derive(Clone, Copy)]
enum Over<'a> {
    /// Tables over the cliques, with potentials in logarithms.
    Tables,
    /// Cliques that stay products of factors.
    Factors(&'a Factored),
}

impl Over<'_> {
    /// One sweep and the gap it met. `fresh` says that the first view has been taken since the last one.
    fn sweep(
        self,
        machine: &mut Machine,
        iteration: &Iteration,
        fresh: bool,
    ) -> Result<f64, Vec<Diagnostic>> {
        let Self::Factors(factored) = self else {
            let mut gap = 0.0f64;
            for step in &iteration.sweep {
                match &step.instruction {
                    Instruction::Scale(m) => gap = gap.max(machine.scale(*m)),
                    _ => machine.step(step)?,
                }
            }
            return Ok(gap);
        };
        let (first, later) = factored.sweep.split_at(1);
        if !fresh {
            machine.walk(first)?;
        }
        machine.walk(later)
    }

    /// The gap of the one distribution the potentials stand for. It leaves the messages as a sweep does.
    fn look(self, machine: &mut Machine, iteration: &Iteration) -> Result<f64, Vec<Diagnostic>> {
        match self {
            Self::Tables => {
                machine.check(iteration)?;
                Ok(machine.gap)
            }
            Self::Factors(factored) => machine.check_factors(factored, &iteration.pairs),
        }
    }

    fn factors(self) -> bool {
        matches!(self, Self::Factors(_))
    }
}

/// How a loop of sweeps ended.
enum Ended {
    /// With this gap, within the tolerance or not.
    At(f64),
    /// With nothing that can be matched.
    Infeasible,
    /// With factors that have spread too far.
    Uneven,
}

/// Sweeps, acceleration and Newton's method, which lower one objective by turns.
struct Rounds<'a> {
    iteration: &'a Iteration,
    over: Over<'a>,
    tolerance: f64,
    /// Cells of the generators together.
    cells: usize,
    turns: Turns,
}

impl Rounds<'_> {
    fn run(
        &mut self,
        machine: &mut Machine,
        observer: &mut dyn Observer,
        kept: Option<State>,
    ) -> Result<Ended, Vec<Diagnostic>> {
        let Self { iteration, over, tolerance, cells, ref mut turns } = *self;
        let history = crate::plan::cost::HISTORY as usize;
        let mut anderson: Option<Anderson> = None;
        let (mut sweep, mut fresh, mut pending, mut matched) = (0, false, None, false);
        let mut rescues = 0;
        if let Some(mut state) = kept {
            let place = Place::restore(&mut state).map_err(|m| machine.misfit(m))?;
            (fresh, pending) = (place.fresh, place.pending);
            (sweep, anderson) = restore(machine, iteration, &mut state, over.factors())?;
        } else if let Over::Factors(factored) = over {
            machine.open_factors(factored, &iteration.pairs);
            machine.walk(&factored.inward)?;
        }
        let uneven = |machine: &Machine| over.factors() && machine.uneven;
        while turns.left(machine) > 0 && !machine.interrupted && !uneven(machine) {
            let gap = match pending.take() {
                Some(gap) => gap,
                None => {
                    sweep += 1;
                    if let Some(anderson) = &mut anderson {
                        anderson.start(machine);
                    }
                    let gap = over.sweep(machine, iteration, std::mem::take(&mut fresh))?;
                    machine.sweeps += 1;
                    machine.predict(machine.units.sweep);
                    if let Some(lost) = machine.lost.take() {
                        rescues += 1;
                        if rescues > RESCUES {
                            machine.infeasible = Some(lost);
                            return Ok(Ended::Infeasible);
                        }
                        // potentials are logarithms and bear any spread; beliefs are made of them anew
                        machine.check(iteration)?;
                        anderson = None;
                    }
                    machine.interrupted =
                        observer.sweep(&machine.told(turns.made(machine), gap, tolerance)) == Flow::Interrupt;
                    if uneven(machine) {
                        break;
                    }
                    if gap <= tolerance {
                        let found = over.look(machine, iteration)?;
                        if found <= tolerance {
                            machine.converged();
                            let met = anderson.as_ref().and_then(Anderson::flattest);
                            let met = met.unwrap_or_else(|| turns.flattest(gap));
                            machine.flattest = machine.flattest.min(met);
                            return Ok(Ended::At(found));
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
                let place = Place { sweep, factors: over.factors(), fresh: false, pending: Some(gap) };
                place.offer(machine, &asked, None, observer);
                let (ended, met) = newton::descend(machine, iteration, over.factors(), allowance, observer)?;
                // kept with the state, so that a loop that is taken up ends with the same proof
                machine.flattest = machine.flattest.min(met);
                turns.sweep_again(machine);
                matched = ended == Descent::Matched;
                if matched || machine.interrupted {
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
                        anderson = Some(Anderson::new(machine, iteration, over.factors()));
                    }
                    Some(anderson) => {
                        anderson.extrapolate(machine, iteration)?;
                        fresh = over.factors();
                    }
                }
            }
            let place = Place { sweep, factors: over.factors(), fresh, pending: None };
            place.offer(machine, turns, anderson.as_ref(), observer);
        }
        if uneven(machine) {
            return Ok(Ended::Uneven);
        }
        // wherever it ends, its beliefs agree with its potentials
        let found = over.look(machine, iteration)?;
        // a loop that did not come to its end may not have met what is slowest
        if !matched {
            machine.flattest = 0.0;
        }
        if matched && found <= tolerance {
            machine.converged();
        } else {
            machine.stopped |= !machine.interrupted;
        }
        Ok(Ended::At(found))
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
