//! The strength of each interaction: what the fit loses without it.

use super::Fitted;
use super::statistics::tail;
use crate::model::{EnergyModel, Interaction, Potential, Scope};
use crate::plan::{self, hypergraph};
use crate::report::value::{Rows, Value};
use crate::run::{self, Silent, Status, Stop, Stoppable};
use crate::text::{Code, Diagnostic, Span};

/// For each interaction that no other implies: the KL lost when it is removed and its subsets are kept.
///
/// Each row is a fit of its own, in closed form where the smaller model has one.
pub fn interactions(fits: &[Fitted], stop: &Stop, span: Span) -> Result<Value, Diagnostic> {
    let [Fitted::One(result)] = fits else {
        return Err(Diagnostic::new(Code::MBA105, "`interactions` takes one fit")
            .at(span, "here")
            .help("write `interactions(f)`"));
    };
    let model = &result.fit.model;
    if !model.regular.is_empty() {
        let what = "`interactions` of a model with `smooth`, `tie` or `prior`";
        return Err(crate::model::unsupported(what, span));
    }
    let columns = ["interaction", "kl_lost", "deviance", "df", "p_value", "found"].map(String::from).to_vec();
    let mut rows = Vec::new();
    for generator in hypergraph::maximal(&model.free_scopes()) {
        let smaller = without(model, &generator);
        let options = plan::Options { memory: result.memory, ..plan::Options::default() };
        let profile = plan::Profile::of(&result.tensor);
        let placed = |mut list: Vec<Diagnostic>| match list.pop() {
            Some(first) => first.or_at(span, "asked for here"),
            None => Diagnostic::new(Code::MBA901, "a fit failed without a reason").at(span, "here"),
        };
        let schedule = plan::compile(&smaller, &profile, &options).map_err(placed)?;
        let mut observer = Stoppable { inner: Box::new(Silent), stop: stop.clone() };
        let fit = run::execute(&schedule, &smaller, &result.tensor, &result.control, &mut observer)
            .map_err(placed)?;
        if fit.status == Status::Interrupted {
            let message = format!("`{}` without {} was interrupted", result.name, model.bracket(&generator));
            return Err(Diagnostic::new(Code::MBA511, message)
                .at(span, "asked for here")
                .help("give it more time: there is a fit for each interaction"));
        }
        let lost = (fit.kl - result.fit.kl).max(0.0);
        let deviance = 2.0 * result.fit.total * lost;
        let df = match (super::statistics::df_of(&fit), super::statistics::df_of(&result.fit)) {
            (Ok(small), Ok(large)) if small >= large => small - large,
            _ => num_bigint::BigUint::default(),
        };
        let p = if result.tensor.counts {
            tail(deviance, &df)
        } else {
            Value::Null("the data are not counts".into())
        };
        rows.push(vec![
            Value::Text(model.bracket(&generator)),
            Value::Number(lost),
            Value::Number(deviance),
            Value::Count(df),
            p,
            Value::Text(fit.status.word().into()),
        ]);
    }
    Ok(Value::Table(Rows { columns, rows, notes: Vec::new() }))
}

/// The model with one generator replaced by its largest proper subsets.
fn without(model: &EnergyModel, generator: &Scope) -> EnergyModel {
    let mut smaller = model.clone();
    smaller.interactions.retain(|i| !(matches!(i.potential, Potential::Free) && &i.scope == generator));
    let span =
        model.interactions.iter().find(|i| &i.scope == generator).map_or_else(Span::default, |i| i.span);
    if generator.len() > 1 {
        smaller.interactions.extend(generator.iter().map(|mode| Interaction {
            scope: generator.without(mode),
            potential: Potential::Free,
            span,
        }));
    }
    smaller
}
