//! The prompt on a terminal: line editing, highlighting, completion, history.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::super::host::FileHost;
use super::{Next, PROMPT, Repl, commands};
use crate::report::{Style, highlight};
use crate::session::{Session, complete};
use crate::text::unfinished;

/// Inputs that are remembered.
const MAX_HISTORY: usize = 10_000;

/// Asks for inputs until there are no more.
pub fn run(repl: &mut Repl, history: Option<PathBuf>) {
    let mut editor = match editor(repl.style()) {
        Ok(editor) => editor,
        Err(error) => {
            repl.complain(&format!("this terminal cannot be used: {error}"));
            return;
        }
    };
    let session: Rc<RefCell<Session>> = Rc::default();
    editor.set_helper(Some(Assistant {
        session: session.clone(),
        host: FileHost::new(),
        style: repl.style(),
        hinter: HistoryHinter::new(),
    }));
    if let Some(path) = &history {
        // the first run has none
        editor.load_history(path).ok();
    }
    repl.say(&format!("mba {}; `:help` says what can be done here\n", env!("CARGO_PKG_VERSION")));
    loop {
        session.replace(repl.prompt.session().clone());
        match editor.readline(PROMPT) {
            Ok(input) => {
                let kept = input.trim_end();
                if !kept.is_empty() && editor.add_history_entry(kept).is_ok_and(|new| new) {
                    // written at once, so that nothing is lost however this ends
                    history.as_ref().map(|path| editor.append_history(path));
                }
                if repl.take(&input) == Next::Quit {
                    return;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return,
            Err(error) => {
                repl.complain(&format!("the terminal cannot be read: {error}"));
                return;
            }
        }
    }
}

fn editor(style: Style) -> rustyline::Result<Editor<Assistant, FileHistory>> {
    let colour = if style.colour { rustyline::ColorMode::Enabled } else { rustyline::ColorMode::Disabled };
    let config = Config::builder()
        .max_history_size(MAX_HISTORY)?
        .history_ignore_dups(true)?
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .color_mode(colour)
        .tab_stop(4)
        .build();
    Editor::with_config(config)
}

/// What helps while a line is edited.
struct Assistant {
    session: Rc<RefCell<Session>>,
    host: FileHost,
    style: Style,
    hinter: HistoryHinter,
}

impl Helper for Assistant {}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let session = self.session.borrow();
        let found = match line.get(..at).map(str::trim_start).and_then(|l| l.strip_prefix(':')) {
            Some(_) => commands::complete(&session, line, at, &self.host),
            None => complete::complete(&session, line, at, &self.host),
        };
        Ok((found.start, found.candidates))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, at: usize, context: &Context<'_>) -> Option<String> {
        if !self.style.colour {
            // it could not be told from what was typed
            return None;
        }
        let hint = self.hinter.hint(line, at, context)?;
        // one line of it, so that the screen does not jump
        hint.lines().next().filter(|l| !l.is_empty()).map(str::to_string)
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if !self.style.colour || line.trim_start().starts_with(':') {
            return Cow::Borrowed(line);
        }
        Cow::Owned(highlight::program(line, self.style))
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.style.colour {
            Cow::Owned(format!("\u{1b}[1m{prompt}\u{1b}[0m"))
        } else {
            Cow::Borrowed(prompt)
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\u{1b}[2m{hint}\u{1b}[0m"))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        // what is typed can change what stands before it
        self.style.colour && kind != CmdKind::MoveCursor
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let input = context.input();
        let command = input.trim_start().starts_with(':');
        // who presses Enter on two empty lines wants to be done with it
        let insists = input.ends_with("\n\n");
        let goes_on = !command && !insists && unfinished(input);
        Ok(if goes_on { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}
