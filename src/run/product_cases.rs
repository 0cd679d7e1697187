//! Sums of products of factors, cell by cell from their definition, which the arithmetics of products are tried
//! against.

use crate::model::Scope;
use crate::model::table::strides;
use crate::plan::schedule::{Buffer, BufferId, Filter, Product, Role, Shape};

/// Factors with some values and directions, and what they sum to.
pub(super) struct Case {
    /// The result, then the factors.
    pub buffers: Vec<Buffer>,
    pub own: Vec<Vec<f64>>,
    pub directions: Vec<Vec<f64>>,
    /// The sums, and how much each changes.
    pub want: Vec<f64>,
    pub change: Vec<f64>,
}

impl Case {
    /// The sum of `factors` to `onto` over the cells that are seen.
    pub fn new(sizes: &[usize], onto: &[usize], factors: &[&[usize]], seen: impl Fn(usize) -> bool) -> Self {
        let mut buffers = vec![buffer(onto, sizes)];
        buffers.extend(factors.iter().map(|f| buffer(f, sizes)));
        let value = |k: usize, i: usize| 0.25 + ((i * 37 + k * 11) % 64) as f64 / 64.0;
        let table = |k: usize| (0..buffers[k].cells as usize).map(|i| value(k, i)).collect::<Vec<f64>>();
        let own: Vec<Vec<f64>> = (1..buffers.len()).map(table).collect();
        let turned = |t: &Vec<f64>| t.iter().map(|v| (8.0 * v).sin()).collect();
        let directions: Vec<Vec<f64>> = own.iter().map(turned).collect();
        let kept = buffers[0].cells as usize;
        let (mut want, mut change) = (vec![0.0; kept], vec![0.0; kept]);
        for cell in (0..sizes.iter().product::<usize>()).filter(|k| seen(*k)) {
            let mut rest = cell;
            let mut levels = vec![0; sizes.len()];
            for (level, n) in levels.iter_mut().zip(sizes).rev() {
                *level = rest % n;
                rest /= n;
            }
            let of = |tables: &[Vec<f64>], k: usize| tables[k][at(&buffers[k + 1], &levels)];
            let product: f64 = (0..own.len()).map(|k| of(&own, k)).product();
            let place = at(&buffers[0], &levels);
            want[place] += product;
            change[place] += product * (0..own.len()).map(|k| of(&directions, k)).sum::<f64>();
        }
        Self { buffers, own, directions, want, change }
    }

    /// The product that is to be summed, in this shape.
    pub fn product(&self, shape: Shape, filter: Option<Filter>) -> Product {
        let factors = (1..self.buffers.len()).map(BufferId).collect();
        Product { onto: BufferId(0), factors, shape, filter }
    }

    /// The modes of the result and of the factors.
    pub fn scopes(&self) -> (&Scope, Vec<Scope>) {
        (&self.buffers[0].scope, self.buffers.iter().skip(1).map(|b| b.scope.clone()).collect())
    }
}

/// Tables as they are handed over.
pub(super) fn slices(tables: &[Vec<f64>]) -> Vec<&[f64]> {
    tables.iter().map(Vec::as_slice).collect()
}

fn buffer(scope: &[usize], sizes: &[usize]) -> Buffer {
    let shape: Vec<usize> = scope.iter().map(|m| sizes[*m]).collect();
    let cells = shape.iter().product::<usize>() as f64;
    Buffer { role: Role::View, scope: scope.iter().copied().collect(), shape, cells }
}

/// The cell of a table where the cell with these levels falls.
fn at(buffer: &Buffer, levels: &[usize]) -> usize {
    let steps = strides(&buffer.shape);
    buffer.scope.iter().zip(steps).map(|(m, s)| levels[m] * s).sum()
}
