//! `:load`.

use super::{Command, Takes};
use crate::command::repl::{Next, Repl};

pub const COMMAND: Command = Command {
    name: "load",
    aliases: &["l"],
    usage: "load FILE",
    about: "run a program; what it declares replaces what has the same name",
    takes: Takes::Programs,
    run,
};

fn run(repl: &mut Repl, path: &str) -> Next {
    match unquoted(path) {
        "" => repl.misuse("which file? write `:load model.mba`"),
        path => {
            repl.load(path);
        }
    }
    Next::Go
}

/// A path without the quotes that it need not have.
pub fn unquoted(path: &str) -> &str {
    path.strip_prefix('"').and_then(|p| p.strip_suffix('"')).unwrap_or(path)
}
