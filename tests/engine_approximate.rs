//! Approximations against brute force: bounds, exactness on trees, orders of the expansion, stationarity.

mod engine;

use engine::*;
use mba::model::EnergyModel;
use mba::run::approximate::{APPROXIMATIONS, Approximation, Settings};
use mba::run::landscape::Landscape;

fn by(name: &str, model: &EnergyModel) -> Approximation {
    let method = APPROXIMATIONS.iter().find(|m| m.name == name).expect("a method");
    let landscape = Landscape::new(model).expect("energies");
    let settings = Settings { damping: method.damping, tolerance: 1e-13, ..Settings::default() };
    let found = (method.run)(&landscape, &settings).expect("applies");
    assert!(found.converged, "{name}: {}", found.residual);
    found
}

/// E of every cell.
fn energies(model: &EnergyModel) -> Vec<f64> {
    let landscape = Landscape::new(model).expect("energies");
    let shape: Vec<usize> = model.modes.iter().map(|m| m.size()).collect();
    (0..shape.iter().product()).map(|k| landscape.energy(&unravel(k, &shape))).collect()
}

fn log_z(model: &EnergyModel) -> f64 {
    energies(model).iter().map(|e| (-e / model.temperature).exp()).sum::<f64>().ln()
}

/// Random energies over scopes.
fn rough(shape: &[usize], scopes: &[&[usize]], size: f64, seed: u64) -> EnergyModel {
    let mut s = Stream(seed);
    let mut model = model(shape, &[]);
    for scope in scopes {
        let noise: Vec<f64> = (0..1000).map(|_| size * (2.0 * s.unit() - 1.0)).collect();
        let own: Vec<usize> = scope.iter().map(|m| shape[*m]).collect();
        let place = move |x: &[usize]| noise[x.iter().zip(&own).fold(0, |k, (i, n)| k * n + i)];
        model.interactions.push(fixed(shape, scope, place));
    }
    model
}

#[test]
fn energies_within_larger_terms_are_counted_once() {
    let shape = [2, 3, 2];
    let model = rough(&shape, &[&[0, 1], &[1], &[0], &[1, 2], &[0, 1], &[]], 1.0, 3);
    let direct: Vec<f64> = (0..12)
        .map(|k| {
            let cell = unravel(k, &shape);
            let value = |i: &mba::model::Interaction| match &i.potential {
                mba::model::Potential::Fixed(t) => {
                    let own: Vec<usize> = i.scope.iter().map(|m| cell[m]).collect();
                    if i.scope.is_empty() { 0.0 } else { t.at(&own) }
                }
                _ => 0.0,
            };
            model.interactions.iter().map(value).sum()
        })
        .collect();
    assert!(worst(&energies(&model), &direct) < 1e-14);
}

#[test]
fn mean_field_is_a_lower_bound_and_exact_without_interaction() {
    for seed in 0..20 {
        let shape = [2, 3, 2, 4, 2];
        let scopes: [&[usize]; 6] = [&[0, 1], &[1, 2, 3], &[3, 4], &[0, 4], &[2], &[1, 3]];
        let model = rough(&shape, &scopes, 1.5, seed);
        let found = by("mean_field", &model);
        let exact = log_z(&model);
        assert!(found.log_z <= exact + 1e-12, "{} {exact}", found.log_z);
        assert!(found.log_z > exact - 3.0);
        let alone = rough(&shape, &[&[0], &[1], &[3]], 1.5, seed);
        assert!((by("mean_field", &alone).log_z - log_z(&alone)).abs() < 1e-12);
    }
}

#[test]
fn bethe_is_exact_on_trees() {
    for seed in 0..10 {
        let shape = [2, 3, 2, 4, 2, 3];
        // a tree of terms of one, two and three modes, and a mode in none
        let model = rough(&shape, &[&[0, 1], &[1, 2, 3], &[3, 4], &[2]], 2.0, seed);
        let found = by("bethe", &model);
        assert!((found.log_z - log_z(&model)).abs() < 1e-10, "{} {}", found.log_z, log_z(&model));
        let e = energies(&model);
        let p: Vec<f64> = e.iter().map(|e| (-e - log_z(&model)).exp()).collect();
        for mode in 0..6 {
            assert!(worst(&found.marginals[mode], &marginal(&shape, &p, &[mode])) < 1e-10);
        }
        let mean: f64 = p.iter().zip(&e).map(|(p, e)| p * e).sum();
        assert!((found.energy - mean).abs() < 1e-9);
        let belief = found.beliefs.iter().find(|b| b.scope.len() == 3).expect("a belief");
        assert!(worst(&belief.values, &marginal(&shape, &p, &[1, 2, 3])) < 1e-10);
    }
}

/// Every approximation is stationary in what it varies, so that −∂ ln Z/∂(1/T) is its energy.
#[test]
fn energies_are_derivatives() {
    let shape = [2, 3, 2, 2];
    let scopes: [&[usize]; 6] = [&[0, 1], &[1, 2], &[2, 3], &[0, 3], &[0, 2], &[1]];
    for name in ["mean_field", "tap", "bethe"] {
        let at = |t: f64| {
            let mut model = rough(&shape, &scopes, 0.8, 4);
            model.temperature = t;
            by(name, &model)
        };
        let (t, h) = (1.6f64, 1e-4);
        let (low, high) = (1.0 / (1.0 / t - h), 1.0 / (1.0 / t + h));
        let slope = -(at(high).log_z - at(low).log_z) / (2.0 * h);
        assert!((slope - at(t).energy).abs() < 1e-6, "{name}: {slope} {}", at(t).energy);
        let found = at(t);
        assert!((found.log_z - found.entropy + found.energy / t).abs() < 1e-12);
    }
}

#[test]
fn tap_solves_the_equations_of_thouless_anderson_and_palmer() {
    let n = 7;
    let shape = vec![2; n];
    let mut s = Stream(8);
    let mut couplings = vec![vec![0.0; n]; n];
    let mut model = model(&shape, &[]);
    let spin = |l: usize| 2.0 * l as f64 - 1.0;
    let fields: Vec<f64> = (0..n).map(|_| 0.6 * (s.unit() - 0.5)).collect();
    for (a, &h) in fields.iter().enumerate() {
        model.interactions.push(fixed(&shape, &[a], move |x| -h * spin(x[0])));
        for (b, j) in (a + 1..n).map(|b| (b, s.unit() - 0.5)) {
            (couplings[a][b], couplings[b][a]) = (j, j);
            model.interactions.push(fixed(&shape, &[a, b], move |x| -j * spin(x[0]) * spin(x[1])));
        }
    }
    let t = 2.5;
    model.temperature = t;
    let found = by("tap", &model);
    let m: Vec<f64> = found.marginals.iter().map(|q| q[1] - q[0]).collect();
    for ((row, h), own) in couplings.iter().zip(&fields).zip(&m) {
        let field: f64 = h + row.iter().zip(&m).map(|(j, m)| j * m).sum::<f64>();
        let reaction: f64 = row.iter().zip(&m).map(|(j, m)| j.powi(2) * (1.0 - m * m)).sum();
        assert!((own - ((field - own * reaction / t) / t).tanh()).abs() < 1e-10);
    }
    // its error is of third order in 1/T, that of mean field of second
    let error = |name: &str, t: f64| {
        let mut model = model.clone();
        model.temperature = t;
        (by(name, &model).log_z - log_z(&model)).abs()
    };
    let order = |name: &str| (error(name, 20.0) / error(name, 40.0)).log2();
    assert!((order("mean_field") - 2.0).abs() < 0.2, "{}", order("mean_field"));
    assert!(order("tap") > 2.8, "{}", order("tap"));
    let shape = [2, 2, 2];
    let three = rough(&shape, &[&[0, 1, 2]], 1.0, 1);
    let method = APPROXIMATIONS.iter().find(|m| m.name == "tap").expect("tap");
    let refused = (method.run)(&Landscape::new(&three).expect("energies"), &Settings::default());
    assert!(refused.is_err_and(|why| why.contains("pairs")));
}
