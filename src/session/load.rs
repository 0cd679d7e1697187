//! From a main text to every program it uses.

use std::sync::Arc;

use super::Host;
use super::library;
use crate::text::ast::{Program, StatementKind, Use};
use crate::text::{Code, Diagnostic, SourceId, Sources, Span, parse, suggest};

/// A text that has been read and parsed.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its text.
    pub source: SourceId,
    /// The path it was read from; names inside it are relative to this. Empty for a module of the library.
    pub path: String,
    /// What it says.
    pub program: Arc<Program>,
}

/// Reads a main text and everything it uses, each file once; the main text comes first.
pub fn load(path: &str, text: &str, sources: &mut Sources, host: &dyn Host) -> (Vec<Unit>, Vec<Diagnostic>) {
    load_beside(&[], (path, path), text, parse, sources, host)
}

/// The same beside units that have been read before, which are not read again. `parse` reads the main
/// text alone; it goes by a name, and paths in it start from a path.
pub(super) fn load_beside(
    earlier: &[Unit],
    (name, path): (&str, &str),
    text: &str,
    parse: fn(SourceId, &str) -> (Program, Vec<Diagnostic>),
    sources: &mut Sources,
    host: &dyn Host,
) -> (Vec<Unit>, Vec<Diagnostic>) {
    let (units, open, diagnostics) = (earlier.to_vec(), Vec::new(), Vec::new());
    let mut loader = Loader { sources, host, units, open, diagnostics, parse };
    loader.unit(Key::File(path.to_string()), name, path, text);
    let (mut units, diagnostics) = (loader.units.split_off(earlier.len()), loader.diagnostics);
    // the main text was entered first but finished last
    units.rotate_right(1);
    (units, diagnostics)
}

#[derive(Debug, Clone, PartialEq)]
enum Key {
    Library(&'static str),
    File(String),
}

struct Loader<'a> {
    sources: &'a mut Sources,
    host: &'a dyn Host,
    units: Vec<Unit>,
    /// What is being read, with what each was read for.
    open: Vec<(Key, String)>,
    diagnostics: Vec<Diagnostic>,
    /// How the main text is read.
    parse: fn(SourceId, &str) -> (Program, Vec<Diagnostic>),
}

impl Loader<'_> {
    fn unit(&mut self, key: Key, name: &str, path: &str, text: &str) {
        let source = self.sources.add(name, text);
        let main = self.open.is_empty();
        let (program, diagnostics) = if main { (self.parse)(source, text) } else { parse(source, text) };
        self.diagnostics.extend(diagnostics);
        self.open.push((key, name.to_string()));
        for statement in &program.statements {
            match &statement.kind {
                StatementKind::Use(Use::Library(module)) => self.library(&module.name, module.span),
                StatementKind::Use(Use::File(file)) => self.file(&file.value, file.span, path),
                _ => {}
            }
        }
        self.open.pop();
        self.units.push(Unit { source, path: path.to_string(), program: Arc::new(program) });
    }

    fn library(&mut self, name: &str, span: Span) {
        let Some(module) = library::find(name) else {
            let names: Vec<&str> = library::MODULES.iter().map(|m| m.name).collect();
            let diagnostic =
                Diagnostic::new(Code::MBA108, format!("the standard library has no module `{name}`"));
            self.diagnostics.push(match suggest::nearest(name, names.iter().copied()) {
                Some(near) => diagnostic
                    .at(span, format!("did you mean `{near}`?"))
                    .help(format!("write `use {near}`"))
                    .replace(span, near, format!("write `{near}`")),
                None => diagnostic.at(span, "unknown module").help(format!(
                    "its modules are {}; a file is named as `use \"file.mba\"`",
                    suggest::list(&names)
                )),
            });
            return;
        };
        let key = Key::Library(module.name);
        if self.is_new(&key, span) {
            self.unit(key, &format!("stdlib/{}.mba", module.name), "", module.text);
        }
    }

    fn file(&mut self, written: &str, span: Span, from: &str) {
        let path = self.host.beside(from, written);
        let key = Key::File(path.clone());
        if !self.is_new(&key, span) {
            return;
        }
        match self.host.read_text(&path) {
            Ok(text) => self.unit(key, &path, &path, &text),
            Err(error) => self.diagnostics.push(
                Diagnostic::new(Code::MBA108, format!("`{written}` cannot be used"))
                    .at(span, "named here")
                    .note(error.to_string())
                    .help("paths are relative to the file that names them"),
            ),
        }
    }

    /// Whether a text has not been read yet; a text that is being read is a circle.
    fn is_new(&mut self, key: &Key, span: Span) -> bool {
        if let Some(position) = self.open.iter().position(|(k, _)| k == key) {
            let mut circle: Vec<&str> = self.open[position..].iter().map(|(_, n)| n.as_str()).collect();
            circle.push(circle[0]);
            self.diagnostics.push(
                Diagnostic::new(Code::MBA107, "files use each other in a circle")
                    .at(span, circle.join(" → "))
                    .help("move what both need into a third file"),
            );
            return false;
        }
        let read = |unit: &Unit| match key {
            Key::Library(name) => {
                unit.path.is_empty()
                    && self.sources.get(unit.source).is_some_and(|s| s.name == format!("stdlib/{name}.mba"))
            }
            Key::File(path) => &unit.path == path,
        };
        !self.units.iter().any(read)
    }
}
