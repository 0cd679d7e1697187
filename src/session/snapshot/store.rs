//! The file of snapshots of one program.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::compare::{merged, tidied};
use super::{Seen, State};
use crate::session::{Host, Session};

/// The first line of a file, before the version.
const HEAD: &str = "mba snapshots ";

/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;

/// What a line of a text that has several lines begins with.
const BAR: &str = "  | ";

/// The snapshot file of a program.
pub fn path_of(program: &str) -> String {
    format!("{program}.snap")
}

/// What a snapshot is found by in the file of its program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The name of the test.
    pub test: String,
    /// The label, or the expression.
    pub label: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.test, self.label)
    }
}

/// An entry of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stored {
    /// Its lines.
    pub lines: IndexMap<String, Json>,
    /// The line of the file it begins on, from 1; 0 when it is not in the file yet.
    pub line: usize,
    /// As it stands in the file, so that what is not replaced stays as it is.
    text: String,
    damage: Option<String>,
}

/// The snapshots of one program.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Store {
    entries: BTreeMap<Key, Stored>,
    /// What stands before the first entry.
    head: String,
    /// Why the file as a whole, or a part of it that belongs to no entry, cannot be read.
    damage: Option<String>,
    /// Whether writing would lose what cannot be read.
    foreign: bool,
}

impl Store {
    /// The snapshots of a session's main program; none when there is no file.
    pub fn load(session: &Session, host: &dyn Host) -> Store {
        let path = session.units.first().map_or("", |u| u.path.as_str());
        Store::read(&path_of(path), host)
    }

    /// The snapshots in a file; none when there is no file.
    pub fn read(path: &str, host: &dyn Host) -> Store {
        match host.read_text(path) {
            Ok(text) => Store::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Store::default(),
            Err(error) => Store { damage: Some(error.to_string()), foreign: true, ..Store::default() },
        }
    }

    /// Reads the text of a snapshot file. What is wrong with an entry is reported by the snapshot that needs it.
    pub fn parse(text: &str) -> Store {
        let mut store = Store::default();
        let mut lines = text.lines().enumerate().peekable();
        match lines.next().map(|(_, first)| first.trim_end()) {
            None => return store,
            Some(first) => match first.strip_prefix(HEAD).map(str::parse::<u32>) {
                Some(Ok(VERSION)) => {}
                Some(Ok(version)) if version > VERSION => {
                    let why = format!("it was written by a newer version: format {version}, not {VERSION}");
                    return Store { damage: Some(why), foreign: true, ..store };
                }
                _ => {
                    let why = format!("line 1 is not `{HEAD}{VERSION}`");
                    return Store { damage: Some(why), foreign: true, ..store };
                }
            },
        }
        let mut open: Option<Key> = None;
        let mut block: Option<String> = None;
        for (number, content) in lines {
            let line = number + 1;
            let content = content.trim_end();
            if let Some(header) = content.strip_prefix("===") {
                block = None;
                open = key_of(header);
                match open.clone() {
                    None => store.damage_at(None, line, content),
                    Some(key) if store.entries.contains_key(&key) => {
                        store.damage_at(Some(&key), line, "there are two entries of this name");
                    }
                    Some(key) => {
                        let entry = Stored { line, text: format!("{content}\n"), ..Stored::default() };
                        store.entries.insert(key, entry);
                    }
                }
                continue;
            }
            let Some(entry) = open.as_ref().and_then(|k| store.entries.get_mut(k)) else {
                if content.is_empty() || content.starts_with('#') {
                    store.head.push_str(&format!("{content}\n"));
                } else if store.damage.is_none() {
                    store.damage_at(None, line, content);
                }
                continue;
            };
            entry.text.push_str(&format!("{content}\n"));
            if let (Some(name), Some(text)) = (&block, content.strip_prefix(BAR.trim_end())) {
                let text = text.strip_prefix(' ').unwrap_or(text);
                if let Some(Json::String(value)) = entry.lines.get_mut(name) {
                    value.push_str(text);
                    value.push('\n');
                }
                continue;
            }
            block = None;
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            match line_of(content) {
                Some((name, _)) if entry.lines.contains_key(name) => {
                    let name = name.to_string();
                    store.damage_at(open.as_ref(), line, &format!("`{name}` stands there twice"));
                }
                Some((name, None)) => {
                    entry.lines.insert(name.to_string(), Json::String(String::new()));
                    block = Some(name.to_string());
                }
                Some((name, Some(value))) => {
                    entry.lines.insert(name.to_string(), value);
                }
                None => store.damage_at(open.as_ref(), line, content),
            }
        }
        store
    }

    /// Notes damage of an entry, or of the file.
    fn damage_at(&mut self, key: Option<&Key>, line: usize, what: &str) {
        let merge = ["<<<<<<<", "=======", ">>>>>>>", "|||||||"].iter().any(|m| what.starts_with(m));
        let what: String = what.chars().take(40).collect();
        let why = match (merge, what.starts_with("there are") || what.ends_with("twice")) {
            (true, _) => format!("line {line} is the mark of a merge that was not finished"),
            (_, true) => format!("line {line}: {what}"),
            _ => format!("line {line} cannot be read: `{what}`"),
        };
        match key.and_then(|k| self.entries.get_mut(k)) {
            Some(entry) => entry.damage.get_or_insert(why),
            None => self.damage.get_or_insert(why),
        };
    }

    /// The entry of a key; an error when it, or what may be it, cannot be read.
    pub fn find(&self, key: &Key) -> Result<Option<&Stored>, String> {
        match (self.entries.get(key), &self.damage) {
            (Some(Stored { damage: Some(why), .. }), _) => Err(why.clone()),
            (Some(entry), _) => Ok(Some(entry)),
            (None, Some(why)) => Err(why.clone()),
            (None, None) => Ok(None),
        }
    }

    /// The line of the file where an entry begins.
    pub fn line_of(&self, key: &Key) -> Option<usize> {
        self.entries.get(key).map(|e| e.line).filter(|l| *l > 0)
    }

    /// Why the file, apart from its entries, cannot be read.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// Whether writing the file anew would lose what another version or another program has written.
    pub fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Every key that is kept.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.entries.keys()
    }

    /// Keeps what was seen; of an entry that is there, what agrees stays as it is.
    pub fn accept(&mut self, seen: &Seen) {
        let old = match &seen.state {
            State::Moved(_) => self.entries.get(&seen.key).map(|e| e.lines.clone()).unwrap_or_default(),
            _ => IndexMap::new(),
        };
        let lines = seen.lines.iter().map(|line| {
            let value = match old.get(&line.name) {
                Some(before) => merged(before, &line.value, line.rule, &seen.tolerance),
                None => tidied(&line.value, line.rule, &seen.tolerance),
            };
            (line.name.clone(), value)
        });
        let lines: IndexMap<String, Json> = lines.collect();
        let text = rendered(&seen.key, &lines);
        self.entries.insert(seen.key.clone(), Stored { lines, line: 0, text, damage: None });
    }

    /// What would be written of a snapshot if it were kept, without its header.
    pub fn preview(&self, seen: &Seen) -> String {
        let mut after = Store::default();
        after.accept(seen);
        let text = after.entries.into_values().map(|e| e.text).next().unwrap_or_default();
        text.split_once('\n').map(|(_, lines)| lines.to_string()).unwrap_or_default()
    }

    /// Forgets an entry.
    pub fn remove(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    /// Forgets what cannot be read and belongs to no entry.
    pub fn repair(&mut self) {
        self.damage = None;
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The text of the file: entries sorted, those that were not replaced as they stood.
    pub fn render(&self) -> String {
        let mut text = format!("{HEAD}{VERSION}\n");
        if !self.head.trim().is_empty() {
            text.push_str(&format!("{}\n", self.head.trim_end()));
        }
        for entry in self.entries.values() {
            text.push_str(&format!("\n{}\n", entry.text.trim_end()));
        }
        text
    }
}

/// The key in a header: two strings in quotes, with a slash between them.
fn key_of(header: &str) -> Option<Key> {
    let mut strings = serde_json::Deserializer::from_str(header).into_iter::<String>();
    let test = strings.next()?.ok()?;
    let rest = header.get(strings.byte_offset()..)?.trim_start().strip_prefix('/')?;
    let label = serde_json::from_str(rest).ok()?;
    Some(Key { test, label })
}

/// The name and the value of a line; no value where a text of several lines begins.
fn line_of(content: &str) -> Option<(&str, Option<Json>)> {
    // levels in a name may hold any character inside quotes
    let (mut quoted, mut escaped) = (false, false);
    let sign = content.char_indices().find(|(_, c)| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '=' if !quoted => return true,
            _ => {}
        }
        false
    });
    let (name, value) = content.split_at(sign?.0);
    let (name, value) = (name.trim(), value.get(1..)?.trim());
    if name.is_empty() {
        return None;
    }
    if value.is_empty() { Some((name, None)) } else { Some((name, Some(serde_json::from_str(value).ok()?))) }
}

fn rendered(key: &Key, lines: &IndexMap<String, Json>) -> String {
    let quoted = |text: &str| Json::from(text).to_string();
    let mut text = format!("=== {} / {}\n", quoted(&key.test), quoted(&key.label));
    for (name, value) in lines {
        match value {
            Json::String(value) if value.contains('\n') => {
                text.push_str(&format!("{name} =\n"));
                for line in value.lines() {
                    text.push_str(&format!("{BAR}{line}\n"));
                }
            }
            _ => text.push_str(&format!("{name} = {value}\n")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(test: &str, label: &str) -> Key {
        Key { test: test.into(), label: label.into() }
    }

    const FILE: &str = "mba snapshots 1\n# ours\n\n=== \"a / b\" / \"x = \\\"y\\\"\"\nkl = 0.5   # no\n\n=== \"t\" / \"m\"\n# by hand\nkl = 0.50\nmarginal at a \"= 1\" = [1.0]\nplan =\n  | one\n  |\n  |   two\n";

    #[test]
    fn entries_are_read_and_stand_as_they_were() {
        let store = Store::parse(FILE);
        let m = store.find(&key("t", "m")).unwrap().unwrap();
        assert_eq!(m.lines["kl"].as_f64(), Some(0.5));
        assert_eq!(m.lines["marginal at a \"= 1\""].to_string(), "[1.0]");
        assert_eq!(m.lines["plan"], Json::from("one\n\n  two\n"));
        assert_eq!(m.line, 7);
        assert!(store.find(&key("a / b", "x = \"y\"")).unwrap_err().contains("line 5"));
        assert_eq!(store.find(&key("t", "other")), Ok(None));
        assert_eq!(store.render().replace("   # no", ""), FILE.replace("   # no", ""));
        assert_eq!(Store::parse(&store.render()).render(), store.render());
    }

    #[test]
    fn nonsense_is_told_by_line() {
        let damage = |text: &str| Store::parse(text).find(&key("t", "m")).unwrap_err();
        assert!(damage("what is this\n").contains("line 1"));
        assert!(damage("mba snapshots 2\n").contains("newer"));
        assert!(damage("mba snapshots 1\n\n=== t / m\nkl = 1\n").contains("line 3"));
        let twice = "mba snapshots 1\n=== \"t\" / \"m\"\nkl = 1\n=== \"t\" / \"m\"\nkl = 1\n";
        assert!(damage(twice).contains("two entries"));
        assert!(damage("mba snapshots 1\n=== \"t\" / \"m\"\nkl = 1\nkl = 1\n").contains("twice"));
        let merge = "mba snapshots 1\n=== \"t\" / \"m\"\n<<<<<<< ours\nkl = 1.0\n=======\nkl = 2.0\n";
        assert!(damage(merge).contains("merge"), "{}", damage(merge));
        // an entry that is whole is found beside one that is not
        let store = Store::parse("mba snapshots 1\n=== \"t\" / \"n\"\nkl ?\n=== \"t\" / \"m\"\nkl = 1\n");
        assert!(store.find(&key("t", "m")).unwrap().is_some());
        assert!(store.find(&key("t", "n")).is_err());
        assert_eq!(Store::parse("").find(&key("t", "m")), Ok(None));
    }
}
