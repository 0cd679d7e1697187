//! Tables of plain numbers, of any sign: `.npy` arrays, and delimited text without levels.

use super::npy::Array;
use crate::data::files::Content;
use crate::data::header::Layout;
use crate::data::tensor::Element;
use crate::with_values;

/// The shape and the entries, row-major, of the array in a file; what is wrong with it otherwise.
///
/// `.npy` by its first bytes; anything else is text with one row a line, split at commas, tabs, semicolons or
/// blanks, whose first line may be a heading.
///
/// # Errors
/// A sentence on what is wrong.
pub fn numbers(content: &Content) -> Result<(Vec<usize>, Vec<f64>), String> {
    let (shape, values) =
        if content.bytes().starts_with(b"\x93NUMPY") { array(content)? } else { text(content.bytes())? };
    match values.iter().position(|v| !v.is_finite()) {
        Some(k) => Err(format!("entry {k} is {}, which is not finite", values[k])),
        None => Ok((shape, values)),
    }
}

fn array(content: &Content) -> Result<(Vec<usize>, Vec<f64>), String> {
    let array = Array::new(content.buffer(), 0).map_err(|fault| match fault {
        super::npy::Fault::Element(name) => format!("numbers of the type {name} are not read"),
        super::npy::Fault::Header(why) => why,
        super::npy::Fault::Short(_) => "it ends early".into(),
        super::npy::Fault::Large => "it is too large".into(),
        super::npy::Fault::Foreign => "it is not a NumPy array".into(),
    })?;
    let stored: Vec<f64> =
        with_values!(&array.values(), x => x.iter().map(|v| Element::to_f64(*v)).collect());
    let shape = array.shape.clone();
    if array.layout == Layout::LastFastest {
        return Ok((shape, stored));
    }
    let strides = array.strides();
    let values = (0..stored.len()).map(|flat| {
        let (mut rest, mut at) = (flat, 0);
        for (size, stride) in shape.iter().zip(&strides).rev() {
            at += rest % size * stride;
            rest /= size;
        }
        stored[at]
    });
    let values = values.collect();
    Ok((shape, values))
}

fn text(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f64>), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is neither a NumPy array nor text".to_string())?;
    let text = text.trim_start_matches('\u{feff}');
    let mut values = Vec::new();
    let (mut rows, mut columns) = (0, None);
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let fields: Vec<&str> = if line.contains([',', ';', '\t']) {
            line.split([',', ';', '\t']).map(str::trim).collect()
        } else {
            line.split_whitespace().collect()
        };
        let parsed: Result<Vec<f64>, &str> =
            fields.iter().map(|f| f.parse::<f64>().map_err(|_| *f)).collect();
        match parsed {
            Ok(row) => {
                if *columns.get_or_insert(row.len()) != row.len() {
                    return Err(format!(
                        "line {} has {} numbers, and the first row has {}",
                        number + 1,
                        row.len(),
                        columns.unwrap_or(0)
                    ));
                }
                values.extend(row);
                rows += 1;
            }
            // a heading
            Err(_) if rows == 0 && columns.is_none() => columns = Some(fields.len()),
            Err(field) => return Err(format!("`{field}` on line {} is not a number", number + 1)),
        }
    }
    match columns {
        Some(n) if rows > 0 => Ok((vec![rows, n], values)),
        _ => Err("it holds no numbers".into()),
    }
}
