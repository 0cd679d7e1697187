//! What can be asked of a fit to several tensors: of the whole here, one registry line per result, and of each
//! tensor what can be asked of any fit.

use std::sync::Arc;

use num_bigint::BigUint;
use num_traits::Zero;

use super::completion::{Errors, each_hidden};
use super::statistics::{log_likelihood_of_fit, tail};
use super::{FIELDS, FitResult, METHODS};
use crate::model::declarations::unknown;
use crate::report::value::{Rows, Value};
use crate::run::joint::Joint;
use crate::run::{Control, Fit};
use crate::text::ast::{Argument, ExprKind};
use crate::text::{Code, Diagnostic, Span, suggest};

/// A joint fit under its name.
#[derive(Debug, Clone)]
pub struct JointResult {
    /// The name it was given.
    pub name: String,
    /// The fit.
    pub joint: Arc<Joint>,
    /// The tensors as they are written: `X, Y weight 0.5`.
    pub data: String,
    /// The fit of each tensor, under the name of the whole.
    pub parts: Arc<[FitResult]>,
    /// What multiplies the divergence of each.
    pub weights: Vec<f64>,
    /// How it was asked for.
    pub control: Control,
    /// How long it took, by the host's clock.
    pub seconds: f64,
    /// The `fit` statement.
    pub span: Span,
}

impl JointResult {
    /// Σ w D over Σ w S, in nats.
    pub fn kl(&self) -> f64 {
        self.joint.divergence / self.joint.total
    }

    /// Why the divergence is no likelihood of counts, unless the data are counts and all weights are one.
    pub(super) fn no_counts(&self) -> Option<String> {
        if !self.parts.iter().all(|p| p.tensor.counts) {
            return Some("the data are not counts".into());
        }
        let weighted = self.weights.iter().any(|w| *w != 1.0);
        weighted.then(|| "the tensors have weights: the divergence is no likelihood of counts".into())
    }

    /// Null, with the reason, where the divergence is no likelihood.
    fn counts(&self, value: impl FnOnce() -> Value) -> Value {
        self.no_counts().map_or_else(value, Value::Null)
    }

    fn parameters(&self) -> Result<BigUint, String> {
        let levels = BigUint::from(self.parts.len());
        self.joint.rank.clone().map(|rank| if rank > levels { rank - levels } else { BigUint::zero() })
    }

    /// Degrees of freedom, or why they are not known.
    pub(super) fn df(&self) -> Result<BigUint, String> {
        let rank = self.joint.rank.clone()?;
        let cells = self.joint.observed.clone();
        Ok(if cells > rank { cells - rank } else { BigUint::zero() })
    }

    fn log_likelihood(&self) -> f64 {
        self.parts.iter().map(log_likelihood_of_fit).sum()
    }

    fn criterion(&self, price: f64) -> Value {
        self.counts(|| match self.parameters() {
            Ok(parameters) => {
                let parameters = num_traits::ToPrimitive::to_f64(&parameters).unwrap_or(f64::INFINITY);
                Value::Number(-2.0 * self.log_likelihood() + price * parameters)
            }
            Err(reason) => Value::Null(reason),
        })
    }
}

/// A result without arguments.
pub struct JointField {
    /// Its name after the dot.
    pub name: &'static str,
    /// What it is, with its unit.
    pub about: &'static str,
    /// Computes it.
    pub read: fn(&JointResult) -> Value,
}

/// Every result of a joint fit without arguments.
pub const JOINT_FIELDS: &[JointField] = &[
    JointField {
        name: "divergence",
        about: "Σ weight × divergence over the tensors: what is minimised, in nats on the scale of the data",
        read: |j| Value::Number(j.joint.divergence),
    },
    JointField {
        name: "kl",
        about: "divergence over Σ weight × total, in nats",
        read: |j| Value::Number(j.kl()),
    },
    JointField {
        name: "tensors",
        about: "one row per tensor: weight, total, cells, kl, divergence",
        read: tensors,
    },
    JointField {
        name: "deviance",
        about: "2 × divergence; G² for counts without weights",
        read: |j| Value::Number(2.0 * j.joint.divergence),
    },
    JointField {
        name: "df",
        about: "degrees of freedom: observed cells of all tensors − their number − parameters",
        read: |j| j.df().map_or_else(Value::Null, Value::Count),
    },
    JointField {
        name: "parameters",
        about: "free parameters, shared ones once",
        read: |j| j.parameters().map_or_else(Value::Null, Value::Count),
    },
    JointField {
        name: "p_value",
        about: "chance of a deviance at least as large, by χ² with df",
        read: |j| {
            j.counts(|| match j.df() {
                Ok(df) => tail(2.0 * j.joint.divergence, &df),
                Err(reason) => Value::Null(reason),
            })
        },
    },
    JointField {
        name: "log_likelihood",
        about: "Σ x log q of the counts of all tensors, in nats",
        read: |j| j.counts(|| Value::Number(j.log_likelihood())),
    },
    JointField { name: "aic", about: "−2 log_likelihood + 2 parameters", read: |j| j.criterion(2.0) },
    JointField {
        name: "bic",
        about: "−2 log_likelihood + parameters × ln(total)",
        read: |j| j.criterion(j.joint.total.ln()),
    },
    JointField {
        name: "held_out",
        about: "errors on the held-out cells of all tensors: rmse, mape, mae, kl, unidentified, by tensor",
        read: held_out,
    },
    JointField { name: "total", about: "Σ weight × total", read: |j| Value::Number(j.joint.total) },
    JointField {
        name: "cells",
        about: "number of cells of all tensors",
        read: |j| Value::Count(j.parts.iter().map(|p| p.tensor.cells()).sum()),
    },
    JointField {
        name: "iterations",
        about: "sweeps and Newton steps; 0 in closed form",
        read: |j| Value::Count(j.joint.solution.iterations.into()),
    },
    JointField {
        name: "status",
        about: "closed_form, converged, boundary, stopped, interrupted or approximate",
        read: |j| Value::Text(j.joint.status.word().into()),
    },
    JointField { name: "time", about: "seconds the fit took", read: |j| Value::Number(j.seconds) },
    JointField {
        name: "certificate",
        about: "marginal gap, and a bound on the distance to the optimum in nats",
        read: |j| super::diagnosis::certificate_of(&j.joint.certificate),
    },
    JointField {
        name: "zero_marginals",
        about: "cells of interactions with no mass in any tensor",
        read: |j| super::diagnosis::zeros_of(&j.joint.model, &j.joint.zero_marginals),
    },
    JointField {
        name: "cost",
        about: "operations, bytes and peak memory: predicted and counted",
        read: |j| super::diagnosis::cost_of(&j.joint.counters, &j.joint.schedule),
    },
];

/// A result without arguments, by its name.
pub(super) fn field(result: &JointResult, name: &str) -> Value {
    let found = JOINT_FIELDS.iter().find(|f| f.name == name);
    found.map_or_else(|| Value::Null(format!("there is no `{name}`")), |f| (f.read)(result))
}

/// How one tensor of a joint fit is asked for.
pub const OF: (&str, &str, &str) =
    ("of", "f.of(Y)", "the fit of one tensor, with the results of any fit: `f.of(Y).fitted`");

/// Results of a tensor that are the whole's: its tables are shared with others.
const OF_THE_WHOLE: &[&str] =
    &["df", "df_adjusted", "parameters", "p_value", "p_value_adjusted", "aic", "bic"];

/// Null, with the reason, for results that one tensor of a joint fit does not have.
pub fn shared(fit: &FitResult, name: &str) -> Option<Value> {
    let whole = fit.joint.as_ref()?;
    OF_THE_WHOLE
        .contains(&name)
        .then(|| Value::Null(format!("its tables are shared with other tensors: ask `{whole}` as a whole")))
}

/// What `show f.of(X)` shows.
pub fn part_summary(result: &FitResult) -> Value {
    let fit: &Fit = &result.fit;
    Value::Record(vec![
        ("model".into(), Value::Text(fit.model.name.clone())),
        ("data".into(), Value::Text(result.tensor.name.clone())),
        ("status".into(), super::diagnosis::status(result)),
        ("iterations".into(), super::diagnosis::iterations(result)),
        ("kl".into(), super::divergence::kl(result)),
        ("divergence".into(), super::divergence::divergence(result)),
        ("total".into(), super::divergence::total(result)),
    ])
}

/// What `show f` shows: the fit in a few lines.
pub fn joint_summary(result: &JointResult) -> Value {
    const SHOWN: &[&str] =
        &["status", "iterations", "kl", "divergence", "df", "parameters", "p_value", "certificate"];
    let counts = result.no_counts().is_none();
    let shown = SHOWN.iter().filter(|n| counts || **n != "p_value");
    let mut parts = vec![
        ("model".to_string(), Value::Text(result.joint.model.name.clone())),
        ("data".to_string(), Value::Text(result.data.clone())),
    ];
    parts.extend(shown.map(|name| (name.to_string(), field(result, name))));
    Value::Record(parts)
}

fn tensors(result: &JointResult) -> Value {
    let columns = ["tensor", "weight", "total", "cells", "kl", "divergence"].map(String::from).to_vec();
    let row = |(part, weight): (&FitResult, &f64)| {
        vec![
            Value::Text(part.tensor.name.clone()),
            Value::Number(*weight),
            Value::Number(part.fit.total),
            Value::Count(part.tensor.cells()),
            Value::Number(part.fit.kl),
            Value::Number(part.fit.kl * part.fit.total),
        ]
    };
    let rows = result.parts.iter().zip(&result.weights).map(row).collect();
    Value::Table(Rows { columns, rows, notes: Vec::new() })
}

/// Errors on all held-out cells, each on the scale of its own tensor.
fn held_out(result: &JointResult) -> Value {
    let mut all = Errors::default();
    let parts = Errors::default().record().into_iter().map(|(name, _)| name);
    let columns = std::iter::once("tensor".to_string()).chain(parts).collect();
    let mut rows = Rows { columns, ..Rows::default() };
    for part in result.parts.iter().filter(|p| p.held_out.is_some()) {
        let mut own = Errors::default();
        let told = each_hidden(part, |_, x, m| {
            own.add(x, m);
            all.add(x, m);
        });
        if let Err(null) = told {
            return null;
        }
        let whose = Value::Text(part.tensor.name.clone());
        rows.rows.push(std::iter::once(whose).chain(own.record().into_iter().map(|(_, v)| v)).collect());
    }
    if rows.rows.is_empty() {
        return Value::Null("nothing was held out: write `{ hold_out 10% seed 1 }` after the fit".into());
    }
    let mut parts = all.record();
    parts.push(("tensors".into(), Value::Table(rows)));
    Value::Record(parts)
}

/// The name of the tensor that `f.of(Y)` asks for.
///
/// # Errors
/// MBA105 when it does not name one tensor, MBA102 when it names none of these.
pub fn which<'a>(
    name: &str,
    tensors: &[String],
    arguments: &'a [Argument],
    span: Span,
) -> Result<&'a str, Diagnostic> {
    let usage = || {
        let first = tensors.first().map_or("X", String::as_str);
        Diagnostic::new(Code::MBA105, "`of` takes one tensor of the joint fit")
            .at(span, "of which?")
            .help(format!("write `{name}.of({first})`"))
    };
    let [Argument { name: None, value, .. }] = arguments else { return Err(usage()) };
    let ExprKind::Name(wanted) = &value.kind else { return Err(usage()) };
    if tensors.contains(wanted) {
        return Ok(wanted);
    }
    let near = suggest::nearest(wanted, tensors.iter().map(String::as_str));
    let help = format!("the tensors of `{name}` are {}", suggest::list(tensors));
    Err(unknown("tensor", wanted, value.span, near, help))
}

/// A result that a joint fit as a whole does not have.
pub fn not_of_the_whole(name: &str, fit: &str, tensors: &[String], span: Span) -> Diagnostic {
    let method = METHODS.iter().find(|m| m.name == name).map(|m| m.usage);
    if let Some(usage) = method.or_else(|| FIELDS.iter().find(|f| f.name == name).map(|f| f.name)) {
        let first = tensors.first().map_or("X", String::as_str);
        let own = usage.strip_prefix("f.").unwrap_or(usage);
        return Diagnostic::new(Code::MBA455, format!("`{name}` is asked of one tensor of a joint fit"))
            .at(span, "of which tensor?")
            .help(format!("write `{fit}.of({first}).{own}`"));
    }
    let names = JOINT_FIELDS.iter().map(|f| f.name).chain([OF.0]);
    let diagnostic = Diagnostic::new(Code::MBA102, format!("a joint fit has no result `{name}`"));
    suggest::result(diagnostic, (name, span), names, [])
}

/// A function of whole fits that was asked of a joint fit, or of one tensor of it.
pub fn not_of_joint_fits(function: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA106, format!("`{function}` takes fits of one tensor"))
        .at(span, "a joint fit, or a part of one")
        .help("its tables are shared by several tensors; see `.tensors`, `.kl` and `.df` of the joint fit, or compare whole ones")
}
