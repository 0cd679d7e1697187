//! What can be said about an expression before anything runs.

use super::calls::{ask, asked_of_ensembles, kl_usage, not_a_fit, takes_none, unknown_function};
use super::models::{model_with, not_a_model, of_ensembles, temperature, unknown_observable};
use super::names::{TENSOR_FIELDS, unknown_name, unknown_result, unknown_tensor_field};
use super::{Environment, LAST, Object, object};
use crate::model::declarations::unknown;
use crate::model::{Mode, constant};
use crate::plan::summation::Carry;
use crate::report::results::arguments::{Given, find_level};
use crate::report::results::balanced::{BALANCE_FIELDS, no_such_result, shared};
use crate::report::results::ensemble::{OBSERVABLES, QUESTIONS, TRANSFORMS};
use crate::report::results::joint::{JOINT_FIELDS, OF, not_of_joint_fits, not_of_the_whole, which};
use crate::report::results::{FIELDS, FUNCTIONS, Function, Joined, METHODS, estimates};
use crate::text::ast::{Argument, Expr, ExprKind};
use crate::text::{Code, Diagnostic, Span, suggest};

// ---------------------------------------------------------------- before anything runs
/// Checks the names in an expression, as far as they are known before anything runs.
pub fn check(expr: &Expr, environment: &dyn Environment, diagnostics: &mut Vec<Diagnostic>) {
    match &expr.kind {
        ExprKind::Name(name) => {
            let fits = environment.fit_names();
            if !fits.contains(name)
                && !environment.tensor_names().contains(name)
                && !environment.curve_names().contains(name)
                && environment.param(name).is_none()
                && environment.model_names().contains(name)
            {
                check_ensemble(expr, None, environment, diagnostics);
                return;
            }
            let known = fits.contains(name)
                || (name == LAST && environment.last().is_some())
                || environment.curve_names().contains(name)
                || environment.balance_names().contains(name)
                || environment.estimate_names().contains(name)
                || environment.tensor_names().contains(name)
                || environment.param(name).is_some()
                || constant::builtin(name).is_some();
            if !known {
                diagnostics.push(unknown_name(name, expr.span, environment));
            }
        }
        ExprKind::Field(base, field) if is_ensemble(base, environment) => {
            let carry = match field.name.as_str() {
                "magnetization" | "susceptibility" | "total" => Carry::Total,
                "most_probable" => Carry::Least,
                "log_z" | "free_energy" => Carry::Weights,
                _ => Carry::Moments,
            };
            let errors = diagnostics.len();
            check_ensemble(base, Some(carry), environment, diagnostics);
            if diagnostics.len() == errors && !of_ensembles(&field.name) {
                diagnostics.push(unknown_observable(&field.name, field.span, "a model with known energies"));
            }
        }
        ExprKind::Field(base, field) => {
            check(base, environment, diagnostics);
            if part_of(base, environment).is_some() {
                if !FIELDS.iter().any(|f| f.name == field.name) && !of_ensembles(&field.name) {
                    diagnostics.push(unknown_result(&field.name, field.span));
                }
            } else if let ExprKind::Name(name) = &base.kind {
                if let Some(tensors) = environment.tensors_of(name) {
                    if !JOINT_FIELDS.iter().any(|f| f.name == field.name) {
                        diagnostics.push(not_of_the_whole(&field.name, name, &tensors, field.span));
                    }
                } else if environment.curve_names().contains(name) {
                    if !OBSERVABLES.iter().any(|o| o.name == field.name) {
                        diagnostics.push(unknown_observable(&field.name, field.span, "a sweep"));
                    }
                } else if environment.fit_names().contains(name) {
                    if !FIELDS.iter().any(|f| f.name == field.name) && !of_ensembles(&field.name) {
                        diagnostics.push(unknown_result(&field.name, field.span));
                    }
                } else if environment.balance_names().contains(name) {
                    if !BALANCE_FIELDS.iter().any(|f| f.name == field.name) {
                        diagnostics.push(no_such_result(&field.name, field.span));
                    }
                } else if environment.estimate_names().contains(name) {
                    diagnostics.extend(estimates::known(&field.name, field.span).err());
                } else if environment.tensor_names().contains(name)
                    && !TENSOR_FIELDS.iter().any(|(n, _)| *n == field.name)
                {
                    diagnostics.push(unknown_tensor_field(&field.name, field.span));
                }
            }
        }
        ExprKind::Call { callee, arguments, condition } => {
            check_call(callee, arguments, condition, expr.span, environment, diagnostics);
        }
        ExprKind::Index(base, arguments) => {
            check(base, environment, diagnostics);
            // an array over all modes of a fit is sliced at their levels
            if let ExprKind::Field(fit, field) = &base.kind
                && let ExprKind::Name(fit) = &fit.kind
                && ["fitted", "reconstruction", "residuals"].contains(&field.name.as_str())
            {
                check_modes(arguments, (fit, environment.modes_of(fit).as_deref()), environment, diagnostics);
            }
        }
        ExprKind::Unary(_, operand) => check(operand, environment, diagnostics),
        ExprKind::Binary(_, a, b) => {
            check(a, environment, diagnostics);
            check(b, environment, diagnostics);
        }
        ExprKind::If(a, b, c) => [a, b, c].into_iter().for_each(|e| check(e, environment, diagnostics)),
        ExprKind::With(base, settings) => {
            let (bottom, _) = model_with(base, settings);
            let fitted = matches!(&bottom.kind, ExprKind::Name(n) if environment.fit_names().contains(n));
            if fitted {
                let (_, all) = model_with(base, settings);
                match all.as_slice() {
                    [(name, value)] if name.name == "temperature" => {
                        diagnostics.extend(temperature(value, environment).err());
                    }
                    _ => diagnostics.push(not_a_model(bottom.span)),
                }
            } else {
                check_ensemble(expr, None, environment, diagnostics);
            }
        }
        ExprKind::At(base, t) => {
            diagnostics.extend(temperature(t, environment).err());
            check(base, environment, diagnostics);
            // `m.energy at 2` reads as the number at 2
            if matches!(base.kind, ExprKind::Field(..)) {
                diagnostics.push(not_a_model(base.span));
            }
        }
        ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Set(items) => {
            items.iter().for_each(|e| check(e, environment, diagnostics));
        }
        ExprKind::Number(_)
        | ExprKind::Percent(_)
        | ExprKind::Text(_)
        | ExprKind::Truth(_)
        | ExprKind::Nan
        | ExprKind::Missing => {}
    }
}

/// The tensor that `f.of(Y)` asks for, by its form.
fn part_of<'e>(expr: &'e Expr, environment: &dyn Environment) -> Option<&'e str> {
    let ExprKind::Call { callee, arguments, .. } = &expr.kind else { return None };
    let ExprKind::Field(base, method) = &callee.kind else { return None };
    let ExprKind::Name(name) = &base.kind else { return None };
    let tensors = environment.tensors_of(name).filter(|_| method.name == OF.0)?;
    which(name, &tensors, arguments, expr.span).ok()
}

/// Whether an expression is a model with known energies, by its form.
pub(super) fn is_ensemble(expr: &Expr, environment: &dyn Environment) -> bool {
    match &expr.kind {
        ExprKind::Name(name) => {
            environment.model_names().contains(name)
                && !environment.fit_names().contains(name)
                && !environment.tensor_names().contains(name)
                && !environment.curve_names().contains(name)
                && environment.param(name).is_none()
        }
        ExprKind::Call { callee, .. } => match &callee.kind {
            ExprKind::Name(name) => environment.model_names().contains(name),
            ExprKind::Field(base, name) => {
                TRANSFORMS.iter().any(|(n, ..)| *n == name.name) && is_ensemble(base, environment)
            }
            _ => false,
        },
        ExprKind::With(base, settings) => {
            let (bottom, _) = model_with(base, settings);
            is_ensemble(bottom, environment)
        }
        ExprKind::At(base, _) => is_ensemble(base, environment),
        _ => false,
    }
}

/// Checks that a model has a distribution of its own, and that a sum over its cells is within reach. What is
/// asked of a transformed model is only checked as far as the model itself.
pub(super) fn check_ensemble(
    expr: &Expr,
    carry: Option<Carry>,
    environment: &dyn Environment,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if let ExprKind::Call { callee, arguments, condition } = &expr.kind
        && let ExprKind::Field(base, name) = &callee.kind
    {
        let errors = diagnostics.len();
        check_ensemble(base, None, environment, diagnostics);
        if diagnostics.len() == errors
            && let Ok(Object::Ensemble(ensemble)) = object(base, environment)
            && let Err(diagnostic) =
                ask(&ensemble, name, arguments, condition, expr.span, environment).map(|_| ())
        {
            diagnostics.push(diagnostic);
        }
        return;
    }
    match object(expr, environment) {
        Ok(Object::Ensemble(ensemble)) => {
            if let Some(carry) = carry {
                let planned = ensemble.plan(carry, &crate::model::Scope::empty());
                diagnostics.extend(planned.err().map(|d| *d));
            }
        }
        Ok(_) => {}
        Err(diagnostic) => {
            if !diagnostics.contains(&diagnostic) {
                diagnostics.push(diagnostic);
            }
        }
    }
}

/// Checks that arguments name modes of a fit, before a colon or bare, and levels of those modes.
pub(super) fn check_modes(
    arguments: &[Argument],
    (fit, modes): (&str, Option<&[Mode]>),
    environment: &dyn Environment,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Some(modes) = modes else { return };
    let labels: Vec<&str> = modes.iter().map(|m| m.name.as_str()).collect();
    for argument in arguments {
        let mut names = Vec::new();
        match &argument.name {
            Some(name) => names.push((name.name.clone(), name.span)),
            None => crate::model::elaborate::names_in(&argument.value, &mut names),
        }
        for (name, span) in names {
            let is_family = labels.iter().any(|m| m.split('[').next() == Some(&name));
            if let Some(mode) = modes.iter().find(|m| m.name == name) {
                if argument.name.is_some() {
                    diagnostics.extend(find_level(&argument.value, mode, environment).err());
                }
            } else if !is_family {
                let near = suggest::nearest(&name, labels.iter().copied());
                let help = format!("the modes of `{fit}` are {}", suggest::list(&labels));
                diagnostics.push(unknown("mode", &name, span, near, help));
            }
        }
    }
}

pub(super) fn check_call(
    callee: &Expr,
    arguments: &[Argument],
    condition: &[Argument],
    span: Span,
    environment: &dyn Environment,
    diagnostics: &mut Vec<Diagnostic>,
) {
    match &callee.kind {
        ExprKind::Field(base, method) if is_ensemble(base, environment) => {
            let errors = diagnostics.len();
            check_ensemble(base, None, environment, diagnostics);
            let usage = QUESTIONS.iter().find(|q| q.name == method.name).map(|q| q.usage);
            let transforms = TRANSFORMS.iter().any(|(n, ..)| *n == method.name);
            match usage {
                _ if diagnostics.len() > errors => {}
                None if transforms => {}
                None if of_ensembles(&method.name) => diagnostics.push(takes_none(&method.name, span)),
                None => diagnostics.push(unknown_observable(
                    &method.name,
                    method.span,
                    "a model with known energies",
                )),
                Some(usage) => {
                    if let Ok(Object::Ensemble(ensemble)) = object(base, environment) {
                        let given = Given { arguments, condition, span, usage, environment };
                        let named = ["mean", "variance", "covariance", "correlation", "sample"];
                        if !named.contains(&method.name.as_str()) {
                            for argument in arguments.iter().chain(condition) {
                                let list = std::slice::from_ref(argument);
                                diagnostics.extend(match argument.name {
                                    Some(_) => given.levels(list, &*ensemble).err(),
                                    None => given.modes(list, &*ensemble).err(),
                                });
                            }
                        }
                    }
                }
            }
        }
        ExprKind::Field(base, method) => {
            check(base, environment, diagnostics);
            if let ExprKind::Name(curve) = &base.kind
                && environment.curve_names().contains(curve)
                && !environment.fit_names().contains(curve)
            {
                if !QUESTIONS.iter().any(|q| q.name == method.name) {
                    diagnostics.push(unknown_observable(&method.name, method.span, "a sweep"));
                }
                return;
            }
            let part = part_of(base, environment);
            let fit = match (&base.kind, part) {
                (_, Some(tensor)) => tensor,
                (ExprKind::Name(fit), None) => fit.as_str(),
                _ => return,
            };
            if let (Some(tensors), None) = (environment.tensors_of(fit), part) {
                diagnostics.extend(if method.name == OF.0 {
                    which(fit, &tensors, arguments, span).err()
                } else {
                    Some(not_of_the_whole(&method.name, fit, &tensors, method.span))
                });
                return;
            }
            if environment.balance_names().iter().any(|b| b == fit)
                && part.is_none()
                && shared(&method.name).is_none()
                && method.name != "mean"
            {
                diagnostics.push(no_such_result(&method.name, method.span));
            }
            if part.is_none() && !environment.fit_names().iter().any(|f| f == fit) {
                return;
            }
            let Some(found) = METHODS.iter().find(|m| m.name == method.name) else {
                if asked_of_ensembles(&method.name) {
                    return;
                }
                diagnostics.push(if FIELDS.iter().any(|f| f.name == method.name) {
                    takes_none(&method.name, span)
                } else {
                    unknown_result(&method.name, method.span)
                });
                return;
            };
            // the methods of probabilities name modes, either before a colon or bare
            let about_modes =
                ["marginal", "conditional", "probability", "mutual_information"].contains(&found.name);
            if about_modes {
                let modes = match part {
                    Some(tensor) => environment.modes_of_tensor(tensor),
                    None => environment.modes_of(fit),
                };
                check_modes(arguments, (fit, modes.as_deref()), environment, diagnostics);
                check_modes(condition, (fit, modes.as_deref()), environment, diagnostics);
            }
            if found.name == "mutual_information" && arguments.len() != 2 {
                diagnostics.push(
                    Diagnostic::new(Code::MBA105, "two modes are expected")
                        .at(span, "here")
                        .help(format!("write `{}`", found.usage)),
                );
            }
        }
        ExprKind::Name(name) if name == "kl" => {
            if arguments.len() != 2 {
                diagnostics.push(kl_usage(span));
            }
            arguments.iter().for_each(|a| check(&a.value, environment, diagnostics));
        }
        ExprKind::Name(name) if environment.model_names().contains(name) => {
            let whole = Expr {
                kind: ExprKind::Call {
                    callee: Box::new(callee.clone()),
                    arguments: arguments.to_vec(),
                    condition: condition.to_vec(),
                },
                span,
            };
            check_ensemble(&whole, None, environment, diagnostics);
        }
        ExprKind::Name(name) => {
            let function = FUNCTIONS.iter().find(|f| f.name == *name);
            if function.is_none() && !constant::function_names().any(|f| f == name) {
                diagnostics.push(unknown_function(name, callee.span));
            }
            for argument in arguments {
                let errors = diagnostics.len();
                check(&argument.value, environment, diagnostics);
                let whole =
                    matches!(&argument.value.kind, ExprKind::Name(n) if environment.tensors_of(n).is_some());
                let part = part_of(&argument.value, environment).is_some();
                let refused =
                    |f: &Function| whole && f.joined == Joined::Nothing || part && f.joined != Joined::Parts;
                if function.is_some_and(refused) {
                    diagnostics.push(not_of_joint_fits(name, argument.value.span));
                    continue;
                }
                if let (Some(function), ExprKind::Name(fit)) = (function, &argument.value.kind)
                    && diagnostics.len() == errors
                    && fit != LAST
                    && !environment.fit_names().contains(fit)
                {
                    diagnostics.push(not_a_fit(name, function.usage, argument.value.span));
                }
            }
        }
        _ => diagnostics.push(unknown_function("this", callee.span)),
    }
}
