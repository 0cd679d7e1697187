//! `:model`.

use super::{Command, Takes, doc};
use crate::command::repl::{Next, Repl};
use crate::session::PlannedFit;
use crate::text::suggest;

pub const COMMAND: Command = Command {
    name: "model",
    aliases: &["m"],
    usage: "model [NAME]",
    about: "a model as it is written, and its interactions where it was fitted; without a name, all models",
    takes: Takes::Models,
    run,
};

/// Interactions that are listed.
const MAX_LISTED: usize = 40;

fn run(repl: &mut Repl, name: &str) -> Next {
    let session = repl.prompt.session();
    let models = &session.declarations.models;
    if name.is_empty() {
        let lines: Vec<String> = models
            .iter()
            .map(|(name, entry)| {
                let what = entry.docs.first().map(|d| format!("  {d}")).unwrap_or_default();
                let template = if entry.is_template() { "(…)" } else { "" };
                format!("{name}{template}{what}\n")
            })
            .collect();
        let none = "no model is declared\n".to_string();
        repl.say(&if lines.is_empty() { none } else { lines.concat() });
        return Next::Go;
    }
    let fits: Vec<String> =
        session.planned.iter().filter(|p| p.name == name || p.model.name == name).map(interactions).collect();
    if models.contains_key(name) {
        doc::show(repl, name);
    } else if fits.is_empty() {
        let message = match suggest::nearest(name, models.keys().map(String::as_str)) {
            Some(near) => format!("there is no model `{name}`; did you mean `{near}`?"),
            None => format!("there is no model `{name}`; `:model` lists them"),
        };
        repl.misuse(&message);
        return Next::Go;
    }
    repl.say(&fits.concat());
    Next::Go
}

/// What a fit's model came to: its interactions over the modes of the data.
fn interactions(planned: &PlannedFit) -> String {
    let model = &planned.model;
    let listed = |scopes: &[crate::model::Scope]| {
        let names: Vec<String> = scopes.iter().take(MAX_LISTED).map(|s| model.bracket(s)).collect();
        let more = scopes.len().saturating_sub(MAX_LISTED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", names.join(" "))
    };
    let free = planned.tables();
    let fixed: Vec<_> = model
        .interactions
        .iter()
        .filter(|i| !matches!(i.potential, crate::model::Potential::Free))
        .map(|i| i.scope.clone())
        .collect();
    let mut out = format!("fit {} to {}\n", planned.name, planned.tensor);
    if !free.is_empty() {
        out.push_str(&format!("  free        {}\n", listed(&free)));
    }
    if !fixed.is_empty() {
        out.push_str(&format!("  with energy {}\n", listed(&fixed)));
    }
    if let Some((parameters, df)) = planned.size() {
        out.push_str(&format!("  parameters  {parameters}\n  df          {df}\n"));
    }
    out
}
