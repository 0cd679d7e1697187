//! What is kept of a fit: the model, how it is solved, and invariants of the result. Nothing depends on the gauge, on
//! the number of sweeps or on the last digits.

use serde_json::Value as Json;

use super::array;
use super::lines::{About, Line, Rule, list, number};
use super::model::{self, bracket};
use crate::model::{Mode, Scope};
use crate::plan::hypergraph::maximal;
use crate::report::results::{BalanceResult, FitResult, JointResult};

/// Of more interactions than this, each marginal is kept as one number.
const MOST_MARGINALS: usize = 64;

/// Of more interactions than this, these numbers stand in one line.
const MOST_LINES: usize = 4096;

/// Most cells of a fitted tensor that is written out to be kept.
const MOST_CELLS: usize = 1 << 16;

/// The lines of a fit. O(cells of the marginals of its interactions), and of the tensor when that is small.
pub(super) fn lines(result: &FitResult, whole: bool) -> Vec<Line> {
    let fit = &result.fit;
    let model = &fit.model;
    let mut lines = model::lines(model);
    lines.extend(atoms(result));
    lines.push(Line::exact("status", fit.status.word()));
    let count = |n: num_bigint::BigUint| crate::report::json::value(&crate::report::Value::Count(n));
    lines.push(Line::exact("parameters", count(crate::plan::parameters(model))));
    lines.push(Line::exact("df", count(crate::plan::degrees_of_freedom(model))));
    lines.push(Line::number("total", fit.total));
    if let Some(learned) = &fit.learned {
        let determined = learned.coefficients.iter().filter(|c| c.named() && c.spread.is_some());
        lines.extend(determined.map(|c| Line::number(format!("coefficient {}", c.name), c.value)));
        if learned.pseudo_likelihood.is_some() {
            // its divergence and its distribution are not computed
            return lines;
        }
    }
    lines.push(Line::number("kl", fit.kl));
    lines.push(Line::number("entropy", fit.distribution.entropy()));
    lines.extend(marginals_over(result, &maximal(&model.free_scopes()), whole));
    if let Some(table) = fit.distribution.dense(MOST_CELLS) {
        let fitted: Vec<f64> = table.values.iter().map(|q| q * fit.total).collect();
        let own = array::lines("fitted", &model.modes, &fitted, whole);
        lines.extend(own.into_iter().map(|l| l.scaled(fit.total)));
    }
    lines
}

/// The lines of a joint fit: the model, how the whole ended, and the fitted cells of each tensor.
pub(super) fn lines_of_joint(result: &JointResult, whole: bool) -> Vec<Line> {
    let joint = &result.joint;
    let mut lines = model::lines(&joint.model);
    lines.push(Line::exact("status", joint.status.word()));
    if let Ok(rank) = &joint.rank {
        let count = crate::report::Value::Count(rank.clone());
        lines.push(Line::exact("rank", crate::report::json::value(&count)));
    }
    lines.push(Line::number("kl", result.kl()));
    for (part, weight) in result.parts.iter().zip(&result.weights) {
        let (fit, name) = (&part.fit, &part.tensor.name);
        lines.push(Line::number(format!("weight of {name}"), *weight));
        lines.push(Line::number(format!("total of {name}"), fit.total));
        lines.push(Line::number(format!("kl of {name}"), fit.kl));
        if crate::plan::cells(&fit.model) > MOST_CELLS.into() {
            continue;
        }
        if let crate::report::Value::Array(fitted) = crate::report::results::fitted(part) {
            let own = array::lines(&format!("fitted {name}"), &fitted.modes, &fitted.values, whole);
            lines.extend(own.into_iter().map(|l| l.scaled(fit.total)));
        }
    }
    lines
}

/// The lines of a balanced tensor: its margins, which are data, and the tensor itself.
pub(super) fn lines_of_balance(result: &BalanceResult, whole: bool) -> Vec<Line> {
    let (fit, balanced) = (&result.fit.fit, &result.balanced);
    let mut lines = model::modes(&fit.model.modes);
    let mut margins: Vec<String> = result.margins.iter().map(|m| bracket(&fit.model, m)).collect();
    margins.sort_unstable();
    lines.push(Line::exact("margins", list(margins.into_iter().map(Json::from).collect())));
    lines.push(Line::exact("status", fit.status.word()));
    lines.push(Line::exact("cut", balanced.cut));
    lines.push(Line::number("total", fit.total));
    lines.push(Line::number("kl", balanced.kl));
    lines.push(Line::number("entropy", fit.distribution.entropy()));
    let own = marginals_over(&result.fit, &result.margins, whole);
    lines.extend(own.into_iter().map(|l| Line { about: About::Other, ..l }));
    let cells: Vec<f64> = balanced.values.iter().map(|b| b * fit.total).collect();
    let own = array::lines("balanced", &fit.model.modes, &cells, whole);
    lines.extend(own.into_iter().map(|l| l.scaled(fit.total)));
    lines
}

/// The atoms of the model, by how each is solved.
fn atoms(result: &FitResult) -> Vec<Line> {
    let (mut closed, mut iterated) = (Vec::new(), Vec::new());
    for atom in result.fit.schedule.draft.atoms.iter().filter(|a| !a.generators.is_empty()) {
        let mut names: Vec<String> = atom.generators.iter().map(|g| bracket(&result.fit.model, g)).collect();
        names.sort_unstable();
        if atom.closed { &mut closed } else { &mut iterated }.push(names.join(" "));
    }
    [("closed_form", closed), ("iterative", iterated)]
        .into_iter()
        .map(|(name, mut atoms)| {
            atoms.sort_unstable();
            Line::exact(name, list(atoms.into_iter().map(Json::from).collect()))
        })
        .collect()
}

/// The marginal over each scope, on the scale of the data.
fn marginals_over(result: &FitResult, scopes: &[Scope], whole: bool) -> Vec<Line> {
    let fit = &result.fit;
    let mut scopes: Vec<(String, Scope)> =
        scopes.iter().map(|s| (bracket(&fit.model, s), s.clone())).collect();
    scopes.sort();
    let values = |scope: &Scope| -> Option<(Vec<Mode>, Vec<f64>)> {
        let table = fit.distribution.marginal(scope).ok()?;
        let modes = table.scope.iter().map(|m| fit.model.modes[m].clone()).collect();
        Some((modes, table.values.iter().map(|q| q * fit.total).collect()))
    };
    if scopes.len() <= MOST_MARGINALS {
        let mut lines = Vec::new();
        for (name, scope) in &scopes {
            let Some((modes, values)) = values(scope) else {
                lines.push(Line::exact(format!("marginal {name}"), "too large"));
                continue;
            };
            let own = array::lines(&format!("marginal {name}"), &modes, &values, whole);
            let about = |l| Line { about: About::Interaction(name.clone()), ..l };
            lines.extend(own.into_iter().map(|l| about(l.scaled(fit.total))));
        }
        return lines;
    }
    let mixed = scopes.iter().map(|(_, scope)| {
        let Some((modes, values)) = values(scope) else { return (Json::Null, 0.0, 0.0) };
        let size = values.iter().map(|x| x.abs()).sum();
        let mixed = array::mixed(&modes.iter().collect::<Vec<_>>(), &values);
        (number(mixed), values.len() as f64, size)
    });
    if scopes.len() <= MOST_LINES {
        let lines = scopes.iter().zip(mixed).map(|((name, _), (value, cells, size))| Line {
            about: About::Interaction(name.clone()),
            ..Line::new(format!("marginal {name} in one number"), value, Rule::Sum { cells, size })
                .scaled(fit.total)
        });
        return lines.collect();
    }
    let (mut list, mut cells, mut size) = (Vec::new(), 0.0f64, 0.0f64);
    for (value, own_cells, own_size) in mixed {
        list.push(value);
        (cells, size) = (cells.max(own_cells), size.max(own_size));
    }
    vec![Line {
        cells: scopes.into_iter().map(|(name, _)| name).collect(),
        about: About::Interactions,
        ..Line::new("marginals in one number each", Json::Array(list), Rule::Sum { cells, size })
            .scaled(fit.total)
    }]
}
