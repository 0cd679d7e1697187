//! `:doc`.

use super::{COMMANDS, Command, Takes};
use crate::command::doc;
use crate::command::repl::{Next, Repl};
use crate::report::markdown;
use crate::session::topics;

pub const COMMAND: Command = Command {
    name: "doc",
    aliases: &["d"],
    usage: "doc [TOPIC]",
    about: "look up a chapter, a result, a method, a family, a keyword, or a model or result of yours",
    takes: Takes::Topics,
    run,
};

fn run(repl: &mut Repl, topic: &str) -> Next {
    if topic.is_empty() {
        repl.say(&doc::list(repl.style()));
    } else {
        show(repl, topic);
    }
    Next::Go
}

/// Shows a topic, or says that there is none; a command is one too.
pub fn show(repl: &mut Repl, topic: &str) {
    match topics::find(topic, Some(repl.prompt.session())) {
        Ok(found) => repl.say(&markdown::render(&found.text, repl.style())),
        Err(near) => match COMMANDS.iter().find(|c| c.name == topic || c.aliases.contains(&topic)) {
            Some(command) => repl.say(&format!(":{}  {}\n", command.usage, command.about)),
            None => repl.misuse(&doc::unknown(topic, near, ":doc")),
        },
    }
}
