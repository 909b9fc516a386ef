//! Lowering of loads, stores, atomics and what crosses lanes.

use super::*;
use crate::sm::Arch;
use crate::sm::meaning::half;
use crate::sm::meaning::integer::Atomic;

impl Lowering<'_> {
    fn width(&self) -> Width {
        Width::from_field(self.get(Field::new(75, 73)))
    }

    /// A 64-bit address: a register pair and an offset, or with bit 76 clear also a uniform pair.
    fn global(&mut self, uniform: Option<u8>) -> Address {
        let addend = match uniform {
            Some(_) if !self.bit(91) => UZERO,
            Some(lo) if !(self.bit(76) || lo == 64 && self.bit(71)) => {
                self.get(Field::new(lo + 5, lo)) as u8
            }
            _ => UZERO,
        };
        Address {
            base: self.reg(24, 2),
            uniform: self.upair(addend),
            scale: 0,
            offset: self.from.displacement(uniform) as i32,
        }
    }

    /// The address of an atomic: its uniform register is always a descriptor.
    fn descriptor_address(&mut self) -> Address {
        Address { uniform: UZERO, ..self.global(None) }
    }

    /// A 32-bit address in shared or local memory.
    fn window(&mut self, uniform: u8) -> Address {
        let scaled = !matches!(self.from.row.kind, Kind::Ldl | Kind::Stl | Kind::Ldsm);
        Address {
            base: self.reg(24, 1),
            uniform: match self.bit(91) {
                true => self.get(Field::new(uniform + 5, uniform)) as u8,
                false => UZERO,
            },
            scale: match (scaled, self.get(SCALE)) {
                (false, _) | (_, 0) => 0,
                (_, n) => n as u8 + 1,
            },
            offset: OFFSET24.signed(self.from.word) as i32,
        }
    }

    fn integer_atomic(&self, op: Field) -> Option<AtomicOp> {
        let op = self.get(op);
        if op == 9 {
            return None;
        }
        let integer = |wide: bool, signed: bool| {
            // Counting up and down knows words alone, and only the extremes of doubles know signs.
            let legal = match op {
                3 | 4 => !wide && !signed,
                1 | 2 => true,
                _ => !(wide && signed),
            };
            let op = Atomic::from_field(op);
            legal.then_some(AtomicOp::Integer { op, wide, signed })
        };
        let add = |atomic| (op == 0).then_some(atomic);
        let kind = self.get(Field::new(75, 73));
        match (kind, self.from.arch) {
            (0, _) => integer(false, false),
            (1, _) => integer(false, true),
            (2, _) => integer(true, false),
            (3, Arch::Sm90) | (5, _) => integer(true, true),
            (3, Arch::Sm87) => add(AtomicOp::AddF32 { flush: true }),
            (4, _) if op <= 2 => Some(AtomicOp::Halves { kind: half::Kind::F16, op: op as u8 }),
            (6, _) => add(AtomicOp::AddF64),
            _ => None,
        }
    }

    fn float_atomic(&self) -> Option<AtomicOp> {
        let op = (self.get(Field::new(89, 87)) / 2) as u8;
        let add = |atomic| (op == 0).then_some(atomic);
        match self.get(Field::new(76, 73)) {
            0 => Some(AtomicOp::Halves { kind: half::Kind::F16, op }),
            3 => Some(AtomicOp::Halves { kind: half::Kind::Bf16, op }),
            9 => add(AtomicOp::AddF32 { flush: true }),
            12 => add(AtomicOp::AddF32 { flush: false }),
            15 => add(AtomicOp::AddF64),
            _ => None,
        }
    }

    /// Nobody knows what the predicate result of a global access tells: compilers throw it away.
    fn tells(&self) -> bool {
        self.pdst(81) != PSINK
    }

    fn atom(&mut self, op: AtomicOp, at: Address, space: Space, returns: bool) -> Op {
        let registers = op.bytes() as u16 / 4;
        let swap = matches!(op, AtomicOp::Cas { .. } | AtomicOp::CasTest { .. });
        Op::Atom {
            d: if returns { self.dst(registers) } else { SINK },
            at,
            s: self.reg(32, registers),
            t: if swap { self.reg(64, registers) } else { ZERO },
            op,
            space,
        }
    }

    /// The instruction, if it is one of memory or across lanes.
    pub(super) fn memory(&mut self) -> Option<Op> {
        let kind = self.from.row.kind;
        let whole = self.from.word & 0xfff;
        let whole_has_uniform = whole >> 8 == 9;
        Some(match kind {
            Kind::Ldg if self.tells() => return None,
            Kind::Atomg
            | Kind::AtomgFloat
            | Kind::Atom
            | Kind::AtomFloat
            | Kind::AtomgCas
            | Kind::AtomCas
                if self.tells() =>
            {
                return None;
            }
            // The agreement of lanes has a meaning only where all must agree.
            Kind::Match if self.bit(79) && self.tells() => return None,
            Kind::Ldg | Kind::Ld => {
                let width = self.width();
                Op::Load {
                    d: self.dst(width.registers()),
                    at: self.global(whole_has_uniform.then_some(32)),
                    width,
                    space: if kind == Kind::Ldg { Space::Global } else { Space::Generic },
                    when: self.inverted(64, 67, false),
                }
            }
            Kind::Stg | Kind::St => {
                let width = self.width();
                // The plain generic store has a longer displacement and its data above that.
                let (data, uniform) = match whole {
                    0x385 => (64, Some(32)),
                    _ => (32, whole_has_uniform.then_some(64)),
                };
                Op::Store {
                    s: self.reg(data, width.registers()),
                    at: self.global(uniform),
                    width,
                    space: if kind == Kind::Stg { Space::Global } else { Space::Generic },
                }
            }
            Kind::Lds | Kind::Ldl => {
                let width = self.width();
                Op::Load {
                    d: self.dst(width.registers()),
                    at: self.window(32),
                    width,
                    space: if kind == Kind::Lds { Space::Shared } else { Space::Local },
                    when: Pred::TRUE,
                }
            }
            Kind::Sts | Kind::Stl => {
                let width = self.width();
                Op::Store {
                    s: self.reg(32, width.registers()),
                    at: self.window(64),
                    width,
                    space: if kind == Kind::Sts { Space::Shared } else { Space::Local },
                }
            }
            Kind::Atomg | Kind::Atom => {
                let op = self.integer_atomic(Field::new(90, 87))?;
                let at = self.descriptor_address();
                let space = if kind == Kind::Atomg { Space::Global } else { Space::Generic };
                self.atom(op, at, space, true)
            }
            Kind::AtomgFloat | Kind::AtomFloat => {
                let op = self.float_atomic()?;
                let at = self.descriptor_address();
                let space = if kind == Kind::AtomgFloat { Space::Global } else { Space::Generic };
                self.atom(op, at, space, true)
            }
            Kind::Red => {
                let op = self.integer_atomic(Field::new(89, 87))?;
                let at = self.descriptor_address();
                self.atom(op, at, Space::Global, false)
            }
            Kind::RedFloat => {
                let op = self.float_atomic()?;
                let at = self.descriptor_address();
                self.atom(op, at, Space::Global, false)
            }
            Kind::AtomgCas | Kind::AtomCas => {
                let wide = self.get(Field::new(75, 73)) == 2;
                let op = AtomicOp::Cas { wide };
                let at = self.descriptor_address();
                let space = if kind == Kind::AtomgCas { Space::Global } else { Space::Generic };
                self.atom(op, at, space, true)
            }
            Kind::Atoms => {
                let op = self.integer_atomic(Field::new(90, 87))?;
                // Of 64 bits, shared memory adds and exchanges.
                let known = matches!(self.get(Field::new(90, 87)), 0 | 8);
                if op.bytes() == 8 && !known {
                    return None;
                }
                let at = self.window(64);
                self.atom(op, at, Space::Shared, true)
            }
            Kind::AtomsCount => {
                let at = self.window(64);
                Op::Atom {
                    d: self.dst(1),
                    at,
                    s: ZERO,
                    t: ZERO,
                    op: AtomicOp::Count,
                    space: Space::Shared,
                }
            }
            Kind::AtomsCas => {
                let wide = self.get(Field::new(75, 73)) == 2;
                let op = match self.bit(87) {
                    true => AtomicOp::CasTest { wide },
                    false => AtomicOp::Cas { wide },
                };
                let at = self.window(64);
                self.atom(op, at, Space::Shared, true)
            }
            // Past the first cache go sixteen bytes or none.
            Kind::Ldgsts if !self.bit(81) && self.width() != Width::W128 => return None,
            Kind::Ldgsts => Op::CopyAsync {
                shared: Address {
                    base: self.reg(16, 1),
                    uniform: UZERO,
                    scale: 0,
                    offset: COPY_SHARED_OFFSET.signed(self.from.word) as i32,
                },
                global: Address {
                    base: self.reg(24, 2),
                    uniform: match self.bit(76) {
                        true => UZERO,
                        false => {
                            let addend = self.get(SLOT64_UREG) as u8;
                            self.upair(addend)
                        }
                    },
                    scale: 0,
                    offset: COPY_GLOBAL_OFFSET.signed(self.from.word) as i32,
                },
                width: self.width(),
                zero_fill: self.bit(82),
                when: self.when(),
            },
            Kind::Qspc => Op::QuerySpace {
                d: self.dst(1),
                p: self.pdst(81),
                base: self.reg(24, 2),
                offset: OFFSET24.signed(self.from.word) as i32,
                space: self.get(Field::new(74, 73)) as u8,
            },
            Kind::Ldsm => {
                let count = 1 << self.get(Field::new(73, 72));
                Op::Ldsm {
                    d: self.dst(count),
                    at: self.window(32),
                    count: count as u8,
                    transpose: self.bit(78),
                }
            }
            Kind::Ldc => {
                let width = self.width();
                Op::Ldc {
                    d: self.dst(width.registers()),
                    index: self.reg(24, 1),
                    bank: self.get(CONST_BANK) as u8,
                    offset: CONST_OFFSET.signed(self.from.word) as i32,
                    width,
                    mode: self.get(Field::new(79, 78)) as u8,
                }
            }
            Kind::Uldc => {
                let (width, d) = (self.width(), self.udst());
                Op::Uldc {
                    d: if width == Width::W64 { self.upair(d) } else { d },
                    bank: self.get(CONST_BANK) as u8,
                    offset: self.get(CONST_OFFSET) as u32,
                    width,
                }
            }
            Kind::Membar
            | Kind::Errbar
            | Kind::Cctl
            | Kind::CgaErrbar
            | Kind::LdgDepBar
            | Kind::DepBar => Op::Fence,
            _ => return self.across_lanes(),
        })
    }

    fn across_lanes(&mut self) -> Option<Op> {
        let vote = |value| match value {
            0 => VoteMode::All,
            1 => VoteMode::Any,
            _ => VoteMode::Equal,
        };
        let mode = vote(self.get(Field::new(73, 72)));
        Some(match self.from.row.kind {
            Kind::Vote => Op::Vote { d: self.dst(1), p: self.pdst(81), mode, from: self.when() },
            Kind::VoteU => Op::VoteU { d: self.udst(), p: self.pdst(81), mode, from: self.when() },
            Kind::Match => {
                let wide = self.bit(73);
                Op::Match {
                    d: self.dst(1),
                    p: self.pdst(81),
                    a: self.reg(24, if wide { 2 } else { 1 }),
                    all: !self.bit(79),
                    wide,
                }
            }
            Kind::Redux => Op::Redux {
                d: self.udst(),
                a: self.reg(24, 1),
                op: match self.get(Field::new(80, 78)) {
                    0 => ReduceOp::And,
                    1 => ReduceOp::Or,
                    2 => ReduceOp::Xor,
                    3 => ReduceOp::Sum,
                    4 => ReduceOp::Min,
                    _ => ReduceOp::Max,
                },
                signed: self.bit(73),
            },
            Kind::R2ur => Op::RegToUreg {
                d: self.udst(),
                p: self.pdst(81),
                a: self.reg(24, 1),
                or: self.bit(84),
            },
            Kind::Shfl => {
                let whole = self.from.word & 0xfff;
                let lane = match whole {
                    0x389 | 0x589 => Given::Reg(self.reg(32, 1)),
                    _ => Given::Number(self.get(SHUFFLE_LANE) as u32),
                };
                let clamp = match whole {
                    0x389 | 0x989 => Given::Reg(self.reg(64, 1)),
                    _ => Given::Number(self.get(SHUFFLE_CLAMP) as u32),
                };
                Op::Shfl {
                    d: self.dst(1),
                    p: self.pdst(81),
                    a: self.reg(24, 1),
                    mode: match self.get(Field::new(59, 58)) {
                        0 => Shuffle::Index,
                        1 => Shuffle::Up,
                        2 => Shuffle::Down,
                        _ => Shuffle::Butterfly,
                    },
                    lane,
                    clamp,
                }
            }
            _ => return None,
        })
    }
}
