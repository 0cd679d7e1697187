//! Where a model on a lattice is known to change its phase, exactly.

use crate::model::{EnergyModel, Potential};

/// The critical temperature of the Potts model on the square lattice, J / ln(1 + √q) (Potts 1952,
/// doi:10.1017/S0305004100027419), which for two levels is that of the Ising model, 2 J / ln(1 + √2)
/// (Kramers and Wannier 1941, doi:10.1103/PhysRev.60.252). It is that of the infinite lattice, recognised
/// by the model's own tables: every pair of neighbours on a two-dimensional family has one and the same
/// coupling that favours equal levels, and there is nothing else.
pub fn critical(model: &EnergyModel) -> Vec<(f64, String)> {
    square_lattice(model).map_or_else(Vec::new, |(levels, coupling)| {
        let t = coupling / (1.0 + (levels as f64).sqrt()).ln();
        vec![(t, "Tc of the infinite lattice".to_string())]
    })
}

fn square_lattice(model: &EnergyModel) -> Option<(usize, f64)> {
    if !model.support.is_empty() || !model.latent.is_empty() {
        return None;
    }
    let places: Option<Vec<(usize, usize)>> = model
        .modes
        .iter()
        .map(|m| {
            let (_, index) = m.name.split_once('[')?;
            let (i, j) = index.strip_suffix(']')?.split_once(", ")?;
            Some((i.parse().ok()?, j.parse().ok()?))
        })
        .collect();
    let places = places?;
    let rows = places.iter().map(|p| p.0).max()? + 1;
    let columns = places.iter().map(|p| p.1).max()? + 1;
    let levels = model.modes.first()?.size();
    let uniform = model.modes.iter().all(|m| m.size() == levels);
    if places.len() != rows * columns || rows < 2 || columns < 2 || levels < 2 || !uniform {
        return None;
    }
    let near = |a: usize, b: usize, n: usize| a.abs_diff(b) == 1 || a.abs_diff(b) == n - 1;
    let mut coupling = None;
    let mut pairs = 0;
    for interaction in &model.interactions {
        let Potential::Fixed(table) = &interaction.potential else { return None };
        if table.values.iter().all(|v| *v == 0.0) {
            continue;
        }
        let [a, b] = table.scope.modes() else { return None };
        let ((i, j), (k, l)) = (places[*a], places[*b]);
        if !((i == k && near(j, l, columns)) || (j == l && near(i, k, rows))) {
            return None;
        }
        let same = table.values[0];
        let other = table.values[1];
        for (flat, value) in table.values.iter().enumerate() {
            let expected = if flat / levels == flat % levels { same } else { other };
            if *value != expected {
                return None;
            }
        }
        if other <= same || coupling.is_some_and(|c| c != other - same) {
            return None;
        }
        coupling = Some(other - same);
        pairs += 1;
    }
    (pairs >= rows * (columns - 1) + columns * (rows - 1)).then_some(())?;
    coupling.map(|c| (levels, c))
}
