//! `:reload`.

use super::{Command, Takes};
use crate::command::repl::{Next, Repl};

pub const COMMAND: Command = Command {
    name: "reload",
    aliases: &["r"],
    usage: "reload",
    about: "read the loaded programs and all data again, after they were edited",
    takes: Takes::Nothing,
    run,
};

fn run(repl: &mut Repl, _: &str) -> Next {
    let files = repl.prompt.files();
    if files.is_empty() {
        repl.misuse("no program was loaded; write `:load model.mba`");
    }
    for file in files {
        if !repl.load(&file) {
            break;
        }
    }
    Next::Go
}
