//! Checkpoints: what a run has done so far, in one file that is written whole or not at all, and going on
//! from it with the same bits as a run that never stopped.
//!
//! A checkpoint holds, for each fit that is done, its result without model and data, for the one that was
//! running its state between two sweeps, and the balanced tensors and estimates that are done. With each stand digests of the model, the data and the plan, and the
//! options: where one of them differs, going on would give something else, and is refused.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::{Host, PlannedFit, Session};
use crate::data::Tensor;
use crate::report::archive::{Reader, Writer, exact, list, number, text, whole};
use crate::report::kept::{self, Other};
use crate::report::results::Environment;
use crate::report::saved;
use crate::run::{Control, Fit, Flow, Observer, State, Stoppable, Sweep};
use crate::text::{Code, Diagnostic, Span};

/// What the metadata say the archive is.
const FORMAT: &str = "mba checkpoint";
/// The version of the layout.
const VERSION: u64 = 1;

/// How a run is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Keeping {
    /// The file that is written; without one, a run that is resumed goes on writing its own.
    pub save: Option<String>,
    /// Seconds between two times it is written. It is also written when the run ends, early or not.
    pub every: f64,
    /// The file to go on from.
    pub resume: Option<String>,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { save: None, every: 60.0, resume: None }
    }
}

/// What makes two fits the same.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    model: String,
    /// Known when the data have been read.
    data: String,
    plan: String,
    options: Json,
}

impl Key {
    fn of(planned: &PlannedFit) -> Result<Key, String> {
        // more sweeps are no reason to begin again
        let Control { tolerance, max_sweeps: _, acceleration } = planned.control;
        let mut model = saved::digest_of_model(&planned.model)?;
        if let Some(prior) = &planned.prior {
            model = format!("{model} {}", prior.digest()?);
        }
        Ok(Key {
            model,
            data: String::new(),
            plan: planned.schedule.as_ref().map_or_else(String::new, |s| saved::digest_of_schedule(s)),
            options: json!({ "tolerance": exact(tolerance), "acceleration": acceleration, "seed": planned.seed }),
        })
    }

    fn json(&self) -> Json {
        json!({ "model": self.model, "data": self.data, "plan": self.plan, "options": self.options })
    }

    fn read(json: &Json) -> Result<Key, String> {
        let part = |name: &str| text(&json[name]).map(str::to_string);
        let options = json["options"].clone();
        Ok(Key { model: part("model")?, data: part("data")?, plan: part("plan")?, options })
    }

    /// What differs, in words, as far as it is known before the data are read.
    fn difference(&self, now: &Key) -> Option<String> {
        if self.model != now.model {
            return Some("its model, or the levels of its modes, have changed".into());
        }
        let options = self.options.as_object().into_iter().flatten();
        for (name, old) in options {
            if now.options[name] != *old {
                return Some(format!("its {name} was {old} and is {}", now.options[name]));
            }
        }
        (self.plan != now.plan || self.options != now.options)
            .then(|| "it would be fitted in other steps, by another build of mba".into())
    }
}

/// How far a fit has come.
enum Progress {
    Done(Arc<Fit>),
    Between(State),
}

struct Kept {
    key: Key,
    seconds: f64,
    sweeps: usize,
    progress: Progress,
}

/// What is to be done with a fit.
pub(super) enum Begin {
    /// It is done.
    Done(Arc<Fit>, f64),
    /// It goes on after so many sweeps; so many seconds have been spent on it.
    From(State, usize, f64),
    /// From the start.
    Afresh,
}

/// A balanced tensor or an estimate that is done.
struct KeptOther {
    /// A digest of what it was computed from.
    key: String,
    seconds: f64,
    other: Other,
}

/// The checkpoint of a run.
pub(super) struct Checkpoint<'a> {
    host: &'a dyn Host,
    path: String,
    every: f64,
    fits: IndexMap<String, Kept>,
    others: IndexMap<String, KeptOther>,
    /// Digests of tensors by name.
    data: HashMap<String, String>,
    written: f64,
    /// Why the last attempt to write it failed, until it is told.
    failure: Option<String>,
}

impl<'a> Checkpoint<'a> {
    /// The checkpoint a run goes on from and writes to; none when the run is not kept.
    pub fn open(session: &Session, host: &'a dyn Host) -> Result<Option<Self>, Diagnostic> {
        let Keeping { save, every, resume } = &session.options.keeping;
        let Some(path) = save.as_ref().or(resume.as_ref()) else { return Ok(None) };
        let (path, every, written) = (path.clone(), *every, host.seconds());
        let (fits, others, data) = (IndexMap::new(), IndexMap::new(), HashMap::new());
        let mut own = Self { host, path, every, fits, others, data, written, failure: None };
        if let Some(from) = resume {
            match host.open(from) {
                Ok(content) => (own.fits, own.others) = read(&content, from, session)?,
                // a job that is started again and again with one command: the first time there is nothing
                Err(error) if error.kind() == ErrorKind::NotFound && save.as_ref() == Some(from) => {}
                Err(error) => {
                    return Err(Diagnostic::new(Code::MBA532, format!("`{from}` cannot be read"))
                        .note(error.to_string())
                        .help("name the checkpoint of an earlier run, or leave out `--resume`"));
                }
            }
        }
        if resume.as_ref() != Some(&own.path) {
            own.spare()?;
        }
        own.write();
        match own.failure.take() {
            None => Ok(Some(own)),
            Some(reason) => Err(Diagnostic::new(Code::MBA533, format!("`{}` cannot be written", own.path))
                .note(reason)
                .note("nothing was run, and what was there before is unchanged")
                .help("name another file, or leave out `--checkpoint`")),
        }
    }

    /// The file it is written to.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What would be lost is not overwritten: a run that has not ended, or a file that is no checkpoint.
    fn spare(&self) -> Result<(), Diagnostic> {
        let Ok(content) = self.host.open(&self.path) else { return Ok(()) };
        if content.bytes().is_empty() {
            return Ok(());
        }
        let path = &self.path;
        let metadata = Reader::new(&content).and_then(|mut r| r.metadata());
        let Some(metadata) = metadata.ok().filter(|m| m["format"] == FORMAT) else {
            return Err(Diagnostic::new(Code::MBA535, format!("`{path}` is there and is no checkpoint"))
                .note("it would be replaced")
                .help("name another file, or remove this one"));
        };
        let fits = list(&metadata["fits"]).unwrap_or_default();
        match fits.iter().find(|f| f["done"] != true) {
            None => Ok(()),
            Some(fit) => {
                let name = fit["name"].as_str().unwrap_or_default();
                let sweeps = super::sweeps(whole(&fit["sweeps"]).unwrap_or(0));
                Err(Diagnostic::new(Code::MBA535, format!("`{path}` holds a run that has not ended"))
                    .note(format!("`{name}` after {sweeps}"))
                    .help(format!("go on with `--resume {path}`, or remove it to begin again")))
            }
        }
    }

    /// What to do with a fit whose data have been read; the data are compared now.
    pub fn begin(&mut self, planned: &PlannedFit, tensor: &Tensor) -> Result<Begin, Diagnostic> {
        let data = self.digest(planned, tensor);
        let Some(kept) = self.fits.get(&planned.name) else { return Ok(Begin::Afresh) };
        if kept.key.data != data {
            let reason = format!("the data `{}` have changed since", planned.tensor);
            return Err(changed(&self.path, &planned.name, reason).at(planned.span, "in this fit"));
        }
        Ok(match &kept.progress {
            Progress::Done(fit) => Begin::Done(Arc::clone(fit), kept.seconds),
            Progress::Between(state) => Begin::From(state.clone(), kept.sweeps, kept.seconds),
        })
    }

    /// A balanced tensor or an estimate that was done, with the seconds that it took; none when it was not.
    /// `key` is a digest of all that it is computed from.
    pub fn other(&self, name: &str, key: &str, span: Span) -> Result<Option<(Other, f64)>, Diagnostic> {
        match self.others.get(name) {
            None => Ok(None),
            Some(kept) if kept.key == key => Ok(Some((kept.other.clone(), kept.seconds))),
            Some(_) => {
                let reason = "what it is computed from, or one of its options, has changed".to_string();
                Err(changed(&self.path, name, reason).at(span, "this statement"))
            }
        }
    }

    /// A balanced tensor or an estimate is done: from now on it is kept. The file is written when one is due.
    pub fn other_done(&mut self, name: &str, key: String, other: Other, seconds: f64) {
        self.others.insert(name.to_string(), KeptOther { key, seconds, other });
        if self.due() {
            self.write();
        }
    }

    fn digest(&mut self, planned: &PlannedFit, tensor: &Tensor) -> String {
        // what a fit holds out makes the data its own; no name has a space
        let own = match planned.hold_out {
            None => tensor.name.clone(),
            Some(_) => format!("{} {}", tensor.name, planned.name),
        };
        let own = self.data.entry(own);
        own.or_insert_with(|| saved::digest_of_tensor(tensor)).clone()
    }

    /// The observer of a fit, which keeps its state from time to time.
    pub fn keeper<'b>(
        &'b mut self,
        planned: &PlannedFit,
        tensor: &Tensor,
        inner: Stoppable<'b>,
        spent: f64,
    ) -> Result<Keeper<'a, 'b>, Diagnostic> {
        let mut key = Key::of(planned)
            .map_err(|reason| Diagnostic::new(Code::MBA533, "this fit cannot be kept").note(reason))?;
        key.data = self.digest(planned, tensor);
        let started = self.host.seconds() - spent;
        Ok(Keeper { inner, checkpoint: self, name: planned.name.clone(), key, started, sweeps: 0 })
    }

    /// Writes the file; when that cannot be done the old one stays, and the reason is kept.
    pub fn write(&mut self) {
        let written = self
            .encode()
            .and_then(|bytes| self.host.write(&self.path, &bytes).map_err(|error| error.to_string()));
        self.failure = written.err();
        self.written = self.host.seconds();
    }

    /// A warning when the file could not be written since this was last asked.
    pub fn complaint(&mut self) -> Option<Diagnostic> {
        let reason = self.failure.take()?;
        Some(
            Diagnostic::new(Code::MBA534, format!("the checkpoint `{}` could not be written", self.path))
                .note(reason)
                .note("the one before it is unchanged, and the run goes on")
                .help("make room for it; it is tried again when the next one is due"),
        )
    }

    fn due(&self) -> bool {
        self.host.seconds() - self.written >= self.every
    }

    fn encode(&self) -> Result<Vec<u8>, String> {
        let mut writer = Writer::default();
        let mut fits = Vec::new();
        for (k, (name, kept)) in self.fits.iter().enumerate() {
            let mut one = json!({
                "name": name,
                "key": kept.key.json(),
                "seconds": exact(kept.seconds),
                "sweeps": kept.sweeps,
                "done": matches!(kept.progress, Progress::Done(_)),
            });
            match &kept.progress {
                Progress::Done(fit) => one["fit"] = saved::put_fit(&mut writer, &format!("{k}."), fit)?,
                Progress::Between(state) => {
                    let mut names = Vec::new();
                    for (array, values) in state.arrays() {
                        writer.array(&format!("{k}.state.{array}"), &[values.len()], values)?;
                        names.push(Json::from(array));
                    }
                    one["state"] = names.into();
                }
            }
            fits.push(one);
        }
        let mut others = Vec::new();
        for (k, (name, kept)) in self.others.iter().enumerate() {
            others.push(json!({
                "name": name,
                "key": kept.key,
                "seconds": exact(kept.seconds),
                "result": kept::put_other(&mut writer, &format!("other.{k}."), &kept.other)?,
            }));
        }
        let mba = env!("CARGO_PKG_VERSION");
        writer.finish(&json!({
            "format": FORMAT,
            "version": VERSION,
            "mba": mba,
            "fits": fits,
            "others": others,
        }))
    }
}

fn changed(path: &str, fit: &str, reason: String) -> Diagnostic {
    Diagnostic::new(Code::MBA531, format!("`{path}` does not belong to `{fit}` as it is now"))
        .note(reason)
        .help("undo the change, or run without `--resume` to begin again")
}

/// What a checkpoint has of fits, and of everything else.
type Read = (IndexMap<String, Kept>, IndexMap<String, KeptOther>);

/// The fits of a checkpoint, compared with the program's as far as that needs no data.
fn read(content: &crate::data::Content, path: &str, session: &Session) -> Result<Read, Diagnostic> {
    let unreadable = |reason: String| {
        Diagnostic::new(Code::MBA532, format!("`{path}` is not a checkpoint that can be read"))
            .note(reason)
            .help("run without `--resume` to begin again")
    };
    let mut reader = Reader::new(content).map_err(unreadable)?;
    let metadata = reader.metadata().map_err(unreadable)?;
    if metadata["format"] != FORMAT {
        return Err(unreadable("it is an archive of something else".into()));
    }
    let own = env!("CARGO_PKG_VERSION");
    let by = metadata["mba"].as_str().unwrap_or("another version");
    if metadata["version"] != VERSION || by != own {
        return Err(unreadable(format!("it was written by mba {by}, and this is mba {own}")));
    }
    let mut fits = IndexMap::new();
    for (k, one) in list(&metadata["fits"]).map_err(unreadable)?.iter().enumerate() {
        let name = text(&one["name"]).map_err(unreadable)?;
        let planned = session.planned.iter().find(|p| p.name == name);
        let Some((planned, schedule)) = planned.and_then(|p| Some((p, p.schedule.as_ref()?))) else {
            return Err(changed(path, name, "the program has no such fit".into()));
        };
        let key = Key::read(&one["key"]).map_err(unreadable)?;
        let now = Key::of(planned).map_err(unreadable)?;
        if let Some(reason) = key.difference(&now) {
            return Err(changed(path, name, reason).at(planned.span, "this fit"));
        }
        let prefix = format!("{k}.");
        let progress = if one["done"] == true {
            let fit = saved::take_fit(&mut reader, &prefix, &one["fit"], &planned.model, schedule);
            Progress::Done(Arc::new(fit.map_err(unreadable)?))
        } else {
            let mut state = State::default();
            for array in list(&one["state"]).map_err(unreadable)? {
                let array = text(array).map_err(unreadable)?;
                let (_, values) = reader.array(&format!("{prefix}state.{array}")).map_err(unreadable)?;
                state.put(array, values);
            }
            Progress::Between(state)
        };
        let seconds = number(&one["seconds"]).map_err(unreadable)?;
        let sweeps = whole(&one["sweeps"]).map_err(unreadable)?;
        fits.insert(name.to_string(), Kept { key, seconds, sweeps, progress });
    }
    let mut others = IndexMap::new();
    for (k, one) in list(&metadata["others"]).unwrap_or_default().iter().enumerate() {
        let name = text(&one["name"]).map_err(unreadable)?;
        let balanced = session.balances.iter().any(|b| b.name == name);
        let joint = session.planned.iter().any(|p| p.name == name && p.joint.is_some());
        if !balanced && !joint && !session.estimate_names().iter().any(|n| n == name) {
            return Err(changed(path, name, "the program has no such result".into()));
        }
        let other = kept::take_other(&mut reader, &format!("other.{k}."), &one["result"]);
        let kept = KeptOther {
            key: text(&one["key"]).map_err(unreadable)?.to_string(),
            seconds: number(&one["seconds"]).map_err(unreadable)?,
            other: other.map_err(unreadable)?,
        };
        others.insert(name.to_string(), kept);
    }
    Ok((fits, others))
}

/// Keeps the state of a fit while it runs.
pub(super) struct Keeper<'a, 'b> {
    inner: Stoppable<'b>,
    checkpoint: &'b mut Checkpoint<'a>,
    name: String,
    key: Key,
    started: f64,
    sweeps: usize,
}

impl Keeper<'_, '_> {
    /// The fit is done: from now on its result is kept. Its file is written when one is due.
    pub fn done(self, fit: &Arc<Fit>, seconds: f64) {
        let progress = Progress::Done(Arc::clone(fit));
        let kept = Kept { key: self.key, seconds, sweeps: fit.iterations, progress };
        self.checkpoint.fits.insert(self.name, kept);
        if self.checkpoint.due() {
            self.checkpoint.write();
        }
    }
}

impl Observer for Keeper<'_, '_> {
    fn sweep(&mut self, sweep: &Sweep) -> Flow {
        self.sweeps = sweep.number;
        self.inner.sweep(sweep)
    }

    fn between(&mut self, last: bool, save: &dyn Fn() -> State) {
        if last || self.checkpoint.due() {
            let seconds = self.checkpoint.host.seconds() - self.started;
            let progress = Progress::Between(save());
            let kept = Kept { key: self.key.clone(), seconds, sweeps: self.sweeps, progress };
            self.checkpoint.fits.insert(self.name.clone(), kept);
            self.checkpoint.write();
        }
        self.inner.between(last, save);
    }

    fn keeps(&self) -> bool {
        true
    }
}
