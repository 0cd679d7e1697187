//! Which files, and which tests in them.

use std::io;
use std::path::{Path, PathBuf};

use crate::session::snapshot::path_of;

/// What is in the paths that were given.
#[derive(Debug, Default)]
pub struct Found {
    /// Programs, sorted within each path, each once.
    pub programs: Vec<String>,
    /// Snapshot files whose program is gone.
    pub orphans: Vec<String>,
}

/// Which tests run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Texts of which one has to be in the line of a test; every test when there are none.
    pub filter: Vec<String>,
}

impl Selection {
    /// Whether a test is wanted.
    pub fn takes(&self, path: &str, test: &str) -> bool {
        let line = line(path, test);
        self.filter.is_empty() || self.filter.iter().any(|f| line.contains(f.as_str()))
    }
}

/// A test as `--list` prints it.
pub fn line(path: &str, test: &str) -> String {
    format!("{path}: {test}")
}

/// The programs that paths stand for: files as they are, folders with everything in them.
pub fn programs(paths: &[PathBuf]) -> Result<Found, (PathBuf, io::Error)> {
    let mut found = Found::default();
    if paths.is_empty() {
        collect(Path::new("."), true, &mut found)?;
    }
    for path in paths {
        collect(path, true, &mut found)?;
    }
    Ok(found)
}

fn collect(path: &Path, given: bool, found: &mut Found) -> Result<(), (PathBuf, io::Error)> {
    let wrong = |error| (path.to_path_buf(), error);
    let metadata = std::fs::metadata(path).map_err(wrong)?;
    if !metadata.is_dir() {
        let name = shown(path);
        if (given || name.ends_with(".mba")) && !found.programs.contains(&name) {
            found.programs.push(name);
        }
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(wrong)?;
    let mut entries: Vec<PathBuf> =
        entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>().map_err(wrong)?;
    entries.sort();
    for entry in entries {
        let name = shown(&entry);
        let hidden = entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        // links to folders are not followed, so that a circle of them ends
        if entry.is_dir() {
            if !entry.is_symlink() && !hidden {
                collect(&entry, false, found)?;
            }
        } else if name.ends_with(".mba") {
            if !found.programs.contains(&name) {
                found.programs.push(name);
            }
        } else if let Some(program) = name.strip_suffix(&path_of("")).filter(|p| p.ends_with(".mba"))
            && !Path::new(program).exists()
            && !found.orphans.contains(&name)
        {
            found.orphans.push(name);
        }
    }
    Ok(())
}

/// A path as it is shown: without `./` at its beginning.
fn shown(path: &Path) -> String {
    path.strip_prefix("./").unwrap_or(path).to_string_lossy().into_owned()
}
