//! Arithmetic on slices of doubles: sums that lose little, logarithms and exponentials in vectors. Knows
//! nothing of models or data.

pub mod gap;
pub mod sum;
pub mod vector;
pub mod weigh;
