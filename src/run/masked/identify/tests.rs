use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::*;

/// The rank of all rows, and which cells lie in their space, by plain elimination over fractions kept
/// as numbers modulo another prime.
fn brute(generators: &[Scope], sizes: &[usize], observed: &[bool]) -> (Vec<bool>, usize) {
    const P: u64 = 1_000_003;
    let inverse = |a: u64| {
        let (mut base, mut e, mut out) = (a % P, P - 2, 1);
        while e > 0 {
            if e & 1 == 1 {
                out = out * base % P;
            }
            base = base * base % P;
            e >>= 1;
        }
        out
    };
    let all = strides(sizes);
    let row = |k: usize| {
        let mut out = Vec::new();
        for g in generators {
            let shape: Vec<usize> = g.iter().map(|a| sizes[a]).collect();
            let at = g.iter().fold(0, |at, a| at * sizes[a] + k / all[a] % sizes[a]);
            let mut part = vec![0u64; shape.iter().product()];
            part[at] = 1;
            out.extend(part);
        }
        out
    };
    let mut basis: Vec<(usize, Vec<u64>)> = Vec::new();
    let reduce = |basis: &[(usize, Vec<u64>)], mut r: Vec<u64>| {
        for (lead, b) in basis {
            let f = r[*lead];
            r.iter_mut().zip(b).for_each(|(r, b)| *r = (*r + (P - f) * b) % P);
        }
        r
    };
    for k in (0..observed.len()).filter(|k| observed[*k]) {
        let mut r = reduce(&basis, row(k));
        if let Some(lead) = r.iter().position(|v| *v != 0) {
            let i = inverse(r[lead]);
            r.iter_mut().for_each(|v| *v = *v * i % P);
            basis.push((lead, r));
        }
    }
    let inside = (0..observed.len()).map(|k| reduce(&basis, row(k)).iter().all(|v| *v == 0)).collect();
    (inside, basis.len())
}

#[test]
fn agrees_with_elimination_of_every_row() {
    agrees([4, 3, 5]);
    // the longest axis is not the last
    agrees([3, 5, 4]);
}

fn agrees(sizes: [usize; 3]) {
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(7);
    let classes: [&[&[usize]]; 6] = [
        &[&[0], &[1], &[2]],
        &[&[0, 1], &[2]],
        &[&[0, 1], &[1, 2]],
        &[&[0, 1], &[1, 2], &[0, 2]],
        &[&[0, 2], &[1]],
        &[&[0, 1, 2]],
    ];
    let masks: [&[usize]; 4] = [&[0, 1, 2], &[0, 2], &[1], &[0, 1]];
    for class in classes {
        let generators: Vec<Scope> = class.iter().map(|g| g.iter().copied().collect()).collect();
        for modes in masks {
            let masked: Scope = modes.iter().copied().collect();
            let shape: Vec<usize> = modes.iter().map(|m| sizes[*m]).collect();
            for density in [0.2, 0.4, 0.6, 0.9] {
                let draw = |s: &mut Xoshiro256PlusPlus| (s.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                let own: Vec<bool> =
                    (0..shape.iter().product()).map(|_| draw(&mut stream) < density).collect();
                let all = strides(&sizes);
                let place = |k: usize| modes.iter().fold(0, |at, m| at * sizes[*m] + k / all[*m] % sizes[*m]);
                let observed: Vec<bool> = (0..60).map(|k| own[place(k)]).collect();
                let (inside, rank) = brute(&generators, &sizes, &observed);
                let found = identify(&generators, &sizes, &masked, &own, &Stop::default()).expect("small");
                let determined = found.determined.unwrap_or_else(|| vec![true; own.len()]);
                let cells: Vec<bool> = (0..60).map(|k| determined[place(k)]).collect();
                assert_eq!(cells, inside, "{class:?} masked over {modes:?} at {density}");
                assert_eq!(found.rank, BigUint::from(rank), "{class:?} masked over {modes:?} at {density}");
            }
        }
    }
}

/// The columns of every cell of a class, and how many columns there are.
fn design(generators: &[&[usize]], sizes: &[usize]) -> (Vec<Vec<usize>>, usize) {
    let all = strides(sizes);
    let mut rows = vec![Vec::new(); sizes.iter().product()];
    let mut columns = 0;
    for g in generators {
        for (k, row) in rows.iter_mut().enumerate() {
            row.push(columns + g.iter().fold(0, |at, a| at * sizes[*a] + k / all[*a] % sizes[*a]));
        }
        columns += g.iter().map(|a| sizes[*a]).product::<usize>();
    }
    (rows, columns)
}

/// The space of some rows, with a projection after so much elimination.
fn space(every: &[Vec<usize>], observed: &[bool], columns: usize, short: Option<u64>) -> Span {
    let seen: Vec<&Vec<usize>> = every.iter().zip(observed).filter(|(_, o)| **o).map(|(r, _)| r).collect();
    let seen = Listed { count: seen.len(), of: &|r| seen[r].clone() };
    let every = Listed { count: every.len(), of: &|r| every[r].clone() };
    Span::within(short, seen, columns, every, &Stop::default()).expect("small")
}

fn below(stream: &mut Xoshiro256PlusPlus, n: usize) -> usize {
    (stream.next_u64() >> 33) as usize % n
}

/// A mask of one of several kinds.
fn mask(kind: usize, sizes: &[usize], stream: &mut Xoshiro256PlusPlus) -> Vec<bool> {
    let all = strides(sizes);
    let cells: usize = sizes.iter().product();
    let level = |k: usize, a: usize| k / all[a] % sizes[a];
    let density = 2 + below(stream, 59);
    let axis = below(stream, sizes.len());
    match kind {
        // scattered
        0 | 1 => (0..cells).map(|_| below(stream, 100) < density).collect(),
        // a staircase
        2 => (0..cells)
            .map(|k| (1..sizes.len()).all(|a| level(k, a).abs_diff(level(k, 0) % sizes[a]) <= k % 2))
            .collect(),
        // a path, one step at a time
        3 => {
            let mut seen = vec![false; cells];
            let mut at = vec![0; sizes.len()];
            for _ in 0..cells.min(40) {
                seen[at.iter().zip(&all).map(|(l, s)| l * s).sum::<usize>()] = true;
                let a = below(stream, sizes.len());
                at[a] = (at[a] + 1) % sizes[a];
            }
            seen
        }
        // blocks, with a few cells between them
        4 => (0..cells)
            .map(|k| (0..sizes.len()).all(|a| level(k, a) % 2 == level(k, 0) % 2) || below(stream, 100) < 5)
            .collect(),
        // slabs are missing
        _ => {
            let slab = below(stream, sizes[axis]);
            (0..cells).map(|k| level(k, axis) != slab && below(stream, 100) < 60 + density / 2).collect()
        }
    }
}

const CLASSES: [(usize, &[&[usize]]); 10] = [
    (2, &[&[0], &[1]]),
    (3, &[&[0], &[1], &[2]]),
    (3, &[&[0, 1], &[1, 2], &[0, 2]]),
    (3, &[&[0, 1], &[1, 2]]),
    (3, &[&[0, 2], &[1]]),
    (4, &[&[0], &[1], &[2], &[3]]),
    (4, &[&[0, 1], &[1, 2], &[2, 3], &[0, 3]]),
    (4, &[&[0, 1], &[1, 2], &[2, 3]]),
    (4, &[&[0, 1], &[0, 2], &[0, 3], &[1, 2], &[1, 3], &[2, 3]]),
    (4, &[&[0, 1, 2], &[2, 3], &[0, 3]]),
];

/// Projects at once, and compares with elimination alone; the number of spaces that were projected.
fn projections(masks: usize, sizes_below: usize) -> usize {
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(11);
    let mut projected = 0;
    for round in 0..masks {
        for (modes, class) in CLASSES {
            let sizes: Vec<usize> = (0..modes).map(|_| 2 + below(&mut stream, sizes_below - 2)).collect();
            let observed = mask(round % 6, &sizes, &mut stream);
            let (every, columns) = design(class, &sizes);
            let exact = space(&every, &observed, columns, None);
            let found = space(&every, &observed, columns, Some(0));
            assert_eq!(found.rank, exact.rank, "{class:?} over {sizes:?}: {observed:?}");
            for row in &every {
                assert_eq!(found.holds(row), exact.holds(row), "{class:?} over {sizes:?}: {observed:?}");
            }
            projected += usize::from(found.effort.steps.is_some());
        }
    }
    projected
}

#[test]
fn a_projection_finds_what_elimination_finds() {
    let found = projections(60, 7);
    assert!(found > 200, "{found} of 600 were projected");
}

#[test]
fn a_projection_serves_tables_that_share_columns() {
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(17);
    let mut projected = 0;
    for round in 0..60 {
        let n = 3 + below(&mut stream, 6);
        let cells = (0..n * n * n).map(|k| [k / n / n, k / n % n, k % n]);
        // all three pairs of modes have one table, every other time a symmetric one, and a cell sees columns twice
        let place = |a: usize, b: usize| if round % 2 == 0 { a.min(b) * n + a.max(b) } else { a * n + b };
        let every: Vec<Vec<usize>> =
            cells.map(|[i, j, k]| vec![place(i, j), place(j, k), place(i, k)]).collect();
        let percent = 3 + below(&mut stream, 40);
        let observed: Vec<bool> = every.iter().map(|_| below(&mut stream, 100) < percent).collect();
        let exact = space(&every, &observed, n * n, None);
        let found = space(&every, &observed, n * n, Some(0));
        assert_eq!(found.rank, exact.rank, "{n}: {observed:?}");
        assert!(every.iter().all(|r| found.holds(r) == exact.holds(r)), "{n}: {observed:?}");
        projected += usize::from(found.effort.steps.is_some());
    }
    assert!(projected > 20, "{projected} of 60 were projected");
}

#[test]
fn elimination_agrees_with_that_of_another_prime() {
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(13);
    for kind in 0..6 {
        for (modes, class) in CLASSES {
            let sizes: Vec<usize> = (0..modes).map(|_| 2 + below(&mut stream, 3)).collect();
            let observed = mask(kind, &sizes, &mut stream);
            let (every, columns) = design(class, &sizes);
            let generators: Vec<Scope> = class.iter().map(|g| g.iter().copied().collect()).collect();
            let (inside, rank) = brute(&generators, &sizes, &observed);
            for short in [None, Some(0)] {
                let found = space(&every, &observed, columns, short);
                assert_eq!(found.rank, rank, "{class:?} over {sizes:?}: {observed:?}");
                let holds: Vec<bool> = every.iter().map(|r| found.holds(r)).collect();
                assert_eq!(holds, inside, "{class:?} over {sizes:?}: {observed:?}");
            }
        }
    }
}

/// Every cell of a cube with all pairs, their columns, and scattered observed ones.
fn scattered() -> (Vec<Vec<usize>>, usize, Vec<bool>) {
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(3);
    let (every, columns) = design(&[&[0, 1], &[1, 2], &[0, 2]], &[30, 30, 30]);
    let observed = every.iter().map(|_| below(&mut stream, 100) < 16).collect();
    (every, columns, observed)
}

#[test]
fn scattered_cells_of_a_cube_take_few_operations() {
    let (every, columns, observed) = scattered();
    let found = space(&every, &observed, columns, Some(1 << 16));
    let exact = space(&every, &observed, columns, None);
    assert_eq!(found.rank, exact.rank);
    assert!(every.iter().all(|r| found.holds(r) == exact.holds(r)));
    assert!(found.effort.eliminated < exact.effort.eliminated / 8, "{:?}", found.effort);
    assert!(found.effort.steps.is_some_and(|s| s < 400), "{:?}", found.effort);
}

/// The projection onto the null space of the scattered cells, until it is asked to stop.
fn projected(stop: &Stop) -> Result<project::Projected, String> {
    let (every, columns, observed) = scattered();
    let rows: Vec<&Vec<usize>> = every.iter().zip(&observed).filter(|(_, o)| **o).map(|(r, _)| r).collect();
    let rows = Listed { count: rows.len(), of: &|r| rows[r].clone() };
    project::Projected::onto_null(rows, columns, stop).map(|found| found.expect("well conditioned"))
}

#[test]
fn a_projection_does_not_depend_on_threads() {
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| projected(&Stop::default())).expect("no wish").bits()
    };
    assert_eq!(with(1), with(2));
}

#[test]
fn a_projection_listens_to_a_wish_to_stop() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    for most in [0, 1, 20] {
        let asked = AtomicUsize::new(0);
        let stop = Stop::default().or_when(move || asked.fetch_add(1, Ordering::Relaxed) >= most);
        assert_eq!(projected(&stop).err().as_deref(), Some(CUT_SHORT), "after {most} steps");
    }
}

#[test]
fn rows_with_columns_of_their_own_need_no_elimination() {
    // a staircase of one cell, then one to the right, then one below
    let n: usize = 500;
    let every: Vec<Vec<usize>> =
        (0..2 * n - 1).map(|s| vec![s.div_ceil(2), n + s / 2]).chain([vec![0, 2 * n - 1]]).collect();
    let mut observed = vec![true; every.len()];
    observed[2 * n - 1] = false;
    let found = space(&every, &observed, 2 * n, Some(0));
    assert_eq!((found.rank, found.effort.eliminated), (2 * n - 1, 0));
    assert!(found.holds(&every[2 * n - 1]), "the corner is at the other end of the staircase");
}

#[test]
fn what_is_all_but_apart_is_still_told() {
    // a closed staircase: two ways around, whose differences take as many steps as it is long to be found
    for n in [10usize, 100, 600] {
        for cut in [false, true] {
            let stairs = (0..2 * n).map(|s: usize| vec![s.div_ceil(2) % n, n + s / 2]);
            let every: Vec<Vec<usize>> =
                stairs.chain((0..n).map(|i| vec![i, n + (i * i + n / 2) % n])).collect();
            let mut observed: Vec<bool> = (0..every.len()).map(|k| k < 2 * n).collect();
            if cut {
                // two cells of it are missing: what lies between is apart from the rest
                observed[n / 2] = false;
                observed[n + 1] = false;
            }
            let exact = space(&every, &observed, 2 * n, None);
            let found = space(&every, &observed, 2 * n, Some(0));
            assert_eq!(found.rank, exact.rank, "{n}");
            assert_eq!(found.rank, 2 * n - 1 - usize::from(cut), "{n}");
            assert!(every.iter().all(|r| found.holds(r) == exact.holds(r)), "{n}");
        }
    }
}

#[test]
fn vectors_that_fade_away_are_not_trusted() {
    // twice a column and the next: along a hundred of them a vector of the null space grows beyond what doubles
    // tell from rounding, and nobody asks about those between
    let n = 100;
    let links: Vec<Vec<usize>> = (0..n - 1).map(|i| vec![i, i, i + 1]).collect();
    let every: Vec<Vec<usize>> = links.iter().chain(&links).cloned().chain([vec![0]]).collect();
    let observed: Vec<bool> = every.iter().map(|r| r.len() > 1).collect();
    let found = space(&every, &observed, n, Some(0));
    assert_eq!((found.rank, found.effort.steps), (n - 1, None));
    assert!(!found.holds(&[0]));
}

/// Rows by number.
fn listed<'a>(of: &'a (dyn Fn(usize) -> Vec<usize> + Sync), count: usize) -> Listed<'a> {
    Listed { count, of }
}

/// Columns of rows that no row leads, in either order.
fn aside(rows: &[Vec<usize>], columns: usize) -> [usize; 2] {
    let of = |r: usize| rows[r].clone();
    let rows_listed = listed(&of, rows.len());
    let touched: std::collections::BTreeSet<usize> = rows.iter().flatten().copied().collect();
    let orders = [
        lead::Leads::in_order(rows_listed, columns),
        lead::Leads::by_setting_aside(rows_listed, columns, &Stop::default()).expect("no wish"),
    ];
    orders.map(|leads| {
        let mut labels = leads.label.clone();
        labels.sort_unstable();
        assert!(labels.into_iter().eq(0..columns), "every column has a place of its own");
        let first = |r: &usize| rows[*r].iter().map(|c| leads.label[*c]).min();
        let led: std::collections::BTreeSet<_> = leads.rows.iter().filter_map(first).collect();
        assert_eq!(led.len(), leads.rows.len(), "no two rows are led by one column");
        touched.len() - led.len()
    })
}

#[test]
fn rows_that_lead_are_in_echelon_form() {
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(19);
    for round in 0..60 {
        for (modes, class) in CLASSES {
            let sizes: Vec<usize> = (0..modes).map(|_| 1 + below(&mut stream, 5)).collect();
            let (every, columns) = design(class, &sizes);
            let observed = mask(round % 6, &sizes, &mut stream);
            let rows: Vec<Vec<usize>> =
                every.into_iter().zip(observed).filter(|(_, o)| *o).map(|(r, _)| r).collect();
            aside(&rows, columns);
        }
        // columns that are listed twice
        let twice: Vec<Vec<usize>> =
            (0..30).map(|_| (0..3).map(|_| below(&mut stream, 9)).collect()).collect();
        aside(&twice, 9);
    }
}

#[test]
fn setting_columns_aside_leaves_few_to_be_eliminated() {
    // about as many observed cells as potentials: hardly any other cell is determined
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(23);
    let (every, columns) = design(&[&[0, 1], &[1, 2], &[0, 2]], &[40, 40, 40]);
    let observed: Vec<bool> = every.iter().map(|_| below(&mut stream, 1000) < 65).collect();
    let rows: Vec<Vec<usize>> =
        every.iter().zip(&observed).filter(|(_, o)| **o).map(|(r, _)| r.clone()).collect();
    let [in_order, few] = aside(&rows, columns);
    assert!(2 * few < in_order, "{few} of {in_order}");
    let found = space(&every, &observed, columns, Some(1 << 28));
    assert_eq!(found.effort.steps, None);
    assert!(found.effort.eliminated < 1 << 25, "{:?}", found.effort);
}

#[test]
fn the_search_for_rows_that_lead_listens_to_a_wish_to_stop() {
    let (every, columns, _) = scattered();
    let of = |r: usize| every[r].clone();
    let stop = Stop::default();
    stop.ask();
    let found = lead::Leads::by_setting_aside(listed(&of, every.len()), columns, &stop);
    assert_eq!(found.err().as_deref(), Some(CUT_SHORT));
}

#[test]
fn all_triples_of_scattered_cells_are_settled() {
    let class: &[&[usize]] = &[&[0, 1, 2], &[0, 1, 3], &[0, 2, 3], &[1, 2, 3]];
    let generators: Vec<Scope> = class.iter().map(|g| g.iter().copied().collect()).collect();
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(29);
    let (mut open, mut projected) = (0, 0);
    for _ in 0..40 {
        let sizes: Vec<usize> = (0..4).map(|_| 2 + below(&mut stream, 3)).collect();
        let (every, columns) = design(class, &sizes);
        let percent = 30 + below(&mut stream, 65);
        let observed: Vec<bool> = every.iter().map(|_| below(&mut stream, 100) < percent).collect();
        let (inside, rank) = brute(&generators, &sizes, &observed);
        for short in [None, Some(0)] {
            let found = space(&every, &observed, columns, short);
            let holds: Vec<bool> = every.iter().map(|r| found.holds(r)).collect();
            assert_eq!((found.rank, holds), (rank, inside.clone()), "{sizes:?}: {observed:?}");
            projected += usize::from(found.effort.steps.is_some());
        }
        open += usize::from(inside.contains(&false));
    }
    assert!(open > 5 && projected > 5, "{open} with open cells, {projected} projected");
}

#[test]
fn products_go_through_rows_of_every_kind() {
    let mut stream = Xoshiro256PlusPlus::seed_from_u64(31);
    let mut number = |n: usize| below(&mut stream, n);
    // places with columns of their own in any order, places that share columns, rows of different lengths, columns
    // twice
    let parted: Vec<Vec<usize>> =
        (0..70_000).map(|_| vec![20 + number(9), number(7), 10 + number(8)]).collect();
    let shared: Vec<Vec<usize>> = (0..100).map(|_| vec![number(29), number(29)]).collect();
    let uneven: Vec<Vec<usize>> = (0..100).map(|r| (0..r % 4).map(|_| number(29)).collect()).collect();
    for rows in [parted, shared, uneven] {
        let columns = 30;
        let of = |r: usize| rows[r].clone();
        let design = design::Design::of(listed(&of, rows.len()), columns).expect("few entries");
        let z: Vec<design::Lanes> =
            (0..columns).map(|c| [0, 1, 2, 3].map(|lane| ((c * 7 + lane * 5) % 11) as f64 - 4.0)).collect();
        let (mut wanted, mut squares) = (vec![[0.0; design::LANES]; columns], [0.0; design::LANES]);
        for row in &rows {
            for lane in 0..design::LANES {
                let image: f64 = row.iter().map(|c| z[*c][lane]).sum();
                squares[lane] += image * image;
                row.iter().for_each(|c| wanted[*c][lane] += image);
            }
        }
        let mut found = vec![[1.0; design::LANES]; columns];
        assert_eq!(design.normal(&z, &mut found), squares);
        assert_eq!(found, wanted);
        let counted: usize = rows.iter().flatten().filter(|c| **c == 3).count();
        assert_eq!(design.counts()[3] as usize, counted);
    }
}
