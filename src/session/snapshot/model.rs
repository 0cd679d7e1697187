//! The canonical form of a model: what it is, however it was written.
//!
//! Families, templates, loops and params are gone, interactions that others imply too, energies over the same modes
//! are added up, and everything is sorted by name. Two programs with the same lines have the same fits.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::array::{Canonical, level_order};
use super::lines::{Line, Rule, digest, list, number};
use crate::model::{Algebra, EnergyModel, Levels, Mode, Order, Potential, Regular, Scope, Strength, Table};
use crate::plan::hypergraph::maximal;

/// More modes than this are kept in groups of equal levels.
const MOST_MODES: usize = 16;

/// An energy of more cells than this is kept as a digest of its rounded values.
const MOST_CELLS: usize = 256;

/// A scope with its modes in alphabetical order: `[eye hair]`.
pub(super) fn bracket(model: &EnergyModel, scope: &Scope) -> String {
    let mut names: Vec<&str> = scope.iter().map(|m| model.modes[m].name.as_str()).collect();
    names.sort_unstable();
    format!("[{}]", names.join(" "))
}

/// The model as lines.
pub(super) fn lines(model: &EnergyModel) -> Vec<Line> {
    let (latent, visible): (Vec<usize>, Vec<usize>) =
        (0..model.modes.len()).partition(|m| model.latent.contains(*m));
    let of = |which: Vec<usize>| -> Vec<Mode> { which.into_iter().map(|m| model.modes[m].clone()).collect() };
    let mut lines = modes(&of(visible));
    lines.extend(modes(&of(latent)).into_iter().map(|l| Line { name: format!("latent {}", l.name), ..l }));
    let mut free: Vec<String> = maximal(&model.free_scopes()).iter().map(|s| bracket(model, s)).collect();
    free.sort_unstable();
    lines.push(Line::exact("free", list(free.into_iter().map(Json::from).collect())));
    lines.extend(potentials(model));
    for forbidden in &model.support {
        let name = format!("forbidden on {}", bracket(model, &forbidden.scope));
        let cells = canonical(model, &forbidden.cells);
        let count = cells.iter().filter(|x| **x != 0.0).count();
        let which = digest(&cells.iter().map(|x| u8::from(*x != 0.0)).collect::<Vec<u8>>());
        lines.push(Line::exact(name, json!({ "cells": count, "digest": which })));
    }
    let Regular { smooth, ties, prior } = &model.regular;
    let name = |mode: usize| model.modes[mode].name.as_str();
    let mut said: Vec<Line> = smooth
        .iter()
        .map(|s| {
            Line::number(format!("smooth {} along {}", bracket(model, &s.scope), name(s.along)), s.strength)
        })
        .collect();
    let side = |modes: &[usize]| modes.iter().map(|m| name(*m)).collect::<Vec<_>>().join(" ");
    said.extend(
        ties.iter().map(|t| Line::exact(format!("tie [{}]", side(&t.left)), format!("[{}]", side(&t.right)))),
    );
    said.extend(prior.as_ref().map(|p| match p.strength {
        Strength::Mass(mass) => Line::number(format!("prior toward {}", p.label), mass),
        Strength::Share(share) => Line::number(format!("prior share toward {}", p.label), share),
        Strength::Auto => Line::exact(format!("prior toward {}", p.label), "auto"),
    }));
    said.sort_by(|a, b| a.name.cmp(&b.name));
    lines.extend(said);
    if model.temperature != 1.0 {
        lines.push(Line::number("temperature", model.temperature));
    }
    match model.algebra {
        Algebra::Ordinary => {}
        Algebra::Tsallis(q) => lines.push(Line::number("algebra tsallis", q)),
        Algebra::Kaniadakis(k) => lines.push(Line::number("algebra kaniadakis", k)),
    }
    lines
}

/// Modes with their levels, sorted by name; many modes in groups that have the same levels.
pub(super) fn modes(modes: &[Mode]) -> Vec<Line> {
    let levels = |mode: &Mode| -> Json {
        match &mode.levels {
            Levels::Counted(n) => Json::from(*n),
            Levels::Binned(edges) => edges.iter().map(|x| number(*x)).collect(),
            Levels::Listed(_) => {
                list(level_order(mode).into_iter().map(|i| Json::from(mode.label(i).as_ref())).collect())
            }
        }
    };
    let kind = |mode: &Mode| match mode.order {
        Order::Nominal => "",
        Order::Ordered => " ordered",
        Order::Cyclic => " cyclic",
    };
    let mut sorted: Vec<&Mode> = modes.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    if modes.len() <= MOST_MODES {
        return sorted
            .iter()
            .map(|m| Line::exact(format!("mode {}{}", m.name, kind(m)), levels(m)))
            .collect();
    }
    let mut groups: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for mode in sorted {
        let name = format!("modes {}{}", levels(mode), kind(mode));
        groups.entry(name).or_default().push(mode.name.as_str().into());
    }
    groups.into_iter().map(|(name, members)| Line::exact(name, list(members))).collect()
}

/// Energies and learned coefficients: those over the same modes added up, then equal ones together.
fn potentials(model: &EnergyModel) -> Vec<Line> {
    let mut energies: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut learned: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for interaction in &model.interactions {
        let name = bracket(model, &interaction.scope);
        let (sum, table) = match &interaction.potential {
            Potential::Free | Potential::Support(_) => continue,
            Potential::Fixed(table) => (energies.entry(name).or_default(), table),
            Potential::Learned { coefficient, statistic } => {
                (learned.entry((coefficient.clone(), name)).or_default(), statistic)
            }
        };
        let values = canonical(model, table);
        if sum.is_empty() {
            *sum = values;
        } else {
            sum.iter_mut().zip(values).for_each(|(s, x)| *s += x);
        }
    }
    let mut groups: BTreeMap<(String, String), Vec<Json>> = BTreeMap::new();
    for (name, values) in energies {
        groups.entry((String::new(), table(&values).to_string())).or_default().push(name.into());
    }
    for ((coefficient, name), values) in learned {
        groups.entry((coefficient, table(&values).to_string())).or_default().push(name.into());
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<_> = groups.into_iter().collect();
    // in the order of the modes, so that a changed energy keeps its place
    groups.sort_by(|a, b| {
        let first = |g: &((String, String), Vec<Json>)| g.1.first().map(Json::to_string);
        a.0.0.cmp(&b.0.0).then_with(|| first(a).cmp(&first(b)))
    });
    let mut lines = Vec::new();
    for ((coefficient, values), scopes) in groups {
        let number = counts.entry(coefficient.clone()).or_default();
        *number += 1;
        let what = match coefficient.as_str() {
            "" => format!("energy {number}"),
            name => format!("learned {name} {number}"),
        };
        lines.push(Line::exact(format!("{what} on"), list(scopes)));
        let values = serde_json::from_str(&values).unwrap_or(Json::Null);
        lines.push(Line::new(format!("{what} is"), values, Rule::Close));
    }
    lines
}

fn canonical(model: &EnergyModel, table: &Table) -> Vec<f64> {
    let modes: Vec<&Mode> = table.scope.iter().map(|m| &model.modes[m]).collect();
    Canonical::of(&modes, &table.values).values
}

/// The values of an energy; of a large one the digest of eleven digits, which no rounding error should reach.
fn table(values: &[f64]) -> Json {
    if values.len() <= MOST_CELLS {
        return values.iter().map(|x| number(*x)).collect();
    }
    let text: Vec<String> = values.iter().map(|x| format!("{:.10e}", x + 0.0)).collect();
    json!({ "cells": values.len(), "digest": digest(text.join(" ").as_bytes()) })
}
