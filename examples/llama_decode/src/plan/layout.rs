//! Which buffers there are, and where things lie in them.

use std::f64::consts::TAU;

use super::decode::{HEADS_OF_BLOCK, MAX_SPLITS, query_groups};
use super::prefill::quantised_bytes;
use super::{
    BufferId, BufferSpec, Limits, Machine, Place, Role, Source, Upload, Value, output, state,
};
use crate::gguf::Tensor;
use crate::model::Model;
use crate::repack::{self, TILE_ROWS};

/// Everything begins at a multiple of this: whole lines of every cache.
const ALIGN: u64 = 256;

/// Buffers and uploads as they come to be.
#[derive(Default)]
pub(super) struct Layout {
    pub buffers: Vec<BufferSpec>,
    pub uploads: Vec<Upload>,
}

impl Layout {
    fn buffer(
        &mut self,
        name: impl Into<String>,
        role: Role,
        place: Place,
        bytes: u64,
    ) -> BufferId {
        self.buffers.push(BufferSpec { name: name.into(), bytes, place, role });
        BufferId(self.buffers.len() as u32 - 1)
    }

    /// A piece of a buffer that grows with each.
    fn piece(&mut self, id: BufferId, bytes: u64) -> u64 {
        let spec = &mut self.buffers[id.0 as usize];
        let at = spec.bytes;
        spec.bytes = (at + bytes).next_multiple_of(ALIGN);
        at
    }

    fn space(&mut self, id: BufferId, bytes: u64) -> Value {
        Value::Buffer(id, self.piece(id, bytes))
    }

    fn constant(&mut self, to: BufferId, content: Vec<u8>) -> Value {
        let bytes = content.len() as u64;
        let at = self.piece(to, bytes);
        self.uploads.push(Upload { to, at, bytes, source: Source::Bytes(content) });
        Value::Buffer(to, at)
    }

    fn vector(&mut self, to: BufferId, values: &[f32]) -> Value {
        self.constant(to, values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn matrix(&mut self, to: BufferId, tensor: &Tensor) -> Value {
        let bytes = repack::bytes(tensor);
        let at = self.piece(to, bytes);
        let source = Source::Matrix(tensor.name.to_owned());
        self.uploads.push(Upload { to, at, bytes, source });
        Value::Buffer(to, at)
    }
}

/// No address: what an optional parameter is given when there is nothing.
pub(super) const NONE: Value = Value::U64(0);

/// Where a layer's parts lie.
pub(super) struct LayerPlaces {
    pub attention_norm: Value,
    pub qkv: [Value; 3],
    pub q_norm: Value,
    pub k_norm: Value,
    pub output: Value,
    pub ffn_norm: Value,
    pub gate: Value,
    pub up: Value,
    pub down: Value,
    pub keys: Value,
    pub values: Value,
}

/// Where everything lies.
pub(super) struct Places {
    pub state: Value,
    pub output: Value,
    pub history: Value,
    pub logits: Value,
    pub embedding: Value,
    pub head: Value,
    pub output_norm: Value,
    /// Turns per position of each pair of a head, times 2^64.
    pub turns: Value,
    pub layers: Vec<LayerPlaces>,
    /// The residual stream.
    pub x: Value,
    pub qkv: Value,
    pub attended: Value,
    pub gated: Value,
    /// The best row of each block of the head.
    pub best: Value,
    /// What splits of attention leave for each other.
    pub partial: Value,
    pub arrived: Value,
    /// Tokens that sampling still considers.
    pub candidates: Value,
    pub batch: BatchPlaces,
}

/// Where the vectors of a batch of a prompt lie, one after the other.
pub(super) struct BatchPlaces {
    pub x: Value,
    pub qkv: Value,
    pub attended: Value,
    pub gated: Value,
    /// Quantised activations, and their scales.
    pub values: Value,
    pub scales: Value,
}

impl Places {
    pub fn new(layout: &mut Layout, model: &Model, machine: &Machine, limits: &Limits) -> Places {
        let config = &model.config;
        let words = |n: usize| n as u64 * 4;
        let gpu = Place::Gpu;

        let table = layout.buffer("embedding", Role::Weights, gpu, 0);
        let embedding = layout.matrix(table, &model.embedding);
        let head = match config.tied {
            true => embedding,
            false => {
                let table = layout.buffer("head", Role::Weights, gpu, 0);
                layout.matrix(table, &model.head)
            }
        };
        let small = layout.buffer("norms and rotations", Role::Weights, gpu, 0);
        let output_norm = layout.vector(small, &model.output_norm);
        // Whole turns do not matter: the fraction is kept, to 64 bits.
        let turn = |radians: f64| ((radians / TAU).fract() * 2f64.powi(64)) as u64;
        let turns = config.rope_frequencies().into_iter().flat_map(|r| turn(r).to_le_bytes());
        let turns = layout.constant(small, turns.collect());

        let cache = layout.buffer("cache", Role::Cache, gpu, 0);
        let cache_half = limits.context as u64 * config.kv_size() as u64 * 2;
        let mut layers = Vec::new();
        for (index, layer) in model.layers.iter().enumerate() {
            let own = layout.buffer(format!("layer {index}"), Role::Weights, gpu, 0);
            let mut norm =
                |v: &Option<Vec<f32>>| v.as_ref().map_or(NONE, |v| layout.vector(small, v));
            let (q_norm, k_norm) = (norm(&layer.q_norm), norm(&layer.k_norm));
            layers.push(LayerPlaces {
                attention_norm: layout.vector(small, &layer.attention_norm),
                qkv: [&layer.q, &layer.k, &layer.v].map(|tensor| layout.matrix(own, tensor)),
                q_norm,
                k_norm,
                output: layout.matrix(own, &layer.output),
                ffn_norm: layout.vector(small, &layer.ffn_norm),
                gate: layout.matrix(own, &layer.gate),
                up: layout.matrix(own, &layer.up),
                down: layout.matrix(own, &layer.down),
                keys: layout.space(cache, cache_half),
                values: layout.space(cache, cache_half),
            });
        }

        let work = layout.buffer("activations", Role::Activations, gpu, 0);
        let (x, qkv) = (config.embedding, config.q_size() + 2 * config.kv_size());
        let heads_of_splits = (query_groups(config) * HEADS_OF_BLOCK * MAX_SPLITS) as usize;
        let partial = config.kv_heads * heads_of_splits * (config.head_size + 2);
        let ring = output::RING + limits.ring as usize;
        let rows_of_head = repack::tiles(&model.head) * TILE_ROWS;
        let mut whole = |name: &str, role, place, bytes| {
            Value::Buffer(layout.buffer(name, role, place, bytes), 0)
        };
        Places {
            state: whole("state", Role::State, gpu, state::BYTES),
            output: whole("output", Role::Output, Place::Shared, words(ring)),
            history: whole("history", Role::History, gpu, words(limits.context as usize)),
            logits: whole("logits", Role::Logits, gpu, words(rows_of_head)),
            embedding,
            head,
            output_norm,
            turns,
            layers,
            x: layout.space(work, words(x)),
            qkv: layout.space(work, words(qkv)),
            attended: layout.space(work, words(config.q_size())),
            gated: layout.space(work, words(config.feed_forward)),
            best: layout.space(work, words(machine.sms as usize * 2)),
            partial: layout.space(work, words(partial)),
            arrived: layout.space(work, words(config.heads)),
            candidates: layout.space(work, words(config.vocab)),
            batch: BatchPlaces::new(layout, work, model, limits),
        }
    }
}

impl BatchPlaces {
    fn new(layout: &mut Layout, work: BufferId, model: &Model, limits: &Limits) -> BatchPlaces {
        let config = &model.config;
        let widest = config.embedding.max(config.q_size()).max(config.feed_forward);
        let (values, scales) = quantised_bytes(widest);
        let qkv = config.q_size() + 2 * config.kv_size();
        let mut each = |bytes: usize| layout.space(work, u64::from(limits.prefill) * bytes as u64);
        BatchPlaces {
            x: each(config.embedding * 4),
            qkv: each(qkv * 4),
            attended: each(config.q_size() * 4),
            gated: each(config.feed_forward * 4),
            values: each(values),
            scales: each(scales),
        }
    }
}
