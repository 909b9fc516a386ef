//! The TSG file.

use super::*;

const SYNC: u32 = NVGPU_TSG_SUBCONTEXT_TYPE_SYNC;
const ASYNC: u32 = NVGPU_TSG_SUBCONTEXT_TYPE_ASYNC;

#[test]
fn create_subcontext_unknown_type_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(board.subcontext(rig.tsg, 2, rig.space), Err(Errno::EINVAL.into()));
}

#[test]
fn create_subcontext_not_an_address_space_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    for fd in [rig.ctrl, 999, -1] {
        assert_eq!(board.subcontext(rig.tsg, ASYNC, fd), Err(Errno::EINVAL.into()));
    }
}

#[test]
fn create_subcontext_sync_twice_enospc() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (space, tsg) = (board.space_over(ctrl, START, END), board.tsg(ctrl));
    assert_eq!(board.subcontext(tsg, SYNC, space), Ok(0));
    assert_eq!(board.subcontext(tsg, SYNC, space), Err(Errno::ENOSPC.into()));
}

#[test]
fn create_subcontext_async_takes_the_lowest_from_one_then_zero_then_enospc() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (space, tsg) = (board.space_over(ctrl, START, END), board.tsg(ctrl));
    for veid in (1..64).chain([0]) {
        assert_eq!(board.subcontext(tsg, ASYNC, space), Ok(veid));
    }
    assert_eq!(board.subcontext(tsg, ASYNC, space), Err(Errno::ENOSPC.into()));
    delete(&mut board, tsg, 17).unwrap();
    assert_eq!(board.subcontext(tsg, ASYNC, space), Ok(17));
}

fn delete(board: &mut Board, tsg: i32, veid: u32) -> Answer {
    let args = nvgpu_tsg_delete_subcontext_args { veid, reserved: 0 };
    board.call(tsg, NVGPU_TSG_IOCTL_DELETE_SUBCONTEXT, args)
}

#[test]
fn delete_subcontext_veid_64_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(delete(&mut board, rig.tsg, 64), einval());
}

#[test]
fn delete_subcontext_with_channels_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(delete(&mut board, rig.tsg, 0), einval());
}

#[test]
fn subcontext_goes_with_its_last_channel() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (space, tsg) = (board.space_over(ctrl, START, END), board.tsg(ctrl));
    let veid = board.subcontext(tsg, ASYNC, space).unwrap();
    let channels = [board.channel(ctrl), board.channel(ctrl), board.channel(ctrl)];
    for channel in channels {
        board.bind_space(space, channel).unwrap();
    }
    board.join(tsg, channels[0], veid).unwrap();
    board.join(tsg, channels[1], veid).unwrap();
    board.close(channels[0]);
    board.close(channels[1]);
    // It is nobody's now, so it has no address space that the third channel could match.
    assert_eq!(board.join(tsg, channels[2], veid), einval());
    assert_eq!(board.subcontext(tsg, ASYNC, space), Ok(veid));
    assert_eq!(board.join(tsg, channels[2], veid), Ok(0));
}

#[test]
fn bind_channel_ex_not_a_channel_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(board.join(rig.tsg, rig.ctrl, 0), einval());
    assert_eq!(board.join(rig.tsg, 999, 0), einval());
}

#[test]
fn bind_channel_ex_subcontext_64_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    // A channel without address space would match a subcontext that does not exist.
    let channel = board.channel(rig.ctrl);
    assert_eq!(board.join(rig.tsg, channel, 64), einval());
    assert_eq!(board.join(rig.tsg, channel, 63), Ok(0));
}

#[test]
fn bind_channel_ex_remembers_the_subcontext_even_if_it_fails() {
    let mut board = Board::new();
    let rig = board.rig();
    let channel = board.channel(rig.ctrl);
    board.bind_space(rig.space, channel).unwrap();
    assert_eq!(board.join(rig.tsg, channel, 5), einval());
    let old = board.call(rig.tsg, NVGPU_TSG_IOCTL_BIND_CHANNEL, channel);
    assert!(is_trap(old, "leaks a reference"));
}

#[test]
fn bind_channel_ex_address_space_differs_from_the_subcontexts_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let veid = board.subcontext(rig.tsg, ASYNC, rig.space).unwrap();
    let channel = board.channel(rig.ctrl);
    // Not bound to any address space yet.
    assert_eq!(board.join(rig.tsg, channel, veid), einval());
    let other = board.space_over(rig.ctrl, START, END);
    board.bind_space(other, channel).unwrap();
    assert_eq!(board.join(rig.tsg, channel, veid), einval());
    let right = board.channel(rig.ctrl);
    board.bind_space(rig.space, right).unwrap();
    assert_eq!(board.join(rig.tsg, right, veid), Ok(0));
}

#[test]
fn bind_channel_ex_subcontext_zero_comes_with_the_first_channels_address_space() {
    let mut board = Board::new();
    let rig = board.rig();
    let other = board.space_over(rig.ctrl, START, END);
    let channel = board.channel(rig.ctrl);
    board.bind_space(other, channel).unwrap();
    assert_eq!(board.join(rig.tsg, channel, 0), einval());
}

#[test]
fn bind_channel_ex_subcontext_never_created_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let channel = board.channel(rig.ctrl);
    board.bind_space(rig.space, channel).unwrap();
    assert_eq!(board.join(rig.tsg, channel, 3), einval());
}

#[test]
fn bind_channel_ex_already_in_a_tsg_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(board.join(rig.tsg, rig.channel, 0), einval());
    let other = board.tsg(rig.ctrl);
    assert_eq!(board.join(other, rig.channel, 0), einval());
}

#[test]
fn bind_channel_ex_129th_channel_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    for _ in 1..128 {
        board.sibling(&rig);
    }
    let one_more = board.channel(rig.ctrl);
    board.bind_space(rig.space, one_more).unwrap();
    assert_eq!(board.join(rig.tsg, one_more, 0), einval());
    board.close(rig.channel);
    assert_eq!(board.join(rig.tsg, one_more, 0), Ok(0));
}

#[test]
fn bind_channel_ex_other_runlist_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    let mut args = nvgpu_gpu_open_channel_args { channel_fd: 1 };
    board.ioctl(rig.ctrl, NVGPU_GPU_IOCTL_OPEN_CHANNEL, &mut args).unwrap();
    let channel = args.channel_fd;
    board.bind_space(rig.space, channel).unwrap();
    assert_eq!(board.join(rig.tsg, channel, 0), einval());
    // A TSG that has lost its channels takes any.
    board.close(rig.channel);
    assert_eq!(board.join(rig.tsg, channel, 0), Ok(0));
}

#[test]
fn bind_channel_makes_the_channel_serviceable() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (tsg, channel) = (board.tsg(ctrl), board.channel(ctrl));
    assert_eq!(board.timed_out(channel), 1);
    board.join(tsg, channel, 0).unwrap();
    assert_eq!(board.timed_out(channel), 0);
}

fn bind_old(board: &mut Board, tsg: i32, fd: i32) -> Answer {
    board.call(tsg, NVGPU_TSG_IOCTL_BIND_CHANNEL, fd)
}

#[test]
fn bind_channel_old_negative_or_not_a_channel_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(bind_old(&mut board, rig.tsg, -1), einval());
    assert_eq!(bind_old(&mut board, rig.tsg, rig.ctrl), einval());
}

#[test]
fn bind_channel_old_joins_with_subcontext_zero() {
    let mut board = Board::new();
    let ctrl = board.ctrl();
    let (space, tsg, channel) =
        (board.space_over(ctrl, START, END), board.tsg(ctrl), board.channel(ctrl));
    board.bind_space(space, channel).unwrap();
    assert_eq!(bind_old(&mut board, tsg, channel), Ok(0));
    assert_eq!(delete(&mut board, tsg, 0), einval());
}

#[test]
fn bind_channel_old_leaks_the_channel_when_address_spaces_differ_trap() {
    let mut board = Board::new();
    let rig = board.rig();
    let channel = board.channel(rig.ctrl);
    assert!(is_trap(bind_old(&mut board, rig.tsg, channel), "can never be freed"));
}

#[test]
fn bind_channel_old_already_in_a_tsg_einval_without_a_leak() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(bind_old(&mut board, rig.tsg, rig.channel), einval());
}

fn unbind(board: &mut Board, tsg: i32, fd: i32) -> Answer {
    board.call(tsg, NVGPU_TSG_IOCTL_UNBIND_CHANNEL, fd)
}

#[test]
fn unbind_channel_not_a_channel_or_not_in_this_tsg_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(unbind(&mut board, rig.tsg, rig.ctrl), einval());
    assert_eq!(unbind(&mut board, rig.tsg, -1), einval());
    let other = board.tsg(rig.ctrl);
    assert_eq!(unbind(&mut board, other, rig.channel), einval());
}

#[test]
fn unbind_channel_with_work_left_eagain() {
    let mut board = Board::injecting(Profile::default(), "hang-channel@1".parse().unwrap());
    let (rig, token) = board.running();
    board.submit(token, 0);
    assert_eq!(unbind(&mut board, rig.tsg, rig.channel), errno(Errno::EAGAIN));
    // A dead channel leaves at once.
    board.call(rig.channel, NVGPU_IOCTL_CHANNEL_FORCE_RESET, ()).unwrap();
    assert_eq!(unbind(&mut board, rig.tsg, rig.channel), Ok(0));
    // So does one whose work is done.
    let sibling = board.sibling(&rig);
    let mut args = board.setup_args(0x2000);
    board.setup(sibling, &mut args).unwrap();
    board.submit(args.work_submit_token, 0);
    assert_eq!(unbind(&mut board, rig.tsg, sibling), Ok(0));
}

#[test]
fn unbind_channel_makes_it_unserviceable_for_good() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(unbind(&mut board, rig.tsg, rig.channel), Ok(0));
    assert_eq!(board.timed_out(rig.channel), 1);
    assert_eq!(unbind(&mut board, rig.tsg, rig.channel), einval());
}

#[test]
fn tsg_lives_until_its_file_and_its_channels_are_gone() {
    let mut board = Board::new();
    let rig = board.rig();
    board.close(rig.tsg);
    assert_eq!(board.timed_out(rig.channel), 0);
    let mut args = board.setup_args(0x2000);
    assert_eq!(board.setup(rig.channel, &mut args), Ok(0));
    // Its id is taken until the channel goes.
    let next = board.tsg(rig.ctrl);
    let id = |board: &Board, fd| match board.nodes.files[&board.program.file(fd)] {
        super::super::File::Tsg(id) => id,
        _ => unreachable!(),
    };
    assert_eq!(id(&board, next), 1);
    board.close(rig.channel);
    let again = board.tsg(rig.ctrl);
    assert_eq!(id(&board, again), 0);
}

#[test]
fn enable_disable_and_preempt_succeed() {
    let mut board = Board::new();
    let rig = board.rig();
    let requests = [NVGPU_IOCTL_TSG_ENABLE, NVGPU_IOCTL_TSG_PREEMPT, NVGPU_IOCTL_TSG_DISABLE];
    for request in requests {
        assert_eq!(board.call(rig.tsg, request, ()), Ok(0));
    }
    assert!(board.warned("NVGPU_IOCTL_TSG_DISABLE"));
}

#[test]
fn set_runlist_interleave_unknown_level_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    for (level, answer) in [(0, Ok(0)), (2, Ok(0)), (3, einval())] {
        let args = nvgpu_runlist_interleave_args { level, reserved: 0 };
        let request = NVGPU_IOCTL_TSG_SET_RUNLIST_INTERLEAVE;
        assert_eq!(board.call(rig.tsg, request, args), answer);
    }
}

fn timeslice(board: &mut Board, tsg: i32) -> u32 {
    let mut args = nvgpu_timeslice_args::default();
    board.ioctl(tsg, NVGPU_IOCTL_TSG_GET_TIMESLICE, &mut args).unwrap();
    args.timeslice_us
}

#[test]
fn set_timeslice_outside_1000_to_50000_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(timeslice(&mut board, rig.tsg), 1024);
    for (us, answer) in [(999, einval()), (50_001, einval()), (50_000, Ok(0)), (1000, Ok(0))] {
        let args = nvgpu_timeslice_args { timeslice_us: us, reserved: 0 };
        assert_eq!(board.call(rig.tsg, NVGPU_IOCTL_TSG_SET_TIMESLICE, args), answer);
    }
    assert_eq!(timeslice(&mut board, rig.tsg), 1000);
}

fn listen(board: &mut Board, tsg: i32, event_id: u32, cmd: u32) -> Result<i32, Refusal> {
    let mut args = nvgpu_event_id_ctrl_args { cmd, event_id, ..Default::default() };
    board.ioctl(tsg, NVGPU_IOCTL_TSG_EVENT_ID_CTRL, &mut args)?;
    Ok(args.event_fd)
}

#[test]
fn event_id_ctrl_unknown_event_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(listen(&mut board, rig.tsg, 6, 1), Err(Errno::EINVAL.into()));
    assert!(listen(&mut board, rig.tsg, 5, 1).is_ok());
}

#[test]
fn event_id_ctrl_other_than_enable_einval() {
    let mut board = Board::new();
    let rig = board.rig();
    assert_eq!(listen(&mut board, rig.tsg, 2, 0), Err(Errno::EINVAL.into()));
    assert_eq!(listen(&mut board, rig.tsg, 2, 2), Err(Errno::EINVAL.into()));
}

#[test]
fn event_id_ctrl_no_descriptor_left_emfile() {
    let mut board = Board::new();
    let rig = board.rig();
    board.program.limit = 0;
    assert_eq!(listen(&mut board, rig.tsg, 6, 1), Err(Errno::EINVAL.into()));
    assert_eq!(listen(&mut board, rig.tsg, 2, 1), Err(Errno::EMFILE.into()));
}

#[test]
fn event_id_ctrl_twice_einval_until_the_first_is_closed() {
    let mut board = Board::new();
    let rig = board.rig();
    let first = listen(&mut board, rig.tsg, 2, 1).unwrap();
    assert_eq!(listen(&mut board, rig.tsg, 2, 1), Err(Errno::EINVAL.into()));
    assert!(listen(&mut board, rig.tsg, 3, 1).is_ok(), "another event");
    let other = board.tsg(rig.ctrl);
    assert!(listen(&mut board, other, 2, 1).is_ok(), "another group");
    board.close(first);
    assert!(listen(&mut board, rig.tsg, 2, 1).is_ok());
}

#[test]
fn event_turns_readable_when_its_interrupt_comes_and_no_other() {
    use std::io::{ErrorKind, Read};
    let mut board = Board::new();
    let rig = board.rig();
    let other = board.tsg(rig.ctrl);
    let fds = [(rig.tsg, 2), (rig.tsg, 0), (other, 2)]
        .map(|(tsg, event)| listen(&mut board, tsg, event, 1).unwrap());
    board.nodes.deliver(Event::NonStallInterrupt { tsg: 0 });
    let came = fds.map(|fd| {
        let fd = board.program.descriptor(fd).try_clone().unwrap();
        let mut stream = std::os::unix::net::UnixStream::from(fd);
        stream.read(&mut [0; 8]).map_err(|error| error.kind())
    });
    let none = Err(ErrorKind::WouldBlock);
    assert_eq!(came, [Ok(1), none, none]);
    board.close(fds[0]);
    assert_eq!(board.nodes.tsgs.listeners(), 2);
}

fn sm_error(board: &mut Board, sm_id: u32, record_mem: u64, record_size: u64) -> Answer {
    let rig = board.rig();
    let args = nvgpu_tsg_read_single_sm_error_state_args {
        sm_id,
        record_mem,
        record_size,
        ..Default::default()
    };
    board.call(rig.tsg, NVGPU_TSG_IOCTL_READ_SINGLE_SM_ERROR_STATE, args)
}

#[test]
fn read_sm_error_state_sm_beyond_the_last_einval() {
    let mut board = Board::new();
    assert_eq!(sm_error(&mut board, 8, 1, 0), einval());
    assert_eq!(sm_error(&mut board, 7, 1, 0), Ok(0));
}

#[test]
fn read_sm_error_state_copies_no_more_than_asked_and_returns_what_is_missing() {
    let mut board = Board::new();
    let at = board.program.place(&[0xee; 32]);
    assert_eq!(sm_error(&mut board, 0, at, 8), Ok(0));
    assert_eq!(board.program.peek::<u32>(at + 4), 0);
    assert_eq!(board.program.peek::<u32>(at + 8), 0xeeee_eeee);
    assert_eq!(sm_error(&mut board, 0, 1, 100), Ok(24));
}

fn domain(board: &mut Board, args: nvgpu_tsg_bind_scheduling_domain_args) -> Answer {
    let rig = board.rig();
    board.call(rig.tsg, NVGPU_TSG_IOCTL_BIND_SCHEDULING_DOMAIN, args)
}

#[test]
fn bind_scheduling_domain_reserved_not_zero_einval() {
    let mut board = Board::new();
    let args = nvgpu_tsg_bind_scheduling_domain_args::default();
    for i in 0..3 {
        let mut reserved = [0; 3];
        reserved[i] = 1;
        assert_eq!(
            domain(&mut board, nvgpu_tsg_bind_scheduling_domain_args { reserved, ..args }),
            einval()
        );
    }
    let args = nvgpu_tsg_bind_scheduling_domain_args { reserved0: 1, ..args };
    assert_eq!(domain(&mut board, args), einval());
}

#[test]
fn bind_scheduling_domain_without_scheduler_enosys() {
    let mut profile = Profile::default();
    profile.characteristics.flags.remove(GpuFlags::SUPPORT_NVS);
    let mut board = Board::with(profile);
    assert_eq!(domain(&mut board, Default::default()), errno(Errno::ENOSYS));
}

#[test]
fn bind_scheduling_domain_not_a_domain_enoent() {
    let mut board = Board::new();
    assert_eq!(domain(&mut board, Default::default()), errno(Errno::ENOENT));
}
