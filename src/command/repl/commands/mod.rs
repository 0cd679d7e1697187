//! The commands of the prompt: one file each, and one line in `COMMANDS`.

mod doc;
mod explain;
mod help;
mod info;
mod load;
mod model;
mod plan;
mod quit;
mod reload;
mod reset;
mod save;
mod set;
mod shape;
mod time;
mod type_of;

use super::{Next, Repl};
use crate::session::complete::{self, Completion};
use crate::session::{Host, Session, topics};
use crate::text::suggest;

/// What a command takes, for completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// A piece of a program.
    Input,
    Fits,
    Models,
    Codes,
    Topics,
    Programs,
    Params,
}

/// A command.
struct Command {
    name: &'static str,
    /// Other names, besides every beginning of the name that no other command has.
    aliases: &'static [&'static str],
    /// How it is written, without the colon.
    usage: &'static str,
    about: &'static str,
    takes: Takes,
    run: fn(&mut Repl, &str) -> Next,
}

/// Every command, in the order of `:help`.
const COMMANDS: &[Command] = &[
    help::COMMAND,
    doc::COMMAND,
    explain::COMMAND,
    info::COMMAND,
    model::COMMAND,
    type_of::COMMAND,
    shape::COMMAND,
    plan::COMMAND,
    time::COMMAND,
    set::COMMAND,
    load::COMMAND,
    reload::COMMAND,
    save::COMMAND,
    reset::COMMAND,
    quit::COMMAND,
];

/// Runs what stands after the colon.
pub fn run(repl: &mut Repl, line: &str) -> Next {
    let line = line.trim();
    let end = line.find(|c: char| !(c.is_alphanumeric() || c == '?')).unwrap_or(line.len());
    let (name, argument) = line.split_at(end);
    match find(name) {
        Ok(command) if command.takes == Takes::Nothing && !argument.trim().is_empty() => {
            repl.misuse(&format!("`:{}` takes nothing", command.name));
            Next::Go
        }
        Ok(command) => (command.run)(repl, argument.trim()),
        Err(message) => {
            repl.misuse(&message);
            Next::Go
        }
    }
}

/// The command of a name: its own, another one, or a beginning that no other has.
fn find(name: &str) -> Result<&'static Command, String> {
    let exact = COMMANDS.iter().find(|c| c.name == name || c.aliases.contains(&name));
    if let Some(command) = exact {
        return Ok(command);
    }
    let begin: Vec<&Command> =
        COMMANDS.iter().filter(|c| !name.is_empty() && c.name.starts_with(name)).collect();
    match begin.as_slice() {
        [only] => Ok(only),
        [] => {
            let names = COMMANDS.iter().map(|c| c.name);
            Err(match suggest::nearest(name, names) {
                Some(near) => format!("there is no command `:{name}`; did you mean `:{near}`?"),
                None => format!("there is no command `:{name}`; `:help` lists them"),
            })
        }
        several => {
            let names: Vec<String> = several.iter().map(|c| format!(":{}", c.name)).collect();
            Err(format!("`:{name}` could be {}", suggest::list(&names)))
        }
    }
}

/// What can be written at a place in a line that begins with a colon.
pub fn complete(session: &Session, line: &str, at: usize, host: &dyn Host) -> Completion {
    let before = line.get(..at).unwrap_or(line);
    let colon = before.find(':').map_or(0, |i| i + 1);
    let rest = before.get(colon..).unwrap_or("");
    let Some(space) = rest.find(char::is_whitespace) else {
        let names = COMMANDS.iter().map(|c| c.name).filter(|n| n.starts_with(rest));
        return Completion { start: colon, candidates: names.map(str::to_string).collect() };
    };
    let (name, argument) = rest.split_at(space);
    let word = argument.trim_start();
    let start = before.len() - word.len();
    let names = match find(name).map_or(Takes::Nothing, |c| c.takes) {
        Takes::Nothing => Vec::new(),
        Takes::Input => {
            let found = complete::complete(session, word, word.len(), host);
            return Completion { start: start + found.start, ..found };
        }
        Takes::Fits => complete::fits(session),
        Takes::Models => complete::models(session),
        Takes::Codes => complete::codes(),
        Takes::Params => complete::params(session),
        Takes::Programs => complete::files(word, &[".mba"], host),
        Takes::Topics => {
            let topics = topics::groups().into_iter().flat_map(|g| g.topics).map(|(name, _)| name);
            topics
                .chain(COMMANDS.iter().map(|c| c.name.to_string()))
                .chain(complete::models(session))
                .collect()
        }
    };
    let mut candidates: Vec<String> = names.into_iter().filter(|n| n.starts_with(word)).collect();
    candidates.sort();
    candidates.dedup();
    Completion { start, candidates }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_one_name_and_some_others() {
        let mut names: Vec<&str> =
            COMMANDS.iter().flat_map(|c| c.aliases.iter().copied().chain([c.name])).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for command in COMMANDS {
            assert!(command.usage.starts_with(command.name), "{}", command.usage);
        }
    }

    #[test]
    fn commands_are_found_by_their_beginning() {
        let name = |n: &str| find(n).map(|c| c.name);
        assert_eq!(name("q"), Ok("quit"));
        assert_eq!(name("?"), Ok("help"));
        assert_eq!(name("pl"), Ok("plan"));
        assert_eq!(name("t"), Ok("type"));
        assert_eq!(name("pln").unwrap_err(), "there is no command `:pln`; did you mean `:plan`?");
        assert!(name("re").unwrap_err().contains("`:reload` and `:reset`"));
        assert!(name("").is_err());
    }
}
