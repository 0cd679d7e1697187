//! `grid(rows, columns)`: neighbouring pairs of modes laid out in a rectangle.

use super::{Family, FamilyCall};
use crate::model::Scope;
use crate::model::constant::Constant;
use crate::text::{Code, Diagnostic};

pub(super) const FAMILY: Family = Family {
    name: "grid",
    usage: "grid(rows, columns)` or `grid(s)",
    about: "neighbouring pairs of modes in a rectangle, row by row, or of a family `s[rows, columns]`",
    expand,
};

fn expand(call: &FamilyCall<'_>) -> Result<Vec<Scope>, Diagnostic> {
    let size = |x: f64| (x == x.trunc() && (1.0..1e9).contains(&x)).then_some(x as usize);
    let layout = match call.arguments {
        [Constant::Number(rows), Constant::Number(columns)] => {
            size(*rows).zip(size(*columns)).map(|sizes| (sizes, call.modes.to_vec()))
        }
        [Constant::Family { members, sizes }] => match sizes.as_slice() {
            [n] => Some(((1, *n), members.clone())),
            [rows, columns] => Some(((*rows, *columns), members.clone())),
            _ => None,
        },
        _ => None,
    };
    let Some(((rows, columns), modes)) = layout else {
        return Err(Diagnostic::new(Code::MBA303, "`grid` takes the numbers of rows and columns")
            .at(call.span, "here")
            .help("write `grid(2, 3)`, or `grid(s)` for a family `s[2, 3]`"));
    };
    if rows.checked_mul(columns) != Some(modes.len()) {
        return Err(Diagnostic::new(
            Code::MBA303,
            format!("a grid of {rows} × {columns} over {} modes", modes.len()),
        )
        .at(call.span, format!("needs {} modes", rows as u128 * columns as u128))
        .help("name as many modes as there are places, with `over`"));
    }
    let mut scopes = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            let here = modes[row * columns + column];
            if column + 1 < columns {
                scopes.push(Scope::from([here, modes[row * columns + column + 1]]));
            }
            if row + 1 < rows {
                scopes.push(Scope::from([here, modes[(row + 1) * columns + column]]));
            }
        }
    }
    Ok(if scopes.is_empty() { modes.iter().map(|m| Scope::from([*m])).collect() } else { scopes })
}
