//! What happens before and after a handler.

use super::*;

/// A request number by its parts.
fn number(dir: u32, size: u32, magic: u8, nr: u32) -> u32 {
    dir << 30 | size << 16 | u32::from(magic) << 8 | nr
}

const READ: u32 = 2;
const WRITE: u32 = 1;

/// Each kind of nvgpu file: descriptor, magic, last request, largest argument.
fn files(board: &mut Board) -> [(i32, u8, u32, u32); 4] {
    let rig = board.rig();
    [
        (rig.ctrl, b'G', 44, 264),
        (rig.space, b'A', 14, 40),
        (rig.tsg, b'T', 21, 32),
        (rig.channel, b'H', 128, 104),
    ]
}

#[test]
fn wrong_magic_einval() {
    let mut board = Board::new();
    for (fd, _, last, _) in files(&mut board) {
        assert_eq!(board.ioctl_at(fd, number(0, 0, b'Z', last), 0), einval());
    }
}

#[test]
fn nr_zero_einval() {
    let mut board = Board::new();
    for (fd, magic, _, _) in files(&mut board) {
        assert_eq!(board.ioctl_at(fd, number(0, 0, magic, 0), 0), einval());
    }
}

#[test]
fn nr_beyond_last_einval() {
    let mut board = Board::new();
    for (fd, magic, last, _) in files(&mut board) {
        assert_eq!(board.ioctl_at(fd, number(0, 0, magic, last + 1), 0), einval());
        assert_eq!(board.ioctl_at(fd, number(0, 1, magic, last), 0), errno(Errno::ENOTTY));
    }
}

#[test]
fn size_beyond_largest_argument_einval() {
    let mut board = Board::new();
    for (fd, magic, last, largest) in files(&mut board) {
        assert_eq!(board.ioctl_at(fd, number(0, largest + 1, magic, last), 0), einval());
        assert_eq!(board.ioctl_at(fd, number(0, largest, magic, last), 0), errno(Errno::ENOTTY));
    }
}

#[test]
fn limits_come_before_the_copy_in() {
    let mut board = Board::new();
    for (fd, magic, last, _) in files(&mut board) {
        assert_eq!(board.ioctl_at(fd, number(WRITE, 8, magic, last + 1), 1), einval());
    }
}

#[test]
fn copy_in_fault_efault_before_the_request_is_known() {
    let mut board = Board::new();
    for (fd, magic, last, _) in files(&mut board) {
        let unknown = number(WRITE, 12, magic, last);
        assert_eq!(board.ioctl_at(fd, unknown, 1), errno(Errno::EFAULT));
        let at = board.program.place(&[0; 12]);
        assert_eq!(board.ioctl_at(fd, unknown, at), errno(Errno::ENOTTY));
    }
}

#[test]
fn right_nr_with_wrong_size_or_direction_enotty() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let at = board.program.place(&[0; 16]);
    // The 16-byte OPEN_CHANNEL of older headers.
    let old = number(READ | WRITE, 16, b'G', 11);
    assert_eq!(board.ioctl_at(ctrl, old, at), errno(Errno::ENOTTY));
    let inwards = number(WRITE, 4, b'G', 11);
    assert_eq!(board.ioctl_at(ctrl, inwards, at), errno(Errno::ENOTTY));
}

#[test]
fn requests_of_the_headers_that_the_model_lacks_enotty_with_a_word() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let args = nvgpu_gpu_clk_get_info_args::default();
    assert_eq!(board.call(ctrl, NVGPU_GPU_IOCTL_CLK_GET_INFO, args), errno(Errno::ENOTTY));
    assert!(board.warned("NVGPU_GPU_IOCTL_CLK_GET_INFO"));
}

#[test]
fn failing_copy_out_returns_the_missing_bytes_on_ctrl_tsg_and_channel() {
    let mut board = Board::new();
    let rig = board.rig();
    let calls = [
        (rig.ctrl, NVGPU_GPU_IOCTL_GET_GPU_TIME.number(), 16),
        (rig.tsg, NVGPU_IOCTL_TSG_GET_TIMESLICE.number(), 8),
        (rig.channel, NVGPU_IOCTL_CHANNEL_GET_TIMEDOUT.number(), 4),
    ];
    let at = board.program.place(&[0; 16]);
    board.program.frozen = true;
    for (fd, request, missing) in calls {
        assert_eq!(board.ioctl_at(fd, request, at), Ok(missing));
        assert!(board.warned("could not be copied"));
    }
}

#[test]
fn failing_copy_out_efault_on_address_spaces() {
    let mut board = Board::new();
    let space = board.space();
    let request = NVGPU_AS_IOCTL_GET_SYNC_RO_MAP.number();
    assert_eq!(board.ioctl_at(space, request, 1), errno(Errno::EFAULT));
}

#[test]
fn nothing_is_copied_out_after_failure() {
    let mut board = Board::new();
    let rig = board.rig();
    let mut args = nvgpu_gpu_get_cpu_time_correlation_info_args { count: 1, ..Default::default() };
    let request = NVGPU_GPU_IOCTL_GET_CPU_TIME_CORRELATION_INFO;
    assert_eq!(board.ioctl(rig.ctrl, request, &mut args), einval());
    let at = board.program.place(args.as_bytes());
    board.program.frozen = true;
    assert_eq!(board.ioctl_at(rig.ctrl, request.number(), at), einval());
    let map = NVGPU_AS_IOCTL_MAP_BUFFER_EX.number();
    assert_eq!(board.ioctl_at(rig.space, map, at), einval());
}

#[test]
fn remap_copies_out_even_after_failure() {
    let mut board = Board::new();
    let space = board.space();
    let mut args = nvgpu_as_remap_args { num_ops: 1, ..Default::default() };
    assert_eq!(board.ioctl(space, NVGPU_AS_IOCTL_REMAP, &mut args), einval());
    assert_eq!(args.num_ops, 0);
    assert!(board.warned("no sparse areas"));
    let at = board.program.place(args.as_bytes());
    board.program.frozen = true;
    let request = NVGPU_AS_IOCTL_REMAP.number();
    assert_eq!(board.ioctl_at(space, request, at), errno(Errno::EFAULT));
}

#[test]
fn event_and_dmabuf_files_have_no_ioctl_of_ours() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1000);
    let request = NVGPU_GPU_IOCTL_GET_GPU_TIME.number();
    assert_eq!(board.ioctl_at(buffer, request, 0), errno(Errno::ENOTTY));
}

#[test]
fn injected_errno_strikes_the_nth_call_of_that_name() {
    let inject: Injector = "NVGPU_GPU_IOCTL_GET_GPU_TIME@2=ENODEV, open@2=EBUSY".parse().unwrap();
    let mut board = Board::injecting(Profile::default(), inject);
    let ctrl = board.ctrl();
    let mut get = || {
        let args = nvgpu_gpu_get_gpu_time_args::default();
        board.call(ctrl, NVGPU_GPU_IOCTL_GET_GPU_TIME, args)
    };
    assert_eq!(get(), Ok(0));
    assert_eq!(get(), errno(Errno::ENODEV));
    assert_eq!(get(), Ok(0));
    assert_eq!(board.open(CTRL), Err(Errno::EBUSY));
    assert!(board.open(CTRL).is_ok());
}
