//! Lowering of arithmetic, on vectors, packed halves, doubles and the uniform datapath.

use super::*;
use crate::sm::Arch;
use crate::sm::meaning::convert::{Float, Integer};
use crate::sm::meaning::float::{Extreme, Mode};
use crate::sm::meaning::integer::{Dot, Funnel, Lanes, Lea};
use crate::sm::meaning::{Round, half, mufu};

const COMPARE4_FIELD: Field = Field::new(79, 76);
const COMBINE_HALF_FIELD: Field = Field::new(70, 69);

impl Lowering<'_> {
    fn round(&self) -> Round {
        Round::from_field(self.get(ROUND_FIELD))
    }

    fn mode(&self) -> Mode {
        Mode {
            round: self.round(),
            flush: self.bit(80),
            zero_wins: self.from.row.kind != Kind::FAdd && self.bit(76),
            saturate: self.bit(77),
        }
    }

    fn half_kind(&self) -> half::Kind {
        match self.bit(85) {
            true => half::Kind::Bf16,
            false => half::Kind::F16,
        }
    }

    /// The comparisons keep their format elsewhere.
    fn half_compare_kind(&self) -> half::Kind {
        match self.bit(65) {
            true => half::Kind::Bf16,
            false => half::Kind::F16,
        }
    }

    fn half_mode(&self) -> half::Mode {
        let fused = self.from.row.kind == Kind::HFma2;
        half::Mode {
            kind: self.half_kind(),
            flush: self.bit(80),
            zero_wins: self.from.row.kind != Kind::HAdd2 && self.bit(76),
            saturate: self.bit(77),
            relu: fused && self.bit(79),
        }
    }

    fn extreme(&self) -> Extreme {
        Extreme { flush: self.bit(80), nan: self.bit(81), xor_sign: self.bit(82) }
    }

    pub(super) fn funnel(&self) -> Funnel {
        let kind = self.get(Field::new(74, 73));
        Funnel {
            right: self.bit(76),
            wrap: self.bit(75),
            wide: kind < 2,
            signed: kind % 2 == 0,
            high: self.bit(80),
        }
    }

    pub(super) fn lea(&self, a: &mut Src, b: &mut Src) -> Lea {
        Lea {
            shift: self.get(SHIFT) as u32,
            high: self.bit(80),
            sign_extended: self.bit(73),
            negate_a: std::mem::take(&mut a.neg),
            negate_b: std::mem::take(&mut b.neg),
            extended: self.bit(74),
        }
    }

    fn lanes(&self) -> Lanes {
        Lanes { pairs: self.bit(73), signed: self.bit(72), relu: self.bit(76) }
    }

    pub(super) fn carries(&self) -> [Pred; 2] {
        [self.pred(87, 90), self.pred(77, 80)]
    }

    fn third(&self) -> Pred {
        Pred { uniform: self.bit(67) || self.from.row.kind == Kind::UPlop3, ..self.pred(68, 71) }
    }

    fn plop_tables(&self) -> [u8; 2] {
        [(self.get(PLOP_LOW) | self.get(PLOP_HIGH) << 3) as u8, self.get(PLOP_SECOND) as u8]
    }

    /// The instruction, if it is arithmetic.
    pub(super) fn math(&mut self) -> Option<Op> {
        let kind = self.from.row.kind;
        if self.impossible(kind) {
            return None;
        }
        self.float_math(kind)
            .or_else(|| self.integer_math(kind))
            .or_else(|| self.wide_math(kind))
            .or_else(|| self.conversion(kind))
            .or_else(|| self.tensor(kind))
            .or_else(|| self.uniform_math(kind).map(Op::Uniform))
    }

    fn float_math(&mut self, kind: Kind) -> Option<Op> {
        Some(match kind {
            Kind::FAdd | Kind::FMul => {
                let (d, a, b, mode) = (self.dst(1), self.a(), self.b(), self.mode());
                // The scale field: 1..3 divide by 8, 4, 2; 5..7 multiply by 2, 4, 8.
                let scale = self.get(Field::new(86, 84)) as i8 - 4;
                match (kind, mode == Mode::PLAIN) {
                    (Kind::FAdd, true) => Op::FAddPlain { d, a, b },
                    (Kind::FAdd, false) => Op::FAdd { d, a, b, mode },
                    (_, true) if scale == 0 => Op::FMulPlain { d, a, b },
                    _ => Op::FMul { d, a, b, mode, scale },
                }
            }
            Kind::FFma => {
                let (d, a, b, c, mode) = (self.dst(1), self.a(), self.b(), self.c(), self.mode());
                match mode == Mode::PLAIN {
                    true => Op::FFmaPlain { d, a, b, c },
                    false => Op::FFma { d, a, b, c, mode },
                }
            }
            Kind::FMnMx => Op::FMnMx {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                how: self.extreme(),
                pick: self.when(),
            },
            Kind::FSel => Op::FSel {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                flush: self.bit(80),
                pick: self.when(),
            },
            Kind::FSet => Op::FSet {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                flush: self.bit(80),
                compare: Compare {
                    p: PSINK,
                    q: PSINK,
                    ..self.compare(COMPARE4_FIELD, COMBINE_FIELD)
                },
            },
            Kind::FSetP => Op::FSetP {
                a: self.a(),
                b: self.b(),
                flush: self.bit(80),
                compare: self.compare(COMPARE4_FIELD, COMBINE_FIELD),
            },
            Kind::Fchk => Op::Fchk { p: self.pdst(81), a: self.a(), b: self.b() },
            Kind::Mufu => {
                let format = match (self.from.arch, self.get(Field::new(73, 72))) {
                    (_, 0) | (Arch::Sm87, 1) => Float::F32,
                    (Arch::Sm90, 2) => Float::Bf16,
                    _ => Float::F16,
                };
                Op::Mufu {
                    d: self.dst(1),
                    b: self.b(),
                    function: mufu::Function::from_field(self.get(Field::new(77, 74))),
                    format,
                    high: self.high(format),
                }
            }
            Kind::HAdd2 => Op::HAdd {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                mode: self.half_mode(),
                single: self.bit(78),
            },
            Kind::HMul2 => {
                Op::HMul { d: self.dst(1), a: self.a(), b: self.b(), mode: self.half_mode() }
            }
            Kind::HFma2 => {
                let (d, a, mut b) = (self.dst(1), self.a(), self.b());
                if self.from.word & CROSS.mask() != 0 {
                    b.halves = half::CROSSED;
                }
                Op::HFma { d, a, b, c: self.c(), mode: self.half_mode() }
            }
            Kind::HSet2 => Op::HSet {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                kind: self.half_compare_kind(),
                flush: self.bit(80),
                // Without .BF a true lane is all ones, with it it is 1.0.
                ones: !self.bit(71),
                compare: Compare {
                    p: PSINK,
                    q: PSINK,
                    ..self.compare(COMPARE4_FIELD, COMBINE_HALF_FIELD)
                },
            },
            Kind::HSetP2 => Op::HSetP {
                a: self.a(),
                b: self.b(),
                kind: self.half_compare_kind(),
                flush: self.bit(80),
                both: self.bit(71),
                compare: self.compare(COMPARE4_FIELD, COMBINE_HALF_FIELD),
            },
            Kind::HMnMx2 => Op::HMnMx {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                kind: self.half_kind(),
                how: self.extreme(),
                pick: self.when(),
            },
            _ => return None,
        })
    }

    fn integer_math(&mut self, kind: Kind) -> Option<Op> {
        Some(match kind {
            Kind::Mov => Op::Mov { d: self.dst(1), b: self.b() },
            Kind::Sel => Op::Sel { d: self.dst(1), a: self.a(), b: self.b(), pick: self.when() },
            Kind::IAdd3 => {
                let (d, a, b, c) = (self.dst(1), self.a(), self.b(), self.c());
                let out = [self.pdst(81), self.pdst(84)];
                match self.bit(74) || out != [PSINK; 2] {
                    false => Op::IAdd3 { d, a, b, c },
                    true => Op::IAdd3Carry {
                        d,
                        a,
                        b,
                        c,
                        extended: self.bit(74),
                        out,
                        carry: self.carries(),
                    },
                }
            }
            Kind::IMad => {
                let (d, a, b, c) = (self.dst(1), self.a(), self.b(), self.c());
                match self.bit(74) {
                    false => Op::IMad { d, a, b, c },
                    true => Op::IMadCarry { d, a, b, c, carry: self.when() },
                }
            }
            Kind::IMadWide | Kind::IMadHi => {
                let (signed, extended, carry, out) =
                    (self.bit(73), self.bit(74), self.when(), self.pdst(81));
                let wide = kind == Kind::IMadWide;
                let d = self.dst(if wide { 2 } else { 1 });
                let (a, b, c) = (self.a(), self.b(), self.operand(Slot::C, 2));
                match wide {
                    true => Op::IMadWide { d, a, b, c, signed, extended, carry, out },
                    false => Op::IMadHigh { d, a, b, c, signed, extended, carry, out },
                }
            }
            Kind::Idp => {
                let how = Dot {
                    pairs: self.bit(76).then(|| self.bit(77)),
                    a_signed: self.bit(73),
                    b_signed: self.bit(74),
                };
                let (d, a, b, c) = (self.dst(1), self.a(), self.b(), self.c());
                let bytes = Dot { pairs: None, a_signed: true, b_signed: true };
                match how == bytes && !c.neg {
                    true => Op::Dot4Signed { d, a, b, c },
                    false => Op::Dot { d, a, b, c, how },
                }
            }
            Kind::Lea => {
                let (d, mut a, mut b, c) = (self.dst(1), self.a(), self.b(), self.c());
                let how = self.lea(&mut a, &mut b);
                Op::Lea { d, a, b, c, how, carry: self.when(), out: self.pdst(81) }
            }
            Kind::Lop3 => {
                let (d, a, b, c) = (self.dst(1), self.a(), self.b(), self.c());
                let (table, out) = (self.get(LUT) as u8, self.pdst(81));
                match out == PSINK {
                    true => Op::Lop3 { d, a, b, c, table },
                    false => Op::Lop3Pred {
                        d,
                        a,
                        b,
                        c,
                        table,
                        and: self.bit(80),
                        with: self.when(),
                        out,
                    },
                }
            }
            Kind::Plop3 | Kind::UPlop3 => Op::Plop3 {
                from: [
                    Pred { uniform: kind == Kind::UPlop3, ..self.when() },
                    Pred { uniform: kind == Kind::UPlop3, ..self.pred(77, 80) },
                    self.third(),
                ],
                tables: self.plop_tables(),
                out: [self.pdst(81), self.pdst(84)],
                uniform: kind == Kind::UPlop3,
            },
            Kind::PlopSign => Op::PlopSign {
                a: self.a(),
                b: self.b(),
                c: self.third_register(),
                tables: [self.get(LUT) as u8, self.get(PLOP_SECOND) as u8],
                out: [self.pdst(81), self.pdst(84)],
            },
            Kind::IAbs => Op::Abs { d: self.dst(1), b: self.b() },
            Kind::VAbsDiff => Op::Difference {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                c: self.c(),
                signed: self.bit(73),
                out: self.pdst(81),
            },
            Kind::VAbsDiff4 => Op::Difference4 {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                c: self.c(),
                signed: self.bit(73),
                accumulate: self.bit(75),
                out: self.pdst(81),
            },
            Kind::Prmt => Op::Permute {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                c: self.c(),
                mode: self.get(Field::new(74, 72)) as u8,
            },
            Kind::IMnMx => Op::Extreme {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                lanes: Lanes { pairs: false, signed: self.bit(73), relu: false },
                pick: self.when(),
            },
            Kind::VIMnMx => Op::Extreme {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                lanes: self.lanes(),
                pick: self.when(),
            },
            Kind::VIMnMx3 => Op::Extreme3 {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                c: self.reg(64, 1),
                lanes: self.lanes(),
                pick: self.when(),
            },
            Kind::VIAdd => Op::AddLanes {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                lanes: Lanes { pairs: self.bit(73), signed: false, relu: false },
            },
            Kind::VIAddMnMx => Op::AddExtreme {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                c: self.c(),
                lanes: self.lanes(),
                pick: self.when(),
            },
            Kind::Shf => Op::Shf {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                c: self.c(),
                how: self.funnel(),
            },
            Kind::Sgxt => Op::Extend {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                signed: self.bit(73),
                wrap: self.bit(75),
            },
            Kind::Bmsk => {
                Op::BitMask { d: self.dst(1), a: self.a(), b: self.b(), wrap: self.bit(75) }
            }
            Kind::ISetP => Op::ISetP {
                a: self.a(),
                b: self.b(),
                signed: self.bit(73),
                extended: self.bit(72).then(|| self.pred(68, 71)),
                compare: self.compare(COMPARE3_FIELD, COMBINE_FIELD),
            },
            Kind::Popc => Op::Popc { d: self.dst(1), b: self.b() },
            Kind::Brev => Op::Brev { d: self.dst(1), b: self.b() },
            Kind::Flo => Op::Flo {
                d: self.dst(1),
                b: self.b(),
                signed: self.bit(73),
                from_top: self.bit(74),
                out: self.pdst(81),
            },
            Kind::P2r => {
                let byte = self.get(BYTE) as u8;
                Op::PredToReg { d: self.dst(1), a: self.a(), b: self.b(), byte }
            }
            Kind::R2p => Op::RegToPred { a: self.a(), b: self.b(), byte: self.get(BYTE) as u8 },
            _ => return None,
        })
    }

    fn wide_math(&mut self, kind: Kind) -> Option<Op> {
        let round = self.round();
        let mut pair = |slot| self.operand(slot, 2);
        Some(match kind {
            Kind::DAdd => {
                let (a, b) = (pair(Slot::A), pair(Slot::B));
                Op::DAdd { d: self.dst(2), a, b, round }
            }
            Kind::DMul => {
                let (a, b) = (pair(Slot::A), pair(Slot::B));
                Op::DMul { d: self.dst(2), a, b, round }
            }
            Kind::DFma => {
                let (a, b, c) = (pair(Slot::A), pair(Slot::B), pair(Slot::C));
                Op::DFma { d: self.dst(2), a, b, c, round }
            }
            Kind::DSetP => {
                let (a, b) = (pair(Slot::A), pair(Slot::B));
                Op::DSetP { a, b, compare: self.compare(COMPARE4_FIELD, COMBINE_FIELD) }
            }
            _ => return None,
        })
    }

    fn integer(&self, size: Field, sign: u8) -> Integer {
        Integer { bits: 8 << self.get(size), signed: self.bit(sign) }
    }

    fn conversion(&mut self, kind: Kind) -> Option<Op> {
        let (to, source) = (
            Float::from_field(self.get(Field::new(77, 75))),
            Float::from_field(self.get(Field::new(86, 84))),
        );
        let wide = |is: bool| if is { 2 } else { 1 };
        let part = self.get(SUBWORD) as u8;
        let round = self.round();
        let flush = self.bit(80);
        Some(match kind {
            Kind::I2F => {
                let from = self.integer(Field::new(85, 84), 74);
                let d = self.dst(wide(to == Float::F64));
                let b = self.operand(Slot::B, wide(from.bits == 64));
                let parts = if from.bits >= 32 { 1 } else { 32 / from.bits };
                if u32::from(part) >= parts && b.from != From::Imm {
                    return None;
                }
                let plain = from == Integer { bits: 32, signed: true };
                match plain && to == Float::F32 && round == Round::Nearest {
                    true => Op::I32ToF32 { d, b },
                    false => Op::FromInteger { d, b, from, to, round, part },
                }
            }
            Kind::F2I => {
                let integer = self.integer(Field::new(76, 75), 72);
                let d = self.dst(wide(integer.bits == 64));
                let b = self.operand(Slot::B, wide(source == Float::F64));
                Op::ToInteger {
                    d,
                    b,
                    from: source,
                    to: integer,
                    how: ToInteger { round, flush, nan_to_zero: self.bit(77) },
                    high: self.high(source),
                }
            }
            Kind::F2F => {
                let d = self.dst(wide(to == Float::F64));
                let b = self.operand(Slot::B, wide(source == Float::F64));
                Op::Refloat { d, b, from: source, to, round, flush, high: self.high(source) }
            }
            Kind::Frnd => {
                let kind = to;
                let d = self.dst(wide(kind == Float::F64));
                let b = self.operand(Slot::B, wide(kind == Float::F64));
                Op::RoundIntegral { d, b, kind, round, flush, high: self.high(kind) }
            }
            Kind::F2fp => Op::Pack {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                c: self.c(),
                how: PackHalves {
                    kind: if self.bit(76) { half::Kind::Bf16 } else { half::Kind::F16 },
                    round: if self.bit(79) { Round::Zero } else { Round::Nearest },
                    relu: self.bit(75),
                    finite: self.bit(77),
                },
                merge: self.bit(78),
            },
            Kind::I2I => {
                let code = self.get(Field::new(77, 76));
                Op::Narrow {
                    d: self.dst(1),
                    b: self.b(),
                    to: Integer { bits: 8 << (code >> 1), signed: code & 1 == 1 },
                }
            }
            _ => return None,
        })
    }

    pub(super) fn form(&self) -> u8 {
        self.from.form
    }

    /// Whether a 16-bit source is the upper half.
    fn high(&mut self, source: Float) -> bool {
        // In an immediate the bit belongs to the number.
        let set = self.form() != 4 && self.bit(60);
        let half = matches!(source, Float::F16 | Float::Bf16);
        self.broken |= set && !half;
        set && half
    }
}
