//! The ctrl node: what the GPU is, and where its other files come from.

use std::os::fd::RawFd;

use ioctl_defs::nvgpu::ctrl::*;

use super::address_space::AddressSpace;
use super::channel::Channel;
use super::hint;
use super::tsg::Tsg;
use crate::addr::GpuRange;
use crate::driver::ClockPair;
use crate::driver::sys::{Mapping, Node, exists};
use crate::error::Result;

#[derive(Debug)]
pub(crate) struct Ctrl(Node);

/// JetPack 5 and later, then the name that older releases use.
pub(crate) const PATHS: [&str; 2] = ["/dev/nvgpu/igpu0/ctrl", "/dev/nvhost-ctrl-gpu"];

/// The doorbell page: 64 KiB, as NVIDIA's own library maps it.
const DOORBELL_BYTES: u64 = 0x10000;

impl Ctrl {
    /// Whether a node is there, whoever may open it.
    pub(crate) fn present() -> bool {
        PATHS.iter().any(|path| exists(path))
    }

    /// Opens the first node that exists. The first call after that may take 100 ms, for the GPU
    /// powers on.
    pub(crate) fn open() -> Result<Ctrl> {
        let path = PATHS.iter().find(|path| exists(path)).unwrap_or(&PATHS[0]);
        Node::open(path, hint).map(Ctrl)
    }

    pub(crate) fn name(&self) -> &str {
        self.0.name()
    }

    pub(crate) fn characteristics(&self) -> Result<nvgpu_gpu_characteristics> {
        let mut characteristics = nvgpu_gpu_characteristics::default();
        // A driver whose struct is longer fills this much of ours, one whose struct is shorter
        // leaves the rest zero.
        let mut args = nvgpu_gpu_get_characteristics {
            gpu_characteristics_buf_size: size_of_val(&characteristics) as u64,
            gpu_characteristics_buf_addr: std::ptr::from_mut(&mut characteristics) as u64,
        };
        self.0.call(NVGPU_GPU_IOCTL_GET_CHARACTERISTICS, &mut args)?;
        Ok(characteristics)
    }

    /// The texture-processing clusters that are switched on, over all graphics clusters. Power
    /// modes switch some off.
    pub(crate) fn tpc_count(&self) -> Result<u32> {
        let mut masks = [0u32; 32];
        let mut args = nvgpu_gpu_get_tpc_masks_args {
            mask_buf_size: size_of_val(&masks) as u32,
            reserved: 0,
            mask_buf_addr: masks.as_mut_ptr() as u64,
        };
        self.0.call(NVGPU_GPU_IOCTL_GET_TPC_MASKS, &mut args)?;
        Ok(masks.iter().map(|mask| mask.count_ones()).sum())
    }

    /// An address space whose allocations come from `va`.
    pub(crate) fn alloc_as(&self, va: GpuRange) -> Result<AddressSpace> {
        let mut args = nvgpu_alloc_as_args {
            // Without an IOMMU for the GPU any other size is refused.
            big_page_size: 0,
            flags: AllocAsFlags::UNIFIED_VA,
            va_range_start: va.start().get(),
            va_range_end: va.end().get(),
            va_range_split: 0,
            ..Default::default()
        };
        self.0.call(NVGPU_GPU_IOCTL_ALLOC_AS, &mut args)?;
        Ok(AddressSpace(self.child(args.as_fd, "address space")))
    }

    pub(crate) fn open_tsg(&self) -> Result<Tsg> {
        let mut args = nvgpu_gpu_open_tsg_args::default();
        self.0.call(NVGPU_GPU_IOCTL_OPEN_TSG, &mut args)?;
        Ok(Tsg(self.child(args.tsg_fd as RawFd, "channel group")))
    }

    pub(crate) fn open_channel(&self) -> Result<Channel> {
        const GRAPHICS_AND_COMPUTE: i32 = -1;
        let mut args = nvgpu_gpu_open_channel_args { channel_fd: GRAPHICS_AND_COMPUTE };
        self.0.call(NVGPU_GPU_IOCTL_OPEN_CHANNEL, &mut args)?;
        Ok(Channel(self.child(args.channel_fd, "channel")))
    }

    fn child(&self, fd: RawFd, name: &str) -> Node {
        // SAFETY: the driver has just installed this descriptor for us.
        unsafe { self.0.adopt(fd, name) }
    }

    /// Maps the page with the doorbell. The driver allows one mapping per open of the node.
    pub(crate) fn map_doorbell(&self) -> Result<Mapping> {
        self.0.map(DOORBELL_BYTES)
    }

    /// Not by the call that pairs the two clocks itself: by release of the driver its CPU times are
    /// counts of a timer, or microseconds of the time of day.
    pub(crate) fn clock(&self) -> Result<ClockPair> {
        ClockPair::best_of(16, || {
            ClockPair::read(|| {
                let mut args = nvgpu_gpu_get_gpu_time_args::default();
                self.0.call(NVGPU_GPU_IOCTL_GET_GPU_TIME, &mut args)?;
                Ok(args.gpu_timestamp)
            })
        })
    }
}
