//! Formatting changes white space only: what is laid out parses, and laying it out again changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mba::text::{format, parse};

fuzz_target!(|text: &str| {
    if let Ok(once) = format(text) {
        assert!(parse(Default::default(), &once).1.is_empty(), "the layout does not parse");
        assert_eq!(format(&once).ok().as_ref(), Some(&once), "the layout is not stable");
    }
});
