//! The least energy over all cells, and a cell that has it: the limit T → 0 of the sum.

use super::Term;
use crate::plan::summation::{Step, Summation};
use crate::run::control::Stop;

/// Cells after which it is looked whether to stop.
const ASKED: usize = 1 << 16;

/// Where the energy is least.
#[derive(Debug, Clone, PartialEq)]
pub struct Least {
    /// The least energy; +∞ when no cell can occur.
    pub energy: f64,
    /// The level of each mode. Among equals, earlier levels of modes that are summed out later.
    pub cell: Vec<usize>,
}

/// A table of energies, its axes in the order of the plan.
struct Energies {
    axes: Vec<usize>,
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Energies {
    fn stride(&self, mode: usize) -> usize {
        let Some(axis) = self.axes.iter().position(|m| *m == mode) else { return 0 };
        self.shape[axis + 1..].iter().product()
    }

    fn size(&self, mode: usize) -> Option<usize> {
        self.axes.iter().position(|m| *m == mode).map(|axis| self.shape[axis])
    }
}

/// Minimises by elimination: (min, +) in place of (+, ×), with the best level of each mode remembered
/// for every cell of what it was summed onto. None when it is asked to stop before. Costs one pass.
pub fn least(plan: &Summation, terms: &[Term], modes: usize, stop: &Stop) -> Option<Least> {
    let mut tables: Vec<Option<Energies>> = terms
        .iter()
        .zip(&plan.slots)
        .map(|(term, slot)| {
            let own = crate::model::table::strides(&term.shape);
            let loops: Vec<(usize, usize)> = slot
                .axes
                .iter()
                .filter_map(|m| term.scope.position(*m))
                .map(|axis| (term.shape[axis], own[axis]))
                .collect();
            let value = |at: usize| term.energy.as_ref().map_or(0.0, |e| e[at]);
            Some(Energies {
                axes: slot.axes.clone(),
                shape: loops.iter().map(|(n, _)| *n).collect(),
                values: crate::model::table::offsets(&loops).map(value).collect(),
            })
        })
        .collect();
    let mut choices: Vec<(usize, Vec<usize>, Vec<usize>, Vec<u32>)> = Vec::new();
    for step in &plan.steps {
        let axes = plan.slots[tables.len()].axes.clone();
        let (a, b, mode) = match *step {
            Step::Product(a, b) => (tables[a].take(), tables[b].take(), None),
            Step::SumOut { mode, from, with } => {
                (tables[from].take(), with.and_then(|k| tables[k].take()), Some(mode))
            }
        };
        let none = Energies { axes: Vec::new(), shape: Vec::new(), values: vec![0.0] };
        let (a, b) = (a.unwrap_or(none), b);
        let empty = Energies { axes: Vec::new(), shape: Vec::new(), values: vec![0.0] };
        let b = b.unwrap_or(empty);
        let size = |m: usize| a.size(m).or_else(|| b.size(m)).unwrap_or(1);
        let shape: Vec<usize> = axes.iter().map(|m| size(*m)).collect();
        let levels = mode.map_or(1, size);
        let (step_a, step_b) = (mode.map_or(0, |m| a.stride(m)), mode.map_or(0, |m| b.stride(m)));
        let strides: Vec<(usize, usize)> = axes.iter().map(|m| (a.stride(*m), b.stride(*m))).collect();
        let cells: usize = shape.iter().product();
        let mut values = vec![f64::INFINITY; cells];
        let mut chosen = vec![0u32; if mode.is_some() { cells } else { 0 }];
        let mut index = vec![0usize; shape.len()];
        let (mut at_a, mut at_b) = (0, 0);
        for (cell, value) in values.iter_mut().enumerate() {
            if cell.is_multiple_of(ASKED) && stop.asked() {
                return None;
            }
            for level in 0..levels {
                let energy = a.values[at_a + level * step_a] + b.values[at_b + level * step_b];
                if energy < *value {
                    *value = energy;
                    if let Some(choice) = chosen.get_mut(cell) {
                        *choice = level as u32;
                    }
                }
            }
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                at_a += strides[axis].0;
                at_b += strides[axis].1;
                if index[axis] < shape[axis] {
                    break;
                }
                at_a -= strides[axis].0 * shape[axis];
                at_b -= strides[axis].1 * shape[axis];
                index[axis] = 0;
            }
        }
        if let Some(mode) = mode {
            choices.push((mode, axes.clone(), shape.clone(), chosen));
        }
        tables.push(Some(Energies { axes, shape, values }));
    }
    let energy = plan.result().and_then(|k| tables[k].take()).map_or(0.0, |t| t.values[0]);
    let mut cell = vec![0; modes];
    for (mode, axes, shape, chosen) in choices.into_iter().rev() {
        let at = axes.iter().zip(&shape).fold(0, |k, (m, n)| k * n + cell[*m]);
        cell[mode] = chosen.get(at).map_or(0, |level| *level as usize);
    }
    Some(Least { energy, cell })
}
