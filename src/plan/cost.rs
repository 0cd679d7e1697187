//! What an instruction is predicted to cost. The constants are fixed, so that the choice of a schedule
//! depends on the model and on the shape of the data alone.

use super::draft::{Clique, Draft};
use super::options::Profile;
use super::schedule::{Buffer, BufferId, Factored, Instruction, Iteration, Match, Shape, Side, Step};
use crate::model::Scope;

/// The price of a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Unit {
    /// Arithmetic operations.
    pub operations: f64,
    /// Bytes read and written.
    pub bytes: f64,
}

impl Unit {
    /// That of several steps.
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Self {
        steps.into_iter().fold(Self::default(), |all, s| all.plus(s.operations, s.bytes))
    }

    /// With so much more.
    #[must_use]
    pub fn plus(self, operations: f64, bytes: f64) -> Self {
        Self { operations: self.operations + operations, bytes: self.bytes + bytes }
    }

    /// Several times over.
    #[must_use]
    pub fn times(self, n: f64) -> Self {
        Self { operations: self.operations * n, bytes: self.bytes * n }
    }
}

/// What a loop does, each with its price.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Units {
    /// One sweep.
    pub sweep: Unit,
    /// Marginals afresh from the potentials.
    pub check: Unit,
    /// One extrapolation, or taking one back.
    pub extrapolation: Unit,
    /// One product with the Fisher information, by conjugate gradients.
    pub product: Unit,
}

impl Units {
    /// The prices of a loop.
    pub fn of(iteration: &Iteration, buffers: &[Buffer]) -> Self {
        let cells = |id: &BufferId| buffers.get(id.0).map_or(0.0, |b| b.cells);
        let tables: f64 = iteration.pairs.iter().map(|m| cells(&m.statistic)).sum();
        let vectors = extrapolation(tables, DIFFERENCES);
        match &iteration.factored {
            Some(f) => Self {
                sweep: Unit::of(&f.sweep),
                check: Unit::of(&f.check),
                extrapolation: Unit::of(f.inward.iter().chain(f.sweep.first()))
                    .plus(vectors.operations, vectors.bytes),
                product: tangent(f, tables),
            },
            None => {
                let scaled: f64 = iteration.pairs.iter().map(|m| cells(&m.belief)).sum();
                let cliques: f64 = iteration
                    .check
                    .iter()
                    .filter(|s| matches!(s.instruction, Instruction::Contract { .. }))
                    .flat_map(|s| s.instruction.writes())
                    .map(|id| cells(&id))
                    .sum();
                Self {
                    sweep: Unit::of(&iteration.sweep),
                    check: Unit::of(&iteration.check),
                    extrapolation: Unit::of(&iteration.inward)
                        .plus(scaled, 16.0 * scaled)
                        .plus(vectors.operations, vectors.bytes),
                    product: fisher(&iteration.pairs, cliques, buffers),
                }
            }
        }
    }
}

/// Differences an extrapolation combines, on average.
const DIFFERENCES: f64 = 4.0;

/// The vectors of one extrapolation from so many differences: their inner products, logarithms before
/// and exponentials after.
pub fn extrapolation(cells: f64, differences: f64) -> Unit {
    let inner = differences * (differences + 3.0) * cells;
    Unit { operations: 3.0 * inner + 2.0 * TRANSCENDENTAL * cells, bytes: 24.0 * inner + 80.0 * cells }
}

/// The vectors of one step of conjugate gradients.
pub fn gradients(cells: f64) -> Unit {
    Unit { operations: 12.0 * cells, bytes: 96.0 * cells }
}

/// One product with the Fisher information on the tables of cliques that have `cliques` cells together.
pub fn fisher(pairs: &[Match], cliques: f64, buffers: &[Buffer]) -> Unit {
    let cells = |id: &BufferId| buffers.get(id.0).map_or(0.0, |b| b.cells);
    let tables: f64 = pairs.iter().map(|m| cells(&m.statistic)).sum();
    let each: f64 = pairs.iter().map(|m| cells(&m.belief)).sum();
    let mut own: Vec<BufferId> = pairs.iter().map(|m| m.belief).collect();
    own.sort_unstable();
    own.dedup();
    let own: f64 = own.iter().map(cells).sum();
    // conditional expectations go both ways over every edge, if there is more than one clique
    let edges = if cliques > own || pairs.iter().any(|m| cells(&m.belief) < own) { cliques } else { 0.0 };
    gradients(tables).plus(3.0 * each + 2.0 * own + 6.0 * edges, 24.0 * each + 24.0 * own + 72.0 * edges)
}

/// One product with the Fisher information of a factored atom: its products differentiated.
pub fn tangent(factored: &Factored, tables: f64) -> Unit {
    let products = factored.check.iter().filter(|s| matches!(s.instruction, Instruction::Product(_)));
    let Unit { operations, bytes } = Unit::of(products).times(3.0);
    gradients(tables).plus(operations, bytes)
}

/// Operations counted for one exponential or logarithm.
pub const TRANSCENDENTAL: f64 = 16.0;

/// Vectors of one number per cell of every generator that acceleration keeps: five differences of
/// potentials and of residuals each, and the latest potentials, residual and extrapolation.
pub const HISTORY: f64 = 14.0;

/// Vectors of that kind Newton's method keeps: data, potentials, a trial of them, right-hand side, fitted
/// marginals and their inverses, solution, residual, direction and image.
pub const NEWTON: f64 = 10.0;

/// Vectors of that kind the certificate keeps: right-hand side, solution, residual, preconditioned
/// residual, direction, image and marginals.
pub const CONJUGATE: f64 = 7.0;

/// Coefficients up to which their covariance is a matrix; beyond, it is only multiplied with vectors.
pub const DENSE: f64 = 2000.0;

/// Cells of a clique whose statistics are written out at a time.
pub const SLAB: f64 = 4096.0;

/// Operations of one sweep over a junction tree: every generator is a sum and a product over its
/// clique, every edge a sum over one end and a product over the other, both ways.
pub fn sweep_operations(draft: &Draft, cliques: &[Clique]) -> f64 {
    let size = |c: &Clique| draft.cells(&c.node.scope);
    let updates: f64 = cliques.iter().map(|c| 2.0 * c.generators.len() as f64 * size(c)).sum();
    let parent = |c: &Clique| c.node.parent.and_then(|p| cliques.get(p));
    let messages: f64 = cliques.iter().filter_map(|c| parent(c).map(|p| 2.0 * (size(c) + size(p)))).sum();
    updates + messages
}

/// How much faster an operation of a matrix product is than one of a sum over a table.
pub const MATRIX: f64 = 8.0;

/// Cells of the left factor of a matrix product that are made at a time.
pub const SLICE: f64 = 16384.0;

/// Parts a product is cut into, whatever the number of threads.
pub const PARTS: f64 = 8.0;

/// Cells of a table from which a walk over it is cut up for threads.
pub const SHARED: f64 = 131_072.0;

/// Cells of a clique from which a sum block by block is worth more than one thread.
pub const BLOCKWISE: f64 = 262_144.0;

/// Cells of a mask or a condition from which a sum over those that it lets through is worth more than one thread.
pub const FILTERED: f64 = 1_048_576.0;

/// Multiply–adds from which a product is worth more than one thread.
pub const PRODUCT: f64 = 2_097_152.0;

/// How much faster an operation on a block in the nearest cache is than one on a table that is not in it.
pub const STREAM: f64 = 4.0;

/// Cells of a table that is not in the nearest caches.
pub const FAR: f64 = 131_072.0;

/// Cells of a clique that are made and added up at a time.
pub const BLOCK_CELLS: f64 = 8192.0;

/// Operations, bytes and scratch cells of a product of factors over the given scopes.
pub fn product(cells: &dyn Fn(&Scope) -> f64, shape: &Shape, factors: &[Scope]) -> (f64, f64, f64) {
    let (rows, columns, over) = (cells(&shape.rows), cells(&shape.columns), cells(&shape.over));
    if shape.streamed {
        let sides = |side: Side| factors.iter().filter(|f| shape.side(f) == Some(side)).count() as f64;
        let (through, inside) = (sides(Side::Left), sides(Side::Inside));
        let operations = (through + 1.0) * rows * over + inside * rows;
        let bytes = 8.0 * factors.iter().map(cells).sum::<f64>() + (8.0 + 16.0 * inside) * rows;
        // a block may be cut at whole modes only
        return (operations, bytes, 2.0 * PARTS * BLOCK_CELLS.min(rows * over));
    }
    let made = factors.iter().filter_map(|s| shape.side(s)).fold(0.0, |total, side| {
        total
            + match side {
                Side::Left => rows * over,
                Side::Right => columns * over,
                Side::Inside => rows * columns,
            }
    });
    let operations = 2.0 * rows * columns * over + made;
    let bytes = 16.0 * made + 8.0 * (rows * over + columns * over + rows * columns);
    (operations, bytes, rows * over + columns * over)
}

/// How the cells that a mask lets through are summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// By the truth value of every cell.
    Every,
    /// All cells together, as if none were missing, less a list of those that are.
    Missing,
    /// By a list of those that are observed.
    Observed,
}

/// How much faster an operation is that goes by the truth values of a whole row than one on a table.
pub const EVERY: f64 = 4.0;

/// How much slower an operation on a cell of a list is than one that goes by the truth values of a whole row.
pub const ENTRY: f64 = 8.0;

/// Levels from which a row of truth values fills a vector.
const ROW: f64 = 8.0;

/// The mode along which a mask over `clique` is looked at when it is summed to `onto`: one that is kept, so that
/// sums are whole rows, but not the outermost of the result, which is cut into parts; the longest, if it fills a
/// vector.
pub fn row(size: impl Fn(usize) -> f64, clique: &Scope, onto: &Scope) -> Option<usize> {
    let longest = onto.iter().skip(1).max_by(|a, b| size(*a).total_cmp(&size(*b)));
    longest.filter(|m| size(*m) >= ROW).or_else(|| clique.iter().last())
}

/// A product of factors over the cells that a mask lets through.
#[derive(Debug, Clone, PartialEq)]
pub struct Filtered {
    /// Factors that are summed over, by position, put together in tables that are small beside the clique: those
    /// that change along a row of the mask ([`row`]), and the others.
    pub groups: Vec<Vec<usize>>,
    /// How many groups change along a row.
    along: usize,
    /// Operations of putting them together, and of what is multiplied in after the sum.
    around: f64,
    /// Cells of the clique, and of the result.
    cells: (f64, f64),
    /// The product without a mask: its shape, operations, and how much faster these are than on a table.
    whole: (Shape, f64, f64),
}

impl Filtered {
    /// For a clique that is summed to `onto`; `cells` counts those of a scope. None when nothing is kept.
    pub fn of(
        cells: &dyn Fn(&Scope) -> f64,
        clique: &Scope,
        onto: &Scope,
        factors: &[Scope],
    ) -> Option<Self> {
        const SMALL: f64 = 0.125;
        let shape = Shape::filtered(clique, onto)?;
        let most = SMALL * cells(clique);
        let end = row(|m| cells(&Scope::from([m])), clique, onto)?;
        let mut groups: Vec<(Vec<usize>, Scope)> = Vec::new();
        let mut around = 0.0;
        for (f, scope) in factors.iter().enumerate() {
            if shape.side(scope) == Some(Side::Inside) {
                around += cells(onto);
                continue;
            }
            let alike = |all: &Scope| all.contains(end) == scope.contains(end);
            match groups.iter_mut().find(|(_, all)| alike(all) && cells(&all.union(scope)) <= most) {
                Some((own, all)) => {
                    own.push(f);
                    *all = all.union(scope);
                }
                None => groups.push((vec![f], scope.clone())),
            }
        }
        let merged = groups.iter().filter(|(own, _)| own.len() > 1);
        around += merged.map(|(own, all)| own.len() as f64 * cells(all)).sum::<f64>();
        let through: Vec<Scope> =
            groups.iter().flat_map(|(own, _)| own).map(|f| factors[*f].clone()).collect();
        let whole = Shape::of(clique, onto, &through)?;
        let (operations, _, _) = product(cells, &whole, &through);
        let faster = if whole.streamed { 1.0 } else { MATRIX };
        Some(Self {
            along: groups.iter().filter(|(_, all)| all.contains(end)).count(),
            groups: groups.into_iter().map(|(own, _)| own).collect(),
            around,
            cells: (cells(clique), cells(onto)),
            whole: (whole, operations, faster),
        })
    }

    /// The product of all factors that are summed over, as if every cell counted.
    pub fn whole(&self) -> &Shape {
        &self.whole.0
    }

    /// Operations on a cell of a row: what does not change along it is multiplied in once.
    fn each(&self) -> f64 {
        (self.along + 1).max(2) as f64
    }

    /// Operations on a cell of a list.
    fn entry(&self) -> f64 {
        (self.groups.len() + 1).max(2) as f64
    }

    /// The fastest way when so many cells are observed.
    pub fn choose(&self, observed: f64) -> Arithmetic {
        let every = self.each() * self.cells.0 / EVERY;
        let entry = self.entry() * ENTRY / EVERY;
        let missing = self.whole.1 / self.whole.2 + entry * (self.cells.0 - observed) + 2.0 * self.cells.1;
        let seen = entry * observed;
        if every <= missing.min(seen) {
            Arithmetic::Every
        } else if missing < seen {
            Arithmetic::Missing
        } else {
            Arithmetic::Observed
        }
    }

    /// The most missing cells for [`Arithmetic::Missing`], and the most observed ones for
    /// [`Arithmetic::Observed`].
    pub fn thresholds(&self) -> (f64, f64) {
        let every = self.each() * self.cells.0 / EVERY;
        let entry = self.entry() * ENTRY / EVERY;
        let missing = (every - self.whole.1 / self.whole.2 - 2.0 * self.cells.1) / entry;
        (missing.max(0.0), every / entry)
    }

    /// As [`Filtered::price`], the most of each however many cells are observed.
    pub fn most(&self) -> (f64, f64, f64) {
        let (missing, seen) = self.thresholds();
        let mut ways = vec![self.price(Arithmetic::Every, 0.0), self.price(Arithmetic::Observed, seen)];
        if missing > 0.0 {
            ways.push(self.price(Arithmetic::Missing, self.cells.0 - missing));
        }
        let larger = |a: (f64, f64, f64), b: (f64, f64, f64)| (a.0.max(b.0), a.1.max(b.1), a.2.max(b.2));
        ways.into_iter().fold((0.0, 0.0, 0.0), larger)
    }

    /// Operations when so many cells are observed.
    pub fn operations(&self, how: Arithmetic, observed: f64) -> f64 {
        self.price(how, observed).0
    }

    /// Operations, bytes and scratch cells when so many cells are observed.
    pub fn price(&self, how: Arithmetic, observed: f64) -> (f64, f64, f64) {
        let (entry, (cells, kept)) = (self.entry(), self.cells);
        let scratch = 2.0 * self.groups.len() as f64 * 0.125 * cells;
        let bytes = 16.0 * (self.around + kept);
        let lists = |listed: f64| (4.0 * (self.groups.len() + 1) as f64 + 8.0 * entry) * listed;
        match how {
            Arithmetic::Every => (self.around + self.each() * cells, bytes + cells, scratch),
            Arithmetic::Missing => {
                let listed = cells - observed;
                let operations = self.around + self.whole.1 + entry * listed + 2.0 * kept;
                (operations, bytes + lists(listed), scratch)
            }
            Arithmetic::Observed => (self.around + entry * observed, bytes + lists(observed), scratch),
        }
    }
}

/// Prices an instruction: operations, bytes moved and scratch.
pub fn price(instruction: Instruction, buffers: &[Buffer], profile: Option<&Profile>) -> Step {
    let cells = |id: &BufferId| buffers.get(id.0).map_or(0.0, |b| b.cells);
    let all = |ids: &mut dyn Iterator<Item = BufferId>| ids.map(|b| cells(&b)).sum::<f64>();
    let (operations, moved, scratch) = match &instruction {
        Instruction::Load
        | Instruction::Newton(_)
        | Instruction::RankOne(_)
        | Instruction::Together(_)
        | Instruction::Emit => (0.0, 0.0, 0.0),
        Instruction::Reduce { tables } => {
            let stored = profile.map_or(0.0, |p| p.stored as f64);
            let wide = profile.is_some_and(|p| !p.sparse);
            let per_cell = tables.len() as f64 + TRANSCENDENTAL;
            let out = all(&mut tables.iter().copied());
            // private tables and the small tables they are summed from, when they are worth their memory;
            // dense data that are not doubles are converted block by block
            let groups = if GROUPS * out <= 0.25 * stored { GROUPS } else { 1.0 };
            let block = if wide { stored.min(GROUPS * BLOCK) } else { BLOCK } + 2.0 * groups * out;
            (stored * per_cell, profile.map_or(0.0, Profile::bytes) + 8.0 * out, block)
        }
        Instruction::Derive { from, to } => (cells(from), 8.0 * (cells(from) + cells(to)), 0.0),
        Instruction::Divide { statistic, .. } => {
            ((TRANSCENDENTAL + 1.0) * cells(statistic), 16.0 * cells(statistic), 0.0)
        }
        Instruction::Open { statistic, .. } => (cells(statistic), 16.0 * cells(statistic), 0.0),
        Instruction::Join { potential, separator } => {
            (cells(potential) + TRANSCENDENTAL * cells(separator), 16.0 * cells(potential), cells(separator))
        }
        Instruction::Contract { belief, potentials, fixed } => {
            let terms = (potentials.len() + fixed.len()) as f64;
            (terms * cells(belief), 8.0 * (2.0 * terms + 1.0) * cells(belief), 0.0)
        }
        Instruction::Collect { child, parent, separator } => {
            let exps = (TRANSCENDENTAL + 4.0) * cells(child);
            (exps + cells(parent), 8.0 * (6.0 * cells(child) + 2.0 * cells(parent)), 2.0 * cells(separator))
        }
        Instruction::Normalise { belief, .. } => {
            ((TRANSCENDENTAL + 3.0) * cells(belief), 40.0 * cells(belief), 0.0)
        }
        Instruction::Distribute { parent, child, .. } => {
            (cells(parent) + cells(child), 8.0 * (cells(parent) + 2.0 * cells(child)), 0.0)
        }
        Instruction::Scale(m) => {
            let table = cells(&m.statistic);
            let operations = 2.0 * cells(&m.belief) + (TRANSCENDENTAL + 4.0) * table;
            (operations, 24.0 * cells(&m.belief) + 40.0 * table, table)
        }
        Instruction::Product(p) => {
            let size = |s: &Scope| p.cells(s, buffers);
            let scopes: Vec<Scope> =
                p.factors.iter().filter_map(|f| buffers.get(f.0)).map(|b| b.scope.clone()).collect();
            let filtered =
                p.filter.as_ref().and_then(|f| Filtered::of(&size, &f.scope, &p.shape.rows, &scopes));
            match filtered {
                // which cells are observed is not known before the data are read
                Some(filtered) => filtered.most(),
                None => product(&size, &p.shape, &scopes),
            }
        }
        Instruction::Rescale(m, _) => {
            let table = cells(&m.statistic);
            (2.0 * cells(&m.belief) + 6.0 * table, 24.0 * cells(&m.belief) + 56.0 * table, table)
        }
        Instruction::Message { from, to, separator } => {
            let operations = cells(from) + cells(to) + cells(separator);
            (operations, 8.0 * (cells(from) + 2.0 * cells(to)), cells(separator))
        }
        Instruction::Loop(i) => {
            let steps: Vec<&Step> = i.steps().collect();
            let sweep = i.factored.as_ref().map_or(&i.sweep, |f| &f.sweep);
            let operations = sweep.iter().map(|s| s.operations).sum();
            let bytes = sweep.iter().map(|s| s.bytes).sum();
            let inner = steps.iter().map(|s| s.scratch);
            // acceleration and Newton's method are not at work at the same time
            let tables = all(&mut i.pairs.iter().map(|m| m.statistic));
            let kept = (HISTORY * tables).max(newton(i, buffers));
            (operations, bytes, inner.fold(0.0, f64::max) + kept)
        }
        Instruction::Learn(l) => {
            let tables = l.steps.iter().filter_map(|s| match &s.instruction {
                Instruction::Contract { belief, .. } => Some(cells(belief)),
                _ => None,
            });
            let tables: f64 = tables.sum();
            let n = l.coefficients.len() as f64;
            let information = if n <= DENSE { n * n } else { 8.0 * n };
            let per_cell = 2.0 * information;
            let operations: f64 = l.steps.iter().map(|s| s.operations).sum();
            let moved: f64 = l.steps.iter().map(|s| s.bytes).sum();
            let inner = l.steps.iter().map(|s| s.scratch).fold(0.0, f64::max);
            let scratch =
                inner + 3.0 * information + n.min(DENSE) * (2.0 * SLAB).min(2.0 * tables) + 4.0 * tables;
            (operations + per_cell * tables, moved, scratch)
        }
        Instruction::LearnConditionally { coefficients } => {
            let (n, stored) = (coefficients.len() as f64, profile.map_or(0.0, |p| p.stored as f64));
            // at most every coefficient in every conditional distribution
            (stored * n * n, stored * 8.0, 9.0 * n * n + stored)
        }
        Instruction::Unite(unite) => (unite.operations, unite.bytes, 0.0),
        Instruction::Gap { pairs } => {
            let beliefs = all(&mut pairs.iter().map(|m| m.belief));
            let largest = pairs.iter().map(|m| cells(&m.statistic)).fold(0.0, f64::max);
            (beliefs, 8.0 * beliefs, largest)
        }
        Instruction::Adopt { belief, .. } => (0.0, 16.0 * cells(belief), 0.0),
        Instruction::Divergence { pairs, fixed } => {
            let tables = all(&mut pairs.iter().map(|m| m.statistic));
            let energies = all(&mut fixed.iter().map(|(_, b)| *b));
            (2.0 * (tables + energies), 16.0 * (tables + energies), 0.0)
        }
        Instruction::Certify { pairs, factored, cliques } => {
            // one product; how many it takes is not known before the run
            let tables = all(&mut pairs.iter().map(|m| m.statistic));
            let resident = all(&mut cliques.iter().copied());
            let product = if pairs.is_empty() { Unit::default() } else { fisher(pairs, resident, buffers) };
            // directions of all factors, messages and views, and two slices for each one there was
            let loose = |b: &&Buffer| {
                use super::schedule::Role::{Factor, Incoming, View, Weight};
                !factored.is_empty() && matches!(b.role, Factor | Incoming | View | Weight)
            };
            let directions: f64 = buffers.iter().filter(loose).map(|b| b.cells).sum();
            let own = all(&mut factored.iter().map(|m| m.statistic));
            let scratch = CONJUGATE * (tables + own) + 2.0 * resident + 2.0 * directions;
            (product.operations, product.bytes, scratch)
        }
    };
    let frees = Vec::new();
    Step { instruction, pass: "", operations, bytes: moved, live: 0.0, scratch, frees }
}

/// Groups of blocks with private tables; fixed, so that sums do not depend on the threads.
pub const GROUPS: f64 = 8.0;

/// Cells of a block of the data pass.
pub const BLOCK: f64 = 32768.0;

/// Cells that Newton's method works on beside the tables of a loop: its vectors, and for each product
/// an energy per clique with room for the largest, or a direction per factor, message and view.
pub fn newton(iteration: &Iteration, buffers: &[Buffer]) -> f64 {
    let cells = |id: &BufferId| buffers.get(id.0).map_or(0.0, |b| b.cells);
    let vectors = NEWTON * iteration.pairs.iter().map(|m| cells(&m.statistic)).sum::<f64>();
    let steps = match &iteration.factored {
        Some(f) => &f.check,
        None => &iteration.check,
    };
    let mut touched: Vec<BufferId> = steps.iter().flat_map(|s| s.instruction.writes()).collect();
    touched.extend(iteration.factored.iter().flat_map(Factored::own));
    touched.sort_unstable();
    touched.dedup();
    let largest = touched.iter().map(cells).fold(0.0, f64::max);
    vectors + touched.iter().map(cells).sum::<f64>() + largest
}
