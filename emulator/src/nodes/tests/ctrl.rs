//! What the ctrl file opens and changes.

use super::*;

fn open_space(board: &mut Board, change: impl FnOnce(&mut nvgpu_alloc_as_args)) -> Answer {
    let ctrl = board.ctrl();
    let mut args = alloc_as(START, END);
    change(&mut args);
    board.ioctl(ctrl, NVGPU_GPU_IOCTL_ALLOC_AS, &mut args)
}

#[test]
fn alloc_as_no_descriptor_left_emfile_before_anything_else() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    board.program.limit = 2;
    let mut args = nvgpu_alloc_as_args::default();
    let answer = board.ioctl(ctrl, NVGPU_GPU_IOCTL_ALLOC_AS, &mut args);
    assert_eq!(answer, errno(Errno::EMFILE));
}

#[test]
fn alloc_as_big_page_not_power_of_two_einval() {
    let mut board = Board::named("agx-orin-30w-iommu");
    assert_eq!(open_space(&mut board, |args| args.big_page_size = 0x1_8000), einval());
    assert_eq!(open_space(&mut board, |args| args.big_page_size = 0x1_0000), Ok(0));
}

#[test]
fn alloc_as_big_page_not_available_einval() {
    let mut board = Board::new();
    assert_eq!(open_space(&mut board, |args| args.big_page_size = 0x1_0000), einval());
    let mut board = Board::named("agx-orin-30w-iommu");
    assert_eq!(open_space(&mut board, |args| args.big_page_size = 0x2_0000), einval());
}

#[test]
fn alloc_as_start_zero_or_unaligned_einval() {
    let mut board = Board::new();
    assert_eq!(open_space(&mut board, |args| args.va_range_start = 0), einval());
    assert_eq!(open_space(&mut board, |args| args.va_range_start = 0x10_0000), einval());
}

#[test]
fn alloc_as_end_zero_or_unaligned_einval() {
    let mut board = Board::new();
    assert_eq!(open_space(&mut board, |args| args.va_range_end = 0), einval());
    assert_eq!(open_space(&mut board, |args| args.va_range_end = END - 4096), einval());
}

#[test]
fn alloc_as_start_not_below_end_einval() {
    let mut board = Board::new();
    assert_eq!(open_space(&mut board, |args| args.va_range_end = START), einval());
    assert_eq!(open_space(&mut board, |args| args.va_range_end = START + 2 * MIB), Ok(0));
}

#[test]
fn alloc_as_split_with_unified_va_einval() {
    let mut board = Board::named("agx-orin-30w-iommu");
    let answer = open_space(&mut board, |args| {
        args.big_page_size = 0x1_0000;
        args.va_range_split = 1 << 30;
    });
    assert_eq!(answer, einval());
}

#[test]
fn alloc_as_split_without_big_pages_einval() {
    let mut board = Board::new();
    let answer = open_space(&mut board, |args| {
        args.flags = AllocAsFlags::empty();
        args.va_range_split = 1 << 30;
    });
    assert_eq!(answer, einval());
}

#[test]
fn alloc_as_big_pages_apart_need_a_split_inside_einval() {
    let mut board = Board::named("agx-orin-30w-iommu");
    let mut apart = |split: u64| {
        open_space(&mut board, |args| {
            args.flags = AllocAsFlags::empty();
            args.big_page_size = 0x1_0000;
            args.va_range_split = split;
        })
    };
    for split in [0, (1 << 30) + 4096, START, END] {
        assert_eq!(apart(split), einval(), "{split:#x}");
    }
    assert_eq!(apart(1 << 30), Ok(0));
}

#[test]
fn alloc_as_beyond_49_bits_enomem() {
    let mut board = Board::new();
    let last = (1 << 49) - (4 << 30);
    assert_eq!(open_space(&mut board, |args| args.va_range_end = last), Ok(0));
    let answer = open_space(&mut board, |args| args.va_range_end = last + 2 * MIB);
    assert_eq!(answer, errno(Errno::ENOMEM));
    assert!(board.warned("do not fit below 2^49"));
    let top = u64::MAX - 2 * MIB + 1;
    assert_eq!(open_space(&mut board, |args| args.va_range_end = top), errno(Errno::ENOMEM));
}

#[test]
fn alloc_as_ignores_unknown_flags_reserved_and_padding() {
    let mut board = Board::new();
    let answer = open_space(&mut board, |args| {
        args.flags = AllocAsFlags::from_bits_retain(0xffff_ffff);
        args.reserved = 7;
        args.padding = [7; 6];
    });
    assert_eq!(answer, Ok(0));
}

#[test]
fn alloc_as_big_page_is_looked_at_before_the_range() {
    // Both are wrong; only the order of the checks tells which errno a later one would give.
    let mut board = Board::new();
    let answer = open_space(&mut board, |args| {
        args.big_page_size = 0x1_0000;
        args.va_range_end = u64::MAX - 2 * MIB + 1;
    });
    assert_eq!(answer, einval());
}

fn open_tsg(board: &mut Board, args: nvgpu_gpu_open_tsg_args) -> Answer {
    let ctrl = board.ctrl();
    board.call(ctrl, NVGPU_GPU_IOCTL_OPEN_TSG, args)
}

#[test]
fn open_tsg_source_or_token_without_share_einval() {
    let mut board = Board::new();
    let source = nvgpu_gpu_open_tsg_args { source_device_instance_id: 1, ..Default::default() };
    assert_eq!(open_tsg(&mut board, source), einval());
    let token = nvgpu_gpu_open_tsg_args { share_token: 1, ..Default::default() };
    assert_eq!(open_tsg(&mut board, token), einval());
}

#[test]
fn open_tsg_share_with_a_token_nobody_gave_out_einval() {
    let mut board = Board::new();
    let args = nvgpu_gpu_open_tsg_args {
        flags: OpenTsgFlags::SHARE,
        share_token: 1,
        ..Default::default()
    };
    assert_eq!(open_tsg(&mut board, args), einval());
}

#[test]
fn open_tsg_share_takes_a_descriptor_before_it_looks_for_the_token_emfile() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    board.program.limit = 2;
    let args = nvgpu_gpu_open_tsg_args {
        flags: OpenTsgFlags::SHARE,
        share_token: 1,
        ..Default::default()
    };
    assert_eq!(board.call(ctrl, NVGPU_GPU_IOCTL_OPEN_TSG, args), errno(Errno::EMFILE));
}

#[test]
fn open_tsg_token_is_looked_at_before_descriptors_run_out() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    board.program.limit = 2;
    let token = nvgpu_gpu_open_tsg_args { share_token: 1, ..Default::default() };
    assert_eq!(board.call(ctrl, NVGPU_GPU_IOCTL_OPEN_TSG, token), einval());
    let fine = nvgpu_gpu_open_tsg_args::default();
    assert_eq!(board.call(ctrl, NVGPU_GPU_IOCTL_OPEN_TSG, fine), errno(Errno::EMFILE));
}

#[test]
fn open_tsg_none_left_enomem_and_the_lowest_id_comes_back() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let tsgs: Vec<i32> = (0..512).map(|_| board.tsg(ctrl)).collect();
    assert_eq!(open_tsg(&mut board, Default::default()), errno(Errno::ENOMEM));
    board.close(tsgs[300]);
    board.close(tsgs[20]);
    let again = board.tsg(ctrl);
    assert!(matches!(board.nodes.files[&board.program.file(again)], super::super::File::Tsg(20)));
}

fn open_channel(board: &mut Board, runlist: i32) -> Answer {
    let ctrl = board.ctrl();
    board.call(
        ctrl,
        NVGPU_GPU_IOCTL_OPEN_CHANNEL,
        nvgpu_gpu_open_channel_args { channel_fd: runlist },
    )
}

#[test]
fn open_channel_no_descriptor_left_emfile_before_anything_else() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    board.program.limit = 2;
    let args = nvgpu_gpu_open_channel_args { channel_fd: 99 };
    assert_eq!(board.call(ctrl, NVGPU_GPU_IOCTL_OPEN_CHANNEL, args), errno(Errno::EMFILE));
}

#[test]
fn open_channel_unknown_runlist_einval() {
    let mut board = Board::new();
    assert_eq!(open_channel(&mut board, 2), einval());
    assert_eq!(open_channel(&mut board, -2), einval());
    assert_eq!(open_channel(&mut board, 1), Ok(0));
    assert_eq!(open_channel(&mut board, -1), Ok(0));
}

#[test]
fn open_channel_none_left_enomem() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let channels: Vec<i32> = (0..512).map(|_| board.channel(ctrl)).collect();
    assert_eq!(open_channel(&mut board, -1), errno(Errno::ENOMEM));
    assert_eq!(open_channel(&mut board, -1), errno(Errno::ENOMEM));
    board.close(channels[7]);
    assert_eq!(open_channel(&mut board, -1), Ok(0));
}

fn deterministic(board: &mut Board, ctrl: i32, fds: &[i32], flags: u32) -> Answer {
    let args = nvgpu_gpu_set_deterministic_opts_args {
        num_channels: fds.len() as u32,
        flags: SetDeterministicOptsFlags::from_bits_retain(flags),
        channels: board.program.place(fds.as_bytes()),
    };
    board.call(ctrl, NVGPU_GPU_IOCTL_SET_DETERMINISTIC_OPTS, args)
}

#[test]
fn deterministic_opts_more_than_512_channels_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    assert_eq!(deterministic(&mut board, ctrl, &[], 1), Ok(0));
    let args = nvgpu_gpu_set_deterministic_opts_args {
        num_channels: 513,
        channels: 1,
        ..Default::default()
    };
    assert_eq!(board.call(ctrl, NVGPU_GPU_IOCTL_SET_DETERMINISTIC_OPTS, args), einval());
}

#[test]
fn deterministic_opts_fault_efault() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let args = nvgpu_gpu_set_deterministic_opts_args {
        num_channels: 1,
        channels: 1,
        ..Default::default()
    };
    let answer = board.call(ctrl, NVGPU_GPU_IOCTL_SET_DETERMINISTIC_OPTS, args);
    assert_eq!(answer, errno(Errno::EFAULT));
}

#[test]
fn deterministic_opts_not_a_channel_einval() {
    let mut board = Board::new();
    let (rig, _) = board.running();
    assert_eq!(deterministic(&mut board, rig.ctrl, &[rig.channel, rig.tsg], 2), einval());
    assert_eq!(deterministic(&mut board, rig.ctrl, &[rig.channel], 2), Ok(0));
}

#[test]
fn deterministic_opts_channel_not_deterministic_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(deterministic(&mut board, rig.ctrl, &[rig.channel], 2), einval());
}

#[test]
fn deterministic_opts_allow_and_disallow_einval() {
    let mut board = Board::new();
    let (rig, _) = board.running();
    assert_eq!(deterministic(&mut board, rig.ctrl, &[rig.channel], 3), einval());
}

#[test]
fn deterministic_opts_allow_railgating_is_reported() {
    let mut board = Board::new();
    let (rig, _) = board.running();
    assert_eq!(deterministic(&mut board, rig.ctrl, &[rig.channel], 1), Ok(0));
    assert!(board.warned("bus error"));
}

fn register(
    board: &mut Board,
    fd: i32,
    change: impl FnOnce(&mut nvgpu_gpu_register_buffer_args),
) -> Answer {
    let ctrl = board.ctrl();
    let mut args = nvgpu_gpu_register_buffer_args {
        dmabuf_fd: fd,
        metadata_addr: board.program.place(&[7; 16]),
        metadata_size: 16,
        ..Default::default()
    };
    change(&mut args);
    board.call(ctrl, NVGPU_GPU_IOCTL_REGISTER_BUFFER, args)
}

#[test]
fn register_buffer_too_much_metadata_einval_before_the_descriptor() {
    let mut board = Board::new();
    assert_eq!(register(&mut board, 999, |args| args.metadata_size = 257), einval());
}

#[test]
fn register_buffer_unknown_comptags_control_einval_before_the_descriptor() {
    let mut board = Board::new();
    assert_eq!(register(&mut board, 999, |args| args.comptags_alloc_control = 3), einval());
}

#[test]
fn register_buffer_bad_descriptor_ebadf_or_einval() {
    let mut board = Board::new();
    assert_eq!(register(&mut board, 999, |_| {}), errno(Errno::EBADF));
    assert_eq!(register(&mut board, 0, |_| {}), einval());
}

#[test]
fn register_buffer_again_without_modify_einval() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1000);
    let mutable = |args: &mut nvgpu_gpu_register_buffer_args| {
        args.flags = RegisterBufferFlags::MUTABLE;
    };
    assert_eq!(register(&mut board, buffer, mutable), Ok(0));
    assert_eq!(register(&mut board, buffer, mutable), einval());
    let modify = |args: &mut nvgpu_gpu_register_buffer_args| {
        args.flags = RegisterBufferFlags::MODIFY;
    };
    assert_eq!(register(&mut board, buffer, modify), Ok(0));
}

#[test]
fn register_buffer_modify_of_an_immutable_one_einval() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1000);
    assert_eq!(register(&mut board, buffer, |_| {}), Ok(0));
    let answer = register(&mut board, buffer, |args| args.flags = RegisterBufferFlags::MODIFY);
    assert_eq!(answer, einval());
}

#[test]
fn register_buffer_metadata_fault_efault() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1000);
    assert_eq!(register(&mut board, buffer, |args| args.metadata_addr = 1), errno(Errno::EFAULT));
    assert_eq!(register(&mut board, buffer, |_| {}), Ok(0));
}

#[test]
fn register_buffer_comptags_required_enomem() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1000);
    let required = |args: &mut nvgpu_gpu_register_buffer_args| args.comptags_alloc_control = 2;
    assert_eq!(register(&mut board, buffer, required), errno(Errno::ENOMEM));
    let requested = |args: &mut nvgpu_gpu_register_buffer_args| args.comptags_alloc_control = 1;
    assert_eq!(register(&mut board, buffer, requested), Ok(0));
}

fn buffer_info(board: &mut Board, fd: i32) -> Result<nvgpu_gpu_get_buffer_info_args_out, Refusal> {
    let ctrl = board.ctrl();
    let mut args = nvgpu_gpu_get_buffer_info_args { dmabuf_fd: fd, ..Default::default() };
    board.ioctl(ctrl, NVGPU_GPU_IOCTL_GET_BUFFER_INFO, &mut args)?;
    Ok(zerocopy::transmute!(args))
}

#[test]
fn get_buffer_info_bad_descriptor_ebadf_or_einval() {
    let mut board = Board::new();
    assert_eq!(buffer_info(&mut board, 999).unwrap_err(), Errno::EBADF.into());
    assert_eq!(buffer_info(&mut board, 0).unwrap_err(), Errno::EINVAL.into());
}

#[test]
fn get_buffer_info_tells_size_and_registration() {
    let mut board = Board::new();
    let buffer = board.buffer(0x1800);
    let before = buffer_info(&mut board, buffer).unwrap();
    assert_eq!((before.size, before.flags.bits()), (0x2000, 0));
    register(&mut board, buffer, |_| {}).unwrap();
    let after = buffer_info(&mut board, buffer).unwrap();
    assert_eq!((after.flags, after.metadata_size), (BufferInfoFlags::METADATA_REGISTERED, 16));
    let other = board.buffer(0x1000);
    register(&mut board, other, |args| args.flags = RegisterBufferFlags::MUTABLE).unwrap();
    let flags = buffer_info(&mut board, other).unwrap().flags;
    assert!(flags.contains(BufferInfoFlags::MUTABLE_METADATA));
}
