//! Where the history of inputs is kept between runs.

use std::path::{Path, PathBuf};

/// The variable that names the file; empty for none.
const VARIABLE: &str = "MBA_HISTORY";

/// The file of the history: the one asked for, else the one `MBA_HISTORY` names, else `mba/history` in the folder that holds the state of
/// programs (`XDG_STATE_HOME`, or `~/.local/state`). Folders on the way are made. None when there is no such
/// place.
pub fn place(asked: Option<&Path>) -> Option<PathBuf> {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let path = match asked.map(Path::to_path_buf).or(named) {
        Some(path) if path.as_os_str().is_empty() => return None,
        Some(path) => path,
        None => state_folder()?.join("mba").join("history"),
    };
    if let Some(folder) = path.parent() {
        // without the folder the history lasts as long as the session
        std::fs::create_dir_all(folder).ok();
    }
    Some(path)
}

/// By the XDG base directory specification, a path that is not absolute does not count.
fn state_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
}
