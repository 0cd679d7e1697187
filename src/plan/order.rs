//! Orders of elimination: which mode to sum out first.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

use crate::model::Scope;

/// Steps a search may take, counted and never timed, so that it always ends with the same order.
pub const STEPS: u64 = 12_000_000;

/// Most modes whose neighbourhoods are kept as bits, two megabytes of them. Beyond, one greedy elimination
/// has to do.
const DENSE: usize = 4096;

/// Modes sweeps start from.
const STARTS: usize = 24;

/// Parts of a dissection that are not cut any further.
const PART: usize = 8;

/// Modes of all orders that are kept beside the cheapest.
const SEVERAL: usize = 2048;

/// Seeds that are tried.
const SEEDS: u64 = 96;

/// An order of elimination and what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The modes, first summed out first.
    pub modes: Vec<usize>,
    /// Logarithm to base two of the cells of all maximal cliques together.
    pub cells: f64,
    /// Logarithm to base two of the cells of the largest clique.
    pub largest: f64,
}

/// A good order of elimination for tables over `scopes`, where mode `m` has `sizes[m]` levels. It holds every
/// mode that is in some scope, once. The same arguments give the same order on every machine.
///
/// Costs at most about [`STEPS`] steps of a few operations on words, a fraction of a second.
pub fn order<'a>(sizes: &[usize], scopes: impl IntoIterator<Item = &'a Scope>) -> Order {
    search(sizes, scopes, STEPS)
}

/// As [`order`], with a number of steps of one's own. One greedy elimination and one
/// sweep are made whatever they take.
///
/// Candidates are greedy eliminations by fill, by weight and by both, whose ties and small differences
/// are decided by fixed seeds; sweeps that keep the boundary of what is summed out small (the width
/// of such an order is that of a path; Kinnersley 1992, doi:10.1016/0020-0190(92)90234-M); and
/// nested dissection at levels of breadth-first search (George 1973, doi:10.1137/0710032). The
/// cheapest is the one whose maximal cliques have fewest cells together, those of the largest counted
/// three times because work is done beside them; the first on a tie.
pub fn search<'a>(sizes: &[usize], scopes: impl IntoIterator<Item = &'a Scope>, steps: u64) -> Order {
    let scopes: Vec<&Scope> = scopes.into_iter().collect();
    let modes: Scope = scopes.iter().flat_map(|s| s.iter()).collect();
    let weight = modes.iter().map(|m| (sizes.get(m).copied().unwrap_or(1).max(1) as f64).log2()).collect();
    let places: Vec<Vec<usize>> =
        scopes.iter().map(|s| s.iter().filter_map(|m| modes.position(m)).collect()).collect();
    let found = if modes.len() > DENSE {
        sparse(weight, &places)
    } else {
        let graph = Bits::of(weight, &places);
        let mut search = Search { graph: &graph, left: steps, best: None, others: None };
        search.run();
        search.best.unwrap_or_default()
    };
    found.order_of(&modes)
}

/// The orders that [`search`] looks at, cheapest first, at most about two thousand modes of them: what is
/// cheapest may take more memory than there is.
pub fn several<'a>(sizes: &[usize], scopes: impl IntoIterator<Item = &'a Scope>, steps: u64) -> Vec<Order> {
    let scopes: Vec<&Scope> = scopes.into_iter().collect();
    let modes: Scope = scopes.iter().flat_map(|s| s.iter()).collect();
    if modes.len() > SEVERAL {
        return vec![search(sizes, scopes, steps)];
    }
    let weight = modes.iter().map(|m| (sizes.get(m).copied().unwrap_or(1).max(1) as f64).log2()).collect();
    let places: Vec<Vec<usize>> =
        scopes.iter().map(|s| s.iter().filter_map(|m| modes.position(m)).collect()).collect();
    let graph = Bits::of(weight, &places);
    let mut search = Search { graph: &graph, left: steps, best: None, others: Some(Vec::new()) };
    search.run();
    let mut found = search.others.unwrap_or_default();
    found.sort_by(|a, b| a.cost().total_cmp(&b.cost()));
    found.truncate((SEVERAL / modes.len().max(1)).max(1));
    found.iter().map(|f| f.order_of(&modes)).collect()
}

/// Greedy elimination by weight where neighbourhoods are lists. O(Σ degree² log n).
fn sparse(weight: Vec<f64>, scopes: &[Vec<usize>]) -> Found {
    let mut around: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); weight.len()];
    for scope in scopes {
        for a in scope {
            around[*a].extend(scope.iter().filter(|b| *b != a));
        }
    }
    // weights are not negative, so that their bits are in their order
    let rate = |near: &BTreeSet<usize>, v: usize| -> (u64, usize) {
        let total = near.iter().fold(weight[v], |w, u| w + weight[*u]);
        (total.to_bits(), v)
    };
    let mut rates: Vec<(u64, usize)> = around.iter().enumerate().map(|(v, near)| rate(near, v)).collect();
    let mut queue: BTreeSet<(u64, usize)> = rates.iter().copied().collect();
    let (mut order, mut sizes) = (Vec::with_capacity(weight.len()), Vec::with_capacity(weight.len()));
    while let Some((size, v)) = queue.pop_first() {
        order.push(v);
        sizes.push(f64::from_bits(size));
        let near = std::mem::take(&mut around[v]);
        for u in &near {
            around[*u].extend(near.iter().filter(|w| *w != u));
            around[*u].remove(&v);
            queue.remove(&rates[*u]);
            rates[*u] = rate(&around[*u], *u);
            queue.insert(rates[*u]);
        }
    }
    Found::of(order, &sizes)
}

/// A graph on 0…n−1 whose neighbourhoods are rows of bits.
#[derive(Clone)]
struct Bits {
    n: usize,
    words: usize,
    rows: Vec<u64>,
    /// Logarithms to base two of the numbers of levels.
    weight: Vec<f64>,
}

impl Bits {
    fn of(weight: Vec<f64>, scopes: &[Vec<usize>]) -> Self {
        let n = weight.len();
        let words = n.div_ceil(64);
        let mut graph = Self { n, words, rows: vec![0; n * words], weight };
        for scope in scopes {
            for (i, a) in scope.iter().enumerate() {
                for b in &scope[i + 1..] {
                    graph.link(*a, *b);
                }
            }
        }
        graph
    }

    fn row(&self, v: usize) -> &[u64] {
        &self.rows[v * self.words..(v + 1) * self.words]
    }

    fn link(&mut self, a: usize, b: usize) {
        self.rows[a * self.words + b / 64] |= 1 << (b % 64);
        self.rows[b * self.words + a / 64] |= 1 << (a % 64);
    }

    fn unlink(&mut self, a: usize, b: usize) {
        self.rows[a * self.words + b / 64] &= !(1 << (b % 64));
    }

    fn linked(&self, a: usize, b: usize) -> bool {
        self.rows[a * self.words + b / 64] >> (b % 64) & 1 == 1
    }

    fn degree(&self, v: usize) -> usize {
        self.row(v).iter().map(|w| w.count_ones() as usize).sum()
    }

    fn around(&self, v: usize) -> Members<'_> {
        members(self.row(v))
    }
}

/// The positions of the bits that are set.
struct Members<'a> {
    words: &'a [u64],
    place: usize,
    word: u64,
}

fn members(words: &[u64]) -> Members<'_> {
    Members { words, place: 0, word: words.first().copied().unwrap_or(0) }
}

impl Iterator for Members<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.word == 0 {
            self.place += 1;
            self.word = *self.words.get(self.place)?;
        }
        let bit = self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some(64 * self.place + bit)
    }
}

/// Whose turn it is next in a greedy elimination.
#[derive(Clone, Copy)]
enum Greed {
    /// Fewest edges added, then the smallest table.
    Fill,
    /// The smallest table, then fewest edges added.
    Weight,
    /// The smallest table times the edges added.
    Both,
}

#[derive(Clone, Default)]
struct Found {
    order: Vec<usize>,
    cells: f64,
    largest: f64,
}

impl Found {
    /// With the weights of the cliques.
    fn of(order: Vec<usize>, sizes: &[f64]) -> Self {
        let largest = sizes.iter().copied().fold(0.0, f64::max);
        // logarithms, because the cells of what is going to be refused are too many for a double
        let cells = largest + sizes.iter().map(|s| (s - largest).exp2()).sum::<f64>().max(1.0).log2();
        Self { order, cells, largest }
    }

    /// In the modes of a model.
    fn order_of(&self, modes: &Scope) -> Order {
        let at = |v: &usize| modes.modes().get(*v).copied();
        Order { modes: self.order.iter().filter_map(at).collect(), cells: self.cells, largest: self.largest }
    }

    fn cost(&self) -> f64 {
        self.cells + (1.0 + 2.0 * (self.largest - self.cells).exp2()).log2()
    }
}

struct Search<'a> {
    graph: &'a Bits,
    left: u64,
    best: Option<Found>,
    /// All that were offered, where they are asked for.
    others: Option<Vec<Found>>,
}

impl Search<'_> {
    fn run(&mut self) {
        let n = self.graph.n;
        let flat = vec![0; n];
        let filled = self.greedy(Greed::Fill, &flat, 0);
        // a graph without fill is chordal, and its cliques are what they are
        if filled == 0 {
            return;
        }
        let starts = self.starts();
        self.sweep(starts[0], false);
        for greed in [Greed::Weight, Greed::Both] {
            if self.left > 0 {
                self.greedy(greed, &flat, 0);
            }
        }
        for latest in [false, true] {
            for start in starts.iter().skip(usize::from(!latest)) {
                if self.left > 0 {
                    self.sweep(*start, latest);
                }
            }
        }
        for start in starts.iter().take(4) {
            for least in [0.5, 0.35, 0.2] {
                let ranks = self.dissect(*start, least);
                for greed in [Greed::Fill, Greed::Weight] {
                    if self.left > 0 {
                        self.greedy(greed, &ranks, 0);
                    }
                }
            }
        }
        for seed in 1..=SEEDS {
            if self.left == 0 {
                break;
            }
            let greed = [Greed::Fill, Greed::Both, Greed::Weight][(seed % 3) as usize];
            self.greedy(greed, &flat, seed);
        }
    }

    fn spend(&mut self, steps: usize) -> bool {
        let steps = steps as u64;
        let enough = self.left >= steps;
        self.left = self.left.saturating_sub(steps);
        enough
    }

    /// Keeps an order if it is cheaper than those before.
    fn offer(&mut self, order: Vec<usize>) {
        let found = self.judge(order);
        if let Some(others) = &mut self.others {
            others.push(found.clone());
        }
        if self.best.as_ref().is_none_or(|b| found.cost() < b.cost()) {
            self.best = Some(found);
        }
    }

    /// Eliminates in the given order and adds up the maximal cliques.
    fn judge(&mut self, order: Vec<usize>) -> Found {
        let graph = self.graph;
        let words = graph.words;
        let mut rows = graph.rows.clone();
        let mut turn = vec![0; graph.n];
        order.iter().enumerate().for_each(|(i, v)| turn[*v] = i);
        let mut below = vec![0usize; graph.n];
        let mut near = vec![0u64; words];
        let (mut sizes, mut steps) = (Vec::with_capacity(graph.n), rows.len());
        for v in &order {
            near.copy_from_slice(&rows[v * words..(v + 1) * words]);
            let (mut count, mut first, mut weight) = (0, usize::MAX, graph.weight[*v]);
            for u in members(&near) {
                count += 1;
                weight += graph.weight[u];
                if first == usize::MAX || turn[u] < turn[first] {
                    first = u;
                }
                let row = &mut rows[u * words..(u + 1) * words];
                row.iter_mut().zip(&near).for_each(|(r, n)| *r |= n);
                row[u / 64] &= !(1 << (u % 64));
                row[v / 64] &= !(1 << (v % 64));
            }
            steps += (count + 1) * words;
            // inside the clique of one that went before, whose separator it is
            if below[*v] != count + 1 {
                sizes.push(weight);
            }
            if let Some(below) = below.get_mut(first) {
                *below = count.max(*below);
            }
        }
        self.spend(steps);
        Found::of(order, &sizes)
    }

    /// Greedy elimination, lower ranks first; a seed other than 0 shakes it. Returns the edges added.
    ///
    /// Missing edges of every neighbourhood are kept up to date: an edge that is added closes one
    /// gap in each neighbourhood that holds both ends, and opens as many at one end as it has
    /// neighbours the other has not.
    fn greedy(&mut self, greed: Greed, ranks: &[usize], seed: u64) -> usize {
        let mut graph = self.graph.clone();
        let (n, words) = (graph.n, graph.words);
        let mut steps = n * words;
        let mut missing = vec![0usize; n];
        let mut weight = graph.weight.clone();
        for v in 0..n {
            let near: Vec<usize> = graph.around(v).collect();
            steps += near.len() * words;
            let mut present = 0;
            for u in &near {
                weight[v] += graph.weight[*u];
                present += both(graph.row(v), graph.row(*u));
            }
            missing[v] = (near.len() * near.len().saturating_sub(1) - present) / 2;
        }
        let noise: Vec<f64> = (0..n).map(|v| if seed == 0 { 0.0 } else { unit(seed, v as u64) }).collect();
        // half of the seeds only break ties
        let shake = if seed.is_multiple_of(2) { 0.0 } else { 0.02 * (1 + seed % 8) as f64 };
        let mut waiting: Vec<usize> = (0..n).collect();
        let mut order = Vec::with_capacity(n);
        let (mut filled, mut common) = (0, Vec::new());
        while !waiting.is_empty() {
            let rate = |v: usize| {
                let fill = missing[v] as f64;
                let (first, second) = match greed {
                    Greed::Fill => (fill, weight[v]),
                    Greed::Weight => (weight[v], fill),
                    Greed::Both => (weight[v] + (1.0 + fill).log2(), fill),
                };
                let second = if seed == 0 { second } else { noise[v] };
                (ranks[v], first * (1.0 + shake * noise[v]), second)
            };
            let mut best = (0, rate(waiting[0]));
            for (i, v) in waiting.iter().enumerate().skip(1) {
                let r = rate(*v);
                let by = r.0.cmp(&best.1.0).then(r.1.total_cmp(&best.1.1)).then(r.2.total_cmp(&best.1.2));
                if by == Ordering::Less {
                    best = (i, r);
                }
            }
            steps += waiting.len();
            let v = waiting.remove(best.0);
            order.push(v);
            let near: Vec<usize> = graph.around(v).collect();
            if missing[v] > 0 {
                for (i, a) in near.iter().enumerate() {
                    for b in &near[i + 1..] {
                        if graph.linked(*a, *b) {
                            continue;
                        }
                        common.clear();
                        common.extend(graph.row(*a).iter().zip(graph.row(*b)).map(|(x, y)| x & y));
                        let mut shared = 0;
                        for w in members(&common) {
                            missing[w] -= 1;
                            shared += 1;
                        }
                        missing[*a] += graph.degree(*a) - shared;
                        missing[*b] += graph.degree(*b) - shared;
                        weight[*a] += graph.weight[*b];
                        weight[*b] += graph.weight[*a];
                        graph.link(*a, *b);
                        filled += 1;
                        steps += 3 * words + shared;
                    }
                }
            }
            // the rest of a neighbour's neighbours is not adjacent to what goes
            for u in &near {
                missing[*u] -= graph.degree(*u) - near.len();
                weight[*u] -= graph.weight[v];
                graph.unlink(*u, v);
            }
            steps += near.len() * (words + near.len());
        }
        self.spend(steps);
        self.offer(order);
        filled
    }

    /// Modes far from each other to start sweeps from, then any others.
    fn starts(&mut self) -> Vec<usize> {
        let n = self.graph.n;
        let mut starts = self.farthest(&[0]).into_iter().collect::<Vec<_>>();
        while starts.len() < STARTS && self.spend(n * self.graph.words) {
            match self.farthest(&starts) {
                Some(next) if !starts.contains(&next) => starts.push(next),
                _ => break,
            }
        }
        let others: Vec<usize> = (0..n).filter(|v| !starts.contains(v)).collect();
        starts.extend(others.into_iter().take(STARTS.saturating_sub(starts.len())));
        starts
    }

    /// The mode farthest from all of these; of several, one with fewest neighbours.
    fn farthest(&self, from: &[usize]) -> Option<usize> {
        let levels = self.levels(from, None);
        let corner = |v: &usize| (levels[*v], Reverse(self.graph.degree(*v)), Reverse(*v));
        (0..self.graph.n).max_by_key(corner)
    }

    /// Distance from the nearest start, inside a part.
    fn levels(&self, starts: &[usize], part: Option<&[bool]>) -> Vec<Option<usize>> {
        let mut level = vec![None; self.graph.n];
        let mut queue = starts.to_vec();
        queue.iter().for_each(|v| level[*v] = Some(0));
        let mut next = 0;
        while let Some(v) = queue.get(next).copied() {
            next += 1;
            for u in self.graph.around(v) {
                if level[u].is_none() && part.is_none_or(|p| p[u]) {
                    level[u] = level[v].map(|l| l + 1);
                    queue.push(u);
                }
            }
        }
        level
    }

    /// Sums out, from a start, the mode of the boundary that adds least to it; on a tie the one that
    /// has been there longest, or latest.
    fn sweep(&mut self, start: usize, latest: bool) {
        let graph = self.graph;
        let n = graph.n;
        let mut fresh: Vec<f64> = (0..n).map(|v| graph.around(v).map(|u| graph.weight[u]).sum()).collect();
        let mut since = vec![usize::MAX; n];
        let mut boundary: Vec<usize> = Vec::new();
        let mut order: Vec<usize> = Vec::with_capacity(n);
        let (mut gone, mut clock, mut steps) = (vec![false; n], 0, n * graph.words);
        let mut pending = Some(start);
        while order.len() < n {
            let v = match pending.take() {
                Some(v) => v,
                None if boundary.is_empty() => (0..n).find(|v| !gone[*v]).unwrap_or(0),
                None => {
                    let mut best = 0;
                    for i in 1..boundary.len() {
                        let (a, b) = (boundary[i], boundary[best]);
                        let (x, y) = (fresh[a] - graph.weight[a], fresh[b] - graph.weight[b]);
                        let older = if latest { since[a] > since[b] } else { since[a] < since[b] };
                        if x + 1e-9 < y || ((x - y).abs() <= 1e-9 && older) {
                            best = i;
                        }
                    }
                    steps += boundary.len();
                    boundary.remove(best)
                }
            };
            gone[v] = true;
            order.push(v);
            let mut enter = |u: usize, since: &mut Vec<usize>, fresh: &mut Vec<f64>| {
                clock += 1;
                since[u] = clock;
                for w in graph.around(u) {
                    fresh[w] -= graph.weight[u];
                }
                steps += 8;
            };
            if since[v] == usize::MAX {
                enter(v, &mut since, &mut fresh);
            }
            for u in graph.around(v) {
                if since[u] == usize::MAX {
                    enter(u, &mut since, &mut fresh);
                    boundary.push(u);
                }
            }
        }
        self.spend(steps);
        self.offer(order);
    }

    /// Ranks by nested dissection: parts before the levels of breadth-first search that part them. The
    /// smaller side of a cut holds at least the part `least` of what is not in the cut.
    fn dissect(&mut self, start: usize, least: f64) -> Vec<usize> {
        let n = self.graph.n;
        let mut ranks = vec![0; n];
        let mut open: Vec<(Vec<usize>, usize)> = vec![((0..n).collect(), 64)];
        while let Some((part, rank)) = open.pop() {
            part.iter().for_each(|v| ranks[*v] = rank);
            let enough = self.spend(2 * n + part.len() * self.graph.words);
            if part.len() <= PART || rank == 0 || !enough {
                continue;
            }
            let mut inside = vec![false; n];
            part.iter().for_each(|v| inside[*v] = true);
            // from an end of the part, the start of the whole
            let end = || {
                let levels = self.levels(&part[..1], Some(&inside));
                part.iter().copied().max_by_key(|v| (levels[*v], Reverse(*v)))
            };
            let from = if inside[start] { Some(start) } else { end() };
            let levels = self.levels(from.as_slice(), Some(&inside));
            let (reached, apart): (Vec<usize>, Vec<usize>) = part.iter().partition(|v| levels[**v].is_some());
            if !apart.is_empty() {
                open.extend([(reached, rank), (apart, rank)]);
                continue;
            }
            if let Some(cut) = self.cut(&part, &levels, least) {
                let side = |keep: Ordering| -> Vec<usize> {
                    part.iter().copied().filter(|v| levels[*v].cmp(&Some(cut)) == keep).collect()
                };
                open.extend([(side(Ordering::Less), rank - 1), (side(Ordering::Greater), rank - 1)]);
            }
        }
        ranks
    }

    /// The lightest level with enough on both sides; of several, the most even.
    fn cut(&self, part: &[usize], levels: &[Option<usize>], least: f64) -> Option<usize> {
        let depth = part.iter().filter_map(|v| levels[*v]).max()?;
        let mut level = vec![(0usize, 0.0); depth + 1];
        for v in part {
            if let Some(l) = levels[*v] {
                level[l].0 += 1;
                level[l].1 += self.graph.weight[*v];
            }
        }
        let mut before = 0;
        let mut best: Option<(f64, Reverse<usize>, usize)> = None;
        for (l, (count, weight)) in level.iter().enumerate() {
            let smaller = before.min(part.len() - before - count);
            before += count;
            let found = (*weight, Reverse(smaller), l);
            if smaller > 0
                && smaller as f64 + 1.0 >= least * (part.len() - count) as f64
                && best.is_none_or(|b| found.0.total_cmp(&b.0).then(found.1.cmp(&b.1)).is_lt())
            {
                best = Some(found);
            }
        }
        best.map(|(_, _, l)| l)
    }
}

/// Number of common members.
fn both(a: &[u64], b: &[u64]) -> usize {
    a.iter().zip(b).map(|(x, y)| (x & y).count_ones() as usize).sum()
}

/// A number in [0, 1) for a seed and a mode (splitmix64; Steele, Lea and Flood 2014,
/// doi:10.1145/2660193.2660195).
fn unit(seed: u64, v: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(v.wrapping_mul(0xd1b5_4a32_d192_ed03));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lattice(rows: usize, columns: usize) -> Vec<Scope> {
        let at = |i: usize, j: usize| i * columns + j;
        let cells = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
        cells
            .flat_map(|(i, j)| {
                let right = (j + 1 < columns).then(|| Scope::from([at(i, j), at(i, j + 1)]));
                let down = (i + 1 < rows).then(|| Scope::from([at(i, j), at(i + 1, j)]));
                right.into_iter().chain(down)
            })
            .collect()
    }

    /// Cells of all maximal cliques and of the largest, from sets alone.
    fn price(order: &[usize], sizes: &[usize], scopes: &[Scope]) -> (f64, f64) {
        let mut factors: Vec<Scope> = scopes.to_vec();
        let mut cliques: Vec<Scope> = Vec::new();
        for v in order {
            let (with, without): (Vec<Scope>, Vec<Scope>) = factors.into_iter().partition(|s| s.contains(*v));
            let clique = with.iter().fold(Scope::from([*v]), |all, s| all.union(s));
            factors = without;
            factors.push(clique.without(*v));
            if !cliques.iter().any(|c| clique.is_subset(c)) {
                cliques.push(clique);
            }
        }
        let cells = |s: &Scope| s.iter().map(|m| sizes[m] as f64).product::<f64>();
        (cliques.iter().map(cells).sum(), cliques.iter().map(cells).fold(0.0, f64::max))
    }

    fn next(state: &mut u64) -> usize {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*state >> 33) as usize
    }

    fn permutations(items: &mut Vec<usize>, from: usize, each: &mut dyn FnMut(&[usize])) {
        if from == items.len() {
            each(items);
        }
        for i in from..items.len() {
            items.swap(from, i);
            permutations(items, from + 1, each);
            items.swap(from, i);
        }
    }

    #[test]
    fn a_lattice_of_twenty_by_twenty_has_cliques_of_twenty_one() {
        let found = search(&[2; 400], &lattice(20, 20), 1_000_000);
        assert_eq!(found.modes.len(), 400);
        assert!(found.largest <= 21.0 && found.cells < 27.5, "{} {}", found.largest, found.cells);
    }

    #[test]
    fn what_is_said_of_an_order_is_true_and_no_order_of_six_modes_is_better() {
        let mut state = 11;
        for _ in 0..40 {
            let sizes: Vec<usize> = (0..6).map(|_| 2 + next(&mut state) % 4).collect();
            let scope = |state: &mut u64| Scope::from([next(state) % 6, next(state) % 6, next(state) % 6]);
            let scopes: Vec<Scope> = (0..5).map(|_| scope(&mut state)).collect();
            let found = order(&sizes, &scopes);
            let (cells, largest) = price(&found.modes, &sizes, &scopes);
            assert!((found.cells - cells.log2()).abs() < 1e-9, "{found:?}");
            assert!((found.largest - largest.log2()).abs() < 1e-9, "{found:?}");
            let mut least = f64::INFINITY;
            permutations(&mut found.modes.clone(), 0, &mut |modes| {
                let (cells, largest) = price(modes, &sizes, &scopes);
                least = least.min(cells + 2.0 * largest);
            });
            assert!(cells + 2.0 * largest <= least * (1.0 + 1e-9), "{scopes:?} {sizes:?}");
        }
    }

    #[test]
    fn the_same_arguments_give_the_same_order_and_more_steps_no_worse_one() {
        let mut state = 5;
        let sizes: Vec<usize> = (0..40).map(|_| 2 + next(&mut state) % 4).collect();
        let pair = |state: &mut u64| Scope::from([next(state) % 40, next(state) % 40]);
        let scopes: Vec<Scope> = (0..80).map(|_| pair(&mut state)).collect();
        let few = search(&sizes, &scopes, 1);
        let many = order(&sizes, &scopes);
        assert_eq!(many, order(&sizes, &scopes));
        assert!(many.cells <= few.cells, "{} {}", many.cells, few.cells);
    }

    #[test]
    fn many_modes_are_eliminated_one_by_one() {
        let n = DENSE + 1000;
        let ring: Vec<Scope> = (0..n).map(|i| Scope::from([i, (i + 1) % n])).collect();
        let found = order(&vec![3; n], &ring);
        assert_eq!(found.modes.len(), n);
        assert!((found.largest - 27f64.log2()).abs() < 1e-9);
        assert_eq!(order(&[], &[]).modes, Vec::<usize>::new());
    }
}
