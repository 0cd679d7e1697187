//! A declarative language for energy-based models of tensors, and the compiler and runtime that fit
//! them to a certified optimum.
//!
//! ```text
//!  text ──▶ model ──▶ data ──▶ plan ──▶ run ──▶ report        session: all of them, for one program
//!  AST      energy    tensors  schedule fit     tables, JSON   command: files, terminal, clock
//! ```
//!
//! Each room knows only those to its left; `docs/architecture.md` walks through them. From a text to a
//! result in the memory of one process:
//!
//! ```
//! use mba::report::{Value, results};
//! use mba::session::{Host, Options, Session};
//! # use mba::{data::Content, report::results::FitResult, run::{Observer, Silent}, session::{Event, Sink}, text::Sources};
//! # use std::io::{Error, ErrorKind::NotFound, Result};
//! # struct Nothing;
//! # impl Host for Nothing {
//! #     fn open(&self, _: &str) -> Result<Content> { Err(Error::from(NotFound)) }
//! #     fn read_text(&self, _: &str) -> Result<String> { Err(Error::from(NotFound)) }
//! #     fn beside(&self, _: &str, written: &str) -> String { written.into() }
//! #     fn write(&self, _: &str, _: &[u8]) -> Result<()> { Ok(()) }
//! #     fn seconds(&self) -> f64 { 0.0 }
//! # }
//! # #[derive(Default)]
//! # struct Shown(Vec<Value>);
//! # impl Sink for Shown {
//! #     fn event(&mut self, event: Event<'_>, _: &Sources) {
//! #         if let Event::Show(_, value) = event { self.0.push(value.clone()); }
//! #     }
//! #     fn observer(&mut self, _: &str, _: f64) -> Box<dyn Observer + '_> { Box::new(Silent) }
//! # }
//! let program = "
//!     mode hair: {dark, fair}, eye: {brown, blue}
//!     data people[hair, eye] = [[60, 20], [15, 45]]
//!     model independent { body(1) }
//!     fit independent to people
//!     show independent.df
//! ";
//! let (mut session, diagnostics) = Session::load("hair.mba", program, Options::default(), &Nothing);
//! assert!(diagnostics.is_empty());
//! let mut shown = Shown::default();
//! assert!(session.run(&Nothing, &mut shown).is_ok());
//! assert_eq!(shown.0, [Value::Count(1u8.into())]);
//! ```

#![deny(unsafe_code)]
#![warn(missing_docs)]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::todo, clippy::unimplemented)]
#![warn(clippy::dbg_macro, clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod command;
pub mod data;
pub mod model;
pub mod numeric;
pub mod plan;
pub mod report;
pub mod run;
pub mod session;
pub mod text;
