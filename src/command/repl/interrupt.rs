//! Ctrl-C while something runs: the fit ends at its next sweep and keeps what it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::run::{Observer, Stop};
use crate::session::{Event, Sink};
use crate::text::{Code, Diagnostic, Sources};

/// What a process ends with that was interrupted: 128 + the signal.
const STATUS: i32 = 130;

/// Whether someone wants what runs to end.
pub struct Interrupt {
    wanted: Arc<AtomicBool>,
    busy: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on.
    ///
    /// While something runs, the first signal asks it to end, and a second one before it has ended ends the
    /// process: not everything can be interrupted. While nothing runs, a signal ends the process, unless a
    /// person sits there, who only wants another line. Where signals cannot be had, they do what they
    /// always do.
    pub fn new(person: bool) -> Self {
        let this = Self { wanted: Arc::default(), busy: Arc::default() };
        if let Ok(mut signals) = Signals::new([SIGINT]) {
            let (wanted, busy) = (this.wanted.clone(), this.busy.clone());
            std::thread::spawn(move || {
                for _ in signals.forever() {
                    let again = busy.load(Ordering::SeqCst) && wanted.swap(true, Ordering::SeqCst);
                    if again || (!busy.load(Ordering::SeqCst) && !person) {
                        std::process::exit(STATUS);
                    }
                }
            });
        }
        this
    }

    /// Runs something that can be interrupted.
    pub fn during<T>(&self, run: impl FnOnce() -> T) -> T {
        self.wanted.store(false, Ordering::SeqCst);
        self.busy.store(true, Ordering::SeqCst);
        let result = run();
        self.busy.store(false, Ordering::SeqCst);
        // what comes is another matter
        self.wanted.store(false, Ordering::SeqCst);
        result
    }

    /// The flag that a signal sets.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.wanted.clone()
    }

    /// The wish, as a session asks for it after every sweep.
    pub fn stop(&self) -> Stop {
        Stop::new(self.wanted.clone())
    }

    /// Whether the last thing that ran was interrupted.
    pub fn wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst)
    }
}

/// A sink that remembers the code of the last diagnostic.
pub struct Listener<'a> {
    sink: &'a mut dyn Sink,
    last_code: &'a mut Option<Code>,
}

impl<'a> Listener<'a> {
    /// Events go on to `sink`.
    pub fn new(sink: &'a mut dyn Sink, last_code: &'a mut Option<Code>) -> Self {
        Self { sink, last_code }
    }
}

impl Sink for Listener<'_> {
    fn event(&mut self, event: Event<'_>, sources: &Sources) {
        match &event {
            Event::Diagnostic(diagnostic) => {
                *self.last_code = Some(diagnostic.code);
                // there is no file that a fix could be applied to
                let diagnostic = Diagnostic { fix: None, ..(*diagnostic).clone() };
                return self.sink.event(Event::Diagnostic(&diagnostic), sources);
            }
            Event::Test(test) => {
                if let Some(failure) = test.failures.last() {
                    *self.last_code = Some(failure.code);
                }
            }
            _ => {}
        }
        self.sink.event(event, sources);
    }

    fn observer(&mut self, fit: &str, tolerance: f64) -> Box<dyn Observer + '_> {
        self.sink.observer(fit, tolerance)
    }
}
