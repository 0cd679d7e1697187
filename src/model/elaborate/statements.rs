//! Statements about the whole model: its algebra, ties, priors, smoothness, cells that cannot occur.

use std::sync::Arc;

use super::Elaboration;
use super::names::{Context, names_in, not_a_mode};
use crate::model::constant::{self, Constant};
use crate::model::energy::{Algebra, Forbidden};
use crate::model::family::Family;
use crate::model::mode::Order;
use crate::model::regular::{Prior, Smooth, Strength, Tie};
use crate::model::scope::Scope;
use crate::model::table::Table;
use crate::text::ast::{Call, Expr, ExprKind, InteractionTerm, ModeRef};
use crate::text::{Code, Diagnostic, Span};

impl Elaboration<'_> {
    pub(super) fn algebra_of(&self, expr: &Expr) -> Result<Algebra, Diagnostic> {
        let wrong = || {
            Diagnostic::new(Code::MBA306, "unknown algebra")
                .at(expr.span, "not an algebra")
                .help("write `ordinary`, `tsallis(q)` or `kaniadakis(k)`")
        };
        match &expr.kind {
            ExprKind::Name(name) if name == "ordinary" => Ok(Algebra::Ordinary),
            ExprKind::Call { callee, arguments, .. } => {
                let (ExprKind::Name(name), [argument]) = (&callee.kind, arguments.as_slice()) else {
                    return Err(wrong());
                };
                let x = constant::number(&argument.value, &Context { work: self, cell: None })?;
                match name.as_str() {
                    "tsallis" => Ok(Algebra::Tsallis(x)),
                    "kaniadakis" => Ok(Algebra::Kaniadakis(x)),
                    _ => Err(wrong()),
                }
            }
            _ => Err(wrong()),
        }
    }

    pub(super) fn tie(&mut self, a: &InteractionTerm, b: &InteractionTerm, span: Span) {
        if self.scope(a).is_none() || self.scope(b).is_none() {
            return;
        }
        let (Some(left), Some(right)) = (self.mode_list(&a.modes), self.mode_list(&b.modes)) else { return };
        let sizes = |list: &[usize]| list.iter().map(|m| self.modes[*m].size()).collect::<Vec<_>>();
        if sizes(&left) != sizes(&right) {
            let shape = |list: &[usize]| {
                let sizes: Vec<String> = sizes(list).iter().map(usize::to_string).collect();
                sizes.join(" × ")
            };
            self.diagnostics.push(
                Diagnostic::new(Code::MBA372, "tables of different shapes cannot be one")
                    .at(a.span, shape(&left))
                    .at(b.span, shape(&right))
                    .help("tie interactions whose modes have the same numbers of levels, in the same order"),
            );
            return;
        }
        self.regular.ties.push(Tie { left, right, span });
    }

    pub(super) fn prior(&mut self, strength: &Expr, toward: Option<&Call>, span: Span) {
        let wrong = |what: String, at: Span| {
            Diagnostic::new(Code::MBA373, what)
                .at(at, "here")
                .help("write `prior 5% toward M`, `prior 100 toward M` or `prior auto toward M`")
        };
        let Some(toward) = toward else {
            self.diagnostics.push(wrong("a prior needs a model to lean to".into(), span));
            return;
        };
        let name = &toward.name.name;
        if !self.declarations.models.contains_key(name) && Family::find(name).is_none() {
            let help = format!("declare it: `model {name} {{ … }}`");
            let missing = self.declarations.no_family("model or family", name, toward.name.span, help);
            self.diagnostics.push(missing);
            return;
        }
        if self.regular.prior.is_some() {
            self.diagnostics.push(wrong("a model has one prior".into(), span));
            return;
        }
        let strength = match &strength.kind {
            ExprKind::Name(name) if name == "auto" => Ok(Strength::Auto),
            ExprKind::Percent(x) => Ok(Strength::Share(*x)),
            _ => constant::number(strength, &Context { work: self, cell: None }).map(Strength::Mass),
        };
        match strength {
            Ok(Strength::Mass(x) | Strength::Share(x)) if !(x > 0.0 && x.is_finite()) => {
                let what = if x == f64::INFINITY { "finite" } else { "positive" };
                self.diagnostics.push(wrong(format!("the strength of a prior is {what}"), span));
            }
            Ok(strength) => {
                let (toward, label) = self.leaned(toward);
                self.regular.prior = Some(Prior { strength, toward, label, span });
            }
            Err(diagnostic) => self.diagnostics.push(diagnostic),
        }
    }

    /// A call with the numbers that its arguments stand for here, and how it is shown.
    fn leaned(&self, toward: &Call) -> (Call, String) {
        let mut settled = toward.clone();
        let mut shown = Vec::new();
        for argument in &mut settled.arguments {
            let value = constant::evaluate(&argument.value, &Context { work: self, cell: None });
            let text = match &value {
                Ok(Constant::Number(x)) => {
                    argument.value.kind = ExprKind::Number(*x);
                    crate::model::mode::number_label(*x)
                }
                Ok(Constant::Mode(m)) => self.modes[*m].name.clone(),
                Ok(other) => other.to_string(),
                Err(_) => "…".into(),
            };
            shown.push(match &argument.name {
                Some(name) => format!("{}: {text}", name.name),
                None => text,
            });
        }
        let name = &toward.name.name;
        let label = if shown.is_empty() { name.clone() } else { format!("{name}({})", shown.join(", ")) };
        (settled, label)
    }

    pub(super) fn smooth(
        &mut self,
        interaction: &InteractionTerm,
        along: &ModeRef,
        strength: &Expr,
        span: Span,
    ) {
        let Some(scope) = self.scope(interaction) else { return };
        let mode = match self.resolve(along) {
            Ok(Constant::Mode(mode)) => mode,
            Ok(other) => return self.diagnostics.push(not_a_mode(&other, along.span)),
            Err(diagnostic) => return self.diagnostics.push(diagnostic),
        };
        let name = self.modes[mode].name.clone();
        if !scope.contains(mode) {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA371, format!("mode `{name}` is not in this interaction"))
                    .at(along.span, "smooth along this")
                    .at(interaction.span, "does not have it")
                    .help("name one of the modes in the brackets"),
            );
            return;
        }
        if self.modes[mode].order == Order::Nominal {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA371, format!("the levels of `{name}` have no neighbours"))
                    .at(along.span, "in no particular order")
                    .help(format!("declare it `ordered` or `cyclic`: `mode {name}: … ordered`")),
            );
            return;
        }
        match constant::number(strength, &Context { work: self, cell: None }) {
            Ok(s) if s > 0.0 && s.is_finite() => {
                self.regular.smooth.push(Smooth { scope, along: mode, strength: s, span });
            }
            Ok(_) => self.diagnostics.push(
                Diagnostic::new(Code::MBA371, "the strength of a smoothness is a positive number")
                    .at(strength.span, "here")
                    .help("it multiplies half the sum of squared differences of neighbours"),
            ),
            Err(diagnostic) => self.diagnostics.push(diagnostic),
        }
    }

    /// `given a = x`: the other levels of the mode cannot occur.
    pub(super) fn given(&mut self, reference: &ModeRef, expr: &Expr) {
        let mode = match self.resolve(reference) {
            Ok(Constant::Mode(mode)) => mode,
            Ok(other) => return self.diagnostics.push(not_a_mode(&other, reference.span)),
            Err(diagnostic) => return self.diagnostics.push(diagnostic),
        };
        let level = match &expr.kind {
            // a word is a level before it is a param
            ExprKind::Name(name)
                if self.modes[mode].find(&crate::model::mode::Level::Name(name.clone())).is_some() =>
            {
                Ok(Constant::Text(name.clone()))
            }
            _ => constant::evaluate(expr, &Context { work: self, cell: None }),
        };
        let found = match level {
            Ok(Constant::Number(x)) => self.modes[mode].find(&crate::model::mode::Level::Number(x)),
            Ok(Constant::Text(t)) => self.modes[mode].find(&crate::model::mode::Level::Name(t)),
            Ok(_) => None,
            Err(diagnostic) => return self.diagnostics.push(diagnostic),
        };
        let Some(level) = found else {
            let name = &self.modes[mode].name;
            self.diagnostics.push(
                Diagnostic::new(Code::MBA101, format!("`{name}` has no such level"))
                    .at(expr.span, "not one of its levels")
                    .help("levels are given by name or number, as in `given spin = +1`"),
            );
            return;
        };
        let size = self.modes[mode].size();
        let scope = Scope::from([mode]);
        let values = (0..size).map(|k| f64::from(u8::from(k != level))).collect();
        let cells = Arc::new(Table { scope: scope.clone(), shape: vec![size], values });
        self.support.push(Forbidden { scope, cells, span: reference.span });
    }

    /// What holds when one of several conditions does is forbidden one by one, each over its own modes.
    pub(super) fn forbid(&mut self, condition: &Expr, span: Span) {
        if let ExprKind::Binary(crate::text::ast::Binary::Or, a, b) = &condition.kind {
            self.forbid(a, span);
            self.forbid(b, span);
            return;
        }
        let mut names = Vec::new();
        names_in(condition, &mut names);
        let modes = names.iter().filter_map(|(n, at)| match self.name(n, *at) {
            Ok(Constant::Mode(m)) => Some(m),
            _ => None,
        });
        let scope: Scope = modes.collect();
        if let Some(table) = self.tabulate(&scope, scope.modes(), condition, "condition") {
            self.support.push(Forbidden { scope, cells: Arc::new(table), span });
        }
    }
}
