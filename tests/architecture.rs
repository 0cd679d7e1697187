//! The order of the rooms, held by a scan of the sources.
//!
//! Each room uses only itself and the rooms to its left; files, clocks, terminals and processes are
//! touched in the last one alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ROOMS: &[&str] = &["numeric", "text", "model", "data", "plan", "run", "report", "session", "command"];

fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "rs") {
            found.push(entry);
        }
    }
}

/// Every file with its path below `src/`, its comments and strings blanked.
fn code() -> BTreeMap<String, String> {
    let root = package().join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let name = |p: &Path| p.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
    files.iter().map(|p| (name(p), blanked(&std::fs::read_to_string(p).unwrap()))).collect()
}

/// The code alone: comments, doc links and the insides of strings become spaces, lines stay.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let keep = |c: char| if c == '\n' { '\n' } else { ' ' };
    while i < chars.len() {
        let rest = |n: usize| chars.get(i + n).copied().unwrap_or('\0');
        match chars[i] {
            '/' if rest(1) == '/' => {
                while i < chars.len() && chars[i] != '\n' {
                    i += 1;
                }
            }
            'r' if (rest(1) == '"' || (rest(1) == '#' && matches!(rest(2), '"' | '#')))
                && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_') =>
            {
                let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
                i += hashes + 2;
                let close: String = format!("\"{}", "#".repeat(hashes));
                while i < chars.len() && !chars[i..].iter().take(hashes + 1).collect::<String>().eq(&close) {
                    out.push(keep(chars[i]));
                    i += 1;
                }
                i += hashes + 1;
            }
            '"' => {
                i += 1;
                while i < chars.len() && chars[i] != '"' {
                    out.push(keep(chars[i]));
                    i += if chars[i] == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // a character, not a lifetime
            '\'' if rest(1) == '\\' || rest(2) == '\'' => {
                i += if rest(1) == '\\' { 3 } else { 2 };
                while i < chars.len() && chars[i] != '\'' {
                    i += 1;
                }
                i += 1;
                out.push(' ');
            }
            c => {
                out.push(c);
                i += 1;
            }
        }
    }
    out
}

/// The places of a word in the code, as `file:line`.
fn places(code: &BTreeMap<String, String>, word: &str, allowed: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in code {
        for (line, content) in text.lines().enumerate() {
            let mut from = 0;
            while let Some(at) = content[from..].find(word) {
                let at = from + at;
                let before = content[..at].chars().next_back();
                let whole = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
                if whole && !allowed(file, &content[at..]) {
                    found.push(format!("{file}:{}: {}", line + 1, content.trim()));
                }
                from = at + word.len();
            }
        }
    }
    found
}

#[test]
fn the_scan_sees_code_and_nothing_else() {
    let text = "let a = \"crate::run\"; // crate::run\nlet b = 'x'; let c: &'a str = r#\"crate::run \" \"#;\nuse crate::run;\n";
    let code = blanked(text);
    assert_eq!(code.matches("crate::run").count(), 1, "{code}");
    assert_eq!(code.lines().count(), 3);
    assert!(code.contains("&'a str"));
}

#[test]
fn each_room_uses_only_those_to_its_left() {
    let code = code();
    for (position, room) in ROOMS.iter().enumerate() {
        assert!(code.keys().any(|f| f.starts_with(&format!("{room}/"))), "there is no room {room}");
        for (right, other) in ROOMS.iter().enumerate().skip(position + 1) {
            let prefix = format!("{room}/");
            let wrong = places(&code, &format!("crate::{other}"), |file, rest| {
                let longer = rest["crate::".len() + other.len()..]
                    .starts_with(|c: char| c.is_alphanumeric() || c == '_');
                !file.starts_with(&prefix) || longer
            });
            assert!(
                wrong.is_empty(),
                "`{room}` uses `{other}` ({position} < {right}):\n{}",
                wrong.join("\n")
            );
        }
        // grouped imports would hide from the scan
        let grouped = places(&code, "crate::{", |_, _| false);
        assert!(grouped.is_empty(), "write one `use crate::room::…` a room:\n{}", grouped.join("\n"));
    }
}

#[test]
fn every_file_is_in_a_room() {
    for file in code().keys() {
        let room = file.split('/').next().unwrap();
        assert!(ROOMS.contains(&room) || ["lib.rs", "main.rs"].contains(&file.as_str()), "{file}");
    }
}

#[test]
fn the_world_is_touched_in_the_last_room_alone() {
    let code = code();
    let last = |file: &str, _: &str| file.starts_with("command/") || file == "main.rs";
    for word in [
        "std::fs",
        "std::env",
        "std::net",
        "std::time",
        "std::process",
        "std::thread",
        "stdin",
        "stdout",
        "stderr",
        "is_terminal",
        "terminal_size",
        "tempfile",
        "anstream",
        "clap",
        "Instant",
        "SystemTime",
        "File::open",
        "println!",
        "print!",
        "eprintln!",
        "eprint!",
        "dbg!",
    ] {
        let wrong = places(&code, word, last);
        assert!(wrong.is_empty(), "`{word}` outside the command:\n{}", wrong.join("\n"));
    }
    // the traits and errors of reading are named by the host of a session, by the readers, and by what
    // lays out an archive in memory
    let wrong = places(&code, "std::io", |file, rest| {
        let rooms = ["data/", "session/", "report/archive.rs"];
        last(file, rest) || rooms.iter().any(|room| file.starts_with(room))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let wrong = places(&code, "unsafe", |file, rest| {
        ["command/host.rs", "command/heap.rs"].contains(&file) || rest.starts_with("unsafe_code")
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for word in ["todo!", "unimplemented!"] {
        assert!(places(&code, word, |_, _| false).is_empty(), "{word}");
    }
}

/// Files of a folder, without `mod.rs`.
fn files_of(folder: &str) -> Vec<String> {
    let prefix = format!("{folder}/");
    code()
        .keys()
        .filter_map(|f| f.strip_prefix(&prefix))
        .filter(|f| !f.contains('/') && *f != "mod.rs")
        .map(|f| f.trim_end_matches(".rs").to_string())
        .collect()
}

#[test]
fn every_pass_family_format_result_and_verb_is_registered() {
    let code = code();
    let passes: Vec<&str> = mba::plan::PASSES.iter().map(|p| p.name).collect();
    for file in files_of("plan/passes") {
        assert!(passes.contains(&file.as_str()) || file == "lower", "pass {file} is not in PASSES");
    }
    for name in &passes {
        assert!(code.contains_key(&format!("plan/passes/{name}.rs")), "pass {name} has no file");
    }
    let families: Vec<&str> = mba::model::family::FAMILIES.iter().map(|f| f.name).collect();
    let files = files_of("model/family");
    assert_eq!(files, families, "one file and one line each, in order");
    for file in files_of("data/formats") {
        let used = |f: &str| f.starts_with("data/") && f != format!("data/formats/{file}.rs");
        let registered = code.iter().any(|(f, text)| used(f) && text.contains(&format!("{file}::")));
        assert!(registered, "format {file} is not registered");
    }
    // a verb is a file with arguments, and a line in the command
    let command = &code["command/mod.rs"];
    for file in files_of("command") {
        let text = &code[&format!("command/{file}.rs")];
        if text.contains("pub struct Arguments") {
            assert!(command.contains(&format!("{file}::Arguments")), "verb {file} is not in Verb");
            assert!(command.contains(&format!("{file}::run(")), "verb {file} is never run");
        }
    }
    // every public computation of a result is reached from a registry line or another result
    for file in files_of("report/results") {
        if ["arguments", "evaluate"].contains(&file.as_str()) {
            continue;
        }
        for line in code[&format!("report/results/{file}.rs")].lines() {
            let Some(name) = line.strip_prefix("pub fn ").and_then(|l| l.split('(').next()) else { continue };
            let name = name.split('<').next().unwrap();
            let used: usize = code
                .iter()
                .filter(|(f, _)| f.starts_with("report/results/"))
                .map(|(_, text)| text.matches(name).count())
                .sum();
            assert!(used > 1, "result {file}::{name} is in no registry");
        }
    }
}

#[test]
fn every_lint_and_code_has_a_page_that_begins_with_it() {
    for code in mba::text::Code::ALL {
        assert!(code.page().starts_with(&format!("# {code}")), "{code}");
    }
    let pages = std::fs::read_dir(package().join("docs/errors")).unwrap();
    for page in pages {
        let name = page.unwrap().file_name().to_string_lossy().into_owned();
        let stem = name.trim_end_matches(".md");
        assert!(stem == "README" || stem.parse::<mba::text::Code>().is_ok(), "{name} is the page of no code");
    }
}
