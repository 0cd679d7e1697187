//! What a caller says about a run, and what it is told while the run goes on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::state::State;

/// When to stop, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Control {
    /// A fit stops when its marginal gap is at most this.
    pub tolerance: f64,
    /// Most sweeps per atom.
    pub max_sweeps: usize,
    /// Whether slow progress may be accelerated. The optimum is the same.
    pub acceleration: bool,
}

impl Default for Control {
    fn default() -> Self {
        Self { tolerance: 1e-9, max_sweeps: 10_000, acceleration: true }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Finish with what there is.
    Interrupt,
}

/// What is known after a sweep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sweep {
    /// Its number, from 1, over all atoms.
    pub number: usize,
    /// Its number within the atom, from 1.
    pub own: usize,
    /// Which of the atoms that take sweeps it belongs to, from 1.
    pub atom: usize,
    /// How many atoms take sweeps.
    pub atoms: usize,
    /// The residual: the largest relative marginal gap met on the way.
    pub gap: f64,
    /// The gap at which the atom is done.
    pub tolerance: f64,
    /// Most sweeps the atom may take.
    pub most: usize,
    /// What the sweeps lower, in nats per unit mass, where it costs nothing to say.
    pub objective: Option<f64>,
}

impl Sweep {
    /// The sweep of that number in a fit that is one atom.
    pub fn alone(number: usize, gap: f64, control: &Control) -> Self {
        let Control { tolerance, max_sweeps: most, .. } = *control;
        Self { number, own: number, atom: 1, atoms: 1, gap, tolerance, most, objective: None }
    }
}

/// Told of every sweep.
pub trait Observer {
    /// After each sweep. An answer of [`Flow::Interrupt`] ends the fit with what it has.
    fn sweep(&mut self, sweep: &Sweep) -> Flow;

    /// Between two sweeps, where the state is whole: whoever wants to keep it calls `save`, which
    /// copies it. `last` when there will be no later chance: the fit is interrupted, or its sweeps
    /// run out with the next one.
    fn between(&mut self, _last: bool, _save: &dyn Fn() -> State) {}

    /// Whether it keeps states between sweeps. Atoms that could run side by side then run one by one, and
    /// only whoever says that it does not keep any is not offered those between.
    fn keeps(&self) -> bool {
        true
    }

    /// The wish to stop that its answers follow, for atoms that run side by side: their sweeps are told of
    /// when all of them are done.
    fn stop(&self) -> Option<Stop> {
        None
    }
}

/// An observer that lets everything pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn sweep(&mut self, _: &Sweep) -> Flow {
        Flow::Continue
    }

    fn keeps(&self) -> bool {
        false
    }
}

/// A wish to stop that many can hold: who makes it, such as the handler of a signal, and who asks for
/// it after every sweep. Clones share one wish. Cheap to clone.
#[derive(Clone, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    expired: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl Stop {
    /// A wish made by setting `flag`.
    pub fn new(flag: Arc<AtomicBool>) -> Self {
        Self { flag, expired: None }
    }

    /// The same wish, made also when `expired` says so: a time limit, since a run reads no clock.
    #[must_use]
    pub fn or_when(self, expired: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { expired: Some(Arc::new(expired)), ..self }
    }

    /// Makes the wish.
    pub fn ask(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Takes it back; a time limit stays.
    pub fn clear(&self) {
        self.flag.store(false, Ordering::Relaxed);
    }

    /// Whether it has been made.
    pub fn asked(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.expired.as_ref().is_some_and(|expired| expired())
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stop(asked: {}, limited: {})", self.asked(), self.expired.is_some())
    }
}

/// Operations of an exact sum that is over before anyone waits for it.
const SHORT: f64 = 1e8;

/// Operations that short sums may still take all together once they are asked to end, and what each counts for at
/// least, with the model that is made for it.
const GRACE: u64 = 1_000_000_000;
const EACH: f64 = 1e6;

/// How long exact sums may go on once a wish to stop has been made: long ones end, short ones are still taken for
/// a while, so that what a finished fit is asked is answered. Clones share the wish and the while.
#[derive(Debug, Clone, Default)]
pub struct Patience {
    stop: Stop,
    taken: Arc<AtomicU64>,
}

impl Patience {
    /// Patience until `stop` is asked for.
    pub fn new(stop: Stop) -> Self {
        Self { stop, taken: Arc::default() }
    }

    /// What a sum of so many operations has to listen to; none when it is not to begin.
    pub fn leave(&self, operations: f64) -> Option<Stop> {
        let short = operations <= SHORT;
        if !self.stop.asked() {
            self.taken.store(0, Ordering::Relaxed);
            return Some(if short { Stop::default() } else { self.stop.clone() });
        }
        let before = self.taken.fetch_add(operations.clamp(EACH, SHORT) as u64, Ordering::Relaxed);
        (short && before < GRACE).then(Stop::default)
    }
}

/// What exact sums may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Memory budget in bytes.
    pub memory: u64,
    /// How long they may go on.
    pub patience: Patience,
}

/// An observer that is also asked to stop from outside.
pub struct Stoppable<'a> {
    /// Who hears of the sweeps.
    pub inner: Box<dyn Observer + 'a>,
    /// Who may ask to stop.
    pub stop: Stop,
}

impl Observer for Stoppable<'_> {
    fn sweep(&mut self, sweep: &Sweep) -> Flow {
        let flow = self.inner.sweep(sweep);
        if self.stop.asked() { Flow::Interrupt } else { flow }
    }

    fn between(&mut self, last: bool, save: &dyn Fn() -> State) {
        self.inner.between(last, save);
    }

    fn keeps(&self) -> bool {
        self.inner.keeps()
    }

    fn stop(&self) -> Option<Stop> {
        Some(self.stop.clone())
    }
}
