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
    // 4xx: data and masks
    MBA401 Error Program "file cannot be read";
    // 5xx: plan and runtime
    MBA501 Error Program "over the memory budget";
    MBA502 Error Outcome "data without mass";
    MBA503 Error Outcome "data where the model is zero";
    MBA504 Error Program "table too large to write out";
    MBA505 Error Program "data and model do not fit together";
    MBA590 Error Program "not supported yet";
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
