//! Processes that a filtered program forks: they see the same board, and leave nothing behind.

mod common;

use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use common::*;
use emulator::{Board, Options, run};
use ioctl_defs::nvgpu::channel::{
    NVGPU_IOCTL_CHANNEL_GET_USER_SYNCPOINT, nvgpu_get_user_syncpoint_args,
};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// One test at a time: a child has a copy of every descriptor of this process.
static ALONE: Mutex<()> = Mutex::new(());

fn on_a_board(body: impl FnOnce(&Board) + Send) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    run(Options::default(), body).unwrap();
}

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
fn a_child_may_be_killed_at_any_moment() {
    on_a_board(|_| {
        for delay in 0..40 {
            let pid = child(|| {
                loop {
                    let program = Program::new();
                    drop(program.buffer(4096));
                    drop(program.channel());
                }
            });
            thread::sleep(Duration::from_micros(100 * delay));
            kill(pid, Signal::SIGKILL).unwrap();
            waitpid(pid, None).unwrap();
        }
        let ctrl = open(CTRL);
        let _all: Vec<_> = (0..CHANNELS).map(|_| open_channel(&ctrl).unwrap()).collect();
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
