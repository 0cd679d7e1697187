//! From a syntax tree to energy models. Knows nothing of files or solvers.

pub mod energy;
pub mod mode;
pub mod scope;
pub mod table;

pub use energy::{Algebra, EnergyModel, Forbidden, Interaction, Potential};
pub use mode::{Level, Levels, Mode, Order};
pub use scope::Scope;
pub use table::Table;
