//! The nvmap file: handles and descriptors.

use super::*;

#[test]
fn nvmap_wrong_magic_enotty() {
    let mut board = Board::new();
    let nvmap = board.nvmap();
    assert_eq!(board.ioctl_at(nvmap, 0xc008_4700, u64::MAX), errno(Errno::ENOTTY));
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
    // But no page count holds this one.
    assert_eq!(board.create(u64::MAX), Err(Errno::ENOMEM.into()));
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
    let room = board.program.limit;
    board.program.limit = 0;
    assert_eq!(board.get_fd(handle), Err(Errno::EMFILE.into()));
    assert_eq!(board.nodes.files.len(), 1);
    board.program.limit = room;
    let first = board.get_fd(handle).unwrap();
    board.program.limit = 0;
    assert_eq!(board.get_fd(handle), Err(Errno::EMFILE.into()));
    assert!(board.mmap(first, 0x1000, libc::MAP_SHARED, 0).is_ok());
}

#[test]
fn get_fd_of_a_buffer_that_cannot_exist_here_enomem() {
    let mut board = Board::new();
    let handle = board.create(1 << 50).unwrap();
    assert_eq!(board.get_fd(handle), Err(Errno::ENOMEM.into()));
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

#[test]
fn from_fd_bad_descriptor_ebadf_or_einval() {
    let mut board = Board::new();
    assert_eq!(board.handle_from(999), Err(Errno::EBADF.into()));
    assert_eq!(board.handle_from(0), Err(Errno::EINVAL.into()));
}

#[test]
fn from_fd_buffer_without_memory_einval() {
    let mut board = Board::new();
    let empty = board.empty_buffer();
    assert_eq!(board.handle_from(empty), Err(Errno::EINVAL.into()));
}

#[test]
fn from_fd_gives_a_new_handle_of_the_same_buffer() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1000);
    let handle = board.handle_from(buffer).unwrap();
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
