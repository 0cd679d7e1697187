//! From a schedule and data to a result. Deterministic: the same bits for any number of threads.

mod anderson;
pub mod approximate;
pub mod balance;
mod certificate;
mod contract;
pub mod control;
pub mod coordinates;
pub mod distribution;
mod execute;
mod factored;
pub mod fit;
mod iterate;
pub mod kernel;
pub mod landscape;
pub mod learned;
mod machine;
pub mod marginal;
pub mod monte_carlo;
mod multiply;
mod newton;
pub mod projection;
pub mod records;
pub mod sample;
mod state;
mod statistic;
pub mod sum;
pub mod support;
mod turns;
mod unite;
pub mod vector;

pub use control::{Control, Flow, Observer, Silent, Stop, Stoppable, Sweep};
pub use coordinates::Coordinate;
pub use distribution::Distribution;
pub use execute::{execute, resume};
pub use fit::{Certificate, Counters, Fit, Status, ZeroMarginals};
pub use state::{Misfit, Resumable, State};
