//! `:info`.

use super::{Command, Takes};
use crate::command::info;
use crate::command::repl::{Next, Repl};

pub const COMMAND: Command = Command {
    name: "info",
    aliases: &["i"],
    usage: "info",
    about: "everything declared: params, modes with levels, data, fits",
    takes: Takes::Nothing,
    run,
};

fn run(repl: &mut Repl, _: &str) -> Next {
    let text = info::text_of(repl.prompt.session(), repl.style());
    repl.say(if text.is_empty() { "nothing is declared\n" } else { text.trim_end_matches('\n') });
    if !text.is_empty() {
        repl.say("\n");
    }
    let stale: Vec<String> =
        repl.prompt.stale().map(|(fit, name)| format!("`{fit}` is of an earlier `{name}`\n")).collect();
    repl.say(&stale.concat());
    Next::Go
}
