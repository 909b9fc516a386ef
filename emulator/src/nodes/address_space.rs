//! The address-space file.

use std::sync::Arc;

use ioctl_defs::nvgpu::address_space::*;
use ioctl_defs::nvgpu::ctrl::GpuFlags;
use nix::errno::Errno;
use zerocopy::{FromZeros, IntoBytes};

use super::caller::Answer;
use super::dispatch::{Limits, Message, answer};
use super::dmabuf::Buffer;
use super::space::{Area, Mapping, Space, SpaceKey};
use super::{Call, Nodes};
use crate::gpu::{Access, Gpu};
use crate::memory::Memory;
use crate::va::{BIG_PAGE, PageSize, SMALL_PAGE};

const LIMITS: Limits = Limits {
    magic: NVGPU_AS_IOCTL_MAGIC,
    last: NVGPU_AS_IOCTL_LAST,
    largest: NVGPU_AS_IOCTL_MAX_ARG_SIZE,
};

/// What one syncpoint takes in the GPU's address space on this chip.
pub(super) const SYNCPOINT_SIZE: u64 = 64 << 10;

/// Flags that a map call may have at all.
const MAP_FLAGS: MapBufferFlags = MapBufferFlags::FIXED_OFFSET
    .union(MapBufferFlags::CACHEABLE)
    .union(MapBufferFlags::UNMAPPED_PTE)
    .union(MapBufferFlags::MAPPABLE_COMPBITS)
    .union(MapBufferFlags::L3_ALLOC)
    .union(MapBufferFlags::SYSTEM_COHERENT)
    .union(MapBufferFlags::TEGRA_RAW)
    .with_access(3);

impl Nodes {
    pub(super) fn space_ioctl(
        &mut self,
        call: &mut Call<'_>,
        key: SpaceKey,
        request: u32,
        arg: u64,
    ) -> Answer {
        let mut message = Message::receive(&LIMITS, call, request, arg)?;
        self.injected(request)?;
        let answer = answer!(self, message, {
            NVGPU_AS_IOCTL_BIND_CHANNEL => |args| self.bind_channel_to_space(call, key, &args),
            NVGPU_AS_IOCTL_ALLOC_SPACE => |args| self.alloc_space(key, &mut args),
            NVGPU32_AS_IOCTL_ALLOC_SPACE => |args| {
                let mut wide = nvgpu_as_alloc_space_args {
                    pages: args.pages.into(),
                    page_size: args.page_size,
                    flags: args.flags,
                    offset: args.offset,
                    padding: [0; 2],
                };
                let answer = self.alloc_space(key, &mut wide);
                args.offset = wide.offset;
                answer
            },
            NVGPU_AS_IOCTL_FREE_SPACE => |args| self.free_space(call, key, &args),
            NVGPU_AS_IOCTL_MAP_BUFFER_EX => |args| self.map_buffer(call, key, &mut args),
            NVGPU_AS_IOCTL_UNMAP_BUFFER => |args| {
                self.unmap_buffer(call.gpu, key, args.offset);
                Ok(0)
            },
            NVGPU_AS_IOCTL_MAP_BUFFER_BATCH => |args| self.map_buffer_batch(call, key, &mut args),
            NVGPU_AS_IOCTL_GET_VA_REGIONS => |args| self.get_va_regions(call, key, &mut args),
            NVGPU_AS_IOCTL_GET_SYNC_RO_MAP => |args| self.get_sync_ro_map(call, key, &mut args),
            NVGPU_AS_IOCTL_MAPPING_MODIFY => |args| self.mapping_modify(key, &args),
            NVGPU_AS_IOCTL_REMAP => |args| self.remap(&mut args),
        });
        let always = request == NVGPU_AS_IOCTL_REMAP.number();
        message.finish_space(call, answer, always)
    }

    pub(super) fn space(&mut self, key: SpaceKey) -> &mut Space {
        self.spaces
            .get_mut(&key)
            .expect("an address space lives as long as its file and its channels")
    }

    pub(super) fn close_space(&mut self, gpu: &mut Gpu, key: SpaceKey) {
        self.space(key).open = false;
        self.release_space(gpu, key);
    }

    /// Drops an address space that nothing refers to any more.
    pub(super) fn release_space(&mut self, gpu: &mut Gpu, key: SpaceKey) {
        let space = self.space(key);
        if !space.open && space.channels == 0 {
            gpu.destroy_space(space.gpu);
            self.spaces.remove(&key);
        }
    }

    fn bind_channel_to_space(
        &mut self,
        call: &mut Call<'_>,
        key: SpaceKey,
        args: &nvgpu_as_bind_channel_args,
    ) -> Answer {
        let id = self.channel_of(call.caller, args.channel_fd as i32)?;
        let channel = self.channels.get_mut(id);
        if channel.space.is_some() {
            return Err(Errno::EINVAL.into());
        }
        channel.space = Some(key);
        self.space(key).channels += 1;
        Ok(0)
    }

    fn alloc_space(&mut self, key: SpaceKey, args: &mut nvgpu_as_alloc_space_args) -> Answer {
        let space = self.space(key);
        let page = match u64::from(args.page_size) {
            SMALL_PAGE => PageSize::Small,
            BIG_PAGE if space.big_pages => PageSize::Big,
            _ => return Err(Errno::EINVAL.into()),
        };
        let size = args.pages.wrapping_mul(page.bytes());
        let start = if args.flags.contains(AllocSpaceFlags::FIXED_OFFSET) {
            space.allocate_at(args.offset, size, page).then_some(args.offset)
        } else {
            space.allocate(size, page)
        };
        let start = start.ok_or(Errno::ENOMEM)?;
        let sparse = args.flags.contains(AllocSpaceFlags::SPARSE);
        space.areas.insert(start, Area { size, page });
        if sparse {
            self.warn(format!(
                "the area at {start:#x} is sparse: on a board the GPU may touch it unmapped, in the software \
                 Orin that is a fault"
            ));
        }
        if !args.flags.contains(AllocSpaceFlags::FIXED_OFFSET) && args.offset != 0 {
            self.warn("NVGPU_AS_IOCTL_ALLOC_SPACE: the driver ignores `align`");
        }
        args.offset = start;
        Ok(0)
    }

    fn free_space(
        &mut self,
        call: &mut Call<'_>,
        key: SpaceKey,
        args: &nvgpu_as_free_space_args,
    ) -> Answer {
        if !self.space(key).free_area(call.gpu, args.offset) {
            self.warn(format!(
                "NVGPU_AS_IOCTL_FREE_SPACE of {:#x}, where no area starts, frees nothing and succeeds",
                args.offset
            ));
        }
        Ok(0)
    }

    fn map_buffer(
        &mut self,
        call: &mut Call<'_>,
        key: SpaceKey,
        args: &mut nvgpu_as_map_buffer_ex_args,
    ) -> Answer {
        let fixed = args.flags.contains(MapBufferFlags::FIXED_OFFSET);
        let fd = args.dmabuf_fd as i32;
        let buffer = self.dmabuf_of(call.caller, fd)?;
        let refused = Err(Errno::EINVAL.into());
        if !fixed && (args.buffer_offset != 0 || args.offset != 0 || args.mapping_size != 0) {
            return refused;
        }
        if args.mapping_size > buffer.size || args.buffer_offset > buffer.size - args.mapping_size {
            return refused;
        }
        let wanted = args.flags.access();
        // This chip's driver does not support raw tiling.
        if wanted > NVGPU_AS_MAP_BUFFER_ACCESS_READ_WRITE
            || args.flags.contains(MapBufferFlags::TEGRA_RAW)
            || args.flags.bits() & !MAP_FLAGS.bits() != 0
        {
            return refused;
        }
        let read_only = match call.caller.access_mode(fd) {
            libc::O_WRONLY => return refused,
            mode => mode == libc::O_RDONLY,
        };
        let memory = buffer.memory().ok_or(Errno::EINVAL)?;
        if read_only && wanted == NVGPU_AS_MAP_BUFFER_ACCESS_READ_WRITE {
            return refused;
        }
        let access = if read_only || wanted == NVGPU_AS_MAP_BUFFER_ACCESS_READ_ONLY {
            Access::ReadOnly
        } else {
            Access::ReadWrite
        };
        if args.page_size != 0 && u64::from(args.page_size) != SMALL_PAGE {
            self.warn("NVGPU_AS_IOCTL_MAP_BUFFER_EX: the driver ignores `page_size`");
        }
        if let Some(address) = self.mapped_before(key, &buffer, args) {
            args.offset = address;
            return Ok(0);
        }
        let shared = args.flags.contains(MapBufferFlags::CACHEABLE)
            && call.caller.mappings().iter().any(|mapped| mapped.file == buffer.file);
        if shared {
            self.warn_of_stale_lines();
        }
        args.offset = self.map_anew(call.gpu, key, buffer, &memory, access, args)?;
        Ok(0)
    }

    /// Whether a buffer has a mapping that lets the GPU's L2 cache keep its lines.
    pub(super) fn is_gpu_cached(&self, buffer: &Buffer) -> bool {
        self.spaces.values().flat_map(|space| space.mappings.values()).any(|mapping| {
            mapping.buffer.file == buffer.file
                && mapping.flags & MapBufferFlags::CACHEABLE.bits() != 0
        })
    }

    pub(super) fn warn_of_stale_lines(&mut self) {
        self.warn(
            "a buffer is mapped for the CPU, and for the GPU with CACHEABLE: on a board the GPU's L2 cache keeps \
             lines of it, and what CPU and GPU store there each other sees late or never",
        );
    }

    /// The same buffer mapped in the same way is the same mapping. Of several mappings of a buffer the
    /// driver looks at the lowest only.
    fn mapped_before(
        &mut self,
        key: SpaceKey,
        buffer: &Arc<Buffer>,
        args: &nvgpu_as_map_buffer_ex_args,
    ) -> Option<u64> {
        let space = self.space(key);
        let same = |mapping: &Mapping| {
            Arc::ptr_eq(&mapping.buffer, buffer) && mapping.kind == map_kind(args)
        };
        let (address, mapping) = if args.flags.contains(MapBufferFlags::FIXED_OFFSET) {
            let mapping = space.mappings.get_mut(&args.offset)?;
            (args.offset, Some(mapping).filter(|mapping| same(mapping))?)
        } else {
            let (address, mapping) =
                space.mappings.iter_mut().find(|(_, mapping)| same(mapping))?;
            (*address, mapping)
        };
        if mapping.flags != map_flags(args) {
            return None;
        }
        mapping.references += 1;
        let unmaps = mapping.references;
        self.warn(format!(
            "a buffer is mapped again: the driver returns the same address, {address:#x}, and it now takes \
             {unmaps} unmaps"
        ));
        Some(address)
    }

    fn map_anew(
        &mut self,
        gpu: &mut Gpu,
        key: SpaceKey,
        buffer: Arc<Buffer>,
        memory: &Arc<Memory>,
        access: Access,
        args: &nvgpu_as_map_buffer_ex_args,
    ) -> Result<u64, Errno> {
        let space = self.space(key);
        let fixed = args.flags.contains(MapBufferFlags::FIXED_OFFSET);
        let size = if args.mapping_size != 0 { args.mapping_size } else { buffer.size };
        // Buffers consist of whole pages, so rounding does not make it larger than the buffer.
        let size = size.next_multiple_of(SMALL_PAGE);
        if args.buffer_offset > buffer.size - size {
            return Err(Errno::EINVAL);
        }
        // No rule of the driver is known for this; tables of pages cannot express it.
        if args.buffer_offset % SMALL_PAGE != 0 {
            return Err(Errno::EINVAL);
        }
        let mut page = PageSize::Small;
        if fixed {
            page = space.area_of(args.offset).map_or(page, |(_, area)| area.page);
        } else if space.big_pages && buffer.size >= BIG_PAGE {
            page = PageSize::Big;
        }
        let area = if fixed { Some(fixed_area(space, args.offset, size, page)?) } else { None };
        if !(0..=0xff).contains(&args.incompr_kind) {
            // A compressible kind alone would want compression tags, of which the model has none.
            return Err(Errno::ENOMEM);
        }
        let address =
            if fixed { args.offset } else { space.allocate(size, page).ok_or(Errno::ENOMEM)? };
        let present = !args.flags.contains(MapBufferFlags::UNMAPPED_PTE);
        if present {
            gpu.map(space.gpu, address, Arc::clone(memory), args.buffer_offset, size, access);
        }
        let (kind, flags) = (map_kind(args), map_flags(args));
        let mapping = Mapping { buffer, size, page, kind, flags, references: 1, area, present };
        space.mappings.insert(address, mapping);
        Ok(address)
    }

    fn unmap_buffer(&mut self, gpu: &mut Gpu, key: SpaceKey, address: u64) {
        if !self.space(key).unmap(gpu, address) {
            self.warn(format!(
                "NVGPU_AS_IOCTL_UNMAP_BUFFER of {address:#x}, where no mapping starts, does nothing and succeeds"
            ));
        }
    }

    fn map_buffer_batch(
        &mut self,
        call: &mut Call<'_>,
        key: SpaceKey,
        args: &mut nvgpu_as_map_buffer_batch_args,
    ) -> Answer {
        let limit = self.profile.characteristics.map_buffer_batch_limit;
        if args.num_unmaps > limit || args.num_maps > limit {
            return Err(Errno::EINVAL.into());
        }
        for i in 0..u64::from(args.num_unmaps) {
            let mut unmap = nvgpu_as_unmap_buffer_args::new_zeroed();
            let at = args.unmaps.wrapping_add(i * size_of_val(&unmap) as u64);
            call.caller.read(at, unmap.as_mut_bytes())?;
            self.unmap_buffer(call.gpu, key, unmap.offset);
        }
        for i in 0..u64::from(args.num_maps) {
            let mut map = nvgpu_as_map_buffer_ex_args::new_zeroed();
            let at = args.maps.wrapping_add(i * size_of_val(&map) as u64);
            call.caller.read(at, map.as_mut_bytes())?;
            self.map_buffer(call, key, &mut map)?;
            if !map.flags.contains(MapBufferFlags::FIXED_OFFSET) {
                self.warn(
                    "NVGPU_AS_IOCTL_MAP_BUFFER_BATCH does not tell which addresses the driver chose: map at \
                     fixed ones",
                );
            }
        }
        Ok(0)
    }

    fn get_va_regions(
        &mut self,
        call: &mut Call<'_>,
        key: SpaceKey,
        args: &mut nvgpu_as_get_va_regions_args,
    ) -> Answer {
        let space = self.space(key);
        let pages: &[PageSize] =
            if space.big_pages { &[PageSize::Small, PageSize::Big] } else { &[PageSize::Small] };
        let entry = size_of::<nvgpu_as_va_region>() as u32;
        let room = (args.buf_size / entry) as usize;
        for (i, page) in pages.iter().take(room).enumerate() {
            let range = space.region(*page);
            let region = nvgpu_as_va_region {
                offset: range.start,
                page_size: page.bytes() as u32,
                reserved: 0,
                pages: (range.end - range.start) / page.bytes(),
            };
            let at = args.buf_addr.wrapping_add(i as u64 * u64::from(entry));
            call.caller.write(at, region.as_bytes())?;
        }
        args.buf_size = pages.len() as u32 * entry;
        Ok(0)
    }

    fn get_sync_ro_map(
        &mut self,
        call: &mut Call<'_>,
        key: SpaceKey,
        args: &mut nvgpu_as_get_sync_ro_map_args,
    ) -> Answer {
        if !self.profile.supports(GpuFlags::HAS_SYNCPOINTS) {
            return Err(Errno::EINVAL.into());
        }
        let shim = self.syncpoint_shim()?;
        let space = self.space(key);
        if space.syncpoint_map.is_none() {
            space.syncpoint_map =
                space.map_kernel(call.gpu, &shim, 0..shim.size(), Access::ReadOnly);
        }
        args.base_gpuva = space.syncpoint_map.ok_or(Errno::ENOMEM)?;
        args.sync_size = SYNCPOINT_SIZE as u32;
        args.num_syncpoints = self.profile.syncpoints;
        Ok(0)
    }

    /// The memory that stands for all syncpoints.
    pub(super) fn syncpoint_shim(&mut self) -> Result<Arc<Memory>, Errno> {
        if self.syncpoint_shim.is_none() {
            let size = u64::from(self.profile.syncpoints) * SYNCPOINT_SIZE;
            self.syncpoint_shim = Memory::new("syncpoints", size).ok();
        }
        self.syncpoint_shim.clone().ok_or(Errno::ENOMEM)
    }

    fn mapping_modify(&mut self, key: SpaceKey, args: &nvgpu_as_mapping_modify_args) -> Answer {
        if !self.profile.supports(GpuFlags::SUPPORT_MAPPING_MODIFY) {
            return Err(Errno::ENOTTY.into());
        }
        let mapping = self.space(key).mappings.get(&args.map_address).ok_or(Errno::EINVAL)?;
        let page = mapping.page.bytes();
        let (offset, size) = (args.buffer_offset, args.buffer_size);
        if offset % page != 0
            || size % page != 0
            || size > mapping.size
            || mapping.size - size < offset
            || args.incompr_kind == NV_KIND_INVALID
        {
            return Err(Errno::EINVAL.into());
        }
        // The kind decides how the GPU lays out surfaces; the model knows pitch only.
        Ok(0)
    }

    fn remap(&mut self, args: &mut nvgpu_as_remap_args) -> Answer {
        if !self.profile.supports(GpuFlags::SUPPORT_REMAP) {
            return Err(Errno::ENOTTY.into());
        }
        if args.num_ops == 0 {
            return Ok(0);
        }
        args.num_ops = 0;
        self.warn("NVGPU_AS_IOCTL_REMAP: the software Orin has no sparse areas to remap pieces of");
        Err(Errno::EINVAL.into())
    }
}

/// The kind by which a mapping is found again.
fn map_kind(args: &nvgpu_as_map_buffer_ex_args) -> i16 {
    if args.compr_kind != NV_KIND_INVALID { args.compr_kind } else { args.incompr_kind }
}

/// The flags by which a mapping is found again: all but the one that the driver ignores.
fn map_flags(args: &nvgpu_as_map_buffer_ex_args) -> u32 {
    args.flags.bits() & !MapBufferFlags::MAPPABLE_COMPBITS.bits()
}

/// The area in which a fixed mapping lies, if it may lie there.
fn fixed_area(space: &Space, address: u64, size: u64, page: PageSize) -> Result<u64, Errno> {
    let end = address.checked_add(size).ok_or(Errno::EINVAL)?;
    if address % page.bytes() != 0 {
        return Err(Errno::EINVAL);
    }
    let (start, area) = space.area_of(address).ok_or(Errno::EINVAL)?;
    if end > start + area.size || space.overlaps(address, end) {
        return Err(Errno::EINVAL);
    }
    Ok(start)
}
