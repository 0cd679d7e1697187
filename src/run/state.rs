//! The state of a run between two sweeps, as named arrays that can be kept and put back.

use indexmap::IndexMap;

/// Everything that the next sweep reads, by name. What a solver keeps from sweep to sweep goes in under
/// its own prefix; numbers of any kind are doubles, whole ones up to 2⁵³.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    arrays: IndexMap<String, Vec<f64>>,
}

/// A state that does not belong to what it is put into: what is missing or does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit(pub String);

/// Something whose state can be kept between two sweeps and put back, so that going on gives the same
/// bits as never having stopped.
pub trait Resumable {
    /// Adds all that the next sweep reads. O(size of the state).
    fn save(&self, state: &mut State);

    /// Takes it out again.
    ///
    /// # Errors
    /// When something is missing or of another size.
    fn restore(&mut self, state: &mut State) -> Result<(), Misfit>;
}

impl State {
    /// The arrays by name, in the order they were put in.
    pub fn arrays(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.arrays.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// Puts an array in.
    pub fn put(&mut self, name: impl Into<String>, values: Vec<f64>) {
        self.arrays.insert(name.into(), values);
    }

    /// Takes an array out.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn take(&mut self, name: &str) -> Result<Vec<f64>, Misfit> {
        self.arrays.swap_remove(name).ok_or_else(|| Misfit(format!("`{name}` is missing")))
    }

    /// Takes an array of so many numbers out.
    ///
    /// # Errors
    /// When there is none of this name and length.
    pub fn take_exactly(&mut self, name: &str, length: usize) -> Result<Vec<f64>, Misfit> {
        let values = self.take(name)?;
        if values.len() == length {
            return Ok(values);
        }
        Err(Misfit(format!("`{name}` has {} numbers and not {length}", values.len())))
    }

    /// Takes out every array whose name begins so, with the rest of the name.
    pub fn take_all(&mut self, prefix: &str) -> Vec<(String, Vec<f64>)> {
        let names: Vec<String> = self.arrays.keys().filter(|n| n.starts_with(prefix)).cloned().collect();
        let found = names.into_iter().filter_map(|name| Some((self.arrays.swap_remove(&name)?, name)));
        found.map(|(values, name)| (name[prefix.len()..].to_string(), values)).collect()
    }
}

/// A whole number that was kept as a double.
///
/// # Errors
/// When it is none.
pub fn whole(x: f64) -> Result<usize, Misfit> {
    if x >= 0.0 && x == x.trunc() && x < 9_007_199_254_740_992.0 {
        return Ok(x as usize);
    }
    Err(Misfit(format!("{x} is not a number of things")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_once() {
        let mut state = State::default();
        state.put("a.x", vec![f64::NEG_INFINITY, -0.0]);
        state.put("a.y", vec![]);
        state.put("b", vec![1.0]);
        assert!(state.take_exactly("b", 2).is_err());
        let all = state.take_all("a.");
        assert_eq!(all.iter().map(|(n, v)| (n.as_str(), v.len())).collect::<Vec<_>>(), [("x", 2), ("y", 0)]);
        assert!(state.take("a.x").is_err());
        assert!(
            whole(-1.0).is_err() && whole(0.5).is_err() && whole(f64::NAN).is_err() && whole(3.0) == Ok(3)
        );
    }
}
