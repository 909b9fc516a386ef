//! An address space: which ranges are taken, what is mapped, and the part that the driver keeps.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::gpu::{Access, Gpu, SpaceId};
use crate::memory::Memory;
use crate::nodes::dmabuf::Buffer;
use crate::va::{Buddy, DIRECTORY, PageSize};

/// What the driver keeps for itself above the range that a program asked for.
pub(super) const KERNEL_SIZE: u64 = 4 << 30;

/// The GPU's addresses have 49 bits.
pub(super) const APERTURE: u64 = 1 << 49;

/// Names an address space for as long as the board runs: a number is never given out twice, so that a
/// subcontext which outlives its address space matches no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SpaceKey(pub u32);

/// A range reserved for mappings at fixed addresses.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub size: u64,
    pub page: PageSize,
}

/// A buffer that a program mapped.
#[derive(Debug)]
pub(super) struct Mapping {
    pub buffer: Arc<Buffer>,
    pub size: u64,
    pub page: PageSize,
    /// By which a second map of the same buffer finds this one.
    pub kind: i16,
    pub flags: u32,
    /// How many unmaps it takes.
    pub references: u32,
    /// The area it lies in; otherwise the address was the driver's choice and is its own to free.
    pub area: Option<u64>,
    /// Whether the GPU can reach it, which a mapping of unmapped entries does not allow.
    pub present: bool,
}

/// What a program asks an address space for.
#[derive(Debug)]
pub(super) struct Layout {
    pub range: Range<u64>,
    pub big_pages: bool,
    /// Where the part for big pages starts, when the two kinds do not share one range.
    pub split: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Space {
    pub gpu: SpaceId,
    pub big_pages: bool,
    user: Buddy,
    /// The upper part of a split range, for big pages alone.
    user_big: Option<Buddy>,
    kernel: Buddy,
    pub areas: BTreeMap<u64, Area>,
    pub mappings: BTreeMap<u64, Mapping>,
    /// All syncpoints, read-only.
    pub syncpoint_map: Option<u64>,
    /// Its descriptor is open.
    pub open: bool,
    /// Bound to it.
    pub channels: u32,
}

impl Layout {
    /// Big pages exist when what would hold them consists of whole page directories, as all ranges do
    /// that ALLOC_AS lets pass.
    pub fn new(range: Range<u64>, big_pages: bool, split: Option<u64>) -> Layout {
        debug_assert!(range.start % DIRECTORY == 0 && range.end % DIRECTORY == 0);
        Layout { range, big_pages, split }
    }
}

impl Space {
    pub fn new(gpu: &mut Gpu, layout: Layout) -> Space {
        let Layout { range, big_pages, split } = layout;
        let small = range.start..split.unwrap_or(range.end);
        Space {
            gpu: gpu.create_space(),
            big_pages,
            user: Buddy::new(small),
            user_big: split.map(|split| Buddy::new(split..range.end)),
            kernel: Buddy::new(range.end..range.end + KERNEL_SIZE),
            areas: BTreeMap::new(),
            mappings: BTreeMap::new(),
            syncpoint_map: None,
            open: true,
            channels: 0,
        }
    }

    /// The range that holds pages of this size.
    pub fn region(&self, page: PageSize) -> Range<u64> {
        match (page, &self.user_big) {
            (PageSize::Big, Some(big)) => big.range(),
            _ => self.user.range(),
        }
    }

    fn allocator(&mut self, page: PageSize) -> &mut Buddy {
        match (page, &mut self.user_big) {
            (PageSize::Big, Some(big)) => big,
            _ => &mut self.user,
        }
    }

    pub fn allocate(&mut self, size: u64, page: PageSize) -> Option<u64> {
        let size = size.checked_next_multiple_of(page.bytes())?;
        self.allocator(page).allocate(size, page)
    }

    pub fn allocate_at(&mut self, address: u64, size: u64, page: PageSize) -> bool {
        self.allocator(page).allocate_at(address, size, page)
    }

    pub fn free(&mut self, address: u64, page: PageSize) {
        self.allocator(page).free(address);
    }

    /// The area that contains an address.
    pub fn area_of(&self, address: u64) -> Option<(u64, &Area)> {
        let (start, area) = self.areas.range(..=address).next_back()?;
        (address - start < area.size).then_some((*start, area))
    }

    /// Whether `[start, end)` meets a mapping that lies below `end`.
    pub fn overlaps(&self, start: u64, end: u64) -> bool {
        let below = self.mappings.range(..end).next_back();
        below.is_some_and(|(address, mapping)| address + mapping.size > start)
    }

    /// Drops one reference of a mapping, and the mapping with the last one. Whether there was one.
    pub fn unmap(&mut self, gpu: &mut Gpu, address: u64) -> bool {
        let Some(mapping) = self.mappings.get_mut(&address) else { return false };
        mapping.references -= 1;
        if mapping.references == 0 {
            self.remove(gpu, address);
        }
        true
    }

    fn remove(&mut self, gpu: &mut Gpu, address: u64) {
        let Some(mapping) = self.mappings.remove(&address) else { return };
        if mapping.present {
            gpu.unmap(self.gpu, address);
        }
        if mapping.area.is_none() {
            self.free(address, mapping.page);
        }
    }

    /// Gives an area back with what is mapped in it. Whether there was one that starts there.
    pub fn free_area(&mut self, gpu: &mut Gpu, start: u64) -> bool {
        let Some(area) = self.areas.remove(&start) else { return false };
        let inside: Vec<u64> =
            self.mappings.range(start..start + area.size).map(|(a, _)| *a).collect();
        for address in inside {
            self.unmap(gpu, address);
        }
        self.free(start, area.page);
        true
    }

    /// Takes addresses for the driver's own use.
    pub fn reserve_kernel(&mut self, size: u64) -> Option<u64> {
        self.kernel.allocate(size, PageSize::Small)
    }

    /// Maps memory for the driver's own use.
    pub fn map_kernel(
        &mut self,
        gpu: &mut Gpu,
        memory: &Arc<Memory>,
        piece: Range<u64>,
        access: Access,
    ) -> Option<u64> {
        let size = piece.end - piece.start;
        let address = self.reserve_kernel(size)?;
        gpu.map(self.gpu, address, Arc::clone(memory), piece.start, size, access);
        Some(address)
    }

    pub fn free_kernel(&mut self, address: u64) {
        self.kernel.free(address);
    }

    pub fn unmap_kernel(&mut self, gpu: &mut Gpu, address: u64) {
        gpu.unmap(self.gpu, address);
        self.free_kernel(address);
    }
}
