//! Numbers at the edges of what a double holds, checked against sums of two doubles (106 bits).

mod engine;

use std::ops::{Add, Div, Mul};

use engine::*;
use mba::plan::method::Solver;
use mba::plan::{Options, Profile, compile};
use mba::run::{Control, Fit, Silent, Status, execute};
use mba::text::Code;

/// A number as the sum of two doubles, the second below half a unit of the first (Dekker 1971,
/// doi:10.1007/BF01397083).
#[derive(Debug, Clone, Copy, Default)]
struct Double(f64, f64);

impl Double {
    fn of(x: f64) -> Self {
        Self(x, 0.0)
    }

    fn renewed(a: f64, b: f64) -> Self {
        let sum = a + b;
        Self(sum, b - (sum - a))
    }

    fn zero(self) -> bool {
        self.0 == 0.0
    }

    /// The logarithm, to some 30 digits near the double's own: one step of Newton on exp.
    fn ln(self) -> f64 {
        self.0.ln() + self.1 / self.0
    }
}

impl Add for Double {
    type Output = Self;
    fn add(self, b: Self) -> Self {
        let sum = self.0 + b.0;
        let back = sum - self.0;
        let lost = (self.0 - (sum - back)) + (b.0 - back);
        Self::renewed(sum, lost + self.1 + b.1)
    }
}

impl Mul for Double {
    type Output = Self;
    fn mul(self, b: Self) -> Self {
        let product = self.0 * b.0;
        let lost = self.0.mul_add(b.0, -product);
        Self::renewed(product, lost + (self.0 * b.1 + self.1 * b.0))
    }
}

impl Div for Double {
    type Output = Self;
    fn div(self, b: Self) -> Self {
        if self.zero() {
            return Self::default();
        }
        let first = self.0 / b.0;
        let rest = self + Self::of(-first) * b;
        Self::renewed(first, rest.0 / b.0)
    }
}

fn summed(shape: &[usize], values: &[Double], scope: &[usize]) -> Vec<Double> {
    let cells: usize = scope.iter().map(|m| shape[*m]).product();
    let mut out = vec![Double::default(); cells];
    for (c, v) in values.iter().enumerate() {
        let at = place(shape, c, scope);
        out[at] = out[at] + *v;
    }
    out
}

fn place(shape: &[usize], cell: usize, scope: &[usize]) -> usize {
    let index = unravel(cell, shape);
    scope.iter().fold(0, |k, m| k * shape[*m] + index[*m])
}

/// Proportional fitting in 106 bits until the marginals match to 1e-13 of their largest cell.
fn exact(shape: &[usize], data: &[f64], scopes: &[&[usize]]) -> (Vec<Double>, f64) {
    let all: Vec<Double> = data.iter().map(|x| Double::of(*x)).collect();
    let total = summed(shape, &all, &[])[0];
    let p: Vec<Double> = all.iter().map(|x| *x / total).collect();
    let targets: Vec<Vec<Double>> = scopes.iter().map(|s| summed(shape, &p, s)).collect();
    let places: Vec<Vec<usize>> =
        scopes.iter().map(|s| (0..data.len()).map(|c| place(shape, c, s)).collect()).collect();
    let mut q = vec![Double::of(1.0) / Double::of(data.len() as f64); data.len()];
    for _ in 0..4000 {
        let mut gap = 0.0f64;
        for ((scope, target), places) in scopes.iter().zip(&targets).zip(&places) {
            let have = summed(shape, &q, scope);
            let largest = target.iter().fold(0.0f64, |m, t| m.max(t.0));
            let ratios: Vec<Double> = target.iter().zip(&have).map(|(t, h)| *t / *h).collect();
            let off = |(t, h): (&Double, &Double)| (t.0 - h.0).abs() / largest;
            gap = target.iter().zip(&have).map(off).fold(gap, f64::max);
            q.iter_mut().zip(places).for_each(|(q, at)| *q = *q * ratios[*at]);
        }
        if gap < 1e-13 {
            break;
        }
    }
    let mut kl = Double::default();
    for (p, q) in p.iter().zip(&q).filter(|(p, _)| !p.zero()) {
        kl = kl + *p * (Double::of(p.ln()) + Double::of(-q.ln()));
    }
    (q, kl.0)
}

/// That a fit is the exact one: KL, and every marginal of a generator beside its largest cell, to 1e-9; zeros
/// exactly, and no cell without a number.
fn agrees(name: &str, shape: &[usize], data: &[f64], scopes: &[&[usize]], fit: &Fit) -> Vec<Double> {
    let (q, kl) = exact(shape, data, scopes);
    assert!((fit.kl - kl).abs() <= 1e-9 * (1.0 + kl), "{name}: {} for {kl}", fit.kl);
    assert!(fit.certificate.marginal_gap <= 1e-9, "{name}: {:?}", fit.certificate);
    let dense = fit.distribution.dense(1 << 20).expect("small").values;
    assert!((dense.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{name}");
    for scope in scopes {
        let want = summed(shape, &q, scope);
        let largest = want.iter().fold(0.0f64, |m, w| m.max(w.0));
        let own = fit.distribution.marginal(&scope.iter().copied().collect()).expect("a marginal");
        for (got, want) in own.values.iter().zip(&want) {
            assert!((got - want.0).abs() <= 1e-9 * largest, "{name}, {scope:?}: {got:e} for {:e}", want.0);
        }
    }
    for (c, (got, want)) in dense.iter().zip(&q).enumerate() {
        assert!((got - want.0).abs() < 1e-8, "{name}, cell {c}: {got:e} for {:e}", want.0);
        assert!(*got > 0.0 || want.0 <= 1e-290, "{name}, cell {c} was lost: {:e}", want.0);
        if want.zero() {
            assert_eq!(*got, 0.0, "{name}, cell {c}");
        }
        let log = fit.distribution.log_probability(&unravel(c, shape));
        assert!(!log.is_nan() && log < 1e-9, "{name}, cell {c}: {log}");
    }
    q
}

#[test]
fn a_closed_form_is_right_in_every_cell_across_three_hundred_decades() {
    let shape = [6, 7, 5];
    let scopes: [&[usize]; 2] = [&[0, 1], &[1, 2]];
    // amounts from 1e-150 to 1e150: probabilities down to 1e-301
    let data: Vec<f64> = (0..210)
        .map(|c| {
            let i = unravel(c, &shape);
            (1.0 + (c % 7) as f64) * 10f64.powi(50 * ((i[0] * 3 + i[1] * 2 + i[2]) % 7) as i32 - 150)
        })
        .collect();
    let fit = fit(&model(&shape, &scopes), &tensor(&shape, &data));
    let q = agrees("chain", &shape, &data, &scopes, &fit);
    assert_eq!(fit.status, Status::ClosedForm);
    for (c, want) in q.iter().enumerate().filter(|(_, q)| q.0 > 1e-280) {
        let log = fit.distribution.log_probability(&unravel(c, &shape));
        assert!((log - want.ln()).abs() < 1e-11 * (1.0 + want.ln().abs()), "{c}: {log} for {}", want.ln());
    }
}

#[test]
fn potentials_that_span_the_doubles_are_fitted_in_factors_and_in_tables() {
    for shape in [[6, 5, 6], [17, 16, 17]] {
        let scopes: [&[usize]; 3] = [&[0, 1], &[1, 2], &[0, 2]];
        // one pair of modes has a potential that spans e^688, 299 decades; others are mild
        let pull = |a: usize, b: usize| -172.0 * ((a + b * 3) % 5) as f64;
        let data: Vec<f64> = (0..shape.iter().product())
            .map(|c| {
                let i = unravel(c, &shape);
                let noise = 0.3 * ((c * 7919) % 101) as f64 / 101.0;
                (pull(i[0], i[1]) + noise).exp()
            })
            .collect();
        let fit = fit_with(&model(&shape, &scopes), &tensor(&shape, &data), Control::default());
        agrees(&format!("{shape:?}"), &shape, &data, &scopes, &fit);
    }
}

#[test]
fn counts_from_one_to_a_thousand_million_million() {
    for shape in [[7, 6, 8], [17, 16, 17]] {
        let scopes: [&[usize]; 3] = [&[0, 1], &[1, 2], &[0, 2]];
        let mut stream = Stream(5);
        let data: Vec<f64> =
            (0..shape.iter().product()).map(|_| 10f64.powf(15.0 * stream.unit()).floor()).collect();
        assert!(data.iter().any(|x| *x < 10.0) && data.iter().any(|x| *x > 1e14));
        let fit = fit_with(&model(&shape, &scopes), &tensor(&shape, &data), Control::default());
        agrees(&format!("{shape:?}"), &shape, &data, &scopes, &fit);
        let total: u128 = data.iter().map(|x| *x as u128).sum();
        assert!((fit.total - total as f64).abs() <= total as f64 * f64::EPSILON, "{} {total}", fit.total);
    }
}

#[test]
fn marginals_that_are_nine_tenths_zero() {
    for shape in [[10, 10, 10], [20, 20, 20]] {
        let scopes: [&[usize]; 3] = [&[0, 1], &[1, 2], &[0, 2]];
        let n = shape[0];
        let mut stream = Stream(8);
        let mut data = vec![0.0; shape.iter().product()];
        // each level meets one in ten of the levels of every other mode
        for a in 0..n {
            for d in 0..n / 10 {
                for e in 0..n / 10 {
                    let (b, c) = ((a + d * 10) % n, (a + e * 10) % n);
                    data[(a * n + b) * n + c] = 0.5 + stream.unit();
                }
            }
        }
        let tensor = sparse(&shape, &data);
        let fit = fit_with(&model(&shape, &scopes), &tensor, Control::default());
        let zeros: usize = fit.zero_marginals.iter().map(|z| z.count).sum();
        assert_eq!(zeros, 3 * n * n * 9 / 10);
        agrees(&format!("{shape:?}"), &shape, &data, &scopes, &fit);
    }
}

#[test]
fn cells_whose_model_is_too_small_for_a_double_on_the_way_are_fitted() {
    let scopes: [&[usize]; 3] = [&[0, 1], &[1, 2], &[0, 2]];
    let shape = [2, 2, 2];
    let mut stream = Stream(7);
    let mut compared = 0;
    for round in 0..2000 {
        let data: Vec<f64> = (0..8).map(|_| 10f64.powf(300.0 * stream.unit() - 150.0)).collect();
        let (model, tensor) = (model(&shape, &scopes), tensor(&shape, &data));
        let mut found_before: Option<f64> = None;
        for solver in [Solver::Auto, Solver::Ipf, Solver::Newton] {
            let options = Options { solver, ..Options::default() };
            let plan = compile(&model, &Profile::of(&tensor), &options).expect("a plan");
            let fit = execute(&plan, &model, &tensor, &Control::default(), &mut Silent);
            let fit = fit.unwrap_or_else(|found| panic!("{round}, {solver:?}: {data:?}: {found:?}"));
            let done = fit.status == Status::Converged || fit.status == Status::Boundary;
            if done {
                assert!(fit.certificate.marginal_gap <= 1e-9, "{round}: {:?}", fit.certificate);
                let first = *found_before.get_or_insert(fit.kl);
                assert!(
                    (fit.kl - first).abs() <= 1e-6 * (1.0 + first),
                    "{round}, {solver:?}: {} {first}",
                    fit.kl
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 5900, "{compared} of 6000 ended");
}

#[test]
fn an_energy_of_six_hundred_decades_is_taken_up_by_a_table() {
    let shape = [2, 2];
    let scopes: [&[usize]; 2] = [&[0], &[1]];
    let data = [1.0, 2.0, 3.0, 4.0];
    let plain = fit(&model(&shape, &scopes), &tensor(&shape, &data));
    for energy in [5.0, 345.0, 690.0, 5000.0] {
        let mut model = model(&shape, &scopes);
        model.interactions.push(fixed(&shape, &[0, 1], |i| if i[0] == 1 { energy } else { -energy }));
        let fit = fit_with(&model, &tensor(&shape, &data), Control::default());
        assert_eq!(fit.status, Status::Converged);
        assert!((fit.kl - plain.kl).abs() <= 1e-12 * (1.0 + energy), "{energy}: {} for {}", fit.kl, plain.kl);
    }
}

#[test]
fn data_where_an_energy_is_infinite_are_refused() {
    let shape = [2, 2];
    let mut model = model(&shape, &[&[0], &[1]]);
    model.interactions.push(fixed(&shape, &[0, 1], |i| if i[0] == 1 { f64::INFINITY } else { 0.0 }));
    let tensor = tensor(&shape, &[1.0, 2.0, 3.0, 4.0]);
    let found = execute(&plan(&model, &tensor), &model, &tensor, &Control::default(), &mut Silent);
    let found = found.expect_err("no model of these tables has this mass");
    assert_eq!(found.first().map(|d| d.code), Some(Code::MBA503));
}
