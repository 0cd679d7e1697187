//! Marginals over any modes, by elimination on the tree.

use super::distribution::{Distribution, conditional};
use super::kernel::{marginalise, scale};
use super::projection::Projection;
use super::sum::entropy;
use crate::model::{Scope, Table};
use crate::text::{Code, Diagnostic};

/// Most cells of a table that is written on the way to a marginal: half a gibibyte.
pub const WIDEST: usize = 1 << 26;

impl Distribution {
    /// The marginal over `scope`, which may span several cliques. Only the cliques between its modes
    /// are touched; each becomes a table over its own modes and the asked ones below it.
    ///
    /// # Errors
    /// MBA504 when the result, or a table on the way, has more than [`WIDEST`] cells.
    pub fn marginal(&self, scope: &Scope) -> Result<Table, Box<Diagnostic>> {
        let wanted: Scope = scope.iter().filter(|m| *m < self.modes.len()).collect();
        let mut result = self.blank(&wanted, 1.0)?;
        let below = self.modes_below();
        for root in (0..self.cliques.len()).filter(|i| self.cliques[*i].parent.is_none()) {
            let here = below[root].intersection(&wanted);
            if here.is_empty() {
                continue;
            }
            let top = self.lowest_above(root, &here, &below);
            let table = self.gathered(top, &here, &below)?;
            let projection = Projection::between(&result.scope, &result.shape, &table.scope);
            scale(&projection, &mut result.values, &table.values);
        }
        Ok(result)
    }

    /// The whole tensor, of total one, if it has at most `limit` cells. Row-major in model order.
    pub fn dense(&self, limit: usize) -> Option<Table> {
        let shape = self.shape();
        let cells = shape.iter().try_fold(1usize, |k, n| k.checked_mul(*n))?;
        if cells > limit {
            return None;
        }
        let mut table = Table::filled(Scope::all(shape.len()), shape, 1.0);
        for clique in &self.cliques {
            let factor = conditional(clique);
            let projection = Projection::between(&table.scope, &table.shape, &factor.scope);
            scale(&projection, &mut table.values, &factor.values);
        }
        Some(table)
    }

    /// I(A; B) = H(A) + H(B) − H(A ∪ B) in nats.
    ///
    /// # Errors
    /// As [`Distribution::marginal`].
    pub fn mutual_information(&self, a: &Scope, b: &Scope) -> Result<f64, Box<Diagnostic>> {
        let of = |scope: &Scope| self.marginal(scope).map(|t| entropy(&t.values));
        Ok((of(a)? + of(b)? - of(&a.union(b))?).max(0.0))
    }

    fn blank(&self, scope: &Scope, value: f64) -> Result<Table, Box<Diagnostic>> {
        let shape: Vec<usize> = scope.iter().map(|m| self.modes[m].size()).collect();
        let cells = shape.iter().try_fold(1usize, |k, n| k.checked_mul(*n)).filter(|n| *n <= WIDEST);
        if cells.is_none() {
            let names: Vec<&str> = scope.iter().map(|m| self.modes[m].name.as_str()).collect();
            let size: f64 = shape.iter().map(|n| *n as f64).product();
            let message = format!("a table over `[{}]` would have {size:.3e} cells", names.join(" "));
            let help = "ask for fewer modes, for single cells, or for a sample";
            return Err(Box::new(Diagnostic::new(Code::MBA504, message).help(help)));
        }
        Ok(Table::filled(scope.clone(), shape, value))
    }

    /// All modes in the subtree of each clique.
    fn modes_below(&self) -> Vec<Scope> {
        let mut below: Vec<Scope> = self.cliques.iter().map(|c| c.belief.scope().clone()).collect();
        for i in (0..self.cliques.len()).rev() {
            if let Some((p, _)) = &self.cliques[i].parent {
                below[*p] = below[*p].union(&below[i]);
            }
        }
        below
    }

    /// The lowest clique whose subtree holds all wanted modes. Its belief is a marginal, so nothing above
    /// it matters.
    fn lowest_above(&self, root: usize, wanted: &Scope, below: &[Scope]) -> usize {
        let mut top = root;
        for (i, clique) in self.cliques.iter().enumerate().skip(root + 1) {
            // parents come first, so that one pass follows the path all the way down
            if matches!(&clique.parent, Some((p, _)) if *p == top) && wanted.is_subset(&below[i]) {
                top = i;
            }
        }
        top
    }

    /// The marginal over `wanted`, all of which lie in the subtree of `top`: leaves first, each clique
    /// hands its parent a table over their separator and the wanted modes below.
    fn gathered(&self, top: usize, wanted: &Scope, below: &[Scope]) -> Result<Table, Box<Diagnostic>> {
        let mut messages: Vec<Vec<Table>> = vec![Vec::new(); self.cliques.len()];
        for i in (top + 1..self.cliques.len()).rev() {
            let clique = &self.cliques[i];
            let Some((parent, separator)) = &clique.parent else { continue };
            let here = below[i].intersection(wanted);
            // a conditional that holds nothing wanted sums to one; other branches are not under `top`
            if here.is_subset(&separator.scope) || *parent < top {
                continue;
            }
            let kept = here.union(&separator.scope);
            let own = std::mem::take(&mut messages[i]);
            let message = self.absorbed(conditional(clique), own, &kept)?;
            messages[*parent].push(message);
        }
        let own = std::mem::take(&mut messages[top]);
        self.absorbed(Table::clone(&self.cliques[top].belief), own, wanted)
    }

    /// A table times messages, summed to `kept`.
    fn absorbed(&self, own: Table, messages: Vec<Table>, kept: &Scope) -> Result<Table, Box<Diagnostic>> {
        let mut own = own;
        for message in messages {
            let mut product = self.blank(&own.scope.union(&message.scope), 1.0)?;
            for factor in [&own, &message] {
                let projection = Projection::between(&product.scope, &product.shape, &factor.scope);
                scale(&projection, &mut product.values, &factor.values);
            }
            own = product;
        }
        let mut table = self.blank(&own.scope.intersection(kept), 0.0)?;
        let projection = Projection::between(&own.scope, &own.shape, &table.scope);
        marginalise(&projection, &own.values, &mut table.values);
        Ok(table)
    }
}
