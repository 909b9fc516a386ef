//! SETUP_BIND row by row, ALLOC_OBJ_CTX, preemption modes.

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
        let mut args = board.setup_args(0x2000);
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
    let rig = board.rig();
    // The whole of the driver's 4 GiB, by another channel's ring.
    let sibling = board.sibling(&rig);
    let mut all = board.setup_args(4 << 30);
    assert_eq!(board.setup(sibling, &mut all), Ok(0));
    let mut args = board.setup_args(0x2000);
    args.userd_dmabuf_fd = 999;
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
    assert_eq!(ring_of(&board, 511), END);
}

fn ring_of(board: &Board, channel: u32) -> u64 {
    board.nodes.channels.get(channel).setup.as_ref().unwrap().ring()
}

#[test]
fn setup_bind_maps_the_ring_at_the_bottom_of_the_drivers_part() {
    let mut board = Board::new();
    let (rig, token) = board.running();
    assert_eq!(ring_of(&board, token), END);
    board.close(rig.channel);
    let channel = board.sibling(&rig);
    let mut args = board.setup_args(0x2000);
    board.setup(channel, &mut args).unwrap();
    // Id and addresses came back.
    assert_eq!((args.work_submit_token, ring_of(&board, token)), (511, END));
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
fn alloc_obj_ctx_no_address_space_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (tsg, channel) = (board.tsg(ctrl), board.channel(ctrl));
    board.join(tsg, channel, 0).unwrap();
    assert_eq!(board.object(channel, 0xc7c0), einval());
    // The class was not even looked at.
    assert_eq!(board.nodes.channels.get(511).class, 0);
}

#[test]
fn alloc_obj_ctx_unknown_class_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    for class in [0, 0xcbc0, 0xc6c0, 0xc8b5] {
        assert_eq!(board.object(rig.channel, class), einval(), "{class:#x}");
    }
    assert_eq!(board.nodes.channels.get(511).class, 0);
}

#[test]
fn alloc_obj_ctx_accepts_classes_of_this_chip_and_of_earlier_ones() {
    let mut board = Board::new();
    let rig = board.rig();
    for class in
        [0xc7c0, 0xc7b5, 0xc76f, 0xc637, 0xc5c0, 0xc3c0, 0xc0c0, 0xb1c0, 0xa0b5, 0xa140, 0x902d]
    {
        assert_eq!(board.object(rig.channel, class), Ok(0), "{class:#x}");
    }
}

#[test]
fn alloc_obj_ctx_no_tsg_einval_but_the_class_is_kept() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (space, channel) = (board.space_over(ctrl, START, END), board.channel(ctrl));
    board.bind_space(space, channel).unwrap();
    assert_eq!(board.object(channel, 0xc7c0), einval());
    assert_eq!(board.nodes.channels.get(511).class, 0xc7c0);
}

#[test]
fn alloc_obj_ctx_graphics_outside_subcontext_zero_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (space, tsg) = (board.space_over(ctrl, START, END), board.tsg(ctrl));
    let veid = board.subcontext(tsg, 1, space).unwrap();
    let channel = board.channel(ctrl);
    board.bind_space(space, channel).unwrap();
    board.join(tsg, channel, veid).unwrap();
    assert_eq!(board.object(channel, 0xc797), einval());
    assert_eq!(board.object(channel, 0xc7c0), Ok(0));
}

#[test]
fn alloc_obj_ctx_graphics_on_the_second_pbdma_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let channel = board.channel(rig.ctrl);
    board.bind_space(rig.space, channel).unwrap();
    // The failing call has chosen the PBDMA, the next one the subcontext.
    assert_eq!(board.join(rig.tsg, channel, 4), einval());
    assert_eq!(board.join(rig.tsg, channel, 0), Ok(0));
    assert_eq!(board.object(channel, 0xc797), einval());
}

#[test]
fn alloc_obj_ctx_graphics_beside_asynchronous_compute_einval() {
    for graphics_first in [false, true] {
        let mut board = Board::new();
        let rig = board.rig();
        let veid = board.subcontext(rig.tsg, 1, rig.space).unwrap();
        let compute = board.channel(rig.ctrl);
        board.bind_space(rig.space, compute).unwrap();
        board.join(rig.tsg, compute, veid).unwrap();
        let mut pair = [(rig.channel, 0xc797), (compute, 0xc7c0)];
        if !graphics_first {
            pair.reverse();
        }
        assert_eq!(board.object(pair[0].0, pair[0].1), Ok(0));
        assert_eq!(board.object(pair[1].0, pair[1].1), einval());
    }
}

#[test]
fn alloc_obj_ctx_no_addresses_left_enomem() {
    let mut board = Board::new();
    let rig = board.rig();
    let mut args = board.setup_args(4 << 30);
    board.setup(rig.channel, &mut args).unwrap();
    assert_eq!(board.object(rig.channel, 0xc7c0), errno(Errno::ENOMEM));
}

#[test]
fn alloc_obj_ctx_does_not_write_obj_id_and_may_come_before_setup_bind() {
    let mut board = Board::new();
    let rig = board.rig();
    let mut args = nvgpu_alloc_obj_ctx_args { class_num: 0xc7c0, obj_id: 77, ..Default::default() };
    assert_eq!(board.ioctl(rig.channel, NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX, &mut args), Ok(0));
    assert_eq!(args.obj_id, 77);
    let mut args = board.setup_args(0x2000);
    assert_eq!(board.setup(rig.channel, &mut args), Ok(0));
}

/// A channel set up below a range that ends here, with a ring of this size, and its first object.
fn object_below(end: u64, ring: u64) -> (Board, Answer) {
    let mut board = Board::new();
    let rig = board.rig_over(end);
    board.watchdog(rig.channel, WdtFlags::DISABLE_WDT).unwrap();
    let mut args = board.setup_args(ring);
    assert_eq!(board.setup(rig.channel, &mut args), Ok(0));
    let answer = board.object(rig.channel, 0xc7c0);
    (board, answer)
}

#[test]
fn alloc_obj_ctx_with_the_drivers_part_below_2_40_is_quiet() {
    let (mut board, answer) = object_below(END, 3 * MIB);
    assert_eq!(answer, Ok(0));
    assert_eq!(board.nodes.take_warnings(), [""; 0]);
}

#[test]
fn alloc_obj_ctx_with_two_mebibytes_below_2_40_warns_and_works() {
    let (mut board, answer) = object_below(MEASURED_END, 0x2000);
    assert_eq!(answer, Ok(0));
    let warnings = board.nodes.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("RTV"), "{warnings:?}");
}

#[test]
fn alloc_obj_ctx_page_pool_above_2_40_trap() {
    let (mut board, answer) = object_below(MEASURED_END, 3 * MIB);
    assert!(is_trap(answer, "page pool"));
    assert!(!board.warned("ring"));
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
fn preemption_mode_before_any_object_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(board.preemption(rig.channel, 0, 1), einval());
}

#[test]
fn preemption_mode_no_tsg_einval() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (space, channel) = (board.space_over(ctrl, START, END), board.channel(ctrl));
    board.bind_space(space, channel).unwrap();
    assert_eq!(board.object(channel, 0xc7c0), einval());
    assert_eq!(board.preemption(channel, 0, 4), einval());
    assert_eq!(board.preemption(channel, 0, 0), einval());
}

/// A channel with an object of this class.
fn with_object(class: u32) -> (Board, i32) {
    let mut board = Board::new();
    let rig = board.rig();
    board.object(rig.channel, class).unwrap();
    (board, rig.channel)
}

#[test]
fn preemption_mode_zero_or_unchanged_succeeds_for_any_class() {
    let (mut board, channel) = with_object(0xc7b5);
    assert_eq!(board.preemption(channel, 0, 0), Ok(0));
    assert_eq!(board.preemption(channel, 1, 1), Ok(0));
}

#[test]
fn preemption_mode_unsupported_bit_einval() {
    let (mut board, channel) = with_object(0xc7c0);
    assert_eq!(board.preemption(channel, 0, 8), einval());
    assert_eq!(board.preemption(channel, 4, 0), einval());
    assert_eq!(board.preemption(channel, 0, 4), Ok(0));
}

#[test]
fn preemption_mode_lower_than_the_current_one_einval() {
    let (mut board, channel) = with_object(0xc7c0);
    assert_eq!(board.preemption(channel, 0, 4), Ok(0));
    assert_eq!(board.preemption(channel, 0, 2), einval());
    assert_eq!(board.preemption(channel, 0, 1), einval());
    assert_eq!(board.preemption(channel, 0, 4), Ok(0));
}

#[test]
fn preemption_mode_gfxp_with_cilp_einval() {
    let (mut board, channel) = with_object(0xc797);
    assert_eq!(board.preemption(channel, 2, 4), einval());
    assert_eq!(board.preemption(channel, 2, 2), Ok(0));
    assert_eq!(board.preemption(channel, 0, 4), einval());
}

#[test]
fn preemption_mode_of_a_copy_class_einval() {
    let (mut board, channel) = with_object(0xc7b5);
    assert_eq!(board.preemption(channel, 0, 4), einval());
}

#[test]
fn preemption_mode_can_come_with_the_object() {
    let mut board = Board::new();
    let rig = board.rig();
    let args = nvgpu_alloc_obj_ctx_args {
        class_num: 0xc7c0,
        flags: AllocObjFlags::CILP,
        ..Default::default()
    };
    board.call(rig.channel, NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX, args).unwrap();
    assert_eq!(board.preemption(rig.channel, 0, 2), einval());
}

#[test]
fn deterministic_flag_alone_is_a_ring_of_the_driver() {
    assert_eq!(set_up(|args| args.flags = DETERMINISTIC), Ok(0));
}
