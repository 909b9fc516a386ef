//! Running a block: warps as groups of lanes, their memories, barriers and faults.

mod across;
mod block;
mod cluster;
mod code;
mod control;
mod fault;
mod general;
mod global;
mod group;
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
mod watch;
mod watched;

#[cfg(test)]
pub(crate) use code::PLAIN;
pub(crate) use code::Ready;

pub use block::{Block, Launch, Order, Outcome};
pub use cluster::Cluster;
pub use fault::{Fault, FaultKind};
pub use global::{GlobalMemory, MemoryFault, Span};
pub use watch::{Access, By, Counter, Scope, Tie, Under, Verb, Watch, Who};
