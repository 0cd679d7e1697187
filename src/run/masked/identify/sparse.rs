//! Short rows in echelon form.

/// Rows with few entries, one after another, found by the column that leads them.
pub(super) struct Sparse {
    /// The number of the row that a column leads.
    at: Vec<u32>,
    /// Where each row ends.
    ends: Vec<usize>,
    /// The columns of the rows, and what they have there.
    items: Vec<(u32, u32)>,
}

/// The number of no row.
const NONE: u32 = u32::MAX;

impl Sparse {
    /// No rows yet, over so many columns, which are less than 2³².
    pub fn new(columns: usize) -> Self {
        Self { at: vec![NONE; columns], ends: Vec::new(), items: Vec::new() }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds a row that is led by a column that leads none yet.
    pub fn insert(&mut self, lead: usize, row: &[(usize, u32)]) {
        self.at[lead] = u32::try_from(self.ends.len()).unwrap_or(NONE);
        self.items.extend(row.iter().map(|(c, v)| (u32::try_from(*c).unwrap_or(NONE), *v)));
        self.ends.push(self.items.len());
    }

    /// The row that a column leads.
    pub fn get(&self, lead: usize) -> Option<&[(u32, u32)]> {
        let at = self.at[lead];
        if at == NONE {
            return None;
        }
        let start = if at == 0 { 0 } else { self.ends[at as usize - 1] };
        Some(&self.items[start..self.ends[at as usize]])
    }
}
