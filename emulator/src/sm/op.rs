//! The pre-decoded form: typed, dense, made once per word and read every time it runs.

use super::meaning::Combine;
use super::meaning::convert::{Float, Integer};
use super::meaning::float::{Extreme, Mode};
use super::meaning::floating::Summation;
use super::meaning::fp8;
use super::meaning::integer::{Atomic, Dot, Funnel, Lanes, Lea};
use super::meaning::mbarrier::Change;
use super::meaning::pack::{BytePair, PackBytes};
use super::meaning::sparse::Places;
use super::meaning::tensor::{Element, Shape, Small};
use super::meaning::{Round, half, mufu};

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

/// The barrier that a cluster of one block waits at, after the sixteen named ones.
pub(crate) const CLUSTER_BARRIER: u32 = 16;
pub(crate) const BARRIERS: usize = 17;

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
    Shared,
    Local,
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

/// What a sparse product multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SparseOf {
    Floats { element: Element, how: Summation, single: bool },
    Integers { kinds: (Small, Small), saturate: bool },
}

/// A number given by the instruction or read from a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    Number(u32),
    Reg(u16),
    /// Bits 27 to 16 of a register.
    Upper(u16),
}

/// What an instruction does. Register destinations are rows (RZ is the sink), sources as they come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// No legal instruction.
    Illegal,
    Nop,
    // Waits for the launch before, where this one has started early.
    AwaitLaunch,
    // Hot single forms.
    Mov {
        d: u16,
        b: Src,
    },
    FAddPlain {
        d: u16,
        a: Src,
        b: Src,
    },
    FMulPlain {
        d: u16,
        a: Src,
        b: Src,
    },
    FFmaPlain {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
    },
    IMad {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
    },
    IAdd3 {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
    },
    Lop3 {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        table: u8,
    },
    Dot4Signed {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
    },
    I32ToF32 {
        d: u16,
        b: Src,
    },
    // Single precision.
    FAdd {
        d: u16,
        a: Src,
        b: Src,
        mode: Mode,
    },
    FMul {
        d: u16,
        a: Src,
        b: Src,
        mode: Mode,
        scale: i8,
    },
    FFma {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        mode: Mode,
    },
    FMnMx {
        d: u16,
        a: Src,
        b: Src,
        how: Extreme,
        pick: Pred,
    },
    FSel {
        d: u16,
        a: Src,
        b: Src,
        flush: bool,
        pick: Pred,
    },
    FSet {
        d: u16,
        a: Src,
        b: Src,
        flush: bool,
        compare: Compare,
    },
    FSetP {
        a: Src,
        b: Src,
        flush: bool,
        compare: Compare,
    },
    Fchk {
        p: u8,
        a: Src,
        b: Src,
    },
    Mufu {
        d: u16,
        b: Src,
        function: mufu::Function,
        format: Float,
        high: bool,
    },
    // Integers.
    IAdd3Carry {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        extended: bool,
        out: [u8; 2],
        carry: [Pred; 2],
    },
    IMadCarry {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        carry: Pred,
    },
    IMadWide {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        signed: bool,
        extended: bool,
        carry: Pred,
        out: u8,
    },
    IMadHigh {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        signed: bool,
        extended: bool,
        carry: Pred,
        out: u8,
    },
    Dot {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        how: Dot,
    },
    Lea {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        how: Lea,
        carry: Pred,
        out: u8,
    },
    Lop3Pred {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        table: u8,
        and: bool,
        with: Pred,
        out: u8,
    },
    Plop3 {
        from: [Pred; 3],
        tables: [u8; 2],
        out: [u8; 2],
        uniform: bool,
    },
    /// Two functions of the signs of three numbers.
    PlopSign {
        a: Src,
        b: Src,
        c: Src,
        tables: [u8; 2],
        out: [u8; 2],
    },
    Abs {
        d: u16,
        b: Src,
    },
    Difference {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        signed: bool,
        out: u8,
    },
    Difference4 {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        signed: bool,
        accumulate: bool,
        out: u8,
    },
    Permute {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        mode: u8,
    },
    Extreme {
        d: u16,
        a: Src,
        b: Src,
        lanes: Lanes,
        pick: Pred,
    },
    AddLanes {
        d: u16,
        a: Src,
        b: Src,
        lanes: Lanes,
    },
    AddExtreme {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        lanes: Lanes,
        pick: Pred,
    },
    Shf {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        how: Funnel,
    },
    Extend {
        d: u16,
        a: Src,
        b: Src,
        signed: bool,
        wrap: bool,
    },
    BitMask {
        d: u16,
        a: Src,
        b: Src,
        wrap: bool,
    },
    ISetP {
        a: Src,
        b: Src,
        signed: bool,
        extended: Option<Pred>,
        compare: Compare,
    },
    Sel {
        d: u16,
        a: Src,
        b: Src,
        pick: Pred,
    },
    Popc {
        d: u16,
        b: Src,
    },
    Flo {
        d: u16,
        b: Src,
        signed: bool,
        from_top: bool,
        out: u8,
    },
    Brev {
        d: u16,
        b: Src,
    },
    PredToReg {
        d: u16,
        a: Src,
        b: Src,
    },
    RegToPred {
        a: Src,
        b: Src,
    },
    // Double precision.
    DFma {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        round: Round,
    },
    DAdd {
        d: u16,
        a: Src,
        b: Src,
        round: Round,
    },
    DMul {
        d: u16,
        a: Src,
        b: Src,
        round: Round,
    },
    DSetP {
        a: Src,
        b: Src,
        compare: Compare,
    },
    // Packed halves.
    HAdd {
        d: u16,
        a: Src,
        b: Src,
        mode: half::Mode,
        single: bool,
    },
    HMul {
        d: u16,
        a: Src,
        b: Src,
        mode: half::Mode,
    },
    HFma {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        mode: half::Mode,
    },
    HSet {
        d: u16,
        a: Src,
        b: Src,
        kind: half::Kind,
        flush: bool,
        ones: bool,
        compare: Compare,
    },
    HSetP {
        a: Src,
        b: Src,
        kind: half::Kind,
        flush: bool,
        both: bool,
        compare: Compare,
    },
    HMnMx {
        d: u16,
        a: Src,
        b: Src,
        kind: half::Kind,
        how: Extreme,
        pick: Pred,
    },
    // Conversions.
    FromInteger {
        d: u16,
        b: Src,
        from: Integer,
        to: Float,
        round: Round,
        part: u8,
    },
    ToInteger {
        d: u16,
        b: Src,
        from: Float,
        to: Integer,
        round: Round,
        flush: bool,
        high: bool,
        nan_to_zero: bool,
    },
    Refloat {
        d: u16,
        b: Src,
        from: Float,
        to: Float,
        round: Round,
        flush: bool,
        high: bool,
    },
    RoundIntegral {
        d: u16,
        b: Src,
        kind: Float,
        round: Round,
        flush: bool,
        high: bool,
    },
    Pack {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        kind: half::Kind,
        round: Round,
        relu: bool,
        finite: bool,
        merge: bool,
    },
    /// Two narrow integers, A above B, and above them part of C.
    NarrowPair {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        to: Integer,
        high: bool,
    },
    /// Two bytes made of floats, A above B, and a half of C above them.
    BytePair {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        how: BytePair,
        high: bool,
    },
    /// Two floats of eight bits, A above B, beside a half of C.
    PackBytes {
        d: u16,
        a: Src,
        b: Src,
        c: Src,
        to: fp8::Small,
        how: PackBytes,
    },
    /// A single with the fraction of TF32.
    RoundTf32 {
        d: u16,
        b: Src,
        zero: bool,
        relu: bool,
    },
    /// Two halves made of floats of eight bits.
    UnpackBytes {
        d: u16,
        b: Src,
        from: fp8::Small,
        relu: bool,
        high: bool,
    },
    Narrow {
        d: u16,
        b: Src,
        to: Integer,
    },
    // Across lanes.
    Vote {
        d: u16,
        p: u8,
        mode: VoteMode,
        from: Pred,
    },
    VoteU {
        d: u8,
        p: u8,
        mode: VoteMode,
        from: Pred,
    },
    Match {
        d: u16,
        p: u8,
        a: u16,
        all: bool,
        wide: bool,
    },
    /// Chooses one of the lanes for which a predicate holds.
    Elect {
        d: u8,
        p: u8,
        from: Pred,
    },
    Redux {
        d: u8,
        a: u16,
        op: ReduceOp,
        signed: bool,
    },
    RegToUreg {
        d: u8,
        p: u8,
        a: u16,
        or: bool,
    },
    Shfl {
        d: u16,
        p: u8,
        a: u16,
        mode: Shuffle,
        lane: Given,
        clamp: Given,
    },
    // Tensor cores.
    Hmma {
        d: u16,
        a: u16,
        b: u16,
        c: u16,
        shape: Shape,
        element: Element,
        how: Summation,
        single: bool,
        /// Whether C is added at all.
        plus: Pred,
    },
    Imma {
        d: u16,
        a: u16,
        b: u16,
        c: u16,
        shape: Shape,
        kinds: (Small, Small),
        saturate: bool,
        plus: Pred,
    },
    /// A product with a matrix of which half is zero.
    Sparse {
        d: u16,
        a: u16,
        b: u16,
        c: u16,
        /// Of the elements that are there.
        shape: Shape,
        of: SparseOf,
        /// The register that says where they were.
        held: u16,
        places: Places,
        plus: Pred,
    },
    /// Bits counted: those that both sides have, or those in which they differ.
    Bmma {
        d: u16,
        a: u16,
        b: u16,
        c: u16,
        shape: Shape,
        differ: bool,
        plus: Pred,
    },
    Dmma {
        d: u16,
        a: u16,
        b: u16,
        c: u16,
        shape: Shape,
        plus: Pred,
    },
    Ldsm {
        d: u16,
        at: Address,
        count: u8,
        transpose: bool,
    },
    /// Stores matrices to shared memory.
    Stsm {
        s: u16,
        at: Address,
        count: u8,
        transpose: bool,
    },
    Movm {
        d: u16,
        a: u16,
    },
    // Special registers and constants.
    Special {
        d: u16,
        index: u8,
        wide: bool,
    },
    SpecialU {
        d: u8,
        index: u8,
    },
    Ldc {
        d: u16,
        index: u16,
        bank: u8,
        offset: i32,
        width: Width,
        mode: u8,
    },
    Uldc {
        d: u8,
        bank: u8,
        offset: u32,
        width: Width,
    },
    // The uniform datapath: one value per warp, the same operations.
    Uniform(UOp),
    // Memory.
    Load {
        d: u16,
        at: Address,
        width: Width,
        space: Space,
        when: Pred,
    },
    Store {
        s: u16,
        at: Address,
        width: Width,
        space: Space,
    },
    Atom {
        d: u16,
        /// Where memory has no unit for it: whether it was done.
        p: u8,
        at: Address,
        s: u16,
        t: u16,
        op: AtomicOp,
        space: Space,
    },
    /// Two or four words at once: floats one by one, or all of it exchanged.
    AtomWide {
        d: u16,
        at: Address,
        s: u16,
        t: u16,
        op: WideAtomic,
        width: Width,
        space: Space,
    },
    CopyAsync {
        shared: Address,
        global: Address,
        width: Width,
        zero_fill: bool,
        when: Pred,
    },
    QuerySpace {
        d: u16,
        p: u8,
        at: Address,
        space: u8,
    },
    /// Whether the phase of a barrier in shared memory is over. Who tries to wait lets others go on.
    PhaseCheck {
        p: u8,
        at: Address,
        s: u16,
        tries: bool,
    },
    /// Exchanges a uniform pair with shared memory.
    ExchangeUniform {
        d: u8,
        at: Address,
        s: u8,
    },
    // Ordering has nothing to order here.
    Fence,
    Barrier {
        mode: BarrierMode,
        id: Given,
        count: Given,
        from: Pred,
    },
    BarrierResult {
        d: u16,
        p: u8,
    },
    // Control flow.
    Bra {
        to: i32,
        when: BranchWhen,
        mask: u8,
        not: bool,
        also: Pred,
    },
    Brx {
        base: u16,
        offset: i64,
        also: Pred,
    },
    Call {
        to: i32,
        also: Pred,
    },
    CallReg {
        base: u16,
        offset: i64,
        absolute: bool,
        also: Pred,
    },
    Ret {
        base: u16,
        offset: i64,
        absolute: bool,
        also: Pred,
    },
    Exit {
        also: Pred,
    },
    Trap {
        number: u8,
    },
    Bssy {
        bar: u8,
        also: Pred,
    },
    Bsync {
        bar: u8,
        also: Pred,
    },
    Break {
        bar: u8,
        also: Pred,
    },
    BarToReg {
        d: u16,
        bar: u8,
        clear: bool,
    },
    RegToBar {
        bar: u8,
        s: u16,
    },
    NumberToBar {
        bar: u8,
        value: u32,
    },
    BarToBar {
        d: u8,
        s: u8,
        clear: bool,
    },
    WarpSync {
        mask: Given,
        also: Pred,
    },
    Lepc {
        d: u16,
    },
}

/// An operation of the uniform datapath.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UOp {
    Mov { d: u8, b: Src },
    Add3 { d: u8, a: Src, b: Src, c: Src, extended: bool, out: [u8; 2], carry: [Pred; 2] },
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
