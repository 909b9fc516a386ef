//! What a program submits runs, beside it and in time.

mod common;

use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use common::*;
use emulator::{Board, Options, run};
use ioctl_defs::nvgpu::channel::*;

fn on_a_board(body: impl FnOnce(&Board) + Send) {
    run(Options { quiet_faults: true, ..Options::default() }, body).unwrap();
}

#[test]
fn rings_one_after_another() {
    on_a_board(|board| {
        let program = Program::new();
        let mut channel = program.channel();
        let (push, slot) = (program.buffer(64 << 10), program.buffer(4096));
        let registers = program.registers();
        // Around the ring more than once.
        for i in 1..=1200_u64 {
            let at = 24 * (i as usize % 1000);
            let words = write_release(&push, at, slot.va, i);
            channel.push(push.va + at as u64, words);
            ring(&registers, channel.token);
            wait_for(slot.cpu.u64(0), i);
        }
        assert_eq!(board.warnings(), Vec::<String>::new());
        assert_eq!(board.faults(), Vec::<String>::new());
    });
}

#[test]
fn two_channels_that_ring_at_once_both_run() {
    on_a_board(|_| {
        let program = Program::new();
        let mut channels = [program.channel(), program.channel(), program.channel()];
        let registers = program.registers();
        let (push, slots) = (program.buffer(64 << 10), program.buffer(4096));
        for i in 1..=300_u64 {
            for (n, channel) in channels.iter_mut().enumerate() {
                let at = 32 * (3 * (i as usize % 300) + n);
                let words = write_release(&push, at, slots.va + 16 * n as u64, i);
                channel.push(push.va + at as u64, words);
            }
            for channel in &channels {
                ring(&registers, channel.token);
            }
            for n in 0..channels.len() {
                wait_for(slots.cpu.u64(16 * n), i);
            }
        }
    });
}

#[test]
fn a_forgotten_doorbell_stays_forgotten() {
    on_a_board(|_| {
        let program = Program::new();
        let mut channel = program.channel();
        let (push, slot) = (program.buffer(4096), program.buffer(4096));
        let registers = program.registers();
        let words = write_release(&push, 0, slot.va, 1);
        channel.push(push.va, words);
        thread::sleep(Duration::from_millis(20));
        assert_eq!(slot.cpu.u64(0).load(Ordering::Acquire), 0);
        ring(&registers, channel.token);
        wait_for(slot.cpu.u64(0), 1);
    });
}

#[test]
fn each_open_file_has_its_doorbell() {
    on_a_board(|_| {
        let first = Program::new();
        let second = Program::new();
        for program in [&first, &second] {
            let mut channel = program.channel();
            let (push, slot) = (program.buffer(4096), program.buffer(4096));
            let words = write_release(&push, 0, slot.va, 1);
            channel.push(push.va, words);
            ring(&program.registers(), channel.token);
            wait_for(slot.cpu.u64(0), 1);
        }
    });
}

#[test]
fn a_wrong_token_is_named() {
    on_a_board(|board| {
        let program = Program::new();
        ring(&program.registers(), 77);
        assert!(soon(|| board.warnings().iter().any(|line| line.contains("0x4d"))));
    });
}

#[test]
fn the_clock_runs() {
    on_a_board(|_| {
        let program = Program::new();
        let mut channel = program.channel();
        let (push, slot) = (program.buffer(4096), program.buffer(4096));
        let registers = program.registers();
        let now = || registers.u64(0x80).load(Ordering::Acquire);
        let before = now();
        assert_ne!(before, 0, "the time is right before anything has happened");
        let words = write_release(&push, 0, slot.va, 1);
        channel.push(push.va, words);
        ring(&registers, channel.token);
        wait_for(slot.cpu.u64(0), 1);
        let stamp = slot.cpu.u64(8).load(Ordering::Acquire);
        assert!(stamp >= before, "{stamp} {before}");
        assert!(soon(|| now() >= stamp));
        assert!(soon(|| now() > stamp + 5_000_000), "it runs while the GPU is idle");
        let high = registers.u32(0x84).load(Ordering::Acquire);
        assert_eq!(u64::from(high), now() >> 32);
    });
}

#[test]
fn a_fault_is_reported_and_the_next_channel_works() {
    on_a_board(|board| {
        let program = Program::new();
        let mut channel = program.channel();
        let notifier = program.buffer(4096);
        let mut args = nvgpu_set_error_notifier {
            mem: notifier.fd.as_raw_fd() as u32,
            size: 16,
            ..Default::default()
        };
        ioctl(&channel.fd, NVGPU_IOCTL_CHANNEL_SET_ERROR_NOTIFIER, &mut args).unwrap();
        let registers = program.registers();
        channel.push(0x1234_5000, 6);
        ring(&registers, channel.token);
        assert!(soon(|| notifier.cpu.u32(12).load(Ordering::Acquire) >> 16 == 0xffff));
        assert_eq!(notifier.cpu.u32(8).load(Ordering::Acquire), 31, "an MMU fault");
        assert!(channel.is_dead());
        assert!(soon(|| board.faults().len() == 1), "{:?}", board.faults());
        assert!(board.faults()[0].contains("0x12345000"), "{:?}", board.faults());

        let program = Program::new();
        let mut channel = program.channel();
        let (push, slot) = (program.buffer(4096), program.buffer(4096));
        let words = write_release(&push, 0, slot.va, 1);
        channel.push(push.va, words);
        ring(&program.registers(), channel.token);
        wait_for(slot.cpu.u64(0), 1);
    });
}

/// While a channel waits for a word that the CPU writes, calls are answered, and the wait ends.
#[test]
fn a_blocked_acquire_leaves_the_board_usable() {
    on_a_board(|_| {
        let program = Program::new();
        let mut channel = program.channel();
        let (push, slot) = (program.buffer(4096), program.buffer(4096));
        let registers = program.registers();
        let gate = slot.va + 64;
        // SEM_ADDR_LO.. and EXECUTE: acquire until the word is at least the payload, 64 bits wide.
        let acquire = [0x2005_0017, gate as u32, (gate >> 32) as u32, 5, 0, 0x0100_0000 | 3];
        for (i, word) in acquire.into_iter().enumerate() {
            push.cpu.u32(4 * i).store(word, Ordering::Relaxed);
        }
        let words = 6 + write_release(&push, 24, slot.va, 9);
        channel.push(push.va, words);
        ring(&registers, channel.token);
        for _ in 0..20 {
            drop(open_tsg(&program.ctrl).unwrap());
        }
        assert_eq!(slot.cpu.u64(0).load(Ordering::Acquire), 0);
        slot.cpu.u64(64).store(5, Ordering::Release);
        wait_for(slot.cpu.u64(0), 9);
    });
}
