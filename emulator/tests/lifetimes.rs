//! Files of the board live exactly as long as the program can reach them.

mod common;

use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;

use common::*;
use emulator::{Board, Options, run};
use ioctl_defs::nvgpu::channel::{
    NVGPU_IOCTL_CHANNEL_GET_USER_SYNCPOINT, nvgpu_get_user_syncpoint_args,
};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

fn on_a_board(body: impl FnOnce(&Board) + Send) {
    run(Options::default(), body).unwrap();
}

/// As many channels as the chip has.
const CHANNELS: usize = 512;

/// Forks a child that exits with 1 if `body` panics.
fn child(body: impl FnOnce()) -> nix::unistd::Pid {
    // SAFETY: the child calls what a filtered thread may call, and leaves by _exit. The C library keeps
    // memory allocation usable in the child.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_ok();
            // SAFETY: ends the process without running what belongs to the parent.
            unsafe { libc::_exit(i32::from(!ok)) }
        }
    }
}

fn succeeds(child: nix::unistd::Pid) {
    assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
}

/// Whether an nvmap client's handle is still known, which it is as long as the client has a file open.
fn knows(handle: u32) -> bool {
    dmabuf(&open(NVMAP), handle).is_ok()
}

#[test]
fn a_closed_channel_is_free_for_the_next_call() {
    on_a_board(|_| {
        let ctrl = open(CTRL);
        for _ in 0..CHANNELS + 10 {
            drop(open_channel(&ctrl).unwrap());
        }
        let mut all: Vec<OwnedFd> = (0..CHANNELS).map(|_| open_channel(&ctrl).unwrap()).collect();
        assert_eq!(errno(open_channel(&ctrl)), libc::ENOMEM);
        all.pop();
        open_channel(&ctrl).unwrap();
    });
}

#[test]
fn a_duplicate_keeps_a_file_open() {
    on_a_board(|_| {
        let nvmap = open(NVMAP);
        let handle = create(&nvmap, 4096).unwrap();
        let second = nvmap.try_clone().unwrap();
        drop(nvmap);
        assert!(knows(handle));
        drop(second);
        assert!(!knows(handle));
    });
}

#[test]
fn a_mapping_keeps_a_file_open() {
    on_a_board(|_| {
        // Of the ctrl file: its page would stop being rung. Its TSG is seen through the doorbell.
        let program = Program::new();
        let mut channel = program.channel();
        let (push, slot) = (program.buffer(4096), program.buffer(4096));
        let registers = program.registers();
        drop(program.ctrl);
        let words = write_release(&push, 0, slot.va, 7);
        channel.push(push.va, words);
        ring(&registers, channel.token);
        wait_for(slot.cpu.u64(0), 7);
    });
}

#[test]
fn several_descriptors_of_a_buffer_are_one_file() {
    on_a_board(|board| {
        let nvmap = open(NVMAP);
        let handle = create(&nvmap, 4096).unwrap();
        // Two that close at the same moment, one that stays a while.
        let stays = dmabuf(&nvmap, handle).unwrap();
        drop((dmabuf(&nvmap, handle).unwrap(), dmabuf(&nvmap, handle).unwrap()));
        let view = Mapping::new(&stays, 4096).unwrap();
        drop(stays);
        drop(view);
        let last = dmabuf(&nvmap, handle).unwrap();
        assert!(Mapping::new(&last, 4096).is_ok());
        assert_eq!(board.warnings(), Vec::<String>::new());
    });
}

#[test]
fn a_child_keeps_files_open_until_it_ends() {
    on_a_board(|_| {
        let nvmap = open(NVMAP);
        let handle = create(&nvmap, 4096).unwrap();
        let (stop, waits) = nix::unistd::pipe().unwrap();
        let pid = child(|| {
            // The parent's end of the pipe would never hang up otherwise.
            // SAFETY: the child's copy of a descriptor that it does not use.
            unsafe { libc::close(waits.as_raw_fd()) };
            let mut byte = [0];
            let _ = nix::unistd::read(&stop, &mut byte);
        });
        drop(nvmap);
        assert!(knows(handle), "the child has it");
        drop(waits);
        succeeds(pid);
        assert!(!knows(handle));
    });
}

#[test]
fn a_child_is_a_client_of_its_own() {
    on_a_board(|board| {
        let nvmap = open(NVMAP);
        let handle = create(&nvmap, 4096).unwrap();
        succeeds(child(|| {
            assert!(!knows(handle), "handles belong to a process");
            let program = Program::new();
            drop(program.channel());
        }));
        assert!(knows(handle));
        assert!(board.ioctls() > 10, "the child's calls reach this board");
    });
}

#[test]
fn a_killed_child_leaves_nothing() {
    on_a_board(|_| {
        let ctrl = open(CTRL);
        for _ in 0..3 {
            let pid = child(|| {
                let ctrl = open(CTRL);
                let _all: Vec<_> = (0..CHANNELS / 2).map(|_| open_channel(&ctrl)).collect();
                // SAFETY: ends this process as hard as can be.
                unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            });
            assert!(matches!(waitpid(pid, None), Ok(WaitStatus::Signaled(..))));
        }
        let _all: Vec<_> = (0..CHANNELS).map(|_| open_channel(&ctrl).unwrap()).collect();
    });
}

#[test]
fn a_program_without_descriptors_left_gets_emfile() {
    on_a_board(|_| {
        // The limit is a process's, so this takes one of its own.
        succeeds(child(|| {
            let ctrl = open(CTRL);
            let soft = ctrl.as_raw_fd() as u64 + 20;
            let limit = libc::rlimit { rlim_cur: soft, rlim_max: soft };
            // SAFETY: `limit` is alive.
            check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).unwrap();
            let mut all = Vec::new();
            let error = loop {
                match open_channel(&ctrl) {
                    Ok(channel) => all.push(channel),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            assert!(all.len() < CHANNELS);
            assert_eq!(errno(open_with(NVMAP, libc::O_RDWR)), libc::EMFILE);
            drop(all.pop());
            open_channel(&ctrl).unwrap();
        }));
    });
}

#[test]
fn a_child_that_would_crash_a_board_ends_alone() {
    on_a_board(|_| {
        let pid = child(|| {
            let channel = open_channel(&open(CTRL)).unwrap();
            let mut args = nvgpu_get_user_syncpoint_args::default();
            let _ = ioctl(&channel, NVGPU_IOCTL_CHANNEL_GET_USER_SYNCPOINT, &mut args);
        });
        let ended = waitpid(pid, None).unwrap();
        assert!(matches!(ended, WaitStatus::Signaled(_, Signal::SIGABRT, _)), "{ended:?}");
        open_channel(&open(CTRL)).unwrap();
    });
}

#[test]
fn closings_in_other_threads_are_seen_too() {
    on_a_board(|_| {
        let ctrl = open(CTRL);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..CHANNELS / 2 {
                        drop(open_channel(&ctrl).unwrap());
                    }
                });
            }
        });
        let _all: Vec<_> = (0..CHANNELS).map(|_| open_channel(&ctrl).unwrap()).collect();
    });
}

#[test]
fn a_board_ends_with_its_program() {
    // Each board has two threads and some descriptors; none may be left.
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    on_a_board(|_| drop(Program::new()));
    let before = (count("task"), count("fd"));
    for _ in 0..20 {
        on_a_board(|_| drop(Program::new()));
    }
    assert!(soon(|| {
        let now = (count("task"), count("fd"));
        // Other tests of this file come and go meanwhile, a few at a time.
        now.0 < before.0 + 20 && now.1 < before.1 + 100
    }));
}
