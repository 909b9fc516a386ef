//! Buffers: what an nvmap handle stands for, and what a dmabuf descriptor lets others hold on to.

use std::fs::File as HostFile;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use ioctl_defs::nvmap::{
    NVMAP_HANDLE_CACHE_FLAG, NVMAP_HANDLE_INNER_CACHEABLE, NVMAP_HANDLE_UNCACHEABLE,
    NVMAP_HEAP_CARVEOUT_VPR,
};
use nix::errno::Errno;

use super::caller::{FileId, Handoff, Watch};
use super::{Call, File, Nodes};
use crate::memory::Memory;

/// One buffer. Handles, descriptors, GPU mappings and rings share it; the last of them frees it.
#[derive(Debug)]
pub(super) struct Buffer {
    /// All descriptors of a buffer are one open file.
    pub file: FileId,
    pub size: u64,
    /// Where it is kept. Made when first needed: a size may be anything until memory is asked for.
    bytes: OnceLock<Arc<Memory>>,
    allocation: OnceLock<Allocation>,
    /// What REGISTER_BUFFER attached.
    pub metadata: Mutex<Option<Metadata>>,
}

/// The memory of a buffer, as nvmap describes it.
#[derive(Debug)]
pub(super) struct Allocation {
    pub heap: u32,
    pub flags: u32,
    pub align: u64,
    /// Gives the bytes back to their heap.
    pub _held: Held,
}

/// Bytes taken from a heap.
#[derive(Debug)]
pub(super) struct Held {
    heap: Arc<AtomicU64>,
    bytes: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub blob: Vec<u8>,
    pub mutable: bool,
}

impl Held {
    /// Takes bytes from a heap that has `free` left; none if that is not enough.
    pub fn take(heap: &Arc<AtomicU64>, bytes: u64) -> Option<Held> {
        let left = |free: u64| free.checked_sub(bytes);
        heap.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).ok()?;
        Some(Held { heap: Arc::clone(heap), bytes })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.heap.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl Buffer {
    pub fn new(file: FileId, size: u64) -> Arc<Buffer> {
        Arc::new(Buffer {
            file,
            size,
            bytes: OnceLock::new(),
            allocation: OnceLock::new(),
            metadata: Mutex::new(None),
        })
    }

    /// The bytes, whether or not nvmap has allocated them: a descriptor needs a file in any case.
    pub fn bytes(&self) -> io::Result<Arc<Memory>> {
        if self.bytes.get().is_none() {
            let memory = Memory::new("nvmap", self.size)?;
            // Calls are carried out one at a time: nobody else fills it meanwhile.
            let _ = self.bytes.set(memory);
        }
        Ok(Arc::clone(self.bytes.get().expect("it was filled above")))
    }

    /// Makes it a buffer with memory.
    pub fn allocate(&self, allocation: Allocation) -> Result<(), Errno> {
        self.bytes().map_err(|_| Errno::ENOMEM)?;
        self.allocation.set(allocation).map_err(|_| Errno::EEXIST)
    }

    pub fn allocation(&self) -> Option<&Allocation> {
        self.allocation.get()
    }

    /// The memory as the GPU or the kernel can reach it: none before NVMAP_IOC_ALLOC.
    pub fn memory(&self) -> Option<Arc<Memory>> {
        self.allocation.get()?;
        self.bytes.get().cloned()
    }

    /// Whether the CPU caches it.
    pub fn is_cached(&self) -> bool {
        self.allocation().is_some_and(|allocation| {
            allocation.flags & NVMAP_HANDLE_CACHE_FLAG >= NVMAP_HANDLE_INNER_CACHEABLE
        })
    }
}

impl Nodes {
    /// Puts one more descriptor of a buffer into the program.
    pub(super) fn install_dmabuf(
        &mut self,
        call: &mut Call<'_>,
        buffer: &Arc<Buffer>,
        read_only: bool,
    ) -> Result<i32, Errno> {
        let memory = buffer.bytes().map_err(|_| Errno::ENOMEM)?;
        let mut fd = memory.reopen().map_err(|_| Errno::ENFILE)?;
        if read_only {
            let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
            fd = HostFile::open(path).map_err(|_| Errno::ENFILE)?.into();
        }
        let new = self.files.insert(buffer.file, File::Dmabuf(Arc::clone(buffer))).is_none();
        let handoff = Handoff { file: buffer.file, fd, watch: Watch::Memory(memory) };
        let fd = call.caller.install(handoff, true);
        if fd.is_err() && new {
            self.files.remove(&buffer.file);
        }
        fd
    }

    pub(super) fn map_dmabuf(
        &mut self,
        buffer: &Buffer,
        len: u64,
        flags: i32,
        offset: u64,
    ) -> Result<(), Errno> {
        if offset.checked_add(len).is_none_or(|end| end > buffer.size) {
            return Err(Errno::EINVAL);
        }
        let allocation = buffer.allocation().ok_or(Errno::EPERM)?;
        if allocation.heap == NVMAP_HEAP_CARVEOUT_VPR {
            return Err(Errno::EPERM);
        }
        if allocation.flags & NVMAP_HANDLE_CACHE_FLAG == NVMAP_HANDLE_UNCACHEABLE {
            self.warn(
                "an nvmap buffer without caching is device memory to the CPU: on a board unaligned access \
                 to this mapping faults, and some copies do; use write-combining",
            );
        }
        if self.is_gpu_cached(buffer) {
            self.warn_of_stale_lines();
        }
        if flags & libc::MAP_TYPE == libc::MAP_PRIVATE {
            self.warn(
                "a dmabuf is mapped MAP_PRIVATE: a board shares it all the same, the software Orin does not",
            );
        }
        Ok(())
    }
}
