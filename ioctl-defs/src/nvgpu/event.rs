//! The event session fd, which
//! [`NVGPU_GPU_IOCTL_GET_EVENT_FD`](super::ctrl::NVGPU_GPU_IOCTL_GET_EVENT_FD) opens: clocks,
//! temperature, a lost GPU.
//!
//! The events of a TSG (an interrupt that a program asked for) come from
//! [`NVGPU_IOCTL_TSG_EVENT_ID_CTRL`](super::tsg::NVGPU_IOCTL_TSG_EVENT_ID_CTRL) instead.

use crate::Request;
use crate::declare::Module;

pub(crate) const MODULE: Module =
    Module { structs: STRUCTS, constants: CONSTANTS, requests: REQUESTS, ..Module::EMPTY };

structs! {
    /// What a read of this fd returns.
    pub struct nvgpu_gpu_event_info {
        event_id: u32,
        reserved: u32,
        timestamp: u64,
    }

    /// Argument of [`NVGPU_EVENT_IOCTL_SET_FILTER`].
    pub struct nvgpu_gpu_set_event_filter_args {
        flags: u32,
        /// Number of event ids at `buffer`.
        size: u32,
        /// Address of a `u32` per event id.
        buffer: u64,
    }
}

constants! {
    /// The magic byte of this fd.
    u8 {
        NVGPU_EVENT_IOCTL_MAGIC = 0x45,
    }

    /// The highest request and the largest argument that this fd accepts.
    u32 {
        NVGPU_EVENT_IOCTL_LAST = 1,
        NVGPU_EVENT_IOCTL_MAX_ARG_SIZE = 0x10,
    }

    /// An event of [`nvgpu_gpu_event_info`].
    u32 {
        NVGPU_GPU_EVENT_VF_UPDATE = 0,
        NVGPU_GPU_EVENT_ALARM_TARGET_VF_NOT_POSSIBLE = 1,
        NVGPU_GPU_EVENT_ALARM_LOCAL_TARGET_VF_NOT_POSSIBLE = 2,
        NVGPU_GPU_EVENT_ALARM_CLOCK_ARBITER_FAILED = 3,
        NVGPU_GPU_EVENT_ALARM_VF_TABLE_UPDATE_FAILED = 4,
        NVGPU_GPU_EVENT_ALARM_THERMAL_ABOVE_THRESHOLD = 5,
        NVGPU_GPU_EVENT_ALARM_POWER_ABOVE_THRESHOLD = 6,
        NVGPU_GPU_EVENT_ALARM_GPU_LOST = 7,
        NVGPU_GPU_EVENT_LAST = 7,
    }
}

requests! {
    /// Chooses the events to report.
    pub const NVGPU_EVENT_IOCTL_SET_FILTER: Request<nvgpu_gpu_set_event_filter_args> = w(b'E', 1);
}
