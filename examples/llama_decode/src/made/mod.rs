//! Models made up on the spot: true shapes, tensor names and mixes of formats, random weights.
//!
//! Speed, memory and agreement between two ways of computing depend on a model's shape and not on
//! what it has learnt, so these stand in for files that nobody wants to download for a test.
//! The same seed gives the same file everywhere.

mod fill;
mod vocabulary;

use std::io::{self, Write};

use crate::error::Result;
use crate::gguf::Gguf;
use crate::gguf::write::{Header, Item};
use crate::model::Architecture;
use crate::quant::Format;

/// How Llama 3.1 and later slow the rotation of slow pairs down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongContext {
    /// What the slowest pairs are divided by.
    pub factor: f64,
    /// Turns in the original context below which a pair is slow.
    pub low: f64,
    /// Turns above which it is left alone.
    pub high: f64,
    /// The context before it was made longer.
    pub original: f64,
}

/// The shape of a model to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// What it is called.
    pub name: &'static str,
    /// The family.
    pub architecture: Architecture,
    /// Transformer layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub embedding: usize,
    /// Width between gate and down.
    pub feed_forward: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_size: usize,
    /// Tokens.
    pub vocab: usize,
    /// Whether the head's matrix is the embedding's.
    pub tied: bool,
    /// Positions.
    pub context: usize,
    /// Base of the rotation.
    pub rope_base: f32,
    /// Whether the file has divisors of the rotation's frequencies.
    pub long_context: Option<LongContext>,
}

const LLAMA_32: LongContext = LongContext { factor: 32.0, low: 1.0, high: 4.0, original: 8192.0 };

/// Shapes by name: those of published models, and small ones for tests whose rows are whole blocks
/// of every format.
pub const SHAPES: [Shape; 8] = [
    Shape {
        name: "llama-3.2-1b",
        architecture: Architecture::Llama,
        layers: 16,
        embedding: 2048,
        feed_forward: 8192,
        heads: 32,
        kv_heads: 8,
        head_size: 64,
        vocab: 128_256,
        tied: true,
        context: 131_072,
        rope_base: 500_000.0,
        long_context: Some(LLAMA_32),
    },
    Shape {
        name: "llama-3.2-3b",
        architecture: Architecture::Llama,
        layers: 28,
        embedding: 3072,
        feed_forward: 8192,
        heads: 24,
        kv_heads: 8,
        head_size: 128,
        vocab: 128_256,
        tied: true,
        context: 131_072,
        rope_base: 500_000.0,
        long_context: Some(LLAMA_32),
    },
    Shape {
        name: "llama-3-8b",
        architecture: Architecture::Llama,
        layers: 32,
        embedding: 4096,
        feed_forward: 14_336,
        heads: 32,
        kv_heads: 8,
        head_size: 128,
        vocab: 128_256,
        tied: false,
        context: 8192,
        rope_base: 500_000.0,
        long_context: None,
    },
    Shape {
        name: "qwen3-0.6b",
        architecture: Architecture::Qwen3,
        layers: 28,
        embedding: 1024,
        feed_forward: 3072,
        heads: 16,
        kv_heads: 8,
        head_size: 128,
        vocab: 151_936,
        tied: true,
        context: 40_960,
        rope_base: 1_000_000.0,
        long_context: None,
    },
    Shape {
        name: "qwen3-1.7b",
        architecture: Architecture::Qwen3,
        layers: 28,
        embedding: 2048,
        feed_forward: 6144,
        heads: 16,
        kv_heads: 8,
        head_size: 128,
        vocab: 151_936,
        tied: true,
        context: 40_960,
        rope_base: 1_000_000.0,
        long_context: None,
    },
    Shape {
        name: "llama-tiny",
        architecture: Architecture::Llama,
        layers: 2,
        embedding: 256,
        feed_forward: 512,
        heads: 4,
        kv_heads: 2,
        head_size: 64,
        vocab: 1024,
        tied: true,
        context: 2048,
        rope_base: 500_000.0,
        long_context: Some(LongContext { original: 512.0, ..LLAMA_32 }),
    },
    Shape {
        name: "llama-tiny-untied",
        architecture: Architecture::Llama,
        layers: 3,
        embedding: 512,
        feed_forward: 1024,
        heads: 8,
        kv_heads: 2,
        head_size: 64,
        vocab: 2048,
        tied: false,
        context: 2048,
        rope_base: 500_000.0,
        long_context: None,
    },
    Shape {
        name: "qwen3-tiny",
        architecture: Architecture::Qwen3,
        layers: 2,
        embedding: 256,
        feed_forward: 768,
        heads: 4,
        kv_heads: 2,
        head_size: 128,
        vocab: 1024,
        tied: true,
        context: 2048,
        rope_base: 1_000_000.0,
        long_context: None,
    },
];

impl Shape {
    /// The shape of this name.
    pub fn named(name: &str) -> Option<Shape> {
        SHAPES.iter().find(|shape| shape.name == name).cloned()
    }
}

/// The mixes of formats that quantisers write, by their usual names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// One format for every matrix.
    All(Format),
    /// Q4_0, with a Q6_K head.
    Q4_0,
    /// Q4_K, with Q5_K in some places and a Q6_K head.
    Q4KS,
    /// Q4_K, with Q6_K for the head and half of attn_v and ffn_down.
    Q4KM,
    /// Q5_K, likewise.
    Q5KM,
}

impl Mix {
    /// Every mix and its usual name.
    pub const NAMES: [(&'static str, Mix); 9] = [
        ("f32", Mix::All(Format::F32)),
        ("f16", Mix::All(Format::F16)),
        ("bf16", Mix::All(Format::Bf16)),
        ("q4_0", Mix::Q4_0),
        ("q8_0", Mix::All(Format::Q8_0)),
        ("q4_k_s", Mix::Q4KS),
        ("q4_k_m", Mix::Q4KM),
        ("q5_k_m", Mix::Q5KM),
        ("q6_k", Mix::All(Format::Q6K)),
    ];

    /// The mix of this name.
    pub fn named(name: &str) -> Option<Mix> {
        Mix::NAMES.iter().find(|(known, _)| *known == name).map(|(_, mix)| *mix)
    }

    /// The format of a matrix outside the layers.
    fn outer(self, is_head: bool) -> Format {
        match self {
            Mix::All(format) => format,
            _ if is_head => Format::Q6K,
            Mix::Q4_0 => Format::Q4_0,
            Mix::Q4KS | Mix::Q4KM => Format::Q4K,
            Mix::Q5KM => Format::Q5K,
        }
    }

    /// The format of a matrix of layer `index` of `layers`.
    fn inner(self, part: &str, index: usize, layers: usize) -> Format {
        let eighth = layers / 8;
        let more_bits = index < eighth || index >= 7 * layers / 8 || (index - eighth) % 3 == 2;
        match (self, part) {
            (Mix::Q4KM | Mix::Q5KM, "attn_v" | "ffn_down") if more_bits => Format::Q6K,
            (Mix::Q4KS, "attn_v") if index < 4 => Format::Q5K,
            (Mix::Q4KS, "ffn_down") if index < eighth => Format::Q5K,
            _ => self.outer(false),
        }
    }
}

/// The whole file of a small model, in memory.
pub fn in_memory(shape: &Shape, mix: Mix, seed: u64) -> Result<Gguf> {
    let mut file = Vec::new();
    write(shape, mix, seed, &mut file).expect("writing to memory does not fail");
    Gguf::new(file)
}

/// Writes the file of a model, tensor by tensor.
pub fn write(shape: &Shape, mix: Mix, seed: u64, out: &mut impl Write) -> io::Result<()> {
    let header = header(shape, mix);
    let mut random = fill::Random::new(seed);
    header.write(out, |entry, out| fill::tensor(shape, entry, &mut random, out))
}

/// Everything of the file but its weights.
pub(crate) fn header(shape: &Shape, mix: Mix) -> Header {
    let mut header = Header::default();
    keys(&mut header, shape);
    vocabulary::keys(&mut header, shape);
    tensors(&mut header, shape, mix);
    header
}

fn keys(header: &mut Header, shape: &Shape) {
    let a = shape.architecture.name();
    header.key("general.architecture", Item::String(a.into()));
    header.key("general.name", Item::String(format!("{} with random weights", shape.name)));
    for (name, n) in [
        ("block_count", shape.layers),
        ("context_length", shape.context),
        ("embedding_length", shape.embedding),
        ("feed_forward_length", shape.feed_forward),
        ("attention.head_count", shape.heads),
        ("attention.head_count_kv", shape.kv_heads),
        ("attention.key_length", shape.head_size),
        ("attention.value_length", shape.head_size),
        ("vocab_size", shape.vocab),
    ] {
        header.key(format!("{a}.{name}"), Item::U32(n as u32));
    }
    let eps = match shape.architecture {
        Architecture::Llama => 1e-5,
        Architecture::Qwen3 => 1e-6,
    };
    header.key(format!("{a}.attention.layer_norm_rms_epsilon"), Item::F32(eps));
    header.key(format!("{a}.rope.freq_base"), Item::F32(shape.rope_base));
}

fn tensors(header: &mut Header, shape: &Shape, mix: Mix) {
    let (d, inner) = (shape.embedding, shape.feed_forward);
    let (q, kv) = (shape.heads * shape.head_size, shape.kv_heads * shape.head_size);
    header.tensor("token_embd.weight", mix.outer(shape.tied), &[d, shape.vocab]);
    header.tensor("output_norm.weight", Format::F32, &[d]);
    if !shape.tied {
        header.tensor("output.weight", mix.outer(true), &[d, shape.vocab]);
    }
    if shape.long_context.is_some() {
        header.tensor("rope_freqs.weight", Format::F32, &[shape.head_size / 2]);
    }
    for index in 0..shape.layers {
        let mut vector = |part: &str, size| {
            header.tensor(format!("blk.{index}.{part}.weight"), Format::F32, &[size]);
        };
        vector("attn_norm", d);
        vector("ffn_norm", d);
        if shape.architecture == Architecture::Qwen3 {
            vector("attn_q_norm", shape.head_size);
            vector("attn_k_norm", shape.head_size);
        }
        for (part, columns, rows) in [
            ("attn_q", d, q),
            ("attn_k", d, kv),
            ("attn_v", d, kv),
            ("attn_output", q, d),
            ("ffn_gate", d, inner),
            ("ffn_up", d, inner),
            ("ffn_down", inner, d),
        ] {
            let format = mix.inner(part, index, shape.layers);
            header.tensor(format!("blk.{index}.{part}.weight"), format, &[columns, rows]);
        }
    }
}
