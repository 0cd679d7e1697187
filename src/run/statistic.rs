//! Marginals of the data, several from one pass, read in the data's own number type.

use std::ops::Range;

use super::kernel::accumulate;
use super::projection::Projection;
use super::sum::Compensated;
use super::vector::{LANES, kept, vectorised};
use super::weigh::weigh;
use crate::data::{
    Dense, Element, Found, IndexType, Indices, Onlooker, Sparse, Storage, Summary, Tensor, Values,
};
use crate::model::Scope;
use crate::model::table::strides;
use crate::numeric::share;
use crate::plan::Schedule;
use crate::plan::schedule::Instruction;
use crate::with_indices;

/// What one pass over the data finds.
pub struct Statistics {
    /// One table per scope asked for, row-major, summing to one.
    pub tables: Vec<Vec<f64>>,
    /// Σ p ln p over the cells, in nats.
    pub negative_entropy: f64,
    /// The sum of all cells.
    pub total: f64,
    /// Cells read.
    pub read: usize,
    /// How many observed cells are zero, where dense data are read through a mask.
    pub zeros: Option<usize>,
}

/// Cells that are read from two places at a time.
const STRIP: usize = 4096;

/// Cells of a block: small enough for the cache, large enough for long inner loops.
const BLOCK: usize = crate::plan::cost::BLOCK as usize;

/// Groups of blocks with private tables; fixed, so that sums do not depend on the threads.
const GROUPS: usize = crate::plan::cost::GROUPS as usize;

/// Cells for each cell of the marginals that are taken while the data are read.
const KEPT: usize = 16;

/// Sums `tensor` to each scope. O(cells stored × scopes); none when the data have no mass.
pub fn gather(tensor: &Tensor, scopes: &[(&Scope, usize)]) -> Option<Statistics> {
    let sums = match &*tensor.storage {
        Storage::Dense(dense) => match found(dense, scopes) {
            Some(sums) => sums,
            None => dense_sums(dense, scopes, false)?.0,
        },
        Storage::Sparse(sparse) => gather_sparse(sparse, scopes),
    };
    let Sums { mut tables, total, x_ln_x, read, zeros } = sums;
    if total <= 0.0 || !total.is_finite() {
        return None;
    }
    for value in tables.iter_mut().flatten() {
        *value /= total;
    }
    Some(Statistics { tables, negative_entropy: x_ln_x / total - total.ln(), total, read, zeros })
}

/// Sums over the data, not normalised.
#[derive(Default)]
struct Sums {
    tables: Vec<Vec<f64>>,
    total: f64,
    x_ln_x: f64,
    read: usize,
    zeros: Option<usize>,
}

/// What was found while the data were read, when it is all that is asked for.
fn found(dense: &Dense, scopes: &[(&Scope, usize)]) -> Option<Sums> {
    let found = dense.found.as_ref()?;
    let own =
        |scope: &Scope| found.marginals.iter().find(|(s, _)| s == scope).map(|(_, table)| table.clone());
    let tables: Option<Vec<_>> = scopes.iter().map(|(scope, _)| own(scope)).collect();
    let read = dense.shape.iter().product();
    Some(Sums { tables: tables?, total: found.total, x_ln_x: found.x_ln_x, read, zeros: found.zeros })
}

/// Takes the marginals a schedule begins with while the data are read and checked.
#[derive(Debug)]
pub struct Reduction {
    scopes: Vec<(Scope, usize)>,
}

impl Reduction {
    /// The marginals of a schedule that begins with some.
    pub fn of(schedule: &Schedule) -> Option<Self> {
        if let Some(work) = schedule.rank_one() {
            // numbers of levels, which doubles hold
            let side = |m: usize, size: f64| (Scope::from([m]), size as usize);
            return Some(Self { scopes: vec![side(0, work.sides.0), side(1, work.sides.1)] });
        }
        let tables = schedule.steps.iter().find_map(|step| match &step.instruction {
            Instruction::Reduce { tables } => Some(tables),
            _ => None,
        })?;
        let buffers = tables.iter().map(|id| &schedule.buffers[id.0]);
        Some(Self { scopes: buffers.map(|b| (b.scope.clone(), b.shape.iter().product())).collect() })
    }
}

impl Onlooker for Reduction {
    fn look(&self, dense: &Dense) -> Option<(Found, Summary)> {
        let cells: usize = dense.shape.iter().product();
        let kept: usize = self.scopes.iter().map(|(_, n)| n).sum();
        let fits = |(scope, n): &(Scope, usize)| {
            scope.iter().try_fold(1, |all, m| Some(all * dense.shape.get(m)?)) == Some(*n)
        };
        // the marginals stay with the data: only where they are small beside them
        if kept > cells / KEPT || !self.scopes.iter().all(fits) {
            return None;
        }
        let scopes: Vec<(&Scope, usize)> = self.scopes.iter().map(|(s, n)| (s, *n)).collect();
        let (sums, summary) = dense_sums(dense, &scopes, true)?;
        let marginals = self.scopes.iter().map(|(s, _)| s.clone()).zip(sums.tables).collect();
        let Sums { total, x_ln_x, zeros, .. } = sums;
        Some((Found { total, x_ln_x, marginals, zeros }, summary))
    }
}

/// Sums over dense numbers and, where they are to be checked, what a look at each of them says; none when
/// some number is not allowed.
fn dense_sums(dense: &Dense, scopes: &[(&Scope, usize)], check: bool) -> Option<(Sums, Summary)> {
    if let Values::F64(values) = &dense.values
        && let Some((numbers, observed)) = values.through()
        && dense.strides == strides(&dense.shape)
    {
        return dense_pass(dense, numbers, Some(observed), scopes, check);
    }
    crate::with_values!(&dense.values, values => dense_pass(dense, values, None, scopes, check))
}

/// Doubles that lie together are read where they are, others converted. Through a mask that is `observed` the values
/// are doubles in row-major order, and the others count as zero.
fn dense_pass<T: Element>(
    dense: &Dense,
    values: &[T],
    observed: Option<&[bool]>,
    scopes: &[(&Scope, usize)],
    check: bool,
) -> Option<(Sums, Summary)> {
    let cells: usize = dense.shape.iter().product();
    if cells == 0 {
        let tables = scopes.iter().map(|(_, n)| vec![0.0; *n]).collect();
        return Some((Sums { tables, ..Sums::default() }, Summary::default()));
    }
    let walk = Walk::new(dense, scopes);
    let private: usize = scopes.iter().map(|(_, n)| *n).sum();
    // private tables are worth their memory only when they are small beside the data
    let groups = if private.saturating_mul(GROUPS) <= cells / 4 { GROUPS.min(walk.blocks) } else { 1 };
    let run = |group: usize| {
        let blocks = group * walk.blocks / groups..(group + 1) * walk.blocks / groups;
        walk.sum(blocks, scopes, values, observed, check)
    };
    let mut all = Group::default();
    for part in share::pieces(cells >= share::PASS, groups, run) {
        all.join(part?);
    }
    let Group { tables, total, x_ln_x, zeros, summary } = all;
    let zeros = observed.map(|_| zeros);
    Some((Sums { tables, total: total.value(), x_ln_x: x_ln_x.value(), read: cells, zeros }, summary))
}

/// Sums over some of the blocks.
#[derive(Default)]
struct Group {
    tables: Vec<Vec<f64>>,
    total: Compensated,
    x_ln_x: Compensated,
    zeros: usize,
    summary: Summary,
}

impl Group {
    /// Adds those over the blocks that follow.
    fn join(&mut self, next: Self) {
        self.summary.join(&next.summary);
        self.zeros += next.zeros;
        self.total.add(next.total.value());
        self.x_ln_x.add(next.x_ln_x.value());
        if self.tables.is_empty() {
            self.tables = next.tables;
        } else {
            for (table, own) in self.tables.iter_mut().zip(next.tables) {
                table.iter_mut().zip(own).for_each(|(t, o)| *t += o);
            }
        }
    }
}

/// The blocks of an array, in the order it is stored. Trailing axes, and a range of the axis before them, make a
/// block; a block is summed to small tables, the smaller of them from the larger, and those are added to the
/// marginals.
struct Walk<'a> {
    dense: &'a Dense,
    /// The axes before the range.
    outer: Vec<usize>,
    /// The axis of which a block has a range.
    ranged: Option<usize>,
    /// Levels of a range.
    most: usize,
    /// How many ranges there are.
    pieces: usize,
    blocks: usize,
    /// How a block is summed.
    full: BlockPlan,
    /// How one with the last range is, which may be shorter.
    last: BlockPlan,
    /// How far a step along each axis of the array leads in each marginal.
    strides: Vec<Vec<usize>>,
}

impl<'a> Walk<'a> {
    fn new(dense: &'a Dense, scopes: &[(&Scope, usize)]) -> Self {
        let mut axes: Vec<usize> = (0..dense.shape.len()).filter(|a| dense.shape[*a] != 1).collect();
        axes.sort_by_key(|a| std::cmp::Reverse((dense.strides[*a], dense.shape[*a])));
        let extent = |a: &usize| dense.shape[*a];
        let mut cut = axes.len();
        let mut whole = 1;
        while cut > 0 && whole * extent(&axes[cut - 1]) <= BLOCK {
            cut -= 1;
            whole *= extent(&axes[cut]);
        }
        let inner = axes.split_off(cut);
        let ranged = axes.pop();
        let range = ranged.as_ref().map_or(1, extent);
        let most = (BLOCK / whole).clamp(1, range);
        let pieces = range.div_ceil(most);
        let table_strides = |(scope, _): &(&Scope, usize)| {
            let sizes: Vec<usize> = scope.iter().map(|m| dense.shape[m]).collect();
            let own = strides(&sizes);
            let of = |a: usize| scope.position(a).and_then(|p| own.get(p)).copied().unwrap_or(0);
            (0..dense.shape.len()).map(of).collect()
        };
        let strides: Vec<Vec<usize>> = scopes.iter().map(table_strides).collect();
        // a block that takes `length` steps along the ranged axis
        let plan = |length: usize| {
            let axes = ranged.iter().map(|a| (*a, length)).chain(inner.iter().map(|a| (*a, extent(a))));
            BlockPlan::new(&axes.collect::<Vec<_>>(), &dense.strides, scopes, &strides)
        };
        Self {
            dense,
            ranged,
            most,
            pieces,
            blocks: pieces * axes.iter().map(extent).product::<usize>(),
            full: plan(most),
            last: plan(range - (pieces - 1) * most),
            outer: axes,
            strides,
        }
    }

    /// Sums over some blocks; none when some number is not allowed.
    fn sum<T: Element>(
        &self,
        blocks: Range<usize>,
        scopes: &[(&Scope, usize)],
        values: &[T],
        observed: Option<&[bool]>,
        check: bool,
    ) -> Option<Group> {
        let tables = scopes.iter().map(|(_, n)| vec![0.0; *n]).collect();
        let mut own = Group { tables, ..Group::default() };
        let mut buffer = Vec::new();
        let mut local: Vec<Vec<f64>> = self.full.sums.iter().map(|s| vec![0.0; s.cells]).collect();
        let mut index = vec![0; self.outer.len()];
        for b in blocks {
            let piece = b % self.pieces;
            let mut rest = b / self.pieces;
            for (slot, a) in index.iter_mut().zip(&self.outer).rev() {
                *slot = rest % self.dense.shape[*a];
                rest /= self.dense.shape[*a];
            }
            let at = |strides: &[usize]| -> usize {
                let outer: usize = index.iter().zip(&self.outer).map(|(i, a)| i * strides[*a]).sum();
                outer + self.ranged.map_or(0, |a| piece * self.most * strides[a])
            };
            let plan = if piece + 1 == self.pieces { &self.last } else { &self.full };
            let from = at(&self.dense.strides);
            let block = match (observed, T::doubles(values)) {
                (Some(observed), Some(doubles)) => {
                    let cells = from..from + plan.cells;
                    buffer.resize(plan.cells, 0.0);
                    own.zeros += select(&doubles[cells.clone()], &observed[cells], &mut buffer);
                    &buffer
                }
                _ => plan.block(&values[from..], &mut buffer),
            };
            // the logarithms hide what it takes to fetch the block, which is near from then on
            let weight = weigh(block);
            if check {
                own.summary.take(block, &weight)?;
            }
            own.total.join(weight.total);
            own.x_ln_x.add(weight.x_ln_x);
            plan.sum(block, &mut local);
            for ((table, (k, onto)), strides) in own.tables.iter_mut().zip(&plan.targets).zip(&self.strides) {
                accumulate(onto, &local[*k][..plan.sums[*k].cells], &mut table[at(strides)..]);
            }
        }
        Some(own)
    }
}

vectorised! {
    /// The values that are observed, and zero for the others; how many of those that are observed are zero. Two
    /// places of memory are read at a time, so that while one waits for its page the other goes on.
    select(values: &'a [f64], observed: &'a [bool], onto: &'a mut [f64]) -> usize {
        let mut zeros = [0u64; 2 * LANES];
        let cells = |values: &[f64], observed: &[bool], onto: &mut [f64], zeros: &mut [u64]| {
            for (((x, seen), out), zeros) in values.iter().zip(observed).zip(onto).zip(zeros) {
                *out = kept(*seen, *x);
                *zeros += u64::from(*seen & (*x == 0.0));
            }
        };
        let strips = values.chunks(STRIP).zip(observed.chunks(STRIP)).zip(onto.chunks_mut(STRIP));
        for ((values, observed), onto) in strips {
            let half = values.len() / (2 * LANES) * LANES;
            let (x, y) = values.split_at(half);
            let (seen, beside) = observed.split_at(half);
            let (out, over) = onto.split_at_mut(half);
            let ((y, y_rest), (beside, beside_rest)) = (y.as_chunks::<LANES>(), beside.as_chunks::<LANES>());
            let (over, over_rest) = over.as_chunks_mut::<LANES>();
            let left = x.as_chunks::<LANES>().0.iter().zip(seen.as_chunks::<LANES>().0);
            let left = left.zip(out.as_chunks_mut::<LANES>().0);
            let mut right = y.iter().zip(beside).zip(over);
            let [of_left, of_right] = zeros.as_chunks_mut::<LANES>().0 else { break };
            for (((x, seen), out), ((y, beside), over)) in left.zip(right.by_ref()) {
                cells(x, seen, out, of_left);
                cells(y, beside, over, of_right);
            }
            right.for_each(|((y, beside), over)| cells(y, beside, over, of_right));
            cells(y_rest, beside_rest, over_rest, of_left);
        }
        zeros.iter().sum::<u64>() as usize
    }
}

/// How a block of some size is summed.
struct BlockPlan {
    /// The block's cells, as they lie in the array.
    source: Projection,
    cells: usize,
    /// Whether they lie there one after the other.
    together: bool,
    /// Small tables, larger ones first.
    sums: Vec<LocalSum>,
    /// For each marginal the small table that is added to it, and where its cells go.
    targets: Vec<(usize, Projection)>,
}

/// A sum of a block over some of its axes.
struct LocalSum {
    cells: usize,
    /// The small table it is summed from; none is the block itself.
    from: Option<usize>,
    way: Projection,
}

impl BlockPlan {
    /// For a block of these axes and lengths, in the order in which they are stored.
    fn new(
        axes: &[(usize, usize)],
        data_strides: &[usize],
        scopes: &[(&Scope, usize)],
        table_strides: &[Vec<usize>],
    ) -> Self {
        let local = |scope: &Scope| -> Vec<usize> {
            (0..axes.len()).filter(|k| scope.contains(axes[*k].0)).collect()
        };
        let count = |own: &[usize]| -> usize { own.iter().map(|k| axes[*k].1).product() };
        let mut kept: Vec<Vec<usize>> = scopes.iter().map(|(s, _)| local(s)).collect();
        kept.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        kept.dedup();
        // axes of a table over `own`, with the strides of its sum over `onto`
        let way = |own: &[usize], onto: &[usize]| {
            let steps = strides(&onto.iter().map(|k| axes[*k].1).collect::<Vec<_>>());
            let step = |k: &usize| onto.iter().position(|o| o == k).map_or(0, |p| steps[p]);
            Projection::strided(own.iter().map(|k| (axes[*k].1, step(k))))
        };
        let all: Vec<usize> = (0..axes.len()).collect();
        let mut sums: Vec<LocalSum> = Vec::new();
        for (i, own) in kept.iter().enumerate() {
            let holds = (0..i).filter(|j| own.iter().all(|k| kept[*j].contains(k)));
            let from = holds.min_by_key(|j| sums[*j].cells);
            let way = way(from.map_or(all.as_slice(), |j| kept[j].as_slice()), own);
            sums.push(LocalSum { cells: count(own), from, way });
        }
        let target = |((scope, _), table): (&(&Scope, usize), &Vec<usize>)| {
            let own = local(scope);
            let k = kept.iter().position(|o| *o == own).unwrap_or(0);
            (k, Projection::strided(own.iter().map(|k| (axes[*k].1, table[axes[*k].0]))))
        };
        let source = Projection::strided(axes.iter().map(|(a, n)| (*n, data_strides[*a])));
        let cells = count(&all);
        Self {
            together: source.in_order(cells),
            source,
            cells,
            sums,
            targets: scopes.iter().zip(table_strides).map(target).collect(),
        }
    }

    /// The cells of the block that starts `values`, as doubles.
    fn block<'a, T: Element>(&self, values: &'a [T], buffer: &'a mut Vec<f64>) -> &'a [f64] {
        if let (true, Some(doubles)) = (self.together, T::doubles(values)) {
            return &doubles[..self.cells];
        }
        buffer.resize(self.cells, 0.0);
        pulp::Arch::new().dispatch(Convert { source: &self.source, values, out: buffer });
        buffer
    }

    /// All small tables of a block.
    fn sum(&self, block: &[f64], local: &mut [Vec<f64>]) {
        for (i, sum) in self.sums.iter().enumerate() {
            let (before, rest) = local.split_at_mut(i);
            let onto = &mut rest[0][..sum.cells];
            onto.fill(0.0);
            match sum.from {
                Some(j) => accumulate(&sum.way, &before[j][..self.sums[j].cells], onto),
                None => accumulate(&sum.way, block, onto),
            }
        }
    }
}

struct Convert<'a, T> {
    source: &'a Projection,
    values: &'a [T],
    out: &'a mut [f64],
}

impl<T: Element> pulp::WithSimd for Convert<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { source, values, out } = self;
        let (length, stride) = source.inner();
        source.runs(|to, from| {
            let out = &mut out[to..to + length];
            match stride {
                0 => out.fill(values[from].to_f64()),
                1 => out.iter_mut().zip(&values[from..]).for_each(|(o, v)| *o = v.to_f64()),
                _ => {
                    let cells = values[from..].iter().step_by(stride);
                    out.iter_mut().zip(cells).for_each(|(o, v)| *o = v.to_f64());
                }
            }
        });
    }
}

/// Cells a thread takes at a time.
const SHARE: usize = 1 << 17;

/// Stored cells that are added to one table after the other while the nearest cache has them.
const TURN: usize = 2048;

/// Coordinates are walked in fixed shares, each summed to private tables that are added in order; where
/// tables are large beside the shares, each table is one walk instead.
fn gather_sparse(sparse: &Sparse, scopes: &[(&Scope, usize)]) -> Sums {
    let cells = sparse.values.len();
    let columns: Vec<Vec<(&Indices, usize)>> = scopes
        .iter()
        .map(|(scope, _)| {
            let sizes: Vec<usize> = scope.iter().map(|m| sparse.shape[m]).collect();
            scope.iter().map(|m| &sparse.coordinates[m]).zip(strides(&sizes)).collect()
        })
        .collect();
    let shares = cells.div_ceil(SHARE).clamp(1, GROUPS);
    let private: usize = scopes.iter().map(|(_, n)| *n).sum();
    let shares = if private.saturating_mul(shares) <= cells { shares } else { 1 };
    // a share takes all tables in turn, so that its cells are read once; without shares a table is a job
    let together = if shares == 1 { 1 } else { scopes.len().max(1) };
    let jobs: Vec<(usize, usize)> = (0..shares)
        .flat_map(|share| (0..scopes.len()).step_by(together).map(move |first| (share, first)))
        .collect();
    let parts: Vec<Vec<Vec<f64>>> = share::pieces(cells * scopes.len() >= SHARE, jobs.len(), |job| {
        let (share, first) = jobs[job];
        let own = first..first + together;
        let mut tables: Vec<Vec<f64>> = scopes[own.clone()].iter().map(|(_, n)| vec![0.0; *n]).collect();
        let (start, end) = (share * cells / shares, (share + 1) * cells / shares);
        for turn in (start..end).step_by(TURN) {
            for (columns, table) in columns[own.clone()].iter().zip(&mut tables) {
                histogram(columns, &sparse.values, turn..end.min(turn + TURN), table);
            }
        }
        tables
    });
    let mut tables: Vec<Vec<f64>> = Vec::new();
    for (i, own) in parts.into_iter().flatten().enumerate() {
        if i < scopes.len() {
            tables.push(own);
        } else {
            tables[i % scopes.len()].iter_mut().zip(own).for_each(|(t, o)| *t += o);
        }
    }
    let (mut total, mut x_ln_x) = (Compensated::default(), Compensated::default());
    for part in sparse.values.chunks(BLOCK) {
        let weight = weigh(part);
        total.join(weight.total);
        x_ln_x.add(weight.x_ln_x);
    }
    Sums { tables, total: total.value(), x_ln_x: x_ln_x.value(), read: cells, zeros: None }
}

/// Adds some cells to the table of their columns.
fn histogram(columns: &[(&Indices, usize)], values: &[f64], cells: Range<usize>, table: &mut [f64]) {
    if let [(first, step), (second, 1)] = columns {
        return with_indices!(first, first => with_indices!(second, second => {
            let indices = first[cells.clone()].iter().zip(&second[cells.clone()]);
            for ((i, j), value) in indices.zip(&values[cells]) {
                table[i.place() * step + j.place()] += value;
            }
        }));
    }
    let mut place = [0usize; 1024];
    let Range { mut start, end } = cells;
    while start < end {
        let stop = end.min(start + place.len());
        let place = &mut place[..stop - start];
        place.fill(0);
        for (column, stride) in columns {
            with_indices!(column, column => {
                place.iter_mut().zip(&column[start..stop]).for_each(|(p, i)| *p += i.place() * stride);
            });
        }
        for (p, value) in place.iter().zip(&values[start..stop]) {
            table[*p] += value;
        }
        start = stop;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn tensor(dense: Dense) -> Tensor {
        let storage = Arc::new(Storage::Dense(dense));
        Tensor { name: "x".into(), modes: Vec::new(), storage, total: 1.0, counts: false, mask: None }
    }

    #[test]
    fn sums_taken_while_reading_have_the_bits_of_those_taken_later() {
        let shape = vec![40, 30, 50];
        let values: Vec<f64> = (0..60_000).map(|k| f64::from(k * 7 % 1013) / 8.0).collect();
        let scopes: Vec<(Scope, usize)> = [vec![0, 1], vec![2]]
            .into_iter()
            .map(|own: Vec<usize>| (own.iter().copied().collect(), own.iter().map(|m| shape[*m]).product()))
            .collect();
        let asked: Vec<(&Scope, usize)> = scopes.iter().map(|(s, n)| (s, *n)).collect();
        let plain = Dense::row_major(shape, values.clone());
        let later = gather(&tensor(plain.clone()), &asked).expect("mass");
        let reduction = Reduction { scopes: scopes.clone() };
        let (found, summary) = reduction.look(&plain).expect("all are allowed");
        assert_eq!(summary.allowed(), Some((values.iter().sum(), false)));
        let seen = tensor(Dense { found: Some(Arc::new(found)), ..plain.clone() });
        let earlier = gather(&seen, &asked).expect("mass");
        assert_eq!(earlier.tables, later.tables);
        assert_eq!((earlier.total, earlier.negative_entropy), (later.total, later.negative_entropy));
        // other marginals than those taken are summed afresh
        let other: Scope = [1].into_iter().collect();
        let fresh = [(&other, 30)];
        assert_eq!(gather(&seen, &fresh).map(|s| s.tables), gather(&tensor(plain), &fresh).map(|s| s.tables));
    }

    #[test]
    fn what_is_observed_is_selected_in_blocks_of_any_length() {
        for n in [0usize, 1, 15, 16, 31, 32, 33, 47, 48, 4095, 4096, 4097, 4127, 9000] {
            let hidden = |k: usize| if k.is_multiple_of(2) { f64::NAN } else { f64::INFINITY };
            let seen: Vec<bool> = (0..n).map(|k| k * k % 5 != 1).collect();
            let of = |k: usize| if !seen[k] { hidden(k) } else { (k % 3) as f64 };
            let values: Vec<f64> = (0..n).map(of).collect();
            let mut onto = vec![7.0; n];
            let zeros = select(&values, &seen, &mut onto);
            let want: Vec<f64> = (0..n).map(|k| if seen[k] { values[k] } else { 0.0 }).collect();
            assert_eq!(onto, want, "{n}");
            assert_eq!(zeros, (0..n).filter(|k| seen[*k] && values[*k] == 0.0).count(), "{n}");
        }
    }

    #[test]
    fn nothing_is_found_in_numbers_that_are_not_allowed() {
        let scopes = vec![([0].into_iter().collect(), 40)];
        for wrong in [-1.0, f64::NAN, f64::INFINITY, -f64::MIN_POSITIVE] {
            let mut values = vec![1.0; 4000];
            values[3999] = wrong;
            let reduction = Reduction { scopes: scopes.clone() };
            assert!(reduction.look(&Dense::row_major(vec![40, 100], values)).is_none(), "{wrong}");
        }
    }
}
