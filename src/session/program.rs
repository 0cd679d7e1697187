//! What was declared at a prompt, as a program that runs by itself.

use std::collections::HashSet;
use std::sync::Arc;

use super::prompt::{Entry, Prompt, Role};
use super::{Host, Session, library};
use crate::text::ast::{Comment, DataClause, DataSource, Statement, StatementKind, Use};
use crate::text::{Span, TokenKind, format, tokenize};

/// A program written from a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its text, laid out in the standard way.
    pub text: String,
    /// How many statements are in it as comments, because they would not run or not mean the same.
    pub left_out: usize,
}

struct Chunk {
    text: String,
    /// Why it is a comment.
    left_out: Option<String>,
}

impl Prompt {
    /// Everything declared, and every verb that was not just an expression, as a program to be kept at
    /// `path`. `place` gives for a file that names a path, and that path, the path as the program has to
    /// write it.
    ///
    /// What does not check in the program (because it was about something that was replaced since) is
    /// left in it as a comment, and so are fits of declarations that are no more.
    pub fn program(&self, path: &str, place: &dyn Fn(&str, &str) -> String, host: &dyn Host) -> Written {
        let inlined = self.inlined();
        let mut chunks = Vec::new();
        let mut used = HashSet::new();
        for entry in &self.entries {
            let unit = &entry.unit;
            let keep = |s: &Statement| match &s.kind {
                StatementKind::Use(wanted) => !inlined.contains(&self.target(entry, wanted, host)),
                _ => entry.role != Role::Used || super::extend::declares(s),
            };
            if entry.role == Role::Used && !inlined.contains(&self.key(entry)) {
                continue;
            }
            for statement in unit.program.statements.iter().filter(|s| keep(s)) {
                if let StatementKind::Use(wanted) = &statement.kind
                    && !used.insert(self.target(entry, wanted, host))
                {
                    continue;
                }
                let text = self.statement(entry, statement, place);
                let left_out = self.earlier(statement).map(|name| format!("of an earlier `{name}`"));
                chunks.push(Chunk { text, left_out });
            }
            if entry.role == Role::File {
                let end = entry.written.statements.last().map_or(0, |s| s.span.end);
                let text = comments(self, entry, self.line_end(entry, end), usize::MAX);
                chunks.push(Chunk { text, left_out: None });
            }
        }
        self.leave_out(path, &mut chunks, host);
        Written {
            left_out: chunks.iter().filter(|c| c.left_out.is_some()).count(),
            text: standard(assemble(&chunks).0),
        }
    }

    /// Makes comments of what would be wrong in the program.
    fn leave_out(&self, path: &str, chunks: &mut [Chunk], host: &dyn Host) {
        for _ in 0..chunks.len() {
            let (text, ends) = assemble(chunks);
            let (session, diagnostics) = Session::load(path, &text, self.session.options.clone(), host);
            let main = session.units.first().map(|u| u.source);
            let errors = diagnostics.iter().filter(|d| d.is_error());
            let places: Vec<usize> =
                errors.filter_map(|d| d.span()).filter(|s| Some(s.source) == main).map(|s| s.start).collect();
            let mut found = false;
            for at in places {
                let index = ends.partition_point(|end| *end <= at);
                if let Some(chunk) = chunks.get_mut(index).filter(|c| c.left_out.is_none()) {
                    chunk.left_out = Some("of something that was replaced".into());
                    found = true;
                }
            }
            if !found {
                return;
            }
        }
    }

    /// What replaced a name that a fit depends on.
    fn earlier(&self, statement: &Statement) -> Option<&str> {
        let (kind, name) = super::extend::declared(statement).into_iter().next()?;
        let stale = || self.stale.get(&name).map(String::as_str);
        (kind == super::extend::Kind::Result).then(stale).flatten()
    }

    /// Used files and modules of which something was replaced, and those that use one of them: what is
    /// left of them has to stand in the program itself.
    fn inlined(&self) -> HashSet<String> {
        let used = || self.entries.iter().filter(|e| e.role == Role::Used);
        let mut found: HashSet<String> =
            used().filter(|e| !Arc::ptr_eq(&e.written, &e.unit.program)).map(|e| self.key(e)).collect();
        while let Some(more) = used().find(|entry| {
            let uses = |s: &Statement| match &s.kind {
                StatementKind::Use(Use::Library(module)) => found.contains(&library_key(&module.name)),
                _ => false,
            };
            !found.contains(&self.key(entry)) && entry.written.statements.iter().any(uses)
        }) {
            found.insert(self.key(more));
        }
        found
    }

    /// What `use` names: a module, or a path.
    fn target(&self, entry: &Entry, wanted: &Use, host: &dyn Host) -> String {
        match wanted {
            Use::Library(module) => library_key(&module.name),
            Use::File(file) => host.beside(&entry.unit.path, &file.value),
        }
    }

    fn key(&self, entry: &Entry) -> String {
        match self.session.sources.get(entry.unit.source) {
            Some(source) if entry.unit.path.is_empty() => source.name.clone(),
            _ => entry.unit.path.clone(),
        }
    }

    /// A statement with the comments that belong to it and its paths placed.
    fn statement(
        &self,
        entry: &Entry,
        statement: &Statement,
        place: &dyn Fn(&str, &str) -> String,
    ) -> String {
        let before = entry.written.statements.iter().rev().find(|s| s.span.end <= statement.span.start);
        let from = before.map_or(0, |s| self.line_end(entry, s.span.end));
        let above = comments(self, entry, from, statement.span.start);
        let line_end = self.line_end(entry, statement.span.end);
        let trailing = comments(self, entry, statement.span.end, line_end);
        let mut edits: Vec<(Span, String)> = Vec::new();
        let from = &entry.unit.path;
        let mut path = |text: &crate::text::ast::Text| {
            if text.value != "-" {
                let written = place(from, &text.value).replace('\\', "\\\\").replace('"', "\\\"");
                edits.push((text.span, format!("\"{written}\"")));
            }
        };
        match &statement.kind {
            StatementKind::Data(data) => {
                match &data.source {
                    DataSource::File(file) => path(file),
                    DataSource::Coordinates { coords, values } => {
                        path(coords);
                        path(values);
                    }
                    DataSource::Value(_) => {}
                }
                for clause in &data.clauses {
                    if let DataClause::MaskFile { file, .. } = clause {
                        path(&file.path);
                    }
                }
            }
            StatementKind::Use(Use::File(file)) => path(file),
            StatementKind::Load { path: file, .. } => path(file),
            StatementKind::Param(list) => {
                for param in list {
                    let set = self.session.options.settings.iter().rev().find(|(n, _)| *n == param.name.name);
                    edits.extend(set.map(|(_, value)| (param.value.span, value.clone())));
                }
            }
            _ => {}
        }
        for (file, span) in super::tables::named(statement) {
            if edits.iter().any(|(whole, _)| whole.start <= span.start && span.end <= whole.end) {
                continue;
            }
            let written = place(from, &file).replace('\\', "\\\\").replace('"', "\\\"");
            edits.push((span, format!("\"{written}\"")));
        }
        let span = statement.span;
        let mut text = self.session.sources.slice(span).to_string();
        edits.sort_by_key(|(s, _)| s.start);
        for (at, new) in edits.into_iter().rev() {
            text.replace_range(at.start - span.start..at.end - span.start, &new);
        }
        format!(
            "{above}{}{}{trailing}\n",
            self.remaining(statement, text),
            if trailing.is_empty() { "" } else { "  " }
        )
    }

    /// Of a list of modes or params, those that were not replaced.
    fn remaining(&self, statement: &Statement, text: String) -> String {
        let names: Vec<&str> = match &statement.kind {
            StatementKind::Mode(list) => list.iter().map(|m| m.name.name.as_str()).collect(),
            StatementKind::Param(list) => list.iter().map(|p| p.name.name.as_str()).collect(),
            _ => return text,
        };
        let tokens = tokenize(&text);
        let Some(keyword) = tokens.iter().find(|t| t.kind == TokenKind::Word) else { return text };
        let (mut depth, mut from, mut parts) = (0usize, keyword.end, Vec::new());
        for token in &tokens {
            match token.text(&text) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                "," if depth == 0 => {
                    parts.push(&text[from..token.start]);
                    from = token.end;
                }
                _ => {}
            }
        }
        parts.push(&text[from..]);
        if parts.len() == names.len() {
            return text;
        }
        let named = |part: &&&str| {
            let first = tokenize(part).into_iter().find(|t| t.kind == TokenKind::Word);
            first.is_some_and(|t| names.contains(&t.text(part)))
        };
        let kept: Vec<&str> = parts.iter().filter(named).map(|p| p.trim()).collect();
        format!("{} {}", keyword.text(&text), kept.join(", "))
    }

    /// The end of the line a place of an entry is on, or the next statement on it.
    fn line_end(&self, entry: &Entry, from: usize) -> usize {
        let Some(source) = self.session.sources.get(entry.unit.source) else { return from };
        let rest = source.text.get(from..).unwrap_or("");
        let line = rest.find('\n').unwrap_or(rest.len());
        // a sign in a comment ends nothing
        let code = rest.find('#').unwrap_or(line).min(line);
        from + rest.get(..code).and_then(|code| code.find(';')).unwrap_or(line)
    }
}

/// A text in the standard layout; as it is, if it is no program.
fn standard(text: String) -> String {
    format(&text).unwrap_or(text)
}

fn library_key(module: &str) -> String {
    let known = library::find(module).map_or(module, |m| m.name);
    format!("stdlib/{known}.mba")
}

/// The comments of an entry between two places, a line each; those on the same line as the first place
/// without a line break.
fn comments(prompt: &Prompt, entry: &Entry, from: usize, to: usize) -> String {
    let inside = |c: &&Comment| c.span.start >= from && c.span.end <= to;
    let text = |c: &Comment| prompt.session.sources.slice(c.span).trim_end().to_string();
    let found: Vec<String> = entry.unit.program.comments.iter().filter(inside).map(text).collect();
    let source = prompt.session.sources.get(entry.unit.source);
    let one_line = source.and_then(|s| s.text.get(from..to)).is_some_and(|t| !t.contains('\n'));
    match (found.is_empty(), one_line) {
        (true, _) => String::new(),
        (false, true) => found.join(" "),
        (false, false) => found.join("\n") + "\n",
    }
}

/// The text of the chunks, and where each of them ends.
fn assemble(chunks: &[Chunk]) -> (String, Vec<usize>) {
    let mut text = String::new();
    let mut ends = Vec::new();
    for chunk in chunks {
        match &chunk.left_out {
            None => text.push_str(&chunk.text),
            Some(why) => {
                text.push_str(&format!("# {why}:\n"));
                chunk.text.lines().for_each(|line| text.push_str(&format!("# {line}\n")));
            }
        }
        ends.push(text.len());
    }
    (text, ends)
}
