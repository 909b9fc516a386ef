//! SETUP_BIND row by row.

use super::*;

const USERMODE: SetupBindFlags = SetupBindFlags::USERMODE_SUPPORT;
const DETERMINISTIC: SetupBindFlags = SetupBindFlags::DETERMINISTIC;

fn set_up(change: impl FnOnce(&mut nvgpu_channel_setup_bind_args)) -> Answer {
    let mut board = Board::new();
    let rig = board.rig();
    let mut args = board.setup_args(0x2000);
    change(&mut args);
    board.setup(rig.channel, &mut args)
}

#[test]
fn setup_bind_tokens_are_the_channel_ids_from_511_down() {
    let mut board = Board::new();
    let (rig, token) = board.running();
    assert_eq!(token, 511);
    let sibling = board.sibling(&rig);
    let mut args = board.setup_args(0x2000);
    args.gpfifo_gpu_va = 7;
    board.setup(sibling, &mut args).unwrap();
    assert_eq!((args.work_submit_token, args.gpfifo_gpu_va, args.userd_gpu_va), (510, 0, 0));
}

#[test]
fn setup_bind_token_names_the_runlist_too() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (space, tsg) = (board.space_over(ctrl, START, END), board.tsg(ctrl));
    let mut channel = nvgpu_gpu_open_channel_args { channel_fd: 1 };
    board.ioctl(ctrl, NVGPU_GPU_IOCTL_OPEN_CHANNEL, &mut channel).unwrap();
    let channel = channel.channel_fd;
    board.bind_space(space, channel).unwrap();
    board.join(tsg, channel, 0).unwrap();
    board.watchdog(channel, WdtFlags::DISABLE_WDT).unwrap();
    let mut args = board.setup_args(0x2000);
    board.setup(channel, &mut args).unwrap();
    assert_eq!(args.work_submit_token, 511 | 1 << 16);
}

#[test]
fn setup_bind_fewer_than_two_entries_einval() {
    assert_eq!(set_up(|args| args.num_gpfifo_entries = 1), einval());
    assert_eq!(set_up(|args| args.num_gpfifo_entries = 2), Ok(0));
}

#[test]
fn setup_bind_kernel_mode_fewer_than_four_entries_einval() {
    let kernel = |entries| {
        set_up(|args| {
            args.num_gpfifo_entries = entries;
            args.flags = SetupBindFlags::empty();
        })
    };
    assert_eq!(kernel(2), einval());
    assert_eq!(kernel(4), Ok(0));
}

#[test]
fn setup_bind_entries_not_a_power_of_two_einval() {
    assert_eq!(set_up(|args| args.num_gpfifo_entries = 1000), einval());
    assert_eq!(set_up(|args| args.num_gpfifo_entries = 0), einval());
}

#[test]
fn setup_bind_entries_that_overflow_32_bits_of_bytes_einval() {
    // The driver's part would have room for either.
    let kernel = |entries| {
        set_up(|args| {
            args.num_gpfifo_entries = entries;
            args.flags = SetupBindFlags::empty();
        })
    };
    assert_eq!(kernel(1 << 29), einval());
    assert_eq!(kernel(1 << 28), Ok(0));
}

#[test]
fn setup_bind_no_address_space_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (tsg, channel) = (board.tsg(ctrl), board.channel(ctrl));
    board.join(tsg, channel, 0).unwrap();
    board.watchdog(channel, WdtFlags::DISABLE_WDT).unwrap();
    let mut args = board.setup_args(0x2000);
    assert_eq!(board.setup(channel, &mut args), einval());
}

#[test]
fn setup_bind_no_tsg_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (space, channel) = (board.space_over(ctrl, START, END), board.channel(ctrl));
    board.bind_space(space, channel).unwrap();
    board.watchdog(channel, WdtFlags::DISABLE_WDT).unwrap();
    let mut args = board.setup_args(0x2000);
    assert_eq!(board.setup(channel, &mut args), einval());
}

#[test]
fn setup_bind_twice_eexist() {
    let mut board = Board::new();
    let (rig, _) = board.running();
    let mut args = board.setup_args(0x2000);
    assert_eq!(board.setup(rig.channel, &mut args), errno(Errno::EEXIST));
}

#[test]
fn setup_bind_entries_are_looked_at_before_being_set_up_already() {
    let mut board = Board::new();
    let (rig, _) = board.running();
    let mut args = board.setup_args(0x2000);
    args.num_gpfifo_entries = 3;
    assert_eq!(board.setup(rig.channel, &mut args), einval());
}

#[test]
fn setup_bind_being_set_up_already_is_looked_at_before_flags_and_buffers() {
    let mut board = Board::new();
    let (rig, _) = board.running();
    let mut args = nvgpu_channel_setup_bind_args {
        num_gpfifo_entries: 4,
        flags: USERMODE,
        ..Default::default()
    };
    assert_eq!(board.setup(rig.channel, &mut args), errno(Errno::EEXIST));
}

#[test]
fn setup_bind_deterministic_while_watchdog_on_einval() {
    let mut board = Board::new();
    let rig = board.rig_over(END);
    let mut args = board.setup_args(0x2000);
    assert_eq!(board.setup(rig.channel, &mut args), einval());
    board.watchdog(rig.channel, WdtFlags::DISABLE_WDT).unwrap();
    assert_eq!(board.setup(rig.channel, &mut args), Ok(0));
    // A channel that is not deterministic keeps it.
    let other = board.rig_over(END);
    let mut args = board.setup_args(0x2000);
    args.flags = SetupBindFlags::empty();
    assert_eq!(board.setup(other.channel, &mut args), Ok(0));
}

#[test]
fn setup_bind_usermode_without_deterministic_einval() {
    assert_eq!(set_up(|args| args.flags = USERMODE), einval());
}

#[test]
fn setup_bind_vpr_unsupported_einval() {
    let mut profile = Profile::default();
    profile.characteristics.flags.remove(GpuFlags::SUPPORT_VPR);
    for (profile, answer) in [(profile, einval()), (Profile::default(), Ok(0))] {
        let mut board = Board::with(profile);
        let rig = board.rig();
        let sibling = board.sibling(&rig);
        let mut args = board.setup_args(0x2000);
        assert_eq!(board.setup(sibling, &mut args), Ok(0));
        args.flags |= SetupBindFlags::VPR_ENABLED;
        assert_eq!(board.setup(rig.channel, &mut args), answer);
    }
}

#[test]
fn setup_bind_descriptor_zero_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    board.nvmap();
    // Free number 0 for a buffer: even then the driver refuses it.
    super::super::Caller::close(&mut board.program, 0);
    let buffer = board.buffer(0x2000);
    assert_eq!(buffer, 0);
    let args = board.setup_args(0x2000);
    let mut ring = nvgpu_channel_setup_bind_args { gpfifo_dmabuf_fd: 0, ..args };
    assert_eq!(board.setup(rig.channel, &mut ring), einval());
    let mut userd = nvgpu_channel_setup_bind_args { userd_dmabuf_fd: 0, ..args };
    assert_eq!(board.setup(rig.channel, &mut userd), einval());
}

#[test]
fn setup_bind_offset_not_zero_einval() {
    assert_eq!(set_up(|args| args.gpfifo_dmabuf_offset = 4096), einval());
    assert_eq!(set_up(|args| args.userd_dmabuf_offset = 4096), einval());
}

#[test]
fn setup_bind_offset_is_looked_at_before_the_descriptors() {
    let both = |args: &mut nvgpu_channel_setup_bind_args| {
        args.gpfifo_dmabuf_fd = 999;
        args.userd_dmabuf_offset = 4096;
    };
    assert_eq!(set_up(both), einval());
}

#[test]
fn setup_bind_ring_bad_descriptor_ebadf() {
    assert_eq!(set_up(|args| args.gpfifo_dmabuf_fd = 999), errno(Errno::EBADF));
}

#[test]
fn setup_bind_ring_not_a_dmabuf_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let args = board.setup_args(0x2000);
    let mut args = nvgpu_channel_setup_bind_args { gpfifo_dmabuf_fd: rig.ctrl, ..args };
    assert_eq!(board.setup(rig.channel, &mut args), einval());
}

#[test]
fn setup_bind_ring_without_memory_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let mut args = board.setup_args(0x2000);
    args.gpfifo_dmabuf_fd = board.empty_buffer();
    args.num_gpfifo_entries = 2;
    assert_eq!(board.setup(rig.channel, &mut args), einval());
}

#[test]
fn setup_bind_ring_smaller_than_its_entries_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let mut args = board.setup_args(0x1000);
    assert_eq!(board.setup(rig.channel, &mut args), einval());
    args.num_gpfifo_entries = 512;
    assert_eq!(board.setup(rig.channel, &mut args), Ok(0));
}

#[test]
fn setup_bind_no_addresses_for_the_ring_enomem() {
    let mut board = Board::new();
    let rig = board.rig_without_kernel_addresses();
    let mut args = board.setup_args(0x2000);
    args.userd_dmabuf_fd = 999;
    assert_eq!(board.setup(rig.channel, &mut args), errno(Errno::ENOMEM));
    args.flags = SetupBindFlags::empty();
    assert_eq!(board.setup(rig.channel, &mut args), errno(Errno::ENOMEM));
}

#[test]
fn setup_bind_userd_bad_descriptor_ebadf() {
    assert_eq!(set_up(|args| args.userd_dmabuf_fd = 999), errno(Errno::EBADF));
}

#[test]
fn setup_bind_userd_not_a_dmabuf_or_without_memory_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let mut args = board.setup_args(0x2000);
    args.userd_dmabuf_fd = rig.ctrl;
    assert_eq!(board.setup(rig.channel, &mut args), einval());
    args.userd_dmabuf_fd = board.empty_buffer();
    assert_eq!(board.setup(rig.channel, &mut args), einval());
}

#[test]
fn setup_bind_that_failed_can_be_tried_again_and_keeps_no_addresses() {
    let mut board = Board::new();
    let rig = board.rig();
    let mut args = board.setup_args(0x2000);
    let userd = std::mem::replace(&mut args.userd_dmabuf_fd, 999);
    assert_eq!(board.setup(rig.channel, &mut args), errno(Errno::EBADF));
    // The flag is not kept either: the watchdog can still be changed.
    assert_eq!(board.watchdog(rig.channel, WdtFlags::ENABLE_WDT), Ok(0));
    board.watchdog(rig.channel, WdtFlags::DISABLE_WDT).unwrap();
    args.userd_dmabuf_fd = userd;
    assert_eq!(board.setup(rig.channel, &mut args), Ok(0));
    assert_eq!(board.ring_of(511), END);
}

#[test]
fn setup_bind_maps_the_ring_at_the_bottom_of_the_drivers_part() {
    let mut board = Board::new();
    let (rig, token) = board.running();
    assert_eq!(board.ring_of(token), END);
    board.close(rig.channel);
    let channel = board.sibling(&rig);
    let mut args = board.setup_args(0x2000);
    board.setup(channel, &mut args).unwrap();
    // Id and addresses came back.
    assert_eq!((args.work_submit_token, board.ring_of(token)), (511, END));
}

#[test]
fn setup_bind_keeps_its_buffers_alive() {
    let mut board = Board::new();
    let rig = board.rig();
    let mut args = board.setup_args(0x2000);
    board.setup(rig.channel, &mut args).unwrap();
    let before = free_ram(&board);
    board.close(args.gpfifo_dmabuf_fd);
    board.close(args.userd_dmabuf_fd);
    assert_eq!(free_ram(&board), before);
    board.close(rig.channel);
    assert_eq!(free_ram(&board), before + 0x3000);
}

fn free_ram(board: &Board) -> u64 {
    board.nodes.nvmap.free_bytes(NVMAP_HEAP_IOVMM)
}

#[test]
fn alloc_gpfifo_ex_has_the_rules_of_setup_bind_for_a_ring_of_the_driver() {
    let mut board = Board::new();
    let rig = board.rig();
    let mut ring = |num_entries| {
        let args = nvgpu_alloc_gpfifo_ex_args { num_entries, ..Default::default() };
        board.call(rig.channel, NVGPU_IOCTL_CHANNEL_ALLOC_GPFIFO_EX, args)
    };
    assert_eq!(ring(2), einval());
    assert_eq!(ring(6), einval());
    assert_eq!(ring(1024), Ok(0));
    assert_eq!(ring(1024), errno(Errno::EEXIST));
}

#[test]
fn setup_bind_ring_above_2_40_is_reported() {
    let mut board = Board::new();
    let rig = board.rig_over(1 << 40);
    board.watchdog(rig.channel, WdtFlags::DISABLE_WDT).unwrap();
    let mut args = board.setup_args(0x2000);
    assert_eq!(board.setup(rig.channel, &mut args), Ok(0));
    assert!(board.warned("drops the upper bits"));
}

#[test]
fn deterministic_flag_alone_is_a_ring_of_the_driver() {
    assert_eq!(set_up(|args| args.flags = DETERMINISTIC), Ok(0));
}
