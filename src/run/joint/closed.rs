//! Tensors without missing cells whose shared tables have no mode in common: a formula.
//!
//! The marginals of every Q_t over its tables multiply, so that what a table is matched to is known at once:
//! p_c = Σ_t w_t X_t,c / Σ_t w_t S_t over the tensors that see c, and Q_t = S_t Π p_c, uniform over modes in no table.
//! For rank one over three matrices this is the closed form of Ghalamkari and Sugiyama (2022, arXiv 2110.12595).

use std::sync::Arc;

use num_bigint::BigUint;

use super::{Joint, Part, Solution, fit_of};
use crate::model::{EnergyModel, Scope};
use crate::numeric::sum::Compensated;
use crate::plan::Schedule;
use crate::plan::cost::Unit;
use crate::plan::joint::Layout;
use crate::run::fit::{Certificate, Counters, Status};
use crate::run::masked::regular::zeros;
use crate::run::statistic::{Statistics, gather};
use crate::text::{Code, Diagnostic};

/// One pass over the data of every tensor, and no iteration. No cell without data is looked at.
pub(super) fn execute(
    schedule: &Arc<Schedule>,
    layout: &Layout,
    model: &Arc<EnergyModel>,
    parts: &[Part],
) -> Result<Joint, Vec<Diagnostic>> {
    let tables = &layout.tables;
    let mut found: Vec<Statistics> = Vec::new();
    for (part, own) in parts.iter().zip(&layout.own) {
        let scopes: Vec<(&Scope, usize)> =
            own.blocks.iter().filter(|b| !b.scope.is_empty()).map(|b| (&b.scope, b.place.len())).collect();
        found.push(gather(&part.tensor, &scopes).ok_or_else(|| {
            let message = format!("`{}` has no mass to fit `{}` to", part.tensor.name, model.name);
            vec![Diagnostic::new(Code::MBA502, message).help("check the data")]
        })?);
    }
    let mut target = vec![0.0; tables.parameters];
    for ((part, own), data) in parts.iter().zip(&layout.own).zip(&found) {
        for (block, marginal) in own.blocks.iter().zip(&data.tables) {
            for (place, p) in block.place.iter().zip(marginal) {
                target[*place as usize] += part.weight * data.total * p;
            }
        }
    }
    let mut parameters = vec![0.0; tables.parameters];
    let mut gap = 0.0f64;
    for block in tables.blocks.iter().filter(|b| !b.scope.is_empty()) {
        let total: Compensated = block.place.iter().map(|p| target[*p as usize]).collect();
        let total = total.value();
        // what the tables add up to, and what they are matched to: equal but for rounding
        let mass: f64 = block.place.iter().map(|p| target[*p as usize] / total).sum();
        gap = gap.max((mass - 1.0).abs());
        for p in &block.place {
            parameters[*p as usize] = (target[*p as usize] / total).ln();
        }
    }
    let gone: Vec<bool> = parameters.iter().map(|p| *p == f64::NEG_INFINITY).collect();
    let levels = tables.blocks.iter().filter(|b| b.scope.is_empty()).flat_map(|b| &b.place);
    for ((level, part), (own, data)) in levels.zip(parts).zip(layout.own.iter().zip(&found)) {
        let seen = own.blocks.iter().fold(Scope::empty(), |all, b| all.union(&b.scope));
        let idle = Scope::all(part.modes.len()).difference(&seen);
        let cells: f64 = part.model.shape(&idle).iter().map(|n| *n as f64).product();
        parameters[*level as usize] = (part.weight * data.total / cells).ln();
    }
    let read: f64 = parts.iter().map(|p| p.tensor.stored() as f64).sum();
    let zero_marginals = zeros(tables, &gone);
    let mut joint = Joint {
        model: Arc::clone(model),
        schedule: Arc::clone(schedule),
        divergence: 0.0,
        total: parts.iter().zip(&found).map(|(p, d)| p.weight * d.total).sum(),
        observed: parts.iter().map(|p| p.tensor.cells()).sum(),
        rank: Ok(dimension(layout, parts.len())),
        solution: Solution {
            parameters,
            gap,
            bound: Ok(0.0),
            iterations: 0,
            stopped: false,
            interrupted: false,
            passes: 1,
        },
        status: if zero_marginals.is_empty() { Status::ClosedForm } else { Status::Boundary },
        certificate: Certificate { marginal_gap: gap, optimality_gap: Some(0.0), reason: None },
        zero_marginals,
        counters: Counters {
            operations: schedule.steps.iter().map(|s| s.operations).sum(),
            bytes: read * 8.0,
            predicted: schedule.steps.iter().fold(Unit::default(), |all, step| Unit {
                operations: all.operations + step.operations,
                bytes: all.bytes + step.bytes,
            }),
            peak: schedule.peak,
        },
        parts: Vec::new(),
        pseudo: vec![None; parts.len()],
    };
    let mut divergence = Compensated::default();
    for ((part, own), data) in parts.iter().zip(&layout.own).zip(&found) {
        let kl = kl(part, own, data, &joint.solution.parameters);
        divergence.add(part.weight * kl * data.total);
        let zero = zeros(own, &gone);
        let fit = fit_of(&joint, part, own, (kl, -data.negative_entropy), zero, None)?;
        joint.parts.push(Arc::new(fit));
    }
    joint.divergence = divergence.value();
    Ok(joint)
}

/// Σ P ln P − Σ_c Σ P_c λ_c − the level of a total of one.
fn kl(part: &Part, own: &crate::plan::rows::Tables, data: &Statistics, parameters: &[f64]) -> f64 {
    let mut sum = Compensated::default();
    sum.add(data.negative_entropy);
    for (block, marginal) in own.blocks.iter().zip(&data.tables) {
        for (place, p) in block.place.iter().zip(marginal).filter(|(_, p)| **p > 0.0) {
            sum.add(-p * parameters[*place as usize]);
        }
    }
    let level = own.blocks.last().and_then(|b| b.place.first()).map_or(0.0, |p| parameters[*p as usize]);
    sum.add(-(level - (part.weight * data.total).ln()));
    sum.value().max(0.0)
}

/// The dimension of tables that have no mode in common, and of the levels.
fn dimension(layout: &Layout, tensors: usize) -> BigUint {
    let tables = layout.tables.blocks.iter().filter(|b| !b.scope.is_empty());
    let free: usize = tables.map(|b| b.place.len() - 1).sum();
    BigUint::from(free) + BigUint::from(tensors)
}
