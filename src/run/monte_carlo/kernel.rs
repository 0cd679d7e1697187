//! Moves that leave exp(−βE)/Z as it is.

use super::{Settings, Stream, draw, streams, unit};
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

/// What became of a number of moves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moves {
    /// Those that were accepted.
    pub accepted: usize,
    /// The most that were refused in a row.
    pub longest_stay: usize,
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
        /// What is drawn from, one as often as another; together positive wherever the target is. A mixture
        /// finds phases that one proposal would miss, and the chain cannot know what it misses.
        proposals: Vec<Distribution>,
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

    /// `count` moves from a cell; returns how many of them were accepted, where they can be refused, and how many
    /// were refused in a row, and calls `seen` after each.
    pub fn run(
        &self,
        landscape: &Landscape,
        beta: f64,
        cell: &mut Vec<usize>,
        rng: &mut Stream,
        count: usize,
        mut seen: impl FnMut(&[usize]),
    ) -> Moves {
        let mut moves = Moves::default();
        match self {
            Kernel::Gibbs { order } => {
                let mut room = Vec::new();
                for _ in 0..count {
                    if landscape.ends() {
                        break;
                    }
                    for mode in order {
                        landscape.levels(cell, *mode, &mut room);
                        cell[*mode] = draw(rng, beta, &mut room);
                    }
                    moves.accepted += 1;
                    seen(cell);
                }
            }
            Kernel::Independence { proposals } => {
                let drawers: Vec<_> = proposals.iter().map(Distribution::drawer).collect();
                let worth = |x: &[usize]| worth(proposals, landscape, beta, x);
                let (mut now, mut stay) = (worth(cell), 0);
                for _ in 0..count {
                    if landscape.ends() {
                        break;
                    }
                    let which = (unit(rng) * drawers.len() as f64) as usize;
                    let Some(next) = drawers.get(which).map(|d| d.draw(rng)) else { break };
                    let then = worth(&next);
                    if unit(rng) < (then - now).exp() {
                        (*cell, now) = (next, then);
                        moves.accepted += 1;
                        stay = 0;
                    } else {
                        stay += 1;
                        moves.longest_stay = moves.longest_stay.max(stay);
                    }
                    seen(cell);
                }
            }
        }
        moves
    }

    /// ln of the weights of `most` proposals or one for each sweep, if fewer, relative to each other; none where nothing
    /// is proposed.
    pub fn weights(
        &self,
        landscape: &Landscape,
        beta: f64,
        settings: &Settings,
        most: usize,
    ) -> Option<Vec<f64>> {
        let Kernel::Independence { proposals } = self else { return None };
        let drawers: Vec<_> = proposals.iter().map(Distribution::drawer).collect();
        let mut rng = streams(settings.seed, settings.chains + 1).pop()?;
        let one = |_| {
            let which = (unit(&mut rng) * drawers.len() as f64) as usize;
            drawers.get(which).map(|d| worth(proposals, landscape, beta, &d.draw(&mut rng)))
        };
        (0..settings.sweeps.min(most)).map(one).collect()
    }
}

/// ln of how much more the model weighs a cell than the proposals do, but for a constant.
fn worth(proposals: &[Distribution], landscape: &Landscape, beta: f64, cell: &[usize]) -> f64 {
    let logs: Vec<f64> = proposals.iter().map(|p| p.log_probability(cell)).collect();
    let most = logs.iter().fold(f64::NEG_INFINITY, |m, l| m.max(*l));
    let density = most + logs.iter().map(|l| (l - most).exp()).sum::<f64>().ln();
    -beta * landscape.energy(cell) - density
}
