//! Lowering of control flow, barriers and special registers.

use super::*;
use crate::sm::disasm::special_name;

impl Lowering<'_> {
    /// A relative target in instructions, counted from the next one. The low bits of a target that is
    /// not on an instruction cannot be run.
    fn target(&mut self) -> Option<i32> {
        let bytes = self.from.relative();
        (bytes % 16 == 0).then_some(())?;
        i32::try_from(bytes / 16).ok()
    }

    fn bar(&self, lo: u8) -> u8 {
        self.get(Field::new(lo + 3, lo)) as u8
    }

    /// The instruction, if it controls the flow.
    pub(super) fn control(&mut self) -> Option<Op> {
        let also = Pred { uniform: false, ..self.when() };
        Some(match self.from.row.kind {
            Kind::Nop | Kind::PmTrig | Kind::Yield | Kind::Nanosleep | Kind::EndCollective => {
                Op::Nop
            }
            Kind::Bra => {
                let when = match (self.bit(91), self.get(Field::new(33, 32))) {
                    // The one that says that all lanes agree goes where they do.
                    (false, 0) => BranchWhen::Always,
                    (false, 1) if !self.bit(84) => BranchWhen::Always,
                    (false, 1) => BranchWhen::Any,
                    (true, 2) => BranchWhen::Diverged,
                    (true, 3) => BranchWhen::Converged,
                    _ => return None,
                };
                let also = match when {
                    BranchWhen::Always => also,
                    _ if also != Pred::TRUE => return None,
                    _ => self.guard(),
                };
                Op::Bra {
                    to: self.target()?,
                    when,
                    mask: self.get(USRC_A) as u8,
                    not: self.bit(30),
                    also,
                }
            }
            Kind::BraU => Op::Bra {
                to: self.target()?,
                when: BranchWhen::Always,
                mask: UZERO,
                not: false,
                also: Pred { uniform: true, ..self.pred(24, 27) },
            },
            Kind::Brx => Op::Brx { base: self.reg(24, 2), offset: self.from.relative(), also },
            Kind::BrxU => {
                let base = self.get(USRC_A) as u8;
                Op::BrxUniform { base: self.upair(base), offset: self.from.relative(), also }
            }
            Kind::Call => Op::Call { to: self.target()?, also },
            Kind::CallReg => Op::CallReg {
                base: self.reg(24, 2),
                offset: self.from.relative(),
                absolute: false,
                also,
            },
            Kind::CallAbs => Op::CallReg {
                base: self.reg(24, 2),
                offset: self.from.relative(),
                absolute: true,
                also,
            },
            Kind::CallTo => {
                Op::CallReg { base: ZERO, offset: self.from.relative(), absolute: true, also }
            }
            Kind::Ret => Op::Ret {
                base: self.reg(24, 2),
                offset: self.from.relative(),
                absolute: self.bit(85),
                also,
            },
            Kind::Exit | Kind::Kill => Op::Exit { also },
            Kind::Bpt => Op::Trap { number: self.get(Field::new(36, 34)) as u8 },
            Kind::Bssy => Op::Bssy { bar: self.bar(16), also },
            Kind::Bsync => Op::Bsync { bar: self.bar(16), also },
            Kind::Break => Op::Break { bar: self.bar(16), also },
            Kind::BmovToReg => {
                Op::BarToReg { d: self.dst(1), bar: self.bar(24), clear: self.bit(84) }
            }
            Kind::BmovFromReg => Op::RegToBar { bar: self.bar(24), s: self.reg(32, 1) },
            Kind::BmovImm => {
                Op::NumberToBar { bar: self.bar(24), value: self.get(SLOT32_IMM) as u32 }
            }
            Kind::BmovBar => Op::BarToBar { d: self.bar(16), s: self.bar(24), clear: self.bit(84) },
            Kind::WarpSyncReg => {
                let lo = match self.from.arch {
                    crate::sm::Arch::Sm87 => 32,
                    crate::sm::Arch::Sm90 => 24,
                };
                Op::WarpSync { mask: Given::Reg(self.reg(lo, 1)), also }
            }
            Kind::WarpSyncImm => {
                Op::WarpSync { mask: Given::Number(self.get(SLOT32_IMM) as u32), also }
            }
            Kind::WarpSyncAll => Op::WarpSync { mask: Given::Number(u32::MAX), also },
            Kind::Bar => {
                let mode = match (self.get(Field::new(79, 77)), self.get(Field::new(75, 74))) {
                    (0, _) => BarrierMode::Wait,
                    (1, _) if self.bit(80) => return None,
                    (1, _) => BarrierMode::Arrive,
                    (_, 0) => BarrierMode::CountTrue,
                    (_, 1) => BarrierMode::AllTrue,
                    _ => BarrierMode::AnyTrue,
                };
                let whole = self.from.word & 0xfff;
                Op::Barrier {
                    mode,
                    id: match whole {
                        0x31d | 0x51d => Given::Reg(self.reg(32, 1)),
                        _ => Given::Number(self.get(BARRIER_ID) as u32),
                    },
                    count: match whole {
                        0x31d => Given::Upper(self.reg(32, 1)),
                        0x91d => Given::Reg(self.reg(32, 1)),
                        _ => Given::Number(self.get(BARRIER_COUNT) as u32),
                    },
                    from: also,
                }
            }
            Kind::SetRegisters => {
                let count = self.get(SLOT32_IMM);
                // PTX has 24 to 256 of them, by eights.
                if !(24..=256).contains(&count) || count % 8 != 0 {
                    return None;
                }
                Op::SetRegisters { count: count as u16, p: self.pdst(81) }
            }
            Kind::ClusterArrive => Op::ClusterArrive,
            Kind::ClusterWait => Op::ClusterWait,
            Kind::B2r => Op::BarrierResult { d: self.dst(1), p: self.pdst(81) },
            Kind::S2r | Kind::Cs2r => {
                let index = self.get(SPECIAL) as u8;
                special_name(index)?;
                let counter = self.from.row.kind == Kind::Cs2r;
                // This path leads to the clocks, to counters of events (which nobody counts here) and to zero.
                if counter && !matches!(index, 0x50..=0x53 | 0x64..=0x73 | 0xff) {
                    return None;
                }
                let wide = counter && self.bit(80);
                Op::Special { d: self.dst(if wide { 2 } else { 1 }), index, wide }
            }
            Kind::S2ur => {
                let index = self.get(SPECIAL) as u8;
                special_name(index)?;
                Op::SpecialU { d: self.udst(), index }
            }
            Kind::AcqBulk => Op::AwaitLaunch,
            Kind::Lepc => Op::Lepc { d: self.dst(2), ahead: -16 },
            Kind::LepcNext => {
                Op::Lepc { d: self.dst(2), ahead: LONG_OFFSET.signed(self.from.word) }
            }
            _ => return None,
        })
    }
}
