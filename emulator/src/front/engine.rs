//! The GPU's thread: watches the doorbells, lets the model run, and keeps the clock of the registers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use hw_defs::usermode;

use super::{SILENT, Shared};
use crate::gpu::Progress;
use crate::memory::Memory;

/// Entries, headers and methods that are executed before others may have the machine.
const BUDGET: u32 = 4096;

/// Channel ids that a token may name.
const CHANNELS: u32 = 512;

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
    let mut engine = Engine::default();
    let mut progress = Progress::Idle;
    let mut idle = Idle::new();
    while !shared.stop.load(Ordering::Relaxed) {
        engine.notice_changes(shared);
        if engine.pages.is_empty() && progress == Progress::Idle {
            // Who opens a ctrl file, or ends the board, wakes it.
            thread::park();
            idle = Idle::new();
            continue;
        }
        match engine.turn(shared, progress) {
            Some((now, rung)) => {
                if rung || now == Progress::Worked {
                    idle = Idle::new();
                }
                progress = now;
            }
            None => return,
        }
        idle.pause(progress);
    }
}

#[derive(Debug, Default)]
struct Engine {
    changes: u32,
    pages: Vec<Arc<Memory>>,
    /// Channels that exist; none while that has to be found out.
    channels: Option<Vec<u32>>,
}

impl Engine {
    fn notice_changes(&mut self, shared: &Shared) {
        let changes = shared.changes.load(Ordering::Acquire);
        if changes != self.changes {
            self.changes = changes;
            self.pages.clone_from(&shared.pages());
            self.channels = None;
        }
    }

    /// Looks at the doorbells once, and lets the GPU run if there is reason to. Whether it got on, and
    /// whether a doorbell rang.
    fn turn(&mut self, shared: &Shared, last: Progress) -> Option<(Progress, bool)> {
        let rings = self.pages.iter().filter_map(|page| {
            // Looking first leaves the line with the program's processor until it rings.
            let rung = page.load_u32(usermode::DOORBELL) != SILENT;
            rung.then(|| page.swap_u32(usermode::DOORBELL, SILENT))
        });
        let rings: Vec<u32> = rings.collect();
        let mut machine = shared.machine_for_gpu()?;
        self.set_clock(machine.gpu.time_ns());
        if rings.is_empty() && last == Progress::Idle {
            return Some((Progress::Idle, false));
        }
        for token in &rings {
            if !machine.gpu.doorbell(*token) {
                shared.record.warning(format!(
                    "the doorbell was rung with {token:#x}, which is the token of no channel"
                ));
            }
        }
        if !rings.is_empty() {
            // The doorbell is memory here: of two that ring at once the first is overwritten. So one ring
            // counts for all, and a forgotten one is noticed only while nothing else rings.
            let all = self.channels.get_or_insert_with(|| (0..CHANNELS).collect());
            all.retain(|token| machine.gpu.doorbell(*token));
        }
        let progress = machine.gpu.step(BUDGET);
        self.set_clock(machine.gpu.time_ns());
        machine.settle(&shared.record, || true);
        Some((progress, !rings.is_empty()))
    }

    fn set_clock(&self, now: u64) {
        for page in &self.pages {
            page.store_u64(usermode::TIME_0, now);
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
            Progress::Worked => return,
            Progress::Blocked => LONGEST_PAUSE_BLOCKED,
            Progress::Idle => LONGEST_PAUSE,
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
