//! Nodes, and the ctrl file.

use super::*;

#[test]
fn nodes_have_the_names_of_the_release() {
    let mut new = Board::new();
    let mut old = Board::named("agx-orin-30w-nvhost");
    let names = [
        ("/dev/nvgpu/igpu0/ctrl", "/dev/nvhost-ctrl-gpu"),
        ("/dev/nvgpu/igpu0/tsg", "/dev/nvhost-tsg-gpu"),
        ("/dev/nvgpu/igpu0/channel", "/dev/nvhost-gpu"),
    ];
    for (r36, r35) in names {
        assert!(Nodes::is_node(r36) && Nodes::is_node(r35));
        assert!(new.open(r36).is_ok() && old.open(r35).is_ok());
        assert_eq!(new.open(r35), Err(Errno::ENOENT));
        assert_eq!(old.open(r36), Err(Errno::ENOENT));
        assert!(new.nodes.exists(r36) && !new.nodes.exists(r35));
    }
    assert!(new.open("/dev/nvmap").is_ok() && old.open("/dev/nvmap").is_ok());
}

#[test]
fn other_paths_are_no_nodes() {
    for path in
        ["/dev/null", "/dev/nvgpu/igpu0/nonsense", "/dev/nvhost-vic", "/dev/nvgpux", "/dev/nvidia0"]
    {
        assert!(!Nodes::is_node(path), "{path}");
    }
    assert!(Nodes::is_directory("/dev/nvgpu/igpu0"));
    assert!(!Nodes::is_directory(CTRL));
}

#[test]
fn nodes_that_the_model_lacks_enodev_with_a_word() {
    let mut board = Board::new();
    assert_eq!(board.open("/dev/nvgpu/igpu0/dbg"), Err(Errno::ENODEV));
    assert!(board.warned("/dev/nvgpu/igpu0/dbg"));
    assert_eq!(board.open("/dev/nvgpu/igpu0"), Err(Errno::EACCES));
}

#[test]
fn as_node_without_big_pages_einval() {
    let mut board = Board::new();
    assert_eq!(board.open("/dev/nvgpu/igpu0/as"), Err(Errno::EINVAL));
    assert!(board.warned("64 KiB pages"));
    assert!(Board::named("agx-orin-30w-iommu").open("/dev/nvgpu/igpu0/as").is_ok());
}

#[test]
fn channel_node_opens_a_channel() {
    let mut board = Board::new();
    let channel = board.open("/dev/nvgpu/igpu0/channel").unwrap();
    assert_eq!(board.timed_out(channel), 1);
}

fn characteristics(board: &mut Board, size: u64, at: u64) -> (Answer, u64) {
    let ctrl = board.ctrl();
    let mut args = nvgpu_gpu_get_characteristics {
        gpu_characteristics_buf_size: size,
        gpu_characteristics_buf_addr: at,
    };
    let answer = board.ioctl(ctrl, NVGPU_GPU_IOCTL_GET_CHARACTERISTICS, &mut args);
    (answer, args.gpu_characteristics_buf_size)
}

#[test]
fn get_characteristics_size_zero_only_asks_for_the_size() {
    let mut board = Board::new();
    assert_eq!(characteristics(&mut board, 0, 1), (Ok(0), 328));
}

#[test]
fn get_characteristics_copies_no_more_than_the_program_has_room_for() {
    let mut board = Board::new();
    let at = board.program.place(&[0xee; 328]);
    assert_eq!(characteristics(&mut board, 8, at), (Ok(0), 328));
    assert_eq!(board.program.peek::<u32>(at), 0x170);
    assert_eq!(board.program.peek::<u32>(at + 8), 0xeeee_eeee);
    assert_eq!(characteristics(&mut board, 4000, at), (Ok(0), 328));
    let told: nvgpu_gpu_characteristics = board.program.peek(at);
    assert_eq!((told.sm_arch_sm_version, told.compute_class, told.num_gpc), (0x807, 0xc7c0, 1));
    assert_eq!(told.flags.bits(), 0x01bf_5fff_7f5d_035d);
}

#[test]
fn get_characteristics_fault_efault() {
    let mut board = Board::new();
    assert_eq!(characteristics(&mut board, 328, 1).0, errno(Errno::EFAULT));
}

#[test]
fn each_open_of_ctrl_has_an_instance_of_its_own() {
    let mut board = Board::new();
    let instance = |board: &mut Board| {
        let at = board.program.place(&[0; 328]);
        characteristics(board, 328, at).0.unwrap();
        board.program.peek::<nvgpu_gpu_characteristics>(at).device_instance_id
    };
    assert_ne!(instance(&mut board), instance(&mut board));
}

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

#[test]
fn tpc_masks_are_one_word_per_gpc_of_the_full_chip() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let at = board.program.place(&[0xee; 16]);
    let mut args =
        nvgpu_gpu_get_tpc_masks_args { mask_buf_size: 0, mask_buf_addr: 1, ..Default::default() };
    assert_eq!(board.ioctl(ctrl, NVGPU_GPU_IOCTL_GET_TPC_MASKS, &mut args), Ok(0));
    assert_eq!(args.mask_buf_size, 8);
    args = nvgpu_gpu_get_tpc_masks_args { mask_buf_size: 4, mask_buf_addr: at, ..args };
    assert_eq!(board.ioctl(ctrl, NVGPU_GPU_IOCTL_GET_TPC_MASKS, &mut args), Ok(0));
    assert_eq!((args.mask_buf_size, board.program.peek::<u32>(at)), (8, 0xf));
    assert_eq!(board.program.peek::<u32>(at + 4), 0xeeee_eeee);
}

#[test]
fn l2_masks_are_one_word_per_partition() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let at = board.program.place(&[0; 8]);
    let mut args = nvgpu_gpu_get_fbp_l2_masks_args {
        mask_buf_size: 100,
        mask_buf_addr: at,
        ..Default::default()
    };
    assert_eq!(board.ioctl(ctrl, NVGPU_GPU_IOCTL_GET_FBP_L2_MASKS, &mut args), Ok(0));
    assert_eq!(args.mask_buf_size, 8);
    assert_eq!((board.program.peek::<u32>(at), board.program.peek::<u32>(at + 4)), (1, 1));
}

#[test]
fn masks_fault_efault() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let tpcs =
        nvgpu_gpu_get_tpc_masks_args { mask_buf_size: 8, mask_buf_addr: 1, ..Default::default() };
    assert_eq!(board.call(ctrl, NVGPU_GPU_IOCTL_GET_TPC_MASKS, tpcs), errno(Errno::EFAULT));
}

#[test]
fn engine_info_writes_whole_items_and_tells_the_full_size() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let at = board.program.place(&[0xee; 64]);
    let mut args = nvgpu_gpu_get_engine_info_args {
        engine_info_buf_size: 31,
        engine_info_buf_addr: at,
        ..Default::default()
    };
    assert_eq!(board.ioctl(ctrl, NVGPU_GPU_IOCTL_GET_ENGINE_INFO, &mut args), Ok(0));
    assert_eq!(args.engine_info_buf_size, 48);
    let first: nvgpu_gpu_get_engine_info_item = board.program.peek(at);
    assert_eq!((first.engine_id, first.runlist_id), (NVGPU_GPU_ENGINE_ID_GR, 0));
    assert_eq!(board.program.peek::<u32>(at + 16), 0xeeee_eeee);
}

fn flush(board: &mut Board, flags: u8) -> Answer {
    let ctrl = board.ctrl();
    let args =
        nvgpu_gpu_l2_fb_args { flags: L2FbFlags::from_bits_retain(flags), ..Default::default() };
    board.call(ctrl, NVGPU_GPU_IOCTL_FLUSH_L2, args)
}

#[test]
fn flush_l2_neither_l2_nor_fb_einval() {
    let mut board = Board::new();
    assert_eq!(flush(&mut board, 0), einval());
    assert_eq!(flush(&mut board, 1), Ok(0));
    assert_eq!(flush(&mut board, 4), Ok(0));
}

#[test]
fn flush_l2_invalidate_without_flush_einval() {
    let mut board = Board::new();
    assert_eq!(flush(&mut board, 2 | 4), einval());
    assert_eq!(flush(&mut board, 2 | 1), Ok(0));
}

#[test]
fn gpu_time_moves_in_steps_of_32_ns() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let mut args = nvgpu_gpu_get_gpu_time_args::default();
    assert_eq!(board.ioctl(ctrl, NVGPU_GPU_IOCTL_GET_GPU_TIME, &mut args), Ok(0));
    assert!(args.gpu_timestamp > 0 && args.gpu_timestamp % 32 == 0);
}

fn correlate(board: &mut Board, count: u32, source: u32) -> (Answer, Vec<u64>) {
    let ctrl = board.ctrl();
    let mut args = nvgpu_gpu_get_cpu_time_correlation_info_args {
        count,
        source_id: source,
        ..Default::default()
    };
    let answer = board.ioctl(ctrl, NVGPU_GPU_IOCTL_GET_CPU_TIME_CORRELATION_INFO, &mut args);
    (answer, args.samples.iter().map(|sample| sample.cpu_timestamp).collect())
}

#[test]
fn time_correlation_more_than_16_samples_einval() {
    let mut board = Board::new();
    assert_eq!(correlate(&mut board, 17, 1).0, einval());
    assert_eq!(correlate(&mut board, 16, 1).0, Ok(0));
}

#[test]
fn time_correlation_unknown_source_einval() {
    let mut board = Board::new();
    assert_eq!(correlate(&mut board, 1, 0).0, einval());
    assert_eq!(correlate(&mut board, 1, 3).0, einval());
}

#[test]
fn time_correlation_of_ostime_is_the_monotonic_clock() {
    let mut board = Board::new();
    let now = || {
        let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
        std::time::Duration::from(time).as_nanos() as u64
    };
    let before = now();
    let (answer, samples) = correlate(&mut board, 2, 2);
    assert_eq!(answer, Ok(0));
    assert!(before <= samples[0] && samples[0] <= samples[1] && samples[1] <= now());
    assert_eq!(samples[2], 0);
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
    assert_eq!(deterministic(&mut board, ctrl, &[0; 513], 1), einval());
    assert_eq!(deterministic(&mut board, ctrl, &[], 1), Ok(0));
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
}

#[test]
fn num_vsms_is_the_number_of_sms() {
    for (name, sms) in [("agx-orin-30w", 8), ("agx-orin-maxn", 16)] {
        let mut board = Board::named(name);
        let ctrl = board.ctrl();
        let mut args = nvgpu_gpu_num_vsms::default();
        assert_eq!(board.ioctl(ctrl, NVGPU_GPU_IOCTL_NUM_VSMS, &mut args), Ok(0));
        assert_eq!(args.num_vsms, sms);
    }
}

#[test]
fn closing_ctrl_leaves_what_was_opened_from_it() {
    let mut board = Board::new();
    let rig = board.rig();
    board.close(rig.ctrl);
    let mut args = board.setup_args(0x2000);
    assert_eq!(board.setup(rig.channel, &mut args), Ok(0));
}

#[test]
fn mmap_of_ctrl_without_usermode_submit_enosys() {
    let mut profile = Profile::default();
    profile.characteristics.flags.remove(GpuFlags::SUPPORT_USERMODE_SUBMIT);
    let mut board = Board::with(profile);
    let ctrl = board.ctrl();
    assert_eq!(board.mmap(ctrl, 0x2_0000, libc::MAP_SHARED, 4096), Err(Errno::ENOSYS));
}

#[test]
fn mmap_of_ctrl_twice_ebusy_until_unmapped() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let first = board.mmap(ctrl, 0x1_0000, libc::MAP_SHARED, 0).unwrap();
    // Before the length is looked at.
    assert_eq!(board.mmap(ctrl, 0x2_0000, libc::MAP_SHARED, 0), Err(Errno::EBUSY));
    let other = board.ctrl();
    assert!(board.mmap(other, 0x1000, libc::MAP_SHARED, 0).is_ok());
    board.unmap(first);
    assert!(board.mmap(ctrl, 0x1000, libc::MAP_SHARED, 0).is_ok());
}

#[test]
fn mmap_of_ctrl_longer_than_64_kib_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    assert_eq!(board.mmap(ctrl, 0x1_1000, libc::MAP_SHARED, 0), Err(Errno::EINVAL));
}

#[test]
fn mmap_of_ctrl_not_from_its_start_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    assert_eq!(board.mmap(ctrl, 0x1000, libc::MAP_SHARED, 4096), Err(Errno::EINVAL));
}

#[test]
fn mapping_of_ctrl_keeps_its_page_after_close() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let address = board.mmap(ctrl, 0x1_0000, libc::MAP_SHARED, 0).unwrap();
    board.close(ctrl);
    assert_eq!(board.nodes.doorbell_pages().count(), 1);
    board.unmap(address);
    assert_eq!(board.nodes.doorbell_pages().count(), 0);
}
