//! Matrices of rank one with unknown cells: argmin over a, b of Σ_Ω x ln(x / a bᵀ) − x + a bᵀ.
//!
//! It depends on the row sums r and the column sums c of what is observed, and on the mask W. Where the
//! observed columns of the rows are nested (a block of unknown cells, a staircase), the optimum is a formula.
//! Elsewhere a = r / Wb and b = c / Wᵀa in turns, which is proportional fitting, and Newton steps where that
//! crawls. A turn is two products with the mask ([`super::pattern`]).
//!
//! `by a1gm` is the approximation of Ghalamkari & Sugiyama (AISTATS 2022, arXiv 2110.12595): it leaves out
//! every row and column with an unknown cell where they meet, and is exact where nothing was observed there.

use std::sync::Arc;

use super::face::Face;
use super::pattern::Pattern;
use super::rows::Tables;
use super::{Domain, regular};
use crate::data::{Element, Storage, Tensor};
use crate::model::{EnergyModel, Scope, Table};
use crate::numeric::gap::relative_gap;
use crate::numeric::sum::dot;
use crate::plan::Schedule;
use crate::plan::schedule::RankOne;
use crate::run::certificate::factor;
use crate::run::conjugate::{Equations, Solution, slowest, worthless};
use crate::run::control::{Control, Flow, Observer, Sweep};
use crate::run::fit::{Certificate, Counters, Fit, Status, divergence};
use crate::run::statistic;
use crate::text::{Code, Diagnostic};

/// Turns before Newton steps are tried.
const PATIENCE: usize = 40;

/// Most products with the Hessian in one Newton step.
const PRODUCTS: usize = 400;

/// The state of a fit, with masses of total one.
struct Work<'a> {
    pattern: Pattern<'a>,
    /// Row and column sums of what is observed.
    rows: Vec<f64>,
    columns: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
    products: usize,
    /// About the smallest eigenvalue of the preconditioned second derivatives that was met; a formula needs to meet none.
    flattest: f64,
}

impl Work<'_> {
    /// The largest difference of a margin, relative to the largest of its side, and both sides fitted.
    fn gap(&mut self) -> (f64, Vec<f64>, Vec<f64>) {
        let (mut wide, mut deep) = (vec![0.0; self.rows.len()], vec![0.0; self.columns.len()]);
        self.pattern.across(&self.b, &mut wide);
        self.pattern.down(&self.a, &mut deep);
        self.products += 2;
        wide.iter_mut().zip(&self.a).for_each(|(w, a)| *w *= a);
        deep.iter_mut().zip(&self.b).for_each(|(d, b)| *d *= b);
        let gap = relative_gap(&wide, &self.rows).max(relative_gap(&deep, &self.columns));
        (gap, wide, deep)
    }

    /// One turn: rows, then columns, with room for what is observed of each. Gives the gap of the rows before it.
    fn turn(&mut self, across: &mut [f64], down: &mut [f64]) -> f64 {
        let (mut gap, mut most) = (0.0f64, 0.0f64);
        self.pattern.across(&self.b, across);
        for ((a, r), s) in self.a.iter_mut().zip(&self.rows).zip(across) {
            gap = gap.max((*a * *s - r).abs());
            most = most.max(*r);
            *a = if *r > 0.0 { r / *s } else { 0.0 };
        }
        self.pattern.down(&self.a, down);
        for ((b, c), s) in self.b.iter_mut().zip(&self.columns).zip(down) {
            *b = if *c > 0.0 { c / *s } else { 0.0 };
        }
        self.products += 2;
        gap / most
    }

    /// Σ_Ω a b − Σ r ln a − Σ c ln b.
    fn objective(&mut self) -> f64 {
        let mut wide = vec![0.0; self.rows.len()];
        self.pattern.across(&self.b, &mut wide);
        self.products += 1;
        dot(&wide, &self.a) + linear(&self.rows, &self.a) + linear(&self.columns, &self.b)
    }

    /// Solves the Newton equations: changes of ln a and ln b.
    fn step(&mut self, wide: &[f64], deep: &[f64], accuracy: f64, (worthless, met): (f64, f64)) -> Solution {
        let n = self.rows.len();
        let fitted = || wide.iter().chain(deep);
        let wanted = self.rows.iter().chain(&self.columns);
        let right: Vec<f64> = wanted.zip(fitted()).map(|(w, f)| w - f).collect();
        let inverse: Vec<f64> = fitted().map(|d| if *d > 0.0 { 1.0 / d } else { 0.0 }).collect();
        let floor = (8.0 * f64::EPSILON).powi(2);
        let equations =
            Equations { right: &right, inverse: &inverse, accuracy, floor, worthless, met, most: PRODUCTS };
        let (mut up, mut under) = (vec![0.0; n], vec![0.0; deep.len()]);
        let found = equations.solve(|along| {
            let (mine, other) = along.split_at(n);
            let be: Vec<f64> = self.b.iter().zip(other).map(|(b, e)| b * e).collect();
            let ad: Vec<f64> = self.a.iter().zip(mine).map(|(a, d)| a * d).collect();
            self.pattern.across(&be, &mut up);
            self.pattern.down(&ad, &mut under);
            let upper =
                mine.iter().zip(wide).zip(self.a.iter().zip(&up)).map(|((d, w), (a, u))| w * d + a * u);
            let lower =
                other.iter().zip(deep).zip(self.b.iter().zip(&under)).map(|((e, w), (b, u))| w * e + b * u);
            (upper.chain(lower).collect(), 0.0)
        });
        self.products += 2 * found.steps;
        found
    }

    /// A Newton step, shortened until the objective falls; false when it does not.
    fn newton(&mut self) -> bool {
        let (gap, wide, deep) = self.gap();
        let found = self.step(&wide, &deep, gap.sqrt().clamp(1e-6, 0.1), (0.0, 0.0));
        self.flattest = self.flattest.min(found.smallest);
        let d = found.d;
        let before = self.objective();
        let (a, b) = (self.a.clone(), self.b.clone());
        let mut much = 1.0;
        for _ in 0..30 {
            let (left, right) = d.split_at(a.len());
            self.a.iter_mut().zip(a.iter().zip(left)).for_each(|(x, (a, d))| *x = a * (much * d).exp());
            self.b.iter_mut().zip(b.iter().zip(right)).for_each(|(x, (b, d))| *x = b * (much * d).exp());
            let now = self.objective();
            if now.is_finite() && now <= before + 8.0 * f64::EPSILON * before.abs() {
                return true;
            }
            much *= 0.5;
        }
        (self.a, self.b) = (a, b);
        false
    }

    /// A bound in nats per unit mass on what is still to be gained: R = Q (1 + d + e) has the margins of the
    /// data, and the gap is at most KL(R ‖ Q).
    fn bound(&mut self, wide: &[f64], deep: &[f64]) -> Result<f64, String> {
        let logs = |side: &[f64]| {
            let logs = side.iter().filter(|x| **x > 0.0).map(|x| x.ln());
            let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
            (high - low).max(1.0)
        };
        let spread = logs(&self.a).max(logs(&self.b));
        let found = self.step(wide, deep, 1e-8, (worthless(f64::EPSILON, spread), self.flattest));
        let (mine, other) = found.d.split_at(wide.len());
        let least = |side: &[f64]| side.iter().fold(f64::INFINITY, |m, x| m.min(*x));
        let m = least(mine) + least(other);
        if m < -1.0 {
            return Err("the fit is too far from the optimum for a bound".into());
        }
        // what is left of the equations can be worth no more than its size times the spread of the factors
        let missed = found.worth.unwrap_or_else(|| spread * found.left.iter().map(|r| r.abs()).sum::<f64>());
        Ok(factor(m) * found.decrement + missed + f64::EPSILON)
    }
}

/// −Σ w ln x over positive w.
fn linear(weights: &[f64], values: &[f64]) -> f64 {
    weights.iter().zip(values).filter(|(w, _)| **w > 0.0).map(|(w, x)| -w * x.ln()).sum()
}

/// How a fit ended.
struct Ending {
    turns: usize,
    formula: bool,
    stopped: bool,
    interrupted: bool,
}

/// Fits the matrix; none when an observed zero can put the optimum on the boundary, which
/// [`RankOne::otherwise`] is for. O(cells) once, then an eighth of that for each product with the mask.
///
/// # Errors
/// As [`crate::run::execute`]; MBA564 when `by a1gm` leaves nothing.
pub fn execute(
    schedule: &Schedule,
    how: &RankOne,
    model: &EnergyModel,
    tensor: &Tensor,
    control: &Control,
    observer: &mut dyn Observer,
) -> Result<Option<Fit>, Vec<Diagnostic>> {
    let sides = [Scope::from([0]), Scope::from([1])];
    let (rows, columns) = (model.modes[0].size(), model.modes[1].size());
    let mut domain = Domain::new(model, tensor.mask.as_ref())?;
    let Some(found) = statistic::gather(tensor, &[(&sides[0], rows), (&sides[1], columns)]) else {
        let message = format!("`{}` has no mass to fit `{}` to", tensor.name, model.name);
        return Err(vec![Diagnostic::new(Code::MBA502, message).help("check which cells are observed")]);
    };
    let observed = Arc::clone(&domain.observed);
    let [r, c] = <[Vec<f64>; 2]>::try_from(found.tables).unwrap_or_default();
    if !how.published && found.zeros != Some(0) && boundary(tensor, &observed, &r, &c) {
        return Ok(None);
    }
    let stop = observer.stop().unwrap_or_default();
    domain.settle(&sides, &stop);
    let (a, b) = (vec![0.0; rows], vec![1.0; columns]);
    let pattern = Pattern::new(&observed, rows, columns);
    let mut work = Work { pattern, rows: r, columns: c, a, b, products: 0, flattest: f64::INFINITY };
    let mut ending = Ending { turns: 0, formula: true, stopped: false, interrupted: false };
    if how.published {
        published(&mut work, tensor, found.total, model)?;
    } else if !nested(&mut work, tensor, found.total) {
        ending = turns(&mut work, control, observer);
    }
    let (gap, wide, deep) = work.gap();
    let missed = how.published && gap > control.tolerance;
    let (optimality_gap, reason) = match work.bound(&wide, &deep) {
        _ if missed => (
            None,
            Some("`by a1gm` leaves out what was observed beside unknown cells: not the optimum".into()),
        ),
        Ok(bound) => (Some(bound), None),
        Err(reason) => (None, Some(reason)),
    };
    let kl = found.negative_entropy
        + linear(&work.rows, &work.a)
        + linear(&work.columns, &work.b)
        + (wide.iter().sum::<f64>() - 1.0);
    let kl = divergence(kl, found.negative_entropy.abs() + 1.0, found.total);
    let tables = [(&sides[0], &work.a, &work.rows), (&sides[1], &work.b, &work.columns)];
    let margins: Vec<_> =
        tables.iter().map(|(s, v, m)| ((*s).clone(), vec![v.len()], (*m).clone())).collect();
    let zero_marginals = domain.seen_zeros(&margins);
    let potentials = tables.iter().map(|(scope, values, _)| {
        let unseen = domain.unseen(scope);
        // where nothing was observed nothing is known, and the number means nothing
        let logs = values.iter().zip(unseen).map(|(v, unseen)| if unseen { 0.0 } else { v.ln() });
        Table { scope: (*scope).clone(), shape: vec![values.len()], values: logs.collect() }
    });
    let distribution = regular::distribution(model, potentials.collect())?;
    let mass = found.total * distribution.log_mass.iter().sum::<f64>().exp();
    if !zero_marginals.is_empty() {
        let tables = Tables::of(model);
        let fitted = (&distribution, mass, gap);
        match Face::of(&domain, (model, &tables), tensor, fitted, control, &stop) {
            Ok(Some(face)) => face.settle(&mut domain, (model, &tables), &stop),
            Ok(None) => {}
            Err(reason) => domain.give_up(reason),
        }
    }
    let status = match ending.formula {
        _ if missed => Status::Approximate,
        true => Status::ClosedForm,
        false => Status::Converged,
    };
    let boundary = !missed && !zero_marginals.is_empty();
    let status = Status::ended(ending.interrupted || domain.cut_short(), ending.stopped, boundary, status);
    // what is planned for a turn is two products, of which Newton steps and the bound take some too
    let turns = 0.5 * work.products as f64;
    let price = schedule.work(turns);
    let made = work.products as f64 * work.pattern.work();
    let read = schedule.profile.as_ref().map_or(0.0, |p| p.bytes());
    Ok(Some(Fit {
        model: Arc::new(model.clone()),
        schedule: Arc::new(schedule.clone()),
        distribution,
        status,
        iterations: ending.turns,
        certificate: Certificate { marginal_gap: gap, optimality_gap, reason },
        total: found.total,
        mass,
        kl,
        data_entropy: -found.negative_entropy,
        counters: Counters { operations: made, bytes: read + made, predicted: price, peak: schedule.peak },
        zero_marginals,
        learned: None,
        domain: Some(Arc::new(domain)),
    }))
}

/// Proportional fitting in turns; Newton steps where it crawls.
fn turns(work: &mut Work, control: &Control, observer: &mut dyn Observer) -> Ending {
    let mut ending = Ending { turns: 0, formula: false, stopped: true, interrupted: false };
    let (mut across, mut down) = (vec![0.0; work.rows.len()], vec![0.0; work.columns.len()]);
    let mut last = f64::INFINITY;
    while ending.turns < control.max_sweeps {
        if control.acceleration && ending.turns >= PATIENCE && ending.turns.is_multiple_of(4) {
            work.newton();
        }
        let gap = work.turn(&mut across, &mut down);
        ending.turns += 1;
        let sweep = Sweep::alone(ending.turns, gap, control);
        if observer.sweep(&sweep) == Flow::Interrupt {
            ending.interrupted = true;
            break;
        }
        if gap <= control.tolerance {
            ending.stopped = false;
            work.flattest = work.flattest.min(slowest(last, gap));
            break;
        }
        last = gap;
    }
    if ending.stopped {
        work.flattest = 0.0;
    }
    ending
}

/// Every cell of a matrix with a value that is not zero.
fn each(tensor: &Tensor, mut visit: impl FnMut(usize, usize, f64)) {
    match &*tensor.storage {
        Storage::Sparse(sparse) => {
            let [i, j] = sparse.coordinates.as_slice() else { return };
            sparse.values.iter().enumerate().for_each(|(cell, x)| visit(i.at(cell), j.at(cell), *x));
        }
        Storage::Dense(dense) => crate::with_values!(&dense.values, values => {
            let (&[n, m], &[down, across]) = (dense.shape.as_slice(), dense.strides.as_slice()) else { return };
            for i in 0..n {
                for j in 0..m {
                    visit(i, j, values[i * down + j * across].to_f64());
                }
            }
        }),
    }
}

/// Whether an observed zero may have to stay zero at the optimum: it joins parts of the matrix that no
/// positive cell joins.
fn boundary(tensor: &Tensor, observed: &[bool], r: &[f64], c: &[f64]) -> bool {
    let columns = c.len();
    let live = |k: usize| r[k / columns] > 0.0 && c[k % columns] > 0.0;
    let mut zero = observed.to_vec();
    each(tensor, |i, j, x| zero[i * columns + j] &= x <= 0.0);
    if !zero.iter().enumerate().any(|(k, z)| *z && live(k)) {
        return false;
    }
    let mut parent: Vec<usize> = (0..r.len() + columns).collect();
    fn root(parent: &mut [usize], mut k: usize) -> usize {
        while parent[k] != k {
            parent[k] = parent[parent[k]];
            k = parent[k];
        }
        k
    }
    each(tensor, |i, j, x| {
        if x > 0.0 {
            let (i, j) = (root(&mut parent, i), root(&mut parent, r.len() + j));
            parent[i] = j;
        }
    });
    (0..zero.len()).any(|k| {
        zero[k] && live(k) && root(&mut parent, k / columns) != root(&mut parent, r.len() + k % columns)
    })
}

/// The formula for nested rows; false where they are not nested, or where a sum it divides by is zero.
///
/// Columns that are observed in the same rows make a block; R_0 ⊃ R_1 ⊃ … are the rows of the blocks. With
/// A_t = Σ a over R_t, A_t / A_{t−1} is the share of R_t in what R_{t−1} has in the blocks before t.
fn nested(work: &mut Work, tensor: &Tensor, total: f64) -> bool {
    let pattern = &work.pattern;
    let columns = pattern.columns;
    // of nested rows one holds the other; rows that were hidden by chance tell at once that they are not
    let beyond = |a: &[bool], b: &[bool]| a.iter().zip(b).any(|(a, b)| *a & !*b);
    let apart = |i: usize| {
        let (row, next) = (pattern.row(i), pattern.row(i + 1));
        beyond(row, next) && beyond(next, row)
    };
    if (0..pattern.rows.saturating_sub(1)).any(apart) {
        return false;
    }
    let mut depth = vec![0usize; columns];
    pattern.observed.chunks_exact(columns.max(1)).for_each(|row| {
        depth.iter_mut().zip(row).for_each(|(d, o)| *d += usize::from(*o));
    });
    // a row of so many columns must have the most observed ones: those at least as deep as a bound
    let mut order: Vec<usize> = depth.clone();
    order.sort_unstable_by(|a, b| b.cmp(a));
    let mut levels = order.clone();
    levels.dedup();
    if levels.len() > 1 << 10 {
        return false;
    }
    // how many blocks a row has
    let mut reach = vec![0usize; pattern.rows];
    for (i, reach) in reach.iter_mut().enumerate() {
        let row = pattern.row(i);
        let seen = row.iter().filter(|o| **o).count();
        let Some(bound) = seen.checked_sub(1).map(|k| order[k]) else { continue };
        if row.iter().zip(&depth).any(|(o, d)| *o != (*d >= bound)) {
            return false;
        }
        *reach = levels.iter().take_while(|d| **d >= bound).count();
    }
    let block: Vec<usize> = depth.iter().map(|d| levels.iter().position(|l| l == d).unwrap_or(0)).collect();
    let blocks = levels.iter().filter(|d| **d > 0).count();
    // mass of rows that reach s blocks, in block t
    let mut mass = vec![vec![0.0; levels.len()]; levels.len() + 1];
    each(tensor, |i, j, x| mass[reach[i]][block[j]] += x / total);
    let mut share = 1.0;
    let mut shares = Vec::with_capacity(blocks);
    for t in 0..blocks {
        if t > 0 {
            let before = |from: usize| -> f64 {
                mass.iter().skip(from + 1).map(|row| row[..t].iter().sum::<f64>()).sum()
            };
            let (now, last) = (before(t), before(t - 1));
            if now <= 0.0 || last <= 0.0 {
                return false;
            }
            share *= now / last;
        }
        shares.push(share);
    }
    for (j, b) in work.b.iter_mut().enumerate() {
        *b = shares.get(block[j]).map_or(0.0, |share| work.columns[j] / share);
    }
    let mut wide = vec![0.0; work.rows.len()];
    work.pattern.across(&work.b, &mut wide);
    for ((a, r), w) in work.a.iter_mut().zip(&work.rows).zip(wide) {
        *a = if *r > 0.0 { r / w } else { 0.0 };
    }
    true
}

/// The published approximation.
fn published(
    work: &mut Work,
    tensor: &Tensor,
    total: f64,
    model: &EnergyModel,
) -> Result<(), Vec<Diagnostic>> {
    let pattern = &work.pattern;
    let columns = pattern.columns;
    let whole_row: Vec<bool> = (0..pattern.rows).map(|i| pattern.row(i).iter().all(|o| *o)).collect();
    let mut whole_column = vec![true; columns];
    for row in pattern.observed.chunks_exact(columns.max(1)) {
        whole_column.iter_mut().zip(row).for_each(|(w, o)| *w &= o);
    }
    // sums over complete columns for rows, and over complete rows for columns
    let (mut kept_rows, mut kept_columns) = (vec![0.0; pattern.rows], vec![0.0; columns]);
    let mut core = 0.0;
    each(tensor, |i, j, x| {
        let x = x / total;
        if whole_column[j] {
            kept_rows[i] += x;
        }
        if whole_row[i] {
            kept_columns[j] += x;
        }
        if whole_row[i] && whole_column[j] {
            core += x;
        }
    });
    if core <= 0.0 {
        let message = format!("`by a1gm` finds nothing to fit `{}` to", model.name);
        return Err(vec![
            Diagnostic::new(Code::MBA564, message)
                .note(format!(
                    "every row or every column of `{}` has a missing cell, or the others are zero",
                    tensor.name
                ))
                .help("leave `by a1gm` out: the optimum needs no complete row or column"),
        ]);
    }
    let sum = |v: &[f64], whole: &[bool], of: bool| -> f64 {
        v.iter().zip(whole).filter(|(_, w)| **w == of).map(|(x, _)| x).sum()
    };
    let below = sum(&kept_rows, &whole_row, false);
    let beside = sum(&kept_columns, &whole_column, false);
    for (i, a) in work.a.iter_mut().enumerate() {
        *a = if whole_row[i] { work.rows[i] * core / (core + beside) } else { kept_rows[i] };
    }
    for (j, b) in work.b.iter_mut().enumerate() {
        *b = if whole_column[j] { work.columns[j] / (core + below) } else { kept_columns[j] / core };
    }
    Ok(())
}
