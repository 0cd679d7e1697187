//! Instructions of the loops and of whole commands, counted under valgrind and compared with those on record,
//! so that what became slower is noticed without timing anything. `benches/count` builds and runs it.
//!
//! Counts repeat themselves from run to run: inputs are fixed, there is one thread, and which loops run
//! depends on what valgrind shows of the processor. What is on record holds for one such choice.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use mba::model::Scope;
use mba::numeric::vector::{exp_all, ln_all};
use mba::numeric::weigh::weigh;
use mba::run::kernel::{marginalise, scale};
use mba::run::projection::Projection;
use ndarray::{Array1, Array2, ArrayD};

/// How much more than on record is let pass, in per cent.
const ALLOWED: f64 = 10.0;

/// The same where the compiler is not that of the record.
const LOOSELY: f64 = 25.0;

/// The loops, one by one. The first does nothing; its count is taken from the others.
const LOOPS: [(&str, fn()); 8] = [
    ("nothing", || ()),
    ("sum_out_last_mode", || sum_to([0, 1])),
    ("sum_out_middle_mode", || sum_to([0, 2])),
    ("sum_out_first_mode", || sum_to([1, 2])),
    ("multiply_by_two_modes", multiply),
    ("entropy", || {
        black_box(weigh(&numbers(200_000)));
    }),
    ("logarithms", || ln_all(black_box(&mut numbers(200_000)))),
    ("exponentials", || exp_all(black_box(&mut numbers(200_000)))),
];

/// Whole commands: a name, the number of modes, their levels, generators.
const FITS: [(&str, usize, usize, &[&[usize]]); 6] = [
    ("ring_of_pairs", 4, 18, &[&[0, 1], &[1, 2], &[2, 3], &[0, 3]]),
    ("chain", 4, 18, &[&[0, 1], &[1, 2], &[2, 3]]),
    ("all_pairs", 4, 12, &[&[0, 1], &[0, 2], &[0, 3], &[1, 2], &[1, 3], &[2, 3]]),
    ("all_triples", 4, 6, &[&[0, 1, 2], &[0, 1, 3], &[0, 2, 3], &[1, 2, 3]]),
    ("rank_one", 3, 50, &[&[0], &[1], &[2]]),
    ("cells_of_ten_modes", 10, 40, &[]),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.first().map(String::as_str) {
        // the command itself, which is what is counted
        Some("run") => return mba::command::main(),
        Some("loop") => one_loop(words.get(1).map_or("", String::as_str)),
        Some("level") => {
            println!("{}", level());
            Ok(true)
        }
        _ => all(&words),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts everything, and compares or records it.
fn all(words: &[String]) -> Result<bool, Box<dyn Error>> {
    let asked = |word: &str| words.iter().any(|w| w == word);
    if std::env::var_os("MBA_COUNTS").is_none() {
        eprintln!("INSTRUCTIONS WERE NOT COUNTED: those on record are of another build; benches/count");
        return Ok(true);
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("INSTRUCTIONS WERE NOT COUNTED: valgrind is not installed");
        return Ok(!asked("--required"));
    }
    let folder = tempfile::tempdir()?;
    let own = std::env::current_exe()?;
    let level = under_valgrind(&own, &["level"], folder.path(), "none")?;
    let compiler = String::from_utf8(Command::new("rustc").arg("--version").output()?.stdout)?;
    let compiler = compiler.split(' ').nth(1).unwrap_or("unknown");
    let mut counted = BTreeMap::new();
    let start = count(&own, &["loop", "nothing"], folder.path())?;
    for (name, _) in &LOOPS[1..] {
        counted.insert(*name, count(&own, &["loop", name], folder.path())?.saturating_sub(start));
    }
    for (name, modes, levels, generators) in FITS {
        let program = write(folder.path(), name, modes, levels, generators)?;
        let program = program.to_string_lossy();
        counted.insert(name, count(&own, &["run", &program, "--threads", "1"], folder.path())?);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/counts.txt");
    if asked("--record") {
        let mut text = format!("loops {}\ncompiler {compiler}\n", level.trim());
        for (name, count) in &counted {
            writeln!(text, "{name} {count}")?;
        }
        print!("{text}");
        std::fs::write(path, text)?;
        return Ok(true);
    }
    let Ok(record) = std::fs::read_to_string(path) else {
        eprintln!("INSTRUCTIONS WERE NOT COMPARED: none are on record; benches/count --record");
        counted.iter().for_each(|(name, now)| println!("{name:<24}{now:>14}"));
        return Ok(true);
    };
    compare(&record, level.trim(), compiler, &counted)
}

/// Whether nothing takes more than on record allows.
fn compare(
    record: &str,
    level: &str,
    compiler: &str,
    counted: &BTreeMap<&str, u64>,
) -> Result<bool, Box<dyn Error>> {
    let lines = record.lines().filter_map(|l| l.split_once(' '));
    let recorded: BTreeMap<&str, &str> = lines.collect();
    let of = |name: &str| recorded.get(name).copied().unwrap_or_default();
    if of("loops") != level {
        eprintln!(
            "INSTRUCTIONS WERE NOT COMPARED: on record are {} loops, and these are {level}",
            of("loops")
        );
        return Ok(true);
    }
    let mut allowed = ALLOWED;
    if of("compiler") != compiler {
        eprintln!("on record is rustc {}, this is {compiler}: compared within {LOOSELY} %", of("compiler"));
        allowed = LOOSELY;
    }
    let mut right = true;
    for (name, now) in counted {
        let Ok(before) = of(name).parse::<u64>() else {
            println!("{name:<24}{now:>14}  has no record: benches/count --record");
            right = false;
            continue;
        };
        let change = 100.0 * (*now as f64 / before as f64 - 1.0);
        let verdict = match change {
            c if c > allowed => "  MORE THAN ON RECORD",
            c if c < -allowed => "  fewer: benches/count --record keeps it so",
            _ => "",
        };
        println!("{name:<24}{now:>14} {change:>+7.1} %{verdict}");
        right &= change <= allowed;
    }
    Ok(right)
}

/// Instructions of a run of this program.
fn count(own: &Path, arguments: &[&str], folder: &Path) -> Result<u64, Box<dyn Error>> {
    let told = under_valgrind(own, arguments, folder, "callgrind")?;
    let collected = told.lines().find_map(|l| l.split_once("Collected :"));
    let (_, number) = collected.ok_or_else(|| format!("valgrind did not count {arguments:?}: {told}"))?;
    Ok(number.trim().parse()?)
}

/// What a tool of valgrind says of a run of this program; the program's own words for `none`.
fn under_valgrind(
    own: &Path,
    arguments: &[&str],
    folder: &Path,
    tool: &str,
) -> Result<String, Box<dyn Error>> {
    let mut command = Command::new("valgrind");
    command.arg(format!("--tool={tool}")).current_dir(folder);
    if tool == "callgrind" {
        command.arg("--callgrind-out-file=/dev/null");
    }
    let done = command.arg(own).args(arguments).output()?;
    let (said, told) = (String::from_utf8(done.stdout)?, String::from_utf8(done.stderr)?);
    if !done.status.success() {
        return Err(format!("{arguments:?} failed: {said}{told}").into());
    }
    Ok(if tool == "none" { said } else { told })
}

/// Which loops `pulp` chooses here.
fn level() -> String {
    let whole = format!("{:?}", pulp::Arch::new());
    whole.split(['(', ' ', '{']).next().unwrap_or("unknown").into()
}

fn one_loop(name: &str) -> Result<bool, Box<dyn Error>> {
    // a thread that waits for work would count too
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let (_, work) = LOOPS.iter().find(|(own, _)| *own == name).ok_or("there is no such loop")?;
    work();
    Ok(true)
}

/// The same numbers on every machine, between 0 and 1.
fn numbers(count: usize) -> Vec<f64> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(|_| next()).collect()
}

fn projection(kept: [usize; 2]) -> Projection {
    Projection::between(&Scope::all(3), &[60; 3], &Scope::from(kept))
}

fn sum_to(kept: [usize; 2]) {
    let mut onto = vec![0.0; 3600];
    marginalise(&projection(kept), black_box(&numbers(216_000)), &mut onto);
    black_box(onto);
}

fn multiply() {
    let mut large = numbers(216_000);
    scale(&projection([0, 2]), black_box(&mut large), &numbers(3600));
}

/// Writes a program and its data: a dense array that leans on all pairs of modes, or, where no generators
/// are given, cells of a chain with three more pairs.
fn write(
    folder: &Path,
    name: &str,
    modes: usize,
    levels: usize,
    generators: &[&[usize]],
) -> Result<PathBuf, Box<dyn Error>> {
    let list = |between: &str| (0..modes).map(|m| format!("m{m}")).collect::<Vec<_>>().join(between);
    let mut text = String::new();
    for m in 0..modes {
        writeln!(text, "mode m{m}: {levels}")?;
    }
    let mut scopes: Vec<Vec<usize>> = generators.iter().map(|g| g.to_vec()).collect();
    let file = |what: &str| format!("{name}_{what}.npy");
    if scopes.is_empty() {
        scopes = (1..modes).map(|m| vec![m - 1, m]).chain([vec![0, 2], vec![4, 7], vec![7, 9]]).collect();
        let cells = 20_000;
        let random = numbers(cells * (modes + 1));
        let coords = Array2::from_shape_fn((cells, modes), |(cell, mode)| {
            // the same cell is not drawn twice, because the first two modes count
            let counted = [cell % levels, cell / levels % levels];
            let leaning = |m: usize| random[cell * (modes + 1) + m];
            let drawn = 0.5 * leaning(mode) + 0.5 * leaning(mode.saturating_sub(1));
            counted.get(mode).copied().unwrap_or((drawn * levels as f64) as usize) as i32
        });
        let values = Array1::from_shape_fn(cells, |cell| 0.1 + random[cell * (modes + 1) + modes]);
        ndarray_npy::write_npy(folder.join(file("cells")), &coords)?;
        ndarray_npy::write_npy(folder.join(file("values")), &values)?;
        let (cells, values) = (file("cells"), file("values"));
        writeln!(text, "data x[{}] from coords \"{cells}\" values \"{values}\"", list(", "))?;
    } else {
        let shape = vec![levels; modes];
        let (random, leaning) = (numbers(levels.pow(modes as u32)), numbers(modes * modes * levels * levels));
        let mut cells = random.iter();
        let array = ArrayD::from_shape_fn(shape, |index| {
            let pairs = (0..modes).flat_map(|a| (0..a).map(move |b| (a, b)));
            let pull = |(a, b): (usize, usize)| {
                3.0 * leaning[((a * modes + b) * levels + index[a]) * levels + index[b]]
            };
            (pairs.map(pull).sum::<f64>() + cells.next().copied().unwrap_or(0.0)).exp()
        });
        ndarray_npy::write_npy(folder.join(file("dense")), &array)?;
        writeln!(text, "data x[{}] from \"{}\"", list(", "), file("dense"))?;
    }
    let bracket =
        |g: &Vec<usize>| format!("[{}]", g.iter().map(|m| format!("m{m}")).collect::<Vec<_>>().join(" "));
    writeln!(text, "model m {{ {} }}", scopes.iter().map(bracket).collect::<Vec<_>>().join(" "))?;
    writeln!(text, "fit m to x")?;
    let path = folder.join(format!("{name}.mba"));
    std::fs::write(&path, text)?;
    Ok(path)
}
