//! Joint fits: which tensor sees which tables of a model, and the schedule.
//!
//! A tensor sees an interaction when it has all of its modes. Tables are shared by all tensors that see them;
//! the level of each tensor, ln of a constant, is its own.

use std::collections::BTreeSet;

use num_bigint::BigUint;

use super::cost::{Unit, Units};
use super::draft::Draft;
use super::method::Solver;
use super::options::{Options, Profile};
use super::passes::{PASSES, lower, undivided};
use super::rows::{Block, Tables, said_of_nothing};
use super::schedule::{Instruction, Schedule, Share, Step, Together};
use crate::model::{EnergyModel, Forbidden, Interaction, Potential, Regular, Scope, Table};
use crate::text::{Code, Diagnostic};

/// A tensor of a joint fit.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What multiplies its divergence.
    pub weight: f64,
    /// Its modes by position in the model, in its own order.
    pub modes: Vec<usize>,
    /// The shape of its cells.
    pub profile: Profile,
}

/// The parameters of a joint fit.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// The tables over the modes of the model, and then the level of each tensor: a table of no modes.
    pub tables: Tables,
    /// The tables that each tensor sees, over its own modes, its level last.
    pub own: Vec<Tables>,
}

impl Layout {
    /// Which tables there are, for tensors with these modes. A table inside another one is kept where some
    /// tensor sees it and not the larger one.
    pub fn of(model: &EnergyModel, members: &[Vec<usize>]) -> Layout {
        let seen: Vec<Scope> = members.iter().map(|m| m.iter().copied().collect()).collect();
        let free: Vec<Scope> = model.free_scopes();
        let side = |modes: &[usize]| -> Scope { modes.iter().copied().collect() };
        let tied: Vec<Scope> =
            model.regular.ties.iter().flat_map(|t| [side(&t.left), side(&t.right)]).collect();
        let mut scopes: Vec<Scope> = Vec::new();
        for scope in free.iter().filter(|s| !s.is_empty()) {
            let larger = |of: &Scope| {
                free.iter().any(|g| g.len() > scope.len() && scope.is_subset(g) && g.is_subset(of))
            };
            let mut with = seen.iter().filter(|of| scope.is_subset(of));
            let own = with.any(|of| tied.contains(scope) || !larger(of));
            if own && !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        let mut tables = Tables::over(model, scopes);
        let own = members
            .iter()
            .zip(&seen)
            .enumerate()
            .map(|(t, (modes, of))| {
                let to = places(modes, model.modes.len());
                let mut blocks: Vec<Block> =
                    tables.blocks.iter().filter(|b| b.scope.is_subset(of)).map(|b| renamed(b, &to)).collect();
                blocks.push(level(tables.parameters + t));
                Tables { blocks, parameters: tables.parameters + members.len() }
            })
            .collect();
        for _ in members {
            tables.blocks.push(level(tables.parameters));
            tables.parameters += 1;
        }
        Layout { tables, own }
    }
}

/// The place of each mode of the model in a tensor; beyond its modes where it has none.
fn places(modes: &[usize], all: usize) -> Vec<usize> {
    (0..all).map(|m| modes.iter().position(|own| *own == m).unwrap_or(usize::MAX)).collect()
}

fn level(place: usize) -> Block {
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    Block { scope: Scope::empty(), shape: Vec::new(), place: vec![place] }
}

/// A block over the modes of a tensor, its cells in the order of those.
fn renamed(block: &Block, to: &[usize]) -> Block {
    let place = block.place.iter().map(|p| f64::from(*p)).collect();
    let table = Table { scope: block.scope.clone(), shape: block.shape.clone(), values: place }.renamed(to);
    // places are whole numbers below 2³², which doubles hold
    let place = table.values.iter().map(|p| *p as u32).collect();
    Block { scope: table.scope, shape: table.shape, place }
}

/// The model as a tensor with these modes sees it when it is fitted alone: with what is said of its tables.
pub fn alone(model: &EnergyModel, modes: &[usize]) -> EnergyModel {
    let of: Scope = modes.iter().copied().collect();
    let regular = model.regular.within(&of, &places(modes, model.modes.len()));
    EnergyModel { regular, ..part(model, modes) }
}

/// The model as a tensor with these modes sees it.
pub fn part(model: &EnergyModel, modes: &[usize]) -> EnergyModel {
    let of: Scope = modes.iter().copied().collect();
    let to = places(modes, model.modes.len());
    let table = |t: &Table| std::sync::Arc::new(t.renamed(&to));
    let scope = |s: &Scope| -> Scope { s.iter().map(|m| to[m]).collect() };
    let interactions = model.interactions.iter().filter(|i| i.scope.is_subset(&of)).map(|i| Interaction {
        scope: scope(&i.scope),
        potential: match &i.potential {
            Potential::Fixed(t) => Potential::Fixed(table(t)),
            Potential::Support(s) => Potential::Support(std::sync::Arc::new(s.renamed(&to))),
            Potential::Learned { coefficient, statistic } => {
                Potential::Learned { coefficient: coefficient.clone(), statistic: table(statistic) }
            }
            Potential::Free => Potential::Free,
        },
        span: i.span,
    });
    let support = model.support.iter().filter(|f| f.scope.is_subset(&of)).map(|f| Forbidden {
        scope: scope(&f.scope),
        cells: table(&f.cells),
        span: f.span,
    });
    EnergyModel {
        name: model.name.clone(),
        modes: modes.iter().filter_map(|m| model.modes.get(*m)).cloned().collect(),
        latent: Scope::empty(),
        interactions: interactions.collect(),
        support: support.collect(),
        regular: Regular::default(),
        temperature: model.temperature,
        algebra: model.algebra,
    }
}

/// The tables as far as they determine cells: of one that is smooth along a mode, functions of that mode and of all
/// others are free. These are its own: no tensor sees them that does not see it, whatever else has their modes.
pub fn loose(model: &EnergyModel, layout: &Layout, members: &[Vec<usize>]) -> Layout {
    let smooth = |s: &Scope| model.regular.smooth.iter().find(|r| r.scope == *s).map(|r| r.along);
    let mut parameters = layout.tables.parameters;
    // with the modes that a tensor must have to see them
    let mut blocks: Vec<(Scope, Block)> = Vec::new();
    for block in &layout.tables.blocks {
        let Some(along) = smooth(&block.scope) else {
            blocks.push((block.scope.clone(), block.clone()));
            continue;
        };
        let apart = [block.scope.without(along), Scope::from([along])];
        for scope in apart.into_iter().take(block.scope.len()) {
            let shape: Vec<usize> =
                scope.iter().filter_map(|m| block.scope.position(m)).map(|axis| block.shape[axis]).collect();
            let cells: usize = shape.iter().product();
            let place = (parameters..parameters + cells).map(|p| u32::try_from(p).unwrap_or(u32::MAX));
            blocks.push((block.scope.clone(), Block { scope, shape, place: place.collect() }));
            parameters += cells;
        }
    }
    let own = members.iter().map(|modes| {
        let of: Scope = modes.iter().copied().collect();
        let to = places(modes, model.modes.len());
        let seen = blocks
            .iter()
            .filter(|(whole, b)| !whole.is_empty() && whole.is_subset(&of) && !b.scope.is_empty());
        seen.map(|(_, b)| renamed(b, &to)).collect::<Vec<Block>>()
    });
    let levels = layout.own.iter().filter_map(|own| own.blocks.last().cloned());
    let own = own.zip(levels).map(|(mut blocks, level)| {
        blocks.push(level);
        Tables { blocks, parameters }
    });
    Layout {
        own: own.collect(),
        tables: Tables { blocks: blocks.into_iter().map(|(_, b)| b).collect(), parameters },
    }
}

/// The dimension of the model on the cells of all tensors, levels included, when every cell is observed and no table
/// is tied: T + Σ_S rank(A_S) Π_{m ∈ S} (I_m − 1) over the non-empty sets S below the tables, where A_S has a row for
/// each tensor, a column for each table that holds S, and ones where the tensor sees the table.
///
/// # Errors
/// Why it is not known: there are too many such sets.
pub fn dimension(model: &EnergyModel, layout: &Layout, members: &[Vec<usize>]) -> Result<BigUint, String> {
    const SETS: usize = 1 << 16;
    let seen: Vec<Scope> = members.iter().map(|m| m.iter().copied().collect()).collect();
    let tables: Vec<&Scope> =
        layout.tables.blocks.iter().map(|b| &b.scope).filter(|s| !s.is_empty()).collect();
    let mut sets: BTreeSet<Scope> = BTreeSet::new();
    for table in &tables {
        if table.len() > 16 || sets.len() > SETS {
            return Err("the model has too many interactions for its parameters to be counted".into());
        }
        let modes: Vec<usize> = table.iter().collect();
        for bits in 1..1usize << modes.len() {
            sets.insert(
                modes.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, m)| *m).collect(),
            );
        }
    }
    let mut total = BigUint::from(members.len());
    for set in sets {
        let columns: Vec<&Scope> = tables.iter().copied().filter(|t| set.is_subset(t)).collect();
        let rows = seen.iter().map(|of| columns.iter().map(|t| t.is_subset(of)).collect::<Vec<bool>>());
        let size = |m: usize| BigUint::from(model.modes.get(m).map_or(1, |m| m.size()) - 1);
        total += set.iter().map(size).product::<BigUint>() * BigUint::from(rank(rows.collect()));
    }
    Ok(total)
}

/// The rank of a small matrix of zeros and ones, by elimination modulo 2³¹ − 1.
fn rank(rows: Vec<Vec<bool>>) -> usize {
    const PRIME: u64 = (1 << 31) - 1;
    let mut rows: Vec<Vec<u64>> = rows.into_iter().map(|r| r.into_iter().map(u64::from).collect()).collect();
    let width = rows.first().map_or(0, Vec::len);
    let mut rank = 0;
    for column in 0..width {
        let Some(lead) = (rank..rows.len()).find(|r| rows[*r][column] != 0) else { continue };
        rows.swap(rank, lead);
        let pivot = rows[rank].clone();
        for row in rows.iter_mut().skip(rank + 1).filter(|r| r[column] != 0) {
            // p·row − r·pivot, which keeps the rank without an inverse
            let (p, r) = (pivot[column], row[column]);
            row.iter_mut().zip(&pivot).for_each(|(x, y)| *x = (p * *x % PRIME + (PRIME - r) * *y) % PRIME);
        }
        rank += 1;
    }
    rank
}

/// Whether the optimum is a formula: free tables that have no mode in common, and every cell observed. Each
/// table is then proportional to the weighted sum of the marginals of the tensors that see it.
pub fn closed(model: &EnergyModel, layout: &Layout, members: &[Member]) -> bool {
    let free = model.interactions.iter().all(|i| matches!(i.potential, Potential::Free));
    let complete = members.iter().all(|m| m.profile.masks.is_empty());
    let tables = &layout.tables.blocks;
    let apart =
        |(k, b): (usize, &Block)| tables[..k].iter().all(|a| a.scope.intersection(&b.scope).is_empty());
    free && complete
        && model.support.is_empty()
        && model.regular.is_empty()
        && tables.iter().enumerate().all(apart)
}

/// How the marginals of each tensor are contracted from factors over its observed cells, so that no cell is listed: where
/// all tables are free or fixed, and nothing is said of them. None where cells have to be listed.
fn contracted(model: &EnergyModel, members: &[Member], solver: Solver) -> Vec<Schedule> {
    if !model.regular.is_empty() || solver == Solver::Ipf {
        return Vec::new();
    }
    let of = |member: &Member| {
        let seen = super::grounded(&part(model, &member.modes), Some(&member.profile));
        let mut draft = Draft::new(&seen, true);
        undivided(&mut draft);
        lower(&draft, &model.name, Some(&member.profile), solver)
    };
    members.iter().map(of).collect()
}

/// What a product with the Fisher information of a tensor costs.
fn product(schedule: &Schedule) -> Unit {
    let loops = schedule.steps.iter().filter_map(|s| match &s.instruction {
        Instruction::Loop(iteration) => Some(Units::of(iteration, &schedule.buffers).product),
        _ => None,
    });
    loops.fold(Unit::default(), |all, one| all.plus(one.operations, one.bytes))
}

/// The shape of all data together.
pub fn of_all(members: &[Member]) -> Profile {
    Profile {
        stored: members.iter().map(|m| m.profile.stored).sum(),
        sparse: members.iter().all(|m| m.profile.sparse),
        element_bytes: members.iter().map(|m| m.profile.element_bytes).max().unwrap_or(8),
        mapped: members.iter().all(|m| m.profile.mapped),
        masks: Vec::new(),
    }
}

/// The schedule of a joint fit: a formula, Newton steps over the marginals of all tensors, or sweeps and Newton steps
/// over their cells.
///
/// # Errors
/// MBA390 for each part of the model this version cannot compute; MBA370 when something is said of a table that
/// there is not; MBA501 when the predicted peak is beyond the memory allowed.
pub fn schedule(
    model: &EnergyModel,
    members: &[Member],
    options: &Options,
) -> Result<(Schedule, Layout), Vec<Diagnostic>> {
    let profile = of_all(members);
    super::supported::check(model, Some(&profile))?;
    let modes: Vec<Vec<usize>> = members.iter().map(|m| m.modes.clone()).collect();
    let layout = Layout::of(model, &modes);
    let wrong = said_of_nothing(model, &layout.tables);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut draft = Draft::new(model, true);
    for pass in PASSES.iter().take(1) {
        (pass.run)(&mut draft);
    }
    let closed = closed(model, &layout, members);
    let contracted = if closed { Vec::new() } else { contracted(model, members, options.solver) };
    let of = |m: &Member| -> Scope { m.modes.iter().copied().collect() };
    let parts: Vec<Share> = members
        .iter()
        .map(|m| {
            let tables = layout.tables.blocks.iter().map(|b| b.scope.clone());
            let seen = |s: &Scope| !s.is_empty() && s.is_subset(&of(m));
            Share {
                name: m.name.clone(),
                weight: m.weight,
                modes: of(m),
                cells: draft.cells(&of(m)),
                tables: tables.filter(seen).collect(),
            }
        })
        .collect();
    let parameters = layout.tables.parameters as f64;
    let width = |share: &Share| share.tables.len() as f64 + 1.0;
    let (mut operations, mut moved, mut live) = (0.0, 0.0, 8.0 * 16.0 * parameters);
    let mut once = 0.0;
    for schedule in &contracted {
        once += schedule.fixed_operations();
        let Unit { operations: more, bytes } = product(schedule);
        operations += more;
        moved += bytes;
        live += schedule.peak - schedule.profile.as_ref().map_or(0.0, Profile::resident_bytes);
    }
    for (share, member) in parts.iter().zip(members).filter(|_| contracted.is_empty()) {
        if closed {
            operations += member.profile.stored as f64 * (width(share) + super::cost::TRANSCENDENTAL);
            moved += member.profile.bytes();
        } else {
            operations += share.cells * width(share);
            moved += share.cells * (4.0 * width(share) + 16.0);
            let pseudo = if model.regular.prior.is_some() { 8.0 } else { 0.0 };
            live += share.cells * (4.0 * width(share) + 72.0 + pseudo);
        }
    }
    let resident: f64 = members.iter().map(|m| m.profile.resident_bytes()).sum();
    let together = Together {
        parts,
        parameters,
        closed,
        contracted,
        dimension: if model.regular.is_empty() { dimension(model, &layout, &modes).ok() } else { None },
        smooth: model.regular.smooth.iter().map(|s| (s.scope.clone(), s.along)).collect(),
        prior: model.regular.prior.as_ref().map(|p| p.label.clone()),
    };
    let step = |instruction, operations, bytes| Step {
        instruction,
        pass: "joint",
        operations,
        bytes,
        live,
        scratch: 0.0,
        frees: Vec::new(),
    };
    let steps = vec![
        step(Instruction::Load, once, members.iter().map(|m| m.profile.bytes()).sum()),
        step(Instruction::Together(Box::new(together)), operations, moved),
        step(Instruction::Emit, 0.0, 0.0),
    ];
    let schedule = Schedule {
        model: model.name.clone(),
        draft,
        profile: Some(profile),
        solver: options.solver,
        buffers: Vec::new(),
        places: Vec::new(),
        matches: Vec::new(),
        steps,
        groups: Vec::new(),
        peak: live + resident,
    };
    within(&schedule, options.memory as f64)?;
    Ok((schedule, layout))
}

/// Refuses what needs more memory than there is.
fn within(schedule: &Schedule, memory: f64) -> Result<(), Vec<Diagnostic>> {
    if schedule.peak <= memory {
        return Ok(());
    }
    let note = match schedule.together().is_some_and(|t| t.contracted.is_empty()) {
        true => {
            "by sweeps alone, or with smoothness, ties or a prior, a joint fit lists all cells of all tensors"
        }
        false => "the marginals of every tensor are contracted from the tables it sees",
    };
    let (need, have) = (super::print::human::bytes(schedule.peak), super::print::human::bytes(memory));
    let message = format!("`{}` needs {need} of memory, and the budget is {have}", schedule.model);
    let refusal = Diagnostic::new(Code::MBA501, message);
    Err(vec![refusal.note(note).help("merge levels, or allow more with `--memory`")])
}
