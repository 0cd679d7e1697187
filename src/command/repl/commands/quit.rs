//! `:quit`.

use super::{Command, Takes};
use crate::command::repl::Next;

pub const COMMAND: Command = Command {
    name: "quit",
    aliases: &["q", "exit"],
    usage: "quit",
    about: "leave (so does Ctrl-D)",
    takes: Takes::Nothing,
    run: |_, _| Next::Quit,
};
