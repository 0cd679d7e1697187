//! `:set`.

use super::{Command, Takes};
use crate::command::options;
use crate::command::repl::{Next, Repl};
use crate::report::number;

pub const COMMAND: Command = Command {
    name: "set",
    aliases: &[],
    usage: "set [NAME=VALUE]",
    about: "give a param, `seed` or `memory` another value; without one, say what they are",
    takes: Takes::Params,
    run,
};

fn run(repl: &mut Repl, argument: &str) -> Next {
    let params = &repl.prompt.session().declarations.params;
    if argument.is_empty() {
        let mut lines: String = params.iter().map(|(name, p)| format!("{name} = {}\n", p.value)).collect();
        let options = repl.prompt.options();
        let memory = number::bytes(options.memory as f64);
        lines.push_str(&format!("seed = {}\nmemory = {memory}\n", options.seed));
        repl.say(&lines);
        return Next::Go;
    }
    let (name, value) = match options::setting(argument) {
        Ok((name, value)) => (name, value.trim().to_string()),
        Err(_) => {
            repl.misuse("write it as `:set NAME=VALUE`");
            return Next::Go;
        }
    };
    if params.contains_key(&name) {
        repl.feed(&format!("param {name} = {value}"));
        return Next::Go;
    }
    match name.as_str() {
        "seed" => match value.parse() {
            Ok(seed) => repl.prompt.options_mut().seed = seed,
            Err(_) => repl.misuse("a seed is a whole number"),
        },
        "memory" => match options::bytes(&value) {
            Ok(memory) => repl.prompt.options_mut().memory = memory,
            Err(why) => repl.misuse(&why),
        },
        _ => {
            let names = params.keys().map(String::as_str).chain(["seed", "memory"]);
            let near = crate::text::suggest::nearest(&name, names);
            let hint = near.map_or_else(
                || format!("`param {name} = {value}` declares it"),
                |near| format!("did you mean `{near}`?"),
            );
            repl.misuse(&format!("there is no param `{name}`; {hint}"));
        }
    }
    Next::Go
}
