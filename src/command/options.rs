//! Options that several verbs share.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::output::{self, Output};
use crate::report::Style;
use crate::session::{Level, Options};
use crate::text::Code;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON array
    Json,
    /// One JSON object a line
    Jsonl,
}

/// Whether to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How to read a program.
#[derive(Debug, Args)]
pub struct Reading {
    /// The program (`-` for standard input)
    pub file: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

/// What can be said about any program.
#[derive(Debug, Args)]
pub struct Settings {
    /// Give a param another value: `--set L=12`
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub settings: Vec<(String, String)>,
    /// Refuse what needs more memory, such as `512M` or `2GiB`
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "4GiB")]
    pub memory: u64,
    /// The seed of everything random that names none
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Threads to use; the results are the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Do not report a code (`MBA321`)
    #[arg(long, value_name = "CODE", value_parser = code)]
    pub allow: Vec<Code>,
    /// Report a code as a warning
    #[arg(long, value_name = "CODE", value_parser = code)]
    pub warn: Vec<Code>,
    /// Make a code an error; `warnings` stands for all of them
    #[arg(long, value_name = "CODE", value_parser = code_or_warnings)]
    pub deny: Vec<Option<Code>>,
    /// Use colour
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    pub color: Colour,
}

impl Settings {
    /// The options of a session.
    pub fn session(&self) -> Options {
        let mut levels = HashMap::new();
        levels.extend(self.allow.iter().map(|c| (*c, Level::Allow)));
        levels.extend(self.warn.iter().map(|c| (*c, Level::Warn)));
        levels.extend(self.deny.iter().flatten().map(|c| (*c, Level::Deny)));
        Options {
            settings: self.settings.clone(),
            memory: self.memory,
            seed: self.seed,
            levels,
            deny_warnings: self.deny.contains(&None),
            ..Options::default()
        }
    }

    /// What standard output can show.
    pub fn output(&self) -> Output {
        Output::new(self.color)
    }

    /// What standard error can show.
    pub fn complaints(&self) -> Style {
        output::style_of_errors(self.color)
    }

    /// Sets up the threads that are asked for.
    ///
    /// # Errors
    /// The exit status, when they cannot be had.
    pub fn threads(&self) -> Result<(), u8> {
        let Some(threads) = self.threads else { return Ok(()) };
        gather(usize::from(threads)).map_err(|error| {
            output::complain(&format!("{threads} threads cannot be had: {error}"));
            2
        })
    }

    /// Sets up as many threads as there are processors where no number is asked for: for commands that compute.
    fn every_thread(&self) {
        if self.threads.is_none() {
            // if they cannot be had now, they are asked for again when they are needed
            let _ = gather(0);
        }
    }
}

/// So many threads, of which the one that calls is one: what it begins it also works on, and the others wake
/// only for what is worth sharing.
fn gather(threads: usize) -> Result<(), rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build_global()
}

impl Reading {
    /// The options of a session.
    pub fn session(&self) -> Options {
        self.settings.session()
    }

    /// What standard output can show.
    pub fn output(&self) -> Output {
        self.settings.output()
    }

    /// What standard error can show.
    pub fn complaints(&self) -> Style {
        self.settings.complaints()
    }

    /// Sets up the threads of a command that computes.
    pub fn every_thread(&self) {
        self.settings.every_thread();
    }

    /// The program's path as text, and its text. Before anything else, the threads are set up.
    pub fn program(&self) -> Result<(String, String), u8> {
        self.settings.threads()?;
        let path = self.file.to_string_lossy().into_owned();
        match super::host::read_text(&path) {
            Ok(text) => Ok((path, text)),
            Err(error) => {
                output::complain(&format!("`{path}` cannot be read: {error}"));
                Err(3)
            }
        }
    }
}

/// A param and its value, as in `L=12`.
pub fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok((name.trim().to_string(), value.to_string()))
        }
        _ => Err("write it as NAME=VALUE".into()),
    }
}

fn code(text: &str) -> Result<Code, String> {
    text.parse().map_err(|()| "there is no such code; `mba explain` lists them".into())
}

fn code_or_warnings(text: &str) -> Result<Option<Code>, String> {
    if text.eq_ignore_ascii_case("warnings") { Ok(None) } else { code(text).map(Some) }
}

/// A number of bytes with a unit: powers of 1000 for `k M G T`, of 1024 for `KiB MiB GiB TiB`.
pub fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    // the longest beginning that is a number: `1e9` has an exponent, `1e` has not
    let digits = (1..=text.len())
        .rev()
        .find(|n| {
            text.get(..*n)
                .is_some_and(|t| t.starts_with(|c: char| c.is_ascii_digit()) && t.parse::<f64>().is_ok())
        })
        .unwrap_or(0);
    let number: f64 =
        text[..digits].parse().map_err(|_| "write a number of bytes, such as 512M".to_string())?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "ki" | "kib" => 1024.0,
        "mi" | "mib" => 1024f64.powi(2),
        "gi" | "gib" => 1024f64.powi(3),
        "ti" | "tib" => 1024f64.powi(4),
        other => {
            return Err(format!("unknown unit `{other}`; the units are k, M, G, T and KiB, MiB, GiB, TiB"));
        }
    };
    let bytes = number * unit;
    if bytes > 1e18 {
        return Err("more memory than any machine has".into());
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        assert_eq!(bytes("512"), Ok(512));
        assert_eq!(bytes("1e9"), Ok(1_000_000_000));
        assert!(bytes("9999999999999999999999G").is_err());
        assert_eq!(bytes("1.5k"), Ok(1500));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        assert_eq!(bytes("2 mib"), Ok(2 << 20));
        assert!(bytes("much").is_err());
        assert!(bytes("3 parsecs").is_err());
    }

    #[test]
    fn settings_have_a_name_and_a_value() {
        assert_eq!(setting("L=12"), Ok(("L".into(), "12".into())));
        assert_eq!(setting("J = -1"), Ok(("J".into(), " -1".into())));
        assert!(setting("L").is_err());
        assert!(setting("=3").is_err());
    }
}
