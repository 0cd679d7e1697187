//! `:time`.

use super::{Command, Takes};
use crate::command::repl::{Next, Repl};

pub const COMMAND: Command = Command {
    name: "time",
    aliases: &[],
    usage: "time [INPUT]",
    about: "run an input and say how long it took; without one, do so for all that follow, or no longer",
    takes: Takes::Input,
    run,
};

fn run(repl: &mut Repl, input: &str) -> Next {
    if input.is_empty() {
        repl.timing = !repl.timing;
        let now = if repl.timing { "each input is timed\n" } else { "inputs are no longer timed\n" };
        repl.say(now);
    } else {
        repl.timed(input);
    }
    Next::Go
}
