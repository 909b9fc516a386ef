//! What the software Orin costs: `cargo run --release -p doorbell-emulator --example costs`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use common::*;
use emulator::{Options, launch, run};
use ioctl_defs::nvgpu::ctrl::*;

fn main() {
    if let Err(unavailable) = run(Options::default(), |_| measure()) {
        println!("{unavailable}");
        return;
    }
    let started = Instant::now();
    let status = launch(Options::default(), "true".as_ref(), &[]);
    println!("{:<44} {:>9.1?}", "start and end of a launched program", started.elapsed());
    assert!(status.is_ok_and(|status| status.success()));
}

fn measure() {
    let program = Program::new();
    report("ioctl that reads and writes an argument", 20_000, || {
        let mut size_only = nvgpu_gpu_get_characteristics::default();
        ioctl(&program.ctrl, NVGPU_GPU_IOCTL_GET_CHARACTERISTICS, &mut size_only).unwrap();
    });
    report("ioctl that opens a TSG, and its close", 5_000, || {
        drop(open_tsg(&program.ctrl).unwrap());
    });
    report("open and close of the nvmap node", 5_000, || drop(open(NVMAP)));
    report("a buffer: create, map, unmap, free", 1_000, || drop(program.buffer(4096)));
    report("test for a node", 5_000, || assert!(Path::new(NVMAP).exists()));
    println!("calls that are not the board's:");
    let null = fs::File::open("/dev/null").unwrap();
    report("ioctl with a type of ours", 20_000, || {
        let _ = raw_ioctl(null.as_raw_fd(), 0x5401, 0);
    });
    report("open and close of a file", 20_000, || drop(fs::File::open("/dev/null").unwrap()));
    report("ioctl with another type", 20_000, || {
        let _ = raw_ioctl(null.as_raw_fd(), 0x8004_4501, 0);
    });

    let mut channel = program.channel();
    let (push, slot) = (program.buffer(4096), program.buffer(4096));
    let registers = program.registers();
    let mut payload = 0;
    let mut round_trip = || {
        payload += 1;
        let words = write_release(&push, 0, slot.va, payload);
        let started = Instant::now();
        channel.push(push.va, words);
        ring(&registers, channel.token);
        wait_for(slot.cpu.u64(0), payload);
        started.elapsed()
    };
    println!("doorbell to semaphore:");
    distribution("one after another", (0..20_000).map(|_| round_trip()).collect());
    let rested = (0..100).map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        round_trip()
    });
    distribution("after 10 ms without work", rested.collect());
}

fn report(what: &str, times: u32, mut call: impl FnMut()) {
    call();
    let started = Instant::now();
    for _ in 0..times {
        call();
    }
    println!("{what:<44} {:>9.1?}", started.elapsed() / times);
}

fn distribution(what: &str, mut samples: Vec<Duration>) {
    samples.sort_unstable();
    let at = |part: f64| samples[(part * (samples.len() - 1) as f64) as usize];
    let (median, p99, worst) = (at(0.5), at(0.99), at(1.0));
    println!("{what:<44} {median:>9.1?} median, {p99:.1?} p99, {worst:.1?} at most");
}
