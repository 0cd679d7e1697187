//! Results of fits with unknown cells: what the model makes of them, and how well it does on hidden ones.

use std::sync::Arc;

use super::FitResult;
use crate::model::Mode;
use crate::numeric::sum::Compensated;
use crate::report::value::{Array, Rows, Value};
use crate::run::masked::Knowledge;

/// Cells that took no part in a fit, to measure it by.
#[derive(Debug, Clone)]
pub struct HeldOut {
    /// Their places, row-major.
    pub places: Arc<[usize]>,
    /// Their values, in the same order.
    pub values: Arc<[f64]>,
}

/// Results that need every possible cell, and are not defined when some are not determined.
pub const WHOLE: &[&str] = &[
    "entropy",
    "energy",
    "log_z",
    "free_energy",
    "theta",
    "eta",
    "marginal",
    "conditional",
    "probability",
    "mutual_information",
    "sample",
];

/// Why a result that needs every cell is not defined.
pub fn gaps(result: &FitResult) -> Option<String> {
    let domain = result.fit.domain.as_ref().filter(|d| d.gaps())?;
    let count = domain.count(Knowledge::Undetermined);
    Some(format!("the observed cells do not determine all others: {count} are open"))
}

/// What is known of each cell; none when all are observed.
pub fn knowledge(result: &FitResult) -> Option<Vec<Knowledge>> {
    result.fit.domain.as_ref().and_then(|d| d.cells())
}

/// The data, with what the model says in the place of unknown values; nan where nothing does.
pub fn completed(result: &FitResult) -> Value {
    let (modes, fitted) = match super::tensors::fitted(result) {
        Value::Array(array) => (array.modes, array.values),
        other => return other,
    };
    let sizes: Vec<usize> = modes.iter().map(Mode::size).collect();
    let mut values = vec![0.0; fitted.len()];
    result.tensor.each_cell(|cell, x| {
        values[cell.iter().zip(&sizes).fold(0, |k, (i, n)| k * n + i)] = x;
    });
    if let Some(known) = knowledge(result) {
        for ((x, m), known) in values.iter_mut().zip(fitted.iter()).zip(known) {
            if known != Knowledge::Observed {
                *x = *m;
            }
        }
    }
    // held-out cells are known after all
    if let Some(held) = &result.held_out {
        held.places.iter().zip(held.values.iter()).for_each(|(k, x)| values[*k] = *x);
    }
    Value::Array(Array { modes, values: values.into() })
}

/// Combinations of levels of the masked modes that the observed cells do not determine.
pub fn undetermined(result: &FitResult) -> Value {
    let Some(domain) = &result.fit.domain else {
        return Value::Table(Rows::default());
    };
    let modes = &result.fit.model.modes;
    let columns = domain.modes.iter().map(|m| modes[m].name.clone()).collect();
    let (count, places) = domain.undetermined(super::thermodynamics::MAX_ROWS);
    let row = |place: &Vec<usize>| -> Vec<Value> {
        let levels = domain.modes.iter().zip(place);
        levels.map(|(m, level)| Value::Text(modes[m].label(*level).into_owned())).collect()
    };
    let mut rows = Rows { columns, rows: places.iter().map(row).collect(), notes: Vec::new() };
    if count > places.len() {
        rows.notes.push(format!("{} more", count - places.len()));
    }
    rows.notes.extend(domain.unsettled.iter().map(|why| format!("not settled: {why}")));
    Value::Table(rows)
}

/// Calls `visit` with the place, the value and the fitted value of every held-out cell that can occur; the fitted
/// value is nan where the others do not determine it.
///
/// # Errors
/// Null, with the reason, when there are none or too many cells.
pub fn each_hidden(result: &FitResult, mut visit: impl FnMut(usize, f64, f64)) -> Result<(), Value> {
    let Some(held) = &result.held_out else {
        let why = "nothing was held out: write `{ hold_out 10% seed 1 }` after the fit";
        return Err(Value::Null(why.into()));
    };
    let Value::Array(fitted) = super::tensors::fitted(result) else {
        return Err(Value::Null("the cells are more than the memory budget holds".into()));
    };
    let known = knowledge(result).unwrap_or_default();
    let held = held.places.iter().zip(held.values.iter());
    for (k, x) in held.filter(|(k, _)| known.get(**k) != Some(&Knowledge::Impossible)) {
        visit(*k, *x, fitted.values[*k]);
    }
    Ok(())
}

/// The parts of what [`held_out`] returns.
pub const HELD_OUT: [&str; 7] = ["cells", "unidentified", "rmse", "mape", "mae", "kl", "levels"];

/// Errors on the cells that were held out: those that the others determine.
pub fn held_out(result: &FitResult) -> Value {
    let modes = &result.fit.model.modes;
    let sizes: Vec<usize> = modes.iter().map(Mode::size).collect();
    let mut all = Errors::default();
    let mut levels: Vec<Vec<Errors>> = sizes.iter().map(|n| vec![Errors::default(); *n]).collect();
    let told = each_hidden(result, |k, x, m| {
        all.add(x, m);
        let mut rest = k;
        for (errors, n) in levels.iter_mut().zip(&sizes).rev() {
            errors[rest % n].add(x, m);
            rest /= n;
        }
    });
    if let Err(null) = told {
        return null;
    }
    let parts = Errors::default().record().into_iter().map(|(name, _)| name);
    let columns = ["mode", "level"].map(String::from).into_iter().chain(parts).collect();
    let mut rows = Rows { columns, ..Rows::default() };
    for (mode, errors) in modes.iter().zip(&levels) {
        for (level, errors) in errors.iter().enumerate().filter(|(_, e)| e.cells() > 0) {
            let whose = [mode.name.clone(), mode.label(level).into_owned()].map(Value::Text);
            rows.rows.push(whose.into_iter().chain(errors.record().into_iter().map(|(_, v)| v)).collect());
        }
    }
    let mut parts = all.record();
    parts.push(("levels".into(), Value::Table(rows)));
    Value::Record(parts)
}

/// Errors over some cells.
#[derive(Clone, Default)]
pub struct Errors {
    cells: usize,
    positive: usize,
    unidentified: usize,
    squares: Compensated,
    absolute: Compensated,
    relative: Compensated,
    divergence: Compensated,
    mass: Compensated,
}

impl Errors {
    /// One more cell: its value, and what the model says.
    pub fn add(&mut self, x: f64, m: f64) {
        if m.is_nan() {
            self.unidentified += 1;
            return;
        }
        self.cells += 1;
        let error = (x - m).abs();
        self.squares.add(error * error);
        self.absolute.add(error);
        self.divergence.add(m - x);
        self.mass.add(x);
        if x > 0.0 {
            self.positive += 1;
            self.relative.add(error / x);
            self.divergence.add(x * (x / m).ln());
        }
    }

    /// How many cells there were.
    pub fn cells(&self) -> usize {
        self.cells + self.unidentified
    }

    /// What is shown of them.
    pub fn record(&self) -> Vec<(String, Value)> {
        vec![
            ("cells".into(), Value::Count(self.cells().into())),
            ("unidentified".into(), Value::Count(self.unidentified.into())),
            ("rmse".into(), self.rmse()),
            ("mape".into(), self.mape()),
            ("mae".into(), self.mae()),
            ("kl".into(), self.kl()),
        ]
    }

    fn mean(sum: &Compensated, n: usize, what: &str) -> Value {
        if n == 0 {
            Value::Null(format!("no {what} was held out"))
        } else {
            Value::Number(sum.value() / n as f64)
        }
    }

    /// The root of the mean squared error.
    pub fn rmse(&self) -> Value {
        match Self::mean(&self.squares, self.cells, "cell that is determined") {
            Value::Number(x) => Value::Number(x.max(0.0).sqrt()),
            other => other,
        }
    }

    /// The mean absolute error.
    pub fn mae(&self) -> Value {
        Self::mean(&self.absolute, self.cells, "cell that is determined")
    }

    /// The mean relative error over positive cells.
    pub fn mape(&self) -> Value {
        Self::mean(&self.relative, self.positive, "positive cell that is determined")
    }

    /// Σ x ln(x/m) − x + m over the hidden cells, per unit of their mass.
    pub fn kl(&self) -> Value {
        let mass = self.mass.value();
        if mass > 0.0 {
            Value::Number(self.divergence.value() / mass)
        } else if self.cells == 0 {
            Value::Null("no cell that is determined was held out".into())
        } else {
            Value::Null("the hidden cells have no mass".into())
        }
    }
}
