//! The command line: one file per verb, and one line in `Verb`.
//!
//! Everything that touches files, the terminal, the clock or the environment is in this room.

mod check;
mod doc;
mod explain;
mod fmt;
mod heap;
mod host;
mod info;
mod new;
mod options;
mod output;
mod plan;
mod progress;
mod repl;
mod run;
mod signals;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Fits energy-based models of tensors, written in `.mba` files, to their certified optimum.
#[derive(Debug, Parser)]
#[command(name = "mba", version, about, disable_help_subcommand = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 ok; 1 a fit stopped, a cell value is bad or a test failed; \
    2 usage; 3 the program, a header, a file, a shape or the memory budget; 4 no test selected; \
    70 a bug.")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a program: fit its models, show results, run its tests
    Run(run::Arguments),
    /// Run the tests of programs, and compare, review or accept their snapshots
    Test(test::Arguments),
    /// Check a program without reading a cell
    Check(check::Arguments),
    /// Print the schedule of each fit, with predicted cost, before any data are read
    Plan(plan::Arguments),
    /// Say what a program declares: modes, data as they are bound, models
    Info(info::Arguments),
    /// Lay out programs in the one standard way
    Fmt(fmt::Arguments),
    /// Try things out at a prompt
    Repl(repl::Arguments),
    /// Look something up: a chapter, a result, a family, a module, a keyword
    Doc(doc::Arguments),
    /// Explain a diagnostic code, or list them all
    Explain(explain::Arguments),
    /// Begin a project: a program, its data and its tests
    New(new::Arguments),
}

/// Runs the command with the arguments of the process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // help and version are not errors; a reader that has gone away is not one either
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    if matches!(cli.verb, Verb::Run(_) | Verb::Repl(_)) {
        heap::keep_large_blocks();
    }
    let outcome = std::panic::catch_unwind(|| match cli.verb {
        Verb::Run(arguments) => run::run(&arguments),
        Verb::Test(arguments) => test::run(&arguments),
        Verb::Check(arguments) => check::run(&arguments),
        Verb::Plan(arguments) => plan::run(&arguments),
        Verb::Info(arguments) => info::run(&arguments),
        Verb::Fmt(arguments) => fmt::run(&arguments),
        Verb::Repl(arguments) => repl::run(&arguments),
        Verb::Doc(arguments) => doc::run(&arguments),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::New(arguments) => new::run(&arguments),
    });
    ExitCode::from(outcome.unwrap_or_else(|_| {
        output::complain("this is a defect in mba (MBA901): please report it with the program that shows it");
        70
    }))
}
