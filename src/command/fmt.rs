//! `mba fmt`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::host;
use super::options::Colour;
use super::output::{Output, complain, report, style_of_errors};
use crate::text::{Sources, format};

/// Arguments of `mba fmt`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Programs, or folders of programs (`-` formats standard input to standard output)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Change nothing; end with 1 when something would change
    #[arg(long)]
    check: bool,
    /// Use colour
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
}

/// Formats programs.
pub fn run(arguments: &Arguments) -> u8 {
    let mut files = Vec::new();
    for path in &arguments.paths {
        if let Err(error) = collect(path, &mut files) {
            complain(&format!("`{}` cannot be read: {error}", path.display()));
            return 3;
        }
    }
    let mut status = 0;
    let mut output = Output::new(arguments.color);
    for file in files {
        status = status.max(one(&file, arguments, &mut output));
    }
    status
}

/// The files a path stands for: itself, or every program in the folder, sorted.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        let hidden = entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        // links are not followed, so that a circle of them ends
        if entry.is_dir() && !entry.is_symlink() && !hidden {
            collect(&entry, files)?;
        } else if entry.extension().is_some_and(|e| e == "mba") {
            files.push(entry);
        }
    }
    Ok(())
}

fn one(file: &Path, arguments: &Arguments, output: &mut Output) -> u8 {
    let name = file.to_string_lossy();
    let text = match host::read_text(&name) {
        Ok(text) => text,
        Err(error) => {
            complain(&format!("`{name}` cannot be read: {error}"));
            return 3;
        }
    };
    let formatted = match format(&text) {
        Ok(formatted) => formatted,
        Err(diagnostics) => {
            let mut sources = Sources::default();
            sources.add(name.as_ref(), text.as_str());
            report(&diagnostics, &sources, style_of_errors(arguments.color));
            return 3;
        }
    };
    if name == "-" && !arguments.check {
        output.print(&formatted);
        return 0;
    }
    if formatted == text {
        return 0;
    }
    if arguments.check {
        output.print(&format!("{name} would change\n"));
        return 1;
    }
    match host::write(file, formatted.as_bytes()) {
        Ok(()) => {
            output.print(&format!("{name} formatted\n"));
            0
        }
        Err(error) => {
            complain(&format!("`{name}` cannot be written: {error}"));
            3
        }
    }
}
