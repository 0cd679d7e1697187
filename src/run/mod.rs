//! From a schedule and data to a result. Deterministic: the same bits for any number of threads.

mod anderson;
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
mod machine;
pub mod marginal;
pub mod masked;
mod newton;
pub mod projection;
pub mod sample;
mod statistic;
pub mod sum;
pub mod support;
mod turns;
pub mod vector;

pub use control::{Control, Flow, Observer, Silent, Stop, Stoppable, Sweep};
pub use coordinates::Coordinate;
pub use distribution::Distribution;
pub use execute::execute;
pub use fit::{Certificate, Counters, Fit, Status, ZeroMarginals};
