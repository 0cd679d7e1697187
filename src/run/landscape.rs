//! The energies of a model without free tables, as methods that move from cell to cell need them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::control::Stop;
use super::projection::Projection;
use crate::model::{EnergyModel, Mode, Potential, Scope, Table};
use crate::plan::hypergraph::maximal;

/// A term of the energy.
#[derive(Debug, Clone)]
pub struct Term {
    /// Its energies.
    pub table: Arc<Table>,
    /// Its modes.
    pub modes: Vec<usize>,
    /// The stride of each of them.
    pub strides: Vec<usize>,
}

/// E(x) = Σ terms, and P(x) = exp(−E(x)/T)/Z.
#[derive(Debug, Clone)]
pub struct Landscape {
    /// The modes.
    pub modes: Vec<Mode>,
    /// What divides the energy.
    pub temperature: f64,
    /// The terms; none has its modes inside those of another.
    pub terms: Vec<Term>,
    /// For each mode its terms, with the stride of the mode in each.
    around: Vec<Vec<(usize, usize)>>,
    /// Who may ask to stop what runs on it.
    pub stop: Stop,
    /// Whether something that ran on it ended because of that.
    cut: Arc<AtomicBool>,
}

impl Landscape {
    /// Reads the energies of a model; terms within others are added to them. O(cells of the terms).
    ///
    /// # Errors
    /// The name of what has no energy: a free table or a coefficient without a value.
    pub fn new(model: &EnergyModel) -> Result<Self, String> {
        let mut fixed: Vec<&Arc<Table>> = Vec::new();
        for interaction in &model.interactions {
            match &interaction.potential {
                Potential::Fixed(table) => fixed.push(table),
                Potential::Support(support) => fixed.push(support.energies()),
                Potential::Free => return Err(format!("free table `{}`", model.bracket(&interaction.scope))),
                Potential::Learned { coefficient, .. } => return Err(format!("coefficient `{coefficient}`")),
            }
        }
        let scopes: Vec<Scope> = fixed.iter().map(|t| t.scope.clone()).collect();
        let mut terms: Vec<Table> = maximal(&scopes)
            .into_iter()
            .filter(|s| !s.is_empty())
            .map(|s| Table::filled(s.clone(), model.shape(&s), 0.0))
            .collect();
        // a lookup by one mode keeps this linear for lattices
        let mut holders: Vec<Vec<usize>> = vec![Vec::new(); model.modes.len()];
        for (k, term) in terms.iter().enumerate() {
            term.scope.iter().for_each(|m| holders[m].push(k));
        }
        for table in fixed {
            let first = table.scope.iter().next();
            let within =
                first.and_then(|m| holders[m].iter().find(|k| table.scope.is_subset(&terms[**k].scope)));
            if let Some(k) = within {
                let onto = &mut terms[*k];
                let way = Projection::between(&onto.scope, &onto.shape, &table.scope);
                super::kernel::combine(&way, &mut onto.values, &table.values, super::kernel::plus);
            }
        }
        let terms: Vec<Term> = terms
            .into_iter()
            .map(|t| Term { modes: t.scope.iter().collect(), strides: t.strides(), table: Arc::new(t) })
            .collect();
        let mut around = vec![Vec::new(); model.modes.len()];
        for (k, term) in terms.iter().enumerate() {
            term.modes.iter().zip(&term.strides).for_each(|(m, s)| around[*m].push((k, *s)));
        }
        Ok(Self {
            modes: model.modes.clone(),
            temperature: model.temperature,
            terms,
            around,
            stop: Stop::default(),
            cut: Arc::default(),
        })
    }

    /// Number of levels of a mode.
    pub fn size(&self, mode: usize) -> usize {
        self.modes[mode].size()
    }

    /// The terms of a mode, each with the stride of the mode in it.
    pub fn around(&self, mode: usize) -> &[(usize, usize)] {
        &self.around[mode]
    }

    /// E of a cell.
    pub fn energy(&self, cell: &[usize]) -> f64 {
        self.terms.iter().map(|t| t.table.values[t.at(cell)]).sum()
    }

    /// E of the terms of a mode at each of its levels, the others as they are in `cell`. O(terms × levels).
    pub fn levels(&self, cell: &[usize], mode: usize, out: &mut Vec<f64>) {
        out.clear();
        out.resize(self.size(mode), 0.0);
        for (k, stride) in &self.around[mode] {
            let term = &self.terms[*k];
            let base = term.at(cell) - cell[mode] * stride;
            out.iter_mut().enumerate().for_each(|(level, e)| *e += term.table.values[base + level * stride]);
        }
    }

    /// Whether a sweep on it is to be the last; what ends because of it is no result.
    pub fn ends(&self) -> bool {
        let asked = self.stop.asked();
        if asked {
            self.cut.store(true, Ordering::Relaxed);
        }
        asked
    }

    /// Whether something that ran on it was told to end.
    pub fn was_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Modes by colour: no two of a colour share a term, and each has the first colour that is free.
    pub fn colours(&self) -> Vec<Vec<usize>> {
        let mut colour_of = vec![usize::MAX; self.modes.len()];
        let mut classes: Vec<Vec<usize>> = Vec::new();
        for mode in 0..self.modes.len() {
            let near = self.around[mode].iter().flat_map(|(k, _)| &self.terms[*k].modes);
            let taken: Vec<usize> = near.map(|m| colour_of[*m]).filter(|c| *c != usize::MAX).collect();
            let colour = (0..).find(|c| !taken.contains(c)).unwrap_or(0);
            colour_of[mode] = colour;
            if classes.len() <= colour {
                classes.resize(colour + 1, Vec::new());
            }
            classes[colour].push(mode);
        }
        classes
    }

    /// The numbers of all levels of all modes, when every level is one.
    pub fn numbers(&self) -> Option<Vec<Vec<f64>>> {
        let of = |m: &Mode| (0..m.size()).map(|l| m.number(l)).collect::<Option<Vec<f64>>>();
        self.modes.iter().map(of).collect()
    }
}

impl Term {
    /// The position of a cell of the model in the term.
    pub fn at(&self, cell: &[usize]) -> usize {
        self.modes.iter().zip(&self.strides).map(|(m, s)| cell[*m] * s).sum()
    }

    /// Calls `visit` with the position and the levels of every cell of the term.
    pub fn cells(&self, mut visit: impl FnMut(usize, &[usize])) {
        let shape = &self.table.shape;
        let mut levels = vec![0; shape.len()];
        for at in 0..self.table.values.len() {
            visit(at, &levels);
            for axis in (0..levels.len()).rev() {
                levels[axis] += 1;
                if levels[axis] < shape[axis] {
                    break;
                }
                levels[axis] = 0;
            }
        }
    }
}
