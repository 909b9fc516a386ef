//! The instruction cache.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::SpaceId;
use super::fault::Fault;
use super::mmu::{Kind, PAGE, Space};
use crate::sm::{Arch, Program};

/// How far from the first instruction code may lie: further than any module's functions lie apart.
const REACH: u64 = 64 << 20;

/// Code that was fetched, by space and first instruction. As in hardware, what is stored over code
/// that has run is not seen until somebody invalidates this: a program that forgets to runs the old
/// code. What has not run at an address is always fetched.
#[derive(Default)]
pub(super) struct CodeCache(BTreeMap<(SpaceId, u64), Arc<Program>>);

impl CodeCache {
    /// Forgets everything.
    pub(super) fn invalidate(&mut self) {
        self.0.clear();
    }

    /// Forgets an address space.
    pub(super) fn forget(&mut self, gone: SpaceId) {
        self.0.retain(|(space, _), _| *space != gone);
    }

    /// The code around its first instruction.
    pub(super) fn program(
        &mut self,
        (id, space): (SpaceId, &Space),
        entry: u64,
        arch: Arch,
    ) -> Result<Arc<Program>, Fault> {
        // A translation is made even for what is cached.
        let span = space.span(entry, PAGE, Kind::Read);
        span.map_err(|fault| Fault::mmu("the fetch of a kernel's code", fault))?;
        if let Some(known) = self.0.get(&(id, entry)).filter(|known| known.arch() == arch) {
            return Ok(known.clone());
        }
        let (base, code) = image(space, entry);
        // Kernels of one module are one image, which is decoded once.
        let same = |known: &&Arc<Program>| {
            known.arch() == arch && known.base() == base && known.code() == code
        };
        let program = match self.0.values().find(same) {
            Some(known) => known.clone(),
            None => Arc::new(Program::new(arch, "code", base, &code)),
        };
        self.0.insert((id, entry), program.clone());
        Ok(program)
    }
}

/// The pages around `entry` up to the next ones that are empty, within its mapping: nothing in a
/// descriptor says where the code and the functions that it calls begin and end.
fn image(space: &Space, entry: u64) -> (u64, Vec<u8>) {
    let first = entry / PAGE * PAGE;
    let (start, end) = match space.around(entry) {
        Some((start, span, _)) => (start, start + span.len),
        None => (first, first + PAGE),
    };
    let page = |va: u64| {
        let span = space.span(va, PAGE, Kind::Read).ok()?;
        let mut bytes = vec![0; PAGE as usize];
        span.memory.read(span.offset, &mut bytes);
        bytes.iter().any(|byte| *byte != 0).then_some(bytes)
    };
    let (lowest, end) = (start.max(first.saturating_sub(REACH)), end.min(first + REACH));
    let below = (lowest.div_ceil(PAGE)..first / PAGE).rev().map_while(|n| page(n * PAGE));
    let mut pages: Vec<_> = below.collect();
    let base = first - pages.len() as u64 * PAGE;
    pages.reverse();
    pages.extend((first / PAGE..end / PAGE).map_while(|n| page(n * PAGE)));
    (base, pages.concat())
}
