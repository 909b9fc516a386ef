//! Lowering of what works on barriers in shared memory, and of what else Hopper added for shared memory.

use super::*;
use crate::sm::meaning::half;
use crate::sm::meaning::integer::Atomic;
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
                // Without a result, the barrier may be another block's.
                let space = if self.bit(74) { Space::Cluster } else { Space::Shared };
                self.change(d, at, space, s, plus, times)
            }
            // Copies arrive at once, so whoever waits for them does too.
            Kind::Arrives if hopper => {
                let plus = match self.get(Field::new(71, 70)) {
                    1 => Change { arrivals: 1, ..Change::default() },
                    2 => Change { bytes: -1, ..Change::default() },
                    _ => return None,
                };
                let at = self.window(64);
                self.change(SINK, at, Space::Shared, ZERO, plus, Change::default())
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
            Kind::SyncForget | Kind::BulkCommit | Kind::TensorMapForget => Op::Fence,
            // Into L2, which is not modelled.
            Kind::BulkPrefetch => Op::Nop,
            Kind::Signal => {
                let width = Width::from_field(self.get(Field::new(75, 73)));
                Op::Signal {
                    at: self.pair_of_addresses()?,
                    s: self.reg(32, width.registers()),
                    width,
                    op: None,
                }
            }
            Kind::SignalRed => {
                let op = Atomic::from_field(self.get(Field::new(89, 87)));
                let kind = self.get(Field::new(75, 73));
                // Of 64 bits, shared memory adds.
                let (wide, signed) = (kind == 2, kind == 1);
                let legal = match op {
                    Atomic::Add => true,
                    Atomic::Min | Atomic::Max => !wide,
                    _ => kind == 0,
                };
                if !legal {
                    return None;
                }
                let width = if wide { Width::W64 } else { Width::W32 };
                Op::Signal {
                    at: self.pair_of_addresses()?,
                    s: self.reg(32, width.registers()),
                    width,
                    op: Some(AtomicOp::Integer { op, wide, signed }),
                }
            }
            Kind::Bulk | Kind::BulkRed => {
                let route = match self.get(Field::new(74, 73)) {
                    1 => Route::GlobalToShared,
                    2 => Route::SharedToGlobal,
                    _ => Route::SharedToShared,
                };
                let multicast = self.from.row.kind == Kind::Bulk && self.bit(75);
                let op = match self.from.row.kind {
                    Kind::Bulk => None,
                    _ => Some(self.bulk_atomic(route)?),
                };
                if multicast && route != Route::GlobalToShared {
                    return None;
                }
                let (to, from) = (self.get(SLOT32_UREG) as u8, self.get(USRC_A) as u8);
                Op::Bulk {
                    // An address of 64 bits, or that of a barrier besides.
                    to: self.upair(to),
                    from: if route == Route::GlobalToShared { self.upair(from) } else { from },
                    size: self.get(SLOT64_UREG) as u8,
                    route,
                    multicast,
                    op,
                }
            }
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
    fn change(
        &mut self,
        d: u16,
        at: Address,
        space: Space,
        s: u16,
        plus: Change,
        times: Change,
    ) -> Op {
        let op = AtomicOp::Change { plus, times };
        Op::Atom { d, p: PSINK, at, s, t: ZERO, op, space }
    }

    /// The register of an address, in front of that of a barrier.
    fn pair_of_addresses(&mut self) -> Option<u16> {
        let at = self.reg(24, 2);
        (at != ZERO).then_some(at)
    }

    /// What a bulk reduction does to each element, as far as PTX has it.
    fn bulk_atomic(&self, route: Route) -> Option<AtomicOp> {
        let number = self.get(Field::new(89, 87));
        let op = Atomic::from_field(number);
        let extreme = matches!(op, Atomic::Min | Atomic::Max);
        let global = route == Route::SharedToGlobal;
        let integer = |wide: bool, signed: bool| {
            let legal = match op {
                Atomic::Add => !(wide && signed),
                Atomic::Min | Atomic::Max => !wide || global,
                Atomic::Increment | Atomic::Decrement => !wide && !signed,
                _ => !signed && (!wide || global),
            };
            legal.then_some(AtomicOp::Integer { op, wide, signed })
        };
        let floats = |atomic: AtomicOp| (global && op == Atomic::Add).then_some(atomic);
        let halves = |kind| {
            let legal = global && (op == Atomic::Add || extreme);
            legal.then_some(AtomicOp::Halves { kind, op: number as u8 })
        };
        match self.get(Field::new(84, 81)) {
            0 => integer(false, false),
            1 => integer(false, true),
            2 => integer(true, false),
            3 => integer(true, true),
            4 => halves(half::Kind::F16),
            5 => floats(AtomicOp::AddF32 { flush: false }),
            6 => floats(AtomicOp::AddF32 { flush: true }),
            7 => floats(AtomicOp::AddF64),
            _ => halves(half::Kind::Bf16),
        }
    }
}
