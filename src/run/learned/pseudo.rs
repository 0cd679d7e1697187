//! Learned coefficients by pseudo-likelihood (Besag 1975, doi:10.2307/2987782), where sums over all cells are out of reach.
//!
//! Each record is explained mode by mode, given the levels of all others: what is minimised is
//! −Σ_x P(x) Σ_i ln Q(x_i | x without i), which needs sums over the levels of one mode at a time. It is convex in the
//! coefficients, its minimum is consistent, and it is not the maximum of the likelihood.

use rayon::prelude::*;

use super::cholesky::Factor;
use super::newton::{DEPENDENT, POLISH, POLISHED, ROUNDING};
use super::{Ending, Learned, told};
use crate::model::{Potential, Table};
use crate::numeric::gap::worst;
use crate::numeric::sum::dot;
use crate::run::certificate::factor as relative;
use crate::run::control::{Flow, Observer};
use crate::run::machine::Machine;
use crate::run::records::Records;
use crate::text::{Code, Diagnostic};

/// Parts the records are cut into, whatever the number of threads.
const PARTS: usize = 8;

/// One term as a mode sees it.
struct Local<'a> {
    table: &'a Table,
    /// Position of the coefficient among those of the mode; none for a fixed energy.
    coefficient: Option<usize>,
    /// Stride of each mode of the scope in the table, the mode itself left out.
    others: Vec<(usize, usize)>,
    /// Stride of the mode itself.
    own: usize,
}

/// A mode with everything that depends on its level.
struct Site<'a> {
    mode: usize,
    size: usize,
    /// The coefficients that its conditional distribution depends on.
    coefficients: Vec<usize>,
    terms: Vec<Local<'a>>,
}

/// Sums over records.
#[derive(Clone)]
struct Sums {
    value: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
    /// Σ w s sᵀ of the score of each record.
    scores: Vec<f64>,
    /// The smallest d·(F − ⟨F⟩) over every level of every mode of every record.
    smallest: f64,
}

impl Sums {
    fn new(n: usize, curvature: bool, scores: bool) -> Self {
        let square = |wanted: bool| vec![0.0; if wanted { n * n } else { 0 }];
        Self {
            value: 0.0,
            gradient: vec![0.0; n],
            hessian: square(curvature),
            scores: square(scores),
            smallest: f64::INFINITY,
        }
    }

    fn add(&mut self, other: &Sums) {
        self.value += other.value;
        let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        add(&mut self.gradient, &other.gradient);
        add(&mut self.hessian, &other.hessian);
        add(&mut self.scores, &other.scores);
        self.smallest = self.smallest.min(other.smallest);
    }
}

/// The problem: records of total one, sites, and the size of each statistic.
struct Problem<'a> {
    records: Records,
    sites: Vec<Site<'a>>,
    scales: Vec<f64>,
    temperature: f64,
}

/// What a pass over the records is for.
#[derive(Clone, Copy)]
enum Pass<'d> {
    /// The objective alone.
    Value,
    /// With its gradient and its Hessian.
    Curvature,
    /// With the spread of the scores, and the smallest relative change along a direction.
    Ending(&'d [f64]),
}

impl Problem<'_> {
    fn pass(&self, natural: &[f64], what: Pass) -> Sums {
        let n = self.scales.len();
        let rows = self.records.weights.len();
        let parts: Vec<Sums> = (0..PARTS)
            .into_par_iter()
            .map(|part| {
                let rows = part * rows / PARTS..(part + 1) * rows / PARTS;
                let mut sums = Sums::new(n, matches!(what, Pass::Curvature), matches!(what, Pass::Ending(_)));
                let mut score = vec![0.0; n];
                let mut room = Room::default();
                for row in rows {
                    score.fill(0.0);
                    let (cell, weight) = (self.records.cell(row), self.records.weights[row]);
                    for site in &self.sites {
                        self.site(site, cell, weight, natural, what, &mut room, &mut score, &mut sums);
                    }
                    sums.gradient.iter_mut().zip(&score).for_each(|(g, s)| *g += weight * s);
                    if matches!(what, Pass::Ending(_)) {
                        let known: Vec<usize> = (0..n).filter(|k| score[*k] != 0.0).collect();
                        for k in &known {
                            for l in &known {
                                sums.scores[k * n + l] += weight * score[*k] * score[*l];
                            }
                        }
                    }
                }
                sums
            })
            .collect();
        let mut all = Sums::new(n, matches!(what, Pass::Curvature), matches!(what, Pass::Ending(_)));
        parts.iter().for_each(|part| all.add(part));
        all
    }

    #[allow(clippy::too_many_arguments)] // the inner loop, with the room it works in
    fn site(
        &self,
        site: &Site,
        cell: &[u32],
        weight: f64,
        natural: &[f64],
        what: Pass,
        room: &mut Room,
        score: &mut [f64],
        sums: &mut Sums,
    ) {
        let (n, count) = (self.scales.len(), site.coefficients.len());
        let Room { features, logs, mean } = room;
        features.clear();
        features.resize(site.size * count, 0.0);
        logs.clear();
        logs.resize(site.size, 0.0);
        for term in &site.terms {
            let base: usize = term.others.iter().map(|(m, s)| cell[*m] as usize * s).sum();
            for level in 0..site.size {
                let value = term.table.values[base + level * term.own];
                match term.coefficient {
                    Some(k) => features[level * count + k] += value,
                    None => logs[level] -= value / self.temperature,
                }
            }
        }
        for (log, row) in logs.iter_mut().zip(features.chunks(count.max(1))) {
            let energy: f64 = row.iter().zip(&site.coefficients).map(|(f, k)| f * natural[*k]).sum();
            *log += energy;
        }
        let here = cell[site.mode] as usize;
        let most = logs.iter().fold(f64::NEG_INFINITY, |m, l| m.max(*l));
        let mass: f64 = logs.iter().map(|l| (l - most).exp()).sum();
        sums.value -= weight * (logs[here] - most - mass.ln());
        if matches!(what, Pass::Value) || count == 0 {
            return;
        }
        logs.iter_mut().for_each(|l| *l = (*l - most).exp() / mass);
        mean.clear();
        mean.resize(count, 0.0);
        for (p, row) in logs.iter().zip(features.chunks(count)) {
            mean.iter_mut().zip(row).for_each(|(m, f)| *m += p * f);
        }
        for row in features.chunks_mut(count) {
            row.iter_mut().zip(mean.iter()).for_each(|(f, m)| *f -= m);
        }
        for (k, f) in site.coefficients.iter().zip(&features[here * count..(here + 1) * count]) {
            score[*k] += f;
        }
        match what {
            Pass::Curvature => {
                for (p, row) in logs.iter().zip(features.chunks(count)) {
                    for (k, f) in site.coefficients.iter().zip(row) {
                        let onto = &mut sums.hessian[k * n..(k + 1) * n];
                        let scaled = weight * p * f;
                        site.coefficients.iter().zip(row).for_each(|(l, g)| onto[*l] += scaled * g);
                    }
                }
            }
            Pass::Ending(direction) => {
                for row in features.chunks(count) {
                    let change: f64 =
                        row.iter().zip(&site.coefficients).map(|(f, k)| f * direction[*k]).sum();
                    sums.smallest = sums.smallest.min(change);
                }
            }
            Pass::Value => {}
        }
    }
}

#[derive(Default)]
struct Room {
    features: Vec<f64>,
    logs: Vec<f64>,
    mean: Vec<f64>,
}

/// Fits by pseudo-likelihood: Newton's method with the exact Hessian, O(records × modes × levels × coefficients of
/// a mode²) a step. The certificate bounds what is left of the *pseudo*-likelihood: of one record and one mode the
/// conditional distributions are an exponential family as well, and the argument of the exact fit holds for
/// all of them together. Standard errors are those of the sandwich H⁻¹ J H⁻¹ (Godambe 1960, doi:10.1214/aoms/1177705693).
pub fn learn(
    machine: &mut Machine,
    coefficients: &[String],
    observer: &mut dyn Observer,
) -> Result<(), Vec<Diagnostic>> {
    let model = machine.model;
    let n = coefficients.len();
    let Some(tensor) = machine.tensor else { return Ok(()) };
    let mut records = Records::of(tensor);
    machine.total = records.weights.iter().sum();
    if machine.total <= 0.0 {
        let message = format!("`{}` has no mass to fit `{}` to", tensor.name, model.name);
        return Err(vec![Diagnostic::new(Code::MBA502, message).help("check which column holds the values")]);
    }
    let total = machine.total;
    records.weights.iter_mut().for_each(|w| *w /= total);
    machine.negative_entropy = records.weights.iter().map(|w| crate::numeric::sum::p_ln_p(*w)).sum();
    let problem = Problem {
        sites: (0..model.modes.len()).map(|mode| site(machine, coefficients, mode)).collect(),
        scales: scales(machine, coefficients),
        temperature: model.temperature,
        records,
    };
    let mut natural = vec![0.0; n];
    let mut independent: Option<Vec<usize>> = None;
    let mut dependencies: Vec<Vec<usize>> = Vec::new();
    let (mut polish, mut before, mut rounded) = (0, f64::INFINITY, false);
    let floor: Vec<f64> = problem.scales.iter().map(|s| 1e-14 * s * s).collect();
    let (direction, decrement, factor) = loop {
        let sums = problem.pass(&natural, Pass::Curvature);
        let mismatch = sums.gradient.iter().zip(&problem.scales);
        let gap = worst(mismatch.map(|(g, s)| if *s > 0.0 { g.abs() / s } else { 0.0 }));
        machine.gap = gap;
        let all: Vec<usize> = independent.clone().unwrap_or_else(|| (0..n).collect());
        let zeros = vec![0.0; n];
        let (least, tolerance) = if independent.is_none() { (&floor, DEPENDENT) } else { (&zeros, ROUNDING) };
        let factor = Factor::new(&sums.hessian, n, &all, least, tolerance);
        let direction = factor.solve(&sums.gradient);
        if independent.is_none() {
            dependencies = factor.dependencies(&sums.hessian, n);
            independent = Some(factor.order.clone());
        } else {
            rounded |= !factor.dropped.is_empty();
        }
        let decrement = dot(&sums.gradient, &direction);
        let done = gap <= machine.control.tolerance;
        if done && (decrement <= POLISHED || polish >= POLISH || gap > 0.5 * before) {
            break (direction, decrement, factor);
        }
        if machine.sweeps >= machine.control.max_sweeps {
            machine.stopped = !done;
            break (direction, decrement, factor);
        }
        polish += usize::from(done);
        before = gap;
        machine.sweeps += 1;
        if observer.sweep(&told(machine, gap, Some(sums.value))) == Flow::Interrupt {
            machine.interrupted = true;
            break (direction, decrement, factor);
        }
        let mut length = 1.0;
        let moved = (0..50).any(|_| {
            let trial: Vec<f64> = natural.iter().zip(&direction).map(|(p, d)| p + length * d).collect();
            let found = problem.pass(&trial, Pass::Value).value;
            let near = decrement < 1e-10 && length == 1.0;
            if found.is_finite() && (found <= sums.value - 1e-4 * length * decrement || near) {
                natural = trial;
                return true;
            }
            length *= 0.5;
            false
        });
        if !moved {
            machine.stopped = !done;
            break (direction, decrement, factor);
        }
    };
    let ending = problem.pass(&natural, Pass::Ending(&direction));
    let failed = machine.stopped || machine.interrupted;
    let drifting = (ending.smallest < -1.0 || rounded) && !failed;
    machine.certificate.marginal_gap = machine.gap;
    machine.vanishing = drifting;
    if ending.smallest < -1.0 || rounded {
        machine.certificate.reason = Some(if failed {
            "the fit is too far from the optimum for a bound".into()
        } else {
            "the optimum lies on the boundary, where the bound does not apply".into()
        });
    } else {
        let resolution = f64::EPSILON * (1.0 + ending.value.abs());
        machine.certificate.optimality_gap =
            Some(relative(ending.smallest) * decrement.max(0.0) + resolution);
    }
    let no_errors = if failed {
        Some("the fit has not ended".to_string())
    } else {
        drifting.then(|| "the optimum lies on the boundary".to_string())
    };
    let temperature = model.temperature;
    let spread = |k: usize| {
        let mut unit = vec![0.0; n];
        unit[k] = 1.0;
        let v = factor.solve(&unit);
        let image = ending.scores.chunks(n).map(|row| dot(row, &v));
        let variance: f64 = image.zip(&v).map(|(a, b)| a * b).sum();
        Some(temperature * variance.max(0.0).sqrt())
    };
    let last = Ending {
        names: coefficients,
        natural: &natural,
        direction: &direction,
        dependencies: &dependencies,
        temperature,
        drifting,
        no_errors,
    };
    machine.kl = f64::NAN;
    machine.learned = Some(Learned { pseudo_likelihood: Some(-ending.value), ..last.learned(spread) });
    Ok(())
}

fn site<'a>(machine: &Machine<'a>, coefficients: &[String], mode: usize) -> Site<'a> {
    let mut site =
        Site { mode, size: machine.model.modes[mode].size(), coefficients: Vec::new(), terms: Vec::new() };
    for interaction in machine.model.interactions.iter().filter(|i| i.scope.contains(mode)) {
        let (table, name): (&'a Table, _) = match &interaction.potential {
            Potential::Fixed(table) => (table, None),
            Potential::Support(support) => (support.energies(), None),
            Potential::Learned { coefficient, statistic } => (statistic, Some(coefficient)),
            Potential::Free => continue,
        };
        let coefficient = name.and_then(|name| coefficients.iter().position(|c| c == name)).map(|k| {
            site.coefficients.iter().position(|c| *c == k).unwrap_or_else(|| {
                site.coefficients.push(k);
                site.coefficients.len() - 1
            })
        });
        let strides = table.strides();
        let own = table.scope.position(mode).map_or(0, |a| strides[a]);
        let others = table.scope.iter().zip(strides).filter(|(m, _)| *m != mode).collect();
        site.terms.push(Local { table, coefficient, others, own });
    }
    site
}

fn scales(machine: &Machine, coefficients: &[String]) -> Vec<f64> {
    let mut scales = vec![0.0; coefficients.len()];
    for interaction in &machine.model.interactions {
        if let Potential::Learned { coefficient, statistic } = &interaction.potential
            && let Some(k) = coefficients.iter().position(|c| c == coefficient)
        {
            let size = statistic.values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            // each mode of the term is explained once
            scales[k] += size * interaction.scope.len() as f64;
        }
    }
    scales
}
