//! `/dev/nvmap`: memory.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use ioctl_defs::nvmap::*;
use nix::unistd::{Whence, lseek};

use super::hint;
use crate::driver::sys::{Mapping, Node};
use crate::error::Result;

/// The allocator's node.
#[derive(Debug)]
pub(crate) struct Nvmap(Node);

/// How the CPU caches a buffer. The GPU snoops either way: the SoC is IO-coherent, so no cache
/// maintenance exists on this path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caching {
    /// Write-combined. Reading it is 17 times slower than cached memory.
    WriteCombined,
    /// Cached: the only choice for what the CPU reads.
    Cached,
}

/// A name for the kernel's memory statistics; the driver warns about buffers without one.
const TAG: u32 = 0x0d0b;

/// The driver stores alignment and otherwise ignores it, except that large pages of an IOMMU can
/// be used from here on.
const LARGE: u64 = 2 << 20;

impl Nvmap {
    pub(crate) const PATH: &str = "/dev/nvmap";

    pub(crate) fn open() -> Result<Nvmap> {
        Node::open(Self::PATH, hint).map(Nvmap)
    }

    /// Allocates zeroed memory. The dma-buf is its only owner: dropping it gives the memory back,
    /// unless a mapping of the CPU or the GPU still holds it.
    pub(crate) fn alloc(&self, len: u64, caching: Caching) -> Result<DmaBuf> {
        let mut create = nvmap_create_handle_64 { size64: len };
        self.0.call(NVMAP_IOC_CREATE_64, &mut create)?;
        // Dropped on every way out. The dma-buf keeps the memory.
        let handle = Handle { nvmap: self, id: create.out().handle64 };
        let cache = match caching {
            Caching::WriteCombined => NVMAP_HANDLE_WRITE_COMBINE,
            Caching::Cached => NVMAP_HANDLE_INNER_CACHEABLE,
        };
        let align = if len >= LARGE { LARGE as u32 } else { 4096 };
        self.0.call(
            NVMAP_IOC_ALLOC,
            &mut nvmap_alloc_handle {
                handle: handle.id,
                heap_mask: NVMAP_HEAP_IOVMM,
                flags: TAG << 16 | cache,
                align,
                numa_nid: -1,
            },
        )?;
        let mut get_fd = nvmap_create_handle_fd { fd: 0, handle: handle.id };
        self.0.call(NVMAP_IOC_GET_FD, &mut get_fd)?;
        // SAFETY: the driver has just installed this descriptor for us.
        let node = unsafe { self.0.adopt(get_fd.fd, "dma-buf") };
        DmaBuf(node).not_zero()
    }
}

struct Handle<'a> {
    nvmap: &'a Nvmap,
    id: u32,
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        let (name, number) = (NVMAP_IOC_FREE.name(), NVMAP_IOC_FREE.number());
        // SAFETY: the argument is a number to the driver: this handle, which nobody else knows.
        if let Err(error) = unsafe { self.nvmap.0.raw(name, number, self.id as usize) } {
            tracing::warn!(%error, "a handle leaks");
        }
    }
}

/// An allocation as a file descriptor.
#[derive(Debug)]
pub(crate) struct DmaBuf(Node);

impl DmaBuf {
    /// The driver takes descriptor 0 for "none", and a program with a closed standard input gets
    /// exactly that one.
    fn not_zero(self) -> Result<DmaBuf> {
        if self.0.as_raw_fd() != 0 { Ok(self) } else { self.0.duplicate().map(DmaBuf) }
    }

    /// Maps it for the CPU.
    pub(crate) fn map(&self, len: u64) -> Result<Mapping> {
        self.0.map(len)
    }
}

impl AsFd for DmaBuf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The size of any dma-buf.
pub(crate) fn size_of_dmabuf(fd: BorrowedFd<'_>) -> Result<u64> {
    match lseek(fd, 0, Whence::SeekEnd) {
        Ok(size) => Ok(size as u64),
        Err(errno) => Err(crate::driver::sys::refused("lseek", "dma-buf", errno, hint)),
    }
}
