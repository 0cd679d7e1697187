//! The arguments of a result: modes, levels, numbers, names of data.

use std::sync::Arc;

use super::FitResult;
use super::evaluate::Environment;
use crate::data::Tensor;
use crate::model::constant::{self, Constant, Names};
use crate::model::{Level, Mode, Scope};
use crate::run::Ensemble;
use crate::text::ast::{Argument, Expr, ExprKind};
use crate::text::{Code, Diagnostic, Span, suggest};

/// What has modes that arguments can name.
pub trait Spans {
    /// What it is called.
    fn title(&self) -> &str;
    /// Its modes.
    fn modes(&self) -> &[Mode];
}

impl Spans for FitResult {
    fn title(&self) -> &str {
        &self.name
    }
    fn modes(&self) -> &[Mode] {
        &self.fit.model.modes
    }
}

impl Spans for Ensemble {
    fn title(&self) -> &str {
        &self.model.name
    }
    fn modes(&self) -> &[Mode] {
        &self.model.modes
    }
}

/// What a method was called with.
pub struct Given<'a> {
    /// The arguments before the bar.
    pub arguments: &'a [Argument],
    /// The arguments after the bar.
    pub condition: &'a [Argument],
    /// The whole call.
    pub span: Span,
    /// How the method is called, for messages.
    pub usage: &'static str,
    /// Where names of data and params are looked up.
    pub environment: &'a dyn Environment,
}

impl Given<'_> {
    /// "Wrong arguments", with the usage as help.
    pub fn wrong(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Code::MBA105, message).at(self.span, "here").help(format!("write `{}`", self.usage))
    }

    /// The modes named by bare arguments, in the order given; groups in brackets are spread out.
    pub fn modes(&self, arguments: &[Argument], result: &dyn Spans) -> Result<Vec<usize>, Diagnostic> {
        let mut modes = Vec::new();
        for argument in arguments {
            if let Some(name) = &argument.name {
                return Err(self.wrong(format!("`{}` needs no level here", name.name)));
            }
            self.group(&argument.value, result, &mut modes)?;
        }
        let mut seen = std::collections::HashSet::new();
        if !modes.iter().all(|m| seen.insert(*m)) {
            return Err(self.wrong("a mode is named twice"));
        }
        Ok(modes)
    }

    /// The modes of one argument: a mode, or several in brackets.
    pub fn group(&self, expr: &Expr, result: &dyn Spans, modes: &mut Vec<usize>) -> Result<(), Diagnostic> {
        match &expr.kind {
            ExprKind::Tuple(items) | ExprKind::List(items) => {
                items.iter().try_for_each(|e| self.group(e, result, modes))
            }
            // a family stands for all its members
            ExprKind::Name(name) if result.modes().iter().all(|m| m.name != *name) => {
                let member = |m: &Mode| m.name.split_once('[').is_some_and(|(family, _)| family == name);
                let before = modes.len();
                modes.extend((0..result.modes().len()).filter(|m| member(&result.modes()[*m])));
                if modes.len() == before {
                    modes.push(self.mode(expr, result)?);
                }
                Ok(())
            }
            _ => {
                modes.push(self.mode(expr, result)?);
                Ok(())
            }
        }
    }

    /// The mode an expression names.
    pub fn mode(&self, expr: &Expr, result: &dyn Spans) -> Result<usize, Diagnostic> {
        let name = match &expr.kind {
            ExprKind::Name(name) => name.clone(),
            ExprKind::Index(base, indices) => match &base.kind {
                ExprKind::Name(name) => {
                    let indices = indices
                        .iter()
                        .map(|a| {
                            constant::number(&a.value, &Params(self.environment))
                                .map(crate::model::mode::number_label)
                        })
                        .collect::<Result<Vec<_>, _>>()?;
                    format!("{name}[{}]", indices.join(", "))
                }
                _ => return Err(self.wrong("a mode is expected")),
            },
            _ => return Err(self.wrong("a mode is expected")),
        };
        find_mode(&name, expr.span, result)
    }

    /// The levels chosen by named arguments `mode: level`.
    pub fn levels(
        &self,
        arguments: &[Argument],
        result: &dyn Spans,
    ) -> Result<Vec<(usize, usize)>, Diagnostic> {
        arguments
            .iter()
            .map(|argument| {
                let Some(name) = &argument.name else {
                    return Err(self.wrong("a level is expected, as in `a: x`"));
                };
                let mode = find_mode(&name.name, name.span, result)?;
                Ok((mode, self.level(&argument.value, mode, result)?))
            })
            .collect()
    }

    fn level(&self, expr: &Expr, mode: usize, result: &dyn Spans) -> Result<usize, Diagnostic> {
        let mode = &result.modes()[mode];
        find_level(expr, mode, self.environment)
    }

    /// A whole number argument.
    pub fn whole(&self, expr: &Expr, least: usize) -> Result<usize, Diagnostic> {
        constant::whole(expr, least, &Params(self.environment))
    }

    /// The arguments of a sample: how many records, and `seed: s`, by default that of the run.
    pub fn draws(&self) -> Result<(usize, u64), Diagnostic> {
        let (mut count, mut seed) = (None, self.environment.seed());
        for argument in self.arguments {
            match argument.name.as_ref().map(|n| n.name.as_str()) {
                None if count.is_none() => count = Some(self.whole(&argument.value, 1)?),
                Some("seed") => seed = self.whole(&argument.value, 0)? as u64,
                _ => return Err(self.wrong("these are not its arguments")),
            }
        }
        let count = count.ok_or_else(|| self.wrong("how many records?"))?;
        if count > u32::MAX as usize {
            return Err(self.wrong("a sample has at most 4 294 967 295 records"));
        }
        Ok((count, seed))
    }

    /// The data an argument names.
    pub fn tensor(&self, expr: &Expr) -> Result<Arc<Tensor>, Diagnostic> {
        let ExprKind::Name(name) = &expr.kind else { return Err(self.wrong("the name of data is expected")) };
        self.environment.tensor(name, expr.span)
    }
}

/// The position of a level in a mode, given by name or number.
pub fn find_level(
    expr: &Expr,
    mode: &crate::model::Mode,
    environment: &dyn Environment,
) -> Result<usize, Diagnostic> {
    let level = match &expr.kind {
        ExprKind::Name(name) | ExprKind::Text(name) => Level::Name(name.clone()),
        ExprKind::Truth(t) => Level::Name(t.to_string()),
        _ => match constant::evaluate(expr, &Params(environment))? {
            Constant::Number(x) => Level::Number(x),
            Constant::Text(t) => Level::Name(t),
            other => {
                return Err(Diagnostic::new(Code::MBA106, format!("{} is not a level", other.kind()))
                    .at(expr.span, "not a level")
                    .help(format!("name a level of `{}`", mode.name)));
            }
        },
    };
    if let Some(position) = mode.find(&level) {
        return Ok(position);
    }
    // a name that is no level may be a param whose value is one
    if let ExprKind::Name(name) = &expr.kind
        && let Some(Constant::Number(x)) = environment.param(name)
        && let Some(position) = mode.find(&Level::Number(x))
    {
        return Ok(position);
    }
    let labels: Vec<String> = (0..mode.size().min(1000)).map(|i| mode.label(i).into_owned()).collect();
    let label = level.label();
    let diagnostic = Diagnostic::new(Code::MBA101, format!("`{}` has no level `{label}`", mode.name));
    Err(match suggest::nearest(&label, labels.iter().map(String::as_str)) {
        Some(near) => {
            diagnostic.at(expr.span, format!("did you mean `{near}`?")).help(format!("write `{near}`"))
        }
        None => {
            let shown: Vec<&str> = labels.iter().take(12).map(String::as_str).collect();
            let more = if labels.len() > shown.len() { " …" } else { "" };
            diagnostic
                .at(expr.span, "unknown level")
                .help(format!("its levels are {}{more}", suggest::list(&shown)))
        }
    })
}

fn find_mode(name: &str, span: Span, result: &dyn Spans) -> Result<usize, Diagnostic> {
    let modes = result.modes();
    modes.iter().position(|m| m.name == name).ok_or_else(|| {
        let near = suggest::nearest(name, modes.iter().map(|m| m.name.as_str()));
        let names: Vec<&str> = modes.iter().map(|m| m.name.as_str()).take(20).collect();
        let help = format!("the modes of `{}` are {}", result.title(), suggest::list(&names));
        crate::model::declarations::unknown("mode", name, span, near, help)
    })
}

/// Modes over which a table of the fit is laid out, in the order asked for.
pub fn scope_of(modes: &[usize]) -> Scope {
    modes.iter().copied().collect()
}

/// The params of an environment as names.
pub struct Params<'a>(pub &'a dyn Environment);

impl Names for Params<'_> {
    fn lookup(&self, name: &str, _span: Span) -> Option<Result<Constant, Diagnostic>> {
        self.0.param(name).map(Ok)
    }
    fn known(&self) -> Vec<String> {
        self.0.param_names()
    }
}
