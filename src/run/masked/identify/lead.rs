//! Rows that are in echelon form as they are, in the right order of the columns.
//!
//! What an elimination costs is decided by how many columns no such row leads: all other rows are reduced to these,
//! and are dense there. Setting columns aside one by one, so that each lets many rows follow that have one column
//! left, is what decoders of fountain codes do (Shokrollahi, Lassen & Karp 2005, US 6856263, "inactivation").

use std::collections::BinaryHeap;

use super::echelon::entries;
use super::{CUT_SHORT, Listed};
use crate::run::control::Stop;

/// Rows for each column that are looked at for leading ones, spread over all.
const ROWS: usize = 8;

/// Rows and columns between two questions whether to stop.
const OFTEN: usize = 1 << 12;

/// Rows in echelon form: each has a column, its lead, that none before it has.
pub(super) struct Leads {
    /// The place of every column in the order of elimination. The lead of a row comes before its other columns.
    pub label: Vec<usize>,
    /// The rows, in the order in which they were found.
    pub rows: Vec<usize>,
}

/// Gives places to columns, from the last to the first.
struct Labels {
    label: Vec<usize>,
    next: usize,
}

impl Labels {
    fn new(columns: usize) -> Self {
        Self { label: vec![usize::MAX; columns], next: columns }
    }

    fn give(&mut self, column: usize) {
        self.next -= 1;
        self.label[column] = self.next;
    }

    fn has(&self, column: usize) -> bool {
        self.label[column] != usize::MAX
    }

    /// The places of all columns: those that no row has come first.
    fn all(mut self) -> Vec<usize> {
        let none: Vec<usize> = (0..self.label.len()).filter(|c| !self.has(*c)).collect();
        none.into_iter().for_each(|c| self.give(c));
        self.label
    }
}

impl Leads {
    /// Rows that have a column which none before them has, in the order in which they are listed. Best where all
    /// cells of large blocks are listed: there they bring nearly all of the rank. O(entries).
    pub fn in_order(rows: Listed, columns: usize) -> Self {
        let mut labels = Labels::new(columns);
        let mut found = Vec::new();
        for r in 0..rows.count {
            let row = (rows.of)(r);
            let before = labels.next;
            for c in row {
                if !labels.has(c) {
                    labels.give(c);
                }
            }
            if labels.next < before {
                found.push(r);
            }
            if labels.next == 0 {
                break;
            }
        }
        Self { label: labels.all(), rows: found }
    }

    /// Rows that have one column left when others lead the rest, or these were set aside: those in most rows with two
    /// columns left. Best where rows are scattered. O(entries), times a logarithm; eight bytes an entry of the rows that
    /// are looked at, and about thirty a row.
    ///
    /// # Errors
    /// When it was asked to stop.
    pub fn by_setting_aside(rows: Listed, columns: usize, stop: &Stop) -> Result<Self, String> {
        let step = rows.count.div_ceil(ROWS * columns.max(1)).max(1);
        let mut search = Search::of(rows, step, columns);
        let mut labels = Labels::new(columns);
        let mut found = Vec::new();
        let mut work = 0;
        loop {
            while let Some((r, c)) = search.follows() {
                labels.give(c);
                found.push(r * step);
                search.settle(c);
                work += 1;
                if work % OFTEN == 0 && stop.asked() {
                    return Err(CUT_SHORT.into());
                }
            }
            let Some(c) = search.aside() else { break };
            labels.give(c);
            search.settle(c);
            if stop.asked() {
                return Err(CUT_SHORT.into());
            }
        }
        Ok(Self { label: labels.all(), rows: found })
    }
}

/// Rows and how many of their columns are left.
struct Search {
    /// Columns of rows, and rows of columns.
    by_row: Lists,
    by_column: Lists,
    /// Columns of each row that are left.
    left: Vec<u32>,
    /// Whether a column is.
    open: Vec<bool>,
    /// Rows of each open column with two columns left.
    pairs: Vec<u32>,
    /// Rows with one column left, and some that had.
    ready: Vec<u32>,
    /// Columns by the rows that would be left with one column without them, as it was at some time.
    queue: BinaryHeap<(u32, u32)>,
    /// Columns in the most rows first, of which those before `next` are not open.
    crowded: Vec<u32>,
    next: usize,
}

impl Search {
    fn of(rows: Listed, step: usize, columns: usize) -> Self {
        let mut by_row = Lists::default();
        for r in (0..rows.count).step_by(step) {
            by_row.push(entries((rows.of)(r).into_iter()).into_iter().map(|(c, _)| number(c)));
        }
        let by_column = by_row.turned(columns);
        let mut crowded: Vec<u32> =
            (0..columns).filter(|c| !by_column.of(*c).is_empty()).map(number).collect();
        crowded.sort_by_key(|c| std::cmp::Reverse(by_column.of(*c as usize).len()));
        let left: Vec<u32> = (0..by_row.len()).map(|r| number(by_row.of(r).len())).collect();
        let mut search = Self {
            ready: (0..left.len()).filter(|r| left[*r] == 1).map(number).collect(),
            left,
            open: vec![true; columns],
            pairs: vec![0; columns],
            queue: BinaryHeap::new(),
            crowded,
            next: 0,
            by_row,
            by_column,
        };
        (0..search.left.len()).filter(|r| search.left[*r] == 2).collect::<Vec<_>>().into_iter().for_each(
            |r| {
                search.pair(r);
            },
        );
        search
    }

    /// A row with one column left, and that column.
    fn follows(&mut self) -> Option<(usize, usize)> {
        while let Some(r) = self.ready.pop() {
            let r = r as usize;
            if self.left[r] == 1 {
                let c = self.by_row.of(r).iter().find(|c| self.open[**c as usize])?;
                return Some((r, *c as usize));
            }
        }
        None
    }

    /// An open column: one in most rows with two columns left, or in most rows where there are none such.
    fn aside(&mut self) -> Option<usize> {
        while let Some((pairs, c)) = self.queue.pop() {
            let now = self.pairs[c as usize];
            if !self.open[c as usize] || now == 0 {
                continue;
            }
            if now == pairs {
                return Some(c as usize);
            }
            if now < pairs {
                self.queue.push((now, c));
            }
        }
        while let Some(c) = self.crowded.get(self.next) {
            if self.open[*c as usize] {
                return Some(*c as usize);
            }
            self.next += 1;
        }
        None
    }

    /// Notes that a row has two columns left.
    fn pair(&mut self, r: usize) {
        for c in self.by_row.of(r) {
            if self.open[*c as usize] {
                let pairs = &mut self.pairs[*c as usize];
                *pairs += 1;
                self.queue.push((*pairs, *c));
            }
        }
    }

    /// Takes a column away from its rows.
    fn settle(&mut self, c: usize) {
        self.open[c] = false;
        for k in self.by_column.range(c) {
            let r = self.by_column.items[k] as usize;
            if self.left[r] == 2 {
                let other = self.by_row.of(r).iter().find(|c| self.open[**c as usize]);
                other.into_iter().for_each(|c| self.pairs[*c as usize] -= 1);
            }
            self.left[r] -= 1;
            match self.left[r] {
                1 => self.ready.push(number(r)),
                2 => self.pair(r),
                _ => {}
            }
        }
    }
}

/// Lists of numbers one after another.
#[derive(Default)]
struct Lists {
    items: Vec<u32>,
    ends: Vec<usize>,
}

impl Lists {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn push(&mut self, list: impl Iterator<Item = u32>) {
        self.items.extend(list);
        self.ends.push(self.items.len());
    }

    fn range(&self, k: usize) -> std::ops::Range<usize> {
        let start = if k == 0 { 0 } else { self.ends[k - 1] };
        start..self.ends[k]
    }

    fn of(&self, k: usize) -> &[u32] {
        &self.items[self.range(k)]
    }

    /// For every number below `numbers`, the lists that have it.
    fn turned(&self, numbers: usize) -> Lists {
        let mut ends = vec![0usize; numbers];
        self.items.iter().for_each(|n| ends[*n as usize] += 1);
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        let mut items = vec![0; self.items.len()];
        for k in 0..self.len() {
            for n in self.of(k) {
                let at = &mut ends[*n as usize];
                items[*at] = number(k);
                *at += 1;
            }
        }
        Lists { items, ends }
    }
}

/// Numbers of rows and columns are below 2³², as those of cells that can be listed are.
fn number(k: usize) -> u32 {
    u32::try_from(k).unwrap_or(u32::MAX)
}
