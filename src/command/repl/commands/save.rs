//! `:save`.

use std::path::{Component, Path, PathBuf};

use super::load::unquoted;
use super::{Command, Takes};
use crate::command::host;
use crate::command::repl::{Next, Repl};
use crate::session::Host;

pub const COMMAND: Command = Command {
    name: "save",
    aliases: &["s"],
    usage: "save[!] FILE",
    about: "write what was declared and done as a program; `!` replaces a file that is there",
    takes: Takes::Programs,
    run,
};

fn run(repl: &mut Repl, argument: &str) -> Next {
    let (argument, replace) = match argument.strip_prefix('!') {
        Some(rest) => (rest.trim(), true),
        None => (argument, false),
    };
    let path = unquoted(argument);
    if path.is_empty() {
        repl.misuse("to which file? write `:save model.mba`");
        return Next::Go;
    }
    let path = if Path::new(path).extension().is_none() { format!("{path}.mba") } else { path.to_string() };
    if !path.ends_with(".mba") {
        repl.misuse(
            "a program is kept in a file that ends in `.mba`; results are saved by `save f.kl to \"…\"`",
        );
        return Next::Go;
    }
    if Path::new(&path).exists() && !replace {
        repl.misuse(&format!("`{path}` is there already; `:save! {path}` replaces it"));
        return Next::Go;
    }
    let folder = Path::new(&path).parent().unwrap_or(Path::new("")).to_path_buf();
    let place = |from: &str, written: &str| seen_from(&folder, &repl.host.beside(from, written));
    let program = repl.prompt.program(&path, &place, &repl.host);
    if let Err(error) = host::write(Path::new(&path), program.text.as_bytes()) {
        repl.misuse(&format!("`{path}` cannot be written: {error}; what was there before is unchanged"));
        return Next::Go;
    }
    let left_out = match program.left_out {
        0 => String::new(),
        1 => "; one statement is in it as a comment".into(),
        n => format!("; {n} statements are in it as comments"),
    };
    repl.say(&format!("saved {path}{left_out}\n"));
    Next::Go
}

/// A path as it is written in a program in `folder`: both are relative to the current folder, or absolute.
fn seen_from(folder: &Path, path: &str) -> String {
    let plain = |p: &Path| -> Option<Vec<PathBuf>> {
        let mut parts: Vec<PathBuf> = Vec::new();
        for component in p.components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir if parts.pop().is_some() => {}
                Component::Normal(part) => parts.push(part.into()),
                // above the current folder, or from the root
                _ => return None,
            }
        }
        Some(parts)
    };
    let target = Path::new(path);
    if target.is_absolute() || folder.as_os_str().is_empty() || folder == Path::new(".") {
        return path.to_string();
    }
    let absolute = || {
        let full = std::path::absolute(target).unwrap_or_else(|_| target.to_path_buf());
        full.to_string_lossy().into_owned()
    };
    let (Some(folder), Some(target)) = (plain(folder), plain(target)) else { return absolute() };
    let common = folder.iter().zip(&target).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(PathBuf::from(".."), folder.len() - common);
    let parts: PathBuf = up.chain(target.into_iter().skip(common)).collect();
    parts.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_program() {
        assert_eq!(seen_from(Path::new(""), "data/x.csv"), "data/x.csv");
        assert_eq!(seen_from(Path::new("models"), "data/x.csv"), "../data/x.csv");
        assert_eq!(seen_from(Path::new("a/b"), "a/x.csv"), "../x.csv");
        assert_eq!(seen_from(Path::new("a"), "./a/../a/x.csv"), "x.csv");
        assert_eq!(seen_from(Path::new("a"), "/x.csv"), "/x.csv");
        assert!(Path::new(&seen_from(Path::new("a"), "../x.csv")).is_absolute());
    }
}
