//! Tests: expectations, expected errors, snapshots.

use super::{Host, Options, Session, Sink, TestOutcome, snapshot};
use crate::report::number;
use crate::report::results::{self, FitResult};
use crate::report::value::Value;
use crate::run::{Observer, Status};
use crate::text::ast::{Binary, Expr, ExprKind, Ident, Test, TestItemKind, Text};
use crate::text::{Code, Diagnostic, Sources, Span, format_expression, suggest};

/// The tolerance of `~=` when the test names none: relative, plus the same absolute.
const DEFAULT_TOLERANCE: f64 = 1e-9;

/// The code named in `expect error`.
pub(super) fn code(ident: &Ident) -> Result<Code, Diagnostic> {
    ident.name.parse().map_err(|()| {
        // codes are alike without meaning alike, so none is suggested
        let help = "`mba explain` lists the codes".to_string();
        crate::model::declarations::unknown("code", &ident.name, ident.span, None, help)
    })
}

/// Checks the names of an expectation before anything runs.
pub(super) fn check(
    condition: &Expr,
    within: Option<&Expr>,
    session: &Session,
    diagnostics: &mut Vec<Diagnostic>,
) {
    match &condition.kind {
        ExprKind::Binary(Binary::Approximately, a, b) => {
            results::check(a, session, diagnostics);
            results::check(b, session, diagnostics);
        }
        _ => {
            results::check(condition, session, diagnostics);
            if let Some(within) = within {
                diagnostics.push(
                    Diagnostic::new(Code::MBA001, "`within` belongs to `~=`")
                        .at(within.span, "no `~=` here")
                        .help("write `expect a ~= b within 1e-6`"),
                );
            }
        }
    }
    if let Some(within) = within {
        results::check(within, session, diagnostics);
    }
}

/// Runs one test.
pub(super) fn run(
    session: &Session,
    test: &Test,
    stored: &snapshot::Store,
    host: &dyn Host,
    sink: &mut dyn Sink,
) -> TestOutcome {
    let mut outcome = TestOutcome {
        name: test.name.value.clone(),
        failures: Vec::new(),
        new_snapshots: 0,
        seen: Vec::new(),
        interrupted: false,
    };
    let mut looked_at: Vec<String> = Vec::new();
    for item in &test.items {
        let expressions: Vec<&Expr> = match &item.kind {
            TestItemKind::Expect { condition, .. } => vec![condition],
            TestItemKind::Snapshot { value, .. } => vec![value],
            TestItemKind::ExpectError { .. } => Vec::new(),
        };
        for expr in expressions {
            if session.depends_on_failure(expr) {
                outcome.failures.push(
                    Diagnostic::new(Code::MBA602, "what is tested could not be computed")
                        .at(item.span, "depends on a fit or data that failed")
                        .help("see the error above"),
                );
            }
            for fit in fits_in(expr, session) {
                if !looked_at.contains(&fit.name) {
                    looked_at.push(fit.name.clone());
                    outcome.interrupted |= fit.fit.status == Status::Interrupted;
                    outcome.failures.extend(trust(&fit, item.span));
                }
            }
        }
        if !outcome.failures.is_empty()
            && matches!(outcome.failures.last(), Some(d) if d.code == Code::MBA602)
        {
            continue;
        }
        let result = match &item.kind {
            TestItemKind::Expect { condition, within } => expect(condition, within.as_ref(), session),
            TestItemKind::ExpectError { code: wanted, program } => {
                expect_error(wanted, program, session, host, sink)
            }
            TestItemKind::Snapshot { value, label, within, except } => {
                let key = snapshot::key(session, test, value, label.as_ref());
                let seen = snapshot::tolerance(session, within.as_ref(), except.as_ref())
                    .and_then(|tolerance| snapshot::compare(session, key, value, tolerance, stored));
                seen.and_then(|(seen, failure)| {
                    outcome.new_snapshots += usize::from(seen.state == snapshot::State::New);
                    outcome.seen.push(seen);
                    failure.map_or(Ok(()), Err)
                })
            }
        };
        outcome.failures.extend(result.err());
    }
    outcome
}

/// What keeps a fit from being looked at in a test: that it has not ended, or that its certificate does not hold.
fn trust(result: &FitResult, span: Span) -> Option<Diagnostic> {
    let fit = &result.fit;
    let gap = fit.certificate.marginal_gap;
    match fit.status {
        Status::Stopped | Status::Interrupted => Some(
            Diagnostic::new(Code::MBA603, format!("`{}` did not converge", result.name))
                .at(span, format!("its status is `{}`", fit.status.word()))
                .help(match super::told::is_at_rest(gap, fit.iterations, &result.control) {
                    true => super::told::AT_REST,
                    false => "allow more sweeps, or accept a larger tolerance",
                }),
        ),
        // asked for by name, and no more than it says it is
        Status::Approximate => None,
        Status::ClosedForm | Status::Converged | Status::Boundary => {
            let bounded = fit.certificate.optimality_gap.is_none_or(|g| !g.is_nan());
            let holds = gap <= result.control.tolerance && bounded;
            (!holds).then(|| {
                Diagnostic::new(Code::MBA620, format!("the certificate of `{}` does not hold", result.name))
                    .at(span, format!("its marginal gap is {gap:.1e}"))
                    .note(format!("the fit asks for {:.1e}", result.control.tolerance))
                    .help("ask for a tolerance that rounding allows; else the fit is not to be trusted")
            })
        }
    }
}

fn fits_in(expr: &Expr, session: &Session) -> Vec<FitResult> {
    let names = super::execute::names_of(expr);
    let fit = |n: &String| session.results.get(n).or_else(|| session.balanced_results.get(n).map(|b| &b.fit));
    names.iter().filter_map(fit).cloned().collect()
}

fn expect(condition: &Expr, within: Option<&Expr>, session: &Session) -> Result<(), Diagnostic> {
    let text = |e: &Expr| format_expression(session.sources.slice(e.span));
    let compared = |op: Binary| {
        matches!(
            op,
            Binary::Equal
                | Binary::Unequal
                | Binary::AtMost
                | Binary::AtLeast
                | Binary::Below
                | Binary::Above
        )
    };
    match &condition.kind {
        ExprKind::Binary(Binary::Approximately, a, b) => {
            let (x, y) = (results::evaluate(a, session)?, results::evaluate(b, session)?);
            let (absolute, relative) = tolerance(within, session)?;
            let worst = difference(&x, &y, absolute, relative).map_err(|why| {
                Diagnostic::new(Code::MBA601, format!("`{}` and `{}` cannot be compared", text(a), text(b)))
                    .at(condition.span, why)
                    .help("both sides are numbers, or arrays or lists of the same shape")
            })?;
            match worst {
                None => Ok(()),
                Some((x, y)) => Err(Diagnostic::new(
                    Code::MBA601,
                    format!("`{}` is {}, not {}", text(a), number::digits(x), number::digits(y)),
                )
                .at(condition.span, format!("off by {:.3e}", (x - y).abs()))
                .note(match (absolute, relative) {
                    (a, r) if a == r => format!("the tolerance is {a:e}, absolute and relative"),
                    (a, 0.0) => format!("the tolerance is {a:e}"),
                    (0.0, r) => format!("the tolerance is {}%", r * 100.0),
                    (a, r) => format!("the tolerance is {a:e} + {}%", r * 100.0),
                })
                .help("correct the model or the expectation")),
            }
        }
        ExprKind::Binary(op, a, b) if compared(*op) => {
            if let Value::Truth(true) = results::evaluate(condition, session)? {
                return Ok(());
            }
            let side = |e: &Expr| -> Result<String, Diagnostic> {
                Ok(format!("`{}` is {}", text(e), short(&results::evaluate(e, session)?)))
            };
            let mut sides = vec![side(a)?];
            if !matches!(b.kind, ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Truth(_)) {
                sides.push(side(b)?);
            }
            Err(Diagnostic::new(Code::MBA601, format!("`{}` does not hold", text(condition)))
                .at(condition.span, sides.join(", "))
                .help("correct the model or the expectation"))
        }
        _ => match results::evaluate(condition, session)? {
            Value::Truth(true) => Ok(()),
            other => Err(Diagnostic::new(Code::MBA601, format!("`{}` does not hold", text(condition)))
                .at(condition.span, format!("it is {}", short(&other)))
                .help("an expectation is a comparison that is true")),
        },
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Null(reason) => format!("not defined ({reason})"),
        Value::Truth(t) => t.to_string(),
        Value::Count(n) => n.to_string(),
        Value::Number(x) => number::digits(*x),
        Value::Text(t) => format!("\"{t}\""),
        _ => "something larger".into(),
    }
}

/// Absolute and relative tolerance: `within 1e-6` is absolute, `within 1%` relative.
pub(super) fn tolerance(within: Option<&Expr>, session: &Session) -> Result<(f64, f64), Diagnostic> {
    let Some(expr) = within else { return Ok((DEFAULT_TOLERANCE, DEFAULT_TOLERANCE)) };
    // an absolute and a relative part: `within 1e-9 + 0.1%`
    if let ExprKind::Binary(Binary::Add, a, b) = &expr.kind
        && let (a, b) = (a.as_ref(), b.as_ref())
        && matches!(a.kind, ExprKind::Percent(_)) != matches!(b.kind, ExprKind::Percent(_))
    {
        let (a, b) = (tolerance(Some(a), session)?, tolerance(Some(b), session)?);
        return Ok((a.0 + b.0, a.1 + b.1));
    }
    let x = results::number(&results::evaluate(expr, session)?, expr.span)?;
    if !(x >= 0.0 && x.is_finite()) {
        return Err(Diagnostic::new(Code::MBA105, "a tolerance is a number from 0 up")
            .at(expr.span, "here")
            .help("write `within 1e-6`, or `within 1%` for a relative one"));
    }
    Ok(if matches!(expr.kind, ExprKind::Percent(_)) { (0.0, x) } else { (x, 0.0) })
}

/// The worst pair of numbers that differ by more than the tolerance.
pub(super) fn difference(
    a: &Value,
    b: &Value,
    absolute: f64,
    relative: f64,
) -> Result<Option<(f64, f64)>, String> {
    use num_traits::ToPrimitive;
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    fn collect(a: &Value, b: &Value, pairs: &mut Vec<(f64, f64)>) -> Result<(), String> {
        let number = |v: &Value| match v {
            Value::Number(x) => Some(*x),
            Value::Count(n) => n.to_f64(),
            _ => None,
        };
        match (a, b) {
            (Value::Null(why), _) | (_, Value::Null(why)) => Err(format!("not defined: {why}")),
            (Value::Array(x), Value::Array(y)) if x.values.len() == y.values.len() => {
                pairs.extend(x.values.iter().copied().zip(y.values.iter().copied()));
                Ok(())
            }
            (Value::Array(x), Value::List(_)) => {
                let mut flat = Vec::new();
                flatten(b, &mut flat)?;
                if flat.len() != x.values.len() {
                    return Err(format!("{} numbers against {}", x.values.len(), flat.len()));
                }
                pairs.extend(x.values.iter().copied().zip(flat));
                Ok(())
            }
            (Value::List(x), Value::List(y)) if x.len() == y.len() => {
                x.iter().zip(y).try_for_each(|(x, y)| collect(x, y, pairs))
            }
            _ => match (number(a), number(b)) {
                (Some(x), Some(y)) => {
                    pairs.push((x, y));
                    Ok(())
                }
                _ => Err("not numbers".into()),
            },
        }
    }
    fn flatten(value: &Value, flat: &mut Vec<f64>) -> Result<(), String> {
        match value {
            Value::List(items) => items.iter().try_for_each(|i| flatten(i, flat)),
            Value::Number(x) => {
                flat.push(*x);
                Ok(())
            }
            _ => Err("not numbers".into()),
        }
    }
    collect(a, b, &mut pairs)?;
    let excess = |(x, y): &(f64, f64)| {
        let off = (x - y).abs() - (absolute + relative * y.abs());
        // equal infinities agree; anything else that is not a number does not
        if x == y {
            f64::NEG_INFINITY
        } else if off.is_nan() {
            f64::INFINITY
        } else {
            off
        }
    };
    Ok(pairs.into_iter().filter(|p| excess(p) > 0.0).max_by(|p, q| excess(p).total_cmp(&excess(q))))
}

/// `expect error CODE in "program"`: the program, read by itself, has that error.
fn expect_error(
    wanted: &Ident,
    program: &Text,
    session: &Session,
    host: &dyn Host,
    sink: &mut dyn Sink,
) -> Result<(), Diagnostic> {
    let wanted_code = code(wanted)?;
    let path = session.units.first().map_or("", |u| u.path.as_str());
    let keeping = super::Keeping::default();
    let options = Options { settings: Vec::new(), keeping, ..session.options.clone() };
    let (mut inner, mut found) = Session::load(path, &program.value, options, host);
    if !found.iter().any(Diagnostic::is_error) {
        let mut inside = Collect { found: Vec::new(), outside: sink };
        inner.run(host, &mut inside);
        found.extend(inside.found);
    }
    if found.iter().any(|d| d.code == wanted_code) {
        return Ok(());
    }
    let names: Vec<&str> = found.iter().map(|d| d.code.name()).collect();
    Err(Diagnostic::new(Code::MBA601, format!("no {wanted_code} in this program"))
        .at(wanted.span, "expected")
        .at(
            program.span,
            if names.is_empty() {
                "nothing is reported".into()
            } else {
                format!("reported: {}", suggest::list(&names))
            },
        )
        .help("correct the code or the program"))
}

/// Hears the diagnostics of a program inside a test; whoever watches the test watches its fits too.
struct Collect<'a> {
    found: Vec<Diagnostic>,
    outside: &'a mut dyn Sink,
}

impl Sink for Collect<'_> {
    fn event(&mut self, event: super::Event<'_>, _: &Sources) {
        match event {
            super::Event::Diagnostic(diagnostic) => self.found.push(diagnostic.clone()),
            super::Event::Test(test) => self.found.extend(test.failures.iter().cloned()),
            _ => {}
        }
    }
    fn observer(&mut self, fit: &str, tolerance: f64) -> Box<dyn Observer + '_> {
        self.outside.observer(fit, tolerance)
    }
}
