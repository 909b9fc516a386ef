//! The copy engine: lines of bytes from one address to another, then a semaphore.
//!
//! AMPERE_DMA_COPY_B and HOPPER_DMA_COPY_A: what is modelled of the second is what it has of the first, but
//! for the width of addresses.

use std::sync::LazyLock;

use hw_defs::c7b5::*;
use hw_defs::c8b5::{self, HOPPER_DMA_COPY_A};

use super::channel::{Bus, Work};
use super::fault::Fault;
use super::mmu::{Kind, Span};
use super::registers::{Registers, Table, offsets};
use super::semaphore::{Op, Reduction, Release, Size};
use super::stores::{Agent, Reach, Stores};

/// The engine as one channel sees it.
pub(super) struct Copy {
    registers: Registers,
}

/// One LAUNCH_DMA: everything it needs, taken from the registers when it was sent.
#[derive(Debug)]
pub(super) struct Job {
    transfer: Option<Transfer>,
    /// PIPELINED: does not wait for the copies before it.
    pipelined: bool,
    /// Who sees what was copied from here on.
    flush: Option<Reach>,
    release: Option<Release>,
    interrupt: u32,
}

/// Rectangles of bytes; a plain copy is one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transfer {
    from: u64,
    to: u64,
    from_pitch: u64,
    to_pitch: u64,
    line: u64,
    lines: u64,
}

impl Copy {
    /// The engine of a class; none if the class is no copy class.
    pub(super) fn of_class(class: u32) -> Option<Copy> {
        static AMPERE: LazyLock<Table> = LazyLock::new(|| Table::new(AMPERE_DMA_COPY_B));
        static HOPPER: LazyLock<Table> = LazyLock::new(|| Table::new(HOPPER_DMA_COPY_A));
        let table = match class {
            AMPERE_DMA_COPY_B => &*AMPERE,
            HOPPER_DMA_COPY_A => &*HOPPER,
            _ => return None,
        };
        Some(Copy { registers: Registers::new(table) })
    }

    /// Takes a word; what the engine has to do because of it.
    pub(super) fn method(&mut self, offset: u32, data: u32) -> Result<Option<Work>, Fault> {
        offsets!(c7b5: LAUNCH_DMA, SET_RENDER_ENABLE_C, SET_MONITORED_FENCE_TYPE,
            SET_SRC_PHYS_MODE, SET_DST_PHYS_MODE);
        let method = self.registers.write(offset, data).map_err(Fault::engine)?;
        match method.offset {
            LAUNCH_DMA => Ok(Some(Work::Copy(self.job(data)?))),
            SET_RENDER_ENABLE_C if data != SET_RENDER_ENABLE_C_MODE_TRUE => {
                Err(refused("SET_RENDER_ENABLE_C with a mode other than TRUE"))
            }
            SET_MONITORED_FENCE_TYPE | SET_SRC_PHYS_MODE | SET_DST_PHYS_MODE => {
                Err(refused(method.name))
            }
            _ => Ok(None),
        }
    }

    fn job(&self, data: u32) -> Result<Job, Fault> {
        let interrupt = LAUNCH_DMA_INTERRUPT_TYPE.get(data);
        if interrupt > LAUNCH_DMA_INTERRUPT_TYPE_NON_BLOCKING {
            return Err(refused(&format!("INTERRUPT_TYPE {interrupt} of LAUNCH_DMA")));
        }
        let kind = LAUNCH_DMA_DATA_TRANSFER_TYPE.get(data);
        Ok(Job {
            transfer: self.transfer(data)?,
            pipelined: kind == LAUNCH_DMA_DATA_TRANSFER_TYPE_PIPELINED,
            flush: flush(data),
            release: self.release(data)?,
            interrupt,
        })
    }

    fn transfer(&self, data: u32) -> Result<Option<Transfer>, Fault> {
        match LAUNCH_DMA_DATA_TRANSFER_TYPE.get(data) {
            LAUNCH_DMA_DATA_TRANSFER_TYPE_NONE => return Ok(None),
            LAUNCH_DMA_DATA_TRANSFER_TYPE_PIPELINED
            | LAUNCH_DMA_DATA_TRANSFER_TYPE_NON_PIPELINED => {}
            other => return Err(refused(&format!("DATA_TRANSFER_TYPE {other} of LAUNCH_DMA"))),
        }
        for (field, expected) in [
            (LAUNCH_DMA_SRC_MEMORY_LAYOUT, LAUNCH_DMA_SRC_MEMORY_LAYOUT_PITCH),
            (LAUNCH_DMA_DST_MEMORY_LAYOUT, LAUNCH_DMA_DST_MEMORY_LAYOUT_PITCH),
            (LAUNCH_DMA_REMAP_ENABLE, LAUNCH_DMA_REMAP_ENABLE_FALSE),
            (LAUNCH_DMA_SRC_TYPE, LAUNCH_DMA_SRC_TYPE_VIRTUAL),
            (LAUNCH_DMA_DST_TYPE, LAUNCH_DMA_DST_TYPE_VIRTUAL),
            (LAUNCH_DMA_VPRMODE, LAUNCH_DMA_VPRMODE_VPR_NONE),
            (c8b5::LAUNCH_DMA_COPY_TYPE, c8b5::LAUNCH_DMA_COPY_TYPE_DEFAULT),
        ] {
            let value = field.get(data);
            if value != expected {
                let value = field.value_name(value).map_or(value.to_string(), str::to_owned);
                return Err(refused(&format!("{} {value} of LAUNCH_DMA", field.name)));
            }
        }
        let registers = &self.registers;
        let multi_line =
            LAUNCH_DMA_MULTI_LINE_ENABLE.get(data) == LAUNCH_DMA_MULTI_LINE_ENABLE_TRUE;
        Ok(Some(Transfer {
            from: registers.pair(OFFSET_IN_UPPER, OFFSET_IN_LOWER),
            to: registers.pair(OFFSET_OUT_UPPER, OFFSET_OUT_LOWER),
            from_pitch: registers.get(PITCH_IN).into(),
            to_pitch: registers.get(PITCH_OUT).into(),
            line: registers.get(LINE_LENGTH_IN).into(),
            lines: if multi_line { registers.get(LINE_COUNT).into() } else { 1 },
        }))
    }

    fn release(&self, data: u32) -> Result<Option<Release>, Fault> {
        let reduces = LAUNCH_DMA_SEMAPHORE_REDUCTION_ENABLE.get(data)
            == LAUNCH_DMA_SEMAPHORE_REDUCTION_ENABLE_TRUE;
        let stamped = match LAUNCH_DMA_SEMAPHORE_TYPE.get(data) {
            LAUNCH_DMA_SEMAPHORE_TYPE_NONE if reduces => {
                return Err(Fault::engine("LAUNCH_DMA asks for a reduction and has no semaphore"));
            }
            LAUNCH_DMA_SEMAPHORE_TYPE_NONE => return Ok(None),
            LAUNCH_DMA_SEMAPHORE_TYPE_RELEASE_SEMAPHORE_NO_TIMESTAMP => false,
            LAUNCH_DMA_SEMAPHORE_TYPE_RELEASE_SEMAPHORE_WITH_TIMESTAMP => true,
            _ => return Err(refused("SEMAPHORE_TYPE RELEASE_CONDITIONAL_INTR_SEMAPHORE")),
        };
        let registers = &self.registers;
        let (size, payload) = match LAUNCH_DMA_SEMAPHORE_PAYLOAD_SIZE.get(data) {
            LAUNCH_DMA_SEMAPHORE_PAYLOAD_SIZE_ONE_WORD => {
                (Size::Word, registers.get(SET_SEMAPHORE_PAYLOAD).into())
            }
            _ => (Size::Double, registers.pair(SET_SEMAPHORE_PAYLOAD_UPPER, SET_SEMAPHORE_PAYLOAD)),
        };
        let reduction = if reduces { Some(reduction(data)?) } else { None };
        let va = registers.pair(SET_SEMAPHORE_A, SET_SEMAPHORE_B);
        let release = Release { va, size, payload, reduction, stamped };
        release.check().map_err(Fault::engine)?;
        Ok(Some(release))
    }
}

fn flush(data: u32) -> Option<Reach> {
    if LAUNCH_DMA_FLUSH_ENABLE.get(data) != LAUNCH_DMA_FLUSH_ENABLE_TRUE {
        return None;
    }
    Some(match LAUNCH_DMA_FLUSH_TYPE.get(data) {
        LAUNCH_DMA_FLUSH_TYPE_SYS => Reach::System,
        _ => Reach::Gpu,
    })
}

fn reduction(data: u32) -> Result<Reduction, Fault> {
    let field = LAUNCH_DMA_SEMAPHORE_REDUCTION;
    let op = match field.get(data) {
        LAUNCH_DMA_SEMAPHORE_REDUCTION_IMIN => Op::Min,
        LAUNCH_DMA_SEMAPHORE_REDUCTION_IMAX => Op::Max,
        LAUNCH_DMA_SEMAPHORE_REDUCTION_IXOR => Op::Xor,
        LAUNCH_DMA_SEMAPHORE_REDUCTION_IAND => Op::And,
        LAUNCH_DMA_SEMAPHORE_REDUCTION_IOR => Op::Or,
        LAUNCH_DMA_SEMAPHORE_REDUCTION_IADD => Op::Add,
        LAUNCH_DMA_SEMAPHORE_REDUCTION_INC => Op::Inc,
        LAUNCH_DMA_SEMAPHORE_REDUCTION_DEC => Op::Dec,
        other => {
            let name = field.value_name(other).unwrap_or("unnamed");
            return Err(refused(&format!("SEMAPHORE_REDUCTION {name} of LAUNCH_DMA")));
        }
    };
    let sign = LAUNCH_DMA_SEMAPHORE_REDUCTION_SIGN.get(data);
    Ok(Reduction { op, signed: sign == LAUNCH_DMA_SEMAPHORE_REDUCTION_SIGN_SIGNED })
}

impl Job {
    /// A pipelined copy may be done before those sent earlier; what it releases or whom it wakes may
    /// not.
    pub(super) fn may_overtake(&self) -> bool {
        self.pipelined && self.release.is_none() && self.interrupt == LAUNCH_DMA_INTERRUPT_TYPE_NONE
    }

    pub(super) fn run(self, bus: &mut Bus) -> Result<(), Fault> {
        if let Some(transfer) = self.transfer {
            if transfer.overlaps() {
                bus.notice(format!(
                    "LAUNCH_DMA copies {:#x} to {:#x} over a range that overlaps itself: the \
                     hardware promises nothing about the result",
                    transfer.from, transfer.to
                ));
            }
            transfer.run(bus)?;
        }
        if let (Some(visibility), Some(reach)) = (&mut bus.visibility, self.flush) {
            visibility.stores.bring_copies(reach);
        }
        if let Some(release) = self.release {
            release
                .perform(bus)
                .map_err(|fault| Fault::mmu("the copy engine's semaphore release", fault))?;
        }
        match self.interrupt {
            LAUNCH_DMA_INTERRUPT_TYPE_NON_BLOCKING => bus.interrupt(),
            LAUNCH_DMA_INTERRUPT_TYPE_BLOCKING => bus.notice(
                "LAUNCH_DMA asks for a BLOCKING interrupt, which the driver logs as an error and \
                 tells nobody: NON_BLOCKING wakes a waiter",
            ),
            _ => {}
        }
        Ok(())
    }
}

impl Transfer {
    /// Whether the ranges that it reads and writes have a byte in common.
    fn overlaps(&self) -> bool {
        let extent = |pitch| self.lines.saturating_sub(1).saturating_mul(pitch) + self.line;
        self.line > 0
            && self.lines > 0
            && self.from < self.to.saturating_add(extent(self.to_pitch))
            && self.to < self.from.saturating_add(extent(self.from_pitch))
    }

    /// Copies line after line, each upwards. A fault leaves what was copied before it, as hardware
    /// does.
    fn run(&self, bus: &mut Bus) -> Result<(), Fault> {
        let space = bus.space;
        let fault = |fault| Fault::mmu("the copy engine", fault);
        if self.lines == 0 || self.line == 0 {
            return Ok(());
        }
        // Lines that touch are one line: a huge copy split into many is still sparse.
        let joined = self.from_pitch == self.line && self.to_pitch == self.line;
        let (line, lines) =
            if joined { (self.line * self.lines, 1) } else { (self.line, self.lines) };
        for i in 0..lines {
            let (mut from, mut to) = (self.from + i * self.from_pitch, self.to + i * self.to_pitch);
            let mut left = line;
            while left > 0 {
                let source = space.span(from, left, Kind::Read).map_err(fault)?;
                let target = space.span(to, source.len, Kind::Write).map_err(fault)?;
                let len = target.len;
                match &mut bus.visibility {
                    Some(visibility) => copy_unseen(&mut visibility.stores, target, source),
                    None => {
                        let (from, at) = (source.memory, source.offset);
                        target.memory.copy_from(target.offset, from, at, len);
                    }
                }
                from += len;
                to += len;
                left -= len;
            }
        }
        Ok(())
    }
}

/// Copies longer than this are seen at once: nobody can hold back so much.
const LONGEST_UNSEEN: u64 = 1 << 20;

/// Copies what the copy engine sees to where only it sees it.
fn copy_unseen(stores: &mut Stores, target: Span<'_>, source: Span<'_>) {
    let len = target.len;
    if len > LONGEST_UNSEEN {
        stores.bring_all();
        target.memory.copy_from(target.offset, source.memory, source.offset, len);
        return;
    }
    let mut bytes = [0; 4096];
    let mut done = 0;
    while done < len {
        let piece = &mut bytes[..(len - done).min(4096) as usize];
        stores.read(Agent::Copies, source.memory, source.offset + done, piece);
        stores.write(Agent::Copies, target.memory, target.offset + done, piece);
        done += piece.len() as u64;
    }
}

fn refused(what: &str) -> Fault {
    Fault::engine(format!("this software Orin's copy engine cannot do {what}"))
}
