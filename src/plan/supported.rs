//! What this version can compute. Anything else is refused by name, never ignored.

use crate::model::{Algebra, EnergyModel, Potential};
use crate::text::{Code, Diagnostic};

use super::options::Profile;

/// One diagnostic per part of the model, or of the data, that has no schedule yet.
pub fn check(model: &EnergyModel, profile: Option<&Profile>) -> Result<(), Vec<Diagnostic>> {
    let mut found = Vec::new();
    let refuse =
        |what: String| Diagnostic::new(Code::MBA390, format!("{what} not supported yet by this version"));
    let name = &model.name;
    for interaction in &model.interactions {
        let scope = model.bracket(&interaction.scope);
        match &interaction.potential {
            Potential::Learned { coefficient, .. } if profile.is_none() => found.push(
                Diagnostic::new(
                    Code::MBA308,
                    format!("the coefficient `{coefficient}` in `{name}` has no value without data"),
                )
                .at(interaction.span, "")
                .help(format!("fit `{name}` to data first, or write a number in place of `{coefficient}`")),
            ),
            Potential::Free if profile.is_none() => found.push(
                Diagnostic::new(
                    Code::MBA308,
                    format!("the free table `{scope}` in `{name}` has no value without data"),
                )
                .at(interaction.span, "")
                .help(format!("fit `{name}` to data first")),
            ),
            _ => {}
        }
    }
    if !model.latent.is_empty() {
        let latent = model.bracket(&model.latent);
        found.push(refuse(format!("the latent modes `{latent}` in `{name}` are")));
    }
    if model.algebra != Algebra::Ordinary {
        let algebra = match model.algebra {
            Algebra::Tsallis(q) => format!("tsallis({q})"),
            Algebra::Kaniadakis(k) => format!("kaniadakis({k})"),
            Algebra::Ordinary => "ordinary".into(),
        };
        found.push(refuse(format!("`algebra {algebra}` in `{name}` is")));
    }
    if let Some(coefficient) = model.coefficients().first() {
        let beside = |what: &str| {
            refuse(format!("{what} beside the learned coefficient `{coefficient}` in `{name}` are"))
        };
        if !model.regular.is_empty() {
            found.push(beside("`smooth`, `tie` and `prior`"));
        }
        if profile.is_some_and(|p| !p.masks.is_empty()) {
            found.push(beside("data with missing cells"));
        }
    }
    let fixed = |i: &crate::model::Interaction| !matches!(i.potential, Potential::Free);
    let usable = model.temperature.is_finite() && model.temperature > 0.0;
    if !usable && model.interactions.iter().any(fixed) {
        let message = format!("the temperature {} of `{name}`, with fixed potentials, is", model.temperature);
        found.push(refuse(message).help("use a positive temperature"));
    }
    for diagnostic in &mut found {
        diagnostic.help.get_or_insert_with(|| "leave it out, or wait for a version that has it".into());
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}
