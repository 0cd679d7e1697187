//! What can be written at a place in a text, in the light of what is declared.

use super::{Host, Session, library};
use crate::data::Format;
use crate::model::declarations::ModelEntry;
use crate::model::family::FAMILIES;
use crate::model::{Mode, constant};
use crate::plan::method::METHODS as METHODS_OF_FITTING;
use crate::report::results::estimates::ESTIMATES;
use crate::report::results::{
    self, BALANCE_FIELDS, Environment, FIELDS, FUNCTIONS, JOINT_FIELDS, LAST, METHODS, OBSERVABLES, OF,
    Object, QUESTIONS, WHOLES, tensor_fields,
};
use crate::report::value::Value;
use crate::text::cursor::Block;
use crate::text::{Code, Cursor, SourceId, parse_expression};

/// Levels of a mode beyond this many are not offered.
const MAX_LEVELS: usize = 500;

/// What can take the place of a part of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    /// Where the part begins; it ends at the place asked about.
    pub start: usize,
    /// What can stand there, in alphabetical order.
    pub candidates: Vec<String>,
}

/// What can be written at the place `at` of `text`.
///
/// Cost: linear in the text and in the number of names; a folder is listed when a path is asked for.
pub fn complete(session: &Session, text: &str, at: usize, host: &dyn Host) -> Completion {
    let cursor = Cursor::new(text, at);
    if cursor.string {
        return string(&cursor, host);
    }
    let mut candidates = candidates(session, &cursor);
    candidates.retain(|c| begins(c, cursor.word) && c != cursor.word);
    candidates.sort();
    candidates.dedup();
    Completion { start: cursor.start, candidates }
}

/// Files below a folder whose names begin like `written` and that end in one of the endings.
pub fn files(written: &str, endings: &[&str], host: &dyn Host) -> Vec<String> {
    let (folder, name) = written.rsplit_once('/').map_or(("", written), |(f, n)| (f, n));
    let prefix = &written[..written.len() - name.len()];
    let fits = |entry: &String| {
        let hidden = entry.starts_with('.') && !name.starts_with('.');
        let ending = entry.ends_with('/') || endings.is_empty() || endings.iter().any(|e| entry.ends_with(e));
        entry.starts_with(name) && !hidden && ending
    };
    let folder = if folder.is_empty() && written.starts_with('/') { "/" } else { folder };
    let mut found: Vec<String> =
        host.list(folder).into_iter().filter(fits).map(|entry| format!("{prefix}{entry}")).collect();
    found.sort();
    found
}

/// The names of all codes.
pub fn codes() -> Vec<String> {
    Code::ALL.iter().map(|c| c.name().to_string()).collect()
}

fn begins(candidate: &str, word: &str) -> bool {
    candidate.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn string(cursor: &Cursor<'_>, host: &dyn Host) -> Completion {
    let endings: &[&str] = match (cursor.statement, cursor.clause) {
        ("use", _) => &[".mba"],
        ("load", _) => &[".npz"],
        ("data", _) => &[],
        ("save" | "plot", "to") => &[],
        _ => return Completion { start: cursor.start, candidates: Vec::new() },
    };
    Completion { start: cursor.start, candidates: files(cursor.word, endings, host) }
}

fn candidates(session: &Session, cursor: &Cursor<'_>) -> Vec<String> {
    if let Some(comment) = cursor.comment {
        let word = comment.split_whitespace().next();
        return if matches!(word, Some("allow" | "warn" | "deny")) { codes() } else { Vec::new() };
    }
    if let Some(base) = cursor.base {
        return fields(session, base);
    }
    if cursor.previous == "error" && cursor.block == Block::Test {
        return codes();
    }
    if let Some((bracket, callee)) = cursor.bracket {
        return in_bracket(session, cursor, bracket, callee);
    }
    if let Some(levels) = cursor.of.map(|mode| levels(session, mode)).filter(|l| !l.is_empty()) {
        return levels;
    }
    if cursor.first {
        return beginnings(session, cursor);
    }
    let mut found: Vec<String> = cursor.keywords.iter().map(|k| k.to_string()).collect();
    // a clause that is there already does not come again
    found.retain(|k| k != cursor.clause);
    // and before the first one nothing else can come
    if cursor.clause == cursor.head && !matches!(cursor.head, "" | "mode" | "latent") {
        found.truncate(if cursor.head == "estimate" { 2 } else { 1 });
    }
    let after_clause = cursor.previous == cursor.clause && !cursor.clause.is_empty();
    match (cursor.block, cursor.head, cursor.clause) {
        (Block::Model, _, "over") => return modes(session),
        (Block::Model, "prior", "toward") if after_clause => return models(session),
        (Block::Model, _, _) => {
            if after_clause || is_sign(cursor.previous) {
                return model_expression(session);
            }
            return found
                .into_iter()
                .chain(if cursor.head.is_empty() { families(session) } else { vec![] })
                .collect();
        }
        (Block::Options, ..) => return expression(session),
        (Block::Test, ..) | (_, "show" | "save" | "plot", _) if after_clause || is_sign(cursor.previous) => {
            return if cursor.clause == "to" { Vec::new() } else { expression(session) };
        }
        (_, "model", "over") => return modes(session),
        (_, "fit", "fit") | (_, "estimate", "estimate") if after_clause => return models(session),
        (_, "sweep", "sweep") if after_clause => return models(session),
        (_, "sweep", "over") if after_clause => {
            return params(session).into_iter().chain(["temperature".to_string()]).collect();
        }
        (_, "balance", "to") if after_clause => return vec!["margins".into()],
        (_, "fit", "to") if after_clause => return tensors(session),
        (_, "fit", "by") if after_clause => {
            return METHODS_OF_FITTING.iter().map(|m| m.name.to_string()).collect();
        }
        (_, "estimate", "by") if after_clause => {
            return super::estimators().into_iter().map(|(name, _)| name.to_string()).collect();
        }
        (_, _, "as") if after_clause => return Vec::new(),
        (_, "use", _) => return library::MODULES.iter().map(|m| m.name.to_string()).collect(),
        (_, "data", "format") if after_clause => {
            return Format::names().map(str::to_string).collect();
        }
        (_, "data", "drop") if after_clause => return vec!["na".into()],
        (_, "data", "data") | (_, "mode" | "param" | "model", _) if after_clause => return Vec::new(),
        (_, "param" | "sweep", _) if is_sign(cursor.previous) => {
            return functions().chain(params(session)).collect();
        }
        (_, "data", _) if cursor.previous == "=" => return vec!["sample".into()],
        (_, "", _) => return expression(session),
        _ => {}
    }
    found
}

/// What can stand where a statement, an item or an option begins.
fn beginnings(session: &Session, cursor: &Cursor<'_>) -> Vec<String> {
    let keywords = cursor.keywords.iter().map(|k| k.to_string());
    match cursor.block {
        Block::File => keywords.chain(expression(session)).collect(),
        Block::Model => keywords.chain(families(session)).collect(),
        Block::Test => keywords.collect(),
        Block::Options if cursor.statement == "estimate" => {
            super::estimate_options().iter().map(|(name, _)| (*name).to_string()).collect()
        }
        Block::Options => super::fit_options::option_names().map(str::to_string).collect(),
    }
}

fn in_bracket(session: &Session, cursor: &Cursor<'_>, bracket: char, callee: &str) -> Vec<String> {
    let in_model = cursor.block == Block::Model;
    if let Some(mode) = cursor.of {
        let found = levels(session, mode);
        if !found.is_empty() {
            return found;
        }
    }
    if let Some((base, method)) = callee.rsplit_once('.') {
        if matches!(method, "log_likelihood") {
            return tensors(session);
        }
        if let (Some(tensors), "of") = (session.tensors_of(base), method) {
            return tensors;
        }
        if let Ok(Object::Fit(fit)) = quick(session, base) {
            return fit.fit.model.modes.iter().map(mode_name).collect();
        }
        if let Ok(Object::Value(Value::Array(array))) = quick(session, callee) {
            return array.modes.iter().map(mode_name).collect();
        }
        return modes(session);
    }
    match (bracket, cursor.head) {
        ('[', "data") | ('[', "without" | "tie" | "smooth") => modes(session),
        ('[', _) if in_model => modes(session).into_iter().chain(params(session)).collect(),
        ('(', "fit" | "model") | ('(', _) if in_model || cursor.head == "fit" => {
            let template =
                session.declarations.models.get(callee).and_then(|m| m.declaration.params.as_ref());
            let named = template.into_iter().flatten().map(|p| p.name.name.clone());
            named.chain(modes(session)).chain(params(session)).collect()
        }
        ('(', "data") if callee == "sample" => models(session),
        ('(', "balance") if callee == "margins" => tensors(session),
        _ if FUNCTIONS.iter().any(|f| f.name == callee) => fits(session),
        _ => expression(session),
    }
}

/// What can be asked of what stands before a dot.
fn fields(session: &Session, base: &str) -> Vec<String> {
    match quick(session, base) {
        Ok(Object::Fit(_)) => {
            let fields = FIELDS.iter().map(|f| f.name).chain(METHODS.iter().map(|m| m.name));
            fields.map(str::to_string).collect()
        }
        Ok(Object::Joint(_)) => {
            JOINT_FIELDS.iter().map(|f| f.name.to_string()).chain([OF.0.to_string()]).collect()
        }
        Ok(Object::Balanced(_)) => {
            BALANCE_FIELDS.iter().map(|f| f.name.to_string()).chain(["mean".to_string()]).collect()
        }
        Ok(Object::Estimate(_)) => {
            ESTIMATES.iter().map(|f| f.name.to_string()).chain(["marginal".to_string()]).collect()
        }
        Ok(Object::Ensemble(_) | Object::Curve(_)) => {
            let names = OBSERVABLES.iter().map(|o| o.name).chain(WHOLES.iter().map(|w| w.name));
            names.chain(QUESTIONS.iter().map(|q| q.name)).map(str::to_string).collect()
        }
        Ok(Object::Tensor(_)) => tensor_fields().map(str::to_string).collect(),
        Ok(Object::Value(Value::Record(parts))) => parts.into_iter().map(|(name, _)| name).collect(),
        Ok(Object::Value(Value::Table(rows))) => rows.columns,
        Ok(Object::Value(_)) => Vec::new(),
        // data that have not been read, and fits that are still to come
        Err(()) if session.bound.contains_key(base) => tensor_fields().map(str::to_string).collect(),
        Err(()) => Vec::new(),
    }
}

/// What an expression stands for, when that costs nothing to find out.
fn quick(session: &Session, text: &str) -> Result<Object, ()> {
    const CHEAP: &[&str] = &["certificate", "cost"];
    let name = |n: &str| n == LAST || fits(session).iter().any(|f| f == n) || answers(session, n);
    let cheap = match text.split_once('.') {
        None => name(text) || session.tensors.borrow().contains_key(text),
        Some((fit, field)) => {
            name(fit)
                && (CHEAP.contains(&field)
                    || field
                        .strip_prefix("of(")
                        .is_some_and(|rest| rest.find(')') == rest.len().checked_sub(1))
                    || ["fitted", "residuals"].contains(&field) && small(session, fit))
        }
    } || text.starts_with("compare(");
    if !cheap {
        return Err(());
    }
    let expr = parse_expression(SourceId::default(), text).map_err(|_| ())?;
    results::object(&expr, session).map_err(|_| ())
}

/// Whether a model has been asked for as a distribution, so that it can be asked again at no cost.
fn answers(session: &Session, model: &str) -> bool {
    session.ensembles.borrow().contains_key(model)
}

/// Whether every cell of a fit can be looked at while a person waits for a key.
fn small(session: &Session, fit: &str) -> bool {
    session.fit(fit).is_some_and(|f| f.tensor.cells() < 100_000u32.into())
}

fn is_sign(previous: &str) -> bool {
    let signs = ["and", "or", "not", "mod", "if", "else", "within", "expect", "snapshot"];
    signs.contains(&previous)
        || (!previous.is_empty() && previous.chars().all(|c| "=+-*/^<>!~,{(".contains(c)))
}

fn owned<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.cloned().collect()
}

/// The names of all fits, balanced tensors, estimates and sweeps.
pub fn fits(session: &Session) -> Vec<String> {
    let mut found: Vec<String> = session.planned.iter().map(|p| p.name.clone()).collect();
    found.extend(session.balances.iter().map(|b| b.name.clone()));
    found.extend(session.estimates.keys().cloned());
    found.extend(session.sweeps.keys().cloned());
    found
}

/// The names of all models.
pub fn models(session: &Session) -> Vec<String> {
    owned(session.declarations.models.keys())
}

/// The names of all data.
pub fn tensors(session: &Session) -> Vec<String> {
    owned(session.declarations.tensors.keys())
}

/// The names of all params.
pub fn params(session: &Session) -> Vec<String> {
    owned(session.declarations.params.keys())
}

fn modes(session: &Session) -> Vec<String> {
    owned(session.declarations.modes.keys())
}

fn families(session: &Session) -> Vec<String> {
    let templates = session.declarations.models.iter().filter(|(_, m)| ModelEntry::is_template(m));
    FAMILIES.iter().map(|f| f.name.to_string()).chain(templates.map(|(name, _)| name.clone())).collect()
}

fn functions() -> impl Iterator<Item = String> {
    constant::function_names().map(str::to_string)
}

/// Names in an expression over results.
fn expression(session: &Session) -> Vec<String> {
    let mut found = fits(session);
    found.extend(tensors(session));
    found.extend(params(session));
    found.extend(FUNCTIONS.iter().map(|f| f.name.to_string()));
    found.extend(functions());
    found
}

/// Names in an energy.
fn model_expression(session: &Session) -> Vec<String> {
    let mut found = modes(session);
    found.extend(params(session));
    found.extend(functions());
    found
}

fn levels(session: &Session, mode: &str) -> Vec<String> {
    let Some(mode) = session.known.get(mode).filter(|m| m.size() <= MAX_LEVELS) else { return Vec::new() };
    let label = |i: usize| {
        let label = mode.label(i).into_owned();
        let plain = label.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !label.starts_with(|c: char| c.is_ascii_digit());
        let number = label.parse::<f64>().is_ok();
        if plain || number {
            label
        } else {
            format!("\"{}\"", label.replace('\\', "\\\\").replace('"', "\\\""))
        }
    };
    (0..mode.size()).map(label).collect()
}

fn mode_name(mode: &Mode) -> String {
    mode.name.split('[').next().unwrap_or(&mode.name).to_string()
}
