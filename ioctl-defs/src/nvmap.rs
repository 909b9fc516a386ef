//! `/dev/nvmap`: memory for the GPU, and dmabuf fds for it.

use crate::declare::Module;
use crate::{Request, ValueRequest};

pub(crate) const MODULE: Module =
    Module { structs: STRUCTS, constants: CONSTANTS, requests: REQUESTS, ..Module::EMPTY };

structs! {
    /// Argument of [`NVMAP_IOC_CREATE`] and of the requests about IVM and ids. The vendor has one
    /// struct of unions where this crate has three.
    #[repr(align(8))]
    pub struct nvmap_create_handle {
        /// In, rounded up to 4 KiB.
        size: u32,
        /// Out.
        handle: u32,
    }

    /// Argument of [`NVMAP_IOC_CREATE_64`] before the call; after it, an
    /// [`nvmap_create_handle_64_out`] lies in the same bytes.
    pub struct nvmap_create_handle_64 "nvmap_create_handle" {
        /// Rounded up to 4 KiB.
        size64: u64,
    }

    /// What [`NVMAP_IOC_CREATE_64`] answers, in the bytes of its argument.
    #[repr(align(8))]
    pub struct nvmap_create_handle_64_out "nvmap_create_handle" {
        handle64: u32,
        _pad0: u32,
    }

    /// Argument of [`NVMAP_IOC_GET_FD`] and [`NVMAP_IOC_FROM_FD`].
    #[repr(align(8))]
    pub struct nvmap_create_handle_fd "nvmap_create_handle" {
        fd: i32,
        handle: u32,
    }

    /// Argument of [`NVMAP_IOC_FROM_VA`] before the call; after it, an
    /// [`nvmap_create_handle_from_va_out`] lies in the same bytes.
    pub struct nvmap_create_handle_from_va {
        va: u64,
        /// 0 to have `size64` read.
        size: u32,
        flags: u32,
        size64: u64,
    }

    /// What [`NVMAP_IOC_FROM_VA`] answers, in the bytes of its argument.
    pub struct nvmap_create_handle_from_va_out "nvmap_create_handle_from_va" {
        va: u64,
        size: u32,
        flags: u32,
        handle: u32,
        _pad0: u32,
    }

    /// Argument of [`NVMAP_IOC_ALLOC`]. Before r36 it had no `numa_nid`.
    pub struct nvmap_alloc_handle {
        handle: u32,
        /// `NVMAP_HEAP_*`.
        heap_mask: u32,
        /// `NVMAP_HANDLE_*` in bits 15:0, a tag in bits 31:16.
        flags: u32,
        /// 0 or a power of two; at least 4096 is used.
        align: u32,
        /// -1 for any.
        numa_nid: i32,
    }

    /// Argument of [`NVMAP_IOC_ALLOC_IVM`].
    pub struct nvmap_alloc_ivm_handle {
        handle: u32,
        heap_mask: u32,
        flags: u32,
        align: u32,
        peer: u32,
    }

    /// Argument of [`NVMAP_IOC_WRITE`] and [`NVMAP_IOC_READ`].
    pub struct nvmap_rw_handle {
        addr: u64,
        handle: u32,
        _pad0: u32,
        offset: u64,
        elem_size: u64,
        hmem_stride: u64,
        user_stride: u64,
        count: u64,
    }

    /// Argument of [`NVMAP_IOC_PARAM`].
    pub struct nvmap_handle_param {
        handle: u32,
        param: u32,
        result: u64,
    }

    /// Argument of [`NVMAP_IOC_CACHE`].
    pub struct nvmap_cache_op {
        /// Where this process has the buffer mapped.
        addr: u64,
        handle: u32,
        len: u32,
        /// One of `NVMAP_CACHE_OP_*`.
        op: i32,
        _pad0: u32,
    }

    /// Argument of [`NVMAP_IOC_CACHE_64`].
    pub struct nvmap_cache_op_64 {
        /// Where this process has the buffer mapped.
        addr: u64,
        handle: u32,
        _pad0: u32,
        len: u64,
        /// One of `NVMAP_CACHE_OP_*`.
        op: i32,
        _pad1: u32,
    }

    /// Argument of [`NVMAP_IOC_CACHE_LIST`].
    pub struct nvmap_cache_op_list {
        /// Address of `nr` handles, a `u32` each.
        handles: u64,
        /// Address of `nr` offsets; their width is that of [`NVMAP_ELEM_SIZE_U64`].
        offsets: u64,
        /// Address of `nr` sizes, as wide as the offsets.
        sizes: u64,
        /// The number of handles, and [`NVMAP_ELEM_SIZE_U64`].
        nr: u32,
        op: i32,
    }

    /// Argument of [`NVMAP_IOC_SET_TAG_LABEL`].
    pub struct nvmap_set_tag_label {
        tag: u32,
        len: u32,
        addr: u64,
    }

    /// Argument of [`NVMAP_IOC_GET_AVAILABLE_HEAPS`].
    pub struct nvmap_available_heaps {
        /// Out: carveouts only. `NVMAP_HEAP_IOVMM` is missing here although it works.
        heaps: u64,
    }

    /// Argument of [`NVMAP_IOC_GET_HEAP_SIZE`].
    pub struct nvmap_heap_size {
        heap: u32,
        _pad0: u32,
        size: u64,
    }

    /// Argument of [`NVMAP_IOC_PARAMETERS`].
    pub struct nvmap_handle_parameters {
        contig: u8,
        _pad0: [u8; 3],
        import_id: u32,
        handle: u32,
        heap_number: u32,
        access_flags: u32,
        _pad1: u32,
        /// Out: 0 until memory is allocated.
        heap: u64,
        align: u64,
        coherency: u64,
        size: u64,
        offset: u64,
        serial_id: u64,
    }

    /// Argument of [`NVMAP_IOC_QUERY_HEAP_PARAMS`].
    pub struct nvmap_query_heap_params {
        /// One heap.
        heap_mask: u32,
        flags: u32,
        contig: u8,
        _pad0: [u8; 7],
        total: u64,
        free: u64,
        largest_free_block: u64,
        granule_size: u32,
        _pad1: u32,
    }

    /// Argument of [`NVMAP_IOC_DUP_HANDLE`].
    pub struct nvmap_duplicate_handle {
        handle: u32,
        access_flags: u32,
        dup_handle: u32,
    }

    /// Argument of [`NVMAP_IOC_GET_SCIIPCID`] and its counterpart.
    pub struct nvmap_sciipc_map {
        auth_token: u64,
        flags: u32,
        _pad0: u32,
        sci_ipc_id: u64,
        handle: u32,
        _pad1: u32,
    }

    /// Argument of [`NVMAP_IOC_GET_FD_FOR_RANGE_FROM_LIST`].
    pub struct nvmap_fd_for_range_from_list {
        /// Address of `num_handles` handles, a `u32` each.
        handles: u64,
        num_handles: u32,
        _pad0: u32,
        offset: u64,
        size: u64,
        fd: i32,
        _pad1: u32,
    }

    /// Argument of [`NVMAP_IOC_GUP_TEST`].
    pub struct nvmap_gup_test {
        va: u64,
        handle: u32,
        result: u32,
    }
}

constants! {
    /// The magic byte of this fd.
    u8 {
        NVMAP_IOC_MAGIC = 0x4e,
    }

    /// The highest request that this fd accepts; beyond it: ENOTTY.
    u32 {
        NVMAP_IOC_MAXNR = 0x6b,
    }

    /// Where memory comes from. On an Orin: `NVMAP_HEAP_IOVMM`, which is plain memory.
    u32 {
        NVMAP_HEAP_IOVMM = 0x40000000,
        NVMAP_HEAP_CARVEOUT_VPR = 0x10000000,
        NVMAP_HEAP_CARVEOUT_TSEC = 0x8000000,
        NVMAP_HEAP_CARVEOUT_VIDMEM = 0x4000000,
        NVMAP_HEAP_CARVEOUT_GPU = 8,
        NVMAP_HEAP_CARVEOUT_FSI = 4,
        NVMAP_HEAP_CARVEOUT_IVM = 2,
        NVMAP_HEAP_CARVEOUT_GENERIC = 1,
        NVMAP_HEAP_CARVEOUT_MASK = 0x3fffffff,
    }

    /// How memory is cached, bits 1:0 of the flags of [`nvmap_alloc_handle`]; the mask of those
    /// bits is `NVMAP_HANDLE_CACHE_FLAG`. Uncached is device memory to the CPU: unaligned access
    /// faults.
    u32 {
        NVMAP_HANDLE_UNCACHEABLE = 0,
        NVMAP_HANDLE_WRITE_COMBINE = 1,
        NVMAP_HANDLE_INNER_CACHEABLE = 2,
        NVMAP_HANDLE_CACHEABLE = 3,
        NVMAP_HANDLE_CACHE_FLAG = 3,
    }

    /// A flag of [`nvmap_alloc_handle`].
    u32 {
        NVMAP_HANDLE_SECURE = 4,
        NVMAP_HANDLE_KIND_SPECIFIED = 8,
        NVMAP_HANDLE_COMPR_SPECIFIED = 0x10,
        NVMAP_HANDLE_ZEROED_PAGES = 0x20,
        NVMAP_HANDLE_PHYS_CONTIG = 0x40,
        NVMAP_HANDLE_CACHE_SYNC = 0x80,
        NVMAP_HANDLE_CACHE_SYNC_AT_RESERVE = 0x100,
        NVMAP_HANDLE_RO = 0x200,
    }

    /// What [`NVMAP_IOC_PARAM`] asked for.
    u32 {
        NVMAP_HANDLE_PARAM_SIZE = 1,
        NVMAP_HANDLE_PARAM_ALIGNMENT = 2,
        NVMAP_HANDLE_PARAM_BASE = 3,
        NVMAP_HANDLE_PARAM_HEAP = 4,
        NVMAP_HANDLE_PARAM_KIND = 5,
        NVMAP_HANDLE_PARAM_COMPR = 6,
    }

    /// What is done to the caches: write back, invalidate, both. Invalidating cached memory loses
    /// dirty lines on some releases.
    i32 {
        NVMAP_CACHE_OP_WB = 0,
        NVMAP_CACHE_OP_INV = 1,
        NVMAP_CACHE_OP_WB_INV = 2,
    }

    /// What [`NVMAP_IOC_CACHE_LIST`] does to reserved pages.
    i32 {
        NVMAP_PAGES_UNRESERVE = 0,
        NVMAP_PAGES_RESERVE = 1,
        NVMAP_INSERT_PAGES_ON_UNRESERVE = 2,
        NVMAP_PAGES_PROT_AND_CLEAN = 3,
    }

    /// A bit of `nr` of [`nvmap_cache_op_list`]: offsets and sizes are 64 bits wide.
    u32 {
        NVMAP_ELEM_SIZE_U64 = 0x80000000,
    }
}

requests! {
    /// A handle of up to 4 GiB, without memory.
    pub const NVMAP_IOC_CREATE: Request<nvmap_create_handle> = rw(b'N', 0);

    /// A handle of any size, without memory.
    pub const NVMAP_IOC_CREATE_64: Request<nvmap_create_handle_64> = rw(b'N', 1);

    /// Deprecated: ENOTTY.
    pub const NVMAP_IOC_FROM_ID: Request<nvmap_create_handle> = rw(b'N', 2);

    /// Allocates the memory of a handle, zeroed.
    pub const NVMAP_IOC_ALLOC: Request<nvmap_alloc_handle> = w(b'N', 3);

    /// Drops a handle; the argument is the handle itself. Succeeds with any number, and *closes* it
    /// when it is an open dmabuf fd.
    pub const NVMAP_IOC_FREE: ValueRequest = value(b'N', 4);

    /// Copies into a buffer.
    pub const NVMAP_IOC_WRITE: Request<nvmap_rw_handle> = w(b'N', 6);

    /// Copies out of a buffer.
    pub const NVMAP_IOC_READ: Request<nvmap_rw_handle> = w(b'N', 7);

    /// No longer handled: ENOTTY. [`NVMAP_IOC_PARAMETERS`] took its place.
    pub const NVMAP_IOC_PARAM: Request<nvmap_handle_param> = rw(b'N', 8);

    /// Maintains caches for a mapped range.
    pub const NVMAP_IOC_CACHE: Request<nvmap_cache_op> = w(b'N', 12);

    /// Maintains caches for a mapped range of any size.
    pub const NVMAP_IOC_CACHE_64: Request<nvmap_cache_op_64> = w(b'N', 12);

    /// Deprecated: ENOTTY.
    pub const NVMAP_IOC_GET_ID: Request<nvmap_create_handle> = rw(b'N', 13);

    /// A new dmabuf fd of a handle, close-on-exec. The number of a dmabuf fd instead of a handle
    /// makes the driver drop a reference too many.
    pub const NVMAP_IOC_GET_FD: Request<nvmap_create_handle_fd> = rw(b'N', 15);

    /// A new handle of a dmabuf.
    pub const NVMAP_IOC_FROM_FD: Request<nvmap_create_handle_fd> = rw(b'N', 16);

    /// Maintains caches for a list of handles. Nothing to do on an Orin, whose fabric snoops.
    pub const NVMAP_IOC_CACHE_LIST: Request<nvmap_cache_op_list> = w(b'N', 17);

    /// A handle of memory shared with another guest.
    pub const NVMAP_IOC_FROM_IVC_ID: Request<nvmap_create_handle> = rw(b'N', 19);

    /// The id of memory shared with another guest.
    pub const NVMAP_IOC_GET_IVC_ID: Request<nvmap_create_handle> = rw(b'N', 20);

    /// The heaps shared with other guests.
    pub const NVMAP_IOC_GET_IVM_HEAPS: Request<u32> = r(b'N', 21);

    /// A handle of memory of this process.
    pub const NVMAP_IOC_FROM_VA: Request<nvmap_create_handle_from_va> = rw(b'N', 22);

    /// A test of the driver itself.
    pub const NVMAP_IOC_GUP_TEST: Request<nvmap_gup_test> = rw(b'N', 23);

    /// Names a tag, for statistics.
    pub const NVMAP_IOC_SET_TAG_LABEL: Request<nvmap_set_tag_label> = w(b'N', 24);

    /// The heaps of this board.
    pub const NVMAP_IOC_GET_AVAILABLE_HEAPS: Request<nvmap_available_heaps> = r(b'N', 25);

    /// The size of a carveout.
    pub const NVMAP_IOC_GET_HEAP_SIZE: Request<nvmap_heap_size> = r(b'N', 26);

    /// What the driver knows about a handle.
    pub const NVMAP_IOC_PARAMETERS: Request<nvmap_handle_parameters> = r(b'N', 27);

    /// Allocates memory that is shared with another guest.
    pub const NVMAP_IOC_ALLOC_IVM: Request<nvmap_alloc_ivm_handle> = w(b'N', 101);

    /// The smallest size of protected video memory.
    pub const NVMAP_IOC_VPR_FLOOR_SIZE: Request<u32> = w(b'N', 102);

    /// An id to pass a buffer through NvSciIpc.
    pub const NVMAP_IOC_GET_SCIIPCID: Request<nvmap_sciipc_map> = r(b'N', 103);

    /// The buffer of an id that came through NvSciIpc.
    pub const NVMAP_IOC_HANDLE_FROM_SCIIPCID: Request<nvmap_sciipc_map> = r(b'N', 104);

    /// Size and free space of one heap.
    pub const NVMAP_IOC_QUERY_HEAP_PARAMS: Request<nvmap_query_heap_params> = r(b'N', 105);

    /// A second handle of a buffer, possibly read-only.
    pub const NVMAP_IOC_DUP_HANDLE: Request<nvmap_duplicate_handle> = rw(b'N', 106);

    /// A dmabuf fd for a range of several buffers.
    pub const NVMAP_IOC_GET_FD_FOR_RANGE_FROM_LIST: Request<nvmap_fd_for_range_from_list> =
        r(b'N', 107);
}

impl nvmap_create_handle_64 {
    /// The bytes as the driver leaves them.
    pub fn out(&self) -> &nvmap_create_handle_64_out {
        zerocopy::transmute_ref!(self)
    }

    /// The bytes as the driver writes them.
    pub fn out_mut(&mut self) -> &mut nvmap_create_handle_64_out {
        zerocopy::transmute_mut!(self)
    }
}
