//! Numbers for people keep their value; numbers for programs keep every digit.

mod report_values;

use mba::report::number::*;
use mba::report::{Rows, Value, json};
use proptest::prelude::*;
use report_values::*;

#[test]
fn numbers_on_their_own() {
    let shown = |x: f64| number(x);
    assert_eq!(shown(0.0), "0");
    assert_eq!(shown(1.0), "1");
    assert_eq!(shown(-2.5), "-2.5");
    assert_eq!(shown(1e-4), "0.0001");
    assert_eq!(shown(9.999e-5), "9.999e-5");
    assert_eq!(shown(0.000_123_456_789), "0.0001234568");
    assert_eq!(shown(999_999_999.4), "1e9");
    assert_eq!(shown(123_456_789.0), "123456789");
    assert_eq!(shown(1e9), "1e9");
    assert_eq!(shown(-1.5e300), "-1.5e300");
    assert_eq!(shown(0.999_999_999), "1");
    assert_eq!(shown(f64::MIN_POSITIVE), "2.225074e-308");
    assert_eq!(shown(5e-324), "4.940656e-324");
    assert_eq!(shown(f64::NAN), "nan");
}

#[test]
fn every_digit() {
    assert_eq!(digits(0.1 + 0.2), "0.30000000000000004");
    assert_eq!(digits(1e23), "1e23");
    assert_eq!(digits(-0.000_01), "-1e-5");
    assert_eq!(digits(100.0), "100");
    assert_eq!(digits(f64::INFINITY), "inf");
}

fn shown(column: &[f64]) -> Vec<String> {
    let decimals = decimals(column.iter().copied());
    column.iter().map(|x| in_column(*x, decimals)).collect()
}

#[test]
fn columns() {
    assert_eq!(shown(&[166.300_147, 19.856_561, 6.761_252]), ["166.3001", "19.8566", "6.7613"]);
    assert_eq!(shown(&[1.0, 20.0, -3.0]), ["1", "20", "-3"]);
    assert_eq!(shown(&[0.5, 0.25, 0.0]), ["0.50", "0.25", "0"]);
    assert_eq!(shown(&[1e-12, 1.0, 0.5]), ["1e-12", "1.0", "0.5"]);
    assert_eq!(shown(&[1e-12, 1.234_567_8e-9]), ["1e-12", "1.235e-9"]);
    assert_eq!(shown(&[12_345_678.5, 0.001_234_5]), ["12345678.5000", "0.0012"]);
    assert_eq!(shown(&[f64::INFINITY, 0.1]), ["inf", "0.1"]);
    assert_eq!(shown(&[]), Vec::<String>::new());
}

#[test]
fn sizes_and_times() {
    assert_eq!(bytes(0.0), "0 B");
    assert_eq!(bytes(1023.0), "1023 B");
    assert_eq!(bytes(1024.0), "1 KiB");
    assert_eq!(bytes(1_048_575.0), "1 MiB");
    assert_eq!(bytes(12.34 * 1024.0 * 1024.0 * 1024.0), "12.3 GiB");
    assert_eq!(bytes(1e30), "8.673617e11 EiB");
    assert_eq!(operations(0.0), "0");
    assert_eq!(operations(999_950.0), "1 M");
    assert_eq!(operations(1.25e13), "12.5 T");
    assert_eq!(operations(f64::INFINITY), "inf");
    assert_eq!(seconds(0.000_05), "0.05 ms");
    assert_eq!(seconds(0.9999), "1 s");
    assert_eq!(seconds(59.97), "1 min 0 s");
    assert_eq!(seconds(7_260.0), "2 h 1 min");
    assert_eq!(p_value(1.0), "1");
    assert_eq!(p_value(0.000_314_159), "0.0003142");
    assert_eq!(p_value_in_column(0.05), "0.0500");
}

#[test]
fn json_is_exact() {
    let value = |value| serde_json::to_string(&json::value(&value)).unwrap();
    assert_eq!(value(Value::Number(0.1 + 0.2)), "0.30000000000000004");
    assert_eq!(value(Value::Number(f64::MAX)), "1.7976931348623157e+308");
    assert_eq!(value(Value::Number(f64::NEG_INFINITY)), "null");
    assert_eq!(value(null("why")), "null");
    let digits = "9".repeat(120);
    assert_eq!(value(Value::Count(big(&digits))), digits);
    assert_eq!(
        value(array(&[sex(), counted("k", 3)], |i| (10 * i[0] + i[1]) as f64)),
        "[[0.0,1.0,2.0],[10.0,11.0,12.0]]"
    );
    assert_eq!(value(array(&[], |_| 2.5)), "2.5");
    assert_eq!(value(array(&[sex()], |i| [f64::NAN, 1.0][i[0]])), "[null,1.0]");
    let table = Rows {
        columns: vec!["model".into(), "df".into()],
        rows: vec![vec![text("a"), count(9)], vec![text("b")]],
        notes: vec![],
    };
    assert_eq!(value(Value::Table(table)), r#"[{"model":"a","df":9},{"model":"b","df":null}]"#);
    insta::assert_snapshot!(serde_json::to_string_pretty(&json::value(&compared())).unwrap());
    insta::assert_snapshot!(serde_json::to_string_pretty(&json::value(&certified())).unwrap());
}

#[test]
fn json_can_be_written_without_a_tree() {
    for value in [compared(), certified()] {
        let streamed = serde_json::to_string(&json::Exact(&value)).unwrap();
        assert_eq!(streamed, serde_json::to_string(&json::value(&value)).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn json_numbers_come_back(bits: u64) {
        let x = f64::from_bits(bits);
        let text = serde_json::to_string(&json::value(&Value::Number(x))).unwrap();
        // reading straight into an `f64` is allowed to be off by a digit, reading the text is not
        let back = match serde_json::from_str(&text).unwrap() {
            serde_json::Value::Number(number) => number.as_f64(),
            _ => None,
        };
        if x.is_finite() {
            prop_assert_eq!(back.map(f64::to_bits), Some(bits));
            prop_assert_eq!(digits(x).parse::<f64>(), Ok(x));
        } else {
            prop_assert_eq!(back, None);
        }
    }

    #[test]
    fn shown_numbers_are_close(bits: u64) {
        let x = f64::from_bits(bits);
        prop_assume!(x.is_finite());
        let back: f64 = number(x).parse().unwrap();
        prop_assert!((back / x - 1.0).abs() <= 5.1e-7 || (back - x).abs() <= 1e-323, "{x:e} {back:e}");
    }

    #[test]
    fn no_number_in_a_column_becomes_zero(column in proptest::collection::vec(-12f64..12.0, 1..8)) {
        let column: Vec<f64> = column.iter().map(|x| 10f64.powf(x.abs()) * x.signum() / 1e6).collect();
        for (text, x) in shown(&column).iter().zip(&column) {
            let back: f64 = text.parse().unwrap();
            prop_assert!((back / x - 1.0).abs() <= 0.051, "{x:e} is shown as {text}");
        }
    }
}
