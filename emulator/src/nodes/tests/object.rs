//! ALLOC_OBJ_CTX and preemption modes.

use super::*;

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
fn alloc_obj_ctx_of_the_board_that_does_not_exist_knows_no_orins_engines() {
    let mut board = Board::named("no-board-hopper");
    let rig = board.rig();
    for class in [0xcbc0, 0xc8b5] {
        assert_eq!(board.object(rig.channel, class), Ok(0), "{class:#x}");
    }
    for class in [0xc7c0, 0xc7b5, 0xc797, 0xa140] {
        assert_eq!(board.object(rig.channel, class), einval(), "{class:#x}");
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
    let rig = board.rig_without_kernel_addresses();
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

#[test]
fn alloc_obj_ctx_maps_the_drivers_buffers_once_per_subcontext() {
    // Where the next thing lands tells what is taken.
    let next = |objects: &[u32]| {
        let mut board = Board::new();
        let rig = board.rig();
        for class in objects {
            board.object(rig.channel, *class).unwrap();
        }
        let mut args = board.setup_args(0x2000);
        board.setup(rig.channel, &mut args).unwrap();
        board.ring_of(511)
    };
    assert_eq!(next(&[0xc7c0, 0xc7b5, 0xc7c0]), next(&[0xc7c0]));
    assert_ne!(next(&[0xc7c0]), next(&[]));
}

#[test]
fn alloc_obj_ctx_maps_a_header_for_each_subcontext() {
    // Where a third channel's ring lands tells what is taken.
    let next = |objects: bool| {
        let mut board = Board::new();
        let rig = board.rig();
        let veid = board.subcontext(rig.tsg, 1, rig.space).unwrap();
        let other = board.channel(rig.ctrl);
        board.bind_space(rig.space, other).unwrap();
        board.join(rig.tsg, other, veid).unwrap();
        board.object(rig.channel, 0xc7c0).unwrap();
        if objects {
            board.object(other, 0xc7c0).unwrap();
        }
        let mut args = board.setup_args(0x1000);
        args.num_gpfifo_entries = 512;
        board.setup(rig.channel, &mut args).unwrap();
        board.ring_of(511)
    };
    assert_ne!(next(true), next(false));
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
    let (mut board, channel) = with_object(0xc797);
    assert_eq!(board.preemption(channel, 2, 0), Ok(0));
    assert_eq!(board.preemption(channel, 1, 0), einval());
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
fn preemption_mode_can_come_with_the_object_of_its_class() {
    let (cilp, gfxp) = (AllocObjFlags::CILP, AllocObjFlags::GFXP);
    let cases = [
        (0xc7c0, AllocObjFlags::empty(), (1, 1)),
        (0xc7c0, cilp, (1, 4)),
        (0xc7c0, gfxp, (1, 1)),
        (0xc797, AllocObjFlags::empty(), (1, 1)),
        (0xc797, gfxp, (2, 1)),
        (0xc797, cilp, (1, 1)),
        (0xc7b5, cilp.union(gfxp), (1, 1)),
    ];
    for (class_num, flags, modes) in cases {
        let mut board = Board::new();
        let rig = board.rig();
        let args = nvgpu_alloc_obj_ctx_args { class_num, flags, ..Default::default() };
        board.call(rig.channel, NVGPU_IOCTL_CHANNEL_ALLOC_OBJ_CTX, args).unwrap();
        let tsg = board.nodes.tsgs.get(0);
        let now = (tsg.graphics_mode.bits(), tsg.compute_mode.bits());
        assert_eq!(now, modes, "{class_num:#x} {flags:?}");
    }
}
