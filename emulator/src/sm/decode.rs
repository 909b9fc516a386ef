//! A 128-bit word is one row of the table, with every bit accounted for, or an error.

use super::Arch;
use super::table::*;
use std::fmt;

/// A legal instruction word.
#[derive(Clone, Copy, Debug)]
pub struct Decoded {
    pub(crate) arch: Arch,
    pub(crate) word: u128,
    pub(crate) row: &'static Row,
    pub(crate) form: u8,
}

/// Why a word is no legal instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Illegal {
    /// No instruction has this 12-bit opcode.
    Opcode(u128),
    /// The named instruction is known, and why it is not run.
    Refused(u128, &'static str, &'static str),
    /// A modifier of the named instruction has a value that means nothing.
    Modifier(u128, &'static str),
    /// Bits that the named instruction does not use are set, or fixed bits have another value.
    Reserved(u128, &'static str, u128),
    /// A register of a pair or a quadruple is not aligned, or runs past the last one.
    Register(u128, &'static str),
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Illegal::Opcode(word) => {
                write!(f, "{word:032x}: unknown opcode {:03x}", word & 0xfff)
            }
            Illegal::Refused(word, name, why) => {
                write!(f, "{word:032x}: {name} is not run here: {why}")
            }
            Illegal::Modifier(word, name) => {
                write!(f, "{word:032x}: {name} with a meaningless modifier")
            }
            Illegal::Reserved(word, name, bits) => {
                write!(f, "{word:032x}: {name} with reserved bits {bits:x}")
            }
            Illegal::Register(word, name) => {
                write!(f, "{word:032x}: {name} with a misaligned register")
            }
        }
    }
}

impl std::error::Error for Illegal {}

impl Decoded {
    /// Whether the instruction can also run: its registers are aligned and its combination of modifiers
    /// is one that the hardware has.
    pub fn check(&self) -> Result<(), Illegal> {
        super::lower::lower(self).map(drop)
    }
}

/// Decodes one word, strictly.
pub fn decode(arch: Arch, word: u128) -> Result<Decoded, Illegal> {
    let Some((row, form)) = lookup(arch, word) else {
        let known = |(opcode, ..): &&(u16, _, _)| u128::from(*opcode) == word & 0xfff;
        let known = REFUSED.iter().filter(|_| arch == Arch::Sm90).find(known);
        return Err(
            known.map_or(Illegal::Opcode(word), |(_, name, why)| Illegal::Refused(word, name, why))
        );
    };
    let decoded = Decoded { arch, word, row, form };
    let mut known = 0xfff | GUARD.mask() | GUARD_NOT.mask() | SCHEDULING.mask();
    let mut wrong = 0;
    known |= row.variant.map_or(0, |variant| variant.mask);
    for modifier in row.modifiers {
        known |= modifier.mask();
        if modifier.name(word).is_none() {
            return Err(Illegal::Modifier(word, row.name));
        }
    }
    for operand in row.operands {
        known |= decoded.mask(operand);
        match *operand {
            Operand::Fixed(field, value) if field.get(word) != value => wrong |= field.mask(),
            _ => {}
        }
        wrong |= decoded.wrong_base(operand);
        if decoded.bad_halves(operand) {
            return Err(Illegal::Modifier(word, row.name));
        }
    }
    // Bit 91 says that the slot holds a uniform register; the form and the row say the same.
    if !matches!(row.code, Code::Whole(_)) {
        known |= UNIFORM.mask();
        let expected = row.uniform() || form >= 6;
        if (UNIFORM.get(word) == 1) != expected {
            wrong |= UNIFORM.mask();
        }
    }
    wrong |= word & !known;
    if wrong != 0 {
        return Err(Illegal::Reserved(word, row.name, wrong));
    }
    Ok(decoded)
}

/// Where a source of an arithmetic instruction lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    A,
    Reg32,
    Imm32,
    Const32,
    Ureg32,
    Reg64,
}

/// Negation, absolute value and halves of one place.
#[derive(Clone, Copy)]
pub(crate) struct ModFields {
    pub(crate) neg: Option<Field>,
    pub(crate) abs: Option<Field>,
    pub(crate) halves: Option<Field>,
}

impl Decoded {
    /// What is wrong with the bits that say how wide the base of a global access is: a single register
    /// goes with a uniform addend alone.
    fn wrong_base(&self, operand: &Operand) -> u128 {
        let (pair, addend) = match operand {
            Operand::UniformAddress => (PAIR, self.bit(91) && !self.descriptor()),
            Operand::AtomAddress => (ATOM_PAIR, !self.descriptor()),
            _ => return 0,
        };
        let uniform = matches!(operand, Operand::AtomAddress) || self.bit(91);
        match self.get(pair) == 1 {
            true if !uniform => pair.mask(),
            false if uniform && !addend => pair.mask(),
            _ => 0,
        }
    }

    /// Whether the uniform register of a global access with one names a descriptor.
    pub(crate) fn descriptor(&self) -> bool {
        use Kind::*;
        match self.row.kind {
            Atomg | Atom | AtomgFloat | AtomFloat | AtomCount | Red | RedFloat => {
                self.get(ATOM_DESCRIPTOR) == 1
            }
            _ => self.get(DESCRIPTOR) == 1,
        }
    }

    /// Whether the base of a global access is one register instead of a pair.
    pub(crate) fn narrow_base(&self) -> bool {
        self.row.operands.iter().any(|operand| match operand {
            Operand::UniformAddress => self.bit(91) && self.get(PAIR) == 0,
            Operand::AtomAddress => self.get(ATOM_PAIR) == 0,
            _ => false,
        })
    }

    pub(crate) fn get(&self, field: Field) -> u64 {
        field.get(self.word)
    }

    pub(crate) fn bit(&self, at: u8) -> bool {
        self.word >> at & 1 == 1
    }

    /// The index of the guard predicate and whether it is negated.
    pub(crate) fn guard(&self) -> (u8, bool) {
        (self.get(GUARD) as u8, self.get(GUARD_NOT) == 1)
    }

    fn slot32(&self) -> Place {
        match self.form {
            0 | 1 => Place::Reg32,
            2 | 4 => Place::Imm32,
            3 | 5 => Place::Const32,
            _ => Place::Ureg32,
        }
    }

    /// Where a source operand is read from.
    pub(crate) fn place(&self, operand: &Operand) -> Place {
        let swapped = matches!(self.form, 2 | 3 | 7);
        match operand {
            Operand::A(_) => Place::A,
            Operand::B(_) if swapped => Place::Reg64,
            Operand::C(_) if !swapped => Place::Reg64,
            Operand::B64(_) if self.form == 1 => Place::Reg64,
            _ => self.slot32(),
        }
    }

    /// The modifier bits of a source at `place`.
    pub(crate) fn mod_fields(&self, mods: Mods, place: Place) -> ModFields {
        let (neg, abs, halves) = match (place, mods) {
            (Place::A, _) => (A_NEG, A_ABS, A_HALVES),
            (Place::Reg64, Mods::Half) => (SLOT64_HALF_NEG, SLOT64_HALF_ABS, SLOT64_HALVES),
            (Place::Reg64, _) => (SLOT64_NEG, SLOT64_ABS, SLOT64_HALVES),
            _ => (SLOT32_NEG, SLOT32_ABS, SLOT32_HALVES),
        };
        let usable = place != Place::Imm32;
        let when = |on: bool, field| (usable && on).then_some(field);
        ModFields {
            neg: when(mods != Mods::None, neg),
            abs: when(matches!(mods, Mods::Float | Mods::Half), abs),
            halves: when(mods == Mods::Half, halves),
        }
    }

    fn source_mask(&self, operand: &Operand, mods: Mods) -> u128 {
        let place = self.place(operand);
        let uniform = self.row.uniform();
        let base = match place {
            Place::A if uniform => USRC_A.mask(),
            Place::A => SRC_A.mask(),
            Place::Reg32 if uniform => SLOT32_UREG.mask(),
            Place::Reg32 => SLOT32_REG.mask(),
            Place::Imm32 => SLOT32_IMM.mask(),
            Place::Const32 => CONST_WORDS.mask() | CONST_BANK.mask(),
            Place::Ureg32 => SLOT32_UREG.mask(),
            Place::Reg64 if uniform => SLOT64_UREG.mask(),
            Place::Reg64 => SLOT64_REG.mask(),
        };
        let fields = self.mod_fields(mods, place);
        [fields.neg, fields.abs, fields.halves]
            .into_iter()
            .flatten()
            .fold(base, |mask, field| mask | field.mask())
    }

    /// A choice of halves that takes one f32 is not a packed pair.
    fn bad_halves(&self, operand: &Operand) -> bool {
        let (Operand::A(mods) | Operand::B(mods) | Operand::C(mods) | Operand::B32(mods)) =
            *operand
        else {
            return false;
        };
        let fields = self.mod_fields(mods, self.place(operand));
        fields.halves.is_some_and(|field| self.get(field) == 1)
    }

    /// The bits that an operand occupies.
    fn mask(&self, operand: &Operand) -> u128 {
        let bits = |hi, lo| Field::new(hi, lo).mask();
        let predicate = |lo: u8, neg: u8| bits(lo + 2, lo) | 1 << neg;
        match *operand {
            Operand::Dst | Operand::DstNotZero => DST.mask(),
            Operand::A(mods)
            | Operand::B(mods)
            | Operand::C(mods)
            | Operand::B32(mods)
            | Operand::B64(mods) => self.source_mask(operand, mods),
            Operand::Reg(lo) | Operand::RegNotZero(lo) => bits(lo + 7, lo),
            Operand::Ureg(lo) => bits(lo + 5, lo),
            Operand::UDst => UDST.mask(),
            Operand::PDst(lo, _) | Operand::UPDst(lo, _) => bits(lo + 2, lo),
            Operand::P(lo, neg, _) | Operand::UP(lo, neg, _) => predicate(lo, neg),
            Operand::PInverted(lo, neg, _) => predicate(lo, neg),
            Operand::PThird => bits(71, 67),
            Operand::Table1 => PLOP_LOW.mask() | PLOP_HIGH.mask(),
            Operand::Table2 => PLOP_SECOND.mask(),
            Operand::Number(field) | Operand::Part(field) => field.mask(),
            Operand::Bar(lo) => bits(lo + 3, lo),
            Operand::Special => SPECIAL.mask(),
            Operand::NextPlus => LONG_OFFSET.mask(),
            Operand::Target
            | Operand::FixedTarget
            | Operand::RegTarget
            | Operand::UniformTarget
            | Operand::AbsoluteTarget => {
                let low = match self.arch {
                    Arch::Sm87 => 0,
                    Arch::Sm90 => TARGET_LOW.mask(),
                };
                let base = match operand {
                    Operand::RegTarget | Operand::AbsoluteTarget => SRC_A.mask(),
                    Operand::UniformTarget => USRC_A.mask(),
                    _ => 0,
                };
                low | base | TARGET_HIGH.mask()
            }
            Operand::ShortTarget => SHORT_TARGET.mask(),
            Operand::Constant => {
                let index = match (self.row.kind == Kind::Uldc, self.bit(91)) {
                    (false, _) => SRC_A.mask(),
                    (true, true) => USRC_A.mask(),
                    (true, false) => 0,
                };
                index | CONST_OFFSET.mask() | CONST_BANK.mask()
            }
            Operand::Global { ur } => {
                // Bit 101 tells the disassembler of Ampere to print the descriptor.
                let always = SRC_A.mask() | bits(101, 101);
                let descriptor = match self.row.kind {
                    Kind::Ldg | Kind::Ld | Kind::Stg | Kind::St => DESCRIPTOR.mask(),
                    Kind::Red | Kind::RedFloat => ATOM_DESCRIPTOR.mask(),
                    _ => 0,
                };
                match ur {
                    Some(32) if !self.bit(91) => always | OFFSET32.mask(),
                    Some(lo) => always | OFFSET24.mask() | bits(lo + 5, lo) | descriptor,
                    None => always | OFFSET24.mask(),
                }
            }
            Operand::Window { ur, scaled } => {
                let uniform = match ur {
                    Some(lo) if self.bit(91) => bits(lo + 5, lo) | UNIFORM.mask(),
                    _ => 0,
                };
                let scale = if scaled { SCALE.mask() } else { 0 };
                SRC_A.mask() | OFFSET24.mask() | scale | uniform
            }
            Operand::UniformAddress => PAIR.mask() | UNIFORM.mask(),
            Operand::AtomAddress => ATOM_DESCRIPTOR.mask() | ATOM_PAIR.mask(),
            // Only floats have signs to turn, and only halves lie by columns.
            Operand::Descriptors { lo, a } => {
                let floats = matches!(self.row.kind, Kind::GroupFloats | Kind::GroupEighths);
                let halves = self.row.kind == Kind::GroupFloats && self.get(Field::bit(77)) == 0;
                let when = |on: bool, field: Field| if on { field.mask() } else { 0 };
                bits(lo + 5, lo)
                    | when(floats && a, NEG_A)
                    | when(floats, NEG_B)
                    | when(halves && a, TURN_A)
                    | when(halves, TURN_B)
            }
            Operand::GroupA if matches!(self.row.kind, Kind::GroupFloats | Kind::GroupEighths) => {
                SRC_A.mask() | NEG_A.mask()
            }
            Operand::GroupA => SRC_A.mask(),
            Operand::Board(field) => field.mask(),
            Operand::UniformPlace(lo) => bits(lo + 5, lo),
            Operand::BulkPolicy if self.descriptor() => DESCRIPTOR.mask() | BULK_POLICY.mask(),
            Operand::BulkPolicy => DESCRIPTOR.mask(),
            Operand::PlaceAndBarrier => SRC_A.mask(),
            Operand::UniformWindow => USRC_A.mask() | OFFSET24.mask(),
            Operand::CopyTarget { ur } => {
                let uniform = ur.map_or(0, |lo| bits(lo + 5, lo));
                DST.mask() | COPY_SHARED_OFFSET.mask() | uniform
            }
            Operand::CopySource { ur } => {
                let uniform = ur.map_or(0, |lo| bits(lo + 5, lo) | DESCRIPTOR.mask());
                SRC_A.mask() | COPY_GLOBAL_OFFSET.mask() | bits(101, 101) | uniform
            }
            Operand::CacheLine => SRC_A.mask() | SLOT32_IMM.mask(),
            Operand::BarrierId if matches!(self.word & 0xfff, 0x31d | 0x51d) => SLOT32_REG.mask(),
            Operand::BarrierId => BARRIER_ID.mask(),
            Operand::BarrierCount if matches!(self.word & 0xfff, 0x31d | 0x91d) => {
                SLOT32_REG.mask()
            }
            Operand::BarrierCount => BARRIER_COUNT.mask(),
            Operand::DivergenceMask => bits(29, 24) | bits(30, 30) | UNIFORM.mask(),
            Operand::Fixed(field, _) | Operand::Hint(field) => field.mask(),
        }
    }

    /// The displacement of a global access.
    pub(crate) fn displacement(&self, ur: Option<u8>) -> i64 {
        match ur == Some(32) && !self.bit(91) {
            true => OFFSET32.signed(self.word),
            false => OFFSET24.signed(self.word),
        }
    }

    /// Whether the guard is a uniform predicate.
    pub(crate) fn uniform_guard(&self) -> bool {
        use Kind::*;
        let kinds = [
            UMov,
            Uldc,
            S2ur,
            UPlop3,
            ClusterArrive,
            ClusterWait,
            SyncExchange,
            Bulk,
            BulkRed,
            BulkPrefetch,
            BulkCommit,
            TensorMapForget,
            SetRegisters,
        ];
        self.row.uniform() || kinds.contains(&self.row.kind)
    }

    /// Where a relative branch goes, counted from the next instruction.
    pub(crate) fn relative(&self) -> i64 {
        let high = TARGET_HIGH.signed(self.word);
        match self.arch {
            Arch::Sm87 => high * 4,
            Arch::Sm90 => (high * 256 + self.get(TARGET_LOW) as i64) * 4,
        }
    }
}
