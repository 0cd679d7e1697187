//! Any text as a program: read, checked, its diagnostics rendered, and run when nothing is wrong with it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mba::data::Content;
use mba::report::{Style, diagnostics};
use mba::run::{Flow, Observer, Sweep};
use mba::session::{Event, Host, Options, Session, Sink};
use mba::text::Sources;
use std::io::{Error, ErrorKind::NotFound, Result};

struct Nothing;

impl Host for Nothing {
    fn open(&self, _: &str) -> Result<Content> {
        Err(Error::from(NotFound))
    }
    fn read_text(&self, _: &str) -> Result<String> {
        Err(Error::from(NotFound))
    }
    fn beside(&self, _: &str, written: &str) -> String {
        written.into()
    }
    fn write(&self, _: &str, _: &[u8]) -> Result<()> {
        Ok(())
    }
    fn seconds(&self) -> f64 {
        0.0
    }
}

struct Deaf;

impl Sink for Deaf {
    fn event(&mut self, _: Event<'_>, _: &Sources) {}
    fn observer(&mut self, _: &str, _: f64) -> Box<dyn Observer + '_> {
        Box::new(Brief)
    }
}

/// A few sweeps are enough to find a panic.
struct Brief;

impl Observer for Brief {
    fn sweep(&mut self, sweep: &Sweep) -> Flow {
        if sweep.number < 20 { Flow::Continue } else { Flow::Interrupt }
    }
}

fuzz_target!(|text: &str| {
    let options = Options { memory: 16 << 20, ..Options::default() };
    let (mut session, list) = Session::load("fuzz.mba", text, options, &Nothing);
    diagnostics::render(&list, &session.sources, Style::default());
    if !list.iter().any(mba::text::Diagnostic::is_error) {
        session.run(&Nothing, &mut Deaf);
    }
});
