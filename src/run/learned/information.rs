//! Moments of the statistics and their covariance, by elimination on the calibrated tree.
//!
//! Along the tree from the root, what is known of a statistic grows clique by clique, and what each clique
//! adds is uncorrelated with what the others add. With U = the terms of a clique and of everything below it,
//! in expectation given the clique, Cov(F_k, F_l) = Σ_C ⟨(U_k − ⟨U_k | S⟩)(U_l − ⟨U_l | S⟩)⟩ over cliques C with
//! separators S towards the root: one pass upwards, in which each clique costs one matrix product.

use std::collections::BTreeMap;

use ndarray::ArrayView2;
use ndarray::linalg::general_mat_mul;

use super::statistics::{Node, Statistics};
use crate::model::Scope;
use crate::model::table::strides;
use crate::numeric::sum::dot;
use crate::plan::cost::SLAB;
use crate::run::forest::Parent;
use crate::run::kernel::{accumulate, combine, combine_one, marginalise, minus, plus};
use crate::run::machine::Machine;
use crate::run::projection::Projection;

/// ⟨F⟩ and the covariance, row-major. O(Σ cells of a clique × its coefficients²).
pub fn covariance(machine: &Machine, statistics: &Statistics) -> (Vec<f64>, Vec<f64>) {
    let n = statistics.len();
    let (mut moments, mut out) = (vec![0.0; n], vec![0.0; n * n]);
    // what each clique tells its parent: the coefficient, and its mean given each cell of the separator
    let mut told: Vec<Vec<(usize, Vec<f64>)>> = vec![Vec::new(); statistics.nodes.len()];
    for (i, node) in statistics.nodes.iter().enumerate().rev() {
        let parent = statistics.forest.cliques[i].parent.as_ref();
        let mut clique = Rows::new(machine, node, parent);
        for term in &node.terms {
            clique.source(term.coefficient, &term.table.scope, &term.table.shape, &term.table.values);
        }
        for (child, below) in statistics.forest.cliques.iter().enumerate().skip(i + 1) {
            let Some(edge) = below.parent.as_ref().filter(|p| p.clique == i) else { continue };
            let buffer = &machine.schedule.buffers[edge.separator.0];
            for (k, mean) in &told[child] {
                clique.source(*k, &buffer.scope, &buffer.shape, mean);
            }
        }
        let own: Vec<usize> = clique.local.keys().copied().collect();
        let (means, products) = clique.run();
        for (a, k) in own.iter().enumerate() {
            for (b, l) in own.iter().enumerate() {
                out[k * n + l] += products[a * own.len() + b];
            }
        }
        if parent.is_some() {
            told[i] = own.into_iter().zip(means).collect();
        } else {
            own.into_iter().zip(means).for_each(|(k, mean)| moments[k] += mean[0]);
        }
    }
    (moments, out)
}

/// The terms of one clique, a row of cells for each coefficient.
struct Rows<'a> {
    shape: &'a [usize],
    scope: &'a Scope,
    belief: &'a [f64],
    separator: Placed<'a>,
    local: BTreeMap<usize, usize>,
    sources: Vec<(usize, Placed<'a>)>,
    /// Axes before the slab, and cells of a slab.
    lead: usize,
    length: usize,
}

/// A small table seen from the cells of a clique.
struct Placed<'a> {
    values: &'a [f64],
    /// How far a step along each axis of the clique leads.
    steps: Vec<usize>,
    inside: Projection,
}

impl<'a> Rows<'a> {
    fn new(machine: &'a Machine, node: &'a Node, parent: Option<&Parent>) -> Self {
        let mut lead = node.shape.len();
        let mut length = 1usize;
        while lead > 0 && length.saturating_mul(node.shape[lead - 1]) <= SLAB as usize {
            lead -= 1;
            length *= node.shape[lead];
        }
        if lead == node.shape.len() && lead > 0 {
            lead -= 1;
            length = node.shape[lead];
        }
        let mut rows = Self {
            shape: &node.shape,
            scope: &node.scope,
            belief: &machine.tables[node.belief.0],
            separator: Placed { values: &[1.0], steps: Vec::new(), inside: Projection::strided([]) },
            local: BTreeMap::new(),
            sources: Vec::new(),
            lead,
            length,
        };
        rows.separator = match parent {
            Some(Parent { separator, .. }) => {
                let buffer = &machine.schedule.buffers[separator.0];
                rows.place(&buffer.scope, &buffer.shape, &machine.tables[separator.0])
            }
            None => rows.place(&Scope::empty(), &[], &[1.0]),
        };
        rows
    }

    fn place<'b>(&self, scope: &Scope, shape: &[usize], values: &'b [f64]) -> Placed<'b> {
        let own = strides(shape);
        let step = |m: usize| scope.position(m).and_then(|a| own.get(a)).copied().unwrap_or(0);
        let steps: Vec<usize> = self.scope.iter().map(step).collect();
        let axes = self.shape.iter().copied().zip(steps.iter().copied()).skip(self.lead);
        Placed { values, inside: Projection::strided(axes), steps }
    }

    fn source(&mut self, coefficient: usize, scope: &Scope, shape: &[usize], values: &'a [f64]) {
        let placed = self.place(scope, shape, values);
        self.local.insert(coefficient, 0);
        self.sources.push((coefficient, placed));
    }

    /// Means given the separator, and the products of what is left.
    fn run(&mut self) -> (Vec<Vec<f64>>, Vec<f64>) {
        self.local.values_mut().enumerate().for_each(|(at, slot)| *slot = at);
        let n = self.local.len();
        let mut means = vec![vec![0.0; self.separator.values.len()]; n];
        let mut products = vec![0.0; n * n];
        if n == 0 {
            return (means, products);
        }
        let slabs: usize = self.shape[..self.lead].iter().product();
        let mut rows = vec![0.0; n * self.length];
        let mut weighted = vec![0.0; n * self.length];
        for slab in 0..slabs {
            self.fill(slab, &mut rows);
            let belief = &self.belief[slab * self.length..(slab + 1) * self.length];
            let at = self.base(slab, &self.separator);
            for (row, mean) in rows.chunks(self.length).zip(&mut means) {
                let product = &mut weighted[..self.length];
                product.iter_mut().zip(row).zip(belief).for_each(|((p, r), b)| *p = r * b);
                accumulate(&self.separator.inside, product, &mut mean[at..]);
            }
        }
        for mean in &mut means {
            let given = mean.iter_mut().zip(self.separator.values);
            given.for_each(|(m, s)| *m = if *s > 0.0 { *m / s } else { 0.0 });
        }
        for slab in 0..slabs {
            if slabs > 1 {
                self.fill(slab, &mut rows);
            }
            let belief = &self.belief[slab * self.length..(slab + 1) * self.length];
            let at = self.base(slab, &self.separator);
            let pairs = rows.chunks_mut(self.length).zip(weighted.chunks_mut(self.length));
            for ((row, product), mean) in pairs.zip(&means) {
                combine_one(&self.separator.inside, row, &mean[at..], minus);
                product.iter_mut().zip(row.iter()).zip(belief).for_each(|((p, r), b)| *p = r * b);
            }
            if let (Ok(left), Ok(right)) = (
                ArrayView2::from_shape((n, self.length), &weighted),
                ArrayView2::from_shape((n, self.length), &rows),
            ) && let Ok(mut onto) = ndarray::ArrayViewMut2::from_shape((n, n), &mut products)
            {
                general_mat_mul(1.0, &left, &right.t(), 1.0, &mut onto);
            }
        }
        (means, products)
    }

    /// Where the cells of a slab begin in a small table.
    fn base(&self, slab: usize, placed: &Placed) -> usize {
        let (mut rest, mut at) = (slab, 0);
        for axis in (0..self.lead).rev() {
            at += rest % self.shape[axis] * placed.steps[axis];
            rest /= self.shape[axis];
        }
        at
    }

    fn fill(&self, slab: usize, rows: &mut [f64]) {
        rows.fill(0.0);
        for (coefficient, placed) in &self.sources {
            let row = self.local.get(coefficient).copied().unwrap_or(0);
            let own = &mut rows[row * self.length..(row + 1) * self.length];
            let at = self.base(slab, placed);
            combine_one(&placed.inside, own, &placed.values[at..], plus);
        }
    }
}

/// ⟨F⟩ alone. O(terms × cells of their cliques).
pub fn moments(machine: &Machine, statistics: &Statistics) -> Vec<f64> {
    let mut out = vec![0.0; statistics.len()];
    for node in &statistics.nodes {
        add_moments(node, &machine.tables[node.belief.0], &mut out);
    }
    out
}

/// Adds Σ_x w F_k of the terms of a clique, for weights of its cells.
fn add_moments(node: &Node, weights: &[f64], onto: &mut [f64]) {
    for term in &node.terms {
        let way = Projection::between(&node.scope, &node.shape, &term.table.scope);
        let mut marginal = vec![0.0; term.table.values.len()];
        marginalise(&way, weights, &mut marginal);
        onto[term.coefficient] += dot(&marginal, &term.table.values);
    }
}

/// Σ_k v_k F_k, clique by clique.
fn spread(machine: &Machine, statistics: &Statistics, v: &[f64]) -> Vec<Vec<f64>> {
    let tables = statistics.nodes.iter().map(|node| {
        let mut table = vec![0.0; machine.tables[node.belief.0].len()];
        for term in &node.terms {
            let onto = Projection::between(&node.scope, &node.shape, &term.table.scope);
            let weight = v[term.coefficient];
            combine(&onto, &mut table, &term.table.values, move |t, s| t + weight * s);
        }
        table
    });
    tables.collect()
}

/// The covariance times a vector, without the matrix: v·F in expectation given each clique, less its mean.
/// O(terms × cells of their cliques).
pub fn product(machine: &Machine, statistics: &Statistics, v: &[f64]) -> Vec<f64> {
    let mut energy = spread(machine, statistics, v);
    let mut weighted = Vec::new();
    let (means, _) = statistics.forest.expect(machine, &mut energy, &mut weighted);
    let mut out = vec![0.0; v.len()];
    for ((node, energy), mean) in statistics.nodes.iter().zip(&energy).zip(means) {
        let belief = &machine.tables[node.belief.0];
        weighted.clear();
        weighted.extend(belief.iter().zip(energy).map(|(b, e)| b * (e - mean)));
        add_moments(node, &weighted, &mut out);
    }
    out
}

/// min over the support of d·F.
pub fn smallest(machine: &Machine, statistics: &Statistics, d: &[f64]) -> f64 {
    statistics.forest.least(machine, &mut spread(machine, statistics, d))
}
