//! The parser that pest derives from `grammar/mba.pest`.

// the rules are documented where they are written
#![allow(missing_docs)]

#[derive(pest_derive::Parser)]
#[grammar = "../grammar/mba.pest"]
pub struct MbaParser;
