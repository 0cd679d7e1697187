//! The methods a fit can name with `by`: one line each in [`METHODS`].

use crate::model::EnergyModel;
use crate::text::{Code, Diagnostic, Span, suggest};

use super::options::Profile;

/// What the loop of an iterated atom does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Solver {
    /// Proportional fitting, accelerated where it is slow.
    #[default]
    Auto,
    /// Proportional fitting and nothing else.
    Ipf,
    /// Newton's method after a few sweeps.
    Newton,
    /// No sums over more than one mode, for learned coefficients.
    PseudoLikelihood,
    /// The published approximation of a matrix of rank one with unknown cells.
    A1gm,
}

/// A method of fitting.
#[derive(Debug)]
pub struct Method {
    /// The word after `by`.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Why it cannot fit this model to data like these; none when it can.
    pub refuses: fn(&EnergyModel, &Profile) -> Option<String>,
    /// Whether it can fit several tensors at once.
    pub several: bool,
    /// What the schedule's loops do.
    pub solver: Solver,
}

/// Every method.
pub const METHODS: &[Method] = &[
    Method {
        name: "auto",
        about: "chosen by the compiler: closed forms, accelerated proportional fitting, Newton's method where it is slow",
        refuses: anything,
        several: true,
        solver: Solver::Auto,
    },
    Method {
        name: "ipf",
        about: "iterative proportional fitting, never accelerated",
        refuses: sweeps,
        several: true,
        solver: Solver::Ipf,
    },
    Method {
        name: "newton",
        about: "Newton's method with conjugate gradients in marginal space, after three sweeps",
        refuses: anything,
        several: true,
        solver: Solver::Newton,
    },
    Method {
        name: "pseudo_likelihood",
        about: "learned coefficients by the likelihood of each mode given the others: another estimate, without sums over all cells",
        refuses: no_coefficients,
        several: false,
        solver: Solver::PseudoLikelihood,
    },
    Method {
        name: "a1gm",
        about: "a matrix of rank one with missing cells by a published formula, the optimum only where the missing cells fill a block: for comparison",
        refuses: other_than_rank_one,
        several: false,
        solver: Solver::A1gm,
    },
];

/// For a method of matrices of rank one with unknown cells.
fn other_than_rank_one(model: &EnergyModel, profile: &Profile) -> Option<String> {
    let applies = super::rank_one::applies(model, profile);
    (!applies).then(|| "it takes `body(1)` over two modes, and a mask over both".into())
}

/// For methods that fit whatever the compiler can plan.
fn anything(_: &EnergyModel, _: &Profile) -> Option<String> {
    None
}

/// Proportional fitting matches marginals, and those of tables that are smooth, tied or leaning do not match.
fn sweeps(model: &EnergyModel, _: &Profile) -> Option<String> {
    if !model.regular.is_empty() {
        return Some("it says `smooth`, `tie` or `prior` of its tables, which takes Newton steps".into());
    }
    let names = model.coefficients();
    names.first().map(|c| format!("it has the learned coefficient `{c}`"))
}

/// For methods of learned coefficients.
fn no_coefficients(model: &EnergyModel, _: &Profile) -> Option<String> {
    if !model.support.is_empty() {
        return Some("some of its cells cannot occur".into());
    }
    let count = model.coefficients().len();
    if count == 0 {
        return Some("it has no learned coefficients".into());
    }
    (count as f64 > super::cost::DENSE).then(|| format!("{count} coefficients are more than it can take"))
}

/// The method of that name.
///
/// # Errors
/// MBA102 where there is none; `span` is where it was named.
pub fn find(name: &str, span: Span) -> Result<&'static Method, Diagnostic> {
    if let Some(method) = METHODS.iter().find(|m| m.name == name) {
        return Ok(method);
    }
    let report = Diagnostic::new(Code::MBA102, format!("there is no method `{name}`"));
    Err(suggest::instead(report, (name, span), METHODS.iter().map(|m| m.name), ("method", "by "), || {
        let list: Vec<String> = METHODS.iter().map(|m| format!("`{}` ({})", m.name, m.about)).collect();
        format!("the methods are {}", list.join(", "))
    }))
}

/// Whether a method can fit a model to data of this profile, of one tensor or of `several`.
///
/// # Errors
/// MBA520 with the reason; `span` is where it was named.
pub fn check(
    method: &Method,
    model: &EnergyModel,
    profile: &Profile,
    several: bool,
    span: Span,
) -> Result<(), Diagnostic> {
    let alone = || (several && !method.several).then(|| "it is for one tensor at a time".to_string());
    match alone().or_else(|| (method.refuses)(model, profile)) {
        None => Ok(()),
        Some(reason) => {
            let message = format!("`by {}` cannot fit `{}`: {reason}", method.name, model.name);
            Err(Diagnostic::new(Code::MBA520, message)
                .at(span, "asked for here")
                .help("write `by auto`, or leave it out"))
        }
    }
}
