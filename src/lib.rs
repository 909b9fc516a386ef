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
//!     done.wait(1, Duration::from_secs(1))?;
//!     assert!(ticket.is_done());
//!     assert_eq!(back.get(1023)?, 1.5);
//!     Ok(())
//! }
//! ```
//!
//! # How it fits together
//!
//! * [`Device`] is an open GPU. [`Buffer`]s are its memory, [`Timeline`]s are 64-bit counters that
//!   queues and the CPU raise and wait for.
//! * A [`Queue`] feeds one engine with [`Commands`], in order. [`Queue::submit`] returns a
//!   [`Ticket`]. Queues run beside each other and wait for each other through timelines, without
//!   the CPU.
//! * A [`Recording`] holds commands that are laid out once and replayed with one doorbell; its
//!   [`Slot`]s are the few values that change from replay to replay.
//! * What goes wrong is an [`Error`] of one sentence. A GPU fault ends the queue, not the process.
//!
//! # What is checked, and what is not
//!
//! Sizes, places and slots are checked when a command is encoded. Buffers may be dropped at any
//! time: their memory goes back when the GPU is done with it. The crate never forms a reference to
//! memory that the GPU can write.

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
pub use error::{Error, Fault, FaultKind, Result};
pub use memory::{Buffer, Element, View};
pub use module::{Dim, Kernel, Launch, Module};
pub use queue::{Commands, Place, Queue, Recorder, Recording, Signal, Slot, Value};
pub use signal::{Ticket, Timeline, WaitPolicy};
