//! Long work, with the real command: kill −9 and resume, signals, time limits, full disks, saved fits.
//!
//! Nothing here depends on how fast the machine is: a fit that is to be caught half-way is waited for by
//! looking at its checkpoint, and has enough sweeps before it to be caught.
#![cfg(unix)]

mod cli_support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cli_support::*;
use ndarray::{ArrayD, OwnedRepr};
use serde_json::Value as Json;

/// Two fits; the second takes hundreds of sweeps.
const PROGRAM: &str = "mode a: 24, b: 24, c: 24\n\
    data x[a, b, c] from \"x.npy\"\n\
    model one { body(1) }\n\
    model two { body(2) }\n\
    fit one to x\n\
    fit two to x { tolerance 1e-12 }\n\
    show one.kl, two.kl, two.certificate, two.iterations, two.status\n\
    save two.fitted to \"fitted.npy\"\n";

/// Strongly coupled pairs, which proportional fitting is slow at.
fn data() -> Vec<f64> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64 * 13.0 - 6.5
    };
    let mut table = || -> Vec<f64> { (0..24 * 24).map(|_| next()).collect() };
    let (ab, bc, ac) = (table(), table(), table());
    let cell = |k: usize| (k / 576, k / 24 % 24, k % 24);
    (0..24 * 24 * 24)
        .map(cell)
        .map(|(a, b, c)| (ab[24 * a + b] + bc[24 * b + c] + ac[24 * a + c]).exp())
        .collect()
}

fn room() -> Room {
    let room = Room::new();
    room.file("t.mba", PROGRAM).array("x.npy", &[24, 24, 24], &data());
    room
}

/// What a run that is never stopped prints and saves.
fn straight(room: &Room) -> (Vec<Json>, Vec<u8>) {
    let ran = room.mba(&["run", "t.mba", "--format", "jsonl", "--progress", "never"]).ends_with(0);
    let saved = std::fs::read(room.path().join("fitted.npy")).unwrap();
    std::fs::remove_file(room.path().join("fitted.npy")).unwrap();
    (timed_out(ran.objects()), saved)
}

/// Objects without the seconds, and without what a resumed run says of itself.
fn timed_out(objects: Vec<Json>) -> Vec<Json> {
    let kept = objects.into_iter().filter(|o| o.get("resumed").is_none() && o.get("progress").is_none());
    kept.map(|mut o| {
        if let Some(seconds) = o.get_mut("seconds") {
            *seconds = Json::Null;
        }
        o
    })
    .collect()
}

fn spawn(room: &Room, arguments: &[&str]) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin!("mba"))
        .current_dir(room.path())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn metadata(path: &Path) -> Option<Json> {
    let file = std::fs::File::open(path).ok()?;
    let mut archive = ndarray_npy::NpzReader::new(file).ok()?;
    let bytes = archive.by_name::<OwnedRepr<u8>, ndarray::Ix1>("metadata").ok()?;
    serde_json::from_slice(&bytes.to_vec()).ok()
}

/// Waits until the checkpoint holds `two` after at least so many sweeps, half-way.
#[track_caller]
fn wait_for(room: &Room, child: &mut Child, sweeps: u64) -> u64 {
    let started = Instant::now();
    loop {
        let fits = metadata(&room.path().join("c.npz")).map(|m| m["fits"].clone());
        let two = fits.and_then(|f| f.as_array()?.iter().find(|f| f["name"] == "two").cloned());
        match two {
            Some(two) if two["done"] == true => panic!("it was done before it could be caught"),
            Some(two) if two["sweeps"].as_u64() >= Some(sweeps) => return two["sweeps"].as_u64().unwrap(),
            _ => {}
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(started.elapsed() < Duration::from_secs(120), "no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn end(child: Child) -> (Option<i32>, String, String) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let err = text(output.stderr);
    assert!(!err.contains("panicked"), "{err}");
    (output.status.code(), text(output.stdout), err)
}

const KEPT: &[&str] =
    &["run", "t.mba", "--format", "jsonl", "--checkpoint", "c.npz", "--checkpoint-every", "0s"];

#[test]
fn killed_and_resumed_gives_the_same_bits() {
    let room = room();
    let (objects, saved) = straight(&room);
    // killed three times on the way, each time a little later
    let mut arguments = KEPT.to_vec();
    for sweeps in [3, 14, 30] {
        let mut child = spawn(&room, &arguments);
        let reached = wait_for(&room, &mut child, sweeps);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(reached >= sweeps);
        arguments = [KEPT, &["--resume", "c.npz"]].concat();
        assert!(!room.path().join("fitted.npy").exists());
    }
    let ran = room.mba(&["run", "t.mba", "--format", "jsonl", "--resume", "c.npz"]).ends_with(0);
    let own = ran.objects();
    let resumed: Vec<&Json> = own.iter().filter(|o| o.get("resumed").is_some()).collect();
    assert_eq!(resumed.len(), 2, "{own:#?}");
    assert!(resumed[0]["done"] == true && resumed[1]["done"] == false);
    assert!(resumed[1]["iterations"].as_u64() >= Some(30));
    assert_eq!(timed_out(own), objects);
    assert_eq!(std::fs::read(room.path().join("fitted.npy")).unwrap(), saved);
    // what is done is not done again, and can be shown again
    let ran = room.mba(&["run", "t.mba", "--format", "jsonl", "--resume", "c.npz"]).ends_with(0);
    assert!(ran.objects().iter().filter(|o| o.get("resumed").is_some()).all(|o| o["done"] == true));
    assert_eq!(timed_out(ran.objects()), objects);
    assert_eq!(std::fs::read(room.path().join("fitted.npy")).unwrap(), saved);
    // threads do not matter either
    let ran =
        room.mba(&["run", "t.mba", "--format", "jsonl", "--resume", "c.npz", "--threads", "3"]).ends_with(0);
    assert_eq!(timed_out(ran.objects()), objects);
}

#[test]
fn a_signal_ends_in_a_saved_state_and_a_status() {
    for name in ["INT", "TERM"] {
        let room = room();
        let (objects, saved) = straight(&room);
        let mut child = spawn(&room, KEPT);
        wait_for(&room, &mut child, 5);
        signal(&child, name);
        let (status, out, err) = end(child);
        assert_eq!(status, Some(1), "{name}: {out}\n{err}");
        assert!(err.contains("ending after this sweep"), "{err}");
        let objects_now: Vec<Json> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let two = objects_now.iter().find(|o| o["fit"] == "two").unwrap();
        assert_eq!(two["status"], "interrupted");
        // what there is was shown and saved
        assert_eq!(shown(&objects_now, "two.status"), "interrupted");
        assert!(
            diagnostics(&objects_now)
                .iter()
                .any(|d| d["code"] == "MBA511" && d["help"].as_str().unwrap().contains("--resume c.npz"))
        );
        assert!(room.path().join("fitted.npy").exists());
        assert_eq!(metadata(&room.path().join("c.npz")).unwrap()["fits"][1]["sweeps"], two["iterations"]);
        let ran = room.mba(&["run", "t.mba", "--format", "jsonl", "--resume", "c.npz"]).ends_with(0);
        assert_eq!(timed_out(ran.objects()), objects, "{name}");
        assert_eq!(std::fs::read(room.path().join("fitted.npy")).unwrap(), saved);
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let room = room();
    // tens of thousands of parameters, whose bound alone takes longer than a signal
    room.file(
        "long.mba",
        "mode a: 120, b: 120, c: 120\n\
        model m { [a b] = -((a * b) mod 7)\n [b c] = -((b * c) mod 5)\n [a c] = -((a + c) mod 3) }\n\
        model free { body(2) }\n\
        data x[a, b, c] = sample(m, 200000, seed: 1)\n\
        fit free to x { tolerance 1e-15, max_sweeps 100000 }\nshow free.kl\n",
    );
    let mut child = spawn(&room, &["run", "long.mba", "--progress", "always"]);
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut wait = |words: &str| {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert!(err.read_line(&mut line).unwrap() > 0, "it ended before it said `{words}`");
        }
    };
    wait("sweep 1,");
    signal(&child, "INT");
    wait("once more to end at once");
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_time_limit_ends_a_fit_and_those_after_it() {
    let room = room();
    let more = "model three { [a b] [b c] [a c] }\nfit three to x\nshow three.kl\ntest \"three\" { expect three.kl < 1 }\n";
    room.file("t.mba", format!("{PROGRAM}{more}"));
    let ran = room.mba(&["run", "t.mba", "--format", "jsonl", "--time-limit", "0s"]).ends_with(1);
    let objects = ran.objects();
    let codes: Vec<&str> = diagnostics(&objects).iter().map(|d| d["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["MBA530"]);
    let message = diagnostics(&objects)[0]["message"].as_str().unwrap();
    assert!(["`one`", "`two`", "`three`"].iter().all(|n| message.contains(n)), "{message}");
    let test = objects.iter().find(|o| o.get("test").is_some()).unwrap();
    assert_eq!((&test["status"], &test["failures"][0]["code"]), (&"failed".into(), &"MBA602".into()));
    // a limit that is not reached changes nothing
    room.file("t.mba", PROGRAM);
    let (objects, _) = straight(&room);
    let ran =
        room.mba(&["run", "t.mba", "--format", "jsonl", "--progress", "never", "--time-limit", "1h 30m"]);
    assert_eq!(timed_out(ran.ends_with(0).objects()), objects);
    room.mba(&["run", "t.mba", "--time-limit", "soon"]).ends_with(2).says(&["30s"]);
}

/// A checkpoint of `t.mba`, half-way.
fn half_way(room: &Room) {
    let mut child = spawn(room, KEPT);
    wait_for(room, &mut child, 12);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_has_changed_is_refused_and_nothing_is_lost() {
    let room = room();
    let (objects, _) = straight(&room);
    half_way(&room);
    let kept = std::fs::read(room.path().join("c.npz")).unwrap();
    let refused = |program: String, says: &[&str]| {
        room.file("u.mba", program);
        let ran = room.mba(&["run", "u.mba", "--resume", "c.npz"]).ends_with(3).says(says);
        assert!(ran.out.lines().all(|l| l.starts_with("fit one")), "{}", ran.out);
    };
    refused(PROGRAM.replace("body(2)", "[a b] [b c]"), &["MBA531", "its model", "`two`"]);
    refused(PROGRAM.replace("1e-12", "1e-6"), &["MBA531", "tolerance was 1e-12 and is 1e-6"]);
    refused(
        PROGRAM.replace("fit one to x\n", "").replace("one.kl, ", ""),
        &["MBA531", "`one`", "no such fit"],
    );
    assert_eq!(std::fs::read(room.path().join("c.npz")).unwrap(), kept, "refusing changes nothing");
    // the data, by one number in the last place
    let mut other = data();
    other[1000] = other[1000].next_up();
    room.array("x.npy", &[24, 24, 24], &other);
    refused(PROGRAM.into(), &["MBA531", "the data `x` have changed"]);
    room.array("x.npy", &[24, 24, 24], &data());
    // beginning again would lose it
    room.mba(KEPT).ends_with(3);
    room.mba(&["run", "t.mba", "--checkpoint", "c.npz"]).ends_with(3).says(&["MBA535", "--resume c.npz"]);
    let precious = std::fs::read(room.path().join("x.npy")).unwrap();
    room.mba(&["run", "t.mba", "--checkpoint", "x.npy"]).ends_with(3).says(&["MBA535", "no checkpoint"]);
    assert_eq!(std::fs::read(room.path().join("x.npy")).unwrap(), precious);
    // what does not matter may change: layout, names of models, what is shown, more sweeps, a new fit
    let other = PROGRAM
        .replace("model two", "# a comment\nmodel pairs")
        .replace("fit two to x {", "fit pairs to x as two { max_sweeps 9999,")
        .replace("two.status\n", "two.status\nmodel also { [a b] }\nfit also to x\n");
    room.file("u.mba", other);
    let ran = room.mba(&["run", "u.mba", "--format", "jsonl", "--resume", "c.npz"]).ends_with(0);
    let two = |o: &[Json]| o.iter().find(|o| o["fit"] == "two").cloned();
    assert_eq!(two(&timed_out(ran.objects())), two(&objects));
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let room = room();
    half_way(&room);
    let kept = std::fs::read(room.path().join("c.npz")).unwrap();
    let check = |bytes: &[u8], says: &[&str]| {
        room.file("d.npz", bytes);
        let ran = room.mba(&["run", "t.mba", "--resume", "d.npz"]).ends_with(3).says(says);
        assert!(ran.out.is_empty(), "nothing runs: {}", ran.out);
        assert_eq!(std::fs::read(room.path().join("d.npz")).unwrap(), bytes, "and nothing is written");
    };
    let mut flipped = kept.clone();
    let middle = kept.len() / 2;
    flipped[middle] ^= 1;
    check(&flipped, &["MBA532", "damaged"]);
    check(&kept[..kept.len() - 10], &["MBA532"]);
    check(&kept[..100], &["MBA532"]);
    check(b"", &["MBA532", "empty"]);
    check(b"not an archive", &["MBA532"]);
    let newer = kept.clone();
    let at = newer.windows(9).position(|w| w == b"\"version\"").unwrap();
    assert!(newer[at..at + 14].contains(&b'1'));
    room.mba(&["run", "t.mba", "--resume", "nowhere.npz"]).ends_with(3).says(&["MBA532", "nowhere.npz"]);
    // the first time of a job that is started again and again
    let twice = ["run", "t.mba", "--checkpoint", "e.npz", "--resume", "e.npz"];
    room.mba(&twice).ends_with(0);
    room.mba(&twice).ends_with(0).says(&["`two` was done before"]);
}

#[test]
fn a_checkpoint_that_cannot_be_written_is_said_before_anything_runs() {
    let room = room();
    std::fs::create_dir(room.path().join("folder")).unwrap();
    for (path, status) in [("nowhere/c.npz", 1), ("folder", 2), ("/dev/full", 2), ("-", 2)] {
        let ran = room.mba(&["run", "t.mba", "--checkpoint", path]).ends_with(status);
        assert!(ran.out.is_empty(), "{path}: {}", ran.out);
    }
    room.mba(&["run", "t.mba", "--checkpoint", "nowhere/c.npz"]).says(&["MBA533", "nothing was run"]);
}

/// Runs a script where a small file system and a read-only one can be mounted; says so where they cannot.
fn mounted(room: &Room, script: &str) -> Option<(i32, String)> {
    let whole = format!(
        "mkdir -p small locked && mount -t tmpfs -o size=100k tmpfs small || exit 99\n\
        echo kept > locked/c.npz && cp locked/c.npz locked/f.npy\n\
        mount --bind locked locked && mount -o remount,bind,ro locked || exit 99\n{script}"
    );
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &whole]).current_dir(room.path());
    command.env("MBA", assert_cmd::cargo::cargo_bin!("mba"));
    match command.output() {
        Ok(output) if output.status.code() != Some(99) && output.status.code() != Some(1) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned()))
        }
        other => {
            eprintln!("NOT TESTED: no file system can be mounted here ({other:?})");
            None
        }
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let room = room();
    let (objects, _) = straight(&room);
    // room for the first checkpoints, then none; what was saved before stays
    let script = "printf old > small/fitted.npy; cp t.mba u.mba\n\
        sed -i 's#\"fitted.npy\"#\"small/fitted.npy\"#' u.mba\n\
        $MBA run u.mba --checkpoint small/c.npz --checkpoint-every 0s --format jsonl; echo \"status $?\"\n\
        cat small/fitted.npy; echo; ls -A small; cp small/c.npz last.npz; exit 0";
    let Some((_, said)) = mounted(&room, script) else { return };
    assert!(said.contains("status 1"), "{said}");
    assert!(said.contains("MBA534") && said.contains("MBA430") && said.contains("No space left"), "{said}");
    assert!(said.contains("\nold\n"), "{said}");
    assert!(said.contains("\nc.npz\nfitted.npy\n"), "no temporary file is left: {said}");
    // the run went on to its end, and the last checkpoint that had room can be gone on from
    assert!(said.contains("\"status\":\"converged\""), "{said}");
    let ran = room.mba(&["run", "t.mba", "--resume", "last.npz", "--format", "jsonl"]).ends_with(0);
    assert_eq!(timed_out(ran.objects()), objects);
}

#[test]
fn a_read_only_folder_loses_nothing() {
    let room = room();
    let script = "sed -i 's#\"fitted.npy\"#\"locked/f.npy\"#' t.mba\n\
        $MBA run t.mba; echo \"status $?\"\n\
        $MBA run t.mba --checkpoint locked/new.npz; echo \"status $?\"\n\
        $MBA run t.mba --checkpoint locked/c.npz; echo \"status $?\"\n\
        cat locked/c.npz locked/f.npy; ls -A locked; exit 0";
    let Some((_, said)) = mounted(&room, script) else { return };
    for words in ["MBA430", "MBA533", "MBA535", "read-only filesystem", "status 1", "status 3"] {
        assert!(said.contains(words), "`{words}` is not in {said}");
    }
    assert!(said.contains("kept\nkept\nc.npz\nf.npy\n"), "{said}");
}

const SAVING: &str = "mode hair: {Black, Fair}, eye: {Brown, Blue}, age: bins(0, 18, 65)\n\
    data people[hair, eye, age] from \"people.csv\" count n\n\
    model pairs { body(2) }\n\
    fit pairs to people\n\
    save pairs to \"pairs.npz\"\n";
const SHOWN: &str = "show pairs, pairs.kl, pairs.deviance, pairs.df, pairs.df_adjusted, pairs.p_value, pairs.pearson\n\
    show pairs.aic, pairs.bic, pairs.log_likelihood, pairs.log_z, pairs.entropy, pairs.energy, pairs.free_energy\n\
    show pairs.theta, pairs.eta, pairs.fitted, pairs.completed, pairs.residuals, pairs.zero_marginals\n\
    show pairs.marginal(hair, eye), pairs.conditional(eye | hair: Fair), pairs.certificate, pairs.cost\n\
    show pairs.sample(5, seed: 3), pairs.mutual_information(hair, eye), interactions(pairs), pairs.total\n\
    show pairs.iterations, pairs.status, pairs.time >= 0\n";
const PEOPLE: &str = "hair,eye,age,n\nBlack,Brown,3,12\nBlack,Blue,3,5\nFair,Brown,3,4\nFair,Blue,3,9\n\
    Black,Brown,20,7\nBlack,Blue,20,6\nFair,Brown,20,2\nFair,Blue,20,11\n";

#[test]
fn a_saved_fit_comes_back_with_every_number() {
    let room = Room::new();
    room.file("people.csv", PEOPLE);
    let shows = |ran: Ran| -> Vec<Json> {
        ran.ends_with(0).objects().into_iter().filter(|o| o.get("show").is_some()).collect()
    };
    let fitted = shows(room.run(&format!("{SAVING}{SHOWN}"), &["--format", "jsonl"]));
    // without the data, and without fitting
    std::fs::remove_file(room.path().join("people.csv")).unwrap();
    let program = format!("load \"pairs.npz\" as pairs\n{SHOWN}");
    let loaded = room.run(&program, &["--format", "jsonl"]);
    assert!(loaded.out.contains("{\"loaded\":\"pairs.npz\",\"as\":\"pairs\"}"), "{}", loaded.out);
    assert_eq!(shows(loaded), fitted);
    // and again, saved from what was loaded, byte by byte
    room.run(
        "load \"pairs.npz\" as p\nsave p to \"again.npz\"\nload \"pairs.npz\" as q\nsave q to \"q.npz\"",
        &[],
    )
    .ends_with(0);
    let bytes = |name: &str| std::fs::read(room.path().join(name)).unwrap();
    assert_eq!(bytes("again.npz").len(), bytes("q.npz").len());
    // two fits side by side, one of them from a file
    let both =
        "load \"pairs.npz\" as before\ntest \"as before\" { expect before.df == 1 }\nshow compare(before)\n";
    room.run(both, &[]).ends_with(0);
}

#[test]
fn large_factored_and_sparse_fits_come_back_too() {
    let room = room();
    room.file(
        "energy.mba",
        "mode a: 3, b: {-1, +1} ordered, c: 4 cyclic\n\
        model gen { [a b] = a * b\n [b c] = 0.3 * b * c }\n\
        data y[a, b, c] = sample(gen, 300, seed: 2)\n\
        model m { [a b] [b c]\n [a c] = 0.1 * a * c }\nfit m to y\nsave m to \"m.npz\"\n\
        show m.kl, m.fitted, m.energy, m.theta, m.log_z\n",
    );
    let first = room.mba(&["run", "energy.mba", "--format", "jsonl"]).ends_with(0);
    let again = room
        .run("load \"m.npz\" as m\nshow m.kl, m.fitted, m.energy, m.theta, m.log_z", &["--format", "jsonl"]);
    let shows = |r: &Ran| r.objects().into_iter().filter(|o| o.get("show").is_some()).collect::<Vec<_>>();
    assert_eq!(shows(&first), shows(&again.ends_with(0)));
    room.file(
        "t.mba",
        format!("{PROGRAM}save two to \"two.npz\"\nshow two.marginal(a), two.entropy, two.fitted"),
    );
    let first = room.mba(&["run", "t.mba", "--format", "jsonl", "--progress", "never"]).ends_with(0);
    let program = "load \"two.npz\" as two\nshow two.kl, two.certificate, two.iterations, two.status\n\
        show two.marginal(a), two.entropy, two.fitted";
    let again = shows(&room.run(program, &["--format", "jsonl"]).ends_with(0));
    assert_eq!(shows(&first)[1..], again[..]);
}

/// Coefficients by likelihood and by pseudo-likelihood, a balanced tensor, and an estimate of each kind.
const OTHERS: &str = "mode a: {-1, 1}, b: {-1, 1}, c: {-1, 1}\n\
    data x[a, b, c] = [[[9, 2], [3, 4]], [[5, 6], [7, 8]]]\n\
    data cost[a, b] = [[0, 1], [1.5, 0]]\n\
    data r[a] = [3, 4]; data q[b] = [2, 5]\n\
    model learned { [a] [b] [a b] = learn J * a * b; [b c] = learn K * b * c }\n\
    model known { [a b] = -0.5 * a * b; [b c] = -0.3 * b * c }\n\
    fit learned to x as lf\n\
    fit learned to x by pseudo_likelihood as pl\n\
    balance exp(-cost / 0.5) to margins(r, q) as B\n\
    estimate known by bethe as e\n\
    estimate known by gibbs as g { sweeps 500; chains 2 }\n\
    estimate known by annealed_importance as w { steps 20; runs 50 }\n";
const ASKED: &str = "show lf.coefficients, lf.kl, lf.fitted, lf.log_z, lf.coefficient(J), pl.coefficients, \
    pl.pseudo_likelihood, B.kl, B.mean(cost), B.marginal(a), B.reconstruction, B.potentials, B.status, e.log_z, \
    e.marginal(a, b), e.status, g.marginal(c), g.energy, g.heat_capacity, g.magnetization, w.log_z, w.effective_runs\n";

fn values(ran: &Ran) -> Vec<Json> {
    let asked =
        |o: &Json| o["show"].as_str().is_some_and(|s| s.contains('.') && !s.contains(' ') || s.contains('('));
    ran.objects().into_iter().filter(|o| asked(o)).collect()
}

#[test]
fn coefficients_balances_and_estimates_are_kept_whole() {
    let room = Room::new();
    let names = ["lf", "pl", "B", "e", "g", "w"];
    let save: String = names.iter().map(|n| format!("save {n} to \"{n}.npz\"\n")).collect();
    room.file("t.mba", format!("{OTHERS}{ASKED}{save}"));
    let jsonl = |arguments: &[&str]| room.mba(&[&["run", "--format", "jsonl"], arguments].concat());
    let first = values(&jsonl(&["t.mba"]).ends_with(0));
    assert!(first.len() > 20, "{first:#?}");
    // loaded
    let load: String = names.iter().map(|n| format!("load \"{n}.npz\" as {n}\n")).collect();
    let head = "mode a: {-1, 1}, b: {-1, 1}, c: {-1, 1}\ndata cost[a, b] = [[0, 1], [1.5, 0]]\n";
    room.file("l.mba", format!("{head}{load}{ASKED}"));
    assert_eq!(values(&jsonl(&["l.mba", "--allow", "MBA120"]).ends_with(0)), first);
    // from a checkpoint, of which nothing is done again
    assert_eq!(values(&jsonl(&["t.mba", "--checkpoint", "c.npz"]).ends_with(0)), first);
    let again = jsonl(&["t.mba", "--resume", "c.npz"]).ends_with(0);
    assert_eq!(values(&again), first);
    let resumed: Vec<Json> = again.objects().into_iter().filter(|o| o.get("resumed").is_some()).collect();
    assert_eq!(resumed.len(), names.len(), "{resumed:#?}");
    // what it was computed from has changed
    for (old, new, name) in [
        ("[[0, 1], [1.5, 0]]", "[[0, 1], [1.6, 0]]", "`B`"),
        ("sweeps 500", "sweeps 600", "`g`"),
        ("-0.5 * a * b", "-0.6 * a * b", "`e`"),
        ("as w {", "as v {", "`w`"),
    ] {
        room.file("u.mba", OTHERS.replace(old, new));
        room.mba(&["run", "u.mba", "--resume", "c.npz"]).ends_with(3).says(&["MBA531", name]);
    }
    // damaged
    let bytes = std::fs::read(room.path().join("B.npz")).unwrap();
    for at in (0..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        std::fs::write(room.path().join("B.npz"), damaged).unwrap();
        let status = room.mba(&["run", "l.mba", "--allow", "MBA120"]).status;
        assert!(status == 3 || status == 0, "byte {at}: {status}");
    }
}

#[test]
fn what_is_left_when_a_run_is_asked_to_end_is_told() {
    let room = Room::new();
    room.file("t.mba", OTHERS);
    let ran = room.mba(&["run", "t.mba", "--time-limit", "0s"]).ends_with(1);
    ran.says(&["MBA530", "`lf`, `pl`, `B`, `e`, `g` and `w` were not computed"]);
}

#[test]
fn exact_sums_end_too_and_short_ones_are_still_taken() {
    let room = Room::new();
    room.file(
        "t.mba",
        "mode s[22, 22]: {-1, +1}, r[4, 4]: {-1, +1}\n\
         model wide over s { for (a, b) in neighbours(s) { [a b] = -a * b } }\n\
         model small over r { for (a, b) in neighbours(r) { [a b] = -a * b } }\n\
         show wide.log_z\nshow small.log_z\n",
    );
    let ran = room.mba(&["run", "t.mba", "--time-limit", "0s"]).ends_with(1);
    let ran = ran.says(&["MBA542", "over `wide`"]);
    assert!(ran.out.contains("small.log_z = "), "{}", ran.out);
    // the fits that a result makes are fits
    room.array("x.npy", &[24, 24, 24], &data());
    let read = "mode a: 24, b: 24, c: 24\ndata x[a, b, c] from \"x.npy\"\n";
    room.file("f.mba", format!("{read}model m {{ [a b c] }}\nfit m to x as f\nsave f to \"f.npz\"\n"));
    room.mba(&["run", "f.mba", "--allow", "MBA120"]).ends_with(0);
    room.file("g.mba", "load \"f.npz\" as f\nshow interactions(f)\n");
    let ran = room.mba(&["run", "g.mba"]).ends_with(0);
    assert!(ran.out.contains("[a b c]"), "{}", ran.out);
    room.mba(&["run", "g.mba", "--time-limit", "0s"]).ends_with(1).says(&["MBA511"]);
}

/// Long samples of a fit, of a model and as data end when they are asked to; so much that is drawn is more than
/// the memory that is allowed.
#[test]
fn samples_end_too_and_keep_to_the_memory() {
    let room = Room::new();
    room.array("x.npy", &[24, 24, 24], &det(&[24, 24, 24]));
    let head = "mode a: 24, b: 24, c: 24, s[9]: 3\ndata x[a, b, c] from \"x.npy\"\n\
        model m over a, b, c { [a b] [c] }\n\
        model known over s { for (p, q) in neighbours(s) { [p q] = -0.1 * p * q } }\n\
        model apart over a, b, c { [a b] = 0.001 * a * b; [c] = 0.01 * c; forbid a == 1 and b == 1 }\n";
    let rest = "show known.sample(2)\n";
    for (what, text, memory) in [
        ("`f`", "fit m to x as f\nshow f.sample(4000000000)\n", "1M"),
        ("`known`", "show known.sample(4000000000)\n", "1M"),
        ("`known`", "data y[s] = sample(known, 4000000000, seed: 1)\nshow y.total\n", "1M"),
        ("`apart`", "data y[a, b, c] = sample(apart, 4000000000, seed: 1)\nshow y.total\n", "400K"),
    ] {
        room.file("t.mba", format!("{head}{text}{rest}"));
        let ran = room.mba(&["run", "t.mba", "--time-limit", "2s"]).ends_with(1);
        let ran = ran.says(&["MBA542", "a sample of", what]);
        assert!(ran.out.contains("known.sample(2)"), "{}", ran.out);
        let ran = room.mba(&["run", "t.mba", "--memory", memory]).says(&["MBA504", "a sample of", what]);
        assert!(ran.out.contains("known.sample(2)"), "{}", ran.out);
    }
}

#[test]
fn an_estimate_larger_than_the_memory_is_refused() {
    let room = Room::new();
    for options in ["sweeps 1000000000000000", "chains 1000000000000"] {
        room.file("t.mba", format!("{OTHERS}estimate known by gibbs as h {{ {options} }}\n"));
        room.mba(&["run", "t.mba"]).ends_with(3).says(&["MBA501"]);
    }
}

#[test]
fn fits_with_unknown_and_impossible_cells_come_back_too() {
    let room = Room::new();
    room.array("x.npy", &[24, 24, 24], &data());
    let shown = "show f.divergence, f.completed, f.df, f.held_out, f.undetermined, f.certificate\n\
        show g.completed, g.held_out.rmse, g.divergence, g.certificate\n\
        show q.df, q.deviance, q.fitted, q.log_z\n";
    let fits = "mode a: 24, b: 24, c: 24 ordered\n\
        data x[a, b, c] from \"x.npy\" missing where (a + b + c) mod 3 == 0 and a > 4\n\
        model pairs { body(2) }\n\
        model apart { body(1) }\n\
        model leaning { [a b] [c] [b c] smooth [b c] along c strength 2\nprior 5% toward apart }\n\
        mode i: 3, j: 3\n\
        data y[i, j] = [[0, 45, 8], [28, 0, 84], [11, 78, 0]]\n\
        model quasi { body(1) forbid i == j }\n\
        model symmetric { [i] [j] [i j] tie [i j] ~ [j i] }  # allow MBA321 MBA322\n\
        fit pairs to x as f { tolerance 1e-6, hold_out 10% seed 1 }\n\
        fit leaning to x as g { tolerance 1e-6, hold_out where a == 3 }\n\
        fit quasi to y as q\n\
        fit symmetric to y as s\n\
        save f to \"f.npz\"\nsave g to \"g.npz\"\nsave q to \"q.npz\"\nsave s to \"s.npz\"\n\
        show s.fitted, s.df\n";
    let shows = |ran: Ran| -> Vec<Json> {
        ran.ends_with(0).objects().into_iter().filter(|o| o.get("show").is_some()).collect()
    };
    let fitted = shows(room.run(&format!("{fits}{shown}"), &["--format", "jsonl"]));
    let loads = "load \"f.npz\" as f\nload \"g.npz\" as g\nload \"q.npz\" as q\nload \"s.npz\" as s\n";
    let loaded = shows(room.run(&format!("{loads}show s.fitted, s.df\n{shown}"), &["--format", "jsonl"]));
    assert_eq!(loaded, fitted);
}

#[test]
fn a_masked_fit_is_resumed_to_the_same_bits() {
    let room = room();
    let masked = PROGRAM
        .replace("from \"x.npy\"", "from \"x.npy\" missing where (a + b + c) mod 3 == 0")
        .replace("1e-12 }", "1e-12, hold_out 5% seed 2 }")
        .replace("two.fitted", "two.completed");
    room.file("t.mba", &masked);
    let (objects, saved) = straight(&room);
    half_way(&room);
    let resume = ["run", "t.mba", "--format", "jsonl", "--progress", "never", "--resume", "c.npz"];
    let ran = room.mba(&resume).ends_with(0);
    assert_eq!(timed_out(ran.objects()), objects);
    assert!(std::fs::read(room.path().join("fitted.npy")).unwrap() == saved);
    // what is held out is part of what is fitted
    std::fs::remove_file(room.path().join("c.npz")).unwrap();
    half_way(&room);
    room.file("t.mba", masked.replace("seed 2", "seed 3"));
    let other = room.mba(&["run", "t.mba", "--resume", "c.npz"]);
    other.ends_with(3).says(&["MBA531", "the data `x` have changed"]);
}

#[test]
fn saved_fits_that_are_wrong_are_refused() {
    let room = Room::new();
    room.file("people.csv", PEOPLE);
    room.run(SAVING, &[]).ends_with(0);
    let good = std::fs::read(room.path().join("pairs.npz")).unwrap();
    let load = "load \"d.npz\" as d\nshow d.kl\n";
    let mut flipped = good.clone();
    flipped[good.len() / 3] ^= 4;
    for bytes in [&flipped[..], &good[..good.len() / 2], b"PK nothing", b""] {
        room.file("d.npz", bytes);
        room.run(load, &[]).ends_with(3).says(&["MBA536"]);
    }
    room.array("a.npy", &[2], &[1.0, 2.0]);
    room.run("load \"a.npy\" as d\nshow d.kl\n", &[]).ends_with(3).says(&["MBA536"]);
    room.run("load \"none.npz\" as d\nshow d.kl\n", &[]).ends_with(3).says(&["MBA401", "none.npz"]);
    // names are checked before anything runs
    room.run("load \"pairs.npz\" as d\nshow d.marginal(hare)\n", &[]).ends_with(3).says(&["`hair`"]);
    room.run("load \"pairs.npz\" as d\nload \"pairs.npz\" as d\n", &[]).ends_with(3).says(&["MBA103"]);
    room.run("load \"pairs.npz\"\n", &[]).ends_with(3).says(&["MBA001"]);
    // what is saved where
    for (what, path) in [("pairs.fitted", "f.npz"), ("pairs", "f.npy"), ("pairs", "f.csv")] {
        let ran = room.run(&format!("{SAVING}save {what} to \"{path}\""), &[]).ends_with(3).says(&["MBA409"]);
        assert!(ran.out.is_empty(), "before anything runs");
    }
}

#[test]
fn completed_of_complete_data_are_the_data() {
    let room = Room::new();
    room.file("people.csv", PEOPLE);
    let saves =
        "save pairs.completed to \"x.npy\"\nsave pairs.completed to \"x.csv\"\nshow pairs.completed\n";
    room.run(&format!("{SAVING}{saves}"), &[]).ends_with(0);
    let x: ArrayD<f64> = ndarray_npy::read_npy(room.path().join("x.npy")).unwrap();
    assert_eq!(x.iter().copied().collect::<Vec<_>>(), [12.0, 7.0, 5.0, 6.0, 4.0, 2.0, 9.0, 11.0]);
    assert!(room.read("x.csv").contains("Black,Brown,"));
}

#[test]
fn numpy_reads_a_saved_fit() {
    let room = Room::new();
    room.file("people.csv", PEOPLE);
    room.run(SAVING, &[]).ends_with(0);
    room.file(
        "look.py",
        "import json, numpy as np\n\
        z = np.load('pairs.npz')\n\
        m = json.loads(bytes(z['metadata']))\n\
        assert m['format'] == 'mba fit' and m['fit']['status'] == 'converged'\n\
        assert z['data'].shape == (2, 2, 2) and z['data'].sum() == 56 and m['data']['counts']\n\
        assert z['fitted'].shape == (2, 2, 2) and abs(z['fitted'].sum() - 56) < 1e-9\n\
        logs = 0\n\
        for f in m['fit']['log_factors']:\n\
        \x20   own = z[f['array']]\n\
        \x20   shape = [own.shape[f['modes'].index(n)] if n in f['modes'] else 1 for n in ['hair', 'eye', 'age']]\n\
        \x20   logs = logs + own.reshape(shape)\n\
        q = np.exp(logs - sum(m['fit']['log_mass']))\n\
        assert np.allclose(q * 56, z['fitted'], rtol=1e-9), q\n\
        print('fine')\n",
    );
    let numpy = Command::new("python3").args(["-c", "import numpy"]).output();
    if !numpy.is_ok_and(|o| o.status.success()) {
        eprintln!("NOT TESTED: there is no python3 with numpy here");
        return;
    }
    let output = Command::new("python3").arg("look.py").current_dir(room.path()).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "fine\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn progress_goes_where_it_belongs() {
    let room = room();
    let ran = room.mba(&["run", "t.mba", "--progress", "always"]).ends_with(0);
    let lines: Vec<&str> = ran.err.lines().filter(|l| l.starts_with("mba: fit two: sweep ")).collect();
    assert!(lines[0].contains("sweep 1, residual ") && lines[0].contains(" of 1.0e-12"), "{}", ran.err);
    assert!(!ran.out.contains("residual"));
    let ran = room.mba(&["run", "t.mba", "--progress", "always", "--format", "jsonl"]).ends_with(0);
    let objects = ran.objects();
    let own = objects.iter().find(|o| o["progress"] == "two").unwrap();
    assert_eq!((&own["sweep"], &own["tolerance"], &own["left"]), (&1.into(), &1e-12.into(), &Json::Null));
    assert!(own["residual"].as_f64().is_some_and(|r| r > 0.0) && own["seconds"].is_number());
    let quiet = room.mba(&["run", "t.mba", "--progress", "never"]).ends_with(0);
    assert!(quiet.err.is_empty(), "{}", quiet.err);
    let list = room.mba(&["run", "t.mba", "--progress", "always", "--format", "json"]).ends_with(0);
    let list: Vec<Json> = serde_json::from_str(&list.out).unwrap();
    assert!(list.iter().all(|o| o.get("progress").is_none()));
}

/// A joint fit that is done is kept by its parameters; what follows from them has the same bits.
#[test]
fn a_joint_fit_that_is_done_is_kept() {
    let room = Room::new();
    let text = "mode a: 3, b: 2, c: 2\n\
        data x[a, b] = [[1, 2], [3, 5], [missing, 4]]\ndata y[a, c] = [[2, 7], [8, 2], [4, 3]]\n\
        model one { body(1) }\nfit one to x, y weight 2 as m\nshow m.kl, m.certificate, m.of(x).fitted, m.df\n";
    room.file("j.mba", text);
    let objects = |arguments: &[&str]| -> Vec<Json> {
        let ran = room.mba(arguments).ends_with(0);
        ran.objects().into_iter().filter(|o| o["show"].is_string()).collect()
    };
    let straight = objects(&["run", "j.mba", "--format", "jsonl"]);
    let first = objects(&["run", "j.mba", "--format", "jsonl", "--checkpoint", "j.npz"]);
    let again = objects(&["run", "j.mba", "--format", "jsonl", "--resume", "j.npz"]);
    assert_eq!(straight, first);
    assert_eq!(straight, again);
    room.mba(&["run", "j.mba", "--resume", "j.npz"]).ends_with(0).says(&["`m` was done before"]);
    room.file("j.mba", text.replace("weight 2", "weight 3"));
    room.mba(&["run", "j.mba", "--resume", "j.npz"]).ends_with(3).says(&["MBA531", "`m`"]);
    // what a prior hides to find its strength is drawn from the seed
    room.file("p.mba", text.replace("{ body(1) }", "{ [a b] [a c]; prior auto toward body(1) }"));
    room.mba(&["run", "p.mba", "--seed", "1", "--checkpoint", "p.npz"]).ends_with(0);
    room.mba(&["run", "p.mba", "--seed", "1", "--resume", "p.npz"])
        .ends_with(0)
        .says(&["`m` was done before"]);
    room.mba(&["run", "p.mba", "--seed", "2", "--resume", "p.npz"]).ends_with(3).says(&["MBA531"]);
}

/// A joint fit that is saved comes back with every number, however it ended, and is saved as the same bytes again.
#[test]
fn a_joint_fit_is_saved_whole() {
    let room = Room::new();
    let data = "mode a: 3, b: 4, c: {lo, hi}\n\
        data x[a, b] = [[1, 2, 7, 4], [3, 5, missing, 8], [9, 4, 2, 6]]\n\
        data y[b, c] = [[2, 7], [8, 2], [4, 3], [1, 1]]\n\
        data z[a, b, c] = [[[1, 2], [3, 4], [5, 6], [7, 8]], [[2, 1], [4, 3], [6, 5], [8, 7]], [[9, 1], [2, 8], [3, 7], [4, 6]]]\n";
    let fits = [
        // in closed form, with a prior, with cells held out, and one that has not ended
        ("model m { [a] [b] }", "x, z", ""),
        ("model m { [a b] [b c]; prior 0.5 toward body(1) }", "x, y weight 0.5, z", ""),
        ("model m { [a b] [b c] [a c] }", "x weight 2, y, z", "hold_out 20% seed 3"),
        ("model m { [a b] [b c] [a c] }", "x, z", "tolerance 1e-13, max_sweeps 2"),
    ];
    let asked = "show f, f.tensors, f.df, f.cost, f.certificate, f.status, f.zero_marginals, f.of(z), f.of(z).fitted, \
        f.of(z).marginal(a), f.of(x).completed, f.of(x).held_out, f.of(x).undetermined\n";
    for (model, tensors, options) in fits {
        let text =
            format!("{data}{model}\nfit m to {tensors} as f {{ {options} }}\nsave f to \"f.npz\"\n{asked}");
        room.file("j.mba", text);
        let quiet = ["--allow", "MBA120", "--allow", "MBA378", "--format", "jsonl"];
        let shown = |file: &str| -> Vec<Json> {
            let ran = room.mba(&[&["run", file], &quiet[..]].concat());
            ran.objects().into_iter().filter(|o| o["show"].is_string()).collect()
        };
        let first = shown("j.mba");
        assert_eq!(first.len(), 13);
        let bytes = std::fs::read(room.path().join("f.npz")).unwrap();
        room.file("l.mba", format!("load \"f.npz\" as f\nsave f to \"again.npz\"\n{asked}"));
        assert_eq!(first, shown("l.mba"), "{model} to {tensors}");
        assert_eq!(bytes, std::fs::read(room.path().join("again.npz")).unwrap(), "{model} to {tensors}");
    }
    room.file("l.mba", "load \"f.npz\" as f\nshow f.of(w).kl\n");
    room.mba(&["check", "l.mba"]).ends_with(3).says(&["`w`"]);
    // damaged: refused, or a byte that says nothing, and then every number is there
    let bytes = std::fs::read(room.path().join("f.npz")).expect("the archive");
    room.file("l.mba", "load \"f.npz\" as f\nshow f.kl, f.of(x).fitted\n");
    let whole = room.mba(&["run", "l.mba"]).ends_with(0).out;
    let mut refused = 0;
    for at in (0..bytes.len()).step_by(61) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        std::fs::write(room.path().join("f.npz"), damaged).expect("written");
        let ran = room.mba(&["run", "l.mba"]);
        if ran.status == 0 {
            assert_eq!(ran.out, whole, "byte {at}");
        } else {
            ran.ends_with(3).says(&["MBA536"]);
            refused += 1;
        }
    }
    assert!(refused > bytes.len() / 61 / 2, "{refused} of {} bytes", bytes.len());
}

/// A joint fit that stopped goes on from where it was, and counts on.
#[test]
fn a_joint_fit_that_stopped_goes_on() {
    let room = Room::new();
    let values = |n: usize, by: usize| -> Vec<String> {
        (0..n).map(|k| format!("{}", 1 + (k * by + k * k / 3) % 17)).collect()
    };
    let rows = |n: usize, m: usize, by: usize| -> String {
        let cells = values(n * m, by);
        let rows: Vec<String> = cells.chunks(m).map(|row| format!("[{}]", row.join(", "))).collect();
        format!("[{}]", rows.join(", ")).replacen("[[1", "[[missing", 1)
    };
    let text = |most: &str| {
        format!(
            "mode a: 6, b: 5, c: 4\ndata x[a, b] = {}\ndata y[b, c] = {}\ndata z[a, b, c] = {}\n\
             model two {{ [a b] [b c] [a c] }}\nfit two to x, y, z as m {{ {most} tolerance 1e-12 }}\n\
             show m.kl, m.iterations, m.status, m.of(z).fitted\n",
            rows(6, 5, 7),
            rows(5, 4, 5),
            format_args!("[{}]", (0..6).map(|k| rows(5, 4, k + 3)).collect::<Vec<_>>().join(", "))
        )
    };
    let shown = |ran: &[Json], name: &str| ran.iter().find(|o| o["show"] == name).unwrap()["value"].clone();
    room.file("j.mba", text(""));
    let straight = room.mba(&["run", "j.mba", "--format", "jsonl"]).ends_with(0).objects();
    room.file("j.mba", text("max_sweeps 2,"));
    let first =
        room.mba(&["run", "j.mba", "--format", "jsonl", "--checkpoint", "j.npz"]).ends_with(1).objects();
    assert_eq!(shown(&first, "m.status"), "stopped");
    room.file("j.mba", text(""));
    room.mba(&["run", "j.mba", "--resume", "j.npz", "--checkpoint", "k.npz"])
        .ends_with(0)
        .says(&["`m` goes on after 2 sweeps"]);
    let again = room.mba(&["run", "j.mba", "--format", "jsonl", "--resume", "j.npz"]).ends_with(0).objects();
    assert_eq!(shown(&again, "m.status"), "converged");
    assert!(shown(&again, "m.iterations").as_u64() > Some(2));
    let number = |value: &Json| value.as_f64().unwrap();
    let (kl, same) = (shown(&straight, "m.kl"), shown(&again, "m.kl"));
    assert!((number(&kl) - number(&same)).abs() <= 1e-12);
    let fitted = |ran: &[Json]| -> Vec<f64> {
        let mut found = Vec::new();
        let mut rest = vec![shown(ran, "m.of(z).fitted")];
        while let Some(next) = rest.pop() {
            match next.as_array() {
                Some(parts) => rest.extend(parts.iter().rev().cloned()),
                // what no tensor determines is null
                None => found.extend(next.as_f64()),
            }
        }
        found
    };
    let (one, two) = (fitted(&straight), fitted(&again));
    assert!(
        one.len() > 100 && one.len() == two.len() && one.iter().zip(&two).all(|(a, b)| (a - b).abs() <= 1e-8)
    );
}
