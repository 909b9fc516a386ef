//! The rows themselves. The opcodes and fields were found by flipping every bit of compiled words and
//! reading how the vendor's disassembler reacts; see `docs/software-orin.md`.

use super::Code::{Alu, Uniform, Whole};
use super::Numbers::{Double, Halves, Integer, Single};
use super::Operand::*;
use super::Shown::{Always, If, NotTrue, Unless};
use super::*;
use crate::sm::Arch::{Sm87, Sm90};

const fn f(set: &[u8]) -> Forms {
    let mut bits = 0;
    let mut at = 0;
    while at < set.len() {
        bits |= 1 << set[at];
        at += 1;
    }
    Forms(bits)
}

/// Two sources, the second in the 63:32 slot: register, immediate, constant, uniform register.
const TWO: Forms = f(&[1, 4, 5, 6]);
/// Two sources, the second in the slot of C unless it is a register.
const TWO_HIGH: Forms = f(&[1, 2, 3, 7]);
const THREE: Forms = f(&[1, 2, 3, 4, 5, 6, 7]);
/// Three sources of which the third has 64 bits and is no immediate.
const WIDE_THREE: Forms = f(&[1, 3, 4, 5, 6, 7]);
const REGS: Forms = f(&[1]);
const UNI: Forms = f(&[1, 4]);
/// An H200 takes them with a register for illegal, though disassemblers know the words.
const NUMBER: Forms = f(&[4]);

const fn row(
    name: &'static str,
    kind: Kind,
    code: Code,
    numbers: Numbers,
    modifiers: &'static [Modifier],
    operands: &'static [Operand],
) -> Row {
    Row { name, kind, code, arch: None, variant: None, numbers, modifiers, operands }
}

const fn only(arch: Arch, row: Row) -> Row {
    Row { arch: Some(arch), ..row }
}

/// One of several rows of an opcode: the one where of the bits `all` exactly those of `set` are ones.
const fn variant(all: &[u8], set: &[u8], row: Row) -> Row {
    Row { variant: Some(Variant::new(all, set)), ..row }
}
/// One of the rows that move predicates to and from a byte of a register: its number is in the bits `set`
/// of [`BYTE`].
const fn of_byte(set: &[u8], row: Row) -> Row {
    variant(&[76, 77], set, row)
}
/// What tells the conversions between formats of 8, 16 and 19 bits apart.
const PACKING: &[u8] = &[73, 74, 78, 86, 87, 89, 90];

const P0: Operand = PDst(81, NotTrue);
const P0_SHOWN: Operand = PDst(81, Always);
const P1_SHOWN: Operand = PDst(84, Always);
const COND: Operand = P(87, 90, Always);
/// Control instructions take a second condition next to their guard.
const WHEN: Operand = P(87, 90, NotTrue);
const UNIFORM_WHEN: Operand = PInverted(87, 90, true);
const UP0: Operand = UPDst(81, NotTrue);
const fn ones(hi: u8, lo: u8) -> Operand {
    let field = Field::new(hi, lo);
    Fixed(field, (1 << field.width()) - 1)
}
/// Compilers add up the addresses of stores that signal beforehand: to which of the two an offset counts is not
/// known.
const NO_OFFSET: Operand = Fixed(OFFSET24, 0);
const NO_ADDEND: Operand = ones(69, 64);
const GLOBAL_UR32: Operand = Global { ur: Some(32) };
const GLOBAL_UR64: Operand = Global { ur: Some(64) };
/// The address of an access that names no uniform register at all.
const PLAIN: Operand = Global { ur: None };
const ATOM_UR: Operand = Global { ur: Some(64) };
const SHARED: Operand = Window { ur: None, scaled: true };
const LOAD: &[Modifier] = &[WIDE_ADDRESS, EVICTION, PREFETCH, ACCESS, ORDER];
const STORE: &[Modifier] = &[WIDE_ADDRESS, EVICTION, ACCESS, STORE_ORDER];

macro_rules! rows {
    ($($kind:ident),* $(,)? ; $table:expr) => {
        /// What a row is, for the lowering.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($kind),* }
        /// Every instruction that the interpreter knows.
        pub(crate) const ROWS: &[Row] = $table;
    };
}

rows! {
    Mov, Sel, FSel, FMnMx, FSet, FSetP, ISetP, IAdd3, Lea, Lop3, IAbs, VAbsDiff, VAbsDiff4, Prmt,
    IMnMx, Shf, Sgxt, Bmsk, Plop3, PlopSign, FMul, FAdd, FFma, IMad, IMadWide, IMadHi, Idp, DMul, DAdd, DSetP,
    DFma, HAdd2, HFma2, HMul2, HSet2, HSetP2, HMnMx2, VIAdd, VIAddMnMx, VIMnMx, VIMnMx3, I2I, I2ip, F2ip, F2fp, F2fpBytes, F2fpBytesHalves, F2fpUnpack, F2fpTf32, I2F, F2I,
    F2F, Frnd, Mufu, Popc, Flo, Brev, Fchk, Cs2r, S2r, S2ur, Vote, VoteU, Match, Redux, R2ur, Shfl,
    UMov, UIAdd3, UIAdd3Wide, ULea, ULop3, UShf, UIMad, UIMadWide, UISetP, USel, UPrmt, UFlo, UBrev, UPopc, USgxt, UBmsk, UP2ur, Ur2up,
    UPlop3, Ldc, Uldc, Ldg, Stg, Ld, St, Lds, Sts, Ldl, Stl, Atomg, AtomgFloat, Red, RedFloat, Atom, AtomFloat,
    AtomgCas, AtomCas, Atoms, AtomsCount, AtomsCas, AtomCount, Arrives, SyncArrive, SyncCheck, SyncExchange, SyncForget, Signal, SignalRed, Bulk, BulkRed, BulkPrefetch, BulkCommit, TensorMapForget, GroupFence, GroupFloats, GroupEighths, GroupBytes, GroupBits, SetRegisters, Elect, ClusterArrive, ClusterWait, AcqBulk, Ldgsts, LdgDepBar, DepBar, Ldsm, Movm, Stsm, Hmma, HmmaSparse, Imma, ImmaSparse, Bmma, Dmma, Qspc,
    Membar, Errbar, Cctl, CctlLocal, PmTrig, CgaErrbar, Nanosleep, Yield, Nop, Bra, BraU, Brx, BrxU, Call, CallReg, CallAbs, CallTo, Ret, Exit, Bssy,
    Bsync, Break, BmovToReg, BmovFromReg, BmovImm, BmovBar, WarpSyncReg, WarpSyncImm, WarpSyncAll,
    EndCollective, Bar, B2r, Bpt, Kill, P2r, R2p, Lepc, LepcNext;
    &[
    // Moves and selection.
    row("MOV", Kind::Mov, Alu(0x002, TWO), Integer, &[], &[Dst, B32(Mods::None), ones(75, 72)]),
    row("SEL", Kind::Sel, Alu(0x007, TWO), Integer, &[], &[Dst, A(Mods::None), B32(Mods::None), COND]),
    row("FSEL", Kind::FSel, Alu(0x008, TWO), Single, &[FTZ], &[Dst, A(Mods::Float), B32(Mods::Float), COND]),
    row("PRMT", Kind::Prmt, Alu(0x016, THREE), Integer, &[PERMUTE], &[Dst, A(Mods::None), B(Mods::None), C(Mods::None)]),
    row("S2R", Kind::S2r, Whole(0x919), Integer, &[], &[Dst, Special]),
    row("CS2R", Kind::Cs2r, Whole(0x805), Integer, &[NARROW_READ], &[Dst, Special]),
    row("S2UR", Kind::S2ur, Whole(0x9c3), Integer, &[], &[UDst, Special]),
    of_byte(&[], row("P2R", Kind::P2r, Alu(0x003, TWO), Integer, &[], &[Dst, A(Mods::None), B32(Mods::None)])),
    of_byte(&[76], row("P2R.B1", Kind::P2r, Alu(0x003, TWO), Integer, &[], &[Dst, A(Mods::None), B32(Mods::None)])),
    of_byte(&[77], row("P2R.B2", Kind::P2r, Alu(0x003, TWO), Integer, &[], &[Dst, A(Mods::None), B32(Mods::None)])),
    of_byte(&[76, 77], row("P2R.B3", Kind::P2r, Alu(0x003, TWO), Integer, &[], &[Dst, A(Mods::None), B32(Mods::None)])),
    of_byte(&[], row("R2P", Kind::R2p, Alu(0x004, TWO), Integer, &[], &[A(Mods::None), B32(Mods::None)])),
    of_byte(&[76], row("R2P.B1", Kind::R2p, Alu(0x004, TWO), Integer, &[], &[A(Mods::None), B32(Mods::None)])),
    of_byte(&[77], row("R2P.B2", Kind::R2p, Alu(0x004, TWO), Integer, &[], &[A(Mods::None), B32(Mods::None)])),
    of_byte(&[76, 77], row("R2P.B3", Kind::R2p, Alu(0x004, TWO), Integer, &[], &[A(Mods::None), B32(Mods::None)])),
    // Single precision.
    row("FADD", Kind::FAdd, Alu(0x021, TWO_HIGH), Single, &[FTZ, ROUND, SAT], &[Dst, A(Mods::Float), B32(Mods::Float)]),
    row("FMUL", Kind::FMul, Alu(0x020, TWO), Single, &[SCALE_RESULT, FMZ, FTZ, ROUND, SAT], &[Dst, A(Mods::Float), B32(Mods::Float)]),
    row("FFMA", Kind::FFma, Alu(0x023, THREE), Single, &[FMZ, FTZ, ROUND, SAT], &[Dst, A(Mods::Float), B(Mods::Float), C(Mods::Float)]),
    row("FMNMX", Kind::FMnMx, Alu(0x009, TWO), Single, &[FTZ, NAN, XORSIGN], &[Dst, A(Mods::Float), B32(Mods::Float), COND]),
    row("FSET.BF", Kind::FSet, Alu(0x00a, TWO), Single, &[COMPARE4, FTZ, COMBINE], &[Dst, A(Mods::Float), B32(Mods::Float), COND]),
    row("FSETP", Kind::FSetP, Alu(0x00b, TWO), Single, &[COMPARE4, FTZ, COMBINE], &[P0_SHOWN, P1_SHOWN, A(Mods::Float), B32(Mods::Float), COND]),
    row("FCHK", Kind::Fchk, Alu(0x102, TWO), Single, &[], &[P0_SHOWN, A(Mods::Float), B32(Mods::Float)]),
    only(Sm87, row("MUFU", Kind::Mufu, Alu(0x108, TWO), Single, &[MUFU_FUNCTION, MUFU_FORMAT_87], &[Dst, B32(Mods::Float), Part(Field::bit(60))])),
    only(Sm90, row("MUFU", Kind::Mufu, Alu(0x108, TWO), Single, &[MUFU_FUNCTION, MUFU_FORMAT_90], &[Dst, B32(Mods::Float), Part(Field::bit(60))])),
    // Integers.
    row("IADD3", Kind::IAdd3, Alu(0x010, TWO), Integer, &[CARRY], &[Dst, P0, PDst(84, NotTrue), A(Mods::Neg), B(Mods::Neg), C(Mods::Neg), P(87, 90, If(74)), P(77, 80, If(74))]),
    row("IMAD", Kind::IMad, Alu(0x024, THREE), Integer, &[UNSIGNED, CARRY], &[Dst, A(Mods::None), B(Mods::None), C(Mods::Neg), P(87, 90, If(74)), ones(83, 81)]),
    row("IMAD.WIDE", Kind::IMadWide, Alu(0x025, WIDE_THREE), Integer, &[UNSIGNED, CARRY], &[Dst, P0, A(Mods::None), B(Mods::None), C(Mods::Neg), P(87, 90, If(74))]),
    row("IMAD.HI", Kind::IMadHi, Alu(0x027, WIDE_THREE), Integer, &[UNSIGNED, CARRY], &[Dst, P0, A(Mods::None), B(Mods::None), C(Mods::Neg), P(87, 90, If(74))]),
    row("IDP", Kind::Idp, Alu(0x026, f(&[1, 5, 6])), Integer, &[DP], &[Dst, A(Mods::None), B(Mods::None), C(Mods::Neg)]),
    row("LEA", Kind::Lea, Alu(0x011, f(&[1, 4, 5, 6])), Integer, &[HIGH, CARRY, LEA_SIGN], &[Dst, P0, A(Mods::Neg), B(Mods::Neg), C(Mods::None), Number(SHIFT), P(87, 90, If(74))]),
    row("LEA.HI", Kind::Lea, Alu(0x011, f(&[2])), Integer, &[CARRY], &[Dst, P0, A(Mods::Neg), B(Mods::None), C(Mods::None), Number(SHIFT), P(87, 90, If(74)), ones(80, 80)]),
    row("LOP3.LUT", Kind::Lop3, Alu(0x012, TWO), Integer, &[PAND], &[P0, Dst, A(Mods::None), B(Mods::None), C(Mods::None), Number(LUT), COND]),
    row("IABS", Kind::IAbs, Alu(0x013, TWO), Integer, &[], &[Dst, B32(Mods::None)]),
    row("VABSDIFF", Kind::VAbsDiff, Alu(0x014, THREE), Integer, &[UNSIGNED], &[Dst, P0, A(Mods::None), B(Mods::None), C(Mods::None)]),
    row("VABSDIFF4", Kind::VAbsDiff4, Alu(0x015, f(&[1, 2, 3, 7])), Integer, &[DIFF_TYPE, DIFF_ACC], &[Dst, P0, A(Mods::None), B(Mods::None), C(Mods::None)]),
    only(Sm87, row("IMNMX", Kind::IMnMx, Alu(0x017, TWO), Integer, &[UNSIGNED], &[Dst, A(Mods::None), B32(Mods::None), COND])),
    row("SHF", Kind::Shf, Alu(0x019, THREE), Integer, &[SHIFT_DIRECTION, WRAP, SHIFT_TYPE, HIGH], &[Dst, A(Mods::None), B(Mods::None), C(Mods::None)]),
    row("SGXT", Kind::Sgxt, Alu(0x01a, TWO), Integer, &[WRAP, UNSIGNED], &[Dst, A(Mods::None), B32(Mods::None)]),
    row("BMSK", Kind::Bmsk, Alu(0x01b, TWO), Integer, &[WRAP], &[Dst, A(Mods::None), B32(Mods::None)]),
    row("PLOP3.SIGN.LUT", Kind::PlopSign, Alu(0x01f, f(&[1, 5, 6])), Integer, &[], &[P0_SHOWN, P1_SHOWN, A(Mods::None), B32(Mods::None), Reg(64), Number(LUT), Number(PLOP_SECOND)]),
    row("PLOP3.LUT", Kind::Plop3, Whole(0x81c), Integer, &[], &[P0_SHOWN, P1_SHOWN, COND, P(77, 80, Always), PThird, Table1, Table2]),
    row("ISETP", Kind::ISetP, Alu(0x00c, TWO), Integer, &[COMPARE3, UNSIGNED, COMBINE, EXTENDED_72], &[P0_SHOWN, P1_SHOWN, A(Mods::None), B32(Mods::None), COND, P(68, 71, If(72))]),
    row("POPC", Kind::Popc, Alu(0x109, TWO), Integer, &[], &[Dst, B32(Mods::Not)]),
    row("FLO", Kind::Flo, Alu(0x100, TWO), Integer, &[UNSIGNED, SIGN_SHIFT], &[Dst, P0, B32(Mods::Not)]),
    row("BREV", Kind::Brev, Alu(0x101, TWO), Integer, &[], &[Dst, B32(Mods::None)]),
    only(Sm90, row("VIADD", Kind::VIAdd, Alu(0x036, TWO), Integer, &[ADD_PAIR], &[Dst, A(Mods::None), B32(Mods::Neg)])),
    only(Sm90, row("VIADDMNMX", Kind::VIAddMnMx, Alu(0x046, THREE), Integer, &[PAIR_TYPE, RELU_76], &[Dst, A(Mods::None), B(Mods::Neg), C(Mods::None), COND, Hint(Field::new(86, 81))])),
    only(Sm90, row("VIMNMX", Kind::VIMnMx, Alu(0x048, TWO), Integer, &[PAIR_TYPE, RELU_76], &[Dst, A(Mods::None), B32(Mods::None), COND, ones(86, 81)])),
    only(Sm90, row("VIMNMX3", Kind::VIMnMx3, Alu(0x00f, TWO), Integer, &[PAIR_TYPE, RELU_76], &[Dst, A(Mods::None), B32(Mods::None), Reg(64), COND])),
    // Double precision.
    row("DADD", Kind::DAdd, Alu(0x029, TWO_HIGH), Double, &[ROUND], &[Dst, A(Mods::Float), B64(Mods::Float)]),
    row("DMUL", Kind::DMul, Alu(0x028, TWO), Double, &[ROUND], &[Dst, A(Mods::Float), B32(Mods::Float)]),
    row("DFMA", Kind::DFma, Alu(0x02b, THREE), Double, &[ROUND], &[Dst, A(Mods::Float), B(Mods::Float), C(Mods::Float)]),
    row("DSETP", Kind::DSetP, Alu(0x02a, TWO_HIGH), Double, &[COMPARE4_DOUBLE, COMBINE], &[P0_SHOWN, P1_SHOWN, A(Mods::Float), B32(Mods::Float), COND]),
    // Packed halves.
    row("HADD2", Kind::HAdd2, Alu(0x030, TWO_HIGH), Halves, &[HALF_F32, BF16_PAIR, FTZ, SAT], &[Dst, A(Mods::Half), B32(Mods::Half)]),
    row("HMUL2", Kind::HMul2, Alu(0x032, TWO), Halves, &[BF16_PAIR, FMZ, FTZ, SAT], &[Dst, A(Mods::Half), B32(Mods::Half)]),
    row("HFMA2", Kind::HFma2, Alu(0x031, THREE), Halves, &[BF16_PAIR, FMZ, FTZ, SAT, RELU_79, CROSS], &[Dst, A(Mods::Half), B(Mods::Half), C(Mods::Half), Hint(Field::new(90, 87))]),
    row("HFMA2.MMA", Kind::HFma2, Alu(0x035, THREE), Halves, &[BF16_PAIR, FMZ, FTZ, SAT, RELU_79], &[Dst, A(Mods::Half), B(Mods::Half), C(Mods::Half), Hint(Field::new(90, 87))]),
    row("HSET2", Kind::HSet2, Alu(0x033, TWO_HIGH), Halves, &[BF16_65, HALF_BITS, COMPARE4, FTZ, COMBINE_HALF], &[Dst, A(Mods::Half), B32(Mods::Half), COND]),
    row("HSETP2", Kind::HSetP2, Alu(0x034, TWO_HIGH), Halves, &[BF16_65, COMPARE4, FTZ, HALF_AND, COMBINE_HALF], &[P0_SHOWN, P1_SHOWN, A(Mods::Half), B32(Mods::Half), COND]),
    row("HMNMX2", Kind::HMnMx2, Alu(0x040, TWO), Halves, &[BF16_PAIR, FTZ, NAN, XORSIGN], &[Dst, A(Mods::Half), B32(Mods::Half), COND]),
    // Conversions.
    row("I2FP.F32", Kind::I2F, Alu(0x045, TWO), Integer, &[INTEGER_SRC_32, ROUND], &[Dst, B32(Mods::None), Fixed(Field::new(77, 75), 2)]),
    row("I2F", Kind::I2F, Alu(0x106, TWO), Integer, &[FLOAT_DST_32, INTEGER_SRC_NARROW, ROUND], &[Dst, B32(Mods::None), Part(SUBWORD)]),
    only(Sm87, row("I2F", Kind::I2F, Alu(0x112, TWO), Integer, &[FLOAT_DST_64, INTEGER_SRC, ROUND], &[Dst, B32(Mods::None), Part(SUBWORD)])),
    only(Sm90, row("I2F", Kind::I2F, Alu(0x112, TWO), Integer, &[FLOAT_DST_64_90, INTEGER_SRC, ROUND], &[Dst, B32(Mods::None), Part(SUBWORD)])),
    row("F2I", Kind::F2I, Alu(0x105, TWO), Single, &[FTZ, INTEGER_DST_32, FLOAT_SRC_32, ROUND_INTEGER, NTZ], &[Dst, B32(Mods::Float), Part(Field::bit(60))]),
    only(Sm87, row("F2I", Kind::F2I, Alu(0x111, TWO), Double, &[FTZ, INTEGER_DST, FLOAT_SRC_64, ROUND_INTEGER, NTZ], &[Dst, B32(Mods::Float), Part(Field::bit(60))])),
    only(Sm90, row("F2I", Kind::F2I, Alu(0x111, TWO), Double, &[FTZ, INTEGER_DST, FLOAT_SRC_64_90, ROUND_INTEGER, NTZ], &[Dst, B32(Mods::Float), Part(Field::bit(60))])),
    row("F2F", Kind::F2F, Alu(0x104, TWO), Single, &[FTZ, FLOAT_DST_NAMED, FLOAT_SRC_NAMED, ROUND], &[Dst, B32(Mods::Float), Part(Field::bit(60))]),
    row("F2F", Kind::F2F, Alu(0x110, TWO), Double, &[FTZ, FLOAT_DST_NAMED, FLOAT_SRC_NAMED, ROUND], &[Dst, B32(Mods::Float), Part(Field::bit(60))]),
    row("FRND", Kind::Frnd, Alu(0x107, TWO), Single, &[FTZ, FLOAT_BOTH, ROUND_INTEGER], &[Dst, B32(Mods::Float), Part(Field::bit(60))]),
    row("FRND", Kind::Frnd, Alu(0x113, TWO), Double, &[FTZ, FLOAT_BOTH, ROUND_INTEGER], &[Dst, B32(Mods::Float), Part(Field::bit(60))]),
    only(Sm87, row("F2FP", Kind::F2fp, Alu(0x03e, THREE), Single, &[PACK_SATFINITE, PACK_RELU, PACK_FORMAT, PACK_MERGE, PACK_ROUND], &[Dst, A(Mods::None), B(Mods::None), C(Mods::None)])),
    // The first row leaves the merge with C to a modifier, as Ampere does.
    only(Sm90, variant(&[73, 74, 86, 87, 89, 90], &[], row("F2FP", Kind::F2fp, Alu(0x03e, THREE), Single, &[PACK_SATFINITE, PACK_RELU, PACK_FORMAT, PACK_MERGE, PACK_ROUND], &[Dst, A(Mods::None), B(Mods::None), C(Mods::None)]))),
    only(Sm90, variant(PACKING, &[78, 87, 90], row("F2FP", Kind::F2fpBytes, Alu(0x03e, THREE), Single, &[PACK_SATFINITE, PACK_RELU, PACK_BYTES], &[Dst, A(Mods::None), B(Mods::None), C(Mods::None), Part(Field::bit(72))]))),
    only(Sm90, variant(PACKING, &[73, 87, 90], row("F2FP", Kind::F2fpBytesHalves, Alu(0x03e, f(&[1, 6])), Integer, &[PACK_SATFINITE, PACK_RELU, PACK_BYTES_HALVES], &[Dst, Fixed(SRC_A, 255), B(Mods::None), C(Mods::None), Part(Field::bit(72))]))),
    only(Sm90, variant(&[74, 78, 86, 87, 89, 90], &[74, 89], row("F2FP", Kind::F2fpUnpack, Alu(0x03e, f(&[1, 6])), Integer, &[PACK_RELU, UNPACK_BYTES], &[Dst, Fixed(SRC_A, 255), B(Mods::None), Part(Field::bit(88)), Fixed(SLOT64_REG, 255)]))),
    only(Sm90, variant(PACKING, &[78, 86, 89], row("F2FP.TF32.F32.PACK_B", Kind::F2fpTf32, Alu(0x03e, REGS), Single, &[PACK_RELU, PACK_ROUND], &[Dst, Fixed(SRC_A, 255), B(Mods::None), Fixed(SLOT64_REG, 255), ones(76, 76)]))),
    row("I2I", Kind::I2I, Alu(0x038, TWO), Integer, &[NARROW_DST], &[Dst, B32(Mods::None)]),
    only(Sm87, row("I2IP", Kind::I2ip, Alu(0x039, TWO), Integer, &[PAIR_NARROW, PAIR_LIMIT_87], &[Dst, A(Mods::None), B32(Mods::None), Reg(64), Part(PAIR_PART)])),
    only(Sm90, row("I2IP", Kind::I2ip, Alu(0x039, TWO), Integer, &[PAIR_NARROW, PAIR_LIMIT_90], &[Dst, A(Mods::None), B32(Mods::None), Reg(64), Part(PAIR_PART)])),
    row("F2IP", Kind::F2ip, Alu(0x043, TWO), Single, &[PAIR_BYTE, PAIR_ROUND, PAIR_NTZ], &[Dst, A(Mods::None), B32(Mods::None), Reg(64), Part(Field::bit(72))]),
    // Across lanes.
    row("VOTE", Kind::Vote, Whole(0x806), Integer, &[VOTE_MODE], &[DstNotZero, P0_SHOWN, COND]),
    row("VOTEU", Kind::VoteU, Whole(0x886), Integer, &[VOTE_MODE], &[UDst, UPDst(81, Always), COND]),
    row("MATCH", Kind::Match, Whole(0x3a1), Integer, &[MATCH_MODE, MATCH_WIDTH], &[PDst(81, Unless(79)), Dst, A(Mods::None)]),
    only(Sm90, row("ELECT", Kind::Elect, Whole(0x82f), Integer, &[], &[PDst(81, Always), UDst, WHEN])),
    row("REDUX", Kind::Redux, Whole(0x3c4), Integer, &[REDUCE_OP, REDUCE_SIGN], &[UDst, A(Mods::None)]),
    only(Sm87, row("R2UR", Kind::R2ur, Whole(0x3c2), Integer, &[ANY_OR], &[P0, UDst, A(Mods::None)])),
    only(Sm90, row("R2UR", Kind::R2ur, Whole(0x2ca), Integer, &[ANY_OR], &[P0, UDst, A(Mods::None)])),
    row("SHFL", Kind::Shfl, Whole(0x389), Integer, &[SHUFFLE], &[P0_SHOWN, Dst, A(Mods::None), Reg(32), Reg(64)]),
    row("SHFL", Kind::Shfl, Whole(0x589), Integer, &[SHUFFLE], &[P0_SHOWN, Dst, A(Mods::None), Reg(32), Number(SHUFFLE_CLAMP)]),
    row("SHFL", Kind::Shfl, Whole(0x989), Integer, &[SHUFFLE], &[P0_SHOWN, Dst, A(Mods::None), Number(SHUFFLE_LANE), Reg(64)]),
    row("SHFL", Kind::Shfl, Whole(0xf89), Integer, &[SHUFFLE], &[P0_SHOWN, Dst, A(Mods::None), Number(SHUFFLE_LANE), Number(SHUFFLE_CLAMP)]),
    // Tensor cores.
    variant(&[73], &[], row("HMMA", Kind::Hmma, Alu(0x03c, REGS), Integer, &[HMMA_SHAPE, HMMA_ACCUMULATOR, HMMA_TYPE], &[Dst, A(Mods::None), B(Mods::None), C(Mods::None), UNIFORM_WHEN])),
    variant(&[73], &[73], row("HMMA.SP", Kind::HmmaSparse, Alu(0x03c, REGS), Integer, &[HMMA_SPARSE_SHAPE, HMMA_ACCUMULATOR, HMMA_TYPE], &[Dst, A(Mods::None), B(Mods::None), C(Mods::None), UNIFORM_WHEN, Reg(40), Number(SELECTOR), Hint(Field::bit(50))])),
    variant(&[72], &[], row("IMMA", Kind::Imma, Alu(0x037, REGS), Integer, &[IMMA_SHAPE, IMMA_A_TYPE, IMMA_B_TYPE, IMMA_SAT], &[Dst, A(Mods::None), B(Mods::None), C(Mods::None), UNIFORM_WHEN, Fixed(Field::new(74, 73), 2)])),
    variant(&[72], &[72], row("IMMA.SP", Kind::ImmaSparse, Alu(0x037, REGS), Integer, &[IMMA_SPARSE_SHAPE, IMMA_A_TYPE, IMMA_B_TYPE, IMMA_SAT], &[Dst, A(Mods::None), B(Mods::None), C(Mods::None), UNIFORM_WHEN, Reg(40), Number(SELECTOR), Hint(Field::bit(50)), Fixed(Field::new(74, 73), 2)])),
    row("BMMA", Kind::Bmma, Alu(0x03d, REGS), Integer, &[BMMA_SHAPE, BMMA_OP], &[Dst, A(Mods::None), B(Mods::None), C(Mods::None), UNIFORM_WHEN, Fixed(Field::new(74, 73), 2), ones(80, 80)]),
    row("DMMA", Kind::Dmma, Alu(0x03f, REGS), Integer, &[DMMA_SHAPE], &[Dst, A(Mods::None), B(Mods::None), C(Mods::None), UNIFORM_WHEN]),
    row("LDSM", Kind::Ldsm, Whole(0x83b), Integer, &[MATRIX_LAYOUT, MATRIX_COUNT], &[Dst, Window { ur: Some(32), scaled: false }]),
    only(Sm90, row("STSM", Kind::Stsm, Whole(0x844), Integer, &[MATRIX_LAYOUT, MATRIX_COUNT], &[Window { ur: None, scaled: false }, Reg(32)])),
    row("MOVM", Kind::Movm, Whole(0x23a), Integer, &[MOVE_LAYOUT], &[Dst, A(Mods::None)]),
    // Products of a warp group.
    only(Sm90, variant(&[80], &[], row("WARPGROUP.ARRIVE", Kind::GroupFence, Whole(0x9c5), Integer, &[], &[]))),
    only(Sm90, variant(&[80], &[80], row("WARPGROUP.DEPBAR.LE", Kind::GroupFence, Whole(0x9c5), Integer, &[], &[Board(Field::new(46, 44)), Number(GROUP_WAIT), ones(47, 47)]))),
    only(Sm90, row("HGMMA", Kind::GroupFloats, Whole(0x9f0), Integer, &[GROUP_FLOATS, GROUP_SUM, GROUP_TYPE], &[Dst, Descriptors { lo: 24, a: true }, Reg(64), UNIFORM_WHEN, Board(GROUP_BOARD), ones(91, 91)])),
    only(Sm90, row("HGMMA", Kind::GroupFloats, Whole(0xdf0), Integer, &[GROUP_FLOATS, GROUP_SUM, GROUP_TYPE], &[Dst, GroupA, Descriptors { lo: 32, a: false }, Reg(64), UNIFORM_WHEN, Board(GROUP_BOARD), ones(91, 91)])),
    only(Sm90, row("QGMMA", Kind::GroupEighths, Whole(0x9f3), Integer, &[GROUP_EIGHTHS, GROUP_SUM, GROUP_A_EIGHTH, GROUP_B_EIGHTH], &[Dst, Descriptors { lo: 24, a: true }, Reg(64), UNIFORM_WHEN, Board(GROUP_BOARD), ones(91, 91)])),
    only(Sm90, row("QGMMA", Kind::GroupEighths, Whole(0xdf3), Integer, &[GROUP_EIGHTHS, GROUP_SUM, GROUP_A_EIGHTH, GROUP_B_EIGHTH], &[Dst, GroupA, Descriptors { lo: 32, a: false }, Reg(64), UNIFORM_WHEN, Board(GROUP_BOARD), ones(91, 91)])),
    only(Sm90, row("IGMMA", Kind::GroupBytes, Whole(0x9f1), Integer, &[GROUP_BYTES, GROUP_A_SIGN, GROUP_B_SIGN, GROUP_SAT], &[Dst, Descriptors { lo: 24, a: true }, Reg(64), UNIFORM_WHEN, Board(GROUP_BOARD), ones(91, 91)])),
    only(Sm90, row("IGMMA", Kind::GroupBytes, Whole(0xdf1), Integer, &[GROUP_BYTES, GROUP_A_SIGN, GROUP_B_SIGN, GROUP_SAT], &[Dst, GroupA, Descriptors { lo: 32, a: false }, Reg(64), UNIFORM_WHEN, Board(GROUP_BOARD), ones(91, 91)])),
    only(Sm90, row("BGMMA", Kind::GroupBits, Whole(0x9f2), Integer, &[GROUP_BITS, GROUP_AND, GROUP_POPC], &[Dst, Descriptors { lo: 24, a: true }, Reg(64), UNIFORM_WHEN, Board(GROUP_BOARD), ones(91, 91)])),
    only(Sm90, row("BGMMA", Kind::GroupBits, Whole(0xdf2), Integer, &[GROUP_BITS, GROUP_AND, GROUP_POPC], &[Dst, GroupA, Descriptors { lo: 32, a: false }, Reg(64), UNIFORM_WHEN, Board(GROUP_BOARD), ones(91, 91)])),
    only(Sm90, row("USETMAXREG", Kind::SetRegisters, Whole(0x9c8), Integer, &[REGISTERS_CHANGE, REGISTERS_POOL], &[UP0, Number(SLOT32_IMM), ones(91, 91)])),
    // The uniform datapath.
    row("UMOV", Kind::UMov, Whole(0x882), Integer, &[], &[UDst, Number(SLOT32_IMM)]),
    row("UMOV", Kind::UMov, Whole(0xc82), Integer, &[], &[UDst, Ureg(32), ones(91, 91)]),
    only(Sm90, row("UIADD3.64", Kind::UIAdd3Wide, Uniform(0x097, REGS), Integer, &[], &[UDst, A(Mods::None), B(Mods::None), C(Mods::None), ones(90, 77)])),
    row("UIADD3", Kind::UIAdd3, Uniform(0x090, UNI), Integer, &[CARRY], &[UDst, UP0, UPDst(84, NotTrue), A(Mods::Neg), B(Mods::Neg), C(Mods::Neg), UP(87, 90, If(74)), UP(77, 80, If(74))]),
    row("UIMAD", Kind::UIMad, Uniform(0x0a4, f(&[1, 2, 4])), Integer, &[UNSIGNED, CARRY], &[UDst, A(Mods::None), B(Mods::None), C(Mods::Neg), UP(87, 90, If(74)), ones(83, 81)]),
    row("UIMAD.WIDE", Kind::UIMadWide, Uniform(0x0a5, UNI), Integer, &[UNSIGNED, CARRY], &[UDst, UP0, A(Mods::None), B(Mods::None), C(Mods::Neg), UP(87, 90, If(74))]),
    row("ULEA", Kind::ULea, Uniform(0x091, UNI), Integer, &[HIGH, CARRY, LEA_SIGN], &[UDst, UP0, A(Mods::Neg), B(Mods::Neg), C(Mods::None), Number(SHIFT), UP(87, 90, If(74))]),
    row("ULEA.HI", Kind::ULea, Uniform(0x091, f(&[2])), Integer, &[CARRY], &[UDst, UP0, A(Mods::Neg), B(Mods::None), C(Mods::None), Number(SHIFT), UP(87, 90, If(74)), ones(80, 80)]),
    row("ULOP3.LUT", Kind::ULop3, Uniform(0x092, UNI), Integer, &[PAND], &[UP0, UDst, A(Mods::None), B(Mods::None), C(Mods::None), Number(LUT), UP(87, 90, Always)]),
    row("USHF", Kind::UShf, Uniform(0x099, f(&[1, 2, 4])), Integer, &[SHIFT_DIRECTION, WRAP, SHIFT_TYPE, HIGH], &[UDst, A(Mods::None), B(Mods::None), C(Mods::None)]),
    row("UPRMT", Kind::UPrmt, Uniform(0x096, f(&[1, 4])), Integer, &[], &[UDst, A(Mods::None), B(Mods::None), C(Mods::None)]),
    row("USEL", Kind::USel, Uniform(0x087, UNI), Integer, &[], &[UDst, A(Mods::None), B32(Mods::None), UP(87, 90, Always)]),
    row("UISETP", Kind::UISetP, Uniform(0x08c, UNI), Integer, &[COMPARE3, UNSIGNED, COMBINE, EXTENDED_72], &[UPDst(81, Always), UPDst(84, Always), A(Mods::None), B32(Mods::None), UP(87, 90, Always), UP(68, 71, If(72))]),
    row("USGXT", Kind::USgxt, Uniform(0x09a, UNI), Integer, &[WRAP, UNSIGNED], &[UDst, A(Mods::None), B32(Mods::None)]),
    row("UP2UR", Kind::UP2ur, Uniform(0x083, NUMBER), Integer, &[BYTE_NAMED], &[UDst, A(Mods::None), B32(Mods::None)]),
    row("UR2UP", Kind::Ur2up, Uniform(0x084, NUMBER), Integer, &[BYTE_NAMED], &[A(Mods::None), B32(Mods::None)]),
    row("UBMSK", Kind::UBmsk, Uniform(0x09b, UNI), Integer, &[WRAP], &[UDst, A(Mods::None), B32(Mods::None)]),
    row("UFLO", Kind::UFlo, Uniform(0x0bd, REGS), Integer, &[UNSIGNED, SIGN_SHIFT], &[UDst, UP0, B32(Mods::Not)]),
    row("UBREV", Kind::UBrev, Uniform(0x0be, REGS), Integer, &[], &[UDst, B32(Mods::None)]),
    row("UPOPC", Kind::UPopc, Uniform(0x0bf, REGS), Integer, &[], &[UDst, B32(Mods::Not)]),
    row("UPLOP3.LUT", Kind::UPlop3, Whole(0x89c), Integer, &[], &[UPDst(81, Always), UPDst(84, Always), UP(87, 90, Always), UP(77, 80, Always), PThird, Table1, Table2]),
    // Constants.
    row("LDC", Kind::Ldc, Whole(0xb82), Integer, &[LOAD_CONSTANT_MODE, CONSTANT_ACCESS], &[Dst, Constant]),
    row("ULDC", Kind::Uldc, Whole(0xab9), Integer, &[CONSTANT_ACCESS], &[UDst, Constant]),
    row("ULDC", Kind::Uldc, Whole(0xabb), Integer, &[CONSTANT_ACCESS], &[UDst, Constant, ones(91, 91)]),
    // Global memory.
    row("LDG", Kind::Ldg, Whole(0x981), Integer, LOAD, &[PDst(81, NotTrue), Dst, GLOBAL_UR32, PInverted(64, 67, false), UniformAddress]),
    row("LDG", Kind::Ldg, Whole(0x381), Integer, LOAD, &[PDst(81, NotTrue), Dst, PLAIN, PInverted(64, 67, false)]),
    row("LD", Kind::Ld, Whole(0x980), Integer, LOAD, &[Dst, GLOBAL_UR32, PInverted(64, 67, false), UniformAddress]),
    row("STG", Kind::Stg, Whole(0x986), Integer, STORE, &[GLOBAL_UR64, Reg(32), UniformAddress]),
    row("STG", Kind::Stg, Whole(0x386), Integer, STORE, &[PLAIN, Reg(32)]),
    row("ST", Kind::St, Whole(0x385), Integer, STORE, &[GLOBAL_UR32, Reg(64)]),
    row("ST", Kind::St, Whole(0x985), Integer, STORE, &[GLOBAL_UR64, Reg(32), UniformAddress]),
    only(Sm87, row("ATOMG", Kind::Atomg, Whole(0x9a8), Integer, &[WIDE_ADDRESS, ATOM_OP, EVICTION, ATOM_TYPE_87, STORE_ORDER], &[P0_SHOWN, Dst, ATOM_UR, Reg(32), AtomAddress, ones(91, 91)])),
    only(Sm90, row("ATOMG", Kind::Atomg, Whole(0x9a8), Integer, &[WIDE_ADDRESS, ATOM_OP, EVICTION, ATOM_TYPE_90, STORE_ORDER], &[P0_SHOWN, Dst, ATOM_UR, Reg(32), AtomAddress, ones(91, 91)])),
    only(Sm87, row("ATOM", Kind::Atom, Whole(0x98a), Integer, &[WIDE_ADDRESS, ATOM_OP, EVICTION, ATOM_TYPE_87, STORE_ORDER], &[P0_SHOWN, Dst, ATOM_UR, Reg(32), AtomAddress, ones(91, 91)])),
    only(Sm90, row("ATOM", Kind::Atom, Whole(0x98a), Integer, &[WIDE_ADDRESS, ATOM_OP, EVICTION, ATOM_TYPE_90, STORE_ORDER], &[P0_SHOWN, Dst, ATOM_UR, Reg(32), AtomAddress, ones(91, 91)])),
    only(Sm90, row("ATOMG", Kind::AtomgFloat, Whole(0x9a3), Integer, &[WIDE_ADDRESS, ATOM_FLOAT_OP, EVICTION, ATOM_FLOAT_TYPE, STORE_ORDER], &[P0_SHOWN, Dst, ATOM_UR, Reg(32), AtomAddress, ones(91, 91)])),
    only(Sm90, row("ATOM", Kind::AtomFloat, Whole(0x9a2), Integer, &[WIDE_ADDRESS, ATOM_FLOAT_OP, EVICTION, ATOM_FLOAT_TYPE, STORE_ORDER], &[P0_SHOWN, Dst, ATOM_UR, Reg(32), AtomAddress, ones(91, 91)])),
    only(Sm87, row("RED", Kind::Red, Whole(0x98e), Integer, &[WIDE_ADDRESS, RED_OP, EVICTION, ATOM_TYPE_87, STORE_ORDER], &[ATOM_UR, Reg(32), Fixed(Field::bit(70), 0), UniformAddress])),
    only(Sm90, row("REDG", Kind::Red, Whole(0x98e), Integer, &[WIDE_ADDRESS, RED_OP, EVICTION, ATOM_TYPE_90, STORE_ORDER], &[ATOM_UR, Reg(32), Fixed(Field::bit(70), 0), UniformAddress])),
    only(Sm90, row("REDG", Kind::RedFloat, Whole(0x9a6), Integer, &[WIDE_ADDRESS, ATOM_FLOAT_OP, EVICTION, ATOM_FLOAT_TYPE, STORE_ORDER], &[ATOM_UR, Reg(32), Fixed(Field::bit(70), 0), UniformAddress])),
    only(Sm87, row("ATOMG", Kind::AtomgCas, Whole(0x3a9), Integer, &[WIDE_ADDRESS, CAS_ONLY, EVICTION, CAS_TYPE_87, STORE_ORDER], &[P0_SHOWN, Dst, PLAIN, Reg(32), Reg(64)])),
    only(Sm90, row("ATOMG", Kind::AtomgCas, Whole(0x3a9), Integer, &[WIDE_ADDRESS, CAS_ONLY, EVICTION, CAS_TYPE_90, STORE_ORDER], &[P0_SHOWN, Dst, PLAIN, Reg(32), Reg(64)])),
    only(Sm87, row("ATOM", Kind::AtomCas, Whole(0x38b), Integer, &[WIDE_ADDRESS, CAS_KIND_87, EVICTION, CAS_TYPE_87, STORE_ORDER], &[P0_SHOWN, Dst, PLAIN, Reg(32), Reg(64)])),
    only(Sm90, row("ATOM", Kind::AtomCas, Whole(0x38b), Integer, &[WIDE_ADDRESS, CAS_KIND_90, EVICTION, CAS_TYPE_90, STORE_ORDER], &[P0_SHOWN, Dst, PLAIN, Reg(32), Reg(64)])),
    only(Sm87, row("ATOMG", Kind::Atomg, Whole(0x3a8), Integer, &[WIDE_ADDRESS, ATOM_OP, EVICTION, ATOM_TYPE_87, STORE_ORDER], &[P0_SHOWN, Dst, PLAIN, Reg(32)])),
    only(Sm90, row("ATOMG", Kind::Atomg, Whole(0x3a8), Integer, &[WIDE_ADDRESS, ATOM_OP, EVICTION, ATOM_TYPE_90, STORE_ORDER], &[P0_SHOWN, Dst, PLAIN, Reg(32)])),
    only(Sm87, row("ATOM", Kind::Atom, Whole(0x38a), Integer, &[WIDE_ADDRESS, ATOM_OP, EVICTION, ATOM_TYPE_87, STORE_ORDER], &[P0_SHOWN, Dst, PLAIN, Reg(32)])),
    only(Sm90, row("ATOM", Kind::Atom, Whole(0x38a), Integer, &[WIDE_ADDRESS, ATOM_OP, EVICTION, ATOM_TYPE_90, STORE_ORDER], &[P0_SHOWN, Dst, PLAIN, Reg(32)])),
    only(Sm87, row("ATOM", Kind::AtomCount, Whole(0xf8a), Integer, &[WIDE_ADDRESS, ATOM_COUNT_87, EVICTION, STORE_ORDER], &[P0_SHOWN, Dst, ATOM_UR, AtomAddress, ones(91, 91)])),
    row("CCTL", Kind::Cctl, Whole(0x98f), Integer, &[CACHE_WIDE, CACHE_KIND, CACHE_OP], &[CacheLine]),
    row("CCTLL.PF1", Kind::CctlLocal, Whole(0x990), Integer, &[], &[Window { ur: None, scaled: false }]),
    row("PMTRIG", Kind::PmTrig, Whole(0x801), Integer, &[], &[Number(TRIGGERS), WHEN]),
    row("QSPC", Kind::Qspc, Whole(0x3aa), Integer, &[WIDE_ADDRESS, SPACE], &[P0_SHOWN, Dst, PLAIN]),
    row("QSPC", Kind::Qspc, Whole(0x9aa), Integer, &[WIDE_ADDRESS, SPACE], &[P0_SHOWN, Dst, GLOBAL_UR32, UniformAddress]),
    row("LDGSTS.E", Kind::Ldgsts, Whole(0xfae), Integer, &[BYPASS, EVICTION, COPY_PREFETCH, COPY_SIZE, ZERO_FILL, COPY_ORDER], &[CopyTarget { ur: None }, CopySource { ur: Some(64) }, WHEN, ones(70, 70), ones(91, 91)]),
    row("LDGSTS.E", Kind::Ldgsts, Whole(0xdae), Integer, &[BYPASS, EVICTION, COPY_PREFETCH, COPY_SIZE, ZERO_FILL, COPY_ORDER], &[CopyTarget { ur: Some(64) }, CopySource { ur: None }, WHEN, ones(70, 70), ones(91, 91)]),
    row("LDGDEPBAR", Kind::LdgDepBar, Whole(0x9af), Integer, &[], &[]),
    row("DEPBAR.LE", Kind::DepBar, Whole(0x91a), Integer, &[], &[Number(Field::new(46, 44)), Number(Field::new(43, 38)), Hint(Field::new(37, 32)), ones(47, 47)]),
    // Shared and local memory.
    row("LDS", Kind::Lds, Whole(0x984), Integer, &[ACCESS], &[Dst, Window { ur: Some(32), scaled: true }]),
    row("STS", Kind::Sts, Whole(0x388), Integer, &[ACCESS], &[SHARED, Reg(32)]),
    row("STS", Kind::Sts, Whole(0x988), Integer, &[ACCESS], &[Window { ur: Some(64), scaled: true }, Reg(32), ones(91, 91)]),
    row("LDL", Kind::Ldl, Whole(0x983), Integer, &[EVICTION, ACCESS], &[Dst, Window { ur: Some(32), scaled: false }]),
    row("STL", Kind::Stl, Whole(0x387), Integer, &[EVICTION, ACCESS], &[Window { ur: None, scaled: false }, Reg(32)]),
    row("STL", Kind::Stl, Whole(0x987), Integer, &[EVICTION, ACCESS], &[Window { ur: Some(64), scaled: false }, Reg(32), ones(91, 91)]),
    only(Sm87, row("ATOMS", Kind::Atoms, Whole(0x38c), Integer, &[ATOM_OP, ATOMS_TYPE_87], &[Dst, SHARED, Reg(32)])),
    only(Sm90, row("ATOMS", Kind::Atoms, Whole(0x38c), Integer, &[ATOM_OP, ATOMS_TYPE_90], &[Dst, SHARED, Reg(32)])),
    only(Sm87, row("ATOMS", Kind::Atoms, Whole(0x98c), Integer, &[ATOM_OP, ATOMS_TYPE_87], &[Dst, Window { ur: Some(64), scaled: true }, Reg(32), ones(91, 91)])),
    only(Sm90, row("ATOMS", Kind::Atoms, Whole(0x98c), Integer, &[ATOM_OP, ATOMS_TYPE_90], &[Dst, Window { ur: Some(64), scaled: true }, Reg(32), ones(91, 91)])),
    only(Sm87, row("ATOMS", Kind::AtomsCount, Whole(0xf8c), Integer, &[ATOMS_COUNT_87], &[Dst, Window { ur: Some(64), scaled: true }, ones(91, 91)])),
    only(Sm90, row("ATOMS.POPC.INC.32", Kind::AtomsCount, Whole(0xf8c), Integer, &[], &[Dst, Window { ur: Some(64), scaled: true }, Fixed(Field::new(90, 87), 11), ones(91, 91)])),
    only(Sm87, row("ATOMS", Kind::AtomsCas, Whole(0x38d), Integer, &[SHARED_CAS_KIND, CAS_TYPE_87], &[Dst, SHARED, Reg(32), Reg(64)])),
    only(Sm90, row("ATOMS", Kind::AtomsCas, Whole(0x38d), Integer, &[SHARED_CAS_KIND, CAS_TYPE_90], &[Dst, SHARED, Reg(32), Reg(64)])),
    only(Sm87, row("ARRIVES.LDGSTSBAR.64", Kind::Arrives, Whole(0x9b0), Integer, &[], &[Window { ur: Some(64), scaled: false }, ones(91, 91), Fixed(Field::new(75, 72), 10)])),
    only(Sm90, row("ARRIVES.LDGSTSBAR.64", Kind::Arrives, Whole(0x9b0), Integer, &[ARRIVES_COUNT], &[Window { ur: Some(64), scaled: false }, ones(91, 91), Fixed(Field::new(75, 72), 10)])),
    only(Sm90, row("SYNCS.ARRIVE.TRANS64", Kind::SyncArrive, Whole(0x9a7), Integer, &[SYNC_RED, SYNC_OPT_OUT, SYNC_COUNTS], &[Dst, Window { ur: Some(64), scaled: false }, Reg(32), ones(91, 91), Fixed(Field::new(71, 70), 0)])),
    only(Sm90, row("SYNCS.PHASECHK.TRANS64", Kind::SyncCheck, Whole(0x5a7), Integer, &[SYNC_TRY], &[P0_SHOWN, Window { ur: Some(64), scaled: false }, Reg(32), ones(91, 91), Fixed(Field::new(71, 70), 1)])),
    only(Sm90, row("SYNCS.EXCH.64", Kind::SyncExchange, Whole(0x5b2), Integer, &[], &[UDst, UniformWindow, Ureg(32), ones(91, 91), Fixed(Field::new(73, 72), 1)])),
    only(Sm90, row("STAS", Kind::Signal, Whole(0xdbd), Integer, &[COPY_SIZE], &[PlaceAndBarrier, Reg(32), NO_OFFSET, NO_ADDEND, ones(91, 90)])),
    only(Sm90, row("REDAS", Kind::SignalRed, Whole(0xdbe), Integer, &[RED_OP, SIGNAL_TYPE], &[PlaceAndBarrier, Reg(32), NO_OFFSET, NO_ADDEND, ones(72, 72), ones(91, 91)])),
    only(Sm90, row("UBLKCP", Kind::Bulk, Whole(0x3ba), Integer, &[BULK_ROUTE, BULK_TO_MANY], &[UniformPlace(32), UniformPlace(24), Ureg(64), BulkPolicy, ones(91, 91)])),
    only(Sm90, row("UBLKRED", Kind::BulkRed, Whole(0x3bb), Integer, &[BULK_ROUTE, RED_OP, BULK_TYPE], &[UniformPlace(32), UniformPlace(24), Ureg(64), BulkPolicy, ones(91, 91)])),
    only(Sm90, row("UBLKPF.L2", Kind::BulkPrefetch, Whole(0x3bc), Integer, &[], &[UniformPlace(24), Ureg(64), BulkPolicy, ones(91, 91)])),
    only(Sm90, row("SYNCS.CCTL.IV", Kind::SyncForget, Whole(0x9b1), Integer, &[], &[Window { ur: Some(64), scaled: false }, ones(91, 91)])),
    // Order and waiting.
    only(Sm90, row("FENCE.VIEW.ASYNC", Kind::Errbar, Whole(0x3c6), Integer, &[VIEW], &[])),
    only(Sm90, row("UTMACCTL", Kind::TensorMapForget, Whole(0x9b9), Integer, &[MAP_CACHE], &[UniformPlace(24), ones(91, 91)])),
    only(Sm90, row("UTMACMDFLUSH", Kind::BulkCommit, Whole(0x9b7), Integer, &[], &[])),
    row("MEMBAR", Kind::Membar, Whole(0x992), Integer, &[FENCE, FENCE_SCOPE], &[]),
    row("ERRBAR", Kind::Errbar, Whole(0x9ab), Integer, &[], &[]),
    only(Sm90, row("CGAERRBAR", Kind::CgaErrbar, Whole(0x5ab), Integer, &[], &[])),
    row("NANOSLEEP", Kind::Nanosleep, Alu(0x15d, TWO), Integer, &[SLEEP_KIND], &[B32(Mods::None), WHEN]),
    row("YIELD", Kind::Yield, Whole(0x946), Integer, &[], &[WHEN]),
    only(Sm90, row("PREEXIT", Kind::Nop, Whole(0x82d), Integer, &[], &[])),
    only(Sm90, row("ACQBULK", Kind::AcqBulk, Whole(0x82e), Integer, &[], &[])),
    only(Sm90, row("UCGABAR_ARV", Kind::ClusterArrive, Whole(0x9c7), Integer, &[], &[ones(91, 91)])),
    only(Sm90, row("UCGABAR_WAIT", Kind::ClusterWait, Whole(0xdc7), Integer, &[], &[ones(91, 91)])),
    row("NOP", Kind::Nop, Whole(0x918), Integer, &[], &[]),
    row("BAR", Kind::Bar, Whole(0x51d), Integer, &[BARRIER_MODE, DEFER], &[BarrierId, BarrierCount, P(87, 90, If(78))]),
    row("BAR", Kind::Bar, Whole(0x91d), Integer, &[BARRIER_MODE, DEFER], &[BarrierId, BarrierCount, P(87, 90, If(78))]),
    row("BAR", Kind::Bar, Whole(0xb1d), Integer, &[BARRIER_MODE, DEFER], &[BarrierId, BarrierCount, P(87, 90, If(78))]),
    row("BAR", Kind::Bar, Whole(0x31d), Integer, &[BARRIER_MODE, DEFER], &[BarrierId, BarrierCount, P(87, 90, If(78))]),
    row("B2R", Kind::B2r, Whole(0x31c), Integer, &[RESULT], &[Dst, P0]),
    // Control flow.
    row("BRA", Kind::Bra, Whole(0x947), Integer, &[BRANCH_STACK, DIVERGENCE], &[WHEN, DivergenceMask, Target]),
    row("BRA.U", Kind::BraU, Whole(0x547), Integer, &[BRANCH_STACK], &[UP(24, 27, Always), WHEN, Target, Fixed(Field::new(33, 32), 1), ones(91, 91)]),
    row("BRX", Kind::Brx, Whole(0x949), Integer, &[BRANCH_STACK], &[WHEN, RegTarget]),
    row("BRXU", Kind::BrxU, Whole(0x958), Integer, &[BRANCH_STACK], &[WHEN, UniformTarget, ones(91, 91)]),
    row("CALL.REL", Kind::Call, Whole(0x944), Integer, &[NO_INCREMENT], &[WHEN, Target]),
    row("CALL.REL", Kind::CallReg, Whole(0x344), Integer, &[NO_INCREMENT], &[WHEN, RegTarget]),
    row("CALL.ABS", Kind::CallAbs, Whole(0x343), Integer, &[NO_INCREMENT], &[WHEN, AbsoluteTarget]),
    row("CALL.ABS", Kind::CallTo, Whole(0x943), Integer, &[NO_INCREMENT], &[WHEN, FixedTarget]),
    row("RET", Kind::Ret, Whole(0x950), Integer, &[RELATIVE, NO_DECREMENT], &[WHEN, RegTarget]),
    row("EXIT", Kind::Exit, Whole(0x94d), Integer, &[EXIT_MODE], &[WHEN]),
    row("KILL", Kind::Kill, Whole(0x95b), Integer, &[], &[WHEN]),
    row("BPT", Kind::Bpt, Whole(0x95c), Integer, &[TRAP_KIND], &[Number(Field::new(36, 34))]),
    row("BSSY", Kind::Bssy, Whole(0x945), Integer, &[], &[WHEN, Bar(16), ShortTarget]),
    row("BSYNC", Kind::Bsync, Whole(0x941), Integer, &[], &[WHEN, Bar(16)]),
    row("BREAK", Kind::Break, Whole(0x942), Integer, &[], &[WHEN, Bar(16)]),
    row("BMOV", Kind::BmovToReg, Whole(0x355), Integer, &[CLEAR], &[Dst, Bar(24)]),
    row("BMOV.32", Kind::BmovFromReg, Whole(0x356), Integer, &[], &[Bar(24), Reg(32)]),
    only(Sm87, row("BMOV.32", Kind::BmovImm, Whole(0x956), Integer, &[], &[Bar(24), Number(SLOT32_IMM)])),
    only(Sm87, row("BMOV", Kind::BmovBar, Whole(0xf55), Integer, &[CLEAR], &[Bar(16), Bar(24)])),
    only(Sm87, row("WARPSYNC", Kind::WarpSyncReg, Whole(0x348), Integer, &[SYNC_87], &[WHEN, Reg(32)])),
    only(Sm90, row("WARPSYNC", Kind::WarpSyncReg, Whole(0x348), Integer, &[SYNC_90], &[WHEN, RegNotZero(24), Reg(24), Target])),
    only(Sm87, row("WARPSYNC", Kind::WarpSyncImm, Whole(0x948), Integer, &[], &[WHEN, Number(SLOT32_IMM)])),
    only(Sm90, variant(&[86], &[], row("WARPSYNC.ALL", Kind::WarpSyncAll, Whole(0x948), Integer, &[], &[WHEN]))),
    only(Sm90, variant(&[86], &[86], row("WARPSYNC.COLLECTIVE.ALL", Kind::WarpSyncAll, Whole(0x948), Integer, &[], &[WHEN, Target]))),
    only(Sm90, row("ENDCOLLECTIVE", Kind::EndCollective, Whole(0x91b), Integer, &[], &[WHEN])),
    row("LEPC", Kind::Lepc, Whole(0x34e), Integer, &[], &[Dst]),
    only(Sm90, row("LEPC", Kind::LepcNext, Whole(0x94e), Integer, &[], &[Dst, NextPlus])),
    ]
}
