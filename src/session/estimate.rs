//! `estimate M by METHOD as name`: models with known energies, by approximations and simulations.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::check::claim;
use super::execute::Run;
use super::{Event, Session};
use crate::model::declarations::Declarations;
use crate::model::elaborate::{KnownModes, names_in};
use crate::model::{EnergyModel, Interaction, Potential, Scope, Table, constant, elaborate};
use crate::plan;
use crate::report::archive::exact;
use crate::report::kept::{self, Other};
use crate::report::results::estimates::{self, EstimateResult, Found};
use crate::report::saved;
use crate::run::Distribution;
use crate::run::approximate::{self, APPROXIMATIONS};
use crate::run::landscape::Landscape;
use crate::run::monte_carlo::{
    Kernel, Ladder, Path, Scan, Settings, Simulation, anneal, anneal_back, simulate,
};
use crate::text::ast::{Estimate, Expr, ExprKind, FitOption, OptionValue, Statement, StatementKind};
use crate::text::{Code, Diagnostic, Span, suggest};

/// What a method is.
#[derive(Clone, Copy)]
enum Kind {
    Approximation(&'static approximate::Method),
    Chain(fn(&Landscape) -> Kernel),
    Tempering,
    Independence,
    Annealing { back: bool },
}

/// The simulations, by name; the approximations have a registry of their own.
const SIMULATIONS: &[(&str, &str, Kind)] = &[
    ("gibbs", "each mode drawn in turn given all others", Kind::Chain(|l| Kernel::gibbs(l, &Scan::Line))),
    (
        "checkerboard",
        "modes drawn given all others, those that do not interact one after the other",
        Kind::Chain(|l| Kernel::gibbs(l, &Scan::Checkerboard)),
    ),
    ("tempering", "replicas at several temperatures that trade places", Kind::Tempering),
    (
        "independence",
        "cells proposed by another distribution, accepted so that the chain is exact",
        Kind::Independence,
    ),
    (
        "annealed_importance",
        "the work along a path from infinite temperature, by Jarzynski's equality",
        Kind::Annealing { back: false },
    ),
    (
        "reverse_annealing",
        "the work along the path back to infinite temperature, from exact draws",
        Kind::Annealing { back: true },
    ),
];

/// The methods of estimating, each with what it is.
pub fn estimators() -> Vec<(&'static str, &'static str)> {
    let approximations = APPROXIMATIONS.iter().map(|m| (m.name, m.about));
    approximations.chain(SIMULATIONS.iter().map(|(name, about, _)| (*name, *about))).collect()
}

/// The options of estimates: name, and what it is for. Which of them a method has, and what they are unless said
/// otherwise, is settled in [`Options::new`].
const OPTIONS: &[(&str, &str)] = &[
    ("tolerance", "approximations: the change of a probability at which sweeps end"),
    ("max_sweeps", "approximations: the most sweeps"),
    ("damping", "approximations: how much of the old value stays in each step, from 0 to below 1"),
    ("restarts", "approximations: starts, of which the best is kept"),
    ("sweeps", "chains: sweeps that are looked at"),
    ("burn_in", "chains: sweeps before those that are looked at"),
    ("chains", "chains: how many, each with random numbers of its own"),
    ("replicas", "`by tempering`: temperatures, evenly spaced in their logarithms"),
    ("hottest", "`by tempering`: the highest temperature"),
    ("proposal", "`by independence`: a fit, or a model whose sum is exact, that cells are proposed from"),
    ("steps", "annealing: temperatures along the path"),
    ("runs", "annealing: how many times the path is gone"),
    ("seed", "the seed of what is random"),
];

/// The options of estimates, each with what it is for.
pub fn options() -> &'static [(&'static str, &'static str)] {
    OPTIONS
}

/// A method by its name, with what it is.
fn find(name: &str, span: Span) -> Result<(&'static str, &'static str, Kind), Diagnostic> {
    if let Some(method) = APPROXIMATIONS.iter().find(|m| m.name == name) {
        return Ok((method.name, method.about, Kind::Approximation(method)));
    }
    if let Some(found) = SIMULATIONS.iter().find(|(n, _, _)| *n == name) {
        return Ok(*found);
    }
    let names = || APPROXIMATIONS.iter().map(|m| m.name).chain(SIMULATIONS.iter().map(|s| s.0));
    let report = Diagnostic::new(Code::MBA102, format!("there is no method `{name}` of estimating"));
    Err(suggest::instead(report, (name, span), names(), ("method", "by "), || {
        format!("the methods are {}", suggest::list(&names().collect::<Vec<_>>()))
    }))
}

/// Mean-field products, each from a start of its own, that independence chains propose from.
const STARTS: u64 = 7;

/// The options of a method, all of them numbers but `proposal`.
struct Options<'a> {
    numbers: IndexMap<&'static str, f64>,
    /// The number `seed`, with all its digits.
    seed: u64,
    proposal: Option<&'a Expr>,
}

impl<'a> Options<'a> {
    fn new(
        kind: Kind,
        written: &'a [FitOption],
        seed: u64,
        declarations: &Declarations,
    ) -> Result<Self, Diagnostic> {
        let s = Settings::default();
        let chain = [("sweeps", s.sweeps), ("burn_in", s.burn_in), ("chains", s.chains)];
        let mut numbers: IndexMap<&'static str, f64> = IndexMap::new();
        match kind {
            Kind::Approximation(method) => {
                let d = approximate::Settings::default();
                numbers.extend([("tolerance", d.tolerance), ("damping", method.damping)]);
                numbers.extend([("max_sweeps", d.max_sweeps as f64), ("restarts", d.restarts as f64)]);
            }
            Kind::Annealing { .. } => numbers.extend([("steps", 100.0), ("runs", 1000.0)]),
            _ => numbers.extend(chain.map(|(n, v)| (n, v as f64))),
        }
        if matches!(kind, Kind::Tempering) {
            numbers.extend([("replicas", 8.0), ("hottest", f64::NAN)]);
        }
        numbers.insert("seed", seed as f64);
        let mut options = Self { numbers, seed, proposal: None };
        for option in written {
            let name = option.name.name.as_str();
            let [OptionValue::Value(value)] = option.values.as_slice() else {
                return Err(Diagnostic::new(Code::MBA105, format!("`{name}` takes one value"))
                    .at(option.span, "here")
                    .help(format!("write `{name} 1`")));
            };
            if name == "proposal" && matches!(kind, Kind::Independence) {
                options.proposal = Some(value);
                continue;
            }
            let Some((known, _)) = options.numbers.get_key_value(name).map(|(k, v)| (*k, *v)) else {
                let names: Vec<&str> = options.numbers.keys().copied().collect();
                let report = Diagnostic::new(Code::MBA102, format!("this method has no option `{name}`"));
                let written = (name, option.name.span);
                return Err(suggest::instead(report, written, names.iter().copied(), ("option", ""), || {
                    format!("its options are {}", suggest::list(&names))
                }));
            };
            let x = match known {
                "tolerance" | "damping" | "hottest" => constant::number(value, &declarations.names())?,
                "seed" => {
                    options.seed = constant::whole(value, 0, &declarations.names())? as u64;
                    options.seed as f64
                }
                "burn_in" => constant::whole(value, 0, &declarations.names())? as f64,
                _ => constant::whole(value, 1, &declarations.names())? as f64,
            };
            let wrong = match known {
                "tolerance" => !(x > 0.0 && x < 1.0),
                "damping" => !(0.0..1.0).contains(&x),
                "hottest" => !(x > 0.0 && x.is_finite()),
                "sweeps" => x < 100.0,
                "runs" => x < 2.0,
                _ => false,
            };
            if wrong {
                let range = match known {
                    "tolerance" => "between 0 and 1",
                    "damping" => "from 0 to below 1",
                    "sweeps" => "at least 100",
                    "runs" => "at least 2",
                    _ => "positive",
                };
                return Err(Diagnostic::new(Code::MBA105, format!("a value of {x} for `{known}`"))
                    .at(value.span, format!("must be {range}"))
                    .help("choose another number"));
            }
            options.numbers.insert(known, x);
        }
        Ok(options)
    }

    /// What is kept of every sweep of every chain, of every run and of every step, in bytes.
    fn bytes(&self) -> f64 {
        16.0 * self.get("sweeps") * self.get("chains") + 64.0 * self.get("runs") + 8.0 * self.get("steps")
    }

    fn get(&self, name: &str) -> f64 {
        self.numbers.get(name).copied().unwrap_or(0.0)
    }

    fn count(&self, name: &str) -> usize {
        self.get(name) as usize
    }
}

/// An estimate that a program makes.
pub struct Estimated {
    /// Its name.
    pub name: String,
    /// The model.
    pub model: String,
    /// Number of modes.
    pub modes: usize,
    /// The temperature.
    pub temperature: f64,
    /// The method.
    pub method: &'static str,
    /// Its options in words.
    pub effort: String,
}

impl Session {
    /// The estimates of the program, in the order of the text; what is wrong with one has been reported.
    pub fn estimates_made(&self) -> Vec<Estimated> {
        let one = |statement: &Statement| {
            let StatementKind::Estimate(estimate) = &statement.kind else { return None };
            let (model, _, method, options) = self.prepare(estimate, statement.span).ok()?;
            Some(Estimated {
                name: estimate.name.as_ref()?.name.clone(),
                model: model.name,
                modes: model.modes.len(),
                temperature: model.temperature,
                method: method.0,
                effort: effort(&options),
            })
        };
        self.main().iter().filter_map(one).collect()
    }

    pub(super) fn check_estimate(
        &self,
        estimate: &Estimate,
        span: Span,
        names: &mut IndexMap<String, Span>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        if let Some(name) = &estimate.name
            && let Err(twice) = claim(names, name, "choose another name")
        {
            diagnostics.push(twice);
        }
        if let Err(list) = self.prepare(estimate, span) {
            diagnostics.extend(list);
        }
    }

    /// The model as it is to be estimated, and the method.
    #[allow(clippy::type_complexity)] // a method as its registries list it
    fn prepare<'a>(
        &self,
        estimate: &'a Estimate,
        span: Span,
    ) -> Result<(EnergyModel, Landscape, (&'static str, &'static str, Kind), Options<'a>), Vec<Diagnostic>>
    {
        let one = |d: Diagnostic| vec![d];
        if estimate.name.is_none() {
            return Err(one(Diagnostic::new(Code::MBA105, "an estimate needs a name of its own")
                .at(span, "the model's name stands for what is exact")
                .help("name it: `… as rough`")));
        }
        let Some(named) = &estimate.method else {
            return Err(one(Diagnostic::new(Code::MBA105, "an estimate names its method")
                .at(span, "by what method?")
                .help("write `by mean_field`, `by bethe`, `by gibbs` or another")));
        };
        let method = find(&named.name, named.span).map_err(one)?;
        let (declarations, known, temperature) = self.changed(estimate)?;
        let again = super::fit_options::repeated(&estimate.options);
        if !again.is_empty() {
            return Err(again);
        }
        let options =
            Options::new(method.2, &estimate.options, self.options.seed, &declarations).map_err(one)?;
        if options.bytes() > self.options.memory as f64 {
            return Err(one(Diagnostic::new(
                Code::MBA501,
                "this estimate needs more memory than it may use",
            )
            .at(span, format!("it keeps {:e} bytes of what it sees", options.bytes()))
            .help("ask for fewer `sweeps`, `chains`, `steps` or `runs`, or allow more with `--memory`")));
        }
        let entry = declarations.model(&estimate.model.name.name, estimate.model.name.span).map_err(one)?;
        let mut mentioned = Vec::new();
        estimate.model.arguments.iter().for_each(|a| names_in(&a.value, &mut mentioned));
        let modes: Vec<String> = mentioned
            .iter()
            .filter_map(|(n, _)| declarations.modes.get(n))
            .flat_map(|entry| entry.members())
            .collect();
        let over = (entry.is_template() && !modes.is_empty()).then_some(modes);
        let (model, found) = elaborate(&declarations, &known, entry, Some(&estimate.model), over.as_deref());
        let Some(mut model) = model else {
            return Err(found.into_iter().filter(Diagnostic::is_error).collect());
        };
        if let Some(t) = temperature {
            model.temperature = t;
        }
        let refuse = |message: String| Diagnostic::new(Code::MBA351, message).at(span, "estimated here");
        let landscape = Landscape::new(&model).map_err(|what| {
            one(refuse(format!("`{}` has no energy: its {what} is known only after a fit", model.name))
                .help("give every interaction an energy, as in `[a b] = …`"))
        })?;
        if !model.support.is_empty() || !model.latent.is_empty() || model.algebra != Default::default() {
            let message =
                format!("`{}` has forbidden cells, latent modes or an algebra of its own", model.name);
            return Err(one(refuse(message).help("estimate a model of energies alone")));
        }
        if model.modes.is_empty() {
            let message = format!("`{}` has no modes", model.name);
            return Err(one(refuse(message).help("name the modes of a template: `estimate ising(s) by …`")));
        }
        if let Kind::Approximation(tap) = method.2
            && tap.name == "tap"
            && let Some(term) = landscape.terms.iter().find(|t| t.modes.len() > 2)
        {
            let scope = model.bracket(&term.table.scope);
            return Err(one(refuse(format!(
                "`by tap` is an expansion in pairs, and `{scope}` has more than two modes"
            ))
            .help("take `by bethe` or `by mean_field`")));
        }
        Ok((model, landscape, method, options))
    }

    /// Declarations with the params of an estimate in place of their own, the modes that follow from them, and
    /// the temperature.
    fn changed(
        &self,
        estimate: &Estimate,
    ) -> Result<(Arc<Declarations>, Arc<KnownModes>, Option<f64>), Vec<Diagnostic>> {
        let mut temperature = None;
        let mut settings = Vec::new();
        for (name, value) in &estimate.settings {
            if name.name == "temperature" && !self.declarations.params.contains_key("temperature") {
                let t = constant::number(value, &self.declarations.names()).map_err(|d| vec![d])?;
                if !(t > 0.0 && t.is_finite()) {
                    let shown = crate::model::mode::number_label(t);
                    return Err(vec![
                        Diagnostic::new(Code::MBA305, format!("temperature is {shown}"))
                            .at(value.span, "must be positive and finite")
                            .help("write a positive number; units are those of the energy"),
                    ]);
                }
                temperature = Some(t);
            } else if self.declarations.params.contains_key(&name.name) {
                // what is set is said in terms of the program's own params
                let x = constant::number(value, &self.declarations.names()).map_err(|d| vec![d])?;
                settings.push((name.name.clone(), Expr { kind: ExprKind::Number(x), span: value.span }));
            } else {
                let names = self.declarations.params.keys().map(String::as_str).chain(["temperature"]);
                let near = suggest::nearest(&name.name, names);
                let help = "params and `temperature` can be set".to_string();
                return Err(vec![crate::model::declarations::unknown(
                    "param", &name.name, name.span, near, help,
                )]);
            }
        }
        if settings.is_empty() {
            return Ok((Arc::clone(&self.declarations), Arc::clone(&self.known), temperature));
        }
        let (declarations, known) = self.with_params(settings)?;
        Ok((Arc::new(declarations), Arc::new(known), temperature))
    }

    pub(super) fn run_estimate(&mut self, estimate: &Estimate, span: Span, run: &mut Run) {
        let Some(name) = &estimate.name else { return };
        let found = self.prepare(estimate, span).and_then(|(model, mut landscape, method, options)| {
            let key = match &run.checkpoint {
                // what is proposed from is too much to be told apart
                Some(_) if options.proposal.is_none() => digest(&model, method.0, &options),
                _ => None,
            };
            let known = match (&run.checkpoint, &key) {
                (Some(checkpoint), Some(key)) => {
                    checkpoint.other(&name.name, key, span).map_err(|d| vec![d])?
                }
                _ => None,
            };
            let found = match known.filter(|(other, _)| kept::belongs(other, &model.modes)) {
                Some((Other::Estimate(found), _)) => {
                    run.sink.event(Event::Resumed(&name.name, 0, true), &self.sources);
                    found
                }
                _ => {
                    let started = run.host.seconds();
                    landscape.stop = self.options.stop.clone();
                    let found = self.estimated(&model, &landscape, method, &options, span)?;
                    if landscape.was_cut() {
                        return Err(vec![interrupted(&model.name, span)]);
                    }
                    if let (Some(checkpoint), Some(key)) = (&mut run.checkpoint, key) {
                        let seconds = run.host.seconds() - started;
                        checkpoint.other_done(&name.name, key, Other::Estimate(found.clone()), seconds);
                    }
                    found
                }
            };
            Ok(EstimateResult {
                name: name.name.clone(),
                model: model.name.clone(),
                method: method.0,
                about: method.1,
                modes: Arc::new(model.modes.clone()),
                temperature: model.temperature,
                effort: effort(&options),
                found,
            })
        });
        match found {
            Ok(result) => {
                let label = format!("estimate {} of {} by {}", result.name, result.model, result.method);
                run.sink.event(Event::Show(&label, &estimates::summary(&result)), &self.sources);
                if let Some(diagnostic) = after(&result, span) {
                    self.tell(diagnostic, run);
                }
                self.estimates.insert(result.name.clone(), result);
            }
            Err(list) => {
                let list = list.into_iter().map(|d| d.or_at(span, "estimated here")).collect();
                self.tell_all(list, run);
            }
        }
    }

    fn estimated(
        &self,
        model: &EnergyModel,
        landscape: &Landscape,
        (_, _, kind): (&'static str, &'static str, Kind),
        options: &Options,
        span: Span,
    ) -> Result<Found, Vec<Diagnostic>> {
        let settings = Settings {
            sweeps: options.count("sweeps"),
            burn_in: options.count("burn_in"),
            chains: options.count("chains"),
            seed: options.seed,
        };
        let refuse = |why: String| vec![Diagnostic::new(Code::MBA351, why).at(span, "estimated here")];
        let whole = |found: Option<Simulation>| match found {
            Some(found) => Ok(Found::Simulation(Arc::new(found))),
            // what was asked to end is told by its name
            None => Err(vec![interrupted(&model.name, span)]),
        };
        Ok(match kind {
            Kind::Approximation(method) => {
                let settings = approximate::Settings {
                    tolerance: options.get("tolerance"),
                    max_sweeps: options.count("max_sweeps"),
                    damping: options.get("damping"),
                    seed: settings.seed,
                    restarts: options.count("restarts"),
                };
                let found = (method.run)(landscape, &settings).map_err(refuse)?;
                Found::Approximation(Arc::new(found), method.meaning)
            }
            Kind::Chain(kernel) => whole(simulate(landscape, &kernel(landscape), None, &settings))?,
            Kind::Tempering => {
                let hottest = options.get("hottest");
                let hottest = if hottest.is_nan() { 4.0 * model.temperature } else { hottest };
                if hottest <= model.temperature {
                    return Err(refuse(format!(
                        "the hottest replica is no hotter than {}",
                        model.temperature
                    )));
                }
                let ladder = Ladder::geometric(model.temperature, hottest, options.count("replicas").max(2));
                let kernel = Kernel::gibbs(landscape, &Scan::Line);
                whole(simulate(landscape, &kernel, Some(&ladder), &settings))?
            }
            Kind::Independence => {
                let proposals = self.proposals(model, landscape, options.proposal, settings.seed)?;
                let kernel = Kernel::Independence { proposals };
                whole(simulate(landscape, &kernel, None, &settings))?
            }
            Kind::Annealing { back } => {
                let path = Path::straight(model.temperature, options.count("steps"));
                let runs = options.count("runs");
                let work = if back {
                    let exact = self.exact(model).map_err(|mut list| {
                        list.iter_mut()
                            .for_each(|d| d.notes.push("the way back starts from exact draws".into()));
                        list
                    })?;
                    let order: Vec<usize> = (0..model.modes.len()).collect();
                    anneal_back(landscape, &order, &exact, &path, runs, settings.seed)
                } else {
                    let kernel = Kernel::gibbs(landscape, &Scan::Line);
                    anneal(landscape, &kernel, &path, runs, settings.seed)
                };
                Found::Work(Arc::new(work.ok_or_else(|| vec![interrupted(&model.name, span)])?))
            }
        })
    }

    fn exact(&self, model: &EnergyModel) -> Result<Distribution, Vec<Diagnostic>> {
        Distribution::from_fixed(
            model,
            &plan::Options { memory: self.options.memory, ..plan::Options::default() },
        )
    }

    /// What independence chains propose: a fit, a model whose sum is exact, or mean-field products from several
    /// starts together with the uniform distribution.
    fn proposals(
        &self,
        model: &EnergyModel,
        landscape: &Landscape,
        written: Option<&Expr>,
        seed: u64,
    ) -> Result<Vec<Distribution>, Vec<Diagnostic>> {
        let Some(written) = written else {
            let unary = |(m, q): (usize, Vec<f64>)| {
                let scope: Scope = std::iter::once(m).collect();
                let energies = q.iter().map(|q| -model.temperature * q.max(f64::MIN_POSITIVE).ln()).collect();
                let table = Table { scope: scope.clone(), shape: vec![q.len()], values: energies };
                Interaction { scope, potential: Potential::Fixed(Arc::new(table)), span: Span::default() }
            };
            let method = APPROXIMATIONS.iter().find(|m| m.name == "mean_field");
            let mut proposals = vec![self.exact(&EnergyModel { interactions: Vec::new(), ..model.clone() })?];
            for start in 0..STARTS {
                let seed = seed.wrapping_add(start);
                let settings =
                    approximate::Settings { seed, restarts: 1, ..approximate::Settings::default() };
                let found = method.map(|m| (m.run)(landscape, &settings));
                let Some(Ok(found)) = found else { continue };
                let interactions = found.marginals.into_iter().enumerate().map(unary).collect();
                proposals.push(self.exact(&EnergyModel { interactions, ..model.clone() })?);
            }
            return Ok(proposals);
        };
        let wrong =
            |why: String| {
                vec![Diagnostic::new(Code::MBA351, why).at(written.span, "proposed from here").help(
                    "name a fit over the same modes, or a model with known energies whose sum is exact",
                )]
            };
        let ExprKind::Name(name) = &written.kind else { return Err(wrong("a proposal is a name".into())) };
        let (modes, distribution) = match self.results.get(name) {
            Some(result) if result.fit.learned.as_ref().is_none_or(|l| l.pseudo_likelihood.is_none()) => {
                (result.fit.model.modes.clone(), result.fit.distribution.clone())
            }
            Some(_) => {
                return Err(wrong(format!(
                    "`{name}` was fitted by pseudo-likelihood: it cannot be drawn from"
                )));
            }
            None => {
                let entry = self.declarations.model(name, written.span).map_err(|d| vec![d])?;
                let (proposed, found) = elaborate(&self.declarations, &self.known, entry, None, None);
                let Some(proposed) = proposed else {
                    return Err(found.into_iter().filter(Diagnostic::is_error).collect());
                };
                let distribution = self.exact(&proposed)?;
                (proposed.modes, distribution)
            }
        };
        if modes != model.modes {
            return Err(wrong(format!("`{name}` and `{}` have different modes", model.name)));
        }
        let positive = |q: &f64| *q > 0.0;
        if !distribution.cliques.iter().all(|c| c.belief.values.iter().all(positive)) {
            return Err(wrong(format!(
                "`{name}` never proposes some cells, which the chain then could not reach"
            )));
        }
        Ok(vec![distribution])
    }
}

/// A digest of all that an estimate is computed from.
fn digest(model: &EnergyModel, method: &str, options: &Options) -> Option<String> {
    let numbers: Vec<(&str, Json)> = options.numbers.iter().map(|(name, x)| (*name, exact(*x))).collect();
    let model = saved::digest_of_model(model).ok()?;
    Some(kept::digest(
        &json!({ "model": model, "method": method, "options": numbers, "seed": options.seed }),
        [],
    ))
}

/// An estimate that was asked to end.
fn interrupted(name: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA537, format!("the estimate of `{name}` was interrupted"))
        .at(span, "asked to end")
        .note("nothing is kept of it: what chains have seen so far is no estimate")
        .help("let it run, or ask for less work in its options")
}

/// The options in words.
fn effort(options: &Options) -> String {
    let shown = options.numbers.iter().filter(|(_, x)| !x.is_nan());
    let list = shown.map(|(name, x)| match *name {
        "seed" => format!("seed {}", options.seed),
        _ => format!("{name} {}", crate::model::mode::number_label(*x)),
    });
    list.collect::<Vec<String>>().join(", ")
}

/// What is worth saying once an estimate has ended.
fn after(result: &EstimateResult, span: Span) -> Option<Diagnostic> {
    match &result.found {
        Found::Approximation(a, _) if !a.converged => Some(
            Diagnostic::new(Code::MBA552, format!("`{}` did not converge", result.name))
                .at(span, format!("a probability still moves by {:.1e} after {} sweeps", a.residual, a.sweeps))
                .help("damp more with `{ damping 0.9 }`, allow more with `{ max_sweeps … }`, or take another method"),
        ),
        Found::Simulation(s) if !estimates::covered(result) => {
            let c = s.coverage?;
            Some(
                Diagnostic::new(Code::MBA554, format!("the proposal of `{}` misses part of the model", result.name))
                    .at(
                        span,
                        format!(
                            "{} proposals are worth {:.1} cells of the model, and a chain refused {} of {} in a row",
                            c.proposals, c.effective, c.longest_stay, c.moves
                        ),
                    )
                    .note("what is hardly ever proposed is hardly ever seen, and the error bars do not know of it")
                    .help("propose from a distribution that is closer to the model, or take `by gibbs` or `by tempering`"),
            )
        }
        Found::Simulation(s) if !estimates::reliable(result) => {
            let tau = s.magnetization.map_or(0.0, |m| m.autocorrelation_time).max(s.energy.autocorrelation_time);
            Some(
                Diagnostic::new(Code::MBA553, format!("`{}` is too short for its error bars", result.name))
                    .at(span, format!("an autocorrelation time of {tau:.0} sweeps or more"))
                    .note("a chain of fewer than 50 autocorrelation times may not have seen everything")
                    .help("make more `sweeps`, or take `by tempering`"),
            )
        }
        Found::Work(w) if !estimates::reliable(result) => Some(
            Diagnostic::new(Code::MBA553, format!("`{}` is too short for its error bars", result.name))
                .at(span, format!("its runs are worth {:.1} of equal weight", w.effective_samples()))
                .note("an exponential average of few runs is biased, and its error is too small")
                .help("make more `steps`, which spreads the work less, or more `runs`"),
        ),
        _ => None,
    }
}
