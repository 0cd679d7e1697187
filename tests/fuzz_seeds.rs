//! The inputs that fuzzing of the readers starts from: made here, kept in `fuzz/seeds/readers`, and each one what its
//! name says. `UPDATE_SEEDS=1 cargo test --test fuzz_seeds` writes them anew.

mod arrays;
#[path = "../fuzz/fuzz_targets/request.rs"]
mod request;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use arrays::npy;
use mba::data::Format;
use ndarray::{Array2, Array3, arr2};
use ndarray_npy::NpzWriter;
use request::{COUNT, DECLARED, DROP_NA, SUM, answer};

/// Inputs under their names. Those that begin with `bad` cannot be read, the others can.
#[derive(Default)]
struct Seeds(BTreeMap<String, Vec<u8>>);

impl Seeds {
    fn add(&mut self, name: &str, format: &str, how: u8, file: impl AsRef<[u8]>) {
        let place = Format::names().position(|n| n == format).and_then(|p| u8::try_from(p).ok());
        let mut input = vec![place.unwrap_or_else(|| panic!("no format `{format}`")), how];
        input.extend(file.as_ref());
        assert!(self.0.insert(name.to_string(), input).is_none(), "`{name}` is there twice");
    }
}

/// An array of which the header says anything.
fn raw_npy(version: u8, header: &str, cells: &[u8]) -> Vec<u8> {
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

fn described(kind: &str, order: &str, shape: &str, cells: &[u8]) -> Vec<u8> {
    raw_npy(1, &format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n"), cells)
}

fn npz(arrays: &[&str]) -> Vec<u8> {
    let mut writer = NpzWriter::new(Cursor::new(Vec::new()));
    for name in arrays {
        writer.add_array(*name, &arr2(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn arrays(seeds: &mut Seeds) {
    let cells = arr2(&[[1, 2, 3], [4, 5, 6], [7, 8, 9]]);
    seeds.add("npy-f64", "npy", DECLARED, npy(&cells.mapv(f64::from)));
    seeds.add("npy-f32", "npy", 0, npy(&cells.mapv(|x| x as f32)));
    seeds.add("npy-i64", "npy", DECLARED, npy(&cells.mapv(i64::from)));
    seeds.add("npy-u8", "npy", 0, npy(&cells.mapv(|x| x as u8)));
    seeds.add("npy-bool", "npy", 0, npy(&cells.mapv(|x| x % 2 == 0)));
    seeds.add("npy-columns-first", "npy", 0, npy(&cells.mapv(f64::from).reversed_axes()));
    let big_endian: Vec<u8> = (1..=6).flat_map(|x: i32| x.to_be_bytes()).collect();
    seeds.add("npy-big-endian", "npy", 0, described(">i4", "False", "(2, 3)", &big_endian));
    seeds.add("npy-version-2", "npy", 0, {
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }\n";
        raw_npy(2, header, &[1, 2, 3, 4])
    });
    seeds.add("bad-npy-axes", "npy", 0, npy(&Array3::<f64>::ones((2, 2, 2))));
    seeds.add("bad-npy-size", "npy", DECLARED, npy(&Array2::<f64>::ones((2, 3))));
    seeds.add("bad-npy-negative", "npy", 0, npy(&arr2(&[[1.0, -2.0], [3.0, 4.0]])));
    seeds.add("bad-npy-nan", "npy", 0, npy(&arr2(&[[1.0, f64::NAN], [3.0, 4.0]])));
    seeds.add("bad-npy-infinite", "npy", 0, npy(&arr2(&[[1.0, f64::INFINITY]])));
    seeds.add("bad-npy-complex", "npy", 0, described("<c16", "False", "(1, 1)", &[0; 16]));
    seeds.add("bad-npy-objects", "npy", 0, described("|O", "False", "(1, 1)", &[0; 8]));
    seeds.add("bad-npy-no-cells", "npy", 0, described("<f8", "False", "(0, 3)", &[]));
    seeds.add("bad-npy-short", "npy", 0, described("<f8", "False", "(2, 3)", &[0; 40]));
    seeds.add("bad-npy-large", "npy", 0, described("<f8", "False", "(4294967296, 4294967296, 16)", &[]));
    seeds.add("bad-npy-header-cut", "npy", 0, b"\x93NUMPY\x01\x00\x70\x00{'des");
    seeds.add("bad-npy-version-9", "npy", 0, b"\x93NUMPY\x09\x00\x70\x00{'descr");
    seeds.add("bad-npy-nothing", "npy", 0, b"");
}

fn archives(seeds: &mut Seeds) {
    let good = npz(&["x"]);
    seeds.add("npz-one", "npz", 0, &good);
    seeds.add("bad-npz-none", "npz", 0, npz(&[]));
    seeds.add("bad-npz-two", "npz", 0, npz(&["p", "q"]));
    seeds.add("bad-npz-cut", "npz", 0, &good[..good.len() / 2]);
    seeds.add("bad-npz-directory-cut", "npz", 0, &good[..good.len() - 22]);
    let begins = good.windows(6).position(|w| w == b"\x93NUMPY").unwrap();
    seeds.add("bad-npz-array", "npz", 0, [&good[..begins], b"numpy!", &good[begins + 6..]].concat());
    seeds.add("bad-npz-text", "npz", 0, "a,b,n\n1,2,3\n");
}

fn tables(seeds: &mut Seeds) {
    seeds.add("csv-counts", "csv", COUNT, "a,b,n\ndark,brown,60\ndark,blue,20\nfair,brown,15\n");
    seeds.add("csv-records", "csv", 0, "a,b\nx,u\nx,v\ny,u\nx,u\n");
    seeds.add("csv-sums", "csv", SUM, "b,a,n\n0,1,0.25\n2,1,1e3\n0,1,.5\n");
    seeds.add("csv-levels", "csv", DECLARED | COUNT, "a,b,n\n0,0,1\n1,2,2\n2,1,3\n");
    seeds.add(
        "csv-quotes",
        "csv",
        COUNT,
        "\"a\",b,n\r\n\"one, two\",\"say \"\"hi\"\"\",3\r\n\"line\nbreak\",é,4\r\n",
    );
    seeds.add("csv-gaps", "csv", DROP_NA | COUNT, "a,b,n\nx,u,1\nNA,v,2\ny,,3\n");
    seeds.add("csv-semicolons", "csv", COUNT, "a;b;n\nx;u;1\ny;v;2\n");
    seeds.add("csv-byte-order-mark", "csv", COUNT, "\u{feff}a,b,n\nx,u,1\n");
    let wide: Vec<u8> = "a,b\nx,u\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    seeds.add("bad-csv-utf-16", "csv", 0, [&b"\xff\xfe"[..], &wide].concat());
    seeds.add("tsv-counts", "tsv", COUNT, "a\tb\tn\nx\tu\t1\ny\tv\t2\n");
    seeds.add("bad-csv-negative", "csv", COUNT, "a,b,n\nx,u,-1\n");
    seeds.add("bad-csv-not-a-number", "csv", COUNT, "a,b,n\nx,u,many\n");
    seeds.add("bad-csv-gap", "csv", COUNT, "a,b,n\nx,u,1\n,v,2\n");
    seeds.add("bad-csv-no-column", "csv", COUNT, "a,c,n\nx,u,1\n");
    seeds.add("bad-csv-twice", "csv", COUNT, "a,a,n\nx,u,1\n");
    seeds.add("bad-csv-ragged", "csv", COUNT, "a,b,n\nx,u,1\ny,v\n");
    seeds.add("bad-csv-quote-open", "csv", COUNT, "a,b,n\n\"x,u,1\ny,v,2\n");
    seeds.add("bad-csv-level", "csv", DECLARED | COUNT, "a,b,n\n7,0,1\n");
    seeds.add("bad-csv-latin-1", "csv", COUNT, b"a,b,n\ncaf\xe9,u,1\n");
    seeds.add("bad-csv-header-only", "csv", COUNT, "a,b,n\n");
}

fn coordinates(seeds: &mut Seeds) {
    seeds.add("tns-cells", "tns", 0, "# two modes\n1 1 2.5\n3 2 1e2\n\n2 2 1\n");
    seeds.add("tns-levels", "tns", DECLARED, "1 1 1\n3 3 2\n");
    seeds.add("bad-tns-zero", "tns", 0, "0 1 1\n");
    seeds.add("bad-tns-columns", "tns", 0, "1 1 1\n1 1 1 1\n");
    seeds.add("bad-tns-outside", "tns", DECLARED, "4 1 1\n");
    seeds.add("bad-tns-large", "tns", 0, "18446744073709551616 1 1\n");
    seeds.add("bad-tns-negative", "tns", 0, "1 1 -1\n");
    seeds.add("bad-tns-words", "tns", 0, "one two three\n");
    seeds.add("bad-tns-bytes", "tns", 0, b"1 1 \xff\n");
}

fn seeds() -> BTreeMap<String, Vec<u8>> {
    let mut seeds = Seeds::default();
    arrays(&mut seeds);
    archives(&mut seeds);
    tables(&mut seeds);
    coordinates(&mut seeds);
    seeds.0
}

#[test]
fn what_is_kept_is_what_is_made() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/readers");
    let made = seeds();
    if std::env::var_os("UPDATE_SEEDS").is_some() {
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in &made {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let kept: BTreeMap<String, Vec<u8>> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    let names = |map: &BTreeMap<String, Vec<u8>>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&kept), names(&made), "see the top of this file");
    for (name, bytes) in &made {
        assert_eq!(&kept[name], bytes, "`{name}`: see the top of this file");
    }
}

#[test]
fn each_is_what_its_name_says() {
    for (name, input) in seeds() {
        let answer = answer(&input).unwrap_or_else(|| panic!("`{name}` is not read at all"));
        match (answer, name.starts_with("bad")) {
            (Ok(tensor), false) => assert!(tensor.total > 0.0, "`{name}` is empty"),
            (Err(list), true) => assert!(!list.is_empty(), "`{name}` fails without a reason"),
            (Ok(tensor), true) => panic!("`{name}` is read: {tensor:?}"),
            (Err(list), false) => panic!("`{name}` is refused: {list:#?}"),
        }
    }
}
