//! Address spaces: which bytes of which memory a GPU address means.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

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
        write!(f, "{verb} {va:#x}, {}", self.place())
    }
}

impl MmuFault {
    /// What is wrong with the address, as the end of a sentence about it.
    pub(crate) fn place(&self) -> impl Display {
        Place(self.va, self.reason.clone())
    }
}

struct Place(u64, Reason);

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place(va, reason) = self;
        let va = *va;
        match *reason {
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
    pub(crate) memory: &'a Arc<Memory>,
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
    last: AtomicUsize,
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
        let mapping = match self.mappings.get(self.last.load(Relaxed)) {
            Some(mapping) if mapping.start <= va && va < mapping.end => mapping,
            _ => {
                let at = self.find(va, kind)?;
                self.last.store(at, Relaxed);
                &self.mappings[at]
            }
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

    /// The whole mapping around `va`: where it starts, its bytes, and whether they may be changed.
    pub(crate) fn around(&self, va: u64) -> Option<(u64, Span<'_>, bool)> {
        // Not remembered: threads that run one grid would all write there.
        let at = self.find(va, Kind::Read).ok()?;
        let Mapping { start, end, ref memory, offset, access } = self.mappings[at];
        let span = Span { memory, offset, len: end - start };
        Some((start, span, access == Access::ReadWrite))
    }

    /// Which mapping contains an address.
    fn find(&self, va: u64, kind: Kind) -> Result<usize, MmuFault> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= va);
        let below = after.checked_sub(1).map(|at| &self.mappings[at]);
        if below.is_some_and(|mapping| va < mapping.end) {
            return Ok(after - 1);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn memory(pages: u64) -> Arc<Memory> {
        Memory::new("test", pages * PAGE).unwrap()
    }

    fn miss(space: &Space, va: u64) -> String {
        space.span(va, 1, Kind::Write).unwrap_err().to_string()
    }

    #[test]
    fn a_miss_names_the_nearest_mapping() {
        let mut space = Space::default();
        assert_eq!(miss(&space, 16), "wrote 0x10, and nothing is mapped in that address space");
        space.map(0x10_0000, memory(1), 0, PAGE, Access::ReadWrite);
        space.map(0x20_0000, memory(2), 0, 2 * PAGE, Access::ReadWrite);
        let cases = [
            (0xf_ffff, "0x100000 to 0x100fff, starts 0x1 bytes above"),
            (0x10_1000, "0x100000 to 0x100fff, ends 0x1 bytes below"),
            (0x1f_fffc, "0x200000 to 0x201fff, starts 0x4 bytes above"),
            (1 << 48, "0x200000 to 0x201fff, ends 0xffffffdfe001 bytes below"),
        ];
        for (va, part) in cases {
            let text = miss(&space, va);
            assert!(text.contains(part), "{text}");
        }
        assert!(miss(&space, 1 << 49).contains("more than 49 bits"));
        assert!(miss(&space, u64::MAX).contains("more than 49 bits"));
    }

    #[test]
    fn read_only_mappings_refuse_everything_else() {
        let mut space = Space::default();
        space.map(PAGE, memory(1), 0, PAGE, Access::ReadOnly);
        assert_eq!(space.load_u32(PAGE), Ok(0));
        let fault = space.store_u32(PAGE + 4, 1).unwrap_err();
        assert_eq!(fault.to_string(), "wrote 0x1004, which is mapped read-only");
        let fault = space.span(PAGE, 4, Kind::Atomic).unwrap_err();
        assert_eq!(fault.reason, Reason::ReadOnly);
    }

    #[test]
    fn the_last_page_of_the_address_space_can_be_used() {
        let mut space = Space::default();
        let last = (1 << ADDRESS_BITS) - PAGE;
        space.map(last, memory(1), 0, PAGE, Access::ReadWrite);
        space.store_u32(last + PAGE - 4, 5).unwrap();
        assert_eq!(space.load_u32(last + PAGE - 4), Ok(5));
    }

    #[test]
    fn words_are_read_across_mappings() {
        let mut space = Space::default();
        let (low, high) = (memory(1), memory(3));
        space.map(PAGE, low.clone(), 0, PAGE, Access::ReadOnly);
        space.map(2 * PAGE, high.clone(), PAGE, 2 * PAGE, Access::ReadOnly);
        low.store_u32(PAGE - 4, 1);
        high.store_u32(PAGE, 2);
        let mut words = vec![0];
        space.read_words(2 * PAGE - 4, 2, &mut words).unwrap();
        assert_eq!(words, [0, 1, 2]);
        let fault = space.read_words(4 * PAGE - 4, 2, &mut words).unwrap_err();
        assert_eq!(fault.va, 4 * PAGE);
    }

    #[test]
    fn bad_mappings_panic() {
        type Mapping = (u64, u64, u64);
        let cases: [Mapping; 10] = [
            (0x10_0800, 0, PAGE),
            (0x10_0000, 0x800, PAGE),
            (0x10_0000, 0, 0x800),
            (0x10_0000, 0, 0),
            ((1 << 49) - PAGE, 0, 2 * PAGE),
            (u64::MAX - PAGE + 1, 0, PAGE),
            (0x10_0000, PAGE, 4 * PAGE),
            (0x40_0000 - PAGE, 0, 2 * PAGE),
            (0x40_0000 + PAGE, 0, PAGE),
            (0x40_0000, 0, PAGE),
        ];
        for (va, offset, len) in cases {
            let outcome = std::panic::catch_unwind(|| {
                let mut space = Space::default();
                space.map(0x40_0000, memory(2), 0, 2 * PAGE, Access::ReadWrite);
                space.map(va, memory(4), offset, len, Access::ReadWrite);
            });
            assert!(outcome.is_err(), "{va:#x} {offset:#x} {len:#x}");
        }
    }

    proptest! {
        /// Maps and unmaps pages at random; a table of pages says what each must mean.
        #[test]
        fn translates_like_a_table_of_pages(
            steps in prop::collection::vec((1..40_u64, 1..6_u64, any::<bool>()), 1..40),
            probes in prop::collection::vec(0..45 * PAGE, 30),
        ) {
            let mut space = Space::default();
            let mut table = vec![None; 64];
            for (at, pages, map) in steps {
                let range = at as usize..(at + pages) as usize;
                if map && table[range.clone()].iter().all(Option::is_none) {
                    let memory = memory(pages + 1);
                    space.map(at * PAGE, memory.clone(), PAGE, pages * PAGE, Access::ReadWrite);
                    for (i, page) in table[range].iter_mut().enumerate() {
                        *page = Some((memory.clone(), i as u64 + 1, pages - i as u64));
                    }
                } else if !map {
                    let starts = matches!(&table[at as usize], Some((_, 1, _)));
                    prop_assert_eq!(space.unmap(at * PAGE), starts);
                    if let Some((_, 1, pages)) = table[at as usize] {
                        table[at as usize..(at + pages) as usize].fill(None);
                    }
                }
                for probe in &probes {
                    let (page, inside) = ((probe / PAGE) as usize, probe % PAGE);
                    match (space.span(*probe, 1 << 20, Kind::Write), &table[page]) {
                        (Ok(span), Some((memory, first, left))) => {
                            prop_assert_eq!(span.memory.identity(), memory.identity());
                            prop_assert_eq!(span.offset, first * PAGE + inside);
                            prop_assert_eq!(span.len, left * PAGE - inside);
                        }
                        (Err(fault), None) => prop_assert_eq!(fault.va, *probe),
                        (found, _) => panic!("{probe:#x} gave {found:?}"),
                    }
                }
            }
        }
    }
}
