//! `:help`.

use super::{COMMANDS, Command, Takes, doc, find};
use crate::command::repl::{Next, Repl};
use crate::report::markdown;

pub const COMMAND: Command = Command {
    name: "help",
    aliases: &["h", "?"],
    usage: "help [TOPIC]",
    about: "this list, or what the documentation says of a command, a keyword, a result, …",
    takes: Takes::Topics,
    run,
};

fn run(repl: &mut Repl, topic: &str) -> Next {
    if topic.is_empty() {
        let mut page = String::from("| | |\n|---|---|\n");
        for command in COMMANDS {
            page.push_str(&format!("| :{} | {} |\n", command.usage, command.about));
        }
        page.push_str(
            "\nAn expression is shown; `_` is the last result. A declaration replaces an earlier one of its name. \
             Ctrl-C ends a fit at its next sweep and keeps what it has. `:doc` lists what can be looked up.\n",
        );
        repl.say(&markdown::render(&page, repl.style()));
        return Next::Go;
    }
    match topic.strip_prefix(':').map(find) {
        Some(Ok(command)) => repl.say(&format!(":{}  {}\n", command.usage, command.about)),
        Some(Err(message)) => repl.misuse(&message),
        None => doc::show(repl, topic),
    }
    Next::Go
}
