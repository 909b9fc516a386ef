//! What stops a kernel.

use crate::sm::decode::Illegal;
use std::fmt;

/// Why an instruction could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The word is no legal instruction.
    IllegalInstruction(Illegal),
    /// Control left the code.
    OutsideCode,
    /// A register beyond those that the launch allocated.
    Register {
        /// How many the launch has.
        allocated: u32,
    },
    /// Nothing is mapped at a global address.
    Unmapped,
    /// A store or atomic to a read-only mapping.
    ReadOnly,
    /// An address that is not a multiple of the access size.
    Misaligned {
        /// The access size.
        bytes: u32,
    },
    /// Outside the block's shared memory.
    Shared {
        /// How much there is.
        size: u32,
    },
    /// Shared memory of a block that does not run.
    NoBlock {
        /// Its rank in the cluster.
        rank: u32,
    },
    /// A descriptor of a matrix that begins within a pattern of its swizzle.
    MatrixOffset,
    /// Outside the thread's local memory.
    Local,
    /// An operation that this memory does not have.
    WrongSpace,
    /// A constant beyond the end of its bank, or a bank that is not bound.
    Constant {
        /// The bank.
        bank: u8,
        /// Its size in bytes.
        size: usize,
    },
    /// A named barrier beyond those that the launch allocated.
    Barrier {
        /// Its number.
        id: u32,
        /// How many the launch has.
        allocated: u32,
    },
    /// Every warp waits for threads that never come.
    Deadlock,
    /// The program asked for it.
    Trap(u8),
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::IllegalInstruction(why) => write!(f, "illegal instruction {why}"),
            FaultKind::OutsideCode => write!(f, "control left the code"),
            FaultKind::Register { allocated } => {
                write!(f, "register beyond the {allocated} allocated")
            }
            FaultKind::Unmapped => write!(f, "nothing is mapped there"),
            FaultKind::ReadOnly => write!(f, "the mapping is read-only"),
            FaultKind::Misaligned { bytes } => {
                write!(f, "not aligned for an access of {bytes} bytes")
            }
            FaultKind::Shared { size } => write!(f, "outside the {size} bytes of shared memory"),
            FaultKind::NoBlock { rank } => {
                write!(f, "no block of rank {rank} is in the cluster, or it has ended")
            }
            FaultKind::MatrixOffset => {
                write!(
                    f,
                    "a matrix descriptor has a base offset, which the interpreter does not know"
                )
            }
            FaultKind::Local => write!(f, "outside the thread's local memory"),
            FaultKind::WrongSpace => write!(f, "no such operation on this memory"),
            FaultKind::Constant { bank, size } => {
                write!(f, "outside constant bank {bank} of {size} bytes")
            }
            FaultKind::Barrier { id, allocated } => {
                write!(f, "barrier {id} of {allocated} allocated")
            }
            FaultKind::Deadlock => write!(f, "every warp waits for threads that never come"),
            FaultKind::Trap(number) => write!(f, "trap {number}"),
        }
    }
}

/// A fault and where it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kernel.
    pub kernel: String,
    /// The GPU address of the instruction.
    pub pc: u64,
    /// The block.
    pub block: [u32; 3],
    /// The warp within the block.
    pub warp: u32,
    /// The lane, where one lane is to blame.
    pub lane: Option<u32>,
    /// The address it used, where it used one.
    pub address: Option<u64>,
    /// What happened.
    pub kind: FaultKind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.block;
        write!(
            f,
            "{}: {} at pc {:#x}, block ({x}, {y}, {z}), warp {}",
            self.kernel, self.kind, self.pc, self.warp
        )?;
        if let Some(lane) = self.lane {
            write!(f, ", lane {lane}")?;
        }
        if let Some(address) = self.address {
            write!(f, ", address {address:#x}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// A fault before it knows its place; boxed, because it is rare and results are everywhere.
#[derive(Debug)]
pub(crate) struct Trap {
    pub(crate) kind: FaultKind,
    pub(crate) lane: Option<u32>,
    pub(crate) address: Option<u64>,
}

pub(crate) type Step<T> = Result<T, Box<Trap>>;

#[cold]
pub(crate) fn trap<T>(kind: FaultKind) -> Step<T> {
    Err(Box::new(Trap { kind, lane: None, address: None }))
}

#[cold]
pub(crate) fn lane_trap<T>(kind: FaultKind, lane: usize, address: u64) -> Step<T> {
    Err(Box::new(Trap { kind, lane: Some(lane as u32), address: Some(address) }))
}
