//! `mba test`: the tests of many programs at once, and their snapshots.
//!
//! | module | what it does |
//! |---|---|
//! | `find.rs` | which files, and which tests in them |
//! | `desk.rs` | what a test sees of the outside: files to read, nothing to write |
//! | `pool.rs` | workers that run files, and the watch over their time |
//! | `outcome.rs` | what came of each test |
//! | `accept.rs` | which snapshots are to be kept, asked for or told |
//! | `human.rs`, `json.rs`, `junit.rs` | the report |

mod accept;
mod desk;
mod find;
mod human;
mod json;
mod junit;
mod outcome;
mod pool;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::options::{Colour, bytes};
use super::output::{Output, complain};
use crate::session::Options;
use outcome::{Mode, Suite};

/// The form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// One JSON object
    Json,
    /// JUnit XML, which hosted CI reads
    Junit,
}

/// Arguments of `mba test`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Programs, or folders of programs; the current folder when there are none
    paths: Vec<PathBuf>,
    /// Only tests whose line in `--list` has this text in it; may be repeated
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Only list the tests
    #[arg(long)]
    list: bool,
    /// Write nothing, and fail where a snapshot is missing or taken by no test; the default where CI is set
    #[arg(long, group = "mode")]
    check: bool,
    /// Go through what is new, has moved or is taken by no test, one by one
    #[arg(long, group = "mode")]
    review: bool,
    /// Keep every snapshot as it is now, and remove those that no test takes
    #[arg(long, group = "mode")]
    accept: bool,
    /// Keep snapshots that do not exist yet
    #[arg(long, group = "mode")]
    accept_new: bool,
    /// The form of the report
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Programs to run at once; the report is the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Threads of the fits; the results are the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The most time a test may take, such as `90s` or `1h`
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10min")]
    time_limit: Duration,
    /// Refuse what needs more memory, such as `512M` or `2GiB`
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "4GiB")]
    memory: u64,
    /// Use colour
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
}

impl Arguments {
    fn mode(&self) -> Mode {
        let set = std::env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "false" && v != "0");
        match self {
            Arguments { check: true, .. } => Mode::Check,
            Arguments { review: true, .. } => Mode::Review,
            Arguments { accept: true, .. } => Mode::Accept,
            Arguments { accept_new: true, .. } => Mode::AcceptNew,
            _ if set => Mode::Check,
            _ => Mode::Compare,
        }
    }

    fn session(&self) -> Options {
        Options { memory: self.memory, ..Options::default() }
    }
}

/// Runs the tests of programs.
pub fn run(arguments: &Arguments) -> u8 {
    if arguments.review && arguments.format != Format::Human {
        complain("--review asks questions, so it goes with `--format human` only");
        return 2;
    }
    // programs run in threads of their own, so that this one must not be one of those that are shared
    if let Some(threads) = arguments.threads
        && let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global()
    {
        complain(&format!("{threads} threads cannot be had: {error}"));
        return 2;
    }
    let found = match find::programs(&arguments.paths) {
        Ok(found) => found,
        Err((path, error)) => {
            complain(&format!("`{}` cannot be read: {error}", path.display()));
            return 3;
        }
    };
    let mut output = Output::new(arguments.color);
    let selection = find::Selection { filter: arguments.filter.clone() };
    if arguments.list {
        return list(&found, &selection, arguments, &mut output);
    }
    let mode = arguments.mode();
    let mut suite = Suite::new(mode);
    let streams = arguments.format == Format::Human && !mode.writes();
    let limits = pool::Limits {
        time: arguments.time_limit,
        jobs: arguments.jobs.map_or_else(jobs, usize::from),
        options: arguments.session(),
    };
    pool::run(&found.programs, &selection, &limits, |mut file| {
        outcome::judge(&mut file, mode, !selection.filter.is_empty());
        if streams {
            human::file(&file, &mut output);
        }
        suite.add(file);
    });
    if selection.filter.is_empty() {
        suite.files.extend(found.orphans.iter().map(|path| outcome::orphan(path, mode)));
        if streams {
            suite.files[suite.files.len() - found.orphans.len()..]
                .iter()
                .for_each(|f| human::file(f, &mut output));
        }
    }
    if suite.is_empty() {
        complain(match (found.programs.is_empty(), selection.filter.is_empty()) {
            (true, _) => "there are no programs here: files that end in `.mba`",
            (false, true) => "no program here has a test",
            (false, false) => "no test has this text in its line of `mba test --list`",
        });
        return 4;
    }
    if mode.writes() {
        accept::settle(&mut suite, &mut output);
        if arguments.format == Format::Human {
            suite.files.iter().for_each(|f| human::file(f, &mut output));
        }
    }
    match arguments.format {
        Format::Human => human::summary(&suite, &mut output),
        Format::Json => output.print(&json::report(&suite)),
        Format::Junit => match junit::report(&suite) {
            Ok(text) => output.print(&text),
            Err(error) => complain(&format!("the report cannot be written: {error}")),
        },
    }
    output.flush();
    suite.status()
}

fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `--list`: a line for each test, which is also what `--filter` looks in.
fn list(found: &find::Found, selection: &find::Selection, arguments: &Arguments, output: &mut Output) -> u8 {
    let mut tests = Vec::new();
    let mut status = 0;
    for path in &found.programs {
        let text = match super::host::read_text(path) {
            Ok(text) => text,
            Err(error) => {
                complain(&format!("`{path}` cannot be read: {error}"));
                status = 3;
                continue;
            }
        };
        let mut sources = crate::text::Sources::default();
        let source = sources.add(path.as_str(), text.as_str());
        let (program, _) = crate::text::parse(source, &text);
        for statement in &program.statements {
            if let crate::text::ast::StatementKind::Test(test) = &statement.kind
                && selection.takes(path, &test.name.value)
            {
                tests.push((path.as_str(), test.name.value.clone()));
            }
        }
    }
    let text = match arguments.format {
        Format::Human => tests.iter().map(|(path, name)| format!("{}\n", find::line(path, name))).collect(),
        _ => {
            let objects: Vec<_> =
                tests.iter().map(|(path, name)| serde_json::json!({ "file": path, "test": name })).collect();
            format!("{}\n", serde_json::Value::Array(objects))
        }
    };
    output.print(&text);
    if tests.is_empty() && status == 0 { 4 } else { status }
}

/// A time with a unit: `ms s m min h`; seconds without one.
fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| "write a time, such as 90s or 10min".to_string())?;
    let seconds = match unit.trim() {
        "ms" => number / 1000.0,
        "" | "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        other => return Err(format!("unknown unit `{other}`; the units are ms, s, min and h")),
    };
    if !(seconds > 0.0 && seconds <= 1e9) {
        return Err("a time is more than nothing and less than thirty years".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5 min"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        for wrong in ["", "0", "-1s", "soon", "3 parsecs", "1e99h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
