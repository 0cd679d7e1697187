//! Input that comes from a pipe or a file: no prompts, and an exit status.

use std::io::BufRead;

use super::{Next, PROMPT, Repl};
use crate::text::unfinished;

/// What stands before the further lines of an input that is echoed.
const GOES_ON: &str = "  .. ";

/// Takes inputs until there are no more. Each is taken as soon as it is finished, so that another program
/// can wait for the answer. With `echo` each is printed before its answer, as it looks on a terminal.
pub fn run(repl: &mut Repl, echo: bool) {
    let mut text = String::new();
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let ended = match input.read_until(b'\n', &mut line) {
            Ok(read) => read == 0,
            Err(error) => {
                repl.misuse(&format!("standard input cannot be read: {error}"));
                true
            }
        };
        match std::str::from_utf8(&line) {
            Ok(line) => text.push_str(line),
            Err(_) => {
                repl.misuse("standard input is not UTF-8");
                return;
            }
        }
        let command = text.trim_start().starts_with(':');
        if (command || ended || !unfinished(&text)) && !text.trim().is_empty() {
            let input = std::mem::take(&mut text);
            if echo {
                let lines = input.trim_end().split('\n').enumerate();
                let shown = lines.map(|(at, l)| format!("{}{l}\n", if at == 0 { PROMPT } else { GOES_ON }));
                repl.say(&shown.collect::<String>());
            }
            if repl.take(input.trim_end()) == Next::Quit || repl.interrupt.wanted() {
                return;
            }
        }
        if ended {
            return;
        }
    }
}
