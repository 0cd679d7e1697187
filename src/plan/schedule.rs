//! The schedule: a small typed program over tables, run exactly as it stands.

use num_bigint::BigUint;

use crate::model::Scope;
use crate::numeric::share;

use super::cost::Unit;
use super::draft::Draft;
use super::method::Solver;
use super::options::Profile;
use super::partition;

/// A table of the schedule, by position in [`Schedule::buffers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub usize);

/// What a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `P`: a marginal of the data, of total one.
    Statistic,
    /// `λ`: the logarithm of a factor of the model, −∞ outside the support.
    Potential,
    /// `B`: a marginal of the model over a clique.
    Belief,
    /// `S`: a marginal of the model over what two cliques share.
    Separator,
    /// `F`: a factor of the model, of largest value one.
    Factor,
    /// `M`: what a clique hears from a neighbour, of largest value one.
    Incoming,
    /// `V`: a marginal of the model over some modes of a clique.
    View,
    /// `W`: exp(−E/T) of a fixed potential, of largest value one.
    Weight,
}

impl Role {
    /// The letter that stands for it in a plan.
    pub fn letter(self) -> char {
        match self {
            Role::Statistic => 'P',
            Role::Potential => 'λ',
            Role::Belief => 'B',
            Role::Separator => 'S',
            Role::Factor => 'F',
            Role::Incoming => 'M',
            Role::View => 'V',
            Role::Weight => 'W',
        }
    }
}

/// A table of doubles over a scope.
#[derive(Debug, Clone, PartialEq)]
pub struct Buffer {
    /// What it holds.
    pub role: Role,
    /// Its modes.
    pub scope: Scope,
    /// Number of levels along each mode.
    pub shape: Vec<usize>,
    /// Number of cells, as a double so that absurd sizes do not overflow.
    pub cells: f64,
}

impl Buffer {
    /// Bytes it takes.
    pub fn bytes(&self) -> f64 {
        8.0 * self.cells
    }
}

/// A clique of the whole model's forest. Parents come before children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its belief.
    pub belief: BufferId,
    /// The clique it hangs from, and the table between the two.
    pub parent: Option<(usize, BufferId)>,
    /// The atom it belongs to.
    pub atom: usize,
    /// The component it belongs to.
    pub component: usize,
}

/// A generator of an atom and where it is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// The marginal of the data.
    pub statistic: BufferId,
    /// The table that is fitted.
    pub potential: BufferId,
    /// The clique's belief.
    pub belief: BufferId,
}

/// How a product of factors is summed: rows × over times over × columns. The rows come before the
/// columns in the order of modes, so that the result is a table over both as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Kept modes that go with the left factors.
    pub rows: Scope,
    /// Kept modes that go with the right factors.
    pub columns: Scope,
    /// Modes that are summed out.
    pub over: Scope,
    /// Whether it is summed cell by cell, because some factor that is summed over ties rows to columns
    /// however the kept modes are parted. All kept modes are rows then.
    pub streamed: bool,
}

/// Where a factor enters a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Over rows and what is summed out.
    Left,
    /// Over columns and what is summed out.
    Right,
    /// Over rows and columns: multiplied in after the sum.
    Inside,
}

impl Shape {
    /// The smallest matrix product that sums the factors over a clique to `onto`, or else a sum cell by cell;
    /// none when nothing is kept.
    pub fn of(clique: &Scope, onto: &Scope, factors: &[Scope]) -> Option<Self> {
        let over: Scope = clique.iter().filter(|m| !onto.contains(*m)).collect();
        let kept: Vec<usize> = onto.iter().collect();
        // one row would be no matrix product, unless there is one mode only
        let most = if kept.len() > 1 { kept.len() - 1 } else { kept.len() };
        let product = (1..=most).find_map(|n| {
            let (rows, columns) = kept.split_at(kept.len() - n);
            let shape = Self {
                rows: rows.iter().copied().collect(),
                columns: columns.iter().copied().collect(),
                over: over.clone(),
                streamed: false,
            };
            factors.iter().all(|f| shape.side(f).is_some()).then_some(shape)
        });
        let cells = || Self { rows: onto.clone(), columns: Scope::empty(), over, streamed: true };
        product.or_else(|| (!kept.is_empty()).then(cells))
    }

    /// A sum cell by cell, of those that a mask or a condition lets through.
    pub fn filtered(clique: &Scope, onto: &Scope) -> Option<Self> {
        let over = clique.iter().filter(|m| !onto.contains(*m)).collect();
        let shape = Self { rows: onto.clone(), columns: Scope::empty(), over, streamed: true };
        (!onto.is_empty()).then_some(shape)
    }

    /// Where a factor enters; none when it ties rows to columns under the sum.
    pub fn side(&self, factor: &Scope) -> Option<Side> {
        if factor.intersection(&self.over).is_empty() {
            Some(Side::Inside)
        } else if self.streamed {
            Some(Side::Left)
        } else if factor.intersection(&self.rows).is_empty() {
            Some(Side::Right)
        } else if factor.intersection(&self.columns).is_empty() {
            Some(Side::Left)
        } else {
            None
        }
    }
}

/// A sum of a product of factors.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// The table it is written to.
    pub onto: BufferId,
    /// The factors.
    pub factors: Vec<BufferId>,
    /// How it is summed.
    pub shape: Shape,
    /// Which cells count, when not all do.
    pub filter: Option<Filter>,
}

/// A mask or a condition over every mode of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Its position in the model's interactions.
    pub interaction: usize,
    /// The modes.
    pub scope: Scope,
    /// Their numbers of levels.
    pub sizes: Vec<usize>,
}

impl Product {
    /// Cells over modes of this product.
    pub fn cells(&self, scope: &Scope, buffers: &[Buffer]) -> f64 {
        let size = |m: usize| {
            if let Some(filter) = &self.filter {
                let at = filter.scope.position(m).and_then(|p| filter.sizes.get(p));
                return at.copied().unwrap_or(1) as f64;
            }
            let ids = self.factors.iter().chain([&self.onto]);
            let of = ids.filter_map(|id| buffers.get(id.0));
            let sizes = of.filter_map(|b| b.scope.position(m).and_then(|p| b.shape.get(p)));
            sizes.copied().next().unwrap_or(1) as f64
        };
        scope.iter().map(size).product()
    }
}

/// One instruction. Logarithms are natural; `0/0 = 0` throughout.
#[derive(Debug, Clone, PartialEq)]
pub enum Instruction {
    /// Bind the tensor to the modes.
    Load,
    /// Sum the data to marginals of total one, in one pass; also Σ p ln p.
    Reduce {
        /// The marginals.
        tables: Vec<BufferId>,
    },
    /// Sum a marginal to a smaller one.
    Derive {
        /// The larger table.
        from: BufferId,
        /// The smaller one.
        to: BufferId,
    },
    /// `λ ← ln P_C − ln P_S`: the closed form.
    Divide {
        /// `P_C`.
        statistic: BufferId,
        /// `P_S` towards the parent, if any.
        separator: Option<BufferId>,
        /// `λ`.
        potential: BufferId,
    },
    /// `λ ← 0` where the marginal is positive, −∞ elsewhere.
    Open {
        /// The marginal.
        statistic: BufferId,
        /// `λ`.
        potential: BufferId,
    },
    /// `λ ← λ − ln P_S`: an iterated atom joins its parent.
    Join {
        /// `λ` of a generator that holds the separator.
        potential: BufferId,
        /// `P_S`.
        separator: BufferId,
    },
    /// `B ← Σ λ − Σ E/T`, in logarithms.
    Contract {
        /// `B`.
        belief: BufferId,
        /// The potentials of the clique.
        potentials: Vec<BufferId>,
        /// Fixed energies, by position in the model's interactions.
        fixed: Vec<usize>,
    },
    /// Turn a clique's logarithms into a conditional distribution given the separator and add the
    /// logarithm of what was divided out to the parent.
    Collect {
        /// The child's belief.
        child: BufferId,
        /// The parent's belief.
        parent: BufferId,
        /// The table between the two.
        separator: BufferId,
    },
    /// Turn a root's logarithms into a distribution; the mass divided out is the component's.
    Normalise {
        /// The root's belief.
        belief: BufferId,
        /// The component whose mass this is.
        component: usize,
    },
    /// Multiply a conditional distribution by its parent's marginal.
    Distribute {
        /// The parent's belief.
        parent: BufferId,
        /// The child's belief.
        child: BufferId,
        /// The table between the two.
        separator: BufferId,
    },
    /// Iterative proportional fitting of one generator: `B ← B · P/Q`, `λ ← λ + ln(P/Q)`.
    Scale(Match),
    /// `V ← Σ Π F M`: a marginal of the model, up to its mass, without the table of its clique.
    Product(Product),
    /// Proportional fitting of one generator on a view: `V ← V · P/Q`, `F ← F · P/Q`.
    Rescale(Match, BufferId),
    /// Pass a clique's marginal to a neighbour: `B' ← B' · S_new/S_old`.
    Message {
        /// The clique that speaks.
        from: BufferId,
        /// The clique that listens.
        to: BufferId,
        /// The table between the two.
        separator: BufferId,
    },
    /// Repeat until the gap is within the tolerance.
    Loop(Box<Iteration>),
    /// Put the atoms of a component together where those that iterate stay products of factors.
    Unite(Box<Unite>),
    /// Find the coefficients that match the moments of the data.
    Learn(Box<Learning>),
    /// Find the coefficients under which each mode of each record is best explained by the others.
    LearnConditionally {
        /// The names of the coefficients.
        coefficients: Vec<String>,
    },
    /// Measure the marginal gap of generators.
    Gap {
        /// The generators.
        pairs: Vec<Match>,
    },
    /// A closed form is exact: the data's own marginal becomes the belief.
    Adopt {
        /// `P_C`.
        statistic: BufferId,
        /// `B_C`.
        belief: BufferId,
    },
    /// The divergence from the data to the model, in nats.
    Divergence {
        /// Every potential with its statistic.
        pairs: Vec<Match>,
        /// Fixed energies with the marginal of the data on their scope.
        fixed: Vec<(usize, BufferId)>,
    },
    /// Bound the distance to the optimum.
    Certify {
        /// The generators that were iterated.
        pairs: Vec<Match>,
        /// Generators of atoms that were contracted from factors.
        factored: Vec<Match>,
        /// The beliefs of the components that the others are part of.
        cliques: Vec<BufferId>,
    },
    /// Newton steps over a list of cells: for tables that are smooth, shared or lean on pseudo-data.
    Newton(Box<ByRows>),
    /// A matrix of rank one with unknown cells, from its margins and its mask.
    RankOne(Box<RankOne>),
    /// Several tensors with shared tables.
    Together(Box<Together>),
    /// Hand back the calibrated tree.
    Emit,
}

/// A matrix of rank one with unknown cells.
#[derive(Debug, Clone, PartialEq)]
pub struct RankOne {
    /// Rows and columns.
    pub sides: (f64, f64),
    /// Whether it is the published approximation, which leaves out every row and column with an unknown cell.
    pub published: bool,
    /// What is run where observed zeros put the optimum on the boundary.
    pub otherwise: Schedule,
}

/// A fit to several tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Together {
    /// The tensors.
    pub parts: Vec<Share>,
    /// Parameters of all tables, tied ones once, and the level of each tensor.
    pub parameters: f64,
    /// Whether the optimum is a formula.
    pub closed: bool,
    /// How the marginals of each tensor are contracted; none where cells are listed, or nothing iterates.
    pub contracted: Vec<Schedule>,
    /// The dimension of the model on all cells, the level of each tensor included, where it can be counted.
    pub dimension: Option<BigUint>,
    /// What is smooth, and along which mode.
    pub smooth: Vec<(Scope, usize)>,
    /// The model that pseudo-data come from, fitted to each tensor by itself.
    pub prior: Option<String>,
}

/// A tensor of a joint fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Its name.
    pub name: String,
    /// What multiplies its divergence.
    pub weight: f64,
    /// Its modes.
    pub modes: Scope,
    /// Its cells.
    pub cells: f64,
    /// The tables that it sees.
    pub tables: Vec<Scope>,
}

/// A fit over a list of cells.
#[derive(Debug, Clone, PartialEq)]
pub struct ByRows {
    /// Cells that may take part.
    pub cells: f64,
    /// The tables.
    pub tables: Vec<Scope>,
    /// Their parameters, tied ones once.
    pub parameters: f64,
    /// What is smooth, and along which mode.
    pub smooth: Vec<(Scope, usize)>,
    /// The model that pseudo-data come from.
    pub prior: Option<String>,
}

/// The search for coefficients.
#[derive(Debug, Clone, PartialEq)]
pub struct Learning {
    /// The names of the coefficients.
    pub coefficients: Vec<String>,
    /// Their terms: the position in the model's interactions, and the marginal of the data there.
    pub terms: Vec<(usize, BufferId)>,
    /// From coefficients to the calibrated tree of the model.
    pub steps: Vec<Step>,
}

/// The loop of an iterated atom.
#[derive(Debug, Clone, PartialEq)]
pub struct Iteration {
    /// Which atom.
    pub atom: usize,
    /// One sweep.
    pub sweep: Vec<Step>,
    /// Messages towards the root, after which the root's mass is that of the atom.
    pub inward: Vec<Step>,
    /// Beliefs afresh from the potentials, and their gap.
    pub check: Vec<Step>,
    /// The root's belief.
    pub root: BufferId,
    /// What is fitted.
    pub pairs: Vec<Match>,
    /// The same in factors. The tables of the cliques are then used only if factors spread too far
    /// for their products to be represented.
    pub factored: Option<Factored>,
}

/// The loop of an atom whose cliques are products of factors.
#[derive(Debug, Clone, PartialEq)]
pub struct Factored {
    /// The factor of each generator, in the order of [`Iteration::pairs`].
    pub factors: Vec<BufferId>,
    /// Fixed potentials, by position in the model's interactions, and the factors made of them.
    pub weights: Vec<(usize, BufferId)>,
    /// Messages towards the root.
    pub inward: Vec<Step>,
    /// One sweep, which starts with a view of the root.
    pub sweep: Vec<Step>,
    /// Every message and every marginal afresh.
    pub check: Vec<Step>,
    /// The marginal of the model on each generator, as the check leaves it.
    pub marginals: Vec<BufferId>,
    /// Whether its component is never put into tables.
    pub loose: bool,
    /// What each clique hears: clique by place, and the messages.
    pub heard: Vec<(usize, Vec<BufferId>)>,
    /// The messages both ways between a clique and its parent, and the table between the two.
    pub between: Vec<(BufferId, BufferId, BufferId)>,
}

impl Factored {
    /// Whether some sum goes over the cells alone that a mask or a condition lets through, of which the price is
    /// the most that it may be.
    pub fn filtered(&self) -> bool {
        let through = |s: &Step| matches!(&s.instruction, Instruction::Product(p) if p.filter.is_some());
        self.sweep.iter().chain(&self.check).any(through)
    }

    /// The factors, those of fixed potentials last.
    pub fn own(&self) -> impl Iterator<Item = BufferId> {
        self.factors.iter().copied().chain(self.weights.iter().map(|(_, id)| *id))
    }
}

/// How the atoms of a component are put together without a table of any iterated clique: each atom takes
/// the marginal of its parent on what they share, `Q_A ← Q_A · S/Q_A(S)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Unite {
    /// The atoms, parents before children.
    pub joints: Vec<Joint>,
    /// The same with tables, for when factors have spread too far for products of them.
    pub tables: Vec<Step>,
    /// Predicted operations.
    pub operations: f64,
    /// Predicted bytes moved.
    pub bytes: f64,
}

/// One atom of a component.
#[derive(Debug, Clone, PartialEq)]
pub struct Joint {
    /// The atom.
    pub atom: usize,
    /// What it shares with its parent, and the table of the parent that is summed to it.
    pub shared: Option<(BufferId, BufferId)>,
    /// The generator that holds what is shared.
    pub holder: Match,
    /// The factor and the marginal of that generator, where the atom iterates.
    pub factor: Option<(BufferId, BufferId)>,
}

impl Iteration {
    /// Every step that is planned to run.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        let [a, b, c] = match &self.factored {
            Some(f) => [&f.inward, &f.sweep, &f.check],
            None => [&self.sweep, &self.inward, &self.check],
        };
        a.iter().chain(b).chain(c)
    }
}

/// An instruction with its price.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is done.
    pub instruction: Instruction,
    /// The pass that asked for it.
    pub pass: &'static str,
    /// Predicted arithmetic operations; per sweep for a loop.
    pub operations: f64,
    /// Predicted bytes read and written; per sweep for a loop.
    pub bytes: f64,
    /// Predicted bytes of live tables and scratch while it runs.
    pub live: f64,
    /// Scratch it needs, in cells.
    pub scratch: f64,
    /// Tables nobody reads afterwards.
    pub frees: Vec<BufferId>,
}

impl Instruction {
    /// The word that stands for it in a plan.
    pub fn word(&self) -> &'static str {
        match self {
            Instruction::Load => "load",
            Instruction::Reduce { .. } => "reduce",
            Instruction::Derive { .. } => "derive",
            Instruction::Divide { .. } => "divide",
            Instruction::Open { .. } => "open",
            Instruction::Join { .. } => "join",
            Instruction::Contract { .. } => "contract",
            Instruction::Collect { .. } => "collect",
            Instruction::Normalise { .. } => "normalise",
            Instruction::Distribute { .. } => "distribute",
            Instruction::Scale(_) => "scale",
            Instruction::Message { .. } => "message",
            Instruction::Product(_) => "product",
            Instruction::Rescale(..) => "rescale",
            Instruction::Loop(_) => "loop",
            Instruction::Unite(_) => "unite",
            Instruction::Learn(_) => "learn",
            Instruction::LearnConditionally { .. } => "learn_conditionally",
            Instruction::Gap { .. } => "gap",
            Instruction::Adopt { .. } => "adopt",
            Instruction::Divergence { .. } => "divergence",
            Instruction::Certify { .. } => "certify",
            Instruction::Newton(_) => "newton",
            Instruction::RankOne(_) => "rank_one",
            Instruction::Together(_) => "together",
            Instruction::Emit => "emit",
        }
    }

    /// The tables it reads.
    pub fn reads(&self) -> Vec<BufferId> {
        let of = |pairs: &[Match]| -> Vec<BufferId> {
            pairs.iter().flat_map(|m| [m.statistic, m.potential, m.belief]).collect()
        };
        match self {
            Instruction::Load
            | Instruction::Reduce { .. }
            | Instruction::LearnConditionally { .. }
            | Instruction::Newton(_)
            | Instruction::RankOne(_)
            | Instruction::Together(_)
            | Instruction::Emit => Vec::new(),
            Instruction::Derive { from, .. } => vec![*from],
            Instruction::Divide { statistic, separator, .. } => {
                separator.iter().copied().chain([*statistic]).collect()
            }
            Instruction::Open { statistic, .. } => vec![*statistic],
            Instruction::Join { potential, separator } => vec![*potential, *separator],
            Instruction::Contract { potentials, .. } => potentials.clone(),
            Instruction::Collect { child, parent, .. } => vec![*child, *parent],
            Instruction::Normalise { belief, .. } => vec![*belief],
            Instruction::Distribute { parent, child, .. } => vec![*parent, *child],
            Instruction::Scale(m) => of(&[*m]),
            Instruction::Message { from, to, separator } => vec![*from, *to, *separator],
            Instruction::Loop(iteration) => {
                let steps = iteration.steps().flat_map(|s| s.instruction.reads());
                let pairs = iteration.pairs.iter().flat_map(|m| [m.statistic, m.potential]);
                steps.chain(pairs).collect()
            }
            Instruction::Unite(unite) => {
                let of = |j: &Joint| [j.holder.statistic, j.holder.potential, j.holder.belief];
                let shared = unite.joints.iter().filter_map(|j| j.shared.map(|(_, from)| from));
                // what the tables would be joined by has to be there still
                let joins = unite.tables.iter().filter_map(|s| match &s.instruction {
                    Instruction::Join { separator, .. } => Some(*separator),
                    _ => None,
                });
                unite.joints.iter().flat_map(of).chain(shared).chain(joins).collect()
            }
            Instruction::Learn(learning) => {
                let inside = learning.steps.iter().flat_map(|s| s.instruction.reads());
                inside.chain(learning.terms.iter().map(|(_, id)| *id)).collect()
            }
            Instruction::Gap { pairs } => pairs.iter().flat_map(|m| [m.statistic, m.belief]).collect(),
            Instruction::Product(p) => p.factors.clone(),
            Instruction::Rescale(m, factor) => vec![m.statistic, m.belief, *factor],
            Instruction::Certify { pairs, .. } => of(pairs),
            Instruction::Adopt { statistic, .. } => vec![*statistic],
            Instruction::Divergence { pairs, fixed } => {
                let tables = pairs.iter().flat_map(|m| [m.statistic, m.potential]);
                tables.chain(fixed.iter().map(|(_, b)| *b)).collect()
            }
        }
    }

    /// The tables it writes.
    pub fn writes(&self) -> Vec<BufferId> {
        match self {
            Instruction::Reduce { tables } => tables.clone(),
            Instruction::Derive { to, .. } => vec![*to],
            Instruction::Divide { potential, .. }
            | Instruction::Open { potential, .. }
            | Instruction::Join { potential, .. } => vec![*potential],
            Instruction::Contract { belief, .. }
            | Instruction::Normalise { belief, .. }
            | Instruction::Adopt { belief, .. } => vec![*belief],
            Instruction::Collect { child, parent, separator }
            | Instruction::Distribute { child, parent, separator } => vec![*child, *parent, *separator],
            Instruction::Scale(m) => vec![m.potential, m.belief],
            Instruction::Message { to, separator, .. } => vec![*to, *separator],
            Instruction::Product(p) => vec![p.onto],
            Instruction::Rescale(m, factor) => vec![m.belief, *factor],
            Instruction::Loop(iteration) => {
                let own = iteration.factored.iter().flat_map(Factored::own);
                iteration.steps().flat_map(|s| s.instruction.writes()).chain(own).collect()
            }
            Instruction::Unite(unite) => {
                let closed = unite.joints.iter().filter(|j| j.factor.is_none()).map(|j| j.holder.belief);
                closed.chain(unite.joints.iter().filter_map(|j| j.shared.map(|(s, _)| s))).collect()
            }
            Instruction::Learn(learning) => {
                learning.steps.iter().flat_map(|s| s.instruction.writes()).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A program for one model and one shape of data.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The model's name.
    pub model: String,
    /// The structure the passes found.
    pub draft: Draft,
    /// The shape of the data; none when there is nothing to fit.
    pub profile: Option<Profile>,
    /// What the loops do.
    pub solver: Solver,
    /// The tables.
    pub buffers: Vec<Buffer>,
    /// The cliques of the whole model.
    pub places: Vec<Place>,
    /// The generators of all atoms.
    pub matches: Vec<Match>,
    /// The program.
    pub steps: Vec<Step>,
    /// Atoms that iterate side by side, in groups: each atom is the steps that open it and its loop.
    pub groups: Vec<Vec<std::ops::Range<usize>>>,
    /// Predicted peak memory in bytes: data in memory, live tables and scratch.
    pub peak: f64,
}

impl Schedule {
    /// A table as a plan writes it, such as `P[a b]`.
    pub fn table(&self, id: BufferId) -> String {
        self.buffers
            .get(id.0)
            .map_or_else(String::new, |b| format!("{}{}", b.role.letter(), self.draft.bracket(&b.scope)))
    }

    /// Whether something in it is predicted to be large enough for several threads to share: reading the data,
    /// a walk over a table, a product.
    pub fn shares(&self) -> bool {
        let read = |p: &Profile| p.stored >= if p.sparse { share::LIST } else { share::PASS };
        self.profile.as_ref().is_none_or(read)
            || self.steps.iter().any(|s| partition::large(s, &self.buffers))
    }

    /// Whether some atom takes sweeps.
    pub fn iterates(&self) -> bool {
        let rows = self
            .steps
            .iter()
            .any(|s| matches!(s.instruction, Instruction::Newton(_) | Instruction::RankOne(_)));
        let rows = rows || self.together().is_some_and(|t| !t.closed);
        let learned = !self.draft.learned.is_empty();
        rows || learned || self.draft.atoms.iter().any(super::draft::Atom::iterates)
    }

    /// The work of a matrix of rank one with unknown cells, when it is one.
    pub fn rank_one(&self) -> Option<&RankOne> {
        self.steps.iter().find_map(|s| match &s.instruction {
            Instruction::RankOne(work) => Some(&**work),
            _ => None,
        })
    }

    /// The work of a joint fit, when it is one.
    pub fn together(&self) -> Option<&Together> {
        self.steps.iter().find_map(|s| match &s.instruction {
            Instruction::Together(work) => Some(&**work),
            _ => None,
        })
    }

    /// Predicted operations of one sweep over every iterated atom.
    pub fn sweep_operations(&self) -> f64 {
        self.loops().map(|s| s.operations).sum()
    }

    /// Bytes of the largest clique that is kept as a product of factors, which a result over a whole
    /// clique writes down when it is asked for; 0 if there is none. Not part of the peak.
    pub fn lazy_bytes(&self) -> f64 {
        let loose = self.draft.atoms.iter().filter(|a| a.factored()).flat_map(|a| &a.cliques);
        8.0 * loose.map(|c| self.draft.cells(&c.node.scope)).fold(0.0, f64::max)
    }

    /// Predicted bytes moved by one sweep over every iterated atom.
    pub fn sweep_bytes(&self) -> f64 {
        self.loops().map(|s| s.bytes).sum()
    }

    /// Predicted operations of everything that is done once.
    pub fn fixed_operations(&self) -> f64 {
        self.steps.iter().map(|s| s.operations).sum::<f64>() - self.sweep_operations()
    }

    /// What so many sweeps are predicted to cost, with everything that is done once.
    pub fn work(&self, sweeps: f64) -> Unit {
        let all = Unit::of(&self.steps);
        all.plus((sweeps - 1.0) * self.sweep_operations(), (sweeps - 1.0) * self.sweep_bytes())
    }

    fn loops(&self) -> impl Iterator<Item = &Step> {
        let repeated = |i: &Instruction| {
            matches!(
                i,
                Instruction::Loop(_)
                    | Instruction::Learn(_)
                    | Instruction::Newton(_)
                    | Instruction::RankOne(_)
            )
        };
        let joint = |i: &Instruction| matches!(i, Instruction::Together(t) if !t.closed);
        self.steps.iter().filter(move |s| repeated(&s.instruction) || joint(&s.instruction))
    }
}
