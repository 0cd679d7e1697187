//! Functions that give each pair or group of modes a number: random couplings, stored patterns.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::constant::{self, Constant};
use super::numbers::Numbers;
use crate::text::{Code, Diagnostic, Span};

/// Groups of modes that stored patterns couple may be so many.
const MOST_GROUPS: usize = 1_000_000;

/// Applies one of these functions; `None` when the name is not one of them.
pub fn call(
    name: &str,
    arguments: &[(Option<String>, Constant)],
    span: Span,
) -> Option<Result<Constant, Diagnostic>> {
    Some(match name {
        "signs" => random(arguments, span, "signs(neighbours(s), seed: 1)", |rng| {
            if rng.next_u64() >> 63 == 0 { 1.0 } else { -1.0 }
        }),
        "normals" => random(arguments, span, "normals(neighbours(s), seed: 1)", normal),
        "hebbian" => hebbian(arguments, span),
        "fields" => fields(arguments, span),
        "zip" => zip(arguments, span),
        "size" => match arguments {
            [(None, Constant::Family { members, .. })] => Ok(Constant::Number(members.len() as f64)),
            [(None, Constant::List(items))] => Ok(Constant::Number(items.len() as f64)),
            _ => Err(wrong("size(s)", span)),
        },
        "product" => fold(arguments, span, "product(g)", 1.0, |a, b| a * b),
        "sum" => fold(arguments, span, "sum(g)", 0.0, |a, b| a + b),
        _ => return None,
    })
}

fn wrong(usage: &str, span: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA105, "these are not the arguments it takes")
        .at(span, "here")
        .help(format!("write `{usage}`"))
}

/// Each element of a list with a random number behind it.
fn random(
    arguments: &[(Option<String>, Constant)],
    span: Span,
    usage: &str,
    draw: fn(&mut Xoshiro256PlusPlus) -> f64,
) -> Result<Constant, Diagnostic> {
    let [(None, Constant::List(items)), (Some(name), Constant::Number(seed))] = arguments else {
        return Err(wrong(usage, span));
    };
    if name != "seed" || *seed < 0.0 || *seed != seed.trunc() {
        return Err(wrong(usage, span));
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(*seed as u64);
    let with = |item: &Constant| {
        let mut parts = match item {
            Constant::List(parts) => parts.clone(),
            other => vec![other.clone()],
        };
        parts.push(Constant::Number(draw(&mut rng)));
        Constant::List(parts)
    };
    Ok(Constant::List(items.iter().map(with).collect()))
}

/// A standard normal number (Box and Muller 1958, doi:10.1214/aoms/1177706645).
fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
    let unit = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    let (u, v) = (unit(rng.next_u64()), unit(rng.next_u64()));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// `hebbian(s, patterns, p)`: every group of p modes with the coupling that stores the patterns,
/// Σ_μ ξ_1 … ξ_p / N^(p−1) (Hopfield 1982, doi:10.1073/pnas.79.8.2554; for p > 2 Gardner 1987,
/// doi:10.1088/0305-4470/20/11/046). Groups whose coupling is 0 are left out.
fn hebbian(arguments: &[(Option<String>, Constant)], span: Span) -> Result<Constant, Diagnostic> {
    let usage = "hebbian(s, patterns, 2)";
    let [(None, Constant::Family { members, .. }), (None, patterns), (None, Constant::Number(p))] = arguments
    else {
        return Err(wrong(usage, span));
    };
    let patterns = Numbers::of(patterns).ok_or_else(|| wrong(usage, span))?;
    let n = members.len();
    let count = match patterns.shape.as_slice() {
        [count, width] if *width == n => *count,
        _ => {
            return Err(Diagnostic::new(Code::MBA331, format!("a table of patterns has {n} columns"))
                .at(span, format!("its shape is {}", patterns.sizes()))
                .help("give one row for each pattern, with one number for each member of the family"));
        }
    };
    if *p != p.trunc() || *p < 1.0 || *p > n as f64 {
        return Err(wrong(usage, span));
    }
    let p = *p as usize;
    let mut list = Vec::new();
    let mut group: Vec<usize> = (0..p).collect();
    let scale = (n as f64).powi(p as i32 - 1);
    loop {
        let product = |mu: usize| group.iter().map(|i| patterns.values[mu * n + i]).product::<f64>();
        let weight: f64 = (0..count).map(product).sum::<f64>() / scale;
        if weight != 0.0 {
            let modes = group.iter().map(|i| Constant::Mode(members[*i])).collect();
            list.push(Constant::List(vec![Constant::List(modes), Constant::Number(weight)]));
        }
        if list.len() > MOST_GROUPS {
            return Err(Diagnostic::new(Code::MBA303, "more than a million groups of modes")
                .at(span, "while going through these")
                .help("use fewer modes or a smaller order"));
        }
        // the next group in lexicographic order
        let Some(at) = (0..p).rev().find(|k| group[*k] < n - p + k) else { break };
        group[at] += 1;
        for k in at + 1..p {
            group[k] = group[k - 1] + 1;
        }
    }
    Ok(Constant::List(list))
}

/// `fields(s, h)`: each mode of a family with its number.
fn fields(arguments: &[(Option<String>, Constant)], span: Span) -> Result<Constant, Diagnostic> {
    let [(None, Constant::Family { members, .. }), (None, values)] = arguments else {
        return Err(wrong("fields(s, h)", span));
    };
    let values = Numbers::of(values).ok_or_else(|| wrong("fields(s, h)", span))?;
    if values.values.len() != members.len() {
        return Err(Diagnostic::new(
            Code::MBA331,
            format!("{} numbers for {} modes", values.values.len(), members.len()),
        )
        .at(span, "here")
        .help("give one number for each member of the family"));
    }
    let pair = |(m, h): (&usize, &f64)| Constant::List(vec![Constant::Mode(*m), Constant::Number(*h)]);
    Ok(Constant::List(members.iter().zip(&values.values).map(pair).collect()))
}

/// `zip(a, b)`: the members of two families of one size, in pairs.
fn zip(arguments: &[(Option<String>, Constant)], span: Span) -> Result<Constant, Diagnostic> {
    let [(None, Constant::Family { members: a, .. }), (None, Constant::Family { members: b, .. })] =
        arguments
    else {
        return Err(wrong("zip(a, b)", span));
    };
    if a.len() != b.len() {
        return Err(wrong("zip(a, b)` with families of one size, as `zip(state, signal)", span));
    }
    let pair = |(a, b): (&usize, &usize)| Constant::List(vec![Constant::Mode(*a), Constant::Mode(*b)]);
    Ok(Constant::List(a.iter().zip(b).map(pair).collect()))
}

fn fold(
    arguments: &[(Option<String>, Constant)],
    span: Span,
    usage: &str,
    start: f64,
    step: fn(f64, f64) -> f64,
) -> Result<Constant, Diagnostic> {
    let [(None, Constant::List(items))] = arguments else { return Err(wrong(usage, span)) };
    let mut total = start;
    for item in items {
        total = step(total, constant::number_of(item, span)?);
    }
    Ok(Constant::Number(total))
}
