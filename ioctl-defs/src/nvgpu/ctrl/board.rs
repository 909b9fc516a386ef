//! Clocks, supplies and temperatures; debugging of all that runs; graphics. Nothing of it is needed to
//! dispatch.

use crate::Request;
use crate::declare::Module;

pub(crate) const MODULE: Module =
    Module { structs: STRUCTS, constants: CONSTANTS, requests: REQUESTS, ..Module::EMPTY };

structs! {
    /// An element of the list of [`NVGPU_GPU_IOCTL_CLK_GET_RANGE`].
    pub struct nvgpu_gpu_clk_range {
        flags: u32,
        clk_domain: u32,
        min_hz: u64,
        max_hz: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_CLK_GET_RANGE`].
    pub struct nvgpu_gpu_clk_range_args {
        flags: u32,
        pad0: u16,
        num_entries: u16,
        /// Address of an array of [`nvgpu_gpu_clk_range`].
        clk_range_entries: u64,
    }

    /// An element of the list of [`NVGPU_GPU_IOCTL_CLK_GET_VF_POINTS`].
    pub struct nvgpu_gpu_clk_vf_point {
        freq_hz: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_CLK_GET_VF_POINTS`].
    pub struct nvgpu_gpu_clk_vf_points_args {
        flags: u32,
        clk_domain: u32,
        max_entries: u16,
        num_entries: u16,
        reserved: u32,
        /// Address of an array of [`nvgpu_gpu_clk_vf_point`].
        clk_vf_point_entries: u64,
    }

    /// An element of the lists of [`NVGPU_GPU_IOCTL_CLK_GET_INFO`] and
    /// [`NVGPU_GPU_IOCTL_CLK_SET_INFO`].
    pub struct nvgpu_gpu_clk_info {
        flags: u16,
        clk_type: u16,
        clk_domain: u32,
        freq_hz: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_CLK_GET_INFO`].
    pub struct nvgpu_gpu_clk_get_info_args {
        flags: u32,
        clk_type: u16,
        num_entries: u16,
        /// Address of an array of [`nvgpu_gpu_clk_info`].
        clk_info_entries: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_CLK_SET_INFO`].
    pub struct nvgpu_gpu_clk_set_info_args {
        flags: u32,
        pad0: u16,
        num_entries: u16,
        /// Address of an array of [`nvgpu_gpu_clk_info`].
        clk_info_entries: u64,
        completion_fd: i32,
        _pad0: u32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_EVENT_FD`].
    pub struct nvgpu_gpu_get_event_fd_args {
        flags: u32,
        event_fd: i32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_VOLTAGE`].
    pub struct nvgpu_gpu_get_voltage_args {
        reserved: u64,
        which: u32,
        /// Out: microvolts.
        voltage: u32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_CURRENT`].
    pub struct nvgpu_gpu_get_current_args {
        reserved: [u32; 3],
        /// Out: milliamperes.
        currnt: u32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_POWER`].
    pub struct nvgpu_gpu_get_power_args {
        reserved: [u32; 3],
        /// Out: milliwatts.
        power: u32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_TEMPERATURE`].
    pub struct nvgpu_gpu_get_temperature_args {
        reserved: [u32; 3],
        /// Out: degrees Celsius, with eight fraction bits.
        temp_f24_8: i32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_SET_THERM_ALERT_LIMIT`].
    pub struct nvgpu_gpu_set_therm_alert_limit_args {
        reserved: [u32; 3],
        /// Degrees Celsius, with eight fraction bits.
        temp_f24_8: i32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_SET_MMUDEBUG_MODE`].
    pub struct nvgpu_gpu_mmu_debug_mode_args {
        state: u32,
        reserved: u32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_SET_SM_DEBUG_MODE`].
    pub struct nvgpu_gpu_sm_debug_mode_args {
        channel_fd: i32,
        enable: u32,
        /// One bit per SM.
        sms: u64,
    }

    /// What [`NVGPU_GPU_IOCTL_WAIT_FOR_PAUSE`] tells about one SM: one bit per warp.
    pub struct warpstate {
        valid_warps: [u64; 2],
        trapped_warps: [u64; 2],
        paused_warps: [u64; 2],
    }

    /// Argument of [`NVGPU_GPU_IOCTL_WAIT_FOR_PAUSE`].
    pub struct nvgpu_gpu_wait_pause_args {
        /// Address of a [`warpstate`] per SM.
        pwarpstate: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_TPC_EXCEPTION_EN_STATUS`].
    pub struct nvgpu_gpu_tpc_exception_en_status_args {
        tpc_exception_en_sm_mask: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_ZCULL_GET_CTX_SIZE`].
    pub struct nvgpu_gpu_zcull_get_ctx_size_args {
        size: u32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_ZCULL_GET_INFO`].
    pub struct nvgpu_gpu_zcull_get_info_args {
        width_align_pixels: u32,
        height_align_pixels: u32,
        pixel_squares_by_aliquots: u32,
        aliquot_total: u32,
        region_byte_multiplier: u32,
        region_header_size: u32,
        subregion_header_size: u32,
        subregion_width_align_pixels: u32,
        subregion_height_align_pixels: u32,
        subregion_count: u32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_ZBC_SET_TABLE`].
    pub struct nvgpu_gpu_zbc_set_table_args {
        color_ds: [u32; 4],
        color_l2: [u32; 4],
        depth: u32,
        stencil: u32,
        format: u32,
        r#type "type": u32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_ZBC_QUERY_TABLE`].
    pub struct nvgpu_gpu_zbc_query_table_args {
        color_ds: [u32; 4],
        color_l2: [u32; 4],
        depth: u32,
        stencil: u32,
        ref_cnt: u32,
        format: u32,
        r#type "type": u32,
        index_size: u32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_PREPARE_COMPRESSIBLE_READ`].
    pub struct nvgpu_gpu_prepare_compressible_read_args {
        handle: u32,
        /// Out: the valid ones (`valid_compbits` of the vendor's union).
        request_compbits: u32,
        offset: u64,
        compbits_hoffset: u64,
        compbits_voffset: u64,
        width: u32,
        height: u32,
        block_height_log2: u32,
        submit_flags: u32,
        /// In a union with `fd`, for sync fences.
        syncpt_id "fence.syncpt_id": u32,
        syncpt_value "fence.syncpt_value": u32,
        zbc_color: u32,
        reserved: u32,
        scatterbuffer_offset: u64,
        reserved2: [u32; 2],
    }

    /// Argument of [`NVGPU_GPU_IOCTL_MARK_COMPRESSIBLE_WRITE`].
    pub struct nvgpu_gpu_mark_compressible_write_args {
        handle: u32,
        valid_compbits: u32,
        offset: u64,
        zbc_color: u32,
        reserved: [u32; 3],
    }
}

constants! {
    /// A layout of compression bits.
    u32 {
        NVGPU_GPU_COMPBITS_NONE = 0,
        NVGPU_GPU_COMPBITS_GPU = 1,
        NVGPU_GPU_COMPBITS_CDEH = 2,
        NVGPU_GPU_COMPBITS_CDEV = 4,
    }

    /// A clock.
    u32 {
        NVGPU_GPU_CLK_DOMAIN_MCLK = 0,
        NVGPU_GPU_CLK_DOMAIN_GPCCLK = 1,
    }

    /// Only the clocks listed, not all of them.
    u32 {
        NVGPU_GPU_CLK_FLAG_SPECIFIC_DOMAINS = 1,
    }

    /// Which frequency of a clock is meant.
    u16 {
        NVGPU_GPU_CLK_TYPE_TARGET = 1,
        NVGPU_GPU_CLK_TYPE_ACTUAL = 2,
        NVGPU_GPU_CLK_TYPE_EFFECTIVE = 3,
    }

    /// A supply of [`nvgpu_gpu_get_voltage_args`].
    u32 {
        NVGPU_GPU_VOLTAGE_CORE = 1,
        NVGPU_GPU_VOLTAGE_SRAM = 2,
        NVGPU_GPU_VOLTAGE_BUS = 3,
    }

    /// Words of a colour in the tables of zero-bandwidth clears.
    u32 {
        NVGPU_ZBC_COLOR_VALUE_SIZE = 4,
    }

    /// A table of zero-bandwidth clears.
    u32 {
        NVGPU_ZBC_TYPE_INVALID = 0,
        NVGPU_ZBC_TYPE_COLOR = 1,
        NVGPU_ZBC_TYPE_DEPTH = 2,
        NVGPU_ZBC_TYPE_STENCIL = 3,
    }
}

requests! {
    /// The range of each clock.
    pub const NVGPU_GPU_IOCTL_CLK_GET_RANGE: Request<nvgpu_gpu_clk_range_args> = rw(b'G', 28);

    /// The frequencies that a clock can have.
    pub const NVGPU_GPU_IOCTL_CLK_GET_VF_POINTS: Request<nvgpu_gpu_clk_vf_points_args> =
        rw(b'G', 29);

    /// The frequency of each clock.
    pub const NVGPU_GPU_IOCTL_CLK_GET_INFO: Request<nvgpu_gpu_clk_get_info_args> = rw(b'G', 30);

    /// Asks for the frequency of clocks.
    pub const NVGPU_GPU_IOCTL_CLK_SET_INFO: Request<nvgpu_gpu_clk_set_info_args> = rw(b'G', 31);

    /// Opens an event session.
    pub const NVGPU_GPU_IOCTL_GET_EVENT_FD: Request<nvgpu_gpu_get_event_fd_args> = rw(b'G', 32);

    /// The voltage of a supply.
    pub const NVGPU_GPU_IOCTL_GET_VOLTAGE: Request<nvgpu_gpu_get_voltage_args> = rw(b'G', 34);

    /// The current drawn.
    pub const NVGPU_GPU_IOCTL_GET_CURRENT: Request<nvgpu_gpu_get_current_args> = rw(b'G', 35);

    /// The power drawn.
    pub const NVGPU_GPU_IOCTL_GET_POWER: Request<nvgpu_gpu_get_power_args> = rw(b'G', 36);

    /// The temperature.
    pub const NVGPU_GPU_IOCTL_GET_TEMPERATURE: Request<nvgpu_gpu_get_temperature_args> =
        rw(b'G', 37);

    /// The temperature that raises an event.
    pub const NVGPU_GPU_IOCTL_SET_THERM_ALERT_LIMIT: Request<nvgpu_gpu_set_therm_alert_limit_args> =
        rw(b'G', 39);

    /// Debugging of the MMU, on or off.
    pub const NVGPU_GPU_IOCTL_SET_MMUDEBUG_MODE: Request<nvgpu_gpu_mmu_debug_mode_args> =
        rw(b'G', 14);

    /// Debugging of SMs, on or off.
    pub const NVGPU_GPU_IOCTL_SET_SM_DEBUG_MODE: Request<nvgpu_gpu_sm_debug_mode_args> =
        rw(b'G', 15);

    /// Waits until all warps pause.
    pub const NVGPU_GPU_IOCTL_WAIT_FOR_PAUSE: Request<nvgpu_gpu_wait_pause_args> = rw(b'G', 16);

    /// Which SMs report exceptions.
    pub const NVGPU_GPU_IOCTL_GET_TPC_EXCEPTION_EN_STATUS:
        Request<nvgpu_gpu_tpc_exception_en_status_args> = rw(b'G', 17);

    /// Lets paused warps run.
    pub const NVGPU_GPU_IOCTL_RESUME_FROM_PAUSE: Request<()> = none(b'G', 21);

    /// Pauses all warps.
    pub const NVGPU_GPU_IOCTL_TRIGGER_SUSPEND: Request<()> = none(b'G', 22);

    /// Forgets the errors of all SMs.
    pub const NVGPU_GPU_IOCTL_CLEAR_SM_ERRORS: Request<()> = none(b'G', 23);

    /// Size of the zcull context.
    pub const NVGPU_GPU_IOCTL_ZCULL_GET_CTX_SIZE: Request<nvgpu_gpu_zcull_get_ctx_size_args> =
        r(b'G', 1);

    /// Geometry of zcull.
    pub const NVGPU_GPU_IOCTL_ZCULL_GET_INFO: Request<nvgpu_gpu_zcull_get_info_args> = r(b'G', 2);

    /// Adds an entry to a table of zero-bandwidth clears.
    pub const NVGPU_GPU_IOCTL_ZBC_SET_TABLE: Request<nvgpu_gpu_zbc_set_table_args> = w(b'G', 3);

    /// Reads an entry of a table of zero-bandwidth clears.
    pub const NVGPU_GPU_IOCTL_ZBC_QUERY_TABLE: Request<nvgpu_gpu_zbc_query_table_args> =
        rw(b'G', 4);

    /// Makes compression bits readable for another unit.
    pub const NVGPU_GPU_IOCTL_PREPARE_COMPRESSIBLE_READ:
        Request<nvgpu_gpu_prepare_compressible_read_args> = rw(b'G', 6);

    /// Tells that a surface was written.
    pub const NVGPU_GPU_IOCTL_MARK_COMPRESSIBLE_WRITE:
        Request<nvgpu_gpu_mark_compressible_write_args> = rw(b'G', 7);
}
