//! `mba doc`.

use clap::Args;

use super::options::Colour;
use super::output::{Output, complain};
use crate::report::{Style, markdown};
use crate::session::topics;

/// Arguments of `mba doc`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to look up, such as `fits`, `kl`, `body`, `ising` or `MBA301`; everything is listed when there is
    /// none
    topic: Vec<String>,
    /// Use colour
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
}

/// Prints what the documentation says of a topic.
pub fn run(arguments: &Arguments) -> u8 {
    let mut output = Output::new(arguments.color);
    if arguments.topic.is_empty() {
        output.print(&list(output.style()));
        return 0;
    }
    let wanted = arguments.topic.join(" ");
    match topics::find(&wanted, None) {
        Ok(topic) => {
            output.print(&markdown::render(&topic.text, output.style()));
            0
        }
        Err(near) => {
            complain(&unknown(&wanted, near, "mba doc"));
            2
        }
    }
}

/// Everything that can be looked up.
pub fn list(style: Style) -> String {
    let mut page = String::new();
    for group in topics::groups() {
        page.push_str(&format!("## {}\n\n", group.title));
        if group.topics.iter().all(|(_, about)| about.is_empty()) {
            let names: Vec<&str> = group.topics.iter().map(|(name, _)| name.as_str()).collect();
            page.push_str(&format!("{}\n\n", names.join(", ")));
            continue;
        }
        page.push_str("| | |\n|---|---|\n");
        for (name, about) in group.topics {
            page.push_str(&format!("| {name} | {} |\n", about.replace('|', "\\|")));
        }
        page.push('\n');
    }
    page.push_str("Keywords and codes can be looked up as well.\n");
    markdown::render(&page, style)
}

/// "There is nothing about …".
pub fn unknown(wanted: &str, near: Option<String>, command: &str) -> String {
    match near {
        Some(near) => format!("there is nothing about `{wanted}`; did you mean `{near}`?"),
        None => format!("there is nothing about `{wanted}`; `{command}` lists what there is"),
    }
}
