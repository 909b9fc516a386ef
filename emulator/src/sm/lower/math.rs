//! Lowering of arithmetic, on vectors, packed halves, doubles and the uniform datapath.

use super::*;
use crate::sm::Arch;
use crate::sm::meaning::convert::{Float, Integer};
use crate::sm::meaning::float::{Extreme, Mode};
use crate::sm::meaning::floating::Summation;
use crate::sm::meaning::integer::{Dot, Funnel, Lanes, Lea};
use crate::sm::meaning::tensor::{Element, Shape, Small};
use crate::sm::meaning::{Round, half, mufu};

const ROUND_FIELD: Field = Field::new(79, 78);
const COMPARE4_FIELD: Field = Field::new(79, 76);
const COMPARE3_FIELD: Field = Field::new(78, 76);
const COMBINE_FIELD: Field = Field::new(75, 74);
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

    fn funnel(&self) -> Funnel {
        let kind = self.get(Field::new(74, 73));
        Funnel {
            right: self.bit(76),
            wrap: self.bit(75),
            wide: kind < 2,
            signed: kind % 2 == 0,
            high: self.bit(80),
        }
    }

    fn lea(&self, a: &mut Src, b: &mut Src) -> Lea {
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

    fn carries(&self) -> [Pred; 2] {
        [self.pred(87, 90), self.pred(77, 80)]
    }

    fn third(&self) -> Pred {
        Pred { uniform: self.bit(67) || self.from.row.kind == Kind::UPlop3, ..self.pred(68, 71) }
    }

    fn plop_tables(&self) -> [u8; 2] {
        [(self.get(PLOP_LOW) | self.get(PLOP_HIGH) << 3) as u8, self.get(PLOP_SECOND) as u8]
    }

    /// Combinations of modifiers that no variant of the instruction has.
    fn impossible(&self, kind: Kind) -> bool {
        let base = self.from.word & 0x1ff;
        let ampere = self.from.arch == Arch::Sm87;
        let wide = base & 0x10 != 0;
        let any_f64 = |lo: u8, hi: u8| {
            let [to, from] = [lo, hi].map(|at| self.get(Field::new(at + 1, at)) == 3);
            to || from
        };
        let set = |field: Field| self.get(field) != 0;
        let no_register = |field: Field| self.get(field) == u64::from(ZERO);
        match kind {
            Kind::FMul | Kind::FFma if self.bit(76) && self.bit(80) => true,
            // The adder has one complement for its first two sources.
            Kind::IAdd3 | Kind::UIAdd3 if set(A_NEG) && set(SLOT32_NEG) && self.form() != 4 => true,
            // What a variant leaves out must not be named either.
            Kind::F2fp if self.bit(78) => !no_register(SRC_A),
            Kind::F2fp => matches!(self.form(), 2 | 3 | 7) || !no_register(SLOT64_REG),
            // Only a half on its own, added to minus zero, becomes a single.
            Kind::HAdd2 if self.bit(78) => {
                !no_register(SRC_A) || !set(A_NEG) || self.bit(80) || self.bit(85)
            }
            Kind::HAdd2 | Kind::HMul2 if self.bit(85) => ampere || self.unfit_for_bf16(),
            Kind::HFma2 => self.impossible_product(base, ampere),
            Kind::HMnMx2 if self.bit(85) => self.bit(80),
            Kind::VIMnMx | Kind::VIAddMnMx => self.bit(76) && !self.bit(72),
            // Hopper counts common bits alone and has no four-bit elements.
            Kind::Bmma => !ampere && !self.bit(78),
            Kind::Imma => !ampere && (self.bit(83) || self.bit(84)),
            Kind::HMul2 if self.bit(76) && self.bit(80) => true,
            Kind::Mufu => {
                let wide = matches!(self.get(Field::new(77, 74)), 6 | 7);
                wide && self.get(Field::new(73, 72)) != 0
            }
            Kind::HSet2 | Kind::HSetP2 => self.bit(65) && (ampere || self.bit(80)),
            Kind::Lea | Kind::ULea if set(A_NEG) && set(SLOT32_NEG) && self.form() != 4 => true,
            Kind::Lea => {
                let third = !no_register(SLOT64_REG);
                (self.bit(73) && !self.bit(80)) || (third && (self.bit(73) || !self.bit(80)))
            }
            Kind::ULea => {
                self.bit(73) || (!self.bit(80) && self.get(SLOT64_UREG) != u64::from(UZERO))
            }
            // An immediate is a whole word.
            Kind::I2F if self.form() == 4 && self.get(Field::new(85, 84)) < 2 => true,
            Kind::I2F if base == 0x45 => matches!(self.get(ROUND_FIELD), 1 | 2),
            // The slow variants are for 64 bits on either side, and only for those.
            Kind::I2F | Kind::F2I => any_f64(75, 84) != wide,
            Kind::F2F => {
                let [to, from] = [75, 84].map(|at| self.get(Field::new(at + 2, at)));
                to == from || (to == 3 || from == 3) != wide
            }
            Kind::Frnd => {
                let brain = self.get(Field::new(77, 75)) == 4;
                (self.get(Field::new(77, 75)) == 3) != wide || (brain && ampere)
            }
            _ => false,
        }
    }

    /// The wide exponent of the format knows no denormals, and the hardware no saturation in it.
    fn unfit_for_bf16(&self) -> bool {
        self.bit(76) || self.bit(77) || self.bit(80)
    }

    /// Combinations that no packed fused multiplication has.
    fn impossible_product(&self, base: u128, ampere: bool) -> bool {
        let set = |field: Field| self.get(field) != 0;
        // The second factor lies in the upper slot where a constant takes the lower one.
        let halves = match self.form() {
            2 | 3 | 7 => SLOT64_HALVES,
            _ => SLOT32_HALVES,
        };
        let crossed = self.bit(86) && (base == 0x35 || self.form() == 4 || set(halves));
        // What the predicate of a clamped product does is not known: compilers leave it true.
        let clamped = self.bit(79) && (self.bit(77) || self.get(Field::new(90, 87)) != 7);
        // The tensor-core variant takes its operands as they are; on Ampere it knows binary16 only.
        let picked = [A_HALVES, SLOT64_HALVES].into_iter().any(set)
            || (!matches!(self.form(), 2 | 4) && set(SLOT32_HALVES));
        crossed
            || clamped
            || (self.bit(76) && self.bit(80))
            || (self.bit(85) && self.unfit_for_bf16())
            || (base == 0x35 && (picked || (ampere && self.bit(85))))
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
            Kind::P2r => Op::PredToReg { d: self.dst(1), a: self.a(), b: self.b() },
            Kind::R2p => Op::RegToPred { a: self.a(), b: self.b() },
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
                    round,
                    flush,
                    high: self.high(source),
                    nan_to_zero: self.bit(77),
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
                kind: if self.bit(76) { half::Kind::Bf16 } else { half::Kind::F16 },
                round: if self.bit(79) { Round::Zero } else { Round::Nearest },
                relu: self.bit(75),
                finite: self.bit(77),
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

    fn form(&self) -> u8 {
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

    fn tensor(&mut self, kind: Kind) -> Option<Op> {
        let plus = self.inverted(87, 90, true);
        Some(match kind {
            Kind::Hmma => {
                let element = match self.get(Field::new(83, 82)) {
                    0 => Element::F16,
                    1 => Element::Bf16,
                    _ => Element::Tf32,
                };
                let k = match (self.bit(78), self.bit(75)) {
                    (false, false) => 8,
                    (false, true) => 16,
                    (true, _) => 4,
                };
                let single = self.bit(76);
                // What PTX offers: 4 and 8 deep for TF32, 8 and 16 deep for halves, and half
                // accumulators for binary16 alone.
                let legal = match element {
                    Element::Tf32 => k != 16 && single,
                    Element::Bf16 => k != 4 && single,
                    Element::F16 => k != 4,
                };
                if !legal {
                    return None;
                }
                let bits = if element == Element::Tf32 { 32 } else { 16 };
                let shape = Shape { m: 16, k };
                let (ra, rb) = crate::sm::meaning::tensor::registers(shape, bits);
                let rc = if single { 4 } else { 2 };
                Op::Hmma {
                    d: self.dst(rc),
                    a: self.reg(24, ra as u16),
                    b: self.reg(32, rb as u16),
                    c: self.reg(64, rc),
                    shape,
                    element,
                    how: match (self.from.arch, element) {
                        (Arch::Sm90, _) => Summation { group: 16, kept: 25 },
                        (Arch::Sm87, Element::Tf32) => Summation { group: 4, kept: 24 },
                        (Arch::Sm87, _) => Summation { group: 8, kept: 24 },
                    },
                    single,
                    plus,
                }
            }
            Kind::Imma => {
                let small =
                    |four: bool, signed: bool| Small { bits: if four { 4 } else { 8 }, signed };
                let kinds = (small(self.bit(83), self.bit(76)), small(self.bit(84), self.bit(78)));
                let code = self.get(Field::bit(75)) | self.get(Field::new(86, 85)) << 1;
                let (shape, bits) = match code {
                    0 => (Shape { m: 8, k: 16 }, 8),
                    2 => (Shape { m: 8, k: 32 }, 4),
                    4 => (Shape { m: 16, k: 16 }, 8),
                    5 if kinds.0.bits == 8 => (Shape { m: 16, k: 32 }, 8),
                    5 => (Shape { m: 16, k: 32 }, 4),
                    _ => (Shape { m: 16, k: 64 }, 4),
                };
                if (kinds.0.bits, kinds.1.bits) != (bits, bits) {
                    return None;
                }
                let (ra, rb) = crate::sm::meaning::tensor::registers(shape, bits);
                let rc = (shape.m / 4) as u16;
                Op::Imma {
                    d: self.dst(rc),
                    a: self.reg(24, ra as u16),
                    b: self.reg(32, rb as u16),
                    c: self.reg(64, rc),
                    shape,
                    kinds,
                    saturate: self.bit(82),
                    plus,
                }
            }
            Kind::Bmma => {
                let shape = match self.get(Field::new(76, 75)) {
                    0 => Shape { m: 8, k: 128 },
                    1 => Shape { m: 16, k: 128 },
                    _ => Shape { m: 16, k: 256 },
                };
                let (ra, rb) = crate::sm::meaning::tensor::registers(shape, 1);
                let rc = (shape.m / 4) as u16;
                Op::Bmma {
                    d: self.dst(rc),
                    a: self.reg(24, ra as u16),
                    b: self.reg(32, rb as u16),
                    c: self.reg(64, rc),
                    shape,
                    differ: !self.bit(78),
                    plus,
                }
            }
            Kind::Dmma => {
                let code = self.get(Field::new(77, 76));
                // Ampere has the smallest alone.
                if code != 0 && self.from.arch == Arch::Sm87 {
                    return None;
                }
                let shape = [(8, 4), (16, 4), (16, 8), (16, 16)][code as usize];
                let shape = Shape { m: shape.0, k: shape.1 };
                let (ra, rb) = crate::sm::meaning::tensor::registers(shape, 64);
                Op::Dmma {
                    d: self.dst(shape.m as u16 / 2),
                    a: self.reg(24, ra as u16),
                    b: self.reg(32, rb as u16),
                    c: self.reg(64, shape.m as u16 / 2),
                    shape,
                    plus,
                }
            }
            Kind::Movm => Op::Movm { d: self.dst(1), a: self.reg(24, 1) },
            _ => return None,
        })
    }

    fn uniform_math(&mut self, kind: Kind) -> Option<UOp> {
        let d = self.udst();
        let extended = self.bit(74);
        Some(match kind {
            Kind::UMov => {
                let (from, index, value) = match self.from.word & 0xfff {
                    0x882 => (From::Imm, 0, self.get(SLOT32_IMM) as u32),
                    _ => (From::Ureg, self.get(SLOT32_UREG) as u8, 0),
                };
                UOp::Mov { d, b: Src { from, index, neg: false, abs: false, value, halves: 0 } }
            }
            Kind::UIAdd3 => UOp::Add3 {
                d,
                a: self.a(),
                b: self.b(),
                c: self.c(),
                extended,
                out: [self.pdst(81), self.pdst(84)],
                carry: self.carries(),
            },
            Kind::UIMad => UOp::Mad {
                d,
                a: self.a(),
                b: self.b(),
                c: self.c(),
                carry: extended.then(|| self.when()),
            },
            Kind::UIMadWide => UOp::MadWide {
                d: self.upair(d),
                a: self.a(),
                b: self.b(),
                c: self.operand(Slot::C, 2),
                signed: self.bit(73),
                carry: extended.then(|| self.when()),
                out: self.pdst(81),
            },
            Kind::ULea => {
                let (mut a, mut b, c) = (self.a(), self.b(), self.c());
                let how = self.lea(&mut a, &mut b);
                UOp::Lea { d, a, b, c, how, carry: self.when(), out: self.pdst(81) }
            }
            Kind::ULop3 => UOp::Lop3 {
                d,
                a: self.a(),
                b: self.b(),
                c: self.c(),
                table: self.get(LUT) as u8,
                and: self.bit(80),
                with: self.when(),
                out: self.pdst(81),
            },
            Kind::UShf => UOp::Shf { d, a: self.a(), b: self.b(), c: self.c(), how: self.funnel() },
            Kind::UPrmt => UOp::Permute {
                d,
                a: self.a(),
                b: self.b(),
                c: self.c(),
                mode: self.get(Field::new(74, 72)) as u8,
            },
            Kind::USel => UOp::Sel { d, a: self.a(), b: self.b(), pick: self.when() },
            Kind::UISetP => UOp::SetP {
                a: self.a(),
                b: self.b(),
                signed: self.bit(73),
                extended: self.bit(72).then(|| self.pred(68, 71)),
                compare: self.compare(COMPARE3_FIELD, COMBINE_FIELD),
            },
            Kind::UFlo => UOp::Flo {
                d,
                b: self.b(),
                signed: self.bit(73),
                from_top: self.bit(74),
                out: self.pdst(81),
            },
            Kind::USgxt => UOp::Extend {
                d,
                a: self.a(),
                b: self.b(),
                signed: self.bit(73),
                wrap: self.bit(75),
            },
            Kind::UBrev => UOp::Brev { d, b: self.b() },
            Kind::UPopc => UOp::Popc { d, b: self.b() },
            _ => return None,
        })
    }

    /// A uniform register that starts a pair.
    pub(super) fn upair(&mut self, index: u8) -> u8 {
        if index < UZERO && index % 2 != 0 {
            self.broken = true;
        }
        index
    }
}
