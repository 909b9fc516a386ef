//! Lowering of products of a warp group.

use super::*;
use crate::sm::meaning::floating::Summation;
use crate::sm::meaning::round::{E4M3, E5M2};
use crate::sm::meaning::tensor::{Element, Small};

/// The columns that bytes and bits have: up to 32 all, then every other of the multiples of eight.
fn every_other(n: u16) -> u16 {
    if n < 4 { (n + 1) * 8 } else { (2 * n - 2) * 8 }
}

impl Lowering<'_> {
    /// The instruction, if it is one of them.
    pub(super) fn group(&mut self) -> Option<Op> {
        let code = self.get(GROUP_SHAPE) as u16;
        let (columns, of) = match self.from.row.kind {
            // Products are done when they are issued.
            Kind::GroupFence => return Some(Op::Fence),
            Kind::GroupFloats => {
                let element = match self.get(Field::new(77, 76)) {
                    0 => Element::F16,
                    1 => Element::Bf16,
                    _ => Element::Tf32,
                };
                let single = self.bit(75);
                // The shapes of TF32 are the second half, and only halves of their own kind add up to such.
                let fits = (element == Element::Tf32) == (code >= 32);
                if !fits || !(single || element == Element::F16) {
                    return None;
                }
                // As the products of single warps.
                let how = Summation { group: 16, kept: 25 };
                ((code % 32 + 1) * 8, GroupOf::Floats { element, how, single })
            }
            Kind::GroupEighths => {
                let formats = [76, 77].map(|at| if self.bit(at) { E5M2 } else { E4M3 });
                ((code + 1) * 8, GroupOf::Eighths { formats, single: self.bit(75) })
            }
            Kind::GroupBytes => {
                let columns = every_other(code / 3);
                let byte = |at| Small { bits: 8, signed: self.bit(at) };
                let of = GroupOf::Integers { kinds: (byte(76), byte(82)), saturate: self.bit(75) };
                (columns, of)
            }
            Kind::GroupBits => (every_other(code), GroupOf::Bits),
            _ => return None,
        };
        let floats = matches!(of, GroupOf::Floats { .. });
        let signed = floats || matches!(of, GroupOf::Eighths { .. });
        let registers = if of.single() { columns / 2 } else { columns / 4 };
        let in_registers = self.from.word >> 8 & 0xf == 0xd;
        let a = in_registers.then(|| self.reg(24, 4));
        // Two pairs, that of A unused where A is in registers.
        let first = self.get(if in_registers { SLOT32_UREG } else { USRC_A }) as u8;
        if first % 4 != 0 || first + 4 > UZERO {
            self.broken = true;
        }
        Some(Op::Group(Group {
            d: match self.many(16, registers) {
                ZERO => SINK,
                d => d,
            },
            a,
            c: self.many(64, registers),
            columns,
            places: first,
            of,
            flips: Flips {
                negate: [signed && self.get(NEG_A) == 1, signed && self.get(NEG_B) == 1],
                turn: [
                    floats && !in_registers && self.get(TURN_A) == 1,
                    floats && self.get(TURN_B) == 1,
                ],
            },
            plus: self.inverted(87, 90, true),
        }))
    }

    /// A register that starts a long run, which begins at an even one.
    fn many(&mut self, lo: u8, count: u16) -> u16 {
        let index = self.get(Field::new(lo + 7, lo)) as u16;
        if index == ZERO {
            return ZERO;
        }
        if index % 2 != 0 || index + count > ZERO {
            self.broken = true;
            return ZERO;
        }
        self.top = self.top.max(index + count);
        index
    }
}
