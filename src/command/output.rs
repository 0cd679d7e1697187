//! What is printed, and where.

use std::io::{self, IsTerminal, Write};

use serde_json::{Value as Json, json};

use super::options::{Colour, Format};
use super::progress::{Progress, Reporter};
use crate::report::results::{FitResult, JointResult};
use crate::report::{self, Style, diagnostics, number};
use crate::run::{Certificate, Observer, Silent, Status};
use crate::session::{Event, Sink, TestOutcome, sweeps};
use crate::text::{Diagnostic, Sources};

/// Standard output, written to until its reader goes away.
pub struct Output {
    style: Style,
    out: io::BufWriter<io::Stdout>,
    closed: bool,
}

impl Output {
    /// Standard output with the colour that is asked for.
    pub fn new(colour: Colour) -> Self {
        Self {
            style: style(colour, io::stdout().is_terminal()),
            out: io::BufWriter::new(io::stdout()),
            closed: false,
        }
    }

    /// What it can show.
    pub fn style(&self) -> Style {
        self.style
    }

    /// Prints text as it is.
    pub fn print(&mut self, text: &str) {
        if !self.closed {
            self.closed = self.out.write_all(text.as_bytes()).is_err();
        }
    }

    /// Makes what was printed visible.
    pub fn flush(&mut self) {
        if !self.closed {
            self.closed = self.out.flush().is_err();
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.flush();
    }
}

fn style(colour: Colour, terminal: bool) -> Style {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    let colour = match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => terminal && !dumb && !set("NO_COLOR"),
    };
    let width = if terminal { terminal_width() } else { Style::default().width };
    Style { colour, width, unicode: !dumb }
}

fn terminal_width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    columns
        .or_else(|| terminal_size::terminal_size().map(|(w, _)| usize::from(w.0)))
        .unwrap_or(Style::default().width)
        .clamp(40, 200)
}

/// What standard error can show.
pub fn style_of_errors(colour: Colour) -> Style {
    style(colour, io::stderr().is_terminal())
}

/// Whether a line on standard error can be drawn again.
pub fn redraws() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// One line on standard error, about the command itself.
pub fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "mba: {message}");
}

/// Diagnostics on standard error.
pub fn report(list: &[Diagnostic], sources: &Sources, style: Style) {
    let _ = io::stderr().write_all(diagnostics::render(list, sources, style).as_bytes());
}

/// Prints the events of a run in one of the formats.
pub struct Printer {
    /// Where to.
    pub output: Output,
    format: Format,
    /// Whether to show how long fits are going.
    pub progress: Progress,
    complaints: Style,
    collected: Vec<Json>,
    last_was_fit: bool,
    count: Vec<Diagnostic>,
}

impl Printer {
    /// A printer of events.
    pub fn new(output: Output, format: Format, complaints: Style) -> Self {
        let (collected, count) = (Vec::new(), Vec::new());
        Self { output, format, progress: Progress::Never, complaints, collected, last_was_fit: false, count }
    }

    /// Prints the diagnostics of a check.
    pub fn diagnostics(&mut self, list: &[Diagnostic], sources: &Sources) {
        for diagnostic in list {
            self.event(Event::Diagnostic(diagnostic), sources);
        }
    }

    /// What follows answers another input.
    pub fn next_input(&mut self) {
        self.last_was_fit = false;
    }

    /// Prints what could only be printed at the end, but no summary.
    pub fn finish_quietly(mut self) {
        self.count.clear();
        self.finish();
    }

    /// Prints what could only be printed at the end.
    pub fn finish(mut self) {
        match self.format {
            Format::Json => {
                let text = serde_json::to_string_pretty(&Json::Array(std::mem::take(&mut self.collected)));
                self.output.print(&text.unwrap_or_default());
                self.output.print("\n");
            }
            Format::Text if !self.count.is_empty() => {
                let _ = writeln!(io::stderr(), "{}", diagnostics::summary(&self.count));
            }
            _ => {}
        }
        self.output.flush();
    }

    /// Prints an object, where the format is one of objects.
    pub fn object(&mut self, object: Json) {
        match self.format {
            Format::Json => self.collected.push(object),
            _ => {
                self.output.print(&object.to_string());
                self.output.print("\n");
                self.output.flush();
            }
        }
    }

    fn text(&mut self, event: &Event<'_>, sources: &Sources) {
        let is_fit =
            matches!(event, Event::Fit(..) | Event::Joint(..) | Event::Loaded(..) | Event::LoadedJoint(..));
        if self.last_was_fit && matches!(event, Event::Show(..) | Event::Test(_)) {
            self.output.print("\n");
        }
        match event {
            Event::Diagnostic(diagnostic) => {
                self.output.flush();
                let text = diagnostics::report(diagnostic, sources, self.complaints);
                let _ = io::stderr().write_all(text.as_bytes());
                let _ = io::stderr().write_all(b"\n");
                self.count.push((*diagnostic).clone());
                return;
            }
            // output is that of a run that never stopped; this is about the command
            Event::Resumed(fit, _, true) => return complain(&format!("`{fit}` was done before")),
            Event::Resumed(fit, n, false) => {
                return complain(&format!("`{fit}` goes on after {}", sweeps(*n)));
            }
            Event::Fit(result, _) => self.output.print(&fit_line(result)),
            Event::Joint(result, _) => {
                self.output.print(&format!(
                    "fit {} to {}: {}\n",
                    result.name,
                    result.data,
                    how_joint(result)
                ));
            }
            Event::Loaded(result, path) => {
                self.output.print(&format!("load {} from {path}: {}\n", result.name, how(result)));
            }
            Event::LoadedJoint(result, path) => {
                self.output.print(&format!("load {} from {path}: {}\n", result.name, how_joint(result)));
            }
            Event::Show(label, value) => {
                let text = report::show(label, value, self.output.style());
                self.output.print(&text);
                if text.trim_end().contains('\n') {
                    self.output.print("\n");
                }
            }
            Event::Saved(path) => self.output.print(&format!("saved {path}\n")),
            Event::Test(test) => {
                let word = if test.failures.is_empty() { "passed" } else { "FAILED" };
                self.output.print(&format!("test \"{}\" {word}{}\n", test.name, new_snapshots(test)));
                self.output.flush();
                report(&test.failures, sources, self.complaints);
            }
        }
        self.last_was_fit = is_fit;
        self.output.flush();
    }
}

fn new_snapshots(test: &TestOutcome) -> String {
    match test.new_snapshots {
        0 => String::new(),
        1 => " (1 snapshot does not exist yet)".into(),
        n => format!(" ({n} snapshots do not exist yet)"),
    }
}

/// One line on how a fit ended.
fn fit_line(result: &FitResult) -> String {
    format!("fit {} to {}: {}\n", result.name, result.tensor.name, how(result))
}

fn how(result: &FitResult) -> String {
    let fit = &result.fit;
    let (how, proof) = (ended(fit.status, fit.iterations), proof(&fit.certificate));
    let reached = match fit.learned.as_ref().and_then(|l| l.pseudo_likelihood) {
        Some(value) => format!("pseudo-likelihood {}", number::number(value)),
        None => format!("kl {}", number::number(fit.kl)),
    };
    format!("{how}, {reached}, {proof}")
}

fn how_joint(result: &JointResult) -> String {
    let joint = &result.joint;
    let (how, proof) = (ended(joint.status, joint.solution.iterations), proof(&joint.certificate));
    format!("{how}, kl {}, {proof}", number::number(result.kl()))
}

fn ended(status: Status, iterations: usize) -> String {
    match status {
        Status::ClosedForm => "closed form".to_string(),
        Status::Converged => format!("converged in {}", sweeps(iterations)),
        Status::Boundary if iterations == 0 => "closed form, on the boundary".into(),
        Status::Boundary => format!("boundary optimum in {}", sweeps(iterations)),
        Status::Stopped => format!("STOPPED after {}", sweeps(iterations)),
        Status::Interrupted => format!("INTERRUPTED after {}", sweeps(iterations)),
        Status::Approximate => "approximated".into(),
    }
}

fn proof(certificate: &Certificate) -> String {
    match certificate.optimality_gap {
        Some(gap) => format!("within {} nats of the optimum", scientific(gap)),
        None => format!("marginals match to {}", scientific(certificate.marginal_gap)),
    }
}

fn scientific(x: f64) -> String {
    if x == 0.0 { "0".into() } else { format!("{x:.1e}") }
}

impl Sink for Printer {
    fn event(&mut self, event: Event<'_>, sources: &Sources) {
        if self.format == Format::Text {
            return self.text(&event, sources);
        }
        let object = match event {
            Event::Diagnostic(diagnostic) => diagnostics::json(diagnostic, sources),
            Event::Fit(result, seconds) => json!({
                "fit": result.name,
                "status": result.fit.status.word(),
                "iterations": result.fit.iterations,
                "kl": finite(result.fit.kl),
                "certificate": {
                    "marginal_gap": finite(result.fit.certificate.marginal_gap),
                    "optimality_gap": result.fit.certificate.optimality_gap.map(finite),
                },
                "seconds": finite(seconds),
            }),
            Event::Joint(result, seconds) => json!({
                "fit": result.name,
                "tensors": result.parts.iter().map(|p| p.tensor.name.as_str()).collect::<Vec<_>>(),
                "status": result.joint.status.word(),
                "iterations": result.joint.solution.iterations,
                "kl": finite(result.kl()),
                "certificate": {
                    "marginal_gap": finite(result.joint.certificate.marginal_gap),
                    "optimality_gap": result.joint.certificate.optimality_gap.map(finite),
                },
                "seconds": finite(seconds),
            }),
            Event::Loaded(result, path) => json!({ "loaded": path, "as": result.name }),
            Event::LoadedJoint(result, path) => json!({ "loaded": path, "as": result.name }),
            Event::Resumed(fit, sweeps, done) => {
                json!({ "resumed": fit, "iterations": sweeps, "done": done })
            }
            Event::Show(label, value) => {
                let mut shown = json!({ "show": label, "value": report::json::value(value) });
                let notes = value.notes();
                if !notes.is_empty() {
                    shown["notes"] = json!(notes);
                }
                shown
            }
            Event::Saved(path) => json!({ "saved": path }),
            Event::Test(test) => json!({
                "test": test.name,
                "status": if test.failures.is_empty() { "passed" } else { "failed" },
                "failures": test.failures.iter().map(|f| diagnostics::json(f, sources)["diagnostic"].take()).collect::<Vec<_>>(),
                "new_snapshots": test.new_snapshots,
            }),
        };
        self.object(object);
    }

    fn observer(&mut self, fit: &str, _tolerance: f64) -> Box<dyn Observer + '_> {
        match Reporter::new(fit, self.progress, self.format, &mut self.output) {
            Some(reporter) => Box::new(reporter),
            None => Box::new(Silent),
        }
    }
}

/// A number for JSON: null when it is not finite.
fn finite(x: f64) -> Json {
    report::json::value(&report::Value::Number(x))
}
