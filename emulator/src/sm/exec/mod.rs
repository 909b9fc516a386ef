//! Running a block: warps as groups of lanes, their memories, barriers and faults.

mod across;
mod block;
mod code;
mod control;
mod fault;
mod general;
mod global;
mod hot;
mod integers;
mod lanes;
mod memory;
mod packed;
mod run;
mod sparse;
mod tensor;
mod uniform;
mod warp;
mod watched;

pub(crate) use code::Ready;

pub use block::{Block, Launch, Order, Outcome};
pub use fault::{Fault, FaultKind};
pub use global::{GlobalMemory, MemoryFault, Span};
pub use watched::{Access, Scope, Verb, Watch, Who};
