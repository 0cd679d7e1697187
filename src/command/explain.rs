//! `mba explain`.

use clap::Args;

use super::options::Colour;
use super::output::{Output, complain};
use crate::text::{Code, suggest};

/// Arguments of `mba explain`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A code such as `MBA301`; all of them are listed when there is none
    code: Option<String>,
}

/// Prints the page of a code.
pub fn run(arguments: &Arguments) -> u8 {
    let mut output = Output::new(Colour::Auto);
    let Some(wanted) = &arguments.code else {
        for code in Code::ALL {
            output.print(&format!("{code}  {:7}  {}\n", code.severity().word(), code.title()));
        }
        return 0;
    };
    match code(wanted) {
        Ok(code) => {
            output.print(code.page());
            0
        }
        Err(message) => {
            complain(&message);
            2
        }
    }
}

/// The code a person means, or what to say when there is none.
pub fn code(wanted: &str) -> Result<Code, String> {
    wanted.parse().map_err(|()| {
        let near = suggest::nearest(wanted, Code::ALL.iter().map(|c| c.name()));
        let hint =
            near.map_or_else(|| "`mba explain` lists the codes".into(), |n| format!("did you mean `{n}`?"));
        format!("there is no code `{wanted}`; {hint}")
    })
}
