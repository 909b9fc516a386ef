//! The nvmap file.

use super::*;

const IOVMM: u32 = NVMAP_HEAP_IOVMM;

#[test]
fn nvmap_wrong_magic_enotty() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    assert_eq!(board.ioctl_at(nvmap, 0xc008_4700, 0), errno(Errno::ENOTTY));
}

#[test]
fn nvmap_nr_beyond_last_enotty() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    assert_eq!(board.ioctl_at(nvmap, 0xc008_4e6c, u64::MAX), errno(Errno::ENOTTY));
}

#[test]
fn nvmap_address_no_program_can_have_efault_before_the_request_is_known() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    let unknown = 0xc008_4e05;
    assert_eq!(board.ioctl_at(nvmap, unknown, u64::MAX - 3), errno(Errno::EFAULT));
    assert_eq!(board.ioctl_at(nvmap, unknown, 1 << 48), errno(Errno::EFAULT));
    assert_eq!(board.ioctl_at(nvmap, unknown, 0), errno(Errno::ENOTTY));
}

#[test]
fn nvmap_deprecated_and_dropped_requests_enotty() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    let at = board.program.place(&[0; 64]);
    let requests = [
        NVMAP_IOC_GET_ID.number(),
        NVMAP_IOC_FROM_ID.number(),
        NVMAP_IOC_PARAM.number(),
        // ALLOC as it was before numa_nid: 16 bytes.
        0x4010_4e03,
    ];
    for request in requests {
        assert_eq!(board.ioctl_at(nvmap, request, at), errno(Errno::ENOTTY), "{request:#x}");
    }
}

#[test]
fn nvmap_argument_fault_efault() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    for request in [
        NVMAP_IOC_CREATE.number(),
        NVMAP_IOC_CREATE_64.number(),
        NVMAP_IOC_ALLOC.number(),
        NVMAP_IOC_GET_FD.number(),
        NVMAP_IOC_FROM_FD.number(),
        NVMAP_IOC_CACHE.number(),
        NVMAP_IOC_CACHE_64.number(),
        NVMAP_IOC_CACHE_LIST.number(),
        NVMAP_IOC_PARAMETERS.number(),
        NVMAP_IOC_GET_HEAP_SIZE.number(),
        NVMAP_IOC_QUERY_HEAP_PARAMS.number(),
        NVMAP_IOC_DUP_HANDLE.number(),
        NVMAP_IOC_READ.number(),
        NVMAP_IOC_WRITE.number(),
    ] {
        assert_eq!(board.ioctl_at(nvmap, request, 8), errno(Errno::EFAULT), "{request:#x}");
    }
}

#[test]
fn create_size_zero_einval() {
    let mut board = Board::new();
    assert_eq!(board.create(0), Err(Errno::EINVAL.into()));
    let nvmap = board.nvmap();
    let args = nvmap_create_handle::default();
    assert_eq!(board.call(nvmap, NVMAP_IOC_CREATE, args), einval());
}

#[test]
fn create_handles_count_up_from_half_of_the_numbers() {
    let mut board = Board::new();
    assert_eq!(board.create(1), Ok(0x8000_0000));
    let nvmap = board.nvmap();
    let mut args = nvmap_create_handle { size: 1, handle: 0 };
    assert_eq!(board.ioctl(nvmap, NVMAP_IOC_CREATE, &mut args), Ok(0));
    assert_eq!((args.size, args.handle), (1, 0x8000_0001));
    board.free(0x8000_0001).unwrap();
    assert_eq!(board.create(1), Ok(0x8000_0002));
}

#[test]
fn create_does_not_look_at_the_size_beyond_zero() {
    let mut board = Board::new();
    let handle = board.create(1 << 50).unwrap();
    assert_eq!(board.alloc(plain(handle)), errno(Errno::ENOMEM));
}

#[test]
fn create_reply_fault_efault_and_no_handle_stays() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    let at = board.program.place(&4096u64.to_ne_bytes());
    board.program.frozen = true;
    let request = NVMAP_IOC_CREATE_64.number();
    assert_eq!(board.ioctl_at(nvmap, request, at), errno(Errno::EFAULT));
    board.program.frozen = false;
    assert_eq!(board.alloc(plain(0x8000_0000)), einval());
}

fn alloc(change: impl FnOnce(&mut nvmap_alloc_handle)) -> Answer {
    let mut board = Board::new();
    let mut args = plain(board.create(0x1000).unwrap());
    change(&mut args);
    board.alloc(args)
}

#[test]
fn alloc_align_not_a_power_of_two_einval() {
    assert_eq!(alloc(|args| args.align = 3), einval());
    assert_eq!(alloc(|args| args.align = 0), Ok(0));
    assert_eq!(alloc(|args| args.align = 1 << 31), Ok(0));
}

#[test]
fn alloc_handle_zero_einval() {
    assert_eq!(alloc(|args| args.handle = 0), einval());
}

#[test]
fn alloc_numa_node_out_of_range_einval() {
    for (node, answer) in [(-2, einval()), (17, einval()), (-1, Ok(0)), (0, Ok(0)), (16, Ok(0))] {
        assert_eq!(alloc(|args| args.numa_nid = node), answer, "{node}");
    }
}

#[test]
fn alloc_unknown_handle_einval() {
    assert_eq!(alloc(|args| args.handle += 1), einval());
}

#[test]
fn alloc_dmabuf_descriptor_for_a_handle_einval() {
    let mut board = Board::new();
    let empty = board.empty_buffer();
    assert_eq!(board.alloc(plain(empty as u32)), einval());
}

#[test]
fn alloc_no_heap_enomem() {
    assert_eq!(alloc(|args| args.heap_mask = 0), errno(Errno::ENOMEM));
}

#[test]
fn alloc_heap_that_does_not_exist_enomem() {
    assert_eq!(alloc(|args| args.heap_mask = 1 << 31), errno(Errno::ENOMEM));
    assert_eq!(alloc(|args| args.heap_mask = NVMAP_HEAP_CARVEOUT_GPU), errno(Errno::ENOMEM));
    assert_eq!(alloc(|args| args.heap_mask = NVMAP_HEAP_CARVEOUT_FSI), Ok(0));
}

#[test]
fn alloc_carveout_too_small_enomem() {
    let mut board = Board::new();
    let handle = board.create(257 * MIB).unwrap();
    let args = nvmap_alloc_handle { heap_mask: NVMAP_HEAP_CARVEOUT_FSI, ..plain(handle) };
    assert_eq!(board.alloc(args), errno(Errno::ENOMEM));
}

#[test]
fn alloc_generic_heap_is_plain_memory() {
    let mut board = Board::new();
    let handle = board.create(0x1000).unwrap();
    board
        .alloc(nvmap_alloc_handle { heap_mask: NVMAP_HEAP_CARVEOUT_GENERIC, ..plain(handle) })
        .unwrap();
    assert_eq!(parameters(&mut board, handle).unwrap().heap, u64::from(IOVMM));
}

#[test]
fn alloc_more_than_all_memory_enomem() {
    let profile = Profile { total_ram: 8 * MIB, ..Profile::default() };
    let mut board = Board::with(profile);
    let handle = board.create(8 * MIB + 1).unwrap();
    assert_eq!(board.alloc(plain(handle)), errno(Errno::ENOMEM));
    let handle = board.create(8 * MIB).unwrap();
    assert_eq!(board.alloc(plain(handle)), Ok(0));
}

#[test]
fn alloc_again_eexist() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    assert_eq!(board.alloc(plain(handle)), errno(Errno::EEXIST));
}

#[test]
fn alloc_heap_is_looked_at_before_an_earlier_allocation() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let args = nvmap_alloc_handle { heap_mask: 0, ..plain(handle) };
    assert_eq!(board.alloc(args), errno(Errno::ENOMEM));
}

#[test]
fn alloc_ivm_or_vidmem_with_other_heaps_einval() {
    assert_eq!(alloc(|args| args.heap_mask |= NVMAP_HEAP_CARVEOUT_IVM), einval());
    assert_eq!(alloc(|args| args.heap_mask |= NVMAP_HEAP_CARVEOUT_VIDMEM), einval());
}

#[test]
fn alloc_earlier_allocation_is_looked_at_before_the_mix_of_heaps() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let args = nvmap_alloc_handle { heap_mask: IOVMM | NVMAP_HEAP_CARVEOUT_IVM, ..plain(handle) };
    assert_eq!(board.alloc(args), errno(Errno::EEXIST));
}

#[test]
fn alloc_no_memory_left_enomem_until_some_is_freed() {
    let profile = Profile { total_ram: 8 * MIB, ..Profile::default() };
    let mut board = Board::with(profile);
    let first = board.handle(6 * MIB);
    let second = board.create(4 * MIB).unwrap();
    assert_eq!(board.alloc(plain(second)), errno(Errno::ENOMEM));
    board.free(first).unwrap();
    assert_eq!(board.alloc(plain(second)), Ok(0));
}

#[test]
fn alloc_fault_strikes_the_nth_allocation() {
    let mut board = Board::injecting(Profile::default(), "alloc@2".parse().unwrap());
    board.handle(0x1000);
    let handle = board.create(0x1000).unwrap();
    assert_eq!(board.alloc(plain(handle)), errno(Errno::ENOMEM));
    assert_eq!(board.alloc(plain(handle)), Ok(0));
}

#[test]
fn alloc_without_tag_is_reported_once_per_client() {
    let mut board = Board::new();
    for reported in [true, false] {
        let handle = board.create(0x1000).unwrap();
        board
            .alloc(nvmap_alloc_handle { flags: NVMAP_HANDLE_WRITE_COMBINE, ..plain(handle) })
            .unwrap();
        assert_eq!(board.warned("without a tag"), reported);
    }
}

#[test]
fn memory_is_zeroed() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let memory = board.nodes.nvmap.memory_of(1000, handle);
    let mut bytes = [1; 0x1000];
    memory.read(0, &mut bytes);
    assert_eq!(bytes, [0; 0x1000]);
}

#[test]
fn free_zero_succeeds() {
    let mut board = Board::new();
    assert_eq!(board.free(0), Ok(0));
    assert_eq!(board.nodes.take_warnings(), [""; 0]);
}

#[test]
fn free_unknown_handle_succeeds_and_says_so() {
    let mut board = Board::new();
    assert_eq!(board.free(0x9000_0000), Ok(0));
    assert!(board.warned("is no handle"));
}

#[test]
fn free_dmabuf_descriptor_closes_it_and_says_so() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1000);
    assert_eq!(board.free(buffer as u32), Ok(0));
    assert!(board.warned("the driver closes it"));
    assert!(!board.program.is_open(buffer));
}

#[test]
fn free_leaves_other_descriptors_alone() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    assert_eq!(board.free(ctrl as u32), Ok(0));
    assert!(board.program.is_open(ctrl));
}

#[test]
fn memory_lives_as_long_as_anything_refers_to_it() {
    let mut board = Board::new();
    let all = board.nodes.nvmap.free_bytes(IOVMM);
    let space = board.space();
    let handle = board.handle(0x1000);
    let buffer = board.get_fd(handle).unwrap();
    let address = board.map_plain(space, buffer);
    let mapping = board.mmap(buffer, 0x1000, libc::MAP_SHARED, 0).unwrap();
    let taken = |board: &Board| all - board.nodes.nvmap.free_bytes(IOVMM);
    board.free(handle).unwrap();
    assert_eq!(taken(&board), 0x1000);
    board.close(buffer);
    assert_eq!(taken(&board), 0x1000);
    board.unmap(mapping);
    assert_eq!(taken(&board), 0x1000);
    board.unmap_gpu(space, address).unwrap();
    assert_eq!(taken(&board), 0);
}

#[test]
fn get_fd_unknown_handle_ebadf() {
    let mut board = Board::new();
    assert_eq!(board.get_fd(0x9000_0000), Err(Errno::EBADF.into()));
    assert_eq!(board.get_fd(999), Err(Errno::EBADF.into()));
}

#[test]
fn get_fd_descriptor_of_something_else_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    assert_eq!(board.get_fd(ctrl as u32), Err(Errno::EINVAL.into()));
}

#[test]
fn get_fd_of_a_dmabuf_descriptor_trap() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1000);
    let refusal = board.get_fd(buffer as u32).unwrap_err();
    assert!(is_trap(Err(refusal), "freed memory"));
}

#[test]
fn get_fd_no_descriptor_left_emfile() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    board.program.limit = 0;
    assert_eq!(board.get_fd(handle), Err(Errno::EMFILE.into()));
}

#[test]
fn get_fd_twice_gives_two_descriptors_of_one_file() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let (one, two) = (board.get_fd(handle).unwrap(), board.get_fd(handle).unwrap());
    assert_ne!(one, two);
    assert_eq!(board.program.file(one), board.program.file(two));
    board.close(one);
    assert!(board.mmap(two, 0x1000, libc::MAP_SHARED, 0).is_ok());
}

#[test]
fn get_fd_result_overwrites_the_first_word() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    let handle = board.handle(0x1000);
    let mut args = nvmap_create_handle_fd { fd: -1, handle };
    board.ioctl(nvmap, NVMAP_IOC_GET_FD, &mut args).unwrap();
    assert!(board.program.is_open(args.fd) && args.handle == handle);
}

#[test]
fn get_fd_reply_fault_efault_and_no_descriptor_stays() {
    let mut board = Board::new();
    let (nvmap, handle) = (board.nvmap(), board.handle(0x1000));
    let args = nvmap_create_handle_fd { fd: 0, handle };
    let at = board.program.place(args.as_bytes());
    board.program.frozen = true;
    assert_eq!(board.ioctl_at(nvmap, NVMAP_IOC_GET_FD.number(), at), errno(Errno::EFAULT));
    assert!(!board.program.is_open(nvmap + 1));
}

fn from_fd(board: &mut Board, fd: i32) -> Result<u32, Refusal> {
    let nvmap = board.nvmap();
    let mut args = nvmap_create_handle_fd { fd, handle: 0 };
    board.ioctl(nvmap, NVMAP_IOC_FROM_FD, &mut args)?;
    Ok(args.handle)
}

#[test]
fn from_fd_bad_descriptor_ebadf_or_einval() {
    let mut board = Board::new();
    assert_eq!(from_fd(&mut board, 999), Err(Errno::EBADF.into()));
    assert_eq!(from_fd(&mut board, 0), Err(Errno::EINVAL.into()));
}

#[test]
fn from_fd_buffer_without_memory_einval() {
    let mut board = Board::new();
    let empty = board.empty_buffer();
    assert_eq!(from_fd(&mut board, empty), Err(Errno::EINVAL.into()));
}

#[test]
fn from_fd_gives_a_new_handle_of_the_same_buffer() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1000);
    let handle = from_fd(&mut board, buffer).unwrap();
    let again = board.get_fd(handle).unwrap();
    assert_eq!(board.program.file(buffer), board.program.file(again));
}

#[test]
fn clients_are_processes_and_end_with_their_last_open_file() {
    let mut board = Board::new();
    let first = board.nvmap();
    let second = board.open("/dev/nvmap").unwrap();
    let handle = board.handle(0x1000);
    let see = |board: &mut Board, fd| {
        let args = nvmap_handle_parameters { handle, ..Default::default() };
        board.call(fd, NVMAP_IOC_PARAMETERS, args)
    };
    assert_eq!(see(&mut board, second), Ok(0));
    board.program.process = 2000;
    let other = board.open("/dev/nvmap").unwrap();
    assert_eq!(see(&mut board, other), errno(Errno::ENODEV));
    // An inherited file stays what it was.
    assert_eq!(see(&mut board, first), Ok(0));
    let before = board.nodes.nvmap.free_bytes(IOVMM);
    board.close(first);
    assert_eq!(board.nodes.nvmap.free_bytes(IOVMM), before);
    board.close(second);
    assert_eq!(board.nodes.nvmap.free_bytes(IOVMM), before + 0x1000);
}

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

fn parameters(board: &mut Board, handle: u32) -> Result<nvmap_handle_parameters, Refusal> {
    let nvmap = board.nvmap();
    let mut args = nvmap_handle_parameters { handle, ..Default::default() };
    board.ioctl(nvmap, NVMAP_IOC_PARAMETERS, &mut args)?;
    Ok(args)
}

#[test]
fn parameters_any_failure_but_the_first_copy_enodev() {
    let mut board = Board::new();
    assert_eq!(parameters(&mut board, 0x9000_0000).unwrap_err(), Errno::ENODEV.into());
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
    let before = parameters(&mut board, handle).unwrap();
    assert_eq!((before.size, before.heap, before.contig), (0x2000, 0, 0));
    let flags = NVMAP_HANDLE_INNER_CACHEABLE | NVMAP_HANDLE_PHYS_CONTIG | 0x0900 << 16;
    board.alloc(nvmap_alloc_handle { flags, align: 0, ..plain(handle) }).unwrap();
    let after = parameters(&mut board, handle).unwrap();
    assert_eq!((after.heap, after.coherency), (u64::from(IOVMM), 2));
    assert_eq!((after.contig, after.align, after.access_flags), (1, 4096, 0));
    let other = board.handle(0x1000);
    let other = parameters(&mut board, other).unwrap();
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
    heap_params(&mut board, IOVMM | 1 << 31).unwrap();
    assert!(board.warned("several heaps"));
}

fn duplicate(board: &mut Board, handle: u32, access_flags: u32) -> Result<u32, Refusal> {
    let nvmap = board.nvmap();
    let mut args = nvmap_duplicate_handle { handle, access_flags, dup_handle: 0 };
    board.ioctl(nvmap, NVMAP_IOC_DUP_HANDLE, &mut args)?;
    Ok(args.dup_handle)
}

#[test]
fn dup_handle_unknown_einval() {
    let mut board = Board::new();
    assert_eq!(duplicate(&mut board, 0x9000_0000, 0), Err(Errno::EINVAL.into()));
}

#[test]
fn dup_handle_read_write_of_a_read_only_one_eperm() {
    let mut board = Board::new();
    let handle = board.handle(0x1000);
    let read_only = duplicate(&mut board, handle, NVMAP_HANDLE_RO).unwrap();
    assert_eq!(duplicate(&mut board, read_only, 0), Err(Errno::EPERM.into()));
    assert!(duplicate(&mut board, read_only, NVMAP_HANDLE_RO).is_ok());
    assert_eq!(parameters(&mut board, read_only).unwrap().access_flags, NVMAP_HANDLE_RO);
}

#[test]
fn read_only_handles_give_read_only_descriptors() {
    let mut board = Board::new();
    let space = board.space();
    let handle = board.handle(0x1000);
    let read_only = duplicate(&mut board, handle, NVMAP_HANDLE_RO).unwrap();
    let buffer = board.get_fd(read_only).unwrap();
    let mut args = map_args(buffer);
    args.flags = args.flags.with_access(NVGPU_AS_MAP_BUFFER_ACCESS_READ_WRITE);
    assert_eq!(board.map(space, &mut args), einval());
    let again = from_fd(&mut board, buffer).unwrap();
    assert_eq!(duplicate(&mut board, again, 0), Err(Errno::EPERM.into()));
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
    let read_only = duplicate(&mut board, handle, NVMAP_HANDLE_RO).unwrap();
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
    let changes: [fn(&mut nvmap_rw_handle); 6] = [
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
