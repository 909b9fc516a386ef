//! Memory: allocated, mapped for the GPU, and for the CPU at the same address.

use std::os::fd::AsFd;
use std::sync::Arc;

use ioctl_defs::rm::class::*;
use ioctl_defs::rm::escape::{
    NVOS33_FLAGS_CACHING_TYPE, NVOS33_FLAGS_CACHING_TYPE_DEFAULT,
    NVOS33_FLAGS_CACHING_TYPE_WRITECOMBINED,
};

use super::addresses::Addresses;
use super::client::{Client, Object};
use super::gpu::Gpu;
use super::space::Space;
use crate::addr::GpuRange;
use crate::driver::sys::{Mapping, Node, PAGE};
use crate::error::{Error, Result};

/// Where memory lies and who reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Video memory, for the GPU alone.
    Video,
    /// Video memory that the CPU writes, write-combined. Reading it takes about a microsecond.
    VideoForCpu,
    /// Main memory, cached by the CPU; the GPU snoops and does not cache it.
    Main,
}

/// Memory that the GPU sees at an address of its own, freed when dropped.
#[derive(Debug)]
pub(crate) struct Region {
    space: Arc<Space>,
    /// What the process has at the same addresses: the memory, or nothing but a claim to them.
    /// The next two outlive it: memory is freed when nobody sees it any more, and addresses are
    /// given back when nothing lies there.
    cpu: Option<Mapping>,
    memory: Object,
    addresses: Addresses,
}

impl Region {
    /// Allocates at least `len` bytes, zeroed.
    pub(crate) fn new(space: &Arc<Space>, len: u64, place: Place) -> Result<Region> {
        let page = page_size(len, place);
        let len = len
            .checked_next_multiple_of(page)
            .ok_or_else(|| Error::request(format!("{len} bytes are more than memory can hold")))?;
        let memory = allocate(&space.gpu, len, page, place)?;
        let (addresses, mut cpu) = Addresses::take(len, page)?;
        if let Some(file) = prepare(&space.gpu, &memory, len, place)? {
            cpu.replace(file.as_fd(), len).map_err(|errno| file.refused("mmap", errno))?;
        }
        space.map(&memory, addresses.range())?;
        Ok(Region { space: space.clone(), cpu: Some(cpu), memory, addresses })
    }

    pub(crate) fn range(&self) -> GpuRange {
        self.addresses.range()
    }

    pub(crate) fn memory(&self) -> &Object {
        &self.memory
    }

    /// The process's view, while it has not been taken.
    pub(crate) fn cpu(&self) -> &Mapping {
        self.cpu.as_ref().expect("taken only by those who own it from then on")
    }

    /// Hands the process's view over. It must be gone before the region is.
    pub(crate) fn take_cpu(&mut self) -> Option<Mapping> {
        self.cpu.take()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.space.unmap(self.addresses.range());
    }
}

/// Memory that RM itself writes and the CPU reads: one page, unknown to the GPU's address spaces.
#[derive(Debug)]
pub(crate) struct SharedPage {
    pub(crate) page: Mapping,
    pub(crate) memory: Object,
}

impl SharedPage {
    pub(crate) fn new(gpu: &Gpu) -> Result<SharedPage> {
        let memory = allocate(gpu, PAGE, PAGE, Place::Main)?;
        let file = prepare(gpu, &memory, PAGE, Place::Main)?.expect("the CPU reaches main memory");
        Ok(SharedPage { page: file.map(PAGE)?, memory })
    }
}

const BIG_PAGE: u64 = 64 << 10;
const HUGE_PAGE: u64 = 2 << 20;

/// Video memory comes in 64 KiB or 2 MiB; the larger cost fewer entries of the GPU's TLB.
fn page_size(len: u64, place: Place) -> u64 {
    match place {
        Place::Main => PAGE,
        Place::Video | Place::VideoForCpu if len < HUGE_PAGE => BIG_PAGE,
        Place::Video | Place::VideoForCpu => HUGE_PAGE,
    }
}

fn allocate(gpu: &Gpu, len: u64, page: u64, place: Place) -> Result<Object> {
    let page_size = match page {
        PAGE => NVOS32_ATTR_PAGE_SIZE_4KB,
        BIG_PAGE => NVOS32_ATTR_PAGE_SIZE_BIG,
        _ => NVOS32_ATTR_PAGE_SIZE_HUGE,
    };
    let huge = match page {
        HUGE_PAGE => NVOS32_ATTR2_PAGE_SIZE_HUGE_2MB,
        _ => NVOS32_ATTR2_PAGE_SIZE_HUGE_DEFAULT,
    };
    let (location, coherency, gpu_cacheable) = match place {
        Place::Main => (
            NVOS32_ATTR_LOCATION_PCI,
            NVOS32_ATTR_COHERENCY_WRITE_BACK,
            NVOS32_ATTR2_GPU_CACHEABLE_NO,
        ),
        Place::Video | Place::VideoForCpu => (
            NVOS32_ATTR_LOCATION_VIDMEM,
            NVOS32_ATTR_COHERENCY_WRITE_COMBINE,
            NVOS32_ATTR2_GPU_CACHEABLE_YES,
        ),
    };
    let physicality = if len == page {
        NVOS32_ATTR_PHYSICALITY_CONTIGUOUS
    } else {
        NVOS32_ATTR_PHYSICALITY_ALLOW_NONCONTIGUOUS
    };
    let mut flags = MemoryFlags::IGNORE_BANK_PLACEMENT
        | MemoryFlags::ALIGNMENT_FORCE
        | MemoryFlags::MEMORY_HANDLE_PROVIDED;
    if place == Place::Video {
        flags |= MemoryFlags::MAP_NOT_REQUIRED;
    }
    let mut params = NV_MEMORY_ALLOCATION_PARAMS {
        owner: gpu.client.handle(),
        r#type: NVOS32_TYPE_IMAGE,
        flags,
        attr: NVOS32_ATTR_PAGE_SIZE.set(page_size)
            | NVOS32_ATTR_LOCATION.set(location)
            | NVOS32_ATTR_PHYSICALITY.set(physicality)
            | NVOS32_ATTR_COHERENCY.set(coherency),
        attr2: NVOS32_ATTR2_ZBC.set(NVOS32_ATTR2_ZBC_PREFER_NO_ZBC)
            | NVOS32_ATTR2_GPU_CACHEABLE.set(gpu_cacheable)
            | NVOS32_ATTR2_PAGE_SIZE_HUGE.set(huge),
        size: len,
        alignment: page,
        ..Default::default()
    };
    let class = match place {
        Place::Main => NV01_MEMORY_SYSTEM,
        Place::Video | Place::VideoForCpu => NV01_MEMORY_LOCAL_USER,
    };
    gpu.device.child(class, &mut params)
}

/// Prepares a file whose mmap is the memory, if the CPU is to have it.
fn prepare(gpu: &Gpu, memory: &Object, len: u64, place: Place) -> Result<Option<Node>> {
    let (file, caching) = match place {
        Place::Video => return Ok(None),
        Place::VideoForCpu => (gpu.file()?, NVOS33_FLAGS_CACHING_TYPE_WRITECOMBINED),
        Place::Main => (Client::file()?, NVOS33_FLAGS_CACHING_TYPE_DEFAULT),
    };
    let flags = NVOS33_FLAGS_CACHING_TYPE.set(caching);
    gpu.client.map_memory(&gpu.device, memory, len, flags, &file)?;
    Ok(Some(file))
}
