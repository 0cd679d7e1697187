//! A model along a range of temperatures or of values of a param.

use super::ensemble::OBSERVABLES;
use crate::report::value::{Rows, Value};
use crate::run::Ensemble;
use crate::text::{Code, Diagnostic};

/// A named sweep.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// What is varied: `temperature`, or a param.
    pub over: String,
    /// Its values.
    pub points: Vec<f64>,
    /// One ensemble at all temperatures, or one for each value of the param.
    pub ensembles: Vec<Ensemble>,
    /// The name of the model.
    pub model: String,
    /// Whether the model is a fit, which gives the ensemble once it has been made.
    pub fitted: bool,
    /// Why there is no ensemble although the fit has been made.
    pub refused: Option<Box<Diagnostic>>,
    /// Where something exactly known happens along the sweep: its place and what it is.
    pub marks: Vec<(f64, String)>,
}

impl Curve {
    /// One ensemble for each point.
    pub fn each(&self) -> Vec<Ensemble> {
        match self.ensembles.as_slice() {
            [one] if one.temperatures.len() == self.points.len() => {
                self.points.iter().map(|t| one.at(vec![*t])).collect()
            }
            several => several.to_vec(),
        }
    }

    /// An observable at every point; none when there is no observable of this name.
    pub fn observable(&self, name: &str) -> Option<Result<Vec<Value>, Diagnostic>> {
        let observable = OBSERVABLES.iter().find(|o| o.name == name)?;
        if let Some(refused) = &self.refused {
            return Some(Err((**refused).clone()));
        }
        if self.fitted && self.ensembles.is_empty() {
            let message = format!("`{}` has not been fitted", self.model);
            let report =
                Diagnostic::new(Code::MBA351, message).help("run the fit before its sweep is looked at");
            return Some(Err(report));
        }
        let mut values = Vec::new();
        for ensemble in &self.ensembles {
            match (observable.read)(ensemble) {
                Ok(list) => values.extend(list),
                Err(diagnostic) => return Some(Err(*diagnostic)),
            }
        }
        Some(Ok(values))
    }

    /// A table of what was varied and of one thing at each point.
    pub fn column(&self, name: &str, values: Vec<Value>) -> Value {
        Value::Table(Rows {
            columns: vec![self.over.clone(), name.to_string()],
            rows: self.points.iter().zip(values).map(|(x, v)| vec![Value::Number(*x), v]).collect(),
            notes: Vec::new(),
        })
    }

    /// What `show curve` shows: the thermodynamics at every point. The total, which is dearer, is asked for
    /// by name.
    ///
    /// # Errors
    /// Those of the sums.
    pub fn table(&self) -> Result<Value, Diagnostic> {
        let mut columns = vec![self.over.clone()];
        let mut rows: Vec<Vec<Value>> = self.points.iter().map(|x| vec![Value::Number(*x)]).collect();
        // one pass finds all of these
        for ensemble in &self.ensembles {
            ensemble.energy().map_err(|d| *d)?;
        }
        for observable in OBSERVABLES.iter().take(5) {
            columns.push(observable.name.to_string());
            let values = self.observable(observable.name).unwrap_or_else(|| Ok(Vec::new()))?;
            rows.iter_mut().zip(values).for_each(|(row, value)| row.push(value));
        }
        Ok(Value::Table(Rows { columns, rows, notes: Vec::new() }))
    }
}
