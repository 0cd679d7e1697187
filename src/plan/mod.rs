//! From an energy model to a schedule, before any data are read. Pure.
//!
//! ```text
//! model ─ reduce ─ split ─ separate ─ close ─ choose ─ factor ─ order ─ fuse ─ lower → schedule
//! ```

pub mod budget;
pub mod cost;
pub mod count;
pub mod draft;
pub mod graph;
pub mod hypergraph;
pub mod joint;
mod lint;
mod liveness;
pub mod method;
pub mod options;
pub mod order;
pub mod partition;
pub mod passes;
mod print;
mod rank_one;
pub mod rows;
pub mod schedule;
pub mod summation;
mod supported;
pub mod within;

pub use count::{cells, degrees_of_freedom, parameters};
pub use lint::lint;
pub use options::{Options, Profile};
pub use passes::PASSES;
pub use schedule::Schedule;

use crate::model::{EnergyModel, Support};
use crate::text::Diagnostic;
use draft::Draft;

/// The schedule of a fit of `model` to data of this profile.
///
/// # Errors
/// MBA390 for each part of the model this version cannot compute; MBA350 when there are learned
/// coefficients beside free tables of too many parameters; MBA501 when the predicted peak
/// exceeds the budget and no other schedule within it is found.
pub fn compile(
    model: &EnergyModel,
    profile: &Profile,
    options: &Options,
) -> Result<Schedule, Vec<Diagnostic>> {
    supported::check(model, Some(profile))?;
    if !model.regular.is_empty() {
        let schedule = rows::schedule(model, profile)?;
        budget::check(model, Some(profile), options, &schedule)?;
        return Ok(schedule);
    }
    let model = &model.parametrised()?;
    if options.solver == method::Solver::PseudoLikelihood {
        let coefficients = model.coefficients().into_iter().map(String::from).collect();
        let schedule = passes::conditional(&Draft::new(model, true), &model.name, profile, coefficients);
        budget::check(model, Some(profile), options, &schedule)?;
        return Ok(schedule);
    }
    let ranked = matches!(options.solver, method::Solver::Auto | method::Solver::A1gm)
        && rank_one::applies(model, profile);
    let model = &grounded(model, Some(profile));
    let mut schedule = sketch(model, Some(profile), options, order::STEPS);
    if ranked {
        schedule = rank_one::schedule(model, profile, options.solver, schedule);
    }
    budget::check(model, Some(profile), options, &schedule)?;
    Ok(schedule)
}

/// The schedule that turns a model of fixed potentials alone into a distribution, without data.
///
/// # Errors
/// As [`compile`]; a free interaction has no value without data and is MBA390 too.
pub fn compile_fixed(model: &EnergyModel, options: &Options) -> Result<Schedule, Vec<Diagnostic>> {
    supported::check(model, None)?;
    let model = &grounded(model, None);
    let schedule = sketch(model, None, options, order::STEPS);
    budget::check(model, None, options, &schedule)?;
    Ok(schedule)
}

/// The draft after every pass, by the name of the pass; `model` is the state before the first.
pub fn trace(model: &EnergyModel, data: bool) -> Vec<(&'static str, Draft)> {
    let mut draft = Draft::new(model, data);
    let mut states = vec![("model", draft.clone())];
    for pass in PASSES {
        (pass.run)(&mut draft);
        states.push((pass.name, draft.clone()));
    }
    states
}

/// The model with forbidden cells and masks as potentials.
fn grounded(model: &EnergyModel, profile: Option<&Profile>) -> EnergyModel {
    let masks = profile.into_iter().flat_map(|p| &p.masks).map(|scope| {
        let unknown = Support::new(scope.clone(), model.shape(scope), []);
        (std::sync::Arc::new(unknown), crate::text::Span::default())
    });
    model.on_support(masks)
}

/// The cheapest schedule, or where that is beyond the budget and another one is not, the cheapest within it.
fn sketch(model: &EnergyModel, profile: Option<&Profile>, options: &Options, effort: u64) -> Schedule {
    let cheapest = unbounded(model, profile, options.solver, effort);
    let budget = options.memory as f64;
    let other = (cheapest.peak > budget).then(|| within::within(&cheapest, budget)).flatten();
    other.unwrap_or(cheapest)
}

fn unbounded(
    model: &EnergyModel,
    profile: Option<&Profile>,
    solver: method::Solver,
    effort: u64,
) -> Schedule {
    let mut draft = Draft::new(model, profile.is_some());
    draft.effort = effort;
    for pass in PASSES {
        (pass.run)(&mut draft);
    }
    passes::lower(&draft, &model.name, profile, solver)
}
