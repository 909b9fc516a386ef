//! The way from the ring to single words: takes ring entries and fetches their pushbuffers.
//!
//! Hardware fetches ahead. What is overwritten between the doorbell and its execution may or may not
//! be seen, so this model refuses it: where a channel stops, it remembers what lies ahead, and
//! compares when it gets there.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use hw_defs::gpfifo::{self, BadEntry, Entry, Sync};
use hw_defs::userd;

use super::fault::Fault;
use super::mmu::Space;
use crate::memory::Memory;

/// A place in a ring, and in the segment that its entry points at.
pub(super) struct Fetcher {
    ring_va: u64,
    entries: u32,
    userd: Arc<Memory>,
    get: u32,
    /// GP_PUT as it was when the doorbell last rang: what is written later does not count.
    put: u32,
    /// Ring entries that were ahead when the channel last stopped, the next one first.
    ahead: VecDeque<Ahead>,
    /// Whether one of those lets the GPU rewrite the segments after it.
    ahead_synced: bool,
    segment: Segment,
}

/// A ring entry that has been seen and not yet taken.
struct Ahead {
    entry: u64,
    /// Its segment's words at that time, unless the GPU is allowed to rewrite them.
    print: Option<u64>,
}

/// The segment being executed, as it was when it was reached.
#[derive(Default)]
struct Segment {
    va: u64,
    words: Vec<u32>,
    at: usize,
    /// The channel has stopped inside it, so that its memory may have changed since.
    parked: bool,
}

impl Fetcher {
    pub(super) fn new(ring_va: u64, entries: u32, userd: Arc<Memory>) -> Fetcher {
        Fetcher {
            ring_va,
            entries,
            userd,
            get: 0,
            put: 0,
            ahead: VecDeque::new(),
            ahead_synced: false,
            segment: Segment::default(),
        }
    }

    /// Looks at GP_PUT.
    pub(super) fn ring(&mut self) {
        self.put = self.userd.load_u32(userd::GP_PUT);
    }

    /// What SET_REFERENCE does.
    pub(super) fn set_reference(&self, count: u32) {
        self.userd.store_u32(userd::REFERENCE, count);
    }

    /// The place, for the report of a fault.
    pub(super) fn position(&self) -> String {
        let entry = (self.get + self.entries - 1) % self.entries;
        match self.segment.at.checked_sub(1) {
            Some(word) => format!(
                "word {word} of {} of the pushbuffer at {:#x}, ring entry {entry}",
                self.segment.words.len(),
                self.segment.va
            ),
            None => format!("ring entry {entry}"),
        }
    }

    /// The next word of the segment, if it has one.
    pub(super) fn word(&mut self, space: &Space) -> Result<Option<u32>, Fault> {
        let segment = &mut self.segment;
        let Some(&word) = segment.words.get(segment.at) else { return Ok(None) };
        if segment.parked {
            let va = segment.va + segment.at as u64 * 4;
            let now = space.load_u32(va);
            let now = now.map_err(|fault| Fault::mmu("the fetch of a pushbuffer", fault))?;
            if now != word {
                return Err(Fault::host(format!(
                    "the pushbuffer word at {va:#x} changed from {word:#x} to {now:#x} while the \
                     channel was waiting before it"
                )));
            }
        }
        segment.at += 1;
        Ok(Some(word))
    }

    /// Skips the rest of the segment.
    pub(super) fn end_segment(&mut self) {
        self.segment.at = self.segment.words.len();
    }

    /// Goes on to the next ring entry; false if there is none.
    pub(super) fn take_entry(&mut self, space: &Space) -> Result<bool, Fault> {
        if self.put >= self.entries {
            let (put, entries) = (self.put, self.entries);
            return Err(Fault::host(format!("GP_PUT is {put} in a ring of {entries} entries")));
        }
        self.segment.words.clear();
        self.segment.at = 0;
        if self.get == self.put {
            return Ok(false);
        }
        let index = self.get;
        let entry = self.entry(space, index)?;
        let ahead = self.ahead.pop_front();
        if let Some(seen) = ahead.as_ref().filter(|ahead| ahead.entry != entry) {
            return Err(Fault::host(format!(
                "ring entry {index} changed from {:#x} to {entry:#x} after the doorbell that \
                 announced it and before the GPU took it",
                seen.entry
            )));
        }
        // The slot is free from here on, before its segment has been executed: GP_GET tells a
        // program about the ring and nothing else.
        self.get = (index + 1) % self.entries;
        self.userd.store_u32(userd::GP_GET, self.get);
        match Entry::decode(entry) {
            Ok(Entry::Segment { va, words, .. }) => {
                self.fetch(space, va, words, ahead.and_then(|ahead| ahead.print))?;
            }
            Ok(Entry::Control { opcode: gpfifo::GP_ENTRY1_OPCODE_NOP, .. }) => {}
            Ok(Entry::Control { opcode, .. }) => {
                let name = gpfifo::GP_ENTRY1_OPCODE.value_name(opcode).unwrap_or("unknown");
                return Err(Fault::host(format!(
                    "ring entry {index} ({entry:#x}) is a control entry {opcode} ({name}), and \
                     this software Orin obeys NOP only"
                )));
            }
            Err(bad) => {
                let why = match bad {
                    BadEntry::Reserved(bits) => format!("sets reserved bits {bits:#x}"),
                    BadEntry::Conditional => "asks for a conditional fetch".to_owned(),
                    BadEntry::Opcode(opcode) => {
                        format!("is a control entry with the unknown opcode {opcode:#x}")
                    }
                };
                return Err(Fault::host(format!("ring entry {index} ({entry:#x}) {why}")));
            }
        }
        Ok(true)
    }

    fn entry(&self, space: &Space, index: u32) -> Result<u64, Fault> {
        let va = self.ring_va + u64::from(index) * gpfifo::ENTRY_SIZE;
        space.load_u64(va).map_err(|fault| Fault::mmu("the fetch of a ring entry", fault))
    }

    /// Reads a whole segment at once, as the hardware's prefetcher nearly does.
    fn fetch(
        &mut self,
        space: &Space,
        va: u64,
        words: u32,
        print: Option<u64>,
    ) -> Result<(), Fault> {
        let end = va + u64::from(words) * 4;
        if end >= gpfifo::VA_LIMIT {
            // The host engine keeps the address behind the last word, in as many bits as the rest.
            return Err(Fault::host(format!(
                "the pushbuffer of {words} words at {va:#x} does not end below {:#x}",
                gpfifo::VA_LIMIT
            )));
        }
        self.segment.va = va;
        self.segment.parked = false;
        space
            .read_words(va, words.into(), &mut self.segment.words)
            .map_err(|fault| Fault::mmu("the fetch of a pushbuffer", fault))?;
        if print.is_some_and(|print| print != fingerprint(&self.segment.words)) {
            return Err(Fault::host(format!(
                "the pushbuffer of {words} words at {va:#x} was overwritten after the doorbell \
                 that announced it and before the GPU fetched it"
            )));
        }
        Ok(())
    }

    /// Remembers what lies ahead, because the channel stops here for a while.
    pub(super) fn park(&mut self, space: &Space) {
        self.segment.parked = true;
        if self.put >= self.entries {
            return;
        }
        if self.ahead.is_empty() {
            self.ahead_synced = false;
        }
        let mut index = (self.get + self.ahead.len() as u32) % self.entries;
        while index != self.put {
            // What cannot be read or understood now is a fault when its turn comes.
            let Ok(entry) = self.entry(space, index) else { return };
            let mut print = None;
            match Entry::decode(entry) {
                Ok(Entry::Segment { va, words, sync: Sync::Proceed, .. }) if !self.ahead_synced => {
                    let mut segment = Vec::new();
                    let read = space.read_words(va, words.into(), &mut segment);
                    print = read.is_ok().then(|| fingerprint(&segment));
                }
                Ok(Entry::Segment { sync, .. } | Entry::Control { sync, .. }) => {
                    self.ahead_synced |= sync == Sync::Wait;
                }
                Err(_) => {}
            }
            self.ahead.push_back(Ahead { entry, print });
            index = (index + 1) % self.entries;
        }
    }
}

fn fingerprint(words: &[u32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    words.hash(&mut hasher);
    hasher.finish()
}
