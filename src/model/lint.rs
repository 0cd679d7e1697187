//! Lints on an elaborated model: true, but probably not what was meant.

use super::energy::{EnergyModel, Potential};
use super::scope::Scope;
use crate::text::ast::{ModelDeclaration, ModelItemKind};
use crate::text::{Code, Diagnostic};

/// A lint: one line each.
type Lint = fn(&EnergyModel, &ModelDeclaration) -> Option<Diagnostic>;

const LINTS: &[Lint] = &[saturated, inert_temperature, idle_modes, idle_conditions];

/// Everything suspicious about a model.
pub fn lint(model: &EnergyModel, declaration: &ModelDeclaration) -> Vec<Diagnostic> {
    LINTS.iter().filter_map(|lint| lint(model, declaration)).collect()
}

fn saturated(model: &EnergyModel, _: &ModelDeclaration) -> Option<Diagnostic> {
    let all = Scope::all(model.modes.len());
    let free = |i: &&super::energy::Interaction| matches!(i.potential, Potential::Free) && i.scope == all;
    let whole = model.interactions.iter().find(free)?;
    // tied, smooth and leaning tables do not repeat the data
    (model.modes.len() > 1 && model.regular.is_empty()).then(|| {
        Diagnostic::new(Code::MBA322, format!("model `{}` is saturated", model.name))
            .at(whole.span, "all modes interact: the fit is the data")
            .help("leave an interaction out to learn something from the fit")
    })
}

fn inert_temperature(model: &EnergyModel, declaration: &ModelDeclaration) -> Option<Diagnostic> {
    let written = declaration.items.iter().find(|i| matches!(i.kind, ModelItemKind::Temperature(_)))?;
    let free_only = model.interactions.iter().all(|i| matches!(i.potential, Potential::Free));
    free_only.then(|| {
        Diagnostic::new(
            Code::MBA323,
            format!("the temperature of `{}` has no effect on its fits", model.name),
        )
        .at(written.span, "free tables absorb it")
        .help("the fitted distribution is the same at any temperature; only energies scale with it")
    })
}

fn idle_modes(model: &EnergyModel, declaration: &ModelDeclaration) -> Option<Diagnostic> {
    let used: Scope = model.interactions.iter().flat_map(|i| i.scope.iter()).collect();
    // a mode that can have one level only is known, not uniform
    let known = |m: &usize| {
        let of_it = model.support.iter().filter(|f| f.scope.len() == 1 && f.scope.position(*m).is_some());
        let barred = |level: usize| of_it.clone().any(|f| f.cells.values[level] != 0.0);
        of_it.clone().next().is_some() && (0..model.modes[*m].size()).filter(|l| !barred(*l)).count() <= 1
    };
    let idle: Scope = Scope::all(model.modes.len()).difference(&used).iter().filter(|m| !known(m)).collect();
    let names: Vec<&str> = idle.iter().map(|m| model.modes[m].name.as_str()).collect();
    (!names.is_empty() && !model.interactions.is_empty()).then(|| {
        let list = crate::text::suggest::list(&names);
        let (is, it) = if names.len() == 1 { ("is", "its marginal") } else { ("are", "their marginals") };
        Diagnostic::new(Code::MBA324, format!("{list} {is} in no interaction of `{}`", declaration.name.name))
            .at(declaration.name.span, "fitted as uniform")
            .help(format!("add `[{}]` to match {it}", names.join("] [")))
    })
}

fn idle_conditions(model: &EnergyModel, _: &ModelDeclaration) -> Option<Diagnostic> {
    let idle = model.support.iter().find(|f| f.cells.values.iter().all(|x| *x == 0.0))?;
    Some(
        Diagnostic::new(Code::MBA460, format!("`{}` forbids no cell by this", model.name))
            .at(idle.span, "holds for no levels")
            .help("check the levels it names, or remove it"),
    )
}
