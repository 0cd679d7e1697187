//! Lints on a plan: it will run, but probably not as was meant.

use num_bigint::BigUint;

use super::options::Profile;
use super::print::human;
use super::schedule::Schedule;
use crate::model::EnergyModel;
use crate::text::{Code, Diagnostic};

/// A table is a blow-up when it has this many times more cells than the data have stored ones …
const TIMES: f64 = 100.0;

/// … and at least this many cells (a quarter of a gibibyte of doubles).
const CELLS: f64 = (1u64 << 25) as f64;

/// Everything suspicious about a schedule for data of this profile.
pub fn lint(model: &EnergyModel, profile: &Profile, schedule: &Schedule) -> Vec<Diagnostic> {
    more_parameters_than_cells(model, profile).into_iter().chain(blow_up(model, profile, schedule)).collect()
}

fn more_parameters_than_cells(model: &EnergyModel, profile: &Profile) -> Option<Diagnostic> {
    let parameters = super::parameters(model);
    let stored = BigUint::from(profile.stored);
    (profile.sparse && parameters > stored).then(|| {
        Diagnostic::new(
            Code::MBA325,
            format!("`{}` has {parameters} parameters for at most {stored} cells with data", model.name),
        )
        .help("some of them are not determined by the data; leave interactions out, or merge levels")
    })
}

fn blow_up(model: &EnergyModel, profile: &Profile, schedule: &Schedule) -> Option<Diagnostic> {
    let largest = schedule.buffers.iter().max_by(|a, b| a.cells.total_cmp(&b.cells))?;
    if largest.cells < CELLS || largest.cells < TIMES * profile.stored as f64 {
        return None;
    }
    let message = format!(
        "`{}` works on a table of {} cells for {} with data",
        model.name,
        human::count(largest.cells),
        human::count(profile.stored as f64)
    );
    Some(
        Diagnostic::new(Code::MBA326, message)
            .note(format!("the table is over `{}`", schedule.draft.bracket(&largest.scope)))
            .help("leave out an interaction that closes a loop among these modes, or merge levels"),
    )
}
