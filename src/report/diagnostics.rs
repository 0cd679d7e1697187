//! Diagnostics as text for people and as objects for programs: the one place where they are rendered.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use anstyle::{AnsiColor, Style as Paint};
use ariadne::{CharSet, Color, Config, IndexType, Report, ReportKind};
use serde_json::{Value as Json, json};

use super::style::{Style, is_unprintable, printable};
use super::text::folded;
use crate::text::diagnostic::{Diagnostic, Severity};
use crate::text::span::{Source, SourceId, Sources, Span};

/// A line of source with more bytes than this is shown only around what is said about it.
const LONGEST_LINE: usize = 500;

/// Places shown for one diagnostic; the others are counted.
const MOST_LABELS: usize = 12;

/// Every diagnostic as a report, and a line that counts them. Empty when there are none.
///
/// Spans may be anything: they are cut to their source and widened to whole characters. The cost grows with the number
/// of diagnostics times the length of the sources they point into, but nothing of a long line is copied or printed
/// beyond what surrounds a span.
pub fn render<'a>(
    diagnostics: impl IntoIterator<Item = &'a Diagnostic>,
    sources: &Sources,
    style: Style,
) -> String {
    let mut out = String::new();
    let mut lines = LineTables::default();
    let mut counts = Counts::default();
    for diagnostic in diagnostics {
        counts.add(diagnostic.severity);
        out.push_str(&one(diagnostic, sources, &mut lines, style));
        out.push('\n');
    }
    if !out.is_empty() {
        out.push_str(&counts.to_string());
        out.push('\n');
    }
    out
}

/// One diagnostic as a report, without a summary.
pub fn report(diagnostic: &Diagnostic, sources: &Sources, style: Style) -> String {
    one(diagnostic, sources, &mut LineTables::default(), style)
}

/// How many diagnostics there are of each severity: `2 errors, 1 warning`. Empty when there are none.
pub fn summary<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> String {
    let mut counts = Counts::default();
    diagnostics.into_iter().for_each(|diagnostic| counts.add(diagnostic.severity));
    counts.to_string()
}

/// A diagnostic as one line of `--format jsonl`: `code`, `severity`, `message`, `file`, `line`, `column` and `help`
/// under the key `diagnostic`, with `labels`, `notes` and `fix` after them. Lines and columns count from 1, columns in
/// characters; they are null when the diagnostic has no place in a text.
pub fn json(diagnostic: &Diagnostic, sources: &Sources) -> Json {
    let place = diagnostic.span().and_then(|span| Place::of(span, sources));
    let help = diagnostic.help.as_ref().or(diagnostic.fix.as_ref().map(|fix| &fix.message));
    let labels: Vec<Json> = diagnostic
        .labels
        .iter()
        .map(|label| with(Place::json(label.span, sources), "message", &label.message))
        .collect();
    let fix = diagnostic.fix.as_ref().map(|fix| {
        let edit = |(span, text): &(Span, String)| with(Place::json(*span, sources), "text", text);
        json!({ "message": fix.message, "edits": fix.edits.iter().map(edit).collect::<Vec<_>>() })
    });
    json!({
        "diagnostic": {
            "code": diagnostic.code.name(),
            "severity": diagnostic.severity.word(),
            "message": diagnostic.message,
            "file": place.as_ref().map(|place| place.file),
            "line": place.as_ref().map(|place| place.start.0),
            "column": place.as_ref().map(|place| place.start.1),
            "help": help,
            "labels": labels,
            "notes": diagnostic.notes,
            "fix": fix,
        }
    })
}

fn with(mut object: Json, key: &str, text: &str) -> Json {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), Json::from(text));
    }
    object
}

/// Where a span begins and ends: lines and columns from 1.
struct Place<'a> {
    file: &'a str,
    start: (usize, usize),
    end: (usize, usize),
}

impl<'a> Place<'a> {
    fn of(span: Span, sources: &'a Sources) -> Option<Self> {
        let source = sources.get(span.source)?;
        let range = whole_characters(&source.text, span);
        let position = |byte| sources.position(span.source, byte);
        Some(Self { file: &source.name, start: position(range.start), end: position(range.end) })
    }

    fn json(span: Span, sources: &Sources) -> Json {
        let place = Place::of(span, sources);
        let place = place.as_ref();
        json!({
            "file": place.map(|place| place.file),
            "line": place.map(|place| place.start.0),
            "column": place.map(|place| place.start.1),
            "end_line": place.map(|place| place.end.0),
            "end_column": place.map(|place| place.end.1),
        })
    }
}

#[derive(Default)]
struct Counts {
    errors: usize,
    warnings: usize,
    notes: usize,
}

impl Counts {
    fn add(&mut self, severity: Severity) {
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Note => self.notes += 1,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = [(self.errors, "error"), (self.warnings, "warning"), (self.notes, "note")];
        let parts = counted.into_iter().filter(|(n, _)| *n > 0);
        let parts = parts.map(|(n, word)| format!("{n} {word}{}", if n == 1 { "" } else { "s" }));
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}

fn one(diagnostic: &Diagnostic, sources: &Sources, lines: &mut LineTables, style: Style) -> String {
    let word = diagnostic.severity.word();
    let head = Paint::new().fg_color(Some(severity_colour(diagnostic.severity).into())).bold();
    let title = format!("{word}[{}]", diagnostic.code);
    let mut out = style.paint(head, &title);
    out.push_str(&style.bold(": "));
    let hanging = title.chars().count() + 2;
    let message = paragraphs(&diagnostic.message, hanging, style.width);
    out.push_str(&message.lines().map(|line| style.bold(line)).collect::<Vec<_>>().join("\n"));
    out.push('\n');

    let (known, unknown): (Vec<_>, Vec<_>) =
        diagnostic.labels.iter().partition(|label| sources.get(label.span.source).is_some());
    let kept = known.get(..MOST_LABELS).unwrap_or(&known);
    out.push_str(&places(diagnostic.severity, kept, sources, lines, style));

    let mut tail = |word: &str, text: &str| {
        let paint = Paint::new().fg_color(Some(AnsiColor::Cyan.into())).bold();
        let hanging = word.len() + 4;
        out.push_str(&format!(
            "  {}: {}\n",
            style.paint(paint, word),
            paragraphs(text, hanging, style.width)
        ));
    };
    if known.len() > kept.len() {
        tail("note", &format!("and {} more places", known.len() - kept.len()));
    }
    for label in unknown.iter().filter(|label| !label.message.is_empty()) {
        tail("note", &label.message);
    }
    for note in &diagnostic.notes {
        tail("note", note);
    }
    if let Some(help) = &diagnostic.help {
        tail("help", help);
    }
    if let Some(fix) = &diagnostic.fix {
        // what the help has said already is not said again
        match diagnostic.help.as_ref().and_then(|help| help.strip_prefix(fix.message.as_str())) {
            Some("") => tail("help", "`mba check --fix` does that"),
            Some(_) => tail("help", "`mba check --fix` does the first"),
            None => tail("help", &format!("{} (`mba check --fix` does that)", fix.message)),
        }
    }
    out
}

fn severity_colour(severity: Severity) -> AnsiColor {
    match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Note => AnsiColor::Blue,
    }
}

/// Text folded to the width, whose lines after the first are moved to the right.
fn paragraphs(text: &str, hanging: usize, width: usize) -> String {
    let width = width.saturating_sub(hanging).max(20);
    let lines: Vec<String> = text.lines().map(|line| folded(&printable(line), width)).collect();
    lines.join("\n").replace('\n', &format!("\n{}", " ".repeat(hanging)))
}

/// The source around the labels of one diagnostic; empty when there are none. All sources are known.
fn places(
    severity: Severity,
    labels: &[&crate::text::diagnostic::Label],
    sources: &Sources,
    lines: &mut LineTables,
    style: Style,
) -> String {
    let Some(primary) = labels.first() else { return String::new() };

    let mut excerpts: Vec<Excerpt> = Vec::new();
    for label in labels {
        if excerpts.iter().any(|excerpt| excerpt.id == label.span.source) {
            continue;
        }
        let Some(source) = sources.get(label.span.source) else { continue };
        let spans = labels.iter().enumerate().filter(|(_, other)| other.span.source == label.span.source);
        let spans = spans.map(|(i, other)| (i, whole_characters(&source.text, other.span))).collect();
        excerpts.push(Excerpt::new(label.span.source, source, spans, lines, style));
    }

    let config = Config::new()
        .with_index_type(IndexType::Char)
        .with_color(style.colour)
        .with_tab_width(4)
        .with_char_set(if style.unicode { CharSet::Unicode } else { CharSet::Ascii });
    let kind = match severity {
        Severity::Error => ReportKind::Error,
        Severity::Warning => ReportKind::Warning,
        Severity::Note => ReportKind::Advice,
    };
    let main = match severity {
        Severity::Error => Color::Red,
        Severity::Warning => Color::Yellow,
        Severity::Note => Color::Blue,
    };
    let at = excerpts.first().and_then(|excerpt| excerpt.labels.iter().find(|(i, _)| *i == 0));
    let at = at.map_or(0..0, |(_, range)| range.clone());
    let mut report = Report::build(kind, (primary.span.source, at)).with_config(config);
    for excerpt in &excerpts {
        // in the order of the text: out of order, one source would be shown in several pieces
        let mut ordered: Vec<_> = excerpt.labels.iter().collect();
        ordered.sort_by_key(|(_, range)| (range.end, range.start));
        for (i, range) in ordered {
            let colour = if *i == 0 { main } else { Color::Cyan };
            // without a message there would be no underline either
            let said = labels.get(*i).map_or("", |label| label.message.as_str());
            let said = if said.is_empty() { "here".into() } else { printable(said) };
            let label =
                ariadne::Label::new((excerpt.id, range.clone())).with_color(colour).with_message(said);
            report.add_label(label);
        }
    }
    let mut written = Vec::new();
    if report.finish().write(Excerpts(&excerpts), &mut written).is_err() {
        return String::new();
    }
    let written = String::from_utf8_lossy(&written);

    // the first line is the title, which is set elsewhere
    let mut out = String::new();
    for line in written.lines().skip(1) {
        out.push_str(true_position(line, &excerpts).trim_end());
        out.push('\n');
    }
    out
}

/// Encloses the number of an excerpt where its name and position belong. Never part of any printable text.
const MARK: char = '\u{1}';

/// A line of the report with the position in the whole source in place of the one in the excerpt.
fn true_position(line: &str, excerpts: &[Excerpt]) -> String {
    let mut parts = line.splitn(3, MARK);
    let (Some(before), Some(number), Some(after)) = (parts.next(), parts.next(), parts.next()) else {
        return line.to_owned();
    };
    let Some(excerpt) = number.parse().ok().and_then(|i: usize| excerpts.get(i)) else {
        return line.to_owned();
    };
    let after = after.trim_start_matches(|c: char| c == ':' || c == '?' || c.is_ascii_digit());
    format!("{before}{}:{}:{}{after}", excerpt.name, excerpt.position.0, excerpt.position.1)
}

/// A span as a range of whole characters inside the text.
fn whole_characters(text: &str, span: Span) -> Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.min(text.len()).max(start);
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

/// Where the lines of each source begin, found once.
#[derive(Default)]
struct LineTables(BTreeMap<SourceId, Vec<usize>>);

impl LineTables {
    fn of(&mut self, id: SourceId, text: &str) -> &[usize] {
        self.0.entry(id).or_insert_with(|| {
            let after = text.match_indices('\n').map(|(i, _)| i + 1);
            std::iter::once(0).chain(after).collect()
        })
    }
}

/// The lines of a source that labels are on, at their own line numbers; all other lines are empty.
///
/// Lines are cut to what surrounds the labels when they are long, and every character that would act on the terminal
/// or that only some programs take for the end of a line is replaced. Positions in the excerpt therefore differ from
/// those in the source, and are counted in characters: counted in bytes, a report over several sources can cut a
/// character in two.
struct Excerpt {
    id: SourceId,
    name: String,
    /// Line and column of the first label.
    position: (usize, usize),
    source: ariadne::Source<String>,
    /// The number of each label, and the characters it covers here; at least one.
    labels: Vec<(usize, Range<usize>)>,
}

impl Excerpt {
    fn new(
        id: SourceId,
        source: &Source,
        spans: Vec<(usize, Range<usize>)>,
        lines: &mut LineTables,
        style: Style,
    ) -> Self {
        let text: &str = &source.text;
        let starts = lines.of(id, text);
        let line_of = |byte: usize| starts.partition_point(|start| *start <= byte).saturating_sub(1);

        // the first and the last character of every label; a span that ends in blanks or line breaks ends before them
        let ends: Vec<(usize, usize, usize)> = spans
            .iter()
            .map(|(i, range)| {
                let covered = text.get(range.clone()).unwrap_or("").trim_end();
                let last = covered.char_indices().next_back().map_or(range.start, |(at, _)| range.start + at);
                (*i, range.start, last)
            })
            .collect();
        let mut points: Vec<usize> = ends.iter().flat_map(|(_, first, last)| [*first, *last]).collect();
        points.sort_unstable();
        points.dedup();

        let mut out = Lines { text: String::new(), characters: 0, lines: 0 };
        let mut found: BTreeMap<usize, usize> = BTreeMap::new();
        let mut rest = points.as_slice();
        while let Some(first) = rest.first() {
            let line = line_of(*first);
            let (here, later) = rest.split_at(rest.partition_point(|point| line_of(*point) == line));
            rest = later;
            let start = starts.get(line).copied().unwrap_or(0);
            let end = starts.get(line + 1).copied().unwrap_or(text.len());
            let content = text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r']);
            out.empty_until(line);
            out.line(content, start, here, &mut found, style);
        }

        let at = |byte: &usize| found.get(byte).copied().unwrap_or(0);
        let labels =
            ends.iter().map(|(i, first, last)| (*i, at(first)..at(last).max(at(first)) + 1)).collect();
        let first = spans.first().map_or(0, |(_, range)| range.start);
        let line = line_of(first);
        let line_start = starts.get(line).copied().unwrap_or(0);
        let column = text.get(line_start..first).unwrap_or("").chars().count() + 1;
        Self {
            id,
            name: printable(&source.name).into_owned(),
            position: (line + 1, column),
            source: ariadne::Source::from(out.text),
            labels,
        }
    }
}

/// The text of an excerpt while it grows.
struct Lines {
    text: String,
    characters: usize,
    lines: usize,
}

impl Lines {
    fn push(&mut self, c: char) {
        self.text.push(c);
        self.characters += 1;
    }

    fn empty_until(&mut self, line: usize) {
        let missing = line.saturating_sub(self.lines);
        self.text.extend(std::iter::repeat_n('\n', missing));
        self.characters += missing;
        self.lines += missing;
    }

    /// Adds the line that starts at this byte of the source, and notes where the points on it have come to be.
    fn line(
        &mut self,
        content: &str,
        start: usize,
        points: &[usize],
        found: &mut BTreeMap<usize, usize>,
        style: Style,
    ) {
        let mut kept: Vec<Range<usize>> = Vec::new();
        if content.len() <= LONGEST_LINE {
            kept.push(0..content.len());
        } else {
            let around = style.width.clamp(40, 400) / 4;
            for point in points {
                let at = point.saturating_sub(start).min(content.len());
                let range = Span::new(SourceId(0), at.saturating_sub(around), at.saturating_add(around));
                let range = whole_characters(content, range);
                match kept.last_mut() {
                    Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                    _ => kept.push(range),
                }
            }
        }
        let mut end = 0;
        let mut points = points.iter().peekable();
        for range in kept {
            if range.start > end {
                style.ellipsis().chars().for_each(|c| self.push(c));
            }
            for (i, c) in content.get(range.clone()).unwrap_or("").char_indices() {
                while points.next_if(|point| **point < start + range.start + i + c.len_utf8()).is_some_and(
                    |point| {
                        found.insert(*point, self.characters);
                        true
                    },
                ) {}
                self.push(shown(c, style));
            }
            end = range.end;
        }
        if end < content.len() {
            style.ellipsis().chars().for_each(|c| self.push(c));
        }
        // what is said about the end of a line needs a place to point at
        for point in points {
            found.insert(*point, self.characters);
        }
        self.push(' ');
        self.push('\n');
        self.lines += 1;
    }
}

/// One character for one, harmless to a terminal.
fn shown(c: char, style: Style) -> char {
    match c {
        '\t' => '\t',
        c if !is_unprintable(c) => c,
        _ if !style.unicode => '?',
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        _ => '\u{fffd}',
    }
}

struct Excerpts<'a>(&'a [Excerpt]);

impl ariadne::Cache<SourceId> for Excerpts<'_> {
    type Storage = String;

    fn fetch(&mut self, id: &SourceId) -> Result<&ariadne::Source<String>, impl fmt::Debug> {
        self.0.iter().find(|excerpt| excerpt.id == *id).map(|excerpt| &excerpt.source).ok_or("unknown source")
    }

    fn display<'b>(&self, id: &'b SourceId) -> Option<impl fmt::Display + 'b> {
        self.0.iter().position(|excerpt| excerpt.id == *id).map(|i| format!("{MARK}{i}{MARK}"))
    }
}
