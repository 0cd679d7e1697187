//! The file system and the clock, as a session sees them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::data::Content;
use crate::session::Host;

/// Files smaller than this are read rather than mapped.
const MAPPED_FROM: u64 = 1 << 20;

/// The host of the command: files, standard input, the clock.
pub struct FileHost {
    started: Instant,
    /// What has been opened, so that one file is read once; standard input can only be read once.
    opened: RefCell<HashMap<String, Content>>,
    /// Set when reading is to end.
    stop: Option<Arc<AtomicBool>>,
}

impl FileHost {
    /// A host whose clock starts now.
    pub fn new() -> Self {
        Self { started: Instant::now(), opened: RefCell::default(), stop: None }
    }

    /// The same, of which reading ends when `stop` is set.
    #[must_use]
    pub fn until(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// Forgets what was opened, so that files are read again.
    pub fn forget(&self) {
        self.opened.borrow_mut().clear();
    }
}

impl Host for FileHost {
    fn open(&self, path: &str) -> io::Result<Content> {
        if let Some(content) = self.opened.borrow().get(path) {
            return Ok(content.clone());
        }
        let content = if path == "-" {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes)?;
            Content::owned(bytes)
        } else {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            if metadata.is_file() && metadata.len() >= MAPPED_FROM {
                Content::mapped(map(&file)?)
            } else {
                let mut bytes = Vec::new();
                let mut file = file;
                file.read_to_end(&mut bytes)?;
                Content::owned(bytes)
            }
        };
        let content = match &self.stop {
            Some(stop) => content.until(Arc::clone(stop)),
            None => content,
        };
        self.opened.borrow_mut().insert(path.to_string(), content.clone());
        Ok(content)
    }

    fn read_text(&self, path: &str) -> io::Result<String> {
        read_text(path)
    }

    fn beside(&self, from: &str, written: &str) -> String {
        if Path::new(written).is_absolute() || written == "-" {
            return written.to_string();
        }
        let folder = Path::new(from).parent().map(Path::to_path_buf).unwrap_or_default();
        folder.join(written).to_string_lossy().into_owned()
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        write(Path::new(path), bytes)
    }

    fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn list(&self, folder: &str) -> Vec<String> {
        let folder = if folder.is_empty() { "." } else { folder };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let name = |entry: std::fs::DirEntry| {
            let slash = if entry.path().is_dir() { "/" } else { "" };
            entry.file_name().into_string().ok().map(|name| name + slash)
        };
        entries.filter_map(name).collect()
    }
}

/// Maps a file into memory.
#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the mapping is only read. A file that another process shortens meanwhile ends this one with
    // SIGBUS, and one it changes is read as changed: as with every mapped input, data files are expected to
    // stay as they are while they are being read.
    unsafe { memmap2::Mmap::map(file) }
}

/// A whole file, or standard input for `-`, as UTF-8.
pub fn read_text(path: &str) -> io::Result<String> {
    if path == "-" {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    }
    let bytes = std::fs::read(path)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("byte {at} is not UTF-8"))
    })
}

/// Writes a file whole: into a temporary file beside it, which then takes its place.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    // a link is followed, so that the file it points to is replaced and not the link
    let path: PathBuf = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    // a device or a pipe is written to, not replaced
    if std::fs::metadata(&path).is_ok_and(|m| !m.is_file()) {
        return File::options().write(true).open(&path)?.write_all(bytes);
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::metadata(folder)?;
    // the random name of the temporary file does not belong in a message
    let unnamed = |error: io::Error| io::Error::from(error.kind());
    let mut file = tempfile::Builder::new().prefix(".mba-").tempfile_in(folder).map_err(unnamed)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    if let Ok(metadata) = std::fs::metadata(&path) {
        std::fs::set_permissions(file.path(), metadata.permissions())?;
    } else {
        readable(file.as_file())?;
    }
    file.persist(&path).map_err(|e| e.error)?;
    Ok(())
}

/// A new file is readable as any other; temporary files begin as private.
#[cfg(unix)]
fn readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &File) -> io::Result<()> {
    Ok(())
}
