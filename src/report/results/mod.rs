//! What can be asked of a fit. One registry line per result; the computations are in the files beside.
//!
//! | registry | what | where |
//! |---|---|---|
//! | [`FIELDS`] | `f.kl`, `f.df`, … | `divergence.rs`, `statistics.rs`, `thermodynamics.rs`, `tensors.rs`, `diagnosis.rs` |
//! | [`METHODS`] | `f.marginal(a, b)`, … | `probabilities.rs`, `statistics.rs`, `tensors.rs` |
//! | [`OBSERVABLES`], [`WHOLES`], [`QUESTIONS`] | `m.heat_capacity`, `m.mean(a * b)`, … of models with known energies | `ensemble.rs`, `quantity.rs`, `sweep.rs` |
//! | [`JOINT_FIELDS`] | `J.divergence`, … of a fit to several tensors | `joint.rs` |
//! | [`BALANCE_FIELDS`] | `B.kl`, … of a balanced tensor | `balanced.rs` |
//! | [`FUNCTIONS`] | `compare(f, g)`, … | `compare.rs`, `interactions.rs` |

mod arguments;
mod balanced;
mod coefficients;
mod compare;
mod completion;
mod critical;
mod diagnosis;
mod divergence;
mod ensemble;
pub mod estimates;
mod evaluate;
mod interactions;
mod joint;
mod probabilities;
mod quantity;
mod statistics;
mod sweep;
mod tensors;
mod thermodynamics;

pub use arguments::{Given, Spans};
pub use balanced::{BALANCE_FIELDS, BalanceField, BalanceResult, places};
pub use completion::HeldOut;
pub use critical::critical;
pub use diagnosis::summary;
pub use ensemble::{OBSERVABLES, Observable, QUESTIONS, Question, TRANSFORMS, WHOLES, Whole};
pub use estimates::EstimateResult;
pub use evaluate::{
    Environment, LAST, Object, check, evaluate, evaluate_ensemble, kind, number, object, tensor_fields,
    thermal, unwrap_model,
};
pub use joint::{JOINT_FIELDS, JointField, JointResult, OF};
pub use statistics::hidden_boundary;
pub use sweep::Curve;
pub use tensors::fitted;

use std::sync::Arc;

use super::value::Value;
use crate::data::Tensor;
use crate::run::{Control, Fit, Stop};
use crate::text::{Diagnostic, Span};

/// A fit under its name, with the data it was fitted to.
#[derive(Debug, Clone)]
pub struct FitResult {
    /// The name it was given.
    pub name: String,
    /// The fit.
    pub fit: Arc<Fit>,
    /// The data.
    pub tensor: Arc<Tensor>,
    /// The joint fit that it is a part of.
    pub joint: Option<Arc<str>>,
    /// What was hidden from it, and the tensor it was hidden from.
    pub held_out: Option<HeldOut>,
    /// How it was asked for, for the fits that some results need besides.
    pub control: Control,
    /// The memory budget in bytes.
    pub memory: u64,
    /// How long it took, by the host's clock.
    pub seconds: f64,
    /// The `fit` statement.
    pub span: Span,
}

/// A result without arguments.
pub struct Field {
    /// Its name after the dot.
    pub name: &'static str,
    /// What it is, with its unit.
    pub about: &'static str,
    /// Computes it.
    pub read: fn(&FitResult) -> Value,
}

/// A result with arguments.
pub struct Method {
    /// Its name after the dot.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
    /// What it is, with its unit.
    pub about: &'static str,
    /// Computes it.
    pub call: fn(&FitResult, &Given<'_>) -> Result<Value, Diagnostic>,
}

/// A fit as functions of fits take it.
#[derive(Debug, Clone)]
pub enum Fitted {
    /// To one tensor, or what a joint fit makes of one.
    One(Box<FitResult>),
    /// To several tensors.
    Joint(Box<JointResult>),
}

/// What a function takes besides fits of one tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// Nothing.
    Nothing,
    /// Joint fits as a whole.
    Wholes,
    /// Joint fits, and what they make of one tensor.
    Parts,
}

impl Joined {
    /// Whether the function takes a fit of this kind.
    pub fn takes(self, fit: &Fitted) -> bool {
        match fit {
            Fitted::One(fit) => fit.joint.is_none() || self == Joined::Parts,
            Fitted::Joint(_) => self != Joined::Nothing,
        }
    }
}

/// A function of whole fits.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub usage: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Which fits to several tensors it takes.
    pub joined: Joined,
    /// Computes it from the fits that are its arguments; fits that it makes itself listen to the wish to stop.
    pub call: fn(&[Fitted], &Stop, Span) -> Result<Value, Diagnostic>,
}

/// Every result without arguments.
pub const FIELDS: &[Field] = &[
    Field { name: "kl", about: "KL(P ‖ Q) of the normalised distributions, in nats", read: divergence::kl },
    Field {
        name: "divergence",
        about: "KL on the data's own scale: kl × total",
        read: divergence::divergence,
    },
    Field { name: "deviance", about: "2 × divergence; G² for counts", read: divergence::deviance },
    Field { name: "df", about: "degrees of freedom: cells − 1 − parameters", read: statistics::df },
    Field {
        name: "df_adjusted",
        about: "degrees of freedom that discount cells and parameters lost to zero marginals",
        read: statistics::df_adjusted,
    },
    Field { name: "parameters", about: "free parameters of the model", read: statistics::parameters },
    Field {
        name: "p_value",
        about: "chance of a deviance at least as large, by χ² with df",
        read: statistics::p_value,
    },
    Field {
        name: "p_value_adjusted",
        about: "the same with df_adjusted",
        read: statistics::p_value_adjusted,
    },
    Field { name: "pearson", about: "Pearson's X²", read: statistics::pearson },
    Field {
        name: "log_likelihood",
        about: "Σ x log q of the counts, in nats",
        read: statistics::log_likelihood,
    },
    Field { name: "aic", about: "−2 log_likelihood + 2 parameters", read: statistics::aic },
    Field { name: "bic", about: "−2 log_likelihood + parameters × ln(total)", read: statistics::bic },
    Field {
        name: "log_z",
        about: "log of the partition function, E(⊥) = 0, in nats",
        read: thermodynamics::log_z,
    },
    Field { name: "free_energy", about: "−T log_z", read: thermodynamics::free_energy },
    Field { name: "energy", about: "mean energy ⟨E⟩", read: thermodynamics::energy },
    Field {
        name: "entropy",
        about: "entropy of the fitted distribution, in nats",
        read: thermodynamics::entropy,
    },
    Field {
        name: "coefficients",
        about: "learned coefficients, with standard errors for counts",
        read: coefficients::coefficients,
    },
    Field {
        name: "pseudo_likelihood",
        about: "mean log probability of each mode given all others, summed over modes, in nats",
        read: coefficients::pseudo_likelihood,
    },
    Field { name: "theta", about: "natural parameters, one row each", read: thermodynamics::theta },
    Field { name: "eta", about: "expectation parameters, one row each", read: thermodynamics::eta },
    Field {
        name: "fitted",
        about: "expected value of every cell, on the data's own scale",
        read: tensors::fitted,
    },
    Field { name: "reconstruction", about: "the same as fitted", read: tensors::fitted },
    Field {
        name: "completed",
        about: "the data, with the model's values in the place of missing ones",
        read: completion::completed,
    },
    Field {
        name: "undetermined",
        about: "levels whose cells the observed ones do not determine",
        read: completion::undetermined,
    },
    Field {
        name: "held_out",
        about: "errors on held-out cells: rmse, mape, mae, kl, unidentified, by level",
        read: completion::held_out,
    },
    Field {
        name: "residuals",
        about: "Pearson residuals (x − m) / √m of every cell",
        read: tensors::residuals,
    },
    Field { name: "total", about: "sum of the data", read: divergence::total },
    Field { name: "cells", about: "number of cells", read: statistics::cells },
    Field { name: "iterations", about: "sweeps made; 0 in closed form", read: diagnosis::iterations },
    Field {
        name: "status",
        about: "closed_form, converged, boundary, stopped, interrupted or approximate",
        read: diagnosis::status,
    },
    Field { name: "time", about: "seconds the fit took", read: diagnosis::time },
    Field {
        name: "certificate",
        about: "marginal gap, and a bound on the distance to the optimum in nats",
        read: diagnosis::certificate,
    },
    Field {
        name: "zero_marginals",
        about: "cells of interactions with no mass in the data",
        read: diagnosis::zero_marginals,
    },
    Field {
        name: "cost",
        about: "operations, bytes and peak memory: predicted and counted",
        read: diagnosis::cost,
    },
];

/// Every result with arguments.
pub const METHODS: &[Method] = &[
    Method {
        name: "marginal",
        usage: "f.marginal(a, b)",
        about: "fitted probability over some modes",
        call: probabilities::marginal,
    },
    Method {
        name: "conditional",
        usage: "f.conditional(a | b: x)",
        about: "fitted probability of some modes given others",
        call: probabilities::conditional,
    },
    Method {
        name: "probability",
        usage: "f.probability(a: x, b: y)",
        about: "fitted probability of levels",
        call: probabilities::probability,
    },
    Method {
        name: "mutual_information",
        usage: "f.mutual_information(a, b)",
        about: "mutual information of two modes or groups `(a, b)`, in nats",
        call: probabilities::mutual_information,
    },
    Method {
        name: "coefficient",
        usage: "f.coefficient(J)",
        about: "the value of one learned coefficient",
        call: coefficients::coefficient,
    },
    Method {
        name: "log_likelihood",
        usage: "f.log_likelihood(Y)",
        about: "Σ y log q of other data, in nats",
        call: statistics::log_likelihood_of,
    },
    Method {
        name: "sample",
        usage: "f.sample(n, seed: 1)",
        about: "n records drawn from the fitted distribution, counted",
        call: tensors::sample,
    },
];

/// Every function of whole fits.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "compare",
        usage: "compare(f, g)",
        about: "fits side by side, with likelihood-ratio tests between nested ones",
        joined: Joined::Wholes,
        call: compare::compare,
    },
    Function {
        name: "plan",
        usage: "plan(f)",
        about: "the schedule of a fit, as `mba plan` prints it",
        joined: Joined::Parts,
        call: diagnosis::plan,
    },
    Function {
        name: "interactions",
        usage: "interactions(f)",
        about: "strength of each interaction: the KL lost without it",
        joined: Joined::Nothing,
        call: interactions::interactions,
    },
];
