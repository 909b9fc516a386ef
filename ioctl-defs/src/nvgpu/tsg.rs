//! The TSG fd, which [`NVGPU_GPU_IOCTL_OPEN_TSG`](super::ctrl::NVGPU_GPU_IOCTL_OPEN_TSG) opens.

use super::channel::{
    nvgpu_event_id_ctrl_args, nvgpu_runlist_interleave_args, nvgpu_timeslice_args,
};
use crate::Request;
use crate::declare::Module;

pub(crate) const MODULE: Module =
    Module { structs: STRUCTS, constants: CONSTANTS, requests: REQUESTS, ..Module::EMPTY };

structs! {
    /// Argument of [`NVGPU_TSG_IOCTL_BIND_CHANNEL_EX`].
    pub struct nvgpu_tsg_bind_channel_ex_args {
        channel_fd: i32,
        /// The VEID: 0, or one that [`NVGPU_TSG_IOCTL_CREATE_SUBCONTEXT`] returned.
        subcontext_id: u32,
        reserved: [u8; 16],
    }

    /// Argument of [`NVGPU_TSG_IOCTL_CREATE_SUBCONTEXT`].
    pub struct nvgpu_tsg_create_subcontext_args {
        /// One of `NVGPU_TSG_SUBCONTEXT_TYPE_*`.
        r#type "type": u32,
        as_fd: i32,
        /// Out.
        veid: u32,
        reserved: u32,
    }

    /// Argument of [`NVGPU_TSG_IOCTL_DELETE_SUBCONTEXT`].
    pub struct nvgpu_tsg_delete_subcontext_args {
        veid: u32,
        reserved: u32,
    }

    /// What is known about a fault of one SM.
    pub struct nvgpu_tsg_sm_error_state_record {
        global_esr: u32,
        warp_esr: u32,
        /// Where the warp was.
        warp_esr_pc: u64,
        global_esr_report_mask: u32,
        warp_esr_report_mask: u32,
    }

    /// Argument of [`NVGPU_TSG_IOCTL_READ_SINGLE_SM_ERROR_STATE`].
    pub struct nvgpu_tsg_read_single_sm_error_state_args {
        sm_id: u32,
        reserved: u32,
        /// Address of an [`nvgpu_tsg_sm_error_state_record`].
        record_mem: u64,
        record_size: u64,
    }

    /// Argument of [`NVGPU_TSG_IOCTL_READ_ALL_SM_ERROR_STATES`].
    pub struct nvgpu_tsg_read_all_sm_error_state_args {
        num_sm: u32,
        reserved: u32,
        /// Address of an [`nvgpu_tsg_sm_error_state_record`] per SM.
        buffer_mem: u64,
        buffer_size: u64,
    }

    /// Argument of [`NVGPU_TSG_IOCTL_SET_L2_MAX_WAYS_EVICT_LAST`] and its counterpart.
    pub struct nvgpu_tsg_l2_max_ways_evict_last_args {
        max_ways: u32,
        reserved: u32,
    }

    /// Argument of [`NVGPU_TSG_IOCTL_SET_L2_SECTOR_PROMOTION`].
    pub struct nvgpu_tsg_set_l2_sector_promotion_args {
        promotion_flag: u32,
        reserved: u32,
    }

    /// Argument of [`NVGPU_TSG_IOCTL_BIND_SCHEDULING_DOMAIN`].
    pub struct nvgpu_tsg_bind_scheduling_domain_args {
        domain_fd: i32,
        reserved0: i32,
        reserved: [u64; 3],
    }

    /// Argument of [`NVGPU_TSG_IOCTL_GET_SHARE_TOKEN`].
    pub struct nvgpu_tsg_get_share_token_args {
        source_device_instance_id: u64,
        target_device_instance_id: u64,
        share_token: u64,
    }

    /// Argument of [`NVGPU_TSG_IOCTL_REVOKE_SHARE_TOKEN`].
    pub struct nvgpu_tsg_revoke_share_token_args {
        source_device_instance_id: u64,
        target_device_instance_id: u64,
        share_token: u64,
    }
}

constants! {
    /// The magic byte of this fd. Terminals use the same one.
    u8 {
        NVGPU_TSG_IOCTL_MAGIC = 0x54,
    }

    /// The highest request and the largest argument that this fd accepts; beyond them: EINVAL.
    u32 {
        NVGPU_TSG_IOCTL_LAST = 0x15,
        NVGPU_TSG_IOCTL_MAX_ARG_SIZE = 0x20,
    }

    /// `SYNC` is VEID 0 and can be had once; `ASYNC` is the lowest free VEID from 1.
    u32 {
        NVGPU_TSG_SUBCONTEXT_TYPE_SYNC = 0,
        NVGPU_TSG_SUBCONTEXT_TYPE_ASYNC = 1,
    }

    /// What [`NVGPU_TSG_IOCTL_SET_L2_SECTOR_PROMOTION`] promotes a miss to.
    u32 {
        NVGPU_GPU_IOCTL_TSG_L2_SECTOR_PROMOTE_FLAG_NONE = 1,
        NVGPU_GPU_IOCTL_TSG_L2_SECTOR_PROMOTE_FLAG_64B = 2,
        NVGPU_GPU_IOCTL_TSG_L2_SECTOR_PROMOTE_FLAG_128B = 4,
    }
}

requests! {
    /// Takes a channel in, in its current subcontext. Its error paths leak a reference of the
    /// channel; use the `_EX` request.
    pub const NVGPU_TSG_IOCTL_BIND_CHANNEL: Request<i32> = w(b'T', 1);

    /// Puts a channel out, for good. EAGAIN while the hardware is busy with it.
    pub const NVGPU_TSG_IOCTL_UNBIND_CHANNEL: Request<i32> = w(b'T', 2);

    /// Lets the channels run, as they may from the start.
    pub const NVGPU_IOCTL_TSG_ENABLE: Request<()> = none(b'T', 3);

    /// Keeps the channels from running.
    pub const NVGPU_IOCTL_TSG_DISABLE: Request<()> = none(b'T', 4);

    /// Takes the channels off the GPU once.
    pub const NVGPU_IOCTL_TSG_PREEMPT: Request<()> = none(b'T', 5);

    /// Opens an fd for one event of the TSG.
    pub const NVGPU_IOCTL_TSG_EVENT_ID_CTRL: Request<nvgpu_event_id_ctrl_args> = rw(b'T', 7);

    /// How often the TSG stands in the runlist.
    pub const NVGPU_IOCTL_TSG_SET_RUNLIST_INTERLEAVE: Request<nvgpu_runlist_interleave_args> =
        w(b'T', 8);

    /// Sets the timeslice, 1000 to 50000 us.
    pub const NVGPU_IOCTL_TSG_SET_TIMESLICE: Request<nvgpu_timeslice_args> = w(b'T', 9);

    /// Reads the timeslice.
    pub const NVGPU_IOCTL_TSG_GET_TIMESLICE: Request<nvgpu_timeslice_args> = r(b'T', 10);

    /// Takes a channel in, in a subcontext. The channel must have the address space of the
    /// subcontext.
    pub const NVGPU_TSG_IOCTL_BIND_CHANNEL_EX: Request<nvgpu_tsg_bind_channel_ex_args> =
        rw(b'T', 11);

    /// The fault of one SM.
    pub const NVGPU_TSG_IOCTL_READ_SINGLE_SM_ERROR_STATE:
        Request<nvgpu_tsg_read_single_sm_error_state_args> = rw(b'T', 12);

    /// How many ways of the L2 may hold lines that are evicted last.
    pub const NVGPU_TSG_IOCTL_SET_L2_MAX_WAYS_EVICT_LAST:
        Request<nvgpu_tsg_l2_max_ways_evict_last_args> = w(b'T', 13);

    /// Reads that number of ways.
    pub const NVGPU_TSG_IOCTL_GET_L2_MAX_WAYS_EVICT_LAST:
        Request<nvgpu_tsg_l2_max_ways_evict_last_args> = r(b'T', 14);

    /// How much an L2 miss fetches.
    pub const NVGPU_TSG_IOCTL_SET_L2_SECTOR_PROMOTION:
        Request<nvgpu_tsg_set_l2_sector_promotion_args> = w(b'T', 15);

    /// Puts the TSG in a scheduling domain.
    pub const NVGPU_TSG_IOCTL_BIND_SCHEDULING_DOMAIN:
        Request<nvgpu_tsg_bind_scheduling_domain_args> = w(b'T', 16);

    /// The faults of all SMs.
    pub const NVGPU_TSG_IOCTL_READ_ALL_SM_ERROR_STATES:
        Request<nvgpu_tsg_read_all_sm_error_state_args> = rw(b'T', 17);

    /// Reserves a subcontext and ties it to an address space.
    pub const NVGPU_TSG_IOCTL_CREATE_SUBCONTEXT: Request<nvgpu_tsg_create_subcontext_args> =
        rw(b'T', 18);

    /// Gives a subcontext back. The driver does so by itself when the last channel leaves.
    pub const NVGPU_TSG_IOCTL_DELETE_SUBCONTEXT: Request<nvgpu_tsg_delete_subcontext_args> =
        w(b'T', 19);

    /// A token with which another ctrl fd opens this TSG.
    pub const NVGPU_TSG_IOCTL_GET_SHARE_TOKEN: Request<nvgpu_tsg_get_share_token_args> =
        rw(b'T', 20);

    /// Makes a token worthless.
    pub const NVGPU_TSG_IOCTL_REVOKE_SHARE_TOKEN: Request<nvgpu_tsg_revoke_share_token_args> =
        w(b'T', 21);
}
