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
            let [x, y] = number::apart(*x, *y);
            let found = at(*a, found, format!("sums to {x}"));
            at(*b, found, format!("sums to {y}")).help("scale the margins to one total")
        }
        Infeasible::Overlap { margins: [a, b], scope, cell, values: [x, y] } => {
            let place = label(scope, cell);
            let [x, y] = number::apart(*x, *y);
            let found = at(*a, found, format!("{x} at {place}"));
            at(*b, found, format!("{y} at {place}"))
                .help("margins that share modes have the same sums over the others")
        }
        Infeasible::Room { margin, cells, asked, other, reached, held } => {
            let [asked, held] = number::apart(*asked, *held);
            let found = at(*margin, found, format!("{} ask for {asked}", list(*margin, cells)));
            let found = if reached.is_empty() {
                found.note("the kernel is zero in every cell of these")
            } else {
                at(*other, found, format!("they can only use {}, which hold {held}", list(*other, reached)))
            };
            found.help("change the margins, or make more cells of the kernel positive")
        }
        Infeasible::Blocked { margin, cell, asked, by } => {
            let zeros: Vec<String> = by.iter().map(|b| format!("`{}`", name(*b))).collect();
            at(
                *margin,
                found,
                format!("{} asks for {}", list(*margin, std::slice::from_ref(cell)), number::number(*asked)),
            )
            .note(format!("zeros of {} or of the kernel cover every cell of it", zeros.join(", ")))
            .help("change the margins: cells without mass leave none to those they share levels with")
        }
        Infeasible::Weights { cells, asked, most, zeros } => {
            let mut report = found;
            for (place, (margin, cells)) in cells.iter().enumerate() {
                let start = if place == 0 { "asks for too much at" } else { "together with" };
                report = at(*margin, report, format!("{start} {}", list(*margin, cells)));
            }
            let [asked, most] = number::apart(*asked, *most);
            report
                .note(format!(
                    "weights on the margins prove it, most of all on these: their mean would be {asked}, and no cell that can be positive has more than {most}"
                ))
                .help(if *zeros { "change the margins, or make more cells of the kernel positive" } else { "change the margins: no kernel has them" })
        }
    }
}
