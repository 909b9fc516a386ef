//! What another reader, dequantiser and forward pass make of the files that `llama_decode` reads.
//!
//! Files are read and blocks dequantised by candle; the model is written here with its tensors, in
//! 64 bits, whole sequences at a time, from a description of the architecture.

use std::collections::HashMap;
use std::io::Cursor;

use candle_core::quantized::gguf_file::Content;
use candle_core::{D, DType, Device, IndexOp, Result, Tensor};
use llama_decode::model::{Architecture, Config};

/// The values of a tensor of a file.
pub fn values(file: &[u8], name: &str) -> Result<Vec<f32>> {
    let mut reader = Cursor::new(file);
    let content = Content::read(&mut reader)?;
    let tensor = content.tensor(&mut reader, name, &Device::Cpu)?;
    tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()
}

/// The values of 16-bit floats of the shorter kind, which the reader knows as a plain type only.
pub fn bf16_values(bytes: &[u8]) -> Result<Vec<f32>> {
    let shape = &[bytes.len() / 2];
    let tensor = Tensor::from_raw_buffer(bytes, DType::BF16, shape, &Device::Cpu)?;
    tensor.to_dtype(DType::F32)?.to_vec1()
}

/// A model as 64-bit tensors.
#[derive(Debug)]
pub struct Oracle {
    tensors: HashMap<String, Tensor>,
    config: Config,
}

impl Oracle {
    /// All tensors of a file whose shape is known.
    pub fn new(file: &[u8], config: &Config) -> Result<Oracle> {
        let mut reader = Cursor::new(file);
        let content = Content::read(&mut reader)?;
        let mut tensors = HashMap::new();
        for name in content.tensor_infos.keys() {
            let tensor = content.tensor(&mut reader, name, &Device::Cpu)?;
            tensors.insert(name.clone(), tensor.dequantize(&Device::Cpu)?.to_dtype(DType::F64)?);
        }
        Ok(Oracle { tensors, config: config.clone() })
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.tensors[&format!("{name}.weight")]
    }

    fn norm(&self, x: &Tensor, weights: &Tensor) -> Result<Tensor> {
        let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
        x.broadcast_div(&(mean + f64::from(self.config.eps))?.sqrt()?)?.broadcast_mul(weights)
    }

    /// [tokens, heads, size] turned by position.
    fn rope(&self, x: &Tensor) -> Result<Tensor> {
        let (tokens, heads, size) = x.dims3()?;
        let half = size / 2;
        let base = f64::from(self.config.rope_base);
        let mut angles = Vec::new();
        for position in 0..tokens {
            for pair in 0..half {
                let divisor = match self.tensors.get("rope_freqs.weight") {
                    Some(divisors) => divisors.i(pair)?.to_scalar::<f64>()?,
                    None => 1.0,
                };
                angles.push(position as f64 / base.powf(pair as f64 / half as f64) / divisor);
            }
        }
        let angles = Tensor::from_vec(angles, (tokens, 1, half), &Device::Cpu)?;
        let (sin, cos) = (angles.sin()?, angles.cos()?);
        // Bring the members of the pairs to the last but one or the last dimension.
        let llama = self.config.architecture == Architecture::Llama;
        let pairs = match llama {
            true => x.reshape((tokens, heads, half, 2))?.transpose(2, 3)?.contiguous()?,
            false => x.reshape((tokens, heads, 2, half))?,
        };
        let (a, b) = (pairs.i((.., .., 0))?, pairs.i((.., .., 1))?);
        let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let second = (a.broadcast_mul(&sin)? + b.broadcast_mul(&cos)?)?;
        let turned = match llama {
            true => Tensor::stack(&[first, second], 3)?,
            false => Tensor::cat(&[first, second], 2)?,
        };
        turned.reshape((tokens, heads, size))
    }

    /// The logits after the last of the tokens.
    pub fn logits(&self, tokens: &[u32]) -> Result<Vec<f64>> {
        let c = &self.config;
        let count = tokens.len();
        let ids = Tensor::new(tokens, &Device::Cpu)?;
        let mut x = self.get("token_embd").index_select(&ids, 0)?;
        let future: Vec<f64> = (0..count * count)
            .map(|n| if n % count > n / count { f64::NEG_INFINITY } else { 0.0 })
            .collect();
        let future = Tensor::from_vec(future, (count, count), &Device::Cpu)?;
        for layer in 0..c.layers {
            let get = |part: &str| self.get(&format!("blk.{layer}.{part}"));
            let times = |x: &Tensor, part: &str| x.matmul(&get(part).t()?);
            let h = self.norm(&x, get("attn_norm"))?;
            let heads =
                |part: &str, heads: usize| times(&h, part)?.reshape((count, heads, c.head_size));
            let (mut q, mut k) = (heads("attn_q", c.heads)?, heads("attn_k", c.kv_heads)?);
            let v = heads("attn_v", c.kv_heads)?;
            if c.architecture == Architecture::Qwen3 {
                q = self.norm(&q, get("attn_q_norm"))?;
                k = self.norm(&k, get("attn_k_norm"))?;
            }
            let (q, k) = (self.rope(&q)?, self.rope(&k)?);
            let groups = c.heads / c.kv_heads;
            let cached = |x: &Tensor| {
                let x = x.to_dtype(DType::F16)?.to_dtype(DType::F64)?;
                let shape = (count, c.kv_heads, groups, c.head_size);
                let x = x.unsqueeze(2)?.broadcast_as(shape)?;
                x.reshape((count, c.heads, c.head_size))?.transpose(0, 1)?.contiguous()
            };
            let (q, k, v) = (q.transpose(0, 1)?.contiguous()?, cached(&k)?, cached(&v)?);
            let scores = (q.matmul(&k.t()?)? / (c.head_size as f64).sqrt())?;
            let scores = scores.broadcast_add(&future)?;
            let powers = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
            let shares = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?;
            let mixed = shares.matmul(&v)?.transpose(0, 1)?.reshape((count, c.q_size()))?;
            x = (x + times(&mixed, "attn_output")?)?;
            let h = self.norm(&x, get("ffn_norm"))?;
            let gate = times(&h, "ffn_gate")?;
            let inner = (gate.silu()? * times(&h, "ffn_up")?)?;
            x = (x + times(&inner, "ffn_down")?)?;
        }
        let last = self.norm(&x.i(count - 1..)?, self.get("output_norm"))?;
        let head = if c.tied { "token_embd" } else { "output" };
        last.matmul(&self.get(head).t()?)?.flatten_all()?.to_vec1()
    }
}

/// The largest difference between logits, in units of their own spread.
pub fn distance(ours: &[f32], theirs: &[f64]) -> f64 {
    let mean = theirs.iter().sum::<f64>() / theirs.len() as f64;
    let variance = theirs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / theirs.len() as f64;
    let largest = ours.iter().zip(theirs).map(|(a, b)| (f64::from(*a) - b).abs());
    largest.fold(0.0, f64::max) / variance.sqrt()
}
