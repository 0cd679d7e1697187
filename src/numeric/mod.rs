//! Arithmetic on slices of doubles: sums that lose little, logarithms and exponentials in vectors, and what
//! threads share of it. Knows nothing of models or data.

pub mod gap;
pub mod share;
pub mod sum;
pub mod vector;
pub mod weigh;
