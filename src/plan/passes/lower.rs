//! From the draft to instructions.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Scope;

use super::super::cost::price;
use super::super::draft::{Atom, Draft, Move};
use super::super::liveness::live;
use super::super::method::Solver;
use super::super::options::Profile;
use super::super::partition::partition;
use super::super::schedule::{
    Buffer, BufferId, Factored, Filter, Instruction, Iteration, Joint, Learning, Match, Place, Product, Role,
    Schedule, Shape, Step, Unite,
};
use super::factor::{Source, factors, filter};

/// Writes the program down: statistics, one block per atom, the join of each component, and what is
/// reported. Linear in the size of the draft.
pub fn lower(draft: &Draft, model: &str, profile: Option<&Profile>, solver: Solver) -> Schedule {
    let mut writer = Writer::new(draft, profile);
    writer.layout();
    writer.statistics();
    writer.components();
    writer.report();
    let Writer { mut steps, buffers, places, matches, units, .. } = writer;
    let groups = partition(&units, &steps, &buffers);
    let peak = live(&mut steps, &groups, &buffers, &places, &matches, profile);
    Schedule {
        model: model.to_string(),
        draft: draft.clone(),
        profile: profile.cloned(),
        solver,
        buffers,
        places,
        matches: matches.into_iter().map(|(_, m)| m).collect(),
        steps,
        groups,
        peak,
    }
}

/// The program of a fit by pseudo-likelihood, which has no tables.
pub fn conditional(draft: &Draft, model: &str, profile: &Profile, coefficients: Vec<String>) -> Schedule {
    let mut writer = Writer::new(draft, Some(profile));
    writer.emit("fuse", Instruction::Load);
    writer.emit("choose", Instruction::LearnConditionally { coefficients });
    writer.emit("order", Instruction::Emit);
    let Writer { mut steps, .. } = writer;
    let peak = live(&mut steps, &[], &[], &[], &[], Some(profile));
    Schedule {
        model: model.to_string(),
        draft: draft.clone(),
        profile: Some(profile.clone()),
        buffers: Vec::new(),
        places: Vec::new(),
        matches: Vec::new(),
        steps,
        groups: Vec::new(),
        peak,
        solver: Solver::PseudoLikelihood,
    }
}

struct Writer<'a> {
    draft: &'a Draft,
    profile: Option<&'a Profile>,
    buffers: Vec<Buffer>,
    statistic: BTreeMap<Scope, BufferId>,
    places: Vec<Place>,
    /// First place of each atom.
    base: Vec<usize>,
    component: Vec<usize>,
    matches: Vec<(usize, Match)>,
    steps: Vec<Step>,
    /// The steps that open an iterated atom and its loop.
    units: Vec<std::ops::Range<usize>>,
}

impl<'a> Writer<'a> {
    fn new(draft: &'a Draft, profile: Option<&'a Profile>) -> Self {
        Self {
            draft,
            profile,
            buffers: Vec::new(),
            statistic: BTreeMap::new(),
            places: Vec::new(),
            base: Vec::new(),
            component: Vec::new(),
            matches: Vec::new(),
            steps: Vec::new(),
            units: Vec::new(),
        }
    }

    fn buffer(&mut self, role: Role, scope: &Scope) -> BufferId {
        let shape = scope.iter().filter_map(|m| self.draft.sizes.get(m)).copied().collect();
        let cells = self.draft.cells(scope);
        self.buffers.push(Buffer { role, scope: scope.clone(), shape, cells });
        BufferId(self.buffers.len() - 1)
    }

    fn step(&self, pass: &'static str, instruction: Instruction) -> Step {
        Step { pass, ..price(instruction, &self.buffers, self.profile) }
    }

    fn emit(&mut self, pass: &'static str, instruction: Instruction) {
        let step = self.step(pass, instruction);
        self.steps.push(step);
    }

    /// Tables, and the forest of all cliques.
    fn layout(&mut self) {
        let draft = self.draft;
        let derived = draft.derived.iter().map(|(_, small)| small);
        for scope in draft.from_data.iter().chain(derived) {
            let id = self.buffer(Role::Statistic, scope);
            self.statistic.insert(scope.clone(), id);
        }
        let mut components = 0;
        for (a, atom) in draft.atoms.iter().enumerate() {
            let component = match &atom.parent {
                Some((p, _)) => self.component.get(*p).copied().unwrap_or(0),
                None => {
                    components += 1;
                    components - 1
                }
            };
            self.component.push(component);
            let base = self.places.len();
            self.base.push(base);
            let mut here = vec![None; atom.generators.len()];
            for clique in &atom.cliques {
                let parent = match clique.node.parent {
                    Some(p) => Some((base + p, &clique.node.separator)),
                    None => atom.parent.as_ref().map(|(p, s)| (self.holder(*p, s), s)),
                };
                let belief = self.buffer(Role::Belief, &clique.node.scope);
                let parent = parent.map(|(p, s)| (p, self.buffer(Role::Separator, s)));
                self.places.push(Place { belief, parent, atom: a, component });
                for g in &clique.generators {
                    if let Some(slot) = here.get_mut(*g) {
                        *slot = Some(belief);
                    }
                }
            }
            for (scope, belief) in atom.generators.iter().zip(here) {
                let (Some(belief), Some(statistic)) = (belief, self.statistic.get(scope).copied()) else {
                    continue;
                };
                let potential = self.buffer(Role::Potential, scope);
                self.matches.push((a, Match { statistic, potential, belief }));
            }
        }
    }

    /// The clique of an atom that holds a separator.
    fn holder(&self, atom: usize, separator: &Scope) -> usize {
        let cliques = self.draft.atoms.get(atom).map_or(&[][..], |a| &a.cliques);
        let holds = cliques.iter().position(|c| separator.is_subset(&c.node.scope));
        self.base.get(atom).copied().unwrap_or(0) + holds.unwrap_or(0)
    }

    fn statistics(&mut self) {
        if self.profile.is_none() {
            return;
        }
        self.emit("fuse", Instruction::Load);
        let tables = self.draft.from_data.iter().filter_map(|s| self.statistic.get(s)).copied().collect();
        self.emit("fuse", Instruction::Reduce { tables });
        for (large, small) in &self.draft.derived {
            if let (Some(from), Some(to)) = (self.statistic.get(large), self.statistic.get(small)) {
                let (from, to) = (*from, *to);
                self.emit("fuse", Instruction::Derive { from, to });
            }
        }
    }

    fn of_atom(&self, a: usize) -> Vec<Match> {
        self.matches.iter().filter(|(b, _)| *b == a).map(|(_, m)| *m).collect()
    }

    fn components(&mut self) {
        let draft = self.draft;
        for (a, atom) in draft.atoms.iter().enumerate() {
            let separator = atom.parent.as_ref().and_then(|(_, s)| self.statistic.get(s).copied());
            if atom.iterates() {
                self.iterate(a, atom);
                if !self.loose(self.component[a]) {
                    let join = self.join(a);
                    self.steps.extend(join);
                }
            } else {
                for m in self.of_atom(a) {
                    let Match { statistic, potential, .. } = m;
                    self.emit("close", Instruction::Divide { statistic, separator, potential });
                }
            }
        }
        let mut known = Vec::new();
        let count = self.component.iter().max().map_or(0, |c| c + 1);
        for component in 0..count {
            let atoms: Vec<usize> =
                (0..draft.atoms.len()).filter(|a| self.component[*a] == component).collect();
            // a component that is one iterated atom has been calibrated by its loop's last check; one that
            // was factored has its tables made when somebody asks for them
            let done = matches!(atoms.as_slice(), [a] if draft.atoms[*a].iterates());
            if done {
                continue;
            }
            let places: Vec<usize> =
                (0..self.places.len()).filter(|p| self.places[*p].component == component).collect();
            let steps = self.calibrate("separate", &places);
            if self.loose(component) {
                let tables = atoms.iter().filter_map(|a| self.join(*a)).chain(steps).collect();
                if let Some(unite) = self.unite(&atoms, tables) {
                    known.push(self.step("separate", Instruction::Unite(Box::new(unite))));
                }
            } else {
                known.extend(steps);
            }
        }
        // a model with learned coefficients has no free tables left: all there is is one calibration
        match self.learning() {
            Some((coefficients, terms)) => {
                let learning = Learning { coefficients, terms, steps: known };
                self.emit("choose", Instruction::Learn(Box::new(learning)));
            }
            None => self.steps.extend(known),
        }
    }

    /// The coefficients of the model, and the marginal of the data that each of their terms needs.
    fn learning(&self) -> Option<(Vec<String>, Vec<(usize, BufferId)>)> {
        let draft = self.draft;
        let terms: Vec<(usize, BufferId)> = draft
            .fixed
            .iter()
            .filter(|(k, _)| draft.learned.iter().any(|(l, _)| l == k))
            .filter_map(|(k, s)| Some((*k, *self.statistic.get(s)?)))
            .collect();
        let names: indexmap::IndexSet<&String> = draft.learned.iter().map(|(_, n)| n).collect();
        (!terms.is_empty()).then(|| (names.into_iter().cloned().collect(), terms))
    }

    /// A generator of an atom that holds what the atom shares with its parent.
    fn holds(&self, a: usize) -> Option<Match> {
        let shared = self.draft.atoms[a].parent.as_ref().map(|(_, s)| s);
        let holds = |m: &Match| shared.is_none_or(|s| s.is_subset(&self.buffers[m.potential.0].scope));
        self.of_atom(a).into_iter().find(holds)
    }

    /// An iterated atom joins its parent.
    fn join(&self, a: usize) -> Option<Step> {
        let atom = &self.draft.atoms[a];
        let (_, shared) = atom.parent.as_ref().filter(|_| atom.iterates())?;
        let separator = *self.statistic.get(shared)?;
        let potential = self.holds(a)?.potential;
        Some(self.step("separate", Instruction::Join { potential, separator }))
    }

    /// Whether a component is never put into tables: its iterated atoms, of which there are some, stay
    /// products of factors, and the others are single marginals.
    fn loose(&self, component: usize) -> bool {
        let own = || (0..self.draft.atoms.len()).filter(|a| self.component.get(*a) == Some(&component));
        let simple =
            |a: &crate::plan::draft::Atom| a.closed && a.generators.len() == 1 && a.cliques.len() == 1;
        let mut atoms = own().map(|a| &self.draft.atoms[a]);
        atoms.all(|a| a.factored() || simple(a)) && own().any(|a| self.draft.atoms[a].factored())
    }

    /// The atoms of a component that is never put into tables, one after the other.
    fn unite(&self, atoms: &[usize], tables: Vec<Step>) -> Option<Unite> {
        let loop_of = |a: usize| {
            self.steps.iter().find_map(|s| match &s.instruction {
                Instruction::Loop(i) if i.atom == a => i.factored.as_ref().map(|f| (i, f)),
                _ => None,
            })
        };
        // where a generator of an iterated atom has its factor and its marginal
        let of = |a: usize, m: &Match| {
            let (iteration, factored) = loop_of(a)?;
            let k = iteration.pairs.iter().position(|p| p == m)?;
            Some((*factored.factors.get(k)?, *factored.marginals.get(k)?))
        };
        let (mut operations, mut bytes) = (0.0, 0.0);
        let mut joints = Vec::new();
        for a in atoms.iter().copied() {
            let atom = &self.draft.atoms[a];
            let holder = self.holds(a)?;
            let factor = if atom.factored() { Some(of(a, &holder)?) } else { None };
            let shared = match &atom.parent {
                None => None,
                Some((p, scope)) => {
                    let (_, separator) = self.places.get(*self.base.get(a)?)?.parent?;
                    let mut above = self.of_atom(*p).into_iter();
                    let above = above.find(|m| scope.is_subset(&self.buffers[m.potential.0].scope))?;
                    let from = if self.draft.atoms[*p].factored() { of(*p, &above)?.1 } else { above.belief };
                    Some((separator, from))
                }
            };
            match loop_of(a) {
                Some((_, factored)) if shared.is_some() => {
                    operations += factored.check.iter().map(|s| s.operations).sum::<f64>();
                    bytes += factored.check.iter().map(|s| s.bytes).sum::<f64>();
                }
                _ => {
                    operations += self.buffers[holder.statistic.0].cells;
                    bytes += 32.0 * self.buffers[holder.statistic.0].cells;
                }
            }
            joints.push(Joint { atom: a, shared, holder, factor });
        }
        Some(Unite { joints, tables, operations, bytes })
    }

    fn iterate(&mut self, a: usize, atom: &Atom) {
        let begins = self.steps.len();
        let pairs = self.of_atom(a);
        for m in &pairs {
            let Match { statistic, potential, .. } = *m;
            self.emit("choose", Instruction::Open { statistic, potential });
        }
        let base = self.base[a];
        let places: Vec<usize> = (base..base + atom.cliques.len()).collect();
        let fresh = self.calibrate("choose", &places);
        let factored = atom.factored().then(|| self.factored(a, atom, &pairs)).flatten();
        if factored.is_none() {
            self.steps.extend(fresh.clone());
        }

        let mut sweep = Vec::new();
        for step in &atom.sweep {
            match *step {
                Move::Update(c) => {
                    let belief = self.places[base + c].belief;
                    for m in pairs.iter().filter(|m| m.belief == belief) {
                        sweep.push(self.step("order", Instruction::Scale(*m)));
                    }
                }
                Move::Message { from, to, edge } => {
                    if let Some((_, separator)) = self.places[base + edge].parent {
                        let from = self.places[base + from].belief;
                        let to = self.places[base + to].belief;
                        sweep.push(self.step("order", Instruction::Message { from, to, separator }));
                    }
                }
            }
        }
        let mut inward = Vec::new();
        for c in (1..atom.cliques.len()).rev() {
            if let Some((p, separator)) = self.places[base + c].parent {
                let (from, to) = (self.places[base + c].belief, self.places[p].belief);
                inward.push(self.step("order", Instruction::Message { from, to, separator }));
            }
        }
        let mut check = fresh;
        check.push(self.step("choose", Instruction::Gap { pairs: pairs.clone() }));
        let root = self.places[base].belief;
        let iteration = Iteration { atom: a, sweep, inward, check, root, pairs, factored };
        self.emit("choose", Instruction::Loop(Box::new(iteration)));
        self.units.push(begins..self.steps.len());
    }

    /// The program of an atom whose cliques stay products of factors.
    fn factored(&mut self, a: usize, atom: &Atom, pairs: &[Match]) -> Option<Factored> {
        let base = self.base[a];
        // by generator, where the clique of each match is known from its belief
        let scopes: Vec<Scope> = pairs.iter().map(|m| self.buffers[m.potential.0].scope.clone()).collect();
        let own: Vec<BufferId> = scopes.iter().map(|s| self.buffer(Role::Factor, s)).collect();
        let place_of = |g: usize| {
            let scope = atom.generators.get(g)?;
            pairs.iter().position(|m| self.buffers[m.potential.0].scope == *scope)
        };
        let factor_of: Vec<Option<usize>> = (0..atom.generators.len()).map(place_of).collect();
        let mut heard: BTreeMap<(usize, usize), BufferId> = BTreeMap::new();
        for (c, clique) in atom.cliques.iter().enumerate() {
            if let Some(p) = clique.node.parent {
                for way in [(c, p), (p, c)] {
                    heard.insert(way, self.buffer(Role::Incoming, &clique.node.separator));
                }
            }
        }
        let mut views: BTreeMap<Scope, BufferId> = BTreeMap::new();
        for view in atom.cliques.iter().flat_map(|c| &c.views) {
            if !views.contains_key(&view.scope) {
                views.insert(view.scope.clone(), self.buffer(Role::View, &view.scope));
            }
        }
        let mut weights: Vec<(usize, BufferId)> = Vec::new();
        for c in 0..atom.cliques.len() {
            for (source, scope) in factors(self.draft, atom, c) {
                if let Source::Fixed(k) = source {
                    weights.push((k, self.buffer(Role::Weight, &scope)));
                }
            }
        }
        let marginals: Vec<BufferId> = scopes.iter().map(|s| self.buffer(Role::View, s)).collect();

        let factors_of = |c: usize, without: Option<usize>| -> Option<Vec<BufferId>> {
            let all = factors(self.draft, atom, c)
                .into_iter()
                .filter(|(s, _)| without.is_none_or(|w| *s != Source::Message(w)));
            all.map(|(source, _)| match source {
                Source::Generator(g) => factor_of.get(g).copied().flatten().and_then(|k| own.get(k)).copied(),
                Source::Message(from) => heard.get(&(from, c)).copied(),
                Source::Fixed(k) => weights.iter().find(|(own, _)| *own == k).map(|(_, id)| *id),
            })
            .collect()
        };
        let product = |c: usize, onto: BufferId, without: Option<usize>| -> Option<Step> {
            let factors = factors_of(c, without)?;
            let scopes: Vec<Scope> = factors.iter().map(|f| self.buffers[f.0].scope.clone()).collect();
            let clique = atom.cliques.get(c)?;
            let (scope, kept) = (&clique.node.scope, &self.buffers[onto.0].scope);
            let filter = filter(self.draft, clique).map(|interaction| {
                let sizes = scope.iter().filter_map(|m| self.draft.sizes.get(m)).copied().collect();
                Filter { interaction, scope: scope.clone(), sizes }
            });
            let shape = match &filter {
                Some(_) => Shape::filtered(scope, kept)?,
                None => Shape::of(scope, kept, &scopes)?,
            };
            Some(self.step("factor", Instruction::Product(Product { onto, factors, shape, filter })))
        };
        let message = |from: usize, to: usize| product(from, *heard.get(&(from, to))?, Some(to));

        let mut inward = Vec::new();
        for c in (1..atom.cliques.len()).rev() {
            inward.push(message(c, atom.cliques[c].node.parent?)?);
        }
        let mut sweep = Vec::new();
        for step in &atom.sweep {
            match *step {
                Move::Update(c) => {
                    for view in &atom.cliques[c].views {
                        let belief = *views.get(&view.scope)?;
                        sweep.push(product(c, belief, None)?);
                        for g in &view.generators {
                            let k = factor_of.get(*g).copied().flatten()?;
                            let m = Match { belief, ..pairs[k] };
                            sweep.push(self.step("order", Instruction::Rescale(m, own[k])));
                        }
                    }
                }
                Move::Message { from, to, .. } => sweep.push(message(from, to)?),
            }
        }
        let mut check = inward.clone();
        for (c, clique) in atom.cliques.iter().enumerate() {
            for view in &clique.views {
                let from = *views.get(&view.scope)?;
                check.push(product(c, from, None)?);
                for g in &view.generators {
                    let to = marginals[factor_of.get(*g).copied().flatten()?];
                    check.push(self.step("factor", Instruction::Derive { from, to }));
                }
            }
            for (k, _) in atom.cliques.iter().enumerate().filter(|(_, k)| k.node.parent == Some(c)) {
                check.push(message(c, k)?);
            }
        }
        let mut between = Vec::new();
        for (c, clique) in atom.cliques.iter().enumerate() {
            if let (Some(p), Some((_, separator))) = (clique.node.parent, self.places[base + c].parent) {
                between.push((*heard.get(&(c, p))?, *heard.get(&(p, c))?, separator));
            }
        }
        let heard = (0..atom.cliques.len())
            .map(|c| (base + c, heard.iter().filter(|((_, to), _)| *to == c).map(|(_, b)| *b).collect()))
            .collect();
        let loose = self.loose(*self.component.get(a)?);
        Some(Factored { factors: own, weights, inward, sweep, check, marginals, loose, heard, between })
    }

    /// Beliefs from potentials over a subtree given by its places, parents first.
    fn calibrate(&self, pass: &'static str, places: &[usize]) -> Vec<Step> {
        let inside = |p: usize| places.binary_search(&p).is_ok();
        let mut steps = Vec::new();
        for p in places {
            let place = &self.places[*p];
            let belief = place.belief;
            let here = self.matches.iter().filter(|(_, m)| m.belief == belief);
            let potentials = here.map(|(_, m)| m.potential).collect();
            let clique = self.draft.atoms[place.atom].cliques.get(*p - self.base[place.atom]);
            let fixed = clique.map_or_else(Vec::new, |c| c.fixed.clone());
            steps.push(self.step(pass, Instruction::Contract { belief, potentials, fixed }));
        }
        let edges: Vec<(BufferId, BufferId, BufferId)> = places
            .iter()
            .filter_map(|p| {
                let (parent, separator) = self.places[*p].parent?;
                inside(parent).then(|| (self.places[*p].belief, self.places[parent].belief, separator))
            })
            .collect();
        for (child, parent, separator) in edges.iter().rev().copied() {
            steps.push(self.step(pass, Instruction::Collect { child, parent, separator }));
        }
        if let Some(root) = places.first().map(|p| &self.places[*p]) {
            let (belief, component) = (root.belief, root.component);
            steps.push(self.step(pass, Instruction::Normalise { belief, component }));
        }
        for (child, parent, separator) in edges {
            steps.push(self.step(pass, Instruction::Distribute { parent, child, separator }));
        }
        steps
    }

    fn report(&mut self) {
        if self.profile.is_some() {
            let draft = self.draft;
            let pairs: Vec<Match> = self.matches.iter().map(|(_, m)| *m).collect();
            let loose = |a: usize| draft.atoms[a].factored() && self.loose(self.component[a]);
            let (factored, tables): (Vec<_>, Vec<_>) = self.matches.iter().partition(|(a, _)| loose(*a));
            let iterated = tables.iter().filter(|(a, _)| draft.atoms[*a].iterates());
            let iterated: Vec<(usize, Match)> = iterated.copied().collect();
            let reached: BTreeSet<usize> = iterated.iter().map(|(a, _)| self.component[*a]).collect();
            let cliques = self.places.iter().filter(|p| reached.contains(&p.component)).map(|p| p.belief);
            let cliques = cliques.collect();
            let iterated = iterated.into_iter().map(|(_, m)| m).collect();
            let tables = tables.into_iter().map(|(_, m)| m).collect();
            let factored = factored.into_iter().map(|(_, m)| m).collect();
            // coefficients are measured and certified where they are learned
            if draft.learned.is_empty() {
                self.emit("close", Instruction::Gap { pairs: tables });
                self.emit("choose", Instruction::Certify { pairs: iterated, factored, cliques });
            }
            for (a, m) in self.matches.clone() {
                if draft.atoms[a].closed {
                    let Match { statistic, belief, .. } = m;
                    self.emit("close", Instruction::Adopt { statistic, belief });
                }
            }
            let fixed = draft.fixed.iter().filter_map(|(k, s)| Some((*k, *self.statistic.get(s)?)));
            let fixed = fixed.collect();
            self.emit("fuse", Instruction::Divergence { pairs, fixed });
        }
        self.emit("order", Instruction::Emit);
    }
}
