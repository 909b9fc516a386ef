//! The address-space fd, which
//! [`NVGPU_GPU_IOCTL_ALLOC_AS`](super::ctrl::NVGPU_GPU_IOCTL_ALLOC_AS) opens.

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
    /// Argument of [`NVGPU_AS_IOCTL_BIND_CHANNEL`].
    pub struct nvgpu_as_bind_channel_args {
        channel_fd: u32,
    }

    /// Argument of [`NVGPU_AS_IOCTL_ALLOC_SPACE`].
    pub struct nvgpu_as_alloc_space_args {
        pages: u64,
        /// 4096, or the big page size of an address space that has big pages.
        page_size: u32,
        flags: AllocSpaceFlags,
        /// In: the address, with `FIXED_OFFSET`. Out: the address. (In a union with `align`, which
        /// the driver ignores.)
        offset "o_a.offset": u64,
        padding: [u32; 2],
    }

    /// Argument of [`NVGPU32_AS_IOCTL_ALLOC_SPACE`].
    pub struct nvgpu32_as_alloc_space_args {
        pages: u32,
        page_size: u32,
        flags: AllocSpaceFlags,
        _pad0: u32,
        offset "o_a.offset": u64,
    }

    /// Argument of [`NVGPU_AS_IOCTL_FREE_SPACE`].
    pub struct nvgpu_as_free_space_args {
        offset: u64,
        /// Ignored, as is `page_size`: the area is found by its start.
        pages: u64,
        page_size: u32,
        padding: [u32; 3],
    }

    /// Argument of [`NVGPU_AS_IOCTL_MAP_BUFFER_EX`], and an element of the list of
    /// [`NVGPU_AS_IOCTL_MAP_BUFFER_BATCH`].
    pub struct nvgpu_as_map_buffer_ex_args {
        flags: MapBufferFlags,
        /// [`NV_KIND_INVALID`] for plain compute buffers.
        compr_kind: i16,
        /// 0 is pitch, the kind of plain compute buffers.
        incompr_kind: i16,
        dmabuf_fd: u32,
        /// Ignored, and not written back.
        page_size: u32,
        /// 0 unless `FIXED_OFFSET`.
        buffer_offset: u64,
        /// 0 unless `FIXED_OFFSET`.
        mapping_size: u64,
        /// In: the address, with `FIXED_OFFSET`, else 0. Out: the address.
        offset: u64,
    }

    /// Argument of [`NVGPU_AS_IOCTL_UNMAP_BUFFER`], and an element of the list of
    /// [`NVGPU_AS_IOCTL_MAP_BUFFER_BATCH`].
    pub struct nvgpu_as_unmap_buffer_args {
        /// The exact start of a mapping. Any other address is ignored with success.
        offset: u64,
    }

    /// Argument of [`NVGPU_AS_IOCTL_MAP_BUFFER_BATCH`].
    pub struct nvgpu_as_map_buffer_batch_args {
        /// Address of `num_unmaps` [`nvgpu_as_unmap_buffer_args`].
        unmaps: u64,
        /// Address of `num_maps` [`nvgpu_as_map_buffer_ex_args`]. Addresses that the driver chose
        /// are not written back.
        maps: u64,
        num_unmaps: u32,
        num_maps: u32,
        reserved: u64,
    }

    /// An element of the list that [`NVGPU_AS_IOCTL_GET_VA_REGIONS`] fills.
    pub struct nvgpu_as_va_region {
        offset: u64,
        page_size: u32,
        reserved: u32,
        pages: u64,
    }

    /// Argument of [`NVGPU_AS_IOCTL_GET_VA_REGIONS`].
    pub struct nvgpu_as_get_va_regions_args {
        /// Address of an array of [`nvgpu_as_va_region`].
        buf_addr: u64,
        /// In: bytes at `buf_addr`. Out: bytes that all regions take.
        buf_size: u32,
        reserved: u32,
    }

    /// Argument of [`NVGPU_AS_IOCTL_GET_SYNC_RO_MAP`].
    pub struct nvgpu_as_get_sync_ro_map_args {
        base_gpuva: u64,
        sync_size: u32,
        num_syncpoints: u32,
    }

    /// Argument of [`NVGPU_AS_IOCTL_MAPPING_MODIFY`].
    pub struct nvgpu_as_mapping_modify_args {
        compr_kind: i16,
        incompr_kind: i16,
        _pad0: u32,
        buffer_offset: u64,
        buffer_size: u64,
        map_address: u64,
    }

    /// An element of the list of [`NVGPU_AS_IOCTL_REMAP`].
    pub struct nvgpu_as_remap_op {
        flags: RemapOpFlags,
        compr_kind: i16,
        incompr_kind: i16,
        /// A dmabuf fd.
        mem_handle: u32,
        reserved: i32,
        mem_offset_in_pages: u64,
        virt_offset_in_pages: u64,
        num_pages: u64,
    }

    /// Argument of [`NVGPU_AS_IOCTL_REMAP`].
    pub struct nvgpu_as_remap_args {
        /// Address of `num_ops` [`nvgpu_as_remap_op`].
        ops: u64,
        num_ops: u32,
        _pad0: u32,
    }

    /// Argument of [`NVGPU_AS_IOCTL_GET_BUFFER_COMPBITS_INFO`].
    pub struct nvgpu_as_get_buffer_compbits_info_args {
        mapping_gva: u64,
        compbits_win_size: u64,
        compbits_win_ctagline: u32,
        mapping_ctagline: u32,
        flags: GetBufferCompbitsInfoFlags,
        reserved1: u32,
    }

    /// Argument of [`NVGPU_AS_IOCTL_MAP_BUFFER_COMPBITS`].
    pub struct nvgpu_as_map_buffer_compbits_args {
        mapping_gva: u64,
        compbits_win_gva: u64,
        /// Out: the address. (In a union with `mapping_iova_buf_addr`, for buffers that are not
        /// contiguous.)
        mapping_iova: u64,
        mapping_iova_buf_size: u64,
        flags: MapBufferCompbitsFlags,
        reserved1: u32,
    }
}

flags! {
    /// How a range of addresses is reserved. Unknown bits are ignored.
    pub struct AllocSpaceFlags: u32 {
        FIXED_OFFSET = "NVGPU_AS_ALLOC_SPACE_FLAGS_FIXED_OFFSET", 0x1;
        SPARSE = "NVGPU_AS_ALLOC_SPACE_FLAGS_SPARSE", 0x2;
    }

    /// How a buffer is mapped. Unknown bits are EINVAL.
    ///
    /// Bits 11:10 are a field, not flags: see [`MapBufferFlags::with_access`].
    pub struct MapBufferFlags: u32 {
        FIXED_OFFSET = "NVGPU_AS_MAP_BUFFER_FLAGS_FIXED_OFFSET", 0x1;
        CACHEABLE = "NVGPU_AS_MAP_BUFFER_FLAGS_CACHEABLE", 0x4;
        UNMAPPED_PTE = "NVGPU_AS_MAP_BUFFER_FLAGS_UNMAPPED_PTE", 0x20;
        MAPPABLE_COMPBITS = "NVGPU_AS_MAP_BUFFER_FLAGS_MAPPABLE_COMPBITS", 0x40;
        L3_ALLOC = "NVGPU_AS_MAP_BUFFER_FLAGS_L3_ALLOC", 0x80;
        SYSTEM_COHERENT = "NVGPU_AS_MAP_BUFFER_FLAGS_SYSTEM_COHERENT", 0x200;
        TEGRA_RAW = "NVGPU_AS_MAP_BUFFER_FLAGS_TEGRA_RAW", 0x1000;
    }

    /// How [`NVGPU_AS_IOCTL_REMAP`] maps a piece of a sparse area.
    pub struct RemapOpFlags: u32 {
        CACHEABLE = "NVGPU_AS_REMAP_OP_FLAGS_CACHEABLE", 0x4;
        ACCESS_NO_WRITE = "NVGPU_AS_REMAP_OP_FLAGS_ACCESS_NO_WRITE", 0x400;
        PAGESIZE_4K = "NVGPU_AS_REMAP_OP_FLAGS_PAGESIZE_4K", 0x8000;
        PAGESIZE_64K = "NVGPU_AS_REMAP_OP_FLAGS_PAGESIZE_64K", 0x10000;
        PAGESIZE_128K = "NVGPU_AS_REMAP_OP_FLAGS_PAGESIZE_128K", 0x20000;
    }

    /// What the driver says about the compression bits of a mapping.
    pub struct GetBufferCompbitsInfoFlags: u32 {
        HAS_COMPBITS = "NVGPU_AS_GET_BUFFER_COMPBITS_INFO_FLAGS_HAS_COMPBITS", 0x1;
        MAPPABLE = "NVGPU_AS_GET_BUFFER_COMPBITS_INFO_FLAGS_MAPPABLE", 0x2;
        DISCONTIG_IOVA = "NVGPU_AS_GET_BUFFER_COMPBITS_INFO_FLAGS_DISCONTIG_IOVA", 0x4;
    }

    /// How compression bits are mapped.
    pub struct MapBufferCompbitsFlags: u32 {
        FIXED_OFFSET = "NVGPU_AS_MAP_BUFFER_COMPBITS_FLAGS_FIXED_OFFSET", 0x1;
    }
}

constants! {
    /// The magic byte of this fd.
    u8 {
        NVGPU_AS_IOCTL_MAGIC = 0x41,
    }

    /// The highest request and the largest argument that this fd accepts; beyond them: EINVAL.
    u32 {
        NVGPU_AS_IOCTL_LAST = 0xe,
        NVGPU_AS_IOCTL_MAX_ARG_SIZE = 0x28,
    }

    /// Position and width of the access field of [`MapBufferFlags`].
    u32 {
        NVGPU_AS_MAP_BUFFER_FLAGS_ACCESS_BITMASK_OFFSET = 0xa,
        NVGPU_AS_MAP_BUFFER_FLAGS_ACCESS_BITMASK_SIZE = 2,
    }

    /// A value of the access field of [`MapBufferFlags`].
    u32 {
        NVGPU_AS_MAP_BUFFER_ACCESS_DEFAULT = 0,
        NVGPU_AS_MAP_BUFFER_ACCESS_READ_ONLY = 1,
        NVGPU_AS_MAP_BUFFER_ACCESS_READ_WRITE = 2,
    }

    /// No kind of this sort.
    i16 {
        NV_KIND_INVALID = -1,
    }
}

requests! {
    /// Gives a channel this address space, for good. Comes before the channel joins a TSG.
    pub const NVGPU_AS_IOCTL_BIND_CHANNEL: Request<nvgpu_as_bind_channel_args> = rw(b'A', 1);

    /// Reserves a range of addresses for fixed mappings.
    pub const NVGPU_AS_IOCTL_ALLOC_SPACE: Request<nvgpu_as_alloc_space_args> = rw(b'A', 6);

    /// The variant of 32-bit programs.
    pub const NVGPU32_AS_IOCTL_ALLOC_SPACE: Request<nvgpu32_as_alloc_space_args> = rw(b'A', 2);

    /// Gives a reserved range back, with the mappings in it. Succeeds with any address.
    pub const NVGPU_AS_IOCTL_FREE_SPACE: Request<nvgpu_as_free_space_args> = rw(b'A', 3);

    /// Maps a dmabuf. The same buffer mapped again gives the same address and wants one more unmap.
    pub const NVGPU_AS_IOCTL_MAP_BUFFER_EX: Request<nvgpu_as_map_buffer_ex_args> = rw(b'A', 7);

    /// Drops a mapping without waiting for the GPU. Succeeds with any address.
    pub const NVGPU_AS_IOCTL_UNMAP_BUFFER: Request<nvgpu_as_unmap_buffer_args> = rw(b'A', 5);

    /// Unmaps and maps lists of buffers. Of use with fixed addresses only.
    pub const NVGPU_AS_IOCTL_MAP_BUFFER_BATCH: Request<nvgpu_as_map_buffer_batch_args> =
        rw(b'A', 11);

    /// The ranges of addresses per page size.
    pub const NVGPU_AS_IOCTL_GET_VA_REGIONS: Request<nvgpu_as_get_va_regions_args> = rw(b'A', 8);

    /// Maps all syncpoints read-only.
    pub const NVGPU_AS_IOCTL_GET_SYNC_RO_MAP: Request<nvgpu_as_get_sync_ro_map_args> = r(b'A', 12);

    /// Changes the kind of a mapping.
    pub const NVGPU_AS_IOCTL_MAPPING_MODIFY: Request<nvgpu_as_mapping_modify_args> = rw(b'A', 13);

    /// Maps pieces of buffers into a sparse area.
    pub const NVGPU_AS_IOCTL_REMAP: Request<nvgpu_as_remap_args> = rw(b'A', 14);

    /// Asks for the compression bits of a mapping.
    pub const NVGPU_AS_IOCTL_GET_BUFFER_COMPBITS_INFO:
        Request<nvgpu_as_get_buffer_compbits_info_args> = rw(b'A', 9);

    /// Maps the compression bits of a mapping.
    pub const NVGPU_AS_IOCTL_MAP_BUFFER_COMPBITS: Request<nvgpu_as_map_buffer_compbits_args> =
        rw(b'A', 10);
}

impl MapBufferFlags {
    /// The flags with a value of the access field, one of `NVGPU_AS_MAP_BUFFER_ACCESS_*`.
    pub const fn with_access(self, access: u32) -> Self {
        assert!(access >> NVGPU_AS_MAP_BUFFER_FLAGS_ACCESS_BITMASK_SIZE == 0);
        MapBufferFlags(
            self.0 & !Self::ACCESS_MASK | access << NVGPU_AS_MAP_BUFFER_FLAGS_ACCESS_BITMASK_OFFSET,
        )
    }

    /// The value of the access field.
    pub const fn access(self) -> u32 {
        (self.0 & Self::ACCESS_MASK) >> NVGPU_AS_MAP_BUFFER_FLAGS_ACCESS_BITMASK_OFFSET
    }

    const ACCESS_MASK: u32 = ((1 << NVGPU_AS_MAP_BUFFER_FLAGS_ACCESS_BITMASK_SIZE) - 1)
        << NVGPU_AS_MAP_BUFFER_FLAGS_ACCESS_BITMASK_OFFSET;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_a_field_beside_the_flags() {
        let flags = MapBufferFlags::CACHEABLE.with_access(NVGPU_AS_MAP_BUFFER_ACCESS_READ_WRITE);
        assert_eq!(flags.bits(), 0x804);
        assert_eq!(flags.access(), NVGPU_AS_MAP_BUFFER_ACCESS_READ_WRITE);
        let flags = flags.with_access(NVGPU_AS_MAP_BUFFER_ACCESS_READ_ONLY);
        assert_eq!(flags.bits(), 0x404);
    }
}
