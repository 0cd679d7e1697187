//! The door to the outside: bytes come in here and nowhere else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::tensor::Buffer;

/// Opens what a program names. Implemented by the host: over the file system, or in memory.
///
/// The path is the one in the program; resolving it is the host's business. `-` is standard input. The host
/// may be asked for one path several times and must then give the same bytes, which for standard input means
/// keeping them.
pub trait Files {
    /// The whole content of `path`.
    ///
    /// # Errors
    /// Whatever kept the file from being read; a directory is an error too.
    fn open(&self, path: &str) -> std::io::Result<Content>;
}

/// The bytes of a file, in memory or mapped. Cheap to clone.
#[derive(Clone)]
pub struct Content {
    bytes: Buffer<u8>,
    mapped: bool,
    stop: Option<Arc<AtomicBool>>,
}

impl Content {
    /// Bytes that were read into memory.
    pub fn owned(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self { bytes: Buffer::new(bytes), mapped: false, stop: None }
    }

    /// Bytes of a mapped file, which the operating system loads when they are looked at.
    pub fn mapped(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self { bytes: Buffer::new(bytes), mapped: true, stop: None }
    }

    /// The same bytes, of which reading ends when `stop` is set.
    #[must_use]
    pub fn until(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop: Some(stop), ..self }
    }

    /// Whether whoever reads line by line is to end; asked every [`Content::LINES`] lines.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Lines that are read before it is asked again whether to end: some milliseconds of work.
    pub(crate) const LINES: usize = 1 << 14;

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, shared.
    pub fn buffer(&self) -> &Buffer<u8> {
        &self.bytes
    }

    /// Whether the bytes are mapped rather than in memory.
    pub fn is_mapped(&self) -> bool {
        self.mapped
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.mapped { "mapped" } else { "in memory" };
        write!(f, "{} bytes {kind}", self.bytes.len())
    }
}
