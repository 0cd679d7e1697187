//! Exact sums over models with known energies, against enumeration, formulas and identities.

mod program_support;

use program_support::*;

const ISING: &str = "
param L = 4, J = 1.0, Tc = 2 / ln(1 + sqrt(2))
model ising {
    mode s[L, L]: {-1, +1}
    for (a, b) in neighbours(s, periodic: true) { [a b] = -J * a * b }
}
";

fn numbers(text: &str, labels: &[&str]) -> Vec<f64> {
    let shown = labels.join(", ");
    let (_, recorder) = healthy(&format!("{text}\nshow {shown}\n"), &Files::default());
    labels.iter().map(|l| recorder.number(l)).collect()
}

fn close(found: f64, wanted: f64, within: f64) {
    assert!((found - wanted).abs() <= within, "{found} is not {wanted}, off by {:e}", found - wanted);
}

/// The codes of everything that is reported.
fn codes(text: &str, files: &Files) -> Vec<String> {
    let (_, found, recorder) = run(text, files);
    let mut codes: Vec<String> = found.iter().map(|d| d.code.to_string()).collect();
    codes.extend(recorder.codes.iter().map(ToString::to_string));
    codes
}

// -------------------------------------------------------------------- enumeration

/// Every cell of modes of these sizes.
fn cells(sizes: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for size in sizes {
        all = all
            .into_iter()
            .flat_map(|cell| (0..*size).map(move |k| cell.iter().copied().chain([k]).collect::<Vec<_>>()))
            .collect();
    }
    all
}

#[test]
fn a_crooked_model_agrees_with_enumeration() {
    let text = "
mode a: {-1, 0.5, 2}, b: 2, c: {-1, +1}, d: 4, e: 2
model m {
    [a b] = 0.3 * a - 0.7 * a * b
    [c b] = if b == 1 and c == -1 { 0.9 } else { -0.2 * c }
    [a d c] = sin(a + 2 * d) * c
    [d] = 0.1 * d ^ 2
    [e d] = max(e, d) / 3
    temperature 0.7
}
";
    let level = |cell: &[usize]| {
        let (a, c) = ([-1.0, 0.5, 2.0][cell[0]], [-1.0, 1.0][cell[2]]);
        (a, cell[1] as f64, c, cell[3] as f64, cell[4] as f64)
    };
    let energy = |cell: &[usize]| {
        let (a, b, c, d, e) = level(cell);
        let second = if b == 1.0 && c == -1.0 { 0.9 } else { -0.2 * c };
        let f: f64 = 0.3 * a - 0.7 * a * b + second + (a + 2.0 * d).sin() * c;
        f + 0.1 * d * d + f64::max(e, d) / 3.0
    };
    let all = cells(&[3, 2, 2, 4, 2]);
    let t = 0.7;
    let weights: Vec<f64> = all.iter().map(|x| (-energy(x) / t).exp()).collect();
    let z: f64 = weights.iter().sum();
    let mean = |f: &dyn Fn(&[usize]) -> f64| all.iter().zip(&weights).map(|(x, w)| w * f(x)).sum::<f64>() / z;
    let e1 = mean(&|x| energy(x));
    let total = |x: &[usize]| {
        let (a, b, c, d, e) = level(x);
        a + b + c + d + e
    };
    let m1 = mean(&|x| total(x).abs());
    let entropy = |keep: &[usize]| {
        let mut table = std::collections::BTreeMap::new();
        for (x, w) in all.iter().zip(&weights) {
            let key: Vec<usize> = keep.iter().map(|k| x[*k]).collect();
            *table.entry(key).or_insert(0.0) += w / z;
        }
        table.values().map(|p: &f64| -p * p.ln()).sum::<f64>()
    };
    let ad = |x: &[usize]| level(x).0 * level(x).3;
    let found = numbers(
        text,
        &[
            "m.log_z",
            "m.energy",
            "m.heat_capacity",
            "m.entropy",
            "m.magnetization",
            "m.susceptibility",
            "m.mean(a * d + 2 * c)",
            "m.variance(a + b + c)",
            "m.covariance(a, d)",
            "m.covariance(a + b, c + d)",
            "m.mutual_information(a, d | c)",
            "m.o_information(a, c, d)",
            "m.probability(a: 2, d: 3)",
            "m.most_probable.energy",
            "m.free_energy",
        ],
    );
    let abc = |x: &[usize]| level(x).0 + level(x).1 + level(x).2;
    let wanted = [
        z.ln(),
        e1,
        mean(&|x| (energy(x) - e1).powi(2)) / (t * t),
        entropy(&[0, 1, 2, 3, 4]),
        m1 / 5.0,
        mean(&|x| (total(x).abs() - m1).powi(2)) / (5.0 * t),
        mean(&|x| ad(x) + 2.0 * level(x).2),
        mean(&|x| abc(x).powi(2)) - mean(&|x| abc(x)).powi(2),
        mean(&|x| ad(x)) - mean(&|x| level(x).0) * mean(&|x| level(x).3),
        mean(&|x| (level(x).0 + level(x).1) * (level(x).2 + level(x).3))
            - mean(&|x| level(x).0 + level(x).1) * mean(&|x| level(x).2 + level(x).3),
        entropy(&[0, 2]) + entropy(&[3, 2]) - entropy(&[0, 2, 3]) - entropy(&[2]),
        entropy(&[0, 2, 3]) + entropy(&[0]) + entropy(&[2]) + entropy(&[3])
            - entropy(&[0, 2])
            - entropy(&[0, 3])
            - entropy(&[2, 3]),
        mean(&|x| f64::from(u8::from(x[0] == 2 && x[3] == 3))),
        all.iter().map(|x| energy(x)).fold(f64::INFINITY, f64::min),
        -t * z.ln(),
    ];
    for (found, wanted) in found.iter().zip(wanted) {
        close(*found, wanted, 1e-12);
    }
}

#[test]
fn forbidden_cells_and_given_levels_agree_with_enumeration() {
    let text = "
mode a: 3, b: 3, c: 2
model m {
    [a b] = 0.4 * a * b
    [b c] = if c == 1 { b } else { -0.3 }
    forbid a == b
    forbid a + b + c > 4
}
";
    let all = cells(&[3, 3, 2]);
    let energy = |x: &[usize]| {
        let (a, b) = (x[0] as f64, x[1] as f64);
        0.4 * a * b + if x[2] == 1 { b } else { -0.3 }
    };
    let open = |x: &&Vec<usize>| x[0] != x[1] && x.iter().sum::<usize>() <= 4;
    let z: f64 = all.iter().filter(open).map(|x| (-energy(x)).exp()).sum();
    let z1: f64 = all.iter().filter(open).filter(|x| x[2] == 1).map(|x| (-energy(x)).exp()).sum();
    let found = numbers(text, &["m.log_z", "m.given(c: 1).log_z", "m.probability(c: 1)", "m.energy"]);
    close(found[0], z.ln(), 1e-13);
    close(found[1], z1.ln(), 1e-13);
    close(found[2], z1 / z, 1e-13);
    let e: f64 = all.iter().filter(open).map(|x| energy(x) * (-energy(x)).exp()).sum::<f64>() / z;
    close(found[3], e, 1e-13);
    let given = format!(
        "{text}model n {{ [a b] = 0.4 * a * b\n [b c] = if c == 1 {{ b }} else {{ -0.3 }}\n given c = 1\n forbid a + b + c > 4\n forbid a == b }}\n"
    );
    close(numbers(&given, &["n.log_z"])[0], z1.ln(), 1e-13);
}

// -------------------------------------------------------------------- published values and formulas

#[test]
fn the_four_by_four_magnet_at_its_critical_point() {
    let critical = "(ising with (L = 4, temperature = Tc))";
    let labels: Vec<String> = ["log_z / 16", "energy / 16", "heat_capacity / 16", "magnetization"]
        .iter()
        .map(|f| format!("{critical}.{f}"))
        .collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let found = numbers(ISING, &labels);
    let wanted = [0.9701197162, -1.5656237876, 0.7832668259, 0.8438604448];
    for (found, wanted) in found.iter().zip(wanted) {
        close(*found, wanted, 6e-11);
    }
}

/// ln Z of the periodic n × m Ising lattice (Kaufman 1949).
fn kaufman(n: usize, m: usize, beta: f64) -> f64 {
    let k = beta;
    let c = (2.0 * k).cosh() / (2.0 * k).tanh();
    let gamma = |q: usize| {
        if q == 0 {
            return 2.0 * k + k.tanh().ln();
        }
        (c - (std::f64::consts::PI * q as f64 / n as f64).cos()).acosh()
    };
    let half = m as f64 / 2.0;
    let mut terms = Vec::new();
    for (odd, hyperbolic) in
        [(1, f64::cosh as fn(f64) -> f64), (1, f64::sinh), (0, f64::cosh), (0, f64::sinh)]
    {
        let product: f64 = (0..n).map(|r| 2.0 * hyperbolic(half * gamma(2 * r + odd))).product();
        terms.push(product);
    }
    let area = (n * m) as f64;
    -(2.0f64.ln()) + area / 2.0 * (2.0 * (2.0 * k).sinh()).ln() + terms.iter().sum::<f64>().ln()
}

#[test]
fn periodic_lattices_follow_kaufman() {
    for (l, t) in [(4, 2.0), (6, 2.5), (6, 1.5), (7, 3.3)] {
        let found = numbers(ISING, &[&format!("(ising with (L = {l}, temperature = {t:?})).log_z")]);
        close(found[0], kaufman(l, l, 1.0 / t), 1e-10);
    }
}

/// ln Z of an open lattice with couplings, by the determinant of Kac and Ward over directed bonds.
fn kac_ward(rows: usize, columns: usize, coupling: &dyn Fn(usize, usize) -> f64) -> f64 {
    use std::f64::consts::PI;
    let near = |v: usize| {
        let (i, j) = (v / columns, v % columns);
        let mut list = Vec::new();
        if j + 1 < columns {
            list.push((v + 1, 0.0));
        }
        if i + 1 < rows {
            list.push((v + columns, PI / 2.0));
        }
        if j > 0 {
            list.push((v - 1, PI));
        }
        if i > 0 {
            list.push((v - columns, -PI / 2.0));
        }
        list
    };
    let bonds: Vec<(usize, usize, f64)> =
        (0..rows * columns).flat_map(|v| near(v).into_iter().map(move |(u, angle)| (v, u, angle))).collect();
    let n = bonds.len();
    // 1 − Λ, complex numbers as pairs
    let mut matrix = vec![(0.0f64, 0.0f64); n * n];
    for (row, (v, u, from)) in bonds.iter().enumerate() {
        matrix[row * n + row] = (1.0, 0.0);
        let weight = coupling(*v.min(u), *v.max(u)).tanh();
        for (column, (start, end, to)) in bonds.iter().enumerate() {
            if start == u && end != v {
                let mut turn = to - from;
                while turn > PI {
                    turn -= 2.0 * PI;
                }
                while turn <= -PI {
                    turn += 2.0 * PI;
                }
                matrix[row * n + column] = (-weight * (turn / 2.0).cos(), -weight * (turn / 2.0).sin());
            }
        }
    }
    let mut log_determinant = 0.0;
    for k in 0..n {
        let size = |x: (f64, f64)| x.0.hypot(x.1);
        let pivot =
            (k..n).max_by(|a, b| size(matrix[a * n + k]).total_cmp(&size(matrix[b * n + k]))).unwrap();
        for column in 0..n {
            matrix.swap(k * n + column, pivot * n + column);
        }
        let p = matrix[k * n + k];
        log_determinant += size(p).ln();
        let norm = p.0 * p.0 + p.1 * p.1;
        for row in k + 1..n {
            let x = matrix[row * n + k];
            if x == (0.0, 0.0) {
                continue;
            }
            let f = ((x.0 * p.0 + x.1 * p.1) / norm, (x.1 * p.0 - x.0 * p.1) / norm);
            for column in k..n {
                let y = matrix[k * n + column];
                let slot = &mut matrix[row * n + column];
                *slot = (slot.0 - f.0 * y.0 + f.1 * y.1, slot.1 - f.0 * y.1 - f.1 * y.0);
            }
        }
    }
    let mut total = (rows * columns) as f64 * 2.0f64.ln() + log_determinant / 2.0;
    for v in 0..rows * columns {
        total +=
            near(v).iter().filter(|(u, _)| *u > v).map(|(u, _)| coupling(v, *u).cosh().ln()).sum::<f64>();
    }
    total
}

#[test]
fn open_lattices_with_random_couplings_follow_kac_and_ward() {
    let mut random = 12345u64;
    let (rows, columns) = (6, 9);
    let mut list = Vec::new();
    for v in 0..rows * columns {
        for u in [v + 1, v + columns] {
            let inside = if u == v + 1 { u % columns != 0 } else { u < rows * columns };
            if inside {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                list.push((v, u, (random >> 40) as f64 / (1u64 << 23) as f64 - 1.0));
            }
        }
    }
    let table: String = list.iter().map(|(a, b, x)| format!("{a},{b},{x:?}\n")).collect();
    let mut files = Files::default();
    files.there.insert("edges.csv".into(), format!("a,b,J\n{table}").into_bytes());
    let text = format!(
        "mode s[{rows}, {columns}]: {{-1, +1}}
model glass {{ for (a, b, J) in edges(s, table(\"edges.csv\")) {{ [a b] = -J * a * b }}
    temperature 0.8 }}
show glass.log_z
"
    );
    let (_, recorder) = healthy(&text, &files);
    let coupling = |a: usize, b: usize| {
        list.iter().find(|(x, y, _)| (*x, *y) == (a, b)).map_or(0.0, |(_, _, j)| j / 0.8)
    };
    close(recorder.number("glass.log_z"), kac_ward(rows, columns, &coupling), 1e-10);
}

#[test]
fn a_long_narrow_lattice_is_a_transfer_matrix() {
    let (width, length, t) = (5usize, 40usize, 2.2);
    let found = numbers(
        &format!(
            "mode s[{width}, {length}]: {{-1, +1}}
model m {{ for (a, b) in neighbours(s) {{ [a b] = -a * b }}
    temperature {t:?} }}"
        ),
        &["m.log_z"],
    );
    let spin = |state: usize, k: usize| if state >> k & 1 == 1 { 1.0 } else { -1.0 };
    let inside = |s: usize| (1..width).map(|k| spin(s, k) * spin(s, k - 1)).sum::<f64>();
    let between = |s: usize, u: usize| (0..width).map(|k| spin(s, k) * spin(u, k)).sum::<f64>();
    let states = 1 << width;
    let mut vector: Vec<f64> = (0..states).map(|s| (inside(s) / t).exp()).collect();
    let mut scale = 0.0;
    for _ in 1..length {
        let next: Vec<f64> = (0..states)
            .map(|u| {
                let over: f64 = (0..states).map(|s| vector[s] * (between(s, u) / t).exp()).sum();
                over * (inside(u) / t).exp()
            })
            .collect();
        let most = next.iter().copied().fold(0.0, f64::max);
        scale += most.ln();
        vector = next.into_iter().map(|x| x / most).collect();
    }
    close(found[0], scale + vector.iter().sum::<f64>().ln(), 1e-10);
}

#[test]
fn the_potts_chain_with_two_couplings() {
    let chain = |n: usize, q: usize| {
        format!(
            "param J1 = 1, J2 = -0.6
mode s[{n}]: {q}
model potts {{
    for i in 0 .. {last} {{
        [s[i] s[(i + 1) mod {n}]] = if s[i] == s[(i + 1) mod {n}] {{ -J1 }} else {{ 0 }}
        [s[i] s[(i + 2) mod {n}]] = if s[i] == s[(i + 2) mod {n}] {{ -J2 }} else {{ 0 }}
    }}
    temperature 1.25
}}",
            last = n - 1
        )
    };
    close(numbers(&chain(8, 3), &["potts.log_z"])[0], 10.2709661384, 6e-11);
    for (q, wanted) in [(2, 2.537212696076), (3, 3.611171425437), (4, 4.655407357461)] {
        let longer = numbers(&chain(61, q), &["potts.log_z"])[0];
        let shorter = numbers(&chain(60, q), &["potts.log_z"])[0];
        close((longer - shorter).exp(), wanted, 1e-11);
    }
}

#[test]
fn zeros_of_ferromagnets_lie_on_the_unit_circle() {
    let lattices = [
        "mode s[2, 3]: {-1, +1}\nmodel m { for (a, b) in neighbours(s) { [a b] = -a * b }\n temperature 3 }",
        "mode s[7]: {-1, +1}\nmodel m { for (a, b) in pairs(s) { [a b] = -0.2 * a * b } }",
        "mode s[6]: {-1, +1}\nmodel m { for (a, b) in edges(s, [[0, 1], [1, 2], [2, 0], [2, 3], [3, 4], [3, 5]]) { [a b] = -0.7 * a * b } }",
    ];
    for text in lattices {
        let (_, recorder) = healthy(&format!("{text}\nshow m.total.probability\n"), &Files::default());
        let polynomial = recorder.numbers("m.total.probability");
        for (re, im) in roots(&polynomial) {
            close(re.hypot(im), 1.0, 1e-8);
        }
    }
}

/// All roots of a polynomial, by the iteration of Durand and Kerner.
fn roots(coefficients: &[f64]) -> Vec<(f64, f64)> {
    type C = (f64, f64);
    let times = |a: C, b: C| (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0);
    let over = |a: C, b: C| {
        let n = b.0 * b.0 + b.1 * b.1;
        ((a.0 * b.0 + a.1 * b.1) / n, (a.1 * b.0 - a.0 * b.1) / n)
    };
    let degree = coefficients.len() - 1;
    let lead = coefficients[degree];
    let value = |z: C| {
        coefficients.iter().rev().fold((0.0, 0.0), |v, c| {
            let w = times(v, z);
            (w.0 + c / lead, w.1)
        })
    };
    let mut list: Vec<C> = (0..degree)
        .map(|k| {
            let angle = 0.4 + 2.0 * std::f64::consts::PI * k as f64 / degree as f64;
            (0.9 * angle.cos(), 0.9 * angle.sin())
        })
        .collect();
    for _ in 0..2000 {
        for k in 0..degree {
            let mut below = (1.0, 0.0);
            for (j, other) in list.iter().enumerate() {
                if j != k {
                    below = times(below, (list[k].0 - other.0, list[k].1 - other.1));
                }
            }
            let step = over(value(list[k]), below);
            list[k] = (list[k].0 - step.0, list[k].1 - step.1);
        }
    }
    list
}

// -------------------------------------------------------------------- identities

#[test]
fn heat_capacity_is_a_second_difference_of_the_free_energy() {
    for t in [1.2, 2.3, 5.0] {
        let h = 1e-3;
        let at = |t: f64| format!("(ising at {t:?})");
        let labels = [
            format!("{}.free_energy", at(t - h)),
            format!("{}.free_energy", at(t)),
            format!("{}.free_energy", at(t + h)),
            format!("{}.heat_capacity", at(t)),
        ];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let f = numbers(&ISING.replace("L = 4", "L = 3"), &labels);
        close(f[3], -t * (f[0] - 2.0 * f[1] + f[2]) / (h * h), 1e-4);
    }
}

#[test]
fn a_sweep_is_the_same_as_its_points() {
    let text = format!("{ISING}sweep ising over temperature in 0.5 .. 3.1 by 0.13 as melt\n");
    let (_, recorder) = healthy(
        &format!(
            "{text}show melt.energy.energy, melt.susceptibility.susceptibility, melt.energy.temperature\n"
        ),
        &Files::default(),
    );
    let energies = recorder.numbers("melt.energy.energy");
    let susceptibilities = recorder.numbers("melt.susceptibility.susceptibility");
    let points = recorder.numbers("melt.energy.temperature");
    assert_eq!(points.len(), 21);
    for k in [0, 7, 20] {
        let t = points[k];
        let labels = [format!("(ising at {t:?}).energy"), format!("(ising at {t:?}).susceptibility")];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let alone = numbers(ISING, &labels);
        close(energies[k], alone[0], 1e-11);
        close(susceptibilities[k], alone[1], 1e-11);
    }
}

#[test]
fn a_sweep_over_a_param_is_the_same_as_its_values() {
    let text =
        format!("{ISING}sweep (ising with (L = 3, temperature = 2)) over J in 0.5 .. 1.5 by 0.5 as j\n");
    let (_, recorder) = healthy(&format!("{text}show j.log_z.log_z\n"), &Files::default());
    let swept = recorder.numbers("j.log_z.log_z");
    let alone = numbers(ISING, &["(ising with (L = 3, temperature = 2, J = 1.5)).log_z"]);
    assert_eq!(swept.len(), 3);
    assert_eq!(swept[2], alone[0]);
}

#[test]
fn conditions_commute_and_marginals_stay() {
    let found = numbers(
        ISING,
        &[
            "ising.given(s[0, 0]: 1).given(s[2, 1]: -1).mean(s[1, 1])",
            "ising.given(s[2, 1]: -1).given(s[0, 0]: 1).mean(s[1, 1])",
            "ising.given(s[2, 1]: -1, s[0, 0]: 1).mean(s[1, 1])",
            "ising.mean(s[1, 1] * s[3, 2])",
            "ising.marginalise(s[0, 0], s[2, 2], s[2, 3]).mean(s[1, 1] * s[3, 2])",
            "ising.log_z",
            "ising.marginalise(s[0, 0], s[2, 2], s[2, 3]).log_z",
            "ising.marginalise(s[0, 0]).given(s[1, 1]: 1).mean(s[3, 2])",
            "ising.given(s[1, 1]: 1).marginalise(s[0, 0]).mean(s[3, 2])",
        ],
    );
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
    close(found[3], found[4], 1e-12);
    close(found[5], found[6], 1e-12);
    close(found[7], found[8], 1e-12);
}

#[test]
fn very_cold_and_very_hot() {
    let found = numbers(
        ISING,
        &[
            "(ising at 0.001).log_z",
            "(ising at 0.001).entropy",
            "(ising at 0.001).heat_capacity",
            "(ising at 0.001).magnetization",
            "(ising at 1e9).entropy",
            "ising.most_probable.energy",
        ],
    );
    close(found[0], 32_000.0 + 2.0f64.ln(), 1e-9);
    close(found[1], 2.0f64.ln(), 1e-9);
    close(found[2], 0.0, 1e-12);
    close(found[3], 1.0, 1e-12);
    close(found[4], 16.0 * 2.0f64.ln(), 1e-9);
    close(found[5], -32.0, 0.0);
}

#[test]
fn divergences_between_models() {
    let found = numbers(
        &ISING.replace("L = 4", "L = 2"),
        &[
            "kl(ising at 1.5, ising at 2.5)",
            "kl(ising, ising)",
            "(ising at 1.5).energy",
            "(ising at 1.5).log_z",
            "(ising at 2.5).log_z",
        ],
    );
    close(found[0], found[2] / 2.5 - found[2] / 1.5 + found[4] - found[3], 1e-12);
    close(found[1], 0.0, 1e-14);
}

#[test]
fn each_pair_of_a_ring_of_two_is_there_once() {
    let found = numbers(&ISING.replace("L = 4", "L = 2"), &["ising.most_probable.energy"]);
    close(found[0], -4.0, 0.0);
}

#[test]
fn a_fit_has_a_temperature_too() {
    let text = "
mode a: 2, b: 3
data x[a, b] = [[10, 20, 5], [7, 3, 15]]
model m { [a] [b] }
fit m to x
";
    let found = numbers(
        text,
        &[
            "(m at 1).entropy",
            "m.entropy",
            "(m at 1).log_z",
            "m.log_z",
            "m.heat_capacity",
            "(m at 2).probability(a: 1)",
        ],
    );
    close(found[0], found[1], 1e-13);
    close(found[2], found[3], 1e-13);
    let p: f64 = 25.0 / 60.0;
    close(found[5], p.sqrt() / (p.sqrt() + (1.0 - p).sqrt()), 1e-13);
    let variance = |p: &[f64]| {
        let m: f64 = p.iter().map(|p| -p * p.ln()).sum();
        p.iter().map(|p| p * (-p.ln() - m).powi(2)).sum::<f64>()
    };
    let wanted = variance(&[p, 1.0 - p]) + variance(&[17.0 / 60.0, 23.0 / 60.0, 20.0 / 60.0]);
    close(found[4], wanted, 1e-13);
}

#[test]
fn factors_of_a_fit_stay_factors_in_its_sums() {
    for (n, forbidden) in [(9, ""), (9, " forbid a + b > 14")] {
        let text = format!(
            "mode a: {n}, b: {n}, c: {n}, d: {n}\n\
             model law {{ [a b] = (a * b mod 5) / 4\n [c d] = abs(c - d) / 3\n [a d] = (a + 2 * d) mod 3\n{forbidden} }}\n\
             data x[a, b, c, d] = sample(law, 20000, seed: 3)\n\
             model pairs {{ body(2)\n{forbidden} }}\n\
             fit pairs to x as f {{ tolerance 1e-11 }}\n"
        );
        let labels =
            ["f.heat_capacity", "(f at 2).log_z", "(f at 2).energy", "(f at 2).probability(a: 1, d: 2)"];
        let (_, recorder) =
            healthy(&format!("{text}show f.fitted, {}\n", labels.join(", ")), &Files::default());
        let q: Vec<f64> = recorder.numbers("f.fitted");
        let total: f64 = q.iter().sum();
        let q: Vec<f64> = q.iter().map(|x| x / total).collect();
        let energies: Vec<f64> = q.iter().map(|p| (q[0] / p).ln()).collect();
        let moments = |t: f64| {
            let weight = move |e: f64| if e.is_finite() { (-e / t).exp() } else { 0.0 };
            let z: f64 = energies.iter().map(|e| weight(*e)).sum();
            let mean = |f: &dyn Fn(f64) -> f64| {
                energies.iter().filter(|e| e.is_finite()).map(|e| f(*e) * weight(*e) / z).sum::<f64>()
            };
            let m = mean(&|e| e);
            (z, m, mean(&|e| (e - m).powi(2)) / (t * t), weight)
        };
        close(recorder.number(labels[0]), moments(1.0).2, 1e-9);
        let (z, energy, _, weight) = moments(2.0);
        close(recorder.number(labels[1]), z.ln(), 1e-9);
        close(recorder.number(labels[2]), energy, 1e-9);
        let all = cells(&[n; 4]);
        let chosen = all.iter().zip(&energies).filter(|(x, _)| x[0] == 1 && x[3] == 2);
        let p: f64 = chosen.map(|(_, e)| weight(*e) / z).sum();
        close(recorder.number(labels[3]), p, 1e-9);
    }
}

#[test]
fn temperature_scales_the_energies_of_a_fit_and_nothing_else() {
    let fitted = |t: &str| {
        let text = format!(
            "mode a: 2, b: 3
data x[a, b] = [[10, 20, 5], [7, 3, 15]]
model m {{ [a] [b]
    temperature {t} }}
fit m to x"
        );
        let (session, found, recorder) =
            run(&format!("{text}\nshow m.probability(a: 1, b: 2), m.energy, m.log_z\n"), &Files::default());
        drop(session);
        assert!(found.iter().all(|d| d.code.to_string() == "MBA323"), "{found:?}");
        ["m.probability(a: 1, b: 2)", "m.energy", "m.log_z"].map(|l| recorder.number(l))
    };
    let (one, three) = (fitted("1"), fitted("3"));
    assert_eq!(one[0], three[0]);
    close(three[1], 3.0 * one[1], 1e-12);
    close(three[2], one[2], 1e-12);
}

#[test]
fn draws_have_the_means_of_the_model() {
    let (n, seed) = (20_000, 5);
    let text = format!(
        "{ISING}show (ising at 2.5).sample({n}, seed: {seed}).count, (ising at 2.5).mean(s[0, 0] * s[0, 1])\n"
    );
    let (_, recorder) = healthy(&text, &Files::default());
    let counts = recorder.numbers(&format!("(ising at 2.5).sample({n}, seed: {seed}).count"));
    assert_eq!(counts.iter().sum::<f64>(), n as f64);
    let text = format!("{ISING}show (ising at 2.5).sample({n}, seed: {seed})\n");
    let (_, recorder) = healthy(&text, &Files::default());
    let rows =
        recorder.value(&format!("(ising at 2.5).sample({n}, seed: {seed})")).as_array().unwrap().clone();
    let product: f64 = rows
        .iter()
        .map(|r| {
            let of = |k: &str| r[k].as_f64().unwrap();
            of("s[0, 0]") * of("s[0, 1]") * of("count")
        })
        .sum::<f64>()
        / n as f64;
    let exact = numbers(ISING, &["(ising at 2.5).mean(s[0, 0] * s[0, 1])"])[0];
    let error = ((1.0 - exact * exact) / n as f64).sqrt();
    assert!((product - exact).abs() < 4.5 * error, "{product} against {exact} ± {error}");
}

// -------------------------------------------------------------------- the library

/// Neighbouring sites of a rectangle, row by row, each pair once.
fn bonds(rows: usize, columns: usize, periodic: bool) -> Vec<(usize, usize)> {
    let mut list = Vec::new();
    for i in 0..rows {
        for j in 0..columns {
            let ends = [(i + 1, j, rows), (i, j + 1, columns)];
            for (k, (u, v, size)) in ends.into_iter().enumerate() {
                let over = if k == 0 { u == rows } else { v == columns };
                if !over || (periodic && size > 2) {
                    list.push((i * columns + j, u % rows * columns + v % columns));
                }
            }
        }
    }
    list
}

#[test]
fn every_model_of_the_library_agrees_with_enumeration() {
    use std::f64::consts::PI;
    type Energy = Box<dyn Fn(&[f64], &[(usize, usize)]) -> f64>;
    let over = |f: fn(f64, f64) -> f64, g: fn(f64) -> f64| -> Energy {
        Box::new(move |x, bonds| {
            bonds.iter().map(|(a, b)| f(x[*a], x[*b])).sum::<f64>() + x.iter().map(|a| g(*a)).sum::<f64>()
        })
    };
    let patterns = [[1.0, 1.0, -1.0, -1.0, 1.0, -1.0], [1.0, -1.0, 1.0, -1.0, 1.0, 1.0]];
    let stored = move |x: &[f64], p: usize| -> f64 {
        let groups = cells(&[2; 6]).into_iter().filter(|c| c.iter().sum::<usize>() == p);
        let one = |c: Vec<usize>| {
            let inside: Vec<usize> = (0..6).filter(|k| c[*k] == 1).collect();
            let weight: f64 = patterns.iter().map(|q| inside.iter().map(|k| q[*k]).product::<f64>()).sum();
            -weight / 6f64.powi(p as i32 - 1) * inside.iter().map(|k| x[*k]).product::<f64>()
        };
        groups.map(one).sum()
    };
    let (w, bias) = (
        [0.5, -0.3, 0.8, 0.1, -0.6, 0.2, 0.9, -0.4, 0.3, 0.7, -0.2, 0.6, -0.9, 0.25, 0.35],
        [0.1, -0.2, 0.3, 0.0, 0.4, -0.5],
    );
    // the entries above the diagonal, row by row
    let place = |i: usize, j: usize| i * (11 - i) / 2 + j - i - 1;
    let entry = |i: usize, j: usize| if i == j { 0.0 } else { w[place(i.min(j), i.max(j))] };
    let matrix: Vec<Vec<f64>> = (0..6).map(|i| (0..6).map(|j| entry(i, j)).collect()).collect();
    let list =
        |row: &[f64]| format!("[{}]", row.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>().join(", "));
    let matrix_text = format!("[{}]", matrix.iter().map(|r| list(r)).collect::<Vec<_>>().join(", "));
    let patterns_text = format!("[{}, {}]", list(&patterns[0]), list(&patterns[1]));
    let header = format!(
        "use ising\nuse potts\nuse clock\nuse xy\nuse blume_capel\nuse memory\nuse spin_glass\nuse markov\nparam P = {patterns_text}, W = {matrix_text}, B = {}\n",
        list(&bias)
    );
    let counted = |n: usize| (0..n).map(|k| k as f64).collect::<Vec<_>>();
    let spins = vec![-1.0, 1.0];
    let cases: Vec<(&str, Vec<f64>, bool, Energy)> = vec![
        ("ising(s, J: 0.7, h: 0.2)", spins.clone(), false, over(|a, b| -0.7 * a * b, |a| -0.2 * a)),
        (
            "ising(s, J: -0.7, h: 0.2, periodic: true)",
            spins.clone(),
            true,
            over(|a, b| 0.7 * a * b, |a| -0.2 * a),
        ),
        ("potts(s, J: 1.3)", counted(3), false, over(|a, b| if a == b { -1.3 } else { 0.0 }, |_| 0.0)),
        (
            "clock(s, 5, J: 0.9, h: 0.4)",
            counted(5),
            false,
            over(|a, b| -0.9 * (2.0 * PI * (a - b) / 5.0).cos(), |a| -0.4 * (2.0 * PI * a / 5.0).cos()),
        ),
        (
            "xy(s, 4, J: 1.1, h: 0.3, periodic: true)",
            counted(4),
            true,
            over(|a, b| -1.1 * (2.0 * PI * (a - b) / 4.0).cos(), |a| -0.3 * (2.0 * PI * a / 4.0).cos()),
        ),
        (
            "blume_capel(s, J: 0.8, D: 0.5, h: 0.1)",
            vec![-1.0, 0.0, 1.0],
            false,
            over(|a, b| -0.8 * a * b, |a| 0.5 * a * a - 0.1 * a),
        ),
        ("hopfield(s, P)", spins.clone(), false, Box::new(move |x, _| stored(x, 2))),
        ("dense_hebbian(s, P, 3)", spins.clone(), false, Box::new(move |x, _| stored(x, 3))),
        (
            "boltzmann_machine(s, W, B)",
            vec![0.0, 1.0],
            false,
            Box::new(move |x, _| {
                let pair = |i: usize, j: usize| -matrix[i][j] * x[i] * x[j];
                let pairs: f64 =
                    (0..6).flat_map(|i| (i + 1..6).map(move |j| (i, j))).map(|(i, j)| pair(i, j)).sum();
                pairs - x.iter().zip(bias).map(|(x, b)| x * b).sum::<f64>()
            }),
        ),
    ];
    for (call, levels, periodic, energy) in cases {
        let shown: Vec<String> = levels.iter().map(|x| format!("{x}")).collect();
        let text = format!("{header}mode s[2, 3]: {{{}}}\n", shown.join(", "));
        let t = 1.3;
        let labels: Vec<String> =
            ["log_z", "energy", "heat_capacity"].iter().map(|f| format!("({call} at {t:?}).{f}")).collect();
        let found = numbers(&text, &labels.iter().map(String::as_str).collect::<Vec<_>>());
        let bonds = bonds(2, 3, periodic);
        let energies: Vec<f64> = cells(&[levels.len(); 6])
            .iter()
            .map(|c| energy(&c.iter().map(|k| levels[*k]).collect::<Vec<_>>(), &bonds))
            .collect();
        let z: f64 = energies.iter().map(|e| (-e / t).exp()).sum();
        let mean = energies.iter().map(|e| e * (-e / t).exp()).sum::<f64>() / z;
        let variance = energies.iter().map(|e| (e - mean).powi(2) * (-e / t).exp()).sum::<f64>() / z;
        for (found, wanted) in found.iter().zip([z.ln(), mean, variance / (t * t)]) {
            assert!(
                (found - wanted).abs() < 1e-11 * wanted.abs().max(1.0),
                "{call}: {found} is not {wanted}"
            );
        }
    }
}

// -------------------------------------------------------------------- cutting and symmetry

/// The sums of a program that are cut: number of parts, and whether half of the cells are left out.
fn cuts(text: &str) -> Vec<(usize, bool)> {
    let (session, _, _) = run(text, &Files::default());
    let plans = session.sums().into_iter().flat_map(|(_, plans)| plans);
    plans.map(|p| (p.slicing.parts(), p.slicing.mirrored.is_some())).collect()
}

#[test]
fn half_of_a_symmetric_sum_is_the_whole_sum() {
    // a field of nearly nothing takes the symmetry away, and changes no digit that is compared
    let results =
        ["log_z", "energy", "heat_capacity", "magnetization", "susceptibility", "mean(s[0, 0] * s[2, 1])"];
    // two levels, four, and three of which the middle one is its own image
    for (modes, template) in [
        ("mode s[5, 6]: {-1, +1}", "ising(s, h: FIELD, periodic: true)"),
        ("mode s[3, 4]: 4", "clock(s, 4, h: FIELD, periodic: true)"),
        ("mode s[3, 3]: {-1, 0, +1}", "all(s, FIELD)"),
    ] {
        let text = format!(
            "use ising\nuse clock\n{modes}\nmodel all(t, h) {{ for (a, b) in pairs(t) {{ [a b] = -0.2 * a * b }}\nfor a in t {{ [a] = -h * a }} }}\n"
        );
        let of = |field: &str| -> Vec<String> {
            results.iter().map(|r| format!("({} at 2.1).{r}", template.replace("FIELD", field))).collect()
        };
        let (even, odd) = (of("0"), of("1e-14"));
        let all: Vec<&str> = even.iter().chain(&odd).map(String::as_str).collect();
        let found = numbers(&text, &all);
        for (a, b) in found[..results.len()].iter().zip(&found[results.len()..]) {
            close(*a, *b, 1e-11 * b.abs().max(1.0));
        }
        let shown = format!(
            "{text}show {}.energy, {}.energy\n",
            template.replace("FIELD", "0"),
            template.replace("FIELD", "1e-14")
        );
        let mirrored: Vec<bool> = cuts(&shown).iter().map(|c| c.1).collect();
        assert!(mirrored.contains(&true) && mirrored.contains(&false), "{mirrored:?}");
        let tables = ["marginal(s[0, 0], s[1, 2])", "total.probability"];
        let of = |field: &str, r: &str| format!("{}.{r}", template.replace("FIELD", field));
        let labels: Vec<String> = tables.iter().flat_map(|r| [of("0", r), of("1e-14", r)]).collect();
        let (_, recorder) = healthy(&format!("{text}show {}\n", labels.join(", ")), &Files::default());
        for pair in labels.chunks(2) {
            for (a, b) in recorder.numbers(&pair[0]).iter().zip(recorder.numbers(&pair[1])) {
                close(*a, b, 1e-12);
            }
        }
    }
}

#[test]
fn a_sum_that_is_cut_is_the_same_sum() {
    let text = "
model m {
    mode s[6, 7]: {-1, +1}
    for (a, b) in neighbours(s, periodic: true) { [a b] = -a * b }
    [s[0, 0]] = FIELD * s[0, 0]
}
";
    for (field, within) in [("0", 1e-10), ("0.3", 1e-10)] {
        let text = text.replace("FIELD", field);
        let sweep =
            format!("{text}sweep m over temperature in 1.9 .. 2.5 by 0.1 as w\nshow w.magnetization\n");
        let cuts = cuts(&sweep);
        assert!(cuts.iter().any(|c| c.0 > 1), "nothing is cut: {cuts:?}");
        assert_eq!(cuts.iter().any(|c| c.1), field == "0");
        // the distribution of the total, carried by the sum, against means and variances of another sum
        let found = numbers(
            &text,
            &[
                "(m at 2.2).susceptibility",
                "(m at 2.2).magnetization",
                "(m at 2.2).mean(sum(s))",
                "(m at 2.2).variance(sum(s))",
            ],
        );
        let square = found[0] * 42.0 * 2.2 + (42.0 * found[1]).powi(2);
        close(square, found[3] + found[2].powi(2), within * square);
    }
    let (_, recorder) = healthy(
        &format!(
            "{}sweep m over temperature in 2 .. 3 by 0.5 as w\nshow w.log_z\n",
            text.replace("FIELD", "0")
        ),
        &Files::default(),
    );
    let rows = recorder.value("w.log_z").as_array().unwrap().clone();
    for (row, t) in rows.iter().zip([2.0, 2.5, 3.0]) {
        close(row["log_z"].as_f64().unwrap(), kaufman(6, 7, 1.0 / t), 1e-10);
    }
}

// -------------------------------------------------------------------- what belongs to a model

#[test]
fn a_loop_variable_is_no_mode_of_the_program() {
    // `a`, `b` and `sites` also name modes here, which the templates have nothing to do with
    let text = "
use ising
use potts
mode a[3]: 3, b[2]: 5, sites[2]: 7, s[2, 2]: {-1, +1}
";
    let found = numbers(text, &["ising(s).log_z", "potts(s, J: 2).log_z"]);
    let z: f64 = 2.0 * (4.0f64).exp() + 12.0 + 2.0 * (-4.0f64).exp();
    close(found[0], z.ln(), 1e-13);
    close(found[1], z.ln() + 4.0, 1e-13);
}

#[test]
fn energies_are_written_out_in_their_place() {
    let text = "
mode a: 2, b: 3
param E = [[0, 1, 2], [3, 4, 5.5]]
model m { [a b] = [[0, 1, 2], [3, 4, 5.5]] }
model n { [a b] = E }
model o { [a] = [0, 3]
    [b] = [0, 1, 2] }
";
    let found = numbers(text, &["m.log_z", "n.log_z", "o.log_z"]);
    let z: f64 = [0.0, 1.0, 2.0, 3.0, 4.0, 5.5f64].iter().map(|e| (-e).exp()).sum();
    close(found[0], z.ln(), 1e-14);
    close(found[1], z.ln(), 1e-14);
    let product = (1.0 + (-3f64).exp()) * (1.0 + (-1f64).exp() + (-2f64).exp());
    close(found[2], product.ln(), 1e-14);
    let wrong = codes(
        "mode a: 2, b: 3\nmodel n { [a b] = [[1, 2], [3, 4], [5, 6]] }\nshow n.log_z\n",
        &Files::default(),
    );
    assert_eq!(wrong, ["MBA331"]);
}

#[test]
fn a_fit_is_swept_over_temperature() {
    let text = "
mode a: 2, b: 3
data x[a, b] = [[10, 20, 5], [7, 3, 15]]
model m { body(1) }
fit m to x
sweep m over temperature in 1 .. 2 by 0.5 as w
";
    let (_, recorder) =
        healthy(&format!("{text}show w.entropy, m.entropy, (m at 2).entropy\n"), &Files::default());
    let rows = recorder.value("w.entropy").as_array().unwrap().clone();
    close(rows[0]["entropy"].as_f64().unwrap(), recorder.number("m.entropy"), 1e-13);
    close(rows[2]["entropy"].as_f64().unwrap(), recorder.number("(m at 2).entropy"), 1e-13);
    let found = codes("mode a: 2\nmodel m { body(1) }\nshow m.log_z\n", &Files::default());
    assert!(found.contains(&"MBA330".to_string()), "{found:?}");
}

// -------------------------------------------------------------------- nonsense

#[test]
fn nonsense_is_refused() {
    let spins = "mode s[3]: {-1, +1}\n";
    for (code, text) in [
        ("MBA307", "model m { [s[0]] = sqrt(s[0]) }\nshow m.log_z"),
        ("MBA307", "model m { [s[0]] = 0 / (s[0] + 1) }\nshow m.log_z"),
        ("MBA305", "model m { [s[0]] = s[0]\n temperature 0 }\nshow m.log_z"),
        ("MBA305", "model m { [s[0]] = s[0] }\nshow (m at (-2)).log_z"),
        ("MBA305", "model m { [s[0]] = s[0] }\nsweep m over temperature in 0 .. 1 by 0.5 as w"),
        (
            "MBA331",
            "model m { for (a, b, J) in couplings(s, [[0, 1], [1, 0], [0, 0]]) { [a b] = J } }\nshow m.log_z",
        ),
        (
            "MBA331",
            "model m { for (a, b, J) in couplings(s, [[0, 1, 0], [2, 0, 0], [0, 0, 0]]) { [a b] = J } }\nshow m.log_z",
        ),
        ("MBA330", "model m { [s[0]] }\nshow m.log_z"),
        ("MBA101", "model m { given s[0] = 7 }\nshow m.log_z"),
        ("MBA334", "model m { [s[0]] = s[0] }\nshow (m with (L = 3)).log_z"),
        ("MBA102", "model m { [s[0]] = s[0] }\nshow m.heat_capcity"),
        ("MBA409", "model m { [s[0]] = s[0] }\nplot m.marginal(s[0]) to \"x.png\""),
    ] {
        let found = codes(&format!("{spins}{text}\n"), &Files::default());
        assert!(found.iter().any(|c| c == code), "{text}: {found:?} and not {code}");
    }
    let ring = codes(
        "mode s[5]: {-1, +1}\nmodel m { for (a, b) in neighbours(s, periodic: true) { [a b] = a * b } }\nshow m.log_z\n",
        &Files::default(),
    );
    assert!(ring.is_empty(), "an odd antiferromagnetic ring is frustrated and fine: {ring:?}");
}

#[test]
fn a_lattice_out_of_reach_is_refused_with_its_width() {
    let text = "mode s[40, 40]: {-1, +1}\nmodel m { for (a, b) in neighbours(s) { [a b] = -a * b } }\nshow m.log_z\n";
    let (_, found, _) = run(text, &Files::default());
    let refused = found.iter().find(|d| d.code.to_string() == "MBA540").expect("refused");
    let said = format!("{} {} {:?}", refused.message, refused.notes.join(" "), refused.help);
    for word in ["2^", "width", "as declared", "approximation"] {
        assert!(said.contains(word), "no `{word}` in {said}");
    }
}

#[test]
fn pictures_are_drawn_with_axes_and_the_critical_point() {
    let files = Files::default();
    let text = format!(
        "{ISING}sweep ising over temperature in 2 .. 2.6 by 0.1 as melt
plot melt.heat_capacity, melt.magnetization to \"melt.svg\"
plot ising.marginal(s[0, 0], s[0, 1])
plot ising.marginal(s[0, 0])
"
    );
    let (_, recorder) = healthy(&text, &files);
    drop(recorder);
    let written = files.written.lock().unwrap();
    let melt = String::from_utf8(written["melt.svg"].clone()).unwrap();
    for word in ["<svg", "temperature (units of energy)", "heat capacity (nats)", "2.269185", "magnetization"]
    {
        assert!(melt.contains(word), "no `{word}` in the picture");
    }
    assert_eq!(written.len(), 3);
}

#[test]
fn energies_come_from_files() {
    let mut files = Files::default();
    files.there.insert("E.csv".into(), b"0, 1, 2\n3, 4, 5.5\n".to_vec());
    let text = "
mode a: 2, b: 3
model m { [b a] = table(\"E.csv\")[a, b] }
model n { [a b] = table(\"E.csv\") }
show m.log_z, n.log_z, m.most_probable.energy
";
    let (_, recorder) = healthy(text, &files);
    let z: f64 = [0.0, 1.0, 2.0, 3.0, 4.0, 5.5f64].iter().map(|e| (-e).exp()).sum();
    close(recorder.number("m.log_z"), z.ln(), 1e-14);
    close(recorder.number("n.log_z"), z.ln(), 1e-14);
    let wrong = codes("mode a: 2, b: 3\nmodel n { [b a] = table(\"E.csv\") }\nshow n.log_z\n", &files);
    assert!(wrong.contains(&"MBA331".to_string()), "{wrong:?}");
}

#[test]
fn the_example_of_the_magnet_holds() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/magnet.mba");
    let text = std::fs::read_to_string(path).expect("the example");
    let files = Files::default();
    let (_, recorder) = healthy(&text, &files);
    assert_eq!(recorder.tests.len(), 1);
    assert!(recorder.tests.iter().all(|(_, failures)| failures.is_empty()), "{:?}", recorder.tests);
    assert!(files.written.lock().unwrap().contains_key("melt.svg"));
    close(recorder.number("(ising at 1).given(s[0, 0]: 1).mean(s[2, 2])"), 1.0, 0.01);
    assert!(recorder.number("(ising at 4).given(s[0, 0]: 1).mean(s[2, 2])") < 0.4);
}
