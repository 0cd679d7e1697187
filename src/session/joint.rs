//! `fit M to X, Y weight 0.5, Z`: checked before a cell is read, then solved together.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::json;

use super::checkpoint::Checkpoint;
use super::execute::Run;
use super::hold_out::{self, HoldOut};
use super::lean::{self, Lean, Leaning};
use super::{Bound, Event, Host, Origin, PlannedFit, Session, told};
use crate::data::Tensor;
use crate::model::declarations::ModelEntry;
use crate::model::mode::number_label;
use crate::model::{EnergyModel, Levels, Potential, Scope, constant, elaborate, lint};
use crate::plan::joint::{self as plan, Layout, Member};
use crate::plan::{Options, Schedule, method};
use crate::report::archive::exact;
use crate::report::kept::{self, Other};
use crate::report::results::{FitResult, HeldOut, JointResult};
use crate::report::saved;
use crate::run::joint::{self, Part, Solution, Start};
use crate::run::masked::regular::Pseudo;
use crate::run::{Control, Observer, Status, Stoppable};
use crate::text::ast::{Expr, Fit, FitOption, OptionValue};
use crate::text::{Code, Diagnostic, Span, suggest};

/// What a joint fit is planned to do.
#[derive(Debug, Clone)]
pub struct PlannedJoint {
    /// The names of the tensors, known also where there is no plan to be had.
    pub names: Vec<String>,
    /// The tensors, in the order in which they are written.
    pub members: Vec<PlannedMember>,
    /// Which parameters each of them sees.
    layout: Layout,
}

/// The tensors of a joint fit, and what each of them hides.
type Hidden = (Vec<Arc<Tensor>>, Vec<Option<HeldOut>>);

/// A tensor of a joint fit.
#[derive(Debug, Clone)]
pub struct PlannedMember {
    /// Its name.
    pub tensor: String,
    /// What multiplies its divergence.
    pub weight: f64,
    /// Its modes by position in the model.
    modes: Vec<usize>,
    /// The model as it sees it.
    model: Arc<EnergyModel>,
    /// Cells that are kept from the fit.
    pub(super) hold_out: Option<Arc<HoldOut>>,
    /// What its tables lean to.
    prior: Option<Arc<Lean>>,
}

impl PlannedJoint {
    /// One that is loaded: only its tensors are known.
    pub(super) fn of(names: Vec<String>) -> Self {
        Self { names, members: Vec::new(), layout: Layout::default() }
    }

    /// What the tensors lean to, if to anything.
    fn leaning(&self, tensors: &[Arc<Tensor>]) -> Vec<Leaning<'_>> {
        let all = self.members.iter().zip(tensors);
        let leaning = all.filter_map(|(m, tensor)| {
            Some(Leaning { prior: m.prior.as_deref()?, tensor: Arc::clone(tensor), weight: m.weight })
        });
        leaning.collect()
    }
}

/// The weight that is written after a tensor: a positive number.
pub(super) fn weight(written: Option<&Expr>, session: &Session) -> Result<f64, Diagnostic> {
    let Some(written) = written else { return Ok(1.0) };
    let weight = constant::number(written, &session.declarations.names())?;
    if weight > 0.0 && weight.is_finite() {
        return Ok(weight);
    }
    let found = number_label(weight);
    Err(Diagnostic::new(Code::MBA376, format!("a tensor cannot have the weight {found}"))
        .at(written.span, "must be positive and finite")
        .help("leave out a tensor that is not to count"))
}

/// What tensors cannot share in this version, each with a way out.
fn not_shared(model: &EnergyModel, fitted: Span) -> Vec<Diagnostic> {
    let name = &model.name;
    let mut found = Vec::new();
    for interaction in &model.interactions {
        let Potential::Learned { coefficient, .. } = &interaction.potential else { continue };
        let what = format!("the learned coefficient `{coefficient}` of `{name}` in a joint fit");
        found.push(crate::model::unsupported(&what, interaction.span).help(format!(
            "write a number in place of `{coefficient}`, put the free table `{}` there, or fit `{name}` to one tensor at a time",
            model.bracket(&interaction.scope)
        )));
    }
    if !model.latent.is_empty() {
        let what = format!("latent modes, `{}` of `{name}`, in a joint fit", model.bracket(&model.latent));
        let help = "leave their interactions out: tensors share tables over the modes that they have";
        found.push(crate::model::unsupported(&what, fitted).help(help));
    }
    found
}

impl Session {
    /// Checks and plans a fit to several tensors; what is wrong is reported.
    pub(super) fn check_joint(
        &self,
        fit: &Fit,
        span: Span,
        planned: &mut PlannedFit,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let errors = diagnostics.len();
        let targets = self.targets(fit, planned, diagnostics);
        let names: Vec<String> = targets.keys().map(|name| (*name).to_string()).collect();
        planned.joint = Some(Arc::new(PlannedJoint::of(names.clone())));
        let entry = match self.declarations.model(&fit.model.name.name, fit.model.name.span) {
            Ok(entry) => entry,
            Err(diagnostic) => return diagnostics.push(diagnostic),
        };
        let targets: Vec<(&str, f64, &Bound, Span)> =
            targets.into_iter().filter_map(|(n, (w, bound, at))| Some((n, w, bound?, at))).collect();
        let mut modes: Vec<String> = Vec::new();
        for mode in names.iter().filter_map(|name| self.declared_modes(name)).flatten() {
            if !modes.contains(&mode) {
                modes.push(mode);
            }
        }
        if diagnostics.len() > errors || targets.len() < fit.targets.len() {
            // the names in the model can be wrong even when the data cannot be had
            let (_, found) =
                elaborate(&self.declarations, &self.known, entry, Some(&fit.model), Some(&modes));
            return diagnostics.extend(found);
        }
        diagnostics.extend(different_levels(&targets));
        let mut found = Vec::new();
        let model = self.model_of_all(fit, entry, &targets, &modes, &mut found);
        diagnostics.extend(found);
        let Some(model) = model else { return };
        if diagnostics[errors..].iter().any(Diagnostic::is_error) {
            return;
        }
        let members = match self.members(fit, &model, &targets, &modes) {
            Ok(members) => members,
            Err(list) => return diagnostics.extend(list),
        };
        diagnostics.extend(unseen(&model, &members));
        if diagnostics[errors..].iter().any(Diagnostic::is_error) {
            return;
        }
        diagnostics.extend(apart(&model, &members, &targets));
        match self.plan_joint(fit, &model, &members, &targets) {
            Ok((schedule, layout)) => {
                // a table inside another counts where a tensor sees it and not the larger one
                diagnostics.retain(|d| {
                    let kept = |i: &&crate::model::Interaction| {
                        d.span() == Some(i.span) && layout.tables.block(&i.scope).is_some()
                    };
                    d.code != Code::MBA321 || !model.interactions.iter().any(|i| kept(&i))
                });
                planned.schedule = Some(Arc::new(schedule));
                planned.joint = Some(Arc::new(PlannedJoint { names, members, layout }));
            }
            Err(list) => diagnostics.extend(list.into_iter().map(|d| d.or_at(span, "in this fit"))),
        }
        planned.model = Arc::new(model);
    }

    /// The tensors of a fit, each with its weight, its data where they can be had, and where it is named.
    fn targets<'a>(
        &'a self,
        fit: &'a Fit,
        planned: &mut PlannedFit,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> IndexMap<&'a str, (f64, Option<&'a Bound>, Span)> {
        let mut targets: IndexMap<&str, (f64, Option<&Bound>, Span)> = IndexMap::new();
        let mut shown = Vec::new();
        for (ident, written) in &fit.targets {
            let weight = weight(written.as_ref(), self).unwrap_or_else(|diagnostic| {
                diagnostics.push(diagnostic);
                1.0
            });
            if let Err(diagnostic) = self.declarations.tensor(&ident.name, ident.span) {
                diagnostics.push(diagnostic);
                continue;
            }
            shown.push(match written {
                Some(_) => format!("{} weight {}", ident.name, number_label(weight)),
                None => ident.name.clone(),
            });
            let bound = self.bound.get(&ident.name);
            if let Some((_, _, first)) = targets.insert(&ident.name, (weight, bound, ident.span)) {
                diagnostics.push(
                    Diagnostic::new(Code::MBA377, format!("`{}` is fitted twice in one fit", ident.name))
                        .at(ident.span, "the second time")
                        .at(first, "the first time")
                        .help(format!(
                            "name it once, with the weight it is to have: `{} weight 2`",
                            ident.name
                        )),
                );
            }
        }
        planned.tensor = shown.join(", ");
        targets
    }

    /// What each tensor sees of the model, what is held out of it, and what it leans to.
    fn members(
        &self,
        fit: &Fit,
        model: &EnergyModel,
        targets: &[(&str, f64, &Bound, Span)],
        modes: &[String],
    ) -> Result<Vec<PlannedMember>, Vec<Diagnostic>> {
        let prior = self.lean(model, modes)?;
        let hidden = match fit.options.iter().rev().find(|o| o.name.name == "hold_out") {
            Some(option) => self.hidden_in_each(option, targets, modes)?,
            None => targets.iter().map(|_| None).collect(),
        };
        let member = |((name, weight, bound, _), hidden): (&(&str, f64, &Bound, Span), Option<HoldOut>)| {
            let places = bound.modes.iter().filter_map(|m| modes.iter().position(|all| all == m));
            let places: Vec<usize> = places.collect();
            PlannedMember {
                tensor: (*name).to_string(),
                weight: *weight,
                model: Arc::new(plan::part(model, &places)),
                hold_out: hidden.map(Arc::new),
                prior: prior.as_ref().map(|p| Arc::new(p.seen_by(&places))),
                modes: places,
            }
        };
        Ok(targets.iter().zip(hidden).map(member).collect())
    }

    /// The schedule of a fit to several tensors, by the method that is named.
    fn plan_joint(
        &self,
        fit: &Fit,
        model: &EnergyModel,
        members: &[PlannedMember],
        targets: &[(&str, f64, &Bound, Span)],
    ) -> Result<(Schedule, Layout), Vec<Diagnostic>> {
        let member = |(m, (name, weight, bound, _)): (&PlannedMember, &(&str, f64, &Bound, Span))| Member {
            name: (*name).to_string(),
            weight: *weight,
            modes: m.modes.clone(),
            profile: self.profile(bound, m.hold_out.as_deref()),
        };
        let shapes: Vec<Member> = members.iter().zip(targets).map(member).collect();
        let mut options = Options { memory: self.options.memory, ..Options::default() };
        if let Some(named) = &fit.method {
            // a name that does not exist has been reported with the options of the fit
            let method = method::find(&named.name, named.span).map_err(|_| Vec::new())?;
            method::check(method, model, &plan::of_all(&shapes), true, named.span).map_err(|d| vec![d])?;
            options.solver = method.solver;
        }
        plan::schedule(model, &shapes, &options)
    }

    /// The model over the modes of all tensors.
    fn model_of_all(
        &self,
        fit: &Fit,
        entry: &ModelEntry,
        targets: &[(&str, f64, &Bound, Span)],
        modes: &[String],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<EnergyModel> {
        let (model, found) = elaborate(&self.declarations, &self.known, entry, Some(&fit.model), Some(modes));
        diagnostics.extend(found);
        let model = model?;
        let name = &fit.model.name.name;
        for (tensor, _, bound, at) in targets {
            let extra: Vec<&String> =
                bound.modes.iter().filter(|m| !model.modes.iter().any(|own| own.name == **m)).collect();
            if !extra.is_empty() {
                diagnostics.push(
                    Diagnostic::new(Code::MBA225, format!("`{name}` and `{tensor}` have different modes"))
                        .at(*at, format!("`{tensor}` also has {}", suggest::list(&extra)))
                        .help(format!(
                            "change the modes after `over` in `{name}`, or leave them out to span those of all tensors"
                        )),
                );
            }
        }
        let visible = model.modes.iter().enumerate().filter(|(i, _)| !model.latent.contains(*i));
        let lacking: Vec<&str> =
            visible.map(|(_, m)| m.name.as_str()).filter(|m| !modes.iter().any(|own| own == m)).collect();
        if !lacking.is_empty() {
            let message = format!("no tensor has the modes {} of `{name}`", suggest::list(&lacking));
            diagnostics
                .push(Diagnostic::new(Code::MBA225, message).at(fit.model.span, "fitted here").help(format!(
                "change the modes after `over` in `{name}`, or leave them out to span those of all tensors"
            )));
        }
        diagnostics.extend(not_shared(&model, fit.model.span));
        if diagnostics.iter().any(Diagnostic::is_error) {
            return None;
        }
        diagnostics.extend(lint::lint(&model, &entry.declaration));
        Some(model.in_order_of(modes))
    }

    /// What each tensor holds out: a share of each, or what a condition on its modes says.
    fn hidden_in_each(
        &self,
        option: &FitOption,
        targets: &[(&str, f64, &Bound, Span)],
        all: &[String],
    ) -> Result<Vec<Option<HoldOut>>, Vec<Diagnostic>> {
        let base = self.units.first().map_or("", |u| u.path.as_str());
        let mut named: Vec<String> = Vec::new();
        match option.values.as_slice() {
            [OptionValue::From(file)] if file.axes.is_empty() => {
                return Err(vec![
                    Diagnostic::new(Code::MBA458, "it is not said which tensor this file is of")
                        .at(file.path.span, "over which modes?")
                        .help("name the modes of its axes: `hold_out from \"mask.npy\"[a, b]`"),
                ]);
            }
            [OptionValue::From(file)] => {
                for axis in &file.axes {
                    let entry = self.declarations.mode(&axis.mode.name, axis.mode.span);
                    named.extend(entry.map_err(|d| vec![d])?.members());
                }
            }
            [OptionValue::Where(condition)] => {
                let mut found = Vec::new();
                crate::model::elaborate::names_in(condition, &mut found);
                named.extend(found.into_iter().map(|(name, _)| name));
            }
            _ => {}
        }
        let of_modes: Vec<&String> = all.iter().filter(|m| named.contains(m)).collect();
        let mut found = Vec::new();
        for (t, (_, _, bound, _)) in targets.iter().enumerate() {
            let has = of_modes.iter().all(|m| bound.modes.contains(m));
            found.push(match has {
                true => {
                    let own = hold_out::read(option, &bound.modes, &self.declarations, base)?;
                    Some(own.apart(t as u64))
                }
                false => None,
            });
        }
        if found.iter().all(Option::is_none) {
            // a name that is wrong in itself is reported as such
            hold_out::read(option, all, &self.declarations, base)?;
            return Err(vec![
                Diagnostic::new(Code::MBA458, "no tensor has all modes of what is held out")
                    .at(option.span, format!("it looks at {}", suggest::list(&of_modes)))
                    .help("look at modes of one tensor; it is taken of each tensor that has them"),
            ]);
        }
        Ok(found)
    }

    /// Fits, and tells what came of it.
    pub(super) fn run_joint(&mut self, (planned, own): (&PlannedFit, &PlannedJoint), run: &mut Run) {
        let known: Vec<bool> =
            own.members.iter().map(|m| self.tensors.borrow().contains_key(&m.tensor)).collect();
        let mut tensors = Vec::new();
        for (member, known) in own.members.iter().zip(known) {
            match self.read_tensor(&member.tensor) {
                Ok(tensor) => tensors.push(tensor),
                // what is wrong with the data is said once, at the first fit that needs them
                Err(list) if !known => self.tell_all(list, run),
                Err(_) => {}
            }
        }
        if tensors.len() < own.members.len() {
            return;
        }
        match self.joint(planned, own, tensors, run) {
            Ok((result, notes)) => {
                run.sink.event(Event::Joint(&result, result.seconds), &self.sources);
                let mut found = after(&result, run.checkpoint.as_ref().map(Checkpoint::path));
                let gap = result.joint.certificate.marginal_gap;
                // a fit that is where it was to be stopped because of what it leans to, and that is told
                if lean::stopped(&notes) && gap <= result.control.tolerance {
                    found.retain(|d| d.code != Code::MBA510);
                }
                self.tell_all(notes, run);
                self.tell_all(found, run);
                if matches!(result.joint.status, Status::Stopped | Status::Interrupted) {
                    run.outcome.fail();
                }
                self.joint_results.insert(planned.name.clone(), result);
            }
            Err(list) => {
                let list = list.into_iter().map(|d| d.or_at(planned.span, "in this fit")).collect();
                self.tell_all(list, run);
            }
        }
    }

    fn joint(
        &self,
        planned: &PlannedFit,
        own: &PlannedJoint,
        tensors: Vec<Arc<Tensor>>,
        run: &mut Run,
    ) -> Result<(JointResult, Vec<Diagnostic>), Vec<Diagnostic>> {
        let Some(schedule) = &planned.schedule else { return Err(Vec::new()) };
        let started = run.host.seconds();
        let (tensors, held) = self.hide((own, planned.seed), tensors, run.host)?;
        let parts = |tensors: &[Arc<Tensor>], pseudo: Vec<Pseudo>| -> Vec<Part> {
            let mut pseudo = pseudo.into_iter().map(Arc::new);
            let part = |(m, tensor): (&PlannedMember, &Arc<Tensor>)| Part {
                tensor: Arc::clone(tensor),
                model: Arc::clone(&m.model),
                modes: m.modes.clone(),
                weight: m.weight,
                pseudo: pseudo.next(),
            };
            own.members.iter().zip(tensors).map(part).collect()
        };
        let key = match &run.checkpoint {
            Some(_) => Some(digest(planned, own, &tensors).map_err(|reason| {
                vec![Diagnostic::new(Code::MBA533, "this fit cannot be kept").note(reason)]
            })?),
            None => None,
        };
        let mut solution: Option<(Solution, f64)> = None;
        if let (Some(checkpoint), Some(key)) = (&run.checkpoint, &key) {
            let known = checkpoint.other(&planned.name, key, planned.span).map_err(|d| vec![d])?;
            if let Some((Other::Joint(found), seconds)) = known
                && found.parameters.len() == own.layout.tables.parameters
            {
                run.sink.event(Event::Resumed(&planned.name, found.iterations, found.done()), &self.sources);
                solution = Some(((*found).clone(), seconds));
            }
        }
        let before = solution.as_ref().map(|(found, seconds)| (found.done(), *seconds));
        let fit = |parts: &[Part], observer: &mut dyn Observer, start: Start| {
            let what = (schedule, &own.layout);
            joint::execute(what, &planned.model, parts, &planned.control, observer, start)
        };
        let (pseudo, notes) = lean::together(
            &planned.model,
            &own.leaning(&tensors),
            &self.work(planned),
            &mut |rest, pseudo, observer| fit(&parts(rest, pseudo), observer, Start::Afresh),
        )?;
        let mut joint = {
            let inner = run.sink.observer(&planned.name, planned.control.tolerance);
            let mut observer = Stoppable { inner, stop: self.options.stop.clone() };
            let start = match solution {
                Some((found, _)) if found.done() => Start::At(found),
                Some((found, _)) => Start::From(found),
                None => Start::Afresh,
            };
            fit(&parts(&tensors, pseudo), &mut observer, start)?
        };
        if lean::stopped(&notes) && joint.status != Status::Interrupted {
            // it is the optimum of something else
            joint.status = Status::Stopped;
            joint.solution.stopped = true;
            joint.parts.iter_mut().for_each(|part| Arc::make_mut(part).status = Status::Stopped);
        }
        let seconds = match before {
            Some((true, seconds)) => seconds,
            Some((false, seconds)) => seconds + run.host.seconds() - started,
            None => run.host.seconds() - started,
        };
        if let (Some(checkpoint), Some(key)) = (&mut run.checkpoint, key) {
            let kept = Other::Joint(Arc::new(joint.solution.clone()));
            checkpoint.other_done(&planned.name, key, kept, seconds);
        }
        let whole: Arc<str> = Arc::from(planned.name.as_str());
        let results = joint.parts.iter().zip(tensors).zip(held).map(|((fit, tensor), held_out)| FitResult {
            name: format!("{}.of({})", planned.name, tensor.name),
            fit: Arc::clone(fit),
            tensor,
            joint: Some(Arc::clone(&whole)),
            held_out,
            control: planned.control,
            memory: self.options.memory,
            seconds,
            span: planned.span,
        });
        let result = JointResult {
            name: planned.name.clone(),
            data: planned.tensor.clone(),
            parts: results.collect(),
            weights: own.members.iter().map(|m| m.weight).collect(),
            control: planned.control,
            seconds,
            span: planned.span,
            joint: Arc::new(joint),
        };
        Ok((result, notes))
    }

    /// Hides what is held out of each tensor. A tensor so small that nothing of it is held out stays whole.
    fn hide(
        &self,
        (own, seed): (&PlannedJoint, u64),
        tensors: Vec<Arc<Tensor>>,
        host: &dyn Host,
    ) -> Result<Hidden, Vec<Diagnostic>> {
        let (mut rest, mut held) = (Vec::new(), Vec::new());
        let mut nothing = Vec::new();
        for (member, tensor) in own.members.iter().zip(tensors) {
            let hidden = member.hold_out.as_ref().map(|h| h.apply(&tensor, seed, host));
            match hidden {
                Some(Ok((seen, hidden))) => {
                    rest.push(seen);
                    held.push(Some(hidden));
                    continue;
                }
                Some(Err(list)) if list.iter().all(|d| d.code == Code::MBA457) => nothing.extend(list),
                Some(Err(list)) => return Err(list),
                None => {}
            }
            rest.push(tensor);
            held.push(None);
        }
        if !nothing.is_empty() && held.iter().all(Option::is_none) {
            return Err(nothing);
        }
        Ok((rest, held))
    }
}

/// A digest of all that a joint fit is computed from.
fn digest(planned: &PlannedFit, own: &PlannedJoint, tensors: &[Arc<Tensor>]) -> Result<String, String> {
    // more sweeps are no reason to begin again
    let Control { tolerance, max_sweeps: _, acceleration } = planned.control;
    let weights: Vec<_> = own.members.iter().map(|m| exact(m.weight)).collect();
    let data: Vec<String> = tensors.iter().map(|t| saved::digest_of_tensor(t)).collect();
    let priors: Vec<String> =
        own.members.iter().filter_map(|m| Some(m.prior.as_ref()?.digest())).collect::<Result<_, _>>()?;
    // cells that `auto` holds out are drawn from it; what the fit holds out is part of the data
    let seed = (!priors.is_empty()).then_some(planned.seed);
    let what = json!({
        "model": saved::digest_of_model(&planned.model)?,
        "priors": priors,
        "seed": seed,
        "data": data,
        "weights": weights,
        "tolerance": exact(tolerance),
        "acceleration": acceleration,
    });
    Ok(kept::digest(&what, []))
}

/// Interactions and conditions that no tensor can see. A family may have members that no tensor has, as long as
/// some tensor has one of them.
fn unseen(model: &EnergyModel, members: &[PlannedMember]) -> Vec<Diagnostic> {
    let scopes: Vec<Scope> = members.iter().map(|m| m.modes.iter().copied().collect()).collect();
    let seen = |s: &Scope| scopes.iter().any(|of| s.is_subset(of));
    let names: Vec<&str> = members.iter().map(|m| m.tensor.as_str()).collect();
    let mut told: Vec<Span> = Vec::new();
    let mut found = Vec::new();
    for interaction in &model.interactions {
        let span = interaction.span;
        let alike = || model.interactions.iter().filter(|i| i.span == span);
        if alike().any(|i| seen(&i.scope)) || told.contains(&span) {
            continue;
        }
        told.push(span);
        let bracket = model.bracket(&interaction.scope);
        found.push(
            Diagnostic::new(Code::MBA375, format!("no tensor has all modes of `{bracket}`"))
                .at(span, "nothing is fitted to it")
                .note(format!("the tensors are {}", suggest::list(&names)))
                .help("leave it out, or add a tensor over these modes"),
        );
    }
    for forbidden in model.support.iter().filter(|f| !seen(&f.scope)) {
        let bracket = model.bracket(&forbidden.scope);
        found.push(
            Diagnostic::new(
                Code::MBA375,
                format!("no tensor has all modes of the condition over `{bracket}`"),
            )
            .at(forbidden.span, "no cell is forbidden by it")
            .note(format!("the tensors are {}", suggest::list(&names)))
            .help("leave it out, or add a tensor over these modes"),
        );
    }
    found
}

/// Tensors that share no free table with another.
fn apart(
    model: &EnergyModel,
    members: &[PlannedMember],
    targets: &[(&str, f64, &Bound, Span)],
) -> Vec<Diagnostic> {
    let layout = Layout::of(model, &members.iter().map(|m| m.modes.clone()).collect::<Vec<_>>());
    let places = |t: usize| {
        let tables = layout.own[t].blocks.iter().filter(|b| !b.scope.is_empty());
        tables.flat_map(|b| b.place.iter().copied()).collect::<std::collections::HashSet<u32>>()
    };
    let seen: Vec<_> = (0..members.len()).map(places).collect();
    let mut found = Vec::new();
    for (t, (name, _, _, at)) in targets.iter().enumerate() {
        let shares = |o: usize| o != t && !seen[o].is_disjoint(&seen[t]);
        if (0..members.len()).any(shares) {
            continue;
        }
        let why = if seen[t].is_empty() {
            format!("`{}` has no free table over its modes", model.name)
        } else {
            "none of the tables it sees is seen by another tensor".to_string()
        };
        found.push(
            Diagnostic::new(Code::MBA378, format!("`{name}` shares nothing with the other tensors"))
                .at(*at, why)
                .help(format!("fit it alone: `fit {} to {name}`", model.name)),
        );
    }
    found
}

/// Levels that come from the data, and are not the same in two tensors that share the mode.
fn different_levels(targets: &[(&str, f64, &Bound, Span)]) -> Vec<Diagnostic> {
    let mut first: IndexMap<&str, (&str, Span, &Levels)> = IndexMap::new();
    let mut found: IndexMap<&str, Diagnostic> = IndexMap::new();
    for (name, _, bound, at) in targets {
        let Origin::Stored(_, header) = &bound.origin else { continue };
        for axis in header.axes.iter().filter(|a| a.from_data) {
            let (other, other_at, levels) = *first.entry(&axis.mode).or_insert((*name, *at, &axis.levels));
            let (Levels::Listed(a), Levels::Listed(b)) = (levels, &axis.levels) else { continue };
            let (only_a, only_b) = (a.iter().find(|l| !b.contains(*l)), b.iter().find(|l| !a.contains(*l)));
            let (who, whom, level) = match (only_a, only_b) {
                (Some(level), _) => (other, *name, level),
                (_, Some(level)) => (*name, other, level),
                _ => continue,
            };
            let level = level.label();
            found.entry(&axis.mode).or_insert_with(|| {
                Diagnostic::new(
                    Code::MBA379,
                    format!("`{other}` and `{name}` have different levels of `{}`", axis.mode),
                )
                .at(other_at, format!("{} levels", a.len()))
                .at(*at, format!("{} levels", b.len()))
                .note(format!("`{level}` is in `{who}` and not in `{whom}`"))
                .help(format!(
                    "where no record means zero, list all levels: `mode {}: {{…}}`; else leave the others out of the data",
                    axis.mode
                ))
            });
        }
    }
    found.into_values().collect()
}

/// What is worth saying once a joint fit has ended.
fn after(result: &JointResult, kept: Option<&str>) -> Vec<Diagnostic> {
    let joint = &result.joint;
    let ended = (joint.status, joint.certificate.marginal_gap, joint.solution.iterations);
    let mut found: Vec<Diagnostic> =
        told::ended(&result.name, result.span, ended, &result.control, kept).into_iter().collect();
    found.extend(result.parts.iter().filter_map(told::open_cells));
    if joint.status == Status::Boundary && joint.zero_marginals.is_empty() {
        found.push(told::on_the_boundary((&result.name, result.span), None));
    }
    found.extend(told::zero_cells((&result.name, result.span), &joint.model, &joint.zero_marginals, None));
    found
}
