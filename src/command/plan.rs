//! `mba plan`.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use num_bigint::BigUint;

use super::host::FileHost;
use super::options::{Format, Reading};
use super::output::{Printer, complain, report};
use crate::plan::Schedule;
use crate::plan::summation::Summation;
use crate::report::{self, Value};
use crate::session::{Outcome, PlannedFit, Session};
use crate::text::suggest;

/// The form of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A tree for people
    #[value(alias = "text")]
    Tree,
    /// One JSON array
    Json,
    /// One JSON object a line
    Jsonl,
    /// Graphviz
    Dot,
}

impl Form {
    /// The format of objects, where it is one.
    fn machine(self) -> Option<Format> {
        match self {
            Form::Json => Some(Format::Json),
            Form::Jsonl => Some(Format::Jsonl),
            Form::Tree | Form::Dot => None,
        }
    }
}

/// Arguments of `mba plan`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Form::Tree)]
    format: Form,
    /// Only this fit
    #[arg(long, value_name = "NAME")]
    fit: Option<String>,
}

/// Prints schedules.
pub fn run(arguments: &Arguments) -> u8 {
    let (path, text) = match arguments.reading.program() {
        Ok(program) => program,
        Err(status) => return status,
    };
    let host = FileHost::new();
    let (session, diagnostics) = Session::load(&path, &text, arguments.reading.session(), &host);
    let complaints = arguments.reading.complaints();
    // where standard output is for machines, diagnostics are objects among the others, as those of a run are
    let printer = arguments.format.machine().map(|format| {
        let mut printer = Printer::new(arguments.reading.output(), format, complaints);
        printer.diagnostics(&diagnostics, &session.sources);
        printer
    });
    if printer.is_none() {
        report(&diagnostics, &session.sources, complaints);
    }
    let mut outcome = Outcome::default();
    diagnostics.iter().for_each(|d| outcome.count(d));
    let wanted = |name: &str| arguments.fit.as_deref().is_none_or(|f| f == name);
    let plans: Vec<_> = session
        .planned
        .iter()
        .filter(|p| wanted(&p.name))
        .filter_map(|p| p.schedule.as_ref().map(|s| (p, s)))
        .collect();
    let sums = if arguments.fit.is_none() { session.sums() } else { Vec::new() };
    if let (Some(fit), true) = (&arguments.fit, plans.is_empty()) {
        let names: Vec<&str> = session.planned.iter().map(|p| p.name.as_str()).collect();
        complain(&format!("there is no fit `{fit}` to plan; the fits are {}", suggest::list(&names)));
        if let Some(printer) = printer {
            printer.finish();
        }
        return if outcome.is_ok() { 2 } else { outcome.status() };
    }
    if let Some(mut printer) = printer {
        objects(&session, &plans, &sums).into_iter().for_each(|object| printer.object(object));
        printer.finish();
        return outcome.status();
    }
    let mut output = arguments.reading.output();
    match arguments.format {
        Form::Dot => plans.iter().for_each(|(_, schedule)| output.print(&schedule.dot())),
        _ => {
            for (position, (planned, schedule)) in plans.iter().enumerate() {
                if position > 0 {
                    output.print("\n");
                }
                output.print(&format!(
                    "fit {} to {}{}\n",
                    planned.name,
                    planned.tensor,
                    holes(&session, planned)
                ));
                output.print(&schedule.tree());
            }
            for (position, (title, list)) in sums.iter().enumerate() {
                if position > 0 || !plans.is_empty() {
                    output.print("\n");
                }
                output.print(&format!("{title}\n"));
                list.iter().for_each(|sum| output.print(&sum.tree()));
            }
        }
    }
    outcome.status()
}

/// Every plan as an object.
fn objects(
    session: &Session,
    plans: &[(&PlannedFit, &Arc<Schedule>)],
    sums: &[(String, Vec<Summation>)],
) -> Vec<serde_json::Value> {
    let plans = plans.iter().map(|(planned, schedule)| {
        let mut object =
            serde_json::json!({ "fit": planned.name, "data": planned.tensor, "plan": schedule.json() });
        let missing = missing(session, planned);
        if !missing.is_empty() {
            let counts = missing.into_iter().map(|(name, n)| (name.to_string(), Value::Count(n)));
            object["missing"] = report::json::value(&Value::Record(counts.collect()));
        }
        object
    });
    let sums = sums.iter().flat_map(|(title, list)| {
        list.iter().map(move |sum| serde_json::json!({ "sum": title, "plan": sum.json() }))
    });
    plans.chain(sums).collect()
}

/// How many cells of each tensor are missing, where that is known before they are read and some are.
fn missing<'a>(session: &Session, planned: &'a PlannedFit) -> Vec<(&'a str, BigUint)> {
    let tensors: Vec<&str> = match &planned.joint {
        Some(joint) => joint.members.iter().map(|m| m.tensor.as_str()).collect(),
        None => vec![&planned.tensor],
    };
    let some = |name| Some((name, session.missing(name).filter(|n| *n > BigUint::default())?));
    tensors.into_iter().filter_map(some).collect()
}

/// The same in words.
fn holes(session: &Session, planned: &PlannedFit) -> String {
    let one = |(name, n): (&str, BigUint)| {
        let s = if n == BigUint::from(1u32) { "" } else { "s" };
        format!(", {n} cell{s} of {name} missing")
    };
    missing(session, planned).into_iter().map(one).collect()
}
