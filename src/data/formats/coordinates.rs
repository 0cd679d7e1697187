//! Coordinates with values: two arrays, `n × D` whole numbers that count from 0, and `n` numbers.

use std::sync::Arc;

use super::npy::{self, Array};
use super::table::{assemble, too_many_levels};
use crate::data::binding;
use crate::data::cells::Cells;
use crate::data::columns::{Rows, columns};
use crate::data::format::{Checked, Loaded, Opened, Pending};
use crate::data::header::{Amount, Binding, Header, Profile};
use crate::data::request::{Declared, Request};
use crate::data::suggest::{count, others};
use crate::data::summary::{bad_value, cell_name, summarise};
use crate::data::tensor::{Buffer, Element, Onlooker, Sparse, Storage, Tensor, Values};
use crate::model::{Levels, Mode};
use crate::text::{Code, Diagnostic, Span};
use crate::with_values;

#[derive(Debug)]
struct Pair {
    coords: Array,
    values: Array,
    path: String,
    span: Span,
    values_path: String,
    values_span: Span,
}

/// The first phase: the shapes of both arrays, and the largest coordinates when levels come from the data.
pub(crate) fn inspect(request: &Request, coords: &Opened<'_>, values: &Opened<'_>) -> Checked<Header> {
    let what = format!("`{}`", coords.path);
    let mut problems = binding::no_rows(request, &what, false);
    problems.extend(binding::columns_named(request, &what));
    let open = |file: &Opened<'_>| {
        Array::new(file.content.buffer(), 0)
            .map_err(|f| vec![npy::report(f, &format!("`{}`", file.path), file.span)])
    };
    let (coords_array, values_array) = match (open(coords), open(values)) {
        (Ok(c), Ok(v)) if problems.is_empty() => (c, v),
        (c, v) => {
            problems.extend(c.err().into_iter().chain(v.err()).flatten());
            return Err(problems);
        }
    };
    let pair = Pair {
        coords: coords_array,
        values: values_array,
        path: coords.path.to_owned(),
        span: coords.span,
        values_path: values.path.to_owned(),
        values_span: values.span,
    };
    let rows = pair.check(request)?;
    let mut axes = Vec::with_capacity(request.axes.len());
    let scan = request.axes.iter().any(|a| a.declared == Declared::FromData);
    let largest = if scan { pair.largest() } else { Vec::new() };
    for (i, axis) in request.axes.iter().enumerate() {
        let levels = match &axis.declared {
            Declared::Known(levels) => levels.clone(),
            Declared::FromData => {
                // a negative coordinate is reported with its row when the cells are read
                let largest = u32::try_from(largest.get(i).copied().unwrap_or(0).max(0));
                let size = largest.ok().filter(|n| *n < u32::MAX).and_then(|n| usize::try_from(n).ok());
                Levels::Counted(size.ok_or_else(|| vec![too_many_levels(&axis.mode, axis.span)])? + 1)
            }
        };
        axes.push(binding::bound(axis, levels, Binding::Position(i)));
    }
    let cells = axes.iter().try_fold(1usize, |n, a| n.checked_mul(a.to_mode().size())).unwrap_or(usize::MAX);
    let profile = Profile::sparse(Amount::AtMost(rows.min(cells)), axes.len());
    Ok(Header {
        format: "coordinates",
        axes,
        columns: Vec::new(),
        element: Some(pair.values.element),
        layout: None,
        rows: Some(Amount::Exactly(rows)),
        profile,
        notes: Vec::new(),
        pending: Arc::new(pair),
    })
}

impl Pair {
    /// The number of rows, when both arrays fit together and to the modes.
    fn check(&self, request: &Request) -> Checked<usize> {
        let Self { path, values_path, .. } = self;
        let modes = request.axes.len();
        if !self.coords.element.is_whole() {
            return Err(vec![
                Diagnostic::new(
                    Code::MBA405,
                    format!("`{path}` holds `{}`, not coordinates", self.coords.element.name()),
                )
                .at(self.span, "coordinates are whole numbers")
                .help("convert the array before saving it, for example with `.astype(\"int64\")`"),
            ]);
        }
        let rows = match self.coords.shape.as_slice() {
            [rows, columns] if *columns == modes => *rows,
            [rows] if modes == 1 => *rows,
            [columns, _] if *columns == modes => {
                return Err(vec![
                    Diagnostic::new(
                        Code::MBA207,
                        format!("`{path}` has one row per mode instead of one row per cell"),
                    )
                    .at(self.span, shape_of(&self.coords.shape))
                    .help("save the transposed array: one row per cell, one column per mode"),
                ]);
            }
            [_, columns] => {
                let seen = format!("{}, one per axis", count(*columns, "column", "columns"));
                return Err(vec![binding::axes_differ(
                    request,
                    *columns,
                    &seen,
                    &format!("`{path}`"),
                    self.span,
                )]);
            }
            shape => {
                return Err(vec![
                    Diagnostic::new(Code::MBA207, format!("`{path}` is not a list of coordinates"))
                        .at(self.span, shape_of(shape))
                        .help("save an array with one row per cell and one column per mode"),
                ]);
            }
        };
        // a header may claim more than a number holds where one of its sizes is 0
        let values = self.values.shape.iter().fold(1usize, |k, n| k.saturating_mul(*n));
        let flat = self.values.shape.iter().filter(|n| **n != 1).count() <= 1;
        if values != rows || !flat {
            return Err(vec![
                Diagnostic::new(
                    Code::MBA207,
                    format!(
                        "`{path}` has {}, but `{values_path}` has {}",
                        count(rows, "row", "rows"),
                        count(values, "value", "values")
                    ),
                )
                .at(self.values_span, shape_of(&self.values.shape))
                .at(self.span, shape_of(&self.coords.shape))
                .help("give every row of coordinates one value"),
            ]);
        }
        if rows == 0 {
            return Err(vec![
                Diagnostic::new(Code::MBA403, format!("`{path}` has no cells"))
                    .at(self.span, shape_of(&self.coords.shape))
                    .help("check that this is the file that was meant"),
            ]);
        }
        Ok(rows)
    }

    /// The largest coordinate of each mode.
    fn largest(&self) -> Vec<i128> {
        let modes = self.coords.shape.get(1).copied().unwrap_or(1).max(1);
        with_values!(&self.coords.values(), all => {
            let mut largest = vec![i128::MIN; modes];
            visit_rows(all, &self.coords, modes, |_, row| {
                for (most, i) in largest.iter_mut().zip(row) {
                    *most = (*most).max(i.whole());
                }
            });
            largest
        })
    }
}

/// The values as doubles: those of a file that has them stay in it.
fn doubles(values: Values) -> Buffer<f64> {
    match values {
        Values::F64(own) => own,
        other => Buffer::new(with_values!(&other, own => own.iter().map(|x| x.to_f64()).collect::<Vec<_>>())),
    }
}

fn shape_of(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    if sizes.is_empty() { "a single number".into() } else { format!("an array of {}", sizes.join(" × ")) }
}

/// Calls `each` with every row of an `n × modes` array, whatever its layout.
fn visit_rows<T: Element>(all: &[T], array: &Array, modes: usize, mut each: impl FnMut(usize, &[T])) {
    use crate::data::header::Layout;
    match array.layout {
        Layout::LastFastest => all.chunks_exact(modes).enumerate().for_each(|(n, row)| each(n, row)),
        Layout::FirstFastest => {
            let rows = all.len() / modes;
            let mut row: Vec<T> = all.iter().step_by(rows.max(1)).copied().collect();
            for n in 0..rows {
                for (mode, x) in row.iter_mut().enumerate() {
                    if let Some(y) = all.get(mode * rows + n) {
                        *x = *y;
                    }
                }
                each(n, &row);
            }
        }
    }
}

/// What is wrong, first and how often.
#[derive(Default)]
struct Wrong {
    /// Row, mode and coordinate.
    out_of_range: Option<(usize, usize, i128)>,
    others_out: usize,
    /// Row, cell and value.
    forbidden: Option<(usize, String, f64)>,
    others_forbidden: usize,
}

impl Pending for Pair {
    fn read(&self, request: &Request, modes: &[Mode], _: Option<&dyn Onlooker>) -> Checked<Loaded> {
        let sizes: Vec<usize> = modes.iter().map(Mode::size).collect();
        for (axis, size) in request.axes.iter().zip(&sizes) {
            if u32::try_from(*size).is_err() {
                return Err(vec![too_many_levels(&axis.mode, axis.declared_at.unwrap_or(axis.span))]);
            }
        }
        let values = match self.at_once(request, modes, self.values.values()) {
            Ok(tensor) => return Ok(Loaded { tensor, dropped_rows: 0, notes: Vec::new() }),
            Err(values) => doubles(values),
        };
        let mut cells = Cells::new(&sizes, true, values.len());
        let mut wrong = Wrong::default();
        let mut index = vec![0u32; sizes.len()];
        with_values!(&self.coords.values(), all => visit_rows(all, &self.coords, sizes.len(), |n, row| {
            let mut outside = None;
            for (mode, ((x, size), i)) in row.iter().zip(&sizes).zip(&mut index).enumerate() {
                let x = x.whole();
                if x < 0 || x >= *size as i128 {
                    outside = outside.or(Some((n, mode, x)));
                }
                *i = x as u32;
            }
            let value = values.get(n).copied().unwrap_or(0.0);
            if outside.is_some() {
                wrong.others_out += usize::from(wrong.out_of_range.is_some());
                wrong.out_of_range = wrong.out_of_range.or(outside);
            } else if !(value >= 0.0 && value.is_finite() || request.may_hide()) {
                wrong.others_forbidden += usize::from(wrong.forbidden.is_some());
                if wrong.forbidden.is_none() {
                    let index: Vec<usize> = index.iter().map(|i| *i as usize).collect();
                    wrong.forbidden = Some((n, cell_name(modes, &index), value));
                }
            } else {
                cells.push(&index, value);
            }
        }));
        let problems = self.reports(request, modes, wrong);
        if !problems.is_empty() {
            return Err(problems);
        }
        let what = format!("`{}`", self.values_path);
        let tensor = assemble(request, modes, cells, None, &what, self.values_span)?;
        Ok(Loaded { tensor, dropped_rows: 0, notes: Vec::new() })
    }
}

impl Pair {
    /// The tensor, when every row is in order as it stands: in range, positive, and a cell of its own.
    /// Otherwise the values, so that rows are looked at one by one.
    ///
    /// Values become doubles last, when what tells the cells apart, eight bytes a row, is given back.
    fn at_once(&self, request: &Request, modes: &[Mode], values: Values) -> Result<Tensor, Values> {
        use crate::data::header::Layout;
        let summary = with_values!(&values, own => summarise(own, &|place| place));
        let Some((total, counts)) = summary.allowed().filter(|(t, _)| t.is_finite()) else {
            return Err(values);
        };
        if with_values!(&values, own => own.iter().any(|x| x.to_f64() == 0.0)) {
            return Err(values);
        }
        let shape: Vec<usize> = modes.iter().map(Mode::size).collect();
        let count = with_values!(&values, own => own.len());
        let rows = match self.coords.layout {
            Layout::LastFastest => Rows { count, row_step: shape.len(), mode_step: 1 },
            Layout::FirstFastest => Rows { count, row_step: 1, mode_step: count },
        };
        let Some(coordinates) = with_values!(&self.coords.values(), all => columns(all, rows, &shape)) else {
            return Err(values);
        };
        Ok(Tensor {
            mask: None,
            name: request.name.clone(),
            modes: modes.to_vec(),
            storage: Arc::new(Storage::Sparse(Sparse { shape, coordinates, values: doubles(values) })),
            total,
            counts,
        })
    }

    fn reports(&self, request: &Request, modes: &[Mode], wrong: Wrong) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        if let Some((row, mode, x)) = wrong.out_of_range {
            let axis = request.axes.get(mode);
            let name = axis.map_or("", |a| a.mode.as_str());
            let size = modes.get(mode).map_or(0, Mode::size);
            let mut report = Diagnostic::new(
                Code::MBA423,
                format!(
                    "coordinate {x} for `{name}` is out of range: row {row} of `{}`, counted from 0",
                    self.path
                ),
            )
            .at(
                self.span,
                format!(
                    "`{name}` has {}, with coordinates 0 to {}",
                    count(size, "level", "levels"),
                    size.saturating_sub(1)
                ),
            );
            if let Some(at) = axis.and_then(|a| a.declared_at) {
                report = report.at(at, "declared here");
            }
            if wrong.others_out > 0 {
                let verb = if wrong.others_out == 1 { "is" } else { "are" };
                report = report
                    .note(format!("{} {verb} out of range too", others(wrong.others_out, "row", "rows")));
            }
            problems.push(report.help(if x == size as i128 && size > 0 {
                "coordinates count from 0: subtract 1 if these count from 1"
            } else {
                "correct the coordinates, or declare the mode with more levels"
            }));
        }
        if let Some((row, cell, value)) = wrong.forbidden {
            let place = format!("entry {row}, counted from 0");
            problems.push(bad_value(request, &cell, value, wrong.others_forbidden, &place, self.values_span));
        }
        problems
    }
}
