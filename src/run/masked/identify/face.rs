//! What has a limit where the optimum lies on the boundary.
//!
//! On the way to the boundary some observed cells stay and others vanish. The rows of those that stay fix the
//! potentials up to their null space; in it the potentials may run along every direction that takes the rows of those
//! that vanish down. A cell whose row lies in the space of those that stay has the limit that they give it. Any other has
//! a limit if and only if each of these directions takes it down, and then it is 0: its row is, up to that space, a
//! sum of rows that vanish with factors that are nowhere negative (Farkas 1902). Sums of up to three rows are looked
//! for: a cell of two margins that are both zero is a sum of two.

use std::collections::{HashMap, HashSet};

use super::echelon::PRIME;
use super::span::{Listed, Span};
use crate::run::control::Stop;

/// Sums that are tried at most.
const SUMS: usize = 1 << 26;

/// Most rows in a sum.
const TERMS: u32 = 3;

/// What the potentials of a cell add up to in the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// What the cells that stay say.
    Finite,
    /// −∞: the cell is zero.
    Zero,
    /// Nothing: it is another one for every way to the boundary, or there is no bound.
    None,
}

/// A row in the quotient by the space of those that stay: products with two random vectors, modulo a prime.
type Residue = [u32; 2];

/// The limit of each of the rows that are `asked` for. O(elimination of the rows that stay + sums tried).
///
/// # Errors
/// Why it is not known what the rows that stay determine.
pub fn limits(
    stay: Listed,
    vanish: Listed,
    columns: usize,
    asked: Listed,
    stop: &Stop,
) -> Result<Vec<Limit>, String> {
    let span = Span::of(stay, columns, asked, stop)?;
    let mut sinks: Vec<Residue> = (0..vanish.count).map(|r| span.residue(&(vanish.of)(r))).collect();
    sinks.sort_unstable();
    sinks.dedup();
    let mut sums = Sums { known: sinks.iter().copied().collect(), sinks, tried: 0 };
    let mut seen: HashMap<Residue, Limit> = HashMap::new();
    let limit = |r: usize| {
        let left = span.residue(&(asked.of)(r));
        *seen.entry(left).or_insert_with(|| {
            if left == [0, 0] {
                Limit::Finite
            } else if (1..=TERMS).any(|terms| sums.reach(left, terms)) {
                Limit::Zero
            } else {
                Limit::None
            }
        })
    };
    Ok((0..asked.count).map(limit).collect())
}

/// Sums of rows that vanish.
struct Sums {
    sinks: Vec<Residue>,
    known: HashSet<Residue>,
    tried: usize,
}

impl Sums {
    /// Whether so many rows add up to `left`; false when too many sums have been tried.
    fn reach(&mut self, left: Residue, terms: u32) -> bool {
        if terms == 1 {
            return self.known.contains(&left);
        }
        let more = self.sinks.len().saturating_pow(terms - 1);
        if terms > 1 && self.tried.saturating_add(more) > SUMS {
            return false;
        }
        self.tried += self.sinks.len();
        (0..self.sinks.len()).any(|s| self.reach(less(left, self.sinks[s]), terms - 1))
    }
}

fn less(a: Residue, b: Residue) -> Residue {
    std::array::from_fn(|i| ((u64::from(a[i]) + PRIME - u64::from(b[i])) % PRIME) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each cell of a table of two margins has a limit, where '+' stays, '0' vanishes and '?' is unknown.
    fn of_margins(rows: &[&str]) -> Vec<String> {
        let (n, m) = (rows.len(), rows[0].len());
        let cells = |kind: &str| -> Vec<Vec<usize>> {
            let all = (0..n).flat_map(|i| (0..m).map(move |j| (i, j)));
            let own = all.filter(|(i, j)| kind.contains(&rows[*i][*j..=*j]));
            own.map(|(i, j)| vec![i, n + j]).collect()
        };
        let (stay, vanish, asked) = (cells("+"), cells("0"), cells("?+0"));
        let of = |list: &[Vec<usize>], r: usize| list[r].clone();
        let found = limits(
            Listed { count: stay.len(), of: &|r| of(&stay, r) },
            Listed { count: vanish.len(), of: &|r| of(&vanish, r) },
            n + m,
            Listed { count: asked.len(), of: &|r| of(&asked, r) },
            &Stop::default(),
        );
        let found = found.expect("a small elimination");
        let mut out = vec![vec![' '; m]; n];
        let order = asked.iter().map(|row| (row[0], row[1] - n));
        order.zip(found).for_each(|((i, j), limit)| {
            out[i][j] = match limit {
                Limit::Finite => 'x',
                Limit::Zero => '0',
                Limit::None => '-',
            }
        });
        out.into_iter().map(|row| row.into_iter().collect()).collect()
    }

    #[test]
    fn a_cell_has_a_limit_if_all_directions_take_it_along() {
        // what the zero of another margin explains says nothing of this one
        assert_eq!(of_margins(&["0++", "0++", "0??"]), ["0xx", "0xx", "0--"]);
        // beside a zero that its own margin explains
        assert_eq!(of_margins(&["00?", "+++", "+++"]), ["000", "xxx", "xxx"]);
        // both margins are zero: a sum of two
        assert_eq!(of_margins(&["?00", "0++", "0++"]), ["000", "0xx", "0xx"]);
        // it vanishes with another, though neither of its margins does
        assert_eq!(of_margins(&["?0+", "++?"]), ["00x", "xx-"]);
        // to infinity
        assert_eq!(of_margins(&["+?", "0+"]), ["x-", "0x"]);
        // nothing vanishes and two parts are apart
        assert_eq!(of_margins(&["+?", "?+"]), ["x-", "-x"]);
    }
}
