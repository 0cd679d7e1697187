//! What each coefficient multiplies, and where on the tree of cliques.

use std::sync::Arc;

use crate::model::{Potential, Scope, Table};
use crate::numeric::sum::dot;
use crate::plan::schedule::{BufferId, Instruction, Learning};
use crate::run::forest::Forest;
use crate::run::machine::Machine;

/// One term: a table that a coefficient multiplies, on a clique.
pub struct Term {
    /// Position of the coefficient.
    pub coefficient: usize,
    /// Position of the interaction in the model.
    pub interaction: usize,
    /// What multiplies the coefficient.
    pub table: Arc<Table>,
}

/// What is computed at a clique.
pub struct Node {
    /// Its marginal.
    pub belief: BufferId,
    /// Its modes and their numbers of levels.
    pub scope: Scope,
    /// Levels of its modes.
    pub shape: Vec<usize>,
    /// The terms that are computed here.
    pub terms: Vec<Term>,
}

/// The statistics of all coefficients.
pub struct Statistics {
    /// The cliques, in the order of the forest.
    pub nodes: Vec<Node>,
    /// How they hang together.
    pub(in crate::run) forest: Forest,
    /// Their moments in the data.
    pub targets: Vec<f64>,
    /// The largest size of each statistic, for what counts as small.
    pub scales: Vec<f64>,
}

impl Statistics {
    /// Reads the statistics off the model and their moments off the marginals of the data.
    pub fn new(machine: &mut Machine, learning: &Learning) -> Self {
        let forest = Forest::new(machine, |_| true);
        let schedule = machine.schedule;
        let mut nodes: Vec<Node> = schedule
            .places
            .iter()
            .map(|place| {
                let buffer = &schedule.buffers[place.belief.0];
                let (scope, shape) = (buffer.scope.clone(), buffer.shape.clone());
                Node { belief: place.belief, scope, shape, terms: Vec::new() }
            })
            .collect();
        let count = learning.coefficients.len();
        let (mut targets, mut scales) = (vec![0.0; count], vec![0.0; count]);
        for step in &learning.steps {
            let Instruction::Contract { belief, fixed, .. } = &step.instruction else { continue };
            let Some(node) = nodes.iter_mut().find(|n| n.belief == *belief) else { continue };
            for interaction in fixed {
                let Some(Potential::Learned { coefficient, statistic }) =
                    machine.model.interactions.get(*interaction).map(|i| &i.potential)
                else {
                    continue;
                };
                let Some(k) = learning.coefficients.iter().position(|c| c == coefficient) else { continue };
                let table = Arc::clone(statistic);
                node.terms.push(Term { coefficient: k, interaction: *interaction, table });
                if let Some((_, id)) = learning.terms.iter().find(|(i, _)| i == interaction) {
                    targets[k] += dot(&machine.tables[id.0], &statistic.values);
                }
                scales[k] += statistic.values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            }
        }
        Self { nodes, forest, targets, scales }
    }

    /// Number of coefficients.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Tables whose sum is Σ d_k F_k.
    pub fn along(&self, direction: &[f64]) -> Vec<Table> {
        let terms = self.nodes.iter().flat_map(|n| &n.terms);
        let table = |term: &Term| {
            let values = term.table.values.iter().map(|v| direction[term.coefficient] * v).collect();
            Table { scope: term.table.scope.clone(), shape: term.table.shape.clone(), values }
        };
        terms.map(table).collect()
    }

    /// Sets the energies of the machine to φ = −θ/T.
    pub fn set(&self, machine: &mut Machine, natural: &[f64]) {
        let temperature = machine.model.temperature;
        for term in self.nodes.iter().flat_map(|n| &n.terms) {
            let theta = -natural[term.coefficient] * temperature;
            let values = term.table.values.iter().map(|v| theta * v).collect();
            let table = Table { scope: term.table.scope.clone(), shape: term.table.shape.clone(), values };
            machine.energies.insert(term.interaction, Arc::new(table));
        }
    }
}
