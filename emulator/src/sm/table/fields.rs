//! The fields and modifiers that rows share.

use super::{BAD, Field, Modifier};

pub(crate) const GUARD: Field = Field::new(14, 12);
pub(crate) const GUARD_NOT: Field = Field::bit(15);
/// Stall counts, scoreboards and register reuse: they order the pipeline and mean nothing here.
pub(crate) const SCHEDULING: Field = Field::new(125, 105);

pub(crate) const DST: Field = Field::new(23, 16);
pub(crate) const UDST: Field = Field::new(21, 16);
pub(crate) const SRC_A: Field = Field::new(31, 24);
pub(crate) const USRC_A: Field = Field::new(29, 24);
pub(crate) const SLOT32_REG: Field = Field::new(39, 32);
pub(crate) const SLOT32_UREG: Field = Field::new(37, 32);
pub(crate) const SLOT32_IMM: Field = Field::new(63, 32);
pub(crate) const SLOT64_REG: Field = Field::new(71, 64);
pub(crate) const SLOT64_UREG: Field = Field::new(69, 64);
pub(crate) const CONST_OFFSET: Field = Field::new(53, 38);
/// Where the offset must be a multiple of four.
pub(crate) const CONST_WORDS: Field = Field::new(53, 40);
pub(crate) const CONST_BANK: Field = Field::new(58, 54);
/// Marks a uniform register in the slot (and every uniform row).
pub(crate) const UNIFORM: Field = Field::bit(91);

pub(crate) const A_NEG: Field = Field::bit(72);
pub(crate) const A_ABS: Field = Field::bit(73);
pub(crate) const A_HALVES: Field = Field::new(75, 74);
pub(crate) const SLOT32_HALVES: Field = Field::new(61, 60);
pub(crate) const SLOT32_ABS: Field = Field::bit(62);
pub(crate) const SLOT32_NEG: Field = Field::bit(63);
pub(crate) const SLOT64_ABS: Field = Field::bit(74);
pub(crate) const SLOT64_NEG: Field = Field::bit(75);
pub(crate) const SLOT64_HALVES: Field = Field::new(82, 81);
pub(crate) const SLOT64_HALF_ABS: Field = Field::bit(83);
pub(crate) const SLOT64_HALF_NEG: Field = Field::bit(84);

/// The offset of a load that has no uniform register.
pub(crate) const OFFSET32: Field = Field::new(63, 32);
pub(crate) const OFFSET24: Field = Field::new(63, 40);
pub(crate) const SCALE: Field = Field::new(79, 78);
pub(crate) const SPECIAL: Field = Field::new(79, 72);
pub(crate) const LUT: Field = Field::new(79, 72);
pub(crate) const SHIFT: Field = Field::new(79, 75);
pub(crate) const TARGET_HIGH: Field = Field::new(81, 34);
pub(crate) const TARGET_LOW: Field = Field::new(23, 16);
/// A distance in bytes, where there is no other operand.
pub(crate) const LONG_OFFSET: Field = Field::new(81, 24);
pub(crate) const SHORT_TARGET: Field = Field::new(63, 34);
/// Which byte of a register predicates move to or from.
pub(crate) const BYTE: Field = Field::new(77, 76);
pub(crate) const PLOP_LOW: Field = Field::new(66, 64);
pub(crate) const PLOP_HIGH: Field = Field::new(76, 72);
pub(crate) const PLOP_SECOND: Field = Field::new(23, 16);
/// Bit 71 of an atomic: its uniform register names a descriptor, not an addend.
pub(crate) const ATOM_DESCRIPTOR: Field = Field::bit(71);
/// Bit 70 of an atomic, 90 of other global accesses with a uniform register: the base is a pair. Without
/// it the base is one register, its upper half zero.
pub(crate) const ATOM_PAIR: Field = Field::bit(70);
pub(crate) const PAIR: Field = Field::bit(90);
/// Bit 76 of a global access: the uniform register names a descriptor, not an addend.
pub(crate) const DESCRIPTOR: Field = Field::bit(76);
pub(crate) const COPY_SHARED_OFFSET: Field = Field::new(63, 44);
pub(crate) const COPY_GLOBAL_OFFSET: Field = Field::new(43, 32);
pub(crate) const BARRIER_ID: Field = Field::new(57, 54);
pub(crate) const BARRIER_COUNT: Field = Field::new(53, 42);

/// What a performance-monitor trigger names.
pub(crate) const TRIGGERS: Field = Field::new(47, 32);
/// Where the pair of narrow numbers leaves the third source.
pub(crate) const PAIR_PART: Field = Field::new(73, 72);

/// The same as a suffix.
pub(crate) const BYTE_NAMED: Modifier = Modifier::new(BYTE, &["", "B1", "B2", "B3"]);

const fn flag(at: u8, names: &'static [&'static str; 2]) -> Modifier {
    Modifier::new(Field::bit(at), names)
}

const fn field(hi: u8, lo: u8, names: &'static [&'static str]) -> Modifier {
    Modifier::new(Field::new(hi, lo), names)
}

pub(crate) const FTZ: Modifier = flag(80, &["", "FTZ"]);
pub(crate) const ROUND: Modifier = field(79, 78, &["", "RM", "RP", "RZ"]);
pub(crate) const SAT: Modifier = flag(77, &["", "SAT"]);
pub(crate) const FMZ: Modifier = flag(76, &["", "FMZ"]);
pub(crate) const SCALE_RESULT: Modifier =
    field(86, 84, &["-", "D8", "D4", "D2", "", "M2", "M4", "M8"]);
pub(crate) const NAN: Modifier = flag(81, &["", "NAN"]);
pub(crate) const XORSIGN: Modifier = flag(82, &["", "XORSIGN"]);
pub(crate) const COMPARE4: Modifier = field(
    79,
    76,
    &[
        "F", "LT", "EQ", "LE", "GT", "NE", "GE", "NUM", "NAN", "LTU", "EQU", "LEU", "GTU", "NEU",
        "GEU", "T",
    ],
);
pub(crate) const COMPARE4_DOUBLE: Modifier = field(
    79,
    76,
    &[
        "MIN", "LT", "EQ", "LE", "GT", "NE", "GE", "NUM", "NAN", "LTU", "EQU", "LEU", "GTU", "NEU",
        "GEU", "MAX",
    ],
);
pub(crate) const COMPARE3: Modifier =
    field(78, 76, &["F", "LT", "EQ", "LE", "GT", "NE", "GE", "T"]);
pub(crate) const COMBINE: Modifier = field(75, 74, &["AND", "OR", "XOR"]);
pub(crate) const COMBINE_HALF: Modifier = field(70, 69, &["AND", "OR", "XOR"]);
pub(crate) const UNSIGNED: Modifier = flag(73, &["U32", ""]);
pub(crate) const EXTENDED_72: Modifier = flag(72, &["", "EX"]);
pub(crate) const CARRY: Modifier = flag(74, &["", "X"]);
pub(crate) const BF16_PAIR: Modifier = flag(85, &["", "BF16_V2"]);
pub(crate) const HALF_F32: Modifier = flag(78, &["", "F32"]);
pub(crate) const RELU_79: Modifier = flag(79, &["", "RELU"]);
/// The halves of the second factor change places and the one that becomes the low one its sign, as the
/// product of complex numbers needs it.
pub(crate) const CROSS: Modifier = flag(86, &["", "NH1"]);
pub(crate) const DP: Modifier = Modifier::split(
    Field::new(77, 76),
    Field::new(74, 73),
    // The accumulate width and which half come first, then the signs of A and B.
    &[
        "4A.U8.U8",
        "2A.LO.U16.U8",
        "-",
        "2A.HI.U16.U8",
        "4A.S8.U8",
        "2A.LO.S16.U8",
        "-",
        "2A.HI.S16.U8",
        "4A.U8.S8",
        "2A.LO.U16.S8",
        "-",
        "2A.HI.U16.S8",
        "4A.S8.S8",
        "2A.LO.S16.S8",
        "-",
        "2A.HI.S16.S8",
    ],
);
pub(crate) const SHIFT_DIRECTION: Modifier = flag(76, &["L", "R"]);
pub(crate) const WRAP: Modifier = flag(75, &["", "W"]);
pub(crate) const SHIFT_TYPE: Modifier = field(74, 73, &["S64", "U64", "S32", "U32"]);
pub(crate) const HIGH: Modifier = flag(80, &["", "HI"]);
pub(crate) const PERMUTE: Modifier =
    field(74, 72, &["", "F4E", "B4E", "RC8", "ECL", "ECR", "RC16"]);
pub(crate) const SIGN_SHIFT: Modifier = flag(74, &["", "SH"]);
pub(crate) const PAND: Modifier = flag(80, &["", "PAND"]);
pub(crate) const PAIR_TYPE: Modifier = field(73, 72, &["U32", "", "U16x2", "S16x2"]);
pub(crate) const RELU_76: Modifier = flag(76, &["", "RELU"]);
pub(crate) const ADD_PAIR: Modifier = flag(73, &["", "16x2"]);

pub(crate) const MUFU_FUNCTION: Modifier =
    field(77, 74, &["COS", "SIN", "EX2", "LG2", "RCP", "RSQ", "RCP64H", "RSQ64H", "SQRT", "TANH"]);
pub(crate) const MUFU_FORMAT_87: Modifier = flag(73, &["", "F16"]);
pub(crate) const MUFU_FORMAT_90: Modifier = field(73, 72, &["", "F16", "BF16"]);

pub(crate) const FLOAT_DST_NAMED: Modifier = field(77, 75, &["-", "F16", "F32", "F64", "BF16"]);
pub(crate) const FLOAT_SRC_NAMED: Modifier = field(86, 84, &["-", "F16", "F32", "F64", "BF16"]);
pub(crate) const INTEGER_DST: Modifier = Modifier::split(
    Field::new(76, 75),
    Field::bit(72),
    &["U8", "U16", "U32", "U64", "S8", "S16", "", "S64"],
);
pub(crate) const INTEGER_SRC: Modifier = Modifier::split(
    Field::new(85, 84),
    Field::bit(74),
    &["U8", "U16", "U32", "U64", "S8", "S16", "", "S64"],
);
pub(crate) const INTEGER_SRC_32: Modifier = Modifier::split(
    Field::new(85, 84),
    Field::bit(74),
    &["-", "-", "U32", "-", "-", "-", "S32", "-"],
);
pub(crate) const ROUND_INTEGER: Modifier = field(79, 78, &["", "FLOOR", "CEIL", "TRUNC"]);
pub(crate) const NTZ: Modifier = flag(77, &["", "NTZ"]);
/// Which byte (or half) of the source an integer conversion takes.
pub(crate) const SUBWORD: Field = Field::new(61, 60);
pub(crate) const NARROW_DST: Modifier =
    field(77, 76, &["U8.S32.SAT", "S8.S32.SAT", "U16.S32.SAT", "S16.S32.SAT"]);
pub(crate) const PACK_SATFINITE: Modifier = flag(77, &["", "SATFINITE"]);
pub(crate) const PACK_RELU: Modifier = flag(75, &["", "RELU"]);
pub(crate) const PACK_FORMAT: Modifier = flag(76, &["F16.F32", "BF16.F32"]);
pub(crate) const PACK_MERGE: Modifier = flag(78, &["PACK_AB", "MERGE_C"]);
pub(crate) const PACK_ROUND: Modifier = field(81, 79, &["", "-", "-", "RZ"]);

pub(crate) const WIDE_ADDRESS: Modifier = flag(72, &["-", "E"]);
pub(crate) const ACCESS: Modifier = field(75, 73, &["U8", "S8", "U16", "S16", "", "64", "128"]);
pub(crate) const CONSTANT_ACCESS: Modifier = field(75, 73, &["U8", "S8", "U16", "S16", "", "64"]);
/// Order and scope of a load. The values between have names too, but no multiprocessor runs them.
pub(crate) const ORDER: Modifier = field(
    80,
    77,
    &[
        "",
        "-",
        "-",
        "-",
        "CONSTANT",
        "STRONG.SM",
        "STRONG.GPU.PRIVATE",
        "STRONG.GPU",
        "MMIO.GPU",
        "-",
        "STRONG.SYS",
        "-",
        "MMIO.SYS",
    ],
);
pub(crate) const STORE_ORDER: Modifier = field(
    80,
    77,
    &[
        "",
        "-",
        "-",
        "-",
        "STRONG.SM.PRIVATE",
        "STRONG.SM",
        "STRONG.GPU.PRIVATE",
        "STRONG.GPU",
        "MMIO.GPU",
        "-",
        "STRONG.SYS",
        "-",
        "MMIO.SYS",
    ],
);
pub(crate) const EVICTION: Modifier = field(86, 84, &["EF", "", "EL", "LU", "EU", "NA"]);
pub(crate) const PREFETCH: Modifier = field(69, 68, &["", "LTC64B", "LTC128B", "LTC256B"]);
pub(crate) const ATOM_OP: Modifier =
    field(90, 87, &["ADD", "MIN", "MAX", "INC", "DEC", "AND", "OR", "XOR", "EXCH", "SAFEADD"]);
pub(crate) const RED_OP: Modifier =
    field(89, 87, &["ADD", "MIN", "MAX", "INC", "DEC", "AND", "OR", "XOR"]);
pub(crate) const ATOM_TYPE_87: Modifier =
    field(75, 73, &["", "S32", "64", "F32.FTZ.RN", "F16x2.RN", "S64", "F64.RN"]);
pub(crate) const ATOM_TYPE_90: Modifier = field(75, 73, &["", "S32", "64", "S64", "128"]);
pub(crate) const ATOM_FLOAT_TYPE: Modifier = field(
    76,
    73,
    &[
        "F16x2.RN",
        "F16x4.RN",
        "F16x8.RN",
        "BF16x2.RN",
        "BF16x4.RN",
        "BF16x8.RN",
        "-",
        "-",
        "-",
        "F32.FTZ.RN",
        "F32x2.FTZ.RN",
        "F32x4.FTZ.RN",
        "F32.RN",
        "-",
        "-",
        "F64.RN",
    ],
);
pub(crate) const ATOM_FLOAT_OP: Modifier = field(89, 87, &["ADD", "-", "MIN", "-", "MAX"]);
pub(crate) const CAS_TYPE_87: Modifier = field(75, 73, &["", "S32", "64"]);
pub(crate) const CAS_TYPE_90: Modifier = field(75, 73, &["", "S32", "64", "-", "128"]);
pub(crate) const CAS_KIND_87: Modifier = field(88, 87, &["CAS"]);
pub(crate) const CAS_KIND_90: Modifier = field(88, 87, &["CAS", "-", "-", "CAST.SPIN"]);
pub(crate) const SHARED_CAS_KIND: Modifier = field(88, 87, &["CAS", "CAST", "-", "CAST.SPIN"]);
pub(crate) const SHUFFLE: Modifier = field(59, 58, &["IDX", "UP", "DOWN", "BFLY"]);
pub(crate) const VOTE_MODE: Modifier = field(73, 72, &["ALL", "ANY", "EQ"]);
pub(crate) const MATCH_MODE: Modifier = flag(79, &["ALL", "ANY"]);
pub(crate) const MATCH_WIDTH: Modifier = flag(73, &["", "U64"]);
pub(crate) const REDUCE_OP: Modifier = field(80, 78, &["", "OR", "XOR", "SUM", "MIN", "MAX"]);
pub(crate) const REDUCE_SIGN: Modifier = flag(73, &["", "S32"]);
pub(crate) const ANY_OR: Modifier = flag(84, &["", "OR"]);
pub(crate) const MATRIX_COUNT: Modifier = field(73, 72, &["", "2", "4"]);
pub(crate) const MATRIX_LAYOUT: Modifier = field(79, 78, &["16.M88", "16.MT88"]);
pub(crate) const MOVE_LAYOUT: Modifier = field(79, 78, &["16.MT88"]);
pub(crate) const HMMA_SHAPE: Modifier =
    Modifier::split(Field::bit(75), Field::bit(78), &["1688", "16816", "1684", "-"]);
pub(crate) const HMMA_ACCUMULATOR: Modifier = flag(76, &["F16", "F32"]);
pub(crate) const HMMA_TYPE: Modifier = field(83, 82, &["", "BF16", "TF32"]);
pub(crate) const IMMA_SHAPE: Modifier = Modifier::split(
    Field::bit(75),
    Field::new(86, 85),
    &["8816", "-", "8832", "-", "16816", "16832", "16864"],
);
pub(crate) const IMMA_A_TYPE: Modifier =
    Modifier::split(Field::bit(76), Field::bit(83), &["U8", "S8", "U4", "S4"]);
pub(crate) const IMMA_B_TYPE: Modifier =
    Modifier::split(Field::bit(78), Field::bit(84), &["U8", "S8", "U4", "S4"]);
pub(crate) const IMMA_SAT: Modifier = flag(82, &["", "SAT"]);
pub(crate) const BMMA_SHAPE: Modifier = field(76, 75, &["88128", "168128", "168256"]);
pub(crate) const BMMA_OP: Modifier = field(78, 77, &["XOR", "-", "AND"]);
pub(crate) const BYPASS: Modifier = flag(81, &["BYPASS", ""]);
pub(crate) const COPY_PREFETCH: Modifier = field(72, 71, &["", "LTC64B", "LTC128B", "LTC256B"]);
pub(crate) const COPY_SIZE: Modifier = field(75, 73, &["-", "-", "-", "-", "", "64", "128"]);
pub(crate) const SIGNAL_TYPE: Modifier = field(75, 73, &["", "S32", "64"]);
/// To and from where: shared or global memory.
pub(crate) const BULK_ROUTE: Modifier = field(74, 73, &["-", "S.G", "G.S", "S.S"]);
pub(crate) const BULK_TO_MANY: Modifier = flag(75, &["", "MULTICAST"]);
pub(crate) const BULK_TYPE: Modifier = field(
    84,
    81,
    &["", "S32", "U64", "S64", "F16.RN", "F32.RN", "F32.FTZ.RN", "F64.RN", "BF16.RN"],
);
/// The uniform register of a bulk copy's cache policy, if bit 76 says that there is one.
pub(crate) const BULK_POLICY: Field = Field::new(45, 40);
pub(crate) const ZERO_FILL: Modifier = flag(82, &["", "ZFILL"]);
pub(crate) const SPACE: Modifier = field(74, 73, &["G", "L", "S", "D"]);
pub(crate) const CACHE_OP: Modifier = field(
    90,
    87,
    &["PF1", "PF2", "WB", "IV", "IVALL", "RS", "IVALLP", "WBALL", "WBALLP", "PML2", "DML2", "RML2"],
);
pub(crate) const CACHE_KIND: Modifier = field(80, 78, &["", "U", "C", "I"]);
pub(crate) const CACHE_WIDE: Modifier = flag(72, &["", "E"]);
pub(crate) const FENCE: Modifier = field(80, 79, &["SC", "ALL", "", "MMIO"]);
pub(crate) const FENCE_SCOPE: Modifier = field(78, 76, &["CTA", "SM", "GPU", "SYS", "-", "VC"]);
pub(crate) const BARRIER_MODE: Modifier = Modifier::split(
    Field::new(79, 77),
    Field::new(75, 74),
    &[
        "SYNC", "ARV", "RED.POPC", "SCAN", "-", "-", "-", "-", "-", "-", "RED.AND", "-", "-", "-",
        "-", "-", "-", "-", "RED.OR",
    ],
);
pub(crate) const DEFER: Modifier = flag(80, &["", "DEFER_BLOCKING"]);
pub(crate) const NO_INCREMENT: Modifier = flag(86, &["", "NOINC"]);
pub(crate) const NO_DECREMENT: Modifier = flag(86, &["", "NODEC"]);
pub(crate) const RELATIVE: Modifier = Modifier::new(Field::bit(85), &["REL", "ABS"]);
pub(crate) const BRANCH_STACK: Modifier = field(86, 85, &["", "INC", "DEC"]);
pub(crate) const DIVERGENCE: Modifier =
    Modifier::split(Field::new(33, 32), Field::bit(84), &["", "U", "DIV", "CONV", "-", "U.ANY"]);
pub(crate) const SYNC_90: Modifier = field(86, 84, &["", "-", "EXCLUSIVE", "-", "COLLECTIVE"]);
pub(crate) const SYNC_87: Modifier = field(86, 84, &["", "-", "-", "-", "EXCLUSIVE"]);
pub(crate) const EXIT_MODE: Modifier = field(86, 84, &["", "KEEPREFCOUNT", "-", "-", "NO_ATEXIT"]);
pub(crate) const CLEAR: Modifier = flag(84, &["32", "32.CLEAR"]);
pub(crate) const TRAP_KIND: Modifier = field(86, 84, &["-", "-", "-", "TRAP", "INT"]);
pub(crate) const HALF_BITS: Modifier = flag(71, &["", "BF"]);
pub(crate) const HALF_AND: Modifier = flag(71, &["", "H_AND"]);
pub(crate) const NARROW_READ: Modifier = flag(80, &["32", ""]);
pub(crate) const LOAD_CONSTANT_MODE: Modifier = field(79, 78, &["", "IL", "IS", "ISL"]);
pub(crate) const RESULT: Modifier = field(79, 77, &["-", "-", "RESULT"]);
pub(crate) const DIFF_TYPE: Modifier = flag(73, &["U8", ""]);
pub(crate) const DIFF_ACC: Modifier = flag(75, &["", "ACC"]);
pub(crate) const DMMA_SHAPE: Modifier = field(77, 76, &["8x8x4", "16x8x4", "16x8x8", "16x8x16"]);
pub(crate) const SLEEP_KIND: Modifier = field(86, 84, &["", "SYNCS", "WARP", "-", "RAND"]);
/// The same format on both sides: of the 64 pairs only those on the diagonal.
pub(crate) const FLOAT_BOTH: Modifier = Modifier::split(Field::new(77, 75), Field::new(86, 84), {
    const NAMES: [&str; 64] = {
        let mut names = [BAD; 64];
        let mut n = 1;
        while n < 5 {
            names[n * 9] = ["", "F16", "", "F64", "BF16"][n];
            n += 1;
        }
        names
    };
    &NAMES
});
pub(crate) const INTEGER_DST_32: Modifier = Modifier::split(
    Field::new(76, 75),
    Field::bit(72),
    &["U8", "U16", "U32", "-", "S8", "S16", "", "-"],
);
pub(crate) const FLOAT_SRC_32: Modifier = field(86, 84, &["-", "F16", "", "-", "BF16"]);
pub(crate) const FLOAT_SRC_64: Modifier = field(86, 84, &["-", "F16", "", "F64"]);
pub(crate) const FLOAT_DST_32: Modifier = field(77, 75, &["-", "F16", "", "-", "BF16"]);
pub(crate) const FLOAT_DST_64: Modifier = field(77, 75, &["-", "F16", "", "F64"]);
pub(crate) const LEA_SIGN: Modifier = flag(73, &["", "SX32"]);
pub(crate) const INTEGER_SRC_NARROW: Modifier = Modifier::split(
    Field::new(85, 84),
    Field::bit(74),
    &["U8", "U16", "U32", "-", "S8", "S16", "", "-"],
);
pub(crate) const COPY_ORDER: Modifier = field(80, 77, &["", "-", "-", "-", "CONSTANT"]);
pub(crate) const ATOMS_TYPE_87: Modifier = field(75, 73, &["", "S32", "64"]);
pub(crate) const ATOMS_TYPE_90: Modifier = field(75, 73, &["", "S32", "64", "-", "128"]);
pub(crate) const SHUFFLE_CLAMP: Field = Field::new(52, 40);
pub(crate) const SHUFFLE_LANE: Field = Field::new(57, 53);
/// The comparisons of packed halves have their format bit in the unused slot.
pub(crate) const BF16_65: Modifier = flag(65, &["", "BF16_V2"]);
pub(crate) const CAS_ONLY: Modifier = flag(87, &["CAS", "-"]);
pub(crate) const PAIR_NARROW: Modifier = field(
    78,
    76,
    &["U8.S32", "S8.S32", "U16.S32", "S16.S32", "U2.S32", "S2.S32", "U4.S32", "S4.S32"],
);
pub(crate) const PAIR_LIMIT_87: Modifier = field(75, 74, &["SAT"]);
pub(crate) const PAIR_LIMIT_90: Modifier = field(75, 74, &["-", "SAT"]);
pub(crate) const PAIR_BYTE: Modifier = flag(76, &["U8.F32", "S8.F32"]);
pub(crate) const PAIR_NTZ: Modifier = flag(74, &["", "NTZ"]);
/// The atomics without an operand: the operation in the upper field, its width in the lower one.
const fn counting<const N: usize>(shift: usize) -> [&'static str; N] {
    let mut names = [BAD; N];
    names[9 << shift | 2] = "ARRIVE.64";
    names[10 << shift] = "POPC.INC.32";
    names
}
pub(crate) const ATOM_COUNT_87: Modifier =
    Modifier::split(Field::new(76, 73), Field::new(90, 87), {
        const NAMES: [&str; 256] = counting(4);
        &NAMES
    });
pub(crate) const ATOMS_COUNT_87: Modifier =
    Modifier::split(Field::new(74, 73), Field::new(90, 87), {
        const NAMES: [&str; 64] = counting(2);
        &NAMES
    });
/// The kept element of each group of a sparse product: which lanes of a quad hold the places.
pub(crate) const SELECTOR: Field = Field::new(49, 48);
pub(crate) const HMMA_SPARSE_SHAPE: Modifier =
    Modifier::split(Field::bit(75), Field::bit(78), &["1688", "16816", "-", "16832"]);
pub(crate) const IMMA_SPARSE_SHAPE: Modifier = Modifier::split(
    Field::bit(75),
    Field::new(86, 85),
    &["-", "-", "-", "-", "-", "16832", "16864", "168128"],
);
pub(crate) const PACK_BYTES: Modifier =
    flag(76, &["E5M2.F32.PACK_AB_MERGE_C", "E4M3.F32.PACK_AB_MERGE_C"]);
pub(crate) const PACK_BYTES_HALVES: Modifier =
    flag(76, &["E5M2.F16.UNPACK_B_MERGE_C", "E4M3.F16.UNPACK_B_MERGE_C"]);
pub(crate) const UNPACK_BYTES: Modifier = flag(73, &["F16.E5M2.UNPACK_B", "F16.E4M3.UNPACK_B"]);
pub(crate) const FLOAT_SRC_64_90: Modifier = field(86, 84, &["-", "F16", "", "F64", "BF16"]);
pub(crate) const FLOAT_DST_64_90: Modifier = field(77, 75, &["-", "F16", "", "F64", "BF16"]);
pub(crate) const ARRIVES_COUNT: Modifier = field(71, 70, &["", "ARVCNT", "TRANSCNT"]);
pub(crate) const SYNC_RED: Modifier = flag(74, &["", "RED"]);
pub(crate) const SYNC_OPT_OUT: Modifier = flag(75, &["", "OPTOUT"]);
/// How many arrivals, and how many bytes of transactions more: one, none, or what the register says.
pub(crate) const SYNC_COUNTS: Modifier =
    field(86, 84, &["", "A1T0", "A0T1", "A0TR", "A0TX", "ART0"]);
pub(crate) const SYNC_TRY: Modifier = flag(72, &["", "TRYWAIT"]);
pub(crate) const VIEW: Modifier = flag(72, &["S", "G"]);
/// The shapes of a product of a warp group: 64 rows by some columns, and how deep.
macro_rules! wide {
    ($k:literal) => {
        [
            concat!("64x8x", $k),
            concat!("64x16x", $k),
            concat!("64x24x", $k),
            concat!("64x32x", $k),
            concat!("64x40x", $k),
            concat!("64x48x", $k),
            concat!("64x56x", $k),
            concat!("64x64x", $k),
            concat!("64x72x", $k),
            concat!("64x80x", $k),
            concat!("64x88x", $k),
            concat!("64x96x", $k),
            concat!("64x104x", $k),
            concat!("64x112x", $k),
            concat!("64x120x", $k),
            concat!("64x128x", $k),
            concat!("64x136x", $k),
            concat!("64x144x", $k),
            concat!("64x152x", $k),
            concat!("64x160x", $k),
            concat!("64x168x", $k),
            concat!("64x176x", $k),
            concat!("64x184x", $k),
            concat!("64x192x", $k),
            concat!("64x200x", $k),
            concat!("64x208x", $k),
            concat!("64x216x", $k),
            concat!("64x224x", $k),
            concat!("64x232x", $k),
            concat!("64x240x", $k),
            concat!("64x248x", $k),
            concat!("64x256x", $k),
        ]
    };
}
pub(crate) const GROUP_SHAPE: Field = Field::new(58, 53);
/// Halves by their columns, then TF32, which is half as deep.
pub(crate) const GROUP_FLOATS: Modifier = Modifier::new(GROUP_SHAPE, {
    const NAMES: [&str; 64] = {
        let (halves, words) = (wide!("16"), wide!("8"));
        let mut names = [BAD; 64];
        let mut n = 0;
        while n < 32 {
            names[n] = halves[n];
            names[32 + n] = words[n];
            n += 1;
        }
        names
    };
    &NAMES
});
/// What bytes and bits have of them, `step` apart: 8, 16, 24 and 32 columns, then every other of those above.
const fn every_other<const N: usize>(shapes: [&'static str; 32], step: usize) -> [&'static str; N] {
    let mut names = [BAD; N];
    let mut n = 0;
    while n < 18 {
        names[step * n] = shapes[if n < 4 { n } else { 2 * n - 3 }];
        n += 1;
    }
    names
}
pub(crate) const GROUP_BYTES: Modifier = Modifier::new(GROUP_SHAPE, {
    const NAMES: [&str; 52] = every_other(wide!("32"), 3);
    &NAMES
});
pub(crate) const GROUP_BITS: Modifier = Modifier::new(GROUP_SHAPE, {
    const NAMES: [&str; 18] = every_other(wide!("256"), 1);
    &NAMES
});
pub(crate) const GROUP_EIGHTHS: Modifier = Modifier::new(GROUP_SHAPE, &wide!("32"));
pub(crate) const GROUP_SUM: Modifier = flag(75, &["F16", "F32"]);
pub(crate) const GROUP_TYPE: Modifier = field(77, 76, &["", "BF16", "TF32"]);
pub(crate) const GROUP_A_EIGHTH: Modifier = flag(76, &["E4M3", "E5M2"]);
pub(crate) const GROUP_B_EIGHTH: Modifier = flag(77, &["E4M3", "E5M2"]);
pub(crate) const GROUP_A_SIGN: Modifier = flag(76, &["U8", "S8"]);
pub(crate) const GROUP_B_SIGN: Modifier = flag(82, &["U8", "S8"]);
pub(crate) const GROUP_SAT: Modifier = flag(75, &["", "SAT"]);
pub(crate) const GROUP_AND: Modifier = flag(78, &["-", "AND"]);
pub(crate) const GROUP_POPC: Modifier = flag(80, &["-", "POPC"]);
/// Signs of A and B, and whether either lies in memory by columns.
pub(crate) const NEG_A: Field = Field::bit(72);
pub(crate) const NEG_B: Field = Field::bit(63);
pub(crate) const TURN_A: Field = Field::bit(61);
pub(crate) const TURN_B: Field = Field::bit(62);
/// Which scoreboard of the group counts a product; seven is none.
pub(crate) const GROUP_BOARD: Field = Field::new(86, 84);
/// What is done to a tensor map in its cache: forgotten, or fetched.
pub(crate) const MAP_CACHE: Modifier = flag(82, &["IV", "PF"]);
/// A warp gives registers back, or takes some.
pub(crate) const REGISTERS_CHANGE: Modifier = field(73, 72, &["-", "DEALLOC", "TRY_ALLOC"]);
pub(crate) const REGISTERS_POOL: Modifier = flag(74, &["-", "CTAPOOL"]);
pub(crate) const GROUP_WAIT: Field = Field::new(74, 72);
pub(crate) const PAIR_ROUND: Modifier = field(79, 78, &["", "-", "-", "TRUNC"]);
