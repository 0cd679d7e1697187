//! A schedule as a graph for Graphviz.

use std::fmt::Write;

use super::human::count;
use crate::plan::schedule::Schedule;

impl Schedule {
    /// The forest of cliques in the DOT language; edges carry separators, double outlines iterate.
    pub fn dot(&self) -> String {
        let mut out = String::new();
        // writing to a string cannot fail
        let _ = self.write_dot(&mut out);
        out
    }

    fn write_dot(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "graph \"{}\" {{", escape(&self.model))?;
        writeln!(out, "  node [shape=box];")?;
        for (p, place) in self.places.iter().enumerate() {
            let belief = &self.buffers[place.belief.0];
            let outline = if self.draft.atoms[place.atom].iterates() { 2 } else { 1 };
            let label = escape(&self.draft.bracket(&belief.scope));
            let size = count(belief.cells);
            writeln!(out, "  c{p} [label=\"{label}\\n{size} cells\", peripheries={outline}];")?;
            if let Some((parent, separator)) = place.parent {
                let label = escape(&self.draft.bracket(&self.buffers[separator.0].scope));
                writeln!(out, "  c{parent} -- c{p} [label=\"{label}\"];")?;
            }
        }
        writeln!(out, "}}")
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
