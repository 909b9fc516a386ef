//! What `NV_ESC_RM_CONTROL` calls: controls of objects, and their parameters. Here those of the client,
//! devices, subdevices and of the object of confidential computing.

pub(crate) mod channel;
pub(crate) mod debugger;

pub use channel::*;
pub use debugger::*;

use super::Control;
use crate::declare::Module;

pub(crate) const MODULE: Module = Module {
    structs: STRUCTS,
    bits: BITS,
    constants: CONSTANTS,
    controls: CONTROLS,
    ..Module::EMPTY
};

structs! {
    /// Parameters of [`NV0000_CTRL_CMD_SYSTEM_GET_BUILD_VERSION_V2`]: strings that end with a zero
    /// byte.
    pub struct NV0000_CTRL_SYSTEM_GET_BUILD_VERSION_V2_PARAMS {
        driverVersionBuffer: [u8; 256],
        versionBuffer: [u8; 256],
        driverBranch: [u8; 256],
        titleBuffer: [u8; 256],
        changelistNumber: u32,
        officialChangelistNumber: u32,
    }

    /// Parameters of [`NV0000_CTRL_CMD_GPU_GET_ID_INFO_V2`].
    pub struct NV0000_CTRL_GPU_GET_ID_INFO_V2_PARAMS {
        /// In, from `NV_ESC_CARD_INFO`.
        gpuId: u32,
        gpuFlags: u32,
        deviceInstance: u32,
        subDeviceInstance: u32,
        sliStatus: u32,
        boardId: u32,
        gpuInstance: u32,
        numaId: i32,
    }

    /// Parameters of [`NV0000_CTRL_CMD_GPU_GET_PROBED_IDS`].
    pub struct NV0000_CTRL_GPU_GET_PROBED_IDS_PARAMS {
        /// Out: ends with 0xffffffff.
        gpuIds: [u32; 32],
        excludedGpuIds: [u32; 32],
        gpuFlags: [u32; 32],
    }

    /// Parameters of [`NV0000_CTRL_CMD_GPU_ATTACH_IDS`].
    pub struct NV0000_CTRL_GPU_ATTACH_IDS_PARAMS {
        /// Ends with 0xffffffff.
        gpuIds: [u32; 32],
        failedId: u32,
    }

    /// Parameters of [`NV0080_CTRL_CMD_GPU_GET_CLASSLIST`].
    pub struct NV0080_CTRL_GPU_GET_CLASSLIST_PARAMS {
        /// In: entries at `classList`, 0 to ask for their number. Out: that number.
        numClasses: u32,
        _pad0: u32,
        /// Address of a `u32` per class.
        classList: u64,
    }

    /// Parameters of [`NV0080_CTRL_CMD_GPU_GET_CLASSLIST_V2`].
    pub struct NV0080_CTRL_GPU_GET_CLASSLIST_V2_PARAMS {
        numClasses: u32,
        classList: [u32; 200],
    }

    /// Parameters of [`NV2080_CTRL_CMD_GPU_GET_GID_INFO`].
    pub struct NV2080_CTRL_GPU_GET_GID_INFO_PARAMS {
        index: u32,
        /// [`NV2080_GPU_CMD_GPU_GET_GID_FLAGS_FORMAT_BINARY`], or text.
        flags: u32,
        /// 16 for bytes.
        length: u32,
        data: [u8; 256],
    }

    /// Parameters of [`NV2080_CTRL_CMD_GPU_GET_NAME_STRING`].
    pub struct NV2080_CTRL_GPU_GET_NAME_STRING_PARAMS {
        gpuNameStringFlags: u32,
        /// Ends with a zero byte. Twice as long where the flags ask for 16-bit characters.
        ascii "gpuNameString.ascii": [u8; 64],
        _pad0: [u8; 64],
    }

    /// An index to ask for and the answer, in lists of controls.
    pub struct NVXXXX_CTRL_XXX_INFO {
        index: u32,
        data: u32,
    }

    /// Parameters of [`NV2080_CTRL_CMD_GPU_GET_INFO_V2`].
    pub struct NV2080_CTRL_GPU_GET_INFO_V2_PARAMS {
        gpuInfoListSize: u32,
        gpuInfoList: [NVXXXX_CTRL_XXX_INFO; 70],
    }

    /// A format of page tables.
    pub struct NV0080_CTRL_DMA_ADV_SCHED_GET_VA_CAPS_PAGE_TABLE_FORMAT {
        pageTableSize: u32,
        pageTableCoverage: u32,
    }

    /// Parameters of [`NV0080_CTRL_CMD_DMA_ADV_SCHED_GET_VA_CAPS`].
    pub struct NV0080_CTRL_DMA_ADV_SCHED_GET_VA_CAPS_PARAMS {
        /// Out: bits of an address.
        vaBitCount: u32,
        pdeCoverageBitCount: u32,
        num4KPageTableFormats: u32,
        bigPageSize: u32,
        compressionPageSize: u32,
        dualPageTableSupported: u32,
        idealVRAMPageSize: u32,
        pageTableBigFormat: NV0080_CTRL_DMA_ADV_SCHED_GET_VA_CAPS_PAGE_TABLE_FORMAT,
        pageTable4KFormat: [NV0080_CTRL_DMA_ADV_SCHED_GET_VA_CAPS_PAGE_TABLE_FORMAT; 16],
        /// The address space; 0 for the device's own.
        hVASpace: u32,
        vaRangeLo: u64,
        vaSpaceId: u32,
        _pad0: u32,
        supportedPageSizeMask: u64,
    }

    /// Parameters of [`NV2080_CTRL_CMD_GPU_GET_ENGINES_V2`].
    pub struct NV2080_CTRL_GPU_GET_ENGINES_V2_PARAMS {
        engineCount: u32,
        /// Out: `NV2080_ENGINE_TYPE_*`.
        engineList: [u32; 84],
    }

    /// Which graphics engine is meant; zeros for the only one.
    pub struct NV2080_CTRL_GR_ROUTE_INFO {
        flags: u32,
        _pad0: u32,
        route: u64,
    }

    /// An index to ask for, one of `NV2080_CTRL_GR_INFO_INDEX_*`, and the answer.
    pub struct NV2080_CTRL_GR_INFO {
        index: u32,
        data: u32,
    }

    /// Parameters of [`NV2080_CTRL_CMD_GR_GET_INFO`].
    pub struct NV2080_CTRL_GR_GET_INFO_PARAMS {
        grInfoListSize: u32,
        _pad0: u32,
        /// Address of `grInfoListSize` [`NV2080_CTRL_GR_INFO`].
        grInfoList: u64,
        grRouteInfo: NV2080_CTRL_GR_ROUTE_INFO,
    }

    /// Parameters of [`NV2080_CTRL_CMD_GR_GET_GLOBAL_SM_ORDER`].
    pub struct NV2080_CTRL_GR_GET_GLOBAL_SM_ORDER_PARAMS {
        /// Out: nine numbers that say where an SM is.
        globalSmId: [[u16; 9]; 512],
        /// Out: the SMs that are switched on.
        numSm: u16,
        numTpc: u16,
        _pad0: u32,
        grRouteInfo: NV2080_CTRL_GR_ROUTE_INFO,
    }

    /// Parameters of [`NV2080_CTRL_CMD_MC_GET_ARCH_INFO`].
    pub struct NV2080_CTRL_MC_GET_ARCH_INFO_PARAMS {
        architecture: u32,
        implementation: u32,
        revision: u32,
        subRevision: u8,
        _pad0: [u8; 3],
    }

    /// Parameters of [`NV2080_CTRL_CMD_FB_GET_INFO_V2`].
    pub struct NV2080_CTRL_FB_GET_INFO_V2_PARAMS {
        fbInfoListSize: u32,
        fbInfoList: [NVXXXX_CTRL_XXX_INFO; 128],
    }

    /// Parameters of [`NV2080_CTRL_CMD_FB_FLUSH_GPU_CACHE`].
    pub struct NV2080_CTRL_FB_FLUSH_GPU_CACHE_PARAMS {
        addressArray: [u64; 500],
        addressArraySize: u32,
        addressAlign: u32,
        memBlockSizeBytes: u64,
        flags: u32,
        _pad0: u32,
    }

    /// Parameters of [`NV2080_CTRL_CMD_PERF_BOOST`].
    pub struct NV2080_CTRL_PERF_BOOST_PARAMS {
        /// The fields `NV2080_CTRL_PERF_BOOST_FLAGS_*`.
        flags: u32,
        /// In seconds, 0xffffffff for ever.
        duration: u32,
    }

    /// Parameters of [`NV2080_CTRL_CMD_CE_GET_CAPS_V2`].
    pub struct NV2080_CTRL_CE_GET_CAPS_V2_PARAMS {
        ceEngineType: u32,
        /// The first byte: flags `NV2080_CTRL_CE_CAPS_*`.
        capsTbl: [u8; 2],
        _pad0: u16,
    }

    /// A pair of clocks read together.
    pub struct NV2080_CTRL_TIMER_GPU_CPU_TIME_SAMPLE {
        cpuTime: u64,
        gpuTime: u64,
    }

    /// Parameters of [`NV2080_CTRL_CMD_TIMER_GET_GPU_CPU_TIME_CORRELATION_INFO`].
    pub struct NV2080_CTRL_TIMER_GET_GPU_CPU_TIME_CORRELATION_INFO_PARAMS {
        cpuClkId: u8,
        sampleCount: u8,
        _pad0: [u8; 6],
        samples: [NV2080_CTRL_TIMER_GPU_CPU_TIME_SAMPLE; 16],
    }

    /// Parameters of [`NV_CONF_COMPUTE_CTRL_CMD_SYSTEM_GET_CAPABILITIES`].
    pub struct NV_CONF_COMPUTE_CTRL_CMD_SYSTEM_GET_CAPABILITIES_PARAMS {
        cpuCapability: u8,
        gpusCapability: u8,
        environment: u8,
        /// One of `NV_CONF_COMPUTE_SYSTEM_FEATURE_*`.
        ccFeature: u8,
        devToolsMode: u8,
        multiGpuMode: u8,
    }
}

bits! {
    /// Fields of the flags of [`NV2080_CTRL_PERF_BOOST_PARAMS`].
    {
        NV2080_CTRL_PERF_BOOST_FLAGS_CMD = 1:0,
        NV2080_CTRL_PERF_BOOST_FLAGS_CUDA = 4:4,
        NV2080_CTRL_PERF_BOOST_FLAGS_ASYNC = 5:5,
        NV2080_CTRL_PERF_BOOST_FLAGS_CUDA_PRIORITY = 6:6,
    }
}

constants! {
    /// Values of the fields of the flags of [`NV2080_CTRL_PERF_BOOST_PARAMS`].
    u32 {
        NV2080_CTRL_PERF_BOOST_FLAGS_CMD_CLEAR = 0,
        NV2080_CTRL_PERF_BOOST_FLAGS_CMD_BOOST_1LEVEL = 1,
        NV2080_CTRL_PERF_BOOST_FLAGS_CMD_BOOST_TO_MAX = 2,
        NV2080_CTRL_PERF_BOOST_FLAGS_CUDA_NO = 0,
        NV2080_CTRL_PERF_BOOST_FLAGS_CUDA_YES = 1,
        NV2080_CTRL_PERF_BOOST_FLAGS_ASYNC_NO = 0,
        NV2080_CTRL_PERF_BOOST_FLAGS_ASYNC_YES = 1,
        NV2080_CTRL_PERF_BOOST_FLAGS_CUDA_PRIORITY_DEFAULT = 0,
        NV2080_CTRL_PERF_BOOST_FLAGS_CUDA_PRIORITY_HIGH = 1,
    }

    /// What [`NV2080_CTRL_CMD_GR_GET_INFO`] can be asked for.
    u32 {
        NV2080_CTRL_GR_INFO_INDEX_THREAD_STACK_SCALING_FACTOR = 8,
        NV2080_CTRL_GR_INFO_INDEX_SHADER_PIPE_SUB_COUNT = 9,
        NV2080_CTRL_GR_INFO_INDEX_SM_VERSION = 0xc,
        NV2080_CTRL_GR_INFO_INDEX_MAX_WARPS_PER_SM = 0xd,
        NV2080_CTRL_GR_INFO_INDEX_LITTER_NUM_GPCS = 0x14,
        NV2080_CTRL_GR_INFO_INDEX_LITTER_NUM_TPC_PER_GPC = 0x17,
        NV2080_CTRL_GR_INFO_INDEX_LITTER_NUM_SM_PER_TPC = 0x20,
    }

    /// What [`NV2080_CTRL_CMD_FB_GET_INFO_V2`] can be asked for; in bytes.
    u32 {
        NV2080_CTRL_FB_INFO_INDEX_L2CACHE_SIZE = 0x1b,
    }

    /// The form of a UUID.
    u32 {
        NV2080_GPU_CMD_GPU_GET_GID_FLAGS_FORMAT_BINARY = 2,
    }

    /// What a copy engine is: part of the graphics engine, one that others share, one for reading
    /// or writing main memory.
    u8 {
        NV2080_CTRL_CE_CAPS_CE_GRCE = 0x1,
        NV2080_CTRL_CE_CAPS_CE_SHARED = 0x2,
        NV2080_CTRL_CE_CAPS_CE_SYSMEM_READ = 0x4,
        NV2080_CTRL_CE_CAPS_CE_SYSMEM_WRITE = 0x8,
        NV2080_CTRL_CE_CAPS_CE_NVLINK_P2P = 0x10,
        NV2080_CTRL_CE_CAPS_CE_SYSMEM = 0x20,
        NV2080_CTRL_CE_CAPS_CE_P2P = 0x40,
    }

    /// Whether the GPUs protect their memory.
    u8 {
        NV_CONF_COMPUTE_SYSTEM_FEATURE_DISABLED = 0,
        NV_CONF_COMPUTE_SYSTEM_FEATURE_APM_ENABLED = 1,
        NV_CONF_COMPUTE_SYSTEM_FEATURE_HCC_ENABLED = 2,
    }
}

controls! {
    /// The version of the driver. On the client, as all of `NV0000`.
    pub const NV0000_CTRL_CMD_SYSTEM_GET_BUILD_VERSION_V2:
        Control<NV0000_CTRL_SYSTEM_GET_BUILD_VERSION_V2_PARAMS> = new(0x13e);

    /// The device and subdevice number of a GPU.
    pub const NV0000_CTRL_CMD_GPU_GET_ID_INFO_V2: Control<NV0000_CTRL_GPU_GET_ID_INFO_V2_PARAMS> =
        new(0x205);

    /// The GPUs that the driver found.
    pub const NV0000_CTRL_CMD_GPU_GET_PROBED_IDS: Control<NV0000_CTRL_GPU_GET_PROBED_IDS_PARAMS> =
        new(0x214);

    /// Makes the driver start GPUs.
    pub const NV0000_CTRL_CMD_GPU_ATTACH_IDS: Control<NV0000_CTRL_GPU_ATTACH_IDS_PARAMS> =
        new(0x215);

    /// The classes of a GPU. On the device, as all of `NV0080`.
    pub const NV0080_CTRL_CMD_GPU_GET_CLASSLIST: Control<NV0080_CTRL_GPU_GET_CLASSLIST_PARAMS> =
        new(0x800201);

    /// The same in one call.
    pub const NV0080_CTRL_CMD_GPU_GET_CLASSLIST_V2:
        Control<NV0080_CTRL_GPU_GET_CLASSLIST_V2_PARAMS> = new(0x800292);

    /// What an address space of the device can. On the device.
    pub const NV0080_CTRL_CMD_DMA_ADV_SCHED_GET_VA_CAPS:
        Control<NV0080_CTRL_DMA_ADV_SCHED_GET_VA_CAPS_PARAMS> = new(0x801806);

    /// The UUID of a GPU. On the subdevice, as all of `NV2080`.
    pub const NV2080_CTRL_CMD_GPU_GET_GID_INFO: Control<NV2080_CTRL_GPU_GET_GID_INFO_PARAMS> =
        new(0x2080014a);

    /// The name of a GPU.
    pub const NV2080_CTRL_CMD_GPU_GET_NAME_STRING: Control<NV2080_CTRL_GPU_GET_NAME_STRING_PARAMS> =
        new(0x20800110);

    /// What a GPU is, index by index.
    pub const NV2080_CTRL_CMD_GPU_GET_INFO_V2: Control<NV2080_CTRL_GPU_GET_INFO_V2_PARAMS> =
        new(0x20800102);

    /// The engines of a GPU.
    pub const NV2080_CTRL_CMD_GPU_GET_ENGINES_V2: Control<NV2080_CTRL_GPU_GET_ENGINES_V2_PARAMS> =
        new(0x20800170);

    /// What the compute engine is, index by index.
    pub const NV2080_CTRL_CMD_GR_GET_INFO: Control<NV2080_CTRL_GR_GET_INFO_PARAMS> =
        new(0x20801201);

    /// The SMs of the compute engine.
    pub const NV2080_CTRL_CMD_GR_GET_GLOBAL_SM_ORDER: Control<NV2080_CTRL_GR_GET_GLOBAL_SM_ORDER_PARAMS> =
        new(0x2080121b);

    /// The chip.
    pub const NV2080_CTRL_CMD_MC_GET_ARCH_INFO: Control<NV2080_CTRL_MC_GET_ARCH_INFO_PARAMS> =
        new(0x20801701);

    /// What the video memory is, index by index.
    pub const NV2080_CTRL_CMD_FB_GET_INFO_V2: Control<NV2080_CTRL_FB_GET_INFO_V2_PARAMS> =
        new(0x20801303);

    /// Flushes the L2 cache.
    pub const NV2080_CTRL_CMD_FB_FLUSH_GPU_CACHE: Control<NV2080_CTRL_FB_FLUSH_GPU_CACHE_PARAMS> =
        new(0x2080130e);

    /// Raises the clocks. Without it an idle GPU answers at its lowest.
    pub const NV2080_CTRL_CMD_PERF_BOOST: Control<NV2080_CTRL_PERF_BOOST_PARAMS> = new(0x2080200a);

    /// What a copy engine can.
    pub const NV2080_CTRL_CMD_CE_GET_CAPS_V2: Control<NV2080_CTRL_CE_GET_CAPS_V2_PARAMS> =
        new(0x20802a03);

    /// Reads the timer of the GPU and a clock of the CPU together.
    pub const NV2080_CTRL_CMD_TIMER_GET_GPU_CPU_TIME_CORRELATION_INFO:
        Control<NV2080_CTRL_TIMER_GET_GPU_CPU_TIME_CORRELATION_INFO_PARAMS> = new(0x20800406);

    /// Whether memory is encrypted. On the object of confidential computing.
    pub const NV_CONF_COMPUTE_CTRL_CMD_SYSTEM_GET_CAPABILITIES: Control<NV_CONF_COMPUTE_CTRL_CMD_SYSTEM_GET_CAPABILITIES_PARAMS> =
        new(0xcb330101);
}
