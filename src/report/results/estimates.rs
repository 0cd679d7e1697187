//! What can be asked of an estimate: a model with known energies, taken by an inexact method. Every value says
//! how far it can be trusted.

use std::sync::Arc;

use crate::model::{Mode, Scope};
use crate::report::value::{Array, Rows, Value};
use crate::run::approximate::Approximation;
use crate::run::monte_carlo::{Estimate, Observed, Simulation, Work};
use crate::text::ast::{Argument, ExprKind, Ident};
use crate::text::{Code, Diagnostic, Span, suggest};

/// An estimate under its name.
#[derive(Debug, Clone)]
pub struct EstimateResult {
    /// The name it was given.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// The method's name.
    pub method: &'static str,
    /// What the method is.
    pub about: &'static str,
    /// The modes of the model.
    pub modes: Arc<Vec<Mode>>,
    /// The temperature.
    pub temperature: f64,
    /// What was done, in words: sweeps, chains, runs, seed.
    pub effort: String,
    /// What was found.
    pub found: Found,
}

/// What a method found.
#[derive(Debug, Clone)]
pub enum Found {
    /// An approximation, and what its `log_z` is.
    Approximation(Arc<Approximation>, &'static str),
    /// What chains saw.
    Simulation(Arc<Simulation>),
    /// The work of runs along a path.
    Work(Arc<Work>),
}

/// A result of an estimate.
pub struct EstimateField {
    /// Its name after the dot.
    pub name: &'static str,
    /// What it is, with its unit.
    pub about: &'static str,
    /// Computes it; none where the method does not give it.
    read: fn(&EstimateResult) -> Option<Value>,
}

/// Every result of an estimate.
pub const ESTIMATES: &[EstimateField] = &[
    EstimateField {
        name: "method",
        about: "how it was estimated",
        read: |e| Some(Value::Text(e.method.into())),
    },
    EstimateField {
        name: "status",
        about: "converged or stopped; for simulations reliable, too_short or poor_proposal",
        read: |e| Some(Value::Text(status(e).into())),
    },
    EstimateField { name: "log_z", about: "log of the partition function, in nats", read: log_z },
    EstimateField {
        name: "bound",
        about: "what is a bound of log_z: of mean field, and of the mean work of annealing",
        read: bound,
    },
    EstimateField { name: "free_energy", about: "−T log_z", read: free_energy },
    EstimateField { name: "energy", about: "mean energy ⟨E⟩", read: energy },
    EstimateField { name: "entropy", about: "entropy, in nats", read: entropy },
    EstimateField {
        name: "heat_capacity",
        about: "(⟨E²⟩ − ⟨E⟩²)/T²",
        read: |e| simulation(e).map(|s| observed(&s.heat_capacity)),
    },
    EstimateField {
        name: "magnetization",
        about: "⟨|Σ levels|⟩ / N",
        read: |e| simulation(e).and_then(|s| s.magnetization.as_ref().map(measured)),
    },
    EstimateField {
        name: "susceptibility",
        about: "(⟨M²⟩ − ⟨|M|⟩²)/(N T)",
        read: |e| simulation(e).and_then(|s| s.susceptibility.as_ref().map(observed)),
    },
    EstimateField {
        name: "acceptance",
        about: "part of the proposals that were accepted",
        read: |e| simulation(e).and_then(|s| s.acceptance).map(Value::Number),
    },
    EstimateField {
        name: "effective_proposals",
        about: "as many cells of the model itself would say as much as those proposed, at most 10 000",
        read: |e| simulation(e).and_then(|s| s.coverage).map(|c| Value::Number(c.effective)),
    },
    EstimateField {
        name: "longest_stay",
        about: "the most proposals that a chain refused in a row",
        read: |e| simulation(e).and_then(|s| s.coverage).map(|c| Value::Count(c.longest_stay.into())),
    },
    EstimateField {
        name: "trades",
        about: "part of the trades between replicas that were made",
        read: |e| simulation(e).and_then(|s| s.trades).map(Value::Number),
    },
    EstimateField {
        name: "work",
        about: "mean work along the path, in nats; at least log_z at the start less log_z at the end",
        read: |e| work(e).map(|w| pair(w.mean())),
    },
    EstimateField {
        name: "effective_runs",
        about: "as many runs of equal weight would say as much",
        read: |e| work(e).map(|w| Value::Number(w.effective_samples())),
    },
    EstimateField {
        name: "residual",
        about: "largest change of a probability in the last sweep",
        read: |e| approximation(e).map(|a| Value::Number(a.residual)),
    },
    EstimateField {
        name: "sweeps",
        about: "sweeps of an approximation",
        read: |e| approximation(e).map(|a| Value::Count(a.sweeps.into())),
    },
];

/// Too few effective runs for the error of an exponential average.
const FEW: f64 = 10.0;

fn status(e: &EstimateResult) -> &'static str {
    match &e.found {
        Found::Approximation(a, _) if a.converged => "converged",
        Found::Approximation(..) => "stopped",
        _ if !covered(e) => "poor_proposal",
        _ if reliable(e) => "reliable",
        _ => "too_short",
    }
}

/// Whether what an independence chain proposes covers the model, as far as it was seen; true for all others.
pub fn covered(e: &EstimateResult) -> bool {
    simulation(e).and_then(|s| s.coverage).is_none_or(|c| c.suffices())
}

/// Whether the errors of a simulation can be trusted; true for approximations, which have none.
pub fn reliable(e: &EstimateResult) -> bool {
    match &e.found {
        Found::Approximation(..) => true,
        Found::Simulation(_) if !covered(e) => false,
        Found::Simulation(s) => s.energy.reliable && s.magnetization.is_none_or(|m| m.reliable),
        Found::Work(w) => w.effective_samples() >= FEW,
    }
}

fn approximation(e: &EstimateResult) -> Option<&Approximation> {
    match &e.found {
        Found::Approximation(a, _) => Some(a),
        _ => None,
    }
}

fn simulation(e: &EstimateResult) -> Option<&Simulation> {
    match &e.found {
        Found::Simulation(s) => Some(s),
        _ => None,
    }
}

fn work(e: &EstimateResult) -> Option<&Work> {
    match &e.found {
        Found::Work(w) => Some(w),
        _ => None,
    }
}

fn pair((mean, error): (f64, f64)) -> Value {
    Value::Record(vec![("mean".into(), Value::Number(mean)), ("error".into(), Value::Number(error))])
}

fn observed(o: &Observed) -> Value {
    pair((o.value, o.error))
}

fn measured(e: &Estimate) -> Value {
    Value::Record(vec![
        ("mean".into(), Value::Number(e.mean)),
        ("error".into(), Value::Number(e.error)),
        ("autocorrelation_time".into(), Value::Number(e.autocorrelation_time)),
        ("effective_samples".into(), Value::Number(e.effective_samples)),
    ])
}

fn log_z(e: &EstimateResult) -> Option<Value> {
    match &e.found {
        Found::Approximation(a, _) => Some(Value::Number(a.log_z)),
        Found::Work(w) => Some(pair(w.log_z())),
        Found::Simulation(_) => None,
    }
}

fn bound(e: &EstimateResult) -> Option<Value> {
    match &e.found {
        Found::Approximation(a, _) if e.method == "mean_field" => Some(Value::Number(a.log_z)),
        Found::Work(w) => Some(pair(w.bound())),
        _ => None,
    }
}

fn free_energy(e: &EstimateResult) -> Option<Value> {
    let t = e.temperature;
    match &e.found {
        Found::Approximation(a, _) => Some(Value::Number(-t * a.log_z)),
        Found::Work(w) => {
            let (mean, error) = w.log_z();
            Some(pair((-t * mean, t * error)))
        }
        Found::Simulation(_) => None,
    }
}

fn energy(e: &EstimateResult) -> Option<Value> {
    match &e.found {
        Found::Approximation(a, _) => Some(Value::Number(a.energy)),
        Found::Simulation(s) => Some(measured(&s.energy)),
        Found::Work(_) => None,
    }
}

fn entropy(e: &EstimateResult) -> Option<Value> {
    approximation(e).map(|a| Value::Number(a.entropy))
}

/// Whether estimates have a result of this name.
pub fn known(name: &str, span: Span) -> Result<&'static EstimateField, Diagnostic> {
    if let Some(field) = ESTIMATES.iter().find(|f| f.name == name) {
        return Ok(field);
    }
    let diagnostic = Diagnostic::new(Code::MBA102, format!("an estimate has no result `{name}`"));
    let names = || ESTIMATES.iter().map(|f| f.name);
    Err(if name == "marginal" {
        diagnostic.at(span, "needs a mode").help("write `e.marginal(a)`")
    } else {
        suggest::result(diagnostic, (name, span), names(), [])
    })
}

/// A result of an estimate; null where its method does not give it.
pub fn field(estimate: &EstimateResult, name: &str, span: Span) -> Result<Value, Diagnostic> {
    let field = known(name, span)?;
    Ok((field.read)(estimate)
        .unwrap_or_else(|| Value::Null(format!("`by {}` does not give it", estimate.method))))
}

/// `e.marginal(a)`, with errors for simulations, and `e.marginal(a, b)` where the approximation has it.
pub fn method(
    estimate: &EstimateResult,
    name: &Ident,
    arguments: &[Argument],
    span: Span,
) -> Result<Value, Diagnostic> {
    if name.name != "marginal" {
        known(&name.name, name.span)?;
        return Err(Diagnostic::new(Code::MBA105, format!("`{}` takes no arguments", name.name))
            .at(span, "called here")
            .help(format!("write `.{}`", name.name)));
    }
    let mut modes = Vec::new();
    for argument in arguments {
        modes.push(mode(estimate, argument)?);
    }
    match (&estimate.found, modes.as_slice()) {
        (Found::Approximation(a, _), [m]) => Ok(Value::Array(Array {
            modes: vec![estimate.modes[*m].clone()],
            values: a.marginals[*m].clone().into(),
        })),
        (Found::Simulation(s), [m]) => {
            let mode = &estimate.modes[*m];
            let columns = [mode.name.as_str(), "probability", "error"].map(String::from).to_vec();
            let row = |(level, o): (usize, &Observed)| {
                let label = Value::Text(mode.label(level).into_owned());
                vec![label, Value::Number(o.value), Value::Number(o.error)]
            };
            let rows = s.marginals[*m].iter().enumerate().map(row).collect();
            Ok(Value::Table(Rows { columns, rows, notes: Vec::new() }))
        }
        (Found::Approximation(a, _), several) if several.len() > 1 => {
            let scope: Scope = several.iter().copied().collect();
            let Some(belief) = a.beliefs.iter().find(|b| scope.is_subset(&b.scope)) else {
                let why = format!("`by {}` has no joint distribution of these modes", estimate.method);
                return Ok(Value::Null(why));
            };
            let onto = crate::run::projection::Projection::between(&belief.scope, &belief.shape, &scope);
            let cells: usize = scope.iter().map(|m| estimate.modes[m].size()).product();
            let mut values = vec![0.0; cells];
            crate::run::kernel::marginalise(&onto, &belief.values, &mut values);
            let modes = scope.iter().map(|m| estimate.modes[m].clone()).collect();
            Ok(Value::Array(Array { modes, values: values.into() }))
        }
        _ => Ok(Value::Null(format!("`by {}` does not give it", estimate.method))),
    }
}

fn mode(estimate: &EstimateResult, argument: &Argument) -> Result<usize, Diagnostic> {
    let value = &argument.value;
    let name = match &value.kind {
        ExprKind::Name(name) => Some(name.clone()),
        ExprKind::Index(base, indices) => match &base.kind {
            ExprKind::Name(name) => {
                let number = |a: &Argument| match &a.value.kind {
                    ExprKind::Number(x) => Some(crate::model::mode::number_label(*x)),
                    _ => None,
                };
                let parts: Option<Vec<String>> = indices.iter().map(number).collect();
                parts.map(|p| format!("{name}[{}]", p.join(", ")))
            }
            _ => None,
        },
        _ => None,
    };
    let found = name.as_ref().and_then(|n| estimate.modes.iter().position(|m| &m.name == n));
    found.ok_or_else(|| {
        let names: Vec<&str> = estimate.modes.iter().take(20).map(|m| m.name.as_str()).collect();
        let help = format!("the modes of `{}` are {}", estimate.model, suggest::list(&names));
        let name = name.unwrap_or_else(|| "this".into());
        let near = suggest::nearest(&name, estimate.modes.iter().map(|m| m.name.as_str()));
        crate::model::declarations::unknown("mode", &name, value.span, near, help)
    })
}

/// What `show e` shows: everything the method gives, with what it means.
pub fn summary(estimate: &EstimateResult) -> Value {
    let mut parts = vec![
        ("model".to_string(), Value::Text(estimate.model.clone())),
        ("method".to_string(), Value::Text(format!("{}: {}", estimate.method, estimate.about))),
        ("effort".to_string(), Value::Text(estimate.effort.clone())),
    ];
    if let Found::Approximation(_, meaning) = &estimate.found {
        parts.push(("meaning".to_string(), Value::Text((*meaning).into())));
    }
    if let Found::Work(w) = &estimate.found {
        let side = if w.back { "an upper" } else { "a lower" };
        let meaning = format!(
            "log_z by Jarzynski's equality; bound, from the mean work, is {side} bound in expectation"
        );
        parts.push(("meaning".to_string(), Value::Text(meaning)));
    }
    for field in ESTIMATES.iter().filter(|f| f.name != "method") {
        if let Some(value) = (field.read)(estimate) {
            parts.push((field.name.to_string(), value));
        }
    }
    Value::Record(parts)
}
