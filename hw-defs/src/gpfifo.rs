//! Entries of the GPFIFO ring: each points the host engine at a pushbuffer segment.
//!
//! An entry is two words, written as one little-endian `u64`. A zero length makes it a control
//! entry, which reuses the address bits.

use core::fmt;

fields! {
    /// All fields of an entry's first word.
    GP_ENTRY0 {
        /// The segment's address, low part.
        31:2  GP_ENTRY0_GET,
        0:0   GP_ENTRY0_FETCH {
            GP_ENTRY0_FETCH_UNCONDITIONAL = 0,
            GP_ENTRY0_FETCH_CONDITIONAL = 1,
        },
        /// What a control entry works on.
        31:0  GP_ENTRY0_OPERAND,
        /// c86f, with opcode 4: address bits from 40 up of the segments that follow.
        24:8  GP_ENTRY0_PB_EXTENDED_BASE_OPERAND,
    }
}

fields! {
    /// All fields of an entry's second word.
    GP_ENTRY1 {
        /// The segment's address from bit 32 up.
        7:0   GP_ENTRY1_GET_HI,
        9:9   GP_ENTRY1_LEVEL { GP_ENTRY1_LEVEL_MAIN = 0, GP_ENTRY1_LEVEL_SUBROUTINE = 1 },
        /// The segment's length in words.
        30:10 GP_ENTRY1_LENGTH,
        31:31 GP_ENTRY1_SYNC { GP_ENTRY1_SYNC_PROCEED = 0, GP_ENTRY1_SYNC_WAIT = 1 },
        /// What a control entry does. SET_PB_SEGMENT_EXTENDED_BASE exists on c86f only.
        7:0   GP_ENTRY1_OPCODE {
            GP_ENTRY1_OPCODE_NOP = 0,
            GP_ENTRY1_OPCODE_ILLEGAL = 1,
            GP_ENTRY1_OPCODE_GP_CRC = 2,
            GP_ENTRY1_OPCODE_PB_CRC = 3,
            GP_ENTRY1_OPCODE_SET_PB_SEGMENT_EXTENDED_BASE = 4,
        },
    }
}

/// Bytes of one entry.
pub const ENTRY_SIZE: u64 = 8;

/// Segments lie below this address.
pub const VA_LIMIT: u64 = 1 << 40;

/// The most words that one entry points at.
pub const MAX_WORDS: u32 = GP_ENTRY1_LENGTH.max();

/// Only changes which of USERD's read pointers the host engine reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// An ordinary segment.
    Main,
    /// A segment called from an ordinary one.
    Subroutine,
}

/// Whether a segment may be fetched ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Fetch as early as you like.
    Proceed,
    /// Fetch only when the segment before has been processed by the host engine (not by the
    /// engines behind it): for segments that the GPU itself rewrites.
    Wait,
}

/// An entry, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Points at a segment.
    Segment {
        /// Where it lies.
        va: u64,
        /// How many words it has.
        words: u32,
        /// Ordinary or called.
        level: Level,
        /// Whether it may be fetched ahead.
        sync: Sync,
    },
    /// Length 0: does something by itself.
    Control {
        /// One of GP_ENTRY1_OPCODE.
        opcode: u32,
        /// What it works on.
        operand: u32,
        /// Whether fetching stops here until what came before has been processed.
        sync: Sync,
    },
}

/// Why 64 bits are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadEntry {
    /// Bits that mean nothing are set.
    Reserved(u64),
    /// The entry asks for a conditional fetch, which nothing here ever does.
    Conditional,
    /// A control entry with an opcode that has no name.
    Opcode(u32),
}

impl Entry {
    /// The entry for `words` words at `va`.
    ///
    /// `va` must be a multiple of 4 below [`VA_LIMIT`], and `words` between 1 and [`MAX_WORDS`]:
    /// whoever lays out the pushbuffer has made sure of both, so debug builds check again.
    #[inline]
    pub const fn encode(va: u64, words: u32, level: Level, sync: Sync) -> u64 {
        debug_assert!(
            va < VA_LIMIT && va % 4 == 0,
            "a segment's address is aligned and below 2^40"
        );
        debug_assert!(words > 0, "a segment has words");
        let level = match level {
            Level::Main => GP_ENTRY1_LEVEL_MAIN,
            Level::Subroutine => GP_ENTRY1_LEVEL_SUBROUTINE,
        };
        join(
            va as u32 & GP_ENTRY0_GET.mask(),
            GP_ENTRY1_GET_HI.set((va >> 32) as u32)
                | GP_ENTRY1_LEVEL.set(level)
                | GP_ENTRY1_LENGTH.set(words)
                | sync.bits(),
        )
    }

    /// A control entry.
    #[inline]
    pub const fn control(opcode: u32, operand: u32, sync: Sync) -> u64 {
        join(operand, GP_ENTRY1_OPCODE.set(opcode) | sync.bits())
    }

    /// Takes 64 bits apart.
    pub const fn decode(entry: u64) -> Result<Entry, BadEntry> {
        let (lo, hi) = (entry as u32, (entry >> 32) as u32);
        let sync = match GP_ENTRY1_SYNC.get(hi) {
            GP_ENTRY1_SYNC_PROCEED => Sync::Proceed,
            _ => Sync::Wait,
        };
        let words = GP_ENTRY1_LENGTH.get(hi);
        if words == 0 {
            let used = GP_ENTRY1_OPCODE.mask() | GP_ENTRY1_SYNC.mask();
            if hi & !used != 0 {
                return Err(BadEntry::Reserved(join(0, hi & !used)));
            }
            let opcode = GP_ENTRY1_OPCODE.get(hi);
            if opcode > GP_ENTRY1_OPCODE_SET_PB_SEGMENT_EXTENDED_BASE {
                return Err(BadEntry::Opcode(opcode));
            }
            return Ok(Entry::Control { opcode, operand: lo, sync });
        }
        let unused = join(
            lo & !(GP_ENTRY0_GET.mask() | GP_ENTRY0_FETCH.mask()),
            hi & !(GP_ENTRY1_GET_HI.mask()
                | GP_ENTRY1_LEVEL.mask()
                | GP_ENTRY1_LENGTH.mask()
                | GP_ENTRY1_SYNC.mask()),
        );
        if unused != 0 {
            return Err(BadEntry::Reserved(unused));
        }
        if GP_ENTRY0_FETCH.get(lo) == GP_ENTRY0_FETCH_CONDITIONAL {
            return Err(BadEntry::Conditional);
        }
        let level = match GP_ENTRY1_LEVEL.get(hi) {
            GP_ENTRY1_LEVEL_MAIN => Level::Main,
            _ => Level::Subroutine,
        };
        let va = join(lo & GP_ENTRY0_GET.mask(), GP_ENTRY1_GET_HI.get(hi));
        Ok(Entry::Segment { va, words, level, sync })
    }
}

/// `segment 0xffffa01000, 6 words, LEVEL=SUBROUTINE, SYNC=WAIT`, of level and sync only what is not
/// the ordinary case.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sync = match *self {
            Entry::Segment { va, words, level, sync } => {
                write!(f, "segment {va:#x}, {words} words")?;
                if level == Level::Subroutine {
                    f.write_str(", LEVEL=SUBROUTINE")?;
                }
                sync
            }
            Entry::Control { opcode, operand, sync } => {
                match GP_ENTRY1_OPCODE.value_name(opcode) {
                    Some(name) => write!(f, "control {name}, operand {operand:#x}")?,
                    None => write!(f, "control {opcode:#x}, operand {operand:#x}")?,
                }
                sync
            }
        };
        if sync == Sync::Wait { f.write_str(", SYNC=WAIT") } else { Ok(()) }
    }
}

impl fmt::Display for BadEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadEntry::Reserved(bits) => write!(f, "it sets reserved bits {bits:#018x}"),
            BadEntry::Conditional => f.write_str("it asks for a conditional fetch"),
            BadEntry::Opcode(opcode) => write!(f, "control opcode {opcode:#x} does not exist"),
        }
    }
}

impl core::error::Error for BadEntry {}

impl Sync {
    const fn bits(self) -> u32 {
        GP_ENTRY1_SYNC.set(match self {
            Sync::Proceed => GP_ENTRY1_SYNC_PROCEED,
            Sync::Wait => GP_ENTRY1_SYNC_WAIT,
        })
    }
}

const fn join(lo: u32, hi: u32) -> u64 {
    lo as u64 | (hi as u64) << 32
}
