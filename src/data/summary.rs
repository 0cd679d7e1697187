//! One pass over all values: the total, whether they are counts, and which are not allowed.

use super::format::Checked;
use super::request::Request;
use super::suggest::others;
use super::tensor::Element;
use crate::model::Mode;
use crate::numeric::share;
use crate::numeric::sum::Compensated;
use crate::numeric::vector::{kept, vectorised};
use crate::numeric::weigh::Weight;
use crate::text::{Code, Diagnostic, Span};

/// Values per block. Fixed, so that the total does not depend on the number of threads.
const BLOCK: usize = 1 << 15;

/// Whole numbers below this are exact in double precision.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// From here on every double is a whole number.
const HALF_EXACT: f64 = 4_503_599_627_370_496.0;

/// What one pass over the values finds out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Summary {
    total: Compensated,
    /// Whether some value is not a whole number, or too large for one.
    fractions: bool,
    bad: usize,
    /// The first value that is not allowed: its place in logical order, and the value.
    first: Option<(usize, f64)>,
}

/// Sums that are kept side by side, so that the loop over them uses vectors.
const LANES: usize = 16;

/// Looks at every value. `logical` turns a place in memory into the place in logical order.
pub(crate) fn summarise<T: Element>(values: &[T], logical: &(dyn Fn(usize) -> usize + Sync)) -> Summary {
    together(share::pieces(values.len() >= share::PASS, values.len().div_ceil(BLOCK), |block| {
        let own = &values[place(block, values.len())];
        look(own).unwrap_or_else(|| closely(own.iter().copied(), block * BLOCK, logical))
    }))
}

/// The same for doubles in row-major order, of which those count that are observed: the others are zero.
pub(crate) fn summarise_observed(values: &[f64], observed: &[bool]) -> Summary {
    together(share::pieces(values.len() >= share::PASS, values.len().div_ceil(BLOCK), |block| {
        let own = place(block, values.len());
        let (values, seen) = (&values[own.clone()], &observed[own]);
        let good = pulp::Arch::new().dispatch(LookThrough { values, seen });
        good.unwrap_or_else(|| {
            let cells = values.iter().zip(seen).map(|(x, seen)| kept(*seen, *x));
            closely(cells, block * BLOCK, &|place| place)
        })
    }))
}

/// The places of a block of so many values.
fn place(block: usize, values: usize) -> std::ops::Range<usize> {
    block * BLOCK..values.min((block + 1) * BLOCK)
}

fn together(blocks: Vec<Summary>) -> Summary {
    blocks.into_iter().fold(Summary::default(), |mut all, s| {
        all.join(&s);
        all.bad += s.bad;
        all.first = match (all.first, s.first) {
            (Some(a), Some(b)) => Some(if b.0 < a.0 { b } else { a }),
            (a, b) => a.or(b),
        };
        all
    })
}

/// A few values, when every one of them is allowed; none otherwise.
fn look<T: Element>(values: &[T]) -> Option<Summary> {
    pulp::Arch::new().dispatch(Look { values })
}

struct Look<'a, T> {
    values: &'a [T],
}

impl<T: Element> pulp::WithSimd for Look<'_, T> {
    type Output = Option<Summary>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Option<Summary> {
        let (chunks, rest) = self.values.as_chunks::<LANES>();
        let doubles = |chunk: &[T; LANES]| {
            let mut cells = [0.0; LANES];
            for i in 0..LANES {
                cells[i] = chunk[i].to_f64();
            }
            cells
        };
        tally(chunks.iter().map(doubles), rest.iter().map(|x| x.to_f64()))
    }
}

/// The same of values some of which count as zero.
struct LookThrough<'a> {
    values: &'a [f64],
    seen: &'a [bool],
}

impl pulp::WithSimd for LookThrough<'_> {
    type Output = Option<Summary>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> Option<Summary> {
        let ((chunks, rest), (seen, seen_rest)) =
            (self.values.as_chunks::<LANES>(), self.seen.as_chunks::<LANES>());
        let through = |(x, seen): (&[f64; LANES], &[bool; LANES])| {
            let mut cells = [0.0; LANES];
            for i in 0..LANES {
                cells[i] = kept(seen[i], x[i]);
            }
            cells
        };
        tally(
            chunks.iter().zip(seen).map(through),
            rest.iter().zip(seen_rest).map(|(x, seen)| kept(*seen, *x)),
        )
    }
}

#[inline(always)]
fn tally(chunks: impl Iterator<Item = [f64; LANES]>, rest: impl Iterator<Item = f64>) -> Option<Summary> {
    let mut sums = [0.0f64; LANES];
    let mut lost = [0.0f64; LANES];
    let mut least = [0.0f64; LANES];
    let mut whole = true;
    for cells in chunks {
        for i in 0..LANES {
            let x = cells[i];
            least[i] = if x < least[i] { x } else { least[i] };
            // the rounding error of a sum (Knuth, TAOCP 2, §4.2.2)
            let sum = sums[i] + x;
            let back = sum - sums[i];
            lost[i] += (sums[i] - (sum - back)) + (x - back);
            sums[i] = sum;
        }
        // fractions seldom come alone: where there are any, one look is enough
        if whole {
            whole = whole_lanes(&cells);
        }
    }
    let mut total = Compensated::default();
    let mut fractions = !whole;
    let mut fine = least.iter().all(|l| *l >= 0.0);
    for x in rest {
        fine &= (0.0..f64::INFINITY).contains(&x);
        fractions |= x >= EXACT || x != x.trunc();
        total.add(x);
    }
    for pair in sums.into_iter().zip(lost) {
        total.join(Compensated::from(pair));
    }
    // what is infinite or no number shows in the sum
    (fine && total.value().is_finite()).then_some(Summary { total, fractions, bad: 0, first: None })
}

vectorised! {
    /// Whether all values are whole numbers that are exact in double precision.
    all_whole(values: &'a [f64]) -> bool {
        let (chunks, rest) = values.as_chunks::<LANES>();
        chunks.iter().all(whole_lanes) && rest.iter().all(|x| *x < EXACT && *x == x.trunc())
    }
}

#[inline(always)]
fn whole_lanes(cells: &[f64; LANES]) -> bool {
    let mut whole = [true; LANES];
    for i in 0..LANES {
        let x = cells[i];
        // adding 2⁵² rounds to a whole number; from there to 2⁵³ all are
        whole[i] = (((x + HALF_EXACT) - HALF_EXACT == x) | (x >= HALF_EXACT)) & (x < EXACT);
    }
    whole.iter().all(|w| *w)
}

/// One block, value by value; `start` is the place of its first.
fn closely<T: Element>(
    values: impl Iterator<Item = T>,
    start: usize,
    logical: &dyn Fn(usize) -> usize,
) -> Summary {
    let mut s = Summary::default();
    for (i, x) in values.enumerate() {
        let x = x.to_f64();
        if !(0.0..f64::INFINITY).contains(&x) {
            s.bad += 1;
            let place = logical(start + i);
            if s.first.is_none_or(|(p, _)| place < p) {
                s.first = Some((place, x));
            }
            continue;
        }
        s.fractions |= x >= EXACT || x != x.trunc();
        s.total.add(x);
    }
    s
}

impl Summary {
    /// Adds what was found in other values, all of which were allowed.
    pub fn join(&mut self, other: &Self) {
        self.total.join(other.total);
        self.fractions |= other.fractions;
    }

    /// Adds numbers and what they weigh; none when some value is not allowed.
    pub fn take(&mut self, values: &[f64], weight: &Weight) -> Option<()> {
        if weight.least < 0.0 || !weight.total.value().is_finite() {
            return None;
        }
        self.total.join(weight.total);
        // fractions seldom come alone: where there are any, one look is enough
        self.fractions = self.fractions || !all_whole(values);
        Some(())
    }

    /// The total and whether the values are counts, when every value is allowed.
    pub fn allowed(&self) -> Option<(f64, bool)> {
        self.first.is_none().then(|| (self.total.value(), !self.fractions))
    }

    /// The total and whether the values are counts, or what is wrong with the values.
    pub fn check(self, request: &Request, modes: &[Mode], what: &str, span: Span) -> Checked<(f64, bool)> {
        if let Some((place, value)) = self.first {
            let mut index = vec![0; modes.len()];
            let mut rest = place;
            for (i, mode) in index.iter_mut().zip(modes).rev() {
                let size = mode.size().max(1);
                *i = rest % size;
                rest /= size;
            }
            let cell = cell_name(modes, &index);
            return Err(vec![bad_value(request, &cell, value, self.bad.saturating_sub(1), "", span)]);
        }
        totals(request, self.total.value(), what, span)?;
        Ok((self.total.value(), !self.fractions))
    }
}

/// Totals that can be fitted to: the entropy of larger ones overflows, and cells of smaller ones have lost digits.
pub const RANGE: std::ops::RangeInclusive<f64> = 1e-300..=1e305;

/// Whether a total can be fitted to.
pub(crate) fn totals(request: &Request, total: f64, what: &str, span: Span) -> Checked<()> {
    if total == 0.0 {
        if request.hides() {
            let message = format!("every observed cell of `{}` is zero", request.name);
            return Err(vec![
                Diagnostic::new(Code::MBA413, message)
                    .at(span, "nothing but zeros is observed")
                    .note("a distribution needs a total above zero")
                    .help("check the mask, and whether it marks the missing or the observed cells"),
            ]);
        }
        return Err(vec![
            Diagnostic::new(Code::MBA413, format!("every cell of `{}` is zero", request.name))
                .at(span, format!("{what} holds nothing but zeros"))
                .note("a distribution needs a total above zero")
                .help("check that this is the file, and the column, that was meant"),
        ]);
    }
    if RANGE.contains(&total) {
        return Ok(());
    }
    let (message, found) = if total > 1.0 {
        let found = if total.is_finite() { format!("{total:e}") } else { format!("above {:e}", f64::MAX) };
        ("more than can be computed with", found)
    } else {
        ("so little that digits are lost", format!("{total:e}"))
    };
    Err(vec![
        Diagnostic::new(Code::MBA414, format!("the cells of `{}` add up to {message}", request.name))
            .at(span, format!("the sum of {what} is {found}"))
            .note(format!("sums are computed from {:e} to {:e}", RANGE.start(), RANGE.end()))
            .help("multiply or divide all values by a constant before saving them"),
    ])
}

/// A cell by the levels of its modes: `hair Black, eye Brown`.
pub(crate) fn cell_name(modes: &[Mode], index: &[usize]) -> String {
    let parts: Vec<String> = modes
        .iter()
        .zip(index)
        .map(|(mode, i)| format!("`{}: {}`", mode.name, super::suggest::clip(&mode.label(*i))))
        .collect();
    parts.join(", ")
}

/// The report on values that are not allowed. `place` says where the first one is in the file, if that helps.
pub(crate) fn bad_value(
    request: &Request,
    cell: &str,
    value: f64,
    more: usize,
    place: &str,
    span: Span,
) -> Diagnostic {
    let (kind, unknown) = if value.is_nan() {
        ("not a number (nan)".to_owned(), "nan")
    } else if value == f64::INFINITY {
        (format!("infinite ({value})"), "value == inf")
    } else {
        let kind = if value.is_infinite() { "infinite" } else { "negative" };
        (format!("{kind} ({value})"), "value < 0")
    };
    let place = if place.is_empty() { String::new() } else { format!(", {place}") };
    let mut report =
        Diagnostic::new(Code::MBA410, format!("the cell {cell} of `{}` is {kind}", request.name))
            .at(span, format!("holds this cell{place}"));
    if more > 0 {
        report = report.note(format!(
            "{} not allowed either",
            match more {
                1 => format!("{} is", others(1, "value", "values")),
                n => format!("{} are", others(n, "value", "values")),
            }
        ));
    }
    report.note("data are amounts: zero or more, and finite").help(format!(
        "correct the value where the data are made, or add `missing where {unknown}` if it is not known"
    ))
}
