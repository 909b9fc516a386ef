//! Cache maintenance, and mmap of buffers.

use super::*;

/// A buffer with this caching, mapped; its handle and where it is mapped.
fn mapped(board: &mut Board, cache: u32) -> (u32, u64) {
    let handle = board.create(0x2000).unwrap();
    board.alloc(nvmap_alloc_handle { flags: cache | 0x0900 << 16, ..plain(handle) }).unwrap();
    let buffer = board.get_fd(handle).unwrap();
    (handle, board.mmap(buffer, 0x2000, libc::MAP_SHARED, 0).unwrap())
}

fn maintain(board: &mut Board, addr: u64, handle: u32, len: u32, op: i32) -> Answer {
    let nvmap = board.nvmap();
    let args = nvmap_cache_op { addr, handle, len, op, ..Default::default() };
    let answer = board.call(nvmap, NVMAP_IOC_CACHE, args);
    let args = nvmap_cache_op_64 { addr, handle, len: len.into(), op, ..Default::default() };
    assert_eq!(board.call(nvmap, NVMAP_IOC_CACHE_64, args), answer);
    answer
}

#[test]
fn cache_address_zero_or_unknown_operation_einval() {
    let mut board = Board::new();
    let (handle, at) = mapped(&mut board, 1);
    assert_eq!(maintain(&mut board, 0, handle, 16, 0), einval());
    assert_eq!(maintain(&mut board, at, handle, 16, 3), einval());
    assert_eq!(maintain(&mut board, at, handle, 16, -1), einval());
    assert_eq!(maintain(&mut board, at, handle, 16, 2), Ok(0));
}

#[test]
fn cache_unknown_handle_einval_before_the_mapping() {
    let mut board = Board::new();
    mapped(&mut board, 1);
    assert_eq!(maintain(&mut board, 0x1234, 0x9000_0000, 16, 0), einval());
}

#[test]
fn cache_range_not_in_one_mapping_eaddrnotavail() {
    let mut board = Board::new();
    let (handle, at) = mapped(&mut board, 1);
    let unavailable = errno(Errno::EADDRNOTAVAIL);
    assert_eq!(maintain(&mut board, 0x1234, handle, 16, 0), unavailable);
    assert_eq!(maintain(&mut board, at + 0x1ff8, handle, 16, 0), unavailable);
    let mut to_the_end = |len| maintain(&mut board, u64::MAX - 15, handle, len, 0);
    assert_eq!([to_the_end(15), to_the_end(16)], [unavailable.clone(), unavailable.clone()]);
    let ctrl = board.ctrl();
    let page = board.mmap(ctrl, 0x1000, libc::MAP_SHARED, 0).unwrap();
    assert_eq!(maintain(&mut board, page, handle, 16, 0), unavailable);
}

#[test]
fn cache_mapping_of_another_buffer_efault() {
    let mut board = Board::new();
    let (one, _) = mapped(&mut board, 1);
    let (_, two) = mapped(&mut board, 1);
    assert_eq!(maintain(&mut board, two, one, 16, 0), errno(Errno::EFAULT));
}

#[test]
fn cache_invalidation_of_cached_memory_is_reported() {
    let mut board = Board::new();
    let (cached, at) = mapped(&mut board, NVMAP_HANDLE_INNER_CACHEABLE);
    maintain(&mut board, at, cached, 16, NVMAP_CACHE_OP_WB).unwrap();
    assert!(!board.warned("may be lost"));
    for op in [NVMAP_CACHE_OP_INV, NVMAP_CACHE_OP_WB_INV] {
        maintain(&mut board, at, cached, 16, op).unwrap();
        assert!(board.warned("may be lost"));
    }
    let (combined, at) = mapped(&mut board, NVMAP_HANDLE_WRITE_COMBINE);
    maintain(&mut board, at, combined, 16, NVMAP_CACHE_OP_INV).unwrap();
    assert!(!board.warned("may be lost"));
}

fn cache_list(
    board: &mut Board,
    handles: &[u32],
    change: impl FnOnce(&mut nvmap_cache_op_list),
) -> Answer {
    let nvmap = board.nvmap();
    let mut args = nvmap_cache_op_list {
        handles: board.program.place(handles.as_bytes()),
        offsets: board.program.place(&vec![0; handles.len() * 4]),
        sizes: board.program.place(&vec![0; handles.len() * 4]),
        nr: handles.len() as u32,
        op: NVMAP_CACHE_OP_WB,
    };
    change(&mut args);
    board.call(nvmap, NVMAP_IOC_CACHE_LIST, args)
}

#[test]
fn cache_list_of_nothing_or_too_much_einval() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    assert_eq!(cache_list(&mut board, &[], |_| {}), einval());
    assert_eq!(cache_list(&mut board, &[handle], |args| args.nr = 1 << 30), einval());
    assert_eq!(cache_list(&mut board, &[handle], |_| {}), Ok(0));
}

#[test]
fn cache_list_null_arrays_einval() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    assert_eq!(cache_list(&mut board, &[handle], |args| args.offsets = 0), einval());
    assert_eq!(cache_list(&mut board, &[handle], |args| args.sizes = 0), einval());
    assert_eq!(cache_list(&mut board, &[handle], |args| args.handles = 0), einval());
}

#[test]
fn cache_list_array_fault_efault() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let efault = errno(Errno::EFAULT);
    assert_eq!(cache_list(&mut board, &[handle], |args| args.handles = 8), efault);
    assert_eq!(cache_list(&mut board, &[handle], |args| args.offsets = 8), efault);
    assert_eq!(cache_list(&mut board, &[handle], |args| args.sizes = 8), efault);
    assert_eq!(cache_list(&mut board, &[handle], |args| args.nr = 1 << 29), efault);
    // Elements may be twice as wide.
    let many = [handle; 64];
    assert_eq!(cache_list(&mut board, &many, |_| {}), Ok(0));
    let wide = |args: &mut nvmap_cache_op_list| args.op |= NVMAP_ELEM_SIZE_U64 as i32;
    assert_eq!(cache_list(&mut board, &many, wide), efault);
}

#[test]
fn cache_list_unknown_handle_einval() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    assert_eq!(cache_list(&mut board, &[handle, 0x9000_0000], |_| {}), einval());
}

#[test]
fn cache_list_memory_that_the_cpu_cannot_reach_eperm() {
    let mut board = Board::new();
    let empty = board.create(0x1000).unwrap();
    assert_eq!(cache_list(&mut board, &[empty], |_| {}), errno(Errno::EPERM));
    board.alloc(nvmap_alloc_handle { heap_mask: NVMAP_HEAP_CARVEOUT_VPR, ..plain(empty) }).unwrap();
    assert_eq!(cache_list(&mut board, &[empty], |_| {}), errno(Errno::EPERM));
}

#[test]
fn cache_list_mix_of_sync_at_reserve_einval() {
    let mut board = Board::new();
    let (one, two) = (board.handle(0x1000), board.create(0x1000).unwrap());
    let flags = plain(two).flags | NVMAP_HANDLE_CACHE_SYNC_AT_RESERVE;
    board.alloc(nvmap_alloc_handle { flags, ..plain(two) }).unwrap();
    assert_eq!(cache_list(&mut board, &[one, two], |_| {}), einval());
    assert_eq!(cache_list(&mut board, &[two, two], |_| {}), Ok(0));
}

#[test]
fn mmap_of_a_buffer_beyond_its_end_einval() {
    let mut board = Board::new();
    let buffer = board.buffer(0x2000);
    assert_eq!(board.mmap(buffer, 0x3000, libc::MAP_SHARED, 0), Err(Errno::EINVAL));
    assert_eq!(board.mmap(buffer, 0x1000, libc::MAP_SHARED, 0x2000), Err(Errno::EINVAL));
    assert_eq!(board.mmap(buffer, 0x1000, libc::MAP_SHARED, u64::MAX - 0xfff), Err(Errno::EINVAL));
    assert!(board.mmap(buffer, 0x1000, libc::MAP_SHARED, 0x1000).is_ok());
}

#[test]
fn mmap_of_a_buffer_without_memory_eperm() {
    let mut board = Board::new();
    let empty = board.empty_buffer();
    assert_eq!(board.mmap(empty, 0x1000, libc::MAP_SHARED, 0), Err(Errno::EPERM));
    assert_eq!(board.mmap(empty, 0x2000, libc::MAP_SHARED, 0), Err(Errno::EINVAL));
}

#[test]
fn mmap_of_protected_video_memory_eperm() {
    let mut board = Board::new();
    let handle = board.create(0x1000).unwrap();
    board
        .alloc(nvmap_alloc_handle { heap_mask: NVMAP_HEAP_CARVEOUT_VPR, ..plain(handle) })
        .unwrap();
    let buffer = board.get_fd(handle).unwrap();
    assert_eq!(board.mmap(buffer, 0x1000, libc::MAP_SHARED, 0), Err(Errno::EPERM));
}

#[test]
fn mmap_of_an_uncached_buffer_is_reported() {
    let mut board = Board::new();
    let handle = board.create(0x1000).unwrap();
    board.alloc(nvmap_alloc_handle { flags: 0x0900 << 16, ..plain(handle) }).unwrap();
    let buffer = board.get_fd(handle).unwrap();
    assert!(board.mmap(buffer, 0x1000, libc::MAP_SHARED, 0).is_ok());
    assert!(board.warned("device memory"));
}

#[test]
fn mmap_private_of_a_buffer_is_reported() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1000);
    assert!(board.mmap(buffer, 0x1000, libc::MAP_PRIVATE, 0).is_ok());
    assert!(board.warned("MAP_PRIVATE"));
}

#[test]
fn mmap_of_nvmap_eperm() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    assert_eq!(board.mmap(nvmap, 0x1000, libc::MAP_SHARED, 0), Err(Errno::EPERM));
}

#[test]
fn mmap_of_files_without_bytes_is_the_kernels_to_refuse() {
    let mut board = Board::new();
    let rig = board.rig();
    for fd in [rig.space, rig.tsg, rig.channel] {
        assert!(board.mmap(fd, 0x1000, libc::MAP_SHARED, 0).is_ok());
        let fd = board.program.descriptor(fd);
        let (len, prot) = (4096.try_into().unwrap(), nix::sys::mman::ProtFlags::PROT_READ);
        let flags = nix::sys::mman::MapFlags::MAP_SHARED;
        // SAFETY: a mapping that is not made, and would be a new one.
        let mapped = unsafe { nix::sys::mman::mmap(None, len, prot, flags, fd, 0) };
        assert_eq!(mapped, Err(Errno::ENODEV));
    }
}
