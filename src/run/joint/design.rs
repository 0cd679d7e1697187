//! The cells of several tensors as one list, and proportional fitting over it.

use rayon::prelude::*;

use crate::plan::method::Solver;
use crate::plan::rows::{Block, Tables};
use crate::run::control::{Control, Flow, Observer, Sweep};
use crate::run::masked::newton::Design;
use crate::run::masked::rows::Rows;

/// Most parts a sum over rows is cut into, and the fewest rows of one; fixed, so that sums do not depend on the
/// number of threads.
const PARTS: usize = 16;
const LEAST: usize = 1 << 14;

/// Sweeps after which Newton steps take over at the latest, and when they were asked for by name.
const SWEEPS: usize = 40;
const WARM: usize = 3;

/// Sweeps that are made however slow they are.
const FIRST: usize = 4;

/// A sweep that leaves more than this share of the gap is slow.
const SLOW: f64 = 0.3;

/// The rows of all tensors, one tensor after the other.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The rows of each tensor.
    pub groups: Vec<Rows>,
}

impl Joined {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.groups.iter().map(Rows::len).sum()
    }

    /// Places of the rows with their tables: what one pass works on.
    pub fn work(&self) -> f64 {
        self.groups.iter().map(|g| g.len() as f64 * (g.tables as f64 + 1.0)).sum()
    }

    /// The first row of each tensor.
    fn starts(&self) -> impl Iterator<Item = (usize, &Rows)> {
        let mut at = 0;
        self.groups.iter().map(move |g| {
            let start = at;
            at += g.len();
            (start, g)
        })
    }
}

impl Design for Joined {
    fn spread(&self, parameters: &[f64]) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.len());
        self.groups.iter().for_each(|g| out.extend(g.spread(parameters)));
        out
    }

    fn gather(&self, parameters: usize, values: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
        let mut total = vec![0.0; parameters];
        for (start, group) in self.starts() {
            let own = group.gather(parameters, |r| values(start + r));
            total.iter_mut().zip(own).for_each(|(t, o)| *t += o);
        }
        total
    }

    fn targets(&self, parameters: usize) -> Vec<f64> {
        let mut total = vec![0.0; parameters];
        for group in &self.groups {
            let own = group.gather(parameters, |r| group.target[r]);
            total.iter_mut().zip(own).for_each(|(t, o)| *t += o);
        }
        total
    }

    fn exposed(&self, mut logs: Vec<f64>) -> Vec<f64> {
        let mut rest = logs.as_mut_slice();
        for group in &self.groups {
            let (own, more) = rest.split_at_mut(group.len());
            rest = more;
            own.par_iter_mut()
                .zip(&group.weight)
                .with_min_len(LEAST)
                .for_each(|(l, w)| *l = crate::numeric::vector::exp(*l) * w);
        }
        logs
    }

    fn positive(&self) -> Vec<bool> {
        self.groups.iter().flat_map(Design::positive).collect()
    }

    fn visit(&self, values: &[f64], see: &mut dyn FnMut(&[u32], f64)) {
        self.starts().for_each(|(start, g)| g.visit(&values[start..start + g.len()], see));
    }

    fn work(&self) -> f64 {
        self.groups.iter().map(|g| g.places.len() as f64).sum()
    }
}

/// What sweeps end with.
pub struct Swept {
    /// The parameters.
    pub parameters: Vec<f64>,
    /// Sweeps made.
    pub sweeps: usize,
    /// Whether the observer asked to end.
    pub interrupted: bool,
}

/// Proportional fitting over all tensors: for one table after another, λ ← λ + ln(Σ_t w_t X_t / Σ_t w_t Q_t) over the
/// tensors that see it. Each step is the exact minimum over its table (Darroch and Ratcliff 1972), so that the
/// objective never grows. It ends when the gap is within the tolerance and, where Newton steps come next, when sweeps are
/// slow. O(rows × tables) a sweep. An earlier run may have made some `before`.
pub fn sweep(
    tables: &Tables,
    rows: &Joined,
    solver: Solver,
    (mut parameters, before): (Vec<f64>, usize),
    (target, scale): (&[f64], &[f64]),
    control: &Control,
    observer: &mut dyn Observer,
) -> Swept {
    let mut q: Vec<Vec<f64>> = Vec::new();
    let all = rows.exposed(rows.spread(&parameters));
    for (start, group) in rows.starts() {
        q.push(all[start..start + group.len()].to_vec());
    }
    let (mut gap, mut sweeps, mut interrupted) = (f64::INFINITY, 0, false);
    let allowed = match solver {
        Solver::Ipf => usize::MAX,
        Solver::Newton => WARM,
        _ => SWEEPS,
    };
    let most = control.max_sweeps.saturating_sub(before).min(allowed);
    while gap > control.tolerance && sweeps < most && !interrupted {
        let last = gap;
        gap = 0.0;
        // levels first: the totals are right from then on
        let (levels, others): (Vec<&Block>, Vec<&Block>) =
            tables.blocks.iter().partition(|b| b.scope.is_empty());
        for block in levels.into_iter().chain(others) {
            let Some((first, last)) = block.place.iter().min().zip(block.place.iter().max()) else {
                continue;
            };
            let (first, cells) = (*first as usize, (last - first) as usize + 1);
            let mut sums = vec![0.0; cells];
            let mut columns = Vec::new();
            for (group, q) in rows.groups.iter().zip(&q) {
                // the column of this table among those of the tensor, which all rows share
                let places = group.places.get(..group.tables).unwrap_or_default();
                let own = places.iter().position(|p| (first..first + cells).contains(&(*p as usize)));
                if let Some(column) = own {
                    add(group, q, column, first, &mut sums);
                }
                columns.push(own);
            }
            let ratios: Vec<f64> = (0..cells)
                .map(|k| {
                    let (t, s) = (target[first + k], sums[k]);
                    gap = gap.max((s - t).abs() / scale[first + k]);
                    if t > 0.0 && s > 0.0 { t / s } else { 1.0 }
                })
                .collect();
            for (k, ratio) in ratios.iter().enumerate() {
                parameters[first + k] += ratio.ln();
            }
            for ((group, q), column) in rows.groups.iter().zip(&mut q).zip(&columns) {
                let Some(column) = column else { continue };
                let (width, places) = (group.tables, &group.places);
                q.par_iter_mut().enumerate().with_min_len(LEAST).for_each(|(r, q)| {
                    *q *= ratios[places[r * width + column] as usize - first];
                });
            }
        }
        sweeps += 1;
        let told = Sweep::alone(before + sweeps, gap, control);
        interrupted = observer.sweep(&told) == Flow::Interrupt;
        if solver != Solver::Ipf && sweeps >= FIRST && gap > SLOW * last {
            break;
        }
    }
    Swept { parameters, sweeps, interrupted }
}

/// Adds the rows of a tensor to the cells of one of its tables.
fn add(group: &Rows, q: &[f64], column: usize, first: usize, sums: &mut [f64]) {
    let length = group.len().div_ceil(PARTS).max(LEAST);
    let parts: Vec<Vec<f64>> = q
        .par_chunks(length)
        .zip(group.places.par_chunks(length * group.tables))
        .map(|(q, places)| {
            let mut own = vec![0.0; sums.len()];
            for (q, row) in q.iter().zip(places.chunks(group.tables)) {
                own[row[column] as usize - first] += q;
            }
            own
        })
        .collect();
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(s, p)| *s += p);
    }
}
