//! The memory budget. It refuses; it never changes a schedule.

use crate::model::EnergyModel;
use crate::text::{Code, Diagnostic};

use super::options::{Options, Profile};
use super::print::human::bytes;
use super::schedule::Schedule;
use super::sketch;

/// Interactions that are tried one by one when looking for the one responsible.
const TRIED: usize = 64;

/// Refuses a schedule whose predicted peak exceeds the budget, and names the interaction without which
/// the peak would be lowest. Costs one compilation per interaction, and only when it refuses.
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
    let draft = &schedule.draft;
    let largest = schedule.buffers.iter().max_by(|a, b| a.cells.total_cmp(&b.cells));
    let table = largest.map_or_else(String::new, |b| draft.bracket(&b.scope));
    let cells = largest.map_or(0.0, |b| b.cells);
    // each trial is a compilation, whose cost grows with the model
    let tried = (TRIED * 64 / (model.interactions.len() + model.modes.len()).max(1)).clamp(1, TRIED);
    // the interaction to blame is inside the largest table
    let inside = largest.map(|b| b.scope.clone()).unwrap_or_default();
    let suspects = (0..model.interactions.len()).filter(|k| model.interactions[*k].scope.is_subset(&inside));
    let without = suspects.take(tried).map(|k| {
        let mut smaller = model.clone();
        smaller.interactions.remove(k);
        (k, sketch(&smaller, profile, options.solver).peak)
    });
    let responsible = without.min_by(|(a, x), (b, y)| x.total_cmp(y).then(a.cmp(b)));

    let mut diagnostic = Diagnostic::new(
        Code::MBA501,
        format!(
            "`{}` needs {} of memory, and the budget is {}",
            model.name,
            bytes(schedule.peak),
            bytes(budget)
        ),
    );
    let mut help = format!("allow more with `--memory {}`", flag(schedule.peak));
    if let Some((k, peak)) = responsible {
        let interaction = &model.interactions[k];
        let scope = model.bracket(&interaction.scope);
        diagnostic = diagnostic.at(interaction.span, format!("`{scope}` makes it grow"));
        if peak < schedule.peak {
            let enough = if peak <= budget { "which would fit" } else { "which is not yet enough" };
            diagnostic = diagnostic.note(format!("without `{scope}` it needs {}, {enough}", bytes(peak)));
            if peak <= budget {
                help = format!("leave out `{scope}`, or {help}");
            }
        }
    }
    let note = format!("the largest table, over `{table}`, has {} cells", super::print::human::count(cells));
    Err(vec![diagnostic.note(note).help(help)])
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
