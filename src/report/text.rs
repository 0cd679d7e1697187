//! Any result as text for people.

use super::grid::display_width;
use super::number;
use super::style::{Style, printable};
use super::table;
use super::value::Value;

/// A result under its name: `name = value` for what fits on a line, a heading with a block below it for the rest.
/// Ends with a line break.
pub fn show(label: &str, value: &Value, style: Style) -> String {
    let label = printable(label);
    match value {
        Value::Array(array) if array.modes.is_empty() => {
            format!("{} = {}", style.bold(&label), table::array(array, style))
        }
        Value::Record(parts) => format!("{}\n{}", style.bold(&label), record(parts, 2, style)),
        Value::Table(rows) => format!("{}\n{}", style.bold(&label), table::rows(rows, style)),
        Value::Text(text) if text.ends_with('\n') => {
            let lines: String = text.lines().map(|l| format!("{}\n", printable(l))).collect();
            format!("{}\n{lines}", style.bold(&label))
        }
        Value::Array(array) => format!("{}\n{}", style.bold(&label), table::array(array, style)),
        Value::List(values) if values.iter().any(is_block) => {
            let item = |(i, value): (usize, &Value)| {
                show(&format!("{label}, {} of {}", i + 1, values.len()), value, style)
            };
            values.iter().enumerate().map(item).collect::<Vec<_>>().join("\n")
        }
        Value::Number(x) if number::is_p_value(&label) && *x < 1e-15 => {
            // an equation with `<` on one side would say two things at once
            format!("{} {}\n", style.bold(&label), number::p_value(*x))
        }
        scalar => format!("{} = {}\n", style.bold(&label), inline(scalar, style)),
    }
}

/// Whether a value needs lines of its own.
fn is_block(value: &Value) -> bool {
    match value {
        Value::Record(_) | Value::Table(_) => true,
        Value::Array(array) => !array.modes.is_empty(),
        Value::List(values) => values.iter().any(is_block),
        _ => false,
    }
}

/// A value within a line.
pub(super) fn inline(value: &Value, style: Style) -> String {
    match value {
        Value::Null(why) if why.is_empty() => style.null().to_owned(),
        Value::Null(why) => format!("{} ({})", style.null(), printable(why)),
        Value::Truth(truth) => truth.to_string(),
        Value::Count(count) => count.to_string(),
        Value::Number(x) if x.is_nan() => style.null().to_owned(),
        Value::Number(x) => number::number(*x),
        Value::Text(text) => printable(text).into_owned(),
        Value::Record(parts) => {
            let part =
                |(name, value): &(String, Value)| format!("{} = {}", printable(name), inline(value, style));
            parts.iter().map(part).collect::<Vec<_>>().join(", ")
        }
        Value::Table(rows) => format!("table of {} rows", rows.rows.len()),
        Value::Array(array) if array.modes.is_empty() => table::array(array, style).trim_end().to_owned(),
        Value::Array(array) => format!("array {}", table::shape(array, style)),
        Value::List(values) => {
            format!("[{}]", values.iter().map(|value| inline(value, style)).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Names and values in two columns, with deeper parts below their names.
fn record(parts: &[(String, Value)], indent: usize, style: Style) -> String {
    let widest =
        parts.iter().filter(|(_, value)| !is_block(value)).map(|(name, _)| display_width(&printable(name)));
    let widest = widest.max().unwrap_or(0);
    let margin = " ".repeat(indent);
    let mut out = String::new();
    for (name, value) in parts {
        let name = printable(name);
        if is_block(value) {
            let inner = Style { width: style.width.saturating_sub(indent + 2), ..style };
            out.push_str(&format!("{margin}{name}\n"));
            match value {
                Value::Record(parts) => out.push_str(&record(parts, indent + 2, style)),
                Value::Table(rows) => out.push_str(&indented(&table::rows(rows, inner), indent + 2)),
                Value::Array(array) => out.push_str(&indented(&table::array(array, inner), indent + 2)),
                other => out.push_str(&indented(&show(&name, other, inner), indent + 2)),
            }
            continue;
        }
        let pad = " ".repeat(widest.saturating_sub(display_width(&name)));
        let text = match value {
            Value::Number(x) if number::is_p_value(&name) => number::p_value(*x),
            other => inline(other, style),
        };
        out.push_str(format!("{margin}{name}{pad}  {text}").trim_end());
        out.push('\n');
    }
    out
}

fn indented(block: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{margin}{line}\n") };
    block.lines().map(line).collect()
}

/// A sentence in lines no longer than this, unless a word is.
pub(super) fn folded(sentence: &str, width: usize) -> String {
    let mut out = String::new();
    let mut used = 0;
    for word in sentence.split(' ') {
        let size = word.chars().count();
        if used > 0 && used + 1 + size > width {
            out.push('\n');
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += size;
    }
    out
}
