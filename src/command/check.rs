//! `mba check`.

use std::path::Path;

use clap::Args;

use super::host::{self, FileHost};
use super::options::{Format, Reading};
use super::output::{Printer, complain};
use crate::session::{Outcome, Session};
use crate::text::{Diagnostic, SourceId};

/// Arguments of `mba check`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Apply the fixes that need no decision
    #[arg(long)]
    fix: bool,
}

/// Checks a program.
pub fn run(arguments: &Arguments) -> u8 {
    let (path, mut text) = match arguments.reading.program() {
        Ok(program) => program,
        Err(status) => return status,
    };
    let host = FileHost::new();
    let load = |text: &str| Session::load(&path, text, arguments.reading.session(), &host);
    let (mut session, mut diagnostics) = load(&text);
    if arguments.fix {
        let main = session.units.first().map(|u| u.source);
        if let Some((fixed, count)) = main.and_then(|main| apply(&text, main, &diagnostics)) {
            if path == "-" {
                complain("--fix needs a file, not standard input");
                return 2;
            }
            if let Err(error) = host::write(Path::new(&path), fixed.as_bytes()) {
                complain(&format!("`{path}` cannot be written: {error}"));
                return 3;
            }
            complain(&format!("{count} {} applied to {path}", if count == 1 { "fix" } else { "fixes" }));
            text = fixed;
            (session, diagnostics) = load(&text);
        }
    }
    let mut printer =
        Printer::new(arguments.reading.output(), arguments.format, arguments.reading.complaints());
    printer.diagnostics(&diagnostics, &session.sources);
    let mut outcome = Outcome::default();
    diagnostics.iter().for_each(|d| outcome.count(d));
    if outcome.is_ok() && arguments.format == Format::Text {
        let count = session.planned.len();
        let fits = if count == 1 { "1 fit".to_string() } else { format!("{count} fits") };
        printer.output.print(&format!("{path}: nothing wrong; {fits} planned\n"));
    }
    printer.finish();
    outcome.status()
}

/// The text with every fix applied that does not overlap an earlier one, and their number.
fn apply(text: &str, source: SourceId, diagnostics: &[Diagnostic]) -> Option<(String, usize)> {
    let mut edits: Vec<(usize, usize, &str)> = Vec::new();
    let mut count = 0;
    for fix in diagnostics.iter().filter_map(|d| d.fix.as_ref()) {
        let fits = fix.edits.iter().all(|(span, _)| {
            span.source == source
                && edits.iter().all(|(start, end, _)| span.end <= *start || span.start >= *end)
        });
        if fits {
            edits.extend(fix.edits.iter().map(|(span, new)| (span.start, span.end, new.as_str())));
            count += 1;
        }
    }
    edits.sort_unstable();
    let mut fixed = text.to_string();
    for (start, end, new) in edits.into_iter().rev() {
        fixed.replace_range(start..end, new);
    }
    (count > 0).then_some((fixed, count))
}
