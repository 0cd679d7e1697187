//! Exact sums over every cell of a model whose energies are known: which mode is summed out when, over
//! which tables, and what that costs.
//!
//! A sum by variable elimination (Dechter 1999, doi:10.1016/S0004-3702(99)00059-4): for each mode in turn,
//! the tables that hold it are multiplied and it is summed out of the product. On a lattice, in the order of
//! its sites, this is the transfer matrix, one site at a time. Several temperatures are carried at once.

use std::collections::BTreeMap;

use super::print::human;
use crate::model::Scope;
use crate::text::{Code, Diagnostic, Span};

/// What is carried through a sum beside the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carry {
    /// Nothing: ln Z, or the weights of the modes that are kept.
    Weights,
    /// Mean and variance of a quantity that is a sum of terms.
    Moments,
    /// The distribution of a total, as the coefficients of a polynomial in it.
    Total,
    /// The least energy and where it is reached, instead of a sum.
    Least,
    /// Weights, with every table kept, so that cells can be drawn.
    Draws,
}

impl Carry {
    /// Numbers held for each cell and temperature.
    pub fn planes(self) -> usize {
        if self == Carry::Moments { 3 } else { 1 }
    }

    /// What it is, for people.
    pub fn about(self) -> &'static str {
        match self {
            Carry::Weights => "weights",
            Carry::Moments => "weights, means and variances",
            Carry::Total => "weights by total",
            Carry::Least => "least energies",
            Carry::Draws => "weights, all tables kept to draw from",
        }
    }
}

/// A table of numbers that stands for itself before the first step, or that a step makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its modes; those that are summed out first come first, and vary slowest.
    pub axes: Vec<usize>,
    /// Number of cells.
    pub cells: usize,
    /// Number of different totals it distinguishes; 1 without a total.
    pub degree: usize,
}

/// One operation; tables are named by position: the terms of the sum first, then one for each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The product of two tables.
    Product(usize, usize),
    /// A mode summed out of one table, or out of the product of two.
    SumOut {
        /// The mode.
        mode: usize,
        /// The larger table.
        from: usize,
        /// What it is multiplied with.
        with: Option<usize>,
    },
}

impl Step {
    /// The tables it uses up.
    pub fn sources(&self) -> (usize, Option<usize>) {
        match self {
            Step::Product(a, b) => (*a, Some(*b)),
            Step::SumOut { from, with, .. } => (*from, *with),
        }
    }
}

/// What is to be summed.
#[derive(Debug, Clone)]
pub struct Problem<'a> {
    /// The name of the model.
    pub name: &'a str,
    /// Where to point when the sum is out of reach.
    pub span: Span,
    /// Names of the modes.
    pub modes: &'a [String],
    /// Numbers of levels of the modes; 1 for a mode whose level is given.
    pub sizes: &'a [usize],
    /// For a total, how many steps the levels of each mode span; 0 for all otherwise.
    pub spread: &'a [usize],
    /// The modes of each term.
    pub terms: &'a [Scope],
    /// An order of elimination that was searched for.
    pub order: &'a [usize],
    /// Difference between the largest and the least energy of each term, over the lowest temperature.
    pub ranges: &'a [f64],
    /// Modes that are not summed out.
    pub keep: &'a Scope,
    /// What is carried.
    pub carry: Carry,
    /// Whether every term stays as it is, and the list of totals is reversed, when the levels of all modes are
    /// reversed.
    pub mirrored: bool,
    /// Number of temperatures.
    pub points: usize,
    /// Memory budget in bytes.
    pub memory: u64,
}

/// Modes whose levels are taken one after the other, the sum of each part being the same program over smaller
/// tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slicing {
    /// The modes, each with the number of its levels that are taken, from the first.
    pub modes: Vec<(usize, usize)>,
    /// The number of all levels of the first mode, when those that are not taken are mirror images of those
    /// that are.
    pub mirrored: Option<usize>,
}

impl Slicing {
    /// Number of parts.
    pub fn parts(&self) -> usize {
        self.modes.iter().map(|(_, levels)| levels).product()
    }

    /// The level of each sliced mode in one of the parts, and how many parts it stands for.
    pub fn part(&self, part: usize) -> (Vec<(usize, usize)>, f64) {
        let mut rest = part;
        let level = |(mode, levels): &(usize, usize)| {
            let own = rest % levels;
            rest /= levels;
            (*mode, own)
        };
        let levels: Vec<(usize, usize)> = self.modes.iter().map(level).collect();
        let alone = |all: usize| levels.first().is_some_and(|(_, own)| all - 1 - own == *own);
        let times = if self.mirrored.is_none_or(alone) { 1.0 } else { 2.0 };
        (levels, times)
    }
}

/// The program of an exact sum. Steps in order; the product of the tables left at the end is the result,
/// over the modes that are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Summation {
    /// The name of the model.
    pub name: String,
    /// Names of the modes.
    pub modes: Vec<String>,
    /// What is carried.
    pub carry: Carry,
    /// Every table: terms, then the results of the steps.
    pub slots: Vec<Slot>,
    /// Number of terms.
    pub terms: usize,
    /// The operations.
    pub steps: Vec<Step>,
    /// Where the order of the modes comes from.
    pub order: &'static str,
    /// Most modes that meet in one product, less one: the width of the elimination.
    pub width: usize,
    /// Cells of the largest product.
    pub largest: f64,
    /// Number of temperatures in all.
    pub points: usize,
    /// Temperatures that are carried at once.
    pub lanes: usize,
    /// What the sum is cut into.
    pub slicing: Slicing,
    /// Whether weights are kept as logarithms, because their range could exceed that of numbers.
    pub logarithms: bool,
    /// Predicted operations for all temperatures.
    pub operations: f64,
    /// Predicted peak memory in bytes.
    pub peak: f64,
}

/// Exponents beyond this are near the end of the range of a double (708), less what scaling leaves to drift.
const SAFE_RANGE: f64 = 500.0;
/// Temperatures carried at once, at most.
const MOST_LANES: usize = 16;
/// Temperatures carried at once, where memory allows: those of one vector.
const FEW_LANES: usize = 4;
/// Fewer temperatures are carried at once beyond this many bytes.
const LANES_MEMORY: f64 = (1u64 << 30) as f64;
/// Tables that are used at once should fit into this many bytes, a cache of one core.
const CACHE: f64 = (1u64 << 20) as f64;
/// Slicing may cost this many times the operations.
const SLICING_COST: f64 = 1.15;
/// A sum is cut into at most this many parts.
const MOST_PARTS: usize = 1 << 14;
/// Parts whose memory is counted, since several are summed at once.
const AT_ONCE: f64 = 16.0;
/// Sums below this many operations are not worth cutting.
const WORTH_CUTTING: f64 = 1e5;
/// A sum beyond this many operations is refused whatever the memory.
const MOST_OPERATIONS: f64 = 2e14;

/// Plans a sum: tries every order, and keeps the one with the fewest operations among those that fit.
///
/// # Errors
/// MBA540 when no order fits the memory budget, with the width of the best one.
pub fn plan(problem: &Problem<'_>) -> Result<Summation, Box<Diagnostic>> {
    let mut best: Option<(Draft, &'static str, Vec<usize>)> = None;
    let none = Scope::empty();
    for (about, order) in orders(problem) {
        let draft = Draft::new(problem, &order, &none);
        let fits = |d: &Draft| d.peak(problem.carry, 1) <= problem.memory as f64;
        let better = best.as_ref().is_none_or(|(b, _, _)| match (fits(&draft), fits(b)) {
            (true, false) => true,
            (false, true) => false,
            (true, true) => draft.operations < b.operations,
            (false, false) => draft.largest < b.largest,
        });
        if better {
            best = Some((draft, about, order));
        }
    }
    let Some((whole, order, modes)) = best else {
        return Err(Box::new(
            Diagnostic::new(Code::MBA901, "no order to sum in").at(problem.span, "asked for here"),
        ));
    };
    let points = problem.points.max(1);
    if whole.operations * points as f64 > 2.0 * MOST_OPERATIONS {
        return Err(Box::new(refuse(problem, &whole, order, whole.operations * points as f64)));
    }
    let (draft, slicing) = cut(problem, &modes, &whole);
    let parts = slicing.parts();
    let peak = |lanes: usize| draft.peak(problem.carry, lanes) * AT_ONCE.min(parts as f64);
    let operations = draft.operations * (points * parts) as f64;
    if peak(1) > problem.memory as f64 || operations > MOST_OPERATIONS {
        return Err(Box::new(refuse(problem, &whole, order, whole.operations * points as f64)));
    }
    let mut lanes = points.min(MOST_LANES);
    let limit = LANES_MEMORY.min(problem.memory as f64);
    let roomy = |lanes: usize| lanes > FEW_LANES && draft.peak(problem.carry, lanes) > CACHE;
    while lanes > 1 && (peak(lanes) > limit || roomy(lanes)) {
        lanes = (lanes / 2).next_power_of_two();
    }
    Ok(Summation {
        name: problem.name.to_string(),
        modes: problem.modes.to_vec(),
        carry: problem.carry,
        peak: peak(lanes),
        terms: problem.terms.len(),
        order,
        width: whole.width,
        largest: whole.largest,
        slicing,
        points,
        lanes,
        logarithms: draft.range > SAFE_RANGE,
        operations,
        slots: draft.slots,
        steps: draft.steps,
    })
}

/// Cuts a sum into parts: by half where mirror images weigh the same, and further where its tables are larger
/// than a cache and some modes are in most of them, as the last row of a periodic lattice is (slicing of tensor
/// networks; Gray and Kourtis 2021, doi:10.22331/q-2021-03-15-410).
fn cut(problem: &Problem<'_>, order: &[usize], whole: &Draft) -> (Draft, Slicing) {
    let mut slicing = Slicing::default();
    let mut draft = whole.clone();
    let points = problem.points.max(1);
    if whole.operations * (points as f64) < WORTH_CUTTING
        || matches!(problem.carry, Carry::Least | Carry::Draws)
    {
        return (draft, slicing);
    }
    let mut sliced = Scope::empty();
    if problem.mirrored
        && let Some((mode, within)) = draft.busiest(problem, &sliced)
    {
        let all = problem.sizes[mode];
        let taken = all.div_ceil(2);
        let cost = taken as f64 * (draft.operations - within + within / all as f64);
        if cost < 0.8 * draft.operations {
            sliced = sliced.union(&Scope::from([mode]));
            slicing = Slicing { modes: vec![(mode, taken)], mirrored: Some(all) };
            draft = Draft::new(problem, order, &sliced);
        }
    }
    let allowed = SLICING_COST * draft.operations * slicing.parts() as f64;
    while draft.peak(problem.carry, points.min(FEW_LANES)) > CACHE
        && let Some((mode, _)) = draft.busiest(problem, &sliced)
    {
        let mut finer = slicing.clone();
        finer.modes.push((mode, problem.sizes[mode]));
        let scope = sliced.union(&Scope::from([mode]));
        let next = Draft::new(problem, order, &scope);
        if finer.parts() > MOST_PARTS || next.operations * finer.parts() as f64 > allowed {
            break;
        }
        (draft, slicing, sliced) = (next, finer, scope);
    }
    let memory = problem.memory as f64;
    let taken = draft.peak(problem.carry, 1) * AT_ONCE.min(slicing.parts() as f64);
    if taken > memory && whole.peak(problem.carry, 1) <= memory {
        return (whole.clone(), Slicing::default());
    }
    (draft, slicing)
}

fn refuse(problem: &Problem<'_>, draft: &Draft, order: &str, operations: f64) -> Diagnostic {
    let needs = if draft.peak(problem.carry, 1) > problem.memory as f64 {
        format!("{} numbers at once", powers(draft.largest))
    } else {
        format!("{} operations", human::count(operations))
    };
    Diagnostic::new(Code::MBA540, format!("an exact sum over `{}` needs {needs}", problem.name))
        .at(problem.span, "asked for here")
        .note(format!(
            "the best order found, {order}, has width {}: {} modes meet in one table",
            draft.width,
            draft.width + 1
        ))
        .note(format!("the memory budget is {}", human::bytes(problem.memory as f64)))
        .help(
            "make the model narrower (an open edge costs half of a periodic one), or take an approximation by name, \
             as in `estimate m by bethe as rough`: `mean_field`, `tap`, `bethe`; or a simulation: `gibbs`, \
             `checkerboard`, `tempering`, `annealed_importance`",
        )
}

/// A large number as a power of two, since tables of two-level modes have such sizes.
fn powers(x: f64) -> String {
    if x < 1e6 { human::count(x) } else { format!("2^{:.0}", x.log2()) }
}

/// The orders that are tried, each over the modes that are not kept.
fn orders(problem: &Problem<'_>) -> Vec<(&'static str, Vec<usize>)> {
    let mut orders = vec![("as declared", (0..problem.sizes.len()).collect::<Vec<_>>())];
    for (about, axis) in [
        ("along the first dimension", 0),
        ("along the second dimension", 1),
        ("along the third dimension", 2),
    ] {
        if let Some(order) = along(problem.modes, axis)
            && orders.iter().all(|(_, known)| *known != order)
        {
            orders.push((about, order));
        }
    }
    // modes in no term cost nothing wherever they come
    let mut found = problem.order.to_vec();
    found.extend((0..problem.sizes.len()).filter(|m| !problem.order.contains(m)));
    orders.push(("found by search", found));
    for (_, order) in &mut orders {
        order.retain(|m| !problem.keep.contains(*m));
    }
    orders
}

/// Members of families sorted by one of their indices first, as a transfer matrix goes through a lattice.
fn along(modes: &[String], axis: usize) -> Option<Vec<usize>> {
    let mut keys: Vec<(&str, Vec<usize>, usize)> = Vec::new();
    let mut longest = 0;
    for (position, name) in modes.iter().enumerate() {
        let (family, rest) = name.split_once('[').unwrap_or((name, ""));
        let mut index: Vec<usize> =
            rest.trim_end_matches(']').split(',').filter_map(|i| i.trim().parse().ok()).collect();
        longest = longest.max(index.len());
        if axis < index.len() {
            let first = index.remove(axis);
            index.insert(0, first);
        }
        keys.push((family, index, position));
    }
    if axis >= longest || longest < 2 {
        return None;
    }
    // all families side by side, so that a chain of several modes a step goes step by step
    keys.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(b.0)).then(a.2.cmp(&b.2)));
    Some(keys.into_iter().map(|(_, _, position)| position).collect())
}

/// An elimination while it is planned, table by table.
struct Elimination<'a> {
    problem: &'a Problem<'a>,
    /// Where each mode comes in the order.
    rank: Vec<usize>,
    draft: Draft,
    /// The modes of each table.
    scopes: Vec<Scope>,
    degrees: Vec<f64>,
    /// Cells × degree of each table.
    numbers: Vec<f64>,
    /// Which tables have gone into others.
    used: Vec<bool>,
    /// The tables that hold each mode.
    holding: Vec<Vec<usize>>,
    /// Numbers of all tables that are alive.
    total: f64,
    /// Whether some table has more cells than can be counted.
    oversized: bool,
}

impl<'a> Elimination<'a> {
    fn new(problem: &'a Problem<'a>, order: &[usize]) -> Self {
        let modes = problem.sizes.len();
        let mut rank = vec![usize::MAX; modes];
        for (position, mode) in order.iter().enumerate() {
            rank[*mode] = position;
        }
        let draft = Draft {
            slots: Vec::new(),
            steps: Vec::new(),
            width: 0,
            largest: 1.0,
            operations: 0.0,
            range: 0.0,
            alive: 0.0,
            choices: 0.0,
            within: vec![0.0; modes],
        };
        Self {
            problem,
            rank,
            draft,
            scopes: Vec::new(),
            degrees: Vec::new(),
            numbers: Vec::new(),
            used: Vec::new(),
            holding: vec![Vec::new(); modes],
            total: 0.0,
            oversized: false,
        }
    }

    /// The modes of a table, those that are summed out first in front.
    fn axes(&self, modes: &Scope) -> Vec<usize> {
        let mut axes: Vec<usize> = modes.iter().collect();
        axes.sort_by_key(|m| (self.rank[*m], *m));
        axes
    }

    fn cells(&self, axes: &[usize]) -> f64 {
        axes.iter().map(|m| self.problem.sizes[*m] as f64).product()
    }

    /// Another table.
    fn add(&mut self, scope: Scope, degree: f64) -> usize {
        let made = self.scopes.len();
        let axes = self.axes(&scope);
        let size = self.cells(&axes);
        self.oversized |= size > 1e15;
        let cells = if size > 1e15 { usize::MAX } else { size as usize };
        self.draft.slots.push(Slot { axes, cells, degree: degree as usize });
        scope.iter().for_each(|m| self.holding[m].push(made));
        self.scopes.push(scope);
        self.degrees.push(degree);
        self.numbers.push(size * degree);
        self.used.push(false);
        self.total += size * degree;
        self.draft.alive = self.draft.alive.max(self.total);
        made
    }

    fn spend(&mut self, table: usize) {
        self.used[table] = true;
        self.total -= self.numbers[table];
    }

    /// The product of two tables, which are not needed afterwards.
    fn multiply(&mut self, a: usize, b: usize) -> usize {
        let both = self.scopes[a].union(&self.scopes[b]);
        let degree = self.degrees[a] + self.degrees[b] - 1.0;
        self.draft.operations += self.cells(&self.axes(&both)) * self.degrees[a] * self.degrees[b];
        let made = self.add(both, degree);
        self.draft.steps.push(Step::Product(a, b));
        self.spend(a);
        self.spend(b);
        made
    }

    /// Sums a mode out of the tables that hold it: the largest one, and the product of the others. `touching` has the
    /// terms over each mode.
    fn sum_out(&mut self, mode: usize, touching: &BTreeMap<usize, Vec<usize>>) {
        let mut inputs: Vec<usize> = self.holding[mode].iter().copied().filter(|k| !self.used[*k]).collect();
        inputs.sort_by(|a, b| self.numbers[*a].total_cmp(&self.numbers[*b]).then(a.cmp(b)));
        let clique = inputs.iter().fold(Scope::empty(), |all, k| all.union(&self.scopes[*k]));
        let Some(large) = inputs.pop() else { return };
        let mut seen: Vec<usize> =
            clique.iter().filter_map(|m| touching.get(&m)).flatten().copied().collect();
        seen.sort_unstable();
        seen.dedup();
        let range = seen.iter().map(|k| self.problem.ranges[*k]).sum();
        self.draft.range = self.draft.range.max(range);
        self.draft.width = self.draft.width.max(clique.len().saturating_sub(1));
        let small = inputs.into_iter().reduce(|small, k| self.multiply(small, k));
        let product = self.cells(&self.axes(&clique));
        self.draft.largest = self.draft.largest.max(product);
        let with = small.map_or(1.0, |k| self.degrees[k]);
        let spread = self.problem.spread.get(mode).copied().unwrap_or(0) as f64;
        let degree = self.degrees[large] + with - 1.0 + spread;
        let planes = if self.problem.carry == Carry::Moments { 6.0 } else { 1.0 };
        let operations = product * (2.0 * self.degrees[large] * with + 1.0) * planes;
        self.draft.operations += operations;
        clique.iter().for_each(|m| self.draft.within[m] += operations);
        let made = self.add(clique.without(mode), degree);
        self.draft.choices += self.numbers[made];
        self.draft.steps.push(Step::SumOut { mode, from: large, with: small });
        self.spend(large);
        if let Some(small) = small {
            self.spend(small);
        }
    }

    /// Multiplies what is left, which is over modes that are kept, the small ones first.
    fn multiply_out(&mut self) {
        let mut left: Vec<usize> = (0..self.scopes.len()).filter(|k| !self.used[*k]).collect();
        left.sort_by_key(|k| (self.draft.slots[*k].cells, *k));
        let _ = left.into_iter().reduce(|product, k| self.multiply(product, k));
    }
}

#[derive(Clone)]
struct Draft {
    slots: Vec<Slot>,
    steps: Vec<Step>,
    width: usize,
    largest: f64,
    operations: f64,
    range: f64,
    /// Most cells × degrees alive at once.
    alive: f64,
    /// Cells of all tables that a mode was summed out of, for the choices that are remembered.
    choices: f64,
    /// The operations on tables that hold each mode.
    within: Vec<f64>,
}

impl Draft {
    /// The program in an order, without the modes in `sliced`.
    fn new(problem: &Problem<'_>, order: &[usize], sliced: &Scope) -> Self {
        let terms: Vec<Scope> = problem.terms.iter().map(|scope| scope.difference(sliced)).collect();
        let mut touching: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (k, scope) in terms.iter().enumerate() {
            scope.iter().for_each(|m| touching.entry(m).or_default().push(k));
        }
        let mut elimination = Elimination::new(problem, order);
        for scope in terms {
            elimination.add(scope, 1.0);
        }
        for mode in order.iter().filter(|m| !sliced.contains(**m)) {
            elimination.sum_out(*mode, &touching);
        }
        elimination.multiply_out();
        let Elimination { mut draft, oversized, .. } = elimination;
        draft.largest = draft.largest.max(draft.slots.iter().map(|s| s.cells as f64).fold(1.0, f64::max));
        if oversized {
            draft.alive = f64::INFINITY;
        }
        draft
    }

    /// The mode that most of the operations are on tables of, and how many: one that is summed out, and has not
    /// been sliced.
    fn busiest(&self, problem: &Problem<'_>, sliced: &Scope) -> Option<(usize, f64)> {
        let open = |m: &usize| problem.sizes[*m] > 1 && !problem.keep.contains(*m) && !sliced.contains(*m);
        let candidates = (0..problem.sizes.len()).filter(open);
        let best = candidates.max_by(|a, b| self.within[*a].total_cmp(&self.within[*b]).then(b.cmp(a)))?;
        Some((best, self.within[best]))
    }

    fn peak(&self, carry: Carry, lanes: usize) -> f64 {
        let remembered = match carry {
            Carry::Least => 4.0 * self.choices,
            Carry::Draws => return 8.0 * self.slots.iter().map(|s| s.cells as f64).sum::<f64>(),
            _ => 0.0,
        };
        8.0 * self.alive * (carry.planes() * lanes) as f64 + remembered
    }
}

impl Summation {
    /// The table that holds the result, when there is any term at all.
    pub fn result(&self) -> Option<usize> {
        self.slots.len().checked_sub(1)
    }

    /// What will be done and what it will cost, as an indented tree.
    pub fn tree(&self) -> String {
        let (operations, peak) = (human::count(self.operations), human::bytes(self.peak));
        let at_once = match (self.points, self.lanes) {
            (1, _) => String::new(),
            (n, k) if n == k => format!(", {n} points at once"),
            (n, k) => format!(", {n} points, {k} at once"),
        };
        let kind = if self.carry == Carry::Least { "exact minimum" } else { "exact sum" };
        let scale = if self.logarithms { ", in logarithms" } else { "" };
        let parts = match (self.slicing.parts(), self.slicing.mirrored) {
            (1, None) => String::new(),
            (1, Some(_)) => "├─ one half of the cells, since the other is its mirror image\n".to_string(),
            (n, mirrored) => {
                let names: Vec<&str> =
                    self.slicing.modes.iter().map(|(m, _)| self.modes[*m].as_str()).collect();
                let few = names.iter().take(4).copied().collect::<Vec<_>>().join(", ");
                let more = if names.len() > 4 { ", …" } else { "" };
                let half = if mirrored.is_some() { ", half of them by symmetry" } else { "" };
                format!("├─ in {n} parts, one for each choice of levels of {few}{more}{half}\n")
            }
        };
        format!(
            "{kind}, carrying {}{at_once}{scale}\n├─ modes summed out {}: width {}, largest table {} cells\n{parts}├─ \
             {} products and sums: {operations} operations\n└─ peak: {peak}\n",
            self.carry.about(),
            self.order,
            self.width,
            human::count(self.largest),
            self.steps.len(),
        )
    }

    /// The same as data.
    pub fn json(&self) -> serde_json::Value {
        let steps = self.steps.iter().enumerate().filter_map(|(k, step)| {
            let slot = &self.slots[self.terms + k];
            let names = |axes: &[usize]| axes.iter().map(|m| self.modes[*m].clone()).collect::<Vec<_>>();
            match step {
                Step::Product(..) => None,
                Step::SumOut { mode, .. } => Some(serde_json::json!({
                    "sum_out": self.modes[*mode], "onto": names(&slot.axes), "totals": slot.degree,
                })),
            }
        });
        serde_json::json!({
            "model": self.name, "carry": self.carry.about(), "order": self.order, "width": self.width,
            "largest": self.largest, "points": self.points, "at_once": self.lanes,
            "parts": self.slicing.parts(), "mirrored": self.slicing.mirrored.is_some(),
            "logarithms": self.logarithms, "operations": self.operations, "peak": self.peak,
            "steps": steps.collect::<Vec<_>>(),
        })
    }
}
