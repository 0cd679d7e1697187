//! Draws from a distribution on a tree.

use std::cmp::Ordering;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::control::{Limits, Stop};
use super::distribution::{Distribution, conditional};
use super::sum::Compensated;
use crate::data::{Buffer, Indices, Sparse};
use crate::model::Scope;
use crate::model::table::strides;
use crate::numeric::share;
use crate::text::{Code, Diagnostic, Span};

/// Draws per stream of random numbers; fixed, so that the sample does not depend on the threads.
const CHUNK: usize = 1 << 14;

/// Most chunks that are drawn before they are merged with those before them.
const AT_ONCE: u64 = 64;

/// A sample that is asked for, and what it may take.
#[derive(Debug, Clone)]
pub struct Draws<'a> {
    /// How many.
    pub count: usize,
    /// Seed.
    pub seed: u64,
    /// Bytes that are made of every distinct cell afterwards, such as a row to show.
    pub row: u64,
    /// What is drawn from.
    pub name: &'a str,
    /// Where it was asked for.
    pub span: Span,
    /// What it may take.
    pub limits: &'a Limits,
}

/// What drawing may take.
pub struct Room<'a> {
    /// Bytes.
    pub memory: u64,
    /// Those of them that are taken by what is drawn from.
    pub held: u64,
    /// Bytes that are made of every distinct cell afterwards.
    pub row: u64,
    /// Who may ask it to end.
    pub stop: &'a Stop,
}

/// Why there is no sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undrawn {
    /// It was asked to end.
    Interrupted,
    /// It takes at least so many bytes.
    Large(u64),
}

impl Draws<'_> {
    /// About how many operations the draws take: a search for each mode, and sorting the cells.
    pub fn operations(&self, modes: usize) -> f64 {
        self.count as f64 * (16.0 + 4.0 * modes as f64)
    }

    /// Why there is no sample, in words.
    pub fn report(&self, why: Undrawn) -> Box<Diagnostic> {
        let name = self.name;
        Box::new(match why {
            Undrawn::Interrupted => {
                Diagnostic::new(Code::MBA542, format!("a sample of `{name}` was interrupted"))
                    .at(self.span, "asked for here")
                    .help("give it more time, or ask for fewer records")
            }
            Undrawn::Large(bytes) => {
                let message = format!("a sample of `{name}` is more than the memory budget holds");
                Diagnostic::new(Code::MBA504, message)
                    .at(self.span, "asked for here")
                    .note(format!("its distinct records need {:.1e} bytes or more", bytes as f64))
                    .help("ask for fewer records or for a marginal, or allow more with `--memory`")
            }
        })
    }
}

impl Distribution {
    /// `n` independent draws, counted: distinct cells in lexicographic order with how often each was drawn.
    /// Ancestral sampling from the roots down; every chunk of draws has a stream of its own, 2¹²⁸ numbers
    /// from the next. O(n · cliques · log of the clique size).
    pub fn sample(&self, n: usize, seed: u64) -> Sparse {
        let room = Room { memory: u64::MAX, held: 0, row: 0, stop: &Stop::default() };
        self.draw(n, seed, &room).unwrap_or_else(|_| {
            let shape = self.shape();
            let coordinates = shape.iter().map(|n| Indices::new(*n, std::iter::empty())).collect();
            Sparse { shape, coordinates, values: Buffer::new(Vec::new()) }
        })
    }

    /// The same, unless it takes more than it may.
    ///
    /// # Errors
    /// MBA504 when its records do not fit the memory budget; MBA542 when it is asked to end.
    pub fn sample_within(&self, draws: &Draws<'_>) -> Result<Sparse, Box<Diagnostic>> {
        let limits = draws.limits;
        let operations = draws.operations(self.modes.len());
        let stop = limits.patience.leave(operations).ok_or_else(|| draws.report(Undrawn::Interrupted))?;
        let cells = || self.cliques.iter().map(|c| c.belief.cells() as u64);
        // running sums of every clique, and one more table while they are made
        let held = cells().sum::<u64>().saturating_add(cells().max().unwrap_or(0)).saturating_mul(8);
        let room = Room { memory: limits.memory, held, row: draws.row, stop: &stop };
        self.draw(draws.count, draws.seed, &room).map_err(|why| draws.report(why))
    }

    fn draw(&self, n: usize, seed: u64, room: &Room<'_>) -> Result<Sparse, Undrawn> {
        room.takes(0, 0)?;
        let tables: Vec<Cumulative> = (0..self.cliques.len()).map(|i| Cumulative::new(self, i)).collect();
        let draw = |rng: &mut Xoshiro256PlusPlus, cell: &mut [u32]| {
            for table in &tables {
                table.draw(rng, cell);
            }
        };
        counted(n, seed, self.shape(), room, draw)
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

impl Room<'_> {
    /// Whether so many bytes, and a row for each of so many distinct cells, are not too many.
    fn takes(&self, bytes: u64, distinct: usize) -> Result<(), Undrawn> {
        let rows = self.row.saturating_mul(distinct as u64);
        let all = self.held.saturating_add(bytes).saturating_add(rows);
        if all > self.memory { Err(Undrawn::Large(all)) } else { Ok(()) }
    }
}

/// `n` cells that `draw` makes, counted: distinct cells in lexicographic order. Every chunk of draws has a
/// stream of its own, 2¹²⁸ numbers from the next, so that the sample does not depend on the threads. Chunks are
/// merged as they come, so that it takes what its distinct cells take; counts are whole, so that their order does
/// not matter.
pub(super) fn counted(
    n: usize,
    seed: u64,
    shape: Vec<usize>,
    room: &Room<'_>,
    draw: impl Fn(&mut Xoshiro256PlusPlus, &mut [u32]) + Sync,
) -> Result<Sparse, Undrawn> {
    let width = shape.len();
    let bytes_of = |cells: usize| (cells as u64).saturating_mul(4 * width as u64 + 8);
    let chunk = bytes_of(CHUNK.min(n));
    room.takes(chunk, 1.min(n))?;
    let at_once = (room.memory.saturating_sub(room.held) / (4 * chunk).max(1)).clamp(1, AT_ONCE);
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut left = n;
    // sorted, each at least about twice as long as the next, so that merging takes O(n log n) all together
    let mut runs: Vec<Counted> = Vec::new();
    while left > 0 {
        let mut streams: Vec<(usize, Xoshiro256PlusPlus)> = Vec::new();
        while left > 0 && (streams.len() as u64) < at_once {
            let count = CHUNK.min(left);
            streams.push((count, stream.clone()));
            stream.jump();
            left -= count;
        }
        let drawn = share::pieces(true, streams.len(), |k| {
            if room.stop.asked() {
                return None;
            }
            let (count, mut rng) = streams[k].clone();
            let mut cells = vec![0u32; count * width];
            for cell in cells.chunks_mut(width.max(1)) {
                draw(&mut rng, cell);
            }
            Some(Counted { width, cells, counts: vec![1.0; count] }.merged())
        });
        let drawn: Option<Vec<Counted>> = drawn.into_iter().collect();
        runs.push(Counted::all(drawn.ok_or(Undrawn::Interrupted)?, width));
        while let [.., before, last] = runs.as_slice()
            && before.counts.len() < 2 * last.counts.len()
        {
            let both = before.with(last);
            runs.truncate(runs.len() - 2);
            runs.push(both);
        }
        // what is merged is there twice
        let held: u64 = runs.iter().map(|run| bytes_of(run.counts.len())).sum();
        let distinct = runs.iter().map(|run| run.counts.len()).max().unwrap_or(0);
        room.takes(held.saturating_mul(2), distinct)?;
    }
    while let [.., before, last] = runs.as_slice() {
        let both = before.with(last);
        runs.truncate(runs.len() - 2);
        runs.push(both);
    }
    let all = Counted::all(runs, width);
    room.takes(bytes_of(all.counts.len()).saturating_mul(2), all.counts.len())?;
    let column = |(d, n): (usize, &usize)| Indices::new(*n, all.cells.iter().skip(d).step_by(width).copied());
    let coordinates = shape.iter().enumerate().map(column).collect();
    Ok(Sparse { shape, coordinates, values: Buffer::new(all.counts) })
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

    /// The cells of both, sorted, as those of each are.
    fn with(&self, other: &Self) -> Self {
        let mut out = Self { width: self.width, cells: Vec::new(), counts: Vec::new() };
        let (mut i, mut k) = (0, 0);
        loop {
            let order = match (i < self.counts.len(), k < other.counts.len()) {
                (false, false) => return out,
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (true, true) => self.row(i).cmp(other.row(k)),
            };
            let (row, mut count) = match order {
                Ordering::Greater => (other.row(k), 0.0),
                _ => (self.row(i), self.counts[i]),
            };
            if order != Ordering::Greater {
                i += 1;
            }
            if order != Ordering::Less {
                count += other.counts[k];
                k += 1;
            }
            out.cells.extend_from_slice(row);
            out.counts.push(count);
        }
    }

    /// The cells of all, sorted, as those of each are.
    fn all(mut runs: Vec<Self>, width: usize) -> Self {
        while runs.len() > 1 {
            let odd = if runs.len() % 2 == 1 { runs.pop() } else { None };
            runs = share::pieces(true, runs.len() / 2, |k| runs[2 * k].with(&runs[2 * k + 1]));
            runs.extend(odd);
        }
        runs.pop().unwrap_or(Self { width, cells: Vec::new(), counts: Vec::new() })
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
