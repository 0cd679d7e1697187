//! The registry of diagnostic codes: one line each, and a page each in `docs/errors/`.

use super::diagnostic::Severity;

/// What a diagnostic of this code does to the exit status of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The program, a header, a missing file, a shape or the memory budget: exit status 3.
    Program,
    /// A cell value, a fit that stopped or a failed test: exit status 1.
    Outcome,
    /// A defect in `mba` itself: exit status 70.
    Defect,
}

macro_rules! codes {
    ($($code:ident $severity:ident $blame:ident $title:literal;)*) => {
        /// A stable diagnostic code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)] // each code has a page of its own, returned by `page`
        pub enum Code { $($code,)* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$code,)*];

            /// The code as it is written, such as `MBA101`.
            pub fn name(self) -> &'static str {
                match self { $(Code::$code => stringify!($code),)* }
            }

            /// A few words on what it is about.
            pub fn title(self) -> &'static str {
                match self { $(Code::$code => $title,)* }
            }

            /// The severity it has unless it is allowed or denied.
            pub fn severity(self) -> Severity {
                match self { $(Code::$code => Severity::$severity,)* }
            }

            /// What an error of this code says about the exit status.
            pub fn blame(self) -> Blame {
                match self { $(Code::$code => Blame::$blame,)* }
            }

            /// The page that `mba explain` prints, in Markdown.
            pub fn page(self) -> &'static str {
                match self {
                    $(Code::$code => include_str!(
                        concat!("../../docs/errors/", stringify!($code), ".md")),)*
                }
            }
        }
    };
}

codes! {
    // 0xx: syntax
    MBA001 Error Program "unexpected text";
    MBA002 Error Program "something is never closed";
    MBA003 Error Program "number out of range";
    MBA004 Error Program "nested too deeply";
    MBA005 Error Program "comma in an interaction";
    MBA006 Error Program "unknown statement";
    MBA007 Error Program "reserved word used as a name";
    // 1xx: names
    MBA101 Error Program "unknown name";
    MBA102 Error Program "unknown function or result";
    MBA103 Error Program "declared twice";
    MBA104 Error Program "unknown param on the command line";
    MBA105 Error Program "wrong arguments";
    MBA106 Error Program "wrong kind of value";
    MBA107 Error Program "depends on itself";
    MBA108 Error Program "module cannot be used";
    MBA120 Warning Program "unused mode";
    // 2xx: shapes
    MBA201 Error Program "an axis and its mode differ in size";
    MBA202 Error Program "the data have another number of axes";
    MBA203 Error Program "an axis has no levels";
    MBA204 Error Program "no such column";
    MBA205 Error Program "a column cannot be told apart";
    MBA206 Error Program "too many levels or cells";
    MBA207 Error Program "coordinates and values do not fit together";
    MBA208 Error Program "a literal is uneven";
    MBA221 Error Program "mode without levels";
    MBA222 Error Program "impossible levels";
    MBA223 Error Program "not a mode";
    MBA224 Error Program "mode outside the model";
    // 3xx: model structure
    MBA301 Error Program "interaction cannot be removed";
    MBA302 Error Program "mode named twice in an interaction";
    MBA303 Error Program "family cannot be expanded";
    MBA304 Error Program "template cannot be applied";
    MBA305 Error Program "impossible temperature";
    MBA306 Error Program "unknown algebra";
    MBA307 Error Program "impossible energy";
    MBA321 Warning Program "redundant interaction";
    MBA322 Warning Program "saturated model";
    MBA323 Warning Program "inert temperature";
    MBA324 Warning Program "mode in no interaction";
    MBA325 Warning Program "more parameters than cells with data";
    MBA326 Warning Program "dense blow-up";
    MBA370 Error Program "a table that cannot be smoothed or tied";
    MBA371 Error Program "impossible smoothness";
    MBA372 Error Program "tables of different shapes";
    MBA373 Error Program "impossible prior";
    MBA374 Error Program "priors that lean on each other";
    MBA375 Error Program "interaction that no tensor has";
    MBA376 Error Program "impossible weight";
    MBA377 Error Program "tensor fitted twice in one fit";
    MBA378 Warning Program "tensor that shares nothing";
    MBA379 Error Program "levels that differ between tensors";
    MBA350 Error Program "too many free parameters beside learned coefficients";
    MBA351 Error Program "model cannot be estimated";
    MBA336 Error Program "nothing to draw";
    MBA390 Error Program "not supported by this version";
    MBA225 Error Program "model and data have different modes";
    MBA308 Error Program "model cannot be sampled";
    MBA330 Error Program "model without a distribution of its own";
    MBA331 Error Program "table of numbers of the wrong shape";
    MBA332 Error Program "list of edges that does not fit";
    MBA333 Error Program "sweep cannot be laid out";
    MBA334 Error Program "nothing of this name to set";
    MBA335 Error Program "table of numbers cannot be read";
    // 4xx: data and masks
    MBA401 Error Program "file cannot be read";
    MBA402 Error Program "format is not known";
    MBA403 Error Program "there are no data";
    MBA404 Error Program "file is damaged";
    MBA405 Error Program "number type is not supported";
    MBA406 Error Program "no such array in the archive";
    MBA407 Error Program "rows differ in length";
    MBA408 Error Program "text is not UTF-8";
    MBA409 Error Program "an option does not fit the format";
    MBA410 Error Outcome "a value is negative or not finite";
    MBA411 Error Outcome "a field is not a number";
    MBA412 Error Outcome "a count is not a whole number";
    MBA413 Error Outcome "every cell is zero";
    MBA414 Error Outcome "the total is out of range";
    MBA420 Error Outcome "a field is empty";
    MBA421 Error Outcome "a level was not declared";
    MBA422 Error Outcome "a value lies outside every bin";
    MBA423 Error Outcome "a coordinate is out of range";
    MBA450 Error Program "mask has the wrong shape";
    MBA451 Error Outcome "no cell is observed";
    MBA452 Warning Outcome "level is never observed";
    MBA453 Error Outcome "observed cell without a value";
    MBA454 Error Outcome "mask is neither true nor false";
    MBA455 Error Program "result of one tensor of a joint fit";
    MBA458 Error Program "held-out cells of no tensor";
    MBA457 Error Outcome "no cell is held out";
    MBA456 Error Program "condition over too many cells";
    MBA460 Warning Program "condition that holds nowhere";
    MBA424 Note Outcome "rows left out";
    MBA425 Warning Program "counts that may have been forgotten";
    MBA430 Error Outcome "file cannot be written";
    // 5xx: plan and runtime
    MBA501 Error Program "over the memory budget";
    MBA502 Error Outcome "data without mass";
    MBA503 Error Outcome "data where the model is zero";
    MBA504 Error Program "table too large to write out";
    MBA505 Error Program "data and model do not fit together";
    MBA510 Error Outcome "fit stopped before its tolerance";
    MBA511 Error Outcome "fit was interrupted";
    MBA512 Warning Outcome "zero marginal";
    MBA513 Warning Outcome "optimum on the boundary";
    MBA540 Error Program "exact sum out of reach";
    MBA541 Error Program "condition that cannot occur";
    MBA542 Error Outcome "exact sum or sample was interrupted";
    MBA580 Error Outcome "margins that nothing has";
    MBA581 Error Outcome "kernel that is negative or not finite";
    MBA530 Error Outcome "fit was not begun";
    MBA520 Error Program "method that cannot fit the model";
    MBA551 Warning Outcome "coefficients that no data determine";
    MBA552 Error Outcome "approximation did not converge";
    MBA553 Warning Outcome "simulation too short for its error bars";
    MBA554 Warning Outcome "proposal that misses part of the model";
    MBA531 Error Program "checkpoint of something else";
    MBA532 Error Program "checkpoint cannot be read";
    MBA533 Error Outcome "checkpoint cannot be written";
    MBA534 Warning Outcome "checkpoint was not renewed";
    MBA535 Error Program "checkpoint would be lost";
    MBA536 Error Program "saved fit cannot be read";
    MBA537 Error Outcome "estimate was interrupted";
    MBA538 Error Outcome "file was not read to its end";
    MBA539 Note Outcome "nothing to run";
    // 6xx: tests
    MBA560 Error Outcome "data where the model forbids them";
    MBA562 Error Program "masks over too many modes together";
    MBA563 Warning Outcome "cells that the data do not determine";
    MBA564 Error Outcome "no complete row and column";
    MBA565 Warning Outcome "approximation instead of the optimum";
    MBA575 Note Outcome "strength of a prior that was chosen";
    MBA601 Error Outcome "expectation does not hold";
    MBA602 Error Outcome "nothing to test";
    MBA603 Error Outcome "test of a fit that did not converge";
    MBA604 Error Outcome "snapshot has moved";
    MBA605 Error Outcome "snapshot file is damaged";
    MBA610 Note Outcome "fit of an earlier declaration";
    MBA620 Error Outcome "certificate does not hold";
    MBA621 Error Outcome "test took too long";
    MBA622 Error Program "two tests with one name";
    MBA623 Error Program "two snapshots with one label";
    MBA624 Error Outcome "snapshot does not exist";
    MBA625 Error Outcome "snapshot that no test takes";
    // 9xx: internal
    MBA901 Error Defect "internal error";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Code {
    type Err = ();

    /// Reads a code in any case, with or without the letters: `MBA301`, `mba301`, `301`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim().to_ascii_uppercase();
        let digits = text.strip_prefix("MBA").unwrap_or(&text);
        Code::ALL.iter().copied().find(|c| &c.name()[3..] == digits).ok_or(())
    }
}
