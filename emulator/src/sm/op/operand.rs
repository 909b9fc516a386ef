//! Where an instruction reads and writes: registers, predicates, constants, addresses.

use super::{Flips, GroupOf};
use crate::sm::meaning::tensor::Shape;

/// Rows of the register file beyond R0..R254: what RZ reads, where writes to RZ go, and where operands
/// that are no registers are spread over the lanes.
pub(crate) const ZERO: u16 = 255;
pub(crate) const SINK: u16 = 256;
pub(crate) const SCRATCH: u16 = 257;
pub(crate) const ROWS: usize = 260;

/// Predicates: P0..P6, the constant true, and where results that nobody wants go.
pub(crate) const TRUE: u8 = 7;
pub(crate) const PSINK: u8 = 8;
/// Uniform registers: UR0..UR62, zero, and the sink.
pub(crate) const UZERO: u8 = 63;
pub(crate) const USINK: u8 = 64;

/// What a source is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Reg,
    Ureg,
    Imm,
    Const,
}

/// A source: a register row, a uniform register, an immediate or a constant, with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Src {
    pub(crate) from: From,
    /// Register or bank.
    pub(crate) index: u8,
    pub(crate) neg: bool,
    pub(crate) abs: bool,
    /// Immediate or offset; for packed halves the choice of halves is in `halves`.
    pub(crate) value: u32,
    pub(crate) halves: u8,
}

/// A predicate source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pred {
    pub(crate) index: u8,
    pub(crate) not: bool,
    pub(crate) uniform: bool,
}

impl Pred {
    pub(crate) const TRUE: Pred = Pred { index: TRUE, not: false, uniform: false };
}

/// A memory address: 64-bit or 32-bit base, displacement, uniform addend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) base: u16,
    /// The uniform register (pair) to add; [`UZERO`] when there is none.
    pub(crate) uniform: u8,
    /// The upper half of a 64-bit base: the next register, or the zero register.
    pub(crate) high: u16,
    /// The left shift of the base of a shared access.
    pub(crate) scale: u8,
    pub(crate) offset: i32,
}

/// A number given by the instruction or read from a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Number(u32),
    Reg(u16),
    /// Bits 27 to 16 of a register.
    Upper(u16),
}

/// What a product of matrices is made of: first registers, and how many rows and how deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matrices {
    pub(crate) d: u16,
    pub(crate) a: u16,
    pub(crate) b: u16,
    pub(crate) c: u16,
    pub(crate) shape: Shape,
    /// Whether C is added at all.
    pub(crate) plus: Pred,
}

/// Sixteen rows of a product of a warp group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) d: u16,
    /// Where A is, unless it lies in shared memory as B does.
    pub(crate) a: Option<u16>,
    pub(crate) c: u16,
    pub(crate) columns: u16,
    /// The uniform registers of the descriptors of A, and then of B.
    pub(crate) places: u8,
    pub(crate) of: GroupOf,
    pub(crate) flips: Flips,
    /// Whether C is added at all.
    pub(crate) plus: Pred,
}
