//! Draws from a distribution on a tree.

use std::cmp::Ordering;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::distribution::{Distribution, conditional};
use super::sum::Compensated;
use crate::data::{Buffer, Indices, Sparse};
use crate::model::Scope;
use crate::model::table::strides;
use crate::numeric::share;

/// Draws per stream of random numbers; fixed, so that the sample does not depend on the threads.
const CHUNK: usize = 1 << 14;

impl Distribution {
    /// `n` independent draws, counted: distinct cells in lexicographic order with how often each was drawn.
    /// Ancestral sampling from the roots down; every chunk of draws has a stream of its own, 2¹²⁸ numbers
    /// from the next. O(n · cliques · log of the clique size).
    pub fn sample(&self, n: usize, seed: u64) -> Sparse {
        let tables: Vec<Cumulative> = (0..self.cliques.len()).map(|i| Cumulative::new(self, i)).collect();
        let draw = |rng: &mut Xoshiro256PlusPlus, cell: &mut [u32]| {
            for table in &tables {
                table.draw(rng, cell);
            }
        };
        counted(n, seed, self.shape(), draw)
    }
}

/// Draws one cell at a time.
pub struct Drawer {
    tables: Vec<Cumulative>,
    width: usize,
}

impl Drawer {
    /// An independent draw. O(cliques · log of the clique size).
    pub fn draw(&self, rng: &mut Xoshiro256PlusPlus) -> Vec<usize> {
        let mut cell = vec![0u32; self.width];
        self.tables.iter().for_each(|table| table.draw(rng, &mut cell));
        cell.into_iter().map(|level| level as usize).collect()
    }
}

impl Distribution {
    /// Running sums of every clique, to draw from again and again.
    pub fn drawer(&self) -> Drawer {
        let tables = (0..self.cliques.len()).map(|i| Cumulative::new(self, i)).collect();
        Drawer { tables, width: self.modes.len() }
    }
}

/// `n` cells that `draw` makes, counted: distinct cells in lexicographic order. Every chunk of draws has a
/// stream of its own, 2¹²⁸ numbers from the next, so that the sample does not depend on the threads.
pub(super) fn counted(
    n: usize,
    seed: u64,
    shape: Vec<usize>,
    draw: impl Fn(&mut Xoshiro256PlusPlus, &mut [u32]) + Sync,
) -> Sparse {
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(seed);
    let streams: Vec<(usize, Xoshiro256PlusPlus)> = (0..n.div_ceil(CHUNK))
        .map(|k| {
            let own = stream.clone();
            stream.jump();
            (CHUNK.min(n - k * CHUNK), own)
        })
        .collect();
    let width = shape.len();
    let chunks: Vec<Counted> = share::pieces(true, streams.len(), |k| {
        let (count, mut rng) = streams[k].clone();
        let mut cells = vec![0u32; count * width];
        for cell in cells.chunks_mut(width.max(1)) {
            draw(&mut rng, cell);
        }
        Counted { width, cells, counts: vec![1.0; count] }.merged()
    });
    let mut all = Counted { width, cells: Vec::new(), counts: Vec::new() };
    for chunk in chunks {
        all.cells.extend(chunk.cells);
        all.counts.extend(chunk.counts);
    }
    let all = all.merged();
    let column = |(d, n): (usize, &usize)| Indices::new(*n, all.cells.iter().skip(d).step_by(width).copied());
    let coordinates = shape.iter().enumerate().map(column).collect();
    Sparse { shape, coordinates, values: Buffer::new(all.counts) }
}

/// Cells in rows of `width` levels, with how often each occurs.
struct Counted {
    width: usize,
    cells: Vec<u32>,
    counts: Vec<f64>,
}

impl Counted {
    fn row(&self, k: usize) -> &[u32] {
        &self.cells[k * self.width..(k + 1) * self.width]
    }

    /// Sorted, each cell once.
    fn merged(self) -> Self {
        let mut order: Vec<usize> = (0..self.counts.len()).collect();
        order.sort_unstable_by(|a, b| self.row(*a).cmp(self.row(*b)));
        let mut out = Self { width: self.width, cells: Vec::new(), counts: Vec::new() };
        let mut last: Option<usize> = None;
        for k in order {
            match (last, out.counts.last_mut()) {
                (Some(l), Some(count)) if self.row(l).cmp(self.row(k)) == Ordering::Equal => {
                    *count += self.counts[k];
                }
                _ => {
                    out.cells.extend_from_slice(self.row(k));
                    out.counts.push(self.counts[k]);
                    last = Some(k);
                }
            }
        }
        out
    }
}

/// A clique's conditional distribution, one row of running sums per cell of the separator.
struct Cumulative {
    given: Vec<(usize, usize)>,
    drawn: Vec<(usize, usize)>,
    row: usize,
    sums: Vec<f64>,
}

impl Cumulative {
    fn new(distribution: &Distribution, i: usize) -> Self {
        let clique = &distribution.cliques[i];
        let table = conditional(clique);
        let separator = clique.parent.as_ref().map_or_else(Scope::empty, |(_, s)| s.scope.clone());
        let sized = |scope: &Scope| -> Vec<(usize, usize)> {
            scope.iter().map(|m| (m, distribution.modes[m].size())).collect()
        };
        let given = sized(&separator);
        let drawn = sized(&table.scope.difference(&separator));
        let own = strides(&table.shape);
        let step = |m: usize| table.scope.position(m).and_then(|a| own.get(a)).copied().unwrap_or(0);
        let rows: usize = given.iter().map(|(_, n)| n).product();
        let row: usize = drawn.iter().map(|(_, n)| n).product();
        let place = |mut k: usize, axes: &[(usize, usize)]| {
            let mut at = 0;
            for (m, n) in axes.iter().rev() {
                at += k % n * step(*m);
                k /= n;
            }
            at
        };
        let mut sums = Vec::with_capacity(rows * row);
        for r in 0..rows {
            let base = place(r, &given);
            let mut running = Compensated::default();
            for c in 0..row {
                running.add(table.values[base + place(c, &drawn)]);
                sums.push(running.value());
            }
        }
        Self { given, drawn, row, sums }
    }

    fn draw(&self, rng: &mut Xoshiro256PlusPlus, cell: &mut [u32]) {
        let r = self.given.iter().fold(0, |k, (m, n)| k * n + cell[*m] as usize);
        let sums = &self.sums[r * self.row..(r + 1) * self.row];
        let Some(total) = sums.last() else { return };
        // 53 random bits: [0, 1)
        let u = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * total;
        // rounding may carry u to the total itself: then the last cell that has any mass
        let found = sums.partition_point(|s| *s <= u);
        let mut k = if found < sums.len() { found } else { sums.partition_point(|s| s < total) };
        for (m, n) in self.drawn.iter().rev() {
            cell[*m] = u32::try_from(k % n).unwrap_or(u32::MAX);
            k /= n;
        }
    }
}
