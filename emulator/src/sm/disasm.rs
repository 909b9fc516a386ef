//! A decoded word as text, close to what the vendor's disassembler prints.

use super::decode::{Decoded, Place};
use super::table::*;
use std::fmt::{self, Write};

/// The names of the special registers that kernels read.
pub(crate) fn special_name(index: u8) -> Option<&'static str> {
    Some(match index {
        0x00 => "SR_LANEID",
        0x01 => "SR_CLOCK",
        0x02 => "SR_VIRTCFG",
        0x03 => "SR_VIRTID",
        0x20 => "SR_TID",
        0x21 => "SR_TID.X",
        0x22 => "SR_TID.Y",
        0x23 => "SR_TID.Z",
        0x25 => "SR_CTAID.X",
        0x26 => "SR_CTAID.Y",
        0x27 => "SR_CTAID.Z",
        0x28 => "SR_NTID",
        0x2e => "SR_LWINHI",
        0x2f => "SR_SWINHI",
        0x30 => "SR_SWINLO",
        0x31 => "SR_SWINSZ",
        0x32 => "SR_SMEMSZ",
        0x34 => "SR_LWINLO",
        0x35 => "SR_LWINSZ",
        0x36 => "SR_LMEMLOSZ",
        0x37 => "SR_LMEMHIOFF",
        0x38 => "SR_EQMASK",
        0x39 => "SR_LTMASK",
        0x3a => "SR_LEMASK",
        0x3b => "SR_GTMASK",
        0x3c => "SR_GEMASK",
        0x43 => "SR_VIRTUALSMID",
        0x50 => "SR_CLOCKLO",
        0x51 => "SR_CLOCKHI",
        0x52 => "SR_GLOBALTIMERLO",
        0x53 => "SR_GLOBALTIMERHI",
        0x64..=0x73 => [
            "SR_PM0",
            "SR_PM_HI0",
            "SR_PM1",
            "SR_PM_HI1",
            "SR_PM2",
            "SR_PM_HI2",
            "SR_PM3",
            "SR_PM_HI3",
            "SR_PM4",
            "SR_PM_HI4",
            "SR_PM5",
            "SR_PM_HI5",
            "SR_PM6",
            "SR_PM_HI6",
            "SR_PM7",
            "SR_PM_HI7",
        ][usize::from(index - 0x64)],
        0x88 => "SR_CgaCtaId",
        0xff => "SRZ",
        _ => return None,
    })
}

impl fmt::Display for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (guard, not) = self.guard();
        if guard != 7 || not {
            let not = if not { "!" } else { "" };
            let kind = if self.uniform_guard() { "UP" } else { "P" };
            match guard {
                7 => write!(f, "@{not}{kind}T ")?,
                n => write!(f, "@{not}{kind}{n} ")?,
            }
        }
        f.write_str(self.row.name)?;
        for modifier in self.row.modifiers {
            match modifier.name(self.word) {
                None | Some("") => {}
                Some(name) => write!(f, ".{name}")?,
            }
        }
        let mut separator = " ";
        for operand in self.row.operands {
            let mut text = String::new();
            if !self.hidden(operand) {
                self.operand(operand, &mut text)?;
            }
            if matches!(operand, Operand::Part(_)) {
                f.write_str(&text)?;
            } else if !text.is_empty() {
                write!(f, "{separator}{text}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

fn register(index: u64) -> String {
    match index {
        255 => "RZ".into(),
        n => format!("R{n}"),
    }
}

fn uniform_register(index: u64) -> String {
    match index {
        63 => "URZ".into(),
        n => format!("UR{n}"),
    }
}

fn predicate(prefix: &str, index: u64, not: bool) -> String {
    let not = if not { "!" } else { "" };
    match index {
        7 => format!("{not}{prefix}PT"),
        n => format!("{not}{prefix}P{n}"),
    }
}

fn signed(value: i64) -> String {
    match value < 0 {
        true => format!("-{:#x}", value.unsigned_abs()),
        false => format!("{value:#x}"),
    }
}

/// A place in the code, counted from this instruction.
fn relative(value: i64) -> String {
    match value < 0 {
        true => format!(".-{:#x}", value.unsigned_abs()),
        false => format!(".+{value:#x}"),
    }
}

fn offset(value: i64) -> String {
    if value < 0 { format!("+-{:#x}", -value) } else { format!("+{value:#x}") }
}

impl Decoded {
    fn source(&self, operand: &Operand, mods: Mods, out: &mut String) -> fmt::Result {
        let place = self.place(operand);
        let uniform = self.row.uniform();
        let wide = |field: Field, narrow: Field| match uniform {
            true => uniform_register(self.get(narrow)),
            false => register(self.get(field)),
        };
        let mut text = match place {
            Place::A => wide(SRC_A, USRC_A),
            Place::Reg32 => wide(SLOT32_REG, SLOT32_UREG),
            Place::Reg64 => wide(SLOT64_REG, SLOT64_UREG),
            Place::Ureg32 => uniform_register(self.get(SLOT32_UREG)),
            Place::Const32 => {
                format!("c[{:#x}][{:#x}]", self.get(CONST_BANK), self.get(CONST_OFFSET))
            }
            Place::Imm32 => self.immediate(self.get(SLOT32_IMM) as u32),
        };
        let fields = self.mod_fields(mods, place);
        if fields.abs.is_some_and(|field| self.get(field) == 1) {
            text = format!("|{text}|");
        }
        if let Some(halves) = fields.halves {
            text += match self.get(halves) {
                2 => ".H0_H0",
                3 => ".H1_H1",
                _ => "",
            };
        }
        if fields.neg.is_some_and(|field| self.get(field) == 1) {
            let complement = mods == Mods::Not || (mods == Mods::Neg && self.carry_in());
            text = format!("{}{text}", if complement { '~' } else { '-' });
        }
        out.write_str(&text)
    }

    /// Operands that this variant of the instruction does not have.
    fn hidden(&self, operand: &Operand) -> bool {
        match (self.row.kind, operand) {
            (Kind::Lea | Kind::ULea, Operand::C(_)) => !self.bit(80) || self.bit(73),
            (Kind::F2fp, Operand::C(_)) => !self.bit(78),
            (Kind::F2fp, Operand::A(_)) => self.bit(78),
            (Kind::WarpSyncReg, Operand::Target) => !self.bit(86),
            (_, Operand::Part(_)) => self.form == 4,
            (Kind::Cctl, Operand::CacheLine) => matches!(self.get(Field::new(90, 87)), 4 | 6..=8),
            _ => false,
        }
    }

    fn part(&self, field: Field) -> String {
        let bytes = self.row.kind == Kind::I2F && self.get(Field::new(85, 84)) == 0;
        match (self.get(field), bytes) {
            (0, _) => String::new(),
            (n, true) => format!(".B{n}"),
            (n, false) => format!(".H{n}"),
        }
    }

    /// Under `.X` the negation of a source is its complement.
    fn carry_in(&self) -> bool {
        self.row.modifiers.iter().any(|m| m.names == CARRY.names && m.value(self.word) == 1)
    }

    fn immediate(&self, value: u32) -> String {
        match self.row.numbers {
            Numbers::Integer => format!("{value:#x}"),
            Numbers::Single => format!("{:?}", f32::from_bits(value)),
            Numbers::Double => format!("{:?}", f64::from_bits(u64::from(value) << 32)),
            Numbers::Halves => {
                // Both halves are exact in single precision.
                let brain = self
                    .row
                    .modifiers
                    .iter()
                    .any(|m| m.names == BF16_PAIR.names && m.value(self.word) == 1);
                let one = |bits: u32| match brain {
                    true => f32::from_bits(bits << 16),
                    false => super::meaning::half::f16_to_f32(bits as u16),
                };
                format!("{:?}, {:?}", one(value >> 16), one(value & 0xffff))
            }
        }
    }

    fn shown(&self, shown: Shown, plain: bool) -> bool {
        match shown {
            Shown::Always => true,
            Shown::NotTrue => !plain,
            Shown::If(bit) => self.bit(bit),
            Shown::Unless(bit) => !self.bit(bit),
        }
    }

    fn operand(&self, operand: &Operand, out: &mut String) -> fmt::Result {
        let at = |lo: u8, width: u8| self.get(Field::new(lo + width - 1, lo));
        match *operand {
            Operand::Dst => out.write_str(&register(self.get(DST))),
            Operand::A(m) | Operand::B(m) | Operand::C(m) | Operand::B32(m) | Operand::B64(m) => {
                self.source(operand, m, out)
            }
            Operand::Reg(lo) => out.write_str(&register(at(lo, 8))),
            Operand::DstNotZero => match self.get(DST) {
                255 => Ok(()),
                index => out.write_str(&register(index)),
            },
            Operand::Part(field) => out.write_str(&self.part(field)),
            Operand::RegNotZero(_) | Operand::Fixed(..) | Operand::Hint(_) => Ok(()),
            Operand::Ureg(lo) => out.write_str(&uniform_register(at(lo, 6))),
            Operand::UDst => out.write_str(&uniform_register(self.get(UDST))),
            Operand::PDst(lo, shown) | Operand::UPDst(lo, shown) => {
                let prefix = if matches!(operand, Operand::UPDst(..)) { "U" } else { "" };
                match self.shown(shown, at(lo, 3) == 7) {
                    true => out.write_str(&predicate(prefix, at(lo, 3), false)),
                    false => Ok(()),
                }
            }
            Operand::P(lo, neg, shown) | Operand::UP(lo, neg, shown) => {
                let prefix = if matches!(operand, Operand::UP(..)) { "U" } else { "" };
                match self.shown(shown, at(lo, 3) == 7 && !self.bit(neg)) {
                    true => out.write_str(&predicate(prefix, at(lo, 3), self.bit(neg))),
                    false => Ok(()),
                }
            }
            Operand::PInverted(lo, neg, uniform) => match (7 - at(lo, 3), self.bit(neg)) {
                (7, false) => Ok(()),
                (index, not) => {
                    let prefix = if uniform { "U" } else { "" };
                    out.write_str(&predicate(prefix, index, not))
                }
            },
            Operand::PThird => {
                let prefix = match self.bit(67) || self.row.kind == Kind::UPlop3 {
                    true => "U",
                    false => "",
                };
                out.write_str(&predicate(prefix, at(68, 3), self.bit(71)))
            }
            Operand::Table1 => write!(out, "{:#x}", self.get(PLOP_LOW) | self.get(PLOP_HIGH) << 3),
            Operand::Table2 => write!(out, "{:#x}", self.get(PLOP_SECOND)),
            Operand::Number(field) => write!(out, "{:#x}", self.get(field)),
            Operand::Bar(lo) => write!(out, "B{}", at(lo, 4)),
            Operand::Special => match special_name(self.get(SPECIAL) as u8) {
                Some(name) => out.write_str(name),
                None => write!(out, "SR{}", self.get(SPECIAL)),
            },
            Operand::Target => out.write_str(&relative(self.relative() + 16)),
            Operand::ShortTarget => {
                out.write_str(&relative(SHORT_TARGET.signed(self.word) * 4 + 16))
            }
            Operand::AbsoluteTarget => {
                let base = register(self.get(SRC_A));
                match self.relative() {
                    0 => out.write_str(&base),
                    at => write!(out, "{base} {}", signed(at)),
                }
            }
            Operand::FixedTarget => out.write_str(&signed(self.relative())),
            Operand::NextPlus => out.write_str(&relative(LONG_OFFSET.signed(self.word) + 16)),
            Operand::UniformTarget => {
                let base = uniform_register(self.get(USRC_A));
                write!(out, "{base} {}", signed(self.relative()))
            }
            Operand::RegTarget => {
                let base = register(self.get(SRC_A));
                match self.row.kind {
                    Kind::Brx => write!(out, "{base} {}", signed(self.relative())),
                    _ => write!(out, "{base} {}", relative(self.relative() + 16)),
                }
            }
            _ => self.address(operand, out),
        }
    }

    /// Ampere prints the memory descriptor only where the assembler asked for it.
    fn print_descriptor(&self, uniform: &str, out: &mut String) -> fmt::Result {
        match self.arch == crate::sm::Arch::Sm87 && !self.bit(101) {
            true => Ok(()),
            false => write!(out, "desc[{uniform}]"),
        }
    }

    fn address(&self, operand: &Operand, out: &mut String) -> fmt::Result {
        let at = |lo: u8, width: u8| self.get(Field::new(lo + width - 1, lo));
        let bracket = |out: &mut String, parts: &[String], displacement: i64| {
            let mut parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            parts.retain(|part| !part.is_empty());
            let base = parts.join("+");
            match (base.is_empty(), displacement) {
                (true, d) => write!(out, "[{d:#x}]"),
                (false, 0) => write!(out, "[{base}]"),
                (false, d) => write!(out, "[{base}{}]", offset(d)),
            }
        };
        match *operand {
            Operand::Constant => {
                let (bank, at) = (self.get(CONST_BANK), CONST_OFFSET.signed(self.word));
                let index = match (self.row.kind, self.bit(91)) {
                    (Kind::Uldc, false) => None,
                    (Kind::Uldc, true) => Some(uniform_register(self.get(USRC_A))),
                    _ => (self.get(SRC_A) != 255).then(|| register(self.get(SRC_A))),
                };
                match index {
                    None => write!(out, "c[{bank:#x}][{:#x}]", self.get(CONST_OFFSET)),
                    Some(index) => match at {
                        0 => write!(out, "c[{bank:#x}][{index}]"),
                        at => write!(out, "c[{bank:#x}][{index}{}]", offset(at)),
                    },
                }
            }
            Operand::Global { ur } => {
                let base = register(self.get(SRC_A));
                let displacement = self.displacement(ur);
                match ur.filter(|_| self.bit(91)) {
                    None => bracket(out, &[base], displacement),
                    Some(lo) => {
                        let uniform = uniform_register(at(lo, 6));
                        let width = if self.narrow_base() { "U32" } else { "64" };
                        let base = format!("{base}.{width}");
                        if self.descriptor() {
                            self.print_descriptor(&uniform, out)?;
                            bracket(out, &[base], displacement)
                        } else {
                            bracket(out, &[base, uniform], displacement)
                        }
                    }
                }
            }
            Operand::Window { ur, scaled } => {
                let scale = match scaled.then(|| self.get(SCALE)) {
                    None | Some(0) => "",
                    Some(1) => ".X4",
                    Some(2) => ".X8",
                    _ => ".X16",
                };
                let mut base = match (self.get(SRC_A), scale) {
                    (255, "") => String::new(),
                    (index, scale) => format!("{}{scale}", register(index)),
                };
                let uniform = match ur {
                    Some(lo) if self.bit(91) => uniform_register(at(lo, 6)),
                    _ => String::new(),
                };
                let displacement = OFFSET24.signed(self.word);
                if base.is_empty() && uniform.is_empty() && displacement == 0 {
                    base = "RZ".into();
                }
                bracket(out, &[base, uniform], displacement)
            }
            Operand::Descriptors { lo, a } => {
                write!(out, "gdesc[{}]", uniform_register(at(lo, 6)))?;
                let floats = matches!(self.row.kind, Kind::GroupFloats | Kind::GroupEighths);
                let said = [
                    (a && floats, NEG_A, ".negA"),
                    (floats, NEG_B, ".negB"),
                    (a, TURN_A, ".tnspA"),
                    (true, TURN_B, ".tnspB"),
                ];
                for (_, _, text) in
                    said.iter().filter(|(on, field, _)| *on && self.get(*field) == 1)
                {
                    out.write_str(text)?;
                }
                Ok(())
            }
            Operand::GroupA => {
                let floats = matches!(self.row.kind, Kind::GroupFloats | Kind::GroupEighths);
                let sign = floats && self.get(NEG_A) == 1;
                write!(out, "{}{}", if sign { "-" } else { "" }, register(self.get(SRC_A)))
            }
            Operand::Board(field) => match self.get(field) {
                7 => Ok(()),
                n => write!(out, "gsb{n}"),
            },
            Operand::UniformPlace(lo) => write!(out, "[{}]", uniform_register(at(lo, 6))),
            Operand::BulkPolicy if self.descriptor() => {
                write!(out, "desc[{}]", uniform_register(self.get(BULK_POLICY)))
            }
            Operand::PlaceAndBarrier => write!(out, "[{}.64]", register(self.get(SRC_A))),
            Operand::UniformWindow => {
                let base = uniform_register(self.get(USRC_A));
                bracket(out, &[base], OFFSET24.signed(self.word))
            }
            Operand::CopyTarget { ur } => {
                let uniform = ur.map_or(String::new(), |lo| uniform_register(at(lo, 6)));
                let displacement = COPY_SHARED_OFFSET.signed(self.word);
                bracket(out, &[register(self.get(DST)), uniform], displacement)
            }
            Operand::CopySource { ur } => {
                let base = format!("{}.64", register(self.get(SRC_A)));
                let displacement = COPY_GLOBAL_OFFSET.signed(self.word);
                match ur.map(|lo| uniform_register(at(lo, 6))) {
                    None => bracket(out, &[base], displacement),
                    Some(uniform) if self.bit(76) => {
                        self.print_descriptor(&uniform, out)?;
                        bracket(out, &[base], displacement)
                    }
                    Some(uniform) => bracket(out, &[base, uniform], displacement),
                }
            }
            Operand::CacheLine => {
                bracket(out, &[register(self.get(SRC_A))], SLOT32_IMM.signed(self.word))
            }
            Operand::BarrierId if matches!(self.word & 0xfff, 0x31d | 0x51d) => {
                out.write_str(&register(self.get(SLOT32_REG)))
            }
            Operand::BarrierId => write!(out, "{:#x}", self.get(BARRIER_ID)),
            Operand::BarrierCount if matches!(self.word & 0xfff, 0x31d | 0x91d) => {
                out.write_str(&register(self.get(SLOT32_REG)))
            }
            Operand::BarrierCount => match self.get(BARRIER_COUNT) {
                0 => Ok(()),
                n => write!(out, "{n:#x}"),
            },
            Operand::DivergenceMask if self.bit(91) => {
                let not = if self.bit(30) { "~" } else { "" };
                write!(out, "{not}{}", uniform_register(at(24, 6)))
            }
            _ => Ok(()),
        }
    }
}
