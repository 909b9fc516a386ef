//! The streaming multiprocessor: NVIDIA machine code, decoded and run on the host.
//!
//! A kernel is a [`Program`]; a [`Block`] runs one thread block of it to its end against a
//! [`GlobalMemory`]. Nothing here makes a system call or starts a thread: who calls decides both.
//!
//! The rooms, in the order a word travels: `table` (what each bit means), `decode` (a word is one row
//! of the table or an error), `disasm` (a decoded word as text), `lower` (a decoded word as a compact
//! typed instruction), `meaning` (what an instruction computes, one pure function each) and `exec`
//! (warps, divergence, memory, barriers, faults).

pub mod alone;
mod decode;
mod disasm;
mod exec;
mod lower;
mod meaning;
mod op;
mod program;
pub mod silicon;
mod table;
#[cfg(test)]
mod tests;

pub use decode::{Decoded, Illegal, decode};
pub use exec::{
    Access, Block, By, Cluster, Counter, Fault, FaultKind, GlobalMemory, Launch, MemoryFault,
    Order, Outcome, Scope, Span, Tie, Under, Verb, Watch, Who,
};
pub use program::Program;
pub use table::{FROM_DOCUMENTS, forms};

/// The machine code generations that the interpreter knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// Orin (Ampere, compute capability 8.7).
    Sm87,
    /// H100 and H200 (Hopper, compute capability 9.0).
    Sm90,
}
