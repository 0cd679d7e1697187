//! Tables of text with a line of column names: one row per cell, or one row per record.

use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder};

use crate::data::binding;
use crate::data::cells::Cells;
use crate::data::files::Content;
use crate::data::format::{Checked, Loaded, Opened, Pending, ended};
use crate::data::header::{Amount, Binding, BoundAxis, Column, Header, Profile, Role};
use crate::data::lookup::{Distinct, Lookup, Miss, is_missing, na_is_level, number};
use crate::data::offences::{Group, Offences, line_at};
use crate::data::request::{Counting, Declared, Request};
use crate::data::suggest::{clip, closest, count, list};
use crate::data::summary::{bad_value, cell_name, totals};
use crate::data::tensor::{Buffer, Dense, Onlooker, Sparse, Storage, Tensor};
use crate::model::mode::number_label;
use crate::model::table::strides;
use crate::model::{Levels, Mode};
use crate::numeric::sum::Compensated;
use crate::text::{Code, Diagnostic, Span};

/// A table of cells with no more cells than this is stored dense.
///
/// Small contingency tables are mostly full, and every schedule is quicker on them when they are dense.
pub(crate) const DENSE_CELLS: usize = 1 << 16;

/// A table whose columns are bound.
#[derive(Debug, Clone)]
struct Table {
    path: String,
    span: Span,
    content: Content,
    delimiter: u8,
    /// Where the text begins: after a byte order mark.
    start: usize,
    columns: Vec<String>,
    /// The column of each mode.
    axes: Vec<usize>,
    /// The column of values.
    value: Option<usize>,
    whole: bool,
}

/// In what way a row is wrong; the number is the place of the mode, or of the values after all modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Cause {
    Ended,
    Length,
    Quote,
    Encoding(usize),
    Empty(usize),
    Unknown(usize),
    OutsideBins(usize),
    NotNumber(usize),
    NotWhole,
    Forbidden,
}

/// The first phase: the line of names, and the rows when levels come from the data.
pub(crate) fn inspect(request: &Request, file: &Opened<'_>) -> Checked<Header> {
    let table = Table::open(request, file)?;
    let scan = table.scan(request)?;
    let mut columns: Vec<Column> =
        table.columns.iter().map(|name| Column { name: name.clone(), role: Role::Unused }).collect();
    let mut set = |at: usize, role: Role| {
        if let Some(column) = columns.get_mut(at) {
            column.role = role;
        }
    };
    for (i, at) in table.axes.iter().enumerate() {
        set(*at, Role::Axis(i));
    }
    if let Some(at) = table.value {
        set(at, if table.whole { Role::Count } else { Role::Sum });
    }
    let mut axes = Vec::with_capacity(request.axes.len());
    for ((axis, column), levels) in request.axes.iter().zip(&table.axes).zip(scan.levels) {
        let wanted = axis.column.as_ref().map_or(&axis.mode, |c| &c.0);
        let ignoring_case = table.columns.get(*column) != Some(wanted);
        axes.push(binding::bound(axis, levels, Binding::Column { column: *column, ignoring_case }));
    }
    let cells = cells_of(axes.iter().map(|a: &BoundAxis| a.to_mode().size()));
    let profile = match cells.filter(|_| table.value.is_some()) {
        Some(cells) if cells <= DENSE_CELLS => Profile::dense(cells, 8, false),
        _ => {
            let stored = scan.rows.bound().min(cells.unwrap_or(usize::MAX));
            Profile::sparse(Amount::AtMost(stored), axes.len())
        }
    };
    let mut notes = Vec::new();
    if table.value.is_none() {
        notes.extend(columns.iter().find(|c| c.role == Role::Unused && looks_like_counts(&c.name)).map(|c| {
            format!(
                "every row of `{}` counts as one record; if `{}` holds the count of each cell, write `count {}`",
                table.path, c.name, c.name
            )
        }));
    }
    Ok(Header {
        format: match table.delimiter {
            b'\t' => "tsv",
            _ => "csv",
        },
        axes,
        columns,
        element: None,
        layout: None,
        rows: Some(scan.rows),
        profile,
        notes,
        pending: Arc::new(table),
    })
}

fn looks_like_counts(column: &str) -> bool {
    matches!(column.to_lowercase().as_str(), "freq" | "frequency" | "count" | "counts" | "n")
}

fn cells_of(mut sizes: impl Iterator<Item = usize>) -> Option<usize> {
    sizes.try_fold(1usize, |n, size| n.checked_mul(size))
}

struct Scan {
    /// The levels of each mode.
    levels: Vec<Levels>,
    rows: Amount,
}

impl Table {
    fn open(request: &Request, file: &Opened<'_>) -> Checked<Self> {
        let bytes = file.content.bytes();
        let path = file.path;
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(vec![
                Diagnostic::new(Code::MBA408, format!("`{path}` is UTF-16 text"))
                    .at(file.span, "begins with the byte order mark of UTF-16")
                    .help("save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`"),
            ]);
        }
        let start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let text = bytes.get(start..).unwrap_or_default();
        let delimiter = delimiter(text, path);
        let mut reader = reader(text, delimiter);
        let mut record = ByteRecord::new();
        let found = reader.read_byte_record(&mut record).unwrap_or(false);
        if !found || record.iter().all(|f| f.trim_ascii().is_empty()) {
            return Err(vec![
                Diagnostic::new(Code::MBA403, format!("`{path}` has no column names"))
                    .at(file.span, "its first line is blank")
                    .help("write the names of the columns on the first line"),
            ]);
        }
        let mut columns = Vec::with_capacity(record.len());
        for field in &record {
            match std::str::from_utf8(field.trim_ascii()) {
                Ok(name) => columns.push(name.to_owned()),
                Err(_) => return Err(vec![not_utf8(path, file.span, "the line of column names")]),
            }
        }
        let after = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        if text.get(after..).unwrap_or_default().iter().all(u8::is_ascii_whitespace) {
            return Err(vec![
                Diagnostic::new(Code::MBA403, format!("`{path}` has no rows"))
                    .at(file.span, "only a line of column names")
                    .help("check that this is the file that was meant"),
            ]);
        }

        let mut problems = Vec::new();
        let mut find = |wanted: &str, at: Span, mode: Option<&str>| -> usize {
            match binding::column(wanted, at, mode, &columns, path, file.span) {
                Ok(column) => column,
                Err(reports) => {
                    problems.extend(reports);
                    usize::MAX
                }
            }
        };
        let mut bound: Vec<(usize, Span, &str)> = Vec::new();
        for axis in &request.axes {
            let (column, at) = match &axis.column {
                Some((name, at)) => (find(name, *at, None), *at),
                None => (find(&axis.mode, axis.span, Some(&axis.mode)), axis.span),
            };
            bound.push((column, at, axis.mode.as_str()));
        }
        let (value, whole) = match &request.counting {
            Counting::Default => (None, true),
            Counting::Count(name, at) => (Some((find(name, *at, None), *at, name.as_str())), true),
            Counting::Sum(name, at) => (Some((find(name, *at, None), *at, name.as_str())), false),
        };
        let axes: Vec<usize> = bound.iter().map(|b| b.0).collect();
        bound.extend(value);
        for (i, (column, at, name)) in bound.iter().enumerate() {
            let earlier = bound.iter().take(i).find(|b| b.0 == *column && *column != usize::MAX);
            if let Some((_, first, other)) = earlier {
                let title = columns.get(*column).map_or("", String::as_str);
                problems.push(
                    Diagnostic::new(
                        Code::MBA205,
                        format!("the column `{title}` of `{path}` is used twice, for `{other}` and `{name}`"),
                    )
                    .at(*at, "used again")
                    .at(*first, "used here")
                    .help("bind each to a column of its own, with `as`"),
                );
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            path: path.to_owned(),
            span: file.span,
            content: file.content.clone(),
            delimiter,
            start,
            columns,
            axes,
            value: value.map(|v| v.0),
            whole,
        })
    }

    fn text(&self) -> &[u8] {
        self.content.bytes().get(self.start..).unwrap_or_default()
    }

    /// Calls `each` with every row of the right length, and returns how many rows there are.
    fn rows(
        &self,
        bad: &mut Offences<Cause>,
        mut each: impl FnMut(&ByteRecord, &mut Offences<Cause>),
    ) -> usize {
        let mut reader = reader(self.text(), self.delimiter);
        let mut record = ByteRecord::new();
        let mut rows = 0usize;
        // errors cannot occur: the bytes are in memory and rows may differ in length as far as the reader cares
        if !reader.read_byte_record(&mut record).unwrap_or(false) {
            return 0;
        }
        let mut last = 0;
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            rows += 1;
            if rows.is_multiple_of(Content::LINES) && self.content.is_unwanted() {
                *bad = Offences::new();
                bad.add(Cause::Ended, b"", || self.line(&record));
                return rows;
            }
            last = record.position().map_or(0, csv::Position::byte);
            if record.len() == self.columns.len() {
                each(&record, bad);
            } else {
                let fields = count(record.len(), "field", "fields");
                bad.add(Cause::Length, fields.as_bytes(), || self.line(&record));
            }
        }
        // a quotation mark that is never closed swallows the rest of the file without a word
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        let tail = self.text().get(last..).unwrap_or_default().trim_ascii();
        if tail.contains(&b'\n') && tail.iter().filter(|b| **b == b'"').count() % 2 == 1 {
            bad.add(Cause::Quote, b"", || line_at(self.text(), last));
        }
        rows
    }

    fn line(&self, record: &ByteRecord) -> usize {
        let byte = record.position().map_or(0, csv::Position::byte);
        line_at(self.text(), usize::try_from(byte).unwrap_or(usize::MAX))
    }

    /// Finds the levels that come from the data. Reads no row when all levels are declared.
    fn scan(&self, request: &Request) -> Checked<Scan> {
        let mut found: Vec<Option<Distinct>> =
            request.axes.iter().map(|a| (a.declared == Declared::FromData).then(Distinct::new)).collect();
        let rows = if found.iter().any(Option::is_some) {
            let na: Vec<bool> = request
                .axes
                .iter()
                .map(|a| matches!(&a.declared, Declared::Known(levels) if na_is_level(levels)))
                .collect();
            let mut bad = Offences::new();
            let rows = self.rows(&mut bad, |record, bad| {
                // a value that is not known is no reason to do without the levels of its cell
                let hidden =
                    |place: &usize| *place == self.axes.len() && request.may_hide() && !request.drop_na;
                if let Some(place) = self.empty_field(record, &na).filter(|p| !hidden(p)) {
                    if !request.drop_na {
                        bad.add(Cause::Empty(place), b"", || self.line(record));
                    }
                    return;
                }
                for (i, (column, found)) in self.axes.iter().zip(&mut found).enumerate() {
                    let Some(found) = found else { continue };
                    let field = record.get(*column).unwrap_or_default().trim_ascii();
                    if found.add(field).is_err() {
                        bad.add(Cause::Encoding(i), field, || self.line(record));
                    }
                }
            });
            if !bad.is_empty() {
                return Err(self.reports(request, &[], bad, None));
            }
            if found.iter().flatten().any(|f| f.len() == 0) {
                return Err(vec![self.nothing_left(rows)]);
            }
            for (axis, found) in request.axes.iter().zip(&found) {
                if found.as_ref().is_some_and(|f| u32::try_from(f.len()).is_err()) {
                    return Err(vec![too_many_levels(&axis.mode, axis.span)]);
                }
            }
            Amount::Exactly(rows)
        } else {
            // every row has at least one byte in every bound field, and a delimiter or line end after every field
            let least = self.columns.len() + if request.drop_na { 1 } else { self.axes.len() };
            Amount::AtMost(self.text().len() / least.max(1) + 1)
        };
        let levels = request
            .axes
            .iter()
            .zip(found)
            .map(|(axis, found)| match (found, &axis.declared) {
                (Some(found), _) => found.levels(),
                (None, Declared::Known(levels)) => levels.clone(),
                (None, Declared::FromData) => Levels::Counted(0),
            })
            .collect();
        Ok(Scan { levels, rows })
    }

    /// The place of the first bound field that is missing.
    #[inline]
    fn empty_field(&self, record: &ByteRecord, na_is_level: &[bool]) -> Option<usize> {
        let missing =
            |column: usize, na: bool| is_missing(record.get(column).unwrap_or_default().trim_ascii(), na);
        let axes = self.axes.iter().zip(na_is_level).position(|(c, na)| missing(*c, *na));
        axes.or_else(|| self.value.filter(|c| missing(*c, false)).map(|_| self.axes.len()))
    }

    fn nothing_left(&self, rows: usize) -> Diagnostic {
        Diagnostic::new(Code::MBA420, format!("no row of `{}` is complete", self.path))
            .at(
                self.span,
                format!("{} with an empty or `NA` field, and nothing else", count(rows, "row", "rows")),
            )
            .help("bind fewer columns, or fill in the fields")
    }

    fn reports(
        &self,
        request: &Request,
        modes: &[Mode],
        bad: Offences<Cause>,
        forbidden: Option<(String, f64)>,
    ) -> Vec<Diagnostic> {
        bad.reports(
            |cause| matches!(cause, Cause::Forbidden),
            |cause, group| self.report(request, modes, cause, group, forbidden.as_ref()),
        )
    }

    fn report(
        &self,
        request: &Request,
        modes: &[Mode],
        cause: Cause,
        group: &Group,
        forbidden: Option<&(String, f64)>,
    ) -> Diagnostic {
        let path = &self.path;
        let (line, text) = group.named.first().map_or((0, ""), |o| (o.line, o.text.as_str()));
        let place = |i: usize| -> (&str, Span) {
            let column = self.axes.get(i).copied().or(self.value).and_then(|c| self.columns.get(c));
            let span = request.axes.get(i).map_or_else(
                || match &request.counting {
                    Counting::Count(_, span) | Counting::Sum(_, span) => *span,
                    Counting::Default => self.span,
                },
                |a| a.column.as_ref().map_or(a.span, |c| c.1),
            );
            (column.map_or("", String::as_str), span)
        };
        match cause {
            Cause::Ended => ended(path, self.span, line),
            Cause::Length => {
                let report = Diagnostic::new(
                    Code::MBA407,
                    format!("line {line} of `{path}` has {text}, the first line has {}", self.columns.len()),
                )
                .at(self.span, "rows differ in length");
                report.help("give every row as many fields as there are columns; a field that holds the delimiter or a line end is quoted")
            }
            Cause::Quote => Diagnostic::new(
                Code::MBA407,
                format!("a quotation mark on line {line} of `{path}` is not closed"),
            )
            .at(self.span, "everything after it would be one field")
            .help("close the quotation mark; inside a quoted field it is written twice"),
            Cause::Encoding(_) => not_utf8(path, self.span, &format!("line {line}")),
            Cause::Empty(i) => {
                let (column, span) = place(i);
                let what = if text.is_empty() { "is empty".to_owned() } else { format!("is `{text}`") };
                Diagnostic::new(Code::MBA420, format!("`{column}` {what} on line {line} of `{path}`"))
                    .at(span, "has a field without a value")
                    .at(self.span, "in this file")
                    .help(if i < self.axes.len() {
                        "write `drop na` after the path to leave such rows out, or fill in the fields"
                    } else {
                        "add `missing where nan` if these cells are not known, write `drop na` to leave such rows out, or fill in the fields"
                    })
            }
            Cause::Unknown(i) => {
                let (column, span) = place(i);
                let axis = request.axes.get(i);
                let name = axis.map_or("", |a| a.mode.as_str());
                let mut report = Diagnostic::new(
                    Code::MBA421,
                    format!(
                        "`{text}` is not a level of `{name}`: column `{column}`, line {line} of `{path}`"
                    ),
                )
                .at(span, "has a value that is not among the levels");
                let labels: Vec<String> = modes
                    .get(i)
                    .map(|m| (0..m.size().min(1000)).map(|l| m.label(l).into_owned()).collect())
                    .unwrap_or_default();
                let levels = match modes.get(i).map(|m| (&m.levels, m.size())) {
                    Some((Levels::Counted(n), _)) => format!("the levels are 0 to {}", n.saturating_sub(1)),
                    _ => format!("the levels are {}", list(labels.iter().map(String::as_str))),
                };
                report = match axis.and_then(|a| a.declared_at) {
                    Some(at) => report.at(at, levels),
                    None => report.note(levels),
                };
                let near = match modes.get(i).map(|m| &m.levels) {
                    Some(Levels::Listed(_)) => closest(text, labels.iter().map(String::as_str)),
                    _ => None,
                };
                report.help(match near {
                    Some(near) => format!("did the file mean `{near}`? correct it, or declare the level"),
                    None => "correct the file, or declare the level".to_owned(),
                })
            }
            Cause::OutsideBins(i) => {
                let (column, span) = place(i);
                let axis = request.axes.get(i);
                let name = axis.map_or("", |a| a.mode.as_str());
                let mut report = Diagnostic::new(
                    Code::MBA422,
                    format!("`{text}` lies outside every bin of `{name}`: column `{column}`, line {line} of `{path}`"),
                )
                .at(span, "has a value that no bin holds");
                let Some(Levels::Binned(edges)) = modes.get(i).map(|m| &m.levels) else { return report };
                let range = match (edges.first(), edges.last()) {
                    (Some(a), Some(b)) => {
                        format!("the bins hold {} to {}", number_label(*a), number_label(*b))
                    }
                    _ => "there are no bins".to_owned(),
                };
                report = match axis.and_then(|a| a.declared_at) {
                    Some(at) => report.at(at, range),
                    None => report.note(range),
                };
                let x: f64 = text.parse().unwrap_or(f64::NAN);
                let mut all: Vec<f64> = edges.to_vec();
                if all.last().is_some_and(|e| x > *e) {
                    all.push(x);
                } else {
                    all.insert(0, x);
                }
                let all: Vec<String> = all.iter().map(|e| number_label(*e)).collect();
                report.help(format!("extend the bins, such as `bins({})`", all.join(", ")))
            }
            Cause::NotNumber(i) => {
                let (column, span) = place(i);
                let report = Diagnostic::new(
                    Code::MBA411,
                    format!("`{text}` is not a number: column `{column}`, line {line} of `{path}`"),
                )
                .at(span, "must hold numbers");
                if text.contains(',') {
                    report.help("write numbers with a decimal point and without separators between digits")
                } else {
                    report.help("correct the field, or use a column that holds numbers")
                }
            }
            Cause::NotWhole => {
                let (column, span) = place(self.axes.len());
                Diagnostic::new(
                    Code::MBA412,
                    format!("`{text}` is not a whole number: column `{column}`, line {line} of `{path}`"),
                )
                .at(span, "counts are whole numbers")
                .help(format!("write `sum {}` for values that are not counts", name_or_text(column)))
            }
            Cause::Forbidden => {
                let (cell, value) = forbidden.map_or((String::new(), f64::NAN), Clone::clone);
                let place = format!("line {line} of `{path}`");
                bad_value(request, &cell, value, group.total.saturating_sub(1), &place, self.span)
            }
        }
    }
}

fn name_or_text(column: &str) -> String {
    let mut chars = column.chars();
    let plain = chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_');
    if plain { column.to_owned() } else { format!("\"{column}\"") }
}

fn not_utf8(path: &str, span: Span, place: &str) -> Diagnostic {
    Diagnostic::new(Code::MBA408, format!("{place} of `{path}` is not UTF-8 text"))
        .at(span, "read as UTF-8")
        .help("save the file as UTF-8, for example with `iconv -f LATIN1 -t UTF-8`")
}

/// The report on a mode with more levels than a sparse tensor can address.
pub(crate) fn too_many_levels(mode: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA206, format!("`{mode}` has more than {} levels", u32::MAX))
        .at(span, "too many levels for a sparse tensor")
        .help("group the levels, for example with `bins`")
}

fn reader(text: &[u8], delimiter: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(1 << 16)
        .from_reader(text)
}

/// The delimiter that occurs most often in the line of names, outside quotation marks.
fn delimiter(text: &[u8], path: &str) -> u8 {
    let mut quoted = false;
    let candidates = [b',', b';', b'\t', b'|'];
    let mut seen = [0usize; 4];
    for byte in text {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' | b'\n' if !quoted && seen.iter().any(|n| *n > 0) => break,
            _ if !quoted => {
                for (n, candidate) in seen.iter_mut().zip(candidates) {
                    *n += usize::from(candidate == *byte);
                }
            }
            _ => {}
        }
    }
    let tabs = path.to_lowercase().ends_with(".tsv") && seen.get(2).is_some_and(|n| *n > 0);
    let most = seen.iter().max().copied().unwrap_or(0);
    let best = seen.iter().zip(candidates).find(|(n, _)| **n == most).map_or(b',', |(_, c)| c);
    if tabs {
        b'\t'
    } else if most == 0 {
        b','
    } else {
        best
    }
}

impl Pending for Table {
    fn read(&self, request: &Request, modes: &[Mode], _: Option<&dyn Onlooker>) -> Checked<Loaded> {
        for (axis, mode) in request.axes.iter().zip(modes) {
            if u32::try_from(mode.size()).is_err() {
                return Err(vec![too_many_levels(&axis.mode, axis.declared_at.unwrap_or(axis.span))]);
            }
        }
        let sizes: Vec<usize> = modes.iter().map(Mode::size).collect();
        let mut lookups: Vec<Lookup<'_>> = modes.iter().map(Lookup::new).collect();
        let na: Vec<bool> = modes.iter().map(|m| na_is_level(&m.levels)).collect();
        let mut cells = Cells::new(&sizes, self.value.is_some(), 0);
        let mut index = vec![0u32; modes.len()];
        let mut bad = Offences::new();
        let mut forbidden: Option<(String, f64)> = None;
        let mut dropped = 0;
        let rows = self.rows(&mut bad, |record, bad| {
            if request.drop_na && self.empty_field(record, &na).is_some() {
                dropped += 1;
                return;
            }
            let mut good = true;
            for (i, ((column, lookup), level)) in
                self.axes.iter().zip(&mut lookups).zip(&mut index).enumerate()
            {
                let field = record.get(*column).unwrap_or_default();
                match lookup.find(field) {
                    Ok(found) => *level = found,
                    Err(miss) => {
                        good = false;
                        let cause = match miss {
                            Miss::Empty => Cause::Empty(i),
                            Miss::Unknown => Cause::Unknown(i),
                            Miss::NotNumber => Cause::NotNumber(i),
                            Miss::OutsideBins => Cause::OutsideBins(i),
                            Miss::Encoding => Cause::Encoding(i),
                        };
                        bad.add(cause, field.trim_ascii(), || self.line(record));
                    }
                }
            }
            let Some(column) = self.value else {
                if good {
                    cells.push(&index, 1.0);
                }
                return;
            };
            let field = record.get(column).unwrap_or_default().trim_ascii();
            let no_value = is_missing(field, false);
            let read = if no_value && request.may_hide() { Some(f64::NAN) } else { number(field) };
            let cause = match read {
                Some(x) if request.may_hide() && !(x >= 0.0 && x.is_finite()) => {
                    if good {
                        cells.push(&index, x);
                    }
                    return;
                }
                _ if no_value => Cause::Empty(self.axes.len()),
                None => Cause::NotNumber(self.axes.len()),
                Some(x) if !(x >= 0.0 && x.is_finite()) => {
                    if forbidden.is_none() && good {
                        let index: Vec<usize> = index.iter().map(|i| *i as usize).collect();
                        forbidden = Some((cell_name(modes, &index), x));
                    }
                    // a row whose levels are wrong has no cell to be named by, and is reported for its levels
                    if !good {
                        return;
                    }
                    Cause::Forbidden
                }
                Some(x) if self.whole && x != x.trunc() => Cause::NotWhole,
                Some(x) => {
                    if good {
                        cells.push(&index, x);
                    }
                    return;
                }
            };
            bad.add(cause, field, || self.line(record));
        });
        if !bad.is_empty() {
            return Err(self.reports(request, modes, bad, forbidden));
        }
        if rows == dropped {
            return Err(vec![self.nothing_left(rows)]);
        }
        let what = format!("`{}`", self.path);
        let dense = cells_of(sizes.iter().copied()).filter(|n| self.value.is_some() && *n <= DENSE_CELLS);
        let mut notes = Vec::new();
        if dropped > 0 {
            notes.push(format!(
                "{} of `{}` left out because of an empty or `NA` field",
                count(dropped, "row", "rows"),
                clip(&self.path)
            ));
        }
        let tensor = assemble(request, modes, cells, dense, &what, self.span)?;
        Ok(Loaded { tensor, dropped_rows: dropped, notes })
    }
}

/// A tensor of cells found in any order; `dense` is the number of all cells when each is to be stored.
pub(crate) fn assemble(
    request: &Request,
    modes: &[Mode],
    cells: Cells,
    dense: Option<usize>,
    what: &str,
    span: Span,
) -> Checked<Tensor> {
    let shape: Vec<usize> = modes.iter().map(Mode::size).collect();
    let merged = cells.merge();
    let mut total = Compensated::default();
    let mut counts = true;
    for x in &merged.values {
        total.add(*x);
        counts &= *x == x.trunc() && *x < 9_007_199_254_740_992.0;
    }
    let total = total.value();
    if !request.may_hide() {
        totals(request, total, what, span)?;
    }
    let storage = match dense {
        Some(cells) => {
            let mut values = vec![0.0; cells];
            let strides = strides(&shape);
            for (row, x) in merged.values.iter().enumerate() {
                let place: usize = merged
                    .coordinates
                    .iter()
                    .zip(&strides)
                    .map(|(column, stride)| column.at(row) * stride)
                    .sum();
                if let Some(value) = values.get_mut(place) {
                    *value = *x;
                }
            }
            Storage::Dense(Dense::row_major(shape, values))
        }
        None => Storage::Sparse(Sparse {
            shape,
            coordinates: merged.coordinates,
            values: Buffer::new(merged.values),
        }),
    };
    Ok(Tensor {
        name: request.name.clone(),
        modes: modes.to_vec(),
        storage: Arc::new(storage),
        total,
        counts,
        mask: None,
    })
}
