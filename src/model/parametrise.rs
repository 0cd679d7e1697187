//! Free tables as learned coefficients, for models that have both.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::energy::{EnergyModel, Interaction, Potential};
use super::scope::Scope;
use super::table::{Table, cell_at};
use crate::text::{Code, Diagnostic};

/// Most parameters of free tables that are fitted together with learned coefficients.
const MAX_PARAMETERS: usize = 2000;

impl EnergyModel {
    /// The same set of distributions without free tables, when there are learned coefficients: each free
    /// table becomes one coefficient for every cell away from the first levels, of every interaction it
    /// implies. These are independent of each other, and their names begin with a bracket, so that no
    /// name of the user's is one of them. A model of one kind alone is returned as it is.
    ///
    /// # Errors
    /// MBA350 when there would be more than 2000 of them.
    pub fn parametrised(&self) -> Result<EnergyModel, Vec<Diagnostic>> {
        let free = self.free_scopes();
        if self.coefficients().is_empty() || free.is_empty() {
            return Ok(self.clone());
        }
        let mut closure: BTreeSet<Scope> = BTreeSet::new();
        let mut open = free;
        while let Some(scope) = open.pop() {
            if closure.len() > MAX_PARAMETERS {
                break;
            }
            if !scope.is_empty() && closure.insert(scope.clone()) {
                open.extend(scope.iter().map(|m| scope.without(m)));
            }
        }
        let size = |s: &Scope| s.iter().fold(1usize, |n, m| n.saturating_mul(self.modes[m].size() - 1));
        let parameters = closure.iter().fold(0usize, |n, s| n.saturating_add(size(s)));
        if parameters > MAX_PARAMETERS {
            let first = self.interactions.iter().find(|i| matches!(i.potential, Potential::Free));
            let message = format!(
                "the free tables of `{}` have more than {MAX_PARAMETERS} parameters beside learned coefficients",
                self.name
            );
            return Err(vec![
                Diagnostic::new(Code::MBA350, message)
                    .at(first.map_or_else(Default::default, |i| i.span), "a free table")
                    .help("give it an energy or a coefficient, or learn the coefficients in a model of their own"),
            ]);
        }
        let mut model = self.clone();
        model.interactions.retain(|i| !matches!(i.potential, Potential::Free));
        for scope in closure {
            let shape = self.shape(&scope);
            let cells: usize = shape.iter().product();
            for flat in 0..cells {
                let levels = cell_at(&shape, flat);
                if levels.contains(&0) {
                    continue;
                }
                let mut statistic = Table::filled(scope.clone(), shape.clone(), 0.0);
                statistic.values[flat] = 1.0;
                let labels: Vec<String> =
                    scope.iter().zip(&levels).map(|(m, l)| self.modes[m].label(*l).into_owned()).collect();
                let coefficient = format!("{} {}", self.bracket(&scope), labels.join(" "));
                let potential = Potential::Learned { coefficient, statistic: Arc::new(statistic) };
                model.interactions.push(Interaction {
                    scope: scope.clone(),
                    potential,
                    span: Default::default(),
                });
            }
        }
        Ok(model)
    }
}
