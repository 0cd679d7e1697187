//! Workers that run files, and the watch over their time.
//!
//! A test that takes too long is asked to end at the next sweep. One that does not listen, because it is not in a sweep
//! at all, is given up: its worker is left behind, and another goes on with the next test of the file.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::desk::Desk;
use super::find::Selection;
use super::outcome::{Case, File};
use crate::run::{Observer, Silent, Stop};
use crate::session::testing::{Listed, Tests};
use crate::session::{Event, Options, Session, Sink, TestOutcome};
use crate::text::ast::StatementKind;
use crate::text::{Code, Diagnostic, Sources, Span};

/// What bounds a run.
pub struct Limits {
    /// The most time of a test.
    pub time: Duration,
    /// Programs that run at once.
    pub jobs: usize,
    /// How programs are read.
    pub options: Options,
}

/// A program to be run from one of its tests on.
struct Job {
    file: usize,
    path: String,
    /// Selected tests that have run already.
    skip: usize,
}

/// What a worker tells. Loading is step 0, the first test step 1.
enum News {
    Began { worker: usize, file: usize, step: usize },
    Loaded { worker: usize, file: usize, loaded: Box<File>, selected: Vec<Listed> },
    Ended { worker: usize, file: usize, step: usize, case: Box<Case> },
    Done { worker: usize, file: usize },
    Idle { worker: usize },
}

type Jobs = Arc<Mutex<VecDeque<Job>>>;

/// Runs the selected tests of every program and hands over each in the order of `paths`, as early as that is possible.
pub fn run(paths: &[String], selection: &Selection, limits: &Limits, mut ended: impl FnMut(File)) {
    let jobs: VecDeque<Job> =
        paths.iter().enumerate().map(|(file, path)| Job { file, path: path.clone(), skip: 0 }).collect();
    let jobs: Jobs = Arc::new(Mutex::new(jobs));
    let (sender, news) = channel();
    let mut foreman = Foreman {
        jobs: Arc::clone(&jobs),
        sender,
        selection,
        limits,
        workers: HashMap::new(),
        hired: 0,
        progress: paths.iter().map(|p| Progress::new(p)).collect(),
    };
    for _ in 0..limits.jobs.clamp(1, paths.len().max(1)) {
        foreman.hire();
    }
    let mut next = 0;
    while next < paths.len() {
        foreman.listen(&news);
        while let Some(progress) = foreman.progress.get_mut(next).filter(|p| p.done) {
            ended(progress.take());
            next += 1;
        }
    }
}

/// How far a file is.
struct Progress {
    file: Option<File>,
    selected: Vec<Listed>,
    cases: Vec<Option<Case>>,
    done: bool,
}

impl Progress {
    fn new(path: &str) -> Self {
        Self { file: Some(File::new(path)), selected: Vec::new(), cases: Vec::new(), done: false }
    }

    fn take(&mut self) -> File {
        let mut file = self.file.take().unwrap_or_else(|| File::new(""));
        file.cases = self.cases.drain(..).flatten().collect();
        file
    }
}

/// Who runs what, since when.
struct Watched {
    file: usize,
    step: usize,
    since: Instant,
}

/// A worker, what it is at, and whether it has been given up.
struct Hired {
    at: Option<Watched>,
    dismissed: Arc<AtomicBool>,
}

struct Foreman<'a> {
    jobs: Jobs,
    sender: Sender<News>,
    selection: &'a Selection,
    limits: &'a Limits,
    workers: HashMap<usize, Hired>,
    hired: usize,
    progress: Vec<Progress>,
}

impl Foreman<'_> {
    fn hire(&mut self) {
        let number = self.hired;
        self.hired += 1;
        let dismissed = Arc::new(AtomicBool::new(false));
        let worker = Arc::new(Worker {
            number,
            dismissed: Arc::clone(&dismissed),
            jobs: Arc::clone(&self.jobs),
            news: self.sender.clone(),
            selection: self.selection.clone(),
            options: self.limits.options.clone(),
            limit: self.limits.time,
        });
        self.workers.insert(number, Hired { at: None, dismissed });
        let own = Arc::clone(&worker);
        // as deep as the main thread: programs may be nested as deeply in a test as elsewhere
        let built = std::thread::Builder::new().stack_size(8 << 20).spawn(move || own.work());
        if built.is_err() {
            if self.workers.len() == 1 {
                // without any thread the programs run here, one after the other, and nobody watches
                worker.work();
            } else {
                self.workers.remove(&number);
            }
        }
    }

    /// When a test that does not listen is given up.
    fn patience(&self) -> Duration {
        self.limits.time + Duration::from_secs(2).max(self.limits.time / 4)
    }

    fn listen(&mut self, news: &Receiver<News>) {
        match news.recv_timeout(Duration::from_millis(50)) {
            Ok(news) => self.hear(news),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        let patience = self.patience();
        let late: Vec<usize> = self
            .workers
            .iter()
            .filter(|(_, w)| w.at.as_ref().is_some_and(|at| at.since.elapsed() > patience))
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            if let Some(Hired { at: Some(watched), dismissed }) = self.workers.remove(&number) {
                // under the lock of the jobs: should it come back, it takes no other
                let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
                dismissed.store(true, Ordering::SeqCst);
                drop(jobs);
                self.give_up(&watched);
            }
        }
    }

    fn hear(&mut self, news: News) {
        let from = match &news {
            News::Began { worker, .. }
            | News::Loaded { worker, .. }
            | News::Ended { worker, .. }
            | News::Done { worker, .. }
            | News::Idle { worker } => *worker,
        };
        // who was given up is not heard any more
        let Some(hired) = self.workers.get_mut(&from) else { return };
        match news {
            News::Began { file, step, .. } => {
                hired.at = Some(Watched { file, step, since: Instant::now() });
            }
            News::Loaded { file, loaded, selected, .. } => {
                let progress = &mut self.progress[file];
                if progress.selected.is_empty() {
                    progress.cases = selected.iter().map(|_| None).collect();
                    progress.selected = selected;
                    progress.file = Some(*loaded);
                }
            }
            News::Ended { file, step, case, .. } => {
                hired.at = None;
                if let Some(slot) = self.progress[file].cases.get_mut(step - 1) {
                    *slot = Some(*case);
                }
            }
            News::Done { file, .. } => {
                hired.at = None;
                self.progress[file].done = true;
            }
            News::Idle { worker } => {
                self.workers.remove(&worker);
            }
        }
    }

    /// Notes that a step did not end, and lets another worker go on behind it.
    fn give_up(&mut self, watched: &Watched) {
        let progress = &mut self.progress[watched.file];
        let path = progress.file.as_ref().map_or_else(String::new, |f| f.path.clone());
        if watched.step == 0 {
            if let Some(file) = &mut progress.file {
                file.failures.push(too_long(self.limits.time, None, "the program could not be read in"));
            }
            progress.done = true;
        } else {
            if let (Some(slot), Some(listed)) =
                (progress.cases.get_mut(watched.step - 1), progress.selected.get(watched.step - 1))
            {
                let why = too_long(self.limits.time, Some(listed.span), "the test took longer than");
                *slot = Some(Case::failed(listed, why, watched.since.elapsed()));
            }
            let job = Job { file: watched.file, path, skip: watched.step };
            self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push_front(job);
        }
        self.hire();
    }
}

fn too_long(limit: Duration, span: Option<Span>, what: &str) -> Diagnostic {
    let limit = crate::report::number::seconds(limit.as_secs_f64());
    let diagnostic = Diagnostic::new(Code::MBA621, format!("{what} {limit}"));
    let diagnostic = match span {
        Some(span) => diagnostic.at(span, "stopped"),
        None => diagnostic,
    };
    diagnostic.help("allow more with `--time-limit`, or make its fits smaller")
}

struct Worker {
    number: usize,
    dismissed: Arc<AtomicBool>,
    jobs: Jobs,
    news: Sender<News>,
    selection: Selection,
    options: Options,
    limit: Duration,
}

impl Worker {
    fn work(&self) {
        loop {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let job = if self.dismissed.load(Ordering::SeqCst) { None } else { jobs.pop_front() };
            drop(jobs);
            let Some(job) = job else { break };
            self.file(&job);
            self.tell(News::Done { worker: self.number, file: job.file });
        }
        self.tell(News::Idle { worker: self.number });
    }

    fn tell(&self, news: News) {
        // nobody listens once every file has ended
        let _ = self.news.send(news);
    }

    fn file(&self, job: &Job) {
        let (worker, file) = (self.number, job.file);
        let desk = Desk::new();
        let deadline = Deadline::new();
        let mut skip = job.skip;
        // once more for each test that a defect ended: the program is in an unknown state after it
        loop {
            self.tell(News::Began { worker, file, step: 0 });
            let begun = |known: &File| {
                let loaded = Box::new(File {
                    sources: known.sources.clone(),
                    not_run: known.not_run.clone(),
                    ..File::new(&job.path)
                });
                self.tell(News::Loaded { worker, file, loaded, selected: Vec::new() });
            };
            let loaded = catch_unwind(AssertUnwindSafe(|| self.load(&job.path, &desk, &deadline, &begun)));
            let (loaded, selected, tests) = match loaded {
                Ok(loaded) => loaded,
                Err(_) => {
                    let mut broken = File::new(&job.path);
                    broken.failures.push(defect(None));
                    (broken, Vec::new(), None)
                }
            };
            self.tell(News::Loaded { worker, file, loaded: Box::new(loaded), selected: selected.clone() });
            let Some(mut tests) = tests else { return };
            let mut broken = None;
            for (at, listed) in selected.iter().enumerate().skip(skip) {
                let step = at + 1;
                if self.dismissed.load(Ordering::SeqCst) {
                    return;
                }
                self.tell(News::Began { worker, file, step });
                let started = Instant::now();
                let case = catch_unwind(AssertUnwindSafe(|| self.test(&mut tests, listed, &desk, &deadline)));
                broken = case.is_err().then_some(step);
                let case = case
                    .unwrap_or_else(|_| Case::failed(listed, defect(Some(listed.span)), started.elapsed()));
                self.tell(News::Ended { worker, file, step, case: Box::new(case) });
                if broken.is_some() {
                    break;
                }
            }
            match broken {
                Some(step) if step < selected.len() => skip = step,
                _ => return,
            }
        }
    }

    /// Reads a program: what is wrong with it, its selected tests, and the program when it is right.
    /// `begun` is told of the tests as soon as they are known.
    fn load(
        &self,
        path: &str,
        desk: &Desk,
        deadline: &Deadline,
        begun: &dyn Fn(&File),
    ) -> (File, Vec<Listed>, Option<Tests>) {
        let mut file = File::new(path);
        let text = match crate::command::host::read_text(path) {
            Ok(text) => text,
            Err(error) => {
                let code = match error.kind() {
                    std::io::ErrorKind::InvalidData => Code::MBA408,
                    _ => Code::MBA401,
                };
                // a file that is no text may be anything: only a test that was asked for by name is missed
                if self.selection.takes(path, "") {
                    let help = "a program is text in UTF-8; move the file, or save it in that encoding";
                    let message = format!("`{path}` cannot be read: {error}");
                    file.failures.push(Diagnostic::new(code, message).help(help));
                }
                return (file, Vec::new(), None);
            }
        };
        // a program without tests is none of ours, be it right or a part of another one
        let source = file.sources.add(path, text.as_str());
        let (program, syntax) = crate::text::parse(source, &text);
        let tests = program.statements.iter().filter(|s| matches!(s.kind, StatementKind::Test(_))).count();
        if tests == 0 && !syntax.iter().any(Diagnostic::is_error) {
            file.checks = true;
            return (file, Vec::new(), None);
        }
        // in case that reading it in does not end
        let name = |s: &crate::text::ast::Statement| match &s.kind {
            StatementKind::Test(test) => Some(test.name.value.clone()),
            _ => None,
        };
        let names = program.statements.iter().filter_map(name);
        file.not_run = names.filter(|name| self.selection.takes(path, name)).collect();
        begun(&file);
        file.not_run.clear();
        let (session, found) =
            Session::load(path, &text, Options { stop: deadline.stop(), ..self.options.clone() }, desk);
        file.sources = session.sources.clone();
        file.listed = session.tests();
        let selected: Vec<Listed> =
            file.listed.iter().filter(|t| self.selection.takes(path, &t.name)).cloned().collect();
        let errors: Vec<Diagnostic> = found.into_iter().filter(Diagnostic::is_error).collect();
        if !errors.is_empty() {
            let wanted = !selected.is_empty() || self.selection.takes(path, "");
            if !wanted {
                return (file, Vec::new(), None);
            }
            // tests that need nothing of what is wrong run all the same
            let untouched = session.untouched(&errors);
            file.failures = errors;
            let (selected, not_run): (Vec<Listed>, Vec<Listed>) =
                selected.into_iter().partition(|t| untouched.contains(&t.position));
            file.not_run = not_run.into_iter().map(|t| t.name).collect();
            let tests = (!selected.is_empty()).then(|| Tests::new(session));
            return (file, selected, tests);
        }
        file.checks = true;
        if selected.is_empty() {
            return (file, Vec::new(), None);
        }
        (file, selected, Some(Tests::new(session)))
    }

    fn test(&self, tests: &mut Tests, listed: &Listed, desk: &Desk, deadline: &Deadline) -> Case {
        let started = Instant::now();
        deadline.set(started + self.limit);
        let mut ear = Ear { causes: Vec::new(), outcome: None };
        tests.run(listed.position, desk, &mut ear);
        let late = deadline.is_over();
        let outcome = ear.outcome.unwrap_or_default();
        if late || outcome.interrupted {
            // what fits that were ended early say, and whatever follows from it, is not worth reading
            let why = too_long(self.limit, Some(listed.span), "the test took longer than");
            return Case::failed(listed, why, started.elapsed());
        }
        Case {
            name: listed.name.clone(),
            failures: outcome.failures,
            causes: ear.causes,
            seen: outcome.seen,
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}

fn defect(span: Option<Span>) -> Diagnostic {
    let defect = Diagnostic::new(Code::MBA901, "this is a defect in mba")
        .help("please report it with the program that shows it");
    match span {
        Some(span) => defect.at(span, "in this test"),
        None => defect,
    }
}

/// Hears what happens in a test.
struct Ear {
    causes: Vec<Diagnostic>,
    outcome: Option<TestOutcome>,
}

impl Sink for Ear {
    fn event(&mut self, event: Event<'_>, _: &Sources) {
        match event {
            Event::Diagnostic(diagnostic) if diagnostic.is_error() => self.causes.push(diagnostic.clone()),
            Event::Test(outcome) => self.outcome = Some(outcome.clone()),
            _ => {}
        }
    }

    fn observer(&mut self, _: &str, _: f64) -> Box<dyn Observer + '_> {
        Box::new(Silent)
    }
}

/// When the test that runs is asked to end. Clones share one moment.
#[derive(Clone)]
struct Deadline(Arc<Mutex<Option<Instant>>>);

impl Deadline {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    fn set(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    fn is_over(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() >= until)
    }

    /// What a session asks after every sweep.
    fn stop(&self) -> Stop {
        let own = self.clone();
        Stop::default().or_when(move || own.is_over())
    }
}
