//! An input of the readers: two bytes that say what is asked, then the file.

use mba::data::{Axis, Content, Counting, Declared, Files, Format, Request, Source, Tensor, inspect, read};
use mba::model::{Levels, Order};
use mba::text::{Diagnostic, Span};

/// Levels are those of the program, not of the data.
pub const DECLARED: u8 = 1;
/// Rows with an empty field are left out.
pub const DROP_NA: u8 = 2;
/// A column `n` counts.
pub const COUNT: u8 = 4;
/// A column `n` is summed.
pub const SUM: u8 = 8;

/// A header may promise more cells than a fuzzer should wait for.
const MOST_CELLS: usize = 1 << 20;

struct One<'a>(&'a [u8]);

impl Files for One<'_> {
    fn open(&self, _: &str) -> std::io::Result<Content> {
        Ok(Content::owned(self.0.to_vec()))
    }
}

/// Reads an input as `data x[a, b]`; none when there is nothing to read.
pub fn answer(input: &[u8]) -> Option<Result<Tensor, Vec<Diagnostic>>> {
    let (&[format, how], bytes) = input.split_first_chunk()?;
    let names: Vec<&str> = Format::names().collect();
    let axis = |mode: &str| Axis {
        mode: mode.into(),
        span: Span::default(),
        column: None,
        declared: if how & DECLARED == 0 { Declared::FromData } else { Declared::Known(Levels::Counted(3)) },
        order: Order::Nominal,
        declared_at: None,
    };
    let request = Request {
        name: "x".into(),
        span: Span::default(),
        axes: vec![axis("a"), axis("b")],
        source: Source::File { path: "x".into(), span: Span::default() },
        format: Format::named(names[usize::from(format) % names.len()]),
        key: None,
        counting: match how & (COUNT | SUM) {
            COUNT => Counting::Count("n".into(), Span::default()),
            SUM => Counting::Sum("n".into(), Span::default()),
            _ => Counting::Default,
        },
        masks: Vec::new(),
        drop_na: how & DROP_NA != 0,
    };
    let files = One(bytes);
    let header = match inspect(&request, &files) {
        Ok(header) => header,
        Err(list) => return Some(Err(list)),
    };
    if header.profile.stored.bound() >= MOST_CELLS {
        return None;
    }
    Some(read(&request, &header, &header.modes()).map(|loaded| loaded.tensor))
}
