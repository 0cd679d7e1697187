//! Marginals of the data, several from one pass, read in the data's own number type.

use rayon::prelude::*;

use super::kernel::accumulate;
use super::projection::Projection;
use super::sum::{Compensated, p_ln_p, sum};
use crate::data::{Dense, Element, Sparse, Storage, Tensor};
use crate::model::Scope;
use crate::model::table::strides;

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
}

/// Cells of a block: small enough for the cache, large enough for long inner loops.
const BLOCK: usize = 1 << 16;

/// Groups of blocks with private tables; fixed, so that sums do not depend on the threads.
const GROUPS: usize = 8;

/// Sums `tensor` to each scope. O(cells stored × scopes); none when the data have no mass.
pub fn gather(tensor: &Tensor, scopes: &[(&Scope, usize)]) -> Option<Statistics> {
    let (mut tables, total, x_ln_x, read) = match &*tensor.storage {
        Storage::Dense(dense) => gather_dense(dense, scopes),
        Storage::Sparse(sparse) => gather_sparse(sparse, scopes),
    };
    if total <= 0.0 || !total.is_finite() {
        return None;
    }
    for value in tables.iter_mut().flatten() {
        *value /= total;
    }
    Some(Statistics { tables, negative_entropy: x_ln_x / total - total.ln(), total, read })
}

type Sums = (Vec<Vec<f64>>, f64, f64, usize);

fn gather_dense(dense: &Dense, scopes: &[(&Scope, usize)]) -> Sums {
    crate::with_values!(&dense.values, values => dense_pass(dense, values, scopes))
}

/// The array is walked in the order it is stored. Trailing axes, and a range of the axis before them,
/// make a block, which is converted to doubles once and then summed into every table.
fn dense_pass<T: Element>(dense: &Dense, values: &[T], scopes: &[(&Scope, usize)]) -> Sums {
    let mut axes: Vec<usize> = (0..dense.shape.len()).filter(|a| dense.shape[*a] != 1).collect();
    axes.sort_by_key(|a| std::cmp::Reverse((dense.strides[*a], dense.shape[*a])));
    let extent = |a: &usize| dense.shape[*a];
    let cells: usize = axes.iter().map(extent).product();
    if cells == 0 {
        return (scopes.iter().map(|(_, n)| vec![0.0; *n]).collect(), 0.0, 0.0, 0);
    }
    let mut cut = axes.len();
    let mut whole = 1;
    while cut > 0 && whole * extent(&axes[cut - 1]) <= BLOCK {
        cut -= 1;
        whole *= extent(&axes[cut]);
    }
    let (outer, inner) = axes.split_at(cut);
    let (outer, ranged) = outer.split_at(cut.saturating_sub(1));
    let range = ranged.first().map_or(1, extent);
    let most = (BLOCK / whole).clamp(1, range);
    let pieces = range.div_ceil(most);

    let table_strides: Vec<Vec<usize>> = scopes
        .iter()
        .map(|(scope, _)| {
            let sizes: Vec<usize> = scope.iter().map(|m| dense.shape[m]).collect();
            let own = strides(&sizes);
            let of = |a: usize| scope.position(a).and_then(|p| own.get(p)).copied().unwrap_or(0);
            (0..dense.shape.len()).map(of).collect()
        })
        .collect();
    // projections of a block that takes `length` steps along the ranged axis
    let plan = |length: usize| {
        let axes = || ranged.iter().map(move |a| (length, *a)).chain(inner.iter().map(|a| (extent(a), *a)));
        let source = Projection::strided(axes().map(|(n, a)| (n, dense.strides[a])));
        let onto = |s: &Vec<usize>| Projection::strided(axes().map(|(n, a)| (n, s[a])));
        (source, table_strides.iter().map(onto).collect::<Vec<_>>())
    };
    let full = plan(most);
    let last = plan(range - (pieces - 1) * most);

    let blocks = pieces * outer.iter().map(extent).product::<usize>();
    let private: usize = scopes.iter().map(|(_, n)| *n).sum();
    // private tables are worth their memory only when they are small beside the data
    let groups = if private.saturating_mul(GROUPS) <= cells / 4 { GROUPS.min(blocks) } else { 1 };
    let run = |group: usize| -> (Vec<Vec<f64>>, Compensated, Compensated) {
        let mut tables: Vec<Vec<f64>> = scopes.iter().map(|(_, n)| vec![0.0; *n]).collect();
        let mut buffer = vec![0.0; most * whole];
        let (mut total, mut x_ln_x) = (Compensated::default(), Compensated::default());
        let mut index = vec![0; outer.len()];
        for b in group * blocks / groups..(group + 1) * blocks / groups {
            let piece = b % pieces;
            let mut rest = b / pieces;
            for (slot, a) in index.iter_mut().zip(outer).rev() {
                *slot = rest % extent(a);
                rest /= extent(a);
            }
            let at = |strides: &[usize]| -> usize {
                let outer: usize = index.iter().zip(outer).map(|(i, a)| i * strides[*a]).sum();
                outer + ranged.first().map_or(0, |a| piece * most * strides[*a])
            };
            let short = piece + 1 == pieces;
            let (source, onto) = if short { &last } else { &full };
            let length = if short { range - piece * most } else { most };
            let buffer = &mut buffer[..length * whole];
            convert(source, &values[at(&dense.strides)..], buffer);
            for ((table, own), strides) in tables.iter_mut().zip(onto).zip(&table_strides) {
                accumulate(own, buffer, &mut table[at(strides)..]);
            }
            total.add(sum(buffer));
            buffer.iter_mut().for_each(|x| *x = p_ln_p(*x));
            x_ln_x.add(sum(buffer));
        }
        (tables, total, x_ln_x)
    };
    let parts: Vec<_> = (0..groups).into_par_iter().map(run).collect();
    let (mut total, mut x_ln_x) = (Compensated::default(), Compensated::default());
    let mut tables: Vec<Vec<f64>> = Vec::new();
    for (own, t, x) in parts {
        total.add(t.value());
        x_ln_x.add(x.value());
        if tables.is_empty() {
            tables = own;
        } else {
            for (table, own) in tables.iter_mut().zip(own) {
                table.iter_mut().zip(own).for_each(|(t, o)| *t += o);
            }
        }
    }
    (tables, total.value(), x_ln_x.value(), cells)
}

fn convert<T: Element>(source: &Projection, values: &[T], out: &mut [f64]) {
    let (length, stride) = source.inner();
    source.runs(|to, from| {
        let out = &mut out[to..to + length];
        match stride {
            0 => out.fill(values[from].to_f64()),
            1 => out.iter_mut().zip(&values[from..]).for_each(|(o, v)| *o = v.to_f64()),
            _ => out.iter_mut().zip(values[from..].iter().step_by(stride)).for_each(|(o, v)| *o = v.to_f64()),
        }
    });
}

fn gather_sparse(sparse: &Sparse, scopes: &[(&Scope, usize)]) -> Sums {
    let tables = scopes
        .par_iter()
        .map(|(scope, cells)| {
            let sizes: Vec<usize> = scope.iter().map(|m| sparse.shape[m]).collect();
            let columns: Vec<(&[u32], usize)> =
                scope.iter().map(|m| sparse.coordinates[m].as_slice()).zip(strides(&sizes)).collect();
            let mut table = vec![0.0; *cells];
            let mut place = [0usize; 1024];
            for (k, values) in sparse.values.chunks(place.len()).enumerate() {
                let start = k * place.len();
                let place = &mut place[..values.len()];
                place.fill(0);
                for (column, stride) in &columns {
                    let own = &column[start..start + place.len()];
                    place.iter_mut().zip(own).for_each(|(p, i)| *p += *i as usize * stride);
                }
                for (p, value) in place.iter().zip(values) {
                    table[*p] += value;
                }
            }
            table
        })
        .collect();
    let total: Compensated = sparse.values.iter().copied().collect();
    let x_ln_x: Compensated = sparse.values.iter().map(|x| p_ln_p(*x)).collect();
    (tables, total.value(), x_ln_x.value(), sparse.values.len())
}
