//! What nvmap tells about handles and heaps, and its copies.

use super::*;

#[test]
fn parameters_any_failure_but_the_first_copy_enodev() {
    let mut board = Board::new();
    assert_eq!(board.parameters(0x9000_0000).unwrap_err(), Errno::ENODEV.into());
    let (nvmap, handle) = (board.nvmap(), board.handle(0x1000));
    let args = nvmap_handle_parameters { handle, ..Default::default() };
    let at = board.program.place(args.as_bytes());
    board.program.frozen = true;
    assert_eq!(board.ioctl_at(nvmap, NVMAP_IOC_PARAMETERS.number(), at), errno(Errno::ENODEV));
}

#[test]
fn parameters_tell_size_heap_caching_and_access() {
    let mut board = Board::new();
    let handle = board.create(0x1001).unwrap();
    let before = board.parameters(handle).unwrap();
    assert_eq!((before.size, before.heap, before.contig), (0x2000, 0, 0));
    let flags = NVMAP_HANDLE_INNER_CACHEABLE | NVMAP_HANDLE_PHYS_CONTIG | 0x0900 << 16;
    board.alloc(nvmap_alloc_handle { flags, align: 0, ..plain(handle) }).unwrap();
    let after = board.parameters(handle).unwrap();
    assert_eq!((after.heap, after.coherency), (u64::from(IOVMM), 2));
    assert_eq!((after.contig, after.align, after.access_flags), (1, 4096, 0));
    let other = board.handle(0x1000);
    let other = board.parameters(other).unwrap();
    assert_eq!(other.contig, 0);
    assert_ne!(other.serial_id, after.serial_id);
}

#[test]
fn available_heaps_are_the_carveouts_without_plain_memory() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    let mut args = nvmap_available_heaps::default();
    assert_eq!(board.ioctl(nvmap, NVMAP_IOC_GET_AVAILABLE_HEAPS, &mut args), Ok(0));
    assert_eq!(args.heaps, 0x1000_0004);
}

#[test]
fn available_heaps_reply_fault_einval() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    assert_eq!(board.ioctl_at(nvmap, NVMAP_IOC_GET_AVAILABLE_HEAPS.number(), 8), einval());
}

#[test]
fn heap_size_of_anything_but_a_carveout_enodev() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    let mut size = |heap| {
        let mut args = nvmap_heap_size { heap, ..Default::default() };
        board.ioctl(nvmap, NVMAP_IOC_GET_HEAP_SIZE, &mut args).map(|_| args.size)
    };
    assert_eq!(size(IOVMM), Err(Errno::ENODEV.into()));
    assert_eq!(size(NVMAP_HEAP_CARVEOUT_GPU), Err(Errno::ENODEV.into()));
    assert_eq!(size(NVMAP_HEAP_CARVEOUT_FSI), Ok(256 * MIB));
}

fn heap_params(board: &mut Board, heap_mask: u32) -> Result<nvmap_query_heap_params, Refusal> {
    let nvmap = board.nvmap();
    let mut args = nvmap_query_heap_params { heap_mask, ..Default::default() };
    board.ioctl(nvmap, NVMAP_IOC_QUERY_HEAP_PARAMS, &mut args)?;
    Ok(args)
}

#[test]
fn heap_params_of_an_absent_carveout_enodev() {
    let mut board = Board::new();
    let refusal = heap_params(&mut board, NVMAP_HEAP_CARVEOUT_GPU).unwrap_err();
    assert_eq!(refusal, Errno::ENODEV.into());
    let present = heap_params(&mut board, NVMAP_HEAP_CARVEOUT_VPR).unwrap();
    assert_eq!((present.total, present.free), (128 * MIB, 128 * MIB));
}

#[test]
fn heap_params_of_plain_memory_tell_total_free_and_granule() {
    let mut board = Board::new();
    board.handle(MIB);
    let params = heap_params(&mut board, IOVMM).unwrap();
    assert_eq!(params.total, Profile::default().total_ram);
    assert_eq!(params.total - params.free, MIB);
    assert_eq!((params.granule_size, params.largest_free_block), (4096, 4096));
}

#[test]
fn heap_params_of_an_unknown_bit_are_zeros() {
    let mut board = Board::new();
    let params = heap_params(&mut board, 1 << 31).unwrap();
    assert_eq!((params.total, params.free, params.granule_size), (0, 0, 0));
    assert_eq!(params.largest_free_block, 4096);
}

#[test]
fn heap_params_of_several_heaps_are_reported() {
    let mut board = Board::new();
    for (heaps, reported) in [(IOVMM | 1 << 31, true), (IOVMM, false), (0, false)] {
        heap_params(&mut board, heaps).unwrap();
        assert_eq!(board.warned("several heaps"), reported);
    }
}

#[test]
fn dup_handle_unknown_einval() {
    let mut board = Board::new();
    assert_eq!(board.duplicate(0x9000_0000, 0), Err(Errno::EINVAL.into()));
}

#[test]
fn dup_handle_read_write_of_a_read_only_one_eperm() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let read_only = board.duplicate(handle, NVMAP_HANDLE_RO).unwrap();
    assert!(board.duplicate(handle, 0).is_ok());
    assert_eq!(board.duplicate(read_only, 0), Err(Errno::EPERM.into()));
    assert!(board.duplicate(read_only, NVMAP_HANDLE_RO).is_ok());
    assert_eq!(board.parameters(read_only).unwrap().access_flags, NVMAP_HANDLE_RO);
}

#[test]
fn read_only_handles_give_read_only_descriptors() {
    let mut board = Board::new();
    let space = board.space();
    let handle = board.handle(0x1000);
    let read_only = board.duplicate(handle, NVMAP_HANDLE_RO).unwrap();
    let buffer = board.get_fd(read_only).unwrap();
    let mut args = map_args(buffer);
    args.flags = args.flags.with_access(NVGPU_AS_MAP_BUFFER_ACCESS_READ_WRITE);
    assert_eq!(board.map(space, &mut args), einval());
    let again = board.handle_from(buffer).unwrap();
    assert_eq!(board.duplicate(again, 0), Err(Errno::EPERM.into()));
}

/// Copies four elements of two bytes, three bytes apart in the buffer, from or to the program.
fn copy(
    board: &mut Board,
    request: Request<nvmap_rw_handle>,
    change: impl FnOnce(&mut nvmap_rw_handle),
) -> (Answer, u64, u64) {
    let nvmap = board.nvmap();
    let addr = board.program.place(b"abcdefgh");
    let mut args = nvmap_rw_handle {
        addr,
        handle: 0x8000_0000,
        offset: 1,
        elem_size: 2,
        hmem_stride: 3,
        user_stride: 2,
        count: 4,
        ..Default::default()
    };
    change(&mut args);
    let answer = board.ioctl(nvmap, request, &mut args);
    (answer, args.count, addr)
}

#[test]
fn read_and_write_of_nothing_einval() {
    let mut board = Board::new();
    board.handle(0x1000);
    for request in [NVMAP_IOC_READ, NVMAP_IOC_WRITE] {
        assert_eq!(copy(&mut board, request, |args| args.addr = 0).0, einval());
        assert_eq!(copy(&mut board, request, |args| args.count = 0).0, einval());
        assert_eq!(copy(&mut board, request, |args| args.elem_size = 0).0, einval());
    }
}

#[test]
fn read_and_write_unknown_handle_einval() {
    let mut board = Board::new();
    assert_eq!(copy(&mut board, NVMAP_IOC_READ, |_| {}).0, einval());
}

#[test]
fn read_and_write_go_element_by_element_and_count_bytes() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let (answer, count, _) = copy(&mut board, NVMAP_IOC_WRITE, |_| {});
    assert_eq!((answer, count), (Ok(0), 8));
    let mut bytes = [0; 13];
    board.nodes.nvmap.memory_of(1000, handle).read(0, &mut bytes);
    assert_eq!(&bytes, b"\0ab\0cd\0ef\0gh\0");
    let backwards = |args: &mut nvmap_rw_handle| args.offset = 4;
    let (answer, _, addr) = copy(&mut board, NVMAP_IOC_READ, backwards);
    assert_eq!(answer, Ok(0));
    assert_eq!(board.program.peek::<u32>(addr), u32::from_ne_bytes(*b"cdef"));
}

#[test]
fn write_through_a_read_only_handle_eperm() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let read_only = board.duplicate(handle, NVMAP_HANDLE_RO).unwrap();
    let through = |args: &mut nvmap_rw_handle| args.handle = read_only;
    assert_eq!(copy(&mut board, NVMAP_IOC_WRITE, through).0, errno(Errno::EPERM));
    assert_eq!(copy(&mut board, NVMAP_IOC_READ, through).0, Ok(0));
}

#[test]
fn read_and_write_of_a_buffer_without_memory_eperm() {
    let mut board = Board::new();
    board.create(0x1000).unwrap();
    assert_eq!(copy(&mut board, NVMAP_IOC_READ, |_| {}).0, errno(Errno::EPERM));
}

#[test]
fn read_of_protected_video_memory_eperm() {
    let mut board = Board::new();
    let handle = board.create(0x1000).unwrap();
    board
        .alloc(nvmap_alloc_handle { heap_mask: NVMAP_HEAP_CARVEOUT_VPR, ..plain(handle) })
        .unwrap();
    assert_eq!(copy(&mut board, NVMAP_IOC_READ, |_| {}).0, errno(Errno::EPERM));
    assert_eq!(copy(&mut board, NVMAP_IOC_WRITE, |_| {}).0, Ok(0));
}

#[test]
fn read_and_write_beyond_the_buffer_or_with_overlapping_elements_einval() {
    let mut board = Board::new();
    board.handle(0x1000);
    let changes: [fn(&mut nvmap_rw_handle); 7] = [
        |args| args.user_stride = 0x400,
        |args| args.offset = 0x1000,
        |args| args.offset = 0xff6,
        |args| args.hmem_stride = 1,
        |args| args.user_stride = 1,
        |args| args.elem_size = 0x2000,
        |args| args.hmem_stride = u64::MAX / 2,
    ];
    for change in changes {
        let (answer, count, _) = copy(&mut board, NVMAP_IOC_READ, change);
        assert_eq!((answer, count), (einval(), 0));
    }
    assert_eq!(copy(&mut board, NVMAP_IOC_READ, |args| args.offset = 0xff5).0, Ok(0));
}

#[test]
fn read_and_write_fault_efault() {
    let mut board = Board::new();
    board.handle(0x1000);
    assert_eq!(copy(&mut board, NVMAP_IOC_WRITE, |args| args.addr = 8).0, errno(Errno::EFAULT));
}
