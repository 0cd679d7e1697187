//! Laws a projection obeys, whatever the data, the schedule or the machine.

mod engine;

use engine::*;
use mba::data::{Buffer, Storage, Tensor, Values};
use mba::model::{EnergyModel, Potential, Scope};
use mba::plan::{Options, Profile, cells, compile, degrees_of_freedom, parameters};
use mba::run::{Control, Distribution, Fit, Flow, Observer, Silent, Status, Sweep, execute};
use mba::text::Code;
use num_bigint::BigUint;

const PAIRS: [&[usize]; 3] = [&[0, 1], &[1, 2], &[0, 2]];

fn dense(model: &EnergyModel, tensor: &Tensor) -> Vec<f64> {
    fit(model, tensor).distribution.dense(1 << 22).expect("small").values
}

#[test]
fn number_types_and_strides_do_not_matter() {
    let shape = [4, 3, 5];
    let small: Vec<u8> = det(&shape).iter().map(|x| x.round() as u8).collect();
    let as_f64: Vec<f64> = small.iter().map(|x| f64::from(*x)).collect();
    let total: f64 = as_f64.iter().sum();
    let want = dense(&model(&shape, &PAIRS), &tensor(&shape, &as_f64));
    let row_major = vec![15, 5, 1];
    let column_major = vec![1, 4, 12];
    let reorder = |strides: &[usize]| -> Vec<u8> {
        let mut out = vec![0; 60];
        for (c, v) in small.iter().enumerate() {
            let i = unravel(c, &shape);
            out[i.iter().zip(strides).map(|(i, s)| i * s).sum::<usize>()] = *v;
        }
        out
    };
    for strides in [row_major, column_major] {
        let x = reorder(&strides);
        macro_rules! check {
            ($($variant:ident $t:ty),*) => { $({
                let values: Vec<$t> = x.iter().map(|v| *v as $t).collect();
                let tensor = dense_of(&shape, strides.clone(), Values::$variant(Buffer::new(values)), total);
                assert!(worst(&dense(&model(&shape, &PAIRS), &tensor), &want) < 1e-15);
            })* };
        }
        check!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64);
    }
    let bits: Vec<bool> = small.iter().map(|x| *x > 5).collect();
    let ones: Vec<f64> = bits.iter().map(|b| f64::from(u8::from(*b))).collect();
    let tensor_of_bits = dense_of(&shape, vec![15, 5, 1], Values::Bool(Buffer::new(bits)), ones.iter().sum());
    let chain = model(&shape, &[&[0, 1], &[1, 2]]);
    assert!(worst(&dense(&chain, &tensor_of_bits), &dense(&chain, &tensor(&shape, &ones))) < 1e-16);
    assert!(worst(&dense(&chain, &sparse(&shape, &ones)), &dense(&chain, &tensor(&shape, &ones))) < 1e-15);
}

#[test]
fn scale_order_of_modes_and_redundant_generators_do_not_matter() {
    let shape = [3, 4, 5];
    let x = det(&shape);
    let want = dense(&model(&shape, &PAIRS), &tensor(&shape, &x));
    let scaled: Vec<f64> = x.iter().map(|v| 1e-7 * v).collect();
    assert!(worst(&dense(&model(&shape, &PAIRS), &tensor(&shape, &scaled)), &want) < 1e-14);
    let redundant = model(&shape, &[&[0], &[0, 1], &[1, 2], &[2, 0], &[1, 0], &[2]]);
    assert!(worst(&dense(&redundant, &tensor(&shape, &x)), &want) < 1e-14);
    assert_eq!(parameters(&redundant), parameters(&model(&shape, &PAIRS)));
    // modes in the order 2, 0, 1
    let turned_shape = [5, 3, 4];
    let mut turned = vec![0.0; 60];
    let mut expected = vec![0.0; 60];
    for c in 0..60 {
        let i = unravel(c, &shape);
        let k = (i[2] * 3 + i[0]) * 4 + i[1];
        turned[k] = x[c];
        expected[k] = want[c];
    }
    assert!(worst(&dense(&model(&turned_shape, &PAIRS), &tensor(&turned_shape, &turned)), &expected) < 1e-13);
}

#[test]
fn nested_models_obey_pythagoras() {
    let shape = [3, 4, 3, 4];
    let x = tensor(&shape, &det(&shape));
    let classes = [body(4, 1), body(4, 2), body(4, 3), body(4, 4)];
    let fits: Vec<_> = classes.iter().map(|c| fit(&model(&shape, &refs(c)), &x)).collect();
    for (small, large) in fits.iter().zip(&fits[1..]) {
        let q = |f: &mba::run::Fit| f.distribution.dense(1 << 20).expect("small").values;
        assert!((small.kl - large.kl - kl(&q(large), &q(small))).abs() < 1e-11);
        assert!(large.kl <= small.kl);
    }
    assert!(fits[3].kl < 1e-14);
    assert_eq!(fits[3].status, Status::ClosedForm);
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let shape = [40, 50, 45];
    let x = tensor(&shape, &det(&shape));
    let models = [model(&shape, &PAIRS), model(&shape, &[&[0, 1], &[1, 2]])];
    for model in &models {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| {
                let fit = fit_with(model, &x, Control::default());
                let sample = fit.distribution.sample(50_000, 3);
                (fit.distribution, fit.kl.to_bits(), fit.certificate, sample.coordinates, sample.values)
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(7));
    }
}

#[test]
fn zero_margins_shrink_the_support() {
    let shape = [3, 3, 2];
    let mut x = det(&shape);
    for (c, value) in x.iter_mut().enumerate() {
        if unravel(c, &shape)[..2] == [1, 2] {
            *value = 0.0;
        }
    }
    let fit = fit(&model(&shape, &PAIRS), &tensor(&shape, &x));
    assert_eq!(fit.status, Status::Boundary);
    assert_eq!(fit.zero_marginals.len(), 1);
    assert_eq!(fit.zero_marginals[0].cells, vec![vec![1, 2]]);
    assert_eq!(fit.support_cells(), BigUint::from(16u32));
    // one cell of the pair table is gone
    let full = parameters(&fit.model) + BigUint::from(1u32);
    assert_eq!(fit.dimension().expect("small"), full - BigUint::from(1u32));
    assert_eq!(fit.distribution.log_probability(&[1, 2, 0]), f64::NEG_INFINITY);
    assert!(fit.certificate.optimality_gap.is_some_and(|g| g < 1e-12), "{:?}", fit.certificate);
}

#[test]
fn support_and_dimension_agree_with_enumeration() {
    let mut s = Stream(5);
    for _ in 0..60 {
        let d = 2 + s.below(3);
        let shape: Vec<usize> = (0..d).map(|_| 1 + s.below(3)).collect();
        let scopes: Vec<Vec<usize>> =
            (0..1 + s.below(4)).map(|_| (0..d).filter(|_| s.below(3) > 0).collect()).collect();
        let n: usize = shape.iter().product();
        let x: Vec<f64> = (0..n).map(|_| if s.below(2) == 0 { 0.0 } else { 1.0 + s.unit() }).collect();
        if x.iter().sum::<f64>() == 0.0 {
            continue;
        }
        let model = model(&shape, &refs(&scopes));
        let fit = fit_with(&model, &sparse(&shape, &x), Control { tolerance: 1e-9, ..Control::default() });
        let tables: Vec<Vec<f64>> = scopes.iter().map(|g| marginal(&shape, &x, g)).collect();
        let at = |c: usize, g: &[usize]| {
            let i = unravel(c, &shape);
            g.iter().fold(0, |k, m| k * shape[*m] + i[*m])
        };
        let alive: Vec<usize> =
            (0..n).filter(|c| scopes.iter().zip(&tables).all(|(g, t)| t[at(*c, g)] > 0.0)).collect();
        assert_eq!(fit.support_cells(), BigUint::from(alive.len()));
        let mut rows: Vec<Vec<f64>> = alive
            .iter()
            .map(|c| {
                let mut row = vec![1.0];
                for (g, t) in scopes.iter().zip(&tables) {
                    let start = row.len();
                    row.resize(start + t.len(), 0.0);
                    row[start + at(*c, g)] = 1.0;
                }
                row
            })
            .collect();
        let mut rank = 0;
        let width = rows.first().map_or(0, Vec::len);
        for c in 0..width {
            let best = (rank..rows.len()).max_by(|a, b| rows[*a][c].abs().total_cmp(&rows[*b][c].abs()));
            let Some(p) = best.filter(|p| rows[*p][c].abs() > 1e-9) else { continue };
            rows.swap(rank, p);
            let head = rows[rank].clone();
            for row in rows.iter_mut().skip(rank + 1) {
                let f = row[c] / head[c];
                row.iter_mut().zip(&head).for_each(|(r, h)| *r -= f * h);
            }
            rank += 1;
        }
        assert_eq!(fit.dimension().expect("small"), BigUint::from(rank), "{shape:?} {scopes:?}");
    }
}

#[test]
fn a_boundary_is_recognised_where_no_marginal_is_zero() {
    // where modes are taken to be yes or no, `all alike` is a sum of tables of pairs: cells that are, and are zero, stay zero
    let mut stream = Stream(41);
    for round in 0..80 {
        let shape = [2 + stream.below(3), 2 + stream.below(3), 2 + stream.below(2)];
        let sides: Vec<Vec<usize>> = shape
            .iter()
            .map(|n| (0..*n).map(|i| if i < 2 { i } else { stream.below(2) }).collect())
            .collect();
        let alike = |i: &[usize]| (1..3).all(|m| sides[m][i[m]] == sides[0][i[0]]);
        // one cell of them with mass, and the optimum has all of them again
        let inside = round % 2 == 1;
        let cells: usize = shape.iter().product();
        let mut values: Vec<f64> = (0..cells)
            .map(|k| if alike(&unravel(k, &shape)) { 0.0 } else { 1.0 + stream.below(1000) as f64 })
            .collect();
        if inside {
            values.iter_mut().filter(|x| **x == 0.0).for_each(|x| *x = 0.5);
        }
        for tolerance in [1e-6, 1e-9, 1e-10, 1e-11] {
            let control = Control { tolerance, ..Control::default() };
            let found = fit_with(&model(&shape, &PAIRS), &tensor(&shape, &values), control);
            let want = if inside { Status::Converged } else { Status::Boundary };
            assert_eq!(found.status, want, "{shape:?} {values:?} {:?}", found.certificate);
        }
    }
    // one zero is on no face, however large the rest and however far the fit is from the optimum
    for first in [1e3, 1e6, 1e10] {
        let values = [first, 0.0, 2.0, 1.0, 4.0, 1.0, 1.0, 3.0];
        for tolerance in [0.1, 1e-3, 1e-5, 1e-9] {
            let control = Control { tolerance, ..Control::default() };
            let found = fit_with(&model(&[2, 2, 2], &PAIRS), &tensor(&[2, 2, 2], &values), control);
            assert_eq!(found.status, Status::Converged, "{tolerance} {first}");
        }
    }
    // data without a zero are on no boundary, however far a fit is from their smallest cells
    for decades in [6.0, 12.0] {
        let values: Vec<f64> = (0..24).map(|_| 10f64.powf(decades * (stream.unit() - 0.5))).collect();
        for tolerance in [1e-2, 1e-4, 1e-7] {
            let control = Control { tolerance, ..Control::default() };
            let found = fit_with(&model(&[2, 3, 4], &PAIRS), &tensor(&[2, 3, 4], &values), control);
            assert_eq!(found.status, Status::Converged, "{tolerance} {values:?}");
        }
    }
}

#[test]
fn haberman_is_recognised_as_a_boundary() {
    let mut x = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    x[0] = 0.0;
    x[7] = 0.0;
    let shape = [2, 2, 2];
    let control = Control { tolerance: 1e-8, ..Control::default() };
    let fit = fit_with(&model(&shape, &PAIRS), &tensor(&shape, &x), control);
    assert_eq!(fit.status, Status::Boundary, "{:?} {}", fit.certificate, fit.iterations);
    assert!(fit.zero_marginals.is_empty());
    assert!(fit.iterations < 200);
    assert!(fit.certificate.optimality_gap.is_none());
    // with all pairs matched and both corners at zero the data are fitted exactly
    assert!(fit.kl < 1e-6, "{}", fit.kl);
}

#[test]
fn a_certificate_bounds_the_true_gap_of_a_stopped_fit() {
    let mut s = Stream(9);
    let mut bounded = 0;
    for round in 0..24 {
        let (shape, scopes): (Vec<usize>, Vec<Vec<usize>>) = match round % 3 {
            0 => (vec![4, 3, 4], body(3, 2)),
            1 => (vec![3; 5], (0..5).map(|d| vec![d, (d + 1) % 5]).collect()),
            _ => (vec![3, 2, 3, 2], body(4, 3)),
        };
        let x: Vec<f64> = (0..shape.iter().product()).map(|_| (2.0 * s.unit()).exp()).collect();
        let model = model(&shape, &refs(&scopes));
        let tensor = tensor(&shape, &x);
        let best = fit(&model, &tensor);
        for sweeps in 1..5 {
            let control = Control { tolerance: 1e-15, max_sweeps: sweeps, acceleration: false };
            let stopped = fit_with(&model, &tensor, control);
            assert_eq!(stopped.status, Status::Stopped);
            let gap = stopped.kl - best.kl;
            if let Some(bound) = stopped.certificate.optimality_gap {
                bounded += 1;
                assert!(gap <= bound + 1e-15, "{gap} above {bound}");
                if gap > 1e-10 {
                    assert!(bound < 3.0 * gap, "{bound} is far above {gap}");
                }
            }
        }
    }
    assert!(bounded > 48, "only {bounded} bounds");
}

#[test]
fn acceleration_finds_the_same_optimum_sooner() {
    // slow enough that acceleration is worth its work
    let shape = [16, 16, 16];
    let mut s = Stream(4);
    let x: Vec<f64> = (0..4096).map(|_| (24.0 * (s.unit() + s.unit() - 1.0)).exp()).collect();
    let (model, tensor) = (model(&shape, &PAIRS), tensor(&shape, &x));
    let run = |acceleration| fit_with(&model, &tensor, Control { acceleration, ..Control::default() });
    let (plain, fast) = (run(false), run(true));
    // four- to six-fold on hard inputs; half is the least that is worth having
    assert!(2 * fast.iterations <= plain.iterations, "{} {}", fast.iterations, plain.iterations);
    assert!(fast.counters.operations < plain.counters.operations);
    assert!((plain.kl - fast.kl).abs() < 1e-12);
}

struct Watch(Vec<f64>, usize);

impl Observer for Watch {
    fn sweep(&mut self, sweep: &Sweep) -> Flow {
        self.0.push(sweep.gap);
        assert_eq!((sweep.number, sweep.atom, sweep.atoms), (self.0.len(), 1, 1));
        if self.0.len() == self.1 { Flow::Interrupt } else { Flow::Continue }
    }
}

#[test]
fn an_interrupted_fit_keeps_what_it_has() {
    let shape = [4, 5, 6];
    let (model, tensor) = (model(&shape, &PAIRS), tensor(&shape, &det(&shape)));
    let mut watch = Watch(Vec::new(), 2);
    let schedule = plan(&model, &tensor);
    let control = Control { tolerance: 1e-15, ..Control::default() };
    let fit = execute(&schedule, &model, &tensor, &control, &mut watch).expect("a fit");
    assert_eq!((fit.status, fit.iterations, watch.0.len()), (Status::Interrupted, 2, 2));
    let q = fit.distribution.dense(1000).expect("small").values;
    assert!((fit.kl - kl(&det(&shape), &q)).abs() < 1e-13);
}

#[test]
fn too_little_memory_is_refused_at_once_with_the_way_out() {
    let shape = [1000, 1000, 1000, 10];
    let model = model(&shape, &[&[0, 1], &[1, 2], &[0, 2], &[2, 3]]);
    let profile = Profile { stored: 1000, sparse: true, element_bytes: 24, mapped: false, masks: Vec::new() };
    let within = |memory| compile(&model, &profile, &Options { memory, ..Options::default() }).map(|_| ());
    // the triangle stays a product of factors: half a gigabyte, and no table of a thousand million cells
    assert!(within(1 << 30).is_ok());
    let refused = within(1 << 28).expect_err("0.5 GB");
    assert_eq!(refused[0].code, Code::MBA501);
    assert_eq!(refused[0].span(), Some(model.interactions[0].span));
    assert!(refused[0].help.as_ref().is_some_and(|h| h.contains("leave out `[m0 m1]`")), "{refused:?}");
    let all: Vec<usize> = (0..40).collect();
    let huge = engine::model(&[10; 40], &[&all]);
    let refused = compile(&huge, &profile, &Options::default()).expect_err("10^40 cells");
    assert_eq!(refused[0].code, Code::MBA501);
}

#[test]
fn what_is_not_supported_is_named() {
    let mut m = model(&[2, 2], &[&[0, 1]]);
    m.latent = Scope::from([1]);
    m.algebra = mba::model::Algebra::Tsallis(0.5);
    let profile = Profile { stored: 4, sparse: false, element_bytes: 8, mapped: false, masks: Vec::new() };
    let refused = compile(&m, &profile, &Options::default()).expect_err("unsupported");
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|d| d.code == Code::MBA390));
    assert!(refused[0].message.contains("latent modes"), "{refused:?}");
}

#[test]
fn all_zero_data_are_an_error() {
    let (m, x) = (model(&[2, 2], &[&[0, 1]]), tensor(&[2, 2], &[0.0; 4]));
    let refused = execute(&plan(&m, &x), &m, &x, &Control::default(), &mut Silent).expect_err("no mass");
    assert_eq!(refused[0].code, Code::MBA502);
}

#[test]
fn thirty_binary_modes_take_little_time_and_memory() {
    let n = 30;
    let mut s = Stream(2);
    let mut rows: Vec<Vec<u32>> = (0..100_000)
        .map(|_| {
            let mut last = s.below(2);
            (0..n)
                .map(|_| {
                    last = if s.below(10) < 7 { last } else { s.below(2) };
                    last as u32
                })
                .collect()
        })
        .collect();
    rows.sort();
    let mut counts = Vec::new();
    let mut columns = vec![Vec::new(); n];
    for (k, row) in rows.iter().enumerate() {
        if k > 0 && rows[k - 1] == *row {
            *counts.last_mut().expect("one row") += 1.0;
            continue;
        }
        columns.iter_mut().zip(row).for_each(|(c, v)| c.push(*v));
        counts.push(1.0);
    }
    let shape = vec![2; n];
    let x = Tensor {
        name: "x".into(),
        modes: modes(&shape),
        storage: std::sync::Arc::new(Storage::Sparse(mba::data::Sparse::new(shape.clone(), columns, counts))),
        total: 1e5,
        counts: true,
        mask: None,
    };
    let mut scopes: Vec<Vec<usize>> = (0..n - 1).map(|d| vec![d, d + 1]).collect();
    scopes.extend([vec![0, 5], vec![3, 9], vec![12, 20], vec![22, 29]]);
    let m = model(&shape, &refs(&scopes));
    let fit = fit_with(&m, &x, Control::default());
    assert_eq!(fit.status, Status::Converged);
    assert!(fit.certificate.optimality_gap.is_some_and(|g| g < 1e-12), "{:?}", fit.certificate);
    // a sweep costs what the cliques do, not what the 2³⁰ cells would
    assert!(fit.iterations < 60, "{} sweeps", fit.iterations);
    assert!(fit.counters.operations < 1e7, "{:e} operations", fit.counters.operations);
    assert!(fit.counters.peak < 64e6 && fit.schedule.peak < 64e6);
    assert!(fit.counters.peak <= fit.schedule.peak, "{} {}", fit.counters.peak, fit.schedule.peak);
    assert_eq!(fit.support_cells(), BigUint::from(1u64 << 30));
    assert_eq!(fit.dimension().expect("no zeros"), BigUint::from(30u32 + 33 + 1));
    let ends = fit.distribution.marginal(&Scope::from([0, 15, 29])).expect("three modes");
    assert!((ends.values.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn degrees_of_freedom_are_exact_beyond_machine_words() {
    let shape = vec![10; 60];
    let chain: Vec<Vec<usize>> = (0..59).map(|d| vec![d, d + 1]).collect();
    let m = model(&shape, &refs(&chain));
    assert_eq!(parameters(&m), BigUint::from(60u32 * 9 + 59 * 81));
    let want = BigUint::from(10u32).pow(60) - BigUint::from(1u32) - parameters(&m);
    assert_eq!(degrees_of_freedom(&m), want);
    assert_eq!(cells(&m), BigUint::from(10u32).pow(60));
}

#[test]
fn the_critical_square_lattice_is_exact() {
    let n = 4;
    let shape = vec![2; n * n];
    let mut m = model(&shape, &[]);
    m.temperature = 2.0 / (1.0 + 2f64.sqrt()).ln();
    let spin = |i: usize| 2.0 * i as f64 - 1.0;
    for r in 0..n {
        for c in 0..n {
            for other in [r * n + (c + 1) % n, (r + 1) % n * n + c] {
                m.interactions.push(fixed(&shape, &[r * n + c, other], |i| -spin(i[0]) * spin(i[1])));
            }
        }
    }
    let ising = Distribution::from_fixed(&m, &Options::default()).expect("a tree");
    assert!((ising.log_z() / 16.0 - 0.9701197162).abs() < 1e-10, "{}", ising.log_z() / 16.0);
    let energy = ising.energy();
    let brute: f64 = (0..1usize << 16)
        .map(|c| {
            let cell = unravel(c, &shape);
            let e: f64 = m
                .interactions
                .iter()
                .map(|i| match &i.potential {
                    Potential::Fixed(t) => t.at(&i.scope.iter().map(|d| cell[d]).collect::<Vec<_>>()),
                    _ => 0.0,
                })
                .sum();
            e * ising.log_probability(&cell).exp()
        })
        .sum();
    assert!((energy - brute).abs() < 1e-9, "{energy} {brute}");
    assert!(ising.log_probability(&ising.most_probable()) >= ising.log_probability(&[1; 16]) - 1e-12);
}

#[test]
fn fixed_potentials_are_a_base_measure() {
    let mut s = Stream(21);
    for _ in 0..30 {
        let d = 2 + s.below(3);
        let shape: Vec<usize> = (0..d).map(|_| 1 + s.below(4)).collect();
        let scopes: Vec<Vec<usize>> =
            (0..s.below(4)).map(|_| (0..d).filter(|_| s.below(2) == 0).collect()).collect();
        let mut m = model(&shape, &refs(&scopes));
        m.temperature = 0.5 + s.unit();
        for _ in 0..1 + s.below(2) {
            let scope: Vec<usize> = (0..d).filter(|_| s.below(2) == 0).collect();
            let seed = s.next();
            m.interactions.push(fixed(&shape, &scope, |i| {
                2.0 * Stream(seed ^ i.iter().fold(1, |k, v| k * 7 + *v as u64)).unit()
            }));
        }
        let n: usize = shape.iter().product();
        let base: Vec<f64> = (0..n)
            .map(|c| {
                let cell = unravel(c, &shape);
                let e: f64 = m
                    .interactions
                    .iter()
                    .map(|i| match &i.potential {
                        Potential::Fixed(t) => t.at(&i.scope.iter().map(|d| cell[d]).collect::<Vec<_>>()),
                        _ => 0.0,
                    })
                    .sum();
                (-e / m.temperature).exp()
            })
            .collect();
        let x: Vec<f64> = (0..n).map(|_| 0.1 + s.unit()).collect();
        let class: Vec<&[usize]> = refs(&scopes).into_iter().filter(|g| !g.is_empty()).collect();
        let want = naive(&shape, &x, &class, &base, 5000);
        let fit = fit(&m, &tensor(&shape, &x));
        let q = fit.distribution.dense(1 << 20).expect("small").values;
        assert!(worst(&q, &want) < 1e-10, "{shape:?} {scopes:?} {:?}", fit.status);
        assert!((fit.kl - kl(&x, &q)).abs() < 1e-11);
    }
}

#[test]
fn coordinates_are_those_of_the_lattice() {
    let shape = [3, 4, 5];
    let x = det(&shape);
    let saturated = fit(&model(&shape, &[&[0, 1, 2]]), &tensor(&shape, &x));
    let q = &saturated.distribution;
    let find = |list: &[mba::run::Coordinate], levels: &[usize]| {
        list.iter().find(|c| c.modes.len() == 3 && c.levels == levels).map(|c| c.value)
    };
    let eta = find(&q.eta(), &[1, 1, 1]).expect("there");
    assert!((eta - 0.3906926406926407).abs() < 1e-14);
    assert!((-q.log_z() + 5.817111159963204).abs() < 1e-13);
    let theta = find(&q.theta(), &[1, 2, 3]).expect("there");
    assert!((theta + 4.991792206294775).abs() < 1e-11, "{theta}");

    let pairs = fit(&model(&shape, &PAIRS), &tensor(&shape, &x));
    let q = pairs.distribution;
    let theta = q.theta();
    assert_eq!(BigUint::from(theta.len()), parameters(&pairs.model));
    for c in 0..60 {
        let cell = unravel(c, &shape);
        let below = |t: &&mba::run::Coordinate| t.modes.iter().zip(&t.levels).all(|(m, l)| cell[m] >= *l);
        let sum: f64 = theta.iter().filter(below).map(|t| t.value).sum();
        assert!((sum - q.log_z() - q.log_probability(&cell)).abs() < 1e-12);
    }
    for e in q.eta() {
        let above = |c: &usize| {
            let cell = unravel(*c, &shape);
            e.modes.iter().zip(&e.levels).all(|(m, l)| cell[m] >= *l)
        };
        let want: f64 = (0..60).filter(above).map(|c| x[c] / 369.6).sum();
        assert!((e.value - want).abs() < 1e-12);
    }
}

#[test]
fn draws_follow_the_distribution() {
    let shape = [3, 2, 4, 3];
    let scopes = vec![vec![0, 1], vec![1, 2], vec![0, 2], vec![2, 3]];
    let q = fit(&model(&shape, &refs(&scopes)), &tensor(&shape, &det(&shape))).distribution;
    let n = 200_000;
    let drawn = q.sample(n, 42);
    assert_eq!(drawn.values.iter().sum::<f64>(), n as f64);
    let mut counts = vec![0.0; 72];
    for (k, v) in drawn.values.iter().enumerate() {
        let at = drawn.coordinates.iter().zip(&shape).fold(0, |at, (c, n)| at * n + c.at(k));
        assert_eq!(counts[at], 0.0, "cells are distinct");
        counts[at] = *v;
    }
    let p = q.dense(100).expect("small").values;
    let chi: f64 = p.iter().zip(&counts).map(|(p, c)| (c - p * n as f64).powi(2) / (p * n as f64)).sum();
    // 71 degrees of freedom: five standard deviations
    assert!((chi - 71.0).abs() < 5.0 * 142f64.sqrt(), "{chi}");
    assert_eq!(q.sample(1000, 1).values, q.sample(1000, 1).values);
    assert_ne!(q.sample(1000, 1).values, q.sample(1000, 2).values);
}

/// Chunks are merged as they come, in as many steps as there is memory for: the records are those of the seed.
#[test]
fn draws_do_not_depend_on_the_memory_they_are_made_in() {
    use mba::run::{Draws, Limits, Patience, Stop};
    let shape = [20, 20, 20];
    let q = fit(&model(&shape, &[&[0, 1], &[2]]), &tensor(&shape, &det(&shape))).distribution;
    let span = mba::text::Span::default();
    let within = |n: usize, memory: u64, row: u64, stop: Stop| {
        let limits = Limits { memory, patience: Patience::new(stop) };
        q.sample_within(&Draws { count: n, seed: 5, row, name: "q", span, limits: &limits })
    };
    let same = |n: usize, memory: u64| {
        let (a, b) = (q.sample(n, 5), within(n, memory, 0, Stop::default()).expect("enough"));
        assert_eq!(a.values, b.values, "{n} in {memory}");
        for (one, other) in a.coordinates.iter().zip(&b.coordinates) {
            assert!((0..a.values.len()).all(|k| one.at(k) == other.at(k)), "{n} in {memory}");
        }
        a
    };
    let cells = |s: &mba::data::Sparse| -> Vec<usize> {
        (0..s.values.len())
            .map(|k| s.coordinates.iter().zip(&shape).fold(0, |at, (c, n)| at * n + c.at(k)))
            .collect()
    };
    let mut before: Vec<f64> = vec![0.0; 8000];
    for n in [1, 1000, 1 << 14, 5 << 14, 65 << 14] {
        let drawn = same(n, 1 << 20);
        let cells = cells(&drawn);
        assert!(cells.is_sorted_by(|a, b| a < b), "{n}");
        let mut counts = vec![0.0; 8000];
        cells.iter().zip(drawn.values.iter()).for_each(|(c, x)| counts[*c] = *x);
        assert_eq!(counts.iter().sum::<f64>(), n as f64);
        // whole chunks of a sample are those of a longer one
        if n != 1000 && n >= 1 << 14 {
            assert!(counts.iter().zip(&before).all(|(now, then)| now >= then), "{n}");
            before = counts;
        }
    }
    // rows for 8000 cells, or a chunk, are more than there is
    let large = |n: usize, memory: u64, row: u64| {
        within(n, memory, row, Stop::default()).expect_err("too much").code.name()
    };
    assert_eq!(large(65 << 14, 1 << 20, 200), "MBA504");
    assert_eq!(large(1 << 14, 1 << 17, 0), "MBA504");
    // a short one is taken when the wish to stop is there already, and a long one is not, nor goes on
    let asked = || Stop::default().or_when(|| true);
    assert!(within(1000, 1 << 20, 0, asked()).is_ok());
    assert_eq!(within(1 << 30, 1 << 20, 0, asked()).expect_err("long").code.name(), "MBA542");
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let later = Stop::default().or_when(move || calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 3);
    assert_eq!(within(1 << 31, 1 << 24, 0, later).expect_err("long").code.name(), "MBA542");
}

#[test]
fn information_between_independent_modes_is_zero() {
    let shape = [3, 4, 5];
    let q = fit(&model(&shape, &[&[0, 1], &[2]]), &tensor(&shape, &det(&shape))).distribution;
    let information = |a: &[usize], b: &[usize]| {
        let scope = |s: &[usize]| s.iter().copied().collect::<Scope>();
        q.mutual_information(&scope(a), &scope(b)).expect("small")
    };
    assert!(information(&[0, 1], &[2]) < 1e-14);
    assert!(information(&[0], &[1]) > 1e-4);
    let huge = Distribution::from_fixed(&model(&[1000; 4], &[]), &Options::default()).expect("uniform");
    assert_eq!(huge.marginal(&Scope::all(4)).expect_err("10^12 cells").code, Code::MBA504);
    assert!(huge.dense(1 << 20).is_none());
}

/// Couplings strong enough that fitting takes many sweeps.
fn coupled(shape: &[usize], seed: u64) -> Vec<f64> {
    let mut s = Stream(seed);
    let mut normal = || (0..6).map(|_| s.unit()).sum::<f64>() * 2.0 - 6.0;
    let pairs: Vec<(usize, usize, Vec<f64>)> = (0..shape.len())
        .flat_map(|a| (a + 1..shape.len()).map(move |b| (a, b)))
        .map(|(a, b)| (a, b, (0..shape[a] * shape[b]).map(|_| normal()).collect()))
        .collect();
    (0..shape.iter().product())
        .map(|c| {
            let i = unravel(c, shape);
            pairs.iter().map(|(a, b, t)| t[i[*a] * shape[*b] + i[*b]]).sum::<f64>().exp()
        })
        .collect()
}

/// A model of the same distributions, whose fixed energy its free tables make up for. It is too uneven for
/// products of factors, so that tables are used after all.
fn with_tables(model: &EnergyModel, shape: &[usize]) -> EnergyModel {
    let mut model = model.clone();
    model.interactions.push(fixed(shape, &[0], |k| if k[0] == 0 { 200.0 } else { 0.0 }));
    model
}

#[test]
fn factors_and_tables_give_the_same_fit() {
    let cases: [(&[usize], Vec<Vec<usize>>); 5] = [
        (&[8, 9, 7, 10], body(4, 2)),
        (&[18, 17, 19, 16], vec![vec![0, 1], vec![1, 2], vec![2, 3], vec![0, 3]]),
        (&[17, 18, 16], body(3, 2)),
        (&[20, 16, 15, 6, 5], vec![vec![0, 1], vec![1, 2], vec![0, 2], vec![2, 3], vec![3, 4]]),
        (&[9, 8, 8, 9, 3], [body(4, 2), vec![vec![3, 4], vec![2, 4]]].concat()),
    ];
    for (k, (shape, scopes)) in cases.into_iter().enumerate() {
        for zeros in [false, true] {
            let mut x = coupled(shape, k as u64);
            if zeros {
                x.iter_mut().enumerate().filter(|(c, _)| c % 5 != 1).for_each(|(_, v)| *v = 0.0);
            }
            let x = tensor(shape, &x);
            let factored = model(shape, &refs(&scopes));
            let tables = with_tables(&factored, shape);
            let (a, b) =
                (fit_with(&factored, &x, Control::default()), fit_with(&tables, &x, Control::default()));
            assert!(a.schedule.draft.atoms.iter().any(|a| a.factored()), "{}", a.schedule.tree());
            assert!(b.distribution.cliques.iter().all(|c| c.belief.factors().is_empty()));
            assert!((a.kl - b.kl).abs() < 1e-10, "{} {}", a.kl, b.kl);
            assert!(a.certificate.marginal_gap <= 1e-9, "{:?}", a.certificate);
            let of = |f: &Fit| f.distribution.dense(1 << 20).expect("small").values;
            assert!(worst(&of(&a), &of(&b)) < 1e-8);
            assert_eq!(a.support_cells(), b.support_cells());
            if a.status == Status::Converged {
                assert!(a.certificate.optimality_gap.is_some_and(|g| g < 1e-12), "{:?}", a.certificate);
            }
            let ratio = a.counters.peak / a.schedule.peak;
            assert!(ratio <= 1.0, "{ratio} of the predicted peak");
        }
    }
}

#[test]
fn factors_that_spread_too_far_become_tables() {
    let shape = [17, 16, 16];
    let mut x = coupled(&shape, 3);
    // conditional distributions that differ by more than doubles can hold in one product
    x.iter_mut().enumerate().for_each(|(c, v)| *v *= (-((c / 16) as f64)).exp().max(1e-280));
    let x = tensor(&shape, &x);
    let factored = model(&shape, &PAIRS);
    let a = fit_with(&factored, &x, Control::default());
    let b = fit_with(&with_tables(&factored, &shape), &x, Control::default());
    assert!((a.kl - b.kl).abs() < 1e-9, "{} {}", a.kl, b.kl);
    assert!(a.certificate.marginal_gap <= 1e-9);
}

#[test]
fn four_modes_in_pairs_are_never_a_table() {
    let shape = [20; 4];
    let x = tensor(&shape, &coupled(&shape, 1));
    let m = model(&shape, &refs(&body(4, 2)));
    let fit = fit_with(&m, &x, Control::default());
    assert!(fit.schedule.tree().contains("never a table"), "{}", fit.schedule.tree());
    // n³ beside the data, which are n⁴
    for step in fit.schedule.steps.iter().filter(|s| ["loop", "certify"].contains(&s.instruction.word())) {
        let beside = step.live - 8.0 * 160_000.0;
        assert!(beside < 8.0 * 160_000.0, "{beside}");
    }
    assert!(fit.schedule.sweep_operations() < 8.0 * 160_000.0);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let fit = pool.install(|| fit_with(&m, &x, Control::default()));
        (fit.kl.to_bits(), fit.iterations, fit.certificate)
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn predicted_operations_are_within_a_factor_of_two() {
    let ring = vec![vec![0, 1], vec![1, 2], vec![2, 3], vec![0, 3]];
    let chain = vec![vec![0, 1], vec![1, 2], vec![2, 3]];
    for scopes in [ring, chain, body(4, 2), body(4, 1), body(4, 3)] {
        let shape = [20, 19, 18, 17];
        let mut x = coupled(&shape, 9);
        let mut s = Stream(4);
        x.iter_mut().for_each(|v| *v *= 0.5 + s.unit());
        let control = Control { acceleration: false, tolerance: 1e-6, ..Control::default() };
        let m = model(&shape, &refs(&scopes));
        let schedule = plan(&m, &tensor(&shape, &x));
        let mut sweeps = schedule.clone();
        // what the certificate takes is not known before a run
        sweeps.steps.retain(|s| s.instruction.word() != "certify");
        let fit = mba::run::execute(&sweeps, &m, &tensor(&shape, &x), &control, &mut mba::run::Silent);
        let fit = fit.expect("a fit");
        let ratio = fit.counters.operations / fit.predicted_operations();
        assert!((0.5..2.0).contains(&ratio), "{scopes:?}: {ratio}");
    }
}
