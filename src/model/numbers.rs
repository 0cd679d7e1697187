//! Tables of plain numbers that programs read from files: couplings, energies, edges.

use std::collections::HashSet;

use super::constant::Constant;
use crate::text::{Code, Diagnostic, Span};

/// Numbers in an array of any number of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    /// The path as it is written in the program.
    pub path: String,
    /// Number of entries along each axis.
    pub shape: Vec<usize>,
    /// The entries, row-major.
    pub values: Vec<f64>,
}

impl Numbers {
    /// The table a constant is: from a file, or lists in lists of one length.
    pub fn of(constant: &Constant) -> Option<Self> {
        match constant {
            Constant::Table(table) => Some((**table).clone()),
            Constant::List(items) => {
                let (mut shape, mut values) = (vec![items.len()], Vec::new());
                for (k, item) in items.iter().enumerate() {
                    match item {
                        Constant::Number(x) if shape.len() == 1 => values.push(*x),
                        Constant::List(_) => {
                            let inner = Self::of(item)?;
                            if k == 0 {
                                shape.extend(&inner.shape);
                            }
                            if shape[1..] != inner.shape {
                                return None;
                            }
                            values.extend(inner.values);
                        }
                        _ => return None,
                    }
                }
                (shape.iter().product::<usize>() == values.len()).then(|| Self {
                    path: "the list".into(),
                    shape,
                    values,
                })
            }
            _ => None,
        }
    }

    /// An entry by one index for each axis, from 0.
    ///
    /// # Errors
    /// MBA331 for another number of indices, or one that is outside.
    pub fn at(&self, indices: &[Constant], span: Span) -> Result<f64, Diagnostic> {
        if indices.len() != self.shape.len() {
            return Err(Diagnostic::new(
                Code::MBA331,
                format!(
                    "{} for a table of {} axes",
                    counted(indices.len(), "index", "indices"),
                    self.shape.len()
                ),
            )
            .at(span, format!("{} has the shape {}", self.title(), self.sizes()))
            .help("give one index for each axis"));
        }
        let mut flat = 0;
        for (index, size) in indices.iter().zip(&self.shape) {
            let x = super::constant::number_of(index, span)?;
            if x != x.trunc() || x < 0.0 || x >= *size as f64 {
                return Err(Diagnostic::new(
                    Code::MBA331,
                    format!("index {} is outside the table", super::mode::number_label(x)),
                )
                .at(span, format!("{} has the shape {}", self.title(), self.sizes()))
                .help("indices start at 0"));
            }
            flat = flat * size + x as usize;
        }
        Ok(self.values[flat])
    }

    /// What it is called in messages.
    pub fn title(&self) -> String {
        if self.path == "the list" { self.path.clone() } else { format!("`{}`", self.path) }
    }

    /// Its sizes, as people write them.
    pub fn sizes(&self) -> String {
        self.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
    }
}

fn counted(n: usize, one: &str, several: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {several}") }
}

/// `couplings(s, J)`: every pair of a family whose entry in a symmetric matrix is not 0, with that entry.
///
/// # Errors
/// MBA331 for a matrix that is not square, not symmetric, of another size than the family, or with a
/// diagonal.
pub fn couplings(members: &[usize], table: &Numbers, span: Span) -> Result<Constant, Diagnostic> {
    let wrong = |message: String, help: &str| {
        Diagnostic::new(Code::MBA331, message)
            .at(span, format!("{} has the shape {}", table.title(), table.sizes()))
            .help(help)
    };
    let n = members.len();
    match table.shape.as_slice() {
        [a, b] if a != b => {
            return Err(wrong(
                "a table of couplings is square".into(),
                "give one row and one column for each member of the family",
            ));
        }
        [a, _] if *a == n => {}
        _ => {
            return Err(wrong(
                format!("a table of couplings between {n} modes has the shape {n} × {n}"),
                "give one row and one column for each member of the family, in row-major order",
            ));
        }
    }
    let mut list = Vec::new();
    for i in 0..n {
        if table.values[i * n + i] != 0.0 {
            return Err(wrong(
                format!("row {i} of the couplings has {} on the diagonal", table.values[i * n + i]),
                "a mode is not coupled to itself; write a field as a potential of its own, `[a] = -h * a`",
            ));
        }
        for j in i + 1..n {
            let (x, y) = (table.values[i * n + j], table.values[j * n + i]);
            if (x - y).abs() > 1e-12 * x.abs().max(y.abs()) {
                return Err(wrong(
                    format!("the couplings are not symmetric: {x} at ({i}, {j}) and {y} at ({j}, {i})"),
                    "a pair has one energy; give the same number on both sides of the diagonal",
                ));
            }
            if x != 0.0 {
                list.push(Constant::List(vec![
                    Constant::Mode(members[i]),
                    Constant::Mode(members[j]),
                    Constant::Number(x),
                ]));
            }
        }
    }
    Ok(Constant::List(list))
}

/// `edges(s, table)`: the pairs that the rows of a table name, by the position of both members or by all
/// their indices, with what a further column holds.
///
/// # Errors
/// MBA332 for another number of columns, an index outside the family, an edge from a mode to itself, and an
/// edge that is listed twice.
pub fn edges(
    members: &[usize],
    sizes: &[usize],
    table: &Numbers,
    span: Span,
) -> Result<Constant, Diagnostic> {
    let dimensions = sizes.len();
    let wrong = |message: String| {
        Diagnostic::new(Code::MBA332, message).at(span, format!("in {}", table.title())).help(
            if dimensions > 1 {
                format!(
                    "a row holds two positions, or {} indices, from 0; a further column may hold a number",
                    2 * dimensions
                )
            } else {
                "a row holds two positions, from 0; a third column may hold a number".to_string()
            },
        )
    };
    let [rows, columns] = table.shape.as_slice() else {
        return Err(wrong(format!("a list of edges has rows and columns, not the shape {}", table.sizes())));
    };
    let (width, weighted) = match *columns {
        2 => (1, false),
        3 => (1, true),
        c if c == 2 * dimensions => (dimensions, false),
        c if c == 2 * dimensions + 1 => (dimensions, true),
        c => return Err(wrong(format!("a list of edges does not have {c} columns"))),
    };
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    for row in 0..*rows {
        let entry = |k: usize| table.values[row * columns + k];
        let mut ends = [0usize; 2];
        for (end, slot) in ends.iter_mut().enumerate() {
            let mut flat = 0;
            let extents = if width == 1 { vec![members.len()] } else { sizes.to_vec() };
            for (axis, size) in extents.into_iter().enumerate() {
                let x = entry(end * width + axis);
                if x != x.trunc() || x < 0.0 || x >= size as f64 {
                    return Err(wrong(format!("row {row} names {x}, which is outside 0 … {}", size - 1)));
                }
                flat = flat * size + x as usize;
            }
            *slot = flat;
        }
        let [a, b] = ends;
        if a == b {
            return Err(wrong(format!("row {row} joins a mode with itself")));
        }
        if !seen.insert((a.min(b), a.max(b))) {
            return Err(wrong(format!("row {row} lists an edge that is there already")));
        }
        let mut parts = vec![Constant::Mode(members[a]), Constant::Mode(members[b])];
        if weighted {
            parts.push(Constant::Number(entry(columns - 1)));
        }
        list.push(Constant::List(parts));
    }
    Ok(Constant::List(list))
}
