//! The pre-decoded form: typed, dense, made once per word and read every time it runs. `operand` says where
//! numbers come from and go to, `how` what the operations that have variants do.

mod how;
mod operand;

pub(crate) use how::*;
pub(crate) use operand::*;

use super::meaning::convert::{Float, Integer};
use super::meaning::float::{Extreme, Mode};
use super::meaning::floating::Summation;
use super::meaning::fp8;
use super::meaning::integer::{Dot, Funnel, Lanes, Lea};
use super::meaning::pack::{BytePair, PackBytes};
use super::meaning::sparse::Places;
use super::meaning::tensor::{Element, Small};
use super::meaning::{Round, half, mufu};

/// What an instruction does. Register destinations are rows (RZ is the sink), sources as they come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    // No legal instruction.
    Illegal,
    Nop,
    // Waits for the launch before, where this one has started early.
    AwaitLaunch,
    // Hot single forms.
    Mov { d: u16, b: Src },
    FAddPlain { d: u16, a: Src, b: Src },
    FMulPlain { d: u16, a: Src, b: Src },
    FFmaPlain { d: u16, a: Src, b: Src, c: Src },
    IMad { d: u16, a: Src, b: Src, c: Src },
    IAdd3 { d: u16, a: Src, b: Src, c: Src },
    Lop3 { d: u16, a: Src, b: Src, c: Src, table: u8 },
    Dot4Signed { d: u16, a: Src, b: Src, c: Src },
    I32ToF32 { d: u16, b: Src },
    // Single precision.
    FAdd { d: u16, a: Src, b: Src, mode: Mode },
    FMul { d: u16, a: Src, b: Src, mode: Mode, scale: i8 },
    FFma { d: u16, a: Src, b: Src, c: Src, mode: Mode },
    FMnMx { d: u16, a: Src, b: Src, how: Extreme, pick: Pred },
    FSel { d: u16, a: Src, b: Src, flush: bool, pick: Pred },
    FSet { d: u16, a: Src, b: Src, flush: bool, compare: Compare },
    FSetP { a: Src, b: Src, flush: bool, compare: Compare },
    Fchk { p: u8, a: Src, b: Src },
    Mufu { d: u16, b: Src, function: mufu::Function, format: Float, high: bool },
    // Integers.
    IAdd3Carry { d: u16, a: Src, b: Src, c: Src, extended: bool, out: [u8; 2], carry: [Pred; 2] },
    IMadCarry { d: u16, a: Src, b: Src, c: Src, carry: Pred },
    IMadWide { d: u16, a: Src, b: Src, c: Src, signed: bool, extended: bool, carry: Pred, out: u8 },
    IMadHigh { d: u16, a: Src, b: Src, c: Src, signed: bool, extended: bool, carry: Pred, out: u8 },
    Dot { d: u16, a: Src, b: Src, c: Src, how: Dot },
    Lea { d: u16, a: Src, b: Src, c: Src, how: Lea, carry: Pred, out: u8 },
    Lop3Pred { d: u16, a: Src, b: Src, c: Src, table: u8, and: bool, with: Pred, out: u8 },
    Plop3 { from: [Pred; 3], tables: [u8; 2], out: [u8; 2], uniform: bool },
    // Two functions of the signs of three numbers.
    PlopSign { a: Src, b: Src, c: Src, tables: [u8; 2], out: [u8; 2] },
    Abs { d: u16, b: Src },
    Difference { d: u16, a: Src, b: Src, c: Src, signed: bool, out: u8 },
    Difference4 { d: u16, a: Src, b: Src, c: Src, signed: bool, accumulate: bool, out: u8 },
    Permute { d: u16, a: Src, b: Src, c: Src, mode: u8 },
    Extreme { d: u16, a: Src, b: Src, lanes: Lanes, pick: Pred },
    Extreme3 { d: u16, a: Src, b: Src, c: u16, lanes: Lanes, pick: Pred },
    AddLanes { d: u16, a: Src, b: Src, lanes: Lanes },
    AddExtreme { d: u16, a: Src, b: Src, c: Src, lanes: Lanes, pick: Pred },
    Shf { d: u16, a: Src, b: Src, c: Src, how: Funnel },
    Extend { d: u16, a: Src, b: Src, signed: bool, wrap: bool },
    BitMask { d: u16, a: Src, b: Src, wrap: bool },
    ISetP { a: Src, b: Src, signed: bool, extended: Option<Pred>, compare: Compare },
    Sel { d: u16, a: Src, b: Src, pick: Pred },
    Popc { d: u16, b: Src },
    Flo { d: u16, b: Src, signed: bool, from_top: bool, out: u8 },
    Brev { d: u16, b: Src },
    // To and from a byte of a register.
    PredToReg { d: u16, a: Src, b: Src, byte: u8 },
    RegToPred { a: Src, b: Src, byte: u8 },
    // Double precision.
    DFma { d: u16, a: Src, b: Src, c: Src, round: Round },
    DAdd { d: u16, a: Src, b: Src, round: Round },
    DMul { d: u16, a: Src, b: Src, round: Round },
    DSetP { a: Src, b: Src, compare: Compare },
    // Packed halves.
    HAdd { d: u16, a: Src, b: Src, mode: half::Mode, single: bool },
    HMul { d: u16, a: Src, b: Src, mode: half::Mode },
    HFma { d: u16, a: Src, b: Src, c: Src, mode: half::Mode },
    HSet { d: u16, a: Src, b: Src, kind: half::Kind, flush: bool, ones: bool, compare: Compare },
    HSetP { a: Src, b: Src, kind: half::Kind, flush: bool, both: bool, compare: Compare },
    HMnMx { d: u16, a: Src, b: Src, kind: half::Kind, how: Extreme, pick: Pred },
    // Conversions.
    FromInteger { d: u16, b: Src, from: Integer, to: Float, round: Round, part: u8 },
    ToInteger { d: u16, b: Src, from: Float, to: Integer, how: ToInteger, high: bool },
    Refloat { d: u16, b: Src, from: Float, to: Float, round: Round, flush: bool, high: bool },
    RoundIntegral { d: u16, b: Src, kind: Float, round: Round, flush: bool, high: bool },
    Pack { d: u16, a: Src, b: Src, c: Src, how: PackHalves, merge: bool },
    // Two narrow integers, A above B, and above them part of C.
    NarrowPair { d: u16, a: Src, b: Src, c: Src, to: Integer, high: bool },
    // Two bytes made of floats, A above B, and a half of C above them.
    BytePair { d: u16, a: Src, b: Src, c: Src, how: BytePair, high: bool },
    // Two floats of eight bits, A above B, beside a half of C.
    PackBytes { d: u16, a: Src, b: Src, c: Src, to: fp8::Small, how: PackBytes },
    // A single with the fraction of TF32.
    RoundTf32 { d: u16, b: Src, zero: bool, relu: bool },
    // Two halves made of floats of eight bits.
    UnpackBytes { d: u16, b: Src, from: fp8::Small, relu: bool, high: bool },
    Narrow { d: u16, b: Src, to: Integer },
    // Across lanes.
    Vote { d: u16, p: u8, mode: VoteMode, from: Pred },
    VoteU { d: u8, p: u8, mode: VoteMode, from: Pred },
    Match { d: u16, p: u8, a: u16, all: bool, wide: bool },
    // Chooses one of the lanes for which a predicate holds.
    Elect { d: u8, p: u8, from: Pred },
    Redux { d: u8, a: u16, op: ReduceOp, signed: bool },
    RegToUreg { d: u8, p: u8, a: u16, or: bool },
    Shfl { d: u16, p: u8, a: u16, mode: Shuffle, lane: Given, clamp: Given },
    // Tensor cores.
    Hmma { on: Matrices, element: Element, how: Summation, single: bool },
    Imma { on: Matrices, kinds: (Small, Small), saturate: bool },
    // A product with a matrix of which half is zero: the shape is that of the elements that are there, and the
    // register `held` says where they were.
    Sparse { on: Matrices, of: SparseOf, held: u16, places: Places },
    // Bits counted: those that both sides have, or those in which they differ.
    Bmma { on: Matrices, differ: bool },
    Dmma { on: Matrices },
    Ldsm { d: u16, at: Address, count: u8, transpose: bool },
    // Stores matrices to shared memory.
    Stsm { s: u16, at: Address, count: u8, transpose: bool },
    Movm { d: u16, a: u16 },
    // A warp's part of a product of its group.
    Group(Group),
    // Special registers and constants.
    Special { d: u16, index: u8, wide: bool },
    SpecialU { d: u8, index: u8 },
    Ldc { d: u16, index: u16, bank: u8, offset: i32, width: Width, mode: u8 },
    Uldc { d: u8, index: u8, bank: u8, offset: i32, width: Width },
    // The uniform datapath: one value per warp, the same operations.
    Uniform(UOp),
    // Memory.
    Load { d: u16, at: Address, width: Width, space: Space, when: Pred },
    Store { s: u16, at: Address, width: Width, space: Space },
    // Where memory has no unit for it, `p` tells whether it was done.
    Atom { d: u16, p: u8, at: Address, s: u16, t: u16, op: AtomicOp, space: Space },
    // Two or four words at once: floats one by one, or all of it exchanged.
    AtomWide { d: u16, at: Address, s: u16, t: u16, op: WideAtomic, width: Width, space: Space },
    CopyAsync { shared: Address, global: Address, width: Width, zero_fill: bool, when: Pred },
    // A store, or an atomic that returns nothing, to shared memory of the cluster, whose bytes a barrier there
    // counts. The address is in register `at`, the barrier's in the next one.
    Signal { at: u16, s: u16, width: Width, op: Option<AtomicOp> },
    // Many bytes from memory to memory. `to`, `from` and `size` are uniform registers; the barrier that counts
    // bytes that come to shared memory is in the one after `to`.
    Bulk { to: u8, from: u8, size: u8, route: Route, multicast: bool, op: Option<AtomicOp> },
    QuerySpace { d: u16, p: u8, at: Address, space: u8 },
    // Whether the phase of a barrier in shared memory is over. Who tries to wait lets others go on.
    PhaseCheck { p: u8, at: Address, s: u16, tries: bool },
    // Exchanges a uniform pair with shared memory.
    ExchangeUniform { d: u8, at: Address, s: u8 },
    // Ordering has nothing to order here.
    Fence,
    Barrier { mode: BarrierMode, id: Given, count: Given, from: Pred },
    BarrierResult { d: u16, p: u8 },
    // The warp has so many registers from now on.
    SetRegisters { count: u16, p: u8 },
    // The barrier of the cluster.
    ClusterArrive,
    ClusterWait,
    // Control flow.
    Bra { to: i32, when: BranchWhen, mask: u8, not: bool, also: Pred },
    Brx { base: u16, offset: i64, also: Pred },
    BrxUniform { base: u8, offset: i64, also: Pred },
    Call { to: i32, also: Pred },
    CallReg { base: u16, offset: i64, absolute: bool, also: Pred },
    Ret { base: u16, offset: i64, absolute: bool, also: Pred },
    Exit { also: Pred },
    Trap { number: u8 },
    Bssy { bar: u8, also: Pred },
    Bsync { bar: u8, also: Pred },
    Break { bar: u8, also: Pred },
    BarToReg { d: u16, bar: u8, clear: bool },
    RegToBar { bar: u8, s: u16 },
    NumberToBar { bar: u8, value: u32 },
    BarToBar { d: u8, s: u8, clear: bool },
    WarpSync { mask: Given, also: Pred },
    // The place of an instruction, counted from the next one.
    Lepc { d: u16, ahead: i64 },
}

/// An operation of the uniform datapath.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UOp {
    Mov { d: u8, b: Src },
    Add3 { d: u8, a: Src, b: Src, c: Src, extended: bool, out: [u8; 2], carry: [Pred; 2] },
    // Pairs of registers.
    AddWide { d: u8, from: [u8; 3] },
    Mad { d: u8, a: Src, b: Src, c: Src, carry: Option<Pred> },
    MadWide { d: u8, a: Src, b: Src, c: Src, signed: bool, carry: Option<Pred>, out: u8 },
    Lea { d: u8, a: Src, b: Src, c: Src, how: Lea, carry: Pred, out: u8 },
    Lop3 { d: u8, a: Src, b: Src, c: Src, table: u8, and: bool, with: Pred, out: u8 },
    Shf { d: u8, a: Src, b: Src, c: Src, how: Funnel },
    Permute { d: u8, a: Src, b: Src, c: Src, mode: u8 },
    Sel { d: u8, a: Src, b: Src, pick: Pred },
    SetP { a: Src, b: Src, signed: bool, extended: Option<Pred>, compare: Compare },
    Flo { d: u8, b: Src, signed: bool, from_top: bool, out: u8 },
    Extend { d: u8, a: Src, b: Src, signed: bool, wrap: bool },
    BitMask { d: u8, a: Src, b: Src, wrap: bool },
    // To and from a byte of a uniform register.
    PredToReg { d: u8, a: Src, b: Src, byte: u8 },
    RegToPred { a: Src, b: Src, byte: u8 },
    Brev { d: u8, b: Src },
    Popc { d: u8, b: Src },
}

/// One instruction, ready to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inst {
    pub(crate) op: Op,
    pub(crate) guard: Pred,
    /// One more than the highest register it names.
    pub(crate) registers: u16,
}
