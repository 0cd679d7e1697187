//! Newton's method for tables that are smooth, shared, or leaning on pseudo-data.
//!
//! F(λ) = Σ_x w Q − t ln Q + ½ Σ_k s_k |B_k λ|², ln Q = Σ λ over the rows x with exposure w and target t. It is
//! convex. Each step solves H d = −∇F by conjugate gradients, H = Fᵀ Q F + Σ s BᵀB, preconditioned by
//! the diagonal, and is shortened until F falls enough.
//!
//! **The bound.** Let d solve the Newton equations, R = wQ (1 + F d) and u = B (λ + d). Then Fᵀ(R − t) + √s Bᵀ u = 0,
//! so R and u are feasible in the dual problem (Rockafellar 1970, §31), and if R is nowhere negative
//!
//! > F(λ) − F* ≤ Σ R ln(R / wQ) − R + wQ + ½ Σ s |B d|².
//!
//! **Differences are kept beside the parameters.** Where s is far above t the best Bλ is about t/s, and less than the
//! rounding of λ, so that s BᵀBλ, taken from λ, would be rounding on the scale of s. What is summed up with the
//! steps is u = Bλ, which is as precise as it is small: it belongs to parameters that differ from λ by rounding,
//! and ∇F is right on the scale of t. Multiplying t and s by one number changes nothing.

use super::condition::Free;
use super::identify::CUT_SHORT;
use super::rows::{Rows, Tables};
use crate::model::table::strides;
use crate::model::{EnergyModel, Order, Smooth};
use crate::numeric::sum::{Compensated, dot};
use crate::run::conjugate::{Equations, Inverse, Solution, worthless};
use crate::run::control::{Control, Flow, Observer, Silent, Stop, Stoppable, Sweep};

/// Cells, each the sum of a few parameters, with an exposure and a target.
pub trait Design: Sync {
    /// The sum of the parameters of every cell.
    fn spread(&self, parameters: &[f64]) -> Vec<f64>;
    /// For every parameter, the sum of `values` over its cells, in an order of its own.
    fn gather(&self, parameters: usize, values: impl Fn(usize) -> f64 + Sync) -> Vec<f64>;
    /// For every parameter, the sum of the targets of its cells.
    fn targets(&self, parameters: usize) -> Vec<f64>;
    /// exp of each logarithm, times what multiplies the model there.
    fn exposed(&self, logs: Vec<f64>) -> Vec<f64>;
    /// Whether each cell has a target, rather than none or zero.
    fn positive(&self) -> Vec<bool>;
    /// Shows every cell, in order: the parameters that are summed there, and its value.
    fn visit(&self, values: &[f64], see: &mut dyn FnMut(&[u32], f64));
    /// Numbers read in one pass.
    fn work(&self) -> f64;
}

impl Design for Rows {
    fn spread(&self, parameters: &[f64]) -> Vec<f64> {
        Rows::spread(self, parameters)
    }
    fn gather(&self, parameters: usize, values: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
        Rows::gather(self, parameters, values)
    }
    fn targets(&self, parameters: usize) -> Vec<f64> {
        Rows::gather(self, parameters, |r| self.target[r])
    }
    fn exposed(&self, mut logs: Vec<f64>) -> Vec<f64> {
        logs.iter_mut().zip(&self.weight).for_each(|(l, w)| *l = l.exp() * w);
        logs
    }
    fn positive(&self) -> Vec<bool> {
        self.target.iter().map(|t| *t > 0.0).collect()
    }
    fn visit(&self, values: &[f64], see: &mut dyn FnMut(&[u32], f64)) {
        values.iter().enumerate().for_each(|(r, value)| see(self.row(r), *value));
    }
    fn work(&self) -> f64 {
        self.places.len() as f64
    }
}

/// A penalty on differences between neighbouring levels of one axis of a table, less their means over all
/// others: what they have in common is free.
#[derive(Debug, Clone)]
pub struct Penalty {
    /// The table.
    pub block: usize,
    /// The axis whose neighbours are compared.
    pub axis: usize,
    /// Whether the last level is next to the first.
    pub cyclic: bool,
    /// What multiplies half the sum of squares.
    pub strength: f64,
}

impl Penalty {
    /// Those of the tables that a model says are smooth.
    pub fn all(model: &EnergyModel, tables: &Tables) -> Vec<Penalty> {
        let of = |s: &Smooth| {
            Some(Penalty {
                block: tables.block(&s.scope)?,
                axis: s.scope.position(s.along)?,
                cyclic: model.modes.get(s.along)?.order == Order::Cyclic,
                strength: s.strength,
            })
        };
        model.regular.smooth.iter().filter_map(of).collect()
    }

    /// B λ: one difference per neighbouring pair, centred.
    fn differences(&self, shape: &[usize], table: &[f64]) -> Vec<f64> {
        let (n, step) = self.lines(shape);
        let last = (n - 1) * step;
        let mut out = vec![0.0; table.len()];
        for (out, own) in out.chunks_exact_mut(n * step).zip(table.chunks_exact(n * step)) {
            let pairs = own[step..].iter().zip(own);
            out.iter_mut().zip(pairs).for_each(|(o, (next, this))| *o = next - this);
            if self.cyclic && n > 2 {
                let pairs = own.iter().zip(&own[last..]);
                out[last..].iter_mut().zip(pairs).for_each(|(o, (first, this))| *o = first - this);
            }
        }
        self.centre(shape, &mut out);
        out
    }

    /// Bᵀ u.
    fn adjoint(&self, shape: &[usize], u: &[f64]) -> Vec<f64> {
        let mut u = u.to_vec();
        self.centre(shape, &mut u);
        let (n, step) = self.lines(shape);
        let last = (n - 1) * step;
        let mut out = vec![0.0; u.len()];
        for (out, own) in out.chunks_exact_mut(n * step).zip(u.chunks_exact(n * step)) {
            out[step..].iter_mut().zip(own).for_each(|(o, x)| *o += x);
            out[..last].iter_mut().zip(own).for_each(|(o, x)| *o -= x);
            if self.cyclic && n > 2 {
                out.iter_mut().zip(&own[last..]).for_each(|(o, x)| *o += x);
                out[last..].iter_mut().zip(&own[last..]).for_each(|(o, x)| *o -= x);
            }
        }
        out
    }

    /// Levels along which neighbours are compared, and how far they lie apart.
    fn lines(&self, shape: &[usize]) -> (usize, usize) {
        (shape[self.axis], strides(shape)[self.axis])
    }

    /// Takes the mean over all other modes away: a change that all have in common is no roughness.
    fn centre(&self, shape: &[usize], values: &mut [f64]) {
        if shape.len() < 2 {
            return;
        }
        let (n, step) = self.lines(shape);
        let mut means = vec![0.0; n];
        for line in values.chunks_exact(n * step) {
            for (mean, level) in means.iter_mut().zip(line.chunks_exact(step)) {
                level.iter().for_each(|v| *mean += v);
            }
        }
        let others = (values.len() / n.max(1)) as f64;
        means.iter_mut().for_each(|mean| *mean /= others);
        for line in values.chunks_exact_mut(n * step) {
            for (mean, level) in means.iter().zip(line.chunks_exact_mut(step)) {
                level.iter_mut().for_each(|v| *v -= mean);
            }
        }
    }
}

/// What a fit by rows ends with.
#[derive(Debug, Clone)]
pub struct Optimum {
    /// The parameters.
    pub parameters: Vec<f64>,
    /// The largest component of ∇F, relative to the largest target of a parameter.
    pub gap: f64,
    /// A bound on F(λ) − F*, in nats, or why there is none.
    pub bound: Result<f64, String>,
    /// The Newton direction there.
    pub direction: Vec<f64>,
    /// Newton steps.
    pub steps: usize,
    /// Whether it stopped before the tolerance, or was told to.
    pub stopped: bool,
    /// Whether the observer asked to end.
    pub interrupted: bool,
    /// Passes over the rows.
    pub passes: usize,
}

/// Parameters that go to −∞: in some row, without a target, and not tied to their neighbours by a penalty.
pub fn gone(tables: &Tables, rows: &impl Design, penalties: &[Penalty]) -> Vec<bool> {
    let mass = rows.targets(tables.parameters);
    let present = rows.gather(tables.parameters, |_| 1.0);
    let mut held = vec![false; tables.parameters];
    for p in penalties {
        tables.blocks[p.block].place.iter().for_each(|at| held[*at as usize] = true);
    }
    (0..tables.parameters).map(|p| mass[p] <= 0.0 && present[p] > 0.0 && !held[p]).collect()
}

/// B λ, one list for each penalty.
type Differences = Vec<Vec<f64>>;

/// Parameters, and what is known there.
struct Point {
    parameters: Vec<f64>,
    /// B λ.
    u: Differences,
    /// wQ of every row.
    q: Vec<f64>,
    /// F.
    value: f64,
}

struct Problem<'a, D> {
    tables: &'a Tables,
    rows: &'a D,
    penalties: &'a [Penalty],
    /// What smoothness leaves free.
    free: Free,
    /// Sum of targets of each parameter.
    target: Vec<f64>,
    passes: usize,
}

/// Most applications of H in one step.
const MOST: usize = 1000;

impl<'a, D: Design> Problem<'a, D> {
    fn new((tables, rows, penalties): (&'a Tables, &'a D, &'a [Penalty]), target: Vec<f64>) -> Self {
        let smooth: usize = penalties.iter().map(|p| tables.blocks[p.block].place.len()).sum();
        // both ways through the rows, and differences, means and sums of every penalty
        let product = 2.0 * rows.work() + 8.0 * smooth as f64;
        let free = Free::new(tables, penalties, product);
        Problem { tables, rows, penalties, free, target, passes: 0 }
    }

    fn table(&self, block: usize, parameters: &[f64]) -> Vec<f64> {
        self.tables.blocks[block].place.iter().map(|p| parameters[*p as usize]).collect()
    }

    /// B λ of every penalty.
    fn differences(&self, parameters: &[f64]) -> Differences {
        let one =
            |p: &Penalty| p.differences(&self.tables.blocks[p.block].shape, &self.table(p.block, parameters));
        self.penalties.iter().map(one).collect()
    }

    /// ½ Σ s |u|².
    fn roughness(&self, u: &Differences) -> f64 {
        self.penalties.iter().zip(u).map(|(p, u)| 0.5 * p.strength * dot(u, u)).sum()
    }

    /// Adds Σ s Bᵀ u.
    fn add_rough(&self, u: &Differences, onto: &mut [f64]) {
        for (p, u) in self.penalties.iter().zip(u) {
            let block = &self.tables.blocks[p.block];
            let back = p.adjoint(&block.shape, u);
            block.place.iter().zip(back).for_each(|(at, b)| onto[*at as usize] += p.strength * b);
        }
    }

    /// Everything at these parameters, which have these differences.
    fn point(&mut self, parameters: Vec<f64>, u: Differences) -> Point {
        let q = self.model(&parameters);
        let mass: Compensated = q.iter().copied().collect();
        let value = mass.value() - dot(&self.target, &parameters) + self.roughness(&u);
        Point { parameters, u, q, value }
    }

    /// wQ of every row.
    fn model(&mut self, parameters: &[f64]) -> Vec<f64> {
        self.passes += 1;
        self.rows.exposed(self.rows.spread(parameters))
    }

    fn gradient(&mut self, at: &Point) -> Vec<f64> {
        self.passes += 1;
        let mut g = self.rows.gather(self.target.len(), |r| at.q[r]);
        g.iter_mut().zip(&self.target).for_each(|(g, t)| *g -= t);
        self.add_rough(&at.u, &mut g);
        g
    }

    /// H v, in two passes. Penalties depend on the `rough` part of v alone.
    fn curvature(&self, q: &[f64], v: &[f64], rough: &[f64]) -> Vec<f64> {
        let along = self.rows.spread(v);
        let mut h = self.rows.gather(self.target.len(), |r| q[r] * along[r]);
        self.add_rough(&self.differences(rough), &mut h);
        h
    }

    /// Solves H d = −g to a relative residual in the preconditioned norm, or until what is left is `worthless`, where an
    /// eigenvalue was `met` before. And B d.
    fn solve(
        &mut self,
        q: &[f64],
        g: &[f64],
        accuracy: f64,
        (worthless, met): (f64, f64),
    ) -> (Solution, Differences) {
        let diagonal = self.rows.gather(self.target.len(), |r| q[r]);
        let (free, tables, penalties, rows) = (&self.free, self.tables, self.penalties, self.rows);
        let inverse = free.condition(tables, penalties, &diagonal, |see| rows.visit(q, see));
        // below this a residual is rounding of what is to be matched, part of it where H is singular: to go on would
        // only spread it
        let floor = (64.0 * f64::EPSILON).powi(2) * inverse.beside_rounding(&self.target, 0.0);
        let right: Vec<f64> = g.iter().map(|g| -g).collect();
        let equations =
            Equations { right: &right, inverse: &inverse, accuracy, floor, worthless, met, most: MOST };
        let mut passes = 0;
        let mut found = equations.solve(|direction| {
            passes += 2;
            let (v, rough) = direction.split_at(g.len());
            (self.curvature(q, v, rough), 0.0)
        });
        self.passes += passes;
        let rough = found.d.split_off(g.len());
        (found, self.differences(&rough))
    }
}

/// Largest difference of a marginal from what it is to match, relative to itself, that steps are added for, and how many.
const FINE: f64 = 1e-7;
const MORE: usize = 4;

/// Minimises F. `rows` hold no parameter without a target and without a penalty: those are −∞.
pub fn minimise(
    tables: &Tables,
    rows: &Rows,
    penalties: &[Penalty],
    control: &Control,
    observer: &mut dyn Observer,
) -> Optimum {
    let target = rows.targets(tables.parameters);
    let largest = target.iter().fold(0.0f64, |m, t| m.max(*t)).max(f64::MIN_POSITIVE);
    let scale = vec![largest; target.len()];
    let mut problem = Problem::new((tables, rows, penalties), target);
    let parameters = start(&mut problem);
    descend(problem, parameters, &scale, 0, control, observer)
}

/// As [`minimise`], from these parameters and after so many sweeps; the gap of a parameter is relative to its
/// `scale`.
pub fn minimise_from<D: Design>(
    (tables, rows, penalties): (&Tables, &D, &[Penalty]),
    (parameters, scale, sweeps): (Vec<f64>, &[f64], usize),
    control: &Control,
    observer: &mut dyn Observer,
) -> Optimum {
    let target = rows.targets(tables.parameters);
    let problem = Problem::new((tables, rows, penalties), target);
    descend(problem, parameters, scale, sweeps, control, observer)
}

fn descend<D: Design>(
    mut problem: Problem<D>,
    parameters: Vec<f64>,
    scale: &[f64],
    sweeps: usize,
    control: &Control,
    observer: &mut dyn Observer,
) -> Optimum {
    let u = problem.differences(&parameters);
    let mut at = problem.point(parameters, u);
    // F is a difference of sums of about this size
    let mass = problem.target.iter().sum::<f64>();
    let (mut steps, mut interrupted) = (sweeps, false);
    let rare: Vec<f64> = problem.target.iter().map(|t| if *t > 0.0 { *t } else { f64::INFINITY }).collect();
    let mut flattest = f64::INFINITY;
    let mut gradient = problem.gradient(&at);
    let gap_of = |g: &[f64]| g.iter().zip(scale).fold(0.0f64, |m, (g, s)| m.max(g.abs() / s));
    let mut gap = gap_of(&gradient);
    // a gap that is small beside the largest cell of a table can be large beside a cell that only a prior tells about
    let coarse = |g: &[f64]| g.iter().zip(&rare).any(|(g, t)| g.abs() > FINE * t);
    let mut more = MORE;
    while (gap > control.tolerance || more > 0 && coarse(&gradient))
        && steps < control.max_sweeps
        && !interrupted
    {
        more -= usize::from(gap <= control.tolerance);
        steps += 1;
        let sweep = Sweep::alone(steps, gap, control);
        interrupted = observer.sweep(&sweep) == Flow::Interrupt;
        let accuracy = (0.1f64).min(gap.sqrt()).max(1e-6);
        let (found, along) = problem.solve(&at.q, &gradient, accuracy, (0.0, 0.0));
        flattest = flattest.min(found.smallest);
        let d = &found.d;
        let slope = dot(&gradient, d);
        let mut step = 1.0;
        let mut moved = false;
        for _ in 0..60 {
            let further = |from: &[f64], d: &[f64]| from.iter().zip(d).map(|(p, d)| p + step * d).collect();
            let u = at.u.iter().zip(&along).map(|(u, d)| further(u, d)).collect();
            let next = problem.point(further(&at.parameters, d), u);
            // at the resolution of doubles F no longer tells, in either direction; the gradient does
            let flat = (next.value - at.value).abs() <= 8.0 * f64::EPSILON * (at.value.abs() + mass);
            let lower = match flat {
                true => gap_of(&problem.gradient(&next)) < gap,
                false => next.value <= at.value + 1e-4 * step * slope,
            };
            // what is added for rare parameters must not undo what is there already
            let lower =
                lower && (gap > control.tolerance || gap_of(&problem.gradient(&next)) <= control.tolerance);
            if lower {
                (at, moved) = (next, true);
                break;
            }
            step *= 0.5;
        }
        if !moved {
            break;
        }
        gradient = problem.gradient(&at);
        gap = gap_of(&gradient);
    }
    let stopped = gap > control.tolerance;
    let flattest = if flattest.is_finite() { flattest } else { 0.0 };
    let (bound, direction) = bound(&mut problem, &at, &gradient, flattest);
    Optimum {
        parameters: at.parameters,
        gap,
        bound,
        direction,
        steps,
        stopped,
        interrupted,
        passes: problem.passes,
    }
}

/// Tables of one, and then one sweep of proportional fitting in which no table moves far.
fn start(problem: &mut Problem<Rows>) -> Vec<f64> {
    let mut parameters = vec![0.0; problem.tables.parameters];
    let Some(block) = problem.tables.blocks.first() else { return parameters };
    let (mass, weight): (f64, f64) =
        (problem.rows.target.iter().sum(), problem.rows.weight.iter().sum::<f64>().max(f64::MIN_POSITIVE));
    let level = (mass / weight).ln();
    let own: std::collections::BTreeSet<u32> = block.place.iter().copied().collect();
    own.iter().for_each(|p| parameters[*p as usize] = level);
    let mean = mass / problem.rows.len().max(1) as f64;
    let q = problem.model(&parameters);
    let fitted = problem.rows.gather(parameters.len(), |r| q[r]);
    for p in own {
        let p = p as usize;
        parameters[p] += ((problem.target[p] + mean) / (fitted[p] + mean)).ln();
    }
    parameters
}

/// The bound of the module's documentation. What is left of the Newton equations can be worth no more than its
/// size times how far the parameters are from the best ones, for which their own spread stands. And d.
fn bound<D: Design>(
    problem: &mut Problem<D>,
    at: &Point,
    gradient: &[f64],
    met: f64,
) -> (Result<f64, String>, Vec<f64>) {
    let Point { parameters, q, .. } = at;
    let scale: f64 = problem.target.iter().sum();
    let (low, high) = parameters
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(*p), high.max(*p)));
    let (found, mut apart) =
        problem.solve(q, gradient, 1e-9, (worthless(f64::EPSILON * scale, high - low), met));
    let missed = found
        .worth
        .unwrap_or_else(|| (high - low).max(1.0) * found.left.iter().map(|r| r.abs()).sum::<f64>());
    let changes = problem.rows.spread(&found.d);
    let mut total = Compensated::default();
    for (q, e) in q.iter().zip(&changes) {
        if *e < -1.0 {
            let why = "the fit is too far from the optimum for a bound, or the optimum lies on the boundary";
            return (Err(why.into()), found.d);
        }
        // (1 + e) ln(1 + e) − e, by its series where it would cancel
        let part = if e.abs() < 1e-4 {
            e * e * (0.5 - e / 6.0 + e * e / 12.0)
        } else if *e == -1.0 {
            1.0
        } else {
            (1.0 + e) * e.ln_1p() - e
        };
        total.add(q * part);
    }
    // what stands for Bλ in the Newton equations differs from it by rounding, which the bound has to bear
    for (apart, (kept, own)) in apart.iter_mut().zip(at.u.iter().zip(problem.differences(parameters))) {
        apart.iter_mut().zip(kept.iter().zip(own)).for_each(|(d, (kept, own))| *d += kept - own);
    }
    (Ok(total.value() + problem.roughness(&apart) + missed + f64::EPSILON * scale), found.d)
}

/// Change of a row, or difference that is not smooth, along a direction that leaves it alone.
const NONE: f64 = 1e-6;

/// Change of a row along the Newton direction that may be a part of the way to zero.
const MOVED: f64 = 0.05;

/// Most projections of a direction.
const PROJECTIONS: usize = 8;

/// Rows without a target that fit no more than so many gaps of the largest target may be on their way to zero.
const NEAR: f64 = 1e3;

/// The gap at which it is asked whether they are, and most Newton steps to it.
const CLOSE: f64 = 1e-10;
const STEPS: usize = 200;

/// The rows that go to zero where the optimum lies on the boundary; none where it does not. From `parameters` that leave a
/// `gap` it is gone on to a small one where rows are near zero.
///
/// # Errors
/// When it was asked to stop.
pub fn vanishing<D: Design>(
    design: (&Tables, &D, &[Penalty]),
    (parameters, gap): (&[f64], f64),
    control: &Control,
    stop: &Stop,
) -> Result<Option<Vec<bool>>, String> {
    let (tables, rows, _) = design;
    let positive = rows.positive();
    let largest = rows.targets(tables.parameters).iter().fold(f64::MIN_POSITIVE, |m, t| m.max(*t));
    let near = |parameters: &[f64], gap: f64| -> Vec<bool> {
        let most = near_zero(gap, largest);
        let q = rows.exposed(rows.spread(parameters));
        q.iter().zip(&positive).map(|(q, positive)| !positive && *q < most).collect()
    };
    if !near(parameters, gap.max(control.tolerance)).contains(&true) {
        return Ok(None);
    }
    let control = Control { tolerance: control.tolerance.min(CLOSE), max_sweeps: STEPS, ..*control };
    let mut observer = Stoppable { inner: Box::new(Silent), stop: stop.clone() };
    let scale = vec![largest; tables.parameters];
    let found = minimise_from(design, (parameters.to_vec(), &scale, 0), &control, &mut observer);
    if found.interrupted {
        return Err(CUT_SHORT.into());
    }
    // what has vanished moves no more, but what the potentials have in common with a direction to the boundary has grown
    // as large as that; what is on its way moves along the Newton direction
    let small = near(&found.parameters, found.gap);
    let far = rows.spread(&found.parameters).iter().zip(&small).filter(|(_, small)| **small).fold(1.0, far);
    let grown: Vec<f64> = found.parameters.iter().map(|p| p / far).collect();
    let none = vec![false; small.len()];
    let gone = taken(design, &grown, small, &none).unwrap_or(none);
    let falls = |((change, positive), gone): ((f64, &bool), &bool)| !positive && !gone && change < -MOVED;
    let changes = rows.spread(&found.direction).into_iter().zip(&positive).zip(&gone);
    let down = taken(design, &found.direction, changes.map(falls).collect(), &gone);
    let all: Vec<bool> = match down {
        Some(down) => gone.iter().zip(down).map(|(gone, down)| *gone || down).collect(),
        None => gone,
    };
    Ok(all.contains(&true).then_some(all))
}

/// What is near zero for a fit with such a gap, whose largest target this is.
pub fn near_zero(gap: f64, largest: f64) -> f64 {
    NEAR * gap.max(CLOSE) * largest
}

/// The larger of a number and the size of a logarithm.
fn far(most: f64, (log, _): (&f64, &bool)) -> f64 {
    most.max(log.abs())
}

/// The rows that some direction takes `down`, none up, while it leaves all others and all that is smooth as they are;
/// what it does to those that are `gone` does not matter. There the optimum lies on the boundary, and such a
/// direction exists only there. Near the boundary `direction` is almost one: it is projected onto those that leave
/// alone what it hardly moves, and what it would then take up.
fn taken<D: Design>(
    (tables, rows, penalties): (&Tables, &D, &[Penalty]),
    direction: &[f64],
    mut down: Vec<bool>,
    gone: &[bool],
) -> Option<Vec<bool>> {
    let penalties: Vec<Penalty> = penalties.iter().map(|p| Penalty { strength: 1.0, ..p.clone() }).collect();
    let target = vec![0.0; direction.len()];
    let mut problem = Problem::new((tables, rows, &penalties), target);
    for _ in 0..PROJECTIONS {
        if !down.contains(&true) {
            return None;
        }
        let kept: Vec<f64> =
            down.iter().zip(gone).map(|(down, gone)| f64::from(u8::from(!down && !gone))).collect();
        problem.passes += 2;
        let mut moved = problem.curvature(&kept, direction, direction);
        moved.iter_mut().for_each(|m| *m = -*m);
        let (found, _) = problem.solve(&kept, &moved, 1e-10, (0.0, 0.0));
        let along: Vec<f64> = direction.iter().zip(&found.d).map(|(d, f)| d - f).collect();
        let changes = rows.spread(&along);
        let mut stay = changes.iter().zip(&kept).filter(|(_, kept)| **kept > 0.0).map(|(c, _)| c.abs());
        if stay.any(|c| c > NONE) || problem.roughness(&problem.differences(&along)) > NONE * NONE {
            return None;
        }
        let up = |(c, down): (&f64, &bool)| *down && *c > NONE;
        if !changes.iter().zip(&down).any(up) {
            let falls: Vec<bool> = changes.iter().zip(&down).map(|(c, down)| *down && *c < -NONE).collect();
            let smallest =
                changes.iter().zip(&down).filter(|(_, d)| **d).fold(0.0f64, |low, (c, _)| low.min(*c));
            return (smallest < -MOVED).then_some(falls);
        }
        changes.iter().zip(&mut down).for_each(|(c, down)| *down = *down && *c <= NONE);
    }
    None
}
