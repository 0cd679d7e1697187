//! What the Newton equations of smooth tables are preconditioned by.
//!
//! H = Fᵀ Q F + Σ s BᵀB joins parameters in two ways, and each has a part that is nearly its inverse. Both are added.
//!
//! **Neighbours.** Without centring BᵀB is the Laplacian of a grid, and a table is an electrical network: s is the
//! conductance between neighbours, and what Q has on the diagonal, that to the ground. Levels are eliminated in
//! order. Between those that come next to an eliminated one this leaves conductances; those along its own line are
//! kept, so that a table with one penalty is solved exactly, cyclic or not, and all others are dropped, which leaves
//! sums of rows as they are (Gustafsson 1978, doi:10.1007/BF01931691). What is to the ground is carried along by itself
//! and never found as a difference (Grassmann, Taksar and Heyman 1985, doi:10.1287/opre.33.5.1107): it is as precise
//! where cells are all but impossible as elsewhere.
//!
//! **What smoothness leaves free.** A function of one smooth mode, or of all modes that are not, costs nothing: only Q tells
//! of it, while its neighbours hold every single parameter fast. These functions are solved for together
//! (a coarse correction: Nicolaides 1987, doi:10.1137/0724027), by Cholesky's method where that is worth its cost.
//!
//! Both are for a model of one table. Models of several keep the diagonal.
//!
//! The two parts are also kept apart. Where s is far above Q, neighbours differ by less than the rounding of what they have
//! in common: penalties are to see the first part alone, whose sum over a network is found by itself.

use super::newton::Penalty;
use super::rows::Tables;
use crate::model::Scope;
use crate::model::table::strides;
use crate::run::conjugate::Inverse;

/// The place of a parameter that a function does not have.
const NOWHERE: u32 = u32::MAX;

/// Most operations of a factorisation beside those of one product with H.
const WORTH: f64 = 300.0;

/// What a pivot keeps of its diagonal at least; below may be rounding of as many sums.
const SINGULAR: f64 = 1e-11;

/// dᵀHd over dᵀMd below which a direction is taken to be one in which H is singular: where all that may be flat is
/// solved for together, and where it is not.
const FLAT: f64 = 1e-9;
const FLATTER: f64 = 1e-13;

/// Functions of tables that smoothness leaves free, which do not depend on the data.
#[derive(Default)]
pub struct Free {
    /// For each kind of function, its value that each parameter takes, or [`NOWHERE`].
    of: Vec<Vec<u32>>,
    /// The number of values of all kinds.
    count: usize,
    /// How many of them, from the first, are solved for together.
    together: usize,
    /// For each table that is conditioned along its neighbours, having penalties and sharing no parameter, its place and
    /// that of the kind of function that each of its networks is one value of.
    lines: Vec<(usize, usize)>,
}

impl Free {
    /// Those of a table by itself, where one product with H takes so many operations. Several tables have functions in
    /// common: H is singular there, and to solve for them spreads rounding. They keep the diagonal.
    pub fn new(tables: &Tables, penalties: &[Penalty], product: f64) -> Free {
        if tables.blocks.len() != 1 {
            return Free::default();
        }
        let mut uses = vec![0u32; tables.parameters];
        tables.blocks.iter().flat_map(|b| &b.place).for_each(|p| uses[*p as usize] += 1);
        let mut kinds: Vec<(usize, usize, Vec<u32>)> = Vec::new();
        let mut lines = Vec::new();
        for (b, block) in tables.blocks.iter().enumerate() {
            let own = block.place.iter().all(|p| uses[*p as usize] == 1);
            let smooth: Scope = penalties.iter().filter(|p| p.block == b).map(|p| p.axis).collect();
            if !own || penalties.is_empty() {
                continue;
            }
            if !smooth.is_empty() {
                lines.push((b, kinds.len()));
            }
            let rest = Scope::all(block.shape.len()).difference(&smooth);
            let mut of = vec![rest];
            if block.shape.len() > 1 {
                of.extend(smooth.iter().map(|axis| Scope::from([axis])));
            }
            let steps = strides(&block.shape);
            for axes in of {
                let mut values = vec![NOWHERE; tables.parameters];
                let mut count = 1;
                for (k, place) in block.place.iter().enumerate() {
                    let level =
                        |at: usize, axis: usize| at * block.shape[axis] + k / steps[axis] % block.shape[axis];
                    values[*place as usize] = u32::try_from(axes.iter().fold(0, level)).unwrap_or(NOWHERE);
                }
                axes.iter().for_each(|axis| count *= block.shape[axis]);
                kinds.push((count, kinds.len(), values));
            }
        }
        kinds.sort_by_key(|(count, ..)| *count);
        for (_, kind) in &mut lines {
            *kind = kinds.iter().position(|(_, first, _)| first == kind).unwrap_or(0);
        }
        let (mut count, mut together) = (0, 0);
        for (own, _, values) in &mut kinds {
            let start = u32::try_from(count).unwrap_or(NOWHERE);
            values.iter_mut().filter(|v| **v != NOWHERE).for_each(|v| *v += start);
            count += *own;
            let operations = (count as f64).powi(3) / 3.0;
            if operations <= WORTH * product {
                together = count;
            }
        }
        Free { of: kinds.into_iter().map(|(.., values)| values).collect(), count, together, lines }
    }

    /// M⁻¹ where Fᵀ Q F has this diagonal; `visit` gives every row its parameters and Q.
    pub fn condition<'a>(
        &'a self,
        tables: &'a Tables,
        penalties: &'a [Penalty],
        diagonal: &[f64],
        visit: impl FnOnce(&mut dyn FnMut(&[u32], f64)),
    ) -> Condition<'a> {
        let mut stiff = diagonal.to_vec();
        for p in penalties {
            // each level has two neighbours, and centring leaves most of it
            tables.blocks[p.block].place.iter().for_each(|at| stiff[*at as usize] += 2.0 * p.strength);
        }
        let invert = |d: f64| if d > 0.0 { 1.0 / d } else { 0.0 };
        let stiff: Vec<f64> = stiff.into_iter().map(invert).collect();
        let mut single = stiff.clone();
        let mut networks = Vec::new();
        for (b, kind) in &self.lines {
            let block = &tables.blocks[*b];
            let own = penalties.iter().filter(|p| p.block == *b);
            let ground: Vec<f64> = block.place.iter().map(|p| diagonal[*p as usize]).collect();
            block.place.iter().for_each(|p| single[*p as usize] = 0.0);
            let mut sums = vec![0.0; self.count];
            let whole: Vec<u32> = block.place.iter().map(|p| self.of[*kind][*p as usize]).collect();
            whole.iter().zip(&ground).for_each(|(w, g)| sums[*w as usize] += g);
            let network = Network::new(&block.shape, own, ground.clone());
            networks.push(Lines { place: &block.place, whole, ground, sums, network });
        }
        let n = self.together;
        let (mut matrix, mut rest) = (vec![0.0; n * n], vec![0.0; self.count]);
        let mut at = Vec::new();
        visit(&mut |row: &[u32], q: f64| {
            at.clear();
            for p in row {
                at.extend(self.of.iter().map(|of| of[*p as usize]).filter(|v| *v != NOWHERE));
            }
            for i in &at {
                let i = *i as usize;
                rest[i] += q;
                if i < n {
                    at.iter().filter(|j| **j as usize <= i).for_each(|j| matrix[i * n + *j as usize] += q);
                }
            }
        });
        rest[..n].fill(0.0);
        Condition {
            free: self,
            networks,
            single,
            stiff,
            factor: Factor::new(matrix, n),
            rest: rest.into_iter().map(invert).collect(),
        }
    }
}

/// A table that is conditioned along neighbours.
struct Lines<'a> {
    /// Its parameters.
    place: &'a [u32],
    /// Which function is one on the network of each.
    whole: Vec<u32>,
    /// Conductances to the ground.
    ground: Vec<f64>,
    /// Their sums over each network, at the place of its function.
    sums: Vec<f64>,
    network: Network,
}

/// M⁻¹.
pub struct Condition<'a> {
    free: &'a Free,
    networks: Vec<Lines<'a>>,
    /// The inverse of the diagonal of all other parameters.
    single: Vec<f64>,
    /// The inverse of the diagonal of H, about.
    stiff: Vec<f64>,
    /// The functions that are solved for together.
    factor: Factor,
    /// The inverse of the diagonal of all others.
    rest: Vec<f64>,
}

/// After M⁻¹ r comes that part of it on which penalties depend.
impl Inverse for Condition<'_> {
    fn apply(&self, r: &[f64]) -> Vec<f64> {
        let mut rough: Vec<f64> = r.iter().zip(&self.single).map(|(r, i)| r * i).collect();
        let mut sums = vec![0.0; self.free.count];
        for of in &self.free.of {
            of.iter().zip(r).filter(|(v, _)| **v != NOWHERE).for_each(|(v, r)| sums[*v as usize] += r);
        }
        let mut values = sums.clone();
        self.factor.solve(&mut values[..self.free.together]);
        values.iter_mut().zip(&self.rest).skip(self.free.together).for_each(|(s, i)| *s *= i);
        for lines in &self.networks {
            // what all have in common is a function that is free
            let level = |w: u32| match lines.sums[w as usize] {
                ground if ground > 0.0 => sums[w as usize] / ground,
                _ => 0.0,
            };
            let cells = lines.place.iter().zip(lines.whole.iter().zip(&lines.ground));
            let flows = cells.map(|(p, (w, g))| r[*p as usize] - level(*w) * g).collect();
            let solved = lines.network.solve(flows);
            lines.place.iter().zip(solved).for_each(|(p, x)| rough[*p as usize] = x);
        }
        let mut out = rough.clone();
        for of in &self.free.of {
            let places = of.iter().zip(&mut out).filter(|(v, _)| **v != NOWHERE);
            places.for_each(|(v, o)| *o += values[*v as usize]);
        }
        out.extend(rough);
        out
    }

    fn singular(&self) -> f64 {
        if self.networks.is_empty() {
            return 0.0;
        }
        let whole = self.free.together == self.free.count && self.single.iter().all(|i| *i == 0.0);
        if whole { FLAT } else { FLATTER }
    }

    fn beside_rounding(&self, r: &[f64], _: f64) -> f64 {
        r.iter().zip(&self.stiff).map(|(r, i)| r * r * i).sum()
    }
}

/// One axis of a network.
struct Axis {
    levels: usize,
    step: usize,
    /// The conductance between neighbours.
    strength: f64,
    /// What every level has to the last one when it is eliminated, beside what it has as a neighbour of it.
    around: Option<Vec<f64>>,
}

impl Axis {
    /// The conductances of a cell to those after it along this axis, and where these are.
    fn after(&self, cell: usize) -> ((usize, f64), (usize, f64)) {
        let left = self.levels - 1 - cell / self.step % self.levels;
        let around = self.around.as_ref().map_or(0.0, |a| a[cell]);
        match left {
            0 => ((cell, 0.0), (cell, 0.0)),
            _ => ((cell + self.step, self.strength), (cell + left * self.step, around)),
        }
    }
}

/// A grid of conductances that was eliminated in order.
struct Network {
    axes: Vec<Axis>,
    /// The inverse of all conductances of each cell when it is eliminated.
    inverse: Vec<f64>,
}

impl Network {
    /// Of penalties and conductances to the ground.
    fn new<'a>(
        shape: &[usize],
        penalties: impl Iterator<Item = &'a Penalty>,
        mut ground: Vec<f64>,
    ) -> Network {
        let steps = strides(shape);
        let axis = |p: &Penalty| {
            let (levels, step) = (shape[p.axis], steps[p.axis]);
            let first = |k: usize| if (k / step).is_multiple_of(levels) { p.strength } else { 0.0 };
            let around = (p.cyclic && levels > 2).then(|| (0..ground.len()).map(first).collect());
            Axis { levels, step, strength: p.strength, around }
        };
        let mut axes: Vec<Axis> = penalties.map(axis).collect();
        let mut inverse = vec![0.0; ground.len()];
        for cell in 0..ground.len() {
            let all: f64 = axes.iter().map(|axis| axis.after(cell)).map(|(next, last)| next.1 + last.1).sum();
            let total = ground[cell] + all;
            if total <= 0.0 {
                continue;
            }
            inverse[cell] = 1.0 / total;
            let share = ground[cell] / total;
            for axis in &mut axes {
                let (next, last) = axis.after(cell);
                if next.0 == cell {
                    continue;
                }
                ground[next.0] += next.1 * share;
                ground[last.0] += last.1 * share;
                if let Some(around) = &mut axis.around
                    && next.0 != last.0
                {
                    around[next.0] += next.1 * last.1 / total;
                }
            }
        }
        Network { axes, inverse }
    }

    /// Solves for what flows in. O(cells × axes).
    fn solve(&self, mut x: Vec<f64>) -> Vec<f64> {
        for cell in 0..x.len() {
            let share = x[cell] * self.inverse[cell];
            for axis in &self.axes {
                let (next, last) = axis.after(cell);
                x[next.0] += next.1 * share;
                if axis.around.is_some() {
                    x[last.0] += last.1 * share;
                }
            }
        }
        for cell in (0..x.len()).rev() {
            let mut sum = x[cell];
            for axis in &self.axes {
                let (next, last) = axis.after(cell);
                sum += next.1 * x[next.0];
                if axis.around.is_some() {
                    sum += last.1 * x[last.0];
                }
            }
            x[cell] = sum * self.inverse[cell];
        }
        x
    }
}

/// L of a matrix L Lᵀ of so many rows, row-major, without what is singular.
struct Factor {
    lower: Vec<f64>,
    n: usize,
}

impl Factor {
    /// From the lower half of a matrix. O(n³ / 3).
    fn new(mut matrix: Vec<f64>, n: usize) -> Factor {
        for i in 0..n {
            let (above, own) = matrix.split_at_mut(i * n);
            let own = &mut own[..=i];
            for j in 0..i {
                let row = &above[j * n..=j * n + j];
                let pivot = row[j];
                own[j] = if pivot > 0.0 { (own[j] - product(&own[..j], &row[..j])) / pivot } else { 0.0 };
            }
            let size = own[i];
            let left = size - product(&own[..i], &own[..i]);
            own[i] = if left > SINGULAR * size { left.sqrt() } else { 0.0 };
        }
        Factor { lower: matrix, n }
    }

    /// Solves in place; 0 where the matrix is singular.
    fn solve(&self, x: &mut [f64]) {
        let n = self.n;
        for i in 0..n {
            let row = &self.lower[i * n..=i * n + i];
            x[i] = if row[i] > 0.0 { (x[i] - product(&row[..i], &x[..i])) / row[i] } else { 0.0 };
        }
        for i in (0..n).rev() {
            let row = &self.lower[i * n..=i * n + i];
            x[i] = if row[i] > 0.0 { x[i] / row[i] } else { 0.0 };
            let own = x[i];
            x[..i].iter_mut().zip(row).for_each(|(x, l)| *x -= l * own);
        }
    }
}

/// Σ a b, in eight sums beside one another.
fn product(a: &[f64], b: &[f64]) -> f64 {
    let ((left, a), (right, b)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (left, right) in left.iter().zip(right) {
        sums.iter_mut().zip(left.iter().zip(right)).for_each(|(s, (a, b))| *s += a * b);
    }
    sums.iter().sum::<f64>() + a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn penalty(axis: usize, cyclic: bool, strength: f64) -> Penalty {
        Penalty { block: 0, axis, cyclic, strength }
    }

    fn numbers(n: usize) -> Vec<f64> {
        (0..n).map(|i| f64::from(u32::try_from(i * i % 23).unwrap_or(0)) - 9.5).collect()
    }

    /// What flows from every cell at these potentials.
    fn flows(shape: &[usize], penalties: &[Penalty], ground: &[f64], x: &[f64]) -> Vec<f64> {
        let steps = strides(shape);
        let mut out: Vec<f64> = x.iter().zip(ground).map(|(x, g)| x * g).collect();
        for p in penalties {
            let (n, step) = (shape[p.axis], steps[p.axis]);
            for cell in 0..x.len() {
                let level = cell / step % n;
                let next = match level + 1 < n {
                    true => cell + step,
                    false if p.cyclic && n > 2 => cell - level * step,
                    false => continue,
                };
                let flow = p.strength * (x[cell] - x[next]);
                out[cell] += flow;
                out[next] -= flow;
            }
        }
        out
    }

    #[test]
    fn one_penalty_is_solved_exactly() {
        for (n, cyclic) in [1, 2, 3, 4, 9].into_iter().flat_map(|n| [(n, false), (n, true)]) {
            for (shape, axis) in [([n, 5], 0), ([5, n], 1)] {
                for strength in [1e-3, 1.0, 1e6] {
                    let penalties = [penalty(axis, cyclic, strength)];
                    let ground: Vec<f64> = (0..5 * n).map(|i| [0.1, 1.0, 1e-3, 0.5][i % 4]).collect();
                    let x = numbers(5 * n);
                    let network = Network::new(&shape, penalties.iter(), ground.clone());
                    let found = network.solve(flows(&shape, &penalties, &ground, &x));
                    for (found, x) in found.iter().zip(&x) {
                        let rounding = 1e-12 * (1.0 + strength / 1e-3);
                        assert!((found - x).abs() < rounding, "{shape:?}, {strength:e}: {found} for {x}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_to_the_ground_is_as_precise_where_it_is_next_to_nothing() {
        for small in [1.0, 1e-9, 1e-18, 1e-200] {
            let ground: Vec<f64> = (0..60).map(|i| small * f64::from(1 + i % 7)).collect();
            let penalties = [penalty(0, false, 3.0), penalty(1, true, 1e3), penalty(2, false, 0.1)];
            for used in 1..=3 {
                // potentials of one let flow to the ground alone, whatever is dropped between cells
                let network = Network::new(&[3, 4, 5], penalties[..used].iter(), ground.clone());
                for x in network.solve(ground.clone()) {
                    assert!((x - 1.0).abs() < 1e-12, "{small:e}, {used}: {x}");
                }
            }
        }
    }

    #[test]
    fn cells_that_nothing_tells_about_are_left_alone() {
        let penalties = [penalty(0, true, 2.0), penalty(1, false, 1.0)];
        let network = Network::new(&[3, 4], penalties.iter(), vec![0.0; 12]);
        assert!(network.solve(numbers(12)).iter().all(|x| x.is_finite()));
    }

    #[test]
    fn a_factor_solves_what_has_a_solution() {
        // rows and columns of a table of ones are functions with one thing in common
        let n = 24;
        let value = |i: usize, j: usize| match (i < 10, j < 10) {
            _ if i == j => {
                if i < 10 {
                    14.0
                } else {
                    10.0
                }
            }
            (a, b) => f64::from(u8::from(a != b)),
        };
        let matrix: Vec<f64> = (0..n * n).map(|k| value(k / n, k % n)).collect();
        let x = numbers(n);
        let image =
            |x: &[f64]| -> Vec<f64> { (0..n).map(|i| (0..n).map(|j| value(i, j) * x[j]).sum()).collect() };
        let right = image(&x);
        let mut found = right.clone();
        Factor::new(matrix, n).solve(&mut found);
        for (found, right) in image(&found).iter().zip(&right) {
            assert!((found - right).abs() < 1e-9, "{found} for {right}");
        }
    }
}
