//! The address-space file, but for its mappings.

use super::*;

#[test]
fn bind_channel_not_a_channel_einval() {
    let mut board = Board::new();
    let space = board.space();
    assert_eq!(board.bind_space(space, space), einval());
    assert_eq!(board.bind_space(space, 999), einval());
}

#[test]
fn bind_channel_twice_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let space = board.space_over(ctrl, START, END);
    let channel = board.channel(ctrl);
    assert_eq!(board.bind_space(space, channel), Ok(0));
    assert_eq!(board.bind_space(space, channel), einval());
    let other = board.space_over(ctrl, START, END);
    assert_eq!(board.bind_space(other, channel), einval());
}

#[test]
fn address_space_lives_until_its_file_and_its_channels_are_gone() {
    let mut board = Board::new();
    let rig = board.rig();
    board.close(rig.space);
    assert_eq!(board.nodes.spaces.len(), 1);
    board.close(rig.channel);
    assert!(board.nodes.spaces.is_empty());
    let space = board.space();
    assert_eq!(board.nodes.spaces.len(), 1);
    board.close(space);
    assert!(board.nodes.spaces.is_empty());
}

fn alloc(
    board: &mut Board,
    space: i32,
    mut args: nvgpu_as_alloc_space_args,
) -> Result<u64, Refusal> {
    board.ioctl(space, NVGPU_AS_IOCTL_ALLOC_SPACE, &mut args)?;
    Ok(args.offset)
}

fn pages(pages: u64, page_size: u32) -> nvgpu_as_alloc_space_args {
    nvgpu_as_alloc_space_args { pages, page_size, ..Default::default() }
}

#[test]
fn alloc_space_page_size_neither_small_nor_big_einval() {
    let mut board = Board::new();
    let space = board.space();
    assert_eq!(alloc(&mut board, space, pages(1, 0)).unwrap_err(), Errno::EINVAL.into());
    assert_eq!(alloc(&mut board, space, pages(1, 8192)).unwrap_err(), Errno::EINVAL.into());
    assert!(alloc(&mut board, space, pages(1, 4096)).is_ok());
}

#[test]
fn alloc_space_big_page_without_big_pages_einval() {
    let mut board = Board::named("agx-orin-30w-iommu");
    let ctrl = board.ctrl();
    let mut args = nvgpu_alloc_as_args { big_page_size: 0x1_0000, ..alloc_as(START, END) };
    board.ioctl(ctrl, NVGPU_GPU_IOCTL_ALLOC_AS, &mut args).unwrap();
    assert!(alloc(&mut board, args.as_fd, pages(1, 0x1_0000)).is_ok());
    let small = board.space_over(ctrl, START, END);
    assert_eq!(alloc(&mut board, small, pages(1, 0x1_0000)).unwrap_err(), Errno::EINVAL.into());
}

#[test]
fn alloc_space_page_size_is_looked_at_before_the_address() {
    let mut board = Board::new();
    let space = board.space();
    let args = nvgpu_as_alloc_space_args {
        flags: AllocSpaceFlags::FIXED_OFFSET,
        offset: 1,
        ..pages(1, 8192)
    };
    assert_eq!(alloc(&mut board, space, args).unwrap_err(), Errno::EINVAL.into());
}

#[test]
fn alloc_space_fixed_unaligned_enomem() {
    let mut board = Board::new();
    let space = board.space();
    assert_eq!(board.area(space, 0x8000_0800, 1), errno(Errno::ENOMEM));
    assert_eq!(board.area(space, 0x8000_0000, 1), Ok(0));
}

#[test]
fn alloc_space_fixed_outside_the_range_enomem() {
    let mut board = Board::new();
    let space = board.space();
    assert_eq!(board.area(space, START - 4096, 1), errno(Errno::ENOMEM));
    assert_eq!(board.area(space, END - 4096, 2), errno(Errno::ENOMEM));
    assert_eq!(board.area(space, END - 4096, 1), Ok(0));
}

#[test]
fn alloc_space_of_nothing_enomem() {
    let mut board = Board::new();
    let space = board.space();
    assert_eq!(board.area(space, 0x8000_0000, 0), errno(Errno::ENOMEM));
    assert_eq!(alloc(&mut board, space, pages(0, 4096)).unwrap_err(), Errno::ENOMEM.into());
}

#[test]
fn alloc_space_fixed_overlap_enomem() {
    let mut board = Board::new();
    let space = board.space();
    assert_eq!(board.area(space, 0x8000_0000, 16), Ok(0));
    assert_eq!(board.area(space, 0x8000_f000, 1), errno(Errno::ENOMEM));
    let buffer = board.buffer(0x1000);
    let address = board.map_plain(space, buffer);
    assert_eq!(board.area(space, address, 1), errno(Errno::ENOMEM));
}

#[test]
fn alloc_space_anywhere_no_room_enomem() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let space = board.space_over(ctrl, START, START + 4 * MIB);
    assert_eq!(alloc(&mut board, space, pages(2000, 4096)).unwrap_err(), Errno::ENOMEM.into());
    assert_eq!(alloc(&mut board, space, pages(1 << 60, 4096)).unwrap_err(), Errno::ENOMEM.into());
    assert_eq!(alloc(&mut board, space, pages(513, 4096)), Ok(START));
}

#[test]
fn alloc_space_returns_the_address_and_ignores_align() {
    let mut board = Board::new();
    let space = board.space();
    let args = nvgpu_as_alloc_space_args { offset: 1 << 30, ..pages(1, 4096) };
    let address = alloc(&mut board, space, args).unwrap();
    assert_ne!(address % (1 << 30), 0);
    assert!(board.warned("ignores `align`"));
    alloc(&mut board, space, pages(1, 4096)).unwrap();
    assert!(!board.warned("ignores `align`"));
}

#[test]
fn alloc_space_sparse_is_reported() {
    let mut board = Board::new();
    let space = board.space();
    let args = nvgpu_as_alloc_space_args { flags: AllocSpaceFlags::SPARSE, ..pages(1, 4096) };
    assert!(alloc(&mut board, space, args).is_ok());
    assert!(board.warned("sparse"));
}

#[test]
fn alloc_space_of_32_bit_programs_does_the_same() {
    let mut board = Board::new();
    let space = board.space();
    let mut args = nvgpu32_as_alloc_space_args {
        pages: 1,
        page_size: 4096,
        flags: AllocSpaceFlags::FIXED_OFFSET,
        offset: 0x8000_0000,
        ..Default::default()
    };
    assert_eq!(board.ioctl(space, NVGPU32_AS_IOCTL_ALLOC_SPACE, &mut args), Ok(0));
    assert_eq!(args.offset, 0x8000_0000);
    assert_eq!(board.area(space, 0x8000_0000, 1), errno(Errno::ENOMEM));
}

fn free(board: &mut Board, space: i32, offset: u64) -> Answer {
    let args = nvgpu_as_free_space_args { offset, ..Default::default() };
    board.call(space, NVGPU_AS_IOCTL_FREE_SPACE, args)
}

#[test]
fn free_space_succeeds_where_no_area_starts_and_says_so() {
    let mut board = Board::new();
    let space = board.space();
    board.area(space, 0x8000_0000, 16).unwrap();
    assert_eq!(free(&mut board, space, 0x8000_1000), Ok(0));
    assert!(board.warned("frees nothing"));
    assert_eq!(board.area(space, 0x8000_0000, 16), errno(Errno::ENOMEM));
}

#[test]
fn free_space_gives_the_range_back_with_the_mappings_in_it() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    board.area(space, 0x8000_0000, 16).unwrap();
    board.map(space, &mut map_at(buffer, 0x8000_2000)).unwrap();
    assert_eq!(free(&mut board, space, 0x8000_0000), Ok(0));
    assert_eq!(board.area(space, 0x8000_0000, 16), Ok(0));
    assert_eq!(board.map(space, &mut map_at(buffer, 0x8000_2000)), Ok(0));
}

#[test]
fn free_space_drops_one_reference_of_each_mapping() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    board.area(space, 0x8000_0000, 16).unwrap();
    for _ in 0..2 {
        board.map(space, &mut map_at(buffer, 0x8000_2000)).unwrap();
    }
    free(&mut board, space, 0x8000_0000).unwrap();
    board.nodes.take_warnings();
    assert_eq!(board.unmap_gpu(space, 0x8000_2000), Ok(0));
    assert!(!board.warned("does nothing"));
    assert_eq!(board.unmap_gpu(space, 0x8000_2000), Ok(0));
    assert!(board.warned("does nothing"));
}

fn regions(board: &mut Board, space: i32, size: u32) -> (Answer, u32, Vec<nvgpu_as_va_region>) {
    let at = board.program.place(&[0; 48]);
    let mut args = nvgpu_as_get_va_regions_args { buf_addr: at, buf_size: size, reserved: 0 };
    let answer = board.ioctl(space, NVGPU_AS_IOCTL_GET_VA_REGIONS, &mut args);
    let regions = vec![board.program.peek(at), board.program.peek(at + 24)];
    (answer, args.buf_size, regions)
}

#[test]
fn va_regions_are_one_without_big_pages() {
    let mut board = Board::new();
    let space = board.space();
    let (answer, size, regions) = regions(&mut board, space, 48);
    assert_eq!((answer, size), (Ok(0), 24));
    assert_eq!((regions[0].offset, regions[0].page_size), (START, 4096));
    assert_eq!(regions[0].pages, (END - START) / 4096);
    assert_eq!(regions[1].page_size, 0);
}

#[test]
fn va_regions_are_two_with_big_pages() {
    let mut board = Board::named("agx-orin-30w-iommu");
    let ctrl = board.ctrl();
    let mut args = nvgpu_alloc_as_args {
        big_page_size: 0x1_0000,
        flags: AllocAsFlags::empty(),
        va_range_split: 1 << 30,
        ..alloc_as(START, END)
    };
    board.ioctl(ctrl, NVGPU_GPU_IOCTL_ALLOC_AS, &mut args).unwrap();
    let (answer, size, regions) = regions(&mut board, args.as_fd, 48);
    assert_eq!((answer, size), (Ok(0), 48));
    assert_eq!((regions[0].offset, regions[0].pages), (START, ((1 << 30) - START) / 4096));
    assert_eq!((regions[1].offset, regions[1].page_size), (1 << 30, 0x1_0000));
}

#[test]
fn va_regions_without_room_only_tell_the_size() {
    let mut board = Board::new();
    let space = board.space();
    let (answer, size, regions) = regions(&mut board, space, 23);
    assert_eq!((answer, size, regions[0].page_size), (Ok(0), 24, 0));
}

#[test]
fn va_regions_fault_efault() {
    let mut board = Board::new();
    let space = board.space();
    let args = nvgpu_as_get_va_regions_args { buf_addr: 1, buf_size: 24, reserved: 0 };
    let answer = board.call(space, NVGPU_AS_IOCTL_GET_VA_REGIONS, args);
    assert_eq!(answer, errno(Errno::EFAULT));
}

fn sync_map(board: &mut Board, space: i32) -> Result<nvgpu_as_get_sync_ro_map_args, Refusal> {
    let mut args = nvgpu_as_get_sync_ro_map_args::default();
    board.ioctl(space, NVGPU_AS_IOCTL_GET_SYNC_RO_MAP, &mut args)?;
    Ok(args)
}

#[test]
fn sync_ro_map_without_syncpoints_einval() {
    let mut profile = Profile::default();
    profile.characteristics.flags.remove(GpuFlags::HAS_SYNCPOINTS);
    let mut board = Board::with(profile);
    let space = board.space();
    assert_eq!(sync_map(&mut board, space).unwrap_err(), Errno::EINVAL.into());
}

#[test]
fn sync_ro_map_is_made_once_in_the_drivers_part() {
    let mut board = Board::new();
    let space = board.space();
    let first = sync_map(&mut board, space).unwrap();
    assert!((END..END + (4 << 30)).contains(&first.base_gpuva));
    assert_eq!((first.sync_size, first.num_syncpoints), (0x1_0000, 1024));
    assert_eq!(sync_map(&mut board, space).unwrap().base_gpuva, first.base_gpuva);
}

#[test]
fn sync_ro_map_no_addresses_left_enomem() {
    let mut board = Board::new();
    let rig = board.rig_without_kernel_addresses();
    assert_eq!(sync_map(&mut board, rig.space).unwrap_err(), Errno::ENOMEM.into());
}

fn modify(board: &mut Board, space: i32, args: nvgpu_as_mapping_modify_args) -> Answer {
    board.call(space, NVGPU_AS_IOCTL_MAPPING_MODIFY, args)
}

#[test]
fn mapping_modify_without_the_feature_enotty() {
    let mut profile = Profile::default();
    profile.characteristics.flags.remove(GpuFlags::SUPPORT_MAPPING_MODIFY);
    let mut board = Board::with(profile);
    let space = board.space();
    assert_eq!(modify(&mut board, space, Default::default()), errno(Errno::ENOTTY));
}

#[test]
fn mapping_modify_of_no_mapping_or_beyond_it_einval() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x2000);
    let map_address = board.map_plain(space, buffer);
    let good =
        nvgpu_as_mapping_modify_args { map_address, buffer_size: 0x1000, ..Default::default() };
    assert_eq!(modify(&mut board, space, good), Ok(0));
    let bad = [
        nvgpu_as_mapping_modify_args { map_address: map_address + 0x1000, ..good },
        nvgpu_as_mapping_modify_args { buffer_offset: 0x800, ..good },
        nvgpu_as_mapping_modify_args { buffer_size: 0x800, ..good },
        nvgpu_as_mapping_modify_args { buffer_size: 0x3000, ..good },
        nvgpu_as_mapping_modify_args { buffer_offset: 0x2000, ..good },
        nvgpu_as_mapping_modify_args { compr_kind: -1, incompr_kind: -1, ..good },
    ];
    for args in bad {
        assert_eq!(modify(&mut board, space, args), einval(), "{args:?}");
    }
}

#[test]
fn remap_without_the_feature_enotty() {
    let mut profile = Profile::default();
    profile.characteristics.flags.remove(GpuFlags::SUPPORT_REMAP);
    let mut board = Board::with(profile);
    let space = board.space();
    let answer = board.call(space, NVGPU_AS_IOCTL_REMAP, nvgpu_as_remap_args::default());
    assert_eq!(answer, errno(Errno::ENOTTY));
}

#[test]
fn remap_of_nothing_succeeds() {
    let mut board = Board::new();
    let space = board.space();
    let answer = board.call(space, NVGPU_AS_IOCTL_REMAP, nvgpu_as_remap_args::default());
    assert_eq!(answer, Ok(0));
}
