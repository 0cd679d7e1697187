//! Expressions over results: checked before anything runs, evaluated after.

mod calls;
mod check;
mod models;
mod names;
mod operators;

use std::sync::Arc;

use self::calls::{call, index};
pub use self::check::check;
use self::models::{
    called, ensemble_field, model_with, not_a_model, of_ensembles, temperature, unknown_observable,
};
pub use self::models::{evaluate_ensemble, thermal, unwrap_model};
pub use self::names::tensor_fields;
use self::names::{column, named, part, tensor_field, unknown_result};
use self::operators::{binary, truth, unary};
pub use self::operators::{kind, number};
use crate::data::Tensor;
use crate::model::constant::Constant;
use crate::model::{Mode, Scope, constant};
use crate::report::results::arguments::Params;
use crate::report::results::balanced::{BALANCE_FIELDS, BalanceResult, balance_summary, no_such_result};
use crate::report::results::coefficients::out_of_reach;
use crate::report::results::completion;
use crate::report::results::estimates::EstimateResult;
use crate::report::results::joint::{JOINT_FIELDS, JointResult, joint_summary, not_of_the_whole, shared};
use crate::report::results::{Curve, FIELDS, FitResult, ensemble, estimates, summary};
use crate::report::value::{Array, Value};
use crate::run::{Ensemble, Limits, Patience, Stop};
use crate::text::ast::{Call, Expr, ExprKind, Ident};
use crate::text::{Code, Diagnostic, Span};

/// Where the names in an expression get their meaning.
pub trait Environment {
    /// The fit of this name.
    fn fit(&self, name: &str) -> Option<FitResult>;
    /// The joint fit of this name.
    fn joint(&self, _name: &str) -> Option<JointResult> {
        None
    }
    /// The tensors of the joint fit of this name that is there, or will be.
    fn tensors_of(&self, _joint: &str) -> Option<Vec<String>> {
        None
    }
    /// The modes of data, when they are known.
    fn modes_of_tensor(&self, _tensor: &str) -> Option<Vec<Mode>> {
        None
    }
    /// The balanced tensor of this name.
    fn balanced(&self, name: &str) -> Option<BalanceResult>;
    /// The names of all balanced tensors that are there, or will be.
    fn balance_names(&self) -> Vec<String>;
    /// The names of all fits that are there, or will be.
    fn fit_names(&self) -> Vec<String>;
    /// The tensor of this name, read when it is first needed.
    fn tensor(&self, name: &str, span: Span) -> Result<Arc<Tensor>, Diagnostic>;
    /// The names of all tensors.
    fn tensor_names(&self) -> Vec<String>;
    /// The value of a param.
    fn param(&self, name: &str) -> Option<Constant>;
    /// The names of all params.
    fn param_names(&self) -> Vec<String>;
    /// The modes a fit is over, when they are known.
    fn modes_of(&self, fit: &str) -> Option<Vec<Mode>>;
    /// The seed of everything random that names none.
    fn seed(&self) -> u64;
    /// What `_` stands for; nothing in a file.
    fn last(&self) -> Option<Object> {
        None
    }
    /// The estimate of this name, once it has run.
    fn estimate(&self, _name: &str) -> Option<EstimateResult> {
        None
    }
    /// The names of all estimates that are there, or will be.
    fn estimate_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// The names of all models.
    fn model_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// A model, or a template with its arguments, as a distribution of its own, with params set.
    fn ensemble(&self, model: &Call, _settings: &[(Ident, f64)]) -> Result<Ensemble, Diagnostic> {
        Err(crate::model::unsupported("models in results", model.span))
    }
    /// The sweep of this name, once it has run.
    fn curve(&self, _name: &str) -> Option<Curve> {
        None
    }
    /// The names of all sweeps that are there, or will be.
    fn curve_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// What exact sums may take.
    fn limits(&self) -> Limits {
        Limits { memory: crate::plan::Options::default().memory, patience: Patience::default() }
    }
    /// The wish to stop that fits made for a result listen to.
    fn stop(&self) -> Stop {
        Stop::default()
    }
}

/// The name of the last result at a prompt.
pub const LAST: &str = "_";

/// What an expression can stand for on the way to a value.
#[derive(Debug, Clone)]
pub enum Object {
    /// A value.
    Value(Value),
    /// A fit, whose results can be asked for.
    Fit(Box<FitResult>),
    /// A fit to several tensors.
    Joint(Box<JointResult>),
    /// A balanced tensor.
    Balanced(Box<BalanceResult>),
    /// Data.
    Tensor(Arc<Tensor>),
    /// An estimate.
    Estimate(Box<EstimateResult>),
    /// A model with known energies.
    Ensemble(Box<Ensemble>),
    /// A sweep.
    Curve(Box<Curve>),
}

/// The value of an expression.
pub fn evaluate(expr: &Expr, environment: &dyn Environment) -> Result<Value, Diagnostic> {
    object(expr, environment)?.value(expr)
}

/// A dense tensor of at most this many cells is shown cell by cell.
const MAX_SHOWN: usize = 1 << 20;

impl Object {
    /// A value to show: the summary of a fit, the cells of data.
    ///
    /// Data too large to show are an error.
    pub fn value(self, expr: &Expr) -> Result<Value, Diagnostic> {
        match self {
            Object::Value(value) => Ok(value),
            Object::Fit(fit) => Ok(summary(&fit)),
            Object::Joint(joint) => Ok(joint_summary(&joint)),
            Object::Ensemble(ensemble) => ensemble::summary(&ensemble),
            Object::Curve(curve) => curve.table(),
            Object::Balanced(balanced) => Ok(balance_summary(&balanced)),
            Object::Estimate(estimate) => Ok(estimates::summary(&estimate)),
            Object::Tensor(tensor) => match cells(&tensor) {
                Some(array) => Ok(Value::Array(array)),
                None => Err(Diagnostic::new(Code::MBA504, format!("`{}` is too large to show", tensor.name))
                    .at(expr.span, format!("{} cells", tensor.cells()))
                    .help("show its `total`, or a marginal of a fit")),
            },
        }
    }
}

/// Every cell of a tensor, when there are not too many.
fn cells(tensor: &Tensor) -> Option<Array> {
    let sizes: Vec<usize> = tensor.modes.iter().map(Mode::size).collect();
    let count = sizes.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).filter(|n| *n <= MAX_SHOWN)?;
    let mut values = vec![0.0; count];
    tensor.each_cell(|cell, x| {
        values[cell.iter().zip(&sizes).fold(0, |k, (i, n)| k * n + i)] = x;
    });
    if let Some(seen) = tensor.mask.as_ref().and_then(|m| m.over(&Scope::all(sizes.len()), &sizes)) {
        values.iter_mut().zip(seen.iter()).filter(|(_, seen)| !**seen).for_each(|(x, _)| *x = f64::NAN);
    }
    Some(Array { modes: tensor.modes.clone(), values: values.into() })
}

/// What an expression stands for, before a fit or data are made a value to show.
pub fn object(expr: &Expr, environment: &dyn Environment) -> Result<Object, Diagnostic> {
    let value = match &expr.kind {
        ExprKind::Number(x) | ExprKind::Percent(x) => Value::Number(*x),
        ExprKind::Text(t) => Value::Text(t.clone()),
        ExprKind::Truth(t) => Value::Truth(*t),
        ExprKind::Nan => Value::Number(f64::NAN),
        ExprKind::Missing => Value::Null("missing".into()),
        ExprKind::Name(name) => return named(name, expr.span, environment),
        ExprKind::Unary(op, operand) => unary(*op, &evaluate(operand, environment)?, operand.span)?,
        ExprKind::Binary(op, left, right) => {
            binary(*op, (left, evaluate(left, environment)?), (right, evaluate(right, environment)?))?
        }
        ExprKind::If(condition, then, otherwise) => {
            let holds = truth(&evaluate(condition, environment)?, condition.span)?;
            return object(if holds { then } else { otherwise }, environment);
        }
        ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Set(items) => {
            Value::List(items.iter().map(|e| evaluate(e, environment)).collect::<Result<_, _>>()?)
        }
        ExprKind::Field(base, name) => match object(base, environment)? {
            Object::Fit(fit) => match FIELDS.iter().find(|f| f.name == name.name) {
                Some(field) => beyond(&fit, field.name).unwrap_or_else(|| (field.read)(&fit)),
                None if of_ensembles(&name.name) => {
                    ensemble_field(&thermal(&fit, environment.limits(), name.span)?, &name.name, name.span)?
                }
                None => return Err(unknown_result(&name.name, name.span)),
            },
            Object::Ensemble(ensemble) => ensemble_field(&ensemble, &name.name, name.span)?,
            Object::Curve(curve) => match curve.observable(&name.name) {
                Some(values) => curve.column(&name.name, values?),
                None => return Err(unknown_observable(&name.name, name.span, "a sweep")),
            },
            Object::Joint(joint) => match JOINT_FIELDS.iter().find(|f| f.name == name.name) {
                Some(field) => (field.read)(&joint),
                None => {
                    let tensors: Vec<String> = joint.parts.iter().map(|p| p.tensor.name.clone()).collect();
                    return Err(not_of_the_whole(&name.name, &joint.name, &tensors, name.span));
                }
            },
            Object::Balanced(balanced) => match BALANCE_FIELDS.iter().find(|f| f.name == name.name) {
                Some(field) => (field.read)(&balanced),
                None => return Err(no_such_result(&name.name, name.span)),
            },
            Object::Estimate(estimate) => estimates::field(&estimate, &name.name, name.span)?,
            Object::Tensor(tensor) => tensor_field(&tensor, &name.name, name.span)?,
            Object::Value(Value::Record(parts)) => part(&parts, &name.name, name.span)?,
            Object::Value(Value::Table(rows)) => column(&rows, &name.name, name.span)?,
            // where nothing was held out there is nothing to take a part of, and the reason is that of the whole
            Object::Value(Value::Null(why))
                if matches!(&base.kind, ExprKind::Field(_, f) if f.name == "held_out")
                    && (completion::HELD_OUT.contains(&name.name.as_str()) || name.name == "tensors") =>
            {
                Value::Null(why)
            }
            Object::Value(_) => {
                return Err(Diagnostic::new(Code::MBA102, format!("this has no `{}`", name.name))
                    .at(name.span, "not a fit")
                    .help("results are asked of fits, as in `f.kl`"));
            }
        },
        ExprKind::Call { callee, arguments, condition } => {
            return call(callee, arguments, condition, expr.span, environment);
        }
        ExprKind::Index(base, arguments) => {
            index(evaluate(base, environment)?, arguments, expr.span, environment)?
        }
        ExprKind::With(base, settings) => {
            let (base, mut all) = model_with(base, settings);
            let fit = match &base.kind {
                ExprKind::Name(name) => environment.fit(name),
                _ => None,
            };
            if let (Some(fit), [(name, value)]) = (&fit, all.as_slice())
                && name.name == "temperature"
            {
                let t = temperature(value, environment)?;
                return Ok(Object::Ensemble(Box::new(
                    thermal(fit, environment.limits(), expr.span)?.at(vec![t]),
                )));
            }
            let call = called(base).filter(|_| fit.is_none()).ok_or_else(|| not_a_model(base.span))?;
            let values = all
                .drain(..)
                .map(|(name, value)| Ok((name.clone(), constant::number(value, &Params(environment))?)))
                .collect::<Result<Vec<_>, Diagnostic>>()?;
            return environment.ensemble(&call, &values).map(|e| Object::Ensemble(Box::new(e)));
        }
        ExprKind::At(base, t) => {
            let t = temperature(t, environment)?;
            let ensemble = match object(base, environment)? {
                Object::Fit(fit) => thermal(&fit, environment.limits(), expr.span)?,
                Object::Ensemble(ensemble) => *ensemble,
                _ => return Err(not_a_model(base.span)),
            };
            return Ok(Object::Ensemble(Box::new(ensemble.at(vec![t]))));
        }
    };
    Ok(Object::Value(value))
}

/// Null, with the reason, for what cannot be had of a fit: sums over all cells that were never taken, or
/// that need cells which the observed ones do not determine.
fn beyond(fit: &FitResult, name: &str) -> Option<Value> {
    let open = || completion::WHOLE.contains(&name).then(|| completion::gaps(fit)).flatten();
    out_of_reach(fit, name).or_else(|| shared(fit, name)).or_else(|| open().map(Value::Null))
}
