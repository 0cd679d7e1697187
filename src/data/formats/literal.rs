//! Tensors written in the program: nested lists of numbers.

use std::sync::Arc;

use super::npy;
use crate::data::binding;
use crate::data::format::{Checked, Loaded, Pending};
use crate::data::header::{Header, Profile};
use crate::data::request::{Literal, Request};
use crate::data::suggest::count;
use crate::data::tensor::{Buffer, Dense, Values};
use crate::model::Mode;
use crate::text::{Code, Diagnostic, Span};

/// The first phase: the shape is that of the first cells, and all others must agree.
pub(crate) fn inspect(request: &Request, literal: &Literal) -> Checked<Header> {
    let problems = binding::no_rows(request, "the literal", false);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut shape = Vec::new();
    let mut first = literal;
    while let Literal::List(items, _) = first {
        shape.push(items.len());
        match items.first() {
            // deeper than there are modes is wrong already, however deep it goes
            Some(item) if shape.len() <= request.axes.len() => first = item,
            _ => break,
        }
    }
    let axes = binding::to_shape(request, &shape, "the literal", literal.span())?;
    let mut cells = Cells { request, values: Vec::new(), missing: Vec::new(), uneven: Vec::new() };
    cells.collect(literal, &shape);
    let mut problems = cells.uneven;
    if let Some(first) = cells.missing.first() {
        let more = cells.missing.len() - 1;
        let mut report = Diagnostic::new(Code::MBA490, "missing cells are not supported by this version")
            .at(*first, "this cell is missing");
        if more > 0 {
            report = report.note(format!(
                "{} missing as well",
                if more == 1 { "another cell is".into() } else { format!("{more} other cells are") }
            ));
        }
        problems
            .push(report.help(
                "give every cell a value; a cell that cannot occur is a matter of the model: `forbid`",
            ));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Header {
        format: "literal",
        axes,
        columns: Vec::new(),
        element: None,
        layout: None,
        rows: None,
        profile: Profile::dense(cells.values.len(), 8, false),
        notes: Vec::new(),
        pending: Arc::new(Waiting { shape, cells: cells.values, span: literal.span() }),
    })
}

struct Cells<'a> {
    request: &'a Request,
    values: Vec<(f64, Span)>,
    missing: Vec<Span>,
    uneven: Vec<Diagnostic>,
}

impl Cells<'_> {
    /// Descends no deeper than the shape, and so no deeper than there are modes.
    fn collect(&mut self, literal: &Literal, shape: &[usize]) {
        match (literal, shape) {
            (Literal::Number(x, span), []) => self.values.push((*x, *span)),
            (Literal::Missing(span), []) => self.missing.push(*span),
            (Literal::List(items, _), [size, rest @ ..]) if items.len() == *size => {
                for item in items {
                    self.collect(item, rest);
                }
            }
            _ if !self.uneven.is_empty() => {}
            (Literal::List(items, span), [size, rest @ ..]) => {
                let mode = self.request.axes.get(self.request.axes.len().saturating_sub(rest.len() + 1));
                let mode = mode.map_or("", |a| a.mode.as_str());
                self.uneven.push(
                    Diagnostic::new(Code::MBA208, format!("the lists for `{mode}` differ in length"))
                        .at(
                            *span,
                            format!(
                                "has {}, the first one has {size}",
                                count(items.len(), "entry", "entries")
                            ),
                        )
                        .help("give every list the same length"),
                );
            }
            (other, _) => {
                let (found, wanted) = match other {
                    Literal::List(..) => ("a list", "a number"),
                    _ => ("a number", "a list"),
                };
                self.uneven.push(
                    Diagnostic::new(
                        Code::MBA208,
                        format!("{found} stands where the cells before have {wanted}"),
                    )
                    .at(other.span(), format!("expected {wanted}"))
                    .help("nest the lists as deep as there are modes, everywhere"),
                );
            }
        }
    }
}

#[derive(Debug)]
struct Waiting {
    shape: Vec<usize>,
    cells: Vec<(f64, Span)>,
    span: Span,
}

impl Pending for Waiting {
    fn read(&self, request: &Request, modes: &[Mode]) -> Checked<Loaded> {
        binding::check_modes(request, modes, &self.shape, "the literal", self.span)?;
        // a bad cell is shown where it is written, not as a part of the whole
        let bad = self.cells.iter().find(|(x, _)| !(*x >= 0.0 && x.is_finite()));
        let span = bad.map_or(self.span, |(_, span)| *span);
        let mut strides: Vec<usize> = self
            .shape
            .iter()
            .rev()
            .scan(1usize, |step, n| {
                let stride = *step;
                *step = step.saturating_mul(*n);
                Some(stride)
            })
            .collect();
        strides.reverse();
        let values: Vec<f64> = self.cells.iter().map(|(x, _)| *x).collect();
        let dense = Dense { shape: self.shape.clone(), strides, values: Values::F64(Buffer::new(values)) };
        npy::finish(request, modes, dense, "the literal", span)
    }
}
