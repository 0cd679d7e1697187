//! Conjugate gradients for the Newton equations G d = r, preconditioned by a diagonal or what is nearer to G (Hestenes
//! and Stiefel 1952, doi:10.6028/jres.049.044), which know what the part that they leave unsolved is still worth.
//!
//! What is left of r is worth no more than its size over the smallest eigenvalue of the preconditioned G. That is taken
//! from the Lanczos matrix which the coefficients are (Golub and Van Loan, §11.3) and from what led to r: a loop that has
//! come to its end has met the directions in which it was slowest, and those in which G is all but flat, on
//! the way to a boundary, are the slowest there are. There is room for an eigenvalue a hundred times smaller.

use super::sum::dot;

/// What is left of the equations is not worth solving below so many times the resolution of doubles.
const WORTHLESS: f64 = 4.0;

/// Spread of potentials from which eigenvalues may be too small to be guessed: near a boundary, where cells that
/// are all but impossible make some directions all but flat.
const STEEP: f64 = 16.0;

/// dᵀGd that is worth nothing beside this resolution, for potentials of this spread: 0, so that all is solved, where
/// nothing is known of the smallest eigenvalue.
pub(super) fn worthless(resolution: f64, spread: f64) -> f64 {
    if spread <= STEEP { WORTHLESS * resolution } else { 0.0 }
}

/// How many times smaller than what was met the smallest eigenvalue may be.
const ROOM: f64 = 100.0;

/// About the smallest eigenvalue λ of the preconditioned G that sweeps over blocks meet, of which the last two ended at
/// these gaps: of an error in that direction they leave 1 − 2λ, as Gauss and Seidel's method does. 0 where they do not
/// tell.
pub(super) fn slowest(before: f64, gap: f64) -> f64 {
    let left = gap / before;
    if before.is_finite() && left < 1.0 { 0.5 * (1.0 - left) } else { 0.0 }
}

/// What G is preconditioned by: M⁻¹, symmetric and not negative, for an M that is about G.
pub(super) trait Inverse {
    /// M⁻¹ r, and after it whatever else of the same r is to be summed up beside d.
    fn apply(&self, r: &[f64]) -> Vec<f64>;

    /// rᵀ M⁻¹ r, where `image` is M⁻¹ r.
    fn size(&self, r: &[f64], image: &[f64]) -> f64 {
        r.iter().zip(image).map(|(r, i)| r * i).sum()
    }

    /// dᵀGd over dᵀMd of a direction in which G is taken to be singular: what is left there is rounding, and a step along
    /// it would only spread it.
    fn singular(&self) -> f64 {
        0.0
    }

    /// The square of the size of a residual, of M-norm `size`, that is compared with that of rounding.
    fn beside_rounding(&self, _r: &[f64], size: f64) -> f64 {
        size
    }
}

/// The inverse of a diagonal.
impl<D: AsRef<[f64]> + ?Sized> Inverse for D {
    fn apply(&self, r: &[f64]) -> Vec<f64> {
        r.iter().zip(self.as_ref()).map(|(r, i)| r * i).collect()
    }

    fn size(&self, r: &[f64], _: &[f64]) -> f64 {
        r.iter().zip(self.as_ref()).map(|(r, i)| r * r * i).sum()
    }
}

/// What is to be solved, and how far.
pub(super) struct Equations<'a, M: ?Sized = [f64]> {
    /// r.
    pub right: &'a [f64],
    /// What G is preconditioned by: the inverse of its diagonal, about, or what is nearer to that of G.
    pub inverse: &'a M,
    /// Size of the residual, relative to that of r, at which they count as solved.
    pub accuracy: f64,
    /// Square of the size below which a residual is rounding, as [`Inverse::beside_rounding`] measures it.
    pub floor: f64,
    /// dᵀGd that is worth nothing; 0 where all of it is wanted.
    pub worthless: f64,
    /// About the smallest eigenvalue of the preconditioned G that was met before; 0 where nothing is known, and all of it is
    /// wanted.
    pub met: f64,
    /// Most steps.
    pub most: usize,
}

/// What was found.
pub(super) struct Solution {
    /// d, and what was summed up beside it.
    pub d: Vec<f64>,
    /// r − G d.
    pub left: Vec<f64>,
    /// dᵀGd.
    pub decrement: f64,
    /// The second result of `apply`, at d.
    pub mean: f64,
    /// What is left unsolved may be worth so much, when that is why it was left.
    pub worth: Option<f64>,
    /// Applications of G.
    pub steps: usize,
    /// About the smallest eigenvalue of the preconditioned G that they have met.
    pub smallest: f64,
}

impl<M: ?Sized> Clone for Equations<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: ?Sized> Copy for Equations<'_, M> {}

impl<M: Inverse + ?Sized> Equations<'_, M> {
    /// rᵀ M⁻¹ r.
    pub fn size(&self, r: &[f64]) -> f64 {
        self.inverse.size(r, &self.inverse.apply(r))
    }

    /// Solves them. `apply` gives G v and another linear function of v.
    pub fn solve(&self, mut apply: impl FnMut(&[f64]) -> (Vec<f64>, f64)) -> Solution {
        self.solve_until(|v| Some(apply(v)))
    }

    /// The same, until `apply` gives nothing any more: what has been found until then is a step in the right direction.
    pub fn solve_until(&self, mut apply: impl FnMut(&[f64]) -> Option<(Vec<f64>, f64)>) -> Solution {
        let mut direction = self.inverse.apply(self.right);
        let start = self.inverse.size(self.right, &direction);
        let mut found = Solution {
            d: vec![0.0; direction.len()],
            left: self.right.to_vec(),
            decrement: 0.0,
            mean: 0.0,
            worth: None,
            steps: 0,
            smallest: 0.0,
        };
        // dᵀMd of the direction: residuals are orthogonal to those before
        let (mut now, mut length) = (start, start);
        let (mut diagonal, mut beside) = (Vec::new(), Vec::new());
        let (mut last_step, mut last_keep) = (0.0f64, 0.0f64);
        let mut above = self.inverse.beside_rounding(self.right, start);
        while now > self.accuracy * self.accuracy * start && above > self.floor && found.steps < self.most {
            let Some((image, mean)) = apply(&direction) else { break };
            found.steps += 1;
            let curvature = dot(&direction, &image);
            if curvature <= self.inverse.singular() * length || !curvature.is_finite() {
                break;
            }
            let step = now / curvature;
            found.d.iter_mut().zip(&direction).for_each(|(s, d)| *s += step * d);
            found.left.iter_mut().zip(&image).for_each(|(r, i)| *r -= step * i);
            found.decrement += step * now;
            found.mean += step * mean;
            let conditioned = self.inverse.apply(&found.left);
            let next = self.inverse.size(&found.left, &conditioned);
            let keep = next / now;
            length = next + keep * keep * length;
            direction.iter_mut().zip(&conditioned).for_each(|(d, c)| *d = c + keep * *d);
            diagonal.push(1.0 / step + if found.steps > 1 { last_keep / last_step } else { 0.0 });
            beside.push(keep.sqrt() / step);
            (last_step, last_keep) = (step, keep);
            now = next;
            above = self.inverse.beside_rounding(&found.left, now);
            if ROOM * now <= self.worthless * self.met {
                let worth = ROOM * now / self.met.min(smallest_eigenvalue(&diagonal, &beside));
                if worth <= self.worthless {
                    found.worth = Some(worth);
                    break;
                }
            }
        }
        if found.steps > 0 {
            found.smallest = smallest_eigenvalue(&diagonal, &beside);
        }
        found
    }
}

/// The smallest eigenvalue of a symmetric tridiagonal matrix, by bisection on the number of negative
/// pivots (Sturm), from below. O(rows) for each of 60 halvings.
fn smallest_eigenvalue(diagonal: &[f64], beside: &[f64]) -> f64 {
    let below = |x: f64| {
        let mut pivot = 1.0f64;
        diagonal.iter().enumerate().any(|(i, d)| {
            let off = if i == 0 { 0.0 } else { beside[i - 1] };
            pivot = d - x - off * off / pivot;
            pivot <= 0.0
        })
    };
    let (mut low, mut high) = (0.0, diagonal.iter().copied().fold(f64::INFINITY, f64::min));
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if below(middle) { high = middle } else { low = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The matrix of a chain of springs on the ground, and its diagonal.
    fn springs(v: &[f64], ground: f64) -> Vec<f64> {
        let at = |i: usize| v.get(i).copied().unwrap_or(0.0);
        (0..v.len())
            .map(|i| (2.0 + ground) * v[i] - at(i + 1) - if i > 0 { at(i - 1) } else { 0.0 })
            .collect()
    }

    fn equations<'a>(right: &'a [f64], inverse: &'a [f64]) -> Equations<'a> {
        Equations { right, inverse, accuracy: 1e-12, floor: 0.0, worthless: 0.0, met: 0.0, most: 1000 }
    }

    #[test]
    fn what_is_left_is_worth_no_more_than_is_said() {
        let mixed: Vec<f64> = (0..200).map(|i| f64::from(i * i % 17) - 8.0).collect();
        // nearly all of it is solved in some steps, and what takes longest does not show before
        let mut given_up = 0;
        let hidden: Vec<f64> = (0..200).map(|i| f64::from(1 - 2 * (i % 2)) + 1e-4).collect();
        for (ground, right) in
            [1.0, 0.1, 0.01, 1e-3, 1e-5].into_iter().flat_map(|g| [(g, &mixed), (g, &hidden)])
        {
            let inverse = vec![1.0 / (2.0 + ground); right.len()];
            let equations = equations(right, &inverse);
            let apply = |v: &[f64]| (springs(v, ground), v[0]);
            let whole = equations.solve(apply);
            // what was met before may have been somewhat larger than the smallest eigenvalue
            let bend = std::f64::consts::PI / (right.len() + 1) as f64;
            let met = 30.0 * (ground + 2.0 - 2.0 * bend.cos()) / (2.0 + ground);
            for worthless in [10.0, 1.0, 1e-1, 1e-4, 1e-8] {
                let part = Equations { worthless, met, ..equations }.solve(apply);
                assert!(part.steps <= whole.steps);
                let Some(worth) = part.worth else { continue };
                given_up += 1;
                assert!(worth <= worthless);
                let rest: Vec<f64> = whole.d.iter().zip(&part.d).map(|(w, p)| w - p).collect();
                assert!(dot(&rest, &springs(&rest, ground)) <= worth, "{worthless:e} of {ground}");
            }
        }
        assert!(given_up > 40, "{given_up}");
    }

    #[test]
    fn what_was_not_met_is_solved() {
        // a direction that is all but flat, of which r has as much as of any other
        let flat =
            |v: &[f64]| v.iter().enumerate().map(|(i, x)| if i == 0 { 1e-10 * x } else { *x }).collect();
        let (right, inverse) = (vec![1e-10; 50], vec![1.0; 50]);
        let equations = Equations { worthless: 1e-15, ..equations(&right, &inverse) };
        for met in [0.0, 1e-10] {
            let found = Equations { met, ..equations }.solve(|v| (flat(v), 0.0));
            assert!((found.d[0] - 1.0).abs() < 1e-6 && found.worth.is_none_or(|w| w <= 1e-15), "{met:e}");
            assert!((found.smallest / 1e-10 - 1.0).abs() < 1e-3, "{:e}", found.smallest);
        }
    }

    #[test]
    fn without_a_worth_the_equations_are_solved() {
        let right: Vec<f64> = (0..200).map(|i| f64::from(i * i % 17) - 8.0).collect();
        for ground in [1.0, 0.1, 0.01] {
            let inverse = vec![1.0 / (2.0 + ground); right.len()];
            let equations = equations(&right, &inverse);
            let whole = equations.solve(|v| (springs(v, ground), v[0]));
            assert!(equations.size(&whole.left).sqrt() <= 1e-12 * equations.size(&right).sqrt());
            assert!((whole.mean - whole.d[0]).abs() <= 1e-12 && whole.worth.is_none());
            assert!((whole.decrement - dot(&right, &whole.d)).abs() <= 1e-9 * whole.decrement);
        }
    }
}
