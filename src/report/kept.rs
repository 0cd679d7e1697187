//! What is kept beside fits, whole and to the last bit: learned coefficients, balanced tensors and estimates; in
//! checkpoints, and by `save B to "b.npz"`.
//!
//! Structures are taken apart field by field, without `..`, as in `saved.rs`.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::archive::{Reader, Writer, exact, list, number, text, whole};
use super::results::BalanceResult;
use super::results::estimates::{EstimateResult, Found};
use super::saved::{WRITTEN_OUT, put_control, put_mode, status, take_control, take_mode, truth};
use crate::data::Content;
use crate::model::{Mode, Scope, Table};
use crate::run::approximate::{APPROXIMATIONS, Approximation};
use crate::run::balance::Balanced;
use crate::run::joint::Solution;
use crate::run::learned::{Coefficient, Finding, Learned};
use crate::run::monte_carlo::{Coverage, Estimate, Observed, Simulation, Work};
use crate::run::{Certificate, Control};

/// The result of a statement that is no fit.
#[derive(Debug, Clone)]
pub enum Other {
    /// Of `balance`.
    Balance(Arc<Balanced>),
    /// Of `estimate`.
    Estimate(Found),
    /// Of a `fit` to several tensors.
    Joint(Arc<Solution>),
}

/// A digest of numbers in their order, and of what they are.
pub fn digest<'a>(what: &Json, arrays: impl IntoIterator<Item = &'a [f64]>) -> String {
    let mut hash = Sha256::new();
    hash.update(what.to_string());
    for array in arrays {
        hash.update(array.len().to_le_bytes());
        hash.update(bytemuck::cast_slice::<_, u8>(array));
    }
    hash.finalize().as_slice().iter().map(|b| format!("{b:02x}")).collect()
}

/// Writes a result, its arrays under names that begin with `prefix`.
///
/// # Errors
/// As [`Writer::array`].
pub fn put_other(writer: &mut Writer, prefix: &str, other: &Other) -> Result<Json, String> {
    match other {
        Other::Balance(balanced) => {
            Ok(json!({ "kind": "balance", "balance": put_balanced(writer, prefix, balanced)? }))
        }
        Other::Joint(solution) => {
            Ok(json!({ "kind": "joint", "joint": put_solution(writer, prefix, solution)? }))
        }
        Other::Estimate(found) => {
            Ok(json!({ "kind": "estimate", "found": put_found(writer, prefix, found)? }))
        }
    }
}

/// Reads what [`put_other`] wrote.
///
/// # Errors
/// A phrase on what is wrong.
pub fn take_other(reader: &mut Reader, prefix: &str, json: &Json) -> Result<Other, String> {
    match text(&json["kind"])? {
        "balance" => take_balanced(reader, prefix, &json["balance"]).map(Arc::new).map(Other::Balance),
        "joint" => take_solution(reader, prefix, &json["joint"]).map(Arc::new).map(Other::Joint),
        "estimate" => take_found(reader, prefix, &json["found"]).map(Other::Estimate),
        other => Err(format!("`{other}` is not a kind of result")),
    }
}

fn optional(json: &Json) -> Result<Option<f64>, String> {
    if json.is_null() { Ok(None) } else { number(json).map(Some) }
}

fn strings(json: &Json) -> Result<Vec<String>, String> {
    list(json)?.iter().map(|t| text(t).map(str::to_string)).collect()
}

// ------------------------------------------------------------------ learned coefficients

/// Learned coefficients as metadata.
pub fn put_learned(learned: &Learned) -> Json {
    let Learned { coefficients, rank, dependencies, no_errors, pseudo_likelihood } = learned;
    let one = |c: &Coefficient| {
        let Coefficient { name, value, spread, finding } = c;
        let finding = match finding {
            Finding::Found => "found",
            Finding::Undetermined => "undetermined",
            Finding::Infinite => "infinite",
        };
        json!({ "name": name, "value": exact(*value), "spread": spread.map(exact), "finding": finding })
    };
    json!({
        "coefficients": coefficients.iter().map(one).collect::<Vec<_>>(),
        "rank": rank,
        "dependencies": dependencies,
        "no_errors": no_errors,
        "pseudo_likelihood": pseudo_likelihood.map(exact),
    })
}

/// Reads what [`put_learned`] wrote.
///
/// # Errors
/// A phrase on what is wrong.
pub fn take_learned(json: &Json) -> Result<Learned, String> {
    let one = |json: &Json| -> Result<Coefficient, String> {
        let finding = match text(&json["finding"])? {
            "found" => Finding::Found,
            "undetermined" => Finding::Undetermined,
            "infinite" => Finding::Infinite,
            other => return Err(format!("`{other}` is nothing that becomes of a coefficient")),
        };
        Ok(Coefficient {
            name: text(&json["name"])?.to_string(),
            value: number(&json["value"])?,
            spread: optional(&json["spread"])?,
            finding,
        })
    };
    Ok(Learned {
        coefficients: list(&json["coefficients"])?.iter().map(one).collect::<Result<_, _>>()?,
        rank: whole(&json["rank"])?,
        dependencies: list(&json["dependencies"])?.iter().map(strings).collect::<Result<_, _>>()?,
        no_errors: json["no_errors"].as_str().map(str::to_string),
        pseudo_likelihood: optional(&json["pseudo_likelihood"])?,
    })
}

// ------------------------------------------------------------------ joint fits

pub(super) fn put_solution(writer: &mut Writer, prefix: &str, solution: &Solution) -> Result<Json, String> {
    let Solution { parameters, gap, bound, iterations, stopped, interrupted, passes } = solution;
    writer.array(&format!("{prefix}parameters"), &[parameters.len()], parameters)?;
    Ok(json!({
        "gap": exact(*gap),
        "bound": bound.as_ref().ok().map(|b| exact(*b)),
        "reason": bound.as_ref().err(),
        "iterations": iterations,
        "stopped": stopped,
        "interrupted": interrupted,
        "passes": passes,
    }))
}

pub(super) fn take_solution(reader: &mut Reader, prefix: &str, json: &Json) -> Result<Solution, String> {
    let (_, parameters) = reader.array(&format!("{prefix}parameters"))?;
    Ok(Solution {
        parameters,
        gap: number(&json["gap"])?,
        bound: match optional(&json["bound"])? {
            Some(bound) => Ok(bound),
            None => Err(json["reason"].as_str().unwrap_or_default().to_string()),
        },
        iterations: whole(&json["iterations"])?,
        stopped: truth(&json["stopped"])?,
        interrupted: truth(&json["interrupted"])?,
        passes: whole(&json["passes"])?,
    })
}

// ------------------------------------------------------------------ balanced tensors

fn put_balanced(writer: &mut Writer, prefix: &str, balanced: &Balanced) -> Result<Json, String> {
    let Balanced { values, potentials, kl, status, iterations, products, certificate, cut } = balanced;
    let Certificate { marginal_gap, optimality_gap, reason } = certificate;
    writer.array(&format!("{prefix}balanced"), &[values.len()], values)?;
    for (k, potential) in potentials.iter().enumerate() {
        writer.array(&format!("{prefix}potential.{k}"), &[potential.len()], potential)?;
    }
    Ok(json!({
        "potentials": potentials.len(),
        "kl": exact(*kl),
        "status": status.word(),
        "iterations": iterations,
        "products": products,
        "marginal_gap": exact(*marginal_gap),
        "optimality_gap": optimality_gap.map(exact),
        "no_bound_because": reason,
        "cut": cut,
    }))
}

fn take_balanced(reader: &mut Reader, prefix: &str, json: &Json) -> Result<Balanced, String> {
    let mut array = |name: String| reader.array::<f64>(&name).map(|(_, values)| values);
    Ok(Balanced {
        values: array(format!("{prefix}balanced"))?,
        potentials: (0..whole(&json["potentials"])?)
            .map(|k| array(format!("{prefix}potential.{k}")))
            .collect::<Result<_, _>>()?,
        kl: number(&json["kl"])?,
        status: status(text(&json["status"])?)?,
        iterations: whole(&json["iterations"])?,
        products: whole(&json["products"])?,
        certificate: Certificate {
            marginal_gap: number(&json["marginal_gap"])?,
            optimality_gap: optional(&json["optimality_gap"])?,
            reason: json["no_bound_because"].as_str().map(str::to_string),
        },
        cut: whole(&json["cut"])?,
    })
}

// ------------------------------------------------------------------ estimates

fn put_found(writer: &mut Writer, prefix: &str, found: &Found) -> Result<Json, String> {
    match found {
        Found::Approximation(approximation, meaning) => {
            let Approximation { log_z, energy, entropy, marginals, beliefs, sweeps, residual, converged } =
                &**approximation;
            let own: Vec<usize> = marginals.iter().map(Vec::len).collect();
            let flat: Vec<f64> = marginals.iter().flatten().copied().collect();
            writer.array(&format!("{prefix}marginals"), &[flat.len()], &flat)?;
            let mut scopes = Vec::new();
            for (k, Table { scope, shape, values }) in beliefs.iter().enumerate() {
                writer.array(&format!("{prefix}belief.{k}"), shape, values)?;
                scopes.push(Json::from(scope.iter().collect::<Vec<usize>>()));
            }
            Ok(json!({
                "approximation": meaning,
                "log_z": exact(*log_z),
                "energy": exact(*energy),
                "entropy": exact(*entropy),
                "levels": own,
                "beliefs": scopes,
                "sweeps": sweeps,
                "residual": exact(*residual),
                "converged": converged,
            }))
        }
        Found::Simulation(simulation) => {
            let Simulation {
                energy,
                heat_capacity,
                magnetization,
                susceptibility,
                marginals,
                acceptance,
                trades,
                coverage,
            } = &**simulation;
            let own: Vec<usize> = marginals.iter().map(Vec::len).collect();
            let flat: Vec<f64> = marginals.iter().flatten().flat_map(|o| [o.value, o.error]).collect();
            writer.array(&format!("{prefix}marginals"), &[flat.len() / 2, 2], &flat)?;
            Ok(json!({
                "simulation": true,
                "energy": put_estimate(energy),
                "heat_capacity": put_observed(heat_capacity),
                "magnetization": magnetization.as_ref().map(put_estimate),
                "susceptibility": susceptibility.as_ref().map(put_observed),
                "levels": own,
                "acceptance": acceptance.map(exact),
                "trades": trades.map(exact),
                "coverage": coverage.as_ref().map(put_coverage),
            }))
        }
        Found::Work(done) => {
            let Work { work, log_cells, back } = &**done;
            writer.array(&format!("{prefix}work"), &[work.len()], work)?;
            Ok(json!({ "work": true, "log_cells": exact(*log_cells), "back": back }))
        }
    }
}

/// A flat list cut into pieces of these lengths.
fn cut<T: Clone>(flat: &[T], lengths: &Json) -> Result<Vec<Vec<T>>, String> {
    let mut rest = flat;
    let mut pieces = Vec::new();
    for length in list(lengths)? {
        let (own, more) = rest.split_at_checked(whole(length)?).ok_or("its marginals are too few")?;
        pieces.push(own.to_vec());
        rest = more;
    }
    if rest.is_empty() { Ok(pieces) } else { Err("its marginals are too many".into()) }
}

fn take_found(reader: &mut Reader, prefix: &str, json: &Json) -> Result<Found, String> {
    let named = |name: &str| format!("{prefix}{name}");
    if let Some(meaning) = json["approximation"].as_str() {
        let method = APPROXIMATIONS.iter().find(|m| m.meaning == meaning);
        let meaning = method.map(|m| m.meaning).ok_or("it is of a method that this version does not have")?;
        let mut beliefs = Vec::new();
        for (k, scope) in list(&json["beliefs"])?.iter().enumerate() {
            let scope: Scope = list(scope)?.iter().map(whole).collect::<Result<_, _>>()?;
            let (shape, values) = reader.array(&named(&format!("belief.{k}")))?;
            if shape.len() != scope.len() {
                return Err("a distribution has another shape than its modes".into());
            }
            beliefs.push(Table { scope, shape, values });
        }
        let approximation = Approximation {
            log_z: number(&json["log_z"])?,
            energy: number(&json["energy"])?,
            entropy: number(&json["entropy"])?,
            marginals: cut(&reader.array::<f64>(&named("marginals"))?.1, &json["levels"])?,
            beliefs,
            sweeps: whole(&json["sweeps"])?,
            residual: number(&json["residual"])?,
            converged: truth(&json["converged"])?,
        };
        return Ok(Found::Approximation(Arc::new(approximation), meaning));
    }
    if json["work"] == true {
        let (_, work) = reader.array(&named("work"))?;
        let (log_cells, back) = (number(&json["log_cells"])?, truth(&json["back"])?);
        return Ok(Found::Work(Arc::new(Work { work, log_cells, back })));
    }
    let pairs: Vec<Observed> = reader
        .array::<f64>(&named("marginals"))?
        .1
        .chunks_exact(2)
        .map(|pair| Observed { value: pair[0], error: pair[1] })
        .collect();
    let some = |json: &Json| (!json.is_null()).then(|| json.clone());
    Ok(Found::Simulation(Arc::new(Simulation {
        energy: take_estimate(&json["energy"])?,
        heat_capacity: take_observed(&json["heat_capacity"])?,
        magnetization: some(&json["magnetization"]).map(|e| take_estimate(&e)).transpose()?,
        susceptibility: some(&json["susceptibility"]).map(|o| take_observed(&o)).transpose()?,
        marginals: cut(&pairs, &json["levels"])?,
        acceptance: optional(&json["acceptance"])?,
        trades: optional(&json["trades"])?,
        coverage: some(&json["coverage"]).map(|c| take_coverage(&c)).transpose()?,
    })))
}

fn put_coverage(coverage: &Coverage) -> Json {
    let Coverage { proposals, effective, longest_stay, moves } = coverage;
    json!({
        "proposals": proposals,
        "effective": exact(*effective),
        "longest_stay": longest_stay,
        "moves": moves,
    })
}

fn take_coverage(json: &Json) -> Result<Coverage, String> {
    Ok(Coverage {
        proposals: whole(&json["proposals"])?,
        effective: number(&json["effective"])?,
        longest_stay: whole(&json["longest_stay"])?,
        moves: whole(&json["moves"])?,
    })
}

fn put_estimate(estimate: &Estimate) -> Json {
    let Estimate { mean, error, autocorrelation_time, effective_samples, reliable } = estimate;
    json!({
        "mean": exact(*mean),
        "error": exact(*error),
        "autocorrelation_time": exact(*autocorrelation_time),
        "effective_samples": exact(*effective_samples),
        "reliable": reliable,
    })
}

fn take_estimate(json: &Json) -> Result<Estimate, String> {
    Ok(Estimate {
        mean: number(&json["mean"])?,
        error: number(&json["error"])?,
        autocorrelation_time: number(&json["autocorrelation_time"])?,
        effective_samples: number(&json["effective_samples"])?,
        reliable: truth(&json["reliable"])?,
    })
}

fn put_observed(observed: &Observed) -> Json {
    let Observed { value, error } = observed;
    json!([exact(*value), exact(*error)])
}

fn take_observed(json: &Json) -> Result<Observed, String> {
    Ok(Observed { value: number(&json[0])?, error: number(&json[1])? })
}

/// Whether a result belongs to these modes: as many marginals as modes, as many cells as there are.
pub fn belongs(other: &Other, modes: &[Mode]) -> bool {
    let sizes = || modes.iter().map(Mode::size);
    match other {
        Other::Balance(balanced) => {
            let cells = sizes().try_fold(1usize, usize::checked_mul);
            cells == Some(balanced.values.len())
        }
        Other::Estimate(Found::Approximation(a, _)) => a.marginals.iter().map(Vec::len).eq(sizes()),
        Other::Estimate(Found::Simulation(s)) => s.marginals.iter().map(Vec::len).eq(sizes()),
        Other::Estimate(Found::Work(_)) => true,
        // its parameters are those of a layout, not of modes
        Other::Joint(_) => false,
    }
}

// ------------------------------------------------------------------ archives

/// What the metadata of an archive with a balanced tensor say it is.
pub const BALANCE: &str = "mba balance";
/// What those of one with an estimate say.
pub const ESTIMATE: &str = "mba estimate";
/// The version of both layouts.
pub(super) const VERSION: u64 = 1;

/// A balanced tensor with what its results need, as it is kept in an archive.
#[derive(Debug, Clone)]
pub struct KeptBalance {
    /// Its modes.
    pub modes: Vec<Mode>,
    /// The modes of each margin, by their places.
    pub margins: Vec<Scope>,
    /// The names of the tensors that were its margins.
    pub names: Vec<String>,
    /// The total of each margin.
    pub total: f64,
    /// How it was asked for.
    pub control: Control,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The solution.
    pub solution: Arc<Balanced>,
}

/// What an archive is, by its metadata; none when it says nothing.
pub fn kind(content: &Content) -> Option<String> {
    let metadata = Reader::new(content).and_then(|mut reader| reader.metadata()).ok()?;
    metadata["format"].as_str().map(str::to_string)
}

/// Opens an archive of this format and of the version of the layout that is written here.
pub(super) fn open(content: &Content, format: &str) -> Result<(Reader, Json), String> {
    let mut reader = Reader::new(content)?;
    let metadata = reader.metadata()?;
    if metadata["format"] == format && metadata["version"] == VERSION {
        return Ok((reader, metadata));
    }
    Err(format!("it is not what this version keeps as `{format}`"))
}

fn put_modes(modes: &[Mode]) -> Json {
    modes.iter().map(put_mode).collect()
}

fn take_modes(json: &Json) -> Result<Vec<Mode>, String> {
    list(json)?.iter().map(take_mode).collect()
}

/// The bytes of a balanced tensor: its solution, and its cells on the scale of the margins for other programs.
///
/// # Errors
/// As [`Writer::array`].
pub fn encode_balance(result: &BalanceResult, names: &[String]) -> Result<Vec<u8>, String> {
    let BalanceResult { fit, balanced, margins } = result;
    let modes = &fit.fit.model.modes;
    let mut writer = Writer::default();
    let own = put_other(&mut writer, "", &Other::Balance(Arc::clone(balanced)))?;
    if balanced.values.len() <= WRITTEN_OUT {
        let shape: Vec<usize> = modes.iter().map(Mode::size).collect();
        let cells: Vec<f64> = balanced.values.iter().map(|b| b * fit.fit.total).collect();
        writer.array("reconstruction", &shape, &cells)?;
    }
    let scopes: Vec<Vec<usize>> = margins.iter().map(|m| m.iter().collect()).collect();
    writer.finish(&json!({
        "format": BALANCE,
        "version": VERSION,
        "mba": env!("CARGO_PKG_VERSION"),
        "name": fit.name,
        "seconds": exact(fit.seconds),
        "modes": put_modes(modes),
        "margins": scopes,
        "margin_names": names,
        "total": exact(fit.fit.total),
        "control": put_control(&fit.control),
        "result": own,
    }))
}

/// Reads what [`encode_balance`] wrote.
///
/// # Errors
/// A phrase on what is wrong with the file.
pub fn decode_balance(content: &Content) -> Result<KeptBalance, String> {
    let (mut reader, metadata) = open(content, BALANCE)?;
    let modes = take_modes(&metadata["modes"])?;
    let other = take_other(&mut reader, "", &metadata["result"])?;
    let fits = belongs(&other, &modes);
    let (Other::Balance(solution), true) = (other, fits) else {
        return Err("its cells are not those of its modes".into());
    };
    let scope = |json: &Json| -> Result<Scope, String> {
        let scope: Scope = list(json)?.iter().map(whole).collect::<Result<_, _>>()?;
        let inside = scope.iter().all(|m| m < modes.len());
        if inside { Ok(scope) } else { Err("a margin has modes that it has not".into()) }
    };
    let margins: Vec<Scope> = list(&metadata["margins"])?.iter().map(scope).collect::<Result<_, _>>()?;
    if margins.len() != solution.potentials.len() {
        return Err("it has not as many potentials as margins".into());
    }
    Ok(KeptBalance {
        margins,
        modes,
        names: strings(&metadata["margin_names"])?,
        total: number(&metadata["total"])?,
        control: take_control(&metadata["control"])?,
        seconds: number(&metadata["seconds"])?,
        solution,
    })
}

/// The bytes of an estimate.
///
/// # Errors
/// As [`Writer::array`].
pub fn encode_estimate(result: &EstimateResult) -> Result<Vec<u8>, String> {
    let EstimateResult { name, model, method, about: _, modes, temperature, effort, found } = result;
    let mut writer = Writer::default();
    let own = put_other(&mut writer, "", &Other::Estimate(found.clone()))?;
    writer.finish(&json!({
        "format": ESTIMATE,
        "version": VERSION,
        "mba": env!("CARGO_PKG_VERSION"),
        "name": name,
        "model": model,
        "method": method,
        "modes": put_modes(modes),
        "temperature": exact(*temperature),
        "effort": effort,
        "result": own,
    }))
}

/// Reads what [`encode_estimate`] wrote, under a name of its own. `methods` are those of this version, each with
/// what it is.
///
/// # Errors
/// A phrase on what is wrong with the file.
pub fn decode_estimate(
    content: &Content,
    name: &str,
    methods: &[(&'static str, &'static str)],
) -> Result<EstimateResult, String> {
    let (mut reader, metadata) = open(content, ESTIMATE)?;
    let modes = take_modes(&metadata["modes"])?;
    let other = take_other(&mut reader, "", &metadata["result"])?;
    let fits = belongs(&other, &modes);
    let (Other::Estimate(found), true) = (other, fits) else {
        return Err("its marginals are not those of its modes".into());
    };
    let method = text(&metadata["method"])?;
    let known = methods.iter().find(|(name, _)| *name == method);
    let (method, about) = *known.ok_or_else(|| format!("`{method}` is not a method of this version"))?;
    Ok(EstimateResult {
        name: name.to_string(),
        model: text(&metadata["model"])?.to_string(),
        method,
        about,
        modes: Arc::new(modes),
        temperature: number(&metadata["temperature"])?,
        effort: text(&metadata["effort"])?.to_string(),
        found,
    })
}
