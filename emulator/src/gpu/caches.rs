//! Caches that keep what they have until somebody invalidates them.
//!
//! Real ones are small and lose lines all the time; these never do, so that an invalidate that is
//! missing is missed in every run.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use super::SpaceId;
use super::mmu::{MmuFault, PAGE};

/// A multiprocessor's data cache fetches this much at once.
const SECTOR: u64 = 32;
const BANK_LINE: u64 = 64;

/// The data cache of one multiprocessor: pages as its blocks see them.
#[derive(Default)]
pub(super) struct DataCache(HashMap<(SpaceId, u64), Box<Page>>);

/// A page of which some sectors are cached. The others hold what was last stored or loaded past the
/// cache, for the instruction that does so.
#[repr(C, align(64))]
pub(super) struct Page {
    bytes: [AtomicU8; PAGE as usize],
    cached: u128,
}

impl Page {
    /// Where the bytes are, for a block that reads and writes them while it runs.
    pub(super) fn bytes(&self) -> *mut u8 {
        self.bytes.as_ptr().cast_mut().cast()
    }

    /// Puts something where an instruction will look for it.
    pub(super) fn put(&self, within: u64, data: &[u8]) {
        for (cell, byte) in self.bytes[within as usize..].iter().zip(data) {
            cell.store(*byte, Relaxed);
        }
    }

    /// The sectors of a range that are not cached, as offsets in the page; from here on they are.
    pub(super) fn miss(&mut self, within: u64, len: u64) -> impl Iterator<Item = u64> + use<> {
        let missing = sectors(within, len) & !self.cached;
        self.cached |= missing;
        (0..PAGE / SECTOR).filter(move |i| missing >> i & 1 == 1).map(|i| i * SECTOR)
    }

    /// What was cached of a range no longer is.
    pub(super) fn evict(&mut self, within: u64, len: u64) {
        self.cached &= !sectors(within, len);
    }
}

pub(super) const SECTOR_BYTES: usize = SECTOR as usize;

fn sectors(within: u64, len: u64) -> u128 {
    let (first, last) = (within / SECTOR, (within + len - 1) / SECTOR);
    (u128::MAX >> (127 - (last - first))) << first
}

impl DataCache {
    /// The page at `va`, made when it is first needed.
    pub(super) fn page(&mut self, space: SpaceId, va: u64) -> &mut Page {
        self.0.entry((space, va / PAGE)).or_insert_with(|| {
            Box::new(Page { bytes: [const { AtomicU8::new(0) }; PAGE as usize], cached: 0 })
        })
    }

    /// Nothing is cached any more. Pages stay where they are: a block may run.
    pub(super) fn invalidate(&mut self) {
        for page in self.0.values_mut() {
            page.cached = 0;
        }
    }

    /// Forgets an address space.
    pub(super) fn forget(&mut self, gone: SpaceId) {
        self.0.retain(|(space, _), _| *space != gone);
    }
}

/// The constant cache of all multiprocessors.
#[derive(Default)]
pub(super) struct ConstantCache(HashMap<(SpaceId, u64), [u8; BANK_LINE as usize]>);

impl ConstantCache {
    /// The bytes of a bank; `read` fetches what is not cached.
    pub(super) fn fetch(
        &mut self,
        space: SpaceId,
        va: u64,
        bytes: u32,
        read: impl Fn(u64, &mut [u8]) -> Result<(), MmuFault>,
    ) -> Result<Vec<u8>, MmuFault> {
        let mut out = Vec::with_capacity(bytes as usize);
        let end = va + u64::from(bytes);
        let mut at = va;
        while at < end {
            let number = at / BANK_LINE;
            let start = number * BANK_LINE;
            let line = match self.0.entry((space, number)) {
                Entry::Occupied(cached) => cached.into_mut(),
                Entry::Vacant(empty) => {
                    let mut line = [0; BANK_LINE as usize];
                    read(start, &mut line)?;
                    empty.insert(line)
                }
            };
            let stop = end.min(start + BANK_LINE);
            out.extend_from_slice(&line[(at - start) as usize..(stop - start) as usize]);
            at = stop;
        }
        Ok(out)
    }

    /// What is cached of a bank no longer is.
    pub(super) fn evict(&mut self, space: SpaceId, va: u64, bytes: u32) {
        for number in va / BANK_LINE..(va + u64::from(bytes)).div_ceil(BANK_LINE) {
            self.0.remove(&(space, number));
        }
    }

    /// Nothing is cached any more.
    pub(super) fn invalidate(&mut self) {
        self.0.clear();
    }

    /// Forgets an address space.
    pub(super) fn forget(&mut self, gone: SpaceId) {
        self.0.retain(|(space, _), _| *space != gone);
    }
}
