//! `mba run`.

use std::time::{Duration, Instant};

use clap::Args;

use super::host::FileHost;
use super::options::{Format, Reading};
use super::output::Printer;
use super::progress::Progress;
use super::signals;
use crate::session::{Keeping, Outcome, PlannedFit, Session};

/// Where a run ends before this, nobody waits to hear that a signal was heard.
const SHORT: Duration = Duration::from_millis(100);

/// Arguments of `mba run`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show how a fit is going
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    progress: Progress,
    /// End after this long, such as `30s`, `10m` or `1h 30m`: the fit that runs ends at its next sweep
    #[arg(long, value_name = "TIME", value_parser = duration)]
    time_limit: Option<Duration>,
    /// Keep what has been done in this file, so that the run can go on after it ended early
    #[arg(long, value_name = "FILE", value_parser = path)]
    checkpoint: Option<String>,
    /// How often to write the checkpoint [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    checkpoint_every: Option<Duration>,
    /// Go on from this checkpoint, and keep it up to date unless `--checkpoint` names another file
    #[arg(long, value_name = "FILE", value_parser = path)]
    resume: Option<String>,
}

/// Runs a program.
pub fn run(arguments: &Arguments) -> u8 {
    let started = Instant::now();
    let (path, text) = match arguments.reading.program() {
        Ok(program) => program,
        Err(status) => return status,
    };
    let (stop, signals) = signals::stop();
    let host = FileHost::new().until(signals.asked());
    let mut options = arguments.reading.session();
    options.keeping = Keeping {
        save: arguments.checkpoint.clone(),
        every: arguments.checkpoint_every.map_or(Keeping::default().every, |e| e.as_secs_f64()),
        resume: arguments.resume.clone(),
    };
    let (limit, ear) = (arguments.time_limit, signals.clone());
    options.stop = stop.or_when(move || {
        let spent = started.elapsed();
        if spent >= SHORT {
            ear.announce();
        }
        limit.is_some_and(|limit| spent >= limit)
    });
    let (mut session, diagnostics) = Session::load(&path, &text, options, &host);
    let mut printer =
        Printer::new(arguments.reading.output(), arguments.format, arguments.reading.complaints());
    printer.progress = arguments.progress;
    printer.diagnostics(&diagnostics, &session.sources);
    let mut checked = Outcome::default();
    diagnostics.iter().for_each(|d| checked.count(d));
    if let Some(nothing) = checked.is_ok().then(|| session.idle()).flatten() {
        printer.diagnostics(std::slice::from_ref(&nothing), &session.sources);
        checked.count(&nothing);
    }
    let outcome = if checked.is_ok() {
        // threads make a small fit dearer; where they are needed after all, they are made then
        let shares = session.planned.iter().any(PlannedFit::shares);
        if shares {
            arguments.reading.every_thread();
        }
        if shares || arguments.checkpoint.is_some() || arguments.resume.is_some() {
            signals.announce();
        }
        session.run(&host, &mut printer)
    } else {
        checked
    };
    printer.finish();
    outcome.status()
}

fn duration(text: &str) -> Result<Duration, String> {
    // a bare number can only mean seconds
    if let Ok(seconds) = text.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string());
    }
    humantime::parse_duration(text).map_err(|e| format!("{e}; write it as `30s`, `10m` or `1h 30m`"))
}

/// A path that can be written and read again.
fn path(text: &str) -> Result<String, String> {
    let kind = std::fs::metadata(text).map(|m| m.file_type());
    match text {
        "-" => Err("a checkpoint is a file".into()),
        "" => Err("a file has a name".into()),
        _ if kind.is_ok_and(|k| !k.is_file()) => Err("this is there and is not a file".into()),
        _ => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_many_ways() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("-1").is_err() && duration("soon").is_err() && duration("nan").is_err());
    }
}
