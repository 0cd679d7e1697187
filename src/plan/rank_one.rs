//! Matrices of rank one with unknown cells: no table of all cells is needed.

use super::draft::Draft;
use super::hypergraph::maximal;
use super::method::Solver;
use super::options::Profile;
use super::schedule::{Instruction, RankOne, Schedule, Step};
use crate::model::{Algebra, EnergyModel, Potential, Scope};

/// Whether a model of these data is a matrix of rank one some of whose cells are unknown.
pub fn applies(model: &EnergyModel, profile: &Profile) -> bool {
    let free = model.interactions.iter().all(|i| matches!(i.potential, Potential::Free));
    let plain = model.support.is_empty() && model.regular.is_empty() && model.latent.is_empty();
    let class = maximal(&model.free_scopes());
    let sides = [Scope::from([0]), Scope::from([1])];
    model.modes.len() == 2
        && free
        && plain
        && model.algebra == Algebra::Ordinary
        && class.len() == 2
        && sides.iter().all(|s| class.contains(s))
        && profile.masks.contains(&Scope::all(2))
}

/// Two products of the mask with a vector per iteration, each an addition for eight cells; `otherwise` is what is run where the
/// optimum lies on the boundary.
pub fn schedule(model: &EnergyModel, profile: &Profile, solver: Solver, otherwise: Schedule) -> Schedule {
    let draft = Draft::new(model, true);
    let cells = draft.cells(&Scope::all(2));
    let sides = (draft.cells(&Scope::from([0])), draft.cells(&Scope::from([1])));
    // truth values of the cells, and the same as bits from both sides
    let live = (1.0 + 2.0 / 8.0) * cells + 64.0 * (sides.0 + sides.1);
    let peak = otherwise.peak.max(live + profile.resident_bytes());
    let step = |instruction, operations, bytes| Step {
        instruction,
        pass: "rank_one",
        operations,
        bytes,
        live,
        scratch: 0.0,
        frees: Vec::new(),
    };
    let published = solver == Solver::A1gm;
    let work = Instruction::RankOne(Box::new(RankOne { sides, published, otherwise }));
    let steps = vec![
        step(Instruction::Load, 0.0, profile.bytes()),
        step(work, 2.0 * cells / 8.0, 2.0 * cells / 8.0),
        step(Instruction::Emit, 0.0, 0.0),
    ];
    Schedule {
        groups: Vec::new(),
        model: model.name.clone(),
        draft,
        profile: Some(profile.clone()),
        solver,
        buffers: Vec::new(),
        places: Vec::new(),
        matches: Vec::new(),
        steps,
        peak,
    }
}
