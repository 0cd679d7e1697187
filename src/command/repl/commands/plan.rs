//! `:plan`.

use super::{Command, Takes};
use crate::command::repl::{Next, Repl};
use crate::session::{PlannedFit, complete};
use crate::text::suggest;

pub const COMMAND: Command = Command {
    name: "plan",
    aliases: &["p"],
    usage: "plan [FIT | MODEL to DATA]",
    about: "the schedule of a fit and its predicted cost; of one that was not made, too",
    takes: Takes::Fits,
    run,
};

fn run(repl: &mut Repl, argument: &str) -> Next {
    // a fit that was loaded has no schedule
    let planned: Vec<&PlannedFit> =
        repl.prompt.session().planned.iter().filter(|p| p.schedule.is_some()).collect();
    let named = planned.iter().find(|p| p.name == argument);
    let shown = match argument {
        "" => planned.iter().map(|p| tree(p)).collect::<Vec<_>>().join("\n"),
        _ if named.is_some() => named.map(|p| tree(p)).unwrap_or_default(),
        _ if complete::fits(repl.prompt.session()).iter().any(|f| f == argument) => {
            repl.misuse(&format!("`{argument}` has no schedule: only fits that are made here have one"));
            return Next::Go;
        }
        _ if argument.contains(char::is_whitespace) => {
            let text =
                argument.strip_prefix("fit ").map_or_else(|| format!("fit {argument}"), |_| argument.into());
            return statement(repl, &text);
        }
        _ => {
            let names: Vec<&str> = planned.iter().map(|p| p.name.as_str()).collect();
            let message = match suggest::nearest(argument, names.iter().copied()) {
                Some(near) => format!("there is no fit `{argument}`; did you mean `{near}`?"),
                None => format!("there is no fit `{argument}`; write `:plan {argument} to DATA`"),
            };
            repl.misuse(&message);
            return Next::Go;
        }
    };
    if shown.is_empty() {
        repl.misuse("nothing was fitted; write `:plan MODEL to DATA`");
    }
    repl.say(&shown);
    Next::Go
}

/// The plan of a fit that is not made.
fn statement(repl: &mut Repl, text: &str) -> Next {
    match repl.prompt.would_be(text, &repl.host) {
        Ok(session) => repl.say(&session.planned.last().map(tree).unwrap_or_default()),
        Err(refused) => repl.refuse(&refused),
    }
    Next::Go
}

fn tree(planned: &PlannedFit) -> String {
    let schedule = planned.schedule.as_ref().map(|s| s.tree()).unwrap_or_default();
    format!("fit {} to {}\n{schedule}", planned.name, planned.tensor)
}
