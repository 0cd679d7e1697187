//! The command as a person uses it: a folder with files in it, and the binary run there.
#![allow(dead_code)] // each test binary uses its own part

use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use ndarray::{ArrayD, IxDyn};
use serde_json::Value as Json;

/// A folder that is gone when the test ends.
pub struct Room {
    folder: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Room {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub fn array(&self, name: &str, shape: &[usize], values: &[f64]) -> &Self {
        let array = ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap();
        ndarray_npy::write_npy(self.path().join(name), &array).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("mba").unwrap();
        command.current_dir(self.path()).args(arguments).timeout(Duration::from_secs(120));
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "COLUMNS", "CI"] {
            command.env_remove(name);
        }
        command
    }

    pub fn mba(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// Runs a program given as text.
    pub fn run(&self, program: &str, more: &[&str]) -> Ran {
        self.file("t.mba", program);
        self.mba(&[&["run", "t.mba"], more].concat())
    }

    /// Runs a program given as text, to objects.
    pub fn objects(&self, program: &str, more: &[&str]) -> Vec<Json> {
        self.run(program, &[&["--format", "jsonl"], more].concat()).objects()
    }
}

impl Ran {
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let ran = Self {
            status: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        ran
    }

    #[track_caller]
    pub fn ends_with(self, status: i32) -> Self {
        assert_eq!(self.status, status, "\n--- out\n{}\n--- err\n{}", self.out, self.err);
        self
    }

    /// The complaint says all of these.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in\n{}", self.err);
        }
        self
    }

    #[track_caller]
    pub fn objects(&self) -> Vec<Json> {
        self.out
            .lines()
            .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}\n{}", self.err)))
            .collect()
    }
}

/// The value shown under an expression.
#[track_caller]
pub fn shown<'a>(objects: &'a [Json], label: &str) -> &'a Json {
    &objects
        .iter()
        .find(|o| o["show"] == label)
        .unwrap_or_else(|| panic!("nothing is shown as `{label}` in {objects:#?}"))["value"]
}

#[track_caller]
pub fn number(objects: &[Json], label: &str) -> f64 {
    shown(objects, label).as_f64().unwrap_or_else(|| panic!("`{label}` is {}", shown(objects, label)))
}

/// The diagnostics among objects.
pub fn diagnostics(objects: &[Json]) -> Vec<&Json> {
    objects.iter().map(|o| &o["diagnostic"]).filter(|d| d.is_object()).collect()
}

/// What was printed, without the times.
pub fn timeless(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(at) = rest.find("\"seconds\":") {
        let (before, after) = rest.split_at(at);
        kept.push_str(before);
        rest = after.trim_start_matches(|c: char| !matches!(c, ',' | '}' | '\n'));
    }
    kept + rest
}

/// The tensor of the published values: x(i) = 1 + (Σ kᵈ iᵈ mod 11) + (Π (iᵈ + 1) mod 4) / 10.
pub fn det(shape: &[usize]) -> Vec<f64> {
    let k = [3, 5, 7, 2, 4];
    let cells: usize = shape.iter().product();
    (0..cells)
        .map(|flat| {
            let mut rest = flat;
            let mut cell = vec![0; shape.len()];
            for axis in (0..shape.len()).rev() {
                cell[axis] = rest % shape[axis];
                rest /= shape[axis];
            }
            let sum: usize = cell.iter().zip(k).map(|(i, k)| i * k).sum();
            let product: usize = cell.iter().map(|i| i + 1).product();
            1.0 + (sum % 11) as f64 + 0.1 * (product % 4) as f64
        })
        .collect()
}

/// The folder of the package.
pub fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
