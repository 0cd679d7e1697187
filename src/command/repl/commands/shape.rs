//! `:shape`.

use num_bigint::BigUint;

use super::{Command, Takes};
use crate::command::repl::{Next, Repl};
use crate::model::Mode;
use crate::report::Value;
use crate::report::results::Object;
use crate::session::complete;

pub const COMMAND: Command = Command {
    name: "shape",
    aliases: &[],
    usage: "shape [EXPRESSION]",
    about: "the modes and sizes of data, of a fit or of an array; without one, of all data",
    takes: Takes::Input,
    run,
};

fn run(repl: &mut Repl, expression: &str) -> Next {
    let session = repl.prompt.session();
    if expression.is_empty() {
        let lines: String = complete::tensors(session).iter().filter_map(|n| of_data(repl, n)).collect();
        repl.say(if lines.is_empty() { "no data are declared\n" } else { &lines });
        return Next::Go;
    }
    if let Some(line) = of_data(repl, expression) {
        repl.say(&line);
        return Next::Go;
    }
    match repl.prompt.evaluate(expression) {
        Ok((object, label)) => match of(&object) {
            Some(shape) => repl.say(&format!("{label}: {shape}\n")),
            None => repl.misuse(&format!("`{label}` has no shape; `:type {label}` says what it is")),
        },
        Err(refused) => repl.refuse(&refused),
    }
    Next::Go
}

/// The shape of data, from their header alone.
fn of_data(repl: &Repl, name: &str) -> Option<String> {
    let session = repl.prompt.session();
    if complete::fits(session).iter().any(|f| f == name) {
        return None;
    }
    let modes: Vec<Mode> =
        session.bound.get(name)?.modes.iter().filter_map(|m| session.known.get(m).cloned()).collect();
    Some(format!("{name}: {}\n", of_modes(&modes)))
}

fn of(object: &Object) -> Option<String> {
    match object {
        Object::Fit(fit) => Some(of_modes(&fit.fit.model.modes)),
        Object::Joint(joint) => Some(of_modes(&joint.joint.model.modes)),
        Object::Balanced(balanced) => Some(of_modes(&balanced.fit.fit.model.modes)),
        Object::Estimate(estimate) => Some(of_modes(&estimate.modes)),
        Object::Ensemble(ensemble) => Some(of_modes(&ensemble.model.modes)),
        Object::Curve(curve) => Some(format!("{} points", curve.points.len())),
        Object::Tensor(tensor) => Some(of_modes(&tensor.modes)),
        Object::Value(Value::Array(array)) => Some(of_modes(&array.modes)),
        Object::Value(Value::Table(rows)) => {
            Some(format!("{} rows × {} columns", rows.rows.len(), rows.columns.len()))
        }
        Object::Value(Value::List(items)) => Some(items.len().to_string()),
        Object::Value(_) => None,
    }
}

/// Modes with their sizes, and the number of cells: `hair 4 × eye 4 = 16`.
pub fn of_modes(modes: &[Mode]) -> String {
    let parts: Vec<String> = modes.iter().map(|m| format!("{} {}", m.name, m.size())).collect();
    let cells: BigUint = modes.iter().map(|m| BigUint::from(m.size())).product();
    if parts.len() == 1 { parts.concat() } else { format!("{} = {cells}", parts.join(" × ")) }
}
