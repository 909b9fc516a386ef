//! The ctrl fd, `/dev/nvgpu/igpu0/ctrl`: what everything else is opened from.
//!
//! Mapping this fd gives the page of the doorbell.

use super::channel::{ComputePreemptionMode, GraphicsPreemptionMode};
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
    /// What [`NVGPU_GPU_IOCTL_GET_CHARACTERISTICS`] tells about the GPU. Later releases append
    /// fields.
    pub struct nvgpu_gpu_characteristics {
        arch: u32,
        r#impl "impl": u32,
        rev: u32,
        /// Depends on the power mode, as `num_tpc_per_gpc` does.
        num_gpc: u32,
        numa_domain_id: i32,
        _pad0: u32,
        L2_cache_size: u64,
        on_board_video_memory_size: u64,
        num_tpc_per_gpc: u32,
        bus_type: u32,
        /// 0 where the GPU has no IOMMU domain: 4 KiB pages only. Measured 0 on an AGX Orin.
        big_page_size: u32,
        compression_page_size: u32,
        pde_coverage_bit_count: u32,
        available_big_page_sizes: u32,
        flags: GpuFlags,
        twod_class: u32,
        threed_class: u32,
        /// The class to name in `NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX`, as is `dma_copy_class`.
        compute_class: u32,
        gpfifo_class: u32,
        inline_to_memory_class: u32,
        dma_copy_class: u32,
        gpc_mask: u32,
        /// 0x807 for compute capability 8.7.
        sm_arch_sm_version: u32,
        sm_arch_spa_version: u32,
        sm_arch_warp_count: u32,
        gpu_ioctl_nr_last: i16,
        tsg_ioctl_nr_last: i16,
        dbg_gpu_ioctl_nr_last: i16,
        ioctl_channel_nr_last: i16,
        as_ioctl_nr_last: i16,
        /// A constant 40; the hardware has 49.
        gpu_va_bit_count: u8,
        reserved: u8,
        max_fbps_count: u32,
        fbp_en_mask: u32,
        emc_en_mask: u32,
        max_ltc_per_fbp: u32,
        max_lts_per_ltc: u32,
        max_tex_per_tpc: u32,
        max_gpc_count: u32,
        rop_l2_en_mask_DEPRECATED: [u32; 2],
        chipname: [u8; 8],
        gr_compbit_store_base_hw: u64,
        gr_gobs_per_comptagline_per_slice: u32,
        num_ltc: u32,
        lts_per_ltc: u32,
        cbc_cache_line_size: u32,
        cbc_comptags_per_line: u32,
        map_buffer_batch_limit: u32,
        /// In Hz.
        max_freq: u64,
        graphics_preemption_mode_flags: GraphicsPreemptionMode,
        compute_preemption_mode_flags: ComputePreemptionMode,
        default_graphics_preempt_mode: GraphicsPreemptionMode,
        default_compute_preempt_mode: ComputePreemptionMode,
        local_video_memory_size: u64,
        pci_vendor_id: u16,
        pci_device_id: u16,
        pci_subsystem_vendor_id: u16,
        pci_subsystem_device_id: u16,
        pci_class: u16,
        pci_revision: u8,
        vbios_oem_version: u8,
        vbios_version: u32,
        reg_ops_limit: u32,
        reserved1: u32,
        event_ioctl_nr_last: i16,
        pad: u16,
        max_css_buffer_size: u32,
        ctxsw_ioctl_nr_last: i16,
        prof_ioctl_nr_last: i16,
        nvs_ioctl_nr_last: i16,
        reserved2: [u8; 2],
        max_ctxsw_ring_buffer_size: u32,
        reserved3: u32,
        per_device_identifier: u64,
        num_ppc_per_gpc: u32,
        max_veid_count_per_tsg: u32,
        num_sub_partition_per_fbpa: u32,
        gpu_instance_id: u32,
        gr_instance_id: u32,
        max_gpfifo_entries: u32,
        max_dbg_tsg_timeslice: u32,
        reserved5: u32,
        device_instance_id: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_CHARACTERISTICS`].
    pub struct nvgpu_gpu_get_characteristics {
        /// In: bytes at the address, 0 to ask for the size. Out: the size of the driver's struct.
        gpu_characteristics_buf_size: u64,
        /// Address of an [`nvgpu_gpu_characteristics`].
        gpu_characteristics_buf_addr: u64,
    }

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

    /// Argument of [`NVGPU_GPU_IOCTL_GET_TPC_MASKS`].
    pub struct nvgpu_gpu_get_tpc_masks_args {
        /// In: bytes at the address, 0 to ask for the size. Out: the full size.
        mask_buf_size: u32,
        reserved: u32,
        /// Address of a `u32` per GPC.
        mask_buf_addr: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_FBP_L2_MASKS`].
    pub struct nvgpu_gpu_get_fbp_l2_masks_args {
        /// In: bytes at the address, 0 to ask for the size. Out: the full size.
        mask_buf_size: u32,
        reserved: u32,
        /// Address of a `u32` per FBP.
        mask_buf_addr: u64,
    }

    /// An element of the list that [`NVGPU_GPU_IOCTL_GET_ENGINE_INFO`] fills.
    pub struct nvgpu_gpu_get_engine_info_item {
        engine_id: u32,
        engine_instance: u32,
        runlist_id: i32,
        reserved: u32,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_ENGINE_INFO`].
    pub struct nvgpu_gpu_get_engine_info_args {
        /// In: bytes at the address, 0 to ask for the size. Out: the full size.
        engine_info_buf_size: u32,
        reserved: u32,
        /// Address of an array of [`nvgpu_gpu_get_engine_info_item`].
        engine_info_buf_addr: u64,
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

    /// Argument of [`NVGPU_GPU_IOCTL_GET_MEMORY_STATE`].
    pub struct nvgpu_gpu_get_memory_state_args {
        total_free_bytes: u64,
        reserved: [u64; 4],
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_GPC_LOCAL_TO_PHYSICAL_MAP`].
    pub struct nvgpu_gpu_get_gpc_physical_map_args {
        map_buf_size: u32,
        reserved: u32,
        /// Address of a `u32` per GPC.
        physical_gpc_buf_addr: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_GET_GPC_LOCAL_TO_LOGICAL_MAP`].
    pub struct nvgpu_gpu_get_gpc_logical_map_args {
        map_buf_size: u32,
        reserved: u32,
        /// Address of a `u32` per GPC.
        logical_gpc_buf_addr: u64,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_NUM_VSMS`].
    pub struct nvgpu_gpu_num_vsms {
        num_vsms: u32,
        reserved: u32,
    }

    /// An element of the list that [`NVGPU_GPU_IOCTL_VSMS_MAPPING`] fills, one per SM.
    pub struct nvgpu_gpu_vsms_mapping_entry {
        gpc_logical_index: u8,
        gpc_virtual_index: u8,
        tpc_local_logical_index: u8,
        tpc_global_logical_index: u8,
        sm_local_id: u8,
        tpc_migratable_index: u8,
    }

    /// Argument of [`NVGPU_GPU_IOCTL_VSMS_MAPPING`].
    pub struct nvgpu_gpu_vsms_mapping {
        /// Address of an array of [`nvgpu_gpu_vsms_mapping_entry`].
        vsms_map_buf_addr: u64,
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

flags! {
    /// What the GPU and its driver can do.
    pub struct GpuFlags: u64 {
        HAS_SYNCPOINTS = "NVGPU_GPU_FLAGS_HAS_SYNCPOINTS", 0x1;
        SUPPORT_SPARSE_ALLOCS = "NVGPU_GPU_FLAGS_SUPPORT_SPARSE_ALLOCS", 0x4;
        SUPPORT_SYNC_FENCE_FDS = "NVGPU_GPU_FLAGS_SUPPORT_SYNC_FENCE_FDS", 0x8;
        SUPPORT_CYCLE_STATS = "NVGPU_GPU_FLAGS_SUPPORT_CYCLE_STATS", 0x10;
        SUPPORT_CYCLE_STATS_SNAPSHOT = "NVGPU_GPU_FLAGS_SUPPORT_CYCLE_STATS_SNAPSHOT", 0x40;
        SUPPORT_TSG = "NVGPU_GPU_FLAGS_SUPPORT_TSG", 0x100;
        SUPPORT_CLOCK_CONTROLS = "NVGPU_GPU_FLAGS_SUPPORT_CLOCK_CONTROLS", 0x200;
        SUPPORT_GET_VOLTAGE = "NVGPU_GPU_FLAGS_SUPPORT_GET_VOLTAGE", 0x400;
        SUPPORT_GET_CURRENT = "NVGPU_GPU_FLAGS_SUPPORT_GET_CURRENT", 0x800;
        SUPPORT_GET_POWER = "NVGPU_GPU_FLAGS_SUPPORT_GET_POWER", 0x1000;
        SUPPORT_GET_TEMPERATURE = "NVGPU_GPU_FLAGS_SUPPORT_GET_TEMPERATURE", 0x2000;
        SUPPORT_SET_THERM_ALERT_LIMIT = "NVGPU_GPU_FLAGS_SUPPORT_SET_THERM_ALERT_LIMIT", 0x4000;
        SUPPORT_DEVICE_EVENTS = "NVGPU_GPU_FLAGS_SUPPORT_DEVICE_EVENTS", 0x8000;
        SUPPORT_FECS_CTXSW_TRACE = "NVGPU_GPU_FLAGS_SUPPORT_FECS_CTXSW_TRACE", 0x10000;
        SUPPORT_MAP_COMPBITS = "NVGPU_GPU_FLAGS_SUPPORT_MAP_COMPBITS", 0x20000;
        SUPPORT_DETERMINISTIC_SUBMIT_NO_JOBTRACKING =
            "NVGPU_GPU_FLAGS_SUPPORT_DETERMINISTIC_SUBMIT_NO_JOBTRACKING", 0x40000;
        SUPPORT_DETERMINISTIC_SUBMIT_FULL =
            "NVGPU_GPU_FLAGS_SUPPORT_DETERMINISTIC_SUBMIT_FULL", 0x80000;
        SUPPORT_IO_COHERENCE = "NVGPU_GPU_FLAGS_SUPPORT_IO_COHERENCE", 0x100000;
        SUPPORT_RESCHEDULE_RUNLIST = "NVGPU_GPU_FLAGS_SUPPORT_RESCHEDULE_RUNLIST", 0x200000;
        SUPPORT_TSG_SUBCONTEXTS = "NVGPU_GPU_FLAGS_SUPPORT_TSG_SUBCONTEXTS", 0x400000;
        SUPPORT_DETERMINISTIC_OPTS = "NVGPU_GPU_FLAGS_SUPPORT_DETERMINISTIC_OPTS", 0x1000000;
        SUPPORT_SCG = "NVGPU_GPU_FLAGS_SUPPORT_SCG", 0x2000000;
        SUPPORT_SYNCPOINT_ADDRESS = "NVGPU_GPU_FLAGS_SUPPORT_SYNCPOINT_ADDRESS", 0x4000000;
        SUPPORT_VPR = "NVGPU_GPU_FLAGS_SUPPORT_VPR", 0x8000000;
        SUPPORT_USER_SYNCPOINT = "NVGPU_GPU_FLAGS_SUPPORT_USER_SYNCPOINT", 0x10000000;
        CAN_RAILGATE = "NVGPU_GPU_FLAGS_CAN_RAILGATE", 0x20000000;
        SUPPORT_USERMODE_SUBMIT = "NVGPU_GPU_FLAGS_SUPPORT_USERMODE_SUBMIT", 0x40000000;
        DRIVER_REDUCED_PROFILE = "NVGPU_GPU_FLAGS_DRIVER_REDUCED_PROFILE", 0x80000000;
        SUPPORT_SET_CTX_MMU_DEBUG_MODE =
            "NVGPU_GPU_FLAGS_SUPPORT_SET_CTX_MMU_DEBUG_MODE", 0x100000000;
        SUPPORT_FAULT_RECOVERY = "NVGPU_GPU_FLAGS_SUPPORT_FAULT_RECOVERY", 0x200000000;
        SUPPORT_MAPPING_MODIFY = "NVGPU_GPU_FLAGS_SUPPORT_MAPPING_MODIFY", 0x400000000;
        SUPPORT_REMAP = "NVGPU_GPU_FLAGS_SUPPORT_REMAP", 0x800000000;
        SUPPORT_COMPRESSION = "NVGPU_GPU_FLAGS_SUPPORT_COMPRESSION", 0x1000000000;
        SUPPORT_SM_TTU = "NVGPU_GPU_FLAGS_SUPPORT_SM_TTU", 0x2000000000;
        SUPPORT_POST_L2_COMPRESSION = "NVGPU_GPU_FLAGS_SUPPORT_POST_L2_COMPRESSION", 0x4000000000;
        SUPPORT_MAP_ACCESS_TYPE = "NVGPU_GPU_FLAGS_SUPPORT_MAP_ACCESS_TYPE", 0x8000000000;
        SUPPORT_2D = "NVGPU_GPU_FLAGS_SUPPORT_2D", 0x10000000000;
        SUPPORT_3D = "NVGPU_GPU_FLAGS_SUPPORT_3D", 0x20000000000;
        SUPPORT_COMPUTE = "NVGPU_GPU_FLAGS_SUPPORT_COMPUTE", 0x40000000000;
        SUPPORT_I2M = "NVGPU_GPU_FLAGS_SUPPORT_I2M", 0x80000000000;
        SUPPORT_ZBC = "NVGPU_GPU_FLAGS_SUPPORT_ZBC", 0x100000000000;
        SUPPORT_PROFILER_V2_DEVICE = "NVGPU_GPU_FLAGS_SUPPORT_PROFILER_V2_DEVICE", 0x400000000000;
        SUPPORT_PROFILER_V2_CONTEXT = "NVGPU_GPU_FLAGS_SUPPORT_PROFILER_V2_CONTEXT", 0x800000000000;
        SUPPORT_SMPC_GLOBAL_MODE = "NVGPU_GPU_FLAGS_SUPPORT_SMPC_GLOBAL_MODE", 0x1000000000000;
        SUPPORT_GET_GR_CONTEXT = "NVGPU_GPU_FLAGS_SUPPORT_GET_GR_CONTEXT", 0x2000000000000;
        SUPPORT_BUFFER_METADATA = "NVGPU_GPU_FLAGS_SUPPORT_BUFFER_METADATA", 0x4000000000000;
        L2_MAX_WAYS_EVICT_LAST_ENABLED =
            "NVGPU_GPU_FLAGS_L2_MAX_WAYS_EVICT_LAST_ENABLED", 0x8000000000000;
        SUPPORT_VAB = "NVGPU_GPU_FLAGS_SUPPORT_VAB", 0x10000000000000;
        SUPPORT_NVS = "NVGPU_GPU_FLAGS_SUPPORT_NVS", 0x20000000000000;
        SCHED_EXIT_WAIT_FOR_ERRBAR_SUPPORTED =
            "NVGPU_GPU_FLAGS_SCHED_EXIT_WAIT_FOR_ERRBAR_SUPPORTED", 0x80000000000000;
        MULTI_PROCESS_TSG_SHARING = "NVGPU_GPU_FLAGS_MULTI_PROCESS_TSG_SHARING", 0x100000000000000;
        ECC_ENABLED_SM_LRF = "NVGPU_GPU_FLAGS_ECC_ENABLED_SM_LRF", 0x1000000000000000;
        SUPPORT_GPU_MMIO = "NVGPU_GPU_FLAGS_SUPPORT_GPU_MMIO", 0x200000000000000;
        ECC_ENABLED_SM_SHM = "NVGPU_GPU_FLAGS_ECC_ENABLED_SM_SHM", 0x2000000000000000;
        ECC_ENABLED_TEX = "NVGPU_GPU_FLAGS_ECC_ENABLED_TEX", 0x4000000000000000;
        ECC_ENABLED_LTC = "NVGPU_GPU_FLAGS_ECC_ENABLED_LTC", 0x8000000000000000;
        ALL_ECC_ENABLED = "NVGPU_GPU_FLAGS_ALL_ECC_ENABLED", 0xf000000000000000;
    }

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

    /// A chip family, as `arch` of the characteristics has it. Later ones have no name in these
    /// headers (0x170 is Ampere).
    u32 {
        NVGPU_GPU_ARCH_GK100 = 0xe0,
        NVGPU_GPU_ARCH_GM200 = 0x120,
        NVGPU_GPU_ARCH_GP100 = 0x130,
        NVGPU_GPU_ARCH_GV110 = 0x150,
        NVGPU_GPU_ARCH_GV100 = 0x140,
    }

    /// A chip of a family, as `impl` of the characteristics has it.
    u32 {
        NVGPU_GPU_IMPL_GK20A = 0xa,
        NVGPU_GPU_IMPL_GM204 = 4,
        NVGPU_GPU_IMPL_GM206 = 6,
        NVGPU_GPU_IMPL_GM20B = 0xb,
        NVGPU_GPU_IMPL_GM20B_B = 0xe,
        NVGPU_GPU_IMPL_GP104 = 4,
        NVGPU_GPU_IMPL_GP106 = 6,
        NVGPU_GPU_IMPL_GP10B = 0xb,
        NVGPU_GPU_IMPL_GV11B = 0xb,
        NVGPU_GPU_IMPL_GV100 = 0,
    }

    /// How the GPU is attached, as `bus_type` of the characteristics has it.
    u32 {
        NVGPU_GPU_BUS_TYPE_NONE = 0,
        NVGPU_GPU_BUS_TYPE_AXI = 0x20,
    }

    /// `numa_domain_id` of the characteristics where there is none.
    i32 {
        NVGPU_GPU_CHARACTERISTICS_NO_NUMA_INFO = -1,
    }

    /// An engine of [`nvgpu_gpu_get_engine_info_item`].
    u32 {
        NVGPU_GPU_ENGINE_ID_GR = 0,
        NVGPU_GPU_ENGINE_ID_GR_COPY = 1,
        NVGPU_GPU_ENGINE_ID_ASYNC_COPY = 2,
        NVGPU_GPU_ENGINE_ID_NVENC = 5,
        NVGPU_GPU_ENGINE_ID_OFA = 6,
        NVGPU_GPU_ENGINE_ID_NVDEC = 7,
        NVGPU_GPU_ENGINE_ID_NVJPG = 8,
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

    /// A layout of compression bits.
    u32 {
        NVGPU_GPU_COMPBITS_NONE = 0,
        NVGPU_GPU_COMPBITS_GPU = 1,
        NVGPU_GPU_COMPBITS_CDEH = 2,
        NVGPU_GPU_COMPBITS_CDEV = 4,
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
    /// What the GPU is and can. The first call powers it on, which takes some 100 ms.
    pub const NVGPU_GPU_IOCTL_GET_CHARACTERISTICS: Request<nvgpu_gpu_get_characteristics> =
        rw(b'G', 5);

    /// Opens an address space.
    pub const NVGPU_GPU_IOCTL_ALLOC_AS: Request<nvgpu_alloc_as_args> = rw(b'G', 8);

    /// Opens a time-slice group of channels.
    pub const NVGPU_GPU_IOCTL_OPEN_TSG: Request<nvgpu_gpu_open_tsg_args> = rw(b'G', 9);

    /// Opens a channel.
    pub const NVGPU_GPU_IOCTL_OPEN_CHANNEL: Request<nvgpu_gpu_open_channel_args> = rw(b'G', 11);

    /// Which TPCs each GPC has.
    pub const NVGPU_GPU_IOCTL_GET_TPC_MASKS: Request<nvgpu_gpu_get_tpc_masks_args> = rw(b'G', 10);

    /// Which L2 slices each memory partition has.
    pub const NVGPU_GPU_IOCTL_GET_FBP_L2_MASKS: Request<nvgpu_gpu_get_fbp_l2_masks_args> =
        rw(b'G', 38);

    /// The engines and their runlists.
    pub const NVGPU_GPU_IOCTL_GET_ENGINE_INFO: Request<nvgpu_gpu_get_engine_info_args> =
        rw(b'G', 26);

    /// Flushes the L2 cache or the writes below it. Does nothing while the GPU is powered off.
    pub const NVGPU_GPU_IOCTL_FLUSH_L2: Request<nvgpu_gpu_l2_fb_args> = rw(b'G', 12);

    /// Reads the GPU's timer.
    pub const NVGPU_GPU_IOCTL_GET_GPU_TIME: Request<nvgpu_gpu_get_gpu_time_args> = rw(b'G', 25);

    /// Reads the GPU's timer and a clock of the CPU together.
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

    /// Free video memory.
    pub const NVGPU_GPU_IOCTL_GET_MEMORY_STATE: Request<nvgpu_gpu_get_memory_state_args> =
        rw(b'G', 33);

    /// The physical number of each GPC.
    pub const NVGPU_GPU_IOCTL_GET_GPC_LOCAL_TO_PHYSICAL_MAP:
        Request<nvgpu_gpu_get_gpc_physical_map_args> = rw(b'G', 43);

    /// The logical number of each GPC.
    pub const NVGPU_GPU_IOCTL_GET_GPC_LOCAL_TO_LOGICAL_MAP:
        Request<nvgpu_gpu_get_gpc_logical_map_args> = rw(b'G', 44);

    /// The number of SMs.
    pub const NVGPU_GPU_IOCTL_NUM_VSMS: Request<nvgpu_gpu_num_vsms> = rw(b'G', 18);

    /// Where each SM is.
    pub const NVGPU_GPU_IOCTL_VSMS_MAPPING: Request<nvgpu_gpu_vsms_mapping> = rw(b'G', 19);

    /// Allocates video memory. A Tegra has none.
    pub const NVGPU_GPU_IOCTL_ALLOC_VIDMEM: Request<nvgpu_gpu_alloc_vidmem_args> = rw(b'G', 27);

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
