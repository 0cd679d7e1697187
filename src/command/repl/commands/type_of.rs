//! `:type`.

use super::{Command, Takes, shape};
use crate::command::repl::{Next, Repl};
use crate::report::Value;
use crate::report::results::{Object, kind};

pub const COMMAND: Command = Command {
    name: "type",
    aliases: &["t"],
    usage: "type EXPRESSION",
    about: "what an expression is, without showing it",
    takes: Takes::Input,
    run,
};

fn run(repl: &mut Repl, expression: &str) -> Next {
    if expression.is_empty() {
        repl.misuse("of what? write `:type f.marginal(a, b)`");
        return Next::Go;
    }
    match repl.prompt.evaluate(expression) {
        Ok((object, label)) => repl.say(&format!("{label}: {}\n", describe(&object))),
        Err(refused) => repl.refuse(&refused),
    }
    Next::Go
}

fn describe(object: &Object) -> String {
    match object {
        Object::Fit(fit) => {
            format!("a fit to `{}` over {}", fit.tensor.name, shape::of_modes(&fit.fit.model.modes))
        }
        Object::Joint(joint) => {
            format!("a fit to {} over {}", joint.data, shape::of_modes(&joint.joint.model.modes))
        }
        Object::Balanced(balanced) => {
            format!("a balanced tensor over {}", shape::of_modes(&balanced.fit.fit.model.modes))
        }
        Object::Estimate(estimate) => {
            let modes = shape::of_modes(&estimate.modes);
            format!("an estimate of `{}` by `{}` over {modes}", estimate.model, estimate.method)
        }
        Object::Ensemble(ensemble) => {
            format!("the model `{}` over {}", ensemble.model.name, shape::of_modes(&ensemble.model.modes))
        }
        Object::Curve(curve) => format!("a sweep of `{}` over {}", curve.model, curve.over),
        Object::Tensor(tensor) => format!("data over {}", shape::of_modes(&tensor.modes)),
        Object::Value(value) => match value {
            Value::Table(rows) => {
                format!("a table of {} rows with the columns {}", rows.rows.len(), rows.columns.join(", "))
            }
            Value::Array(array) => format!("an array over {}", shape::of_modes(&array.modes)),
            Value::Record(parts) => {
                let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
                format!("a record of {}", names.join(", "))
            }
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Count(_) => "a whole number".into(),
            Value::Null(why) if why.is_empty() => "not defined".into(),
            Value::Null(why) => format!("not defined ({why})"),
            other => kind(other).into(),
        },
    }
}
