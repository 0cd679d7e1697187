//! Fits over a list of cells: which tables there are, and the schedule.

use super::draft::Draft;
use super::hypergraph::maximal;
use super::method::Solver;
use super::options::Profile;
use super::passes::PASSES;
use super::schedule::{ByRows, Instruction, Schedule, Step};
use crate::model::table::strides;
use crate::model::{EnergyModel, Scope, Tie};
use crate::text::{Code, Diagnostic};

/// One table of the model.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its modes.
    pub scope: Scope,
    /// Their numbers of levels.
    pub shape: Vec<usize>,
    /// The parameter of each cell of the table. Tied cells have the same one.
    pub place: Vec<u32>,
}

/// The tables of a model, and how many parameters they have in all.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// The tables.
    pub blocks: Vec<Block>,
    /// Number of parameters.
    pub parameters: usize,
}

impl Tables {
    /// The free tables of a model: none inside another, except inside one that is tied. Where there are none, the
    /// level is: a table of no modes, so that the total is matched.
    pub fn of(model: &EnergyModel) -> Tables {
        let mut scopes: Vec<Scope> = model.free_scopes();
        scopes.retain(|s| !s.is_empty());
        let side = |modes: &[usize]| -> Scope { modes.iter().copied().collect() };
        let tied: Vec<Scope> =
            model.regular.ties.iter().flat_map(|t| [side(&t.left), side(&t.right)]).collect();
        let (shared, plain): (Vec<Scope>, Vec<Scope>) = scopes.into_iter().partition(|s| tied.contains(s));
        let mut scopes = maximal(&plain);
        for scope in shared {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        if scopes.is_empty() {
            scopes.push(Scope::empty());
        }
        Tables::over(model, scopes)
    }

    /// Tables of these scopes, tied as the model says.
    pub fn over(model: &EnergyModel, scopes: Vec<Scope>) -> Tables {
        let mut parameters = 0u32;
        let mut blocks: Vec<Block> = scopes
            .into_iter()
            .map(|scope| {
                let shape = model.shape(&scope);
                let cells: usize = shape.iter().product();
                let place = (0..cells).map(|k| parameters + u32::try_from(k).unwrap_or(0)).collect();
                parameters += u32::try_from(cells).unwrap_or(0);
                Block { scope, shape, place }
            })
            .collect();
        if !model.regular.ties.is_empty() {
            let mut root: Vec<u32> = (0..parameters).collect();
            for tie in &model.regular.ties {
                join(tie, &blocks, &mut root);
            }
            let mut names: Vec<u32> = vec![u32::MAX; root.len()];
            parameters = 0;
            for block in &mut blocks {
                for place in &mut block.place {
                    let top = find(&mut root, *place) as usize;
                    if names[top] == u32::MAX {
                        names[top] = parameters;
                        parameters += 1;
                    }
                    *place = names[top];
                }
            }
        }
        Tables { blocks, parameters: parameters as usize }
    }

    /// The table of a scope.
    pub fn block(&self, scope: &Scope) -> Option<usize> {
        self.blocks.iter().position(|b| b.scope == *scope)
    }
}

fn find(root: &mut [u32], mut k: u32) -> u32 {
    while root[k as usize] != k {
        root[k as usize] = root[root[k as usize] as usize];
        k = root[k as usize];
    }
    k
}

/// Makes the parameters of two tables one, cell by cell.
fn join(tie: &Tie, blocks: &[Block], root: &mut [u32]) {
    let of = |modes: &[usize]| blocks.iter().find(|b| b.scope == modes.iter().copied().collect());
    let (Some(left), Some(right)) = (of(&tie.left), of(&tie.right)) else { return };
    // steps of each table in the order in which the modes are written
    let steps = |block: &Block, modes: &[usize]| -> Vec<usize> {
        let own = strides(&block.shape);
        modes.iter().filter_map(|m| block.scope.position(*m)).map(|axis| own[axis]).collect()
    };
    let (a, b) = (steps(left, &tie.left), steps(right, &tie.right));
    let sizes: Vec<usize> =
        tie.left.iter().filter_map(|m| left.scope.position(*m)).map(|axis| left.shape[axis]).collect();
    let cells: usize = sizes.iter().product();
    for k in 0..cells {
        let (mut rest, mut i, mut j) = (k, 0, 0);
        for ((n, a), b) in sizes.iter().zip(&a).zip(&b).rev() {
            i += rest % n * a;
            j += rest % n * b;
            rest /= n;
        }
        let (i, j) = (find(root, left.place[i]), find(root, right.place[j]));
        let (low, high) = (i.min(j), i.max(j));
        root[high as usize] = low;
    }
}

/// Newton steps over every cell: linear in cells and tables for each pass.
///
/// # Errors
/// MBA370 when something is said of a table that is none of the model's.
pub fn schedule(model: &EnergyModel, profile: &Profile) -> Result<Schedule, Vec<Diagnostic>> {
    let tables = Tables::of(model);
    let wrong = said_of_nothing(model, &tables);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut draft = Draft::new(model, true);
    for pass in PASSES.iter().take(1) {
        (pass.run)(&mut draft);
    }
    let cells = draft.cells(&Scope::all(draft.sizes.len()));
    let width = tables.blocks.len() as f64;
    let newton = Instruction::Newton(Box::new(ByRows {
        cells,
        tables: tables.blocks.iter().map(|b| b.scope.clone()).collect(),
        parameters: tables.parameters as f64,
        smooth: model.regular.smooth.iter().map(|s| (s.scope.clone(), s.along)).collect(),
        prior: model.regular.prior.as_ref().map(|p| p.label.clone()),
    }));
    let live = cells * (4.0 * width + 48.0) + 8.0 * 16.0 * tables.parameters as f64;
    let step = |instruction, operations, bytes| Step {
        instruction,
        pass: "rows",
        operations,
        bytes,
        live,
        scratch: 0.0,
        frees: Vec::new(),
    };
    let steps = vec![
        step(Instruction::Load, 0.0, profile.bytes()),
        step(newton, cells * (width + 1.0), cells * (4.0 * width + 16.0)),
        step(Instruction::Emit, 0.0, 0.0),
    ];
    Ok(Schedule {
        model: model.name.clone(),
        draft,
        profile: Some(profile.clone()),
        solver: Solver::Auto,
        buffers: Vec::new(),
        places: Vec::new(),
        matches: Vec::new(),
        steps,
        groups: Vec::new(),
        peak: live + profile.resident_bytes(),
    })
}

/// What is said of tables that the model does not have: MBA370 for each.
pub(super) fn said_of_nothing(model: &EnergyModel, tables: &Tables) -> Vec<Diagnostic> {
    let free = model.free_scopes();
    let mut wrong = Vec::new();
    let report = |scope: &Scope, why: &str, span| {
        Diagnostic::new(Code::MBA370, format!("`{}` {why}", model.bracket(scope)))
            .at(span, "said of this")
            .help("name a free table of the model that is in no larger one")
    };
    for smooth in &model.regular.smooth {
        if !free.contains(&smooth.scope) {
            wrong.push(report(&smooth.scope, "is no free table of the model", smooth.span));
        } else if tables.block(&smooth.scope).is_none() {
            wrong.push(report(&smooth.scope, "lies inside a larger table", smooth.span));
        }
    }
    for tie in &model.regular.ties {
        for side in [&tie.left, &tie.right] {
            let scope: Scope = side.iter().copied().collect();
            if !free.contains(&scope) {
                wrong.push(report(&scope, "is no free table of the model", tie.span));
                break;
            }
        }
    }
    wrong
}
