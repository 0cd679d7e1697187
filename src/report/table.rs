//! Tables of results and arrays over modes, as aligned columns.

use super::grid::{self, Column, display_width};
use super::number;
use super::style::{Style, printable};
use super::text;
use super::value::{Array, Rows, Value};

/// More rows of a table than this are cut.
const TABLE_ROWS: usize = 200;

/// More rows of an array than this are cut.
const ARRAY_ROWS: usize = 40;

/// A list of up to this many numbers stands in one line, if there is room.
const IN_A_LINE: usize = 12;

/// A table as text, with its notes and the reasons for undefined values below. Ends with a line break.
///
/// A cell that is itself a table, as in a list of models that each have several tests, goes into a second table of all
/// those rows, led by the first column.
pub fn rows(table: &Rows, style: Style) -> String {
    let mut reasons = Reasons::default();
    let shown = Shown::new(table.rows.len(), TABLE_ROWS);
    // in reading order, so that the footnotes are numbered from left to right and from top to bottom
    for row in shown.indices().filter_map(|i| table.rows.get(i)) {
        row.iter().for_each(|value| {
            if let Value::Null(why) = value {
                reasons.mark(why);
            }
        });
    }
    let mut columns = Vec::new();
    let mut nested = Vec::new();
    for (i, name) in table.columns.iter().enumerate() {
        let values: Vec<Option<&Value>> = table.rows.iter().map(|row| row.get(i)).collect();
        if values.iter().flatten().any(|value| matches!(value, Value::Table(_))) {
            nested.push((name, flatten(table, i)));
        } else {
            let shown: Vec<Option<&Value>> =
                shown.indices().map(|row| values.get(row).copied().flatten()).collect();
            columns.push(column(name, &shown, &mut reasons, style));
        }
    }
    if table.rows.is_empty() {
        reasons.after.push("no rows".to_owned());
    }
    if let Some(at) = shown.gap() {
        columns.iter_mut().for_each(|column| column.cells.insert(at, style.ellipsis().to_owned()));
        reasons.after.push(format!("{} rows in all: {}", table.rows.len(), HOW_TO_GET_ALL));
    }
    let numbered = reasons.known.len() > 1;
    for column in &mut columns {
        for cell in &mut column.cells {
            *cell = reasons.finish(cell, numbered, style);
        }
    }
    let mut out = grid::draw(&columns, style);
    for line in reasons
        .lines(numbered, style)
        .into_iter()
        .chain(table.notes.iter().map(|n| printable(n).into_owned()))
    {
        out.push_str(&text::folded(&line, style.width));
        out.push('\n');
    }
    for (name, inner) in nested {
        if !inner.rows.is_empty() {
            out.push('\n');
            out.push_str(&style.bold(&nested_title(name)));
            out.push('\n');
            out.push_str(&rows(&inner, style));
        }
    }
    out
}

const HOW_TO_GET_ALL: &str = "save to a file or use --format json to get every one";

/// What a table inside a table is called.
fn nested_title(column: &str) -> String {
    match column {
        // the column that `compare` adds, too short to explain itself
        "tests" => "likelihood-ratio tests".to_owned(),
        other => printable(&other.replace('_', " ")).into_owned(),
    }
}

/// The tables in one column as one table, led by the first column of the row each came from.
fn flatten(outer: &Rows, column: usize) -> Rows {
    let mut flat = Rows::default();
    let lead = usize::from(column == 0);
    for row in &outer.rows {
        let Some(Value::Table(inner)) = row.get(column) else { continue };
        if flat.columns.is_empty() {
            flat.columns.extend(outer.columns.get(lead).cloned());
        }
        for name in &inner.columns {
            if !flat.columns.iter().skip(1).any(|known| known == name) {
                flat.columns.push(name.clone());
            }
        }
        for note in &inner.notes {
            if !flat.notes.contains(note) {
                flat.notes.push(note.clone());
            }
        }
        for inner_row in &inner.rows {
            let cell = |name: &String| {
                let at = inner.columns.iter().position(|known| known == name);
                at.and_then(|at| inner_row.get(at)).cloned().unwrap_or_else(|| Value::Null(String::new()))
            };
            let mut cells: Vec<Value> = row.get(lead).cloned().into_iter().collect();
            cells.extend(flat.columns.iter().skip(1).map(cell));
            flat.rows.push(cells);
        }
    }
    flat
}

fn column(name: &str, values: &[Option<&Value>], reasons: &mut Reasons, style: Style) -> Column {
    let numbers = || {
        values.iter().flatten().filter_map(|value| match value {
            Value::Number(x) => Some(*x),
            _ => None,
        })
    };
    let decimals = number::decimals(numbers());
    let right = !values
        .iter()
        .flatten()
        .any(|value| !matches!(value, Value::Number(_) | Value::Count(_) | Value::Null(_)));
    let cell = |value: &Option<&Value>| match value {
        None => reasons.mark(""),
        Some(Value::Null(why)) => reasons.mark(why),
        Some(Value::Number(x)) if x.is_nan() => reasons.mark(""),
        Some(Value::Number(x)) if number::is_p_value(name) => number::p_value_in_column(*x),
        Some(Value::Number(x)) => number::in_column(*x, decimals),
        Some(other) => text::inline(other, style),
    };
    let cells = values.iter().map(cell).collect();
    Column { header: printable(name).into_owned(), right, cells }
}

/// Why values are undefined, each reason once.
#[derive(Default)]
struct Reasons {
    known: Vec<String>,
    after: Vec<String>,
}

/// Stands before the number of a reason until it is known whether there are several.
const MARK: char = '\u{0}';

impl Reasons {
    fn mark(&mut self, why: &str) -> String {
        if why.is_empty() {
            return MARK.to_string();
        }
        let at = self.known.iter().position(|known| known == why).unwrap_or_else(|| {
            self.known.push(why.to_owned());
            self.known.len() - 1
        });
        format!("{MARK}{}", at + 1)
    }

    fn finish(&self, cell: &str, numbered: bool, style: Style) -> String {
        match cell.strip_prefix(MARK) {
            None => cell.to_owned(),
            Some("") => style.null().to_owned(),
            Some(_) if !numbered => style.null().to_owned(),
            Some(digits) => format!("{}{}", style.null(), raised(digits, style)),
        }
    }

    fn lines(&self, numbered: bool, style: Style) -> Vec<String> {
        let line = |(i, why): (usize, &String)| {
            let number = if numbered { raised(&(i + 1).to_string(), style) } else { String::new() };
            format!("{}{number} {}", style.null(), printable(why))
        };
        self.known.iter().enumerate().map(line).chain(self.after.iter().cloned()).collect()
    }
}

/// The number of a footnote.
fn raised(digits: &str, style: Style) -> String {
    if !style.unicode {
        return format!("[{digits}]");
    }
    let raise = |c: char| c.to_digit(10).and_then(|d| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(d as usize)).unwrap_or(c);
    digits.chars().map(raise).collect()
}

/// Which of many rows are shown: all, or those at the beginning and a few at the end.
#[derive(Clone, Copy)]
struct Shown {
    all: usize,
    head: usize,
    tail: usize,
}

impl Shown {
    fn new(all: usize, most: usize) -> Self {
        if all <= most {
            Self { all, head: all, tail: 0 }
        } else {
            let tail = most / 4;
            Self { all, head: most - tail, tail }
        }
    }

    fn indices(self) -> impl Iterator<Item = usize> {
        (0..self.head).chain(self.all - self.tail..self.all)
    }

    /// Where rows were left out.
    fn gap(self) -> Option<usize> {
        (self.head + self.tail < self.all).then_some(self.head)
    }
}

/// An array as text: a number, a line or a list, a matrix, or matrices one below the other for every level of the
/// modes after the second. Ends with a line break.
pub fn array(array: &Array, style: Style) -> String {
    let sizes: Vec<usize> = array.modes.iter().map(|mode| mode.size()).collect();
    let mut out = match sizes.as_slice() {
        [] => cell_text(array, 0, 0, style),
        sizes if sizes.contains(&0) => format!("no cells: {}", shape(array, style)),
        [size] if *size <= IN_A_LINE => match in_a_line(array, style) {
            Some(line) => line,
            None => list(array, style),
        },
        [_] => list(array, style),
        [rows, columns, slices @ ..] => matrices(array, *rows, *columns, slices, style),
    };
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// `hair 4 × eye 4`.
pub(super) fn shape(array: &Array, style: Style) -> String {
    let mode = |mode: &crate::model::Mode| format!("{} {}", printable(&mode.name), mode.size());
    array.modes.iter().map(mode).collect::<Vec<_>>().join(&format!(" {} ", style.times()))
}

fn cell_value(array: &Array, at: usize) -> f64 {
    array.values.get(at).copied().unwrap_or(f64::NAN)
}

fn cell_text(array: &Array, at: usize, decimals: usize, style: Style) -> String {
    match cell_value(array, at) {
        x if x.is_nan() => style.null().to_owned(),
        x if array.modes.is_empty() => number::number(x),
        x => number::in_column(x, decimals),
    }
}

fn level(array: &Array, mode: usize, i: usize) -> String {
    array.modes.get(mode).map_or_else(String::new, |mode| printable(&mode.label(i)).into_owned())
}

fn mode_name(array: &Array, mode: usize) -> String {
    array.modes.get(mode).map_or_else(String::new, |mode| printable(&mode.name).into_owned())
}

/// Whether the levels of a mode are numbers, which stand on the right.
fn is_numeric(array: &Array, mode: usize) -> bool {
    array.modes.get(mode).is_some_and(|mode| mode.number(0).is_some())
}

fn in_a_line(array: &Array, style: Style) -> Option<String> {
    let size = array.modes.first()?.size();
    let decimals = number::decimals((0..size).map(|i| cell_value(array, i)));
    let mut columns = vec![Column { header: mode_name(array, 0), right: false, cells: vec![String::new()] }];
    columns.extend((0..size).map(|i| Column {
        header: level(array, 0, i),
        right: true,
        cells: vec![cell_text(array, i, decimals, style)],
    }));
    let width: usize = columns.iter().map(|column| column.width() + 2).sum();
    (width <= style.width + 2).then(|| grid::draw(&columns, style))
}

fn list(array: &Array, style: Style) -> String {
    let size = array.modes.first().map_or(0, |mode| mode.size());
    let shown = Shown::new(size, ARRAY_ROWS);
    let decimals = number::decimals(shown.indices().map(|i| cell_value(array, i)));
    let mut levels: Vec<String> = shown.indices().map(|i| level(array, 0, i)).collect();
    let mut cells: Vec<String> = shown.indices().map(|i| cell_text(array, i, decimals, style)).collect();
    if let Some(at) = shown.gap() {
        levels.insert(at, style.ellipsis().to_owned());
        cells.insert(at, style.ellipsis().to_owned());
    }
    let columns = [
        Column { header: mode_name(array, 0), right: is_numeric(array, 0), cells: levels },
        Column { header: "value".to_owned(), right: true, cells },
    ];
    let mut out = grid::draw(&columns, style);
    if shown.gap().is_some() {
        out.push_str(&format!("{size} levels in all: {HOW_TO_GET_ALL}\n"));
    }
    out
}

fn matrices(array: &Array, rows: usize, columns: usize, slices: &[usize], style: Style) -> String {
    let slice_count = slices.iter().fold(1usize, |product, size| product.saturating_mul(*size));
    let shown_rows = Shown::new(rows, ARRAY_ROWS);
    let shown_slices = slice_count.min((ARRAY_ROWS / rows.clamp(1, ARRAY_ROWS)).max(1));
    let at = |row: usize, column: usize, slice: usize| {
        row.saturating_mul(columns).saturating_add(column).saturating_mul(slice_count).saturating_add(slice)
    };
    // a column takes at least three places, so no more than these can be wanted
    let head: Vec<usize> = (0..columns.min(style.width / 3 + 1)).collect();
    let wanted = || head.iter().copied().chain((head.len() < columns).then(|| columns - 1));
    let numbers = (0..shown_slices).flat_map(|slice| {
        shown_rows.indices().flat_map(move |row| wanted().map(move |column| (row, column, slice)))
    });
    let decimals =
        number::decimals(numbers.map(|(row, column, slice)| cell_value(array, at(row, column, slice))));

    let with_gap = |mut cells: Vec<String>| {
        if let Some(gap) = shown_rows.gap() {
            cells.insert(gap, style.ellipsis().to_owned());
        }
        cells
    };
    let heading = Column {
        header: format!("{} \\ {}", mode_name(array, 0), mode_name(array, 1)),
        right: is_numeric(array, 0),
        cells: with_gap(shown_rows.indices().map(|row| level(array, 0, row)).collect()),
    };
    let drawn: Vec<Vec<Column>> = (0..shown_slices)
        .map(|slice| {
            let column = |column: usize| Column {
                header: level(array, 1, column),
                right: true,
                cells: with_gap(
                    shown_rows
                        .indices()
                        .map(|row| cell_text(array, at(row, column, slice), decimals, style))
                        .collect(),
                ),
            };
            wanted().map(column).collect()
        })
        .collect();
    // all slices have the same columns, so that one can be read below the other
    let widths: Vec<usize> = (0..wanted().count())
        .map(|i| drawn.iter().filter_map(|slice| slice.get(i)).map(Column::width).max().unwrap_or(0))
        .collect();
    let kept = fitting(heading.width(), &widths, columns, style);

    let mut out = String::new();
    for (slice, mut cells) in drawn.into_iter().enumerate() {
        if !slices.is_empty() {
            if slice > 0 {
                out.push('\n');
            }
            out.push_str(&style.bold(&slice_title(array, slices, slice)));
            out.push('\n');
        }
        for (column, width) in cells.iter_mut().zip(&widths) {
            let pad = width.saturating_sub(display_width(&column.header));
            column.header.insert_str(0, &" ".repeat(pad));
        }
        if let Some(kept) = kept {
            let last = cells.pop();
            cells.truncate(kept);
            let dots = vec![style.ellipsis().to_owned(); heading.cells.len()];
            cells.push(Column { header: style.ellipsis().to_owned(), right: true, cells: dots });
            cells.extend(last);
        }
        cells.insert(0, heading.clone());
        out.push_str(&grid::draw(&cells, style));
    }
    if kept.is_some() || shown_rows.gap().is_some() || shown_slices < slice_count {
        let mut all = format!("{rows} rows {} {columns} columns", style.times());
        if !slices.is_empty() {
            out.push('\n');
            all = format!("{shown_slices} of {slice_count} slices, each of {all}");
        } else {
            all.push_str(" in all");
        }
        out.push_str(&text::folded(&format!("{all}: {HOW_TO_GET_ALL}"), style.width));
        out.push('\n');
    }
    out
}

/// How many columns from the left are kept when they do not all fit; the last one is always kept.
fn fitting(heading: usize, widths: &[usize], columns: usize, style: Style) -> Option<usize> {
    let needed = |widths: &[usize]| widths.iter().map(|width| width + 2).sum::<usize>();
    if widths.len() == columns && heading + needed(widths) <= style.width {
        return None;
    }
    let (last, head) = widths.split_last()?;
    let room = style.width.saturating_sub(heading + last + 2 + style.ellipsis().chars().count() + 2);
    let mut used = 0;
    let fits = head.iter().take_while(|width| {
        used += **width + 2;
        used <= room
    });
    let kept = fits.count();
    // nothing is left out when one column is all there is
    (columns > 1 && kept + 1 < columns).then_some(kept)
}

/// `sex = Male, year = 2020`.
fn slice_title(array: &Array, sizes: &[usize], slice: usize) -> String {
    let mut rest = slice;
    let mut parts: Vec<String> = Vec::new();
    for (k, size) in sizes.iter().enumerate().rev() {
        let size = (*size).max(1);
        parts.push(format!("{} = {}", mode_name(array, k + 2), level(array, k + 2, rest % size)));
        rest /= size;
    }
    parts.reverse();
    parts.join(", ")
}
