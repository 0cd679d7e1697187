//! Fits that were saved: `load "f.npz" as f`.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{Event, Host, Outcome, PlannedFit, Session, Sink};
use crate::data::Content;
use crate::model::EnergyModel;
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
                let model = saved::model(&content, statement.span).map_err(|r| unreadable(path, r))?;
                Ok((content, Arc::new(model)))
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
        if let Some(first) = names.insert(name.name.clone(), name.span) {
            diagnostics.push(
                Diagnostic::new(Code::MBA103, format!("there are two fits called `{}`", name.name))
                    .at(name.span, "the second one")
                    .at(first, "the first one")
                    .help(format!("name it otherwise: `load \"{}\" as other`", path.value)),
            );
            return;
        }
        let model = match self.saved.get(&name.name) {
            Some(Ok((_, model))) => Arc::clone(model),
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
            hold_out: None,
            control,
            span,
        });
    }

    /// Reads the numbers of a saved fit.
    pub(super) fn run_load(
        &mut self,
        path: &Text,
        planned: &PlannedFit,
        sink: &mut dyn Sink,
        outcome: &mut Outcome,
    ) {
        let Some(Ok((content, _))) = self.saved.get(&planned.name) else { return };
        match saved::decode(content, &planned.name, self.options.memory, planned.span) {
            Ok(result) => {
                sink.event(Event::Loaded(&result, &path.value), &self.sources);
                self.results.insert(planned.name.clone(), result);
            }
            Err(reason) => self.tell(unreadable(path, reason), sink, outcome),
        }
    }

    /// What a whole fit is saved as, and what is saved as that.
    pub(super) fn check_saved(&self, value: &Expr, path: &Text) -> Option<Diagnostic> {
        let ending = path.value.rsplit_once('.')?.1.to_ascii_lowercase();
        let whole = matches!(&value.kind, ExprKind::Name(n) if self.planned.iter().any(|p| p.name == *n));
        let refuse = |reason: &str, help: String| {
            Diagnostic::new(Code::MBA409, format!("this cannot be saved to `{}`", path.value))
                .at(value.span, reason)
                .at(path.span, "to this format")
                .help(help)
        };
        match (ending.as_str(), whole) {
            ("npz", false) => Some(refuse(
                "not the name of a fit",
                "save a whole fit, as in `save f to \"f.npz\"`, or an array to a file that ends in `.npy`"
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

/// What is known of a saved fit before its numbers are read.
pub(super) type Saved = Result<(Content, Arc<EnergyModel>), Diagnostic>;
