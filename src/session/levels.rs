//! What each code is to be: off, a warning or an error, for the run and for single lines.

use super::{Level, Session};
use crate::text::ast::{Comment, Statement, StatementKind};
use crate::text::{Code, Diagnostic, Severity, Span};

impl Session {
    /// Applies the levels of the run and of the lines to a list of diagnostics; sorts and unites it.
    pub fn settle(&self, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let mut settled: Vec<Diagnostic> = Vec::new();
        for diagnostic in diagnostics {
            if self.follows_from_syntax(&diagnostic) {
                continue;
            }
            if let Some(diagnostic) = self.level(diagnostic)
                && !settled.contains(&diagnostic)
            {
                settled.push(diagnostic);
            }
        }
        settled.sort_by_key(|d| d.span().map(|s| (s.source, s.start, s.end)));
        settled
    }

    /// Whether a name is unknown only because the statement that declares it did not parse or is not
    /// supported, which is reported by itself.
    fn follows_from_syntax(&self, diagnostic: &Diagnostic) -> bool {
        diagnostic.code == Code::MBA101
            && diagnostic.span().is_some_and(|span| {
                let name = self.sources.slice(span);
                self.units.iter().any(|u| {
                    let later = |s: &Statement| match &s.kind {
                        // a sweep that is wrong is reported by itself
                        StatementKind::Sweep(s) => {
                            s.name.as_ref().is_some_and(|n| n.name == name) && !self.sweeps.contains_key(name)
                        }
                        _ => false,
                    };
                    u.program.broken.iter().any(|b| b == name) || u.program.statements.iter().any(later)
                })
            })
    }

    /// A diagnostic at its level; none when it is allowed.
    pub fn level(&self, mut diagnostic: Diagnostic) -> Option<Diagnostic> {
        if diagnostic.code.severity() == Severity::Error {
            return Some(diagnostic);
        }
        let line = diagnostic.span().and_then(|s| self.line_level(s, diagnostic.code));
        let level = line.or_else(|| self.options.levels.get(&diagnostic.code).copied());
        match level {
            Some(Level::Allow) => return None,
            Some(Level::Deny) => diagnostic.severity = Severity::Error,
            Some(Level::Warn) => diagnostic.severity = Severity::Warning,
            None if self.options.deny_warnings && diagnostic.severity == Severity::Warning => {
                diagnostic.severity = Severity::Error;
            }
            None => {}
        }
        Some(diagnostic)
    }

    /// What a comment on the same line, or alone on the line above, says of a code.
    fn line_level(&self, span: Span, code: Code) -> Option<Level> {
        let unit = self.units.iter().find(|u| u.source == span.source)?;
        let (line, _) = self.sources.position(span.source, span.start);
        unit.program.comments.iter().filter(|c| !c.doc).find_map(|comment| {
            let (level, codes) = allowance(comment)?;
            let (at, _) = self.sources.position(span.source, comment.span.start);
            let alone = self.sources.get(span.source).is_some_and(|s| {
                let start = s.text[..comment.span.start].rfind('\n').map_or(0, |i| i + 1);
                s.text[start..comment.span.start].trim().is_empty()
            });
            (codes.contains(&code) && (at == line || (alone && at + 1 == line))).then_some(level)
        })
    }
}

/// `# allow MBA321` or `# deny MBA321, MBA322`.
fn allowance(comment: &Comment) -> Option<(Level, Vec<Code>)> {
    let mut words = comment.text.split([' ', ',', '\t']).filter(|w| !w.is_empty());
    let level = match words.next()? {
        "allow" => Level::Allow,
        "warn" => Level::Warn,
        "deny" => Level::Deny,
        _ => return None,
    };
    let codes: Vec<Code> = words.map_while(|w| w.parse().ok()).collect();
    (!codes.is_empty()).then_some((level, codes))
}
