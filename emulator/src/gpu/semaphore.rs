//! Semaphores: words in memory that engines wait for, write and count with.

use super::channel::Bus;
use super::mmu::{Kind, MmuFault};

/// How wide the payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Word,
    Double,
}

impl Size {
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Size::Word => 4,
            Size::Double => 8,
        }
    }

    fn load(self, bus: &Bus, va: u64) -> Result<u64, MmuFault> {
        if let Some(visibility) = &bus.visibility {
            let words = visibility.words(bus.space, va, self.bytes() as usize / 4)?;
            return Ok(words.iter().rev().fold(0, |word, half| word << 32 | u64::from(*half)));
        }
        match self {
            Size::Word => bus.space.load_u32(va).map(u64::from),
            Size::Double => bus.space.load_u64(va),
        }
    }
}

/// When an acquire lets the channel go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The word is the payload.
    Equal,
    /// The word is at least the payload, unsigned.
    StrictGeq,
    /// The word is less than half the range ahead of the payload, so that a counter may wrap.
    CircGeq,
    /// Word and payload have a bit in common.
    And,
    /// Some bit is clear in both.
    Nor,
}

impl Condition {
    pub(crate) fn holds(self, size: Size, word: u64, payload: u64) -> bool {
        match self {
            Condition::Equal => word == payload,
            Condition::StrictGeq => word >= payload,
            Condition::CircGeq => match size {
                Size::Word => (word as u32).wrapping_sub(payload as u32) as i32 >= 0,
                Size::Double => word.wrapping_sub(payload) as i64 >= 0,
            },
            Condition::And => word & payload != 0,
            Condition::Nor => match size {
                Size::Word => !(word as u32 | payload as u32) != 0,
                Size::Double => !(word | payload) != 0,
            },
        }
    }
}

/// An acquire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acquire {
    pub(crate) va: u64,
    pub(crate) size: Size,
    pub(crate) condition: Condition,
    pub(crate) payload: u64,
}

impl Acquire {
    /// Looks once.
    pub(super) fn succeeds(&self, bus: &Bus) -> Result<bool, MmuFault> {
        let word = self.size.load(bus, self.va)?;
        Ok(self.condition.holds(self.size, word, self.payload))
    }
}

/// What a reduction does to the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Min,
    Max,
    Xor,
    And,
    Or,
    Add,
    /// Counts up to the payload, then starts again at 0.
    Inc,
    /// Counts down to 0, then starts again at the payload.
    Dec,
}

/// A reduction and how it reads its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reduction {
    pub(crate) op: Op,
    pub(crate) signed: bool,
}

impl Reduction {
    /// Whether the memory system can do this: 64-bit sums are unsigned, and INC and DEC know
    /// nothing but unsigned words.
    pub(crate) fn supports(self, size: Size) -> bool {
        match self.op {
            Op::Min | Op::Max | Op::Xor | Op::And | Op::Or => true,
            Op::Add => size == Size::Word || !self.signed,
            Op::Inc | Op::Dec => size == Size::Word && !self.signed,
        }
    }

    pub(crate) fn word(self, word: u32, payload: u32) -> u32 {
        let signed = |pick: fn(i32, i32) -> i32| pick(word as i32, payload as i32) as u32;
        match self.op {
            Op::Min if self.signed => signed(i32::min),
            Op::Max if self.signed => signed(i32::max),
            Op::Min => word.min(payload),
            Op::Max => word.max(payload),
            Op::Xor => word ^ payload,
            Op::And => word & payload,
            Op::Or => word | payload,
            Op::Add => word.wrapping_add(payload),
            Op::Inc if word >= payload => 0,
            Op::Inc => word + 1,
            Op::Dec if word == 0 || word > payload => payload,
            Op::Dec => word - 1,
        }
    }

    pub(crate) fn double(self, word: u64, payload: u64) -> u64 {
        let signed = |pick: fn(i64, i64) -> i64| pick(word as i64, payload as i64) as u64;
        match self.op {
            Op::Min if self.signed => signed(i64::min),
            Op::Max if self.signed => signed(i64::max),
            Op::Min => word.min(payload),
            Op::Max => word.max(payload),
            Op::Xor => word ^ payload,
            Op::And => word & payload,
            Op::Or => word | payload,
            Op::Add => word.wrapping_add(payload),
            Op::Inc | Op::Dec => unreachable!("supports() refuses these"),
        }
    }
}

/// A release: the payload is written, or combined with what is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Release {
    pub(crate) va: u64,
    pub(crate) size: Size,
    pub(crate) payload: u64,
    pub(crate) reduction: Option<Reduction>,
    /// The release covers 16 bytes: payload, extended by zeros to 8, and the time.
    pub(crate) stamped: bool,
}

impl Release {
    /// What is wrong with it before any memory is touched.
    pub(crate) fn check(&self) -> Result<(), String> {
        let bytes = if self.stamped { 16 } else { self.size.bytes() };
        if self.va % bytes != 0 {
            return Err(format!(
                "a semaphore of {bytes} bytes at {:#x} is not aligned to its size",
                self.va
            ));
        }
        match self.reduction {
            Some(reduction) if !reduction.supports(self.size) => Err(format!(
                "there is no {} {}-bit {:?} reduction",
                if reduction.signed { "signed" } else { "unsigned" },
                self.size.bytes() * 8,
                reduction.op,
            )),
            _ => Ok(()),
        }
    }

    /// Writes it, time first: whoever sees the payload finds everything before it in place.
    pub(super) fn perform(&self, bus: &mut Bus) -> Result<(), MmuFault> {
        let space = bus.space;
        if let Some(visibility) = &mut bus.visibility {
            let bytes = if self.stamped { 16 } else { self.size.bytes() };
            let span = space.span(self.va, bytes, Kind::Write)?;
            visibility.stores.settle(span.memory, span.offset, bytes);
        }
        if self.stamped {
            space.store_u64(self.va + 8, bus.clock.now())?;
        }
        if let Some(reduction) = self.reduction {
            let span = space.span(self.va, self.size.bytes(), Kind::Atomic)?;
            match self.size {
                Size::Word => {
                    let payload = self.payload as u32;
                    span.memory.update_u32(span.offset, |word| reduction.word(word, payload));
                }
                Size::Double => {
                    let payload = self.payload;
                    span.memory.update_u64(span.offset, |word| reduction.double(word, payload));
                }
            }
            return Ok(());
        }
        match self.size {
            Size::Word if !self.stamped => space.store_u32(self.va, self.payload as u32),
            _ => space.store_u64(self.va, self.payload),
        }
    }
}
