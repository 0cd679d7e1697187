//! From a schedule and data to a result. Deterministic: the same bits for any number of threads.

mod anderson;
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
pub mod projection;
pub mod sample;
mod statistic;
pub mod sum;
pub mod support;
pub mod vector;

pub use control::{Control, Flow, Observer, Silent};
pub use coordinates::Coordinate;
pub use distribution::Distribution;
pub use execute::execute;
pub use fit::{Certificate, Counters, Fit, Status, ZeroMarginals};
