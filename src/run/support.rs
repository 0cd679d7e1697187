//! Exact counts on the support: its cells, and the dimension of the model there.

use num_bigint::BigUint;
use num_traits::{One, Zero};

use super::fit::Fit;
use super::projection::Projection;
use crate::plan::count::parameters_of;
use crate::run::modular::{inverse, times};

/// Most cells of an atom, zeros included, whose rank is computed.
pub const RANK_CELLS: usize = 1 << 18;

/// Most cells of an atom's generators whose rank is computed.
pub const RANK_COLUMNS: usize = 768;

/// 2⁶¹ − 1, a prime.
const PRIME: u64 = (1 << 61) - 1;

impl Fit {
    /// Number of cells whose generator marginals are all positive: the support of the fitted distribution.
    /// By integer messages on the tree, O(cells of the cliques).
    pub fn support_cells(&self) -> BigUint {
        let cliques = &self.distribution.cliques;
        let mut waiting: Vec<Vec<(Projection, Vec<BigUint>)>> = cliques.iter().map(|_| Vec::new()).collect();
        let mut total = BigUint::one();
        for (i, clique) in cliques.iter().enumerate().rev() {
            let belief = &clique.belief;
            let below = std::mem::take(&mut waiting[i]);
            // a clique without zeros is counted without its table
            if below.is_empty() && belief.positive() {
                match &clique.parent {
                    None => total *= BigUint::from(belief.cells()),
                    Some((p, separator)) => {
                        let each = BigUint::from(belief.cells() / separator.values.len().max(1));
                        let above = &cliques[*p].belief;
                        let up = Projection::between(above.scope(), above.shape(), &separator.scope);
                        waiting[*p].push((up, vec![each; separator.values.len()]));
                    }
                }
                continue;
            }
            let mut counts: Vec<BigUint> =
                belief.values.iter().map(|b| BigUint::from(u8::from(*b > 0.0))).collect();
            for (projection, message) in below {
                each_cell(&projection, |k, at| {
                    if !counts[k].is_zero() {
                        counts[k] *= &message[at];
                    }
                });
            }
            match &clique.parent {
                None => total *= counts.iter().sum::<BigUint>(),
                Some((p, separator)) => {
                    let mut message = vec![BigUint::zero(); separator.values.len()];
                    let down = Projection::between(&belief.scope, &belief.shape, &separator.scope);
                    each_cell(&down, |k, at| message[at] += &counts[k]);
                    let above = &cliques[*p].belief;
                    let up = Projection::between(&above.scope, &above.shape, &separator.scope);
                    waiting[*p].push((up, message));
                }
            }
        }
        total
    }

    /// Dimension of the space of log-linear functions on the support: one more than the number of free
    /// parameters when no marginal is zero. Atoms add, separators between them subtract; a closed form
    /// counts its positive cells; any other atom with zeros takes the rank of its Gram matrix modulo a
    /// 61-bit prime, O(columns³).
    ///
    /// # Errors
    /// Why it is not known: an atom with zeros beyond [`RANK_CELLS`] or [`RANK_COLUMNS`].
    pub fn dimension(&self) -> Result<BigUint, String> {
        let draft = &self.schedule.draft;
        let places = &self.schedule.places;
        let cliques = &self.distribution.cliques;
        // a constant is shared by all components: Σ (dim − 1) over components, plus one
        let mut gained = BigUint::one();
        let mut lost = BigUint::zero();
        for (a, atom) in draft.atoms.iter().enumerate() {
            let own: Vec<usize> = (0..places.len()).filter(|p| places[*p].atom == a).collect();
            let positive = own.iter().all(|p| cliques[*p].belief.positive());
            gained += if positive {
                parameters_of(&atom.generators, &draft.sizes) + BigUint::one()
            } else if let ([only], true) = (own.as_slice(), atom.closed && atom.generators.len() == 1) {
                BigUint::from(cliques[*only].belief.values.iter().filter(|b| **b > 0.0).count())
            } else {
                BigUint::from(self.rank(a, &own)?)
            };
            lost += match own.first().and_then(|p| cliques[*p].parent.as_ref()) {
                Some((_, s)) => BigUint::from(s.values.iter().filter(|v| **v > 0.0).count()),
                None => BigUint::one(),
            };
        }
        Ok(if lost > gained { BigUint::zero() } else { gained - lost })
    }

    fn rank(&self, a: usize, own: &[usize]) -> Result<usize, String> {
        let draft = &self.schedule.draft;
        let atom = &draft.atoms[a];
        let name = draft.bracket(&atom.modes);
        let shape: Vec<usize> = atom.modes.iter().map(|m| draft.sizes[m]).collect();
        let cells = shape.iter().try_fold(1usize, |k, n| k.checked_mul(*n)).filter(|n| *n <= RANK_CELLS);
        let Some(cells) = cells else {
            return Err(format!(
                "the rank of `{name}` on its support is not computed beyond {RANK_CELLS} cells"
            ));
        };
        let onto = |scope: &crate::model::Scope| Projection::between(&atom.modes, &shape, scope);
        let mut alive = vec![true; cells];
        for p in own {
            let belief = &self.distribution.cliques[*p].belief;
            each_cell(&onto(&belief.scope), |k, at| alive[k] &= belief.values[at] > 0.0);
        }
        let mut columns = 0;
        let mut rows: Vec<Vec<usize>> = vec![Vec::new(); cells];
        for generator in &atom.generators {
            each_cell(&onto(generator), |k, at| {
                if alive[k] {
                    rows[k].push(columns + at);
                }
            });
            columns += generator.iter().map(|m| draft.sizes[m]).product::<usize>();
        }
        if columns > RANK_COLUMNS {
            return Err(format!(
                "the rank of `{name}` on its support is not computed beyond {RANK_COLUMNS} columns"
            ));
        }
        if atom.generators.is_empty() {
            return Ok(usize::from(alive.iter().any(|a| *a)));
        }
        let mut gram = vec![vec![0u64; columns]; columns];
        for row in &rows {
            for i in row {
                for j in row {
                    gram[*i][*j] += 1;
                }
            }
        }
        Ok(rank_modulo(gram))
    }
}

pub(super) fn each_cell(projection: &Projection, mut visit: impl FnMut(usize, usize)) {
    let (length, stride) = projection.inner();
    projection.runs(|from, onto| (0..length).for_each(|k| visit(from + k, onto + k * stride)));
}

/// Rank modulo [`PRIME`]: never above the true rank, and below it only if the prime divides all its minors.
fn rank_modulo(mut rows: Vec<Vec<u64>>) -> usize {
    let columns = rows.first().map_or(0, Vec::len);
    let mut rank = 0;
    for c in 0..columns {
        let Some(pivot) = (rank..rows.len()).find(|r| rows[*r][c] != 0) else { continue };
        rows.swap(rank, pivot);
        let (above, below) = rows.split_at_mut(rank + 1);
        let head = &above[rank];
        let inverse = inverse(head[c], PRIME);
        for row in below.iter_mut().filter(|r| r[c] != 0) {
            let factor = PRIME - times(row[c], inverse, PRIME);
            for (r, h) in row.iter_mut().zip(head).skip(c) {
                *r = (*r + times(factor, *h, PRIME)) % PRIME;
            }
        }
        rank += 1;
    }
    rank
}
