//! Laws: what is written comes back, whatever the format; and no bytes at all bring the reader down.

mod arrays;
mod data_support;

use std::io::Cursor;

use arrays::npy;
use data_support::*;
use mba::data::{Format, Request, Storage, inspect, read};
use mba::model::Mode;
use ndarray::{Array1, Array2, ArrayD, IxDyn, ShapeBuilder};
use ndarray_npy::NpzWriter;
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A shape, counts for its cells with at least one above zero, and whether the first axis varies fastest.
fn counts() -> impl Strategy<Value = (Vec<usize>, Vec<u8>, bool)> {
    prop::collection::vec(1usize..5, 1..5).prop_flat_map(|shape| {
        let n = shape.iter().product::<usize>();
        let cells = prop::collection::vec(prop_oneof![Just(0u8), 0u8..100], n);
        (Just(shape), cells.prop_filter("not all zero", |c| c.iter().any(|x| *x > 0)), any::<bool>())
    })
}

fn array<T: Clone>(shape: &[usize], cells: &[u8], fortran: bool, number: impl Fn(u8) -> T) -> ArrayD<T> {
    let c = ArrayD::from_shape_vec(IxDyn(shape), cells.iter().map(|x| number(*x)).collect()).unwrap();
    if !fortran {
        return c;
    }
    let mut f = ArrayD::from_elem(IxDyn(shape).f(), number(0));
    f.assign(&c);
    f
}

fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let n = shape.iter().product();
    let index = |mut place: usize| {
        let mut index = vec![0; shape.len()];
        for (i, size) in index.iter_mut().zip(shape).rev() {
            *i = place % size;
            place /= size;
        }
        index
    };
    (0..n).map(index).collect()
}

fn declared(mut request: Request, shape: &[usize]) -> Request {
    for (i, n) in shape.iter().enumerate() {
        request = request.size(i, *n);
    }
    request
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_array_type_gives_the_same_cells((shape, counts, fortran) in counts(), t in 0usize..11) {
        let bytes = match t {
            0 => npy(&array(&shape, &counts, fortran, |x| x > 0)),
            1 => npy(&array(&shape, &counts, fortran, |x| x as i8)),
            2 => npy(&array(&shape, &counts, fortran, i16::from)),
            3 => npy(&array(&shape, &counts, fortran, i32::from)),
            4 => npy(&array(&shape, &counts, fortran, i64::from)),
            5 => npy(&array(&shape, &counts, fortran, |x| x)),
            6 => npy(&array(&shape, &counts, fortran, u16::from)),
            7 => npy(&array(&shape, &counts, fortran, u32::from)),
            8 => npy(&array(&shape, &counts, fortran, u64::from)),
            9 => npy(&array(&shape, &counts, fortran, f32::from)),
            _ => npy(&array(&shape, &counts, fortran, f64::from)),
        };
        let expected: Vec<f64> = counts.iter().map(|x| if t == 0 { f64::from(u8::from(*x > 0)) } else { f64::from(*x) }).collect();
        let x = tensor(&from_file("a.npy", &NAMES[..shape.len()]), &Memory::with("a.npy", bytes));
        prop_assert_eq!(cells(&x), expected.clone());
        prop_assert_eq!(x.total, expected.iter().sum::<f64>());
        prop_assert!(x.counts);
    }

    #[test]
    fn every_format_gives_the_same_cells((shape, counts, _) in counts(), seed in any::<u64>()) {
        let modes = &NAMES[..shape.len()];
        let expected: Vec<f64> = counts.iter().map(|x| f64::from(*x)).collect();
        // the cells in some order, each split into two rows at random
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut rows: Vec<(Vec<usize>, u8)> = Vec::new();
        for (index, n) in indices(&shape).into_iter().zip(&counts) {
            let part = rng.random_range(0..=*n);
            rows.push((index.clone(), part));
            rows.push((index, n - part));
        }
        for i in (1..rows.len()).rev() {
            rows.swap(i, rng.random_range(0..=i));
        }
        let text = |sep: &str, from: usize| -> String {
            let lines = rows.iter().map(|(index, n)| {
                let mut fields: Vec<String> = index.iter().map(|i| (i + from).to_string()).collect();
                fields.push(n.to_string());
                fields.join(sep)
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        let coords = Array2::from_shape_fn((rows.len(), shape.len()), |(r, d)| rows[r].0[d] as u16);
        let values: Array1<f32> = rows.iter().map(|r| f32::from(r.1)).collect();
        let records: Vec<String> = rows
            .iter()
            .flat_map(|(index, n)| std::iter::repeat_n(index, usize::from(*n)))
            .map(|index| index.iter().map(usize::to_string).collect::<Vec<_>>().join("\t"))
            .collect();
        let files = Memory::with("c.npy", npy(&coords))
            .and("v.npy", npy(&values))
            .and("x.tns", text(" ", 1))
            .and("x.csv", format!("{},n\n{}", modes.join(","), text(",", 0)))
            .and("r.tsv", format!("{}\n{}\n", modes.join("\t"), records.join("\n")));
        for request in [
            pair("c.npy", "v.npy", modes),
            from_file("x.tns", modes),
            from_file("x.csv", modes).count("n"),
            from_file("x.csv", modes).sum("n"),
            declared(from_file("r.tsv", modes), &shape),
        ] {
            let x = tensor(&request, &files);
            prop_assert_eq!(cells(&x), expected.clone(), "{:?}", request.source);
            prop_assert_eq!(x.total, expected.iter().sum::<f64>());
            prop_assert!(x.counts);
        }
    }

    #[test]
    fn a_bin_holds_what_its_edges_say(mut edges in prop::collection::vec(-50i32..50, 2..6), x in -60i32..60) {
        edges.sort_unstable();
        edges.dedup();
        prop_assume!(edges.len() > 1);
        let edges: Vec<f64> = edges.into_iter().map(f64::from).collect();
        let x = f64::from(x);
        let expected: Vec<f64> = edges
            .windows(2)
            .enumerate()
            .map(|(i, e)| f64::from(u8::from(e[0] <= x && (x < e[1] || (x == e[1] && i + 2 == edges.len())))))
            .collect();
        let read = load(&from_file("h.csv", &["a"]).bins(0, &edges), &Memory::with("h.csv", format!("a\n{x}\n")));
        match read {
            Ok((_, loaded)) => prop_assert_eq!(cells(&loaded.tensor), expected),
            Err(reports) => {
                prop_assert!(expected.iter().all(|n| *n == 0.0));
                prop_assert!(plain(&reports).contains("MBA422"));
            }
        }
    }
}

/// Files by path; the first one is the one to be damaged.
type Content = Vec<(&'static str, Vec<u8>)>;

/// Files of every format, with the statement that reads each.
fn samples() -> Vec<(Request, Content)> {
    let square = npy(&Array2::from_shape_fn((3, 2), |(i, j)| (i + j) as f64));
    let shorts = npy(&Array2::from_shape_fn((3, 2).f(), |(i, j)| (1 + i + j) as u16));
    let coords = npy(&ndarray::arr2(&[[0i32, 1], [2, 0], [0, 1]]));
    let values = npy(&ndarray::arr1(&[1.0f32, 2.0, 3.0]));
    let npz = |compressed: bool| {
        let out = Cursor::new(Vec::new());
        let mut writer = if compressed { NpzWriter::new_compressed(out) } else { NpzWriter::new(out) };
        writer.add_array("flow", &ndarray::arr2(&[[1.0, 2.0], [3.0, 4.0]])).unwrap();
        writer.finish().unwrap().into_inner()
    };
    let table = "\u{feff}Hair;a;\"b\";n\r\nBlack;1;x;3\r\n\"Re\"\"d\";2;\"y\ny\";2\r\nNA;;z;1.5\r\n"
        .as_bytes()
        .to_vec();
    let modes = ["a", "b"];
    let table_request = || from_file("f.csv", &modes);
    vec![
        (from_file("f.npy", &modes), vec![("f.npy", square.clone())]),
        (from_file("f.npy", &modes).size(0, 3), vec![("f.npy", shorts)]),
        (from_file("f", &modes), vec![("f", square)]),
        (from_file("f.npz", &modes), vec![("f.npz", npz(false))]),
        (from_file("f.npz", &modes).key("flow"), vec![("f.npz", npz(true))]),
        (table_request().sum("n").drop_na(), vec![("f.csv", table.clone())]),
        (table_request().count("n"), vec![("f.csv", table.clone())]),
        (table_request().bins(0, &[0.0, 1.5, 9.0]).levels(1, &["x", "y\ny"]), vec![("f.csv", table.clone())]),
        (from_file("f", &["hair", "a", "b", "n"]).size(1, 3), vec![("f", table)]),
        (from_file("f.tns", &modes), vec![("f.tns", b"# c\n1 1 2.5\n3 2 1e3 # d\n2 2 7\n".to_vec())]),
        (from_file("f.tns", &modes).size(0, 3), vec![("f.tns", b"2\n3 2\n1 1 2.5\n3 2 1\n".to_vec())]),
        (pair("c.npy", "v.npy", &modes), vec![("c.npy", coords.clone()), ("v.npy", values.clone())]),
        (pair("c.npy", "v.npy", &modes).size(0, 3).size(1, 2), vec![("v.npy", values), ("c.npy", coords)]),
    ]
}

/// Reads without caring what comes out: only that something does, in reasonable memory.
fn try_read(request: &Request, files: &Memory) {
    let result = inspect(request, files).and_then(|header| {
        // a header may promise more than there is memory; a planner would refuse it
        if header.axes.iter().any(|a| a.to_mode().size() > 1 << 20) {
            return Err(Vec::new());
        }
        let loaded = read(request, &header, &header.modes())?;
        check(&header, &loaded.tensor);
        Ok(())
    });
    if let Err(reports) = result {
        plain(&reports);
    }
}

#[test]
fn damaged_files_are_reported_and_never_bring_the_reader_down() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    for (request, files) in samples() {
        let whole = files.iter().fold(Memory::default(), |m, (p, b)| m.and(p, b.clone()));
        try_read(&request, &whole);
        let Some((path, bytes)) = files.first() else { continue };
        let with = |bytes: Vec<u8>| {
            files.iter().skip(1).fold(Memory::with(path, bytes), |m, (p, b)| m.and(p, b.clone()))
        };
        for end in 0..bytes.len() {
            try_read(&request, &with(bytes[..end].to_vec()));
        }
        for _ in 0..3000 {
            let mut bytes = bytes.clone();
            for _ in 0..rng.random_range(1..6) {
                let at = rng.random_range(0..bytes.len());
                match rng.random_range(0..5) {
                    0 => bytes[at] = rng.next_u32() as u8,
                    1 => bytes[at] ^= 1 << rng.random_range(0..8),
                    2 => drop(bytes.remove(at)),
                    3 => bytes
                        .insert(at, *b"0-9,;\"\n(){}'\xff.e"[..].get(rng.random_range(0..16)).unwrap_or(&0)),
                    _ => {
                        let from = rng.random_range(0..bytes.len());
                        bytes[at] = bytes[from];
                    }
                }
                if bytes.is_empty() {
                    break;
                }
            }
            try_read(&request, &with(bytes));
        }
    }
}

#[test]
fn any_bytes_can_be_read_as_any_format() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(8);
    let starts: [&[u8]; 6] = [b"", b"\x93NUMPY\x01\0", b"PK\x03\x04", b"a,b\n", b"1 1 1\n", b"\xff\xfe"];
    for round in 0..3000 {
        let mut bytes = starts[round % starts.len()].to_vec();
        for _ in 0..rng.random_range(0..80) {
            bytes.push(if rng.random_bool(0.5) {
                rng.next_u32() as u8
            } else {
                rng.random_range(b' '..b'~')
            });
        }
        let files = Memory::with("f", bytes);
        try_read(&from_file("f", &["a", "b"]), &files);
        for format in [Format::Npy, Format::Npz, Format::Table, Format::Tns] {
            try_read(&from_file("f", &["a", "b"]).format(format), &files);
        }
        try_read(&pair("f", "f", &["a", "b"]), &files);
    }
}

/// What is found to be wrong does not depend on chance, nor on the number of threads.
#[test]
fn reading_twice_gives_the_same_bits() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
    let n = 100_000;
    let coords = Array2::from_shape_fn((n, 3), |_| rng.random_range(0..40u8));
    let values: Array1<f64> = (0..n).map(|_| rng.random::<f64>()).collect();
    let cube = ndarray::Array3::from_shape_fn((64, 64, 64), |_| rng.random::<f64>());
    let files = Memory::with("c.npy", npy(&coords)).and("v.npy", npy(&values)).and("d.npy", npy(&cube));
    for request in [pair("c.npy", "v.npy", &["a", "b", "c"]), from_file("d.npy", &["a", "b", "c"])] {
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let x = pool.install(|| tensor(&request, &files));
            let values = match &*x.storage {
                Storage::Dense(dense) => values_of(&dense.values),
                Storage::Sparse(sparse) => sparse.values.to_vec(),
            };
            let cells: usize = x.modes.iter().map(Mode::size).product();
            (x.total.to_bits(), cells, values.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
        };
        assert_eq!(bits(1), bits(3));
    }
}
