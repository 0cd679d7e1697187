//! What a saved fit says of cells that are unknown, impossible or held out, and of tables that are alike,
//! smooth or leaning.

use std::sync::Arc;

use num_bigint::BigUint;
use serde_json::{Value as Json, json};

use super::super::archive::{Reader, Writer, exact, list, number, text};
use super::super::results::HeldOut;
use super::Names;
use crate::data::Mask;
use crate::data::mask::Factor;
use crate::model::regular::{Prior, Smooth, Tie};
use crate::model::{EnergyModel, Mode, Regular, Scope, Strength};
use crate::run::masked::Domain;
use crate::text::Span;
use crate::text::ast::{Call, Ident};

/// The factors of a mask, each an array that is true where cells are observed.
pub fn put_mask(writer: &mut Writer, mask: Option<&Arc<Mask>>, modes: &[Mode]) -> Result<Json, String> {
    let Some(mask) = mask else { return Ok(Json::Null) };
    let Mask { factors } = &**mask;
    let mut out = Vec::new();
    for (k, Factor { scope, shape, observed, .. }) in factors.iter().enumerate() {
        let array = format!("observed.{k}");
        writer.array(&array, shape, observed)?;
        out.push(json!({ "modes": Names(modes).put(scope), "array": array }));
    }
    Ok(out.into())
}

/// Reads what [`put_mask`] wrote. Data that were saved without a mask are complete.
pub fn take_mask(reader: &mut Reader, json: &Json, modes: &[Mode]) -> Result<Option<Arc<Mask>>, String> {
    if json.is_null() {
        return Ok(None);
    }
    let names = Names(modes);
    let mut factors = Vec::new();
    for one in list(json)? {
        let scope = names.take(&one["modes"])?;
        let observed = truths(reader, &one["array"], &names.shape(&scope))?;
        let shape = names.shape(&scope);
        factors.push(Factor::new(scope, shape, observed, Span::default()));
    }
    Ok(Some(Arc::new(Mask { factors })))
}

fn truths(reader: &mut Reader, name: &Json, expected: &[usize]) -> Result<Vec<bool>, String> {
    let name = text(name)?;
    let (shape, values) = reader.array::<bool>(name)?;
    if shape == expected {
        Ok(values)
    } else {
        Err(format!("its array `{name}` has another shape than its modes"))
    }
}

/// Which cells are observed, possible and determined.
pub fn put_domain(writer: &mut Writer, prefix: &str, domain: &Domain, names: &Names) -> Result<Json, String> {
    let Domain { modes, possible, observed, determined, vanishing, unsettled, rank, sizes: _ } = domain;
    let shape = names.shape(modes);
    let (possible, determined) = (possible.to_vec(), determined.to_vec());
    let all: [(&str, &[bool]); 3] =
        [("possible", &possible), ("seen", observed), ("determined", &determined)];
    for (name, values) in all {
        writer.array(&format!("{prefix}cells.{name}"), &shape, values)?;
    }
    let wide: Vec<u64> = vanishing.iter().map(|k| *k as u64).collect();
    if !wide.is_empty() {
        writer.array(&format!("{prefix}cells.vanishing"), &[wide.len()], &wide)?;
    }
    Ok(json!({
        "modes": names.put(modes),
        "vanishing": wide.len(),
        "unsettled": unsettled,
        "rank": rank.as_ref().ok().map(BigUint::to_string),
        "no_rank_because": rank.as_ref().err(),
    }))
}

/// Reads what [`put_domain`] wrote.
pub fn take_domain(
    reader: &mut Reader,
    prefix: &str,
    json: &Json,
    names: &Names,
) -> Result<Option<Arc<Domain>>, String> {
    if json.is_null() {
        return Ok(None);
    }
    let modes = names.take(&json["modes"])?;
    let shape = names.shape(&modes);
    let mut cells = |name: &str| truths(reader, &format!("{prefix}cells.{name}").into(), &shape);
    let (possible, observed) = (cells("possible")?.into(), cells("seen")?.into());
    let determined = cells("determined")?.into();
    let vanishing = match json["vanishing"].as_u64() {
        // files of older builds do not have it
        None | Some(0) => Vec::new(),
        Some(_) => {
            let (_, wide) = reader.array::<u64>(&format!("{prefix}cells.vanishing"))?;
            let cells = shape.iter().product();
            let places = wide.iter().map(|k| usize::try_from(*k).ok().filter(|k| *k < cells));
            places.collect::<Option<_>>().ok_or("its vanishing cells are not cells of its data")?
        }
    };
    let rank = match json["rank"].as_str() {
        Some(digits) => Ok(digits.parse().map_err(|_| format!("`{digits}` is not a rank"))?),
        None => Err(text(&json["no_rank_because"])?.to_string()),
    };
    let unsettled = json["unsettled"].as_str().map(str::to_string);
    let sizes = names.0.iter().map(Mode::size).collect();
    Ok(Some(Arc::new(Domain { modes, possible, observed, determined, vanishing, unsettled, rank, sizes })))
}

/// The cells that were kept from a fit, with their values.
pub fn put_held_out(writer: &mut Writer, held: Option<&HeldOut>) -> Result<Json, String> {
    let Some(HeldOut { places, values }) = held else { return Ok(Json::Null) };
    let wide: Vec<u64> = places.iter().map(|k| *k as u64).collect();
    writer.array("held_out.cells", &[wide.len()], &wide)?;
    writer.array("held_out.values", &[values.len()], values)?;
    Ok(json!({ "cells": places.len() }))
}

/// Reads what [`put_held_out`] wrote.
pub fn take_held_out(reader: &mut Reader, json: &Json, sizes: &[usize]) -> Result<Option<HeldOut>, String> {
    if json.is_null() {
        return Ok(None);
    }
    let (_, wide) = reader.array::<u64>("held_out.cells")?;
    let (_, values) = reader.array::<f64>("held_out.values")?;
    let cells = sizes.iter().try_fold(1usize, |n, m| n.checked_mul(*m)).unwrap_or(0);
    let places: Vec<usize> = wide.iter().map(|k| usize::try_from(*k).unwrap_or(usize::MAX)).collect();
    if places.len() != values.len() || places.iter().any(|k| *k >= cells) {
        return Err("its held-out cells are not cells of its data".into());
    }
    Ok(Some(HeldOut { places: places.into(), values: values.into() }))
}

/// What a model says of its tables. Of the model that a prior leans to its name and arguments are kept, as
/// they are shown.
pub fn put_regular(model: &EnergyModel) -> Json {
    let Regular { smooth, ties, prior } = &model.regular;
    let names = Names(&model.modes);
    let one = |mode: usize| names.put(&Scope::from([mode]))[0].clone();
    let ordered = |modes: &[usize]| -> Json { modes.iter().map(|m| one(*m)).collect::<Vec<_>>().into() };
    let smooth = smooth.iter().map(|Smooth { scope, along, strength, span: _ }| {
        json!({ "modes": names.put(scope), "along": one(*along), "strength": exact(*strength) })
    });
    let ties = ties.iter().map(|Tie { left, right, span: _ }| json!([ordered(left), ordered(right)]));
    let prior = prior.as_ref().map(|Prior { strength, toward: _, label, span: _ }| {
        let (kind, much) = match strength {
            Strength::Mass(mass) => ("mass", *mass),
            Strength::Share(share) => ("share", *share),
            Strength::Auto => ("auto", 0.0),
        };
        json!({ "strength": kind, "much": exact(much), "toward": label })
    });
    let (smooth, ties) = (smooth.collect::<Vec<_>>(), ties.collect::<Vec<_>>());
    json!({ "smooth": smooth, "ties": ties, "prior": prior })
}

/// Reads what [`put_regular`] wrote. Models that were saved without it say nothing.
pub fn take_regular(json: &Json, modes: &[Mode], span: Span) -> Result<Regular, String> {
    let mut regular = Regular::default();
    if json.is_null() {
        return Ok(regular);
    }
    let names = Names(modes);
    let only = |mode: &Json| -> Result<usize, String> {
        let scope = names.take(&json!([mode]))?;
        scope.iter().next().ok_or_else(|| "a mode has no name".to_string())
    };
    let ordered = |side: &Json| list(side)?.iter().map(only).collect::<Result<Vec<usize>, String>>();
    for one in list(&json["smooth"])? {
        let (scope, along) = (names.take(&one["modes"])?, only(&one["along"])?);
        regular.smooth.push(Smooth { scope, along, strength: number(&one["strength"])?, span });
    }
    for one in list(&json["ties"])? {
        regular.ties.push(Tie { left: ordered(&one[0])?, right: ordered(&one[1])?, span });
    }
    let prior = &json["prior"];
    if !prior.is_null() {
        let strength = match text(&prior["strength"])? {
            "mass" => Strength::Mass(number(&prior["much"])?),
            "share" => Strength::Share(number(&prior["much"])?),
            "auto" => Strength::Auto,
            other => return Err(format!("`{other}` is not a strength of a prior")),
        };
        let label = text(&prior["toward"])?.to_string();
        let name = Ident { name: label.clone(), span };
        let toward = Call { name, arguments: Vec::new(), span };
        regular.prior = Some(Prior { strength, toward, label, span });
    }
    Ok(regular)
}

/// The modes of each factor of the mask that a plan was made for.
pub fn take_masks(json: &Json, names: &Names) -> Result<Vec<Scope>, String> {
    if json.is_null() { Ok(Vec::new()) } else { list(json)?.iter().map(|one| names.take(one)).collect() }
}

/// Reads a fit's mass over all possible cells: that of the data, where it is not written.
pub fn take_mass(json: &Json, total: f64) -> Result<f64, String> {
    if json.is_null() { Ok(total) } else { number(json) }
}
