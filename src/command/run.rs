//! `mba run`.

use clap::Args;

use super::host::FileHost;
use super::options::{Format, Reading};
use super::output::Printer;
use crate::session::{Outcome, Session};

/// Arguments of `mba run`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs a program.
pub fn run(arguments: &Arguments) -> u8 {
    let (path, text) = match arguments.reading.program() {
        Ok(program) => program,
        Err(status) => return status,
    };
    let host = FileHost::new();
    let (mut session, diagnostics) = Session::load(&path, &text, arguments.reading.session(), &host);
    let mut printer =
        Printer::new(arguments.reading.output(), arguments.format, arguments.reading.complaints());
    printer.diagnostics(&diagnostics, &session.sources);
    let mut checked = Outcome::default();
    diagnostics.iter().for_each(|d| checked.count(d));
    let outcome = if checked.is_ok() { session.run(&host, &mut printer) } else { checked };
    printer.finish();
    outcome.status()
}
