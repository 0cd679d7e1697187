//! The options and clauses of a fit.

use crate::model::constant;
use crate::model::declarations::Declarations;
use crate::plan::method;
use crate::run::Control;
use crate::text::ast::{Fit, FitOption, OptionValue};
use crate::text::{Code, Diagnostic, suggest};

/// The options of a fit: name, and what it is for.
const OPTIONS: &[(&str, &str)] = &[
    ("tolerance", "the marginal gap at which a fit ends"),
    ("max_sweeps", "the most sweeps it may make"),
    ("seed", "the seed of what is random"),
    ("hold_out", "cells to keep from the fit and to measure it by"),
];

/// Options of the language that belong to methods this version does not have.
const LATER: &[&str] = &["restarts", "anneal"];

/// The names of the options of a fit.
pub(super) fn option_names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(name, _)| *name)
}

/// What the options and clauses of a fit say, and what is wrong with them.
pub(super) fn control(fit: &Fit, seed: &mut u64, declarations: &Declarations) -> (Control, Vec<Diagnostic>) {
    let mut control = Control::default();
    let mut diagnostics = Vec::new();
    if let Some(method) = &fit.method {
        match method.name.as_str() {
            "blocks" | "ltr" => {
                diagnostics.push(crate::model::unsupported(&format!("`by {}`", method.name), method.span));
            }
            name => diagnostics.extend(method::find(name, method.span).err()),
        }
    }
    diagnostics.extend(repeated(&fit.options));
    for option in &fit.options {
        if let Err(diagnostic) = apply(option, (&mut control, seed), declarations) {
            diagnostics.push(diagnostic);
        }
    }
    (control, diagnostics)
}

/// A report for each option that is written again: only one of the two could count.
pub(super) fn repeated(options: &[FitOption]) -> Vec<Diagnostic> {
    let again = options.iter().enumerate().filter_map(|(k, option)| {
        let name = &option.name.name;
        let first = options[..k].iter().find(|o| o.name.name == *name)?;
        let condition = |o: &FitOption| matches!(o.values.as_slice(), [OptionValue::Where(_)]);
        let help = match condition(option) && condition(first) {
            true => "join the conditions by `or`: `hold_out where a == 0 or b == 1`",
            false => "keep one of them",
        };
        let report = Diagnostic::new(Code::MBA105, format!("the option `{name}` is given twice"));
        Some(report.at(option.span, "given again").at(first.span, "first given here").help(help))
    });
    again.collect()
}

pub(super) fn apply(
    option: &FitOption,
    (control, seed): (&mut Control, &mut u64),
    declarations: &Declarations,
) -> Result<(), Diagnostic> {
    let name = option.name.name.as_str();
    if LATER.contains(&name) {
        return Err(crate::model::unsupported(&format!("`{name}`"), option.span));
    }
    if !OPTIONS.iter().any(|(n, _)| *n == name) {
        let report = Diagnostic::new(Code::MBA102, format!("a fit has no option `{name}`"));
        let names = OPTIONS.iter().map(|(n, _)| *n).chain(LATER.iter().copied());
        return Err(suggest::instead(report, (name, option.name.span), names, ("option", ""), || {
            let list: Vec<String> = OPTIONS.iter().map(|(n, about)| format!("`{n}` ({about})")).collect();
            format!("the options are {}", list.join(", "))
        }));
    }
    // it needs the data, and is read where they are known
    if name == "hold_out" {
        return Ok(());
    }
    let [OptionValue::Value(value)] = option.values.as_slice() else {
        return Err(Diagnostic::new(Code::MBA105, format!("`{name}` takes one number"))
            .at(option.span, "here")
            .help(format!("write `{name} 1e-9`")));
    };
    match name {
        "tolerance" => {
            let x = constant::number(value, &declarations.names())?;
            if !(x > 0.0 && x < 1.0) {
                return Err(Diagnostic::new(Code::MBA105, format!("a tolerance of {x}"))
                    .at(value.span, "must lie between 0 and 1")
                    .help("it is relative to the largest cell of each marginal; the default is 1e-9"));
            }
            control.tolerance = x;
        }
        "max_sweeps" => control.max_sweeps = constant::whole(value, 1, &declarations.names())?,
        _ => *seed = constant::whole(value, 0, &declarations.names())? as u64,
    }
    Ok(())
}
