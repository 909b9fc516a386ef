//! The ctrl fd, `/dev/nvgpu/igpu0/ctrl`: what everything else is opened from.
//!
//! Mapping this fd gives the page of the doorbell. Its calls are three rooms: what a program needs to
//! use the GPU is here, what the GPU is in `characteristics`, the rest in `board`.

pub(crate) mod board;
pub(crate) mod characteristics;

pub use board::*;
pub use characteristics::*;

use crate::Request;
use crate::declare::Module;

pub(crate) const MODULE: Module = Module {
    structs: STRUCTS,
    flags: FLAGS,
    constants: CONSTANTS,
    requests: REQUESTS,
    ..Module::EMPTY
};

structs! {
    /// Argument of [`NVGPU_GPU_IOCTL_ALLOC_AS`].
    pub struct nvgpu_alloc_as_args {
        /// 0, or one of `available_big_page_sizes`.
        big_page_size: u32,
        /// Out.
        as_fd: i32,
        flags: AllocAsFlags,
        reserved: u32,
        /// Not 0, a multiple of 2 MiB, as is `va_range_end`.
        va_range_start: u64,
        /// The driver takes the 4 GiB above it for itself and needs them below 2^40, which it does
        /// not check: at most 0xff_0000_0000.
        va_range_end: u64,
        /// 0 with `UNIFIED_VA` or without big pages.
        va_range_split: u64,
        padding: [u32; 6],
    }

    /// Argument of [`NVGPU_GPU_IOCTL_OPEN_TSG`].
    pub struct nvgpu_gpu_open_tsg_args {
        /// Out.
        tsg_fd: u32,
        flags: OpenTsgFlags,
        /// 0 without `SHARE`, as is `share_token`.
        source_device_instance_id: u64,
        share_token: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_OPEN_CHANNEL`].
    pub struct nvgpu_gpu_open_channel_args {
        /// In: the runlist, -1 for the one of graphics and compute (`in.runlist_id` of the vendor's
        /// union). Out: the fd.
        channel_fd: i32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_FLUSH_L2`]: five bytes, because the vendor packs it.
    pub struct nvgpu_gpu_l2_fb_args {
        /// The vendor has three one-bit fields here.
        flags: L2FbFlags,
        reserved: [u8; 4],
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_GPU_TIME`].
    pub struct nvgpu_gpu_get_gpu_time_args {
        /// Out: nanoseconds of the GPU's timer.
        gpu_timestamp: u64,
        reserved: u64,
    }

    /// A pair of clocks read together.
    pub struct nvgpu_gpu_get_cpu_time_correlation_sample {
        cpu_timestamp: u64,
        gpu_timestamp: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_CPU_TIME_CORRELATION_INFO`].
    pub struct nvgpu_gpu_get_cpu_time_correlation_info_args {
        samples: [nvgpu_gpu_get_cpu_time_correlation_sample; 16],
        /// How many samples to take.
        count: u32,
        /// One of `NVGPU_GPU_GET_CPU_TIME_CORRELATION_INFO_SRC_ID_*`.
        source_id: u32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_SET_DETERMINISTIC_OPTS`].
    pub struct nvgpu_gpu_set_deterministic_opts_args {
        num_channels: u32,
        flags: SetDeterministicOptsFlags,
        /// Address of `num_channels` channel fds, an `i32` each.
        channels: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_REGISTER_BUFFER`].
    pub struct nvgpu_gpu_register_buffer_args {
        dmabuf_fd: i32,
        /// One of `NVGPU_GPU_COMPTAGS_ALLOC_*`.
        comptags_alloc_control: u8,
        reserved0: u8,
        reserved1: u16,
        metadata_addr: u64,
        metadata_size: u32,
        flags: RegisterBufferFlags,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_BUFFER_INFO`] before the call; after it, an
    /// [`nvgpu_gpu_get_buffer_info_args_out`] lies in the same bytes.
    pub struct nvgpu_gpu_get_buffer_info_args {
        dmabuf_fd "in.dmabuf_fd": i32,
        metadata_size "in.metadata_size": u32,
        metadata_addr "in.metadata_addr": u64,
        _pad0: [u8; 8],
    }

    /// What [`NVGPU_GPU_IOCTL_GET_BUFFER_INFO`] answers, in the bytes of its argument.
    pub struct nvgpu_gpu_get_buffer_info_args_out "nvgpu_gpu_get_buffer_info_args" {
        flags "out.flags": BufferInfoFlags,
        metadata_size "out.metadata_size": u32,
        reserved "out.reserved": u32,
        size "out.size": u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_ALLOC_VIDMEM`] before the call; after it, an
    /// [`nvgpu_gpu_alloc_vidmem_args_out`] lies in the same bytes.
    pub struct nvgpu_gpu_alloc_vidmem_args {
        size "in.size": u64,
        flags "in.flags": u32,
        memtag "in.memtag": u16,
        reserved0 "in.reserved0": u16,
        alignment "in.alignment": u32,
        reserved1 "in.reserved1": [u32; 3],
    }

    /// What [`NVGPU_GPU_IOCTL_ALLOC_VIDMEM`] answers, in the bytes of its argument.
    #[repr(align(8))]
    pub struct nvgpu_gpu_alloc_vidmem_args_out "nvgpu_gpu_alloc_vidmem_args" {
        dmabuf_fd "out.dmabuf_fd": i32,
        _pad0: [u8; 28],
    }
}

flags! {
    /// How an address space is laid out. Unknown bits are ignored.
    pub struct AllocAsFlags: u32 {
        UNIFIED_VA = "NVGPU_GPU_IOCTL_ALLOC_AS_FLAGS_UNIFIED_VA", 0x2;
    }

    /// How a TSG is opened.
    pub struct OpenTsgFlags: u32 {
        SHARE = "NVGPU_GPU_IOCTL_OPEN_TSG_FLAGS_SHARE", 0x1;
    }

    /// What [`NVGPU_GPU_IOCTL_FLUSH_L2`] does. `L2_INVALIDATE` alone is EINVAL, and so is nothing
    /// at all.
    pub struct L2FbFlags: u8 {
        L2_FLUSH = "nvgpu_gpu_l2_fb_args.l2_flush", 0x1;
        L2_INVALIDATE = "nvgpu_gpu_l2_fb_args.l2_invalidate", 0x2;
        FB_FLUSH = "nvgpu_gpu_l2_fb_args.fb_flush", 0x4;
    }

    /// Whether the GPU may power off under deterministic channels. Allowing it makes a doorbell a
    /// bus error.
    pub struct SetDeterministicOptsFlags: u32 {
        ALLOW_RAILGATING = "NVGPU_GPU_SET_DETERMINISTIC_OPTS_FLAGS_ALLOW_RAILGATING", 0x1;
        DISALLOW_RAILGATING = "NVGPU_GPU_SET_DETERMINISTIC_OPTS_FLAGS_DISALLOW_RAILGATING", 0x2;
    }

    /// How a buffer is registered.
    pub struct RegisterBufferFlags: u32 {
        COMPTAGS_ALLOCATED = "NVGPU_GPU_REGISTER_BUFFER_FLAGS_COMPTAGS_ALLOCATED", 0x1;
        MUTABLE = "NVGPU_GPU_REGISTER_BUFFER_FLAGS_MUTABLE", 0x2;
        MODIFY = "NVGPU_GPU_REGISTER_BUFFER_FLAGS_MODIFY", 0x4;
    }

    /// What is known about a registered buffer.
    pub struct BufferInfoFlags: u64 {
        METADATA_REGISTERED = "NVGPU_GPU_BUFFER_INFO_FLAGS_METADATA_REGISTERED", 0x1;
        COMPTAGS_ALLOCATED = "NVGPU_GPU_BUFFER_INFO_FLAGS_COMPTAGS_ALLOCATED", 0x2;
        MUTABLE_METADATA = "NVGPU_GPU_BUFFER_INFO_FLAGS_MUTABLE_METADATA", 0x4;
    }
}

constants! {
    /// The magic byte of this fd.
    u8 {
        NVGPU_GPU_IOCTL_MAGIC = 0x47,
    }

    /// The highest request and the largest argument that this fd accepts; beyond them: EINVAL.
    u32 {
        NVGPU_GPU_IOCTL_LAST = 0x2c,
        NVGPU_GPU_IOCTL_MAX_ARG_SIZE = 0x108,
    }

    /// The most samples that one call takes.
    u32 {
        NVGPU_GPU_GET_CPU_TIME_CORRELATION_INFO_MAX_COUNT = 0x10,
    }

    /// The CPU's clock of [`nvgpu_gpu_get_cpu_time_correlation_info_args`].
    u32 {
        NVGPU_GPU_GET_CPU_TIME_CORRELATION_INFO_SRC_ID_TSC = 1,
        NVGPU_GPU_GET_CPU_TIME_CORRELATION_INFO_SRC_ID_OSTIME = 2,
    }

    /// Whether [`NVGPU_GPU_IOCTL_REGISTER_BUFFER`] allocates compression tags.
    u8 {
        NVGPU_GPU_COMPTAGS_ALLOC_NONE = 0,
        NVGPU_GPU_COMPTAGS_ALLOC_REQUESTED = 1,
        NVGPU_GPU_COMPTAGS_ALLOC_REQUIRED = 2,
    }

    /// The most bytes of metadata that a buffer carries.
    u32 {
        NVGPU_GPU_REGISTER_BUFFER_METADATA_MAX_SIZE = 0x100,
    }

    /// How [`NVGPU_GPU_IOCTL_ALLOC_VIDMEM`] allocates.
    u32 {
        NVGPU_GPU_ALLOC_VIDMEM_FLAG_CONTIGUOUS = 1,
        NVGPU_GPU_ALLOC_VIDMEM_FLAG_CPU_NOT_MAPPABLE = 0,
        NVGPU_GPU_ALLOC_VIDMEM_FLAG_CPU_WRITE_COMBINE = 2,
        NVGPU_GPU_ALLOC_VIDMEM_FLAG_CPU_CACHED = 4,
        NVGPU_GPU_ALLOC_VIDMEM_FLAG_CPU_MASK = 0xe,
        NVGPU_GPU_ALLOC_VIDMEM_FLAG_VPR = 0x10,
    }
}

requests! {
    /// Opens an address space.
    pub const NVGPU_GPU_IOCTL_ALLOC_AS: Request<nvgpu_alloc_as_args> = rw(b'G', 8);

    /// Opens a time-slice group of channels.
    pub const NVGPU_GPU_IOCTL_OPEN_TSG: Request<nvgpu_gpu_open_tsg_args> = rw(b'G', 9);

    /// Opens a channel.
    pub const NVGPU_GPU_IOCTL_OPEN_CHANNEL: Request<nvgpu_gpu_open_channel_args> = rw(b'G', 11);

    /// Flushes the L2 cache or the writes below it. Does nothing while the GPU is powered off.
    pub const NVGPU_GPU_IOCTL_FLUSH_L2: Request<nvgpu_gpu_l2_fb_args> = rw(b'G', 12);

    /// Reads the GPU's timer.
    pub const NVGPU_GPU_IOCTL_GET_GPU_TIME: Request<nvgpu_gpu_get_gpu_time_args> = rw(b'G', 25);

    /// Reads the GPU's timer and a clock of the CPU together. By release of the driver the clock is a counter of
    /// the CPU whatever the source, or microseconds of the time of day where the source is OSTIME.
    pub const NVGPU_GPU_IOCTL_GET_CPU_TIME_CORRELATION_INFO:
        Request<nvgpu_gpu_get_cpu_time_correlation_info_args> = rw(b'G', 24);

    /// Lets the GPU power off under deterministic channels, or no longer.
    pub const NVGPU_GPU_IOCTL_SET_DETERMINISTIC_OPTS:
        Request<nvgpu_gpu_set_deterministic_opts_args> = rw(b'G', 40);

    /// Attaches metadata and compression tags to a buffer.
    pub const NVGPU_GPU_IOCTL_REGISTER_BUFFER: Request<nvgpu_gpu_register_buffer_args> =
        rw(b'G', 41);

    /// Size and metadata of a buffer.
    pub const NVGPU_GPU_IOCTL_GET_BUFFER_INFO: Request<nvgpu_gpu_get_buffer_info_args> =
        rw(b'G', 42);

    /// Allocates video memory. A Tegra has none.
    pub const NVGPU_GPU_IOCTL_ALLOC_VIDMEM: Request<nvgpu_gpu_alloc_vidmem_args> = rw(b'G', 27);
}

impl nvgpu_gpu_get_buffer_info_args {
    /// The bytes as the driver leaves them.
    pub fn out(&self) -> &nvgpu_gpu_get_buffer_info_args_out {
        zerocopy::transmute_ref!(self)
    }

    /// The bytes as the driver writes them.
    pub fn out_mut(&mut self) -> &mut nvgpu_gpu_get_buffer_info_args_out {
        zerocopy::transmute_mut!(self)
    }
}
