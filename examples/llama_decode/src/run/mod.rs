//! Runs a plan on a GPU: straight through its queues, or through the CUDA driver.
//!
//! A [`Backend`] has the plan's buffers and sends its steps, and knows nothing of tokens. A
//! [`Decoder`] knows what the State and Output buffers mean, keeps the GPU fed and collects what it
//! emits. Both backends launch the same cubins with the same arguments in the same order.

mod arguments;
mod clock;
mod cubins;
mod cuda;
mod decode;
mod direct;
mod interrupt;
mod load;

mod staging;
mod start;
mod state;

use std::fmt;
use std::time::{Duration, Instant};

use crate::plan::{BufferId, Limits, Machine, Plan, Role, Step};

pub use clock::cpu_time;
pub use cuda::Cuda;
pub use decode::{Decoder, Ending, Pace, Run, Wait};
pub use direct::Direct;
pub use interrupt::{INTERRUPTED, Interrupt};
pub use load::load;
pub use start::start;

/// The way to the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// The GPU's own queues: one recording, one doorbell; kernels start early where they can
    Direct,
    /// The same, every kernel waiting for the one before it to end
    DirectPlain,
    /// A CUDA graph, with programmatic edges where kernels can start early
    CudaGraph,
    /// A CUDA graph in which every kernel waits for the one before it to end
    CudaGraphPlain,
    /// Launches into a CUDA stream, one by one
    CudaStream,
}

impl Via {
    /// All of them, in the order of tables.
    pub const ALL: [Via; 5] =
        [Via::Direct, Via::DirectPlain, Via::CudaGraph, Via::CudaGraphPlain, Via::CudaStream];

    /// Whether it goes without the CUDA driver.
    pub fn is_direct(self) -> bool {
        matches!(self, Via::Direct | Via::DirectPlain)
    }

    /// Whether kernels that wait by themselves start before the one ahead of them has ended.
    pub fn starts_early(self) -> bool {
        !matches!(self, Via::DirectPlain | Via::CudaGraphPlain)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Via::Direct => "direct",
            Via::DirectPlain => "direct-plain",
            Via::CudaGraph => "cuda-graph",
            Via::CudaGraphPlain => "cuda-graph-plain",
            Via::CudaStream => "cuda-stream",
        })
    }
}

/// What [`Backend`]s return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, each as one sentence.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or what is in it cannot be used.
    #[error(transparent)]
    File(#[from] crate::error::Error),
    /// The direct way to the GPU failed.
    #[error(transparent)]
    Device(#[from] doorbell::Error),
    /// The CUDA driver failed, or is not there.
    #[error(transparent)]
    Cuda(#[from] libcuda::Error),
    /// This way to the GPU does not exist here.
    #[error("{0}")]
    Unavailable(String),
    /// Something that cannot be done.
    #[error("{0}")]
    Request(String),
    /// Who read standard output has gone, as `head` does, and wants no more.
    #[error("nobody reads standard output")]
    Gone,
    /// The model and its cache do not fit.
    #[error(
        "too little GPU memory: this model needs {} with a context of {context} tokens, of which {} are the cache, and {available}: choose a smaller --context or a smaller file",
        Mib(*.needed), Mib(*.cache)
    )]
    Memory {
        /// Bytes of all buffers.
        needed: u64,
        /// Of these, the cache's.
        cache: u64,
        /// Tokens of context.
        context: u32,
        /// What is known of what there is, as a clause.
        available: String,
    },
    /// A kernel did not end well.
    #[error("{kernel}: {source}")]
    Kernel {
        /// Which kernel, of which part and layer of the model.
        kernel: String,
        /// What happened.
        source: Box<Error>,
    },
    /// The GPU emits nothing any more, and reports no fault.
    #[error("the GPU has emitted nothing for {:.1} s and reports no fault", .0.as_secs_f64())]
    Silence(std::time::Duration),
}

impl Error {
    /// What happened, with the kernel that it happened to.
    pub(crate) fn of_step(step: &Step, source: Error) -> Error {
        Error::Kernel { kernel: name_of(step), source: Box::new(source) }
    }

    pub(crate) fn request(text: impl Into<String>) -> Error {
        Error::Request(text.into())
    }
}

/// A number of bytes as people read it.
#[derive(Debug, Clone, Copy)]
pub struct Mib(pub u64);

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 as f64 {
            bytes if bytes < 10.0 * 1024.0 => return f.pad(&format!("{} B", self.0)),
            bytes if bytes < 10.0 * 1048576.0 => (bytes / 1024.0, "KiB"),
            bytes => (bytes / 1048576.0, "MiB"),
        };
        f.pad(&format!("{value:.1} {unit}"))
    }
}

/// A GPU, with a plan's buffers and kernels in it.
///
/// The calls come in this order: `place` once; then `write` and `settle` until all is loaded;
/// `prepare` once; then any.
pub trait Backend: fmt::Debug {
    /// What plans must know of the GPU.
    fn machine(&self) -> Machine;

    /// The GPU, its driver and the way to it, as a line of a report.
    fn describe(&self) -> String;

    /// Allocates the plan's buffers, zeroed, and loads its kernels.
    fn place(&mut self, plan: &Plan, limits: &Limits) -> Result<()>;

    /// Writes into a buffer. Done when [`Backend::settle`] returns.
    fn write(&mut self, buffer: BufferId, at: u64, bytes: &[u8]) -> Result<()>;

    /// Waits until all writes are in place.
    fn settle(&mut self) -> Result<()>;

    /// Reads from a buffer. Nothing that was sent may still run.
    fn read(&mut self, buffer: BufferId, at: u64, bytes: &mut [u8]) -> Result<()>;

    /// The 32-bit word `index` of a shared buffer, as it is at this moment. What the GPU wrote
    /// before it is visible too.
    fn word(&self, buffer: BufferId, index: usize) -> u32;

    /// Launches steps one after the other.
    fn send(&mut self, steps: &[Step]) -> Result<()>;

    /// Lays out what [`Backend::ring`] sends: the steps, `repeats` times. Up to `ahead` rings may be
    /// under way at once.
    fn prepare(&mut self, steps: &[Step], repeats: u32, ahead: u32) -> Result<()>;

    /// Sends what was prepared.
    fn ring(&mut self) -> Result<()>;

    /// Whether everything that was sent has ended. A fault of the GPU comes out here.
    fn is_idle(&mut self) -> Result<bool>;

    /// Waits until everything that was sent has ended.
    fn finish(&mut self, patience: Duration) -> Result<()> {
        let began = Instant::now();
        while !self.is_idle()? {
            if began.elapsed() > patience {
                return Err(Error::Silence(began.elapsed()));
            }
            std::hint::spin_loop();
        }
        Ok(())
    }

    /// Runs steps once, with a timestamp after each.
    fn profile(&mut self, steps: &[Step]) -> Result<Vec<Span>>;

    /// After a fault or a silence: runs the steps once more, one by one, and finds the one that does
    /// not end; where it cannot tell, nothing.
    fn blame(&mut self, steps: &[Step]) -> Option<String>;
}

/// Opens the GPU. Its buffers come with [`Backend::place`].
pub fn open(via: Via) -> Result<Box<dyn Backend>> {
    Ok(match via {
        Via::Direct => Box::new(Direct::open()?),
        Via::DirectPlain => Box::new(Direct::open_plain()?),
        Via::CudaGraph | Via::CudaGraphPlain | Via::CudaStream => Box::new(Cuda::open(via)?),
    })
}

/// When a kernel worked, by the GPU's clock in nanoseconds: from the end of the one before it to its
/// own.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The one before it ended.
    pub began: u64,
    /// It ended.
    pub ended: u64,
}

/// A step as people read it: `attention` (part, layer).
pub(crate) fn name_of(step: &Step) -> String {
    match step.layer {
        Some(layer) => format!("kernel `{}` ({}, layer {layer})", step.kernel, step.part),
        None => format!("kernel `{}` ({})", step.kernel, step.part),
    }
}

/// The plan does not fit; `available` is a clause.
fn too_little(plan: &Plan, limits: &Limits, available: String) -> Error {
    let of = |role: Option<Role>| {
        let chosen =
            plan.buffers.iter().filter(|buffer| role.is_none_or(|role| buffer.role == role));
        chosen.map(|buffer| buffer.bytes).sum()
    };
    let (needed, cache) = (of(None), of(Some(Role::Cache)));
    Error::Memory { needed, cache, context: limits.context, available }
}
