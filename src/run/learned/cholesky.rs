//! A covariance factored with pivots, so that what is linearly dependent is found and named.

/// G = L Lᵀ on the rows that are independent, in the order of the pivots. O(n³/3).
pub struct Factor {
    /// The rows that are independent, in the order they were taken.
    pub order: Vec<usize>,
    /// The others.
    pub dropped: Vec<usize>,
    /// Row i of the lower triangle, for the rows of `order`.
    lower: Vec<Vec<f64>>,
}

impl Factor {
    /// Factors the rows and columns `among` of a symmetric, positive semidefinite `n × n` matrix. At each step
    /// the row of which the largest part is still unexplained goes next; where that part is less than
    /// `tolerance`, it counts as explained. A row whose diagonal is at most its entry of `floor` is nothing.
    pub fn new(matrix: &[f64], n: usize, among: &[usize], floor: &[f64], tolerance: f64) -> Self {
        let diagonal = |i: usize| matrix[i * n + i];
        let something = |i: &usize| diagonal(*i) > floor[*i];
        let (mut open, mut dropped): (Vec<usize>, Vec<usize>) = among.iter().partition(|i| something(i));
        let mut left: Vec<f64> = (0..n).map(diagonal).collect();
        // the rows of L of what is still open grow by one entry a step
        let mut rows: Vec<Vec<f64>> = vec![Vec::new(); n];
        let mut order = Vec::new();
        loop {
            let part = |i: &usize| left[*i] / diagonal(*i);
            let best =
                open.iter().enumerate().max_by(|(a, x), (b, y)| part(x).total_cmp(&part(y)).then(b.cmp(a)));
            let Some((place, pivot)) = best.map(|(k, i)| (k, *i)) else { break };
            if part(&pivot) <= tolerance {
                break;
            }
            open.remove(place);
            let root = left[pivot].sqrt();
            let own = std::mem::take(&mut rows[pivot]);
            for i in &open {
                let row = &mut rows[*i];
                let known: f64 = row.iter().zip(&own).map(|(a, b)| a * b).sum();
                let entry = (matrix[i * n + pivot] - known) / root;
                row.push(entry);
                left[*i] -= entry * entry;
            }
            rows[pivot] = own;
            rows[pivot].push(root);
            order.push(pivot);
        }
        dropped.extend(open);
        dropped.sort_unstable();
        let lower = order.iter().map(|i| std::mem::take(&mut rows[*i])).collect();
        Self { order, dropped, lower }
    }

    /// x with G x = b on the independent rows, and 0 elsewhere.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut y: Vec<f64> = self.order.iter().map(|i| b[*i]).collect();
        self.forward(&mut y);
        for k in (0..y.len()).rev() {
            let Some((pivot, row)) = self.lower[k].split_last() else { continue };
            y[k] /= pivot;
            let now = y[k];
            y.iter_mut().zip(row).for_each(|(y, l)| *y -= l * now);
        }
        let mut x = vec![0.0; b.len()];
        self.order.iter().zip(y).for_each(|(i, y)| x[*i] = y);
        x
    }

    /// y with L y = b, in the order of the pivots.
    fn forward(&self, y: &mut [f64]) {
        for k in 0..y.len() {
            let Some((pivot, row)) = self.lower[k].split_last() else { continue };
            let known: f64 = row.iter().zip(y.iter()).map(|(a, b)| a * b).sum();
            y[k] = (y[k] - known) / pivot;
        }
    }

    /// The diagonal of G⁻¹ on the independent rows, and infinity elsewhere. O(n³/3).
    pub fn inverse_diagonal(&self, n: usize) -> Vec<f64> {
        let mut out = vec![f64::INFINITY; n];
        let size = self.order.len();
        // (G⁻¹)_kk = Σ_j (L⁻¹)_jk², column k of L⁻¹ by forward substitution
        for (k, i) in self.order.iter().enumerate() {
            let mut column = vec![0.0; size];
            column[k] = 1.0;
            let mut sum = 0.0;
            for j in k..size {
                let Some((pivot, row)) = self.lower[j].split_last() else { continue };
                let known: f64 = row[k..].iter().zip(&column[k..j]).map(|(a, b)| a * b).sum();
                column[j] = (column[j] - known) / pivot;
                sum += column[j] * column[j];
            }
            out[*i] = sum;
        }
        out
    }

    /// For each dropped row, the rows that are linearly dependent with it, itself among them.
    pub fn dependencies(&self, matrix: &[f64], n: usize) -> Vec<Vec<usize>> {
        let with = |row: &usize| {
            let mut set = self.explained(matrix, n, *row);
            set.push(*row);
            set.sort_unstable();
            set
        };
        self.dropped.iter().map(with).collect()
    }

    /// How a dropped row is made of independent ones: Σ c_i row_i, with the c that are not negligible.
    pub fn explained(&self, matrix: &[f64], n: usize, row: usize) -> Vec<usize> {
        let right: Vec<f64> = (0..n).map(|i| matrix[i * n + row]).collect();
        let c = self.solve(&right);
        let size = |i: usize| c[i].abs() * matrix[i * n + i].sqrt();
        let largest = (0..n).map(size).fold(0.0, f64::max);
        (0..n).filter(|i| size(*i) > 1e-6 * largest && c[*i] != 0.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependent_row_is_found_and_explained() {
        // rows 0, 1 and 3 are independent, row 2 is row 0 minus twice row 1
        let basis = [[1.0, 0.5, 0.0], [0.0, 1.0, 0.2], [1.0, -1.5, -0.4], [0.3, 0.0, 2.0]];
        let n = basis.len();
        let mut gram = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                gram[i * n + j] = basis[i].iter().zip(&basis[j]).map(|(a, b)| a * b).sum();
            }
        }
        let all: Vec<usize> = (0..n).collect();
        let factor = Factor::new(&gram, n, &all, &[0.0; 4], 1e-10);
        assert_eq!(factor.order.len(), 3);
        let dropped = factor.dropped[0];
        let mut involved = factor.explained(&gram, n, dropped);
        involved.push(dropped);
        involved.sort_unstable();
        assert_eq!(involved, [0, 1, 2]);
        let b: Vec<f64> = (0..n).map(|i| gram[i * n] + 3.0 * gram[i * n + 3]).collect();
        let x = factor.solve(&b);
        for i in 0..n {
            let image: f64 = (0..n).map(|j| gram[i * n + j] * x[j]).sum();
            assert!((image - b[i]).abs() < 1e-12);
        }
        let inverse = factor.inverse_diagonal(n);
        for i in &factor.order {
            let mut unit = vec![0.0; n];
            unit[*i] = 1.0;
            assert!((factor.solve(&unit)[*i] - inverse[*i]).abs() < 1e-12);
        }
    }
}
