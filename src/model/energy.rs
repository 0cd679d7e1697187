//! The energy model: what every part of the language lowers to. Knows nothing of solvers.
//!
//! E(x) = Σ potentials, and P(x) = exp(−E(x)/T) / Z over the cells of the support.

use std::sync::Arc;

use indexmap::IndexSet;
use num_bigint::BigUint;

use super::mode::Mode;
use super::regular::Regular;
use super::scope::Scope;
use super::support::Support;
use super::table::Table;
use crate::text::Span;

/// What an interaction contributes to the energy.
#[derive(Debug, Clone, PartialEq)]
pub enum Potential {
    /// A free table, found by the fit.
    Free,
    /// A known energy at each cell of the scope.
    Fixed(Arc<Table>),
    /// Which cells take part: no energy at those, an infinite one at others.
    Support(Arc<Support>),
    /// A coefficient found by the fit, times a known statistic; a name may occur in many terms.
    Learned {
        /// The coefficient's name.
        coefficient: String,
        /// What multiplies it at each cell of the scope.
        statistic: Arc<Table>,
    },
}

impl Potential {
    /// The energy at each cell of the scope, where it is known without a fit.
    pub fn energies(&self) -> Option<&Arc<Table>> {
        match self {
            Potential::Fixed(table) => Some(table),
            Potential::Support(support) => Some(support.energies()),
            Potential::Free | Potential::Learned { .. } => None,
        }
    }
}

/// A potential over a scope.
#[derive(Debug, Clone, PartialEq)]
pub struct Interaction {
    /// The modes that interact.
    pub scope: Scope,
    /// How.
    pub potential: Potential,
    /// Where the user wrote it (a family's call stands for all its members).
    pub span: Span,
}

/// Cells that cannot occur: true where forbidden, over a scope of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Forbidden {
    /// The modes the condition looks at.
    pub scope: Scope,
    /// 1 where a cell is forbidden, 0 elsewhere.
    pub cells: Arc<Table>,
    /// Where the user wrote it.
    pub span: Span,
}

/// Which exponential and logarithm the family is built on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Algebra {
    /// exp and log.
    #[default]
    Ordinary,
    /// Tsallis, with index q.
    Tsallis(f64),
    /// Kaniadakis, with index κ.
    Kaniadakis(f64),
}

/// A set of distributions over the cells of its modes.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergyModel {
    /// The user's name.
    pub name: String,
    /// Visible modes in the order of the tensor, then latent ones.
    pub modes: Vec<Mode>,
    /// Modes that are summed out.
    pub latent: Scope,
    /// The potentials, in the order they were written.
    pub interactions: Vec<Interaction>,
    /// Structural zeros.
    pub support: Vec<Forbidden>,
    /// What is said about its tables: smooth, alike, close to a simpler model.
    pub regular: Regular,
    /// Divides the energy.
    pub temperature: f64,
    /// Ordinary unless the model says otherwise.
    pub algebra: Algebra,
}

impl EnergyModel {
    /// Sizes of the modes of a scope.
    pub fn shape(&self, scope: &Scope) -> Vec<usize> {
        scope.iter().map(|m| self.modes[m].size()).collect()
    }

    /// Number of cells of a scope, exactly.
    pub fn cells(&self, scope: &Scope) -> BigUint {
        scope.iter().map(|m| BigUint::from(self.modes[m].size())).product()
    }

    /// The scopes of the free interactions, in the order they were written.
    pub fn free_scopes(&self) -> Vec<Scope> {
        let free = |i: &&Interaction| matches!(i.potential, Potential::Free);
        self.interactions.iter().filter(free).map(|i| i.scope.clone()).collect()
    }

    /// The names of the learned coefficients, in the order they were written.
    pub fn coefficients(&self) -> IndexSet<&str> {
        let names = self.interactions.iter().filter_map(|i| match &i.potential {
            Potential::Learned { coefficient, .. } => Some(coefficient.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// A scope as the user would write it: `[hair eye]`.
    pub fn bracket(&self, scope: &Scope) -> String {
        let names: Vec<&str> = scope.iter().map(|m| self.modes[m].name.as_str()).collect();
        format!("[{}]", names.join(" "))
    }

    /// The model with its visible modes in the order of `modes`, which names all of them.
    #[must_use]
    pub fn in_order_of(self, modes: &[String]) -> EnergyModel {
        if self.modes.iter().map(|m| &m.name).take(modes.len()).eq(modes) {
            return self;
        }
        let position = |name: &str| modes.iter().position(|m| m == name);
        let mut next = modes.len();
        let to: Vec<usize> = self
            .modes
            .iter()
            .map(|m| {
                position(&m.name).unwrap_or_else(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        let scope = |s: &Scope| -> Scope { s.iter().map(|m| to[m]).collect() };
        let table = |t: &Table| -> Arc<Table> { Arc::new(t.renamed(&to)) };
        let mut ordered = self.modes.clone();
        for (mode, place) in self.modes.iter().zip(&to) {
            ordered[*place] = mode.clone();
        }
        EnergyModel {
            latent: scope(&self.latent),
            interactions: self
                .interactions
                .iter()
                .map(|i| Interaction {
                    scope: scope(&i.scope),
                    potential: match &i.potential {
                        Potential::Free => Potential::Free,
                        Potential::Fixed(t) => Potential::Fixed(table(t)),
                        Potential::Support(s) => Potential::Support(Arc::new(s.renamed(&to))),
                        Potential::Learned { coefficient, statistic } => Potential::Learned {
                            coefficient: coefficient.clone(),
                            statistic: table(statistic),
                        },
                    },
                    span: i.span,
                })
                .collect(),
            support: self
                .support
                .iter()
                .map(|f| Forbidden { scope: scope(&f.scope), cells: table(&f.cells), span: f.span })
                .collect(),
            regular: self.regular.renamed(&to),
            modes: ordered,
            ..self
        }
    }

    /// The model with its forbidden cells as potentials, followed by these factors.
    #[must_use]
    pub fn on_support(&self, more: impl IntoIterator<Item = (Arc<Support>, Span)>) -> EnergyModel {
        let mut model = self.clone();
        let forbidden = std::mem::take(&mut model.support);
        let forbidden = forbidden.iter().map(|f| (Arc::new(Support::of_zeros(&f.cells)), f.span));
        for (support, span) in forbidden.chain(more) {
            let scope = support.scope.clone();
            model.interactions.push(Interaction { scope, potential: Potential::Support(support), span });
        }
        model
    }

    /// A model of nothing, to stand in where a mistake kept the real one from being made.
    pub fn empty() -> EnergyModel {
        EnergyModel {
            name: String::new(),
            modes: Vec::new(),
            latent: Scope::empty(),
            interactions: Vec::new(),
            support: Vec::new(),
            regular: Regular::default(),
            temperature: 1.0,
            algebra: Algebra::Ordinary,
        }
    }
}
