//! What stands between engines and memory: stores on their way, and caches that may be stale.
//!
//! Only there when somebody asks for it, see [`Gpu::model_caches`](super::Gpu::model_caches). Without it
//! everybody sees every store at once.

use std::sync::Arc;

use super::SpaceId;
use super::caches::{ConstantCache, DataCache, SECTOR_BYTES};
use super::mmu::{Kind, MmuFault, Space};
use super::qmd::{Constants, Descriptor, Membar};
use super::stores::{Agent, Reach, Stores};
use crate::memory::Memory;
use crate::sm::{Access, Scope, Verb, Who};

/// The state of it all.
#[derive(Default)]
pub(super) struct Visibility {
    pub(super) stores: Stores,
    data: Vec<DataCache>,
    constants: ConstantCache,
}

impl Visibility {
    /// The data cache of a multiprocessor.
    pub(super) fn data(&mut self, sm: u32) -> &mut DataCache {
        if self.data.len() <= sm as usize {
            self.data.resize_with(sm as usize + 1, DataCache::default);
        }
        &mut self.data[sm as usize]
    }

    /// Multiprocessors load anew.
    pub(super) fn invalidate_data(&mut self) {
        self.data.iter_mut().for_each(DataCache::invalidate);
    }

    /// Constants are fetched anew.
    pub(super) fn invalidate_constants(&mut self) {
        self.constants.invalidate();
    }

    /// Forgets an address space.
    pub(super) fn forget(&mut self, gone: SpaceId) {
        self.data.iter_mut().for_each(|cache| cache.forget(gone));
        self.constants.forget(gone);
    }

    /// A grid starts: what its descriptor has invalidated.
    pub(super) fn start(&mut self, descriptor: &Descriptor) {
        if descriptor.invalidates_data {
            self.invalidate_data();
        }
        if descriptor.invalidates_constants {
            self.invalidate_constants();
        }
    }

    /// A grid has ended: how far that brings its stores.
    pub(super) fn end(&mut self, membar: Membar) {
        match membar {
            Membar::None => {}
            Membar::Gpu => self.stores.bring_shaders(Reach::Gpu),
            Membar::System => self.stores.bring_shaders(Reach::System),
        }
    }

    /// The bytes of a constant bank; `anew` if what is cached of it does not count.
    pub(super) fn bank(
        &mut self,
        (id, space): (SpaceId, &Space),
        bank: &Constants,
        anew: bool,
    ) -> Result<Vec<u8>, MmuFault> {
        if anew {
            self.constants.evict(id, bank.va, bank.bytes);
        }
        let stores = &self.stores;
        self.constants.fetch(id, bank.va, bank.bytes, |va, out| {
            let span = space.span(va, out.len() as u64, Kind::Read)?;
            stores.read(Agent::Host, span.memory, span.offset, out);
            Ok(())
        })
    }

    /// Words as the host engine sees them.
    pub(super) fn words(&self, space: &Space, va: u64, count: usize) -> Result<Vec<u32>, MmuFault> {
        let mut words = Vec::with_capacity(count);
        while words.len() < count {
            let span = space.span(va + words.len() as u64 * 4, 4, Kind::Read)?;
            let mut bytes = [0; 4];
            self.stores.read(Agent::Host, span.memory, span.offset, &mut bytes);
            words.push(u32::from_le_bytes(bytes));
        }
        Ok(words)
    }

    /// Lanes of a block are about to reach global memory: what they load is put where they look.
    pub(super) fn before(&mut self, (id, space): (SpaceId, &Space), access: &Access) {
        let bytes = u64::from(access.bytes);
        for (va, memory, offset) in places(space, access) {
            let within = va % super::mmu::PAGE;
            let sm = access.who.sm;
            match access.verb {
                Verb::Store => {}
                Verb::Atomic => self.stores.settle(memory, offset, bytes),
                Verb::Load if access.strong => {
                    let mut value = [0; 16];
                    let value = &mut value[..bytes as usize];
                    self.stores.read(Agent::Sm(sm), memory, offset, value);
                    self.data(sm).page(id, va).put(within, value);
                }
                Verb::Load => {
                    for at in self.data(sm).page(id, va).miss(within, bytes) {
                        let mut sector = [0; SECTOR_BYTES];
                        let from = offset - within + at;
                        self.stores.read(Agent::Sm(sm), memory, from, &mut sector);
                        self.data(sm).page(id, va).put(at, &sector);
                    }
                }
            }
        }
    }

    /// They have reached it: what they stored is on its way, and what passed by the cache is not in it.
    pub(super) fn after(&mut self, (id, space): (SpaceId, &Space), access: &Access) {
        let bytes = u64::from(access.bytes);
        let lanes = access.each().map(|(lane, _)| lane);
        let values = lanes.map(|lane| access.values[lane]);
        for ((va, memory, offset), value) in places(space, access).zip(values) {
            let mut data = [0; 16];
            for (out, word) in data.chunks_exact_mut(4).zip(value) {
                out.copy_from_slice(&word.to_le_bytes());
            }
            match (access.verb, access.strong) {
                (Verb::Store, false) => {
                    let agent = Agent::Sm(access.who.sm);
                    self.stores.write(agent, memory, offset, &data[..bytes as usize]);
                }
                (Verb::Store, true) => {
                    self.stores.settle(memory, offset, bytes);
                    store(memory, offset, &data[..bytes as usize]);
                }
                (Verb::Load, false) => {}
                (Verb::Load, true) | (Verb::Atomic, _) => {
                    self.data(access.who.sm).page(id, va).evict(va % super::mmu::PAGE, bytes);
                }
            }
        }
    }

    /// A fence of a kernel's.
    pub(super) fn fence(&mut self, who: &Who, scope: Scope) {
        match scope {
            Scope::Block => {}
            Scope::Gpu => self.stores.bring_sm(who.sm, Reach::Gpu),
            Scope::System => self.stores.bring_sm(who.sm, Reach::System),
        }
    }
}

/// Where the lanes of an access go. Those that go nowhere are about to end the kernel.
fn places<'a>(
    space: &'a Space,
    access: &'a Access,
) -> impl Iterator<Item = (u64, &'a Arc<Memory>, u64)> {
    let bytes = u64::from(access.bytes);
    let aligned = access.each().filter(move |(_, va)| va % bytes == 0);
    aligned.filter_map(move |(_, va)| {
        let span = space.span(va, bytes, Kind::Read).ok()?;
        Some((va, span.memory, span.offset))
    })
}

/// Stores what others may look at, in one step where it is a word.
fn store(memory: &Memory, offset: u64, data: &[u8]) {
    match *data {
        [a, b, c, d] => memory.store_u32(offset, u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => {
            memory.store_u64(offset, u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        }
        _ => memory.write(offset, data),
    }
}
