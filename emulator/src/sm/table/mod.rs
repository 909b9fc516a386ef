//! The instruction table: for each opcode the operand forms, the fields and their legal values.
//!
//! Everything that reads machine code (the strict check, the disassembler, the lowering) reads it
//! through these rows, so that a field is declared once, as `hi:lo`.

mod fields;
mod rows;

pub(crate) use fields::*;
pub(crate) use rows::{Kind, ROWS};

use super::Arch;
use std::sync::OnceLock;

/// A bit field of an instruction word, `hi:lo` inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    hi: u8,
    lo: u8,
}

impl Field {
    /// The field of bits `hi:lo`.
    pub(crate) const fn new(hi: u8, lo: u8) -> Field {
        assert!(hi >= lo && hi < 128 && hi - lo < 64);
        Field { hi, lo }
    }

    /// A field of one bit.
    pub(crate) const fn bit(at: u8) -> Field {
        Field::new(at, at)
    }

    /// How many bits it has.
    pub(crate) const fn width(self) -> u32 {
        (self.hi - self.lo) as u32 + 1
    }

    /// Its bits in place.
    pub(crate) const fn mask(self) -> u128 {
        ((1u128 << self.width()) - 1) << self.lo
    }

    /// Its value in a word.
    pub(crate) const fn get(self, word: u128) -> u64 {
        ((word & self.mask()) >> self.lo) as u64
    }

    /// A word that holds `value` here and zeros elsewhere.
    pub(crate) const fn put(self, value: u64) -> u128 {
        (value as u128) << self.lo & self.mask()
    }

    /// Its value in a word, read as two's complement.
    pub(crate) const fn signed(self, word: u128) -> i64 {
        let shift = 64 - self.width();
        ((self.get(word) << shift) as i64) >> shift
    }
}

/// A modifier: one field (or two, low one first, where the hardware splits it) and the suffix that each
/// value prints. An empty name prints nothing; [`BAD`] or a value past the end is no legal instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Modifier {
    pub(crate) low: Field,
    pub(crate) high: Option<Field>,
    pub(crate) names: &'static [&'static str],
}

/// The name of a value that no instruction may carry.
pub(crate) const BAD: &str = "-";

impl Modifier {
    pub(crate) const fn new(low: Field, names: &'static [&'static str]) -> Modifier {
        Modifier { low, high: None, names }
    }

    pub(crate) const fn split(low: Field, high: Field, names: &'static [&'static str]) -> Modifier {
        Modifier { low, high: Some(high), names }
    }

    pub(crate) fn mask(&self) -> u128 {
        self.low.mask() | self.high.map_or(0, Field::mask)
    }

    pub(crate) fn value(&self, word: u128) -> usize {
        let high = self.high.map_or(0, |h| h.get(word)) as usize;
        self.low.get(word) as usize | high << self.low.width()
    }

    /// A word that holds `value` here and zeros elsewhere.
    pub(crate) fn put(&self, value: usize) -> u128 {
        let high = self.high.map_or(0, |h| h.put((value >> self.low.width()) as u64));
        self.low.put(value as u64) | high
    }

    /// The suffix in this word, or `None` where the value is not legal.
    pub(crate) fn name(&self, word: u128) -> Option<&'static str> {
        self.names.get(self.value(word)).copied().filter(|name| *name != BAD)
    }
}

/// When a predicate operand is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Always.
    Always,
    /// Unless it is the constant true.
    NotTrue,
    /// Only if this bit is set, as a carry-in is.
    If(u8),
    /// Only if this bit is clear.
    Unless(u8),
}

/// What may be done to a source before it is used; the bits depend on the slot it is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mods {
    /// Nothing.
    None,
    /// Negation (or complement, under `.X`).
    Neg,
    /// Bitwise complement.
    Not,
    /// Negation and absolute value of a float.
    Float,
    /// Negation, absolute value and the choice of halves of a packed pair.
    Half,
}

/// How an immediate of an arithmetic row prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Hexadecimal.
    Integer,
    /// One single-precision number.
    Single,
    /// The upper word of a double.
    Double,
    /// Two halves.
    Halves,
}

/// One operand of a row, in printing order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand {
    /// Destination register at 23:16.
    Dst,
    /// The same, not printed when it is RZ.
    DstNotZero,
    /// Register source A at 31:24.
    A(Mods),
    /// Source B: the place depends on the operand form.
    B(Mods),
    /// Source C: the place depends on the operand form.
    C(Mods),
    /// The second of two sources, read from the 63:32 slot in every form.
    B32(Mods),
    /// The second of two sources, read from the 71:64 slot when it is a register.
    B64(Mods),
    /// A plain register at `lo`.
    Reg(u8),
    /// A plain register at `lo` that is not printed when it is RZ.
    RegNotZero(u8),
    /// A uniform register at `lo`.
    Ureg(u8),
    /// A uniform destination register at 21:16.
    UDst,
    /// A predicate destination at `lo`.
    PDst(u8, Shown),
    /// A uniform predicate destination at `lo`.
    UPDst(u8, Shown),
    /// A predicate source at `lo`, with its negation bit.
    P(u8, u8, Shown),
    /// A uniform predicate source.
    UP(u8, u8, Shown),
    /// A predicate source whose index is stored inverted: all zeros is the constant true.
    PInverted(u8, u8, bool),
    /// Which byte or half of the source before it is meant.
    Part(Field),
    /// The third source of a predicate logic operation at 70:68: bit 67 makes it a uniform predicate.
    PThird,
    /// The second table of a predicate logic operation.
    Table2,
    /// The split table of a predicate logic operation.
    Table1,
    /// An unsigned number.
    Number(Field),
    /// A convergence barrier register at `lo`.
    Bar(u8),
    /// A special register at 79:72.
    Special,
    /// A branch target, relative to the next instruction.
    Target,
    /// A branch target that never has the extra low bits of Hopper.
    ShortTarget,
    /// A 64-bit register base with a relative offset.
    RegTarget,
    /// The same with a uniform base at 29:24.
    UniformTarget,
    /// An absolute branch target.
    FixedTarget,
    /// A place counted in bytes from the next instruction.
    NextPlus,
    /// A 64-bit register base with an absolute offset.
    AbsoluteTarget,
    /// A constant with register index: bank, offset and the register A.
    Constant,
    /// Memory addressed by a 64-bit pair, with offset and possibly a uniform addend or descriptor at `lo`.
    Global { ur: Option<u8> },
    /// The two bits that say whether the uniform register of a global access counts, and whether the base
    /// is a pair.
    UniformAddress,
    /// The same of an atomic: the descriptor's bit and that of the pair.
    AtomAddress,
    /// Shared or local memory: register A, scale, 24-bit offset, possibly a uniform addend at `lo`.
    Window { ur: Option<u8>, scaled: bool },
    /// Shared memory at a uniform register at 29:24 and an offset.
    UniformWindow,
    /// The descriptors of matrices in shared memory, at a uniform register at `lo`, and what is done to these: to
    /// that of A too, if it is there.
    Descriptors { lo: u8, a: bool },
    /// A matrix A in registers, whose sign can be turned.
    GroupA,
    /// A scoreboard of the warp group, if it is one.
    Board(Field),
    /// Memory at a uniform register at `lo`.
    UniformPlace(u8),
    /// The cache policy of a bulk copy, where it has one.
    BulkPolicy,
    /// Shared memory of a cluster at register A, and a barrier there at the next one.
    PlaceAndBarrier,
    /// The shared side of an asynchronous copy, possibly with a uniform addend at `lo`.
    CopyTarget { ur: Option<u8> },
    /// The global side of an asynchronous copy, possibly with a uniform addend or descriptor at `lo`.
    CopySource { ur: Option<u8> },
    /// Cache control address: 64-bit pair with a 32-bit offset.
    CacheLine,
    /// A named barrier: an immediate number or a register.
    BarrierId,
    /// The thread count of a named barrier.
    BarrierCount,
    /// The mask that a divergence test compares with.
    DivergenceMask,
    /// Bits that must hold this value and print nothing.
    Fixed(Field, u64),
    /// Bits without functional meaning that the assembler sets as it likes.
    Hint(Field),
}

/// Which operand forms (bits 11:9) an arithmetic row has, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forms(pub(crate) u8);

/// How a row is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Nine bits of opcode and a set of operand forms; sources are vector registers.
    Alu(u16, Forms),
    /// The same on the uniform datapath.
    Uniform(u16, Forms),
    /// Twelve bits.
    Whole(u16),
}

/// Bits beyond the opcode and what they are in the words of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) mask: u128,
    pub(crate) value: u128,
}

impl Variant {
    /// The variant where of the bits `all` those of `set` are ones and the others zeros.
    const fn new(all: &[u8], set: &[u8]) -> Variant {
        let (mut variant, mut at) = (Variant { mask: 0, value: 0 }, 0);
        while at < all.len() {
            variant.mask |= 1 << all[at];
            at += 1;
        }
        at = 0;
        while at < set.len() {
            variant.value |= 1 << set[at];
            at += 1;
        }
        assert!(variant.value & !variant.mask == 0);
        variant
    }
}

/// One instruction of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) code: Code,
    pub(crate) arch: Option<Arch>,
    /// The bits that tell rows of one opcode apart.
    pub(crate) variant: Option<Variant>,
    pub(crate) numbers: Numbers,
    pub(crate) modifiers: &'static [Modifier],
    pub(crate) operands: &'static [Operand],
}

impl Row {
    /// Whether sources are uniform registers.
    pub(crate) fn uniform(&self) -> bool {
        matches!(self.code, Code::Uniform(..))
    }
}

/// Rows and operand form (0 for fixed opcodes) of each 12-bit opcode.
type Lookup = Vec<Vec<(&'static Row, u8)>>;

fn build(arch: Arch) -> Lookup {
    let mut lookup: Lookup = vec![Vec::new(); 4096];
    for row in ROWS {
        if row.arch.is_some_and(|only| only != arch) {
            continue;
        }
        let mut claim = |opcode: u16, form: u8| {
            let slot = &mut lookup[opcode as usize];
            let apart = slot.iter().all(|(other, _)| other.variant.is_some());
            assert!(apart || slot.is_empty(), "{} claims a taken opcode", row.name);
            slot.push((row, form));
        };
        match row.code {
            Code::Whole(opcode) => claim(opcode, 0),
            Code::Alu(base, forms) | Code::Uniform(base, forms) => {
                for form in 1..8u8 {
                    if forms.0 >> form & 1 == 1 {
                        claim(base | u16::from(form) << 9, form);
                    }
                }
            }
        }
    }
    lookup
}

/// The rows of an opcode, with its operand form. Where there are several, bits beyond the opcode decide.
pub(crate) fn rows_of(arch: Arch, opcode: u16) -> &'static [(&'static Row, u8)] {
    static SM87: OnceLock<Lookup> = OnceLock::new();
    static SM90: OnceLock<Lookup> = OnceLock::new();
    let table = match arch {
        Arch::Sm87 => SM87.get_or_init(|| build(Arch::Sm87)),
        Arch::Sm90 => SM90.get_or_init(|| build(Arch::Sm90)),
    };
    &table[opcode as usize]
}

/// The row and operand form of a word.
pub(crate) fn lookup(arch: Arch, word: u128) -> Option<(&'static Row, u8)> {
    let rows = rows_of(arch, (word & 0xfff) as u16).iter();
    let fits = |variant: Variant| word & variant.mask == variant.value;
    rows.copied().find(|(row, _)| row.variant.is_none_or(fits))
}

const NO_MAP: &str = "what the 128 bytes of a tensor map say is not known here";

/// Instructions of Hopper that compilers make and that are not run: opcode, name, and why.
pub(crate) const REFUSED: &[(u16, &str, &str)] = &[
    (0x5b4, "UTMALDG", NO_MAP),
    (0x5b5, "UTMASTG", NO_MAP),
    (0x3b6, "UTMAREDG", NO_MAP),
    (0x5b8, "UTMAPF", NO_MAP),
];

/// Instructions that do here what their names say, and that no GPU was asked about, not even as part of a kernel.
pub const FROM_DOCUMENTS: &[&str] = &["UIADD3.64"];

/// Every instruction form of the table on `arch`: its 12-bit opcode field and its name.
pub fn forms(arch: Arch) -> Vec<(u16, &'static str)> {
    let of = |op| rows_of(arch, op).iter().map(move |(row, _)| (op, row.name));
    (0..4096u16).flat_map(of).collect()
}
