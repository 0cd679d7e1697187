//! What can be asked of a balanced tensor. One registry line per result; the methods of probabilities
//! are those of fits.

use std::sync::Arc;

use super::{FitResult, Given, METHODS, Method, diagnosis, thermodynamics};
use crate::data::Tensor;
use crate::model::{Mode, Scope};
use crate::numeric::sum::Compensated;
use crate::report::value::{Array, Value};
use crate::run::balance::Balanced;
use crate::text::{Code, Diagnostic, Span, suggest};

/// A balanced tensor under its name.
#[derive(Debug, Clone)]
pub struct BalanceResult {
    /// Its distribution, status and certificate, in the form that fits have.
    pub fit: FitResult,
    /// The solution.
    pub balanced: Arc<Balanced>,
    /// The scope of each margin.
    pub margins: Vec<Scope>,
}

/// A result without arguments.
pub struct BalanceField {
    /// Its name after the dot.
    pub name: &'static str,
    /// What it is, with its unit.
    pub about: &'static str,
    /// Computes it.
    pub read: fn(&BalanceResult) -> Value,
}

/// Every result of a balanced tensor without arguments.
pub const BALANCE_FIELDS: &[BalanceField] = &[
    BalanceField {
        name: "kl",
        about: "KL(B ‖ K) of the normalised tensors, in nats",
        read: |b| Value::Number(b.balanced.kl),
    },
    BalanceField {
        name: "reconstruction",
        about: "every cell, on the scale of the margins",
        read: reconstruction,
    },
    BalanceField { name: "fitted", about: "the same as reconstruction", read: reconstruction },
    BalanceField {
        name: "potentials",
        about: "ln of the scaling of each margin, in nats: B ∝ K · exp(Σ potentials)",
        read: potentials,
    },
    BalanceField {
        name: "cut",
        about: "cells where K is positive and no tensor with these margins can be, as far as it is proven",
        read: |b| Value::Count(b.balanced.cut.into()),
    },
    BalanceField {
        name: "entropy",
        about: "entropy of the balanced distribution, in nats",
        read: |b| thermodynamics::entropy(&b.fit),
    },
    BalanceField { name: "total", about: "total of the margins", read: |b| Value::Number(b.fit.fit.total) },
    BalanceField {
        name: "iterations",
        about: "scaling sweeps and Newton steps",
        read: |b| diagnosis::iterations(&b.fit),
    },
    BalanceField {
        name: "status",
        about: "converged, boundary, stopped or interrupted",
        read: |b| diagnosis::status(&b.fit),
    },
    BalanceField { name: "time", about: "seconds it took", read: |b| diagnosis::time(&b.fit) },
    BalanceField {
        name: "certificate",
        about: "marginal gap, and a bound on the distance to the optimum in nats",
        read: |b| diagnosis::certificate(&b.fit),
    },
];

/// The methods of fits that a balanced tensor has as well.
const SHARED: &[&str] = &["marginal", "conditional", "probability", "mutual_information", "sample"];

/// A method of a balanced tensor that is one of fits as well.
pub fn shared(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|m| m.name == name && SHARED.contains(&m.name))
}

/// How the mean of a tensor is asked for.
pub const MEAN: &str = "B.mean(C)";

/// Σ B C / Σ B: the mean of another tensor, such as the cost of a transport plan.
pub fn mean(result: &BalanceResult, given: &Given<'_>) -> Result<Value, Diagnostic> {
    let [argument] = given.arguments else { return Err(given.wrong("one tensor is expected")) };
    let tensor = given.tensor(&argument.value)?;
    let modes = &result.fit.fit.model.modes;
    let places = places(&tensor, modes).ok_or_else(|| given.wrong("the tensor has other modes"))?;
    // a mode that the tensor lacks is summed out
    let scope: Scope = places.iter().copied().collect();
    let table = result.fit.fit.distribution.marginal(&scope).map_err(|d| *d)?;
    let mut sum = Compensated::default();
    let mut cell = vec![0; places.len()];
    tensor.each_cell(|levels, x| {
        for (level, place) in levels.iter().zip(&places) {
            if let Some(slot) = scope.position(*place).and_then(|axis| cell.get_mut(axis)) {
                *slot = *level;
            }
        }
        sum.add(x * table.at(&cell));
    });
    Ok(Value::Number(sum.value()))
}

/// Where the modes of a tensor stand among others.
pub fn places(tensor: &Tensor, modes: &[Mode]) -> Option<Vec<usize>> {
    tensor.modes.iter().map(|own| modes.iter().position(|m| m.name == own.name)).collect()
}

fn reconstruction(result: &BalanceResult) -> Value {
    let total = result.fit.fit.total;
    let values: Vec<f64> = result.balanced.values.iter().map(|b| b * total).collect();
    Value::Array(Array { modes: result.fit.fit.model.modes.clone(), values: values.into() })
}

fn potentials(result: &BalanceResult) -> Value {
    let modes = &result.fit.fit.model.modes;
    let array = |(scope, values): (&Scope, &Vec<f64>)| {
        let modes = scope.iter().filter_map(|m| modes.get(m)).cloned().collect();
        Value::Array(Array { modes, values: values.clone().into() })
    };
    Value::List(result.margins.iter().zip(&result.balanced.potentials).map(array).collect())
}

/// What `show B` shows.
pub fn balance_summary(result: &BalanceResult) -> Value {
    let wanted = ["status", "iterations", "kl", "cut", "certificate"];
    let fields = BALANCE_FIELDS.iter().filter(|f| wanted.contains(&f.name));
    Value::Record(fields.map(|f| (f.name.to_string(), (f.read)(result))).collect())
}

/// A result that a balanced tensor does not have.
pub fn no_such_result(name: &str, span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::MBA102, format!("a balanced tensor has no result `{name}`"));
    let names = BALANCE_FIELDS.iter().map(|f| f.name).chain(SHARED.iter().copied()).chain(["mean"]);
    suggest::result(diagnostic, (name, span), names, [])
}
