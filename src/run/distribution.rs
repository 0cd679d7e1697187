//! A distribution on a calibrated clique tree: Q = Π_C B_C / Π_S B_S.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::sum::{Compensated, entropy};
use crate::model::{Mode, Scope, Support, Table};

/// A clique of the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Clique {
    /// The marginal of the distribution on the clique.
    pub belief: Belief,
    /// The clique it hangs from, and the marginal on what the two share. Parents come first.
    pub parent: Option<(usize, Table)>,
    /// The independent component it belongs to.
    pub component: usize,
}

/// The marginal on a clique: a table, or a product of factors that becomes one when somebody looks at it.
#[derive(Clone)]
pub struct Belief {
    table: OnceLock<Table>,
    scope: Scope,
    shape: Vec<usize>,
    /// Logarithms of factors.
    factors: Vec<Table>,
    /// What a cell must meet to have any mass.
    conditions: Vec<Arc<Support>>,
}

impl Belief {
    /// A table that is there.
    pub fn table(table: Table) -> Self {
        let (scope, shape) = (table.scope.clone(), table.shape.clone());
        Self { table: OnceLock::from(table), scope, shape, factors: Vec::new(), conditions: Vec::new() }
    }

    /// The normalised exponential of a sum of tables, over the cells that meet all conditions.
    pub fn product(
        scope: Scope,
        shape: Vec<usize>,
        factors: Vec<Table>,
        conditions: Vec<Arc<Support>>,
    ) -> Self {
        Self { table: OnceLock::new(), scope, shape, factors, conditions }
    }

    /// The modes, which need no table.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The levels of its modes, which need no table.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Logarithms of the factors it is a product of, conditions among them; none where it is a table.
    pub fn factors(&self) -> Vec<Cow<'_, Table>> {
        let condition = |c: &Arc<Support>| {
            let mut table = Table::clone(c.energies());
            super::kernel::map(&mut table.values, |e| -e);
            Cow::Owned(table)
        };
        let factors = self.factors.iter().map(Cow::Borrowed);
        factors.chain(self.conditions.iter().map(condition)).collect()
    }

    /// Whether every cell is in the support, which needs no table.
    pub fn positive(&self) -> bool {
        match self.table.get() {
            Some(table) => table.values.iter().all(|b| *b > 0.0),
            None => {
                self.conditions.iter().all(|c| !c.allowed.contains(&false))
                    && self.factors.iter().flat_map(|f| &f.values).all(|l| *l > f64::NEG_INFINITY)
            }
        }
    }

    /// Number of cells, which needs no table.
    pub fn cells(&self) -> usize {
        self.shape.iter().product()
    }

    fn written(&self) -> Table {
        let mut table = Table::filled(self.scope.clone(), self.shape.clone(), 0.0);
        for factor in &self.factors {
            let onto = super::projection::Projection::between(&self.scope, &self.shape, &factor.scope);
            super::kernel::combine(&onto, &mut table.values, &factor.values, super::kernel::plus);
        }
        for condition in &self.conditions {
            let onto = super::projection::Projection::between(&self.scope, &self.shape, &condition.scope);
            super::support::each_cell(&onto, |k, at| {
                if !condition.allowed[at] {
                    table.values[k] = f64::NEG_INFINITY;
                }
            });
        }
        let most = table.values.iter().fold(f64::NEG_INFINITY, |m, l| m.max(*l));
        super::kernel::map(&mut table.values, |l| super::vector::exp(l - most));
        let mass = super::sum::sum(&table.values);
        super::kernel::map(&mut table.values, |b| b / mass);
        table
    }
}

impl Deref for Belief {
    type Target = Table;

    fn deref(&self) -> &Table {
        self.table.get_or_init(|| self.written())
    }
}

impl PartialEq for Belief {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Belief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A normalised distribution over the cells of its modes, with `0/0 = 0`. Its size is that of its
/// cliques, whatever the number of cells. Cheap to share, not to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// The modes, in the order of the model.
    pub modes: Vec<Mode>,
    /// The cliques; every mode is in at least one.
    pub cliques: Vec<Clique>,
    /// Free tables as logarithms of factors, −∞ outside the support: ln Q = Σ λ − Σ E/T − Σ ln mass.
    pub potentials: Vec<Table>,
    /// Fixed energies.
    pub energies: Vec<Arc<Table>>,
    /// What divides the energy.
    pub temperature: f64,
    /// ln of the mass of each component before normalisation.
    pub log_mass: Vec<f64>,
}

impl Distribution {
    /// A distribution given cell by cell: `table` is over all modes and sums to 1.
    pub fn of_table(modes: Vec<Mode>, table: Table) -> Self {
        let log = table.values.iter().map(|q| q.ln()).collect();
        let potential = Table { values: log, ..table.clone() };
        let clique = Clique { belief: Belief::table(table), parent: None, component: 0 };
        Self {
            modes,
            cliques: vec![clique],
            potentials: vec![potential],
            energies: Vec::new(),
            temperature: 1.0,
            log_mass: vec![0.0],
        }
    }

    /// Number of levels of each mode.
    pub fn shape(&self) -> Vec<usize> {
        self.modes.iter().map(Mode::size).collect()
    }

    /// −Σ q ln q in nats. O(cells of the cliques).
    pub fn entropy(&self) -> f64 {
        let beliefs = self.cliques.iter().map(|c| entropy(&c.belief.values));
        let shared = self.cliques.iter().filter_map(|c| c.parent.as_ref());
        beliefs.chain(shared.map(|(_, s)| -entropy(&s.values))).collect::<Compensated>().value()
    }

    /// ln q of one cell, −∞ where q is 0 or the cell is outside. O(cliques).
    pub fn log_probability(&self, cell: &[usize]) -> f64 {
        let inside =
            cell.len() == self.modes.len() && cell.iter().zip(&self.modes).all(|(i, m)| *i < m.size());
        if !inside {
            return f64::NEG_INFINITY;
        }
        let mut total = Compensated::default();
        for clique in &self.cliques {
            let own = value_at(&clique.belief, cell);
            if own == 0.0 {
                return f64::NEG_INFINITY;
            }
            total.add(own.ln());
            if let Some((_, separator)) = &clique.parent {
                total.add(-value_at(separator, cell).ln());
            }
        }
        total.value()
    }

    /// ln Z in the gauge in which the free energy of the cell of first levels is 0: −ln q(⊥) minus the
    /// fixed energy there over T. Without free tables it is ln Σ exp(−E/T). Infinite when q(⊥) = 0.
    pub fn log_z(&self) -> f64 {
        if self.potentials.is_empty() {
            return self.log_mass.iter().copied().collect::<Compensated>().value();
        }
        let bottom = vec![0; self.modes.len()];
        -self.log_probability(&bottom) - self.energy_at(&bottom) / self.temperature
    }

    /// The known energy of a cell.
    pub(super) fn energy_at(&self, cell: &[usize]) -> f64 {
        self.energies.iter().map(|e| value_at(e, cell)).sum()
    }

    /// Tables whose sum is ln q up to a constant: those of the cliques given their parents, or, where a clique is a
    /// product of factors, the factors and what it shares with its parent, none larger than these.
    pub(super) fn log_factors(&self) -> Vec<Table> {
        let mut out = Vec::new();
        for clique in &self.cliques {
            let factors = clique.belief.factors();
            if factors.is_empty() {
                out.push(log_conditional(clique));
                continue;
            }
            out.extend(factors.into_iter().map(Cow::into_owned));
            if let Some((_, separator)) = &clique.parent {
                let mut shared = separator.clone();
                // where the parent has nothing the factors have nothing
                shared.values.iter_mut().for_each(|s| *s = if *s > 0.0 { -s.ln() } else { 0.0 });
                out.push(shared);
            }
        }
        out
    }

    /// ⟨E⟩ with Q = exp(−E/T)/Z: T (entropy − ln Z).
    pub fn energy(&self) -> f64 {
        self.temperature * (self.entropy() - self.log_z())
    }

    /// −T ln Z.
    pub fn free_energy(&self) -> f64 {
        -self.temperature * self.log_z()
    }

    /// The most probable cell, by max-product on the tree; ties go to the smallest levels seen first.
    /// O(cells of the cliques).
    pub fn most_probable(&self) -> Vec<usize> {
        // the best log probability of everything below a clique, for each cell of its separator
        let mut best: Vec<Vec<(f64, usize)>> = vec![Vec::new(); self.cliques.len()];
        let mut above: Vec<Table> = self.cliques.iter().map(log_conditional).collect();
        for i in (0..self.cliques.len()).rev() {
            let own = above[i].clone();
            let parent = self.cliques[i].parent.as_ref();
            let scope = parent.map_or_else(Scope::empty, |(_, s)| s.scope.clone());
            let projection = super::projection::Projection::between(&own.scope, &own.shape, &scope);
            let cells = parent.map_or(1, |(_, s)| s.values.len());
            let mut found = vec![(f64::NEG_INFINITY, 0); cells];
            let (length, stride) = projection.inner();
            projection.runs(|from, onto| {
                for k in 0..length {
                    let slot = &mut found[onto + k * stride];
                    if own.values[from + k] > slot.0 {
                        *slot = (own.values[from + k], from + k);
                    }
                }
            });
            if let Some((p, _)) = parent {
                let values: Vec<f64> = found.iter().map(|(v, _)| *v).collect();
                let up = &mut above[*p];
                let onto = super::projection::Projection::between(&up.scope, &up.shape, &scope);
                super::kernel::combine(&onto, &mut up.values, &values, super::kernel::plus);
            }
            best[i] = found;
        }
        let mut cell = vec![0; self.modes.len()];
        for (clique, found) in self.cliques.iter().zip(&best) {
            let at = clique.parent.as_ref().map_or(0, |(_, s)| index_of(s, &cell));
            let mut rest = found.get(at).map_or(0, |(_, k)| *k);
            for (mode, size) in clique.belief.scope.iter().zip(&clique.belief.shape).rev() {
                cell[mode] = rest % size;
                rest /= size;
            }
        }
        cell
    }
}

pub(super) fn log_conditional(clique: &Clique) -> Table {
    let mut table = conditional(clique);
    table.values.iter_mut().for_each(|v| *v = v.ln());
    table
}

/// B_C / B_S, the distribution of a clique given its parent.
pub(super) fn conditional(clique: &Clique) -> Table {
    let mut table = Table::clone(&clique.belief);
    if let Some((_, separator)) = &clique.parent {
        let onto = super::projection::Projection::between(&table.scope, &table.shape, &separator.scope);
        super::kernel::combine(&onto, &mut table.values, &separator.values, super::kernel::ratio);
    }
    table
}

/// The position, in a table, of a cell given by a level for every mode.
pub(super) fn index_of(table: &Table, cell: &[usize]) -> usize {
    table.scope.iter().zip(&table.shape).fold(0, |k, (m, n)| k * n + cell.get(m).copied().unwrap_or(0))
}

/// The value of a table at a cell given by a level for every mode.
pub(super) fn value_at(table: &Table, cell: &[usize]) -> f64 {
    table.values.get(index_of(table, cell)).copied().unwrap_or(0.0)
}
