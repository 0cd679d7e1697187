//! Arrays as lines. Axes are in the order of the modes' names, levels that have no order of their own sorted.

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::Value as Json;

use super::lines::{Line, Rule, digest, number, word};
use crate::model::table::strides;
use crate::model::{Level, Levels, Mode, Order};

/// Most cells of an array that is kept whole.
const WHOLE: usize = 64;

/// Most cells of an array that is kept whole because some of them may differ.
const WHOLE_WHEN_ASKED: usize = 1 << 16;

/// Cells of a large array that are kept, drawn from a fixed seed.
const PROBES: usize = 16;

/// Sums of a large array under signs drawn from a fixed seed. Any single cell shows in all of them.
const SIGNED_SUMS: usize = 4;

/// A sum of n differences under random signs stays within this many times √n of one of them: by Hoeffding (1963,
/// doi:10.1080/01621459.1963.10500830) with probability 1 − 3e−8.
const SPREAD: f64 = 6.0;

/// The position of each level in the canonical order: levels that are only named are sorted, numbers first.
pub(super) fn level_order(mode: &Mode) -> Vec<usize> {
    let mut order: Vec<usize> = (0..mode.size()).collect();
    if let (Levels::Listed(levels), Order::Nominal) = (&mode.levels, mode.order) {
        order.sort_by(|a, b| match (levels.get_index(*a), levels.get_index(*b)) {
            (Some(Level::Number(x)), Some(Level::Number(y))) => x.total_cmp(y),
            (Some(Level::Name(x)), Some(Level::Name(y))) => x.cmp(y),
            (Some(Level::Number(_)), _) => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Greater,
        });
    }
    order
}

/// An array in canonical order.
pub(super) struct Canonical<'a> {
    modes: Vec<&'a Mode>,
    orders: Vec<Vec<usize>>,
    pub(super) values: Vec<f64>,
}

impl<'a> Canonical<'a> {
    /// Sorts axes and levels. O(cells).
    pub(super) fn of(modes: &[&'a Mode], values: &[f64]) -> Self {
        let mut axes: Vec<usize> = (0..modes.len()).collect();
        axes.sort_by(|a, b| modes[*a].name.cmp(&modes[*b].name));
        let sizes: Vec<usize> = modes.iter().map(|m| m.size()).collect();
        let strides = strides(&sizes);
        let orders: Vec<Vec<usize>> = axes.iter().map(|a| level_order(modes[*a])).collect();
        let mut sorted = Vec::with_capacity(values.len());
        let mut cell = vec![0usize; axes.len()];
        for _ in 0..values.len() {
            let at: usize = axes.iter().zip(&cell).zip(&orders).map(|((a, i), o)| o[*i] * strides[*a]).sum();
            sorted.push(values.get(at).copied().unwrap_or(f64::NAN));
            for axis in (0..cell.len()).rev() {
                cell[axis] += 1;
                if cell[axis] < orders[axis].len() {
                    break;
                }
                cell[axis] = 0;
            }
        }
        Self { modes: axes.iter().map(|a| modes[*a]).collect(), orders, values: sorted }
    }

    fn sizes(&self) -> Vec<usize> {
        self.modes.iter().map(|m| m.size()).collect()
    }

    fn label(&self, axis: usize, level: usize) -> String {
        word(&self.modes[axis].label(self.orders[axis][level]))
    }

    /// A cell by the names of its levels on the first `axes` axes: `eye Blue, sex Male`.
    fn place(&self, mut flat: usize, axes: usize) -> String {
        let mut parts = Vec::new();
        for axis in (0..axes).rev() {
            let size = self.modes[axis].size().max(1);
            parts.push(format!("{} {}", self.modes[axis].name, self.label(axis, flat % size)));
            flat /= size;
        }
        parts.reverse();
        parts.join(", ")
    }

    /// Every cell, one line for the cells along the last axis.
    fn whole(&self, name: &str) -> Vec<Line> {
        let Some(last) = self.modes.len().checked_sub(1) else {
            return self.values.iter().map(|x| Line::number(name, *x)).collect();
        };
        let length = self.modes[last].size();
        let rows = self.values.chunks(length.max(1)).enumerate();
        rows.map(|(row, values)| {
            let place = self.place(row, last);
            let name = if place.is_empty() { name.to_string() } else { format!("{name} at {place}") };
            let value: Json = values.iter().map(|x| number(*x)).collect();
            let cell = |level| format!("{} {}", self.modes[last].name, self.label(last, level));
            Line { cells: (0..length).map(cell).collect(), ..Line::new(name, value, Rule::Close) }
        })
        .collect()
    }

    /// Shape, number type, summary, probes and digest.
    fn summary(&self, name: &str) -> Vec<Line> {
        let values = &self.values;
        let count = values.len() as f64;
        let fold = |f: fn(f64, f64) -> f64, start: f64| values.iter().fold(start, |m, x| f(m, *x));
        let size: f64 = values.iter().map(|x| x.abs()).sum();
        let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
        let line = |part: &str, value: Json, rule| Line::new(format!("{name} {part}"), value, rule);
        let mut lines = vec![
            line("shape", self.sizes().into(), Rule::Exact),
            line("type", "f64".into(), Rule::Exact),
            line("sum", number(values.iter().sum()), Rule::Sum { cells: count, size }),
            line("least", number(fold(f64::min, f64::INFINITY)), Rule::Close),
            line("most", number(fold(f64::max, f64::NEG_INFINITY)), Rule::Close),
            line("norm", number(norm), Rule::Sum { cells: count.sqrt(), size: norm }),
        ];
        let mut random = SplitMix64::seed_from_u64(0x6d62_6120_736e_6170);
        let signed: Json = (0..SIGNED_SUMS).map(|_| number(signed_sum(values, &mut random))).collect();
        let rule = Rule::Sum { cells: SPREAD * count.sqrt(), size: SPREAD * norm };
        lines.push(line("sums under signs", signed, rule));
        let mut probes: Vec<usize> =
            (0..PROBES).map(|_| (random.next_u64() % values.len() as u64) as usize).collect();
        probes.sort_unstable();
        probes.dedup();
        lines.extend(probes.iter().map(|flat| {
            let place = self.place(*flat, self.modes.len());
            Line::number(format!("{name} at {place}"), values[*flat])
        }));
        let bytes: Vec<u8> = values.iter().flat_map(|x| (x + 0.0).to_le_bytes()).collect();
        // only whole numbers are the same everywhere to the last bit
        let exact = values.iter().all(|x| x.fract() == 0.0);
        lines.push(line("digest", digest(&bytes).into(), if exact { Rule::Exact } else { Rule::Note }));
        lines
    }
}

/// Σ ± x under signs from a stream, 64 at a time.
fn signed_sum(values: &[f64], random: &mut SplitMix64) -> f64 {
    let mut total = 0.0;
    for block in values.chunks(64) {
        let signs = random.next_u64();
        total +=
            block.iter().enumerate().map(|(i, x)| if signs >> i & 1 == 1 { *x } else { -*x }).sum::<f64>();
    }
    total
}

/// An array over modes, row-major in their order.
pub(super) fn lines(name: &str, modes: &[Mode], values: &[f64], whole: bool) -> Vec<Line> {
    let modes: Vec<&Mode> = modes.iter().collect();
    let canonical = Canonical::of(&modes, values);
    let most = if whole { WHOLE_WHEN_ASKED } else { WHOLE };
    if values.len() <= most { canonical.whole(name) } else { canonical.summary(name) }
}

/// One number that every cell has a part in, in canonical order: Σ w x with w drawn from a fixed seed between ½ and 1.
pub(super) fn mixed(modes: &[&Mode], values: &[f64]) -> f64 {
    let mut random = SplitMix64::seed_from_u64(0x6d61_7267_696e_616c);
    let weights =
        std::iter::repeat_with(move || 1.0 - (random.next_u64() >> 12) as f64 / (1u64 << 53) as f64);
    Canonical::of(modes, values).values.iter().zip(weights).map(|(x, w)| x * w).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str, levels: &[&str]) -> Mode {
        let levels = levels.iter().map(|l| Level::Name((*l).to_string())).collect();
        Mode { name: name.into(), levels: Levels::Listed(std::sync::Arc::new(levels)), order: Order::Nominal }
    }

    #[test]
    fn the_order_of_axes_and_levels_does_not_show() {
        let (a, b) = (listed("a", &["x", "y"]), listed("b", &["u", "v", "w"]));
        let one = lines("t", &[a, b], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], false);
        let (a, b) = (listed("a", &["y", "x"]), listed("b", &["w", "u", "v"]));
        let two = lines("t", &[b, a], &[6.0, 3.0, 4.0, 1.0, 5.0, 2.0], false);
        assert_eq!(one, two);
        assert_eq!(one[0].name, "t at a x");
        assert_eq!(one[1].value.to_string(), "[4.0,5.0,6.0]");
        assert_eq!(one[1].cells, ["b u", "b v", "b w"]);
    }

    #[test]
    fn one_cell_of_a_large_array_shows() {
        let modes = [Mode::counted("a", 100), Mode::counted("b", 50)];
        let values: Vec<f64> = (0..5000).map(|i| 1.0 + f64::from(i % 7)).collect();
        let before = lines("t", &modes, &values, false);
        for cell in [0, 1234, 4999] {
            let mut changed = values.clone();
            changed[cell] += 0.01;
            let after = lines("t", &modes, &changed, false);
            let signs = |lines: &[Line]| {
                let line = lines.iter().find(|l| l.name == "t sums under signs").unwrap().clone();
                line.value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>()
            };
            for (x, y) in signs(&before).iter().zip(signs(&after)) {
                assert!(((x - y).abs() - 0.01).abs() < 1e-9, "{x} {y}");
            }
        }
        assert!(before.len() < 40);
    }

    #[test]
    fn a_large_array_can_be_asked_for_whole() {
        let modes = [Mode::counted("a", 100), Mode::counted("b", 2)];
        let values = vec![1.0; 200];
        assert_eq!(lines("t", &modes, &values, true).len(), 100);
    }
}
