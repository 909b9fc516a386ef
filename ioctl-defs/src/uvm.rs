//! `/dev/nvidia-uvm`: address spaces and their mappings on desktop and server GPUs (branch 580).
//!
//! The numbers of these requests are plain, without direction or size, and the result is in
//! `rmStatus` (see [`rm::status`](crate::rm::status)).

use crate::Request;
use crate::declare::Module;

/// A GPU's name: the sixteen bytes of `NV2080_CTRL_CMD_GPU_GET_GID_INFO`.
pub type NvProcessorUuid = [u8; 16];

pub(crate) const MODULE: Module = Module {
    structs: STRUCTS,
    flags: FLAGS,
    constants: CONSTANTS,
    requests: REQUESTS,
    ..Module::EMPTY
};

structs! {
    /// Argument of [`UVM_INITIALIZE`].
    pub struct UVM_INITIALIZE_PARAMS {
        flags: InitFlags,
        rmStatus: u32,
        _pad0: u32,
    }

    /// Argument of [`UVM_MM_INITIALIZE`].
    pub struct UVM_MM_INITIALIZE_PARAMS {
        /// The fd that [`UVM_INITIALIZE`] was called on.
        uvmFd: i32,
        rmStatus: u32,
    }

    /// Argument of [`UVM_REGISTER_GPU`].
    pub struct UVM_REGISTER_GPU_PARAMS {
        gpu_uuid: NvProcessorUuid,
        numaEnabled: u8,
        _pad0: [u8; 3],
        numaNodeId: i32,
        /// -1, and 0 in the handles: no partition of the GPU.
        rmCtrlFd: i32,
        hClient: u32,
        hSmcPartRef: u32,
        rmStatus: u32,
    }

    /// Argument of [`UVM_UNREGISTER_GPU`].
    pub struct UVM_UNREGISTER_GPU_PARAMS {
        gpu_uuid: NvProcessorUuid,
        rmStatus: u32,
    }

    /// Argument of [`UVM_REGISTER_GPU_VASPACE`].
    pub struct UVM_REGISTER_GPU_VASPACE_PARAMS {
        gpuUuid: NvProcessorUuid,
        /// The fd of `/dev/nvidiactl` that the client lives on.
        rmCtrlFd: i32,
        hClient: u32,
        hVaSpace: u32,
        rmStatus: u32,
    }

    /// Argument of [`UVM_UNREGISTER_GPU_VASPACE`].
    pub struct UVM_UNREGISTER_GPU_VASPACE_PARAMS {
        gpuUuid: NvProcessorUuid,
        rmStatus: u32,
    }

    /// Argument of [`UVM_REGISTER_CHANNEL`].
    pub struct UVM_REGISTER_CHANNEL_PARAMS {
        gpuUuid: NvProcessorUuid,
        rmCtrlFd: i32,
        hClient: u32,
        hChannel: u32,
        _pad0: u32,
        /// A range of addresses for what the channel itself needs.
        base: u64,
        length: u64,
        rmStatus: u32,
        _pad1: u32,
    }

    /// Argument of [`UVM_UNREGISTER_CHANNEL`].
    pub struct UVM_UNREGISTER_CHANNEL_PARAMS {
        gpuUuid: NvProcessorUuid,
        hClient: u32,
        hChannel: u32,
        rmStatus: u32,
    }

    /// Argument of [`UVM_ENABLE_PEER_ACCESS`].
    pub struct UVM_ENABLE_PEER_ACCESS_PARAMS {
        gpuUuidA: NvProcessorUuid,
        gpuUuidB: NvProcessorUuid,
        rmStatus: u32,
    }

    /// Argument of [`UVM_CREATE_EXTERNAL_RANGE`].
    pub struct UVM_CREATE_EXTERNAL_RANGE_PARAMS {
        base: u64,
        length: u64,
        rmStatus: u32,
        _pad0: u32,
    }

    /// How one GPU sees a mapping.
    pub struct UvmGpuMappingAttributes {
        gpuUuid: NvProcessorUuid,
        /// One of `UvmGpuMappingType*`; 0 lets the driver choose, here and below.
        gpuMappingType: u32,
        gpuCachingType: u32,
        gpuFormatType: u32,
        gpuElementBits: u32,
        gpuCompressionType: u32,
    }

    /// Argument of [`UVM_MAP_EXTERNAL_ALLOCATION`].
    pub struct UVM_MAP_EXTERNAL_ALLOCATION_PARAMS {
        base: u64,
        length: u64,
        /// Where in the memory the mapping begins.
        offset: u64,
        /// The first `gpuAttributesCount` count.
        perGpuAttributes: [UvmGpuMappingAttributes; 256],
        gpuAttributesCount: u64,
        rmCtrlFd: i32,
        hClient: u32,
        hMemory: u32,
        rmStatus: u32,
    }

    /// Argument of [`UVM_UNMAP_EXTERNAL`].
    pub struct UVM_UNMAP_EXTERNAL_PARAMS {
        base: u64,
        length: u64,
        gpuUuid: NvProcessorUuid,
        rmStatus: u32,
        _pad0: u32,
    }

    /// Argument of [`UVM_FREE`].
    pub struct UVM_FREE_PARAMS {
        base: u64,
        length: u64,
        rmStatus: u32,
        _pad0: u32,
    }

    /// Argument of [`UVM_ALLOC_SEMAPHORE_POOL`].
    pub struct UVM_ALLOC_SEMAPHORE_POOL_PARAMS {
        base: u64,
        length: u64,
        perGpuAttributes: [UvmGpuMappingAttributes; 256],
        gpuAttributesCount: u64,
        rmStatus: u32,
        _pad0: u32,
    }

    /// Argument of [`UVM_MAP_DYNAMIC_PARALLELISM_REGION`].
    pub struct UVM_MAP_DYNAMIC_PARALLELISM_REGION_PARAMS {
        base: u64,
        length: u64,
        gpuUuid: NvProcessorUuid,
        rmStatus: u32,
        _pad0: u32,
    }

    /// Argument of [`UVM_PAGEABLE_MEM_ACCESS`].
    pub struct UVM_PAGEABLE_MEM_ACCESS_PARAMS {
        pageableMemAccess: u8,
        _pad0: [u8; 3],
        rmStatus: u32,
    }

    /// Argument of [`UVM_TOOLS_INIT_EVENT_TRACKER_V2`].
    pub struct UVM_TOOLS_INIT_EVENT_TRACKER_V2_PARAMS {
        /// Address of `queueBufferSize` entries of 72 bytes, at the start of a page.
        queueBuffer: u64,
        /// A power of two.
        queueBufferSize: u64,
        /// Address of a [`UvmToolsEventControlData`], at the start of a page.
        controlBuffer: u64,
        processor: NvProcessorUuid,
        allProcessors: u32,
        /// The fd of the address space to be watched.
        uvmFd: u32,
        rmStatus: u32,
        /// Releases before these two fields leave them alone.
        requestedVersion: u32,
        grantedVersion: u32,
        _pad0: u32,
    }

    /// Argument of [`UVM_TOOLS_EVENT_QUEUE_ENABLE_EVENTS`].
    pub struct UVM_TOOLS_EVENT_QUEUE_ENABLE_EVENTS_PARAMS {
        /// A bit per `UvmEventType*`.
        eventTypeFlags: u64,
        rmStatus: u32,
        _pad0: u32,
    }

    /// How far a queue of events has been written and read, in entries since the beginning.
    pub struct UvmToolsEventControlData {
        get_ahead: u32,
        get_behind: u32,
        /// The driver begins an entry here...
        put_ahead: u32,
        /// ...and has finished all before here.
        put_behind: u32,
        dropped: [u64; 64],
    }

    /// A fault of the GPU, at the start of an entry.
    pub struct UvmEventGpuFaultInfo_V2 {
        eventType: u8,
        /// One of `UvmFaultType*`.
        faultType: u8,
        gpuIndex: u16,
        gpcId: u16,
        clientId: u16,
        /// The page.
        address: u64,
        timeStamp: u64,
        timeStampGpu: u64,
        batchId: u32,
        /// One of `UvmEventFaultClientType*`.
        clientType: u8,
        /// One of `UvmEventMemoryAccessType*`.
        accessType: u8,
        padding16bits: u16,
    }

    /// A fault that ends the channel, at the start of an entry. Its [`UvmEventGpuFaultInfo_V2`] came
    /// before.
    pub struct UvmEventFatalFaultInfo_V2 {
        eventType: u8,
        /// One of `UvmFaultType*`.
        faultType: u8,
        /// One of `UvmEventMemoryAccessType*`.
        accessType: u8,
        reason: u8,
        processorIndex: u16,
        padding16bits: u16,
        /// The page.
        address: u64,
        timeStamp: u64,
    }

    /// Argument of [`UVM_VALIDATE_VA_RANGE`].
    pub struct UVM_VALIDATE_VA_RANGE_PARAMS {
        base: u64,
        length: u64,
        rmStatus: u32,
        _pad0: u32,
    }
}

flags! {
    /// How a process uses UVM.
    pub struct InitFlags: u64 {
        DISABLE_HMM = "UVM_INIT_FLAGS_DISABLE_HMM", 0x1;
        MULTI_PROCESS_SHARING_MODE = "UVM_INIT_FLAGS_MULTI_PROCESS_SHARING_MODE", 0x2;
    }
}

constants! {
    /// All of [`InitFlags`].
    u64 {
        UVM_INIT_FLAGS_MASK = 3,
    }

    /// Kinds of events.
    u8 {
        UvmEventTypeGpuFault = 3,
        UvmEventTypeFatalFault = 6,
    }

    /// Why an access faulted.
    u8 {
        UvmFaultTypeInvalidPde = 1,
        UvmFaultTypeInvalidPte = 2,
        UvmFaultTypeWrite = 3,
        UvmFaultTypeAtomic = 4,
        UvmFaultTypeInvalidPdeSize = 5,
        UvmFaultTypeLimitViolation = 6,
        UvmFaultTypePrivViolation = 8,
    }

    /// What the access was.
    u8 {
        UvmEventMemoryAccessTypeRead = 1,
        UvmEventMemoryAccessTypeWrite = 2,
        UvmEventMemoryAccessTypeAtomic = 3,
    }

    /// Who accessed: a multiprocessor or its front end, or another engine.
    u8 {
        UvmEventFaultClientTypeGpc = 1,
        UvmEventFaultClientTypeHub = 2,
    }

    /// What a GPU may do with a mapping.
    u32 {
        UvmGpuMappingTypeDefault = 0,
        UvmGpuMappingTypeReadWriteAtomic = 1,
        UvmGpuMappingTypeReadWrite = 2,
        UvmGpuMappingTypeReadOnly = 3,
    }
}

requests! {
    /// Makes this process a user of UVM.
    pub const UVM_INITIALIZE: Request<UVM_INITIALIZE_PARAMS> = raw(0x30000001);

    /// Ends that. Closing the fd does so, too.
    pub const UVM_DEINITIALIZE: Request<()> = raw(0x30000002);

    /// On a second fd, which ties the first to the memory of this process. Keep it open: without it
    /// later requests fail.
    pub const UVM_MM_INITIALIZE: Request<UVM_MM_INITIALIZE_PARAMS> = raw(75);

    /// Tells UVM of a GPU.
    pub const UVM_REGISTER_GPU: Request<UVM_REGISTER_GPU_PARAMS> = raw(37);

    /// Takes a GPU from UVM.
    pub const UVM_UNREGISTER_GPU: Request<UVM_UNREGISTER_GPU_PARAMS> = raw(38);

    /// Gives UVM an address space of RM.
    pub const UVM_REGISTER_GPU_VASPACE: Request<UVM_REGISTER_GPU_VASPACE_PARAMS> = raw(25);

    /// Takes it back.
    pub const UVM_UNREGISTER_GPU_VASPACE: Request<UVM_UNREGISTER_GPU_VASPACE_PARAMS> = raw(26);

    /// Tells UVM of a channel. RM does not schedule it before that.
    pub const UVM_REGISTER_CHANNEL: Request<UVM_REGISTER_CHANNEL_PARAMS> = raw(27);

    /// Takes a channel from UVM.
    pub const UVM_UNREGISTER_CHANNEL: Request<UVM_UNREGISTER_CHANNEL_PARAMS> = raw(28);

    /// Lets two GPUs see the memory of each other.
    pub const UVM_ENABLE_PEER_ACCESS: Request<UVM_ENABLE_PEER_ACCESS_PARAMS> = raw(29);

    /// Reserves a range of addresses for memory of RM.
    pub const UVM_CREATE_EXTERNAL_RANGE: Request<UVM_CREATE_EXTERNAL_RANGE_PARAMS> = raw(73);

    /// Maps memory of RM into such a range.
    pub const UVM_MAP_EXTERNAL_ALLOCATION: Request<UVM_MAP_EXTERNAL_ALLOCATION_PARAMS> = raw(33);

    /// Ends such a mapping for one GPU.
    pub const UVM_UNMAP_EXTERNAL: Request<UVM_UNMAP_EXTERNAL_PARAMS> = raw(66);

    /// Frees a range, with the mappings in it.
    pub const UVM_FREE: Request<UVM_FREE_PARAMS> = raw(34);

    /// A range of semaphores.
    pub const UVM_ALLOC_SEMAPHORE_POOL: Request<UVM_ALLOC_SEMAPHORE_POOL_PARAMS> = raw(68);

    /// A range that the GPU launches from by itself.
    pub const UVM_MAP_DYNAMIC_PARALLELISM_REGION:
        Request<UVM_MAP_DYNAMIC_PARALLELISM_REGION_PARAMS> = raw(65);

    /// Whether GPUs can reach all memory of the process.
    pub const UVM_PAGEABLE_MEM_ACCESS: Request<UVM_PAGEABLE_MEM_ACCESS_PARAMS> = raw(39);

    /// On a fresh fd of `/dev/nvidia-uvm-tools`: has events of an address space written to memory of
    /// this process, for as long as the fd is open.
    pub const UVM_TOOLS_INIT_EVENT_TRACKER_V2: Request<UVM_TOOLS_INIT_EVENT_TRACKER_V2_PARAMS> =
        raw(76);

    /// On the same fd: chooses the events.
    pub const UVM_TOOLS_EVENT_QUEUE_ENABLE_EVENTS:
        Request<UVM_TOOLS_EVENT_QUEUE_ENABLE_EVENTS_PARAMS> = raw(58);

    /// Whether a range belongs to UVM.
    pub const UVM_VALIDATE_VA_RANGE: Request<UVM_VALIDATE_VA_RANGE_PARAMS> = raw(72);
}
