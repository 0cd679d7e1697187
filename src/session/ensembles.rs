//! Models as distributions of their own: with other values of params, at other temperatures, along sweeps.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::Session;
use super::check::claim;
use crate::model::constant;
use crate::model::declarations::{Declarations, Setting};
use crate::model::elaborate::{KnownModes, known_modes};
use crate::model::mode::number_label;
use crate::model::{EnergyModel, elaborate};
use crate::plan::summation::{Carry, Summation};
use crate::report::results::{Curve, critical, evaluate_ensemble, thermal, unwrap_model};
use crate::run::Ensemble;
use crate::text::ast::{Argument, Binary, Call, Expr, ExprKind, Ident, Sweep};
use crate::text::{Code, Diagnostic, Span, Token, format_expression, suggest, tokenize};

/// A sweep has at most this many points.
const MOST_POINTS: f64 = 100_000.0;

/// What divides the energy, where names of params are expected.
const TEMPERATURE: &str = "temperature";

/// A model with known energies that a program asks something of.
pub struct Forward {
    /// How it is written.
    pub expression: String,
    /// The model.
    pub model: std::sync::Arc<EnergyModel>,
    /// The sum that gives its thermodynamics; none when that is out of reach.
    pub sum: Option<Summation>,
}

impl Session {
    /// The models with known energies that results are asked of, in the order of their names.
    pub fn forward(&self) -> Vec<Forward> {
        let none = crate::model::Scope::empty();
        let one = |(expression, ensemble): (&String, &Ensemble)| Forward {
            expression: expression.clone(),
            model: std::sync::Arc::clone(&ensemble.model),
            sum: ensemble.plan(Carry::Moments, &none).ok(),
        };
        let mut models: Vec<Forward> = self.ensembles.borrow().iter().map(one).collect();
        models.sort_by(|a, b| a.expression.cmp(&b.expression));
        models
    }

    /// A model, or a template with its arguments, with params set to other values.
    pub(super) fn ensemble_of(&self, call: &Call, settings: &[(Ident, f64)]) -> Result<Ensemble, Diagnostic> {
        // arguments and params are constants, so that the same words mean the same model
        let mut key = format_expression(self.sources.slice(call.span));
        if !settings.is_empty() {
            let list = settings.iter().map(|(n, x)| format!("{} = {}", n.name, number_label(*x)));
            key = format!("{key} with ({})", list.collect::<Vec<_>>().join(", "));
        }
        if let Some(known) = self.ensembles.borrow().get(&key) {
            return Ok(known.asked_at(call.span));
        }
        let ensemble = self.new_ensemble(call, settings)?;
        self.ensembles.borrow_mut().insert(key, ensemble.clone());
        Ok(ensemble)
    }

    /// The exact sums the program asks for: those of each sweep, then those of each model in a result, with
    /// the total, whose cost is its own. A sum out of reach is left out; it has been reported.
    pub fn sums(&self) -> Vec<(String, Vec<Summation>)> {
        let none = crate::model::Scope::empty();
        let plans = |ensemble: &Ensemble| -> Vec<Summation> {
            let wanted = [Carry::Moments, Carry::Total];
            wanted.iter().filter_map(|carry| ensemble.plan(*carry, &none).ok()).collect()
        };
        let mut sums: Vec<(String, Vec<Summation>)> = self
            .sweeps
            .values()
            .filter_map(|curve| {
                let largest = curve.ensembles.last()?;
                let title = format!(
                    "sweep {} of {} over {}, {} points",
                    curve.name,
                    curve.model,
                    curve.over,
                    curve.points.len()
                );
                Some((title, plans(largest)))
            })
            .collect();
        let ensembles = self.ensembles.borrow();
        let mut models: Vec<(&String, &Ensemble)> = ensembles.iter().collect();
        models.sort_by_key(|(name, _)| *name);
        sums.extend(models.into_iter().map(|(name, ensemble)| (format!("model {name}"), plans(ensemble))));
        sums
    }

    fn new_ensemble(&self, call: &Call, settings: &[(Ident, f64)]) -> Result<Ensemble, Diagnostic> {
        let entry = self.declarations.model(&call.name.name, call.name.span)?;
        let mut call = call.clone();
        let mut temperature = None;
        let mut params: Vec<Setting> = Vec::new();
        for (name, x) in settings {
            let value = Expr { kind: ExprKind::Number(*x), span: name.span };
            let formal = entry.declaration.params.iter().flatten().any(|p| p.name.name == name.name);
            if formal {
                call.arguments.retain(|a| a.name.as_ref().is_none_or(|n| n.name != name.name));
                call.arguments.push(Argument { name: Some(name.clone()), value });
            } else if self.declarations.params.contains_key(&name.name) {
                params.retain(|(other, _)| *other != name.name);
                params.push((name.name.clone(), value));
            } else if name.name == TEMPERATURE {
                temperature = Some((*x, name.span));
            } else {
                return Err(self.nothing_to_set(name, entry.declaration.params.as_deref()));
            }
        }
        let (model, found) = if params.is_empty() {
            elaborate(&self.declarations, &self.known, entry, Some(&call), None)
        } else {
            let (declarations, known) = self.with_params(params).map_err(|mut list| list.swap_remove(0))?;
            let entry = declarations.model(&call.name.name, call.name.span)?.clone();
            elaborate(&declarations, &known, &entry, Some(&call), None)
        };
        let nothing = model.as_ref().is_some_and(|m| m.modes.is_empty());
        if nothing {
            return Err(Diagnostic::new(
                Code::MBA330,
                format!("`{}` has no distribution of its own", call.name.name),
            )
            .at(call.span, "asked for here")
            .note("its modes are those of the data that it is fitted to")
            .help("fit it to data and ask the fit, or declare modes in it and give them energies"));
        }
        let Some(mut model) = model else {
            let wrong = found.into_iter().find(Diagnostic::is_error);
            return Err(wrong.unwrap_or_else(|| {
                Diagnostic::new(Code::MBA901, "a model without a reason").at(call.span, "asked for here")
            }));
        };
        if let Some((t, span)) = temperature {
            check_temperature(t, span)?;
            model.temperature = t;
        }
        Ensemble::new(std::sync::Arc::new(model), self.limits(), call.span).map_err(|d| *d)
    }

    /// The declarations with other values of params, and the modes as they are then.
    ///
    /// # Errors
    /// All that is wrong with the declarations then, at least one.
    pub(super) fn with_params(
        &self,
        params: Vec<Setting>,
    ) -> Result<(Declarations, KnownModes), Vec<Diagnostic>> {
        let mut settings: Vec<Setting> = self.settings.clone();
        settings.retain(|(name, _)| params.iter().all(|(other, _)| other != name));
        settings.extend(params);
        let tables = self.declarations.tables.clone();
        let (declarations, found) =
            Declarations::collect_with(self.units.iter().map(|u| &*u.program), &settings, tables);
        let wrong: Vec<Diagnostic> = found.into_iter().filter(Diagnostic::is_error).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let known = known_modes(&declarations, |mode| self.known.get(mode).map(|m| m.levels.clone()));
        Ok((declarations, known))
    }

    fn nothing_to_set(&self, name: &Ident, formal: Option<&[crate::text::ast::TemplateParam]>) -> Diagnostic {
        let mut names: Vec<&str> = self.declarations.params.keys().map(String::as_str).collect();
        names.extend(formal.unwrap_or_default().iter().map(|p| p.name.name.as_str()));
        names.push(TEMPERATURE);
        let diagnostic = Diagnostic::new(Code::MBA334, format!("there is no param `{}` to set", name.name));
        match suggest::nearest(&name.name, names.iter().copied()) {
            Some(near) => diagnostic
                .at(name.span, format!("did you mean `{near}`?"))
                .help(format!("write `{near}`"))
                .replace(name.span, near, format!("write `{near}`")),
            None => diagnostic
                .at(name.span, "set here")
                .help(format!("what can be set is {}", suggest::list(&names))),
        }
    }

    /// Forgets the sums of models in which one of these names stands.
    pub(super) fn forget_sums(&self, changed: &HashSet<String>) {
        let word = |text: &str, token: &Token| changed.contains(token.text(text));
        self.ensembles.borrow_mut().retain(|written, _| !tokenize(written).iter().any(|t| word(written, t)));
    }

    /// Lays a sweep out, and checks that its sums are within reach.
    pub(super) fn check_sweep(
        &mut self,
        sweep: &Sweep,
        span: Span,
        names: &mut IndexMap<String, Span>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let Some(name) = sweep_name(sweep) else {
            diagnostics.push(
                Diagnostic::new(Code::MBA333, "this sweep needs a name")
                    .at(span, "of which its results are asked")
                    .help("end it with `as melt`"),
            );
            return;
        };
        if let Err(twice) = claim(names, &name, "end the sweep with `as` and another name") {
            diagnostics.push(twice);
            return;
        }
        match self.curve_of(sweep, name.name.clone()) {
            Ok(curve) => {
                let carry = Carry::Moments;
                let none = crate::model::Scope::empty();
                // the points of a param may differ in size: the last and the first are tried
                for ensemble in curve.ensembles.first().into_iter().chain(curve.ensembles.last()) {
                    if let Err(diagnostic) = ensemble.plan(carry, &none) {
                        if !diagnostics.contains(&diagnostic) {
                            diagnostics.push(*diagnostic);
                        }
                        return;
                    }
                }
                self.sweeps.insert(name.name, curve);
            }
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }

    fn curve_of(&self, sweep: &Sweep, name: String) -> Result<Curve, Diagnostic> {
        let points = self.points(sweep)?;
        let over = sweep.over.name.clone();
        let param = self.declarations.params.contains_key(&over);
        if over == TEMPERATURE && !param {
            for t in [points.first(), points.last()].into_iter().flatten() {
                check_temperature(*t, sweep.range.span)?;
            }
            if let Some(model) = self.fit_without_energies(&sweep.model) {
                let (ensembles, marks) = (Vec::new(), Vec::new());
                return Ok(Curve {
                    name,
                    over,
                    points,
                    ensembles,
                    model,
                    fitted: true,
                    refused: None,
                    marks,
                });
            }
            let ensemble = evaluate_ensemble(&sweep.model, self)?.at(points.clone());
            let marks = critical(&ensemble.model);
            let model = ensemble.model.name.clone();
            let ensembles = vec![ensemble];
            return Ok(Curve { name, over, points, ensembles, model, fitted: false, refused: None, marks });
        }
        let (call, mut settings) = unwrap_model(&sweep.model, self)?;
        let place = settings.len();
        settings.push((sweep.over.clone(), 0.0));
        let mut ensembles = Vec::with_capacity(points.len());
        for x in &points {
            settings[place].1 = *x;
            ensembles.push(self.new_ensemble(&call, &settings)?);
        }
        let model = ensembles.first().map_or_else(String::new, |e| e.model.name.clone());
        Ok(Curve { name, over, points, ensembles, model, fitted: false, refused: None, marks: Vec::new() })
    }

    /// The fit that is swept, when its model has no energies of its own.
    fn fit_without_energies(&self, model: &Expr) -> Option<String> {
        let ExprKind::Name(name) = &model.kind else { return None };
        let fitted = self.planned.iter().any(|p| p.name == *name && p.joint.is_none());
        let call = Call {
            name: Ident { name: name.clone(), span: model.span },
            arguments: Vec::new(),
            span: model.span,
        };
        (fitted && self.ensemble_of(&call, &[]).is_err()).then(|| name.clone())
    }

    /// A sweep by its name; one of a fit has its ensemble once the fit is there.
    pub(super) fn curve_by_name(&self, name: &str) -> Option<Curve> {
        let mut curve = self.sweeps.get(name)?.clone();
        if let Some(fit) = self.results.get(&curve.model).filter(|_| curve.fitted) {
            match thermal(fit, self.limits(), fit.span) {
                Ok(ensemble) => curve.ensembles = vec![ensemble.at(curve.points.clone())],
                Err(refused) => curve.refused = Some(Box::new(refused)),
            }
        }
        Some(curve)
    }

    fn points(&self, sweep: &Sweep) -> Result<Vec<f64>, Diagnostic> {
        let names = self.declarations.names();
        let ExprKind::Binary(Binary::Range, low, high) = &sweep.range.kind else {
            return Err(Diagnostic::new(Code::MBA333, "a sweep runs through a range")
                .at(sweep.range.span, "not a range")
                .help("write `in 1.0 .. 4.0 by 0.05`; both ends are included"));
        };
        let (low, high) = (constant::number(low, &names)?, constant::number(high, &names)?);
        let step = constant::number(&sweep.step, &names)?;
        if !(step > 0.0 && step.is_finite()) {
            return Err(Diagnostic::new(Code::MBA333, "the step of a sweep is a positive number")
                .at(sweep.step.span, format!("it is {step}"))
                .help("write the range from its lower to its upper end, and a positive step"));
        }
        // a last point that rounding has pushed just outside belongs to the range
        let count = ((high - low) / step * (1.0 + 1e-12) + 1e-9).floor() + 1.0;
        if !(1.0..=MOST_POINTS).contains(&count) {
            let why = if count < 1.0 { "no points".to_string() } else { format!("{count:.0} points") };
            return Err(Diagnostic::new(Code::MBA333, format!("a sweep of {why}"))
                .at(sweep.range.span, "from here")
                .help(format!("a sweep has from 1 to {MOST_POINTS:.0} points")));
        }
        Ok((0..count as usize).map(|k| low + k as f64 * step).collect())
    }
}

/// The name of the results of a sweep: its own, or else that of its model.
pub(super) fn sweep_name(sweep: &Sweep) -> Option<Ident> {
    match (&sweep.name, &sweep.model.kind) {
        (Some(name), _) => Some(name.clone()),
        (None, ExprKind::Name(model)) => Some(Ident { name: model.clone(), span: sweep.model.span }),
        _ => None,
    }
}

fn check_temperature(t: f64, span: Span) -> Result<(), Diagnostic> {
    if t > 0.0 && t.is_finite() {
        return Ok(());
    }
    Err(Diagnostic::new(Code::MBA305, format!("temperature is {}", number_label(t)))
        .at(span, "must be positive and finite")
        .help("write a positive number; `most_probable` is the limit T → 0"))
}
