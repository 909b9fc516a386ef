//! The channel file, but for its setup.

use super::*;
use crate::nodes::setup::Setup;

const BOTH: WdtFlags = WdtFlags::DISABLE_WDT.union(WdtFlags::ENABLE_WDT);

#[test]
fn channel_ids_go_from_511_down_and_those_given_back_come_first() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let id = |board: &Board, fd| match board.nodes.files[&board.program.file(fd)] {
        super::super::File::Channel(id) => id,
        _ => unreachable!(),
    };
    let channels = [board.channel(ctrl), board.channel(ctrl), board.channel(ctrl)];
    assert_eq!(channels.map(|fd| id(&board, fd)), [511, 510, 509]);
    board.close(channels[0]);
    board.close(channels[1]);
    let again = [board.channel(ctrl), board.channel(ctrl), board.channel(ctrl)];
    assert_eq!(again.map(|fd| id(&board, fd)), [510, 511, 508]);
}

#[test]
fn open_on_a_channel_file_is_open_channel() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let channel = board.channel(ctrl);
    // The request passes nothing in, so the driver sees runlist 0.
    let mut args = nvgpu_channel_open_args { channel_fd: 99 };
    assert_eq!(board.ioctl(channel, NVGPU_IOCTL_CHANNEL_OPEN, &mut args), Ok(0));
    assert_eq!(board.timed_out(args.channel_fd), 1);
}

#[test]
fn set_nvmap_fd_accepts_anything() {
    let mut board = Board::new();
    let rig = board.rig();
    let args = nvgpu_set_nvmap_fd_args { fd: 999 };
    assert_eq!(board.call(rig.channel, NVGPU_IOCTL_CHANNEL_SET_NVMAP_FD, args), Ok(0));
}

#[test]
fn wdt_neither_or_both_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(board.watchdog(rig.channel, WdtFlags::empty()), einval());
    assert_eq!(board.watchdog(rig.channel, WdtFlags::WDT_FLAG_SET_TIMEOUT), einval());
    assert_eq!(board.watchdog(rig.channel, BOTH), einval());
}

#[test]
fn wdt_on_a_deterministic_channel_other_than_disable_einval() {
    let mut board = Board::new();
    let (rig, _) = board.running();
    assert_eq!(board.watchdog(rig.channel, WdtFlags::ENABLE_WDT), einval());
    assert_eq!(board.watchdog(rig.channel, WdtFlags::DISABLE_WDT), Ok(0));
}

#[test]
fn wdt_other_bits_are_no_error() {
    let mut board = Board::new();
    let rig = board.rig();
    let all = WdtFlags::from_bits_retain(!2);
    assert_eq!(board.watchdog(rig.channel, all), Ok(0));
}

#[test]
fn set_timeout_never_fails() {
    let mut board = Board::new();
    let rig = board.rig();
    let args = nvgpu_set_timeout_args { timeout: NVGPU_NO_TIMEOUT };
    assert_eq!(board.call(rig.channel, NVGPU_IOCTL_CHANNEL_SET_TIMEOUT, args), Ok(0));
    let args = nvgpu_set_timeout_ex_args { timeout: 0, flags: !0 };
    assert_eq!(board.call(rig.channel, NVGPU_IOCTL_CHANNEL_SET_TIMEOUT_EX, args), Ok(0));
}

fn notify(board: &mut Board, channel: i32, fd: i32, offset: u64) -> Answer {
    let args = nvgpu_set_error_notifier { offset, mem: fd as u32, ..Default::default() };
    board.call(channel, NVGPU_IOCTL_CHANNEL_SET_ERROR_NOTIFIER, args)
}

#[test]
fn set_error_notifier_memory_zero_einval_and_the_old_one_stays() {
    let mut board = Board::new();
    let (rig, _) = board.running();
    let buffer = board.buffer(0x1000);
    notify(&mut board, rig.channel, buffer, 0).unwrap();
    assert_eq!(notify(&mut board, rig.channel, 0, 0), einval());
    board.call(rig.channel, NVGPU_IOCTL_CHANNEL_FORCE_RESET, ()).unwrap();
    assert_eq!(status(&board, buffer, 0), (43, 0xffff));
}

/// The code and the status of a notifier.
fn status(board: &Board, fd: i32, offset: u64) -> (u32, u32) {
    let super::super::File::Dmabuf(buffer) = &board.nodes.files[&board.program.file(fd)] else {
        unreachable!()
    };
    let memory = buffer.memory().unwrap();
    (memory.load_u32(offset + 8), memory.load_u32(offset + 12) >> 16)
}

#[test]
fn set_error_notifier_bad_descriptor_einval_and_the_old_one_is_lost() {
    let mut board = Board::new();
    let (rig, _) = board.running();
    let buffer = board.buffer(0x1000);
    notify(&mut board, rig.channel, buffer, 0).unwrap();
    assert_eq!(notify(&mut board, rig.channel, 999, 0), einval());
    assert!(board.warned("dropped the notifier"));
    board.call(rig.channel, NVGPU_IOCTL_CHANNEL_FORCE_RESET, ()).unwrap();
    assert_eq!(status(&board, buffer, 0), (0, 0));
}

#[test]
fn set_error_notifier_beyond_the_buffer_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let buffer = board.buffer(0x1000);
    assert_eq!(notify(&mut board, rig.channel, buffer, 0xff8), einval());
    assert_eq!(notify(&mut board, rig.channel, buffer, u64::MAX - 7), einval());
    assert_eq!(notify(&mut board, rig.channel, buffer, 0xff0), Ok(0));
}

#[test]
fn set_error_notifier_buffer_without_memory_enomem() {
    let mut board = Board::new();
    let rig = board.rig();
    let empty = board.empty_buffer();
    assert_eq!(notify(&mut board, rig.channel, empty, 0), errno(Errno::ENOMEM));
}

#[test]
fn set_error_notifier_zeroes_the_record() {
    let mut board = Board::new();
    let rig = board.rig();
    let handle = board.handle(0x1000);
    let buffer = board.get_fd(handle).unwrap();
    let memory = board.nodes.nvmap.memory_of(1000, handle);
    memory.write(0, &[0xee; 64]);
    notify(&mut board, rig.channel, buffer, 16).unwrap();
    assert_eq!(
        [0, 16, 20, 24, 28, 32].map(|at| memory.load_u32(at) == 0),
        [false, true, true, true, true, false]
    );
}

fn syncpoint(board: &mut Board, channel: i32) -> Result<nvgpu_get_user_syncpoint_args, Refusal> {
    let mut args = nvgpu_get_user_syncpoint_args::default();
    board.ioctl(channel, NVGPU_IOCTL_CHANNEL_GET_USER_SYNCPOINT, &mut args)?;
    Ok(args)
}

#[test]
fn get_user_syncpoint_unsupported_einval() {
    for missing in [GpuFlags::SUPPORT_USER_SYNCPOINT, GpuFlags::HAS_SYNCPOINTS] {
        let mut profile = Profile::default();
        profile.characteristics.flags.remove(missing);
        let mut board = Board::with(profile);
        let rig = board.rig();
        assert_eq!(syncpoint(&mut board, rig.channel).unwrap_err(), Errno::EINVAL.into());
    }
}

#[test]
fn get_user_syncpoint_none_left_enomem() {
    let profile = Profile { syncpoints: 2, ..Profile::default() };
    let mut board = Board::with(profile);
    let rig = board.rig();
    let sibling = board.sibling(&rig);
    assert_eq!(syncpoint(&mut board, rig.channel).unwrap().syncpoint_id, 1);
    assert_eq!(syncpoint(&mut board, sibling).unwrap_err(), Errno::ENOMEM.into());
    board.close(rig.channel);
    assert_eq!(syncpoint(&mut board, sibling).unwrap().syncpoint_id, 1);
}

#[test]
fn get_user_syncpoint_no_addresses_left_enomem() {
    let mut board = Board::new();
    let rig = board.rig_without_kernel_addresses();
    assert_eq!(syncpoint(&mut board, rig.channel).unwrap_err(), Errno::ENOMEM.into());
}

#[test]
fn get_user_syncpoint_is_made_once() {
    let mut board = Board::new();
    let rig = board.rig();
    let (first, second) =
        (syncpoint(&mut board, rig.channel).unwrap(), syncpoint(&mut board, rig.channel).unwrap());
    assert_eq!((first.syncpoint_id, first.gpu_va), (second.syncpoint_id, second.gpu_va));
    let sibling = board.sibling(&rig);
    assert_ne!(syncpoint(&mut board, sibling).unwrap().syncpoint_id, first.syncpoint_id);
}

#[test]
fn get_user_syncpoint_shim_lies_where_a_real_board_put_it() {
    let mut board = Board::new();
    let rig = board.rig_over(MEASURED_END);
    board.watchdog(rig.channel, WdtFlags::DISABLE_WDT).unwrap();
    let mut args = board.setup_args(0x1000);
    args.num_gpfifo_entries = 512;
    board.setup(rig.channel, &mut args).unwrap();
    assert_eq!(syncpoint(&mut board, rig.channel).unwrap().gpu_va, 0xff_ffe1_0000);
}

#[test]
fn get_user_syncpoint_without_address_space_trap() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let channel = board.channel(ctrl);
    let refusal = syncpoint(&mut board, channel).unwrap_err();
    assert!(is_trap(Err(refusal), "null pointer"));
}

fn submit(board: &mut Board, channel: i32, num_entries: u32, flags: SubmitGpfifoFlags) -> Answer {
    let args = nvgpu_submit_gpfifo_args { num_entries, flags, ..Default::default() };
    board.call(channel, NVGPU_IOCTL_CHANNEL_SUBMIT_GPFIFO, args)
}

const NONE: SubmitGpfifoFlags = SubmitGpfifoFlags::empty();

#[test]
fn submit_gpfifo_unserviceable_etimedout() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let channel = board.channel(ctrl);
    assert_eq!(submit(&mut board, channel, 1, NONE), errno(Errno::ETIMEDOUT));
}

#[test]
fn submit_gpfifo_post_fence_without_descriptors_left_emfile() {
    let mut board = Board::new();
    let rig = board.rig();
    board.program.limit = 0;
    let fence = SubmitGpfifoFlags::FENCE_GET.union(SubmitGpfifoFlags::SYNC_FENCE);
    assert_eq!(submit(&mut board, rig.channel, 1, fence), errno(Errno::EMFILE));
    let get = SubmitGpfifoFlags::FENCE_GET;
    assert_eq!(submit(&mut board, rig.channel, 1, get), errno(Errno::ENOMEM));
}

#[test]
fn submit_gpfifo_on_a_channel_with_a_doorbell_einval() {
    let mut board = Board::new();
    let (rig, _) = board.running();
    assert_eq!(submit(&mut board, rig.channel, 1, NONE), einval());
}

#[test]
fn submit_gpfifo_before_setup_enomem() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(submit(&mut board, rig.channel, 1, NONE), errno(Errno::ENOMEM));
}

/// A channel that submits through the driver.
fn kernel_mode(flags: SetupBindFlags) -> (Board, Rig) {
    let mut board = Board::new();
    let rig = board.rig();
    let mut args =
        nvgpu_channel_setup_bind_args { num_gpfifo_entries: 16, flags, ..Default::default() };
    board.setup(rig.channel, &mut args).unwrap();
    (board, rig)
}

#[test]
fn submit_gpfifo_more_than_the_ring_holds_enomem() {
    let (mut board, rig) = kernel_mode(SetupBindFlags::empty());
    assert_eq!(submit(&mut board, rig.channel, 14, NONE), errno(Errno::ENOMEM));
    assert_eq!(submit(&mut board, rig.channel, 13, NONE), errno(Errno::ENOSYS));
    assert!(board.warned("doorbell only"));
}

#[test]
fn submit_gpfifo_deterministic_with_job_tracking_einval() {
    let (mut board, rig) = kernel_mode(SetupBindFlags::DETERMINISTIC);
    let skip = SubmitGpfifoFlags::SKIP_BUFFER_REFCOUNTING;
    assert_eq!(submit(&mut board, rig.channel, 1, NONE), einval());
    assert_eq!(submit(&mut board, rig.channel, 1, skip), errno(Errno::ENOSYS));
    let fence = SubmitGpfifoFlags::FENCE_GET.union(SubmitGpfifoFlags::SYNC_FENCE);
    assert_eq!(submit(&mut board, rig.channel, 1, skip.union(fence)), einval());
}

fn wait(board: &mut Board, channel: i32, args: nvgpu_wait_args) -> Answer {
    board.call(channel, NVGPU_IOCTL_CHANNEL_WAIT, args)
}

#[test]
fn wait_unserviceable_etimedout_before_anything_else() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let channel = board.channel(ctrl);
    let args = nvgpu_wait_args { r#type: 9, ..Default::default() };
    assert_eq!(wait(&mut board, channel, args), errno(Errno::ETIMEDOUT));
}

#[test]
fn wait_unknown_type_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let args = nvgpu_wait_args { r#type: 2, ..Default::default() };
    assert_eq!(wait(&mut board, rig.channel, args), einval());
}

#[test]
fn wait_semaphore_unaligned_bad_descriptor_or_beyond_the_buffer_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let buffer = board.buffer(0x1000) as u32;
    let empty = board.empty_buffer() as u32;
    for (dmabuf_fd, offset) in [(buffer, 2), (999, 0), (buffer, 0x1000), (empty, 0)] {
        let args = nvgpu_wait_args { r#type: 1, dmabuf_fd, offset, ..Default::default() };
        assert_eq!(wait(&mut board, rig.channel, args), einval(), "{offset:#x}");
    }
}

#[test]
fn wait_semaphore_there_succeeds_else_etimedout() {
    let mut board = Board::new();
    let rig = board.rig();
    let dmabuf_fd = board.buffer(0x1000) as u32;
    let args = nvgpu_wait_args { r#type: 1, dmabuf_fd, offset: 0xffc, ..Default::default() };
    assert_eq!(wait(&mut board, rig.channel, args), Ok(0));
    let other = nvgpu_wait_args { payload: 1, timeout: 10, ..args };
    assert_eq!(wait(&mut board, rig.channel, other), errno(Errno::ETIMEDOUT));
    assert!(board.warned("does not wait"));
}

#[test]
fn wait_notifier_bad_descriptor_or_beyond_the_buffer_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let dmabuf_fd = board.buffer(0x1000) as u32;
    let args = nvgpu_wait_args { dmabuf_fd, offset: 0xff1, ..Default::default() };
    assert_eq!(wait(&mut board, rig.channel, args), einval());
    let args = nvgpu_wait_args { dmabuf_fd: 999, offset: 0, ..args };
    assert_eq!(wait(&mut board, rig.channel, args), einval());
    let empty = nvgpu_wait_args { dmabuf_fd: board.empty_buffer() as u32, ..args };
    assert_eq!(wait(&mut board, rig.channel, empty), errno(Errno::ENOMEM));
}

#[test]
fn wait_notifier_pending_etimedout_else_filled_in() {
    let mut board = Board::new();
    let rig = board.rig();
    let handle = board.handle(0x1000);
    let dmabuf_fd = board.get_fd(handle).unwrap() as u32;
    let memory = board.nodes.nvmap.memory_of(1000, handle);
    memory.store_u32(12, 1 << 16);
    let args = nvgpu_wait_args { dmabuf_fd, ..Default::default() };
    assert_eq!(wait(&mut board, rig.channel, args), errno(Errno::ETIMEDOUT));
    memory.store_u32(12, 0);
    assert_eq!(wait(&mut board, rig.channel, args), Ok(0));
    assert_eq!((memory.load_u32(8), memory.load_u32(12)), (0xdead_beef, 511));
}

#[test]
fn enable_disable_and_preempt_succeed() {
    let mut board = Board::new();
    let rig = board.rig();
    for request in [
        NVGPU_IOCTL_CHANNEL_ENABLE,
        NVGPU_IOCTL_CHANNEL_PREEMPT,
        NVGPU_IOCTL_CHANNEL_DISABLE,
        NVGPU_IOCTL_CHANNEL_FORCE_RESET,
    ] {
        assert_eq!(board.call(rig.channel, request, ()), Ok(0));
    }
    assert!(board.warned("NVGPU_IOCTL_CHANNEL_DISABLE"));
}

#[test]
fn reschedule_runlist_without_the_capability_eperm() {
    let mut board = Board::new();
    let rig = board.rig();
    let args = nvgpu_reschedule_runlist_args::default();
    let answer = board.call(rig.channel, NVGPU_IOCTL_CHANNEL_RESCHEDULE_RUNLIST, args);
    assert_eq!(answer, errno(Errno::EPERM));
}

#[test]
fn requests_that_moved_to_the_tsg_enotty() {
    let mut board = Board::new();
    let rig = board.rig();
    let args = nvgpu_event_id_ctrl_args { cmd: 1, event_id: 2, ..Default::default() };
    let answer = board.call(rig.channel, NVGPU_IOCTL_CHANNEL_EVENT_ID_CTRL, args);
    assert_eq!(answer, errno(Errno::ENOTTY));
}

#[test]
fn force_reset_ends_every_channel_of_the_tsg() {
    let mut board = Board::new();
    let (rig, _) = board.running();
    let (not_set_up, other) = (board.sibling(&rig), board.rig());
    let buffer = board.buffer(0x1000);
    notify(&mut board, rig.channel, buffer, 0).unwrap();
    board.call(not_set_up, NVGPU_IOCTL_CHANNEL_FORCE_RESET, ()).unwrap();
    assert_eq!(status(&board, buffer, 0), (43, 0xffff));
    assert_eq!([rig.channel, not_set_up, other.channel].map(|fd| board.timed_out(fd)), [1, 1, 0]);
    assert_eq!(submit(&mut board, rig.channel, 1, NONE), errno(Errno::ETIMEDOUT));
}

#[test]
fn a_fault_ends_every_channel_of_its_tsg_and_the_address_space_survives() {
    let mut board = Board::new();
    let (rig, token) = board.running();
    let sibling = board.sibling(&rig);
    // A pushbuffer where nothing is mapped.
    board.submit(token, 0x8000_0000 | 6 << 42);
    assert_eq!([rig.channel, sibling].map(|fd| board.timed_out(fd)), [1, 1]);
    let buffer = board.buffer(0x1000);
    board.map_plain(rig.space, buffer);
    board.close(rig.channel);
    board.close(sibling);
    board.close(rig.tsg);
    let tsg = board.tsg(rig.ctrl);
    let fresh = board.channel(rig.ctrl);
    board.bind_space(rig.space, fresh).unwrap();
    board.join(tsg, fresh, 0).unwrap();
    assert_eq!(board.timed_out(fresh), 0);
}

#[test]
fn hang_channel_strikes_the_nth_that_is_set_up() {
    let mut board = Board::injecting(Profile::default(), "hang-channel@2".parse().unwrap());
    let (rig, first) = board.running();
    let sibling = board.sibling(&rig);
    let mut args = board.setup_args(0x2000);
    board.setup(sibling, &mut args).unwrap();
    let second = args.work_submit_token;
    let get = |board: &mut Board, token| {
        // An entry of length 0 does nothing.
        board.submit(token, 0);
        let Some(Setup::Usermode { userd, .. }) = &board.nodes.channels.get(token).setup else {
            unreachable!()
        };
        userd.memory().unwrap().load_u32(hw_defs::userd::GP_GET)
    };
    assert_eq!((get(&mut board, first), get(&mut board, second)), (1, 0));
}

#[test]
fn lose_notifier_leaves_the_record_empty() {
    let mut board = Board::injecting(Profile::default(), "lose-notifier".parse().unwrap());
    let (rig, _) = board.running();
    let buffer = board.buffer(0x1000);
    notify(&mut board, rig.channel, buffer, 0).unwrap();
    board.call(rig.channel, NVGPU_IOCTL_CHANNEL_FORCE_RESET, ()).unwrap();
    assert_eq!((status(&board, buffer, 0), board.timed_out(rig.channel)), ((0, 0), 1));
}
