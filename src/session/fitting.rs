//! A fit to one tensor: its data, its solution, and what is told of it.

use std::sync::Arc;

use super::checkpoint::{Begin, Checkpoint};
use super::execute::Run;
use super::{Event, PlannedFit, Session, lean, told};
use crate::data::{self, Tensor};
use crate::plan::Schedule;
use crate::report::results::{FitResult, HeldOut};
use crate::run::{self, Fit, Observer, Status, Stoppable};
use crate::text::{Code, Diagnostic};

/// A fit that was made or taken from a checkpoint.
struct Fitted {
    fit: Arc<Fit>,
    /// What is to be told of the model that it leans to.
    notes: Vec<Diagnostic>,
    /// When it began, by the clock of this run.
    started: f64,
}

impl Session {
    /// Fits, and tells what came of it.
    pub(super) fn run_fit(&mut self, planned: &PlannedFit, run: &mut Run) {
        let Some(schedule) = planned.schedule.clone() else { return };
        if let Some(joint) = planned.joint.clone() {
            return self.run_joint((planned, &joint), run);
        }
        let started = run.host.seconds();
        let Some((tensor, held_out)) = self.data_of(planned, &schedule, run) else { return };
        let fitted = match self.fitted((planned, &schedule), &tensor, started, run) {
            Ok(fitted) => fitted,
            Err(list) => {
                let list = list.into_iter().map(|d| d.or_at(planned.span, "in this fit")).collect();
                return self.tell_all(list, run);
            }
        };
        let result = FitResult {
            name: planned.name.clone(),
            fit: fitted.fit,
            tensor,
            joint: None,
            held_out,
            control: planned.control,
            memory: self.options.memory,
            seconds: run.host.seconds() - fitted.started,
            span: planned.span,
        };
        run.sink.event(Event::Fit(&result, result.seconds), &self.sources);
        let kept = run.checkpoint.as_ref().map(Checkpoint::path);
        let mut found = told::after(&result, kept);
        // a fit that is where it was to be stopped because of what it leans to, and that is told
        if lean::stopped(&fitted.notes) && result.fit.certificate.marginal_gap <= result.control.tolerance {
            found.retain(|d| d.code != Code::MBA510);
        }
        self.tell_all(fitted.notes, run);
        self.tell_all(found, run);
        if matches!(result.fit.status, Status::Stopped | Status::Interrupted) {
            run.outcome.fail();
        }
        self.results.insert(planned.name.clone(), result);
    }

    /// The cells that a fit is to see, and those that it is measured by; none when they cannot be had, which is told.
    fn data_of(
        &self,
        planned: &PlannedFit,
        schedule: &Schedule,
        run: &mut Run,
    ) -> Option<(Arc<Tensor>, Option<HeldOut>)> {
        let known = self.tensors.borrow().contains_key(&planned.tensor);
        // a fit to all cells takes its sums while they are read
        let reduction = planned.hold_out.is_none().then(|| run::Reduction::of(schedule)).flatten();
        let onlooker = reduction.as_ref().map(|r| r as &dyn data::Onlooker);
        let tensor = match self.read_tensor_before(&planned.tensor, onlooker) {
            Ok(tensor) => tensor,
            Err(list) => {
                // what is wrong with the data is said once, at the first fit that needs them
                if !known {
                    self.tell_all(list, run);
                }
                return None;
            }
        };
        let Some(hold_out) = &planned.hold_out else { return Some((tensor, None)) };
        match hold_out.apply(&tensor, planned.seed, run.host) {
            Ok((rest, held)) => Some((rest, Some(held))),
            Err(list) => {
                self.tell_all(list, run);
                None
            }
        }
    }

    /// Fits, or goes on with what a checkpoint has kept of it.
    fn fitted(
        &self,
        (planned, schedule): (&PlannedFit, &Schedule),
        tensor: &Arc<Tensor>,
        started: f64,
        run: &mut Run,
    ) -> Result<Fitted, Vec<Diagnostic>> {
        let begin = match run.checkpoint.as_mut() {
            Some(checkpoint) => checkpoint.begin(planned, tensor).map_err(|d| vec![d])?,
            None => Begin::Afresh,
        };
        let (state, started) = match begin {
            Begin::Afresh => (None, started),
            Begin::Done(fit, seconds) => {
                run.sink.event(Event::Resumed(&planned.name, fit.iterations, true), &self.sources);
                return Ok(Fitted { fit, notes: Vec::new(), started: run.host.seconds() - seconds });
            }
            Begin::From(kept, sweeps, seconds) => {
                run.sink.event(Event::Resumed(&planned.name, sweeps, false), &self.sources);
                (Some(kept), started - seconds)
            }
        };
        let mut notes = Vec::new();
        let (model, control) = (&planned.model, &planned.control);
        let execute = |observer: &mut dyn Observer| match (state, &planned.prior) {
            (_, Some(prior)) => {
                let leaned = prior.fit(model, tensor, &self.work(planned), observer)?;
                notes = leaned.notes;
                Ok(leaned.fit)
            }
            (None, None) => run::execute(schedule, model, tensor, control, observer),
            (Some(s), None) => run::resume(schedule, model, tensor, control, observer, s),
        };
        let inner = run.sink.observer(&planned.name, planned.control.tolerance);
        let mut observer = Stoppable { inner, stop: self.options.stop.clone() };
        let fit = match &mut run.checkpoint {
            None => Arc::new(execute(&mut observer)?),
            Some(checkpoint) => {
                let spent = run.host.seconds() - started;
                let mut keeper = checkpoint.keeper(planned, tensor, observer, spent).map_err(|d| vec![d])?;
                let fit = Arc::new(execute(&mut keeper)?);
                if !matches!(fit.status, Status::Stopped | Status::Interrupted) {
                    keeper.done(&fit, run.host.seconds() - started);
                }
                fit
            }
        };
        Ok(Fitted { fit, notes, started })
    }
}
