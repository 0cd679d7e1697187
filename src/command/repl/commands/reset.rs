//! `:reset`.

use super::{Command, Takes};
use crate::command::repl::{Next, Repl};

pub const COMMAND: Command = Command {
    name: "reset",
    aliases: &[],
    usage: "reset",
    about: "forget everything that was declared and fitted",
    takes: Takes::Nothing,
    run,
};

fn run(repl: &mut Repl, _: &str) -> Next {
    repl.prompt.reset();
    repl.host.forget();
    Next::Go
}
