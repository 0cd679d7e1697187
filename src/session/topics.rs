//! What can be looked up: sections of the documentation, results, families, modules, codes, and what the
//! user declared. The texts are those of the documentation and the registries; there is no second copy.

use super::{Session, estimate_options, estimators, library};
use crate::model::family::FAMILIES;
use crate::plan::method::METHODS as METHODS_OF_FITTING;
use crate::report::results::estimates::ESTIMATES;
use crate::report::results::{
    BALANCE_FIELDS, FIELDS, FUNCTIONS, JOINT_FIELDS, METHODS, OBSERVABLES, OF, QUESTIONS, WHOLES,
};
use crate::text::ast::{Statement, StatementKind};
use crate::text::{Code, SourceId, parse, suggest, tokens};

/// Something that can be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// The name it is found by.
    pub name: String,
    /// What it is, in Markdown.
    pub text: String,
}

/// Topics of one kind, each with a line on what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they are.
    pub title: &'static str,
    /// Name and description.
    pub topics: Vec<(String, String)>,
}

const LANGUAGE: &str = include_str!("../../docs/language.md");
const PROMPT: &str = include_str!("../../docs/repl.md");

/// A section of a document.
struct Section<'d> {
    title: &'d str,
    level: usize,
    /// With its heading, up to the next heading that is not below it.
    text: &'d str,
}

/// The sections of a document, in order; a section holds those below it.
fn sections(document: &str) -> Vec<Section<'_>> {
    let mut heads: Vec<(usize, usize, &str)> = Vec::new();
    let (mut at, mut fenced) = (0, false);
    for line in document.split_inclusive('\n') {
        fenced ^= line.starts_with("```");
        let level = line.len() - line.trim_start_matches('#').len();
        if !fenced && level > 0 {
            heads.push((at, level, line.trim_start_matches('#').trim()));
        }
        at += line.len();
    }
    let mut found = Vec::new();
    for (position, (start, level, title)) in heads.iter().enumerate().filter(|(_, h)| h.1 > 1) {
        let end = heads[position + 1..].iter().find(|h| h.1 <= *level).map_or(document.len(), |h| h.0);
        let text = document.get(*start..end).unwrap_or("");
        found.push(Section { title, level: *level, text });
    }
    found
}

fn all_sections() -> Vec<Section<'static>> {
    let mut all = sections(LANGUAGE);
    all.extend(sections(PROMPT));
    all
}

/// A text without the marks that registries are written between.
fn clean(text: &str) -> String {
    text.lines().filter(|l| !l.starts_with("<!--")).map(|l| format!("{l}\n")).collect()
}

/// The topic of this name, in any case; what the user declared comes first.
///
/// # Errors
/// The nearest name, if there is one.
pub fn find(wanted: &str, session: Option<&Session>) -> Result<Topic, Option<String>> {
    let wanted = wanted.trim();
    let found = session
        .and_then(|s| declared(wanted, s))
        .or_else(|| section(wanted))
        .or_else(|| code(wanted))
        .or_else(|| registered(wanted))
        .or_else(|| module(wanted))
        .or_else(|| row(wanted))
        .or_else(|| option(wanted))
        .or_else(|| keyword(wanted));
    found.ok_or_else(|| {
        let mut names: Vec<String> =
            groups().into_iter().flat_map(|g| g.topics).map(|(name, _)| name).collect();
        names.extend(tokens::keywords().into_iter().map(str::to_string));
        if let Some(session) = session {
            names.extend(session.declarations.models.keys().cloned());
        }
        suggest::nearest(wanted, names.iter().map(String::as_str)).map(str::to_string)
    })
}

/// Everything that can be looked up, by kind; codes are left to the list of codes.
pub fn groups() -> Vec<Group> {
    let pair = |name: &str, about: &str| (name.to_string(), about.to_string());
    let modules = library::MODULES.iter().map(|m| pair(m.name, &opening(m.text))).collect();
    vec![
        Group {
            title: "chapters",
            topics: all_sections().iter().map(|s| (s.title.to_lowercase(), String::new())).collect(),
        },
        Group { title: "results of a fit", topics: FIELDS.iter().map(|f| pair(f.name, f.about)).collect() },
        Group {
            title: "results with arguments",
            topics: METHODS.iter().map(|m| pair(m.name, m.about)).collect(),
        },
        Group {
            title: "functions of fits",
            topics: FUNCTIONS.iter().map(|f| pair(f.name, f.about)).collect(),
        },
        Group {
            title: "results of a joint fit",
            topics: JOINT_FIELDS.iter().map(|f| pair(f.name, f.about)).chain([pair(OF.0, OF.2)]).collect(),
        },
        Group {
            title: "results of a balance",
            topics: BALANCE_FIELDS.iter().map(|f| pair(f.name, f.about)).collect(),
        },
        Group {
            title: "results of an estimate",
            topics: ESTIMATES.iter().map(|f| pair(f.name, f.about)).collect(),
        },
        Group {
            title: "results of a model with known energies",
            topics: OBSERVABLES
                .iter()
                .map(|o| pair(o.name, o.about))
                .chain(WHOLES.iter().map(|w| pair(w.name, w.about)))
                .chain(QUESTIONS.iter().map(|q| pair(q.name, q.about)))
                .collect(),
        },
        Group {
            title: "methods of fitting",
            topics: METHODS_OF_FITTING.iter().map(|m| pair(m.name, m.about)).collect(),
        },
        Group {
            title: "methods of estimating",
            topics: estimators().iter().map(|(name, about)| pair(name, about)).collect(),
        },
        Group {
            title: "options of estimates",
            topics: estimate_options().iter().map(|(name, about)| pair(name, about)).collect(),
        },
        Group { title: "families", topics: FAMILIES.iter().map(|f| pair(f.name, f.about)).collect() },
        Group { title: "modules of the standard library", topics: modules },
    ]
}

/// The first line of the doc comment a text begins with.
fn opening(text: &str) -> String {
    text.lines().next().unwrap_or("").trim_start_matches('#').trim().to_string()
}

/// A model or a result of the session: its doc comment, how it is written, and what can be asked of it.
fn declared(wanted: &str, session: &Session) -> Option<Topic> {
    let model = session.declarations.models.get(wanted);
    let model = model.map(|entry| model_text(&entry.docs, session.sources.slice(entry.span)));
    let text: Vec<String> = model.into_iter().chain(result(wanted, session)).collect();
    (!text.is_empty()).then(|| Topic { name: wanted.to_string(), text: text.join("\n") })
}

/// The statement that a result of the session comes from, and what can be asked of it.
fn result(wanted: &str, session: &Session) -> Option<String> {
    let is = |s: &&Statement| {
        super::extend::declared(s)
            .iter()
            .any(|(kind, name)| *kind == super::extend::Kind::Result && name == wanted)
    };
    let statement = session.units.iter().flat_map(|u| &u.program.statements).rfind(is)?;
    let rows = |list: &mut dyn Iterator<Item = (String, &str)>| -> String {
        list.map(|(name, about)| format!("| `{wanted}.{name}` | {} |\n", about.replace('|', "\\|"))).collect()
    };
    let own = |usage: &str| usage.split_once('.').map_or(usage, |(_, own)| own).replace('|', "\\|");
    let (chapter, rows) = match &statement.kind {
        StatementKind::Fit(fit) if fit.targets.len() > 1 => {
            let fields = JOINT_FIELDS.iter().map(|f| (f.name.to_string(), f.about));
            ("joint fits", rows(&mut fields.chain([(own(OF.1), OF.2)])))
        }
        StatementKind::Fit(_) | StatementKind::Load { .. } => {
            let fields = FIELDS.iter().map(|f| (f.name.to_string(), f.about));
            ("results", rows(&mut fields.chain(METHODS.iter().map(|m| (own(m.usage), m.about)))))
        }
        StatementKind::Balance(_) => {
            ("balancing", rows(&mut BALANCE_FIELDS.iter().map(|f| (f.name.to_string(), f.about))))
        }
        StatementKind::Estimate(_) => {
            ("estimates", rows(&mut ESTIMATES.iter().map(|f| (f.name.to_string(), f.about))))
        }
        StatementKind::Sweep(_) => (
            "models with known energies",
            rows(&mut OBSERVABLES.iter().map(|o| (o.name.to_string(), o.about))),
        ),
        _ => return None,
    };
    let written = session.sources.slice(statement.span);
    let written = crate::text::format(written).unwrap_or_else(|_| written.to_string());
    let head = "| result | what it is |\n|---|---|\n";
    Some(format!("```mba\n{}\n```\n\n{head}{rows}\nSee `{chapter}`.\n", written.trim_end()))
}

fn model_text(docs: &[String], written: &str) -> String {
    let written = crate::text::format(written).unwrap_or_else(|_| written.to_string());
    format!("{}\n\n```mba\n{}\n```\n", docs.join("\n"), written.trim_end())
}

fn section(wanted: &str) -> Option<Topic> {
    let all = all_sections();
    let named = |name: &str| all.iter().position(|s| s.title.to_lowercase() == name);
    let wanted = wanted.to_lowercase();
    let found = named(&wanted).or_else(|| named(&format!("{wanted}s")))?;
    let section = all.get(found)?;
    Some(Topic { name: section.title.to_lowercase(), text: clean(section.text) })
}

fn code(wanted: &str) -> Option<Topic> {
    let code: Code = wanted.parse().ok()?;
    Some(Topic { name: code.name().to_string(), text: code.page().to_string() })
}

fn registered(wanted: &str) -> Option<Topic> {
    let name = wanted.rsplit('.').next().unwrap_or(wanted);
    let mut lines = Vec::new();
    let mut add = |usage: &str, about: &str, chapter: &str| {
        lines.push(format!("`{usage}`: {about} (see `{chapter}`)"));
    };
    FIELDS.iter().filter(|f| f.name == name).for_each(|f| add(&format!("f.{}", f.name), f.about, "results"));
    METHODS.iter().filter(|m| m.name == name).for_each(|m| add(m.usage, m.about, "results"));
    FUNCTIONS.iter().filter(|f| f.name == name).for_each(|f| add(f.usage, f.about, "results"));
    let here = |own: &str| own == name;
    // most results of a joint fit are those of any fit
    let own = JOINT_FIELDS.iter().filter(|j| !FIELDS.iter().any(|f| f.name == j.name));
    own.filter(|j| here(j.name)).for_each(|j| add(&format!("f.{}", j.name), j.about, "joint fits"));
    if here(OF.0) {
        add(OF.1, OF.2, "joint fits");
    }
    BALANCE_FIELDS
        .iter()
        .filter(|f| here(f.name))
        .for_each(|f| add(&format!("B.{}", f.name), f.about, "balancing"));
    ESTIMATES
        .iter()
        .filter(|f| here(f.name))
        .for_each(|f| add(&format!("e.{}", f.name), f.about, "estimates"));
    let energies = "models with known energies";
    OBSERVABLES
        .iter()
        .filter(|o| here(o.name))
        .for_each(|o| add(&format!("m.{}", o.name), o.about, energies));
    WHOLES.iter().filter(|w| here(w.name)).for_each(|w| add(&format!("m.{}", w.name), w.about, energies));
    QUESTIONS.iter().filter(|q| here(q.name)).for_each(|q| add(q.usage, q.about, energies));
    FAMILIES.iter().filter(|f| f.name == name).for_each(|f| add(f.usage, f.about, "models"));
    let by = |name: &str| format!("by {name}");
    METHODS_OF_FITTING.iter().filter(|m| here(m.name)).for_each(|m| add(&by(m.name), m.about, "fits"));
    estimators().iter().filter(|(n, _)| here(n)).for_each(|(n, about)| add(&by(n), about, "estimates"));
    (!lines.is_empty()).then(|| Topic { name: name.to_string(), text: lines.join("\n\n") + "\n" })
}

/// An option of estimates; those that fits have too are found there.
fn option(wanted: &str) -> Option<Topic> {
    let (name, about) = estimate_options().iter().find(|(name, _)| *name == wanted)?;
    let text = format!("`{{ {name} … }}`: {about} (see `estimates`)\n");
    Some(Topic { name: (*name).to_string(), text })
}

/// A module of the library, or a template of one.
fn module(wanted: &str) -> Option<Topic> {
    let documented = |text: &'static str| {
        let (program, _) = parse(SourceId::default(), text);
        program.statements.into_iter().filter_map(move |s| match &s.kind {
            StatementKind::Model(model) => {
                Some((model.name.name.clone(), model_text(&s.docs, text.get(s.span.start..s.span.end)?)))
            }
            _ => None,
        })
    };
    if let Some(module) = library::find(wanted) {
        let head: Vec<&str> = module.text.lines().take_while(|l| l.starts_with("##")).collect();
        let head: String =
            head.iter().map(|l| format!("{}\n", l.trim_start_matches('#').trim_start_matches(' '))).collect();
        let templates: String =
            documented(module.text).map(|(name, text)| format!("\n## {name}\n\n{text}")).collect();
        let text = format!("`use {}`\n\n{head}{templates}", module.name);
        return Some(Topic { name: module.name.to_string(), text });
    }
    let of = |module: &'static library::Module| documented(module.text).map(|(n, t)| (n, t, module.name));
    let (name, text, module) = library::MODULES.iter().flat_map(of).find(|(name, ..)| name == wanted)?;
    Some(Topic { name, text: format!("After `use {module}`:\n\n{text}") })
}

/// A row of a table in the documentation: an option, a clause, a format, a status, a command.
fn row(wanted: &str) -> Option<Topic> {
    let wanted = wanted.trim_start_matches(':');
    for section in all_sections() {
        let mut rows = Vec::new();
        for line in section.text.lines().filter(|l| l.starts_with("| ")) {
            let cell = line.trim_start_matches('|').split('|').next().unwrap_or("");
            let word = |c: char| c.is_alphanumeric() || c == '_';
            // the words that its first cell has between backticks begin its names
            let mut names = cell.split('`').skip(1).step_by(2).map(|name| {
                let name = name.trim_start_matches(':').trim_start_matches("mba ");
                name.split(|c| !word(c)).next().unwrap_or("")
            });
            if names.any(|n| n == wanted) {
                rows.push(line);
            }
        }
        let nested = sections(section.text).iter().any(|s| s.level > section.level);
        if !rows.is_empty() && !nested {
            let columns = rows.first().map_or(2, |r| r.replace("\\|", "").matches('|').count() - 1);
            let blank = format!("|{}\n|{}\n", " |".repeat(columns), "---|".repeat(columns));
            let title = section.title.to_lowercase();
            let text = format!("{blank}{}\n\nSee `{title}`.\n", rows.join("\n"));
            return Some(Topic { name: wanted.to_string(), text });
        }
    }
    None
}

/// The section that says most about a keyword.
fn keyword(wanted: &str) -> Option<Topic> {
    if !tokens::keywords().contains(&wanted) {
        return None;
    }
    let all = all_sections();
    let said = |s: &&Section<'_>| {
        let general = ["Text", "Not yet", "Diagnostics", "Command line"].contains(&s.title);
        let quoted =
            s.text.matches(&format!("`{wanted} ")).count() + s.text.matches(&format!("`{wanted}`")).count();
        if general { 0 } else { 2 * quoted + s.text.matches(&format!("\n{wanted} ")).count() }
    };
    // of two that say as much, the smaller one
    let best = all.iter().max_by_key(|s| (said(s), usize::MAX - s.text.len()))?;
    let of = |s: &Section<'_>| Topic { name: s.title.to_lowercase(), text: clean(s.text) };
    if said(&best) > 0 {
        return Some(of(best));
    }
    // words that stand only inside the signs of others, and those of what this version does not have
    let times = |s: &&Section<'_>| {
        s.text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| *w == wanted).count()
    };
    let later = all.iter().max_by_key(times)?;
    (times(&later) > 0).then(|| of(later))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_listed_can_be_found() {
        for group in groups() {
            assert!(!group.topics.is_empty(), "{}", group.title);
            for (name, _) in group.topics {
                let topic = find(&name, None).unwrap_or_else(|_| panic!("`{name}` is not found"));
                assert!(!topic.text.trim().is_empty(), "`{name}` says nothing");
            }
        }
        for code in Code::ALL {
            assert!(find(code.name(), None).is_ok());
        }
    }

    #[test]
    fn keywords_lead_to_what_is_said_about_them() {
        for word in tokens::keywords() {
            let known = find(word, None).is_ok();
            // words that only occur in signs of other words have no place of their own
            assert!(known, "`{word}` is explained nowhere");
        }
    }

    #[test]
    fn names_are_found_as_they_are_written() {
        let text = |name: &str| find(name, None).map(|t| t.text).unwrap_or_default();
        assert!(text("f.kl").contains("nats"));
        assert!(text("fit").starts_with("## Fits"));
        assert!(text("tolerance").contains("marginal gap"));
        assert!(text("body").contains("interaction"));
        assert!(text("ising").contains("```mba"));
        assert!(text("plan").contains("schedule"));
        assert_eq!(find("devience", None), Err(Some("deviance".into())));
    }
}
