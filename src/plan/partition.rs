//! Which atoms iterate side by side.

use std::ops::Range;

use super::cost::{BLOCKWISE, FILTERED, PARTS, PRODUCT, SHARED};
use super::schedule::{Buffer, BufferId, Instruction, Step};

/// Groups of atoms, each atom as the steps that open it and its loop. Atoms are convex problems of their
/// own and write to tables of their own, so that their loops may run in any order. Those whose tables
/// are too small for threads inside a kernel run side by side, at most `PARTS` at a time whatever the number
/// of threads, which bounds the memory they need together.
pub fn partition(units: &[Range<usize>], steps: &[Step], buffers: &[Buffer]) -> Vec<Vec<Range<usize>>> {
    let small = |unit: &Range<usize>| {
        let own = steps.get(unit.clone()).unwrap_or_default();
        own.iter().flat_map(touched).all(|id| buffers.get(id.0).is_some_and(|b| b.cells < SHARED))
    };
    units
        .chunk_by(|a, b| small(a) && small(b))
        .flat_map(|run| run.chunks(PARTS as usize))
        .filter(|group| group.len() > 1)
        .map(<[Range<usize>]>::to_vec)
        .collect()
}

/// Whether a step is large enough for several threads: a product, a walk over a table, one of either in a sweep.
/// Passes over the data are not looked at, nor tables that a loop over factors only falls back to.
pub fn large(step: &Step, buffers: &[Buffer]) -> bool {
    let far = |id: &BufferId| buffers.get(id.0).is_some_and(|b| b.cells >= SHARED);
    match &step.instruction {
        Instruction::Reduce { .. } => false,
        Instruction::Product(product) => {
            let shape = &product.shape;
            let whole = shape.rows.union(&shape.columns).union(&shape.over);
            let worth = match product.filter {
                Some(_) => FILTERED,
                None if shape.streamed => BLOCKWISE,
                None => PRODUCT,
            };
            product.cells(&whole, buffers) >= worth
        }
        Instruction::Rescale(_, factor) => far(factor),
        Instruction::Loop(iteration) => {
            let sweep = iteration.factored.as_ref().map_or(&iteration.sweep, |f| &f.sweep);
            sweep.iter().any(|s| large(s, buffers))
        }
        _ => step.operations >= 2.0 * PRODUCT || touched(step).iter().any(far),
    }
}

/// Bytes a group needs beside what is alive when it begins: what each of its atoms writes and works with,
/// and copies of what several of them read.
pub fn together(group: &[Range<usize>], steps: &[Step], buffers: &[Buffer], alive: &[bool]) -> f64 {
    let cells = |id: &BufferId| buffers.get(id.0).map_or(0.0, |b| b.cells);
    let mut shared: Vec<BufferId> = Vec::new();
    let mut total = 0.0;
    for unit in group {
        let own = steps.get(unit.clone()).unwrap_or_default();
        let mut ids: Vec<BufferId> = own.iter().flat_map(touched).collect();
        ids.sort_unstable();
        ids.dedup();
        let (old, new): (Vec<_>, Vec<_>) =
            ids.into_iter().partition(|id| alive.get(id.0).copied().unwrap_or(false));
        total += new.iter().map(cells).sum::<f64>();
        total += own.iter().map(|s| s.scratch).fold(0.0, f64::max);
        for id in old {
            if shared.contains(&id) {
                total += cells(&id);
            }
            shared.push(id);
        }
    }
    8.0 * total
}

/// The tables a step reads or writes; what a loop falls back to is allocated when it is needed.
pub fn touched(step: &Step) -> Vec<BufferId> {
    let mut all = step.instruction.reads();
    all.extend(step.instruction.writes());
    if let Instruction::Loop(iteration) = &step.instruction {
        all.extend(iteration.pairs.iter().flat_map(|m| [m.statistic, m.potential]));
    }
    all
}
