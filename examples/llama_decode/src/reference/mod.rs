//! The whole model on the CPU in plain f32, to compare with.
//!
//! Written to be read next to a description of the architecture, and to share nothing with the
//! kernels: weights are dequantised row by row, activations stay f32, and only keys and values are
//! rounded, to the 16-bit floats that the cache holds. Products are summed in f32 over 64 weights
//! and in f64 beyond; means, exponentials, angles and the sums of attention are f64. So its own
//! error is that of rounding each activation once.

mod parts;

#[cfg(test)]
mod tests;

use half::f16;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::gguf::Tensor;
use crate::model::{Config, Layer, Model};
use parts::{LANES, dot, normalise, rotate, side_by_side, silu};

/// A model and what it has seen so far.
#[derive(Debug)]
pub struct Reference<'a> {
    model: &'a Model<'a>,
    frequencies: Vec<f64>,
    caches: Vec<Cache>,
    position: usize,
}

/// Keys and values of one layer, position after position; each a number that an f16 can be.
#[derive(Clone, Debug, Default)]
struct Cache {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl<'a> Reference<'a> {
    /// Has seen nothing yet.
    pub fn new(model: &'a Model<'a>) -> Reference<'a> {
        let config = &model.config;
        Reference {
            model,
            frequencies: config.rope_frequencies(),
            caches: vec![Cache::default(); config.layers],
            position: 0,
        }
    }

    /// Where the next token will stand.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Forgets all but the first `position` tokens.
    pub fn rewind(&mut self, position: usize) {
        let size = self.model.config.kv_size();
        self.position = self.position.min(position);
        for cache in &mut self.caches {
            cache.keys.truncate(self.position * size);
            cache.values.truncate(self.position * size);
        }
    }

    /// Reads tokens and gives the logits after the last of them. Many at once are much faster than
    /// one by one, and the same.
    pub fn read(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.read_last(tokens, 1)
    }

    /// Reads tokens and gives the logits after each of the last `count` of them, one after the other.
    pub fn read_last(&mut self, tokens: &[u32], count: usize) -> Result<Vec<f32>> {
        let (model, config) = (self.model, &self.model.config);
        self.check(tokens)?;
        let width = config.embedding;
        let mut x: Vec<f32> =
            tokens.iter().flat_map(|&token| row(&model.embedding, token as usize)).collect();

        for index in 0..config.layers {
            let layer = &model.layers[index];
            let normed = normalise_each(&x, &layer.attention_norm, config.eps);
            let attended = self.attention(index, &normed);
            add(&mut x, &product(&layer.output, &attended));

            let normed = normalise_each(&x, &layer.ffn_norm, config.eps);
            add(&mut x, &feed_forward(layer, &normed));
        }
        self.position += tokens.len();
        let last = x.len().saturating_sub(count * width);
        Ok(product(&model.head, &normalise_each(&x[last..], &model.output_norm, config.eps)))
    }

    /// Reads tokens, then takes the likeliest token `count` times.
    pub fn greedy(&mut self, tokens: &[u32], count: usize) -> Result<Vec<u32>> {
        let mut logits = self.read(tokens)?;
        let mut chosen = Vec::with_capacity(count);
        while chosen.len() < count {
            let next = crate::sample::Sampling::default().choose(&logits, &[], 0);
            chosen.push(next);
            if chosen.len() < count {
                logits = self.read(&[next])?;
            }
        }
        Ok(chosen)
    }

    fn check(&self, tokens: &[u32]) -> Result<()> {
        let Config { vocab, context, .. } = self.model.config;
        let refuse = |why| Err(Error::Text(why));
        if tokens.is_empty() {
            return refuse("there is no token to read".to_owned());
        }
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= vocab) {
            return refuse(format!("token {token} does not exist: the model has {vocab}"));
        }
        if self.position + tokens.len() > context {
            return refuse(format!("the model's context of {context} tokens is full"));
        }
        Ok(())
    }

    /// Queries of each token against keys of all tokens up to it; `x` is normalised.
    fn attention(&mut self, index: usize, x: &[f32]) -> Vec<f32> {
        let (config, layer) = (&self.model.config, &self.model.layers[index]);
        let (q_size, kv_size) = (config.q_size(), config.kv_size());
        let mut q = product(&layer.q, x);
        let mut k = product(&layer.k, x);
        let v = product(&layer.v, x);
        self.prepare(&mut q, q_size, layer.q_norm.as_deref());
        self.prepare(&mut k, kv_size, layer.k_norm.as_deref());

        let cache = &mut self.caches[index];
        cache.keys.extend(k.iter().map(|&k| f16::from_f32(k).to_f32()));
        cache.values.extend(v.iter().map(|&v| f16::from_f32(v).to_f32()));

        let mut attended = vec![0.0; q.len()];
        let heads = attended.par_chunks_mut(config.head_size).zip(q.par_chunks(config.head_size));
        heads.enumerate().for_each(|(n, (out, q))| {
            let (token, head) = (n / config.heads, n % config.heads);
            let kv_head = head / (config.heads / config.kv_heads);
            let seen = self.position + token + 1;
            cache.attend(config, kv_head, seen, q, out);
        });
        attended
    }

    /// Normalises each head if the model does that, and turns it by its position.
    fn prepare(&self, rows: &mut [f32], size: usize, norm: Option<&[f32]>) {
        let config = &self.model.config;
        rows.par_chunks_exact_mut(size).enumerate().for_each(|(token, row)| {
            for head in row.chunks_exact_mut(config.head_size) {
                if let Some(norm) = norm {
                    head.copy_from_slice(&normalise(head, norm, config.eps));
                }
                rotate(head, self.position + token, &self.frequencies, config.rope_pairs);
            }
        });
    }
}

impl Cache {
    /// The values of the `seen` positions, weighted by the softmax of what their keys have in
    /// common with the query.
    fn attend(&self, config: &Config, kv_head: usize, seen: usize, q: &[f32], out: &mut [f32]) {
        let (size, stride) = (config.head_size, config.kv_size());
        let at = |position: usize| position * stride + kv_head * size;
        let score = |p| f64::from(dot(q, &self.keys[at(p)..][..size])) / (size as f64).sqrt();
        let scores: Vec<f64> = (0..seen).map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        let mut mixed = vec![0.0; size];
        for (p, weight) in weights.iter().enumerate() {
            for (mixed, value) in mixed.iter_mut().zip(&self.values[at(p)..][..size]) {
                *mixed += weight * f64::from(*value);
            }
        }
        out.iter_mut().zip(mixed).for_each(|(out, mixed)| *out = (mixed / sum) as f32);
    }
}

fn feed_forward(layer: &Layer<'_>, x: &[f32]) -> Vec<f32> {
    let mut inner = product(&layer.gate, x);
    let up = product(&layer.up, x);
    inner.par_iter_mut().zip(up).for_each(|(gate, up)| *gate = silu(*gate) * up);
    product(&layer.down, &inner)
}

fn normalise_each(x: &[f32], weights: &[f32], eps: f32) -> Vec<f32> {
    x.par_chunks_exact(weights.len()).flat_map_iter(|x| normalise(x, weights, eps)).collect()
}

fn add(x: &mut [f32], more: &[f32]) {
    x.iter_mut().zip(more).for_each(|(x, more)| *x += more);
}

/// The values of one row of a matrix.
fn row(matrix: &Tensor<'_>, row: usize) -> Vec<f32> {
    let mut values = vec![0.0; matrix.columns()];
    matrix.format.dequantize(matrix.row(row), &mut values);
    values
}

/// The matrix times each of the vectors that `x` holds one after the other; so does the result.
fn product(matrix: &Tensor<'_>, x: &[f32]) -> Vec<f32> {
    let (columns, rows) = (matrix.columns(), matrix.rows());
    let vectors = x.len() / columns;
    // Each row is dequantised once and meets all vectors, so results come out by blocks of rows ...
    let blocks: Vec<Vec<[f64; LANES]>> = (0..rows)
        .into_par_iter()
        .step_by(LANES)
        .map(|first| {
            let mut weights = vec![[0.0; LANES]; columns];
            for lane in 0..LANES.min(rows - first) {
                let row = row(matrix, first + lane);
                weights.iter_mut().zip(row).for_each(|(weights, weight)| weights[lane] = weight);
            }
            side_by_side(&weights, x)
        })
        .collect();
    // ... and are wanted vector by vector.
    let of_vector = |v: usize| blocks.iter().flat_map(move |block| block[v]).take(rows);
    (0..vectors).flat_map(of_vector).map(|sum| sum as f32).collect()
}
