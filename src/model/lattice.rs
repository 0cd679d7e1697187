//! Functions on families of modes: which pairs of a lattice are neighbours.

use std::collections::HashSet;

use super::constant::Constant;
use super::numbers::Numbers;
use crate::text::{Code, Diagnostic, Span};

/// Applies a function of families; `None` when the name is not one of them.
pub fn call(
    name: &str,
    arguments: &[(Option<String>, Constant)],
    span: Span,
) -> Option<Result<Constant, Diagnostic>> {
    match name {
        "neighbours" => Some(neighbours(arguments, span)),
        "pairs" => Some(pairs(arguments, span)),
        "couplings" => Some(match arguments {
            [(None, Constant::Family { members, .. }), (None, table)] => match Numbers::of(table) {
                Some(table) => super::numbers::couplings(members, &table, span),
                None => Err(wrong("couplings(s, table(\"J.npy\"))", span)),
            },
            _ => Err(wrong("couplings(s, table(\"J.npy\"))", span)),
        }),
        "edges" => Some(match arguments {
            [(None, Constant::Family { members, sizes }), (None, table)] => match Numbers::of(table) {
                Some(table) => super::numbers::edges(members, sizes, &table, span),
                None => Err(wrong("edges(s, table(\"edges.csv\"))", span)),
            },
            _ => Err(wrong("edges(s, table(\"edges.csv\"))", span)),
        }),
        _ => super::disorder::call(name, arguments, span),
    }
}

fn wrong(usage: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA105, "these are not the arguments it takes")
        .at(span, "here")
        .help(format!("write `{usage}`"))
}

/// Nearest neighbours along every dimension, each pair once.
fn neighbours(arguments: &[(Option<String>, Constant)], span: Span) -> Result<Constant, Diagnostic> {
    let usage = "neighbours(s)` or `neighbours(s, periodic: true)";
    let (members, sizes, periodic) = match arguments {
        [(None, Constant::Family { members, sizes })] => (members, sizes, false),
        [(None, Constant::Family { members, sizes }), (Some(name), Constant::Truth(periodic))]
            if name == "periodic" =>
        {
            (members, sizes, *periodic)
        }
        _ => return Err(wrong(usage, span)),
    };
    let strides = super::table::strides(sizes);
    let mut seen = HashSet::new();
    let mut list = Vec::new();
    for (here, mode) in members.iter().enumerate() {
        for (size, stride) in sizes.iter().zip(&strides) {
            let position = here / stride % size;
            let there = if position + 1 < *size {
                here + stride
            } else if periodic {
                here - position * stride
            } else {
                continue;
            };
            // around a circle of two, both ways lead to the same neighbour; of one, to itself
            if there != here
                && seen.insert((here.min(there), here.max(there)))
                && let Some(other) = members.get(there)
            {
                list.push(Constant::List(vec![Constant::Mode(*mode), Constant::Mode(*other)]));
            }
        }
    }
    Ok(Constant::List(list))
}

/// Every pair, once.
fn pairs(arguments: &[(Option<String>, Constant)], span: Span) -> Result<Constant, Diagnostic> {
    let [(None, Constant::Family { members, .. })] = arguments else {
        return Err(wrong("pairs(s)", span));
    };
    let mut list = Vec::new();
    for (i, a) in members.iter().enumerate() {
        for b in &members[i + 1..] {
            list.push(Constant::List(vec![Constant::Mode(*a), Constant::Mode(*b)]));
        }
    }
    Ok(Constant::List(list))
}
