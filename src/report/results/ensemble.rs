//! What can be asked of a model whose energies are known, at one temperature or along a sweep, and of a fit
//! at any temperature.

use std::collections::BTreeMap;

use super::arguments::{Given, Spans, scope_of};
use super::probabilities::normalise_columns;
use super::quantity::{Quantity, quantity};
use crate::model::{Scope, Table};
use crate::numeric::sum;
use crate::report::value::{Array, Rows, Value};
use crate::run::Ensemble;
use crate::text::{Code, Diagnostic, Span};

type Found<T> = Result<T, Box<Diagnostic>>;

/// A number for each temperature.
pub struct Observable {
    /// Its name after the dot.
    pub name: &'static str,
    /// What it is, with its unit.
    pub about: &'static str,
    /// Computes it, one value for each temperature.
    pub read: fn(&Ensemble) -> Found<Vec<Value>>,
}

/// A result that is not a number for each temperature.
pub struct Whole {
    /// Its name after the dot.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Computes it.
    pub read: fn(&Ensemble) -> Found<Value>,
}

/// A result with arguments.
pub struct Question {
    /// Its name after the dot.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
    /// What it is, with its unit.
    pub about: &'static str,
    /// Computes it.
    pub call: fn(&Ensemble, &Given<'_>) -> Result<Value, Diagnostic>,
}

/// Every observable.
pub const OBSERVABLES: &[Observable] = &[
    Observable {
        name: "log_z",
        about: "log of the partition function, in nats",
        read: |e| numbers(e.log_z()),
    },
    Observable { name: "free_energy", about: "−T log_z", read: free_energy },
    Observable { name: "energy", about: "mean energy ⟨E⟩", read: |e| numbers(e.energy()) },
    Observable { name: "entropy", about: "entropy, in nats", read: |e| numbers(e.entropy()) },
    Observable {
        name: "heat_capacity",
        about: "(⟨E²⟩ − ⟨E⟩²) / T², which is d⟨E⟩/dT",
        read: |e| numbers(e.heat_capacity()),
    },
    Observable {
        name: "magnetization",
        about: "⟨|M|⟩ / N, where M is the sum of the N modes' numeric levels",
        read: magnetization,
    },
    Observable { name: "susceptibility", about: "(⟨M²⟩ − ⟨|M|⟩²) / (N T)", read: susceptibility },
];

/// Results that are not numbers.
pub const WHOLES: &[Whole] = &[
    Whole {
        name: "most_probable",
        about: "the cell of least energy, which has all probability in the limit T → 0, and that energy",
        read: most_probable,
    },
    Whole { name: "total", about: "the probability of each value of M", read: total },
];

/// Results with arguments.
pub const QUESTIONS: &[Question] = &[
    Question {
        name: "marginal",
        usage: "m.marginal(a, b)",
        about: "probability over some modes",
        call: marginal,
    },
    Question {
        name: "conditional",
        usage: "m.conditional(a | b: x)",
        about: "probability of some modes given levels of others, or each level of others",
        call: conditional,
    },
    Question {
        name: "probability",
        usage: "m.probability(a: x, b: y)",
        about: "probability of levels",
        call: probability,
    },
    Question {
        name: "mean",
        usage: "m.mean(a * b)",
        about: "mean of an expression in numeric levels; `sum(s)` is the sum over a family; true counts as 1",
        call: |e, g| one(e, g).and_then(|q| Ok(number(q.mean(e).map_err(|d| *d)?))),
    },
    Question {
        name: "variance",
        usage: "m.variance(a * b)",
        about: "variance of an expression in numeric levels",
        call: |e, g| one(e, g).and_then(|q| Ok(number(q.variance(e).map_err(|d| *d)?))),
    },
    Question {
        name: "covariance",
        usage: "m.covariance(a, b)",
        about: "⟨AB⟩ − ⟨A⟩⟨B⟩ of two expressions, in physics their connected correlation",
        call: |e, g| two(e, g).and_then(|(a, b)| Ok(number(a.covariance(&b, e).map_err(|d| *d)?))),
    },
    Question {
        name: "correlation",
        usage: "m.correlation(a, b)",
        about: "covariance over the two standard deviations",
        call: correlation,
    },
    Question {
        name: "mutual_information",
        usage: "m.mutual_information(a, b | c)",
        about: "mutual information of two modes or groups `(a, b)`, given others, in nats",
        call: mutual_information,
    },
    Question {
        name: "o_information",
        usage: "m.o_information(a, b, c)",
        about: "redundancy (positive) or synergy (negative) of three modes or more, in nats",
        call: o_information,
    },
    Question {
        name: "sample",
        usage: "m.sample(n, seed: 1)",
        about: "n independent records, counted",
        call: sample,
    },
];

/// Results that are ensembles again: name, usage, meaning.
pub const TRANSFORMS: &[(&str, &str, &str)] = &[
    ("given", "m.given(a: x)", "the model in which some modes have the levels given"),
    ("marginalise", "m.marginalise(a, b)", "the model of the other modes, these summed out"),
];

/// A number, or null for one that is not finite.
pub fn number(x: f64) -> Value {
    if x.is_finite() { Value::Number(x) } else { Value::Null("not finite".into()) }
}

fn numbers(found: Found<Vec<f64>>) -> Found<Vec<Value>> {
    Ok(found?.into_iter().map(number).collect())
}

fn free_energy(ensemble: &Ensemble) -> Found<Vec<Value>> {
    let logs = ensemble.log_z()?;
    Ok(logs.iter().zip(&ensemble.temperatures).map(|(l, t)| number(-l * t)).collect())
}

const NO_TOTAL: &str = "the levels are names, or numbers without a common step, and have no total";

fn magnetization(ensemble: &Ensemble) -> Found<Vec<Value>> {
    Ok(match ensemble.totals()? {
        Some(totals) => totals.magnetization().into_iter().map(number).collect(),
        None => vec![Value::Null(NO_TOTAL.into()); ensemble.temperatures.len()],
    })
}

fn susceptibility(ensemble: &Ensemble) -> Found<Vec<Value>> {
    Ok(match ensemble.totals()? {
        Some(totals) => totals.susceptibility(&ensemble.temperatures).into_iter().map(number).collect(),
        None => vec![Value::Null(NO_TOTAL.into()); ensemble.temperatures.len()],
    })
}

fn total(ensemble: &Ensemble) -> Found<Value> {
    let Some(totals) = ensemble.totals()? else { return Ok(Value::Null(NO_TOTAL.into())) };
    let probabilities = totals.probabilities.first().map_or(&[][..], Vec::as_slice);
    let rows = totals.values.iter().zip(probabilities);
    Ok(Value::Table(Rows {
        columns: vec!["total".into(), "probability".into()],
        rows: rows.map(|(v, p)| vec![Value::Number(*v), Value::Number(*p)]).collect(),
        notes: Vec::new(),
    }))
}

fn most_probable(ensemble: &Ensemble) -> Found<Value> {
    let least = ensemble.least()?;
    let rows = ensemble.model.modes.iter().zip(&least.cell).map(|(mode, level)| {
        let level =
            mode.number(*level).map_or_else(|| Value::Text(mode.label(*level).into_owned()), Value::Number);
        vec![Value::Text(mode.name.clone()), level]
    });
    let table =
        Rows { columns: vec!["mode".into(), "level".into()], rows: rows.collect(), notes: Vec::new() };
    Ok(Value::Record(vec![("energy".into(), number(least.energy)), ("cell".into(), Value::Table(table))]))
}

/// The first temperature alone, for results that are not lists.
fn first(ensemble: &Ensemble, keep: &Scope) -> Result<Table, Diagnostic> {
    const MOST: f64 = (1u64 << 26) as f64;
    let cells: f64 = keep.iter().map(|m| ensemble.model.modes[m].size() as f64).product();
    if cells > MOST {
        return Err(Diagnostic::new(Code::MBA504, format!("a table of {cells:.0} cells is too large"))
            .at(ensemble.span, "asked for here")
            .help("name fewer modes"));
    }
    let tables = ensemble.marginal(keep).map_err(|d| *d)?;
    tables.into_iter().next().ok_or_else(|| {
        Diagnostic::new(Code::MBA901, "a sum without a result").at(ensemble.span, "asked for here")
    })
}

/// A table with its axes in the order of `modes`.
fn laid_out(ensemble: &Ensemble, table: &Table, modes: &[usize]) -> Value {
    let values = table.in_order(modes);
    let modes = modes.iter().map(|m| ensemble.model.modes[*m].clone()).collect();
    Value::Array(Array { modes, values: values.into() })
}

fn marginal(ensemble: &Ensemble, given: &Given<'_>) -> Result<Value, Diagnostic> {
    if !given.condition.is_empty() {
        return Err(given.wrong("a marginal has no condition; use `conditional`"));
    }
    let modes = given.modes(given.arguments, ensemble)?;
    Ok(laid_out(ensemble, &first(ensemble, &scope_of(&modes))?, &modes))
}

fn conditional(ensemble: &Ensemble, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let modes = given.modes(given.arguments, ensemble)?;
    let (fixed, open): (Vec<_>, Vec<_>) = given.condition.iter().cloned().partition(|a| a.name.is_some());
    let fixed = given.levels(&fixed, ensemble)?;
    let open = given.modes(&open, ensemble)?;
    let all: Vec<usize> = modes.iter().chain(&open).copied().chain(fixed.iter().map(|(m, _)| *m)).collect();
    if modes.is_empty() || given.condition.is_empty() {
        return Err(given.wrong("modes before the bar and conditions after it are expected"));
    }
    if scope_of(&all).len() != all.len() {
        return Err(given.wrong("a mode is on both sides of the bar"));
    }
    let clamped = ensemble.given(&fixed);
    let kept: Vec<usize> = modes.iter().chain(&open).copied().collect();
    let joint = first(&clamped, &scope_of(&kept))?;
    let Value::Array(array) = laid_out(ensemble, &joint, &kept) else {
        return Err(given.wrong("a conditional distribution is an array"));
    };
    let columns: usize = open.iter().map(|m| ensemble.model.modes[*m].size()).product();
    let mut values = array.values.to_vec();
    normalise_columns(&mut values, columns);
    Ok(Value::Array(Array { modes: array.modes, values: values.into() }))
}

fn probability(ensemble: &Ensemble, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let levels: BTreeMap<usize, usize> = given.levels(given.arguments, ensemble)?.into_iter().collect();
    if levels.len() != given.arguments.len() || !given.condition.is_empty() {
        return Err(given.wrong("each mode is named once, with its level"));
    }
    // the share of the cells with these levels among all
    let clamped: Vec<(usize, usize)> = levels.into_iter().collect();
    let inside = ensemble.given(&clamped);
    let all = ensemble.log_z().map_err(|d| *d)?;
    match inside.log_z() {
        Ok(part) => Ok(number(part.first().zip(all.first()).map_or(0.0, |(p, a)| (p - a).exp()))),
        Err(diagnostic) if diagnostic.code == Code::MBA541 => Ok(Value::Number(0.0)),
        Err(diagnostic) => Err(*diagnostic),
    }
}

fn one(ensemble: &Ensemble, given: &Given<'_>) -> Result<Quantity, Diagnostic> {
    match given.arguments {
        [a] if a.name.is_none() && given.condition.is_empty() => quantity(&a.value, ensemble, given),
        _ => Err(given.wrong("one expression is expected")),
    }
}

fn two(ensemble: &Ensemble, given: &Given<'_>) -> Result<(Quantity, Quantity), Diagnostic> {
    match given.arguments {
        [a, b] if a.name.is_none() && b.name.is_none() && given.condition.is_empty() => {
            Ok((quantity(&a.value, ensemble, given)?, quantity(&b.value, ensemble, given)?))
        }
        _ => Err(given.wrong("two expressions are expected")),
    }
}

fn correlation(ensemble: &Ensemble, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let (a, b) = two(ensemble, given)?;
    let covariance = a.covariance(&b, ensemble).map_err(|d| *d)?;
    let (x, y) = (a.variance(ensemble).map_err(|d| *d)?, b.variance(ensemble).map_err(|d| *d)?);
    Ok(if x > 0.0 && y > 0.0 {
        number(covariance / (x * y).sqrt())
    } else {
        Value::Null("one of the two does not vary".into())
    })
}

/// I(A; B | C) = H(A, C) + H(B, C) − H(A, B, C) − H(C), in nats.
fn mutual_information(ensemble: &Ensemble, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let [a, b] = given.arguments else { return Err(given.wrong("two modes are expected")) };
    let (mut left, mut right) = (Vec::new(), Vec::new());
    given.group(&a.value, ensemble, &mut left)?;
    given.group(&b.value, ensemble, &mut right)?;
    let condition = given.modes(given.condition, ensemble)?;
    let all: Vec<usize> = left.iter().chain(&right).chain(&condition).copied().collect();
    if scope_of(&all).len() != all.len() {
        return Err(given.wrong("a mode is named twice"));
    }
    let joint = first(ensemble, &scope_of(&all))?;
    let entropy = |parts: &[&[usize]]| entropy_within(&joint, &scope_of(&parts.concat()));
    let information = entropy(&[&left, &condition]) + entropy(&[&right, &condition])
        - entropy(&[&left, &right, &condition])
        - entropy(&[&condition]);
    Ok(Value::Number(information.max(0.0)))
}

/// The entropy of some modes of a joint table, in nats.
fn entropy_within(joint: &Table, modes: &Scope) -> f64 {
    let projection = crate::run::projection::Projection::between(&joint.scope, &joint.shape, modes);
    let cells = modes.iter().filter_map(|m| joint.scope.position(m)).map(|a| joint.shape[a]).product();
    let mut values = vec![0.0; cells];
    crate::run::kernel::marginalise(&projection, &joint.values, &mut values);
    sum::entropy(&values)
}

/// Ω = (n − 2) H(X) + Σ H(X_i) − Σ H(X without X_i) (Rosas, Mediano, Gastpar and Jensen 2019,
/// doi:10.1103/PhysRevE.100.032305).
fn o_information(ensemble: &Ensemble, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let modes = given.modes(given.arguments, ensemble)?;
    if modes.len() < 3 || !given.condition.is_empty() {
        return Err(given.wrong("three modes or more are expected"));
    }
    let joint = first(ensemble, &scope_of(&modes))?;
    let mut total = (modes.len() as f64 - 2.0) * sum::entropy(&joint.values);
    for mode in &modes {
        total += entropy_within(&joint, &Scope::from([*mode]));
        total -= entropy_within(&joint, &joint.scope.without(*mode));
    }
    Ok(Value::Number(total))
}

fn sample(ensemble: &Ensemble, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let (count, seed) = given.draws()?;
    let row = super::tensors::record(ensemble.modes());
    let sample = ensemble.sample(count, seed, row).map_err(|d| *d)?;
    Ok(super::tensors::records(&sample, ensemble.modes()))
}

/// `kl(p, q)`: KL(P ‖ Q) of two models over the same modes, in nats.
pub fn kl(p: &Ensemble, q: &Ensemble, span: Span) -> Result<Value, Diagnostic> {
    let names: Vec<String> = p.model.modes.iter().map(|m| m.name.clone()).collect();
    let same = |name: &String| q.model.modes.iter().find(|m| m.name == *name);
    let fits = names.len() == q.model.modes.len()
        && names.iter().zip(&p.model.modes).all(|(n, m)| same(n).is_some_and(|o| o.levels == m.levels));
    if !fits {
        return Err(Diagnostic::new(
            Code::MBA225,
            format!("`{}` and `{}` have different modes", p.model.name, q.model.name),
        )
        .at(span, "compared here")
        .help("a divergence is between two models over the same modes and levels"));
    }
    let ordered = (*q.model).clone().in_order_of(&names);
    let q = Ensemble::new(std::sync::Arc::new(ordered), q.limits.clone(), q.span)
        .map(|e| e.at(q.temperatures.clone()))
        .map_err(|d| *d)?;
    let found = p.divergence_from(&q).map_err(|d| *d)?;
    Ok(Value::Number(found))
}

/// `m.given(a: x)` and `m.marginalise(a)`.
pub fn transform(ensemble: &Ensemble, name: &str, given: &Given<'_>) -> Result<Ensemble, Diagnostic> {
    if name == "given" {
        let levels = given.levels(given.arguments, ensemble)?;
        return Ok(ensemble.given(&levels));
    }
    let gone = given.modes(given.arguments, ensemble)?;
    ensemble.marginalise(&scope_of(&gone)).map_err(|d| *d)
}

/// What `show m` shows: the thermodynamics in a few lines.
pub fn summary(ensemble: &Ensemble) -> Result<Value, Diagnostic> {
    let mut parts = vec![
        ("model".to_string(), Value::Text(ensemble.model.name.clone())),
        ("modes".to_string(), Value::Count(ensemble.model.modes.len().into())),
        ("temperature".to_string(), number(ensemble.temperatures.first().copied().unwrap_or(f64::NAN))),
    ];
    // one pass finds all of these; the total is dearer than the rest, and asked for by name
    ensemble.energy().map_err(|d| *d)?;
    for observable in OBSERVABLES.iter().take(5) {
        let list = (observable.read)(ensemble).map_err(|d| *d)?;
        parts.extend(list.into_iter().next().map(|v| (observable.name.to_string(), v)));
    }
    Ok(Value::Record(parts))
}
