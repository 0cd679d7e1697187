//! A fit as an archive, whole: `save f to "f.npz"` and back. Nothing is fitted again, and every result has
//! the same numbers. `docs/long-work.md` lists the entries.
//!
//! Structures are taken apart field by field, without `..`: a new field of a model, a tensor or a fit does
//! not compile here until it is written and read.

mod cells;
pub mod joint;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::archive::{Reader, Writer, exact, list, number, text, whole};
use super::kept;
use super::results::FitResult;
use crate::data::{Buffer, Content, Dense, Indices, Sparse, Storage, Tensor, Values};
use crate::model::energy::{Algebra, Forbidden};
use crate::model::mode::{Level, Levels, Order};
use crate::model::{EnergyModel, Interaction, Mode, Potential, Scope, Table};
use crate::plan::cost::Unit;
use crate::plan::method::{METHODS, Solver};
use crate::plan::{self, Profile, Schedule};
use crate::run::distribution::{Belief, Clique};
use crate::run::{Certificate, Control, Counters, Distribution, Fit, Status, ZeroMarginals};
use crate::text::Span;

/// What the metadata say the archive is.
const FORMAT: &str = "mba fit";
/// The version of the layout. Older ones stay readable; newer ones are refused.
const VERSION: u64 = 1;
/// The fitted values of at most this many cells are written out for other programs.
pub(super) const WRITTEN_OUT: usize = 1 << 20;

/// The bytes of a fit with its model and its data.
///
/// # Errors
/// When the data are larger than the memory budget. The bytes are built in memory.
pub fn encode(result: &FitResult) -> Result<Vec<u8>, String> {
    // a part of a joint fit is not saved as a fit of its own
    let FitResult { name, fit, tensor, joint: _, held_out, control, memory, seconds, span: _ } = result;
    let mut writer = Writer::default();
    let data = put_tensor(&mut writer, tensor, *memory)?;
    let model = put_model(&mut writer, &fit.model)?;
    let own = put_fit(&mut writer, "", fit)?;
    let without = fit.learned.as_ref().is_some_and(|l| l.pseudo_likelihood.is_some());
    if let Some(table) = (!without).then(|| fit.distribution.dense(WRITTEN_OUT)).flatten() {
        let values: Vec<f64> = table.values.iter().map(|q| q * fit.mass).collect();
        writer.array("fitted", &table.shape, &values)?;
    }
    let profile = fit.schedule.profile.as_ref().map(|profile| {
        let Profile { stored, sparse, element_bytes, mapped, masks } = profile;
        let masks: Vec<Json> = masks.iter().map(|s| Names(&fit.model.modes).put(s)).collect();
        json!({ "stored": stored, "sparse": sparse, "element_bytes": element_bytes, "mapped": mapped, "masks": masks })
    });
    let held_out = cells::put_held_out(&mut writer, held_out.as_ref())?;
    writer.finish(&json!({
        "format": FORMAT,
        "version": VERSION,
        "mba": env!("CARGO_PKG_VERSION"),
        "name": name,
        "seconds": exact(*seconds),
        "control": put_control(control),
        "profile": profile,
        "method": solver_name(fit.schedule.solver),
        "data": data,
        "model": model,
        "fit": own,
        "held_out": held_out,
    }))
}

/// What can be known of a saved fit before its numbers are read: its model.
///
/// # Errors
/// A phrase on what is wrong with the file.
pub fn model(content: &Content, span: Span) -> Result<EnergyModel, String> {
    let (mut reader, metadata) = open(content)?;
    take_model(&mut reader, &metadata["model"], span)
}

/// The fit, under a name of its own.
///
/// # Errors
/// A phrase on what is wrong with the file.
pub fn decode(content: &Content, name: &str, memory: u64, span: Span) -> Result<FitResult, String> {
    let (mut reader, metadata) = open(content)?;
    let model = Arc::new(take_model(&mut reader, &metadata["model"], span)?);
    let tensor = take_tensor(&mut reader, &metadata["data"])?;
    let control = take_control(&metadata["control"])?;
    let profile = &metadata["profile"];
    let profile = Profile {
        stored: whole(&profile["stored"])?,
        sparse: truth(&profile["sparse"])?,
        element_bytes: whole(&profile["element_bytes"])?,
        mapped: truth(&profile["mapped"])?,
        masks: cells::take_masks(&profile["masks"], &Names(&model.modes))?,
    };
    // planned again, which costs no look at the data; the budget was kept when it was fitted
    let solver = solver_of(text(&metadata["method"])?)?;
    let schedule = plan::compile(&model, &profile, &plan::Options { memory: u64::MAX, solver })
        .map_err(|_| "this version cannot plan its model".to_string())?;
    let fit = take_fit(&mut reader, "", &metadata["fit"], &model, &Arc::new(schedule))?;
    let visible = model.modes.iter().enumerate().filter(|(i, _)| !model.latent.contains(*i));
    if !visible.map(|(_, m)| (&m.name, m.size())).eq(tensor.modes.iter().map(|m| (&m.name, m.size()))) {
        return Err("its model and its data have different modes".into());
    }
    let sizes: Vec<usize> = model.modes.iter().map(Mode::size).collect();
    Ok(FitResult {
        name: name.to_string(),
        fit: Arc::new(fit),
        joint: None,
        held_out: cells::take_held_out(&mut reader, &metadata["held_out"], &sizes)?,
        tensor: Arc::new(tensor),
        control,
        memory,
        seconds: number(&metadata["seconds"])?,
        span,
    })
}

fn open(content: &Content) -> Result<(Reader, Json), String> {
    let mut reader = Reader::new(content)?;
    let metadata = reader.metadata().map_err(|reason| match reason.contains("no array") {
        true => "it is an archive of arrays, but not a saved fit".to_string(),
        false => reason,
    })?;
    match (metadata["format"].as_str(), metadata["version"].as_u64()) {
        (Some(FORMAT), Some(VERSION)) => Ok((reader, metadata)),
        (Some(FORMAT), Some(newer)) => {
            let by = metadata["mba"].as_str().unwrap_or("another version");
            Err(format!(
                "it was saved by mba {by} in layout {newer}, and this version knows layout {VERSION}"
            ))
        }
        (Some(other), _) => Err(format!("it is a file of another kind: {other}")),
        _ => Err("it is an archive of arrays, but not a saved fit".into()),
    }
}

/// How a fit was asked for.
pub(super) fn put_control(control: &Control) -> Json {
    let Control { tolerance, max_sweeps, acceleration } = control;
    json!({ "tolerance": exact(*tolerance), "max_sweeps": max_sweeps, "acceleration": acceleration })
}

pub(super) fn take_control(json: &Json) -> Result<Control, String> {
    Ok(Control {
        tolerance: number(&json["tolerance"])?,
        max_sweeps: whole(&json["max_sweeps"])?,
        acceleration: truth(&json["acceleration"])?,
    })
}

/// The counters, which stand among the other numbers of a fit.
fn take_counters(json: &Json) -> Result<Counters, String> {
    Ok(Counters {
        operations: number(&json["operations"])?,
        bytes: number(&json["bytes"])?,
        predicted: Unit {
            operations: number(&json["predicted_operations"])?,
            bytes: number(&json["predicted_bytes"])?,
        },
        peak: number(&json["peak"])?,
    })
}

pub(super) fn truth(json: &Json) -> Result<bool, String> {
    json.as_bool().ok_or_else(|| format!("`{json}` is not true or false"))
}

// ------------------------------------------------------------------ modes

pub(super) fn put_mode(mode: &Mode) -> Json {
    let Mode { name, levels, order } = mode;
    let level = |level: &Level| match level {
        Level::Name(name) => json!({ "name": name }),
        Level::Number(x) => json!({ "number": exact(*x) }),
    };
    let levels = match levels {
        Levels::Counted(n) => json!({ "counted": n }),
        Levels::Listed(levels) => json!({ "listed": levels.iter().map(level).collect::<Vec<_>>() }),
        Levels::Binned(edges) => json!({ "binned": edges.iter().map(|e| exact(*e)).collect::<Vec<_>>() }),
    };
    let order = match order {
        Order::Nominal => "nominal",
        Order::Ordered => "ordered",
        Order::Cyclic => "cyclic",
    };
    json!({ "name": name, "levels": levels, "order": order })
}

pub(super) fn take_mode(json: &Json) -> Result<Mode, String> {
    let level = |json: &Json| match json["name"].as_str() {
        Some(name) => Ok(Level::Name(name.to_string())),
        None => number(&json["number"]).map(Level::Number),
    };
    let levels = &json["levels"];
    let levels = if let Some(n) = levels["counted"].as_u64() {
        Levels::Counted(usize::try_from(n).map_err(|e| e.to_string())?)
    } else if let Some(listed) = levels["listed"].as_array() {
        Levels::Listed(Arc::new(listed.iter().map(level).collect::<Result<_, String>>()?))
    } else {
        Levels::Binned(list(&levels["binned"])?.iter().map(number).collect::<Result<_, String>>()?)
    };
    let order = match text(&json["order"])? {
        "nominal" => Order::Nominal,
        "ordered" => Order::Ordered,
        "cyclic" => Order::Cyclic,
        other => return Err(format!("`{other}` is not an order of levels")),
    };
    Ok(Mode { name: text(&json["name"])?.to_string(), levels, order })
}

/// Scopes as names, and back.
struct Names<'a>(&'a [Mode]);

impl Names<'_> {
    fn put(&self, scope: &Scope) -> Json {
        scope.iter().filter_map(|m| self.0.get(m)).map(|m| m.name.as_str()).collect::<Vec<_>>().into()
    }

    fn take(&self, json: &Json) -> Result<Scope, String> {
        let places: HashMap<&str, usize> =
            self.0.iter().enumerate().map(|(i, m)| (m.name.as_str(), i)).collect();
        let place = |name: &Json| {
            let name = text(name)?;
            places.get(name).copied().ok_or_else(|| format!("there is no mode `{name}`"))
        };
        list(json)?.iter().map(place).collect()
    }

    fn shape(&self, scope: &Scope) -> Vec<usize> {
        scope.iter().filter_map(|m| self.0.get(m)).map(Mode::size).collect()
    }

    /// A table of this scope, which must be as large as its modes say.
    fn table(&self, reader: &mut Reader, scope: Scope, name: &Json) -> Result<Table, String> {
        let name = text(name)?;
        let (shape, values) = reader.array::<f64>(name)?;
        if shape != self.shape(&scope) {
            return Err(format!("its array `{name}` has another shape than its modes"));
        }
        Ok(Table { scope, shape, values })
    }
}

// ------------------------------------------------------------------ models

fn put_model(writer: &mut Writer, model: &EnergyModel) -> Result<Json, String> {
    let EnergyModel { name, modes, latent, interactions, support, regular: _, temperature, algebra } = model;
    let names = Names(modes);
    let mut potentials = Vec::new();
    for (k, Interaction { scope, potential, span: _ }) in interactions.iter().enumerate() {
        let own = names.put(scope);
        potentials.push(match potential {
            Potential::Free => json!({ "modes": own, "potential": "free" }),
            Potential::Fixed(table) => {
                let array = format!("energy.{k}");
                writer.array(&array, &table.shape, &table.values)?;
                json!({ "modes": own, "potential": "fixed", "array": array })
            }
            // only grounded models have them, and those are never kept
            Potential::Support(_) => {
                return Err("the support of a model is kept as its forbidden cells".into());
            }
            Potential::Learned { coefficient, statistic } => {
                let array = format!("statistic.{k}");
                writer.array(&array, &statistic.shape, &statistic.values)?;
                json!({ "modes": own, "potential": "learned", "coefficient": coefficient, "array": array })
            }
        });
    }
    let mut forbidden = Vec::new();
    for (k, Forbidden { scope, cells, span: _ }) in support.iter().enumerate() {
        let array = format!("forbidden.{k}");
        writer.array(&array, &cells.shape, &cells.values)?;
        forbidden.push(json!({ "modes": names.put(scope), "array": array }));
    }
    let (algebra, index) = match algebra {
        Algebra::Ordinary => ("ordinary", 1.0),
        Algebra::Tsallis(q) => ("tsallis", *q),
        Algebra::Kaniadakis(kappa) => ("kaniadakis", *kappa),
    };
    Ok(json!({
        "name": name,
        "modes": modes.iter().map(put_mode).collect::<Vec<_>>(),
        "latent": names.put(latent),
        "interactions": potentials,
        "forbidden": forbidden,
        "regular": cells::put_regular(model),
        "temperature": exact(*temperature),
        "algebra": algebra,
        "algebra_index": exact(index),
    }))
}

fn take_model(reader: &mut Reader, json: &Json, span: Span) -> Result<EnergyModel, String> {
    let modes: Vec<Mode> = list(&json["modes"])?.iter().map(take_mode).collect::<Result<_, _>>()?;
    let names = Names(&modes);
    let mut interactions = Vec::new();
    for one in list(&json["interactions"])? {
        let scope = names.take(&one["modes"])?;
        let mut table = || names.table(reader, scope.clone(), &one["array"]).map(Arc::new);
        let potential = match text(&one["potential"])? {
            "free" => Potential::Free,
            "fixed" => Potential::Fixed(table()?),
            "learned" => Potential::Learned {
                coefficient: text(&one["coefficient"])?.to_string(),
                statistic: table()?,
            },
            other => return Err(format!("`{other}` is not a kind of potential")),
        };
        interactions.push(Interaction { scope, potential, span });
    }
    let mut support = Vec::new();
    for one in list(&json["forbidden"])? {
        let scope = names.take(&one["modes"])?;
        let cells = Arc::new(names.table(reader, scope.clone(), &one["array"])?);
        support.push(Forbidden { scope, cells, span });
    }
    let index = number(&json["algebra_index"])?;
    let algebra = match text(&json["algebra"])? {
        "ordinary" => Algebra::Ordinary,
        "tsallis" => Algebra::Tsallis(index),
        "kaniadakis" => Algebra::Kaniadakis(index),
        other => return Err(format!("`{other}` is not an algebra")),
    };
    let regular = cells::take_regular(&json["regular"], &modes, span)?;
    Ok(EnergyModel {
        regular,
        name: text(&json["name"])?.to_string(),
        latent: names.take(&json["latent"])?,
        interactions,
        support,
        temperature: number(&json["temperature"])?,
        algebra,
        modes,
    })
}

// ------------------------------------------------------------------ data

fn put_tensor(writer: &mut Writer, tensor: &Tensor, memory: u64) -> Result<Json, String> {
    let Tensor { name, modes, storage, total, counts, mask } = tensor;
    let bytes = Profile::of(tensor).bytes();
    if bytes > memory as f64 {
        return Err(format!("the data it was fitted to take {bytes:e} bytes, more than the memory budget"));
    }
    let storage = match &**storage {
        Storage::Dense(Dense { shape, strides, values, .. }) => {
            crate::with_values!(values, values => {
                writer.array("data", shape, &in_c_order(shape, strides, values))?;
            });
            json!({ "storage": "dense", "type": type_name(values) })
        }
        Storage::Sparse(Sparse { shape: _, coordinates, values }) => {
            let rows = 0..values.len();
            let cells: Vec<u32> =
                rows.flat_map(|r| coordinates.iter().map(move |c| c.at(r) as u32)).collect();
            writer.array("data.coordinates", &[values.len(), coordinates.len()], &cells)?;
            writer.array("data.values", &[values.len()], values)?;
            json!({ "storage": "sparse" })
        }
    };
    Ok(json!({
        "name": name,
        "modes": modes.iter().map(put_mode).collect::<Vec<_>>(),
        "total": exact(*total),
        "counts": counts,
        "cells": storage,
        "mask": cells::put_mask(writer, mask.as_ref(), modes)?,
    }))
}

fn in_c_order<T: Copy>(shape: &[usize], strides: &[usize], values: &[T]) -> Vec<T> {
    let cells: usize = shape.iter().product();
    let mut cell = vec![0; shape.len()];
    let mut out = Vec::with_capacity(cells);
    for _ in 0..cells {
        let at: usize = cell.iter().zip(strides).map(|(i, s)| i * s).sum();
        out.extend(values.get(at).copied());
        for axis in (0..cell.len()).rev() {
            cell[axis] += 1;
            if cell[axis] < shape[axis] {
                break;
            }
            cell[axis] = 0;
        }
    }
    out
}

macro_rules! number_types {
    ($($variant:ident $t:ty),*) => {
        fn type_name(values: &Values) -> &'static str {
            match values { $(Values::$variant(_) => stringify!($t),)* }
        }

        fn take_values(reader: &mut Reader, kind: &str) -> Result<(Vec<usize>, Values), String> {
            match kind {
                $(stringify!($t) => {
                    let (shape, values) = reader.array::<$t>("data")?;
                    Ok((shape, Values::$variant(Buffer::new(values))))
                })*
                other => Err(format!("`{other}` is not a number type")),
            }
        }
    };
}
number_types!(
    Bool bool, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64
);

fn take_tensor(reader: &mut Reader, json: &Json) -> Result<Tensor, String> {
    let modes: Vec<Mode> = list(&json["modes"])?.iter().map(take_mode).collect::<Result<_, _>>()?;
    let sizes: Vec<usize> = modes.iter().map(Mode::size).collect();
    let other_shape = || "its data have another shape than their modes".to_string();
    let storage = match text(&json["cells"]["storage"])? {
        "dense" => {
            let (shape, values) = take_values(reader, text(&json["cells"]["type"])?)?;
            if shape != sizes {
                return Err(other_shape());
            }
            let strides = crate::model::table::strides(&shape);
            Storage::Dense(Dense::new(shape, strides, values))
        }
        _ => {
            let (shape, cells) = reader.array::<u32>("data.coordinates")?;
            let (_, values) = reader.array::<f64>("data.values")?;
            let width = sizes.len();
            let inside = |row: &[u32]| row.iter().zip(&sizes).all(|(i, n)| (*i as usize) < *n);
            if shape != [values.len(), width] || width == 0 || !cells.chunks(width).all(inside) {
                return Err(other_shape());
            }
            let column =
                |(d, n): (usize, &usize)| Indices::new(*n, cells.iter().skip(d).step_by(width).copied());
            let coordinates = sizes.iter().enumerate().map(column).collect();
            Storage::Sparse(Sparse { shape: sizes, coordinates, values: Buffer::new(values) })
        }
    };
    let mask = cells::take_mask(reader, &json["mask"], &modes)?;
    Ok(Tensor {
        mask,
        name: text(&json["name"])?.to_string(),
        modes,
        storage: Arc::new(storage),
        total: number(&json["total"])?,
        counts: truth(&json["counts"])?,
    })
}

// ------------------------------------------------------------------ digests

/// A digest of what a model means: not of its name, nor of how it is written. The order of interactions
/// counts, since sums are taken in it.
///
/// # Errors
/// As [`Writer::array`].
pub fn digest_of_model(model: &EnergyModel) -> Result<String, String> {
    let mut writer = Writer::default();
    let mut json = put_model(&mut writer, model)?;
    json["name"] = Json::Null;
    Ok(hex(Sha256::digest(writer.finish(&json)?).as_slice()))
}

/// A digest of the modes and the cells of a tensor, whatever file they came from. One pass over the data.
pub fn digest_of_tensor(tensor: &Tensor) -> String {
    let Tensor { name: _, modes, storage, total, counts, mask } = tensor;
    let mut hash = Sha256::new();
    for factor in mask.iter().flat_map(|m| &m.factors) {
        hash.update(format!("{:?}", factor.scope.modes()));
        hash.update(bytemuck::cast_slice::<bool, u8>(&factor.observed));
    }
    let modes: Vec<Json> = modes.iter().map(put_mode).collect();
    let mut head = json!({ "modes": modes, "total": exact(*total), "counts": counts });
    match &**storage {
        Storage::Dense(Dense { shape, strides, values, .. }) => {
            head["dense"] = json!([type_name(values), shape, strides]);
            hash.update(head.to_string());
            crate::with_values!(values, values => hash.update(bytemuck::cast_slice::<_, u8>(values)));
        }
        Storage::Sparse(Sparse { shape, coordinates, values }) => {
            head["sparse"] = json!([shape, values.len()]);
            hash.update(head.to_string());
            for indices in coordinates {
                let wide: Vec<u32> = (0..indices.len()).map(|k| indices.at(k) as u32).collect();
                hash.update(bytemuck::cast_slice::<_, u8>(&wide));
            }
            hash.update(bytemuck::cast_slice::<_, u8>(values));
        }
    }
    hex(hash.finalize().as_slice())
}

/// A digest of the steps of a schedule, which a state belongs to.
pub fn digest_of_schedule(schedule: &Schedule) -> String {
    hex(Sha256::digest(format!("{:?}{:?}", schedule.buffers, schedule.steps)).as_slice())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

// ------------------------------------------------------------------ fits

/// Writes a fit without its model and data, its arrays under names that begin with `prefix`.
///
/// # Errors
/// As [`Writer::array`].
pub fn put_fit(writer: &mut Writer, prefix: &str, fit: &Fit) -> Result<Json, String> {
    let Fit {
        model: _,
        schedule: _,
        distribution,
        status,
        iterations,
        certificate,
        total,
        kl,
        data_entropy,
        mass,
        domain,
        counters,
        zero_marginals,
        learned,
    } = fit;
    let Distribution { modes, cliques, potentials, energies, temperature, log_mass } = distribution;
    let names = Names(modes);
    let mut put = |name: String, table: &Table| -> Result<Json, String> {
        // by pseudo-likelihood no distribution is computed
        if table.values.is_empty() {
            return Ok(json!({ "modes": names.put(&table.scope), "array": null }));
        }
        writer.array(&name, &table.shape, &table.values)?;
        Ok(json!({ "modes": names.put(&table.scope), "array": name }))
    };
    let mut tree = Vec::new();
    for (k, Clique { belief, parent, component }) in cliques.iter().enumerate() {
        let mut one = json!({ "modes": names.put(belief.scope()), "component": component });
        let factors = belief.factors();
        if factors.is_empty() {
            one["array"] = put(format!("{prefix}marginal.{k}"), belief)?["array"].take();
        } else {
            let factors = factors.iter().enumerate();
            let factors: Result<Vec<Json>, String> =
                factors.map(|(j, f)| put(format!("{prefix}factor.{k}.{j}"), f)).collect();
            one["log_factors"] = factors?.into();
        }
        if let Some((parent, separator)) = parent {
            one["parent"] = (*parent).into();
            one["separator"] = put(format!("{prefix}separator.{k}"), separator)?;
        }
        tree.push(one);
    }
    let mut free = Vec::new();
    for (k, table) in potentials.iter().enumerate() {
        free.push(put(format!("{prefix}log_factor.{k}"), table)?);
    }
    // fixed ones stand in the model; those of coefficients are as they were computed
    let mut weighed = Vec::new();
    if learned.is_some() {
        for (k, table) in energies.iter().enumerate() {
            weighed.push(put(format!("{prefix}weighed.{k}"), table)?);
        }
    }
    let Certificate { marginal_gap, optimality_gap, reason } = certificate;
    let Counters { operations, bytes, predicted, peak } = counters;
    let zeros = zero_marginals.iter().map(|ZeroMarginals { scope, count, cells }| {
        json!({ "modes": names.put(scope), "count": count, "cells": cells })
    });
    let domain = match domain {
        Some(domain) => cells::put_domain(writer, prefix, domain, &names)?,
        None => Json::Null,
    };
    Ok(json!({
        "mass": exact(*mass),
        "domain": domain,
        "status": status.word(),
        "iterations": iterations,
        "kl": exact(*kl),
        "total": exact(*total),
        "data_entropy": exact(*data_entropy),
        "marginal_gap": exact(*marginal_gap),
        "optimality_gap": optimality_gap.map(exact),
        "no_bound_because": reason,
        "operations": exact(*operations),
        "bytes": exact(*bytes),
        "predicted_operations": exact(predicted.operations),
        "predicted_bytes": exact(predicted.bytes),
        "peak": exact(*peak),
        "zero_marginals": zeros.collect::<Vec<_>>(),
        "temperature": exact(*temperature),
        "log_mass": log_mass.iter().map(|x| exact(*x)).collect::<Vec<_>>(),
        "cliques": tree,
        "log_factors": free,
        "learned": learned.as_deref().map(kept::put_learned),
        "weighed": weighed,
    }))
}

/// Reads what [`put_fit`] wrote.
///
/// # Errors
/// A phrase on what is wrong.
pub fn take_fit(
    reader: &mut Reader,
    prefix: &str,
    json: &Json,
    model: &Arc<EnergyModel>,
    schedule: &Arc<Schedule>,
) -> Result<Fit, String> {
    let names = Names(&model.modes);
    let belongs = |name: &Json| match text(name) {
        Ok(name) if name.starts_with(prefix) => Ok(()),
        _ => Err("an array of another fit is named".to_string()),
    };
    let mut table = |json: &Json| -> Result<Table, String> {
        if json["array"].is_null() {
            let scope = names.take(&json["modes"])?;
            return Ok(Table { shape: names.shape(&scope), scope, values: Vec::new() });
        }
        belongs(&json["array"])?;
        names.table(reader, names.take(&json["modes"])?, &json["array"])
    };
    let mut cliques: Vec<Clique> = Vec::new();
    for one in list(&json["cliques"])? {
        let belief = match one["log_factors"].as_array() {
            None => Belief::table(table(one)?),
            Some(factors) => {
                let scope = names.take(&one["modes"])?;
                let factors: Vec<Table> = factors.iter().map(&mut table).collect::<Result<_, _>>()?;
                if factors.iter().any(|f| !f.scope.is_subset(&scope)) {
                    return Err("a factor has modes its clique has not".into());
                }
                let shape = names.shape(&scope);
                Belief::product(scope, shape, factors, Vec::new())
            }
        };
        let parent = match &one["parent"] {
            Json::Null => None,
            parent => Some((whole(parent)?, table(&one["separator"])?)),
        };
        if let Some((above, separator)) = &parent {
            let inside = |belief: &Belief| separator.scope.is_subset(belief.scope());
            if !inside(&belief) || !cliques.get(*above).is_some_and(|c| inside(&c.belief)) {
                return Err("its cliques do not hang together".into());
            }
        }
        cliques.push(Clique { belief, parent, component: whole(&one["component"])? });
    }
    // counts on the support go by the plan
    let planned =
        schedule.places.iter().map(|p| (p.parent.map(|(above, _)| above), schedule.buffers.get(p.belief.0)));
    let planned = planned.map(|(above, buffer)| (above, buffer.map(|b| &b.scope)));
    let own = cliques.iter().map(|c| (c.parent.as_ref().map(|(above, _)| *above), Some(c.belief.scope())));
    // of the cells that can occur, or are observed, there is a list
    let listed = !json["domain"].is_null();
    if !listed && !planned.eq(own) {
        return Err("this version plans its model in another way: fit it again".into());
    }
    let covered: Scope = cliques.iter().flat_map(|c| c.belief.scope().modes().to_vec()).collect();
    let without = json["learned"]["pseudo_likelihood"] != Json::Null;
    if covered.len() != model.modes.len() && !without {
        return Err("some mode is in no clique".into());
    }
    let potentials = list(&json["log_factors"])?.iter().map(&mut table).collect::<Result<_, _>>()?;
    let learned = match &json["learned"] {
        Json::Null => None,
        learned => Some(Arc::new(kept::take_learned(learned)?)),
    };
    let energies: Vec<Arc<Table>> = if learned.is_some() {
        list(&json["weighed"])?.iter().map(|one| table(one).map(Arc::new)).collect::<Result<_, _>>()?
    } else {
        let fixed = model.interactions.iter().filter_map(|i| match &i.potential {
            Potential::Fixed(energy) => Some(Arc::clone(energy)),
            _ => None,
        });
        fixed.collect()
    };
    let distribution = Distribution {
        modes: model.modes.clone(),
        cliques,
        potentials,
        energies,
        temperature: number(&json["temperature"])?,
        log_mass: list(&json["log_mass"])?.iter().map(number).collect::<Result<_, _>>()?,
    };
    let zero = |one: &Json| -> Result<ZeroMarginals, String> {
        let scope = names.take(&one["modes"])?;
        let sizes = names.shape(&scope);
        let cell = |cell: &Json| -> Result<Vec<usize>, String> {
            let cell: Vec<usize> = list(cell)?.iter().map(whole).collect::<Result<_, _>>()?;
            let inside = cell.len() == sizes.len() && cell.iter().zip(&sizes).all(|(i, n)| i < n);
            if inside { Ok(cell) } else { Err("a cell lies outside".into()) }
        };
        let cells = list(&one["cells"])?.iter().map(cell).collect::<Result<_, _>>()?;
        Ok(ZeroMarginals { scope, count: whole(&one["count"])?, cells })
    };
    let optional = |json: &Json| if json.is_null() { Ok(None) } else { number(json).map(Some) };
    let total = number(&json["total"])?;
    Ok(Fit {
        mass: cells::take_mass(&json["mass"], total)?,
        domain: cells::take_domain(reader, prefix, &json["domain"], &names)?,
        model: Arc::clone(model),
        schedule: Arc::clone(schedule),
        distribution,
        status: status(text(&json["status"])?)?,
        iterations: whole(&json["iterations"])?,
        certificate: Certificate {
            marginal_gap: number(&json["marginal_gap"])?,
            optimality_gap: optional(&json["optimality_gap"])?,
            reason: json["no_bound_because"].as_str().map(str::to_string),
        },
        total,
        kl: number(&json["kl"])?,
        data_entropy: number(&json["data_entropy"])?,
        counters: take_counters(json)?,
        zero_marginals: list(&json["zero_marginals"])?.iter().map(zero).collect::<Result<_, _>>()?,
        learned,
    })
}

/// The word of the method that gives schedules this solver.
fn solver_name(solver: Solver) -> &'static str {
    METHODS.iter().find(|m| m.solver == solver).map_or("auto", |m| m.name)
}

fn solver_of(word: &str) -> Result<Solver, String> {
    let method = METHODS.iter().find(|m| m.name == word);
    method.map(|m| m.solver).ok_or_else(|| format!("`{word}` is not a method"))
}

/// A status by its word.
///
/// # Errors
/// When there is none of this word.
pub(super) fn status(word: &str) -> Result<Status, String> {
    let all = [
        Status::ClosedForm,
        Status::Converged,
        Status::Boundary,
        Status::Stopped,
        Status::Interrupted,
        Status::Approximate,
    ];
    all.into_iter().find(|s| s.word() == word).ok_or_else(|| format!("`{word}` is not a status"))
}
