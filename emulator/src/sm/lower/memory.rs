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
            Some(lo) if !self.from.descriptor() => self.get(Field::new(lo + 5, lo)) as u8,
            _ => UZERO,
        };
        let (base, high) = self.base();
        Address {
            base,
            high,
            uniform: self.upair(addend),
            scale: 0,
            offset: self.from.displacement(uniform) as i32,
        }
    }

    /// The registers of a 64-bit address, the upper one RZ where there is none.
    fn base(&mut self) -> (u16, u16) {
        match self.from.narrow_base() {
            true => (self.reg(24, 1), ZERO),
            false => match self.reg(24, 2) {
                ZERO => (ZERO, ZERO),
                base => (base, base + 1),
            },
        }
    }

    /// The address of an atomic.
    fn atomic_address(&mut self) -> Address {
        let uniform = (self.bit(91)).then_some(64);
        Address { offset: OFFSET24.signed(self.from.word) as i32, ..self.global(uniform) }
    }

    /// A 32-bit address in shared or local memory.
    pub(super) fn window(&mut self, uniform: u8) -> Address {
        let scaled = !matches!(
            self.from.row.kind,
            Kind::Ldl
                | Kind::Stl
                | Kind::Ldsm
                | Kind::Stsm
                | Kind::Arrives
                | Kind::SyncArrive
                | Kind::SyncCheck
                | Kind::CctlLocal
        );
        Address {
            base: self.reg(24, 1),
            high: ZERO,
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
            // On Hopper sixteen bytes, which reductions do not know.
            (4, Arch::Sm87) if op <= 2 => {
                Some(AtomicOp::Halves { kind: half::Kind::F16, op: op as u8 })
            }
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

    /// Whether the predicate result is wanted. Nobody knows what it tells of a global access: compilers throw
    /// it away. A generic atomic of other than words tells whether any memory did it.
    fn tells(&self) -> bool {
        self.pdst(81) != PSINK
    }

    fn atom(&mut self, op: AtomicOp, at: Address, space: Space, returns: bool) -> Op {
        let registers = op.bytes() as u16 / 4;
        let swap = matches!(op, AtomicOp::Cas { .. } | AtomicOp::CasTest { .. });
        Op::Atom {
            d: if returns { self.dst(registers) } else { SINK },
            p: if space == Space::Generic { self.pdst(81) } else { PSINK },
            at,
            s: self.reg(32, registers),
            t: if swap { self.reg(64, registers) } else { ZERO },
            op,
            space,
        }
    }

    fn hopper(&self) -> bool {
        self.from.arch == Arch::Sm90
    }

    /// What a float atomic of several words does to each, and how wide it is.
    fn float_words(&self) -> Option<(AtomicOp, Width)> {
        let op = (self.get(Field::new(89, 87)) / 2) as u8;
        let halves = |kind| AtomicOp::Halves { kind, op };
        Some(match self.get(Field::new(76, 73)) {
            1 => (halves(half::Kind::F16), Width::W64),
            2 => (halves(half::Kind::F16), Width::W128),
            4 => (halves(half::Kind::Bf16), Width::W64),
            5 => (halves(half::Kind::Bf16), Width::W128),
            10 if op == 0 => (AtomicOp::AddF32 { flush: true }, Width::W64),
            11 if op == 0 => (AtomicOp::AddF32 { flush: true }, Width::W128),
            _ => return None,
        })
    }

    fn wide_atom(
        &mut self,
        op: WideAtomic,
        width: Width,
        at: Address,
        space: Space,
        returns: bool,
    ) -> Op {
        let registers = width.registers();
        Op::AtomWide {
            d: if returns { self.dst(registers) } else { SINK },
            at,
            s: self.reg(32, registers),
            t: if op == WideAtomic::Cas { self.reg(64, registers) } else { ZERO },
            op,
            width,
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
            Kind::Atomg | Kind::AtomgFloat | Kind::AtomgCas | Kind::AtomCount if self.tells() => {
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
            Kind::Atomg | Kind::Atom if self.get(Field::new(75, 73)) == 4 && self.hopper() => {
                if self.get(Field::new(90, 87)) != 8 || self.tells() {
                    return None;
                }
                let at = self.atomic_address();
                let space = if kind == Kind::Atomg { Space::Global } else { Space::Generic };
                self.wide_atom(WideAtomic::Exchange, Width::W128, at, space, true)
            }
            Kind::Atomg | Kind::Atom => {
                let op = self.integer_atomic(Field::new(90, 87))?;
                if self.tells() && op.is_of_words() {
                    return None;
                }
                let at = self.atomic_address();
                let space = if kind == Kind::Atomg { Space::Global } else { Space::Generic };
                self.atom(op, at, space, true)
            }
            Kind::AtomgFloat | Kind::AtomFloat | Kind::RedFloat if self.float_words().is_some() => {
                let (op, width) = self.float_words()?;
                if kind != Kind::RedFloat && self.tells() {
                    return None;
                }
                let at = self.atomic_address();
                let space = if kind == Kind::AtomFloat { Space::Generic } else { Space::Global };
                self.wide_atom(WideAtomic::Words(op), width, at, space, kind != Kind::RedFloat)
            }
            Kind::AtomgFloat | Kind::AtomFloat => {
                let op = self.float_atomic()?;
                let at = self.atomic_address();
                let space = if kind == Kind::AtomgFloat { Space::Global } else { Space::Generic };
                self.atom(op, at, space, true)
            }
            Kind::Red => {
                let op = self.integer_atomic(Field::new(89, 87))?;
                let at = self.atomic_address();
                self.atom(op, at, Space::Global, false)
            }
            Kind::RedFloat => {
                let op = self.float_atomic()?;
                let at = self.atomic_address();
                self.atom(op, at, Space::Global, false)
            }
            Kind::AtomgCas | Kind::AtomCas if self.get(Field::new(75, 73)) == 4 => {
                // Swaps of sixteen bytes do not spin.
                if self.get(Field::new(88, 87)) != 0 || self.tells() {
                    return None;
                }
                let at = self.atomic_address();
                let space = if kind == Kind::AtomgCas { Space::Global } else { Space::Generic };
                self.wide_atom(WideAtomic::Cas, Width::W128, at, space, true)
            }
            Kind::AtomgCas | Kind::AtomCas => {
                let wide = self.get(Field::new(75, 73)) == 2;
                let op = match self.get(Field::new(88, 87)) {
                    0 => AtomicOp::Cas { wide },
                    _ => AtomicOp::CasTest { wide },
                };
                if self.tells() && op.is_of_words() {
                    return None;
                }
                let at = self.atomic_address();
                let space = if kind == Kind::AtomgCas { Space::Global } else { Space::Generic };
                self.atom(op, at, space, true)
            }
            Kind::Atoms if self.get(Field::new(75, 73)) == 4 => {
                if self.get(Field::new(90, 87)) != 8 {
                    return None;
                }
                let at = self.window(64);
                self.wide_atom(WideAtomic::Exchange, Width::W128, at, Space::Shared, true)
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
            Kind::AtomsCount | Kind::AtomCount => {
                let (at, space) = match kind {
                    Kind::AtomCount => (self.atomic_address(), Space::Generic),
                    _ => (self.window(64), Space::Shared),
                };
                let arrival = self.from.arch == Arch::Sm87 && self.get(Field::new(90, 87)) == 9;
                let op = if arrival { AtomicOp::Arrive } else { AtomicOp::Count };
                let d = self.dst(op.bytes() as u16 / 4);
                Op::Atom { d, p: PSINK, at, s: ZERO, t: ZERO, op, space }
            }
            // Copies arrive at once, so whoever waits for them does too.
            Kind::Arrives => Op::Atom {
                d: SINK,
                p: PSINK,
                at: self.window(64),
                s: ZERO,
                t: ZERO,
                op: AtomicOp::Arrive,
                space: Space::Shared,
            },
            Kind::AtomsCas if self.get(Field::new(75, 73)) == 4 => {
                if self.bit(87) {
                    return None;
                }
                let at = self.window(64);
                self.wide_atom(WideAtomic::Cas, Width::W128, at, Space::Shared, true)
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
            Kind::Ldgsts => {
                // The one uniform addend is of the one side or of the other.
                let of_shared = self.from.word & 0xfff == 0xdae;
                let addend = self.get(SLOT64_UREG) as u8;
                Op::CopyAsync {
                    shared: Address {
                        base: self.reg(16, 1),
                        high: ZERO,
                        uniform: if of_shared { addend } else { UZERO },
                        scale: 0,
                        offset: COPY_SHARED_OFFSET.signed(self.from.word) as i32,
                    },
                    global: Address {
                        base: self.reg(24, 2),
                        high: self.base().1,
                        uniform: match of_shared || self.bit(76) {
                            true => UZERO,
                            false => self.upair(addend),
                        },
                        scale: 0,
                        offset: COPY_GLOBAL_OFFSET.signed(self.from.word) as i32,
                    },
                    width: self.width(),
                    zero_fill: self.bit(82),
                    when: self.when(),
                }
            }
            Kind::Qspc => Op::QuerySpace {
                d: self.dst(1),
                p: self.pdst(81),
                at: self.global(whole_has_uniform.then_some(32)),
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
                    index: if self.bit(91) { self.get(USRC_A) as u8 } else { UZERO },
                    bank: self.get(CONST_BANK) as u8,
                    // Without an index there is nothing to subtract from.
                    offset: match self.bit(91) {
                        true => CONST_OFFSET.signed(self.from.word) as i32,
                        false => self.get(CONST_OFFSET) as i32,
                    },
                    width,
                }
            }
            Kind::Membar
            | Kind::Errbar
            | Kind::CctlLocal
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
