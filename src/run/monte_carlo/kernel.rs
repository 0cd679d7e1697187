//! Moves that leave exp(−βE)/Z as it is.

use super::{Stream, draw, unit};
use crate::run::distribution::Distribution;
use crate::run::landscape::Landscape;

/// The order in which a sweep visits modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    /// From the first to the last.
    Line,
    /// Colour by colour, where modes of one colour do not interact and so could be drawn at once.
    Checkerboard,
}

/// A move.
#[derive(Debug, Clone)]
pub enum Kernel {
    /// Each mode in turn is drawn given all others: the heat bath (Geman and Geman 1984,
    /// doi:10.1109/TPAMI.1984.4767596). O(terms × levels) a sweep.
    Gibbs {
        /// The modes in the order of a sweep.
        order: Vec<usize>,
    },
    /// A whole cell is drawn from another distribution and accepted as Metropolis and Hastings (1970,
    /// doi:10.1093/biomet/57.1.97) say, so that the chain is exact whatever the proposal.
    Independence {
        /// What is drawn from; positive wherever the target is.
        proposal: Box<Distribution>,
    },
}

impl Kernel {
    /// The heat bath in an order.
    pub fn gibbs(landscape: &Landscape, scan: &Scan) -> Self {
        let order = match scan {
            Scan::Line => (0..landscape.modes.len()).collect(),
            Scan::Checkerboard => landscape.colours().into_iter().flatten().collect(),
        };
        Kernel::Gibbs { order }
    }

    /// `count` moves from a cell; returns how many of them were accepted, where they can be refused, and
    /// calls `seen` after each.
    pub fn run(
        &self,
        landscape: &Landscape,
        beta: f64,
        cell: &mut Vec<usize>,
        rng: &mut Stream,
        count: usize,
        mut seen: impl FnMut(&[usize]),
    ) -> usize {
        let mut accepted = 0;
        match self {
            Kernel::Gibbs { order } => {
                let mut room = Vec::new();
                for _ in 0..count {
                    for mode in order {
                        landscape.levels(cell, *mode, &mut room);
                        cell[*mode] = draw(rng, beta, &mut room);
                    }
                    accepted += 1;
                    seen(cell);
                }
            }
            Kernel::Independence { proposal } => {
                let worth = |x: &[usize]| -beta * landscape.energy(x) - proposal.log_probability(x);
                let mut now = worth(cell);
                // drawn ahead in blocks, in the order of a stream of its own
                let mut ahead: Vec<Vec<usize>> = Vec::new();
                let mut tables = None;
                for _ in 0..count {
                    let next = match ahead.pop() {
                        Some(next) => next,
                        None => {
                            let drawer = tables.get_or_insert_with(|| proposal.drawer());
                            ahead = (0..64).map(|_| drawer.draw(rng)).collect();
                            ahead.pop().unwrap_or_default()
                        }
                    };
                    let then = worth(&next);
                    if unit(rng) < (then - now).exp() {
                        (*cell, now) = (next, then);
                        accepted += 1;
                    }
                    seen(cell);
                }
            }
        }
        accepted
    }
}
