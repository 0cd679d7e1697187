//! Fits that were saved: `load "f.npz" as f`.

use std::sync::Arc;

use indexmap::IndexMap;

use super::check::claim;
use super::execute::Run;
use super::{Event, Host, PlannedBalance, PlannedFit, PlannedJoint, Session};
use crate::data::Content;
use crate::model::EnergyModel;
use crate::report::kept::{self, KeptBalance};
use crate::report::results::{Environment, estimates};
use crate::report::saved;
use crate::run::Control;
use crate::text::ast::{Expr, ExprKind, Ident, StatementKind, Text};
use crate::text::{Code, Diagnostic, Span};

impl Session {
    /// Opens the files that are loaded and reads the models in them, so that what is asked of them is
    /// checked before anything runs.
    pub(super) fn open_saved(&mut self, host: &dyn Host) {
        let main = self.units.first().map_or_else(String::new, |u| u.path.clone());
        for statement in self.main().to_vec() {
            let StatementKind::Load { path, name } = &statement.kind else { continue };
            let opened = host.open(&host.beside(&main, &path.value)).map_err(|error| {
                Diagnostic::new(Code::MBA401, format!("`{}` cannot be read", path.value))
                    .at(path.span, error.to_string())
                    .help("paths that are read are relative to the program")
            });
            let read = opened.and_then(|content| {
                let whole = match kept::kind(&content).as_deref() {
                    Some(kept::BALANCE) => {
                        kept::decode_balance(&content).map(|b| Whole::Balance(Arc::new(b)))
                    }
                    Some(kept::ESTIMATE) => Ok(Whole::Estimate),
                    Some(saved::joint::FORMAT) => saved::joint::outline(&content, statement.span)
                        .map(|(model, tensors)| Whole::Joint(Arc::new(model), tensors)),
                    _ => saved::model(&content, statement.span).map(|model| Whole::Fit(Arc::new(model))),
                };
                Ok((content, whole.map_err(|r| unreadable(path, r))?))
            });
            self.saved.entry(name.name.clone()).or_insert(read);
        }
    }

    /// A loaded fit takes its place among the fits of the program.
    pub(super) fn check_load(
        &mut self,
        path: &Text,
        name: &Ident,
        span: Span,
        names: &mut IndexMap<String, Span>,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        if let Err(twice) =
            claim(names, name, &format!("name it otherwise: `load \"{}\" as other`", path.value))
        {
            diagnostics.push(twice);
            return;
        }
        let mut joint = None;
        let model = match self.saved.get(&name.name) {
            Some(Ok((_, Whole::Fit(model)))) => Arc::clone(model),
            Some(Ok((_, Whole::Joint(model, tensors)))) => {
                joint = Some(Arc::new(PlannedJoint::of(tensors.clone())));
                Arc::clone(model)
            }
            Some(Ok((_, Whole::Balance(kept)))) => {
                let planned = of_kept(kept, &name.name, span);
                self.balances.push(planned);
                return;
            }
            Some(Ok((_, Whole::Estimate))) => return,
            Some(Err(diagnostic)) => {
                diagnostics.push(diagnostic.clone());
                Arc::new(EnergyModel::empty())
            }
            None => return,
        };
        let (tensor, control) = (String::new(), Control::default());
        self.planned.push(PlannedFit {
            name: name.name.clone(),
            tensor,
            model,
            schedule: None,
            prior: None,
            joint,
            hold_out: None,
            control,
            seed: self.options.seed,
            span,
        });
    }

    /// What is loaded under a name; none when there is no such thing, or it cannot be read.
    pub(super) fn loaded_kind(&self, name: &str) -> Option<Loaded> {
        match self.saved.get(name)?.as_ref().ok()?.1 {
            Whole::Fit(_) | Whole::Joint(..) => Some(Loaded::Fit),
            Whole::Balance(_) => Some(Loaded::Balance),
            Whole::Estimate => Some(Loaded::Estimate),
        }
    }

    /// Whether what is loaded under a name takes the place of a fit.
    pub(super) fn loads_fit(&self, name: &str) -> bool {
        !matches!(self.loaded_kind(name), Some(Loaded::Balance | Loaded::Estimate))
    }

    /// The names of estimates that are loaded.
    pub(super) fn loaded_estimates(&self) -> impl Iterator<Item = &String> {
        self.saved.keys().filter(|name| self.loaded_kind(name) == Some(Loaded::Estimate))
    }

    /// Reads a balanced tensor or an estimate that was saved.
    pub(super) fn run_load_other(&mut self, path: &Text, name: &Ident, span: Span, run: &mut Run) {
        let found = match self.saved.get(&name.name) {
            Some(Ok((_, Whole::Balance(kept)))) => {
                let planned = of_kept(kept, &name.name, span);
                let solution = Arc::clone(&kept.solution);
                self.result(&planned, kept.modes.clone(), solution, kept.margins.clone(), kept.total).map(
                    |mut result| {
                        result.fit.seconds = kept.seconds;
                        run.sink.event(Event::Loaded(&result.fit, &path.value), &self.sources);
                        self.balanced_results.insert(name.name.clone(), result);
                    },
                )
            }
            Some(Ok((content, Whole::Estimate))) => {
                kept::decode_estimate(content, &name.name, &super::estimators())
                    .map_err(|reason| vec![unreadable(path, reason)])
                    .map(|result| {
                        let label = format!("load {} from {}", name.name, path.value);
                        run.sink.event(Event::Show(&label, &estimates::summary(&result)), &self.sources);
                        self.estimates.insert(name.name.clone(), result);
                    })
            }
            _ => Ok(()),
        };
        if let Err(list) = found {
            self.tell_all(list, run);
        }
    }

    /// A fit, a balanced tensor or an estimate as an archive; none when there is no such result.
    pub(super) fn encode_whole(&self, name: &str) -> Option<Result<Vec<u8>, String>> {
        let fit = self.results.get(name).map(saved::encode);
        let joint = || self.joint_results.get(name).map(saved::joint::encode);
        let balance = || {
            let result = self.balanced_results.get(name)?;
            let planned = self.balances.iter().find(|b| b.name == name);
            let names: Vec<String> =
                planned.into_iter().flat_map(|p| &p.margins).map(|(name, _)| name.clone()).collect();
            Some(kept::encode_balance(result, &names))
        };
        fit.or_else(joint).or_else(balance).or_else(|| self.estimates.get(name).map(kept::encode_estimate))
    }

    /// Reads the numbers of a saved fit.
    pub(super) fn run_load(&mut self, path: &Text, planned: &PlannedFit, run: &mut Run) {
        let Some(Ok((content, whole))) = self.saved.get(&planned.name) else { return };
        let (name, memory, span) = (&planned.name, self.options.memory, planned.span);
        let read = match whole {
            Whole::Fit(_) => saved::decode(content, name, memory, span).map(|result| {
                run.sink.event(Event::Loaded(&result, &path.value), &self.sources);
                self.results.insert(name.clone(), result);
            }),
            Whole::Joint(..) => saved::joint::decode(content, name, memory, span).map(|result| {
                run.sink.event(Event::LoadedJoint(&result, &path.value), &self.sources);
                self.joint_results.insert(name.clone(), result);
            }),
            Whole::Balance(_) | Whole::Estimate => Ok(()),
        };
        if let Err(reason) = read {
            self.tell(unreadable(path, reason), run);
        }
    }

    /// What a whole fit is saved as, and what is saved as that.
    pub(super) fn check_saved(&self, value: &Expr, path: &Text) -> Option<Diagnostic> {
        let ending = path.value.rsplit_once('.')?.1.to_ascii_lowercase();
        let whole = matches!(&value.kind, ExprKind::Name(n) if self.planned.iter().any(|p| p.name == *n));
        let other = matches!(&value.kind, ExprKind::Name(n)
            if self.balance_names().contains(n) || self.estimate_names().contains(n));
        let refuse = |reason: &str, help: String| {
            Diagnostic::new(Code::MBA409, format!("this cannot be saved to `{}`", path.value))
                .at(value.span, reason)
                .at(path.span, "to this format")
                .help(help)
        };
        let joint = matches!(&value.kind, ExprKind::Name(n)
            if self.planned.iter().any(|p| p.name == *n && p.joint.is_some()));
        if joint && ["npy", "csv", "tsv"].contains(&ending.as_str()) {
            return Some(refuse(
                "a fit to several tensors",
                "save it to a file that ends in `.npz`, or arrays of its tensors, as in `save f.of(X).fitted to \"x.npy\"`"
                    .into(),
            ));
        }
        match (ending.as_str(), whole) {
            ("npz", false) if !other => Some(refuse(
                "not the name of a fit, a balance or an estimate",
                "save a whole result, as in `save f to \"f.npz\"`, or an array to a file that ends in `.npy`"
                    .into(),
            )),
            ("npy" | "csv" | "tsv", true) => Some(refuse(
                "a whole fit",
                "save it to a file that ends in `.npz`, or one of its arrays, such as `.fitted`".into(),
            )),
            _ => None,
        }
    }
}

fn unreadable(path: &Text, reason: String) -> Diagnostic {
    Diagnostic::new(Code::MBA536, format!("`{}` is not a saved fit that can be read", path.value))
        .at(path.span, reason)
        .help("save it again: `save f to \"f.npz\"` after the fit `f`")
}

/// The statement that a balanced tensor that was saved takes the place of; its kernel is no more.
fn of_kept(kept: &KeptBalance, name: &str, span: Span) -> PlannedBalance {
    PlannedBalance {
        name: name.to_string(),
        kernel: Expr { kind: ExprKind::Name(name.to_string()), span },
        margins: kept.names.iter().map(|margin| (margin.clone(), span)).collect(),
        modes: kept.modes.iter().map(|m| m.name.clone()).collect(),
        control: kept.control,
        span,
    }
}

/// What is known of a saved result before its numbers are asked for.
#[derive(Debug, Clone)]
pub(super) enum Whole {
    /// The model of a fit.
    Fit(Arc<EnergyModel>),
    /// The model of a fit to several tensors, and their names.
    Joint(Arc<EnergyModel>, Vec<String>),
    /// All of a balanced tensor.
    Balance(Arc<KeptBalance>),
    /// That it is an estimate.
    Estimate,
}

/// What a file that is loaded holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loaded {
    Fit,
    Balance,
    Estimate,
}

/// A file that is loaded, and what it holds.
pub(super) type Saved = Result<(Content, Whole), Diagnostic>;
