//! What the passes work on: the structure of a model on its way to a schedule.

use std::fmt;

use indexmap::IndexSet;

use crate::model::{EnergyModel, Potential, Scope};

use super::graph::Node;

/// A clique of an atom's junction tree. Parents come before their children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clique {
    /// Its modes, its parent within the atom, and what it shares with that parent.
    pub node: Node,
    /// Generators of the atom that are updated here, by position in [`Atom::generators`].
    pub generators: Vec<usize>,
    /// Fixed potentials that are multiplied in here, by position in the model's interactions.
    pub fixed: Vec<usize>,
    /// How its generators are reached without its table; empty when the table is built.
    pub views: Vec<View>,
}

/// Some of a clique's modes, on which some of its generators are matched. The others are summed out of
/// the product of all factors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The modes that are kept.
    pub scope: Scope,
    /// Generators that are updated here, by position in [`Atom::generators`].
    pub generators: Vec<usize>,
}

/// One move of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Match every generator of this clique.
    Update(usize),
    /// Tell a neighbour what has changed; the edge is named by its lower end.
    Message {
        /// The clique that speaks.
        from: usize,
        /// The clique that listens.
        to: usize,
        /// The clique whose separator lies between the two.
        edge: usize,
    },
}

/// A convex problem of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atom {
    /// Its modes.
    pub modes: Scope,
    /// Its generating class, separators included, none inside another.
    pub generators: Vec<Scope>,
    /// Fixed potentials inside it, by position in the model's interactions.
    pub fixed: Vec<usize>,
    /// The atom it hangs from, and the separator between the two.
    pub parent: Option<(usize, Scope)>,
    /// Whether its optimum is a formula.
    pub closed: bool,
    /// Its junction tree; empty until one is chosen.
    pub cliques: Vec<Clique>,
    /// The moves of a sweep; empty for a closed form.
    pub sweep: Vec<Move>,
}

impl Atom {
    /// An atom nothing is known of yet.
    pub fn new(modes: Scope, generators: Vec<Scope>, fixed: Vec<usize>) -> Self {
        Self { modes, generators, fixed, parent: None, closed: false, cliques: Vec::new(), sweep: Vec::new() }
    }

    /// Whether its cliques are contracted from factors and never written down.
    pub fn factored(&self) -> bool {
        self.iterates() && self.cliques.iter().any(|c| !c.views.is_empty())
    }

    /// Whether it takes sweeps.
    pub fn iterates(&self) -> bool {
        !self.closed && !self.generators.is_empty()
    }
}

/// The structure of a model on its way to a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Number of levels of each mode.
    pub sizes: Vec<usize>,
    /// Names of the modes, for printing.
    pub names: Vec<String>,
    /// The free generating class.
    pub generators: Vec<Scope>,
    /// Scopes of the potentials that are no free tables, with their position in the model's interactions.
    pub fixed: Vec<(usize, Scope)>,
    /// Those among them that are learned: their position, and the name of the coefficient.
    pub learned: Vec<(usize, String)>,
    /// Those of them that are masks of the data, and of which nothing but the scope is known.
    pub masks: Vec<usize>,
    /// Those of them that say which cells there are: masks and conditions on cells.
    pub supports: Vec<usize>,
    /// Whether there is a tensor to fit.
    pub data: bool,
    /// Steps that the search for an elimination order may take in each atom.
    pub effort: u64,
    /// Atoms, parents before children. Each root starts a component.
    pub atoms: Vec<Atom>,
    /// Statistics to be taken from the data.
    pub from_data: Vec<Scope>,
    /// Statistics that are sums over a larger one: `(larger, smaller)`.
    pub derived: Vec<(Scope, Scope)>,
}

impl Draft {
    /// The model before any pass: one atom of everything.
    pub fn new(model: &EnergyModel, data: bool) -> Self {
        let fixed = model.interactions.iter().enumerate();
        let fixed = fixed.filter(|(_, i)| !matches!(i.potential, Potential::Free));
        let unknown = model.interactions.iter().enumerate();
        let unknown =
            unknown.filter(|(_, i)| matches!(&i.potential, Potential::Support(s) if s.allowed.is_empty()));
        let masks = unknown.map(|(k, _)| k).collect();
        let learned = model.interactions.iter().enumerate();
        let learned = learned.filter_map(|(k, i)| match &i.potential {
            Potential::Learned { coefficient, .. } => Some((k, coefficient.clone())),
            _ => None,
        });
        let supports = model.interactions.iter().enumerate();
        let supports = supports.filter(|(_, i)| matches!(i.potential, Potential::Support(_)));
        Self {
            masks,
            supports: supports.map(|(k, _)| k).collect(),
            sizes: model.modes.iter().map(|m| m.size()).collect(),
            names: model.modes.iter().map(|m| m.name.clone()).collect(),
            generators: model.free_scopes(),
            fixed: fixed.map(|(k, i)| (k, i.scope.clone())).collect(),
            learned: learned.collect(),
            data,
            effort: super::order::STEPS,
            atoms: Vec::new(),
            from_data: Vec::new(),
            derived: Vec::new(),
        }
    }

    /// Number of cells of a scope; infinite when it exceeds what a double can hold.
    pub fn cells(&self, scope: &Scope) -> f64 {
        scope.iter().map(|m| self.sizes.get(m).copied().unwrap_or(1) as f64).product()
    }

    /// A scope by the names of its modes: `[hair eye]`.
    pub fn bracket(&self, scope: &Scope) -> String {
        let names: Vec<&str> = scope.iter().filter_map(|m| self.names.get(m)).map(String::as_str).collect();
        format!("[{}]", names.join(" "))
    }

    /// Several scopes, separated by spaces.
    pub fn brackets<'a>(&self, scopes: impl IntoIterator<Item = &'a Scope>) -> String {
        scopes.into_iter().map(|s| self.bracket(s)).collect::<Vec<_>>().join(" ")
    }

    /// As [`Draft::brackets`], a long list cut short with its length.
    pub fn brackets_in_short<'a>(&self, scopes: impl IntoIterator<Item = &'a Scope>) -> String {
        const SHOWN: usize = 24;
        let scopes: Vec<&Scope> = scopes.into_iter().collect();
        match scopes.get(..SHOWN).filter(|_| scopes.len() > SHOWN + 1) {
            Some(first) => format!("{} … {} in all", self.brackets(first.iter().copied()), scopes.len()),
            None => self.brackets(scopes),
        }
    }

    /// The modes of masks, a set that several of them are over once.
    pub fn masks_in_short(&self, masks: &[usize]) -> String {
        let scopes: IndexSet<&Scope> = masks.iter().filter_map(|k| self.fixed_scope(*k)).collect();
        self.brackets_in_short(scopes)
    }

    /// The scope of a fixed potential.
    pub fn fixed_scope(&self, interaction: usize) -> Option<&Scope> {
        self.fixed.iter().find(|(k, _)| *k == interaction).map(|(_, s)| s)
    }
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "generators {}", self.brackets(&self.generators))?;
        if !self.fixed.is_empty() {
            writeln!(f, "fixed {}", self.brackets(self.fixed.iter().map(|(_, s)| s)))?;
        }
        for (i, atom) in self.atoms.iter().enumerate() {
            write!(f, "atom {i} {}", self.bracket(&atom.modes))?;
            match &atom.parent {
                Some((p, s)) => write!(f, " on atom {p} at {}", self.bracket(s))?,
                None => write!(f, " starts a component")?,
            }
            writeln!(f, "{}", if atom.closed { ", closed form" } else { "" })?;
            writeln!(f, "  generators {}", self.brackets(&atom.generators))?;
            for (c, clique) in atom.cliques.iter().enumerate() {
                write!(f, "  clique {c} {}", self.bracket(&clique.node.scope))?;
                if let Some(p) = clique.node.parent {
                    write!(f, " on clique {p} at {}", self.bracket(&clique.node.separator))?;
                }
                let here = clique.generators.iter().filter_map(|g| atom.generators.get(*g));
                write!(f, " matches {}", self.brackets(here))?;
                if !clique.views.is_empty() {
                    write!(f, " on {}", self.brackets(clique.views.iter().map(|v| &v.scope)))?;
                }
                writeln!(f)?;
            }
            if !atom.sweep.is_empty() {
                let moves = atom.sweep.iter().map(|m| match m {
                    Move::Update(c) => format!("update {c}"),
                    Move::Message { from, to, .. } => format!("{from}→{to}"),
                });
                writeln!(f, "  sweep {}", moves.collect::<Vec<_>>().join(", "))?;
            }
        }
        if !self.from_data.is_empty() {
            writeln!(f, "from the data {}", self.brackets(&self.from_data))?;
        }
        for (large, small) in &self.derived {
            writeln!(f, "from {} {}", self.bracket(large), self.bracket(small))?;
        }
        Ok(())
    }
}
