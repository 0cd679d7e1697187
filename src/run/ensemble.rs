//! The Boltzmann distribution of a model whose energies are known, P(x) = exp(−E(x)/T)/Z, at one temperature
//! or several, and what can be computed of it exactly.

use std::sync::{Arc, OnceLock};

use super::control::{Limits, Stop};
use super::distribution::{Distribution, value_at};
use super::sample::{Draws, Room, Undrawn};
use super::sum::dot;
use super::summation::{self, Least, Sums, Term};
use crate::data::Sparse;
use crate::model::table::offsets;
use crate::model::{Algebra, EnergyModel, Forbidden, Interaction, Potential, Scope, Table};
use crate::plan::order::search;
use crate::plan::summation::{Carry, Problem, Summation, plan};
use crate::text::{Code, Diagnostic, Span};

type Found<T> = Result<T, Box<Diagnostic>>;

/// A model with known energies at one or several temperatures. Cheap to clone; what was computed once is
/// kept.
#[derive(Debug, Clone)]
pub struct Ensemble {
    /// The model; its own temperature is not used.
    pub model: Arc<EnergyModel>,
    /// The temperatures, at least one.
    pub temperatures: Vec<f64>,
    /// What its sums may take.
    pub limits: Limits,
    /// Where it was asked for.
    pub span: Span,
    terms: Arc<Terms>,
    known: Arc<Known>,
}

/// The model as a sum sees it.
#[derive(Debug)]
struct Terms {
    names: Vec<String>,
    /// Numbers of levels; 1 where the level is given.
    sizes: Vec<usize>,
    /// The level of each mode that is given.
    given: Vec<Option<usize>>,
    energies: Vec<Term>,
    /// An order of elimination, searched for once.
    order: OnceLock<Vec<usize>>,
}

/// Copies of a table of energies while its weights are summed: the model's, that of its term, and the weights.
const COPIES: f64 = 3.0;

/// Steps of the search for an order: a tenth of a second.
const SEARCH: u64 = 1_500_000;

#[derive(Debug, Default)]
struct Known {
    moments: OnceLock<Found<Sums>>,
    weights: OnceLock<Found<Sums>>,
    totals: OnceLock<Found<Option<Totals>>>,
    least: OnceLock<Found<Least>>,
}

/// The distribution of the sum of all numeric levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    /// Number of modes that are summed.
    pub modes: usize,
    /// The values the total can take.
    pub values: Vec<f64>,
    /// Their probabilities, one list for each temperature.
    pub probabilities: Vec<Vec<f64>>,
}

/// Totals of more than this many values are not carried.
const MOST_TOTALS: usize = 1 << 16;

/// What is known, or is computed now and known from then on; not that it was interrupted.
fn once<T>(known: &OnceLock<Found<T>>, compute: impl FnOnce() -> Found<T>) -> Found<&T> {
    let found = match known.get() {
        Some(found) => found,
        None => match compute() {
            Err(diagnostic) if diagnostic.code == Code::MBA542 => return Err(diagnostic),
            found => known.get_or_init(|| found),
        },
    };
    found.as_ref().map_err(Clone::clone)
}

impl Ensemble {
    /// The ensemble of a model at its own temperature.
    ///
    /// # Errors
    /// MBA330 for a free table or a learned coefficient, which has no value without data; MBA390 for an
    /// algebra that is not the ordinary one.
    pub fn new(model: Arc<EnergyModel>, limits: Limits, span: Span) -> Found<Self> {
        if model.algebra != Algebra::Ordinary {
            return Err(Box::new(crate::model::unsupported("energies in another algebra", span)));
        }
        for interaction in &model.interactions {
            let scope = model.bracket(&interaction.scope);
            let why = match &interaction.potential {
                Potential::Fixed(_) | Potential::Support(_) => continue,
                Potential::Free => format!("the free table `{scope}`"),
                Potential::Learned { coefficient, .. } => {
                    format!("the learned coefficient `{coefficient}` of `{scope}`")
                }
            };
            return Err(Box::new(
                Diagnostic::new(Code::MBA330, format!("`{}` has no distribution of its own", model.name))
                    .at(span, "asked for here")
                    .at(interaction.span, format!("{why} is known only after a fit"))
                    .help("fit it to data and ask the fit, or give the interaction an energy, as in `[a b] = …`"),
            ));
        }
        let temperatures = vec![model.temperature];
        let terms = Arc::new(Terms::of(&model));
        Ok(Self { model, temperatures, limits, span, terms, known: Arc::default() })
    }

    /// A fitted distribution as an ensemble: E = −T ln q up to the gauge E(⊥) = 0, or the known energy of ⊥. A clique that
    /// is a product of factors stays one. O(cells of the tables and factors).
    ///
    /// # Errors
    /// As [`Ensemble::new`]; MBA504 when copies of the tables do not fit the memory budget.
    pub fn of_distribution(
        model: &EnergyModel,
        distribution: &Distribution,
        limits: Limits,
        span: Span,
    ) -> Found<Self> {
        let temperature = if model.temperature > 0.0 { model.temperature } else { 1.0 };
        let fixed = |table: Table| Interaction {
            scope: table.scope.clone(),
            potential: Potential::Fixed(Arc::new(table)),
            span,
        };
        let bottom = vec![0; distribution.modes.len()];
        let at_bottom = |tables: &[Table]| -> f64 { tables.iter().map(|t| value_at(t, &bottom)).sum() };
        let mut tables = distribution.log_factors();
        // without the gauge only tables of probabilities say what is normalised
        if !at_bottom(&tables).is_finite() {
            tables = distribution.cliques.iter().map(super::distribution::log_conditional).collect();
        }
        let bytes: f64 = tables.iter().map(|t| COPIES * 8.0 * t.values.len() as f64).sum();
        if bytes > limits.memory as f64 {
            let message = format!("the tables of `{}` are more than the memory budget holds", model.name);
            return Err(Box::new(
                Diagnostic::new(Code::MBA504, message)
                    .at(span, "asked for here")
                    .note(format!("an exact sum needs {bytes:.1e} bytes for copies of them"))
                    .help("ask for a marginal or a sample, or allow more with `--memory`"),
            ));
        }
        tables.iter_mut().flat_map(|t| &mut t.values).for_each(|v| *v *= -temperature);
        let origin = distribution.energy_at(&bottom) - at_bottom(&tables);
        if origin.is_finite() {
            tables.push(Table::filled(Scope::empty(), Vec::new(), origin));
        }
        let interactions = tables.into_iter().map(fixed).collect();
        let model = EnergyModel {
            regular: Default::default(),
            name: model.name.clone(),
            modes: distribution.modes.clone(),
            latent: Scope::empty(),
            interactions,
            support: Vec::new(),
            temperature,
            algebra: Algebra::Ordinary,
        };
        Self::new(Arc::new(model), limits, span)
    }

    /// The same, with what is known of it, asked for somewhere else.
    #[must_use]
    pub fn asked_at(&self, span: Span) -> Self {
        Self { span, ..self.clone() }
    }

    /// The same model at other temperatures.
    #[must_use]
    pub fn at(&self, temperatures: Vec<f64>) -> Self {
        Self { temperatures, known: Arc::default(), ..self.clone() }
    }

    /// The ensemble in which some modes have the levels given: P(x | …). The order does not matter. A condition that
    /// cannot occur is found by what is asked next.
    #[must_use]
    pub fn given(&self, levels: &[(usize, usize)]) -> Self {
        let mut model = (*self.model).clone();
        for (mode, level) in levels {
            model.support.push(clamp(&model, *mode, *level, self.span));
        }
        let terms = Arc::new(Terms::of(&model));
        Self { model: Arc::new(model), terms, known: Arc::default(), ..self.clone() }
    }

    /// The plan of a sum that carries `carry` and keeps `keep`.
    ///
    /// # Errors
    /// MBA540 when the sum does not fit the memory budget in any order.
    pub fn plan(&self, carry: Carry, keep: &Scope) -> Found<Summation> {
        let terms = self.terms.with_loose(Vec::new());
        let totals = if carry == Carry::Total { self.spread() } else { None };
        self.plan_terms(&terms, carry, keep, totals)
    }

    fn plan_terms(
        &self,
        terms: &[Term],
        carry: Carry,
        keep: &Scope,
        totals: Option<TotalAxis>,
    ) -> Found<Summation> {
        let coldest = self.temperatures.iter().copied().fold(f64::INFINITY, f64::min);
        let scopes: Vec<Scope> = terms.iter().map(|t| t.scope.clone()).collect();
        let ranges: Vec<f64> = terms.iter().map(|t| t.range() / coldest).collect();
        let most = |s: &Vec<usize>| s.iter().copied().max().unwrap_or(0);
        let (spread, symmetric) = match (carry, totals) {
            (Carry::Total, Some(axis)) => {
                let even = |s: &Vec<usize>| s.iter().zip(s.iter().rev()).all(|(a, b)| a + b == most(s));
                (axis.steps.iter().map(most).collect(), axis.steps.iter().all(even))
            }
            _ => (Vec::new(), true),
        };
        plan(&Problem {
            name: &self.model.name,
            span: self.span,
            modes: &self.terms.names,
            sizes: &self.terms.sizes,
            spread: &spread,
            terms: &scopes,
            order: self.terms.order(),
            ranges: &ranges,
            keep,
            carry,
            mirrored: terms.iter().all(Term::mirrored) && symmetric,
            points: self.temperatures.len(),
            memory: self.limits.memory,
        })
    }

    fn weights(&self) -> Found<&Sums> {
        once(&self.known.weights, || {
            let terms = self.terms.with_loose(Vec::new());
            let plan = self.plan_terms(&terms, Carry::Weights, &Scope::empty(), None)?;
            self.possible(self.sum(&plan, &terms, &[])?)
        })
    }

    fn sum(&self, plan: &Summation, terms: &[Term], steps: &[Vec<usize>]) -> Found<Sums> {
        let (temperatures, stop) = (&self.temperatures, &self.leave(plan)?);
        let problem = summation::Problem { plan, terms, temperatures, steps, stop };
        problem.solve().ok_or_else(|| self.interrupted())
    }

    /// What a sum listens to while it goes on.
    fn leave(&self, plan: &Summation) -> Found<Stop> {
        self.limits.patience.leave(plan.operations).ok_or_else(|| self.interrupted())
    }

    fn interrupted(&self) -> Box<Diagnostic> {
        let message = format!("an exact sum over `{}` was interrupted", self.model.name);
        Box::new(
            Diagnostic::new(Code::MBA542, message)
                .at(self.span, "asked for here")
                .help("give it more time, or narrow the model; `mba plan` shows what its sums cost"),
        )
    }

    fn possible(&self, sums: Sums) -> Found<Sums> {
        if sums.log_z.iter().all(|l| *l > f64::NEG_INFINITY) {
            return Ok(sums);
        }
        Err(Box::new(
            Diagnostic::new(Code::MBA541, format!("no cell of `{}` can occur", self.model.name))
                .at(self.span, "asked for here")
                .help("a condition has probability 0, or cells are forbidden until none is left"),
        ))
    }

    fn thermal(&self) -> Found<&Sums> {
        once(&self.known.moments, || {
            let mut terms = self.terms.with_loose(Vec::new());
            for term in &mut terms {
                // a cell that cannot occur weighs nothing, and its energy is not infinity times nothing
                term.value = term
                    .energy
                    .as_ref()
                    .map(|e| e.iter().map(|x| if x.is_finite() { *x } else { 0.0 }).collect());
            }
            let plan = self.plan_terms(&terms, Carry::Moments, &Scope::empty(), None)?;
            self.possible(self.sum(&plan, &terms, &[])?)
        })
    }

    /// ln Z at each temperature, in nats.
    ///
    /// # Errors
    /// MBA540, MBA541, MBA542.
    pub fn log_z(&self) -> Found<Vec<f64>> {
        match self.known.moments.get() {
            Some(Ok(sums)) => Ok(sums.log_z.clone()),
            _ => self.weights().map(|s| s.log_z.clone()),
        }
    }

    /// ⟨E⟩ at each temperature.
    ///
    /// # Errors
    /// MBA540, MBA541, MBA542.
    pub fn energy(&self) -> Found<Vec<f64>> {
        self.thermal().map(|s| s.mean.clone())
    }

    /// (⟨E²⟩ − ⟨E⟩²)/T² at each temperature.
    ///
    /// # Errors
    /// MBA540, MBA541, MBA542.
    pub fn heat_capacity(&self) -> Found<Vec<f64>> {
        let variances = &self.thermal()?.variance;
        Ok(variances.iter().zip(&self.temperatures).map(|(v, t)| v / (t * t)).collect())
    }

    /// Entropy at each temperature, in nats: ln Z + ⟨E⟩/T.
    ///
    /// # Errors
    /// MBA540, MBA541, MBA542.
    pub fn entropy(&self) -> Found<Vec<f64>> {
        let sums = self.thermal()?;
        let terms = sums.log_z.iter().zip(&sums.mean).zip(&self.temperatures);
        Ok(terms.map(|((l, e), t)| l + e / t).collect())
    }

    /// The distribution of the sum of all numeric levels; none when the levels are names or have no common
    /// step.
    ///
    /// # Errors
    /// MBA540, MBA541, MBA542.
    pub fn totals(&self) -> Found<Option<&Totals>> {
        let found = once(&self.known.totals, || {
            let Some(axis) = self.spread() else { return Ok(None) };
            let terms = self.terms.with_loose(Vec::new());
            let plan = self.plan_terms(&terms, Carry::Total, &Scope::empty(), Some(axis.clone()))?;
            let sums = self.possible(self.sum(&plan, &terms, &axis.steps)?)?;
            let count = sums.totals.first().map_or(0, Vec::len);
            Ok(Some(Totals {
                modes: axis.modes,
                values: (0..count).map(|k| axis.least + k as f64 * axis.step).collect(),
                probabilities: sums.totals,
            }))
        });
        found.map(Option::as_ref)
    }

    fn spread(&self) -> Option<TotalAxis> {
        TotalAxis::of(&self.model, &self.terms.given)
    }

    /// The probabilities of some modes, one table for each temperature.
    ///
    /// # Errors
    /// MBA540, MBA541, MBA542.
    pub fn marginal(&self, keep: &Scope) -> Found<Vec<Table>> {
        let terms = self.terms.with_loose(Vec::new());
        let plan = self.plan_terms(&terms, Carry::Weights, keep, None)?;
        let sums = self.possible(self.sum(&plan, &terms, &[])?)?;
        Ok(sums.kept.into_iter().map(|values| self.spread_out(keep, &values, 0.0)).collect())
    }

    /// A table over `keep` from one in which modes with a given level have only that.
    fn spread_out(&self, keep: &Scope, values: &[f64], elsewhere: f64) -> Table {
        let shape: Vec<usize> = keep.iter().map(|m| self.model.modes[m].size()).collect();
        let mut table = Table::filled(keep.clone(), shape, elsewhere);
        let strides = table.strides();
        let given = |m: usize| self.terms.given[m].unwrap_or(0);
        let base: usize = keep.iter().zip(&strides).map(|(m, stride)| given(m) * stride).sum();
        let open: Vec<(usize, usize)> =
            keep.iter().zip(&strides).map(|(m, stride)| (self.terms.sizes[m], *stride)).collect();
        for (at, value) in offsets(&open).zip(values) {
            table.values[base + at] = *value;
        }
        table
    }

    /// Mean and variance, at each temperature, of a sum of tables.
    ///
    /// # Errors
    /// MBA540, MBA541, MBA542.
    pub fn moments(&self, quantity: &[Table]) -> Found<(Vec<f64>, Vec<f64>)> {
        let values = quantity.iter().map(|t| {
            let mut term = Term { energy: None, value: Some(t.values.clone()), ..Term::energy(t) };
            self.terms.slice(&mut term);
            term
        });
        let terms = self.terms.with_loose(values.collect());
        let plan = self.plan_terms(&terms, Carry::Moments, &Scope::empty(), None)?;
        let sums = self.possible(self.sum(&plan, &terms, &[])?)?;
        Ok((sums.mean, sums.variance))
    }

    /// The most probable cell, which has the least energy at any temperature.
    ///
    /// # Errors
    /// MBA540, MBA541, MBA542.
    pub fn least(&self) -> Found<Least> {
        let found = once(&self.known.least, || {
            let terms = self.terms.with_loose(Vec::new());
            let plan = self.plan_terms(&terms, Carry::Least, &Scope::empty(), None)?;
            let least = summation::least(&plan, &terms, self.terms.sizes.len(), &self.leave(&plan)?);
            let mut least = least.ok_or_else(|| self.interrupted())?;
            if least.energy == f64::INFINITY {
                self.possible(Sums { log_z: vec![f64::NEG_INFINITY], ..Sums::default() })?;
            }
            for (level, given) in least.cell.iter_mut().zip(&self.terms.given) {
                *level += given.unwrap_or(0);
            }
            Ok(least)
        });
        found.cloned()
    }

    /// `n` independent draws at the first temperature, counted; of every distinct one so many bytes are made
    /// afterwards.
    ///
    /// # Errors
    /// MBA540, MBA541, MBA542; MBA504 when the records do not fit the memory budget.
    pub fn sample(&self, n: usize, seed: u64, row: u64) -> Found<Sparse> {
        self.weights()?;
        let terms = self.terms.with_loose(Vec::new());
        let plan = self.plan_terms(&terms, Carry::Draws, &Scope::empty(), None)?;
        let given: Vec<usize> = self.terms.given.iter().map(|g| g.unwrap_or(0)).collect();
        let shape = self.model.modes.iter().map(crate::model::Mode::size).collect();
        let temperature = self.temperatures.first().copied().unwrap_or(1.0);
        let (name, limits) = (self.model.name.as_str(), &self.limits);
        let draws = Draws { count: n, seed, row, name, span: self.span, limits };
        let operations = plan.operations + draws.operations(self.model.modes.len());
        let leave = limits.patience.leave(operations);
        let stop = &leave.ok_or_else(|| draws.report(Undrawn::Interrupted))?;
        let room = Room { memory: limits.memory, held: 0, row, stop };
        let wanted = summation::Wanted { temperature, given: &given, shape, count: n, seed, room };
        summation::draw(&plan, &terms, wanted).map_err(|why| draws.report(why))
    }

    /// The ensemble of the modes that remain when others are summed out: its energy is −T ln of what their
    /// sum weighs, at the first temperature, so that every probability of what remains stays as it was.
    ///
    /// # Errors
    /// MBA540, MBA541, MBA542; MBA504 when the table of what remains is too large.
    pub fn marginalise(&self, gone: &Scope) -> Found<Self> {
        let temperature = self.temperatures.first().copied().unwrap_or(1.0);
        let one = self.at(vec![temperature]);
        let modes: Vec<usize> = (0..self.model.modes.len()).filter(|m| !gone.contains(*m)).collect();
        let place = |m: usize| modes.iter().position(|k| *k == m).unwrap_or(0);
        // terms that no summed mode touches stay as they are; the others become one table for each group
        let mut touched: Vec<Scope> = Vec::new();
        for term in &self.terms.energies {
            if term.scope.intersection(gone).is_empty() {
                continue;
            }
            let mut group = term.scope.clone();
            touched.retain(|other| {
                let joined = !other.intersection(&group).intersection(gone).is_empty();
                if joined {
                    group = group.union(other);
                }
                !joined
            });
            touched.push(group);
        }
        let mut interactions: Vec<Interaction> = Vec::new();
        let mut push = |table: &Table| {
            let mut to = vec![0; self.model.modes.len()];
            modes.iter().for_each(|m| to[*m] = place(*m));
            let table = table.renamed(&to);
            interactions.push(Interaction {
                scope: table.scope.clone(),
                potential: Potential::Fixed(Arc::new(table)),
                span: self.span,
            });
        };
        for term in &self.terms.energies {
            if term.scope.intersection(gone).is_empty() {
                let values = term.energy.clone().unwrap_or_else(|| vec![0.0; term.shape.iter().product()]);
                push(&self.spread_out(&term.scope, &values, f64::INFINITY));
            }
        }
        for group in &touched {
            let inside: Vec<Term> = self
                .terms
                .energies
                .iter()
                .filter(|t| !t.scope.intersection(gone).is_empty() && t.scope.is_subset(group))
                .cloned()
                .collect();
            let keep = group.difference(gone);
            let plan = one.plan_terms(&inside, Carry::Weights, &keep, None)?;
            let sums = one.sum(&plan, &inside, &[])?;
            for logs in sums.log_weights {
                let values: Vec<f64> = logs.into_iter().map(|l| -temperature * l).collect();
                push(&self.spread_out(&keep, &values, f64::INFINITY));
            }
        }
        // a mode in no term weighs as many cells as it has levels
        let loose: f64 = gone
            .iter()
            .filter(|m| self.terms.energies.iter().all(|t| !t.scope.contains(*m)))
            .map(|m| (self.terms.sizes[m] as f64).ln())
            .sum();
        push(&Table::filled(Scope::empty(), Vec::new(), -temperature * loose));
        let model = EnergyModel {
            regular: Default::default(),
            name: self.model.name.clone(),
            modes: modes.iter().map(|m| self.model.modes[*m].clone()).collect(),
            latent: Scope::empty(),
            interactions,
            support: modes
                .iter()
                .filter_map(|m| self.terms.given[*m].map(|level| (place(*m), level, *m)))
                .map(|(mode, level, old)| {
                    let mut forbidden = clamp(&self.model, old, level, self.span);
                    forbidden.scope = Scope::from([mode]);
                    let cells = Table { scope: Scope::from([mode]), ..(*forbidden.cells).clone() };
                    forbidden.cells = Arc::new(cells);
                    forbidden
                })
                .collect(),
            temperature,
            algebra: Algebra::Ordinary,
        };
        Self::new(Arc::new(model), self.limits.clone(), self.span)
    }

    /// KL(P ‖ Q) in nats at the first temperature of each, where `other` has the same modes in the same
    /// order: ⟨E_Q⟩_P/T_Q + ln Z_Q − S_P. Infinite where P has mass and Q has none.
    ///
    /// # Errors
    /// MBA540, MBA541, MBA542.
    pub fn divergence_from(&self, other: &Self) -> Found<f64> {
        let mut tables = Vec::new();
        for term in &other.terms.energies {
            let energy = term.energy.clone().unwrap_or_default();
            let table = other.spread_out(&term.scope, &energy, f64::INFINITY);
            if table.values.iter().any(|e| !e.is_finite()) {
                let own = self.marginal(&table.scope)?;
                let outside = own.first().is_some_and(|p| {
                    p.values.iter().zip(&table.values).any(|(p, e)| *p > 0.0 && !e.is_finite())
                });
                if outside {
                    return Ok(f64::INFINITY);
                }
            }
            let values = table.values.iter().map(|e| if e.is_finite() { *e } else { 0.0 }).collect();
            tables.push(Table { values, ..table });
        }
        for (mode, given) in other.terms.given.iter().enumerate() {
            let Some(level) = given else { continue };
            let own = self.marginal(&Scope::from([mode]))?;
            if own.first().is_some_and(|p| p.values.get(*level).is_none_or(|x| 1.0 - x > 1e-12)) {
                return Ok(f64::INFINITY);
            }
        }
        let (mean, _) = self.moments(&tables)?;
        let first = |list: &[f64]| list.first().copied().unwrap_or(f64::NAN);
        let cross = first(&mean) / first(&other.temperatures) + first(&other.log_z()?);
        Ok((cross - first(&self.entropy()?)).max(0.0))
    }
}

impl Totals {
    /// ⟨|total|⟩ over the number of modes, at each temperature.
    pub fn magnetization(&self) -> Vec<f64> {
        let sizes: Vec<f64> = self.values.iter().map(|v| v.abs()).collect();
        self.probabilities.iter().map(|p| dot(p, &sizes) / self.modes as f64).collect()
    }

    /// (⟨total²⟩ − ⟨|total|⟩²)/(N T), at each temperature.
    pub fn susceptibility(&self, temperatures: &[f64]) -> Vec<f64> {
        let sizes: Vec<f64> = self.values.iter().map(|v| v.abs()).collect();
        let one = |p: &Vec<f64>, t: &f64| {
            let mean = dot(p, &sizes);
            let off: Vec<f64> = sizes.iter().map(|s| (s - mean).powi(2)).collect();
            dot(p, &off) / (self.modes as f64 * t)
        };
        self.probabilities.iter().zip(temperatures).map(|(p, t)| one(p, t)).collect()
    }
}

/// The condition that `mode` has `level`, as cells that cannot occur.
pub fn clamp(model: &EnergyModel, mode: usize, level: usize, span: Span) -> Forbidden {
    let size = model.modes[mode].size();
    let scope = Scope::from([mode]);
    let values = (0..size).map(|k| f64::from(u8::from(k != level))).collect();
    let cells = Table { scope: scope.clone(), shape: vec![size], values };
    Forbidden { scope, cells: Arc::new(cells), span }
}

impl Terms {
    fn of(model: &EnergyModel) -> Self {
        let mut allowed: Vec<Vec<bool>> = model.modes.iter().map(|m| vec![true; m.size()]).collect();
        let mut energies = Vec::new();
        for forbidden in &model.support {
            match forbidden.scope.modes() {
                [mode] => {
                    for (slot, cell) in allowed[*mode].iter_mut().zip(&forbidden.cells.values) {
                        *slot &= *cell == 0.0;
                    }
                }
                _ => {
                    let blocked = |x: &f64| if *x == 0.0 { 0.0 } else { f64::INFINITY };
                    let values = forbidden.cells.values.iter().map(blocked).collect();
                    energies.push(Term::energy(&Table { values, ..(*forbidden.cells).clone() }));
                }
            }
        }
        for interaction in &model.interactions {
            if let Some(table) = interaction.potential.energies() {
                energies.push(Term::energy(table));
            }
        }
        let one = |list: &Vec<bool>| {
            let mut open = list.iter().enumerate().filter(|(_, a)| **a).map(|(k, _)| k);
            match (open.next(), open.next()) {
                (Some(level), None) => Some(level),
                _ => None,
            }
        };
        let given: Vec<Option<usize>> = allowed.iter().map(one).collect();
        for (mode, list) in allowed.iter().enumerate() {
            if given[mode].is_none() && list.iter().any(|a| !a) {
                let values = list.iter().map(|a| if *a { 0.0 } else { f64::INFINITY }).collect();
                let scope = Scope::from([mode]);
                energies.push(Term::energy(&Table { scope, shape: vec![list.len()], values }));
            }
        }
        let sizes = model.modes.iter().zip(&given);
        let mut terms = Self {
            names: model.modes.iter().map(|m| m.name.clone()).collect(),
            sizes: sizes.map(|(m, g)| if g.is_some() { 1 } else { m.size() }).collect(),
            given,
            energies: Vec::new(),
            order: OnceLock::new(),
        };
        for mut term in energies {
            terms.slice(&mut term);
            terms.energies.push(term);
        }
        terms
    }

    fn order(&self) -> &[usize] {
        self.order.get_or_init(|| search(&self.sizes, self.energies.iter().map(|t| &t.scope), SEARCH).modes)
    }

    /// Cuts a term down to the levels that are given; a mode with a given level is no longer in it.
    fn slice(&self, term: &mut Term) {
        *term = term.at(|m| self.given[m]);
    }

    /// The energies and more terms, with one that says nothing for each mode that is in none of them.
    fn with_loose(&self, more: Vec<Term>) -> Vec<Term> {
        let mut terms = self.energies.clone();
        terms.extend(more);
        let mut seen = vec![false; self.sizes.len()];
        terms.iter().flat_map(|t| t.scope.iter()).for_each(|m| seen[m] = true);
        for (mode, size) in self.sizes.iter().enumerate() {
            // a kept mode needs an axis even when only one level is left to it
            if !seen[mode] {
                terms.push(Term {
                    scope: Scope::from([mode]),
                    shape: vec![*size],
                    energy: Some(vec![0.0; *size]),
                    value: None,
                });
            }
        }
        terms
    }
}

/// The sum of numeric levels in whole steps.
#[derive(Debug, Clone)]
struct TotalAxis {
    /// Number of modes that are summed.
    modes: usize,
    /// The least total.
    least: f64,
    /// The step.
    step: f64,
    /// For each mode and level, the number of steps above the least level.
    steps: Vec<Vec<usize>>,
}

impl TotalAxis {
    fn of(model: &EnergyModel, given: &[Option<usize>]) -> Option<Self> {
        let mut numbers: Vec<Vec<f64>> = Vec::new();
        for (mode, given) in model.modes.iter().zip(given) {
            let all: Option<Vec<f64>> = (0..mode.size()).map(|k| mode.number(k)).collect();
            let all = all?;
            numbers.push(match given {
                Some(level) => vec![all[*level]],
                None => all,
            });
        }
        let lows: Vec<f64> =
            numbers.iter().map(|n| n.iter().copied().fold(f64::INFINITY, f64::min)).collect();
        let mut step = 0.0;
        for (list, low) in numbers.iter().zip(&lows) {
            for x in list {
                step = common(step, x - low);
            }
        }
        let step = if step == 0.0 { 1.0 } else { step };
        let mut steps = Vec::new();
        let mut most = 0;
        for (list, low) in numbers.iter().zip(&lows) {
            let own: Vec<usize> = list.iter().map(|x| ((x - low) / step).round() as usize).collect();
            let exact = list.iter().zip(&own).all(|(x, k)| (x - low - *k as f64 * step).abs() <= 1e-9 * step);
            most += own.iter().copied().max().unwrap_or(0);
            if !exact || most > MOST_TOTALS {
                return None;
            }
            steps.push(own);
        }
        Some(Self { modes: model.modes.len(), least: lows.iter().sum(), step, steps })
    }
}

/// The greatest common divisor of two lengths, as far as rounding lets it be seen.
fn common(a: f64, b: f64) -> f64 {
    let (mut a, mut b) = if a > b { (a, b) } else { (b, a) };
    let noise = 1e-7 * a;
    while b > noise {
        let rest = a - b * (a / b).round();
        (a, b) = (b, rest.abs());
    }
    a
}
