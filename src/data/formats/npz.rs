//! Archives of NumPy arrays: `.npz`. One array is read; entries that are not compressed are used in place.

use std::io::{Cursor, Read};

use zip::{CompressionMethod, ZipArchive};

use super::npy::{self, Array, Fault};
use crate::data::format::{Checked, Opened};
use crate::data::header::Header;
use crate::data::request::Request;
use crate::data::suggest::{closest, count, list};
use crate::data::tensor::Buffer;
use crate::text::{Code, Diagnostic, Span};

/// The first phase.
///
/// A compressed array is unpacked here and kept, since unpacking twice would cost more than keeping it.
pub(crate) fn inspect(request: &Request, file: &Opened<'_>) -> Checked<Header> {
    let (array, what, in_place) = find(request.key.as_ref(), file)?;
    npy::header(request, array, "npz", what, file.span, in_place && file.content.is_mapped())
}

/// The array that is asked for, what it is called in messages, and whether it can be used in place.
pub(crate) fn find(key: Option<&(String, Span)>, file: &Opened<'_>) -> Checked<(Array, String, bool)> {
    let damaged = |reason: &str| {
        vec![
            Diagnostic::new(Code::MBA404, format!("`{}` is not an archive that can be read", file.path))
                .at(file.span, "read as `npz`")
                .note(reason.trim_end_matches('.').to_lowercase())
                .help("copy or save the file again, for example with `numpy.savez`"),
        ]
    };
    if !file.content.bytes().starts_with(b"PK") {
        return Err(damaged("it does not begin like an archive"));
    }
    let mut archive = ZipArchive::new(Cursor::new(Shared(file.content.buffer().clone())))
        .map_err(|e| damaged(&e.to_string()))?;
    let names: Vec<(usize, String)> = (0..archive.len())
        .filter_map(|i| {
            archive.name_for_index(i).and_then(|n| n.strip_suffix(".npy")).map(|n| (i, n.to_owned()))
        })
        .collect();
    let all = || list(names.iter().map(|(_, n)| n.as_str()));
    let (index, name) = match (key, names.as_slice()) {
        (_, []) => {
            return Err(vec![
                Diagnostic::new(Code::MBA403, format!("`{}` holds no arrays", file.path))
                    .at(file.span, "an archive without `.npy` entries")
                    .help("save the arrays again, for example with `numpy.savez`"),
            ]);
        }
        (None, [(index, name)]) => (*index, name),
        (None, several) => {
            let example = several.first().map_or("", |(_, n)| n.as_str());
            return Err(vec![
                Diagnostic::new(
                    Code::MBA406,
                    format!("`{}` holds {}", file.path, count(several.len(), "array", "arrays")),
                )
                .at(file.span, format!("holds {}", all()))
                .help(format!("say which one to read, such as `key \"{example}\"`")),
            ]);
        }
        (Some((key, span)), _) => {
            match names.iter().find(|(_, n)| n == key.strip_suffix(".npy").unwrap_or(key)) {
                Some((index, name)) => (*index, name),
                None => {
                    let report =
                        Diagnostic::new(Code::MBA406, format!("`{}` holds no array `{key}`", file.path))
                            .at(*span, "no array of this name")
                            .at(file.span, format!("holds {}", all()));
                    return Err(vec![match closest(key, names.iter().map(|(_, n)| n.as_str())) {
                        Some(near) => report
                            .replace(*span, format!("\"{near}\""), format!("replace `{key}` by `{near}`"))
                            .help(format!("did you mean `{near}`?")),
                        None => report.help("name one of these arrays"),
                    }]);
                }
            }
        }
    };
    let what = format!("`{name}` in `{}`", file.path);
    let fault = |f: Fault| vec![npy::report(f, &what, file.span)];
    let mut entry = archive.by_index(index).map_err(|e| damaged(&e.to_string()))?;
    if entry.compression() == CompressionMethod::Stored {
        let start = usize::try_from(entry.data_start()).unwrap_or(usize::MAX);
        drop(entry);
        let array = Array::new(file.content.buffer(), start).map_err(fault)?;
        let in_place = array.in_place();
        return Ok((array, what, in_place));
    }
    // the header first: it says how much is to be unpacked, so that a small file cannot fill the memory
    let mut bytes = Vec::new();
    let mut take = |bytes: &mut Vec<u8>, until: usize| -> Checked<()> {
        let more = until.saturating_sub(bytes.len()) as u64;
        (&mut entry).take(more).read_to_end(bytes).map(drop).map_err(|e| damaged(&e.to_string()))
    };
    take(&mut bytes, 12)?;
    let head = npy::preamble_len(&bytes).map_err(fault)?;
    take(&mut bytes, head)?;
    let end = npy::preamble(&bytes).and_then(|p| p.end()).map_err(fault)?;
    take(&mut bytes, end)?;
    let array = Array::new(&Buffer::new(bytes), 0).map_err(fault)?;
    Ok((array, what, false))
}

/// Bytes that a cursor can own.
struct Shared(Buffer<u8>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
