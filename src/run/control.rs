//! What a caller says about a run, and what it is told while the run goes on.

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

/// Told of every sweep.
pub trait Observer {
    /// After sweep number `sweep` (from 1, over all atoms), whose largest relative marginal gap on
    /// the way was `gap`.
    fn sweep(&mut self, sweep: usize, gap: f64) -> Flow;
}

/// An observer that lets everything pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn sweep(&mut self, _: usize, _: f64) -> Flow {
        Flow::Continue
    }
}
