//! Every format, read as a person would expect it to be.

mod arrays;
mod data_support;

use std::io::Cursor;

use arrays::npy;
use data_support::*;
use mba::data::{Amount, Binding, Format, Layout, Literal, Role, Source, Storage, Values, inspect, read};
use mba::model::{Level, Levels, Mode};
use ndarray::{Array2, Array3, ShapeBuilder, arr1, arr2};
use ndarray_npy::NpzWriter;

/// An array written by hand, as the writer above knows only native byte order and version 1.
fn raw(version: u8, descr: &str, fortran: &str, shape: &str, cells: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes()),
        _ => bytes.extend(u32::try_from(header.len()).unwrap().to_le_bytes()),
    }
    bytes.extend(header.as_bytes());
    bytes.extend(cells);
    bytes
}

fn on(bytes: Vec<u8>, modes: &[&str]) -> mba::data::Tensor {
    tensor(&from_file("a.npy", modes), &Memory::with("a.npy", bytes))
}

fn labels(mode: &Mode) -> Vec<String> {
    (0..mode.size()).map(|i| mode.label(i).into_owned()).collect()
}

#[test]
fn arrays_of_every_type_version_and_order() {
    let expected = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0];
    macro_rules! native {
        ($($t:ty)*) => { $(
            let array = Array2::from_shape_fn((2, 3), |(i, j)| expected[3 * i + j] as $t);
            let x = on(npy(&array), &["a", "b"]);
            assert_eq!(cells(&x), expected, stringify!($t));
            assert_eq!((x.total, x.counts), (4.0, true));
        )* };
    }
    native!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);
    let bits = Array2::from_shape_fn((2, 3), |(i, j)| expected[3 * i + j] == 1.0);
    assert_eq!(cells(&on(npy(&bits), &["a", "b"])), expected);

    let big: Vec<u8> = [3u16, 500].iter().flat_map(|x| x.to_be_bytes()).collect();
    assert_eq!(cells(&on(raw(2, ">u2", "False", "(2,)", &big), &["a"])), [3.0, 500.0]);
    let big: Vec<u8> = [0.5f64, 2e10].iter().flat_map(|x| x.to_be_bytes()).collect();
    assert_eq!(cells(&on(raw(3, ">f8", "False", "(2L,)", &big), &["a"])), [0.5, 2e10]);
    // 1, 0.5, 65504, the smallest subnormal
    let halves: Vec<u8> = [0x3c00u16, 0x3800, 0x7bff, 1].iter().flat_map(|x| x.to_le_bytes()).collect();
    let x = on(raw(1, "<f2", "False", "(4,)", &halves), &["a"]);
    assert_eq!(cells(&x), [1.0, 0.5, 65504.0, 2f64.powi(-24)]);
    assert!(!x.counts);

    let by_first: Vec<u8> = (1..=6u8).collect();
    let request = from_file("a.npy", &["a", "b"]);
    let files = Memory::with("a.npy", raw(1, "|u1", "True", "(2, 3)", &by_first));
    let (header, loaded) = load(&request, &files).unwrap();
    assert_eq!(header.layout, Some(Layout::FirstFastest));
    assert_eq!(cells(&loaded.tensor), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
}

#[test]
fn numbers_are_not_copied_when_they_need_not_be() {
    let array = Array3::from_shape_fn((3, 4, 5), |(i, j, k)| (i + j + k) as f64);
    let bytes = npy(&array);
    for shift in 0..8 {
        // the same file at another place in memory
        let padded: Vec<u8> = std::iter::repeat_n(0, shift).chain(bytes.iter().copied()).collect();
        struct Tail(Vec<u8>, usize);
        impl AsRef<[u8]> for Tail {
            fn as_ref(&self) -> &[u8] {
                &self.0[self.1..]
            }
        }
        struct One(mba::data::Content);
        impl mba::data::Files for One {
            fn open(&self, _: &str) -> std::io::Result<mba::data::Content> {
                Ok(self.0.clone())
            }
        }
        let content = mba::data::Content::mapped(Tail(padded, shift));
        let range = content.bytes().as_ptr_range();
        let (start, end) = (range.start as usize, range.end as usize);
        let request = from_file("a.npy", &["a", "b", "c"]);
        let header = inspect(&request, &One(content)).unwrap();
        let loaded = read(&request, &header, &header.modes()).unwrap();
        check(&header, &loaded.tensor);
        let Storage::Dense(dense) = &*loaded.tensor.storage else { panic!("dense") };
        let Values::F64(values) = &dense.values else { panic!("f64") };
        let inside = (start..end).contains(&(values.as_ptr() as usize));
        assert_eq!(inside, header.profile.mapped);
        assert_eq!(header.profile.bytes, if inside { 0 } else { 60 * 8 });
        assert_eq!(values.to_vec(), array.iter().copied().collect::<Vec<_>>());
        let aligned = (start + bytes.len() - 480) % 8 == 0;
        assert_eq!(inside, aligned);
    }
}

#[test]
fn a_file_is_known_by_name_or_by_its_first_bytes() {
    let bytes = npy(&arr1(&[1u8, 2]));
    let files = Memory::with("-", bytes.clone()).and("data", bytes.clone()).and("wrong.csv", bytes);
    for path in ["-", "data"] {
        assert_eq!(cells(&tensor(&from_file(path, &["a"]), &files)), [1.0, 2.0]);
    }
    assert_eq!(cells(&tensor(&from_file("wrong.csv", &["a"]).format(Format::Npy), &files)), [1.0, 2.0]);
    let files = Memory::with("-", "1 5\n2 6\n");
    assert_eq!(cells(&tensor(&from_file("-", &["a"]).format(Format::Tns), &files)), [5.0, 6.0]);
    let files = Memory::with("-", "a\nx\nx\n");
    assert_eq!(cells(&tensor(&from_file("-", &["a"]), &files)), [2.0]);
    assert_eq!(Format::named("tsv"), Some(Format::Table));
    assert_eq!(Format::named("nope"), None);
}

#[test]
fn archives() {
    for compressed in [false, true] {
        let out = Cursor::new(Vec::new());
        let mut writer = if compressed { NpzWriter::new_compressed(out) } else { NpzWriter::new(out) };
        writer.add_array("flow", &arr2(&[[1u16, 2], [3, 4]])).unwrap();
        writer.add_array("seen", &arr1(&[1.0f64])).unwrap();
        let files = Memory::with("a.npz", writer.finish().unwrap().into_inner());
        let request = from_file("a.npz", &["a", "b"]).key("flow");
        assert_eq!(cells(&tensor(&request, &files)), [1.0, 2.0, 3.0, 4.0]);
        let request = from_file("a.npz", &["a"]).key("seen.npy");
        assert_eq!(cells(&tensor(&request, &files)), [1.0]);
    }
    let mut writer = NpzWriter::new(Cursor::new(Vec::new()));
    writer.add_array("only", &arr1(&[7i64])).unwrap();
    let files = Memory::with("a", writer.finish().unwrap().into_inner());
    assert_eq!(cells(&tensor(&from_file("a", &["a"]), &files)), [7.0]);
}

#[test]
fn tables_of_cells_and_of_records() {
    let text =
        "\u{feff}\"Hair\";Augenfarbe ß;Freq\r\nBlack;Brown;3\r\n\r\nRed;\"Blue;ish\";2\r\nBlack;Brown;4\r\n";
    let files = Memory::with("h.txt", text);
    let request = from_file("h.txt", &["eye", "hair"]).column(0, "augenfarbe ß").count("freq");
    let (header, loaded) = load(&request, &files).unwrap();
    assert_eq!(header.format, "csv");
    assert_eq!(header.rows, Some(Amount::Exactly(3)));
    assert_eq!(header.axes[0].binding, Binding::Column { column: 1, ignoring_case: true });
    assert_eq!(header.columns[2].role, Role::Count);
    let x = loaded.tensor;
    assert_eq!(labels(&x.modes[0]), ["Brown", "Blue;ish"]);
    assert_eq!(labels(&x.modes[1]), ["Black", "Red"]);
    assert_eq!(cells(&x), [7.0, 0.0, 0.0, 2.0]);
    assert!(matches!(&*x.storage, Storage::Dense(_)));

    let request = from_file("h.txt", &["Hair"]);
    let (header, loaded) = load(&request, &files).unwrap();
    assert_eq!(header.axes[0].binding, Binding::Column { column: 0, ignoring_case: false });
    assert_eq!(cells(&loaded.tensor), [2.0, 1.0]);
    assert!(matches!(&*loaded.tensor.storage, Storage::Sparse(_)));
    assert!(header.notes[0].contains("`count Freq`"), "{:?}", header.notes);
}

#[test]
fn only_the_first_line_is_looked_at_when_levels_are_declared() {
    let files = Memory::with("h.csv", "a,b\nx,1\ny,oops\nx,1,2\n");
    let request = from_file("h.csv", &["a"]).levels(0, &["x", "y"]).sum("b");
    let header = inspect(&request, &files).unwrap();
    assert!(matches!(header.rows, Some(Amount::AtMost(n)) if n >= 3));
    assert!(read(&request, &header, &header.modes()).is_err());
}

#[test]
fn levels_of_numbers_are_in_numeric_order_and_others_in_order_of_appearance() {
    let files = Memory::with(
        "h.csv",
        "a,b,c,d\n10,x,9007199254740993,nan\n2,10,9007199254740992,1\n1.5,2,1,2\n-1,x,1,2\n2.0,x,1,2\n",
    );
    let x = tensor(&from_file("h.csv", &["a", "b", "c", "d"]), &files);
    assert_eq!(labels(&x.modes[0]), ["-1", "1.5", "2", "10"]);
    assert_eq!(x.modes[0].number(3), Some(10.0));
    assert_eq!(labels(&x.modes[1]), ["x", "10", "2"]);
    assert_eq!(labels(&x.modes[2]), ["9007199254740993", "9007199254740992", "1"]);
    assert_eq!(labels(&x.modes[3]), ["nan", "1", "2"]);
    assert_eq!(x.total, 5.0);
}

#[test]
fn declared_levels_read_numbers_however_they_are_written() {
    let files = Memory::with("h.csv", "a,b,c\n1,+1,0\n01,-1,1.0\n1.0, -1.0 ,2\n");
    let numbers: indexmap::IndexSet<Level> = [-1.0, 1.0].map(Level::Number).into_iter().collect();
    let request = from_file("h.csv", &["a", "b", "c"])
        .levels(0, &["0", "1"])
        .declare(1, Levels::Listed(std::sync::Arc::new(numbers)))
        .size(2, 3);
    // a name is found by its text, so only the two other columns read numbers
    let request = mba::data::Request { axes: request.axes[1..].to_vec(), ..request };
    assert_eq!(cells(&tensor(&request, &files)), [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
}

#[test]
fn bins_are_closed_on_the_left_and_the_last_one_on_both_sides() {
    let files = Memory::with("h.csv", "age\n0\n17.9\n18\n64\n65\n");
    let x = tensor(&from_file("h.csv", &["age"]).bins(0, &[0.0, 18.0, 65.0]), &files);
    assert_eq!(cells(&x), [2.0, 3.0]);
    let files = Memory::with("h.csv", "age\n-1e9\n17.9\n1e300\ninf\n");
    let open = [f64::NEG_INFINITY, 18.0, f64::INFINITY];
    assert_eq!(cells(&tensor(&from_file("h.csv", &["age"]).bins(0, &open), &files)), [2.0, 2.0]);
}

#[test]
fn rows_with_missing_fields_are_dropped_and_counted_on_request() {
    let files = Memory::with("h.csv", "a,b,n\nx,y,1\n,y,2\nx,NA,3\nx,y,\nz,y,4\n");
    let (header, loaded) = load(&from_file("h.csv", &["a", "b"]).count("n").drop_na(), &files).unwrap();
    assert_eq!(loaded.dropped_rows, 3);
    assert_eq!(loaded.notes.len(), 1);
    assert_eq!(header.rows, Some(Amount::Exactly(5)));
    assert_eq!(cells(&loaded.tensor), [1.0, 4.0]);
    // a level that is called NA is a level; fields of columns that are not bound do not matter
    let files = Memory::with("h.csv", "a,b\nNA,\nx,\n");
    assert_eq!(cells(&tensor(&from_file("h.csv", &["a"]).levels(0, &["NA", "x"]), &files)), [1.0, 1.0]);
}

#[test]
fn lines_are_counted_as_an_editor_does() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["a,b", "\"x", "", "y\",1", "", "z,", "w,2"].join(end);
        let report = failure(&from_file("h.csv", &["a", "b"]), &Memory::with("h.csv", text));
        assert!(report.contains("`b` is empty on line 6 of"), "{end:?}: {report}");
    }
}

#[test]
fn more_levels_can_come_from_elsewhere() {
    let files = Memory::with("h.csv", "a\nx\ny\n").and("v.npy", npy(&arr1(&[1u8, 2])));
    let request = from_file("h.csv", &["a"]);
    let header = inspect(&request, &files).unwrap();
    let modes = [Mode { levels: named(&["w", "y", "x"]), ..header.modes()[0].clone() }];
    assert_eq!(cells(&read(&request, &header, &modes).unwrap().tensor), [0.0, 1.0, 1.0]);
    let request = from_file("v.npy", &["a"]);
    let header = inspect(&request, &files).unwrap();
    let report = plain(&read(&request, &header, &modes).unwrap_err());
    assert!(report.contains("MBA201: `a` has 3 levels, but its axis in `v.npy` has 2"), "{report}");
    assert!(plain(&read(&request, &header, &[]).unwrap_err()).contains("MBA901"));
}

#[test]
fn two_tables_can_share_a_mode() {
    let files = Memory::with("a.csv", "m\n2\n10\n").and("b.csv", "m\n1\n2\n").and("c.csv", "m\nx\n2\n");
    let header = |path: &str| inspect(&from_file(path, &["m"]), &files).unwrap();
    let (a, b, c) = (header("a.csv"), header("b.csv"), header("c.csv"));
    let with = |x: &mba::data::Header, y: &mba::data::Header| Mode {
        levels: mba::data::unite(&x.axes[0].levels, &y.axes[0].levels),
        ..x.modes()[0].clone()
    };
    let numbers = with(&a, &b);
    assert_eq!(labels(&numbers), ["1", "2", "10"]);
    assert_eq!(numbers.number(2), Some(10.0));
    let names = with(&a, &c);
    assert_eq!(labels(&names), ["2", "10", "x"]);
    for (path, header) in [("a.csv", &a), ("c.csv", &c)] {
        let loaded = read(&from_file(path, &["m"]), header, std::slice::from_ref(&names)).unwrap();
        assert_eq!(loaded.tensor.total, 2.0);
    }
}

#[test]
fn cells_with_indices() {
    let text = "# three cells\n2 1 0.5 # and a remark\n1\t2\t2\n\n2 1 1\n1 1 0\n";
    let files = Memory::with("x.tns", text).and("y.tns", format!("2\n2 3\n{text}"));
    let x = tensor(&from_file("x.tns", &["a", "b"]), &files);
    assert_eq!(cells(&x), [0.0, 2.0, 1.5, 0.0]);
    assert_eq!((x.stored(), x.counts, x.total), (2, false, 3.5));
    let x = tensor(&from_file("y.tns", &["a", "b"]), &files);
    assert_eq!(cells(&x), [0.0, 2.0, 0.0, 1.5, 0.0, 0.0]);
    let x = tensor(&from_file("x.tns", &["a", "b"]).levels(0, &["p", "q", "r"]), &files);
    assert_eq!(x.modes[0].size(), 3);
}

#[test]
fn coordinates_with_values() {
    let coords = arr2(&[[1i32, 0], [0, 2], [1, 0]]);
    let mut by_first = Array2::<u64>::zeros((3, 2).f());
    by_first.zip_mut_with(&coords, |a, b| *a = *b as u64);
    for c in [npy(&coords), npy(&by_first)] {
        let files = Memory::with("c.npy", c).and("v.npy", npy(&arr1(&[1.5f32, 2.0, 1.0])));
        let x = tensor(&pair("c.npy", "v.npy", &["a", "b"]), &files);
        assert_eq!(cells(&x), [0.0, 0.0, 2.0, 2.5, 0.0, 0.0]);
        let x = tensor(&pair("c.npy", "v.npy", &["a", "b"]).size(0, 4), &files);
        assert_eq!(x.modes[0].size(), 4);
    }
}

#[test]
fn many_modes_do_not_fit_a_packed_key() {
    // 5 levels take 3 bits: 21 modes fit 64 bits, 42 fit 128, more are compared row by row
    for modes in [1usize, 20, 40, 60] {
        let names: Vec<String> = (0..modes).map(|i| format!("m{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let row =
            |seed: usize| -> Vec<String> { (0..modes).map(|i| ((seed * (i + 3)) % 5).to_string()).collect() };
        let mut text = names.join(",");
        for seed in [4usize, 1, 2, 0, 3, 1, 4, 4] {
            text.push('\n');
            text.push_str(&row(seed).join(","));
        }
        let mut request = from_file("h.csv", &names);
        for i in 0..modes {
            request = request.size(i, 5);
        }
        let x = tensor(&request, &Memory::with("h.csv", text));
        let Storage::Sparse(sparse) = &*x.storage else { panic!("sparse") };
        assert_eq!(x.total, 8.0);
        assert_eq!(sparse.values.len(), 5, "{modes} modes");
        let heavy = sparse.values.iter().position(|v| *v == 3.0).unwrap();
        let expected: Vec<String> = sparse.coordinates.iter().map(|c| c.at(heavy).to_string()).collect();
        assert_eq!(expected, row(4));
    }
}

#[test]
fn literals() {
    let literal = list(vec![list(vec![number(1.0), number(2.5)]), list(vec![number(3.0), number(0.0)])]);
    let request = from_file("", &["a", "b"]).source(Source::Literal(literal));
    let (header, loaded) = load(&request, &Memory::default()).unwrap();
    assert_eq!(header.format, "literal");
    assert_eq!(cells(&loaded.tensor), [1.0, 2.5, 3.0, 0.0]);
    assert!(!loaded.tensor.counts);
    let one = from_file("", &["a"]).source(Source::Literal(Literal::List(vec![number(4.0)], span(80))));
    assert_eq!(cells(&tensor(&one, &Memory::default())), [4.0]);
}

#[test]
fn totals_keep_what_rounding_would_lose() {
    let mut values = vec![1e16f64];
    values.extend(std::iter::repeat_n(1.0, 1000));
    let x = on(npy(&ndarray::Array1::from(values)), &["a"]);
    assert_eq!(x.total, 1e16 + 1000.0);
    assert!(!x.counts, "not every number near 1e16 is exact");
}

fn shared(name: &str) -> Option<Vec<u8>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        eprintln!("skipped: {} is not there", path.display());
    }
    bytes
}

#[test]
fn the_data_sets_that_everyone_knows() {
    let tables: [(&str, &[&str], &[usize], f64); 3] = [
        ("hair_eye_color.csv", &["hair", "eye", "sex"], &[4, 4, 2], 592.0),
        ("titanic.csv", &["class", "sex", "age", "survived"], &[4, 2, 2, 2], 2201.0),
        ("ucb_admissions.csv", &["admit", "gender", "dept"], &[2, 2, 6], 4526.0),
    ];
    for (name, modes, shape, total) in tables {
        let Some(bytes) = shared(name) else { continue };
        let x = tensor(&from_file(name, modes).count("Freq"), &Memory::with(name, bytes));
        assert_eq!(x.modes.iter().map(Mode::size).collect::<Vec<_>>(), shape, "{name}");
        assert_eq!((x.total, x.counts), (total, true), "{name}");
    }
    for (name, columns, rows) in
        [("biofam.csv", 16, 2000.0), ("lymphography.csv", 19, 148.0), ("tumor.csv", 17, 339.0)]
    {
        let Some(bytes) = shared(name) else { continue };
        let modes: Vec<String> = (1..=columns).map(|i| format!("x{i}")).collect();
        let modes: Vec<&str> = modes.iter().map(String::as_str).collect();
        let x = tensor(&from_file(name, &modes), &Memory::with(name, bytes));
        assert_eq!((x.total, x.counts), (rows, true), "{name}");
    }
    for (name, shape) in [
        ("hangzhou_metro.npy", [80, 25, 108]),
        ("nyc_taxi.npy", [30, 30, 1464]),
        ("birmingham_parking.npy", [30, 77, 18]),
    ] {
        let Some(bytes) = shared(name) else { continue };
        let exact: u64 =
            bytes[128..].chunks_exact(2).map(|c| u64::from(u16::from_le_bytes([c[0], c[1]]))).sum();
        let x = tensor(&from_file(name, &["a", "b", "c"]), &Memory::with(name, bytes));
        assert_eq!(x.modes.iter().map(Mode::size).collect::<Vec<_>>(), shape, "{name}");
        assert_eq!(x.total, exact as f64, "{name}");
    }
}
