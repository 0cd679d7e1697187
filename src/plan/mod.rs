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
mod lint;
mod liveness;
pub mod method;
pub mod options;
pub mod order;
pub mod passes;
mod print;
pub mod schedule;
mod supported;

pub use count::{cells, degrees_of_freedom, parameters};
pub use lint::lint;
pub use options::{Options, Profile};
pub use passes::PASSES;
pub use schedule::Schedule;

use crate::model::EnergyModel;
use crate::text::{Code, Diagnostic};
use draft::Draft;

/// The schedule of a fit of `model` to data of this profile.
///
/// # Errors
/// MBA390 for each part of the model this version cannot compute; MBA350 when there are learned
/// coefficients beside free tables of too many parameters; MBA501 when the predicted peak
/// exceeds the budget.
pub fn compile(
    model: &EnergyModel,
    profile: &Profile,
    options: &Options,
) -> Result<Schedule, Vec<Diagnostic>> {
    supported::check(model, Some(profile))?;
    if options.solver == method::Solver::PseudoLikelihood {
        return compile_pseudo_likelihood(model, profile, options);
    }
    let model = &model.parametrised()?;
    let schedule = sketch(model, Some(profile), options.solver);
    budget::check(model, Some(profile), options, &schedule)?;
    Ok(schedule)
}

/// The schedule of a fit of learned coefficients by pseudo-likelihood: no sum over more than one mode.
///
/// # Errors
/// As [`compile`]; MBA352 when the model has no learned coefficients, or more than the method can take.
pub fn compile_pseudo_likelihood(
    model: &EnergyModel,
    profile: &Profile,
    options: &Options,
) -> Result<Schedule, Vec<Diagnostic>> {
    supported::check(model, Some(profile))?;
    let model = &model.parametrised()?;
    let coefficients: Vec<String> = model.coefficients().into_iter().map(String::from).collect();
    let refuse = |message: String, help: &str| Err(vec![Diagnostic::new(Code::MBA352, message).help(help)]);
    if coefficients.is_empty() {
        let message = format!("`{}` has no learned coefficients for `pseudo_likelihood`", model.name);
        return refuse(message, "write `by auto`: free tables are matched exactly");
    }
    if coefficients.len() as f64 > cost::DENSE {
        let message = format!("`{}` has {} coefficients", model.name, coefficients.len());
        return refuse(message, "`pseudo_likelihood` takes at most 2000");
    }
    let schedule = passes::conditional(&Draft::new(model, true), &model.name, profile, coefficients);
    budget::check(model, Some(profile), options, &schedule)?;
    Ok(schedule)
}

/// The schedule that turns a model of fixed potentials alone into a distribution, without data.
///
/// # Errors
/// As [`compile`]; a free interaction has no value without data and is MBA390 too.
pub fn compile_fixed(model: &EnergyModel, options: &Options) -> Result<Schedule, Vec<Diagnostic>> {
    supported::check(model, None)?;
    let schedule = sketch(model, None, options.solver);
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

fn sketch(model: &EnergyModel, profile: Option<&Profile>, solver: method::Solver) -> Schedule {
    let mut draft = Draft::new(model, profile.is_some());
    for pass in PASSES {
        (pass.run)(&mut draft);
    }
    passes::lower(&draft, &model.name, profile, solver)
}
