//! What the ctrl file tells.

use super::*;

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
fn time_correlation_of_ostime_is_the_time_of_day_in_microseconds() {
    let mut board = Board::new();
    let now = || {
        let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).unwrap();
        std::time::Duration::from(time).as_micros() as u64
    };
    let before = now();
    let (answer, samples) = correlate(&mut board, 2, 2);
    assert_eq!(answer, Ok(0));
    assert!(before <= samples[0] && samples[0] <= samples[1] && samples[1] <= now());
    assert_eq!(samples[2], 0);
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
