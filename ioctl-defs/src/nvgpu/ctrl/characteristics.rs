//! What the GPU is and can do.

use super::super::channel::{ComputePreemptionMode, GraphicsPreemptionMode};
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
}

constants! {
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
}

requests! {
    /// What the GPU is and can. The first call powers it on, which takes some 100 ms.
    pub const NVGPU_GPU_IOCTL_GET_CHARACTERISTICS: Request<nvgpu_gpu_get_characteristics> =
        rw(b'G', 5);

    /// Which TPCs each GPC has.
    pub const NVGPU_GPU_IOCTL_GET_TPC_MASKS: Request<nvgpu_gpu_get_tpc_masks_args> = rw(b'G', 10);

    /// Which L2 slices each memory partition has.
    pub const NVGPU_GPU_IOCTL_GET_FBP_L2_MASKS: Request<nvgpu_gpu_get_fbp_l2_masks_args> =
        rw(b'G', 38);

    /// The engines and their runlists.
    pub const NVGPU_GPU_IOCTL_GET_ENGINE_INFO: Request<nvgpu_gpu_get_engine_info_args> =
        rw(b'G', 26);

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
}
