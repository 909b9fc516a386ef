//! The arithmetic of vectors.

use crate::model::RopePairs;

/// Sum of products: in f32 over 64 elements, eight sums side by side, and in f64 beyond.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (a, b) in a.chunks(64).zip(b.chunks(64)) {
        let mut lanes = [0.0f32; 8];
        for (a, b) in a.chunks(8).zip(b.chunks(8)) {
            for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
                *lane += a * b;
            }
        }
        sum += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
    }
    sum as f32
}

/// Rows of a matrix that are multiplied side by side.
pub(super) const LANES: usize = 32;
/// So many products are summed in f32, and their sums in f64. With 64 some keys and values of the cache
/// round the other way.
const RUN: usize = 8;

/// The products of some rows, given column by column, with each of the vectors that `x` holds.
pub(super) fn side_by_side(weights: &[[f32; LANES]], x: &[f32]) -> Vec<[f64; LANES]> {
    let columns = weights.len();
    let mut sums = vec![[0.0; LANES]; x.len() / columns];
    for (i, weights) in weights.chunks(RUN).enumerate() {
        for (sums, x) in sums.iter_mut().zip(x.chunks_exact(columns)) {
            let mut run = [0.0; LANES];
            for (weights, x) in weights.iter().zip(&x[i * RUN..]) {
                for (sum, weight) in run.iter_mut().zip(weights) {
                    *sum += weight * x;
                }
            }
            sums.iter_mut().zip(run).for_each(|(sum, run)| *sum += f64::from(run));
        }
    }
    sums
}

/// x divided by its root mean square, times the weights.
pub(super) fn normalise(x: &[f32], weights: &[f32], eps: f32) -> Vec<f32> {
    let squares: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let scale = 1.0 / (squares / x.len() as f64 + f64::from(eps)).sqrt();
    let scaled = |(x, weight): (&f32, &f32)| (f64::from(*x) * scale * f64::from(*weight)) as f32;
    x.iter().zip(weights).map(scaled).collect()
}

/// Turns each pair of a head by its frequency times the position.
pub(super) fn rotate(head: &mut [f32], position: usize, frequencies: &[f64], pairs: RopePairs) {
    let half = head.len() / 2;
    for (pair, frequency) in frequencies.iter().enumerate() {
        let (first, second) = match pairs {
            RopePairs::Interleaved => (2 * pair, 2 * pair + 1),
            RopePairs::Halves => (pair, pair + half),
        };
        let (sin, cos) = (position as f64 * frequency).sin_cos();
        let (a, b) = (f64::from(head[first]), f64::from(head[second]));
        head[first] = (a * cos - b * sin) as f32;
        head[second] = (a * sin + b * cos) as f32;
    }
}

/// x times the logistic function of x.
pub(super) fn silu(x: f32) -> f32 {
    let x = f64::from(x);
    (x / (1.0 + (-x).exp())) as f32
}
