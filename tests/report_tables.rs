//! Results as text: what a person sees.

mod report_values;

use insta::assert_snapshot;
use mba::report::{Rows, Style, Value, show};
use report_values::*;

const PLAIN: Style = Style { colour: false, width: 100, unicode: true };
const ASCII: Style = Style { unicode: false, ..PLAIN };

#[test]
fn compare() {
    assert_snapshot!(show("compare(independent, by_sex, pairwise)", &compared(), PLAIN));
}

#[test]
fn compare_in_ascii() {
    assert_snapshot!(show("compare(independent, by_sex, pairwise)", &compared(), ASCII));
}

#[test]
fn compare_in_colour() {
    assert_snapshot!(show(
        "compare(independent, by_sex, pairwise)",
        &compared(),
        Style { colour: true, ..PLAIN }
    ));
}

#[test]
fn compare_in_a_narrow_place() {
    assert_snapshot!(show(
        "compare(independent, by_sex, pairwise)",
        &compared(),
        Style { width: 50, ..PLAIN }
    ));
}

#[test]
fn scalars() {
    let shown: String = [
        ("independent.deviance", Value::Number(166.300147294)),
        ("independent.p_value", Value::Number(1e-23)),
        ("pairwise.p_value", Value::Number(0.661_892_3)),
        ("pairwise.log_likelihood", Value::Number(-1_234.567_891_2)),
        ("melt.energy", Value::Number(f64::NEG_INFINITY)),
        ("x.kl", Value::Number(3.2e-12)),
        ("x.cells", Value::Count(big("123456789012345678901234567890"))),
        ("x.bic", null("the data are not counts")),
        ("x.total", null("")),
        ("x.status", text("boundary")),
        ("x.converged", Value::Truth(true)),
        ("x.title", text("two\nlines \u{1b}[31mred")),
        ("x.sizes", Value::List(vec![count(4), count(5)])),
        ("x.log_z", array(&[], |_| 0.25)),
    ]
    .iter()
    .map(|(label, value)| show(label, value, PLAIN))
    .collect();
    assert_snapshot!(shown);
}

#[test]
fn certificate() {
    assert_snapshot!(show("by_sex.certificate", &certified(), PLAIN));
}

#[test]
fn one_mode_in_a_line() {
    assert_snapshot!(show(
        "people.marginal(hair)",
        &array(&[hair()], |i| [108.0, 286.0, 71.0, 127.0][i[0]]),
        PLAIN
    ));
}

#[test]
fn one_mode_as_a_list() {
    let value = array(&[counted("day", 15)], |i| 1.0 / (1.0 + i[0] as f64));
    assert_snapshot!(show("flow.marginal(day)", &value, PLAIN));
}

#[test]
fn two_modes() {
    let value = array(&[hair(), eye()], |i| PEOPLE[i[0]][i[1]] * 1.234_567);
    assert_snapshot!(show("pairwise.fitted", &value, PLAIN));
}

#[test]
fn three_modes() {
    let value = array(&[hair(), eye(), sex()], |i| PEOPLE[i[0]][i[1]] * (0.25 + 0.5 * i[2] as f64));
    assert_snapshot!(show("people", &value, PLAIN));
}

#[test]
fn four_modes() {
    let value = array(&[sex(), sex_of("parent"), counted("a", 2), counted("b", 2)], |i| {
        i.iter().fold(0.0, |n, d| 2.0 * n + *d as f64)
    });
    assert_snapshot!(show("x", &value, ASCII));
}

#[test]
fn holes_and_infinities() {
    let value = array(&[sex(), counted("k", 5)], |i| match i[1] {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => -1.5e-9,
        3 => 0.0,
        _ => -12.25,
    });
    assert_snapshot!(show("x.theta", &value, PLAIN));
}

#[test]
fn large_matrix() {
    let value =
        array(&[counted("station", 80), counted("slot", 108)], |i| ((i[0] * 131 + i[1] * 17) % 997) as f64);
    assert_snapshot!(show("flow", &value, Style { width: 80, ..PLAIN }));
}

#[test]
fn large_tensor() {
    let value = array(&[counted("station", 20), counted("day", 4), counted("slot", 108)], |i| {
        (i[0] * i[1] + i[2]) as f64
    });
    assert_snapshot!(show("flow", &value, ASCII));
}

#[test]
fn wide_characters() {
    let names = mba::model::Mode {
        name: "都市".into(),
        ..listed("x", &["東京", "São Paulo", "Zürich", "e\u{301}"])
    };
    let value = array(&[names.clone(), sex()], |i| (10 * i[0] + i[1]) as f64);
    assert_snapshot!(show("人口", &value, PLAIN));
}

#[test]
fn long_words_fold() {
    let table = Rows {
        columns: vec!["code".into(), "what it says".into(), "n".into()],
        rows: vec![
            vec![
                text("MBA101"),
                text(
                    "no mode, data set or model of this name is declared anywhere in the file, and none is imported",
                ),
                count(3),
            ],
            vec![text("MBA501"), text("over the memory budget"), count(12)],
        ],
        notes: vec![
            "codes can be allowed or denied per line and per run, as the page of each of them explains"
                .into(),
        ],
    };
    assert_snapshot!(show("codes", &Value::Table(table), Style { width: 60, ..PLAIN }));
}

#[test]
fn no_rows() {
    let table = Rows { columns: vec!["model".into(), "kl".into()], rows: vec![], notes: vec![] };
    assert_snapshot!(show("compare()", &Value::Table(table), PLAIN));
}

#[test]
fn long_table() {
    let rows =
        (0..500).map(|i| vec![Value::Number(1.0 + f64::from(i) * 0.05), Value::Number(f64::from(i).sqrt())]);
    let table =
        Rows { columns: vec!["temperature".into(), "energy".into()], rows: rows.collect(), notes: vec![] };
    let shown = show("melt", &Value::Table(table), PLAIN);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 3 + 200 + 1 + 1);
    assert_snapshot!(lines[150..160].join("\n"));
    assert_snapshot!(lines[lines.len() - 3..].join("\n"));
}

#[test]
fn ragged_and_mismatched_values_are_shown_as_undefined() {
    let table =
        Rows { columns: vec!["a".into(), "b".into()], rows: vec![vec![], vec![count(1)]], notes: vec![] };
    let mut short = match array(&[hair(), eye()], |_| 1.0) {
        Value::Array(array) => array,
        _ => unreachable!(),
    };
    short.values = vec![1.0, 2.0].into();
    assert_snapshot!(show("t", &Value::Table(table), PLAIN) + &show("x", &Value::Array(short), PLAIN));
}
