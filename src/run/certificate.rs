//! How far the fit is from the optimum, proved.
//!
//! At any Q of the family let d solve the Newton equations G d = P_g − Q_g. Then
//! R = Q (1 + Σ d − ⟨Σ d⟩) has exactly the marginals of the data, and where it is not negative
//! KL(P‖Q) − KL(P‖Q*) = KL(Q*‖Q) ≤ KL(R‖Q) ≤ c(m) λ², with λ² = dᵀGd, m the smallest relative change
//! and c(m) = ((1+m) ln(1+m) − m)/m²: Q* is the distribution of largest entropy, relative to the base
//! measure, among those with these marginals, and R is one of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::boundary::leaves;
use super::conjugate::{Equations, worthless};
use super::factored::Tangent;
use super::forest::Forest;
use super::kernel::{combine, marginalise, plus, put};
use super::machine::Machine;
use super::projection::Projection;
use super::sum::dot;
use crate::model::Table;
use crate::plan::cost::{self, Unit};
use crate::plan::schedule::{BufferId, Instruction, Iteration, Match, Place};

/// Most applications of the Fisher matrix.
const MOST: usize = 500;

/// Relative residual at which the Newton equations count as solved.
const SOLVED: f64 = 1e-8;

/// Bounds what is left to gain on the generators that were iterated. Conjugate gradients in marginal
/// coordinates, preconditioned by 1/Q_g; each application of G is two passes of conditional expectations
/// over the calibrated tree, and nothing is as large as the tensor.
pub(super) fn certify(machine: &mut Machine, pairs: &[Match], factored: &[Match]) {
    machine.certificate.marginal_gap = machine.gap;
    // the bound can take as long as hundreds of sweeps, and whoever interrupts does not want to wait
    if machine.interrupted {
        machine.certificate.reason = Some("the fit was interrupted".into());
        return;
    }
    // what doubles can tell apart in a divergence of this size
    let resolution = f64::EPSILON * (1.0 + machine.negative_entropy.abs());
    // atoms whose factors spread too far have tables after all
    let (tables, loose): (Vec<Match>, Vec<Match>) =
        factored.iter().partition(|m| !machine.tables[m.belief.0].is_empty());
    let tables: Vec<Match> = pairs.iter().copied().chain(tables).collect();
    let mut all = vec![Operator::Tables(Fisher::new(machine, &tables))];
    for step in &machine.schedule.steps {
        if let Instruction::Loop(iteration) = &step.instruction
            && let Some(program) = &iteration.factored
            && loose.iter().any(|m| iteration.pairs.contains(m))
        {
            all.push(Operator::Factors(Tangent::new(machine, program), &iteration.pairs));
        }
    }
    // atoms are problems of their own, and what is left to gain adds up
    let (mut bound, mut smallest) = (0.0, 0.0f64);
    for operator in all {
        match newton(machine, operator, resolution) {
            Ok(n) => {
                bound += factor(n.smallest) * n.decrement.max(0.0) + n.missed;
                smallest = smallest.min(n.smallest);
                machine.vanishing |= leaves(machine.tensor, &n.direction, n.smallest);
            }
            Err(reason) => {
                machine.certificate.reason = Some(reason);
                return;
            }
        }
    }
    if smallest < -1.0 {
        machine.certificate.reason = Some(match machine.vanishing && !machine.stopped {
            true => "the optimum lies on the boundary, where the bound does not apply".into(),
            false => "the fit is too far from the optimum for a bound".into(),
        });
        return;
    }
    machine.certificate.optimality_gap = Some(bound + resolution);
}

/// What a solution of the Newton equations says.
#[derive(Default)]
struct Newton {
    /// λ².
    decrement: f64,
    /// The smallest relative change of a cell.
    smallest: f64,
    /// d, a table for each generator.
    direction: Vec<Table>,
    /// What the part of the equations that is not solved may still be worth.
    missed: f64,
}

/// The Fisher information, on tables or on factors.
pub(super) enum Operator<'a> {
    Tables(Fisher<'a>),
    Factors(Tangent<'a>, &'a [Match]),
}

impl<'a> Operator<'a> {
    /// That of one atom by itself, on its tables or its factors.
    pub(super) fn of_atom(machine: &mut Machine, iteration: &'a Iteration, in_factors: bool) -> Self {
        match iteration.factored.as_ref().filter(|_| in_factors) {
            Some(program) => Operator::Factors(Tangent::new(machine, program), &iteration.pairs),
            None => {
                let own = |p: &Place| p.atom == iteration.atom;
                Operator::Tables(Fisher::within(machine, &iteration.pairs, own))
            }
        }
    }

    /// What a product is predicted to cost.
    fn price(&self, machine: &mut Machine) -> Unit {
        let schedule = machine.schedule;
        let buffers = &schedule.buffers;
        let cells = |id: BufferId| buffers[id.0].cells;
        match self {
            Operator::Tables(fisher) => {
                let cliques = fisher.forest.cliques.iter().map(|c| cells(c.belief)).sum();
                cost::fisher(fisher.pairs, cliques, buffers)
            }
            Operator::Factors(tangent, pairs) => {
                let tables = pairs.iter().map(|m| cells(m.statistic)).sum();
                cost::tangent(&machine.priced(tangent.factored), tables)
            }
        }
    }

    fn pairs(&self) -> &[Match] {
        match self {
            Operator::Tables(fisher) => fisher.pairs,
            Operator::Factors(_, pairs) => pairs,
        }
    }

    pub(super) fn marginals(&self, machine: &mut Machine) -> Vec<f64> {
        match self {
            Operator::Tables(fisher) => fisher.marginals(machine),
            Operator::Factors(tangent, _) => tangent.marginals(machine),
        }
    }

    /// G v, and ⟨Σ v⟩.
    pub(super) fn apply(&mut self, machine: &mut Machine, v: &[f64]) -> (Vec<f64>, f64) {
        match self {
            Operator::Tables(fisher) => fisher.apply(machine, v),
            Operator::Factors(tangent, _) => tangent.apply(machine, v),
        }
    }

    /// A bound from below on Σ d over the support.
    pub(super) fn smallest(&mut self, machine: &Machine, d: &[f64]) -> f64 {
        match self {
            Operator::Tables(fisher) => fisher.smallest(machine, d),
            Operator::Factors(tangent, _) => tangent.smallest(machine, d),
        }
    }
}

/// The Newton equations of one atom, solved until what is left is worth less than doubles can tell.
fn newton(machine: &mut Machine, mut operator: Operator, resolution: f64) -> Result<Newton, String> {
    let pairs = operator.pairs().to_vec();
    if pairs.is_empty() {
        return Ok(Newton::default());
    }
    let target: Vec<f64> = pairs.iter().flat_map(|m| machine.tables[m.statistic.0].iter().copied()).collect();
    let fitted = operator.marginals(machine);
    let inverse: Vec<f64> = fitted.iter().map(|q| if *q > 0.0 { 1.0 / q } else { 0.0 }).collect();
    let right: Vec<f64> = target.iter().zip(&fitted).map(|(p, q)| p - q).collect();
    let spreads = || pairs.iter().map(|m| spread(&machine.tables[m.potential.0]));
    // below this, a residual is rounding and the equations have no solution
    let floor = (32.0 * f64::EPSILON).powi(2) * pairs.len() as f64;
    let equations = Equations {
        right: &right,
        inverse: &inverse,
        accuracy: SOLVED,
        floor,
        worthless: worthless(resolution, spreads().fold(0.0, f64::max)),
        met: if machine.flattest.is_finite() { machine.flattest } else { 0.0 },
        most: MOST,
    };
    let start = equations.size(&right);
    if start <= 100.0 * floor {
        // KL(Q*‖Q) ≤ Σ ‖λ − λ*‖∞ ‖P_g − Q_g‖₁, and what is unknown of λ* is taken to be no more than the
        // spread of λ, which is wide where the optimum is near the boundary
        let missed = spreads().sum::<f64>() * right.iter().map(|r| r.abs()).sum::<f64>();
        return Ok(Newton { missed, ..Newton::default() });
    }
    let price = operator.price(machine);
    let found = equations.solve(|direction| {
        machine.predict(price);
        machine.worked(cost::gradients(direction.len() as f64));
        operator.apply(machine, direction)
    });
    let mut rest = found.d.as_slice();
    let tables = pairs.iter().map(|m| {
        let buffer = &machine.schedule.buffers[m.statistic.0];
        let (own, others) = rest.split_at(buffer.shape.iter().product());
        rest = others;
        Table { scope: buffer.scope.clone(), shape: buffer.shape.clone(), values: own.to_vec() }
    });
    let direction: Vec<Table> = tables.collect();
    if let Some(missed) = found.worth {
        let smallest = operator.smallest(machine, &found.d) - found.mean;
        return Ok(Newton { decrement: found.decrement, smallest, direction, missed });
    }

    // what was not given up is looked at again, without what conjugate gradients made of it
    machine.predict(price);
    let (image, mean) = operator.apply(machine, &found.d);
    let decrement = dot(&found.d, &image);
    let missed: Vec<f64> = right.iter().zip(&image).map(|(r, i)| r - i).collect();
    let smallest = operator.smallest(machine, &found.d) - mean;
    if smallest < -1.0 {
        return Ok(Newton { decrement, smallest, direction, missed: 0.0 });
    }
    if equations.size(&missed) > (1e-6_f64).powi(2) * start + 100.0 * floor {
        return Err(format!(
            "the Newton equations were not solved to the precision a proof needs in {} steps",
            found.steps
        ));
    }
    if dot(&found.d, &missed).abs() > 1e-3 * decrement {
        return Err("the Newton equations are too ill-conditioned for a proof".into());
    }
    Ok(Newton { decrement, smallest, direction, missed: 0.0 })
}

/// Largest minus smallest of the finite numbers of a table.
fn spread(table: &[f64]) -> f64 {
    let finite = table.iter().copied().filter(|x| x.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    (high - low).max(0.0)
}

/// c(m) = ((1+m) ln(1+m) − m)/m², from 1 at m = −1 to ½ at m = 0.
pub(super) fn factor(m: f64) -> f64 {
    // the smallest of changes of mean zero is never positive but by rounding
    if m > -1e-4 {
        let m = m.min(0.0);
        return 0.5 - m / 6.0 + m * m / 12.0;
    }
    if m <= -1.0 { 1.0 } else { ((1.0 + m) * m.ln_1p() - m) / (m * m) }
}

/// The Fisher information of the fitted distribution, as a map.
pub(super) struct Fisher<'a> {
    pairs: &'a [Match],
    forest: Forest,
    /// Which generators stand at each clique: where they start in the stacked vector, and the way to them.
    generators: Vec<Vec<(usize, usize, Arc<Projection>)>>,
    /// Room for a table per clique.
    energy: Vec<Vec<f64>>,
    /// Room for the largest of them.
    weighted: Vec<f64>,
}

impl<'a> Fisher<'a> {
    fn new(machine: &mut Machine, pairs: &'a [Match]) -> Self {
        let schedule = machine.schedule;
        let beliefs: BTreeSet<BufferId> = pairs.iter().map(|m| m.belief).collect();
        let components: BTreeSet<usize> =
            schedule.places.iter().filter(|p| beliefs.contains(&p.belief)).map(|p| p.component).collect();
        Self::within(machine, pairs, |p| components.contains(&p.component))
    }

    /// On the part of the forest that is `kept`, which holds every clique of these generators.
    fn within(machine: &mut Machine, pairs: &'a [Match], kept: impl Fn(&Place) -> bool) -> Self {
        let forest = Forest::new(machine, kept);
        let mut generators = vec![Vec::new(); forest.cliques.len()];
        let mut start = 0;
        for m in pairs {
            let cells = machine.tables[m.statistic.0].len();
            let projection = machine.projection(m.belief, m.statistic);
            if let Some(at) = forest.cliques.iter().position(|c| c.belief == m.belief) {
                generators[at].push((start, cells, projection));
            }
            start += cells;
        }
        Self { pairs, forest, generators, energy: Vec::new(), weighted: Vec::new() }
    }

    fn marginals(&self, machine: &mut Machine) -> Vec<f64> {
        let mut out = Vec::new();
        for m in self.pairs {
            let projection = machine.projection(m.belief, m.statistic);
            let mut fitted = vec![0.0; machine.tables[m.statistic.0].len()];
            marginalise(&projection, &machine.tables[m.belief.0], &mut fitted);
            out.append(&mut fitted);
        }
        out
    }

    /// Σ v over the generators of each clique.
    fn spread(&mut self, machine: &Machine, v: &[f64]) -> Vec<Vec<f64>> {
        let mut tables = std::mem::take(&mut self.energy);
        tables.resize_with(self.generators.len(), Vec::new);
        for ((table, clique), own) in tables.iter_mut().zip(&self.forest.cliques).zip(&self.generators) {
            table.resize(machine.tables[clique.belief.0].len(), 0.0);
            let mut generators = own.iter().map(|(start, cells, way)| (way, &v[*start..start + cells]));
            match generators.next() {
                None => table.fill(0.0),
                Some((way, own)) => combine(way, table, own, put),
            }
            generators.for_each(|(way, own)| combine(way, table, own, plus));
        }
        tables
    }

    /// G v: the covariance of every generator's indicators with E = Σ v. With T(x_C) = ⟨E | x_C⟩ it is
    /// Σ_{C∖g} B (T − ⟨E⟩). O(cells of the cliques × (generators + edges)).
    fn apply(&mut self, machine: &mut Machine, v: &[f64]) -> (Vec<f64>, f64) {
        let mut energy = self.spread(machine, v);
        let weighted = &mut self.weighted;
        let (means, mean) = self.forest.expect(machine, &mut energy, weighted);
        let mut out = vec![0.0; v.len()];
        for (i, clique) in self.forest.cliques.iter().enumerate() {
            if let Some(parent) = &clique.parent {
                machine.count(clique.belief, 3.0, 40.0);
                machine.count(self.forest.cliques[parent.clique].belief, 3.0, 32.0);
            }
            if self.generators[i].is_empty() {
                continue;
            }
            let belief = &machine.tables[clique.belief.0];
            weighted.clear();
            weighted.extend(belief.iter().zip(&energy[i]).map(|(b, e)| b * (e - means[i])));
            for (start, cells, projection) in &self.generators[i] {
                marginalise(projection, weighted, &mut out[*start..start + cells]);
            }
            let generators = self.generators[i].len() as f64;
            machine.count(clique.belief, 2.0 + 3.0 * generators, 24.0 + 24.0 * generators);
        }
        self.energy = energy;
        (out, mean)
    }

    /// min over the support of Σ d.
    fn smallest(&mut self, machine: &Machine, d: &[f64]) -> f64 {
        let mut energy = self.spread(machine, d);
        self.forest.least(machine, &mut energy)
    }
}

#[cfg(test)]
mod tests {
    use super::factor;

    #[test]
    fn the_factor_is_continuous_and_within_its_bounds() {
        assert_eq!(factor(-1.0), 1.0);
        assert!((factor(-1.0 + 1e-12) - 1.0).abs() < 1e-9);
        assert!((factor(-1.01e-4) - factor(-0.99e-4)).abs() < 1e-6);
        for k in 1..100 {
            let c = factor(-0.01 * f64::from(k));
            assert!((0.5..=1.0).contains(&c));
        }
    }
}
