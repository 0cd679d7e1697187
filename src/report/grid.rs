//! Words in aligned columns under an underlined header.

use comfy_table::{
    Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width,
};

use super::style::Style;

/// Blanks between two columns.
const GAP: usize = 2;

/// A column of words is not folded to less than this.
const NARROWEST: usize = 24;

/// No cell is longer than this; the drawing counts columns in 16 bits.
const LONGEST_CELL: usize = 4000;

/// One column: what stands above it, its side, and its cells.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub header: String,
    pub right: bool,
    pub cells: Vec<String>,
}

impl Column {
    /// Columns a terminal needs for the widest cell or the header.
    pub fn width(&self) -> usize {
        self.cells.iter().chain([&self.header]).map(|text| display_width(text)).max().unwrap_or(0)
    }
}

/// Columns a terminal needs for a text.
pub(super) fn display_width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let mut table = Table::new();
    table.force_no_tty().add_row([cut(text)]);
    table.column_max_content_widths().first().copied().unwrap_or(0).into()
}

/// Draws columns in lines no longer than the width. Wide columns of words are folded; if that is not enough, the
/// columns go into several blocks, each of which begins with the first column.
pub(super) fn draw(columns: &[Column], style: Style) -> String {
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    let mut folded = widths.clone();
    while total(&folded) > style.width {
        let excess = total(&folded) - style.width;
        let widest = (0..columns.len())
            .filter(|i| columns.get(*i).is_some_and(|column| !column.right))
            .max_by_key(|i| folded.get(*i).copied());
        let Some(width) = widest.and_then(|i| folded.get_mut(i)).filter(|width| **width > NARROWEST) else {
            break;
        };
        *width = width.saturating_sub(excess).max(NARROWEST);
    }
    let indexed: Vec<(&Column, usize)> = columns.iter().zip(folded.iter().copied()).collect();
    if total(&folded) <= style.width {
        return block(&indexed, style);
    }
    let Some((first, rest)) = indexed.split_first() else { return String::new() };
    let mut blocks = vec![vec![*first]];
    let mut used = first.1;
    for (column, width) in rest {
        let fresh = blocks.last().is_some_and(|columns| columns.len() == 1);
        if !fresh && used + GAP + width > style.width {
            blocks.push(vec![*first]);
            used = first.1;
        }
        used += GAP + width;
        if let Some(columns) = blocks.last_mut() {
            columns.push((column, *width));
        }
    }
    blocks.iter().map(|columns| block(columns, style)).collect::<Vec<_>>().join("\n")
}

fn block(columns: &[(&Column, usize)], style: Style) -> String {
    let rule = if style.unicode { '─' } else { '-' };
    let mut table = Table::new();
    // neither the terminal nor the environment is asked for anything
    table.force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
    if style.colour {
        table.enforce_styling();
    }
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill(rule)));
    let side = |right: bool| if right { CellAlignment::Right } else { CellAlignment::Left };
    table.set_header(columns.iter().map(|(column, _)| {
        let cell = Cell::new(cut(&column.header)).set_alignment(side(column.right));
        if style.colour { cell.add_attribute(Attribute::Bold) } else { cell }
    }));
    let height = columns.iter().map(|(column, _)| column.cells.len()).max().unwrap_or(0);
    for i in 0..height {
        table.add_row(columns.iter().map(|(column, _)| {
            let text = column.cells.get(i).map_or("", String::as_str);
            Cell::new(cut(text)).set_alignment(side(column.right))
        }));
    }
    let last = columns.len().saturating_sub(1);
    for (i, column) in table.column_iter_mut().enumerate() {
        let gap = if i == last { 0 } else { GAP as u16 };
        column.set_padding((0, gap));
        if let Some((_, width)) = columns.get(i) {
            let width = u16::try_from(*width).unwrap_or(u16::MAX / 2).max(1);
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width.saturating_add(gap))));
        }
    }
    let mut out = table.trim_fmt();
    out.push('\n');
    out
}

/// A cell within the bounds of the drawing.
fn cut(text: &str) -> &str {
    match text.char_indices().nth(LONGEST_CELL) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}
