//! What a model says about its tables besides which there are: that some are alike, smooth, or close to
//! those of a simpler model.

use super::scope::Scope;
use crate::text::Span;
use crate::text::ast::Call;

/// Statements that regularise a fit. All keep it convex.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Regular {
    /// `smooth [a b] along a strength s`.
    pub smooth: Vec<Smooth>,
    /// `tie [a b] ~ [b a]`.
    pub ties: Vec<Tie>,
    /// `prior 5% toward M`.
    pub prior: Option<Prior>,
}

/// Neighbouring levels of a mode are alike in an interaction, but for changes that all levels of the other
/// modes have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Smooth {
    /// The interaction.
    pub scope: Scope,
    /// The mode whose neighbouring levels are compared.
    pub along: usize,
    /// What multiplies half the sum of squared differences, in nats.
    pub strength: f64,
    /// Where it is written.
    pub span: Span,
}

/// Two tables are one, mode for mode in the order in which they are written.
#[derive(Debug, Clone, PartialEq)]
pub struct Tie {
    /// The modes of one side.
    pub left: Vec<usize>,
    /// The modes of the other.
    pub right: Vec<usize>,
    /// Where it is written.
    pub span: Span,
}

/// Pseudo-data from a simpler model that is fitted first.
#[derive(Debug, Clone, PartialEq)]
pub struct Prior {
    /// How much of it.
    pub strength: Strength,
    /// The simpler model, with arguments that are numbers wherever they can be.
    pub toward: Call,
    /// The simpler model as it is shown, such as `profiles` or `body(1)`.
    pub label: String,
    /// Where it is written.
    pub span: Span,
}

/// How much pseudo-data there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strength {
    /// A mass on the data's own scale.
    Mass(f64),
    /// A share of the observed total.
    Share(f64),
    /// Chosen on cells that are held out for it.
    Auto,
}

impl Regular {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.smooth.is_empty() && self.ties.is_empty() && self.prior.is_none()
    }

    /// What is said of tables over some modes only, with those by other positions. Of a prior nothing is said.
    #[must_use]
    pub fn within(&self, of: &Scope, to: &[usize]) -> Regular {
        let all = |modes: &[usize]| modes.iter().all(|m| of.contains(*m));
        let smooth = self.smooth.iter().filter(|s| s.scope.is_subset(of)).cloned();
        let ties = self.ties.iter().filter(|t| all(&t.left) && all(&t.right)).cloned();
        Regular { smooth: smooth.collect(), ties: ties.collect(), prior: None }.renamed(to)
    }

    /// With modes by other positions.
    #[must_use]
    pub fn renamed(&self, to: &[usize]) -> Regular {
        let smooth = self.smooth.iter().map(|s| Smooth {
            scope: s.scope.iter().map(|m| to[m]).collect(),
            along: to[s.along],
            ..s.clone()
        });
        let all = |modes: &[usize]| modes.iter().map(|m| to[*m]).collect();
        let ties = self.ties.iter().map(|t| Tie { left: all(&t.left), right: all(&t.right), ..t.clone() });
        Regular { smooth: smooth.collect(), ties: ties.collect(), prior: self.prior.clone() }
    }
}
