//! MAP_BUFFER_EX row by row, and its undoing.

use super::*;

fn mapped(change: impl FnOnce(&mut nvgpu_as_map_buffer_ex_args)) -> Answer {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x4000);
    let mut args = map_args(buffer);
    change(&mut args);
    board.map(space, &mut args)
}

/// A board with an area of 16 pages at this address.
const AREA: u64 = 0x8000_0000;

fn mapped_at(change: impl FnOnce(&mut nvgpu_as_map_buffer_ex_args)) -> Answer {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x4000);
    board.area(space, AREA, 16).unwrap();
    let mut args = map_at(buffer, AREA);
    change(&mut args);
    board.map(space, &mut args)
}

#[test]
fn map_plain_buffer_and_fixed_buffer_succeed() {
    assert_eq!(mapped(|_| {}), Ok(0));
    assert_eq!(mapped_at(|_| {}), Ok(0));
}

#[test]
fn map_bad_descriptor_ebadf_before_anything_else() {
    let wrong = |args: &mut nvgpu_as_map_buffer_ex_args| {
        args.dmabuf_fd = 999;
        args.buffer_offset = 1;
    };
    assert_eq!(mapped(wrong), errno(Errno::EBADF));
}

#[test]
fn map_not_a_dmabuf_einval() {
    assert_eq!(mapped(|args| args.dmabuf_fd = 0), einval());
}

#[test]
fn map_anywhere_with_buffer_offset_einval() {
    assert_eq!(mapped(|args| args.buffer_offset = 0x1000), einval());
}

#[test]
fn map_anywhere_with_address_einval() {
    assert_eq!(mapped(|args| args.offset = AREA), einval());
}

#[test]
fn map_anywhere_with_mapping_size_einval() {
    assert_eq!(mapped(|args| args.mapping_size = 0x4000), einval());
}

#[test]
fn map_larger_than_the_buffer_einval() {
    assert_eq!(mapped_at(|args| args.mapping_size = 0x5000), einval());
}

#[test]
fn map_offset_and_size_beyond_the_buffer_einval() {
    let beyond = |args: &mut nvgpu_as_map_buffer_ex_args| {
        args.mapping_size = 0x2000;
        args.buffer_offset = 0x3000;
    };
    assert_eq!(mapped_at(beyond), einval());
    assert_eq!(mapped_at(|args| args.buffer_offset = u64::MAX), einval());
    let inside = |args: &mut nvgpu_as_map_buffer_ex_args| {
        args.mapping_size = 0x2000;
        args.buffer_offset = 0x2000;
    };
    assert_eq!(mapped_at(inside), Ok(0));
}

#[test]
fn map_beyond_the_buffer_is_looked_at_before_an_earlier_mapping() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x4000);
    board.area(space, AREA, 16).unwrap();
    board.map(space, &mut map_at(buffer, AREA)).unwrap();
    let mut beyond = nvgpu_as_map_buffer_ex_args {
        mapping_size: 0x2000,
        buffer_offset: 0x3000,
        ..map_at(buffer, AREA)
    };
    assert_eq!(board.map(space, &mut beyond), einval());
}

#[test]
fn map_access_three_einval() {
    assert_eq!(mapped(|args| args.flags = args.flags.with_access(3)), einval());
    assert_eq!(mapped(|args| args.flags = args.flags.with_access(2)), Ok(0));
}

#[test]
fn map_tegra_raw_unsupported_einval() {
    assert_eq!(mapped(|args| args.flags = MapBufferFlags::TEGRA_RAW), einval());
}

#[test]
fn map_unknown_flag_einval() {
    for bit in [0x2, 0x8, 0x10, 0x100, 0x2000, 0x8000_0000] {
        let answer = mapped(|args| args.flags = MapBufferFlags::from_bits_retain(bit));
        assert_eq!(answer, einval(), "{bit:#x}");
    }
    for bit in [0x4, 0x20, 0x40, 0x80, 0x200, 0x400, 0x800] {
        let answer = mapped(|args| args.flags = MapBufferFlags::from_bits_retain(bit));
        assert_eq!(answer, Ok(0), "{bit:#x}");
    }
}

#[test]
fn map_write_only_dmabuf_einval() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    let write_only = board.program.reopened(buffer, libc::O_WRONLY);
    assert_eq!(board.map(space, &mut map_args(write_only)), einval());
}

#[test]
fn map_buffer_without_memory_einval() {
    let mut board = Board::new();
    let space = board.space();
    let empty = board.empty_buffer();
    assert_eq!(board.map(space, &mut map_args(empty)), einval());
}

#[test]
fn map_read_write_of_a_read_only_dmabuf_einval() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    let read_only = board.program.reopened(buffer, libc::O_RDONLY);
    let mut args = map_args(read_only);
    args.flags = args.flags.with_access(NVGPU_AS_MAP_BUFFER_ACCESS_READ_WRITE);
    assert_eq!(board.map(space, &mut args), einval());
    assert_eq!(board.map(space, &mut map_args(read_only)), Ok(0));
}

#[test]
fn map_again_returns_the_same_address_and_takes_two_unmaps() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    let address = board.map_plain(space, buffer);
    assert_eq!(board.map_plain(space, buffer), address);
    assert!(board.warned("2 unmaps"));
    board.unmap_gpu(space, address).unwrap();
    assert!(!board.warned("does nothing"));
    board.unmap_gpu(space, address).unwrap();
    assert!(!board.warned("does nothing"));
    board.unmap_gpu(space, address).unwrap();
    assert!(board.warned("does nothing"));
}

#[test]
fn map_again_with_other_flags_or_kind_is_another_mapping() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    let address = board.map_plain(space, buffer);
    let mut cached = map_args(buffer);
    cached.flags = MapBufferFlags::CACHEABLE;
    board.map(space, &mut cached).unwrap();
    let mut kind = map_args(buffer);
    kind.incompr_kind = 6;
    board.map(space, &mut kind).unwrap();
    let mut compressible = map_args(buffer);
    compressible.compr_kind = 8;
    board.map(space, &mut compressible).unwrap();
    let all = [address, cached.offset, kind.offset, compressible.offset];
    assert_eq!(std::collections::BTreeSet::from(all).len(), 4);
}

#[test]
fn map_cacheable_of_what_the_cpu_maps_too_is_reported() {
    for cpu_first in [true, false] {
        let mut board = Board::new();
        let space = board.space();
        let (plain, shared) = (board.buffer(0x1000), board.buffer(0x1000));
        let mut cached = map_args(shared);
        cached.flags = MapBufferFlags::CACHEABLE;
        board.map_plain(space, plain);
        board.mmap(plain, 0x1000, libc::MAP_SHARED, 0).unwrap();
        if cpu_first {
            board.mmap(shared, 0x1000, libc::MAP_SHARED, 0).unwrap();
        }
        assert!(!board.warned("L2"));
        board.map(space, &mut cached).unwrap();
        if !cpu_first {
            assert!(!board.warned("L2"));
            board.mmap(shared, 0x1000, libc::MAP_SHARED, 0).unwrap();
        }
        assert!(board.warned("L2"));
    }
}

#[test]
fn map_again_looks_at_the_lowest_mapping_of_the_buffer_only() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    let low = board.map_plain(space, buffer);
    let cached =
        || nvgpu_as_map_buffer_ex_args { flags: MapBufferFlags::CACHEABLE, ..map_args(buffer) };
    let (mut second, mut third) = (cached(), cached());
    board.map(space, &mut second).unwrap();
    board.map(space, &mut third).unwrap();
    assert!(low < second.offset);
    assert_ne!(second.offset, third.offset);
}

#[test]
fn map_fixed_again_at_the_same_address_counts_and_elsewhere_does_not() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    board.area(space, AREA, 16).unwrap();
    for address in [AREA, AREA, AREA + 0x1000] {
        let mut args = map_at(buffer, address);
        assert_eq!(board.map(space, &mut args), Ok(0));
        assert_eq!(args.offset, address);
    }
    assert!(board.warned("it now takes 2 unmaps"));
    let other = board.buffer(0x1000);
    assert_eq!(board.map(space, &mut map_at(other, AREA)), einval());
}

#[test]
fn map_deprecated_flag_is_ignored_when_looking_for_the_mapping() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    let address = board.map_plain(space, buffer);
    let mut args = map_args(buffer);
    args.flags = MapBufferFlags::MAPPABLE_COMPBITS;
    board.map(space, &mut args).unwrap();
    assert_eq!(args.offset, address);
}

#[test]
fn map_rounded_size_beyond_the_offset_einval() {
    // A size of 0 means all of the buffer, which does not fit behind an offset.
    assert_eq!(mapped_at(|args| args.buffer_offset = 0x1000), einval());
    let rounded = |args: &mut nvgpu_as_map_buffer_ex_args| {
        args.mapping_size = 0x1001;
        args.buffer_offset = 0x2fff;
    };
    assert_eq!(mapped_at(rounded), einval());
}

#[test]
fn map_fixed_wrapping_around_einval() {
    assert_eq!(mapped_at(|args| args.offset = u64::MAX - 0xfff), einval());
}

#[test]
fn map_fixed_unaligned_einval() {
    assert_eq!(mapped_at(|args| args.offset = AREA + 0x800), einval());
}

#[test]
fn map_fixed_with_an_offset_inside_a_page_einval() {
    let part = |offset| {
        mapped_at(move |args| {
            args.buffer_offset = offset;
            args.mapping_size = 0x1000;
        })
    };
    assert_eq!(part(0x800), einval());
    assert_eq!(part(0x1000), Ok(0));
}

#[test]
fn map_fixed_outside_any_area_einval() {
    assert_eq!(mapped_at(|args| args.offset = AREA + 0x1_0000), einval());
    assert_eq!(mapped_at(|args| args.offset = AREA - 0x1000), einval());
}

#[test]
fn map_fixed_past_the_end_of_its_area_einval() {
    assert_eq!(mapped_at(|args| args.offset = AREA + 0xd000), einval());
    assert_eq!(mapped_at(|args| args.offset = AREA + 0xc000), Ok(0));
}

#[test]
fn map_fixed_over_another_mapping_einval() {
    let mut board = Board::new();
    let space = board.space();
    let (first, second) = (board.buffer(0x4000), board.buffer(0x4000));
    board.area(space, AREA, 16).unwrap();
    board.map(space, &mut map_at(first, AREA + 0x2000)).unwrap();
    assert_eq!(board.map(space, &mut map_at(second, AREA)), einval());
    assert_eq!(board.map(space, &mut map_at(second, AREA + 0x5000)), einval());
    assert_eq!(board.map(space, &mut map_at(second, AREA + 0x6000)), Ok(0));
}

#[test]
fn map_fixed_is_aligned_to_the_page_size_of_its_area() {
    let mut board = Board::named("agx-orin-30w-iommu");
    let ctrl = board.ctrl();
    let mut args = nvgpu_alloc_as_args { big_page_size: 0x1_0000, ..alloc_as(START, END) };
    board.ioctl(ctrl, NVGPU_GPU_IOCTL_ALLOC_AS, &mut args).unwrap();
    let space = args.as_fd;
    let area = nvgpu_as_alloc_space_args {
        pages: 4,
        page_size: 0x1_0000,
        flags: AllocSpaceFlags::FIXED_OFFSET,
        offset: AREA,
        ..Default::default()
    };
    board.call(space, NVGPU_AS_IOCTL_ALLOC_SPACE, area).unwrap();
    let buffer = board.buffer(0x1000);
    assert_eq!(board.map(space, &mut map_at(buffer, AREA + 0x1000)), einval());
    assert_eq!(board.map(space, &mut map_at(buffer, AREA + 0x1_0000)), Ok(0));
}

#[test]
fn map_large_buffers_get_big_pages_where_they_exist() {
    let mut board = Board::named("agx-orin-30w-iommu");
    let ctrl = board.ctrl();
    let mut args =
        nvgpu_alloc_as_args { big_page_size: 0x1_0000, ..alloc_as(START, START + 2 * MIB) };
    board.ioctl(ctrl, NVGPU_GPU_IOCTL_ALLOC_AS, &mut args).unwrap();
    let (small, large) = (board.buffer(0x1000), board.buffer(0x1_0000));
    board.map_plain(args.as_fd, large);
    // One directory entry holds one page size.
    assert_eq!(board.map(args.as_fd, &mut map_args(small)), errno(Errno::ENOMEM));
}

#[test]
fn map_large_buffers_get_small_pages_elsewhere() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let space = board.space_over(ctrl, START, START + 2 * MIB);
    let (small, large) = (board.buffer(0x1000), board.buffer(0x1_0000));
    board.map_plain(space, large);
    board.map_plain(space, small);
}

/// Whether the GPU can write a word through a mapping made with these arguments.
fn gpu_can_write(board: &mut Board, change: impl FnOnce(&mut nvgpu_as_map_buffer_ex_args)) -> bool {
    let (rig, token) = board.running();
    let mut args = map_args(board.buffer(0x1000));
    change(&mut args);
    board.map(rig.space, &mut args).unwrap();
    let commands = board.handle(0x1000);
    let buffer = board.get_fd(commands).unwrap();
    let at = board.map_plain(rig.space, buffer);
    // A release of a semaphore of one word.
    let words = [0x2005_0017, args.offset as u32, (args.offset >> 32) as u32, 1, 0, 0x0000_0001];
    board.nodes.nvmap.memory_of(1000, commands).write(0, words.as_bytes());
    board.submit(token, at | 6 << 42);
    board.timed_out(rig.channel) == 0
}

#[test]
fn map_access_decides_whether_the_gpu_can_write() {
    for (access, writes) in [(0, true), (1, false), (2, true)] {
        let mut board = Board::new();
        let can = gpu_can_write(&mut board, |args| args.flags = args.flags.with_access(access));
        assert_eq!(can, writes, "{access}");
    }
}

#[test]
fn map_of_a_read_only_dmabuf_is_read_only() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1000);
    let read_only = board.program.reopened(buffer, libc::O_RDONLY);
    assert!(!gpu_can_write(&mut board, |args| args.dmabuf_fd = read_only as u32));
}

#[test]
fn map_of_unmapped_entries_is_out_of_the_gpus_reach() {
    let mut board = Board::new();
    assert!(!gpu_can_write(&mut board, |args| args.flags = MapBufferFlags::UNMAPPED_PTE));
}

#[test]
fn map_without_a_usable_kind_enomem() {
    assert_eq!(mapped(|args| args.incompr_kind = NV_KIND_INVALID), errno(Errno::ENOMEM));
    let compressible = |args: &mut nvgpu_as_map_buffer_ex_args| {
        args.incompr_kind = NV_KIND_INVALID;
        args.compr_kind = 8;
    };
    assert_eq!(mapped(compressible), errno(Errno::ENOMEM));
}

#[test]
fn map_place_is_looked_at_before_the_kind() {
    let wrong = |args: &mut nvgpu_as_map_buffer_ex_args| {
        args.offset = AREA + 0x800;
        args.incompr_kind = NV_KIND_INVALID;
    };
    assert_eq!(mapped_at(wrong), einval());
}

#[test]
fn map_no_addresses_left_enomem() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let space = board.space_over(ctrl, START, START + 2 * MIB);
    let (one, two) = (board.buffer(2 * MIB), board.buffer(0x1000));
    board.map_plain(space, one);
    assert_eq!(board.map(space, &mut map_args(two)), errno(Errno::ENOMEM));
}

#[test]
fn map_page_size_is_ignored_and_reported() {
    assert_eq!(mapped(|args| args.page_size = 12345), Ok(0));
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    let mut args = nvgpu_as_map_buffer_ex_args { page_size: 0x1_0000, ..map_args(buffer) };
    board.map(space, &mut args).unwrap();
    assert_eq!(args.page_size, 0x1_0000);
    assert!(board.warned("ignores `page_size`"));
    board.unmap_gpu(space, args.offset).unwrap();
    for page_size in [0, 4096] {
        let mut args = nvgpu_as_map_buffer_ex_args { page_size, ..map_args(buffer) };
        board.map(space, &mut args).unwrap();
        assert!(!board.warned("ignores `page_size`"));
    }
}

#[test]
fn maps_land_where_a_real_board_put_them() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let space = board.space_over(ctrl, START, MEASURED_END);
    let (one, two) = (board.buffer(0x1000), board.buffer(0x1000));
    assert_eq!(board.map_plain(space, one), 0xff_ffa0_0000);
    assert_eq!(board.map_plain(space, two), 0xff_ffa0_1000);
}

#[test]
fn mapping_outlives_descriptor_and_handle() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    let file = board.program.file(buffer);
    let address = board.map_plain(space, buffer);
    board.close(buffer);
    assert!(!board.nodes.files.contains_key(&file));
    let (_, space) = board.nodes.spaces.iter().next().unwrap();
    assert!(space.mappings[&address].buffer.memory().is_some());
}

#[test]
fn unmap_gives_the_address_back() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    let address = board.map_plain(space, buffer);
    assert_eq!(board.unmap_gpu(space, address), Ok(0));
    assert_eq!(board.map_plain(space, buffer), address);
}

#[test]
fn unmap_where_no_mapping_starts_succeeds_and_says_so() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x2000);
    let address = board.map_plain(space, buffer);
    assert_eq!(board.unmap_gpu(space, address + 0x1000), Ok(0));
    assert!(board.warned("does nothing"));
}

fn batch(
    board: &mut Board,
    space: i32,
    unmaps: &[nvgpu_as_unmap_buffer_args],
    maps: &[nvgpu_as_map_buffer_ex_args],
) -> Answer {
    let args = nvgpu_as_map_buffer_batch_args {
        unmaps: board.program.place(unmaps.as_bytes()),
        maps: board.program.place(maps.as_bytes()),
        num_unmaps: unmaps.len() as u32,
        num_maps: maps.len() as u32,
        reserved: 0,
    };
    board.call(space, NVGPU_AS_IOCTL_MAP_BUFFER_BATCH, args)
}

#[test]
fn map_batch_longer_than_the_limit_einval() {
    let mut board = Board::new();
    let space = board.space();
    let unmaps = [nvgpu_as_unmap_buffer_args::default(); 257];
    assert_eq!(batch(&mut board, space, &unmaps, &[]), einval());
    assert_eq!(batch(&mut board, space, &unmaps[1..], &[]), Ok(0));
    let maps = nvgpu_as_map_buffer_batch_args { maps: 1, num_maps: 257, ..Default::default() };
    assert_eq!(board.call(space, NVGPU_AS_IOCTL_MAP_BUFFER_BATCH, maps), einval());
}

#[test]
fn map_batch_element_fault_efault() {
    let mut board = Board::new();
    let space = board.space();
    let unmaps = nvgpu_as_map_buffer_batch_args { unmaps: 1, num_unmaps: 1, ..Default::default() };
    let answer = board.call(space, NVGPU_AS_IOCTL_MAP_BUFFER_BATCH, unmaps);
    assert_eq!(answer, errno(Errno::EFAULT));
    let maps = nvgpu_as_map_buffer_batch_args { maps: 1, num_maps: 1, ..Default::default() };
    let answer = board.call(space, NVGPU_AS_IOCTL_MAP_BUFFER_BATCH, maps);
    assert_eq!(answer, errno(Errno::EFAULT));
}

#[test]
fn map_batch_stops_at_the_first_failure() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    board.area(space, AREA, 16).unwrap();
    let maps = [map_at(buffer, AREA), map_args(999), map_at(buffer, AREA + 0x1000)];
    assert_eq!(batch(&mut board, space, &[], &maps), errno(Errno::EBADF));
    board.nodes.take_warnings();
    board.unmap_gpu(space, AREA).unwrap();
    assert!(!board.warned("does nothing"));
    board.unmap_gpu(space, AREA + 0x1000).unwrap();
    assert!(board.warned("does nothing"));
}

#[test]
fn map_batch_unmaps_first_and_keeps_chosen_addresses_to_itself() {
    let mut board = Board::new();
    let space = board.space();
    let buffer = board.buffer(0x1000);
    let offset = board.map_plain(space, buffer);
    let unmap = nvgpu_as_unmap_buffer_args { offset };
    assert_eq!(batch(&mut board, space, &[unmap], &[map_args(buffer)]), Ok(0));
    assert!(board.warned("does not tell which addresses"));
    assert_eq!(board.map_plain(space, buffer), offset);
    assert!(board.warned("2 unmaps"));
}
