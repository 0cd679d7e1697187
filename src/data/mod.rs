//! From bytes to tensors, in two phases.
//!
//! ```text
//!  Request ──inspect──▶ Header ──(check, plan)──▶ read ──▶ Loaded { Tensor }
//!     ▲                   │
//!   Files: bytes          └ shape, columns, levels, size in memory
//! ```
//!
//! [`inspect`] looks at headers only, and at the columns whose levels come from the data. [`read`] looks at
//! every cell. Formats are pure functions of bytes; files are opened by the host, through [`Files`].
//!
//! | what | where |
//! |---|---|
//! | the statement, resolved | `request.rs` |
//! | the formats and how one is chosen | `format.rs`, one file each in `formats/` |
//! | modes to axes and columns | `binding.rs` |
//! | the text of a field to a level | `lookup.rs` |
//! | rows that are wrong, one report per cause | `offences.rs` |
//! | cells in any order to a sparse tensor | `cells.rs`, `columns.rs`, `distinct.rs` |
//! | totals and forbidden values | `summary.rs` |
//! | cells whose value is unknown, and how many | `mask.rs`, `hidden.rs` |
//!
//! Adding a format takes one file in `formats/` and one line in the registry of `format.rs`.

mod binding;
mod cells;
mod columns;
mod distinct;
pub mod files;
pub mod format;
mod formats;
pub mod header;
pub mod hidden;
mod indices;
mod lookup;
pub mod mask;
mod offences;
pub mod request;
mod suggest;
mod summary;
pub mod tensor;

pub use files::{Content, Files};
pub use format::{Format, Loaded};
pub use formats::numbers::numbers;
pub use header::{Amount, Binding, BoundAxis, Column, ElementType, Header, Layout, Profile, Role};
pub use indices::{IndexType, Indices};
pub use lookup::unite;
pub use mask::Mask;
pub use request::{Axis, Counting, Declared, Literal, MaskClause, MaskFile, Request, Source};
pub use summary::{RANGE as TOTALS, Summary};
pub use tensor::{Buffer, Dense, Element, Found, Onlooker, Sparse, Storage, Tensor, Values};

use std::sync::Arc;

use crate::model::Mode;
use crate::text::{Code, Diagnostic, Span};
use format::{Checked, Opened};

/// The first phase: reads headers, and scans the columns whose levels come from the data.
///
/// Costs a look at the first bytes, except for text whose levels are not all declared, which is scanned once.
/// The header keeps the opened files, so that the second phase reads what the first one saw.
///
/// # Errors
/// One diagnostic per cause: files that cannot be read, shapes and columns that do not fit the modes, and rows
/// that the scan finds to be wrong.
pub fn inspect(request: &Request, files: &dyn Files) -> Result<Header, Vec<Diagnostic>> {
    if request.axes.is_empty() {
        return Err(vec![
            Diagnostic::new(Code::MBA202, format!("`{}` lists no modes", request.name))
                .at(request.span, "needs at least one mode")
                .help(format!("list the modes in brackets, such as `{}[hair, eye]`", request.name)),
        ]);
    }
    if let (Some((_, at)), false) = (&request.key, matches!(request.source, Source::File { .. })) {
        return Err(vec![
            Diagnostic::new(
                Code::MBA409,
                format!("the source of `{}` holds no arrays to choose from", request.name),
            )
            .at(*at, "picks an array of an archive")
            .help("leave the name of the array out"),
        ]);
    }
    let mut header = header(request, files).map_err(|list| beside_keys_of_masks(request, list))?;
    if !request.masks.is_empty() {
        let masks = mask::Masks::inspect(request, &header.modes(), files)?;
        header.pending = Arc::new(mask::Masked { inner: header.pending, masks });
    }
    Ok(header)
}

/// Which array of the data is meant may have been said after a mask, whose key it then is.
fn beside_keys_of_masks(request: &Request, list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let key = request.masks.iter().find_map(|clause| match clause {
        MaskClause::File { file, .. } => file.key.as_ref(),
        MaskClause::Where { .. } => None,
    });
    let Some((key, span)) = key.filter(|_| request.key.is_none()) else { return list };
    let told = |d: Diagnostic| match d.code {
        Code::MBA406 => d
            .at(*span, format!("`{key}` is looked for in the mask before it"))
            .help("write the `key` of the data before the mask"),
        _ => d,
    };
    list.into_iter().map(told).collect()
}

fn header(request: &Request, files: &dyn Files) -> Checked<Header> {
    match &request.source {
        Source::File { path, span } => {
            let file = open(files, path, *span)?;
            format::inspect_file(request, &file)
        }
        Source::Coordinates { coords, values } => {
            match (open(files, &coords.0, coords.1), open(files, &values.0, values.1)) {
                (Ok(coords), Ok(values)) => formats::coordinates::inspect(request, &coords, &values),
                (Err(a), Err(b)) => Err(a.into_iter().chain(b).collect()),
                (Err(a), _) | (_, Err(a)) => Err(a),
            }
        }
        Source::Literal(literal) => formats::literal::inspect(request, literal),
    }
}

/// The second phase: reads the cells.
///
/// `modes` are the final modes, one per axis of the request: normally [`Header::modes`], unless other tensors
/// bring more levels.
///
/// # Errors
/// One diagnostic per cause: modes that do not fit the shape, rows that are wrong, and values that are
/// negative or not finite.
pub fn read(request: &Request, header: &Header, modes: &[Mode]) -> Result<Loaded, Vec<Diagnostic>> {
    agree(request, header, modes)?;
    header.pending.read(request, modes, None)
}

/// The same with somebody who may take sums on the way.
///
/// # Errors
/// As [`read`].
pub fn read_before(
    request: &Request,
    header: &Header,
    modes: &[Mode],
    onlooker: &dyn Onlooker,
) -> Result<Loaded, Vec<Diagnostic>> {
    agree(request, header, modes)?;
    header.pending.read(request, modes, Some(onlooker))
}

fn agree(request: &Request, header: &Header, modes: &[Mode]) -> Result<(), Vec<Diagnostic>> {
    if modes.len() == request.axes.len() && header.axes.len() == request.axes.len() {
        return Ok(());
    }
    Err(vec![
        Diagnostic::new(Code::MBA901, format!("`{}` was given the modes of other data", request.name))
            .at(request.span, "these data")
            .help("this is a defect: please report it with the program"),
    ])
}

fn open<'a>(files: &dyn Files, path: &'a str, span: Span) -> Checked<Opened<'a>> {
    match files.open(path) {
        Ok(content) => Ok(Opened { path, span, content }),
        Err(error) => Err(vec![cannot_open(path, span, &error)]),
    }
}

fn cannot_open(path: &str, span: Span, error: &std::io::Error) -> Diagnostic {
    use std::io::ErrorKind;
    let path = if path == "-" { "standard input".to_owned() } else { format!("`{path}`") };
    let (message, help) = match error.kind() {
        ErrorKind::NotFound => {
            (format!("{path} does not exist"), "paths that are read are relative to the file that names them")
        }
        ErrorKind::PermissionDenied => {
            (format!("{path} may not be read"), "change the permissions of the file")
        }
        ErrorKind::IsADirectory => (format!("{path} is a directory"), "name a file inside it"),
        _ => {
            let reason = error.to_string();
            return Diagnostic::new(Code::MBA401, format!("{path} cannot be read"))
                .at(span, "named here")
                .note(reason.trim_end_matches('.').to_owned())
                .help("check that the path leads to a file that can be read");
        }
    };
    Diagnostic::new(Code::MBA401, message).at(span, "named here").help(help)
}
