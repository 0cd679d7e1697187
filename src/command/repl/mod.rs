//! `mba repl`: the prompt.
//!
//! | file | what |
//! |---|---|
//! | `commands/` | the `:` commands, one file and one registry line each |
//! | `terminal.rs` | line editing: highlighting, completion, continuation, history |
//! | `piped.rs` | input that comes from no terminal |
//! | `history.rs` | where the history is kept |
//! | `interrupt.rs` | Ctrl-C during a fit |
//!
//! What an input means is the business of `session::Prompt`.

mod commands;
mod history;
mod interrupt;
mod piped;
mod terminal;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use self::interrupt::{Interrupt, Listener};
use super::host::{self, FileHost};
use super::options::{Format, Settings};
use super::output::Printer;
use crate::report::Style;
use crate::session::prompt::{Fed, Refused};
use crate::session::{Options, Outcome, Prompt};

/// Arguments of `mba repl`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A program to run first
    #[arg(short = 'i', long = "init", value_name = "FILE")]
    file: Vec<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where the history of inputs is kept [default: `MBA_HISTORY`, else `mba/history` in the user's folder
    /// for the state of programs]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Keep no history
    #[arg(long, conflicts_with = "history")]
    no_history: bool,
    /// Print each input before its answer, when they do not come from a terminal
    #[arg(long)]
    echo: bool,
}

/// What stands before an input.
const PROMPT: &str = "mba> ";

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// With the next input.
    Go,
    /// No more.
    Quit,
}

/// The prompt with everything around it.
struct Repl {
    prompt: Prompt,
    host: FileHost,
    printer: Printer,
    interrupt: Interrupt,
    /// Whether each input is timed.
    timing: bool,
    /// Whether a person sits there.
    interactive: bool,
    /// What went wrong so far, for the exit status of what is piped.
    outcome: Outcome,
    /// Whether a command was used wrongly.
    misused: bool,
    /// The code of the last diagnostic.
    last_code: Option<crate::text::Code>,
}

/// Runs the prompt.
pub fn run(arguments: &Arguments) -> u8 {
    if let Err(status) = arguments.settings.threads() {
        return status;
    }
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let complaints = arguments.settings.complaints();
    let printer = Printer::new(arguments.settings.output(), arguments.format, complaints);
    let interrupt = Interrupt::new(interactive);
    let options = Options { stop: interrupt.stop(), ..arguments.settings.session() };
    let mut repl = Repl {
        prompt: Prompt::new(options),
        host: FileHost::new().until(interrupt.flag()),
        printer,
        interrupt,
        timing: false,
        interactive,
        outcome: Outcome::default(),
        misused: false,
        last_code: None,
    };
    for file in &arguments.file {
        if !repl.load(&file.to_string_lossy()) && !interactive {
            return repl.status();
        }
    }
    let history = if arguments.no_history { None } else { history::place(arguments.history.as_deref()) };
    if interactive {
        terminal::run(&mut repl, history)
    } else {
        piped::run(&mut repl, arguments.echo)
    }
    let status = if interactive { 0 } else { repl.status() };
    repl.printer.finish_quietly();
    status
}

impl Repl {
    /// Takes one input: a command after a colon, or a piece of a program.
    fn take(&mut self, text: &str) -> Next {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Next::Go;
        }
        if let Some(command) = trimmed.strip_prefix(':') {
            return commands::run(self, command);
        }
        // words that every prompt is tried with
        if self.interactive && self.unknown(trimmed) && ["help", "quit", "exit"].contains(&trimmed) {
            return commands::run(self, trimmed);
        }
        if self.timing {
            self.timed(text)
        } else {
            self.feed(text)
        }
        Next::Go
    }

    /// Whether a word names nothing.
    fn unknown(&self, word: &str) -> bool {
        let session = self.prompt.session();
        let declared =
            session.declarations.params.contains_key(word) || session.declarations.tensors.contains_key(word);
        !declared && session.planned.iter().all(|p| p.name != word)
    }

    /// Takes a piece of a program.
    fn feed(&mut self, text: &str) {
        self.printer.next_input();
        let mut sink = Listener::new(&mut self.printer, &mut self.last_code);
        let fed = self.interrupt.during(|| self.prompt.feed(text, &self.host, &mut sink));
        self.count(fed);
    }

    /// Takes a piece of a program and says how long it took.
    fn timed(&mut self, text: &str) {
        let started = Instant::now();
        self.feed(text);
        self.say(&format!("{}\n", duration(started.elapsed().as_secs_f64())));
    }

    /// Loads a program; `false` when it changed nothing.
    fn load(&mut self, path: &str) -> bool {
        let text = match host::read_text(path) {
            Ok(text) => text,
            Err(error) => {
                self.complain(&format!("`{path}` cannot be read: {error}"));
                self.outcome = self.outcome.and(Outcome::of_program());
                return false;
            }
        };
        self.host.forget();
        let mut sink = Listener::new(&mut self.printer, &mut self.last_code);
        let fed = self.interrupt.during(|| self.prompt.load(path, &text, &self.host, &mut sink));
        if !fed.taken {
            self.complain(&format!("`{path}` was not loaded"));
        }
        self.count(fed);
        fed.taken
    }

    fn count(&mut self, fed: Fed) {
        self.outcome = self.outcome.and(fed.outcome);
    }

    /// Reports what a command could not do.
    fn refuse(&mut self, refused: &Refused) {
        self.printer.diagnostics(&refused.diagnostics, &refused.sources);
        refused.diagnostics.iter().for_each(|d| self.outcome.count(d));
        self.last_code = refused.diagnostics.last().map(|d| d.code).or(self.last_code);
    }

    /// Prints the answer to a command.
    fn say(&mut self, text: &str) {
        self.printer.output.print(text);
        self.printer.output.flush();
    }

    /// Says on standard error what is wrong with a command.
    fn complain(&mut self, message: &str) {
        use std::io::Write;
        self.printer.output.flush();
        let _ = writeln!(std::io::stderr(), "{message}");
    }

    /// The same, for a command that was used wrongly.
    fn misuse(&mut self, message: &str) {
        self.misused = true;
        self.complain(message);
    }

    fn style(&self) -> Style {
        self.printer.output.style()
    }

    fn status(&self) -> u8 {
        match self.outcome.status() {
            status @ (70 | 3) => status,
            _ if self.misused => 2,
            status => status,
        }
    }
}

/// A time in the unit that suits it.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.2} s"),
        s => format!("{} min {:.0} s", (s / 60.0).floor(), s % 60.0),
    }
}
