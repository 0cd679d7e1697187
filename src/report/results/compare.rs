//! Fits side by side.

use num_bigint::BigUint;
use num_traits::Zero;

use super::divergence::{deviance_of, kl};
use super::joint::field;
use super::statistics::{aic, bic, df_of, p_value, parameters, tail};
use super::{Fitted, Function};
use crate::model::EnergyModel;
use crate::report::value::{Rows, Value};
use crate::run::Stop;
use crate::text::{Code, Diagnostic, Span};

/// What is compared of a fit.
struct Side<'a> {
    name: &'a str,
    /// The data, as they are written.
    data: &'a str,
    model: &'a EnergyModel,
    deviance: f64,
    df: Result<BigUint, String>,
    /// Why deviances have no distribution, where they have none.
    no_counts: Option<String>,
    parameters: Value,
    kl: Value,
    p_value: Value,
    aic: Value,
    bic: Value,
}

impl<'a> Side<'a> {
    fn of(whole: &'a Fitted) -> Self {
        match whole {
            Fitted::One(fit) => Self {
                name: &fit.name,
                data: &fit.tensor.name,
                model: &fit.fit.model,
                deviance: deviance_of(fit),
                df: df_of(&fit.fit),
                no_counts: (!fit.tensor.counts).then(|| "the data are not counts".into()),
                parameters: parameters(fit),
                kl: kl(fit),
                p_value: p_value(fit),
                aic: aic(fit),
                bic: bic(fit),
            },
            Fitted::Joint(joint) => Self {
                name: &joint.name,
                data: &joint.data,
                model: &joint.joint.model,
                deviance: 2.0 * joint.joint.divergence,
                df: joint.df(),
                no_counts: joint.no_counts(),
                parameters: field(joint, "parameters"),
                kl: field(joint, "kl"),
                p_value: field(joint, "p_value"),
                aic: field(joint, "aic"),
                bic: field(joint, "bic"),
            },
        }
    }

    /// Whether its model is contained in that of `large`.
    fn is_nested(&self, large: &Self) -> bool {
        let (a, b) = (self.model.free_scopes(), large.model.free_scopes());
        let contained = |inner: &[crate::model::Scope], outer: &[crate::model::Scope]| {
            inner.iter().all(|s| outer.iter().any(|l| s.is_subset(l)))
        };
        let only_free = |s: &Self| s.model.interactions.len() == s.model.free_scopes().len();
        only_free(self) && only_free(large) && contained(&a, &b) && !contained(&b, &a)
    }

    /// The likelihood-ratio tests against the fits nested in this one.
    fn tests(&self, all: &[Side]) -> Value {
        let columns = ["against", "deviance", "df", "p_value"].map(String::from).to_vec();
        let row = |small: &Side| {
            let deviance = (small.deviance - self.deviance).max(0.0);
            let name = Value::Text(small.name.into());
            let df = match (&small.df, &self.df) {
                (Ok(small), Ok(large)) if small >= large => small - large,
                (Err(reason), _) | (_, Err(reason)) => {
                    let null = || Value::Null(reason.clone());
                    return vec![name, Value::Number(deviance), null(), null()];
                }
                _ => BigUint::zero(),
            };
            let p = self.no_counts.clone().map_or_else(|| tail(deviance, &df), Value::Null);
            vec![name, Value::Number(deviance), Value::Count(df), p]
        };
        let rows = all.iter().filter(|small| small.is_nested(self)).map(row).collect();
        Value::Table(Rows { columns, rows, notes: Vec::new() })
    }
}

/// One row per fit; each row carries the likelihood-ratio tests against the fits nested in it.
pub fn compare(fits: &[Fitted], _: &Stop, span: Span) -> Result<Value, Diagnostic> {
    let usage = super::FUNCTIONS.iter().find(|f| f.name == "compare").map_or("", |f: &Function| f.usage);
    let sides: Vec<Side> = fits.iter().map(Side::of).collect();
    let Some(first) = sides.first() else {
        return Err(Diagnostic::new(Code::MBA105, "nothing to compare")
            .at(span, "here")
            .help(format!("name the fits: `{usage}`")));
    };
    if let Some(other) = sides.iter().find(|f| f.data != first.data) {
        return Err(Diagnostic::new(
            Code::MBA105,
            format!("`{}` and `{}` are fits of different data", first.name, other.name),
        )
        .at(span, format!("`{}` and `{}`", first.data, other.data))
        .help("compare fits of the same data"));
    }
    let columns = ["model", "parameters", "kl", "deviance", "df", "p_value", "aic", "bic", "tests"];
    let row = |side: &Side| {
        vec![
            Value::Text(side.name.into()),
            side.parameters.clone(),
            side.kl.clone(),
            Value::Number(side.deviance),
            side.df.clone().map_or_else(Value::Null, Value::Count),
            side.p_value.clone(),
            side.aic.clone(),
            side.bic.clone(),
            side.tests(&sides),
        ]
    };
    let rows = sides.iter().map(row).collect();
    Ok(Value::Table(Rows { columns: columns.map(String::from).to_vec(), rows, notes: Vec::new() }))
}
