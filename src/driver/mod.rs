//! The seam to the Linux kernel: a small, cold interface with one implementation per driver.
//!
//! Submission never passes through it. Once a channel is open it is memory and a doorbell.

pub(crate) mod nvgpu;
pub(crate) mod rm;
mod sm_error;
pub(crate) mod sys;

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use crate::addr::GpuRange;
use crate::error::{Fault, Result};
use sys::Mapping;

/// Where kernels see the shared memory of their block, and the local memory of their thread, among
/// generic addresses. Every driver keeps both out of the range that allocations come from: a buffer
/// in there could not be reached.
pub(crate) const SHARED_WINDOW: u64 = 0xfe_0000_0000;
pub(crate) const LOCAL_WINDOW: u64 = 0xfd_0000_0000;

/// What a kernel driver does for the runtime. All of it is set-up and tear-down.
pub(crate) trait Driver: Send + Sync + fmt::Debug {
    /// What the GPU is and can do.
    fn info(&self) -> &Info;

    /// Allocates zeroed memory and maps it for the GPU, and for the CPU where `memory` says so.
    fn alloc(&self, len: u64, memory: Memory) -> Result<Allocation>;

    /// Maps a buffer of another library or process, given as a dma-buf.
    fn import(&self, fd: BorrowedFd<'_>) -> Result<Allocation>;

    /// Gives memory back. The caller has made sure that the GPU is done with it: no driver waits.
    fn free(&self, allocation: Allocation);

    /// Opens a channel and everything that has to exist before its first doorbell.
    fn open_channel(&self, engine: Engine, entries: u32) -> Result<ChannelPages>;

    /// Closes a channel; the GPU has finished or the channel is dead.
    fn close_channel(&self, id: ChannelId);

    /// Asks the driver whether a channel is dead, and why. Needs a system call; the notifier of
    /// [`ChannelPages`] answers most cases without one.
    fn fault(&self, id: ChannelId) -> Result<Option<Fault>>;

    /// Raises the notifiers of channels whose end the driver knows of before it has written them
    /// itself. A load where there is no such news.
    fn look(&self) {}

    /// Reads the GPU's clock and the CPU's as close together as the driver can.
    fn clock(&self) -> Result<ClockPair>;
}

/// What memory is for, which decides where it lies and how the CPU sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Memory {
    /// Data that kernels and copies work on: device memory on a desktop GPU, main memory that the
    /// CPU caches on a Jetson. The CPU reaches it only where [`Info::unified_memory`] is true.
    Device,
    /// Main memory that the CPU reads and writes at full speed and the GPU reaches too.
    Host,
    /// Commands: written once by the CPU, front to back, and read by the GPU.
    Command,
}

/// One allocation: where the GPU sees it, and where the CPU does.
#[derive(Debug)]
pub(crate) struct Allocation {
    /// The GPU's view.
    pub(crate) range: GpuRange,
    /// The CPU's view, if there is one.
    pub(crate) host: Option<Mapping>,
}

/// The engine a channel feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// Kernels.
    Compute,
    /// Copies.
    Copy,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Compute => "compute queue",
            Engine::Copy => "copy queue",
        })
    }
}

/// A driver's own number for an open channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ChannelId(pub(crate) u32);

/// An open channel: nothing but memory. The pointers stay valid until
/// [`Driver::close_channel`].
#[derive(Debug)]
pub(crate) struct ChannelPages {
    pub(crate) id: ChannelId,
    /// Ring entries, 8 bytes each.
    pub(crate) ring: NonNull<u64>,
    /// How many; a power of two.
    pub(crate) entries: u32,
    /// The control page that holds GP_GET and GP_PUT.
    pub(crate) userd: NonNull<u32>,
    /// The doorbell register.
    pub(crate) doorbell: NonNull<u32>,
    /// What to store there.
    pub(crate) token: u32,
    /// The status half-word that the driver sets when it kills the channel.
    pub(crate) notifier: NonNull<u16>,
    /// Becomes readable when the channel raises a non-stall interrupt.
    pub(crate) event: Option<OwnedFd>,
}

// SAFETY: the pointers lead into mappings that live as long as the channel, whichever thread
// holds it, and are only used for volatile and atomic accesses.
unsafe impl Send for ChannelPages {}

/// The GPU's clock and the CPU's, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClockPair {
    /// Nanoseconds of the GPU's timer, the one that timestamps are taken from.
    pub gpu_ns: u64,
    /// Nanoseconds of `CLOCK_MONOTONIC` at that moment.
    pub cpu_ns: u64,
    /// How far apart the two readings may lie.
    pub uncertainty_ns: u64,
}

/// The GPU's clock moves in steps of 32 ns.
const GPU_STEP: u64 = 32;

impl ClockPair {
    /// Reads the GPU's clock between two looks at the CPU's: half the time between them bounds the
    /// error.
    pub(crate) fn read(gpu: impl FnOnce() -> Result<u64>) -> Result<ClockPair> {
        let before = sys::monotonic_ns();
        let gpu_ns = gpu()?;
        let after = sys::monotonic_ns();
        Ok(ClockPair {
            gpu_ns,
            cpu_ns: before + (after - before) / 2,
            uncertainty_ns: (after - before).div_ceil(2) + GPU_STEP,
        })
    }

    /// The best of many readings: whatever comes between only makes the looks lie further apart.
    pub(crate) fn best_of(
        readings: u32,
        mut read: impl FnMut() -> Result<ClockPair>,
    ) -> Result<ClockPair> {
        let mut best = read()?;
        for _ in 1..readings {
            let other = read()?;
            if other.uncertainty_ns < best.uncertainty_ns {
                best = other;
            }
        }
        Ok(best)
    }

    /// The `CLOCK_MONOTONIC` time of a GPU timestamp.
    pub fn cpu_time_of(&self, gpu_ns: u64) -> u64 {
        self.cpu_ns.wrapping_add(gpu_ns.wrapping_sub(self.gpu_ns))
    }
}

/// What the GPU is and can do, as far as this crate cares.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The chip, by the driver's name for it.
    pub chip: String,
    /// The kernel driver: `nvgpu` or `nvidia`.
    pub driver: &'static str,
    /// The node that was opened.
    pub node: String,
    /// Where a desktop or server GPU is on the PCI bus, `0000:01:00.0`.
    pub pci: Option<String>,
    /// Compute capability times ten: 87 on Orin, 90 on Hopper.
    pub sm: u32,
    /// Streaming multiprocessors that are switched on. On a Jetson the power mode decides.
    pub sm_count: u32,
    /// Warps that one multiprocessor holds.
    pub warps_per_sm: u32,
    /// Class of the host, which fetches commands.
    pub host_class: u32,
    /// Class of the compute engine.
    pub compute_class: u32,
    /// Class of the copy engine.
    pub copy_class: u32,
    /// Bits of a GPU address.
    pub va_bits: u32,
    /// The range that allocations come from.
    pub va: GpuRange,
    /// Bytes of L2 cache.
    pub l2_bytes: u64,
    /// The highest GPU clock in Hz. The desktop driver does not tell: what it publishes has no call
    /// for it.
    pub max_clock_hz: Option<u64>,
    /// Whether CPU and GPU share one memory and see each other's writes without cache
    /// maintenance.
    pub unified_memory: bool,
}
