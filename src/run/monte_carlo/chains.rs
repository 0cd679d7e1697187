//! Several chains, run and summed up.

use rayon::prelude::*;

use super::kernel::{Kernel, Moves, Scan};
use super::series::{Block, Estimate, effective, estimate, jackknife};
use super::tempering::Ladder;
use super::{Settings, anywhere, streams};
use crate::run::landscape::Landscape;

/// Blocks each chain is cut into for errors of what is not a mean.
const BLOCKS: usize = 16;

/// The first of `n` samples that is in a block: the one after the last, of the block after the last.
fn first_of(block: usize, n: usize) -> usize {
    (block * n).div_ceil(BLOCKS)
}

/// A function of means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Its value.
    pub value: f64,
    /// Its standard error, by the jackknife over blocks.
    pub error: f64,
}

/// What chains saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// ⟨E⟩.
    pub energy: Estimate,
    /// (⟨E²⟩ − ⟨E⟩²)/T².
    pub heat_capacity: Observed,
    /// ⟨|Σ levels|⟩ / N, when levels are numbers.
    pub magnetization: Option<Estimate>,
    /// (⟨M²⟩ − ⟨|M|⟩²)/(N T).
    pub susceptibility: Option<Observed>,
    /// Probability of each level of each mode.
    pub marginals: Vec<Vec<Observed>>,
    /// Part of the proposals that were accepted, where they can be refused.
    pub acceptance: Option<f64>,
    /// Part of the trades between replicas that were made.
    pub trades: Option<f64>,
    /// How well cells that are proposed cover the model, where they come from another distribution.
    pub coverage: Option<Coverage>,
}

/// What independence chains say about what they propose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coverage {
    /// Number of proposals that were weighed.
    pub proposals: usize,
    /// As many cells of the model itself would say as much: (Σ w)²/Σ w² of the weights w of the proposals.
    pub effective: f64,
    /// The most moves that a chain was in one cell, all of them refused.
    pub longest_stay: usize,
    /// Moves of each chain.
    pub moves: usize,
}

impl Coverage {
    /// Whether chains left every cell within a tenth of their moves, and proposals are worth fifty cells.
    pub fn suffices(&self) -> bool {
        self.longest_stay * STAYS <= self.moves && self.effective >= WORTH
    }
}

/// As many times the longest stay has to fit into a chain.
const STAYS: usize = 10;
/// As many cells of the model proposals have to be worth.
const WORTH: f64 = 50.0;
/// Proposals that are weighed, at most.
const WEIGHED: usize = 10_000;
/// Sweeps of the heat bath before an independence chain: it begins in a typical cell of the model, which need not
/// be one of what it proposes, so that a phase that is never proposed is seen to hold the chain.
const RELAX: usize = 100;

/// What one chain saw.
struct Trace {
    energy: Vec<f64>,
    moment: Vec<f64>,
    /// For each block, how often each level of each mode was seen.
    counts: Vec<Vec<f64>>,
    moves: Moves,
    trades: (usize, usize),
}

/// Runs chains from random cells at β = 1/T. With a ladder, each chain is a set of replicas of which the coldest
/// is looked at. None when it was asked to end before it had seen everything.
pub fn simulate(
    landscape: &Landscape,
    kernel: &Kernel,
    ladder: Option<&Ladder>,
    settings: &Settings,
) -> Option<Simulation> {
    let t = landscape.temperature;
    let numbers = landscape.numbers();
    let offsets: Vec<usize> = (0..landscape.modes.len())
        .scan(0, |sum, m| {
            let own = *sum;
            *sum += landscape.size(m);
            Some(own)
        })
        .collect();
    let width = offsets.last().map_or(0, |last| last + landscape.size(offsets.len() - 1));
    let traces: Vec<Trace> = streams(settings.seed, settings.chains)
        .into_par_iter()
        .map(|mut rng| {
            let mut trace = Trace {
                energy: Vec::new(),
                moment: Vec::new(),
                counts: vec![vec![0.0; width]; BLOCKS],
                moves: Moves::default(),
                trades: (0, 0),
            };
            let mut look = |cell: &[usize]| {
                let block = trace.energy.len() * BLOCKS / settings.sweeps.max(1);
                trace.energy.push(landscape.energy(cell));
                if let Some(numbers) = &numbers {
                    trace.moment.push(cell.iter().zip(numbers).map(|(l, n)| n[*l]).sum::<f64>().abs());
                }
                let counts = &mut trace.counts[block.min(BLOCKS - 1)];
                cell.iter().zip(&offsets).for_each(|(l, o)| counts[o + l] += 1.0);
            };
            match ladder {
                None => {
                    let mut cell = anywhere(&mut rng, landscape);
                    if matches!(kernel, Kernel::Independence { .. }) {
                        let bath = Kernel::gibbs(landscape, &Scan::Line);
                        bath.run(landscape, 1.0 / t, &mut cell, &mut rng, RELAX, |_| {});
                    }
                    kernel.run(landscape, 1.0 / t, &mut cell, &mut rng, settings.burn_in, |_| {});
                    trace.moves =
                        kernel.run(landscape, 1.0 / t, &mut cell, &mut rng, settings.sweeps, &mut look);
                }
                Some(ladder) => {
                    let mut cells: Vec<Vec<usize>> =
                        ladder.betas.iter().map(|_| anywhere(&mut rng, landscape)).collect();
                    for turn in 0..settings.burn_in + settings.sweeps {
                        if landscape.ends() {
                            break;
                        }
                        let (tried, made) = ladder.sweep(landscape, kernel, &mut cells, &mut rng, turn);
                        if turn >= settings.burn_in {
                            look(&cells[0]);
                            trace.trades = (trace.trades.0 + tried, trace.trades.1 + made);
                        }
                    }
                }
            }
            trace
        })
        .collect();
    if landscape.was_cut() {
        return None;
    }
    let seen = (settings.sweeps * settings.chains) as f64;
    let energies: Vec<Vec<f64>> = traces.iter().map(|t| t.energy.clone()).collect();
    let moments: Vec<Vec<f64>> = traces.iter().map(|t| t.moment.clone()).collect();
    let sites = landscape.modes.len() as f64;
    let variance = |m: &[f64]| m[1] - m[0] * m[0];
    let squares = |series: &[Vec<f64>], centre: f64| -> Vec<Block> {
        let blocks = series
            .iter()
            .flat_map(|s| (0..BLOCKS).map(|k| &s[first_of(k, s.len())..first_of(k + 1, s.len())]));
        blocks
            .map(|b| {
                // about a common centre, so that little is lost to rounding
                let (one, two) =
                    b.iter().fold((0.0, 0.0), |(o, t), x| (o + (x - centre), t + (x - centre).powi(2)));
                Block { samples: b.len() as f64, sums: vec![one, two] }
            })
            .collect()
    };
    let energy = estimate(&energies);
    let (c, c_error) = jackknife(&squares(&energies, energy.mean), |m| variance(m) / (t * t));
    let magnetic = numbers.is_some() && !landscape.modes.is_empty();
    let magnetization = magnetic.then(|| {
        let scaled: Vec<Vec<f64>> = moments.iter().map(|s| s.iter().map(|m| m / sites).collect()).collect();
        estimate(&scaled)
    });
    let susceptibility = magnetic.then(|| {
        let centre = moments.iter().flatten().sum::<f64>() / seen;
        let (value, error) = jackknife(&squares(&moments, centre), |m| variance(m) / (sites * t));
        Observed { value, error }
    });
    let length = |k: usize| (first_of(k + 1, settings.sweeps) - first_of(k, settings.sweeps)) as f64;
    let marginals = offsets
        .iter()
        .enumerate()
        .map(|(mode, offset)| {
            let level = |l: usize| {
                let counts = traces.iter().flat_map(|t| t.counts.iter().enumerate());
                let own: Vec<Block> =
                    counts.map(|(k, b)| Block { samples: length(k), sums: vec![b[offset + l]] }).collect();
                let (value, error) = jackknife(&own, |m| m[0]);
                Observed { value, error }
            };
            (0..landscape.size(mode)).map(level).collect()
        })
        .collect();
    let accepted: usize = traces.iter().map(|t| t.moves.accepted).sum();
    let (tried, made) = traces.iter().fold((0, 0), |(a, b), t| (a + t.trades.0, b + t.trades.1));
    Some(Simulation {
        energy,
        heat_capacity: Observed { value: c, error: c_error },
        magnetization,
        susceptibility,
        marginals,
        acceptance: matches!(kernel, Kernel::Independence { .. }).then(|| accepted as f64 / seen),
        trades: ladder.is_some().then(|| made as f64 / (tried as f64).max(1.0)),
        coverage: kernel.weights(landscape, 1.0 / t, settings, WEIGHED).map(|weights| Coverage {
            proposals: weights.len(),
            effective: effective(&weights),
            longest_stay: traces.iter().map(|t| t.moves.longest_stay).max().unwrap_or(0),
            moves: settings.sweeps,
        }),
    })
}
