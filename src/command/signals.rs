//! SIGINT and SIGTERM: the first asks the run to end after its sweep, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::run::Stop;

/// The exit status of a process that a second signal ends.
const ENDED: i32 = 130;

/// The signals a run hears.
#[derive(Debug, Clone)]
pub struct Signals {
    asked: Arc<AtomicBool>,
    announced: Arc<AtomicBool>,
}

/// A wish to stop that signals make, and the signals.
pub fn stop() -> (Stop, Signals) {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // the first handler looks at the flag before the second one sets it; where handlers cannot be had,
        // a signal ends the process as it always does
        let _ = flag::register_conditional_shutdown(signal, ENDED, Arc::clone(&asked));
        let _ = flag::register(signal, Arc::clone(&asked));
    }
    (Stop::new(Arc::clone(&asked)), Signals { asked, announced: Arc::default() })
}

impl Signals {
    /// The flag that they set.
    pub fn asked(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// From now on says at once that a signal was heard: a sweep can take long. It takes a thread, with which a
    /// small fit takes a tenth longer.
    pub fn announce(&self) {
        if !self.announced.swap(true, Ordering::Relaxed) {
            listen();
        }
    }
}

#[cfg(unix)]
fn listen() {
    use std::io::Write;

    if let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]) {
        std::thread::spawn(move || {
            if signals.forever().next().is_some() {
                // in place of a bar, which is drawn again below
                let clear = if super::output::redraws() { "\r\x1b[K" } else { "" };
                let message = "mba: ending after this sweep; once more to end at once";
                let _ = writeln!(std::io::stderr(), "{clear}{message}");
            }
        });
    }
}

#[cfg(not(unix))]
fn listen() {}
