//! The parser that pest derives from `grammar/mba.pest`.

/// The generated parser.
#[derive(pest_derive::Parser)]
#[grammar = "../grammar/mba.pest"]
pub struct MbaParser;
