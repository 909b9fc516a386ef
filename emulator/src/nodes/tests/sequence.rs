//! What two independent programs did on real boards, from beginning to end.

use hw_defs::userd;

use super::*;

/// A semaphore release with a timestamp, in the words that were seen to work on a board.
fn proof_of_life(address: u64, payload: u64) -> [u32; 6] {
    let [a, p] = [address, payload].map(|value| [value as u32, (value >> 32) as u32]);
    [0x2005_0017, a[0], a[1], p[0], p[1], 0x0310_0001]
}

#[test]
fn known_good_sequence_ends_in_a_released_semaphore() {
    let mut board = Board::new();
    let (nvmap, ctrl) = (board.nvmap(), board.ctrl());
    let at = board.program.place(&[0; 328]);
    let told = nvgpu_gpu_get_characteristics {
        gpu_characteristics_buf_size: 328,
        gpu_characteristics_buf_addr: at,
    };
    board.call(ctrl, NVGPU_GPU_IOCTL_GET_CHARACTERISTICS, told).unwrap();
    let told: nvgpu_gpu_characteristics = board.program.peek(at);

    let space = board.space_over(ctrl, START, MEASURED_END);
    let tsg = board.tsg(ctrl);
    let veid = board.subcontext(tsg, NVGPU_TSG_SUBCONTEXT_TYPE_ASYNC, space).unwrap();
    assert_eq!(veid, 1);
    let mut tokens = Vec::new();
    for class in [told.compute_class, told.dma_copy_class] {
        let channel = board.channel(ctrl);
        board.bind_space(space, channel).unwrap();
        board.join(tsg, channel, veid).unwrap();
        let args = nvgpu_set_nvmap_fd_args { fd: nvmap as u32 };
        board.call(channel, NVGPU_IOCTL_CHANNEL_SET_NVMAP_FD, args).unwrap();
        let off = WdtFlags::DISABLE_WDT.union(WdtFlags::WDT_FLAG_SET_TIMEOUT);
        board.watchdog(channel, off).unwrap();
        let mut args = board.setup_args(0x2000);
        board.setup(channel, &mut args).unwrap();
        board.object(channel, class).unwrap();
        let notifier = board.buffer(0x1000);
        let set = nvgpu_set_error_notifier { mem: notifier as u32, ..Default::default() };
        board.call(channel, NVGPU_IOCTL_CHANNEL_SET_ERROR_NOTIFIER, set).unwrap();
        tokens.push((args.work_submit_token, args, channel));
    }
    assert_eq!(board.preemption(tokens[0].2, 0, 4), Ok(0));
    board.call(tsg, NVGPU_IOCTL_TSG_ENABLE, ()).unwrap();
    board.mmap(ctrl, 0x1_0000, libc::MAP_SHARED, 0).unwrap();

    let (signal, commands) = (board.handle(0x1000), board.handle(0x1000));
    let [signal_va, commands_va] = [signal, commands].map(|handle| {
        let buffer = board.get_fd(handle).unwrap();
        board.map_plain(space, buffer)
    });
    assert_eq!([signal_va, commands_va], [0xff_ffa0_0000, 0xff_ffa0_1000]);
    // The shader windows. Reserved earlier, they would leave smaller blocks, and move the addresses above.
    for window in [0xfd_0000_0000, 0xfe_0000_0000] {
        board.area(space, window, 0x4_0000).unwrap();
    }
    let words = proof_of_life(signal_va, 0xde_adbe_ef42);
    board.nodes.nvmap.memory_of(1000, commands).write(0, words.as_bytes());
    // Six words at that address, as written to the ring of a board.
    let entry = 0x0000_1aff_ffa0_1000;
    let (token, args, channel) = &tokens[0];
    let memory = |board: &Board, fd| {
        let super::super::File::Dmabuf(buffer) = &board.nodes.files[&board.program.file(fd)] else {
            unreachable!()
        };
        buffer.memory().unwrap()
    };
    memory(&board, args.gpfifo_dmabuf_fd).store_u64(0, entry);
    memory(&board, args.userd_dmabuf_fd).store_u32(userd::GP_PUT, 1);
    assert!(board.gpu.doorbell(*token));
    board.run();

    let signal = board.nodes.nvmap.memory_of(1000, signal);
    assert_eq!(signal.load_u64(0), 0xde_adbe_ef42);
    assert_ne!(signal.load_u64(8), 0);
    assert_eq!(board.timed_out(*channel), 0);
    let warnings = board.nodes.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("RTV"), "{warnings:?}");
}

#[test]
fn closing_in_any_order_leaves_nothing_behind() {
    // Ctrl, address space, TSG, channel, buffer, nvmap.
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [1, 3, 5, 0, 2, 4], [2, 0, 4, 1, 3, 5]] {
        let mut board = Board::new();
        let (rig, _) = board.running();
        board.object(rig.channel, 0xc7c0).unwrap();
        let buffer = board.buffer(0x1000);
        board.map_plain(rig.space, buffer);
        let nvmap = board.nvmap();
        let all = [rig.ctrl, rig.space, rig.tsg, rig.channel, buffer, nvmap];
        for which in order {
            board.close(all[which]);
        }
        // The ring and the control page are still open in the program.
        assert_eq!(board.nodes.files.len(), 2);
        assert!(board.nodes.spaces.is_empty() && board.nodes.syncpoints.is_empty());
        assert_eq!(board.nodes.tsgs.count(), 0);
        let taken = Profile::default().total_ram - board.nodes.nvmap.free_bytes(NVMAP_HEAP_IOVMM);
        assert_eq!(taken, 0x3000);
        assert_eq!(board.nodes.take_warnings(), [""; 0]);
    }
}
