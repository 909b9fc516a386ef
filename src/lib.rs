//! Drives NVIDIA GPUs straight through their kernel driver: no CUDA driver, no CUDA runtime.
//!
//! On a Jetson Orin the crate opens nvgpu and nvmap by ioctl, sets up an address space, channels
//! and semaphores, and from then on talks to the hardware's own command queues: it writes a ring
//! entry, rings a doorbell and watches a word in memory. Submitting is some tens of nanoseconds of
//! stores: no system call, no lock, no allocation.
//!
//! A complete program. It runs on an Orin as it is; on a machine without a GPU run it with
//! `doorbell emulate -- PROGRAM`, and the software Orin answers beneath the system calls.
//!
//! ```
//! use doorbell::{Commands, Device, Memory, Select};
//! use std::time::Duration;
//!
//! fn main() -> doorbell::Result<()> {
//! #   let _orin = emulator::start_unless_gpu();
//!     let device = Device::open(Select::Auto)?;
//!     println!("{device:?}");
//!
//!     // Memory that CPU and GPU share, and memory for the GPU's own work.
//!     let from = device.alloc_in::<f32>(Memory::Host, 1024)?;
//!     let inside = device.alloc::<f32>(1024)?;
//!     let back = device.alloc_in::<f32>(Memory::Host, 1024)?;
//!     from.write(0, &[1.5; 1024])?;
//!
//!     // Commands are encoded into memory that the GPU reads; one doorbell sends them.
//!     let mut queue = device.copy_queue()?;
//!     let done = device.timeline()?;
//!     queue.copy(&inside, &from)?.copy(&back, &inside)?.signal(&done, 1)?;
//!     let ticket = queue.submit()?;
//!
//!     done.wait(1, Duration::from_secs(1))?; // what was encoded before the signal is done
//!     ticket.wait(Duration::from_secs(1))?; // and here all of the submission
//!     assert_eq!(back.get(1023)?, 1.5);
//!     Ok(())
//! }
//! ```
//!
//! Kernels come from cubins, which any CUDA 12 or 13 toolkit writes and this crate reads by itself:
//!
//! ```no_run
//! use doorbell::{Commands, Device, Launch, Module, Select, args};
//! # use std::time::Duration;
//! let device = Device::open(Select::Auto)?;
//! let module = Module::load(&device, &std::fs::read("vector.cubin").expect("a cubin"))?;
//! let add = module.kernel("vector_add")?;
//! let [a, b, sum] = [device.alloc::<f32>(1024)?, device.alloc(1024)?, device.alloc(1024)?];
//! let mut queue = device.compute_queue()?;
//! // SAFETY: the kernel reads 1,024 elements of `a` and `b` and writes as many of `sum`.
//! unsafe { queue.exec(&add, &Launch::new(4, 256), &args![&sum, &a, &b, 1024u32])? };
//! queue.submit()?.wait(Duration::from_secs(1))?;
//! # Ok::<(), doorbell::Error>(())
//! ```
//!
//! # How it fits together
//!
//! * [`Device`] is an open GPU. [`Buffer`]s are its memory, [`Timeline`]s are 64-bit counters that
//!   queues and the CPU raise and wait for.
//! * A [`Module`] is a cubin in GPU memory, a [`Kernel`] one function of it.
//! * A [`Queue`] feeds one engine with [`Commands`], in order. [`Queue::submit`] returns a
//!   [`Ticket`]. Queues run beside each other and wait for each other through timelines, without
//!   the CPU.
//! * A [`Recording`] holds commands that are laid out once and replayed with one doorbell; its
//!   [`Slot`]s are the few values that change from replay to replay.
//! * What goes wrong is an [`Error`] of one sentence. A GPU fault ends the queue, not the process.
//!
//! # What is checked, and what is not
//!
//! Sizes, places and slots are checked when a command is encoded, and that all belongs to the queue's
//! own device. Buffers may be dropped at any time: their memory goes back when the GPU is done with it.
//! The crate never forms a reference to memory that the GPU can write. Launching a kernel is `unsafe`:
//! what the kernel does with its arguments nobody can check.
//!
//! # Waiting, threads and processes
//!
//! Every wait names a time. One that runs out ends the wait and not the work: the ticket or timeline can
//! be waited for again. Dropping a [`Queue`] waits for what it sent, at most
//! [`Options::stall_timeout`], and then closes the channel, which ends a kernel that never would.
//!
//! [`Device`], [`Buffer`], [`Timeline`], [`Module`] and [`Kernel`] can be used from any number of threads
//! at once. A [`Queue`], a [`Recorder`] and a [`Recording`] have one user at a time and may move
//! between threads; each thread can have queues of its own.
//!
//! A device belongs to the process that opened it. After `fork` its memory is not there in the child,
//! which must neither use nor drop it, nor what came of it; the child opens a device of its own.

mod addr;
mod args;
mod barrier;
mod channel;
pub mod cubin;
mod device;
mod driver;
mod error;
mod memory;
mod module;
mod qmd;
mod queue;
mod signal;

pub use addr::{GpuRange, GpuVa};
pub use args::Arg;
pub use device::{Device, Options, Select};
pub use driver::{ClockPair, Engine, Info, Memory};
pub use error::{Access, Error, Fault, FaultKind, Result};
pub use memory::{Buffer, Element, View};
pub use module::{Dim, Kernel, Launch, Module};
pub use queue::{
    Commands, LaunchSlot, Node, Place, Queue, Recorder, Recording, Shape, Signal, Slot, Value,
};
pub use signal::{Ticket, Timeline, WaitPolicy};

/// What the page above promises of threads.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    const fn moved<T: Send>() {}
    shared::<Device>();
    shared::<Buffer>();
    shared::<Timeline>();
    shared::<Module>();
    shared::<Kernel>();
    shared::<Error>();
    moved::<Queue>();
    moved::<Recorder>();
    moved::<Recording>();
};
