//! NumPy arrays: `.npy`, versions 1 to 3, every real number type, both byte orders, both orders of cells.
//!
//! The numbers are lent out of the file where its bytes can be used as they are, and copied otherwise.

use std::marker::PhantomData;
use std::sync::Arc;

use bytemuck::Pod;

use crate::data::binding;
use crate::data::format::{Checked, Loaded, Opened, Pending};
use crate::data::header::{ElementType, Header, Layout, Profile};
use crate::data::mask::Masks;
use crate::data::request::Request;
use crate::data::suggest::clip;
use crate::data::summary::{Summary, summarise, summarise_observed};
use crate::data::tensor::{Buffer, Dense, Onlooker, Storage, Tensor, Values};
use crate::model::Mode;
use crate::text::{Code, Diagnostic, Span};
use crate::with_values;

/// An array in a file: what its header says, and its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Array {
    pub element: ElementType,
    pub layout: Layout,
    pub shape: Vec<usize>,
    swapped: bool,
    bytes: Buffer<u8>,
    start: usize,
    /// One past the last byte of the cells.
    end: usize,
}

/// Why bytes are not an array that can be read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// They do not begin like one.
    Foreign,
    /// They end early; the sizes are those the header asks for and those there are.
    Short(Option<(u128, usize)>),
    /// The header makes no sense.
    Header(String),
    /// A number type that no tensor is made of.
    Element(String),
    /// The cells cannot be counted.
    Large,
}

/// What the header says.
#[derive(Debug)]
pub(crate) struct Preamble {
    element: ElementType,
    layout: Layout,
    pub shape: Vec<usize>,
    swapped: bool,
    /// Where the cells begin.
    start: usize,
    /// Bytes of all cells.
    size: usize,
}

/// Length of the header at the front of `bytes`, when there are enough of them to tell.
pub(crate) fn preamble_len(bytes: &[u8]) -> Result<usize, Fault> {
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err(if b"\x93NUMPY".starts_with(bytes) { Fault::Short(None) } else { Fault::Foreign });
    }
    let (fixed, length) = match bytes.get(6) {
        Some(1) => {
            (10, bytes.get(8..10).and_then(|b| b.try_into().ok()).map(|b| usize::from(u16::from_le_bytes(b))))
        }
        Some(2 | 3) => (
            12,
            bytes
                .get(8..12)
                .and_then(|b| b.try_into().ok())
                .and_then(|b| usize::try_from(u32::from_le_bytes(b)).ok()),
        ),
        Some(version) => return Err(Fault::Header(format!("version {version} of the format is not known"))),
        None => return Err(Fault::Short(None)),
    };
    length.and_then(|n| n.checked_add(fixed)).ok_or(Fault::Short(None))
}

/// Reads the header at the front of `bytes`.
pub(crate) fn preamble(bytes: &[u8]) -> Result<Preamble, Fault> {
    let start = preamble_len(bytes)?;
    let fixed = if bytes.get(6) == Some(&1) { 10 } else { 12 };
    let text = bytes.get(fixed..start).ok_or(Fault::Short(None))?;
    let text = String::from_utf8_lossy(text);
    let fields = Fields::read(&text).map_err(Fault::Header)?;
    let (element, swapped) = element(&fields.descr)?;
    let layout = if fields.fortran_order { Layout::FirstFastest } else { Layout::LastFastest };
    let size = if fields.shape.contains(&0) {
        0
    } else {
        let cells = fields.shape.iter().try_fold(1usize, |n, m| n.checked_mul(*m));
        cells
            .and_then(|n| n.checked_mul(element.bytes()))
            .filter(|n| isize::try_from(*n).is_ok())
            .ok_or(Fault::Large)?
    };
    Ok(Preamble { element, layout, shape: fields.shape, swapped, start, size })
}

impl Preamble {
    /// One past the last byte of the cells, counted from the beginning of the header.
    pub fn end(&self) -> Result<usize, Fault> {
        self.start.checked_add(self.size).ok_or(Fault::Large)
    }
}

impl Array {
    /// The numbers where they lie.
    pub fn dense(&self) -> Dense {
        Dense::new(self.shape.clone(), self.strides(), self.values())
    }

    /// The array that `bytes` begin with, starting at `from`.
    pub fn new(bytes: &Buffer<u8>, from: usize) -> Result<Self, Fault> {
        let view = bytes.get(from..).unwrap_or_default();
        let head = preamble(view)?;
        let end = head.end()?;
        if view.len() < end {
            return Err(Fault::Short(Some((head.size as u128, view.len().saturating_sub(head.start)))));
        }
        Ok(Self {
            element: head.element,
            layout: head.layout,
            shape: head.shape,
            swapped: head.swapped,
            bytes: bytes.clone(),
            start: from.saturating_add(head.start),
            end: from.saturating_add(end),
        })
    }

    fn raw(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether the numbers can be used where they are.
    pub fn in_place(&self) -> bool {
        fn fits<T: Pod>(raw: &[u8]) -> bool {
            bytemuck::try_cast_slice::<u8, T>(raw).is_ok()
        }
        let raw = self.raw();
        !self.swapped
            && match self.element {
                ElementType::Bool | ElementType::F16 => false,
                ElementType::I8 | ElementType::U8 => true,
                ElementType::I16 | ElementType::U16 => fits::<u16>(raw),
                ElementType::I32 | ElementType::U32 | ElementType::F32 => fits::<u32>(raw),
                ElementType::I64 | ElementType::U64 | ElementType::F64 => fits::<u64>(raw),
            }
    }

    /// The bytes of truth values in row-major order, when it is of these.
    pub fn truths(&self) -> Option<&[u8]> {
        let rows = self.layout == Layout::LastFastest || self.shape.len() < 2;
        (self.element == ElementType::Bool && rows).then(|| self.raw())
    }

    /// The distance between neighbours along each axis.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![0; self.shape.len()];
        let mut step = 1usize;
        let mut place = |(stride, size): (&mut usize, &usize)| {
            *stride = step;
            step = step.saturating_mul(*size);
        };
        match self.layout {
            Layout::LastFastest => strides.iter_mut().zip(&self.shape).rev().for_each(&mut place),
            Layout::FirstFastest => strides.iter_mut().zip(&self.shape).for_each(&mut place),
        }
        strides
    }

    /// The numbers, in the order of the file.
    pub fn values(&self) -> Values {
        match self.element {
            ElementType::Bool => {
                let bits: Vec<bool> = self.raw().iter().map(|b| *b != 0).collect();
                Values::Bool(Buffer::new(bits))
            }
            ElementType::I8 => Values::I8(self.numbers(i8::from_be_bytes)),
            ElementType::I16 => Values::I16(self.numbers(i16::from_be_bytes)),
            ElementType::I32 => Values::I32(self.numbers(i32::from_be_bytes)),
            ElementType::I64 => Values::I64(self.numbers(i64::from_be_bytes)),
            ElementType::U8 => Values::U8(self.numbers(u8::from_be_bytes)),
            ElementType::U16 => Values::U16(self.numbers(u16::from_be_bytes)),
            ElementType::U32 => Values::U32(self.numbers(u32::from_be_bytes)),
            ElementType::U64 => Values::U64(self.numbers(u64::from_be_bytes)),
            ElementType::F32 => Values::F32(self.numbers(f32::from_be_bytes)),
            ElementType::F64 => Values::F64(self.numbers(f64::from_be_bytes)),
            ElementType::F16 => {
                let halves = self.numbers(u16::from_be_bytes);
                Values::F32(Buffer::new(halves.iter().map(|h| half_to_single(*h)).collect::<Vec<f32>>()))
            }
        }
    }

    fn numbers<T: Pod + Send + Sync, const N: usize>(&self, swapped: fn([u8; N]) -> T) -> Buffer<T> {
        let raw = self.raw();
        if self.swapped {
            let (chunks, _) = raw.as_chunks::<N>();
            // "swapped" is relative to this machine, and the conversion given is from big endian
            let read = |c: &[u8; N]| {
                let mut c = *c;
                if cfg!(target_endian = "big") {
                    c.reverse();
                }
                swapped(c)
            };
            return Buffer::new(chunks.iter().map(read).collect::<Vec<T>>());
        }
        if bytemuck::try_cast_slice::<u8, T>(raw).is_ok() {
            return Buffer::new(Lent {
                bytes: self.bytes.clone(),
                start: self.start,
                end: self.end,
                number: PhantomData,
            });
        }
        Buffer::new(bytemuck::allocation::pod_collect_to_vec::<u8, T>(raw))
    }
}

/// Numbers lent out of the bytes of a file.
struct Lent<T> {
    bytes: Buffer<u8>,
    start: usize,
    end: usize,
    number: PhantomData<T>,
}

impl<T: Pod> AsRef<[T]> for Lent<T> {
    fn as_ref(&self) -> &[T] {
        let raw = self.bytes.get(self.start..self.end).unwrap_or_default();
        bytemuck::try_cast_slice(raw).unwrap_or_default()
    }
}

/// IEEE 754 binary16 to binary32, which is exact.
fn half_to_single(half: u16) -> f32 {
    let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(half >> 10 & 0x1f);
    let fraction = f32::from(half & 0x3ff);
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

/// The number type that a header names, and whether its bytes are in the other order than this machine's.
fn element(descr: &str) -> Result<(ElementType, bool), Fault> {
    let (order, kind) = match descr.chars().next() {
        Some(c @ ('<' | '>' | '|' | '=')) => (c, descr.get(1..).unwrap_or_default()),
        _ => ('=', descr),
    };
    let element = match kind {
        "b1" | "?" => ElementType::Bool,
        "i1" | "b" => ElementType::I8,
        "i2" => ElementType::I16,
        "i4" => ElementType::I32,
        "i8" => ElementType::I64,
        "u1" | "B" => ElementType::U8,
        "u2" => ElementType::U16,
        "u4" => ElementType::U32,
        "u8" => ElementType::U64,
        "f2" => ElementType::F16,
        "f4" => ElementType::F32,
        "f8" => ElementType::F64,
        _ => {
            let what = match kind.chars().next() {
                Some('O') => "Python objects",
                Some('c') => "complex numbers",
                Some('U' | 'S' | 'a') => "text",
                Some('M' | 'm') => "dates or durations",
                Some('f') => "extended-precision numbers",
                Some('V' | '[') => "records of several fields",
                _ => "cells of an unknown type",
            };
            return Err(Fault::Element(format!("{what} (`{}`)", clip(descr))));
        }
    };
    let native = if cfg!(target_endian = "big") { '>' } else { '<' };
    Ok((element, element.bytes() > 1 && matches!(order, '<' | '>') && order != native))
}

/// The three fields of a header.
struct Fields {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Fields {
    /// Reads a header such as `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`.
    ///
    /// Read by hand because only this one form occurs, and a reader of general Python literals would recurse as
    /// deeply as a hostile header wants it to.
    fn read(text: &str) -> Result<Self, String> {
        let mut rest = text.trim().strip_prefix('{').ok_or("the header is not a dictionary")?.trim_start();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.starts_with('}') {
            let (key, after) = quoted(rest).ok_or("the header is not a dictionary of names")?;
            let value =
                after.trim_start().strip_prefix(':').ok_or("a name in the header has no value")?.trim_start();
            rest = match key {
                "descr" => {
                    if value.starts_with('[') {
                        // the fields of a record type: not supported, whatever they are
                        return Ok(Self { descr: "[…]".into(), fortran_order: false, shape: Vec::new() });
                    }
                    let (text, after) = quoted(value).ok_or("the number type in the header is not text")?;
                    descr = Some(text.to_owned());
                    after
                }
                "fortran_order" => {
                    let word = ["True", "False"].into_iter().find(|w| value.starts_with(w));
                    let word = word.ok_or("`fortran_order` in the header is neither `True` nor `False`")?;
                    fortran_order = Some(word == "True");
                    value.get(word.len()..).unwrap_or_default()
                }
                "shape" => {
                    let (inside, after) = value
                        .strip_prefix('(')
                        .and_then(|v| v.split_once(')'))
                        .ok_or("the shape in the header is not a tuple")?;
                    let sizes =
                        inside.split(',').map(|s| s.trim().trim_end_matches('L')).filter(|s| !s.is_empty());
                    let sizes: Result<Vec<usize>, _> = sizes.map(str::parse).collect();
                    shape =
                        Some(sizes.map_err(|_| format!("the shape in the header is `({})`", clip(inside)))?);
                    after
                }
                _ => return Err(format!("the header has an unknown field `{}`", clip(key))),
            };
            rest = rest.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None if rest.starts_with('}') => {}
                None => return Err("the header breaks off".into()),
            }
        }
        match (descr, fortran_order, shape) {
            (Some(descr), Some(fortran_order), Some(shape)) => Ok(Self { descr, fortran_order, shape }),
            (None, ..) => Err("the header names no number type".into()),
            (_, None, _) => Err("the header does not say in which order the cells are".into()),
            (.., None) => Err("the header has no shape".into()),
        }
    }
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text.get(1..)?.split_once(quote)
}

/// The report on bytes that are not an array; `what` is the file or the entry, in backticks.
pub(crate) fn report(fault: Fault, what: &str, span: Span) -> Diagnostic {
    let damaged = |label: String| Diagnostic::new(Code::MBA404, format!("{what} is damaged")).at(span, label);
    match fault {
        Fault::Foreign => Diagnostic::new(Code::MBA404, format!("{what} is not a NumPy array"))
            .at(span, "does not begin like an `.npy` file")
            .help("name the format it has with `format`, or save the array again"),
        Fault::Short(None) => damaged("ends inside its header".into())
            .help("copy or save the file again: it seems to have been cut off"),
        Fault::Short(Some((asked, there))) => {
            damaged(format!("its header asks for {asked} bytes, and {there} follow"))
                .help("copy or save the file again: it seems to have been cut off")
        }
        Fault::Header(reason) => damaged(reason).help("save the array again, for example with `numpy.save`"),
        Fault::Element(found) => Diagnostic::new(Code::MBA405, format!("{what} holds {found}"))
            .at(span, "not real numbers")
            .note("a tensor is made of real numbers: `bool`, `int8` to `uint64`, `float16` to `float64`")
            .help("convert the array before saving it, for example with `.astype(\"float64\")`"),
        Fault::Large => {
            Diagnostic::new(Code::MBA206, format!("the shape of {what} has more cells than can be counted"))
                .at(span, "the sizes in its header multiply beyond any memory")
                .help("save the array again: its header is hardly what was meant")
        }
    }
}

/// The first phase.
pub(crate) fn inspect(request: &Request, file: &Opened<'_>) -> Checked<Header> {
    let what = format!("`{}`", file.path);
    let array = Array::new(file.content.buffer(), 0).map_err(|f| vec![report(f, &what, file.span)])?;
    header(request, array, "npy", what, file.span, file.content.is_mapped())
}

/// The header of a dense array, wherever it was found.
pub(crate) fn header(
    request: &Request,
    array: Array,
    format: &'static str,
    what: String,
    span: Span,
    mapped: bool,
) -> Checked<Header> {
    let problems = binding::no_rows(request, &what, false);
    let axes = binding::to_shape(request, &array.shape, &what, span);
    let axes = match axes {
        Ok(axes) if problems.is_empty() => axes,
        Ok(_) => return Err(problems),
        Err(more) => return Err(problems.into_iter().chain(more).collect()),
    };
    let cells = array.shape.iter().product();
    let value_bytes = if array.element == ElementType::F16 { 4 } else { array.element.bytes() };
    Ok(Header {
        format,
        axes,
        columns: Vec::new(),
        element: Some(array.element),
        layout: Some(array.layout),
        rows: None,
        profile: Profile::dense(cells, value_bytes, mapped && array.in_place()),
        notes: Vec::new(),
        pending: Arc::new(Waiting { array, what, span }),
    })
}

#[derive(Debug)]
struct Waiting {
    array: Array,
    what: String,
    span: Span,
}

impl Pending for Waiting {
    fn read(&self, request: &Request, modes: &[Mode], onlooker: Option<&dyn Onlooker>) -> Checked<Loaded> {
        binding::check_modes(request, modes, &self.array.shape, &self.what, self.span)?;
        let (dense, summary) = look(self.array.dense(), onlooker);
        finish(request, modes, dense, summary, &self.what, self.span)
    }

    fn read_masked(
        &self,
        request: &Request,
        modes: &[Mode],
        masks: &Masks,
        onlooker: Option<&dyn Onlooker>,
    ) -> Checked<Loaded> {
        binding::check_modes(request, modes, &self.array.shape, &self.what, self.span)?;
        let dense = self.array.dense();
        masks.dense(request, modes, &dense, &[], onlooker, (&self.what, self.span))
    }
}

/// A tensor of dense values, once they have been looked at.
pub(crate) fn finish(
    request: &Request,
    modes: &[Mode],
    dense: Dense,
    summary: Summary,
    what: &str,
    span: Span,
) -> Checked<Loaded> {
    let (total, counts) = summary.check(request, modes, what, span)?;
    Ok(Loaded {
        tensor: Tensor {
            name: request.name.clone(),
            modes: modes.to_vec(),
            storage: Arc::new(Storage::Dense(dense)),
            total,
            counts,
            mask: None,
        },
        dropped_rows: 0,
        notes: Vec::new(),
    })
}

/// Looks at every value of an array that counts, if possible together with somebody else, whose sums stay
/// with the array.
pub(crate) fn look(dense: Dense, onlooker: Option<&dyn Onlooker>) -> (Dense, Summary) {
    if let Some((found, summary)) = onlooker.and_then(|onlooker| onlooker.look(&dense)) {
        return (Dense { found: Some(Arc::new(found)), ..dense }, summary);
    }
    let summary = summary(&dense);
    (dense, summary)
}

fn summary(dense: &Dense) -> Summary {
    if let Values::F64(values) = &dense.values
        && let Some((values, observed)) = values.through()
    {
        return summarise_observed(values, observed);
    }
    let last_fastest: Vec<usize> = dense
        .shape
        .iter()
        .rev()
        .scan(1usize, |step, size| {
            let stride = *step;
            *step = step.saturating_mul(*size);
            Some(stride)
        })
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    let logical = |place: usize| -> usize {
        let axes = dense.shape.iter().zip(&dense.strides).zip(&last_fastest);
        axes.map(|((size, stride), logical)| place / (*stride).max(1) % (*size).max(1) * logical).sum()
    };
    with_values!(&dense.values, values => summarise(values, &logical))
}
