//! Address spaces: which bytes of which memory a GPU address means.

use std::cell::Cell;
use std::fmt::{self, Display};
use std::sync::Arc;

use crate::memory::Memory;

/// GPU addresses have this many bits.
pub(crate) const ADDRESS_BITS: u32 = 49;

/// Mappings begin and end on these.
pub(crate) const PAGE: u64 = 4096;

/// What a mapping allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    ReadOnly,
    /// Everything.
    ReadWrite,
}

/// What an engine wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Atomic,
}

/// An access that the MMU refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MmuFault {
    pub(crate) va: u64,
    pub(crate) kind: Kind,
    pub(crate) reason: Reason,
}

/// Why it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No mapping contains the address; the nearest one starts and ends here.
    Unmapped(Option<(u64, u64)>),
    /// The mapping is read-only.
    ReadOnly,
    /// The address has more bits than the MMU.
    TooHigh,
}

impl Display for MmuFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MmuFault { va, kind, .. } = *self;
        let verb = match kind {
            Kind::Read => "read",
            Kind::Write => "wrote",
            Kind::Atomic => "made an atomic access to",
        };
        write!(f, "{verb} {va:#x}, ")?;
        match self.reason {
            Reason::ReadOnly => f.write_str("which is mapped read-only"),
            Reason::TooHigh => write!(f, "which has more than {ADDRESS_BITS} bits"),
            Reason::Unmapped(None) => f.write_str("and nothing is mapped in that address space"),
            Reason::Unmapped(Some((start, end))) => {
                f.write_str("which is not mapped: the nearest mapping, ")?;
                write!(f, "{start:#x} to {:#x}, ", end - 1)?;
                if va < start {
                    write!(f, "starts {:#x} bytes above", start - va)
                } else {
                    write!(f, "ends {:#x} bytes below", va - (end - 1))
                }
            }
        }
    }
}

/// A run of bytes that lie together in one memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

#[derive(Debug)]
struct Mapping {
    start: u64,
    end: u64,
    memory: Arc<Memory>,
    offset: u64,
    access: Access,
}

/// One address space.
#[derive(Debug, Default)]
pub(crate) struct Space {
    /// Sorted by address, none overlapping.
    mappings: Vec<Mapping>,
    /// The mapping that the last access fell into: the next one mostly falls there too.
    last: Cell<usize>,
}

impl Space {
    /// Maps bytes of `memory` at `va`.
    ///
    /// # Panics
    /// If the driver's rules were broken: unaligned, empty, above the address limit, beyond the
    /// memory, or on top of another mapping.
    pub(crate) fn map(
        &mut self,
        va: u64,
        memory: Arc<Memory>,
        offset: u64,
        len: u64,
        access: Access,
    ) {
        assert!((va | offset | len) % PAGE == 0 && len > 0, "mappings consist of whole pages");
        let end = va.checked_add(len).filter(|end| *end <= 1 << ADDRESS_BITS);
        let end = end.expect("a mapping ends below the address limit");
        let inside = offset.checked_add(len).is_some_and(|end| end <= memory.size());
        assert!(inside, "a mapping lies inside its memory");
        let at = self.mappings.partition_point(|mapping| mapping.start < va);
        let free = (at == 0 || self.mappings[at - 1].end <= va)
            && self.mappings.get(at).is_none_or(|next| end <= next.start);
        assert!(free, "mappings do not overlap");
        self.mappings.insert(at, Mapping { start: va, end, memory, offset, access });
    }

    /// Takes away the mapping that starts at `va`; whether there was one.
    pub(crate) fn unmap(&mut self, va: u64) -> bool {
        let found = self.mappings.binary_search_by_key(&va, |mapping| mapping.start);
        if let Ok(at) = found {
            self.mappings.remove(at);
        }
        found.is_ok()
    }

    /// The bytes at `va`: `len` of them, or fewer where the mapping ends.
    #[inline]
    pub(crate) fn span(&self, va: u64, len: u64, kind: Kind) -> Result<Span<'_>, MmuFault> {
        let mapping = match self.mappings.get(self.last.get()) {
            Some(mapping) if mapping.start <= va && va < mapping.end => mapping,
            _ => self.find(va, kind)?,
        };
        if kind != Kind::Read && mapping.access == Access::ReadOnly {
            return Err(MmuFault { va, kind, reason: Reason::ReadOnly });
        }
        let inside = va - mapping.start;
        Ok(Span {
            memory: &mapping.memory,
            offset: mapping.offset + inside,
            len: len.min(mapping.end - va),
        })
    }

    fn find(&self, va: u64, kind: Kind) -> Result<&Mapping, MmuFault> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= va);
        let below = after.checked_sub(1).map(|at| &self.mappings[at]);
        if let Some(mapping) = below.filter(|mapping| va < mapping.end) {
            self.last.set(after - 1);
            return Ok(mapping);
        }
        let reason = if va >> ADDRESS_BITS != 0 {
            Reason::TooHigh
        } else {
            let distance = |mapping: &&Mapping| {
                if va < mapping.start { mapping.start - va } else { va - mapping.end + 1 }
            };
            let nearest = below.into_iter().chain(self.mappings.get(after)).min_by_key(distance);
            Reason::Unmapped(nearest.map(|mapping| (mapping.start, mapping.end)))
        };
        Err(MmuFault { va, kind, reason })
    }

    /// Reads a word.
    pub(crate) fn load_u32(&self, va: u64) -> Result<u32, MmuFault> {
        let span = self.span(va, 4, Kind::Read)?;
        Ok(span.memory.load_u32(span.offset))
    }

    /// Reads a double word.
    pub(crate) fn load_u64(&self, va: u64) -> Result<u64, MmuFault> {
        let span = self.span(va, 8, Kind::Read)?;
        Ok(span.memory.load_u64(span.offset))
    }

    /// Writes a word, after everything written before.
    pub(crate) fn store_u32(&self, va: u64, value: u32) -> Result<(), MmuFault> {
        let span = self.span(va, 4, Kind::Write)?;
        span.memory.store_u32(span.offset, value);
        Ok(())
    }

    /// Writes a double word, after everything written before.
    pub(crate) fn store_u64(&self, va: u64, value: u64) -> Result<(), MmuFault> {
        let span = self.span(va, 8, Kind::Write)?;
        span.memory.store_u64(span.offset, value);
        Ok(())
    }

    /// Appends `count` words at `va`, wherever mappings meet, to `out`.
    pub(crate) fn read_words(
        &self,
        va: u64,
        count: u64,
        out: &mut Vec<u32>,
    ) -> Result<(), MmuFault> {
        let mut done = 0;
        while done < count {
            let at = va + done * 4;
            let span = self.span(at, (count - done) * 4, Kind::Read)?;
            let words = span.len / 4;
            out.extend((0..words).map(|i| span.memory.load_u32(span.offset + i * 4)));
            done += words;
        }
        Ok(())
    }
}
