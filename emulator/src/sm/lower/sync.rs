//! Lowering of what works on barriers in shared memory, and of what else Hopper added for shared memory.

use super::*;
use crate::sm::meaning::mbarrier::Change;

impl Lowering<'_> {
    /// The instruction, if it is one of them.
    pub(super) fn sync(&mut self) -> Option<Op> {
        let hopper = self.from.arch == crate::sm::Arch::Sm90;
        Some(match self.from.row.kind {
            Kind::SyncArrive => {
                let (none, one) = (Change::default(), Change { arrivals: 1, ..Change::default() });
                let byte = |bytes| Change { bytes, ..none };
                let (plus, times) = match self.get(Field::new(86, 84)) {
                    0 => (one, byte(1)),
                    1 => (one, none),
                    2 => (byte(1), none),
                    3 => (none, byte(1)),
                    4 => (none, byte(-1)),
                    _ => (none, one),
                };
                let plus = Change { drops: self.bit(75), ..plus };
                let s = self.reg(32, 1);
                let (d, at) = (self.dst(2), self.window(64));
                self.change(d, at, s, plus, times)
            }
            // Copies arrive at once, so whoever waits for them does too.
            Kind::Arrives if hopper => {
                let plus = match self.get(Field::new(71, 70)) {
                    1 => Change { arrivals: 1, ..Change::default() },
                    2 => Change { bytes: -1, ..Change::default() },
                    _ => return None,
                };
                let at = self.window(64);
                self.change(SINK, at, ZERO, plus, Change::default())
            }
            Kind::SyncCheck => Op::PhaseCheck {
                p: self.pdst(81),
                at: self.window(64),
                s: self.reg(32, 1),
                tries: self.bit(72),
            },
            Kind::SyncExchange => {
                let at = Address {
                    base: ZERO,
                    high: ZERO,
                    uniform: self.get(USRC_A) as u8,
                    scale: 0,
                    offset: OFFSET24.signed(self.from.word) as i32,
                };
                let (d, s) = (self.udst(), self.get(SLOT32_UREG) as u8);
                Op::ExchangeUniform {
                    d: if d == USINK { d } else { self.upair(d) },
                    at,
                    s: self.upair(s),
                }
            }
            Kind::SyncForget => Op::Fence,
            Kind::Stsm => {
                let count = 1 << self.get(Field::new(73, 72));
                Op::Stsm {
                    s: self.reg(32, count),
                    at: self.window(64),
                    count: count as u8,
                    transpose: self.bit(78),
                }
            }
            Kind::Elect => Op::Elect { d: self.udst(), p: self.pdst(81), from: self.when() },
            _ => return None,
        })
    }

    /// A change of a barrier by each lane.
    fn change(&mut self, d: u16, at: Address, s: u16, plus: Change, times: Change) -> Op {
        let op = AtomicOp::Change { plus, times };
        Op::Atom { d, p: PSINK, at, s, t: ZERO, op, space: Space::Shared }
    }
}
