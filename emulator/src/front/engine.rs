//! The GPU's thread: watches the doorbells, lets the model run, and keeps the clock of the registers.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::Shared;
use crate::gpu::Progress;

/// Entries, headers and methods that are executed before others may have the machine.
const BUDGET: u32 = 4096;

/// What was busy a moment ago will be again: first the processor is kept, then offered to others, then
/// given up for longer and longer, up to what a program that polls would call slow.
const SPIN: Duration = Duration::from_micros(20);
const YIELD: Duration = Duration::from_micros(500);
const FIRST_PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);
/// While a channel waits for a semaphore that a program may write any moment.
const LONGEST_PAUSE_BLOCKED: Duration = Duration::from_micros(100);

/// Runs the GPU until it is told to stop.
pub fn run(shared: &Shared) {
    // The kernel rounds pauses up by 50 us otherwise.
    // SAFETY: sets an attribute of this thread.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1000) };
    let mut progress = Progress::Idle;
    let mut idle = Idle::new();
    while !shared.stop.load(Ordering::Relaxed) {
        // The supervisor has panicked, and says so.
        let Some(mut machine) = shared.machine_for_gpu() else { return };
        machine.look(&shared.record);
        machine.doorbells.set_clocks(machine.gpu.time_ns());
        let rung = machine.doorbells.take_rung();
        if rung || progress != Progress::Idle {
            progress = machine.gpu.step(BUDGET);
            machine.doorbells.set_clocks(machine.gpu.time_ns());
            machine.settle(&shared.record, || true);
        }
        let can_be_rung = machine.doorbells.exist();
        drop(machine);
        if rung || progress == Progress::Worked {
            idle = Idle::new();
        } else if progress == Progress::Idle && !can_be_rung {
            // Who opens a ctrl file, or ends the board, wakes it.
            thread::park();
        } else {
            idle.pause(progress);
        }
    }
}

/// How long nothing has happened, and how long to wait therefore.
struct Idle {
    since: Instant,
    pause: Duration,
}

impl Idle {
    fn new() -> Idle {
        Idle { since: Instant::now(), pause: FIRST_PAUSE }
    }

    fn pause(&mut self, progress: Progress) {
        let longest = match progress {
            Progress::Blocked => LONGEST_PAUSE_BLOCKED,
            _ => LONGEST_PAUSE,
        };
        let idle = self.since.elapsed();
        if idle < SPIN {
            std::hint::spin_loop();
        } else if idle < YIELD {
            thread::yield_now();
        } else {
            thread::park_timeout(self.pause);
            self.pause = (self.pause * 2).min(longest);
        }
    }
}
