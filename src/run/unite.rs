//! Atoms whose cliques stay products of factors are put together on what they share.

use super::kernel::{combine, marginalise, ratio, scale};
use super::machine::Machine;
use crate::plan::cost::Unit;
use crate::plan::schedule::{Factored, Instruction, Iteration, Joint, Unite};
use crate::text::Diagnostic;

impl Machine<'_> {
    /// Q = Q_R Π Q_A/Q_A(S): each atom is divided by its own marginal on what it shares with its parent,
    /// so that the product is normalised exactly, and its beliefs take the parent's marginal there. The
    /// cost is one check of each atom that hangs from another.
    pub fn unite(&mut self, unite: &Unite) -> Result<(), Vec<Diagnostic>> {
        let schedule = self.schedule;
        let loops: Vec<(&Iteration, &Factored)> = schedule
            .steps
            .iter()
            .filter_map(|s| match &s.instruction {
                Instruction::Loop(i) => i.factored.as_ref().map(|f| (&**i, f)),
                _ => None,
            })
            .filter(|(i, _)| unite.joints.iter().any(|j| j.atom == i.atom))
            .collect();
        if loops.iter().any(|(i, _)| !self.tables[i.root.0].is_empty()) {
            for step in &unite.tables {
                self.step(step)?;
            }
            for (iteration, _) in loops {
                let gap = self.measure(&iteration.pairs);
                self.factored_gap = self.factored_gap.max(gap);
            }
            return Ok(());
        }
        for joint in &unite.joints {
            match loops.iter().find(|(i, _)| i.atom == joint.atom) {
                Some((iteration, factored)) => self.unite_factors(joint, iteration, factored)?,
                None => self.unite_marginal(joint),
            }
        }
        Ok(())
    }

    /// What it costs, the checks of atoms by what is known of their masks.
    pub(super) fn price_of_uniting(&mut self, unite: &Unite) -> Unit {
        let schedule = self.schedule;
        let mut all = Unit { operations: unite.operations, bytes: unite.bytes };
        for joint in unite.joints.iter().filter(|j| j.shared.is_some()) {
            let own = schedule.steps.iter().find_map(|s| match &s.instruction {
                Instruction::Loop(i) if i.atom == joint.atom => i.factored.as_ref(),
                _ => None,
            });
            if let Some(factored) = own.filter(|f| f.filtered()) {
                let (planned, known) = (Unit::of(&factored.check), Unit::of(&self.priced(factored).check));
                all = all.plus(known.operations - planned.operations, known.bytes - planned.bytes);
            }
        }
        all
    }

    /// An atom that is a marginal of the data: `B ← P · S/P_S`.
    fn unite_marginal(&mut self, joint: &Joint) {
        let m = joint.holder;
        let (from, onto) = self.two(m.statistic, m.belief);
        onto.copy_from_slice(from);
        self.count(m.belief, 1.0, 32.0);
        let Some((separator, above)) = joint.shared else { return };
        self.sum_to(above, separator);
        let way = self.projection(m.belief, separator);
        let mut change = vec![0.0; self.tables[separator.0].len()];
        marginalise(&way, &self.tables[m.belief.0], &mut change);
        change.iter_mut().zip(&self.tables[separator.0]).for_each(|(own, s)| *own = change_of(*s, *own));
        scale(&way, &mut self.tables[m.belief.0], &change);
    }

    /// An iterated atom: `λ ← λ − ln Q_A(S)`, and factors and messages as `Q_A · S/Q_A(S)` has them.
    fn unite_factors(
        &mut self,
        joint: &Joint,
        iteration: &Iteration,
        factored: &Factored,
    ) -> Result<(), Vec<Diagnostic>> {
        let (Some((separator, above)), Some((factor, marginal))) = (joint.shared, joint.factor) else {
            return Ok(());
        };
        self.sum_to(above, separator);
        let way = self.projection(marginal, separator);
        let mut own = vec![0.0; self.tables[separator.0].len()];
        marginalise(&way, &self.tables[marginal.0], &mut own);
        let potential = &mut self.tables[joint.holder.potential.0];
        combine(&way, potential, &own, |l, q| if q > 0.0 { l - q.ln() } else { f64::NEG_INFINITY });
        own.iter_mut().zip(&self.tables[separator.0]).for_each(|(own, s)| *own = change_of(*s, *own));
        scale(&way, &mut self.tables[factor.0], &own);
        let gap = self.check_factors(factored, &iteration.pairs)?;
        self.factored_gap = self.factored_gap.max(gap);
        Ok(())
    }
}

/// s/q; a level that has no mass on one side has none.
fn change_of(s: f64, q: f64) -> f64 {
    if q == 0.0 { 0.0 } else { ratio(s, q) }
}
