//! A file system in memory, statements to read from it, and plain text for reports.
#![allow(dead_code)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use mba::data::{
    Axis, Content, Counting, Declared, Element, Files, Format, Header, Literal, Loaded, Request, Source,
    Storage, Tensor, Values, inspect, read,
};
use mba::model::{Level, Levels, Mode, Order};
use mba::text::{Diagnostic, SourceId, Span};
use mba::with_values;

/// A file system in memory.
#[derive(Default)]
pub struct Memory(HashMap<String, Vec<u8>>);

impl Memory {
    pub fn with(path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::default().and(path, bytes)
    }

    pub fn and(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.to_owned(), bytes.into());
        self
    }
}

impl Files for Memory {
    fn open(&self, path: &str) -> io::Result<Content> {
        if path.ends_with('/') {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let bytes = self.0.get(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Content::owned(bytes.clone()))
    }
}

/// A place in a text that is not there: its numbers only tell places apart.
pub fn span(at: usize) -> Span {
    Span::new(SourceId(0), at, at + 1)
}

/// A statement `data x[modes] from path`.
pub fn from_file(path: &str, modes: &[&str]) -> Request {
    Request {
        name: "x".into(),
        span: span(0),
        axes: modes.iter().enumerate().map(|(i, m)| axis(m, i)).collect(),
        source: Source::File { path: path.into(), span: span(50) },
        format: None,
        key: None,
        counting: Counting::Default,
        masks: Vec::new(),
        drop_na: false,
    }
}

pub fn axis(mode: &str, i: usize) -> Axis {
    Axis {
        mode: mode.into(),
        span: span(10 + i),
        column: None,
        declared: Declared::FromData,
        order: Order::Nominal,
        declared_at: None,
    }
}

pub trait Build: Sized {
    fn declare(self, i: usize, levels: Levels) -> Self;
    fn size(self, i: usize, n: usize) -> Self {
        self.declare(i, Levels::Counted(n))
    }
    fn levels(self, i: usize, names: &[&str]) -> Self {
        self.declare(i, named(names))
    }
    fn bins(self, i: usize, edges: &[f64]) -> Self {
        self.declare(i, Levels::Binned(edges.into()))
    }
    fn column(self, i: usize, column: &str) -> Self;
    fn count(self, column: &str) -> Self;
    fn sum(self, column: &str) -> Self;
    fn drop_na(self) -> Self;
    fn key(self, key: &str) -> Self;
    fn format(self, format: Format) -> Self;
    fn source(self, source: Source) -> Self;
}

impl Build for Request {
    fn declare(mut self, i: usize, levels: Levels) -> Self {
        self.axes[i].declared = Declared::Known(levels);
        self.axes[i].declared_at = Some(span(30 + i));
        self
    }
    fn column(mut self, i: usize, column: &str) -> Self {
        self.axes[i].column = Some((column.into(), span(20 + i)));
        self
    }
    fn count(mut self, column: &str) -> Self {
        self.counting = Counting::Count(column.into(), span(60));
        self
    }
    fn sum(mut self, column: &str) -> Self {
        self.counting = Counting::Sum(column.into(), span(60));
        self
    }
    fn drop_na(mut self) -> Self {
        self.drop_na = true;
        self
    }
    fn key(mut self, key: &str) -> Self {
        self.key = Some((key.into(), span(70)));
        self
    }
    fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }
    fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }
}

pub fn named(names: &[&str]) -> Levels {
    Levels::Listed(Arc::new(names.iter().map(|n| Level::Name((*n).into())).collect()))
}

pub fn pair(coords: &str, values: &str, modes: &[&str]) -> Request {
    from_file("", modes)
        .source(Source::Coordinates { coords: (coords.into(), span(50)), values: (values.into(), span(55)) })
}

pub fn number(x: f64) -> Literal {
    Literal::Number(x, span(80))
}

pub fn list(items: Vec<Literal>) -> Literal {
    Literal::List(items, span(81))
}

/// Both phases, with the modes that the header finds.
pub fn load(request: &Request, files: &Memory) -> Result<(Header, Loaded), Vec<Diagnostic>> {
    let header = inspect(request, files)?;
    let loaded = read(request, &header, &header.modes())?;
    check(&header, &loaded.tensor);
    Ok((header, loaded))
}

pub fn tensor(request: &Request, files: &Memory) -> Tensor {
    match load(request, files) {
        Ok((_, loaded)) => loaded.tensor,
        Err(reports) => panic!("{}", plain(&reports)),
    }
}

pub fn failure(request: &Request, files: &Memory) -> String {
    match load(request, files) {
        Ok((_, loaded)) => panic!("was read: {:?}", loaded.tensor),
        Err(reports) => plain(&reports),
    }
}

/// What must hold of every tensor, and what the header promised of it.
pub fn check(header: &Header, tensor: &Tensor) {
    let shape: Vec<usize> = tensor.modes.iter().map(Mode::size).collect();
    match &*tensor.storage {
        Storage::Dense(dense) => {
            assert!(header.profile.dense);
            assert_eq!(dense.shape, shape);
            assert_eq!(values_of(&dense.values).len(), shape.iter().product::<usize>());
        }
        Storage::Sparse(sparse) => {
            assert!(!header.profile.dense);
            assert_eq!(sparse.shape, shape);
            for (column, n) in sparse.coordinates.iter().zip(&shape) {
                assert_eq!(column.len(), sparse.values.len());
                assert!((0..column.len()).all(|row| column.at(row) < *n));
            }
            let mut cells: Vec<Vec<usize>> = (0..sparse.values.len())
                .map(|row| sparse.coordinates.iter().map(|c| c.at(row)).collect())
                .collect();
            cells.sort();
            assert!(cells.windows(2).all(|w| w[0] < w[1]), "distinct");
            assert!(sparse.values.iter().all(|x| *x > 0.0));
        }
    }
    assert!(tensor.stored() <= header.profile.stored.bound());
    assert!(tensor.total > 0.0 && tensor.total.is_finite());
}

/// The numbers of a dense tensor, in memory order.
pub fn values_of(values: &Values) -> Vec<f64> {
    with_values!(values, values => values.iter().map(|x| x.to_f64()).collect())
}

/// Every cell in lexicographic order.
pub fn cells(tensor: &Tensor) -> Vec<f64> {
    let shape: Vec<usize> = tensor.modes.iter().map(Mode::size).collect();
    let n: usize = shape.iter().product();
    let index = |mut place: usize| {
        let mut index = vec![0; shape.len()];
        for (i, size) in index.iter_mut().zip(&shape).rev() {
            *i = place % size;
            place /= size;
        }
        index
    };
    match &*tensor.storage {
        Storage::Dense(dense) => {
            let values = values_of(&dense.values);
            (0..n)
                .map(|p| values[index(p).iter().zip(&dense.strides).map(|(i, s)| i * s).sum::<usize>()])
                .collect()
        }
        Storage::Sparse(sparse) => {
            let mut all = vec![0.0; n];
            for (row, x) in sparse.values.iter().enumerate() {
                let place = sparse.coordinates.iter().zip(&shape).fold(0, |p, (c, n)| p * n + c.at(row));
                all[place] = *x;
            }
            all
        }
    }
}

/// Reports as plain text, with places by name instead of excerpts.
pub fn plain(reports: &[Diagnostic]) -> String {
    let place = |span: Span| match span.start {
        0 => "name".to_owned(),
        i @ 10..20 => format!("mode {}", i - 10),
        i @ 20..30 => format!("column {}", i - 20),
        i @ 30..40 => format!("declaration {}", i - 30),
        50 => "path".into(),
        55 => "second path".into(),
        60 => "value column".into(),
        70 => "key".into(),
        _ => "literal".into(),
    };
    let mut text = String::new();
    for report in reports {
        assert!(!report.message.ends_with('.'), "{}", report.message);
        assert!(report.help.is_some(), "{} says what to do", report.message);
        let _ = writeln!(text, "{} {}: {}", report.severity.word(), report.code, report.message);
        for label in &report.labels {
            let _ = writeln!(text, "  at {}: {}", place(label.span), label.message);
        }
        for note in &report.notes {
            let _ = writeln!(text, "  note: {note}");
        }
        if let Some(help) = &report.help {
            let _ = writeln!(text, "  help: {help}");
        }
        if let Some(fix) = &report.fix {
            let edits: Vec<String> = fix.edits.iter().map(|(s, t)| format!("{} -> {t}", place(*s))).collect();
            let _ = writeln!(text, "  fix: {} ({})", fix.message, edits.join("; "));
        }
    }
    text
}
