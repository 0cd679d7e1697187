//! How far numbers are from those that are wanted. What is not a number is infinitely far.

/// The largest of some numbers that are not negative, 0 for none; ∞ when one of them is not a number.
pub fn worst(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, |most, x| if x.is_nan() { f64::INFINITY } else { f64::max(most, x) })
}

/// The largest difference, relative to the largest that is wanted; 0 where nothing is wanted and nothing found.
pub fn relative_gap(found: &[f64], wanted: &[f64]) -> f64 {
    let off = worst(found.iter().zip(wanted).map(|(f, w)| (f - w).abs()));
    let most = worst(wanted.iter().copied());
    if off == 0.0 { 0.0 } else { off / most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_infinitely_far() {
        assert_eq!(relative_gap(&[1.0, 3.0], &[2.0, 4.0]), 0.25);
        assert_eq!(relative_gap(&[0.0], &[0.0]), 0.0);
        assert_eq!(relative_gap(&[1.0], &[0.0]), f64::INFINITY);
        assert_eq!(relative_gap(&[f64::NAN, 4.0], &[2.0, 4.0]), f64::INFINITY);
        assert_eq!(worst([]), 0.0);
        assert_eq!(worst([1.0, f64::NAN, 2.0]), f64::INFINITY);
    }
}
