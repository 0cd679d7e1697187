//! Whatever a result is, showing it neither fails nor steers the terminal.

use std::sync::Arc;

use mba::model::Mode;
use mba::model::mode::{Level, Levels, Order};
use mba::report::{Array, Rows, Style, Value, json, show};
use num_bigint::BigUint;
use proptest::prelude::*;

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_]{0,12}",
        any::<String>(),
        Just("p_value".to_owned()),
        Just("漢\t字 e\u{301}👩‍👩‍👧".to_owned())
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    let levels = prop_oneof![
        (0usize..60).prop_map(Levels::Counted),
        proptest::collection::vec(word(), 0..8)
            .prop_map(|names| Levels::Listed(Arc::new(names.into_iter().map(Level::Name).collect()))),
        proptest::collection::vec(any::<f64>(), 0..8)
            .prop_map(|numbers| Levels::Listed(Arc::new(numbers.into_iter().map(Level::Number).collect()))),
        proptest::collection::vec(any::<f64>(), 0..5).prop_map(|edges| Levels::Binned(edges.into())),
    ];
    (word(), levels).prop_map(|(name, levels)| Mode { name, levels, order: Order::Nominal })
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -1000f64..1000.0,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(0.0),
        (0u32..999).prop_map(f64::from)
    ]
}

fn array() -> impl Strategy<Value = Value> {
    let values = proptest::collection::vec(number(), 1..50);
    (proptest::collection::vec(mode(), 0..5), values, any::<bool>()).prop_map(|(modes, values, whole)| {
        let cells: usize = modes.iter().map(Mode::size).product();
        // sometimes fewer numbers than there are cells
        let length = if whole && cells <= 100_000 { cells } else { values.len() };
        Value::Array(Array { modes, values: values.iter().copied().cycle().take(length).collect() })
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        word().prop_map(Value::Null),
        any::<bool>().prop_map(Value::Truth),
        any::<[u32; 5]>().prop_map(|digits| Value::Count(BigUint::new(digits.to_vec()))),
        number().prop_map(Value::Number),
        word().prop_map(Value::Text),
        array(),
    ];
    leaf.prop_recursive(3, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec((word(), inner.clone()), 0..5).prop_map(Value::Record),
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            (
                proptest::collection::vec(word(), 0..5),
                proptest::collection::vec(proptest::collection::vec(inner, 0..6), 0..6),
                proptest::collection::vec(word(), 0..3),
            )
                .prop_map(|(columns, rows, notes)| Value::Table(Rows { columns, rows, notes })),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_can_be_shown(label in word(), value in value(), unicode: bool, width in 0usize..140) {
        let shown = show(&label, &value, Style { colour: false, unicode, width });
        prop_assert!(shown.ends_with('\n'));
        let steering = shown.chars().find(|c| c.is_control() && *c != '\n');
        prop_assert_eq!(steering, None);
        serde_json::to_string(&json::Exact(&value)).unwrap();
    }
}

#[test]
fn a_matrix_fits_its_place() {
    for (rows, columns) in [(3, 3), (3, 500), (500, 3), (41, 20), (1, 1), (2, 1), (1, 2)] {
        let values = (0..rows * columns).map(|i| i as f64 / 7.0).collect();
        let modes = vec![Mode::counted("a", rows), Mode::counted("b", columns)];
        let value = Value::Array(Array { modes, values });
        for width in [20, 40, 80, 137] {
            for unicode in [false, true] {
                let shown = show("x", &value, Style { colour: false, unicode, width });
                for line in shown.lines() {
                    assert!(line.chars().count() <= width.max(30), "{rows} × {columns} in {width}:\n{shown}");
                }
                assert!(shown.lines().count() < 50);
            }
        }
    }
}
