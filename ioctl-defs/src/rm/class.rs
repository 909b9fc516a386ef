//! What `NV_ESC_RM_ALLOC` allocates: classes and their parameters.
//!
//! The numbers of the compute and copy classes are those that nvgpu names on a Jetson, too.

use super::Class;
use crate::declare::Module;

pub(crate) const MODULE: Module = Module {
    structs: STRUCTS,
    flags: FLAGS,
    bits: BITS,
    constants: CONSTANTS,
    classes: CLASSES,
    ..Module::EMPTY
};

structs! {
    /// Parameters of [`NV01_DEVICE_0`].
    pub struct NV0080_ALLOC_PARAMETERS {
        /// `deviceInstance` of `NV0000_CTRL_CMD_GPU_GET_ID_INFO_V2`.
        deviceId: u32,
        /// The client.
        hClientShare: u32,
        hTargetClient: u32,
        hTargetDevice: u32,
        flags: DeviceFlags,
        _pad0: u32,
        vaSpaceSize: u64,
        vaStartInternal: u64,
        vaLimitInternal: u64,
        /// One of `NV_DEVICE_ALLOCATION_VAMODE_*`.
        vaMode: u32,
        _pad1: u32,
    }

    /// Parameters of [`NV20_SUBDEVICE_0`].
    pub struct NV2080_ALLOC_PARAMETERS {
        subDeviceId: u32,
    }

    /// Parameters of the classes of memory.
    pub struct NV_MEMORY_ALLOCATION_PARAMS {
        owner: u32,
        /// One of `NVOS32_TYPE_*`.
        r#type "type": u32,
        flags: MemoryFlags,
        width: u32,
        height: u32,
        pitch: i32,
        /// The fields `NVOS32_ATTR_*`.
        attr: u32,
        /// The fields `NVOS32_ATTR2_*`.
        attr2: u32,
        format: u32,
        comprCovg: u32,
        zcullCovg: u32,
        _pad0: u32,
        rangeLo: u64,
        rangeHi: u64,
        size: u64,
        alignment: u64,
        offset: u64,
        /// Out: size - 1.
        limit: u64,
        address: u64,
        ctagOffset: u32,
        hVASpace: u32,
        internalflags: u32,
        tag: u32,
        numaNode: i32,
        _pad1: u32,
    }

    /// Parameters of [`NV01_MEMORY_VIRTUAL`].
    pub struct NV_MEMORY_VIRTUAL_ALLOCATION_PARAMS {
        offset: u64,
        limit: u64,
        hVASpace: u32,
        _pad0: u32,
    }

    /// Parameters of [`FERMI_VASPACE_A`].
    pub struct NV_VASPACE_ALLOCATION_PARAMETERS {
        /// One of `NV_VASPACE_ALLOCATION_INDEX_*`.
        index: u32,
        flags: VaSpaceFlags,
        vaSize: u64,
        vaStartInternal: u64,
        vaLimitInternal: u64,
        bigPageSize: u32,
        _pad0: u32,
        vaBase: u64,
        pasid: u32,
        _pad1: u32,
    }

    /// Parameters of [`KEPLER_CHANNEL_GROUP_A`].
    pub struct NV_CHANNEL_GROUP_ALLOCATION_PARAMETERS {
        hObjectError: u32,
        hObjectEccError: u32,
        hVASpace: u32,
        /// One of `NV2080_ENGINE_TYPE_*`.
        engineType: u32,
        bIsCallingContextVgpuPlugin: u8,
        _pad0: [u8; 3],
    }

    /// Parameters of [`FERMI_CONTEXT_SHARE_A`].
    pub struct NV_CTXSHARE_ALLOCATION_PARAMETERS {
        hVASpace: u32,
        /// The field `NV_CTXSHARE_ALLOCATION_FLAGS_SUBCONTEXT`.
        flags: u32,
        subctxId: u32,
    }

    /// Inside [`NV_CHANNEL_ALLOC_PARAMS`]; for RM's own use.
    pub struct NV_MEMORY_DESC_PARAMS {
        base: u64,
        size: u64,
        addressSpace: u32,
        cacheAttrib: u32,
    }

    /// Parameters of the classes of channels.
    pub struct NV_CHANNEL_ALLOC_PARAMS {
        /// Memory for three [`NvNotification`].
        hObjectError: u32,
        hObjectBuffer: u32,
        /// GPU address of the ring.
        gpFifoOffset: u64,
        gpFifoEntries: u32,
        /// The fields `NVOS04_FLAGS_*`.
        flags: u32,
        hContextShare: u32,
        /// 0 with a context share.
        hVASpace: u32,
        /// One per subdevice; the first is the one that counts.
        hUserdMemory: [u32; 8],
        userdOffset: [u64; 8],
        /// One of `NV2080_ENGINE_TYPE_*`; the group has it already.
        engineType: u32,
        cid: u32,
        subDeviceId: u32,
        hObjectEccError: u32,
        instanceMem: NV_MEMORY_DESC_PARAMS,
        userdMem: NV_MEMORY_DESC_PARAMS,
        ramfcMem: NV_MEMORY_DESC_PARAMS,
        mthdbufMem: NV_MEMORY_DESC_PARAMS,
        hPhysChannelGroup: u32,
        internalFlags: u32,
        errorNotifierMem: NV_MEMORY_DESC_PARAMS,
        eccErrorNotifierMem: NV_MEMORY_DESC_PARAMS,
        ProcessID: u32,
        SubProcessID: u32,
        encryptIv: [u32; 3],
        decryptIv: [u32; 3],
        hmacNonce: [u32; 8],
        tpcConfigID: u32,
        _pad0: u32,
    }

    /// Parameters of [`HOPPER_USERMODE_A`].
    pub struct NV_HOPPER_USERMODE_A_PARAMS {
        /// 1 for a doorbell that the GPU itself can map.
        bBar1Mapping: u8,
        bPriv: u8,
    }

    /// Parameters of the copy classes. Without them a channel of Hopper moves to the runlist of the
    /// graphics engine.
    pub struct NVB0B5_ALLOCATION_PARAMETERS {
        /// [`NVB0B5_ALLOCATION_PARAMETERS_VERSION_1`]; with 0, `engineType` counts copy engines.
        version: u32,
        /// One of `NV2080_ENGINE_TYPE_COPY*`.
        engineType: u32,
    }

    /// Parameters of [`NV_CONFIDENTIAL_COMPUTE`].
    pub struct NV_CONFIDENTIAL_COMPUTE_ALLOC_PARAMS {
        /// The client.
        hClient: u32,
    }

    /// Parameters of [`GT200_DEBUGGER`].
    pub struct NV83DE_ALLOC_PARAMETERS {
        hDebuggerClient_Obsolete: u32,
        hAppClient: u32,
        /// The compute object.
        hClass3dObject: u32,
    }

    /// Parameters of the event classes.
    pub struct NV0005_ALLOC_PARAMETERS {
        hParentClient: u32,
        hSrcResource: u32,
        /// [`NV01_EVENT_OS_EVENT`].
        hClass: u32,
        /// What to be told of, and flags `NV01_EVENT_*`.
        notifyIndex: u32,
        /// The fd, for an OS event.
        data: u64,
    }

    /// What RM leaves in memory when a channel fails.
    pub struct NvNotification {
        /// Nanoseconds, low word first.
        timeStamp: [u32; 2],
        /// The code that the kernel log calls Xid.
        info32: u32,
        /// The engine.
        info16: u16,
        /// 0xffff once there is an error; written last.
        status: u16,
    }
}

flags! {
    /// How a device is allocated.
    pub struct DeviceFlags: u32 {
        MAP_PTE_GLOBALLY = "NV_DEVICE_ALLOCATION_FLAGS_MAP_PTE_GLOBALLY", 0x1;
        MINIMIZE_PTETABLE_SIZE = "NV_DEVICE_ALLOCATION_FLAGS_MINIMIZE_PTETABLE_SIZE", 0x2;
        RETRY_PTE_ALLOC_IN_SYS = "NV_DEVICE_ALLOCATION_FLAGS_RETRY_PTE_ALLOC_IN_SYS", 0x4;
        VASPACE_SIZE = "NV_DEVICE_ALLOCATION_FLAGS_VASPACE_SIZE", 0x8;
        MAP_PTE = "NV_DEVICE_ALLOCATION_FLAGS_MAP_PTE", 0x10;
        VASPACE_IS_TARGET = "NV_DEVICE_ALLOCATION_FLAGS_VASPACE_IS_TARGET", 0x20;
        VASPACE_IS_MIRRORED = "NV_DEVICE_ALLOCATION_FLAGS_VASPACE_IS_MIRRORED", 0x40;
        VASPACE_SHARED_MANAGEMENT = "NV_DEVICE_ALLOCATION_FLAGS_VASPACE_SHARED_MANAGEMENT", 0x100;
        VASPACE_BIG_PAGE_SIZE_64K = "NV_DEVICE_ALLOCATION_FLAGS_VASPACE_BIG_PAGE_SIZE_64k", 0x200;
        VASPACE_BIG_PAGE_SIZE_128K = "NV_DEVICE_ALLOCATION_FLAGS_VASPACE_BIG_PAGE_SIZE_128k", 0x400;
        RESTRICT_RESERVED_VALIMITS = "NV_DEVICE_ALLOCATION_FLAGS_RESTRICT_RESERVED_VALIMITS", 0x800;
        VASPACE_PTABLE_PMA_MANAGED =
            "NV_DEVICE_ALLOCATION_FLAGS_VASPACE_PTABLE_PMA_MANAGED", 0x1000;
        HOST_VGPU_DEVICE = "NV_DEVICE_ALLOCATION_FLAGS_HOST_VGPU_DEVICE", 0x2000;
        PLUGIN_CONTEXT = "NV_DEVICE_ALLOCATION_FLAGS_PLUGIN_CONTEXT", 0x4000;
        VASPACE_REQUIRE_FIXED_OFFSET =
            "NV_DEVICE_ALLOCATION_FLAGS_VASPACE_REQUIRE_FIXED_OFFSET", 0x8000;
    }

    /// How an address space is allocated. With UVM: `ENABLE_PAGE_FAULTING | IS_EXTERNALLY_OWNED`.
    pub struct VaSpaceFlags: u32 {
        MINIMIZE_PTETABLE_SIZE = "NV_VASPACE_ALLOCATION_FLAGS_MINIMIZE_PTETABLE_SIZE", 0x1;
        RETRY_PTE_ALLOC_IN_SYS = "NV_VASPACE_ALLOCATION_FLAGS_RETRY_PTE_ALLOC_IN_SYS", 0x2;
        SHARED_MANAGEMENT = "NV_VASPACE_ALLOCATION_FLAGS_SHARED_MANAGEMENT", 0x4;
        IS_EXTERNALLY_OWNED = "NV_VASPACE_ALLOCATION_FLAGS_IS_EXTERNALLY_OWNED", 0x8;
        ENABLE_NVLINK_ATS = "NV_VASPACE_ALLOCATION_FLAGS_ENABLE_NVLINK_ATS", 0x10;
        IS_MIRRORED = "NV_VASPACE_ALLOCATION_FLAGS_IS_MIRRORED", 0x20;
        ENABLE_PAGE_FAULTING = "NV_VASPACE_ALLOCATION_FLAGS_ENABLE_PAGE_FAULTING", 0x40;
        VA_INTERNAL_LIMIT = "NV_VASPACE_ALLOCATION_FLAGS_VA_INTERNAL_LIMIT", 0x80;
        ALLOW_ZERO_ADDRESS = "NV_VASPACE_ALLOCATION_FLAGS_ALLOW_ZERO_ADDRESS", 0x100;
        IS_FLA = "NV_VASPACE_ALLOCATION_FLAGS_IS_FLA", 0x200;
        SKIP_SCRUB_MEMPOOL = "NV_VASPACE_ALLOCATION_FLAGS_SKIP_SCRUB_MEMPOOL", 0x400;
        OPTIMIZE_PTETABLE_MEMPOOL_USAGE =
            "NV_VASPACE_ALLOCATION_FLAGS_OPTIMIZE_PTETABLE_MEMPOOL_USAGE", 0x800;
        REQUIRE_FIXED_OFFSET = "NV_VASPACE_ALLOCATION_FLAGS_REQUIRE_FIXED_OFFSET", 0x1000;
        PTETABLE_HEAP_MANAGED = "NV_VASPACE_ALLOCATION_FLAGS_PTETABLE_HEAP_MANAGED", 0x2000;
        ENABLE_NVLINK_ATS_TEST = "NV_VASPACE_ALLOCATION_FLAGS_ENABLE_NVLINK_ATS_TEST", 0x4000;
    }

    /// How memory is allocated.
    pub struct MemoryFlags: u32 {
        IGNORE_BANK_PLACEMENT = "NVOS32_ALLOC_FLAGS_IGNORE_BANK_PLACEMENT", 0x1;
        FIXED_ADDRESS_ALLOCATE = "NVOS32_ALLOC_FLAGS_FIXED_ADDRESS_ALLOCATE", 0x10;
        ALIGNMENT_HINT = "NVOS32_ALLOC_FLAGS_ALIGNMENT_HINT", 0x80;
        ALIGNMENT_FORCE = "NVOS32_ALLOC_FLAGS_ALIGNMENT_FORCE", 0x100;
        MEMORY_HANDLE_PROVIDED = "NVOS32_ALLOC_FLAGS_MEMORY_HANDLE_PROVIDED", 0x4000;
        MAP_NOT_REQUIRED = "NVOS32_ALLOC_FLAGS_MAP_NOT_REQUIRED", 0x8000;
        PERSISTENT_VIDMEM = "NVOS32_ALLOC_FLAGS_PERSISTENT_VIDMEM", 0x10000;
        VIRTUAL = "NVOS32_ALLOC_FLAGS_VIRTUAL", 0x80000;
        SPARSE = "NVOS32_ALLOC_FLAGS_SPARSE", 0x4000000;
    }
}

bits! {
    /// Fields of the flags of [`NV_CHANNEL_ALLOC_PARAMS`].
    {
        NVOS04_FLAGS_CHANNEL_TYPE = 1:0,
        NVOS04_FLAGS_CC_SECURE = 2:2,
        NVOS04_FLAGS_VPR = 2:2,
        NVOS04_FLAGS_CHANNEL_SKIP_MAP_REFCOUNTING = 3:3,
        NVOS04_FLAGS_GROUP_CHANNEL_RUNQUEUE = 4:4,
        NVOS04_FLAGS_PRIVILEGED_CHANNEL = 5:5,
        NVOS04_FLAGS_DELAY_CHANNEL_SCHEDULING = 6:6,
        NVOS04_FLAGS_CHANNEL_DENY_PHYSICAL_MODE_CE = 7:7,
        NVOS04_FLAGS_CHANNEL_USERD_INDEX_VALUE = 10:8,
        NVOS04_FLAGS_CHANNEL_USERD_INDEX_FIXED = 11:11,
        NVOS04_FLAGS_CHANNEL_USERD_INDEX_PAGE_VALUE = 20:12,
        NVOS04_FLAGS_CHANNEL_USERD_INDEX_PAGE_FIXED = 21:21,
        NVOS04_FLAGS_CHANNEL_DENY_AUTH_LEVEL_PRIV = 22:22,
        NVOS04_FLAGS_CHANNEL_SKIP_SCRUBBER = 23:23,
        NVOS04_FLAGS_CHANNEL_CLIENT_MAP_FIFO = 24:24,
        NVOS04_FLAGS_SET_EVICT_LAST_CE_PREFETCH_CHANNEL = 25:25,
        NVOS04_FLAGS_CHANNEL_VGPU_PLUGIN_CONTEXT = 26:26,
        NVOS04_FLAGS_CHANNEL_PBDMA_ACQUIRE_TIMEOUT = 27:27,
        NVOS04_FLAGS_GROUP_CHANNEL_THREAD = 29:28,
        NVOS04_FLAGS_MAP_CHANNEL = 30:30,
        NVOS04_FLAGS_SKIP_CTXBUFFER_ALLOC = 31:31,
    }

    /// Fields of `attr` of [`NV_MEMORY_ALLOCATION_PARAMS`].
    {
        NVOS32_ATTR_PAGE_SIZE = 24:23,
        NVOS32_ATTR_LOCATION = 26:25,
        NVOS32_ATTR_PHYSICALITY = 28:27,
        NVOS32_ATTR_COHERENCY = 31:29,
    }

    /// Fields of `attr2` of [`NV_MEMORY_ALLOCATION_PARAMS`].
    {
        NVOS32_ATTR2_ZBC = 1:0,
        NVOS32_ATTR2_GPU_CACHEABLE = 3:2,
        NVOS32_ATTR2_ZBC_SKIP_ZBCREFCOUNT = 17:17,
        NVOS32_ATTR2_PAGE_SIZE_HUGE = 21:20,
        NVOS32_ATTR2_PROTECTION_USER = 22:22,
    }

    /// Fields of the flags of [`NV_CTXSHARE_ALLOCATION_PARAMETERS`].
    {
        NV_CTXSHARE_ALLOCATION_FLAGS_SUBCONTEXT = 1:0,
    }

    /// Fields of `status` of [`NvNotification`].
    {
        NV_CHANNELGPFIFO_NOTIFICATION_STATUS_VALUE = 14:0,
        NV_CHANNELGPFIFO_NOTIFICATION_STATUS_IN_PROGRESS = 15:15,
    }
}

constants! {
    /// Values of the fields of the flags of [`NV_CHANNEL_ALLOC_PARAMS`].
    u32 {
        NVOS04_FLAGS_CHANNEL_TYPE_PHYSICAL = 0,
        NVOS04_FLAGS_CHANNEL_TYPE_VIRTUAL = 1,
        NVOS04_FLAGS_CHANNEL_TYPE_PHYSICAL_FOR_VIRTUAL = 2,
        NVOS04_FLAGS_CC_SECURE_FALSE = 0,
        NVOS04_FLAGS_CC_SECURE_TRUE = 1,
        NVOS04_FLAGS_VPR_FALSE = 0,
        NVOS04_FLAGS_VPR_TRUE = 1,
        NVOS04_FLAGS_CHANNEL_SKIP_MAP_REFCOUNTING_FALSE = 0,
        NVOS04_FLAGS_CHANNEL_SKIP_MAP_REFCOUNTING_TRUE = 1,
        NVOS04_FLAGS_GROUP_CHANNEL_RUNQUEUE_DEFAULT = 0,
        NVOS04_FLAGS_GROUP_CHANNEL_RUNQUEUE_ONE = 1,
        NVOS04_FLAGS_PRIVILEGED_CHANNEL_FALSE = 0,
        NVOS04_FLAGS_PRIVILEGED_CHANNEL_TRUE = 1,
        NVOS04_FLAGS_DELAY_CHANNEL_SCHEDULING_FALSE = 0,
        NVOS04_FLAGS_DELAY_CHANNEL_SCHEDULING_TRUE = 1,
        NVOS04_FLAGS_CHANNEL_DENY_PHYSICAL_MODE_CE_FALSE = 0,
        NVOS04_FLAGS_CHANNEL_DENY_PHYSICAL_MODE_CE_TRUE = 1,
        NVOS04_FLAGS_CHANNEL_USERD_INDEX_FIXED_FALSE = 0,
        NVOS04_FLAGS_CHANNEL_USERD_INDEX_FIXED_TRUE = 1,
        NVOS04_FLAGS_CHANNEL_USERD_INDEX_PAGE_FIXED_FALSE = 0,
        NVOS04_FLAGS_CHANNEL_USERD_INDEX_PAGE_FIXED_TRUE = 1,
        NVOS04_FLAGS_CHANNEL_DENY_AUTH_LEVEL_PRIV_FALSE = 0,
        NVOS04_FLAGS_CHANNEL_DENY_AUTH_LEVEL_PRIV_TRUE = 1,
        NVOS04_FLAGS_CHANNEL_SKIP_SCRUBBER_FALSE = 0,
        NVOS04_FLAGS_CHANNEL_SKIP_SCRUBBER_TRUE = 1,
        NVOS04_FLAGS_CHANNEL_CLIENT_MAP_FIFO_FALSE = 0,
        NVOS04_FLAGS_CHANNEL_CLIENT_MAP_FIFO_TRUE = 1,
        NVOS04_FLAGS_SET_EVICT_LAST_CE_PREFETCH_CHANNEL_FALSE = 0,
        NVOS04_FLAGS_SET_EVICT_LAST_CE_PREFETCH_CHANNEL_TRUE = 1,
        NVOS04_FLAGS_CHANNEL_VGPU_PLUGIN_CONTEXT_FALSE = 0,
        NVOS04_FLAGS_CHANNEL_VGPU_PLUGIN_CONTEXT_TRUE = 1,
        NVOS04_FLAGS_CHANNEL_PBDMA_ACQUIRE_TIMEOUT_FALSE = 0,
        NVOS04_FLAGS_CHANNEL_PBDMA_ACQUIRE_TIMEOUT_TRUE = 1,
        NVOS04_FLAGS_GROUP_CHANNEL_THREAD_DEFAULT = 0,
        NVOS04_FLAGS_GROUP_CHANNEL_THREAD_ONE = 1,
        NVOS04_FLAGS_GROUP_CHANNEL_THREAD_TWO = 2,
        NVOS04_FLAGS_MAP_CHANNEL_FALSE = 0,
        NVOS04_FLAGS_MAP_CHANNEL_TRUE = 1,
        NVOS04_FLAGS_SKIP_CTXBUFFER_ALLOC_FALSE = 0,
        NVOS04_FLAGS_SKIP_CTXBUFFER_ALLOC_TRUE = 1,
    }

    /// Values of the fields of `attr` of [`NV_MEMORY_ALLOCATION_PARAMS`].
    u32 {
        NVOS32_ATTR_PAGE_SIZE_DEFAULT = 0,
        NVOS32_ATTR_PAGE_SIZE_4KB = 1,
        NVOS32_ATTR_PAGE_SIZE_BIG = 2,
        NVOS32_ATTR_PAGE_SIZE_HUGE = 3,
        NVOS32_ATTR_LOCATION_VIDMEM = 0,
        NVOS32_ATTR_LOCATION_PCI = 1,
        NVOS32_ATTR_LOCATION_ANY = 3,
        NVOS32_ATTR_PHYSICALITY_DEFAULT = 0,
        NVOS32_ATTR_PHYSICALITY_NONCONTIGUOUS = 1,
        NVOS32_ATTR_PHYSICALITY_CONTIGUOUS = 2,
        NVOS32_ATTR_PHYSICALITY_ALLOW_NONCONTIGUOUS = 3,
        NVOS32_ATTR_COHERENCY_UNCACHED = 0,
        NVOS32_ATTR_COHERENCY_CACHED = 1,
        NVOS32_ATTR_COHERENCY_WRITE_COMBINE = 2,
        NVOS32_ATTR_COHERENCY_WRITE_THROUGH = 3,
        NVOS32_ATTR_COHERENCY_WRITE_PROTECT = 4,
        NVOS32_ATTR_COHERENCY_WRITE_BACK = 5,
    }

    /// Values of the fields of `attr2` of [`NV_MEMORY_ALLOCATION_PARAMS`].
    u32 {
        NVOS32_ATTR2_ZBC_DEFAULT = 0,
        NVOS32_ATTR2_ZBC_PREFER_NO_ZBC = 1,
        NVOS32_ATTR2_ZBC_PREFER_ZBC = 2,
        NVOS32_ATTR2_ZBC_INVALID = 3,
        NVOS32_ATTR2_ZBC_REQUIRE_ONLY_ZBC = 3,
        NVOS32_ATTR2_GPU_CACHEABLE_DEFAULT = 0,
        NVOS32_ATTR2_GPU_CACHEABLE_YES = 1,
        NVOS32_ATTR2_GPU_CACHEABLE_NO = 2,
        NVOS32_ATTR2_GPU_CACHEABLE_INVALID = 3,
        NVOS32_ATTR2_ZBC_SKIP_ZBCREFCOUNT_NO = 0,
        NVOS32_ATTR2_ZBC_SKIP_ZBCREFCOUNT_YES = 1,
        NVOS32_ATTR2_PAGE_SIZE_HUGE_DEFAULT = 0,
        NVOS32_ATTR2_PAGE_SIZE_HUGE_2MB = 1,
        NVOS32_ATTR2_PAGE_SIZE_HUGE_512MB = 2,
        NVOS32_ATTR2_PAGE_SIZE_HUGE_256GB = 3,
        NVOS32_ATTR2_PROTECTION_USER_READ_WRITE = 0,
        NVOS32_ATTR2_PROTECTION_USER_READ_ONLY = 1,
    }

    /// Values of the fields of the flags of [`NV_CTXSHARE_ALLOCATION_PARAMETERS`].
    u32 {
        NV_CTXSHARE_ALLOCATION_FLAGS_SUBCONTEXT_SYNC = 0,
        NV_CTXSHARE_ALLOCATION_FLAGS_SUBCONTEXT_ASYNC = 1,
        NV_CTXSHARE_ALLOCATION_FLAGS_SUBCONTEXT_SPECIFIED = 2,
        NV_CTXSHARE_ALLOCATION_FLAGS_SUBCONTEXT_ASYNC_PREFER_LOWER = 3,
    }

    /// Values of the fields of `status` of [`NvNotification`].
    u32 {
        NV_CHANNELGPFIFO_NOTIFICATION_STATUS_IN_PROGRESS_FALSE = 0,
        NV_CHANNELGPFIFO_NOTIFICATION_STATUS_IN_PROGRESS_TRUE = 1,
    }

    /// Which [`NvNotification`] of a channel is which, and how many there are.
    u32 {
        NV_CHANNELGPFIFO_NOTIFICATION_TYPE_ERROR = 0,
        NV_CHANNELGPFIFO_NOTIFICATION_TYPE_WORK_SUBMIT_TOKEN = 1,
        NV_CHANNELGPFIFO_NOTIFICATION_TYPE_KEY_ROTATION_STATUS = 2,
        NV_CHANNELGPFIFO_NOTIFICATION_TYPE__SIZE_1 = 3,
    }

    /// The version of [`NVB0B5_ALLOCATION_PARAMETERS`] that has an engine type.
    u32 {
        NVB0B5_ALLOCATION_PARAMETERS_VERSION_1 = 1,
    }

    /// An event of a subdevice: the interrupt that a host method or an engine raises without
    /// stopping.
    u32 {
        NV2080_NOTIFIERS_FIFO_EVENT_MTHD = 35,
    }

    /// Flags beside the index of an event: tell of one subdevice only, keep no record of what
    /// happened, come straight from the interrupt.
    u32 {
        NV01_EVENT_NONSTALL_INTR = 0x8000000,
        NV01_EVENT_WITHOUT_EVENT_DATA = 0x10000000,
        NV01_EVENT_SUBDEVICE_SPECIFIC = 0x20000000,
    }

    /// What memory is for.
    u32 {
        NVOS32_TYPE_IMAGE = 0,
        NVOS32_TYPE_NOTIFIER = 0xd,
        NVOS32_TYPE_PMA = 0xf,
    }

    /// Whether a device has one address space or many.
    u32 {
        NV_DEVICE_ALLOCATION_VAMODE_OPTIONAL_MULTIPLE_VASPACES = 0,
        NV_DEVICE_ALLOCATION_VAMODE_SINGLE_VASPACE = 1,
        NV_DEVICE_ALLOCATION_VAMODE_MULTIPLE_VASPACES = 2,
    }

    /// Which address space is meant.
    u32 {
        NV_VASPACE_ALLOCATION_INDEX_GPU_NEW = 0,
        NV_VASPACE_ALLOCATION_INDEX_GPU_HOST = 1,
        NV_VASPACE_ALLOCATION_INDEX_GPU_GLOBAL = 2,
        NV_VASPACE_ALLOCATION_INDEX_GPU_DEVICE = 3,
        NV_VASPACE_ALLOCATION_INDEX_GPU_FLA = 4,
        NV_VASPACE_ALLOCATION_INDEX_GPU_MAX = 5,
    }

    /// An engine.
    u32 {
        NV2080_ENGINE_TYPE_NULL = 0,
        NV2080_ENGINE_TYPE_GR0 = 1,
        NV2080_ENGINE_TYPE_GRAPHICS = 1,
        NV2080_ENGINE_TYPE_COPY0 = 9,
        NV2080_ENGINE_TYPE_COPY1 = 0xa,
        NV2080_ENGINE_TYPE_COPY2 = 0xb,
        NV2080_ENGINE_TYPE_COPY3 = 0xc,
        NV2080_ENGINE_TYPE_COPY4 = 0xd,
        NV2080_ENGINE_TYPE_COPY5 = 0xe,
        NV2080_ENGINE_TYPE_COPY6 = 0xf,
        NV2080_ENGINE_TYPE_COPY7 = 0x10,
        NV2080_ENGINE_TYPE_COPY8 = 0x11,
        NV2080_ENGINE_TYPE_COPY9 = 0x12,
        NV2080_ENGINE_TYPE_NVDEC0 = 0x13,
        NV2080_ENGINE_TYPE_HOST = 0x27,
        NV2080_ENGINE_TYPE_COPY10 = 0x34,
        NV2080_ENGINE_TYPE_COPY11 = 0x35,
        NV2080_ENGINE_TYPE_COPY12 = 0x36,
        NV2080_ENGINE_TYPE_COPY13 = 0x37,
        NV2080_ENGINE_TYPE_COPY14 = 0x38,
        NV2080_ENGINE_TYPE_COPY15 = 0x39,
        NV2080_ENGINE_TYPE_COPY16 = 0x3a,
        NV2080_ENGINE_TYPE_COPY17 = 0x3b,
        NV2080_ENGINE_TYPE_COPY18 = 0x3c,
        NV2080_ENGINE_TYPE_COPY19 = 0x3d,
    }
}

classes! {
    /// A client: the root of everything else.
    pub const NV01_ROOT_CLIENT: Class<()> = new(0x41);

    /// A GPU; below the client.
    pub const NV01_DEVICE_0: Class<NV0080_ALLOC_PARAMETERS> = new(0x80);

    /// One GPU of a device; below the device.
    pub const NV20_SUBDEVICE_0: Class<NV2080_ALLOC_PARAMETERS> = new(0x2080);

    /// Video memory.
    pub const NV01_MEMORY_LOCAL_USER: Class<NV_MEMORY_ALLOCATION_PARAMS> = new(0x40);

    /// System memory.
    pub const NV01_MEMORY_SYSTEM: Class<NV_MEMORY_ALLOCATION_PARAMS> = new(0x3e);

    /// Pages of this process; through `NV_ESC_RM_ALLOC_MEMORY`.
    pub const NV01_MEMORY_SYSTEM_OS_DESCRIPTOR: Class<()> = new(0x71);

    /// A range of addresses in an address space that RM owns.
    pub const NV01_MEMORY_VIRTUAL: Class<NV_MEMORY_VIRTUAL_ALLOCATION_PARAMS> = new(0x70);

    /// The address of one buffer in an address space that RM owns.
    pub const NV50_MEMORY_VIRTUAL: Class<NV_MEMORY_ALLOCATION_PARAMS> = new(0x50a0);

    /// An address space.
    pub const FERMI_VASPACE_A: Class<NV_VASPACE_ALLOCATION_PARAMETERS> = new(0x90f1);

    /// A time-slice group of channels.
    pub const KEPLER_CHANNEL_GROUP_A: Class<NV_CHANNEL_GROUP_ALLOCATION_PARAMETERS> = new(0xa06c);

    /// A subcontext; below the group.
    pub const FERMI_CONTEXT_SHARE_A: Class<NV_CTXSHARE_ALLOCATION_PARAMETERS> = new(0x9067);

    /// A channel of Ampere and Ada.
    pub const AMPERE_CHANNEL_GPFIFO_A: Class<NV_CHANNEL_ALLOC_PARAMS> = new(0xc56f);

    /// A channel of Hopper.
    pub const HOPPER_CHANNEL_GPFIFO_A: Class<NV_CHANNEL_ALLOC_PARAMS> = new(0xc86f);

    /// Compute of GA100; below the channel.
    pub const AMPERE_COMPUTE_A: Class<()> = new(0xc6c0);

    /// Compute of GA10x and of Orin; below the channel.
    pub const AMPERE_COMPUTE_B: Class<()> = new(0xc7c0);

    /// Compute of Ada; below the channel.
    pub const ADA_COMPUTE_A: Class<()> = new(0xc9c0);

    /// Compute of Hopper; below the channel.
    pub const HOPPER_COMPUTE_A: Class<()> = new(0xcbc0);

    /// Copies of GA100; below the channel.
    pub const AMPERE_DMA_COPY_A: Class<NVB0B5_ALLOCATION_PARAMETERS> = new(0xc6b5);

    /// Copies of GA10x, of Ada and of Orin; below the channel.
    pub const AMPERE_DMA_COPY_B: Class<NVB0B5_ALLOCATION_PARAMETERS> = new(0xc7b5);

    /// Copies of Hopper; below the channel.
    pub const HOPPER_DMA_COPY_A: Class<NVB0B5_ALLOCATION_PARAMETERS> = new(0xc8b5);

    /// The page of the doorbell; below the subdevice.
    pub const VOLTA_USERMODE_A: Class<()> = new(0xc361);

    /// The page of the doorbell; below the subdevice.
    pub const TURING_USERMODE_A: Class<()> = new(0xc461);

    /// The page of the doorbell; below the subdevice.
    pub const AMPERE_USERMODE_A: Class<()> = new(0xc561);

    /// The page of the doorbell; below the subdevice.
    pub const HOPPER_USERMODE_A: Class<NV_HOPPER_USERMODE_A_PARAMS> = new(0xc661);

    /// Whether memory is encrypted; below the client.
    pub const NV_CONFIDENTIAL_COMPUTE: Class<NV_CONFIDENTIAL_COMPUTE_ALLOC_PARAMS> = new(0xcb33);

    /// What faults are decoded with; below the device.
    pub const GT200_DEBUGGER: Class<NV83DE_ALLOC_PARAMETERS> = new(0x83de);

    /// An event.
    pub const NV01_EVENT: Class<NV0005_ALLOC_PARAMETERS> = new(0x5);

    /// An event that wakes a poll of an fd.
    pub const NV01_EVENT_OS_EVENT: Class<NV0005_ALLOC_PARAMETERS> = new(0x79);
}
