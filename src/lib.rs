//! `mba`.
#![deny(unsafe_code)]

pub mod command;
pub mod data;
pub mod model;
pub mod plan;
pub mod report;
pub mod run;
pub mod session;
pub mod text;
