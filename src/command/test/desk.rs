//! What a test sees of the outside: files to read, nothing to write.

use std::io;
use std::path::Path;

use crate::command::host::FileHost;
use crate::data::Content;
use crate::session::Host;

/// The host of a test. A program inside `expect error` may `save`: it is told what it would be told, and nothing is
/// written.
pub struct Desk {
    files: FileHost,
}

impl Desk {
    /// A desk for one program.
    pub fn new() -> Self {
        Self { files: FileHost::new() }
    }
}

impl Host for Desk {
    fn open(&self, path: &str) -> io::Result<Content> {
        if path == "-" {
            return Err(io::Error::other("a test has no standard input"));
        }
        self.files.open(path)
    }

    fn read_text(&self, path: &str) -> io::Result<String> {
        self.files.read_text(path)
    }

    fn beside(&self, from: &str, written: &str) -> String {
        self.files.beside(from, written)
    }

    fn write(&self, path: &str, _: &[u8]) -> io::Result<()> {
        let path = Path::new(path);
        if path.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::metadata(folder).map(|_| ())
    }

    fn seconds(&self) -> f64 {
        self.files.seconds()
    }
}
