//! What is checked before a cell is read: models, fits, samples, expressions.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{
    Bound, Origin, PlannedFit, Session, bind, execute, expectations, fit_options, hold_out, joint, pictures,
    testing,
};
use crate::data::Sparse;
use crate::model::declarations::ModelEntry;
use crate::model::{EnergyModel, Mode, elaborate, lint};
use crate::plan::{self, Schedule};
use crate::report::results;
use crate::text::ast::{Fit, Ident, ModelItemKind, Statement, StatementKind, TestItemKind};
use crate::text::{Code, Diagnostic, Span, suggest};

/// Takes a name for a result; another result that has it already is MBA103, with this way out.
pub(super) fn claim(names: &mut IndexMap<String, Span>, name: &Ident, help: &str) -> Result<(), Diagnostic> {
    match names.insert(name.name.clone(), name.span) {
        None => Ok(()),
        Some(first) => {
            Err(Diagnostic::new(Code::MBA103, format!("there are two results called `{}`", name.name))
                .at(name.span, "the second one")
                .at(first, "the first one")
                .help(help))
        }
    }
}

impl Session {
    pub(super) fn check(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        self.check_models(diagnostics);
        self.check_verbs(diagnostics);
        testing::check_names(self, diagnostics);
        self.check_samples(diagnostics);
        self.lint_unused_modes(diagnostics);
    }

    /// The verbs of the main program; its fits are planned.
    pub(super) fn check_verbs(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let mut names: IndexMap<String, Span> = IndexMap::new();
        let statements: Vec<Statement> = self.main().to_vec();
        for statement in &statements {
            match &statement.kind {
                StatementKind::Fit(fit) => self.check_fit(fit, statement.span, &mut names, diagnostics),
                StatementKind::Load { path, name } => {
                    self.check_load(path, name, statement.span, &mut names, diagnostics);
                }
                StatementKind::Show(list) => {
                    list.iter().for_each(|e| results::check(e, self, diagnostics));
                }
                StatementKind::Save { value, path } => {
                    let before = diagnostics.len();
                    results::check(value, self, diagnostics);
                    // what is wrong with the value is not said again of the file
                    let saved = || self.check_saved(value, path).filter(|_| diagnostics.len() == before);
                    let found = execute::check_path(path).or_else(saved);
                    diagnostics.extend(found);
                }
                StatementKind::Plot { values, path } => {
                    values.iter().for_each(|e| results::check(e, self, diagnostics));
                    diagnostics.extend(path.as_ref().and_then(pictures::check_path));
                }
                StatementKind::Test(test) => {
                    for item in &test.items {
                        match &item.kind {
                            TestItemKind::Expect { condition, within } => {
                                expectations::check(condition, within.as_ref(), self, diagnostics);
                            }
                            TestItemKind::Snapshot { value, within, except, .. } => {
                                for expr in
                                    [Some(value), within.as_ref(), except.as_ref()].into_iter().flatten()
                                {
                                    results::check(expr, self, diagnostics);
                                }
                            }
                            TestItemKind::ExpectError { code, .. } => {
                                diagnostics.extend(expectations::code(code).err());
                            }
                        }
                    }
                }
                StatementKind::Balance(balance) => {
                    self.check_balance(balance, statement.span, &mut names, diagnostics);
                }
                StatementKind::Estimate(estimate) => {
                    self.check_estimate(estimate, statement.span, &mut names, diagnostics);
                }
                StatementKind::Sweep(sweep) => {
                    self.check_sweep(sweep, statement.span, &mut names, diagnostics)
                }
                StatementKind::Mode(_)
                | StatementKind::Param(_)
                | StatementKind::Data(_)
                | StatementKind::Use(_)
                | StatementKind::Model(_) => {}
            }
        }
    }

    /// Models that nothing is fitted to are elaborated all the same, for the mistakes in them.
    pub(super) fn check_models(&self, diagnostics: &mut Vec<Diagnostic>) {
        let fitted: Vec<&str> = self
            .main()
            .iter()
            .filter_map(|s| match &s.kind {
                StatementKind::Fit(fit) => Some(fit.model.name.name.as_str()),
                _ => None,
            })
            .collect();
        for (name, entry) in &self.declarations.models {
            if entry.is_template() {
                diagnostics.extend(self.check_template(entry));
            } else if !fitted.contains(&name.as_str()) {
                let span = self.any_span(entry);
                let (model, found) = elaborate(&self.declarations, &self.known, entry, None, span.as_deref());
                diagnostics.extend(found);
                // what a model lacks can only be said once its modes are known
                let settled = span.is_some() || elaborate::spans_its_own(entry);
                if let (Some(model), true) = (model, settled) {
                    diagnostics.extend(lint::lint(&model, &entry.declaration));
                }
            }
        }
    }

    /// The modes to check an unused model over: those of the only tensor, when there is one.
    fn any_span(&self, entry: &ModelEntry) -> Option<Vec<String>> {
        if elaborate::spans_its_own(entry) {
            return None;
        }
        match self.bound.values().collect::<Vec<_>>().as_slice() {
            [only] => Some(only.modes.clone()),
            _ => None,
        }
    }

    /// A template is checked for the names that no argument can bring in.
    fn check_template(&self, entry: &ModelEntry) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        let params: Vec<&str> =
            entry.declaration.params.iter().flatten().map(|p| p.name.name.as_str()).collect();
        for (position, name) in params.iter().enumerate() {
            if params[..position].contains(name)
                && let Some(param) = entry.declaration.params.iter().flatten().nth(position)
            {
                diagnostics.push(
                    Diagnostic::new(Code::MBA103, format!("parameter `{name}` is declared twice"))
                        .at(param.name.span, "declared again")
                        .help("rename one of them"),
                );
            }
        }
        for item in &entry.declaration.items {
            if let ModelItemKind::Family { call, .. } = &item.kind {
                let name = &call.name.name;
                let family = crate::model::family::Family::find(name).is_some();
                if !family && !self.declarations.models.contains_key(name) {
                    let help = format!("declare it: `model {name}(…)`");
                    diagnostics.push(self.declarations.no_family("family", name, call.name.span, help));
                }
            }
        }
        diagnostics
    }

    fn check_fit(
        &mut self,
        fit: &Fit,
        span: Span,
        names: &mut IndexMap<String, Span>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let name = fit.name.as_ref().unwrap_or(&fit.model.name);
        if let Some(first) = names.get(&name.name) {
            diagnostics.push(
                Diagnostic::new(Code::MBA103, format!("there are two fits called `{}`", name.name))
                    .at(name.span, "the second one")
                    .at(*first, "the first one")
                    .help(format!("name it: `fit {} to … as other`", fit.model.name.name)),
            );
            return;
        }
        names.insert(name.name.clone(), name.span);
        let mut seed = self.options.seed;
        let (control, options) = fit_options::control(fit, &mut seed, &self.declarations);
        diagnostics.extend(options);
        let mut planned = PlannedFit {
            name: name.name.clone(),
            tensor: String::new(),
            model: Arc::new(EnergyModel::empty()),
            schedule: None,
            control,
            seed,
            hold_out: None,
            prior: None,
            joint: None,
            span,
        };
        if fit.targets.len() > 1 {
            self.check_joint(fit, span, &mut planned, diagnostics);
            return self.planned.push(planned);
        }
        if let Some((_, Some(written))) = fit.targets.first() {
            diagnostics.push(match joint::weight(Some(written), self) {
                Err(diagnostic) => diagnostic,
                Ok(_) => Diagnostic::new(Code::MBA378, "the weight of the only tensor has no effect")
                    .at(written.span, "nothing to weigh it against")
                    .help("leave it out, or fit several tensors: `fit M to X, Y weight 0.5`"),
            });
        }
        self.check_single(fit, &mut planned, diagnostics);
        self.planned.push(planned);
    }

    /// Checks and plans a fit to one tensor; what is wrong is reported.
    fn check_single(&self, fit: &Fit, planned: &mut PlannedFit, diagnostics: &mut Vec<Diagnostic>) {
        let name = &fit.model.name;
        let entry = self.declarations.model(&name.name, name.span);
        let target = fit.targets.first().map(|(ident, _)| ident);
        let mut tensor = None;
        if let Some(target) = target {
            match self.declarations.tensor(&target.name, target.span) {
                Ok(_) => tensor = self.bound.get(&target.name),
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
            planned.tensor = target.name.clone();
        }
        if let (Some(tensor), Some(option)) =
            (tensor, fit.options.iter().rev().find(|o| o.name.name == "hold_out"))
        {
            let base = self.units.first().map_or("", |u| u.path.as_str());
            match hold_out::read(option, &tensor.modes, &self.declarations, base) {
                Ok(hold_out) => planned.hold_out = Some(Arc::new(hold_out)),
                Err(found) => diagnostics.extend(found),
            }
        }
        match (entry, tensor) {
            (Err(diagnostic), _) => diagnostics.push(diagnostic),
            (Ok(entry), Some(tensor)) => self.check_model(fit, entry, tensor, planned, diagnostics),
            // the names in the model can be wrong even when the data cannot be had
            (Ok(entry), None) => {
                let modes = target.and_then(|t| self.declared_modes(&t.name));
                let (_, found) =
                    elaborate(&self.declarations, &self.known, entry, Some(&fit.model), modes.as_deref());
                diagnostics.extend(found);
            }
        }
    }

    /// Elaborates the model of a fit over the modes of its tensor, and plans it.
    fn check_model(
        &self,
        fit: &Fit,
        entry: &ModelEntry,
        tensor: &Bound,
        planned: &mut PlannedFit,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let (model, found) =
            elaborate(&self.declarations, &self.known, entry, Some(&fit.model), Some(&tensor.modes));
        diagnostics.extend(found);
        let Some(model) = model else { return };
        let own = |name: &String| model.modes.iter().any(|own| own.name == *name);
        let extra: Vec<&str> = tensor.modes.iter().filter(|m| !own(m)).map(String::as_str).collect();
        let seen = model.modes.iter().enumerate().filter(|(i, _)| !model.latent.contains(*i));
        let lacking = seen.filter(|(_, m)| !tensor.modes.contains(&m.name)).map(|(_, m)| m.name.as_str());
        let lacking: Vec<&str> = lacking.collect();
        if !extra.is_empty() || !lacking.is_empty() {
            return diagnostics.push(different_modes(fit, &planned.tensor, &extra, &lacking, planned.span));
        }
        diagnostics.extend(lint::lint(&model, &entry.declaration));
        let model = model.in_order_of(&tensor.modes);
        match self.lean(&model, &tensor.modes) {
            Ok(prior) => planned.prior = prior.map(Arc::new),
            Err(list) => diagnostics.extend(list),
        }
        planned.schedule = self.plan(&model, tensor, planned, fit.method.as_ref(), planned.span, diagnostics);
        planned.model = Arc::new(model);
    }

    /// The modes that a data statement names, whether or not the data can be had.
    pub(super) fn declared_modes(&self, tensor: &str) -> Option<Vec<String>> {
        let members = |name: &String| match self.declarations.modes.get(name) {
            Some(mode) => mode.members(),
            // a misspelt mode has been reported; the model means the right one
            None => {
                let names = self.declarations.modes.keys().map(String::as_str);
                vec![suggest::nearest(name, names).map_or_else(|| name.clone(), str::to_string)]
            }
        };
        let axes = &self.declarations.tensors.get(tensor)?.declaration.axes;
        Some(axes.iter().flat_map(|a| members(&a.mode.name)).collect())
    }

    /// The shape of data, as far as their header tells, with what is held out of them.
    pub(super) fn profile(&self, tensor: &Bound, hold_out: Option<&hold_out::HoldOut>) -> plan::Profile {
        let sizes: Vec<usize> =
            tensor.modes.iter().filter_map(|m| self.known.get(m)).map(Mode::size).collect();
        let cell_bytes = Sparse::cell_bytes(&sizes);
        let mut profile = match &tensor.origin {
            Origin::Stored(request, header) => {
                let profile = header.profile;
                plan::Profile {
                    stored: profile.stored.bound(),
                    sparse: !profile.dense,
                    element_bytes: if profile.dense { profile.value_bytes } else { cell_bytes },
                    mapped: profile.mapped && request.masks.is_empty(),
                    masks: crate::data::mask::scopes(request),
                }
            }
            Origin::Sampled(sampling) => plan::Profile {
                stored: sampling.count,
                sparse: true,
                element_bytes: cell_bytes,
                mapped: false,
                masks: Vec::new(),
            },
        };
        if let Some(hold_out) = hold_out {
            let modes = tensor.modes.len();
            profile.masks.extend(hold_out.scopes(modes));
            profile.masks = crate::data::mask::merged(profile.masks, modes);
            profile.mapped = false;
        }
        profile
    }

    fn plan(
        &self,
        model: &EnergyModel,
        tensor: &Bound,
        planned: &PlannedFit,
        method: Option<&Ident>,
        span: Span,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Arc<Schedule>> {
        let profile = self.profile(tensor, planned.hold_out.as_deref());
        let mut options = plan::Options { memory: self.options.memory, ..plan::Options::default() };
        if let Some(named) = method {
            // a name that does not exist has been reported with the options of the fit
            let method = plan::method::find(&named.name, named.span).ok()?;
            if let Err(diagnostic) = plan::method::check(method, model, &profile, false, named.span) {
                diagnostics.push(diagnostic);
                return None;
            }
            options.solver = method.solver;
        }
        match plan::compile(model, &profile, &options) {
            Ok(schedule) => {
                let lints = plan::lint(model, &profile, &schedule);
                diagnostics.extend(lints.into_iter().map(|d| d.at(span, "in this fit")));
                Some(Arc::new(schedule))
            }
            Err(list) => {
                diagnostics.extend(list.into_iter().map(|d| d.or_at(span, "in this fit")));
                None
            }
        }
    }

    pub(super) fn check_samples(&self, diagnostics: &mut Vec<Diagnostic>) {
        for bound in self.bound.values() {
            if let Origin::Sampled(sampling) = &bound.origin
                && let Err(list) = self.sampled_model(sampling, bound)
            {
                diagnostics.extend(list);
            }
        }
    }

    /// The model a sample is drawn from, its modes in the order of the tensor's.
    pub(super) fn sampled_model(
        &self,
        sampling: &bind::Sampling,
        bound: &Bound,
    ) -> Result<EnergyModel, Vec<Diagnostic>> {
        let entry = self
            .declarations
            .model(&sampling.model.name.name, sampling.model.name.span)
            .map_err(|d| vec![d])?;
        let (model, found) =
            elaborate(&self.declarations, &self.known, entry, Some(&sampling.model), Some(&bound.modes));
        let errors: Vec<Diagnostic> = found.into_iter().filter(Diagnostic::is_error).collect();
        let Some(model) = model else { return Err(errors) };
        let open = |i: &&crate::model::Interaction| !matches!(i.potential, crate::model::Potential::Fixed(_));
        if let Some(free) = model.interactions.iter().find(open) {
            let what = match &free.potential {
                crate::model::Potential::Free => "free tables",
                _ => "learned coefficients",
            };
            return Err(vec![
                Diagnostic::new(Code::MBA308, format!("`{}` cannot be sampled: it has {what}", model.name))
                .at(sampling.span, "sampled here")
                .at(free.span, "known only after a fit")
                .help("give its interactions energies, as in `[a b] = …`; a fit is sampled as `f.sample(n)`"),
            ]);
        }
        if model.modes.len() != bound.modes.len() {
            let names: Vec<&str> = model.modes.iter().map(|m| m.name.as_str()).collect();
            return Err(vec![
                Diagnostic::new(Code::MBA225, format!("`{}` has other modes than the data", model.name))
                    .at(sampling.span, format!("the model spans {}", suggest::list(&names)))
                    .help("list the modes of the model in the data statement"),
            ]);
        }
        if !model.support.is_empty() {
            let none = crate::model::Scope::empty();
            let ensemble = crate::run::Ensemble::new(Arc::new(model.clone()), self.limits(), sampling.span);
            return ensemble
                .and_then(|e| e.plan(plan::summation::Carry::Draws, &none))
                .map(|_| model)
                .map_err(|d| vec![*d]);
        }
        plan::compile_fixed(&model, &plan::Options { memory: self.options.memory, ..Default::default() })
            .map(|_| model)
    }

    fn lint_unused_modes(&self, diagnostics: &mut Vec<Diagnostic>) {
        // a mode may be unused only because what uses it is wrong
        if diagnostics.iter().any(Diagnostic::is_error) {
            return;
        }
        let main = self.units.first().map(|u| u.source);
        for (name, entry) in &self.declarations.modes {
            if Some(entry.span.source) != main {
                continue;
            }
            let in_data = self
                .declarations
                .tensors
                .values()
                .any(|t| t.declaration.axes.iter().any(|a| &a.mode.name == name));
            let in_model = self
                .declarations
                .models
                .values()
                .any(|m| m.declaration.over.iter().flatten().any(|r| &r.name.name == name));
            if !in_data
                && !in_model
                && (self.declarations.tensors.is_empty() && !self.declarations.models.is_empty())
            {
                continue;
            }
            if !in_data && !in_model {
                diagnostics.push(
                    Diagnostic::new(Code::MBA120, format!("mode `{name}` is not used"))
                        .at(entry.span, "in no data")
                        .help("bind it to data, or remove it"),
                );
            }
        }
    }
}

fn different_modes(fit: &Fit, tensor: &str, extra: &[&str], lacking: &[&str], span: Span) -> Diagnostic {
    let model = &fit.model.name.name;
    let mut parts = Vec::new();
    if !extra.is_empty() {
        parts.push(format!("`{tensor}` also has {}", suggest::list(extra)));
    }
    if !lacking.is_empty() {
        parts.push(format!("`{tensor}` has no {}", suggest::list(lacking)));
    }
    Diagnostic::new(Code::MBA225, format!("`{model}` and `{tensor}` have different modes"))
        .at(fit.targets.first().map_or(span, |(i, _)| i.span), parts.join("; "))
        .help(format!(
            "change the modes after `over` in `{model}`, or leave them out to span those of the data"
        ))
}
