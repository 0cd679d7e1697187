//! Numbers as people read them.
//!
//! A number on its own has up to seven significant digits and no trailing zeros. Numbers in a column share one number
//! of decimals, so that their points stand in a line; what would lose its digits that way is written in powers of ten.

/// Significant digits of a number for people.
pub const SIGNIFICANT: usize = 7;

/// Digits that the smallest number of a column keeps, if the others leave room.
const SIGNIFICANT_AT_LEAST: i32 = 4;

/// Digits of a column's largest number, decimals included, before small numbers must look after themselves.
const LONGEST: i32 = 12;

/// The largest p-value that is only said to be small: below it, the digits are those of rounding errors.
const SMALLEST_P_VALUE: f64 = 1e-15;

/// A number on its own.
///
/// ```
/// use mba::report::number::number;
/// assert_eq!(number(166.30014729), "166.3001");
/// assert_eq!(number(0.5), "0.5");
/// assert_eq!(number(123456.0), "123456");
/// assert_eq!(number(3.2e-12), "3.2e-12");
/// assert_eq!(number(-0.0), "0");
/// assert_eq!(number(f64::NEG_INFINITY), "-inf");
/// ```
pub fn number(x: f64) -> String {
    with_significant(x, SIGNIFICANT)
}

/// Two numbers, with as many digits more as it takes to tell them apart.
///
/// ```
/// use mba::report::number::apart;
/// assert_eq!(apart(4.0, 5.0), ["4", "5"]);
/// assert_eq!(apart(6.0, 6.0000001), ["6", "6.0000001"]);
/// assert_eq!(apart(1.0, 1.0), ["1", "1"]);
/// ```
pub fn apart(x: f64, y: f64) -> [String; 2] {
    let texts = |significant| [with_significant(x, significant), with_significant(y, significant)];
    // seventeen digits tell any two doubles apart
    (SIGNIFICANT..17)
        .map(texts)
        .find(|[x, y]| x != y)
        .unwrap_or_else(|| if x == y { texts(SIGNIFICANT) } else { texts(17) })
}

/// A number with so many significant digits.
fn with_significant(x: f64, significant: usize) -> String {
    if !x.is_finite() || x == 0.0 {
        return special(x);
    }
    // rounding first: 0.99999999 has the exponent of 1
    let exponent = exponent(x, significant);
    if is_plain(exponent) {
        let decimals = usize::try_from(significant as i32 - 1 - exponent).unwrap_or(0);
        trim_zeros(format!("{x:.decimals$}"))
    } else {
        scientific(x, significant)
    }
}

/// Every digit that is needed to read the same number back, and no more.
pub fn digits(x: f64) -> String {
    if !x.is_finite() {
        special(x)
    } else if x == 0.0 || is_plain(exponent(x, 17)) {
        format!("{x}")
    } else {
        format!("{x:e}")
    }
}

/// A p-value on its own: four significant digits, and `< 1e-15` where the digits would mean nothing.
///
/// ```
/// use mba::report::number::p_value;
/// assert_eq!(p_value(0.17749), "0.1775");
/// assert_eq!(p_value(0.000021), "2.1e-5");
/// assert_eq!(p_value(0.0), "< 1e-15");
/// ```
pub fn p_value(p: f64) -> String {
    match small_p_value(p) {
        Some(text) => text,
        None => trim_zeros(format!("{p:.decimals$}", decimals = decimals_for(p, 4))),
    }
}

/// The p-values of a column: four decimals, and fewer digits for those that are small.
pub fn p_value_in_column(p: f64) -> String {
    small_p_value(p).unwrap_or_else(|| format!("{p:.4}"))
}

/// A p-value that has no place among decimals.
fn small_p_value(p: f64) -> Option<String> {
    if !p.is_finite() {
        Some(special(p))
    } else if p < SMALLEST_P_VALUE {
        Some("< 1e-15".to_owned())
    } else if p < 1e-4 {
        Some(scientific(p, 2))
    } else {
        None
    }
}

/// The number of decimals that a column of numbers should share: seven significant digits for the largest of them, at
/// least four for the smallest, and no zero that ends them all.
pub fn decimals(column: impl IntoIterator<Item = f64>) -> usize {
    let plain: Vec<f64> = column
        .into_iter()
        .filter(|x| x.is_finite() && *x != 0.0 && is_plain(exponent(*x, SIGNIFICANT)))
        .collect();
    if plain.iter().all(|x| x.fract() == 0.0) {
        return 0;
    }
    let exponents = || plain.iter().map(|x| exponent(*x, SIGNIFICANT));
    let (Some(largest), Some(smallest)) = (exponents().max(), exponents().min()) else { return 0 };
    let wanted = (SIGNIFICANT as i32 - 1 - largest).max(SIGNIFICANT_AT_LEAST - 1 - smallest);
    let room = LONGEST - 1 - largest.max(0);
    let most = usize::try_from(wanted.min(room)).unwrap_or(0);
    plain.iter().map(|x| trim_zeros(format!("{x:.most$}"))).map(|text| decimals_of(&text)).max().unwrap_or(0)
}

/// A number of a column whose numbers share this many decimals, see [`decimals`].
pub fn in_column(x: f64, decimals: usize) -> String {
    if !x.is_finite() || x == 0.0 {
        return special(x);
    }
    let exponent = exponent(x, SIGNIFICANT);
    // a single digit, or none, after many zeros hides what the number is
    let shown = exponent + 1 + decimals as i32;
    let exact = x.fract() == 0.0;
    if is_plain(exponent) && (shown >= 2 || exact || same_value(x, decimals)) {
        format!("{x:.decimals$}")
    } else {
        trim_scientific(&format!("{x:.3e}"))
    }
}

/// A size in memory, such as `1.5 MiB`.
///
/// ```
/// use mba::report::number::bytes;
/// assert_eq!(bytes(1_572_864.0), "1.5 MiB");
/// assert_eq!(bytes(1000.0), "1000 B");
/// ```
pub fn bytes(n: f64) -> String {
    with_unit(n, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// A number of operations, such as `3.2 M`.
///
/// ```
/// use mba::report::number::operations;
/// assert_eq!(operations(3_200_000.0), "3.2 M");
/// assert_eq!(operations(999.0), "999");
/// ```
pub fn operations(n: f64) -> String {
    with_unit(n, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
}

/// A time, such as `12 ms` or `3 min 20 s`.
///
/// ```
/// use mba::report::number::seconds;
/// assert_eq!(seconds(0.0123), "12.3 ms");
/// assert_eq!(seconds(200.0), "3 min 20 s");
/// ```
pub fn seconds(s: f64) -> String {
    if !s.is_finite() || s <= 0.0 {
        return format!("{} s", special(s.max(0.0)));
    }
    if s < 59.95 {
        // three significant digits are more than a clock can repeat
        return if s < 0.9995 {
            format!("{} ms", three_digits(s * 1e3))
        } else {
            format!("{} s", three_digits(s))
        };
    }
    let whole = s.round();
    if whole < 3600.0 {
        format!("{} min {} s", (whole / 60.0).floor(), whole % 60.0)
    } else {
        let minutes = (s / 60.0).round();
        format!("{} h {} min", (minutes / 60.0).floor(), minutes % 60.0)
    }
}

/// Whether a result or a column of this name holds p-values.
pub(crate) fn is_p_value(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| last.trim_start().starts_with("p_value"))
}

fn with_unit(n: f64, step: f64, units: &[&str]) -> String {
    if !n.is_finite() {
        return special(n);
    }
    let mut scaled = n;
    for unit in units {
        // what rounds up to a whole step is written in the next unit
        if three_digits(scaled).parse().is_ok_and(|shown: f64| shown.abs() < step) {
            return format!("{} {unit}", three_digits(scaled)).trim_end().to_owned();
        }
        scaled /= step;
    }
    let last = units.last().copied().unwrap_or("");
    format!("{} {last}", number(scaled * step)).trim_end().to_owned()
}

fn three_digits(x: f64) -> String {
    let decimals = if x.abs() < 9.995 {
        2
    } else if x.abs() < 99.95 {
        1
    } else {
        0
    };
    trim_zeros(format!("{x:.decimals$}"))
}

fn special(x: f64) -> String {
    if x.is_nan() {
        "nan"
    } else if x == f64::INFINITY {
        "inf"
    } else if x == f64::NEG_INFINITY {
        "-inf"
    } else {
        "0"
    }
    .to_owned()
}

/// Whether numbers with this power of ten are written without it.
fn is_plain(exponent: i32) -> bool {
    (-4..9).contains(&exponent)
}

/// The power of ten of a finite number that is not zero, rounded to this many significant digits.
fn exponent(x: f64, significant: usize) -> i32 {
    let text = format!("{x:.decimals$e}", decimals = significant.saturating_sub(1));
    text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

fn decimals_for(x: f64, significant: usize) -> usize {
    if x == 0.0 { 0 } else { usize::try_from(significant as i32 - 1 - exponent(x, significant)).unwrap_or(0) }
}

fn scientific(x: f64, significant: usize) -> String {
    trim_scientific(&format!("{x:.decimals$e}", decimals = significant.saturating_sub(1)))
}

fn trim_scientific(text: &str) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", trim_zeros(mantissa.to_owned())),
        None => text.to_owned(),
    }
}

fn trim_zeros(mut text: String) -> String {
    if text.contains('.') {
        let kept = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(kept);
    }
    if text == "-0" { "0".to_owned() } else { text }
}

fn decimals_of(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// Whether this many decimals say what the number is, to all the digits that are shown of any number.
fn same_value(x: f64, decimals: usize) -> bool {
    let shown: Result<f64, _> = format!("{x:.decimals$}").parse();
    shown.is_ok_and(|shown| (shown - x).abs() <= 0.5 * 10f64.powi(1 - SIGNIFICANT as i32) * x.abs())
}
