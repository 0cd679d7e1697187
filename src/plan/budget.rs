//! The memory budget. Where the cheapest schedule is beyond it, the cheapest one within it is taken
//! ([`super::within`]); where there is none, the model is refused. It changes nothing else: of a fit that is within
//! the budget, the schedule and every bit of the result are the same whatever the budget is.

use crate::model::{EnergyModel, Interaction, Mode, Potential, Scope};
use crate::text::{Code, Diagnostic, Span};

use super::options::{Options, Profile};
use super::order::STEPS;
use super::print::human::bytes;
use super::schedule::Schedule;
use super::sketch;

/// What all trials together may cost, in modes and interactions compiled.
const TRIALS: usize = 4096;

/// Steps of the search for an order in a trial; what is told of is compiled again with all of them.
const GLANCE: u64 = 1000;

/// Most interactions that are left out together.
const TOGETHER: usize = 6;

/// Memory beyond which no larger budget is proposed: a pebibyte.
const ABSURD: f64 = (1u64 << 50) as f64;

/// Refuses a schedule whose predicted peak exceeds the budget. Names the interaction without which the
/// peak would be lowest, and the cheapest changes that fit: interactions to leave out (one whose
/// table has fewest parameters, or several), a mode to merge levels of, and a larger budget. Trials
/// are compilations, at most `TRIALS` modes and interactions of them.
pub fn check(
    model: &EnergyModel,
    profile: Option<&Profile>,
    options: &Options,
    schedule: &Schedule,
) -> Result<(), Vec<Diagnostic>> {
    let budget = options.memory as f64;
    if schedule.peak <= budget {
        return Ok(());
    }
    let mut trials = Trials { profile, options, left: TRIALS };
    let draft = &schedule.draft;
    let largest = schedule.buffers.iter().max_by(|a, b| a.cells.total_cmp(&b.cells));
    // the interaction to blame is inside the largest table, unless that is made of others' joints
    let inside = largest.map(|b| b.scope.clone()).unwrap_or_default();
    let mut diagnostic = Diagnostic::new(
        Code::MBA501,
        format!(
            "`{}` needs {} of memory, and the budget is {}",
            model.name,
            apart(schedule.peak, budget),
            apart(budget, schedule.peak)
        ),
    );
    let mut ways = Vec::new();
    let single = trials.without_one(model, &inside);
    if let Some((k, peak)) = single.iter().min_by(|(a, x), (b, y)| x.total_cmp(y).then(a.cmp(b))) {
        let scope = named(model, *k);
        // masks are written in the data
        if !is_mask(&model.interactions[*k]) {
            diagnostic = diagnostic.at(model.interactions[*k].span, format!("{scope} makes it grow"));
        }
        if *peak < schedule.peak {
            let enough = if *peak <= budget { "which would fit" } else { "which is not yet enough" };
            diagnostic = diagnostic.note(format!("without {scope} it needs {}, {enough}", bytes(*peak)));
        }
        ways.extend(trials.leave_out(model, &single));
    }
    ways.extend(trials.merge(model, &inside));
    if schedule.peak <= ABSURD || ways.is_empty() {
        ways.push(format!("allow more with `--memory {}`", flag(schedule.peak)));
    }
    if let Some(largest) = largest {
        let cells = super::print::human::count(largest.cells);
        let table = draft.bracket(&largest.scope);
        diagnostic = diagnostic.note(format!("the largest table, over `{table}`, has {cells} cells"));
    }
    Err(vec![diagnostic.help(ways.join(", or "))])
}

/// Other models, tried within a limit.
struct Trials<'a> {
    profile: Option<&'a Profile>,
    options: &'a Options,
    left: usize,
}

impl Trials<'_> {
    fn fits(&self, peak: f64) -> bool {
        peak <= self.options.memory as f64
    }

    /// Whether a model fits, at a glance.
    fn glance_fits(&mut self, model: Option<EnergyModel>) -> bool {
        let peak = model.and_then(|m| self.glance(&m));
        peak.is_some_and(|p| self.fits(p))
    }

    /// The peak of a model, at a glance; none once the limit is reached.
    fn glance(&mut self, model: &EnergyModel) -> Option<f64> {
        let price = model.interactions.len() + model.modes.len();
        self.left = self.left.checked_sub(price)?;
        Some(sketch(model, self.profile, self.options, GLANCE).peak)
    }

    /// The peak of a model as it would be compiled.
    fn peak(&self, model: &EnergyModel) -> f64 {
        sketch(model, self.profile, self.options, STEPS).peak
    }

    /// The peaks without each interaction inside the largest table, and where none of these is enough, without each
    /// of the others.
    fn without_one(&mut self, model: &EnergyModel, inside: &Scope) -> Vec<(usize, f64)> {
        let suspects = suspects(model, inside);
        let others: Vec<usize> = (0..model.interactions.len()).filter(|k| !suspects.contains(k)).collect();
        let mut found = Vec::new();
        for some in [suspects, others] {
            for k in some {
                let Some(peak) = self.glance(&without(model, &[k])) else { return found };
                found.push((k, peak));
            }
            if found.iter().any(|(_, peak)| self.fits(*peak)) {
                break;
            }
        }
        found
    }

    /// Interactions to leave out: the one with fewest parameters that is enough, or several.
    fn leave_out(&mut self, model: &EnergyModel, single: &[(usize, f64)]) -> Option<String> {
        let weight = |k: usize| -> f64 {
            model.interactions[k]
                .scope
                .iter()
                .map(|m| model.modes[m].size().saturating_sub(1) as f64)
                .product()
        };
        let enough = single.iter().filter(|(_, peak)| self.fits(*peak));
        let one = enough
            .min_by(|(a, x), (b, y)| weight(*a).total_cmp(&weight(*b)).then(x.total_cmp(y)).then(a.cmp(b)));
        let chosen = match one {
            Some((k, _)) => vec![*k],
            None => self.several(model, single)?,
        };
        let peak = self.peak(&without(model, &chosen));
        let names: Vec<String> = chosen.iter().map(|k| named(model, *k)).collect();
        let masks = chosen.iter().any(|k| is_mask(&model.interactions[*k]));
        let fewer = if masks { ", or hide cells by conditions over fewer modes" } else { "" };
        self.fits(peak).then(|| format!("leave out {} (it then needs {}){fewer}", and(&names), bytes(peak)))
    }

    /// Interactions left out one after another, each time the one that helps most.
    fn several(&mut self, model: &EnergyModel, single: &[(usize, f64)]) -> Option<Vec<usize>> {
        let first = single.iter().min_by(|(a, x), (b, y)| x.total_cmp(y).then(a.cmp(b)))?;
        let mut chosen = vec![first.0];
        while chosen.len() < TOGETHER {
            let smaller = without(model, &chosen);
            let schedule = sketch(&smaller, self.profile, self.options, GLANCE);
            let inside = &schedule.buffers.iter().max_by(|a, b| a.cells.total_cmp(&b.cells))?.scope;
            let mut best: Option<(usize, f64)> = None;
            for k in suspects(model, inside).into_iter().filter(|k| !chosen.contains(k)) {
                let with: Vec<usize> = chosen.iter().copied().chain([k]).collect();
                let peak = self.glance(&without(model, &with))?;
                if best.is_none_or(|(_, b)| peak < b) {
                    best = Some((k, peak));
                }
            }
            let (k, peak) = best?;
            chosen.push(k);
            if self.fits(peak) {
                chosen.sort_unstable();
                return Some(chosen);
            }
        }
        None
    }

    /// The mode of the largest table that has to lose the smallest part of its levels.
    fn merge(&mut self, model: &EnergyModel, inside: &Scope) -> Option<String> {
        let mut best: Option<(f64, usize, usize)> = None;
        for m in inside.iter() {
            let levels = model.modes[m].size();
            let Some(low) = most_levels(levels, |n| self.glance_fits(resized(model, m, n))) else { continue };
            let kept = low as f64 / levels as f64;
            if best.is_none_or(|(k, _, _)| kept > k) {
                best = Some((kept, m, low));
            }
        }
        let Some((_, m, levels)) = best else { return self.merge_all(model, inside) };
        let peak = self.peak(&resized(model, m, levels)?);
        let (name, had) = (&model.modes[m].name, model.modes[m].size());
        self.fits(peak).then(|| {
            format!(
                "merge the {had} levels of `{name}` into at most {levels} (it then needs {})",
                bytes(peak)
            )
        })
    }
}

impl Trials<'_> {
    /// Levels every mode of the largest table may keep, where merging those of one is not enough.
    fn merge_all(&self, model: &EnergyModel, inside: &Scope) -> Option<String> {
        let most = inside.iter().map(|m| model.modes[m].size()).max()?;
        // few compilations, which need no limit
        let peak =
            |levels: usize| sketch(&capped(model, inside, levels), self.profile, self.options, GLANCE).peak;
        let low = most_levels(most, |levels| self.fits(peak(levels)))?;
        let found = peak(low);
        let table = model.bracket(inside);
        let peak = bytes(found);
        Some(format!(
            "merge levels of the modes of `{table}` until none has more than {low} (it then needs {peak})"
        ))
    }
}

/// Whether an interaction is the mask of the data and none of the model's.
fn is_mask(interaction: &Interaction) -> bool {
    matches!(interaction.potential, Potential::Support(_)) && interaction.span == Span::default()
}

/// An interaction in words: what the data or a condition put there is no interaction of the model.
fn named(model: &EnergyModel, k: usize) -> String {
    let interaction = &model.interactions[k];
    let scope = model.bracket(&interaction.scope);
    match &interaction.potential {
        Potential::Support(_) if is_mask(interaction) => format!("the mask of the data over `{scope}`"),
        Potential::Support(_) => format!("the `forbid` over `{scope}`"),
        _ => format!("`{scope}`"),
    }
}

/// Parts of the levels of a mode that are looked at, most first.
const KEPT: [f64; 12] = [1.0, 0.96, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0];

/// The most levels, fewer than `all`, that fit, as far as these parts show: not every smaller number need fit where a
/// larger one does, because another schedule is cheapest there.
fn most_levels(all: usize, mut fits: impl FnMut(usize) -> bool) -> Option<usize> {
    let mut above = all;
    for part in KEPT {
        let mut low = ((all as f64 * part) as usize).clamp(2, all.max(3) - 1);
        if low >= above {
            continue;
        }
        if fits(low) {
            while above - low > 1 {
                let middle = low + (above - low) / 2;
                if fits(middle) { low = middle } else { above = middle }
            }
            return Some(low);
        }
        above = low;
    }
    None
}

/// A size, in bytes where it would read like another one that it is not.
fn apart(size: f64, other: f64) -> String {
    match bytes(size) == bytes(other) {
        true => format!("{size:.0} bytes"),
        false => bytes(size),
    }
}

/// The model with at most so many levels along each of these modes.
fn capped(model: &EnergyModel, modes: &Scope, levels: usize) -> EnergyModel {
    let mut smaller = model.clone();
    for m in modes.iter() {
        let own = &mut smaller.modes[m];
        *own = Mode::counted(own.name.clone(), own.size().min(levels));
    }
    smaller
}

/// The interactions inside the largest table, or where that is made of others' joints alone, those that
/// touch it, the ones that share most modes first.
fn suspects(model: &EnergyModel, inside: &Scope) -> Vec<usize> {
    let shared = |k: &usize| model.interactions[*k].scope.intersection(inside).len();
    let whole = |k: &usize| shared(k) == model.interactions[*k].scope.len();
    let all = 0..model.interactions.len();
    let mut found: Vec<usize> = all.clone().filter(whole).collect();
    if found.is_empty() {
        found = all.filter(|k| shared(k) > 0).collect();
        found.sort_by_key(|k| std::cmp::Reverse(shared(k)));
    }
    found
}

fn without(model: &EnergyModel, left_out: &[usize]) -> EnergyModel {
    let mut smaller = model.clone();
    let mut position = 0;
    smaller.interactions.retain(|_| {
        position += 1;
        !left_out.contains(&(position - 1))
    });
    smaller
}

/// The model with fewer levels along one mode. Only for planning: tables of energies keep their size.
fn resized(model: &EnergyModel, mode: usize, levels: usize) -> Option<EnergyModel> {
    let mut smaller = model.clone();
    let own = smaller.modes.get_mut(mode)?;
    *own = Mode::counted(own.name.clone(), levels);
    Some(smaller)
}

/// `a`, `b` and `c`.
fn and(names: &[String]) -> String {
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// A size as the flag takes it, rounded up.
fn flag(size: f64) -> String {
    let gib = size / (1u64 << 30) as f64;
    if gib > 1.0 {
        format!("{}GiB", gib.ceil())
    } else {
        format!("{}MiB", (size / (1u64 << 20) as f64).ceil())
    }
}
