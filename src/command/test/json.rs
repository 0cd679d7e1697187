//! The report as one JSON object.

use serde_json::{Map, Value as Json, json};

use super::outcome::{File, Suite};
use crate::report::diagnostics;
use crate::session::snapshot::State;
use crate::session::testing::Kind;
use crate::text::Diagnostic;

/// Every test and every program that is wrong, and the counts.
pub fn report(suite: &Suite) -> String {
    let files: Vec<Json> = suite.files.iter().map(file).collect();
    let (ran, passed) = suite.ran();
    let kinds: Map<String, Json> =
        suite.kinds().into_iter().map(|(kind, n)| (kind.words().to_string(), n.into())).collect();
    let s = suite.snapshots();
    let object = json!({
        "files": files,
        "tests": ran + suite.not_run(),
        "passed": passed,
        "failed": ran - passed,
        "not_run": suite.not_run(),
        "kinds": kinds,
        "snapshots": {
            "same": s.same, "moved": s.moved, "new": s.new, "damaged": s.damaged,
            "unreferenced": s.unreferenced, "written": s.written,
        },
        "status": suite.status(),
    });
    format!("{}\n", serde_json::to_string_pretty(&object).unwrap_or_default())
}

fn file(file: &File) -> Json {
    let failures = |list: &[Diagnostic]| -> Vec<Json> {
        list.iter()
            .map(|f| {
                let mut object = json!({ "kind": Kind::of(f).words() });
                if let (Some(object), Some(inner)) = (
                    object.as_object_mut(),
                    diagnostics::json(f, &file.sources)["diagnostic"].as_object_mut(),
                ) {
                    object.append(inner);
                }
                object
            })
            .collect()
    };
    let tests: Vec<Json> = file
        .cases
        .iter()
        .map(|case| {
            let count = |f: fn(&State) -> bool| case.seen.iter().filter(|s| f(&s.state)).count();
            json!({
                "test": case.name,
                "status": if case.passed() { "passed" } else { "failed" },
                "kinds": case.kinds().iter().map(|k| k.words()).collect::<Vec<_>>(),
                "failures": failures(&case.failures),
                "causes": failures(&case.causes),
                "snapshots": {
                    "same": count(|s| *s == State::Same),
                    "new": count(|s| *s == State::New),
                    "moved": count(|s| matches!(s, State::Moved(_))),
                    "damaged": count(|s| matches!(s, State::Damaged(_))),
                },
                "seconds": case.seconds,
            })
        })
        .collect();
    json!({
        "file": file.path,
        "failures": failures(&file.failures),
        "not_run": file.not_run,
        "tests": tests,
        "unreferenced": file.unreferenced.iter().map(|k| json!({ "test": k.test, "label": k.label })).collect::<Vec<_>>(),
    })
}
