//! Lowering of what the tensor cores do.

use super::*;
use crate::sm::Arch;
use crate::sm::meaning::floating::Summation;
use crate::sm::meaning::tensor::{Element, Shape, Small, registers};

impl Lowering<'_> {
    /// The registers of a product with elements of so many bits, and `accumulators` of sums.
    fn matrices(&mut self, shape: Shape, bits: usize, accumulators: u16) -> Matrices {
        let (a, b) = registers(shape, bits);
        Matrices {
            d: self.dst(accumulators),
            a: self.reg(24, a as u16),
            b: self.reg(32, b as u16),
            c: self.reg(64, accumulators),
            shape,
            plus: self.inverted(87, 90, true),
        }
    }

    pub(super) fn tensor(&mut self, kind: Kind) -> Option<Op> {
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
                let rc = if single { 4 } else { 2 };
                Op::Hmma {
                    on: self.matrices(shape, bits, rc),
                    element,
                    how: match (self.from.arch, element) {
                        (Arch::Sm90, _) => Summation { group: 16, kept: 25 },
                        (Arch::Sm87, Element::Tf32) => Summation { group: 4, kept: 24 },
                        (Arch::Sm87, _) => Summation { group: 8, kept: 24 },
                    },
                    single,
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
                let rc = (shape.m / 4) as u16;
                Op::Imma { on: self.matrices(shape, bits, rc), kinds, saturate: self.bit(82) }
            }
            Kind::Bmma => {
                let shape = match self.get(Field::new(76, 75)) {
                    0 => Shape { m: 8, k: 128 },
                    1 => Shape { m: 16, k: 128 },
                    _ => Shape { m: 16, k: 256 },
                };
                let rc = (shape.m / 4) as u16;
                Op::Bmma { on: self.matrices(shape, 1, rc), differ: !self.bit(78) }
            }
            Kind::Dmma => {
                let code = self.get(Field::new(77, 76));
                // Ampere has the smallest alone.
                if code != 0 && self.from.arch == Arch::Sm87 {
                    return None;
                }
                let shape = [(8, 4), (16, 4), (16, 8), (16, 16)][code as usize];
                let shape = Shape { m: shape.0, k: shape.1 };
                Op::Dmma { on: self.matrices(shape, 64, shape.m as u16 / 2) }
            }
            Kind::Movm => Op::Movm { d: self.dst(1), a: self.reg(24, 1) },
            _ => return None,
        })
    }
}
