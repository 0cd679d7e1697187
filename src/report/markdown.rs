//! Documentation as text for people: headings, paragraphs, lists, tables and programs, folded to the width.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::grid::display_width;
use super::highlight;
use super::style::Style;
use super::text::folded;

/// No line of prose is longer than this, however wide the terminal.
const WIDEST: usize = 100;

/// A Markdown text as text for people. Ends with a line break, unless there is nothing to show.
pub fn render(markdown: &str, style: Style) -> String {
    let mut page = Page { style, width: style.width.min(WIDEST), ..Page::default() };
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        page.event(event);
    }
    page.out.trim_matches('\n').lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[derive(Default)]
struct Page {
    style: Style,
    width: usize,
    out: String,
    /// The words of the block that is being read.
    words: String,
    /// Open lists: for each the number of its next item, if it has numbers.
    lists: Vec<Option<u64>>,
    /// The code block that is being read, and whether it is a program.
    code: Option<bool>,
    rows: Vec<Vec<String>>,
}

impl Page {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                self.paragraph();
                let program = matches!(&kind, CodeBlockKind::Fenced(k) if k.starts_with("mba"));
                self.code = Some(program);
            }
            Event::End(TagEnd::CodeBlock) => {
                let text = std::mem::take(&mut self.words);
                let program = self.code.take() == Some(true);
                let text = if program { highlight::program(&text, self.style) } else { text };
                text.lines().for_each(|line| self.out.push_str(&format!("    {line}\n")));
                self.out.push('\n');
            }
            Event::Start(Tag::List(first)) => {
                self.paragraph();
                self.lists.push(first);
            }
            Event::End(TagEnd::List(_)) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.out.push('\n');
                }
            }
            Event::Start(Tag::TableHead | Tag::TableRow) => self.rows.push(Vec::new()),
            Event::End(TagEnd::TableCell) => {
                let cell = std::mem::take(&mut self.words);
                if let Some(row) = self.rows.last_mut() {
                    row.push(cell);
                }
            }
            Event::End(TagEnd::Table) => self.table(),
            Event::End(TagEnd::Heading(_)) => {
                let title = std::mem::take(&mut self.words);
                self.out.push_str(&format!("{}\n\n", self.style.bold(&title)));
            }
            Event::End(TagEnd::Paragraph | TagEnd::Item) => self.paragraph(),
            Event::Text(text) => self.words.push_str(&text),
            Event::Code(code) => {
                let quoted = if self.code.is_none() { format!("`{code}`") } else { code.to_string() };
                self.words.push_str(&quoted);
            }
            Event::SoftBreak | Event::HardBreak => self.words.push(' '),
            _ => {}
        }
    }

    /// Writes out the words of a paragraph or of an item of a list.
    fn paragraph(&mut self) {
        let words = std::mem::take(&mut self.words);
        if words.trim().is_empty() {
            return;
        }
        let mark = match self.lists.last_mut() {
            None => String::new(),
            Some(None) => "- ".to_string(),
            Some(Some(n)) => {
                *n += 1;
                format!("{}. ", *n - 1)
            }
        };
        let depth = self.lists.len().saturating_sub(1) * 2;
        let margin = " ".repeat(depth + mark.len());
        let text = folded(words.trim(), self.width.saturating_sub(margin.len()).max(20));
        for (at, line) in text.lines().enumerate() {
            let start = if at == 0 { format!("{}{mark}", " ".repeat(depth)) } else { margin.clone() };
            self.out.push_str(&format!("{start}{line}\n"));
        }
        if self.lists.is_empty() {
            self.out.push('\n');
        }
    }

    /// Writes out a table: columns by their widest cell, the last one folded.
    fn table(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let limit = self.width / 2;
        let widths: Vec<usize> = (0..columns)
            .map(|c| rows.iter().filter_map(|r| r.get(c)).map(|cell| display_width(cell)).max().unwrap_or(0))
            .map(|w| w.min(limit))
            .collect();
        let before: usize = widths.iter().take(columns.saturating_sub(1)).map(|w| w + 2).sum();
        let last = self.width.saturating_sub(before).max(20);
        for (position, row) in rows.iter().enumerate() {
            if position == 0 && row.iter().all(String::is_empty) {
                continue;
            }
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths).take(columns.saturating_sub(1)) {
                let pad = width.saturating_sub(display_width(cell)) + 2;
                let shown = if position == 0 { self.style.bold(cell) } else { cell.clone() };
                line.push_str(&format!("{shown}{}", " ".repeat(pad)));
            }
            let text = row.get(columns.saturating_sub(1)).map_or("", String::as_str);
            for (at, part) in folded(text, last).lines().enumerate() {
                let start = if at == 0 { line.clone() } else { " ".repeat(before) };
                let part = if position == 0 { self.style.bold(part) } else { part.to_string() };
                self.out.push_str(&format!("{start}{part}\n"));
            }
            if text.is_empty() {
                self.out.push_str(&format!("{line}\n"));
            }
        }
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_as_text() {
        let page = "# Title\n\nSome `code` and\n[a link](x.md).\n\n- one\n- two\n\n| a | what |\n|---|---|\n| `x \\| y` | long |\n\n```mba\nmode a\n```\n";
        let text = render(page, Style::default());
        assert_eq!(
            text,
            "Title\n\nSome `code` and a link.\n\n- one\n- two\n\na        what\n`x | y`  long\n\n    mode a\n"
        );
        assert_eq!(render("", Style::default()), "");
    }

    #[test]
    fn lines_fit_the_width() {
        let page =
            format!("{}\n\n| a | b |\n|---|---|\n| x | {} |\n", "word ".repeat(50), "more ".repeat(50));
        let text = render(&page, Style { width: 40, ..Style::default() });
        assert!(text.lines().all(|l| l.chars().count() <= 40), "{text}");
        assert!(text.lines().count() > 10);
    }
}
