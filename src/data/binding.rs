//! Binding the modes of a data statement to the axes of an array or the columns of a table.

use super::format::Checked;
use super::header::{Binding, BoundAxis};
use super::request::{Axis, Declared, Request};
use super::suggest::{closest, count, list};
use crate::model::{Levels, Mode};
use crate::text::{Code, Diagnostic, Span};

/// Binds modes to axes by position. `what` is how the array is spoken of, in backticks.
pub(crate) fn to_shape(
    request: &Request,
    shape: &[usize],
    what: &str,
    span: Span,
) -> Checked<Vec<BoundAxis>> {
    if shape.len() != request.axes.len() {
        return Err(vec![axes_differ(request, shape.len(), &shape_note(what, shape), what, span)]);
    }
    let mut problems = columns_named(request, what);
    let mut axes = Vec::with_capacity(shape.len());
    for (position, (axis, size)) in request.axes.iter().zip(shape).enumerate() {
        if *size == 0 {
            problems.push(
                Diagnostic::new(
                    Code::MBA203,
                    format!("the axis of {what} for `{}` has no levels", axis.mode),
                )
                .at(span, shape_note(what, shape))
                .at(axis.span, "this axis has size 0")
                .help("check how the file was written: an array without cells cannot be fitted"),
            );
            continue;
        }
        let levels = match &axis.declared {
            Declared::FromData => Levels::Counted(*size),
            Declared::Known(levels) => levels.clone(),
        };
        let bound = bound(axis, levels, Binding::Position(position));
        if bound.to_mode().size() == *size {
            axes.push(bound);
        } else {
            problems.push(sizes_differ(request, axis, bound.to_mode().size(), *size, what, span, shape));
        }
    }
    if problems.is_empty() { Ok(axes) } else { Err(problems) }
}

/// Whether the final modes still fit the shape; another tensor may have had its say about them.
pub(crate) fn check_modes(
    request: &Request,
    modes: &[Mode],
    shape: &[usize],
    what: &str,
    span: Span,
) -> Checked<()> {
    let problems: Vec<Diagnostic> = request
        .axes
        .iter()
        .zip(modes)
        .zip(shape)
        .filter(|((_, mode), size)| mode.size() != **size)
        .map(|((axis, mode), size)| sizes_differ(request, axis, mode.size(), *size, what, span, shape))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// A request axis with its levels and binding.
pub(crate) fn bound(axis: &Axis, levels: Levels, binding: Binding) -> BoundAxis {
    BoundAxis {
        mode: axis.mode.clone(),
        levels,
        order: axis.order,
        from_data: axis.declared == Declared::FromData,
        binding,
    }
}

/// The report that the file and the statement speak of different numbers of axes.
pub(crate) fn axes_differ(request: &Request, found: usize, seen: &str, what: &str, span: Span) -> Diagnostic {
    let listed = request.axes.len();
    let names = list(request.axes.iter().map(|a| a.mode.as_str()));
    let report = Diagnostic::new(
        Code::MBA202,
        format!(
            "{what} has {}, but `{}` lists {}",
            count(found, "axis", "axes"),
            request.name,
            count(listed, "mode", "modes"),
        ),
    )
    .at(span, seen.to_owned())
    .at(request.span, if listed == 0 { "lists no modes".to_owned() } else { format!("lists {names}") });
    if found == 0 {
        report.help("save the numbers as an array with one axis per mode")
    } else {
        report.help(format!("list {}, in the order of the axes", count(found, "mode", "modes")))
    }
}

fn sizes_differ(
    request: &Request,
    axis: &Axis,
    levels: usize,
    size: usize,
    what: &str,
    span: Span,
    shape: &[usize],
) -> Diagnostic {
    let mut report = Diagnostic::new(
        Code::MBA201,
        format!(
            "`{}` has {}, but its axis in {what} has {size}",
            axis.mode,
            count(levels, "level", "levels")
        ),
    )
    .at(span, shape_note(what, shape));
    if let Some(declared_at) = axis.declared_at {
        report = report.at(declared_at, format!("declared with {}", count(levels, "level", "levels")));
    } else {
        report = report.at(axis.span, format!("has {}", count(levels, "level", "levels")));
    }
    // a size that fits another axis says that the modes are listed in another order than the axes
    let fits = |n: usize, mode: &Axis| match &mode.declared {
        Declared::Known(known) => {
            Mode { name: String::new(), levels: known.clone(), order: mode.order }.size() == n
        }
        Declared::FromData => true,
    };
    let mut left: Vec<&Axis> = request.axes.iter().collect();
    let order: Vec<&str> = shape
        .iter()
        .filter_map(|n| {
            let at = left.iter().position(|a| fits(*n, a) && a.declared != Declared::FromData);
            let at = at.or_else(|| left.iter().position(|a| fits(*n, a)))?;
            Some(left.remove(at).mode.as_str())
        })
        .collect();
    if order.len() == shape.len() {
        report.help(format!(
            "list the modes in the order of the axes: `{}[{}]`",
            request.name,
            order.join(", ")
        ))
    } else if axis.declared_at.is_some() {
        report.help(format!("declare `mode {}: {size}`, or bind another array", axis.mode))
    } else {
        report.help("bind an array whose axes fit the modes")
    }
}

fn shape_note(what: &str, shape: &[usize]) -> String {
    let what = if what.starts_with('`') { "the array" } else { what };
    if shape.is_empty() {
        return format!("{what} is a single number");
    }
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("{what} is {}", sizes.join(" × "))
}

/// `hair as "Hair"` where there are no columns.
pub(crate) fn columns_named(request: &Request, what: &str) -> Vec<Diagnostic> {
    let named = request.axes.iter().filter_map(|a| a.column.as_ref().map(|c| (a, c)));
    named
        .map(|(axis, (column, span))| {
            Diagnostic::new(Code::MBA409, format!("{what} has no columns to bind `{}` to", axis.mode))
                .at(*span, format!("asks for the column `{column}`"))
                .note("the axes of an array are bound in the order in which the modes are listed")
                .help(format!("write `{}` alone", axis.mode))
        })
        .collect()
}

/// Options that speak of the rows of a table, for a format that has none.
pub(crate) fn no_rows(request: &Request, what: &str, rows: bool) -> Vec<Diagnostic> {
    use super::request::Counting;
    let mut problems = Vec::new();
    let option = match &request.counting {
        Counting::Default => None,
        Counting::Count(column, span) => Some(("count", column, *span)),
        Counting::Sum(column, span) => Some(("sum", column, *span)),
    };
    if let Some((word, column, span)) = option {
        problems.push(
            Diagnostic::new(Code::MBA409, format!("{what} has no columns to {word}"))
                .at(span, format!("asks for the column `{column}`"))
                .note("every cell already has its value")
                .help(format!("leave out `{word} {column}`")),
        );
    }
    if request.drop_na && !rows {
        problems.push(
            Diagnostic::new(Code::MBA409, format!("{what} has no rows to drop"))
                .at(request.source.span(), "read as a whole array")
                .help("leave out `drop na`"),
        );
    }
    problems
}

/// Finds a column: by its exact name, else by a unique match that ignores case.
///
/// `mode` is the mode to be bound when the statement does not name the column itself.
pub(crate) fn column(
    wanted: &str,
    at: Span,
    mode: Option<&str>,
    columns: &[String],
    path: &str,
    path_at: Span,
) -> Checked<usize> {
    let lower = wanted.to_lowercase();
    let exact: Vec<usize> = positions(columns, |c| c == wanted);
    let ignoring_case = exact.is_empty();
    let mut matches = if ignoring_case { positions(columns, |c| c.to_lowercase() == lower) } else { exact };
    if matches.is_empty() && wanted.ends_with(']') {
        // a member of a family, `x[0, 1]`, is often a column `x0_1` or `x_0_1`
        let (name, index) = wanted.trim_end_matches(']').split_once('[').unwrap_or((wanted, ""));
        let index = index.replace(", ", "_");
        matches = positions(columns, |c| c == format!("{name}{index}") || c == format!("{name}_{index}"));
    }
    let report = match matches.as_slice() {
        [column] => return Ok(*column),
        [] => {
            let near = closest(wanted, columns.iter().map(String::as_str).filter(|c| !c.is_empty()));
            let mut report = Diagnostic::new(Code::MBA204, format!("`{path}` has no column `{wanted}`"))
                .at(at, "no column of this name")
                .at(path_at, format!("the columns are {}", list(columns.iter().map(String::as_str))));
            if !columns.is_empty() && columns.iter().all(|c| c.parse::<f64>().is_ok()) {
                report =
                    report.note("the first line must hold the names of the columns; here it holds numbers");
            }
            match (near, mode) {
                (Some(near), Some(mode)) => {
                    let text = format!("{mode} as \"{near}\"");
                    report
                        .replace(at, text.clone(), format!("bind `{mode}` to the column `{near}`"))
                        .help(format!("did you mean `{text}`?"))
                }
                (Some(near), None) => report.help(format!("did you mean `{near}`?")),
                (None, Some(mode)) => {
                    let example = columns.iter().find(|c| !c.is_empty()).map_or("column", String::as_str);
                    report.help(format!(
                        "bind the mode to a column of another name with `as`, such as `{mode} as \"{example}\"`"
                    ))
                }
                (None, None) => report.help("name one of these columns"),
            }
        }
        several if ignoring_case => {
            let names: Vec<&str> =
                several.iter().filter_map(|i| columns.get(*i)).map(String::as_str).collect();
            let report = Diagnostic::new(
                Code::MBA205,
                format!("`{wanted}` could be any of the columns {} of `{path}`", list(names.iter().copied())),
            )
            .at(at, "matches several columns when case is ignored")
            .at(path_at, "has these columns");
            match (mode, names.first()) {
                (Some(mode), Some(first)) => {
                    report.help(format!("say which one, such as `{mode} as \"{first}\"`"))
                }
                _ => report.help("write the name as it is in the file"),
            }
        }
        several => {
            Diagnostic::new(Code::MBA205, format!("`{path}` has {} columns named `{wanted}`", several.len()))
                .at(at, "cannot tell which one is meant")
                .at(path_at, "has these columns")
                .help("give every column of the file a name of its own")
        }
    };
    Err(vec![report])
}

fn positions(columns: &[String], matches: impl Fn(&str) -> bool) -> Vec<usize> {
    columns.iter().enumerate().filter(|(_, c)| matches(c)).map(|(i, _)| i).collect()
}
