//! Results to show, with the numbers of the hair and eye colour data.
#![allow(dead_code)] // each test file uses some of these

use std::sync::Arc;

use mba::model::Mode;
use mba::model::mode::{Level, Levels, Order};
use mba::report::{Array, Rows, Value};
use num_bigint::BigUint;

/// Both sexes together.
pub const PEOPLE: [[f64; 4]; 4] =
    [[68.0, 20.0, 15.0, 5.0], [119.0, 84.0, 54.0, 29.0], [26.0, 17.0, 14.0, 14.0], [7.0, 94.0, 10.0, 16.0]];

pub fn listed(name: &str, levels: &[&str]) -> Mode {
    let levels = levels.iter().map(|level| Level::Name((*level).to_owned())).collect();
    Mode { name: name.into(), levels: Levels::Listed(Arc::new(levels)), order: Order::Nominal }
}

pub fn hair() -> Mode {
    listed("hair", &["Black", "Brown", "Red", "Blond"])
}

pub fn eye() -> Mode {
    listed("eye", &["Brown", "Blue", "Hazel", "Green"])
}

pub fn sex() -> Mode {
    sex_of("sex")
}

pub fn sex_of(name: &str) -> Mode {
    listed(name, &["Male", "Female"])
}

pub fn counted(name: &str, size: usize) -> Mode {
    Mode::counted(name, size)
}

pub fn array(modes: &[Mode], value: impl Fn(&[usize]) -> f64) -> Value {
    let cells = modes.iter().map(Mode::size).product();
    let values = (0..cells).map(|cell| {
        let mut rest = cell;
        let mut index: Vec<usize> = modes
            .iter()
            .rev()
            .map(|mode| {
                let i = rest % mode.size();
                rest /= mode.size();
                i
            })
            .collect();
        index.reverse();
        value(&index)
    });
    Value::Array(Array { modes: modes.to_vec(), values: values.collect() })
}

pub fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub fn null(why: &str) -> Value {
    Value::Null(why.to_owned())
}

pub fn count(n: u32) -> Value {
    Value::Count(BigUint::from(n))
}

pub fn big(digits: &str) -> BigUint {
    digits.parse().unwrap()
}

/// A row of `compare`: the numbers are the deviance, its p-value, AIC and BIC.
fn row(name: &str, parameters: u32, df: u32, [deviance, p, aic, bic]: [f64; 4], tests: Value) -> Vec<Value> {
    let kl = Value::Number(deviance / 2.0 / 592.0);
    let number = Value::Number;
    vec![
        text(name),
        count(parameters),
        kl,
        number(deviance),
        count(df),
        number(p),
        number(aic),
        number(bic),
        tests,
    ]
}

fn tests(rows: &[(&str, f64, u32, f64)]) -> Value {
    let row = |(name, deviance, df, p): &(&str, f64, u32, f64)| {
        vec![text(name), Value::Number(*deviance), count(*df), Value::Number(*p)]
    };
    Value::Table(Rows {
        columns: ["within", "deviance", "df", "p_value"].map(String::from).to_vec(),
        rows: rows.iter().map(row).collect(),
        notes: vec![],
    })
}

/// What `compare(independent, by_sex, pairwise)` is.
pub fn compared() -> Value {
    let columns = ["model", "parameters", "kl", "deviance", "df", "p_value", "aic", "bic", "tests"];
    let to_pairwise = [("by_sex", 146.443_587, 9, 4.56e-27), ("pairwise", 159.538_897, 15, 2.1e-26)];
    let to_last = [("pairwise", 13.095_31, 6, 0.041_6)];
    Value::Table(Rows {
        columns: columns.map(String::from).to_vec(),
        rows: vec![
            row("independent", 8, 24, [166.300_147, 1.2e-23, 3_634.981_2, 3_670.050_1], tests(&to_pairwise)),
            row("by_sex", 17, 15, [19.856_56, 0.177_504, 3_506.537_6, 3_581.059_0], tests(&to_last)),
            row("pairwise", 23, 9, [6.761_258, 0.661_921, 3_505.442_3, 3_606.265_4], tests(&[])),
        ],
        notes: vec!["592 observations in 32 cells".into()],
    })
}

/// A record with a number, an undefined number and deeper parts.
pub fn certified() -> Value {
    Value::Record(vec![
        ("marginal_gap".into(), Value::Number(3.141e-12)),
        ("optimality_gap".into(), null("the optimum lies on the boundary")),
        ("p_value".into(), Value::Number(0.0)),
        ("status".into(), text("boundary")),
        (
            "worst".into(),
            Value::Record(vec![
                ("generator".into(), text("[hair eye]")),
                ("cell".into(), Value::List(vec![text("Black"), text("Blue")])),
            ]),
        ),
        ("gaps".into(), array(&[hair()], |i| 1e-12 * (1 + i[0]) as f64)),
        (
            "table".into(),
            Value::Table(Rows {
                columns: vec!["generator".into(), "gap".into(), "bound".into()],
                rows: vec![
                    vec![text("[hair eye]"), Value::Number(1e-13), null("no bound at the boundary")],
                    vec![text("[hair sex]"), Value::Number(0.0), null("never needed")],
                    vec![text("[eye sex]"), null("never needed"), Value::Number(0.5)],
                ],
                notes: vec![],
            }),
        ),
    ])
}
