//! What is said about data that cannot be read. One line of a corpus per mistake.

mod arrays;
mod data_support;

use arrays::npy;
use data_support::*;
use mba::data::{Format, Literal, Source};
use ndarray::{Array1, Array2, Array3, arr1, arr2};
use ndarray_npy::NpzWriter;
use std::io::Cursor;

fn header_only(descr: &str, shape: &str) -> Vec<u8> {
    raw_npy(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"), &[])
}

fn raw_npy(header: &str, cells: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(cells);
    bytes
}

fn npz(names: &[&str]) -> Vec<u8> {
    let mut writer = NpzWriter::new_compressed(Cursor::new(Vec::new()));
    for name in names {
        writer.add_array(*name, &Array2::<f64>::ones((2, 3))).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

const HAIR: &str = "Hair,Eye,Freq\nBlack,Brown,3\nRed,Blue,2\n";

#[test]
fn files() {
    let mut text = String::new();
    let mut case = |title: &str, report: String| text.push_str(&format!("--- {title}\n{report}\n"));
    let none = Memory::default();
    case("missing", failure(&from_file("a.npy", &["a"]), &none));
    case("directory", failure(&from_file("dir/", &["a"]), &none));
    let empty = Memory::with("a.csv", "").and("-", "");
    case("empty", failure(&from_file("a.csv", &["a"]), &empty));
    case("empty input", failure(&from_file("-", &["a"]), &empty));
    case("gzip", failure(&from_file("a.csv.gz", &["a"]), &Memory::with("a.csv.gz", b"\x1f\x8b\x08\0\0")));
    case("parquet", failure(&from_file("a.parquet", &["a"]), &Memory::with("a.parquet", b"PAR1\0\0")));
    case("binary", failure(&from_file("a.bin", &["a"]), &Memory::with("a.bin", b"ab\0\0cd")));
    case("key of a table", failure(&from_file("a.csv", &["Hair"]).key("k"), &Memory::with("a.csv", HAIR)));
    case("format", plain(&[Format::unknown("cvs", span(50)), Format::unknown("excel", span(50))]));
    case("no modes", failure(&from_file("a.csv", &[]), &Memory::with("a.csv", HAIR)));
    insta::assert_snapshot!(text);
}

#[test]
fn arrays() {
    let mut text = String::new();
    let mut case = |title: &str, report: String| text.push_str(&format!("--- {title}\n{report}\n"));
    let on =
        |bytes: Vec<u8>, modes: &[&str]| failure(&from_file("a.npy", modes), &Memory::with("a.npy", bytes));
    let ones = Memory::with("a.npy", npy(&Array2::<f64>::ones((2, 3))));
    case("size", failure(&from_file("a.npy", &["a", "b"]).size(0, 4), &ones));
    case("order", failure(&from_file("a.npy", &["a", "b"]).size(0, 3).size(1, 2), &ones));
    case("axes", failure(&from_file("a.npy", &["a"]), &ones));
    case("more axes", failure(&from_file("a.npy", &["a", "b", "c"]), &ones));
    case("as", failure(&from_file("a.npy", &["a", "b"]).column(0, "A"), &ones));
    case("count", failure(&from_file("a.npy", &["a", "b"]).count("Freq"), &ones));
    case("drop na", failure(&from_file("a.npy", &["a", "b"]).drop_na(), &ones));
    case("scalar", on(npy(&ndarray::arr0(1.0)), &["a"]));
    case("no levels", on(npy(&Array2::<f64>::ones((0, 3))), &["a", "b"]));
    case("zeros", on(npy(&Array2::<f64>::zeros((2, 3))), &["a", "b"]));
    case("negative", on(npy(&arr2(&[[1.0, 2.0], [-1.0, f64::NAN]])), &["a", "b"]));
    case("nan", on(npy(&arr2(&[[1.0, f64::NAN], [1.0, 1.0]])), &["a", "b"]));
    case("infinite", on(npy(&arr1(&[f32::INFINITY, 1.0, -1.0, -2.0])), &["a"]));
    case("overflow", on(npy(&arr1(&[f64::MAX, f64::MAX])), &["a"]));
    case("foreign", on(b"hello".to_vec(), &["a"]));
    case("stub", on(b"\x93NUM".to_vec(), &["a"]));
    case("cut header", on(b"\x93NUMPY\x01\x00\x70\x00{'des".to_vec(), &["a"]));
    case("version", on(b"\x93NUMPY\x09\x00\x70\x00{'des".to_vec(), &["a"]));
    case("cut", on(header_only("'<f8'", "(3,)"), &["a"]));
    case("huge", on(header_only("'<f8'", "(4294967296, 4294967296, 4294967296)"), &["a"]));
    case("negative size", on(header_only("'<f8'", "(-1, 3)"), &["a"]));
    case("objects", on(header_only("'|O'", "(3,)"), &["a"]));
    case("complex", on(header_only("'<c16'", "(3,)"), &["a"]));
    case("text", on(header_only("'<U8'", "(3,)"), &["a"]));
    case("dates", on(header_only("'<M8[ns]'", "(3,)"), &["a"]));
    case("records", on(header_only("[('a', '<f8')]", "(3,)"), &["a"]));
    case("no dictionary", on(raw_npy("(1, 2)", &[]), &["a"]));
    case("no shape", on(raw_npy("{'descr': '<f8', 'fortran_order': True}", &[]), &["a"]));
    insta::assert_snapshot!(text);
}

#[test]
fn archives() {
    let mut text = String::new();
    let mut case = |title: &str, report: String| text.push_str(&format!("--- {title}\n{report}\n"));
    let files = Memory::with("a.npz", npz(&["flow", "seen"]))
        .and("none.npz", npz(&[]))
        .and("not.npz", "hello")
        .and("cut.npz", npz(&["flow"])[..60].to_vec());
    let modes = ["a", "b"];
    case("several", failure(&from_file("a.npz", &modes), &files));
    case("misspelt", failure(&from_file("a.npz", &modes).key("flaw"), &files));
    case("other", failure(&from_file("a.npz", &modes).key("qqq"), &files));
    case("shape", failure(&from_file("a.npz", &modes).key("flow").size(0, 7), &files));
    case("none", failure(&from_file("none.npz", &modes), &files));
    case("not", failure(&from_file("not.npz", &modes), &files));
    case("cut", failure(&from_file("cut.npz", &modes), &files));
    insta::assert_snapshot!(text);
}

#[test]
fn tables() {
    let mut text = String::new();
    let mut case = |title: &str, report: String| text.push_str(&format!("--- {title}\n{report}\n"));
    let on = |rows: &str, request: mba::data::Request| failure(&request, &Memory::with("h.csv", rows));
    let hair = || from_file("h.csv", &["hair", "eye"]);
    case("column", on(HAIR, from_file("h.csv", &["hari", "eye"])));
    case("another column", on(HAIR, from_file("h.csv", &["zzz", "eye"])));
    case("as column", on(HAIR, hair().column(0, "hairs")));
    case("value column", on(HAIR, hair().count("Fred")));
    case("twice", on(HAIR, hair().column(1, "Hair")));
    case("duplicate", on("a,a,b\n1,2,3\n", from_file("h.csv", &["a"])));
    case("case", on("Hair,HAIR,b\n1,2,3\n", from_file("h.csv", &["hair"])));
    case("no names", on("1,2,3\n4,5,6\n", from_file("h.csv", &["a"])));
    case("blank", on("\n\n", from_file("h.csv", &["a"])));
    case("no rows", on("a,b\n\n", from_file("h.csv", &["a"])));
    case("ragged", on("a,b\n1,2\n1\n1,2,3\n", from_file("h.csv", &["a"])));
    case("quotes", on("a,b\n1,\"2\n1,3\n", from_file("h.csv", &["a"])));
    case("empty field", on("a,b\n1,2\n\n1,\n\"x\ny\",NA\n,1\n", from_file("h.csv", &["a", "b"])));
    case("all empty", on("a\nNA\nNA\n", from_file("h.csv", &["a"]).drop_na()));
    case("level", on(HAIR, hair().levels(0, &["Black", "Rid"])));
    case("counted level", on("a\n1\n7\n-1\nx\n3\n9\n10\n", from_file("h.csv", &["a"]).size(0, 3)));
    case("bins", on("a\n1\n70\n-1\nx\n", from_file("h.csv", &["a"]).bins(0, &[0.0, 18.0, 65.0])));
    case("number", on("a,n\nx,1\ny,many\nz,\"1,000\"\n", from_file("h.csv", &["a"]).sum("n")));
    case("comma", on("a;n\nx;1,5\n", from_file("h.csv", &["a"]).sum("n")));
    case("whole", on("a,the n\nx,1\ny,2.5\n", from_file("h.csv", &["a"]).count("the n")));
    case("negative", on("a,n\nx,1\ny,-2\nz,nan\nz,inf\n", from_file("h.csv", &["a"]).count("n")));
    case("zeros", on("a,n\nx,0\ny,0\n", from_file("h.csv", &["a"]).count("n")));
    case("overflow", on("a,n\nx,1e308\nx,1e308\n", from_file("h.csv", &["a"]).sum("n")));
    let latin = Memory::with("h.csv", b"a,b\nx,y\ncaf\xe9,y\n".to_vec());
    case("latin 1", failure(&from_file("h.csv", &["a"]), &latin));
    let utf16 = Memory::with("h.csv", b"\xff\xfea\0,\0b\0\n\0".to_vec());
    case("utf-16", failure(&from_file("h.csv", &["a"]), &utf16));
    insta::assert_snapshot!(text);
}

#[test]
fn lists_of_cells() {
    let mut text = String::new();
    let mut case = |title: &str, report: String| text.push_str(&format!("--- {title}\n{report}\n"));
    let on = |rows: &str, request: mba::data::Request| failure(&request, &Memory::with("x.tns", rows));
    let two = || from_file("x.tns", &["a", "b"]);
    case("axes", on("1 1 1 5\n", two()));
    case("from 0", on("0 1 5\n1 0 2\n", two()));
    case("range", on("1 1 5\n4 1 2\n", two().size(0, 3)));
    case("value", on("1 1 many\n", two()));
    case("length", on("1 1 2\n1 1\n1 1 1 1\n", two()));
    case("negative", on("1 1 2\n1 2 -1\n", two()));
    case("sizes", on("2\n3 4\n1 1 2\n", two().size(0, 5)));
    case("comments", on("# nothing\n\n", two()));
    case("count", on("1 1 2\n", two().count("n")));

    let coords = arr2(&[[0i64, 1], [2, 3], [1, -1], [5, 5]]);
    let files = Memory::with("c.npy", npy(&coords))
        .and("v.npy", npy(&arr1(&[1.0, 2.0, 3.0, 4.0])))
        .and("bad.npy", npy(&arr1(&[1.0, -2.0, 3.0, f64::NAN])))
        .and("ok.npy", npy(&arr2(&[[0u8, 1], [2, 3], [1, 1], [0, 0]])))
        .and("short.npy", npy(&arr1(&[1.0])))
        .and("large.npy", npy(&arr2(&[[0u64, 1], [2, (1 << 63) + 5], [1, 1], [0, 0]])))
        .and("odd.npy", npy(&arr2(&[[0i64, 1], [-(1 << 53) - 1, 0], [1, 1], [0, 0]])))
        .and("f.npy", npy(&coords.mapv(|x| x as f64)))
        .and("t.npy", npy(&Array2::<i32>::zeros((2, 9))))
        .and("cube.npy", npy(&Array3::<i32>::zeros((2, 2, 2))))
        .and("none.npy", npy(&Array2::<i32>::zeros((0, 2))))
        .and("nothing.npy", npy(&Array1::<i32>::zeros(0)));
    case("coordinate", failure(&pair("c.npy", "v.npy", &["a", "b"]).size(0, 5), &files));
    case("large coordinate", failure(&pair("large.npy", "v.npy", &["a", "b"]).size(1, 5), &files));
    case("odd coordinate", failure(&pair("odd.npy", "v.npy", &["a", "b"]).size(0, 5), &files));
    case("values", failure(&pair("ok.npy", "bad.npy", &["a", "b"]), &files));
    case("lengths", failure(&pair("c.npy", "short.npy", &["a", "b"]), &files));
    case("floats", failure(&pair("f.npy", "v.npy", &["a", "b"]), &files));
    case("transposed", failure(&pair("t.npy", "v.npy", &["a", "b"]), &files));
    case("cube", failure(&pair("cube.npy", "v.npy", &["a", "b"]), &files));
    case("modes", failure(&pair("ok.npy", "v.npy", &["a", "b", "c"]), &files));
    case("empty", failure(&pair("none.npy", "nothing.npy", &["a", "b"]), &files));
    case("no files", failure(&pair("x.npy", "y.npy", &["a", "b"]), &files));
    insta::assert_snapshot!(text);
}

#[test]
fn literals() {
    let mut text = String::new();
    let none = Memory::default();
    let mut case = |title: &str, literal: Literal| {
        let report = failure(&from_file("", &["a", "b"]).source(Source::Literal(literal)), &none);
        text.push_str(&format!("--- {title}\n{report}\n"));
    };
    case("uneven", list(vec![list(vec![number(1.0), number(2.0)]), list(vec![number(1.0)])]));
    case("depth", list(vec![number(1.0)]));
    case("mixed", list(vec![list(vec![number(1.0)]), number(1.0)]));
    case("deeper", list(vec![list(vec![number(1.0)]), list(vec![list(vec![number(1.0)])])]));
    case("negative", list(vec![list(vec![number(1.0), number(-1.0), number(f64::NAN)])]));
    case("empty", list(vec![]));
    case("zeros", list(vec![list(vec![number(0.0)])]));
    insta::assert_snapshot!(text);
}

/// A code that no mistake leads to would be a promise nobody keeps.
#[test]
fn every_code_has_a_case() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let corpus: String = ["files", "arrays", "archives", "tables", "lists_of_cells", "literals"]
        .iter()
        .map(|name| std::fs::read_to_string(folder.join(format!("data_errors__{name}.snap"))).unwrap())
        .collect();
    for code in mba::text::Code::ALL
        .iter()
        // what was noticed on the way is told by the session, and tested there
        .filter(|c| !["MBA424", "MBA425"].contains(&c.name()))
        .filter(|c| ["MBA40", "MBA41", "MBA42", "MBA20"].iter().any(|start| c.name().starts_with(start)))
    {
        assert!(corpus.contains(&format!(" {code}: ")), "no case leads to {code}");
    }
}
