//! Archives of NumPy arrays with metadata as JSON: what saved fits and checkpoints are written in.
//!
//! An archive is an `.npz` file whose entries are not compressed, each with its own checksum. The array
//! `metadata` holds the bytes of a JSON text: `json.loads(bytes(z["metadata"]))`. The same content gives the
//! same bytes.

use std::io::{Cursor, Read};

use ndarray::{ArrayViewD, IxDyn};
use ndarray_npy::{NpzWriter, ViewElement, ViewNpyExt, WritableElement};
use serde_json::Value as Json;
use zip::CompressionMethod;
use zip::ZipArchive;
use zip::write::SimpleFileOptions;

use crate::data::{Buffer, Content};

/// The entry that holds the metadata.
const METADATA: &str = "metadata";

/// An archive in which arrays can be named by where they stand.
pub trait Within {
    /// What names of arrays begin with.
    fn prefix(&mut self) -> &mut String;

    /// Does some work in which they begin with `prefix` after that.
    fn within<R>(&mut self, prefix: &str, work: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.prefix().len();
        self.prefix().push_str(prefix);
        let result = work(self);
        self.prefix().truncate(before);
        result
    }
}

impl Within for Writer {
    fn prefix(&mut self) -> &mut String {
        &mut self.prefix
    }
}

impl Within for Reader {
    fn prefix(&mut self) -> &mut String {
        &mut self.prefix
    }
}

/// An archive that is being written, in memory.
pub struct Writer {
    entries: NpzWriter<Cursor<Vec<u8>>>,
    /// What names of arrays begin with.
    prefix: String,
}

impl Default for Writer {
    fn default() -> Self {
        Self { entries: NpzWriter::new(Cursor::new(Vec::new())), prefix: String::new() }
    }
}

impl Writer {
    /// Adds an array in C order.
    ///
    /// # Errors
    /// When the shape is not that of the values, or a name is used twice.
    pub fn array<T: WritableElement>(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[T],
    ) -> Result<(), String> {
        let array = ArrayViewD::from_shape(IxDyn(shape), values).map_err(|e| e.to_string())?;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(std::mem::size_of_val(values) > 1 << 31);
        let name = format!("{}{name}", self.prefix);
        self.entries.add_array_with_options(name, &array, options).map_err(|e| e.to_string())
    }

    /// The bytes of the archive.
    ///
    /// # Errors
    /// When it is larger than an archive can be.
    pub fn finish(mut self, metadata: &Json) -> Result<Vec<u8>, String> {
        let text = serde_json::to_vec_pretty(metadata).map_err(|e| e.to_string())?;
        self.array(METADATA, &[text.len()], &text)?;
        Ok(self.entries.finish().map_err(|e| e.to_string())?.into_inner())
    }
}

/// An archive that is being read. Every reason for failing is a phrase for a diagnostic.
pub struct Reader {
    zip: ZipArchive<Cursor<Shared>>,
    size: u64,
    /// What names of arrays begin with.
    prefix: String,
}

impl Reader {
    /// Opens an archive.
    ///
    /// # Errors
    /// When these are not the bytes of one.
    pub fn new(content: &Content) -> Result<Self, String> {
        let size = content.bytes().len() as u64;
        if size == 0 {
            return Err("it is empty".into());
        }
        if !content.bytes().starts_with(b"PK") {
            return Err("it does not begin like an archive of arrays".into());
        }
        let zip = ZipArchive::new(Cursor::new(Shared(content.buffer().clone())));
        zip.map(|zip| Self { zip, size, prefix: String::new() }).map_err(|e| damaged(&e.to_string()))
    }

    /// The metadata.
    ///
    /// # Errors
    /// When there are none.
    pub fn metadata(&mut self) -> Result<Json, String> {
        let bytes: Vec<u8> = self.array(METADATA)?.1;
        serde_json::from_slice(&bytes).map_err(|e| format!("its metadata cannot be read: {e}"))
    }

    /// The shape and the values of an array; its checksum is verified.
    ///
    /// # Errors
    /// When it is missing, damaged, compressed, or of another number type.
    pub fn array<T: ViewElement + Clone>(&mut self, name: &str) -> Result<(Vec<usize>, Vec<T>), String> {
        let name = format!("{}{name}", self.prefix);
        let mut entry =
            self.zip.by_name(&format!("{name}.npy")).map_err(|_| format!("it has no array `{name}`"))?;
        if entry.compression() != CompressionMethod::Stored || entry.size() > self.size {
            return Err(format!("its array `{name}` is not stored as `mba` stores arrays"));
        }
        // words rather than bytes, so that numbers in them are where numbers can be
        let size = usize::try_from(entry.size()).map_err(|e| e.to_string())?;
        let mut words = vec![0u64; size.div_ceil(8)];
        let bytes = bytemuck::cast_slice_mut::<u64, u8>(&mut words);
        let bytes = bytes.get_mut(..size).unwrap_or_default();
        let read = entry.read_exact(bytes).and_then(|()| entry.read(&mut [0]));
        read.map_err(|e| damaged(&format!("`{name}`: {e}")))?;
        let view = ArrayViewD::<T>::view_npy(bytes).map_err(|e| damaged(&format!("`{name}`: {e}")))?;
        Ok((view.shape().to_vec(), view.iter().cloned().collect()))
    }
}

fn damaged(reason: &str) -> String {
    format!("it is damaged: {}", reason.trim_end_matches('.').to_lowercase())
}

/// Bytes that a cursor can own.
struct Shared(Buffer<u8>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A number for JSON that comes back with the same bits; not finite ones as words.
pub fn exact(x: f64) -> Json {
    match serde_json::Number::from_f64(x) {
        Some(number) => Json::Number(number),
        None if x.is_nan() => "nan".into(),
        None => if x > 0.0 { "inf" } else { "-inf" }.into(),
    }
}

/// What [`exact`] wrote.
///
/// # Errors
/// When it is no number.
pub fn number(json: &Json) -> Result<f64, String> {
    match (json.as_f64(), json.as_str()) {
        (Some(x), _) => Ok(x),
        (_, Some("inf")) => Ok(f64::INFINITY),
        (_, Some("-inf")) => Ok(f64::NEG_INFINITY),
        (_, Some("nan")) => Ok(f64::NAN),
        _ => Err(format!("`{json}` is not a number")),
    }
}

/// A whole number.
///
/// # Errors
/// When it is none.
pub fn whole(json: &Json) -> Result<usize, String> {
    let n = json.as_u64().and_then(|n| usize::try_from(n).ok());
    n.ok_or_else(|| format!("`{json}` is not a whole number"))
}

/// A text.
///
/// # Errors
/// When it is none.
pub fn text(json: &Json) -> Result<&str, String> {
    json.as_str().ok_or_else(|| format!("`{json}` is not a text"))
}

/// A list.
///
/// # Errors
/// When it is none.
pub fn list(json: &Json) -> Result<&[Json], String> {
    json.as_array().map(Vec::as_slice).ok_or_else(|| format!("`{json}` is not a list"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut writer = Writer::default();
        writer.array("a", &[2, 1], &[0.1, f64::NEG_INFINITY]).unwrap();
        writer.array("none", &[0], &[0u32; 0]).unwrap();
        writer.finish(&serde_json::json!({ "x": exact(0.1), "y": exact(f64::NAN) })).unwrap()
    }

    #[test]
    fn what_is_written_is_read_bit_by_bit() {
        let bytes = archive();
        assert_eq!(bytes, archive(), "the same bytes each time");
        let mut reader = Reader::new(&Content::owned(bytes)).unwrap();
        assert_eq!(reader.array::<f64>("a"), Ok((vec![2, 1], vec![0.1, f64::NEG_INFINITY])));
        assert_eq!(reader.array::<u32>("none"), Ok((vec![0], vec![])));
        assert!(reader.array::<f64>("b").is_err() && reader.array::<u32>("a").is_err());
        let metadata = reader.metadata().unwrap();
        assert!(number(&metadata["x"]) == Ok(0.1) && number(&metadata["y"]).unwrap().is_nan());
        for x in [f64::INFINITY, -0.0, 5e-324, f64::MAX, 1.0 / 3.0] {
            assert_eq!(number(&exact(x)).map(f64::to_bits), Ok(x.to_bits()));
        }
    }

    #[test]
    fn no_changed_byte_and_no_missing_one_is_taken_for_another_number() {
        let good = archive();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            let cut = good[..at].to_vec();
            for bytes in [bad, cut] {
                let Ok(mut reader) = Reader::new(&Content::owned(bytes)) else { continue };
                if let Ok((shape, values)) = reader.array::<f64>("a") {
                    assert_eq!((shape, values), (vec![2, 1], vec![0.1, f64::NEG_INFINITY]), "byte {at}");
                }
                let _ = reader.metadata();
            }
        }
    }
}
