//! Tensors written in the program: nested lists of numbers.

use std::sync::Arc;

use super::npy;
use crate::data::binding;
use crate::data::format::{Checked, Loaded, Pending};
use crate::data::header::{Header, Profile};
use crate::data::mask::Masks;
use crate::data::request::{Literal, Request};
use crate::data::suggest::count;
use crate::data::tensor::{Dense, Onlooker};
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
    let problems = cells.uneven;
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
        pending: Arc::new(Waiting {
            shape,
            cells: cells.values,
            missing: cells.missing,
            span: literal.span(),
        }),
    })
}

struct Cells<'a> {
    request: &'a Request,
    values: Vec<(f64, Span)>,
    /// Places of cells without a value, which have nan.
    missing: Vec<usize>,
    uneven: Vec<Diagnostic>,
}

impl Cells<'_> {
    /// Descends no deeper than the shape, and so no deeper than there are modes.
    fn collect(&mut self, literal: &Literal, shape: &[usize]) {
        match (literal, shape) {
            (Literal::Number(x, span), []) => self.values.push((*x, *span)),
            (Literal::Missing(span), []) => {
                self.missing.push(self.values.len());
                self.values.push((f64::NAN, *span));
            }
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
    missing: Vec<usize>,
    span: Span,
}

impl Pending for Waiting {
    fn read(&self, request: &Request, modes: &[Mode], _: Option<&dyn Onlooker>) -> Checked<Loaded> {
        if !self.missing.is_empty() {
            return self.read_masked(request, modes, &Masks::default(), None);
        }
        binding::check_modes(request, modes, &self.shape, "the literal", self.span)?;
        let (dense, summary) = npy::look(self.dense(), None);
        npy::finish(request, modes, dense, summary, "the literal", self.bad())
    }

    fn read_masked(
        &self,
        request: &Request,
        modes: &[Mode],
        masks: &Masks,
        onlooker: Option<&dyn Onlooker>,
    ) -> Checked<Loaded> {
        binding::check_modes(request, modes, &self.shape, "the literal", self.span)?;
        let place = |k: &usize| self.cells.get(*k).map(|(_, span)| (*k, *span));
        let missing: Vec<(usize, Span)> = self.missing.iter().filter_map(place).collect();
        masks.dense(request, modes, &self.dense(), &missing, onlooker, ("the literal", self.bad()))
    }
}

impl Waiting {
    /// A bad cell is shown where it is written, not as a part of the whole.
    fn bad(&self) -> Span {
        let wrong =
            |(k, (x, _)): &(usize, &(f64, Span))| !(self.missing.contains(k) || *x >= 0.0 && x.is_finite());
        let bad = self.cells.iter().enumerate().find(wrong).map(|(_, cell)| cell);
        bad.map_or(self.span, |(_, span)| *span)
    }

    fn dense(&self) -> Dense {
        let values: Vec<f64> = self.cells.iter().map(|(x, _)| *x).collect();
        Dense::row_major(self.shape.clone(), values)
    }
}
