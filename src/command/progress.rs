//! How a long fit is going: a bar on a terminal, plain lines elsewhere, objects where the output is a
//! stream of them. Quick fits say nothing.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value as Json, json};

use super::options::Format;
use super::output::Output;
use crate::report::archive::exact;
use crate::run::{Flow, Observer, Sweep};

/// Whether to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// When a fit takes long
    Auto,
    /// From the first sweep
    Always,
    /// Never
    Never,
}

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bar,
    Lines,
    Objects,
}

impl Form {
    /// Seconds before the first report, and between two of them.
    fn pace(self) -> (f64, f64) {
        match self {
            Form::Bar => (0.5, 0.1),
            Form::Lines => (5.0, 10.0),
            Form::Objects => (1.0, 1.0),
        }
    }
}

/// Reports of one fit.
pub struct Reporter<'a> {
    fit: String,
    form: Form,
    always: bool,
    output: &'a mut Output,
    pace: Pace,
    started: Instant,
    reported: Option<f64>,
    bar: Option<ProgressBar>,
}

impl<'a> Reporter<'a> {
    /// A reporter, unless none is wanted.
    pub fn new(fit: &str, progress: Progress, format: Format, output: &'a mut Output) -> Option<Self> {
        let form = match (progress, format) {
            (Progress::Never, _) => return None,
            (_, Format::Jsonl) => Form::Objects,
            _ if super::output::redraws() => Form::Bar,
            _ => Form::Lines,
        };
        let always = progress == Progress::Always;
        let (pace, started) = (Pace::default(), Instant::now());
        Some(Self { fit: fit.into(), form, always, output, pace, started, reported: None, bar: None })
    }

    fn due(&self, now: f64) -> bool {
        let (first, between) = self.form.pace();
        match self.reported {
            None => self.always || now >= first,
            Some(last) => now - last >= between,
        }
    }

    fn report(&mut self, sweep: &Sweep, seconds: f64) {
        let rate = self.pace.rate();
        let left = self.pace.left(sweep);
        match self.form {
            Form::Objects => {
                self.output.print(&format!("{}\n", object(&self.fit, sweep, rate, seconds, left)));
                self.output.flush();
            }
            Form::Lines => {
                let _ = writeln!(io::stderr(), "mba: fit {}: {}", self.fit, line(sweep, rate, left));
            }
            Form::Bar => {
                let new = self.bar.is_none();
                let bar = self.bar.get_or_insert_with(bar);
                bar.set_prefix(format!("fit {}", self.fit));
                bar.set_message(line(sweep, rate, left));
                if new {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                }
                bar.set_position((1000.0 * self.pace.share(sweep)) as u64);
            }
        }
    }
}

/// Not seen until it has something to say.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::hidden());
    // a template that cannot be read leaves the usual bar
    if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:20} {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

impl Observer for Reporter<'_> {
    fn sweep(&mut self, sweep: &Sweep) -> Flow {
        let now = self.started.elapsed().as_secs_f64();
        self.pace.add(now, sweep);
        if self.due(now) {
            self.report(sweep, now);
            self.reported = Some(now);
        }
        Flow::Continue
    }

    fn keeps(&self) -> bool {
        false
    }
}

impl Drop for Reporter<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn object(fit: &str, sweep: &Sweep, rate: Option<f64>, seconds: f64, left: Option<f64>) -> Json {
    let mut object = json!({ "progress": fit, "sweep": sweep.number, "residual": finite(sweep.gap),
        "tolerance": exact(sweep.tolerance), "rate": rate.map(finite), "seconds": finite(seconds),
        "left": left.map(finite) });
    if let Some(objective) = sweep.objective {
        object["objective"] = finite(objective);
    }
    object
}

/// A number for a program that reads along: null when it is not finite.
fn finite(x: f64) -> Json {
    if x.is_finite() { exact(x) } else { Json::Null }
}

fn line(sweep: &Sweep, rate: Option<f64>, left: Option<f64>) -> String {
    let mut line = format!("sweep {}, residual {:.1e} of {:.1e}", sweep.number, sweep.gap, sweep.tolerance);
    if sweep.atoms > 1 {
        line.push_str(&format!(", part {} of {}", sweep.atom, sweep.atoms));
    }
    match rate {
        Some(rate) if rate >= 10.0 => line.push_str(&format!(", {rate:.0} sweeps/s")),
        Some(rate) if rate >= 1.0 => line.push_str(&format!(", {rate:.1} sweeps/s")),
        Some(rate) if rate > 0.0 => line.push_str(&format!(", {:.1} s a sweep", 1.0 / rate)),
        _ => {}
    }
    match left {
        Some(left) if left < 1.0 => line.push_str(", almost done"),
        Some(left) if left < 1e8 => {
            let left = humantime::format_duration(Duration::from_secs(coarse(left)));
            line.push_str(&format!(", about {left} left"));
        }
        _ => {}
    }
    line
}

/// Two digits are as many as a guess has.
fn coarse(seconds: f64) -> u64 {
    let unit = match seconds {
        s if s < 100.0 => 1.0,
        s if s < 3600.0 => 60.0,
        s if s < 86_400.0 => 600.0,
        _ => 3600.0,
    };
    ((seconds / unit).round() * unit).max(1.0) as u64
}

/// Sweeps that are looked back on.
const LOOKS_BACK: usize = 64;

/// What the last sweeps say of those to come.
#[derive(Debug, Default)]
struct Pace {
    /// Seconds and ln residual of the last sweeps of this atom.
    last: VecDeque<(f64, f64)>,
    atom: usize,
    /// The ln residual this atom began with.
    first: f64,
}

impl Pace {
    fn add(&mut self, now: f64, sweep: &Sweep) {
        let residual = sweep.gap.max(f64::MIN_POSITIVE).ln();
        if self.atom != sweep.atom {
            self.atom = sweep.atom;
            self.last.clear();
            self.first = residual;
        }
        if self.last.len() == LOOKS_BACK {
            self.last.pop_front();
        }
        self.last.push_back((now, residual));
    }

    /// Sweeps a second.
    fn rate(&self) -> Option<f64> {
        let (first, last) = (self.last.front()?, self.last.back()?);
        let seconds = last.0 - first.0;
        (seconds > 0.0).then(|| (self.last.len() - 1) as f64 / seconds)
    }

    /// Fall of ln residual per sweep, by least squares.
    fn fall(&self) -> Option<f64> {
        let n = self.last.len() as f64;
        if n < 3.0 {
            return None;
        }
        let middle = (n - 1.0) / 2.0;
        let mean = self.last.iter().map(|(_, r)| r).sum::<f64>() / n;
        let sweeps = || self.last.iter().enumerate().map(|(k, (_, r))| (k as f64 - middle, r - mean));
        let spread: f64 = sweeps().map(|(k, _)| k * k).sum();
        let fall = -sweeps().map(|(k, r)| k * r).sum::<f64>() / spread;
        fall.is_finite().then_some(fall)
    }

    /// Seconds until this atom is at its tolerance, at the fall of the last sweeps, or has used its sweeps up.
    fn left(&self, sweep: &Sweep) -> Option<f64> {
        let rate = self.rate()?;
        let residual = self.last.back()?.1;
        let allowed = sweep.most.saturating_sub(sweep.own) as f64;
        let needed = match self.fall() {
            Some(fall) if fall > 1e-12 => ((residual - sweep.tolerance.ln()) / fall).max(0.0),
            _ => allowed,
        };
        Some(needed.min(allowed) / rate)
    }

    /// How much of the way to the tolerance this atom has gone, on a logarithmic scale.
    fn share(&self, sweep: &Sweep) -> f64 {
        let residual = self.last.back().map_or(self.first, |(_, r)| *r);
        let way = self.first - sweep.tolerance.ln();
        if way > 0.0 { ((self.first - residual) / way).clamp(0.0, 1.0) } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(number: usize, gap: f64) -> Sweep {
        Sweep { number, own: number, atom: 1, atoms: 1, gap, tolerance: 1e-10, most: 1000, objective: None }
    }

    #[test]
    fn a_steady_fall_is_foreseen() {
        let mut pace = Pace::default();
        for k in 1..=40 {
            // a tenth each five sweeps, ten sweeps in three seconds
            pace.add(0.3 * f64::from(k), &sweep(k as usize, 10f64.powf(-f64::from(k) / 5.0)));
        }
        let now = sweep(40, 1e-8);
        assert!((pace.rate().unwrap() - 1.0 / 0.3).abs() < 1e-9);
        assert!((pace.left(&now).unwrap() - 3.0).abs() < 1e-6, "{:?}", pace.left(&now));
        assert!((pace.share(&now) - 7.8 / 9.8).abs() < 1e-9);
        assert_eq!(
            line(&now, pace.rate(), pace.left(&now)),
            "sweep 40, residual 1.0e-8 of 1.0e-10, 3.3 sweeps/s, about 3s left"
        );
    }

    #[test]
    fn where_nothing_falls_the_sweeps_that_are_left_bound_the_time() {
        let mut pace = Pace::default();
        for k in 1..=100 {
            pace.add(0.1 * f64::from(k), &sweep(k as usize, 0.5));
        }
        assert!((pace.left(&sweep(100, 0.5)).unwrap() - 90.0).abs() < 1e-6);
        let mut strange = Pace::default();
        for gap in [f64::NAN, f64::INFINITY, 0.0] {
            strange.add(0.0, &sweep(1, gap));
            let _ = (strange.rate(), strange.left(&sweep(1, gap)), strange.share(&sweep(1, gap)));
        }
    }

    #[test]
    fn guesses_are_rounded_as_guesses() {
        assert_eq!([0.2, 12.4, 100.0, 3599.0, 90_000.0].map(coarse), [1, 12, 120, 3600, 90_000]);
    }
}
