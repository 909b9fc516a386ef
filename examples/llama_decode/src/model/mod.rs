//! What a file's model is: its shape and its named tensors.
//!
//! [`Model::new`] looks every tensor up, checks its sizes, and refuses a file that holds a tensor
//! which the architecture does not have: a bias or an expert passed over in silence would give
//! wrong text, not an error.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::gguf::{Array, Gguf, Tensor};
use crate::quant::Format;

/// The families of models that are supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// Llama 3 and its relatives.
    Llama,
    /// Qwen3: each head of queries and keys is normalised before its rotation.
    Qwen3,
}

impl Architecture {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Llama => "llama",
            Architecture::Qwen3 => "qwen3",
        }
    }

    fn from_name(name: &str) -> Result<Architecture> {
        match name {
            "llama" => Ok(Architecture::Llama),
            "qwen3" => Ok(Architecture::Qwen3),
            other => Err(Error::Model(format!(
                "its architecture is {other}; llama and qwen3 are supported"
            ))),
        }
    }
}

/// Which two elements of a head are rotated together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RopePairs {
    /// 2i and 2i + 1: `llama` files have their rows permuted for this.
    Interleaved,
    /// i and i + half a head: `qwen3` files.
    Halves,
}

/// The shape of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The family.
    pub architecture: Architecture,
    /// What the file calls the model; empty if it does not say.
    pub name: String,
    /// Transformer layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub embedding: usize,
    /// Width between gate and down.
    pub feed_forward: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values; each serves `heads / kv_heads` heads of queries.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_size: usize,
    /// Tokens that exist.
    pub vocab: usize,
    /// Positions that the model was trained for.
    pub context: usize,
    /// Added to the mean square in every normalisation.
    pub eps: f32,
    /// Base of the rotation frequencies.
    pub rope_base: f32,
    /// Which elements rotate together.
    pub rope_pairs: RopePairs,
    /// What each pair's frequency is divided by, one per pair; all 1 for most models.
    pub rope_divisors: Vec<f32>,
    /// Whether the head's matrix is the embedding's.
    pub tied: bool,
}

impl Config {
    /// Elements of all heads of queries.
    pub fn q_size(&self) -> usize {
        self.heads * self.head_size
    }

    /// Elements of all heads of keys, and of values.
    pub fn kv_size(&self) -> usize {
        self.kv_heads * self.head_size
    }

    /// Radians by which each pair turns from one position to the next.
    pub fn rope_frequencies(&self) -> Vec<f64> {
        let (base, size) = (f64::from(self.rope_base), self.head_size as f64);
        let frequency = |(pair, divisor): (usize, &f32)| {
            base.powf(-2.0 * pair as f64 / size) / f64::from(*divisor)
        };
        self.rope_divisors.iter().enumerate().map(frequency).collect()
    }

    /// Reads the keys. What only tensors tell (vocabulary, tied head, divisors) comes from them.
    fn new(file: &Gguf) -> Result<Config> {
        // Only the first of several files has the keys, and none has all tensors.
        if let Some(parts) = file.find::<u32>("split.count")?.filter(|&parts| parts > 1) {
            let why = format!("it is in {parts} files, of which this is one: join them first");
            return Err(Error::Model(why));
        }
        let architecture = Architecture::from_name(file.need("general.architecture")?)?;
        let a = architecture.name();
        let key = |name: &str| format!("{a}.{name}");
        let size = |name: &str| size(file, &key(name));
        let size_or = |name: &str, default| Ok(find_size(file, &key(name))?.unwrap_or(default));

        let embedding = size("embedding_length")?;
        let heads = size("attention.head_count")?;
        let kv_heads = size_or("attention.head_count_kv", heads)?;
        let head_size = size_or("attention.key_length", embedding / heads)?;
        if head_size % 2 != 0 || !(2..=1024).contains(&head_size) {
            let why = format!("a head of {head_size} elements is not an even number up to 1024");
            return Err(Error::Model(why));
        }
        let embeddings = need(file, "token_embd.weight")?;
        let mut config = Config {
            architecture,
            name: file.find::<&str>("general.name")?.unwrap_or_default().to_owned(),
            layers: size("block_count")?,
            embedding,
            feed_forward: size("feed_forward_length")?,
            heads,
            kv_heads,
            head_size,
            vocab: embeddings.rows(),
            context: size("context_length")?,
            eps: file.need(&key("attention.layer_norm_rms_epsilon"))?,
            rope_base: file.find(&key("rope.freq_base"))?.unwrap_or(10_000.0),
            rope_pairs: match architecture {
                Architecture::Llama => RopePairs::Interleaved,
                Architecture::Qwen3 => RopePairs::Halves,
            },
            rope_divisors: vec![1.0; head_size / 2],
            tied: file.tensor("output.weight")?.is_none(),
        };
        config.check(file)?;
        config.rope_divisors = rope_divisors(file, &config)?;
        Ok(config)
    }

    /// Refuses shapes and settings that the arithmetic is not written for.
    fn check(&self, file: &Gguf) -> Result<()> {
        let a = self.architecture.name();
        let refuse = |why: String| Err(Error::Model(why));
        if self.heads % self.kv_heads != 0 {
            let (heads, kv) = (self.heads, self.kv_heads);
            return refuse(format!("{heads} heads do not divide into {kv} of keys and values"));
        }
        for name in ["attention.value_length", "rope.dimension_count"] {
            let key = format!("{a}.{name}");
            if let Some(other) = file.find::<u32>(&key)?.filter(|&n| n as usize != self.head_size) {
                let size = self.head_size;
                return refuse(format!("{key} is {other} and heads are {size} long"));
            }
        }
        if let Some(n) = file.find::<u32>(&format!("{a}.vocab_size"))? {
            if n as usize != self.vocab {
                let rows = self.vocab;
                return refuse(format!("{a}.vocab_size is {n} and token_embd has {rows} rows"));
            }
        }
        if let Some(n) = file.find::<u32>(&format!("{a}.expert_count"))?.filter(|&n| n > 0) {
            return refuse(format!("it is a mixture of {n} experts"));
        }
        let positive = |x: f32| x.is_finite() && x > 0.0;
        if !positive(self.eps) || !positive(self.rope_base) {
            let (eps, base) = (self.eps, self.rope_base);
            return refuse(format!("epsilon {eps} or rotation base {base} is out of range"));
        }
        Ok(())
    }
}

fn size(file: &Gguf, key: &str) -> Result<usize> {
    match find_size(file, key)? {
        Some(size) => Ok(size),
        None => nonzero(key, file.need(key)?),
    }
}

/// A size, which a file may give for each layer; here all layers are alike.
fn find_size(file: &Gguf, key: &str) -> Result<Option<usize>> {
    let found = match file.find::<Array<'_>>(key) {
        Ok(Some(sizes)) => {
            let sizes = sizes.all::<u32>().unwrap_or_default();
            let different = || Error::Model(format!("{key} is not one size for all layers"));
            let first = *sizes.first().ok_or_else(different)?;
            if sizes.iter().any(|size| *size != first) {
                return Err(different());
            }
            Some(first)
        }
        _ => file.find(key)?,
    };
    found.map(|n| nonzero(key, n)).transpose()
}

/// A size that products of two of cannot overflow.
fn nonzero(key: &str, n: u32) -> Result<usize> {
    if n == 0 || n > 1 << 24 {
        return Err(Error::Model(format!("{key} is {n}, which is out of range")));
    }
    Ok(n as usize)
}

/// Long-context models slow some pairs down, by a tensor or, rarely, by one factor for all. A factor
/// without a type is linear, and 0 is none, to the programs that files are written for.
fn rope_divisors(file: &Gguf, config: &Config) -> Result<Vec<f32>> {
    let pairs = config.head_size / 2;
    let key = |name: &str| format!("{}.rope.{name}", config.architecture.name());
    let factor = match file.find::<&str>(&key("scaling.type"))? {
        Some("none") => None,
        None | Some("linear") => match file.find::<f32>(&key("scaling.factor"))? {
            Some(factor) => Some(factor),
            // As it was called in older files.
            None => file.find::<f32>(&key("scale_linear"))?,
        },
        Some(other) => {
            return Err(Error::Model(format!("its positions are scaled by {other}")));
        }
    };
    let factor = factor.filter(|factor| *factor != 0.0).unwrap_or(1.0);
    if let Some(other) = file.find::<f32>(&key("scaling.attn_factor"))?.filter(|&x| x != 1.0) {
        return Err(Error::Model(format!(
            "its positions are scaled with an attention factor of {other}"
        )));
    }
    let mut divisors = vec![factor; pairs];
    if file.tensor(ROPE_FREQS)?.is_some() {
        divisors = vector(file, ROPE_FREQS, pairs)?.iter().map(|d| d * factor).collect();
    }
    match divisors.iter().find(|d| !d.is_finite() || **d <= 0.0) {
        Some(d) => Err(Error::Model(format!("a rotation frequency is to be divided by {d}"))),
        None => Ok(divisors),
    }
}

const ROPE_FREQS: &str = "rope_freqs.weight";

/// One transformer layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer<'a> {
    /// Weights of the normalisation before attention.
    pub attention_norm: Vec<f32>,
    /// Embedding to queries.
    pub q: Tensor<'a>,
    /// Embedding to keys.
    pub k: Tensor<'a>,
    /// Embedding to values.
    pub v: Tensor<'a>,
    /// Qwen3: weights of the normalisation of each head of queries.
    pub q_norm: Option<Vec<f32>>,
    /// Qwen3: weights of the normalisation of each head of keys.
    pub k_norm: Option<Vec<f32>>,
    /// Heads back to the embedding.
    pub output: Tensor<'a>,
    /// Weights of the normalisation before the feed-forward part.
    pub ffn_norm: Vec<f32>,
    /// Embedding to what passes through SiLU.
    pub gate: Tensor<'a>,
    /// Embedding to what it is multiplied by.
    pub up: Tensor<'a>,
    /// Their product back to the embedding.
    pub down: Tensor<'a>,
}

/// A model in a file: small vectors copied, matrices where they lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Model<'a> {
    /// Its shape.
    pub config: Config,
    /// A row for each token.
    pub embedding: Tensor<'a>,
    /// The layers in their order.
    pub layers: Vec<Layer<'a>>,
    /// Weights of the last normalisation.
    pub output_norm: Vec<f32>,
    /// Embedding to logits; the same tensor as `embedding` if the head is tied.
    pub head: Tensor<'a>,
}

impl<'a> Model<'a> {
    /// Finds and checks everything that the model needs.
    pub fn new(file: &'a Gguf) -> Result<Model<'a>> {
        let config = Config::new(file)?;
        only_known_tensors(file, &config)?;
        let (width, vocab) = (config.embedding, config.vocab);
        let embedding = matrix(file, "token_embd.weight", width, vocab)?;
        let head = match config.tied {
            true => embedding,
            false => matrix(file, "output.weight", width, vocab)?,
        };
        let layers = (0..config.layers)
            .map(|index| layer(file, &config, index))
            .collect::<Result<Vec<_>>>()?;
        let output_norm = vector(file, "output_norm.weight", width)?;
        Ok(Model { config, embedding, layers, output_norm, head })
    }

    /// All matrices, with the layer that each belongs to; a tied head is not there twice.
    pub fn matrices(&self) -> impl Iterator<Item = (Option<usize>, Tensor<'a>)> + '_ {
        let head = (!self.config.tied).then_some((None, self.head));
        let layers = self.layers.iter().enumerate().flat_map(|(index, l)| {
            [l.q, l.k, l.v, l.output, l.gate, l.up, l.down].map(|tensor| (Some(index), tensor))
        });
        std::iter::once((None, self.embedding)).chain(layers).chain(head)
    }
}

/// The parts of a layer, by their names in files.
const LAYER_PARTS: [&str; 9] = [
    "attn_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
];
const QWEN3_PARTS: [&str; 2] = ["attn_q_norm", "attn_k_norm"];

fn only_known_tensors(file: &Gguf, config: &Config) -> Result<()> {
    let mut known: HashSet<String> =
        ["token_embd.weight", "output_norm.weight", "output.weight", ROPE_FREQS]
            .map(str::to_owned)
            .into();
    let extra: &[&str] = match config.architecture {
        Architecture::Llama => &[],
        Architecture::Qwen3 => &QWEN3_PARTS,
    };
    // No more layers than tensors: the key alone must not make this long.
    for index in 0..config.layers.min(file.tensor_names().count()) {
        known.extend(LAYER_PARTS.iter().chain(extra).map(|part| part_name(index, part)));
    }
    match file.tensor_names().find(|name| !known.contains(*name)) {
        Some(name) => Err(Error::Model(format!(
            "it has a tensor {name}, which {} models of {} layers do not have",
            config.architecture.name(),
            config.layers
        ))),
        None => Ok(()),
    }
}

fn part_name(layer: usize, part: &str) -> String {
    format!("blk.{layer}.{part}.weight")
}

fn layer<'a>(file: &'a Gguf, config: &Config, index: usize) -> Result<Layer<'a>> {
    let name = |part| part_name(index, part);
    let (width, inner) = (config.embedding, config.feed_forward);
    let (q, kv) = (config.q_size(), config.kv_size());
    let head_norm = |part| match config.architecture {
        Architecture::Llama => Ok(None),
        Architecture::Qwen3 => vector(file, &name(part), config.head_size).map(Some),
    };
    Ok(Layer {
        attention_norm: vector(file, &name("attn_norm"), width)?,
        q: matrix(file, &name("attn_q"), width, q)?,
        k: matrix(file, &name("attn_k"), width, kv)?,
        v: matrix(file, &name("attn_v"), width, kv)?,
        q_norm: head_norm("attn_q_norm")?,
        k_norm: head_norm("attn_k_norm")?,
        output: matrix(file, &name("attn_output"), q, width)?,
        ffn_norm: vector(file, &name("ffn_norm"), width)?,
        gate: matrix(file, &name("ffn_gate"), width, inner)?,
        up: matrix(file, &name("ffn_up"), width, inner)?,
        down: matrix(file, &name("ffn_down"), inner, width)?,
    })
}

fn need<'a>(file: &'a Gguf, name: &str) -> Result<Tensor<'a>> {
    file.tensor(name)?.ok_or_else(|| Error::Model(format!("tensor {name} is missing")))
}

fn matrix<'a>(file: &'a Gguf, name: &str, columns: usize, rows: usize) -> Result<Tensor<'a>> {
    let tensor = need(file, name)?;
    if tensor.dims != [columns, rows] {
        let dims = tensor.dims;
        return Err(Error::Model(format!(
            "tensor {name} has sizes {dims:?}; [{columns}, {rows}] are expected"
        )));
    }
    Ok(tensor)
}

fn vector(file: &Gguf, name: &str, length: usize) -> Result<Vec<f32>> {
    let tensor = need(file, name)?;
    let floats = [Format::F32, Format::F16, Format::Bf16];
    if tensor.dims != [length] || !floats.contains(&tensor.format) {
        let (dims, format) = (tensor.dims, tensor.format.name());
        return Err(Error::Model(format!(
            "tensor {name} has sizes {dims:?} of {format}; [{length}] of F32, F16 or BF16 are expected"
        )));
    }
    let mut values = vec![0.0; length];
    tensor.format.dequantize(tensor.bytes, &mut values);
    Ok(values)
}
