//! The ioctls of `/dev/nvidiactl` and `/dev/nvidiaN`.

use crate::Request;
use crate::declare::Module;

pub(crate) const MODULE: Module = Module {
    structs: STRUCTS,
    bits: BITS,
    constants: CONSTANTS,
    requests: REQUESTS,
    ..Module::EMPTY
};

structs! {
    /// Argument of [`NV_ESC_RM_ALLOC`].
    pub struct NVOS64_PARAMETERS {
        /// The client, 0 to allocate one.
        hRoot: u32,
        hObjectParent: u32,
        /// In: a handle, or 0. Out: the handle.
        hObjectNew: u32,
        /// The number of a [`Class`](super::Class).
        hClass: u32,
        /// Address of the parameters of the class, 0 where it has none.
        pAllocParms: u64,
        pRightsRequested: u64,
        paramsSize: u32,
        flags: u32,
        /// Out: the result, as everywhere in RM; errno is about the transport only.
        status: u32,
        _pad0: u32,
    }

    /// Argument of [`NV_ESC_RM_FREE`].
    pub struct NVOS00_PARAMETERS {
        hRoot: u32,
        hObjectParent: u32,
        hObjectOld: u32,
        status: u32,
    }

    /// Argument of [`NV_ESC_RM_CONTROL`].
    pub struct NVOS54_PARAMETERS {
        hClient: u32,
        hObject: u32,
        /// The number of a [`Control`](super::Control).
        cmd: u32,
        flags: u32,
        /// Address of its parameters.
        params: u64,
        paramsSize: u32,
        status: u32,
    }

    /// Argument of [`NV_ESC_RM_DUP_OBJECT`].
    pub struct NVOS55_PARAMETERS {
        hClient: u32,
        hParent: u32,
        hObject: u32,
        hClientSrc: u32,
        hObjectSrc: u32,
        flags: u32,
        status: u32,
    }

    /// Inside [`nv_ioctl_nvos02_parameters_with_fd`].
    pub struct NVOS02_PARAMETERS {
        hRoot: u32,
        hObjectParent: u32,
        hObjectNew: u32,
        hClass: u32,
        /// The fields `NVOS02_FLAGS_*`.
        flags: u32,
        _pad0: u32,
        /// For an OS descriptor: the address of the pages in this process.
        pMemory: u64,
        /// Size - 1.
        limit: u64,
        status: u32,
        _pad1: u32,
    }

    /// Argument of [`NV_ESC_RM_ALLOC_MEMORY`].
    pub struct nv_ioctl_nvos02_parameters_with_fd {
        params: NVOS02_PARAMETERS,
        /// -1 for an OS descriptor.
        fd: i32,
        _pad0: u32,
    }

    /// Inside [`nv_ioctl_nvos33_parameters_with_fd`].
    pub struct NVOS33_PARAMETERS {
        hClient: u32,
        hDevice: u32,
        hMemory: u32,
        _pad0: u32,
        offset: u64,
        length: u64,
        pLinearAddress: u64,
        status: u32,
        /// The fields `NVOS33_FLAGS_*`.
        flags: u32,
    }

    /// Argument of [`NV_ESC_RM_MAP_MEMORY`].
    pub struct nv_ioctl_nvos33_parameters_with_fd {
        params: NVOS33_PARAMETERS,
        /// What mmap(2) is called on afterwards, with offset 0: an fd of its own per mapping.
        fd: i32,
        _pad0: u32,
    }

    /// Argument of [`NV_ESC_RM_UNMAP_MEMORY`].
    pub struct NVOS34_PARAMETERS {
        hClient: u32,
        hDevice: u32,
        hMemory: u32,
        _pad0: u32,
        pLinearAddress: u64,
        status: u32,
        flags: u32,
    }

    /// Argument of [`NV_ESC_RM_MAP_MEMORY_DMA`].
    pub struct NVOS46_PARAMETERS {
        hClient: u32,
        hDevice: u32,
        hDma: u32,
        hMemory: u32,
        offset: u64,
        length: u64,
        /// The fields `NVOS46_FLAGS_*`.
        flags: u32,
        flags2: u32,
        kindOverride: u32,
        _pad0: u32,
        /// In: the address, with `DMA_OFFSET_FIXED`. Out: the address.
        dmaOffset: u64,
        status: u32,
        _pad1: u32,
    }

    /// Argument of [`NV_ESC_RM_UNMAP_MEMORY_DMA`].
    pub struct NVOS47_PARAMETERS {
        hClient: u32,
        hDevice: u32,
        hDma: u32,
        hMemory: u32,
        flags: u32,
        _pad0: u32,
        dmaOffset: u64,
        size: u64,
        status: u32,
        _pad1: u32,
    }

    /// Where a GPU is on the PCI bus.
    pub struct nv_pci_info_t {
        domain: u32,
        bus: u8,
        slot: u8,
        function: u8,
        _pad0: u8,
        vendor_id: u16,
        device_id: u16,
    }

    /// One GPU, as [`NV_ESC_CARD_INFO`] reports it.
    pub struct nv_ioctl_card_info_t {
        /// 0 ends the list.
        valid: u8,
        _pad0: [u8; 3],
        pci_info: nv_pci_info_t,
        gpu_id: u32,
        interrupt_line: u16,
        _pad1: u16,
        reg_address: u64,
        reg_size: u64,
        fb_address: u64,
        fb_size: u64,
        /// N of `/dev/nvidiaN`.
        minor_number: u32,
        dev_name: [u8; 10],
        _pad2: u16,
    }

    /// Argument of [`NV_ESC_REGISTER_FD`].
    pub struct nv_ioctl_register_fd_t {
        ctl_fd: i32,
    }

    /// Argument of [`NV_ESC_CHECK_VERSION_STR`].
    pub struct nv_ioctl_rm_api_version_t {
        cmd: u32,
        reply: u32,
        versionString: [u8; 64],
    }

    /// Argument of [`NV_ESC_ALLOC_OS_EVENT`].
    pub struct nv_ioctl_alloc_os_event_t {
        hClient: u32,
        hDevice: u32,
        fd: u32,
        Status: u32,
    }

    /// Argument of [`NV_ESC_FREE_OS_EVENT`].
    pub struct nv_ioctl_free_os_event_t {
        hClient: u32,
        hDevice: u32,
        fd: u32,
        Status: u32,
    }

    /// Argument of [`NV_ESC_SYS_PARAMS`].
    pub struct nv_ioctl_sys_params_t {
        memblock_size: u64,
    }

    /// Argument of [`NV_ESC_WAIT_OPEN_COMPLETE`].
    pub struct nv_ioctl_wait_open_complete_t {
        rc: i32,
        adapterStatus: u32,
    }
}

bits! {
    /// Fields of the flags of [`NVOS02_PARAMETERS`].
    {
        NVOS02_FLAGS_PHYSICALITY = 7:4,
        NVOS02_FLAGS_LOCATION = 11:8,
        NVOS02_FLAGS_COHERENCY = 15:12,
        NVOS02_FLAGS_GPU_CACHEABLE = 18:18,
        NVOS02_FLAGS_MAPPING = 31:30,
    }

    /// Fields of the flags of [`NVOS33_PARAMETERS`].
    {
        NVOS33_FLAGS_ACCESS = 1:0,
        NVOS33_FLAGS_PERSISTENT = 4:4,
        NVOS33_FLAGS_MAPPING = 16:15,
        NVOS33_FLAGS_MAP_FIXED = 18:18,
        NVOS33_FLAGS_RESERVE_ON_UNMAP = 19:19,
        NVOS33_FLAGS_CACHING_TYPE = 25:23,
        NVOS33_FLAGS_ALLOW_MAPPING_ON_HCC = 26:26,
    }

    /// Fields of the flags of [`NVOS46_PARAMETERS`].
    {
        NVOS46_FLAGS_ACCESS = 1:0,
        NVOS46_FLAGS_CACHE_SNOOP = 4:4,
        NVOS46_FLAGS_SHADER_ACCESS = 7:6,
        NVOS46_FLAGS_PAGE_SIZE = 11:8,
        NVOS46_FLAGS_DMA_OFFSET_FIXED = 15:15,
        NVOS46_FLAGS_GPU_CACHEABLE = 18:17,
        NVOS46_FLAGS_DEFER_TLB_INVALIDATION = 31:31,
    }
}

constants! {
    /// Values of the fields of the flags of [`NVOS02_PARAMETERS`].
    u32 {
        NVOS02_FLAGS_PHYSICALITY_CONTIGUOUS = 0,
        NVOS02_FLAGS_PHYSICALITY_NONCONTIGUOUS = 1,
        NVOS02_FLAGS_LOCATION_PCI = 0,
        NVOS02_FLAGS_LOCATION_VIDMEM = 2,
        NVOS02_FLAGS_COHERENCY_UNCACHED = 0,
        NVOS02_FLAGS_COHERENCY_CACHED = 1,
        NVOS02_FLAGS_COHERENCY_WRITE_COMBINE = 2,
        NVOS02_FLAGS_COHERENCY_WRITE_THROUGH = 3,
        NVOS02_FLAGS_COHERENCY_WRITE_PROTECT = 4,
        NVOS02_FLAGS_COHERENCY_WRITE_BACK = 5,
        NVOS02_FLAGS_GPU_CACHEABLE_NO = 0,
        NVOS02_FLAGS_GPU_CACHEABLE_YES = 1,
        NVOS02_FLAGS_MAPPING_DEFAULT = 0,
        NVOS02_FLAGS_MAPPING_NO_MAP = 1,
        NVOS02_FLAGS_MAPPING_NEVER_MAP = 2,
    }

    /// Values of the fields of the flags of [`NVOS33_PARAMETERS`].
    u32 {
        NVOS33_FLAGS_ACCESS_READ_WRITE = 0,
        NVOS33_FLAGS_ACCESS_READ_ONLY = 1,
        NVOS33_FLAGS_ACCESS_WRITE_ONLY = 2,
        NVOS33_FLAGS_PERSISTENT_DISABLE = 0,
        NVOS33_FLAGS_PERSISTENT_ENABLE = 1,
        NVOS33_FLAGS_MAPPING_DEFAULT = 0,
        NVOS33_FLAGS_MAPPING_DIRECT = 1,
        NVOS33_FLAGS_MAPPING_REFLECTED = 2,
        NVOS33_FLAGS_MAP_FIXED_DISABLE = 0,
        NVOS33_FLAGS_MAP_FIXED_ENABLE = 1,
        NVOS33_FLAGS_RESERVE_ON_UNMAP_DISABLE = 0,
        NVOS33_FLAGS_RESERVE_ON_UNMAP_ENABLE = 1,
        NVOS33_FLAGS_CACHING_TYPE_CACHED = 0,
        NVOS33_FLAGS_CACHING_TYPE_UNCACHED = 1,
        NVOS33_FLAGS_CACHING_TYPE_WRITECOMBINED = 2,
        NVOS33_FLAGS_CACHING_TYPE_WRITEBACK = 5,
        NVOS33_FLAGS_CACHING_TYPE_DEFAULT = 6,
        NVOS33_FLAGS_CACHING_TYPE_UNCACHED_WEAK = 7,
        NVOS33_FLAGS_ALLOW_MAPPING_ON_HCC_NO = 0,
        NVOS33_FLAGS_ALLOW_MAPPING_ON_HCC_YES = 1,
    }

    /// Values of the fields of the flags of [`NVOS46_PARAMETERS`].
    u32 {
        NVOS46_FLAGS_ACCESS_READ_WRITE = 0,
        NVOS46_FLAGS_ACCESS_READ_ONLY = 1,
        NVOS46_FLAGS_ACCESS_WRITE_ONLY = 2,
        NVOS46_FLAGS_CACHE_SNOOP_DISABLE = 0,
        NVOS46_FLAGS_CACHE_SNOOP_ENABLE = 1,
        NVOS46_FLAGS_SHADER_ACCESS_DEFAULT = 0,
        NVOS46_FLAGS_SHADER_ACCESS_READ_ONLY = 1,
        NVOS46_FLAGS_SHADER_ACCESS_WRITE_ONLY = 2,
        NVOS46_FLAGS_SHADER_ACCESS_READ_WRITE = 3,
        NVOS46_FLAGS_PAGE_SIZE_DEFAULT = 0,
        NVOS46_FLAGS_PAGE_SIZE_4KB = 1,
        NVOS46_FLAGS_PAGE_SIZE_BIG = 2,
        NVOS46_FLAGS_PAGE_SIZE_BOTH = 3,
        NVOS46_FLAGS_PAGE_SIZE_HUGE = 4,
        NVOS46_FLAGS_PAGE_SIZE_512M = 5,
        NVOS46_FLAGS_DMA_OFFSET_FIXED_FALSE = 0,
        NVOS46_FLAGS_DMA_OFFSET_FIXED_TRUE = 1,
        NVOS46_FLAGS_GPU_CACHEABLE_DEFAULT = 0,
        NVOS46_FLAGS_GPU_CACHEABLE_YES = 1,
        NVOS46_FLAGS_GPU_CACHEABLE_NO = 2,
        NVOS46_FLAGS_GPU_CACHEABLE_INVALID = 3,
        NVOS46_FLAGS_DEFER_TLB_INVALIDATION_FALSE = 0,
        NVOS46_FLAGS_DEFER_TLB_INVALIDATION_TRUE = 1,
    }
}

requests! {
    /// The GPUs of the machine.
    pub const NV_ESC_CARD_INFO: Request<[nv_ioctl_card_info_t; 64]> = rw(b'F', 0xc8);

    /// Ties an fd of `/dev/nvidiaN` to one of `/dev/nvidiactl`: before anything else is done with
    /// it.
    pub const NV_ESC_REGISTER_FD: Request<nv_ioctl_register_fd_t> = rw(b'F', 0xc9);

    /// Makes an fd of `/dev/nvidiaN` able to be polled for events.
    pub const NV_ESC_ALLOC_OS_EVENT: Request<nv_ioctl_alloc_os_event_t> = rw(b'F', 0xce);

    /// Undoes that.
    pub const NV_ESC_FREE_OS_EVENT: Request<nv_ioctl_free_os_event_t> = rw(b'F', 0xcf);

    /// Compares versions. Optional, and refuses any other version.
    pub const NV_ESC_CHECK_VERSION_STR: Request<nv_ioctl_rm_api_version_t> = rw(b'F', 0xd2);

    /// Tells the driver the size of a block of memory hotplug.
    pub const NV_ESC_SYS_PARAMS: Request<nv_ioctl_sys_params_t> = rw(b'F', 0xd6);

    /// Waits until a GPU that was opened in the background is ready.
    pub const NV_ESC_WAIT_OPEN_COMPLETE: Request<nv_ioctl_wait_open_complete_t> = rw(b'F', 0xda);

    /// Makes an object of memory that exists, of class `NV01_MEMORY_SYSTEM_OS_DESCRIPTOR`.
    pub const NV_ESC_RM_ALLOC_MEMORY: Request<nv_ioctl_nvos02_parameters_with_fd> = rw(b'F', 0x27);

    /// Frees an object and everything below it.
    pub const NV_ESC_RM_FREE: Request<NVOS00_PARAMETERS> = rw(b'F', 0x29);

    /// Calls a control of an object.
    pub const NV_ESC_RM_CONTROL: Request<NVOS54_PARAMETERS> = rw(b'F', 0x2a);

    /// Allocates an object of a class. (The driver takes a shorter struct too, told apart by its
    /// size.)
    pub const NV_ESC_RM_ALLOC: Request<NVOS64_PARAMETERS> = rw(b'F', 0x2b);

    /// Gives an object of another client a handle in this one.
    pub const NV_ESC_RM_DUP_OBJECT: Request<NVOS55_PARAMETERS> = rw(b'F', 0x34);

    /// Prepares a mapping for the CPU.
    pub const NV_ESC_RM_MAP_MEMORY: Request<nv_ioctl_nvos33_parameters_with_fd> = rw(b'F', 0x4e);

    /// Ends a mapping for the CPU.
    pub const NV_ESC_RM_UNMAP_MEMORY: Request<NVOS34_PARAMETERS> = rw(b'F', 0x4f);

    /// Maps memory for the GPU, in an address space that RM owns.
    pub const NV_ESC_RM_MAP_MEMORY_DMA: Request<NVOS46_PARAMETERS> = rw(b'F', 0x57);

    /// Ends such a mapping.
    pub const NV_ESC_RM_UNMAP_MEMORY_DMA: Request<NVOS47_PARAMETERS> = rw(b'F', 0x58);
}
