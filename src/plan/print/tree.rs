//! A schedule as a person reads it.

use std::fmt::Write;

use super::human::{bytes, count};
use crate::model::Scope;
use crate::model::mode::number_label;
use crate::plan::cost::DENSE;
use crate::plan::cost::Filtered;
use crate::plan::draft::Atom;
use crate::plan::method::{METHODS, Solver};
use crate::plan::passes::factor::{factors, filter};
use crate::plan::schedule::{Instruction, Schedule, Shape, Together};

impl Schedule {
    /// What will be done and what it will cost, as an indented tree.
    pub fn tree(&self) -> String {
        let mut out = String::new();
        // writing to a string cannot fail
        let _ = self.write_tree(&mut out);
        out
    }

    fn write_tree(&self, out: &mut String) -> std::fmt::Result {
        let draft = &self.draft;
        let closed = !self.iterates();
        let verdict = if closed { "no iteration needed" } else { "iterates" };
        writeln!(out, "{}: {verdict}", self.model)?;
        if let Some(profile) = &self.profile {
            let kind = if profile.sparse { "non-zero" } else { "stored" };
            write!(out, "├─ one pass over {} {kind} cells", count(profile.stored as f64))?;
            if draft.from_data.is_empty() {
                writeln!(out)?;
            } else {
                writeln!(out, " → {}", draft.brackets_in_short(&draft.from_data))?;
            }
            for (large, small) in &draft.derived {
                writeln!(out, "│  {} ← {}", draft.bracket(small), draft.bracket(large))?;
            }
        }
        let formulas: Vec<&Atom> =
            draft.atoms.iter().filter(|a| a.closed && !a.generators.is_empty()).collect();
        if !formulas.is_empty() {
            writeln!(out, "├─ closed form: product of marginals over separators")?;
            for atom in &formulas {
                let size = count(draft.cells(&atom.modes));
                write!(out, "│  {} {size} cells", draft.brackets_in_short(&atom.generators))?;
                match &atom.parent {
                    Some((_, s)) => writeln!(out, " / {}", draft.bracket(s))?,
                    None => writeln!(out)?,
                }
            }
        }
        let uniform: Vec<_> = draft
            .atoms
            .iter()
            .filter(|a| a.generators.is_empty() && a.fixed.is_empty())
            .map(|a| &a.modes)
            .collect();
        if !uniform.is_empty() {
            writeln!(out, "├─ uniform: {}", draft.brackets_in_short(uniform))?;
        }
        for atom in draft.atoms.iter().filter(|a| a.generators.is_empty() && !a.fixed.is_empty()) {
            let known = if draft.learned.is_empty() { "known energy" } else { "energy" };
            writeln!(out, "├─ {known}: {}, one pass up and down the tree", draft.bracket(&atom.modes))?;
            self.write_cliques(out, atom)?;
        }
        for (a, atom) in draft.atoms.iter().enumerate().filter(|(_, a)| a.iterates()) {
            write!(out, "├─ iterates: {}", draft.brackets_in_short(&atom.generators))?;
            let (masks, known): (Vec<usize>, Vec<usize>) =
                atom.fixed.iter().partition(|k| draft.masks.contains(k));
            let scopes =
                |list: &[usize]| draft.brackets_in_short(list.iter().filter_map(|k| draft.fixed_scope(*k)));
            if !known.is_empty() {
                write!(out, " with known energy {}", scopes(&known))?;
            }
            if !masks.is_empty() {
                write!(out, " on the observed cells of {}", draft.masks_in_short(&masks))?;
            }
            if let Some(method) = METHODS.iter().find(|m| m.solver == self.solver && m.name != "auto") {
                write!(out, " by {}", method.name)?;
            }
            match &atom.parent {
                Some((_, s)) => writeln!(out, ", joined at {}", draft.bracket(s))?,
                None => writeln!(out)?,
            }
            self.write_cliques(out, atom)?;
            let of_atom = self.steps.iter().find(|s| match &s.instruction {
                Instruction::Loop(i) => i.atom == a,
                _ => false,
            });
            if let Some(step) = of_atom {
                let (operations, moved) = (count(step.operations), bytes(step.bytes));
                let filtered = match &step.instruction {
                    Instruction::Loop(i) => i.factored.as_ref().is_some_and(|f| f.filtered()),
                    _ => false,
                };
                let most = if filtered { "at most " } else { "" };
                writeln!(out, "│  per sweep: {most}{operations} operations, {moved} moved")?;
            }
        }
        for group in &self.groups {
            writeln!(out, "├─ side by side: {} of the atoms that iterate", group.len())?;
        }
        if let Some(work) = self.rank_one() {
            let (n, m) = work.sides;
            writeln!(out, "├─ rank one over {} × {} from its margins and its mask", count(n), count(m))?;
            if work.published {
                writeln!(
                    out,
                    "│  a formula that leaves out all rows and columns with an unknown cell (A1GM)"
                )?;
            } else {
                writeln!(out, "│  a formula where what is observed of the rows is nested, else in turns")?;
                writeln!(out, "│  where zeros put the optimum on the boundary: sweeps over all cells")?;
            }
        }
        for step in &self.steps {
            let Instruction::Newton(rows) = &step.instruction else { continue };
            let level = rows.tables.iter().all(Scope::is_empty);
            let tables = if level { "a level".into() } else { draft.brackets_in_short(&rows.tables) };
            writeln!(out, "├─ Newton steps over {} cells: {tables}", count(rows.cells))?;
            let s = if rows.parameters == 1.0 { "" } else { "s" };
            writeln!(out, "│  {} parameter{s}", count(rows.parameters))?;
            for (scope, along) in &rows.smooth {
                let along = draft.names.get(*along).map_or("", String::as_str);
                writeln!(out, "│  smooth {} along {along}", draft.bracket(scope))?;
            }
            if let Some(prior) = &rows.prior {
                writeln!(out, "│  pseudo-data from {prior}, which is fitted first")?;
            }
            let (operations, moved) = (count(step.operations), bytes(step.bytes));
            writeln!(out, "│  per pass: {operations} operations, {moved} moved")?;
        }
        if let Some(work) = self.together() {
            self.write_together(out, work)?;
        }
        for step in &self.steps {
            if let Instruction::LearnConditionally { coefficients } = &step.instruction {
                let n = coefficients.len();
                writeln!(
                    out,
                    "├─ learns {n} coefficients by pseudo-likelihood: each mode of each record given the others"
                )?;
                writeln!(out, "│  per iteration: at most {} operations", count(step.operations))?;
            }
            let Instruction::Learn(learning) = &step.instruction else { continue };
            let n = learning.coefficients.len();
            let named: Vec<&str> = learning.coefficients.iter().take(8).map(String::as_str).collect();
            let more = if n > named.len() { " …" } else { "" };
            let how = if n as f64 <= DENSE { "the exact covariance" } else { "conjugate gradients" };
            writeln!(out, "├─ learns {}{more} ({n} in all) by Newton's method with {how}", named.join(", "))?;
            let (operations, moved) = (count(step.operations), bytes(step.bytes));
            writeln!(out, "│  per iteration: {operations} operations, {moved} moved")?;
        }
        let moved = self.steps.iter().map(|s| s.bytes).sum::<f64>() - self.sweep_bytes();
        let operations = count(self.fixed_operations());
        writeln!(out, "├─ once: {operations} operations, {} moved", bytes(moved))?;
        write!(out, "└─ peak: {}", bytes(self.peak))?;
        match self.lazy_bytes() {
            0.0 => writeln!(out),
            lazy => writeln!(out, ", {} more for a result over a whole clique", bytes(lazy)),
        }
    }

    fn write_together(&self, out: &mut String, work: &Together) -> std::fmt::Result {
        let draft = &self.draft;
        for (t, part) in work.parts.iter().enumerate() {
            let (modes, cells) = (draft.bracket(&part.modes), count(part.cells));
            write!(out, "├─ {} over {modes}, {cells} cells", part.name)?;
            if part.weight != 1.0 {
                write!(out, ", weight {}", number_label(part.weight))?;
            }
            match part.tables.is_empty() {
                true => writeln!(out, ": a level")?,
                false => writeln!(out, ": a level and {}", draft.brackets_in_short(&part.tables))?,
            }
            let Some(own) = work.contracted.get(t) else { continue };
            if !own.draft.masks.is_empty() {
                let masks = own.draft.masks_in_short(&own.draft.masks);
                writeln!(out, "│  on the observed cells of {masks}")?;
            }
            own.draft.atoms.iter().filter(|a| a.iterates()).try_for_each(|a| own.write_cliques(out, a))?;
        }
        if work.closed {
            return writeln!(out, "├─ closed form: each table from the weighted sum of its marginals");
        }
        if !work.contracted.is_empty() {
            writeln!(out, "├─ Newton steps on marginals: {} parameters", count(work.parameters))?;
            let (operations, moved) = (count(self.sweep_operations()), bytes(self.sweep_bytes()));
            return writeln!(out, "│  per product: {operations} operations, {moved} moved");
        }
        let cells = count(work.parts.iter().map(|p| p.cells).sum());
        let steps = match self.solver {
            Solver::Ipf => "sweeps",
            Solver::Newton => "a few sweeps, then Newton steps,",
            _ => "sweeps, then Newton steps where they are slow,",
        };
        writeln!(out, "├─ {steps} over {cells} cells: {} parameters", count(work.parameters))?;
        for (scope, along) in &work.smooth {
            let along = draft.names.get(*along).map_or("", String::as_str);
            writeln!(out, "│  smooth {} along {along}", draft.bracket(scope))?;
        }
        if let Some(prior) = &work.prior {
            writeln!(out, "│  pseudo-data from {prior}, which is fitted to each tensor first")?;
        }
        writeln!(
            out,
            "│  per pass: {} operations, {} moved",
            count(self.sweep_operations()),
            bytes(self.sweep_bytes())
        )
    }

    fn write_cliques(&self, out: &mut String, atom: &Atom) -> std::fmt::Result {
        for (c, clique) in atom.cliques.iter().enumerate() {
            let size = count(self.draft.cells(&clique.node.scope));
            write!(out, "│  clique {} {size} cells", self.draft.bracket(&clique.node.scope))?;
            if clique.node.parent.is_some() {
                write!(out, " at {}", self.draft.bracket(&clique.node.separator))?;
            }
            writeln!(out)?;
            for view in &clique.views {
                let here = view.generators.iter().filter_map(|g| atom.generators.get(*g));
                let (onto, here) = (self.draft.bracket(&view.scope), self.draft.brackets_in_short(here));
                let scopes: Vec<Scope> = factors(&self.draft, atom, c).into_iter().map(|(_, s)| s).collect();
                let filtered = filter(&self.draft, clique).and_then(|_| {
                    let cells = |s: &Scope| self.draft.cells(s);
                    Filtered::of(&cells, &clique.node.scope, &view.scope, &scopes)
                });
                if let Some(filtered) = filtered {
                    let (missing, seen) = filtered.thresholds();
                    writeln!(out, "│    never a table: {here} matched on {onto} by the mask of every cell")?;
                    if missing >= 1.0 {
                        writeln!(
                            out,
                            "│      up to {} missing: all cells less those",
                            count(missing.floor())
                        )?;
                    }
                    writeln!(out, "│      up to {} observed: a list of those", count(seen.floor()))?;
                    continue;
                }
                let shape = Shape::of(&clique.node.scope, &view.scope, &scopes);
                let how =
                    if shape.is_some_and(|s| s.streamed) { "block by block" } else { "by matrix products" };
                writeln!(out, "│    never a table: {here} matched on {onto} {how}")?;
            }
        }
        Ok(())
    }
}
