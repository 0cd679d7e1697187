//! What is written for users is true: every example runs, every page is there, every list is complete.
//!
//! | block | what is done with it |
//! |---|---|
//! | ` ```mba ` | runs without an error, tests included |
//! | ` ```mba error ` | only on the page of a code: reports that code and nothing else |
//! | ` ```console ` | runs the command and compares what it prints; `[..]` is anything in a line, a line `...` any lines |
//!
//! `UPDATE_DOCS=1` writes the lists and the output of the commands into the documents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use mba::data::Content;
use mba::model::{constant, family::FAMILIES};
use mba::report::results::estimates::ESTIMATES;
use mba::report::results::{
    BALANCE_FIELDS, FIELDS, FUNCTIONS, JOINT_FIELDS, METHODS, OBSERVABLES, OF, QUESTIONS, TRANSFORMS, WHOLES,
};
use mba::run::{Observer, Silent};
use mba::session::{Event, Host, Options, Session, Sink, library};
use mba::text::{Code, Diagnostic, Sources};

/// Codes whose page shows a report instead of a program, and why no program by itself has that report.
const WITHOUT_PROGRAM: &[(&str, &str)] = &[
    ("MBA104", "is about the command line; the page runs the command"),
    ("MBA206", "needs an array whose header is wrong"),
    ("MBA207", "needs two arrays in files"),
    ("MBA403", "needs a file without rows"),
    ("MBA405", "needs an array of objects"),
    ("MBA406", "needs an archive of several arrays"),
    ("MBA407", "needs a damaged table"),
    ("MBA408", "needs a file in another encoding"),
    ("MBA412", "needs a table of fractions"),
    ("MBA326", "needs a table too large for a test"),
    ("MBA420", "needs a table with an empty field"),
    ("MBA450", "needs a mask in a file"),
    ("MBA453", "needs a mask in a file"),
    ("MBA454", "needs a mask in a file"),
    ("MBA456", "needs more cells than a test should go through"),
    ("MBA562", "needs more cells than a test should go through"),
    ("MBA424", "needs a table with an empty field"),
    ("MBA423", "needs coordinates in files"),
    ("MBA502", "is for tensors that do not come from a program"),
    ("MBA505", "is for schedules that do not come from a program"),
    ("MBA530", "needs a run that is asked to end"),
    ("MBA511", "needs an observer that interrupts"),
    ("MBA531", "is about the command line"),
    ("MBA532", "is about the command line"),
    ("MBA533", "is about the command line"),
    ("MBA534", "needs a disk that fills up"),
    ("MBA535", "is about the command line"),
    ("MBA536", "needs a damaged file"),
    ("MBA537", "needs a run that is asked to end"),
    ("MBA538", "needs a run that is asked to end"),
    ("MBA539", "is about the command line"),
    ("MBA542", "needs a run that is asked to end"),
    ("MBA511", "needs a run that is asked to end"),
    ("MBA604", "needs a snapshot file that differs"),
    ("MBA605", "needs a damaged snapshot file"),
    ("MBA610", "needs a prompt, at which a declaration replaces another"),
    ("MBA621", "needs a clock"),
    ("MBA624", "is about `mba test --check`"),
    ("MBA625", "is about `mba test --check`"),
    ("MBA901", "cannot happen"),
];

/// Codes that come with the report of their cause.
const WITH_CAUSE: &[(&str, &str)] = &[("MBA325", "MBA512"), ("MBA602", "MBA410"), ("MBA603", "MBA510")];

// -------------------------------------------------------------------- documents

struct Block {
    line: usize,
    kind: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Documents that users read, by path: `docs/**/*.md`, and those at the root that are there.
fn documents() -> BTreeMap<PathBuf, String> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    collect(&root().join("docs"), &mut paths);
    paths.extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    let read = |path: PathBuf| fs::read_to_string(&path).ok().map(|text| (path, text));
    paths.into_iter().filter_map(read).collect()
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in text.lines().enumerate() {
        match (open.take(), line.strip_prefix("```")) {
            (Some(block), Some(_)) => blocks.push(block),
            (Some(mut block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, Some(kind)) => {
                open = Some(Block { line: at + 1, kind: kind.trim().to_string(), text: String::new() });
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is never closed");
    blocks
}

fn page_of(path: &Path) -> Option<Code> {
    let in_errors = path.parent().is_some_and(|p| p.ends_with("docs/errors"));
    in_errors.then(|| path.file_stem()?.to_str()?.parse().ok()).flatten()
}

// -------------------------------------------------------------------- running programs

/// Reads real files; what is written goes to a folder of its own.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }
}

impl Host for Desk {
    fn open(&self, path: &str) -> std::io::Result<Content> {
        fs::read(path).map(Content::owned)
    }
    fn read_text(&self, path: &str) -> std::io::Result<String> {
        fs::read_to_string(path)
    }
    fn beside(&self, from: &str, written: &str) -> String {
        let folder = Path::new(from).parent().unwrap_or(Path::new("."));
        folder.join(written).to_string_lossy().into_owned()
    }
    fn write(&self, path: &str, bytes: &[u8]) -> std::io::Result<()> {
        fs::write(self.0.path().join(path), bytes)
    }
    fn seconds(&self) -> f64 {
        0.0
    }
}

#[derive(Default)]
struct Heard(Vec<Diagnostic>);

impl Sink for Heard {
    fn event(&mut self, event: Event<'_>, _: &Sources) {
        match event {
            Event::Diagnostic(diagnostic) => self.0.push(diagnostic.clone()),
            Event::Test(test) => self.0.extend(test.failures.iter().cloned()),
            _ => {}
        }
    }
    fn observer(&mut self, _: &str, _: f64) -> Box<dyn Observer + '_> {
        Box::new(Silent)
    }
}

/// Everything reported about a program that stands in `folder`.
fn run(program: &str, folder: &Path) -> Vec<Diagnostic> {
    let desk = Desk::new();
    let path = folder.join("example.mba");
    let (mut session, mut found) = Session::load(&path.to_string_lossy(), program, Options::default(), &desk);
    if !found.iter().any(Diagnostic::is_error) {
        let mut heard = Heard::default();
        session.run(&desk, &mut heard);
        found.extend(heard.0);
    }
    found
}

fn said(found: &[Diagnostic]) -> String {
    found.iter().map(|d| format!("  {}: {}\n", d.code, d.message)).collect()
}

/// Runs what must run, and says what went wrong.
fn complaints(place: &str, program: &str, folder: &Path, page: Option<Code>) -> Option<String> {
    let found = run(program, folder);
    let wrong = found.iter().any(|d| d.is_error() || Some(d.code) == page);
    wrong.then(|| format!("{place}\n{}", said(&found)))
}

#[test]
fn programs_run() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, text) in documents() {
        let folder = path.parent().expect("a folder");
        for block in blocks(&text).iter().filter(|b| b.kind == "mba") {
            count += 1;
            let place = format!("{}:{}", path.display(), block.line);
            wrong.extend(complaints(&place, &block.text, folder, page_of(&path)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(count > Code::ALL.len() / 2, "only {count} programs were found");
}

#[test]
fn wrong_programs_have_the_error_of_their_page() {
    let mut wrong = Vec::new();
    for (path, text) in documents() {
        for block in blocks(&text).iter().filter(|b| b.kind == "mba error") {
            let place = format!("{}:{}", path.display(), block.line);
            let Some(code) = page_of(&path) else {
                wrong.push(format!("{place}\n  an error that is on no page of a code"));
                continue;
            };
            let found = run(&block.text, path.parent().expect("a folder"));
            let mut codes: BTreeSet<&str> = found.iter().map(|d| d.code.name()).collect();
            if let Some((_, cause)) = WITH_CAUSE.iter().find(|(c, _)| *c == code.name()) {
                codes.remove(cause);
            }
            if codes != BTreeSet::from([code.name()]) {
                wrong.push(format!("{place}\n{}", said(&found)));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

// -------------------------------------------------------------------- pages

#[test]
fn every_code_has_a_page() {
    let mut wrong = Vec::new();
    for code in Code::ALL {
        let page = code.page();
        let title = format!("# {code}: {}", code.title());
        if page.lines().next() != Some(&title) {
            wrong.push(format!("{code}: the page must begin with `{title}`"));
        }
        if !page.contains("\n## What to do\n") {
            wrong.push(format!("{code}: no section `What to do`"));
        }
        let blocks = blocks(page);
        let has = |kind: &str| blocks.iter().any(|b| b.kind == kind);
        let excused = WITHOUT_PROGRAM.iter().any(|(c, _)| *c == code.name());
        match (has("mba error"), excused) {
            (false, false) => wrong.push(format!("{code}: no program that shows it")),
            (true, true) => wrong.push(format!("{code}: has a program; take it off the list")),
            (true, false) if !has("mba") => wrong.push(format!("{code}: no program without it")),
            (false, true) if !has("text") && !has("console") => {
                wrong.push(format!("{code}: does not show what is seen"));
            }
            _ => {}
        }
    }
    for entry in fs::read_dir(root().join("docs/errors")).expect("pages") {
        let path = entry.expect("an entry").path();
        if page_of(&path).is_none() {
            wrong.push(format!("{} is the page of no code", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn blocks_are_of_a_known_kind() {
    const KINDS: &[&str] = &["mba", "mba error", "console", "text", "sh", "json", "rust", "toml", "yaml"];
    for (path, text) in documents() {
        for block in blocks(&text) {
            let place = format!("{}:{}", path.display(), block.line);
            assert!(KINDS.contains(&block.kind.as_str()), "{place}: a block of kind `{}`", block.kind);
        }
    }
}

// -------------------------------------------------------------------- the standard library

/// The doc comments of a module, as one Markdown text for each run of them.
fn doc_comments(text: &str) -> Vec<String> {
    let mut comments = vec![String::new()];
    for line in text.lines() {
        let last = comments.len() - 1;
        match line.strip_prefix("##") {
            Some(rest) => comments[last].push_str(&format!("{}\n", rest.strip_prefix(' ').unwrap_or(rest))),
            None if comments[last].is_empty() => {}
            None => comments.push(String::new()),
        }
    }
    comments.retain(|c| !c.is_empty());
    comments
}

#[test]
fn the_standard_library_is_documented_by_examples_that_run() {
    let mut wrong = Vec::new();
    for module in library::MODULES {
        let path = format!("stdlib/{}.mba", module.name);
        assert!(module.text.starts_with("## "), "{path} does not say what it is");
        let found = run(module.text, &root().join("stdlib"));
        assert!(found.is_empty(), "{path} does not stand alone:\n{}", said(&found));
        let comments = doc_comments(module.text);
        let templates = module.text.lines().filter(|l| l.starts_with("model ")).count();
        let documented = comments.iter().filter(|c| blocks(c).iter().any(|b| b.kind == "mba")).count();
        assert_eq!(documented, templates, "{path}: templates with an example");
        for comment in &comments {
            for block in blocks(comment) {
                assert_eq!(block.kind, "mba", "{path}: a block of another kind");
                let uses = format!("use {}\n", module.name);
                assert!(block.text.starts_with(&uses), "{path}: an example without `use`");
                assert!(block.text.contains("\ntest \""), "{path}: an example without a test");
                let found = run(&block.text, &root().join("stdlib"));
                if !found.is_empty() {
                    wrong.push(format!("{path}:\n{}{}", block.text, said(&found)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

// -------------------------------------------------------------------- lists from the registries

/// The lists that documents hold between `<!-- name -->` and `<!-- end -->`.
fn lists() -> Vec<(&'static str, String)> {
    let table = |head: [&str; 2], rows: Vec<(String, &str)>| {
        let rows: String = rows.iter().map(|(name, about)| format!("| `{name}` | {about} |\n")).collect();
        format!("| {} | {} |\n|---|---|\n{rows}", head[0], head[1])
    };
    let usage = |text: &str| text.replace('|', "\\|");
    let fields = FIELDS.iter().map(|f| (format!("f.{}", f.name), f.about)).collect();
    let methods = METHODS.iter().map(|m| (usage(m.usage), m.about)).collect();
    let functions = FUNCTIONS.iter().map(|f| (usage(f.usage), f.about)).collect();
    let balances = BALANCE_FIELDS.iter().map(|f| (format!("B.{}", f.name), f.about)).collect();
    let joint = JOINT_FIELDS.iter().map(|f| (format!("f.{}", f.name), f.about));
    let joint = joint.chain([(OF.1.to_string(), OF.2)]).collect();
    let estimates = ESTIMATES.iter().map(|f| (format!("e.{}", f.name), f.about)).collect();
    let estimators =
        mba::session::estimators().into_iter().map(|(n, about)| (format!("by {n}"), about)).collect();
    let families = FAMILIES.iter().map(|f| (f.usage.to_string(), f.about)).collect();
    let ways = mba::plan::method::METHODS.iter().map(|m| (format!("by {}", m.name), m.about)).collect();
    let names: Vec<String> = constant::function_names().map(|n| format!("`{n}`")).collect();
    let codes = Code::ALL.iter().map(|c| {
        let word = c.severity().word();
        format!("| [{c}](errors/{c}.md) | {word} | {} |\n", c.title())
    });
    vec![
        ("fields", table(["result", "what it is"], fields)),
        ("methods", table(["result", "what it is"], methods)),
        (
            "observables",
            table(
                ["result", "what it is"],
                OBSERVABLES
                    .iter()
                    .map(|o| (format!("m.{}", o.name), o.about))
                    .chain(WHOLES.iter().map(|w| (format!("m.{}", w.name), w.about)))
                    .collect(),
            ),
        ),
        (
            "questions",
            table(
                ["result", "what it is"],
                QUESTIONS
                    .iter()
                    .map(|q| (usage(q.usage), q.about))
                    .chain(TRANSFORMS.iter().map(|(_, u, about)| (usage(u), *about)))
                    .collect(),
            ),
        ),
        ("functions", table(["function", "what it is"], functions)),
        ("joint", table(["result", "what it is"], joint)),
        ("balances", table(["result", "what it is"], balances)),
        ("estimates", table(["result", "what it is"], estimates)),
        ("estimators", table(["method", "what it is"], estimators)),
        ("families", table(["family", "interactions"], families)),
        ("ways to fit", table(["method", "what it does"], ways)),
        ("functions of numbers", format!("{}\n", names.join(", "))),
        ("codes", format!("| code | severity | title |\n|---|---|---|\n{}", codes.collect::<String>())),
    ]
}

fn update() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// Held by what may write documents.
static WRITING: Mutex<()> = Mutex::new(());

#[test]
fn lists_are_those_of_the_registries() {
    let _writing = WRITING.lock();
    let path = root().join("docs/language.md");
    let mut text = fs::read_to_string(&path).expect("the language reference");
    for (name, list) in lists() {
        let (open, close) = (format!("<!-- {name} -->\n\n"), "\n<!-- end -->");
        let start = text.find(&open).unwrap_or_else(|| panic!("no list `{name}`")) + open.len();
        let end = start + text[start..].find(close).unwrap_or_else(|| panic!("`{name}` has no end"));
        if update() {
            text.replace_range(start..end, &list);
        }
        let end = start + text[start..].find(close).expect("the end");
        assert_eq!(&text[start..end], list, "the list `{name}` of {}", path.display());
    }
    if update() {
        fs::write(&path, text).expect("written");
    }
}

// -------------------------------------------------------------------- commands

/// A command of a console block, and what is shown below it.
struct Step {
    command: String,
    shown: String,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_string(), shown: String::new() });
        } else if let Some(step) = steps.last_mut() {
            step.shown.push_str(line);
            step.shown.push('\n');
        }
    }
    steps
}

/// What a command prints, both streams in the order of writing; a status that is not 0 comes first.
fn execute(command: &str, folder: &Path) -> String {
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("mba"), "`{command}` is not a command of this house; use a block `sh`");
    let mut process = Command::new(assert_cmd::cargo::cargo_bin!("mba"));
    process.stdin(Stdio::null());
    while let Some(word) = words.next() {
        match word {
            "<" => {
                let path = folder.join(words.next().expect("a file after `<`"));
                process.stdin(fs::File::open(path).expect("a file to read"));
            }
            _ => {
                process.arg(word.trim_matches('\''));
            }
        }
    }
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    process.stdout(writer.try_clone().expect("a pipe")).stderr(writer);
    process
        .env_remove("NO_COLOR")
        .env_remove("TERM")
        .env_remove("COLUMNS")
        .env_remove("CI")
        .current_dir(folder);
    let mut child = process.spawn().expect("the command");
    // the pipe ends when the command does, and not before this end of it is gone
    drop(process);
    let mut printed = String::new();
    reader.read_to_string(&mut printed).expect("text");
    let status = child.wait().expect("an end").code();
    match status {
        Some(0) => printed,
        status => format!("? {}\n{printed}", status.unwrap_or(-1)),
    }
}

/// A line as words and numbers, without the blanks between them, whose number depends on the digits.
fn tokens(line: &str) -> Vec<&str> {
    let is_number = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    let mut tokens = Vec::new();
    for word in line.split_whitespace() {
        let mut rest = word;
        while let Some(first) = rest.chars().next() {
            let kind = is_number(first);
            let end = rest.find(|c| is_number(c) != kind).unwrap_or(rest.len());
            tokens.push(&rest[..end]);
            rest = &rest[end..];
        }
    }
    tokens
}

/// Numbers with a fraction agree to six digits, or as what rounding leaves of nothing: the last digits
/// belong to the processor.
fn same(shown: &str, printed: &str) -> bool {
    let measured = |t: &str| t.contains(['.', 'e']).then(|| t.parse::<f64>().ok()).flatten();
    match (measured(shown), measured(printed)) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs() || a.abs().max(b.abs()) < 1e-9,
        _ => shown == printed,
    }
}

/// Whether a line is as it is shown; `[..]` stands for anything.
fn is_as_shown(shown: &str, line: &str) -> bool {
    let parts: Vec<Vec<&str>> = shown.split("[..]").map(tokens).collect();
    let line = tokens(line);
    let begins = |rest: &[&str], part: &[&str]| {
        part.len() <= rest.len() && part.iter().zip(rest).all(|(s, p)| same(s, p))
    };
    let [first, others @ ..] = parts.as_slice() else { return false };
    if !begins(&line, first) {
        return false;
    }
    let mut rest = &line[first.len()..];
    let Some((last, middle)) = others.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = (0..=rest.len()).find(|at| begins(&rest[*at..], part)) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && begins(&rest[rest.len() - last.len()..], last)
}

/// Whether what is printed is as shown; a line `...` stands for any lines.
fn agree(shown: &[&str], printed: &[&str]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        (["...", rest @ ..], _) => (0..=printed.len()).any(|n| agree(rest, &printed[n..])),
        ([s, shown @ ..], [p, printed @ ..]) => is_as_shown(s, p) && agree(shown, printed),
        _ => false,
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.trim_end().lines().map(str::trim_end).collect()
}

/// A folder with the examples in it.
fn workplace() -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry").path();
            let target = to.join(entry.file_name().expect("a name"));
            if entry.is_dir() {
                copy(&entry, &target);
            } else {
                fs::copy(&entry, &target).expect("copied");
            }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    copy(&root().join("examples"), &folder.path().join("examples"));
    folder
}

#[test]
fn commands_print_what_is_shown() {
    let _writing = WRITING.lock();
    let mut wrong = Vec::new();
    for (path, text) in documents() {
        let consoles: Vec<Block> = blocks(&text).into_iter().filter(|b| b.kind == "console").collect();
        if consoles.is_empty() {
            continue;
        }
        // the commands of one document follow each other
        let folder = workplace();
        let mut updated = text.clone();
        for block in consoles {
            let mut now = String::new();
            let mut differs = false;
            for step in steps(&block.text) {
                let printed = execute(&step.command, folder.path());
                let agrees = agree(&lines(&step.shown), &lines(&printed));
                differs |= !agrees;
                let kept = if agrees { step.shown.trim_end() } else { printed.trim_end() };
                let gap = if now.is_empty() { "" } else { "\n" };
                now.push_str(&format!(
                    "{gap}$ {}\n{kept}{}",
                    step.command,
                    if kept.is_empty() { "" } else { "\n" }
                ));
                if !agrees {
                    let place = format!("{}:{}", path.display(), block.line);
                    wrong.push(format!("{place}: $ {}\n{printed}", step.command));
                }
            }
            if differs {
                updated = updated.replacen(&block.text, &now, 1);
            }
        }
        if update() && updated != text {
            fs::write(&path, updated).expect("written");
        }
    }
    assert!(wrong.is_empty() || update(), "\n{}", wrong.join("\n"));
}

/// The strings under a key, anywhere in a document.
fn strings(yaml: &yaml_rust2::Yaml, key: &str, found: &mut Vec<String>) {
    use yaml_rust2::Yaml;
    match yaml {
        Yaml::Hash(map) => {
            for (name, value) in map {
                match value {
                    Yaml::String(text) if name.as_str() == Some(key) => found.push(text.clone()),
                    other => strings(other, key, found),
                }
            }
        }
        Yaml::Array(list) => list.iter().for_each(|item| strings(item, key, found)),
        _ => {}
    }
}

/// What a hosted service or a hook would run, is run: in a folder with the examples, with the command on the path.
#[test]
fn commands_in_workflows_run() {
    let binary = assert_cmd::cargo::cargo_bin!("mba");
    let mut paths = vec![binary.parent().expect("a folder").to_path_buf()];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let path = std::env::join_paths(paths).expect("a path");
    let mut ran = Vec::new();
    for (document, text) in documents() {
        for block in blocks(&text).iter().filter(|b| b.kind == "yaml") {
            let place = format!("{}:{}", document.display(), block.line);
            let yaml = yaml_rust2::YamlLoader::load_from_str(&block.text).expect(&place);
            assert_eq!(yaml.len(), 1, "{place}");
            let mut commands = Vec::new();
            strings(&yaml[0], "run", &mut commands);
            strings(&yaml[0], "entry", &mut commands);
            assert!(!commands.is_empty(), "{place}: nothing is run");
            let folder = workplace();
            for command in commands {
                // the command is here already
                if command.starts_with("cargo install --locked --path ") {
                    continue;
                }
                assert!(command.starts_with("mba "), "{place}: `{command}` cannot be tried");
                let mut shell = Command::new("sh");
                // a hook is given the files that were changed
                let files = if command == "mba fmt --check" { " examples/hair_eye.mba" } else { "" };
                shell
                    .args(["-c", &format!("{command}{files}")])
                    .current_dir(folder.path())
                    .env("PATH", &path);
                let output = shell.env("CI", "true").stdin(Stdio::null()).output().expect("a shell");
                let printed = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{place}: `{command}`: {printed}");
                ran.push(command);
            }
        }
    }
    assert_eq!(ran.len(), 4, "{ran:?}");
}

#[test]
fn shown_lines_may_leave_parts_open() {
    assert!(is_as_shown("a [..] c", "a b c"));
    assert!(is_as_shown("{\"seconds\":[..]}", "{\"seconds\":0.25}"));
    assert!(is_as_shown("kl 0.12345678, within 7.2e-16 nats", "kl 0.12345679, within 1.0e-15 nats"));
    assert!(!is_as_shown("kl 0.1234", "kl 0.1235"));
    assert!(!is_as_shown("12 sweeps", "13 sweeps"));
    assert!(!is_as_shown("a [..] c", "a b d"));
    assert!(!is_as_shown("a", "a b"));
    assert!(agree(&["a", "...", "d"], &["a", "b", "c", "d"]));
    assert!(agree(&["...", "d"], &["d"]));
    assert!(!agree(&["a", "...", "d"], &["a", "b"]));
}

// -------------------------------------------------------------------- links

fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[test]
fn links_lead_somewhere() {
    let documents = documents();
    let prose = |text: &str| -> String {
        let mut inside = false;
        let outside = text.lines().filter(|line| {
            let fence = line.starts_with("```");
            inside ^= fence;
            !inside && !fence
        });
        outside.map(|l| format!("{l}\n")).collect()
    };
    let headings: BTreeMap<&PathBuf, Vec<String>> = documents
        .iter()
        .map(|(path, text)| {
            let titles = prose(text);
            let titles = titles.lines().filter(|l| l.starts_with('#'));
            (path, titles.map(|l| anchor(l.trim_start_matches('#'))).collect())
        })
        .collect();
    let mut wrong = Vec::new();
    for (path, text) in &documents {
        for piece in prose(text).split("](").skip(1) {
            let target = piece.split(')').next().unwrap_or("");
            if target.contains("://") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let file =
                if file.is_empty() { path.clone() } else { path.parent().expect("a folder").join(file) };
            let Ok(file) = file.canonicalize() else {
                wrong.push(format!("{}: `{target}` is not there", path.display()));
                continue;
            };
            let known = headings.iter().find(|(p, _)| p.canonicalize().is_ok_and(|p| p == file));
            if !place.is_empty() && !known.is_some_and(|(_, list)| list.iter().any(|h| h == place)) {
                wrong.push(format!("{}: no heading for `{target}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
