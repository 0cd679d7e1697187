//! The `mba` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    mba::command::main()
}
