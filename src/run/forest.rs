//! Passes over calibrated cliques, for quantities that are a sum of one table per clique.

use std::sync::Arc;

use super::kernel::{combine, marginalise, maximise, minus, plus};
use super::machine::Machine;
use super::projection::Projection;
use super::sum::dot;
use crate::plan::schedule::{BufferId, Place};

/// Cliques of a schedule. Parents come before their children.
pub(super) struct Forest {
    /// The cliques.
    pub cliques: Vec<Clique>,
}

/// One clique.
pub(super) struct Clique {
    /// Its marginal.
    pub belief: BufferId,
    /// How it hangs from another one; none at a root.
    pub parent: Option<Parent>,
}

/// Where a clique hangs from.
pub(super) struct Parent {
    /// The clique above.
    pub clique: usize,
    /// The marginal between the two.
    pub separator: BufferId,
    /// The way to it from the clique below.
    below: Arc<Projection>,
    /// The way to it from the clique above.
    above: Arc<Projection>,
}

impl Forest {
    /// The cliques that are `kept`, each a root whose parent is not.
    pub fn new(machine: &mut Machine, kept: impl Fn(&Place) -> bool) -> Self {
        let places = &machine.schedule.places;
        let mut index = vec![usize::MAX; places.len()];
        let mut cliques: Vec<Clique> = Vec::new();
        for (i, place) in places.iter().enumerate().filter(|(_, p)| kept(p)) {
            let parent = place.parent.filter(|(p, _)| kept(&places[*p])).map(|(p, separator)| Parent {
                clique: index[p],
                separator,
                below: machine.projection(place.belief, separator),
                above: machine.projection(places[p].belief, separator),
            });
            index[i] = cliques.len();
            cliques.push(Clique { belief: place.belief, parent });
        }
        Self { cliques }
    }

    /// Turns tables whose sum is E into ⟨E | x_C⟩ of every clique C, in one pass up and one down. Gives ⟨E⟩ of the
    /// component of each clique, and of all components together. O(cells of the cliques).
    pub fn expect(&self, machine: &Machine, tables: &mut [Vec<f64>], room: &mut Vec<f64>) -> (Vec<f64>, f64) {
        let mut sent: Vec<Vec<f64>> = vec![Vec::new(); self.cliques.len()];
        for (i, clique) in self.cliques.iter().enumerate().rev() {
            let Some(parent) = &clique.parent else { continue };
            let message =
                expected(machine, clique.belief, &tables[i], (parent.separator, &parent.below), room);
            combine(&parent.above, &mut tables[parent.clique], &message, plus);
            sent[i] = message;
        }
        let (mut means, mut total) = (vec![0.0; self.cliques.len()], 0.0);
        for (i, clique) in self.cliques.iter().enumerate() {
            let Some(parent) = &clique.parent else {
                means[i] = dot(&machine.tables[clique.belief.0], &tables[i]);
                total += means[i];
                continue;
            };
            let (p, above) = (parent.clique, self.cliques[parent.clique].belief);
            means[i] = means[p];
            let mut message = expected(machine, above, &tables[p], (parent.separator, &parent.above), room);
            message.iter_mut().zip(&sent[i]).for_each(|(m, s)| *m -= s);
            combine(&parent.below, &mut tables[i], &message, plus);
        }
        (means, total)
    }

    /// The least value over the support of a sum of `tables`, by min-sum; components add up.
    pub fn least(&self, machine: &Machine, tables: &mut [Vec<f64>]) -> f64 {
        for (table, clique) in tables.iter_mut().zip(&self.cliques) {
            let belief = &machine.tables[clique.belief.0];
            table.iter_mut().zip(belief).filter(|(_, b)| **b <= 0.0).for_each(|(e, _)| *e = f64::INFINITY);
        }
        let mut total = 0.0;
        for (i, clique) in self.cliques.iter().enumerate().rev() {
            match &clique.parent {
                Some(parent) => {
                    let mut message = vec![0.0; machine.tables[parent.separator.0].len()];
                    let negated: Vec<f64> = tables[i].iter().map(|e| -e).collect();
                    maximise(&parent.below, &negated, &mut message);
                    combine(&parent.above, &mut tables[parent.clique], &message, minus);
                }
                None => total += tables[i].iter().fold(f64::INFINITY, |m, e| m.min(*e)),
            }
        }
        total
    }
}

/// ⟨table | separator⟩ under a clique's belief.
fn expected(
    machine: &Machine,
    belief: BufferId,
    table: &[f64],
    (separator, way): (BufferId, &Projection),
    room: &mut Vec<f64>,
) -> Vec<f64> {
    room.clear();
    room.extend(machine.tables[belief.0].iter().zip(table).map(|(b, e)| b * e));
    let shared = &machine.tables[separator.0];
    let mut message = vec![0.0; shared.len()];
    marginalise(way, room, &mut message);
    message.iter_mut().zip(shared).for_each(|(m, s)| *m = if *s > 0.0 { *m / s } else { 0.0 });
    message
}
