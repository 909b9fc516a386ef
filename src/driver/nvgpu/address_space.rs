//! An address space: which GPU address leads where.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use ioctl_defs::nvgpu::address_space::*;

use super::channel::Channel;
use crate::addr::GpuVa;
use crate::driver::sys::Node;
use crate::error::Result;

#[derive(Debug)]
pub(crate) struct AddressSpace(pub(super) Node);

impl AddressSpace {
    /// Ties a channel to this address space, for good. Before the channel joins a group.
    pub(crate) fn bind_channel(&self, channel: &Channel) -> Result<()> {
        let channel_fd = channel.as_fd().as_raw_fd() as u32;
        self.0.call(NVGPU_AS_IOCTL_BIND_CHANNEL, &mut nvgpu_as_bind_channel_args { channel_fd })
    }

    /// Maps a whole dma-buf where the driver likes. The mapping keeps the memory alive.
    ///
    /// Never [`MapBufferFlags::CACHEABLE`]: without it the GPU's L2 cache takes the memory for
    /// volatile, which is what makes the CPU's stores visible to it. The SoC snoops the CPU's
    /// caches for the GPU, but nobody looks into the GPU's for the CPU: lines that L2 may keep
    /// hide what the CPU stored since, and a sysmembar brings stores only as far as L2.
    pub(crate) fn map(&self, dmabuf: BorrowedFd<'_>) -> Result<GpuVa> {
        let mut args = nvgpu_as_map_buffer_ex_args {
            flags: MapBufferFlags::empty(),
            compr_kind: NV_KIND_INVALID,
            incompr_kind: 0,
            dmabuf_fd: dmabuf.as_raw_fd() as u32,
            ..Default::default()
        };
        self.0.call(NVGPU_AS_IOCTL_MAP_BUFFER_EX, &mut args)?;
        Ok(GpuVa::new(args.offset))
    }

    /// Takes a mapping away. Waits for nothing, and says nothing about a wrong address.
    pub(crate) fn unmap(&self, va: GpuVa) -> Result<()> {
        let mut args = nvgpu_as_unmap_buffer_args { offset: va.get() };
        self.0.call(NVGPU_AS_IOCTL_UNMAP_BUFFER, &mut args)
    }
}

impl AsFd for AddressSpace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
