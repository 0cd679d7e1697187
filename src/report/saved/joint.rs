//! A fit to several tensors as an archive: the model, the data and the numbers it ended with, from which the fit of each
//! tensor follows. Arrays of a tensor stand under its number.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::archive::{Reader, Within, Writer, exact, list, number, text};
use super::super::kept::{VERSION, open, put_solution, take_solution};
use super::super::results::{FitResult, HeldOut, JointResult};
use super::{
    WRITTEN_OUT, cells, put_control, put_model, put_tensor, solver_name, solver_of, take_control,
    take_counters, take_model, take_tensor,
};
use crate::data::Content;
use crate::model::{EnergyModel, Mode};
use crate::plan::joint::{Member, part, schedule};
use crate::plan::{Options, Profile};
use crate::run::joint::{Joint, Part, Start, execute};
use crate::run::masked::regular::Pseudo;
use crate::run::{Counters, Silent};
use crate::text::Span;

/// What the metadata say the archive is.
pub const FORMAT: &str = "mba joint fit";

/// The bytes of a joint fit with its model and its data.
///
/// # Errors
/// When some data are larger than the memory budget. The bytes are built in memory.
pub fn encode(result: &JointResult) -> Result<Vec<u8>, String> {
    let JointResult { name, joint, data, parts, weights, control, seconds, span: _ } = result;
    // all else follows from these
    let Joint { model, schedule, solution, counters, pseudo, .. } = &**joint;
    let Counters { operations, bytes, predicted, peak } = counters;
    let mut writer = Writer::default();
    let own = put_model(&mut writer, model)?;
    let solution = put_solution(&mut writer, "", solution)?;
    let mut tensors = Vec::new();
    for (t, ((part, weight), pseudo)) in parts.iter().zip(weights).zip(pseudo).enumerate() {
        let FitResult { fit, tensor, held_out, memory, .. } = part;
        tensors.push(writer.within(&format!("{t}."), |writer| -> Result<Json, String> {
            if let Some(table) = fit.distribution.dense(WRITTEN_OUT) {
                let values: Vec<f64> = table.values.iter().map(|q| q * fit.mass).collect();
                writer.array("fitted", &table.shape, &values)?;
            }
            if let Some(pseudo) = pseudo {
                writer.array("pseudo", &[pseudo.values.len()], &pseudo.values)?;
            }
            Ok(json!({
                "weight": exact(*weight),
                "data": put_tensor(writer, tensor, *memory)?,
                "pseudo_exposure": pseudo.as_ref().map(|p| exact(p.exposure)),
                "held_out": cells::put_held_out(writer, held_out.as_ref())?,
            }))
        })?);
    }
    writer.finish(&json!({
        "format": FORMAT,
        "version": VERSION,
        "mba": env!("CARGO_PKG_VERSION"),
        "name": name,
        "data": data,
        "seconds": exact(*seconds),
        "control": put_control(control),
        "method": solver_name(schedule.solver),
        "model": own,
        "solution": solution,
        "operations": exact(*operations),
        "bytes": exact(*bytes),
        "predicted_operations": exact(predicted.operations),
        "predicted_bytes": exact(predicted.bytes),
        "peak": exact(*peak),
        "tensors": tensors,
    }))
}

/// What can be known of a saved joint fit before its numbers are read: its model, and the names of its tensors.
///
/// # Errors
/// A phrase on what is wrong with the file.
pub fn outline(content: &Content, span: Span) -> Result<(EnergyModel, Vec<String>), String> {
    let (mut reader, metadata) = open(content, FORMAT)?;
    let model = take_model(&mut reader, &metadata["model"], span)?;
    let name = |tensor: &Json| Ok(text(&tensor["data"]["name"])?.to_string());
    let names = list(&metadata["tensors"])?.iter().map(name).collect::<Result<_, String>>()?;
    Ok((model, names))
}

/// The joint fit, under a name of its own. One pass over the cells of its tensors.
///
/// # Errors
/// A phrase on what is wrong with the file.
pub fn decode(content: &Content, name: &str, memory: u64, span: Span) -> Result<JointResult, String> {
    let (mut reader, metadata) = open(content, FORMAT)?;
    let model = Arc::new(take_model(&mut reader, &metadata["model"], span)?);
    let control = take_control(&metadata["control"])?;
    let (mut parts, mut members, mut held, mut weights) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (t, one) in list(&metadata["tensors"])?.iter().enumerate() {
        let weight = number(&one["weight"])?;
        let (part, held_out) = reader.within(&format!("{t}."), |reader| take_part(reader, one, &model))?;
        members.push(Member {
            name: part.tensor.name.clone(),
            weight,
            modes: part.modes.clone(),
            profile: Profile::of(&part.tensor),
        });
        weights.push(weight);
        parts.push(part);
        held.push(held_out);
    }
    let unplanned = |_| "this version cannot plan its model".to_string();
    let options = Options { memory: u64::MAX, solver: solver_of(text(&metadata["method"])?)? };
    let (schedule, layout) = schedule(&model, &members, &options).map_err(unplanned)?;
    let solution = take_solution(&mut reader, "", &metadata["solution"])?;
    if solution.parameters.len() != layout.tables.parameters {
        return Err("its parameters are not those of its model".into());
    }
    let what = (&Arc::new(schedule), &layout);
    let mut joint = execute(what, &model, &parts, &control, &mut Silent, Start::At(solution))
        .map_err(|_| "its model and its data do not fit together".to_string())?;
    joint.counters = take_counters(&metadata)?;
    let seconds = number(&metadata["seconds"])?;
    let all = joint.parts.iter().zip(parts).zip(held);
    let results = all.map(|((fit, part), held_out)| FitResult {
        name: format!("{name}.of({})", part.tensor.name),
        fit: Arc::clone(fit),
        tensor: part.tensor,
        joint: Some(Arc::from(name)),
        held_out,
        control,
        memory,
        seconds,
        span,
    });
    Ok(JointResult {
        name: name.to_string(),
        parts: results.collect(),
        data: text(&metadata["data"])?.to_string(),
        weights,
        control,
        seconds,
        span,
        joint: Arc::new(joint),
    })
}

/// A tensor with its place in the model, and what was held out of it.
fn take_part(
    reader: &mut Reader,
    json: &Json,
    model: &EnergyModel,
) -> Result<(Part, Option<HeldOut>), String> {
    let tensor = take_tensor(reader, &json["data"])?;
    let same = |own: &Mode, mode: &Mode| own.name == mode.name && own.size() == mode.size();
    let place = |mode: &Mode| model.modes.iter().position(|own| same(own, mode));
    let modes: Vec<usize> = tensor.modes.iter().filter_map(place).collect();
    if modes.len() != tensor.modes.len() {
        return Err("its model and its data have different modes".into());
    }
    let sizes: Vec<usize> = tensor.modes.iter().map(Mode::size).collect();
    let pseudo = match &json["pseudo_exposure"] {
        Json::Null => None,
        exposure => {
            let (_, values) = reader.array::<f64>("pseudo")?;
            if values.len() != sizes.iter().product::<usize>() {
                return Err("its pseudo-data are not those of its cells".into());
            }
            Some(Arc::new(Pseudo { values, exposure: number(exposure)? }))
        }
    };
    let held_out = cells::take_held_out(reader, &json["held_out"], &sizes)?;
    let weight = number(&json["weight"])?;
    let own = Arc::new(part(model, &modes));
    Ok((Part { tensor: Arc::new(tensor), model: own, modes, weight, pseudo }, held_out))
}
