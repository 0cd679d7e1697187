//! From a schedule and data to a result. Deterministic: the same bits for any number of threads.

mod anderson;
pub mod approximate;
mod aside;
pub mod balance;
mod batch;
mod boundary;
mod certificate;
mod conjugate;
mod contract;
pub mod control;
pub mod coordinates;
pub mod distribution;
pub mod ensemble;
mod execute;
mod factored;
mod filtered;
pub mod fit;
mod forest;
mod iterate;
pub mod joint;
pub mod kernel;
pub mod landscape;
pub mod learned;
mod machine;
pub mod marginal;
pub mod masked;
pub mod modular;
pub mod monte_carlo;
pub mod multiply;
mod newton;
#[cfg(test)]
mod product_cases;
pub mod projection;
pub mod records;
pub mod sample;
mod state;
mod statistic;
mod stream;
pub mod summation;
pub mod support;
mod turns;
mod unite;

use crate::numeric::{sum, vector, weigh};

pub use control::{Control, Flow, Limits, Observer, Patience, Silent, Stop, Stoppable, Sweep};
pub use coordinates::Coordinate;
pub use distribution::Distribution;
pub use ensemble::{Ensemble, Totals};
pub use execute::{execute, resume};
pub use fit::{Certificate, Counters, Fit, Status, ZeroMarginals};
pub use masked::face::of_fit as vanishing;
pub use sample::Draws;
pub use state::{Misfit, Resumable, State};
pub use statistic::Reduction;
