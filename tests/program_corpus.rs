//! Programs through every stage, recorded: parse, check, model, plan, run; and one program under many
//! treatments with one result.

mod program_support;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use mba::model::{EnergyModel, Levels, Order, Potential, elaborate};
use mba::session::{Options, Session};
use mba::text::ast::StatementKind;
use mba::text::{SourceId, format, parse};
use program_support::*;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/programs").join(name)
}

fn programs(name: &str) -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "mba"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{name} is empty");
    let text = |p: &PathBuf| std::fs::read_to_string(p).unwrap();
    files.iter().map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), text(p))).collect()
}

/// An energy model in a few lines.
fn canonical(model: &EnergyModel) -> String {
    let mut text = format!("model {}\n", model.name);
    for (i, mode) in model.modes.iter().enumerate() {
        let levels: Vec<String> = (0..mode.size().min(8)).map(|l| mode.label(l).into_owned()).collect();
        let more = if mode.size() > 8 { " …" } else { "" };
        let kind = match (&mode.levels, mode.order) {
            (Levels::Binned(_), _) => " bins",
            (_, Order::Cyclic) => " cyclic",
            (_, Order::Ordered) => " ordered",
            _ => "",
        };
        let latent = if model.latent.contains(i) { " latent" } else { "" };
        let _ = writeln!(text, "  mode {}: {{{}{more}}}{kind}{latent}", mode.name, levels.join(", "));
    }
    for interaction in &model.interactions {
        let table = |t: &mba::model::Table| {
            let values: Vec<String> = t.values.iter().take(8).map(|x| format!("{x}")).collect();
            let more = if t.values.len() > 8 { " …" } else { "" };
            format!("{}{more}", values.join(" "))
        };
        let potential = match &interaction.potential {
            Potential::Free => "free".to_string(),
            Potential::Fixed(t) => format!("fixed {}", table(t)),
            Potential::Support(s) => format!("support {}", table(s.energies())),
            Potential::Learned { coefficient, statistic } => {
                format!("learned {coefficient} × {}", table(statistic))
            }
        };
        let _ = writeln!(text, "  {} {potential}", model.bracket(&interaction.scope));
    }
    for forbidden in &model.support {
        let cells = forbidden.cells.values.iter().filter(|x| **x != 0.0).count();
        let _ = writeln!(text, "  forbids {cells} cells of {}", model.bracket(&forbidden.scope));
    }
    if model.temperature != 1.0 {
        let _ = writeln!(text, "  temperature {}", model.temperature);
    }
    text
}

/// Every stage of a program, in one text.
fn stages(text: &str, files: &Files) -> String {
    let mut out = format!("{}\n", text.trim_end());
    let (program, syntax) = parse(SourceId::default(), text);
    let _ = writeln!(
        out,
        "\n──── parse: {} statements, {} comments, {} mistakes",
        program.statements.len(),
        program.comments.len(),
        syntax.len()
    );
    let (session, found) = Session::load("t.mba", text, Options::default(), files);
    out.push_str("\n──── check\n");
    found.iter().for_each(|d| out.push_str(&rendered(d, &session.sources)));
    out.push_str("\n──── model\n");
    for planned in session.planned.iter().filter(|p| !p.model.modes.is_empty()) {
        out.push_str(&canonical(&planned.model));
    }
    for (name, entry) in &session.declarations.models {
        let fitted = session.planned.iter().any(|p| &p.model.name == name);
        if !fitted && !entry.is_template() && entry.declaration.over.is_some() {
            let (model, _) = elaborate(&session.declarations, &session.known, entry, None, None);
            out.push_str(&model.map_or(format!("model {name}: none\n"), |m| canonical(&m)));
        }
    }
    out.push_str("\n──── plan\n");
    for planned in &session.planned {
        if let Some(schedule) = &planned.schedule {
            out.push_str(&schedule.tree());
        }
    }
    out.push_str("\n──── run\n");
    out.push_str(&run(text, files).2.text);
    // the ends of lines carry nothing
    out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn record(kind: &str) {
    let files = Files::of(&folder(kind));
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true,
        snapshot_path => format!("corpus/programs/{kind}/snapshots") }, {
        for (name, text) in programs(kind) {
            insta::assert_snapshot!(name, stages(&text, &files));
        }
    });
}

#[test]
fn syntax_trees_and_layout() {
    record("parse");
}

#[test]
fn names() {
    record("resolve");
}

#[test]
fn models() {
    record("model");
}

#[test]
fn data() {
    record("data");
}

#[test]
fn plans() {
    record("plan");
}

#[test]
fn runs() {
    record("run");
}

/// What goes wrong at each stage, beside the program in which it does.
#[test]
fn mistakes() {
    for stage in ["parse", "resolve", "model", "data", "plan", "run"] {
        let kind = format!("broken/{stage}");
        let files = Files::of(&folder(&kind));
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true,
            snapshot_path => format!("corpus/programs/{kind}/snapshots") }, {
            for (name, text) in programs(&kind) {
                let (session, found, recorder) = run(&text, &files);
                let mut out = format!("{}\n────\n", text.trim_end());
                found.iter().for_each(|d| out.push_str(&rendered(d, &session.sources)));
                out.push_str(&recorder.text);
                let wrong = found.iter().any(mba::text::Diagnostic::is_error)
                    || !recorder.codes.is_empty()
                    || recorder.tests.iter().any(|(_, failures)| !failures.is_empty());
                assert!(wrong, "{kind}/{name} is healthy");
                let out = out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
                insta::assert_snapshot!(name, out);
            }
        });
    }
}

/// Declarations are order-free: they go to the end, reversed; the verbs keep their order.
fn reversed(text: &str) -> String {
    let (program, _) = parse(SourceId::default(), text);
    let (mut declarations, mut verbs) = (Vec::new(), Vec::new());
    for statement in &program.statements {
        let piece = &text[statement.span.start..statement.span.end];
        match &statement.kind {
            StatementKind::Mode(_)
            | StatementKind::Param(_)
            | StatementKind::Data(_)
            | StatementKind::Use(_)
            | StatementKind::Model(_) => declarations.push(piece),
            _ => verbs.push(piece),
        }
    }
    declarations.reverse();
    [verbs, declarations].concat().join("\n")
}

#[test]
fn one_program_many_treatments_one_result() {
    for (name, text) in
        programs("run").into_iter().chain(programs("data").into_iter().filter(|p| !p.0.is_empty()))
    {
        let kind = if folder("run").join(format!("{name}.mba")).exists() { "run" } else { "data" };
        let files = Files::of(&folder(kind));
        let (session, plain) = healthy(&text, &files);
        assert!(!plain.fits.is_empty(), "{name} fits nothing");
        assert!(plain.tests.iter().all(|(_, failures)| failures.is_empty()), "{name}: {}", plain.text);
        let tidy = format(&text).unwrap();
        let treatments = [
            ("formatted", tidy.clone()),
            ("formatted twice", format(&tidy).unwrap()),
            ("CRLF", text.replace('\n', "\r\n")),
            ("reversed", reversed(&text)),
            ("a mark and blanks", format!("\u{feff}\n\n{text}\n\n")),
        ];
        for (treatment, changed) in treatments {
            let (_, other) = healthy(&changed, &files);
            same(&plain, &other, &format!("{name}, {treatment}"));
        }
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let other = pool.install(|| healthy(&text, &files).1);
            same(&plain, &other, &format!("{name}, {threads} threads"));
        }
        // the full table, fitted by hand; fits to several tensors have tests of their own
        let mut asking = text.clone();
        for planned in session.planned.iter().filter(|p| p.joint.is_none()) {
            let _ = write!(asking, "\nshow {}\nshow {}.fitted\n", planned.tensor, planned.name);
        }
        let (session, asked) = healthy(&asking, &files);
        for planned in session.planned.iter().filter(|p| p.joint.is_none()) {
            let model = &planned.model;
            let free: Vec<Vec<usize>> = model.free_scopes().iter().map(|s| s.iter().collect()).collect();
            if free.len() != model.interactions.len() {
                continue;
            }
            let shape: Vec<usize> = model.modes.iter().map(mba::model::Mode::size).collect();
            let data = asked.numbers(&planned.tensor);
            let fitted = asked.numbers(&format!("{}.fitted", planned.name));
            let total: f64 = data.iter().sum();
            for (q, want) in fitted.iter().zip(brute_force(&shape, &data, &free)) {
                assert!((q - want).abs() < 1e-6 * total, "{name}, {}: {q} for {want}", planned.name);
            }
        }
    }
}

#[track_caller]
fn same(a: &Recorder, b: &Recorder, what: &str) {
    assert_eq!(a.fits, b.fits, "{what}");
    assert_eq!(a.shown, b.shown, "{what}");
    assert_eq!(a.tests, b.tests, "{what}");
    assert_eq!(a.codes, b.codes, "{what}");
}
