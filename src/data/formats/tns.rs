//! FROSTT: a line per cell, indices from 1 and a value. `#` begins a comment.
//!
//! The lines may be preceded by the number of modes and their sizes, as some writers do.

use std::sync::Arc;

use crate::data::binding;
use crate::data::cells::Cells;
use crate::data::files::Content;
use crate::data::format::{Checked, Loaded, Opened, Pending, ended};
use crate::data::header::{Amount, Binding, Header, Profile};
use crate::data::lookup::number;
use crate::data::offences::{Group, Offences};
use crate::data::request::{Declared, Request};
use crate::data::suggest::count;
use crate::data::summary::{bad_value, cell_name};
use crate::data::tensor::Onlooker;
use crate::model::{Levels, Mode};
use crate::text::{Code, Diagnostic, Span};

use super::table::{assemble, too_many_levels};

#[derive(Debug)]
struct Lines {
    path: String,
    span: Span,
    content: Content,
    /// Lines before the cells: comments and sizes.
    skip: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Cause {
    Ended,
    Length,
    NotNumber,
    NotIndex(usize),
    OutOfRange(usize),
    Forbidden,
}

/// The first phase: the sizes, from the top of the file or from a scan when levels come from the data.
pub(crate) fn inspect(request: &Request, file: &Opened<'_>) -> Checked<Header> {
    let what = format!("`{}`", file.path);
    let mut problems = binding::no_rows(request, &what, false);
    problems.extend(binding::columns_named(request, &what));
    if !problems.is_empty() {
        return Err(problems);
    }
    let modes = request.axes.len();
    let bytes = file.content.bytes();
    let mut head = lines(bytes).filter(|(_, line)| !line.is_empty()).take(2);
    let Some((first_at, first)) = head.next() else {
        return Err(vec![
            Diagnostic::new(Code::MBA403, format!("{what} has no cells"))
                .at(file.span, "only comments")
                .help("check that this is the file that was meant"),
        ]);
    };
    let second = head.next();
    let first_len = tokens(first).count();
    let sizes_of = |line: &[u8]| -> Option<Vec<usize>> {
        tokens(line).map(|t| std::str::from_utf8(t).ok()?.parse().ok()).collect()
    };
    let (sizes, skip) = match second {
        Some((at, line)) if first_len == 1 && sizes_of(first) == Some(vec![tokens(line).count()]) => {
            (sizes_of(line), at)
        }
        _ if first_len == modes && modes > 1 => (sizes_of(first), first_at),
        _ => (None, 0),
    };
    if let Some(sizes) = &sizes {
        binding::to_shape(request, sizes, &what, file.span)?;
    } else if first_len != modes + 1 {
        let seen =
            format!("{} on its first line: the last one is the value", count(first_len, "number", "numbers"));
        return Err(vec![binding::axes_differ(
            request,
            first_len.saturating_sub(1),
            &seen,
            &what,
            file.span,
        )]);
    }
    let this = Lines { path: file.path.to_owned(), span: file.span, content: file.content.clone(), skip };
    let scan = sizes.is_none() && request.axes.iter().any(|a| a.declared == Declared::FromData);
    let (found, rows) = if scan {
        let mut most = vec![0usize; modes];
        let mut bad = Offences::new();
        let rows = this.cells(modes, &mut bad, |index, _, _, _| {
            for (most, i) in most.iter_mut().zip(index) {
                *most = (*most).max(*i + 1);
            }
        });
        if !bad.is_empty() {
            return Err(this.reports(request, &[], bad, None));
        }
        (most, Amount::Exactly(rows))
    } else {
        // a digit and a blank for every index, a digit and a line end for the value
        (sizes.unwrap_or_default(), Amount::AtMost(bytes.len() / (2 * (modes + 1)) + 1))
    };
    let mut axes = Vec::with_capacity(modes);
    for (i, axis) in request.axes.iter().enumerate() {
        let levels = match &axis.declared {
            Declared::Known(levels) => levels.clone(),
            Declared::FromData => Levels::Counted(found.get(i).copied().unwrap_or(0)),
        };
        axes.push(binding::bound(axis, levels, Binding::Position(i)));
    }
    let cells = axes.iter().try_fold(1usize, |n, a| n.checked_mul(a.to_mode().size())).unwrap_or(usize::MAX);
    let profile = Profile::sparse(Amount::AtMost(rows.bound().min(cells)), modes);
    Ok(Header {
        format: "tns",
        axes,
        columns: Vec::new(),
        element: None,
        layout: None,
        rows: Some(rows),
        profile,
        notes: Vec::new(),
        pending: Arc::new(this),
    })
}

/// Lines with their numbers from 1, without comments and blanks around them.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.split(|b| *b == b'\n').zip(1..).map(|(line, n)| {
        let line = line.split(|b| *b == b'#').next().unwrap_or_default();
        (n, line.trim_ascii())
    })
}

fn tokens(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace() || *b == b',').filter(|t| !t.is_empty())
}

impl Lines {
    /// Calls `each` with every line that reads as indices (from 0) and a number, and counts the lines.
    fn cells(
        &self,
        modes: usize,
        bad: &mut Offences<Cause>,
        mut each: impl FnMut(&[usize], f64, usize, &mut Offences<Cause>),
    ) -> usize {
        let mut index = vec![0usize; modes];
        let mut rows = 0usize;
        'lines: for (n, line) in lines(self.content.bytes()).skip(self.skip) {
            if line.is_empty() {
                continue;
            }
            rows += 1;
            if rows.is_multiple_of(Content::LINES) && self.content.is_unwanted() {
                *bad = Offences::new();
                bad.add(Cause::Ended, b"", || n);
                return rows;
            }
            let mut parts = tokens(line);
            for (mode, place) in index.iter_mut().enumerate() {
                let Some(part) = parts.next() else {
                    bad.add(Cause::Length, line, || n);
                    continue 'lines;
                };
                let i = std::str::from_utf8(part).ok().and_then(|t| t.parse::<u32>().ok());
                match i.and_then(|i| i.checked_sub(1)) {
                    Some(i) => *place = i as usize,
                    None => {
                        bad.add(Cause::NotIndex(mode), part, || n);
                        continue 'lines;
                    }
                }
            }
            match (parts.next(), parts.next()) {
                (Some(value), None) => match number(value) {
                    Some(x) => each(&index, x, n, bad),
                    None => bad.add(Cause::NotNumber, value, || n),
                },
                _ => bad.add(Cause::Length, line, || n),
            }
        }
        rows
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
        let axis = |i: usize| request.axes.get(i).map_or(("", self.span), |a| (a.mode.as_str(), a.span));
        match cause {
            Cause::Ended => ended(path, self.span, line),
            Cause::Length => Diagnostic::new(
                Code::MBA407,
                format!(
                    "line {line} of `{path}` is not {} and a value",
                    count(request.axes.len(), "index", "indices")
                ),
            )
            .at(self.span, format!("line {line} is `{text}`"))
            .help("give every line one index per mode, and one value"),
            Cause::NotNumber => {
                Diagnostic::new(Code::MBA411, format!("`{text}` is not a number: line {line} of `{path}`"))
                    .at(self.span, "the last entry of a line is the value")
                    .help("correct the line")
            }
            Cause::NotIndex(i) => {
                let (mode, span) = axis(i);
                Diagnostic::new(
                    Code::MBA423,
                    format!("`{text}` is not an index for `{mode}`: line {line} of `{path}`"),
                )
                .at(span, "indices are whole numbers from 1")
                .at(self.span, "in this file")
                .help(if text == "0" {
                    "add 1 to every index: this format counts from 1"
                } else {
                    "correct the line"
                })
            }
            Cause::OutOfRange(i) => {
                let (mode, span) = axis(i);
                let size = modes.get(i).map_or(0, Mode::size);
                let report = Diagnostic::new(
                    Code::MBA423,
                    format!("index {text} for `{mode}` is out of range: line {line} of `{path}`"),
                )
                .at(
                    span,
                    format!("has {}, with indices 1 to {size} in the file", count(size, "level", "levels")),
                );
                match request.axes.get(i).and_then(|a| a.declared_at) {
                    Some(at) => report.at(at, "declared here"),
                    None => report.at(self.span, "in this file"),
                }
                .help("correct the line, or declare the mode with more levels")
            }
            Cause::Forbidden => {
                let (cell, value) = forbidden.map_or((String::new(), f64::NAN), Clone::clone);
                let place = format!("line {line} of `{path}`");
                bad_value(request, &cell, value, group.total.saturating_sub(1), &place, self.span)
            }
        }
    }
}

impl Pending for Lines {
    fn read(&self, request: &Request, modes: &[Mode], _: Option<&dyn Onlooker>) -> Checked<Loaded> {
        let sizes: Vec<usize> = modes.iter().map(Mode::size).collect();
        for (axis, size) in request.axes.iter().zip(&sizes) {
            if u32::try_from(*size).is_err() {
                return Err(vec![too_many_levels(&axis.mode, axis.declared_at.unwrap_or(axis.span))]);
            }
        }
        let mut cells = Cells::new(&sizes, true, 0);
        let mut packed = vec![0u32; sizes.len()];
        let mut bad = Offences::new();
        let mut forbidden = None;
        self.cells(sizes.len(), &mut bad, |index, value, line, bad| {
            for (mode, ((i, size), packed)) in index.iter().zip(&sizes).zip(&mut packed).enumerate() {
                if i >= size {
                    bad.add(Cause::OutOfRange(mode), (i + 1).to_string().as_bytes(), || line);
                    return;
                }
                *packed = u32::try_from(*i).unwrap_or(u32::MAX);
            }
            if !(value >= 0.0 && value.is_finite() || request.may_hide()) {
                forbidden.get_or_insert_with(|| (cell_name(modes, index), value));
                bad.add(Cause::Forbidden, b"", || line);
                return;
            }
            cells.push(&packed, value);
        });
        if !bad.is_empty() {
            return Err(self.reports(request, modes, bad, forbidden));
        }
        let what = format!("`{}`", self.path);
        let tensor = assemble(request, modes, cells, None, &what, self.span)?;
        Ok(Loaded { tensor, dropped_rows: 0, notes: Vec::new() })
    }
}
