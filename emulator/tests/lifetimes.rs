//! Files of the board live exactly as long as the program can reach them.
//!
//! Nothing forks here: a child would have a copy of every descriptor of the process, those of the other tests
//! too. See children.rs.

mod common;

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::thread;

use common::*;
use emulator::{Board, Options, run};
use ioctl_defs::nvgpu::channel::*;
use ioctl_defs::nvgpu::tsg::NVGPU_IOCTL_TSG_EVENT_ID_CTRL;

fn on_a_board(body: impl FnOnce(&Board) + Send) {
    run(Options::default(), body).unwrap();
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

/// Of an event file the board keeps its own end for as long as it likes.
#[test]
fn a_closed_event_file_is_forgotten() {
    on_a_board(|_| {
        let program = Program::new();
        let mut channel = program.channel();
        let mut args = nvgpu_event_id_ctrl_args {
            cmd: NVGPU_IOCTL_CHANNEL_EVENT_ID_CMD_ENABLE,
            event_id: NVGPU_IOCTL_CHANNEL_EVENT_ID_BLOCKING_SYNC,
            ..Default::default()
        };
        for _ in 0..3 {
            ioctl(&program.tsg, NVGPU_IOCTL_TSG_EVENT_ID_CTRL, &mut args).unwrap();
            drop(owned(args.event_fd));
        }
        ioctl(&program.tsg, NVGPU_IOCTL_TSG_EVENT_ID_CTRL, &mut args).unwrap();
        let event = owned(args.event_fd);
        // A release, and then the method that wakes who waits.
        let (push, slot) = (program.buffer(4096), program.buffer(4096));
        let words = write_release(&push, 0, slot.va, 1);
        push.cpu.u32(4 * words as usize).store(0x2001_0008, Ordering::Relaxed);
        channel.push(push.va, words + 2);
        ring(&program.registers(), channel.token);
        let mut poll = libc::pollfd { fd: event.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which is alive.
        assert_eq!(check(unsafe { libc::poll(&raw mut poll, 1, 20_000) }).unwrap(), 1);
        assert_eq!(slot.cpu.u64(0).load(Ordering::Acquire), 1);
    });
}
