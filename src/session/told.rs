//! What is worth saying once a fit has ended.

use crate::data::Tensor;
use crate::model::{EnergyModel, Scope};
use crate::report::number;
use crate::report::results::{self, FitResult};
use crate::run::{self, Control, Status};
use crate::text::{Code, Diagnostic, Span, suggest};

/// A number of sweeps in words.
pub fn sweeps(n: usize) -> String {
    if n == 1 { "1 sweep".into() } else { format!("{n} sweeps") }
}

/// That an optimum lies on the boundary without a zero marginal, and why, if not that cells tend to zero.
pub(super) fn on_the_boundary((name, span): (&str, Span), why: Option<String>) -> Diagnostic {
    let cells = || "no marginal is zero, yet some fitted cells tend to zero".into();
    Diagnostic::new(Code::MBA513, format!("the optimum of `{name}` lies on the boundary"))
        .at(span, why.unwrap_or_else(cells))
        .note("some parameters are infinite; the fitted values are right within the tolerance")
        .help("`df`, `p_value` and `kl` are those of the model as written; a smaller model may be enough")
}

/// What is worth saying once a fit has ended.
pub(super) fn after(result: &FitResult, kept: Option<&str>) -> Vec<Diagnostic> {
    let fit = &result.fit;
    let ended_as = (fit.status, fit.certificate.marginal_gap, fit.iterations);
    let mut diagnostics: Vec<Diagnostic> =
        ended(&result.name, result.span, ended_as, &result.control, kept).into_iter().collect();
    let gap = fit.certificate.marginal_gap;
    if fit.schedule.rank_one().is_some_and(|work| work.published) && gap > result.control.tolerance {
        diagnostics.push(
            Diagnostic::new(
                Code::MBA565,
                format!("`{}` by a1gm is not the optimum for this mask", result.name),
            )
            .at(result.span, format!("marginal gap {gap:.1e}"))
            .help("leave `by a1gm` out, unless it is what you compare with"),
        );
    }
    diagnostics.extend(open_cells(result));
    if let Some(learned) = &fit.learned {
        diagnostics.extend(undetermined(result, learned));
    }
    if results::hidden_boundary(result) {
        let infinite = fit.learned.iter().flat_map(|l| &l.coefficients).find(|c| c.value.is_infinite());
        let why = infinite.map(|c| format!("some coefficients grow without end, such as `{}`", c.name));
        diagnostics.push(on_the_boundary((&result.name, result.span), why));
    }
    diagnostics.extend(zero_cells(
        (&result.name, result.span),
        &fit.model,
        &fit.zero_marginals,
        Some(&result.tensor),
    ));
    diagnostics
}

/// A marginal gap that is no more than what rounding adds up to over thousands of sweeps.
const ROUNDING: f64 = 512.0 * f64::EPSILON;

/// Whether it is rounding that keeps a fit which stopped at this gap after so many sweeps from coming closer. Where it
/// is, no part of the fit made all the sweeps that it was allowed, or what is left is no more than rounding.
pub(super) fn is_at_rest(gap: f64, iterations: usize, control: &Control) -> bool {
    gap > control.tolerance && (iterations < control.max_sweeps || gap <= ROUNDING)
}

/// What helps where it is rounding.
pub(super) const AT_REST: &str =
    "accept a larger `tolerance`: rounding keeps it from coming closer, and more sweeps would not help";

/// A fit that ended before its tolerance, with the gap it had reached and after so many sweeps.
pub(super) fn ended(
    name: &str,
    span: Span,
    (status, gap, iterations): (Status, f64, usize),
    control: &Control,
    kept: Option<&str>,
) -> Option<Diagnostic> {
    let reached = || format!("marginal gap {gap:.1e} after {}", sweeps(iterations));
    match status {
        Status::Stopped => Some(
            Diagnostic::new(Code::MBA510, format!("`{name}` stopped before its tolerance"))
                .at(span, reached())
                .help(match kept {
                    _ if is_at_rest(gap, iterations, control) => AT_REST.into(),
                    Some(path) => {
                        format!("allow more with `{{ max_sweeps … }}` and go on with `--resume {path}`")
                    }
                    None => "allow more with `{ max_sweeps … }`, or accept a larger `tolerance`".into(),
                }),
        ),
        Status::Interrupted => {
            Some(Diagnostic::new(Code::MBA511, format!("`{name}` was interrupted")).at(span, reached()).help(
                match kept {
                    Some(path) => {
                        format!("its results are those of the last sweep; go on with `--resume {path}`")
                    }
                    None => "its results are those of the last sweep".into(),
                },
            ))
        }
        _ => None,
    }
}

/// Coefficients of which there are too many, by the names the user gave them.
fn undetermined(result: &FitResult, learned: &run::learned::Learned) -> Option<Diagnostic> {
    let set = learned.dependencies.first()?;
    let mut names: Vec<String> = set
        .iter()
        .map(|name| match name.split_once(']') {
            Some((modes, _)) if name.starts_with('[') => format!("{modes}]"),
            _ => name.clone(),
        })
        .collect();
    names.dedup();
    let shown: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
    let message = match shown.as_slice() {
        [one] => format!("`{one}` is not determined: its statistic is the same in every cell"),
        _ => format!("{} are not determined: their statistics are linearly dependent", suggest::list(&shown)),
    };
    let mut diagnostic = Diagnostic::new(Code::MBA551, message)
        .at(result.span, format!("any data leave {} of them open", learned.dependencies.len()))
        .note("the fitted distribution is right, and `parameters` and `df` count what is determined")
        .help("leave one of them out, or give it a number");
    if learned.dependencies.len() > 1 {
        diagnostic = diagnostic.note(format!("{} more such sets", learned.dependencies.len() - 1));
    }
    Some(diagnostic)
}

/// Missing cells that the observed ones do not determine.
pub(super) fn open_cells(result: &FitResult) -> Option<Diagnostic> {
    let fit = &result.fit;
    let domain = fit.domain.as_ref().filter(|d| d.gaps())?;
    let (count, places) = domain.undetermined(1);
    let modes = &fit.model.modes;
    let named = |m: usize, l: usize| format!("`{}: {}`", modes[m].name, modes[m].label(l));
    let place = || -> Vec<String> {
        let place = places.first().into_iter().flatten();
        domain.modes.iter().zip(place).map(|(m, l)| named(m, *l)).collect()
    };
    let more = |n: usize| if n == 0 { String::new() } else { format!(" and {n} more") };
    let label = match domain.unseen_levels() {
        // levels that were never seen say more than one of their cells
        (levels, rest) if !levels.is_empty() => {
            let shown: Vec<String> = levels.iter().take(8).map(|(m, l)| named(*m, *l)).collect();
            let others = match rest {
                0 => String::new(),
                n => format!("; {n} more cells elsewhere"),
            };
            format!("nothing is observed of {}{}{others}", shown.join(", "), more(levels.len() - shown.len()))
        }
        _ => format!("among them {}{}", place().join(", "), more(count - 1)),
    };
    let cells = domain.count(crate::run::masked::Knowledge::Undetermined);
    let one = cells == num_bigint::BigUint::from(1u32);
    let cells = if one { "1 missing cell is".into() } else { format!("{cells} missing cells are") };
    let mut report =
        Diagnostic::new(Code::MBA563, format!("{cells} not determined by what `{}` observes", result.name))
            .at(result.span, label)
            .help("they come back as missing; see `undetermined`, use a smaller model, or add a `prior`");
    if let Some(why) = &domain.unsettled {
        report = report.note(format!("not settled: {why}"));
    }
    Some(report)
}

/// Cells of interactions without data, or with so little that it is nothing beside the total of the tensor.
pub(super) fn zero_cells(
    (name, span): (&str, Span),
    model: &EnergyModel,
    zeros: &[run::ZeroMarginals],
    tensor: Option<&Tensor>,
) -> Option<Diagnostic> {
    let zero = zeros.first()?;
    let levels = |scope: &Scope, cell: &[usize]| {
        let named = scope.iter().zip(cell);
        let named =
            named.map(|(m, level)| format!("{} = {}", model.modes[m].name, model.modes[m].label(*level)));
        format!("in `{}` at {}", model.bracket(scope), named.collect::<Vec<_>>().join(", "))
    };
    let count: usize = zeros.iter().map(|z| z.count).sum();
    let cells =
        if count == 1 { "a marginal cell is".to_string() } else { format!("{count} marginal cells are") };
    let report =
        Diagnostic::new(Code::MBA512, format!("{cells} zero: the optimum of `{name}` lies on the boundary"));
    if let Some((tensor, (scope, cell, sum))) = tensor.and_then(|t| Some((t, vanished(t, zeros)?))) {
        let (sum, total) = (number::number(sum), number::number(tensor.total));
        return Some(
            report
                .at(span, format!("the data {} add up to {sum}, of a total of {total}", levels(scope, cell)))
                .note("less than 1e-308 of the total is less than a double can hold, and counts as zero")
                .help("fit the smallest and the largest cells apart, by `missing where value < …`"),
        );
    }
    let first = zero.cells.first().map(Vec::as_slice).unwrap_or_default();
    Some(
        report
            .at(span, format!("no data {}", levels(&zero.scope, first)))
            .note("some parameters are infinite; the fitted values are right")
            .help("see `zero_marginals`, and `df_adjusted` for degrees of freedom that discount them"),
    )
}

/// The first of these cells that has data all the same, and how much.
fn vanished<'a>(tensor: &Tensor, zeros: &'a [run::ZeroMarginals]) -> Option<(&'a Scope, &'a [usize], f64)> {
    let mut cells: Vec<(&Scope, &[usize], f64)> = Vec::new();
    for zero in zeros {
        cells.extend(zero.cells.iter().map(|cell| (&zero.scope, cell.as_slice(), 0.0)));
    }
    tensor.each_cell(|at, x| {
        // what is larger is no zero of any marginal
        if x > 0.0 && x / tensor.total < f64::MIN_POSITIVE {
            for (scope, cell, sum) in &mut cells {
                let own = scope.iter().zip(*cell).all(|(m, level)| at[m] == *level);
                *sum += if own { x } else { 0.0 };
            }
        }
    });
    cells.into_iter().find(|(.., sum)| *sum > 0.0)
}
