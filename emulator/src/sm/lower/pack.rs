//! Lowering of what packs two converted numbers into one register.

use super::*;
use crate::sm::meaning::convert::Integer;
use crate::sm::meaning::fp8::Small;
use crate::sm::meaning::pack::{BytePair, PackBytes};

impl Lowering<'_> {
    /// The instruction, if it packs.
    pub(super) fn packing(&mut self) -> Option<Op> {
        Some(match self.from.row.kind {
            Kind::I2ip => {
                let code = self.get(Field::new(78, 76));
                let bits = [8, 16, 2, 4][code as usize / 2];
                // Narrow pairs leave room for more of the third number, and the word says so once more.
                let part = self.get(PAIR_PART);
                let expected = match bits {
                    2 => 3..=3,
                    4 => 2..=2,
                    _ => 0..=1,
                };
                if !expected.contains(&part) {
                    return None;
                }
                Op::NarrowPair {
                    d: self.dst(1),
                    a: self.a(),
                    b: self.b(),
                    c: self.third_register(),
                    to: Integer { bits, signed: code & 1 == 1 },
                    high: part == 1,
                }
            }
            Kind::F2ip => Op::BytePair {
                d: self.dst(1),
                a: self.a(),
                b: self.b(),
                c: self.third_register(),
                how: BytePair {
                    signed: self.bit(76),
                    round: Round::from_field(self.get(Field::new(79, 78))),
                    nan_to_zero: self.bit(74),
                },
                high: self.bit(72),
            },
            Kind::F2fpBytes | Kind::F2fpBytesHalves => {
                let halves = self.from.row.kind == Kind::F2fpBytesHalves;
                let b = self.b();
                Op::PackBytes {
                    d: self.dst(1),
                    a: if halves { b } else { self.a() },
                    b,
                    c: self.c(),
                    to: if self.bit(76) { Small::E4M3 } else { Small::E5M2 },
                    how: PackBytes {
                        halves,
                        finite: self.bit(77),
                        relu: self.bit(75),
                        high: self.bit(72),
                    },
                }
            }
            Kind::F2fpUnpack => Op::UnpackBytes {
                d: self.dst(1),
                b: self.b(),
                from: if self.bit(73) { Small::E4M3 } else { Small::E5M2 },
                relu: self.bit(75),
                high: self.bit(88),
            },
            Kind::F2fpTf32 => Op::RoundTf32 {
                d: self.dst(1),
                b: self.b(),
                zero: self.bit(79),
                relu: self.bit(75),
            },
            _ => return None,
        })
    }
}
