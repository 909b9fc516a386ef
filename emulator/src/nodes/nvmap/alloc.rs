//! Memory for a handle, and copies by the driver.

use std::sync::atomic::Ordering;

use ioctl_defs::Request;
use ioctl_defs::nvmap::*;
use nix::errno::Errno;

use super::super::caller::Answer;
use super::super::dmabuf::{Allocation, Held};
use super::{Nv, Nvmap};
use crate::memory::Memory;
use crate::va::SMALL_PAGE;

/// The kernel is built for this many NUMA nodes; the driver accepts the number itself, too.
const NUMA_NODES: i32 = 16;

/// Where `_IOW` puts the count of a copy in its argument.
const COUNT_OFFSET: u64 = std::mem::offset_of!(nvmap_rw_handle, count) as u64;

impl Nvmap {
    /// The heap that would serve a mask, whether or not it has room: plain memory if it is among them.
    fn choose(&self, mask: u32, size: u64) -> Option<u32> {
        // Without a carveout of its own, the generic heap is plain memory.
        let plain = NVMAP_HEAP_IOVMM | NVMAP_HEAP_CARVEOUT_GENERIC;
        if mask & plain != 0 {
            return Some(NVMAP_HEAP_IOVMM);
        }
        let fits =
            |heap: &&u32| mask & **heap != 0 && self.free[*heap].load(Ordering::Relaxed) >= size;
        self.free.keys().find(fits).copied()
    }
}

impl Nv<'_, '_> {
    pub(super) fn alloc(&mut self) -> Answer {
        let args = self.args(NVMAP_IOC_ALLOC)?;
        if args.align & args.align.wrapping_sub(1) != 0
            || args.numa_nid > NUMA_NODES
            || args.numa_nid < -1
        {
            return Err(Errno::EINVAL.into());
        }
        let handle = self.handle(args.handle).ok_or(Errno::EINVAL)?;
        let size = handle.buffer.size;
        let heap = self.nodes.nvmap.choose(args.heap_mask, size).ok_or(Errno::ENOMEM)?;
        if heap == NVMAP_HEAP_IOVMM && size > self.nodes.profile.total_ram {
            return Err(Errno::ENOMEM.into());
        }
        if handle.buffer.allocation().is_some() {
            return Err(Errno::EEXIST.into());
        }
        for alone in [NVMAP_HEAP_CARVEOUT_IVM, NVMAP_HEAP_CARVEOUT_VIDMEM] {
            if args.heap_mask & alone != 0 && args.heap_mask != alone {
                return Err(Errno::EINVAL.into());
            }
        }
        if self.nodes.inject.fails_allocation() {
            return Err(Errno::ENOMEM.into());
        }
        let held = Held::take(&self.nodes.nvmap.free[&heap], size).ok_or(Errno::ENOMEM)?;
        handle.buffer.allocate(Allocation {
            heap,
            flags: args.flags & !NVMAP_HANDLE_KIND_SPECIFIED,
            align: u64::from(args.align).max(SMALL_PAGE),
            _held: held,
        })?;
        let client = self.nodes.nvmap.client(self.client);
        if args.flags >> 16 == 0 && !std::mem::replace(&mut client.told_about_tags, true) {
            self.nodes.warn("NVMAP_IOC_ALLOC without a tag (bits 31:16 of the flags): the kernel logs a warning");
        }
        Ok(0)
    }

    /// NVMAP_IOC_WRITE or NVMAP_IOC_READ: the driver copies between the program and a buffer, element by
    /// element, and tells how many bytes it did.
    pub(super) fn copy(&mut self, request: Request<nvmap_rw_handle>) -> Answer {
        let args = self.args(request)?;
        let reads = request.number() == NVMAP_IOC_READ.number();
        if args.addr == 0 || args.count == 0 || args.elem_size == 0 {
            return Err(Errno::EINVAL.into());
        }
        let handle = self.handle(args.handle).ok_or(Errno::EINVAL)?;
        if handle.read_only && !reads {
            return Err(Errno::EPERM.into());
        }
        let memory = handle.buffer.memory().ok_or(Errno::EPERM)?;
        let heap = handle.buffer.allocation().map(|allocation| allocation.heap);
        if reads && heap == Some(NVMAP_HEAP_CARVEOUT_VPR) {
            return Err(Errno::EPERM.into());
        }
        let (copied, result) = self.copy_elements(&args, &memory, reads);
        // The driver does not mind if the count cannot be written.
        let _ = self.call.caller.write(self.arg + COUNT_OFFSET, &copied.to_ne_bytes());
        result.map(|()| 0).map_err(Into::into)
    }

    fn copy_elements(
        &mut self,
        args: &nvmap_rw_handle,
        memory: &Memory,
        reads: bool,
    ) -> (u64, Result<(), Errno>) {
        let (element, count) = (args.elem_size, args.count);
        let (stride, user_stride) = (args.hmem_stride, args.user_stride);
        let end = stride
            .checked_mul(count - 1)
            .and_then(|last| last.checked_add(args.offset)?.checked_add(element));
        if element > user_stride
            || element > stride
            || user_stride > memory.size().saturating_sub(args.offset) / count
            || end.is_none_or(|end| end > memory.size())
        {
            return (0, Err(Errno::EINVAL));
        }
        let mut bytes = vec![0; element as usize];
        for i in 0..count {
            let at = args.offset + i * stride;
            let user = args.addr.wrapping_add(i * user_stride);
            let done = if reads {
                memory.read(at, &mut bytes);
                self.caller().write(user, &bytes)
            } else {
                self.caller().read(user, &mut bytes).map(|()| memory.write(at, &bytes))
            };
            if done.is_err() {
                return (0, Err(Errno::EFAULT));
            }
        }
        (element * count, Ok(()))
    }
}
