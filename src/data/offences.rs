//! Rows that are wrong: the first few of each cause are named, the others counted.

use std::hash::Hash;

use indexmap::IndexMap;

use super::suggest::clip;
use crate::text::Diagnostic;

const NAMED: usize = 4;

/// One row that is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Offence {
    /// Line of the file, from 1.
    pub line: usize,
    /// The text that is wrong.
    pub text: String,
}

/// All rows that are wrong in the same way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub named: Vec<Offence>,
    pub total: usize,
}

impl Group {
    /// `also line 7 (`x`), line 9 (`y`) and 3 more lines`; nothing when there is just one.
    pub fn also(&self) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        for offence in self.named.iter().skip(1) {
            let text = if offence.text.is_empty() { String::new() } else { format!(" (`{}`)", offence.text) };
            parts.push(format!("line {}{text}", offence.line));
        }
        if parts.is_empty() {
            return None;
        }
        let more = match self.total.saturating_sub(self.named.len()) {
            0 => String::new(),
            1 => " and one more line".into(),
            n => format!(" and {n} more lines"),
        };
        Some(format!("also {}{more}", parts.join(", ")))
    }
}

/// Rows that are wrong, by cause.
#[derive(Debug)]
pub(crate) struct Offences<C>(IndexMap<C, Group>);

impl<C: Hash + Eq> Offences<C> {
    pub fn new() -> Self {
        Self(IndexMap::new())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts a row; `line` is asked for only when the row will be named.
    #[cold]
    pub fn add(&mut self, cause: C, field: &[u8], line: impl FnOnce() -> usize) {
        let group = self.0.entry(cause).or_default();
        group.total += 1;
        if group.named.len() < NAMED {
            let text = clip(&String::from_utf8_lossy(field));
            group.named.push(Offence { line: line(), text });
        }
    }

    /// A report for each cause, which says where else the same is wrong unless the cause is `listed` in another way.
    pub fn reports(
        self,
        listed: impl Fn(&C) -> bool,
        report: impl Fn(C, &Group) -> Diagnostic,
    ) -> Vec<Diagnostic> {
        let one = |(cause, group): (C, Group)| {
            let also = group.also().filter(|_| !listed(&cause));
            let report = report(cause, &group);
            also.into_iter().fold(report, Diagnostic::note)
        };
        self.0.into_iter().map(one).collect()
    }
}

/// The line that the row starting at `byte` stands on. Ends of lines before the row belong to lines above it.
pub(crate) fn line_at(bytes: &[u8], byte: usize) -> usize {
    let blank =
        bytes.get(byte..).unwrap_or_default().iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let before = bytes.get(..byte + blank).unwrap_or(bytes);
    let mut line = 1;
    let mut previous = 0;
    for b in before {
        // `\r\n` is one end of a line, and so is a lone `\r`
        if *b == b'\r' || (*b == b'\n' && previous != b'\r') {
            line += 1;
        }
        previous = *b;
    }
    line
}
