//! Drives NVIDIA GPUs straight through their kernel driver: no CUDA driver, no CUDA runtime.

mod addr;
mod barrier;
mod channel;
mod device;
mod driver;
mod error;
mod memory;
mod queue;
mod signal;

pub use addr::{GpuRange, GpuVa};
pub use device::{Device, Options, Select};
pub use driver::{ClockPair, Engine, Info, Memory};
pub use error::{Error, Fault, FaultKind, Result};
pub use memory::{Buffer, Element, View};
pub use queue::{Commands, Place, Queue, Recorder, Recording, Signal, Slot, Value};
pub use signal::{Ticket, Timeline, WaitPolicy};
