//! The registry of formats, and how the format of a file is chosen.

use std::fmt;

use super::files::Content;
use super::formats::{npy, npz, table, tns};
use super::header::Header;
use super::mask::Masks;
use super::request::Request;
use super::tensor::{Onlooker, Tensor};
use crate::model::Mode;
use crate::text::{Code, Diagnostic, Span};

/// The outcome of a phase. Several causes are several diagnostics.
pub type Checked<T> = Result<T, Vec<Diagnostic>>;

/// A file that has been opened.
pub(crate) struct Opened<'a> {
    /// As it is written in the program.
    pub path: &'a str,
    /// Where it is written.
    pub span: Span,
    /// What is in it.
    pub content: Content,
}

/// A tensor whose header has been read and whose cells have not.
pub(crate) trait Pending: fmt::Debug + Send + Sync {
    /// Reads the cells. Formats of dense tensors let an onlooker see them.
    fn read(&self, request: &Request, modes: &[Mode], onlooker: Option<&dyn Onlooker>) -> Checked<Loaded>;

    /// Reads the cells that are observed; formats of dense tensors look at the mask before they look at
    /// the values.
    fn read_masked(
        &self,
        request: &Request,
        modes: &[Mode],
        masks: &Masks,
        _: Option<&dyn Onlooker>,
    ) -> Checked<Loaded> {
        masks.sparse(request, modes, self.read(request, modes, None)?)
    }
}

/// A tensor, and what happened on the way.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The tensor.
    pub tensor: Tensor,
    /// Rows left out because of an empty or `NA` field.
    pub dropped_rows: usize,
    /// Observations worth showing, one sentence fragment each.
    pub notes: Vec<String>,
}

struct Entry {
    format: Format,
    /// What a program may call it; the first one is what it is shown as.
    names: &'static [&'static str],
    /// How file names end, without the dot and in lower case.
    extensions: &'static [&'static str],
    /// How files begin; empty for text.
    magic: &'static [u8],
    inspect: fn(&Request, &Opened<'_>) -> Checked<Header>,
}

macro_rules! formats {
    ($($(#[$doc:meta])* $format:ident $names:expr, $extensions:expr, $magic:expr, $inspect:path;)*) => {
        /// A file format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Format { $($(#[$doc])* $format,)* }

        const REGISTRY: &[Entry] = &[$(Entry {
            format: Format::$format,
            names: &$names,
            extensions: &$extensions,
            magic: $magic,
            inspect: $inspect,
        },)*];
    };
}

formats! {
    /// A NumPy array.
    Npy ["npy"], ["npy"], b"\x93NUMPY", npy::inspect;
    /// An archive of NumPy arrays.
    Npz ["npz"], ["npz"], b"PK", npz::inspect;
    /// A table of text with a line of column names; the delimiter is found out.
    Table ["csv", "tsv", "table"], ["csv", "tsv", "tab", "txt", "dat"], b"", table::inspect;
    /// FROSTT: a line per cell, indices from 1 and a value.
    Tns ["tns"], ["tns"], b"", tns::inspect;
}

impl Format {
    /// The names a program can use for formats.
    pub fn names() -> impl Iterator<Item = &'static str> {
        REGISTRY.iter().flat_map(|e| e.names.iter().copied())
    }

    /// The format a program calls by this name.
    pub fn named(name: &str) -> Option<Format> {
        REGISTRY.iter().find(|e| e.names.contains(&name)).map(|e| e.format)
    }

    /// What the format is shown as.
    pub fn name(self) -> &'static str {
        self.entry().and_then(|e| e.names.first()).copied().unwrap_or("unknown")
    }

    /// The error for a program that calls for a format by a name there is none of.
    pub fn unknown(name: &str, span: Span) -> Diagnostic {
        let help = super::suggest::closest(name, Format::names())
            .map_or_else(formats_in_words, |near| format!("did you mean `{near}`?"));
        Diagnostic::new(Code::MBA402, format!("there is no format `{name}`"))
            .at(span, "not a format")
            .help(help)
    }

    fn entry(self) -> Option<&'static Entry> {
        REGISTRY.iter().find(|e| e.format == self)
    }
}

fn formats_in_words() -> String {
    let names: Vec<String> = Format::names().map(|n| format!("`{n}`")).collect();
    format!("the formats are {}", names.join(", "))
}

/// Formats that people are likely to try, and the way from them to one that can be read.
const KNOWN_ELSEWHERE: &[(&str, &[u8], &str)] = &[
    ("gz", b"\x1f\x8b", "decompress it first, for example with `gzip -dk`"),
    ("zst", b"\x28\xb5\x2f\xfd", "decompress it first, for example with `zstd -d`"),
    ("xz", b"\xfd7zXZ\0", "decompress it first, for example with `xz -dk`"),
    ("parquet", b"PAR1", "convert it to `.csv`, with one row per record or per cell"),
    ("h5", b"\x89HDF\r\n", "save the array as `.npy`"),
    ("mat", b"MATLAB", "save the array as `.npy`"),
    ("png", b"\x89PNG", "save the pixels as `.npy`"),
    ("xlsx", b"", "export the sheet as `.csv`"),
    ("mtx", b"%%MatrixMarket", "write it as `.tns`: a line per cell, indices from 1 and a value"),
];

/// Chooses the format: as the program says, else by the end of the name, else by how the file begins.
pub(crate) fn inspect_file(request: &Request, file: &Opened<'_>) -> Checked<Header> {
    let bytes = file.content.bytes();
    if bytes.is_empty() {
        let message = if file.path == "-" {
            "standard input is empty".to_owned()
        } else {
            format!("`{}` is empty", file.path)
        };
        return Err(vec![Diagnostic::new(Code::MBA403, message).at(file.span, "no bytes to read").help(
            if file.path == "-" {
                "pipe the data into the command"
            } else {
                "check how the file was written: it has no content"
            },
        )]);
    }
    let format = match request.format {
        Some(format) => format,
        None => recognise(file)?,
    };
    if request.key.is_some() && format != Format::Npz {
        let span = request.key.as_ref().map_or(file.span, |k| k.1);
        return Err(vec![
            Diagnostic::new(Code::MBA409, format!("`{}` holds no arrays to choose from", file.path))
                .at(span, "picks an array of an archive")
                .note(format!(
                    "the file is read as `{}`; only `npz` archives hold named arrays",
                    format.name()
                ))
                .help("leave the name of the array out"),
        ]);
    }
    match format.entry() {
        Some(entry) => (entry.inspect)(request, file),
        None => Err(vec![Diagnostic::new(Code::MBA901, "a format is not registered").at(file.span, "")]),
    }
}

/// What is said when reading was asked to end.
pub(crate) fn ended(path: &str, span: Span, line: usize) -> Diagnostic {
    Diagnostic::new(Code::MBA538, format!("`{path}` was not read to its end"))
        .at(span, format!("reading was asked to end at line {line}"))
        .help("run it again; nothing was kept of the file")
}

fn recognise(file: &Opened<'_>) -> Checked<Format> {
    let bytes = file.content.bytes();
    let ending = file.path.rsplit(['/', '\\']).next().and_then(|name| name.rsplit_once('.'));
    let ending = ending.map(|(_, e)| e.to_lowercase()).unwrap_or_default();
    if let Some(entry) = REGISTRY.iter().find(|e| e.extensions.contains(&ending.as_str())) {
        return Ok(entry.format);
    }
    if let Some(entry) = REGISTRY.iter().find(|e| !e.magic.is_empty() && bytes.starts_with(e.magic)) {
        return Ok(entry.format);
    }
    let elsewhere = KNOWN_ELSEWHERE
        .iter()
        .find(|(name, magic, _)| *name == ending || (!magic.is_empty() && bytes.starts_with(magic)));
    let unknown = Diagnostic::new(Code::MBA402, format!("the format of `{}` is not known", file.path));
    if let Some((name, _, way_out)) = elsewhere {
        return Err(vec![unknown.at(file.span, format!("looks like `.{name}`")).help(*way_out)]);
    }
    let start = bytes.get(..bytes.len().min(4096)).unwrap_or(bytes);
    let wide = start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff");
    if start.contains(&0) && !wide {
        let help = format!("{}; name one with `format`", formats_in_words());
        return Err(vec![unknown.at(file.span, "not text, and not an array or archive").help(help)]);
    }
    Ok(Format::Table)
}
