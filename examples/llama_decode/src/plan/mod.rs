//! The launches of one token, and of one batch of a prompt, as data.
//!
//! A [`Plan`] names the buffers that a model needs and lists kernels with their geometry and arguments.
//! A backend allocates the buffers, fills them by the plan's [`Upload`]s, loads the cubins that the steps
//! name, and sends the steps in order, each of which depends on the one before it.
//!
//! Nothing in a step changes from token to token. What does, the token and its position, lies in the
//! [`Role::State`] buffer, where the last kernel of each token moves it on: so the steps of a token can be
//! recorded once and replayed, or sent many times with one doorbell.

mod decode;
mod layout;
mod prefill;

pub use prefill::Prefill;

use crate::error::{Error, Result};
use crate::model::Model;
use crate::repack;

/// Words of the [`Role::State`] buffer: little-endian, 32 bits each.
///
/// The CPU writes them before a run; during the run they are the GPU's.
pub mod state {
    /// Bytes of the buffer.
    pub const BYTES: u64 = 256;
    /// The token that the next step embeds.
    pub const TOKEN: usize = 0;
    /// Where in the context it stands.
    pub const POSITION: usize = 1;
    /// Non-zero: every kernel returns at once; nothing is emitted or moved on.
    pub const STOP: usize = 2;
    /// Tokens emitted since the run began.
    pub const EMITTED: usize = 3;
    /// Stop when as many are emitted.
    pub const LIMIT: usize = 4;
    /// Up to four tokens that end the text, from here on; [`NO_TOKEN`] where there is none.
    pub const END_TOKENS: usize = 5;
    /// Positions that the cache has room for: [`Limits::context`](super::Limits::context).
    pub const CONTEXT: usize = 9;
    /// Temperature, f32; 0 takes the likeliest token.
    pub const TEMPERATURE: usize = 16;
    /// Only so many of the likeliest tokens are drawn from; 0 for all.
    pub const TOP_K: usize = 17;
    /// The likeliest tokens that together have this probability, f32.
    pub const TOP_P: usize = 18;
    /// Tokens with at least this share of the likeliest one's probability, f32.
    pub const MIN_P: usize = 19;
    /// Repetition penalty, f32; 1 for none.
    pub const PENALTY: usize = 20;
    /// How many of the last tokens the penalty looks at.
    pub const LAST_N: usize = 21;
    /// Seed of the random numbers, 64 bits.
    pub const SEED: usize = 22;
    /// In [`END_TOKENS`]: no token.
    pub const NO_TOKEN: u32 = 0xffff_ffff;
}

/// Words of the [`Role::Output`] buffer: little-endian, 32 bits each.
///
/// The GPU writes a token, then the count that includes it; the CPU polls the count.
pub mod output {
    /// Tokens emitted so far in this run.
    pub const COUNT: usize = 0;
    /// Why the run stopped: one of the reasons below, 0 while it goes on.
    pub const REASON: usize = 1;
    /// The ring of tokens from here on; token `n` is at `n % ring`.
    pub const RING: usize = 64;
    /// An end-of-text token was emitted.
    pub const END_OF_TEXT: u32 = 1;
    /// As many tokens as were allowed were emitted.
    pub const LIMIT: u32 = 2;
    /// The cache is full.
    pub const CONTEXT_FULL: u32 = 3;
}

/// A buffer of a plan: its index in [`Plan::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// Whose memory a buffer is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The GPU's own.
    Gpu,
    /// Cached host memory that the GPU addresses too.
    Shared,
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Filled once by the uploads, then only read.
    Weights,
    /// Keys and values of the positions so far. Any content to begin with.
    Cache,
    /// What kernels hand to each other within a token. Zeroed before the first run.
    Activations,
    /// The words of [`state`].
    State,
    /// The words of [`output`].
    Output,
    /// The tokens so far: one u32 for each position. The kernels add each token that they embed or emit;
    /// a prompt is written here by the CPU before its prefill.
    History,
    /// The logits of the last token, f32, one for each word of the vocabulary. Behind them may be others that
    /// mean nothing.
    Logits,
}

/// A buffer that a backend must allocate.
#[derive(Clone, Debug)]
pub struct BufferSpec {
    /// For tables and messages.
    pub name: String,
    /// Size; addresses that kernels get are at least 256-byte aligned if the buffer is.
    pub bytes: u64,
    /// Whose memory.
    pub place: Place,
    /// What for.
    pub role: Role,
}

/// An argument of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// The GPU address of a buffer plus an offset in bytes.
    Buffer(BufferId, u64),
    /// A 32-bit integer.
    U32(u32),
    /// A 32-bit float.
    F32(f32),
    /// A 64-bit integer.
    U64(u64),
}

/// One launch. It depends on the step before it.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which part of the model this is, for tables: `qkv`, `attention` ...
    pub part: &'static str,
    /// Which layer, if it belongs to one.
    pub layer: Option<u32>,
    /// Name of the cubin.
    pub module: &'static str,
    /// Name of the kernel in it.
    pub kernel: &'static str,
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Dynamic shared memory of a block in bytes. May exceed 48 KiB, which the CUDA driver wants to be asked for.
    pub shared: u32,
    /// What each multiprocessor had best set aside as shared memory meanwhile, in bytes; 0 if there
    /// is nothing to say.
    pub carve_out: u32,
    /// One for each parameter of the kernel, in order.
    pub args: Vec<Value>,
    /// Bytes of weights and cache that the step must read, the cache at an empty context: for GB/s.
    pub reads: u64,
    /// The kernel waits for its predecessor by itself, so it may start before that has ended.
    pub early: bool,
}

/// The machine that a plan is for.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Multiprocessors.
    pub sms: u32,
    /// Compute capability, two digits: 87, 90.
    pub sm: u32,
}

impl Machine {
    /// What each multiprocessor had best set aside as shared memory for all launches, in bytes, where a
    /// block of a product and one of attention need `both`.
    ///
    /// A multiprocessor divides its memory anew only when it is empty, so launches that overlap should
    /// agree. On an H200 it is best to have both blocks there at once, as attention's keys then come
    /// while the product before it works, and the next product's weights while attention does. With
    /// no more than 164 KiB otherwise: each step more costs a model of 3B 8 %, and with 228 too
    /// little L1 is left. The CUDA driver gets along better with its own choice, which differs from
    /// kernel to kernel, and keeps it. On an Orin nothing overlaps.
    fn carve_out(&self, both: u32) -> u32 {
        match both {
            _ if self.sm < 90 => 0,
            both if both <= 196 << 10 => both.max(164 << 10),
            _ => 164 << 10,
        }
    }
}

/// What the user allows for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Positions of the cache.
    pub context: u32,
    /// The most tokens of one prefill batch.
    pub prefill: u32,
    /// Tokens in the ring of the output buffer.
    pub ring: u32,
}

/// What goes into a buffer before the first run.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The buffer.
    pub to: BufferId,
    /// Where in it.
    pub at: u64,
    /// How many bytes.
    pub bytes: u64,
    /// What.
    pub source: Source,
}

/// Where the content of an [`Upload`] comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A matrix of the file, by name, laid out anew by [`crate::repack`].
    Matrix(String),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// The buffers of a model and the launches that decode with it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to allocate; [`BufferId`] counts these.
    pub buffers: Vec<BufferSpec>,
    /// What to fill them with.
    pub uploads: Vec<Upload>,
    /// The launches of one token, in order.
    pub decode: Vec<Step>,
    /// How a prompt goes into the cache.
    pub prefill: Prefill,
}

impl Plan {
    /// Lists what `model` needs on `machine`.
    pub fn new(model: &Model, machine: &Machine, limits: &Limits) -> Result<Plan> {
        let config = &model.config;
        let refuse = |why: String| Err(Error::Model(why));
        for (layer, tensor) in model.matrices() {
            repack::check(layer, &tensor)?;
        }
        if ![32, 64, 128].contains(&config.head_size) {
            return refuse(format!(
                "its heads have {} elements; the kernels are written for 32, 64 and 128",
                config.head_size
            ));
        }
        if limits.context == 0 || limits.ring == 0 {
            return refuse("a context or a ring of no tokens holds nothing".into());
        }
        let mut layout = layout::Layout::default();
        let places = layout::Places::new(&mut layout, model, machine, limits);
        let decode = decode::token(model, machine, limits, &places);
        let prefill = Prefill::new(model, machine, limits, &places, &decode);
        Ok(Plan { buffers: layout.buffers, uploads: layout.uploads, decode, prefill })
    }

    /// The launches that put `tokens` tokens into the cache: at most [`Limits::prefill`], and no more than the
    /// cache has room for.
    ///
    /// They are the words of the history from [`state::POSITION`] on. Afterwards the position is `tokens` further and
    /// [`state::TOKEN`] is the word of the history there. So all of a prompt but its last token goes through here, and
    /// [`Plan::decode`] on the last one gives the first new token. Before the first batch [`state::TOKEN`] must be the
    /// prompt's first token.
    pub fn prefill(&self, tokens: u32) -> Vec<Step> {
        self.prefill.steps(tokens)
    }
}
