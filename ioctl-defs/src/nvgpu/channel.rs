//! The channel fd, which
//! [`NVGPU_GPU_IOCTL_OPEN_CHANNEL`](super::ctrl::NVGPU_GPU_IOCTL_OPEN_CHANNEL) opens.
//!
//! The order that the driver wants: address space, TSG, watchdog off, `SETUP_BIND`,
//! `ALLOC_OBJ_CTX`.

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
    /// Argument of [`NVGPU_IOCTL_CHANNEL_SET_NVMAP_FD`].
    pub struct nvgpu_set_nvmap_fd_args {
        fd: u32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_WDT`].
    pub struct nvgpu_channel_wdt_args {
        wdt_status: WdtFlags,
        /// Read with `FLAG_SET_TIMEOUT`.
        timeout_ms: u32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_SET_TIMEOUT`].
    pub struct nvgpu_set_timeout_args {
        /// In milliseconds, [`NVGPU_NO_TIMEOUT`] for none.
        timeout: u32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_SET_TIMEOUT_EX`].
    pub struct nvgpu_set_timeout_ex_args {
        /// In milliseconds, [`NVGPU_NO_TIMEOUT`] for none.
        timeout: u32,
        /// See [`NVGPU_TIMEOUT_FLAG_DISABLE_DUMP`].
        flags: u32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_GET_TIMEDOUT`].
    pub struct nvgpu_get_param_args {
        /// Out: 1 when the channel no longer runs, which it does not before it joined a TSG either.
        value: u32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_SETUP_BIND`].
    pub struct nvgpu_channel_setup_bind_args {
        /// A power of two, at least 2.
        num_gpfifo_entries: u32,
        num_inflight_jobs: u32,
        flags: SetupBindFlags,
        /// 4 KiB. Not fd 0, as is the fd of the ring.
        userd_dmabuf_fd: i32,
        gpfifo_dmabuf_fd: i32,
        /// Out: what to write to the doorbell.
        work_submit_token: u32,
        /// 0, as is the offset of the ring.
        userd_dmabuf_offset: u64,
        gpfifo_dmabuf_offset: u64,
        /// Out, as are the two below: 0 unless the GPU itself may ring the doorbell.
        gpfifo_gpu_va: u64,
        userd_gpu_va: u64,
        usermode_mmio_gpu_va: u64,
        reserved: [u32; 9],
        _pad0: u32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX`].
    pub struct nvgpu_alloc_obj_ctx_args {
        class_num: u32,
        flags: AllocObjFlags,
        /// Never written.
        obj_id: u64,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_SET_PREEMPTION_MODE`].
    pub struct nvgpu_preemption_mode_args {
        graphics_preempt_mode: GraphicsPreemptionMode,
        compute_preempt_mode: ComputePreemptionMode,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_SET_ERROR_NOTIFIER`].
    pub struct nvgpu_set_error_notifier {
        /// Where the [`nvgpu_notification`] lies in the buffer.
        offset: u64,
        /// Ignored.
        size: u64,
        /// A dmabuf fd.
        mem: u32,
        padding: u32,
    }

    /// What the driver leaves in memory when a channel fails.
    pub struct nvgpu_notification {
        /// The real-time clock, low word first.
        nanoseconds "time_stamp.nanoseconds": [u32; 2],
        /// The cause: one of `NVGPU_CHANNEL_*`.
        info32: u32,
        info16: u16,
        /// 0xffff once there is an error; written last.
        status: u16,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_GET_USER_SYNCPOINT`].
    pub struct nvgpu_get_user_syncpoint_args {
        gpu_va: u64,
        syncpoint_id: u32,
        syncpoint_max: u32,
    }

    /// An entry of the list of [`NVGPU_IOCTL_CHANNEL_SUBMIT_GPFIFO`], in the format of the
    /// hardware.
    pub struct nvgpu_gpfifo {
        entry0: u32,
        entry1: u32,
    }

    /// A syncpoint and a value, or a sync fence fd in `id`.
    pub struct nvgpu_fence {
        id: u32,
        value: u32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_SUBMIT_GPFIFO`].
    pub struct nvgpu_submit_gpfifo_args {
        /// Address of `num_entries` [`nvgpu_gpfifo`].
        gpfifo: u64,
        num_entries: u32,
        flags: SubmitGpfifoFlags,
        fence: nvgpu_fence,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_WAIT`].
    pub struct nvgpu_wait_args {
        /// One of `NVGPU_WAIT_TYPE_*`.
        r#type "type": u32,
        /// In milliseconds.
        timeout: u32,
        /// The semaphore or notifier to wait on. (The vendor's union has the same first two members
        /// for both.)
        dmabuf_fd "condition.semaphore.dmabuf_fd": u32,
        offset "condition.semaphore.offset": u32,
        payload "condition.semaphore.payload": u32,
        padding "condition.semaphore.padding": u32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_OPEN`].
    pub struct nvgpu_channel_open_args {
        /// In: the runlist (`in.runlist_id` of the vendor's union). Out: the fd.
        channel_fd: i32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_ALLOC_GPFIFO_EX`].
    pub struct nvgpu_alloc_gpfifo_ex_args {
        num_entries: u32,
        num_inflight_jobs: u32,
        flags: AllocGpfifoExFlags,
        reserved: [u32; 5],
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_SET_RUNLIST_INTERLEAVE`] and of the same request of a TSG.
    pub struct nvgpu_runlist_interleave_args {
        /// One of `NVGPU_RUNLIST_INTERLEAVE_LEVEL_*`.
        level: u32,
        reserved: u32,
    }

    /// Argument of `NVGPU_IOCTL_TSG_SET_TIMESLICE` and its counterpart.
    pub struct nvgpu_timeslice_args {
        timeslice_us: u32,
        reserved: u32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_EVENT_ID_CTRL`] and of the same request of a TSG.
    pub struct nvgpu_event_id_ctrl_args {
        /// [`NVGPU_IOCTL_CHANNEL_EVENT_ID_CMD_ENABLE`], nothing else.
        cmd: u32,
        /// One of `NVGPU_IOCTL_CHANNEL_EVENT_ID_*`.
        event_id: u32,
        /// Out: polls as readable once per event.
        event_fd: i32,
        padding: u32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_SET_BOOSTED_CTX`].
    pub struct nvgpu_boosted_ctx_args {
        boost: u32,
        padding: u32,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_RESCHEDULE_RUNLIST`].
    pub struct nvgpu_reschedule_runlist_args {
        flags: RescheduleRunlistFlags,
    }

    /// Argument of [`NVGPU_IOCTL_CHANNEL_ZCULL_BIND`].
    pub struct nvgpu_zcull_bind_args {
        gpu_va: u64,
        mode: u32,
        padding: u32,
    }
}

flags! {
    /// How a channel is set up. Submission by doorbell takes `DETERMINISTIC | USERMODE_SUPPORT`.
    pub struct SetupBindFlags: u32 {
        VPR_ENABLED = "NVGPU_CHANNEL_SETUP_BIND_FLAGS_VPR_ENABLED", 0x1;
        DETERMINISTIC = "NVGPU_CHANNEL_SETUP_BIND_FLAGS_DETERMINISTIC", 0x2;
        REPLAYABLE_FAULTS_ENABLE = "NVGPU_CHANNEL_SETUP_BIND_FLAGS_REPLAYABLE_FAULTS_ENABLE", 0x4;
        USERMODE_SUPPORT = "NVGPU_CHANNEL_SETUP_BIND_FLAGS_USERMODE_SUPPORT", 0x8;
        USERMODE_GPU_MAP_RESOURCES_SUPPORT =
            "NVGPU_CHANNEL_SETUP_BIND_FLAGS_USERMODE_GPU_MAP_RESOURCES_SUPPORT", 0x10;
    }

    /// The watchdog of a channel: exactly one of `DISABLE_WDT` and `ENABLE_WDT`.
    pub struct WdtFlags: u32 {
        DISABLE_WDT = "NVGPU_IOCTL_CHANNEL_DISABLE_WDT", 0x1;
        ENABLE_WDT = "NVGPU_IOCTL_CHANNEL_ENABLE_WDT", 0x2;
        WDT_FLAG_SET_TIMEOUT = "NVGPU_IOCTL_CHANNEL_WDT_FLAG_SET_TIMEOUT", 0x4;
        WDT_FLAG_DISABLE_DUMP = "NVGPU_IOCTL_CHANNEL_WDT_FLAG_DISABLE_DUMP", 0x8;
    }

    /// How an object context is allocated.
    pub struct AllocObjFlags: u32 {
        LOCKBOOST_ZERO = "NVGPU_ALLOC_OBJ_FLAGS_LOCKBOOST_ZERO", 0x1;
        GFXP = "NVGPU_ALLOC_OBJ_FLAGS_GFXP", 0x2;
        CILP = "NVGPU_ALLOC_OBJ_FLAGS_CILP", 0x4;
    }

    /// Where graphics can be preempted.
    pub struct GraphicsPreemptionMode: u32 {
        WFI = "NVGPU_GRAPHICS_PREEMPTION_MODE_WFI", 0x1;
        GFXP = "NVGPU_GRAPHICS_PREEMPTION_MODE_GFXP", 0x2;
    }

    /// Where compute can be preempted: between grids, between blocks, between instructions.
    pub struct ComputePreemptionMode: u32 {
        WFI = "NVGPU_COMPUTE_PREEMPTION_MODE_WFI", 0x1;
        CTA = "NVGPU_COMPUTE_PREEMPTION_MODE_CTA", 0x2;
        CILP = "NVGPU_COMPUTE_PREEMPTION_MODE_CILP", 0x4;
    }

    /// How the driver submits a list of entries.
    pub struct SubmitGpfifoFlags: u32 {
        FENCE_WAIT = "NVGPU_SUBMIT_GPFIFO_FLAGS_FENCE_WAIT", 0x1;
        FENCE_GET = "NVGPU_SUBMIT_GPFIFO_FLAGS_FENCE_GET", 0x2;
        HW_FORMAT = "NVGPU_SUBMIT_GPFIFO_FLAGS_HW_FORMAT", 0x4;
        SYNC_FENCE = "NVGPU_SUBMIT_GPFIFO_FLAGS_SYNC_FENCE", 0x8;
        SUPPRESS_WFI = "NVGPU_SUBMIT_GPFIFO_FLAGS_SUPPRESS_WFI", 0x10;
        SKIP_BUFFER_REFCOUNTING = "NVGPU_SUBMIT_GPFIFO_FLAGS_SKIP_BUFFER_REFCOUNTING", 0x20;
    }

    /// How a ring of the driver is allocated.
    pub struct AllocGpfifoExFlags: u32 {
        VPR_ENABLED = "NVGPU_ALLOC_GPFIFO_EX_FLAGS_VPR_ENABLED", 0x1;
        DETERMINISTIC = "NVGPU_ALLOC_GPFIFO_EX_FLAGS_DETERMINISTIC", 0x2;
    }

    /// How the runlist is rescheduled.
    pub struct RescheduleRunlistFlags: u32 {
        PREEMPT_NEXT = "NVGPU_RESCHEDULE_RUNLIST_PREEMPT_NEXT", 0x1;
    }
}

constants! {
    /// The magic byte of this fd.
    u8 {
        NVGPU_IOCTL_MAGIC = 0x48,
    }

    /// The highest request and the largest argument that this fd accepts; beyond them: EINVAL.
    u32 {
        NVGPU_IOCTL_CHANNEL_LAST = 0x80,
        NVGPU_IOCTL_CHANNEL_MAX_ARG_SIZE = 0x68,
    }

    /// No limit to the time a channel may keep others from running.
    u32 {
        NVGPU_NO_TIMEOUT = 0xffffffff,
    }

    /// The *number* of the bit in `flags` of [`nvgpu_set_timeout_ex_args`] that keeps the driver
    /// from dumping its state.
    u32 {
        NVGPU_TIMEOUT_FLAG_DISABLE_DUMP = 0,
    }

    /// Why a channel failed: `info32` of [`nvgpu_notification`].
    u32 {
        NVGPU_CHANNEL_FIFO_ERROR_IDLE_TIMEOUT = 8,
        NVGPU_CHANNEL_GR_ERROR_SW_METHOD = 0xc,
        NVGPU_CHANNEL_GR_ERROR_SW_NOTIFY = 0xd,
        NVGPU_CHANNEL_GR_EXCEPTION = 0xd,
        NVGPU_CHANNEL_GR_SEMAPHORE_TIMEOUT = 0x18,
        NVGPU_CHANNEL_GR_ILLEGAL_NOTIFY = 0x19,
        NVGPU_CHANNEL_FIFO_ERROR_MMU_ERR_FLT = 0x1f,
        NVGPU_CHANNEL_PBDMA_ERROR = 0x20,
        NVGPU_CHANNEL_FECS_ERR_UNIMP_FIRMWARE_METHOD = 0x25,
        NVGPU_CHANNEL_RESETCHANNEL_VERIF_ERROR = 0x2b,
        NVGPU_CHANNEL_PBDMA_PUSHBUFFER_CRC_MISMATCH = 0x50,
    }

    /// A submission timed out: `info16` of [`nvgpu_notification`].
    u32 {
        NVGPU_CHANNEL_SUBMIT_TIMEOUT = 1,
    }

    /// An event of a TSG.
    u32 {
        NVGPU_IOCTL_CHANNEL_EVENT_ID_BPT_INT = 0,
        NVGPU_IOCTL_CHANNEL_EVENT_ID_BPT_PAUSE = 1,
        NVGPU_IOCTL_CHANNEL_EVENT_ID_BLOCKING_SYNC = 2,
        NVGPU_IOCTL_CHANNEL_EVENT_ID_CILP_PREEMPTION_STARTED = 3,
        NVGPU_IOCTL_CHANNEL_EVENT_ID_CILP_PREEMPTION_COMPLETE = 4,
        NVGPU_IOCTL_CHANNEL_EVENT_ID_GR_SEMAPHORE_WRITE_AWAKEN = 5,
        NVGPU_IOCTL_CHANNEL_EVENT_ID_MAX = 6,
    }

    /// The only command of [`nvgpu_event_id_ctrl_args`].
    u32 {
        NVGPU_IOCTL_CHANNEL_EVENT_ID_CMD_ENABLE = 1,
    }

    /// How often a TSG stands in the runlist.
    u32 {
        NVGPU_RUNLIST_INTERLEAVE_LEVEL_LOW = 0,
        NVGPU_RUNLIST_INTERLEAVE_LEVEL_MEDIUM = 1,
        NVGPU_RUNLIST_INTERLEAVE_LEVEL_HIGH = 2,
        NVGPU_RUNLIST_INTERLEAVE_NUM_LEVELS = 3,
    }

    /// What [`NVGPU_IOCTL_CHANNEL_WAIT`] waits for.
    u32 {
        NVGPU_WAIT_TYPE_NOTIFIER = 0,
        NVGPU_WAIT_TYPE_SEMAPHORE = 1,
    }

    /// Whether the GPU runs faster under this channel.
    u32 {
        NVGPU_BOOSTED_CTX_MODE_NORMAL = 0,
        NVGPU_BOOSTED_CTX_MODE_BOOSTED_EXECUTION = 1,
    }

    /// Where zcull keeps its state.
    u32 {
        NVGPU_ZCULL_MODE_GLOBAL = 0,
        NVGPU_ZCULL_MODE_NO_CTXSW = 1,
        NVGPU_ZCULL_MODE_SEPARATE_BUFFER = 2,
        NVGPU_ZCULL_MODE_PART_OF_REGULAR_BUF = 3,
    }
}

requests! {
    /// Does nothing, with success.
    pub const NVGPU_IOCTL_CHANNEL_SET_NVMAP_FD: Request<nvgpu_set_nvmap_fd_args> = w(b'H', 5);

    /// The watchdog. A deterministic channel must not have one.
    pub const NVGPU_IOCTL_CHANNEL_WDT: Request<nvgpu_channel_wdt_args> = w(b'H', 119);

    /// How long the channel may keep others from running; 3000 ms from the start. For channels with
    /// a doorbell the time adds up over their life.
    pub const NVGPU_IOCTL_CHANNEL_SET_TIMEOUT: Request<nvgpu_set_timeout_args> = w(b'H', 11);

    /// The same, with flags.
    pub const NVGPU_IOCTL_CHANNEL_SET_TIMEOUT_EX: Request<nvgpu_set_timeout_ex_args> = rw(b'H', 18);

    /// Whether the channel can run.
    pub const NVGPU_IOCTL_CHANNEL_GET_TIMEDOUT: Request<nvgpu_get_param_args> = r(b'H', 12);

    /// Sets up ring, USERD and doorbell. The channel must have its address space and its TSG.
    pub const NVGPU_IOCTL_CHANNEL_SETUP_BIND: Request<nvgpu_channel_setup_bind_args> =
        rw(b'H', 128);

    /// Makes a class usable on the channel. The first call takes about a second.
    pub const NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX: Request<nvgpu_alloc_obj_ctx_args> = rw(b'H', 108);

    /// Where work can be preempted. It can only be raised.
    pub const NVGPU_IOCTL_CHANNEL_SET_PREEMPTION_MODE: Request<nvgpu_preemption_mode_args> =
        w(b'H', 122);

    /// Where the driver reports an error. A wrong fd loses the notifier that was set before.
    pub const NVGPU_IOCTL_CHANNEL_SET_ERROR_NOTIFIER: Request<nvgpu_set_error_notifier> =
        rw(b'H', 111);

    /// A syncpoint of the channel. Without an address space the driver crashes.
    pub const NVGPU_IOCTL_CHANNEL_GET_USER_SYNCPOINT: Request<nvgpu_get_user_syncpoint_args> =
        r(b'H', 126);

    /// Submits through the driver. EINVAL for channels with a doorbell.
    pub const NVGPU_IOCTL_CHANNEL_SUBMIT_GPFIFO: Request<nvgpu_submit_gpfifo_args> = rw(b'H', 107);

    /// Waits for a semaphore or a notifier in memory.
    pub const NVGPU_IOCTL_CHANNEL_WAIT: Request<nvgpu_wait_args> = rw(b'H', 102);

    /// Opens a channel.
    pub const NVGPU_IOCTL_CHANNEL_OPEN: Request<nvgpu_channel_open_args> = r(b'H', 112);

    /// Lets the channel run.
    pub const NVGPU_IOCTL_CHANNEL_ENABLE: Request<()> = none(b'H', 113);

    /// Keeps the channel from running.
    pub const NVGPU_IOCTL_CHANNEL_DISABLE: Request<()> = none(b'H', 114);

    /// Takes the channel off the GPU once.
    pub const NVGPU_IOCTL_CHANNEL_PREEMPT: Request<()> = none(b'H', 115);

    /// Aborts the channel and its TSG.
    pub const NVGPU_IOCTL_CHANNEL_FORCE_RESET: Request<()> = none(b'H', 116);

    /// Starts the runlist anew. Needs CAP_SYS_NICE.
    pub const NVGPU_IOCTL_CHANNEL_RESCHEDULE_RUNLIST: Request<nvgpu_reschedule_runlist_args> =
        w(b'H', 127);

    /// Allocates a ring of the driver.
    pub const NVGPU_IOCTL_CHANNEL_ALLOC_GPFIFO_EX: Request<nvgpu_alloc_gpfifo_ex_args> =
        w(b'H', 123);

    /// Opens an fd for one event of the channel.
    pub const NVGPU_IOCTL_CHANNEL_EVENT_ID_CTRL: Request<nvgpu_event_id_ctrl_args> = rw(b'H', 117);

    /// How often the channel stands in the runlist.
    pub const NVGPU_IOCTL_CHANNEL_SET_RUNLIST_INTERLEAVE: Request<nvgpu_runlist_interleave_args> =
        w(b'H', 120);

    /// Whether the GPU runs faster under this channel.
    pub const NVGPU_IOCTL_CHANNEL_SET_BOOSTED_CTX: Request<nvgpu_boosted_ctx_args> = w(b'H', 124);

    /// Where zcull keeps its state.
    pub const NVGPU_IOCTL_CHANNEL_ZCULL_BIND: Request<nvgpu_zcull_bind_args> = rw(b'H', 110);
}
