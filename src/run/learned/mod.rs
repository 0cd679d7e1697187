//! Learned coefficients: the convex inverse problem, by Newton's method on exact moments.
//!
//! With statistics F_k, the sums of what multiplies coefficient k, and φ = −θ/T,
//! P(x) ∝ exp(φ·F(x) − E_fixed(x)/T). The projection of the data minimises ln Z(φ) − φ·⟨F⟩_data, whose gradient
//! is the mismatch of moments and whose Hessian is the covariance of the statistics, the Fisher information.
//! Both come from the calibrated tree of cliques; nothing is as large as the tensor.
//!
//! | file | what |
//! |---|---|
//! | `statistics.rs` | what each coefficient multiplies, and where on the tree |
//! | `information.rs` | moments, covariance and its products, by elimination |
//! | `cholesky.rs` | the covariance factored, with what depends on what |
//! | `newton.rs` | the iteration, its certificate and its ways to end |
//! | `pseudo.rs` | the same for the pseudo-likelihood, where sums are out of reach |

mod cholesky;
mod information;
mod newton;
mod pseudo;
mod statistics;

use super::control::Sweep;
use super::machine::Machine;

pub(super) use newton::learn;
pub(super) use pseudo::learn as learn_conditionally;

/// What is told after each step.
fn told(machine: &Machine, gap: f64, objective: Option<f64>) -> Sweep {
    Sweep { objective, ..Sweep::alone(machine.sweeps, gap, &machine.control) }
}

/// What became of a coefficient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The data determine it.
    Found,
    /// Other coefficients can make up for any change of it, so that no data determine it.
    Undetermined,
    /// It grows without end: the optimum lies on the boundary.
    Infinite,
}

/// A coefficient after a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficient {
    /// Its full name; that of a parameter of a free table begins with a bracket.
    pub name: String,
    /// Its value: what multiplies its statistic in the energy.
    pub value: f64,
    /// Its standard error times √n for n independent records, where there is one.
    pub spread: Option<f64>,
    /// Whether the value means something.
    pub finding: Finding,
}

impl Coefficient {
    /// Whether it is one of the user's, and not a parameter of a free table.
    pub fn named(&self) -> bool {
        !self.name.starts_with('[')
    }
}

/// The coefficients of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// In the order in which they were written.
    pub coefficients: Vec<Coefficient>,
    /// How many of them are independent.
    pub rank: usize,
    /// Sets of coefficients whose statistics are linearly dependent: any one of them is one too many.
    pub dependencies: Vec<Vec<String>>,
    /// Why there are no standard errors, when there are none.
    pub no_errors: Option<String>,
    /// Σ_x P(x) Σ_i ln Q(x_i | x without i) in nats per unit mass, for fits by pseudo-likelihood, of which no
    /// distribution is computed.
    pub pseudo_likelihood: Option<f64>,
}

/// Where Newton's method has ended.
struct Ending<'a> {
    /// The coefficients.
    names: &'a [String],
    /// φ.
    natural: &'a [f64],
    /// The step that was not taken any more.
    direction: &'a [f64],
    /// Sets of coefficients that depend on each other.
    dependencies: &'a [Vec<usize>],
    /// T.
    temperature: f64,
    /// Whether coefficients are on their way to infinity.
    drifting: bool,
    /// Why there are no standard errors, when there are none.
    no_errors: Option<String>,
}

impl Ending<'_> {
    /// What it says of every coefficient. `spread` is asked for those that have an error.
    fn learned(self, spread: impl Fn(usize) -> Option<f64>) -> Learned {
        let Self { names, natural, direction, dependencies, temperature, drifting, no_errors } = self;
        let largest = direction.iter().fold(0.0f64, |m, d| m.max(d.abs()));
        let coefficient = |(k, name): (usize, &String)| {
            let finding = if dependencies.iter().any(|set| set.contains(&k)) {
                Finding::Undetermined
            } else if drifting && direction[k].abs() > 1e-3 * largest {
                Finding::Infinite
            } else {
                Finding::Found
            };
            let value = match finding {
                Finding::Infinite => -f64::INFINITY.copysign(direction[k]),
                // adding 0 makes a negative zero positive
                _ => -natural[k] * temperature + 0.0,
            };
            let wanted = finding == Finding::Found && no_errors.is_none();
            let spread = if wanted { spread(k) } else { None };
            Coefficient { name: name.clone(), value, spread, finding }
        };
        let named = |set: &Vec<usize>| set.iter().map(|k| names[*k].clone()).collect();
        Learned {
            coefficients: names.iter().enumerate().map(coefficient).collect(),
            rank: names.len() - dependencies.len(),
            dependencies: dependencies.iter().map(named).collect(),
            no_errors,
            pseudo_likelihood: None,
        }
    }
}
