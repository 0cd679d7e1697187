//! Why margins cannot be met, in the user's words.

use super::PlannedBalance;
use crate::model::{Mode, Scope};
use crate::report::number;
use crate::run::balance::Infeasible;
use crate::text::{Code, Diagnostic};

/// Most cells of a margin that are named.
const NAMED: usize = 4;

/// The diagnostic of a balance that has no solution.
pub fn explain(why: &Infeasible, planned: &PlannedBalance, modes: &[Mode], scopes: &[Scope]) -> Diagnostic {
    let name = |margin: usize| planned.margins.get(margin).map_or("?", |(n, _)| n.as_str());
    let label = |scope: &Scope, cell: &[usize]| -> String {
        let parts = scope.iter().zip(cell).filter_map(|(m, level)| {
            modes.get(m).map(|mode| format!("{} = {}", mode.name, mode.label(*level)))
        });
        parts.collect::<Vec<_>>().join(", ")
    };
    let list = |margin: usize, cells: &[Vec<usize>]| -> String {
        let empty = Scope::empty();
        let scope = scopes.get(margin).unwrap_or(&empty);
        let mut named: Vec<String> =
            cells.iter().take(NAMED).map(|c| format!("({})", label(scope, c))).collect();
        if cells.len() > NAMED {
            named.push(format!("{} more", cells.len() - NAMED));
        }
        named.join(", ")
    };
    let found =
        Diagnostic::new(Code::MBA580, format!("nothing has the margins that `{}` asks for", planned.name));
    let at = |margin: usize, d: Diagnostic, text: String| match planned.margins.get(margin) {
        Some((_, span)) => d.at(*span, text),
        None => d.at(planned.span, text),
    };
    match why {
        Infeasible::Empty { margin } => at(*margin, found, format!("`{}` has no mass", name(*margin)))
            .help("a margin has at least one positive cell"),
        Infeasible::Totals { margins: [a, b], totals: [x, y] } => {
            let found = at(*a, found, format!("sums to {}", number::number(*x)));
            at(*b, found, format!("sums to {}", number::number(*y)))
                .help("scale the margins to one total")
        }
        Infeasible::Overlap { margins: [a, b], scope, cell, values: [x, y] } => {
            let place = label(scope, cell);
            let found = at(*a, found, format!("{} at {place}", number::number(*x)));
            at(*b, found, format!("{} at {place}", number::number(*y)))
                .help("margins that share modes have the same sums over the others")
        }
        Infeasible::Room { margin, cells, asked, other, reached, held } => {
            let found = at(
                *margin,
                found,
                format!("{} ask for {}", list(*margin, cells), number::number(*asked)),
            );
            let found = if reached.is_empty() {
                found.note("the kernel is zero in every cell of these")
            } else {
                at(
                    *other,
                    found,
                    format!(
                        "they can only use {}, which hold {}",
                        list(*other, reached),
                        number::number(*held)
                    ),
                )
            };
            found.help("change the margins, or make more cells of the kernel positive")
        }
        Infeasible::Weights { margin, cell, asked, most } => {
            at(*margin, found, format!("asks for too much at {}", list(*margin, std::slice::from_ref(cell))))
                .note(format!(
                    "weights on the margins prove it: their mean would be {}, and no cell where the kernel is positive has more than {}",
                    number::number(*asked),
                    number::number(*most)
                ))
                .help("change the margins, or make more cells of the kernel positive")
        }
    }
}
