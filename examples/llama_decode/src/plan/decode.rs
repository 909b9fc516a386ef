//! The launches of one token.

use std::f64::consts::LOG2_E;

use super::layout::{NONE, Places};
use super::{Limits, Machine, Step, Value};
use crate::gguf::Tensor;
use crate::model::{Config, Model, RopePairs};
use crate::quant::Format;
use crate::repack::{self, TILE_ROWS};

/// What a row kernel does with its products: `Mode` of `rows.cu`.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mode {
    Store = 0,
    Add = 1,
    Swiglu = 2,
    Gated = 3,
    Logits = 4,
}

/// The most warps of a block of the row kernels. All of them prepare the activations, which is what the products wait for.
const MAX_WARPS: u32 = 16;

/// A product of up to three matrices with one vector.
struct Product<'a> {
    part: &'static str,
    layer: Option<u32>,
    matrices: Vec<(&'a Tensor<'a>, Value)>,
    x: Value,
    norm: Value,
    out: Value,
    mode: Mode,
    /// Soon done, so that memory has time for the next one's weights: its blocks take no more room than they use.
    short: bool,
}

/// Items that a warp of the row kernels takes at a time: `STEP` of `rows.cu`.
fn step_items(format: Format, sm: u32) -> u32 {
    if sm < 90 && repack::item(format).0 == 128 { 2 } else { 1 }
}

/// Bytes of a slot of the rings of the row kernels, and how many slots a warp has at most: `SLOT` and `DEPTH` of `rows.cu`.
fn ring(format: Format, sm: u32) -> (u32, u32) {
    let most = if sm < 90 { 8704 } else { 6528 };
    let slot = step_items(format, sm) * repack::item(format).1 as u32;
    (slot, most / slot)
}

/// Shared memory that a block can have.
fn most_shared(sm: u32) -> u32 {
    if sm < 90 { 163 << 10 } else { 227 << 10 }
}

/// Bytes of the activations in shared memory: `Activations` of `activations.h`.
fn activation_bytes(format: Format, columns: u32) -> u32 {
    let padded = columns.next_multiple_of(256);
    match format {
        Format::F32 | Format::F16 | Format::Bf16 => padded * 4 + padded / 64 * 8,
        Format::Q6K => padded * 2 + padded / 16 * 8,
        Format::Q4_0 | Format::Q8_0 | Format::Q4K | Format::Q5K => padded * 2 + padded / 32 * 8,
    }
}

/// The place of a format in the list of `rows_mixed`.
fn number(format: Format) -> u32 {
    let order = [
        Format::F32,
        Format::F16,
        Format::Bf16,
        Format::Q4_0,
        Format::Q8_0,
        Format::Q4K,
        Format::Q5K,
        Format::Q6K,
    ];
    order.iter().position(|f| *f == format).expect("every format is listed") as u32
}

fn rows_kernel(format: Format) -> &'static str {
    match format {
        Format::F32 => "rows_f32",
        Format::F16 => "rows_f16",
        Format::Bf16 => "rows_bf16",
        Format::Q4_0 => "rows_q4_0",
        Format::Q8_0 => "rows_q8_0",
        Format::Q4K => "rows_q4_k",
        Format::Q5K => "rows_q5_k",
        Format::Q6K => "rows_q6_k",
    }
}

fn embed_kernel(format: Format) -> &'static str {
    match format {
        Format::F32 => "embed_f32",
        Format::F16 => "embed_f16",
        Format::Bf16 => "embed_bf16",
        Format::Q4_0 => "embed_q4_0",
        Format::Q8_0 => "embed_q8_0",
        Format::Q4K => "embed_q4_k",
        Format::Q5K => "embed_q5_k",
        Format::Q6K => "embed_q6_k",
    }
}

/// The most blocks that share the positions of one KV head: `SPLITS` of `attention.cu`.
pub(super) const MAX_SPLITS: u32 = 8;
/// Query heads of a block of the attention kernels: `HEADS` of `attention.cu`.
pub(super) const HEADS_OF_BLOCK: u32 = 4;

/// How many blocks share the positions of one KV head.
fn attention_splits(config: &Config, machine: &Machine, limits: &Limits) -> u32 {
    // A cluster, which has one size.
    if machine.sm >= 90 {
        return MAX_SPLITS;
    }
    let rows = config.kv_heads as u32 * query_groups(config);
    (machine.sms / rows).clamp(1, MAX_SPLITS).min(limits.context.div_ceil(256))
}

/// Blocks that share the query heads of a KV head.
pub(super) fn query_groups(config: &Config) -> u32 {
    (config.heads / config.kv_heads).div_ceil(HEADS_OF_BLOCK as usize) as u32
}

/// Keys and values under way in a block of the attention kernels: `UNDER_WAY` of `attention.cu` for each warp.
fn attention_shared(head_size: usize, sm: u32) -> u32 {
    8 * if sm >= 90 && head_size < 128 { 8192 } else { 16384 }
}
/// What they declare themselves for heads of 64, and what the system adds to any block.
const ATTENTION_OWN_SHARED: u32 = 11 << 10;
const RESERVED_SHARED: u32 = 1 << 10;
/// As [`attention_shared`], for a token of a batch.
pub(super) const ATTENTION_SHARED_OF_BATCH: u32 = 8 * 8192;

/// The arguments of every kernel of `attention.cu`.
pub(super) fn attention_args(
    c: &Config,
    p: &Places,
    layer: usize,
    qkv: Value,
    out: Value,
) -> Vec<Value> {
    let at = &p.layers[layer];
    let halves = u32::from(c.rope_pairs == RopePairs::Halves);
    // Scores are taken as powers of two.
    let scale = (LOG2_E / (c.head_size as f64).sqrt()) as f32;
    vec![
        p.state,
        qkv,
        at.keys,
        at.values,
        out,
        at.q_norm,
        at.k_norm,
        p.turns,
        p.partial,
        p.arrived,
        Value::U32(c.heads as u32),
        Value::U32(c.kv_heads as u32),
        Value::U32(halves),
        Value::F32(c.eps),
        Value::F32(scale),
    ]
}

/// Puts the launches of a token together.
struct Builder<'a> {
    config: &'a Config,
    machine: &'a Machine,
    places: &'a Places,
    steps: Vec<Step>,
    /// Which steps are products that are not short.
    long: Vec<usize>,
}

pub(super) fn token(
    model: &Model,
    machine: &Machine,
    limits: &Limits,
    places: &Places,
) -> Vec<Step> {
    let mut b =
        Builder { config: &model.config, machine, places, steps: Vec::new(), long: Vec::new() };
    b.embed(&model.embedding);
    for (index, (layer, at)) in model.layers.iter().zip(&places.layers).enumerate() {
        let number = Some(index as u32);
        let product = |part, matrices, x, norm, out, mode| Product {
            part,
            layer: number,
            matrices,
            x,
            norm,
            out,
            mode,
            short: false,
        };
        let qkv = [&layer.q, &layer.k, &layer.v].into_iter().zip(at.qkv).collect();
        b.product(product("qkv", qkv, places.x, at.attention_norm, places.qkv, Mode::Store));
        b.attention(index, limits);
        let output = vec![(&layer.output, at.output)];
        let output = product("output", output, places.attended, NONE, places.x, Mode::Add);
        b.product(Product { short: true, ..output });
        let (gate, up) = ((&layer.gate, at.gate), (&layer.up, at.up));
        let (x, norm, out) = (places.x, at.ffn_norm, places.gated);
        if layer.gate.format == layer.up.format {
            b.product(product("gate, up", vec![gate, up], x, norm, out, Mode::Swiglu));
        } else {
            b.product(product("gate", vec![gate], x, norm, out, Mode::Store));
            b.product(product("up", vec![up], x, norm, out, Mode::Gated));
        }
        let down = vec![(&layer.down, at.down)];
        b.product(product("down", down, places.gated, NONE, places.x, Mode::Add));
    }
    let head = b.product(Product {
        part: "head",
        layer: None,
        matrices: vec![(&model.head, places.head)],
        x: places.x,
        norm: places.output_norm,
        out: places.logits,
        mode: Mode::Logits,
        short: false,
    });
    b.choose(head, limits);
    b.carve_out();
    b.steps
}

impl Builder<'_> {
    fn step(
        &mut self,
        (part, layer): (&'static str, Option<u32>),
        (module, kernel): (&'static str, &'static str),
        grid: [u32; 3],
        threads: u32,
        args: Vec<Value>,
    ) -> &mut Step {
        let early = self.machine.sm >= 90;
        let block = [threads, 1, 1];
        self.steps.push(Step {
            part,
            layer,
            module,
            kernel,
            grid,
            block,
            shared: 0,
            carve_out: 0,
            args,
            reads: 0,
            early,
        });
        self.steps.last_mut().expect("one was just pushed")
    }

    fn embed(&mut self, table: &Tensor) {
        let p = self.places;
        let columns = table.columns() as u32;
        let args = vec![p.state, p.x, p.history, p.embedding, Value::U32(columns)];
        let blocks = columns.div_ceil(4 * 128);
        let kernel = ("llama/embed", embed_kernel(table.format));
        self.step(("embedding", None), kernel, [blocks, 1, 1], 128, args).reads =
            table.format.bytes(table.columns()) as u64;
    }

    /// Returns the number of blocks.
    fn product(&mut self, product: Product) -> u32 {
        let Product { part, layer, matrices, x, norm, out, mode, short } = product;
        let formats: Vec<Format> = matrices.iter().map(|(tensor, _)| tensor.format).collect();
        let mixed = formats.iter().any(|f| *f != formats[0]);
        let columns = matrices[0].0.columns() as u32;
        let each: Vec<u32> =
            matrices.iter().map(|(tensor, _)| repack::tiles(tensor) as u32).collect();
        let tiles: u32 = each.iter().sum();

        let Machine { sms, sm } = *self.machine;
        // Sums of squares, then two turns of sums of 16 rows for each warp.
        let sums = |warps: u32| (32 + 2 * warps * TILE_ROWS as u32) * 4;
        let bytes_of = |format: &Format, warps: u32, items: u32| {
            let (slot, depth) = ring(*format, sm);
            activation_bytes(*format, columns) + sums(warps) + warps * slot * depth.min(items)
        };
        let most = |of: &dyn Fn(&Format) -> u32| formats.iter().map(of).max().unwrap_or(0);
        let fits = |warps: &u32| most(&|f| bytes_of(f, *warps, u32::MAX)) <= most_shared(sm);
        let warps = (4..=MAX_WARPS).rev().step_by(4).find(fits).unwrap_or(4);

        let steps_of = |f: &Format| repack::items(*f, columns as usize) as u32 / step_items(*f, sm);
        let steps = formats.iter().map(steps_of).min().unwrap_or(1);
        // Tiles go to multiprocessors first, then to groups of warps. A tile that one group computes is the sooner
        // done the more warps it has; where there are many, few groups meet less often.
        let pairing = if mode == Mode::Swiglu { 2 } else { 1 };
        // Blocks of several formats want each matrix to be whole blocks: rows are multiples of 32.
        let groups = match mixed {
            true => 2,
            false => tiles.div_ceil(sms).next_power_of_two().clamp(pairing, 4),
        };
        let split = steps.min(warps / groups);
        // Blocks without a tile keep the next kernel's, which starts early, from sharing multiprocessors.
        let blocks = if mixed { tiles / groups } else { sms };

        let at = |i: usize| matrices.get(i).map_or(NONE, |(_, at)| *at);
        let count = |i: usize| Value::U32(each.get(i).copied().unwrap_or(0));
        let p = self.places;
        let mut args =
            vec![p.state, out, x, norm, at(0), at(1), at(2), count(0), count(1), count(2)];
        args.extend([
            Value::U32(columns),
            Value::F32(self.config.eps),
            Value::U32(mode as u32),
            Value::U32(split),
            Value::U32(groups),
            p.best,
        ]);
        let mut kernel = rows_kernel(formats[0]);
        if mixed {
            kernel = "rows_mixed";
            let codes = formats.iter().enumerate().map(|(i, f)| number(*f) << (4 * i));
            args.push(Value::U32(codes.sum()));
        }
        let kernel = ("llama/rows", kernel);
        let step = self.step((part, layer), kernel, [blocks, 1, 1], warps * 32, args);
        let turns = tiles.div_ceil(groups * blocks);
        let items = |f: &Format| if short { turns * steps_of(f).div_ceil(split) } else { u32::MAX };
        step.shared = most(&|f| bytes_of(f, warps, items(f)));
        step.reads = matrices.iter().map(|(tensor, _)| repack::bytes(tensor)).sum();
        if !short {
            self.long.push(self.steps.len() - 1);
        }
        blocks
    }

    fn attention(&mut self, layer: usize, limits: &Limits) {
        let (c, p) = (self.config, self.places);
        let kernel = match c.head_size {
            32 => "attention_32",
            64 => "attention_64",
            _ => "attention_128",
        };
        let args = attention_args(c, p, layer, p.qkv, p.attended);
        let splits = attention_splits(c, self.machine, limits);
        let grid = [splits, c.kv_heads as u32, query_groups(c)];
        let part = ("attention", Some(layer as u32));
        let shared = attention_shared(c.head_size, self.machine.sm);
        self.step(part, ("llama/attention", kernel), grid, 256, args).shared = shared;
    }

    /// Divides the memory of multiprocessors, the same for all steps: see [`Machine::carve_out`]. Blocks of long products
    /// take more than half of it: beside one that reads, another's requests would come too early.
    fn carve_out(&mut self) {
        let most = |part: &str| {
            let of = self.steps.iter().filter(|step| step.part == part).map(|step| step.shared);
            of.max().unwrap_or(0)
        };
        let both = most("qkv") + RESERVED_SHARED + most("attention") + ATTENTION_OWN_SHARED;
        let carve_out = self.machine.carve_out(both);
        for step in &mut self.steps {
            step.carve_out = carve_out;
        }
        for index in &self.long {
            let step = &mut self.steps[*index];
            step.shared = step.shared.max(carve_out / 2);
        }
    }

    fn choose(&mut self, blocks_of_head: u32, limits: &Limits) {
        let p = self.places;
        let vocab = self.config.vocab as u32;
        let args = vec![
            p.state,
            p.output,
            p.history,
            p.logits,
            p.best,
            Value::U32(blocks_of_head),
            p.candidates,
            Value::U32(vocab),
            Value::U32(limits.ring),
        ];
        let kernel = ("llama/token", "choose");
        self.step(("next token", None), kernel, [1, 1, 1], 1024, args).shared =
            vocab.div_ceil(32) * 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::{self, Mix, Shape};
    use crate::plan::Plan;

    #[test]
    fn on_a_hopper_gpu_long_products_keep_apart_and_leave_room_for_attention() {
        for format in [Format::F16, Format::Q8_0, Format::Q6K, Format::Q4K, Format::Q4_0] {
            let shape = Shape { layers: 1, ..Shape::named("llama-tiny").unwrap() };
            let shape = Shape { embedding: 2048, heads: 32, kv_heads: 8, ..shape };
            let file = made::in_memory(&shape, Mix::All(format), 1).unwrap();
            let model = Model::new(&file).unwrap();
            let limits = Limits { context: 64, prefill: 64, ring: 64 };
            let plan = Plan::new(&model, &Machine { sms: 132, sm: 90 }, &limits).unwrap();
            let step = |part: &str| plan.decode.iter().find(|step| step.part == part).unwrap();
            let carve_out = step("embedding").carve_out;
            assert!(plan.decode.iter().all(|step| step.carve_out == carve_out), "{format:?}");
            let shared = |part: &str| step(part).shared + RESERVED_SHARED;
            for long in ["qkv", "gate, up", "down", "head"] {
                assert!(shared(long) * 2 > carve_out, "{format:?}: two blocks of {long}");
            }
            let attention = step("attention").shared + ATTENTION_OWN_SHARED;
            for beside in ["qkv", "output"] {
                assert!(shared(beside) + attention <= carve_out, "{format:?}: {beside}");
            }
            assert!(shared("output") < shared("qkv"), "{format:?}");
        }
    }
}
