//! Whether any tensor has the margins asked for, and which cells it can use.

use petgraph::Direction;
use petgraph::algo::{maximum_flow::dinics, tarjan_scc};
use petgraph::graph::{DiGraph, EdgeReference, NodeIndex};
use petgraph::visit::EdgeRef;

use super::{Margin, Problem};
use crate::model::Scope;
use crate::model::table::cell_at;
use crate::numeric::sum::Compensated;
use crate::plan::hypergraph::is_acyclic;
use crate::run::kernel::{combine, marginalise, put};
use crate::run::projection::Projection;

/// Totals and shared marginals that differ by less, relatively, are the same.
pub(super) const SAME: f64 = 1e-9;

/// Units a mass of one is cut into where margins are not whole numbers.
const UNITS: f64 = (1u64 << 52) as f64;

/// Mass, of one, that rounding to units may leave over.
const ROUNDING: f64 = 1e-12;

/// Why nothing has the margins asked for. Margins are named by their place in the problem.
#[derive(Debug, Clone, PartialEq)]
pub enum Infeasible {
    /// A margin without mass.
    Empty {
        /// The margin.
        margin: usize,
    },
    /// Two margins have different totals.
    Totals {
        /// The margins.
        margins: [usize; 2],
        /// Their totals.
        totals: [f64; 2],
    },
    /// Two margins disagree about the modes they share.
    Overlap {
        /// The margins.
        margins: [usize; 2],
        /// The modes they share.
        scope: Scope,
        /// Where they disagree, one level per shared mode.
        cell: Vec<usize>,
        /// What each says there.
        values: [f64; 2],
    },
    /// Some cells of a margin ask for more than the cells of the other that they can reach hold.
    Room {
        /// The margin that asks.
        margin: usize,
        /// Its cells, by level.
        cells: Vec<Vec<usize>>,
        /// What they ask for.
        asked: f64,
        /// The other margin.
        other: usize,
        /// The cells of the other that share a cell of the kernel with them.
        reached: Vec<Vec<usize>>,
        /// What those hold.
        held: f64,
    },
    /// Every cell of the kernel that a cell of a margin could use is zero, or in a cell without mass of
    /// another margin.
    Blocked {
        /// The margin that asks.
        margin: usize,
        /// Its cell, by level.
        cell: Vec<usize>,
        /// What it asks for.
        asked: f64,
        /// The margins whose zeros are in the way.
        by: Vec<usize>,
    },
    /// Weights on the cells of the margins that no tensor on the support of the kernel can meet: the
    /// mean of their sum is more than its largest value.
    Weights {
        /// Margins, and of each the cells that the proof weighs most, by level.
        cells: Vec<(usize, Vec<Vec<usize>>)>,
        /// The mean weight asked for.
        asked: f64,
        /// The largest weight of a cell that can be positive.
        most: f64,
        /// Whether some cells cannot be, for zeros of the kernel or of margins.
        zeros: bool,
    },
}

/// The cells that a tensor with these margins can use, as ln K with −∞ elsewhere.
pub(super) struct Support {
    /// ln K, −∞ where the kernel or a margin is zero, or where a flow shows that nothing can be.
    pub log_kernel: Vec<f64>,
    /// Margins as probabilities.
    pub targets: Vec<Vec<f64>>,
    /// Cells cut where the kernel is positive.
    pub cut: usize,
    /// Whether the cut is known to be complete: then a scaling exists.
    pub complete: bool,
}

impl Problem {
    pub(super) fn sizes(&self, scope: &Scope) -> Vec<usize> {
        scope.iter().filter_map(|m| self.shape.get(m)).copied().collect()
    }

    pub(super) fn projection(&self, onto: &Scope) -> Projection {
        Projection::between(&Scope::all(self.shape.len()), &self.shape, onto)
    }
}

/// Finds the support, or why there is none.
pub(super) fn support(problem: &Problem) -> Result<Support, Infeasible> {
    let totals = totals(problem)?;
    overlaps(problem)?;
    let targets: Vec<Vec<f64>> = problem
        .margins
        .iter()
        .zip(&totals)
        .map(|(m, total)| m.target.iter().map(|t| t / total).collect())
        .collect();
    let mut log_kernel = problem.log_kernel.clone();
    for (margin, target) in problem.margins.iter().zip(&targets) {
        let projection = problem.projection(&margin.scope);
        combine(&projection, &mut log_kernel, target, |k, t| if t > 0.0 { k } else { f64::NEG_INFINITY });
    }
    let zeros = |k: &[f64]| k.iter().filter(|k| **k == f64::NEG_INFINITY).count();
    let before = zeros(&problem.log_kernel);
    let dense = zeros(&log_kernel) == 0;
    let scopes: Vec<Scope> = problem.margins.iter().map(|m| m.scope.clone()).collect();
    let complete = match problem.margins.as_slice() {
        // the product of the margins over what they share is positive and has them; margins on a cycle
        // may agree two by two and still have nothing in common
        _ if dense && is_acyclic(&scopes) => true,
        [_] => true,
        [_, _] => {
            flows(problem, &targets, &totals, &mut log_kernel)?;
            true
        }
        _ => false,
    };
    reachable(problem, &targets, &totals, &log_kernel)?;
    let cut = zeros(&log_kernel) - before;
    Ok(Support { log_kernel, targets, cut, complete })
}

/// The total of each margin; an error when they differ.
fn totals(problem: &Problem) -> Result<Vec<f64>, Infeasible> {
    let total = |m: &Margin| m.target.iter().copied().collect::<Compensated>().value();
    let totals: Vec<f64> = problem.margins.iter().map(total).collect();
    for (margin, total) in totals.iter().enumerate() {
        if *total <= 0.0 {
            return Err(Infeasible::Empty { margin });
        }
        if let Some(first) = totals.first().filter(|f| (*f - total).abs() > SAME * total.max(**f)) {
            return Err(Infeasible::Totals { margins: [0, margin], totals: [*first, *total] });
        }
    }
    Ok(totals)
}

/// Margins agree about the modes they share.
fn overlaps(problem: &Problem) -> Result<(), Infeasible> {
    for (b, second) in problem.margins.iter().enumerate() {
        for (a, first) in problem.margins.iter().enumerate().take(b) {
            let scope = first.scope.intersection(&second.scope);
            if scope.is_empty() {
                continue;
            }
            let shape = problem.sizes(&scope);
            let shared = |m: &Margin| {
                let projection = Projection::between(&m.scope, &problem.sizes(&m.scope), &scope);
                let mut onto = vec![0.0; shape.iter().product()];
                marginalise(&projection, &m.target, &mut onto);
                onto
            };
            let (x, y) = (shared(first), shared(second));
            let scale = x.iter().copied().fold(0.0, f64::max);
            if let Some((at, (x, y))) =
                x.into_iter().zip(y).enumerate().find(|(_, (x, y))| (x - y).abs() > SAME * scale)
            {
                let cell = cell_at(&shape, at);
                return Err(Infeasible::Overlap { margins: [a, b], scope, cell, values: [x, y] });
            }
        }
    }
    Ok(())
}

/// Every cell of a margin that asks for mass has a cell of the kernel left.
fn reachable(
    problem: &Problem,
    targets: &[Vec<f64>],
    totals: &[f64],
    log_kernel: &[f64],
) -> Result<(), Infeasible> {
    let here: Vec<f64> = log_kernel.iter().map(|k| if *k == f64::NEG_INFINITY { 0.0 } else { 1.0 }).collect();
    for (index, (margin, target)) in problem.margins.iter().zip(targets).enumerate() {
        let mut count = vec![0.0; target.len()];
        marginalise(&problem.projection(&margin.scope), &here, &mut count);
        if let Some(at) = target.iter().zip(&count).position(|(t, n)| *t > 0.0 && *n == 0.0) {
            let asked = target.get(at).copied().unwrap_or(0.0) * totals.get(index).copied().unwrap_or(1.0);
            let by = blocking(problem, index, at);
            if !by.is_empty() {
                let cell = cell_at(&problem.sizes(&margin.scope), at);
                return Err(Infeasible::Blocked { margin: index, cell, asked, by });
            }
            return Err(Infeasible::Room {
                margin: index,
                cells: vec![cell_at(&problem.sizes(&margin.scope), at)],
                asked,
                other: usize::from(index == 0).min(problem.margins.len() - 1),
                reached: Vec::new(),
                held: 0.0,
            });
        }
    }
    Ok(())
}

/// The margins whose zeros lie over positive cells of the kernel that a cell of this margin could use.
fn blocking(problem: &Problem, margin: usize, cell: usize) -> Vec<usize> {
    let Some(own) = problem.margins.get(margin) else { return Vec::new() };
    // the cells of the kernel that this cell of the margin could use
    let mut here = vec![0.0; problem.log_kernel.len()];
    let mut chosen = vec![0.0; own.target.len()];
    if let Some(chosen) = chosen.get_mut(cell) {
        *chosen = 1.0;
    }
    combine(&problem.projection(&own.scope), &mut here, &chosen, put);
    here.iter_mut()
        .zip(&problem.log_kernel)
        .filter(|(_, k)| **k == f64::NEG_INFINITY)
        .for_each(|(h, _)| *h = 0.0);
    let stands = |other: &Margin| {
        let mut count = vec![0.0; other.target.len()];
        marginalise(&problem.projection(&other.scope), &here, &mut count);
        count.iter().zip(&other.target).any(|(n, t)| *n > 0.0 && *t <= 0.0)
    };
    (0..problem.margins.len()).filter(|i| problem.margins.get(*i).is_some_and(stands)).collect()
}

/// Two margins: a transport problem for each cell of the modes they share. Cuts what no flow can use.
fn flows(
    problem: &Problem,
    targets: &[Vec<f64>],
    totals: &[f64],
    log_kernel: &mut [f64],
) -> Result<(), Infeasible> {
    let [first, second] = problem.margins.as_slice() else { return Ok(()) };
    let [left, right] = targets else { return Ok(()) };
    let shared = first.scope.intersection(&second.scope);
    let flat = |scope: &Scope, within: &Scope, cell: &[usize]| {
        let mut at = 0;
        for m in scope.iter() {
            let place = within.position(m).and_then(|p| cell.get(p)).copied().unwrap_or(0);
            at = at * problem.shape.get(m).copied().unwrap_or(1) + place;
        }
        at
    };
    // which cells of one margin meet which of the other, through a cell of the kernel
    let all = Scope::all(problem.shape.len());
    let place = |flat_cell: usize| {
        let cell = cell_at(&problem.shape, flat_cell);
        (flat(&first.scope, &all, &cell), flat(&second.scope, &all, &cell), flat(&shared, &all, &cell))
    };
    let groups: usize = problem.sizes(&shared).iter().product();
    let mut meet: Vec<Vec<(usize, usize)>> = vec![Vec::new(); groups];
    for (at, k) in log_kernel.iter().enumerate() {
        if *k > f64::NEG_INFINITY {
            let (row, column, group) = place(at);
            if let Some(list) = meet.get_mut(group) {
                list.push((row, column));
            }
        }
    }
    let whole = problem.margins.iter().all(|m| m.target.iter().all(|t| t.fract() == 0.0 && *t < UNITS));
    let scale = totals.first().copied().unwrap_or(1.0);
    let units = |p: f64| if whole { (p * scale).round() as u64 } else { (p * UNITS).round() as u64 };
    let slack = if whole { 0.5 } else { (ROUNDING * UNITS).max(left.len().max(right.len()) as f64) };
    let mut usable = std::collections::HashSet::new();
    for mut pairs in meet {
        pairs.sort_unstable();
        pairs.dedup();
        let used = transport(&pairs, left, right, &units, slack).map_err(|cut| {
            let value = |list: &[usize], p: &[f64]| {
                list.iter().filter_map(|i| p.get(*i)).copied().collect::<Compensated>().value() * scale
            };
            let levels = |list: &[usize], m: &Margin| {
                list.iter().map(|i| cell_at(&problem.sizes(&m.scope), *i)).collect::<Vec<_>>()
            };
            Infeasible::Room {
                margin: 0,
                asked: value(&cut.rows, left),
                cells: levels(&cut.rows, first),
                other: 1,
                held: value(&cut.columns, right),
                reached: levels(&cut.columns, second),
            }
        })?;
        usable.extend(used);
    }
    for (at, k) in log_kernel.iter_mut().enumerate() {
        if *k > f64::NEG_INFINITY {
            let (row, column, _) = place(at);
            if !usable.contains(&(row, column)) {
                *k = f64::NEG_INFINITY;
            }
        }
    }
    Ok(())
}

/// Rows that ask for more than the columns they reach hold.
struct Cut {
    rows: Vec<usize>,
    columns: Vec<usize>,
}

/// The pairs that some flow from rows to columns can use: those with flow, and those on a cycle of the
/// residual graph (the strong components of it).
fn transport(
    pairs: &[(usize, usize)],
    left: &[f64],
    right: &[f64],
    units: &dyn Fn(f64) -> u64,
    slack: f64,
) -> Result<Vec<(usize, usize)>, Cut> {
    let mut graph: DiGraph<Option<(bool, usize)>, u64> = DiGraph::new();
    let (source, sink) = (graph.add_node(None), graph.add_node(None));
    let mut rows = std::collections::BTreeMap::new();
    let mut columns = std::collections::BTreeMap::new();
    for (row, column) in pairs {
        rows.entry(*row).or_insert_with(|| graph.add_node(Some((true, *row))));
        columns.entry(*column).or_insert_with(|| graph.add_node(Some((false, *column))));
    }
    let amount = |p: &[f64], i: usize| p.get(i).map_or(0, |p| units(*p));
    let mut asked = 0;
    for (row, node) in &rows {
        asked += amount(left, *row);
        graph.add_edge(source, *node, amount(left, *row));
    }
    for (column, node) in &columns {
        graph.add_edge(*node, sink, amount(right, *column));
    }
    let first_pair = graph.edge_count();
    for (row, column) in pairs {
        if let (Some(r), Some(c)) = (rows.get(row), columns.get(column)) {
            graph.add_edge(*r, *c, amount(left, *row).min(amount(right, *column)));
        }
    }
    let (flow, flows) = dinics(&graph, source, sink);
    // a pair that can carry little is used by little
    let used = |edge: EdgeReference<u64>| {
        let flow = flows.get(edge.id().index()).copied().unwrap_or(0) as f64;
        flow > slack.min(*edge.weight() as f64 / 2.0)
    };
    // the residual graph: forwards always, backwards along flow
    let mut residual: DiGraph<(), ()> = DiGraph::new();
    for _ in 0..graph.node_count() {
        residual.add_node(());
    }
    for edge in graph.edge_references().skip(first_pair) {
        residual.add_edge(edge.source(), edge.target(), ());
        if used(edge) {
            residual.add_edge(edge.target(), edge.source(), ());
        }
    }
    if (asked - flow) as f64 > slack {
        return Err(cut(&graph, &residual, &flows, source, slack));
    }
    let mut component = vec![0; graph.node_count()];
    for (index, nodes) in tarjan_scc(&residual).into_iter().enumerate() {
        for node in nodes {
            if let Some(own) = component.get_mut(node.index()) {
                *own = index;
            }
        }
    }
    let together = |a: NodeIndex, b: NodeIndex| component.get(a.index()) == component.get(b.index());
    Ok(graph
        .edge_references()
        .skip(first_pair)
        .filter(|e| together(e.source(), e.target()) || used(*e))
        .filter_map(|e| match (graph.node_weight(e.source())?, graph.node_weight(e.target())?) {
            (Some((_, row)), Some((_, column))) => Some((*row, *column)),
            _ => None,
        })
        .collect())
}

/// What can still be reached from rows that could not send all they have.
fn cut(
    graph: &DiGraph<Option<(bool, usize)>, u64>,
    residual: &DiGraph<(), ()>,
    flows: &[u64],
    source: NodeIndex,
    slack: f64,
) -> Cut {
    let unsent = graph.edges_directed(source, Direction::Outgoing).filter(|e| {
        let sent = flows.get(e.id().index()).copied().unwrap_or(0);
        (e.weight() - sent) as f64 > slack / graph.node_count() as f64
    });
    let mut open: Vec<NodeIndex> = unsent.map(|e| e.target()).collect();
    let mut seen: std::collections::BTreeSet<NodeIndex> = open.iter().copied().collect();
    while let Some(node) = open.pop() {
        for next in residual.neighbors(node) {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    let list = |is_row: bool| {
        seen.iter()
            .filter_map(|n| *graph.node_weight(*n)?)
            .filter(|(row, _)| *row == is_row)
            .map(|(_, index)| index)
            .collect()
    };
    Cut { rows: list(true), columns: list(false) }
}
