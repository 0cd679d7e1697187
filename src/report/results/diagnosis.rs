//! How a fit went: its status, its certificate, its cost.

use super::statistics::{df, parameters};
use super::{FitResult, Fitted};
use crate::model::EnergyModel;
use crate::plan::Schedule;
use crate::report::value::{Rows, Value};
use crate::run::{Certificate, Counters, Stop, ZeroMarginals};
use crate::text::{Code, Diagnostic, Span};

/// The schedule that was run, as a tree.
pub fn plan(fits: &[Fitted], _: &Stop, span: Span) -> Result<Value, Diagnostic> {
    let [whole] = fits else {
        return Err(Diagnostic::new(Code::MBA105, "`plan` takes one fit")
            .at(span, "here")
            .help("write `plan(f)`"));
    };
    Ok(Value::Text(match whole {
        Fitted::One(fit) => fit.fit.schedule.tree(),
        Fitted::Joint(joint) => joint.joint.schedule.tree(),
    }))
}

/// Sweeps made.
pub fn iterations(result: &FitResult) -> Value {
    Value::Count(result.fit.iterations.into())
}

/// Seconds the fit took, reading the data included.
pub fn time(result: &FitResult) -> Value {
    Value::Number(result.seconds)
}

/// The status, as a word.
pub fn status(result: &FitResult) -> Value {
    Value::Text(result.fit.status.word().into())
}

/// The largest relative marginal gap, and the bound on what is left to gain.
pub fn certificate(result: &FitResult) -> Value {
    certificate_of(&result.fit.certificate)
}

/// The same of any fit.
pub fn certificate_of(certificate: &Certificate) -> Value {
    let bound = match (certificate.optimality_gap, &certificate.reason) {
        (Some(gap), _) => Value::Number(gap),
        (None, Some(reason)) => Value::Null(reason.clone()),
        (None, None) => Value::Null("no bound applies".into()),
    };
    Value::Record(vec![
        ("marginal_gap".into(), Value::Number(certificate.marginal_gap)),
        ("optimality_gap".into(), bound),
    ])
}

/// Cells of interactions that have no mass in the data.
pub fn zero_marginals(result: &FitResult) -> Value {
    zeros_of(&result.fit.model, &result.fit.zero_marginals)
}

/// The same of any fit.
pub fn zeros_of(model: &EnergyModel, found: &[ZeroMarginals]) -> Value {
    let mut rows = Rows { columns: vec!["interaction".into(), "levels".into()], ..Rows::default() };
    for zero in found {
        for cell in &zero.cells {
            let levels =
                zero.scope.iter().zip(cell).map(|(m, level)| model.modes[m].label(*level).into_owned());
            let levels: Vec<String> = levels.collect();
            rows.rows.push(vec![
                Value::Text(model.bracket(&zero.scope)),
                Value::List(levels.into_iter().map(Value::Text).collect()),
            ]);
        }
        if zero.count > zero.cells.len() {
            rows.notes.push(format!(
                "{} more of {}",
                zero.count - zero.cells.len(),
                model.bracket(&zero.scope)
            ));
        }
    }
    Value::Table(rows)
}

/// Predicted and counted work.
pub fn cost(result: &FitResult) -> Value {
    cost_of(&result.fit.counters, &result.fit.schedule)
}

/// The same of any fit.
pub fn cost_of(counters: &Counters, schedule: &Schedule) -> Value {
    let columns = ["quantity", "predicted", "counted"].map(String::from).to_vec();
    let row = |what: &str, predicted: f64, counted: f64| {
        vec![Value::Text(what.into()), Value::Number(predicted), Value::Number(counted)]
    };
    Value::Table(Rows {
        columns,
        rows: vec![
            row("operations", counters.predicted.operations, counters.operations),
            row("bytes moved", counters.predicted.bytes, counters.bytes),
            row("peak bytes", schedule.peak, counters.peak),
        ],
        notes: Vec::new(),
    })
}

/// What `show f` shows: the fit in a few lines.
pub fn summary(result: &FitResult) -> Value {
    if result.joint.is_some() {
        return super::joint::part_summary(result);
    }
    if super::coefficients::out_of_reach(result, "kl").is_some() {
        return Value::Record(vec![
            ("model".to_string(), Value::Text(result.fit.model.name.clone())),
            ("data".to_string(), Value::Text(result.tensor.name.clone())),
            ("method".to_string(), Value::Text("pseudo_likelihood".into())),
            ("status".to_string(), status(result)),
            ("iterations".to_string(), iterations(result)),
            ("pseudo_likelihood".to_string(), super::coefficients::pseudo_likelihood(result)),
            ("parameters".to_string(), parameters(result)),
            ("certificate".into(), certificate(result)),
        ]);
    }
    let mut parts = vec![
        ("model".to_string(), Value::Text(result.fit.model.name.clone())),
        ("data".to_string(), Value::Text(result.tensor.name.clone())),
        ("status".to_string(), status(result)),
        ("iterations".to_string(), iterations(result)),
        ("kl".to_string(), super::divergence::kl(result)),
        ("deviance".to_string(), super::divergence::deviance(result)),
        ("df".to_string(), df(result)),
        ("parameters".to_string(), parameters(result)),
    ];
    if result.tensor.counts {
        parts.push(("p_value".into(), super::statistics::p_value(result)));
    }
    if !result.fit.zero_marginals.is_empty() {
        parts.push(("df_adjusted".into(), super::statistics::df_adjusted(result)));
    }
    parts.push(("certificate".into(), certificate(result)));
    Value::Record(parts)
}
