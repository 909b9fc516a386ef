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
    /// A constant with register index: bank, offset and the register A.
    Constant,
    /// Memory addressed by a 64-bit pair, with offset and possibly a uniform addend or descriptor at `lo`.
    Global { ur: Option<u8> },
    /// The two bits that say whether the uniform register of a global access counts.
    UniformAddress,
    /// Shared or local memory: register A, scale, 24-bit offset, possibly a uniform addend at `lo`.
    Window { ur: Option<u8>, scaled: bool },
    /// The shared side of an asynchronous copy.
    CopyTarget,
    /// The global side of an asynchronous copy.
    CopySource,
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

/// One instruction of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) code: Code,
    pub(crate) arch: Option<Arch>,
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

/// Row and operand form (0 for fixed opcodes) of each 12-bit opcode.
type Lookup = Vec<Option<(u16, u8)>>;

fn build(arch: Arch) -> Lookup {
    let mut lookup = vec![None; 4096];
    for (index, row) in ROWS.iter().enumerate() {
        if row.arch.is_some_and(|only| only != arch) {
            continue;
        }
        let mut claim = |opcode: u16, form: u8| {
            let slot = &mut lookup[opcode as usize];
            assert!(slot.is_none(), "{} claims a taken opcode", row.name);
            *slot = Some((index as u16, form));
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

/// The row and operand form of a word's opcode.
pub(crate) fn lookup(arch: Arch, word: u128) -> Option<(&'static Row, u8)> {
    static SM87: OnceLock<Lookup> = OnceLock::new();
    static SM90: OnceLock<Lookup> = OnceLock::new();
    let table = match arch {
        Arch::Sm87 => SM87.get_or_init(|| build(Arch::Sm87)),
        Arch::Sm90 => SM90.get_or_init(|| build(Arch::Sm90)),
    };
    table[(word & 0xfff) as usize].map(|(row, form)| (&ROWS[row as usize], form))
}

/// Every instruction form of the table on `arch`: its 12-bit opcode field and its name.
pub fn forms(arch: Arch) -> Vec<(u16, &'static str)> {
    (0..4096u16).filter_map(|op| lookup(arch, op.into()).map(|(row, _)| (op, row.name))).collect()
}
