//! The launches of a batch of a prompt.

use super::decode::{self, Mode};
use super::layout::{NONE, Places};
use super::{Limits, Machine, Step, Value};
use crate::gguf::Tensor;
use crate::model::Model;
use crate::quant::Format;
use crate::repack;

/// Tokens of a block of the products.
const PANEL: u32 = 64;
/// Tiles of a block of the products, a warp each.
const WARPS: u32 = 8;

/// How a prompt goes into the cache. [`super::Plan::prefill`] makes launches of it.
#[derive(Clone, Debug, Default)]
pub struct Prefill(Way);

#[derive(Clone, Debug)]
enum Way {
    /// Many tokens at once.
    Batches(Vec<BatchStep>),
    /// The steps of a token, again and again: for formats that the batch kernels do not have.
    OneByOne(Vec<Step>),
}

impl Default for Way {
    fn default() -> Way {
        Way::OneByOne(Vec::new())
    }
}

/// A launch whose geometry and arguments follow from the number of tokens.
#[derive(Clone, Debug)]
struct BatchStep {
    step: Step,
    grid: Grid,
    /// The argument that is the number of tokens.
    tokens_at: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Grid {
    Fixed,
    /// A column of blocks for each token.
    Tokens,
    /// A row of blocks for each panel.
    Panels,
}

impl Prefill {
    pub(super) fn new(
        model: &Model,
        machine: &Machine,
        limits: &Limits,
        places: &Places,
        token: &[Step],
    ) -> Prefill {
        let batched = limits.prefill > 1 && model.matrices().all(|(_, t)| t.format != Format::F32);
        let mut b = Builder { model, machine, places, steps: Vec::new() };
        if batched {
            b.batch();
            return Prefill(Way::Batches(b.steps));
        }
        b.move_on();
        let last = b.steps.pop().expect("one was just pushed");
        let mut step = last.step;
        step.args[2] = Value::U32(1);
        let layers = token.iter().filter(|s| s.layer.is_some() || s.part == "embedding").cloned();
        Prefill(Way::OneByOne(layers.chain([step]).collect()))
    }

    pub(super) fn steps(&self, tokens: u32) -> Vec<Step> {
        match &self.0 {
            Way::OneByOne(steps) => (0..tokens).flat_map(|_| steps.clone()).collect(),
            Way::Batches(steps) => steps.iter().map(|s| s.for_tokens(tokens)).collect(),
        }
    }
}

impl BatchStep {
    fn for_tokens(&self, tokens: u32) -> Step {
        let mut step = self.step.clone();
        match self.grid {
            Grid::Fixed => {}
            Grid::Tokens => step.grid[0] = tokens,
            Grid::Panels => step.grid[1] = tokens.div_ceil(PANEL),
        }
        if let Some(at) = self.tokens_at {
            step.args[at] = Value::U32(tokens);
        }
        step
    }
}

/// How activations are quantised for weights of a format.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Half,
    Bfloat,
    Bytes,
    BytesBy16,
}

impl Kind {
    fn of(format: Format) -> Kind {
        match format {
            Format::F16 | Format::F32 => Kind::Half,
            Format::Bf16 => Kind::Bfloat,
            Format::Q6K => Kind::BytesBy16,
            Format::Q4_0 | Format::Q8_0 | Format::Q4K | Format::Q5K => Kind::Bytes,
        }
    }

    fn kernel(self) -> &'static str {
        match self {
            Kind::Half => "quantise_half",
            Kind::Bfloat => "quantise_bfloat",
            Kind::Bytes => "quantise_bytes",
            Kind::BytesBy16 => "quantise_bytes_by_16",
        }
    }
}

/// Shared memory of a block of the products: two panels, and two spans of weights for each warp, of which one is
/// filled while the other is used.
fn shared(format: Format) -> u32 {
    let (bytes, runs) = match Kind::of(format) {
        Kind::Half | Kind::Bfloat => (512, 2),
        Kind::Bytes => (256, 4),
        Kind::BytesBy16 => (256, 8),
    };
    let (columns, item) = repack::item(format);
    let span = (columns.max(128) / columns * item) as u32;
    2 * PANEL * (bytes + 64 + runs * 8) + WARPS * 2 * span
}

/// Bytes of a token's quantised activations and of their scales, whatever the format.
pub(super) fn quantised_bytes(columns: usize) -> (usize, usize) {
    let padded = columns.next_multiple_of(256);
    (padded * 4, padded / 16 * 8)
}

fn embed_kernel(format: Format) -> &'static str {
    match format {
        Format::F16 | Format::F32 => "embed_batch_f16",
        Format::Bf16 => "embed_batch_bf16",
        Format::Q4_0 => "embed_batch_q4_0",
        Format::Q8_0 => "embed_batch_q8_0",
        Format::Q4K => "embed_batch_q4_k",
        Format::Q5K => "embed_batch_q5_k",
        Format::Q6K => "embed_batch_q6_k",
    }
}

fn tiles_kernel(format: Format) -> &'static str {
    match format {
        Format::F16 | Format::F32 => "tiles_f16",
        Format::Bf16 => "tiles_bf16",
        Format::Q4_0 => "tiles_q4_0",
        Format::Q8_0 => "tiles_q8_0",
        Format::Q4K => "tiles_q4_k",
        Format::Q5K => "tiles_q5_k",
        Format::Q6K => "tiles_q6_k",
    }
}

struct Builder<'a> {
    model: &'a Model<'a>,
    machine: &'a Machine,
    places: &'a Places,
    steps: Vec<BatchStep>,
}

impl Builder<'_> {
    fn step(
        &mut self,
        (part, layer): (&'static str, Option<u32>),
        (module, kernel): (&'static str, &'static str),
        (grid, blocks): (Grid, [u32; 3]),
        threads: u32,
        args: Vec<Value>,
    ) -> &mut BatchStep {
        let early = self.machine.sm >= 90;
        let step = Step {
            part,
            layer,
            module,
            kernel,
            grid: blocks,
            block: [threads, 1, 1],
            shared: 0,
            carve_out: self.machine.carve_out(0),
            args,
            reads: 0,
            early,
        };
        self.steps.push(BatchStep { step, grid, tokens_at: None });
        self.steps.last_mut().expect("one was just pushed")
    }

    fn batch(&mut self) {
        let (model, p) = (self.model, self.places);
        let (c, b) = (&model.config, &p.batch);
        let table = &model.embedding;
        let columns = Value::U32(table.columns() as u32);
        let args = vec![p.state, b.x, p.history, p.embedding, columns];
        let kernel = ("llama/prefill", embed_kernel(table.format));
        self.step(("embedding", None), kernel, (Grid::Tokens, [1; 3]), 256, args);
        let (q, kv) = (c.q_size() as u32, c.kv_size() as u32);
        let qkv = q + 2 * kv;
        for (index, (layer, at)) in model.layers.iter().zip(&p.layers).enumerate() {
            let on = Some(index as u32);
            let (width, inner) = (c.embedding as u32, c.feed_forward as u32);
            let three =
                [(&layer.q, at.qkv[0], 0), (&layer.k, at.qkv[1], q), (&layer.v, at.qkv[2], q + kv)];
            let mut kind = None;
            for (tensor, place, row) in three {
                let of = Kind::of(tensor.format);
                if kind != Some(of) {
                    self.quantise(("qkv", on), of, b.x, at.attention_norm, width);
                    kind = Some(of);
                }
                self.product(("qkv", on), (tensor, place), (b.qkv, row, qkv), Mode::Store);
            }
            self.attention(index as u32);
            self.quantise(("output", on), Kind::of(layer.output.format), b.attended, NONE, q);
            self.product(("output", on), (&layer.output, at.output), (b.x, 0, width), Mode::Add);
            let (gate, up) = (Kind::of(layer.gate.format), Kind::of(layer.up.format));
            self.quantise(("gate, up", on), gate, b.x, at.ffn_norm, width);
            self.product(
                ("gate, up", on),
                (&layer.gate, at.gate),
                (b.gated, 0, inner),
                Mode::Store,
            );
            if gate != up {
                self.quantise(("gate, up", on), up, b.x, at.ffn_norm, width);
            }
            self.product(("gate, up", on), (&layer.up, at.up), (b.gated, 0, inner), Mode::Gated);
            self.quantise(("down", on), Kind::of(layer.down.format), b.gated, NONE, inner);
            self.product(("down", on), (&layer.down, at.down), (b.x, 0, width), Mode::Add);
        }
        self.move_on();
    }

    fn quantise(
        &mut self,
        part: (&'static str, Option<u32>),
        kind: Kind,
        x: Value,
        norm: Value,
        columns: u32,
    ) {
        let b = &self.places.batch;
        let eps = Value::F32(self.model.config.eps);
        let args = vec![x, norm, b.values, b.scales, Value::U32(columns), eps];
        let kernel = ("llama/prefill", kind.kernel());
        self.step(part, kernel, (Grid::Tokens, [1; 3]), 256, args);
    }

    /// Rows from `row` on of vectors that are `stride` long.
    fn product(
        &mut self,
        part: (&'static str, Option<u32>),
        (tensor, place): (&Tensor, Value),
        (out, row, stride): (Value, u32, u32),
        mode: Mode,
    ) {
        let b = &self.places.batch;
        let tiles = repack::tiles(tensor) as u32;
        let Value::Buffer(buffer, at) = out else { unreachable!("vectors lie in buffers") };
        let args = vec![
            self.places.state,
            Value::Buffer(buffer, at + u64::from(row) * 4),
            Value::U32(stride),
            b.values,
            b.scales,
            place,
            Value::U32(tiles),
            Value::U32(tensor.columns() as u32),
            Value::U32(0),
            Value::U32(mode as u32),
        ];
        let kernel = ("llama/prefill", tiles_kernel(tensor.format));
        let grid = (Grid::Panels, [tiles.div_ceil(WARPS), 1, 1]);
        let made = self.step(part, kernel, grid, WARPS * 32, args);
        made.tokens_at = Some(8);
        made.step.shared = shared(tensor.format);
        made.step.reads = repack::bytes(tensor);
    }

    fn attention(&mut self, layer: u32) {
        let (c, p) = (&self.model.config, self.places);
        let args = decode::attention_args(c, p, layer as usize, p.batch.qkv, p.batch.attended);
        let (remember, attend) = match c.head_size {
            32 => ("remember_32", "attention_32_batch"),
            64 => ("remember_64", "attention_64_batch"),
            _ => ("remember_128", "attention_128_batch"),
        };
        let part = ("attention", Some(layer));
        let heads = c.kv_heads as u32;
        let grid = (Grid::Tokens, [1, heads, 1]);
        self.step(part, ("llama/attention", remember), grid, 64, args.clone());
        let grid = (Grid::Tokens, [1, heads, decode::query_groups(c)]);
        let made = self.step(part, ("llama/attention", attend), grid, 256, args);
        made.step.shared = decode::ATTENTION_SHARED_OF_BATCH;
    }

    fn move_on(&mut self) {
        let p = self.places;
        let args = vec![p.state, p.history, Value::U32(0)];
        let kernel = ("llama/prefill", "move_on");
        let made = self.step(("next token", None), kernel, (Grid::Fixed, [1; 3]), 1, args);
        made.tokens_at = Some(2);
    }
}
