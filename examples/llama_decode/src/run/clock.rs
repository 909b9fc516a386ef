//! Time that this process spent on a CPU.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// User and system time of all threads so far.
pub fn cpu_time() -> Duration {
    // It cannot fail: the clock is there on every Linux.
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
