//! Calls and indices: functions of results, questions asked of them, and single cells.

use super::models::{of_ensembles, thermal, unknown_observable};
use super::names::unknown_result;
use super::operators::number;
use super::{Environment, Object, beyond, evaluate, object};
use crate::model::declarations::unknown;
use crate::model::{Mode, constant};
use crate::report::results::arguments::{Given, find_level};
use crate::report::results::balanced::{MEAN, mean, no_such_result, shared};
use crate::report::results::coefficients::out_of_reach;
use crate::report::results::ensemble::{QUESTIONS, TRANSFORMS};
use crate::report::results::joint::{OF, not_of_joint_fits, not_of_the_whole, which};
use crate::report::results::{FIELDS, FUNCTIONS, Fitted, METHODS, ensemble, estimates};
use crate::report::value::{Array, Value};
use crate::run::Ensemble;
use crate::text::ast::{Argument, Call, Expr, ExprKind, Ident};
use crate::text::{Code, Diagnostic, Span, suggest};

pub(super) fn call(
    callee: &Expr,
    arguments: &[Argument],
    condition: &[Argument],
    span: Span,
    environment: &dyn Environment,
) -> Result<Object, Diagnostic> {
    match &callee.kind {
        ExprKind::Field(base, name) => {
            let fit = match object(base, environment)? {
                Object::Fit(fit) => fit,
                Object::Joint(joint) => {
                    let tensors: Vec<String> = joint.parts.iter().map(|p| p.tensor.name.clone()).collect();
                    if name.name != OF.0 {
                        return Err(not_of_the_whole(&name.name, &joint.name, &tensors, name.span));
                    }
                    let wanted = which(&joint.name, &tensors, arguments, span)?;
                    let part = joint.parts.iter().find(|p| p.tensor.name == wanted);
                    return part.map(|p| Object::Fit(Box::new(p.clone()))).ok_or_else(|| {
                        Diagnostic::new(Code::MBA901, "a tensor that is not there").at(span, "here")
                    });
                }
                Object::Estimate(estimate) => {
                    return estimates::method(&estimate, name, arguments, span).map(Object::Value);
                }
                Object::Ensemble(ensemble) => {
                    return ask(&ensemble, name, arguments, condition, span, environment);
                }
                Object::Curve(curve) => {
                    let mut values = Vec::new();
                    for ensemble in curve.each() {
                        values.push(match ask(&ensemble, name, arguments, condition, span, environment)? {
                            Object::Value(value) => value,
                            _ => return Err(unknown_observable(&name.name, name.span, "a sweep")),
                        });
                    }
                    return Ok(Object::Value(curve.column(&name.name, values)));
                }
                Object::Balanced(balanced) => {
                    let given = |usage| Given { arguments, condition, span, usage, environment };
                    return match shared(&name.name) {
                        Some(method) => (method.call)(&balanced.fit, &given(method.usage)),
                        None if name.name == "mean" => mean(&balanced, &given(MEAN)),
                        None => Err(no_such_result(&name.name, name.span)),
                    }
                    .map(Object::Value);
                }
                _ => {
                    return Err(Diagnostic::new(Code::MBA102, format!("this has no `{}`", name.name))
                        .at(name.span, "not a fit")
                        .help("results are asked of fits, as in `f.kl`"));
                }
            };
            let found = METHODS.iter().find(|m| m.name == name.name);
            let conditioned = name.name == "mutual_information" && !condition.is_empty();
            let Some(method) = found.filter(|_| !conditioned) else {
                if FIELDS.iter().any(|f| f.name == name.name) {
                    return Err(takes_none(&name.name, span));
                }
                if asked_of_ensembles(&name.name) {
                    return ask(
                        &thermal(&fit, environment.limits(), span)?,
                        name,
                        arguments,
                        condition,
                        span,
                        environment,
                    );
                }
                return Err(unknown_result(&name.name, name.span));
            };
            if let Some(null) = beyond(&fit, method.name) {
                return Ok(Object::Value(null));
            }
            let given = Given { arguments, condition, span, usage: method.usage, environment };
            (method.call)(&fit, &given).map(Object::Value)
        }
        ExprKind::Name(name) if name == "kl" => {
            let [p, q] = arguments else { return Err(kl_usage(span)) };
            let side = |e: &Expr| match object(e, environment)? {
                Object::Fit(fit) => thermal(&fit, environment.limits(), e.span),
                Object::Ensemble(ensemble) => Ok(*ensemble),
                _ => Err(kl_usage(e.span)),
            };
            ensemble::kl(&side(&p.value)?, &side(&q.value)?, span).map(Object::Value)
        }
        ExprKind::Name(name) => {
            if environment.model_names().contains(name) {
                let call = Call {
                    name: Ident { name: name.clone(), span: callee.span },
                    arguments: arguments.to_vec(),
                    span,
                };
                return environment.ensemble(&call, &[]).map(|e| Object::Ensemble(Box::new(e)));
            }
            if let Some(function) = FUNCTIONS.iter().find(|f| f.name == *name) {
                let mut fits = Vec::new();
                for argument in arguments {
                    let whole = match object(&argument.value, environment)? {
                        Object::Joint(joint) => Fitted::Joint(joint),
                        Object::Fit(fit) => Fitted::One(fit),
                        _ => return Err(not_a_fit(name, function.usage, argument.value.span)),
                    };
                    if !function.joined.takes(&whole) {
                        return Err(not_of_joint_fits(name, argument.value.span));
                    }
                    if let Fitted::One(fit) = &whole
                        && out_of_reach(fit, name).is_some()
                    {
                        return Err(Diagnostic::new(
                            Code::MBA105,
                            format!("`{}` was fitted by pseudo-likelihood", fit.name),
                        )
                        .at(span, "its divergence and its distribution are not computed")
                        .help("name fits whose sums are exact"));
                    }
                    fits.push(whole);
                }
                return (function.call)(&fits, &environment.stop(), span).map(Object::Value);
            }
            let mut numbers = Vec::new();
            for argument in arguments {
                let value = evaluate(&argument.value, environment)?;
                numbers.push(number(&value, argument.value.span)?);
            }
            match constant::function(name, &numbers, span) {
                Some(result) => result.map(|x| Object::Value(Value::Number(x))),
                None => Err(unknown_function(name, callee.span)),
            }
        }
        _ => Err(unknown_function("this", callee.span)),
    }
}

pub(super) fn kl_usage(span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA105, "`kl` takes two models or fits").at(span, "here").help("write `kl(p, q)`")
}

/// Whether models with known energies have a result of this name, with arguments.
pub(super) fn asked_of_ensembles(name: &str) -> bool {
    QUESTIONS.iter().any(|q| q.name == name) || TRANSFORMS.iter().any(|(n, ..)| *n == name)
}

/// A result with arguments of a model with known energies.
pub(super) fn ask(
    ensemble: &Ensemble,
    name: &Ident,
    arguments: &[Argument],
    condition: &[Argument],
    span: Span,
    environment: &dyn Environment,
) -> Result<Object, Diagnostic> {
    if let Some(question) = QUESTIONS.iter().find(|q| q.name == name.name) {
        let given = Given { arguments, condition, span, usage: question.usage, environment };
        return (question.call)(ensemble, &given).map(Object::Value);
    }
    if let Some((_, usage, _)) = TRANSFORMS.iter().find(|(n, ..)| *n == name.name) {
        let given = Given { arguments, condition, span, usage, environment };
        return ensemble::transform(ensemble, &name.name, &given).map(|e| Object::Ensemble(Box::new(e)));
    }
    if of_ensembles(&name.name) {
        return Err(takes_none(&name.name, span));
    }
    Err(unknown_observable(&name.name, name.span, "a model with known energies"))
}

pub(super) fn takes_none(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA105, format!("`{name}` takes no arguments"))
        .at(span, "called here")
        .help(format!("write `.{name}`"))
}

pub(super) fn not_a_fit(name: &str, usage: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA106, format!("`{name}` takes fits"))
        .at(span, "not a fit")
        .help(format!("write `{usage}`"))
}

pub(super) fn unknown_function(name: &str, span: Span) -> Diagnostic {
    if name == "sample" {
        return Diagnostic::new(Code::MBA102, "`sample` belongs to data statements")
            .at(span, "not a result")
            .help("write `data x[a, b] = sample(model, n, seed: 1)`, or `f.sample(n)` for a fit");
    }
    let names = FUNCTIONS.iter().map(|f| f.name).chain(constant::function_names()).chain(["kl"]);
    let diagnostic = Diagnostic::new(Code::MBA102, format!("no function is called `{name}`"));
    match suggest::nearest(name, names) {
        Some(near) => diagnostic.at(span, format!("did you mean `{near}`?")).replace(
            span,
            near,
            format!("write `{near}`"),
        ),
        None => {
            let usages: Vec<&str> = FUNCTIONS.iter().map(|f| f.usage).collect();
            diagnostic
                .at(span, "unknown function")
                .help(format!("the functions of fits are {}", suggest::list(&usages)))
        }
    }
}

/// `array[mode: level, …]`: the slice at some levels.
pub(super) fn index(
    base: Value,
    arguments: &[Argument],
    span: Span,
    environment: &dyn Environment,
) -> Result<Value, Diagnostic> {
    let array = match base {
        Value::Array(array) => array,
        Value::Null(reason) => return Ok(Value::Null(reason)),
        _ => {
            return Err(Diagnostic::new(Code::MBA106, "this cannot be indexed")
                .at(span, "not an array")
                .help("an array is sliced as in `f.fitted[hair: Black]`"));
        }
    };
    let mut chosen: Vec<Option<usize>> = vec![None; array.modes.len()];
    for argument in arguments {
        let Some(name) = &argument.name else {
            return Err(Diagnostic::new(Code::MBA105, "an index names its mode")
                .at(argument.value.span, "of which mode?")
                .help("write `[mode: level]`"));
        };
        let Some(axis) = array.modes.iter().position(|m| m.name == name.name) else {
            let near = suggest::nearest(&name.name, array.modes.iter().map(|m| m.name.as_str()));
            return Err(unknown("mode", &name.name, name.span, near, "name a mode of the array".into()));
        };
        chosen[axis] = Some(find_level(&argument.value, &array.modes[axis], environment)?);
    }
    let sizes: Vec<usize> = array.modes.iter().map(Mode::size).collect();
    let kept: Vec<usize> = (0..sizes.len()).filter(|a| chosen[*a].is_none()).collect();
    let count: usize = kept.iter().map(|a| sizes[*a]).product();
    let strides = crate::model::table::strides(&sizes);
    let offset: usize = chosen.iter().zip(&strides).filter_map(|(c, s)| c.map(|level| level * s)).sum();
    let mut values = Vec::with_capacity(count);
    for flat in 0..count {
        let (mut rest, mut at) = (flat, offset);
        for axis in kept.iter().rev() {
            at += rest % sizes[*axis] * strides[*axis];
            rest /= sizes[*axis];
        }
        values.push(array.values[at]);
    }
    if kept.is_empty() {
        return Ok(Value::Number(values[0]));
    }
    let modes = kept.iter().map(|a| array.modes[*a].clone()).collect();
    Ok(Value::Array(Array { modes, values: values.into() }))
}
