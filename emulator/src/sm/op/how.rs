//! What an instruction asks of the operation that it names.

use super::Pred;
use crate::sm::meaning::floating::Summation;
use crate::sm::meaning::integer::Atomic;
use crate::sm::meaning::mbarrier::Change;
use crate::sm::meaning::round::Format;
use crate::sm::meaning::tensor::{Element, Small};
use crate::sm::meaning::{Combine, Round, half};

/// The named barriers of a block; the number of the cluster's follows.
pub(crate) const BARRIERS: usize = 16;
pub(crate) const CLUSTER_BARRIER: u32 = BARRIERS as u32;

/// The width and extension of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    U8,
    S8,
    U16,
    S16,
    W32,
    W64,
    W128,
}

impl Width {
    pub(crate) fn from_field(value: u64) -> Width {
        use Width::*;
        [U8, S8, U16, S16, W32, W64, W128][(value as usize).min(6)]
    }

    pub(crate) fn bytes(self) -> u32 {
        match self {
            Width::U8 | Width::S8 => 1,
            Width::U16 | Width::S16 => 2,
            Width::W32 => 4,
            Width::W64 => 8,
            Width::W128 => 16,
        }
    }

    /// How many registers hold it.
    pub(crate) fn registers(self) -> u16 {
        self.bytes().div_ceil(4) as u16
    }
}

/// Which memory an instruction means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Global,
    /// Decided by the address: shared window, local window, else global.
    Generic,
    /// The block's own shared memory.
    Shared,
    /// Shared memory of the cluster: the upper byte of an address is the rank of a block.
    Cluster,
    Local,
}

/// Which way bytes go in bulk. Shared memory that they come to may be another block's of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    GlobalToShared,
    SharedToGlobal,
    SharedToShared,
}

/// What an atomic does and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtomicOp {
    Integer {
        op: Atomic,
        wide: bool,
        signed: bool,
    },
    /// One more for every lane.
    Count,
    /// An arrival at a barrier in memory, as Ampere has them.
    Arrive,
    /// A change of a barrier of Hopper: what is fixed, and what the operand counts.
    Change {
        plus: Change,
        times: Change,
    },
    /// Addition in single precision; denormals flushed or not.
    AddF32 {
        flush: bool,
    },
    AddF64,
    /// Packed halves: 0 add, 1 minimum, 2 maximum.
    Halves {
        kind: half::Kind,
        op: u8,
    },
    Cas {
        wide: bool,
    },
    /// A swap that reports success instead of the old value.
    CasTest {
        wide: bool,
    },
}

impl AtomicOp {
    pub(crate) fn bytes(self) -> u32 {
        match self {
            AtomicOp::Integer { wide, .. }
            | AtomicOp::Cas { wide }
            | AtomicOp::CasTest { wide }
                if wide =>
            {
                8
            }
            AtomicOp::AddF64 | AtomicOp::Arrive | AtomicOp::Change { .. } => 8,
            _ => 4,
        }
    }

    /// Whether it is one that both global and shared memory have a unit for: those of integers of 32 bits.
    pub(crate) fn is_of_words(self) -> bool {
        matches!(self, AtomicOp::Integer { wide: false, .. } | AtomicOp::Cas { wide: false })
    }

    /// Whether shared memory does it for a generic address. Of others, but for swaps of 64 bits, compilers make a
    /// loop there.
    pub(crate) fn is_done_by_shared(self) -> bool {
        let swaps =
            matches!(self, AtomicOp::Integer { op: Atomic::Exchange, .. } | AtomicOp::Cas { .. });
        swaps || self.is_of_words()
    }
}

/// A comparison of the set-predicate family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compare {
    pub(crate) mask: u8,
    pub(crate) combine: Combine,
    pub(crate) with: Pred,
    /// The two predicate destinations.
    pub(crate) p: u8,
    pub(crate) q: u8,
}

/// How a branch depends on the shape of the executing set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BranchWhen {
    Always,
    /// The executing set is not the mask.
    Diverged,
    /// The executing set is the mask.
    Converged,
    /// The condition holds in any lane.
    Any,
}

/// How a vote combines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VoteMode {
    All,
    Any,
    Equal,
}

/// How a reduction over lanes combines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReduceOp {
    And,
    Or,
    Xor,
    Sum,
    Min,
    Max,
}

/// Where a shuffle reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shuffle {
    Index,
    Up,
    Down,
    Butterfly,
}

/// What a named barrier does with who arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BarrierMode {
    Wait,
    /// Counted, but not held.
    Arrive,
    CountTrue,
    AllTrue,
    AnyTrue,
}

/// What an atomic of several words does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WideAtomic {
    /// The same to each word.
    Words(AtomicOp),
    Exchange,
    Cas,
}

/// What a product of a warp group multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupOf {
    Floats {
        element: Element,
        how: Summation,
        single: bool,
    },
    /// Floats of eight bits, A's and B's.
    Eighths {
        formats: [Format; 2],
        single: bool,
    },
    Integers {
        kinds: (Small, Small),
        saturate: bool,
    },
    /// Bits that both have.
    Bits,
}

impl GroupOf {
    /// Whether sums have a register each: only some floats add up to halves.
    pub(crate) fn single(self) -> bool {
        !matches!(
            self,
            GroupOf::Floats { single: false, .. } | GroupOf::Eighths { single: false, .. }
        )
    }
}

/// What is done to A and to B before they are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flips {
    pub(crate) negate: [bool; 2],
    /// They lie in memory by columns of A, or rows of B.
    pub(crate) turn: [bool; 2],
}

/// What a sparse product multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SparseOf {
    Floats { element: Element, how: Summation, single: bool },
    Integers { kinds: (Small, Small), saturate: bool },
}

/// How a float becomes an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ToInteger {
    pub(crate) round: Round,
    pub(crate) flush: bool,
    pub(crate) nan_to_zero: bool,
}

/// How singles become packed halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackHalves {
    pub(crate) kind: half::Kind,
    pub(crate) round: Round,
    pub(crate) relu: bool,
    pub(crate) finite: bool,
}
