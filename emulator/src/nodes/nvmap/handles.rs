//! How handles come and go, and turn into descriptors and back.

use std::sync::Arc;

use ioctl_defs::nvmap::*;
use nix::errno::Errno;

use super::super::caller::{Answer, Refusal};
use super::super::dmabuf::Buffer;
use super::{Handle, Nv};
use crate::va::SMALL_PAGE;

impl Nv<'_, '_> {
    pub(super) fn create(&mut self) -> Answer {
        let mut args = self.args(NVMAP_IOC_CREATE)?;
        args.handle = self.new_handle(args.size.into())?;
        let handle = args.handle;
        self.reply_or_drop(&args, handle)
    }

    pub(super) fn create_64(&mut self) -> Answer {
        let mut args = self.args(NVMAP_IOC_CREATE_64)?;
        let handle = self.new_handle(args.size64)?;
        args.out_mut().handle64 = handle;
        self.reply_or_drop(&args, handle)
    }

    /// A handle of a new buffer, which has no memory yet.
    fn new_handle(&mut self, size: u64) -> Result<u32, Errno> {
        if size == 0 {
            return Err(Errno::EINVAL);
        }
        let size = size.checked_next_multiple_of(SMALL_PAGE).ok_or(Errno::ENOMEM)?;
        let buffer = Buffer::new(self.nodes.new_file(), size);
        Ok(self.nodes.nvmap.add(self.client, Handle { buffer, read_only: false }))
    }

    /// A handle that the program never learns of is not kept.
    fn reply_or_drop<A: ioctl_defs::Argument>(&mut self, args: &A, handle: u32) -> Answer {
        if let Err(errno) = self.reply(args) {
            self.nodes.nvmap.client(self.client).handles.remove(&handle);
            return Err(errno.into());
        }
        Ok(0)
    }

    /// The argument is the handle itself. Always succeeds.
    pub(super) fn free(&mut self) -> Answer {
        let id = self.arg as u32;
        if id == 0 {
            return Ok(0);
        }
        if self.nodes.dmabuf_of(self.call.caller, id as i32).is_ok() {
            self.nodes.warn(format!(
                "NVMAP_IOC_FREE of {id}, which is not a handle but a dmabuf descriptor: the driver closes it"
            ));
            self.caller().close(id as i32);
        } else if self.nodes.nvmap.client(self.client).handles.remove(&id).is_none() {
            self.nodes.warn(format!("NVMAP_IOC_FREE of {id:#x}, which is no handle, succeeds"));
        }
        Ok(0)
    }

    pub(super) fn get_fd(&mut self) -> Answer {
        let mut args = self.args(NVMAP_IOC_GET_FD)?;
        let Some(handle) = self.handle(args.handle) else {
            // Whatever is no handle is taken for a descriptor.
            self.nodes.dmabuf_of(self.call.caller, args.handle as i32)?;
            return Err(Refusal::Trap(format!(
                "NVMAP_IOC_GET_FD of {}, which is not a handle but a dmabuf descriptor: the driver drops a \
                 reference that it does not have, and the kernel later uses freed memory; pass the handle",
                args.handle
            )));
        };
        let fd = self.nodes.install_dmabuf(self.call, &handle.buffer, handle.read_only)?;
        args.fd = fd;
        if let Err(errno) = self.reply(&args) {
            self.caller().close(fd);
            return Err(errno.into());
        }
        Ok(0)
    }

    pub(super) fn handle_from_fd(&mut self) -> Answer {
        let mut args = self.args(NVMAP_IOC_FROM_FD)?;
        let buffer = self.nodes.dmabuf_of(self.call.caller, args.fd)?;
        if buffer.allocation().is_none() {
            return Err(Errno::EINVAL.into());
        }
        let read_only = self.caller().access_mode(args.fd) == libc::O_RDONLY;
        args.handle = self.nodes.nvmap.add(self.client, Handle { buffer, read_only });
        let handle = args.handle;
        self.reply_or_drop(&args, handle)
    }

    pub(super) fn dup_handle(&mut self) -> Answer {
        let mut args = self.args(NVMAP_IOC_DUP_HANDLE)?;
        let handle = self.handle(args.handle).ok_or(Errno::EINVAL)?;
        let read_only = args.access_flags == NVMAP_HANDLE_RO;
        if handle.read_only && !read_only {
            return Err(Errno::EPERM.into());
        }
        let buffer = Arc::clone(&handle.buffer);
        args.dup_handle = self.nodes.nvmap.add(self.client, Handle { buffer, read_only });
        let handle = args.dup_handle;
        self.reply_or_drop(&args, handle)
    }

    /// What the driver knows of a handle. Failures other than of the first copy are all ENODEV.
    pub(super) fn parameters(&mut self) -> Answer {
        let mut args = self.args(NVMAP_IOC_PARAMETERS)?;
        let handle = self.handle(args.handle).ok_or(Errno::ENODEV)?;
        let allocation = handle.buffer.allocation();
        let flags = allocation.map_or(0, |allocation| allocation.flags);
        args.heap = allocation.map_or(0, |allocation| allocation.heap.into());
        args.heap_number = 0;
        args.size = handle.buffer.size;
        // Memory from a carveout is in one piece; other memory only if that was asked for.
        args.contig = allocation.is_some_and(|allocation| {
            allocation.heap != NVMAP_HEAP_IOVMM || allocation.flags & NVMAP_HANDLE_PHYS_CONTIG != 0
        }) as u8;
        args.align = allocation.map_or(0, |allocation| allocation.align);
        args.offset = 0;
        args.coherency = u64::from(flags & NVMAP_HANDLE_CACHE_FLAG);
        if handle.read_only {
            args.access_flags = NVMAP_HANDLE_RO;
        }
        args.serial_id = handle.buffer.file.0;
        self.reply(&args).map_err(|_| Errno::ENODEV)?;
        Ok(0)
    }
}
