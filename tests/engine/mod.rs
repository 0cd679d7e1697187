//! What the engine's tests share: small models, deterministic tensors and a naive oracle.
#![allow(dead_code)] // every test file uses its own part

use std::sync::Arc;

use mba::data::{Buffer, Dense, Sparse, Storage, Tensor, Values};
use mba::model::{Algebra, EnergyModel, Interaction, Mode, Potential, Scope, Table};
use mba::plan::{Options, Profile, Schedule, compile};
use mba::run::{Control, Fit, Silent, execute};
use mba::text::Span;

pub fn modes(shape: &[usize]) -> Vec<Mode> {
    shape.iter().enumerate().map(|(d, n)| Mode::counted(format!("m{d}"), *n)).collect()
}

pub fn model(shape: &[usize], scopes: &[&[usize]]) -> EnergyModel {
    let interaction = |(k, s): (usize, &&[usize])| Interaction {
        scope: s.iter().copied().collect(),
        potential: Potential::Free,
        span: Span { start: 10 * k, end: 10 * k + 5, ..Span::default() },
    };
    EnergyModel {
        name: "m".into(),
        modes: modes(shape),
        latent: Scope::empty(),
        interactions: scopes.iter().enumerate().map(interaction).collect(),
        support: Vec::new(),
        regular: Default::default(),
        temperature: 1.0,
        algebra: Algebra::Ordinary,
    }
}

/// All sets of `m` modes out of `n`.
pub fn body(n: usize, m: usize) -> Vec<Vec<usize>> {
    (0..1u32 << n)
        .filter(|b| b.count_ones() as usize == m)
        .map(|b| (0..n).filter(|d| b >> d & 1 == 1).collect())
        .collect()
}

pub fn refs(scopes: &[Vec<usize>]) -> Vec<&[usize]> {
    scopes.iter().map(Vec::as_slice).collect()
}

pub fn fixed(shape: &[usize], scope: &[usize], energy: impl Fn(&[usize]) -> f64) -> Interaction {
    let scope: Scope = scope.iter().copied().collect();
    let own: Vec<usize> = scope.iter().map(|m| shape[m]).collect();
    let cells: usize = own.iter().product();
    let values = (0..cells).map(|k| energy(&unravel(k, &own))).collect();
    let table = Table { scope: scope.clone(), shape: own, values };
    Interaction { scope, potential: Potential::Fixed(Arc::new(table)), span: Span::default() }
}

pub fn unravel(mut k: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for d in (0..shape.len()).rev() {
        index[d] = k % shape[d];
        k /= shape[d];
    }
    index
}

/// x(i) = 1 + ((Σ k_d i_d) mod 11) + 0.1 ((Π (i_d + 1)) mod 4), k = (3, 5, 7, 2, 4).
pub fn det(shape: &[usize]) -> Vec<f64> {
    let k = [3, 5, 7, 2, 4];
    (0..shape.iter().product())
        .map(|c| {
            let i = unravel(c, shape);
            let sum: usize = i.iter().zip(k).map(|(i, k)| i * k).sum();
            let product: usize = i.iter().map(|i| i + 1).product();
            1.0 + (sum % 11) as f64 + 0.1 * (product % 4) as f64
        })
        .collect()
}

pub fn dense_of(shape: &[usize], strides: Vec<usize>, values: Values, total: f64) -> Tensor {
    Tensor {
        name: "x".into(),
        modes: modes(shape),
        storage: Arc::new(Storage::Dense(Dense::new(shape.to_vec(), strides, values))),
        total,
        counts: false,
        mask: None,
    }
}

pub fn tensor(shape: &[usize], values: &[f64]) -> Tensor {
    let strides = mba::model::table::strides(shape);
    dense_of(shape, strides, Values::F64(Buffer::new(values.to_vec())), values.iter().sum())
}

pub fn sparse(shape: &[usize], values: &[f64]) -> Tensor {
    let mut coordinates = vec![Vec::new(); shape.len()];
    let mut kept = Vec::new();
    for (k, v) in values.iter().enumerate().filter(|(_, v)| **v != 0.0) {
        for (column, i) in coordinates.iter_mut().zip(unravel(k, shape)) {
            column.push(i as u32);
        }
        kept.push(*v);
    }
    Tensor {
        name: "x".into(),
        modes: modes(shape),
        storage: Arc::new(Storage::Sparse(Sparse::new(shape.to_vec(), coordinates, kept))),
        total: values.iter().sum(),
        counts: false,
        mask: None,
    }
}

pub fn plan(model: &EnergyModel, tensor: &Tensor) -> Schedule {
    compile(model, &Profile::of(tensor), &Options::default()).expect("a plan")
}

pub fn fit_with(model: &EnergyModel, tensor: &Tensor, control: Control) -> Fit {
    execute(&plan(model, tensor), model, tensor, &control, &mut Silent).expect("a fit")
}

pub fn fit(model: &EnergyModel, tensor: &Tensor) -> Fit {
    fit_with(model, tensor, Control { tolerance: 1e-13, ..Control::default() })
}

pub fn marginal(shape: &[usize], values: &[f64], scope: &[usize]) -> Vec<f64> {
    let own: Vec<usize> = scope.iter().map(|m| shape[*m]).collect();
    let mut out = vec![0.0; own.iter().product()];
    for (c, v) in values.iter().enumerate() {
        let i = unravel(c, shape);
        out[scope.iter().fold(0, |k, m| k * shape[*m] + i[*m])] += v;
    }
    out
}

/// Proportional fitting on the full tensor, cell by cell; `base` is where it starts.
pub fn naive(shape: &[usize], data: &[f64], scopes: &[&[usize]], base: &[f64], sweeps: usize) -> Vec<f64> {
    let total: f64 = data.iter().sum();
    let p: Vec<f64> = data.iter().map(|x| x / total).collect();
    let mass: f64 = base.iter().sum();
    let mut q: Vec<f64> = base.iter().map(|b| b / mass).collect();
    let all: Vec<usize> = Vec::new();
    let class: Vec<&[usize]> = if scopes.is_empty() { vec![&all] } else { scopes.to_vec() };
    for _ in 0..sweeps {
        let mut moved = 0.0f64;
        for scope in &class {
            let want = marginal(shape, &p, scope);
            let have = marginal(shape, &q, scope);
            for (c, v) in q.iter_mut().enumerate() {
                let i = unravel(c, shape);
                let k = scope.iter().fold(0, |k, m| k * shape[*m] + i[*m]);
                let r = if want[k] == 0.0 { 0.0 } else { want[k] / have[k] };
                moved = moved.max((r * *v - *v).abs());
                *v *= r;
            }
        }
        if moved < 1e-16 {
            break;
        }
    }
    q
}

pub fn kl(p: &[f64], q: &[f64]) -> f64 {
    let (tp, tq): (f64, f64) = (p.iter().sum(), q.iter().sum());
    p.iter().zip(q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p / tp * ((p / tp) / (q / tq)).ln()).sum()
}

pub fn worst(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |w, (a, b)| w.max((a - b).abs()))
}

/// A small reproducible stream of numbers.
pub struct Stream(pub u64);

impl Stream {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
