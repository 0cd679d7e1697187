//! `:explain`.

use super::{Command, Takes};
use crate::command::explain;
use crate::command::repl::{Next, Repl};
use crate::report::markdown;

pub const COMMAND: Command = Command {
    name: "explain",
    aliases: &["e"],
    usage: "explain [CODE]",
    about: "the page of a diagnostic; without a code, of the last one",
    takes: Takes::Codes,
    run,
};

fn run(repl: &mut Repl, wanted: &str) -> Next {
    let code = match (wanted, repl.last_code) {
        ("", Some(code)) => Ok(code),
        ("", None) => Err("nothing was wrong so far; write `:explain MBA301`".to_string()),
        _ => explain::code(wanted),
    };
    match code {
        Ok(code) => repl.say(&markdown::render(code.page(), repl.style())),
        Err(message) => repl.misuse(&message),
    }
    Next::Go
}
